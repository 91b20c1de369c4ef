//! What becomes of duplicates, and the columns that tell of clusters: how many documents one stands for, and
//! which one stands for it.

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::stage::{Duplicates, Ruled, key_type};

/// What becomes of the documents for which another one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are dropped.
    #[default]
    Drop,
    /// They stay. `duplicate_of` and `similarity` name the one that stands for them and are null in that one;
    /// `dup_count` and `dup_cluster` are the same in all documents of a cluster.
    Annotate,
}

impl Duplicates {
    /// What the settings ask for.
    pub(super) fn new(mode: Mode, counts: bool) -> Self {
        let annotated = mode == Mode::Annotate;
        Self { counted: counts || annotated, annotated }
    }

    /// The columns that are added.
    pub(super) fn columns(&self) -> Vec<Field> {
        let mut columns = Vec::new();
        if self.counted {
            columns.push(Field::new("dup_count", DataType::UInt32, true));
            columns.push(Field::new("dup_cluster", key_type(), true));
        }
        if self.annotated {
            columns.push(Field::new("duplicate_of", DataType::Utf8, true));
            columns.push(Field::new("similarity", DataType::Float64, true));
        }
        columns
    }

    /// Puts a value for each column into `row`.
    pub(super) fn annotate(&self, doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        let Ruled { given, duplicate } = ruled;
        if self.counted {
            row.push(Value::U32(u32::try_from(given.unwrap_or(1)).unwrap_or(u32::MAX)));
            row.push(Value::Key(duplicate.map_or_else(|| doc.content_key(), |of| of.key)));
        }
        if self.annotated {
            let id = duplicate.and_then(|of| of.id);
            row.push(id.map_or(Value::Null, |id| Value::Str(id.to_owned().into())));
            row.push(duplicate.map_or(Value::Null, |of| Value::F64(of.similarity)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::content_key;
    use crate::stage::DuplicateOf;

    #[track_caller]
    fn check(duplicates: &Duplicates, ruled: Ruled<'_>, expected: &[Value]) {
        let mut row = Vec::new();
        duplicates.annotate(&Doc::bare("a"), ruled, &mut row);
        assert_eq!(row, expected);
        assert_eq!(row.len(), duplicates.columns().len());
    }

    #[test]
    fn columns_tell_of_the_cluster() {
        let [drop, counts] = [false, true].map(|counts| Duplicates::new(Mode::Drop, counts));
        let annotate = Duplicates::new(Mode::Annotate, false);
        let own = Value::Key(content_key("a"));
        check(&drop, Ruled::default(), &[]);
        check(&counts, Ruled::default(), &[Value::U32(1), own.clone()]);
        check(&counts, Ruled { given: Some(7), duplicate: None }, &[Value::U32(7), own.clone()]);
        check(&counts, Ruled { given: Some(u64::MAX), duplicate: None }, &[Value::U32(u32::MAX), own.clone()]);
        check(&annotate, Ruled::default(), &[Value::U32(1), own, Value::Null, Value::Null]);
        let of = DuplicateOf { id: Some("b"), key: [7; 16], similarity: 0.9 };
        let named = [Value::U32(3), Value::Key([7; 16]), Value::Str("b".into()), Value::F64(0.9)];
        check(&annotate, Ruled { given: Some(3), duplicate: Some(of) }, &named);
    }
}
