//! Which texts are alike, in an exchange: what its stages take note of, and what is known from before.

use std::sync::Arc;

use arrow::array::{FixedSizeBinaryArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::Meeting;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::links::{Link, Linked, name};
use crate::exchange::record::{Record, take};
use crate::exchange::sort::{Sorted, Sorter, merge_files};
use crate::format::input::InputFile;
use crate::format::write::ShardWriter;
use crate::format::{self, Columns};
use crate::pipeline::OutputSettings;
use crate::plan::{Part, Piece};
use crate::reuse::key_column::KeyColumn;
use crate::stage::{Edge, Rows, key_type};
use crate::store::Folder;

/// How much of a file is read at a time.
const WINDOW: u64 = 1 << 20;
/// The rows that are written at once.
const SLICE_ROWS: usize = 8192;

/// What stages have taken note of.
pub(super) struct Links {
    noted: Sorter<Linked>,
    /// Files of what was noted up to the times it was read.
    files: Vec<String>,
}

impl Links {
    pub(super) fn new(noted: Sorter<Linked>) -> Self {
        Self { noted, files: Vec::new() }
    }

    pub(super) fn note(&mut self, edge: Edge) -> Result<()> {
        self.noted.push(Linked::new(edge))
    }
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

impl Meeting<'_> {
    /// What stages have noted so far, named.
    fn noted(&mut self) -> Result<Option<Sorted<Link>>> {
        let memory = self.memory(8);
        if !self.links.noted.is_empty() {
            let path = self.path("links");
            let spill = self.spill();
            let noted = std::mem::replace(&mut self.links.noted, Sorter::new(spill, memory));
            noted.write_to(&path)?;
            self.links.files.push(path.display().to_string());
        }
        if self.links.files.is_empty() {
            return Ok(None);
        }
        let linked = merge_files::<Linked>(&self.links.files, memory, false)?;
        let room = Room { dir: self.spill(), memory };
        name(linked, &|holder| self.names(holder), room).map(Some)
    }

    /// What is known of texts that are alike.
    pub(super) fn all_links(&mut self, runs: &[String]) -> Result<Rows<(u128, u128)>> {
        let mut links = Sorter::unique(self.spill(), self.memory(8));
        let mut add = |from: u128, to: u128| {
            if from == to {
                return Ok(());
            }
            links.push(OneWay { from, to })?;
            links.push(OneWay { from: to, to: from })
        };
        for link in self.noted()?.into_iter().flatten() {
            let link = link?;
            add(link.from, link.to)?;
        }
        let own = self.cut.run_dir.folder().child("_trommel/links");
        // Later passes have not been yet; what a broken-off attempt has left of them does not count.
        let earlier = |path: &str| {
            let pass = path.split('-').next().and_then(|pass| pass.parse::<usize>().ok());
            pass.is_some_and(|pass| pass <= self.cut.pass.index)
        };
        for found in own.list()?.iter().filter(|found| earlier(&found.path)) {
            each_link(&own, &found.path, &mut add)?;
        }
        for run in runs {
            let folder = Folder::parse(run)?;
            if folder.find("_trommel/run.json")?.is_none() {
                return Err(Error::refused(format!(
                    "{run}: this is not the output folder of a run, so there are no links in it"
                )));
            }
            let folder = folder.child("_trommel/links");
            for found in folder.list()? {
                each_link(&folder, &found.path, &mut add)?;
            }
        }
        Ok(Box::new(links.finish()?.map(|link| link.map(|link| (link.from, link.to)))))
    }

    /// Leaves what stages have noted beside the links from documents that are dropped.
    pub(super) fn leave_links(&mut self) -> Result<()> {
        let Some(links) = self.noted()? else { return Ok(()) };
        let schema = Arc::new(Schema::new(vec![
            Field::new("dropped_key", key_type(), false),
            Field::new("kept_key", key_type(), false),
            Field::new("similarity", DataType::Float64, true),
        ]));
        let stem = format!("_trommel/links/{}-pairs", self.cut.pass.index + 1);
        let settings = OutputSettings { row_group_rows: 1 << 20, ..OutputSettings::default() };
        let mut writer = ShardWriter::create(self.cut.run_dir.folder(), &stem, &schema, "", &settings)?;
        let mut slice: Vec<Link> = Vec::with_capacity(SLICE_ROWS);
        let mut write = |slice: &mut Vec<Link>| {
            let failed = |error| Error::io("links", error);
            let keys = |pick: fn(&Link) -> u128| {
                FixedSizeBinaryArray::try_from_iter(slice.iter().map(|link| pick(link).to_be_bytes())).map_err(failed)
            };
            if slice.is_empty() {
                return Ok(());
            }
            let similarity: Float64Array =
                slice.iter().map(|link| (!link.similarity.is_nan()).then_some(link.similarity)).collect();
            let (from, to) = (keys(|link| link.from)?, keys(|link| link.to)?);
            let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(from), Arc::new(to), Arc::new(similarity)];
            slice.clear();
            writer.write(&RecordBatch::try_new(schema.clone(), columns).map_err(failed)?)
        };
        for link in links {
            slice.push(link?);
            if slice.len() == SLICE_ROWS {
                write(&mut slice)?;
            }
        }
        write(&mut slice)?;
        writer.finish().map(drop)
    }
}

/// Shows the pairs of a file of links.
fn each_link(folder: &Folder, path: &str, show: &mut dyn FnMut(u128, u128) -> Result<()>) -> Result<()> {
    let file = InputFile::own(folder, path)?;
    let names = ["dropped_key", "kept_key"];
    let columns = Columns { text: String::new(), others: Some(names.map(str::to_owned).to_vec()) };
    let schema = format::inspect(&file, names[0], names[1]).schema;
    let fields = names.map(|name| match schema.as_ref().and_then(|schema| schema.field_with_name(name).ok()) {
        Some(field) => field.clone(),
        None => Field::new(name, DataType::Utf8, true),
    });
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let mut reader = format::open(&file, &Piece { shard: 0, part: Part::All }, &columns, WINDOW)?;
    let failed = |message: String| Error::io(&file.name, message);
    while let Some(chunk) = reader.next_chunk()? {
        let batch = chunk.decode(&schema, "").map_err(failed)?.batch;
        let [from, to] = names.map(|name| {
            let column = batch.column_by_name(name).ok_or_else(|| failed(format!("there is no column `{name}`")))?;
            KeyColumn::new(column).map_err(|message| failed(format!("column `{name}`: {message}")))
        });
        let (from, to) = (from?, to?);
        for row in 0..batch.num_rows() {
            let key = |keys: &KeyColumn| keys.get(row).ok_or_else(|| failed(format!("row {row} is no link")));
            show(u128::from_be_bytes(key(&from)?), u128::from_be_bytes(key(&to)?))?;
        }
    }
    Ok(())
}
