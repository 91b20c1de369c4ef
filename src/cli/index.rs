//! `trommel index`: what earlier corpora had, for later ones to be deduplicated against.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::dedup::{Alike, parse_share};
use super::run::Work;
use super::{LogFormat, out, several};
use crate::budget::Progress;
use crate::engine::indexing::last_of;
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::exchange::index::{Index as Earlier, Manifest};
use crate::report::table::{aligned, bytes, count};
use crate::store::Folder;

/// Makes, extends and shows an index of earlier corpora.
///
/// `trommel dedup --against INDEX` drops from a new corpus what is in the index: what then stays is what one run over
/// all corpora would keep. An index has no texts, but of each document that was kept the set of its shingles.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel index build seen --threshold 0.8 2024/    # what a run over 2024/ would keep
  trommel dedup --against seen --index seen 2025/ out  # deduplicate 2025/ against it, and add it
  trommel index add seen eval-sets/ --run-name eval # add a corpus without writing it
  trommel index show seen

To make an index and deduplicate in one go, give `--index seen` to `trommel dedup`.")]
pub struct Index {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(Build),
    Add(Add),
    Show(Show),
}

/// Makes an index of a corpus, without writing documents.
///
/// It does what `trommel dedup --index` would do, up to the point where documents are written. A run that was stopped
/// goes on when the same command is given again.
#[derive(Args)]
struct Build {
    /// The folder of the index, a new one; here or in a bucket.
    #[arg(value_name = "INDEX", value_parser = NonEmptyStringValueParser::new())]
    index: String,
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://).
    #[arg(required = true, num_args = 1.., value_name = "INPUT", value_parser = NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    /// The similarity from which on two documents count as one, above 0 and at most 1.
    #[arg(long, short, default_value_t = 0.8, value_parser = parse_share, allow_negative_numbers = true)]
    threshold: f64,
    #[command(flatten)]
    alike: Alike,
    /// What this corpus is called in the index; by default as the first input.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    run_name: Option<String>,
    #[command(flatten)]
    work: Work,
}

/// Adds a corpus to an index, without writing documents.
///
/// Documents are compared with each other and with those of the index, as the index says.
#[derive(Args)]
struct Add {
    /// The folder of the index.
    #[arg(value_name = "INDEX", value_parser = NonEmptyStringValueParser::new())]
    index: String,
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://).
    #[arg(required = true, num_args = 1.., value_name = "INPUT", value_parser = NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    /// What this corpus is called in the index; by default as the first input.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    run_name: Option<String>,
    #[command(flatten)]
    work: Work,
}

/// Shows what is in an index.
#[derive(Args)]
struct Show {
    /// The folder of the index.
    #[arg(value_name = "INDEX", value_parser = NonEmptyStringValueParser::new())]
    index: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Index {
    /// Runs the command.
    pub fn run(&self, log: LogFormat) -> anyhow::Result<ExitCode> {
        match &self.command {
            Command::Build(build) => {
                let mut stage = build.alike.settings();
                stage.insert("keep".into(), build.alike.keep());
                stage.insert("threshold".into(), build.threshold.into());
                add(&build.index, &build.inputs, build.run_name.as_deref(), stage, &build.work, log)
            }
            Command::Add(more) => {
                let Manifest { settings, .. } = open(&more.index)?.manifest().clone();
                let mut stage = toml::Table::try_from(&settings)
                    .map_err(|error| Error::refused(format!("{}: its settings: {error}", more.index)))?;
                stage.insert("against".into(), more.index.as_str().into());
                add(&more.index, &more.inputs, more.run_name.as_deref(), stage, &more.work, log)
            }
            Command::Show(Show { index, json }) => {
                let index = open(index)?;
                if *json {
                    out(&(serde_json::to_string_pretty(index.manifest())? + "\n"))?;
                } else {
                    out(&shown(index.manifest()))?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Adds a corpus to an index by the settings of a stage.
fn add(
    index: &str,
    inputs: &[String],
    run_name: Option<&str>,
    mut stage: toml::Table,
    work: &Work,
    log: LogFormat,
) -> anyhow::Result<ExitCode> {
    let name = run_name.map_or_else(|| named_as(&inputs[0]), str::to_owned);
    let all = [("use", "minhash"), ("index", index), ("run_name", name.as_str())];
    stage.extend(all.map(|(key, value)| (key.to_owned(), value.into())));
    let table = toml::Table::from_iter([("stage".to_owned(), vec![stage].into())]);
    // Its own for each corpus, so that one that was stopped does not keep others waiting.
    let output = format!("{}/_building/{name}", index.trim_end_matches('/'));
    let run = work.prepare(table, "index", inputs, &output, None)?;
    let add = |engine: &dyn Engine, progress: &Progress| engine::index(&run, engine, progress);
    let done = work.on_engine(&output, log, add)?;
    for failure in &done.failed {
        tracing::error!("{}: {}", failure.file, failure.message);
    }
    if !done.failed.is_empty() {
        return Ok(ExitCode::from(2));
    }
    let building = Folder::parse(index)?.child("_building");
    if building.list()?.is_empty() {
        building.remove_all("")?;
    }
    out(&shown(open(index)?.manifest()))?;
    Ok(ExitCode::SUCCESS)
}

/// What a corpus is called that is read from this file, folder or pattern.
fn named_as(input: &str) -> String {
    let last = last_of(input);
    let end = [".parquet", ".jsonl", ".ndjson", ".json"].into_iter().find_map(|ending| last.find(ending));
    last[..end.filter(|end| *end > 0).unwrap_or(last.len())].to_owned()
}

fn open(index: &str) -> anyhow::Result<Earlier> {
    let (found, _) = Earlier::open(&Folder::parse(index)?)?;
    Ok(found.ok_or_else(|| {
        Error::refused(format!("{index}: there is no index here; `trommel index build {index} INPUT` makes one"))
    })?)
}

/// What an index has, for people.
fn shown(manifest: &Manifest) -> String {
    let setting = |name: &str| match manifest.settings.get(name) {
        None => "not known".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let [threshold, profile, n, unit, bands, rows, leaders, verify] =
        ["threshold", "profile", "n", "unit", "bands", "rows", "leaders", "verify"].map(setting);
    let parts = &manifest.parts;
    let mut lines = vec![["run", "documents", "kept", "new texts", "buckets", "size"].map(str::to_owned)];
    lines.extend(parts.iter().map(|part| {
        let [documents, kept, texts, buckets] = [part.documents, part.kept, part.texts, part.buckets].map(count);
        [part.run.clone(), documents, kept, texts, buckets, bytes(part.bytes())]
    }));
    format!(
        "{}, alike from {threshold} up: {n} {unit} a shingle, {bands} bands of {rows} rows, {leaders} leaders a bucket, \
         profile {profile}, verify {verify}\n\n{}",
        several(parts.len() as u64, "run"),
        aligned(&lines),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_is_called_as_what_it_is_read_from() {
        let check = |input: &str, name: &str| assert_eq!(named_as(input), name);
        check("a/2024-10/", "2024-10");
        check("2024.10", "2024.10");
        check("s3://bucket/wiki.parquet", "wiki");
        check("x.jsonl.gz", "x");
        check(".jsonl", ".jsonl");
    }
}
