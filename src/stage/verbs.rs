//! The verbs that a corpus stage is made of, and what they speak of: keys, pairs, edges, rulings.

use std::marker::PhantomData;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::doc::{DocId, Holder};
use crate::error::Result;

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
    /// Groups the documents of each section by key; in each group the first `k` in the total order are
    /// proposed to every later member. The same pair can be proposed by several groups.
    ///
    /// If the stage [reads an index](super::CorpusStage::index), the leaders that this has of a group come before all its
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

    /// Drops a document, or only tells it what it duplicates if that is what the stage's [`Duplicates`](super::Duplicates) say. At most
    /// once per document and stage.
    fn drop(&mut self, duplicate: Duplicate) -> Result<()>;

    /// Gives a document a number, which [`CorpusStage::annotate`](super::CorpusStage::annotate) turns into columns. At most once per document and stage.
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
        (0..self.tasks.len() as u32).flat_map(|task| self.iter_task(task))
    }

    /// Those of `task`, in order.
    pub fn iter_task(&self, task: u32) -> impl Iterator<Item = DocId> {
        let words = self.tasks[task as usize].iter().zip((0u64..).step_by(64));
        let rows = words
            .flat_map(|(&word, first)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit));
        rows.map(move |row| DocId::new(task, row))
    }

    /// How many documents of `task` are in.
    pub fn count_in_task(&self, task: u32) -> u64 {
        self.tasks[task as usize].iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
