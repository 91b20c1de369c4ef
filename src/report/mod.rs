//! What happened in a run: `report.json`, and the table at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exchange::index::IndexPart;
use crate::pairs::Choice;
use crate::pipeline::Pipeline;
use crate::plan::{Layout, Shard};
use crate::tally::{StageTally, Tally};
use crate::task::{Failure, TaskReport};

pub mod alarms;
pub mod curve;
pub mod html;
pub mod table;
mod uses;

pub use alarms::Alarm;

/// What happened in a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// The version of this program.
    pub version: String,
    /// Rows read.
    pub rows_in: u64,
    /// Rows kept.
    pub rows_kept: u64,
    /// Rows rejected.
    pub rows_rejected: u64,
    /// Rows of files that broke, as far as the files tell.
    pub rows_failed: u64,
    /// Whether every file that broke tells how many rows it had.
    pub rows_failed_known: bool,
    /// Bytes of text read.
    pub bytes_in: u64,
    /// Bytes of text kept.
    pub bytes_kept: u64,
    /// Bytes of text rejected.
    #[serde(default)]
    pub bytes_rejected: u64,
    /// Tokens kept: as the column `token_count` has them, of a stage or of the input, or else estimated as by `counts`
    /// without settings.
    #[serde(default)]
    pub tokens_kept: u64,
    /// Tokens rejected, the same. A document that goes before its tokens are counted goes with an estimate.
    #[serde(default)]
    pub tokens_rejected: u64,
    /// Documents whose tokens, kept or rejected, are estimated.
    #[serde(default)]
    pub tokens_estimated: u64,
    /// Rows that were no documents, by reason.
    pub reader: BTreeMap<String, u64>,
    /// Rows that are not UTF-8 and whose encoding was guessed, by what it was taken for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guessed: BTreeMap<String, u64>,
    /// The stages, in order.
    pub stages: Vec<StageReport>,
    /// The exchanges.
    pub exchanges: Vec<ExchangeReport>,
    /// What the guards of stages call out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// Files that could not be read to the end.
    pub failed: Vec<Failure>,
    /// Input files.
    pub input_files: usize,
    /// Tasks.
    pub tasks: usize,
    /// The files with the documents that stay.
    pub kept_files: Vec<String>,
    /// The files with the rejects.
    pub rejected_files: Vec<String>,
    /// Core seconds spent reading, in stages, in exchanges and writing, over all invocations of the run.
    pub core_seconds: CoreSeconds,
    /// Seconds from begin to end of the invocation that finished the run.
    pub seconds: f64,
    /// Whether earlier invocations did a part of it, so that `seconds` is not the time of the whole.
    #[serde(default)]
    pub continued: bool,
    /// Whether there was nothing left to do.
    #[serde(skip)]
    pub already_done: bool,
}

/// Where the time of cores went.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct CoreSeconds {
    /// Reading, decompressing, decoding.
    pub read: f64,
    /// In stages.
    pub stages: f64,
    /// Letting keys meet.
    pub exchange: f64,
    /// Encoding, compressing, writing, sorting keys.
    pub write: f64,
}

/// What one stage did in a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageReport {
    /// Its name in the pipeline.
    pub name: String,
    /// Its own name.
    pub stage: String,
    /// The sums.
    #[serde(flatten)]
    pub tally: StageTally,
    /// Its share of the time of all stages.
    pub time_share: f64,
}

/// What happened in an exchange.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExchangeReport {
    /// The pass before it.
    pub pass: usize,
    /// What the stages left for the report, by stage.
    pub notes: BTreeMap<String, BTreeMap<String, u64>>,
    /// What the stages measured, by stage.
    #[serde(default)]
    pub measures: BTreeMap<String, BTreeMap<String, f64>>,
    /// The threshold that was chosen by what it keeps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub choice: Option<Choice>,
    /// The clusters above `max_cluster`, by the stage that sets it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, LargeClusters>,
    /// What was left for an index of earlier corpora.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<IndexPart>,
    /// Documents ruled on.
    pub rulings: u64,
    /// Bytes of temporary files for sorting.
    pub spilled_bytes: u64,
    /// Bytes of sets for verification.
    pub set_bytes: u64,
    /// The bytes that steps done by many machines have left for each other, by stage and step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shared_bytes: BTreeMap<String, u64>,
    /// Seconds it took.
    pub seconds: f64,
    /// Core seconds it took.
    #[serde(default)]
    pub core_seconds: f64,
}

/// The clusters of duplicates above a limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LargeClusters {
    /// How many there are.
    pub above: u64,
    /// The largest, at most ten, the largest first.
    pub largest: Vec<LargeCluster>,
}

/// A cluster of duplicates, named by the document that stands for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LargeCluster {
    /// Its id, where the corpus has ids.
    pub id: Option<String>,
    /// Its content key, in hexadecimal digits.
    pub key: String,
    /// How many documents it stands for, itself included.
    pub documents: u64,
}

/// What happened in a pass.
#[derive(Debug, Clone)]
pub struct PassReport {
    /// Its number.
    pub pass: usize,
    /// Whether it left documents.
    pub writes: bool,
    /// Its tasks.
    pub tasks: Vec<TaskReport>,
}

impl Report {
    /// Adds everything up, and makes sure that nothing was lost on the way.
    pub fn new(
        pipeline: &Pipeline,
        shards: &[Shard],
        passes: &[PassReport],
        exchanges: Vec<ExchangeReport>,
        seconds: f64,
    ) -> Result<Self> {
        let mut total = Tally::default();
        for task in passes.iter().flat_map(|pass| &pass.tasks) {
            total += &task.tally;
        }
        let sum =
            |pass: &PassReport, pick: fn(&Tally) -> u64| pass.tasks.iter().map(|task| pick(&task.tally)).sum::<u64>();
        let (Some(first), Some(last)) = (passes.first(), passes.last()) else { return Ok(Self::default()) };
        let failed: Vec<Failure> = first.tasks.iter().flat_map(|task| task.failed.clone()).collect();
        let stage_nanos: u64 = total.stages.values().map(|stage| stage.nanos).sum();
        let stages = pipeline.stages.iter().enumerate().map(|(index, spec)| {
            let tally = total.stages.get(&index).cloned().unwrap_or_default();
            let time_share = tally.nanos as f64 / (stage_nanos as f64).max(1.0);
            StageReport { name: spec.name.clone(), stage: spec.kind.to_owned(), tally, time_share }
        });
        let stages: Vec<_> = stages.collect();
        let gone = || total.stages.values().chain([&total.door]);
        let report = Self {
            version: env!("CARGO_PKG_VERSION").into(),
            rows_in: sum(first, |tally| tally.rows_in),
            rows_kept: sum(last, |tally| tally.rows_kept),
            rows_rejected: total.rows_rejected,
            rows_failed: failed.iter().filter_map(|failure| failure.rows).sum(),
            rows_failed_known: failed.iter().all(|failure| failure.rows.is_some()),
            bytes_in: sum(first, |tally| tally.bytes_in),
            bytes_kept: sum(last, |tally| tally.bytes_kept),
            bytes_rejected: gone().map(StageTally::n_dropped_bytes).sum(),
            tokens_kept: sum(last, |tally| tally.tokens_kept),
            tokens_rejected: gone().map(StageTally::n_dropped_tokens).sum(),
            // What one pass keeps, a later one may count or drop.
            tokens_estimated: sum(last, |tally| tally.kept_estimated) + total.rejected_estimated,
            reader: total.door.dropped.clone(),
            guessed: total.guessed.clone(),
            alarms: alarms::raised(pipeline, &stages, &exchanges),
            stages,
            failed,
            input_files: shards.len(),
            tasks: first.tasks.len(),
            kept_files: last.tasks.iter().filter_map(|task| task.kept.as_ref()).map(|file| file.path.clone()).collect(),
            rejected_files: passes
                .iter()
                .flat_map(|pass| &pass.tasks)
                .filter_map(|task| task.rejected.as_ref())
                .map(|file| file.path.clone())
                .collect(),
            core_seconds: CoreSeconds {
                read: total.read_nanos as f64 / 1e9,
                stages: total.stage_nanos as f64 / 1e9,
                exchange: exchanges.iter().map(|exchange| exchange.core_seconds).sum(),
                write: total.write_nanos as f64 / 1e9,
            },
            exchanges,
            seconds,
            continued: false,
            already_done: false,
        };
        report.check_conservation(shards, passes)?;
        Ok(report)
    }

    /// The columns in which no document that came to a stage had a value, though the stage looks at them: the stage's name
    /// and the column's.
    pub fn missing_columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stages.iter().flat_map(|stage| {
            let missing = stage.tally.columns.iter().filter(|(_, found)| !**found);
            missing.map(|(column, _)| (stage.name.as_str(), column.as_str()))
        })
    }

    /// Rows in = rows kept + rows rejected, in every pass and over all; and every row that the input's footers
    /// promise was read or is reported as failed.
    fn check_conservation(&self, shards: &[Shard], passes: &[PassReport]) -> Result<()> {
        let lost =
            |what: String| Err(Error::io("the run", format!("{what}; this is a bug, the output must not be used")));
        for task in passes.iter().filter(|pass| pass.writes).flat_map(|pass| &pass.tasks) {
            let tally = &task.tally;
            let written =
                task.kept.as_ref().map_or(0, |file| file.rows) + task.rejected.as_ref().map_or(0, |file| file.rows);
            if tally.rows_in != tally.rows_kept + tally.rows_rejected || tally.rows_in != written {
                return lost(format!("task {}: {} rows read, {} written", task.task, tally.rows_in, written));
            }
        }
        if self.rows_in != self.rows_kept + self.rows_rejected {
            return lost(format!(
                "{} rows read, {} kept and {} rejected",
                self.rows_in, self.rows_kept, self.rows_rejected
            ));
        }
        let promised = shards.iter().map(|shard| match &shard.layout {
            Layout::RowGroups(groups) => Some(groups.iter().map(|group| group.rows).sum::<u64>()),
            Layout::Lines | Layout::Stream | Layout::Unreadable(_) => None,
        });
        let promised: Option<u64> = promised.sum();
        let limited = passes.first().is_some_and(|pass| pass.tasks.iter().any(|task| task.limited));
        if let Some(promised) = promised.filter(|_| !limited && self.rows_failed_known)
            && promised != self.rows_in + self.rows_failed
        {
            return lost(format!(
                "the files have {promised} rows, {} were read and {} failed",
                self.rows_in, self.rows_failed
            ));
        }
        Ok(())
    }
}
