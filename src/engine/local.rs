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

use super::{Cut, Engine};
use crate::budget::{Budget, Progress, Total};
use crate::doc::{DocId, Holder, Value};
use crate::error::{Error, Result};
use crate::exchange::clusters::{Above, Cluster, clusters};
use crate::exchange::drops::{self, DropRow};
use crate::exchange::group::{self, GroupStats, Room, group_first_k};
use crate::exchange::keys::KeyFile;
use crate::exchange::record::{BySecond, EdgeRow, ExternalKey, Routed, Ruling, RulingKind};
use crate::exchange::sets::{SetFile, SetWriter};
use crate::exchange::sort::{RunWriter, Sorter, SpillDir, merge_files};
use crate::exchange::verify::{Fates, VerifyStats, verify};
use crate::format::Columns;
use crate::pairs::Pairs;
use crate::report::{ExchangeReport, LargeCluster, LargeClusters};
use crate::run_dir::RunDir;
use crate::stage::{
    CorpusStage, DocSet, Duplicate, Edge, Exchange, Known, NeedKind, Pair, PairJudge, Rows, Stage, Table, Target,
};
use crate::store::{ClosedFile, LocalFile, ReadAt};
use crate::tally::process_nanos;
use crate::task::{self, PassJob, Reading, Resources, Source, TaskReport, Work};
use indexed::Earlier;

mod indexed;

/// The bytes below which a task in flight cannot work well: tasks run at once only where there is this much for each.
const TASK_MEMORY: u64 = 96 << 20;

/// With more tasks than this, their files are not held open: many systems allow a program 1,024.
const MAX_OPEN: usize = 200;

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

    /// The bytes spilled so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.spill.stats().bytes()
    }

    /// The chunks a task may have on their way: enough in all that no thread waits for work.
    fn in_flight(&self, tasks_at_once: usize) -> usize {
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
    fn begin(&self) -> Result<()> {
        self.begun.store(true, Ordering::Relaxed);
        // What a killed run left behind.
        remove_folder(&self.work_dir)?;
        fs::create_dir_all(&self.work_dir).map_err(|error| Error::io(self.work_dir.display(), error))
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
        let start = std::time::Instant::now();
        // Nothing else is going on meanwhile.
        let cpu_before = process_nanos();
        let spilled_before = self.spilled_bytes();
        let mut meeting = Meeting::new(self, cut, progress)?;
        let mut section = 0;
        for &index in &cut.pass.emits {
            let Stage::Corpus(stage) = &cut.pipeline.stages[index].stage else {
                unreachable!("passes are cut at corpus stages and nowhere else")
            };
            progress.begin(format!("{}: keys meet", cut.pipeline.stages[index].name), Total::Unknown);
            progress.check()?;
            meeting.begin_stage(index, section, stage.as_ref())?;
            meeting.look_at_ranks(stage.as_ref())?;
            stage.resolve(&mut meeting)?;
            section += stage.sections();
        }
        progress.begin("rulings", Total::Unknown);
        let mut report = meeting.finish()?;
        report.spilled_bytes = self.spilled_bytes() - spilled_before;
        report.seconds = start.elapsed().as_secs_f64();
        report.core_seconds = (process_nanos() - cpu_before) as f64 / 1e9;
        Ok(report)
    }
}

/// An exchange in progress.
///
/// Tables of pairs are files of [`Routed`] pairs, sorted and each pair once per file: so to route is to do
/// nothing, and to make distinct is to merge the files.
struct Meeting<'r> {
    engine: &'r Local,
    cut: &'r Cut<'r>,
    progress: &'r Progress,
    key_files: Vec<KeyFile>,
    /// Documents that grouping no longer sees.
    gone: DocSet,
    /// Documents that have been dropped.
    dropped: DocSet,
    drops: Sorter<DropRow>,
    rulings: Sorter<Ruling>,
    external: BTreeMap<usize, Sorter<ExternalKey>>,
    earlier: Earlier,
    /// The stage that resolves: its place in the pipeline, its first section, its reasons.
    stage: usize,
    section: usize,
    reasons: &'static [&'static str],
    /// Whether what it drops stays.
    annotated: bool,
    n_tables: usize,
    report: ExchangeReport,
}

impl<'r> Meeting<'r> {
    fn new(engine: &'r Local, cut: &'r Cut<'r>, progress: &'r Progress) -> Result<Self> {
        let folder = cut.run_dir.folder();
        let open = |task: u32| {
            let path = RunDir::part(cut.pass.index, "keys", task);
            let file = if cut.rows.len() > MAX_OPEN { folder.open_closed(&path)? } else { folder.open(&path)? };
            KeyFile::open(file, &folder.name_of(&path))
        };
        // A run that only cuts another one anew has sent no keys.
        let n_files = if cut.pairs.is_some() { 0 } else { cut.rows.len() as u32 };
        let key_files = (0..n_files).map(open).collect::<Result<_>>()?;
        let share = (engine.memory / 16) as usize;
        Ok(Self {
            engine,
            cut,
            progress,
            key_files,
            gone: DocSet::empty(&cut.rows),
            dropped: DocSet::empty(&cut.rows),
            drops: Sorter::new(&engine.spill, share),
            rulings: Sorter::new(&engine.spill, share),
            external: BTreeMap::new(),
            earlier: Earlier::default(),
            stage: 0,
            section: 0,
            reasons: &[],
            annotated: false,
            n_tables: 0,
            report: ExchangeReport { pass: cut.pass.index, ..ExchangeReport::default() },
        })
    }

    fn begin_stage(&mut self, index: usize, section: usize, stage: &dyn CorpusStage) -> Result<()> {
        (self.stage, self.section, self.reasons) = (index, section, stage.reasons());
        self.annotated = stage.duplicates().is_some_and(|how| how.annotated);
        // What the stage before has only annotated stays, and so is seen by this one.
        self.gone.clone_from(&self.dropped);
        self.open_earlier(stage.sections())
    }

    /// Says so if the column by which documents are ordered is in none of them: of JSON Lines, that is known only
    /// when they have been read.
    fn look_at_ranks(&self, stage: &dyn CorpusStage) -> Result<()> {
        let Some(need) = stage.ranks_by() else { return Ok(()) };
        if group::none_ranked(&self.key_files, self.section, self.memory(4))? {
            let kind = if need.kind == NeedKind::Number { "number" } else { "string" };
            tracing::warn!(
                "{}: no document has a {kind} in the column `{}`, so the first of like documents stays",
                self.cut.pipeline.stages[self.stage].name,
                need.column
            );
        }
        Ok(())
    }

    /// The bytes that one sort or merge may hold, where `n` are going on.
    fn memory(&self, n: usize) -> usize {
        (self.engine.memory / 2) as usize / n
    }

    fn path(&mut self, what: &str) -> PathBuf {
        self.n_tables += 1;
        self.engine.spill.path().join(format!("{what}-{}", self.n_tables))
    }

    fn pairs(&self, table: &Table<Pair>, memory: usize) -> Result<impl Iterator<Item = Result<Pair>> + use<>> {
        let pairs = merge_files::<Routed>(&table.files, memory, true)?;
        Ok(pairs.map(|pair| pair.map(|routed| routed.0)))
    }

    fn reason(&self, reason: &str) -> u16 {
        let index = self.reasons.iter().position(|known| *known == reason);
        index.expect("a stage drops for the reasons it lists") as u16
    }

    /// The shingle sets of the documents in `candidates`, in a file for each task that has any.
    fn write_sets(&mut self, candidates: &DocSet, judge: &dyn PairJudge) -> Result<BTreeMap<u32, Arc<SetFile>>> {
        let n_tasks = self.cut.rows.len();
        let mut files = BTreeMap::new();
        for task in (0..n_tasks as u32).filter(|&task| candidates.count_in_task(task) > 0) {
            let path = self.path("sets");
            let name = path.display().to_string();
            let failed = |error| Error::io(&name, error);
            let file = File::create(&path).map_err(failed)?;
            let mut writer = SetWriter::new(BufWriter::with_capacity(256 << 10, file), &name)?;
            self.each_set(task, candidates, judge, &|doc, set| (doc.row(), set), &mut |sets| {
                self.engine.spill.check_room(sets.iter().map(|(_, set)| set.len() as u64 * 8).sum())?;
                sets.iter().try_for_each(|(row, set)| writer.push(*row, set))
            })?;
            writer.finish()?;
            self.report.set_bytes += fs::metadata(&path).map_err(failed)?.len();
            let file: Arc<dyn ReadAt> =
                if n_tasks > MAX_OPEN { Arc::new(ClosedFile::new(&path)?) } else { Arc::new(LocalFile::open(&path)?) };
            files.insert(task, Arc::new(SetFile::open(file, &name)?));
        }
        Ok(files)
    }

    /// Makes the sets of those documents of a task that are in `docs`, makes something `of` each set on the pool,
    /// and hands that over in the order of the rows, a batch at a time.
    fn each_set<T: Send>(
        &self,
        task: u32,
        docs: &DocSet,
        judge: &dyn PairJudge,
        of: &(dyn Fn(DocId, Vec<u64>) -> T + Sync),
        consume: &mut dyn FnMut(Vec<T>) -> Result<()>,
    ) -> Result<()> {
        let engine = self.engine;
        let text_column = &self.cut.pipeline.input.text_column;
        let schema = Arc::new(arrow::datatypes::Schema::new(
            self.cut.schema.field_with_name(text_column).map_or_else(|_| vec![], |field| vec![field.clone()]),
        ));
        let budget = Budget::new(engine.memory / 4);
        let resources = Resources {
            pool: &engine.pool,
            budget: &budget,
            progress: self.progress,
            in_flight: engine.in_flight(1),
            window: engine.memory / 16,
            key_memory: 0,
            spill: &engine.spill,
        };
        let columns = Columns { text: text_column.clone(), others: Some(Vec::new()) };
        let work = |work: Work| -> Result<Vec<T>> {
            let texts = crate::chain::Strings::new(work.decoded.batch.column(0))
                .map_err(|error| Error::io("a batch", error))?;
            let rows = (0..work.decoded.batch.num_rows()).filter_map(|row| {
                let doc = DocId::new(task, work.first_row + row as u64);
                let text = texts.get(row).filter(|_| docs.contains(doc))?;
                let mut set = Vec::new();
                judge.set(text, &mut set);
                Some(of(doc, set))
            });
            Ok(rows.collect())
        };
        let reading =
            Reading { source: &self.cut.sources[task as usize], schema: &schema, columns: &columns, text_column };
        task::stream(&reading, None, &resources, &work, &mut |sets, _| {
            self.progress.rows.fetch_add(sets.len() as u64, Ordering::Relaxed);
            consume(sets)
        })?;
        Ok(())
    }

    /// Writes the rulings of each task into the run directory.
    fn finish(mut self) -> Result<ExchangeReport> {
        let memory = self.memory(4);
        let path = self.path("drops");
        let (spill, folder) = (&self.engine.spill, self.cut.run_dir.folder());
        let unsettled = std::mem::replace(&mut self.drops, Sorter::new(spill, 0));
        drops::settle(unsettled, &self.dropped, spill, memory)?.write_to(&path)?;
        let drops = [path.display().to_string()];
        self.report.part = self.leave(&drops[0])?;
        let mut rulings = std::mem::replace(&mut self.rulings, Sorter::new(spill, 0));
        let counted: Vec<_> = self.cut.dedups().filter(|(_, how)| how.counted).collect();
        let limits = self.cut.dedups().filter_map(|(stage, how)| Some((stage, Above::new(how.guards.max_cluster?))));
        let mut above: Vec<_> = limits.collect();
        if !counted.is_empty() || !above.is_empty() {
            let mut members = merge_files::<DropRow>(&drops, memory, false)?;
            for cluster in clusters(merge_files(&drops, memory, false)?) {
                let cluster = cluster?;
                above.iter_mut().for_each(|(_, above)| above.see(cluster));
                let mut give = |doc: DocId, stage| {
                    // A document of an earlier corpus meets no ruling.
                    if doc.is_earlier() {
                        return Ok(());
                    }
                    rulings.push(Ruling { doc, stage, kind: RulingKind::Give(cluster.size) })
                };
                counted.iter().try_for_each(|(stage, _)| give(cluster.kept, *stage))?;
                for member in members.by_ref().take(cluster.size as usize - 1) {
                    let doc = member?.doc;
                    counted.iter().filter(|(_, how)| how.annotated).try_for_each(|(stage, _)| give(doc, *stage))?;
                }
            }
        }
        let mut large: BTreeMap<_, _> =
            above.iter().flat_map(|(_, above)| above.largest()).map(|c| (c.kept, None)).collect();
        let (names, run) = (|holder| self.names(holder), |part| self.run_of(part));
        drops::name(merge_files(&drops, memory, false)?, names, run, |ruling| {
            if let RulingKind::Drop { kept, kept_key, kept_id, .. } = &ruling.kind
                && let Some(name @ None) = large.get_mut(kept)
            {
                *name = Some((kept_id.clone(), Value::Key(*kept_key).to_string()));
            }
            rulings.push(ruling)
        })?;
        for (stage, above) in above {
            let named = |cluster: Cluster| {
                let (id, key) = large[&cluster.kept].clone().expect("each cluster has a drop, which names it");
                LargeCluster { id, key, documents: cluster.size }
            };
            let report = LargeClusters { above: above.n, largest: above.largest().map(named).collect() };
            self.report.clusters.insert(self.cut.pipeline.stages[usize::from(stage)].name.clone(), report);
        }
        let mut rulings = rulings.finish()?.peekable();
        for task in 0..self.cut.rows.len() as u32 {
            let path = RunDir::part(self.cut.pass.index, "rulings", task);
            let name = folder.name_of(&path);
            let mut file = RunWriter::new(folder.create(&path)?, &name, 32 << 10)?;
            while let Some(ruling) =
                rulings.next_if(|next| next.as_ref().map_or(true, |ruling| ruling.doc.task() == task))
            {
                file.push(&ruling?)?;
                self.report.rulings += 1;
            }
            file.finish()?.finish()?;
        }
        Ok(self.report)
    }
}

impl Exchange for Meeting<'_> {
    fn add_keys(&mut self, section: usize, keys: &mut dyn Iterator<Item = Result<(u128, u64)>>) -> Result<()> {
        let memory = self.memory(4);
        let sorter = self.external.entry(section).or_insert_with(|| Sorter::new(&self.engine.spill, memory));
        for key in keys {
            let (key, value) = key?;
            sorter.push(ExternalKey { key, value })?;
        }
        Ok(())
    }

    fn group_first_k(&mut self, sections: Range<usize>, k: usize) -> Result<Table<Pair>> {
        let n_threads = self.engine.pool.current_num_threads().min(sections.len()).max(1);
        let memory = self.memory(2 * n_threads);
        let jobs: Vec<_> =
            sections.map(|section| (section, self.path("pairs"), self.external.remove(&section))).collect();
        let (spill, files, gone, first) = (&self.engine.spill, &self.key_files, &self.gone, self.section);
        let group = |(section, path, external): (usize, PathBuf, Option<Sorter<ExternalKey>>)| {
            self.progress.check()?;
            let mut pairs = Sorter::<Routed>::unique(spill, memory);
            let outside = self.outside(section, external, memory)?;
            let room = Room { dir: spill, memory };
            let alive = |doc| !gone.contains(doc);
            let stats =
                group_first_k(files, first + section, k, outside, room, alive, |pair| pairs.push(Routed(pair)))?;
            let n_rows = pairs.write_to(&path)?;
            Ok((path.display().to_string(), n_rows, stats))
        };
        let done = self.engine.pool.install(|| jobs.into_par_iter().map(group).collect::<Result<Vec<_>>>())?;
        let mut stats = GroupStats::default();
        let (mut names, mut n_rows) = (Vec::new(), 0);
        for (name, rows, of_section) in done {
            stats += of_section;
            n_rows += rows;
            names.push(name);
        }
        self.note("groups", stats.groups);
        self.note("groups_above_k", stats.above_k);
        Ok(Table::new(names, n_rows))
    }

    fn distinct(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>> {
        let path = self.path("pairs");
        let name = path.display().to_string();
        let memory = self.memory(1);
        let file = File::create(&path).map_err(|error| Error::io(&name, error))?;
        let mut writer = RunWriter::new(BufWriter::with_capacity(256 << 10, file), &name, 32 << 10)?;
        let mut n_rows = 0;
        for pair in self.pairs(&pairs, memory)? {
            writer.push(&Routed(pair?))?;
            n_rows += 1;
        }
        writer.finish()?;
        discard(&pairs)?;
        Ok(Table::new(vec![name], n_rows))
    }

    fn route_to_task(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>> {
        Ok(pairs)
    }

    fn verify(&mut self, pairs: Table<Pair>, judge: &dyn PairJudge) -> Result<Table<Edge>> {
        let memory = self.memory(4);
        let mut candidates = self.bits();
        for pair in self.pairs(&pairs, memory)? {
            let pair = pair?;
            candidates.insert(pair.first.doc);
            candidates.insert(pair.second.doc);
        }
        self.add_leaving(&mut candidates);
        let name = &self.cut.pipeline.stages[self.stage].name;
        let n_candidates = (0..self.cut.rows.len() as u32).map(|task| candidates.count_in_task(task)).sum();
        self.progress.begin(format!("{name}: sets of candidates"), Total::Rows(n_candidates));
        let files = self.write_sets(&candidates, judge)?;
        self.keep_sets(&files);
        self.progress.begin(format!("{name}: verification"), Total::Unknown);
        let sets = |holder| match holder {
            Holder::Task(task) => files.get(&task).cloned().ok_or_else(|| Error::io(holder, "it has no sets")),
            Holder::Part(part) => self.earlier_sets(part),
        };
        let mut edges = Sorter::<EdgeRow>::new(&self.engine.spill, memory);
        let pairs_in = self.pairs(&pairs, memory)?;
        let fates = judge.settles_at().map(|threshold| Fates::new(threshold, self.bits()));
        let stats: VerifyStats = self.engine.pool.install(|| {
            verify(pairs_in, &sets, judge, memory, fates, |edge| {
                self.progress.check()?;
                edges.push(EdgeRow(edge))
            })
        })?;
        self.note("pairs_spared", stats.spared);
        self.note("pairs_out_of_bound", stats.out_of_bound);
        discard(&pairs)?;
        let path = self.path("edges");
        let n_rows = edges.write_to(&path)?;
        Ok(Table::new(vec![path.display().to_string()], n_rows))
    }

    fn scan_by_first(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>> {
        let memory = self.memory(4);
        let mut sorter = Sorter::new(&self.engine.spill, memory);
        self.pairs(pairs, memory)?.try_for_each(|pair| sorter.push(pair?))?;
        Ok(Box::new(sorter.finish()?))
    }

    fn scan_by_second(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>> {
        let memory = self.memory(4);
        let mut sorter = Sorter::new(&self.engine.spill, memory);
        self.pairs(pairs, memory)?.try_for_each(|pair| sorter.push(BySecond(pair?)))?;
        Ok(Box::new(sorter.finish()?.map(|pair| pair.map(|by_second| by_second.0))))
    }

    fn sorted_scan(&mut self, edges: &Table<Edge>) -> Result<Rows<Edge>> {
        let edges = merge_files::<EdgeRow>(&edges.files, self.memory(4), false)?;
        Ok(Box::new(edges.map(|edge| edge.map(|row| row.0))))
    }

    fn record(&mut self, floor: f64, edges: Rows<Edge>, copies: Rows<Pair>) -> Result<()> {
        if self.cut.pipeline.recut_stage() != Some(self.stage) {
            return Ok(());
        }
        Pairs::write(self.cut.run_dir, floor, &self.cut.rows, edges, copies)
    }

    fn recorded(&mut self) -> Result<Option<(Rows<Edge>, Rows<Pair>)>> {
        self.cut.pairs.map(|pairs| Ok((pairs.edges()?, pairs.copies()?))).transpose()
    }

    fn choose(&mut self, target: Target) -> Result<f64> {
        let choice = match self.cut.pairs {
            Some(pairs) => pairs.choose(target)?,
            None => Pairs::find(self.cut.run_dir)?.choose(target)?,
        };
        let threshold = choice.threshold;
        self.report.choice = Some(choice);
        Ok(threshold)
    }

    fn known(&mut self) -> Result<Rows<Known>> {
        self.known_texts()
    }

    fn leave_index(&mut self, sections: Range<usize>, k: usize) -> Result<()> {
        self.begin_leaving(sections, k)
    }

    fn bits(&self) -> DocSet {
        DocSet::empty(&self.cut.rows)
    }

    fn members(&mut self, section: usize) -> Result<DocSet> {
        let mut members = self.bits();
        group::members(&self.key_files, self.section + section, self.memory(4), &self.gone, &mut members)?;
        Ok(members)
    }

    fn scan_sets(
        &mut self,
        docs: &DocSet,
        judge: &dyn PairJudge,
        visit: &(dyn Fn(DocId, &[u64]) + Sync),
    ) -> Result<()> {
        let name = &self.cut.pipeline.stages[self.stage].name;
        self.progress.begin(format!("{name}: audit"), Total::Rows(docs.iter().count() as u64));
        for task in (0..self.cut.rows.len() as u32).filter(|&task| docs.count_in_task(task) > 0) {
            self.each_set(task, docs, judge, &|doc, set| visit(doc, &set), &mut |_| Ok(()))?;
        }
        Ok(())
    }

    fn set_aside(&mut self, doc: DocId) {
        self.gone.insert(doc);
    }

    fn drop(&mut self, duplicate: Duplicate) -> Result<()> {
        self.gone.insert(duplicate.doc);
        if !self.annotated {
            self.dropped.insert(duplicate.doc);
        }
        self.drops.push(DropRow {
            kept: duplicate.kept,
            doc: duplicate.doc,
            stage: self.stage as u16,
            reason: self.reason(duplicate.reason),
            similarity: duplicate.similarity,
            threshold: duplicate.threshold,
        })
    }

    fn give(&mut self, doc: DocId, value: u64) -> Result<()> {
        self.rulings.push(Ruling { doc, stage: self.stage as u16, kind: RulingKind::Give(value) })
    }

    fn note(&mut self, what: &'static str, value: u64) {
        let name = self.cut.pipeline.stages[self.stage].name.clone();
        *self.report.notes.entry(name).or_default().entry(what.to_owned()).or_default() += value;
    }

    fn measure(&mut self, what: &'static str, value: f64) {
        let name = self.cut.pipeline.stages[self.stage].name.clone();
        self.report.measures.entry(name).or_default().insert(what.to_owned(), value);
    }
}

/// Removes the files of a table that is no longer needed.
fn discard<R>(table: &Table<R>) -> Result<()> {
    table.files.iter().try_for_each(|file| fs::remove_file(file).map_err(|error| Error::io(file, error)))
}
