//! The quality rules of FineWeb, as datatrove has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duplicates::Duplicates;
use super::threshold::{EMPTY, Ruling, Threshold, verdict};
use super::words;
use crate::doc::Doc;
use crate::stage::{Filter, Need, Profile, Settings, Verdict};
use crate::text;
use crate::tokenize::Words;

/// The quality rules of FineWeb (Penedo et al. 2024, section 3.6), asked in the order of the settings.
///
/// The rules are those of datatrove 0.10's `FineWebQualityFilter`; only the words are our own unless `words` or a
/// `profile` says otherwise, as in `gopher_quality`. `false` switches a rule off. Lines end at line feeds, and lines of
/// white space are passed over.
///
/// A document of white space is dropped as `empty`, whatever is switched off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FinewebQuality {
    /// Published settings to begin with instead of the defaults, each of which can be set beside it: `datatrove-0.10`; `fineweb-2024`
    /// (datatrove 0.2, with datatrove 0.10's words); `fineweb-2/cmn_Hani` and `fineweb-2/yue_Hani` (FineWeb-2's files of
    /// these names).
    pub profile: Option<String>,
    /// What words are. The published rules have those of the `language`.
    pub words: Words,
    /// The language of all documents, for `words = "language"`: a code like `en` or `zh`. By default each document's
    /// column `language` says.
    pub language: Option<String>,
    /// The least share of lines that end with a mark that ends sentences. A closing quote is none, and neither is
    /// a space. FineWeb, 3.6: 0.12.
    pub min_punctuated_lines: Threshold,
    /// The marks that end sentences. Empty, as by default: the 159 of datatrove 0.10, of all scripts. datatrove 0.2 has
    /// `.`, `'`, `"`, `!` and `?`.
    pub sentence_ends: String,
    /// Whether blank lines are lines to the first two rules. datatrove 0.2: yes, 0.10: no.
    pub blank_lines: bool,
    /// Whether a document without any such line passes. datatrove: no.
    pub pass_unpunctuated: bool,
    /// The greatest share of short lines. FineWeb, 3.6: 0.67.
    pub max_short_lines: Threshold,
    /// The most characters of a short line. FineWeb, 3.6: 30.
    pub short_line_length: usize,
    /// The greatest share of characters in lines that repeat an earlier one. datatrove: 0.01; FineWeb, 3.6, says 0.1.
    pub max_duplicate_characters: Threshold,
    /// The most line feeds per word. datatrove: 0.3.
    pub max_line_feeds_per_word: Threshold,
}

impl Default for FinewebQuality {
    fn default() -> Self {
        Self {
            profile: None,
            words: Words::Units,
            language: None,
            sentence_ends: String::new(),
            blank_lines: false,
            min_punctuated_lines: Threshold::at(0.12),
            pass_unpunctuated: false,
            max_short_lines: Threshold::at(0.67),
            short_line_length: 30,
            max_duplicate_characters: Threshold::at(0.01),
            max_line_feeds_per_word: Threshold::at(0.3),
        }
    }
}

impl Settings for FinewebQuality {
    const NAME: &'static str = "fineweb_quality";
    const ABOUT: &'static str = "drops documents by FineWeb's rules: line ends, short or repeated lines, lists";
    type Stage = Self;
    const PROFILES: &'static [Profile<Self>] = &[
        Profile { name: "datatrove-0.10", settings: Self::datatrove },
        Profile { name: "fineweb-2024", settings: Self::fineweb_2024 },
        Profile { name: "fineweb-2/cmn_Hani", settings: Self::fineweb_2_mandarin },
        Profile { name: "fineweb-2/yue_Hani", settings: Self::fineweb_2_cantonese },
    ];

    fn build(self) -> Result<Self, String> {
        words::check(self.words, self.language.as_deref(), self.profile.as_deref())?;
        Ok(self)
    }
}

impl FinewebQuality {
    fn datatrove() -> Self {
        Self { words: Words::Language, ..Self::default() }
    }

    fn fineweb_2024() -> Self {
        Self {
            language: Some("en".into()),
            sentence_ends: ".'\"!?".into(),
            blank_lines: true,
            // There what measures exactly the limit goes; here it stays, so that the limits are the next numbers.
            min_punctuated_lines: Threshold::at(0.12_f64.next_up()),
            max_short_lines: Threshold::at(0.67_f64.next_down()),
            max_duplicate_characters: Threshold::at(0.01_f64.next_down()),
            ..Self::datatrove()
        }
    }

    fn fineweb_2_mandarin() -> Self {
        Self::fineweb_2("zh", 0.106, 0.178)
    }

    fn fineweb_2_cantonese() -> Self {
        Self::fineweb_2("yue", 0.111, 0.238)
    }

    /// What FineWeb-2's pipeline sets, and what its file of a language does.
    fn fineweb_2(language: &str, punctuated_lines: f64, line_feeds: f64) -> Self {
        Self {
            words: Words::Language,
            language: Some(language.to_owned()),
            min_punctuated_lines: Threshold::at(punctuated_lines),
            max_short_lines: Threshold::OFF,
            max_duplicate_characters: Threshold::at(0.1),
            max_line_feeds_per_word: Threshold::at(line_feeds),
            ..Self::default()
        }
    }

    fn ends_sentence(&self, line: &str) -> bool {
        if self.sentence_ends.is_empty() {
            line.ends_with(text::is_terminal)
        } else {
            line.ends_with(|c| self.sentence_ends.contains(c))
        }
    }

    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        let is_blank = |line: &&str| line.chars().all(text::is_space);
        let all: Vec<&str> = doc.text().split('\n').collect();
        let written: Vec<&str> = all.iter().copied().filter(|line| !is_blank(line)).collect();
        if written.is_empty() {
            return EMPTY;
        }
        let lines = if self.blank_lines { &all } else { &written };
        let share = |n: usize| n as f64 / lines.len() as f64;

        let n_punctuated = lines.iter().filter(|line| self.ends_sentence(line)).count();
        if n_punctuated > 0 || !self.pass_unpunctuated {
            self.min_punctuated_lines.at_least("too_few_punctuated_lines", share(n_punctuated))?;
        }

        let n_short = lines.iter().filter(|line| text::n_chars(line) <= self.short_line_length).count();
        self.max_short_lines.at_most("too_many_short_lines", share(n_short))?;

        let n_line_feeds = memchr::memchr_iter(b'\n', doc.text().as_bytes()).count();
        if self.max_duplicate_characters.is_on() {
            let n_duplicate = Duplicates::among(written.into_iter()).n_chars;
            let duplicate = n_duplicate as f64 / (doc.n_chars() - n_line_feeds) as f64;
            self.max_duplicate_characters.at_most("duplicate_line_characters", duplicate)?;
        }

        let rule = |n_words: usize| {
            self.max_line_feeds_per_word.at_most("too_many_line_feeds", n_line_feeds as f64 / n_words as f64)
        };
        if let Some(max) = self.max_line_feeds_per_word.get() {
            let tokenizer = words::tokenizer(self.words, self.language.as_deref(), doc);
            // Most texts have many more words than are asked for, and to see that needs no dictionary.
            let enough = (n_line_feeds as f64 / max).ceil() as usize;
            let known = doc.known_words(tokenizer).is_some();
            if known || rule(tokenizer.n_words_at_least(doc.text(), enough)).is_break() {
                return rule(doc.words_by(tokenizer).len());
            }
        }
        Ruling::Continue(())
    }
}

impl Filter for FinewebQuality {
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

const REASONS: &[&str] =
    &["empty", "too_few_punctuated_lines", "too_many_short_lines", "duplicate_line_characters", "too_many_line_feeds"];

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const OFF: FinewebQuality = FinewebQuality {
        profile: None,
        words: Words::Units,
        language: None,
        sentence_ends: String::new(),
        blank_lines: false,
        min_punctuated_lines: Threshold::OFF,
        pass_unpunctuated: false,
        max_short_lines: Threshold::OFF,
        short_line_length: 3,
        max_duplicate_characters: Threshold::OFF,
        max_line_feeds_per_word: Threshold::OFF,
    };

    #[track_caller]
    fn check(filter: &FinewebQuality, text: &str, expected: &str) {
        assert_eq!(filter.judge(&Doc::bare(text)).to_string(), expected, "{text:?}");
    }

    /// Each reason beside the one datatrove gives.
    pub(in crate::filter) const PUBLISHED: &[(&str, &str)] = &[
        ("empty", "empty"),
        ("too_few_punctuated_lines", "line_punct_ratio"),
        ("too_many_short_lines", "short_line_ratio"),
        ("duplicate_line_characters", "char_dup_ratio"),
        ("too_many_line_feeds", "list_ratio"),
    ];

    #[test]
    fn every_reason_has_a_published_name() {
        assert!(PUBLISHED.iter().map(|(reason, _)| reason).eq(REASONS));
    }

    #[test]
    fn a_text_of_white_space_is_empty() {
        check(&OFF, "", "empty 0 (threshold 1)");
        check(&OFF, " \n\u{3000}\n", "empty 0 (threshold 1)");
    }

    #[test]
    fn half_of_the_lines_must_end_a_sentence() {
        let filter = FinewebQuality { min_punctuated_lines: Threshold::at(0.5), ..OFF };
        check(&filter, "One.\n\ntwo", "keep");
        check(&filter, "他来了。\n他走了", "keep");
        check(&filter, "One.\ntwo\nthree", "too_few_punctuated_lines 0.3333 (threshold 0.5)");
    }

    #[test]
    fn quotes_spaces_and_ellipses_end_no_sentence() {
        let filter = FinewebQuality { min_punctuated_lines: Threshold::at(0.5), ..OFF };
        for line in ["One. ", "One.\"", "One.\r", "One…", "一；"] {
            check(&filter, line, "too_few_punctuated_lines 0 (threshold 0.5)");
        }
    }

    #[test]
    fn a_text_without_any_mark_can_be_let_pass() {
        let filter = FinewebQuality { min_punctuated_lines: Threshold::at(0.5), pass_unpunctuated: true, ..OFF };
        check(&filter, "one\ntwo", "keep");
        check(&filter, "one.\ntwo\nthree", "too_few_punctuated_lines 0.3333 (threshold 0.5)");
    }

    #[test]
    fn short_lines_are_counted_in_characters() {
        let filter = FinewebQuality { max_short_lines: Threshold::at(0.5), ..OFF };
        check(&filter, "été\nfour", "keep");
        check(&filter, "été\n中文字\nfour", "too_many_short_lines 0.6667 (threshold 0.5)");
        check(&filter, "a\n\n\nfour", "keep");
    }

    #[test]
    fn duplicate_characters_are_a_share_of_all_but_line_feeds() {
        let filter = FinewebQuality { max_duplicate_characters: Threshold::at(0.25), ..OFF };
        check(&filter, "é\né\n\nab", "keep");
        check(&filter, "é\né\n\na", "duplicate_line_characters 0.3333 (threshold 0.25)");
    }

    #[test]
    fn line_feeds_are_counted_blank_lines_and_all() {
        let filter = FinewebQuality { max_line_feeds_per_word: Threshold::at(0.5), ..OFF };
        check(&filter, "a b\nc d\n", "keep");
        check(&filter, "a b\n\n\nc d", "too_many_line_feeds 0.75 (threshold 0.5)");
    }

    #[test]
    fn rules_are_asked_in_their_order() {
        check(&FinewebQuality::default(), "a\na\na", "too_few_punctuated_lines 0 (threshold 0.12)");
        check(&FinewebQuality::default(), "a.\na.\na.", "too_many_short_lines 1 (threshold 0.67)");
        let text = format!("{0}\n{0}", "A sentence that is well over the length of a short line.");
        check(&FinewebQuality::default(), &text, "duplicate_line_characters 0.5 (threshold 0.01)");
    }
}
