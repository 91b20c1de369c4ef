//! Sorts any number of rows in a bounded amount of memory, through sorted runs on a local disk.
//!
//! A run is a file of [blocks](crate::exchange::blocks), closed by an end mark with the number of its rows.
//! Runs are merged [`FAN_IN`] at a time, in as many levels as it takes: so few files are open, and each is
//! read in long stretches.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::slice::ParallelSliceMut;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};
use crate::exchange::blocks::{BlockReader, BlockWriter, HEADER, check_header};
use crate::exchange::record::Record;
use crate::store::{LocalFile, ReadAt};

/// How many runs are merged at a time.
pub const FAN_IN: usize = 64;

/// The least and the most bytes of a run read at a time while merging.
const BUFFER: std::ops::RangeInclusive<usize> = 4 << 10..=4 << 20;
/// The most bytes in a block: small enough that a reader with a small buffer need not hold more.
const BLOCK: usize = 32 << 10;
/// Free space left alone, so that other programs on the disk do not stop working.
const RESERVE: u64 = 64 << 20;

/// A local folder that runs are spilled to, and what has been spilled so far.
#[derive(Debug, Clone)]
pub struct SpillDir {
    path: Arc<Path>,
    stats: Arc<SpillStats>,
    free: fn(&Path) -> io::Result<u64>,
}

/// What has been spilled to a folder.
#[derive(Debug, Default)]
pub struct SpillStats {
    bytes: AtomicU64,
    runs: AtomicU64,
}

impl SpillStats {
    /// The bytes written so far, whether they are still there or not.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The files written so far.
    pub fn runs(&self) -> u64 {
        self.runs.load(Relaxed)
    }
}

impl SpillDir {
    /// Spills to the folder at `path`, which exists.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_free_space(path, free_space)
    }

    /// As [`SpillDir::new`], asking `free` for the free bytes of the folder.
    pub fn with_free_space(path: impl Into<PathBuf>, free: fn(&Path) -> io::Result<u64>) -> Self {
        Self { path: path.into().into(), stats: Arc::default(), free }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has been spilled to it, by all who share it.
    pub fn stats(&self) -> &SpillStats {
        &self.stats
    }

    /// Fails unless `needed` bytes can be written to the folder.
    pub fn check_room(&self, needed: u64) -> Result<()> {
        let free = (self.free)(&self.path).map_err(|error| Error::io(self.path.display(), error))?;
        if free >= needed.saturating_add(RESERVE) {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let message = format!(
            "not enough free space for temporary files: {} MiB are needed, {} MiB are free; `--work-dir` chooses another folder",
            mib(needed.saturating_add(RESERVE)),
            free >> 20,
        );
        Err(Error::io(self.path.display(), message))
    }

    /// Creates a file of about `needed` bytes, and removes it again unless `write` succeeds.
    pub(crate) fn write_file(&self, needed: u64, write: impl FnOnce(&File, &str) -> Result<()>) -> Result<TempFile> {
        self.check_room(needed)?;
        let (mut temp, file) = self.create()?;
        write(&file, &temp.name())?;
        temp.size = self.note(&file, &temp.name())?;
        Ok(temp)
    }

    /// Counts a file that has been written to the folder, and returns its size.
    fn note(&self, file: &File, name: &str) -> Result<u64> {
        let size = file.metadata().map_err(|error| Error::io(name, error))?.len();
        self.stats.bytes.fetch_add(size, Relaxed);
        self.stats.runs.fetch_add(1, Relaxed);
        Ok(size)
    }

    fn create(&self) -> Result<(TempFile, File)> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        loop {
            let serial = SERIAL.fetch_add(1, Relaxed);
            let path = self.path.join(format!("{}-{serial}.run", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((TempFile { path, size: 0 }, file)),
                // Left behind by a process of the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(path.display(), error)),
            }
        }
    }
}

fn free_space(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A file that goes when its owner goes.
#[derive(Debug)]
pub(crate) struct TempFile {
    path: PathBuf,
    size: u64,
}

impl TempFile {
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(LocalFile::open(&self.path)?))
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Nothing is lost if it stays: the work folder goes at the end of the run.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes rows in any order and gives them back sorted.
///
/// Holds no more than about `budget` bytes; what is more goes to files, which are removed when the sorter,
/// or what it made, is dropped.
pub struct Sorter<R> {
    rows: Vec<R>,
    heap_size: usize,
    budget: usize,
    unique: bool,
    dir: SpillDir,
    runs: VecDeque<TempFile>,
}

impl<R: Record> Sorter<R> {
    /// An empty sorter that spills to `dir` when its rows take more than `budget` bytes.
    pub fn new(dir: &SpillDir, budget: usize) -> Self {
        Self { rows: Vec::new(), heap_size: 0, budget, unique: false, dir: dir.clone(), runs: VecDeque::new() }
    }

    /// As [`Sorter::new`], but of equal rows only one comes back.
    pub fn unique(dir: &SpillDir, budget: usize) -> Self {
        Self { unique: true, ..Self::new(dir, budget) }
    }

    /// Takes a row.
    pub fn push(&mut self, row: R) -> Result<()> {
        let capacity = (self.budget / size_of::<R>().max(1)).max(1);
        if self.rows.len() >= capacity || (self.heap_size >= self.budget && !self.rows.is_empty()) {
            self.spill()?;
        }
        if self.rows.len() == self.rows.capacity() {
            // Twice as many each time, as a vector grows, but never beyond the budget.
            let more = self.rows.len().max(64).min(capacity - self.rows.len());
            self.rows.reserve_exact(more);
        }
        self.heap_size += row.heap_size();
        self.rows.push(row);
        Ok(())
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.runs.is_empty()
    }

    /// The folder that it spills to.
    pub fn dir(&self) -> &SpillDir {
        &self.dir
    }

    /// All rows, in order.
    pub fn finish(mut self) -> Result<Sorted<R>> {
        if self.runs.is_empty() {
            self.sort();
            return Ok(Sorted(Source::Memory(self.rows.into_iter())));
        }
        self.spill()?;
        self.rows = Vec::new();
        let runs = std::mem::take(&mut self.runs);
        Ok(Sorted(Source::Runs(Box::new(merge_runs(runs, &self.dir, self.budget, self.unique)?))))
    }

    /// Writes all rows in order into a run file at `path`, in the folder it spills to, which [`RunReader`]
    /// reads. Returns their number.
    pub fn write_to(self, path: &Path) -> Result<u64> {
        let name = path.display().to_string();
        let (dir, block) = (self.dir.clone(), block_size(self.budget));
        let needed = self.bytes_in_memory() + self.runs.iter().map(TempFile::size).sum::<u64>();
        let rows = self.finish()?;
        dir.check_room(needed)?;
        let file = File::create(path).map_err(|error| Error::io(&name, error))?;
        let n_rows = write_run(rows, &file, &name, block)?;
        dir.note(&file, &name)?;
        Ok(n_rows)
    }

    /// Writes all rows in order into a temporary run, to be read as often as one likes.
    pub fn into_temp_run(self) -> Result<TempRun<R>> {
        let mut run = self.dir.run_writer(block_size(self.budget))?;
        for row in self.finish()? {
            run.push(&row?)?;
        }
        run.finish()
    }

    fn bytes_in_memory(&self) -> u64 {
        (self.rows.len() * size_of::<R>() + self.heap_size) as u64
    }

    fn sort(&mut self) {
        self.rows.par_sort_unstable();
        if self.unique {
            self.rows.dedup();
        }
    }

    fn spill(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.sort();
        let needed = self.bytes_in_memory();
        let (rows, block) = (&mut self.rows, block_size(self.budget));
        let run =
            self.dir.write_file(needed, |file, name| write_run(rows.drain(..).map(Ok), file, name, block).map(drop))?;
        self.runs.push_back(run);
        self.heap_size = 0;
        Ok(())
    }
}

/// The bytes in a block of a run that is merged under this budget.
fn block_size(budget: usize) -> usize {
    (budget / FAN_IN).clamp(*BUFFER.start(), BLOCK)
}

/// The bytes each of `n` sources may read ahead under this budget.
pub(crate) fn buffer_size(budget: usize, n: usize) -> usize {
    (budget / n.max(1)).clamp(*BUFFER.start(), *BUFFER.end())
}

/// The rows of a [`Sorter`], in order.
pub struct Sorted<R: Record>(Source<R>);

enum Source<R: Record> {
    Memory(std::vec::IntoIter<R>),
    Runs(Box<Unique<Merge<RunReader<R>>>>),
}

impl<R: Record> Iterator for Sorted<R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        match &mut self.0 {
            Source::Memory(rows) => rows.next().map(Ok),
            Source::Runs(rows) => rows.next(),
        }
    }
}

/// Merges run files on the local disk, reading ahead `budget` bytes in all; of equal rows only the first
/// comes through if they shall be `unique`. For a bounded number of files: all are open at once.
pub fn merge_files<R: Record>(
    files: &[String],
    budget: usize,
    unique: bool,
) -> Result<impl Iterator<Item = Result<R>> + use<R>> {
    let buffer = buffer_size(budget, files.len());
    let open = |name: &String| RunReader::open(Arc::new(LocalFile::open(Path::new(name))?), name, buffer);
    let readers = files.iter().map(open).collect::<Result<Vec<_>>>()?;
    Ok(Unique::new(Merge::new(readers)?, unique))
}

/// Merges runs in levels of [`FAN_IN`], reading ahead `budget` bytes in all.
fn merge_runs<R: Record>(
    mut runs: VecDeque<TempFile>,
    dir: &SpillDir,
    budget: usize,
    unique: bool,
) -> Result<Unique<Merge<RunReader<R>>>> {
    let open = |runs: Vec<TempFile>| -> Result<_> {
        let buffer = buffer_size(budget, runs.len());
        let readers = runs.into_iter().map(|run| RunReader::temporary(run, buffer)).collect::<Result<Vec<_>>>()?;
        Ok(Unique::new(Merge::new(readers)?, unique))
    };
    while runs.len() > FAN_IN {
        // Those in front are the smallest: merged ones go to the back.
        let batch: Vec<_> = runs.drain(..FAN_IN).collect();
        let needed = batch.iter().map(TempFile::size).sum();
        let merged = open(batch)?;
        runs.push_back(
            dir.write_file(needed, |file, name| write_run(merged, file, name, block_size(budget)).map(drop))?,
        );
    }
    open(runs.into())
}

/// Writes sorted rows that come from several sources into runs, to be merged as one.
pub(crate) fn premerge<R, S>(
    batches: impl Iterator<Item = Result<Merge<S>>>,
    dir: &SpillDir,
    budget: usize,
) -> Result<Unique<Merge<RunReader<R>>>>
where
    R: Record,
    S: Iterator<Item = Result<R>>,
{
    let mut runs = VecDeque::new();
    for batch in batches {
        let batch = batch?;
        // How much it will be is not known before it is written; what is checked is that some space is left.
        runs.push_back(dir.write_file(0, |file, name| write_run(batch, file, name, block_size(budget)).map(drop))?);
    }
    merge_runs(runs, dir, budget, false)
}

/// Writes sorted rows as a run; `name` is for errors. Returns their number.
fn write_run<R: Record>(rows: impl Iterator<Item = Result<R>>, file: &File, name: &str, block: usize) -> Result<u64> {
    let mut out = RunWriter::new(BufWriter::with_capacity(block.max(64 << 10), file), name, block)?;
    for row in rows {
        out.push(&row?)?;
    }
    let n_rows = out.n_rows;
    out.finish()?;
    Ok(n_rows)
}

/// Writes a run front to back, of rows that come in order.
pub struct RunWriter<R, W> {
    blocks: BlockWriter<W>,
    n_rows: u64,
    row: PhantomData<fn(R)>,
}

impl<R: Record, W: Write> RunWriter<R, W> {
    /// Begins a run, named `name` in errors, in blocks of about `block` bytes.
    pub fn new(out: W, name: &str, block: usize) -> Result<Self> {
        Ok(Self { blocks: BlockWriter::new(out, name, R::KIND, block)?, n_rows: 0, row: PhantomData })
    }

    /// Adds a row, not less than the one before.
    pub fn push(&mut self, row: &R) -> Result<()> {
        self.n_rows += 1;
        self.blocks.put(|bytes| row.encode(bytes))
    }

    /// Closes the run and gives back what it was written to.
    pub fn finish(mut self) -> Result<W> {
        self.blocks.close_block()?;
        let mark = end_mark(self.n_rows, self.blocks.position());
        self.blocks.write(&mark)?;
        self.blocks.finish()
    }
}

/// The end of a run: a block header of no records, then their number in the whole file.
fn end_mark(n_rows: u64, position: u64) -> [u8; 24] {
    let mut mark = [0; 24];
    mark[8..16].copy_from_slice(&xxh3_64_with_seed(&n_rows.to_le_bytes(), position).to_le_bytes());
    mark[16..].copy_from_slice(&n_rows.to_le_bytes());
    mark
}

/// A run in a temporary folder that is written in order, then read as often as one likes, and goes with its owner.
pub struct TempRun<R> {
    file: TempFile,
    row: PhantomData<fn() -> R>,
}

/// Writes a [`TempRun`].
pub struct TempRunWriter<R> {
    run: RunWriter<R, BufWriter<File>>,
    file: TempFile,
    dir: SpillDir,
}

impl SpillDir {
    /// Begins a run in this folder, in blocks of about `block` bytes.
    pub fn run_writer<R: Record>(&self, block: usize) -> Result<TempRunWriter<R>> {
        self.check_room(0)?;
        let (temp, file) = self.create()?;
        let run = RunWriter::new(BufWriter::with_capacity(block.max(64 << 10), file), &temp.name(), block)?;
        Ok(TempRunWriter { run, file: temp, dir: self.clone() })
    }
}

impl<R: Record> TempRunWriter<R> {
    /// Adds a row, not less than the one before.
    pub fn push(&mut self, row: &R) -> Result<()> {
        self.run.push(row)
    }

    /// Ends the run.
    pub fn finish(self) -> Result<TempRun<R>> {
        let Self { run, mut file, dir } = self;
        let written = run.finish()?.into_inner().map_err(|error| Error::io(file.name(), error.error()))?;
        file.size = dir.note(&written, &file.name())?;
        Ok(TempRun { file, row: PhantomData })
    }
}

impl<R: Record> TempRun<R> {
    /// The rows, in order, read about `buffer` bytes at a time.
    pub fn rows(&self, buffer: usize) -> Result<RunReader<R>> {
        RunReader::open(self.file.open()?, &self.file.name(), buffer.clamp(*BUFFER.start(), *BUFFER.end()))
    }
}

/// Reads a run file front to back.
pub struct RunReader<R> {
    blocks: BlockReader,
    end: u64,
    n_rows: u64,
    done: bool,
    /// Removes a temporary run when it has been read.
    _file: Option<TempFile>,
    row: PhantomData<fn() -> R>,
}

impl<R: Record> RunReader<R> {
    /// Opens the run `file`, named `name` in errors, to be read about `buffer` bytes at a time.
    pub fn open(file: Arc<dyn ReadAt>, name: &str, buffer: usize) -> Result<Self> {
        check_header(&*file, name, R::KIND)?;
        let end = file.size();
        let blocks = BlockReader::new(file, name.into(), HEADER, end, buffer);
        Ok(Self { blocks, end, n_rows: 0, done: false, _file: None, row: PhantomData })
    }

    fn temporary(run: TempFile, buffer: usize) -> Result<Self> {
        let reader = Self::open(run.open()?, &run.name(), buffer)?;
        Ok(Self { _file: Some(run), ..reader })
    }

    fn read(&mut self) -> Result<Option<R>> {
        if let Some(row) = self.blocks.next(R::decode)? {
            self.n_rows += 1;
            return Ok(Some(row));
        }
        let position = self.blocks.position();
        let mark = self.blocks.raw::<24>()?;
        if mark != end_mark(self.n_rows, position) || self.blocks.position() != self.end {
            return Err(self.blocks.damaged("the number of its rows is wrong"));
        }
        Ok(None)
    }
}

impl<R: Record> Iterator for RunReader<R> {
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

/// Merges sorted sources into one. After an error nothing comes any more.
///
/// A tree of losers (Knuth 3, 5.4.1): each inner node remembers who has lost there, so that whoever follows the winner of
/// all meets one rival on each level.
pub(crate) struct Merge<S: Iterator> {
    sources: Vec<S>,
    /// The next row of each source, never an error; `None` when it has no more.
    heads: Vec<Option<S::Item>>,
    /// Their leads; of those that have no more, the greatest there is.
    leads: Vec<u64>,
    /// By node, from 1; the children of a node have twice its number and one more, the leaves are the sources.
    losers: Vec<usize>,
    winner: usize,
}

impl<R: Record, S: Iterator<Item = Result<R>>> Merge<S> {
    /// Merges `sources`, each of them sorted.
    pub(crate) fn new(mut sources: Vec<S>) -> Result<Self> {
        let heads = sources.iter_mut().map(|rows| rows.next().transpose().map(|row| row.map(Ok)));
        let heads = heads.collect::<Result<Vec<_>>>()?;
        let n = sources.len();
        let leads = heads.iter().map(lead).collect();
        let mut merge = Self { sources, heads, leads, losers: vec![0; n], winner: 0 };
        // Who has won at each node, those of the leaves first.
        let mut winners: Vec<usize> = (0..n).chain(0..n).collect();
        for node in (1..n).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let left_wins = merge.is_before(left, right);
            (winners[node], merge.losers[node]) = if left_wins { (left, right) } else { (right, left) };
        }
        merge.winner = winners.get(1).copied().unwrap_or(0);
        Ok(merge)
    }

    /// Whether the head of one source comes before that of another; of equal ones, that of the first source does.
    fn is_before(&self, one: usize, other: usize) -> bool {
        match self.leads[one].cmp(&self.leads[other]) {
            Ordering::Equal => self.is_whole_before(one, other),
            order => order.is_lt(),
        }
    }

    fn is_whole_before(&self, one: usize, other: usize) -> bool {
        let row = |source: usize| self.heads[source].as_ref().and_then(|head| head.as_ref().ok());
        match (row(one), row(other)) {
            (Some(a), Some(b)) => a.cmp(b).then(one.cmp(&other)).is_lt(),
            (head, None) => head.is_some(),
            (None, Some(_)) => false,
        }
    }
}

impl<R: Record, S: Iterator<Item = Result<R>>> Iterator for Merge<S> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        let mut winner = self.winner;
        let row = self.heads.get_mut(winner)?.take()?;
        match self.sources[winner].next() {
            Some(Err(error)) => {
                self.heads.clear();
                return Some(Err(error));
            }
            next => {
                self.leads[winner] = lead(&next);
                self.heads[winner] = next;
            }
        }
        let mut node = (self.sources.len() + winner) / 2;
        while node > 0 {
            if self.is_before(self.losers[node], winner) {
                std::mem::swap(&mut self.losers[node], &mut winner);
            }
            node /= 2;
        }
        self.winner = winner;
        Some(row)
    }
}

fn lead<R: Record>(head: &Option<Result<R>>) -> u64 {
    head.as_ref().and_then(|head| head.as_ref().ok()).map_or(u64::MAX, R::lead)
}

/// Passes rows on, of equal ones only the first if asked to.
pub(crate) struct Unique<I: Iterator> {
    rows: std::iter::Peekable<I>,
    unique: bool,
}

impl<I: Iterator> Unique<I> {
    fn new(rows: I, unique: bool) -> Self {
        Self { rows: rows.peekable(), unique }
    }
}

impl<R: Ord, I: Iterator<Item = Result<R>>> Iterator for Unique<I> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        let row = self.rows.next()?;
        if self.unique
            && let Ok(row) = &row
        {
            while self.rows.next_if(|next| next.as_ref().is_ok_and(|next| next == row)).is_some() {}
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exchange::blocks::tests::{Bytes, damages};
    use crate::exchange::record::KeyRow;

    fn row(number: u64) -> KeyRow {
        KeyRow { key: u128::from(number), rank: number / 3, doc: 0 }
    }

    fn no_space(_: &Path) -> io::Result<u64> {
        Ok(1 << 20)
    }

    #[track_caller]
    fn check_sorted(numbers: &[u64], budget: usize, unique: bool) -> u64 {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(folder.path());
        let mut sorter = if unique { Sorter::unique(&dir, budget) } else { Sorter::new(&dir, budget) };
        for &number in numbers {
            sorter.push(row(number)).expect("room");
        }
        let mut expected: Vec<_> = numbers.iter().copied().map(row).collect();
        expected.sort_unstable();
        if unique {
            expected.dedup();
        }
        let found = sorter.finish().expect("room").collect::<Result<Vec<_>>>().expect("readable");
        assert!(found == expected);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "runs are removed");
        dir.stats().runs()
    }

    #[test]
    fn what_fits_is_not_spilled() {
        assert_eq!(check_sorted(&[3, 1, 2, 1], 1 << 20, false), 0);
        assert_eq!(check_sorted(&[], 0, false), 0);
    }

    #[test]
    fn many_runs_are_merged_in_levels() {
        let numbers: Vec<_> = (0..9000).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52).collect();
        let runs = check_sorted(&numbers, 64, false);
        assert!(runs > 4500, "two rows a run, and merges of 64 runs each");
        check_sorted(&numbers, 64, true);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sorting_is_sorting_whatever_the_budget(
            numbers in prop::collection::vec(0u64..500, 0..600), budget in 0usize..4000, unique: bool,
        ) {
            check_sorted(&numbers, budget, unique);
        }
    }

    fn run_file(n: u64) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows");
        let dir = SpillDir::new(folder.path());
        let mut sorter = Sorter::new(&dir, 1 << 20);
        (0..n).try_for_each(|number| sorter.push(row(number))).expect("room");
        assert_eq!(sorter.write_to(&path).expect("room"), n);
        let bytes = fs::read(&path).expect("written");
        assert_eq!((dir.stats().runs(), dir.stats().bytes()), (1, bytes.len() as u64), "it is counted");
        bytes
    }

    #[test]
    fn a_damaged_run_is_an_error() {
        let read = |bytes: Vec<u8>| {
            RunReader::<KeyRow>::open(Arc::new(Bytes(bytes)), "rows", 100)?.collect::<Result<Vec<_>>>()
        };
        let bytes = run_file(50);
        assert_eq!(read(bytes.clone()).expect("whole").len(), 50);
        for damaged in damages(&bytes) {
            assert!(read(damaged).expect_err("damaged").to_string().starts_with("rows: the file is damaged"));
        }
        let other = RunReader::<crate::stage::Pair>::open(Arc::new(Bytes(bytes)), "rows", 100).err();
        assert!(other.expect("of another kind").to_string().contains("another kind"));
    }

    #[test]
    fn a_full_disk_is_refused_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::with_free_space(folder.path(), no_space);
        let mut sorter = Sorter::new(&dir, 48);
        let error = (0..9).try_for_each(|number| sorter.push(row(number))).expect_err("no room").to_string();
        let expected = "not enough free space for temporary files: 65 MiB are needed, 1 MiB are free; \
                        `--work-dir` chooses another folder";
        assert_eq!(error, format!("{}: {expected}", folder.path().display()));
        // Nor for rows that fit in memory, when they are to go to a file.
        let path = folder.path().join("rows");
        let mut sorter = Sorter::new(&dir, 1 << 20);
        sorter.push(row(1)).expect("memory");
        let error = sorter.write_to(&path).expect_err("no room").to_string();
        assert_eq!(error, format!("{}: {expected}", folder.path().display()));
        assert!(!path.exists());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let mut sorter = Sorter::new(&SpillDir::new("/nowhere/at/all"), 0);
        let error = (0..2).try_for_each(|number| sorter.push(row(number))).expect_err("no folder").to_string();
        assert!(error.starts_with("/nowhere/at/all: "), "{error}");
    }
}
