//! Drops documents with too few paragraphs, by the rule of mC4.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::Doc;
use crate::stage::{Filter, Settings, Verdict};
use crate::text;

/// Drops documents that have fewer than `min_paragraphs` lines of `min_chars` characters or more.
///
/// The rule of mC4 (Xue et al. 2021, section 3.1): "at least three lines of text with 200 or more characters". Lines end
/// at line feeds and are counted with the blanks around them, as in datatrove 0.10's `C4ParagraphFilter`. An
/// ideograph is a character, and says more than a letter: for Chinese, 60 to 100 of them are about as much text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct C4Paragraphs {
    /// How many such lines a document must have. mC4: 3.
    pub min_paragraphs: usize,
    /// How many characters such a line has at least. mC4: 200.
    pub min_chars: usize,
}

impl Default for C4Paragraphs {
    fn default() -> Self {
        Self { min_paragraphs: 3, min_chars: 200 }
    }
}

impl Settings for C4Paragraphs {
    const NAME: &'static str = "c4_paragraphs";
    const ABOUT: &'static str = "drops documents with too few lines that are long";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        if self.min_paragraphs == 0 {
            return Err("`min_paragraphs` is 0, which drops nothing; leave the stage out".to_owned());
        }
        Ok(self)
    }
}

impl Filter for C4Paragraphs {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        // A character has one byte at least, so short lines need not be counted.
        let is_long = |line: &&str| line.len() >= self.min_chars && text::n_chars(line) >= self.min_chars;
        let n = doc.text().split('\n').filter(is_long).take(self.min_paragraphs).count();
        if n < self.min_paragraphs {
            return Verdict::drop("too_few_paragraphs", n as f64, self.min_paragraphs as f64);
        }
        Verdict::Keep
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_few_paragraphs"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: C4Paragraphs, text: &str, expected: &str) {
        let filter = rules.build().expect("the settings of a test are right");
        assert_eq!(filter.judge(&Doc::bare(text)).to_string(), expected);
    }

    #[test]
    fn three_long_lines_are_enough() {
        let (long, short) = ("x".repeat(200), "x".repeat(199));
        check(C4Paragraphs::default(), &[&*long; 3].join("\n"), "keep");
        check(C4Paragraphs::default(), &[&*long, &short, &long, "", &long].join("\n"), "keep");
        check(C4Paragraphs::default(), &[&*long, &short, &long].join("\n"), "too_few_paragraphs 2 (threshold 3)");
        check(C4Paragraphs::default(), &long.repeat(9), "too_few_paragraphs 1 (threshold 3)");
        check(C4Paragraphs::default(), "", "too_few_paragraphs 0 (threshold 3)");
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let rules = || C4Paragraphs { min_paragraphs: 1, min_chars: 4 };
        check(rules(), "风雨故人", "keep");
        check(rules(), "风雨故", "too_few_paragraphs 0 (threshold 1)");
    }

    #[test]
    fn only_line_feeds_end_lines() {
        check(C4Paragraphs { min_paragraphs: 1, min_chars: 4 }, "a\r\u{2028} ", "keep");
    }

    #[test]
    fn no_paragraph_is_refused() {
        assert!(C4Paragraphs { min_paragraphs: 0, min_chars: 1 }.build().is_err());
    }
}
