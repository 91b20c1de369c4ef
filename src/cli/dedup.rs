//! `trommel dedup`: a pipeline of one stage, from flags.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::LogFormat;
use super::run::{Common, parse_whole};
use crate::corpus::keep::Keep;
use crate::engine::recut::Recut;
use crate::error::Error;

/// Keeps one of each set of documents that are alike.
///
/// Two documents are alike when the Jaccard similarity of their shingles (5 words, or 5 Chinese or Japanese
/// characters, in a row) is at least the threshold. Sketches propose pairs, the true similarity decides: every
/// dropped document is at least that similar to the kept one named beside it in `rejected/`.
#[derive(Args)]
#[command(
    override_usage = "trommel dedup [OPTIONS] <INPUT>... <OUTPUT>
       trommel dedup --from <RUN> --threshold <THRESHOLD> <OUTPUT>",
    after_help = "Examples:
  trommel dedup --threshold 0.8 shards/ out
  trommel dedup --threshold 0.7 --keep longest 's3://corpus/*.parquet' out
  trommel dedup --threshold 1 shards/ out           # texts with the same shingles
  trommel dedup --floor 0.5 shards/ out             # and every threshold from 0.5 up:
  trommel report out --curve                        # see what each keeps,
  trommel dedup --from out --threshold 0.7 out-0.7  # and take one
  trommel dedup --floor 0.5 --target-tokens 10B shards/ out
  trommel dedup --exact shards/ out                 # the same text only
  trommel dedup --index seen 2024/ out-2024         # remember this corpus,
  trommel dedup --against seen --index seen 2025/ out-2025  # and drop what it had from the next

Exit codes are those of `trommel run`."
)]
pub struct Dedup {
    /// Input: files, folders, globs or URLs (s3://, gs://, az://, https://). The last one is the output folder.
    #[arg(required = true, num_args = 1.., value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    paths: Vec<String>,
    /// Cut the run in this folder anew, which has kept its pairs on record (--floor): the same input and settings
    /// at another threshold, without comparing again.
    #[arg(long, value_name = "RUN", requires = "cut", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = [
        "floor", "exact", "keep", "recall", "bands", "rows", "profile", "ngram", "verify", "audit", "limit", "text_column",
        "id_column", "replace_columns", "task_size", "counts", "mode", "clusters", "max_cluster", "max_source_loss",
        "source_column", "guards", "against", "index",
        "all_links",
    ])]
    from: Option<String>,
    /// The similarity from which on two documents count as one, above 0 and at most 1.
    #[arg(long, short, group = "cut", default_value_t = 0.8, value_parser = parse_share, allow_negative_numbers = true)]
    threshold: f64,
    /// The similarity from which on pairs are found and stay on record in the output folder: then every threshold
    /// from here up can be had without comparing again. Default: the threshold, and nothing stays on record.
    #[arg(long, value_name = "SIMILARITY", value_parser = parse_share, allow_negative_numbers = true)]
    floor: Option<f64>,
    /// Take the lowest threshold from the floor up, in steps of 0.01, that keeps at least so many tokens, estimated
    /// (k, M, B and T are understood); needs --floor.
    #[arg(long, value_name = "N", group = "cut", value_parser = parse_amount)]
    target_tokens: Option<u64>,
    /// The same for a number of documents.
    #[arg(long, value_name = "N", group = "cut", value_parser = parse_amount)]
    target_docs: Option<u64>,
    /// Drop only documents with the same text, white space aside.
    #[arg(long, conflicts_with_all = ["threshold", "floor", "recall", "bands", "rows", "profile", "ngram", "verify", "audit", "clusters", "target_tokens", "target_docs", "against", "index"])]
    exact: bool,
    #[command(flatten)]
    alike: Alike,
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
    /// Compare with the documents of earlier corpora as well, which this index knows and which come first: what stays is
    /// what one run over all of them would keep. `trommel index` makes and shows one.
    #[arg(long, value_name = "INDEX", value_parser = NonEmptyStringValueParser::new())]
    against: Option<String>,
    /// Add this corpus to an index when the run is done: a new one, or that of --against.
    #[arg(long, value_name = "INDEX", value_parser = NonEmptyStringValueParser::new())]
    index: Option<String>,
    /// What this run is called in the index; by default as its output folder.
    #[arg(long, value_name = "NAME", requires = "index", value_parser = NonEmptyStringValueParser::new())]
    run_name: Option<String>,
    /// Documents of the index always stay; needed for --against with another --keep than first.
    #[arg(long, requires = "against")]
    earlier_wins: bool,
    /// Leave for `trommel tag --links` which texts are alike, every pair of them: without, it is known only of each document
    /// that is dropped which one it went for.
    #[arg(long, conflicts_with = "exact")]
    all_links: bool,
    #[command(flatten)]
    common: Common,
}

/// What makes documents alike, and which of them stays.
#[derive(Args)]
pub struct Alike {
    /// Which one stays: first, longest, highest:COLUMN, lowest:COLUMN, or sources:A,B (preferred values of the
    /// column `source`, in order).
    #[arg(long, default_value = "first", value_name = "POLICY")]
    keep: Keep,
    /// The share of the pairs exactly at the threshold, or the floor, that must be found. Default: 0.99, or what the bands of the
    /// profile find.
    #[arg(long, value_parser = parse_share, allow_negative_numbers = true)]
    recall: Option<f64>,
    /// The bands of the sketch, by hand; with --rows.
    #[arg(long, requires = "rows", value_parser = parse_whole::<u32>)]
    bands: Option<u32>,
    /// The rows of a band, by hand; with --bands.
    #[arg(long, requires = "bands", value_parser = parse_whole::<u32>)]
    rows: Option<u32>,
    /// How texts are cut into shingles, and these sketched.
    #[arg(long, value_enum, default_value_t = Profile::Default)]
    profile: Profile,
    /// How many words, or Chinese or Japanese characters, make a shingle.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = parse_whole::<u32>)]
    ngram: u32,
    /// How a proposed pair is judged.
    #[arg(long, value_enum, default_value_t = Verify::Exact)]
    verify: Verify,
}

/// How texts are cut into shingles, and these sketched.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Profile {
    /// Words, and Chinese and Japanese characters, in lower case.
    Default,
    /// As datatrove 0.10 for FineWeb: no punctuation, no accents, every number 0, and its signatures, to the bit for
    /// the same words, in 14 bands of 8 rows. Like it, --verify none takes every pair these propose.
    #[value(name = "datatrove-0.10")]
    Datatrove,
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
        if let Some(from) = &self.from {
            return self.recut(from, inputs, output, log);
        }
        if inputs.is_empty() {
            let message = format!("only one path is given; name the input and the output, like `dedup {output} out`");
            return Err(Error::refused(message).into());
        }
        let table = toml::Table::from_iter([("stage".to_owned(), vec![self.stage()].into())]);
        self.common.execute(table, "dedup", inputs, output, None, log)
    }

    /// Cuts another run anew.
    fn recut(&self, from: &str, inputs: &[String], output: &str, log: LogFormat) -> anyhow::Result<ExitCode> {
        let refused = |message: String| Err(Error::refused(message).into());
        if let Some(input) = inputs.first() {
            return refused(format!("{input}: with --from, the input is that of {from}; name the output folder only"));
        }
        let recut = Recut::open(from)?;
        let floor = recut.pairs().floor();
        if self.threshold < floor && self.target_tokens.is_none() && self.target_docs.is_none() {
            return refused(format!(
                "{from}: its pairs are on record from {floor} up; for a threshold of {0}, deduplicate again with --floor {0}",
                self.threshold
            ));
        }
        let mut table = recut.table()?;
        let stages = table.get_mut("stage").and_then(toml::Value::as_array_mut).into_iter().flatten();
        for stage in stages.filter_map(toml::Value::as_table_mut) {
            if stage.get("use").and_then(toml::Value::as_str) == Some("minhash") {
                for what in ["threshold", "target_tokens", "target_docs"] {
                    stage.remove(what);
                }
                stage.extend(self.cut());
                // There is nothing to measure: what is found was found before.
                stage.remove("audit");
                stage.remove("audit_seed");
            }
        }
        let files = recut.inputs();
        self.common.execute(table, "dedup", &files, output, Some(recut), log)
    }

    /// The threshold, or what chooses it.
    fn cut(&self) -> toml::Table {
        // Larger numbers than this there are none of.
        let number = |n: u64| toml::Value::from(i64::try_from(n).unwrap_or(i64::MAX));
        let (key, value) = match (self.target_tokens, self.target_docs) {
            (Some(tokens), _) => ("target_tokens", number(tokens)),
            (None, Some(documents)) => ("target_docs", number(documents)),
            (None, None) => ("threshold", self.threshold.into()),
        };
        toml::Table::from_iter([(key.to_owned(), value)])
    }

    fn stage(&self) -> toml::Table {
        let mut stage = toml::Table::new();
        let mut set = |key: &str, value: toml::Value| stage.insert(key.to_owned(), value);
        set("keep", self.alike.keep());
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
        if let Some(floor) = self.floor {
            set("floor", floor.into());
        }
        if self.clusters == Clusters::Components {
            set("clusters", "components".into());
        }
        if self.audit > 0 {
            set("audit", i64::from(self.audit).into());
            set("audit_seed", i64::from(self.audit_seed).into());
        }
        for (key, value) in [("against", &self.against), ("index", &self.index), ("run_name", &self.run_name)] {
            if let Some(value) = value {
                set(key, value.as_str().into());
            }
        }
        if self.earlier_wins {
            set("earlier_wins", true.into());
        }
        if self.all_links {
            set("links", "all".into());
        }
        stage.extend(self.alike.settings());
        stage.extend(self.cut());
        stage
    }
}

impl Alike {
    /// Which document stays.
    pub fn keep(&self) -> toml::Value {
        toml::Value::try_from(&self.keep).expect("a policy is plain data")
    }

    /// The settings of `minhash` that say what is alike, but for the threshold.
    pub fn settings(&self) -> toml::Table {
        let mut settings = toml::Table::new();
        let mut set = |key: &str, value: toml::Value| settings.insert(key.to_owned(), value);
        if let Some(recall) = self.recall {
            set("recall", recall.into());
        }
        if self.profile == Profile::Datatrove {
            set("profile", "datatrove-0.10".into());
        }
        set("n", i64::from(self.ngram).into());
        let verify = match self.verify {
            Verify::Exact => "exact",
            Verify::Signature => "signature",
            Verify::None => "none",
        };
        set("verify", verify.into());
        if let (Some(bands), Some(rows)) = (self.bands, self.rows) {
            set("bands", i64::from(bands).into());
            set("rows", i64::from(rows).into());
        }
        settings
    }
}

/// A number of things as people write it: `10B`, `1.5M`, `200k`, `5_000`.
pub fn parse_amount(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "B" | "G" => 1e9,
        "T" => 1e12,
        unit => return Err(format!("`{unit}` is no unit; k, M, B and T are")),
    };
    let number = digits.replace('_', "").parse::<f64>().ok().map(|number| number * factor);
    match number {
        Some(number) if number >= 1.0 && number < i64::MAX as f64 => Ok(number as u64),
        _ => Err("write a number above 0, like 5_000, 1.5M or 10B".to_owned()),
    }
}

/// A share of one.
pub fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        Ok(percent) if percent > 1.0 && percent <= 100.0 => {
            Err(format!("it is above 0 and at most 1; {percent} % is {}", percent / 100.0))
        }
        _ => Err("write a number above 0 and at most 1, like 0.8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        assert_eq!(parse_amount("10B"), Ok(10_000_000_000));
        assert_eq!(parse_amount("1.5M"), Ok(1_500_000));
        assert_eq!(parse_amount("200k"), Ok(200_000));
        assert_eq!(parse_amount("5_000"), Ok(5_000));
        assert_eq!(parse_amount("10Q"), Err("`Q` is no unit; k, M, B and T are".into()));
        for wrong in ["", "-1", "0", "B", "1e30", "NaN", "10 B", "文"] {
            assert!(parse_amount(wrong).is_err(), "{wrong}");
        }
    }
}
