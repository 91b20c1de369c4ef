//! What a deduplication leaves in its run directory, so that every threshold can be had from one run.
//!
//! ```text
//! _trommel/0/edges         verified pairs from the floor up, in the total order of their later documents
//! _trommel/0/copies        documents with the same text as an earlier one, in the order of the latter
//! _trommel/0/names/00000   ids, content keys and sizes of documents
//! _trommel/0/pairs.json    written last: the floor, and the rows of each task
//! ```

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exchange::names::{NameRow, Size};
use crate::exchange::record::{EdgeRow, Record};
use crate::exchange::sort::{RunReader, RunWriter};
use crate::run_dir::{Identity, RunDir};
use crate::stage::{DocSet, Edge, Pair, Rows, Target};
use crate::store::Folder;

/// The pass that leaves them: a run with pairs on record has one exchange.
pub const PASS: usize = 0;

const EDGES: &str = "_trommel/0/edges";
const COPIES: &str = "_trommel/0/copies";
const INDEX: &str = "_trommel/0/pairs.json";

/// The bytes of a block, and those read at a time.
const BLOCK: usize = 32 << 10;
const BUFFER: usize = 1 << 20;

/// For how many thresholds documents are followed at a time: a byte for each document.
const AT_ONCE: usize = 8;

/// The pairs that a run has left.
pub struct Pairs {
    run_dir: RunDir,
    index: Index,
}

#[derive(Serialize, Deserialize)]
struct Index {
    floor: f64,
    rows: Vec<u64>,
}

/// Documents that stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Their number.
    pub documents: u64,
    /// Their bytes of text.
    pub bytes: u64,
    /// Their tokens, estimated.
    pub tokens: u64,
}

impl Kept {
    fn add(&mut self, size: Size) {
        self.documents += 1;
        self.bytes += size.bytes;
        self.tokens += size.tokens;
    }
}

impl Pairs {
    /// Leaves pairs from `floor` up in a run directory, whose tasks have these numbers of `rows`.
    pub fn write(run_dir: &RunDir, floor: f64, rows: &[u64], edges: Rows<Edge>, copies: Rows<Pair>) -> Result<()> {
        write(run_dir, EDGES, edges.map(|edge| edge.map(EdgeRow)))?;
        write(run_dir, COPIES, copies)?;
        run_dir.write_json(INDEX, &Index { floor, rows: rows.to_vec() })
    }

    /// The pairs that a run has left, if it has.
    pub fn open(run_dir: &RunDir) -> Result<Option<Self>> {
        let index = run_dir.read_json(INDEX)?;
        Ok(index.map(|index| Self { run_dir: run_dir.clone(), index }))
    }

    /// The pairs that a run, or the one that it was cut from, has left; for those who need them.
    pub fn find(run_dir: &RunDir) -> Result<Self> {
        let identity = run_dir.read_json::<Identity>("_trommel/run.json")?;
        if let Some(from) = identity.and_then(|identity| identity.from) {
            return Self::find(&RunDir::new(Folder::parse(&from)?));
        }
        Self::open(run_dir)?.ok_or_else(|| {
            Error::refused(format!(
                "{}: this run has no pairs on record; `trommel dedup --floor 0.5` records those from 0.5 up (in a \
                 pipeline: the setting `floor` of `minhash`, where no other stage drops, rewrites or needs the whole corpus)",
                run_dir.folder().name()
            ))
        })
    }

    /// The least similarity at which there are pairs.
    pub fn floor(&self) -> f64 {
        self.index.floor
    }

    /// The edges in the total order of their later documents.
    pub fn edges(&self) -> Result<Rows<Edge>> {
        let rows = read::<EdgeRow>(&self.run_dir, EDGES)?;
        Ok(Box::new(rows.map(|row| row.map(|row| row.0))))
    }

    /// The copies in the total order of the documents that they are copies of.
    pub fn copies(&self) -> Result<Rows<Pair>> {
        Ok(Box::new(read::<Pair>(&self.run_dir, COPIES)?))
    }

    /// What the documents of a task are called.
    pub fn names(&self, task: u32) -> Result<RunReader<NameRow>> {
        read(&self.run_dir, &RunDir::part(PASS, "names", task))
    }

    /// All documents.
    pub fn all(&self) -> Result<Kept> {
        let mut all = Kept::default();
        self.each_document(|_, size| all.add(size))?;
        Ok(all)
    }

    /// The documents that a run at each of these thresholds keeps. None of them is below the floor.
    pub fn kept_at(&self, thresholds: &[f64]) -> Result<Vec<Kept>> {
        let mut kept = Vec::with_capacity(thresholds.len());
        for some in thresholds.chunks(AT_ONCE) {
            let dropped = self.dropped_at(some)?;
            let mut of_some = vec![Kept::default(); some.len()];
            self.each_document(|name, size| {
                for (kept, dropped) in of_some.iter_mut().zip(&dropped) {
                    if !dropped.contains(name.doc) {
                        kept.add(size);
                    }
                }
            })?;
            kept.extend(of_some);
        }
        Ok(kept)
    }

    /// The lowest threshold, of those 0.01 apart, that keeps the target; 1 if none does.
    pub fn choose(&self, target: Target) -> Result<Choice> {
        let all = self.all()?;
        let reaches = |kept: &Kept| match target {
            Target::Tokens(tokens) => kept.tokens >= tokens,
            Target::Documents(documents) => kept.documents >= documents,
        };
        let mut last = (1.0, all);
        for some in grid(self.floor(), 100).chunks(AT_ONCE) {
            for (threshold, kept) in some.iter().copied().zip(self.kept_at(some)?) {
                last = (threshold, kept);
                if reaches(&kept) {
                    return Ok(Choice { target, threshold, reached: true, kept, all });
                }
            }
        }
        let (threshold, kept) = last;
        Ok(Choice { target, threshold, reached: false, kept, all })
    }

    /// What the rulings of a run come to, without the documents that stand for others: one is dropped if it is
    /// like an earlier one that stays, or if it has the text of one.
    fn dropped_at(&self, thresholds: &[f64]) -> Result<Vec<DocSet>> {
        let mut dropped = vec![DocSet::empty(&self.index.rows); thresholds.len()];
        for edge in self.edges()? {
            let Edge { pair, similarity } = edge?;
            for (dropped, threshold) in dropped.iter_mut().zip(thresholds) {
                if similarity >= *threshold && !dropped.contains(pair.first.doc) {
                    dropped.insert(pair.second.doc);
                }
            }
        }
        for copy in self.copies()? {
            let copy = copy?;
            dropped.iter_mut().for_each(|dropped| dropped.insert(copy.second.doc));
        }
        Ok(dropped)
    }

    fn each_document(&self, mut see: impl FnMut(&NameRow, Size)) -> Result<()> {
        for task in 0..self.index.rows.len() as u32 {
            for name in self.names(task)? {
                let name = name?;
                if let Some(size) = name.size {
                    see(&name, size);
                }
            }
        }
        Ok(())
    }
}

/// A threshold that was chosen by what it keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// What was asked for.
    pub target: Target,
    /// The threshold.
    pub threshold: f64,
    /// Whether it keeps as much as that.
    pub reached: bool,
    /// What it keeps.
    pub kept: Kept,
    /// All documents that were compared.
    pub all: Kept,
}

/// The thresholds from `floor` to 1 that are multiples of 1 / `parts`, and the floor itself.
pub fn grid(floor: f64, parts: u32) -> Vec<f64> {
    let mut grid: Vec<f64> = (1..=parts).map(|i| f64::from(i) / f64::from(parts)).filter(|t| *t > floor).collect();
    grid.insert(0, floor);
    grid
}

fn write<R: Record>(run_dir: &RunDir, path: &str, rows: impl Iterator<Item = Result<R>>) -> Result<()> {
    let folder = run_dir.folder();
    let mut writer = RunWriter::new(folder.create(path)?, &folder.name_of(path), BLOCK)?;
    for row in rows {
        writer.push(&row?)?;
    }
    writer.finish()?.finish()?;
    Ok(())
}

fn read<R: Record>(run_dir: &RunDir, path: &str) -> Result<RunReader<R>> {
    let folder = run_dir.folder();
    RunReader::open(folder.open(path)?, &folder.name_of(path), BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::DocId;
    use crate::stage::Ranked;

    fn ranked(row: u64) -> Ranked {
        Ranked { rank: 0, doc: DocId::new(0, row) }
    }

    /// The numbers of documents kept of six: pairs as (later, earlier, similarity), in order.
    #[track_caller]
    fn check(edges: &[(u64, u64, f64)], copies: &[(u64, u64)], thresholds: &[f64], expected: &[u64]) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let run_dir = RunDir::new(Folder::local(dir.path()).expect("a folder"));
        let pair = |later, earlier| Pair { first: ranked(earlier), second: ranked(later) };
        let names = (0..6).map(|row| {
            let size = Some(Size { bytes: 10, tokens: 1 });
            Ok(NameRow { doc: DocId::new(0, row), key: None, id: None, size })
        });
        write(&run_dir, &RunDir::part(PASS, "names", 0), names).expect("written");
        let edges: Vec<_> = edges
            .iter()
            .map(|&(later, earlier, similarity)| Ok(Edge { pair: pair(later, earlier), similarity }))
            .collect();
        let copies: Vec<_> = copies.iter().map(|&(later, earlier)| Ok(pair(later, earlier))).collect();
        Pairs::write(&run_dir, 0.5, &[6], Box::new(edges.into_iter()), Box::new(copies.into_iter())).expect("written");
        let pairs = Pairs::open(&run_dir).expect("read").expect("it was just written");
        let kept = pairs.kept_at(thresholds).expect("read");
        assert_eq!(kept.iter().map(|kept| kept.documents).collect::<Vec<_>>(), expected);
        assert!(kept.iter().all(|kept| kept.bytes == 10 * kept.documents && kept.tokens == kept.documents));
        assert_eq!(pairs.all().expect("read"), Kept { documents: 6, bytes: 60, tokens: 6 });
    }

    #[test]
    fn what_is_dropped_drops_nothing_itself() {
        // 0 drops 1 at 0.5 and 0.6, so 2 stays there; above, 1 stays and drops 2.
        check(&[(1, 0, 0.6), (2, 1, 0.9)], &[], &[0.5, 0.6, 0.7, 0.9, 1.0], &[5, 5, 5, 5, 6]);
        check(&[(1, 0, 0.6), (2, 0, 0.7), (2, 1, 0.9)], &[], &[0.6, 0.7, 0.8, 1.0], &[4, 5, 5, 6]);
    }

    #[test]
    fn copies_go_at_every_threshold() {
        check(&[(1, 0, 0.6)], &[(4, 0), (5, 1)], &[0.5, 1.0], &[3, 4]);
    }

    #[test]
    fn more_thresholds_than_are_followed_at_a_time() {
        let thresholds: Vec<f64> = (1..=20).map(|i| f64::from(i) / 20.0).collect();
        let expected: Vec<u64> = (1..=20).map(|i| if i <= 11 { 5 } else { 6 }).collect();
        check(&[(3, 2, 0.55)], &[], &thresholds, &expected);
    }

    #[test]
    fn a_grid_begins_at_the_floor_and_ends_at_one() {
        assert_eq!(grid(0.8, 20), [0.8, 0.85, 0.9, 0.95, 1.0]);
        assert_eq!(grid(0.83, 20), [0.83, 0.85, 0.9, 0.95, 1.0]);
        assert_eq!(grid(1.0, 100), [1.0]);
        assert_eq!(grid(0.98, 100), [0.98, 0.99, 1.0]);
    }
}
