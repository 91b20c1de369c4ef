//! What happened to documents, as plain sums that each worker keeps and that are added at the end.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

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
        let name = source.unwrap_or("(none)");
        let end = (0..=name.len().min(MAX_NAME)).rev().find(|&at| name.is_char_boundary(at));
        let name = &name[..end.expect("a text begins at a boundary")];
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
