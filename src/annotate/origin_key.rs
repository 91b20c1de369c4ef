//! Names each document by the text it came with, so that its history survives a change of the pipeline.

use arrow::datatypes::Field;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::stage::{Annotator, Settings, key_type};

/// Adds `origin_key`: the content key of the text as it was first read, before any rewriting stage.
///
/// A new normalizer changes the content keys of the documents it touches, but not their origin keys: what the
/// ledger knows of a document is found by either. An `origin_key` column that the input brings travels
/// unchanged, so the key still names the first text when the output of one run is the input of another.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OriginKey {}

impl Settings for OriginKey {
    const NAME: &'static str = "origin_key";
    const ABOUT: &'static str = "adds origin_key: a hash that names the document by its text as first read";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Annotator for OriginKey {
    fn columns(&self) -> Vec<Field> {
        vec![Field::new("origin_key", key_type(), true)]
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        row.push(Value::Key(doc.origin_key()));
    }

    fn keeps_existing(&self) -> bool {
        true
    }

    fn reads_origin(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::{NoColumns, content_key};

    #[test]
    fn the_text_as_first_read_gives_the_name() {
        let mut row = Vec::new();
        OriginKey {}.annotate(&Doc::new("rewritten", "as it came", &NoColumns), &mut row);
        assert_eq!(row, [Value::Key(content_key("as it came"))]);
    }
}
