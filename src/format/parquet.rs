//! Reading Parquet: page by page, so that memory is bounded whatever the size of a row group.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader as ParquetBytes, Length};
use parquet::schema::types::{SchemaDescriptor, Type};

use super::ahead::Ahead;
use super::{Chunk, ChunkReader, Columns};
use crate::error::{Error, Result};
use crate::plan::RowGroup;
use crate::store::ReadAt;

/// The most that is believed of a number in a footer, so that sums of them stay numbers.
const MOST: i64 = 1 << 40;
/// The bytes of a batch that readers aim at. Decided by the file alone, so that batches are the same on
/// every machine.
const BATCH_BYTES: u64 = 2 << 20;
/// The most rows of a batch.
const BATCH_ROWS: u64 = 8192;

/// A Parquet file whose footer has been read.
pub struct ParquetFile {
    file: Arc<dyn ReadAt>,
    name: String,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Reads the footer.
    pub fn open(file: Arc<dyn ReadAt>, name: &str) -> Result<Self> {
        let metadata = ArrowReaderMetadata::load(&Plain(file.clone()), ArrowReaderOptions::new())
            .map_err(|error| Error::shard(name, describe(&error)))?;
        Ok(Self { file, name: name.to_owned(), metadata })
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.metadata.schema().clone()
    }

    /// The row groups.
    pub fn row_groups(&self) -> Vec<RowGroup> {
        let groups = self.metadata.metadata().row_groups();
        groups
            .iter()
            .map(|group| RowGroup { rows: number(group.num_rows()), bytes: number(group.total_byte_size()) })
            .collect()
    }

    /// A reader of some row groups.
    pub fn read(self, groups: Range<usize>, columns: &Columns, window: u64) -> Result<RowGroups> {
        let (metadata, file) = (as_bytes(&self.metadata, &self.file, &columns.text), self.file);
        let metadata = metadata.map_err(|error| Error::shard(&self.name, describe(&error)))?;
        let mask = ProjectionMask::roots(
            metadata.parquet_schema(),
            metadata
                .schema()
                .fields()
                .iter()
                .enumerate()
                .filter(|(_, field)| columns.wants(field.name()))
                .map(|(i, _)| i),
        );
        Ok(RowGroups {
            file,
            name: self.name,
            metadata,
            mask,
            window,
            next: groups.start,
            groups,
            current: None,
            read: 0,
            left_in_group: 0,
        })
    }
}

/// A number in a footer, which can be anything.
fn number(footer: i64) -> u64 {
    footer.clamp(0, MOST) as u64
}

/// The metadata with the text column read as bytes, so that one document that is not UTF-8 costs only itself.
fn as_bytes(
    metadata: &ArrowReaderMetadata,
    file: &Arc<dyn ReadAt>,
    text_column: &str,
) -> Result<ArrowReaderMetadata, ParquetError> {
    let descriptor = metadata.parquet_schema();
    let root = descriptor.root_schema();
    let is_text = |field: &Type| field.name() == text_column && field.is_primitive();
    let fields = root
        .get_fields()
        .iter()
        .map(|field| {
            if is_text(field) {
                let bytes = Type::primitive_type_builder(field.name(), PhysicalType::BYTE_ARRAY)
                    .with_repetition(field.get_basic_info().repetition());
                bytes.build().map(Arc::new)
            } else {
                Ok(field.clone())
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    let arrow_fields = metadata.schema().fields().iter().map(|field| {
        if field.name() != text_column {
            return field.as_ref().clone();
        }
        let bytes = match field.data_type() {
            DataType::LargeUtf8 | DataType::LargeBinary => DataType::LargeBinary,
            _ => DataType::Binary,
        };
        Field::new(field.name(), bytes, field.is_nullable()).with_metadata(field.metadata().clone())
    });
    let schema = Schema::new(arrow_fields.collect::<Vec<_>>());
    let options = ArrowReaderOptions::new()
        .with_parquet_schema(Arc::new(SchemaDescriptor::new(Arc::new(root))))
        .with_schema(Arc::new(schema));
    ArrowReaderMetadata::load(&Plain(file.clone()), options)
}

/// Reads row groups, one after the other.
pub struct RowGroups {
    file: Arc<dyn ReadAt>,
    name: String,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    window: u64,
    groups: Range<usize>,
    next: usize,
    current: Option<ParquetRecordBatchReader>,
    read: u64,
    /// The rows that the current group must still have.
    left_in_group: u64,
}

impl RowGroups {
    fn open_group(&self, index: usize) -> Result<ParquetRecordBatchReader, ParquetError> {
        let group = self.metadata.metadata().row_group(index);
        let mut n_chunks = 0;
        let mut bytes = 0;
        for i in (0..group.num_columns()).filter(|&i| self.mask.leaf_included(i)) {
            n_chunks += 1;
            let column = group.column(i);
            // Values in a dictionary are written once, and read as often as they occur.
            let decoded = column.unencoded_byte_array_data_bytes().unwrap_or_default();
            bytes += number(column.uncompressed_size()).max(number(decoded));
        }
        let rows = number(group.num_rows()).max(1);
        let batch_rows = (BATCH_BYTES / (bytes / rows).max(1)).clamp(1, BATCH_ROWS);
        let source = Pages::new(&self.file, self.metadata.metadata(), index, self.window / n_chunks.max(1))?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.metadata.clone())
            .with_row_groups(vec![index])
            .with_projection(self.mask.clone())
            .with_batch_size(batch_rows as usize)
            .build()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            if let Some(reader) = &mut self.current {
                if let Some(batch) = reader.next() {
                    let batch = batch.map_err(|error| error.to_string())?;
                    let left = self.left_in_group.checked_sub(batch.num_rows() as u64);
                    self.left_in_group = left.ok_or("there are more rows than the footer says")?;
                    return Ok(Some(batch));
                }
                self.current = None;
                if self.left_in_group > 0 {
                    return Err(format!("there are {} rows less than the footer says", self.left_in_group));
                }
            }
            if self.next >= self.groups.end {
                return Ok(None);
            }
            self.left_in_group = self.metadata.metadata().row_group(self.next).num_rows().max(0) as u64;
            self.next += 1;
            self.current = Some(self.open_group(self.next - 1).map_err(|error| describe(&error))?);
        }
    }
}

impl ChunkReader for RowGroups {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        match self.next_batch() {
            Ok(batch) => {
                self.read += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
                Ok(batch.map(Chunk::Batch))
            }
            Err(message) => {
                let place = self.place();
                self.current = None;
                self.next = self.groups.end;
                Err(Error::shard(&self.name, format!("{place}: {message}")))
            }
        }
    }

    fn n_rows(&self) -> Option<u64> {
        let groups = &self.metadata.metadata().row_groups()[self.groups.clone()];
        Some(groups.iter().map(|group| number(group.num_rows())).sum())
    }

    fn place(&self) -> String {
        format!("row group {}, after {} rows", self.next.saturating_sub(1).max(self.groups.start), self.read)
    }
}

/// An error of the `parquet` crate without its prefixes.
fn describe(error: &ParquetError) -> String {
    match error {
        ParquetError::General(message) | ParquetError::EOF(message) => message.clone(),
        ParquetError::External(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Reads of a whole file, for footers.
struct Plain(Arc<dyn ReadAt>);

impl Length for Plain {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ParquetBytes for Plain {
    type T = Ahead;

    fn get_read(&self, start: u64) -> Result<Ahead, ParquetError> {
        Ok(Ahead::new(self.0.clone(), start..self.0.size(), 64 << 10))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.saturating_add(length as u64) > self.0.size() {
            return Err(ParquetError::EOF(format!(
                "the footer points past the end of the file, at {start} + {length}"
            )));
        }
        let mut bytes = vec![0; length];
        self.0.read_at(start, &mut bytes).map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(bytes.into())
    }
}

/// The pages of one row group: a window onto each column chunk.
struct Pages {
    size: u64,
    chunks: Arc<[(Range<u64>, Mutex<Ahead>)]>,
}

impl Pages {
    fn new(
        file: &Arc<dyn ReadAt>,
        metadata: &ParquetMetaData,
        group: usize,
        window: u64,
    ) -> Result<Self, ParquetError> {
        let size = file.size();
        let chunk = |column: &parquet::file::metadata::ColumnChunkMetaData| {
            // As `byte_range` has it, which panics on a number below zero.
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let end = start.saturating_add(column.compressed_size());
            if start < 0 || end < start || end as u64 > size {
                let message = format!("a column chunk goes from {start} to {end} in a file of {size} bytes");
                return Err(ParquetError::EOF(message));
            }
            let range = start as u64..end as u64;
            let window = window.clamp(64 << 10, 2 << 20);
            Ok((range.clone(), Mutex::new(Ahead::new(file.clone(), range, window))))
        };
        let chunks = metadata.row_group(group).columns().iter().map(chunk).collect::<Result<_, _>>()?;
        Ok(Self { size, chunks })
    }

    fn chunk(&self, offset: u64) -> Result<usize, ParquetError> {
        let found = self.chunks.iter().position(|(range, _)| range.contains(&offset));
        found.ok_or_else(|| ParquetError::EOF(format!("a page at {offset} is in no column chunk")))
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ParquetBytes for Pages {
    type T = PageHeader;

    fn get_read(&self, start: u64) -> Result<PageHeader, ParquetError> {
        let chunk = self.chunk(start)?;
        Ok(PageHeader { chunks: self.chunks.clone(), chunk, position: start, some: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let (range, ahead) = &self.chunks[self.chunk(start)?];
        if start.saturating_add(length as u64) > range.end {
            return Err(ParquetError::EOF(format!("a page at {start} is longer than its column chunk")));
        }
        let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.slice(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads the header of a page.
struct PageHeader {
    chunks: Arc<[(Range<u64>, Mutex<Ahead>)]>,
    chunk: usize,
    position: u64,
    some: Bytes,
}

impl Read for PageHeader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.some.is_empty() {
            let mut ahead = self.chunks[self.chunk].1.lock().unwrap_or_else(PoisonError::into_inner);
            self.some = ahead.some(self.position).map_err(io::Error::other)?;
        }
        let n = self.some.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.some.split_to(n));
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::store::tests::Memory;

    /// A file of `n` documents in row groups of `group`.
    fn file(n: usize, group: usize, words: usize) -> Vec<u8> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("{i} ").repeat(words))));
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(|i| i.to_string())));
        let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).expect("columns");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("written");
        writer.into_inner().expect("a footer")
    }

    fn open(bytes: &[u8]) -> Result<ParquetFile> {
        ParquetFile::open(Arc::new(Memory(bytes.to_vec())), "f")
    }

    /// The rows of each batch, the columns of the first, and what stopped it.
    fn read(
        bytes: &[u8],
        groups: Range<usize>,
        others: Option<Vec<String>>,
        window: u64,
    ) -> (Vec<usize>, usize, Option<String>) {
        let columns = Columns { text: "text".into(), others };
        let (mut rows, mut n_columns) = (Vec::new(), 0);
        let mut reader = open(bytes).and_then(|file| file.read(groups, &columns, window)).expect("a footer");
        loop {
            match reader.next_chunk() {
                Ok(Some(Chunk::Batch(batch))) => {
                    n_columns = batch.num_columns();
                    rows.push(batch.num_rows());
                }
                Ok(Some(Chunk::Lines(_))) => unreachable!("a batch is no lines"),
                Ok(None) => return (rows, n_columns, None),
                Err(error) => return (rows, n_columns, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn row_groups_are_read_in_part_and_columns_too() {
        let bytes = file(100, 30, 3);
        assert_eq!(read(&bytes, 0..4, None, 1 << 20), (vec![30, 30, 30, 10], 2, None));
        assert_eq!(read(&bytes, 1..3, Some(vec![]), 1 << 20), (vec![30, 30], 1, None));
        assert_eq!(read(&bytes, 2..2, None, 1 << 20), (vec![], 0, None));
        assert_eq!(read(&file(0, 30, 3), 0..0, None, 1 << 20), (vec![], 0, None));
    }

    #[test]
    fn batches_depend_on_the_file_alone() {
        let bytes = file(2000, 5000, 2000);
        let (rows, _, error) = read(&bytes, 0..1, None, 1);
        assert_eq!((rows.iter().sum::<usize>(), error), (2000, None));
        assert!(rows.len() > 3, "a row group is no batch: {rows:?}");
        assert_eq!(read(&bytes, 0..1, None, 1 << 30).0, rows);
    }

    /// The file with a footer of the same pages that tells of groups of `rows` rows.
    fn lying(mut bytes: Vec<u8>, rows: i64) -> Vec<u8> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(bytes.clone())).expect("a footer");
        let groups = metadata.row_groups().iter().cloned();
        let groups = groups.map(|group| group.into_builder().set_num_rows(rows).build().expect("a group")).collect();
        let metadata = metadata.into_builder().set_row_groups(groups).build();
        ParquetMetaDataWriter::new(&mut bytes, &metadata).finish().expect("memory takes all");
        bytes
    }

    #[test]
    fn a_footer_that_lies_about_rows_is_found_out() {
        let check = |rows: i64, expected: &str, n_rows: u64| {
            let bytes = lying(file(60, 30, 3), rows);
            let (read, _, error) = read(&bytes, 0..2, None, 1 << 20);
            assert_eq!((read.iter().sum::<usize>() as u64, error.as_deref()), (n_rows, Some(expected)));
        };
        check(40, "f: row group 0, after 30 rows: there are 10 rows less than the footer says", 30);
        check(20, "f: row group 0, after 0 rows: there are more rows than the footer says", 0);
        check(-1, "f: row group 0, after 0 rows: there are more rows than the footer says", 0);
        let many = open(&lying(file(60, 30, 3), i64::MAX / 2)).expect("a footer").row_groups();
        assert_eq!(many.iter().map(|group| group.rows).sum::<u64>(), 2 << 40, "a sum is still a number");
    }

    /// Whatever byte is wrong, rows before it come out, or an error that names the file: never a panic here
    /// that the task would have to catch, and never more rows than there are.
    #[test]
    fn broken_bytes_are_errors_with_a_place() {
        let sound = file(60, 20, 3);
        for at in (0..sound.len()).step_by(7) {
            let mut bytes = sound.clone();
            bytes[at] ^= 0xff;
            let opened = std::panic::catch_unwind(|| open(&bytes).map(|file| file.row_groups().len()));
            let Ok(Ok(n_groups)) = opened else { continue };
            let Ok((rows, _, error)) = std::panic::catch_unwind(|| read(&bytes, 0..n_groups, None, 1 << 20)) else {
                continue;
            };
            assert!(rows.iter().sum::<usize>() <= 60, "byte {at}: {rows:?}");
            if let Some(error) = error {
                assert!(error.starts_with("f: row group "), "byte {at}: {error}");
            }
        }
        let cut = open(&sound[..sound.len() / 2]).map(|_| ()).expect_err("no footer");
        assert!(cut.to_string().starts_with("f: "), "{cut}");
    }
}
