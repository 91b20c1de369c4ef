//! Reading Parquet: page by page, so that memory is bounded whatever the size of a row group.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelector,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader as ParquetBytes, Length};
use parquet::schema::types::{SchemaDescriptor, Type};

use super::ahead::Ahead;
use super::{Chunk, ChunkReader, Columns};
use crate::encoding::Encoding;
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
/// The bytes of pages after which a batch of several rows gets no other page of a column. Where documents are of
/// very different lengths, a batch with many long ones is read again in smaller ones.
const BATCH_PAGES: u64 = 32 << 20;

/// The bytes of pages beside its own text that a batch may hold on to. A page is 1 MB in most files.
const SPARE_PAGES: usize = 8 << 20;

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

    /// A reader of some row groups, in which texts are encoded so.
    pub fn read(self, groups: Range<usize>, columns: &Columns, window: u64, encoding: Encoding) -> Result<RowGroups> {
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
            encoding,
        })
    }
}

/// A number in a footer, which can be anything.
fn number(footer: i64) -> u64 {
    footer.clamp(0, MOST) as u64
}

/// The metadata with the text column read as bytes, so that one document that is not UTF-8 costs only itself; and
/// as views of the pages, so that nothing is copied.
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
        Field::new(field.name(), DataType::BinaryView, field.is_nullable()).with_metadata(field.metadata().clone())
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
    current: Option<Batches>,
    read: u64,
    /// The rows that the current group must still have.
    left_in_group: u64,
    encoding: Encoding,
}

/// The batches of a row group, or of some rows of it.
struct Batches {
    reader: ParquetRecordBatchReader,
    columns: Arc<[ColumnPages]>,
    batch_rows: u64,
    /// The rows it is to read, if not all of them.
    part: Option<u64>,
    /// The rows that the group had left before.
    left_before: u64,
}

impl RowGroups {
    /// The rows of the current group that are still to be read, in batches of about `BATCH_BYTES`; or a part of
    /// them, in batches of so many rows.
    fn open_batches(&self, part_and_batch: Option<(u64, u64)>) -> Result<Batches, ParquetError> {
        let index = self.next - 1;
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
        let rows = number(group.num_rows());
        let part = part_and_batch.map(|(part, _)| part);
        let usual = (BATCH_BYTES / (bytes / rows.max(1)).max(1)).clamp(1, BATCH_ROWS);
        let batch_rows = part_and_batch.map_or(usual, |(_, batch)| batch);
        let window = self.window / n_chunks.max(1);
        let source = Pages::new(&self.file, self.metadata.metadata(), index, window, batch_rows > 1)?;
        let columns = source.columns.clone();
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.metadata.clone())
            .with_row_groups(vec![index])
            .with_projection(self.mask.clone())
            .with_batch_size(batch_rows as usize);
        let to_read = part.unwrap_or(self.left_in_group).min(self.left_in_group);
        if to_read < rows {
            let done = rows - self.left_in_group;
            let rows = [RowSelector::skip(done as usize), RowSelector::select(to_read as usize)];
            builder = builder.with_row_selection(rows.to_vec().into());
        }
        Ok(Batches { reader: builder.build()?, columns, batch_rows, part, left_before: self.left_in_group })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            let part_and_batch = match &mut self.current {
                Some(batches) => {
                    batches.columns.iter().for_each(|column| column.taken.store(0, Ordering::Relaxed));
                    match batches.reader.next() {
                        Some(Ok(batch)) => {
                            let left = self.left_in_group.checked_sub(batch.num_rows() as u64);
                            self.left_in_group = left.ok_or("there are more rows than the footer says")?;
                            return Ok(Some(without_spare_pages(batch)));
                        }
                        // Too much for one batch, or broken further on.
                        Some(Err(_)) if batches.batch_rows > 1 => {
                            Some((batches.part.unwrap_or(batches.batch_rows), batches.batch_rows.div_ceil(16)))
                        }
                        Some(Err(error)) => return Err(error.to_string()),
                        None if batches.part.is_some() && (1..batches.left_before).contains(&self.left_in_group) => {
                            None
                        }
                        None if self.left_in_group > 0 => {
                            return Err(format!(
                                "there are fewer rows than the footer says, by {}",
                                self.left_in_group
                            ));
                        }
                        None => {
                            self.current = None;
                            continue;
                        }
                    }
                }
                None if self.next >= self.groups.end => return Ok(None),
                None => {
                    self.left_in_group = number(self.metadata.metadata().row_group(self.next).num_rows());
                    self.next += 1;
                    None
                }
            };
            self.current = Some(self.open_batches(part_and_batch).map_err(|error| describe(&error))?);
        }
    }
}

/// The batch, with a copy of its text where that is a small part of the large pages that it would hold on to.
fn without_spare_pages(batch: RecordBatch) -> RecordBatch {
    let compact = |column: &ArrayRef| {
        let Some(text) = column.as_binary_view_opt() else { return column.clone() };
        let pages: usize = text.data_buffers().iter().map(Buffer::len).sum();
        let spare = pages.saturating_sub(text.total_buffer_bytes_used());
        if spare > SPARE_PAGES { Arc::new(text.gc()) } else { column.clone() }
    };
    let columns = batch.columns().iter().map(compact).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options).unwrap_or(batch)
}

impl ChunkReader for RowGroups {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        match self.next_batch() {
            Ok(batch) => {
                self.read += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
                Ok(batch.map(|batch| Chunk::Batch(batch, self.encoding)))
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
    columns: Arc<[ColumnPages]>,
    /// Whether a batch may take only so much.
    limited: bool,
}

struct ColumnPages {
    range: Range<u64>,
    ahead: Mutex<Ahead>,
    /// The bytes that the current batch has taken.
    taken: AtomicU64,
}

impl Pages {
    fn new(
        file: &Arc<dyn ReadAt>,
        metadata: &ParquetMetaData,
        group: usize,
        window: u64,
        limited: bool,
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
            let ahead = Mutex::new(Ahead::new(file.clone(), range.clone(), window));
            Ok(ColumnPages { range, ahead, taken: AtomicU64::new(0) })
        };
        let columns = metadata.row_group(group).columns().iter().map(chunk).collect::<Result<_, _>>()?;
        Ok(Self { size, columns, limited })
    }

    fn column(&self, offset: u64) -> Result<usize, ParquetError> {
        let found = self.columns.iter().position(|column| column.range.contains(&offset));
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
        let column = self.column(start)?;
        Ok(PageHeader { columns: self.columns.clone(), column, position: start, some: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let column = &self.columns[self.column(start)?];
        if start.saturating_add(length as u64) > column.range.end {
            return Err(ParquetError::EOF(format!("a page at {start} is longer than its column chunk")));
        }
        let taken = column.taken.fetch_add(length as u64, Ordering::Relaxed);
        if self.limited && taken > BATCH_PAGES {
            return Err(ParquetError::General("a batch of long documents".into()));
        }
        let mut ahead = column.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.slice(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads the header of a page.
struct PageHeader {
    columns: Arc<[ColumnPages]>,
    column: usize,
    position: u64,
    some: Bytes,
}

impl Read for PageHeader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.some.is_empty() {
            let mut ahead = self.columns[self.column].ahead.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut reader =
            open(bytes).and_then(|file| file.read(groups, &columns, window, Encoding::Utf8)).expect("a footer");
        loop {
            match reader.next_chunk() {
                Ok(Some(Chunk::Batch(batch, _))) => {
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

    /// Long documents side by side among many short ones.
    #[test]
    fn long_documents_among_short_ones_come_in_small_batches() {
        let long = 3000..3060;
        let text = |i: u64| if long.contains(&i) { format!("{i} ").repeat(250_000) } else { format!("short {i}") };
        let skewed: Vec<String> = (0..20_000).map(text).collect();
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(&skewed));
        let batch = RecordBatch::try_from_iter([("text", texts)]).expect("a column");
        let properties = WriterProperties::builder().set_write_batch_size(8).set_dictionary_enabled(false).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("written");
        let bytes = writer.into_inner().expect("a footer");
        let columns = Columns { text: "text".into(), others: None };
        let mut reader =
            open(&bytes).and_then(|file| file.read(0..1, &columns, 1 << 20, Encoding::Utf8)).expect("a footer");
        let (mut got, mut largest) = (Vec::new(), 0);
        while let Some(Chunk::Batch(batch, _)) = reader.next_chunk().expect("sound") {
            let texts = arrow::compute::cast(batch.column(0), &DataType::Utf8).expect("text");
            let texts = texts.as_string::<i32>();
            largest = largest.max(texts.values().len());
            got.extend(texts.iter().map(|text| text.expect("a text").to_owned()));
        }
        assert!(got == skewed, "every row once, in order");
        assert!(skewed[long.start as usize..long.end as usize].iter().map(String::len).sum::<usize>() > 70 << 20);
        assert!(largest < 48 << 20, "{largest} bytes in a batch");
    }

    /// A writer may make one page of a whole row group.
    #[test]
    fn a_batch_does_not_hold_on_to_a_giant_page() {
        check_pages(usize::MAX);
    }

    #[test]
    fn a_page_of_two_batches_is_the_work_of_each_in_part() {
        check_pages(3 << 20);
    }

    fn check_pages(page_bytes: usize) {
        let texts: Vec<String> = (0..8000).map(|i| format!("{i} ").repeat(1000)).collect();
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
        let batch = RecordBatch::try_from_iter([("text", column)]).expect("a column");
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(page_bytes)
            .set_data_page_row_count_limit(usize::MAX)
            .set_write_batch_size(64);
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).expect("a writer");
        writer.write(&batch).expect("written");
        let bytes = writer.into_inner().expect("a footer");
        let columns = Columns { text: "text".into(), others: None };
        let mut reader =
            open(&bytes).and_then(|file| file.read(0..1, &columns, 1 << 20, Encoding::Utf8)).expect("a footer");
        let (mut got, mut n_batches, mut work) = (Vec::new(), 0, 0);
        while let Some(chunk) = reader.next_chunk().expect("sound") {
            work += chunk.source_bytes();
            let Chunk::Batch(batch, _) = chunk else { unreachable!("a batch is no lines") };
            assert!(batch.get_array_memory_size() < 12 << 20, "{} bytes", batch.get_array_memory_size());
            let texts = batch.column(0).as_binary_view();
            got.extend(texts.iter().map(|text| String::from_utf8_lossy(text.expect("a text")).into_owned()));
            n_batches += 1;
        }
        assert!(got == texts, "every row once, in order");
        assert!(n_batches > 5, "{n_batches} batches");
        let bytes: usize = texts.iter().map(String::len).sum();
        assert!((bytes..bytes * 101 / 100).contains(&(work as usize)), "{work} of {bytes}: no page counts twice");
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
        check(40, "f: row group 0, after 30 rows: there are fewer rows than the footer says, by 10", 30);
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
