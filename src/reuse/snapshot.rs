//! Many runs as one file: a copy, so that what has been recorded over years is read as fast as one run.
//!
//! ```text
//! _compact/NAME.json                   which runs, and its files: written last
//! _compact/NAME/part-….parquet         key, uses, tokens, last_used: one row a key
//! _compact/NAME/origins/part-….parquet origin_key, key: one row a pair
//! ```
//!
//! It is named for the runs that it has. Where one of them is not asked for, as it was withdrawn, it is passed over. It can
//! be removed at any time when nobody reads the ledger.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, FixedSizeBinaryBuilder, RecordBatch, TimestampMillisecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType, UInt64Type};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::entries::{Column, Entry, FileRow, keys};
use super::ledger::{Ledger, LedgerFile, Pin};
use super::recording::{Files, OriginSlice, SLICE_ROWS, origin_schema};
use super::time::Time;
use crate::doc::ContentKey;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::record::Record;
use crate::stage::key_type;

/// Where snapshots are, below the ledger.
pub(super) const FOLDER: &str = "_compact";

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The layout of its files.
    pub format: u32,
    /// The runs that it has.
    pub runs: Vec<Pin>,
    /// Its keys.
    pub keys: u64,
    /// Its files.
    pub files: Vec<LedgerFile>,
    /// Its files of origins.
    pub origins: Vec<LedgerFile>,
}

impl Snapshot {
    /// What a snapshot of these runs is called.
    fn name(runs: &[Pin]) -> String {
        let mut named: Vec<_> = runs.iter().map(|pin| format!("{}:{}\n", pin.run, pin.checksum)).collect();
        named.sort();
        format!("{:032x}", xxh3_128(named.concat().as_bytes()))
    }

    /// A snapshot names files of its own only, whoever has written it.
    pub(super) fn check_paths(&self) -> Result<(), String> {
        let folder = format!("{FOLDER}/{}/", Self::name(&self.runs));
        match self
            .files
            .iter()
            .chain(&self.origins)
            .find(|file| !file.path.starts_with(&folder) || file.path.contains(".."))
        {
            Some(file) => Err(format!("it names the file {:?}, which is not its own", file.path)),
            None => Ok(()),
        }
    }

    /// The bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().chain(&self.origins).map(|file| file.bytes).sum()
    }
}

/// Writes a snapshot of the runs that count. Returns it, and whether it was not there already.
pub fn compact(ledger: &Ledger, room: Room<'_>) -> Result<(Snapshot, bool)> {
    let runs = ledger.pin();
    if runs.is_empty() {
        return Err(Error::refused(format!("{}: there are no runs that count", ledger.folder().name())));
    }
    let name = Snapshot::name(&runs);
    if let Some(known) = ledger.snapshots().iter().find(|known| Snapshot::name(&known.runs) == name) {
        return Ok((known.clone(), false));
    }
    let (folder, counted) = (ledger.folder(), ledger.counted());
    // Damage would live on in a copy.
    if let Some(wrong) = counted.iter().flat_map(|run| ledger.check(run).wrong).next() {
        return Err(wrong);
    }
    let mut keys = 0;
    let mut files = Files::new(folder, format!("{FOLDER}/{name}/part"), schema());
    let mut slice = Slice::default();
    for entry in ledger.scan(&counted, room)? {
        slice.push(entry?)?;
        keys += 1;
        if slice.n_rows == SLICE_ROWS {
            files.write(slice.take())?;
        }
    }
    files.write(slice.take())?;
    let files = files.finish()?;
    let mut origins = Files::new(folder, format!("{FOLDER}/{name}/origins/part"), origin_schema());
    let mut slice = OriginSlice::default();
    let mut last = None;
    for origin in ledger.origins(&counted, room)? {
        let origin = origin?;
        if last.replace(origin) == Some(origin) {
            continue;
        }
        slice.push(origin)?;
        if slice.n_rows == SLICE_ROWS {
            origins.write(slice.take())?;
        }
    }
    origins.write(slice.take())?;
    let snapshot = Snapshot { format: super::ledger::FORMAT, runs, keys, files, origins: origins.finish()? };
    ledger.add_snapshot(&format!("{FOLDER}/{name}.json"), &snapshot)?;
    Ok((snapshot, true))
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", key_type(), false),
        Field::new("uses", DataType::UInt64, false),
        Field::new("tokens", DataType::UInt64, false),
        Field::new("last_used", time_type(), false),
    ]))
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")))
}

/// Rows on their way to the Parquet writer.
struct Slice {
    keys: FixedSizeBinaryBuilder,
    uses: UInt64Builder,
    tokens: UInt64Builder,
    times: TimestampMillisecondBuilder,
    n_rows: usize,
}

impl Default for Slice {
    fn default() -> Self {
        Self {
            keys: FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32),
            uses: UInt64Builder::new(),
            tokens: UInt64Builder::new(),
            times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            n_rows: 0,
        }
    }
}

impl Slice {
    fn push(&mut self, entry: Entry) -> Result<()> {
        self.keys.append_value(entry.key.to_be_bytes()).map_err(|error| Error::io("a snapshot", error))?;
        self.uses.append_value(entry.uses);
        self.tokens.append_value(entry.tokens);
        self.times.append_value(entry.last_used.seconds().cast_signed() * 1000);
        self.n_rows += 1;
        Ok(())
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        self.n_rows = 0;
        vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.uses.finish()),
            Arc::new(self.tokens.finish()),
            Arc::new(self.times.finish()),
        ]
    }
}

/// An entry of a snapshot, as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Compacted(pub(super) Entry);

impl Record for Compacted {
    const KIND: u32 = 25;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Entry::decode(bytes).map(Self)
    }
}

impl FileRow for Compacted {
    const COLUMNS: &'static [Column] =
        &[("key", key_type), ("uses", || DataType::UInt64), ("tokens", || DataType::UInt64), ("last_used", time_type)];
    const REPEATS: bool = false;

    fn rows(batch: &RecordBatch, _: Time) -> Vec<Self> {
        let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>().values();
        let times = batch.column(3).as_primitive::<TimestampMillisecondType>().values();
        let row = |(((key, &uses), &tokens), &millis): (((u128, &u64), &u64), &i64)| {
            let last_used = Time::of_seconds(u64::try_from(millis / 1000).unwrap_or(0));
            Self(Entry { key, uses, tokens, last_used })
        };
        keys(batch, 0).zip(number(1)).zip(number(2)).zip(times).map(row).collect()
    }

    fn sorted_by(&self) -> u128 {
        self.0.key
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::exchange::sort::SpillDir;
    use crate::reuse::entries::Origin;
    use crate::reuse::ledger::Withdrawal;
    use crate::reuse::recording::{About, Recording};

    #[test]
    fn a_snapshot_says_what_its_runs_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = folder.path().join("used").display().to_string();
        let dir = SpillDir::new(folder.path());
        let room = Room { dir: &dir, memory: 1 << 20 };
        let record = |run: &str, keys: &[u8]| {
            let ledger = Ledger::open_or_make(&address).expect("a ledger");
            let time = Time::of_seconds(keys.len() as u64);
            let about = About { run: run.to_owned(), again: false, time, epochs: 1, parameters: Map::new() };
            let mut recording = Recording::new(&ledger, about, room).expect("a new run");
            keys.iter().for_each(|&n| recording.add([n; 16], Some([n / 2; 16]), n.into(), 3, None).expect("room"));
            recording.commit().expect("room");
        };
        let read = || {
            let ledger = Ledger::open(&address).expect("a ledger");
            let counted = ledger.counted();
            let entries: Vec<Entry> =
                ledger.scan(&counted, room).expect("open").map(|row| row.expect("whole")).collect();
            let mut origins: Vec<Origin> =
                ledger.origins(&counted, room).expect("open").map(|row| row.expect("whole")).collect();
            origins.dedup();
            (entries, origins)
        };
        record("a", &[1, 2, 3]);
        record("b", &[2, 3, 4, 5]);
        let before = read();
        let ledger = Ledger::open(&address).expect("a ledger");
        let (snapshot, new) = compact(&ledger, room).expect("room");
        assert!(new && snapshot.keys == 5);
        assert_eq!(read(), before);
        let ledger = Ledger::open(&address).expect("a ledger");
        assert!(!compact(&ledger, room).expect("room").1, "it is there already");
        // It is what is read, as long as it can be.
        std::fs::rename(folder.path().join("used/run=a"), folder.path().join("aside")).expect("moved");
        assert_eq!(read(), before);
        std::fs::rename(folder.path().join("aside"), folder.path().join("used/run=a")).expect("moved");
        record("c", &[9]);
        assert_eq!(read().0.len(), 6);
        let withdrawal = Withdrawal { time: Time::default(), reason: None };
        Ledger::open(&address).expect("a ledger").withdraw("b", &withdrawal).expect("written");
        assert_eq!(read().0.iter().map(|entry| entry.key as u8).collect::<Vec<_>>(), [1, 2, 3, 9]);
    }
}
