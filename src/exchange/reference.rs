//! The plainest exchange there can be: one process, a temporary folder, nothing in parallel. The tests hold
//! the corpus stages, and through them the kernels, to what they promise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::doc::{Columns, Doc, DocId, Holder, NoColumns, content_key};
use crate::error::{Error, Result};
use crate::exchange::drops::{ByDoc, DropRow};
use crate::exchange::group::{self, Room, group_first_k, section_rows};
use crate::exchange::index::{Corpus, Index, earlier, known};
use crate::exchange::keys::{KeyFile, KeyWriter};
use crate::exchange::names::NameRow;
use crate::exchange::record::{BySecond, EdgeRow, KeyRow, Record, Routed};
use crate::exchange::sets::{SetFile, SetWriter};
use crate::exchange::sort::{RunReader, Sorter, SpillDir};
use crate::exchange::verify::{Fates, verify};
use crate::stage::{
    CorpusStage, DocSet, Duplicate, Edge, Exchange, IndexUse, Known, Pair, PairJudge, Rows, Sent, Table, Target,
};
use crate::store::{Folder, LocalFile};

/// Small, so that the tests spill.
const BUDGET: usize = 4 << 10;

/// A document: its text, what it was when first read, and its columns.
pub(crate) struct Row<'a> {
    text: &'a str,
    origin: &'a str,
    columns: &'a dyn Columns,
}

/// What became of the documents: drops and gifts.
#[derive(Debug, Default)]
pub(crate) struct Rulings {
    drops: BTreeMap<DocId, Duplicate>,
    gifts: BTreeMap<DocId, u64>,
    notes: BTreeMap<&'static str, u64>,
    measures: BTreeMap<&'static str, f64>,
    links: Vec<(DocId, DocId)>,
}

struct Reference<'a> {
    tasks: Vec<&'a [Row<'a>]>,
    folder: TempDir,
    dir: SpillDir,
    files: Vec<KeyFile>,
    gone: DocSet,
    n_tables: usize,
    rulings: Rulings,
    /// The index that the stage uses, with its key files.
    index: Option<(Index, Vec<KeyFile>)>,
    /// What is left for it: sections, leaders, and the documents that are the first with their texts.
    leaves: Option<(Range<usize>, usize, DocSet)>,
    /// The sets of all documents, once they are made.
    sets: Vec<Arc<SetFile>>,
}

/// Takes documents, cut into tasks of `task_size` rows, through the exchange of one stage.
pub(crate) fn exchange(rows: &[Row<'_>], task_size: usize, stage: &dyn CorpusStage) -> Result<Rulings> {
    let tasks: Vec<_> = rows.chunks(task_size).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let dir = SpillDir::new(folder.path());
    let mut files = Vec::new();
    for (task, rows) in (0u32..).zip(&tasks) {
        let path = folder.path().join(format!("{task}.keys"));
        let name = path.display().to_string();
        let file = File::create(&path).expect("a folder");
        let mut writer = KeyWriter::new(stage.sections(), &dir, BUDGET * 16, file, &name)?;
        for (row, of) in (0..).zip(*rows) {
            let doc = Doc::new(of.text, of.origin, of.columns);
            let (rank, id) = (stage.rank(&doc), DocId::new(task, row).to_u64());
            stage.keys(&doc, &mut |section, key| {
                writer.push(section, KeyRow { key, rank, doc: id }).expect("room");
            });
        }
        writer.finish()?;
        files.push(KeyFile::open(Arc::new(LocalFile::open(&path)?), &name)?);
    }
    let sizes: Vec<_> = tasks.iter().map(|rows| rows.len() as u64).collect();
    let gone = DocSet::empty(&sizes);
    let rulings = Rulings::default();
    let open = |how: &IndexUse| -> Result<_> {
        let folder = Folder::parse(&how.folder)?;
        let index = Index::open(&folder)?.0.unwrap_or_else(|| Index::empty(&folder, serde_json::Map::new()));
        let keys = index.key_files(stage.sections())?;
        Ok((index, keys))
    };
    let index = stage.index().map(open).transpose()?;
    let (leaves, sets) = Default::default();
    let mut reference = Reference { tasks, folder, dir, files, gone, n_tables: 0, rulings, index, leaves, sets };
    stage.resolve(&mut reference)?;
    if let Some(how) = stage.index() {
        reference.leave(how.run.as_deref().expect("runs have names"))?;
    }
    Ok(reference.rulings)
}

impl Reference<'_> {
    fn table<R: Record, T>(&mut self, sorter: Sorter<R>) -> Result<Table<T>> {
        self.n_tables += 1;
        let path = self.folder.path().join(format!("{}.table", self.n_tables));
        let n_rows = sorter.write_to(&path)?;
        Ok(Table::new(vec![path.display().to_string()], n_rows))
    }

    fn rows<R: Record + 'static, T>(table: &Table<T>) -> impl Iterator<Item = Result<R>> + use<R, T> {
        let open = |name: String| {
            let file = LocalFile::open(&PathBuf::from(&name)).expect("a table");
            RunReader::open(Arc::new(file), &name, BUDGET).expect("a table")
        };
        table.files.clone().into_iter().flat_map(open)
    }

    /// The pairs of a table, which are kept in whatever order they were made.
    fn pairs(table: &Table<Pair>) -> impl Iterator<Item = Result<Pair>> + use<> {
        Self::rows::<Pair, _>(table)
    }

    fn sorted<R: Record + 'static>(&self, rows: impl Iterator<Item = Result<R>>) -> Result<Rows<R>> {
        let mut sorter = Sorter::new(&self.dir, BUDGET);
        rows.into_iter().try_for_each(|row| sorter.push(row?))?;
        Ok(Box::new(sorter.finish()?))
    }

    /// Adds what was kept to the index.
    fn leave(&mut self, run: &str) -> Result<()> {
        let Some((sections, k, members)) = self.leaves.take() else { return Ok(()) };
        let (index, earlier) = self.index.as_ref().expect("it is written");
        let row = |drop: &Duplicate| {
            let Duplicate { doc, kept, similarity, threshold, .. } = *drop;
            Ok(ByDoc(DropRow { kept, doc, stage: 0, reason: 0, similarity, threshold }))
        };
        let drops: Vec<_> = self.rulings.drops.values().map(row).collect();
        let names = |task: u32| -> Result<Rows<NameRow>> {
            let name = |(row, of): (u64, &Row<'_>)| {
                Ok(NameRow { doc: DocId::new(task, row), key: Some(content_key(of.text)), id: None, size: None })
            };
            let names: Vec<_> = (0..).zip(self.tasks[task as usize]).map(name).collect();
            Ok(Box::new(names.into_iter()))
        };
        let sets = |holder| match holder {
            Holder::Task(task) => Ok(self.sets[task as usize].clone()),
            Holder::Part(_) => Err(Error::io(holder, "its sets are no part of this corpus")),
        };
        let rows: Vec<_> = self.tasks.iter().map(|rows| rows.len() as u64).collect();
        let corpus = Corpus {
            keys: &self.files,
            sections: 0..sections.end,
            k,
            rows: &rows,
            members: &members,
            drops: Box::new(drops.into_iter()),
            names: &names,
            sets: if self.sets.is_empty() { None } else { Some(&sets) },
        };
        let part = corpus.leave(index, run, earlier, Room { dir: &self.dir, memory: BUDGET })?;
        index.add(&part)
    }

    fn set_file(&self, task: u32, judge: &dyn PairJudge) -> Result<SetFile> {
        let path = self.folder.path().join(format!("{task}.sets"));
        let name = path.display().to_string();
        let mut writer = SetWriter::new(File::create(&path).expect("a folder"), &name)?;
        for (row, of) in (0..).zip(self.tasks[task as usize]) {
            let mut set = Vec::new();
            judge.set(of.text, &mut set);
            writer.push(row, &set)?;
        }
        writer.finish()?;
        SetFile::open(Arc::new(LocalFile::open(&path)?), &name)
    }
}

impl Exchange for Reference<'_> {
    fn group_first_k(&mut self, sections: Range<usize>, k: usize) -> Result<Table<Pair>> {
        let mut sorter = Sorter::<Pair>::new(&self.dir, BUDGET);
        for section in sections {
            let room = Room { dir: &self.dir, memory: BUDGET };
            let earlier_keys = self.index.as_ref().map_or(&[][..], |(_, keys)| keys);
            let earlier = earlier(earlier_keys, section, room)?;
            let alive = |doc| !self.gone.contains(doc);
            group_first_k(&self.files, section, k, earlier, room, alive, |pair| sorter.push(pair))?;
        }
        self.table(sorter)
    }

    fn distinct(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>> {
        let mut sorter = Sorter::<Pair>::unique(&self.dir, BUDGET);
        Self::pairs(&pairs).try_for_each(|pair| sorter.push(pair?))?;
        self.table(sorter)
    }

    fn route_to_task(&mut self, pairs: Table<Pair>) -> Result<Table<Pair>> {
        let mut sorter = Sorter::<Routed>::new(&self.dir, BUDGET);
        Self::pairs(&pairs).try_for_each(|pair| sorter.push(Routed(pair?)))?;
        self.table(sorter)
    }

    fn verify(&mut self, pairs: Table<Pair>, judge: &dyn PairJudge) -> Result<Table<Edge>> {
        let files = (0..self.tasks.len() as u32).map(|task| self.set_file(task, judge).map(Arc::new));
        self.sets = files.collect::<Result<Vec<_>>>()?;
        let edges = Mutex::new(Sorter::<EdgeRow>::new(&self.dir, BUDGET));
        let routed = Self::rows::<Routed, _>(&pairs).map(|pair| pair.map(|routed| routed.0));
        let files: Vec<_> = self.sets.clone();
        let of_part = self.index.as_ref().map(|(index, _)| index);
        let sets = |holder| match holder {
            Holder::Task(task) => Ok(files[task as usize].clone()),
            Holder::Part(part) => of_part.expect("there are parts").sets(part, &self.dir),
        };
        let fates = judge.settles_at().map(|threshold| Fates::new(threshold, self.bits()));
        verify(routed, &sets, judge, BUDGET, fates, |edge| edges.lock().expect("no panic").push(EdgeRow(edge)))?;
        self.table(edges.into_inner().expect("no panic"))
    }

    fn scan_by_first(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>> {
        self.sorted(Self::pairs(pairs))
    }

    fn scan_by_second(&mut self, pairs: &Table<Pair>) -> Result<Rows<Pair>> {
        let sorted = self.sorted(Self::pairs(pairs).map(|pair| pair.map(BySecond)))?;
        Ok(Box::new(sorted.map(|pair| pair.map(|by_second| by_second.0))))
    }

    fn sorted_scan(&mut self, edges: &Table<Edge>) -> Result<Rows<Edge>> {
        Ok(Box::new(Self::rows::<EdgeRow, _>(edges).map(|edge| edge.map(|row| row.0))))
    }

    fn record(&mut self, _: f64, _: Rows<Edge>, _: Rows<Pair>) -> Result<()> {
        Ok(())
    }

    fn recorded(&mut self) -> Result<Option<(Rows<Edge>, Rows<Pair>)>> {
        Ok(None)
    }

    fn choose(&mut self, _: Target) -> Result<f64> {
        unreachable!("nothing is recorded here")
    }

    fn known(&mut self) -> Result<Rows<Known>> {
        let (index, _) = self.index.as_ref().expect("it is read");
        let room = Room { dir: &self.dir, memory: BUDGET };
        let mut found = Vec::new();
        known(section_rows(&self.files, 0, room)?, index.contents(room)?, |known| {
            found.push(Ok(known));
            Ok(())
        })?;
        Ok(Box::new(found.into_iter()))
    }

    fn leave_index(&mut self, sections: Range<usize>, k: usize) -> Result<()> {
        self.leaves = Some((sections, k, self.members(0)?));
        Ok(())
    }

    fn bits(&self) -> DocSet {
        let sizes: Vec<_> = self.tasks.iter().map(|rows| rows.len() as u64).collect();
        DocSet::empty(&sizes)
    }

    fn set_aside(&mut self, doc: DocId) {
        self.gone.insert(doc);
    }

    fn drop(&mut self, duplicate: Duplicate) -> Result<()> {
        self.gone.insert(duplicate.doc);
        let before = self.rulings.drops.insert(duplicate.doc, duplicate);
        assert_eq!(before, None, "a document is dropped once");
        Ok(())
    }

    fn give(&mut self, doc: DocId, value: u64) -> Result<()> {
        let before = self.rulings.gifts.insert(doc, value);
        assert_eq!(before, None, "a document is given a number once");
        Ok(())
    }

    fn members(&mut self, section: usize) -> Result<DocSet> {
        let mut members = self.bits();
        group::members(&self.files, section, BUDGET, &self.gone, &mut members)?;
        Ok(members)
    }

    fn scan_sets(
        &mut self,
        docs: &DocSet,
        judge: &dyn PairJudge,
        visit: &(dyn Fn(DocId, &[u64]) + Sync),
    ) -> Result<()> {
        for doc in docs.iter() {
            let mut set = Vec::new();
            judge.set(self.tasks[doc.task() as usize][doc.row() as usize].text, &mut set);
            visit(doc, &set);
        }
        Ok(())
    }

    fn keys_sent(&mut self, section: usize) -> Result<Rows<Sent>> {
        let rows = section_rows(&self.files, section, Room { dir: &self.dir, memory: BUDGET })?;
        let gone = self.gone.clone();
        let sent = move |row: KeyRow| {
            let doc = row.ranked().doc;
            Sent { key: row.key, doc, stays: !gone.contains(doc) }
        };
        Ok(Box::new(rows.map(move |row| row.map(&sent))))
    }

    fn link(&mut self, edge: Edge) -> Result<()> {
        self.rulings.links.push((edge.pair.first.doc, edge.pair.second.doc));
        Ok(())
    }

    fn links(&mut self, _: &[String]) -> Result<Rows<(u128, u128)>> {
        Ok(Box::new(std::iter::empty()))
    }

    fn room(&self) -> (PathBuf, usize) {
        (self.dir.path().to_owned(), BUDGET)
    }

    fn note(&mut self, what: &'static str, value: u64) {
        *self.rulings.notes.entry(what).or_default() += value;
    }

    fn measure(&mut self, what: &'static str, value: f64) {
        self.rulings.measures.insert(what, value);
    }
}

mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::canonical::canonical;
    use crate::corpus::anchors::NEAR_DUPLICATE;
    use crate::corpus::components::Clustering;
    use crate::corpus::exact::{EXACT_DUPLICATE, Exact};
    use crate::corpus::keep::Keep;
    use crate::corpus::minhash::{Links, MinHash, Verify};
    use crate::corpus::reuse::Reuse;
    use crate::corpus::shingle::{Shingler, Units};
    use crate::doc::{ContentKey, Value};
    use crate::reuse::ledger::Ledger;
    use crate::reuse::recording::{About, Recording};
    use crate::reuse::time::Time;
    use crate::stage::{Ruled, Settings};

    const TASK_SIZE: usize = 7;

    /// What was dropped: the document, the one that stands for it, and the reason.
    type Drop = (usize, usize, &'static str);

    fn bare(text: &str) -> Row<'_> {
        Row { text, origin: text, columns: &NoColumns }
    }

    fn rulings(rows: &[Row<'_>], stage: &dyn CorpusStage) -> Rulings {
        exchange(rows, TASK_SIZE, stage).expect("a temporary folder")
    }

    fn number(doc: DocId) -> usize {
        doc.task() as usize * TASK_SIZE + doc.row() as usize
    }

    fn drops(rows: &[Row<'_>], settings: impl Settings<Stage: CorpusStage>) -> Vec<Drop> {
        let rulings = rulings(rows, &settings.build().expect("sound"));
        rulings.drops.values().map(|drop| (number(drop.doc), number(drop.kept), drop.reason)).collect()
    }

    fn drops_of(texts: &[&str], settings: impl Settings<Stage: CorpusStage>) -> Vec<Drop> {
        drops(&texts.iter().map(|text| bare(text)).collect::<Vec<_>>(), settings)
    }

    struct Score(Option<f64>, &'static str);

    impl Columns for Score {
        fn string(&self, _: &str) -> Option<&str> {
            Some(self.1)
        }

        fn number(&self, _: &str) -> Option<f64> {
            self.0
        }
    }

    #[test]
    fn the_first_of_equal_texts_stays() {
        let texts = ["a", "b", " a\n", "", "c", "\t", "a", "e\u{301}", "\u{e9}", "a"];
        let expected = [(2, 0), (5, 3), (6, 0), (8, 7), (9, 0)].map(|(doc, kept)| (doc, kept, EXACT_DUPLICATE));
        assert_eq!(drops_of(&texts, Exact::default()), expected);
        assert_eq!(drops_of(&texts, MinHash::default()), expected);
    }

    #[test]
    fn the_policy_says_which_one_stays() {
        let columns = [Score(Some(0.5), "web"), Score(None, "books"), Score(Some(0.9), "wiki"), Score(Some(-1.0), "x")];
        let check = |keep: &str, kept: usize| {
            let expected: Vec<_> = (0..4).filter(|&doc| doc != kept).map(|doc| (doc, kept, EXACT_DUPLICATE)).collect();
            let rows: Vec<_> = columns.iter().map(|columns| Row { columns, ..bare("same") }).collect();
            let keep: Keep = keep.parse().expect("a policy");
            assert_eq!(drops(&rows, Exact { keep: keep.clone(), ..Exact::default() }), expected, "{keep}");
            assert_eq!(drops(&rows, MinHash { keep, ..MinHash::default() }), expected);
        };
        check("first", 0);
        check("longest", 0);
        check("highest:score", 2);
        check("lowest:score", 3);
        check("sources:wiki,books", 2);
        check("sources:none,books", 1);
    }

    #[test]
    fn the_longest_of_near_duplicates_stays() {
        let texts = ["a b c d e f g h i", "a b c d e f g h i j", "a b c d e f g h i j k"];
        let settings = MinHash { threshold: 0.7, keep: Keep::Longest, ..MinHash::default() };
        assert_eq!(drops_of(&texts, settings), [(0, 2, NEAR_DUPLICATE), (1, 2, NEAR_DUPLICATE)]);
    }

    #[test]
    fn copies_go_where_the_one_that_represents_them_goes() {
        // 2 is like 0 and represents 3 and 5; 4 has a copy that is not like anything.
        let near = "a b c d e f g h i j x";
        let texts = ["a b c d e f g h i j", "other", near, near, "more of it", near, "more  of it", "other"];
        let settings = MinHash { threshold: 0.8, ..MinHash::default() };
        let expected = [
            (2, 0, NEAR_DUPLICATE),
            (3, 0, NEAR_DUPLICATE),
            (5, 0, NEAR_DUPLICATE),
            (6, 4, EXACT_DUPLICATE),
            (7, 1, EXACT_DUPLICATE),
        ];
        assert_eq!(drops_of(&texts, settings), expected);
    }

    #[test]
    fn no_chain_eats_a_source() {
        // Each is like the next, but 2 is not like 0, and 1 stands for nothing once it is dropped.
        let texts = ["a b c d e f g h i j", "b c d e f g h i j k", "c d e f g h i j k l"];
        let settings = MinHash { threshold: 0.7, ..MinHash::default() };
        assert_eq!(drops_of(&texts, settings), [(1, 0, NEAR_DUPLICATE)]);
    }

    #[test]
    fn chains_can_be_closed() {
        let texts = ["a b c d e f g h i j", "b c d e f g h i j k", "c d e f g h i j k l", "x y z"];
        let settings = MinHash { threshold: 0.7, clusters: Clustering::Components, ..MinHash::default() };
        assert_eq!(drops_of(&texts, settings), [(1, 0, NEAR_DUPLICATE), (2, 0, NEAR_DUPLICATE)]);
    }

    #[test]
    fn pairs_can_be_believed_or_estimated() {
        let texts = ["a b c d e f g h i j", "b c d e f g h i j k", "c d e f g h i j k l", "x y z"];
        let unverified = MinHash { verify: Verify::None, bands: Some(64), rows: Some(1), ..MinHash::default() };
        let stage = unverified.clone().build().expect("sound");
        let rows = texts.map(bare);
        assert!(rulings(&rows, &stage).drops.values().all(|drop| drop.similarity.is_nan()));
        assert_eq!(drops(&rows, unverified), [(1, 0, NEAR_DUPLICATE), (2, 0, NEAR_DUPLICATE)]);
        let estimated = MinHash { verify: Verify::Signature, threshold: 0.3, ..MinHash::default() };
        assert_eq!(drops(&rows, estimated), [(1, 0, NEAR_DUPLICATE), (2, 0, NEAR_DUPLICATE)]);
    }

    /// Texts in families: a text is edited, and the edits are edited.
    fn families(seed: u64, n: usize) -> Vec<String> {
        let mut state = seed;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let words = ["the", "Sieve", "turns", "gold", "sand", "1849", "élan", "中文语料库很大", "字", "の", "— "];
        let mut texts: Vec<Vec<&str>> = vec![Vec::new()];
        for _ in 1..n {
            let mut text = match random(8) {
                0 => (0..random(4)).map(|_| words[random(words.len())]).collect(),
                1 => (0..random(60)).map(|_| words[random(words.len())]).collect(),
                _ => texts[random(texts.len())].clone(),
            };
            for _ in 0..random(4) {
                let word = words[random(words.len())];
                match random(3) {
                    0 => text.push(word),
                    1 if !text.is_empty() => drop(text.remove(random(text.len()))),
                    2 if !text.is_empty() => {
                        let at = random(text.len());
                        text[at] = word;
                    }
                    _ => {}
                }
            }
            texts.push(text);
        }
        texts.iter().map(|text| text.join(" ")).collect()
    }

    fn jaccard(a: &str, b: &str) -> f64 {
        let set = |text: &str| {
            let mut shingles = Vec::new();
            Shingler::default().shingles(&canonical(text), &mut Units::default(), &mut shingles);
            BTreeSet::from_iter(shingles)
        };
        let (a, b) = (set(a), set(b));
        let common = a.iter().filter(|shingle| b.contains(shingle)).count();
        if common == 0 { 0.0 } else { common as f64 / (a.len() + b.len() - common) as f64 }
    }

    /// What the rule says when every document is compared with every kept one.
    fn by_brute_force(texts: &[String], threshold: f64, keep: &Keep) -> BTreeMap<usize, (usize, f64)> {
        let mut order: Vec<_> = (0..texts.len()).map(|at| (keep.rank(&Doc::bare(&texts[at])), at)).collect();
        order.sort_unstable();
        let mut represents: BTreeMap<ContentKey, usize> = BTreeMap::new();
        let (mut kept, mut dropped): (Vec<usize>, _) = (Vec::new(), BTreeMap::new());
        for (_, doc) in order {
            let representative = *represents.entry(content_key(&texts[doc])).or_insert(doc);
            if representative != doc {
                let ruling = dropped.get(&representative).copied().unwrap_or((representative, 1.0));
                dropped.insert(doc, ruling);
                continue;
            }
            let mut anchor: Option<(usize, f64)> = None;
            for &earlier in &kept {
                let similarity = jaccard(&texts[earlier], &texts[doc]);
                if similarity >= threshold && anchor.is_none_or(|(_, best)| similarity > best) {
                    anchor = Some((earlier, similarity));
                }
            }
            match anchor {
                Some(anchor) => drop(dropped.insert(doc, anchor)),
                None => kept.push(doc),
            }
        }
        dropped
    }

    /// What chains make of all pairs: of what they link only the first in the order stays. A similarity that is
    /// below the threshold was not measured.
    fn chains_by_brute_force(texts: &[String], threshold: f64, keep: &Keep) -> BTreeMap<usize, (usize, Option<f64>)> {
        let mut order: Vec<_> = (0..texts.len()).map(|at| (keep.rank(&Doc::bare(&texts[at])), at)).collect();
        order.sort_unstable();
        let keys: Vec<_> = texts.iter().map(|text| content_key(text)).collect();
        let mut ruled: BTreeMap<usize, (usize, Option<f64>)> = BTreeMap::new();
        let mut seen = vec![false; texts.len()];
        for &(_, first) in &order {
            let mut reached = vec![first];
            while let Some(doc) = reached.pop() {
                if std::mem::replace(&mut seen[doc], true) {
                    continue;
                }
                for other in 0..texts.len() {
                    let copy = keys[doc] == keys[other];
                    if !seen[other] && (copy || jaccard(&texts[doc], &texts[other]) >= threshold) {
                        reached.push(other);
                    }
                }
                if doc != first {
                    let same = keys[doc] == keys[first];
                    let similarity = if same { 1.0 } else { jaccard(&texts[doc], &texts[first]) };
                    ruled.insert(doc, (first, Some(similarity).filter(|&similarity| similarity >= threshold)));
                }
            }
        }
        ruled
    }

    fn check_brute_force(texts: &[String], threshold: f64, keep: &Keep) {
        // Bands so loose, and leaders so many, that no pair escapes.
        let (bands, rows, leaders) = (Some(200), Some(1), usize::MAX);
        let settings = MinHash { threshold, keep: keep.clone(), bands, rows, leaders, ..MinHash::default() };
        let rows: Vec<_> = texts.iter().map(|text| bare(text)).collect();
        let rulings = rulings(&rows, &settings.clone().build().expect("sound"));
        let found: BTreeMap<_, _> =
            rulings.drops.values().map(|drop| (number(drop.doc), (number(drop.kept), drop.similarity))).collect();
        assert_eq!(found, by_brute_force(texts, threshold, keep));
        let stage = MinHash { clusters: Clustering::Components, ..settings }.build().expect("sound");
        let chained = exchange(&rows, TASK_SIZE, &stage).expect("a temporary folder");
        let measured = |drop: &Duplicate| Some(drop.similarity).filter(|similarity| !similarity.is_nan());
        let found: BTreeMap<_, _> =
            chained.drops.values().map(|drop| (number(drop.doc), (number(drop.kept), measured(drop)))).collect();
        assert_eq!(found, chains_by_brute_force(texts, threshold, keep));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn rulings_are_those_of_comparing_all(seed: u64, threshold in 0.3f64..1.0, longest: bool) {
            let keep = if longest { Keep::Longest } else { Keep::First };
            check_brute_force(&families(seed, 60), threshold, &keep);
        }

        #[test]
        fn an_audit_of_all_counts_all_pairs(seed: u64, threshold in 0.3f64..1.0, bands in 1usize..4) {
            let texts = families(seed, 60);
            let rows: Vec<_> = texts.iter().map(|text| bare(text)).collect();
            let (bands, sound_rows) = (Some(bands), Some(4));
            let settings = MinHash { threshold, bands, rows: sound_rows, audit: 1000, ..MinHash::default() };
            let rulings = rulings(&rows, &settings.build().expect("sound"));
            let note = |what: &str| rulings.notes.get(what).copied().unwrap_or(0);

            let first_of_its_kind =
                |at: &usize| !texts[..*at].iter().any(|text| content_key(text) == content_key(&texts[*at]));
            let alone: Vec<usize> = (0..texts.len()).filter(first_of_its_kind).collect();
            let is_dropped = |at: usize| rulings.drops.keys().any(|doc| number(*doc) == at);
            let (mut pairs, mut both_kept, mut unlike) = (0, 0, 0);
            for &a in &alone {
                let alike = |b: &&usize| **b != a && jaccard(&texts[a], &texts[**b]) >= threshold;
                let others: Vec<usize> = alone.iter().filter(alike).copied().collect();
                pairs += others.len() as u64;
                both_kept += others.iter().filter(|&&b| !is_dropped(a) && !is_dropped(b)).count() as u64;
                unlike += u64::from(is_dropped(a) && others.iter().all(|&b| is_dropped(b)));
            }
            prop_assert_eq!(note("audit_documents"), alone.len() as u64);
            prop_assert_eq!(note("audit_pairs"), pairs);
            prop_assert_eq!(note("audit_pairs_found"), 2 * note("pairs_alike"), "all that were verified, from both sides");
            prop_assert_eq!(note("audit_pairs_both_kept"), both_kept);
            prop_assert_eq!((note("audit_dropped_unlike_any_kept"), unlike), (0, 0));
            let recall = rulings.measures["audit_recall"];
            prop_assert!(rulings.measures["audit_recall_low"] <= recall + 1e-9);
            prop_assert!(recall <= rulings.measures["audit_recall_high"] + 1e-9);
        }

        #[test]
        fn what_is_dropped_is_like_what_is_kept(seed: u64, threshold in 0.3f64..1.0, leaders in 1usize..4) {
            let texts = families(seed, 60);
            let rows: Vec<_> = texts.iter().map(|text| bare(text)).collect();
            let settings = MinHash { threshold, leaders, ..MinHash::default() };
            let rulings = rulings(&rows, &settings.build().expect("sound"));
            for drop in rulings.drops.values() {
                prop_assert!(!rulings.drops.contains_key(&drop.kept), "the kept one is kept");
                let (text, kept) = (&texts[number(drop.doc)], &texts[number(drop.kept)]);
                if drop.reason == EXACT_DUPLICATE {
                    prop_assert_eq!(content_key(text), content_key(kept));
                } else {
                    prop_assert!(drop.similarity >= threshold);
                    prop_assert_eq!(drop.similarity, jaccard(text, kept));
                }
            }
        }

        #[test]
        fn the_cut_into_tasks_does_not_matter(seed: u64, task_size in 1usize..80) {
            let texts = families(seed, 60);
            let rows: Vec<_> = texts.iter().map(|text| bare(text)).collect();
            let stage = MinHash::default().build().expect("sound");
            let one = exchange(&rows, 60, &stage).expect("a folder");
            let many = exchange(&rows, task_size, &stage).expect("a folder");
            let one = one.drops.values().map(|drop| (drop.doc.row(), drop.kept.row(), drop.reason));
            let at = |doc: DocId| u64::from(doc.task()) * task_size as u64 + doc.row();
            let many = many.drops.values().map(|drop| (at(drop.doc), at(drop.kept), drop.reason));
            prop_assert!(one.eq(many));
        }
    }

    /// What became of a document: the number of the kept one, the bits of their similarity and of the threshold,
    /// and the reason.
    type Fate = (usize, u64, u64, &'static str);

    fn fates(rulings: &Rulings, number: impl Fn(DocId) -> usize) -> Vec<(usize, Fate)> {
        let fate =
            |drop: &Duplicate| (number(drop.kept), drop.similarity.to_bits(), drop.threshold.to_bits(), drop.reason);
        rulings.drops.values().map(|drop| (number(drop.doc), fate(drop))).collect()
    }

    /// One run over all texts, and one over each of the parts they are cut into, against those before it.
    fn check_parts(texts: &[String], cuts: &[usize], settings: &MinHash, task_size: usize) {
        let rows: Vec<_> = texts.iter().map(|text| bare(text)).collect();
        let whole = exchange(&rows, TASK_SIZE, &settings.clone().build().expect("sound")).expect("a folder");
        let whole: BTreeMap<_, _> = fates(&whole, number).into_iter().collect();
        let folder = tempfile::tempdir().expect("a folder");
        let index = || Some(folder.path().display().to_string());
        let mut parts = BTreeMap::new();
        let begins: Vec<usize> = std::iter::once(0).chain(cuts.iter().copied()).collect();
        for (part, &begin) in begins.iter().enumerate() {
            let end = begins.get(part + 1).copied().unwrap_or(texts.len());
            let against = index().filter(|_| part > 0);
            let own = MinHash { index: index(), against, run_name: Some(format!("part-{part}")), ..settings.clone() };
            let task_size = task_size + part;
            let rulings = exchange(&rows[begin..end], task_size, &own.build().expect("sound")).expect("a folder");
            parts.extend(fates(&rulings, |doc| match doc.holder() {
                Holder::Part(part) => begins[part as usize] + doc.row() as usize,
                Holder::Task(task) => begin + task as usize * task_size + doc.row() as usize,
            }));
        }
        assert_eq!(parts, whole);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn parts_one_after_the_other_are_one_run(
            seed: u64,
            mut cuts in prop::collection::vec(0usize..=80, 1..4),
            threshold in 0.3f64..1.0,
            leaders in 1usize..5,
            loose: bool,
            verify in prop::sample::select(vec![Verify::Exact, Verify::Signature, Verify::None]),
            task_size in 1usize..90,
        ) {
            cuts.sort_unstable();
            // Few rows make large buckets, with more members than leaders.
            let (bands, sound_rows) = if loose { (Some(6), Some(1)) } else { (None, None) };
            let settings = MinHash { threshold, leaders, verify, bands, rows: sound_rows, ..MinHash::default() };
            check_parts(&families(seed, 80), &cuts, &settings, task_size);
        }
    }

    #[test]
    fn what_was_dropped_earlier_is_remembered() {
        // In the first part 1 goes for 0. In the second a copy of 1 goes for 0 as well, as near as 1 was; what is like
        // 1 only stays; a copy of 0 is a copy; texts without a word have no bucket. With one leader 0 and 1 take up
        // the buckets they share, so that what comes later meets none but 0.
        let texts = [
            "a b c d e f g h i j",
            "b c d e f g h i j k",
            "!",
            "b c  d e f g h i j k",
            "c d e f g h i j k l",
            " a b c d e f g h i j",
            " ! ",
            "d e f g h i j k l m",
            "c d e f g h i j k l",
        ];
        let texts = texts.map(str::to_owned);
        for leaders in [1, 2, 16] {
            for cut in 0..=texts.len() {
                let settings = MinHash { threshold: 0.7, leaders, ..MinHash::default() };
                check_parts(&texts, &[cut], &settings, 2);
                check_parts(&texts, &[cut / 2, cut], &settings, 3);
            }
        }
    }

    /// What a stage gives documents as the ledger knows these texts to be used: text, origin, uses.
    fn uses(used: &[(&str, &str, u64)], rows: &[Row<'_>]) -> Vec<(usize, u64)> {
        let folder = tempfile::tempdir().expect("a folder");
        let address = folder.path().join("used").display().to_string();
        let ledger = Ledger::open_or_make(&address).expect("a folder");
        let dir = SpillDir::new(folder.path());
        let about =
            About { run: "a".into(), again: false, time: Time::of_seconds(7), epochs: 1, parameters: Map::new() };
        let mut recording = Recording::new(&ledger, about, Room { dir: &dir, memory: BUDGET }).expect("a name");
        for (text, origin, uses) in used {
            recording.add(content_key(text), Some(content_key(origin)), *uses, 1, None).expect("room");
        }
        recording.commit().expect("room");
        let stage = Reuse { ledger: Some(address), ..Reuse::default() }.build().expect("a ledger");
        let rulings = rulings(rows, &stage);
        let shown = |(doc, given): (DocId, u64)| {
            let mut row = Vec::new();
            stage.annotate(&Doc::bare("a"), Ruled { given: Some(given), duplicate: None }, &mut row);
            assert_eq!(row[1], Value::Time(7_000));
            let Value::U32(uses) = row[0] else { panic!("{row:?}") };
            (number(doc), uses.into())
        };
        rulings.gifts.into_iter().map(shown).collect()
    }

    #[test]
    fn uses_are_those_of_the_text_and_of_its_origin() {
        let used = [("a", "a", 1), ("b", "b", 2), ("a", "a", 4), ("not here", "c", 8), ("B", "B", 2), ("d", " d", 0)];
        let origin = |text, origin| Row { origin, ..bare(text) };
        let rows = [
            bare("x"),
            bare("a"),
            origin("b", "B"),
            bare(" a"),
            origin("a ", "a"),
            bare("c"),
            origin("y", "c"),
            bare("d"),
        ];
        assert_eq!(uses(&used, &rows), [(1, 5), (2, 4), (3, 5), (4, 5), (5, 8), (6, 8)]);
    }

    #[test]
    fn without_a_ledger_nothing_counts_as_used() {
        let stage = Reuse::default().build().expect("sound");
        let mut row = Vec::new();
        stage.annotate(&Doc::bare("a"), Ruled::default(), &mut row);
        assert_eq!(row, [Value::U32(0), Value::Null, Value::F32(1.0)]);
        assert_eq!(stage.columns().len(), 3);
        assert_eq!(rulings(&[bare("a")], &stage).gifts.len(), 0);
    }

    #[test]
    fn all_that_are_alike_are_linked_if_that_is_asked_for() {
        // 2 goes for 0, which it is more like than 1; 1 stays.
        let texts = ["a b c d e f g h i j k l m n o", "x y c d e f g h i j k l m n o", "y b c d e f g h i j k l m n o"];
        let settings = |links| MinHash { threshold: 0.6, bands: Some(40), rows: Some(2), links, ..MinHash::default() };
        let links = |links| {
            let rows: Vec<_> = texts.iter().map(|text| bare(text)).collect();
            let rulings = rulings(&rows, &settings(links).build().expect("sound"));
            let dropped: Vec<_> = rulings.drops.keys().map(|doc| number(*doc)).collect();
            (dropped, rulings.links.into_iter().map(|(a, b)| (number(a), number(b))).collect::<Vec<_>>())
        };
        assert_eq!(links(Links::Anchors).1, []);
        let (dropped, linked) = links(Links::All);
        assert_eq!(dropped, links(Links::Anchors).0);
        assert!(linked.contains(&(0, 2)), "{linked:?}");
    }
}
