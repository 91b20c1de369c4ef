//! A Parquet file read a window at a time, one for each column that is read.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::store::ReadAt;

/// A file as the Parquet reader wants it. Pages of a column follow each other, so a read is mostly answered from the
/// window that the one before has fetched; there are as many windows as columns are read at once.
pub(super) struct Windows {
    file: Arc<dyn ReadAt>,
    size: usize,
    /// Where each begins, and its bytes; the one that was used last comes last.
    open: Mutex<Vec<(u64, Bytes)>>,
    most: usize,
}

impl Windows {
    /// Reads `file` in windows of about `size` bytes, no more than `most` of them.
    pub(super) fn new(file: Arc<dyn ReadAt>, size: usize, most: usize) -> Self {
        Self { file, size, open: Mutex::default(), most }
    }

    /// At least `wanted` bytes from `start` on, or as many as there are.
    fn from(&self, start: u64, wanted: usize) -> Result<Bytes, ParquetError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let covers =
            |(at, bytes): &(u64, Bytes)| *at <= start && start.saturating_add(wanted as u64) <= at + bytes.len() as u64;
        if let Some(known) = open.iter().position(covers) {
            let window = open.remove(known);
            let bytes = window.1.slice((start - window.0) as usize..);
            open.push(window);
            return Ok(bytes);
        }
        let left = self.file.size().saturating_sub(start);
        let mut bytes = vec![0; left.min(wanted.max(self.size) as u64) as usize];
        self.file.read_at(start, &mut bytes).map_err(|error| ParquetError::External(Box::new(error)))?;
        let bytes = Bytes::from(bytes);
        // A page of this column may have begun in a window that ends here.
        let follows = |(at, bytes): &(u64, Bytes)| *at <= start && start <= at + bytes.len() as u64;
        let gone = open.iter().position(follows).unwrap_or(0);
        if open.len() >= self.most {
            open.remove(gone);
        }
        open.push((start, bytes.clone()));
        Ok(bytes)
    }
}

impl Length for Windows {
    fn len(&self) -> u64 {
        self.file.size()
    }
}

impl ChunkReader for Windows {
    type T = Onward;

    fn get_read(&self, start: u64) -> Result<Onward, ParquetError> {
        // What is read so is the header of a page.
        Ok(Onward { bytes: self.from(start, (4 << 10).min(self.len().saturating_sub(start) as usize))? })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("it ends before byte {}", start.saturating_add(length as u64))));
        }
        Ok(bytes.slice(..length))
    }
}

/// The rest of a window.
pub(super) struct Onward {
    bytes: Bytes,
}

impl Read for Onward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
