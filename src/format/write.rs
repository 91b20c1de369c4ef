//! Writing shards: Parquet or JSON Lines, whole or not at all.
//!
//! Row groups are cut by rows and bytes of text alone, so the same documents make the same bytes.

use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::LineDelimitedWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::jsonl::EXTRA;
use super::string_bytes;
use crate::error::{Error, Result};
use crate::pipeline::{OutputFormat, OutputSettings};
use crate::store::{Folder, Upload};

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
        let Sink::Parquet(writer) = &mut self.sink else { unreachable!("called for Parquet only") };
        let failed = |error| Error::io(&self.name, error);
        let text = batch.column_by_name(&self.text_column);
        let mut start = 0;
        while start < batch.num_rows() {
            let mut end = start;
            while end < batch.num_rows()
                && self.rows_in_group < self.settings.row_group_rows
                && self.bytes_in_group < self.settings.row_group_bytes
            {
                self.rows_in_group += 1;
                self.bytes_in_group += text.map_or(0, |text| value_bytes(text, end));
                end += 1;
            }
            writer.write(&batch.slice(start, end - start)).map_err(failed)?;
            start = end;
            if self.rows_in_group >= self.settings.row_group_rows
                || self.bytes_in_group >= self.settings.row_group_bytes
            {
                writer.flush().map_err(failed)?;
                (self.rows_in_group, self.bytes_in_group) = (0, 0);
            }
        }
        Ok(())
    }

    /// Makes the shard visible.
    pub fn finish(self) -> Result<Written> {
        let failed = |error: &dyn std::fmt::Display| Error::io(&self.name, error);
        let upload = match self.sink {
            Sink::Parquet(writer) => writer.into_inner().map_err(|error| failed(&error))?,
            Sink::Jsonl(upload) => upload,
            Sink::JsonlZst(encoder) => encoder.finish().map_err(|error| failed(&error))?,
        };
        Ok(Written { path: self.path, rows: self.rows, bytes: upload.finish()? })
    }
}

/// The bytes of one string.
fn value_bytes(column: &dyn Array, row: usize) -> usize {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value_length(row) as usize,
        DataType::LargeUtf8 => column.as_string::<i64>().value_length(row) as usize,
        DataType::Utf8View => column.as_string_view().value(row).len(),
        _ => string_bytes(column) / column.len().max(1),
    }
}

/// One JSON object a line; the fields of the `extra` column are fields again.
fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let extra = batch.schema_ref().index_of(EXTRA).ok();
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
    let extra = arrow::compute::cast(batch.column(extra), &DataType::LargeUtf8)?;
    let extra = extra.as_string::<i64>();
    let mut merged = Vec::with_capacity(lines.len() + extra.values().len());
    for (row, line) in lines.split(|&byte| byte == b'\n').take(batch.num_rows()).enumerate() {
        let object = if extra.is_valid(row) { extra.value(row) } else { "{}" };
        let fields = object.trim_start_matches('{');
        let open = line.strip_suffix(b"}").unwrap_or(line);
        merged.extend_from_slice(open);
        if open.len() > 1 && fields.len() > 1 {
            merged.push(b',');
        }
        merged.extend_from_slice(fields.as_bytes());
        merged.push(b'\n');
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
