//! The quality rules of Gopher, as datatrove has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::symbol_ratio::SymbolRatio;
use super::threshold::{EMPTY, Ruling, Threshold, check_order, verdict};
use super::words;
use crate::doc::Doc;
use crate::stage::{Filter, Need, Profile, Settings, Verdict};
use crate::text;
use crate::tokenize::Words;

/// The quality rules of Gopher (Rae et al. 2021, A1.1), asked in the order of the settings.
///
/// The rules are those of datatrove 0.10's `GopherQualityFilter`; only the words are our own unless `words` or a
/// `profile` says otherwise: runs of letters and digits, single Chinese or Japanese characters, runs of one punctuation
/// mark. `false` switches a rule off.
///
/// Word lengths and stop words are those of English: for a text without spaces set `min_mean_word_length` to
/// `false` or 1 and give `stop_words` of one character each, or take a profile of its language.
///
/// A document without words is dropped as `empty`, whatever is switched off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GopherQuality {
    /// Published settings to begin with instead of the defaults, each of which can be set beside it: `datatrove-0.10`; `fineweb-2024`
    /// (datatrove 0.2, of whose word tokenizer, NLTK's, we have datatrove 0.10's instead); `fineweb-2/cmn_Hani` and
    /// `fineweb-2/yue_Hani` (FineWeb-2's files of these names); `massivetext` (words between spaces).
    pub profile: Option<String>,
    /// What words are. The published rules have those of the `language`.
    pub words: Words,
    /// The language of all documents, for `words = "language"`: a code like `en` or `zh`. By default each document's
    /// column `language` says.
    pub language: Option<String>,
    /// The fewest words; one made of punctuation only does not count. Gopher, A1.1: 50.
    pub min_words: Threshold,
    /// The most words; one made of punctuation only does not count. Gopher, A1.1: 100,000.
    pub max_words: Threshold,
    /// The least mean number of characters of the words just counted. Gopher, A1.1: 3.
    pub min_mean_word_length: Threshold,
    /// The greatest mean number of characters of the words just counted. Gopher, A1.1: 10.
    pub max_mean_word_length: Threshold,
    /// The most `#` per word, punctuation included from here on. Gopher, A1.1: 0.1.
    pub max_hashes: Threshold,
    /// The most ellipses (`...` or `…`) per word. Gopher, A1.1: 0.1.
    pub max_ellipses: Threshold,
    /// The greatest share of lines that begin with `•` or `-`. Gopher, A1.1: 0.9.
    pub max_bullet_lines: Threshold,
    /// The greatest share of lines that end with an ellipsis. Gopher, A1.1: 0.3.
    pub max_ellipsis_lines: Threshold,
    /// The least share of words with a letter in them. Gopher, A1.1: 0.8.
    pub min_alphabetic_words: Threshold,
    /// How many different stop words there must be. Gopher, A1.1: 2.
    pub min_stop_words: Threshold,
    /// Whether a stop word counts as often as it stands there, and not once. Gopher: not said; datatrove 0.2: yes, 0.10:
    /// no.
    pub stop_words_repeat: bool,
    /// The stop words, which a text has in just this case: `The` is not `the`. Gopher, A1.1.
    pub stop_words: Vec<String>,
}

impl Default for GopherQuality {
    fn default() -> Self {
        Self {
            profile: None,
            words: Words::Units,
            language: None,
            min_words: Threshold::at(50.0),
            max_words: Threshold::at(100_000.0),
            min_mean_word_length: Threshold::at(3.0),
            max_mean_word_length: Threshold::at(10.0),
            max_hashes: Threshold::at(0.1),
            max_ellipses: Threshold::at(0.1),
            max_bullet_lines: Threshold::at(0.9),
            max_ellipsis_lines: Threshold::at(0.3),
            min_alphabetic_words: Threshold::at(0.8),
            min_stop_words: Threshold::at(2.0),
            stop_words_repeat: false,
            stop_words: ["the", "be", "to", "of", "and", "that", "have", "with"].map(String::from).to_vec(),
        }
    }
}

impl Settings for GopherQuality {
    const NAME: &'static str = "gopher_quality";
    const ABOUT: &'static str = "drops documents by Gopher's quality rules: word lengths, symbols, stop words";
    type Stage = Self;
    const PROFILES: &'static [Profile<Self>] = &[
        Profile { name: "datatrove-0.10", settings: Self::datatrove },
        Profile { name: "fineweb-2024", settings: Self::fineweb_2024 },
        Profile { name: "fineweb-2/cmn_Hani", settings: Self::fineweb_2_mandarin },
        Profile { name: "fineweb-2/yue_Hani", settings: Self::fineweb_2_cantonese },
        Profile { name: "massivetext", settings: Self::massivetext },
    ];

    fn build(mut self) -> Result<Self, String> {
        words::check(self.words, self.language.as_deref(), self.profile.as_deref())?;
        check_order(("min_words", self.min_words), ("max_words", self.max_words))?;
        check_order(
            ("min_mean_word_length", self.min_mean_word_length),
            ("max_mean_word_length", self.max_mean_word_length),
        )?;
        self.stop_words.sort_unstable();
        self.stop_words.dedup();
        if let Some(min) = self.min_stop_words.get()
            && min > self.stop_words.len() as f64
        {
            return Err(format!(
                "`min_stop_words` ({min}) is above the {} different `stop_words`",
                self.stop_words.len()
            ));
        }
        Ok(self)
    }
}

impl GopherQuality {
    fn datatrove() -> Self {
        Self { words: Words::Language, ..Self::default() }
    }

    fn fineweb_2024() -> Self {
        Self { stop_words_repeat: true, language: Some("en".into()), ..Self::datatrove() }
    }

    fn fineweb_2_mandarin() -> Self {
        let stop_words = "的 年 在 月 是 和 日 了 於 · 為 有 被 人 中 为 他 與 後 也 而 由";
        Self::fineweb_2("zh", 0.735, stop_words)
    }

    fn fineweb_2_cantonese() -> Self {
        let stop_words =
            "嘅 係 年 喺 有 佢 月 個 咗 香港 一 同 呢 人 唔 都 到 號 國 啲 後 就 會 市 鎮 而 嚟 可以 由 嗰 做 為";
        Self::fineweb_2("yue", 0.765, stop_words)
    }

    /// What FineWeb-2's pipeline sets, and what its file of a language does.
    fn fineweb_2(language: &str, min_alphabetic_words: f64, stop_words: &str) -> Self {
        Self {
            words: Words::Language,
            language: Some(language.to_owned()),
            min_mean_word_length: Threshold::at(1.0),
            max_mean_word_length: Threshold::at(5.0),
            min_alphabetic_words: Threshold::at(min_alphabetic_words),
            stop_words: stop_words.split(' ').map(String::from).collect(),
            ..Self::default()
        }
    }

    fn massivetext() -> Self {
        Self { words: Words::Spaces, ..Self::default() }
    }

    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        let words = doc.words_by(words::tokenizer(self.words, self.language.as_deref(), doc));
        if words.is_empty() {
            return EMPTY;
        }
        self.rule_lengths(doc, words)?;
        SymbolRatio { max_hashes: self.max_hashes, max_ellipses: self.max_ellipses }.rule(doc.text(), words)?;
        self.rule_lines(doc.lines())?;
        self.rule_words(words)
    }

    fn rule_lengths(&self, doc: &Doc<'_>, words: &[&str]) -> Ruling {
        let is_ascii = doc.n_chars() == doc.text().len();
        let mut n_words = 0;
        let mut n_chars = 0;
        for word in words {
            let is_word = !is_symbol(word);
            n_words += u32::from(is_word);
            n_chars += if is_word { n_chars_of(word, is_ascii) } else { 0 };
        }
        self.min_words.at_least("too_few_words", f64::from(n_words))?;
        self.max_words.at_most("too_many_words", f64::from(n_words))?;
        // Not a number where every word is a symbol, and then these two rules hold.
        let mean = n_chars as f64 / f64::from(n_words);
        self.min_mean_word_length.at_least("words_too_short", mean)?;
        self.max_mean_word_length.at_most("words_too_long", mean)
    }

    fn rule_lines(&self, lines: &[&str]) -> Ruling {
        let share = |is: fn(&str) -> bool| lines.iter().filter(|line| is(line)).count() as f64 / lines.len() as f64;
        self.max_bullet_lines.at_most("too_many_bullet_lines", share(is_bullet_line))?;
        self.max_ellipsis_lines.at_most("too_many_ellipsis_lines", share(is_ellipsis_line))
    }

    fn rule_words(&self, words: &[&str]) -> Ruling {
        let n_alphabetic = words.iter().filter(|word| is_alphabetic(word)).count();
        self.min_alphabetic_words.at_least("too_few_alphabetic_words", n_alphabetic as f64 / words.len() as f64)?;
        self.min_stop_words.at_least("too_few_stop_words", self.n_stop_words(words))
    }

    /// The number of stop words among `words`, or the limit as soon as there are as many.
    fn n_stop_words(&self, words: &[&str]) -> f64 {
        let enough = self.min_stop_words.get().unwrap_or(0.0);
        let is_new = |found: &mut bool| !std::mem::replace(found, true) || self.stop_words_repeat;
        // Of most words the first byte says that they are none.
        let mut begins = [false; 256];
        let first_byte = |word: &str| word.as_bytes().first().map_or(0, |&byte| usize::from(byte));
        self.stop_words.iter().for_each(|word| begins[first_byte(word)] = true);
        let mut found = vec![false; self.stop_words.len()];
        let mut n_found = 0.0;
        for word in words {
            if n_found >= enough {
                break;
            }
            if begins[first_byte(word)]
                && let Some(at) = self.stop_words.iter().position(|stop_word| stop_word == word)
                && is_new(&mut found[at])
            {
                n_found += 1.0;
            }
        }
        n_found
    }
}

impl Filter for GopherQuality {
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
    "too_few_words",
    "too_many_words",
    "words_too_short",
    "words_too_long",
    "too_many_hashes",
    "too_many_ellipses",
    "too_many_bullet_lines",
    "too_many_ellipsis_lines",
    "too_few_alphabetic_words",
    "too_few_stop_words",
];

/// Whether the word is made of punctuation only.
fn is_symbol(word: &str) -> bool {
    // The first character settles it for most words.
    !begins_with_letter(word) && word.chars().all(|c| text::is_punctuation(c) || text::is_terminal(c))
}

/// Whether the word has a letter in it.
fn is_alphabetic(word: &str) -> bool {
    begins_with_letter(word) || word.chars().any(text::is_alpha)
}

/// Whether the word is seen at a glance to begin with a letter: of ASCII, or an ideograph from U+4E00 to U+9FFF.
fn begins_with_letter(word: &str) -> bool {
    matches!(word.as_bytes(), [b'a'..=b'z' | b'A'..=b'Z' | 0xe5..=0xe9, ..] | [0xe4, 0xb8..=0xbf, ..])
}

/// The characters of a word of a text that is ASCII or not.
fn n_chars_of(word: &str, is_ascii: bool) -> usize {
    match word.as_bytes() {
        bytes if is_ascii => bytes.len(),
        // Most words of Chinese are ideographs, one or two.
        [0xe0..=0xef, _, _] => 1,
        [0xe0..=0xef, _, _, 0xe0..=0xef, _, _] => 2,
        bytes => bytes.iter().filter(|&&byte| text::begins_char(byte)).count(),
    }
}

fn is_bullet_line(line: &str) -> bool {
    line.trim_start_matches(text::is_space).starts_with(['•', '-'])
}

fn is_ellipsis_line(line: &str) -> bool {
    let line = line.trim_end_matches(text::is_space);
    line.ends_with("...") || line.ends_with('…')
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::filter::tests::judged_by;

    /// Judges a text with all rules off but those that `toml` sets.
    #[track_caller]
    fn check(toml: &str, text: &str, expected: &str) {
        assert_eq!(judged_by::<GopherQuality>(toml, text), expected, "{text:?}");
    }

    /// Each reason beside the one datatrove gives.
    pub(in crate::filter) const PUBLISHED: &[(&str, &str)] = &[
        ("empty", "gopher_short_doc"),
        ("too_few_words", "gopher_short_doc"),
        ("too_many_words", "gopher_long_doc"),
        ("words_too_short", "gopher_below_avg_threshold"),
        ("words_too_long", "gopher_above_avg_threshold"),
        ("too_many_hashes", "gopher_too_many_hashes"),
        ("too_many_ellipses", "gopher_too_many_ellipsis"),
        ("too_many_bullet_lines", "gopher_too_many_bullets"),
        ("too_many_ellipsis_lines", "gopher_too_many_end_ellipsis"),
        ("too_few_alphabetic_words", "gopher_below_alpha_threshold"),
        ("too_few_stop_words", "gopher_enough_stop_words"),
    ];

    #[test]
    fn every_reason_has_a_published_name() {
        assert!(PUBLISHED.iter().map(|(reason, _)| reason).eq(REASONS));
    }

    #[test]
    fn a_text_without_words_is_empty() {
        check("", "", "empty 0 (threshold 1)");
        check("", " \n", "empty 0 (threshold 1)");
    }

    #[test]
    fn symbols_are_not_counted_as_words() {
        check("min_words = 3", "one, two, three", "keep");
        check("min_words = 3", "one, two...", "too_few_words 2 (threshold 3)");
        check("max_words = 2", "one, two, 。", "keep");
        check("max_words = 2", "one, two, three", "too_many_words 3 (threshold 2)");
        // The full-width digit one is in the published set, the raised dot is not.
        check("min_words = 1", "１", "too_few_words 0 (threshold 1)");
        check("min_words = 1", "·", "keep");
    }

    #[test]
    fn the_mean_length_is_that_of_words_in_characters() {
        check("min_mean_word_length = 3", "été . . . .", "keep");
        check("min_mean_word_length = 3", "abc ab", "words_too_short 2.5 (threshold 3)");
        check("max_mean_word_length = 3", "été", "keep");
        check("max_mean_word_length = 3", "abc abcd", "words_too_long 3.5 (threshold 3)");
        check("min_mean_word_length = 3", "...", "keep");
    }

    #[test]
    fn chinese_needs_other_settings_than_english() {
        let text = "中文的句子。".repeat(20);
        let judged = GopherQuality::default().judge(&Doc::bare(&text)).to_string();
        assert_eq!(judged, "words_too_short 1 (threshold 3)");
        check("min_stop_words = 2\nstop_words = ['的', '中']", &text, "keep");
    }

    #[test]
    fn symbols_are_held_against_all_words() {
        check("max_hashes = 0.25", "# a , b", "keep");
        check("max_hashes = 0.25", "# a b", "too_many_hashes 0.3333 (threshold 0.25)");
        check("max_ellipses = 0.25", "a, b...", "keep");
        check("max_ellipses = 0.25", "a b…", "too_many_ellipses 0.3333 (threshold 0.25)");
    }

    #[test]
    fn blank_lines_count_as_lines() {
        check("max_bullet_lines = 0.5", "- a\n\n\u{3000}• b\nc", "keep");
        check("max_bullet_lines = 0.5", "- a\n• b\nc", "too_many_bullet_lines 0.6667 (threshold 0.5)");
        check("max_ellipsis_lines = 0.5", "a... \n\nb…\nc", "keep");
        check("max_ellipsis_lines = 0.5", "a... \r\nb…\u{85}c", "too_many_ellipsis_lines 0.6667 (threshold 0.5)");
    }

    #[test]
    fn a_star_is_no_bullet() {
        check("max_bullet_lines = 0.5", "* a\n* b", "keep");
    }

    #[test]
    fn one_letter_makes_a_word_alphabetic() {
        check("min_alphabetic_words = 0.5", "a1 2", "keep");
        check("min_alphabetic_words = 0.5", "a1 2 .", "too_few_alphabetic_words 0.3333 (threshold 0.5)");
        check("min_alphabetic_words = 0.5", "字 2", "keep");
    }

    #[test]
    fn stop_words_are_distinct_and_in_their_case() {
        check("min_stop_words = 2", "the end of", "keep");
        check("min_stop_words = 2", "the the the", "too_few_stop_words 1 (threshold 2)");
        check("min_stop_words = 2", "The end of", "too_few_stop_words 1 (threshold 2)");
    }

    #[test]
    fn rules_are_asked_in_their_order() {
        check("max_words = 1\nmax_hashes = 0.1", "# a b", "too_many_words 2 (threshold 1)");
        check("max_hashes = 0.1\nmin_stop_words = 1", "# a b", "too_many_hashes 0.3333 (threshold 0.1)");
    }

    #[test]
    fn settings_must_fit_together() {
        let error = |settings: GopherQuality| settings.build().expect_err("they do not fit");
        let few = GopherQuality { stop_words: vec!["a".into(), "a".into()], ..Default::default() };
        assert_eq!(error(few), "`min_stop_words` (2) is above the 1 different `stop_words`");
        let crossed = GopherQuality { max_words: Threshold::at(1.0), ..Default::default() };
        assert_eq!(error(crossed), "`min_words` (50) is above `max_words` (1)");
    }
}
