//! What a driver tells workers: what the run is, once, and what to do, with each wave.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use serde::{Deserialize, Serialize};

use super::passes::Passes;
use crate::error::{Error, Result};
use crate::exchange::index::Index;
use crate::format::input::InputFile;
use crate::pipeline::Pipeline;
use crate::plan::Task;
use crate::run_dir::RunDir;
use crate::store::Folder;
use crate::task::{Source, TaskReport};

/// Where the [`Brief`] of a run is, below its folder.
const BRIEF: &str = "_trommel/brief.json";
/// Where the columns of its input are: a Parquet file without rows, which holds the types of all columns there are.
const COLUMNS: &str = "_trommel/columns.parquet";

/// An order to do something with a task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// The folder of the run.
    pub(super) place: String,
    /// The run. An order for one that is not in its folder any more is not followed.
    pub(super) run: String,
    /// What to do.
    pub(super) step: Step,
}

/// What to do with a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// Take it through a pass.
    Pass {
        /// The pass.
        pass: usize,
        /// Whether all columns are read.
        whole: bool,
    },
    /// Let the keys of a section meet; the task's number is that of the section in the stage.
    Group {
        /// The pass that left the keys.
        pass: usize,
        /// The first section that meets, among those of the key files.
        first_section: usize,
        /// The same, among those of the stage.
        of_stage: usize,
        /// How many of a group are proposed to the others.
        k: usize,
        /// The file of the documents that are not seen.
        gone: Option<String>,
        /// The earlier corpora whose documents come first.
        earlier: Option<EarlierIndex>,
        /// The folder for what comes of it.
        into: String,
    },
    /// Bring together the pairs that sections have proposed for the documents of the task, and those documents of the
    /// task that pairs begin with.
    Route {
        /// The folder that sections have left pairs in.
        pairs: String,
        /// How many sections did.
        n_sections: u32,
        /// The folder for what comes of it.
        into: String,
    },
    /// Make the sets of those documents of the task that are in pairs, or shall be known to later corpora.
    Sets {
        /// The pass that left the keys.
        pass: usize,
        /// The stage that has pairs judged.
        stage: usize,
        /// The folder that pairs have been brought together in.
        pairs: String,
        /// The file of the documents that shall be known.
        leaving: Option<String>,
        /// The folder for what comes of it.
        into: String,
    },
    /// Judge the pairs of the task.
    Verify {
        /// The pass that left the keys.
        pass: usize,
        /// The stage that has pairs judged.
        stage: usize,
        /// The folder that pairs have been brought together in.
        pairs: String,
        /// The folder that sets have been left in.
        sets: String,
        /// The earlier corpora that pairs begin in.
        earlier: Option<EarlierIndex>,
        /// The folder for what comes of it.
        into: String,
    },
}

/// The part of an index that a run reads: what others add meanwhile is not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EarlierIndex {
    /// Its folder.
    pub(super) place: String,
    /// How many of its parts were there.
    pub(super) n_parts: usize,
    /// How many sections the stage has.
    pub(super) n_sections: usize,
}

impl EarlierIndex {
    /// Opens the index as it was.
    fn open(&self) -> Result<Index> {
        match Index::open(&Folder::parse(&self.place)?)?.0 {
            Some(index) if index.parts().len() >= self.n_parts => Ok(index.before(self.n_parts)),
            _ => Err(Error::io(
                &self.place,
                format!("there is no index of {} runs; is this folder shared by all machines?", self.n_parts),
            )),
        }
    }
}

/// What a step of an exchange has left for a task: written last, so that a task with it is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    /// The rows it has read.
    pub(super) rows_in: u64,
    /// The rows it has written.
    pub(super) rows: u64,
    /// Groups met.
    pub(super) groups: u64,
    /// Groups of more documents than are proposed to each other.
    pub(super) above_k: u64,
    /// Pairs with a document that was known to go.
    pub(super) spared: u64,
    /// Pairs whose sizes alone rule them out.
    pub(super) out_of_bound: u64,
    /// The bytes it has written to the storage that all share.
    pub(super) bytes: u64,
    /// The bytes it has spilled to its own disk.
    pub(super) spilled_bytes: u64,
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows += other.rows;
        self.groups += other.groups;
        self.above_k += other.above_k;
        self.spared += other.spared;
        self.out_of_bound += other.out_of_bound;
        self.bytes += other.bytes;
        self.spilled_bytes += other.spilled_bytes;
    }
}

/// What a step leaves for a task, below its folder.
pub(super) fn part_of(into: &str, task: u32) -> String {
    format!("{into}/{task:05}")
}

/// The documents that the pairs of a part begin with.
pub(super) fn firsts_of(into: &str, part: u32) -> String {
    format!("{into}/firsts/{part:05}")
}

/// What says that a task of a step is done.
pub(super) fn done_of(into: &str, task: u32) -> String {
    format!("{into}/done/{task:05}.json")
}

/// What the run is: all that a worker needs to know beside the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Brief {
    version: String,
    run: String,
    pipeline: String,
    files: Vec<At>,
    tasks: Vec<Task>,
}

/// An input file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    name: String,
    location: String,
    size: u64,
    etag: String,
}

/// Leaves what workers need to know in the folder of a run. Returns what names the run in orders.
pub fn leave_brief(
    run_dir: &RunDir,
    pipeline: &Pipeline,
    files: &[InputFile],
    tasks: &[Task],
    schema: &SchemaRef,
) -> Result<String> {
    let at = |file: &InputFile| At {
        name: file.name.clone(),
        location: file.location().display().to_string(),
        size: file.size,
        etag: file.etag.clone(),
    };
    let mut brief = Brief {
        version: env!("CARGO_PKG_VERSION").into(),
        run: String::new(),
        pipeline: pipeline.fingerprint.clone(),
        files: files.iter().map(at).collect(),
        tasks: tasks.to_vec(),
    };
    let failed = |error: &dyn std::fmt::Display| Error::io(run_dir.folder().name_of(BRIEF), error);
    // The same for the same run, so that workers that outlive a driver serve the one that continues it.
    let hash = |brief: &Brief| serde_json::to_vec(brief).map(|bytes| xxhash_rust::xxh3::xxh3_128(&bytes));
    brief.run = format!("{:032x}", hash(&brief).map_err(|error| failed(&error))?);
    let mut columns = Vec::new();
    let writer = ArrowWriter::try_new(&mut columns, schema.clone(), None).map_err(|error| failed(&error))?;
    writer.close().map_err(|error| failed(&error))?;
    run_dir.folder().write(COLUMNS, columns)?;
    run_dir.write_json(BRIEF, &brief)?;
    Ok(brief.run)
}

/// Removes what workers need to know: the run is over, and who comes late has nothing to do any more.
pub fn forget_brief(run_dir: &RunDir) -> Result<()> {
    [BRIEF, COLUMNS].into_iter().try_for_each(|path| run_dir.folder().remove(path))
}

/// A run as a worker knows it.
pub struct Known {
    /// Its folder.
    pub run_dir: RunDir,
    /// Its passes.
    pub passes: Passes,
    files: Vec<InputFile>,
    tasks: Vec<Task>,
    /// The index that its one stage reads, once it is needed.
    index: OnceLock<Index>,
}

impl Known {
    /// Gets to know the run in a folder.
    pub fn read(place: &str, run: &str) -> Result<Self> {
        let run_dir = RunDir::new(Folder::parse(place)?);
        let Some(brief) = run_dir.read_json::<Brief>(BRIEF)? else {
            return Err(Error::io(place, format!("there is no {BRIEF}; is this folder shared by all machines?")));
        };
        if brief.version != env!("CARGO_PKG_VERSION") {
            let own = env!("CARGO_PKG_VERSION");
            return Err(Error::io(place, format!("the run is by trommel {}, this executor is {own}", brief.version)));
        }
        if brief.run != run {
            return Err(Error::io(place, "another run is in this folder now"));
        }
        let failed = |error: &dyn std::fmt::Display| Error::io(run_dir.folder().name_of(BRIEF), error);
        let table = serde_json::from_str(&brief.pipeline).map_err(|error| failed(&error))?;
        let pipeline =
            Arc::new(Pipeline::from_table(table, "the pipeline of the run").map_err(|error| failed(&error))?);
        let columns = run_dir.folder().read(COLUMNS)?.ok_or_else(|| failed(&format!("there is no {COLUMNS}")))?;
        let columns = ArrowReaderMetadata::load(&columns, Default::default()).map_err(|error| failed(&error))?;
        let passes = Passes::new(&pipeline, columns.schema())?;
        let mut folders = BTreeMap::new();
        let files = brief.files.into_iter();
        let encoding = pipeline.input.encoding;
        let files = files.map(|at| {
            let file = InputFile::at(&mut folders, &at.location, at.name, at.size, at.etag)?;
            Ok(file.encoded(encoding))
        });
        let files = files.collect::<Result<_>>()?;
        Ok(Self { files, tasks: brief.tasks, run_dir, passes, index: OnceLock::new() })
    }

    /// The number of tasks.
    pub fn n_tasks(&self) -> u32 {
        self.tasks.len() as u32
    }

    /// The index of earlier corpora. Opened once, for sets that are in a bucket are fetched once for each opening.
    pub(super) fn index(&self, earlier: &EarlierIndex) -> Result<&Index> {
        if self.index.get().is_none() {
            // Who comes second finds that it is there.
            let _ = self.index.set(earlier.open()?);
        }
        Ok(self.index.get().expect("it was just put there"))
    }

    /// What a task reads in a pass.
    pub fn source(&self, pass: usize, task: u32) -> Result<Source> {
        let planned = &self.tasks[task as usize];
        let mut source = Source {
            pieces: planned.pieces.iter().map(|piece| (self.files[piece.shard].clone(), *piece)).collect(),
            limit: planned.limit,
            piece_rows: None,
        };
        for before in 0..pass {
            let report = self.report(before, task)?;
            source = self.passes.source_after(before, &report, source, &self.run_dir)?;
        }
        Ok(source)
    }

    /// What a task has done in a pass.
    pub(super) fn report(&self, pass: usize, task: u32) -> Result<TaskReport> {
        let path = RunDir::report(pass, task);
        let report = self.run_dir.read_json(&path)?;
        report.ok_or_else(|| Error::io(self.run_dir.folder().name_of(&path), "the task has no report"))
    }
}

/// An error as a worker tells it to the driver.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// An input file is broken.
    Shard {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// Anything else: it may go better another time.
    Other(String),
}

impl Told {
    /// In words that travel.
    pub fn of(error: &Error) -> String {
        let told = match error {
            Error::Shard { file, message } => Self::Shard { file: file.clone(), message: message.clone() },
            other => Self::Other(other.to_string()),
        };
        serde_json::to_string(&told).expect("strings are JSON")
    }

    /// The reverse of [`Told::of`]; what is in other words is taken as it is.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self::Other(text.to_owned()))
    }
}
