//! `trommel ledger`: what was used in training, run by run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::run::{memory_or_default, parse_memory};
use super::{out, several};
use crate::doc::ContentKey;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::sort::SpillDir;
use crate::report::table::{aligned, bytes, count, short};
use crate::reuse::entries::{Entry, parse_key};
use crate::reuse::ledger::{Ledger as Used, Manifest, Run, Withdrawal};
use crate::reuse::recording::{About, Recording};
use crate::reuse::time::Time;
use crate::reuse::weight::Weight;
use shards::ShardColumns;

mod shards;

/// Records what training runs have used, and shows it.
///
/// A ledger is a folder, here or in a bucket, with a set of Parquet files for each run: which texts it has drawn, how
/// often, and how many tokens that were. Nothing in it is ever changed, so any number of jobs may record at once.
/// `trommel tag` and the stage `reuse` ask it how often documents were used.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel ledger record used --run base-1 --epochs 2 out/kept   # a run that went over out/kept twice
  trommel ledger runs used                                      # what is recorded
  trommel ledger show used 0af98c5cd4ea3d1f5e4eb2ba7f7d5e6c     # the uses of one text, by its content key
  trommel tag 2025/ tagged --ledger used                        # say of each document how often it was used

Other tools read it as it is; `files` names what counts:
  duckdb -c \"SELECT hex(key), sum(uses) FROM read_parquet('used/run=*/part-*.parquet', hive_partitioning = true)
             GROUP BY key ORDER BY 2 DESC LIMIT 10\"

Exit codes: 0 done; 1 refused or failed, or `verify` has found something wrong.")]
pub struct Ledger {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Record(Record),
    Runs(Runs),
    Show(Show),
    Withdraw(Withdraw),
    Files(Files),
    Verify(Verify),
}

/// The ledger that a command is about.
#[derive(Args)]
struct Address {
    /// The ledger: a folder or a URL (s3://, gs://, az://).
    #[arg(value_name = "LEDGER", value_parser = NonEmptyStringValueParser::new())]
    ledger: String,
}

/// Records a training run from the shards that it was given.
///
/// A document is known by its `content_key`, where shards have that column, else by its text; its `origin_key` is noted
/// beside it. Its tokens are its `token_count`, or else an estimate. All that is recorded appears at once, when it is
/// complete.
#[derive(Args)]
struct Record {
    #[command(flatten)]
    address: Address,
    /// The shards: files, folders, globs or URLs (s3://, gs://, az://, https://).
    #[arg(required = true, num_args = 1.., value_name = "SHARDS", value_parser = NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    #[command(flatten)]
    about: Said,
    #[command(flatten)]
    columns: ShardColumns,
    #[command(flatten)]
    sorting: Sorting,
}

/// What is said of a run beside its documents.
#[derive(Args)]
struct Said {
    /// What the run is called: letters, digits, dots, dashes and underscores.
    #[arg(long, value_name = "NAME")]
    run: String,
    /// How often the run went over the documents: each counts as used so many times.
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_epochs, allow_negative_numbers = true)]
    epochs: u32,
    /// Record a run of this name though there is one. It counts beside the other, and is called NAME~2.
    #[arg(long)]
    again: bool,
    /// When the run took place, like 2026-11-22T08:30:00Z; now by default.
    #[arg(long, value_name = "TIME")]
    time: Option<Time>,
}

/// Memory and room for sorting.
#[derive(Args)]
struct Sorting {
    /// Memory for sorting, at least 1MB; a quarter of the machine by default.
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    /// The local folder for temporary files; that of the system by default.
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
}

/// Lists the runs.
#[derive(Args)]
struct Runs {
    #[command(flatten)]
    address: Address,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the uses of a document, run by run.
#[derive(Args)]
struct Show {
    #[command(flatten)]
    address: Address,
    /// The content key or origin key of a document (32 hexadecimal digits); or its id, with --in.
    #[arg(value_name = "KEY|ID", value_parser = NonEmptyStringValueParser::new())]
    what: String,
    /// The shards that the document of this id is in.
    #[arg(long = "in", num_args = 1.., value_name = "SHARDS", value_parser = NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    #[command(flatten)]
    columns: ShardColumns,
}

/// Takes a run out of what counts. Its files stay.
#[derive(Args)]
struct Withdraw {
    #[command(flatten)]
    address: Address,
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// When, like 2026-11-22T08:30:00Z; now by default.
    #[arg(long, value_name = "TIME")]
    time: Option<Time>,
}

/// Names the files that count, one a line, for other tools.
///
/// What a glob finds may be of a run that was withdrawn, or of one that was never completed.
#[derive(Args)]
struct Files {
    #[command(flatten)]
    address: Address,
}

/// Reads everything and checks it: checksums, order, totals.
#[derive(Args)]
struct Verify {
    #[command(flatten)]
    address: Address,
}

impl Ledger {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        match &self.command {
            Command::Record(record) => record.run(),
            Command::Runs(runs) => runs.run(),
            Command::Show(show) => show.run(),
            Command::Withdraw(withdraw) => withdraw.run(),
            Command::Files(files) => {
                let used = Used::open(&files.address.ledger)?;
                out(&used.files().map(|file| file + "\n").collect::<String>())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Verify(verify) => verify.run(),
        }
    }
}

impl Record {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let manifest = self.sorting.with(|room| {
            let used = Used::open_or_make(&self.address.ledger)?;
            let mut recording = Recording::new(&used, self.about.about(&self.inputs), room)?;
            let n_passed_over = self.columns.each(&self.inputs, &mut |drawn| {
                recording.add(drawn.key, drawn.origin, drawn.uses, drawn.tokens, drawn.source)
            })?;
            if n_passed_over > 0 {
                tracing::warn!("{} without a text or a content key, not recorded", several(n_passed_over, "row"));
            }
            if recording.documents() == 0 {
                return Err(Error::refused(format!("{}: there are no documents to record", self.inputs.join(", "))));
            }
            recording.commit()
        })?;
        out(&recorded(&manifest))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What was recorded, in a line.
fn recorded(manifest: &Manifest) -> String {
    let totals = &manifest.totals;
    format!(
        "recorded {}: {}, {}, {}, {} tokens\n",
        manifest.run,
        several(totals.documents, "document"),
        several(totals.keys, "text"),
        several(totals.uses, "use"),
        short(totals.tokens),
    )
}

impl Said {
    fn about(&self, inputs: &[String]) -> About {
        let shards = inputs.iter().map(|input| Value::from(input.as_str())).collect();
        About {
            run: self.run.clone(),
            again: self.again,
            time: self.time.unwrap_or_else(Time::now),
            epochs: self.epochs,
            parameters: Map::from_iter([("shards".to_owned(), Value::Array(shards))]),
        }
    }
}

impl Sorting {
    /// Does something with memory and a folder for temporary files, which then goes.
    fn with<T>(&self, work: impl FnOnce(Room<'_>) -> Result<T>) -> Result<T> {
        let base = self.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let path = base.join(format!("trommel-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| Error::io(path.display(), error))?;
        let dir = SpillDir::new(path.clone());
        let done = work(Room { dir: &dir, memory: memory_or_default(self.memory) as usize });
        // What stays is small and in a folder for such things.
        let _ = std::fs::remove_dir_all(&path);
        done
    }
}

impl Runs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let used = Used::open(&self.address.ledger)?;
        if self.json {
            let json = |run: &Run| {
                let mut value = serde_json::to_value(&run.manifest)?;
                value["withdrawn"] = serde_json::to_value(&run.withdrawn)?;
                Ok::<_, serde_json::Error>(value)
            };
            let runs = used.runs().iter().map(json).collect::<Result<Vec<_>, _>>()?;
            out(&(serde_json::to_string_pretty(&runs)? + "\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let head = ["run", "time", "epochs", "documents", "texts", "uses", "tokens", "size", ""];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(used.runs().iter().map(|run| {
            let Manifest { run: name, time, epochs, totals, .. } = &run.manifest;
            let withdrawn = if run.withdrawn.is_some() { "withdrawn" } else { "" };
            let [documents, keys, uses] = [totals.documents, totals.keys, totals.uses].map(count);
            let (tokens, size) = (short(totals.tokens), bytes(run.bytes()));
            let name = name.clone();
            [name, time.to_string(), epochs.to_string(), documents, keys, uses, tokens, size, withdrawn.to_owned()]
        }));
        let counted = used.counted();
        let sum = |pick: fn(&Run) -> u64| counted.iter().map(|run| pick(run)).sum::<u64>();
        let total = format!(
            "\n{} that {}: {}, {} tokens\n",
            several(counted.len() as u64, "run"),
            if counted.len() == 1 { "counts" } else { "count" },
            several(sum(|run| run.manifest.totals.uses), "use"),
            short(sum(|run| run.manifest.totals.tokens)),
        );
        out(&(aligned(&rows) + &total))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let used = Used::open(&self.address.ledger)?;
        let mut shown = String::new();
        for keys in self.keys()? {
            shown += &self.shown(&used, &keys)?;
        }
        out(&shown)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The keys of each document that is asked for.
    fn keys(&self) -> Result<Vec<Vec<ContentKey>>> {
        if self.inputs.is_empty() {
            let key = parse_key(&self.what).ok_or_else(|| {
                Error::refused(format!(
                    "`{}` is no content key, which has 32 hexadecimal digits; if it is the id of a document, name the \
                     shards that this is in with --in",
                    self.what
                ))
            })?;
            return Ok(vec![vec![key.to_be_bytes()]]);
        }
        let mut found = Vec::new();
        self.columns.each(&self.inputs, &mut |drawn| {
            if drawn.id == Some(&self.what) {
                let mut keys = vec![drawn.key];
                keys.extend(drawn.origin.filter(|origin| *origin != drawn.key));
                found.push(keys);
            }
            Ok(())
        })?;
        if found.is_empty() {
            return Err(Error::refused(format!("{}: no document has the id `{}`", self.inputs.join(", "), self.what)));
        }
        Ok(found)
    }

    fn shown(&self, used: &Used, keys: &[ContentKey]) -> Result<String> {
        let mut found: Vec<(String, Entry)> = Vec::new();
        for key in keys {
            let of_key = used.look_up(&used.counted(), u128::from_be_bytes(*key))?;
            // A text can be found by its own key and by that of its origin.
            found.extend(of_key.into_iter().filter(|new| !found.contains(new)).collect::<Vec<_>>());
        }
        let uses = found.iter().map(|(_, entry)| entry.uses).sum::<u64>();
        let key = u128::from_be_bytes(keys[0]);
        let Some(last_used) = found.iter().map(|(_, entry)| entry.last_used).max() else {
            return Ok(format!("{key:032x}: never used\n"));
        };
        let tokens = found.iter().map(|(_, entry)| entry.tokens).sum::<u64>();
        let mut rows = vec![["run", "uses", "tokens", "last used", "text"].map(str::to_owned)];
        rows.extend(found.iter().map(|(run, entry)| {
            let text = format!("{:032x}", entry.key);
            [run.clone(), count(entry.uses), count(entry.tokens), entry.last_used.to_string(), text]
        }));
        Ok(format!(
            "{key:032x}: {}, {} tokens, last {last_used}; one more is worth {:.3}\n\n{}",
            several(uses, "use"),
            count(tokens),
            Weight::default().of(uses),
            aligned(&rows)
        ))
    }
}

impl Withdraw {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let used = Used::open(&self.address.ledger)?;
        let withdrawal = Withdrawal { time: self.time.unwrap_or_else(Time::now), reason: self.reason.clone() };
        let place = &self.address.ledger;
        if !used.withdraw(&self.run, &withdrawal)? {
            return Err(Error::refused(format!("{place}: the run `{}` was withdrawn already", self.run)).into());
        }
        let totals = used.run(&self.run)?.manifest.totals;
        out(&format!("withdrawn {}: {} do not count any more\n", self.run, several(totals.uses, "use")))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let used = Used::open(&self.address.ledger)?;
        let mut rows = Vec::new();
        let mut n_wrong = 0;
        for run in used.runs() {
            let checked = used.check(run);
            n_wrong += checked.wrong.len();
            for error in &checked.wrong {
                tracing::error!("{error}");
            }
            let said = if checked.wrong.is_empty() { "sound" } else { "damaged" };
            rows.push([run.manifest.run.clone(), bytes(checked.bytes), said.to_owned()]);
        }
        out(&aligned(&rows))?;
        let strays = used.strays()?;
        if let Some(first) = strays.first() {
            tracing::warn!(
                "{} of no run (like {first}): of a recording that is under way, or was broken off",
                several(strays.len() as u64, "file")
            );
        }
        Ok(ExitCode::from(u8::from(n_wrong > 0)))
    }
}

/// How often a run went over its documents.
fn parse_epochs(text: &str) -> Result<u32, String> {
    let wrong = "uses are counted, so write a whole number, 1 or above; a part of an epoch is a run of its own, \
                 recorded from the shards that it was given";
    text.parse().ok().filter(|epochs| *epochs > 0).ok_or_else(|| wrong.to_owned())
}
