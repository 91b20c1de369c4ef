//! Which texts are alike, as pairs of content keys: so it is known of texts that are not there any more.
//!
//! Documents are named by merging them with the [names](crate::exchange::names) that tasks and parts of an index have,
//! first those of one side, then those of the other.

use std::cmp::Ordering;

use crate::doc::{DocId, Holder};
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::names::NameRow;
use crate::exchange::record::{Record, take};
use crate::exchange::sort::{Sorted, Sorter};
use crate::stage::{Edge, Rows};

/// Two texts that are alike.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The content key of one.
    pub from: u128,
    /// That of the other.
    pub to: u128,
    /// How alike they are, if that was measured.
    pub similarity: f64,
}

/// Two documents that are alike, in the order of the first: how links begin.
#[derive(Debug, Clone, Copy)]
pub struct Linked {
    first: DocId,
    second: DocId,
    similarity: f64,
}

/// The same where one is named already, in the order of the other.
#[derive(Debug, Clone, Copy)]
struct HalfNamed {
    doc: DocId,
    key: u128,
    similarity: f64,
}

impl Linked {
    /// The documents of an edge.
    pub fn new(edge: Edge) -> Self {
        Self { first: edge.pair.first.doc, second: edge.pair.second.doc, similarity: edge.similarity }
    }
}

/// Names both sides. `names` opens the names that a task or a part of an index has, in order.
pub fn name(
    linked: impl Iterator<Item = Result<Linked>>,
    names: &dyn Fn(Holder) -> Result<Rows<NameRow>>,
    room: Room<'_>,
) -> Result<Sorted<Link>> {
    let mut half = Sorter::new(room.dir, room.memory / 2);
    let mut named = Names { names, open: None, current: None };
    for row in linked {
        let Linked { first, second, similarity } = row?;
        half.push(HalfNamed { doc: second, key: named.key(first)?, similarity })?;
    }
    let mut links = Sorter::new(room.dir, room.memory / 2);
    let mut named = Names { names, open: None, current: None };
    for row in half.finish()? {
        let HalfNamed { doc, key, similarity } = row?;
        links.push(Link { from: named.key(doc)?, to: key, similarity })?;
    }
    links.finish()
}

/// The keys of documents that are asked for in order.
struct Names<'n> {
    names: &'n dyn Fn(Holder) -> Result<Rows<NameRow>>,
    open: Option<(Holder, Rows<NameRow>)>,
    current: Option<NameRow>,
}

impl Names<'_> {
    fn key(&mut self, doc: DocId) -> Result<u128> {
        let holder = doc.holder();
        if self.open.as_ref().is_none_or(|(known, _)| *known != holder) {
            self.open = Some((holder, (self.names)(holder)?));
            self.current = None;
        }
        let (_, rows) = self.open.as_mut().expect("it was just opened");
        let missing = || Error::io("names", format!("row {} of {holder} is missing", doc.row()));
        while self.current.as_ref().is_none_or(|name| name.doc < doc) {
            self.current = Some(rows.next().transpose()?.ok_or_else(missing)?);
        }
        let key = self.current.as_ref().filter(|name| name.doc == doc).and_then(|name| name.key);
        key.map(u128::from_be_bytes).ok_or_else(missing)
    }
}

/// Total orders, by what comes first in a row.
macro_rules! ordered {
    ($row:ty, $($field:ident),+) => {
        impl Ord for $row {
            fn cmp(&self, other: &Self) -> Ordering {
                ($(self.$field,)+).cmp(&($(other.$field,)+)).then(self.similarity.total_cmp(&other.similarity))
            }
        }

        impl PartialOrd for $row {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $row {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $row {}
    };
}

ordered!(Link, from, to);
ordered!(Linked, first, second);
ordered!(HalfNamed, doc, key);

fn put_doc(doc: DocId, out: &mut Vec<u8>) {
    out.extend_from_slice(&doc.to_u64().to_le_bytes());
}

fn take_doc(bytes: &mut &[u8]) -> Option<DocId> {
    take(bytes).map(u64::from_le_bytes).map(DocId::from_u64)
}

fn take_similarity(bytes: &mut &[u8]) -> Option<f64> {
    take(bytes).map(f64::from_le_bytes)
}

impl Record for Linked {
    const KIND: u32 = 17;

    fn encode(&self, out: &mut Vec<u8>) {
        put_doc(self.first, out);
        put_doc(self.second, out);
        out.extend_from_slice(&self.similarity.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { first: take_doc(bytes)?, second: take_doc(bytes)?, similarity: take_similarity(bytes)? })
    }
}

impl Record for HalfNamed {
    const KIND: u32 = 18;

    fn encode(&self, out: &mut Vec<u8>) {
        put_doc(self.doc, out);
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.similarity.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let doc = take_doc(bytes)?;
        let key = u128::from_le_bytes(take(bytes)?);
        Some(Self { doc, key, similarity: take_similarity(bytes)? })
    }
}

impl Record for Link {
    const KIND: u32 = 19;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.from.to_le_bytes());
        out.extend_from_slice(&self.to.to_le_bytes());
        out.extend_from_slice(&self.similarity.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let from = u128::from_le_bytes(take(bytes)?);
        Some(Self { from, to: u128::from_le_bytes(take(bytes)?), similarity: take_similarity(bytes)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::sort::SpillDir;
    use crate::stage::{Pair, Ranked};

    #[test]
    fn both_sides_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(folder.path());
        let names = |holder| {
            let of = |row: u64, key: u8| {
                let doc = match holder {
                    Holder::Part(part) => DocId::earlier(part, row),
                    Holder::Task(task) => DocId::new(task, row),
                };
                Ok(NameRow { doc, key: Some([key; 16]), id: None, size: None })
            };
            let first = if holder == Holder::Task(0) { 10 } else { 20 };
            Ok(Box::new([of(0, first), of(1, first + 1), of(2, first + 2)].into_iter()) as Rows<NameRow>)
        };
        let edge = |first, second| {
            let ranked = |doc| Ranked { rank: 0, doc };
            Linked::new(Edge { pair: Pair { first: ranked(first), second: ranked(second) }, similarity: 0.9 })
        };
        let mut linked = vec![
            edge(DocId::new(0, 2), DocId::new(0, 1)),
            edge(DocId::earlier(3, 1), DocId::new(0, 0)),
            edge(DocId::earlier(3, 1), DocId::new(0, 2)),
        ];
        linked.sort();
        let room = Room { dir: &dir, memory: 100 };
        let links = name(linked.into_iter().map(Ok), &names, room).expect("named");
        let keys: Vec<_> = links.map(|link| link.map(|link| (link.from as u8, link.to as u8)).expect("read")).collect();
        assert_eq!(keys, [(10, 21), (11, 12), (12, 21)]);
    }
}
