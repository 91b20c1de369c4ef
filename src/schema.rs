//! One schema for a corpus whose shards differ, and how a batch of one shard is fitted to it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::error::{Error, Result};

/// The schema that documents of all these shards fit: columns in the order they are first met, a missing
/// column null, whole and decimal numbers of different widths widened. A real conflict is refused, naming
/// both files.
pub fn unify<'a>(shards: impl IntoIterator<Item = (&'a str, &'a Schema)>) -> Result<Schema> {
    let mut columns: Vec<(FieldRef, &str, usize)> = Vec::new();
    let mut n_shards = 0;
    for (file, schema) in shards {
        n_shards += 1;
        for field in schema.fields() {
            let Some((known, known_file, seen)) = columns.iter_mut().find(|(known, ..)| known.name() == field.name())
            else {
                columns.push((field.clone(), file, 1));
                continue;
            };
            *seen += 1;
            let common = common_type(known.data_type(), field.data_type()).ok_or_else(|| {
                Error::refused(format!(
                    "column `{}` is {} in {known_file} but {} in {file}; convert one of them, or run them apart",
                    field.name(),
                    known.data_type(),
                    field.data_type()
                ))
            })?;
            let nullable = known.is_nullable() || field.is_nullable();
            *known = Arc::new(known.as_ref().clone().with_data_type(common).with_nullable(nullable));
        }
    }
    let fields = columns.into_iter().map(|(field, _, seen)| {
        let nullable = field.is_nullable() || seen < n_shards;
        field.as_ref().clone().with_nullable(nullable)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The narrowest type that values of both types fit, or `None` if there is none.
fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Dictionary, FixedSizeList, Float16, Float32, Float64, Int64, LargeList, LargeUtf8, List, Null, UInt64, Utf8,
        Utf8View,
    };
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (Dictionary(_, a), b) if !matches!(b, Dictionary(..)) => common_type(a, b),
        (a, Dictionary(_, b)) if !matches!(a, Dictionary(..)) => common_type(a, b),
        (Dictionary(_, a), Dictionary(_, b)) => common_type(a, b),
        (LargeUtf8, Utf8 | Utf8View) | (Utf8 | Utf8View, LargeUtf8) => Some(LargeUtf8),
        (Utf8, Utf8View) | (Utf8View, Utf8) => Some(Utf8),
        (Float16 | Float32, Float32 | Float16) => Some(Float32),
        (a, b) if a.is_floating() && b.is_numeric() || a.is_numeric() && b.is_floating() => {
            (!is_decimal(a) && !is_decimal(b)).then_some(Float64)
        }
        (a, b) if a.is_unsigned_integer() && b.is_unsigned_integer() => {
            Some(if a.primitive_width() > b.primitive_width() { a.clone() } else { b.clone() })
        }
        (UInt64, b) | (b, UInt64) if b.is_signed_integer() => None,
        (a, b) if a.is_integer() && b.is_integer() => Some(if a.is_signed_integer() && b.is_signed_integer() {
            if a.primitive_width() > b.primitive_width() { a.clone() } else { b.clone() }
        } else {
            Int64
        }),
        // Writers name and mark the members of lists differently.
        (List(a), List(b)) => common_member(a, b).map(List),
        (LargeList(a) | List(a), LargeList(b) | List(b)) => common_member(a, b).map(LargeList),
        (FixedSizeList(a, n), FixedSizeList(b, m)) if n == m => {
            common_member(a, b).map(|field| FixedSizeList(field, *n))
        }
        (DataType::Struct(a), DataType::Struct(b)) if a.len() == b.len() => {
            let fields = a.iter().zip(b).map(|(a, b)| if a.name() == b.name() { common_member(a, b) } else { None });
            fields.collect::<Option<Vec<_>>>().map(|fields| DataType::Struct(fields.into()))
        }
        _ => None,
    }
}

fn common_member(a: &Field, b: &Field) -> Option<FieldRef> {
    let common = common_type(a.data_type(), b.data_type())?;
    Some(Arc::new(a.clone().with_data_type(common).with_nullable(a.is_nullable() || b.is_nullable())))
}

fn is_decimal(data_type: &DataType) -> bool {
    data_type.is_decimal()
}

/// A batch with the columns of `schema`, in its order: missing ones null, others cast where their type differs.
pub fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &FieldRef| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => cast(column, field.data_type()),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, DataType, bool)]) -> Schema {
        Schema::new(columns.iter().map(|(name, ty, null)| Field::new(*name, ty.clone(), *null)).collect::<Vec<_>>())
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that tests read as tables")]
    fn check(a: DataType, b: DataType, expected: Option<DataType>) {
        assert_eq!(common_type(&a, &b), expected);
        assert_eq!(common_type(&b, &a), expected, "either way round");
    }

    #[test]
    fn numbers_are_widened() {
        check(DataType::Int32, DataType::Int64, Some(DataType::Int64));
        check(DataType::UInt8, DataType::UInt32, Some(DataType::UInt32));
        check(DataType::UInt32, DataType::Int8, Some(DataType::Int64));
        check(DataType::Int64, DataType::Float32, Some(DataType::Float64));
        check(DataType::UInt64, DataType::Int64, None);
    }

    #[test]
    fn strings_of_any_layout_agree() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        check(DataType::Utf8, DataType::LargeUtf8, Some(DataType::LargeUtf8));
        check(dictionary.clone(), DataType::Utf8, Some(DataType::Utf8));
        check(dictionary, DataType::LargeUtf8, Some(DataType::LargeUtf8));
        check(DataType::Utf8, DataType::Int64, None);
        check(DataType::Null, DataType::Utf8, Some(DataType::Utf8));
    }

    #[test]
    fn a_missing_column_becomes_null() {
        let a = schema(&[("text", DataType::Utf8, false), ("url", DataType::Utf8, false)]);
        let b = schema(&[("text", DataType::Utf8, false)]);
        let unified = unify([("a", &a), ("b", &b)]).expect("they agree");
        assert_eq!(unified, schema(&[("text", DataType::Utf8, false), ("url", DataType::Utf8, true)]));
    }

    #[test]
    fn a_conflict_names_both_files() {
        let a = schema(&[("date", DataType::Utf8, true)]);
        let b = schema(&[("date", DataType::Int64, true)]);
        let error = unify([("a.parquet", &a), ("b.parquet", &b)]).expect_err("a conflict");
        assert_eq!(
            error.to_string(),
            "column `date` is Utf8 in a.parquet but Int64 in b.parquet; convert one of them, or run them apart"
        );
    }
}
