//! Clusters: a document that stays, with those that it stands for.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::doc::DocId;
use crate::error::Result;
use crate::exchange::drops::DropRow;

/// A document that stands for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// The document that stays.
    pub kept: DocId,
    /// How many documents it stands for, itself included.
    pub size: u64,
}

/// The clusters of [settled](crate::exchange::drops::settle) drops, which come in the order of the kept
/// documents. No cluster is held, however large it is.
pub fn clusters(drops: impl Iterator<Item = Result<DropRow>>) -> impl Iterator<Item = Result<Cluster>> {
    let mut drops = drops.peekable();
    std::iter::from_fn(move || {
        let kept = match drops.next()? {
            Ok(row) => row.kept,
            Err(error) => return Some(Err(error)),
        };
        let mut size = 2;
        while drops.next_if(|next| next.as_ref().is_ok_and(|row| row.kept == kept)).is_some() {
            size += 1;
        }
        Some(Ok(Cluster { kept, size }))
    })
}

/// How many of the clusters above a limit are named.
pub const N_NAMED: usize = 10;

/// The clusters above a limit.
#[derive(Debug, Clone)]
pub struct Above {
    limit: u64,
    /// How many there are.
    pub n: u64,
    /// The largest, which come first.
    largest: BTreeSet<(Reverse<u64>, DocId)>,
}

impl Above {
    /// None so far.
    pub fn new(limit: u64) -> Self {
        Self { limit, n: 0, largest: BTreeSet::new() }
    }

    /// Takes notice of a cluster.
    pub fn see(&mut self, cluster: Cluster) {
        if cluster.size > self.limit {
            self.n += 1;
            self.largest.insert((Reverse(cluster.size), cluster.kept));
            if self.largest.len() > N_NAMED {
                self.largest.pop_last();
            }
        }
    }

    /// The largest, no more than [`N_NAMED`]; of the same size the first in the input come first.
    pub fn largest(&self) -> impl Iterator<Item = Cluster> {
        self.largest.iter().map(|&(Reverse(size), kept)| Cluster { kept, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn row(kept: u64, doc: u64) -> Result<DropRow> {
        let (kept, doc) = (DocId::new(0, kept), DocId::new(0, doc));
        Ok(DropRow { kept, doc, stage: 0, reason: 0, similarity: 1.0, threshold: 0.8 })
    }

    #[test]
    fn a_kept_document_counts_itself() {
        let rows = [row(1, 2), row(1, 9), row(3, 4), row(7, 5), row(7, 6), row(7, 8)];
        let found: Vec<_> =
            clusters(rows.into_iter()).map(|cluster| cluster.map(|c| (c.kept.row(), c.size)).expect("sound")).collect();
        assert_eq!(found, [(1, 3), (3, 2), (7, 4)]);
    }

    #[test]
    fn an_error_comes_through() {
        let rows = [row(1, 2), Err(Error::io("drops", "cut short"))];
        let found: Vec<_> = clusters(rows.into_iter()).collect();
        assert!(matches!(found[..], [Ok(Cluster { size: 2, .. }), Err(_)]));
    }

    #[test]
    fn the_largest_clusters_are_named_largest_first() {
        let mut above = Above::new(3);
        for (kept, size) in (0..30).map(|n| (n, n * 7 % 10)) {
            above.see(Cluster { kept: DocId::new(0, kept), size });
        }
        let sizes: Vec<_> = above.largest().map(|cluster| (cluster.size, cluster.kept.row())).collect();
        assert_eq!(above.n, 18);
        assert_eq!(sizes[..4], [(9, 7), (9, 17), (9, 27), (8, 4)]);
        assert_eq!(sizes.len(), N_NAMED);
    }
}
