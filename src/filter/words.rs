//! Which words the rules of a filter are about.

use crate::doc::Doc;
use crate::stage::{Need, NeedKind};
use crate::tokenize::{Tokenizer, Words};

/// What cuts a document into words: that of the `language` of all documents, if it is given, else of its own.
pub(super) fn tokenizer(words: Words, language: Option<&str>, doc: &Doc<'_>) -> Tokenizer {
    words.tokenizer(|| language.or_else(|| doc.columns().string(COLUMN)))
}

/// The column that says which words a document is cut into, if one has to.
pub(super) fn needs(words: Words, language: Option<&str>) -> Vec<Need> {
    let asked = words == Words::Language && language.is_none();
    asked.then(|| Need { column: COLUMN.to_owned(), kind: NeedKind::String }).into_iter().collect()
}

/// Says what is wrong if a language is given that nobody asks for; a profile may have one that other words do not need.
pub(super) fn check(words: Words, language: Option<&str>, profile: Option<&str>) -> Result<(), String> {
    match language {
        Some(language) if words != Words::Language && profile.is_none() => Err(format!(
            "`language` is \"{language}\", but these words are the same in all; set `words = \"language\"`"
        )),
        _ => Ok(()),
    }
}

const COLUMN: &str = "language";
