//! A pass's stages over one batch of documents.
//!
//! The only loop over documents is here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};

use columns::{Beside, Cells, Row};
use layout::{Layout, Reject, Why, refuse_clash};

use crate::annotate::counts::Counts;
use crate::doc::{Columns, ContentKey, Doc, Value, content_key};
use crate::error::{Error, Result};
use crate::exchange::names::Size;
use crate::exchange::record::{Ruling, RulingKind};
use crate::pipeline::{DOOR, Pass, Pipeline, StageSpec};
use crate::stage::{CorpusStage, DuplicateOf, Edit, Need, NeedKind, Reason, Ruled, Stage};
use crate::tally::{StageTally, Tally};

mod columns;
mod layout;

pub use columns::Strings;

/// The reason for rows without a text.
pub const NULL_TEXT: &str = "null_text";

/// The column that tells the tokens of a document.
const TOKEN_COUNT: &str = "token_count";

/// One document in so many is timed.
const TIMED: usize = 8;

/// The stages of a pass, ready to run over batches of one schema.
pub struct Chain {
    pipeline: Arc<Pipeline>,
    steps: Vec<Step>,
    emits: Vec<Emit>,
    writes: bool,
    /// Whether the sizes of documents are noted, so that other thresholds can be tried.
    sizes: bool,
    /// Whether the `token_count` of documents is an estimate.
    estimates: bool,
    layout: Layout,
    /// The source columns beside the text that stages look at.
    strings: Vec<String>,
    numbers: Vec<String>,
    keys: Vec<String>,
}

/// What happens to a document next.
struct Step {
    /// The stage's place in the pipeline.
    index: usize,
    /// Meets the rulings of a corpus stage, instead of running a stage on the text.
    rulings: bool,
    /// Where the stage's columns begin among the added ones.
    slot: usize,
    n_slots: usize,
    /// The columns beside the text that the stage looks at.
    needs: Vec<Need>,
}

/// A corpus stage whose keys are gathered.
struct Emit {
    index: usize,
    /// Where its sections begin among those of all corpus stages of the pass.
    section: usize,
}

/// What became of a batch.
pub struct Output {
    /// The documents that stay; no rows in a pass that leaves none.
    pub kept: RecordBatch,
    /// The documents that go, with reasons.
    pub rejected: RecordBatch,
    /// The keys for the exchange, by section.
    pub keys: Vec<Vec<SentKey>>,
    /// For each row that keys can refer to: its content key, if a deduplicating stage sent one.
    pub content_keys: Vec<Option<ContentKey>>,
    /// For each row that keys can refer to: its id.
    pub ids: Vec<Option<String>>,
    /// For each row that keys can refer to: its size, if other thresholds shall be tried and it is a document.
    pub sizes: Vec<Option<Size>>,
    /// Duplicates dropped for another document: their content key, the kept one's, the similarity.
    pub links: Vec<(ContentKey, ContentKey, f64)>,
    /// The sums.
    pub tally: Tally,
}

/// A key that a document sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentKey {
    /// The key.
    pub key: u128,
    /// The document's place in the stage's order.
    pub rank: u64,
    /// The document, counted among the rows of this batch that keys can refer to: those kept, or in a pass
    /// that leaves no documents all that were read.
    pub row: u32,
}

/// What became of a document.
enum Fate<'t> {
    Kept(Option<ContentKey>),
    Dropped(Why<'t>),
}

impl Chain {
    /// The stages of `pass` over batches of the schema `source`.
    pub fn new(pipeline: Arc<Pipeline>, pass: &Pass, source: &SchemaRef) -> Result<Self> {
        let mut added: Vec<Field> = Vec::new();
        let mut steps = Vec::new();
        let phases = [(&pass.replays, false), (&pass.rulings, true), (&pass.local, false)];
        for (&index, rulings) in
            phases.iter().flat_map(|(stages, rulings)| stages.iter().map(|index| (index, *rulings)))
        {
            let spec = &pipeline.stages[index];
            let columns = spec.stage.columns();
            let brought = columns.iter().find(|column| source.field_with_name(column.name()).is_ok());
            if let Some(column) = brought {
                if spec.stage.keeps_existing() {
                    continue;
                }
                refuse_clash(&pipeline.input, &spec.name, column.name())?;
            }
            let needs = if rulings { Vec::new() } else { needs(spec) };
            steps.push(Step { index, rulings, slot: added.len(), n_slots: columns.len(), needs });
            added.extend(columns.into_iter().map(|column| column.with_nullable(true)));
        }
        let mut section = 0;
        let mut emits = Vec::new();
        for &index in &pass.emits {
            emits.push(Emit { index, section });
            section += corpus(&pipeline.stages[index]).sections();
        }
        let stages = [&pass.replays, &pass.rulings, &pass.local, &pass.emits];
        let first = stages.into_iter().flatten().min().copied().unwrap_or(0);
        let layout = Layout::new(&pipeline, &pipeline.stages[..first], source, added)?;
        let [mut strings, mut numbers, mut keys] = wanted_columns(&pipeline, pass);
        if !emits.is_empty() && !strings.contains(&pipeline.input.id_column) {
            strings.push(pipeline.input.id_column.clone());
        }
        let counted = source.field_with_name(TOKEN_COUNT).is_ok_and(|field| field.data_type().is_numeric());
        if counted && !numbers.iter().any(|column| column == TOKEN_COUNT) {
            numbers.push(TOKEN_COUNT.to_owned());
        }
        keys.retain(|column| layout.is_read_from_source(column));
        strings.retain(|column| layout.is_read_from_source(column));
        numbers.retain(|column| layout.is_read_from_source(column));
        let sizes = !emits.is_empty() && pipeline.recut_stage().is_some();
        let estimates = pipeline.stages.iter().any(|spec| spec.stage.estimates_tokens());
        Ok(Self { steps, emits, writes: pass.writes, sizes, estimates, layout, strings, numbers, keys, pipeline })
    }

    /// Whether it leaves documents: kept and rejected ones.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The schema of the documents that stay.
    pub fn kept_schema(&self) -> &SchemaRef {
        &self.layout.kept
    }

    /// The schema of the documents that go: the same in all passes of a run.
    pub fn rejected_schema(&self) -> &SchemaRef {
        &self.layout.rejected
    }

    /// The number of sections of keys that are gathered.
    pub fn n_sections(&self) -> usize {
        self.emits.last().map_or(0, |emit| emit.section + corpus(&self.pipeline.stages[emit.index]).sections())
    }

    /// The columns of the source that it looks at, beside the text. A pass that leaves no documents needs no others.
    pub fn columns_read(&self) -> Vec<String> {
        self.strings.iter().chain(&self.numbers).chain(&self.keys).cloned().collect()
    }

    /// Takes a batch of the source through the stages. `bad` are the rows that are no documents; `rulings`
    /// those for the rows of this batch, in order, with their rows counted from the batch's first.
    pub fn run(
        &self,
        batch: &RecordBatch,
        bad: &[(usize, &'static str)],
        rulings: &[(usize, Ruling)],
    ) -> Result<Output> {
        let n_rows = batch.num_rows();
        let failed = |error| Error::io("a batch", error);
        let texts = Strings::new(batch.column(self.layout.text)).map_err(failed)?;
        let beside = Beside::new(batch, &self.strings, &self.numbers, &self.keys).map_err(failed)?;
        let cells = Cells::new(n_rows, self.layout.added.len());
        let mut tallies: Vec<StageTally> = vec![StageTally::default(); self.pipeline.stages.len()];
        let mut tally = Tally { rows_in: n_rows as u64, ..Tally::default() };
        let mut output_keys: Vec<_> = (0..self.n_sections()).map(|_| Vec::with_capacity(n_rows)).collect();
        let (mut content_keys, mut ids, mut sizes, mut links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut kept_rows, mut kept_texts) = (Vec::new(), Vec::new());
        let mut any_rewritten = false;
        let mut rejects: Vec<Reject<'_>> = Vec::new();
        let (mut bad, mut rulings) = (bad.iter().peekable(), rulings);

        for row in 0..n_rows {
            let n_rulings = rulings.iter().take_while(|(ruled, _)| *ruled == row).count();
            let (own_rulings, later) = rulings.split_at(n_rulings);
            rulings = later;
            let unreadable = bad.next_if(|(bad, _)| *bad == row).map(|(_, reason)| *reason);
            let text = texts.get(row);
            tally.bytes_in += text.map_or(0, |text| text.len() as u64);
            let columns = Row { beside: &beside, row, added: &self.layout.added, cells: cells.of_row(row) };
            if let Some(reason) = unreadable.or(text.is_none().then_some(NULL_TEXT)) {
                let Size { bytes, tokens } = text.map_or(NO_SIZE, |text| size(text, &columns));
                tally.door.drop_one(reason, bytes, tokens);
                let why = Why { by: DOOR, reason, value: f64::NAN, threshold: f64::NAN, duplicate: None };
                rejects.push(Reject { row, text: text.map(Cow::Borrowed), why });
                if !self.writes {
                    content_keys.push(None);
                    ids.push(None);
                    sizes.push(None);
                }
                continue;
            }
            let origin = text.unwrap_or_default();
            let key_row = content_keys.len() as u32;
            let walk = Walk { chain: self, columns: &columns, rulings: own_rulings, timed: row % TIMED == 0 };
            let mut send = |section: usize, key, rank| output_keys[section].push(SentKey { key, rank, row: key_row });
            let (text, fate) = walk.run(origin, &mut tallies, &mut send);
            let estimated = u64::from(self.estimates || columns.number(TOKEN_COUNT).is_none());
            match fate {
                Fate::Kept(content_key) => {
                    tally.bytes_kept += text.len() as u64;
                    if self.writes {
                        tally.tokens_kept += size(&text, &columns).tokens;
                        tally.kept_estimated += estimated;
                    }
                    if !self.emits.is_empty() {
                        content_keys.push(content_key);
                        ids.push(columns.string(&self.pipeline.input.id_column).map(str::to_owned));
                        sizes.push(self.sizes.then(|| size(&text, &columns)));
                    }
                    if self.writes {
                        any_rewritten |= matches!(text, Cow::Owned(_));
                        kept_rows.push(row);
                        kept_texts.push(text);
                    }
                }
                Fate::Dropped(why) => {
                    tally.rejected_estimated += estimated;
                    if let Some(of) = why.duplicate {
                        links.push((content_key(&text), of.key, of.similarity));
                    }
                    rejects.push(Reject { row, text: Some(text), why });
                }
            }
        }

        if self.writes {
            tally.rows_kept = kept_rows.len() as u64;
            tally.rows_rejected = rejects.len() as u64;
            tally.stages =
                self.steps.iter().map(|step| (step.index, std::mem::take(&mut tallies[step.index]))).collect();
        } else {
            // The next pass sees the same rows again and counts them.
            tally = Tally { bytes_in: tally.bytes_in, rows_in: tally.rows_in, ..Tally::default() };
        }
        for emit in &self.emits {
            let nanos = tallies[emit.index].nanos;
            tally.stages.entry(emit.index).or_default().nanos += nanos;
        }
        let (kept, rejected) = if self.writes {
            let texts = any_rewritten.then_some(kept_texts.as_slice());
            let kept = self.layout.kept_batch(batch, &kept_rows, texts, &cells)?;
            (kept, self.layout.reject_batch(batch, &rejects, &cells)?)
        } else {
            (RecordBatch::new_empty(self.layout.kept.clone()), RecordBatch::new_empty(self.layout.rejected.clone()))
        };
        Ok(Output { kept, rejected, keys: output_keys, content_keys, ids, sizes, links, tally })
    }
}

/// One document on its way through the steps.
struct Walk<'t, 'r> {
    chain: &'t Chain,
    columns: &'r Row<'t>,
    rulings: &'t [(usize, Ruling)],
    timed: bool,
}

impl<'t> Walk<'t, '_> {
    /// The text that is left, and what became of the document.
    fn run(
        &self,
        origin: &'t str,
        tallies: &mut [StageTally],
        send: &mut dyn FnMut(usize, u128, u64),
    ) -> (Cow<'t, str>, Fate<'t>) {
        let mut text = Cow::Borrowed(origin);
        let mut next = 0;
        loop {
            let rewritten = {
                let doc = Doc::new(&text, origin, self.columns);
                match self.until_rewritten(&doc, &mut next, tallies) {
                    Progress::Rewritten(rewritten) => rewritten,
                    Progress::Dropped(why) => return (text, Fate::Dropped(why)),
                    Progress::Through => {
                        let content_key = self.send_keys(&doc, tallies, send);
                        return (text, Fate::Kept(content_key));
                    }
                }
            };
            text = Cow::Owned(rewritten);
        }
    }

    /// Runs steps until one changes the text.
    fn until_rewritten(&self, doc: &Doc<'_>, next: &mut usize, tallies: &mut [StageTally]) -> Progress<'t> {
        let stages: &'t [StageSpec] = &self.chain.pipeline.stages;
        while let Some(step) = self.chain.steps.get(*next) {
            *next += 1;
            let spec = &stages[step.index];
            let tally = &mut tallies[step.index];
            for need in &step.needs {
                tally.look_for(&need.column, || match need.kind {
                    NeedKind::String => self.columns.string(&need.column).is_some(),
                    NeedKind::Number => self.columns.number(&need.column).is_some(),
                    NeedKind::Key => self.columns.key(&need.column).is_some(),
                });
            }
            if !spec.when.matches(self.columns) {
                continue;
            }
            let start = self.timed.then(Instant::now);
            tally.seen += 1;
            tally.bytes_in += doc.text().len() as u64;
            let progress =
                if step.rulings { self.meet_rulings(step, spec, doc, tally) } else { self.step(step, spec, doc) };
            if let Some(start) = start {
                tally.nanos += start.elapsed().as_nanos() as u64 * TIMED as u64;
            }
            match progress {
                Progress::Through => tally.bytes_out += doc.text().len() as u64,
                Progress::Rewritten(text) => {
                    tally.rewritten += 1;
                    tally.bytes_out += text.len() as u64;
                    return Progress::Rewritten(text);
                }
                Progress::Dropped(why) => {
                    let Size { bytes, tokens } = size(doc.text(), self.columns);
                    tally.drop_one(why.reason, bytes, tokens);
                    return Progress::Dropped(why);
                }
            }
        }
        Progress::Through
    }

    fn step(&self, step: &Step, spec: &'t StageSpec, doc: &Doc<'_>) -> Progress<'t> {
        let mut values = Vec::with_capacity(step.n_slots);
        match spec.stage.apply(doc, &mut values) {
            Edit::Unchanged => {
                debug_assert_eq!(values.len(), step.n_slots, "a stage puts one value per column");
                self.columns.set(step.slot, values);
                Progress::Through
            }
            Edit::Rewritten(text) => Progress::Rewritten(text),
            Edit::Drop(Reason { code, value, threshold }) => {
                Progress::Dropped(Why { by: &spec.name, reason: code, value, threshold, duplicate: None })
            }
        }
    }

    /// What the last exchange ruled for the document.
    fn meet_rulings(&self, step: &Step, spec: &'t StageSpec, doc: &Doc<'_>, tally: &mut StageTally) -> Progress<'t> {
        let stage = corpus(spec);
        let annotated = stage.duplicates().is_some_and(|how| how.annotated);
        let mut ruled = Ruled::default();
        for (_, ruling) in self.rulings.iter().filter(|(_, ruling)| usize::from(ruling.stage) == step.index) {
            match &ruling.kind {
                RulingKind::Give(value) => ruled.given = Some(*value),
                RulingKind::Drop { reason, similarity, threshold, kept_key, kept_id, kept_run, .. } => {
                    let (id, run) = (kept_id.as_deref(), kept_run.as_deref());
                    let of = DuplicateOf { id, key: *kept_key, similarity: *similarity, run };
                    if annotated {
                        tally.marked += 1;
                        ruled.duplicate = Some(of);
                        continue;
                    }
                    self.count_source(stage, true, tally);
                    return Progress::Dropped(Why {
                        by: &spec.name,
                        reason: stage.reasons()[usize::from(*reason)],
                        value: *similarity,
                        threshold: *threshold,
                        duplicate: Some(of),
                    });
                }
            }
        }
        self.count_source(stage, ruled.duplicate.is_some(), tally);
        if step.n_slots > 0 {
            let mut values = Vec::with_capacity(step.n_slots);
            stage.annotate(doc, ruled, &mut values);
            if let Some(used) = stage.used(doc, ruled) {
                let key = || Value::Key(doc.content_key()).to_string();
                tally.uses.count(used, size(doc.text(), self.columns).tokens, key);
            }
            debug_assert_eq!(values.len(), step.n_slots, "a stage puts one value per column");
            self.columns.set(step.slot, values);
        }
        Progress::Through
    }

    /// Counts the document for its source, if a guard watches over sources.
    fn count_source(&self, stage: &dyn CorpusStage, duplicate: bool, tally: &mut StageTally) {
        if let Some(how) = stage.duplicates().filter(|how| how.guards.max_source_loss.is_some()) {
            tally.sources.count(self.columns.string(&how.guards.source_column), duplicate);
        }
    }

    /// Sends the document's keys; its content key if a deduplicating stage sent one.
    fn send_keys(
        &self,
        doc: &Doc<'_>,
        tallies: &mut [StageTally],
        send: &mut dyn FnMut(usize, u128, u64),
    ) -> Option<ContentKey> {
        let mut content_key = None;
        for emit in &self.chain.emits {
            let spec = &self.chain.pipeline.stages[emit.index];
            if !spec.when.matches(self.columns) {
                continue;
            }
            let start = self.timed.then(Instant::now);
            let stage = corpus(spec);
            let rank = stage.rank(doc);
            stage.keys(doc, &mut |section, key| {
                if section == 0 && stage.is_dedup() {
                    content_key = Some(key.to_be_bytes());
                }
                send(emit.section + section, key, rank);
            });
            if let Some(start) = start {
                tallies[emit.index].nanos += start.elapsed().as_nanos() as u64 * TIMED as u64;
            }
        }
        content_key
    }
}

enum Progress<'t> {
    Through,
    Rewritten(String),
    Dropped(Why<'t>),
}

fn corpus(spec: &StageSpec) -> &dyn CorpusStage {
    match &spec.stage {
        Stage::Corpus(stage) => stage.as_ref(),
        _ => unreachable!("passes are cut at corpus stages and nowhere else"),
    }
}

/// The columns beside the text that a stage looks at, its conditions included.
fn needs(spec: &StageSpec) -> Vec<Need> {
    let conditions = spec.when.columns().map(|column| Need { column: column.clone(), kind: NeedKind::String });
    conditions.chain(spec.stage.needs()).collect()
}

/// The string and the number columns that the stages of a pass look at.
fn wanted_columns(pipeline: &Pipeline, pass: &Pass) -> [Vec<String>; 3] {
    let mut columns: [Vec<String>; 3] = Default::default();
    let [strings, numbers, keys] = &mut columns;
    let stages = pass.replays.iter().chain(&pass.rulings).chain(&pass.local).chain(&pass.emits);
    for spec in stages.map(|&index| &pipeline.stages[index]) {
        let looks_at = match &spec.stage {
            Stage::Corpus(stage) => stage.looks_at(),
            _ => Vec::new(),
        };
        for need in needs(spec).into_iter().chain(looks_at) {
            match need.kind {
                NeedKind::String => strings.push(need.column),
                NeedKind::Number => numbers.push(need.column),
                NeedKind::Key => keys.push(need.column),
            }
        }
    }
    for columns in &mut columns {
        columns.sort();
        columns.dedup();
    }
    columns
}

/// How long a document is. Its tokens are those that a stage or the input has counted, or estimated as by the defaults
/// of `counts`.
fn size(text: &str, columns: &Row<'_>) -> Size {
    let counted = columns.number(TOKEN_COUNT).map(|tokens| tokens as u64);
    let tokens = counted.unwrap_or_else(|| Counts::default().n_tokens(text).into());
    Size { bytes: text.len() as u64, tokens }
}

/// The size of a row without a text.
const NO_SIZE: Size = Size { bytes: 0, tokens: 0 };
