//! Drops documents in which hashes or ellipses stand for many of the words.

use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::threshold::{Ruling, Threshold, verdict};
use crate::doc::Doc;
use crate::stage::{Filter, Settings, Verdict};

/// Drops documents in which hashes or ellipses stand for many of the words.
///
/// Hashes come with tag clouds and broken mark-up, ellipses with lists of teasers. A document without words is kept.
/// `false` switches a rule off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SymbolRatio {
    /// The most `#` per word. Rae et al. 2021 (Gopher), A1.1: 0.1.
    pub max_hashes: Threshold,
    /// The most ellipses (`...` or `…`) per word. Rae et al. 2021 (Gopher), A1.1: 0.1.
    pub max_ellipses: Threshold,
}

impl Default for SymbolRatio {
    fn default() -> Self {
        Self { max_hashes: Threshold::at(0.1), max_ellipses: Threshold::at(0.1) }
    }
}

impl Settings for SymbolRatio {
    const NAME: &'static str = "symbol_ratio";
    const ABOUT: &'static str = "drops documents of many hashes or ellipses per word";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl SymbolRatio {
    /// Asks both rules of a text and its words, hashes first.
    pub(super) fn rule(&self, text: &str, words: &[&str]) -> Ruling {
        let n_words = words.len() as f64;
        self.max_hashes.at_most("too_many_hashes", n_hashes(text) as f64 / n_words)?;
        self.max_ellipses.at_most("too_many_ellipses", n_ellipses(text) as f64 / n_words)
    }
}

impl Filter for SymbolRatio {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        verdict(self.rule(doc.text(), doc.words()))
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_many_hashes", "too_many_ellipses"]
    }
}

fn n_hashes(text: &str) -> usize {
    memchr::memchr_iter(b'#', text.as_bytes()).count()
}

/// `...` that do not overlap, and `…`.
fn n_ellipses(text: &str) -> usize {
    memmem::find_iter(text.as_bytes(), "...").count() + memmem::find_iter(text.as_bytes(), "…").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(SymbolRatio::default().judge(&Doc::bare(text)).to_string(), expected);
    }

    #[test]
    fn prose_is_kept() {
        check("Plain words, and a mark # in ten of them.", "keep");
        check("", "keep");
    }

    #[test]
    fn hashes_are_dropped_above_a_tenth() {
        check("one two three four five six seven eight nine #", "keep");
        check("one two three four five six seven eight #", "too_many_hashes 0.1111 (threshold 0.1)");
        check("###### one two", "too_many_hashes 2 (threshold 0.1)");
    }

    #[test]
    fn both_kinds_of_ellipsis_count() {
        check("one two three four five six seven eight nine…", "keep");
        check("one two three four five six seven eight …", "too_many_ellipses 0.1111 (threshold 0.1)");
        check("one... two…", "too_many_ellipses 0.5 (threshold 0.1)");
    }

    #[test]
    fn ellipses_do_not_overlap() {
        // Five full stops are one unit and one ellipsis, six are two.
        check("a b c d e f g h i .....", "keep");
        check("a b c d e f g h i ......", "too_many_ellipses 0.2 (threshold 0.1)");
    }
}
