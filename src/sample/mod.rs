//! Draws so many tokens of a corpus for a training run.
//!
//! ```text
//! read     every task, once       documents that could be drawn: key, share, tokens, weight
//! draw     sorted streams         which uses of which texts; where each goes
//! spread   every task again       its drawn documents, by output file
//! gather   every output file      its documents, in order
//! record   the ledger             a partition, and then its manifest: that is the commit
//! ```
//!
//! What is drawn depends on the texts, their tokens and columns, the settings and the pinned runs of the ledger; not on
//! threads, memory, machines, nor on how the corpus is cut into files. Every step is done once: a draw that was stopped
//! goes on where it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{DataType, SchemaRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::alike;
use crate::annotate::counts::Counts;
use crate::budget::{Progress, Total};
use crate::engine::Input;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::sort::SpillDir;
use crate::pipeline::{OutputSettings, Pipeline};
use crate::plan::{self, Task};
use crate::reuse::ledger::{Ledger, Pin};
use crate::reuse::recording::{About, Recording};
use crate::reuse::time::Time;
use crate::reuse::weight::{Curve, Weight};
use crate::run_dir::{Begun, Identity, RunDir};
use crate::stage::{Need, NeedKind, key_type};
use crate::store::{Folder, Lock};
use crate::task::Source;
use afar::Afar;
pub use machine::Machine;
use mix::{Budget, Mix};
use report::{LedgerReport, SampleReport};
use uses::Uses;

pub mod afar;
pub mod draw;
mod machine;
pub mod mix;
pub mod order;
pub mod read;
pub mod record;
pub mod report;
pub mod spread;
pub mod uses;

/// Which uses go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Policy {
    /// Those of documents that were used least, in a seeded order among equals.
    #[default]
    FreshFirst,
    /// By lot, a document the more likely the more a further use of it is worth.
    Weighted,
}

/// How the output is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Order {
    /// By lot, over all files together.
    #[default]
    Shuffled,
    /// As in the input; where documents are drawn more than once, one epoch after the other.
    Grouped,
}

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How many tokens, every use counted.
    pub tokens: u64,
    /// Which uses go first.
    pub policy: Policy,
    /// Another number draws others.
    pub seed: u64,
    /// What the draw is called. Draws of different names are independent of each other.
    pub name: String,
    /// Shares and weights.
    pub mix: Mix,
    /// The address of a ledger, from which the uses so far are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// The output folders of runs that have found texts to be alike: a text counts the uses of those that it is like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// The run that the ledger is told of the draw as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// How the worth of a document falls with its uses.
    pub curve: Curve,
    /// The R* of that.
    pub r_star: f64,
    /// The most uses of a document, those so far included.
    pub cap: u32,
    /// A column of numbers that weights are multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_column: Option<String>,
    /// A column with the numbers of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_column: Option<String>,
    /// The column that the ledger is told as the source.
    pub source_column: String,
    /// How the output is ordered.
    pub order: Order,
    /// Bytes of text in an output file, about.
    pub shard_size: u64,
}

/// What a user asks for.
pub struct Sample<'s> {
    /// How the input is read and the output written; without stages.
    pub pipeline: &'s Pipeline,
    /// What is to be drawn.
    pub settings: Settings,
    /// Files, folders, globs, URLs.
    pub inputs: Vec<String>,
    /// The output folder.
    pub output: String,
    /// The most rows to read.
    pub limit: Option<u64>,
    /// The bytes of a task.
    pub task_size: u64,
    /// The time that the ledger is told; what the clock says at the beginning, if it is left out.
    pub time: Option<Time>,
}

/// The columns of the input that a draw looks at.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    share: Option<String>,
    source: Option<String>,
    weights: Vec<String>,
    quality: Option<String>,
    tokens: Option<String>,
    uses: Option<String>,
    content: Option<String>,
    origin: Option<String>,
    matched: Option<String>,
}

impl Columns {
    fn names(&self) -> Vec<String> {
        let Self { share, source, weights, quality, tokens, uses, content, origin, matched } = self.clone();
        let single = [share, source, quality, tokens, uses, content, origin, matched].into_iter().flatten();
        single.chain(weights).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A draw that is under way.
pub struct Draw<'d> {
    run_dir: &'d RunDir,
    schema: SchemaRef,
    output_schema: SchemaRef,
    text_column: String,
    columns: Columns,
    mix: Mix,
    budgets: Vec<Budget>,
    weight: Weight,
    policy: Policy,
    order: Order,
    seed: u64,
    name: String,
    shard_size: u64,
    estimate: Counts,
    output: OutputSettings,
}

/// What a draw reads of a ledger, written down when it begins, so that it reads the same when it is continued.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Pinned {
    pins: Vec<Pin>,
    /// The time that the ledger is told.
    time: Time,
    /// Tells this draw from all others, also from those of the same settings in other folders.
    draw: String,
}

const PINNED: &str = "_trommel/ledger.json";

/// Draws, or continues a draw, and reports what happened.
pub fn sample(sample: &Sample<'_>, machine: &Machine<'_>, progress: &Progress) -> Result<SampleReport> {
    let start = Instant::now();
    let prepared = prepare(sample, progress)?;
    let Prepared { run_dir, input, identity, begun, pinned, ledger, .. } = &prepared;
    if *begun != Begun::New
        && let Some(report) = run_dir.read_json::<SampleReport>("report.json")?
    {
        remove_work(run_dir)?;
        return Ok(SampleReport { already_done: true, ..report });
    }
    clear(machine.spill)?;
    let draw = Draw::new(run_dir, &input.schema, &sample.settings, sample.pipeline)?;
    let afar = machine.fleet.map(|fleet| Afar::begin(fleet, &prepared, sample)).transpose()?;
    let runs = match ledger {
        Some(ledger) => ledger.pinned(&pinned.pins)?,
        None => Vec::new(),
    };
    let names: Vec<String> = runs.iter().map(|run| run.manifest.run.clone()).collect();
    let mut report = sample.report(*begun != Begun::New);
    let sources = input.sources(&identity.tasks);
    let numbered: Vec<_> = (0u32..).zip(sources.iter().cloned()).collect();
    progress.begin("reading", input.total(&numbered));
    let reads = match &afar {
        Some(afar) => afar.read(progress)?,
        None => machine.read(&draw, &sources, progress)?,
    };
    report.add_reads(&reads);

    progress.begin("drawing", Total::Unknown);
    let uses = match ledger {
        Some(ledger) => Uses::Ledger(ledger, runs, &sample.settings.links),
        None => Uses::Columns,
    };
    let room = Room { dir: machine.spill, memory: machine.memory as usize / 2 };
    let outcome = machine.pool.install(|| draw::draw(&draw, sources.len() as u32, &uses, room))?;
    let n_shards = outcome.shards;
    report.add_outcome(outcome);

    let sources: Vec<Source> = sources.into_iter().zip(&reads).map(|(source, read)| read.again(source)).collect();
    let rows: u64 = sources.iter().flat_map(|source| source.piece_rows.iter().flatten()).sum();
    progress.begin("reading what was drawn", Total::Rows(rows));
    let spreads = match &afar {
        Some(afar) => afar.spread(&reads, progress)?,
        None => machine.spread(&draw, &sources, progress)?,
    };
    progress.begin("writing", Total::Rows(report.rows_drawn));
    report.add_files(match &afar {
        Some(afar) => afar.gather(n_shards, progress)?,
        None => machine.gather(&draw, &spreads, n_shards, progress)?,
    })?;

    if let (Some(place), Some(ledger)) = (&sample.settings.ledger, ledger) {
        let mut told = LedgerReport { place: place.clone(), runs: names, recorded: None };
        if let Some(run) = &sample.settings.record {
            progress.begin("recording", Total::Unknown);
            record(sample, run, ledger, pinned, run_dir, room)?;
            told.recorded = Some(run.clone());
        }
        report.ledger = Some(told);
    }
    // Also if others began it, and this machine has gone on alone.
    afar::forget(run_dir)?;
    run_dir.folder().sweep("")?;
    report.seconds = start.elapsed().as_secs_f64();
    run_dir.write_json("report.json", &report)?;
    remove_work(run_dir)?;
    remove_folder(machine.spill)?;
    Ok(report)
}

/// Tells the ledger what was drawn, unless it knows.
fn record(
    sample: &Sample<'_>,
    run: &str,
    ledger: &Ledger,
    pinned: &Pinned,
    run_dir: &RunDir,
    room: Room<'_>,
) -> Result<()> {
    // Opened anew: it may have been told just before the draw was stopped.
    let ledger = Ledger::open_or_make(sample.settings.ledger.as_deref().unwrap_or(ledger.folder().name()))?;
    if is_recorded(&ledger, run, pinned) {
        return Ok(());
    }
    let parameters = json!({
        "command": "sample",
        "draw": pinned.draw,
        "tokens": sample.settings.tokens,
        "policy": sample.settings.policy,
        "seed": sample.settings.seed,
        "name": sample.settings.name,
    });
    let Value::Object(parameters) = parameters else { unreachable!("it is an object") };
    let about = sample.about(run, pinned, parameters);
    let mut recording = Recording::new(&ledger, about, room)?;
    for told in draw::told(run_dir)? {
        let record::Told { key, uses, tokens, origin, source } = told?;
        let [key, origin] = [Some(key), origin].map(|key| key.map(u128::to_be_bytes));
        let key = key.expect("it is there");
        recording.add(key, origin, uses.into(), tokens.into(), source.as_deref())?;
    }
    recording.commit().map(drop)
}

/// Whether the ledger was told of this very draw.
fn is_recorded(ledger: &Ledger, run: &str, pinned: &Pinned) -> bool {
    let known = ledger.runs().iter().find(|known| known.manifest.run == run);
    known.is_some_and(|known| known.manifest.parameters.get("draw") == Some(&Value::from(pinned.draw.as_str())))
}

/// A draw whose folder is taken.
struct Prepared {
    run_dir: RunDir,
    input: Input,
    identity: Identity,
    begun: Begun,
    pinned: Pinned,
    ledger: Option<Ledger>,
    _taken: Lock,
}

/// Looks at the input and the ledger, refuses what cannot be done, and begins or continues the draw in its folder.
fn prepare(sample: &Sample<'_>, progress: &Progress) -> Result<Prepared> {
    let settings = &sample.settings;
    let run_dir = RunDir::new(Folder::parse(&sample.output)?);
    progress.begin("looking at the input", Total::Unknown);
    let input = Input::inspect_for(sample.pipeline, &sample.inputs, Some(run_dir.folder()), &sample.needs())?;
    // Refused before anything is begun.
    settings.columns(sample.pipeline, &input.schema)?;
    let ledger = match (&settings.ledger, &settings.record) {
        (Some(place), Some(_)) => Some(Ledger::open_or_make(place)?),
        (Some(place), None) => Some(Ledger::open(place)?),
        (None, _) => None,
    };
    settings.links.iter().try_for_each(|run| alike::links_of(run).map(drop))?;
    let known = run_dir.read_json::<Pinned>(PINNED)?;
    if let (Some(ledger), Some(run)) = (&ledger, &settings.record) {
        let ours = known.as_ref().is_some_and(|pinned| is_recorded(ledger, run, pinned));
        if !ours {
            // Refused here, before anything is drawn, if the ledger knows the run.
            let spill = SpillDir::new(std::env::temp_dir());
            let about = sample.about(run, &Pinned::default(), Map::new());
            Recording::new(ledger, about, Room { dir: &spill, memory: 1 << 10 })?;
        }
    }
    let taken = run_dir.take()?;
    let planned = plan::tasks(&input.shards, sample.task_size);
    let tasks: Vec<Task> = match sample.limit {
        Some(limit) => plan::limit(planned, limit, |piece, up_to| input.count_rows(piece, up_to))?,
        None => planned,
    };
    let about = json!({ "sample": settings, "input": sample.pipeline.input, "output": sample.pipeline.output });
    let mut identity = Identity {
        version: env!("CARGO_PKG_VERSION").into(),
        pipeline: about.to_string(),
        schema: format!("{:?}", input.schema.fields()),
        limit: sample.limit,
        task_size: sample.task_size,
        shards: input.shards.clone(),
        tasks,
        from: None,
        earlier: None,
    };
    let begun = run_dir.begin(&mut identity, |_| Ok(Vec::new()))?;
    let pinned = match run_dir.read_json::<Pinned>(PINNED)? {
        Some(pinned) => pinned,
        None => {
            let time = sample.time.unwrap_or_else(Time::now);
            let place = run_dir.folder().real_location_of("");
            let words =
                format!("{}\0{}\0{}\0{:?}", place.display(), identity.pipeline, time, std::time::SystemTime::now());
            let pinned = Pinned {
                pins: ledger.as_ref().map(Ledger::pin).unwrap_or_default(),
                time,
                draw: format!("{:032x}", xxhash_rust::xxh3::xxh3_128(words.as_bytes())),
            };
            run_dir.write_json(PINNED, &pinned)?;
            pinned
        }
    };
    Ok(Prepared { run_dir, input, identity, begun, pinned, ledger, _taken: taken })
}

impl<'d> Draw<'d> {
    /// What is to be drawn of documents of a schema.
    fn new(run_dir: &'d RunDir, schema: &SchemaRef, settings: &Settings, pipeline: &Pipeline) -> Result<Self> {
        let weight = Weight { curve: settings.curve, r_star: settings.r_star, cap: settings.cap };
        Ok(Self {
            run_dir,
            output_schema: Arc::new(spread::output_schema(schema)),
            schema: schema.clone(),
            text_column: pipeline.input.text_column.clone(),
            columns: settings.columns(pipeline, schema)?,
            mix: settings.mix.clone(),
            budgets: settings.mix.budgets(settings.tokens),
            weight: weight.checked().map_err(Error::refused)?,
            policy: settings.policy,
            order: settings.order,
            seed: settings.seed,
            name: settings.name.clone(),
            shard_size: settings.shard_size,
            estimate: read::estimate(),
            output: pipeline.output.clone(),
        })
    }
}

impl Settings {
    /// Finds the columns to look at, and refuses what is not there, or is not what it must be.
    fn columns(&self, pipeline: &Pipeline, schema: &SchemaRef) -> Result<Columns> {
        let settings = self;
        let names = || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let is_text = |data_type: &DataType| {
            let value = if let DataType::Dictionary(_, value) = data_type { value.as_ref() } else { data_type };
            matches!(value, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        };
        let find = |name: &String, why: &str, numbers: bool| {
            let field = schema.field_with_name(name).map_err(|_| {
                Error::refused(format!("{why}: there is no column `{name}`; the input has {}", names()))
            })?;
            let data_type = field.data_type();
            match (numbers, data_type.is_numeric(), is_text(data_type)) {
                (true, true, _) | (false, _, true) => Ok(name.clone()),
                (true, ..) => {
                    Err(Error::refused(format!("{why}: column `{name}` is {data_type}, expected one of numbers")))
                }
                (false, ..) => {
                    Err(Error::refused(format!("{why}: column `{name}` is {data_type}, expected one of strings")))
                }
            }
        };
        let here = |name: &str, fits: &dyn Fn(&DataType) -> bool| {
            schema.field_with_name(name).ok().filter(|field| fits(field.data_type())).map(|_| name.to_owned())
        };
        let is_key = |data_type: &DataType| *data_type == key_type();
        if schema.field_with_name(spread::EPOCH).is_ok() && !pipeline.input.replace_columns {
            return Err(Error::refused(format!(
                "the input has a column `{}`, which the draw adds; rename it, or let it go with --replace-columns",
                spread::EPOCH
            )));
        }
        let tokens = match &settings.token_column {
            Some(name) => Some(find(name, "--token-column", true)?),
            None => here("token_count", &DataType::is_numeric),
        };
        let uses = if settings.ledger.is_none() { here("reuse_count", &DataType::is_numeric) } else { None };
        if uses.is_some() {
            tracing::info!("the column `reuse_count` says how often documents were used");
        }
        Ok(Columns {
            share: settings.mix.by.as_ref().map(|name| find(name, "--mix", false)).transpose()?,
            source: settings.record.as_ref().and_then(|_| here(&settings.source_column, &is_text)),
            weights: settings.mix.weights.keys().map(|name| find(name, "--mix", false)).collect::<Result<_>>()?,
            quality: settings.quality_column.as_ref().map(|name| find(name, "--quality-column", true)).transpose()?,
            tokens,
            uses,
            content: here("content_key", &is_key),
            origin: here("origin_key", &is_key),
            matched: here("matched_key", &is_key),
        })
    }
}

impl Sample<'_> {
    /// The columns that are looked at if they are there, or must be.
    fn needs(&self) -> Vec<Need> {
        let settings = &self.settings;
        let of = |kind: NeedKind, name: &String| Need { column: name.clone(), kind };
        let strings = settings.mix.by.iter().chain(settings.mix.weights.keys());
        let source = settings.record.as_ref().map(|_| &settings.source_column);
        let numbers = settings.quality_column.iter().chain(&settings.token_column);
        let strings = strings.chain(source).map(|name| of(NeedKind::String, name));
        strings.chain(numbers.map(|name| of(NeedKind::Number, name))).collect()
    }

    fn about(&self, run: &str, pinned: &Pinned, parameters: Map<String, Value>) -> About {
        About { run: run.to_owned(), again: false, time: pinned.time, epochs: 1, parameters }
    }

    fn report(&self, continued: bool) -> SampleReport {
        let settings = &self.settings;
        SampleReport {
            command: "sample".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            name: settings.name.clone(),
            seed: settings.seed,
            policy: settings.policy,
            order: settings.order,
            asked: settings.tokens,
            drawn: 0,
            rows_in: 0,
            documents_drawn: 0,
            documents_left: 0,
            copies: 0,
            used_up: 0,
            left_out: 0,
            rejected: std::collections::BTreeMap::new(),
            rows_failed: 0,
            failed: Vec::new(),
            rows_drawn: 0,
            tokens_estimated: 0,
            shares: Vec::new(),
            uses: Vec::new(),
            ledger: None,
            bytes_drawn: 0,
            kept_files: Vec::new(),
            seconds: 0.0,
            continued,
            already_done: false,
        }
    }
}

/// Empties the folder that is spilled to.
fn clear(spill: &SpillDir) -> Result<()> {
    remove_folder(spill)?;
    std::fs::create_dir_all(spill.path()).map_err(|error| Error::io(spill.path().display(), error))
}

fn remove_folder(spill: &SpillDir) -> Result<()> {
    match std::fs::remove_dir_all(spill.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(spill.path().display(), error)),
        _ => Ok(()),
    }
}

/// Removes what stands between the steps.
fn remove_work(run_dir: &RunDir) -> Result<()> {
    ["0", "1", "2", "3", "spill"]
        .into_iter()
        .try_for_each(|what| run_dir.folder().remove_all(&format!("_trommel/{what}")))
}
