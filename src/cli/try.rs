//! `trommel try`: what each stage does to one text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::styling::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use super::run::read_table;
use super::{out, several};
use crate::chain::NULL_TEXT;
use crate::doc::{Columns, Doc, Value};
use crate::encoding::{Guesses, UNDECODABLE};
use crate::error::Error;
use crate::pipeline::{DOOR, Pipeline, StageSpec};
use crate::report::table::count;
use crate::stage::{CorpusStage, Edit, Reason, Stage};

mod diff;

/// Shows what each stage of a pipeline does to one text.
///
/// Reads the text from a file, or from standard input. Stages that need the whole corpus only say what they
/// would compare.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel try pipelines/web.toml page.txt
  trommel try pipelines/web.toml --all --diff < page.txt
  trommel try pipelines/web.toml --column language=zh page.txt
  trommel try pipelines/web.toml --show text page.txt
  head -100 shard.jsonl | trommel try pipelines/web.toml --jsonl

Exit codes: 0 tried, whatever became of the text; 1 the pipeline or the text could not be read.")]
pub struct Try {
    /// The pipeline file (TOML).
    pipeline: PathBuf,
    /// The file with the text; standard input if none is named.
    file: Option<PathBuf>,
    /// A column beside the text, for stages that look at one; can be given several times.
    #[arg(long = "column", value_name = "NAME=VALUE", value_parser = parse_column)]
    columns: Vec<(String, String)>,
    /// Go on after a drop, to see what later stages would say.
    #[arg(long)]
    all: bool,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Show::Stages, value_name = "WHAT", conflicts_with = "jsonl")]
    show: Show,
    /// Show the lines that rewriting stages change.
    #[arg(long, conflicts_with_all = ["jsonl", "show"])]
    diff: bool,
    /// Read JSON Lines: each line is a document with its columns, and gets one line of output.
    #[arg(long, conflicts_with_all = ["columns", "all"])]
    jsonl: bool,
}

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Show {
    /// What each stage does.
    Stages,
    /// The text as the stages leave it, and nothing else.
    Text,
}

impl Try {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let table = read_table(&self.pipeline)?;
        let pipeline = Pipeline::from_table(table, &self.pipeline.display().to_string())?;
        if self.jsonl { self.lines(&pipeline) } else { self.text(&pipeline) }?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self, pipeline: &Pipeline) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes).with_context(|| self.place())?;
        let encoding = pipeline.input.encoding;
        let mut guesses = Guesses::new();
        let text = match encoding.decode(&bytes, &mut guesses) {
            Ok(text) => text.into_owned(),
            Err(UNDECODABLE) => {
                let message = format!("{}: the text cannot be decoded (encoding = \"{encoding}\")", self.place());
                return Err(Error::refused(message).into());
            }
            Err(_) => {
                let at = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
                return Err(Error::refused(format!("{}: the text is not UTF-8 from byte {at} on", self.place())).into());
            }
        };
        for name in guesses.keys() {
            tracing::warn!("{}: the text is not UTF-8; it is read as {}", self.place(), name.to_ascii_lowercase());
        }
        let beside = Beside { given: self.columns.iter().cloned().collect(), added: Vec::new() };
        let tried = Trial::of(pipeline, &text, beside, self.all);
        if self.show == Show::Text {
            if let Some((by, reason)) = tried.dropped {
                tracing::warn!("this text is dropped: {by} {reason}");
            }
            return out(&tried.text);
        }
        out(&self.report(pipeline, &text, &tried))
    }

    /// A line for each stage, and what became of the text.
    fn report(&self, pipeline: &Pipeline, origin: &str, tried: &Trial<'_>) -> String {
        let width = pipeline.stages.iter().map(|spec| spec.name.chars().count()).max().unwrap_or(0);
        let mut report = String::new();
        let mut before = origin;
        // Writing to a string does not fail.
        for (spec, step) in pipeline.stages.iter().zip(&tried.steps) {
            let _ = writeln!(report, "{:<width$}  {}", spec.name, step.line(before));
            if let Step::Rewritten(after) = step {
                if self.diff {
                    report += &diff::lines(before, after);
                }
                before = after;
            }
        }
        let _ = match tried.dropped {
            None => writeln!(report, "\nkept: {}", several(tried.text.len() as u64, "byte")),
            Some((by, reason)) => {
                let rest = pipeline.stages.len() - tried.steps.len();
                let rest = match rest {
                    0 => String::new(),
                    n => format!(" (not asked: {} after it; --all goes on)", several(n as u64, "stage")),
                };
                writeln!(report, "\n{} by {by}: {}{rest}", red("dropped"), reason.code)
            }
        };
        report
    }

    fn lines(&self, pipeline: &Pipeline) -> anyhow::Result<()> {
        for (line, i) in self.open()?.split(b'\n').zip(1u64..) {
            let line = line.with_context(|| format!("{}: line {i}", self.place()))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (id, outcome) = match Line::read(&line, pipeline) {
                Ok(Line { id, text, beside }) => {
                    let tried = Trial::of(pipeline, &text, beside, false);
                    let outcome = tried.dropped.map(|(by, reason)| format!("{by}: {reason}"));
                    (id, outcome)
                }
                Err(why) => (None, Some(format!("{DOOR}: {why}"))),
            };
            let id = id.unwrap_or_else(|| format!("line {i}"));
            out(&match outcome {
                None => format!("{id}\tkeep\n"),
                Some(why) => format!("{id}\t{} {why}\n", red("DROP")),
            })?;
        }
        Ok(())
    }

    fn open(&self) -> anyhow::Result<Box<dyn BufRead>> {
        if let Some(path) = self.named() {
            let file = std::fs::File::open(path).with_context(|| self.place())?;
            return Ok(Box::new(std::io::BufReader::new(file)));
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            tracing::info!("reading from the terminal; Ctrl-D ends the text");
        }
        Ok(Box::new(stdin.lock()))
    }

    fn named(&self) -> Option<&Path> {
        self.file.as_deref().filter(|path| *path != Path::new("-"))
    }

    fn place(&self) -> String {
        self.named().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
    }
}

/// A line of JSON Lines.
struct Line {
    id: Option<String>,
    text: String,
    beside: Beside,
}

impl Line {
    /// Reads a line as the reader of a run would; the reason why it would be rejected if it is no document.
    fn read(line: &[u8], pipeline: &Pipeline) -> Result<Self, String> {
        let line = pipeline.input.encoding.decode(line, &mut Guesses::new())?;
        let fields: serde_json::Map<String, Json> = serde_json::from_str(&line).map_err(|_| "invalid_json")?;
        let text = match fields.get(&pipeline.input.text_column) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Null) => return Err(NULL_TEXT.into()),
            Some(_) => return Err("text_not_a_string".into()),
            None => {
                let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                let text_column = &pipeline.input.text_column;
                return Err(format!(
                    "{NULL_TEXT}: there is no field `{text_column}`; the fields are {}",
                    names.join(", ")
                ));
            }
        };
        let column = |value: &Json| match value {
            Json::String(value) => Some(value.clone()),
            Json::Number(value) => Some(value.to_string()),
            _ => None,
        };
        let given = fields.iter().filter_map(|(name, value)| Some((name.clone(), column(value)?)));
        let beside = Beside { given: given.collect(), added: Vec::new() };
        Ok(Self { id: beside.given.get(&pipeline.input.id_column).cloned(), text, beside })
    }
}

/// A text on its way through a pipeline, every step on record.
struct Trial<'p> {
    steps: Vec<Step>,
    text: String,
    /// The first drop.
    dropped: Option<(&'p str, Reason)>,
}

/// What one stage did.
enum Step {
    Unchanged,
    Kept,
    Rewritten(String),
    Dropped(Reason),
    Added(Vec<(String, Value)>),
    Skipped(String),
    Corpus(String),
}

impl<'p> Trial<'p> {
    fn of(pipeline: &'p Pipeline, origin: &str, mut beside: Beside, all: bool) -> Self {
        let mut tried = Self { steps: Vec::new(), text: origin.to_owned(), dropped: None };
        for spec in &pipeline.stages {
            let step = run(spec, &tried.text, origin, &beside);
            match &step {
                Step::Rewritten(text) => tried.text.clone_from(text),
                Step::Added(values) => beside.added.extend(values.iter().cloned()),
                Step::Dropped(reason) if tried.dropped.is_none() => tried.dropped = Some((&spec.name, *reason)),
                _ => {}
            }
            tried.steps.push(step);
            if tried.dropped.is_some() && !all {
                break;
            }
        }
        tried
    }
}

fn run(spec: &StageSpec, text: &str, origin: &str, beside: &Beside) -> Step {
    if let Some(why) = spec.when.mismatch(beside) {
        return Step::Skipped(why);
    }
    let doc = Doc::new(text, origin, beside);
    let mut row = Vec::new();
    match (spec.stage.apply(&doc, &mut row), &spec.stage) {
        (Edit::Drop(reason), _) => Step::Dropped(reason),
        (Edit::Rewritten(text), _) => Step::Rewritten(text),
        (Edit::Unchanged, Stage::Normalize(_)) => Step::Unchanged,
        (Edit::Unchanged, Stage::Filter(_) | Stage::Edit(_)) => Step::Kept,
        (Edit::Unchanged, Stage::Corpus(stage)) => Step::Corpus(sent(stage.as_ref(), &doc)),
        (Edit::Unchanged, Stage::Annotate(stage)) => {
            let names = stage.columns().into_iter().map(|field| field.name().clone());
            Step::Added(names.zip(row).collect())
        }
    }
}

/// What a corpus stage would let the other documents meet.
fn sent(stage: &dyn CorpusStage, doc: &Doc<'_>) -> String {
    let (mut name, mut n_others) = (None, 0);
    stage.keys(doc, &mut |section, key| {
        if section == 0 && stage.is_dedup() {
            name = Some(Value::Key(key.to_be_bytes()));
        } else {
            n_others += 1;
        }
    });
    let mut sent = match (name, n_others) {
        (Some(name), 0) => format!("content key {name}"),
        (Some(name), n) => format!("content key {name}, {}", several(n, "sketch key")),
        (None, n) => several(n, "key"),
    };
    match stage.n_shingles(doc) {
        None => {}
        Some(0) => sent += ", no shingles: only the same text is a copy",
        Some(n) => sent += &format!(" of {}", several(n as u64, "different shingle")),
    }
    sent
}

impl Step {
    /// What is said of it; `before` is the text it saw.
    fn line(&self, before: &str) -> String {
        match self {
            Self::Unchanged => "unchanged".to_owned(),
            Self::Kept => "keep".to_owned(),
            Self::Rewritten(after) => {
                let size = |text: &str| count(text.len() as u64);
                format!("rewritten ({} → {} bytes)", size(before), size(after))
            }
            Self::Dropped(reason) => format!("{} {reason}", red("DROP")),
            Self::Added(values) => {
                values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
            Self::Skipped(why) => format!("skipped: {why}"),
            Self::Corpus(sent) => format!("needs a corpus; {sent}"),
        }
    }
}

/// The columns beside the text: those given, and those that stages have added.
struct Beside {
    given: BTreeMap<String, String>,
    added: Vec<(String, Value)>,
}

impl Beside {
    fn added(&self, column: &str) -> Option<&Value> {
        self.added.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }
}

impl Columns for Beside {
    fn string(&self, column: &str) -> Option<&str> {
        match self.added(column) {
            Some(Value::Str(value)) => Some(value),
            _ => self.given.get(column).map(String::as_str),
        }
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.added(column) {
            Some(Value::U32(n)) => Some(f64::from(*n)),
            Some(Value::F32(x)) => Some(f64::from(*x)),
            Some(Value::F64(x)) => Some(*x),
            _ => self.given.get(column)?.parse().ok(),
        }
    }
}

fn parse_column(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, as in language=en".to_owned()),
    }
}

/// A word in red, where people look at a terminal that has colours.
fn red(word: &str) -> Cow<'_, str> {
    if !super::has_colours(&std::io::stdout()) {
        return word.into();
    }
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    format!("{style}{word}{style:#}").into()
}
