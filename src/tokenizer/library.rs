//! Any `tokenizer.json`, through Hugging Face's own library.

use tokenizers::Tokenizer;

/// A tokenizer of the library.
pub(super) struct Library(Tokenizer);

impl Library {
    /// Reads a file. A text is counted to its end whatever the file says of cutting or filling it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let broken = |error: tokenizers::Error| format!("this is no tokenizer.json: {error}");
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(broken)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(broken)?;
        Ok(Self(tokenizer))
    }

    /// The number of tokens of a text, if it has one.
    pub(super) fn count(&self, text: &str) -> Option<usize> {
        self.0.encode_fast(text, false).ok().map(|encoding| encoding.len())
    }
}
