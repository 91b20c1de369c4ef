//! The normalizers: stages that rewrite a text. One idea a file; this table names them all.

use crate::stage::Entry;

pub mod chinese_numbers;
pub mod chinese_punctuation;
pub mod chinese_script;
pub mod control_chars;
pub mod html_entities;
pub mod mojibake;
pub mod pii;
mod rewrite;
pub mod unicode;
pub mod whitespace;
pub mod width;

/// Every normalizer, in the order they are best applied: what was misread is repaired while its bytes are there, what is
/// encoded is decoded, what is not seen goes before characters are composed over it, spaces are counted when all of them
/// are there, and digits are sought when they are plain ones.
pub const ALL: &[Entry] = &[
    Entry::normalizer::<mojibake::Mojibake>(),
    Entry::normalizer::<html_entities::HtmlEntities>(),
    Entry::normalizer::<control_chars::ControlChars>(),
    Entry::normalizer::<unicode::Unicode>(),
    Entry::normalizer::<width::Width>(),
    Entry::normalizer::<chinese_script::ChineseScript>(),
    Entry::normalizer::<chinese_punctuation::ChinesePunctuation>(),
    Entry::normalizer::<chinese_numbers::ChineseNumbers>(),
    Entry::normalizer::<whitespace::Whitespace>(),
    Entry::normalizer::<pii::Pii>(),
];

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::stage::{Normalizer, Stage};

    fn built() -> impl Iterator<Item = (&'static str, Box<dyn Normalizer>)> {
        ALL.iter().map(|entry| match (entry.build)(toml::Table::new()).expect(entry.name) {
            Stage::Normalize(normalizer) => (entry.name, normalizer),
            _ => unreachable!("the table is of normalizers"),
        })
    }

    /// Texts of any characters, and of those that normalizers look at.
    fn texts() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            'a', 'b', '中', 'é', '\u{301}', '\u{327}', '\u{1161}', '\u{1112}', '\u{11ab}', '\u{212b}', 'ﬁ', ' ', '\t',
            '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1f}', '\u{85}', '\u{a0}', '\u{2028}', '\u{2029}', '\u{3000}',
            '\0', '\u{7f}', '\u{9c}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200f}', '\u{202e}',
            '\u{2060}', '\u{feff}', 'क', '\u{94d}', 'م', '👩', '\u{fe0f}', '❤', 'Ａ', '１', '，', 'ｶ', 'ﾊ', 'ｱ',
            '\u{ff9e}', '\u{ff9f}', '｡', 'ガ', '\u{3099}', '゛',
        ]);
        let odd_or_any = prop_oneof![9 => odd, 1 => any::<char>()];
        prop_oneof![any::<String>(), prop::collection::vec(odd_or_any, 0..40).prop_map(String::from_iter)]
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = ALL.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn defaults_can_be_written_down_and_read_back() {
        for entry in ALL {
            let table = toml::Table::try_from((entry.defaults)()).expect(entry.name);
            (entry.build)(table).map(drop).expect(entry.name);
        }
    }

    #[test]
    fn clean_texts_are_borrowed() {
        for (name, normalizer) in built() {
            for text in ["", "Plain words.\n\n    indented", "你好，世界！", "می\u{200c}خواهم"] {
                assert!(matches!(normalizer.normalize(text), Cow::Borrowed(_)), "{name}: {text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn normalizing_twice_is_normalizing_once(text in texts()) {
            for (name, normalizer) in built() {
                let once = normalizer.normalize(&text);
                let twice = normalizer.normalize(&once);
                prop_assert_eq!(&twice, &once, "{}", name);
                prop_assert!(matches!(twice, Cow::Borrowed(_)), "{} copies what it does not change", name);
            }
        }

        #[test]
        fn a_copy_is_a_change(text in texts()) {
            for (name, normalizer) in built() {
                if let Cow::Owned(other) = normalizer.normalize(&text) {
                    prop_assert_ne!(&other, &text, "{}", name);
                }
            }
        }
    }
}
