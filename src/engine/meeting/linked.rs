//! Which texts are alike, in an exchange: what its stages take note of, and what is known from before.

use std::sync::Arc;

use arrow::array::{FixedSizeBinaryArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::Meeting;
use crate::alike::Alike;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::links::{Link, Linked, name};
use crate::exchange::sort::{Sorted, Sorter, merge_files};
use crate::format::write::ShardWriter;
use crate::pipeline::OutputSettings;
use crate::run_dir::LINKS;
use crate::stage::{Edge, Rows, key_type};

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
        let mut alike = Alike::new(Room { dir: self.spill(), memory: self.memory(8) });
        for link in self.noted()?.into_iter().flatten() {
            let link = link?;
            alike.add(link.from, link.to)?;
        }
        let own = self.cut.run_dir.folder().child(LINKS);
        // Later passes have not been yet; what a broken-off attempt has left of them does not count.
        let earlier = |path: &str| {
            let pass = path.split('-').next().and_then(|pass| pass.parse::<usize>().ok());
            pass.is_some_and(|pass| pass <= self.cut.pass.index)
        };
        for found in own.list()?.iter().filter(|found| earlier(&found.path)) {
            alike.add_file(&own, &found.path)?;
        }
        runs.iter().try_for_each(|run| alike.add_run(run))?;
        alike.finish()
    }

    /// Leaves what stages have noted beside the links from documents that are dropped.
    pub(super) fn leave_links(&mut self) -> Result<()> {
        let Some(links) = self.noted()? else { return Ok(()) };
        let schema = Arc::new(Schema::new(vec![
            Field::new("dropped_key", key_type(), false),
            Field::new("kept_key", key_type(), false),
            Field::new("similarity", DataType::Float64, true),
        ]));
        let stem = format!("{}/{}-pairs", LINKS, self.cut.pass.index + 1);
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
