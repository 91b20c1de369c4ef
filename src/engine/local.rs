//! The embedded engine: threads of one machine, spill files on one disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::candidates::Texts;
use super::meeting::{self, Hands, MAX_OPEN, Meeting};
use super::{Beginning, Cut, Engine};
use crate::budget::{Budget, Progress, Total};
use crate::doc::Holder;
use crate::error::{Error, Result};
use crate::exchange::group::{GroupStats, Room, group_first_k};
use crate::exchange::record::{EdgeRow, Routed};
use crate::exchange::sets::SetFile;
use crate::exchange::sort::{RunWriter, Sorter, SpillDir, merge_files};
use crate::exchange::verify::{Fates, VerifyStats, verify};
use crate::report::ExchangeReport;
use crate::stage::{DocSet, Edge, Exchange, Pair, PairJudge, Rows, Table};
use crate::store::{ClosedFile, LocalFile, ReadAt};
use crate::task::{self, PassJob, Resources, Source, TaskReport};

/// The bytes below which a task in flight cannot work well: tasks run at once only where there is this much for each.
const TASK_MEMORY: u64 = 96 << 20;

/// The embedded engine.
pub struct Local {
    pool: ThreadPool,
    memory: u64,
    work_dir: PathBuf,
    begun: AtomicBool,
    spill: SpillDir,
}

impl Local {
    /// An engine of `threads` threads and about `memory` bytes, which spills to `work_dir`, a folder of its own.
    pub fn new(threads: usize, memory: u64, work_dir: &Path) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("trommel-{i}"))
            .build()
            .map_err(|error| Error::io("threads", error))?;
        let (work_dir, spill) = (work_dir.to_owned(), SpillDir::new(work_dir));
        Ok(Self { pool, memory, work_dir, begun: AtomicBool::new(false), spill })
    }

    /// The bytes it may hold.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// Its threads.
    pub(super) fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Where it spills.
    pub(super) fn spill(&self) -> &SpillDir {
        &self.spill
    }

    /// The bytes spilled so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.spill.stats().bytes()
    }

    /// Takes the work folder for its own: what a killed run left there goes.
    pub(super) fn clear(&self) -> Result<()> {
        self.begun.store(true, Ordering::Relaxed);
        remove_folder(&self.work_dir)?;
        fs::create_dir_all(&self.work_dir).map_err(|error| Error::io(self.work_dir.display(), error))
    }

    /// The chunks a task may have on their way: enough in all that no thread waits for work.
    pub(super) fn in_flight(&self, tasks_at_once: usize) -> usize {
        (2 * self.pool.current_num_threads()).div_ceil(tasks_at_once) + 1
    }

    fn tasks_at_once(&self) -> usize {
        ((self.memory / TASK_MEMORY) as usize).clamp(1, self.pool.current_num_threads())
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.begun.load(Ordering::Relaxed) {
            // What stays is swept by the next run.
            let _ = remove_folder(&self.work_dir);
        }
    }
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path.display(), error)),
        _ => Ok(()),
    }
}

impl Engine for Local {
    fn begin(&self, _: &Beginning<'_>) -> Result<()> {
        self.clear()
    }

    fn map(&self, job: &PassJob<'_>, tasks: &[(u32, Source)], progress: &Progress) -> Result<Vec<TaskReport>> {
        let at_once = self.tasks_at_once().min(tasks.len()).max(1);
        // Half for batches on their way, the rest for readers, writers and keys.
        let budget = Budget::new(self.memory / 2);
        let resources = Resources {
            pool: &self.pool,
            budget: &budget,
            progress,
            in_flight: self.in_flight(at_once),
            window: self.memory / 16 / at_once as u64,
            key_memory: (self.memory / 4) as usize / at_once,
            spill: &self.spill,
        };
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let results: Vec<Mutex<Option<Result<TaskReport>>>> = tasks.iter().map(|_| Mutex::default()).collect();
        std::thread::scope(|threads| {
            for _ in 0..at_once {
                threads.spawn(|| {
                    while !failed.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some((task, source)) = tasks.get(index) else { return };
                        let result = task::run(job, *task, source, &resources);
                        failed.fetch_or(result.is_err(), Ordering::Relaxed);
                        *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    }
                });
            }
        });
        let results: Vec<_> =
            results.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        results.into_iter().collect()
    }

    fn exchange(&self, cut: &Cut<'_>, progress: &Progress) -> Result<ExchangeReport> {
        meeting::exchange(self, cut, progress)
    }
}

/// Tables of pairs are files of [`Routed`] pairs, sorted and each pair once per file: so to route is to do
/// nothing, and to make distinct is to merge the files.
impl Hands for Local {
    fn desk(&self) -> &Local {
        self
    }

    fn group(&self, meeting: &mut Meeting<'_>, sections: Range<usize>, k: usize) -> Result<(Table<Pair>, GroupStats)> {
        let n_threads = self.pool.current_num_threads().min(sections.len()).max(1);
        let memory = meeting.memory(2 * n_threads);
        let jobs: Vec<_> = sections.map(|section| (section, meeting.path("pairs"))).collect();
        let (meeting, files) = (&*meeting, meeting.key_files()?);
        let group = |(section, path): (usize, PathBuf)| {
            meeting.progress.check()?;
            let mut pairs = Sorter::<Routed>::unique(&self.spill, memory);
            let earlier = meeting.earlier_leaders(section, memory)?;
            let room = Room { dir: &self.spill, memory };
            let alive = |doc| !meeting.gone.contains(doc);
            let section = meeting.section + section;
            let stats = group_first_k(files, section, k, earlier, room, alive, |pair| pairs.push(Routed(pair)))?;
            let n_rows = pairs.write_to(&path)?;
            Ok((path.display().to_string(), n_rows, stats))
        };
        let done = self.pool.install(|| jobs.into_par_iter().map(group).collect::<Result<Vec<_>>>())?;
        let mut stats = GroupStats::default();
        let (mut names, mut n_rows) = (Vec::new(), 0);
        for (name, rows, of_section) in done {
            stats += of_section;
            n_rows += rows;
            names.push(name);
        }
        Ok((Table::new(names, n_rows), stats))
    }

    fn distinct(&self, meeting: &mut Meeting<'_>, pairs: Table<Pair>) -> Result<Table<Pair>> {
        let path = meeting.path("pairs");
        let name = path.display().to_string();
        let memory = meeting.memory(1);
        let file = File::create(&path).map_err(|error| Error::io(&name, error))?;
        let mut writer = RunWriter::new(BufWriter::with_capacity(256 << 10, file), &name, 32 << 10)?;
        let mut n_rows = 0;
        for pair in merged_pairs(&pairs, memory)? {
            writer.push(&Routed(pair?))?;
            n_rows += 1;
        }
        writer.finish()?;
        discard(&pairs)?;
        Ok(Table::new(vec![name], n_rows))
    }

    fn verify(
        &self,
        meeting: &mut Meeting<'_>,
        pairs: &Table<Pair>,
        judge: &dyn PairJudge,
    ) -> Result<(Table<Edge>, VerifyStats)> {
        let memory = meeting.memory(4);
        let mut candidates = meeting.bits();
        for pair in merged_pairs(pairs, memory)? {
            let pair = pair?;
            candidates.insert(pair.first.doc);
            candidates.insert(pair.second.doc);
        }
        // The index needs the sets of others too.
        meeting.leaving().into_iter().flat_map(DocSet::iter).for_each(|doc| candidates.insert(doc));
        let name = &meeting.cut.pipeline.stages[meeting.stage].name;
        let n_candidates = (0..meeting.cut.rows.len() as u32).map(|task| candidates.count_in_task(task)).sum();
        meeting.progress.begin(format!("{name}: sets of candidates"), Total::Rows(n_candidates));
        let files = self.write_sets(meeting, &candidates, judge)?;
        meeting.keep_sets(&files);
        meeting.progress.begin(format!("{name}: verification"), Total::Unknown);
        let sets = |holder| match holder {
            Holder::Task(task) => files.get(&task).cloned().ok_or_else(|| Error::io(holder, "it has no sets")),
            Holder::Part(part) => meeting.earlier_sets(part),
        };
        let mut edges = Sorter::<EdgeRow>::new(&self.spill, memory);
        let pairs_in = merged_pairs(pairs, memory)?;
        let fates = judge.settles_at().map(|threshold| Fates::new(threshold, meeting.bits()));
        let stats = self.pool.install(|| {
            verify(pairs_in, &sets, judge, memory, fates, |edge| {
                meeting.progress.check()?;
                edges.push(EdgeRow(edge))
            })
        })?;
        discard(pairs)?;
        let path = meeting.path("edges");
        let n_rows = edges.write_to(&path)?;
        Ok((Table::new(vec![path.display().to_string()], n_rows), stats))
    }

    fn pairs(&self, _: &Meeting<'_>, table: &Table<Pair>, memory: usize) -> Result<Rows<Pair>> {
        Ok(Box::new(merged_pairs(table, memory)?))
    }

    fn edges(&self, _: &Meeting<'_>, table: &Table<Edge>, memory: usize) -> Result<Rows<Edge>> {
        let edges = merge_files::<EdgeRow>(&table.files, memory, false)?;
        Ok(Box::new(edges.map(|edge| edge.map(|row| row.0))))
    }
}

impl Local {
    /// The shingle sets of the documents in `candidates`, in a file for each task that has any.
    fn write_sets(
        &self,
        meeting: &mut Meeting<'_>,
        candidates: &DocSet,
        judge: &dyn PairJudge,
    ) -> Result<BTreeMap<u32, Arc<SetFile>>> {
        let n_tasks = meeting.cut.rows.len();
        let mut files = BTreeMap::new();
        for task in (0..n_tasks as u32).filter(|&task| candidates.count_in_task(task) > 0) {
            let path = meeting.path("sets");
            let name = path.display().to_string();
            let failed = |error| Error::io(&name, error);
            let file = BufWriter::with_capacity(256 << 10, File::create(&path).map_err(failed)?);
            Texts::of(meeting.cut, task).write_sets(candidates, judge, self, meeting.progress, file, &name)?;
            meeting.report.set_bytes += fs::metadata(&path).map_err(failed)?.len();
            let file: Arc<dyn ReadAt> =
                if n_tasks > MAX_OPEN { Arc::new(ClosedFile::new(&path)?) } else { Arc::new(LocalFile::open(&path)?) };
            files.insert(task, Arc::new(SetFile::open(file, &name)?));
        }
        Ok(files)
    }
}

/// The pairs of a table, each once, in the order of [`Routed`].
fn merged_pairs(table: &Table<Pair>, memory: usize) -> Result<impl Iterator<Item = Result<Pair>> + use<>> {
    let pairs = merge_files::<Routed>(&table.files, memory, true)?;
    Ok(pairs.map(|pair| pair.map(|routed| routed.0)))
}

/// Removes the files of a table that is no longer needed.
fn discard<R>(table: &Table<R>) -> Result<()> {
    table.files.iter().try_for_each(|file| fs::remove_file(file).map_err(|error| Error::io(file, error)))
}
