//! Lets equal keys meet: a merge of one section of all key files, cut into groups.

use crate::doc::DocId;
use crate::error::Result;
use crate::exchange::keys::KeyFile;
use crate::exchange::record::{ExternalKey, KeyRow};
use crate::exchange::sort::{FAN_IN, Merge, SpillDir, buffer_size, premerge};
use crate::stage::{DocSet, EXTERNAL, Pair, Ranked};

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
/// Members that are not `alive` are passed over, and a document that sent the same key twice is one member.
/// `external` are keys from outside the corpus, sorted by key; values of equal keys are added up. Such a key
/// is proposed to every member of its group, before any leader and beside the `k` of them; so with `k = 0`
/// grouping is a lookup.
///
/// Members pass through one by one; only the leaders of one group are held, however large it is.
pub fn group_first_k(
    files: &[KeyFile],
    section: usize,
    k: usize,
    external: impl Iterator<Item = Result<ExternalKey>>,
    room: Room<'_>,
    alive: impl Fn(DocId) -> bool,
    emit: impl FnMut(Pair) -> Result<()>,
) -> Result<GroupStats> {
    let merge = |files: &[KeyFile]| {
        let buffer = buffer_size(room.memory, files.len());
        Merge::new(files.iter().map(|file| file.section(section, buffer)).collect())
    };
    if files.len() <= FAN_IN {
        group(merge(files)?, k, external, alive, emit)
    } else {
        let rows = premerge(files.chunks(FAN_IN).map(merge), room.dir, room.memory)?;
        group(rows, k, external, alive, emit)
    }
}

/// Puts into `members` the documents that sent a key to a section of key files and are not `gone`.
pub fn members(files: &[KeyFile], section: usize, memory: usize, gone: &DocSet, members: &mut DocSet) -> Result<()> {
    for row in files.iter().flat_map(|file| file.section(section, buffer_size(memory, 1))) {
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
    for row in files.iter().flat_map(|file| file.section(section, buffer_size(memory, 1))) {
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
    external: impl Iterator<Item = Result<ExternalKey>>,
    alive: impl Fn(DocId) -> bool,
    mut emit: impl FnMut(Pair) -> Result<()>,
) -> Result<GroupStats> {
    let mut external = Lookup { keys: external, ahead: None };
    let mut stats = GroupStats::default();
    let mut key = None;
    let mut outside = None;
    let mut leaders: Vec<Ranked> = Vec::new();
    let mut n_members = 0usize;
    let mut last = None;
    for row in rows {
        let row = row?;
        if key != Some(row.key) {
            key = Some(row.key);
            let doc = DocId::from_u64(EXTERNAL);
            outside = external.value(row.key)?.map(|rank| Ranked { rank, doc });
            leaders.clear();
            n_members = 0;
            last = None;
        }
        let second = row.ranked();
        if last == Some(second) || !alive(second.doc) {
            continue;
        }
        last = Some(second);
        for &first in outside.iter().chain(&leaders) {
            emit(Pair { first, second })?;
            stats.pairs += 1;
        }
        if leaders.len() < k {
            leaders.push(second);
        }
        n_members += 1;
        stats.groups += u64::from(n_members == 1);
        stats.above_k += u64::from(n_members.checked_sub(k) == Some(1));
    }
    Ok(stats)
}

/// Looks up keys that are asked for in order.
struct Lookup<I> {
    keys: I,
    ahead: Option<ExternalKey>,
}

impl<I: Iterator<Item = Result<ExternalKey>>> Lookup<I> {
    /// The sum of the values of `key`, if it is there at all.
    fn value(&mut self, key: u128) -> Result<Option<u64>> {
        let mut sum: Option<u64> = None;
        loop {
            if self.ahead.is_none() {
                self.ahead = self.keys.next().transpose()?;
            }
            match self.ahead {
                Some(next) if next.key <= key => {
                    if next.key == key {
                        sum = Some(sum.unwrap_or(0).saturating_add(next.value));
                    }
                    self.ahead = None;
                }
                _ => return Ok(sum),
            }
        }
    }
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

    fn grouped(sent: &[Sent], external: &[(u8, u64)], k: usize, dead: u64) -> (Vec<Pair>, GroupStats) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = SpillDir::new(folder.path());
        let n_tasks = sent.iter().map(|sent| sent.2 + 1).max().unwrap_or(0);
        let files: Vec<_> = (0..n_tasks)
            .map(|task| {
                let mut writer = KeyWriter::new(2, &dir, 1 << 16);
                for &(key, rank, _, row) in sent.iter().filter(|sent| sent.2 == task) {
                    let doc = DocId::new(task, row).to_u64();
                    writer.push(0, KeyRow { key: 1, rank: 0, doc: 5 }).expect("room");
                    writer.push(1, KeyRow { key: u128::from(key), rank, doc }).expect("room");
                }
                let mut bytes = Vec::new();
                writer.finish(&mut bytes, "keys").expect("room");
                KeyFile::open(Arc::new(Bytes(bytes)), "keys").expect("whole")
            })
            .collect();
        let external = external.iter().map(|&(key, value)| Ok(ExternalKey { key: u128::from(key), value }));
        let mut pairs = Vec::new();
        let room = Room { dir: &dir, memory: 1 << 16 };
        let stats = group_first_k(
            &files,
            1,
            k,
            external,
            room,
            |doc| doc.row() != dead,
            |pair| {
                pairs.push(pair);
                Ok(())
            },
        );
        (pairs, stats.expect("room"))
    }

    fn model(sent: &[Sent], external: &[(u8, u64)], k: usize, dead: u64) -> (Vec<Pair>, GroupStats) {
        let mut groups: BTreeMap<u8, Vec<Ranked>> = BTreeMap::new();
        for &(key, rank, task, row) in sent.iter().filter(|sent| sent.3 != dead) {
            groups.entry(key).or_default().push(Ranked { rank, doc: DocId::new(task, row) });
        }
        let (mut pairs, mut stats) = (Vec::new(), GroupStats::default());
        for (key, mut members) in groups {
            members.sort_unstable();
            members.dedup();
            stats.groups += 1;
            stats.above_k += u64::from(members.len() > k);
            let values: Vec<u64> = external.iter().filter(|e| e.0 == key).map(|e| e.1).collect();
            let outside = Ranked { rank: values.iter().sum(), doc: DocId::from_u64(EXTERNAL) };
            for (at, &second) in members.iter().enumerate() {
                let leaders = members[..at].iter().take(k).copied();
                let firsts = (!values.is_empty()).then_some(outside).into_iter().chain(leaders);
                pairs.extend(firsts.map(|first| Pair { first, second }));
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
            mut external in prop::collection::vec((0u8..14, 0u64..9), 0..10),
            k in 0usize..5,
            dead in 0u64..40,
        ) {
            // A document has one rank.
            let sent: Vec<_> = sent.into_iter().map(|(key, _, task, row)| (key, row * 7 % 3, task, row)).collect();
            external.sort_unstable();
            prop_assert_eq!(grouped(&sent, &external, k, dead), model(&sent, &external, k, dead));
        }
    }

    #[test]
    fn more_files_than_can_be_open_are_merged_first() {
        let sent: Vec<_> = (0..200).map(|task| ((task % 7) as u8, u64::from(task % 2), task, 3)).collect();
        assert_eq!(grouped(&sent, &[], 2, 99), model(&sent, &[], 2, 99));
    }

    #[test]
    fn a_giant_group_passes_through() {
        // Nothing but the leaders is kept: the pairs of one group of 200,000 come out one by one.
        let rows = (0..200_000).map(|doc| Ok(KeyRow { key: 1, rank: 0, doc }));
        let mut n_pairs = 0;
        let stats = group(
            rows,
            2,
            std::iter::empty(),
            |_| true,
            |_| {
                n_pairs += 1;
                Ok(())
            },
        );
        let expected = GroupStats { groups: 1, above_k: 1, pairs: 399_997 };
        assert_eq!((n_pairs, stats.expect("no files")), (399_997, expected));
    }
}
