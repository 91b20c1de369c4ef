//! The shape of every file of an exchange: a header, then blocks of whole records, each with its checksum.
//!
//! ```text
//! file    header block* (what the kind of file adds at its end)
//! header  magic "trommel\0"   version u32   kind u32
//! block   length u32   records u32   xxh3_64 of the payload, seeded with the block's place   payload
//! ```
//!
//! All numbers are little-endian. A block is checked as a whole before its first record is handed out, and
//! the seed ties it to its place in the file, so that a block cut short, changed or moved is never believed.

use std::io::Write;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};
use crate::exchange::record::take;
use crate::store::ReadAt;

const MAGIC: [u8; 8] = *b"trommel\0";
const VERSION: u32 = 1;

/// The bytes of a file's header.
pub const HEADER: u64 = 16;
/// The bytes before a block's payload.
pub const BLOCK_HEADER: usize = 16;

/// Writes a file of blocks, front to back.
pub struct BlockWriter<W> {
    out: W,
    name: String,
    block: Vec<u8>,
    n_in_block: u32,
    block_size: usize,
    position: u64,
}

impl<W: Write> BlockWriter<W> {
    /// Begins a file of `kind`, named `name` in errors. A block is closed once it holds `block_size` bytes.
    pub fn new(out: W, name: impl Into<String>, kind: u32, block_size: usize) -> Result<Self> {
        let (name, block) = (name.into(), Vec::with_capacity(block_size + 64));
        let mut writer = Self { out, name, block, n_in_block: 0, block_size, position: 0 };
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&kind.to_le_bytes());
        writer.write(&header)?;
        Ok(writer)
    }

    /// Adds a record: `encode` appends its bytes.
    pub fn put(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        encode(&mut self.block);
        self.n_in_block += 1;
        if self.block.len() >= self.block_size { self.close_block() } else { Ok(()) }
    }

    /// Ends the block begun, if any. The next record begins another.
    pub fn close_block(&mut self) -> Result<()> {
        if self.n_in_block == 0 {
            return Ok(());
        }
        let length = u32::try_from(self.block.len()).map_err(|_| Error::io(&self.name, "a record exceeds 4 GiB"))?;
        let mut header = [0; BLOCK_HEADER];
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..8].copy_from_slice(&self.n_in_block.to_le_bytes());
        header[8..].copy_from_slice(&xxh3_64_with_seed(&self.block, self.position).to_le_bytes());
        self.write(&header)?;
        let block = std::mem::take(&mut self.block);
        self.write(&block)?;
        self.block = block;
        self.block.clear();
        self.n_in_block = 0;
        Ok(())
    }

    /// Writes bytes as they are. For what a kind of file adds beside its blocks.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| Error::io(&self.name, error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// The number of bytes written so far, without the block begun.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Hands everything over to the system, and what was written to back to the caller.
    pub fn finish(mut self) -> Result<W> {
        debug_assert_eq!(self.n_in_block, 0, "the last block is closed by the kind of file");
        self.out.flush().map_err(|error| Error::io(&self.name, error))?;
        Ok(self.out)
    }
}

/// Reads the header of a file and checks that it is one of `kind`.
pub fn check_header(file: &dyn ReadAt, name: &str, kind: u32) -> Result<()> {
    let mut header = [0; HEADER as usize];
    if file.size() < HEADER {
        return Err(damaged(name, "it ends within its first 16 bytes"));
    }
    file.read_at(0, &mut header)?;
    let mut rest = &header[..];
    let magic = take::<8>(&mut rest);
    let version = take::<4>(&mut rest).map(u32::from_le_bytes);
    let found = take::<4>(&mut rest).map(u32::from_le_bytes);
    if magic != Some(MAGIC) {
        return Err(damaged(name, "it is not a work file of this program"));
    }
    if version != Some(VERSION) {
        return Err(damaged(name, "it was written by another version of this program"));
    }
    if found != Some(kind) {
        return Err(damaged(name, "it holds another kind of records than expected"));
    }
    Ok(())
}

/// The error of a file whose bytes cannot be what was written.
pub fn damaged(name: &str, what: impl std::fmt::Display) -> Error {
    Error::io(name, format!("the file is damaged or incomplete: {what}"))
}

/// Reads the records of a stretch of blocks, front to back, in large sequential reads.
pub struct BlockReader {
    file: Arc<dyn ReadAt>,
    name: Arc<str>,
    /// What was read and not yet used is `buffer[start..filled]`; it stands before `next` in the file.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    next: u64,
    end: u64,
    /// The records left of the current block end here in the buffer.
    block_end: usize,
    left_in_block: u32,
}

impl BlockReader {
    /// Reads the bytes `from..end` of `file`, about `buffer` bytes at a time or as many as are
    /// [enough](ReadAt::read_size).
    pub fn new(file: Arc<dyn ReadAt>, name: Arc<str>, from: u64, end: u64, buffer: usize) -> Self {
        let size = buffer.min(file.read_size()).clamp(64, (end - from).clamp(64, 1 << 30) as usize);
        Self { file, name, buffer: vec![0; size], start: 0, filled: 0, next: from, end, block_end: 0, left_in_block: 0 }
    }

    /// The next record, or `None` where the stretch or its blocks end: `decode` takes the record's bytes off
    /// the front of a block and says `None` where they make no record.
    pub fn next<T>(&mut self, decode: impl FnOnce(&mut &[u8]) -> Option<T>) -> Result<Option<T>> {
        if self.left_in_block == 0 && !self.next_block()? {
            return Ok(None);
        }
        let mut rest = &self.buffer[self.start..self.block_end];
        let record = decode(&mut rest);
        self.start = self.block_end - rest.len();
        self.left_in_block -= 1;
        match record {
            Some(record) if self.left_in_block > 0 || self.start == self.block_end => Ok(Some(record)),
            _ => Err(self.damaged("a block holds other records than expected")),
        }
    }

    /// Bytes that stand between blocks, as a kind of file wrote them.
    pub fn raw<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.fill(N)?;
        let mut rest = &self.buffer[self.start..self.filled];
        let bytes = take::<N>(&mut rest).expect("just filled");
        self.start += N;
        Ok(bytes)
    }

    /// Where in the file the next unread byte stands.
    pub fn position(&self) -> u64 {
        self.next - (self.filled - self.start) as u64
    }

    /// The error of this file being damaged.
    pub fn damaged(&self, what: impl std::fmt::Display) -> Error {
        damaged(&self.name, format!("{what} (near byte {})", self.position()))
    }

    /// Steps into the next block and checks it. `false` at the end of the stretch, or at a block of no
    /// records, which is a kind of file's own end mark and is left unread.
    fn next_block(&mut self) -> Result<bool> {
        if self.position() == self.end {
            return Ok(false);
        }
        let place = self.position();
        self.fill(BLOCK_HEADER)?;
        let mut header = &self.buffer[self.start..self.start + BLOCK_HEADER];
        let length = u32::from_le_bytes(take(&mut header).expect("16 bytes")) as usize;
        let n_records = u32::from_le_bytes(take(&mut header).expect("16 bytes"));
        let checksum = u64::from_le_bytes(take(&mut header).expect("16 bytes"));
        if n_records == 0 {
            return Ok(false);
        }
        self.fill(BLOCK_HEADER + length)?;
        // The place is where the block's payload was begun: before its header.
        let payload = &self.buffer[self.start + BLOCK_HEADER..self.start + BLOCK_HEADER + length];
        if xxh3_64_with_seed(payload, place) != checksum {
            return Err(self.damaged("a block does not match its checksum"));
        }
        self.start += BLOCK_HEADER;
        self.block_end = self.start + length;
        self.left_in_block = n_records;
        Ok(true)
    }

    /// Sees to it that `n` unread bytes are in the buffer.
    fn fill(&mut self, n: usize) -> Result<()> {
        let have = self.filled - self.start;
        if have >= n {
            return Ok(());
        }
        let left = self.end - self.next;
        if ((n - have) as u64) > left {
            return Err(self.damaged("it ends in the middle of a block"));
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        (self.start, self.filled) = (0, have);
        if self.buffer.len() < n {
            // A record larger than the buffer makes a larger block.
            self.buffer.resize(n, 0);
        }
        let size = (self.buffer.len() - have).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.read_at(self.next, &mut self.buffer[have..have + size])?;
        self.filled += size;
        self.next += size as u64;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file in memory.
    pub(crate) struct Bytes(pub(crate) Vec<u8>);

    impl ReadAt for Bytes {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
            let bytes = self.0.get(offset as usize..offset as usize + buffer.len());
            buffer.copy_from_slice(bytes.ok_or_else(|| Error::io("bytes", "read past the end"))?);
            Ok(())
        }
    }

    /// A file cut short anywhere, with any one byte changed, or with something behind it.
    pub(crate) fn damages(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
        let changed = (0..bytes.len()).map(|at| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 0x55;
            bytes
        });
        cut.chain(changed).chain([[bytes, b"more"].concat()])
    }

    #[test]
    fn blocks_cannot_change_places() {
        let mut bytes = Vec::new();
        let mut writer = BlockWriter::new(&mut bytes, "file", 9, 4).expect("memory");
        for number in [1u32, 2] {
            writer.put(|out| out.extend_from_slice(&number.to_le_bytes())).expect("memory");
        }
        writer.finish().expect("memory");
        let read = |bytes: Vec<u8>| {
            let end = bytes.len() as u64;
            let mut reader = BlockReader::new(Arc::new(Bytes(bytes)), "file".into(), HEADER, end, 64);
            reader.next(take::<4>)
        };
        assert_eq!(read(bytes.clone()).expect("whole"), Some([1, 0, 0, 0]));
        let (first, second) = (bytes[16..36].to_vec(), bytes[36..56].to_vec());
        assert!(read([&bytes[..16], &second, &first].concat()).is_err());
    }
}
