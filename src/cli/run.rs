//! `trommel run`: a corpus through a pipeline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::{LogFormat, out, progress};
use crate::budget::Progress;
use crate::chain::NULL_TEXT;
use crate::encoding::Encoding;
use crate::engine::local::Local;
use crate::engine::recut::Recut;
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::pipeline::{OutputFormat, Pipeline, Rejects, keep_pins};
use crate::report::table::{bytes, said};
use crate::run_dir::{Identity, RunDir};
use crate::store::Folder;

/// Takes a corpus through a pipeline.
///
/// Reads Parquet and JSON Lines shards from folders or buckets, and leaves `kept/`, `rejected/` (every drop
/// with its reason) and `report.json` in the output folder. A run that was stopped, by whatever, goes on where
/// it was when the same command is given again.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel run pipelines/quickstart.toml --output out
  trommel run pipelines/web.toml --input 's3://corpus/raw/*.parquet' --output clean
  trommel run pipelines/web.toml --input shards --output test --limit 10000

Exit codes: 0 done; 1 refused or failed; 2 finished, but some files could not be read to the end
(they are listed, and the same command tries them again), or a stage with guards = \"fail\" called
something out; 130 interrupted, can be continued.")]
pub struct Run {
    /// The pipeline file (TOML).
    pipeline: PathBuf,
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://); several can be named. May be
    /// left out if the pipeline names its own under `[input] files`.
    #[arg(long, short, num_args = 1.., value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    input: Vec<String>,
    /// The output folder: new or empty, or that of the same run, which is then continued.
    #[arg(long, short, value_name = "FOLDER", value_parser = NonEmptyStringValueParser::new())]
    output: String,
    #[command(flatten)]
    common: Common,
}

/// What all commands that leave a corpus have in common.
#[derive(Args)]
pub struct Common {
    /// What is read, and with what.
    #[command(flatten)]
    pub work: Work,
    /// The format of the output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<OutputFormat>,
    /// The zstd level of the output, 1 to 22.
    #[arg(long, value_name = "LEVEL", value_parser = parse_whole::<i32>, allow_negative_numbers = true)]
    pub compression_level: Option<i32>,
    /// What is written of documents that go, beside the reason: all their columns, or all but the text.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub rejects: Option<Rejects>,
    /// Keep the files between passes.
    #[arg(long)]
    pub keep_work: bool,
}

/// What all commands that read a corpus have in common.
#[derive(Args)]
pub struct Work {
    /// Read only the first N rows.
    #[arg(long, value_name = "N", value_parser = parse_whole::<u64>, allow_negative_numbers = true)]
    pub limit: Option<u64>,
    /// What the columns of the input are called, and how texts are encoded.
    #[command(flatten)]
    pub columns: InputColumns,
    /// Threads for reading, stages and writing; all cores by default.
    #[arg(long, value_name = "N", value_parser = parse_threads, allow_negative_numbers = true)]
    pub threads: Option<usize>,
    /// Memory for documents on their way, sorting and comparing, at least 1MB; a quarter of the machine by default.
    /// The program takes some 140 MB in any case.
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// The local folder for temporary files; by default one in the output folder, or the system's for an
    /// output in a bucket.
    #[arg(long, value_name = "FOLDER")]
    pub work_dir: Option<PathBuf>,
    /// Have the tasks done by the executors of a cluster, like ballista://host:50050; they read and write the
    /// same folders or buckets. --threads and --memory are then for what is left to do here. For builds with the
    /// feature `cluster`.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub on: Option<String>,
    /// How the input is cut.
    #[command(flatten)]
    pub tasks: TaskSize,
}

/// How the input is cut into tasks.
#[derive(Args)]
pub struct TaskSize {
    /// Input bytes of a task: the unit of retry and resuming, and one output file. 64KB at least.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256MiB")]
    task_size: u64,
}

impl TaskSize {
    /// Below this, a run is busy with files and not with documents.
    const LEAST: u64 = 64_000;

    /// The bytes of a task. Too few are raised, and that is said.
    pub fn bytes(&self) -> u64 {
        if self.task_size < Self::LEAST {
            tracing::warn!(
                "--task-size is {}, raised to {}, the least there is",
                bytes(self.task_size),
                bytes(Self::LEAST)
            );
        }
        self.task_size.max(Self::LEAST)
    }
}

/// What the columns of the input are called, and how texts are encoded.
#[derive(Args)]
pub struct InputColumns {
    /// The column that holds the text.
    #[arg(long, value_name = "COLUMN")]
    pub text_column: Option<String>,
    /// The column that names a document.
    #[arg(long, value_name = "COLUMN")]
    pub id_column: Option<String>,
    /// How texts are encoded: `utf-8`, `detect` to have that found out for each of them, or a label such as `gb18030`.
    #[arg(long, value_name = "ENCODING")]
    pub encoding: Option<Encoding>,
    /// Let stages replace input columns of the same name.
    #[arg(long)]
    pub replace_columns: bool,
}

/// A pipeline file's settings, not checked yet.
pub fn read_table(path: &Path) -> anyhow::Result<toml::Table> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| place.clone())?;
    Ok(Pipeline::table(&text, &place)?)
}

impl Run {
    /// Runs the command.
    pub fn run(&self, log: LogFormat) -> anyhow::Result<ExitCode> {
        let place = self.pipeline.display().to_string();
        self.common.execute(read_table(&self.pipeline)?, &place, &self.input, &self.output, None, log)
    }
}

impl Common {
    /// Runs the pipeline that a table of settings describes, with this command line's settings over its own, on
    /// `inputs` or, if there are none, on the files that the pipeline names; or on those of the run that is `recut`.
    pub fn execute(
        &self,
        mut table: toml::Table,
        place: &str,
        inputs: &[String],
        output: &str,
        recut: Option<Recut>,
        log: LogFormat,
    ) -> anyhow::Result<ExitCode> {
        set(&mut table, "output", "compression_level", self.compression_level.map(|level| i64::from(level).into()));
        set(&mut table, "output", "format", self.format.map(|format| format.extension().replace('.', "-").into()));
        let rejects = self.rejects.and_then(|rejects| Some(rejects.to_possible_value()?.get_name().into()));
        set(&mut table, "output", "rejects", rejects);
        let run = engine::Run { keep_work: self.keep_work, ..self.work.prepare(table, place, inputs, output, recut)? };
        let text_column = &run.pipeline.input.text_column;
        let work = |engine: &dyn Engine, progress: &Progress| engine::run(&run, engine, progress);
        let report = self.work.on_engine(output, log, work)?;
        if report.already_done {
            tracing::info!("{output}: this run is done already; here is its report");
        }
        if report.rows_in > 0 && report.reader.get(NULL_TEXT) == Some(&report.rows_in) {
            // In JSON Lines a column is known only by the lines that have it.
            tracing::warn!("no row has a text in the column `{text_column}`; --text-column names another");
        }
        for (stage, column) in report.missing_columns() {
            // As above: Parquet files without it are refused.
            let hint = match column {
                "language" => "; let the stage `language` come before, or say it in the stage's settings",
                _ => "; is it spelled as in the input?",
            };
            tracing::warn!("{stage}: no document has a value in the column `{column}`{hint}");
        }
        for choice in report.choices().filter(|choice| !choice.reached) {
            tracing::warn!("{}", said(choice));
        }
        out(&report.table())?;
        let fails = report.alarms.iter().filter(|alarm| alarm.fails).count();
        if fails > 0 {
            tracing::error!(
                "{output}: the run is complete, but guards = \"fail\" and {} called out; see the end of the table",
                if fails == 1 { "something was".to_owned() } else { format!("{fails} things were") }
            );
        }
        Ok(ExitCode::from(if report.failed.is_empty() && fails == 0 { 0 } else { 2 }))
    }
}

impl Work {
    /// What a run shall do, with this command line's settings over those of the `table`, and where.
    pub fn prepare(
        &self,
        mut table: toml::Table,
        place: &str,
        inputs: &[String],
        output: &str,
        recut: Option<Recut>,
    ) -> anyhow::Result<engine::Run> {
        self.columns.over(&mut table);
        let is_file = Folder::parse(output)?.local_path().is_some_and(Path::is_file);
        if !is_file
            && let Some(known) = RunDir::new(Folder::parse(output)?).read_json::<Identity>("_trommel/run.json")?
        {
            keep_pins(&mut table, &known.pipeline);
        }
        let pipeline = Arc::new(Pipeline::from_table(table, place)?);
        let inputs = if inputs.is_empty() { &pipeline.input.files } else { inputs }.to_vec();
        if inputs.is_empty() {
            return Err(Error::refused("no input; name files or folders with --input").into());
        }
        if is_file {
            return Err(Error::refused(format!("{output}: it is a file; the output is a folder, a new one")).into());
        }
        Ok(engine::Run {
            pipeline,
            inputs,
            output: output.to_owned(),
            limit: recut.as_ref().map_or(self.limit, |recut| recut.identity().limit),
            task_size: recut.as_ref().map_or_else(|| self.tasks.bytes(), |recut| recut.identity().task_size),
            keep_work: false,
            recut,
        })
    }

    /// Does something for the run in a folder, on an engine, and shows how far it is.
    pub fn on_engine<T>(
        &self,
        output: &str,
        log: LogFormat,
        work: impl FnOnce(&dyn Engine, &Progress) -> crate::error::Result<T>,
    ) -> anyhow::Result<T> {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let local = Local::new(threads, memory_or_default(self.memory), &self.work_dir(output)?)?;
        let engine: Box<dyn Engine> = match &self.on {
            None => Box::new(local),
            Some(address) => Box::new(engine::cluster::Cluster::new(local, fleet(address)?)),
        };
        let progress = Arc::new(Progress::default());
        let shown = progress::Shown::begin(progress.clone(), log);
        let done = work(&*engine, &progress);
        drop(shown);
        Ok(done?)
    }

    /// A folder of this run's own for temporary files.
    pub(super) fn work_dir(&self, output: &str) -> anyhow::Result<PathBuf> {
        let folder = Folder::parse(output)?;
        // The same for the same output, so that what a killed run left is found and removed.
        let name = format!(
            "trommel-{:016x}",
            xxhash_rust::xxh3::xxh3_64(folder.location_of("").as_os_str().as_encoded_bytes())
        );
        Ok(match (&self.work_dir, folder.local_path()) {
            (Some(chosen), _) => chosen.join(name),
            (None, Some(local)) => local.join("_trommel/spill"),
            (None, None) => std::env::temp_dir().join(name),
        })
    }
}

/// The executors of a cluster.
#[cfg(feature = "cluster")]
pub(super) fn fleet(address: &str) -> anyhow::Result<Box<dyn Fleet>> {
    Ok(Box::new(crate::cluster::wave::Cluster::connect(address)?))
}

/// Refused: there are none.
#[cfg(not(feature = "cluster"))]
pub(super) fn fleet(address: &str) -> anyhow::Result<Box<dyn Fleet>> {
    Err(Error::refused(format!(
        "--on {address}: this build has no cluster engine; build it with `cargo build --release --features cluster`"
    ))
    .into())
}

impl InputColumns {
    /// Puts what the command line says over what the pipeline file says.
    pub fn over(&self, table: &mut toml::Table) {
        set(table, "input", "text_column", self.text_column.clone().map(Into::into));
        set(table, "input", "id_column", self.id_column.clone().map(Into::into));
        set(table, "input", "encoding", self.encoding.map(|encoding| encoding.to_string().into()));
        set(table, "input", "replace_columns", self.replace_columns.then(|| true.into()));
    }
}

/// Sets what is given in a section of a pipeline's table.
fn set(table: &mut toml::Table, section: &str, key: &str, value: Option<toml::Value>) {
    let Some(value) = value else { return };
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    // A section that is no table is refused when the pipeline is checked.
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), value);
    }
}

/// A number of bytes as people write it: `512MB`, `2GiB`, `1e9`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let factor: f64 = match unit.as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024f64.powi(2),
        "gib" => 1024f64.powi(3),
        "tib" => 1024f64.powi(4),
        _ => return Err(format!("`{unit}` is no unit of bytes; MB, GB, MiB and GiB are")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no size; write one like 512MB or 2GB"))?;
    if number.is_finite() && number > 0.0 { Ok((number * factor) as u64) } else { Err(format!("`{text}` is no size")) }
}

/// The memory that the user gives, which is warned of if there is less, or a quarter of the machine.
pub fn memory_or_default(given: Option<u64>) -> u64 {
    let machine = machine_memory();
    let memory = given.unwrap_or(machine / 4);
    if memory > machine {
        tracing::warn!("--memory is {}, but there are only {}", bytes(memory), bytes(machine));
    }
    memory
}

/// A size of memory: too little is most likely a number without its unit.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size @ ..1_000_000 => Err(format!("{} is too little; write a size like 512MB or 2GB", bytes(size))),
        size => Ok(size),
    }
}

/// A whole number, 0 or above where `T` has no others.
pub fn parse_whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.replace('_', "").parse().map_err(|_| "write a whole number, like 10 or 10_000".to_owned())
}

/// A number of threads.
pub fn parse_threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| "write a number from 1 to 1024".to_owned())
}

/// The memory of the machine, or of the container if that has less.
fn machine_memory() -> u64 {
    let number = |path: &str, key: &str| {
        let text = std::fs::read_to_string(Path::new(path)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let machine = number("/proc/meminfo", "MemTotal:").map_or(4 << 30, |kib| kib * 1024);
    let container =
        number("/sys/fs/cgroup/memory.max", "").or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes", ""));
    container.map_or(machine, |limit| limit.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_size("512MB"), Ok(512_000_000));
        assert_eq!(parse_size("64 MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5g"), Ok(1_500_000_000));
        assert_eq!(parse_size("77"), Ok(77));
        assert_eq!(parse_size("x"), Err("`x` is no unit of bytes; MB, GB, MiB and GiB are".into()));
        assert_eq!(parse_size("-1MB"), Err("`-1MB` is no size".into()));
        assert_eq!(parse_memory("8"), Err("8 B is too little; write a size like 512MB or 2GB".into()));
    }

    #[test]
    fn the_default_task_size_is_what_the_help_says() {
        assert_eq!(parse_size("256MiB"), Ok(engine::TASK_SIZE));
    }
}
