//! The columns that tell of clusters: how many documents one stands for, and which one stands for it.

use arrow::datatypes::{DataType, Field};

use crate::doc::{Doc, Value};
use crate::stage::{Duplicates, Ruled, key_type};

impl Duplicates {
    /// The columns that are added.
    pub(super) fn columns(&self) -> Vec<Field> {
        if !self.counted {
            return Vec::new();
        }
        vec![Field::new("dup_count", DataType::UInt32, true), Field::new("dup_cluster", key_type(), true)]
    }

    /// Puts a value for each column into `row`.
    pub(super) fn annotate(&self, doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        if !self.counted {
            return;
        }
        let size = ruled.given.unwrap_or(1);
        row.push(Value::U32(u32::try_from(size).unwrap_or(u32::MAX)));
        row.push(Value::Key(doc.content_key()));
    }
}
