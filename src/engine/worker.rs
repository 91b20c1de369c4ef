//! Follows a driver's orders on one machine: takes tasks through passes, and through the steps of an exchange.
//!
//! What a task leaves depends on the order and the files it names, and on nothing else: so it does no harm if the
//! same task is done twice, at once or one after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::candidates::Texts;
use super::local::Local;
use super::meeting::key_file;
use super::orders::{Done, EarlierIndex, Known, Order, Step, Told, done_of, firsts_of, part_of};
use crate::budget::{Budget, Progress};
use crate::doc::{DocId, Holder};
use crate::error::{Error, Result};
use crate::exchange::bits::read_bits;
use crate::exchange::group::{Room, group_first_k, merged};
use crate::exchange::index::earlier;
use crate::exchange::parts::{PartReader, PartsFile, PartsWriter};
use crate::exchange::record::{DocRow, EdgeRow, KeyRow, Record, Routed};
use crate::exchange::sets::{SetFile, SetWriter};
use crate::exchange::sort::{RunWriter, Sorter};
use crate::exchange::verify::{Fates, verify};
use crate::fleet::Worker;
use crate::stage::{DocSet, PairJudge, Rows, Stage};
use crate::store::{LocalFile, ReadAt};
use crate::task::{self, Resources};

/// The bytes in a block of a file of edges.
const BLOCK: usize = 32 << 10;
/// The bytes read at a time of sets that are on another machine's storage.
const AHEAD: usize = 1 << 20;

/// Does the tasks of runs.
pub struct TaskWorker {
    desk: Local,
    budget: Budget,
    /// The tasks that are done at once, which share memory.
    at_once: usize,
    /// The run known best.
    known: Mutex<Option<(String, Arc<Known>)>>,
}

impl TaskWorker {
    /// A worker with `threads` threads and about `memory` bytes, which spills to `work_dir`, a folder of its own, and is
    /// given up to `at_once` tasks at a time.
    pub fn new(threads: usize, at_once: usize, memory: u64, work_dir: &Path) -> Result<Self> {
        let desk = Local::new(threads, memory, work_dir)?;
        desk.clear()?;
        let budget = Budget::new(memory / 2);
        Ok(Self { desk, budget, at_once: at_once.max(1), known: Mutex::default() })
    }

    /// What a task may use that does not go through passes.
    pub fn resources<'w>(&'w self, progress: &'w Progress) -> Resources<'w> {
        let Self { desk, at_once, .. } = self;
        Resources {
            pool: desk.pool(),
            budget: &self.budget,
            progress,
            in_flight: desk.in_flight(*at_once),
            window: desk.memory() / 16 / *at_once as u64,
            key_memory: (desk.memory() / 4) as usize / at_once,
            spill: desk.spill(),
        }
    }

    /// The bytes that a task may hold.
    pub fn memory_of_task(&self) -> u64 {
        self.desk.memory() / self.at_once as u64
    }

    fn follow(&self, order: &Order, task: u32, stop: &Arc<AtomicBool>) -> Result<Done> {
        let known = self.known(order)?;
        let work = Work { worker: self, known: &known, task, progress: Progress::stopped_by(stop.clone()) };
        if let Step::Pass { pass, whole } = order.step {
            return work.pass(pass, whole);
        }
        let before = self.desk.spilled_bytes();
        let (into, mut done) = match &order.step {
            Step::Pass { .. } => unreachable!("it has been dealt with"),
            Step::Group { pass, first_section, of_stage, k, gone, earlier, into } => {
                let leaders = earlier.as_ref().map(|index| (index, of_stage + task as usize));
                (into, work.group(*pass, *first_section, *k, gone.as_deref(), leaders, into)?)
            }
            Step::Route { pairs, n_sections, into } => (into, work.route(pairs, *n_sections, into)?),
            Step::Sets { pass, stage, pairs, leaving, into } => {
                (into, work.sets(*pass, *stage, pairs, leaving.as_deref(), into)?)
            }
            Step::Verify { pass, stage, pairs, sets, earlier, into } => {
                (into, work.verify(*pass, *stage, pairs, sets, earlier.as_ref(), into)?)
            }
        };
        // With several tasks at once, some of it is another's.
        done.spilled_bytes = self.desk.spilled_bytes() - before;
        work.progress.check()?;
        known.run_dir.write_json(&done_of(into, task), &done)?;
        Ok(done)
    }

    /// What is known of the run that the order is for.
    fn known(&self, order: &Order) -> Result<Arc<Known>> {
        let name = format!("{} {}", order.run, order.place);
        let mut best = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known_name, known)) = &*best
            && *known_name == name
        {
            return Ok(known.clone());
        }
        let known = Arc::new(Known::read(&order.place, &order.run)?);
        *best = Some((name, known.clone()));
        Ok(known)
    }

    /// The bytes that one of `n` sorts or merges of a task may hold.
    fn memory(&self, n: usize) -> usize {
        (self.desk.memory() / 2) as usize / self.at_once / n
    }
}

impl Worker for TaskWorker {
    fn run(&self, wave: &str, order: &str, task: u32, stop: &Arc<AtomicBool>) -> Result<String, String> {
        let order: Order = serde_json::from_str(order)
            .map_err(|error| Told::of(&Error::io(wave, format!("an order that is not understood: {error}"))))?;
        let begin = Instant::now();
        tracing::info!(run = order.run, wave, task, "begins");
        let outcome = self.follow(&order, task, stop);
        let seconds = begin.elapsed().as_secs_f64();
        match &outcome {
            Ok(done) => {
                let Done { rows_in, rows, .. } = done;
                tracing::info!(run = order.run, wave, task, seconds, rows_in, rows, "done");
            }
            Err(error) => tracing::warn!(run = order.run, wave, task, seconds, "{error}"),
        }
        let done = outcome.map_err(|error| Told::of(&error))?;
        Ok(serde_json::to_string(&done).expect("numbers are JSON"))
    }
}

/// A task in a worker's hands.
struct Work<'w> {
    worker: &'w TaskWorker,
    known: &'w Known,
    task: u32,
    progress: Progress,
}

impl Work<'_> {
    fn pass(&self, pass: usize, whole: bool) -> Result<Done> {
        let Self { worker, known, task, progress } = self;
        let source = known.source(pass, *task)?;
        let resources = worker.resources(progress);
        let report = task::run(&known.passes.job(pass, whole, &known.run_dir), *task, &source, &resources)?;
        Ok(Done { rows_in: report.tally.rows_in, rows: report.tally.rows_kept, ..Done::default() })
    }

    /// Lets the keys of a section meet. The leaders that earlier corpora have come first, in their section of that number.
    fn group(
        &self,
        pass: usize,
        first_section: usize,
        k: usize,
        gone: Option<&str>,
        leaders: Option<(&EarlierIndex, usize)>,
        into: &str,
    ) -> Result<Done> {
        let Self { worker, known, task, progress } = self;
        let (spill, memory) = (worker.desk.spill(), worker.memory(4));
        let n_tasks = known.n_tasks();
        let keys = (0..n_tasks).map(|task| key_file(&known.run_dir, pass, task, n_tasks));
        let keys: Vec<_> = keys.collect::<Result<_>>()?;
        let gone = gone.map(|path| read_bits(self.open(path)?, path)).transpose()?;
        let alive = |doc| gone.as_ref().is_none_or(|gone| !gone.contains(doc));
        let mut pairs = Sorter::<Routed>::unique(spill, memory);
        let mut firsts = Sorter::<DocRow>::unique(spill, memory);
        let section = first_section + *task as usize;
        let room = Room { dir: spill, memory };
        let leaders: Rows<KeyRow> = match leaders {
            Some((index, of_stage)) => earlier(&known.index(index)?.key_files(index.n_sections)?, of_stage, room)?,
            None => Box::new(std::iter::empty()),
        };
        let mut n = 0u64;
        let stats = group_first_k(&keys, section, k, leaders, room, alive, |pair| {
            n += 1;
            if n.is_multiple_of(1 << 16) {
                progress.check()?;
            }
            if !pair.first.doc.is_earlier() {
                firsts.push(DocRow(pair.first.doc))?;
            }
            pairs.push(Routed(pair))
        })?;
        let pairs_done = self.write_parts(&part_of(into, *task), pairs, |pair| pair.0.second.doc)?;
        let firsts_done = self.write_parts(&firsts_of(into, *task), firsts, |doc| doc.0)?;
        let rows_in = keys.iter().map(|file| file.n_rows(section)).sum();
        Ok(Done {
            rows_in,
            rows: pairs_done.rows,
            groups: stats.groups,
            above_k: stats.above_k,
            bytes: pairs_done.bytes + firsts_done.bytes,
            ..Done::default()
        })
    }

    /// Brings together the pairs of the task's documents, each once, and those of its documents that pairs begin with.
    fn route(&self, pairs: &str, n_sections: u32, into: &str) -> Result<Done> {
        let of =
            |part: fn(&str, u32) -> String| (0..n_sections).map(|section| part(pairs, section)).collect::<Vec<_>>();
        let (pairs, firsts) = (of(part_of), of(firsts_of));
        let (rows_in, rows, pair_bytes) = self.merge_parts::<Routed>(&pairs, &part_of(into, self.task))?;
        let (_, _, first_bytes) = self.merge_parts::<DocRow>(&firsts, &firsts_of(into, self.task))?;
        Ok(Done { rows_in, rows, bytes: pair_bytes + first_bytes, ..Done::default() })
    }

    /// Writes the rows of the task in several files into one, each once. Returns the numbers of rows before and after,
    /// and of bytes.
    fn merge_parts<R: Record + Copy + 'static>(&self, files: &[String], path: &str) -> Result<(u64, u64, u64)> {
        let (rows_in, rows) = self.parts::<R>(files)?;
        let mut out = PartsWriter::new(self.known.run_dir.folder().create(path)?, path)?;
        let mut last = None;
        for row in rows {
            let row = row?;
            if last != Some(row) {
                out.push(self.task, &row)?;
                last = Some(row);
            }
        }
        let (out, rows) = out.finish()?;
        Ok((rows_in, rows, out.finish()?))
    }

    /// Makes the sets of the task's documents that are in pairs, and of those in the file of the `leaving` ones.
    fn sets(&self, pass: usize, stage: usize, pairs: &str, leaving: Option<&str>, into: &str) -> Result<Done> {
        let Self { worker, known, task, progress } = self;
        let mut docs = self.no_docs(pass)?;
        for pair in self.part::<Routed>(&part_of(pairs, *task))? {
            docs.insert(pair?.0.second.doc);
        }
        for doc in self.part::<DocRow>(&firsts_of(pairs, *task))? {
            docs.insert(doc?.0);
        }
        if let Some(path) = leaving {
            read_bits(self.open(path)?, path)?.iter_task(*task).for_each(|doc| docs.insert(doc));
        }
        let path = part_of(into, *task);
        let mut out = known.run_dir.folder().create(&path)?;
        let source = known.source(pass + 1, *task)?;
        let texts = Texts {
            task: *task,
            source: &source,
            schema: known.passes.schema_after(pass + 1),
            text_column: &known.passes.pipeline().input.text_column,
            at_once: worker.at_once,
        };
        let rows_in = docs.count_in_task(*task);
        let rows = if rows_in == 0 {
            SetWriter::new(&mut out, &path)?.finish()?
        } else {
            texts.write_sets(&docs, self.judge(stage)?, &worker.desk, progress, &mut out, &path)?
        };
        Ok(Done { rows_in, rows, bytes: out.finish()?, ..Done::default() })
    }

    /// Judges the task's pairs.
    fn verify(
        &self,
        pass: usize,
        stage: usize,
        pairs: &str,
        sets: &str,
        earlier: Option<&EarlierIndex>,
        into: &str,
    ) -> Result<Done> {
        let Self { worker, known, task, progress } = self;
        let (spill, memory) = (worker.desk.spill(), worker.memory(4));
        let pairs = part_of(pairs, *task);
        let judge = self.judge(stage)?;
        let files = self.sets_of(self.part::<Routed>(&pairs)?, sets)?;
        let index = earlier.map(|index| known.index(index)).transpose()?;
        let find = |holder| match (holder, index) {
            (Holder::Task(task), _) => files.get(&task).cloned().ok_or_else(|| Error::io(holder, "it has no sets")),
            (Holder::Part(part), Some(index)) => index.sets(part, spill),
            (Holder::Part(_), None) => Err(Error::io(holder, "there is no index")),
        };
        let rows = known.report(pass, *task)?.key_rows;
        let fates = judge.settles_at().map(|threshold| Fates::of_task(threshold, *task, rows));
        let mut edges = Sorter::<EdgeRow>::new(spill, memory);
        let rows_in = self.part::<Routed>(&pairs)?;
        let rows_in = rows_in.map(|pair| pair.map(|routed| routed.0));
        let stats = worker.desk.pool().install(|| {
            verify(rows_in, &find, judge, memory, fates, |edge| {
                progress.check()?;
                edges.push(EdgeRow(edge))
            })
        })?;
        let path = part_of(into, *task);
        let mut out = RunWriter::new(known.run_dir.folder().create(&path)?, &path, BLOCK)?;
        for edge in edges.finish()? {
            out.push(&edge?)?;
        }
        Ok(Done {
            rows_in: stats.pairs,
            rows: stats.edges,
            spared: stats.spared,
            out_of_bound: stats.out_of_bound,
            bytes: out.finish()?.finish()?,
            ..Done::default()
        })
    }

    /// The sets of the documents in some pairs, by the tasks that hold these. Sets in a bucket are brought here first:
    /// in the order they have there, many with each request.
    fn sets_of(&self, pairs: PartReader<Routed>, sets: &str) -> Result<BTreeMap<u32, Arc<SetFile>>> {
        let (desk, folder) = (&self.worker.desk, self.known.run_dir.folder());
        let mut docs = Sorter::<DocRow>::unique(desk.spill(), self.worker.memory(4));
        for pair in pairs {
            let pair = pair?.0;
            if !pair.first.doc.is_earlier() {
                docs.push(DocRow(pair.first.doc))?;
            }
            docs.push(DocRow(pair.second.doc))?;
        }
        let mut files = BTreeMap::new();
        let mut docs = docs.finish()?.peekable();
        while let Some(first) = docs.peek() {
            let task = match first {
                Ok(first) => first.0.task(),
                Err(_) => return Err(docs.next().and_then(Result::err).expect("it was just seen")),
            };
            let path = part_of(sets, task);
            let of_task = |next: &Result<DocRow>| next.as_ref().map_or(true, |next| next.0.task() == task);
            let mut rows = std::iter::from_fn(|| docs.next_if(of_task));
            let file = if folder.local_path().is_some() {
                rows.try_for_each(|row| row.map(drop))?;
                SetFile::open(folder.open_closed(&path)?, &path)?
            } else {
                let there = SetFile::open(Arc::new(Ahead::of(folder.open(&path)?)), &path)?;
                self.bring(&there, rows.map(|row| row.map(|row| row.0)))?
            };
            files.insert(task, Arc::new(file));
        }
        Ok(files)
    }

    /// Copies the sets of some documents to a file on the local disk, which goes when nobody reads it any more.
    fn bring(&self, there: &SetFile, docs: impl Iterator<Item = Result<DocId>>) -> Result<SetFile> {
        let mut set = Vec::new();
        let here = self.worker.desk.spill().write_file(0, |file, name| {
            let mut writer = SetWriter::new(file, name)?;
            for doc in docs {
                let row = doc?.row();
                set.clear();
                there.read(row, &mut set)?;
                writer.push(row, &set)?;
            }
            writer.finish().map(drop)
        })?;
        let name = here.name();
        // On a local disk a file that is open can be read though its name is gone.
        SetFile::open(Arc::new(LocalFile::open(Path::new(&name))?), &name)
    }

    /// The rows of the task in several files, in order, and how many they are.
    fn parts<R: Record + 'static>(&self, files: &[String]) -> Result<(u64, Rows<R>)> {
        let open = |path: &String| PartsFile::<R>::open(self.known.run_dir.folder().open_closed(path)?, path);
        let files: Vec<_> = files.iter().map(open).collect::<Result<_>>()?;
        let n_rows = files.iter().map(|file| file.n_rows_of(self.task)).sum();
        let room = Room { dir: self.worker.desk.spill(), memory: self.worker.memory(4) };
        Ok((n_rows, merged(files.len(), room, |file, buffer| files[file].part(self.task, buffer))?))
    }

    /// The rows of the task in one file.
    fn part<R: Record>(&self, path: &str) -> Result<PartReader<R>> {
        let file = PartsFile::open(self.open(path)?, path)?;
        Ok(file.part(self.task, self.worker.memory(4).min(AHEAD)))
    }

    /// Writes sorted rows to a file of parts, each to that of the task which holds a document.
    fn write_parts<R: Record>(&self, path: &str, rows: Sorter<R>, doc: impl Fn(&R) -> DocId) -> Result<Done> {
        let mut out = PartsWriter::new(self.known.run_dir.folder().create(path)?, path)?;
        for row in rows.finish()? {
            let row = row?;
            out.push(doc(&row).task(), &row)?;
        }
        let (out, rows) = out.finish()?;
        Ok(Done { rows, bytes: out.finish()?, ..Done::default() })
    }

    fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>> {
        self.known.run_dir.folder().open(path)
    }

    /// No documents of the task, and none of others.
    fn no_docs(&self, pass: usize) -> Result<DocSet> {
        let mut rows = vec![0; self.task as usize];
        rows.push(self.known.report(pass, self.task)?.key_rows);
        Ok(DocSet::empty(&rows))
    }

    fn judge(&self, stage: usize) -> Result<&dyn PairJudge> {
        let spec = &self.known.passes.pipeline().stages[stage];
        match &spec.stage {
            Stage::Corpus(stage) => stage.judge(),
            _ => None,
        }
        .ok_or_else(|| Error::io(&spec.name, "this stage judges no pairs"))
    }
}

/// A file that is read front to back, mostly: what comes after a read is read with it.
pub(super) struct Ahead {
    file: Arc<dyn ReadAt>,
    /// Where the bytes stand that have been read, and they.
    window: Mutex<(u64, Vec<u8>)>,
}

impl Ahead {
    pub(super) fn of(file: Arc<dyn ReadAt>) -> Self {
        Self { file, window: Mutex::default() }
    }
}

impl ReadAt for Ahead {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, bytes) = &mut *window;
        let inside = |begin: u64, bytes: &[u8]| {
            let from = usize::try_from(offset.checked_sub(begin)?).ok()?;
            bytes.get(from..from.checked_add(buffer.len())?).map(|_| from)
        };
        let from = match inside(*begin, bytes) {
            Some(from) => from,
            None => {
                let left = self.file.size().saturating_sub(offset);
                let length = (buffer.len().max(AHEAD) as u64).min(left).max(buffer.len() as u64);
                bytes.clear();
                bytes.resize(length as usize, 0);
                self.file.read_at(offset, bytes)?;
                *begin = offset;
                0
            }
        };
        buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
        Ok(())
    }
}
