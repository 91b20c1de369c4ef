//! Says how long each document is: in characters, in words, and in tokens.

use std::path::PathBuf;

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::doc::{Doc, Value};
use crate::stage::{Annotator, Settings, digest};
use crate::text::{self, Scripts};
use crate::tokenizer::{Pattern, Tokenizer};

/// Adds `char_count`, `word_count` and `token_count`.
///
/// Characters are code points. A word is a run of letters and digits, one Chinese or Japanese character, or a run
/// of one punctuation mark. With a `tokenizer`, tokens are those of the model that it belongs to. Without, they are an
/// estimate, made from the classes of characters alone: for planning how much data there is. The three rates of the
/// estimate are rules of thumb, not fits. A model with a larger or a more Chinese vocabulary needs fewer tokens: set the
/// rates accordingly.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// The file of a tokenizer, seen from the current folder: a Hugging Face `tokenizer.json`, or a `.tiktoken` file (with
    /// `pattern`). Then `token_count` is exactly what it makes of the text, without the special tokens that mark
    /// the begin and end of a text. Byte-level BPE is counted in any build, other kinds in one with the feature
    /// `tokenizers`. On a cluster every machine needs the same file at the same path.
    pub tokenizer: Option<PathBuf>,
    /// The digest of the tokenizer's file, in hexadecimal digits; any other is refused. Not set: any will do, and a run notes
    /// the digest, so that it is not continued with another one.
    pub digest: Option<String>,
    /// For a `.tiktoken` file, how texts are cut into pieces: `"gpt2"` (for r50k and p50k, too), `"cl100k"`, `"o200k"`,
    /// `"llama3"`, `"qwen2"` or `"tekken"`. A `tokenizer.json` says so itself.
    pub pattern: Option<Pattern>,
    /// For the estimate, how many ASCII characters make a token. OpenAI's help page on tokens gives "1 token ~= 4 chars
    /// in English".
    pub ascii_chars_per_token: f64,
    /// For the estimate, how many tokens a Han character, a kana or a Hangul syllable makes. Default 0.75, our own guess:
    /// DeepSeek's API guide gives 0.6 for a Chinese character, vocabularies with less Chinese in them need more.
    pub tokens_per_cjk_char: f64,
    /// For the estimate, how many bytes of UTF-8 of any other character make a token. Default 4, our own guess: that is
    /// two letters of Cyrillic, Greek or Arabic.
    pub other_bytes_per_token: f64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            tokenizer: None,
            digest: None,
            pattern: None,
            ascii_chars_per_token: 4.0,
            tokens_per_cjk_char: 0.75,
            other_bytes_per_token: 4.0,
        }
    }
}

impl Settings for Counts {
    const NAME: &'static str = "counts";
    const ABOUT: &'static str = "adds char_count, word_count and token_count, by a tokenizer or estimated";
    type Stage = CountsStage;

    fn build(self) -> Result<CountsStage, String> {
        let rates = [
            ("ascii_chars_per_token", self.ascii_chars_per_token),
            ("tokens_per_cjk_char", self.tokens_per_cjk_char),
            ("other_bytes_per_token", self.other_bytes_per_token),
        ];
        if let Some((name, rate)) = rates.into_iter().find(|(_, rate)| !(rate.is_finite() && *rate > 0.0)) {
            return Err(format!("`{name}` is {rate}, expected a number above 0"));
        }
        let read = |path: &PathBuf| {
            let wrong = |message| format!("`tokenizer`: {}: {message}", path.display());
            let tokenizer = Tokenizer::read(path, self.pattern).map_err(wrong)?;
            let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let digest = digest(path.display(), xxh3_128(&bytes), self.digest.as_deref())?;
            Ok::<_, String>((tokenizer, digest))
        };
        let (tokenizer, digest) = self.tokenizer.as_ref().map(read).transpose()?.unzip();
        if tokenizer.is_none() && self.digest.is_some() {
            return Err("`digest` is that of a `tokenizer`, and there is none".into());
        }
        if tokenizer.is_none() && self.pattern.is_some() {
            return Err("`pattern` goes with a `tokenizer`, and there is none".into());
        }
        Ok(CountsStage { estimate: self, tokenizer, digest })
    }
}

/// [`Counts`], with its tokenizer read.
#[derive(Debug)]
pub struct CountsStage {
    estimate: Counts,
    tokenizer: Option<Tokenizer>,
    digest: Option<String>,
}

impl Annotator for CountsStage {
    fn pins(&self) -> Vec<(&'static str, String)> {
        self.digest.iter().map(|digest| ("digest", digest.clone())).collect()
    }

    fn estimates(&self) -> bool {
        self.tokenizer.is_none()
    }

    fn columns(&self) -> Vec<Field> {
        ["char_count", "word_count", "token_count"].map(|name| Field::new(name, DataType::UInt32, true)).to_vec()
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        row.push(Value::U32(saturated(doc.n_chars())));
        row.push(Value::U32(saturated(doc.words().len())));
        row.push(match &self.tokenizer {
            Some(tokenizer) => tokenizer.count(doc.text()).map_or(Value::Null, |n| Value::U32(saturated(n))),
            None => Value::U32(self.estimate.n_tokens(doc.text())),
        });
    }
}

impl Counts {
    /// The estimate: every class of characters at its rate, rounded up.
    pub fn n_tokens(&self, text: &str) -> u32 {
        let Scripts { ascii, cjk, other_bytes } = text::scripts(text);
        let tokens = ascii as f64 / self.ascii_chars_per_token
            + cjk as f64 * self.tokens_per_cjk_char
            + other_bytes as f64 / self.other_bytes_per_token;
        // A float too large for the column becomes its largest value.
        tokens.ceil() as u32
    }
}

fn saturated(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, [n_chars, n_words, n_tokens]: [u32; 3]) {
        let mut row = Vec::new();
        Counts::default().build().expect("defaults are right").annotate(&Doc::bare(text), &mut row);
        assert_eq!(row, [n_chars, n_words, n_tokens].map(Value::U32));
    }

    #[test]
    fn nothing_counts_nothing() {
        check("", [0, 0, 0]);
    }

    #[test]
    fn four_characters_of_english_are_a_token() {
        check("Plain words, here and there.", [28, 7, 7]);
        check("a", [1, 1, 1]);
    }

    #[test]
    fn four_ideographs_are_three_tokens() {
        check("中文文字", [4, 4, 3]);
        check("한국어가", [4, 1, 3]);
    }

    #[test]
    fn other_scripts_go_by_their_bytes() {
        check("слово", [5, 1, 3]);
    }

    #[test]
    fn tokens_are_counted_by_a_tokenizer() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tokens/gpt2.json");
        let stage = Counts { tokenizer: Some(file.into()), ..Counts::default() }.build().expect("it can be read");
        let mut row = Vec::new();
        stage.annotate(&Doc::bare("xx xx xx"), &mut row);
        assert_eq!(row, [8, 3, 8].map(Value::U32), "no word with an x is a token");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused() {
        let error =
            Counts { tokenizer: Some("nowhere.json".into()), ..Counts::default() }.build().expect_err("no file");
        assert!(error.starts_with("`tokenizer`: nowhere.json: No such file"), "{error}");
        let error = Counts { pattern: Some(Pattern::Gpt2), ..Counts::default() }.build().expect_err("no file");
        assert_eq!(error, "`pattern` goes with a `tokenizer`, and there is none");
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let error = Counts { tokens_per_cjk_char: 0.0, ..Counts::default() }.build().expect_err("no rate");
        assert_eq!(error, "`tokens_per_cjk_char` is 0, expected a number above 0");
    }
}
