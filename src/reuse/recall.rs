//! Finds what the ledger knows of the documents of a corpus, under whatever name it knows it.
//!
//! ```text
//! asked     every document by its content key, the key of its origin, and those of texts that it is known to be like;
//!           and of a document that stays, by those that its likes are known by        (key, number)
//! origins   what asks for the origin of something that was drawn asks for that, too
//! entries   asked and the ledger, both in the order of keys: one walk over each       (number, key, uses)
//! ```
//!
//! A text that a document is led to in several ways is one text: so each of its uses counts once. Documents go by numbers
//! that the one who asks has given them; several may be of the same number, and are then asked for as one.

use std::iter::Peekable;

use super::entries::{Entry, Origin};
use super::time::Time;
use crate::error::Result;
use crate::exchange::group::Room;
use crate::exchange::record::{Record, take};
use crate::exchange::sort::{Merge, Sorter};
use crate::stage::Rows;

/// The bytes that are read at a time of rows that are read more than once.
const BUFFER: usize = 256 << 10;

/// What a corpus is known by. Each is asked for anew, as often as it is needed.
pub struct Corpus<'c> {
    /// The content keys of its documents, in the order of keys.
    pub contents: &'c mut dyn FnMut() -> Result<Rows<Ask>>,
    /// Other keys that documents are known by, in the order of keys: those of their origins.
    pub origins: &'c mut dyn FnMut() -> Result<Rows<Ask>>,
    /// Likewise, those of texts that an index has matched them with.
    pub matches: &'c mut dyn FnMut() -> Result<Rows<Ask>>,
    /// [Texts that are alike](crate::alike), by content keys, both ways round, in order.
    pub links: &'c mut dyn FnMut() -> Result<Rows<(u128, u128)>>,
}

/// A key that a document is known by, and the ledger is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The key.
    pub key: u128,
    /// The number of the document.
    pub who: u64,
    /// Whether it is still there, and is to be told of.
    pub stays: bool,
}

impl Record for Ask {
    const KIND: u32 = 20;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.who.to_le_bytes());
        out.push(self.stays.into());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (key, who) = (u128::from_le_bytes(take(bytes)?), u64::from_le_bytes(take(bytes)?));
        let [stays] = take(bytes)?;
        Some(Self { key, who, stays: stays > 0 })
    }
}

/// What is known of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled {
    /// Its number.
    pub who: u64,
    /// The uses of all texts that it stands for.
    pub uses: u64,
    /// The last of them.
    pub last_used: Time,
}

/// What the ledger answers, in the order of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    who: u64,
    key: u128,
    uses: u64,
    last_used: Time,
}

impl Record for Answer {
    const KIND: u32 = 21;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.who.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.uses.to_le_bytes());
        out.extend_from_slice(&self.last_used.seconds().to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let who = u64::from_le_bytes(take(bytes)?);
        let key = u128::from_le_bytes(take(bytes)?);
        let uses = u64::from_le_bytes(take(bytes)?);
        Some(Self { who, key, uses, last_used: Time::of_seconds(u64::from_le_bytes(take(bytes)?)) })
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

/// A document with its other key, in the order of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ByNumber {
    who: u64,
    key: u128,
}

impl Record for ByNumber {
    const KIND: u32 = 23;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.who.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let who = u64::from_le_bytes(take(bytes)?);
        Some(Self { who, key: u128::from_le_bytes(take(bytes)?) })
    }
}

/// What is known of documents that stay, in the order of their numbers; those of which nothing is known are left out.
/// `entries` and `origins` are those of a ledger.
pub fn recall(
    corpus: Corpus<'_>,
    entries: Rows<Entry>,
    origins: Rows<Origin>,
    room: Room<'_>,
) -> Result<Rows<Recalled>> {
    let Corpus { contents, origins: origin_keys, matches, links } = corpus;
    let part = Room { memory: room.memory / 4, ..room };
    // What is asked for by way of other texts.
    let mut indirect = Sorter::<Ask>::unique(room.dir, part.memory);
    // A copy that went can have had another origin.
    let went = origin_keys()?.any(|ask| ask.is_ok_and(|ask| !ask.stays));
    if went || links()?.next().is_some() {
        let ways = ways(links, contents, origin_keys, part)?;
        join(by_key(staying(contents()?)), ways, &mut |who, key| indirect.push(Ask { key, who, stays: true }))?;
    }
    let indirect = indirect.into_temp_run()?;
    let mut asked = || -> Result<_> {
        let direct = [staying(contents()?), staying(origin_keys()?), staying(matches()?)];
        merge(direct.into_iter().chain([Box::new(indirect.rows(BUFFER)?) as Rows<Ask>]))
    };
    let mut drawn = Sorter::<Ask>::unique(room.dir, part.memory);
    let mut origins = origins.peekable();
    if origins.peek().is_some() {
        let origins = origins.map(|row| row.map(|row| (row.origin, row.key)));
        join(by_key(asked()?), origins, &mut |who, key| drawn.push(Ask { key, who, stays: true }))?;
    }
    let asked = merge([asked()?, Box::new(drawn.finish()?) as Rows<Ask>].into_iter())?;
    let mut answers = Sorter::<Answer>::unique(room.dir, part.memory);
    meet(asked, entries, &mut |who, Entry { key, uses, last_used, .. }| {
        answers.push(Answer { who, key, uses, last_used })
    })?;
    Ok(Box::new(added_up(answers.finish()?)))
}

/// The sums of answers by document.
fn added_up(answers: impl Iterator<Item = Result<Answer>>) -> impl Iterator<Item = Result<Recalled>> {
    let mut answers = answers.peekable();
    std::iter::from_fn(move || {
        let Answer { who, mut uses, mut last_used, .. } = match answers.next()? {
            Ok(answer) => answer,
            Err(error) => return Some(Err(error)),
        };
        loop {
            match answers.next_if(|next| next.as_ref().map_or(true, |next| next.who == who)) {
                Some(Ok(more)) => {
                    uses = uses.saturating_add(more.uses);
                    last_used = last_used.max(more.last_used);
                }
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok(Recalled { who, uses, last_used })),
            }
        }
    })
}

/// By which keys to ask for a document, beside its own, by its content key: the texts that it is like, and the origins
/// of these and of its copies.
fn ways(
    links: &mut dyn FnMut() -> Result<Rows<(u128, u128)>>,
    contents: &mut dyn FnMut() -> Result<Rows<Ask>>,
    origins: &mut dyn FnMut() -> Result<Rows<Ask>>,
    room: Room<'_>,
) -> Result<impl Iterator<Item = Result<(u128, u128)>> + use<>> {
    let mut ways = Sorter::<Keys>::unique(room.dir, room.memory / 2);
    for link in links()? {
        let (by, key) = link?;
        ways.push(Keys { by, key })?;
    }
    let mut others = Sorter::<ByNumber>::new(room.dir, room.memory / 4);
    let mut any = false;
    for ask in origins()? {
        let Ask { key, who, .. } = ask?;
        others.push(ByNumber { who, key })?;
        any = true;
    }
    if any {
        let others = of_texts(others, contents()?, room)?.into_temp_run()?;
        let by_text = || Ok::<_, crate::error::Error>(others.rows(BUFFER)?.map(|row| row.map(|row| (row.by, row.key))));
        join(links()?, by_text()?, &mut |by, key| ways.push(Keys { by, key }))?;
        for way in by_text()? {
            let (by, key) = way?;
            ways.push(Keys { by, key })?;
        }
    }
    Ok(ways.finish()?.map(|way| way.map(|way| (way.by, way.key))))
}

/// The other keys of documents by their content keys.
fn of_texts(others: Sorter<ByNumber>, contents: Rows<Ask>, room: Room<'_>) -> Result<Sorter<Keys>> {
    let mut texts = Sorter::<ByNumber>::new(room.dir, room.memory / 4);
    for ask in contents {
        let Ask { key, who, .. } = ask?;
        texts.push(ByNumber { who, key })?;
    }
    let mut of_texts = Sorter::unique(room.dir, room.memory / 4);
    let mut texts = texts.finish()?.peekable();
    for other in others.finish()? {
        let ByNumber { who, key } = other?;
        while texts.next_if(|text| text.as_ref().is_ok_and(|text| text.who < who)).is_some() {}
        match texts.peek() {
            Some(Ok(text)) if text.who == who => of_texts.push(Keys { by: text.key, key })?,
            Some(Err(_)) => return Err(texts.next().and_then(Result::err).expect("it was just seen")),
            _ => {}
        }
    }
    Ok(of_texts)
}

/// Those that stay.
fn staying(asks: Rows<Ask>) -> Rows<Ask> {
    Box::new(asks.filter(|ask| ask.as_ref().map_or(true, |ask| ask.stays)))
}

fn by_key(asks: Rows<Ask>) -> impl Iterator<Item = Result<(u128, u64)>> {
    asks.map(|ask| ask.map(|ask| (ask.key, ask.who)))
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
fn meet(asks: Rows<Ask>, entries: Rows<Entry>, visit: &mut dyn FnMut(u64, Entry) -> Result<()>) -> Result<()> {
    let mut entries: Peekable<_> = entries.peekable();
    for ask in asks {
        let Ask { key, who, .. } = ask?;
        while entries.next_if(|entry| entry.as_ref().is_ok_and(|entry| entry.key < key)).is_some() {}
        match entries.peek() {
            Some(Ok(entry)) if entry.key == key => visit(who, *entry)?,
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
            let sent = |pick: fn(&Document) -> Option<u128>| -> Result<Rows<Ask>> {
                let numbered = documents.iter().enumerate();
                let mut rows: Vec<_> = numbered
                    .filter_map(|(row, document)| {
                        Some(Ask { key: pick(document)?, who: row as u64, stays: document.3 })
                    })
                    .collect();
                rows.sort_by_key(|ask| (ask.key, ask.who));
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
            for known in recall(corpus, entries, origins, room).expect("no files") {
                let known = known.expect("no files");
                found[known.who as usize] = known.uses;
            }
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
