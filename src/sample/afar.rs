//! A draw by many machines: they read the tasks, spread what was drawn and gather the output files. What is drawn is
//! decided where the command runs, in streams of what they have left.
//!
//! ```text
//! _trommel/brief.json   what is read, as for any run
//! _trommel/draw.json    what is to be drawn of it
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::read::{READ, TaskRead};
use super::spread::{GATHER, SPREAD, Spread};
use super::{Draw, Prepared, Sample, Settings, read, spread};
use crate::budget::Progress;
use crate::engine::orders::{Known, Told, forget_brief, leave_brief};
use crate::engine::waves::{DoneFiles, get_done, read_all};
use crate::engine::worker::TaskWorker;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Wave, Worker};
use crate::format::write::Written;
use crate::run_dir::RunDir;

/// Where the [`Brief`] of a draw is, below its folder.
const BRIEF: &str = "_trommel/draw.json";

/// What a worker needs to know of a draw beside what it reads.
#[derive(Debug, Serialize, Deserialize)]
struct Brief {
    draw: String,
    settings: Settings,
}

/// An order to do something with a task of a draw, or one of its output files.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// The folder of the draw.
    place: String,
    /// What is read.
    run: String,
    /// The draw. An order for one that is not in its folder any more is not followed.
    draw: String,
    /// What to do.
    step: Step,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Read a task.
    Read,
    /// Spread what was drawn of a task by output files.
    Spread,
    /// Gather an output file.
    Gather,
}

/// Orders for the tasks of a draw.
pub(super) struct Afar<'f> {
    fleet: &'f dyn Fleet,
    run_dir: &'f RunDir,
    place: String,
    run: String,
    draw: &'f str,
    n_tasks: u32,
}

impl<'f> Afar<'f> {
    /// Leaves in the folder of the draw what workers need to know.
    pub(super) fn begin(fleet: &'f dyn Fleet, prepared: &'f Prepared, sample: &Sample<'_>) -> Result<Self> {
        let Prepared { run_dir, input, identity, pinned, .. } = prepared;
        let run = leave_brief(run_dir, sample.pipeline, &input.files, &identity.tasks, &input.schema)?;
        let draw = &pinned.draw;
        run_dir.write_json(BRIEF, &Brief { draw: draw.clone(), settings: sample.settings.clone() })?;
        let place = run_dir.folder().location_of("").display().to_string();
        Ok(Self { fleet, run_dir, place, run, draw, n_tasks: identity.tasks.len() as u32 })
    }

    pub(super) fn read(&self, progress: &Progress) -> Result<Vec<TaskRead>> {
        let look = |_, read: TaskRead| {
            progress.rows.fetch_add(read.rows, Ordering::Relaxed);
        };
        self.wave("reading", Step::Read, READ, self.n_tasks, progress, &look)
    }

    pub(super) fn spread(&self, reads: &[TaskRead], progress: &Progress) -> Result<Vec<Spread>> {
        let look = |task: u32, _: Spread| {
            progress.rows.fetch_add(reads[task as usize].rows, Ordering::Relaxed);
        };
        self.wave("spreading", Step::Spread, SPREAD, self.n_tasks, progress, &look)
    }

    pub(super) fn gather(&self, n_shards: u32, progress: &Progress) -> Result<Vec<Written>> {
        let look = |_, written: Written| {
            progress.rows.fetch_add(written.rows, Ordering::Relaxed);
        };
        self.wave("gathering", Step::Gather, GATHER, n_shards, progress, &look)
    }

    /// Gets a step done, and reads what its tasks have said of it.
    fn wave<T: DeserializeOwned + Send + 'static>(
        &self,
        name: &str,
        step: Step,
        pass: usize,
        n: u32,
        progress: &Progress,
        look: &(dyn Fn(u32, T) + Sync),
    ) -> Result<Vec<T>> {
        let order = Order { place: self.place.clone(), run: self.run.clone(), draw: self.draw.to_owned(), step };
        let order = serde_json::to_string(&order).expect("names are JSON");
        let tasks: Vec<u32> = (0..n).collect();
        let wave = Wave { name, order: &order, tasks: &tasks };
        let done = DoneFiles { folder: self.run_dir.folder(), path: format!("_trommel/{pass}/reports") };
        let look = |task| {
            let said = self.run_dir.read_json::<T>(&RunDir::report(pass, task))?;
            said.into_iter().for_each(|said| look(task, said));
            Ok(())
        };
        get_done(self.fleet, &wave, &done, progress, &look)?;
        read_all(self.run_dir, &tasks.iter().map(|&task| RunDir::report(pass, task)).collect::<Vec<_>>())
    }
}

/// Removes what workers need to know: the draw is over.
pub(super) fn forget(run_dir: &RunDir) -> Result<()> {
    run_dir.folder().remove(BRIEF)?;
    forget_brief(run_dir)
}

/// Does the tasks of draws, and of runs.
pub struct DrawWorker {
    runs: TaskWorker,
    /// The draw known best.
    known: Mutex<Option<(String, Arc<KnownDraw>)>>,
}

/// A draw as a worker knows it.
struct KnownDraw {
    run: Known,
    settings: Settings,
    /// What all tasks have left for the output files; asked for when the first of these is gathered.
    spreads: OnceLock<Vec<Spread>>,
}

impl DrawWorker {
    /// A worker that leaves what is not of a draw to another.
    pub fn new(runs: TaskWorker) -> Self {
        Self { runs, known: Mutex::default() }
    }

    fn known(&self, order: &Order) -> Result<Arc<KnownDraw>> {
        let name = format!("{} {} {}", order.run, order.draw, order.place);
        let mut best = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known_name, known)) = &*best
            && *known_name == name
        {
            return Ok(known.clone());
        }
        let run = Known::read(&order.place, &order.run)?;
        let brief = run.run_dir.read_json::<Brief>(BRIEF)?;
        let brief = brief.filter(|brief| brief.draw == order.draw);
        let Brief { settings, .. } =
            brief.ok_or_else(|| Error::io(&order.place, "another draw is in this folder now"))?;
        let known = Arc::new(KnownDraw { run, settings, spreads: OnceLock::new() });
        *best = Some((name, known.clone()));
        Ok(known)
    }

    fn follow(&self, order: &Order, task: u32, progress: &Progress) -> Result<u64> {
        let known = self.known(order)?;
        let KnownDraw { run, settings, spreads } = &*known;
        let pipeline = run.passes.pipeline();
        let draw = Draw::new(&run.run_dir, run.passes.schema_after(0), settings, pipeline)?;
        let resources = self.runs.resources(progress);
        match order.step {
            Step::Read => Ok(read::read(&draw, task, &run.source(0, task)?, &resources)?.rows),
            Step::Spread => {
                let read = read::report(&draw, task)?.ok_or_else(|| Error::io("a draw", "the task was not read"))?;
                let held = spread::held(self.runs.memory_of_task());
                Ok(spread::spread(&draw, task, &read.again(run.source(0, task)?), held, &resources)?.rows())
            }
            Step::Gather => {
                let spreads = match spreads.get() {
                    Some(spreads) => spreads,
                    None => {
                        let paths: Vec<_> = (0..run.n_tasks()).map(|task| RunDir::report(SPREAD, task)).collect();
                        let all = read_all(&run.run_dir, &paths)?;
                        spreads.get_or_init(|| all)
                    }
                };
                let gather = || spread::gather(&draw, task, spreads);
                Ok(resources.pool.install(gather)?.rows)
            }
        }
    }
}

impl Worker for DrawWorker {
    fn run(&self, wave: &str, order: &str, task: u32, stop: &Arc<AtomicBool>) -> Result<String, String> {
        // An order of a run names no draw.
        let Ok(of_draw) = serde_json::from_str::<Order>(order) else { return self.runs.run(wave, order, task, stop) };
        tracing::info!(run = of_draw.run, wave, task, "begins");
        let outcome = self.follow(&of_draw, task, &Progress::stopped_by(stop.clone()));
        match &outcome {
            Ok(rows) => tracing::info!(run = of_draw.run, wave, task, rows, "done"),
            Err(error) => tracing::warn!(run = of_draw.run, wave, task, "{error}"),
        }
        outcome.map(|rows| rows.to_string()).map_err(|error| Told::of(&error))
    }
}
