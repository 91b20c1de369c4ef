//! `trommel sample`: so many tokens of a corpus, for a training run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::dedup::parse_amount;
use super::run::{Work, fleet, memory_or_default, parse_size, parse_whole};
use super::{LogFormat, out, progress};
use crate::budget::Progress;
use crate::error::Error;
use crate::exchange::sort::SpillDir;
use crate::pipeline::{OutputFormat, Pipeline};
use crate::report::table::short;
use crate::reuse::time::Time;
use crate::reuse::weight::{Curve, Weight};
use crate::sample::mix::Mix;
use crate::sample::report::ShareReport;
use crate::sample::{self, Machine, Order, Policy, Settings};
use crate::store::Folder;

/// Draws so many tokens of a corpus for a training run.
///
/// Documents are drawn without replacement, each use of one for itself: the fresh ones first, or by weight. If more tokens
/// are asked for than there are, documents are used again, up to the cap. What is drawn depends on the texts, the seed and
/// the name of the draw, and is the same on every machine. With a ledger, the uses in earlier runs count; with --record,
/// it is told of this one as soon as all files are there.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel sample --tokens 10B clean/kept out
  trommel sample --tokens 10B --ledger used --record base-3 clean/kept out
  trommel sample --tokens 10B --policy weighted --quality-column quality_books clean/kept out
  trommel sample --tokens 10B --mix mix.toml clean/kept out

A mix gives shares by the values of a column, and weights by those of others:
  by = \"source\"
  [shares]                            # parts of --tokens, 1 together
  web = 0.7
  books = { share = 0.2, cap = 2 }    # no document above 2 uses
  \"*\" = 0.1                           # all other sources
  [weights.language]                  # with --policy weighted: how many times as likely
  yue = 3.0
With `fill = true`, the other shares give what one of them cannot.

Exit codes: 0 done; 1 refused or failed; 2 done, but some files could not be read to the end, and what they
have beyond could not be drawn; 130 interrupted, can be continued.")]
pub struct Sample {
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://). The last one is the output folder: new or
    /// empty, or that of the same draw, which is then continued.
    #[arg(required = true, num_args = 1.., value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    paths: Vec<String>,
    /// How many tokens, every use counted (k, M, B and T are understood). The document that reaches the number is taken: so
    /// each share has less than one document more than it was asked for.
    #[arg(long, value_name = "N", value_parser = parse_amount)]
    tokens: u64,
    /// Which uses go first.
    #[arg(long, value_enum, default_value_t = Policy::FreshFirst)]
    policy: Policy,
    /// Another number draws others.
    #[arg(long, default_value_t = 0, value_name = "SEED", hide_default_value = true)]
    seed: u64,
    /// What the draw is called: draws of different names are independent of each other. Default: the name of --record, else
    /// `draw`.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// A file with shares and weights (TOML); see below.
    #[arg(long, value_name = "FILE")]
    mix: Option<PathBuf>,
    /// The ledger that knows how often documents were used: a folder or a URL. Without, the column `reuse_count` says so, if
    /// there is one.
    #[arg(long, value_name = "LEDGER", value_parser = NonEmptyStringValueParser::new())]
    ledger: Option<String>,
    /// The output folder of an earlier run, of which near duplicates are known: the uses of a text count for those that it is
    /// like, too. Can be given several times.
    #[arg(long, value_name = "RUN_DIR", requires = "ledger", value_parser = NonEmptyStringValueParser::new())]
    links: Vec<String>,
    /// Tell the ledger of this draw, as the run of this name.
    #[arg(long, value_name = "RUN", requires = "ledger", value_parser = NonEmptyStringValueParser::new())]
    record: Option<String>,
    /// The time that the ledger is told, like 2026-11-22T08:30:00Z; now, by default.
    #[arg(long, value_name = "TIME", requires = "record")]
    time: Option<Time>,
    /// The most uses of a document, those in earlier runs included, 1 to 1000. Up to 4 epochs, repeating is nearly as good as
    /// fresh data (Muennighoff et al. 2023).
    #[arg(long, default_value_t = Weight::default().cap, value_name = "N", value_parser = parse_cap)]
    cap: u32,
    /// With --policy weighted, how the worth of a document falls with its uses.
    #[arg(long, value_enum, default_value_t = Falls::RepeatValue)]
    curve: Falls,
    /// For repeat-value: after how many repeats a further one is worth 1/e of a first use.
    #[arg(long, default_value_t = Weight::default().r_star, value_name = "N", allow_negative_numbers = true)]
    r_star: f64,
    /// With --policy weighted, a column of numbers that weights are multiplied by. Documents without one are not drawn.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    quality_column: Option<String>,
    /// The column with the number of a document's tokens; `token_count`, if there is one. Without, tokens are estimated.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    token_column: Option<String>,
    /// The column that the ledger is told as the source.
    #[arg(long, default_value = "source", value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    source_column: String,
    /// How the output is ordered.
    #[arg(long, value_enum, default_value_t = Order::Shuffled)]
    order: Order,
    /// Bytes of text in an output file, about; 64KB at least.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256MiB")]
    shard_size: u64,
    #[command(flatten)]
    work: Work,
    /// The format of the output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<OutputFormat>,
    /// The zstd level of the output, 1 to 22.
    #[arg(long, value_name = "LEVEL", value_parser = parse_whole::<i32>, allow_negative_numbers = true)]
    compression_level: Option<i32>,
}

/// How the worth of a document falls with its uses.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Falls {
    /// e^(-uses / R*): Muennighoff et al. 2023 (arXiv 2305.16264), section 5.
    RepeatValue,
    /// From 1 down to 0 at the cap in even steps.
    Linear,
    /// Not at all, up to the cap.
    Cap,
}

impl Sample {
    /// Runs the command.
    pub fn run(&self, log: LogFormat) -> anyhow::Result<ExitCode> {
        let refused = |message: String| Err(Error::refused(message).into());
        let (output, inputs) = self.paths.split_last().expect("the parser asks for a path");
        if inputs.is_empty() {
            return refused(format!(
                "only one path is given; name the input and the output, like `sample … {output} out`"
            ));
        }
        let settings = self.settings()?;
        let mut table = toml::Table::new();
        self.work.columns.over(&mut table);
        let mut written = toml::Table::new();
        if let Some(format) = self.format {
            written.insert("format".into(), format.extension().replace('.', "-").into());
        }
        if let Some(level) = self.compression_level {
            written.insert("compression_level".into(), i64::from(level).into());
        }
        table.insert("output".into(), written.into());
        let pipeline = Pipeline::from_table(table, "sample")?;
        if Folder::parse(output)?.local_path().is_some_and(std::path::Path::is_file) {
            return refused(format!("{output}: it is a file; the output is a folder, a new one"));
        }
        let sample = sample::Sample {
            pipeline: &pipeline,
            settings,
            inputs: inputs.to_vec(),
            output: output.clone(),
            limit: self.work.limit,
            task_size: self.work.tasks.bytes(),
            time: self.time,
        };
        let threads = self.work.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("trommel-{i}"))
            .build()
            .context("threads")?;
        let spill = SpillDir::new(self.work.work_dir(output)?);
        let fleet = self.work.on.as_deref().map(fleet).transpose()?;
        let memory = memory_or_default(self.work.memory);
        let machine = Machine { pool: &pool, memory, spill: &spill, fleet: fleet.as_deref() };
        let progress = Arc::new(Progress::default());
        let shown = progress::Shown::begin(progress.clone(), log);
        let report = sample::sample(&sample, &machine, &progress);
        drop(shown);
        let report = report?;
        if report.already_done {
            tracing::info!("{output}: this draw is done already; here is its report");
        }
        for share in report.short() {
            tracing::warn!("{}", lacking(share));
        }
        out(&report.table())?;
        Ok(ExitCode::from(if report.failed.is_empty() { 0 } else { 2 }))
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let mix = match &self.mix {
            Some(path) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path).with_context(|| place.clone())?;
                Mix::parse(&text, &place)?
            }
            None => Mix::default(),
        };
        let curve = match self.curve {
            Falls::RepeatValue => Curve::RepeatValue,
            Falls::Linear => Curve::Linear,
            Falls::Cap => Curve::Cap,
        };
        Weight { curve, r_star: self.r_star, cap: self.cap }.checked().map_err(Error::refused)?;
        if self.policy == Policy::FreshFirst {
            let unused = [
                (self.quality_column.is_some(), "--quality-column"),
                (!mix.weights.is_empty(), "[weights] of --mix"),
                (self.curve != Falls::RepeatValue, "--curve"),
            ];
            if let Some((_, what)) = unused.into_iter().find(|(given, _)| *given) {
                let message = format!("{what}: fresh documents go first, whatever their weight; add --policy weighted");
                return Err(Error::refused(message).into());
            }
        }
        if mix.shares.values().any(|share| share.cap().is_some_and(|cap| cap > MOST_USES)) {
            return Err(Error::refused(format!("--mix: a cap is at most {MOST_USES}")).into());
        }
        let name = self.name.clone().or_else(|| self.record.clone()).unwrap_or_else(|| "draw".to_owned());
        Ok(Settings {
            tokens: self.tokens,
            policy: self.policy,
            seed: self.seed,
            name,
            mix,
            ledger: self.ledger.clone(),
            links: self.links.clone(),
            record: self.record.clone(),
            curve,
            r_star: self.r_star,
            cap: self.cap,
            quality_column: self.quality_column.clone(),
            token_column: self.token_column.clone(),
            source_column: self.source_column.clone(),
            order: self.order,
            shard_size: self.shard_size.max(LEAST_SHARD),
        })
    }
}

/// What a share has less of than it was asked for.
fn lacking(share: &ShareReport) -> String {
    let ShareReport { name, asked, drawn, available_documents, available, available_with_repeats, .. } = share;
    let of = if name.is_empty() { String::new() } else { format!("share `{name}`: ") };
    let asked = short(*asked);
    if *available_documents == 0 {
        return format!("{of}{asked} tokens were asked for, and there is no document that could be drawn");
    }
    format!(
        "{of}{asked} tokens were asked for, and {} drawn: there are {} different ones, {} if each is used as often as it may be",
        short(*drawn),
        short(*available),
        short(*available_with_repeats)
    )
}

/// More uses than this nobody means.
const MOST_USES: u32 = 1000;

/// The least bytes of an output file: below that, a draw is busy with files and not with documents.
const LEAST_SHARD: u64 = 64_000;

fn parse_cap(text: &str) -> Result<u32, String> {
    let cap = parse_whole::<u32>(text)?;
    if (1..=MOST_USES).contains(&cap) { Ok(cap) } else { Err(format!("write a number from 1 to {MOST_USES}")) }
}
