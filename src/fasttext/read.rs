//! The numbers of a model file, read one after the other and believed only as far as the file goes.

use std::io::{BufRead, Read};

use xxhash_rust::xxh3::Xxh3;

use super::MAGIC;

/// Bytes that are turned into numbers at a time.
const CHUNK: usize = 1 << 16;

/// The longest word that is taken for one.
const MAX_WORD: u64 = 1 << 20;

/// A model file being read. It never makes room for more than the file can hold.
pub(super) struct Reader<R> {
    source: R,
    left: u64,
    at: u64,
    hash: Xxh3,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(source: R, size: u64) -> Self {
        Self { source, left: size, at: 0, hash: Xxh3::new() }
    }

    /// A hash of all that was read.
    pub(super) fn digest(&self) -> u128 {
        self.hash.digest128()
    }

    /// The first bytes, which tell a model from other files.
    pub(super) fn head(&mut self) -> Result<(), String> {
        const EXPECTED: &str = "expected a .bin or .ftz model of fastText";
        if self.left < 4 {
            return Err(format!("it has {} bytes; {EXPECTED}", self.left));
        }
        match self.bytes::<4>("the first bytes")? {
            head if head == MAGIC.to_le_bytes() => Ok(()),
            [0x1f, 0x8b, ..] => Err(format!("it is compressed (gzip), unpack it first; {EXPECTED}")),
            [0x28, 0xb5, 0x2f, 0xfd] => Err(format!("it is compressed (zstd), unpack it first; {EXPECTED}")),
            [b'P', b'K', 3, 4] => Err(format!("it is a zip archive, unpack it first; {EXPECTED}")),
            head if head.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => {
                Err(format!("it is a text file, perhaps word vectors (.vec); {EXPECTED}"))
            }
            head => Err(format!("it begins with the bytes {head:02x?}; {EXPECTED}")),
        }
    }

    pub(super) fn i32(&mut self, what: &str) -> Result<i32, String> {
        self.bytes(what).map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self, what: &str) -> Result<i64, String> {
        self.bytes(what).map(i64::from_le_bytes)
    }

    pub(super) fn f64(&mut self, what: &str) -> Result<f64, String> {
        self.bytes(what).map(f64::from_le_bytes)
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8, String> {
        self.bytes(what).map(|[byte]| byte)
    }

    /// A byte that says yes or no.
    pub(super) fn flag(&mut self, what: &str) -> Result<bool, String> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.broken(&format!("{what} is {other}, expected 0 or 1"))),
        }
    }

    /// A number of 32 bits that counts something.
    pub(super) fn size(&mut self, what: &str, least: i32) -> Result<usize, String> {
        match self.i32(what)? {
            n if n >= least => Ok(n as usize),
            n => Err(self.broken(&format!("{what} is {n}, expected {least} or more"))),
        }
    }

    /// A number of 64 bits that counts things of `bytes_each` that follow.
    pub(super) fn n_items(&mut self, what: &str, bytes_each: u64) -> Result<usize, String> {
        let n = self.i64(what)?;
        self.check_room(what, n, bytes_each)?;
        Ok(n as usize)
    }

    /// Refuses a number of things that the rest of the file is too short for.
    pub(super) fn check_room(&self, what: &str, n: i64, bytes_each: u64) -> Result<(), String> {
        let room = u64::try_from(n).ok().and_then(|n| n.checked_mul(bytes_each)).is_some_and(|size| size <= self.left);
        let left = self.left;
        if room { Ok(()) } else { Err(self.broken(&format!("{what} is {n}, but only {left} bytes follow"))) }
    }

    /// A word and the NUL behind it.
    pub(super) fn word(&mut self, what: &str) -> Result<Vec<u8>, String> {
        let mut word = Vec::new();
        let limit = MAX_WORD.min(self.left);
        let n = self.source.by_ref().take(limit).read_until(0, &mut word).map_err(|error| error.to_string())?;
        self.took(&word, n);
        if word.pop() != Some(0) {
            return Err(self.broken(&format!("{what} does not end")));
        }
        Ok(word)
    }

    /// `n` bytes.
    pub(super) fn codes(&mut self, n: usize, what: &str) -> Result<Vec<u8>, String> {
        self.check_room(what, n as i64, 1)?;
        let mut codes = vec![0; n];
        self.fill(&mut codes, what)?;
        Ok(codes)
    }

    /// `n` numbers, all finite.
    pub(super) fn floats(&mut self, n: usize, what: &str) -> Result<Vec<f32>, String> {
        self.check_room(what, n as i64, 4)?;
        let mut floats = Vec::with_capacity(n);
        let mut chunk = vec![0; CHUNK.min(n * 4)];
        while floats.len() < n {
            let bytes = &mut chunk[..CHUNK.min((n - floats.len()) * 4)];
            self.fill(bytes, what)?;
            let from = floats.len();
            floats.extend(bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)));
            if floats[from..].iter().any(|x| !x.is_finite()) {
                return Err(self.broken(&format!("{what}: not all numbers are finite")));
            }
        }
        Ok(floats)
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), String> {
        if (bytes.len() as u64) > self.left {
            return Err(self.broken(&format!("it ends before {what}; was it copied whole?")));
        }
        self.source.read_exact(bytes).map_err(|error| self.broken(&format!("{what}: {error}")))?;
        self.took(bytes, bytes.len());
        Ok(())
    }

    fn took(&mut self, bytes: &[u8], n: usize) {
        self.hash.update(bytes);
        self.left -= n as u64;
        self.at += n as u64;
    }

    /// What is wrong, and where.
    pub(super) fn broken(&self, message: &str) -> String {
        format!("broken model, at byte {}: {message}", self.at)
    }
}
