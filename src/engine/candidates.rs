//! The sets of documents, made from their texts once more: of those that may be alike, not of all.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::{Schema, SchemaRef};

use super::Cut;
use super::local::Local;
use crate::budget::{Budget, Progress};
use crate::chain::Strings;
use crate::doc::DocId;
use crate::error::{Error, Result};
use crate::exchange::sets::SetWriter;
use crate::format::Columns;
use crate::stage::{DocSet, PairJudge};
use crate::task::{self, Reading, Resources, Source, Work};

/// The texts of a task.
pub(super) struct Texts<'r> {
    /// The task.
    pub(super) task: u32,
    /// Where they are read.
    pub(super) source: &'r Source,
    /// The schema of what is read.
    pub(super) schema: &'r SchemaRef,
    /// The column that they are in.
    pub(super) text_column: &'r str,
    /// The tasks that are read at once, which share the desk's memory.
    pub(super) at_once: usize,
}

impl<'r> Texts<'r> {
    /// The texts of a task between two passes.
    pub(super) fn of(cut: &'r Cut<'_>, task: u32) -> Self {
        let (source, schema) = (&cut.sources[task as usize], &cut.schema);
        Self { task, source, schema, text_column: &cut.pipeline.input.text_column, at_once: 1 }
    }

    /// Writes the sets of those that are in `docs`. Returns their number.
    pub(super) fn write_sets(
        &self,
        docs: &DocSet,
        judge: &dyn PairJudge,
        desk: &Local,
        progress: &Progress,
        out: impl Write,
        name: &str,
    ) -> Result<u64> {
        let mut writer = SetWriter::new(out, name)?;
        self.each_set(docs, judge, desk, progress, &|doc, set| (doc.row(), set), &mut |sets| {
            desk.spill().check_room(sets.iter().map(|(_, set)| set.len() as u64 * 8).sum())?;
            sets.iter().try_for_each(|(row, set)| writer.push(*row, set))
        })?;
        writer.finish()
    }

    /// Makes the sets of those that are in `docs`, makes something `of` each set on the pool, and hands that over in
    /// the order of the rows, a batch at a time.
    pub(super) fn each_set<T: Send>(
        &self,
        docs: &DocSet,
        judge: &dyn PairJudge,
        desk: &Local,
        progress: &Progress,
        of: &(dyn Fn(DocId, Vec<u64>) -> T + Sync),
        consume: &mut dyn FnMut(Vec<T>) -> Result<()>,
    ) -> Result<()> {
        let schema = Arc::new(Schema::new(
            self.schema.field_with_name(self.text_column).map_or_else(|_| vec![], |field| vec![field.clone()]),
        ));
        let memory = desk.memory() / self.at_once as u64;
        let budget = Budget::new(memory / 4);
        let resources = Resources {
            pool: desk.pool(),
            budget: &budget,
            progress,
            in_flight: desk.in_flight(self.at_once),
            window: memory / 16,
            key_memory: 0,
            spill: desk.spill(),
        };
        let columns = Columns { text: self.text_column.to_owned(), others: Some(Vec::new()) };
        let work = |work: Work| -> Result<Vec<T>> {
            let texts = Strings::new(work.decoded.batch.column(0)).map_err(|error| Error::io("a batch", error))?;
            let rows = (0..work.decoded.batch.num_rows()).filter_map(|row| {
                let doc = DocId::new(self.task, work.first_row + row as u64);
                let text = texts.get(row).filter(|_| docs.contains(doc))?;
                let mut set = Vec::new();
                judge.set(text, &mut set);
                Some(of(doc, set))
            });
            Ok(rows.collect())
        };
        let reading =
            Reading { source: self.source, schema: &schema, columns: &columns, text_column: self.text_column };
        task::stream(&reading, None, &resources, &work, &mut |sets, _| {
            progress.rows.fetch_add(sets.len() as u64, Ordering::Relaxed);
            consume(sets)
        })?;
        Ok(())
    }
}
