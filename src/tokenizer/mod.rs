//! The tokenizers of models: into how many tokens a model cuts a text.
//!
//! Byte-pair encoding over bytes, which most models of today use, is done here. Other kinds are left to the library
//! `tokenizers`, in builds with the feature of this name.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfd, is_nfkc, is_nfkd};

use bpe::{Bpe, Scratch};
use split::Expression;
pub use split::Pattern;

mod bpe;
mod huggingface;
#[cfg(feature = "tokenizers")]
mod library;
mod split;
mod tiktoken;

/// A tokenizer, read from its file.
pub struct Tokenizer(Kind);

enum Kind {
    Bytes(Box<ByteTokenizer>),
    #[cfg(feature = "tokenizers")]
    Library(Box<library::Library>),
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Bytes(_) => "Tokenizer (byte-level BPE)",
            #[cfg(feature = "tokenizers")]
            Kind::Library(_) => "Tokenizer (library)",
        })
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json` of Hugging Face, or a `.tiktoken` file with the pattern that goes with it. The message
    /// says what is wrong with the file and what would have worked.
    pub fn read(path: &Path, pattern: Option<Pattern>) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let is = |ending: &str| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
        match pattern {
            _ if !is("json") && !is("tiktoken") => {
                Err("the name of the file ends with neither `.json` nor `.tiktoken`".into())
            }
            Some(_) if is("json") => Err("`pattern` is for `.tiktoken` files; a tokenizer.json has its own".into()),
            None if is("tiktoken") => {
                Err("a `.tiktoken` file does not say how a text is cut into pieces: set `pattern`, for example to \
                     \"cl100k\" or \"o200k\""
                    .into())
            }
            Some(pattern) => tiktoken::read(&bytes, pattern).map(|own| Self(Kind::Bytes(Box::new(own)))),
            None => match huggingface::read(&bytes)? {
                Ok(own) => Ok(Self(Kind::Bytes(Box::new(own)))),
                Err(foreign) => Self::of_library(&bytes, &foreign),
            },
        }
    }

    #[cfg(feature = "tokenizers")]
    fn of_library(bytes: &[u8], _: &str) -> Result<Self, String> {
        library::Library::read(bytes).map(|library| Self(Kind::Library(Box::new(library))))
    }

    #[cfg(not(feature = "tokenizers"))]
    fn of_library(_: &[u8], foreign: &str) -> Result<Self, String> {
        Err(format!(
            "{foreign}, which only a build with `--features tokenizers` can count; without it, byte-level BPE can be counted"
        ))
    }

    /// The number of tokens of a text. No special token is added. One of a `tokenizer.json` that is written out in the
    /// text is one token, as in Hugging Face's library; a `.tiktoken` file has none. `None` where the tokenizer fails:
    /// some have no token for an unknown character, not even one that says so.
    pub fn count(&self, text: &str) -> Option<usize> {
        match &self.0 {
            Kind::Bytes(own) => Some(own.count(text)),
            #[cfg(feature = "tokenizers")]
            Kind::Library(library) => library.count(text),
        }
    }
}

/// Byte-pair encoding over bytes, with all that comes before it.
struct ByteTokenizer {
    /// Tokens that are found in the text as it is.
    added: Option<AhoCorasick>,
    form: Form,
    /// Tokens that are found in the normalized text.
    added_normalized: Option<AhoCorasick>,
    splits: Vec<Split>,
    bpe: Bpe,
    /// As many as threads have counted at once.
    scratch: Mutex<Vec<Scratch>>,
}

/// The form of Unicode that a text is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    AsItIs,
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// How each piece is cut further.
enum Split {
    /// By a published rule.
    Published(Pattern),
    /// By another one.
    Other(Expression),
    /// Not at all, but a blank is put before it if it does not begin with one.
    PrefixBlank,
}

impl ByteTokenizer {
    fn count(&self, text: &str) -> usize {
        let spare = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut count = Count { tokenizer: self, scratch: spare.unwrap_or_default(), n: 0 };
        count.text(text);
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(count.scratch);
        count.n
    }
}

/// A count under way.
struct Count<'t> {
    tokenizer: &'t ByteTokenizer,
    scratch: Scratch,
    n: usize,
}

impl Count<'_> {
    fn text(&mut self, text: &str) {
        let ByteTokenizer { added, added_normalized, form, splits, .. } = self.tokenizer;
        let n_added = between(added.as_ref(), text, |text| {
            let n_added = between(added_normalized.as_ref(), &form.of(text), |text| self.pieces(splits, text));
            self.n += n_added;
        });
        self.n += n_added;
    }

    fn pieces(&mut self, splits: &[Split], text: &str) {
        let bpe = &self.tokenizer.bpe;
        match splits {
            [] => self.n += bpe.count(text.as_bytes(), &mut self.scratch),
            [Split::Published(pattern)] => {
                for piece in pattern.pieces(text) {
                    self.n += bpe.count(piece.as_bytes(), &mut self.scratch);
                }
            }
            [Split::Published(pattern), rest @ ..] => pattern.pieces(text).for_each(|piece| self.pieces(rest, piece)),
            [Split::Other(rule), rest @ ..] => rule.pieces(text, |piece| self.pieces(rest, piece)),
            [Split::PrefixBlank, rest @ ..] if text.starts_with(' ') => self.pieces(rest, text),
            [Split::PrefixBlank, rest @ ..] => self.pieces(rest, &[" ", text].concat()),
        }
    }
}

/// Shows the parts of a text between the tokens that are found in it, and says how many of these there are.
fn between(added: Option<&AhoCorasick>, text: &str, mut visit: impl FnMut(&str)) -> usize {
    let (mut n, mut done) = (0, 0);
    for found in added.into_iter().flat_map(|added| added.find_iter(text)) {
        n += 1;
        if done < found.start() {
            visit(&text[done..found.start()]);
        }
        done = found.end();
    }
    if done < text.len() {
        visit(&text[done..]);
    }
    n
}

impl Form {
    fn of(self, text: &str) -> Cow<'_, str> {
        let normalized = match self {
            _ if text.is_ascii() => return Cow::Borrowed(text),
            Self::Nfc if !is_nfc(text) => text.nfc().collect(),
            Self::Nfd if !is_nfd(text) => text.nfd().collect(),
            Self::Nfkc if !is_nfkc(text) => text.nfkc().collect(),
            Self::Nfkd if !is_nfkd(text) => text.nfkd().collect(),
            _ => return Cow::Borrowed(text),
        };
        Cow::Owned(normalized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that only the library can count.
    const FOREIGN: [&str; 3] = ["unigram.json", "wordpiece.json", "characters.json"];

    fn golden(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokens").join(name)
    }

    fn pattern(name: &str) -> Pattern {
        serde_json::from_value(name.into()).expect("a pattern of that name")
    }

    #[derive(serde::Deserialize)]
    struct Golden {
        texts: Vec<String>,
        counts: std::collections::BTreeMap<String, Vec<usize>>,
    }

    #[test]
    fn counts_are_those_of_the_published_libraries() {
        let counted = fs::read_to_string(golden("counts.json")).expect("written by tests/golden/tokens.py");
        let Golden { texts, counts } = serde_json::from_str(&counted).expect("the same");
        assert_eq!(counts.len(), 20);
        for (name, expected) in counts {
            if FOREIGN.contains(&name.as_str()) && !cfg!(feature = "tokenizers") {
                continue;
            }
            let (file, by) = name.split_once(' ').map_or((name.as_str(), None), |(file, by)| (file, Some(pattern(by))));
            let tokenizer = Tokenizer::read(&golden(file), by).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(FOREIGN.contains(&file), !matches!(tokenizer.0, Kind::Bytes(_)), "{name}");
            for (text, expected) in texts.iter().zip(expected) {
                assert_eq!(tokenizer.count(text), Some(expected), "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn threads_count_alike() {
        let tokenizer = Tokenizer::read(&golden("llama3.json"), None).expect("it can be read");
        let texts: Vec<String> = (0..40).map(|n| format!("Line {n} of them, and nobody waits. ").repeat(n)).collect();
        let counts = || texts.iter().map(|text| tokenizer.count(text)).collect::<Vec<_>>();
        let expected = counts();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(counts)).collect();
            threads.into_iter().for_each(|thread| assert_eq!(thread.join().expect("no panic"), expected));
        });
    }

    #[track_caller]
    fn check_refused(name: &str, text: &str, pattern: Option<Pattern>, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        let error = Tokenizer::read(&path, pattern).expect_err("refused");
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn what_is_no_tokenizer_is_refused() {
        let cl100k = Some(Pattern::Cl100k);
        check_refused("a.model", "", None, "the name of the file ends with neither `.json` nor `.tiktoken`");
        check_refused("a.json", "{}", cl100k, "`pattern` is for `.tiktoken` files");
        check_refused(
            "a.tiktoken",
            "",
            None,
            "a `.tiktoken` file does not say how a text is cut into pieces: set `pattern`",
        );
        check_refused("a.tiktoken", "", cl100k, "the byte 0 is no token, so that not every text can be encoded");
        check_refused(
            "a.tiktoken",
            "AA== 0\n<html>\n",
            cl100k,
            "line 2: expected a token in base64, a blank, and its rank",
        );
        check_refused("a.tiktoken", "AA== 0\nAA== 1\n", cl100k, "line 2: this token is on an earlier line already");
        check_refused("a.json", "<html>", None, "this is no tokenizer.json: expected value at line 1 column 1");
        check_refused("a.json", "{\"a\": 1}", None, "this is no tokenizer.json: missing field `model`");
    }

    /// A tokenizer.json of this model and pre-tokenizer.
    fn file(model: &str, pre_tokenizer: &str) -> String {
        format!("{{\"model\": {{{model}}}, \"pre_tokenizer\": {pre_tokenizer}}}")
    }

    const BYTE_LEVEL: &str = r#"{"type": "ByteLevel", "add_prefix_space": false}"#;

    #[test]
    fn a_model_that_is_not_sound_is_refused() {
        let bpe =
            |vocab: &str, more: &str| file(&format!(r#""type": "BPE", "vocab": {{{vocab}}}, {more}"#), BYTE_LEVEL);
        let vocab = r#""a": 0, "b": 1"#;
        check_refused(
            "a.json",
            &bpe(vocab, r#""merges": [["a", "c"]]"#),
            None,
            "its merges name the token \"c\", which is not in its vocabulary",
        );
        check_refused(
            "a.json",
            &bpe(vocab, r#""merges": ["a b"]"#),
            None,
            "its merges name the token \"ab\", which is not in its vocabulary",
        );
        check_refused("a.json", &bpe(vocab, r#""merges": ["ab"]"#), None, "its merge \"ab\" is not of two tokens");
        check_refused(
            "a.json",
            &bpe(vocab, r#""merges": [], "unk_token": "?""#),
            None,
            "its `unk_token` \"?\" is not in its vocabulary",
        );
    }

    #[cfg(not(feature = "tokenizers"))]
    #[test]
    fn other_kinds_need_a_feature() {
        let way_out = ", which only a build with `--features tokenizers` can count; without it, byte-level BPE can be \
                       counted";
        let bpe = r#""type": "BPE", "vocab": {}, "merges": []"#;
        for (model, pre_tokenizer, foreign) in [
            (r#""type": "Unigram", "vocab": []"#, "null", "its model is Unigram"),
            (&format!(r#"{bpe}, "byte_fallback": true"#), "null", "its model is BPE over characters"),
            (&format!(r#"{bpe}, "end_of_word_suffix": "</w>""#), BYTE_LEVEL, "its tokens have affixes"),
            (&format!(r#"{bpe}, "dropout": 0.1"#), BYTE_LEVEL, "its model drops merges at random"),
            (bpe, "null", "its pre-tokenizer does not end with `ByteLevel`"),
            (bpe, r#"{"type": "Metaspace"}"#, "its pre-tokenizer does not end with `ByteLevel`"),
        ] {
            check_refused("a.json", &file(model, pre_tokenizer), None, &[foreign, way_out].concat());
        }
    }
}
