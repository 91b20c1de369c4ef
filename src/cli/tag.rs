//! `trommel tag`: says of each document how often it was used.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::LogFormat;
use super::run::{Common, parse_whole};
use crate::error::Error;
use crate::reuse::weight::{Curve, Weight};

/// Says of each document how often it was used in training, and what a further use is worth.
///
/// Adds `reuse_count`, `last_used` and `sampling_weight`, and leaves everything else as it is. The same is the stage `reuse`
/// in a pipeline, where near duplicates that are dropped leave their uses to those that stay.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel tag 2025/ tagged --ledger used
  trommel tag 2025/ tagged --ledger used --links clean-2024   # near copies that clean-2024 has dropped count, too
  trommel tag 2025/ tagged --ledger used --only base-1 --only base-2 --curve linear --cap 8

Exit codes: those of `trommel run`.")]
pub struct Tag {
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://); then the output folder: new or empty, or
    /// that of the same run, which is then continued.
    #[arg(required = true, num_args = 1.., value_names = ["INPUT", "OUTPUT"], value_parser = NonEmptyStringValueParser::new())]
    paths: Vec<String>,
    /// The ledger of what was used: a folder or a URL.
    #[arg(long, value_name = "LEDGER", value_parser = NonEmptyStringValueParser::new())]
    ledger: String,
    /// Count this run only, or with those named likewise; all runs of the ledger by default.
    #[arg(long, value_name = "RUN", value_parser = NonEmptyStringValueParser::new())]
    only: Vec<String>,
    /// The output folder of an earlier run, of which near duplicates are known; can be given several times.
    #[arg(long, value_name = "RUN_DIR", value_parser = NonEmptyStringValueParser::new())]
    links: Vec<String>,
    /// How the worth falls with the uses.
    #[arg(long, value_enum, default_value_t = Falls::RepeatValue)]
    curve: Falls,
    /// For repeat-value: after how many repeats a further one is worth 1/e of a first use.
    #[arg(long, default_value_t = Weight::default().r_star, value_name = "N", allow_negative_numbers = true)]
    r_star: f64,
    /// The uses from which on the weight is 0.
    #[arg(long, default_value_t = Weight::default().cap, value_name = "N", value_parser = parse_whole::<u32>)]
    cap: u32,
    /// Multiply the weight by a column of numbers, like that of a quality classifier; can be given several times.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    times: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// How the worth of a document falls with its uses.
#[derive(Clone, Copy, ValueEnum)]
enum Falls {
    /// e^(-uses / R*): Muennighoff et al. 2023 (arXiv 2305.16264), section 5.
    RepeatValue,
    /// From 1 down to 0 at the cap in even steps.
    Linear,
    /// 1 up to the cap.
    Cap,
    /// 1, however often it was used.
    None,
}

impl Tag {
    /// Runs the command.
    pub fn run(&self, log: LogFormat) -> anyhow::Result<ExitCode> {
        let (output, inputs) = self.paths.split_last().expect("the parser asks for two paths");
        if inputs.is_empty() {
            let message = format!("only one path is given; name the input and the output, like `tag {output} out`");
            return Err(Error::refused(message).into());
        }
        let table = toml::Table::from_iter([("stage".to_owned(), vec![self.stage()].into())]);
        self.common.execute(table, "tag", inputs, output, None, log)
    }

    fn stage(&self) -> toml::Table {
        let mut stage = toml::Table::new();
        let mut set = |key: &str, value: toml::Value| stage.insert(key.to_owned(), value);
        set("use", "reuse".into());
        set("ledger", self.ledger.as_str().into());
        let curve = match self.curve {
            Falls::RepeatValue => Curve::RepeatValue,
            Falls::Linear => Curve::Linear,
            Falls::Cap => Curve::Cap,
            Falls::None => Curve::None,
        };
        set("curve", toml::Value::try_from(curve).expect("a word"));
        set("r_star", self.r_star.into());
        set("cap", i64::from(self.cap).into());
        // What is not asked for is left out, so that the same command names the same run in later versions.
        for (key, values) in [("runs", &self.only), ("links", &self.links), ("times", &self.times)] {
            if !values.is_empty() {
                set(key, values.clone().into());
            }
        }
        stage
    }
}
