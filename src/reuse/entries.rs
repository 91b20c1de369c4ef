//! What the ledger knows, read from the files of many runs as one list in the order of its keys.
//!
//! ```text
//! run=NAME/part-….parquet            key FixedSizeBinary(16)   uses UInt32   tokens UInt64   source Utf8
//! _origins/run=NAME/part-….parquet   origin_key FixedSizeBinary(16)   key FixedSizeBinary(16)
//! ```
//!
//! Each run's rows are sorted, the first kind with one row a key. So a list of all of them is a merge, which holds a few
//! windows of each run and nothing else, however much there is.

use std::collections::VecDeque;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt32Type, UInt64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::statistics::Statistics;

use super::ledger::LedgerFile;
use super::time::Time;
use super::window::Windows;
use crate::doc::ContentKey;
use crate::error::{Error, Result};
use crate::exchange::blocks::damaged;
use crate::exchange::record::{Record, take};
use crate::stage::key_type;
use crate::store::Folder;

/// The rows that are decoded at a time.
const BATCH_ROWS: usize = 4096;

/// The least bytes of a column that are read at a time.
const LEAST_WINDOW: usize = 64 << 10;

/// What the ledger knows of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its content key.
    pub key: u128,
    /// How often it was drawn.
    pub uses: u64,
    /// The tokens of all these uses together.
    pub tokens: u64,
    /// The time of the last run that drew it.
    pub last_used: Time,
}

impl Entry {
    /// Adds what another run has drawn of the same text.
    pub fn add(&mut self, other: Self) {
        self.uses = self.uses.saturating_add(other.uses);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.last_used = self.last_used.max(other.last_used);
    }
}

impl Record for Entry {
    const KIND: u32 = 14;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        for number in [self.uses, self.tokens, self.last_used.seconds()] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = u128::from_le_bytes(take(bytes)?);
        let mut number = || take(bytes).map(u64::from_le_bytes);
        Some(Self { key, uses: number()?, tokens: number()?, last_used: Time::of_seconds(number()?) })
    }
}

/// A text as it was first read, and as what it was drawn in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The content key of the text as first read.
    pub origin: u128,
    /// The content key of what was drawn.
    pub key: u128,
}

impl Record for Origin {
    const KIND: u32 = 15;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.origin.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let origin = u128::from_le_bytes(take(bytes)?);
        Some(Self { origin, key: u128::from_le_bytes(take(bytes)?) })
    }
}

/// A column of a file, with its type.
pub(super) type Column = (&'static str, fn() -> DataType);

/// A row of a file of the ledger.
pub(super) trait FileRow: Record + Copy {
    /// The columns that are read, the one that the rows are sorted by first.
    const COLUMNS: &'static [Column];

    /// Whether rows may begin with the same key.
    const REPEATS: bool;

    /// The rows of a batch of these columns, none of which has a null.
    fn rows(batch: &RecordBatch, time: Time) -> Vec<Self>;

    /// What the rows are sorted by.
    fn sorted_by(&self) -> u128;
}

impl FileRow for Entry {
    const COLUMNS: &'static [Column] =
        &[("key", key_type), ("uses", || DataType::UInt32), ("tokens", || DataType::UInt64)];
    const REPEATS: bool = false;

    fn rows(batch: &RecordBatch, time: Time) -> Vec<Self> {
        let uses = batch.column(1).as_primitive::<UInt32Type>().values();
        let tokens = batch.column(2).as_primitive::<UInt64Type>().values();
        let row = |((key, &uses), &tokens)| Self { key, uses: u64::from(uses), tokens, last_used: time };
        keys(batch, 0).zip(uses).zip(tokens).map(row).collect()
    }

    fn sorted_by(&self) -> u128 {
        self.key
    }
}

impl FileRow for Origin {
    const COLUMNS: &'static [Column] = &[("origin_key", key_type), ("key", key_type)];
    const REPEATS: bool = true;

    fn rows(batch: &RecordBatch, _: Time) -> Vec<Self> {
        keys(batch, 0).zip(keys(batch, 1)).map(|(origin, key)| Self { origin, key }).collect()
    }

    fn sorted_by(&self) -> u128 {
        self.origin
    }
}

/// The keys in a column.
pub(super) fn keys(batch: &RecordBatch, column: usize) -> impl Iterator<Item = u128> {
    // Its type is known: keys of sixteen bytes.
    let keys = batch.column(column).as_fixed_size_binary().iter();
    keys.map(|key| key.and_then(|key| ContentKey::try_from(key).ok()).map_or(0, u128::from_be_bytes))
}

/// The rows of some files of one run, one file after the other, each opened when its turn comes.
pub(super) struct FileRows<R> {
    folder: Folder,
    files: VecDeque<LedgerFile>,
    time: Time,
    /// The bytes that may be read ahead.
    buffer: usize,
    /// Only row groups that can have this key are read.
    only: Option<u128>,
    current: Option<Open<R>>,
    last: Option<R>,
    done: bool,
}

struct Open<R> {
    name: String,
    batches: ParquetRecordBatchReader,
    /// Those that were decoded last and are still to come.
    rows: std::vec::IntoIter<R>,
    /// The rows that must still come.
    left: u64,
}

impl<R: FileRow> FileRows<R> {
    pub(super) fn new(folder: &Folder, files: &[LedgerFile], time: Time, buffer: usize) -> Self {
        let files = files.iter().cloned().collect();
        Self { folder: folder.clone(), files, time, buffer, only: None, current: None, last: None, done: false }
    }

    /// Leaves out what can be seen not to have `key` without reading it.
    pub(super) fn around(self, key: u128) -> Self {
        Self { only: Some(key), ..self }
    }

    fn open(&self, file: &LedgerFile) -> Result<Open<R>> {
        let name = self.folder.name_of(&file.path);
        let broken = |error: &dyn std::fmt::Display| damaged(&name, error);
        let bytes = self.folder.open(&file.path)?;
        if bytes.size() != file.bytes {
            let said = format!("it has {} bytes, its run says {}", bytes.size(), file.bytes);
            return Err(broken(&said));
        }
        let window = (self.buffer / R::COLUMNS.len()).max(LEAST_WINDOW);
        let windows = Windows::new(bytes, window, R::COLUMNS.len());
        // The columns say themselves what they are. What Arrow has noted beside them, damaged, makes its reader panic.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(windows, options);
        let mut builder = builder.map_err(|error| broken(&error))?;
        let mut roots = Vec::new();
        for (column, data_type) in R::COLUMNS {
            let fits = |field: &arrow::datatypes::Field| *field.data_type() == data_type();
            let found = builder.schema().column_with_name(column).filter(|(_, field)| fits(field));
            let (root, _) = found.ok_or_else(|| broken(&format!("it has no column `{column}` of {}", data_type())))?;
            roots.push(root);
        }
        if !roots.is_sorted() {
            return Err(broken(&"its columns are in another order"));
        }
        let mut left = file.rows;
        if let Some(key) = self.only {
            let groups: Vec<usize> = (0..builder.metadata().num_row_groups())
                .filter(|&group| may_have(builder.metadata().row_group(group).column(roots[0]).statistics(), key))
                .collect();
            let rows = groups.iter().map(|&group| builder.metadata().row_group(group).num_rows());
            left = rows.fold(0, |sum, rows| sum.saturating_add(u64::try_from(rows).unwrap_or(0)));
            builder = builder.with_row_groups(groups);
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let batches = batches.map_err(|error| broken(&error))?;
        Ok(Open { name, batches, rows: Vec::new().into_iter(), left })
    }

    fn read(&mut self) -> Result<Option<R>> {
        loop {
            let Some(open) = &mut self.current else {
                let Some(file) = self.files.pop_front() else { return Ok(None) };
                self.current = Some(self.open(&file)?);
                continue;
            };
            if let Some(row) = open.rows.next() {
                let in_order = self.last.is_none_or(|last| {
                    last.sorted_by() < row.sorted_by() || R::REPEATS && last.sorted_by() == row.sorted_by()
                });
                if !in_order {
                    return Err(damaged(&open.name, "its rows are not in the order of their keys"));
                }
                self.last = Some(row);
                return Ok(Some(row));
            }
            let Some(batch) = open.batches.next() else {
                if open.left > 0 {
                    return Err(damaged(&open.name, format!("it has {} rows less than its run says", open.left)));
                }
                self.current = None;
                continue;
            };
            let batch = batch.map_err(|error| damaged(&open.name, error))?;
            let left = open.left.checked_sub(batch.num_rows() as u64);
            open.left = left.ok_or_else(|| damaged(&open.name, "it has more rows than its run says"))?;
            if batch.columns().iter().any(|column| column.null_count() > 0) {
                return Err(damaged(&open.name, "a row lacks a value"));
            }
            open.rows = R::rows(&batch, self.time).into_iter();
        }
    }
}

impl<R: FileRow> Iterator for FileRows<R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        if self.done {
            return None;
        }
        let row = self.read().transpose();
        self.done = !matches!(row, Some(Ok(_)));
        row
    }
}

/// Whether a row group can have a key, by what its footer says.
fn may_have(statistics: Option<&Statistics>, key: u128) -> bool {
    let key = key.to_be_bytes();
    match statistics.and_then(|statistics| Some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?))) {
        Some((min, max)) => min <= &key[..] && &key[..] <= max,
        None => true,
    }
}

/// Entries in the order of their keys, those of the same key added up.
pub(super) fn added_up(rows: impl Iterator<Item = Result<Entry>>) -> impl Iterator<Item = Result<Entry>> {
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let mut entry = match rows.next()? {
            Ok(entry) => entry,
            failed => return Some(failed),
        };
        loop {
            match rows.next_if(|next| next.as_ref().map_or(true, |next| next.key == entry.key)) {
                Some(Ok(more)) => entry.add(more),
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok(entry)),
            }
        }
    })
}

/// The content key that a text of 32 hexadecimal digits writes.
pub fn parse_key(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Fails with what a run says of a file and what the file is.
pub(super) fn check_file(folder: &Folder, file: &LedgerFile, checksum: &str) -> Result<()> {
    if *checksum == file.checksum {
        return Ok(());
    }
    let said = format!("its checksum is {checksum}, its run says {}", file.checksum);
    Err(Error::io(folder.name_of(&file.path), format!("the file is damaged: {said}")))
}
