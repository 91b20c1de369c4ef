//! `trommel dedup`: a pipeline of one stage, from flags.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::LogFormat;
use super::run::{Common, parse_whole};
use crate::corpus::keep::Keep;

/// Keeps one of each set of documents that are alike.
///
/// Two documents are alike when the Jaccard similarity of their shingles (5 words, or 5 Chinese or Japanese
/// characters, in a row) is at least the threshold. Sketches propose pairs, the true similarity decides: every
/// dropped document is at least that similar to the kept one named beside it in `rejected/`.
#[derive(Args)]
#[command(
    override_usage = "trommel dedup [OPTIONS] <INPUT>... <OUTPUT>",
    after_help = "Examples:
  trommel dedup --threshold 0.8 shards/ out
  trommel dedup --threshold 0.7 --keep longest 's3://corpus/*.parquet' out
  trommel dedup --threshold 1 shards/ out           # texts with the same shingles
  trommel dedup --exact shards/ out                 # the same text only

Exit codes are those of `trommel run`."
)]
pub struct Dedup {
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://). The last one is the output folder.
    #[arg(required = true, num_args = 2.., value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    paths: Vec<String>,
    /// The similarity from which on two documents count as one, above 0 and at most 1.
    #[arg(long, short, default_value_t = 0.8, value_parser = parse_share, allow_negative_numbers = true)]
    threshold: f64,
    /// Drop only documents with the same text, white space aside.
    #[arg(long, conflicts_with_all = ["threshold", "recall", "bands", "rows", "ngram", "verify", "audit", "clusters"])]
    exact: bool,
    /// Which one stays: first, longest, highest:COLUMN, lowest:COLUMN, or sources:A,B (preferred values of the
    /// column `source`, in order).
    #[arg(long, default_value = "first", value_name = "POLICY")]
    keep: Keep,
    /// The share of the pairs exactly at the threshold that must be found.
    #[arg(long, default_value_t = 0.99, value_parser = parse_share, allow_negative_numbers = true)]
    recall: f64,
    /// The bands of the sketch, by hand; with --rows.
    #[arg(long, requires = "rows", value_parser = parse_whole::<u32>)]
    bands: Option<u32>,
    /// The rows of a band, by hand; with --bands.
    #[arg(long, requires = "bands", value_parser = parse_whole::<u32>)]
    rows: Option<u32>,
    /// How many words, or Chinese or Japanese characters, make a shingle.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = parse_whole::<u32>)]
    ngram: u32,
    /// How a proposed pair is judged.
    #[arg(long, value_enum, default_value_t = Verify::Exact)]
    verify: Verify,
    /// Compare so many documents, drawn by lot, with all others, to measure which part of the like pairs was found;
    /// 1000 is plenty, and costs two more readings.
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    audit: u32,
    /// Another number draws other documents for the audit.
    #[arg(long, default_value_t = 0, value_name = "SEED", hide_default_value = true, requires = "audit")]
    audit_seed: u32,
    /// What makes a cluster of like pairs.
    #[arg(long, value_enum, default_value_t = Clusters::Anchors)]
    clusters: Clusters,
    /// Add dup_count, how many documents a kept one stands for, itself included, and dup_cluster, the content key
    /// of the one that stands for its cluster.
    #[arg(long)]
    counts: bool,
    /// What becomes of duplicates.
    #[arg(long, value_enum, default_value_t = Mode::Drop)]
    mode: Mode,
    /// Call out clusters of more than N documents.
    #[arg(long, value_name = "N", value_parser = parse_whole::<u32>)]
    max_cluster: Option<u32>,
    /// Call out sources of which a greater share are duplicates; 1 only counts them in report.json.
    #[arg(long, value_name = "SHARE", value_parser = parse_share, allow_negative_numbers = true)]
    max_source_loss: Option<f64>,
    /// The column that names a document's source; `source` by default.
    #[arg(long, value_name = "COLUMN", requires = "max_source_loss")]
    source_column: Option<String>,
    /// What becomes of a run in which something was called out.
    #[arg(long, value_enum, default_value_t = Guards::Warn)]
    guards: Guards,
    #[command(flatten)]
    common: Common,
}

/// How a proposed pair is judged.
#[derive(Clone, Copy, ValueEnum)]
enum Verify {
    /// By the true similarity.
    Exact,
    /// By an estimate from the sketches.
    Signature,
    /// Not at all: one shared band makes two documents one, whatever the threshold.
    None,
}

/// What makes a cluster of like pairs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clusters {
    /// A document goes only for one that it is itself like.
    Anchors,
    /// Chains are closed, as most tools do: of all that are linked by like pairs only the first stays.
    Components,
}

/// What becomes of duplicates.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// They are dropped.
    Drop,
    /// They stay; every document gets dup_count and dup_cluster, a duplicate also duplicate_of and similarity.
    Annotate,
}

/// What becomes of a run in which something was called out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Guards {
    /// The table and the report say so.
    Warn,
    /// All is written, but the exit code is 2.
    Fail,
}

impl Dedup {
    /// Runs the command.
    pub fn run(&self, log: LogFormat) -> anyhow::Result<ExitCode> {
        let (output, inputs) = self.paths.split_last().expect("the parser asks for two paths");
        let table = toml::Table::from_iter([("stage".to_owned(), vec![self.stage()].into())]);
        self.common.execute(table, "dedup", inputs, output, log)
    }

    fn stage(&self) -> toml::Table {
        let mut stage = toml::Table::new();
        let mut set = |key: &str, value: toml::Value| stage.insert(key.to_owned(), value);
        set("keep", toml::Value::try_from(&self.keep).expect("a policy is plain data"));
        // What is not asked for is left out, so that the same command names the same run in later versions.
        if self.counts {
            set("counts", true.into());
        }
        if self.mode == Mode::Annotate {
            set("mode", "annotate".into());
        }
        if let Some(limit) = self.max_cluster {
            set("max_cluster", i64::from(limit).into());
        }
        if let Some(share) = self.max_source_loss {
            set("max_source_loss", share.into());
        }
        if let Some(column) = &self.source_column {
            set("source_column", column.as_str().into());
        }
        if self.guards == Guards::Fail {
            set("guards", "fail".into());
        }
        if self.exact {
            set("use", "exact".into());
            return stage;
        }
        set("use", "minhash".into());
        if self.clusters == Clusters::Components {
            set("clusters", "components".into());
        }
        set("threshold", self.threshold.into());
        set("recall", self.recall.into());
        set("n", i64::from(self.ngram).into());
        let verify = match self.verify {
            Verify::Exact => "exact",
            Verify::Signature => "signature",
            Verify::None => "none",
        };
        set("verify", verify.into());
        if self.audit > 0 {
            set("audit", i64::from(self.audit).into());
            set("audit_seed", i64::from(self.audit_seed).into());
        }
        if let (Some(bands), Some(rows)) = (self.bands, self.rows) {
            set("bands", i64::from(bands).into());
            set("rows", i64::from(rows).into());
        }
        stage
    }
}

/// A share of one.
fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        Ok(percent) if percent > 1.0 && percent <= 100.0 => {
            Err(format!("it is above 0 and at most 1; {percent} % is {}", percent / 100.0))
        }
        _ => Err("write a number above 0 and at most 1, like 0.8".to_owned()),
    }
}
