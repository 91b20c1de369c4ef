//! Cuts texts into words as published recipes do: with rules or a dictionary for each language.
//!
//! The units of [`text::words`] need neither and are the default everywhere; these here are for decisions that must be
//! those of a recipe, and for languages in which a unit is no word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

pub mod chinese;

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
            Self::Language => language().map_or(Tokenizer::Units, Tokenizer::of_language),
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
    /// [`chinese::words`].
    Chinese,
}

impl Tokenizer {
    /// How many there are.
    pub const N: usize = 3;

    /// What cuts texts in a language that is named by its ISO 639-1 code, or 639-3 where it has none.
    pub fn of_language(language: &str) -> Self {
        match language {
            "zh" | "yue" | "wuu" | "hak" | "nan" => Self::Chinese,
            _ => Self::Units,
        }
    }

    /// Appends the words of a text, in order. None is empty or has white space at an end.
    pub fn words<'t>(self, text: &'t str, out: &mut Vec<&'t str>) {
        match self {
            Self::Units => out.extend(text::words(text)),
            Self::Spaces => out.extend(text.split(text::is_space).filter(|word| !word.is_empty())),
            Self::Chinese => chinese::words(text, out),
        }
    }

    /// The number of sentences of a text, at least 1, as spaCy's `sentencizer` counts them in such words: one ends at
    /// a word that is one [terminal mark](text::is_terminal), and the next begins at the first word after it that
    /// is neither such a mark nor punctuation. Where words are units, see [`text::n_sentences`].
    pub fn n_sentences(self, text: &str) -> usize {
        if self == Self::Units {
            return text::n_sentences(text);
        }
        let mut words = Vec::new();
        self.words(text, &mut words);
        let (mut n, mut ended) = (1, false);
        for word in words {
            let mut chars = word.chars();
            if chars.next().is_some_and(text::is_terminal) && chars.next().is_none() {
                ended = true;
            } else if ended && !word.chars().all(text::is_any_punctuation) {
                n += 1;
                ended = false;
            }
        }
        n
    }
}
