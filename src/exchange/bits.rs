//! A set of documents in a file: a bit each, a record a task.

use std::io::Write;
use std::sync::Arc;

use crate::error::Result;
use crate::exchange::blocks::{BlockReader, BlockWriter, HEADER, check_header, damaged};
use crate::exchange::record::{put_varint, take, take_varint};
use crate::stage::DocSet;
use crate::store::ReadAt;

const KIND: u32 = 102;
/// The words of a task in one record: a task of very many rows has several.
const STRETCH: usize = 4 << 10;

/// Writes a set of documents; `name` is for errors. Gives back what it was written to.
pub fn write_bits<W: Write>(docs: &DocSet, out: W, name: &str) -> Result<W> {
    let mut blocks = BlockWriter::new(out, name, KIND, STRETCH * 8)?;
    for words in docs.words() {
        blocks.put(|bytes| put_varint(words.len() as u64, bytes))?;
        for stretch in words.chunks(STRETCH) {
            blocks.put(|bytes| bytes.extend(stretch.iter().flat_map(|word| word.to_le_bytes())))?;
        }
    }
    blocks.close_block()?;
    // A file cut short between two blocks has fewer tasks than it says.
    blocks.write(&(docs.words().len() as u64).to_le_bytes())?;
    blocks.finish()
}

/// Reads a set of documents.
pub fn read_bits(file: Arc<dyn ReadAt>, name: &str) -> Result<DocSet> {
    check_header(&*file, name, KIND)?;
    let Some(end) = file.size().checked_sub(8).filter(|&end| end >= HEADER) else {
        return Err(damaged(name, "it does not say for how many tasks it is"));
    };
    let mut tail = [0; 8];
    file.read_at(end, &mut tail)?;
    let n_tasks = u64::from_le_bytes(tail);
    let mut blocks = BlockReader::new(file, name.into(), HEADER, end, 1 << 20);
    let mut tasks = Vec::new();
    while let Some(n_words) = blocks.next(take_varint)? {
        let mut words: Vec<u64> = Vec::new();
        while (words.len() as u64) < n_words {
            let n = (n_words - words.len() as u64).min(STRETCH as u64);
            let stretch = blocks.next(|bytes| (0..n).map(|_| take(bytes).map(u64::from_le_bytes)).collect())?;
            let stretch: Vec<_> = stretch.ok_or_else(|| blocks.damaged("it ends within a task"))?;
            words.extend(stretch);
        }
        tasks.push(words);
    }
    if tasks.len() as u64 != n_tasks {
        return Err(blocks.damaged("the number of its tasks is wrong"));
    }
    Ok(DocSet::from_words(tasks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::DocId;
    use crate::exchange::blocks::tests::{Bytes, damages};

    fn set(rows: &[u64], docs: &[(u32, u64)]) -> DocSet {
        let mut set = DocSet::empty(rows);
        docs.iter().for_each(|&(task, row)| set.insert(DocId::new(task, row)));
        set
    }

    #[test]
    fn a_set_comes_back() {
        let rows = [0, 1, 300_000, 64];
        for docs in [&[][..], &[(1, 0), (2, 0), (2, 299_999), (3, 63)]] {
            let set = set(&rows, docs);
            let bytes = write_bits(&set, Vec::new(), "bits").expect("memory");
            let back = read_bits(Arc::new(Bytes(bytes)), "bits").expect("whole");
            assert!(back.iter().eq(set.iter()));
            assert_eq!(back.words().len(), rows.len());
        }
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let bytes = write_bits(&set(&[3, 100], &[(0, 2), (1, 70)]), Vec::new(), "bits").expect("memory");
        for damaged in damages(&bytes) {
            let error = read_bits(Arc::new(Bytes(damaged)), "bits").expect_err("damaged").to_string();
            assert!(error.starts_with("bits: the file is damaged"), "{error}");
        }
    }
}
