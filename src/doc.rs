//! A document as a stage sees it: one text, its views worked out once, and its name across runs.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::cmp::Ordering;

use arrow::temporal_conversions::timestamp_ms_to_datetime;
use xxhash_rust::xxh3::xxh3_128;

use crate::canonical::{canonical, canonical_bytes, composed};
use crate::text;
use crate::tokenize::Tokenizer;

/// Where a document stands in its pass, by its task and its row in that task; or, if it is one of an earlier
/// corpus, in a part of an index.
///
/// The order of `DocId`s is input order, and what was there earlier comes first: that of the numbers taken as
/// signed ones. It is internal: it names nothing outside one run and the index it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocId(u64);

/// Who holds a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A part of an index of earlier corpora.
    Part(u32),
    /// A task of this run.
    Task(u32),
}

impl DocId {
    const ROW_BITS: u32 = 40;
    /// Set in documents of earlier corpora.
    const EARLIER: u64 = 1 << 63;

    /// The document at `row` of `task`. A task holds fewer than 2^40 rows, a run fewer than 2^23 tasks.
    pub fn new(task: u32, row: u64) -> Self {
        debug_assert!(row < 1 << Self::ROW_BITS && task < 1 << (63 - Self::ROW_BITS));
        Self((u64::from(task) << Self::ROW_BITS) | row)
    }

    /// The document at a `place` of a part of an index, whose limits are those of [`DocId::new`].
    pub fn earlier(part: u32, place: u64) -> Self {
        Self(Self::EARLIER | Self::new(part, place).0)
    }

    /// Whether it is a document of an earlier corpus.
    pub fn is_earlier(self) -> bool {
        self.0 & Self::EARLIER != 0
    }

    /// Who holds the document.
    pub fn holder(self) -> Holder {
        let number = ((self.0 & !Self::EARLIER) >> Self::ROW_BITS) as u32;
        if self.is_earlier() { Holder::Part(number) } else { Holder::Task(number) }
    }

    /// The task that holds a document of this run.
    pub fn task(self) -> u32 {
        debug_assert!(!self.is_earlier(), "no task holds a document of an earlier corpus");
        (self.0 >> Self::ROW_BITS) as u32
    }

    /// The row in the task, counted from 0 in the order rows are read; or the place in the part.
    pub fn row(self) -> u64 {
        self.0 & ((1 << Self::ROW_BITS) - 1)
    }

    /// The number as it is written to disk.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// A number by which documents have the same order.
    pub fn lead(self) -> u64 {
        self.0 ^ Self::EARLIER
    }

    /// The reverse of [`DocId::to_u64`].
    pub fn from_u64(id: u64) -> Self {
        Self(id)
    }
}

impl Ord for DocId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lead().cmp(&other.lead())
    }
}

impl PartialOrd for DocId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Part(part) => write!(f, "part {part} of the index"),
            Self::Task(task) => write!(f, "task {task}"),
        }
    }
}

/// The columns beside the text, for stages that look at them (`when`, keep policies).
pub trait Columns {
    /// The value of a string column; `None` where it is null or the column is not one of strings.
    fn string(&self, column: &str) -> Option<&str>;
    /// The value of a number column; `None` where it is null or the column is not one of numbers.
    fn number(&self, column: &str) -> Option<f64>;
    /// The value of a column of content keys; `None` where it is null or the column is not one of keys.
    fn key(&self, _column: &str) -> Option<ContentKey> {
        None
    }
}

/// No columns at all: a bare text, as `trommel try` and the unit tests have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoColumns;

impl Columns for NoColumns {
    fn string(&self, _: &str) -> Option<&str> {
        None
    }
    fn number(&self, _: &str) -> Option<f64> {
        None
    }
}

/// A document in the hands of a stage. Words, lines, the canonical form and the count of characters are worked out on
/// first use and shared by all stages that look at the same text.
pub struct Doc<'a> {
    text: &'a str,
    origin: &'a str,
    columns: &'a dyn Columns,
    words: [OnceCell<Vec<&'a str>>; Tokenizer::N],
    lines: OnceCell<Vec<&'a str>>,
    n_chars: OnceCell<usize>,
    composed: OnceCell<Cow<'a, str>>,
    canonical: OnceCell<Cow<'a, str>>,
    content_key: OnceCell<ContentKey>,
}

impl<'a> Doc<'a> {
    /// A document of `text`, which was `origin` when it was first read in this pass.
    pub fn new(text: &'a str, origin: &'a str, columns: &'a dyn Columns) -> Self {
        let words = [const { OnceCell::new() }; Tokenizer::N];
        Self {
            text,
            origin,
            columns,
            words,
            lines: OnceCell::new(),
            n_chars: OnceCell::new(),
            composed: OnceCell::new(),
            canonical: OnceCell::new(),
            content_key: OnceCell::new(),
        }
    }

    /// A document that is only a text.
    pub fn bare(text: &'a str) -> Self {
        Self::new(text, text, &NoColumns)
    }

    /// The text as the stages before this one left it.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The text as this pass read it, before any stage.
    pub fn origin(&self) -> &'a str {
        self.origin
    }

    /// The columns beside the text.
    pub fn columns(&self) -> &'a dyn Columns {
        self.columns
    }

    /// The number of characters (code points).
    pub fn n_chars(&self) -> usize {
        *self.n_chars.get_or_init(|| text::n_chars(self.text))
    }

    /// The word units of the text, punctuation included: see [`text::words`].
    pub fn words(&self) -> &[&'a str] {
        self.words_by(Tokenizer::Units)
    }

    /// The words of the text as a tokenizer cuts them.
    pub fn words_by(&self, tokenizer: Tokenizer) -> &[&'a str] {
        self.words[tokenizer as usize].get_or_init(|| {
            // Some six bytes a word, its share of white space included, or an ideograph each; growing again and again
            // costs more.
            let of_ideographs = 2 * self.n_chars() < self.text.len();
            let n = if of_ideographs { self.n_chars() } else { self.text.len() / 6 };
            let mut words = Vec::with_capacity(n);
            tokenizer.words(self.text, &mut words);
            words
        })
    }

    /// The words of the text as a tokenizer cuts them, if anybody has asked for them.
    pub fn known_words(&self, tokenizer: Tokenizer) -> Option<&[&'a str]> {
        self.words[tokenizer as usize].get().map(Vec::as_slice)
    }

    /// The lines of the text as Python's `str.splitlines` cuts them: see [`text::lines`].
    pub fn lines(&self) -> &[&'a str] {
        self.lines.get_or_init(|| text::lines(self.text).collect())
    }

    /// The text in Unicode NFC: see [`composed`].
    pub fn composed(&self) -> &str {
        self.composed.get_or_init(|| composed(self.text))
    }

    /// The text in canonical form: see [`canonical`].
    pub fn canonical(&self) -> &str {
        self.canonical.get_or_init(|| canonical(self.text))
    }

    /// The document's name across runs: see [`content_key`].
    pub fn content_key(&self) -> ContentKey {
        *self.content_key.get_or_init(|| key_of_composed(self.composed()))
    }

    /// The same of the text as this pass read it.
    pub fn origin_key(&self) -> ContentKey {
        // What no stage has rewritten is the very same.
        if std::ptr::eq(self.origin, self.text) { self.content_key() } else { content_key(self.origin) }
    }
}

/// A document's name across runs: 16 bytes, the big-endian xxh3-128 of its canonical text.
pub type ContentKey = [u8; 16];

/// The content key of a text: xxh3-128 (big-endian) of its [canonical] form. Two texts that
/// differ only in Unicode composition and white space have the same key.
pub fn content_key(text: &str) -> ContentKey {
    key_of_composed(&composed(text))
}

/// What is made of a text of more bytes is not kept to be written over: such texts are few, and each thread would hold on
/// to several times the longest.
pub const KEPT: usize = 1 << 20;

thread_local! {
    /// Where canonical forms are written.
    static CANONICAL: RefCell<Vec<u8>> = RefCell::default();
}

fn key_of_composed(composed: &str) -> ContentKey {
    CANONICAL.with_borrow_mut(|bytes| {
        let key = xxh3_128(canonical_bytes(composed, bytes)).to_be_bytes();
        if composed.len() > KEPT {
            *bytes = Vec::new();
        }
        key
    })
}

/// A value that an annotator or a corpus stage puts into a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing is known.
    Null,
    /// For `Utf8` columns.
    Str(Cow<'static, str>),
    /// For `UInt32` columns.
    U32(u32),
    /// For `Float32` columns.
    F32(f32),
    /// For `Float64` columns.
    F64(f64),
    /// For `FixedSizeBinary(16)` columns.
    Key(ContentKey),
    /// For `Timestamp(Millisecond)` columns: milliseconds since the beginning of 1970, universal time.
    Time(i64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Str(s) => f.write_str(s),
            Self::U32(n) => write!(f, "{n}"),
            Self::F32(x) => write!(f, "{x:.3}"),
            Self::F64(x) => write!(f, "{x:.3}"),
            Self::Time(millis) => {
                let time = timestamp_ms_to_datetime(*millis).unwrap_or_default();
                write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ"))
            }
            Self::Key(key) => key.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_big_endian_xxh3_of_the_canonical_text() {
        assert_eq!(content_key(" a\nb "), xxh3_128(b"a b").to_be_bytes());
        assert_ne!(content_key("a b"), content_key("ab"));
    }

    #[test]
    fn ids_order_by_task_then_row() {
        let id = DocId::new(3, 17);
        assert_eq!((id.task(), id.row()), (3, 17));
        assert!(DocId::new(2, u64::from(u32::MAX)) < DocId::new(3, 0));
    }

    #[test]
    fn what_was_there_earlier_comes_first() {
        let (first, second) = (DocId::earlier(0, 9), DocId::earlier(1, 2));
        assert!(first < second && second < DocId::new(0, 0));
        assert_eq!((second.holder(), second.row()), (Holder::Part(1), 2));
        assert_eq!(DocId::new(5, 2).holder(), Holder::Task(5));
        assert!(first.is_earlier() && !DocId::new((1 << 23) - 1, 0).is_earlier());
        assert_eq!(DocId::from_u64(second.to_u64()), second);
    }
}
