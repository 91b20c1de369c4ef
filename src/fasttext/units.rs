//! The words of a text, as a model is given them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// What a classifier takes for a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// What stands between white space, as in fastText: for models trained elsewhere on texts as they are.
    #[default]
    Spaces,
    /// The same, and each ideograph and kana by itself: for models trained on Chinese or Japanese so. In Python:
    /// `re.sub(r"([\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0002fa1f])", r" \1 ", text)`.
    Characters,
}

impl Units {
    /// The words of a text in order.
    pub(super) fn tokens(self, text: &str) -> impl Iterator<Item = &str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let begin = rest.bytes().position(|b| !is_blank(b))?;
            rest = &rest[begin..];
            let mut end = rest.bytes().position(is_blank).unwrap_or(rest.len());
            if self == Self::Characters {
                end = end_of_unit(&rest[..end]);
            }
            let (token, after) = rest.split_at(end);
            rest = after;
            Some(token)
        })
    }
}

/// Whether fastText cuts at this byte.
fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r' | 0)
}

/// Where the first ideograph ends, or the run before the first ideograph.
fn end_of_unit(word: &str) -> usize {
    let mut chars = word.char_indices();
    match chars.next() {
        Some((_, c)) if text::is_cjk(c) => c.len_utf8(),
        _ => chars.find(|&(_, c)| text::is_cjk(c)).map_or(word.len(), |(at, _)| at),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(units: Units, text: &str, expected: &[&str]) {
        assert_eq!(units.tokens(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_bytes_that_fasttext_cuts_at_cut() {
        check(Units::Spaces, " a\tb\nc\u{b}d\u{c}e\rf\0g ", &["a", "b", "c", "d", "e", "f", "g"]);
        check(Units::Spaces, "a\u{a0}b\u{3000}c\u{1c}d\u{85}e", &["a\u{a0}b\u{3000}c\u{1c}d\u{85}e"]);
        check(Units::Spaces, "", &[]);
        check(Units::Spaces, " \n", &[]);
    }

    #[test]
    fn ideographs_stand_alone_where_asked() {
        check(Units::Spaces, "用Rust写。好 ok", &["用Rust写。好", "ok"]);
        check(Units::Characters, "用Rust写。好 ok", &["用", "Rust", "写", "。", "好", "ok"]);
        check(Units::Characters, "カナ漢字", &["カ", "ナ", "漢", "字"]);
    }

    proptest! {
        #[test]
        fn nothing_but_blanks_is_lost(text in any::<String>()) {
            let visible: String = text.chars().filter(|c| !c.is_ascii() || !is_blank(*c as u8)).collect();
            for units in [Units::Spaces, Units::Characters] {
                prop_assert!(units.tokens(&text).all(|token| !token.is_empty()));
                prop_assert_eq!(units.tokens(&text).collect::<String>(), visible.clone());
            }
        }
    }
}
