//! Words and sentences as published recipes count them: token for token those of datatrove 0.10.
//!
//! datatrove's words are those of spaCy's blank pipelines, `en` for English ([`english`]) and `xx` for languages that
//! have no tokenizer of their own ([`multi`]). The two share their rules and differ in their special cases.
//! [`text::words`](crate::text::words) are our own words, simpler and the same for all languages.

pub mod english;
pub mod multi;

mod chars;
mod rules;
mod sentences;
mod special;
mod url;

/// Where in a text a part of it begins.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// What lies between a part of a text and a later one.
fn gap<'t>(text: &'t str, part: &str, next: &str) -> &'t str {
    &text[offset(text, part) + part.len()..offset(text, next)]
}

#[cfg(test)]
mod golden {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use serde::Deserialize;

    /// What datatrove makes of some texts, and what it leans on: see `tests/golden/words_english.py`.
    #[derive(Deserialize)]
    pub(super) struct Golden {
        /// Code points in ranges, in hexadecimal.
        pub(super) classes: BTreeMap<String, String>,
        pub(super) special: Special,
        pub(super) texts: Vec<Text>,
    }

    /// Special cases by their pieces, in order.
    #[derive(Deserialize)]
    pub(super) struct Special {
        pub(super) english: Vec<Vec<String>>,
        pub(super) multi: Vec<Vec<String>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Text {
        pub(super) text: String,
        pub(super) english: Vec<String>,
        pub(super) sentences: usize,
        /// Where they are not the English ones.
        pub(super) multi: Option<Vec<String>>,
    }

    pub(super) static GOLDEN: LazyLock<Golden> = LazyLock::new(|| {
        let golden = include_str!("../../tests/golden/words_english.json");
        serde_json::from_str(golden).expect("as the script writes it")
    });
}
