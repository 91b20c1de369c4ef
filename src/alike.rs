//! Which texts are known to be alike: the links that deduplicating runs have left in their output folders.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::record::{Record, take};
use crate::exchange::sort::{Sorter, TempRun};
use crate::format::input::InputFile;
use crate::format::{self, Columns};
use crate::plan::{Part, Piece};
use crate::reuse::key_column::KeyColumn;
use crate::run_dir::LINKS;
use crate::stage::Rows;
use crate::store::Folder;

/// How much of a file is read at a time.
const WINDOW: u64 = 1 << 20;

/// Texts that are alike, as they come.
pub struct Alike {
    links: Sorter<OneWay>,
}

impl Alike {
    /// None so far. What does not fit in memory is sorted through files.
    pub fn new(room: Room<'_>) -> Self {
        Self { links: Sorter::unique(room.dir, room.memory) }
    }

    /// Adds that two texts are alike, by their content keys.
    pub fn add(&mut self, one: u128, other: u128) -> Result<()> {
        if one == other {
            return Ok(());
        }
        self.links.push(OneWay { from: one, to: other })?;
        self.links.push(OneWay { from: other, to: one })
    }

    /// Adds what the run in an output folder has left. Refused if there is no run.
    pub fn add_run(&mut self, run: &str) -> Result<()> {
        let folder = links_of(run)?;
        folder.list()?.iter().try_for_each(|found| self.add_file(&folder, &found.path))
    }

    /// Adds the pairs in a file of links.
    pub fn add_file(&mut self, folder: &Folder, path: &str) -> Result<()> {
        let file = InputFile::own(folder, path)?;
        let names = ["dropped_key", "kept_key"];
        let columns = Columns { text: String::new(), others: Some(names.map(str::to_owned).to_vec()) };
        let schema = format::columns(&file)?;
        let fields = names.map(|name| match schema.as_ref().and_then(|schema| schema.field_with_name(name).ok()) {
            Some(field) => field.clone(),
            None => Field::new(name, DataType::Utf8, true),
        });
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let mut reader = format::open(&file, &Piece { shard: 0, part: Part::All }, &columns, WINDOW)?;
        let failed = |message: String| Error::io(&file.name, message);
        while let Some(chunk) = reader.next_chunk()? {
            let batch = chunk.decode(&schema, "").map_err(failed)?.batch;
            let [dropped, kept] = names.map(|name| {
                let column =
                    batch.column_by_name(name).ok_or_else(|| failed(format!("there is no column `{name}`")))?;
                KeyColumn::new(column).map_err(|message| failed(format!("column `{name}`: {message}")))
            });
            let (dropped, kept) = (dropped?, kept?);
            for row in 0..batch.num_rows() {
                let key = |keys: &KeyColumn| keys.get(row).ok_or_else(|| failed(format!("row {row} is no link")));
                self.add(u128::from_be_bytes(key(&dropped)?), u128::from_be_bytes(key(&kept)?))?;
            }
        }
        Ok(())
    }

    /// All of them both ways round, in order, each once.
    pub fn finish(self) -> Result<Rows<(u128, u128)>> {
        Ok(Box::new(self.links.finish()?.map(pair)))
    }

    /// Likewise, to be read as often as one likes.
    pub fn into_temp_run(self) -> Result<AlikeRun> {
        self.links.into_temp_run().map(AlikeRun)
    }
}

/// The folder with the links of a run, by its output folder. Refused if that is none.
pub fn links_of(run: &str) -> Result<Folder> {
    let folder = Folder::parse(run)?;
    if folder.find("_trommel/run.json")?.is_some() {
        return Ok(folder.child(LINKS));
    }
    Err(Error::refused(format!("{run}: this is not the output folder of a run, so there are no links in it")))
}

/// Texts that are alike, in a temporary file.
pub struct AlikeRun(TempRun<OneWay>);

impl AlikeRun {
    /// All of them both ways round, in order, each once. They are read about `buffer` bytes at a time.
    pub fn rows(&self, buffer: usize) -> Result<Rows<(u128, u128)>> {
        Ok(Box::new(self.0.rows(buffer)?.map(pair)))
    }
}

fn pair(link: Result<OneWay>) -> Result<(u128, u128)> {
    link.map(|OneWay { from, to }| (from, to))
}

/// A pair of texts, one way round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OneWay {
    from: u128,
    to: u128,
}

impl Record for OneWay {
    const KIND: u32 = 24;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.from.to_le_bytes());
        out.extend_from_slice(&self.to.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let from = u128::from_le_bytes(take(bytes)?);
        Some(Self { from, to: u128::from_le_bytes(take(bytes)?) })
    }
}
