//! What a stage is: the four kinds that see one document, and the kind that needs the whole corpus.
//!
//! Normalizers, editors, filters and annotators are pure: they run on any document, on any thread, in any
//! order, and their code has no `Result`: text in, judgement out. They must be total (any Unicode, empty,
//! one gigantic line) and deterministic. A corpus stage ends a pass: documents send keys, keys meet, and
//! every document gets a ruling. It composes the verbs of [`Exchange`] and nothing else, which is what
//! lets it run on any engine.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::path::PathBuf;

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::doc::{ContentKey, Doc, DocId, Holder, Value};
use crate::error::{self, Result};

/// Rewrites a text. Nothing to do: `Cow::Borrowed`, and no allocation. Normalizing twice is normalizing once.
pub trait Normalizer: Send + Sync {
    /// The text, rewritten.
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str>;
}

/// Judges a document.
pub trait Filter: Send + Sync {
    /// Keep it, or drop it with a reason. The same text must always give the same verdict.
    fn judge(&self, doc: &Doc<'_>) -> Verdict;

    /// The columns it looks at.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// The reasons it can give, for listings.
    fn reasons(&self) -> &'static [&'static str];

    /// As [`Annotator::pins`].
    fn pins(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Rewrites and judges in one walk, as some published recipes do. Prefer the pure kinds.
pub trait Editor: Send + Sync {
    /// What becomes of the document.
    fn edit(&self, doc: &Doc<'_>) -> Edit;

    /// The columns it looks at.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// The reasons it can give for a drop, for listings.
    fn reasons(&self) -> &'static [&'static str];
}

/// Adds columns.
pub trait Annotator: Send + Sync {
    /// The columns it adds, with their types. `Utf8`, `UInt32`, `Float32`, `Float64` and
    /// `FixedSizeBinary(16)` are possible.
    fn columns(&self) -> Vec<Field>;

    /// Puts one value per column of [`Annotator::columns`] into `row`, in that order.
    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>);

    /// Whether what it puts into its columns is an estimate, which reports then say.
    fn estimates(&self) -> bool {
        false
    }

    /// Whether a column of this stage that the input brings already is left as it is, instead of being a clash.
    fn keeps_existing(&self) -> bool {
        false
    }

    /// Whether the stage must see the text as first read, before any rewriting stage.
    fn reads_origin(&self) -> bool {
        false
    }

    /// Settings that say what it has found outside of the pipeline, a file's content say: with them in place it would
    /// refuse to find another. They make two runs different, and hold on other machines.
    fn pins(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The digest of what a stage has read from outside of the pipeline, xxh3-128, as its setting `digest` has it: in
/// hexadecimal digits. The message says that it is another one than is `wanted`.
pub fn digest(what: impl std::fmt::Display, found: u128, wanted: Option<&str>) -> Result<String, String> {
    let found = format!("{found:032x}");
    match wanted {
        Some(wanted) if !wanted.eq_ignore_ascii_case(&found) => {
            Err(format!("{what}: this is another file: its digest is {found}, not {wanted}"))
        }
        _ => Ok(found),
    }
}

/// What a filter says of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It goes.
    Drop(Reason),
}

/// Why a document was dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// A constant from the stage's small set: a key in reports.
    pub code: &'static str,
    /// What was measured.
    pub value: f64,
    /// What it was held against.
    pub threshold: f64,
}

impl Verdict {
    /// A drop for the reason `code`: `value` was measured and held against `threshold`.
    pub fn drop(code: &'static str, value: f64, threshold: f64) -> Self {
        Self::Drop(Reason { code, value, threshold })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Drop(reason) => reason.fmt(f),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let round = |x: f64| (x * 1e4).round() / 1e4;
        write!(f, "{} {} (threshold {})", self.code, round(self.value), round(self.threshold))
    }
}

/// What an editor makes of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// It stays as it is.
    Unchanged,
    /// It stays with another text.
    Rewritten(String),
    /// It goes.
    Drop(Reason),
}

/// A stage that needs the whole corpus.
///
/// The engine calls [`keys`](CorpusStage::keys) for every document of the pass, gathers the keys, and calls
/// [`resolve`](CorpusStage::resolve) once; the rulings made there meet their documents in the next pass.
pub trait CorpusStage: Send + Sync {
    /// The columns it adds, with their types.
    fn columns(&self) -> Vec<Field> {
        Vec::new()
    }

    /// The input columns it looks at.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// The input column that [`CorpusStage::rank`] looks at; a document without it has the last rank there is.
    fn ranks_by(&self) -> Option<Need> {
        None
    }

    /// Columns of content keys that it looks at where they are there.
    fn looks_at(&self) -> &'static [&'static str] {
        &[]
    }

    /// As [`Annotator::pins`].
    fn pins(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// How many kinds of keys it sends; keys of different sections never meet.
    fn sections(&self) -> usize;

    /// The document's place in the total order: lower goes first, ties go by input order.
    fn rank(&self, _doc: &Doc<'_>) -> u64 {
        0
    }

    /// Sends the document's keys as `(section, key)`. Called once per document, from any thread, in any order.
    /// The same text must always give the same keys: runs are resumed, and rulings are looked up by them.
    fn keys(&self, doc: &Doc<'_>, send: &mut dyn FnMut(usize, u128));

    /// How many different shingles a document is compared by, where it is; for `trommel try`.
    fn n_shingles(&self, _doc: &Doc<'_>) -> Option<usize> {
        None
    }

    /// Lets the keys meet and rules.
    fn resolve(&self, exchange: &mut dyn Exchange) -> Result<()>;

    /// What it has pairs judged by, if it has any judged: the same wherever they are.
    fn judge(&self) -> Option<&dyn PairJudge> {
        None
    }

    /// Puts one value per column of [`CorpusStage::columns`] into `row`, for a document that stays.
    fn annotate(&self, _doc: &Doc<'_>, _ruled: Ruled<'_>, _row: &mut Vec<Value>) {}

    /// The reasons it can give for a drop, for listings.
    fn reasons(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it [records](Exchange::record) the pairs it finds, so that other thresholds can be tried.
    fn records_pairs(&self) -> bool {
        false
    }

    /// What must be kept, if that is what [chooses](Exchange::choose) its threshold.
    fn target(&self) -> Option<Target> {
        None
    }

    /// How it deals with duplicates, if it is for finding documents whose texts are alike.
    fn duplicates(&self) -> Option<&Duplicates> {
        None
    }

    /// The index of earlier corpora that it reads or writes.
    fn index(&self) -> Option<&IndexUse> {
        None
    }

    /// Whether it rules on documents for the likeness of their texts, so that the text must not change after it.
    fn is_dedup(&self) -> bool {
        self.duplicates().is_some()
    }
}

/// How a stage deals with the duplicates it finds.
///
/// A cluster is a kept document with those that it stands for, whichever stage of the same exchange says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicates {
    /// Whether documents are [given](Exchange::give) the number of documents in their cluster, where that is
    /// more than one. The engine does so when all stages of the exchange have ruled.
    pub counted: bool,
    /// Whether duplicates stay and are told what they duplicate. No other stage of the exchange may then
    /// rule on duplicates.
    pub annotated: bool,
    /// Whether documents of earlier corpora stand for some, so that rulings name the run of these.
    pub earlier: bool,
    /// What is called out.
    pub guards: Guards,
}

/// An index of earlier corpora, as a stage uses it.
///
/// What a run keeps is the same as if the earlier corpora stood before its own, where settings agree.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexUse {
    /// Its folder.
    pub folder: String,
    /// Whether documents are compared with those it knows.
    pub reads: bool,
    /// Whether this run is added to it.
    pub writes: bool,
    /// What this run is called in it.
    pub run: Option<String>,
    /// The settings that all runs of an index have in common.
    pub settings: Vec<(&'static str, serde_json::Value)>,
}

/// What must not go by unnoticed.
#[derive(Debug, Clone, PartialEq)]
pub struct Guards {
    /// A cluster of more documents is called out.
    pub max_cluster: Option<u64>,
    /// A source that loses a greater share of its documents is called out.
    pub max_source_loss: Option<f64>,
    /// The column that names a document's source.
    pub source_column: String,
    /// Whether a run in which something was called out ends as one that failed.
    pub fail: bool,
}

/// What an exchange has ruled for a document that stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ruled<'r> {
    /// What [`Exchange::give`] gave it.
    pub given: Option<u64>,
    /// The kept document that stands for it, where duplicates stay.
    pub duplicate: Option<DuplicateOf<'r>>,
}

/// The kept document that stands for another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DuplicateOf<'r> {
    /// Its id, where the corpus has ids.
    pub id: Option<&'r str>,
    /// Its content key.
    pub key: ContentKey,
    /// How alike the two are.
    pub similarity: f64,
    /// The earlier run that kept it, if it is none of this one.
    pub run: Option<&'r str>,
}

/// An input column a stage looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The column.
    pub column: String,
    /// What is read from it.
    pub kind: NeedKind,
}

/// What is read from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeedKind {
    /// A string.
    String,
    /// A number.
    Number,
}

/// Two documents that met; `first` comes before `second` in the total order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The earlier document.
    pub first: Ranked,
    /// The later document.
    pub second: Ranked,
}

/// A document with its place in the total order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranked {
    /// The policy's value; lower goes first.
    pub rank: u64,
    /// The document; input order among equal ranks.
    pub doc: DocId,
}

/// What must be kept, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// So many tokens, estimated.
    Tokens(u64),
    /// So many documents.
    Documents(u64),
}

/// A verified pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// The two documents.
    pub pair: Pair,
    /// Their Jaccard similarity.
    pub similarity: f64,
}

/// A document whose text an index has seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// The document.
    pub doc: DocId,
    /// The earlier one that was kept.
    pub kept: DocId,
    /// How alike the two are.
    pub similarity: f64,
    /// Whether they have the same text. If not, an earlier document with this text went for the kept one.
    pub copy: bool,
}

/// A key that a document has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The key.
    pub key: u128,
    /// The document.
    pub doc: DocId,
    /// Whether no stage of this exchange has dropped it so far.
    pub stays: bool,
}

/// A ruling to drop a document for another one that stands for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duplicate {
    /// The document to drop.
    pub doc: DocId,
    /// The kept document.
    pub kept: DocId,
    /// Their similarity.
    pub similarity: f64,
    /// What it was held against.
    pub threshold: f64,
    /// A constant from the stage's small set.
    pub reason: &'static str,
}

/// Rows of `R` that an engine keeps for a corpus stage, in files only the engine knows how to read.
#[derive(Debug, Clone)]
pub struct Table<R> {
    /// The files.
    pub files: Vec<String>,
    /// The number of rows in them.
    pub n_rows: u64,
    row: PhantomData<fn() -> R>,
}

impl<R> Table<R> {
    /// A table of `n_rows` rows in `files`.
    pub fn new(files: Vec<String>, n_rows: u64) -> Self {
        Self { files, n_rows, row: PhantomData }
    }
}

/// How keys meet. Every verb has the same result on every engine, whatever the threads, memory and hosts.
///
/// Sections are those of the calling stage. Grouping no longer sees documents that an earlier stage of the
/// same exchange, or this one, has dropped or set aside.
pub trait Exchange {
    /// Puts keys from outside the corpus into a section. In pairs they come first, as
    /// [`Ranked`] `{ rank: value, doc: EXTERNAL }`. Values of equal keys are added up.
    fn add_keys(&mut self, section: usize, keys: &mut dyn Iterator<Item = Result<(u128, u64)>>) -> Result<()>;

    /// Groups the documents of each section by key; in each group the first `k` in the total order are
    /// proposed to every later member. A key from outside is proposed to every member of its group, beside
    /// the `k`; so `k = 0` is a lookup. The same pair can be proposed by several groups.
    ///
    /// If the stage [reads an index](CorpusStage::index), the leaders that this has of a group come before all its
    /// members and count among the `k`; those that were kept are proposed.
    fn group_first_k(&mut self, sections: std::ops::Range<usize>, k: usize) -> Result<Table<Pair>>;

    /// Each pair once.
    fn distinct(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>>;

    /// Sorts pairs so that each task sees those whose `second` it holds, in the order of its rows.
    fn route_to_task(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>>;

    /// Judges pairs (routed to tasks) by the sets of their documents, and keeps the edges at or above the floor.
    fn verify(&mut self, pairs: Table<Pair>, judge: &dyn PairJudge) -> Result<Table<Edge>>;

    /// The pairs in the total order of `first`, then `second`.
    fn scan_by_first(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>>;

    /// The pairs in the total order of `second`, then `first`.
    fn scan_by_second(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>>;

    /// The edges in the total order of their `second`, then `first`.
    fn sorted_scan(&mut self, edges: &Table<Edge>) -> Result<Rows<Edge>>;

    /// Leaves the verified pairs and the documents with equal texts, in the orders of
    /// [`Exchange::sorted_scan`] and [`Exchange::scan_by_first`], for thresholds from `floor` up to be tried
    /// later. Nothing is left where other stages have a say in what stays.
    fn record(&mut self, floor: f64, edges: Rows<Edge>, copies: Rows<Pair>) -> Result<()>;

    /// The pairs and copies that an earlier run has [recorded](Exchange::record), if this one only cuts it
    /// anew. Then no document has sent a key.
    fn recorded(&mut self) -> Result<Option<(Rows<Edge>, Rows<Pair>)>>;

    /// The lowest multiple of 0.01, or the floor, at which what is [recorded](Exchange::record) keeps the target;
    /// 1 if none does. Says in the report what it has chosen.
    fn choose(&mut self, target: Target) -> Result<f64>;

    /// The documents whose key in section 0, which is that of the text, is in the index that the stage reads.
    fn known(&mut self) -> Result<Rows<Known>>;

    /// Adds what the stage is about to keep to the index that it writes: the texts of all documents that grouping
    /// still sees, which sent each key to section 0 once; and of each group in `sections` so many leaders that
    /// they make `k` with those that the index has. The part counts once the run is done.
    fn leave_index(&mut self, sections: std::ops::Range<usize>, k: usize) -> Result<()>;

    /// A set of documents, one bit each, all absent.
    fn bits(&self) -> DocSet;

    /// The documents that sent a key to `section` and that grouping still sees.
    fn members(&mut self, section: usize) -> Result<DocSet>;

    /// Makes the set of each of the documents from its text and shows it. From any thread, in any order.
    fn scan_sets(&mut self, docs: &DocSet, judge: &dyn PairJudge, visit: &(dyn Fn(DocId, &[u64]) + Sync))
    -> Result<()>;

    /// Hides a document from the groupings that follow, as a drop would. What becomes of it is ruled later.
    fn set_aside(&mut self, doc: DocId);

    /// Drops a document, or only tells it what it duplicates if that is what the stage's [`Duplicates`] say. At most
    /// once per document and stage.
    fn drop(&mut self, duplicate: Duplicate) -> Result<()>;

    /// Gives a document a number, which [`CorpusStage::annotate`] turns into columns. At most once per document and stage.
    fn give(&mut self, doc: DocId, value: u64) -> Result<()>;

    /// All keys of a section, in order, those of documents that were dropped as well.
    fn keys_sent(&mut self, section: usize) -> Result<Rows<Sent>>;

    /// Takes note of two documents that are alike, for stages after this one and for [later runs](Exchange::links). Both
    /// have sent their content keys to section 0 of a deduplicating stage.
    fn link(&mut self, edge: Edge) -> Result<()>;

    /// The texts that are alike, by content keys, both ways round, in order: as far as stages before this one have taken
    /// note of them, as this run and those in the folders `runs` have dropped one for the other, and as these have taken
    /// note.
    fn links(&mut self, runs: &[String]) -> Result<Rows<(u128, u128)>>;

    /// A folder for temporary files, and the bytes that may be held beside what the exchange holds itself.
    fn room(&self) -> (PathBuf, usize);

    /// Leaves a number for the report, under the stage that calls. Those of the same name are added up.
    fn note(&mut self, what: &'static str, value: u64);

    /// Leaves what was measured for the report, under the stage that calls.
    fn measure(&mut self, what: &'static str, value: f64);
}

/// Rows that are read as they are asked for. They own what they read from, so that a stage can rule
/// while it reads.
pub type Rows<R> = Box<dyn Iterator<Item = Result<R>>>;

/// The document that stands for keys from outside the corpus: no task holds it, and no part of an index.
pub const EXTERNAL: u64 = u64::MAX;

/// Decides how alike two documents are, from a set made of each text.
pub trait PairJudge: Sync {
    /// The document's set: sorted, each member once. Appended to `set`, which is empty.
    fn set(&self, text: &str, set: &mut Vec<u64>);

    /// The least similarity that matters.
    fn floor(&self) -> f64;

    /// The most that two sets of these sizes can have in common, as a similarity.
    fn bound(&self, len_a: usize, len_b: usize) -> f64;

    /// The similarity of two sets, or `None` if it is below the floor.
    fn similarity(&self, a: &[u64], b: &[u64]) -> Option<f64>;

    /// The similarity from which on a document goes for one that stays, if pairs are judged for nothing else: then
    /// those with a document that goes need not be judged. `None`: all are wanted.
    fn settles_at(&self) -> Option<f64> {
        None
    }
}

/// A set of documents of one pass, one bit each. Documents of earlier corpora are never in it.
#[derive(Debug, Clone)]
pub struct DocSet {
    tasks: Vec<Vec<u64>>,
}

impl DocSet {
    /// No documents, of tasks with these numbers of rows.
    pub fn empty(rows: &[u64]) -> Self {
        let words = |&n: &u64| vec![0; n.div_ceil(64) as usize];
        Self { tasks: rows.iter().map(words).collect() }
    }

    /// A set of these bits, a list of words for each task.
    pub(crate) fn from_words(tasks: Vec<Vec<u64>>) -> Self {
        Self { tasks }
    }

    /// The bits of each task, the first document's the lowest.
    pub(crate) fn words(&self) -> &[Vec<u64>] {
        &self.tasks
    }

    /// Puts a document in.
    pub fn insert(&mut self, doc: DocId) {
        if let Holder::Task(task) = doc.holder() {
            self.tasks[task as usize][(doc.row() / 64) as usize] |= 1 << (doc.row() % 64);
        }
    }

    /// Whether a document is in.
    pub fn contains(&self, doc: DocId) -> bool {
        match doc.holder() {
            Holder::Task(task) => self.tasks[task as usize][(doc.row() / 64) as usize] >> (doc.row() % 64) & 1 == 1,
            Holder::Part(_) => false,
        }
    }

    /// The documents that are in, in input order.
    pub fn iter(&self) -> impl Iterator<Item = DocId> {
        self.tasks.iter().zip(0u32..).flat_map(|(words, task)| {
            let rows = words
                .iter()
                .zip((0u64..).step_by(64))
                .flat_map(|(&word, first)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit));
            rows.map(move |row| DocId::new(task, row))
        })
    }

    /// How many documents of `task` are in.
    pub fn count_in_task(&self, task: u32) -> u64 {
        self.tasks[task as usize].iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// The settings of a stage, which are the stage: deserialize them, build, and it runs.
///
/// Doc comments on the fields are the user manual: `trommel stages NAME` prints them with the defaults.
pub trait Settings: Serialize + DeserializeOwned + Default + JsonSchema + 'static {
    /// The name in pipelines and reports, in snake case.
    const NAME: &'static str;
    /// What it does, in a line.
    const ABOUT: &'static str;
    /// What runs.
    type Stage;
    /// Published settings to begin with, if its setting `profile` names them; others than the defaults.
    const PROFILES: &'static [Profile<Self>] = &[];
    /// The settings that the defaults leave out because only a user can say them, each with an example in TOML.
    const REQUIRED: &'static [(&'static str, &'static str)] = &[];
    /// Checks the settings and builds what runs. The message says which setting is wrong and what would have worked.
    fn build(self) -> Result<Self::Stage, String>;
    /// The stage as listings show it: with the defaults, and whatever is right for what must be set.
    fn sample() -> Self::Stage {
        Self::default().build().expect("a stage without required settings builds from its defaults")
    }
}

/// Settings that a recipe has published.
pub struct Profile<S> {
    /// What `profile` calls it.
    pub name: &'static str,
    /// The settings, all of them; those that a pipeline gives beside `profile` take their place.
    pub settings: fn() -> S,
}

/// A stage ready to run.
pub enum Stage {
    /// Rewrites.
    Normalize(Box<dyn Normalizer>),
    /// Judges.
    Filter(Box<dyn Filter>),
    /// Rewrites and judges.
    Edit(Box<dyn Editor>),
    /// Adds columns.
    Annotate(Box<dyn Annotator>),
    /// Needs the whole corpus.
    Corpus(Box<dyn CorpusStage>),
}

impl Stage {
    /// Whether it can change the text.
    pub fn rewrites(&self) -> bool {
        matches!(self, Self::Normalize(_) | Self::Edit(_))
    }

    /// Whether it can drop a document by looking at it alone.
    pub fn drops(&self) -> bool {
        matches!(self, Self::Filter(_) | Self::Edit(_))
    }

    /// What becomes of a document that is looked at alone. The values of the columns an annotator adds go into
    /// `row`, in their order. A corpus stage leaves every document as it is: its rulings come later.
    pub fn apply(&self, doc: &Doc<'_>, row: &mut Vec<Value>) -> Edit {
        match self {
            Self::Normalize(stage) => match stage.normalize(doc.text()) {
                Cow::Owned(text) => Edit::Rewritten(text),
                Cow::Borrowed(text) if text.len() != doc.text().len() => Edit::Rewritten(text.to_owned()),
                Cow::Borrowed(_) => Edit::Unchanged,
            },
            Self::Filter(stage) => match stage.judge(doc) {
                Verdict::Keep => Edit::Unchanged,
                Verdict::Drop(reason) => Edit::Drop(reason),
            },
            Self::Edit(stage) => stage.edit(doc),
            Self::Annotate(stage) => {
                stage.annotate(doc, row);
                Edit::Unchanged
            }
            Self::Corpus(_) => Edit::Unchanged,
        }
    }

    /// Whether it leaves a column alone that the input has already, instead of adding it.
    pub fn keeps_existing(&self) -> bool {
        matches!(self, Self::Annotate(stage) if stage.keeps_existing())
    }

    /// Whether it adds the tokens of a document, and only estimates them.
    pub fn estimates_tokens(&self) -> bool {
        let counts = |field: &Field| field.name() == "token_count";
        matches!(self, Self::Annotate(stage) if stage.estimates() && stage.columns().iter().any(counts))
    }

    /// The columns it adds.
    pub fn columns(&self) -> Vec<Field> {
        match self {
            Self::Annotate(stage) => stage.columns(),
            Self::Corpus(stage) => stage.columns(),
            Self::Normalize(_) | Self::Filter(_) | Self::Edit(_) => Vec::new(),
        }
    }

    /// The columns it looks at, which the input or a stage before it must have.
    pub fn needs(&self) -> Vec<Need> {
        match self {
            Self::Filter(stage) => stage.needs(),
            Self::Edit(stage) => stage.needs(),
            Self::Corpus(stage) => stage.needs(),
            Self::Normalize(_) | Self::Annotate(_) => Vec::new(),
        }
    }

    /// Settings that say what it has found outside of the pipeline: see [`Annotator::pins`].
    pub fn pins(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Filter(stage) => stage.pins(),
            Self::Annotate(stage) => stage.pins(),
            Self::Corpus(stage) => stage.pins(),
            Self::Normalize(_) | Self::Edit(_) => Vec::new(),
        }
    }

    /// The reasons it can give for a drop.
    pub fn reasons(&self) -> &'static [&'static str] {
        match self {
            Self::Filter(stage) => stage.reasons(),
            Self::Edit(stage) => stage.reasons(),
            Self::Corpus(stage) => stage.reasons(),
            Self::Normalize(_) | Self::Annotate(_) => &[],
        }
    }
}

/// A line in a family's table: all that is needed to list, check and build a stage.
pub struct Entry {
    /// The name in pipelines and reports.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The kind: `normalize`, `filter`, `annotate` or `corpus`.
    pub family: &'static str,
    /// Builds the stage from a pipeline's settings. The message names the setting and what would have worked.
    pub build: fn(toml::Table) -> Result<Stage, String>,
    /// The stage as listings show it; unlike [`Entry::build`] it needs no settings.
    pub sample: fn() -> Stage,
    /// The settings that must be set, each with an example in TOML.
    pub required: &'static [(&'static str, &'static str)],
    /// The settings with their defaults.
    pub defaults: fn() -> serde_json::Value,
    /// The JSON Schema of the settings, with what each one means.
    pub schema: fn() -> schemars::Schema,
}

impl Entry {
    const fn of<S: Settings>(
        family: &'static str,
        build: fn(toml::Table) -> Result<Stage, String>,
        sample: fn() -> Stage,
    ) -> Self {
        Self {
            name: S::NAME,
            about: S::ABOUT,
            family,
            build,
            sample,
            required: S::REQUIRED,
            defaults: || serde_json::to_value(S::default()).expect("settings are plain data"),
            schema: || schemars::schema_for!(S),
        }
    }

    /// A normalizer.
    pub const fn normalizer<S: Settings<Stage: Normalizer + 'static>>() -> Self {
        Self::of::<S>(
            "normalize",
            |table| Ok(Stage::Normalize(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Normalize(Box::new(S::sample())),
        )
    }

    /// A filter.
    pub const fn filter<S: Settings<Stage: Filter + 'static>>() -> Self {
        Self::of::<S>(
            "filter",
            |table| Ok(Stage::Filter(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Filter(Box::new(S::sample())),
        )
    }

    /// An editor; it is listed among the filters.
    pub const fn editor<S: Settings<Stage: Editor + 'static>>() -> Self {
        Self::of::<S>(
            "filter",
            |table| Ok(Stage::Edit(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Edit(Box::new(S::sample())),
        )
    }

    /// An annotator.
    pub const fn annotator<S: Settings<Stage: Annotator + 'static>>() -> Self {
        Self::of::<S>(
            "annotate",
            |table| Ok(Stage::Annotate(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Annotate(Box::new(S::sample())),
        )
    }

    /// A corpus stage.
    pub const fn corpus<S: Settings<Stage: CorpusStage + 'static>>() -> Self {
        Self::of::<S>(
            "corpus",
            |table| Ok(Stage::Corpus(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Corpus(Box::new(S::sample())),
        )
    }
}

fn settings<S: Settings>(table: toml::Table) -> Result<S, String> {
    let mut table = table;
    if let Some(name) = table.get("profile").and_then(toml::Value::as_str)
        && !S::PROFILES.is_empty()
    {
        let Some(profile) = S::PROFILES.iter().find(|profile| profile.name == name) else {
            let names: Vec<_> = S::PROFILES.iter().map(|profile| format!("`{}`", profile.name)).collect();
            return Err(format!("there is no profile `{name}`; there are {}", names.join(", ")));
        };
        let published = toml::Table::try_from((profile.settings)()).expect("settings are plain data");
        for (setting, value) in published {
            table.entry(setting).or_insert(value);
        }
    }
    table.try_into::<S>().map_err(|error| error::of_settings(&error))
}

/// The type of a column of content keys.
pub fn key_type() -> DataType {
    DataType::FixedSizeBinary(size_of::<ContentKey>() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stage with a profile.
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Rules {
        profile: Option<String>,
        min: u32,
        max: u32,
    }

    impl Default for Rules {
        fn default() -> Self {
            Self { profile: None, min: 1, max: 9 }
        }
    }

    impl Settings for Rules {
        const NAME: &'static str = "rules";
        const ABOUT: &'static str = "nothing";
        type Stage = Self;
        const PROFILES: &'static [Profile<Self>] =
            &[Profile { name: "narrow", settings: || Self { min: 4, max: 6, ..Self::default() } }];

        fn build(self) -> Result<Self, String> {
            Ok(self)
        }
    }

    #[track_caller]
    fn check(toml: &str, expected: Result<(u32, u32), &str>) {
        let read = settings::<Rules>(toml::from_str(toml).expect("the text of a test is TOML"));
        assert_eq!(read.map(|rules| (rules.min, rules.max)), expected.map_err(str::to_owned), "{toml}");
    }

    #[test]
    fn a_profile_takes_the_place_of_the_defaults() {
        check("", Ok((1, 9)));
        check("profile = 'narrow'", Ok((4, 6)));
        check("profile = 'narrow'\nmax = 7", Ok((4, 7)));
        check("profile = 'wide'", Err("there is no profile `wide`; there are `narrow`"));
    }
}
