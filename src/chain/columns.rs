//! Columns of a batch: read as stages look at them, built from what stages put into them.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryBuilder, Float32Builder, Float64Array, Float64Builder, LargeStringArray,
    LargeStringBuilder, RecordBatch, StringBuilder, StringViewBuilder, TimestampMillisecondBuilder, UInt32Builder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, TimeUnit};

use crate::doc::{Columns, ContentKey, Value};
use crate::error::{Error, Result};
use crate::reuse::key_column::KeyColumn;

/// The columns beside the text that stages look at, for a whole batch.
pub(super) struct Beside<'t> {
    strings: Vec<(&'t str, LargeStringArray)>,
    numbers: Vec<(&'t str, Float64Array)>,
    keys: Vec<(&'t str, KeyColumn)>,
}

impl<'t> Beside<'t> {
    pub(super) fn new(
        batch: &RecordBatch,
        strings: &'t [String],
        numbers: &'t [String],
        keys: &'t [String],
    ) -> Result<Self, arrow::error::ArrowError> {
        let column = |name: &str, data_type: &DataType| {
            let index = batch.schema_ref().index_of(name)?;
            cast(batch.column(index), data_type)
        };
        let mut beside = Self { strings: Vec::new(), numbers: Vec::new(), keys: Vec::new() };
        for name in strings {
            beside.strings.push((name, column(name, &DataType::LargeUtf8)?.as_string::<i64>().clone()));
        }
        for name in numbers {
            beside.numbers.push((name, column(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone()));
        }
        for name in keys {
            // What is no column of keys has none.
            if let Ok(column) = KeyColumn::new(batch.column(batch.schema_ref().index_of(name)?)) {
                beside.keys.push((name, column));
            }
        }
        Ok(beside)
    }
}

/// What the stages put into the columns they add, for a whole batch: one cell per row and added column.
pub(super) struct Cells {
    n_columns: usize,
    cells: Vec<OnceCell<Value>>,
}

impl Cells {
    pub(super) fn new(n_rows: usize, n_columns: usize) -> Self {
        Self { n_columns, cells: vec![OnceCell::new(); n_rows * n_columns] }
    }

    pub(super) fn of_row(&self, row: usize) -> &[OnceCell<Value>] {
        &self.cells[row * self.n_columns..][..self.n_columns]
    }

    /// The added column number `slot`, of the given rows.
    pub(super) fn column(&self, slot: usize, field: &Field, rows: impl Iterator<Item = usize>) -> Result<ArrayRef> {
        value_column(field, rows.map(|row| self.of_row(row)[slot].get()))
    }
}

/// The columns beside the text of one document, those of the input and those that stages have added.
pub(super) struct Row<'t> {
    pub(super) beside: &'t Beside<'t>,
    pub(super) row: usize,
    pub(super) added: &'t [Field],
    pub(super) cells: &'t [OnceCell<Value>],
}

impl Row<'_> {
    /// Fills the cells of a stage, whose columns begin at `slot`.
    pub(super) fn set(&self, slot: usize, values: Vec<Value>) {
        for (cell, value) in self.cells[slot..].iter().zip(values) {
            cell.set(value).expect("a column belongs to one stage, which runs once");
        }
    }

    fn added(&self, column: &str) -> Option<&Value> {
        let slot = self.added.iter().position(|field| field.name() == column)?;
        self.cells[slot].get()
    }
}

impl Columns for Row<'_> {
    fn string(&self, column: &str) -> Option<&str> {
        if let Some(Value::Str(value)) = self.added(column) {
            return Some(value);
        }
        let (_, array) = self.beside.strings.iter().find(|(name, _)| *name == column)?;
        array.is_valid(self.row).then(|| array.value(self.row))
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.added(column) {
            Some(Value::U32(n)) => return Some(f64::from(*n)),
            Some(Value::F32(x)) => return Some(f64::from(*x)),
            Some(Value::F64(x)) => return Some(*x),
            _ => {}
        }
        let (_, array) = self.beside.numbers.iter().find(|(name, _)| *name == column)?;
        array.is_valid(self.row).then(|| array.value(self.row))
    }

    fn key(&self, column: &str) -> Option<ContentKey> {
        if let Some(Value::Key(key)) = self.added(column) {
            return Some(*key);
        }
        self.beside.keys.iter().find(|(name, _)| *name == column)?.1.get(self.row)
    }
}

/// A column of strings of any layout.
pub struct Strings(ArrayRef);

impl Strings {
    /// A view of a column of strings.
    pub fn new(column: &ArrayRef) -> Result<Self, arrow::error::ArrowError> {
        Ok(Self(match column.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => column.clone(),
            _ => cast(column, &DataType::LargeUtf8)?,
        }))
    }

    /// The string in a row, unless it is null.
    pub fn get(&self, row: usize) -> Option<&str> {
        if self.0.is_null(row) {
            return None;
        }
        Some(match self.0.data_type() {
            DataType::Utf8 => self.0.as_string::<i32>().value(row),
            DataType::LargeUtf8 => self.0.as_string::<i64>().value(row),
            _ => self.0.as_string_view().value(row),
        })
    }
}

/// An array of strings of the given layout.
pub(super) fn strings<'t>(data_type: &DataType, values: impl Iterator<Item = Option<&'t str>>) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            values.for_each(|value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::new();
            values.for_each(|value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        other => {
            let mut builder = LargeStringBuilder::new();
            values.for_each(|value| builder.append_option(value));
            let array: ArrayRef = Arc::new(builder.finish());
            if array.data_type() == other {
                array
            } else {
                cast(&array, other).map_err(|error| Error::io("a batch", error))?
            }
        }
    })
}

/// An array of what a stage put into one of its columns.
fn value_column<'t>(field: &Field, values: impl Iterator<Item = Option<&'t Value>>) -> Result<ArrayRef> {
    Ok(match field.data_type() {
        DataType::Utf8 => {
            let string = |value: &'t Value| match value {
                Value::Str(value) => Some(value.as_ref()),
                _ => None,
            };
            strings(&DataType::Utf8, values.map(|value| value.and_then(string)))?
        }
        DataType::UInt32 => {
            let mut builder = UInt32Builder::new();
            values.for_each(|value| match value {
                Some(Value::U32(value)) => builder.append_value(*value),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        DataType::Float32 => {
            let mut builder = Float32Builder::new();
            values.for_each(|value| match value {
                Some(Value::F32(value)) => builder.append_value(*value),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        DataType::Float64 => {
            let mut builder = Float64Builder::new();
            values.for_each(|value| match value {
                Some(Value::F64(value)) => builder.append_value(*value),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            let mut builder = TimestampMillisecondBuilder::new().with_timezone_opt(zone.clone());
            values.for_each(|value| match value {
                Some(Value::Time(value)) => builder.append_value(*value),
                _ => builder.append_null(),
            });
            Arc::new(builder.finish())
        }
        _ => {
            let mut builder = FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32);
            for value in values {
                match value {
                    Some(Value::Key(key)) => builder.append_value(key).map_err(|error| Error::io("a batch", error))?,
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    })
}
