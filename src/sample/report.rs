//! What a draw came to: asked, available, drawn; by share and by how often the texts were used before.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::draw::Outcome;
use super::mix::OTHERS;
use super::read::TaskRead;
use super::{Order, Policy};
use crate::error::{Error, Result};
use crate::format::write::Written;
use crate::report::table::{aligned, bytes, count, short};
use crate::task::Failure;

/// What happened in a draw. `report.json` is this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleReport {
    /// Tells it from the report of a run: `"sample"`.
    pub command: String,
    /// The version of this program.
    pub version: String,
    /// What the draw is called; draws of other names are independent of it.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Which uses go first.
    pub policy: Policy,
    /// How the output is ordered.
    pub order: Order,
    /// Tokens asked for.
    pub asked: u64,
    /// Tokens drawn, every use counted.
    pub drawn: u64,
    /// Rows read: the sum of the next five, and those of `rejected`.
    pub rows_in: u64,
    /// Documents drawn once or more.
    pub documents_drawn: u64,
    /// Documents that could have been drawn.
    pub documents_left: u64,
    /// Documents with the text of another one, which stands for them.
    pub copies: u64,
    /// Documents that were used as often as they may be.
    pub used_up: u64,
    /// Documents in no share, or with a weight of 0.
    pub left_out: u64,
    /// Rows that are no documents, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Rows of files that broke, as far as the files tell.
    pub rows_failed: u64,
    /// Files that could not be read to the end.
    pub failed: Vec<Failure>,
    /// Rows drawn, every use counted.
    pub rows_drawn: u64,
    /// Documents whose tokens are an estimate.
    pub tokens_estimated: u64,
    /// By share.
    pub shares: Vec<ShareReport>,
    /// By how often a text had been used before.
    pub uses: Vec<UseReport>,
    /// The runs of the ledger that were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerReport>,
    /// Bytes of text drawn.
    pub bytes_drawn: u64,
    /// The output files.
    pub kept_files: Vec<String>,
    /// Seconds from begin, or from when it was continued, to end.
    pub seconds: f64,
    /// Whether it was continued.
    pub continued: bool,
    /// Whether it was done before.
    #[serde(skip)]
    pub already_done: bool,
}

/// What a share was asked for and gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShareReport {
    /// The value of the column; nothing, where there are no shares.
    pub name: String,
    /// Tokens asked for.
    pub asked: u64,
    /// Tokens that it was to give once shares had been filled from others.
    pub filled_up_to: u64,
    /// Texts that could be drawn.
    pub available_documents: u64,
    /// Their tokens, each once.
    pub available: u64,
    /// Their tokens, each as often as it may be used yet.
    pub available_with_repeats: u64,
    /// Texts drawn.
    pub documents: u64,
    /// Rows drawn, every use counted.
    pub rows: u64,
    /// Tokens drawn, every use counted.
    pub drawn: u64,
    /// The last use that was taken.
    pub cut: Option<Cut>,
}

/// The last use that was taken of a share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// `fresh_first`: how often its text had been used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// `weighted`: τ; a use of weight w is drawn with probability 1 − e^(−wτ).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<f64>,
}

/// The rows whose text had been used so often before, in earlier runs or in this draw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UseReport {
    /// How often.
    pub uses_before: u32,
    /// Rows.
    pub rows: u64,
    /// Their tokens.
    pub tokens: u64,
}

/// What a draw had to do with a ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerReport {
    /// Where it is.
    pub place: String,
    /// The runs whose uses were counted.
    pub runs: Vec<String>,
    /// What the draw was recorded as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
}

impl SampleReport {
    /// Puts in what reading came to.
    pub fn add_reads(&mut self, reads: &[TaskRead]) {
        for read in reads {
            self.rows_in += read.rows;
            self.left_out += read.no_share + read.no_weight;
            self.tokens_estimated += read.estimated;
            for (reason, n) in &read.rejected {
                *self.rejected.entry(reason.clone()).or_default() += n;
            }
            self.failed.extend(read.failed.iter().cloned());
        }
        self.rows_failed = self.failed.iter().filter_map(|failure| failure.rows).sum();
    }

    /// Puts in what was drawn.
    pub fn add_outcome(&mut self, outcome: Outcome) {
        let Outcome { shares, uses, copies, used_up, documents, rows, tokens, bytes, available, shards: _ } = outcome;
        (self.shares, self.uses, self.copies, self.used_up) = (shares, uses, copies, used_up);
        (self.documents_drawn, self.rows_drawn, self.drawn, self.bytes_drawn) = (documents, rows, tokens, bytes);
        self.documents_left = available - documents;
    }

    /// Puts in what was written, which is what was drawn.
    pub fn add_files(&mut self, files: Vec<Written>) -> Result<()> {
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        self.kept_files = files.into_iter().map(|file| file.path).collect();
        let lost =
            |what: String| Err(Error::io("the draw", format!("{what}; this is a bug, the output must not be used")));
        if rows != self.rows_drawn {
            return lost(format!("{} rows drawn, {rows} written", self.rows_drawn));
        }
        let rejected: u64 = self.rejected.values().sum();
        let sum = self.documents_drawn + self.documents_left + self.copies + self.used_up + self.left_out + rejected;
        if sum != self.rows_in {
            return lost(format!("{} rows read, {sum} accounted for", self.rows_in));
        }
        Ok(())
    }

    /// The shares that gave less than they were asked for.
    pub fn short(&self) -> impl Iterator<Item = &ShareReport> {
        self.shares.iter().filter(|share| share.drawn < share.asked)
    }

    /// The table, for people.
    pub fn table(&self) -> String {
        let mut text = self.share_table();
        text.push('\n');
        text += &self.use_table();
        text.push('\n');
        text += &left(&self.rows());
        for failure in &self.failed {
            // Writing to a string does not fail.
            let _ = writeln!(text, "    {}: {}", failure.file, failure.message);
        }
        if let Some(ledger) = &self.ledger {
            let runs = match ledger.runs.len() {
                0 => "no run".to_owned(),
                1 => "1 run".to_owned(),
                n => format!("{} runs", count(n as u64)),
            };
            let _ = write!(text, "\nuses counted from {runs} in {}", ledger.place);
            if let Some(name) = &ledger.recorded {
                let _ = write!(text, "; recorded there as {name}");
            }
            text.push('\n');
        }
        if self.seconds > 0.0 {
            let since = if self.continued { " since it was continued" } else { "" };
            let _ = writeln!(text, "\nin {:.1} s{since}", self.seconds);
        }
        text
    }

    fn share_table(&self) -> String {
        let head = ["share", "asked", "available", "with repeats", "drawn", "", "documents", "rows"];
        let mut rows = vec![head.map(str::to_owned)];
        let row = |name: &str, share: &ShareReport| {
            let tokens = [share.asked, share.available, share.available_with_repeats, share.drawn].map(short);
            let [asked, available, repeats, drawn] = tokens;
            [
                name.to_owned(),
                asked,
                available,
                repeats,
                drawn,
                percent(share.drawn, share.asked),
                count(share.documents),
                count(share.rows),
            ]
        };
        let mut all = ShareReport { asked: self.asked, ..ShareReport::default() };
        for share in &self.shares {
            all.available += share.available;
            all.available_with_repeats = all.available_with_repeats.saturating_add(share.available_with_repeats);
            all.documents += share.documents;
            all.rows += share.rows;
            all.drawn += share.drawn;
            if !share.name.is_empty() {
                rows.push(row(if share.name == OTHERS { "(others)" } else { &share.name }, share));
            }
        }
        rows.push(row("all", &all));
        aligned(&rows)
    }

    fn use_table(&self) -> String {
        let mut rows = vec![["used before", "rows", "tokens", ""].map(str::to_owned)];
        for UseReport { uses_before, rows: n, tokens } in &self.uses {
            let name = match uses_before {
                0 => "never".to_owned(),
                1 => "once".to_owned(),
                n => format!("{n} times"),
            };
            rows.push([name, count(*n), short(*tokens), percent(*tokens, self.drawn)]);
        }
        aligned(&rows)
    }

    fn rows(&self) -> Vec<[String; 3]> {
        let row = |what: &str, rows: u64, rest: String| [what.to_owned(), count(rows), rest];
        let about = if self.tokens_estimated > 0 { "; tokens are an estimate" } else { "" };
        let files = self.kept_files.len();
        let files = if files == 1 { "1 file".to_owned() } else { format!("{} files", count(files as u64)) };
        let drawn = format!("{} of text in {files} under kept/{about}", bytes(self.bytes_drawn));
        let mut rows = vec![
            row("read", self.rows_in, String::new()),
            row("drawn", self.documents_drawn, drawn),
            row("left", self.documents_left, "could have been drawn as well".to_owned()),
        ];
        let rejected: u64 = self.rejected.values().sum();
        let reasons = self.rejected.iter().map(|(reason, n)| format!("{reason} {}", count(*n))).collect::<Vec<_>>();
        for (what, n, rest) in [
            ("copies", self.copies, "have the text of another one, which stands for them".to_owned()),
            ("used up", self.used_up, "were used as often as they may be".to_owned()),
            ("left out", self.left_out, "are in no share, or have no weight".to_owned()),
            ("rejected", rejected, format!("are no documents: {}", reasons.join(", "))),
        ] {
            if n > 0 {
                rows.push(row(what, n, rest));
            }
        }
        if !self.failed.is_empty() {
            let broken = format!("rows or more not read; {} broke:", self.failed.len());
            rows.push(row("failed", self.rows_failed, broken));
        }
        rows
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    format!("{percent:.1} %")
}

/// Columns side by side, the last one of words.
fn left(rows: &[[String; 3]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line =
        |[what, n, rest]: &[String; 3]| format!("{what:<first$}  {n:>second$}  {rest}").trim_end().to_owned() + "\n";
    rows.iter().map(line).collect()
}
