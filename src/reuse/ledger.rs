//! Which texts training runs have drawn: a folder, here or in a bucket, that only grows.
//!
//! ```text
//! ledger.json                        that this is a ledger, and its layout
//! run=NAME/part-….parquet            what a run has drawn, sorted by key: key, uses, tokens, source
//! _origins/run=NAME/part-….parquet   what that was when first read, where it was another text: origin_key, key
//! _runs/NAME.json                    written last and once: a run that has none does not count
//! _withdrawn/NAME.json               the run does not count any more
//! _compact/…                         many runs as one file: a copy, which can go
//! ```
//!
//! Nothing is changed once it is there, so any number of jobs may record at once, and whoever reads needs no lock. Two
//! that record a run of the same name write different files, as these are named for what is in them, and one of them
//! gets to write the manifest. Files of one that did not are named by no manifest: [`Ledger::files`] are those that count.
//!
//! `uses` is how often the run has drawn the text in all its epochs, `tokens` the tokens of all these uses together,
//! `source` the first of the sources it was drawn from, in the order of their bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::entries::{Entry, FileRows, Origin, added_up, check_file};
use super::snapshot::{self, Compacted, Snapshot};
use super::time::Time;
use crate::error::{Error, Result};
use crate::exchange::blocks::damaged;
use crate::exchange::group::{Room, merged};
use crate::exchange::record::Record;
use crate::exchange::sort::buffer_size;
use crate::stage::Rows;
use crate::store::Folder;

/// The file that makes a folder a ledger.
const LEDGER: &str = "ledger.json";

/// What files are laid out as. Another number is another layout.
pub(super) const FORMAT: u32 = 1;

/// What stands between the name of a run and the number of the recording, where it was recorded again.
const AGAIN: char = '~';

/// The bytes that are read at a time to check a file.
const BUFFER: usize = 1 << 20;

/// What a training run has drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of its files.
    pub format: u32,
    /// What the run is called; behind a `~` the number of the recording, if it was recorded more than once.
    pub run: String,
    /// When it was recorded, or is said to have taken place.
    pub time: Time,
    /// How often it went through the documents.
    pub epochs: u32,
    /// What was recorded.
    #[serde(flatten)]
    pub totals: Totals,
    /// What it was recorded from, in words of the one who did.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Its files, in order: each has greater keys than the one before.
    pub files: Vec<LedgerFile>,
    /// The files of what its texts were when first read, likewise.
    pub origins: Vec<LedgerFile>,
}

/// How much a run has drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The documents it was recorded from.
    pub documents: u64,
    /// Their different texts.
    pub keys: u64,
    /// How often these were drawn, over all epochs.
    pub uses: u64,
    /// The tokens of all these uses.
    pub tokens: u64,
}

/// A file of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerFile {
    /// Where it is, below the ledger.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The xxh3-128 of its bytes.
    pub checksum: String,
}

/// That a run does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// When that was said.
    pub time: Time,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A run that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The xxh3-128 of the file that says so.
    pub checksum: String,
    /// What withdrew it.
    pub withdrawn: Option<Withdrawal>,
}

/// Which runs somebody reads, so that he reads the same when others have been recorded or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// What the run is called.
    pub run: String,
    /// The xxh3-128 of its manifest.
    pub checksum: String,
}

/// What is wrong with a run, or nothing.
#[derive(Debug)]
pub struct Checked<'l> {
    /// The run.
    pub run: &'l Run,
    /// The bytes that were read.
    pub bytes: u64,
    /// What is wrong with it.
    pub wrong: Vec<Error>,
}

/// A ledger as it was when it was opened.
#[derive(Clone)]
pub struct Ledger {
    folder: Folder,
    runs: Vec<Run>,
    snapshots: Vec<Snapshot>,
}

impl Ledger {
    /// Opens the ledger at an address: a folder or a URL.
    pub fn open(address: &str) -> Result<Self> {
        let folder = Folder::parse(address)?;
        match folder.read(LEDGER)? {
            Some(bytes) => Self::read(folder, &bytes),
            None => Err(Error::refused(format!(
                "{address}: there is no ledger here; `trommel ledger record {address} --run NAME SHARDS` makes one"
            ))),
        }
    }

    /// Opens a ledger. Where there is nothing, it is made when the first run is [recorded](super::recording::Recording).
    ///
    /// [Recording]: super::recording::Recording
    pub fn open_or_make(address: &str) -> Result<Self> {
        let folder = Folder::parse(address)?;
        if let Some(bytes) = folder.read(LEDGER)? {
            return Self::read(folder, &bytes);
        }
        // Somebody may be making it at this moment: what is being written has a dot in front.
        let is_other = |path: &str| !path.starts_with('.');
        let found = folder.list()?.into_iter().find(|found| is_other(&found.path));
        if let Some(bytes) = folder.read(LEDGER)? {
            return Self::read(folder, &bytes);
        }
        match found {
            None => Ok(Self { folder, runs: Vec::new(), snapshots: Vec::new() }),
            Some(found) => Err(Error::refused(format!(
                "{address}: this is no ledger, and the folder is not empty (it has {}); name a new one",
                found.path
            ))),
        }
    }

    /// Makes it, unless it is there.
    pub(super) fn make(&self) -> Result<()> {
        let layout = Bytes::of(&Layout { format: FORMAT }, &self.folder.name_of(LEDGER))?;
        self.folder.write_new(LEDGER, layout.0).map(drop)
    }

    fn read(folder: Folder, layout: &[u8]) -> Result<Self> {
        let Layout { format } = parsed(&folder, LEDGER, layout)?;
        check_format(&folder, LEDGER, format)?;
        let mut withdrawals = BTreeMap::new();
        for (path, bytes) in small_files(&folder, "_withdrawn")? {
            let withdrawal: Withdrawal = parsed(&folder, &path, &bytes)?;
            withdrawals.insert(named_in(&path), withdrawal);
        }
        let mut runs = Vec::new();
        for (path, bytes) in small_files(&folder, "_runs")? {
            let manifest: Manifest = parsed(&folder, &path, &bytes)?;
            check_format(&folder, &path, manifest.format)?;
            if manifest.run != named_in(&path) || check_recording(&manifest.run).is_err() {
                let said = format!("it says that it is of a run {:?}", manifest.run);
                return Err(damaged(&folder.name_of(&path), said));
            }
            manifest.check_paths().map_err(|said| damaged(&folder.name_of(&path), said))?;
            let withdrawn = withdrawals.remove(&manifest.run);
            runs.push(Run { manifest, checksum: format!("{:032x}", xxh3_128(&bytes)), withdrawn });
        }
        runs.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut snapshots = Vec::new();
        for (path, bytes) in small_files(&folder, snapshot::FOLDER)? {
            let snapshot: Snapshot = parsed(&folder, &path, &bytes)?;
            check_format(&folder, &path, snapshot.format)?;
            snapshot.check_paths().map_err(|said| damaged(&folder.name_of(&path), said))?;
            snapshots.push(snapshot);
        }
        Ok(Self { folder, runs, snapshots })
    }

    /// Where it is.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// All runs that were recorded, withdrawn ones too, in the order of their times.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs that count, in the order of their times.
    pub fn counted(&self) -> Vec<&Run> {
        self.runs.iter().filter(|run| run.withdrawn.is_none()).collect()
    }

    /// The copies of many runs as one.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// Adds a snapshot, whose files are written.
    pub(super) fn add_snapshot(&self, path: &str, snapshot: &Snapshot) -> Result<()> {
        self.folder.write_new(path, Bytes::of(snapshot, &self.folder.name_of(path))?.0).map(drop)
    }

    /// The snapshot that stands for most of some runs, and the runs that it does not stand for.
    fn best_snapshot<'r>(&self, runs: &[&'r Run]) -> (Option<&Snapshot>, Vec<&'r Run>) {
        let is = |pin: &Pin, run: &Run| pin.run == run.manifest.run && pin.checksum == run.checksum;
        let asked = |pin: &Pin| runs.iter().any(|run| is(pin, run));
        let fits = self.snapshots.iter().filter(|snapshot| snapshot.runs.len() > 1 && snapshot.runs.iter().all(asked));
        let best = fits.max_by_key(|snapshot| snapshot.runs.len());
        let has = |run: &&&Run| best.is_some_and(|best| best.runs.iter().any(|pin| is(pin, run)));
        (best, runs.iter().filter(|run| !has(run)).copied().collect())
    }

    /// A run by its name.
    pub fn run(&self, name: &str) -> Result<&Run> {
        self.runs.iter().find(|run| run.manifest.run == name).ok_or_else(|| {
            let known = self.runs.iter().map(|run| run.manifest.run.as_str());
            let known: Vec<_> = match crate::error::meant(name, known.clone()) {
                Some(meant) => vec![meant],
                None => known.take(10).collect(),
            };
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::refused(format!("{}: there is no run `{name}`; there is {known}", self.folder.name()))
        })
    }

    /// The runs that count now, for later.
    pub fn pin(&self) -> Vec<Pin> {
        let pin = |run: &&Run| Pin { run: run.manifest.run.clone(), checksum: run.checksum.clone() };
        self.counted().iter().map(pin).collect()
    }

    /// The runs that counted when they were pinned.
    pub fn pinned(&self, pins: &[Pin]) -> Result<Vec<&Run>> {
        let mut runs = Vec::new();
        for pin in pins {
            let run = self.run(&pin.run)?;
            if run.checksum != pin.checksum {
                let place = self.folder.name_of(&run_path(&pin.run));
                return Err(Error::io(
                    place,
                    "it is not the file that it was; a run is recorded once and never changed",
                ));
            }
            runs.push(run);
        }
        Ok(runs)
    }

    /// What runs have drawn, in the order of keys, one entry a key.
    pub fn scan(&self, runs: &[&Run], room: Room<'_>) -> Result<Rows<Entry>> {
        let (snapshot, runs) = self.best_snapshot(runs);
        let files = |run: Option<&Manifest>, buffer: usize| -> Rows<Entry> {
            match (run, snapshot) {
                (Some(run), _) => Box::new(FileRows::<Entry>::new(&self.folder, &run.files, run.time, buffer)),
                (None, Some(snapshot)) => {
                    let rows = FileRows::<Compacted>::new(&self.folder, &snapshot.files, Time::default(), buffer);
                    Box::new(rows.map(|row| row.map(|Compacted(entry)| entry)))
                }
                (None, None) => Box::new(std::iter::empty()),
            }
        };
        Ok(Box::new(added_up(sources(&runs, snapshot.is_some(), |run| !run.files.is_empty(), files, room)?)))
    }

    /// What texts that runs have drawn were when first read, in the order of the latter, where that was another text.
    /// A pair that two runs have comes twice.
    pub fn origins(&self, runs: &[&Run], room: Room<'_>) -> Result<Rows<Origin>> {
        let (snapshot, runs) = self.best_snapshot(runs);
        let files = |run: Option<&Manifest>, buffer: usize| -> Rows<Origin> {
            let of_snapshot = || snapshot.map_or(&[][..], |snapshot| &snapshot.origins);
            let (files, time) = run.map_or_else(|| (of_snapshot(), Time::default()), |run| (&run.origins, run.time));
            Box::new(FileRows::<Origin>::new(&self.folder, files, time, buffer))
        };
        sources(&runs, snapshot.is_some(), |run| !run.origins.is_empty(), files, room)
    }

    /// What each of some runs has drawn of a text: of its content key, or of texts of which it is the origin.
    pub fn look_up(&self, runs: &[&Run], key: u128) -> Result<Vec<(String, Entry)>> {
        let mut found = Vec::new();
        for Run { manifest, .. } in runs {
            let of_key = |key: u128| {
                let rows = FileRows::<Entry>::new(&self.folder, &manifest.files, manifest.time, BUFFER).around(key);
                rows.skip_while(move |row| row.as_ref().is_ok_and(|row| row.key < key))
                    .take_while(move |row| row.as_ref().map_or(true, |row| row.key == key))
            };
            let origins = FileRows::<Origin>::new(&self.folder, &manifest.origins, manifest.time, BUFFER).around(key);
            let of_origin = origins
                .skip_while(|row| row.as_ref().is_ok_and(|row| row.origin < key))
                .take_while(|row| row.as_ref().map_or(true, |row| row.origin == key));
            let mut keys = vec![key];
            for origin in of_origin {
                keys.push(origin?.key);
            }
            keys[1..].sort_unstable();
            keys.dedup();
            for entry in keys.into_iter().flat_map(of_key) {
                found.push((manifest.run.clone(), entry?));
            }
        }
        Ok(found)
    }

    /// The files of the runs that count, for other tools: what a glob finds may belong to none, or to one that was
    /// withdrawn.
    pub fn files(&self) -> impl Iterator<Item = String> {
        let files = self.runs.iter().filter(|run| run.withdrawn.is_none()).flat_map(|run| &run.manifest.files);
        files.map(|file| self.folder.name_of(&file.path))
    }

    /// Files in the folders of runs that no run names.
    pub fn strays(&self) -> Result<Vec<String>> {
        let named = |run: &Run| [&run.manifest.files[..], &run.manifest.origins].concat();
        let named: BTreeSet<String> = self.runs.iter().flat_map(named).map(|file| file.path).collect();
        let found = self.folder.list()?.into_iter().map(|found| found.path);
        let of_runs = |path: &String| path.starts_with("run=") || path.starts_with("_origins/");
        Ok(found.filter(|path| of_runs(path) && !named.contains(path)).map(|path| self.folder.name_of(&path)).collect())
    }

    /// Takes a run out of what counts. Says whether it was in.
    pub fn withdraw(&self, run: &str, withdrawal: &Withdrawal) -> Result<bool> {
        self.run(run)?;
        let path = format!("_withdrawn/{run}.json");
        self.folder.write_new(&path, Bytes::of(withdrawal, &self.folder.name_of(&path))?.0)
    }

    /// Reads the files of a run whole and holds them against what it says of them and of itself.
    pub fn check<'l>(&self, run: &'l Run) -> Checked<'l> {
        let mut checked = Checked { run, bytes: 0, wrong: Vec::new() };
        let manifest = &run.manifest;
        for file in manifest.files.iter().chain(&manifest.origins) {
            match self.checksum(file) {
                Ok(bytes) => checked.bytes += bytes,
                Err(error) => checked.wrong.push(error),
            }
        }
        if !checked.wrong.is_empty() {
            return checked;
        }
        let mut totals = Totals { documents: manifest.totals.documents, ..Totals::default() };
        for row in FileRows::<Entry>::new(&self.folder, &manifest.files, manifest.time, BUFFER) {
            match row {
                Ok(row) => {
                    totals.keys += 1;
                    totals.uses = totals.uses.saturating_add(row.uses);
                    totals.tokens = totals.tokens.saturating_add(row.tokens);
                }
                Err(error) => checked.wrong.push(error),
            }
        }
        let origins = FileRows::<Origin>::new(&self.folder, &manifest.origins, manifest.time, BUFFER);
        checked.wrong.extend(origins.filter_map(Result::err));
        if checked.wrong.is_empty() && totals != manifest.totals {
            let Totals { keys, uses, tokens, .. } = totals;
            let place = self.folder.name_of(&run_path(&manifest.run));
            let said =
                format!("its files have {keys} keys, {uses} uses and {tokens} tokens, which is not what it says");
            checked.wrong.push(Error::io(place, said));
        }
        checked
    }

    /// Reads a file and holds its checksum against what its run says. Returns its bytes.
    fn checksum(&self, file: &LedgerFile) -> Result<u64> {
        let bytes = self.folder.open(&file.path)?;
        if bytes.size() != file.bytes {
            let said = format!("it has {} bytes, its run says {}", bytes.size(), file.bytes);
            return Err(damaged(&self.folder.name_of(&file.path), said));
        }
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; BUFFER.min(bytes.size() as usize)];
        let mut at = 0;
        while at < bytes.size() {
            let n = (bytes.size() - at).min(buffer.len() as u64) as usize;
            bytes.read_at(at, &mut buffer[..n])?;
            hash.update(&buffer[..n]);
            at += n as u64;
        }
        check_file(&self.folder, file, &format!("{:032x}", hash.digest128()))?;
        Ok(at)
    }

    /// The name under which a run is to be recorded: its own, or if it was recorded before and shall be so `again`, that
    /// with the next number.
    pub(super) fn next_name(&self, run: &str, again: bool) -> Result<String> {
        check_name(run).map_err(Error::refused)?;
        let recorded = |name: &str| self.runs.iter().find(|known| known.manifest.run == name);
        let Some(first) = recorded(run) else { return Ok(run.to_owned()) };
        if !again {
            let how = if first.withdrawn.is_some() { ", and was withdrawn" } else { "" };
            return Err(Error::refused(format!(
                "{}: the run `{run}` was recorded already ({}){how}; --again records it once more",
                self.folder.name(),
                first.manifest.time
            )));
        }
        let mut names = (2..).map(|number: u64| format!("{run}{AGAIN}{number}"));
        Ok(names.find(|name| recorded(name).is_none()).expect("there are more numbers than runs"))
    }

    /// Adds a run whose files are written. Says whether there is none of that name already.
    pub(super) fn commit(&self, manifest: &Manifest) -> Result<bool> {
        let path = run_path(&manifest.run);
        self.folder.write_new(&path, Bytes::of(manifest, &self.folder.name_of(&path))?.0)
    }

    /// What a run of this name says of itself, as it is now.
    pub(super) fn manifest_now(&self, run: &str) -> Result<Option<Manifest>> {
        let path = run_path(run);
        self.folder.read(&path)?.map(|bytes| parsed(&self.folder, &path, &bytes)).transpose()
    }
}

/// The rows of runs, and of a snapshot that stands for others, merged.
fn sources<R: Record + 'static>(
    runs: &[&Run],
    snapshot: bool,
    has_any: impl Fn(&Manifest) -> bool,
    open: impl Fn(Option<&Manifest>, usize) -> Rows<R>,
    room: Room<'_>,
) -> Result<Rows<R>> {
    let of_runs = runs.iter().map(|run| &run.manifest).filter(|run| has_any(run)).map(Some);
    let sources: Vec<Option<&Manifest>> = of_runs.chain(snapshot.then_some(None)).collect();
    if let [source] = sources[..] {
        return Ok(open(source, buffer_size(room.memory, 1)));
    }
    merged(sources.len(), room, |source, buffer| open(sources[source], buffer))
}

impl Manifest {
    /// Begins what a run says of itself.
    pub(super) fn new(run: &str, time: Time, epochs: u32, parameters: Map<String, Value>) -> Self {
        let (run, totals) = (run.to_owned(), Totals::default());
        Self { format: FORMAT, run, time, epochs, totals, parameters, files: Vec::new(), origins: Vec::new() }
    }

    /// The folder of its files, below the ledger.
    pub(super) fn folder(&self) -> String {
        format!("run={}", self.run)
    }

    /// The folder of the files of origins.
    pub(super) fn origins_folder(&self) -> String {
        format!("_origins/{}", self.folder())
    }

    /// A manifest names files of its own run only, whoever has written it.
    fn check_paths(&self) -> Result<(), String> {
        for (files, folder) in [(&self.files, self.folder()), (&self.origins, self.origins_folder())] {
            for LedgerFile { path, .. } in files {
                let name = path.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/'));
                if name.is_none_or(|name| name.is_empty() || name.contains('/') || name.starts_with('.')) {
                    return Err(format!("it names the file {path:?}, which is not of its run"));
                }
            }
        }
        Ok(())
    }
}

impl Run {
    fn order(&self) -> (Time, &str) {
        (self.manifest.time, &self.manifest.run)
    }

    /// The bytes of its files.
    pub fn bytes(&self) -> u64 {
        let Manifest { files, origins, .. } = &self.manifest;
        files.iter().chain(origins).map(|file| file.bytes).sum()
    }
}

/// What a ledger says of itself.
#[derive(Serialize, Deserialize)]
struct Layout {
    format: u32,
}

/// A small file of JSON.
struct Bytes(Vec<u8>);

impl Bytes {
    fn of(value: &impl Serialize, name: &str) -> Result<Self> {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::io(name, error))?;
        bytes.push(b'\n');
        Ok(Self(bytes))
    }
}

/// Whether a run may be called so: the name is one of a folder and a file, on every system and in every tool.
pub fn check_name(run: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if run.starts_with(|c: char| c.is_ascii_alphanumeric()) && run.chars().all(fits) && run.len() <= 100 {
        return Ok(());
    }
    Err(format!(
        "`{}` cannot be the name of a run: write up to 100 letters (a to z), digits, dots, dashes and underscores, a \
         letter or digit first",
        run.escape_debug()
    ))
}

/// Likewise, with the number of a recording.
fn check_recording(name: &str) -> Result<(), String> {
    match name.split_once(AGAIN) {
        Some((run, number)) if number.parse::<u64>().is_ok_and(|n| n > 1 && n.to_string() == number) => check_name(run),
        _ => check_name(name),
    }
}

fn run_path(run: &str) -> String {
    format!("_runs/{run}.json")
}

/// The run that a small file is named for.
fn named_in(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".json").unwrap_or(name).to_owned()
}

fn check_format(folder: &Folder, path: &str, format: u32) -> Result<()> {
    if format == FORMAT {
        return Ok(());
    }
    let place = folder.name_of(path);
    Err(Error::refused(format!("{place}: its layout is number {format}, this program reads {FORMAT}")))
}

fn parsed<T: DeserializeOwned>(folder: &Folder, path: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(&folder.name_of(path), error))
}

/// The files of JSON in a folder, with their paths, in the order of these.
fn small_files(folder: &Folder, below: &str) -> Result<Vec<(String, bytes::Bytes)>> {
    let found = folder.child(below).list()?.into_iter().map(|found| format!("{below}/{}", found.path));
    let names = found.filter(|path| path.ends_with(".json") && path.matches('/').count() == 1);
    let mut files = Vec::new();
    for path in names.collect::<Vec<_>>() {
        let bytes = folder.read(&path)?.ok_or_else(|| Error::io(folder.name_of(&path), "it is gone"))?;
        files.push((path, bytes));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(names: &[&str], allowed: bool) {
        for name in names {
            assert_eq!(check_name(name).is_ok(), allowed, "{name:?}");
        }
    }

    #[test]
    fn names_are_those_of_files_everywhere() {
        check_names(&["a", "2026-11.run_7", "GPT", &"x".repeat(100)], true);
        check_names(
            &["", ".", "..", "../x", "a/b", "a~2", "a b", "-a", "_a", "ü", "a\n", "a\\b", &"x".repeat(101)],
            false,
        );
    }

    #[test]
    fn recordings_have_numbers() {
        for (name, allowed) in
            [("a", true), ("a~2", true), ("a~10", true), ("a~1", false), ("a~02", false), ("~2", false)]
        {
            assert_eq!(check_recording(name).is_ok(), allowed, "{name}");
        }
    }
}
