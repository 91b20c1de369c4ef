//! One task through one pass: read ahead, stages in parallel, written in order.
//!
//! A reader thread cuts chunks off the task's files, the pool takes them through the stages, and the thread
//! that called writes what comes out, in the order it was read. What is on its way is bounded by the budget.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Instant;

use arrow::array::{FixedSizeBinaryArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Lease, Progress};
use crate::chain::{Chain, Output};
use crate::doc::{ContentKey, DocId};
use crate::error::{Error, Result};
use crate::exchange::keys::KeyWriter;
use crate::exchange::names::{NAMES_BLOCK, NameRow};
use crate::exchange::record::{KeyRow, Ruling};
use crate::exchange::sort::{RunReader, RunWriter, SpillDir};
use crate::format::input::InputFile;
use crate::format::write::{ShardWriter, Written};
use crate::format::{self, Chunk, Columns, Decoded};
use crate::pipeline::OutputSettings;
use crate::plan::Piece;
use crate::run_dir::RunDir;
use crate::stage::key_type;
use crate::store::Upload;
use crate::tally::{Tally, thread_nanos};

/// What a task did in a pass. Its file is written last: a task with a report is done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task.
    pub task: u32,
    /// The sums.
    pub tally: Tally,
    /// The rows that keys can refer to.
    pub key_rows: u64,
    /// The rows read from each part of the source.
    pub piece_rows: Vec<u64>,
    /// Whether the user set a limit on the rows read.
    #[serde(default)]
    pub limited: bool,
    /// Files that could not be read to the end.
    pub failed: Vec<Failure>,
    /// The documents that stay.
    pub kept: Option<Written>,
    /// The documents that go.
    pub rejected: Option<Written>,
    /// Seconds from begin to end.
    pub seconds: f64,
}

/// A file that could not be read to the end. What was read before stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// What is wrong, and where.
    pub message: String,
    /// The rows that were not read, if the file tells.
    pub rows: Option<u64>,
}

/// What every task of a run has at hand.
pub struct Resources<'r> {
    /// The threads that stages run on.
    pub pool: &'r ThreadPool,
    /// The bytes that may be on their way.
    pub budget: &'r Budget,
    /// How far the run is, and whether to stop.
    pub progress: &'r Progress,
    /// The chunks that a task may have on their way.
    pub in_flight: usize,
    /// The bytes a reader may hold.
    pub window: u64,
    /// The bytes of keys a task may hold before it spills them.
    pub key_memory: usize,
    /// Where it spills.
    pub spill: &'r SpillDir,
}

/// What a task reads.
#[derive(Clone)]
pub struct Source {
    /// The files and their parts, in order.
    pub pieces: Vec<(InputFile, Piece)>,
    /// The most rows.
    pub limit: Option<u64>,
    /// The rows each part has, where that is known because they were read before. Then the same rows must
    /// come again, since rulings refer to them by number. Where it is not known, a file that breaks is only a
    /// failure of that file.
    pub piece_rows: Option<Vec<u64>>,
}

/// A pass over tasks.
pub struct PassJob<'r> {
    /// The pass's number.
    pub pass: usize,
    /// Whether its documents are the final ones.
    pub last: bool,
    /// Whether it leaves documents at all.
    pub writes: bool,
    /// The stages.
    pub chain: &'r Chain,
    /// The schema that batches are fitted to.
    pub schema: SchemaRef,
    /// The columns to read.
    pub columns: Columns,
    /// The text column.
    pub text_column: &'r str,
    /// How documents are written.
    pub output: OutputSettings,
    /// Where everything is.
    pub run_dir: &'r RunDir,
    /// The pass whose rulings are met.
    pub rulings_of: Option<usize>,
}

/// Takes one task through a pass and leaves kept rows, rejected rows, keys for the exchange, and a report.
pub fn run(job: &PassJob<'_>, task: u32, source: &Source, resources: &Resources<'_>) -> Result<TaskReport> {
    let start = Instant::now();
    let rulings = job.rulings_of.map(|pass| Rulings::open(job.run_dir, pass, task)).transpose()?;
    let mut leaves = Leaves::new(job, task, resources);
    let work = |work: Work| -> Result<Output> {
        let Decoded { batch, bad, guesses } = work.decoded;
        let start = thread_nanos();
        let mut output = job.chain.run(&batch, &bad, &work.rulings)?;
        // Where nothing is written, the next pass reads and guesses the same again.
        if job.chain.writes() {
            output.tally.guessed = guesses.into_iter().map(|(name, n)| (name.to_ascii_lowercase(), n)).collect();
        }
        output.tally.stage_nanos = thread_nanos() - start;
        Ok(output)
    };
    let reading = Reading { source, schema: &job.schema, columns: &job.columns, text_column: job.text_column };
    let outcome = stream(&reading, rulings, resources, &work, &mut |output, bytes| leaves.add(&output, bytes))?;
    let mut report = leaves.finish()?;
    report.failed = outcome.failed;
    report.piece_rows = outcome.piece_rows;
    report.limited = source.limit.is_some();
    report.tally.read_nanos += outcome.read_nanos;
    report.seconds = start.elapsed().as_secs_f64();
    job.run_dir.write_json(&RunDir::report(job.pass, task), &report)?;
    Ok(report)
}

/// The keys that a task's documents send, and what these are called.
type Keys = (KeyWriter<Upload>, RunWriter<NameRow, Upload>);

/// What a task leaves, being written.
struct Leaves<'r> {
    job: &'r PassJob<'r>,
    resources: &'r Resources<'r>,
    task: u32,
    kept: Option<ShardWriter>,
    rejected: Option<ShardWriter>,
    links: Option<ShardWriter>,
    keys: Option<Keys>,
    key_rows: u64,
    tally: Tally,
}

impl<'r> Leaves<'r> {
    fn new(job: &'r PassJob<'r>, task: u32, resources: &'r Resources<'r>) -> Self {
        let tally = Tally::default();
        Self { job, resources, task, kept: None, rejected: None, links: None, keys: None, key_rows: 0, tally }
    }

    fn add(&mut self, output: &Output, source_bytes: u64) -> Result<()> {
        let progress = self.resources.progress;
        progress.done.fetch_add(source_bytes, Ordering::Relaxed);
        progress.rows.fetch_add(output.tally.rows_in, Ordering::Relaxed);
        progress.kept.fetch_add(output.tally.rows_kept, Ordering::Relaxed);
        progress.bytes.fetch_add(output.tally.bytes_in, Ordering::Relaxed);
        self.tally += &output.tally;
        // On the pool, so that encoding and sorting count among the threads the user gave.
        self.resources.pool.install(|| {
            let start = thread_nanos();
            let written = self.write(output);
            self.tally.write_nanos += thread_nanos() - start;
            written
        })
    }

    fn write(&mut self, output: &Output) -> Result<()> {
        let (job, task) = (self.job, self.task);
        if job.writes {
            self.kept()?.write(&output.kept)?;
        }
        if output.rejected.num_rows() > 0 {
            let schema = job.chain.rejected_schema();
            let settings = format::write::rejects(&job.output);
            let stem = RunDir::rejected_stem(job.pass, task);
            writer(&mut self.rejected, job, &stem, schema, &settings)?.write(&output.rejected)?;
        }
        if !output.links.is_empty() {
            let (schema, batch) = links_batch(&output.links)?;
            let settings = format::write::rejects(&job.output);
            let stem = RunDir::links_stem(job.pass, task);
            writer(&mut self.links, job, &stem, &schema, &settings)?.write(&batch)?;
        }
        if job.chain.n_sections() > 0 {
            self.write_keys(output)?;
        }
        Ok(())
    }

    fn write_keys(&mut self, output: &Output) -> Result<()> {
        let (task, base) = (self.task, self.key_rows);
        let (keys, names) = self.keys()?;
        for (section, sent) in output.keys.iter().enumerate() {
            for key in sent {
                let doc = DocId::new(task, base + u64::from(key.row)).to_u64();
                keys.push(section, KeyRow { key: key.key, rank: key.rank, doc })?;
            }
        }
        let rows = output.content_keys.iter().zip(&output.ids).zip(&output.sizes);
        for (row, ((key, id), size)) in rows.enumerate() {
            let doc = DocId::new(task, base + row as u64);
            names.push(&NameRow { doc, key: *key, id: id.clone(), size: *size })?;
        }
        self.key_rows += output.content_keys.len() as u64;
        Ok(())
    }

    fn kept(&mut self) -> Result<&mut ShardWriter> {
        let job = self.job;
        let stem = RunDir::kept_stem(job.pass, job.last, self.task);
        let settings = if job.last { job.output.clone() } else { format::write::between_passes(&job.output) };
        writer(&mut self.kept, job, &stem, job.chain.kept_schema(), &settings)
    }

    fn keys(&mut self) -> Result<&mut Keys> {
        if self.keys.is_none() {
            let path = RunDir::part(self.job.pass, "names", self.task);
            let folder = self.job.run_dir.folder();
            let names = RunWriter::new(folder.create(&path)?, &folder.name_of(&path), NAMES_BLOCK)?;
            let path = RunDir::part(self.job.pass, "keys", self.task);
            let (out, name) = (folder.create(&path)?, folder.name_of(&path));
            let (n_sections, Resources { spill, key_memory, .. }) = (self.job.chain.n_sections(), self.resources);
            let keys = KeyWriter::new(n_sections, spill, *key_memory, out, &name)?;
            self.keys = Some((keys, names));
        }
        Ok(self.keys.as_mut().expect("it was just made"))
    }

    /// Makes everything visible.
    fn finish(mut self) -> Result<TaskReport> {
        if self.job.writes {
            // Also for a task without documents: its shard says so.
            self.kept()?;
        }
        if self.job.chain.n_sections() > 0 {
            self.keys()?;
        }
        let resources = self.resources;
        resources.pool.install(|| {
            let start = thread_nanos();
            if let Some((keys, names)) = self.keys.take() {
                names.finish()?.finish()?;
                keys.finish()?.0.finish()?;
            }
            if let Some(links) = self.links.take() {
                links.finish()?;
            }
            let rejected = self.rejected.take().map(ShardWriter::finish).transpose()?;
            let kept = self.kept.take().map(ShardWriter::finish).transpose()?;
            self.tally.write_nanos += thread_nanos() - start;
            Ok(TaskReport {
                task: self.task,
                tally: self.tally,
                key_rows: self.key_rows,
                kept,
                rejected,
                ..TaskReport::default()
            })
        })
    }
}

/// The writer in `slot`, begun on first use.
fn writer<'w>(
    slot: &'w mut Option<ShardWriter>,
    job: &PassJob<'_>,
    stem: &str,
    schema: &SchemaRef,
    settings: &OutputSettings,
) -> Result<&'w mut ShardWriter> {
    if slot.is_none() {
        *slot = Some(ShardWriter::create(job.run_dir.folder(), stem, schema, job.text_column, settings)?);
    }
    Ok(slot.as_mut().expect("it was just made"))
}

fn links_batch(links: &[(ContentKey, ContentKey, f64)]) -> Result<(SchemaRef, RecordBatch)> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("dropped_key", key_type(), false),
        Field::new("kept_key", key_type(), false),
        Field::new("similarity", DataType::Float64, false),
    ]));
    let failed = |error| Error::io("links", error);
    let keys = |pick: fn(&(ContentKey, ContentKey, f64)) -> ContentKey| {
        FixedSizeBinaryArray::try_from_iter(links.iter().map(pick)).map(Arc::new).map_err(failed)
    };
    let similarity = Float64Array::from_iter_values(links.iter().map(|link| link.2));
    let columns: Vec<arrow::array::ArrayRef> = vec![keys(|link| link.0)?, keys(|link| link.1)?, Arc::new(similarity)];
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(failed)?;
    Ok((schema, batch))
}

/// A chunk of documents for the stages.
pub struct Work {
    /// The documents.
    pub decoded: Decoded,
    /// The row of the first of them in its task.
    pub first_row: u64,
    /// The rulings for them, with rows counted from the first.
    pub rulings: Vec<(usize, Ruling)>,
}

/// What is read, and as what.
pub struct Reading<'r> {
    /// The files.
    pub source: &'r Source,
    /// The schema that batches are fitted to.
    pub schema: &'r SchemaRef,
    /// The columns to read.
    pub columns: &'r Columns,
    /// The text column.
    pub text_column: &'r str,
}

/// How reading ended.
pub struct Outcome {
    /// The rows read from each part of the source.
    pub piece_rows: Vec<u64>,
    /// Files that could not be read to the end.
    pub failed: Vec<Failure>,
    /// Nanoseconds of CPU spent reading and decoding.
    pub read_nanos: u64,
}

type Done<T> = Receiver<(Result<T>, u64, Lease)>;

/// Reads a source chunk by chunk, does `work` on the pool, and hands the results over in order.
pub fn stream<T: Send>(
    reading: &Reading<'_>,
    rulings: Option<Rulings>,
    resources: &Resources<'_>,
    work: &(dyn Fn(Work) -> Result<T> + Sync),
    consume: &mut dyn FnMut(T, u64) -> Result<()>,
) -> Result<Outcome> {
    let (sender, receiver) = sync_channel::<Done<T>>(resources.in_flight);
    let read_nanos = AtomicU64::new(0);
    let (piece_rows, failed) = std::thread::scope(|threads| {
        let reader = Reader {
            reading,
            rulings,
            resources,
            next_row: 0,
            read_nanos: &read_nanos,
            piece_rows: Vec::new(),
            failed: Vec::new(),
        };
        let reader = std::thread::Builder::new()
            .name("trommel-reader".into())
            .spawn_scoped(threads, move || reader.run(&sender, work))
            .map_err(|error| Error::io("a reader thread", error))?;
        let mut consumed = Ok(());
        for done in receiver {
            // A sender that is gone without a word stopped for an error of its own, which `join` tells.
            let Ok((result, bytes, _lease)) = done.recv() else { break };
            consumed = result.and_then(|result| consume(result, bytes));
            if consumed.is_err() {
                break;
            }
        }
        let outcome = reader.join().unwrap_or_else(|_| Err(Error::io("a reader thread", "it panicked")));
        consumed.and(outcome)
    })?;
    Ok(Outcome { piece_rows, failed, read_nanos: read_nanos.into_inner() })
}

struct Reader<'r> {
    reading: &'r Reading<'r>,
    rulings: Option<Rulings>,
    resources: &'r Resources<'r>,
    next_row: u64,
    read_nanos: &'r AtomicU64,
    piece_rows: Vec<u64>,
    failed: Vec<Failure>,
}

impl<'r> Reader<'r> {
    /// Reads it all; returns the rows of each piece and what could not be read.
    fn run<T: Send>(
        mut self,
        sender: &SyncSender<Done<T>>,
        work: &(dyn Fn(Work) -> Result<T> + Sync),
    ) -> Result<(Vec<u64>, Vec<Failure>)> {
        self.resources.pool.in_place_scope_fifo(|jobs| {
            let (schema, text_column) = (self.reading.schema, self.reading.text_column);
            let read_nanos = self.read_nanos;
            let mut send = |chunk: Chunk, first_row, rulings, lease| {
                let (done, ticket) = channel();
                if sender.send(ticket).is_err() {
                    // The writer stopped for an error of its own: nobody waits for more.
                    return false;
                }
                let bytes = chunk.source_bytes();
                jobs.spawn_fifo(move |_| {
                    let result = catch_unwind(AssertUnwindSafe(|| {
                        let start = thread_nanos();
                        let decoded = chunk.decode(schema, text_column).map_err(|error| Error::io("a batch", error))?;
                        read_nanos.fetch_add(thread_nanos() - start, Ordering::Relaxed);
                        work(Work { decoded, first_row, rulings })
                    }));
                    let result = result.unwrap_or_else(|panic| Err(Error::io("a stage", message_of(&*panic))));
                    // As above: a writer that has stopped is no error here.
                    drop(done.send((result, bytes, lease)));
                });
                true
            };
            for (index, (file, piece)) in self.reading.source.pieces.iter().enumerate() {
                let begin = self.next_row;
                let known = self.reading.source.piece_rows.as_ref().map(|rows| rows[index]);
                let end = [known.map(|rows| begin + rows), self.reading.source.limit];
                let end = end.into_iter().flatten().min();
                if end.is_none_or(|end| end > begin) && !self.read_piece(file, piece, end, &mut send)? {
                    break;
                }
                let n_rows = self.next_row - begin;
                if known.is_some_and(|known| known != n_rows) {
                    let message =
                        format!("{} rows were read before, {n_rows} now; the file has changed", known.unwrap_or(0));
                    return Err(Error::shard(&file.name, message));
                }
                self.piece_rows.push(n_rows);
            }
            let Self { piece_rows, failed, .. } = self;
            Ok((piece_rows, failed))
        })
    }

    /// Reads one piece, up to row `end`, and sends its chunks; says whether anybody wants more.
    fn read_piece(
        &mut self,
        file: &InputFile,
        piece: &Piece,
        end: Option<u64>,
        send: &mut dyn FnMut(Chunk, u64, Vec<(usize, Ruling)>, Lease) -> bool,
    ) -> Result<bool> {
        let resources = self.resources;
        let begin = self.next_row;
        let columns = self.reading.columns;
        let opened = calmly(&file.name, || format::open(file, piece, columns, resources.window));
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(error) => return self.fail(file, error, None).map(|()| true),
        };
        loop {
            resources.progress.check()?;
            let next_chunk = || {
                let start = thread_nanos();
                let chunk = reader.next_chunk();
                self.read_nanos.fetch_add(thread_nanos() - start, Ordering::Relaxed);
                chunk
            };
            let chunk = calmly(&file.name, || resources.pool.install(next_chunk));
            let mut chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(true),
                Err(error) => {
                    let left = reader.n_rows().map(|rows| rows.saturating_sub(self.next_row - begin));
                    return self.fail(file, error, left).map(|()| true);
                }
            };
            if let Some(end) = end {
                chunk.truncate(end - self.next_row);
            }
            let first_row = self.next_row;
            self.next_row += chunk.n_rows();
            let rulings = match &mut self.rulings {
                Some(rulings) => rulings.take(first_row..self.next_row)?,
                None => Vec::new(),
            };
            // The batch, the text the stages make of it, and what is written of it.
            let lease = resources.budget.take(chunk.n_bytes() as u64 * 3);
            if !send(chunk, first_row, rulings, lease) {
                return Ok(false);
            }
            if end.is_some_and(|end| end <= self.next_row) {
                return Ok(true);
            }
        }
    }

    /// Notes that a file broke. One that was read before and breaks now stops the run.
    fn fail(&mut self, file: &InputFile, error: Error, rows: Option<u64>) -> Result<()> {
        if self.reading.source.piece_rows.is_some() {
            return Err(error);
        }
        let message = match error {
            Error::Shard { message, .. } | Error::Io { message, .. } => message,
            other => other.to_string(),
        };
        tracing::warn!("{}: {message}; what was read before stays, the rest is reported as failed", file.name);
        self.failed.push(Failure { file: file.name.clone(), message, rows });
        Ok(())
    }
}

/// Does what reads the bytes of a file. A library that panics on them does not take the run with it.
fn calmly<T>(file: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(Error::shard(file, message_of(&*panic))))
}

/// What a panic said.
fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a bug: {}", message.unwrap_or_else(|| "a panic without a message".into()))
}

/// The rulings for a task, in the order of its rows.
pub struct Rulings {
    rows: std::iter::Peekable<RunReader<Ruling>>,
}

impl Rulings {
    /// Opens the rulings that the exchange after `pass` left for a task.
    pub fn open(run_dir: &RunDir, pass: usize, task: u32) -> Result<Self> {
        let path = RunDir::part(pass, "rulings", task);
        let file = run_dir.folder().open(&path)?;
        let rows = RunReader::open(file, &run_dir.folder().name_of(&path), 256 << 10)?;
        Ok(Self { rows: rows.peekable() })
    }

    /// Those for a range of rows, with rows counted from its begin.
    fn take(&mut self, range: Range<u64>) -> Result<Vec<(usize, Ruling)>> {
        let mut taken = Vec::new();
        while let Some(next) =
            self.rows.next_if(|next| next.as_ref().map_or(true, |ruling| ruling.doc.row() < range.end))
        {
            let ruling = next?;
            taken.push(((ruling.doc.row() - range.start) as usize, ruling));
        }
        Ok(taken)
    }
}
