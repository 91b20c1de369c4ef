//! Cuts texts into words as published recipes do: with rules or a dictionary for each language.
//!
//! The units of [`text::words`] need neither and are the default everywhere; these here are for decisions that must be
//! those of a recipe, and for languages in which a unit is no word. English ([`english`]), Chinese ([`chinese`]) and the
//! languages that have no tokenizer of their own ([`multi`]) are, token for token, as datatrove 0.10 cuts them with
//! spaCy's blank pipelines `en`, `zh` and `xx`. [`dictionary`] is for languages written without spaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

pub mod chinese;
pub mod dictionary;
pub mod english;
pub mod multi;

mod chars;
mod rules;
mod sentences;
mod special;
mod url;

/// What a stage takes for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    /// Runs of letters and digits, single Chinese or Japanese characters, runs of one punctuation mark; the same for
    /// all languages.
    #[default]
    Units,
    /// What stands between white space, whatever it is.
    Spaces,
    /// The words of the document's language, punctuation apart: English by spaCy's rules, Chinese by jieba's
    /// dictionary, both as datatrove 0.10 has them; Japanese, Thai, Khmer, Lao and Burmese by the dictionaries of
    /// Unicode's ICU; all others by spaCy's rules for any language. The column `language` says which one it is,
    /// unless `language` does.
    Language,
}

impl Words {
    /// What cuts a text in such words, given its language by its ISO 639-1 code, or 639-3 where it has none.
    pub fn tokenizer<'l>(self, language: impl FnOnce() -> Option<&'l str>) -> Tokenizer {
        match self {
            Self::Units => Tokenizer::Units,
            Self::Spaces => Tokenizer::Spaces,
            Self::Language => language().map_or(Tokenizer::Multi, Tokenizer::of_language),
        }
    }
}

/// A way to cut a text into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// [`text::words`].
    Units,
    /// Runs without white space.
    Spaces,
    /// [`english::words`].
    English,
    /// [`chinese::words`].
    Chinese,
    /// [`dictionary::words`].
    Dictionary,
    /// [`multi::words`].
    Multi,
}

impl Tokenizer {
    /// How many there are.
    pub const N: usize = 6;

    /// What cuts texts in a language that is named by its ISO 639-1 code, or 639-3 where it has none.
    pub fn of_language(language: &str) -> Self {
        match language {
            "en" => Self::English,
            "zh" | "yue" | "wuu" | "hak" | "nan" => Self::Chinese,
            "ja" | "th" | "km" | "lo" | "my" => Self::Dictionary,
            _ => Self::Multi,
        }
    }

    /// Appends the words of a text, in order. None is empty or has white space at an end.
    pub fn words<'t>(self, text: &'t str, out: &mut Vec<&'t str>) {
        match self {
            Self::Units => out.extend(text::words(text)),
            Self::Spaces => out.extend(text.split(text::is_space).filter(|word| !word.is_empty())),
            Self::English => english::words(text, out),
            Self::Chinese => chinese::words(text, out),
            Self::Dictionary => dictionary::words(text, out),
            Self::Multi => multi::words(text, out),
        }
    }

    /// The number of sentences of a text, at least 1, as spaCy's `sentencizer` counts them in such words: one ends at
    /// a word that is one mark that ends sentences, and the next begins at the first word after it that is neither
    /// such a mark nor punctuation. Where words are units, see [`text::n_sentences`].
    pub fn n_sentences(self, text: &str) -> usize {
        if self == Self::Units {
            return text::n_sentences(text);
        }
        let mut words = Vec::new();
        self.words(text, &mut words);
        self.n_sentences_of(text, &words)
    }

    /// [`Tokenizer::n_sentences`] of a text by its words.
    pub fn n_sentences_of(self, text: &str, words: &[&str]) -> usize {
        match self {
            Self::Units => text::n_sentences_of(words.iter().copied()),
            _ => sentences::n_sentences(text, words),
        }
    }

    /// Whether the words of a line are those that the whole text has there.
    pub fn cuts_lines_alone(self) -> bool {
        // The dictionaries may look at what is beside a line.
        self != Self::Dictionary
    }

    /// A number of words that the text has at least, found at less cost than by cutting it. Where it is `enough`, there
    /// may be more.
    pub fn n_words_at_least(self, text: &str, enough: usize) -> usize {
        match self {
            Self::Units => text::words(text).take(enough).count(),
            Self::Chinese => chinese::pieces(text).take(enough).count(),
            _ => text.split(text::is_space).filter(|run| !run.is_empty()).take(enough).count(),
        }
    }
}

/// What lies between a part of a text and a later one.
fn gap<'t>(text: &'t str, part: &str, next: &str) -> &'t str {
    &text[text::offset(text, part) + part.len()..text::offset(text, next)]
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Tokenizer; Tokenizer::N] = [
        Tokenizer::Units,
        Tokenizer::Spaces,
        Tokenizer::English,
        Tokenizer::Chinese,
        Tokenizer::Dictionary,
        Tokenizer::Multi,
    ];

    #[test]
    fn every_language_has_its_tokenizer() {
        assert_eq!(Words::Language.tokenizer(|| Some("en")), Tokenizer::English);
        assert_eq!(Words::Language.tokenizer(|| Some("yue")), Tokenizer::Chinese);
        assert_eq!(Words::Language.tokenizer(|| Some("th")), Tokenizer::Dictionary);
        // Nobody is taken for English.
        assert_eq!(Words::Language.tokenizer(|| None), Tokenizer::Multi);
        assert_eq!(Words::Language.tokenizer(|| Some("und")), Tokenizer::Multi);
        assert_eq!(Words::Units.tokenizer(|| Some("en")), Tokenizer::Units);
        assert!(ALL.iter().enumerate().all(|(i, tokenizer)| *tokenizer as usize == i), "as places in a list");
    }

    #[test]
    fn sentences_are_counted_in_words_of_the_language() {
        assert_eq!(Tokenizer::Chinese.n_sentences("他说：“好。”我走了。你呢？"), 3);
        assert_eq!(Tokenizer::English.n_sentences("It is 3.14. Is it?"), 2);
        assert_eq!(Tokenizer::Multi.n_sentences(""), 1);
    }

    proptest! {
        #[test]
        fn lines_are_cut_alone(text in r"([a-c1.,'。中国人们 ]|[\n\r\x{b}\x{c}\x{1c}\x{85}\x{2028}]|don't|:\)|e\.g\.){0,40}") {
            for tokenizer in ALL.into_iter().filter(|tokenizer| tokenizer.cuts_lines_alone()) {
                let (mut words, mut of_lines) = (Vec::new(), Vec::new());
                tokenizer.words(&text, &mut words);
                text::lines(&text).for_each(|line| tokenizer.words(line, &mut of_lines));
                prop_assert_eq!(words, of_lines, "{:?}", tokenizer);
            }
        }

        #[test]
        fn words_are_all_of_a_text_but_its_white_space(text in r"(?s)\PC*|.*|[a-z0-9.,'中文ไทย \n]{0,60}") {
            for tokenizer in ALL {
                let mut words = Vec::new();
                tokenizer.words(&text, &mut words);
                let written: String = text.chars().filter(|&c| !text::is_space(c)).collect();
                let of_words: String = words.concat().chars().filter(|&c| !text::is_space(c)).collect();
                prop_assert_eq!(&of_words, &written, "{:?}", tokenizer);
                for word in &words {
                    prop_assert!(!word.is_empty() && word.trim_matches(text::is_space) == *word, "{tokenizer:?}: {word:?}");
                }
                prop_assert!(tokenizer.n_sentences(&text) >= 1);
                let at_least = tokenizer.n_words_at_least(&text, usize::MAX);
                prop_assert!(at_least <= words.len() && (at_least > 0 || words.is_empty()), "{tokenizer:?}");
                prop_assert_eq!(tokenizer.n_words_at_least(&text, 1), at_least.min(1));
            }
        }
    }
}
