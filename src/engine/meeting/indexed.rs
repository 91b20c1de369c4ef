//! The index of earlier corpora in an exchange: what is read of it, and what is left for it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::Meeting;
use crate::doc::Holder;
use crate::engine::indexing::Indexing;
use crate::error::{Error, Result};
use crate::exchange::drops::{ByDoc, DropRow};
use crate::exchange::group::{Room, section_rows};
use crate::exchange::index::{Corpus, Index, IndexPart, earlier, known};
use crate::exchange::keys::KeyFile;
use crate::exchange::names::NameRow;
use crate::exchange::record::{KeyRow, KnownRow};
use crate::exchange::sets::SetFile;
use crate::exchange::sort::{RunReader, Sorter, merge_files};
use crate::run_dir::RunDir;
use crate::stage::{DocSet, Known, Rows};

/// What an exchange has of the index, and leaves for it.
#[derive(Default)]
pub(super) struct Earlier {
    /// The key files of its parts, once they are needed.
    keys: Vec<KeyFile>,
    /// What this corpus adds.
    leaves: Option<Leaves>,
}

struct Leaves {
    stage: usize,
    /// The sections of the stage, among those of the key files.
    sections: Range<usize>,
    k: usize,
    members: DocSet,
    /// The sets of all members, once they are made.
    sets: BTreeMap<u32, Arc<SetFile>>,
}

impl Meeting<'_> {
    /// The index, if the stage that resolves reads it.
    fn read(&self) -> Option<&Indexing> {
        self.cut.index.filter(|indexing| indexing.stage == self.stage && indexing.how.reads)
    }

    /// Opens what buckets the index has.
    pub(super) fn open_earlier(&mut self, sections: usize) -> Result<()> {
        if let Some(indexing) = self.read() {
            self.earlier.keys = indexing.index.key_files(sections)?;
        } else {
            self.earlier.keys.clear();
        }
        Ok(())
    }

    /// The leaders of a section that the index has.
    pub(in crate::engine) fn earlier_leaders(&self, section: usize, memory: usize) -> Result<Rows<KeyRow>> {
        earlier(&self.earlier.keys, section, Room { dir: self.spill(), memory })
    }

    /// The documents whose texts the index has.
    pub(super) fn known_texts(&self) -> Result<Rows<Known>> {
        let memory = self.memory(4);
        let room = Room { dir: self.spill(), memory };
        let mut found = Sorter::new(self.spill(), memory);
        if let Some(indexing) = self.read() {
            let rows = section_rows(self.key_files()?, self.section, room)?;
            let alive = rows.filter(|row| row.as_ref().map_or(true, |row| !self.gone.contains(row.ranked().doc)));
            known(alive, indexing.index.contents(room)?, |known| found.push(KnownRow(known)))?;
        }
        Ok(Box::new(found.finish()?.map(|row| row.map(|row| row.0))))
    }

    /// Takes note of what the stage is about to rule on.
    pub(super) fn begin_leaving(&mut self, sections: Range<usize>, k: usize) -> Result<()> {
        use crate::stage::Exchange;
        let members = self.members(0)?;
        let sections = self.section..self.section + sections.end;
        self.earlier.leaves = Some(Leaves { stage: self.stage, sections, k, members, sets: BTreeMap::new() });
        Ok(())
    }

    /// The index that the stage reads, and how many sections it has there.
    pub(in crate::engine) fn earlier_index(&self) -> Option<(&Index, usize)> {
        let sections = self.earlier.keys.first()?.n_sections();
        Some((&self.read()?.index, sections))
    }

    /// The documents whose sets the index will need.
    pub(in crate::engine) fn leaving(&self) -> Option<&DocSet> {
        let leaves = self.earlier.leaves.as_ref().filter(|leaves| leaves.stage == self.stage)?;
        Some(&leaves.members)
    }

    /// Keeps the sets that were made, if the index will need them.
    pub(in crate::engine) fn keep_sets(&mut self, sets: &BTreeMap<u32, Arc<SetFile>>) {
        if let Some(leaves) = self.earlier.leaves.as_mut().filter(|leaves| leaves.stage == self.stage) {
            leaves.sets.clone_from(sets);
        }
    }

    /// The sets of a part of the index.
    pub(in crate::engine) fn earlier_sets(&self, part: u32) -> Result<Arc<SetFile>> {
        let indexing = self.read().ok_or_else(|| Error::io(Holder::Part(part), "there is no index"))?;
        indexing.index.sets(part, self.spill())
    }

    /// What the documents of a task, or of a part of the index, are called.
    pub(super) fn names(&self, holder: Holder) -> Result<Rows<NameRow>> {
        let task = match holder {
            Holder::Task(task) => task,
            Holder::Part(part) => {
                let indexing = self.cut.index.ok_or_else(|| Error::io(holder, "there is no index"))?;
                return indexing.index.names(part);
            }
        };
        if let Some(pairs) = self.cut.pairs {
            return Ok(Box::new(pairs.names(task)?));
        }
        let folder = self.cut.run_dir.folder();
        let path = RunDir::part(self.cut.pass.index, "names", task);
        Ok(Box::new(RunReader::open(folder.open(&path)?, &folder.name_of(&path), 256 << 10)?))
    }

    /// What the run of a part of the index is called.
    pub(super) fn run_of(&self, part: u32) -> Option<String> {
        self.cut.index?.index.parts().get(part as usize).map(|part| part.run.clone())
    }

    /// Writes what the corpus adds to the index. `drops` is the file of the settled drops.
    pub(super) fn leave(&mut self, drops: &str) -> Result<Option<IndexPart>> {
        let (Some(indexing), Some(leaves)) = (self.cut.index, self.earlier.leaves.take()) else { return Ok(None) };
        let memory = self.memory(4);
        let mut by_doc = Sorter::new(self.spill(), memory);
        for row in merge_files::<DropRow>(&[drops.to_owned()], memory, false)? {
            let row = row?;
            if leaves.members.contains(row.doc) {
                by_doc.push(ByDoc(row))?;
            }
        }
        let sets = |holder| match holder {
            Holder::Task(task) => leaves.sets.get(&task).cloned().ok_or_else(|| Error::io(holder, "it has no sets")),
            Holder::Part(_) => Err(Error::io(holder, "its sets are no part of this corpus")),
        };
        let corpus = Corpus {
            keys: self.key_files()?,
            sections: leaves.sections.clone(),
            k: leaves.k,
            rows: &self.cut.rows,
            members: &leaves.members,
            drops: Box::new(by_doc.finish()?),
            names: &|task| self.names(Holder::Task(task)),
            sets: if leaves.sets.is_empty() { None } else { Some(&sets) },
        };
        let earlier = if indexing.how.reads { indexing.index.key_files(leaves.sections.len())? } else { Vec::new() };
        let room = Room { dir: self.spill(), memory };
        corpus.leave(&indexing.index, &indexing.run, &earlier, room).map(Some)
    }
}
