//! Writes what was drawn: every task spreads its documents over the output files, every file gathers its own.
//!
//! A task leaves *segments*: files in which its documents lie by output file, each of these stretches a small Parquet
//! file. So an output file reads one stretch of each segment, and nothing holds more than one output file.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{cast, interleave, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};

use super::record::Place;
use super::{Draw, draw};
use crate::error::{Error, Result};
use crate::exchange::sort::RunReader;
use crate::format::Columns;
use crate::format::write::{ShardWriter, Written};
use crate::run_dir::RunDir;
use crate::schema;
use crate::task::{self, Reading, Resources, Source, Work};

/// The column that says for which time a document was drawn, from 1.
pub const EPOCH: &str = "draw_epoch";

/// The rows that go to a writer at once.
const SLICE_ROWS: usize = 512;

/// The pass that segments are filed under, and that of output files.
pub(super) const SPREAD: usize = 2;
pub(super) const GATHER: usize = 3;

/// What a task has left of its documents. Its file is written last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    rows: u64,
    segments: Vec<Segment>,
}

impl Spread {
    /// The documents that were drawn of the task, each as often as it was.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// A file with the documents of a part of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Segment {
    path: String,
    /// In the order of output files.
    stretches: Vec<Stretch>,
}

/// The documents for an output file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Stretch {
    shard: u32,
    offset: u64,
    length: u64,
    rows: u64,
}

/// The schema of the output: that of the input, and which time it is that a document was drawn.
pub fn output_schema(input: &Schema) -> Schema {
    let mut fields: Vec<_> = input.fields().iter().filter(|field| field.name() != EPOCH).cloned().collect();
    fields.push(Arc::new(Field::new(EPOCH, DataType::UInt32, false)));
    Schema::new_with_metadata(fields, input.metadata().clone())
}

/// That of segments: beside the output's columns, the place in the order.
fn segment_schema(output: &Schema) -> SchemaRef {
    let mut fields = output.fields().to_vec();
    fields.push(Arc::new(Field::new("_trommel_position", DataType::UInt64, false)));
    Arc::new(Schema::new_with_metadata(fields, output.metadata().clone()))
}

/// The bytes of documents that a task holds which may take `memory` of them.
pub fn held(memory: u64) -> usize {
    (memory as usize / 4).clamp(1 << 20, 256 << 20)
}

/// Spreads the documents of a task, unless that was done before. About `memory` bytes of them are held.
pub fn spread(draw: &Draw<'_>, task: u32, source: &Source, memory: usize, resources: &Resources<'_>) -> Result<Spread> {
    let done = RunDir::report(SPREAD, task);
    if let Some(done) = draw.run_dir.read_json::<Spread>(&done)? {
        return Ok(done);
    }
    let mut spreading = Spreading {
        draw,
        task,
        places: draw::places(draw.run_dir, task)?.peekable(),
        schema: segment_schema(&draw.output_schema),
        held: Held::default(),
        memory,
        spread: Spread::default(),
    };
    if spreading.places.peek().is_some() {
        let columns = Columns { text: draw.text_column.clone(), others: None };
        let reading = Reading { source, schema: &draw.schema, columns: &columns, text_column: &draw.text_column };
        let work = |work: Work| Ok((work.decoded.batch, work.first_row));
        let mut add = |(batch, first_row): (RecordBatch, u64), bytes: u64| {
            resources.progress.done.fetch_add(bytes, Ordering::Relaxed);
            resources.progress.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            resources.pool.install(|| spreading.add(&batch, first_row))
        };
        task::stream(&reading, None, resources, &work, &mut add)?;
    }
    resources.pool.install(|| spreading.close())?;
    if let Some(place) = spreading.places.next() {
        let message = format!("row {} was drawn, and was not there when it was read again", place?.doc.row());
        return Err(Error::io(format!("task {task}"), message));
    }
    let spread = spreading.spread;
    draw.run_dir.write_json(&done, &spread)?;
    Ok(spread)
}

struct Spreading<'d> {
    draw: &'d Draw<'d>,
    task: u32,
    places: std::iter::Peekable<RunReader<Place>>,
    schema: SchemaRef,
    held: Held,
    memory: usize,
    spread: Spread,
}

/// Documents that are not yet written.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    /// Where each goes, and where it is: the batch and the row.
    places: Vec<(Place, usize, usize)>,
    bytes: usize,
}

impl Spreading<'_> {
    /// Takes what was drawn out of a batch.
    fn add(&mut self, batch: &RecordBatch, first_row: u64) -> Result<()> {
        let end = first_row + batch.num_rows() as u64;
        let mut rows: Vec<u32> = Vec::new();
        let held = self.held.batches.len();
        while let Some(place) = self.places.next_if(|place| place.as_ref().map_or(true, |place| place.doc.row() < end))
        {
            let place = place?;
            let row = (place.doc.row() - first_row) as u32;
            if rows.last() != Some(&row) {
                rows.push(row);
            }
            self.held.places.push((place, held, rows.len() - 1));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let rows = UInt32Array::from(rows);
        let columns = batch.columns().iter().map(|column| Ok(compact(&take(column, &rows, None)?)));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, arrow::error::ArrowError>>().map_err(failed)?;
        let taken = RecordBatch::try_new(batch.schema(), columns).map_err(failed)?;
        let taken = schema::fit(&taken, &self.draw.schema).map_err(failed)?;
        self.held.bytes += taken.get_array_memory_size();
        self.held.batches.push(taken);
        if self.held.bytes >= self.memory { self.close() } else { Ok(()) }
    }

    /// Writes what is held as a segment.
    fn close(&mut self) -> Result<()> {
        let Held { batches, mut places, .. } = std::mem::take(&mut self.held);
        if places.is_empty() {
            return Ok(());
        }
        places.sort_unstable_by_key(|(place, ..)| (place.shard, place.position, place.epoch, place.doc));
        let folder = self.draw.run_dir.folder();
        // Named for what is in it. Where it ends depends on memory, so the same task done twice may leave other segments.
        let (first, n) = (self.spread.rows, places.len());
        let path = format!("{}-{first}-{n}", RunDir::part(SPREAD, "segments", self.task));
        let mut file = folder.create(&path)?;
        let (mut stretches, mut offset) = (Vec::new(), 0);
        for places in places.chunk_by(|(a, ..), (b, ..)| a.shard == b.shard) {
            let mut writer =
                ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties())).map_err(failed)?;
            for places in places.chunks(SLICE_ROWS) {
                writer.write(&self.slice(&batches, places)?).map_err(failed)?;
            }
            let bytes = writer.into_inner().map_err(failed)?;
            file.write_all(&bytes).map_err(|error| Error::io(folder.name_of(&path), error))?;
            let (length, rows) = (bytes.len() as u64, places.len() as u64);
            stretches.push(Stretch { shard: places[0].0.shard, offset, length, rows });
            offset += length;
            self.spread.rows += rows;
        }
        file.finish()?;
        self.spread.segments.push(Segment { path, stretches });
        Ok(())
    }

    fn slice(&self, batches: &[RecordBatch], places: &[(Place, usize, usize)]) -> Result<RecordBatch> {
        let rows: Vec<(usize, usize)> = places.iter().map(|(_, batch, row)| (*batch, *row)).collect();
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (index, field) in self.draw.schema.fields().iter().enumerate() {
            if field.name() != EPOCH {
                columns.push(interleaved(batches, index, &rows)?);
            }
        }
        columns.push(Arc::new(UInt32Array::from_iter_values(places.iter().map(|(place, ..)| place.epoch))));
        columns.push(Arc::new(UInt64Array::from_iter_values(places.iter().map(|(place, ..)| place.position))));
        RecordBatch::try_new(self.schema.clone(), columns).map_err(failed)
    }
}

/// Gathers the documents of an output file and writes it, unless that was done before.
pub fn gather(draw: &Draw<'_>, shard: u32, spreads: &[Spread]) -> Result<Written> {
    let done = RunDir::report(GATHER, shard);
    if let Some(done) = draw.run_dir.read_json::<Written>(&done)? {
        return Ok(done);
    }
    let folder = draw.run_dir.folder();
    let mut batches = Vec::new();
    for segment in spreads.iter().flat_map(|spread| &spread.segments) {
        let Ok(at) = segment.stretches.binary_search_by_key(&shard, |stretch| stretch.shard) else { continue };
        let Stretch { offset, length, rows, .. } = segment.stretches[at];
        let name = folder.name_of(&segment.path);
        let broken = |error: &dyn std::fmt::Display| Error::io(&name, error);
        let mut bytes = vec![0; length as usize];
        folder.open(&segment.path)?.read_at(offset, &mut bytes)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|error| broken(&error))?;
        let reader = reader.with_batch_size(rows.max(1) as usize).build().map_err(|error| broken(&error))?;
        let mut n_rows = 0;
        for batch in reader {
            let batch = batch.map_err(|error| broken(&error))?;
            n_rows += batch.num_rows() as u64;
            batches.push(batch);
        }
        if n_rows != rows {
            return Err(broken(&format!("{n_rows} documents for output file {shard}, and not {rows}")));
        }
    }
    // (position, epoch, batch, row): segments come in the order of documents, and so do their batches.
    let n_columns = draw.output_schema.fields().len();
    let mut order = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let epochs = batch.column(n_columns - 1).as_primitive::<UInt32Type>();
        let positions = batch.column(n_columns).as_primitive::<UInt64Type>();
        order.extend((0..batch.num_rows()).map(|row| (positions.value(row), epochs.value(row), index, row)));
    }
    order.sort_unstable();
    let mut writer =
        ShardWriter::create(folder, &format!("kept/{shard:05}"), &draw.output_schema, &draw.text_column, &draw.output)?;
    let mut any = false;
    for rows in order.chunks(SLICE_ROWS) {
        let rows: Vec<(usize, usize)> = rows.iter().map(|(.., batch, row)| (*batch, *row)).collect();
        let columns = (0..n_columns).map(|column| interleaved(&batches, column, &rows)).collect::<Result<Vec<_>>>()?;
        writer.write(&RecordBatch::try_new(draw.output_schema.clone(), columns).map_err(failed)?)?;
        any = true;
    }
    if !any {
        writer.write(&RecordBatch::new_empty(draw.output_schema.clone()))?;
    }
    let written = writer.finish()?;
    draw.run_dir.write_json(&done, &written)?;
    Ok(written)
}

/// The rows of a column that is in many batches.
fn interleaved(batches: &[RecordBatch], column: usize, rows: &[(usize, usize)]) -> Result<ArrayRef> {
    // Only those that are met: a batch may be one of thousands.
    let mut used: Vec<usize> = rows.iter().map(|(batch, _)| *batch).collect();
    used.sort_unstable();
    used.dedup();
    let arrays: Vec<&dyn Array> = used.iter().map(|batch| batches[*batch].column(column).as_ref()).collect();
    let place = |(batch, row): &(usize, usize)| (used.partition_point(|known| known < batch), *row);
    let rows: Vec<_> = rows.iter().map(place).collect();
    let joined = interleave(&arrays, &rows).or_else(|error| {
        // More distinct values than the keys of a dictionary can tell apart.
        let DataType::Dictionary(_, value) = arrays[0].data_type() else { return Err(error) };
        let plain = arrays.iter().map(|array| cast(*array, value)).collect::<Result<Vec<_>, _>>()?;
        let plain: Vec<&dyn Array> = plain.iter().map(AsRef::as_ref).collect();
        cast(&interleave(&plain, &rows)?, arrays[0].data_type())
    });
    joined.map_err(failed)
}

/// An array that does not hold on to the pages that it was read from.
fn compact(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array.clone(),
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_max_row_group_row_count(None)
        .set_write_batch_size(64)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build()
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::io("documents on their way to the output", error)
}
