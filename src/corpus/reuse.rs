//! Says how often each document was used in training, and what a further use is worth.

use std::fs::File;
use std::path::PathBuf;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{ContentKey, Doc, DocId, Value, content_key};
use crate::error::{Error, Result};
use crate::reuse::weight::{Curve, Weight};
use crate::stage::{CorpusStage, EXTERNAL, Exchange, Ruled, Settings, key_type};

/// Adds `reuse_count`, the uses of each document in training so far, and `sampling_weight`, what a further
/// use is worth.
///
/// Documents are recognised by their text: as it is here, or as this pass first read it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reuse {
    /// A Parquet file with a row for each use or sum of uses: `key` (content key, 16 bytes) and `uses`
    /// (an integer). Rows of the same key are added up. Without a file nothing counts as used.
    pub uses: Option<PathBuf>,
    /// How the worth falls with the uses: `"repeat_value"`, `"linear"`, `"cap"` or `"none"`.
    pub curve: Curve,
    /// For `repeat_value`: after how many repeats a further one is worth 1/e of a first use. Muennighoff
    /// et al. 2023 (arXiv 2305.16264), section 5: 15.39.
    pub r_star: f64,
    /// The uses from which on the weight is 0. Muennighoff et al. 2023: up to 4 epochs are nearly as good
    /// as fresh data.
    pub cap: u32,
}

impl Default for Reuse {
    fn default() -> Self {
        let Weight { curve, r_star, cap } = Weight::default();
        Self { uses: None, curve, r_star, cap }
    }
}

impl Settings for Reuse {
    const NAME: &'static str = "reuse";
    const ABOUT: &'static str = "adds reuse_count and sampling_weight: uses so far, and what one more is worth";
    type Stage = ReuseStage;

    fn build(self) -> Result<ReuseStage, String> {
        let weight = Weight { curve: self.curve, r_star: self.r_star, cap: self.cap }.checked()?;
        Ok(ReuseStage { uses: self.uses, weight })
    }
}

/// [`Reuse`], checked.
#[derive(Debug, Clone)]
pub struct ReuseStage {
    uses: Option<PathBuf>,
    weight: Weight,
}

impl CorpusStage for ReuseStage {
    fn columns(&self) -> Vec<Field> {
        vec![Field::new("reuse_count", DataType::UInt32, true), Field::new("sampling_weight", DataType::Float32, true)]
    }

    fn sections(&self) -> usize {
        1
    }

    fn keys(&self, doc: &Doc<'_>, send: &mut dyn FnMut(usize, u128)) {
        let key = doc.content_key();
        send(0, u128::from_be_bytes(key));
        let origin = if doc.origin() == doc.text() { key } else { content_key(doc.origin()) };
        if origin != key {
            send(0, u128::from_be_bytes(origin));
        }
    }

    fn resolve(&self, exchange: &mut dyn Exchange) -> Result<()> {
        let Some(path) = &self.uses else { return Ok(()) };
        exchange.add_keys(0, &mut UsesFile::open(path.clone())?)?;
        let pairs = exchange.group_first_k(0..1, 0)?;
        // A document meets the uses of its text and those of its origin, one after the other.
        let mut current: Option<(DocId, u64)> = None;
        for pair in exchange.scan_by_second(&pairs)? {
            let pair = pair?;
            debug_assert_eq!(pair.first.doc.to_u64(), EXTERNAL);
            let (doc, uses) = (pair.second.doc, pair.first.rank);
            match &mut current {
                Some((same, sum)) if *same == doc => *sum = sum.saturating_add(uses),
                _ => {
                    if let Some((doc, uses)) = current.replace((doc, uses)) {
                        exchange.give(doc, uses)?;
                    }
                }
            }
        }
        current.map_or(Ok(()), |(doc, uses)| exchange.give(doc, uses))
    }

    fn annotate(&self, _doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        let uses = ruled.given.unwrap_or(0);
        row.push(Value::U32(u32::try_from(uses).unwrap_or(u32::MAX)));
        row.push(Value::F32(self.weight.of(uses) as f32));
    }
}

/// The rows of a file of uses, read a batch at a time.
struct UsesFile {
    path: PathBuf,
    batches: parquet::arrow::arrow_reader::ParquetRecordBatchReader,
    rows: std::vec::IntoIter<(u128, u64)>,
}

impl UsesFile {
    fn open(path: PathBuf) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| Error::io(path.display(), error);
        let file = File::open(&path).map_err(|error| failed(&error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(&error))?;
        let column = |name: &str, fits: fn(&DataType) -> bool, expected: &str| {
            let (at, field) = builder
                .schema()
                .column_with_name(name)
                .ok_or_else(|| failed(&format!("no column `{name}`, expected {expected}")))?;
            if fits(field.data_type()) {
                Ok(at)
            } else {
                Err(failed(&format!("column `{name}` is {}, expected {expected}", field.data_type())))
            }
        };
        let is_key = |t: &DataType| *t == key_type() || *t == DataType::Binary;
        let key = column("key", is_key, "content keys of 16 bytes")?;
        let uses = column("uses", DataType::is_integer, "integers")?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), [key, uses]);
        let batches = builder.with_projection(mask).build().map_err(|error| failed(&error))?;
        Ok(Self { path, batches, rows: Vec::new().into_iter() })
    }

    fn rows(&self, batch: &RecordBatch) -> Result<Vec<(u128, u64)>> {
        let failed = |error: &dyn std::fmt::Display| Error::io(self.path.display(), error);
        let column = |name| batch.column_by_name(name).ok_or_else(|| failed(&format!("no column `{name}`")));
        let keys = cast_with_options(column("key")?, &DataType::Binary, &STRICT).map_err(|error| failed(&error))?;
        let uses = cast_with_options(column("uses")?, &DataType::Int64, &STRICT).map_err(|error| failed(&error))?;
        let rows = keys.as_binary::<i32>().iter().zip(uses.as_primitive::<Int64Type>().iter());
        rows.map(|(key, uses)| {
            let key = key.ok_or_else(|| failed(&"a row has no `key`"))?;
            let key: ContentKey =
                key.try_into().map_err(|_| failed(&format!("a `key` has {} bytes, expected 16", key.len())))?;
            let uses = uses.ok_or_else(|| failed(&"a row has no `uses`"))?;
            let uses = uses.try_into().map_err(|_| failed(&format!("a row has {uses} `uses`, expected 0 or more")))?;
            Ok((u128::from_be_bytes(key), uses))
        })
        .collect()
    }
}

/// A number that does not fit is an error, not a null.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

impl Iterator for UsesFile {
    type Item = Result<(u128, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            let batch = self.batches.next()?.map_err(|error| Error::io(self.path.display(), error));
            match batch.and_then(|batch| self.rows(&batch)) {
                Ok(rows) => self.rows = rows.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
