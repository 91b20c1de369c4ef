//! The `tokenizer.json` of Hugging Face's library `tokenizers`: those of byte-level BPE.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::bpe::{Bpe, Start};
use super::split::Expression;
use super::{ByteTokenizer, Form, Pattern, Split};

/// Reads a file. In an `Ok`, an `Err` is a sound file of a kind that is not done here, and names what is foreign in it.
pub(super) fn read(bytes: &[u8]) -> Result<Result<ByteTokenizer, String>, String> {
    let broken = |error: serde_json::Error| format!("this is no tokenizer.json: {error}");
    let file: File = serde_json::from_slice(bytes).map_err(broken)?;
    let model: ModelKind = serde_json::from_str(file.model.get()).map_err(broken)?;
    if let Some(foreign) = model.foreign() {
        return Ok(Err(foreign));
    }
    let read = |value: Option<&RawValue>| value.map(|value| serde_json::from_str::<Step>(value.get())).transpose();
    let normalizer = read(file.normalizer.as_deref()).map_err(broken)?;
    let pre_tokenizer = read(file.pre_tokenizer.as_deref()).map_err(broken)?;
    let parts = form(normalizer.as_ref()).and_then(|form| Ok((form, splits(pre_tokenizer.as_ref())?)));
    let (form, splits) = match parts {
        Ok(parts) => parts,
        Err(foreign) => return Ok(Err(foreign)),
    };
    if let Some(token) = file.added_tokens.iter().find(|token| token.lstrip || token.rstrip || token.single_word) {
        return Ok(Err(format!("its token {:?} takes in blanks, or stands alone", token.content)));
    }
    let model: Model = serde_json::from_str(file.model.get()).map_err(broken)?;
    let as_it_is = file.added_tokens.iter().filter(|token| !token.normalized).map(|token| token.content.clone());
    let normalized = file.added_tokens.iter().filter(|token| token.normalized).map(|token| form.of(&token.content));
    Ok(Ok(ByteTokenizer {
        added: finder(as_it_is)?,
        added_normalized: finder(normalized.map(std::borrow::Cow::into_owned))?,
        form,
        splits,
        bpe: model.build()?,
        scratch: Mutex::default(),
    }))
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Box<RawValue>>,
    pre_tokenizer: Option<Box<RawValue>>,
    model: Box<RawValue>,
}

/// A token that is found in a text before anything else is done with it.
#[derive(Deserialize)]
struct AddedToken {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

/// What tells whether a model is one of byte-level BPE. Files of old have no type.
#[derive(Deserialize)]
struct ModelKind {
    r#type: Option<String>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
}

impl ModelKind {
    fn foreign(&self) -> Option<String> {
        let is_set = |affix: &Option<String>| affix.as_ref().is_some_and(|affix| !affix.is_empty());
        match self.r#type.as_deref() {
            Some("BPE") | None => {}
            Some(other) => return Some(format!("its model is {other}")),
        }
        if self.dropout.is_some_and(|share| share > 0.0) {
            return Some("its model drops merges at random".into());
        }
        if self.byte_fallback {
            return Some("its model is BPE over characters".into());
        }
        let affixed = is_set(&self.continuing_subword_prefix) || is_set(&self.end_of_word_suffix);
        affixed.then(|| "its tokens have affixes".into())
    }
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
    unk_token: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    ignore_merges: bool,
}

/// Two tokens that merge: today a list, once a string with a blank between them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

impl Model {
    fn build(self) -> Result<Bpe, String> {
        let letters = letters();
        let unknown = match &self.unk_token {
            None => Start::Nothing,
            Some(token) => {
                let missing = || format!("its `unk_token` {token:?} is not in its vocabulary");
                Start::Unknown(*self.vocab.get(token).ok_or_else(missing)?)
            }
        };
        let starts = letters.iter().map(|letter| {
            let known = self.vocab.get(letter.encode_utf8(&mut [0; 4]) as &str);
            known.map_or(unknown, |&token| Start::Token(token))
        });
        let starts = starts.collect();
        let token = |token: &str| {
            let missing = || format!("its merges name the token {token:?}, which is not in its vocabulary");
            self.vocab.get(token).copied().ok_or_else(missing)
        };
        let merge = |(merge, rank): (&Merge, u32)| {
            let (left, right) = match merge {
                Merge::Pair(left, right) => (left.as_str(), right.as_str()),
                Merge::Line(line) => {
                    line.split_once(' ').ok_or_else(|| format!("its merge {line:?} is not of two tokens"))?
                }
            };
            Ok((token(left)?, token(right)?, rank, token(&[left, right].concat())?))
        };
        let merges = self.merges.iter().zip(0..).map(merge).collect::<Result<Vec<_>, String>>()?;
        let whole = if self.ignore_merges { whole(&self.vocab, &letters) } else { HashSet::new() };
        Ok(Bpe::new(starts, merges.into_iter(), whole, self.fuse_unk))
    }
}

/// The tokens of a vocabulary as bytes.
fn whole(vocab: &HashMap<String, u32>, letters: &[char]) -> HashSet<Box<[u8]>> {
    let bytes: HashMap<char, u8> = letters.iter().copied().zip(0..=u8::MAX).collect();
    vocab.keys().filter_map(|token| token.chars().map(|letter| bytes.get(&letter).copied()).collect()).collect()
}

/// The letters that bytes are written as in vocabularies of byte-level BPE, as GPT-2's `bytes_to_unicode` has them: what
/// can be seen in Latin-1 as it is, and the others, in order, from U+0100 on.
fn letters() -> Vec<char> {
    let mut others = '\u{100}'..;
    let letter = |b: u8| match b {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(b),
        _ => others.next().expect("there are fewer than 256 of them"),
    };
    (0..=u8::MAX).map(letter).collect()
}

fn finder(tokens: impl Iterator<Item = String>) -> Result<Option<AhoCorasick>, String> {
    let tokens: Vec<String> = tokens.filter(|token| !token.is_empty()).collect();
    if tokens.is_empty() {
        return Ok(None);
    }
    let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(tokens);
    finder.map(Some).map_err(|error| format!("its added tokens: {error}"))
}

/// A normalizer or a pre-tokenizer.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Step {
    Sequence {
        #[serde(alias = "normalizers")]
        pretokenizers: Vec<Step>,
    },
    #[serde(rename = "NFC")]
    Nfc,
    #[serde(rename = "NFD")]
    Nfd,
    #[serde(rename = "NFKC")]
    Nfkc,
    #[serde(rename = "NFKD")]
    Nfkd,
    Split {
        pattern: SplitPattern,
        behavior: String,
        #[serde(default)]
        invert: bool,
    },
    Digits {
        individual_digits: bool,
    },
    ByteLevel {
        add_prefix_space: bool,
        #[serde(default = "yes")]
        use_regex: bool,
    },
    #[serde(other)]
    Foreign,
}

#[derive(Deserialize)]
enum SplitPattern {
    Regex(String),
    String(String),
}

fn yes() -> bool {
    true
}

fn form(normalizer: Option<&Step>) -> Result<Form, String> {
    match normalizer {
        None => Ok(Form::AsItIs),
        Some(Step::Nfc) => Ok(Form::Nfc),
        Some(Step::Nfd) => Ok(Form::Nfd),
        Some(Step::Nfkc) => Ok(Form::Nfkc),
        Some(Step::Nfkd) => Ok(Form::Nfkd),
        Some(Step::Sequence { pretokenizers: steps }) if steps.len() <= 1 => form(steps.first()),
        Some(_) => Err("its normalizer does more than to compose characters".into()),
    }
}

fn splits(pre_tokenizer: Option<&Step>) -> Result<Vec<Split>, String> {
    let steps = match pre_tokenizer {
        None => &[],
        Some(Step::Sequence { pretokenizers }) => pretokenizers.as_slice(),
        Some(step) => std::slice::from_ref(step),
    };
    let Some((Step::ByteLevel { add_prefix_space, use_regex }, before)) = steps.split_last() else {
        return Err("its pre-tokenizer does not end with `ByteLevel`".into());
    };
    let mut splits = before.iter().map(split).collect::<Result<Vec<_>, _>>()?;
    if *add_prefix_space {
        splits.push(Split::PrefixBlank);
    }
    if *use_regex {
        splits.push(Split::Published(Pattern::Gpt2));
    }
    Ok(splits)
}

fn split(step: &Step) -> Result<Split, String> {
    let foreign = || "its pre-tokenizer has a step that is not known here".to_owned();
    match step {
        Step::Digits { individual_digits } => {
            Expression::new(if *individual_digits { r"\p{N}" } else { r"\p{N}+" }).map(Split::Other).ok_or_else(foreign)
        }
        Step::Split { pattern: SplitPattern::Regex(expression), behavior, invert } => {
            // A published rule matches all there is, so nothing lies between matches.
            let published = Pattern::published_as(expression)
                .filter(|_| behavior == "Isolated" || (behavior == "Removed" && *invert));
            let other = || Expression::new(expression).filter(|_| behavior == "Isolated").map(Split::Other);
            published.map(Split::Published).or_else(other).ok_or_else(foreign)
        }
        Step::Split { pattern: SplitPattern::String(text), behavior, .. } if behavior == "Isolated" => {
            Expression::literal(text).map(Split::Other).ok_or_else(foreign)
        }
        _ => Err(foreign()),
    }
}
