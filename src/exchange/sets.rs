//! The sets of a task's candidates in one file, read by row.
//!
//! ```text
//! file    header   set*   index   tail
//! set     its members u64 each   xxh3_64 of their bytes, seeded with the row
//! index   per set: row u64   end u64 (members of this and all sets before)
//! tail    number of sets u64   xxh3_64 of the index and the number
//! ```

use std::io::{BufWriter, Write};
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use crate::error::{Error, Result};
use crate::exchange::blocks::{BlockWriter, HEADER, check_header, damaged};
use crate::exchange::record::take;
use crate::store::ReadAt;

const KIND: u32 = 101;
const INDEX_ENTRY: u64 = 16;
const TAIL: u64 = 16;
/// How many members are read at a time: a giant set is not held twice.
const STRETCH: usize = 64 << 10;

/// Writes a file of sets. Holds 16 bytes a set, for the index.
pub struct SetWriter<W: Write> {
    out: BlockWriter<BufWriter<W>>,
    name: String,
    index: Vec<u8>,
    n_members: u64,
    last_row: Option<u64>,
}

impl<W: Write> SetWriter<W> {
    /// Begins a file, named `name` in errors.
    pub fn new(out: W, name: &str) -> Result<Self> {
        let out = BlockWriter::new(BufWriter::with_capacity(256 << 10, out), name, KIND, 0)?;
        Ok(Self { out, name: name.to_owned(), index: Vec::new(), n_members: 0, last_row: None })
    }

    /// Adds the set of `row`. Rows come in ascending order.
    pub fn push(&mut self, row: u64, set: &[u64]) -> Result<()> {
        if self.last_row.is_some_and(|last| last >= row) {
            return Err(Error::io(&self.name, format!("row {row} is written out of order")));
        }
        self.last_row = Some(row);
        let mut hash = Checksum::new(row, set.len());
        let mut bytes = Vec::with_capacity(set.len().min(STRETCH) * 8);
        for stretch in set.chunks(STRETCH) {
            bytes.clear();
            bytes.extend(stretch.iter().flat_map(|member| member.to_le_bytes()));
            hash.update(&bytes);
            self.out.write(&bytes)?;
        }
        self.out.write(&hash.digest().to_le_bytes())?;
        self.n_members += set.len() as u64;
        self.index.extend_from_slice(&row.to_le_bytes());
        self.index.extend_from_slice(&self.n_members.to_le_bytes());
        Ok(())
    }

    /// Writes the index. Returns the number of sets.
    pub fn finish(mut self) -> Result<u64> {
        let n_sets = self.index.len() as u64 / INDEX_ENTRY;
        self.index.extend_from_slice(&n_sets.to_le_bytes());
        let checksum = xxh3_64(&self.index);
        self.out.write(&self.index)?;
        self.out.write(&checksum.to_le_bytes())?;
        self.out.finish()?;
        Ok(n_sets)
    }
}

/// The checksum of a set, as its bytes come. Most sets come at once, and for these there is a shorter way.
enum Checksum {
    AtOnce { row: u64, hash: u64 },
    InParts(Box<Xxh3>),
}

impl Checksum {
    fn new(row: u64, n_members: usize) -> Self {
        if n_members <= STRETCH {
            Self::AtOnce { row, hash: xxh3_64_with_seed(&[], row) }
        } else {
            Self::InParts(Box::new(Xxh3::with_seed(row)))
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::AtOnce { row, hash } => *hash = xxh3_64_with_seed(bytes, *row),
            Self::InParts(hash) => hash.update(bytes),
        }
    }

    fn digest(&self) -> u64 {
        match self {
            Self::AtOnce { hash, .. } => *hash,
            Self::InParts(hash) => hash.digest(),
        }
    }
}

/// A file of sets, open for reading from many threads. Holds 16 bytes a set.
pub struct SetFile {
    file: Arc<dyn ReadAt>,
    name: String,
    rows: Vec<u64>,
    /// `ends[i]`: the members of the sets up to and including the i-th.
    ends: Vec<u64>,
}

impl SetFile {
    /// Opens a file of sets, named `name` in errors.
    pub fn open(file: Arc<dyn ReadAt>, name: &str) -> Result<Self> {
        check_header(&*file, name, KIND)?;
        let size = file.size();
        let Some(tail_at) = size.checked_sub(TAIL).filter(|&at| at >= HEADER) else {
            return Err(damaged(name, "it has no index"));
        };
        let mut tail = [0; TAIL as usize];
        file.read_at(tail_at, &mut tail)?;
        let mut rest = &tail[..];
        let mut number = || take(&mut rest).map(u64::from_le_bytes).expect("a tail is two numbers");
        let (n_sets, checksum) = (number(), number());
        let index_at = n_sets.checked_mul(INDEX_ENTRY).and_then(|length| tail_at.checked_sub(length));
        let Some(index_at) = index_at.filter(|&at| at >= HEADER) else {
            return Err(damaged(name, "it has no index"));
        };
        let mut index = vec![0; (size - index_at) as usize];
        file.read_at(index_at, &mut index)?;
        if xxh3_64(&index[..index.len() - 8]) != checksum {
            return Err(damaged(name, "its index does not match its checksum"));
        }
        index.truncate(index.len() - TAIL as usize);
        let numbers = |from: usize| {
            let pick = index[from..].chunks(INDEX_ENTRY as usize);
            pick.map(|mut entry| take(&mut entry).map(u64::from_le_bytes).expect("an entry is two numbers"))
        };
        let (rows, ends): (Vec<_>, Vec<_>) =
            if index.is_empty() { Default::default() } else { (numbers(0).collect(), numbers(8).collect()) };
        let members = (index_at - HEADER).checked_sub(n_sets * 8).map(|bytes| bytes / 8);
        if !rows.is_sorted() || !ends.is_sorted() || members != Some(ends.last().copied().unwrap_or(0)) {
            return Err(damaged(name, "its index does not match its size"));
        }
        Ok(Self { file, name: name.to_owned(), rows, ends })
    }

    /// The number of sets.
    pub fn n_sets(&self) -> u64 {
        self.rows.len() as u64
    }

    /// How many members the set of `row` has, if the row has a set.
    pub fn len_of(&self, row: u64) -> Option<usize> {
        self.rows.binary_search(&row).ok().map(|at| self.stretch(at).1)
    }

    /// Appends the set of `row` to `set`. A row without one is an error.
    pub fn read(&self, row: u64, set: &mut Vec<u64>) -> Result<()> {
        let Ok(at) = self.rows.binary_search(&row) else {
            return Err(damaged(&self.name, format!("the set of row {row} is missing")));
        };
        let (mut offset, mut left) = self.stretch(at);
        let mut hash = Checksum::new(row, left);
        let mut bytes = vec![0; (left.min(STRETCH) + 1) * 8];
        set.reserve(left);
        loop {
            // The checksum comes with the last members.
            let n = left.min(STRETCH);
            let last = n == left;
            let bytes = &mut bytes[..(n + usize::from(last)) * 8];
            self.file.read_at(offset, bytes)?;
            let (members, checksum) = bytes.split_at(n * 8);
            hash.update(members);
            set.extend(members.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().expect("chunks of 8"))));
            if last {
                return if checksum == hash.digest().to_le_bytes() {
                    Ok(())
                } else {
                    Err(damaged(&self.name, format!("the set of row {row} does not match its checksum")))
                };
            }
            offset += n as u64 * 8;
            left -= n;
        }
    }

    /// Where the set at `at` in the index begins, and its number of members.
    fn stretch(&self, at: usize) -> (u64, usize) {
        let before = if at == 0 { 0 } else { self.ends[at - 1] };
        (HEADER + (before + at as u64) * 8, (self.ends[at] - before) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::blocks::tests::{Bytes, damages};

    fn write(sets: &[(u64, Vec<u64>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SetWriter::new(&mut bytes, "sets").expect("memory");
        for (row, set) in sets {
            writer.push(*row, set).expect("in order");
        }
        assert_eq!(writer.finish().expect("memory"), sets.len() as u64);
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<SetFile> {
        SetFile::open(Arc::new(Bytes(bytes)), "sets")
    }

    #[test]
    fn sets_come_back_by_row() {
        let giant: Vec<u64> = (0..2 * STRETCH as u64 + 5).collect();
        let exact: Vec<u64> = (9..STRETCH as u64 + 9).collect();
        let sets = [(0, vec![4, 5]), (7, vec![]), (8, giant), (1 << 39, vec![u64::MAX]), (1 << 40, exact)];
        let file = open(write(&sets)).expect("whole");
        assert_eq!(file.n_sets(), 5);
        for (row, set) in &sets {
            assert_eq!(file.len_of(*row), Some(set.len()));
            let mut found = vec![99];
            file.read(*row, &mut found).expect("there");
            assert_eq!((found[0], &found[1..]), (99, &set[..]), "what was there stays");
        }
        assert_eq!(file.len_of(1), None);
        let error = file.read(1, &mut Vec::new()).expect_err("not there").to_string();
        assert!(error.contains("the set of row 1 is missing"), "{error}");
        assert_eq!(open(write(&[])).expect("whole").n_sets(), 0);
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let mut writer = SetWriter::new(Vec::new(), "sets").expect("memory");
        writer.push(3, &[]).expect("in order");
        assert!(writer.push(3, &[]).is_err());
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let bytes = write(&[(1, vec![2, 3]), (4, vec![5])]);
        for damaged in damages(&bytes) {
            let read = |file: SetFile| {
                file.read(1, &mut Vec::new())?;
                file.read(4, &mut Vec::new())
            };
            let error = open(damaged).and_then(read).expect_err("damaged").to_string();
            assert!(error.starts_with("sets: the file is damaged"), "{error}");
        }
    }
}
