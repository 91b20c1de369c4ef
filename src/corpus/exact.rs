//! Keeps one of each set of documents with the same text.

use arrow::datatypes::Field;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::corpus::duplicates::{self, Mode, OnAlarm};
use crate::corpus::keep::Keep;
use crate::doc::{Doc, Value};
use crate::error::Result;
use crate::stage::{CorpusStage, Duplicate, Duplicates, Exchange, Need, Ruled, Settings};

/// The reason for documents whose text is that of the kept one.
pub const EXACT_DUPLICATE: &str = "exact_duplicate";

/// Keeps one of each set of documents with the same text, up to Unicode composition and white space.
///
/// Cheap: a document sends 16 bytes. Near-duplicates are for `minhash`, which drops exact ones as well.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {
    /// Which one stays: `"first"`, `"longest"`, `{ highest = "column" }`, `{ lowest = "column" }` or
    /// `{ sources = ["a", "b"], column = "source" }`.
    pub keep: Keep,
    /// Adds `dup_count`, the number of documents that a kept one stands for, itself included, and `dup_cluster`,
    /// the content key of the one that stands for its cluster. Off by default: other tools and other runs then
    /// find the columns they know, and 16 bytes a document that no codec makes smaller are not written.
    pub counts: bool,
    /// What becomes of duplicates: `"drop"`, or `"annotate"`, which drops nothing and adds to every document
    /// `dup_count`, `dup_cluster`, and to duplicates `duplicate_of` and `similarity`, so that a corpus can be
    /// weighted instead. Their weight may be 1 / `dup_count`.
    pub mode: Mode,
    /// A cluster of more documents than this is called out in the table and the report: it is often a page of
    /// errors or a notice that a crawl met again and again, or a threshold too low. Not set: none is.
    pub max_cluster: Option<u64>,
    /// A source of which a greater share than this are duplicates is called out; the report lists what became of
    /// each. 1 only lists. The first 500 sources in the order of their names are told apart, all others are
    /// counted as one. Not set: sources are not looked at.
    pub max_source_loss: Option<f64>,
    /// The column of strings that names a document's source, for `max_source_loss`. Default: `source`.
    pub source_column: Option<String>,
    /// What becomes of a run in which something was called out: `"warn"`, or `"fail"`: all is written, and the
    /// run ends with exit code 2.
    pub guards: OnAlarm,
}

impl Settings for Exact {
    const NAME: &'static str = "exact";
    const ABOUT: &'static str = "keeps one of each set of documents with the same text";
    type Stage = ExactStage;

    fn build(self) -> Result<ExactStage, String> {
        Ok(ExactStage {
            keep: self.keep,
            duplicates: Duplicates::new(duplicates::Settings {
                mode: self.mode,
                counts: self.counts,
                max_cluster: self.max_cluster,
                max_source_loss: self.max_source_loss,
                source_column: self.source_column,
                guards: self.guards,
                earlier: false,
            })?,
        })
    }
}

/// [`Exact`], checked.
#[derive(Debug, Clone)]
pub struct ExactStage {
    keep: Keep,
    duplicates: Duplicates,
}

impl CorpusStage for ExactStage {
    fn columns(&self) -> Vec<Field> {
        self.duplicates.columns()
    }

    fn needs(&self) -> Vec<Need> {
        self.keep.needs().into_iter().chain(self.duplicates.needs()).collect()
    }

    fn ranks_by(&self) -> Option<Need> {
        self.keep.needs().pop()
    }

    fn sections(&self) -> usize {
        1
    }

    fn rank(&self, doc: &Doc<'_>) -> u64 {
        self.keep.rank(doc)
    }

    fn keys(&self, doc: &Doc<'_>, send: &mut dyn FnMut(usize, u128)) {
        send(0, u128::from_be_bytes(doc.content_key()));
    }

    fn resolve(&self, exchange: &mut dyn Exchange) -> Result<()> {
        let pairs = exchange.group_first_k(0..1, 1)?;
        for pair in exchange.scan_by_first(&pairs)? {
            let pair = pair?;
            let (doc, kept) = (pair.second.doc, pair.first.doc);
            exchange.drop(Duplicate { doc, kept, similarity: 1.0, threshold: 1.0, reason: EXACT_DUPLICATE })?;
        }
        Ok(())
    }

    fn reasons(&self) -> &'static [&'static str] {
        &[EXACT_DUPLICATE]
    }

    fn annotate(&self, doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        self.duplicates.annotate(doc, ruled, row);
    }

    fn duplicates(&self) -> Option<&Duplicates> {
        Some(&self.duplicates)
    }
}
