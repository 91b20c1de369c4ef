//! A pass's stages over one batch of documents.
//!
//! The only loop over documents is here.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryBuilder, Float32Builder, Float64Array, Float64Builder,
    LargeStringArray, LargeStringBuilder, RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder,
    UInt32Builder,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};

use crate::doc::{Columns, ContentKey, Doc, Value};
use crate::error::{Error, Result};
use crate::exchange::record::{Ruling, RulingKind};
use crate::pipeline::{InputSettings, Pass, Pipeline, StageSpec};
use crate::stage::{CorpusStage, Edit, NeedKind, Reason, Stage, Verdict};
use crate::tally::{StageTally, Tally};

/// The name under which rows that are no documents are rejected.
pub const DOOR: &str = "reader";

/// One document in so many is timed.
const TIMED: usize = 8;

/// The stages of a pass, ready to run over batches of one schema.
pub struct Chain {
    pipeline: Arc<Pipeline>,
    steps: Vec<Step>,
    emits: Vec<Emit>,
    writes: bool,
    source: SchemaRef,
    kept: SchemaRef,
    rejected: SchemaRef,
    text: usize,
    /// The source columns that stay, by index.
    stay: Vec<usize>,
    /// Those of them that rejects have too.
    stay_rejected: Vec<usize>,
    added: Vec<Field>,
    strings: Vec<String>,
    numbers: Vec<String>,
    token_slot: Option<usize>,
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

/// A reject in the making.
struct Reject<'t> {
    row: usize,
    by: &'t str,
    reason: &'t str,
    value: f64,
    threshold: f64,
    duplicate: Option<(&'t Option<String>, ContentKey, f64)>,
    text: Option<Cow<'t, str>>,
    values: Vec<OnceCell<Value>>,
}

/// What became of a document.
enum Fate<'t> {
    Kept(Option<ContentKey>),
    Dropped {
        by: &'t str,
        reason: &'t str,
        value: f64,
        threshold: f64,
        duplicate: Option<(&'t Option<String>, ContentKey, f64)>,
    },
}

impl Chain {
    /// The stages of `pass` over batches of the schema `source`.
    pub fn new(pipeline: Arc<Pipeline>, pass: &Pass, source: &SchemaRef) -> Result<Self> {
        let input = &pipeline.input;
        let text = source.index_of(&input.text_column).map_err(|_| {
            Error::refused(format!(
                "there is no column `{}` for the text; name it with --text-column",
                input.text_column
            ))
        })?;
        let mut added: Vec<Field> = Vec::new();
        let mut steps = Vec::new();
        let mut replaced = Vec::new();
        let phases = [(&pass.replays, false), (&pass.rulings, true), (&pass.local, false)];
        for (&index, rulings) in
            phases.iter().flat_map(|(stages, rulings)| stages.iter().map(|index| (index, *rulings)))
        {
            let spec = &pipeline.stages[index];
            let columns = spec.stage.columns();
            let brought = columns.iter().find(|column| source.field_with_name(column.name()).is_ok());
            if let Some(column) = brought {
                let keeps = matches!(&spec.stage, Stage::Annotate(stage) if stage.keeps_existing());
                if keeps {
                    continue;
                }
                refuse_clash(input, &spec.name, column.name())?;
                replaced.extend(columns.iter().filter_map(|column| source.index_of(column.name()).ok()));
            }
            steps.push(Step { index, rulings, slot: added.len(), n_slots: columns.len() });
            added.extend(columns.into_iter().map(|column| column.with_nullable(true)));
        }
        let mut section = 0;
        let mut emits = Vec::new();
        for &index in &pass.emits {
            emits.push(Emit { index, section });
            section += corpus(&pipeline.stages[index]).sections();
        }
        let stay: Vec<usize> = (0..source.fields().len()).filter(|i| !replaced.contains(i)).collect();
        let kept: Vec<_> =
            stay.iter().map(|&i| source.fields()[i].clone()).chain(added.iter().cloned().map(Arc::new)).collect();
        let kept = Arc::new(Schema::new(kept));
        for (name, _) in WHY {
            if kept.field_with_name(name).is_ok() {
                refuse_clash(input, "of rejects", name)?;
            }
        }
        let is_why = |name: &str| WHY.iter().any(|(why, _)| *why == name);
        let stay_rejected = stay.iter().copied().filter(|&i| !is_why(source.field(i).name())).collect();
        let rejected = reject_schema(&kept);
        let wanted = wanted_columns(&pipeline, pass);
        let here =
            |name: &String| source.field_with_name(name).is_ok() && !added.iter().any(|field| field.name() == name);
        let mut strings: Vec<String> = wanted.0.into_iter().filter(here).collect();
        let numbers = wanted.1.into_iter().filter(here).collect();
        if !emits.is_empty() && here(&input.id_column) && !strings.contains(&input.id_column) {
            strings.push(input.id_column.clone());
        }
        let token_slot = added.iter().position(|field| field.name() == "token_count");
        Ok(Self {
            steps,
            emits,
            writes: pass.writes,
            source: source.clone(),
            kept,
            rejected,
            text,
            stay,
            stay_rejected,
            added,
            strings,
            numbers,
            token_slot,
            pipeline,
        })
    }

    /// The schema of the documents that stay.
    pub fn kept_schema(&self) -> &SchemaRef {
        &self.kept
    }

    /// The schema of the documents that go.
    pub fn rejected_schema(&self) -> &SchemaRef {
        &self.rejected
    }

    /// The number of sections of keys that are gathered.
    pub fn n_sections(&self) -> usize {
        self.emits.last().map_or(0, |emit| emit.section + corpus(&self.pipeline.stages[emit.index]).sections())
    }

    /// The columns of the source that it looks at, beside the text. A pass that leaves no documents needs no others.
    pub fn columns_read(&self) -> Vec<String> {
        self.strings.iter().chain(&self.numbers).cloned().collect()
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
        let texts = Strings::new(batch.column(self.text)).map_err(failed)?;
        let beside = Beside::new(self, batch).map_err(failed)?;
        let mut tallies: Vec<StageTally> = vec![StageTally::default(); self.pipeline.stages.len()];
        let mut tally = Tally { rows_in: n_rows as u64, ..Tally::default() };
        let mut output_keys = vec![Vec::new(); self.n_sections()];
        let (mut content_keys, mut ids, mut links) = (Vec::new(), Vec::new(), Vec::new());
        let mut keep = vec![false; n_rows];
        let mut kept_texts: Vec<Cow<'_, str>> = Vec::new();
        let mut any_rewritten = false;
        let mut kept_values: Vec<Vec<OnceCell<Value>>> = Vec::new();
        let mut rejects: Vec<Reject<'_>> = Vec::new();
        let (mut bad, mut rulings) = (bad.iter().peekable(), rulings);

        #[expect(clippy::needless_range_loop, reason = "a row is a place in many columns, not only in `keep`")]
        for row in 0..n_rows {
            let n_rulings = rulings.iter().take_while(|(ruled, _)| *ruled == row).count();
            let (own_rulings, later) = rulings.split_at(n_rulings);
            rulings = later;
            let unreadable = bad.next_if(|(bad, _)| *bad == row).map(|(_, reason)| *reason);
            let text = texts.get(row);
            tally.bytes_in += text.map_or(0, |text| text.len() as u64);
            if let Some(reason) = unreadable.or(text.is_none().then_some("null_text")) {
                tally.door.drop_one(reason);
                rejects.push(Reject {
                    row,
                    by: DOOR,
                    reason,
                    value: f64::NAN,
                    threshold: f64::NAN,
                    duplicate: None,
                    text: text.map(Cow::Borrowed),
                    values: self.no_values(),
                });
                if !self.writes {
                    content_keys.push(None);
                    ids.push(None);
                }
                continue;
            }
            let origin = text.unwrap_or_default();
            let columns = Row { beside: &beside, row, added: &self.added, values: self.no_values() };
            let key_row = content_keys.len() as u32;
            let walk = Walk { chain: self, columns: &columns, rulings: own_rulings, timed: row % TIMED == 0 };
            let mut send = |section: usize, key, rank| output_keys[section].push(SentKey { key, rank, row: key_row });
            let (text, fate) = walk.run(origin, &mut tallies, &mut send);
            match fate {
                Fate::Kept(content_key) => {
                    tally.bytes_kept += text.len() as u64;
                    if !self.emits.is_empty() {
                        content_keys.push(content_key);
                        ids.push(columns.string(&self.pipeline.input.id_column).map(str::to_owned));
                    }
                    if self.writes {
                        any_rewritten |= matches!(text, Cow::Owned(_));
                        keep[row] = true;
                        kept_texts.push(text);
                        if let Some(Value::U32(n)) = self.token_slot.and_then(|slot| columns.values[slot].get()) {
                            tally.tokens_kept += u64::from(*n);
                        }
                        kept_values.push(columns.values);
                    }
                }
                Fate::Dropped { by, reason, value, threshold, duplicate } => {
                    if let Some((_, kept_key, similarity)) = duplicate {
                        links.push((crate::doc::content_key(&text), kept_key, similarity));
                    }
                    let values = columns.values;
                    rejects.push(Reject { row, by, reason, value, threshold, duplicate, text: Some(text), values });
                }
            }
        }

        if self.writes {
            tally.rows_kept = kept_texts.len() as u64;
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
        let kept = if self.writes {
            let texts = (any_rewritten).then_some(kept_texts.as_slice());
            self.kept_batch(batch, keep, texts, &kept_values)?
        } else {
            RecordBatch::new_empty(self.kept.clone())
        };
        let rejected = if self.writes {
            self.reject_batch(batch, &rejects)?
        } else {
            RecordBatch::new_empty(self.rejected.clone())
        };
        Ok(Output { kept, rejected, keys: output_keys, content_keys, ids, links, tally })
    }

    fn no_values(&self) -> Vec<OnceCell<Value>> {
        vec![OnceCell::new(); self.added.len()]
    }

    fn kept_batch(
        &self,
        batch: &RecordBatch,
        keep: Vec<bool>,
        texts: Option<&[Cow<'_, str>]>,
        values: &[Vec<OnceCell<Value>>],
    ) -> Result<RecordBatch> {
        let failed = |error| Error::io("a batch", error);
        let all = values.len() == batch.num_rows();
        let left =
            if all { batch.clone() } else { filter_record_batch(batch, &BooleanArray::from(keep)).map_err(failed)? };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.kept.fields().len());
        for &i in &self.stay {
            columns.push(match texts {
                Some(texts) if i == self.text => {
                    strings(self.source.field(i).data_type(), texts.iter().map(|text| Some(text.as_ref())))?
                }
                _ => left.column(i).clone(),
            });
        }
        for (slot, field) in self.added.iter().enumerate() {
            columns.push(value_column(field, values.iter().map(|values| values[slot].get()))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
        RecordBatch::try_new_with_options(self.kept.clone(), columns, &options).map_err(failed)
    }

    fn reject_batch(&self, batch: &RecordBatch, rejects: &[Reject<'_>]) -> Result<RecordBatch> {
        if rejects.is_empty() {
            return Ok(RecordBatch::new_empty(self.rejected.clone()));
        }
        let failed = |error| Error::io("a batch", error);
        let mut go = vec![false; batch.num_rows()];
        for reject in rejects {
            go[reject.row] = true;
        }
        let left = filter_record_batch(batch, &BooleanArray::from(go)).map_err(failed)?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.rejected.fields().len());
        for &i in &self.stay_rejected {
            columns.push(if i == self.text {
                strings(self.source.field(i).data_type(), rejects.iter().map(|reject| reject.text.as_deref()))?
            } else {
                left.column(i).clone()
            });
        }
        for (slot, field) in self.added.iter().enumerate() {
            columns.push(value_column(field, rejects.iter().map(|reject| reject.values[slot].get()))?);
        }
        let number = |x: f64| (!x.is_nan()).then_some(x);
        let floats = |pick: &dyn Fn(&Reject<'_>) -> f64| -> ArrayRef {
            let mut builder = Float64Builder::new();
            rejects.iter().for_each(|reject| builder.append_option(number(pick(reject))));
            Arc::new(builder.finish())
        };
        columns.push(strings(&DataType::Utf8, rejects.iter().map(|reject| Some(reject.by)))?);
        columns.push(strings(&DataType::Utf8, rejects.iter().map(|reject| Some(reject.reason)))?);
        columns.push(floats(&|reject| reject.value));
        columns.push(floats(&|reject| reject.threshold));
        columns.push(strings(
            &DataType::Utf8,
            rejects.iter().map(|reject| reject.duplicate.and_then(|(id, ..)| id.as_deref())),
        )?);
        let mut keys = FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32);
        for reject in rejects {
            match reject.duplicate {
                Some((_, key, _)) => keys.append_value(key).map_err(failed)?,
                None => keys.append_null(),
            }
        }
        columns.push(Arc::new(keys.finish()));
        columns.push(floats(&|reject| reject.duplicate.map_or(f64::NAN, |(_, _, similarity)| similarity)));
        RecordBatch::try_new(self.rejected.clone(), columns).map_err(failed)
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
                    Progress::Dropped(fate) => return (text, fate),
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
            if !spec.when.matches(self.columns) {
                continue;
            }
            let start = self.timed.then(Instant::now);
            tally.seen += 1;
            tally.bytes_in += doc.text().len() as u64;
            let progress = if step.rulings { self.meet_rulings(step, spec) } else { self.step(step, spec, doc) };
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
                Progress::Dropped(fate) => {
                    if let Fate::Dropped { reason, .. } = &fate {
                        tally.drop_one(reason);
                    }
                    return Progress::Dropped(fate);
                }
            }
        }
        Progress::Through
    }

    fn step(&self, step: &Step, spec: &'t StageSpec, doc: &Doc<'_>) -> Progress<'t> {
        let drop = |reason: Reason| {
            let Reason { code, value, threshold } = reason;
            Progress::Dropped(Fate::Dropped { by: &spec.name, reason: code, value, threshold, duplicate: None })
        };
        match &spec.stage {
            Stage::Normalize(stage) => match stage.normalize(doc.text()) {
                Cow::Owned(text) => Progress::Rewritten(text),
                Cow::Borrowed(text) if text.len() != doc.text().len() => Progress::Rewritten(text.to_owned()),
                Cow::Borrowed(_) => Progress::Through,
            },
            Stage::Filter(stage) => match stage.judge(doc) {
                Verdict::Keep => Progress::Through,
                Verdict::Drop(reason) => drop(reason),
            },
            Stage::Edit(stage) => match stage.edit(doc) {
                Edit::Unchanged => Progress::Through,
                Edit::Rewritten(text) => Progress::Rewritten(text),
                Edit::Drop(reason) => drop(reason),
            },
            Stage::Annotate(stage) => {
                let mut values = Vec::with_capacity(step.n_slots);
                stage.annotate(doc, &mut values);
                self.columns.set(step, values);
                Progress::Through
            }
            Stage::Corpus(_) => Progress::Through,
        }
    }

    /// What the last exchange ruled for the document.
    fn meet_rulings(&self, step: &Step, spec: &'t StageSpec) -> Progress<'t> {
        let stage = corpus(spec);
        let mut given = None;
        for (_, ruling) in self.rulings.iter().filter(|(_, ruling)| usize::from(ruling.stage) == step.index) {
            match &ruling.kind {
                RulingKind::Give(value) => given = Some(*value),
                RulingKind::Drop { reason, similarity, threshold, kept_key, kept_id, .. } => {
                    return Progress::Dropped(Fate::Dropped {
                        by: &spec.name,
                        reason: stage.reasons()[usize::from(*reason)],
                        value: *similarity,
                        threshold: *threshold,
                        duplicate: Some((kept_id, *kept_key, *similarity)),
                    });
                }
            }
        }
        if step.n_slots > 0 {
            let mut values = Vec::with_capacity(step.n_slots);
            stage.annotate(given, &mut values);
            self.columns.set(step, values);
        }
        Progress::Through
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
    Dropped(Fate<'t>),
}

fn corpus(spec: &StageSpec) -> &dyn CorpusStage {
    match &spec.stage {
        Stage::Corpus(stage) => stage.as_ref(),
        _ => unreachable!("passes are cut at corpus stages and nowhere else"),
    }
}

fn refuse_clash(input: &InputSettings, stage: &str, column: &str) -> Result<()> {
    if input.replace_columns {
        return Ok(());
    }
    Err(Error::refused(format!(
        "stage {stage} adds the column `{column}`, which the input has already; use --replace-columns to replace it"
    )))
}

/// The string and the number columns that the stages of a pass look at.
fn wanted_columns(pipeline: &Pipeline, pass: &Pass) -> (Vec<String>, Vec<String>) {
    let (mut strings, mut numbers) = (Vec::new(), Vec::new());
    let stages = pass.replays.iter().chain(&pass.rulings).chain(&pass.local).chain(&pass.emits);
    for spec in stages.map(|&index| &pipeline.stages[index]) {
        strings.extend(spec.when.columns().cloned());
        if let Stage::Corpus(stage) = &spec.stage {
            for need in stage.needs() {
                match need.kind {
                    NeedKind::String => strings.push(need.column),
                    NeedKind::Number => numbers.push(need.column),
                }
            }
        }
    }
    for columns in [&mut strings, &mut numbers] {
        columns.sort();
        columns.dedup();
    }
    (strings, numbers)
}

/// The columns that say why a document was dropped.
const WHY: [(&str, DataType); 7] = [
    ("rejected_by", DataType::Utf8),
    ("reason", DataType::Utf8),
    ("value", DataType::Float64),
    ("threshold", DataType::Float64),
    ("duplicate_of", DataType::Utf8),
    ("duplicate_key", DataType::FixedSizeBinary(size_of::<ContentKey>() as i32)),
    ("similarity", DataType::Float64),
];

/// The columns of rejects: those of the documents, and why they were dropped.
fn reject_schema(kept: &SchemaRef) -> SchemaRef {
    let is_why = |name: &str| WHY.iter().any(|(why, _)| *why == name);
    let documents = kept.fields().iter().filter(|field| !is_why(field.name()));
    let documents = documents.map(|field| field.as_ref().clone().with_nullable(true));
    let why = WHY.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Arc::new(Schema::new(documents.chain(why).collect::<Vec<_>>()))
}

/// The columns beside the text that stages look at, for a whole batch.
struct Beside<'t> {
    strings: Vec<(&'t str, LargeStringArray)>,
    numbers: Vec<(&'t str, Float64Array)>,
}

impl<'t> Beside<'t> {
    fn new(chain: &'t Chain, batch: &RecordBatch) -> Result<Self, arrow::error::ArrowError> {
        let column = |name: &str, data_type: &DataType| {
            let index = batch.schema_ref().index_of(name)?;
            cast(batch.column(index), data_type)
        };
        let mut beside = Self { strings: Vec::new(), numbers: Vec::new() };
        for name in &chain.strings {
            beside.strings.push((name, column(name, &DataType::LargeUtf8)?.as_string::<i64>().clone()));
        }
        for name in &chain.numbers {
            beside.numbers.push((name, column(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone()));
        }
        Ok(beside)
    }
}

/// The columns beside the text of one document, those of the input and those that stages have added.
struct Row<'t> {
    beside: &'t Beside<'t>,
    row: usize,
    added: &'t [Field],
    values: Vec<OnceCell<Value>>,
}

impl Row<'_> {
    fn set(&self, step: &Step, values: Vec<Value>) {
        debug_assert_eq!(values.len(), step.n_slots, "a stage puts one value per column");
        for (cell, value) in self.values[step.slot..].iter().zip(values) {
            cell.set(value).expect("a column belongs to one stage, which runs once");
        }
    }

    fn added(&self, column: &str) -> Option<&Value> {
        let slot = self.added.iter().position(|field| field.name() == column)?;
        self.values[slot].get()
    }
}

impl Columns for Row<'_> {
    fn string(&self, column: &str) -> Option<&str> {
        if let Some(Value::Str(value)) = self.added(column) {
            return Some(value);
        }
        let (_, array) = self.beside.strings.iter().find(|(name, _)| *name == column)?;
        array.is_valid(self.row).then(|| array.value(self.row))
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.added(column) {
            Some(Value::U32(n)) => return Some(f64::from(*n)),
            Some(Value::F32(x)) => return Some(f64::from(*x)),
            _ => {}
        }
        let (_, array) = self.beside.numbers.iter().find(|(name, _)| *name == column)?;
        array.is_valid(self.row).then(|| array.value(self.row))
    }
}

/// A column of strings of any layout.
pub struct Strings(ArrayRef);

impl Strings {
    /// A view of a column of strings.
    pub fn new(column: &ArrayRef) -> Result<Self, arrow::error::ArrowError> {
        Ok(Self(match column.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => column.clone(),
            _ => cast(column, &DataType::LargeUtf8)?,
        }))
    }

    /// The string in a row, unless it is null.
    pub fn get(&self, row: usize) -> Option<&str> {
        if self.0.is_null(row) {
            return None;
        }
        Some(match self.0.data_type() {
            DataType::Utf8 => self.0.as_string::<i32>().value(row),
            DataType::LargeUtf8 => self.0.as_string::<i64>().value(row),
            _ => self.0.as_string_view().value(row),
        })
    }
}

/// An array of strings of the given layout.
fn strings<'t>(data_type: &DataType, values: impl Iterator<Item = Option<&'t str>>) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            values.for_each(|value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::new();
            values.for_each(|value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        other => {
            let mut builder = LargeStringBuilder::new();
            values.for_each(|value| builder.append_option(value));
            let array: ArrayRef = Arc::new(builder.finish());
            if array.data_type() == other {
                array
            } else {
                cast(&array, other).map_err(|error| Error::io("a batch", error))?
            }
        }
    })
}

/// An array of what a stage put into one of its columns.
fn value_column<'t>(field: &Field, values: impl Iterator<Item = Option<&'t Value>>) -> Result<ArrayRef> {
    Ok(match field.data_type() {
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            values.for_each(|value| {
                builder.append_option(value.and_then(|value| match value {
                    Value::Str(value) => Some(value.as_ref()),
                    _ => None,
                }));
            });
            Arc::new(builder.finish())
        }
        DataType::UInt32 => {
            let mut builder = UInt32Builder::new();
            values.for_each(|value| {
                builder.append_option(value.and_then(|value| match value {
                    Value::U32(value) => Some(*value),
                    _ => None,
                }));
            });
            Arc::new(builder.finish())
        }
        DataType::Float32 => {
            let mut builder = Float32Builder::new();
            values.for_each(|value| {
                builder.append_option(value.and_then(|value| match value {
                    Value::F32(value) => Some(*value),
                    _ => None,
                }));
            });
            Arc::new(builder.finish())
        }
        _ => {
            let mut builder = FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32);
            for value in values {
                match value {
                    Some(Value::Key(key)) => builder.append_value(key).map_err(|error| Error::io("a batch", error))?,
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    })
}
