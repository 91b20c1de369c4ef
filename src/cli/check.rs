//! `trommel check`: whether pipelines are sound, and what they will do.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::run::{InputColumns, TaskSize, read_table};
use super::{out, several};
use crate::engine::{self, Overview};
use crate::pipeline::{Pass, Pipeline};
use crate::plan::Layout;
use crate::report::table::bytes;
use crate::stage::{Need, NeedKind};

/// Checks pipeline files, and shows what they will do.
///
/// Every setting is checked, and the rules between stages. For each file it prints the passes that the stages
/// are cut into, and the columns they need and add. If there is an input, named by the pipeline or with
/// --input, the columns are held against those of the input as well. No documents are read, and nothing is
/// written.
///
/// A corpus stage stands in two passes: in one, documents send it their `keys`; in the next, they meet its
/// `rulings`. What runs `again` adds columns that the pass before, which wrote nothing, could not hand on.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel check pipelines/*.toml
  trommel check pipelines/web.toml --input 's3://corpus/raw/*.parquet'

Exit codes: 0 all are sound; 1 at least one is not; 2 all are sound, but some input files cannot be read.")]
pub struct Check {
    /// The pipeline files (TOML).
    #[arg(required = true, value_name = "PIPELINE")]
    pipelines: Vec<PathBuf>,
    /// Input to hold the pipelines against, in place of what they name themselves: files, folders, globs or
    /// URLs; several can be named.
    #[arg(long, short, num_args = 1.., value_name = "PATH")]
    input: Vec<String>,
    #[command(flatten)]
    columns: InputColumns,
    /// How the input is cut, as by `trommel run`.
    #[command(flatten)]
    tasks: TaskSize,
}

impl Check {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (mut any_bad, mut any_unreadable) = (false, false);
        for (i, path) in self.pipelines.iter().enumerate() {
            match self.check(path) {
                Ok(checked) => {
                    any_unreadable |= checked.unreadable;
                    out(&format!("{}{}", if i == 0 { "" } else { "\n" }, checked.text))?;
                }
                // The other files are worth a look too.
                Err(error) => {
                    any_bad = true;
                    tracing::error!("{error:#}");
                }
            }
        }
        Ok(ExitCode::from(match (any_bad, any_unreadable) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        }))
    }

    fn check(&self, path: &Path) -> anyhow::Result<Checked> {
        let place = path.display().to_string();
        let mut table = read_table(path)?;
        self.columns.over(&mut table);
        let pipeline = Arc::new(Pipeline::from_table(table, &place)?);
        let mut checked = Checked { text: format!("{place}: sound\n"), unreadable: false };
        describe(&pipeline, &mut checked.text);
        let inputs = if self.input.is_empty() { &pipeline.input.files } else { &self.input };
        if !inputs.is_empty() {
            let overview = engine::look(&pipeline, inputs, self.tasks.bytes()).with_context(|| place)?;
            checked.add_input(&overview);
        }
        Ok(checked)
    }
}

/// A sound pipeline.
struct Checked {
    /// What it will do.
    text: String,
    /// Whether a file of its input cannot be read.
    unreadable: bool,
}

impl Checked {
    fn add_input(&mut self, overview: &Overview) {
        let size = overview.shards.iter().map(|shard| shard.size).sum();
        let mut rows = Some(0);
        for shard in &overview.shards {
            let known = match &shard.layout {
                Layout::RowGroups(groups) => Some(groups.iter().map(|group| group.rows).sum::<u64>()),
                Layout::Lines | Layout::Stream => None,
                Layout::Unreadable(_) => Some(0),
            };
            rows = rows.zip(known).map(|(all, rows)| all + rows);
        }
        let rows = rows.map_or(String::new(), |rows| format!(", {}", several(rows, "row")));
        let n_files = several(overview.shards.len() as u64, "file");
        let n_tasks = several(overview.n_tasks as u64, "task");
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "  input: {n_files}, {}{rows}, {n_tasks}", bytes(size));
        let names = |schema: &arrow::datatypes::Schema| {
            schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(self.text, "  columns read: {}", names(&overview.input));
        let _ = writeln!(self.text, "  columns kept: {}", names(&overview.kept));
        for shard in &overview.shards {
            if let Layout::Unreadable(message) = &shard.layout {
                self.unreadable = true;
                tracing::error!("{}: {message}", shard.name);
            }
        }
    }
}

/// The passes with their stages, and the columns needed.
fn describe(pipeline: &Pipeline, text: &mut String) {
    let passes = pipeline.passes();
    let rows: Vec<Vec<[String; 3]>> = passes.iter().map(|pass| stages(pipeline, pass)).collect();
    let width = |column: usize| rows.iter().flatten().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (family_width, name_width) = (width(0), width(1));
    // Writing to a string does not fail.
    for (pass, rows) in passes.iter().zip(&rows) {
        let does = match (pass.writes, rows.is_empty()) {
            (false, _) => ": only looks at the documents",
            (true, true) => ": no stages, documents stay as they are",
            (true, false) => "",
        };
        let _ = writeln!(text, "  pass {} of {}{does}", pass.index + 1, passes.len());
        for [family, name, notes] in rows {
            let line = format!("    {family:<family_width$}  {name:<name_width$}  {notes}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    let needs = pipeline.needs();
    if !needs.is_empty() {
        let need = |need: &Need| {
            let kind = if need.kind == NeedKind::Number { "number" } else { "string" };
            format!("{} ({kind})", need.column)
        };
        let _ =
            writeln!(text, "  looks at the input columns: {}", needs.keys().map(need).collect::<Vec<_>>().join(", "));
    }
}

/// The stages of a pass: what each does there, its name, and the rest.
fn stages(pipeline: &Pipeline, pass: &Pass) -> Vec<[String; 3]> {
    let stage = |&i: &usize, does: Option<&str>, with_columns: bool| {
        let spec = &pipeline.stages[i];
        let family = crate::pipeline::entry(spec.kind).map_or("", |entry| entry.family);
        let mut notes = Vec::new();
        if spec.name != spec.kind {
            notes.push(format!("({})", spec.kind));
        }
        if !spec.when.is_always() {
            notes.push(spec.when.to_string());
        }
        let columns = spec.stage.columns();
        if with_columns && !columns.is_empty() {
            let names: Vec<_> = columns.iter().map(|field| field.name().as_str()).collect();
            notes.push(format!("adds {}", names.join(", ")));
        }
        [does.unwrap_or(family).to_owned(), spec.name.clone(), notes.join("; ")]
    };
    let replays = pass.replays.iter().map(|i| stage(i, Some("again"), false));
    let rulings = pass.rulings.iter().map(|i| stage(i, Some("rulings"), true));
    let local = pass.local.iter().map(|i| stage(i, None, true));
    let emits = pass.emits.iter().map(|i| stage(i, Some("keys"), false));
    replays.chain(rulings).chain(local).chain(emits).collect()
}
