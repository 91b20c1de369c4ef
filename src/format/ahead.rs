//! Reading a range of a file from front to back, with the next part on its way while this one is used.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::store::{ReadAt, runtime};

/// A reader of one range. It holds three windows of bytes at most, never the range.
pub struct Ahead {
    file: Arc<dyn ReadAt>,
    range: Range<u64>,
    window: u64,
    /// Bytes at hand, and where they begin.
    start: u64,
    bytes: Bytes,
    /// A window that has been used, to be read into again.
    spare: BytesMut,
    /// The part that follows, being fetched.
    next: Option<(u64, JoinHandle<Result<Bytes>>)>,
    /// Where [`Read`] stands.
    position: u64,
}

impl Ahead {
    /// A reader of `range`, `window` bytes at a time.
    pub fn new(file: Arc<dyn ReadAt>, range: Range<u64>, window: u64) -> Self {
        let start = range.start;
        Self {
            file,
            range,
            window: window.max(1),
            start,
            bytes: Bytes::new(),
            spare: BytesMut::new(),
            next: None,
            position: start,
        }
    }

    /// The `len` bytes at `offset`. Cheap when offsets grow; a step back is fetched again.
    pub fn slice(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        let end = offset + len as u64;
        if offset < self.start || offset > self.end() {
            self.next = None;
            self.start = offset;
            self.bytes = Bytes::new();
        }
        if end <= self.end() {
            let at = (offset - self.start) as usize;
            return Ok(self.bytes.slice(at..at + len));
        }
        // What does not end in the window is put together; the window that it ends in stays as it is.
        let mut joined = BytesMut::new();
        loop {
            let at = offset + joined.len() as u64;
            let some = self.bytes.slice((at - self.start) as usize..(end.min(self.end()) - self.start) as usize);
            if some.len() == len {
                return Ok(some);
            }
            if joined.is_empty() && !some.is_empty() {
                joined.reserve(len);
            }
            joined.extend_from_slice(&some);
            if joined.len() == len {
                return Ok(joined.freeze());
            }
            let more = self.fetch_next()?;
            if more.is_empty() {
                return Err(Error::io(
                    "read",
                    format!("byte {end} was asked for, and byte {} is the end", self.range.end),
                ));
            }
            self.start = self.end();
            let used = std::mem::replace(&mut self.bytes, more);
            // Unless somebody still has a part of it.
            self.spare = used.try_into_mut().unwrap_or_default();
        }
    }

    /// Where the bytes at hand end.
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// What is at hand from `offset` on, at least a byte unless the range ends there.
    pub fn some(&mut self, offset: u64) -> Result<Bytes> {
        if offset >= self.range.end {
            return Ok(Bytes::new());
        }
        self.slice(offset, 1)?;
        Ok(self.bytes.slice((offset - self.start) as usize..))
    }

    /// The window after the bytes at hand; the one after it is ordered.
    fn fetch_next(&mut self) -> Result<Bytes> {
        let from = self.end();
        let bytes = match self.next.take() {
            Some((at, handle)) if at == from => {
                runtime().block_on(handle).map_err(|error| Error::io("read ahead", error))??
            }
            _ => fetch(self.file.as_ref(), from, self.window_at(from), BytesMut::new())?,
        };
        let following = from + bytes.len() as u64;
        let len = self.window_at(following);
        if len > 0 {
            let (file, into) = (self.file.clone(), std::mem::take(&mut self.spare));
            self.next = Some((following, runtime().spawn_blocking(move || fetch(file.as_ref(), following, len, into))));
        }
        Ok(bytes)
    }

    fn window_at(&self, offset: u64) -> u64 {
        self.window.min(self.range.end.saturating_sub(offset))
    }
}

/// Reads so many bytes, into a buffer that is no longer needed.
fn fetch(file: &dyn ReadAt, offset: u64, len: u64, into: BytesMut) -> Result<Bytes> {
    let mut buffer = if into.capacity() < len as usize { BytesMut::zeroed(len as usize) } else { into };
    buffer.resize(len as usize, 0);
    if len > 0 {
        file.read_at(offset, &mut buffer)?;
    }
    Ok(buffer.freeze())
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = self.some(self.position).map_err(io::Error::other)?;
        let n = some.len().min(buffer.len());
        buffer[..n].copy_from_slice(&some[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Memory;

    fn ahead(window: u64) -> Ahead {
        Ahead::new(Arc::new(Memory((0..200).collect())), 10..150, window)
    }

    #[test]
    fn a_stream_is_the_range() {
        for window in [1, 7, 64, 1000] {
            let mut all = Vec::new();
            ahead(window).read_to_end(&mut all).expect("memory reads");
            assert_eq!(all, (10..150).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn any_slice_can_be_had() {
        for window in [1, 7, 64, 1000] {
            let mut ahead = ahead(window);
            for (offset, len) in [(10, 3), (12, 20), (40, 0), (60, 90), (20, 5)] {
                let bytes = ahead.slice(offset, len).expect("memory reads");
                assert_eq!(bytes, (offset as u8..offset as u8 + len as u8).collect::<Vec<_>>());
            }
            assert!(ahead.slice(149, 2).is_err(), "the range ends");
            assert!(ahead.some(150).expect("the end").is_empty());
        }
    }
}
