//! Drops documents that were decoded wrongly and cannot be read.

use aho_corasick::AhoCorasick;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::char_counts::CharCounts;
use super::threshold::{Ruling, Threshold, verdict};
use crate::codepage;
use crate::doc::Doc;
use crate::stage::{Filter, Settings, Verdict};
use crate::text;

/// Drops documents that were decoded wrongly and cannot be read.
///
/// The normalizer `mojibake` repairs what can be repaired; this filter comes after it. Shares are of the characters
/// that are not white space. A single U+FFFD here and there is `char_ratio`'s to judge. `false` switches a rule off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Garbled {
    /// The greatest share of characters that stand in runs of two and more U+FFFD: text of another encoding that was
    /// decoded as UTF-8 is made of them. Default 0.01, our own guess: a garbled name or two in a page of prose.
    pub max_replacement: Threshold,
    /// The greatest share of characters that belong to one of the `phrases`. Default 0.01, as above.
    pub max_phrases: Threshold,
    /// What U+FFFD and memory that was never written become when they are read as GBK. Default: 锟斤拷, 烫烫烫 and 屯屯屯,
    /// and the byte order mark.
    pub phrases: Vec<String>,
    /// The greatest share of characters that look as if they had been read in the wrong code page: Chinese characters
    /// that UTF-8 becomes in GBK and that are rare otherwise, UTF-8 read as Latin-1, and runs of five and more
    /// accented letters, which no language has. Default 0.05, our own guess; see what it drops.
    pub max_mojibake: Threshold,
}

impl Default for Garbled {
    fn default() -> Self {
        let phrases = ["锟斤拷", "烫烫烫", "屯屯屯", "锘匡豢"];
        Self {
            max_replacement: Threshold::at(0.01),
            max_phrases: Threshold::at(0.01),
            phrases: phrases.map(String::from).to_vec(),
            max_mojibake: Threshold::at(0.05),
        }
    }
}

impl Settings for Garbled {
    const NAME: &'static str = "garbled";
    const ABOUT: &'static str = "drops what was decoded wrongly: runs of U+FFFD, 锟斤拷, wrong code pages";
    type Stage = GarbledFilter;

    fn build(self) -> Result<GarbledFilter, String> {
        if self.phrases.iter().any(String::is_empty) {
            return Err("an empty phrase in `phrases` would be everywhere".to_owned());
        }
        let phrases = AhoCorasick::new(&self.phrases).map_err(|error| format!("`phrases`: {error}"))?;
        Ok(GarbledFilter { rules: self, phrases })
    }
}

/// [`Garbled`], built.
pub struct GarbledFilter {
    rules: Garbled,
    phrases: AhoCorasick,
}

impl GarbledFilter {
    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        let text = doc.text();
        if text.is_ascii() {
            return Ruling::Continue(());
        }
        let n_visible = CharCounts::of(text).visible;
        let share = |part: usize| part as f64 / n_visible as f64;
        if self.rules.max_replacement.is_on() {
            self.rules.max_replacement.at_most("replacement_characters", share(n_replacement_in_runs(text)))?;
        }
        if self.rules.max_phrases.is_on() {
            let n_chars = self.phrases.find_iter(text).map(|phrase| text::n_chars(&text[phrase.range()])).sum();
            self.rules.max_phrases.at_most("kun_jin_kao", share(n_chars))?;
        }
        if self.rules.max_mojibake.is_on() {
            self.rules.max_mojibake.at_most("mojibake", share(codepage::n_garbled(text)).min(1.0))?;
        }
        Ruling::Continue(())
    }
}

impl Filter for GarbledFilter {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        verdict(self.rule(doc))
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["replacement_characters", "kun_jin_kao", "mojibake"]
    }
}

/// The number of U+FFFD that stand beside another one.
fn n_replacement_in_runs(text: &str) -> usize {
    let mut n = 0;
    let mut rest = text;
    while let Some(at) = rest.find(char::REPLACEMENT_CHARACTER) {
        let after = rest[at..].trim_start_matches(char::REPLACEMENT_CHARACTER);
        let len = (rest.len() - at - after.len()) / char::REPLACEMENT_CHARACTER.len_utf8();
        n += if len > 1 { len } else { 0 };
        rest = after;
    }
    n
}

#[cfg(test)]
mod tests {
    use encoding_rs::{GBK, WINDOWS_1252};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let filter = Garbled::default().build().expect("defaults are right");
        assert_eq!(filter.judge(&Doc::bare(text)).to_string(), expected, "{text:?}");
    }

    #[test]
    fn readable_text_is_kept() {
        check("", "keep");
        check("Plain words.", "keep");
        check("他说了很久，说得很好。銀行的鋼鐵鐘錶。", "keep");
        check("Où êtes-vous allé ? « À l’école », dit-elle.", "keep");
        check("Жизнь прекрасна. Öäüß ÅÄÖ.", "keep");
        check("水太烫烫烫人了，", "kun_jin_kao 0.375 (threshold 0.01)");
    }

    #[test]
    fn runs_of_replacement_characters_count() {
        let prose = "字".repeat(198);
        check(&(prose.clone() + "\u{fffd}\u{fffd}"), "keep");
        check(&(prose.clone() + "\u{fffd}\u{fffd}\u{fffd}"), "replacement_characters 0.0149 (threshold 0.01)");
        check(&(prose + &"\u{fffd}字".repeat(50)), "keep");
    }

    #[test]
    fn replacement_characters_read_as_gbk_count() {
        let prose = "字".repeat(297);
        check(&(prose.clone() + "锟斤拷"), "keep");
        check(&(prose + "锟斤拷锟斤拷"), "kun_jin_kao 0.0198 (threshold 0.01)");
    }

    #[test]
    fn misread_text_counts() {
        let garbled = |text: &str| GBK.decode_without_bom_handling(text.as_bytes()).0.into_owned();
        check(&garbled("这是一段被读错了的中文，没有人看得懂它说的是什么。"), "mojibake 1 (threshold 0.05)");
        let russian = WINDOWS_1252.decode_without_bom_handling(b"\xcf\xf0\xe8\xe2\xe5\xf2").0.into_owned();
        check(&russian, "mojibake 1 (threshold 0.05)");
        check(&("letters ".repeat(20) + &russian), "keep");
        check(&("letters ".repeat(10) + &russian), "mojibake 0.0789 (threshold 0.05)");
    }

    #[test]
    fn rules_can_be_switched_off() {
        let off = Garbled {
            max_replacement: Threshold::OFF,
            max_phrases: Threshold::OFF,
            max_mojibake: Threshold::OFF,
            ..Garbled::default()
        };
        let filter = off.build().expect("they fit together");
        assert_eq!(filter.judge(&Doc::bare("\u{fffd}\u{fffd}锟斤拷Ïðèâåò")), Verdict::Keep);
    }

    #[test]
    fn empty_phrases_are_refused() {
        let error = Garbled { phrases: vec![String::new()], ..Garbled::default() }.build().map(drop);
        assert!(error.expect_err("it is everywhere").contains("`phrases`"));
    }
}
