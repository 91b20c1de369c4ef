//! The formats of shards: which file is what, and how it becomes batches and is made of them.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewBuilder};
use arrow::datatypes::{DataType, Schema, SchemaRef};

use crate::encoding::{Encoding, Guesses};
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

/// The columns of a file, whichever they are; JSON Lines tell of none.
pub fn columns(file: &InputFile) -> Result<Option<SchemaRef>> {
    let reader = file.open()?;
    check_content(file, reader.as_ref())?;
    match file.format {
        Format::Parquet => parquet::ParquetFile::open(reader, &file.name).map(|file| Some(file.schema())),
        Format::JsonLines(_) => Ok(None),
    }
}

fn try_inspect(file: &InputFile, text_column: &str, id_column: &str) -> Result<Inspected> {
    let reader = file.open()?;
    check_content(file, reader.as_ref())?;
    match file.format {
        Format::Parquet => {
            let parquet = parquet::ParquetFile::open(reader, &file.name)?;
            let schema = parquet.schema();
            let schema = with_text(&schema, text_column, file.encoding);
            let schema = schema.map_err(|message| Error::shard(&file.name, message))?;
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
            let lines = jsonl::LineReader::open(reader, &file.name, compression, None, 0, file.encoding).ok();
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

/// The columns of a file, the text as a string; or what is wrong with the column of the text. Bytes are text if it is
/// said how they are encoded.
fn with_text(schema: &SchemaRef, text_column: &str, encoding: Encoding) -> Result<SchemaRef, String> {
    let Ok(index) = schema.index_of(text_column) else {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(format!(
            "there is no column `{text_column}`; the columns are {}; name the one with the text with --text-column",
            names.join(", ")
        ));
    };
    let field = schema.field(index);
    let string = match field.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let decoded = match string {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => return Ok(schema.clone()),
        DataType::Binary => DataType::Utf8,
        DataType::LargeBinary => DataType::LargeUtf8,
        DataType::BinaryView => DataType::Utf8View,
        _ => return Err(format!("column `{text_column}` is {}, not text", field.data_type())),
    };
    if encoding == Encoding::Utf8 {
        return Err(format!(
            "column `{text_column}` is {}, not text; say how it is encoded with --encoding, or have it found out with \
             --encoding detect",
            field.data_type()
        ));
    }
    let mut fields = schema.fields().to_vec();
    fields[index] = Arc::new(field.clone().with_data_type(decoded));
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

/// What a reader hands over: bytes that still have to become documents, which any thread can do.
pub enum Chunk {
    /// A batch of Parquet, its text not yet decoded.
    Batch(RecordBatch, Encoding),
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
    /// The rows whose encoding was guessed.
    pub guesses: Guesses,
}

impl Chunk {
    /// The memory it holds.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Batch(batch, _) => batch.get_array_memory_size(),
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
            Self::Batch(batch, _) => batch.columns().iter().map(of_column).sum::<usize>() as u64,
            Self::Lines(lines) => lines.n_bytes() as u64,
        }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> u64 {
        match self {
            Self::Batch(batch, _) => batch.num_rows() as u64,
            Self::Lines(lines) => lines.n_rows(),
        }
    }

    /// Leaves only the first `rows` rows.
    pub fn truncate(&mut self, rows: u64) {
        match self {
            Self::Batch(batch, _) if (batch.num_rows() as u64) > rows => *batch = batch.slice(0, rows as usize),
            Self::Batch(..) => {}
            Self::Lines(lines) => lines.truncate(rows),
        }
    }

    /// Turns it into documents of `schema`, but for the text, which is `Utf8View` in any case.
    pub fn decode(self, schema: &SchemaRef, text_column: &str) -> Result<Decoded, String> {
        let decoded = match self {
            Self::Batch(batch, encoding) => decode_text(&batch, text_column, encoding)?,
            Self::Lines(lines) => lines.decode(schema, text_column),
        };
        let batch = schema::fit(&decoded.batch, &on_its_way(schema, text_column)).map_err(|error| error.to_string())?;
        Ok(Decoded { batch, ..decoded })
    }
}

/// The text column, read as bytes, as text: rows that cannot be decoded are repaired and reported.
fn decode_text(batch: &RecordBatch, text_column: &str, encoding: Encoding) -> Result<Decoded, String> {
    let (mut bad, mut guesses) = (Vec::new(), Guesses::new());
    let index = batch.schema_ref().index_of(text_column).ok();
    let Some((index, bytes)) = index.and_then(|index| Some((index, batch.column(index).as_binary_view_opt()?))) else {
        return Ok(Decoded { batch: batch.clone(), bad, guesses });
    };
    // What is UTF-8 is nothing else, unless the user says so.
    let is_copied = matches!(encoding, Encoding::Of(_));
    let as_it_is = if is_copied { None } else { text_of(bytes) };
    let text = as_it_is.unwrap_or_else(|| {
        let mut builder = StringViewBuilder::new();
        for (row, value) in bytes.iter().enumerate() {
            let decoded = value.map(|value| {
                encoding.decode(value, &mut guesses).unwrap_or_else(|reason| {
                    bad.push((row, reason));
                    String::from_utf8_lossy(value)
                })
            });
            builder.append_option(decoded);
        }
        builder.finish()
    });
    let mut columns = batch.columns().to_vec();
    columns[index] = Arc::new(text);
    let schema = on_its_way(batch.schema_ref(), text_column);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| error.to_string())?;
    Ok(Decoded { batch, bad, guesses })
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
                let schema = with_text(&parquet.schema(), &columns.text, file.encoding);
                schema.map_err(|message| Error::shard(&file.name, message))?;
            }
            let n_groups = parquet.row_groups().len();
            let groups = match piece.part {
                Part::RowGroups { first, end } => first..end.min(n_groups),
                Part::All | Part::Bytes { .. } => 0..n_groups,
            };
            Ok(Box::new(parquet.read(groups, columns, window, file.encoding)?))
        }
        Format::JsonLines(compression) => {
            let range = match piece.part {
                Part::Bytes { start, end } => Some(start..end),
                Part::All | Part::RowGroups { .. } => None,
            };
            Ok(Box::new(jsonl::LineReader::open(reader, &file.name, compression, range, window, file.encoding)?))
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

#[cfg(test)]
mod tests {
    use ::parquet::arrow::ArrowWriter;
    use arrow::array::{BinaryArray, StringArray};

    use super::*;

    /// A file with texts of these bytes, in a folder of its own.
    fn file_of(texts: &[&[u8]]) -> (tempfile::TempDir, InputFile) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..texts.len()).map(|i| i.to_string())));
        let texts: ArrayRef = Arc::new(BinaryArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).expect("columns");
        let path = folder.path().join("f.parquet");
        let file = std::fs::File::create(&path).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("a footer");
        let mut files = input::find(&[path.display().to_string()]).expect("a file");
        (folder, files.remove(0))
    }

    /// The texts that are read, each with the reason why it is none.
    fn read(file: &InputFile) -> Vec<(String, Option<&'static str>)> {
        let inspected = inspect(file, "text", "id");
        let schema = inspected.schema.expect("it can be read");
        assert_eq!(schema.field_with_name("text").expect("a text").data_type(), &DataType::Utf8);
        let columns = Columns { text: "text".into(), others: None };
        let mut reader = open(file, &Piece { shard: 0, part: Part::All }, &columns, 1 << 20).expect("sound");
        let mut texts = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("sound") {
            let Decoded { batch, bad, .. } = chunk.decode(&schema, "text").expect("it fits");
            let column = batch.column_by_name("text").expect("a text").as_string_view();
            let reason = |row| bad.iter().find(|(bad, _)| *bad == row).map(|(_, reason)| *reason);
            texts.extend(column.iter().enumerate().map(|(row, text)| (text.unwrap_or("").to_owned(), reason(row))));
        }
        texts
    }

    #[test]
    fn bytes_are_text_if_it_is_said_how() {
        let chinese = "河水慢慢地流过村庄，孩子们在树下读书，老人坐在门口晒太阳。";
        let gbk = encoding_rs::GBK.encode(chinese).0;
        let (_folder, file) = file_of(&[&gbk, chinese.as_bytes(), b"plain", b"\x00\xff"]);
        let good = |text: &str| (text.to_owned(), None);
        let noise = ("\0\u{fffd}".to_owned(), Some("undecodable"));
        let detected = read(&file.clone().encoded(Encoding::Detect));
        assert_eq!(detected, [good(chinese), good(chinese), good("plain"), noise.clone()]);
        // What is said is believed, also where it is wrong.
        let labelled = read(&file.clone().encoded("gbk".parse().expect("a label")));
        assert_eq!((&labelled[0], &labelled[2], &labelled[3]), (&good(chinese), &good("plain"), &noise));
        assert_ne!(labelled[1], good(chinese));
    }

    #[test]
    fn bytes_are_no_text_if_nothing_is_said() {
        let (_folder, file) = file_of(&[b"plain"]);
        let Layout::Unreadable(message) = inspect(&file, "text", "id").layout else { panic!("nothing was said") };
        assert_eq!(
            message,
            "column `text` is Binary, not text; say how it is encoded with --encoding, or have it found out with \
             --encoding detect"
        );
    }
}
