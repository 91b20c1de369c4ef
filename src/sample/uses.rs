//! What the ledger knows of the documents that could be drawn: merges of sorted lists, each read front to back.

use super::record::{Candidate, Hit, Probe};
use super::{Draw, read};
use crate::error::Result;
use crate::exchange::group::Room;
use crate::exchange::sort::Sorter;
use crate::reuse::ledger::{Ledger, Run};
use crate::stage::Rows;

/// Where the uses of documents are known from.
pub enum Uses<'l> {
    /// From the documents themselves, or from nowhere.
    Columns,
    /// From these runs of a ledger.
    Ledger(&'l Ledger, Vec<&'l Run>),
}

impl Uses<'_> {
    /// The content keys of documents that were used, in order, each with the number of uses.
    ///
    /// A document is found by its text and by the text it was when first read, and either may be what a run has drawn or
    /// what that was when first read. What is found in several of these ways counts once.
    pub fn of_keys(&self, draw: &Draw<'_>, n_tasks: u32, room: Room<'_>) -> Result<Rows<(u128, u64)>> {
        let Self::Ledger(ledger, runs) = self else { return Ok(Box::new(std::iter::empty())) };
        let half = Room { memory: room.memory / 2, ..room };
        let mut probes = Sorter::<Probe>::unique(room.dir, room.memory / 2);
        for candidate in read::all_candidates(draw, n_tasks, half)? {
            let Candidate { key, origin, .. } = candidate?;
            for probe in [Some(key), origin].into_iter().flatten() {
                probes.push(Probe { key: probe, document: key })?;
            }
        }
        let mut file = room.dir.run_writer::<Probe>(32 << 10)?;
        for probe in probes.finish()? {
            file.push(&probe?)?;
        }
        let probes = file.finish()?;
        let quarter = Room { memory: room.memory / 4, ..room };
        let mut hits = Sorter::<Hit>::unique(room.dir, quarter.memory);
        let entries = |entry: &crate::reuse::entries::Entry| entry.key;
        meet(probes.rows(quarter.memory)?, ledger.scan(runs, quarter)?, entries, |probe, entry| {
            hits.push(Hit { document: probe.document, entry: entry.key, uses: entry.uses })
        })?;
        // What was drawn as another text than it was when first read, by the latter.
        let mut drawn_as = Sorter::<Probe>::unique(room.dir, quarter.memory);
        meet(
            probes.rows(quarter.memory)?,
            ledger.origins(runs, quarter)?,
            |origin| origin.origin,
            |probe, origin| drawn_as.push(Probe { key: origin.key, document: probe.document }),
        )?;
        drop(probes);
        meet(drawn_as.finish()?, ledger.scan(runs, quarter)?, entries, |probe, entry| {
            hits.push(Hit { document: probe.document, entry: entry.key, uses: entry.uses })
        })?;
        Ok(Box::new(added_up(hits.finish()?)))
    }
}

/// Shows each probe with each row of its key. Both come in the order of keys; rows of a key may be several.
fn meet<T: Copy>(
    probes: impl Iterator<Item = Result<Probe>>,
    rows: impl Iterator<Item = Result<T>>,
    key: impl Fn(&T) -> u128,
    mut found: impl FnMut(Probe, T) -> Result<()>,
) -> Result<()> {
    let mut rows = rows.peekable();
    // Those of the key that was asked for last: a text has been drawn as few others.
    let mut same: Vec<T> = Vec::new();
    let mut asked = None;
    for probe in probes {
        let probe = probe?;
        if asked.replace(probe.key) != Some(probe.key) {
            same.clear();
            while let Some(row) = rows.next_if(|row| row.as_ref().map_or(true, |row| key(row) <= probe.key)) {
                let row = row?;
                if key(&row) == probe.key {
                    same.push(row);
                }
            }
        }
        same.iter().try_for_each(|row| found(probe, *row))?;
    }
    Ok(())
}

/// The sums by document.
fn added_up(hits: impl Iterator<Item = Result<Hit>>) -> impl Iterator<Item = Result<(u128, u64)>> {
    let mut hits = hits.peekable();
    std::iter::from_fn(move || {
        let first = match hits.next()? {
            Ok(hit) => hit,
            Err(error) => return Some(Err(error)),
        };
        let mut uses = first.uses;
        loop {
            match hits.next_if(|next| next.as_ref().map_or(true, |next| next.document == first.document)) {
                Some(Ok(hit)) => uses = uses.saturating_add(hit.uses),
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok((first.document, uses))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_meet_all_rows_of_their_key() {
        let probes = [(1, 10), (2, 11), (2, 12), (5, 13)].map(|(key, document)| Ok(Probe { key, document }));
        let rows = [(0, 'a'), (2, 'b'), (2, 'c'), (4, 'd'), (5, 'e')].map(Ok);
        let mut met = String::new();
        meet(
            probes.into_iter(),
            rows.into_iter(),
            |row: &(u128, char)| row.0,
            |probe, row| {
                met += &format!("{}{} ", probe.document, row.1);
                Ok(())
            },
        )
        .expect("no error");
        assert_eq!(met, "11b 11c 12b 12c 13e ");
    }

    #[test]
    fn uses_of_a_document_are_added_up() {
        let hits = [(1, 5, 2), (1, 6, 3), (4, 5, 1)].map(|(document, entry, uses)| Ok(Hit { document, entry, uses }));
        let sums: Vec<_> = added_up(hits.into_iter()).map(|sum| sum.expect("no error")).collect();
        assert_eq!(sums, [(1, 5), (4, 1)]);
    }
}
