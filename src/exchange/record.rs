//! The rows of an exchange as bytes, each kind with the one order it is sorted in.

use std::cmp::Ordering;

use crate::doc::{ContentKey, DocId, Holder};
use crate::stage::{Edge, Known, Pair, Ranked};

/// A row that can be sorted and written to disk.
///
/// The order is total: rows that compare equal are the same row, so that sorting has one result whatever
/// the runs, threads and memory. Numbers are little-endian.
pub trait Record: Ord + Send + Sized {
    /// Names the kind in the headers of files. Never used for another kind again.
    const KIND: u32;

    /// Appends the row's bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes a row off the front of `bytes`; `None` if they do not begin with one.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;

    /// What the row holds in memory beside its own size.
    fn heap_size(&self) -> usize {
        0
    }

    /// Orders rows as far as it goes: one with a smaller lead comes first. Merges look at it before they compare rows.
    fn lead(&self) -> u64 {
        0
    }
}

/// Takes `N` bytes off the front.
pub fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

/// Appends a number in as few bytes as it needs: seven bits a byte, the lowest first (LEB128).
pub fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number written by [`put_varint`] off the front.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Appends a text, or that there is none.
pub fn put_text(text: Option<&str>, out: &mut Vec<u8>) {
    put_varint(text.map_or(0, |text| text.len() as u64 + 1), out);
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// The reverse of [`put_text`].
pub fn take_text(bytes: &mut &[u8]) -> Option<Option<Box<str>>> {
    let Some(length) = take_varint(bytes)?.checked_sub(1) else { return Some(None) };
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    std::str::from_utf8(text).ok().map(|text| Some(text.into()))
}

/// Appends a key, or that there is none.
pub fn put_key(key: Option<u128>, out: &mut Vec<u8>) {
    out.push(key.is_some().into());
    if let Some(key) = key {
        out.extend_from_slice(&key.to_le_bytes());
    }
}

/// The reverse of [`put_key`].
pub fn take_key(bytes: &mut &[u8]) -> Option<Option<u128>> {
    let [there] = take(bytes)?;
    if there == 0 { Some(None) } else { take(bytes).map(|key| Some(u128::from_le_bytes(key))) }
}

fn put_ranked(ranked: Ranked, out: &mut Vec<u8>) {
    out.extend_from_slice(&ranked.rank.to_le_bytes());
    out.extend_from_slice(&ranked.doc.to_u64().to_le_bytes());
}

fn take_ranked(bytes: &mut &[u8]) -> Option<Ranked> {
    Some(Ranked { rank: take_u64(bytes)?, doc: DocId::from_u64(take_u64(bytes)?) })
}

/// A pair in its own order: by `first`, then `second`. 32 bytes.
impl Record for Pair {
    const KIND: u32 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        put_ranked(self.first, out);
        put_ranked(self.second, out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { first: take_ranked(bytes)?, second: take_ranked(bytes)? })
    }
}

/// A pair in the total order of its `second`, then its `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BySecond(pub Pair);

impl Ord for BySecond {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.second, self.0.first).cmp(&(other.0.second, other.0.first))
    }
}

impl PartialOrd for BySecond {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Record for BySecond {
    const KIND: u32 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Pair::decode(bytes).map(Self)
    }
}

/// A pair in the order in which tasks read: by the task and row of its `second`, whatever its rank, then by `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed(pub Pair);

impl Ord for Routed {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |pair: &Pair| (pair.second.doc, pair.first, pair.second.rank);
        key(&self.0).cmp(&key(&other.0))
    }
}

impl PartialOrd for Routed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Record for Routed {
    const KIND: u32 = 3;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Pair::decode(bytes).map(Self)
    }

    fn lead(&self) -> u64 {
        self.0.second.doc.lead()
    }
}

/// A document, in input order. 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocRow(pub DocId);

impl Record for DocRow {
    const KIND: u32 = 13;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_u64().to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        take_u64(bytes).map(|doc| Self(DocId::from_u64(doc)))
    }
}

/// An edge in the total order of its `second`, then its `first`: the order in which anchors are found. 40 bytes.
#[derive(Debug, Clone, Copy)]
pub struct EdgeRow(pub Edge);

impl Ord for EdgeRow {
    fn cmp(&self, other: &Self) -> Ordering {
        BySecond(self.0.pair).cmp(&BySecond(other.0.pair)).then(self.0.similarity.total_cmp(&other.0.similarity))
    }
}

impl PartialOrd for EdgeRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for EdgeRow {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for EdgeRow {}

impl Record for EdgeRow {
    const KIND: u32 = 4;

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.pair.encode(out);
        out.extend_from_slice(&self.0.similarity.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let pair = Pair::decode(bytes)?;
        Some(Self(Edge { pair, similarity: f64::from_le_bytes(take(bytes)?) }))
    }
}

/// A key that a document sent. Ordered by key, then by the document's place in the total order. 32 bytes;
/// key files store it in fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRow {
    /// The key.
    pub key: u128,
    /// The document's rank.
    pub rank: u64,
    /// The document, as [`DocId::to_u64`] writes it.
    pub doc: u64,
}

impl KeyRow {
    /// The document with its place in the total order.
    pub fn ranked(&self) -> Ranked {
        Ranked { rank: self.rank, doc: DocId::from_u64(self.doc) }
    }
}

impl Record for KeyRow {
    const KIND: u32 = 5;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.rank.to_le_bytes());
        out.extend_from_slice(&self.doc.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = u128::from_le_bytes(take(bytes)?);
        Some(Self { key, rank: take_u64(bytes)?, doc: take_u64(bytes)? })
    }

    fn lead(&self) -> u64 {
        // All of a band key; a content key is mostly greater.
        u64::try_from(self.key).unwrap_or(u64::MAX)
    }
}

/// A text that an index knows. Ordered by its key.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Its content key.
    pub key: u128,
    /// The earlier document that was kept.
    pub kept: DocId,
    /// How alike the two are.
    pub similarity: f64,
    /// Whether it is the text of that document.
    pub copy: bool,
}

impl Ord for Content {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key, self.kept, self.copy)
            .cmp(&(other.key, other.kept, other.copy))
            .then(self.similarity.total_cmp(&other.similarity))
    }
}

impl PartialOrd for Content {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Content {}

impl Record for Content {
    const KIND: u32 = 11;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        let Holder::Part(part) = self.kept.holder() else { unreachable!("an index knows documents of its parts only") };
        put_varint(u64::from(part) << 1 | u64::from(self.copy), out);
        put_varint(self.kept.row(), out);
        if !self.copy {
            out.extend_from_slice(&self.similarity.to_le_bytes());
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = u128::from_le_bytes(take(bytes)?);
        let part = take_varint(bytes)?;
        let copy = part & 1 == 1;
        let part = u32::try_from(part >> 1).ok().filter(|part| part >> 23 == 0)?;
        let place = take_varint(bytes).filter(|place| place >> 40 == 0)?;
        let similarity = if copy { 1.0 } else { f64::from_le_bytes(take(bytes)?) };
        Some(Self { key, kept: DocId::earlier(part, place), similarity, copy })
    }
}

/// A document whose text an index has seen, in input order.
#[derive(Debug, Clone, Copy)]
pub struct KnownRow(pub Known);

impl KnownRow {
    fn key(&self) -> (DocId, DocId, bool) {
        (self.0.doc, self.0.kept, self.0.copy)
    }
}

impl Ord for KnownRow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key()).then(self.0.similarity.total_cmp(&other.0.similarity))
    }
}

impl PartialOrd for KnownRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for KnownRow {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for KnownRow {}

impl Record for KnownRow {
    const KIND: u32 = 12;

    fn encode(&self, out: &mut Vec<u8>) {
        let Known { doc, kept, similarity, copy } = self.0;
        out.extend_from_slice(&doc.to_u64().to_le_bytes());
        out.extend_from_slice(&kept.to_u64().to_le_bytes());
        out.extend_from_slice(&similarity.to_le_bytes());
        out.push(copy.into());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let [doc, kept] = [DocId::from_u64(take_u64(bytes)?), DocId::from_u64(take_u64(bytes)?)];
        let similarity = f64::from_le_bytes(take(bytes)?);
        Some(Self(Known { doc, kept, similarity, copy: take::<1>(bytes)?[0] != 0 }))
    }
}

/// What an exchange has decided about a document. Ordered by document, then stage: the order of a task's rows.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// The document.
    pub doc: DocId,
    /// The stage, counted within the pipeline.
    pub stage: u16,
    /// The decision.
    pub kind: RulingKind,
}

/// A decision about a document.
#[derive(Debug, Clone)]
pub enum RulingKind {
    /// The stage's annotation is made of this number.
    Give(u64),
    /// The document goes; another one stands for it.
    Drop {
        /// The reason, counted in the stage's `reasons()`.
        reason: u16,
        /// How alike the two are.
        similarity: f64,
        /// What that was held against.
        threshold: f64,
        /// The document that stays.
        kept: DocId,
        /// Its content key.
        kept_key: ContentKey,
        /// Its id, where the corpus has ids.
        kept_id: Option<String>,
        /// The earlier run that kept it, if it is none of this one.
        kept_run: Option<String>,
    },
}

impl Ord for Ruling {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.doc, self.stage).cmp(&(other.doc, other.stage)).then_with(|| self.kind.cmp(&other.kind))
    }
}

impl PartialOrd for Ruling {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ruling {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ruling {}

impl RulingKind {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Give(a), Self::Give(b)) => a.cmp(b),
            (Self::Give(_), Self::Drop { .. }) => Ordering::Less,
            (Self::Drop { .. }, Self::Give(_)) => Ordering::Greater,
            (
                Self::Drop { reason, similarity, threshold, kept, kept_key, kept_id, kept_run },
                Self::Drop {
                    reason: other_reason,
                    similarity: other_similarity,
                    threshold: other_threshold,
                    kept: other_kept,
                    kept_key: other_key,
                    kept_id: other_id,
                    kept_run: other_run,
                },
            ) => (reason, kept, kept_key, kept_id, kept_run)
                .cmp(&(other_reason, other_kept, other_key, other_id, other_run))
                .then(similarity.total_cmp(other_similarity))
                .then(threshold.total_cmp(other_threshold)),
        }
    }
}

const GIVE: u8 = 0;
/// A drop, and what else it may tell of the kept document.
const DROP: u8 = 1;
const WITH_ID: u8 = 2;
const WITH_RUN: u8 = 4;

impl Record for Ruling {
    const KIND: u32 = 7;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        out.extend_from_slice(&self.stage.to_le_bytes());
        match &self.kind {
            RulingKind::Give(value) => {
                out.push(GIVE);
                out.extend_from_slice(&value.to_le_bytes());
            }
            RulingKind::Drop { reason, similarity, threshold, kept, kept_key, kept_id, kept_run } => {
                let with = |there: bool, flag: u8| u8::from(there) * flag;
                out.push(DROP | with(kept_id.is_some(), WITH_ID) | with(kept_run.is_some(), WITH_RUN));
                out.extend_from_slice(&reason.to_le_bytes());
                out.extend_from_slice(&similarity.to_le_bytes());
                out.extend_from_slice(&threshold.to_le_bytes());
                out.extend_from_slice(&kept.to_u64().to_le_bytes());
                out.extend_from_slice(kept_key);
                for text in [kept_id, kept_run].into_iter().flatten() {
                    put_varint(text.len() as u64, out);
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let doc = DocId::from_u64(take_u64(bytes)?);
        let stage = u16::from_le_bytes(take(bytes)?);
        let kind = match take::<1>(bytes)?[0] {
            GIVE => RulingKind::Give(take_u64(bytes)?),
            flags if flags & !(WITH_ID | WITH_RUN) == DROP => RulingKind::Drop {
                reason: u16::from_le_bytes(take(bytes)?),
                similarity: f64::from_le_bytes(take(bytes)?),
                threshold: f64::from_le_bytes(take(bytes)?),
                kept: DocId::from_u64(take_u64(bytes)?),
                kept_key: take(bytes)?,
                kept_id: if flags & WITH_ID > 0 { Some(take_string(bytes)?) } else { None },
                kept_run: if flags & WITH_RUN > 0 { Some(take_string(bytes)?) } else { None },
            },
            _ => return None,
        };
        Some(Self { doc, stage, kind })
    }

    fn heap_size(&self) -> usize {
        match &self.kind {
            RulingKind::Drop { kept_id, kept_run, .. } => {
                [kept_id, kept_run].into_iter().flatten().map(String::capacity).sum()
            }
            RulingKind::Give(_) => 0,
        }
    }
}

fn take_string(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(head.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<R: Record + std::fmt::Debug>(row: &R, size: usize) {
        let mut bytes = Vec::new();
        row.encode(&mut bytes);
        assert_eq!(bytes.len(), size);
        let mut rest = &bytes[..];
        assert_eq!(R::decode(&mut rest).as_ref(), Some(row));
        assert!(rest.is_empty());
        for cut in 0..bytes.len() {
            assert!(R::decode(&mut &bytes[..cut]).is_none(), "{cut} bytes of {row:?} are no row");
        }
    }

    fn ranked(rank: u64, row: u64) -> Ranked {
        Ranked { rank, doc: DocId::new(1, row) }
    }

    #[track_caller]
    fn check_leads<R: Record + std::fmt::Debug>(rows: &[R]) {
        for (a, b) in rows.iter().flat_map(|a| rows.iter().map(move |b| (a, b))) {
            assert!(a.lead().cmp(&b.lead()).then_with(|| a.cmp(b)) == a.cmp(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn leads_order_as_rows_are_ordered() {
        let numbers = [0, 1, u64::MAX - 1, u64::MAX].map(u128::from);
        let keys = numbers.into_iter().chain([1 << 64, u128::MAX]);
        let keys = keys.flat_map(|key| [(key, 0, 7), (key, 0, 8), (key, 1, 0)]);
        check_leads(&keys.map(|(key, rank, doc)| KeyRow { key, rank, doc }).collect::<Vec<_>>());
        let docs = [DocId::earlier(0, 3), DocId::earlier(1, 0), DocId::new(0, 0), DocId::new(0, 9), DocId::new(7, 1)];
        let at = |doc| [2, 1].map(|rank| Ranked { rank, doc });
        let pairs = docs
            .into_iter()
            .flat_map(at)
            .flat_map(|first| docs.into_iter().flat_map(at).map(move |second| Routed(Pair { first, second })));
        check_leads(&pairs.collect::<Vec<_>>());
    }

    #[test]
    fn rows_come_back_from_their_bytes() {
        let pair = Pair { first: ranked(3, 9), second: ranked(u64::MAX, 1) };
        check(&pair, 32);
        check(&BySecond(pair), 32);
        check(&Routed(pair), 32);
        check(&EdgeRow(Edge { pair, similarity: 0.8 }), 40);
        check(&KeyRow { key: u128::MAX - 1, rank: 2, doc: 3 }, 32);
        check(&Ruling { doc: DocId::new(1, 2), stage: 3, kind: RulingKind::Give(4) }, 19);
        let kept = DocId::earlier(100, 200);
        check(&Content { key: 7, kept, similarity: 1.0, copy: true }, 20);
        check(&Content { key: 7, kept, similarity: 0.8, copy: false }, 28);
        check(&KnownRow(Known { doc: DocId::new(1, 2), kept, similarity: 0.8, copy: false }), 25);
    }

    #[test]
    fn rulings_carry_names_of_any_length() {
        let name = |text: &str| Some(text.to_owned());
        for (id, run, size) in [
            (None, None, 53),
            (name(""), None, 54),
            (name(&"文".repeat(100)), None, 53 + 2 + 300),
            (None, name("2024"), 58),
            (name("a"), name("b"), 57),
        ] {
            let kind = RulingKind::Drop {
                reason: 1,
                similarity: 0.9,
                threshold: 0.8,
                kept: DocId::new(0, 5),
                kept_key: [7; 16],
                kept_id: id,
                kept_run: run,
            };
            check(&Ruling { doc: DocId::new(1, 2), stage: 3, kind }, size);
        }
    }

    #[test]
    fn each_kind_has_its_order() {
        let early = Pair { first: ranked(0, 5), second: ranked(9, 2) };
        let late = Pair { first: ranked(1, 0), second: ranked(2, 3) };
        assert!(early < late);
        assert!(BySecond(late) < BySecond(early), "rank 2 goes before rank 9");
        assert!(Routed(early) < Routed(late), "row 2 goes before row 3");
    }

    #[test]
    fn varints_come_back() {
        for number in [0, 1, 127, 128, 300, 1 << 40, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            assert_eq!(take_varint(&mut &bytes[..]), Some(number));
        }
        assert_eq!(take_varint(&mut &[0x80; 11][..]), None);
    }
}
