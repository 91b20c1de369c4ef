//! The passes of a run over documents of one schema: what whoever takes a task through one of them must know.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::chain::Chain;
use crate::error::Result;
use crate::format::input::InputFile;
use crate::format::{self, Columns};
use crate::pipeline::{Pass, Pipeline};
use crate::plan::{Part, Piece};
use crate::run_dir::RunDir;
use crate::task::{PassJob, Source, TaskReport};

/// The passes of a pipeline, with their stages ready for the documents they will get.
pub struct Passes {
    pipeline: Arc<Pipeline>,
    list: Vec<Pass>,
    chains: Vec<Chain>,
    /// The schema of what each pass reads, and after the last that of the documents that stay.
    sources: Vec<SchemaRef>,
}

impl Passes {
    /// Cuts a pipeline into passes over documents of the schema `input`. What the stages add and need is checked
    /// against it.
    pub fn new(pipeline: &Arc<Pipeline>, input: &SchemaRef) -> Result<Self> {
        let list = pipeline.passes();
        let mut sources = vec![input.clone()];
        let mut chains = Vec::with_capacity(list.len());
        for pass in &list {
            let source = &sources[pass.index];
            // A pass that leaves no documents reads only some columns of them; what it adds is added again by the next.
            let whole = Chain::new(pipeline.clone(), pass, source)?;
            let chain = if pass.writes {
                whole
            } else {
                let narrow = read_schema(&whole, pass, source, &pipeline.input.text_column);
                Chain::new(pipeline.clone(), pass, &narrow)?
            };
            let next = if pass.writes { chain.kept_schema().clone() } else { source.clone() };
            sources.push(next);
            chains.push(chain);
        }
        Ok(Self { pipeline: pipeline.clone(), list, chains, sources })
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// The passes, in order.
    pub fn list(&self) -> &[Pass] {
        &self.list
    }

    /// The schema of what is read after `pass` passes: of the input after none, of the documents that stay after all.
    pub fn schema_after(&self, passes: usize) -> &SchemaRef {
        &self.sources[passes]
    }

    /// A pass, ready to take tasks through it. It reads only the columns that it looks at if it leaves no documents,
    /// unless it is told to read the `whole` of them.
    pub fn job<'r>(&'r self, pass: usize, whole: bool, run_dir: &'r RunDir) -> PassJob<'r> {
        let (pass, chain, pipeline) = (&self.list[pass], &self.chains[pass], &*self.pipeline);
        let text_column = &pipeline.input.text_column;
        PassJob {
            pass: pass.index,
            last: pass.emits.is_empty(),
            writes: pass.writes,
            chain,
            schema: read_schema(chain, pass, &self.sources[pass.index], text_column),
            columns: Columns {
                text: text_column.clone(),
                others: (!pass.writes && !whole).then(|| chain.columns_read()),
            },
            text_column,
            output: pipeline.output.clone(),
            run_dir,
            rulings_of: pass.index.checked_sub(1),
        }
    }

    /// Where the rows of a task can be read again after a pass: in what it has written, or where it read them itself.
    pub fn source_after(&self, pass: usize, task: &TaskReport, source: Source, run_dir: &RunDir) -> Result<Source> {
        if !self.list[pass].writes {
            return Ok(Source { piece_rows: Some(task.piece_rows.clone()), ..source });
        }
        let extension = format::write::between_passes(&self.pipeline.output).format.extension();
        let path = format!("{}.{extension}", RunDir::kept_stem(pass, false, task.task));
        let file = InputFile::own(run_dir.folder(), &path)?;
        Ok(Source {
            pieces: vec![(file, Piece { shard: 0, part: Part::All })],
            limit: None,
            piece_rows: Some(vec![task.tally.rows_kept]),
        })
    }
}

/// The columns a pass reads: all of them if it leaves documents, else only those it looks at.
fn read_schema(chain: &Chain, pass: &Pass, source: &SchemaRef, text_column: &str) -> SchemaRef {
    if pass.writes {
        return source.clone();
    }
    let read = chain.columns_read();
    let wanted = |field: &&Arc<Field>| field.name() == text_column || read.contains(field.name());
    Arc::new(Schema::new(source.fields().iter().filter(wanted).cloned().collect::<Vec<_>>()))
}
