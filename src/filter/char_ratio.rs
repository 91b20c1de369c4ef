//! Drops documents made too much of one class of characters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::char_counts::CharCounts;
use super::threshold::{Ruling, Threshold, verdict};
use crate::doc::Doc;
use crate::stage::{Filter, Settings, Verdict};

/// Drops documents made too much of one class of characters: tables, listings, text that was decoded wrongly.
///
/// Shares are of the characters that are not white space, so that layout weighs nothing; a document without
/// any is kept. The limits are this project's own, chosen by judgement and not tuned on a corpus: look at
/// what they reject before a great run. `false` switches a rule off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CharRatio {
    /// The greatest share of U+FFFD, which stands where decoding failed. Default 0.005: one in a sentence or two,
    /// when hardly any word of more than ASCII has survived.
    pub max_replacement: Threshold,
    /// The greatest share of private-use characters, which PDF fonts leave behind. Default 0.005, as above.
    pub max_private_use: Threshold,
    /// The greatest share of decimal digits of any script. Default 0.25: price lists and tables have more.
    pub max_digits: Threshold,
    /// The greatest share of the published punctuation marks. Default 0.25: one for every three other characters.
    pub max_punctuation: Threshold,
    /// The greatest share of anything but letters and their marks. Default 0.4: digits, punctuation and symbols may
    /// each pass and together be too many.
    pub max_non_letters: Threshold,
    /// The greatest share of upper-case letters. Default 0.4: shouting and code lists; scripts without case have none.
    pub max_upper: Threshold,
}

impl Default for CharRatio {
    fn default() -> Self {
        Self {
            max_replacement: Threshold::at(0.005),
            max_private_use: Threshold::at(0.005),
            max_digits: Threshold::at(0.25),
            max_punctuation: Threshold::at(0.25),
            max_non_letters: Threshold::at(0.4),
            max_upper: Threshold::at(0.4),
        }
    }
}

impl Settings for CharRatio {
    const NAME: &'static str = "char_ratio";
    const ABOUT: &'static str = "drops documents with many digits, marks, capitals or undecodable characters";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl CharRatio {
    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        let n = CharCounts::of(doc.text());
        // Not a number where there is nothing but white space, and then every rule holds.
        let share = |part: usize| part as f64 / n.visible as f64;
        self.max_replacement.at_most("too_many_replacement_characters", share(n.replacement))?;
        self.max_private_use.at_most("too_many_private_use_characters", share(n.private_use))?;
        self.max_digits.at_most("too_many_digits", share(n.digits))?;
        self.max_punctuation.at_most("too_much_punctuation", share(n.punctuation))?;
        self.max_non_letters.at_most("too_many_non_letters", share(n.visible - n.letters - n.marks))?;
        self.max_upper.at_most("too_many_capitals", share(n.upper))
    }
}

impl Filter for CharRatio {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        verdict(self.rule(doc))
    }

    fn reasons(&self) -> &'static [&'static str] {
        &[
            "too_many_replacement_characters",
            "too_many_private_use_characters",
            "too_many_digits",
            "too_much_punctuation",
            "too_many_non_letters",
            "too_many_capitals",
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(CharRatio::default().judge(&Doc::bare(text)).to_string(), expected, "{text:?}");
    }

    #[test]
    fn prose_of_any_script_is_kept() {
        check("Plain words, and some 25 more.", "keep");
        check("他说了很久，说得很好，我们在2024年走了。", "keep");
        check("हिन्दी में लिखा हुआ वाक्य।", "keep");
        check("ᏂᎦᏓ ᎠᏂᏴᏫ ᏂᎨᎫᏓᎸᎾ ᎠᎴ ᎤᏂᏠᏱ", "keep");
        check("", "keep");
        check(" \n", "keep");
    }

    #[test]
    fn a_limit_itself_is_kept() {
        check("abc1", "keep");
        check("ab1", "too_many_digits 0.3333 (threshold 0.25)");
        check("abc ,", "keep");
        check("ab ,", "too_much_punctuation 0.3333 (threshold 0.25)");
        check("AAbcd", "keep");
        check("AAbc", "too_many_capitals 0.5 (threshold 0.4)");
    }

    #[test]
    fn digits_of_every_script_count() {
        check("क १ २", "too_many_digits 0.6667 (threshold 0.25)");
        check("字３", "too_many_digits 0.5 (threshold 0.25)");
    }

    #[test]
    fn symbols_add_up_to_non_letters() {
        check("abc 1 →", "keep");
        check("abcdef 12 , →", "keep");
        check("abc →→→", "too_many_non_letters 0.5 (threshold 0.4)");
    }

    #[test]
    fn what_could_not_be_decoded_is_dropped() {
        let text = |bad: char| "letters ".repeat(20) + &bad.to_string();
        check(&text('\u{fffd}'), "too_many_replacement_characters 0.0071 (threshold 0.005)");
        check(&text('\u{f020}'), "too_many_private_use_characters 0.0071 (threshold 0.005)");
        check(&("letters ".repeat(30) + "\u{fffd}"), "keep");
    }
}
