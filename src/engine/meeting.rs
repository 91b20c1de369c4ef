//! An exchange in progress: what the stages have said so far, and the rulings that follow from it.
//!
//! A stage asks, the [`Hands`] of an engine do the heavy part, and what is left to do here takes a bit a document in
//! memory and streams the rest.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::Cut;
use super::candidates::Texts;
use super::local::Local;
use crate::budget::{Progress, Total};
use crate::doc::{DocId, Value};
use crate::error::Result;
use crate::exchange::clusters::{Above, Cluster, clusters};
use crate::exchange::drops::{self, DropRow};
use crate::exchange::group::{self, GroupStats, Room};
use crate::exchange::keys::KeyFile;
use crate::exchange::record::{BySecond, ExternalKey, KeyRow, Ruling, RulingKind};
use crate::exchange::sort::{RunWriter, Sorter, SpillDir, merge_files};
use crate::exchange::verify::VerifyStats;
use crate::pairs::Pairs;
use crate::report::{ExchangeReport, LargeCluster, LargeClusters};
use crate::run_dir::RunDir;
use crate::stage::{
    CorpusStage, DocSet, Duplicate, Edge, Exchange, Known, NeedKind, Pair, PairJudge, Rows, Sent, Stage, Table, Target,
};
use crate::tally::process_nanos;
use indexed::Earlier;
use linked::Links;

mod indexed;
mod linked;

/// With more tasks than this, their files are not held open: many systems allow a program 1,024.
pub(super) const MAX_OPEN: usize = 200;

/// Does what grows faster than a bit a document, and keeps what that leaves.
pub(super) trait Hands: Sync {
    /// The threads, the memory and the folder for what is done where the exchange is.
    fn desk(&self) -> &Local;

    /// The pairs that sections of a stage propose, each once a section.
    fn group(&self, meeting: &mut Meeting<'_>, sections: Range<usize>, k: usize) -> Result<(Table<Pair>, GroupStats)>;

    /// Each pair once.
    fn distinct(&self, meeting: &mut Meeting<'_>, pairs: Table<Pair>) -> Result<Table<Pair>>;

    /// The pairs that are alike enough. `pairs` is not needed any more.
    fn verify(
        &self,
        meeting: &mut Meeting<'_>,
        pairs: &Table<Pair>,
        judge: &dyn PairJudge,
    ) -> Result<(Table<Edge>, VerifyStats)>;

    /// The pairs of a table, in no order that is promised and each as often as sections have proposed it.
    fn pairs(&self, meeting: &Meeting<'_>, table: &Table<Pair>, memory: usize) -> Result<Rows<Pair>>;

    /// The edges of a table in the order of [`Exchange::sorted_scan`].
    fn edges(&self, meeting: &Meeting<'_>, table: &Table<Edge>, memory: usize) -> Result<Rows<Edge>>;
}

/// Lets the keys that a pass has left meet, and leaves rulings. What [`Engine::exchange`](super::Engine::exchange) has.
pub(super) fn exchange(hands: &dyn Hands, cut: &Cut<'_>, progress: &Progress) -> Result<ExchangeReport> {
    let start = std::time::Instant::now();
    // Nothing else is going on meanwhile.
    let cpu_before = process_nanos();
    let spilled_before = hands.desk().spilled_bytes();
    let mut meeting = Meeting::new(hands, cut, progress);
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
    report.spilled_bytes += hands.desk().spilled_bytes() - spilled_before;
    report.seconds = start.elapsed().as_secs_f64();
    report.core_seconds += (process_nanos() - cpu_before) as f64 / 1e9;
    Ok(report)
}

/// An exchange in progress.
///
/// What tables hold is for the hands to say.
pub(super) struct Meeting<'r> {
    hands: &'r dyn Hands,
    pub(super) cut: &'r Cut<'r>,
    pub(super) progress: &'r Progress,
    key_files: OnceLock<Vec<KeyFile>>,
    /// Documents that grouping no longer sees.
    pub(super) gone: DocSet,
    /// Documents that have been dropped.
    dropped: DocSet,
    drops: Sorter<DropRow>,
    rulings: Sorter<Ruling>,
    pub(super) external: BTreeMap<usize, Sorter<ExternalKey>>,
    earlier: Earlier,
    links: Links,
    /// The stage that resolves: its place in the pipeline, its first section, its reasons.
    pub(super) stage: usize,
    pub(super) section: usize,
    reasons: &'static [&'static str],
    /// Whether what it drops stays.
    annotated: bool,
    n_tables: usize,
    pub(super) report: ExchangeReport,
}

impl<'r> Meeting<'r> {
    fn new(hands: &'r dyn Hands, cut: &'r Cut<'r>, progress: &'r Progress) -> Self {
        let desk = hands.desk();
        let share = (desk.memory() / 16) as usize;
        Self {
            hands,
            cut,
            progress,
            key_files: OnceLock::new(),
            gone: DocSet::empty(&cut.rows),
            dropped: DocSet::empty(&cut.rows),
            drops: Sorter::new(desk.spill(), share),
            rulings: Sorter::new(desk.spill(), share),
            external: BTreeMap::new(),
            earlier: Earlier::default(),
            links: Links::new(Sorter::new(desk.spill(), share)),
            stage: 0,
            section: 0,
            reasons: &[],
            annotated: false,
            n_tables: 0,
            report: ExchangeReport { pass: cut.pass.index, ..ExchangeReport::default() },
        }
    }

    /// The keys of all tasks, opened on first use.
    pub(super) fn key_files(&self) -> Result<&[KeyFile]> {
        if let Some(files) = self.key_files.get() {
            return Ok(files);
        }
        // A run that only cuts another one anew has sent no keys.
        let n_files = if self.cut.pairs.is_some() { 0 } else { self.cut.rows.len() as u32 };
        let files = (0..n_files).map(|task| key_file(self.cut.run_dir, self.cut.pass.index, task, n_files));
        let files = files.collect::<Result<_>>()?;
        Ok(self.key_files.get_or_init(|| files))
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
        if group::none_ranked(self.key_files()?, self.section, self.memory(4))? {
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
    pub(super) fn memory(&self, n: usize) -> usize {
        (self.hands.desk().memory() / 2) as usize / n
    }

    fn spill(&self) -> &'r SpillDir {
        self.hands.desk().spill()
    }

    /// A name for a file of this exchange, the same whenever it is done again.
    pub(super) fn next_name(&mut self, what: &str) -> String {
        self.n_tables += 1;
        format!("{what}-{}", self.n_tables)
    }

    /// A file of this exchange on the local disk.
    pub(super) fn path(&mut self, what: &str) -> PathBuf {
        self.spill().path().join(self.next_name(what))
    }

    fn reason(&self, reason: &str) -> u16 {
        let index = self.reasons.iter().position(|known| *known == reason);
        index.expect("a stage drops for the reasons it lists") as u16
    }

    /// Writes the rulings of each task into the run directory.
    fn finish(mut self) -> Result<ExchangeReport> {
        let memory = self.memory(4);
        let path = self.path("drops");
        let (spill, folder) = (self.spill(), self.cut.run_dir.folder());
        self.leave_links()?;
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
        let spill = self.spill();
        let sorter = self.external.entry(section).or_insert_with(|| Sorter::new(spill, memory));
        for key in keys {
            let (key, value) = key?;
            sorter.push(ExternalKey { key, value })?;
        }
        Ok(())
    }

    fn group_first_k(&mut self, sections: Range<usize>, k: usize) -> Result<Table<Pair>> {
        let (pairs, stats) = self.hands.group(self, sections, k)?;
        self.note("groups", stats.groups);
        self.note("groups_above_k", stats.above_k);
        Ok(pairs)
    }

    fn distinct(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>> {
        self.hands.distinct(self, pairs)
    }

    fn route_to_task(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>> {
        Ok(pairs)
    }

    fn verify(&mut self, pairs: Table<Pair>, judge: &dyn PairJudge) -> Result<Table<Edge>> {
        let (edges, stats) = self.hands.verify(self, &pairs, judge)?;
        self.note("pairs_spared", stats.spared);
        self.note("pairs_out_of_bound", stats.out_of_bound);
        Ok(edges)
    }

    fn scan_by_first(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>> {
        let memory = self.memory(4);
        let mut sorter = Sorter::unique(self.spill(), memory);
        self.hands.pairs(self, pairs, memory)?.try_for_each(|pair| sorter.push(pair?))?;
        Ok(Box::new(sorter.finish()?))
    }

    fn scan_by_second(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>> {
        let memory = self.memory(4);
        let mut sorter = Sorter::unique(self.spill(), memory);
        self.hands.pairs(self, pairs, memory)?.try_for_each(|pair| sorter.push(BySecond(pair?)))?;
        Ok(Box::new(sorter.finish()?.map(|pair| pair.map(|by_second| by_second.0))))
    }

    fn sorted_scan(&mut self, edges: &Table<Edge>) -> Result<Rows<Edge>> {
        self.hands.edges(self, edges, self.memory(4))
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
        group::members(self.key_files()?, self.section + section, self.memory(4), &self.gone, &mut members)?;
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
            let texts = Texts::of(self.cut, task);
            texts.each_set(docs, judge, self.hands.desk(), self.progress, &|doc, set| visit(doc, &set), &mut |_| {
                Ok(())
            })?;
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

    fn keys_sent(&mut self, section: usize) -> Result<Rows<Sent>> {
        let room = Room { dir: self.spill(), memory: self.memory(8) };
        let rows = group::section_rows(self.key_files()?, self.section + section, room)?;
        let dropped = self.dropped.clone();
        let sent = move |row: KeyRow| {
            let doc = row.ranked().doc;
            Sent { key: row.key, doc, stays: !dropped.contains(doc) }
        };
        Ok(Box::new(rows.map(move |row| row.map(&sent))))
    }

    fn link(&mut self, edge: Edge) -> Result<()> {
        self.links.note(edge)
    }

    fn links(&mut self, runs: &[String]) -> Result<Rows<(u128, u128)>> {
        self.all_links(runs)
    }

    fn room(&self) -> (PathBuf, usize) {
        (self.spill().path().to_owned(), self.memory(2))
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

/// The keys of a task, one of `n_tasks`.
pub(super) fn key_file(run_dir: &RunDir, pass: usize, task: u32, n_tasks: u32) -> Result<KeyFile> {
    let folder = run_dir.folder();
    let path = RunDir::part(pass, "keys", task);
    let file = if n_tasks as usize > MAX_OPEN { folder.open_closed(&path)? } else { folder.open(&path)? };
    KeyFile::open(file, &folder.name_of(&path))
}
