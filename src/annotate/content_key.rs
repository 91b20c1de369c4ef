//! Names each document by its text, so that it can be recognised in another run.

use arrow::datatypes::Field;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::stage::{Annotator, Settings, key_type};

/// Adds `content_key`: 16 bytes, the big-endian xxh3-128 of the text in canonical form (NFC, runs of white
/// space to one space, trimmed). Texts that differ in nothing else have the same key. It is computed from the text as it stands here, so place it after the last
/// rewriting stage.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContentKey {}

impl Settings for ContentKey {
    const NAME: &'static str = "content_key";
    const ABOUT: &'static str = "adds content_key: a hash that names the document by its text";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Annotator for ContentKey {
    fn columns(&self) -> Vec<Field> {
        vec![Field::new("content_key", key_type(), true)]
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        row.push(Value::Key(doc.content_key()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_change_the_name() {
        let key = |text| {
            let mut row = Vec::new();
            ContentKey {}.annotate(&Doc::bare(text), &mut row);
            row
        };
        assert_eq!(key("a b"), key(" a\r\n b"));
        assert_ne!(key("a b"), key("a c"));
    }
}
