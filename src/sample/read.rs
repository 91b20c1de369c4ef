//! Reads the corpus once: which documents could be drawn, and what is to be known of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use serde::{Deserialize, Serialize};

use super::mix::Mix;
use super::record::Candidate;
use super::{Columns, Draw};
use crate::annotate::counts::Counts;
use crate::chain::{NULL_TEXT, Strings};
use crate::doc::{DocId, content_key};
use crate::error::{Error, Result};
use crate::exchange::group::{Room, merged};
use crate::exchange::sort::{RunReader, RunWriter, Sorter};
use crate::reuse::key_column::KeyColumn;
use crate::run_dir::RunDir;
use crate::stage::Rows;
use crate::store::ReadAt;
use crate::task::{self, Failure, Reading, Resources, Source, Work};

/// The bytes of a block of a file of candidates.
const BLOCK: usize = 32 << 10;

/// What reading a task came to. Its file is written last: a task that has one was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskRead {
    /// The rows that were read.
    pub rows: u64,
    /// Those that are no documents, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Documents in no share.
    pub no_share: u64,
    /// Documents with a weight of 0, or none, or one that is no weight.
    pub no_weight: u64,
    /// Documents that could be drawn.
    pub candidates: u64,
    /// Documents whose tokens are an estimate.
    pub estimated: u64,
    /// The rows read from each part of the source.
    pub piece_rows: Vec<u64>,
    /// Files that could not be read to the end.
    pub failed: Vec<Failure>,
}

impl TaskRead {
    /// The source, to be read again as far as it was read.
    pub fn again(&self, source: Source) -> Source {
        let mut rows = self.piece_rows.clone();
        rows.resize(source.pieces.len(), 0);
        Source { piece_rows: Some(rows), ..source }
    }
}

/// What a task has said that it was read.
pub fn report(draw: &Draw<'_>, task: u32) -> Result<Option<TaskRead>> {
    draw.run_dir.read_json(&RunDir::report(READ, task))
}

/// The pass that what is read is filed under.
pub(super) const READ: usize = 0;

fn candidates_path(task: u32) -> String {
    RunDir::part(READ, "candidates", task)
}

/// Reads a task, unless that was done before.
pub fn read(draw: &Draw<'_>, task: u32, source: &Source, resources: &Resources<'_>) -> Result<TaskRead> {
    if let Some(done) = report(draw, task)? {
        return Ok(done);
    }
    let mut candidates = Sorter::<Candidate>::new(resources.spill, resources.key_memory);
    let mut read = TaskRead::default();
    let columns = crate::format::Columns { text: draw.text_column.clone(), others: Some(draw.columns.names()) };
    let fields = draw
        .schema
        .fields()
        .iter()
        .filter(|field| *field.name() == draw.text_column || draw.columns.names().contains(field.name()));
    let schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
    let reading = Reading { source, schema: &schema, columns: &columns, text_column: &draw.text_column };
    let work = |work: Work| Batch::new(draw, task, &work);
    let mut add = |batch: Batch, bytes: u64| {
        resources.progress.done.fetch_add(bytes, Ordering::Relaxed);
        resources.progress.rows.fetch_add(batch.read.rows, Ordering::Relaxed);
        resources.progress.bytes.fetch_add(batch.candidates.iter().map(|row| row.bytes).sum(), Ordering::Relaxed);
        let TaskRead { rows, rejected, no_share, no_weight, candidates: n, estimated, .. } = batch.read;
        read.rows += rows;
        read.no_share += no_share;
        read.no_weight += no_weight;
        read.candidates += n;
        read.estimated += estimated;
        for (reason, n) in rejected {
            *read.rejected.entry(reason).or_default() += n;
        }
        batch.candidates.into_iter().try_for_each(|row| candidates.push(row))
    };
    let outcome = task::stream(&reading, None, resources, &work, &mut add)?;
    (read.piece_rows, read.failed) = (outcome.piece_rows, outcome.failed);
    let folder = draw.run_dir.folder();
    let path = candidates_path(task);
    let mut writer = RunWriter::new(folder.create(&path)?, &folder.name_of(&path), BLOCK)?;
    for row in candidates.finish()? {
        writer.push(&row?)?;
    }
    writer.finish()?.finish()?;
    draw.run_dir.write_json(&RunDir::report(READ, task), &read)?;
    Ok(read)
}

/// The candidates of all tasks, in the order of their keys.
pub fn all_candidates(draw: &Draw<'_>, n_tasks: u32, room: Room<'_>) -> Result<Rows<Candidate>> {
    let folder = draw.run_dir.folder();
    let paths: Vec<String> = (0..n_tasks).map(candidates_path).collect();
    let files = paths.iter().map(|path| Ok((folder.open_closed(path)?, folder.name_of(path))));
    let files = files.collect::<Result<Vec<(Arc<dyn ReadAt>, String)>>>()?;
    merged(files.len(), room, |task, buffer| {
        Opened::new(RunReader::open(files[task].0.clone(), &files[task].1, buffer))
    })
}

/// The rows of a file, or why it could not be opened.
struct Opened(Result<RunReader<Candidate>, Option<Error>>);

impl Opened {
    fn new(rows: Result<RunReader<Candidate>>) -> Self {
        Self(rows.map_err(Some))
    }
}

impl Iterator for Opened {
    type Item = Result<Candidate>;

    fn next(&mut self) -> Option<Result<Candidate>> {
        match &mut self.0 {
            Ok(rows) => rows.next(),
            Err(error) => error.take().map(Err),
        }
    }
}

/// What a batch came to.
struct Batch {
    read: TaskRead,
    candidates: Vec<Candidate>,
}

impl Batch {
    fn new(draw: &Draw<'_>, task: u32, work: &Work) -> Result<Self> {
        let batch = &work.decoded.batch;
        let failed = |error: arrow::error::ArrowError| Error::io("a batch", error);
        let texts = column(batch, &draw.text_column)?;
        let texts = Strings::new(texts).map_err(failed)?;
        let beside = Beside::new(batch, &draw.columns).map_err(failed)?;
        let n_rows = batch.num_rows();
        let mut read = TaskRead { rows: n_rows as u64, ..TaskRead::default() };
        let mut candidates = Vec::with_capacity(n_rows);
        let mut bad = work.decoded.bad.iter().peekable();
        for row in 0..n_rows {
            let mut reject = |reason: &str| *read.rejected.entry(reason.to_owned()).or_default() += 1;
            if let Some((_, reason)) = bad.next_if(|(bad, _)| *bad == row) {
                reject(reason);
                continue;
            }
            let Some(text) = texts.get(row) else {
                reject(NULL_TEXT);
                continue;
            };
            let Some(share) = beside.share(&draw.mix, row) else {
                read.no_share += 1;
                continue;
            };
            let weight = beside.weight(draw, row);
            if !(weight > 0.0 && weight.is_finite()) {
                read.no_weight += 1;
                continue;
            }
            let key = beside.content.as_ref().and_then(|keys| keys.get(row)).unwrap_or_else(|| content_key(text));
            let tokens = beside.tokens(row).unwrap_or_else(|| {
                read.estimated += 1;
                draw.estimate.n_tokens(text)
            });
            let other = |keys: &Option<KeyColumn>| {
                let other = keys.as_ref().and_then(|keys| keys.get(row)).filter(|other| *other != key);
                other.map(u128::from_be_bytes)
            };
            read.candidates += 1;
            candidates.push(Candidate {
                key: u128::from_be_bytes(key),
                share,
                tokens,
                weight: weight.to_bits(),
                doc: DocId::new(task, work.first_row + row as u64),
                bytes: text.len() as u64,
                uses: beside.uses(row),
                origin: other(&beside.origin),
                matched: other(&beside.matched),
                source: beside.source.as_ref().and_then(|source| source.get(row)).map(Into::into),
            });
        }
        Ok(Self { read, candidates })
    }
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::io("a batch", format!("it has no column `{name}`")))
}

/// The columns of a batch that a draw looks at.
struct Beside {
    share: Option<Strings>,
    source: Option<Strings>,
    weights: Vec<(String, Strings)>,
    quality: Option<Float64Array>,
    tokens: Option<Float64Array>,
    uses: Option<Float64Array>,
    content: Option<KeyColumn>,
    origin: Option<KeyColumn>,
    matched: Option<KeyColumn>,
}

impl Beside {
    fn new(batch: &RecordBatch, columns: &Columns) -> Result<Self, arrow::error::ArrowError> {
        let of = |name: &Option<String>| name.as_ref().and_then(|name| batch.column_by_name(name));
        let strings = |name: &Option<String>| of(name).map(Strings::new).transpose();
        let number = |column: &ArrayRef| {
            cast(column, &DataType::Float64).map(|column| column.as_primitive::<Float64Type>().clone())
        };
        let numbers = |name: &Option<String>| of(name).map(number).transpose();
        let keys = |name: &Option<String>| {
            of(name).map(KeyColumn::new).transpose().map_err(arrow::error::ArrowError::CastError)
        };
        let weights = columns.weights.iter().map(|name| {
            let column = batch.schema_ref().index_of(name)?;
            Ok((name.clone(), Strings::new(batch.column(column))?))
        });
        Ok(Self {
            share: strings(&columns.share)?,
            source: strings(&columns.source)?,
            weights: weights.collect::<Result<_, arrow::error::ArrowError>>()?,
            quality: numbers(&columns.quality)?,
            tokens: numbers(&columns.tokens)?,
            uses: numbers(&columns.uses)?,
            content: keys(&columns.content)?,
            origin: keys(&columns.origin)?,
            matched: keys(&columns.matched)?,
        })
    }

    fn share(&self, mix: &Mix, row: usize) -> Option<u16> {
        mix.share_of(self.share.as_ref().and_then(|share| share.get(row)))
    }

    /// The product of what quality and the mix say.
    fn weight(&self, draw: &Draw<'_>, row: usize) -> f64 {
        let quality = match &self.quality {
            Some(quality) if quality.is_null(row) => return 0.0,
            Some(quality) => quality.value(row),
            None => 1.0,
        };
        let weights = self.weights.iter().map(|(name, column)| draw.mix.weight(name, column.get(row)));
        quality * weights.product::<f64>()
    }

    /// A number of tokens as `counts` has counted it; one that cannot be is estimated.
    fn tokens(&self, row: usize) -> Option<u32> {
        let tokens = self.tokens.as_ref().filter(|tokens| tokens.is_valid(row))?.value(row);
        (tokens >= 0.0 && tokens <= f64::from(u32::MAX)).then_some(tokens as u32)
    }

    fn uses(&self, row: usize) -> u32 {
        // What is too large for the number becomes its largest value.
        self.uses.as_ref().filter(|uses| uses.is_valid(row)).map_or(0, |uses| uses.value(row) as u32)
    }
}

/// How tokens are estimated where no column has them.
pub fn estimate() -> Counts {
    Counts::default()
}
