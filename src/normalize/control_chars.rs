//! Removes characters that are neither seen nor read.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rewrite::Rewrite;
use crate::stage::{Normalizer, Settings};
use crate::text;

/// Removes characters that are neither seen nor read:
///
/// - control characters. Tabs and all kinds of line ends stay, or words would be glued together: `whitespace` sees to
///   them;
/// - zero-width spaces, word joiners, invisible operators, byte-order marks and soft hyphens;
/// - marks, embeddings, overrides and isolates of text direction, which a reader of the text in its order does not
///   need, and with which text can be made to look like another one;
/// - zero-width joiners and non-joiners where they do nothing. They shape what is written in Arabic, Indic and
///   other joining scripts and make one emoji of several: one is kept if the character before or behind it, other
///   invisible ones aside, belongs to such a script or is an emoji, and removed if neither is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ControlChars {}

impl Settings for ControlChars {
    const NAME: &'static str = "control_chars";
    const ABOUT: &'static str = "removes control, zero-width and direction characters that nobody sees";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Normalizer for ControlChars {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Rewrite::of(text);
        let mut before = None;
        let mut at = 0;
        while let Some(visible) = text[at..].find(is_invisible) {
            let start = at + visible;
            out.keep(at..start);
            before = text[at..start].chars().next_back().or(before);
            let end = text[start..].find(|c| !is_invisible(c)).map_or(text.len(), |len| start + len);
            let after = text[end..].chars().next();
            if before.is_some_and(needs_joiners) || after.is_some_and(needs_joiners) {
                for (joiner, c) in text[start..end].char_indices().filter(|&(_, c)| is_joiner(c)) {
                    out.keep(start + joiner..start + joiner + c.len_utf8());
                }
            }
            at = end;
        }
        out.keep(at..text.len());
        out.finish()
    }
}

fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && !text::is_space(c);
    }
    matches!(c, '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether the character is in a block of a joining script, or of symbols that are emoji or parts of them.
fn needs_joiners(c: char) -> bool {
    matches!(c,
        // Arabic, Syriac, Thaana, N'Ko, Mandaic; Devanagari to Sinhala; Tibetan and Myanmar.
        '\u{600}'..='\u{dff}' | '\u{f00}'..='\u{109f}'
        // Khmer, Mongolian; Balinese to Lepcha; Saurashtra to Meetei Mayek; Arabic forms.
        | '\u{1780}'..='\u{18af}' | '\u{1b00}'..='\u{1c4f}' | '\u{a840}'..='\u{abff}' | '\u{fb50}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefe}'
        // Manichaean to Sogdian, Brahmi to the end of its descendants, Adlam.
        | '\u{10ac0}'..='\u{10fff}' | '\u{11000}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}'
        // Arrows, symbols, dingbats, the emoji variation selector, pictographs.
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(ControlChars::default().normalize(text), expected);
    }

    #[test]
    fn controls_go_and_white_space_stays() {
        check("a\0b\u{7}c\u{7f}d\u{9c}", "abcd");
        check("a\tb\r\nc\u{c}d\u{85}e\u{1e}f", "a\tb\r\nc\u{c}d\u{85}e\u{1e}f");
    }

    #[test]
    fn what_has_no_width_goes() {
        check("\u{feff}zero\u{200b}width soft\u{ad}hyphen\u{2060}", "zerowidth softhyphen");
    }

    #[test]
    fn directions_go() {
        check("a\u{202e}b\u{202c}\u{200f}c\u{2067}d\u{2069}", "abcd");
    }

    #[test]
    fn joiners_stay_in_the_scripts_that_need_them() {
        let persian = "می\u{200c}خواهم";
        check(persian, persian);
        let sinhala = "ශ්\u{200d}රී";
        check(sinhala, sinhala);
        let malayalam = "അവന്\u{200d} പോയി";
        check(malayalam, malayalam);
        let family = "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥";
        check(family, family);
    }

    #[test]
    fn joiners_go_where_they_do_nothing() {
        check("La\u{200d}tin 中\u{200c}文 \u{200d}", "Latin 中文 ");
        check("\u{200c}", "");
    }

    #[test]
    fn joiners_look_past_what_is_removed() {
        check("می\u{200f}\u{200c}\u{ad}x", "می\u{200c}x");
        check("a\u{200d}\u{feff}क", "a\u{200d}क");
    }
}
