//! The repetition rules of Gopher, as datatrove has them, in linear time.
//!
//! Two facts keep the n-gram rules cheap. An n-gram can be repeated only where the shorter one it begins and
//! the shorter one it ends with are, so that each length needs to look only where the one before left something.
//! And a repeated run of words begins with repeated bytes, so that most of a text is out of the question after
//! one look at a few bytes from each word on.
//!
//! Paragraphs, lines and n-grams are told apart by 64-bit hashes (xxh3): in a document of a million words
//! a rule takes two different ones for the same with a chance of about 1 in 10^7.

use std::collections::HashSet;

use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::threshold::{EMPTY, Ruling, Threshold, verdict};
use super::words;
use crate::doc::Doc;
use crate::stage::{Filter, Need, Profile, Settings, Verdict};
use crate::text;
use crate::tokenize::Words;

/// The repetition rules of Gopher (Rae et al. 2021, A1.1, table A1), asked in the order of the settings.
///
/// The rules are those of datatrove 0.10's `GopherRepetitionFilter`; only the words are our own unless `words` or a
/// `profile` says otherwise, as in `gopher_quality`. `false` switches a rule off. Shares of characters are shares of all
/// characters of the text, white space included. In texts written without spaces the joining spaces weigh as much as
/// the words and words are shorter, so Chinese needs looser limits: those of a profile, for its words.
///
/// A document without characters is dropped as `empty`, whatever is switched off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GopherRepetition {
    /// Published settings to begin with instead of the defaults, each of which can be set beside it: `datatrove-0.10`; `fineweb-2024`
    /// (datatrove 0.2, with datatrove 0.10's words); `fineweb-2/cmn_Hani` and `fineweb-2/yue_Hani` (FineWeb-2's files of
    /// these names); `massivetext` (words between spaces).
    pub profile: Option<String>,
    /// What words are. The published rules have those of the `language`.
    pub words: Words,
    /// The language of all documents, for `words = "language"`: a code like `en` or `zh`. By default each document's
    /// column `language` says.
    pub language: Option<String>,
    /// Whether every line end makes a line, blank ones included, and not only every run of line feeds. datatrove 0.2: yes,
    /// 0.10: no.
    pub blank_lines: bool,
    /// The greatest share of paragraphs that repeat an earlier one. Gopher, table A1: 0.3.
    pub max_duplicate_paragraphs: Threshold,
    /// The greatest share of characters in such paragraphs. Gopher, table A1: 0.2.
    pub max_duplicate_paragraph_characters: Threshold,
    /// The greatest share of lines that repeat an earlier one. Gopher, table A1: 0.3.
    pub max_duplicate_lines: Threshold,
    /// The greatest share of characters in such lines. Gopher, table A1: 0.2.
    pub max_duplicate_line_characters: Threshold,
    /// The greatest share of characters in all copies of the most frequent pair of words. Gopher, table A1: 0.2.
    pub max_top_2_gram: Threshold,
    /// The same for three words. Gopher, table A1: 0.18.
    pub max_top_3_gram: Threshold,
    /// The same for four words. Gopher, table A1: 0.16.
    pub max_top_4_gram: Threshold,
    /// The greatest share of characters in runs of five words that repeat an earlier one. Gopher, table A1: 0.15.
    pub max_repeated_5_grams: Threshold,
    /// The same for six words. Gopher, table A1: 0.14.
    pub max_repeated_6_grams: Threshold,
    /// The same for seven words. Gopher, table A1: 0.13.
    pub max_repeated_7_grams: Threshold,
    /// The same for eight words. Gopher, table A1: 0.12.
    pub max_repeated_8_grams: Threshold,
    /// The same for nine words. Gopher, table A1: 0.11.
    pub max_repeated_9_grams: Threshold,
    /// The same for ten words. Gopher, table A1: 0.1.
    pub max_repeated_10_grams: Threshold,
}

impl Default for GopherRepetition {
    fn default() -> Self {
        Self {
            profile: None,
            words: Words::Units,
            language: None,
            blank_lines: false,
            max_duplicate_paragraphs: Threshold::at(0.3),
            max_duplicate_paragraph_characters: Threshold::at(0.2),
            max_duplicate_lines: Threshold::at(0.3),
            max_duplicate_line_characters: Threshold::at(0.2),
            max_top_2_gram: Threshold::at(0.2),
            max_top_3_gram: Threshold::at(0.18),
            max_top_4_gram: Threshold::at(0.16),
            max_repeated_5_grams: Threshold::at(0.15),
            max_repeated_6_grams: Threshold::at(0.14),
            max_repeated_7_grams: Threshold::at(0.13),
            max_repeated_8_grams: Threshold::at(0.12),
            max_repeated_9_grams: Threshold::at(0.11),
            max_repeated_10_grams: Threshold::at(0.1),
        }
    }
}

impl Settings for GopherRepetition {
    const NAME: &'static str = "gopher_repetition";
    const ABOUT: &'static str = "drops documents by Gopher's repetition rules: paragraphs, lines, n-grams";
    type Stage = Self;
    const PROFILES: &'static [Profile<Self>] = &[
        Profile { name: "datatrove-0.10", settings: Self::datatrove },
        Profile { name: "fineweb-2024", settings: Self::fineweb_2024 },
        Profile { name: "fineweb-2/cmn_Hani", settings: Self::fineweb_2_mandarin },
        Profile { name: "fineweb-2/yue_Hani", settings: Self::fineweb_2_cantonese },
        Profile { name: "massivetext", settings: Self::massivetext },
    ];

    fn build(self) -> Result<Self, String> {
        words::check(self.words, self.language.as_deref(), self.profile.as_deref())?;
        Ok(self)
    }
}

impl GopherRepetition {
    fn datatrove() -> Self {
        Self { words: Words::Language, ..Self::default() }
    }

    fn fineweb_2024() -> Self {
        Self { blank_lines: true, language: Some("en".into()), ..Self::datatrove() }
    }

    fn fineweb_2_mandarin() -> Self {
        Self::fineweb_2("zh", 0.287, [0.256, 0.201, 0.171], [0.198, 0.182, 0.167, 0.154, 0.14, 0.127])
    }

    fn fineweb_2_cantonese() -> Self {
        Self::fineweb_2("yue", 0.442, [1.238, 0.854, 0.623], [0.241, 0.216, 0.204, 0.193, 0.182, 0.17])
    }

    /// What FineWeb-2's pipeline sets, and what its file of a language does.
    fn fineweb_2(language: &str, lines: f64, top: [f64; 3], repeated: [f64; 6]) -> Self {
        let [top_2, top_3, top_4] = top.map(Threshold::at);
        let [five, six, seven, eight, nine, ten] = repeated.map(Threshold::at);
        Self {
            profile: None,
            words: Words::Language,
            language: Some(language.to_owned()),
            blank_lines: false,
            max_duplicate_paragraphs: Threshold::OFF,
            max_duplicate_paragraph_characters: Threshold::OFF,
            max_duplicate_lines: Threshold::at(lines),
            max_duplicate_line_characters: Threshold::OFF,
            max_top_2_gram: top_2,
            max_top_3_gram: top_3,
            max_top_4_gram: top_4,
            max_repeated_5_grams: five,
            max_repeated_6_grams: six,
            max_repeated_7_grams: seven,
            max_repeated_8_grams: eight,
            max_repeated_9_grams: nine,
            max_repeated_10_grams: ten,
        }
    }

    fn massivetext() -> Self {
        Self { words: Words::Spaces, ..Self::default() }
    }

    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        if doc.n_chars() == 0 {
            return EMPTY;
        }
        let n_chars = doc.n_chars() as f64;
        self.rule_pieces(doc, n_chars)?;
        let words = || doc.words_by(words::tokenizer(self.words, self.language.as_deref(), doc));
        self.rule_top_n_grams(words, n_chars)?;
        self.rule_repeated_n_grams(words, n_chars)
    }

    fn rule_pieces(&self, doc: &Doc<'_>, n_chars: f64) -> Ruling {
        let text = doc.text();
        let paragraphs = Duplicates::among(pieces(text.trim_matches(text::is_space), "\n\n"));
        self.max_duplicate_paragraphs.at_most("duplicate_paragraphs", paragraphs.share())?;
        self.max_duplicate_paragraph_characters
            .at_most("duplicate_paragraph_characters", paragraphs.n_chars as f64 / n_chars)?;
        let lines = if self.blank_lines {
            Duplicates::among(doc.lines().iter().copied())
        } else {
            Duplicates::among(pieces(text, "\n"))
        };
        self.max_duplicate_lines.at_most("duplicate_lines", lines.share())?;
        self.max_duplicate_line_characters.at_most("duplicate_line_characters", lines.n_chars as f64 / n_chars)
    }

    fn rule_top_n_grams<'d>(&self, words: impl Fn() -> &'d [&'d str], n_chars: f64) -> Ruling {
        let rules = [
            (self.max_top_2_gram, "top_2_gram"),
            (self.max_top_3_gram, "top_3_gram"),
            (self.max_top_4_gram, "top_4_gram"),
        ];
        if !rules.iter().any(|(threshold, _)| threshold.is_on()) {
            return Ruling::Continue(());
        }
        let words = words();
        let mut grams = Grams::of_words(words);
        for (n, (threshold, code)) in (2..).zip(rules) {
            if words.len() < n {
                break;
            }
            let top = grams.lengthen();
            let gram = &words[top.first..top.first + n];
            let length = gram.iter().map(|word| text::n_chars(word)).sum::<usize>() + n - 1;
            threshold.at_most(code, (length * top.count) as f64 / n_chars)?;
        }
        Ruling::Continue(())
    }

    fn rule_repeated_n_grams<'d>(&self, words: impl Fn() -> &'d [&'d str], n_chars: f64) -> Ruling {
        let rules = [
            (self.max_repeated_5_grams, "repeated_5_grams"),
            (self.max_repeated_6_grams, "repeated_6_grams"),
            (self.max_repeated_7_grams, "repeated_7_grams"),
            (self.max_repeated_8_grams, "repeated_8_grams"),
            (self.max_repeated_9_grams, "repeated_9_grams"),
            (self.max_repeated_10_grams, "repeated_10_grams"),
        ];
        if !rules.iter().any(|(threshold, _)| threshold.is_on()) {
            return Ruling::Continue(());
        }
        let run = Run::of(words());
        for (n, (threshold, code)) in (5..).zip(rules) {
            if threshold.is_on() {
                threshold.at_most(code, run.n_repeated_chars(n) as f64 / n_chars)?;
            }
        }
        Ruling::Continue(())
    }
}

impl Filter for GopherRepetition {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        verdict(self.rule(doc))
    }

    fn needs(&self) -> Vec<Need> {
        words::needs(self.words, self.language.as_deref())
    }

    fn reasons(&self) -> &'static [&'static str] {
        REASONS
    }
}

const REASONS: &[&str] = &[
    "empty",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "duplicate_lines",
    "duplicate_line_characters",
    "top_2_gram",
    "top_3_gram",
    "top_4_gram",
    "repeated_5_grams",
    "repeated_6_grams",
    "repeated_7_grams",
    "repeated_8_grams",
    "repeated_9_grams",
    "repeated_10_grams",
];

/// A text cut at every run of line feeds that begins with `cut`. Where the text begins or ends with such a run there
/// is an empty piece, as `re.split` leaves it.
fn pieces<'t>(text: &'t str, cut: &'static str) -> impl Iterator<Item = &'t str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = memmem::find(text.as_bytes(), cut.as_bytes()) else {
            return rest.take();
        };
        rest = Some(text[at..].trim_start_matches('\n'));
        Some(&text[..at])
    })
}

/// How many of a document's pieces repeat an earlier one; the first copy is free.
#[derive(Default)]
pub(super) struct Duplicates {
    n_pieces: usize,
    n_duplicates: usize,
    /// The characters of the duplicates.
    pub(super) n_chars: usize,
}

impl Duplicates {
    pub(super) fn among<'t>(pieces: impl Iterator<Item = &'t str>) -> Self {
        let mut seen = HashSet::new();
        let mut found = Self::default();
        for piece in pieces {
            found.n_pieces += 1;
            if !seen.insert(xxh3_64(piece.as_bytes())) {
                found.n_duplicates += 1;
                found.n_chars += text::n_chars(piece);
            }
        }
        found
    }

    fn share(&self) -> f64 {
        self.n_duplicates as f64 / self.n_pieces as f64
    }
}

/// The n-grams of a text, for one n after the other.
struct Grams {
    /// The hash of each word.
    words: Vec<u64>,
    /// The n-grams that can be part of a repeated longer one: where each begins, and its hash.
    open: Vec<(usize, u64)>,
    n: usize,
}

/// An n-gram, by where it was first seen.
#[derive(Clone, Copy)]
struct Gram {
    first: usize,
    count: usize,
}

impl Grams {
    fn of_words(words: &[&str]) -> Self {
        let words: Vec<u64> = words.iter().map(|word| xxh3_64(word.as_bytes())).collect();
        let open = words.iter().copied().enumerate().collect();
        Self { words, open, n: 1 }
    }

    /// Goes from n-grams to those one word longer, of which there must be one, and finds the most frequent one;
    /// among equals, the first seen.
    fn lengthen(&mut self) -> Gram {
        // A longer n-gram can be repeated only if the n-gram that ends it is, too.
        let with_next = self.open.windows(2).filter(|pair| pair[1].0 == pair[0].0 + 1).map(|pair| pair[0]);
        let mut longer: Vec<(usize, u64)> =
            with_next.map(|(at, hash)| (at, chain(hash, self.words[at + self.n]))).collect();
        let repeats = Repeats::among(longer.iter().map(|&(_, hash)| hash));
        longer.retain(|&(_, hash)| repeats.may_hold(hash));

        let mut numbers = Numbers::with_capacity(longer.len());
        let mut grams: Vec<Gram> = Vec::new();
        let mut numbered = Vec::with_capacity(longer.len());
        for &(at, hash) in &longer {
            let (gram, is_new) = numbers.number(hash);
            if is_new {
                grams.push(Gram { first: at, count: 0 });
            }
            grams[gram].count += 1;
            numbered.push(gram);
        }
        let is_repeated = numbered.into_iter().map(|gram| grams[gram].count > 1);
        self.open =
            longer.into_iter().zip(is_repeated).filter_map(|(gram, repeated)| repeated.then_some(gram)).collect();
        self.n += 1;
        // Where nothing is repeated every n-gram is as frequent as the first.
        let unrepeated = Gram { first: 0, count: 1 };
        grams.into_iter().fold(unrepeated, |top, gram| if gram.count > top.count { gram } else { top })
    }
}

/// The hash of a sequence and one more word.
fn chain(sequence: u64, word: u64) -> u64 {
    (sequence ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(29).wrapping_add(word)
}

/// The words of a text written one after the other, with nothing between them.
///
/// That is how the published rule compares n-grams: `ab c` and `a bc` are the same.
struct Run {
    bytes: String,
    /// Where each word begins, and the end.
    starts: Vec<usize>,
    /// The words from which on anything can be repeated, or repeat something.
    open: Vec<usize>,
}

impl Run {
    /// The fewest words of a repetition.
    const MIN_WORDS: usize = 5;

    /// The bytes looked at to tell whether anything can be repeated from a word on: those of five ideographs, and
    /// of nearly all runs of five words in other scripts.
    const PEEK: usize = 15;

    fn of(words: &[&str]) -> Self {
        let bytes = words.concat();
        let mut starts = Vec::with_capacity(words.len() + 1);
        let mut end = 0;
        starts.push(end);
        for word in words {
            end += word.len();
            starts.push(end);
        }

        let peeks: Vec<u64> =
            starts.iter().map_while(|&start| bytes.as_bytes().get(start..start + Self::PEEK)).map(xxh3_64).collect();
        let repeats = Repeats::among(peeks.iter().copied());
        let may_repeat = |&word: &usize| {
            // Where the shortest n-gram ends within the bytes looked at, they cannot tell.
            let min_end = starts.get(word + Self::MIN_WORDS).copied().unwrap_or(end);
            min_end - starts[word] < Self::PEEK || repeats.may_hold(peeks[word])
        };
        let open = (0..words.len()).filter(may_repeat).collect();
        Self { bytes, starts, open }
    }

    /// The characters in n-grams, of at least [`Run::MIN_WORDS`] words, that repeat an earlier one. The text is
    /// walked once: a repeated n-gram is stepped over, any other one is remembered and the walk goes on with the next
    /// word.
    fn n_repeated_chars(&self, n: usize) -> usize {
        let mut seen = Numbers::with_capacity(self.open.len());
        let mut n_chars = 0;
        let mut next = 0;
        for &word in self.open.iter().filter(|&word| word + n < self.starts.len()) {
            if word < next {
                continue;
            }
            let gram = &self.bytes[self.starts[word]..self.starts[word + n]];
            let (_, is_new) = seen.number(xxh3_64(gram.as_bytes()));
            if !is_new {
                n_chars += text::n_chars(gram);
                next = word + n;
            }
        }
        n_chars
    }
}

/// The hashes that occur more than once, and a few others: a filter of two bits a place (after Bloom), which settles
/// most of a text without a hash table.
struct Repeats {
    once: Vec<u64>,
    twice: Vec<u64>,
}

impl Repeats {
    fn among(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        // Sixteen places a hash: one in sixteen shares its place by chance.
        let n_places = (16 * hashes.len()).next_power_of_two().max(64);
        let mut repeats = Self { once: vec![0; n_places / 64], twice: vec![0; n_places / 64] };
        for hash in hashes {
            let (at, bit) = repeats.place(hash);
            repeats.twice[at] |= repeats.once[at] & bit;
            repeats.once[at] |= bit;
        }
        repeats
    }

    /// Whether the hash may occur more than once. Never wrong about one that does.
    fn may_hold(&self, hash: u64) -> bool {
        let (at, bit) = self.place(hash);
        self.twice[at] & bit != 0
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        ((hash >> 6) as usize & (self.once.len() - 1), 1 << (hash % 64))
    }
}

/// Numbers things by their hashes, from 0 in the order they are first seen.
struct Numbers {
    /// A hash table of places in `hashes`, each one more than it is; 0 is free. At most half of it is taken.
    slots: Vec<u32>,
    hashes: Vec<u64>,
}

impl Numbers {
    /// Room for `n` things.
    fn with_capacity(n: usize) -> Self {
        Self { slots: vec![0; (2 * n).next_power_of_two()], hashes: Vec::with_capacity(n) }
    }

    /// The number of the thing with this hash, and whether it is seen for the first time.
    fn number(&mut self, hash: u64) -> (usize, bool) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            let number = self.slots[slot] as usize - 1;
            if self.hashes[number] == hash {
                return (number, false);
            }
            slot = (slot + 1) & mask;
        }
        self.hashes.push(hash);
        self.slots[slot] = self.hashes.len() as u32;
        (self.hashes.len() - 1, true)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::tests::judged_by;

    /// Judges a text with all rules off but those that `toml` sets.
    #[track_caller]
    fn check(toml: &str, text: &str, expected: &str) {
        assert_eq!(judged_by::<GopherRepetition>(toml, text), expected, "{text:?}");
    }

    /// Each reason beside the one datatrove gives.
    pub(in crate::filter) const PUBLISHED: &[(&str, &str)] = &[
        ("empty", "empty"),
        ("duplicate_paragraphs", "dup_para_frac"),
        ("duplicate_paragraph_characters", "dup_para_char_frac"),
        ("duplicate_lines", "dup_line_frac"),
        ("duplicate_line_characters", "dup_line_char_frac"),
        ("top_2_gram", "top_2_gram"),
        ("top_3_gram", "top_3_gram"),
        ("top_4_gram", "top_4_gram"),
        ("repeated_5_grams", "duplicated_5_n_grams"),
        ("repeated_6_grams", "duplicated_6_n_grams"),
        ("repeated_7_grams", "duplicated_7_n_grams"),
        ("repeated_8_grams", "duplicated_8_n_grams"),
        ("repeated_9_grams", "duplicated_9_n_grams"),
        ("repeated_10_grams", "duplicated_10_n_grams"),
    ];

    #[test]
    fn every_reason_has_a_published_name() {
        assert!(PUBLISHED.iter().map(|(reason, _)| reason).eq(REASONS));
    }

    #[test]
    fn nothing_is_empty_and_little_is_kept() {
        check("", "", "empty 0 (threshold 1)");
        assert_eq!(GopherRepetition::default().judge(&Doc::bare("a")), Verdict::Keep);
        check("max_top_2_gram = 0", " ", "keep");
    }

    #[test]
    fn the_first_copy_of_a_paragraph_is_free() {
        check("max_duplicate_paragraphs = 0.5", "\n\na\n\na\n", "keep");
        check("max_duplicate_paragraphs = 0.5", "a\n\na\n\n\n\na", "duplicate_paragraphs 0.6667 (threshold 0.5)");
        check("max_duplicate_paragraphs = 0.5", "a\na\na", "keep");
        // 2 of 8 characters.
        check("max_duplicate_paragraph_characters = 0.25", "éa\n\n\n\néa", "keep");
        check(
            "max_duplicate_paragraph_characters = 0.25",
            "éa\n\n\néa",
            "duplicate_paragraph_characters 0.2857 (threshold 0.25)",
        );
    }

    #[test]
    fn runs_of_line_feeds_cut_lines_of_the_raw_text() {
        check("max_duplicate_lines = 0.5", "a\n\n\na", "keep");
        check("max_duplicate_lines = 0.25", "a\n\n\na", "duplicate_lines 0.5 (threshold 0.25)");
        // The empty lines at both ends are lines: `""`, `a`, `""`.
        check("max_duplicate_lines = 0.33", "\na\n", "duplicate_lines 0.3333 (threshold 0.33)");
        check("max_duplicate_lines = 0.5", "\n\n\n", "keep");
        check("max_duplicate_line_characters = 0.4", "ab\nab", "keep");
        check("max_duplicate_line_characters = 0.39", "ab\nab", "duplicate_line_characters 0.4 (threshold 0.39)");
        check("max_duplicate_lines = 0", "a\ra\ra", "keep");
    }

    #[test]
    fn top_n_grams_count_their_joining_spaces() {
        // `a b` three times: 9 of 11 characters.
        check("max_top_2_gram = 0.82", "a b a b a b", "keep");
        check("max_top_2_gram = 0.81", "a b a b a b", "top_2_gram 0.8182 (threshold 0.81)");
        // Unspaced text can exceed 1.
        check("max_top_2_gram = 1.4", "中中中", "top_2_gram 2 (threshold 1.4)");
    }

    #[test]
    fn an_n_gram_that_is_not_repeated_counts_once() {
        check("max_top_3_gram = 0.9", "a b c", "top_3_gram 1 (threshold 0.9)");
        check("max_top_3_gram = 0.9", "a b", "keep");
        check("max_top_4_gram = 0.5", "a b c d eeeeeeee", "keep");
        check("max_top_4_gram = 0.4", "a b c d eeeeeeee", "top_4_gram 0.4375 (threshold 0.4)");
    }

    #[test]
    fn among_equals_the_first_seen_is_the_top() {
        // `a a` and `bb bb` twice each: 3 × 2, not 5 × 2, of 18 characters.
        check("max_top_2_gram = 0.3", "a a x a a y bb bb z bb bb", "keep");
        check("max_top_2_gram = 0.2", "a a x a a y bb bb z bb bb", "top_2_gram 0.24 (threshold 0.2)");
    }

    #[test]
    fn later_copies_of_n_grams_count_without_overlap() {
        // The second `a b c d e`: 5 of 19 characters.
        check("max_repeated_5_grams = 0.27", "a b c d e a b c d e", "keep");
        check("max_repeated_5_grams = 0.26", "a b c d e a b c d e", "repeated_5_grams 0.2632 (threshold 0.26)");
        check("max_repeated_6_grams = 0", "a b c d e a b c d e", "keep");
        check("max_repeated_6_grams = 0", "aaaaaaa", "keep");
    }

    #[test]
    fn words_are_compared_with_nothing_between_them() {
        check("max_repeated_5_grams = 0", "ab c d e f x a bc d e f", "repeated_5_grams 0.2609 (threshold 0)");
    }

    #[test]
    fn rules_are_asked_in_their_order() {
        let text = "line of a few words\n".repeat(10);
        let judged = GopherRepetition::default().judge(&Doc::bare(&text)).to_string();
        assert_eq!(judged, "duplicate_lines 0.8182 (threshold 0.3)");
        check("max_top_2_gram = 0.1\nmax_repeated_5_grams = 0.1", &text, "top_2_gram 0.35 (threshold 0.1)");
    }

    /// The published rule, word for word: the most frequent n-gram's length and count.
    fn plain_top(words: &[&str], n: usize) -> usize {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for gram in words.windows(n).map(|gram| gram.join(" ")) {
            match counts.iter_mut().find(|(seen, _)| *seen == gram) {
                Some((_, count)) => *count += 1,
                None => counts.push((gram, 1)),
            }
        }
        let top = counts.iter().rev().max_by_key(|(_, count)| *count);
        top.map_or(0, |(gram, count)| text::n_chars(gram) * count)
    }

    /// The published rule, word for word: the characters in repeated n-grams.
    fn plain_repeated(words: &[&str], n: usize) -> usize {
        let mut seen = Vec::new();
        let (mut at, mut n_chars) = (0, 0);
        while at + n <= words.len() {
            let gram = words[at..at + n].concat();
            if seen.contains(&gram) {
                n_chars += text::n_chars(&gram);
                at += n;
            } else {
                seen.push(gram);
                at += 1;
            }
        }
        n_chars
    }

    proptest! {
        #[test]
        fn the_fast_way_is_the_plain_way(words in prop::collection::vec("[ab]{1,3}|abcdefghij|[中文]", 0..80)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut grams = Grams::of_words(&words);
            for n in 2..=4.min(words.len()) {
                let top = grams.lengthen();
                let gram = words[top.first..top.first + n].join(" ");
                prop_assert_eq!(text::n_chars(&gram) * top.count, plain_top(&words, n), "top {}", n);
            }
            let run = Run::of(&words);
            for n in 5..=10 {
                prop_assert_eq!(run.n_repeated_chars(n), plain_repeated(&words, n), "repeated {}", n);
            }
        }
    }
}
