//! The key file of a task: the keys its documents sent, by section, in sorted runs.
//!
//! ```text
//! file     header   run*   index   tail
//! run      blocks of section 0   blocks of section 1   …
//! index    per run and section: offset u64   rows u64   least doc u64   narrow u8
//! tail     offset of the index u64   sections u64   xxh3_64 of the index and the two numbers before
//! row      key u64 (narrow sections) or u128   rank varint   doc minus the section's least doc, varint
//! ```
//!
//! One file a task, whatever the number of sections: ten thousand tasks with thirty bands each are ten
//! thousand files and not three hundred thousand. A section whose keys all fit 64 bits, as band keys do, is
//! stored in half the bytes.
//!
//! A run has so many rows that sorting them fits the memory there usually is; then nothing is written twice. Where
//! one run ends and the next begins depends on the rows alone, so that the file is the same whoever writes it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::exchange::blocks::{BlockReader, BlockWriter, HEADER, check_header, damaged};
use crate::exchange::radix::radix_sort;
use crate::exchange::record::{KeyRow, put_varint, take, take_varint};
use crate::exchange::sort::{FAN_IN, Merge, SpillDir, TempFile, buffer_size};
use crate::store::ReadAt;

const KIND: u32 = 100;
const BLOCK: usize = 32 << 10;
const INDEX_ENTRY: usize = 25;
const TAIL: usize = 24;
/// The rows of a run, of all sections: 36 MB in memory, and as much again twice while they are sorted.
const RUN_ROWS: usize = 3_000_000;

/// Takes the keys of a task's documents, in any order, and writes them as one key file.
pub struct KeyWriter<W: Write> {
    /// The rows of the run begun.
    sections: Vec<Rows>,
    /// Their bytes.
    n_bytes: usize,
    /// The rows of the run begun, in memory or spilled, and how many it shall have.
    n_in_run: usize,
    run_rows: usize,
    budget: usize,
    dir: SpillDir,
    /// What did not fit of the run begun: key files themselves, of one run each.
    spilled: Vec<TempFile>,
    file: RunsWriter<W>,
}

impl<W: Write> KeyWriter<W> {
    /// Writes `sections` sections to a file, named `name` in errors; holds about `budget` bytes, and spills what does
    /// not fit to `dir`.
    pub fn new(sections: usize, dir: &SpillDir, budget: usize, out: W, name: &str) -> Result<Self> {
        Self::with_runs(RUN_ROWS, sections, dir, budget, out, name)
    }

    fn with_runs(run_rows: usize, sections: usize, dir: &SpillDir, budget: usize, out: W, name: &str) -> Result<Self> {
        let file = RunsWriter::new(sections, out, name)?;
        let sections = std::iter::repeat_with(Rows::default).take(sections).collect();
        Ok(Self { sections, n_bytes: 0, n_in_run: 0, run_rows, budget, dir: dir.clone(), spilled: Vec::new(), file })
    }

    /// Takes a key of `section`.
    pub fn push(&mut self, section: usize, row: KeyRow) -> Result<()> {
        if self.n_in_run == self.run_rows {
            self.close_run()?;
        }
        self.n_in_run += 1;
        // Vectors grow by doubling, so half of what they hold can be room not used yet; and they are sorted into others.
        if self.n_bytes > 0 && (self.n_bytes + size_of::<KeyRow>()) * 3 > self.budget {
            self.spill()?;
        }
        self.n_bytes += self.sections[section].push(row);
        Ok(())
    }

    /// Completes the file. Returns what it was written to, and the number of rows in each section.
    pub fn finish(mut self) -> Result<(W, Vec<u64>)> {
        // There is one run at least.
        if self.n_in_run > 0 || self.file.index.is_empty() {
            self.close_run()?;
        }
        self.file.finish()
    }

    fn close_run(&mut self) -> Result<()> {
        self.n_in_run = 0;
        if self.spilled.is_empty() {
            self.sort();
            write_run(&self.sections, &mut self.file)?;
            self.clear();
            return Ok(());
        }
        self.spill()?;
        let (dir, n_sections, budget) = (&self.dir, self.sections.len(), self.budget);
        while self.spilled.len() > FAN_IN {
            let batch: Vec<_> = self.spilled.drain(..FAN_IN).collect();
            let needed = batch.iter().map(TempFile::size).sum();
            self.spilled.push(spilled_run(dir, needed, n_sections, |run| merge(&batch, budget, run))?);
        }
        merge(&std::mem::take(&mut self.spilled), budget, &mut self.file)
    }

    fn sort(&mut self) {
        self.sections.par_iter_mut().for_each(Rows::sort);
    }

    fn clear(&mut self) {
        self.sections.iter_mut().for_each(Rows::clear);
        self.n_bytes = 0;
    }

    fn spill(&mut self) -> Result<()> {
        self.sort();
        let sections = &self.sections;
        let needed = sections.iter().map(|rows| rows.len() * size_of::<KeyRow>()).sum::<usize>() as u64;
        self.spilled.push(spilled_run(&self.dir, needed, sections.len(), |run| write_run(sections, run))?);
        self.clear();
        Ok(())
    }
}

/// A temporary key file of one run.
fn spilled_run(
    dir: &SpillDir,
    needed: u64,
    n_sections: usize,
    write: impl FnOnce(&mut RunsWriter<&File>) -> Result<()>,
) -> Result<TempFile> {
    dir.write_file(needed, |file, name| {
        let mut run = RunsWriter::new(n_sections, file, name)?;
        write(&mut run)?;
        run.finish().map(drop)
    })
}

/// The rows of a section that are in memory. Band keys in input order, which most rows are, take 12 bytes and not 32.
enum Rows {
    Short { rows: Vec<ShortRow>, first: u64 },
    Long(Vec<KeyRow>),
}

/// A row of rank 0 with a key of 64 bits, its document counted from the first that a section may have. Ordered as
/// the row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(4))]
struct ShortRow {
    key: u64,
    doc: u32,
}

impl ShortRow {
    fn of(row: KeyRow, first: u64) -> Option<Self> {
        let (key, doc) = (u64::try_from(row.key).ok()?, u32::try_from(row.doc.checked_sub(first)?).ok()?);
        (row.rank == 0).then_some(Self { key, doc })
    }

    fn long(self, first: u64) -> KeyRow {
        KeyRow { key: self.key.into(), rank: 0, doc: first + u64::from(self.doc) }
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self::Short { rows: Vec::new(), first: 0 }
    }
}

impl Rows {
    /// Takes a row, and returns how many bytes it takes more than before.
    fn push(&mut self, row: KeyRow) -> usize {
        if let Self::Short { rows, first } = self {
            if rows.is_empty() {
                // A task's documents differ in the lower half only.
                *first = row.doc & !u64::from(u32::MAX);
            }
            if let Some(short) = ShortRow::of(row, *first) {
                rows.push(short);
                return size_of::<ShortRow>();
            }
            let long: Vec<_> = rows.iter().map(|short| short.long(*first)).collect();
            let grown = long.len() * (size_of::<KeyRow>() - size_of::<ShortRow>());
            *self = Self::Long(long);
            return grown + self.push(row);
        }
        let Self::Long(rows) = self else { unreachable!("short ones have been dealt with") };
        rows.push(row);
        size_of::<KeyRow>()
    }

    fn len(&self) -> usize {
        match self {
            Self::Short { rows, .. } => rows.len(),
            Self::Long(rows) => rows.len(),
        }
    }

    fn sort(&mut self) {
        match self {
            Self::Short { rows, .. } => radix_sort(rows, |row| row.key),
            // The upper half of a content key; there is none above a band key.
            Self::Long(rows) => radix_sort(rows, |row| (row.key >> 64) as u64),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Short { rows, .. } => rows.clear(),
            Self::Long(rows) => rows.clear(),
        }
    }
}

/// Writes sections that are in memory, sorted, as a run.
fn write_run<W: Write>(sections: &[Rows], file: &mut RunsWriter<W>) -> Result<()> {
    for rows in sections {
        match rows {
            Rows::Short { rows, first } => {
                let least = rows.iter().map(|row| row.doc).min().map_or(0, |doc| first + u64::from(doc));
                file.section(rows.iter().map(|row| Ok(row.long(*first))), true, least)?;
            }
            Rows::Long(rows) => {
                let narrow = rows.last().is_none_or(|last| u64::try_from(last.key).is_ok());
                let least = rows.iter().map(|row| row.doc).min().unwrap_or(0);
                file.section(rows.iter().map(|row| Ok(*row)), narrow, least)?;
            }
        }
    }
    Ok(())
}

/// Merges key files of one run each, which are no more than [`FAN_IN`], to a run.
fn merge<W: Write>(files: &[TempFile], budget: usize, out: &mut RunsWriter<W>) -> Result<()> {
    let files = files.iter().map(|file| KeyFile::open(file.open()?, &file.name())).collect::<Result<Vec<_>>>()?;
    let buffer = buffer_size(budget, files.len());
    for section in 0..out.n_sections {
        let filled = || files.iter().map(|file| &file.index[section]).filter(|section| section.n_rows > 0);
        let narrow = filled().all(|section| section.narrow);
        let least = filled().map(|section| section.least_doc).min().unwrap_or(0);
        let rows = Merge::new(files.iter().map(|file| file.run(section, 0, buffer)).collect())?;
        out.section(rows, narrow, least)?;
    }
    Ok(())
}

struct RunsWriter<W: Write> {
    out: BlockWriter<BufWriter<W>>,
    name: String,
    n_sections: usize,
    /// The sections of all runs so far.
    index: Vec<Section>,
}

impl<W: Write> RunsWriter<W> {
    fn new(n_sections: usize, out: W, name: &str) -> Result<Self> {
        let out = BlockWriter::new(BufWriter::with_capacity(128 << 10, out), name, KIND, BLOCK)?;
        Ok(Self { out, name: name.to_owned(), n_sections, index: Vec::new() })
    }

    /// Adds the next section of a run, or the first one of the next.
    fn section(&mut self, rows: impl Iterator<Item = Result<KeyRow>>, narrow: bool, least_doc: u64) -> Result<()> {
        let mut section = Section { offset: self.out.position(), n_rows: 0, least_doc, narrow };
        for row in rows {
            let row = row?;
            self.out.put(|bytes| section.encode(&row, bytes))?;
            section.n_rows += 1;
        }
        self.out.close_block()?;
        self.index.push(section);
        Ok(())
    }

    fn finish(mut self) -> Result<(W, Vec<u64>)> {
        let offset = self.out.position();
        let mut index = Vec::with_capacity(self.index.len() * INDEX_ENTRY + TAIL);
        let mut n_rows = vec![0; self.n_sections];
        for (i, section) in self.index.iter().enumerate() {
            index.extend_from_slice(&section.offset.to_le_bytes());
            index.extend_from_slice(&section.n_rows.to_le_bytes());
            index.extend_from_slice(&section.least_doc.to_le_bytes());
            index.push(u8::from(section.narrow));
            n_rows[i % self.n_sections] += section.n_rows;
        }
        index.extend_from_slice(&offset.to_le_bytes());
        index.extend_from_slice(&(self.n_sections as u64).to_le_bytes());
        index.extend_from_slice(&xxh3_64(&index).to_le_bytes());
        self.out.write(&index)?;
        let out = self.out.finish()?.into_inner().map_err(|error| Error::io(&self.name, error.into_error()))?;
        Ok((out, n_rows))
    }
}

/// A key file, open for reading. Cheap to clone.
#[derive(Clone)]
pub struct KeyFile {
    file: Arc<dyn ReadAt>,
    name: Arc<str>,
    n_sections: usize,
    /// The sections of all runs.
    index: Arc<[Section]>,
    /// Where the last section ends.
    end: u64,
}

#[derive(Debug, Clone, Copy)]
struct Section {
    offset: u64,
    n_rows: u64,
    least_doc: u64,
    narrow: bool,
}

impl Section {
    fn encode(&self, row: &KeyRow, out: &mut Vec<u8>) {
        if self.narrow {
            out.extend_from_slice(&(row.key as u64).to_le_bytes());
        } else {
            out.extend_from_slice(&row.key.to_le_bytes());
        }
        put_varint(row.rank, out);
        put_varint(row.doc - self.least_doc, out);
    }

    fn decode(&self, bytes: &mut &[u8]) -> Option<KeyRow> {
        let key =
            if self.narrow { u128::from(u64::from_le_bytes(take(bytes)?)) } else { u128::from_le_bytes(take(bytes)?) };
        let rank = take_varint(bytes)?;
        Some(KeyRow { key, rank, doc: take_varint(bytes)?.checked_add(self.least_doc)? })
    }
}

impl KeyFile {
    /// Opens a key file, named `name` in errors.
    pub fn open(file: Arc<dyn ReadAt>, name: &str) -> Result<Self> {
        check_header(&*file, name, KIND)?;
        let size = file.size();
        let Some(tail_at) = size.checked_sub(TAIL as u64).filter(|&at| at >= HEADER) else {
            return Err(damaged(name, "it has no index"));
        };
        let mut tail = [0; TAIL];
        file.read_at(tail_at, &mut tail)?;
        let mut rest = &tail[..];
        let mut number = || take(&mut rest).map(u64::from_le_bytes).expect("a tail is three numbers");
        let (offset, n_sections, checksum) = (number(), number(), number());
        let of_run = n_sections.checked_mul(INDEX_ENTRY as u64).filter(|&bytes| bytes > 0);
        let whole =
            |bytes: u64| tail_at.checked_sub(offset).is_some_and(|index| index > 0 && index.is_multiple_of(bytes));
        if offset < HEADER || !of_run.is_some_and(whole) {
            return Err(damaged(name, "it has no index"));
        }
        let mut index = vec![0; (size - offset) as usize];
        file.read_at(offset, &mut index)?;
        if xxh3_64(&index[..index.len() - 8]) != checksum {
            return Err(damaged(name, "its index does not match its checksum"));
        }
        let index = index[..index.len() - TAIL].chunks_exact(INDEX_ENTRY).map(|mut entry| {
            let entry = &mut entry;
            let mut number = || take(entry).map(u64::from_le_bytes).expect("an entry is three numbers and a byte");
            let (offset, n_rows, least_doc) = (number(), number(), number());
            Section { offset, n_rows, least_doc, narrow: entry[0] != 0 }
        });
        Ok(Self { index: index.collect(), n_sections: n_sections as usize, end: offset, name: name.into(), file })
    }

    /// The number of sections.
    pub fn n_sections(&self) -> usize {
        self.n_sections
    }

    /// The number of runs, 1 at least.
    pub fn n_runs(&self) -> usize {
        self.index.len() / self.n_sections
    }

    /// The number of rows in a section.
    pub fn n_rows(&self, section: usize) -> u64 {
        self.index[section..].iter().step_by(self.n_sections).map(|section| section.n_rows).sum()
    }

    /// The rows that a run has of a section, in order, read about `buffer` bytes at a time.
    pub fn run(&self, section: usize, run: usize, buffer: usize) -> SectionReader {
        let at = run * self.n_sections + section;
        let end = self.index.get(at + 1).map_or(self.end, |next| next.offset);
        let section = self.index[at];
        let blocks = BlockReader::new(self.file.clone(), self.name.clone(), section.offset, end, buffer);
        SectionReader { blocks, section, left: section.n_rows, done: false }
    }

    /// The rows of a section, in no order.
    pub fn rows(&self, section: usize, buffer: usize) -> impl Iterator<Item = Result<KeyRow>> {
        (0..self.n_runs()).flat_map(move |run| self.run(section, run, buffer))
    }
}

/// All runs of some key files: which file, and which of its runs.
pub fn runs_of(files: &[KeyFile]) -> Vec<(usize, usize)> {
    files.iter().enumerate().flat_map(|(file, of)| (0..of.n_runs()).map(move |run| (file, run))).collect()
}

/// The rows of a section in a run, in order. After an error nothing comes any more.
pub struct SectionReader {
    blocks: BlockReader,
    section: Section,
    left: u64,
    done: bool,
}

impl SectionReader {
    fn read(&mut self) -> Result<Option<KeyRow>> {
        let section = self.section;
        let row = self.blocks.next(|bytes| section.decode(bytes))?;
        if row.is_some() != (self.left > 0) {
            return Err(self.blocks.damaged("the number of rows in a section is wrong"));
        }
        self.left = self.left.saturating_sub(1);
        Ok(row)
    }
}

impl Iterator for SectionReader {
    type Item = Result<KeyRow>;

    fn next(&mut self) -> Option<Result<KeyRow>> {
        if self.done {
            return None;
        }
        let row = self.read().transpose();
        self.done = !matches!(row, Some(Ok(_)));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::blocks::tests::{Bytes, damages};

    fn key_row(n: u64, wide: bool) -> KeyRow {
        let key = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56);
        // The first 100 are of one rank.
        KeyRow { key: if wide { key << 100 } else { key }, rank: n / 100 % 3, doc: (7 << 40) + n }
    }

    fn write(n: u64, budget: usize) -> (Vec<u8>, u64) {
        write_runs(RUN_ROWS, n, budget)
    }

    fn write_runs(run_rows: usize, n: u64, budget: usize) -> (Vec<u8>, u64) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(folder.path());
        let mut writer = KeyWriter::with_runs(run_rows, 3, &dir, budget, Vec::new(), "keys").expect("memory");
        for i in 0..n {
            writer.push(0, key_row(i, true)).expect("room");
            writer.push(2, key_row(i, false)).expect("room");
        }
        let (bytes, n_rows) = writer.finish().expect("room");
        assert_eq!(n_rows, [n, 0, n]);
        (bytes, dir.stats().runs())
    }

    fn open(bytes: Vec<u8>) -> Result<KeyFile> {
        KeyFile::open(Arc::new(Bytes(bytes)), "keys")
    }

    /// The sections of a file of one run.
    fn read(bytes: Vec<u8>) -> Result<Vec<Vec<KeyRow>>> {
        let file = open(bytes)?;
        assert_eq!(file.n_runs(), 1);
        (0..file.n_sections()).map(|section| file.run(section, 0, 100).collect()).collect()
    }

    #[test]
    fn sections_come_back_sorted() {
        let (bytes, runs) = write(500, 1 << 20);
        assert_eq!(runs, 0);
        for (section, wide) in read(bytes).expect("whole").into_iter().zip([Some(true), None, Some(false)]) {
            let mut expected: Vec<_> =
                wide.into_iter().flat_map(|wide| (0..500).map(move |i| key_row(i, wide))).collect();
            expected.sort_unstable();
            assert_eq!(section, expected);
        }
    }

    #[test]
    fn a_run_has_the_rows_that_came_one_after_the_other() {
        let file = open(write_runs(300, 500, 1 << 20).0).expect("whole");
        assert_eq!((file.n_runs(), file.n_rows(0), file.n_rows(1), file.n_rows(2)), (4, 500, 0, 500));
        // Each document has sent two rows.
        for (run, of_run) in [0..150, 150..300, 300..450, 450..500].into_iter().enumerate() {
            for (section, wide) in [(0, true), (2, false)] {
                let mut expected: Vec<_> = of_run.clone().map(|i| key_row(i, wide)).collect();
                expected.sort_unstable();
                assert_eq!(file.run(section, run, 100).collect::<Result<Vec<_>>>().expect("whole"), expected);
            }
        }
        assert_eq!(file.rows(2, 100).count(), 500);
        assert_eq!(runs_of(&[file.clone(), file]).len(), 8);
    }

    #[test]
    fn the_file_does_not_depend_on_the_budget() {
        for run_rows in [300, 600, 2000] {
            let (bytes, _) = write_runs(run_rows, 500, 1 << 20);
            for budget in [0, 200, 3000] {
                let (spilled, runs) = write_runs(run_rows, 500, budget);
                assert!(runs > 10);
                assert!(spilled == bytes, "budget {budget}");
            }
        }
    }

    #[test]
    fn short_rows_and_long_ones_make_one_file() {
        // Short as they come, long from the last one on, and long from the first one on.
        for rows in [0..100, 0..101, 99..300, 100..300] {
            let mut keys = Rows::default();
            let n_bytes: usize = rows.clone().map(|n| keys.push(key_row(n, false))).sum();
            let of_each = if rows.end <= 100 { size_of::<ShortRow>() } else { size_of::<KeyRow>() };
            assert_eq!(n_bytes, keys.len() * of_each);
            keys.sort();
            let mut file = RunsWriter::new(1, Vec::new(), "keys").expect("memory");
            write_run(&[keys], &mut file).expect("memory");
            let bytes = file.finish().expect("memory").0;
            let mut expected: Vec<_> = rows.map(|n| key_row(n, false)).collect();
            expected.sort_unstable();
            assert_eq!(read(bytes).expect("whole"), [expected]);
        }
    }

    #[test]
    fn narrow_sections_are_small() {
        let bytes = write(500, 1 << 20).0.len();
        // 18 or 19 bytes a wide row, 10 or 11 a narrow one.
        assert!(bytes < 500 * 30 + 300, "{bytes}");
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let (bytes, _) = write(20, 1 << 20);
        for damaged in damages(&bytes) {
            assert!(read(damaged).expect_err("damaged").to_string().starts_with("keys: the file is damaged"));
        }
    }
}
