//! Says how often each document was used in training, when it was last, and what a further use is worth.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, DocId, Value};
use crate::error::Result;
use crate::exchange::group::Room;
use crate::exchange::sort::SpillDir;
use crate::reuse::ledger::{Ledger, Pin, Run};
use crate::reuse::recall::{Ask, Corpus, recall};
use crate::reuse::time::Time;
use crate::reuse::weight::{Curve, Weight};
use crate::stage::{CorpusStage, Exchange, Need, NeedKind, Rows, Ruled, Sent, Settings, Used};

/// Adds `reuse_count`, the uses of each document in training so far, `last_used`, when the last of them was, and
/// `sampling_weight`, what a further use is worth.
///
/// What was used is known from a ledger (`trommel ledger record`). A document is found in it by its text as it is here; by
/// the column `origin_key`, or without one by the text as this pass has first read it; and by both where these are the
/// origin of what was used. It also inherits the uses of every text that it is directly known to be like: a near duplicate
/// that a deduplicating stage before this one has compared it with, in this run or in those of `links`, and the
/// `matched_key` that an index has found for it. Each text counts once, in however many ways it is found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reuse {
    /// The ledger: a folder or a URL. Without one nothing counts as used.
    pub ledger: Option<String>,
    /// The runs of the ledger that count, by their names: those of one line of models, for example. Not set: all of them.
    pub runs: Option<Vec<String>>,
    /// The manifests of the runs that count, as a run notes them when it begins: so that it is continued with the same when
    /// others have been recorded.
    pub pinned: Option<String>,
    /// The output folders of earlier runs whose links count: which texts their deduplication has found to be alike.
    pub links: Vec<String>,
    /// How the worth falls with the uses: `"repeat_value"`, `"linear"`, `"cap"` or `"none"`.
    pub curve: Curve,
    /// For `repeat_value`: after how many repeats a further one is worth 1/e of a first use. Muennighoff
    /// et al. 2023 (arXiv 2305.16264), section 5: 15.39.
    pub r_star: f64,
    /// The uses from which on the weight is 0. Muennighoff et al. 2023: up to 4 epochs are nearly as good
    /// as fresh data.
    pub cap: u32,
    /// Columns of numbers that the weight is multiplied by: that of a quality classifier, for example. A document without
    /// such a number, or with one below 0, has the weight 0.
    pub times: Vec<String>,
    /// What the weight is multiplied by for each source, like `{ wiki = 3.0, web = 0.5 }`; 1 for those that are not named.
    /// As in mixtures by hand, of GPT-3 (Brown et al. 2020, table 2.2) for example.
    pub source_weights: BTreeMap<String, f64>,
    /// The column that names a document's source, for `source_weights` and for what the report says of sources. Default:
    /// `source`.
    pub source_column: Option<String>,
}

impl Default for Reuse {
    fn default() -> Self {
        let Weight { curve, r_star, cap } = Weight::default();
        Self {
            ledger: None,
            runs: None,
            pinned: None,
            links: Vec::new(),
            curve,
            r_star,
            cap,
            times: Vec::new(),
            source_weights: BTreeMap::new(),
            source_column: None,
        }
    }
}

impl Settings for Reuse {
    const NAME: &'static str = "reuse";
    const ABOUT: &'static str = "adds reuse_count, last_used, sampling_weight: uses, what one more is worth";
    type Stage = ReuseStage;

    fn build(self) -> Result<ReuseStage, String> {
        let weight = Weight { curve: self.curve, r_star: self.r_star, cap: self.cap }.checked()?;
        if let Some((source, factor)) =
            self.source_weights.iter().find(|(_, factor)| !(factor.is_finite() && **factor >= 0.0))
        {
            return Err(format!("`source_weights` has {factor} for {source:?}, expected a number from 0 up"));
        }
        if self.ledger.is_none() && (self.runs.is_some() || self.pinned.is_some()) {
            return Err("`runs` are those of a `ledger`, and there is none".to_owned());
        }
        let pins = match (&self.ledger, &self.pinned) {
            (None, _) => Vec::new(),
            // What was pinned is looked for when it is read, by the machine that does.
            (Some(_), Some(pinned)) => parse_pins(pinned)?,
            (Some(address), None) => {
                let ledger = Ledger::open(address).map_err(|error| error.to_string())?;
                for run in self.runs.iter().flatten() {
                    if ledger.run(run).map_err(|error| error.to_string())?.withdrawn.is_some() {
                        return Err(format!("{address}: the run `{run}` was withdrawn; leave it out of `runs`"));
                    }
                }
                let counts = |pin: &Pin| self.runs.as_ref().is_none_or(|runs| runs.contains(&pin.run));
                ledger.pin().into_iter().filter(counts).collect()
            }
        };
        let source_column = self.source_column.unwrap_or_else(|| "source".to_owned());
        let sources = Sources { weights: self.source_weights, column: source_column };
        Ok(ReuseStage { ledger: self.ledger, pins, links: self.links, weight, times: self.times, sources })
    }
}

/// [`Reuse`], checked.
#[derive(Debug, Clone)]
pub struct ReuseStage {
    ledger: Option<String>,
    pins: Vec<Pin>,
    links: Vec<String>,
    weight: Weight,
    times: Vec<String>,
    sources: Sources,
}

/// What sources are worth.
#[derive(Debug, Clone)]
struct Sources {
    weights: BTreeMap<String, f64>,
    column: String,
}

/// The kinds of keys.
const CONTENT: usize = 0;
const ORIGIN: usize = 1;
const MATCHED: usize = 2;

/// The bits of the uses that a document is given; above them are the seconds of the last one.
const USES_BITS: u32 = u64::BITS - Time::BITS;

impl CorpusStage for ReuseStage {
    fn columns(&self) -> Vec<Field> {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("+00:00")));
        vec![
            Field::new("reuse_count", DataType::UInt32, true),
            Field::new("last_used", time, true),
            Field::new("sampling_weight", DataType::Float32, true),
        ]
    }

    fn needs(&self) -> Vec<Need> {
        let number = |column: &String| Need { column: column.clone(), kind: NeedKind::Number };
        let source = || Need { column: self.sources.column.clone(), kind: NeedKind::String };
        let sources = (!self.sources.weights.is_empty()).then(source);
        self.times.iter().map(number).chain(sources).collect()
    }

    fn looks_at(&self) -> Vec<Need> {
        let key = |column: &str| Need { column: column.to_owned(), kind: NeedKind::Key };
        let source = Need { column: self.sources.column.clone(), kind: NeedKind::String };
        vec![key("origin_key"), key("matched_key"), source]
    }

    fn used<'d>(&self, doc: &Doc<'d>, ruled: Ruled<'_>) -> Option<Used<'d>> {
        let uses = ruled.given.unwrap_or(0) & ((1 << USES_BITS) - 1);
        let source = doc.columns().string(&self.sources.column);
        self.ledger.is_some().then(|| Used { uses, used_up: self.weight.of(uses) == 0.0, source })
    }

    fn pins(&self) -> Vec<(&'static str, String)> {
        self.ledger.iter().map(|_| ("pinned", shown_pins(&self.pins))).collect()
    }

    fn sections(&self) -> usize {
        3
    }

    fn keys(&self, doc: &Doc<'_>, send: &mut dyn FnMut(usize, u128)) {
        if self.ledger.is_none() {
            return;
        }
        let key = doc.content_key();
        send(CONTENT, u128::from_be_bytes(key));
        let first_read = || doc.origin_key();
        let origin = doc.columns().key("origin_key").unwrap_or_else(first_read);
        if origin != key {
            send(ORIGIN, u128::from_be_bytes(origin));
        }
        if let Some(matched) = doc.columns().key("matched_key").filter(|matched| *matched != key) {
            send(MATCHED, u128::from_be_bytes(matched));
        }
    }

    fn resolve(&self, exchange: &mut dyn Exchange) -> Result<()> {
        let Some(address) = &self.ledger else { return Ok(()) };
        let ledger = Ledger::open(address)?;
        let runs: Vec<&Run> = ledger.pinned(&self.pins)?;
        let (path, memory) = exchange.room();
        let spill = SpillDir::new(path);
        let room = Room { dir: &spill, memory: memory / 2 };
        let (entries, origins) = (ledger.scan(&runs, room)?, ledger.origins(&runs, room)?);
        let shared = std::cell::RefCell::new(&mut *exchange);
        let sent = |section| -> Result<Rows<Ask>> {
            let ask = |Sent { key, doc, stays }| Ask { key, who: doc.to_u64(), stays };
            Ok(Box::new(shared.borrow_mut().keys_sent(section)?.map(move |sent| sent.map(ask))))
        };
        let corpus = Corpus {
            contents: &mut || sent(CONTENT),
            origins: &mut || sent(ORIGIN),
            matches: &mut || sent(MATCHED),
            links: &mut || shared.borrow_mut().links(&self.links),
        };
        let most = (1 << USES_BITS) - 1;
        for known in recall(corpus, entries, origins, room)? {
            let known = known?;
            let value = known.last_used.seconds() << USES_BITS | known.uses.min(most);
            exchange.give(DocId::from_u64(known.who), value)?;
        }
        Ok(())
    }

    fn annotate(&self, doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        let uses = ruled.given.unwrap_or(0) & ((1 << USES_BITS) - 1);
        row.push(Value::U32(u32::try_from(uses).unwrap_or(u32::MAX)));
        row.push(ruled.given.map_or(Value::Null, |given| Value::Time((given >> USES_BITS).cast_signed() * 1000)));
        row.push(Value::F32((self.weight.of(uses) * self.factor(doc)) as f32));
    }
}

impl ReuseStage {
    /// What the weight is multiplied by for other reasons than use.
    fn factor(&self, doc: &Doc<'_>) -> f64 {
        let columns = doc.columns();
        let number = |column: &String| columns.number(column).filter(|n| *n >= 0.0 && n.is_finite()).unwrap_or(0.0);
        let of_columns: f64 = self.times.iter().map(number).product();
        let Sources { weights, column } = &self.sources;
        let source = if weights.is_empty() { None } else { columns.string(column) };
        of_columns * source.and_then(|source| weights.get(source)).copied().unwrap_or(1.0)
    }
}

/// Runs as a setting: each with its name and the checksum of its manifest.
fn shown_pins(pins: &[Pin]) -> String {
    pins.iter().map(|pin| format!("{}:{}", pin.run, pin.checksum)).collect::<Vec<_>>().join(" ")
}

fn parse_pins(text: &str) -> Result<Vec<Pin>, String> {
    let pin = |word: &str| {
        let (run, checksum) = word.split_once(':')?;
        Some(Pin { run: run.to_owned(), checksum: checksum.to_owned() })
    };
    let pins: Option<Vec<_>> = text.split_whitespace().map(pin).collect();
    pins.ok_or_else(|| format!("`pinned` is {text:?}, expected what a run has noted; leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(settings: Reuse, expected: &str) {
        let error = settings.build().expect_err("nonsense");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        check_refused(Reuse { runs: Some(vec!["a".into()]), ..Reuse::default() }, "and there is none");
        let source_weights = BTreeMap::from([("web".to_owned(), -1.0)]);
        check_refused(Reuse { source_weights, ..Reuse::default() }, "`source_weights` has -1 for \"web\"");
        let nowhere = Some("/nowhere/used".to_owned());
        check_refused(Reuse { ledger: nowhere.clone(), ..Reuse::default() }, "/nowhere/used: there is no ledger here");
        check_refused(Reuse { ledger: nowhere, pinned: Some("a".into()), ..Reuse::default() }, "leave it out");
        check_refused(Reuse { cap: 0, ..Reuse::default() }, "`cap`");
    }

    #[test]
    fn pins_are_a_setting() {
        let pin = |run: &str| Pin { run: run.to_owned(), checksum: "0f".to_owned() };
        for pins in [vec![], vec![pin("a")], vec![pin("a"), pin("a~2")]] {
            assert_eq!(parse_pins(&shown_pins(&pins)), Ok(pins));
        }
    }

    struct Scored(f64, &'static str);

    impl crate::doc::Columns for Scored {
        fn string(&self, _: &str) -> Option<&str> {
            Some(self.1)
        }

        fn number(&self, column: &str) -> Option<f64> {
            (column == "quality").then_some(self.0)
        }
    }

    #[test]
    fn weights_are_multiplied() {
        let settings = Reuse {
            times: vec!["quality".to_owned()],
            source_weights: BTreeMap::from([("wiki".to_owned(), 3.0)]),
            ..Reuse::default()
        };
        let stage = settings.build().expect("sound");
        let weight = |columns: &Scored, uses: u64| {
            let mut row = Vec::new();
            let given = (uses > 0).then_some(1_000 << USES_BITS | uses);
            stage.annotate(&Doc::new("a", "a", columns), Ruled { given, duplicate: None }, &mut row);
            row
        };
        let second = (-1.0f64 / 15.39).exp() * 1.5;
        let expected = [Value::U32(1), Value::Time(1_000_000), Value::F32(second as f32)];
        assert_eq!(weight(&Scored(0.5, "wiki"), 1), expected);
        assert_eq!(weight(&Scored(0.5, "web"), 0), [Value::U32(0), Value::Null, Value::F32(0.5)]);
        assert_eq!(weight(&Scored(-0.5, "wiki"), 0)[2], Value::F32(0.0));
        assert_eq!(weight(&Scored(0.5, "wiki"), 4)[2], Value::F32(0.0));
    }
}
