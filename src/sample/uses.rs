//! What the ledger knows of the texts that could be drawn.

use super::record::Candidate;
use super::{Draw, read};
use crate::alike::Alike;
use crate::error::Result;
use crate::exchange::group::Room;
use crate::exchange::sort::{Sorter, TempRun};
use crate::reuse::ledger::{Ledger, Run};
use crate::reuse::recall::{Ask, Corpus, Recalled, recall};
use crate::stage::Rows;

/// The bytes that are read at a time of keys that are read more than once.
const BUFFER: usize = 256 << 10;

/// Where the uses of documents are known from.
pub enum Uses<'l> {
    /// From the documents themselves, or from nowhere.
    Columns,
    /// From these runs of a ledger, also of texts that the runs in these folders have found to be alike.
    Ledger(&'l Ledger, Vec<&'l Run>, &'l [String]),
}

impl Uses<'_> {
    /// The uses of texts that were used. A text goes by its place in the order of the keys of all texts, from 0, and they
    /// come in this order. Documents of the same text are asked for as one.
    pub fn of_texts(&self, draw: &Draw<'_>, n_tasks: u32, room: Room<'_>) -> Result<Rows<Recalled>> {
        let Self::Ledger(ledger, runs, folders) = self else { return Ok(Box::new(std::iter::empty())) };
        let part = |parts: usize| Room { memory: room.memory / parts, ..room };
        let mut origins = Sorter::<Ask>::unique(room.dir, part(4).memory);
        let mut matches = Sorter::<Ask>::unique(room.dir, part(4).memory);
        for numbered in numbered(read::all_candidates(draw, n_tasks, part(4))?) {
            let (who, candidate) = numbered?;
            let ask = |key: u128| Ask { key, who, stays: true };
            candidate.origin.map_or(Ok(()), |key| origins.push(ask(key)))?;
            candidate.matched.map_or(Ok(()), |key| matches.push(ask(key)))?;
        }
        let (origins, matches) = (origins.into_temp_run()?, matches.into_temp_run()?);
        let mut alike = Alike::new(part(4));
        folders.iter().try_for_each(|folder| alike.add_run(folder))?;
        let alike = alike.into_temp_run()?;
        let rows = |run: &TempRun<Ask>| -> Result<Rows<Ask>> { Ok(Box::new(run.rows(BUFFER)?)) };
        let corpus = Corpus {
            contents: &mut || Ok(Box::new(texts(read::all_candidates(draw, n_tasks, part(8))?))),
            origins: &mut || rows(&origins),
            matches: &mut || rows(&matches),
            links: &mut || alike.rows(BUFFER),
        };
        recall(corpus, ledger.scan(runs, part(8))?, ledger.origins(runs, part(8))?, part(2))
    }
}

/// Candidates in the order of their keys, each with the number of its text.
fn numbered(candidates: Rows<Candidate>) -> impl Iterator<Item = Result<(u64, Candidate)>> {
    let mut last: Option<(u128, u64)> = None;
    candidates.map(move |candidate| {
        let candidate = candidate?;
        let number = match last {
            Some((key, number)) if key == candidate.key => number,
            Some((_, number)) => number + 1,
            None => 0,
        };
        last = Some((candidate.key, number));
        Ok((number, candidate))
    })
}

/// The texts of candidates by their own keys, each once.
fn texts(candidates: Rows<Candidate>) -> impl Iterator<Item = Result<Ask>> {
    let mut last = None;
    numbered(candidates).filter_map(move |numbered| match numbered {
        Ok((who, Candidate { key, .. })) => {
            (last.replace(who) != Some(who)).then_some(Ok(Ask { key, who, stays: true }))
        }
        Err(error) => Some(Err(error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::DocId;

    #[test]
    fn texts_are_numbered_in_the_order_of_their_keys() {
        let candidate = |(row, key): (u64, u128)| {
            let doc = DocId::new(0, row);
            Ok(Candidate {
                key,
                share: 0,
                tokens: 1,
                weight: 0,
                doc,
                bytes: 1,
                uses: 0,
                origin: None,
                matched: None,
                source: None,
            })
        };
        let rows = (0..).zip([3, 3, 7, 9, 9]).map(candidate);
        let texts = texts(Box::new(rows)).map(|text| text.map(|text| (text.key, text.who)).expect("no error"));
        assert_eq!(texts.collect::<Vec<_>>(), [(3, 0), (7, 1), (9, 2)]);
    }
}
