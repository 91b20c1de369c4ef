//! Writes what a training run has drawn into a ledger.
//!
//! Documents come in any order; what is written depends on them alone, not on their order or on the shards that they
//! came in. What does not fit in memory is sorted through files.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, RecordBatch, StringBuilder, UInt32Builder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::entries::Origin;
use super::ledger::{Ledger, LedgerFile, Manifest};
use super::time::Time;
use crate::doc::ContentKey;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::record::{Record, put_text, put_varint, take, take_text, take_varint};
use crate::exchange::sort::Sorter;
use crate::stage::key_type;
use crate::store::{Folder, Summed};

/// The rows of a file: some 300 MB of keys, so that other tools can read a run with many hands.
const FILE_ROWS: u64 = 1 << 24;
/// The rows of a row group.
const GROUP_ROWS: usize = 1 << 18;
/// The rows that go to the Parquet writer at once.
pub(super) const SLICE_ROWS: usize = 8192;
/// The bytes of a page, a small part of what a reader holds of a file.
const PAGE_BYTES: usize = 64 << 10;

/// A run that is being recorded.
pub struct Recording<'l> {
    ledger: &'l Ledger,
    manifest: Manifest,
    rows: Sorter<Row>,
    origins: Sorter<Origin>,
    /// What was added, whatever the order.
    digest: u128,
}

/// What may be said of a run beside its documents.
#[derive(Debug, Clone)]
pub struct About {
    /// What it is called.
    pub run: String,
    /// Whether it may have been recorded before, and then counts once more.
    pub again: bool,
    /// When it took place.
    pub time: Time,
    /// How often it went through the documents.
    pub epochs: u32,
    /// What else is to be known of it.
    pub parameters: Map<String, Value>,
}

impl<'l> Recording<'l> {
    /// Begins to record a run. Refused if it was recorded before, unless it shall be so again.
    pub fn new(ledger: &'l Ledger, about: About, room: Room<'_>) -> Result<Self> {
        let About { run, again, time, epochs, parameters } = about;
        let name = ledger.next_name(&run, again)?;
        if epochs == 0 {
            return Err(Error::refused("`epochs` is 0, expected a whole number, 1 or above"));
        }
        Ok(Self {
            ledger,
            manifest: Manifest::new(&name, time, epochs, parameters),
            rows: Sorter::new(room.dir, room.memory / 4 * 3),
            origins: Sorter::unique(room.dir, room.memory / 4),
            digest: 0,
        })
    }

    /// What it is going to be called.
    pub fn name(&self) -> &str {
        &self.manifest.run
    }

    /// The documents that were added so far.
    pub fn documents(&self) -> u64 {
        self.manifest.totals.documents
    }

    /// Adds a document that each epoch has drawn `uses` times, each time `tokens` tokens. Documents with the same key
    /// are added up.
    pub fn add(
        &mut self,
        key: ContentKey,
        origin: Option<ContentKey>,
        uses: u64,
        tokens: u64,
        source: Option<&str>,
    ) -> Result<()> {
        let run = &self.manifest.run;
        let too_many = || Error::refused(format!("{run}: more uses or tokens than can be counted (2^64)"));
        let uses = uses.checked_mul(self.manifest.epochs.into()).ok_or_else(too_many)?;
        let tokens = tokens.checked_mul(uses).ok_or_else(too_many)?;
        let totals = &mut self.manifest.totals;
        totals.documents += 1;
        if uses == 0 {
            return Ok(());
        }
        totals.uses = totals.uses.checked_add(uses).ok_or_else(too_many)?;
        totals.tokens = totals.tokens.checked_add(tokens).ok_or_else(too_many)?;
        let row = Row { key: u128::from_be_bytes(key), source: source.map(Into::into), uses, tokens };
        let mut bytes = Vec::with_capacity(64);
        row.encode(&mut bytes);
        if let Some(origin) = origin.filter(|origin| *origin != key) {
            bytes.extend_from_slice(&origin);
            self.origins.push(Origin { origin: u128::from_be_bytes(origin), key: row.key })?;
        }
        self.digest = self.digest.wrapping_add(xxh3_128(&bytes));
        self.rows.push(row)
    }

    /// Writes the files and then the manifest, from which on the run counts. Refused if another process has recorded
    /// a run of this name meanwhile.
    pub fn commit(self) -> Result<Manifest> {
        let Self { ledger, mut manifest, rows, origins, digest } = self;
        let folder = ledger.folder();
        ledger.make()?;
        let stem = format!("part-{:016x}", (digest >> 64) as u64 ^ digest as u64);
        let mut files = Files::new(folder, format!("{}/{stem}", manifest.folder()), entry_schema());
        let mut slice = EntrySlice::default();
        let mut sum: Option<Row> = None;
        let mut done = |row: Row, files: &mut Files<'_>| {
            manifest.totals.keys += 1;
            slice.push(&row, &manifest.run)?;
            if slice.n_rows == SLICE_ROWS { files.write(slice.take()) } else { Ok(()) }
        };
        for row in rows.finish()? {
            let row = row?;
            match &mut sum {
                Some(sum) if sum.key == row.key => {
                    sum.uses += row.uses;
                    sum.tokens += row.tokens;
                    // Rows of a key come in the order of their sources, those without one first.
                    if sum.source.is_none() {
                        sum.source = row.source;
                    }
                }
                _ => {
                    if let Some(complete) = sum.replace(row) {
                        done(complete, &mut files)?;
                    }
                }
            }
        }
        if let Some(last) = sum {
            done(last, &mut files)?;
        }
        files.write(slice.take())?;
        manifest.files = files.finish()?;
        let mut files = Files::new(folder, format!("{}/{stem}", manifest.origins_folder()), origin_schema());
        let mut slice = OriginSlice::default();
        for origin in origins.finish()? {
            slice.push(origin?)?;
            if slice.n_rows == SLICE_ROWS {
                files.write(slice.take())?;
            }
        }
        files.write(slice.take())?;
        manifest.origins = files.finish()?;
        if ledger.commit(&manifest)? {
            return Ok(manifest);
        }
        // Nothing refers to our files, unless the other one has recorded just the same.
        let other = ledger.manifest_now(&manifest.run)?;
        let theirs = |file: &&LedgerFile| {
            let named =
                |other: &Manifest| other.files.iter().chain(&other.origins).any(|known| known.path == file.path);
            other.as_ref().is_some_and(named)
        };
        let ours = manifest.files.iter().chain(&manifest.origins).filter(|file| !theirs(file));
        ours.map(|file| &file.path).try_for_each(|path| folder.remove(path))?;
        Err(Error::refused(format!(
            "{}: another process has recorded the run `{}` meanwhile; if this is one more, record it again with --again",
            folder.name(),
            manifest.run
        )))
    }
}

/// What was drawn of a text, before it is added up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    key: u128,
    source: Option<Box<str>>,
    uses: u64,
    tokens: u64,
}

impl Record for Row {
    const KIND: u32 = 16;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        put_varint(self.uses, out);
        put_varint(self.tokens, out);
        put_text(self.source.as_deref(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = u128::from_le_bytes(take(bytes)?);
        let (uses, tokens) = (take_varint(bytes)?, take_varint(bytes)?);
        let source = take_text(bytes)?;
        Some(Self { key, source, uses, tokens })
    }

    fn heap_size(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.len())
    }
}

fn entry_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", key_type(), false),
        Field::new("uses", DataType::UInt32, false),
        Field::new("tokens", DataType::UInt64, false),
        Field::new("source", DataType::Utf8, true),
    ]))
}

pub(super) fn origin_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("origin_key", key_type(), false), Field::new("key", key_type(), false)]))
}

/// Rows on their way to the Parquet writer.
struct EntrySlice {
    keys: FixedSizeBinaryBuilder,
    uses: UInt32Builder,
    tokens: UInt64Builder,
    sources: StringBuilder,
    n_rows: usize,
}

impl Default for EntrySlice {
    fn default() -> Self {
        let keys = FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32);
        let (uses, tokens, sources) = (UInt32Builder::new(), UInt64Builder::new(), StringBuilder::new());
        Self { keys, uses, tokens, sources, n_rows: 0 }
    }
}

impl EntrySlice {
    fn push(&mut self, row: &Row, run: &str) -> Result<()> {
        let key = row.key.to_be_bytes();
        let uses = u32::try_from(row.uses).map_err(|_| {
            let (uses, key) = (row.uses, row.key);
            Error::refused(format!(
                "{run}: {uses} uses of one document ({key:032x}); a ledger counts up to {}",
                u32::MAX
            ))
        })?;
        self.keys.append_value(key).map_err(|error| Error::io(run, error))?;
        self.uses.append_value(uses);
        self.tokens.append_value(row.tokens);
        self.sources.append_option(row.source.as_deref());
        self.n_rows += 1;
        Ok(())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        self.n_rows = 0;
        vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.uses.finish()),
            Arc::new(self.tokens.finish()),
            Arc::new(self.sources.finish()),
        ]
    }
}

/// Likewise.
pub(super) struct OriginSlice {
    origins: FixedSizeBinaryBuilder,
    keys: FixedSizeBinaryBuilder,
    pub(super) n_rows: usize,
}

impl Default for OriginSlice {
    fn default() -> Self {
        let [origins, keys] = [(); 2].map(|()| FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32));
        Self { origins, keys, n_rows: 0 }
    }
}

impl OriginSlice {
    pub(super) fn push(&mut self, origin: Origin) -> Result<()> {
        let failed = |error| Error::io("an origin", error);
        self.origins.append_value(origin.origin.to_be_bytes()).map_err(failed)?;
        self.keys.append_value(origin.key.to_be_bytes()).map_err(failed)?;
        self.n_rows += 1;
        Ok(())
    }

    pub(super) fn take(&mut self) -> Vec<ArrayRef> {
        self.n_rows = 0;
        vec![Arc::new(self.origins.finish()), Arc::new(self.keys.finish())]
    }
}

/// Parquet files of so many rows each.
pub(super) struct Files<'f> {
    folder: &'f Folder,
    stem: String,
    schema: SchemaRef,
    current: Option<(String, ArrowWriter<Summed>, u64)>,
    done: Vec<LedgerFile>,
}

impl<'f> Files<'f> {
    pub(super) fn new(folder: &'f Folder, stem: String, schema: SchemaRef) -> Self {
        Self { folder, stem, schema, current: None, done: Vec::new() }
    }

    /// Adds rows: at most as many as a slice has, so that files are cut at the same rows whatever the slices.
    pub(super) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let name = |path: &str| self.folder.name_of(path);
        let batch =
            RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| Error::io(name(&self.stem), error))?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (path, mut writer, rows) = match self.current.take() {
            Some(current) => current,
            None => {
                let path = format!("{}-{:05}.parquet", self.stem, self.done.len());
                let file = Summed::new(self.folder.create(&path)?);
                let writer = ArrowWriter::try_new(file, self.schema.clone(), Some(properties()));
                (path.clone(), writer.map_err(|error| Error::io(name(&path), error))?, 0)
            }
        };
        writer.write(&batch).map_err(|error| Error::io(name(&path), error))?;
        let rows = rows + batch.num_rows() as u64;
        if rows >= FILE_ROWS { self.close(path, writer, rows) } else { self.keep(path, writer, rows) }
    }

    fn keep(&mut self, path: String, writer: ArrowWriter<Summed>, rows: u64) -> Result<()> {
        self.current = Some((path, writer, rows));
        Ok(())
    }

    fn close(&mut self, path: String, writer: ArrowWriter<Summed>, rows: u64) -> Result<()> {
        let file = writer.into_inner().map_err(|error| Error::io(self.folder.name_of(&path), error))?;
        let (bytes, checksum) = file.finish()?;
        self.done.push(LedgerFile { path, rows, bytes, checksum: format!("{checksum:032x}") });
        Ok(())
    }

    /// Finishes the last file and names them all.
    pub(super) fn finish(mut self) -> Result<Vec<LedgerFile>> {
        if let Some((path, writer, rows)) = self.current.take() {
            self.close(path, writer, rows)?;
        }
        Ok(self.done)
    }
}

/// Keys have nothing in common that could be compressed; all else has.
fn properties() -> WriterProperties {
    let keys = ["key", "origin_key"];
    let builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_created_by(concat!("trommel ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_column_dictionary_enabled("tokens".into(), false)
        .set_column_encoding("tokens".into(), Encoding::DELTA_BINARY_PACKED);
    let plain = |builder: parquet::file::properties::WriterPropertiesBuilder, key: &str| {
        builder
            .set_column_dictionary_enabled(key.into(), false)
            .set_column_compression(key.into(), Compression::UNCOMPRESSED)
    };
    keys.into_iter().fold(builder, plain).build()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::exchange::sort::SpillDir;
    use crate::reuse::entries::Entry;
    use crate::reuse::ledger::Withdrawal;

    type Document<'d> = (u8, Option<u8>, u64, u64, Option<&'d str>);

    fn about(run: &str) -> About {
        let time = Time::of_seconds(1_000);
        About { run: run.to_owned(), again: false, time, epochs: 1, parameters: Map::new() }
    }

    fn ledger(path: &Path) -> Ledger {
        Ledger::open_or_make(&path.display().to_string()).expect("a ledger")
    }

    fn key(n: u8) -> ContentKey {
        [n; 16]
    }

    fn record(path: &Path, about: About, documents: &[Document<'_>], memory: usize) -> Result<Manifest> {
        let spill = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(spill.path());
        let ledger = ledger(path);
        let mut recording = Recording::new(&ledger, about, Room { dir: &dir, memory })?;
        for &(n, origin, uses, tokens, source) in documents {
            recording.add(key(n), origin.map(key), uses, tokens, source)?;
        }
        recording.commit()
    }

    fn read(path: &Path) -> Vec<(u8, u64, u64, u64)> {
        let spill = tempfile::tempdir().expect("a folder");
        let (ledger, dir) = (ledger(path), SpillDir::new(spill.path()));
        let entries = ledger.scan(&ledger.counted(), Room { dir: &dir, memory: 1 << 20 }).expect("readable");
        let shown = |entry: Entry| (entry.key as u8, entry.uses, entry.tokens, entry.last_used.seconds());
        entries.map(|entry| shown(entry.expect("whole"))).collect()
    }

    #[test]
    fn documents_of_a_key_are_added_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let documents = [(7, None, 1, 10, Some("web")), (2, Some(9), 2, 5, None), (7, Some(9), 3, 20, Some("books"))];
        let manifest = record(dir.path(), About { epochs: 2, ..about("a") }, &documents, 1 << 20).expect("recorded");
        assert_eq!(read(dir.path()), [(2, 4, 20, 1_000), (7, 8, 140, 1_000)]);
        let totals = manifest.totals;
        assert_eq!((totals.documents, totals.keys, totals.uses, totals.tokens), (3, 2, 12, 160));
        let ledger = ledger(dir.path());
        let found = ledger.look_up(&ledger.counted(), u128::from_be_bytes(key(9))).expect("readable");
        assert_eq!(
            found.iter().map(|(run, entry)| (run.as_str(), entry.uses)).collect::<Vec<_>>(),
            [("a", 4), ("a", 8)]
        );
        assert!(ledger.check(ledger.run("a").expect("it is there")).wrong.is_empty());
    }

    #[test]
    fn a_run_is_recorded_once_unless_it_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        record(dir.path(), about("a"), &[(1, None, 1, 1, None)], 1 << 20).expect("recorded");
        let error =
            record(dir.path(), about("a"), &[(2, None, 1, 1, None)], 1 << 20).expect_err("recorded").to_string();
        assert!(
            error.ends_with("the run `a` was recorded already (1970-01-01T00:16:40Z); --again records it once more")
        );
        let again = About { again: true, ..about("a") };
        assert_eq!(record(dir.path(), again, &[(1, None, 1, 1, None)], 1 << 20).expect("recorded").run, "a~2");
        assert_eq!(read(dir.path()), [(1, 2, 2, 1_000)]);
        let withdrawal = Withdrawal { time: Time::of_seconds(2_000), reason: None };
        assert!(ledger(dir.path()).withdraw("a", &withdrawal).expect("written"));
        assert!(!ledger(dir.path()).withdraw("a", &withdrawal).expect("written"), "it was out already");
        assert_eq!(read(dir.path()), [(1, 1, 1, 1_000)]);
        assert!(record(dir.path(), about("../x"), &[], 1 << 20).is_err());
    }

    #[test]
    fn of_two_that_record_a_run_one_does() {
        let dir = tempfile::tempdir().expect("a folder");
        let (first, second) = (ledger(dir.path()), ledger(dir.path()));
        let spill = tempfile::tempdir().expect("a folder");
        let spill = SpillDir::new(spill.path());
        let room = Room { dir: &spill, memory: 1 << 20 };
        let mut recordings = [&first, &second].map(|ledger| Recording::new(ledger, about("a"), room).expect("new"));
        recordings[0].add(key(1), None, 1, 1, None).expect("memory");
        recordings[1].add(key(2), None, 1, 1, None).expect("memory");
        let [first, second] = recordings.map(Recording::commit);
        let error = second.expect_err("it was there").to_string();
        assert!(error.contains("another process has recorded the run `a` meanwhile"), "{error}");
        assert_eq!(read(dir.path()), [(1, 1, 1, 1_000)]);
        let files = ledger(dir.path()).folder().list().expect("a listing");
        assert_eq!(files.len(), 3, "the loser leaves nothing: {files:?}");
        assert_eq!(first.expect("it was the first").files.len(), 1);
    }

    #[test]
    fn more_uses_than_can_be_counted_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let refused = |uses, tokens| {
            let error =
                record(dir.path(), about("a"), &[(1, None, uses, tokens, None)], 1 << 20).expect_err("too many");
            error.to_string()
        };
        assert!(refused(1 << 32, 1).contains("a ledger counts up to 4294967295"));
        assert!(refused(1 << 40, 1 << 40).contains("more uses or tokens than can be counted"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_run_has_the_same_bytes_in_whatever_order_it_comes(
            documents in prop::collection::vec((0u8..20, prop::option::of(0u8..20), 0u64..4, 0u64..100, prop::option::of("[ab]{1,2}")), 1..60),
            memory in 64usize..4000,
        ) {
            let documents: Vec<Document<'_>> =
                documents.iter().map(|(n, origin, uses, tokens, source)| (*n, *origin, *uses, *tokens, source.as_deref())).collect();
            let backwards: Vec<_> = documents.iter().rev().copied().collect();
            let [one, other] = [(&documents, 1 << 20), (&backwards, memory)].map(|(documents, memory)| {
                let dir = tempfile::tempdir().expect("a folder");
                let manifest = record(dir.path(), about("a"), documents, memory).expect("recorded");
                (manifest, dir)
            });
            prop_assert_eq!(&one.0, &other.0);
            for file in one.0.files.iter().chain(&one.0.origins) {
                let bytes = |dir: &tempfile::TempDir| std::fs::read(dir.path().join(&file.path)).expect("it is there");
                prop_assert_eq!(bytes(&one.1), bytes(&other.1));
            }
        }

        #[test]
        fn many_runs_are_their_sum(
            runs in prop::collection::vec(prop::collection::vec((0u8..30, 1u64..4, 0u64..100), 0..20), 0..6),
        ) {
            let dir = tempfile::tempdir().expect("a folder");
            let mut expected = std::collections::BTreeMap::new();
            for (number, documents) in runs.iter().enumerate() {
                let time = Time::of_seconds(number as u64);
                let rows: Vec<Document<'_>> = documents.iter().map(|&(n, uses, tokens)| (n, None, uses, tokens, None)).collect();
                record(dir.path(), About { time, ..about(&format!("r{number}")) }, &rows, 1 << 20).expect("recorded");
                for &(n, uses, tokens) in documents {
                    let sum = expected.entry(n).or_insert((0, 0, 0));
                    *sum = (sum.0 + uses, sum.1 + uses * tokens, number as u64);
                }
            }
            let expected: Vec<_> = expected.into_iter().map(|(n, (uses, tokens, time))| (n, uses, tokens, time)).collect();
            let found = if runs.is_empty() { Vec::new() } else { read(dir.path()) };
            prop_assert_eq!(found, expected);
        }
    }
}
