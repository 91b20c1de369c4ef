//! What corpora leave for later ones, which are deduplicated against them as if all were one.
//!
//! ```text
//! index.json             the settings and the parts in order, written last: a part that is not listed does not count
//! lock                   locked by the process that adds a part
//! parts/<run>/contents   every text: its content key, and the document that was kept for it
//! parts/<run>/keys       of every bucket the leaders: a key file, its sections as the stage has them
//! parts/<run>/names      ids and content keys of the documents that were kept
//! parts/<run>/sets       the sets of those that lead a bucket
//! ```
//!
//! A part is what one corpus adds to the parts before it. Documents have their places in the corpus, whatever
//! its tasks were. A leader of rank 1 was dropped: it takes up a place, for in one run of both corpora it would.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::doc::{DocId, Holder};
use crate::error::{Error, Result};
use crate::exchange::blocks::damaged;
use crate::exchange::drops::ByDoc;
use crate::exchange::group::{Room, leaders, merged};
use crate::exchange::keys::{KeyFile, KeyWriter, runs_of};
use crate::exchange::names::{NAMES_BLOCK, NameRow};
use crate::exchange::record::{Content, KeyRow};
use crate::exchange::sets::{SetFile, SetWriter};
use crate::exchange::sort::{RunReader, RunWriter, Sorter, SpillDir};
use crate::exchange::verify::SetsOf;
use crate::stage::{DocSet, Known, Rows};
use crate::store::{Folder, ReadAt, Summed, Version};

/// The file that says what an index has.
pub const INDEX: &str = "index.json";

/// What files are laid out as. Another number is another layout.
const FORMAT: u32 = 2;

/// The bytes of a block, and those read at a time.
const BLOCK: usize = 32 << 10;
const BUFFER: usize = 1 << 20;

/// With more parts than this, their files are not held open.
const MAX_OPEN: usize = 50;

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of its files.
    pub format: u32,
    /// The settings that its parts have in common.
    pub settings: Map<String, Value>,
    /// What runs have left, in the order in which they were added.
    pub parts: Vec<IndexPart>,
}

/// What one run has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// What the run is called.
    pub run: String,
    /// The documents that were compared.
    pub documents: u64,
    /// Those that were kept.
    pub kept: u64,
    /// The different texts that no part before has.
    pub texts: u64,
    /// The leaders of buckets, dropped ones included.
    pub leaders: u64,
    /// The buckets that they lead.
    pub buckets: u64,
    /// Its files.
    pub files: BTreeMap<String, PartFile>,
}

/// A file of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFile {
    /// The number of bytes.
    pub bytes: u64,
    /// The xxh3-128 of the bytes.
    pub checksum: String,
}

impl IndexPart {
    /// The bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// An index, open for reading.
pub struct Index {
    folder: Folder,
    manifest: Manifest,
    sets: Vec<OnceLock<Arc<SetFile>>>,
    /// Held by who opens sets, so that nobody does so twice.
    opening: Mutex<()>,
}

impl Index {
    /// An index that has nothing yet.
    pub fn empty(folder: &Folder, settings: Map<String, Value>) -> Self {
        Self::new(folder, Manifest { format: FORMAT, settings, parts: Vec::new() })
    }

    /// The index in a folder, if there is one, and its version.
    pub fn open(folder: &Folder) -> Result<(Option<Self>, Version)> {
        let (bytes, version) = folder.read_version(INDEX)?;
        let Some(bytes) = bytes else { return Ok((None, version)) };
        let name = folder.name_of(INDEX);
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| damaged(&name, error))?;
        if manifest.format != FORMAT {
            return Err(Error::refused(format!(
                "{name}: its layout is number {}, this program reads {FORMAT}; use the version that wrote it, or build it again",
                manifest.format
            )));
        }
        Ok((Some(Self::new(folder, manifest)), version))
    }

    fn new(folder: &Folder, manifest: Manifest) -> Self {
        let sets = manifest.parts.iter().map(|_| OnceLock::new()).collect();
        Self { folder: folder.clone(), manifest, sets, opening: Mutex::new(()) }
    }

    /// The same without the parts from `n` on.
    pub fn before(&self, n: usize) -> Self {
        let mut manifest = self.manifest.clone();
        manifest.parts.truncate(n);
        Self::new(&self.folder, manifest)
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its parts.
    pub fn parts(&self) -> &[IndexPart] {
        &self.manifest.parts
    }

    /// Where it is.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Adds a part, whose files are written, unless it has it already. Fails if it has got others since.
    pub fn add(&self, part: &IndexPart) -> Result<()> {
        let (now, version) = Self::open(&self.folder)?;
        let mut manifest = now.map_or_else(|| self.manifest.clone(), |now| now.manifest);
        if manifest.parts.contains(part) {
            return Ok(());
        }
        let changed = || {
            Error::refused(format!(
                "{}: it has changed while `{}` was at work, which is not added; deduplicate that again, into a new folder",
                self.folder.name(),
                part.run
            ))
        };
        if manifest != self.manifest {
            return Err(changed());
        }
        for (what, file) in &part.files {
            let path = path(&part.run, what);
            if self.folder.find(&path)?.map(|found| found.size) != Some(file.bytes) {
                let what = "it is not as it was written; deduplicate again, into a new folder";
                return Err(damaged(&self.folder.name_of(&path), what));
            }
        }
        manifest.parts.push(part.clone());
        let mut bytes =
            serde_json::to_vec_pretty(&manifest).map_err(|error| Error::io(self.folder.name_of(INDEX), error))?;
        bytes.push(b'\n');
        if self.folder.replace(INDEX, bytes, version)? { Ok(()) } else { Err(changed()) }
    }

    /// The key files of its parts, each of so many sections.
    pub fn key_files(&self, sections: usize) -> Result<Vec<KeyFile>> {
        let open = |part| {
            let (file, name) = self.file(part, "keys")?;
            let file = KeyFile::open(file, &name)?;
            if file.n_sections() == sections {
                return Ok(file);
            }
            Err(damaged(&name, format!("it has {} sections and not {sections}", file.n_sections())))
        };
        (0..self.parts().len()).map(open).collect()
    }

    /// The texts it knows, in the order of their keys.
    pub fn contents(&self, room: Room<'_>) -> Result<Rows<Content>> {
        let files = (0..self.parts().len()).map(|part| self.file(part, "contents")).collect::<Result<Vec<_>>>()?;
        merged(files.len(), room, |part, buffer| {
            let (file, name) = &files[part];
            // What is wrong with a file is the first thing that is read from it.
            match RunReader::open(file.clone(), name, buffer) {
                Ok(rows) => Box::new(rows) as Rows<Content>,
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        })
    }

    /// What the kept documents of a part are called, in order.
    pub fn names(&self, part: u32) -> Result<Rows<NameRow>> {
        let (file, name) = self.file(part as usize, "names")?;
        Ok(Box::new(RunReader::open(file, &name, BUFFER)?))
    }

    /// The sets of a part. They are read here and there, so those in a bucket are fetched to the folder for
    /// temporary files first.
    pub fn sets(&self, part: u32, dir: &SpillDir) -> Result<Arc<SetFile>> {
        let there = self.sets.get(part as usize).ok_or_else(|| Error::io(Holder::Part(part), "there is none"))?;
        if let Some(sets) = there.get() {
            return Ok(sets.clone());
        }
        let _alone = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sets) = there.get() {
            return Ok(sets.clone());
        }
        let (mut file, name) = self.file(part as usize, "sets")?;
        if self.folder.local_path().is_none() {
            file = fetched(&*file, dir)?;
        }
        let sets = Arc::new(SetFile::open(file, &name)?);
        Ok(there.get_or_init(|| sets).clone())
    }

    fn file(&self, part: usize, what: &str) -> Result<(Arc<dyn ReadAt>, String)> {
        // A damaged file may tell of any part.
        let missing = || Error::io(Holder::Part(part as u32), "there is none");
        let of_part = self.parts().get(part).ok_or_else(missing)?;
        let path = path(&of_part.run, what);
        let name = self.folder.name_of(&path);
        let file =
            if self.parts().len() > MAX_OPEN { self.folder.open_closed(&path)? } else { self.folder.open(&path)? };
        let expected = of_part.files.get(what).map(|file| file.bytes);
        if expected != Some(file.size()) {
            return Err(damaged(&name, format!("it has {} bytes, not those that {INDEX} says", file.size())));
        }
        Ok((file, name))
    }
}

/// A copy of a file on the local disk, which is gone when it is closed.
fn fetched(file: &dyn ReadAt, dir: &SpillDir) -> Result<Arc<dyn ReadAt>> {
    let copy = dir.write_file(file.size(), |mut copy, name| {
        let mut buffer = vec![0; BUFFER.min(file.size() as usize)];
        let mut at = 0;
        while at < file.size() {
            let n = (file.size() - at).min(buffer.len() as u64) as usize;
            file.read_at(at, &mut buffer[..n])?;
            copy.write_all(&buffer[..n]).map_err(|error| Error::io(name, error))?;
            at += n as u64;
        }
        Ok(())
    })?;
    copy.open()
}

/// The leaders that an index has in a section, in order.
pub fn earlier(files: &[KeyFile], section: usize, room: Room<'_>) -> Result<Rows<KeyRow>> {
    let runs = runs_of(files);
    merged(runs.len(), room, |i, buffer| {
        let (part, run) = runs[i];
        let in_part = move |row: KeyRow| KeyRow { doc: DocId::earlier(part as u32, row.doc).to_u64(), ..row };
        files[part].run(section, run, buffer).map(move |row| row.map(in_part))
    })
}

/// Shows those of `rows`, in the order of their keys, whose keys are among `contents`.
pub fn known(
    rows: impl Iterator<Item = Result<KeyRow>>,
    contents: impl Iterator<Item = Result<Content>>,
    mut show: impl FnMut(Known) -> Result<()>,
) -> Result<()> {
    let mut contents = contents.peekable();
    for row in rows {
        let row = row?;
        while contents.next_if(|next| next.as_ref().is_ok_and(|next| next.key < row.key)).is_some() {}
        match contents.peek() {
            Some(Ok(Content { key, kept, similarity, copy })) if *key == row.key => {
                show(Known { doc: row.ranked().doc, kept: *kept, similarity: *similarity, copy: *copy })?;
            }
            Some(Err(_)) => return contents.next().map_or(Ok(()), |error| error.map(drop)),
            _ => {}
        }
    }
    Ok(())
}

/// A corpus that leaves a part.
pub struct Corpus<'a> {
    /// Its key files.
    pub keys: &'a [KeyFile],
    /// The sections of the stage in these; the first is that of content keys, the others are of buckets.
    pub sections: Range<usize>,
    /// How many leaders a bucket has, those of earlier parts included.
    pub k: usize,
    /// For each task, the rows that keys can refer to.
    pub rows: &'a [u64],
    /// The documents that are the first with their texts, if no earlier part has these.
    pub members: &'a DocSet,
    /// What became of those that are not kept, in input order; others are passed over.
    pub drops: Rows<ByDoc>,
    /// Opens what the documents of a task are called.
    pub names: &'a dyn Fn(u32) -> Result<Rows<NameRow>>,
    /// Where the sets of all members are, if they are compared by sets.
    pub sets: Option<&'a SetsOf<'a>>,
}

impl Corpus<'_> {
    /// Writes the part that a run adds to an index, without adding it yet.
    pub fn leave(self, index: &Index, run: &str, earlier: &[KeyFile], room: Room<'_>) -> Result<IndexPart> {
        let places = Places::new(index.parts().len() as u32, self.rows);
        let writer = PartWriter { folder: &index.folder, run };
        let mut part = IndexPart {
            run: run.to_owned(),
            documents: 0,
            kept: 0,
            texts: 0,
            leaders: 0,
            buckets: 0,
            files: BTreeMap::new(),
        };
        let (keys, sections, members, k, sets) = (self.keys, self.sections.clone(), self.members, self.k, self.sets);
        let kept = self.leave_texts(&places, &writer, &mut part, room)?;
        let mut leading = DocSet::empty(places.rows);
        let (mut n_leaders, mut n_buckets) = (0, 0);
        writer.file(&mut part, "keys", |file, name| {
            let mut buckets = KeyWriter::new(sections.len(), room.dir, room.memory, file, name)?;
            for (number, section) in sections.enumerate().skip(1) {
                let mut last = None;
                leaders(
                    keys,
                    section,
                    k,
                    self::earlier(earlier, number, room)?,
                    room,
                    |doc| members.contains(doc),
                    |key, leader| {
                        let is_kept = kept.contains(leader.doc);
                        if is_kept {
                            leading.insert(leader.doc);
                        }
                        n_leaders += 1;
                        n_buckets += u64::from(last.replace(key) != Some(key));
                        let place = places.of(leader.doc).row();
                        buckets.push(number, KeyRow { key, rank: u64::from(!is_kept), doc: place })
                    },
                )?;
            }
            buckets.finish().map(drop)
        })?;
        (part.leaders, part.buckets) = (n_leaders, n_buckets);
        writer.file(&mut part, "sets", |file, name| {
            let mut writer = SetWriter::new(file, name)?;
            let mut set = Vec::new();
            for doc in leading.iter() {
                let Some(sets) = sets else { break };
                set.clear();
                sets(doc.holder())?.read(doc.row(), &mut set)?;
                writer.push(places.of(doc).row(), &set)?;
            }
            writer.finish().map(drop)
        })?;
        Ok(part)
    }

    /// Writes what texts there are and what the kept documents are called. Returns the latter.
    fn leave_texts(
        self,
        places: &Places<'_>,
        writer: &PartWriter<'_>,
        part: &mut IndexPart,
        room: Room<'_>,
    ) -> Result<DocSet> {
        let mut kept = DocSet::empty(places.rows);
        let mut contents = Sorter::new(room.dir, room.memory);
        let mut drops = self.drops.peekable();
        let (mut documents, mut n_kept) = (0, 0);
        writer.file(part, "names", |file, name| {
            let mut names = RunWriter::new(file, name, NAMES_BLOCK)?;
            for task in 0..places.rows.len() as u32 {
                for row in (self.names)(task)? {
                    let row = row?;
                    let Some(key) = row.key else { continue };
                    documents += 1;
                    if !self.members.contains(row.doc) {
                        continue;
                    }
                    while drops.next_if(|next| next.as_ref().is_ok_and(|next| next.0.doc < row.doc)).is_some() {}
                    let gone = drops.next_if(|next| next.as_ref().map_or(true, |next| next.0.doc == row.doc));
                    let doc = places.of(row.doc);
                    let key_number = u128::from_be_bytes(key);
                    contents.push(match gone.transpose()? {
                        Some(ByDoc(gone)) => {
                            let (kept, similarity) = (places.of(gone.kept), gone.similarity);
                            Content { key: key_number, kept, similarity, copy: false }
                        }
                        None => {
                            kept.insert(row.doc);
                            n_kept += 1;
                            names.push(&NameRow { doc, key: Some(key), id: row.id, size: None })?;
                            Content { key: key_number, kept: doc, similarity: 1.0, copy: true }
                        }
                    })?;
                }
            }
            names.finish().map(drop)
        })?;
        (part.documents, part.kept) = (documents, n_kept);
        let mut texts = 0;
        writer.file(part, "contents", |file, name| {
            let mut rows = RunWriter::new(file, name, BLOCK)?;
            for row in contents.finish()? {
                rows.push(&row?)?;
                texts += 1;
            }
            rows.finish().map(drop)
        })?;
        part.texts = texts;
        Ok(kept)
    }
}

/// Where documents stand in a part.
struct Places<'a> {
    part: u32,
    rows: &'a [u64],
    /// The documents of all tasks before each.
    before: Vec<u64>,
}

impl<'a> Places<'a> {
    fn new(part: u32, rows: &'a [u64]) -> Self {
        let sum = |sum: &mut u64, rows: &u64| {
            let before = *sum;
            *sum += rows;
            Some(before)
        };
        Self { part, rows, before: rows.iter().scan(0, sum).collect() }
    }

    fn of(&self, doc: DocId) -> DocId {
        match doc.holder() {
            Holder::Task(task) => DocId::earlier(self.part, self.before[task as usize] + doc.row()),
            Holder::Part(_) => doc,
        }
    }
}

/// Writes the files of a part.
struct PartWriter<'a> {
    folder: &'a Folder,
    run: &'a str,
}

impl PartWriter<'_> {
    fn file(
        &self,
        part: &mut IndexPart,
        what: &str,
        write: impl FnOnce(&mut Summed, &str) -> Result<()>,
    ) -> Result<()> {
        let path = path(self.run, what);
        let mut file = Summed::new(self.folder.create(&path)?);
        write(&mut file, &self.folder.name_of(&path))?;
        let (bytes, checksum) = file.finish()?;
        part.files.insert(what.to_owned(), PartFile { bytes, checksum: format!("{checksum:032x}") });
        Ok(())
    }
}

fn path(run: &str, what: &str) -> String {
    format!("parts/{run}/{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(key: u128, place: u64) -> Result<Content> {
        Ok(Content { key, kept: DocId::earlier(0, place), similarity: 1.0, copy: true })
    }

    #[test]
    fn texts_are_known_by_their_keys() {
        let rows = [(1, 10), (3, 11), (3, 12), (5, 13)].map(|(key, doc)| Ok(KeyRow { key, rank: 0, doc }));
        let contents = [content(0, 1), content(3, 2), content(4, 3), content(5, 4), content(9, 5)];
        let mut found = Vec::new();
        known(rows.into_iter(), contents.into_iter(), |known| {
            found.push((known.doc.row(), known.kept.row()));
            Ok(())
        })
        .expect("no files");
        assert_eq!(found, [(11, 2), (12, 2), (13, 4)]);
        let broken = [Err(Error::io("contents", "cut short"))];
        let rows = [Ok(KeyRow { key: 1, rank: 0, doc: 2 })];
        assert!(known(rows.into_iter(), broken.into_iter(), |_| Ok(())).is_err());
    }

    #[test]
    fn places_do_not_depend_on_tasks() {
        for rows in [&[2, 0, 5, 1][..], &[1, 6, 1], &[8]] {
            let places = Places::new(3, rows);
            let docs = rows.iter().zip(0..).flat_map(|(n, task)| (0..*n).map(move |row| DocId::new(task, row)));
            assert!(docs.map(|doc| places.of(doc)).eq((0..8).map(|place| DocId::earlier(3, place))));
            assert_eq!(places.of(DocId::earlier(1, 7)), DocId::earlier(1, 7));
        }
    }

    fn part(run: &str) -> IndexPart {
        let files = BTreeMap::new();
        IndexPart { run: run.into(), documents: 1, kept: 1, texts: 1, leaders: 1, buckets: 1, files }
    }

    #[test]
    fn a_part_is_added_once_and_to_what_it_was_compared_with() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        let (first, other) = (Index::empty(&folder, Map::new()), Index::empty(&folder, Map::new()));
        first.add(&part("a")).expect("nobody was there");
        first.add(&part("a")).expect("it is there already");
        let error = other.add(&part("b")).expect_err("it did not see a").to_string();
        assert!(error.contains("it has changed while `b` was at work, which is not added"), "{error}");
        let (now, _) = Index::open(&folder).expect("readable");
        let now = now.expect("there is one");
        assert_eq!(now.parts(), [part("a")]);
        let missing = PartFile { bytes: 1, checksum: String::new() };
        let lost = IndexPart { files: BTreeMap::from([("keys".to_owned(), missing)]), ..part("c") };
        let error = now.add(&lost).expect_err("its file is missing").to_string();
        assert!(error.contains("parts/c/keys: the file is damaged"), "{error}");
        now.add(&part("c")).expect("it has seen a");
        assert_eq!(Index::open(&folder).expect("readable").0.expect("there is one").parts(), [part("a"), part("c")]);
    }

    #[test]
    fn another_layout_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        for (bytes, expected) in [
            (r#"{"format":7,"settings":{},"parts":[]}"#, "its layout is number 7, this program reads 2"),
            (r#"{"format":1,"#, "the file is damaged or incomplete"),
        ] {
            folder.write(INDEX, bytes).expect("written");
            let error = Index::open(&folder).map(drop).expect_err("unreadable").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
