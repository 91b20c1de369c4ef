//! What happened to documents, as plain sums that each worker keeps and that are added at the end.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::stage::Used;

/// What one stage did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTally {
    /// Documents it ran for.
    pub seen: u64,
    /// Documents it left with another text.
    #[serde(default)]
    pub rewritten: u64,
    /// Documents it dropped, by reason.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Bytes of text of the documents it dropped, by reason.
    #[serde(default)]
    pub dropped_bytes: BTreeMap<String, u64>,
    /// Tokens of the documents it dropped, by reason.
    #[serde(default)]
    pub dropped_tokens: BTreeMap<String, u64>,
    /// Duplicates that it left where they are, with what they duplicate beside them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub marked: u64,
    /// What became of the documents of each source, where a guard asks for it.
    #[serde(default, skip_serializing_if = "Sources::is_empty")]
    pub sources: Sources,
    /// How often documents were used before, where it looks that up.
    #[serde(default, skip_serializing_if = "Uses::is_empty")]
    pub uses: Uses,
    /// The columns beside the text that it looks at, as far as any document came to it: whether one had a value there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, bool>,
    /// Bytes of text it was given.
    pub bytes_in: u64,
    /// Bytes of text it left.
    pub bytes_out: u64,
    /// Nanoseconds of one core, estimated from a sample of the documents.
    pub nanos: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl StageTally {
    /// The number of documents dropped for any reason.
    pub fn n_dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// The bytes of text dropped for any reason.
    pub fn n_dropped_bytes(&self) -> u64 {
        self.dropped_bytes.values().sum()
    }

    /// The tokens dropped for any reason.
    pub fn n_dropped_tokens(&self) -> u64 {
        self.dropped_tokens.values().sum()
    }

    /// Notes whether a document has a value in a column, as long as none had. Most columns have one in the first.
    pub fn look_for(&mut self, column: &str, is_there: impl FnOnce() -> bool) {
        match self.columns.get_mut(column) {
            Some(found) => *found = *found || is_there(),
            None => {
                self.columns.insert(column.to_owned(), is_there());
            }
        }
    }

    /// Counts a drop of a document of so many bytes and tokens.
    pub fn drop_one(&mut self, reason: &str, bytes: u64, tokens: u64) {
        let sums = [(&mut self.dropped, 1), (&mut self.dropped_bytes, bytes), (&mut self.dropped_tokens, tokens)];
        for (sums, n) in sums {
            match sums.get_mut(reason) {
                Some(sum) => *sum += n,
                None => {
                    sums.insert(reason.to_owned(), n);
                }
            }
        }
    }
}

impl AddAssign<&StageTally> for StageTally {
    fn add_assign(&mut self, other: &StageTally) {
        self.seen += other.seen;
        self.rewritten += other.rewritten;
        self.marked += other.marked;
        self.sources += &other.sources;
        self.uses += &other.uses;
        for (column, found) in &other.columns {
            *self.columns.entry(column.clone()).or_default() |= found;
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.nanos += other.nanos;
        let sums = [
            (&mut self.dropped, &other.dropped),
            (&mut self.dropped_bytes, &other.dropped_bytes),
            (&mut self.dropped_tokens, &other.dropped_tokens),
        ];
        for (sums, other) in sums {
            for (reason, n) in other {
                *sums.entry(reason.clone()).or_default() += n;
            }
        }
    }
}

/// The most sources that are told apart. What a task counts is small then, whatever the column holds.
pub const MAX_SOURCES: usize = 500;

/// The most bytes of a source's name.
const MAX_NAME: usize = 256;

/// What became of the documents of each source.
///
/// The first [`MAX_SOURCES`] in the order of their names are told apart, and all others are one. A name among
/// the first of all is among the first of any part, so it is counted in full however the documents are cut
/// into tasks, and in whatever order these are added up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// Those told apart, by name.
    pub named: BTreeMap<String, SourceTally>,
    /// All others together.
    #[serde(default, skip_serializing_if = "SourceTally::is_empty")]
    pub others: SourceTally,
}

/// What became of the documents of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTally {
    /// Documents seen.
    pub seen: u64,
    /// Duplicates among them.
    pub duplicates: u64,
}

impl SourceTally {
    fn is_empty(&self) -> bool {
        self.seen == 0
    }
}

impl AddAssign for SourceTally {
    fn add_assign(&mut self, other: Self) {
        self.seen += other.seen;
        self.duplicates += other.duplicates;
    }
}

impl Sources {
    /// Counts a document, of a source whose name may be missing.
    pub fn count(&mut self, source: Option<&str>, duplicate: bool) {
        let name = shortened(source.unwrap_or("(none)"));
        self.add(name, SourceTally { seen: 1, duplicates: duplicate.into() });
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    fn add(&mut self, name: &str, tally: SourceTally) {
        if let Some(known) = self.named.get_mut(name) {
            *known += tally;
            return;
        }
        self.named.insert(name.to_owned(), tally);
        if self.named.len() > MAX_SOURCES {
            self.others += self.named.pop_last().map_or(SourceTally::default(), |(_, last)| last);
        }
    }
}

impl AddAssign<&Sources> for Sources {
    fn add_assign(&mut self, other: &Sources) {
        self.others += other.others;
        other.named.iter().for_each(|(name, tally)| self.add(name, *tally));
    }
}

/// How often documents were used before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Documents by their uses, in order: up to nine one by one, then from 10, 20, 50, 100 and so on.
    pub by_count: Vec<UsesTally>,
    /// Documents that are worth nothing any more.
    pub used_up: Amount,
    /// Those of them that were used most, the first ten.
    pub most_used: Vec<MostUsed>,
    /// Documents by their sources, where they have some: the first [`MAX_SOURCES`] in the order of their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceUses>,
}

/// Documents that were used about as often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsesTally {
    /// The least uses that count here.
    pub uses: u64,
    /// How many they are.
    #[serde(flatten)]
    pub amount: Amount,
}

/// So many documents, of so many tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Documents.
    pub documents: u64,
    /// Tokens.
    pub tokens: u64,
}

/// A document that was used often. Ordered by its uses, the most first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MostUsed {
    /// Its uses.
    pub uses: Reverse<u64>,
    /// Its content key, in hexadecimal digits.
    pub key: String,
}

/// How often the documents of a source were used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceUses {
    /// Documents.
    pub documents: u64,
    /// Their uses.
    pub uses: u64,
    /// Documents that are worth nothing any more.
    pub used_up: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

impl AddAssign for SourceUses {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        self.uses = self.uses.saturating_add(other.uses);
        self.used_up += other.used_up;
    }
}

impl Uses {
    /// How many documents are named that were used most.
    const N_NAMED: usize = 10;

    /// The least uses that count with so many.
    pub fn from(uses: u64) -> u64 {
        if uses < 10 {
            return uses;
        }
        let decade = 10u64.pow(uses.ilog10());
        match uses / decade {
            1 => decade,
            2..5 => 2 * decade,
            _ => 5 * decade,
        }
    }

    /// The most uses that count with these, which are the least.
    pub fn to(from: u64) -> u64 {
        let decade = 10u64.pow(from.max(1).ilog10());
        match from / decade {
            _ if from < 10 => from,
            1 => 2 * decade - 1,
            2 => 5 * decade - 1,
            _ => decade.saturating_mul(10) - 1,
        }
    }

    /// Counts a document; `key` is its content key, which is asked for only where it may be named.
    pub fn count(&mut self, used: Used<'_>, tokens: u64, key: impl FnOnce() -> String) {
        let Used { uses, used_up, source } = used;
        let amount = Amount { documents: 1, tokens };
        self.add(UsesTally { uses: Self::from(uses), amount });
        if let Some(source) = source {
            self.add_source(shortened(source), SourceUses { documents: 1, uses, used_up: used_up.into() });
        }
        if !used_up {
            return;
        }
        self.used_up += amount;
        let least = self.most_used.get(Self::N_NAMED - 1).map_or(0, |last| last.uses.0);
        if uses >= least {
            self.name(MostUsed { uses: Reverse(uses), key: key() });
        }
    }

    fn is_empty(&self) -> bool {
        self.by_count.is_empty()
    }

    fn add(&mut self, tally: UsesTally) {
        match self.by_count.binary_search_by_key(&tally.uses, |known| known.uses) {
            Ok(at) => self.by_count[at].amount += tally.amount,
            Err(at) => self.by_count.insert(at, tally),
        }
    }

    fn name(&mut self, document: MostUsed) {
        if let Err(at) = self.most_used.binary_search(&document) {
            self.most_used.insert(at, document);
            self.most_used.truncate(Self::N_NAMED);
        }
    }

    fn add_source(&mut self, name: &str, tally: SourceUses) {
        match self.sources.get_mut(name) {
            Some(known) => *known += tally,
            None => {
                self.sources.insert(name.to_owned(), tally);
                if self.sources.len() > MAX_SOURCES {
                    self.sources.pop_last();
                }
            }
        }
    }
}

impl AddAssign<&Uses> for Uses {
    fn add_assign(&mut self, other: &Uses) {
        other.by_count.iter().for_each(|tally| self.add(*tally));
        self.used_up += other.used_up;
        other.most_used.iter().for_each(|document| self.name(document.clone()));
        other.sources.iter().for_each(|(name, tally)| self.add_source(name, *tally));
    }
}

/// The begin of a name, if it is long.
fn shortened(name: &str) -> &str {
    let end = (0..=name.len().min(MAX_NAME)).rev().find(|&at| name.is_char_boundary(at));
    &name[..end.expect("a text begins at a boundary")]
}

/// What happened in a pass, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows read.
    pub rows_in: u64,
    /// Rows kept.
    pub rows_kept: u64,
    /// Rows rejected.
    pub rows_rejected: u64,
    /// Bytes of text read.
    pub bytes_in: u64,
    /// Bytes of text kept.
    pub bytes_kept: u64,
    /// Tokens kept: as counted, or else estimated.
    #[serde(default)]
    pub tokens_kept: u64,
    /// Documents kept whose tokens are estimated.
    #[serde(default)]
    pub kept_estimated: u64,
    /// Documents rejected whose tokens are estimated.
    #[serde(default)]
    pub rejected_estimated: u64,
    /// Rows that were no documents, by reason.
    #[serde(default)]
    pub door: StageTally,
    /// Rows whose encoding was guessed, by what it was taken for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guessed: BTreeMap<String, u64>,
    /// The stages, by their place in the pipeline.
    pub stages: BTreeMap<usize, StageTally>,
    /// Nanoseconds of CPU spent reading and decoding.
    #[serde(default)]
    pub read_nanos: u64,
    /// Nanoseconds of CPU spent taking batches through the stages.
    #[serde(default)]
    pub stage_nanos: u64,
    /// Nanoseconds of CPU spent encoding, sorting keys and writing.
    #[serde(default)]
    pub write_nanos: u64,
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        self.rows_in += other.rows_in;
        self.rows_kept += other.rows_kept;
        self.rows_rejected += other.rows_rejected;
        self.bytes_in += other.bytes_in;
        self.bytes_kept += other.bytes_kept;
        self.tokens_kept += other.tokens_kept;
        self.kept_estimated += other.kept_estimated;
        self.rejected_estimated += other.rejected_estimated;
        self.door += &other.door;
        self.read_nanos += other.read_nanos;
        self.stage_nanos += other.stage_nanos;
        self.write_nanos += other.write_nanos;
        for (encoding, n) in &other.guessed {
            *self.guessed.entry(encoding.clone()).or_default() += n;
        }
        for (&index, tally) in &other.stages {
            *self.stages.entry(index).or_default() += tally;
        }
    }
}

/// Nanoseconds of CPU that the calling thread has used so far.
pub fn thread_nanos() -> u64 {
    nanos(rustix::time::ClockId::ThreadCPUTime)
}

/// Nanoseconds of CPU that all threads of the process have used so far.
pub fn process_nanos() -> u64 {
    nanos(rustix::time::ClockId::ProcessCPUTime)
}

fn nanos(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart_however_the_documents_are_cut() {
        let names: Vec<String> = (0..4000).map(|i| format!("s{:03}", i * 7919 % 700)).collect();
        let counted = |names: &[String]| {
            let mut sources = Sources::default();
            names.iter().for_each(|name| sources.count(Some(name), name.ends_with('1')));
            sources
        };
        let whole = counted(&names);
        assert_eq!(whole.named.len(), MAX_SOURCES);
        assert_eq!(whole.named.values().map(|source| source.seen).sum::<u64>() + whole.others.seen, 4000);
        assert_eq!(whole.named["s001"].seen, names.iter().filter(|name| *name == "s001").count() as u64);
        assert_eq!(whole.named["s001"].duplicates, whole.named["s001"].seen);
        for size in [1, 37, 1300] {
            let mut parts: Vec<_> = names.chunks(size).map(counted).collect();
            parts.reverse();
            let mut sum = Sources::default();
            parts.iter().for_each(|part| sum += part);
            assert_eq!(sum, whole);
        }
    }

    #[test]
    fn names_of_sources_are_cut_between_characters() {
        let mut sources = Sources::default();
        sources.count(Some(&"文".repeat(100)), false);
        sources.count(None, true);
        let names: Vec<_> = sources.named.keys().map(String::len).collect();
        assert_eq!(names, ["(none)".len(), 255]);
    }

    #[test]
    fn a_column_is_there_if_any_document_has_it() {
        let (mut first, mut second) = (StageTally::default(), StageTally::default());
        first.look_for("language", || false);
        second.look_for("language", || false);
        second.look_for("language", || true);
        second.look_for("language", || unreachable!("it was found"));
        second.look_for("source", || false);
        first += &second;
        assert_eq!(first.columns, BTreeMap::from([("language".into(), true), ("source".into(), false)]));
    }

    #[test]
    fn tallies_add_up() {
        let mut stage = StageTally { seen: 3, ..StageTally::default() };
        stage.drop_one("too_short", 10, 3);
        stage.drop_one("too_short", 20, 5);
        let one = Tally { rows_in: 3, stages: BTreeMap::from([(4, stage)]), ..Tally::default() };
        let mut total = Tally::default();
        total += &one;
        total += &one;
        assert_eq!(total.rows_in, 6);
        assert_eq!(total.stages[&4].n_dropped(), 4);
        assert_eq!((total.stages[&4].n_dropped_bytes(), total.stages[&4].n_dropped_tokens()), (60, 16));
    }
}
