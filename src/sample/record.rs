//! The rows that a draw sorts and writes down.

use crate::doc::DocId;
use crate::exchange::record::{Record, put_varint, take, take_varint};

/// A document that can be drawn. In the order of keys; of those with the same key, the least stands for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The content key.
    pub key: u128,
    /// The share it belongs to.
    pub share: u16,
    /// Its tokens.
    pub tokens: u32,
    /// The bits of its weight, reuse aside. They order as positive numbers do.
    pub weight: u64,
    /// Where it is.
    pub doc: DocId,
    /// Its bytes of text.
    pub bytes: u64,
    /// How often it was used before.
    pub uses: u32,
    /// The content key of the text as first read, if that was another one.
    pub origin: Option<u128>,
    /// Where it comes from, if that is to be recorded.
    pub source: Option<Box<str>>,
}

impl Candidate {
    /// Its weight, reuse aside.
    pub fn weight(&self) -> f64 {
        f64::from_bits(self.weight)
    }
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

fn take_u128(bytes: &mut &[u8]) -> Option<u128> {
    take(bytes).map(u128::from_le_bytes)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take_varint(bytes).and_then(|number| number.try_into().ok())
}

const HAS_ORIGIN: u8 = 1;
const HAS_SOURCE: u8 = 2;

/// What a text was when first read and where it comes from, of which most have one or none.
fn put_past(origin: Option<u128>, source: Option<&str>, out: &mut Vec<u8>) {
    let has = |there: bool, flag: u8| u8::from(there) * flag;
    out.push(has(origin.is_some(), HAS_ORIGIN) | has(source.is_some(), HAS_SOURCE));
    if let Some(origin) = origin {
        out.extend_from_slice(&origin.to_le_bytes());
    }
    if let Some(source) = source {
        put_varint(source.len() as u64, out);
        out.extend_from_slice(source.as_bytes());
    }
}

/// The reverse of [`put_past`].
fn take_past(bytes: &mut &[u8]) -> Option<(Option<u128>, Option<Box<str>>)> {
    let [flags] = take(bytes)?;
    let origin = if flags & HAS_ORIGIN > 0 { Some(take_u128(bytes)?) } else { None };
    let source = if flags & HAS_SOURCE > 0 { Some(take_text(bytes)?) } else { None };
    Some((origin, source))
}

impl Record for Candidate {
    const KIND: u32 = 40;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        put_varint(self.share.into(), out);
        put_varint(self.tokens.into(), out);
        out.extend_from_slice(&self.weight.to_le_bytes());
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        put_varint(self.bytes, out);
        put_varint(self.uses.into(), out);
        put_past(self.origin, self.source.as_deref(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = take_u128(bytes)?;
        let share = take_u32(bytes)?.try_into().ok()?;
        let tokens = take_u32(bytes)?;
        let weight = take_u64(bytes)?;
        let doc = DocId::from_u64(take_u64(bytes)?);
        let n_bytes = take_varint(bytes)?;
        let uses = take_u32(bytes)?;
        let (origin, source) = take_past(bytes)?;
        Some(Self { key, share, tokens, weight, doc, bytes: n_bytes, uses, origin, source })
    }

    fn heap_size(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.len())
    }
}

fn take_text(bytes: &mut &[u8]) -> Option<Box<str>> {
    let length = take_varint(bytes)? as usize;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok().map(Into::into)
}

/// A use of a text that can be drawn, in the order in which uses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// The share it belongs to.
    pub share: u16,
    /// Lower classes go first.
    pub class: u32,
    /// Its place in the class: a lot, or the bits of an arrival.
    pub rank: u64,
    /// The content key.
    pub key: u128,
    /// Which of the uses this draw may make, from 0.
    pub turn: u32,
    /// The tokens it takes.
    pub tokens: u32,
}

impl Record for Turn {
    const KIND: u32 = 41;

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.share.into(), out);
        put_varint(self.class.into(), out);
        out.extend_from_slice(&self.rank.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
        put_varint(self.turn.into(), out);
        put_varint(self.tokens.into(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let share = take_u32(bytes)?.try_into().ok()?;
        let class = take_u32(bytes)?;
        let rank = take_u64(bytes)?;
        let key = take_u128(bytes)?;
        Some(Self { share, class, rank, key, turn: take_u32(bytes)?, tokens: take_u32(bytes)? })
    }
}

/// A use that was drawn, in the order of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// The content key.
    pub key: u128,
    /// Which of the uses.
    pub turn: u32,
}

impl Record for Drawn {
    const KIND: u32 = 42;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        put_varint(self.turn.into(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { key: take_u128(bytes)?, turn: take_u32(bytes)? })
    }
}

/// Where a drawn use of a document goes, in the order of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The document.
    pub doc: DocId,
    /// Which of its uses in this draw, from 1.
    pub epoch: u32,
    /// The lot that decides where it stands; its number, where order is kept.
    pub position: u64,
    /// The output file.
    pub shard: u32,
}

impl Record for Place {
    const KIND: u32 = 43;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        put_varint(self.epoch.into(), out);
        out.extend_from_slice(&self.position.to_le_bytes());
        put_varint(self.shard.into(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let doc = DocId::from_u64(take_u64(bytes)?);
        Some(Self { doc, epoch: take_u32(bytes)?, position: take_u64(bytes)?, shard: take_u32(bytes)? })
    }
}

/// A drawn use of a document, epoch by epoch in the order of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InTurn {
    /// Which of its uses in this draw, from 1.
    pub epoch: u32,
    /// The document.
    pub doc: DocId,
    /// Its bytes of text.
    pub bytes: u64,
}

impl Record for InTurn {
    const KIND: u32 = 44;

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.epoch.into(), out);
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        put_varint(self.bytes, out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let epoch = take_u32(bytes)?;
        Some(Self { epoch, doc: DocId::from_u64(take_u64(bytes)?), bytes: take_varint(bytes)? })
    }
}

/// What the ledger is to be told of a text, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The content key.
    pub key: u128,
    /// How often it was drawn.
    pub uses: u32,
    /// The tokens of one use.
    pub tokens: u32,
    /// The content key of the text as first read, if that was another one.
    pub origin: Option<u128>,
    /// Where it comes from.
    pub source: Option<Box<str>>,
}

impl Record for Told {
    const KIND: u32 = 45;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        put_varint(self.uses.into(), out);
        put_varint(self.tokens.into(), out);
        put_past(self.origin, self.source.as_deref(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (key, uses, tokens) = (take_u128(bytes)?, take_u32(bytes)?, take_u32(bytes)?);
        let (origin, source) = take_past(bytes)?;
        Some(Self { key, uses, tokens, origin, source })
    }
}

/// A key by which the ledger is asked for a document, in the order of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// What is looked up.
    pub key: u128,
    /// The content key of the document.
    pub document: u128,
}

impl Record for Probe {
    const KIND: u32 = 46;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.document.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { key: take_u128(bytes)?, document: take_u128(bytes)? })
    }
}

/// What was found for a document, in the order of their content keys: each entry of the ledger once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The content key of the document.
    pub document: u128,
    /// The entry.
    pub entry: u128,
    /// Its uses.
    pub uses: u64,
}

impl Record for Hit {
    const KIND: u32 = 47;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.document.to_le_bytes());
        out.extend_from_slice(&self.entry.to_le_bytes());
        put_varint(self.uses, out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { document: take_u128(bytes)?, entry: take_u128(bytes)?, uses: take_varint(bytes)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<R: Record + std::fmt::Debug>(row: &R) {
        let mut bytes = Vec::new();
        row.encode(&mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(R::decode(&mut rest).as_ref(), Some(row));
        assert!(rest.is_empty());
        for cut in 0..bytes.len() {
            assert_eq!(R::decode(&mut &bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let (doc, source) = (DocId::new(3, 1 << 33), Some("网页".into()));
        let weight = 0.25f64.to_bits();
        let candidate = Candidate {
            key: 7 << 99,
            share: 300,
            tokens: 1 << 20,
            weight,
            doc,
            bytes: 1 << 40,
            uses: 3,
            origin: Some(5),
            source,
        };
        check(&candidate);
        check(&Candidate { origin: None, source: None, ..candidate.clone() });
        check(&Turn { share: 1, class: 2, rank: u64::MAX, key: u128::MAX, turn: 4, tokens: u32::MAX });
        check(&Drawn { key: 1, turn: 200 });
        check(&Place { doc, epoch: 2, position: 1 << 63, shard: 70_000 });
        check(&InTurn { epoch: 1, doc, bytes: 99 });
        check(&Told { key: 1, uses: 4, tokens: 1000, origin: Some(2), source: candidate.source });
        check(&Told { key: 1, uses: 4, tokens: 1000, origin: None, source: None });
        check(&Probe { key: 1, document: 2 });
        check(&Hit { document: 1, entry: 2, uses: 1 << 50 });
    }
}
