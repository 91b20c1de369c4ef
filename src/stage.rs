//! What a stage is: the four kinds that see one document, and the kind that needs the whole corpus.
//!
//! Normalizers, editors, filters and annotators are pure: they run on any document, on any thread, in any
//! order, and their code has no `Result`: text in, judgement out. They must be total (any Unicode, empty,
//! one gigantic line) and deterministic. A corpus stage ends a pass: documents send keys, keys meet, and
//! every document gets a ruling. It composes the verbs of [`Exchange`] and nothing else, which is what
//! lets it run on any engine.

use std::borrow::Cow;

use arrow::datatypes::{DataType, Field};

pub use entry::{Entry, Profile, Settings};
pub use verbs::{DocSet, Duplicate, Edge, Exchange, Known, Pair, PairJudge, Ranked, Rows, Sent, Table, Target};

use crate::doc::{ContentKey, Doc, Value};
use crate::error::Result;

mod entry;
mod verbs;

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

    /// The columns that it looks at where they are there.
    fn looks_at(&self) -> Vec<Need> {
        Vec::new()
    }

    /// How often a document that stays was used before, if it looks that up; for reports.
    fn used<'d>(&self, _doc: &Doc<'d>, _ruled: Ruled<'_>) -> Option<Used<'d>> {
        None
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

/// How often a document was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used<'d> {
    /// The uses.
    pub uses: u64,
    /// Whether it is worth nothing any more.
    pub used_up: bool,
    /// Its source, where that is known.
    pub source: Option<&'d str>,
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
    /// A content key.
    Key,
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

/// The type of a column of content keys.
pub fn key_type() -> DataType {
    DataType::FixedSizeBinary(size_of::<ContentKey>() as i32)
}
