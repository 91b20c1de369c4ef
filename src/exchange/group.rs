//! Lets equal keys meet: a merge of one section of all key files, cut into groups.

use crate::doc::DocId;
use crate::error::Result;
use crate::exchange::keys::{KeyFile, runs_of};
use crate::exchange::record::{KeyRow, Record};
use crate::exchange::sort::{Merge, SpillDir, buffer_size, premerge};
use crate::stage::{DocSet, Pair, Ranked, Rows};

/// What grouping a section has met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Groups of at least one document.
    pub groups: u64,
    /// Groups of more than `k` documents, where not every pair is proposed.
    pub above_k: u64,
    /// Pairs proposed.
    pub pairs: u64,
}

impl std::ops::AddAssign for GroupStats {
    fn add_assign(&mut self, other: Self) {
        self.groups += other.groups;
        self.above_k += other.above_k;
        self.pairs += other.pairs;
    }
}

/// The folder for what does not fit, and the bytes that may be held.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    /// Where to spill.
    pub dir: &'a SpillDir,
    /// How many bytes of buffers to hold, in all.
    pub memory: usize,
}

/// Groups one section of key files by key, and in each group proposes its first `k` documents, the
/// leaders, to every later member, as [`Exchange::group_first_k`](crate::stage::Exchange::group_first_k) has it.
///
/// Leaders of [earlier corpora](crate::exchange::index) come before those of this one and count among the `k`. They come
/// in order; those of rank 0 are proposed, all others only take up a place.
///
/// Members that are not `alive` are passed over, and a document that sent the same key twice is one member.
///
/// Members pass through one by one; only the leaders of one group are held, however large it is.
pub fn group_first_k(
    files: &[KeyFile],
    section: usize,
    k: usize,
    earlier: Rows<KeyRow>,
    room: Room<'_>,
    alive: impl Fn(DocId) -> bool,
    emit: impl FnMut(Pair) -> Result<()>,
) -> Result<GroupStats> {
    group(section_rows(files, section, room)?, k, earlier, alive, emit, |_, _| Ok(()))
}

/// Groups as [`group_first_k`] does, but proposes nothing: it shows the leaders that the corpus itself has, with
/// their keys, in order.
pub fn leaders(
    files: &[KeyFile],
    section: usize,
    k: usize,
    earlier: Rows<KeyRow>,
    room: Room<'_>,
    alive: impl Fn(DocId) -> bool,
    lead: impl FnMut(u128, Ranked) -> Result<()>,
) -> Result<()> {
    group(section_rows(files, section, room)?, k, earlier, alive, |_| Ok(()), lead).map(drop)
}

/// The rows of a section of key files, in order.
pub fn section_rows(files: &[KeyFile], section: usize, room: Room<'_>) -> Result<Rows<KeyRow>> {
    let runs = runs_of(files);
    merged(runs.len(), room, |i, buffer| files[runs[i].0].run(section, runs[i].1, buffer))
}

/// How many sorted stretches are merged at a time: files that are open anyway, or are opened for each read, several
/// stretches of one file among them.
const STRETCHES: usize = 256;

/// Merges the rows that `open` makes of each of `n` sorted stretches and a size of its buffer.
pub fn merged<R: Record + 'static, S: Iterator<Item = Result<R>> + 'static>(
    n: usize,
    room: Room<'_>,
    open: impl Fn(usize, usize) -> S,
) -> Result<Rows<R>> {
    let stretches: Vec<usize> = (0..n).collect();
    let merge = |stretches: &[usize]| {
        let buffer = buffer_size(room.memory, stretches.len());
        Merge::new(stretches.iter().map(|stretch| open(*stretch, buffer)).collect())
    };
    if n <= STRETCHES {
        return Ok(Box::new(merge(&stretches)?));
    }
    Ok(Box::new(premerge(stretches.chunks(STRETCHES).map(merge), room.dir, room.memory)?))
}

/// Puts into `members` the documents that sent a key to a section of key files and are not `gone`.
pub fn members(files: &[KeyFile], section: usize, memory: usize, gone: &DocSet, members: &mut DocSet) -> Result<()> {
    for row in files.iter().flat_map(|file| file.rows(section, buffer_size(memory, 1))) {
        let doc = row?.ranked().doc;
        if !gone.contains(doc) {
            members.insert(doc);
        }
    }
    Ok(())
}

/// Whether documents sent keys to a section of key files and none of them has a place in the order: all have the
/// last there is.
pub fn none_ranked(files: &[KeyFile], section: usize, memory: usize) -> Result<bool> {
    let mut any = false;
    for row in files.iter().flat_map(|file| file.rows(section, buffer_size(memory, 1))) {
        // Where there is one, it is most often among the first.
        if row?.rank != u64::MAX {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}

fn group(
    rows: impl Iterator<Item = Result<KeyRow>>,
    k: usize,
    earlier: Rows<KeyRow>,
    alive: impl Fn(DocId) -> bool,
    mut emit: impl FnMut(Pair) -> Result<()>,
    mut lead: impl FnMut(u128, Ranked) -> Result<()>,
) -> Result<GroupStats> {
    let mut earlier = earlier.peekable();
    let mut stats = GroupStats::default();
    let mut key = None;
    let mut firsts: Vec<Ranked> = Vec::new();
    let mut n_leaders = 0usize;
    let mut n_members = 0usize;
    let mut last = None;
    for row in rows {
        let row = row?;
        if key != Some(row.key) {
            key = Some(row.key);
            firsts.clear();
            n_leaders = 0;
            while let Some(leader) = earlier.next_if(|next| next.as_ref().map_or(true, |next| next.key <= row.key)) {
                let leader = leader?;
                if leader.key == row.key {
                    n_leaders += 1;
                    firsts.extend(Some(leader.ranked()).filter(|leader| leader.rank == 0));
                }
            }
            n_members = 0;
            last = None;
        }
        let second = row.ranked();
        if last == Some(second) || !alive(second.doc) {
            continue;
        }
        last = Some(second);
        for &first in &firsts {
            emit(Pair { first, second })?;
            stats.pairs += 1;
        }
        if n_leaders < k {
            lead(row.key, second)?;
            firsts.push(second);
            n_leaders += 1;
        }
        n_members += 1;
        stats.groups += u64::from(n_members == 1);
        stats.above_k += u64::from(n_members.checked_sub(k) == Some(1));
    }
    Ok(stats)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::exchange::blocks::tests::Bytes;
    use crate::exchange::keys::KeyWriter;

    /// A key that a document sent: the key, its rank, its task and its row.
    type Sent = (u8, u64, u32, u64);

    /// No earlier corpora.
    fn none() -> Rows<KeyRow> {
        Box::new(std::iter::empty())
    }

    fn grouped(sent: &[Sent], k: usize, dead: u64) -> (Vec<Pair>, GroupStats) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(folder.path());
        let n_tasks = sent.iter().map(|sent| sent.2 + 1).max().unwrap_or(0);
        let files: Vec<_> = (0..n_tasks)
            .map(|task| {
                let mut writer = KeyWriter::new(2, &dir, 1 << 16, Vec::new(), "keys").expect("room");
                for &(key, rank, _, row) in sent.iter().filter(|sent| sent.2 == task) {
                    let doc = DocId::new(task, row).to_u64();
                    writer.push(0, KeyRow { key: 1, rank: 0, doc: 5 }).expect("room");
                    writer.push(1, KeyRow { key: u128::from(key), rank, doc }).expect("room");
                }
                let (bytes, _) = writer.finish().expect("room");
                KeyFile::open(Arc::new(Bytes(bytes)), "keys").expect("whole")
            })
            .collect();
        let mut pairs = Vec::new();
        let room = Room { dir: &dir, memory: 1 << 16 };
        let stats = group_first_k(
            &files,
            1,
            k,
            none(),
            room,
            |doc| doc.row() != dead,
            |pair| {
                pairs.push(pair);
                Ok(())
            },
        );
        (pairs, stats.expect("room"))
    }

    fn model(sent: &[Sent], k: usize, dead: u64) -> (Vec<Pair>, GroupStats) {
        let mut groups: BTreeMap<u8, Vec<Ranked>> = BTreeMap::new();
        for &(key, rank, task, row) in sent.iter().filter(|sent| sent.3 != dead) {
            groups.entry(key).or_default().push(Ranked { rank, doc: DocId::new(task, row) });
        }
        let (mut pairs, mut stats) = (Vec::new(), GroupStats::default());
        for mut members in groups.into_values() {
            members.sort_unstable();
            members.dedup();
            stats.groups += 1;
            stats.above_k += u64::from(members.len() > k);
            for (at, &second) in members.iter().enumerate() {
                let leaders = members[..at].iter().take(k).copied();
                pairs.extend(leaders.map(|first| Pair { first, second }));
            }
        }
        stats.pairs = pairs.len() as u64;
        (pairs, stats)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn groups_are_those_of_the_model(
            sent in prop::collection::vec((0u8..12, 0u64..3, 0u32..5, 0u64..40), 0..200),
            k in 0usize..5,
            dead in 0u64..40,
        ) {
            // A document has one rank.
            let sent: Vec<_> = sent.into_iter().map(|(key, _, task, row)| (key, row * 7 % 3, task, row)).collect();
            prop_assert_eq!(grouped(&sent, k, dead), model(&sent, k, dead));
        }
    }

    #[test]
    fn earlier_leaders_take_the_first_places() {
        let earlier = |key, rank, place| Ok(KeyRow { key, rank, doc: DocId::earlier(0, place).to_u64() });
        let rows = [(1, 0), (1, 1), (1, 2), (2, 0), (2, 3), (4, 5)];
        let mut seen = Vec::new();
        let mut led = Vec::new();
        let name = |doc: DocId| if doc.is_earlier() { 100 + doc.row() } else { doc.row() };
        group(
            rows.into_iter().map(|(key, doc)| Ok(KeyRow { key, rank: 0, doc })),
            3,
            // Of the group of 1 two places are taken, one of them by a document that was dropped; that of 3 is not met.
            Box::new([earlier(1, 0, 7), earlier(1, 1, 2), earlier(3, 0, 1), earlier(4, 0, 4)].into_iter()),
            |_| true,
            |pair| {
                seen.push((name(pair.first.doc), pair.second.doc.row()));
                Ok(())
            },
            |key, leader| {
                led.push((key, leader.doc.row()));
                Ok(())
            },
        )
        .expect("no files");
        assert_eq!(seen, [(107, 0), (107, 1), (0, 1), (107, 2), (0, 2), (0, 3), (104, 5)]);
        assert_eq!(led, [(1, 0), (2, 0), (2, 3), (4, 5)]);
    }

    #[test]
    fn more_files_than_are_merged_at_a_time_are_merged_first() {
        let sent: Vec<_> = (0..600).map(|task| ((task % 7) as u8, u64::from(task % 2), task, 3)).collect();
        assert_eq!(grouped(&sent, 2, 99), model(&sent, 2, 99));
    }

    #[test]
    fn a_giant_group_passes_through() {
        // Nothing but the leaders is kept: the pairs of one group of 200,000 come out one by one.
        let rows = (0..200_000).map(|doc| Ok(KeyRow { key: 1, rank: 0, doc }));
        let mut n_pairs = 0;
        let stats = group(
            rows,
            2,
            none(),
            |_| true,
            |_| {
                n_pairs += 1;
                Ok(())
            },
            |_, _| Ok(()),
        );
        let expected = GroupStats { groups: 1, above_k: 1, pairs: 399_997 };
        assert_eq!((n_pairs, stats.expect("no files")), (399_997, expected));
    }
}
