//! Bytes that are found to be text.

use arrow::array::{Array, BinaryViewArray, StringViewArray};

/// The strings that the bytes are, unless some are not UTF-8.
///
/// Does what `BinaryViewArray::to_string_view` does; but every text is checked in every pass, and that took one
/// part in twenty of the time of a deduplication. simdutf8 checks ten times as fast.
#[allow(unsafe_code, reason = "arrow takes the word of nobody but `str` that bytes are UTF-8")]
pub(super) fn text_of(bytes: &BinaryViewArray) -> Option<StringViewArray> {
    if !(0..bytes.len()).all(|row| simdutf8::basic::from_utf8(bytes.value(row)).is_ok()) {
        return None;
    }
    // SAFETY: each value is UTF-8, those of nulls too, and all else that is asked of views the array promises already.
    Some(unsafe { bytes.clone().to_string_view_unchecked() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Holds it against arrow's own way, which is slower and needs no trust.
    fn check(bytes: &BinaryViewArray) {
        assert_eq!(text_of(bytes), bytes.clone().to_string_view().ok());
    }

    #[test]
    fn characters_must_not_be_cut_between_two_texts() {
        assert!(text_of(&BinaryViewArray::from_iter_values([b"\xe4\xb8", &b"\xad"[..]])).is_none());
        assert!(text_of(&BinaryViewArray::from_iter_values(["中", ""])).is_some());
    }

    #[test]
    fn no_rows_and_nulls_are_text() {
        check(&BinaryViewArray::from_iter_values([""; 0]));
        check(&BinaryViewArray::from_iter([None, Some("a"), None]));
    }

    proptest! {
        #[test]
        fn it_finds_what_arrow_finds(
            rows in prop::collection::vec(
                prop::option::of(prop::collection::vec(
                    prop::sample::select(vec![&b"a"[..], b"a long word", "é".as_bytes(), "中".as_bytes(), b"\xe4", b"\xff"]),
                    0..4,
                )),
                0..6,
            ),
            from in 0usize..3,
        ) {
            let rows: Vec<Option<Vec<u8>>> = rows.into_iter().map(|row| row.map(|parts| parts.concat())).collect();
            let from = from.min(rows.len());
            let bytes: BinaryViewArray = rows.iter().map(Option::as_deref).collect();
            check(&bytes);
            // A part of a longer array.
            check(&bytes.slice(from, rows.len() - from));
        }
    }
}
