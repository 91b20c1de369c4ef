//! Where bytes live: folders and buckets behind one door.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

/// A file that is read here and there, from many threads.
pub trait ReadAt: Send + Sync {
    /// The number of bytes.
    fn size(&self) -> u64;
    /// Fills `buffer` from `offset` on. Reading past the end is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;
}

/// A file on a local disk.
pub struct LocalFile {
    file: File,
    size: u64,
    path: String,
}

impl LocalFile {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path.display(), error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Self { file, size, path: path.display().to_string() })
    }
}

impl ReadAt for LocalFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| Error::io(&self.path, error))
    }
}
