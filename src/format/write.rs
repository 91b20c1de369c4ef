//! Writing shards: Parquet or JSON Lines, whole or not at all.
//!
//! Row groups, and the pages in them, are cut by rows and bytes of text alone: the same documents make the
//! same bytes, in whatever batches they come.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::LineDelimitedWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::jsonl::{EXTRA, Fields, add_field};
use crate::error::{Error, Result};
use crate::pipeline::{OutputFormat, OutputSettings};
use crate::store::{Folder, Upload};

/// The rows that go to the Parquet writer at once. It looks at the size of its pages after each 1,024 rows
/// of what it is given.
const SLICE_ROWS: usize = 1024;
/// The bytes of text after which they go though they are fewer.
const SLICE_BYTES: usize = 1 << 20;

/// A shard being written.
pub struct ShardWriter {
    name: String,
    path: String,
    text_column: String,
    sink: Sink,
    settings: OutputSettings,
    rows: u64,
    rows_in_group: usize,
    bytes_in_group: usize,
    /// The begin of the next slice for the Parquet writer, in pieces.
    slice: Vec<RecordBatch>,
    rows_in_slice: usize,
    bytes_in_slice: usize,
}

enum Sink {
    Parquet(Box<ArrowWriter<Upload>>),
    Jsonl(Upload),
    JsonlZst(zstd::stream::write::Encoder<'static, Upload>),
}

/// A shard that has been written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    /// The path below the folder.
    pub path: String,
    /// The number of rows.
    pub rows: u64,
    /// The number of bytes.
    pub bytes: u64,
}

impl ShardWriter {
    /// Begins the shard `stem` below `folder`, with the ending of the format.
    pub fn create(
        folder: &Folder,
        stem: &str,
        schema: &SchemaRef,
        text_column: &str,
        settings: &OutputSettings,
    ) -> Result<Self> {
        let path = format!("{stem}.{}", settings.format.extension());
        let name = folder.name_of(&path);
        let upload = folder.create(&path)?;
        let sink = match settings.format {
            OutputFormat::Parquet => {
                let level = ZstdLevel::try_new(settings.compression_level).map_err(|error| Error::io(&name, error))?;
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(level))
                    .set_max_row_group_row_count(None)
                    // Looks at the size of the page every so many rows, so that long texts do not make giant pages.
                    .set_write_batch_size(64)
                    .set_created_by(concat!("trommel ", env!("CARGO_PKG_VERSION")).to_owned())
                    // Distinct texts gain nothing from a dictionary.
                    .set_column_dictionary_enabled(text_column.into(), false)
                    .set_column_statistics_enabled(
                        text_column.into(),
                        parquet::file::properties::EnabledStatistics::None,
                    )
                    .build();
                let writer = ArrowWriter::try_new(upload, schema.clone(), Some(properties));
                Sink::Parquet(Box::new(writer.map_err(|error| Error::io(&name, error))?))
            }
            OutputFormat::Jsonl => Sink::Jsonl(upload),
            OutputFormat::JsonlZst => {
                let encoder = zstd::stream::write::Encoder::new(upload, settings.compression_level);
                Sink::JsonlZst(encoder.map_err(|error| Error::io(&name, error))?)
            }
        };
        Ok(Self {
            name,
            path,
            text_column: text_column.to_owned(),
            sink,
            settings: settings.clone(),
            rows: 0,
            rows_in_group: 0,
            bytes_in_group: 0,
            slice: Vec::new(),
            rows_in_slice: 0,
            bytes_in_slice: 0,
        })
    }

    /// The number of rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds documents.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let failed = |error: &dyn std::fmt::Display| Error::io(&self.name, error);
        match &mut self.sink {
            Sink::Parquet(_) => return self.write_parquet(batch),
            Sink::Jsonl(upload) => upload.write_all(&json_lines(batch).map_err(|error| failed(&error))?),
            Sink::JsonlZst(encoder) => encoder.write_all(&json_lines(batch).map_err(|error| failed(&error))?),
        }
        .map_err(|error| failed(&error))
    }

    fn write_parquet(&mut self, batch: &RecordBatch) -> Result<()> {
        let lengths = batch.column_by_name(&self.text_column).map(text_lengths).transpose();
        let lengths = lengths.map_err(|error| Error::io(&self.name, error))?;
        let mut start = 0;
        for row in 0..batch.num_rows() {
            let bytes = lengths.as_ref().map_or(0, |lengths| lengths[row]);
            self.rows_in_group += 1;
            self.bytes_in_group += bytes;
            self.rows_in_slice += 1;
            self.bytes_in_slice += bytes;
            let group_ends = self.rows_in_group >= self.settings.row_group_rows
                || self.bytes_in_group >= self.settings.row_group_bytes;
            if group_ends || self.rows_in_slice >= SLICE_ROWS || self.bytes_in_slice >= SLICE_BYTES {
                self.slice.push(batch.slice(start, row + 1 - start));
                start = row + 1;
                self.write_slice(group_ends)?;
            }
        }
        if start < batch.num_rows() {
            self.slice.push(batch.slice(start, batch.num_rows() - start));
        }
        Ok(())
    }

    /// Hands the slice to the Parquet writer, and ends the row group if it `group_ends` here.
    fn write_slice(&mut self, group_ends: bool) -> Result<()> {
        let Sink::Parquet(writer) = &mut self.sink else { unreachable!("only Parquet is written in slices") };
        let slice = std::mem::take(&mut self.slice);
        let written = match &slice[..] {
            [] => Ok(()),
            [whole] => writer.write(whole),
            [first, ..] => match concat_batches(first.schema_ref(), &slice) {
                Ok(whole) => writer.write(&whole),
                // More distinct values than the keys of a dictionary can tell apart.
                Err(_) => slice.iter().try_for_each(|piece| writer.write(piece)),
            },
        };
        (self.rows_in_slice, self.bytes_in_slice) = (0, 0);
        let flushed = written.and_then(|()| if group_ends { writer.flush() } else { Ok(()) });
        if group_ends {
            (self.rows_in_group, self.bytes_in_group) = (0, 0);
        }
        flushed.map_err(|error| Error::io(&self.name, error))
    }

    /// Makes the shard visible.
    pub fn finish(mut self) -> Result<Written> {
        if matches!(self.sink, Sink::Parquet(_)) {
            self.write_slice(false)?;
        }
        let failed = |error: &dyn std::fmt::Display| Error::io(&self.name, error);
        let upload = match self.sink {
            Sink::Parquet(writer) => writer.into_inner().map_err(|error| failed(&error))?,
            Sink::Jsonl(upload) => upload,
            Sink::JsonlZst(encoder) => encoder.finish().map_err(|error| failed(&error))?,
        };
        Ok(Written { path: self.path, rows: self.rows, bytes: upload.finish()? })
    }
}

/// The bytes of each string of a text column.
fn text_lengths(column: &ArrayRef) -> Result<Vec<usize>, arrow::error::ArrowError> {
    let from_offsets = |offsets: &mut dyn Iterator<Item = usize>| offsets.collect();
    Ok(match column.data_type() {
        DataType::Utf8 => from_offsets(&mut column.as_string::<i32>().offsets().lengths()),
        DataType::LargeUtf8 => from_offsets(&mut column.as_string::<i64>().offsets().lengths()),
        DataType::Utf8View => column.as_string_view().lengths().map(|length| length as usize).collect(),
        _ => from_offsets(&mut cast(column, &DataType::LargeUtf8)?.as_string::<i64>().offsets().lengths()),
    })
}

/// One JSON object a line; the fields of the `extra` column are fields again.
fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let extra = batch.schema_ref().index_of(EXTRA).ok().filter(|&extra| is_text(batch.column(extra).data_type()));
    let plain = match extra {
        None => batch.clone(),
        Some(extra) => {
            let others: Vec<usize> = (0..batch.num_columns()).filter(|&i| i != extra).collect();
            batch.project(&others)?
        }
    };
    let mut lines = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut lines);
    writer.write(&plain)?;
    writer.finish()?;
    let Some(extra) = extra else { return Ok(lines) };
    let extra = cast(batch.column(extra), &DataType::LargeUtf8)?;
    let extra = extra.as_string::<i64>();
    let mut merged = Vec::with_capacity(lines.len() + extra.values().len());
    let mut more = String::new();
    for (row, line) in lines.split(|&byte| byte == b'\n').take(batch.num_rows()).enumerate() {
        more.clear();
        if extra.is_valid(row) {
            match serde_json::from_str::<Fields<'_>>(extra.value(row)) {
                Ok(fields) => {
                    // What a stage has added, or made of a field, stands.
                    let taken = |name: &str| plain.column_by_name(name).is_some_and(|column| column.is_valid(row));
                    let fields = fields.0.iter().filter(|(name, _)| !taken(name));
                    fields.for_each(|(name, value)| add_field(&mut more, name, value.get()));
                }
                // A column of the input's own, which only has the name.
                Err(_) => {
                    let text = serde_json::to_string(extra.value(row)).expect("a string is valid JSON");
                    add_field(&mut more, EXTRA, &text);
                }
            }
        }
        let open = line.strip_suffix(b"}").unwrap_or(line);
        merged.extend_from_slice(open);
        if let Some(fields) = more.strip_prefix('{') {
            merged.extend_from_slice(if open.len() > 1 { b"," } else { b"" });
            merged.extend_from_slice(fields.as_bytes());
        }
        merged.extend_from_slice(b"}\n");
    }
    Ok(merged)
}

/// The settings of files for this program's own use between passes: fast to write.
pub fn between_passes(settings: &OutputSettings) -> OutputSettings {
    OutputSettings { format: OutputFormat::Parquet, compression_level: 1, ..settings.clone() }
}

/// The settings of rejects: always Parquet, so that every column keeps its type.
pub fn rejects(settings: &OutputSettings) -> OutputSettings {
    OutputSettings { format: OutputFormat::Parquet, ..settings.clone() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use proptest::prelude::*;

    use super::*;

    fn documents(n: usize) -> RecordBatch {
        let text = |i: usize| format!("text {i} {}", "lorem ipsum ".repeat(i * 7919 % 41));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(text)));
        let sources: ArrayRef =
            Arc::new(StringArray::from_iter((0..n).map(|i| (i % 5 > 0).then(|| format!("s{}", i % 7)))));
        let sources = cast(&sources, &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n as i64).map(|i| i * i)));
        let extra: ArrayRef =
            Arc::new(StringArray::from_iter((0..n).map(|i| (i % 3 > 0).then(|| format!("{{\"e\":{i}}}")))));
        let columns = [("text", texts), ("source", sources.expect("a dictionary")), ("n", numbers), (EXTRA, extra)];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).expect("columns")
    }

    /// The file that these documents make when they come in batches that end at `cuts`.
    fn written(batch: &RecordBatch, cuts: &[usize], settings: &OutputSettings) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        let mut writer = ShardWriter::create(&folder, "a", &batch.schema(), "text", settings).expect("begun");
        let ends = cuts.iter().copied().chain([batch.num_rows()]);
        let mut start = 0;
        for end in ends {
            writer.write(&batch.slice(start, end - start)).expect("written");
            start = end;
        }
        let done = writer.finish().expect("finished");
        assert_eq!(done.rows, batch.num_rows() as u64);
        let bytes = std::fs::read(dir.path().join(&done.path)).expect("a file");
        assert_eq!(done.bytes, bytes.len() as u64);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn batches_do_not_show(cuts in prop::collection::vec(0usize..5000, 0..12), group in prop::sample::select(vec![700, 1500, 100_000])) {
            let batch = documents(5000);
            let mut cuts = cuts;
            cuts.sort_unstable();
            for format in [OutputFormat::Parquet, OutputFormat::Jsonl, OutputFormat::JsonlZst] {
                let settings = OutputSettings { format, row_group_rows: group, row_group_bytes: 600_000, ..OutputSettings::default() };
                prop_assert!(written(&batch, &cuts, &settings) == written(&batch, &[], &settings), "{format:?}");
            }
        }
    }

    #[test]
    fn row_groups_are_cut_by_rows_and_by_bytes() {
        let batch = documents(1000);
        let groups = |settings: OutputSettings| {
            let file =
                SerializedFileReader::new(bytes::Bytes::from(written(&batch, &[300], &settings))).expect("Parquet");
            file.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect::<Vec<_>>()
        };
        assert_eq!(groups(OutputSettings { row_group_rows: 400, ..OutputSettings::default() }), [400, 400, 200]);
        let by_bytes = groups(OutputSettings { row_group_bytes: 50_000, ..OutputSettings::default() });
        assert!(by_bytes.len() > 3, "{by_bytes:?}");
        assert_eq!(groups(OutputSettings::default()), [1000]);
    }

    #[test]
    fn extra_fields_are_fields_again() {
        let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, None, Some("d")]));
        let extra: ArrayRef = Arc::new(StringArray::from(vec![
            Some("{\"id\":1,\"x\":[2]}"),
            Some("{\"id\":{}}"),
            None,
            Some("no object"),
        ]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("id", ids, true), (EXTRA, extra, true)]).expect("columns");
        let lines = String::from_utf8(json_lines(&batch).expect("lines")).expect("text");
        assert_eq!(lines, "{\"id\":\"a\",\"x\":[2]}\n{\"id\":{}}\n{}\n{\"id\":\"d\",\"extra\":\"no object\"}\n");
    }
}
