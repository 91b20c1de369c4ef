//! Keeps documents of a reasonable length in words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::Doc;
use crate::stage::{Filter, Settings, Verdict};

/// Keeps documents of `min` to `max` words.
///
/// A word is a run of letters and digits, one Chinese or Japanese character, or a run of one punctuation mark.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WordCount {
    /// The fewest words a document may have. Rae et al. 2021 (Gopher), A1.1: 50.
    pub min: usize,
    /// The most words a document may have. Rae et al. 2021 (Gopher), A1.1: 100,000.
    pub max: usize,
}

impl Default for WordCount {
    fn default() -> Self {
        Self { min: 50, max: 100_000 }
    }
}

impl Settings for WordCount {
    const NAME: &'static str = "word_count";
    const ABOUT: &'static str = "drops documents of too few or too many words";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        if self.min > self.max {
            return Err(format!("`min` ({}) is above `max` ({})", self.min, self.max));
        }
        Ok(self)
    }
}

impl Filter for WordCount {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        let n_words = doc.words().len();
        if n_words < self.min {
            Verdict::drop("too_few_words", n_words as f64, self.min as f64)
        } else if n_words > self.max {
            Verdict::drop("too_many_words", n_words as f64, self.max as f64)
        } else {
            Verdict::Keep
        }
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_few_words", "too_many_words"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let filter = WordCount { min: 2, max: 3 };
        assert_eq!(filter.judge(&Doc::bare(text)).to_string(), expected);
    }

    #[test]
    fn both_ends_are_kept() {
        check("two words", "keep");
        check("two words.", "keep");
    }

    #[test]
    fn outside_is_dropped() {
        check("one", "too_few_words 1 (threshold 2)");
        check("", "too_few_words 0 (threshold 2)");
        check("four words of it", "too_many_words 4 (threshold 3)");
    }

    #[test]
    fn each_chinese_character_is_a_word() {
        check("中文字", "keep");
        check("中文文字", "too_many_words 4 (threshold 3)");
    }
}
