//! From who drops whom to rulings: every dropped document names one that really stays.

use std::cmp::Ordering;

use crate::doc::{DocId, Holder};
use crate::error::{Error, Result};
use crate::exchange::names::NameRow;
use crate::exchange::record::{Record, Ruling, RulingKind, take};
use crate::exchange::sort::{Sorter, SpillDir};
use crate::stage::{DocSet, Rows};

/// A document that is dropped for another. Ordered by the one that is kept.
#[derive(Debug, Clone, Copy)]
pub struct DropRow {
    /// The document that stands for it.
    pub kept: DocId,
    /// The document that goes.
    pub doc: DocId,
    /// The stage that dropped it, counted within the pipeline.
    pub stage: u16,
    /// The reason, counted in the stage's `reasons()`.
    pub reason: u16,
    /// How alike the two are.
    pub similarity: f64,
    /// What that was held against.
    pub threshold: f64,
}

impl DropRow {
    fn key(&self) -> (DocId, DocId, u16, u16) {
        (self.kept, self.doc, self.stage, self.reason)
    }
}

impl Ord for DropRow {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = self.similarity.total_cmp(&other.similarity).then(self.threshold.total_cmp(&other.threshold));
        self.key().cmp(&other.key()).then(numbers)
    }
}

impl PartialOrd for DropRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DropRow {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DropRow {}

impl Record for DropRow {
    const KIND: u32 = 9;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kept.to_u64().to_le_bytes());
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        out.extend_from_slice(&self.stage.to_le_bytes());
        out.extend_from_slice(&self.reason.to_le_bytes());
        out.extend_from_slice(&self.similarity.to_le_bytes());
        out.extend_from_slice(&self.threshold.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            kept: DocId::from_u64(u64::from_le_bytes(take(bytes)?)),
            doc: DocId::from_u64(u64::from_le_bytes(take(bytes)?)),
            stage: u16::from_le_bytes(take(bytes)?),
            reason: u16::from_le_bytes(take(bytes)?),
            similarity: f64::from_le_bytes(take(bytes)?),
            threshold: f64::from_le_bytes(take(bytes)?),
        })
    }
}

/// The same, ordered by the one that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByDoc(pub DropRow);

impl Ord for ByDoc {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.doc.cmp(&other.0.doc).then(self.0.cmp(&other.0))
    }
}

impl PartialOrd for ByDoc {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Record for ByDoc {
    const KIND: u32 = 10;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        DropRow::decode(bytes).map(Self)
    }
}

/// Makes every drop name a document that stays. Within one stage it does already; but what an earlier stage
/// kept, a later stage of the same exchange may have dropped, and then the earlier one's drops go for the
/// same document that it went for.
pub fn settle(drops: Sorter<DropRow>, dropped: &DocSet, spill: &SpillDir, memory: usize) -> Result<Sorter<DropRow>> {
    let mut drops = drops;
    loop {
        let (mut again, mut by_doc) = (Sorter::new(spill, memory), Sorter::new(spill, memory));
        let mut astray = false;
        for row in drops.finish()? {
            let row = row?;
            astray |= dropped.contains(row.kept);
            again.push(row)?;
            by_doc.push(ByDoc(row))?;
        }
        if !astray {
            return Ok(again);
        }
        let mut by_doc = by_doc.finish()?.peekable();
        drops = Sorter::new(spill, memory);
        for row in again.finish()? {
            let mut row = row?;
            if dropped.contains(row.kept) {
                while by_doc.next_if(|next| next.as_ref().is_ok_and(|next| next.0.doc < row.kept)).is_some() {}
                let gone = match by_doc.peek() {
                    Some(Ok(next)) if next.0.doc == row.kept => next.0,
                    _ => match by_doc.next() {
                        Some(Err(error)) => return Err(error),
                        _ => {
                            return Err(Error::io(
                                "rulings",
                                "a document was dropped for one of which nothing is known",
                            ));
                        }
                    },
                };
                row.kept = gone.kept;
                row.similarity = through(row.similarity, gone.similarity);
                // Held against the lower bar of the two, or a sound ruling would look like a wrong one.
                row.threshold = row.threshold.min(gone.threshold);
            }
            drops.push(row)?;
        }
    }
}

/// The similarity of two documents by way of a third: known where one of the steps is between equals.
fn through(a: f64, b: f64) -> f64 {
    if a == 1.0 {
        b
    } else if b == 1.0 {
        a
    } else {
        f64::NAN
    }
}

/// Turns drops, in the order of the kept documents, into rulings that name those. `names` opens the names that a
/// task or a part of an index has, in order; `run` says what the run of a part is called.
pub fn name(
    drops: impl Iterator<Item = Result<DropRow>>,
    names: impl Fn(Holder) -> Result<Rows<NameRow>>,
    run: impl Fn(u32) -> Option<String>,
    mut rule: impl FnMut(Ruling) -> Result<()>,
) -> Result<()> {
    let mut open: Option<(Holder, Rows<NameRow>)> = None;
    let mut current: Option<NameRow> = None;
    for row in drops {
        let row = row?;
        let holder = row.kept.holder();
        if open.as_ref().is_none_or(|(known, _)| *known != holder) {
            open = Some((holder, names(holder)?));
            current = None;
        }
        let (_, reader) = open.as_mut().expect("it was just opened");
        let missing = || Error::io("names", format!("row {} of {holder} is missing", row.kept.row()));
        while current.as_ref().is_none_or(|name| name.doc < row.kept) {
            current = Some(reader.next().transpose()?.ok_or_else(missing)?);
        }
        let known = current.as_ref().filter(|name| name.doc == row.kept).ok_or_else(missing)?;
        let kept_key =
            known.key.ok_or_else(|| Error::io("names", "a document stands for another but sent no content key"))?;
        let kept_run = match holder {
            Holder::Part(part) => run(part),
            Holder::Task(_) => None,
        };
        rule(Ruling {
            doc: row.doc,
            stage: row.stage,
            kind: RulingKind::Drop {
                reason: row.reason,
                similarity: row.similarity,
                threshold: row.threshold,
                kept: row.kept,
                kept_key,
                kept_id: known.id.clone(),
                kept_run,
            },
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Drops as (doc, kept, similarity), by stages in order.
    #[track_caller]
    fn check(drops: &[(u64, u64, f64)], expected: &[(u64, u64, f64)]) {
        let folder = tempfile::tempdir().expect("a folder");
        let spill = SpillDir::new(folder.path());
        let mut dropped = DocSet::empty(&[100]);
        let mut sorter = Sorter::new(&spill, 1 << 10);
        for &(doc, kept, similarity) in drops {
            let (doc, kept) = (DocId::new(0, doc), DocId::new(0, kept));
            dropped.insert(doc);
            sorter.push(DropRow { kept, doc, stage: 0, reason: 0, similarity, threshold: 0.8 }).expect("room");
        }
        let settled = settle(sorter, &dropped, &spill, 1 << 10).and_then(Sorter::finish).expect("room");
        let mut rows: Vec<_> =
            settled.map(|row| row.map(|row| (row.doc.row(), row.kept.row(), row.similarity)).expect("read")).collect();
        rows.sort_by_key(|row| row.0);
        assert_eq!(format!("{rows:?}"), format!("{expected:?}"));
    }

    #[test]
    fn a_kept_document_that_stays_is_named() {
        check(&[(2, 1, 1.0), (3, 1, 0.9)], &[(2, 1, 1.0), (3, 1, 0.9)]);
    }

    #[test]
    fn a_later_drop_is_followed_to_its_end() {
        check(&[(5, 4, 1.0), (4, 3, 0.9), (3, 1, 1.0)], &[(3, 1, 1.0), (4, 1, 0.9), (5, 1, 0.9)]);
        check(&[(5, 4, 0.8), (4, 3, 0.9)], &[(4, 3, 0.9), (5, 3, f64::NAN)]);
    }
}
