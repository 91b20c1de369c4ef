//! The repetition rules of Gopher, as datatrove has them.

use std::cell::RefCell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duplicates::{Duplicates, pieces};
use super::n_grams::{Run, TopGrams};
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
/// the words and words are shorter, so Chinese needs looser limits: those of
/// a profile, for its words, or those of `pipelines/web.toml`, for ours; at the defaults half of good Chinese text goes.
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
        self.rule_top_n_grams(doc.text(), words, n_chars)?;
        self.rule_repeated_n_grams(doc.text(), words, n_chars)
    }

    fn rule_pieces(&self, doc: &Doc<'_>, n_chars: f64) -> Ruling {
        let text = doc.text();
        if self.max_duplicate_paragraphs.is_on() || self.max_duplicate_paragraph_characters.is_on() {
            let paragraphs = Duplicates::among(pieces(text.trim_matches(text::is_space), "\n\n"));
            self.max_duplicate_paragraphs.at_most("duplicate_paragraphs", paragraphs.share())?;
            self.max_duplicate_paragraph_characters
                .at_most("duplicate_paragraph_characters", paragraphs.n_chars as f64 / n_chars)?;
        }
        let lines = if self.blank_lines {
            Duplicates::among(doc.lines().iter().copied())
        } else {
            Duplicates::among(pieces(text, "\n"))
        };
        self.max_duplicate_lines.at_most("duplicate_lines", lines.share())?;
        self.max_duplicate_line_characters.at_most("duplicate_line_characters", lines.n_chars as f64 / n_chars)
    }

    fn rule_top_n_grams<'d>(&self, text: &str, words: impl Fn() -> &'d [&'d str], n_chars: f64) -> Ruling {
        let rules = [
            (self.max_top_2_gram, "top_2_gram"),
            (self.max_top_3_gram, "top_3_gram"),
            (self.max_top_4_gram, "top_4_gram"),
        ];
        if !rules.iter().any(|(threshold, _)| threshold.is_on()) {
            return Ruling::Continue(());
        }
        let words = words();
        TOP_GRAMS.with_borrow_mut(|grams| {
            grams.take(text, words);
            let asked = (2..).zip(rules).filter(|(n, (threshold, _))| threshold.is_on() && words.len() >= *n);
            let ruling = asked
                .map(|(n, (threshold, code))| rule_share(threshold, code, n_chars, |pass| grams.n_chars(n, pass)))
                .find(Ruling::is_break);
            grams.shrink();
            ruling.unwrap_or(Ruling::Continue(()))
        })
    }

    fn rule_repeated_n_grams<'d>(&self, text: &str, words: impl Fn() -> &'d [&'d str], n_chars: f64) -> Ruling {
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
        RUN.with_borrow_mut(|run| {
            run.take(text, words());
            let asked = (Run::MIN_WORDS..).zip(rules).filter(|(_, (threshold, _))| threshold.is_on());
            let ruling = asked
                .map(|(n, (threshold, code))| {
                    rule_share(threshold, code, n_chars, |pass| run.n_repeated_chars(n, pass))
                })
                .find(Ruling::is_break);
            run.shrink();
            ruling.unwrap_or(Ruling::Continue(()))
        })
    }
}

thread_local! {
    /// Room for what is counted, which every document needs again.
    static TOP_GRAMS: RefCell<TopGrams> = RefCell::default();
    static RUN: RefCell<Run> = RefCell::default();
}

/// Holds unless more characters than `threshold` allows are found by `count`, which has no answer if it is sure that the
/// number passes.
fn rule_share(
    threshold: Threshold,
    code: &'static str,
    n_chars: f64,
    count: impl FnOnce(&dyn Fn(usize) -> bool) -> Option<usize>,
) -> Ruling {
    let rule = |found: usize| threshold.at_most(code, found as f64 / n_chars);
    count(&|found| rule(found).is_continue()).map_or(Ruling::Continue(()), rule)
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

#[cfg(test)]
pub(super) mod tests {
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
}
