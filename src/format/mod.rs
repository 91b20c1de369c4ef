//! The formats of shards: which file is what, and how it becomes batches and is made of them.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewBuilder};
use arrow::datatypes::{DataType, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::plan::{Layout, Part, Piece};
use crate::schema;
use crate::store::ReadAt;

pub mod ahead;
pub mod input;
pub mod jsonl;
pub mod parquet;
mod utf8;
pub mod write;

use input::InputFile;
use utf8::text_of;

/// The format of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// JSON Lines, perhaps compressed.
    JsonLines(Compression),
}

/// How a stream of lines is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one or many members.
    Gzip,
    /// zstd, of one or many frames.
    Zstd,
}

impl Format {
    /// The format that a file's name promises.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".parquet", ".pq"]) {
            Some(Self::Parquet)
        } else if ends(&[".jsonl", ".ndjson"]) {
            Some(Self::JsonLines(Compression::None))
        } else if ends(&[".jsonl.gz", ".ndjson.gz", ".json.gz"]) {
            Some(Self::JsonLines(Compression::Gzip))
        } else if ends(&[".jsonl.zst", ".ndjson.zst", ".json.zst", ".jsonl.zstd"]) {
            Some(Self::JsonLines(Compression::Zstd))
        } else {
            None
        }
    }

    /// The format that a file's first bytes show, where they show one.
    fn of_content(start: &[u8]) -> Option<Self> {
        match start {
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            [0x1f, 0x8b, ..] => Some(Self::JsonLines(Compression::Gzip)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::JsonLines(Compression::Zstd)),
            _ => {
                let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
                (text.first() == Some(&b'{')).then_some(Self::JsonLines(Compression::None))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::JsonLines(Compression::None) => "JSON Lines",
            Self::JsonLines(Compression::Gzip) => "gzip-compressed",
            Self::JsonLines(Compression::Zstd) => "zstd-compressed",
        }
    }
}

/// What can be known of a file without reading its documents.
pub struct Inspected {
    /// How it can be cut.
    pub layout: Layout,
    /// Its columns; JSON Lines have none until the plan gives them some.
    pub schema: Option<SchemaRef>,
    /// What the ids at the head of JSON Lines are.
    pub ids: Option<jsonl::Ids>,
}

/// Looks into a file. A file that cannot be read, or is not what its name says, is `Layout::Unreadable`.
pub fn inspect(file: &InputFile, text_column: &str, id_column: &str) -> Inspected {
    let look = || try_inspect(file, text_column, id_column);
    // A library that panics on what it finds has found a broken file.
    let looked = catch_unwind(AssertUnwindSafe(look))
        .unwrap_or_else(|_| Err(Error::shard(&file.name, "a bug: the reader gave up on it")));
    match looked {
        Ok(inspected) => inspected,
        Err(error) => {
            let message = match error {
                Error::Shard { message, .. } | Error::Io { message, .. } => message,
                other => other.to_string(),
            };
            Inspected { layout: Layout::Unreadable(message), schema: None, ids: None }
        }
    }
}

fn try_inspect(file: &InputFile, text_column: &str, id_column: &str) -> Result<Inspected> {
    let reader = file.open()?;
    check_content(file, reader.as_ref())?;
    match file.format {
        Format::Parquet => {
            let parquet = parquet::ParquetFile::open(reader, &file.name)?;
            let schema = parquet.schema();
            text_type(&schema, text_column).map_err(|message| Error::shard(&file.name, message))?;
            let mut names = BTreeSet::new();
            if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
                let message = format!("there are two columns `{}`; rename one of them", twice.name());
                return Err(Error::shard(&file.name, message));
            }
            Ok(Inspected { layout: Layout::RowGroups(parquet.row_groups()), schema: Some(schema), ids: None })
        }
        Format::JsonLines(compression) => {
            let layout = if compression == Compression::None { Layout::Lines } else { Layout::Stream };
            // A stream that is broken is met again, and reported, when it is read for good.
            let lines = jsonl::LineReader::open(reader, &file.name, compression, None, 0).ok();
            let ids = lines.and_then(|mut lines| lines.ids_ahead(id_column));
            Ok(Inspected { layout, schema: None, ids })
        }
    }
}

/// Whether a file begins as its name promises.
fn check_content(file: &InputFile, reader: &dyn ReadAt) -> Result<()> {
    let mut start = vec![0; reader.size().min(64) as usize];
    reader.read_at(0, &mut start)?;
    let found = Format::of_content(&start);
    if let Some(found) = found.filter(|&found| found != file.format) {
        let message = format!("the name says {}, the content is {}", file.format.name(), found.name());
        return Err(Error::shard(&file.name, message));
    }
    let is_lines = file.format == Format::JsonLines(Compression::None);
    if is_lines && found.is_none() && !start.trim_ascii().is_empty() {
        return Err(Error::shard(&file.name, "not JSON Lines: the first line is no object `{…}`"));
    }
    Ok(())
}

/// The type of the text column, or what is wrong with it.
pub fn text_type(schema: &Schema, text_column: &str) -> Result<DataType, String> {
    let Ok(field) = schema.field_with_name(text_column) else {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(format!(
            "there is no column `{text_column}`; the columns are {}; name the one with the text with --text-column",
            names.join(", ")
        ));
    };
    let string = match field.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    if matches!(string, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        Ok(field.data_type().clone())
    } else {
        Err(format!("column `{text_column}` is {}, not text", field.data_type()))
    }
}

/// What a reader hands over: bytes that still have to become documents, which any thread can do.
pub enum Chunk {
    /// A batch of Parquet, its text not yet checked for UTF-8.
    Batch(RecordBatch),
    /// Some lines.
    Lines(jsonl::Lines),
}

/// Rows that could not be read as documents, with the reason, in order.
pub type BadRows = Vec<(usize, &'static str)>;

/// A batch of documents as they were read.
pub struct Decoded {
    /// The documents, in the schema that was asked for but for the text, which is `Utf8View`.
    pub batch: RecordBatch,
    /// The rows that are none. Their text is what could be saved.
    pub bad: BadRows,
}

impl Chunk {
    /// The memory it holds.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.get_array_memory_size(),
            Self::Lines(lines) => lines.n_bytes(),
        }
    }

    /// The bytes of work it stands for, in the measure of plans. A page that several batches hold on to is as much
    /// work for each as they take from it.
    pub fn source_bytes(&self) -> u64 {
        let of_column = |column: &ArrayRef| match column.as_binary_view_opt() {
            Some(text) => text.total_buffer_bytes_used() + size_of_val::<[u128]>(text.views()),
            None => column.get_array_memory_size(),
        };
        match self {
            Self::Batch(batch) => batch.columns().iter().map(of_column).sum::<usize>() as u64,
            Self::Lines(lines) => lines.n_bytes() as u64,
        }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.num_rows() as u64,
            Self::Lines(lines) => lines.n_rows(),
        }
    }

    /// Leaves only the first `rows` rows.
    pub fn truncate(&mut self, rows: u64) {
        match self {
            Self::Batch(batch) if (batch.num_rows() as u64) > rows => *batch = batch.slice(0, rows as usize),
            Self::Batch(_) => {}
            Self::Lines(lines) => lines.truncate(rows),
        }
    }

    /// Turns it into documents of `schema`, but for the text, which is `Utf8View` in any case.
    pub fn decode(self, schema: &SchemaRef, text_column: &str) -> Result<Decoded, String> {
        let (batch, bad) = match self {
            Self::Batch(batch) => check_text(&batch, text_column)?,
            Self::Lines(lines) => lines.decode(schema, text_column),
        };
        let batch = schema::fit(&batch, &on_its_way(schema, text_column)).map_err(|error| error.to_string())?;
        Ok(Decoded { batch, bad })
    }
}

/// The text column, read as bytes, as text: rows that are not UTF-8 are repaired and reported.
fn check_text(batch: &RecordBatch, text_column: &str) -> Result<(RecordBatch, BadRows), String> {
    let Ok(index) = batch.schema_ref().index_of(text_column) else { return Ok((batch.clone(), Vec::new())) };
    let Some(bytes) = batch.column(index).as_binary_view_opt() else { return Ok((batch.clone(), Vec::new())) };
    let mut bad = Vec::new();
    let text = text_of(bytes).unwrap_or_else(|| {
        let mut builder = StringViewBuilder::new();
        for (row, value) in bytes.iter().enumerate() {
            if value.is_some_and(|value| std::str::from_utf8(value).is_err()) {
                bad.push((row, "invalid_utf8"));
            }
            builder.append_option(value.map(String::from_utf8_lossy));
        }
        builder.finish()
    });
    let mut columns = batch.columns().to_vec();
    columns[index] = Arc::new(text);
    let schema = on_its_way(batch.schema_ref(), text_column);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| error.to_string())?;
    Ok((batch, bad))
}

/// The schema of documents between reader and writer, which are written by the schema given: texts are views of the
/// pages that they were read from, and are not copied on their way.
fn on_its_way(schema: &SchemaRef, text_column: &str) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if field.name() == text_column {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View))
        } else {
            field.clone()
        }
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Reads the chunks of one piece of a file, in order.
pub trait ChunkReader: Send {
    /// The next chunk, or `None` at the end. After an error there is nothing more.
    fn next_chunk(&mut self) -> Result<Option<Chunk>>;

    /// How many rows the piece has in all, if the file tells.
    fn n_rows(&self) -> Option<u64>;

    /// Where the reader stands, for messages.
    fn place(&self) -> String;
}

/// Opens a piece of a file. Only the columns named are read from formats that allow it. What was wrong when
/// the file was looked into is wrong here again.
pub fn open(file: &InputFile, piece: &Piece, columns: &Columns, window: u64) -> Result<Box<dyn ChunkReader>> {
    let reader = file.open()?;
    check_content(file, reader.as_ref())?;
    match file.format {
        Format::Parquet => {
            let parquet = parquet::ParquetFile::open(reader, &file.name)?;
            if !columns.text.is_empty() {
                text_type(&parquet.schema(), &columns.text).map_err(|message| Error::shard(&file.name, message))?;
            }
            let n_groups = parquet.row_groups().len();
            let groups = match piece.part {
                Part::RowGroups { first, end } => first..end.min(n_groups),
                Part::All | Part::Bytes { .. } => 0..n_groups,
            };
            Ok(Box::new(parquet.read(groups, columns, window)?))
        }
        Format::JsonLines(compression) => {
            let range = match piece.part {
                Part::Bytes { start, end } => Some(start..end),
                Part::All | Part::RowGroups { .. } => None,
            };
            Ok(Box::new(jsonl::LineReader::open(reader, &file.name, compression, range, window)?))
        }
    }
}

/// Which columns to read.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The text; nothing, where rows are only counted.
    pub text: String,
    /// The others; all if `None`.
    pub others: Option<Vec<String>>,
}

impl Columns {
    fn wants(&self, name: &str) -> bool {
        name == self.text || self.others.as_ref().is_none_or(|others| others.iter().any(|other| other == name))
    }
}
