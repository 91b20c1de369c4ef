//! Finds what the ledger knows of the documents of a corpus, under whatever name it knows it.
//!
//! ```text
//! asked     every document by its content key, the key of its origin, and those of texts that it is known to be like;
//!           and of a document that stays, by those that its likes are known by        (key, document)
//! origins   what asks for the origin of something that was drawn asks for that, too
//! entries   asked and the ledger, both in the order of keys: one walk over each       (document, key, uses)
//! ```
//!
//! A text that a document is led to in several ways is one text: so each of its uses counts once.

use std::iter::Peekable;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use super::entries::{Entry, Origin};
use super::time::Time;
use crate::doc::DocId;
use crate::error::Result;
use crate::exchange::group::Room;
use crate::exchange::record::{Record, take};
use crate::exchange::sort::{Merge, RunReader, Sorter};
use crate::stage::{Rows, Sent};
use crate::store::LocalFile;

/// What a corpus is known by. Each is asked for anew, as often as it is needed.
pub struct Corpus<'c> {
    /// The content keys of its documents, in the order of keys.
    pub contents: &'c mut dyn FnMut() -> Result<Rows<Sent>>,
    /// Other keys that documents are known by, in the order of keys: those of their origins.
    pub origins: &'c mut dyn FnMut() -> Result<Rows<Sent>>,
    /// Likewise, those of texts that an index has matched them with.
    pub matches: &'c mut dyn FnMut() -> Result<Rows<Sent>>,
    /// Texts that are alike, by content keys, both ways round, in order.
    pub links: &'c mut dyn FnMut() -> Result<Rows<(u128, u128)>>,
}

/// What is known of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled {
    /// The document.
    pub doc: DocId,
    /// The uses of all texts that it stands for.
    pub uses: u64,
    /// The last of them.
    pub last_used: Time,
}

/// A document that asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ask {
    key: u128,
    doc: DocId,
}

impl Record for Ask {
    const KIND: u32 = 20;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let key = u128::from_le_bytes(take(bytes)?);
        Some(Self { key, doc: DocId::from_u64(u64::from_le_bytes(take(bytes)?)) })
    }
}

/// What the ledger answers, in the order of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    doc: DocId,
    key: u128,
    uses: u64,
    last_used: Time,
}

impl Record for Answer {
    const KIND: u32 = 21;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.uses.to_le_bytes());
        out.extend_from_slice(&self.last_used.seconds().to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let doc = DocId::from_u64(u64::from_le_bytes(take(bytes)?));
        let key = u128::from_le_bytes(take(bytes)?);
        let uses = u64::from_le_bytes(take(bytes)?);
        Some(Self { doc, key, uses, last_used: Time::of_seconds(u64::from_le_bytes(take(bytes)?)) })
    }
}

/// A key by another one, in the order of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Keys {
    by: u128,
    key: u128,
}

impl Record for Keys {
    const KIND: u32 = 22;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.by.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let by = u128::from_le_bytes(take(bytes)?);
        Some(Self { by, key: u128::from_le_bytes(take(bytes)?) })
    }
}

/// A document with its other key, in the order of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ByDoc {
    doc: DocId,
    key: u128,
}

impl Record for ByDoc {
    const KIND: u32 = 23;

    fn encode(&self, out: &mut Vec<u8>) {
        Ask { key: self.key, doc: self.doc }.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Ask::decode(bytes).map(|Ask { key, doc }| Self { doc, key })
    }
}

/// Shows what is known of documents that stay, in the order of documents; those of which nothing is known are left out.
/// `entries` and `origins` are those of a ledger.
pub fn recall(
    corpus: Corpus<'_>,
    entries: Rows<Entry>,
    origins: Rows<Origin>,
    room: Room<'_>,
    mut show: impl FnMut(Recalled) -> Result<()>,
) -> Result<()> {
    let Corpus { contents, origins: origin_keys, matches, links } = corpus;
    let part = Room { memory: room.memory / 4, ..room };
    // What is asked for by way of other texts.
    let mut indirect = Sorter::<Ask>::unique(room.dir, part.memory);
    // A copy that went can have had another origin.
    let went = origin_keys()?.any(|sent| sent.is_ok_and(|sent| !sent.stays));
    if went || links()?.next().is_some() {
        let ways = ways(links, contents, origin_keys, part)?;
        join(by_key(staying(contents()?)), ways, &mut |doc, key| indirect.push(Ask { key, doc }))?;
    }
    let indirect = Spilled::new(indirect)?;
    let mut asked = || -> Result<_> {
        let direct = [staying(contents()?), staying(origin_keys()?), staying(matches()?)];
        merge(direct.into_iter().chain([indirect.rows()?]))
    };
    let mut drawn = Sorter::<Ask>::unique(room.dir, part.memory);
    let mut origins = origins.peekable();
    if origins.peek().is_some() {
        let origins = origins.map(|row| row.map(|row| (row.origin, row.key)));
        join(by_key(asked()?), origins, &mut |doc, key| drawn.push(Ask { key, doc }))?;
    }
    let asked = merge([asked()?, Box::new(drawn.finish()?) as Rows<Ask>].into_iter())?;
    let mut answers = Sorter::<Answer>::unique(room.dir, part.memory);
    meet(asked, entries, &mut |doc, Entry { key, uses, last_used, .. }| {
        answers.push(Answer { doc, key, uses, last_used })
    })?;
    let mut current: Option<Recalled> = None;
    for answer in answers.finish()? {
        let Answer { doc, uses, last_used, .. } = answer?;
        match &mut current {
            Some(known) if known.doc == doc => {
                known.uses = known.uses.saturating_add(uses);
                known.last_used = known.last_used.max(last_used);
            }
            _ => {
                if let Some(complete) = current.replace(Recalled { doc, uses, last_used }) {
                    show(complete)?;
                }
            }
        }
    }
    current.map_or(Ok(()), show)
}

/// By which keys to ask for a document, beside its own, by its content key: the texts that it is like, and the origins
/// of these and of its copies.
fn ways(
    links: &mut dyn FnMut() -> Result<Rows<(u128, u128)>>,
    contents: &mut dyn FnMut() -> Result<Rows<Sent>>,
    origins: &mut dyn FnMut() -> Result<Rows<Sent>>,
    room: Room<'_>,
) -> Result<impl Iterator<Item = Result<(u128, u128)>> + use<>> {
    let mut ways = Sorter::<Keys>::unique(room.dir, room.memory / 2);
    for link in links()? {
        let (by, key) = link?;
        ways.push(Keys { by, key })?;
    }
    let mut others = Sorter::<ByDoc>::new(room.dir, room.memory / 4);
    let mut any = false;
    for sent in origins()? {
        let Sent { key, doc, .. } = sent?;
        others.push(ByDoc { doc, key })?;
        any = true;
    }
    if any {
        let others = Spilled::new(of_texts(others, contents()?, room)?)?;
        let by_text = || Ok::<_, crate::error::Error>(others.rows()?.map(|row| row.map(|row| (row.by, row.key))));
        join(links()?, by_text()?, &mut |by, key| ways.push(Keys { by, key }))?;
        for way in by_text()? {
            let (by, key) = way?;
            ways.push(Keys { by, key })?;
        }
    }
    Ok(ways.finish()?.map(|way| way.map(|way| (way.by, way.key))))
}

/// The other keys of documents by their content keys.
fn of_texts(others: Sorter<ByDoc>, contents: Rows<Sent>, room: Room<'_>) -> Result<Sorter<Keys>> {
    let mut texts = Sorter::<ByDoc>::new(room.dir, room.memory / 4);
    for sent in contents {
        let Sent { key, doc, .. } = sent?;
        texts.push(ByDoc { doc, key })?;
    }
    let mut of_texts = Sorter::unique(room.dir, room.memory / 4);
    let mut texts = texts.finish()?.peekable();
    for other in others.finish()? {
        let ByDoc { doc, key } = other?;
        while texts.next_if(|text| text.as_ref().is_ok_and(|text| text.doc < doc)).is_some() {}
        match texts.peek() {
            Some(Ok(text)) if text.doc == doc => of_texts.push(Keys { by: text.key, key })?,
            Some(Err(_)) => return Err(texts.next().and_then(Result::err).expect("it was just seen")),
            _ => {}
        }
    }
    Ok(of_texts)
}

/// Rows that are read more than once.
struct Spilled<R> {
    path: PathBuf,
    row: PhantomData<fn() -> R>,
}

impl<R: Record + 'static> Spilled<R> {
    fn new(sorter: Sorter<R>) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, atomic::Ordering::Relaxed);
        let path = sorter.dir().path().join(format!("recall-{}-{serial}", std::process::id()));
        sorter.write_to(&path)?;
        Ok(Self { path, row: PhantomData })
    }

    fn rows(&self) -> Result<Rows<R>> {
        let name = self.path.display().to_string();
        Ok(Box::new(RunReader::open(Arc::new(LocalFile::open(&self.path)?), &name, 256 << 10)?))
    }
}

impl<R> Drop for Spilled<R> {
    fn drop(&mut self) {
        // Nothing is lost if it stays: the work folder goes at the end of the run.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The documents that stay, as they ask.
fn staying(sent: Rows<Sent>) -> Rows<Ask> {
    Box::new(sent.filter_map(|sent| match sent {
        Ok(Sent { key, doc, stays }) => stays.then_some(Ok(Ask { key, doc })),
        Err(error) => Some(Err(error)),
    }))
}

fn by_key(asks: Rows<Ask>) -> impl Iterator<Item = Result<(u128, DocId)>> {
    asks.map(|ask| ask.map(|ask| (ask.key, ask.doc)))
}

/// Sorted rows of several sources as one.
fn merge(sources: impl Iterator<Item = Rows<Ask>>) -> Result<Rows<Ask>> {
    Ok(Box::new(Merge::new(sources.collect())?))
}

/// Shows each document with everything that has the key that it asks for. Both come in the order of keys. What has a key
/// is held in memory, one key at a time; those who ask for it pass by.
fn join<A: Copy, B: Copy>(
    left: impl Iterator<Item = Result<(u128, A)>>,
    right: impl Iterator<Item = Result<(u128, B)>>,
    visit: &mut dyn FnMut(A, B) -> Result<()>,
) -> Result<()> {
    let mut right = right.peekable();
    let mut group: (Option<u128>, Vec<B>) = (None, Vec::new());
    for row in left {
        let (key, asks) = row?;
        if group.0 != Some(key) {
            group.0 = Some(key);
            group.1.clear();
            while let Some(next) = right.next_if(|next| next.as_ref().map_or(true, |next| next.0 <= key)) {
                let (there, what) = next?;
                if there == key {
                    group.1.push(what);
                }
            }
        }
        group.1.iter().try_for_each(|&what| visit(asks, what))?;
    }
    Ok(())
}

/// Shows each document that asks for a key with the entry of that key. Both come in the order of keys.
fn meet(asks: Rows<Ask>, entries: Rows<Entry>, visit: &mut dyn FnMut(DocId, Entry) -> Result<()>) -> Result<()> {
    let mut entries: Peekable<_> = entries.peekable();
    for ask in asks {
        let Ask { key, doc } = ask?;
        while entries.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.key < key)).is_some() {}
        match entries.peek() {
            Some(Ok(entry)) if entry.key == key => visit(doc, *entry)?,
            Some(Err(_)) => return Err(entries.next().and_then(Result::err).expect("it was just seen")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::sort::SpillDir;

    /// A document: its content key, that of its origin, that of a match, whether it stays.
    type Document = (u128, Option<u128>, Option<u128>, bool);

    /// The uses that each document is found to have.
    #[track_caller]
    fn check(
        documents: &[Document],
        links: &[(u128, u128)],
        ledger: &[(u128, u64)],
        origins: &[(u128, u128)],
        expected: &[u64],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        for memory in [64, 1 << 20] {
            let dir = SpillDir::new(folder.path());
            let sent = |pick: fn(&Document) -> Option<u128>| -> Result<Rows<Sent>> {
                let numbered = documents.iter().enumerate();
                let mut rows: Vec<_> = numbered
                    .filter_map(|(row, document)| {
                        Some(Sent { key: pick(document)?, doc: DocId::new(0, row as u64), stays: document.3 })
                    })
                    .collect();
                rows.sort_by_key(|sent| (sent.key, sent.doc));
                Ok(Box::new(rows.into_iter().map(Ok)))
            };
            let mut both: Vec<_> = links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
            both.sort_unstable();
            let corpus = Corpus {
                contents: &mut || sent(|document| Some(document.0)),
                origins: &mut || sent(|document| document.1),
                matches: &mut || sent(|document| document.2),
                links: &mut || Ok(Box::new(both.clone().into_iter().map(Ok))),
            };
            let time = Time::of_seconds;
            let entry = |&(key, uses): &(u128, u64)| Ok(Entry { key, uses, tokens: 0, last_used: time(key as u64) });
            let entries: Vec<_> = ledger.iter().map(entry).collect();
            let origins: Vec<_> = origins.iter().map(|&(origin, key)| Ok(Origin { origin, key })).collect();
            let mut found = vec![0; documents.len()];
            let room = Room { dir: &dir, memory };
            let (entries, origins) = (Box::new(entries.into_iter()), Box::new(origins.into_iter()));
            recall(corpus, entries, origins, room, |known| {
                found[known.doc.row() as usize] = known.uses;
                Ok(())
            })
            .expect("no files");
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_document_is_known_by_its_text_and_by_its_origin() {
        let documents =
            [(1, None, None, true), (2, Some(9), None, true), (3, None, None, true), (4, Some(8), None, true)];
        check(&documents, &[], &[(1, 5), (9, 2)], &[], &[5, 2, 0, 0]);
        // What was drawn had another text, made of the same origin; or its origin is the text here.
        check(&documents, &[], &[(7, 3)], &[(3, 7), (8, 7)], &[0, 0, 3, 3]);
        // Found in two ways, and counted once.
        check(&documents, &[], &[(4, 3)], &[(8, 4)], &[0, 0, 0, 3]);
        check(&documents, &[], &[(2, 1), (9, 4)], &[], &[0, 5, 0, 0]);
    }

    #[test]
    fn likes_inherit_directly_and_no_further() {
        let documents = [(1, None, None, true), (2, None, None, true), (3, None, None, true)];
        check(&documents, &[(1, 2), (2, 3)], &[(1, 5)], &[], &[5, 5, 0]);
        check(&documents, &[(1, 2), (2, 3)], &[(1, 5), (3, 2)], &[], &[5, 7, 2]);
        // Of a text that is not there.
        check(&documents, &[(1, 8), (2, 8)], &[(8, 4)], &[], &[4, 4, 0]);
        check(&[(1, None, Some(8), true)], &[], &[(1, 1), (8, 4)], &[], &[5]);
    }

    #[test]
    fn what_goes_leaves_its_uses_to_its_likes() {
        let documents = [(1, None, None, true), (2, Some(9), None, false), (2, Some(7), None, false)];
        check(&documents, &[(1, 2)], &[(2, 3), (7, 1), (9, 2)], &[], &[6, 0, 0]);
        check(&documents, &[(1, 2)], &[(5, 3)], &[(7, 5), (9, 5)], &[3, 0, 0]);
        check(&documents, &[], &[(2, 3)], &[], &[0, 0, 0]);
    }
}
