//! The engine of many machines: waves of tasks for a [`Fleet`], and files in storage that all of them share.
//!
//! ```text
//! a pass      a wave of its tasks
//! group       a wave of sections: the keys of a section, in the key files of all tasks, meet and leave pairs
//! distinct    a wave of tasks: each brings together the pairs of its documents
//! verify      a wave of tasks: each makes the sets of its candidates; another: each judges its pairs
//! rulings     here, where edges stream by and a document takes a bit
//! ```
//!
//! Nothing goes from machine to machine but through files, which appear whole or not at all, and every step leaves the
//! same bytes whoever does it. So recovery is one rule, that of [waves](super::waves): a task is done when its last file is
//! there, and what is not done is ordered again. Before a step counts, the rows that went in and came out of its tasks are added up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::local::Local;
use super::meeting::{self, Hands, Meeting};
use super::orders::{Done, EarlierIndex, Order, Step, done_of, leave_brief, part_of};
use super::waves::{DoneFiles, get_done, read_all};
use super::worker::Ahead;
use super::{Beginning, Cut, Engine};
use crate::budget::{Progress, Total};
use crate::error::{Error, Result};
use crate::exchange::bits::write_bits;
use crate::exchange::group::{GroupStats, Room, merged};
use crate::exchange::parts::PartsFile;
use crate::exchange::record::{EdgeRow, Routed};
use crate::exchange::sets::SetFile;
use crate::exchange::sort::RunReader;
use crate::exchange::verify::VerifyStats;
use crate::fleet::{Fleet, Wave};
use crate::report::ExchangeReport;
use crate::run_dir::RunDir;
use crate::stage::{Edge, Pair, PairJudge, Rows, Table};
use crate::store::ReadAt;
use crate::tally::Tally;
use crate::task::{PassJob, Source, TaskReport};

/// The engine of many machines.
pub struct Cluster<F> {
    desk: Local,
    fleet: F,
    /// The folder of the run, as other machines name it, and the run's name.
    run: OnceLock<(String, String)>,
}

impl<F: Fleet> Cluster<F> {
    /// An engine whose tasks a fleet does. What is left to do here is done on `desk`.
    pub fn new(desk: Local, fleet: F) -> Self {
        Self { desk, fleet, run: OnceLock::new() }
    }

    fn order(&self, step: Step) -> String {
        let (place, run) = self.run.get().cloned().expect("an engine is told of a run before it is asked for anything");
        serde_json::to_string(&Order { place, run, step }).expect("names and numbers are JSON")
    }

    /// A wave of a step of the exchange, and the sums of what its tasks have done.
    fn step(&self, meeting: &mut Meeting<'_>, name: &str, step: Step, into: &str, n_tasks: usize) -> Result<Done> {
        let stage = &meeting.cut.pipeline.stages[meeting.stage].name;
        let name = format!("{stage}: {name}");
        meeting.progress.begin(name.clone(), Total::Rows(n_tasks as u64));
        let folder = meeting.cut.run_dir.folder();
        let done = DoneFiles { folder, path: format!("{into}/done") };
        let tasks: Vec<u32> = (0..n_tasks as u32).collect();
        let count = |_| {
            meeting.progress.rows.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let order = self.order(step);
        let wave = Wave { name: &name, order: &order, tasks: &tasks };
        get_done(&self.fleet, &wave, &done, meeting.progress, &count)?;
        let mut sum = Done::default();
        let done: Vec<_> = tasks.iter().map(|&task| done_of(into, task)).collect();
        read_all::<Done>(meeting.cut.run_dir, &done)?.into_iter().for_each(|done| sum += done);
        meeting.report.spilled_bytes += sum.spilled_bytes;
        *meeting.report.shared_bytes.entry(name).or_default() += sum.bytes;
        Ok(sum)
    }
}

impl<F: Fleet> Engine for Cluster<F> {
    fn begin(&self, run: &Beginning<'_>) -> Result<()> {
        self.desk.clear()?;
        let name = leave_brief(run.run_dir, run.pipeline, run.files, run.tasks, run.schema)?;
        let place = run.run_dir.folder().location_of("").display().to_string();
        // Told once a run, and an engine has one.
        let _ = self.run.set((place, name));
        Ok(())
    }

    fn map(&self, job: &PassJob<'_>, tasks: &[(u32, Source)], progress: &Progress) -> Result<Vec<TaskReport>> {
        let numbers: Vec<u32> = tasks.iter().map(|(task, _)| *task).collect();
        let folder = job.run_dir.folder();
        let done = DoneFiles { folder, path: format!("_trommel/{}/reports", job.pass) };
        let step = Step::Pass { pass: job.pass, whole: job.columns.others.is_none() };
        let read = |task| job.run_dir.read_json::<TaskReport>(&RunDir::report(job.pass, task));
        let look = |task| {
            let Some(TaskReport { tally, .. }) = read(task)? else { return Ok(()) };
            progress.rows.fetch_add(tally.rows_in, Ordering::Relaxed);
            progress.kept.fetch_add(tally.rows_kept, Ordering::Relaxed);
            progress.bytes.fetch_add(tally.bytes_in, Ordering::Relaxed);
            Ok(())
        };
        let (name, order) = (format!("pass {}", job.pass + 1), self.order(step));
        let wave = Wave { name: &name, order: &order, tasks: &numbers };
        get_done(&self.fleet, &wave, &done, progress, &look)?;
        let reports: Vec<_> = numbers.iter().map(|&task| RunDir::report(job.pass, task)).collect();
        let reports: Vec<TaskReport> = read_all(job.run_dir, &reports)?;
        for (report, task) in reports.iter().zip(numbers) {
            let Tally { rows_in, rows_kept, rows_rejected, .. } = &report.tally;
            if report.task != task || job.writes && *rows_in != rows_kept + rows_rejected {
                return Err(Error::io(
                    folder.name_of(&RunDir::report(job.pass, task)),
                    format!("{rows_in} rows went in, {rows_kept} were kept and {rows_rejected} rejected"),
                ));
            }
        }
        Ok(reports)
    }

    fn exchange(&self, cut: &Cut<'_>, progress: &Progress) -> Result<ExchangeReport> {
        meeting::exchange(self, cut, progress)
    }
}

/// Tables are files of parts, one for each section that proposed pairs or each task that they were routed to, and
/// files of edges, one for each task.
impl<F: Fleet> Hands for Cluster<F> {
    fn desk(&self) -> &Local {
        &self.desk
    }

    fn group(&self, meeting: &mut Meeting<'_>, sections: Range<usize>, k: usize) -> Result<(Table<Pair>, GroupStats)> {
        let pass = meeting.cut.pass.index;
        let folder = meeting.cut.run_dir.folder();
        let into = folder_of(meeting, "pairs");
        let gone = if meeting.gone.iter().next().is_some() {
            let path = format!("{into}/gone");
            write_bits(&meeting.gone, folder.create(&path)?, &path)?.finish()?;
            Some(path)
        } else {
            None
        };
        let n_sections = sections.len();
        let first_section = meeting.section + sections.start;
        let (of_stage, earlier) = (sections.start, earlier_of(meeting));
        let step = Step::Group { pass, first_section, of_stage, k, gone, earlier, into: into.clone() };
        let done = self.step(meeting, "keys meet", step, &into, n_sections)?;
        let files = (0..n_sections as u32).map(|section| part_of(&into, section)).collect();
        Ok((Table::new(files, done.rows), GroupStats { groups: done.groups, above_k: done.above_k, pairs: done.rows }))
    }

    fn distinct(&self, meeting: &mut Meeting<'_>, pairs: Table<Pair>) -> Result<Table<Pair>> {
        let into = folder_of(meeting, "routed");
        let n_tasks = meeting.cut.rows.len();
        let n_sections = pairs.files.len() as u32;
        let step = Step::Route { pairs: folder_above(&pairs)?, n_sections, into: into.clone() };
        let done = self.step(meeting, "pairs", step, &into, n_tasks)?;
        must_be_equal(&into, "pairs were proposed and brought together", pairs.n_rows, done.rows_in)?;
        Ok(Table::new((0..n_tasks as u32).map(|task| part_of(&into, task)).collect(), done.rows))
    }

    fn verify(
        &self,
        meeting: &mut Meeting<'_>,
        pairs: &Table<Pair>,
        _: &dyn PairJudge,
    ) -> Result<(Table<Edge>, VerifyStats)> {
        let (pass, stage, n_tasks) = (meeting.cut.pass.index, meeting.stage, meeting.cut.rows.len());
        let (routed, sets) = (folder_above(pairs)?, folder_of(meeting, "sets"));
        let leaving = match meeting.leaving() {
            Some(members) => {
                let path = format!("{sets}/leaving");
                write_bits(members, meeting.cut.run_dir.folder().create(&path)?, &path)?.finish()?;
                Some(path)
            }
            None => None,
        };
        let leaves = leaving.is_some();
        let step = Step::Sets { pass, stage, pairs: routed.clone(), leaving, into: sets.clone() };
        let done = self.step(meeting, "sets of candidates", step, &sets, n_tasks)?;
        must_be_equal(&sets, "candidates were found and made into sets", done.rows_in, done.rows)?;
        meeting.report.set_bytes += done.bytes;
        if leaves {
            let folder = meeting.cut.run_dir.folder();
            // They are read in the order they have there.
            let open = |task| -> Result<_> {
                let path = part_of(&sets, task);
                let file: Arc<dyn ReadAt> = match folder.local_path() {
                    Some(_) => folder.open_closed(&path)?,
                    None => Arc::new(Ahead::of(folder.open(&path)?)),
                };
                Ok((task, Arc::new(SetFile::open(file, &path)?)))
            };
            let files = (0..n_tasks as u32).map(open).collect::<Result<BTreeMap<_, _>>>()?;
            meeting.keep_sets(&files);
        }
        let (into, earlier) = (folder_of(meeting, "edges"), earlier_of(meeting));
        let step = Step::Verify { pass, stage, pairs: routed, sets, earlier, into: into.clone() };
        let done = self.step(meeting, "verification", step, &into, n_tasks)?;
        must_be_equal(&into, "pairs were brought together and judged", pairs.n_rows, done.rows_in)?;
        let files = (0..n_tasks as u32).map(|task| part_of(&into, task)).collect();
        let stats =
            VerifyStats { pairs: done.rows_in, spared: done.spared, out_of_bound: done.out_of_bound, edges: done.rows };
        Ok((Table::new(files, done.rows), stats))
    }

    fn pairs(&self, meeting: &Meeting<'_>, table: &Table<Pair>, memory: usize) -> Result<Rows<Pair>> {
        let folder = meeting.cut.run_dir.folder().clone();
        let files = table.files.clone().into_iter();
        let rows = files.flat_map(move |path| -> Rows<Routed> {
            let open = || PartsFile::<Routed>::open(folder.open(&path)?, &path);
            match open() {
                Ok(file) => Box::new(file.all(memory.min(4 << 20))),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        });
        Ok(Box::new(rows.map(|row| row.map(|routed| routed.0))))
    }

    fn edges(&self, meeting: &Meeting<'_>, table: &Table<Edge>, memory: usize) -> Result<Rows<Edge>> {
        let folder = meeting.cut.run_dir.folder();
        let open = |path: &String| Ok((folder.open_closed(path)?, path.clone()));
        let files: Vec<_> = table.files.iter().map(open).collect::<Result<_>>()?;
        let room = Room { dir: self.desk.spill(), memory };
        let edges = merged(files.len(), room, |file, buffer| -> Rows<EdgeRow> {
            let (file, path) = &files[file];
            match RunReader::open(file.clone(), path, buffer) {
                Ok(rows) => Box::new(rows),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        })?;
        Ok(Box::new(edges.map(|edge| edge.map(|row| row.0))))
    }
}

/// The index that the stage reads, as workers find it.
fn earlier_of(meeting: &Meeting<'_>) -> Option<EarlierIndex> {
    let (index, n_sections) = meeting.earlier_index()?;
    let place = index.folder().location_of("").display().to_string();
    Some(EarlierIndex { place, n_parts: index.parts().len(), n_sections })
}

/// A folder for what a step of an exchange leaves: the same whenever the exchange is done again.
fn folder_of(meeting: &mut Meeting<'_>, what: &str) -> String {
    format!("_trommel/{}/exchange/{}", meeting.cut.pass.index, meeting.next_name(what))
}

/// The folder that the files of a table are in.
fn folder_above(table: &Table<Pair>) -> Result<String> {
    let folder = table.files.first().and_then(|file| Some(file.rsplit_once('/')?.0.to_owned()));
    folder.ok_or_else(|| Error::io("pairs", "there is no task that they could be of"))
}

/// What went out of one step goes into the next, or nothing may be made of it.
fn must_be_equal(step: &str, what: &str, out: u64, into: u64) -> Result<()> {
    if out == into {
        return Ok(());
    }
    Err(Error::io(
        step,
        format!(
            "{out} and {into} {what}: these must be the same number; remove the folder of the step and run the same command again"
        ),
    ))
}
