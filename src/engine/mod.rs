//! Drives a run: plan, passes, exchanges, report. An engine only decides where tasks run and how keys meet.
//!
//! Every engine leaves the same data files, byte for byte: tasks are planned from the input and the pipeline
//! alone, and what a task leaves depends on nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::StreamExt;

use crate::budget::{Progress, Total};
use crate::error::{Error, Result};
use crate::exchange::index::IndexPart;
use crate::format::input::{self, InputFile};
use crate::format::{self, Columns, Format, Inspected, jsonl};
use crate::pairs::{self, Pairs};
use crate::pipeline::{OutputFormat, Pass, Pipeline};
use crate::plan::{self, Layout, Part, Piece, Shard, Task};
use crate::report::{ExchangeReport, PassReport, Report};
use crate::run_dir::{Begun, Identity, RunDir};
use crate::schema;
use crate::stage::{Duplicates, Need, NeedKind, Stage};
use crate::store::{Folder, Lock, runtime};
use crate::task::{Failure, PassJob, Source, TaskReport};
use indexing::Indexing;
use passes::Passes;
use recut::Recut;

mod candidates;
pub mod cluster;
pub mod indexing;
pub mod local;
mod meeting;
pub mod orders;
pub mod passes;
pub mod recut;
pub mod waves;
pub mod worker;

/// Where tasks run and how keys meet.
pub trait Engine {
    /// Called once, when nothing can be refused any more and before all else.
    fn begin(&self, run: &Beginning<'_>) -> Result<()>;

    /// Takes tasks through a pass, anywhere, in any order. Reports come back in the order of `tasks`.
    fn map(&self, job: &PassJob<'_>, tasks: &[(u32, Source)], progress: &Progress) -> Result<Vec<TaskReport>>;

    /// Lets the keys that a pass has left meet, asks its corpus stages for their rulings, and leaves those
    /// for each task in the run directory.
    fn exchange(&self, cut: &Cut<'_>, progress: &Progress) -> Result<ExchangeReport>;
}

/// What an engine is told of a run before it begins.
pub struct Beginning<'r> {
    /// The pipeline.
    pub pipeline: &'r Pipeline,
    /// Where everything is.
    pub run_dir: &'r RunDir,
    /// The input files.
    pub files: &'r [InputFile],
    /// Their columns.
    pub schema: &'r SchemaRef,
    /// The tasks that they make.
    pub tasks: &'r [Task],
}

/// What stands between two passes.
pub struct Cut<'r> {
    /// The pipeline.
    pub pipeline: &'r Pipeline,
    /// The pass that left the keys.
    pub pass: &'r Pass,
    /// Where everything is.
    pub run_dir: &'r RunDir,
    /// For each task, the rows that keys can refer to.
    pub rows: Vec<u64>,
    /// For each task, where those rows can be read again.
    pub sources: &'r [Source],
    /// Their schema.
    pub schema: SchemaRef,
    /// The pairs of the run that this one cuts anew.
    pub pairs: Option<&'r Pairs>,
    /// The index that a stage reads or writes.
    pub index: Option<&'r Indexing>,
}

impl Cut<'_> {
    /// The stages that rule on duplicates here, with their places in the pipeline.
    pub fn dedups(&self) -> impl Iterator<Item = (u16, &Duplicates)> {
        self.pass.emits.iter().filter_map(|&index| match &self.pipeline.stages[index].stage {
            Stage::Corpus(stage) => Some((index as u16, stage.duplicates()?)),
            _ => None,
        })
    }
}

/// What a user asks for.
pub struct Run {
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// Files, folders, globs, URLs.
    pub inputs: Vec<String>,
    /// The run directory.
    pub output: String,
    /// The most rows to read.
    pub limit: Option<u64>,
    /// The bytes of a task.
    pub task_size: u64,
    /// Whether intermediate files stay.
    pub keep_work: bool,
    /// The run that this one cuts anew, whose input it reads in the same tasks.
    pub recut: Option<Recut>,
}

/// The bytes of a task, unless the user says otherwise.
pub const TASK_SIZE: u64 = 256 << 20;

/// Runs a pipeline, or continues a run, and reports what happened.
pub fn run(run: &Run, engine: &dyn Engine, progress: &Progress) -> Result<Report> {
    let start = Instant::now();
    let Prepared { run_dir, input, passes, indexing, identity, begun, _taken } = prepare(run, progress)?;
    if let Begun::Continued { mended } = &begun {
        if let Some(report) = run_dir.read_json::<Report>("report.json")?
            && report.failed.is_empty()
        {
            // Nothing, unless the run was killed while it removed them.
            remove_work(run, &run_dir, passes.list())?;
            return Ok(Report { already_done: true, ..report });
        }
        forget(&run_dir, passes.list(), &identity, mended)?;
    }
    engine.begin(&input.beginning(run, &run_dir, &identity))?;
    if let Some(recut) = &run.recut {
        recut.leave_reports(&run_dir)?;
    }
    let job = Job {
        run,
        engine,
        progress,
        run_dir: &run_dir,
        input: &input,
        passes: &passes,
        n_passes: passes.list().len(),
        index: indexing.as_ref(),
    };
    // A first pass that leaves no documents reads only some columns; a file may be broken in another, which the
    // next pass meets. Such a file is read again from the beginning, with all columns.
    let mut read_whole = BTreeSet::new();
    let (reports, exchanges) = loop {
        match job.run(&identity, !read_whole.is_empty()) {
            Err(Error::Shard { file, message }) if !passes.list()[0].writes && run.recut.is_none() => {
                let broken = input.shards.iter().position(|shard| shard.name == file);
                let Some(broken) = broken.filter(|&broken| read_whole.insert(broken)) else {
                    return Err(Error::Shard { file, message });
                };
                forget(&run_dir, passes.list(), &identity, &[broken])?;
            }
            outcome => break outcome?,
        }
    };
    progress.begin("finishing", Total::Unknown);
    let report = Report {
        continued: begun != Begun::New,
        ..Report::new(&run.pipeline, &input.shards, &reports, exchanges, start.elapsed().as_secs_f64())?
    };
    if let Some(indexing) = &indexing {
        indexing.commit(&report.exchanges, report.failed.is_empty())?;
    }
    // Machines that were lost on the way leave what they were writing.
    run_dir.folder().sweep("")?;
    // With the report in place the run is done.
    run_dir.folder().write("report.html", report.html())?;
    run_dir.write_json("report.json", &report)?;
    if report.failed.is_empty() {
        remove_work(run, &run_dir, passes.list())?;
    }
    Ok(report)
}

/// Adds a corpus to the index that the pipeline's one stage writes, or continues to do so, and leaves no documents:
/// the run directory goes when all is done.
pub fn index(run: &Run, engine: &dyn Engine, progress: &Progress) -> Result<Indexed> {
    let Prepared { run_dir, input, passes, indexing, identity, begun, _taken } = prepare(run, progress)?;
    if let Begun::Continued { mended } = &begun {
        forget(&run_dir, passes.list(), &identity, mended)?;
    }
    engine.begin(&input.beginning(run, &run_dir, &identity))?;
    let job = Job {
        run,
        engine,
        progress,
        run_dir: &run_dir,
        input: &input,
        passes: &passes,
        n_passes: 1,
        index: indexing.as_ref(),
    };
    let (reports, exchanges) = job.run(&identity, false)?;
    let failed: Vec<_> =
        reports.iter().flat_map(|pass| &pass.tasks).flat_map(|task| task.failed.iter().cloned()).collect();
    if let Some(indexing) = &indexing {
        indexing.commit(&exchanges, failed.is_empty())?;
    }
    if failed.is_empty() {
        run_dir.folder().remove_all("")?;
    }
    Ok(Indexed { part: exchanges.into_iter().find_map(|exchange| exchange.part), failed })
}

/// What was added to an index.
pub struct Indexed {
    /// The part, which is not added while files cannot be read.
    pub part: Option<IndexPart>,
    /// Files that could not be read to the end.
    pub failed: Vec<Failure>,
}

/// A run whose folder is taken.
struct Prepared {
    run_dir: RunDir,
    input: Input,
    passes: Passes,
    indexing: Option<Indexing>,
    identity: Identity,
    begun: Begun,
    _taken: Lock,
}

/// Looks at the input, refuses what cannot be done, and begins or continues the run in its folder.
fn prepare(run: &Run, progress: &Progress) -> Result<Prepared> {
    let run_dir = RunDir::new(Folder::parse(&run.output)?);
    progress.begin("looking at the input", Total::Unknown);
    let input = Input::inspect(&run.pipeline, &run.inputs, Some(run_dir.folder()))?;
    if let Some(recut) = &run.recut {
        recut.check_input(&input.shards)?;
    }
    // What the stages add and need is checked against the input, and an index against the stage that uses it,
    // before anything is written.
    let passes = Passes::new(&run.pipeline, &input.schema)?;
    let n_passes = passes.list().len();
    let own_part = if run.pipeline.index().is_some() { indexing::own_part(&run_dir, n_passes)? } else { None };
    let look = |(stage, how)| Indexing::look(stage, how, &run_dir, own_part.as_ref());
    let mut indexing = run.pipeline.index().map(look).transpose()?;
    let taken = run_dir.take()?;
    if let Some(indexing) = &mut indexing {
        indexing.take(own_part.as_ref())?;
    }
    let (identity, begun) = begin(run, &input, &run_dir, indexing.as_ref())?;
    Ok(Prepared { run_dir, input, passes, indexing, identity, begun, _taken: taken })
}

/// What can be known of a run before it reads documents.
pub struct Overview {
    /// The input files.
    pub shards: Vec<Shard>,
    /// The tasks that they make.
    pub n_tasks: usize,
    /// The columns of the input.
    pub input: SchemaRef,
    /// The columns of the documents that will stay.
    pub kept: SchemaRef,
}

/// Looks at the input of a pipeline as a run would before it begins, and refuses what it would refuse. Reads
/// no documents and writes nothing.
pub fn look(pipeline: &Arc<Pipeline>, inputs: &[String], task_size: u64) -> Result<Overview> {
    let input = Input::inspect(pipeline, inputs, None)?;
    let passes = Passes::new(pipeline, &input.schema)?;
    let kept = passes.schema_after(passes.list().len()).clone();
    let n_tasks = plan::tasks(&input.shards, task_size).len();
    Ok(Overview { shards: input.shards, n_tasks, input: input.schema, kept })
}

/// Removes what stands between passes, unless the user wants to keep it or other thresholds need it.
fn remove_work(run: &Run, run_dir: &RunDir, passes: &[Pass]) -> Result<()> {
    if run.keep_work {
        return Ok(());
    }
    let remove = |path: String| run_dir.folder().remove_all(&path);
    orders::forget_brief(run_dir)?;
    let recorded = Pairs::open(run_dir)?.is_some();
    for pass in passes {
        if pass.index == pairs::PASS && recorded {
            // What is recorded are the pairs themselves, the names, and the reports that say how many rows were read.
            let unneeded = ["keys", "rulings", "exchange"].into_iter();
            unneeded.map(|what| format!("_trommel/{}/{what}", pass.index)).try_for_each(remove)?;
        } else {
            remove(format!("_trommel/{}", pass.index))?;
        }
    }
    Ok(())
}

/// A run that is under way.
struct Job<'r> {
    run: &'r Run,
    engine: &'r dyn Engine,
    progress: &'r Progress,
    run_dir: &'r RunDir,
    input: &'r Input,
    passes: &'r Passes,
    /// How many of them are run.
    n_passes: usize,
    index: Option<&'r Indexing>,
}

impl Job<'_> {
    /// Takes the tasks through all passes and exchanges, as far as they are not done. The first pass reads
    /// only the columns that it looks at, unless it is told to read the `whole` of the input.
    fn run(&self, identity: &Identity, whole: bool) -> Result<(Vec<PassReport>, Vec<ExchangeReport>)> {
        let Self { run, engine, progress, run_dir, input, passes, n_passes, index } = *self;
        let mut reports: Vec<PassReport> = Vec::new();
        let mut exchanges = Vec::new();
        let mut sources = input.sources(&identity.tasks);
        for pass in &passes.list()[..n_passes] {
            let job = passes.job(pass.index, whole, run_dir);
            let pending = Pending::new(&job, &sources)?;
            progress.begin(phase(&run.pipeline, pass, n_passes), input.total(&pending.tasks));
            let tasks = pending.run(engine, &job, progress)?;
            if !job.last {
                let again = sources.into_iter().zip(&tasks);
                sources = again
                    .map(|(source, task)| passes.source_after(pass.index, task, source, run_dir))
                    .collect::<Result<_>>()?;
                let rows = tasks.iter().map(|task| task.key_rows).collect();
                let cut = Cut {
                    pipeline: &run.pipeline,
                    pass,
                    run_dir,
                    rows,
                    sources: &sources,
                    schema: passes.schema_after(pass.index + 1).clone(),
                    pairs: run.recut.as_ref().map(Recut::pairs),
                    index,
                };
                let done = RunDir::exchange_done(pass.index);
                let report = match run_dir.read_json::<ExchangeReport>(&done)? {
                    Some(report) => report,
                    None => {
                        let report = engine.exchange(&cut, progress)?;
                        run_dir.write_json(&done, &report)?;
                        report
                    }
                };
                exchanges.push(report);
            }
            reports.push(PassReport { pass: pass.index, writes: pass.writes, tasks });
        }
        Ok((reports, exchanges))
    }
}

/// The tasks of a pass that have no report yet.
struct Pending {
    tasks: Vec<(u32, Source)>,
    /// The reports of all tasks, as far as there are any.
    reports: Vec<Option<TaskReport>>,
}

impl Pending {
    fn new(job: &PassJob<'_>, sources: &[Source]) -> Result<Self> {
        let reports = (0..sources.len() as u32).map(|task| RunDir::report(job.pass, task));
        let reports: Vec<Option<TaskReport>> = job.run_dir.read_all_json(reports)?;
        let numbered = (0u32..).zip(sources).zip(&reports);
        let missing = numbered.filter(|(_, report)| report.is_none());
        Ok(Self { tasks: missing.map(|((task, source), _)| (task, source.clone())).collect(), reports })
    }

    fn run(self, engine: &dyn Engine, job: &PassJob<'_>, progress: &Progress) -> Result<Vec<TaskReport>> {
        let mut done = engine.map(job, &self.tasks, progress)?.into_iter();
        let reports = self.reports.into_iter().map(|report| report.or_else(|| done.next()));
        Ok(reports.map(|report| report.expect("an engine reports on every task or fails")).collect())
    }
}

fn phase(pipeline: &Pipeline, pass: &Pass, n_passes: usize) -> String {
    let names =
        |stages: &[usize]| stages.iter().map(|&i| pipeline.stages[i].name.as_str()).collect::<Vec<_>>().join(", ");
    let what = match (&pass.local[..], &pass.emits[..]) {
        ([], []) => "writing".to_owned(),
        ([], emits) => format!("keys for {}", names(emits)),
        (local, []) => names(local),
        (local, emits) => format!("{}; keys for {}", names(local), names(emits)),
    };
    format!("pass {} of {n_passes}: {what}", pass.index + 1)
}

/// Begins or continues the run in its directory.
fn begin(run: &Run, input: &Input, run_dir: &RunDir, indexing: Option<&Indexing>) -> Result<(Identity, Begun)> {
    let planned = || plan::tasks(&input.shards, run.task_size);
    let tasks = match (&run.recut, run.limit) {
        (Some(recut), _) => recut.identity().tasks.clone(),
        (None, Some(limit)) => plan::limit(planned(), limit, |piece, up_to| input.count_rows(piece, up_to))?,
        (None, None) => planned(),
    };
    let mut identity = Identity {
        version: env!("CARGO_PKG_VERSION").into(),
        pipeline: run.pipeline.fingerprint.clone(),
        schema: format!("{:?}", input.schema.fields()),
        limit: run.limit,
        task_size: run.task_size,
        shards: input.shards.clone(),
        tasks,
        from: run.recut.as_ref().map(Recut::place),
        earlier: indexing.map(Indexing::parts),
    };
    let failed = |known: &Identity| {
        let mut failed = Vec::new();
        for task in 0..known.tasks.len() as u32 {
            let report = run_dir.read_json::<TaskReport>(&RunDir::report(0, task))?;
            failed.extend(report.into_iter().flat_map(|report| report.failed).map(|failure| failure.file));
        }
        Ok(failed)
    };
    let begun = run_dir.begin(&mut identity, failed)?;
    Ok((identity, begun))
}

/// Makes tasks run again whose files failed, or are among the `changed` shards, and everything that depends
/// on them. It may be killed at any instant: what says that there is something to forget goes last.
fn forget(run_dir: &RunDir, passes: &[Pass], identity: &Identity, changed: &[usize]) -> Result<()> {
    let folder = run_dir.folder();
    let (mut failed, mut touched) = (Vec::new(), Vec::new());
    for (number, task) in (0u32..).zip(&identity.tasks) {
        let Some(report) = run_dir.read_json::<TaskReport>(&RunDir::report(0, number))? else { continue };
        if !report.failed.is_empty() {
            failed.push(number);
        } else if task.pieces.iter().any(|piece| changed.contains(&piece.shard)) {
            touched.push(number);
        }
    }
    if failed.is_empty() && touched.is_empty() {
        return Ok(());
    }
    folder.remove("report.json")?;
    folder.remove("report.html")?;
    folder.remove(&RunDir::exchange_done(0))?;
    folder.remove_all("_trommel/0/exchange")?;
    for pass in &passes[1..] {
        folder.remove_all(&format!("_trommel/{}", pass.index))?;
        (0..identity.tasks.len() as u32).try_for_each(|task| remove_rejected(run_dir, pass.index, task))?;
    }
    for &task in failed.iter().chain(&touched) {
        remove_rejected(run_dir, 0, task)?;
    }
    let remove_report = |task: &u32| folder.remove(&RunDir::report(0, *task));
    touched.iter().try_for_each(remove_report)?;
    run_dir.write_identity(identity)?;
    failed.iter().try_for_each(remove_report)
}

/// Removes the files that a task writes only if it has something to write into them.
fn remove_rejected(run_dir: &RunDir, pass: usize, task: u32) -> Result<()> {
    for stem in [RunDir::rejected_stem(pass, task), RunDir::links_stem(pass, task)] {
        run_dir.folder().remove(&format!("{stem}.parquet"))?;
    }
    Ok(())
}

/// What the user brought.
pub struct Input {
    /// Its files.
    pub files: Vec<InputFile>,
    /// What is known of them.
    pub shards: Vec<Shard>,
    /// The columns that documents of all of them fit.
    pub schema: SchemaRef,
}

impl Input {
    fn inspect(pipeline: &Pipeline, inputs: &[String], output: Option<&Folder>) -> Result<Self> {
        Self::inspect_for(pipeline, inputs, output, &[])
    }

    /// Looks at the files that `inputs` name, but for those in the `output` folder. Of JSON Lines, which do not tell their
    /// columns, those that the pipeline needs become columns, and those that are `wanted`.
    pub fn inspect_for(
        pipeline: &Pipeline,
        inputs: &[String],
        output: Option<&Folder>,
        wanted: &[Need],
    ) -> Result<Self> {
        let settings = &pipeline.input;
        let files = input::find(inputs)?.into_iter().map(|file| file.encoded(settings.encoding));
        let mut files: Vec<InputFile> = files.collect();
        if let Some(output) = output {
            // A run that is continued with its output below its input does not read what it wrote itself.
            let own = output.real_location_of("");
            files.retain(|file| !file.real_location().starts_with(&own));
            if files.is_empty() {
                return Err(Error::refused(format!(
                    "{}: the input is in the output folder; name another output folder",
                    output.name()
                )));
            }
        }
        let names: Arc<[String]> = [settings.text_column.clone(), settings.id_column.clone()].into();
        let looks = files.iter().cloned().map(|file| {
            let names = names.clone();
            runtime().spawn_blocking(move || format::inspect(&file, &names[0], &names[1]))
        });
        let inspected: Vec<Inspected> = runtime()
            .block_on(futures::stream::iter(looks).buffered(32).collect::<Vec<_>>())
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| Error::io("looking at the input", error))?;
        let schema = Arc::new(input_schema(pipeline, &files, &inspected, wanted)?);
        let shards = files.iter().zip(inspected).map(|(file, inspected)| Shard {
            name: file.name.clone(),
            size: file.size,
            etag: file.etag.clone(),
            layout: inspected.layout,
        });
        Ok(Self { shards: shards.collect(), schema, files })
    }

    fn beginning<'r>(&'r self, run: &'r Run, run_dir: &'r RunDir, identity: &'r Identity) -> Beginning<'r> {
        Beginning { pipeline: &run.pipeline, run_dir, files: &self.files, schema: &self.schema, tasks: &identity.tasks }
    }

    /// What each task reads.
    pub fn sources(&self, tasks: &[Task]) -> Vec<Source> {
        let source = |task: &Task| Source {
            pieces: task.pieces.iter().map(|piece| (self.files[piece.shard].clone(), *piece)).collect(),
            limit: task.limit,
            piece_rows: None,
        };
        tasks.iter().map(source).collect()
    }

    /// The work in the tasks of a pass: rows where all of them are known, else bytes where they are.
    pub fn total(&self, tasks: &[(u32, Source)]) -> Total {
        let rows = |source: &Source| match &source.piece_rows {
            Some(rows) => Some(rows.iter().sum()),
            None => {
                let rows =
                    source.pieces.iter().map(|(_, piece)| match (&self.shards[piece.shard].layout, piece.part) {
                        (Layout::RowGroups(groups), Part::RowGroups { first, end }) => {
                            Some(groups[first..end].iter().map(|group| group.rows).sum::<u64>())
                        }
                        (Layout::Unreadable(_), _) => Some(0),
                        _ => None,
                    });
                rows.sum::<Option<u64>>().map(|rows| source.limit.map_or(rows, |limit| rows.min(limit)))
            }
        };
        let bytes = |piece: &Piece| match (&self.shards[piece.shard].layout, piece.part) {
            (Layout::Lines, Part::All) => Some(self.shards[piece.shard].size),
            (Layout::Lines, Part::Bytes { start, end }) => {
                Some(end.min(self.shards[piece.shard].size).saturating_sub(start))
            }
            // What is compressed does not tell how much it holds.
            _ => None,
        };
        let sources = || tasks.iter().map(|(_, source)| source);
        if let Some(rows) = sources().map(rows).sum() {
            return Total::Rows(rows);
        }
        let unlimited = sources().all(|source| source.limit.is_none());
        let bytes: Option<u64> = sources().flat_map(|source| &source.pieces).map(|(_, piece)| bytes(piece)).sum();
        bytes.filter(|_| unlimited).map_or(Total::Unknown, Total::Bytes)
    }

    /// The rows of a piece, counted up to a number.
    pub fn count_rows(&self, piece: &Piece, up_to: u64) -> Result<u64> {
        if let (Layout::RowGroups(groups), Part::RowGroups { first, end }) =
            (&self.shards[piece.shard].layout, piece.part)
        {
            return Ok(groups[first..end].iter().map(|group| group.rows).sum());
        }
        let columns = Columns { text: String::new(), others: None };
        let Ok(mut reader) = format::open(&self.files[piece.shard], piece, &columns, 1 << 20) else { return Ok(0) };
        let mut rows = 0;
        while rows < up_to {
            match reader.next_chunk() {
                Ok(Some(chunk)) => rows += chunk.n_rows(),
                // A break is met again, and reported, when the file is read for good.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(rows)
    }
}

/// The schema that all documents of the input fit.
fn input_schema(pipeline: &Pipeline, files: &[InputFile], inspected: &[Inspected], wanted: &[Need]) -> Result<Schema> {
    let settings = &pipeline.input;
    let known = files
        .iter()
        .zip(inspected)
        .filter_map(|(file, inspected)| inspected.schema.as_ref().map(|schema| (file.name.as_str(), schema.as_ref())));
    let mut fields: Vec<Field> = schema::unify(known)?.fields().iter().map(|field| field.as_ref().clone()).collect();
    let readable = |(file, inspected): (&InputFile, &Inspected)| {
        matches!(file.format, Format::JsonLines(_)) && !matches!(inspected.layout, Layout::Unreadable(_))
    };
    let has_lines = files.iter().zip(inspected).any(readable);
    if fields.is_empty() && !has_lines {
        let broken = files.iter().zip(inspected).find_map(|(file, inspected)| match &inspected.layout {
            Layout::Unreadable(message) => Some(format!("{}: {message}", file.name)),
            _ => None,
        });
        return Err(Error::refused(broken.unwrap_or_else(|| "the input has no columns".into())));
    }
    let has = |fields: &[Field], name: &str| fields.iter().any(|field| field.name() == name);
    if has_lines {
        // Ids that are numbers stay numbers; where some are and some are not, all are text.
        let ids = inspected.iter().filter_map(|inspected| inspected.ids).reduce(jsonl::Ids::and);
        let id_type = ids.map_or(DataType::Utf8, jsonl::Ids::data_type);
        for (name, data_type) in [(&settings.id_column, id_type), (&settings.text_column, DataType::Utf8)] {
            if !has(&fields, name) {
                fields.push(Field::new(name, data_type, true));
            }
        }
    }
    for (need, stage) in pipeline.needs() {
        if has(&fields, &need.column) {
            continue;
        }
        if !has_lines {
            let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
            return Err(Error::refused(format!(
                "stage {stage} looks at the column `{}`, which neither the input nor an earlier stage has; the input has {}",
                need.column,
                names.join(", ")
            )));
        }
        fields.push(column_of(&need));
    }
    for need in wanted.iter().filter(|_| has_lines) {
        if !has(&fields, &need.column) {
            fields.push(column_of(need));
        }
    }
    if has_lines {
        // A line may lack any field.
        fields = fields.into_iter().map(|field| field.with_nullable(true)).collect();
        if let Some(own) = fields.iter().find(|field| field.name() == jsonl::EXTRA) {
            if !matches!(own.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
                return Err(Error::refused(format!(
                    "column `{}` is {}, but JSON Lines files need it for fields that have no column; rename it, or run them apart",
                    jsonl::EXTRA,
                    own.data_type()
                )));
            }
        } else {
            fields.push(Field::new(jsonl::EXTRA, DataType::Utf8, true));
        }
    }
    let rewrites = pipeline.stages.iter().any(|spec| spec.stage.rewrites());
    for field in &mut fields {
        if field.name() != &settings.text_column {
            continue;
        }
        // A bad row's text may be null in rejects, and rewritten texts repeat too little for a dictionary.
        if let (DataType::Dictionary(_, value), true) = (field.data_type(), rewrites || has_lines) {
            *field = field.clone().with_data_type(value.as_ref().clone());
        }
    }
    if pipeline.output.format != OutputFormat::Parquet {
        for field in &fields {
            json_can_hold(field)?;
        }
    }
    if pipeline.stages.iter().any(|spec| matches!(&spec.stage, Stage::Corpus(stage) if stage.is_dedup()))
        && !has(&fields, &settings.id_column)
    {
        tracing::warn!(
            "there is no column `{}`, so rejects name the document that stands for them by its content key only; --id-column names another",
            settings.id_column
        );
    }
    Ok(Schema::new(fields))
}

/// The column of JSON Lines that something looks at.
fn column_of(need: &Need) -> Field {
    let data_type = if need.kind == NeedKind::Number { DataType::Float64 } else { DataType::Utf8 };
    Field::new(&need.column, data_type, true)
}

/// JSON has no place for some types.
fn json_can_hold(field: &Field) -> Result<()> {
    match field.data_type() {
        DataType::Interval(_) | DataType::Union(..) | DataType::Decimal256(..) => Err(Error::refused(format!(
            "column `{}` is {}, which JSON Lines cannot hold; write Parquet",
            field.name(),
            field.data_type()
        ))),
        _ => Ok(()),
    }
}
