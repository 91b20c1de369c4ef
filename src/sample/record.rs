//! The rows that a draw sorts and writes down.

use crate::doc::DocId;
use crate::exchange::record::{Record, put_key, put_text, put_varint, take, take_key, take_text, take_varint};

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
    /// That of the text that an index has matched it with, likewise.
    pub matched: Option<u128>,
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
        put_key(self.origin, out);
        put_key(self.matched, out);
        put_text(self.source.as_deref(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = take_u128(bytes)?;
        let share = take_u32(bytes)?.try_into().ok()?;
        let tokens = take_u32(bytes)?;
        let weight = take_u64(bytes)?;
        let doc = DocId::from_u64(take_u64(bytes)?);
        let n_bytes = take_varint(bytes)?;
        let uses = take_u32(bytes)?;
        let (origin, matched, source) = (take_key(bytes)?, take_key(bytes)?, take_text(bytes)?);
        Some(Self { key, share, tokens, weight, doc, bytes: n_bytes, uses, origin, matched, source })
    }

    fn heap_size(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.len())
    }
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
        put_key(self.origin, out);
        put_text(self.source.as_deref(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (key, uses, tokens) = (take_u128(bytes)?, take_u32(bytes)?, take_u32(bytes)?);
        let (origin, source) = (take_key(bytes)?, take_text(bytes)?);
        Some(Self { key, uses, tokens, origin, source })
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
            matched: Some(6),
            source,
        };
        check(&candidate);
        check(&Candidate { origin: None, matched: None, source: None, ..candidate.clone() });
        check(&Turn { share: 1, class: 2, rank: u64::MAX, key: u128::MAX, turn: 4, tokens: u32::MAX });
        check(&Drawn { key: 1, turn: 200 });
        check(&Place { doc, epoch: 2, position: 1 << 63, shard: 70_000 });
        check(&InTurn { epoch: 1, doc, bytes: 99 });
        check(&Told { key: 1, uses: 4, tokens: 1000, origin: Some(2), source: candidate.source });
        check(&Told { key: 1, uses: 4, tokens: 1000, origin: None, source: None });
    }
}
