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
    /// Duplicates that it left where they are, with what they duplicate beside them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub marked: u64,
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

    /// Counts a drop.
    pub fn drop_one(&mut self, reason: &str) {
        match self.dropped.get_mut(reason) {
            Some(count) => *count += 1,
            None => {
                self.dropped.insert(reason.to_owned(), 1);
            }
        }
    }
}

impl AddAssign<&StageTally> for StageTally {
    fn add_assign(&mut self, other: &StageTally) {
        self.seen += other.seen;
        self.rewritten += other.rewritten;
        self.marked += other.marked;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.nanos += other.nanos;
        for (reason, count) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += count;
        }
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
    /// Estimated tokens kept, where a stage counts them.
    #[serde(default)]
    pub tokens_kept: u64,
    /// Rows that were no documents, by reason.
    #[serde(default)]
    pub door: StageTally,
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
        self.door += &other.door;
        self.read_nanos += other.read_nanos;
        self.stage_nanos += other.stage_nanos;
        self.write_nanos += other.write_nanos;
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
    fn tallies_add_up() {
        let mut stage = StageTally { seen: 3, ..StageTally::default() };
        stage.drop_one("too_short");
        stage.drop_one("too_short");
        let one = Tally { rows_in: 3, stages: BTreeMap::from([(4, stage)]), ..Tally::default() };
        let mut total = Tally::default();
        total += &one;
        total += &one;
        assert_eq!(total.rows_in, 6);
        assert_eq!(total.stages[&4].n_dropped(), 4);
    }
}
