//! The key file of a task: the keys its documents sent, by section, each section sorted.
//!
//! ```text
//! file     header   blocks of section 0   blocks of section 1   …   index   tail
//! index    per section: offset u64   rows u64   least doc u64   narrow u8
//! tail     offset of the index u64   sections u64   xxh3_64 of the index and the two numbers before
//! row      key u64 (narrow sections) or u128   rank varint   doc minus the section's least doc, varint
//! ```
//!
//! One file a task, whatever the number of sections: ten thousand tasks with thirty bands each are ten
//! thousand files and not three hundred thousand. A section whose keys all fit 64 bits, as band keys do, is
//! stored in half the bytes.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::exchange::blocks::{BlockReader, BlockWriter, HEADER, check_header, damaged};
use crate::exchange::radix::radix_sort;
use crate::exchange::record::{KeyRow, put_varint, take, take_varint};
use crate::exchange::sort::{FAN_IN, Merge, SpillDir, TempFile, buffer_size};
use crate::store::ReadAt;

const KIND: u32 = 100;
const BLOCK: usize = 32 << 10;
const INDEX_ENTRY: usize = 25;
const TAIL: usize = 24;

/// Takes the keys of a task's documents, in any order, and writes them as one key file.
pub struct KeyWriter {
    sections: Vec<Rows>,
    /// The bytes of rows in memory, of all sections.
    n_bytes: usize,
    budget: usize,
    dir: SpillDir,
    /// Key files themselves, each with all sections.
    spilled: Vec<TempFile>,
}

impl KeyWriter {
    /// A writer of `sections` sections that holds about `budget` bytes and spills the rest to `dir`.
    pub fn new(sections: usize, dir: &SpillDir, budget: usize) -> Self {
        let sections = std::iter::repeat_with(Rows::default).take(sections).collect();
        Self { sections, n_bytes: 0, budget, dir: dir.clone(), spilled: Vec::new() }
    }

    /// Takes a key of `section`.
    pub fn push(&mut self, section: usize, row: KeyRow) -> Result<()> {
        // Vectors grow by doubling, so half of what they hold can be room not used yet; and they are sorted into others.
        if self.n_bytes > 0 && (self.n_bytes + size_of::<KeyRow>()) * 3 > self.budget {
            self.spill()?;
        }
        self.n_bytes += self.sections[section].push(row);
        Ok(())
    }

    /// Writes the key file, named `name` in errors. Returns the number of rows in each section.
    pub fn finish(mut self, out: impl Write, name: &str) -> Result<Vec<u64>> {
        if self.spilled.is_empty() {
            self.sort();
            return write_sorted(&self.sections, out, name);
        }
        self.spill()?;
        let n_sections = std::mem::take(&mut self.sections).len();
        while self.spilled.len() > FAN_IN {
            let batch: Vec<_> = self.spilled.drain(..FAN_IN).collect();
            let needed = batch.iter().map(TempFile::size).sum();
            let merged = self
                .dir
                .write_file(needed, |file, name| merge(&batch, n_sections, self.budget, file, name).map(drop))?;
            self.spilled.push(merged);
        }
        merge(&self.spilled, n_sections, self.budget, out, name)
    }

    fn sort(&mut self) {
        self.sections.par_iter_mut().for_each(Rows::sort);
    }

    fn spill(&mut self) -> Result<()> {
        self.sort();
        let needed = self.sections.iter().map(|rows| rows.len() * size_of::<KeyRow>()).sum::<usize>() as u64;
        let sections = &self.sections;
        let run = self.dir.write_file(needed, |file, name| write_sorted(sections, file, name).map(drop))?;
        self.spilled.push(run);
        self.sections.iter_mut().for_each(Rows::clear);
        self.n_bytes = 0;
        Ok(())
    }
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

/// Writes sections that are in memory, sorted.
fn write_sorted(sections: &[Rows], out: impl Write, name: &str) -> Result<Vec<u64>> {
    let mut writer = SectionWriter::new(out, name)?;
    for rows in sections {
        match rows {
            Rows::Short { rows, first } => {
                let least = rows.iter().map(|row| row.doc).min().map_or(0, |doc| first + u64::from(doc));
                writer.section(rows.iter().map(|row| Ok(row.long(*first))), true, least)?;
            }
            Rows::Long(rows) => {
                let narrow = rows.last().is_none_or(|last| u64::try_from(last.key).is_ok());
                let least = rows.iter().map(|row| row.doc).min().unwrap_or(0);
                writer.section(rows.iter().map(|row| Ok(*row)), narrow, least)?;
            }
        }
    }
    writer.finish()
}

/// Merges the sections of key files, which are no more than [`FAN_IN`].
fn merge(files: &[TempFile], n_sections: usize, budget: usize, out: impl Write, name: &str) -> Result<Vec<u64>> {
    let files = files.iter().map(|file| KeyFile::open(file.open()?, &file.name())).collect::<Result<Vec<_>>>()?;
    let buffer = buffer_size(budget, files.len());
    let mut writer = SectionWriter::new(out, name)?;
    for section in 0..n_sections {
        let filled = || files.iter().map(|file| &file.sections[section]).filter(|section| section.n_rows > 0);
        let narrow = filled().all(|section| section.narrow);
        let least = filled().map(|section| section.least_doc).min().unwrap_or(0);
        let rows = Merge::new(files.iter().map(|file| file.section(section, buffer)).collect())?;
        writer.section(rows, narrow, least)?;
    }
    writer.finish()
}

struct SectionWriter<W: Write> {
    out: BlockWriter<BufWriter<W>>,
    sections: Vec<Section>,
}

impl<W: Write> SectionWriter<W> {
    fn new(out: W, name: &str) -> Result<Self> {
        let out = BlockWriter::new(BufWriter::with_capacity(128 << 10, out), name, KIND, BLOCK)?;
        Ok(Self { out, sections: Vec::new() })
    }

    fn section(&mut self, rows: impl Iterator<Item = Result<KeyRow>>, narrow: bool, least_doc: u64) -> Result<()> {
        let mut section = Section { offset: self.out.position(), n_rows: 0, least_doc, narrow };
        for row in rows {
            let row = row?;
            self.out.put(|bytes| section.encode(&row, bytes))?;
            section.n_rows += 1;
        }
        self.out.close_block()?;
        self.sections.push(section);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u64>> {
        let offset = self.out.position();
        let mut index = Vec::with_capacity(self.sections.len() * INDEX_ENTRY + TAIL);
        for section in &self.sections {
            index.extend_from_slice(&section.offset.to_le_bytes());
            index.extend_from_slice(&section.n_rows.to_le_bytes());
            index.extend_from_slice(&section.least_doc.to_le_bytes());
            index.push(u8::from(section.narrow));
        }
        index.extend_from_slice(&offset.to_le_bytes());
        index.extend_from_slice(&(self.sections.len() as u64).to_le_bytes());
        index.extend_from_slice(&xxh3_64(&index).to_le_bytes());
        self.out.write(&index)?;
        self.out.finish()?;
        Ok(self.sections.iter().map(|section| section.n_rows).collect())
    }
}

/// A key file, open for reading. Cheap to clone.
#[derive(Clone)]
pub struct KeyFile {
    file: Arc<dyn ReadAt>,
    name: Arc<str>,
    sections: Arc<[Section]>,
    /// Where the last section ends.
    index: u64,
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
        if offset < HEADER || offset > tail_at || n_sections.checked_mul(INDEX_ENTRY as u64) != Some(tail_at - offset) {
            return Err(damaged(name, "it has no index"));
        }
        let mut index = vec![0; (size - offset) as usize];
        file.read_at(offset, &mut index)?;
        if xxh3_64(&index[..index.len() - 8]) != checksum {
            return Err(damaged(name, "its index does not match its checksum"));
        }
        let sections = index[..index.len() - TAIL].chunks_exact(INDEX_ENTRY).map(|mut entry| {
            let entry = &mut entry;
            let mut number = || take(entry).map(u64::from_le_bytes).expect("an entry is three numbers and a byte");
            let (offset, n_rows, least_doc) = (number(), number(), number());
            Section { offset, n_rows, least_doc, narrow: entry[0] != 0 }
        });
        Ok(Self { sections: sections.collect(), index: offset, name: name.into(), file })
    }

    /// The number of sections.
    pub fn n_sections(&self) -> usize {
        self.sections.len()
    }

    /// The number of rows in a section.
    pub fn n_rows(&self, section: usize) -> u64 {
        self.sections[section].n_rows
    }

    /// The rows of a section in order, read about `buffer` bytes at a time.
    pub fn section(&self, section: usize, buffer: usize) -> SectionReader {
        let end = self.sections.get(section + 1).map_or(self.index, |next| next.offset);
        let section = self.sections[section];
        let blocks = BlockReader::new(self.file.clone(), self.name.clone(), section.offset, end, buffer);
        SectionReader { blocks, section, left: section.n_rows, done: false }
    }
}

/// The rows of a section, in order. After an error nothing comes any more.
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
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(folder.path());
        let mut writer = KeyWriter::new(3, &dir, budget);
        for i in 0..n {
            writer.push(0, key_row(i, true)).expect("room");
            writer.push(2, key_row(i, false)).expect("room");
        }
        let mut bytes = Vec::new();
        assert_eq!(writer.finish(&mut bytes, "keys").expect("room"), [n, 0, n]);
        (bytes, dir.stats().runs())
    }

    fn read(bytes: Vec<u8>) -> Result<Vec<Vec<KeyRow>>> {
        let file = KeyFile::open(Arc::new(Bytes(bytes)), "keys")?;
        (0..file.n_sections()).map(|section| file.section(section, 100).collect()).collect()
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
    fn the_file_does_not_depend_on_the_budget() {
        let (bytes, _) = write(500, 1 << 20);
        for budget in [0, 200, 3000] {
            let (spilled, runs) = write(500, budget);
            assert!(runs > 10);
            assert!(spilled == bytes, "budget {budget}");
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
            let mut bytes = Vec::new();
            write_sorted(&[keys], &mut bytes, "keys").expect("memory");
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
