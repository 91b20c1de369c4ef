//! Sorted rows in parts, one for each task: a task reads its part of a file that others' parts are in too.
//!
//! ```text
//! file    header   blocks of a part   blocks of the next   …   index   tail
//! index   per part that has rows: part u32   offset u64   rows u64
//! tail    offset of the index u64   parts u64   xxh3_64 of the index and the two numbers before
//! ```
//!
//! So what a step of an exchange leaves for ten thousand tasks is one file, and no file holds one task's share of
//! everything.

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::exchange::blocks::{BlockReader, BlockWriter, HEADER, check_header, damaged};
use crate::exchange::record::{Record, take};
use crate::store::ReadAt;

/// Added to the kind of the rows.
const KIND: u32 = 1000;
const BLOCK: usize = 32 << 10;
const INDEX_ENTRY: usize = 20;
const TAIL: usize = 24;

/// Writes a file of parts, front to back. Holds 20 bytes a part.
pub struct PartsWriter<R, W> {
    blocks: BlockWriter<W>,
    name: String,
    parts: Vec<Part>,
    row: PhantomData<fn(R)>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    part: u32,
    offset: u64,
    n_rows: u64,
}

impl<R: Record, W: Write> PartsWriter<R, W> {
    /// Begins a file, named `name` in errors.
    pub fn new(out: W, name: &str) -> Result<Self> {
        let blocks = BlockWriter::new(out, name, KIND + R::KIND, BLOCK)?;
        Ok(Self { blocks, name: name.to_owned(), parts: Vec::new(), row: PhantomData })
    }

    /// Adds a row to a part: the one of the row before or a later one.
    pub fn push(&mut self, part: u32, row: &R) -> Result<()> {
        match self.parts.last_mut() {
            Some(last) if last.part == part => last.n_rows += 1,
            Some(last) if last.part > part => {
                return Err(Error::io(&self.name, format!("part {part} is written after part {}", last.part)));
            }
            _ => {
                self.blocks.close_block()?;
                self.parts.push(Part { part, offset: self.blocks.position(), n_rows: 1 });
            }
        }
        self.blocks.put(|bytes| row.encode(bytes))
    }

    /// Closes the file and gives back what it was written to, with the number of rows.
    pub fn finish(mut self) -> Result<(W, u64)> {
        self.blocks.close_block()?;
        let mut index = Vec::with_capacity(self.parts.len() * INDEX_ENTRY + TAIL);
        for part in &self.parts {
            index.extend_from_slice(&part.part.to_le_bytes());
            index.extend_from_slice(&part.offset.to_le_bytes());
            index.extend_from_slice(&part.n_rows.to_le_bytes());
        }
        index.extend_from_slice(&self.blocks.position().to_le_bytes());
        index.extend_from_slice(&(self.parts.len() as u64).to_le_bytes());
        index.extend_from_slice(&xxh3_64(&index).to_le_bytes());
        self.blocks.write(&index)?;
        let n_rows = self.parts.iter().map(|part| part.n_rows).sum();
        Ok((self.blocks.finish()?, n_rows))
    }
}

/// A file of parts, open for reading. Cheap to clone.
pub struct PartsFile<R> {
    file: Arc<dyn ReadAt>,
    name: Arc<str>,
    parts: Arc<[Part]>,
    /// Where the last part ends.
    index: u64,
    row: PhantomData<fn() -> R>,
}

impl<R: Record> PartsFile<R> {
    /// Opens a file of parts, named `name` in errors.
    pub fn open(file: Arc<dyn ReadAt>, name: &str) -> Result<Self> {
        check_header(&*file, name, KIND + R::KIND)?;
        let size = file.size();
        let Some(tail_at) = size.checked_sub(TAIL as u64).filter(|&at| at >= HEADER) else {
            return Err(damaged(name, "it has no index"));
        };
        let mut tail = [0; TAIL];
        file.read_at(tail_at, &mut tail)?;
        let mut rest = &tail[..];
        let mut number = || take(&mut rest).map(u64::from_le_bytes).expect("a tail is three numbers");
        let (index_at, n_parts, checksum) = (number(), number(), number());
        let length = tail_at.checked_sub(index_at).filter(|_| index_at >= HEADER);
        if length.is_none() || n_parts.checked_mul(INDEX_ENTRY as u64) != length {
            return Err(damaged(name, "it has no index"));
        }
        let mut index = vec![0; (size - index_at) as usize];
        file.read_at(index_at, &mut index)?;
        if xxh3_64(&index[..index.len() - 8]) != checksum {
            return Err(damaged(name, "its index does not match its checksum"));
        }
        let parts: Arc<[Part]> = index[..index.len() - TAIL]
            .chunks_exact(INDEX_ENTRY)
            .map(|mut entry| {
                let part = u32::from_le_bytes(take(&mut entry).expect("20 bytes"));
                let mut number = || take(&mut entry).map(u64::from_le_bytes).expect("20 bytes");
                Part { part, offset: number(), n_rows: number() }
            })
            .collect();
        let begins = [HEADER].into_iter().chain(parts.iter().map(|part| part.offset)).chain([index_at]);
        if !begins.is_sorted() || !parts.is_sorted_by_key(|part| part.part) {
            return Err(damaged(name, "its index does not match its size"));
        }
        Ok(Self { file, name: name.into(), parts, index: index_at, row: PhantomData })
    }

    /// The number of rows of all parts.
    pub fn n_rows(&self) -> u64 {
        self.parts.iter().map(|part| part.n_rows).sum()
    }

    /// The number of rows of a part.
    pub fn n_rows_of(&self, part: u32) -> u64 {
        self.parts.binary_search_by_key(&part, |part| part.part).map_or(0, |at| self.parts[at].n_rows)
    }

    /// The rows of a part in order, read about `buffer` bytes at a time; none if it has none.
    pub fn part(&self, part: u32, buffer: usize) -> PartReader<R> {
        let at = self.parts.binary_search_by_key(&part, |part| part.part);
        let (from, end, left) = at.map_or((self.index, self.index, 0), |at| {
            let end = self.parts.get(at + 1).map_or(self.index, |next| next.offset);
            (self.parts[at].offset, end, self.parts[at].n_rows)
        });
        let blocks = BlockReader::new(self.file.clone(), self.name.clone(), from, end, buffer);
        PartReader { blocks, left, done: false, row: PhantomData }
    }

    /// The rows of all parts, one part after the other, read about `buffer` bytes at a time.
    pub fn all(&self, buffer: usize) -> impl Iterator<Item = Result<R>> + use<R> {
        let from = self.parts.first().map_or(self.index, |first| first.offset);
        let blocks = BlockReader::new(self.file.clone(), self.name.clone(), from, self.index, buffer);
        PartReader { blocks, left: self.n_rows(), done: false, row: PhantomData }
    }
}

/// The rows of a part, in order. After an error nothing comes any more.
pub struct PartReader<R> {
    blocks: BlockReader,
    left: u64,
    done: bool,
    row: PhantomData<fn() -> R>,
}

impl<R: Record> PartReader<R> {
    fn read(&mut self) -> Result<Option<R>> {
        let row = self.blocks.next(R::decode)?;
        if row.is_some() != (self.left > 0) {
            return Err(self.blocks.damaged("the number of rows in a part is wrong"));
        }
        self.left = self.left.saturating_sub(1);
        Ok(row)
    }
}

impl<R: Record> Iterator for PartReader<R> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::blocks::tests::{Bytes, damages};
    use crate::exchange::record::KeyRow;

    fn row(key: u128) -> KeyRow {
        KeyRow { key, rank: 7, doc: 0 }
    }

    fn write(parts: &[(u32, std::ops::Range<u128>)]) -> Vec<u8> {
        let mut writer = PartsWriter::new(Vec::new(), "parts").expect("memory");
        for (part, keys) in parts {
            keys.clone().try_for_each(|key| writer.push(*part, &row(key))).expect("in order");
        }
        let (bytes, n_rows) = writer.finish().expect("memory");
        assert_eq!(n_rows, parts.iter().map(|(_, keys)| keys.clone().count() as u64).sum::<u64>());
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<PartsFile<KeyRow>> {
        PartsFile::open(Arc::new(Bytes(bytes)), "parts")
    }

    #[test]
    fn each_task_finds_its_part() {
        let file = open(write(&[(1, 0..3), (5, 3..9_000), (6, 2..4)])).expect("whole");
        let part = |part| file.part(part, 100).map(|row| row.expect("whole").key).collect::<Vec<_>>();
        assert_eq!(part(1), [0, 1, 2]);
        assert_eq!(part(5), (3..9_000).collect::<Vec<_>>());
        assert_eq!(part(6), [2, 3]);
        assert!([0, 2, 7].into_iter().all(|none| part(none).is_empty()));
        assert_eq!((file.n_rows(), file.all(100).count()), (9_002, 9_002));
    }

    #[test]
    fn no_rows_are_a_file_too() {
        let file = open(write(&[])).expect("whole");
        assert_eq!((file.n_rows(), file.all(100).count(), file.part(0, 100).count()), (0, 0, 0));
    }

    #[test]
    fn parts_out_of_order_are_refused() {
        let mut writer = PartsWriter::new(Vec::new(), "parts").expect("memory");
        writer.push(3, &row(1)).expect("the first");
        assert!(writer.push(2, &row(2)).is_err());
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let bytes = write(&[(1, 0..2), (4, 5..6)]);
        for damaged in damages(&bytes) {
            let read = |file: PartsFile<KeyRow>| {
                let rows: Vec<_> = [0, 1, 4].into_iter().flat_map(|part| file.part(part, 64)).collect::<Result<_>>()?;
                Ok(rows)
            };
            let error = open(damaged).and_then(read).expect_err("damaged").to_string();
            assert!(error.starts_with("parts: the file is damaged"), "{error}");
        }
    }
}
