//! Brings full-width ASCII to half width, and half-width katakana to full width.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::char::compose;

use super::rewrite::Rewrite;
use crate::stage::{Normalizer, Settings};

/// Brings full-width ASCII to half width, and half-width katakana to full width. Each class has a switch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Width {
    /// Whether full-width letters and digits become plain ones. Default: yes.
    pub letters_digits: bool,
    /// Whether the ideographic space becomes a plain one. Default: yes.
    pub space: bool,
    /// Whether full-width punctuation becomes ASCII's. Default: no, for it is right in Chinese and Japanese.
    pub punctuation: bool,
    /// Whether half-width katakana, with their sound marks and punctuation, become full-width. Default: yes.
    pub katakana: bool,
}

impl Default for Width {
    fn default() -> Self {
        Self { letters_digits: true, space: true, punctuation: false, katakana: true }
    }
}

impl Settings for Width {
    const NAME: &'static str = "width";
    const ABOUT: &'static str = "makes full-width letters and digits plain, half-width katakana full width";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Normalizer for Width {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Rewrite::of(text);
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let Some(mut other) = self.other_width(c) else {
                out.keep(at..at + c.len_utf8());
                continue;
            };
            // A katakana and the sound mark behind it are one character in full width, if there is one.
            if let Some(&(_, mark)) = chars.peek()
                && self.katakana
                && is_half_katakana(c)
                && let Some(voiced) = combining(mark).and_then(|mark| compose(other, mark))
            {
                other = voiced;
                chars.next();
            }
            out.put(other);
        }
        out.finish()
    }
}

impl Width {
    /// The character in the other width, if it is to be changed.
    fn other_width(&self, c: char) -> Option<char> {
        match c {
            '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' if self.letters_digits => half(c),
            '\u{ff01}'..='\u{ff5e}' if self.punctuation && !is_full_letter_digit(c) => half(c),
            '\u{3000}' if self.space => Some(' '),
            '\u{ff61}'..='\u{ff9f}' if self.katakana => FULL_KATAKANA.chars().nth(c as usize - 0xff61),
            _ => None,
        }
    }
}

/// The full-width form of each character from U+FF61 to U+FF9F.
const FULL_KATAKANA: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜";

/// The ASCII form of a full-width character.
fn half(c: char) -> Option<char> {
    char::from_u32(c as u32 - 0xfee0)
}

fn is_full_letter_digit(c: char) -> bool {
    matches!(c, '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ')
}

fn is_half_katakana(c: char) -> bool {
    matches!(c, '\u{ff66}'..='\u{ff9d}')
}

/// The combining form of a half-width sound mark.
fn combining(mark: char) -> Option<char> {
    match mark {
        '\u{ff9e}' => Some('\u{3099}'),
        '\u{ff9f}' => Some('\u{309a}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[track_caller]
    fn check(settings: &Width, text: &str, expected: &str) {
        assert_eq!(settings.normalize(text), expected);
    }

    #[test]
    fn letters_digits_and_spaces_become_plain() {
        check(&Width::default(), "ＡＢＣｘｙｚ　０１２９", "ABCxyz 0129");
    }

    #[test]
    fn chinese_punctuation_stays_unless_told() {
        check(&Width::default(), "你好，世界！（３）", "你好，世界！（3）");
        check(&Width { punctuation: true, ..Width::default() }, "你好，世界！（３）～", "你好,世界!(3)~");
    }

    #[test]
    fn katakana_become_full_width_with_their_sound_marks() {
        check(&Width::default(), "ﾊﾞﾅﾅ ﾊﾟﾝ ｱﾞ ｶﾞｰ｡ﾞ", "バナナ パン ア゛ ガー。゛");
    }

    #[test]
    fn every_class_can_be_switched_off() {
        let off = Width { letters_digits: false, space: false, punctuation: false, katakana: false };
        check(&off, "Ａ　１，ｶﾞ", "Ａ　１，ｶﾞ");
    }

    #[test]
    fn the_table_is_that_of_unicode() {
        for (half, full) in ('\u{ff61}'..='\u{ff9d}').zip(FULL_KATAKANA.chars()) {
            assert!(half.nfkc().eq([full]), "{half}");
        }
        assert_eq!(FULL_KATAKANA.chars().count(), 0xff9f - 0xff61 + 1);
    }
}
