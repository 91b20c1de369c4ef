//! A pipeline: the stages a file lists, checked all at once before the first byte of data, and the passes
//! they are cut into.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::Columns;
use crate::encoding::Encoding;
use crate::error::{self, Error, Result};
use crate::stage::{Duplicates, Entry, IndexUse, Need, NeedKind, Stage};
use crate::{annotate, corpus, filter, normalize};

pub mod schema;

/// The name under which rows that are no documents are rejected. No stage has it.
pub const DOOR: &str = "reader";

/// The families of stages, in the order they are listed to users.
pub const FAMILIES: [(&str, &[Entry]); 4] =
    [("normalize", normalize::ALL), ("filter", filter::ALL), ("annotate", annotate::ALL), ("corpus", corpus::ALL)];

/// The table line of the stage called `name`. The message says which name was perhaps meant.
pub fn entry(name: &str) -> Result<&'static Entry, String> {
    entries().find(|entry| entry.name == name).ok_or_else(|| {
        let meant = error::meant(name, entries().map(|entry| entry.name));
        let meant = meant.map_or(String::new(), |meant| format!("did you mean `{meant}`? "));
        format!("there is no stage `{name}`; {meant}`trommel stages` lists all")
    })
}

/// Every stage, in the order they are listed to users.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.iter().flat_map(|(_, all)| *all)
}

/// A checked pipeline.
pub struct Pipeline {
    /// What the input looks like.
    pub input: InputSettings,
    /// What the output looks like.
    pub output: OutputSettings,
    /// The stages in order.
    pub stages: Vec<StageSpec>,
    /// The pipeline as one text, settings left out by the user left out too: what makes two runs the same. Where
    /// the corpus lies is no part of it.
    pub fingerprint: String,
}

/// What the input looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputSettings {
    /// Files, folders, globs or URLs, seen from the current folder; `--input` on the command line replaces them.
    pub files: Vec<String>,
    /// The column that holds the text.
    pub text_column: String,
    /// The column that names a document; it need not be there.
    pub id_column: String,
    /// How texts are encoded: `utf-8`; `detect`, where that is to be found out for each line of JSON Lines and each
    /// text of a Parquet column of bytes; or a label of the WHATWG Encoding Standard, such as `gb18030` or
    /// `windows-1252`. What cannot be decoded without loss is rejected.
    pub encoding: Encoding,
    /// Lets a stage replace an input column of the same name.
    pub replace_columns: bool,
}

impl Default for InputSettings {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            text_column: "text".into(),
            id_column: "id".into(),
            encoding: Encoding::Utf8,
            replace_columns: false,
        }
    }
}

/// What the output looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputSettings {
    /// Parquet or JSON Lines.
    pub format: OutputFormat,
    /// The zstd level, 1 to 22.
    pub compression_level: i32,
    /// The most rows of a Parquet row group.
    pub row_group_rows: usize,
    /// The bytes of text after which a Parquet row group is closed. A task holds a row group in memory, compressed.
    pub row_group_bytes: usize,
    /// What is written of documents that go.
    pub rejects: Rejects,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            format: OutputFormat::Parquet,
            compression_level: 3,
            row_group_rows: 100_000,
            row_group_bytes: 16 << 20,
            rejects: Rejects::Whole,
        }
    }
}

/// What is written of documents that go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rejects {
    /// All columns, and the reason.
    Whole,
    /// All columns but the text, and the reason: where the text can be looked up by its id and need not be written twice.
    WithoutText,
}

/// The format of output shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// Parquet, zstd inside.
    Parquet,
    /// JSON Lines.
    Jsonl,
    /// JSON Lines, zstd-compressed.
    JsonlZst,
}

impl OutputFormat {
    /// The ending of file names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::JsonlZst => "jsonl.zst",
        }
    }
}

/// A stage of a pipeline.
pub struct StageSpec {
    /// The name in reports: the stage's own, or the one the pipeline gives it.
    pub name: String,
    /// The stage's own name.
    pub kind: &'static str,
    /// The documents it runs for.
    pub when: When,
    /// What runs.
    pub stage: Stage,
}

/// Which documents a stage runs for: those whose columns have one of the values listed in `when`, and none
/// of those listed in `unless`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    only: BTreeMap<String, BTreeSet<String>>,
    never: BTreeMap<String, BTreeSet<String>>,
}

impl When {
    /// Whether the stage runs for every document.
    pub fn is_always(&self) -> bool {
        self.only.is_empty() && self.never.is_empty()
    }

    /// Whether the stage runs for a document with these columns. A null matches no list.
    pub fn matches(&self, columns: &dyn Columns) -> bool {
        let has = |(column, values): (&String, &BTreeSet<String>)| {
            columns.string(column).is_some_and(|value| values.contains(value))
        };
        self.only.iter().all(has) && !self.never.iter().any(has)
    }

    /// Why it does not match a document with these columns; `None` if it does.
    pub fn mismatch(&self, columns: &dyn Columns) -> Option<String> {
        let only = self.only.iter().find_map(|(column, values)| match columns.string(column) {
            Some(value) if values.contains(value) => None,
            Some(value) => Some(format!("{column} is {value:?}, not {}", alternatives(values, " or "))),
            None => Some(format!("{column} is not known")),
        });
        let never = || {
            self.never.iter().find_map(|(column, values)| {
                let value = columns.string(column).filter(|value| values.contains(*value))?;
                Some(format!("{column} is {value:?}"))
            })
        };
        only.or_else(never)
    }

    /// The columns it looks at.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        self.only.keys().chain(self.never.keys())
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut between = "";
        for (word, conditions) in [("when", &self.only), ("unless", &self.never)] {
            for (column, values) in conditions {
                write!(f, "{between}{word} {column} = {}", alternatives(values, " | "))?;
                between = ", ";
            }
        }
        Ok(())
    }
}

fn alternatives(values: &BTreeSet<String>, between: &str) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(between)
}

/// One walk through the corpus, between two exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Its number, from 0.
    pub index: usize,
    /// Stages before the last exchange that wrote nothing then and run again now: annotators.
    pub replays: Vec<usize>,
    /// The corpus stages whose rulings are met at the start.
    pub rulings: Vec<usize>,
    /// The stages that run on each document.
    pub local: Vec<usize>,
    /// The corpus stages whose keys are gathered at the end.
    pub emits: Vec<usize>,
    /// Whether it leaves documents. A first pass that would neither rewrite nor drop does not; the next
    /// pass reads the input again.
    pub writes: bool,
}

impl Pipeline {
    /// Reads and checks a pipeline file's text. `place` names it in messages.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        Self::from_table(Self::table(text, place)?, place)
    }

    /// Reads a pipeline file's text as a table, not checked yet. `place` names it in messages.
    pub fn table(text: &str, place: &str) -> Result<toml::Table> {
        toml::from_str::<toml::Table>(text).map_err(|error| {
            let line = error
                .span()
                .map_or(String::new(), |span| format!("line {}: ", text[..span.start].matches('\n').count() + 1));
            Error::refused(format!("{place}: {line}{}", error.message()))
        })
    }

    /// Checks a pipeline given as a table of `input`, `output` and a list `stage`.
    pub fn from_table(mut table: toml::Table, place: &str) -> Result<Self> {
        link_all(&mut table);
        let mut written = table.clone();
        if table.get("stage").is_some_and(|stage| !stage.is_array()) {
            return Err(Error::refused(format!("{place}: `stage` is a list; each stage begins with `[[stage]]`")));
        }
        let file: File =
            table.try_into().map_err(|error| Error::refused(format!("{place}: {}", error::of_settings(&error))))?;
        let stages = file
            .stage
            .into_iter()
            .enumerate()
            .map(|(i, table)| StageSpec::parse(table, &format!("{place}: stage {}", i + 1)))
            .collect::<Result<Vec<_>>>()?;
        pin(&mut written, &stages);
        let fingerprint = fingerprint(written);
        let pipeline = Self { input: file.input, output: file.output, stages, fingerprint };
        pipeline.check().map_err(|message| Error::refused(format!("{place}: {message}")))?;
        Ok(pipeline)
    }

    /// The stage whose threshold can be changed after a run, if there is one: it records its pairs, and nothing
    /// else decides which documents stay and what they say.
    pub fn recut_stage(&self) -> Option<usize> {
        let is_other = |spec: &StageSpec| spec.stage.rewrites() || spec.stage.drops();
        let mut corpus = self.stages.iter().enumerate().filter_map(|(i, spec)| match &spec.stage {
            Stage::Corpus(stage) => Some((i, stage)),
            _ => None,
        });
        let only = corpus.next().filter(|_| corpus.next().is_none());
        only.filter(|(_, stage)| stage.records_pairs() && !self.stages.iter().any(is_other)).map(|(i, _)| i)
    }

    /// A threshold that is chosen by what is kept needs to know what is kept.
    fn check_target(&self) -> Result<(), String> {
        for (i, spec) in self.stages.iter().enumerate() {
            if let Stage::Corpus(stage) = &spec.stage
                && stage.target().is_some()
                && self.recut_stage() != Some(i)
            {
                return Err(format!(
                    "stage {} ({}): a target needs a pipeline in which no other stage drops, rewrites or needs the whole corpus",
                    i + 1,
                    spec.name
                ));
            }
        }
        Ok(())
    }

    /// The passes that the stages are cut into.
    pub fn passes(&self) -> Vec<Pass> {
        let mut passes = vec![Pass::new(0)];
        for (i, spec) in self.stages.iter().enumerate() {
            let last = passes.last_mut().expect("there is always one");
            if matches!(spec.stage, Stage::Corpus(_)) {
                last.emits.push(i);
            } else if last.emits.is_empty() {
                last.local.push(i);
            } else {
                let next = self.pass_after(last);
                passes.push(Pass { local: vec![i], ..next });
            }
        }
        let last = passes.last().expect("there is always one");
        if !last.emits.is_empty() {
            passes.push(self.pass_after(last));
        }
        for pass in &mut passes {
            let changes = |&i: &usize| self.stages[i].stage.rewrites() || self.stages[i].stage.drops();
            pass.writes = pass.index > 0 || pass.emits.is_empty() || pass.local.iter().any(changes);
        }
        for i in 1..passes.len() {
            if !passes[i - 1].writes {
                passes[i].replays = passes[i - 1].local.clone();
            }
        }
        passes
    }

    /// The stage that reads or writes an index of earlier corpora, if there is one.
    pub fn index(&self) -> Option<(usize, &IndexUse)> {
        self.stages.iter().enumerate().find_map(|(i, spec)| match &spec.stage {
            Stage::Corpus(stage) => Some((i, stage.index()?)),
            _ => None,
        })
    }

    fn pass_after(&self, pass: &Pass) -> Pass {
        Pass { rulings: pass.emits.clone(), ..Pass::new(pass.index + 1) }
    }

    /// The input columns that stages look at and no stage before them adds, each with the first stage that does.
    pub fn needs(&self) -> BTreeMap<Need, &str> {
        let mut added = BTreeSet::new();
        let mut needs = BTreeMap::new();
        for spec in &self.stages {
            let when = spec.when.columns().map(|column| Need { column: column.clone(), kind: NeedKind::String });
            for need in when.chain(spec.stage.needs()).filter(|need| !added.contains(&need.column)) {
                needs.entry(need).or_insert(spec.name.as_str());
            }
            added.extend(spec.stage.columns().iter().map(|field| field.name().clone()));
        }
        needs
    }

    /// The rules that hold between stages.
    fn check(&self) -> Result<(), String> {
        if !(1..=22).contains(&self.output.compression_level) {
            return Err(format!("output: `compression_level` is {}, zstd has 1 to 22", self.output.compression_level));
        }
        if self.output.row_group_rows == 0 || self.output.row_group_bytes == 0 {
            return Err("output: a row group cannot be empty: `row_group_rows` and `row_group_bytes` begin at 1".into());
        }
        let mut names = BTreeSet::new();
        let mut columns = BTreeMap::new();
        let mut rewriter: Option<&str> = None;
        let mut fixes_text: Option<&str> = None;
        self.check_target()?;
        // The stages that rule on duplicates, of those that meet in one exchange.
        let mut dedups: Vec<(&str, &Duplicates)> = Vec::new();
        for (i, spec) in self.stages.iter().enumerate() {
            let place = format!("stage {} ({})", i + 1, spec.name);
            if spec.name.trim().is_empty() || spec.name.chars().any(char::is_control) {
                return Err(format!("{place}: its `name` is {:?}; a name is one line, and not blank", spec.name));
            }
            if spec.name == DOOR {
                return Err(format!(
                    "{place}: reports call the reading itself `{DOOR}`; give the stage another `name`"
                ));
            }
            if !names.insert(&spec.name) {
                return Err(format!(
                    "{place}: this name is taken by an earlier stage; give it another with `name = \"…\"`"
                ));
            }
            for need in spec.stage.needs().iter().filter(|need| need.kind == NeedKind::Number) {
                let made = self.stages[..i].iter().flat_map(|spec| spec.stage.columns());
                let data_type =
                    made.filter(|field| *field.name() == need.column).map(|field| field.data_type().clone());
                if let Some(data_type) = data_type.last().filter(|data_type| !data_type.is_numeric()) {
                    return Err(format!("{place}: column `{}` is {data_type}, expected one of numbers", need.column));
                }
            }
            for field in spec.stage.columns() {
                if let Some(other) = columns.insert(field.name().clone(), &spec.name) {
                    return Err(format!(
                        "{place}: column `{}` is added by {other} already; leave one of them out",
                        field.name()
                    ));
                }
            }
            if spec.stage.rewrites() {
                if let Some(earlier) = fixes_text {
                    return Err(format!(
                        "{place}: it rewrites the text after {earlier} has named or compared it; move it before {earlier}"
                    ));
                }
                rewriter = rewriter.or(Some(&spec.name));
            }
            match &spec.stage {
                Stage::Corpus(stage) => {
                    let both = stage.duplicates().and_then(|how| {
                        dedups.push((&spec.name, how));
                        dedups.iter().position(|(_, how)| how.annotated).filter(|_| dedups.len() > 1)
                    });
                    let indexed = self.index().map(|(at, _)| &self.stages[at].name);
                    if let Some(index) = indexed
                        && stage.index().is_some()
                        && *index != spec.name
                    {
                        return Err(format!(
                            "{place}: {index} has an index already, and a run has one; leave one of them out"
                        ));
                    }
                    if let Some((other, _)) = dedups.iter().find(|(name, _)| Some(*name) != indexed.map(String::as_str))
                        && let Some(index) = indexed
                        && dedups.iter().any(|(name, _)| name == index)
                    {
                        return Err(format!(
                            "{place}: {index} has an index, which would not know what {other} beside it drops; leave \
                             {other} out (minhash finds copies of the same text as well)"
                        ));
                    }
                    if let Some(at) = both {
                        let annotates = dedups[at].0;
                        let other = dedups[usize::from(at == 0)].0;
                        return Err(format!(
                            "{place}: {annotates} leaves duplicates in place, so {other} beside it would rule on the same \
                             documents; leave {other} out (minhash finds copies of the same text as well)"
                        ));
                    }
                }
                _ => dedups.clear(),
            }
            match &spec.stage {
                Stage::Annotate(stage) if stage.reads_origin() => {
                    if let Some(earlier) = rewriter {
                        return Err(format!(
                            "{place}: it names the text as first read, so it must stand before {earlier}, which rewrites it"
                        ));
                    }
                    if self.stages[..i].iter().any(|spec| matches!(spec.stage, Stage::Corpus(_))) {
                        return Err(format!(
                            "{place}: it names the text as first read, so it must stand before any corpus stage"
                        ));
                    }
                }
                Stage::Annotate(stage) if stage.columns().iter().any(|field| field.name() == "content_key") => {
                    fixes_text = fixes_text.or(Some(&spec.name));
                }
                Stage::Corpus(stage) if stage.is_dedup() => fixes_text = fixes_text.or(Some(&spec.name)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Pass {
    fn new(index: usize) -> Self {
        Self { index, replays: vec![], rulings: vec![], local: vec![], emits: vec![], writes: true }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    input: InputSettings,
    #[serde(default)]
    output: OutputSettings,
    #[serde(default)]
    stage: Vec<toml::Table>,
}

impl StageSpec {
    /// Takes the keys that every stage has (`use`, `name`, `when`, `unless`) out of the table; the rest are
    /// the stage's settings.
    fn parse(mut table: toml::Table, place: &str) -> Result<Self> {
        let refuse = |message: String| Error::refused(format!("{place}{message}"));
        let mut string = |key: &str| match table.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(value)) => Ok(Some(value)),
            Some(other) => Err(refuse(format!(": `{key}` is a string, not {}", other.type_str()))),
        };
        let kind = string("use")?.ok_or_else(|| refuse(": `use = \"STAGE\"` is missing".into()))?;
        let name = string("name")?;
        let entry = entry(&kind).map_err(|message| refuse(format!(": {message}")))?;
        let only =
            conditions(table.remove("when")).map_err(|message| refuse(format!(" ({kind}): `when`: {message}")))?;
        let never =
            conditions(table.remove("unless")).map_err(|message| refuse(format!(" ({kind}): `unless`: {message}")))?;
        check_keys(&table, entry).map_err(|message| refuse(format!(" ({kind}): {message}")))?;
        let stage = (entry.build)(table).map_err(|message| refuse(format!(" ({kind}): {message}")))?;
        Ok(Self { name: name.unwrap_or(kind), kind: entry.name, when: When { only, never }, stage })
    }
}

/// Refuses what is almost one of the keys that every stage has: the stage itself knows only its own settings.
fn check_keys(table: &toml::Table, entry: &Entry) -> Result<(), String> {
    const KEYS: [&str; 4] = ["use", "name", "when", "unless"];
    let defaults = (entry.defaults)();
    let settings: Vec<&str> = defaults.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    for key in table.keys().filter(|key| !settings.contains(&key.as_str())) {
        let meant = error::meant(key, KEYS.into_iter().chain(settings.iter().copied()));
        if let Some(meant) = meant.filter(|meant| KEYS.contains(meant)) {
            return Err(format!("unknown field `{key}`; did you mean `{meant}`?"));
        }
    }
    Ok(())
}

/// Writes down what stages have found outside of the pipeline.
fn pin(table: &mut toml::Table, stages: &[StageSpec]) {
    let tables = table.get_mut("stage").and_then(toml::Value::as_array_mut).into_iter().flatten();
    for (table, spec) in tables.filter_map(toml::Value::as_table_mut).zip(stages) {
        table.extend(spec.stage.pins().into_iter().map(|(name, value)| (name.to_owned(), toml::Value::String(value))));
    }
}

/// Lets a run that is continued find outside of its pipeline what it found when it began, where that may have become more
/// since: what `known` says, the pipeline as the run has noted it, of the ledger of a stage in `table`.
pub fn keep_pins(table: &mut toml::Table, known: &str) {
    let Ok(known) = serde_json::from_str::<serde_json::Value>(known) else { return };
    let known = known["stage"].as_array().into_iter().flatten();
    let stages = table.get_mut("stage").and_then(toml::Value::as_array_mut).into_iter().flatten();
    for (stage, known) in stages.filter_map(toml::Value::as_table_mut).zip(known) {
        let said = |key: &str| stage.get(key).and_then(toml::Value::as_str) == known[key].as_str();
        if said("use")
            && said("ledger")
            && stage.contains_key("ledger")
            && let Some(pinned) = known["pinned"].as_str()
        {
            stage.entry("pinned").or_insert_with(|| pinned.into());
        }
    }
}

/// Has deduplication before a `reuse` with a ledger take note of all that is alike, unless the pipeline says otherwise.
fn link_all(table: &mut toml::Table) {
    let stages = table.get_mut("stage").and_then(toml::Value::as_array_mut).into_iter().flatten().rev();
    let mut wanted = false;
    for stage in stages.filter_map(toml::Value::as_table_mut) {
        match stage.get("use").and_then(toml::Value::as_str) {
            Some("reuse") => wanted |= stage.contains_key("ledger"),
            Some("minhash") if wanted => {
                stage.entry("links").or_insert_with(|| "all".into());
            }
            _ => {}
        }
    }
}

fn fingerprint(mut table: toml::Table) -> String {
    if let Some(input) = table.get_mut("input").and_then(toml::Value::as_table_mut) {
        input.remove("files");
        if input.is_empty() {
            table.remove("input");
        }
    }
    serde_json::to_string(&table).expect("a table of plain values")
}

fn conditions(value: Option<toml::Value>) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let table = match value {
        None => return Ok(BTreeMap::new()),
        Some(toml::Value::Table(table)) => table,
        Some(other) => {
            return Err(format!("expected a table like {{ language = [\"en\"] }}, not {}", other.type_str()));
        }
    };
    let mut conditions = BTreeMap::new();
    for (column, value) in table {
        let wrong = || format!("`{column}` is a string or a list of strings");
        let values = match value {
            toml::Value::String(value) => BTreeSet::from([value]),
            toml::Value::Array(values) if !values.is_empty() => values
                .into_iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<_, _>>()?,
            _ => return Err(wrong()),
        };
        conditions.insert(column, values);
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pipeline, String> {
        Pipeline::parse(text, "p.toml").map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(parse(text).err().as_deref(), Some(expected));
    }

    #[test]
    fn settings_are_checked_when_read() {
        check_refused(
            "[[stage]]\nuse = 'word_count'\nmn = 3",
            "p.toml: stage 1 (word_count): unknown field `mn`, expected `min` or `max`",
        );
        check_refused(
            "[[stage]]\nuse = 'word_count'\nmin = 3\nmax = 2",
            "p.toml: stage 1 (word_count): `min` (3) is above `max` (2)",
        );
        check_refused(
            "[[stage]]\nuse = 'word_cuont'",
            "p.toml: stage 1: there is no stage `word_cuont`; did you mean `word_count`? `trommel stages` lists all",
        );
        check_refused(
            "[[stage]]\nuse = 'word_count'\nmin = -1",
            "p.toml: stage 1 (word_count): `min`: invalid value: integer `-1`, expected a whole number, 0 or above",
        );
        check_refused(
            "[output]\nformat = 'csv'",
            "p.toml: `output.format`: unknown variant `csv`, expected one of `parquet`, `jsonl`, `jsonl-zst`",
        );
        check_refused("input = 3", "p.toml: `input`: invalid type: integer `3`, expected a table");
        check_refused("[input]\nfiles = 'a'", "p.toml: `input.files`: invalid type: string \"a\", expected a list");
        check_refused("[stage]\nmin = 1", "p.toml: `stage` is a list; each stage begins with `[[stage]]`");
        check_refused("[[stage]]\nmin = 1", "p.toml: stage 1: `use = \"STAGE\"` is missing");
        check_refused("[[stage]\n", "p.toml: line 1: unclosed array table, expected `]`");
    }

    #[test]
    fn misspelt_settings_are_recognised() {
        let error = parse("[[stage]]\nuse = 'exact'\nkep = 'first'\n").err().expect("misspelt");
        assert!(error.starts_with("p.toml: stage 1 (exact): unknown field `kep`, expected one of `keep`, "), "{error}");
        assert!(error.ends_with("; did you mean `keep`?"), "{error}");
        check_refused(
            "[[stage]]\nuse = 'word_count'\nwehn.language = 'en'",
            "p.toml: stage 1 (word_count): unknown field `wehn`; did you mean `when`?",
        );
        check_refused(
            "[input]\ntext_colum = 'body'",
            "p.toml: `input`: unknown field `text_colum`, expected one of `files`, `text_column`, `id_column`, \
             `encoding`, `replace_columns`; did you mean `text_column`?",
        );
    }

    #[test]
    fn where_the_corpus_lies_does_not_make_another_pipeline() {
        let stage = "[[stage]]\nuse = 'exact'\n";
        let fingerprint = |input: &str| parse(&format!("{input}{stage}")).expect("sound").fingerprint;
        assert_eq!(fingerprint(""), fingerprint("[input]\nfiles = ['a']\n"));
        assert_ne!(fingerprint(""), fingerprint("[input]\ntext_column = 'a'\n"));
    }

    #[test]
    fn a_filter_needs_its_column() {
        let pipeline = parse("[[stage]]\nuse = 'column_range'\ncolumn = 'quality'\nmin = 0.5").expect("sound");
        let needs: Vec<_> = pipeline.needs().into_iter().collect();
        assert_eq!(needs, [(Need { column: "quality".into(), kind: NeedKind::Number }, "column_range")]);
        let after = |column: &str| {
            parse(&format!(
                "[[stage]]\nuse = 'language'\n[[stage]]\nuse = 'column_range'\ncolumn = '{column}'\nmin = 0.5"
            ))
        };
        assert!(after("language_score").expect("sound").needs().is_empty());
        assert_eq!(
            after("language").err().as_deref(),
            Some("p.toml: stage 2 (column_range): column `language` is Utf8, expected one of numbers")
        );
    }

    #[test]
    fn another_model_makes_another_pipeline() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/fasttext/softmax-words1-chars0.bin");
        let stage = |more: &str| format!("[[stage]]\nuse = 'fasttext'\nmodel = '{model}'\nlabel = 'boat'\n{more}");
        let fingerprint = parse(&stage("")).expect("sound").fingerprint;
        let table: toml::Table = serde_json::from_str(&fingerprint).expect("a table");
        let digest = table["stage"][0]["digest"].as_str().expect("it is pinned").to_owned();
        assert_eq!(parse(&stage(&format!("digest = '{digest}'"))).expect("sound").fingerprint, fingerprint);
        assert_eq!(Pipeline::from_table(table, "p.toml").expect("sound").fingerprint, fingerprint);
        check_refused(
            &stage("digest = 'abc'"),
            &format!("p.toml: stage 1 (fasttext): {model}: this is another file: its digest is {digest}, not abc"),
        );
    }

    #[test]
    fn names_can_be_told_apart_in_a_report() {
        let named = |name: &str| format!("[[stage]]\nuse = 'exact'\nname = {name:?}");
        check_refused(&named(" "), "p.toml: stage 1 ( ): its `name` is \" \"; a name is one line, and not blank");
        check_refused(
            &named("reader"),
            "p.toml: stage 1 (reader): reports call the reading itself `reader`; give the stage another `name`",
        );
    }

    #[test]
    fn a_filter_without_its_list_is_refused() {
        check_refused(
            "[[stage]]\nuse = 'bad_words'",
            "p.toml: stage 1 (bad_words): `words` names no list; give it a file, or a folder of files",
        );
    }

    #[test]
    fn filters_look_at_columns() {
        let needs = |text: &str| -> Vec<String> {
            parse(text).expect("a good pipeline").needs().into_keys().map(|need| need.column).collect()
        };
        assert_eq!(needs("[[stage]]\nuse = 'url_filter'\ncolumn = 'link'"), ["link"]);
        let words = "[[stage]]\nuse = 'bad_words'\nwords = 'Cargo.toml'\n";
        assert_eq!(needs(words), ["language"]);
        assert!(needs(&format!("[[stage]]\nuse = 'language'\n{words}")).is_empty());
        assert!(needs(&format!("{words}language_column = ''")).is_empty());
    }

    #[test]
    fn two_stages_of_a_name_are_refused() {
        check_refused(
            "[[stage]]\nuse = 'word_count'\n[[stage]]\nuse = 'word_count'",
            "p.toml: stage 2 (word_count): this name is taken by an earlier stage; give it another with `name = \"…\"`",
        );
        assert!(parse("[[stage]]\nuse = 'word_count'\n[[stage]]\nuse = 'word_count'\nname = 'b'").is_ok());
    }

    #[test]
    fn conditions_read_columns() {
        struct Language(&'static str);
        impl Columns for Language {
            fn string(&self, column: &str) -> Option<&str> {
                (column == "language").then_some(self.0)
            }
            fn number(&self, _: &str) -> Option<f64> {
                None
            }
        }
        let text = "[[stage]]\nuse = 'word_count'\nwhen = { language = ['zh', 'yue'] }\nunless.source = 'x'";
        let pipeline = parse(text).expect("a good pipeline");
        let when = &pipeline.stages[0].when;
        assert!(when.matches(&Language("yue")));
        assert!(!when.matches(&Language("en")));
        assert_eq!(when.mismatch(&Language("zh")), None);
        assert_eq!(when.mismatch(&Language("en")).as_deref(), Some("language is \"en\", not \"yue\" or \"zh\""));
        assert_eq!(when.to_string(), "when language = \"yue\" | \"zh\", unless source = \"x\"");
        assert_eq!(
            pipeline.needs().iter().map(|(need, stage)| (need.column.as_str(), *stage)).collect::<Vec<_>>(),
            [("language", "word_count"), ("source", "word_count")]
        );
    }
}
