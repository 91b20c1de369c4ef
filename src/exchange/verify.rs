//! Judges pairs by the sets of their documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::doc::{DocId, Holder};
use crate::error::{Error, Result};
use crate::exchange::sets::SetFile;
use crate::stage::{DocSet, Edge, Pair, PairJudge};

/// How many pairs a thread takes at a time. Large, for each first document's set is read once in a chunk.
const CHUNK: usize = 16 << 10;

/// How many pairs are judged before any more are looked at. The same for any number of threads, for it shows in
/// the numbers of a report where [`Fates`] spare comparisons.
const WAVE: usize = 4 * CHUNK;

/// What verification has met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyStats {
    /// Pairs proposed.
    pub pairs: u64,
    /// Pairs with a document that was known to go.
    pub spared: u64,
    /// Pairs whose sizes alone rule them out.
    pub out_of_bound: u64,
    /// Pairs that are alike enough.
    pub edges: u64,
}

impl std::ops::AddAssign for VerifyStats {
    fn add_assign(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.spared += other.spared;
        self.out_of_bound += other.out_of_bound;
        self.edges += other.edges;
    }
}

/// Finds the set files: the one of a task or a part of an index, opened on first use and kept open by whoever
/// answers.
pub type SetsOf<'a> = dyn Fn(Holder) -> Result<Arc<SetFile>> + Sync + 'a;

/// What becomes of documents, as far as it is known while pairs are judged: nobody need be compared with one that
/// goes. On 200,000 copies of one page that leaves a few pairs of each, where ninety are proposed.
///
/// A document goes if it is like one that stays, and its own pairs are the last word on that. So once they have been
/// judged its fate is sure, if that of those it is like is: if they come earlier in the order of the pairs, which
/// they all do where the first in the input stays.
#[derive(Debug)]
pub struct Fates {
    threshold: f64,
    gone: DocSet,
    unsure: DocSet,
    /// The task whose pairs are judged, if not those of all tasks are.
    task: Option<u32>,
}

impl Fates {
    /// Nobody's fate. A document goes for one that it is `threshold` like; `nobody` has room for all documents.
    pub fn new(threshold: f64, nobody: DocSet) -> Self {
        Self { threshold, gone: nobody.clone(), unsure: nobody, task: None }
    }

    /// As [`Fates::new`], where only the pairs of a `task` of so many rows are judged: what becomes of other tasks'
    /// documents is not known then.
    pub fn of_task(threshold: f64, task: u32, rows: u64) -> Self {
        let mut all = vec![0; task as usize];
        all.push(rows);
        Self { task: Some(task), ..Self::new(threshold, DocSet::empty(&all)) }
    }

    fn is_gone(&self, doc: DocId) -> bool {
        !self.is_elsewhere(doc) && self.gone.contains(doc)
    }

    fn is_unsure(&self, doc: DocId) -> bool {
        self.is_elsewhere(doc) || self.unsure.contains(doc)
    }

    fn is_elsewhere(&self, doc: DocId) -> bool {
        // Those of earlier corpora stay: nobody need be told.
        self.task.is_some_and(|own| matches!(doc.holder(), Holder::Task(task) if task != own))
    }

    /// Takes note of all edges of some documents, in order.
    fn see(&mut self, edges: &[Edge]) {
        for of_one in edges.chunk_by(|a, b| a.pair.second == b.pair.second) {
            let doc = of_one[0].pair.second.doc;
            let (mut goes, mut may_go) = (false, false);
            for edge in of_one.iter().filter(|edge| edge.similarity >= self.threshold) {
                let first = edge.pair.first.doc;
                let unsure = first > doc || self.is_unsure(first);
                goes |= !unsure && !self.is_gone(first);
                may_go |= unsure;
            }
            if goes {
                self.gone.insert(doc);
            } else if may_go {
                self.unsure.insert(doc);
            }
        }
    }
}

/// Judges pairs, which come in the order [`Routed`](crate::exchange::record::Routed) has, and emits the edges in
/// the order of the pairs; with `fates`, without those of documents that are known to go.
///
/// Chunks of pairs are judged in parallel; the sets held meanwhile take about `memory` bytes, but each
/// thread holds one pair's sets in any case.
pub fn verify(
    pairs: impl Iterator<Item = Result<Pair>>,
    sets: &SetsOf<'_>,
    judge: &dyn PairJudge,
    memory: usize,
    mut fates: Option<Fates>,
    mut emit: impl FnMut(Edge) -> Result<()>,
) -> Result<VerifyStats> {
    let n_threads = rayon::current_num_threads();
    let mut stats = VerifyStats::default();
    let mut pairs = pairs.peekable();
    loop {
        let mut wave: Vec<Pair> = Vec::new();
        // All pairs of a document are in one wave.
        let belongs = |wave: &[Pair], next: &Result<Pair>| {
            let same = |last: &Pair| next.as_ref().is_ok_and(|next| next.second == last.second);
            wave.len() < WAVE || wave.last().is_some_and(same)
        };
        while let Some(pair) = pairs.next_if(|next| belongs(&wave, next)) {
            let pair = pair?;
            if fates.as_ref().is_some_and(|fates| fates.is_gone(pair.first.doc)) {
                stats.pairs += 1;
                stats.spared += 1;
            } else {
                wave.push(pair);
            }
        }
        if wave.is_empty() {
            return Ok(stats);
        }
        // A short wave is shared among the threads all the same.
        let size = wave.len().div_ceil(n_threads).clamp(256, CHUNK);
        let chunks: Vec<_> = wave
            .par_chunks(size)
            .map(|chunk| Chunk { sets, judge, n_members: memory / n_threads / 8 }.judge(chunk))
            .collect::<Result<_>>()?;
        let mut edges = Vec::new();
        for (of_chunk, stats_of_chunk) in chunks {
            stats += stats_of_chunk;
            edges.extend(of_chunk);
        }
        if let Some(fates) = &mut fates {
            fates.see(&edges);
        }
        edges.into_iter().try_for_each(&mut emit)?;
    }
}

/// First documents of pairs, each with the size of its set, and the set when it is read.
type Firsts = BTreeMap<DocId, (usize, Vec<u64>)>;

/// What a thread needs to judge a chunk.
struct Chunk<'a> {
    sets: &'a SetsOf<'a>,
    judge: &'a dyn PairJudge,
    /// How many members the first documents' sets may have together.
    n_members: usize,
}

impl Chunk<'_> {
    fn judge(&self, pairs: &[Pair]) -> Result<(Vec<Edge>, VerifyStats)> {
        let mut stats = VerifyStats { pairs: pairs.len() as u64, ..VerifyStats::default() };
        let mut edges = Vec::new();
        // The pairs that sizes do not rule out, and the first documents with the sizes of their sets.
        let mut possible = Vec::new();
        let mut firsts = Firsts::new();
        let mut n_members = 0;
        for of_one in pairs.chunk_by(|a, b| a.second == b.second) {
            let second = self.len_of(of_one[0].second.doc)?;
            for &pair in of_one {
                let known = firsts.get(&pair.first.doc).map(|(len, _)| *len);
                let first = known.map_or_else(|| self.len_of(pair.first.doc), Ok)?;
                if self.judge.bound(first, second) < self.judge.floor() {
                    stats.out_of_bound += 1;
                    continue;
                }
                if known.is_none() {
                    if n_members + first > self.n_members && !possible.is_empty() {
                        self.compare(&possible, &mut firsts, &mut edges)?;
                        possible.clear();
                        firsts.clear();
                        n_members = 0;
                    }
                    n_members += first;
                    firsts.insert(pair.first.doc, (first, Vec::new()));
                }
                possible.push(pair);
            }
        }
        self.compare(&possible, &mut firsts, &mut edges)?;
        stats.edges = edges.len() as u64;
        Ok((edges, stats))
    }

    /// Reads the sets of `firsts`, each once and in the order of the files, and compares.
    fn compare(&self, pairs: &[Pair], firsts: &mut Firsts, edges: &mut Vec<Edge>) -> Result<()> {
        for (&doc, (_, set)) in firsts.iter_mut() {
            self.read(doc, set)?;
        }
        let mut second = Vec::new();
        for of_one in pairs.chunk_by(|a, b| a.second == b.second) {
            second.clear();
            self.read(of_one[0].second.doc, &mut second)?;
            for &pair in of_one {
                let similarity = self.judge.similarity(&firsts[&pair.first.doc].1, &second);
                edges.extend(similarity.map(|similarity| Edge { pair, similarity }));
            }
        }
        Ok(())
    }

    fn len_of(&self, doc: DocId) -> Result<usize> {
        let missing = || Error::io(doc.holder(), format!("the set of row {} is missing", doc.row()));
        (self.sets)(doc.holder())?.len_of(doc.row()).ok_or_else(missing)
    }

    fn read(&self, doc: DocId, set: &mut Vec<u64>) -> Result<()> {
        (self.sets)(doc.holder())?.read(doc.row(), set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::blocks::tests::Bytes;
    use crate::exchange::record::Routed;
    use crate::exchange::sets::SetWriter;
    use crate::stage::Ranked;

    /// Counts what two sets share; at least a quarter of the smaller must be possible.
    struct Shared;

    impl PairJudge for Shared {
        fn set(&self, _: &str, _: &mut Vec<u64>) {}

        fn floor(&self) -> f64 {
            0.25
        }

        fn bound(&self, len_a: usize, len_b: usize) -> f64 {
            len_a.min(len_b) as f64 / len_a.max(len_b) as f64
        }

        fn similarity(&self, a: &[u64], b: &[u64]) -> Option<f64> {
            let shared = a.iter().filter(|member| b.contains(member)).count() as f64;
            let similarity = shared / (a.len() + b.len()) as f64;
            (similarity >= self.floor()).then_some(similarity)
        }
    }

    fn set(task: u32, row: u64) -> Vec<u64> {
        (0..row % 11 + 1).map(|i| i * (u64::from(task) + 1) + row % 3).collect()
    }

    fn set_file(task: u32) -> Arc<SetFile> {
        let mut bytes = Vec::new();
        let mut writer = SetWriter::new(&mut bytes, "sets").expect("memory");
        (0..200).try_for_each(|row| writer.push(row, &set(task, row))).expect("in order");
        writer.finish().expect("memory");
        Arc::new(SetFile::open(Arc::new(Bytes(bytes)), "sets").expect("whole"))
    }

    #[test]
    fn edges_are_those_of_all_comparisons_in_order() {
        let files = [set_file(0), set_file(1)];
        let sets = |holder| match holder {
            Holder::Task(task) => Ok(files[task as usize].clone()),
            Holder::Part(_) => Err(Error::io(holder, "there is no index")),
        };
        let at = |n: u64| Ranked { rank: n % 2, doc: DocId::new((n % 5 > 2).into(), n * 13 % 200) };
        let mut pairs: Vec<_> = (0..5000)
            .map(|n| Pair { first: at(n * 7), second: Ranked { rank: 5, doc: DocId::new(1, n % 190) } })
            .map(Routed)
            .collect();
        pairs.sort_unstable();
        let of = |doc: DocId| set(doc.task(), doc.row());
        let (mut expected, mut out_of_bound) = (Vec::new(), 0);
        for &Routed(pair) in &pairs {
            let (a, b) = (of(pair.first.doc), of(pair.second.doc));
            if Shared.bound(a.len(), b.len()) < 0.25 {
                out_of_bound += 1;
            } else {
                expected.extend(Shared.similarity(&a, &b).map(|similarity| Edge { pair, similarity }));
            }
        }
        assert!(!expected.is_empty() && out_of_bound > 0);
        for memory in [0, 1000, 1 << 20] {
            let mut edges = Vec::new();
            let stats = verify(pairs.iter().map(|routed| Ok(routed.0)), &sets, &Shared, memory, None, |edge| {
                edges.push(edge);
                Ok(())
            });
            assert_eq!(edges, expected);
            let expected = VerifyStats { pairs: 5000, spared: 0, out_of_bound, edges: edges.len() as u64 };
            assert_eq!(stats.expect("whole"), expected);
        }
    }

    #[test]
    fn a_missing_set_is_an_error() {
        let file = set_file(0);
        let sets = |_| Ok(file.clone());
        let at = |row| Ranked { rank: 0, doc: DocId::new(0, row) };
        let pair = Pair { first: at(1), second: at(900) };
        let error = verify(std::iter::once(Ok(pair)), &sets, &Shared, 0, None, |_| Ok(())).expect_err("missing");
        assert_eq!(error.to_string(), "task 0: the set of row 900 is missing");
    }

    /// Those that go, of documents with such edges, by the rule: in the total order, one goes if it is like one that
    /// stays.
    fn gone(mut edges: Vec<Edge>) -> DocSet {
        let mut gone = DocSet::empty(&[200, 200]);
        edges.sort_by_key(|edge| (edge.pair.second, edge.pair.first));
        for edge in edges {
            if !gone.contains(edge.pair.first.doc) {
                gone.insert(edge.pair.second.doc);
            }
        }
        gone
    }

    #[test]
    fn comparisons_that_are_spared_change_nothing() {
        let files = [set_file(0), set_file(1)];
        let sets = |holder| match holder {
            Holder::Task(task) => Ok(files[task as usize].clone()),
            Holder::Part(_) => unreachable!("there is no index"),
        };
        for by_rank in [false, true] {
            let at = |n: u64| {
                let (task, row) = ((n / 200) as u32, n * 37 % 200);
                let rank = if by_rank { (row * 7 + u64::from(task)) % 11 } else { 0 };
                Ranked { rank, doc: DocId::new(task, row) }
            };
            // Many more pairs than a wave has.
            let mut pairs: Vec<_> = (0..400 * 400)
                .map(|n| (at(n % 400), at(n / 400)))
                .filter(|(a, b)| a < b)
                .map(|(first, second)| Routed(Pair { first, second }))
                .collect();
            pairs.sort_unstable();
            let judged = |fates: Option<Fates>| {
                let mut edges = Vec::new();
                let pairs = pairs.iter().map(|routed| Ok(routed.0));
                let stats = verify(pairs, &sets, &Shared, 1 << 20, fates, |edge| {
                    edges.push(edge);
                    Ok(())
                });
                (edges, stats.expect("whole"))
            };
            let (all, stats) = judged(None);
            let (some, spared) = judged(Some(Fates::new(0.25, DocSet::empty(&[200, 200]))));
            assert!(spared.spared > 0 && spared.edges < stats.edges && spared.pairs == stats.pairs);
            let [all, some] = [all, some].map(|edges| gone(edges).iter().collect::<Vec<_>>());
            assert!(all == some && !all.is_empty());
        }
    }
}
