//! Content keys in a column of a file.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::entries::parse_key;
use crate::doc::ContentKey;

/// A column of content keys: as bytes, or in hexadecimal digits as JSON Lines have them.
pub struct KeyColumn(ArrayRef);

impl KeyColumn {
    /// A view of a column. The message says what it should have been.
    pub fn new(column: &ArrayRef) -> Result<Self, String> {
        let as_one = match column.data_type() {
            DataType::FixedSizeBinary(16) | DataType::Null => Ok(column.clone()),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => cast(column, &DataType::LargeBinary),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => cast(column, &DataType::LargeUtf8),
            DataType::Dictionary(_, of) if of.is_string() => cast(column, &DataType::LargeUtf8),
            other => return Err(format!("it is {other}, expected keys of 16 bytes, or of 32 hexadecimal digits")),
        };
        as_one.map(Self).map_err(|error| error.to_string())
    }

    /// Whether a row has none.
    pub fn is_null(&self, row: usize) -> bool {
        self.0.is_null(row) || *self.0.data_type() == DataType::Null
    }

    /// The key in a row; `None` if there is none, or something else.
    pub fn get(&self, row: usize) -> Option<ContentKey> {
        if self.is_null(row) {
            return None;
        }
        match self.0.data_type() {
            DataType::LargeUtf8 => parse_key(self.0.as_string::<i64>().value(row)).map(u128::to_be_bytes),
            DataType::LargeBinary => self.0.as_binary::<i64>().value(row).try_into().ok(),
            _ => self.0.as_fixed_size_binary().value(row).try_into().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, FixedSizeBinaryArray, Int32Array, StringArray};

    use super::*;

    #[track_caller]
    fn check(column: &ArrayRef, expected: [Option<u8>; 2]) {
        let keys = KeyColumn::new(column).expect("keys");
        assert_eq!([0, 1].map(|row| keys.get(row)), expected.map(|byte| byte.map(|byte| [byte; 16])));
    }

    #[test]
    fn keys_are_bytes_or_digits() {
        let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([7; 16]), None].into_iter(), 16);
        check(&(Arc::new(bytes.expect("of one size")) as ArrayRef), [Some(7), None]);
        check(&(Arc::new(BinaryArray::from_vec(vec![&[9; 16], b"short"])) as ArrayRef), [Some(9), None]);
        check(&(Arc::new(StringArray::from(vec!["AB".repeat(16), "xy".repeat(16)])) as ArrayRef), [Some(0xab), None]);
        let error = KeyColumn::new(&(Arc::new(Int32Array::from(vec![1])) as ArrayRef)).err();
        assert_eq!(error.as_deref(), Some("it is Int32, expected keys of 16 bytes, or of 32 hexadecimal digits"));
    }
}
