//! How much of what is alike has been found: a sample of the documents is compared with all others, without any
//! sketch in between.
//!
//! The recall is the part of the pairs of a sampled document and any other that are at least `threshold` alike
//! which were found. Documents come with all their pairs at once, and pairs of one family are found or missed
//! together; so the pairs count for fewer than they are (the design effect: Kish 1965, "Survey Sampling"), and
//! the interval is Wilson's (1927) for that number.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::corpus::profile::{Method, Scratch};
use crate::doc::DocId;
use crate::error::Result;
use crate::stage::{DocSet, Exchange, Pair, PairJudge};

/// An audit in progress.
pub(super) struct Audit {
    threshold: f64,
    sets: TrueSets,
    /// All documents that are compared.
    members: DocSet,
    sample: DocSet,
    /// The pairs with a sampled document that were found, the earlier document first.
    found: BTreeSet<(DocId, DocId)>,
}

/// What an audit has seen. Counts of the sample, not of the corpus.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Outcome {
    /// Documents.
    sampled: u64,
    /// Their pairs with any document that are alike.
    pairs: u64,
    /// Those that were found.
    found: u64,
    /// Those of which both documents stay.
    both_kept: u64,
    /// Sampled documents that are dropped.
    dropped: u64,
    /// Those that are like no document that stays.
    dropped_unlike: u64,
    /// The 95 % confidence interval of the recall.
    interval: (f64, f64),
}

impl Audit {
    /// Chooses `n` of the documents that sent a key to `section` and have not left yet.
    pub(super) fn begin(
        exchange: &mut dyn Exchange,
        section: usize,
        method: Method,
        threshold: f64,
        (n, seed): (usize, u64),
    ) -> Result<Self> {
        let members = exchange.members(section)?;
        // Those with the least hashes: as good as drawn by lot, and the same wherever it runs.
        let mut least = BTreeSet::new();
        for doc in members.iter() {
            least.insert((xxh3_64_with_seed(&doc.to_u64().to_le_bytes(), seed), doc));
            if least.len() > n {
                least.pop_last();
            }
        }
        let mut sample = exchange.bits();
        least.iter().for_each(|(_, doc)| sample.insert(*doc));
        Ok(Self { threshold, sets: TrueSets(method), members, sample, found: BTreeSet::new() })
    }

    /// Takes note of a pair that was found.
    pub(super) fn note(&mut self, pair: &Pair) {
        let (first, second) = (pair.first.doc, pair.second.doc);
        if self.sample.contains(first) || self.sample.contains(second) {
            self.found.insert((first.min(second), first.max(second)));
        }
    }

    /// Compares the sample with all documents; `dropped` are those that go.
    pub(super) fn finish(self, exchange: &mut dyn Exchange, dropped: &DocSet) -> Result<Outcome> {
        let sampled = Mutex::new(BTreeMap::new());
        exchange.scan_sets(&self.sample, &self.sets, &|doc, set| {
            sampled.lock().unwrap_or_else(PoisonError::into_inner).insert(doc, set.to_vec());
        })?;
        let sampled: Vec<(DocId, Vec<u64>)> =
            sampled.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect();
        let mut having: HashMap<u64, Vec<u32>, BuildHasherDefault<ShingleHasher>> = HashMap::default();
        for ((_, set), index) in sampled.iter().zip(0..) {
            set.iter().for_each(|shingle| having.entry(*shingle).or_default().push(index));
        }
        let alike = Mutex::new(BTreeSet::new());
        exchange.scan_sets(&self.members, &self.sets, &|doc, set| {
            let mut common: BTreeMap<u32, usize> = BTreeMap::new();
            for index in set.iter().filter_map(|shingle| having.get(shingle)).flatten() {
                *common.entry(*index).or_default() += 1;
            }
            for (index, common) in common {
                let (other, other_set) = &sampled[index as usize];
                let similarity = common as f64 / (set.len() + other_set.len() - common) as f64;
                if similarity >= self.threshold && doc != *other {
                    alike.lock().unwrap_or_else(PoisonError::into_inner).insert((*other, doc));
                }
            }
        })?;
        let alike = alike.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(self.judge(sampled.iter().map(|(doc, _)| *doc), &alike, dropped))
    }

    /// Counts; `alike` has the pairs of a sampled document and another.
    fn judge(
        &self,
        sampled: impl Iterator<Item = DocId>,
        alike: &BTreeSet<(DocId, DocId)>,
        dropped: &DocSet,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut clusters = Vec::new();
        for doc in sampled {
            // The ids of a run are not negative, and none comes before this one.
            let first = DocId::new(0, 0);
            let others = alike.range((doc, first)..).take_while(|(of, _)| *of == doc).map(|(_, other)| *other);
            let (mut pairs, mut found, mut like_a_kept_one) = (0, 0, false);
            for other in others {
                pairs += 1;
                found += u64::from(self.found.contains(&(doc.min(other), doc.max(other))));
                outcome.both_kept += u64::from(!dropped.contains(doc) && !dropped.contains(other));
                like_a_kept_one |= !dropped.contains(other);
            }
            outcome.sampled += 1;
            outcome.pairs += pairs;
            outcome.found += found;
            outcome.dropped += u64::from(dropped.contains(doc));
            outcome.dropped_unlike += u64::from(dropped.contains(doc) && !like_a_kept_one);
            if pairs > 0 {
                clusters.push((pairs as f64, found as f64));
            }
        }
        outcome.interval = interval(&clusters);
        outcome
    }
}

impl Outcome {
    /// Leaves the outcome for the report.
    pub(super) fn leave(&self, exchange: &mut dyn Exchange) {
        for (what, n) in [
            ("audit_documents", self.sampled),
            ("audit_pairs", self.pairs),
            ("audit_pairs_found", self.found),
            ("audit_pairs_both_kept", self.both_kept),
            ("audit_dropped", self.dropped),
            ("audit_dropped_unlike_any_kept", self.dropped_unlike),
        ] {
            exchange.note(what, n);
        }
        exchange.measure("audit_recall", self.found as f64 / (self.pairs as f64).max(1.0));
        exchange.measure("audit_recall_low", self.interval.0);
        exchange.measure("audit_recall_high", self.interval.1);
    }
}

/// The 95 % confidence interval of a recall, from the pairs of each document and those that were found. Anything
/// is possible where there are none.
fn interval(clusters: &[(f64, f64)]) -> (f64, f64) {
    const Z: f64 = 1.96;
    const FEW: usize = 30;
    let n_clusters = clusters.len() as f64;
    let pairs: f64 = clusters.iter().map(|(pairs, _)| pairs).sum();
    if pairs == 0.0 {
        return (0.0, 1.0);
    }
    let recall = clusters.iter().map(|(_, found)| found).sum::<f64>() / pairs;
    // How many pairs drawn one by one would say as much.
    let squares: f64 = clusters.iter().map(|(pairs, found)| (found - recall * pairs).powi(2)).sum();
    let variance = squares / pairs.powi(2) * n_clusters / (n_clusters - 1.0).max(1.0);
    let n = if variance > 0.0 { (recall * (1.0 - recall) / variance).min(pairs) } else { pairs };
    // Where few documents miss a pair, or few find one, little tells how much the pairs of one document depend on
    // each other, and each document counts for one at most.
    let missing = clusters.iter().filter(|(pairs, found)| found < pairs).count();
    let finding = clusters.iter().filter(|(_, found)| *found > 0.0).count();
    let n = if missing.min(finding) < FEW { n.min(n_clusters) } else { n };
    let center = (recall + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (recall * (1.0 - recall) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((center - half).max(0.0), (center + half).min(1.0))
}

thread_local! {
    /// Kept from one document to the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Shingle sets, whatever pairs are otherwise judged by.
struct TrueSets(Method);

impl PairJudge for TrueSets {
    fn set(&self, text: &str, set: &mut Vec<u64>) {
        SCRATCH.with_borrow_mut(|scratch| self.0.set(&self.0.form(text), scratch, set));
    }

    fn floor(&self) -> f64 {
        0.0
    }

    fn bound(&self, _: usize, _: usize) -> f64 {
        1.0
    }

    fn similarity(&self, _: &[u64], _: &[u64]) -> Option<f64> {
        None
    }
}

/// Shingles are hashes already.
#[derive(Default)]
struct ShingleHasher(u64);

impl Hasher for ShingleHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, shingle: u64) {
        self.0 = shingle;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(clusters: &[(f64, f64)], low: f64, high: f64) {
        let found = interval(clusters);
        assert!((found.0 - low).abs() < 5e-4 && (found.1 - high).abs() < 5e-4, "{found:?}");
    }

    #[test]
    fn single_pairs_have_wilsons_interval() {
        // 81 of 263, the example of Newcombe 1998 (Statistics in Medicine 17, table I): 0.2553 to 0.3662.
        let clusters: Vec<_> = (0..263).map(|i| (1.0, f64::from(u8::from(i < 81)))).collect();
        check(&clusters, 0.2553, 0.3662);
        check(&[(1.0, 1.0); 96], 0.9615, 1.0);
        check(&[], 0.0, 1.0);
    }

    #[test]
    fn pairs_that_are_found_together_count_for_fewer() {
        let apart: Vec<_> = (0..400).map(|i| (1.0, f64::from(u8::from(i % 5 > 0)))).collect();
        let together: Vec<_> = (0..40).map(|i| (10.0, 10.0 * f64::from(u8::from(i % 5 > 0)))).collect();
        let width = |(low, high): (f64, f64)| high - low;
        assert!(width(interval(&together)) > 2.5 * width(interval(&apart)));
    }
}
