//! The annotators: stages that add columns. One idea a file; this table names them all.

use crate::stage::Entry;

pub mod content_key;
pub mod counts;
pub mod fasttext;
mod han_script;
pub mod kind;
pub mod language;
mod language_codes;
pub mod origin_key;
pub mod pii_counts;

/// Every annotator: the names of a document first, then what it is.
pub const ALL: &[Entry] = &[
    Entry::annotator::<origin_key::OriginKey>(),
    Entry::annotator::<content_key::ContentKey>(),
    Entry::annotator::<counts::Counts>(),
    Entry::annotator::<language::Language>(),
    Entry::annotator::<pii_counts::PiiCounts>(),
    Entry::annotator::<kind::Kind>(),
    Entry::annotator::<fasttext::Fasttext>(),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ALL;
    use crate::doc::{Doc, Value};
    use crate::stage::{Annotator, Entry, Stage};

    fn annotators() -> impl Iterator<Item = (&'static Entry, Box<dyn Annotator>)> {
        ALL.iter().map(|entry| match (entry.sample)() {
            Stage::Annotate(stage) => (entry, stage),
            _ => panic!("{} is not an annotator", entry.name),
        })
    }

    fn values(stage: &dyn Annotator, text: &str) -> Vec<Value> {
        let mut row = Vec::new();
        stage.annotate(&Doc::bare(text), &mut row);
        row
    }

    #[test]
    fn names_and_columns_are_snake_case_and_unique() {
        let mut names: Vec<_> = ALL.iter().map(|entry| entry.name.to_owned()).collect();
        let mut columns: Vec<_> =
            annotators().flat_map(|(_, stage)| stage.columns()).map(|field| field.name().clone()).collect();
        for list in [&mut names, &mut columns] {
            assert!(list.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')), "{list:?}");
            let n = list.len();
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), n);
        }
    }

    proptest! {
        #[test]
        fn every_text_gets_one_fitting_value_per_column(text in r"(?s)\PC*|.*|[a-z\u{300}-\u{3ff} ]{0,8}") {
            for (entry, stage) in annotators() {
                let columns = stage.columns();
                let row = values(&*stage, &text);
                prop_assert_eq!(row.len(), columns.len(), "{}", entry.name);
                for (value, column) in row.iter().zip(&columns) {
                    let fits = match value {
                        Value::Null => column.is_nullable(),
                        Value::Str(_) => column.data_type() == &arrow::datatypes::DataType::Utf8,
                        Value::U32(_) => column.data_type() == &arrow::datatypes::DataType::UInt32,
                        Value::F32(x) => column.data_type() == &arrow::datatypes::DataType::Float32 && x.is_finite(),
                        Value::F64(x) => column.data_type() == &arrow::datatypes::DataType::Float64 && x.is_finite(),
                        Value::Time(_) => column.data_type().is_temporal(),
                        Value::Key(_) => column.data_type() == &crate::stage::key_type(),
                    };
                    prop_assert!(fits, "{}: {value} in {column}", entry.name);
                }
                prop_assert_eq!(values(&*stage, &text), row, "the same text, the same values");
            }
        }
    }

    #[test]
    fn giants_and_crumbs_are_taken() {
        let texts = [
            "a",
            "a ",
            "é",
            "ы",
            "ا",
            "א",
            "ह",
            "\u{301}",
            "\0",
            "\u{fffd}",
            &"x".repeat(1 << 20),
            &"字".repeat(1 << 18),
        ];
        for (_, stage) in annotators() {
            for text in texts {
                assert_eq!(values(&*stage, text).len(), stage.columns().len());
            }
        }
    }
}
