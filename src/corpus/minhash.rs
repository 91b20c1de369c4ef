//! Keeps one of each set of documents that are alike.
//!
//! Sketches in bands propose pairs, the true Jaccard similarity of their shingle sets decides. Documents
//! have one total order, by the keep policy and then input order; in that order a document is kept unless
//! it is at least `threshold` similar to one already kept. So every dropped document is verified to be like
//! the very document that stands for it, and no chain of small differences eats a source.

use std::cell::RefCell;
use std::rc::Rc;

use arrow::datatypes::Field;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::corpus::anchors::{self, Copies, NEAR_DUPLICATE};
use crate::corpus::audit::Audit;
use crate::corpus::bands::Bands;
use crate::corpus::components::{Clustering, Components, Scan};
use crate::corpus::duplicates::{self, Mode, OnAlarm};
use crate::corpus::earlier;
use crate::corpus::exact::EXACT_DUPLICATE;
use crate::corpus::keep::Keep;
use crate::corpus::profile::{self, Method, Profile};
use crate::corpus::shingle::{Shingler, Unit};
use crate::corpus::sketch::{MAX_SLOTS, band_keys};
use crate::doc::{Doc, KEPT, Value};
use crate::error::Result;
use crate::stage::{
    CorpusStage, Duplicates, Edge, Exchange, IndexUse, Known, Need, Pair, PairJudge, Ranked, Rows, Ruled, Settings,
    Target,
};

/// Keeps one of each set of documents whose similarity is at least `threshold`.
///
/// Similarity is the Jaccard index of sets of shingles: every 5 words in a row, and in runs of Chinese and
/// Japanese characters every 5 characters in a row, in lower case. Documents with the same text are dropped
/// first; a document without any word is only compared so.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MinHash {
    /// The similarity from which on two documents count as one, above 0 and at most 1. Lee et al. 2021
    /// (arXiv 2107.06499) and MassiveText (Rae et al. 2021, A1.1) use 0.8.
    pub threshold: f64,
    /// The similarity from which on pairs are found and kept on record in the run directory, so that every
    /// threshold from this one up can be tried without comparing again (`trommel report --curve`,
    /// `trommel dedup --from`); for that, no other stage of the pipeline may drop or rewrite, or need the
    /// whole corpus. Default: the threshold, and nothing is kept on record.
    pub floor: Option<f64>,
    /// Take, instead of `threshold`, the lowest multiple of 0.01 (or the floor) at which at least so many tokens
    /// are kept, by the estimate of `counts`; 1 if none keeps so many. Needs `floor`.
    pub target_tokens: Option<u64>,
    /// The same for a number of documents.
    pub target_docs: Option<u64>,
    /// The part of the pairs exactly at the floor that must be proposed; of more similar ones, more are.
    /// Default: 0.99, or what the bands of the profile find.
    pub recall: Option<f64>,
    /// The number of bands of the sketch, set together with `rows`. Default: those of the profile if it has some
    /// and neither `floor` nor `recall` is set, else chosen from floor and recall.
    pub bands: Option<usize>,
    /// The slots in a band, all of which two documents must share to meet there.
    pub rows: Option<usize>,
    /// How texts are cut into shingles, and these sketched.
    pub profile: Profile,
    /// How many units make a shingle.
    pub n: usize,
    /// What a shingle is made of: `"words"` (characters in Chinese and Japanese) or `"chars"`.
    pub unit: Unit,
    /// Which one stays: `"first"`, `"longest"`, `{ highest = "column" }`, `{ lowest = "column" }` or
    /// `{ sources = ["a", "b"], column = "source" }`.
    pub keep: Keep,
    /// How a proposed pair is judged.
    pub verify: Verify,
    /// With how many documents of a bucket, the first in the order, every later one is compared. Buckets
    /// with more are counted in the report.
    pub leaders: usize,
    /// How many documents, drawn by lot, are compared with all others to measure which part of the like pairs
    /// was found: 1000 is plenty. It costs two more readings of the corpus. Default: none.
    pub audit: usize,
    /// Another number draws other documents for the audit.
    pub audit_seed: u64,
    /// What makes a cluster of like pairs: `"anchors"`, where a document goes only for one that it is itself
    /// like, or `"components"`, which closes chains as most tools do, so that their results can be compared. The
    /// latter needs memory beside `--memory`: 24 to 32 bytes for each document that is like another one.
    pub clusters: Clustering,
    /// Adds `dup_count`, the number of documents that a kept one stands for, itself included, and `dup_cluster`,
    /// the content key of the one that stands for its cluster. Off by default: other tools and other runs then
    /// find the columns they know, and 16 bytes a document that no codec makes smaller are not written.
    pub counts: bool,
    /// What becomes of duplicates: `"drop"`, or `"annotate"`, which drops nothing and adds to every document
    /// `dup_count`, `dup_cluster`, and to duplicates `duplicate_of` and `similarity`, so that a corpus can be
    /// weighted instead. Their weight may be 1 / `dup_count`.
    pub mode: Mode,
    /// A cluster of more documents than this is called out in the table and the report: it is often a page of
    /// errors or a notice that a crawl met again and again, or a threshold too low. Not set: none is.
    pub max_cluster: Option<u64>,
    /// A source of which a greater share than this are duplicates is called out; the report lists what became of
    /// each. 1 only lists. The first 500 sources in the order of their names are told apart, all others are
    /// counted as one. Not set: sources are not looked at.
    pub max_source_loss: Option<f64>,
    /// The column of strings that names a document's source, for `max_source_loss`. Default: `source`.
    pub source_column: Option<String>,
    /// What becomes of a run in which something was called out: `"warn"`, or `"fail"`: all is written, and the
    /// run ends with exit code 2.
    pub guards: OnAlarm,
    /// The folder or URL of an index of earlier corpora. Their documents come before all of this one, so that what is
    /// kept is what one run over all of them would keep. The index says at which threshold and with which sketches
    /// and leaders; these must be the same here.
    pub against: Option<String>,
    /// The folder or URL of an index to which this corpus is added when the run is done: a new one, or the one that
    /// `against` names.
    pub index: Option<String>,
    /// What this run is called in the index, which names it in later runs: letters, digits, `-`, `_` and `.`.
    /// Default: the name of the output folder.
    pub run_name: Option<String>,
    /// Documents of the index always stay, whatever `keep` would say of them. Needed for `against` where `keep` is
    /// not `"first"`.
    pub earlier_wins: bool,
    /// What stays known of pairs of like texts when their documents have gone, so that a text can inherit the uses of
    /// one that it is like: `"anchors"`, of each dropped document the one that it went for, or `"all"`, every pair. The
    /// latter is taken by itself where a stage `reuse` with a ledger comes later in the pipeline. It compares documents
    /// that go anyway, and so takes longer.
    pub links: Links,
}

/// Which pairs of like texts stay known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// Those of a dropped document and the one that it went for.
    #[default]
    Anchors,
    /// All that are alike.
    All,
}

/// How a proposed pair is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// By the Jaccard similarity of the two sets of shingles.
    #[default]
    Exact,
    /// By the part of the sketches they share: an estimate.
    Signature,
    /// Not at all: to share one band is to be alike, whatever the threshold says. The similarity is not a number.
    None,
}

/// The recall that a threshold alone asks for.
const RECALL: f64 = 0.99;

impl Default for MinHash {
    fn default() -> Self {
        let Shingler { n, unit } = Shingler::default();
        Self {
            threshold: 0.8,
            floor: None,
            target_tokens: None,
            target_docs: None,
            recall: None,
            bands: None,
            rows: None,
            profile: Profile::Default,
            n,
            unit,
            keep: Keep::First,
            verify: Verify::Exact,
            // On 4,000 loose edits of one page, a simulation at 0.8 left 0.0025 % of the pairs both kept;
            // comparing all pairs cost 27 times more.
            leaders: 16,
            audit: 0,
            audit_seed: 0,
            clusters: Clustering::Anchors,
            counts: false,
            mode: Mode::Drop,
            max_cluster: None,
            max_source_loss: None,
            source_column: None,
            guards: OnAlarm::Warn,
            against: None,
            index: None,
            run_name: None,
            earlier_wins: false,
            links: Links::default(),
        }
    }
}

impl Settings for MinHash {
    const NAME: &'static str = "minhash";
    const ABOUT: &'static str = "keeps one of each set of documents that are alike";
    type Stage = MinHashStage;

    fn build(self) -> Result<MinHashStage, String> {
        let target = self.target()?;
        // Which one it will be is not known yet.
        let threshold = if target.is_some() { 1.0 } else { self.threshold };
        let floor = self.floor.unwrap_or(threshold);
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(format!("`threshold` ({threshold}) must be above 0 and at most 1"));
        }
        if !(floor > 0.0 && floor <= threshold) {
            return Err(format!("`floor` ({floor}) must be above 0 and at most the threshold ({threshold})"));
        }
        if self.n == 0 {
            return Err("`n` must be at least 1".to_owned());
        }
        if self.leaders == 0 {
            return Err("`leaders` must be at least 1".to_owned());
        }
        if self.floor.is_some() && self.verify == Verify::None {
            return Err(
                "`floor` keeps pairs by their similarity, which `verify = \"none\"` does not work out".to_owned()
            );
        }
        if self.floor.is_some() && (self.clusters == Clustering::Components || self.mode == Mode::Annotate) {
            return Err("`floor` keeps pairs for other thresholds, and a run is cut anew only with \
                        `clusters = \"anchors\"` and `mode = \"drop\"`"
                .to_owned());
        }
        let bands = match (self.bands, self.rows) {
            (None, None) => match self.profile.bands() {
                Some(published) if self.floor.is_none() && self.recall.is_none() => published,
                _ => Bands::choose(floor, self.recall.unwrap_or(RECALL))?,
            },
            (Some(bands), Some(rows)) => {
                let slots = bands.checked_mul(rows).filter(|slots| (1..=MAX_SLOTS).contains(slots));
                slots.ok_or(format!("`bands` times `rows` ({bands} x {rows}) must be 1 to {MAX_SLOTS}"))?;
                Bands { bands, rows }
            }
            _ => return Err("`bands` and `rows` are set together or not at all".to_owned()),
        };
        let index = earlier::index_use(&self, bands)?;
        Ok(MinHashStage {
            threshold,
            target,
            floor,
            records: self.floor.is_some(),
            method: self.profile.build(self.n, self.unit, bands.slots())?,
            bands,
            keep: self.keep,
            verify: self.verify,
            leaders: self.leaders,
            audit: (self.audit, self.audit_seed),
            clusters: self.clusters,
            duplicates: Duplicates::new(duplicates::Settings {
                mode: self.mode,
                counts: self.counts,
                max_cluster: self.max_cluster,
                max_source_loss: self.max_source_loss,
                source_column: self.source_column,
                guards: self.guards,
                earlier: index.as_ref().is_some_and(|index| index.reads),
            })?,
            index,
            links: self.links,
        })
    }
}

impl MinHash {
    fn target(&self) -> Result<Option<Target>, String> {
        let target = match (self.target_tokens, self.target_docs) {
            (None, None) => return Ok(None),
            (Some(tokens), None) => Target::Tokens(tokens),
            (None, Some(documents)) => Target::Documents(documents),
            (Some(_), Some(_)) => return Err("set `target_tokens` or `target_docs`, not both".to_owned()),
        };
        if self.floor.is_none() {
            return Err("a target needs `floor`, the lowest threshold that may be taken, like 0.5".to_owned());
        }
        if self.audit > 0 {
            return Err(
                "`audit` needs a threshold that is known before; run it again with the one that was taken".to_owned()
            );
        }
        Ok(Some(target))
    }
}

/// [`MinHash`], checked and with its bands chosen.
#[derive(Debug, Clone)]
pub struct MinHashStage {
    threshold: f64,
    /// What chooses the threshold instead.
    target: Option<Target>,
    floor: f64,
    /// Whether the pairs stay when the run is done.
    records: bool,
    bands: Bands,
    method: Method,
    keep: Keep,
    verify: Verify,
    leaders: usize,
    /// How many documents, and which.
    audit: (usize, u64),
    clusters: Clustering,
    duplicates: Duplicates,
    index: Option<IndexUse>,
    links: Links,
}

/// What a thread needs for one document, kept for the next.
#[derive(Default)]
struct Scratch {
    method: profile::Scratch,
    shingles: Vec<u64>,
    slots: Vec<u64>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl CorpusStage for MinHashStage {
    fn columns(&self) -> Vec<Field> {
        self.duplicates.columns()
    }

    fn needs(&self) -> Vec<Need> {
        self.keep.needs().into_iter().chain(self.duplicates.needs()).collect()
    }

    fn ranks_by(&self) -> Option<Need> {
        self.keep.needs().pop()
    }

    /// The content key, then a section for each band.
    fn sections(&self) -> usize {
        1 + self.bands.bands
    }

    fn rank(&self, doc: &Doc<'_>) -> u64 {
        self.keep.rank(doc)
    }

    fn keys(&self, doc: &Doc<'_>, send: &mut dyn FnMut(usize, u128)) {
        send(0, u128::from_be_bytes(doc.content_key()));
        SCRATCH.with_borrow_mut(|Scratch { method, shingles, slots }| {
            shingles.clear();
            slots.clear();
            self.method.shingles(self.method.form_of(doc), method, shingles);
            self.method.sketch(shingles, slots);
            for (key, section) in band_keys(slots, self.bands.rows).zip(1..) {
                send(section, u128::from(key));
            }
            if doc.text().len() > KEPT {
                *shingles = Vec::new();
            }
        });
    }

    fn n_shingles(&self, doc: &Doc<'_>) -> Option<usize> {
        let mut set = Vec::new();
        self.method.set(&self.method.form(doc.text()), &mut profile::Scratch::default(), &mut set);
        Some(set.len())
    }

    fn resolve(&self, exchange: &mut dyn Exchange) -> Result<()> {
        if let Some((edges, copies)) = exchange.recorded()? {
            let threshold = self.final_threshold(exchange)?;
            if self.links == Links::All
                && let Some((edges, _)) = exchange.recorded()?
            {
                self.link(exchange, edges, threshold)?;
            }
            let mut copies = Copies::new(copies, threshold, earlier::Drops::default());
            return anchors::rule(exchange, threshold, edges, &mut copies).map(drop);
        }
        let mut drops = earlier::Drops::default();
        if self.index.as_ref().is_some_and(|index| index.reads) {
            drops.drop_known(self.threshold, exchange)?;
        }
        // Copies leave first and never reach the bands; what becomes of them is what becomes of the one
        // that represents them.
        let copies = exchange.group_first_k(0..1, 1)?;
        for pair in exchange.scan_by_first(&copies)? {
            exchange.set_aside(pair?.second.doc);
        }
        if self.index.as_ref().is_some_and(|index| index.writes) {
            exchange.leave_index(1..self.sections(), self.leaders)?;
        }
        let begin = |exchange: &mut dyn Exchange| {
            Audit::begin(exchange, 0, self.method.clone(), self.threshold, self.audit).map(RefCell::new)
        };
        let audit = if self.audit.0 > 0 { Some(Rc::new(begin(exchange)?)) } else { None };
        let proposed = exchange.group_first_k(1..self.sections(), self.leaders)?;
        let pairs = exchange.distinct(proposed)?;
        exchange.note("pairs_proposed", pairs.n_rows);
        let scan: Box<Scan<'_>> = match self.verify {
            Verify::None => {
                let unknown = |pair| Edge { pair, similarity: f64::NAN };
                Box::new(move |exchange: &mut dyn Exchange| -> Result<Rows<Edge>> {
                    Ok(Box::new(exchange.scan_by_second(&pairs)?.map(move |pair| pair.map(unknown))))
                })
            }
            Verify::Exact | Verify::Signature => {
                let routed = exchange.route_to_task(pairs)?;
                let edges = exchange.verify(routed, self)?;
                exchange.note("pairs_alike", edges.n_rows);
                if self.records {
                    let (edges, copies) = (exchange.sorted_scan(&edges)?, exchange.scan_by_first(&copies)?);
                    exchange.record(self.floor, edges, copies)?;
                }
                Box::new(move |exchange: &mut dyn Exchange| exchange.sorted_scan(&edges))
            }
        };
        let edges = scan(exchange)?;
        let edges = match audit.clone() {
            None => edges,
            Some(audit) => {
                let note = move |edge: &Result<Edge>| edge.iter().for_each(|edge| audit.borrow_mut().note(&edge.pair));
                Box::new(edges.inspect(note))
            }
        };
        let copies = exchange.scan_by_first(&copies)?;
        let threshold = self.final_threshold(exchange)?;
        if self.links == Links::All {
            let edges = scan(exchange)?;
            self.link(exchange, edges, threshold)?;
        }
        let mut copies = Copies::new(copies, threshold, drops);
        let dropped = match self.clusters {
            Clustering::Anchors => anchors::rule(exchange, threshold, edges, &mut copies)?,
            Clustering::Components => {
                let components = Components::of(exchange, edges, &*scan, threshold)?;
                anchors::rule_components(exchange, threshold, components, &mut copies)?
            }
        };
        if self.duplicates.earlier {
            copies.drops().leave(exchange);
        }
        if let Some(audit) = audit.and_then(Rc::into_inner) {
            audit.into_inner().finish(exchange, &dropped)?.leave(exchange);
        }
        Ok(())
    }

    fn judge(&self) -> Option<&dyn PairJudge> {
        Some(self)
    }

    fn target(&self) -> Option<Target> {
        self.target
    }

    fn records_pairs(&self) -> bool {
        self.records
    }

    fn reasons(&self) -> &'static [&'static str] {
        &[EXACT_DUPLICATE, NEAR_DUPLICATE]
    }

    fn annotate(&self, doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        self.duplicates.annotate(doc, ruled, row);
    }

    fn duplicates(&self) -> Option<&Duplicates> {
        Some(&self.duplicates)
    }

    fn index(&self) -> Option<&IndexUse> {
        self.index.as_ref()
    }
}

impl MinHashStage {
    /// Takes note of all that is alike.
    fn link(&self, exchange: &mut dyn Exchange, edges: Rows<Edge>, threshold: f64) -> Result<()> {
        for edge in edges {
            let edge = edge?;
            // A similarity that nobody measured passes.
            if edge.similarity >= threshold || edge.similarity.is_nan() {
                exchange.link(edge)?;
            }
        }
        if self.index.as_ref().is_some_and(|index| index.reads) {
            for known in exchange.known()? {
                let Known { doc, kept, similarity, .. } = known?;
                let [first, second] = [kept, doc].map(|doc| Ranked { rank: 0, doc });
                exchange.link(Edge { pair: Pair { first, second }, similarity })?;
            }
        }
        Ok(())
    }

    /// The threshold, or the one that keeps the target.
    fn final_threshold(&self, exchange: &mut dyn Exchange) -> Result<f64> {
        self.target.map_or(Ok(self.threshold), |target| exchange.choose(target))
    }
}

/// The bits of a slot that go into a set of slots, below the number of the slot.
const SLOT_BITS: u32 = u64::BITS - MAX_SLOTS.ilog2();

impl PairJudge for MinHashStage {
    fn set(&self, text: &str, set: &mut Vec<u64>) {
        SCRATCH.with_borrow_mut(|Scratch { method, shingles, .. }| {
            let text = self.method.form(text);
            if self.verify == Verify::Exact {
                return self.method.set(&text, method, set);
            }
            shingles.clear();
            self.method.shingles(&text, method, shingles);
            self.method.sketch(shingles, set);
            if text.len() > KEPT {
                *shingles = Vec::new();
            }
        });
        if self.verify == Verify::Exact {
            return;
        }
        // A slot with its number is a member of a set; in this order the set is sorted.
        for (slot, number) in set.iter_mut().zip(0u64..) {
            *slot = (number << SLOT_BITS) | (*slot & ((1 << SLOT_BITS) - 1));
        }
    }

    fn floor(&self) -> f64 {
        self.floor
    }

    fn settles_at(&self) -> Option<f64> {
        // Other thresholds, chains and an audit ask for every pair.
        let all =
            self.records || self.clusters == Clustering::Components || self.audit.0 > 0 || self.links == Links::All;
        (!all).then_some(self.threshold)
    }

    fn bound(&self, len_a: usize, len_b: usize) -> f64 {
        // Sketches are all of one size, and so their bound is 1.
        if len_a.max(len_b) == 0 { 0.0 } else { len_a.min(len_b) as f64 / len_a.max(len_b) as f64 }
    }

    fn similarity(&self, a: &[u64], b: &[u64]) -> Option<f64> {
        let total = (a.len() + b.len()) as f64;
        // |A∩B| / |A∪B| ≥ f where |A∩B| ≥ f / (1 + f) · (|A| + |B|); of two sketches the part f is shared.
        // One less, for rounding: the comparison at the end is the one that counts.
        let sketches = self.verify != Verify::Exact;
        let needed = if sketches { self.floor / 2.0 * total } else { self.floor / (1.0 + self.floor) * total };
        let common = common(a, b, (needed as usize).saturating_sub(1))? as f64;
        let whole = if sketches { total / 2.0 } else { total - common };
        let similarity = if whole > 0.0 { common / whole } else { 0.0 };
        (similarity >= self.floor).then_some(similarity)
    }
}

/// How many members two sorted sets share; `None` as soon as it is clear that they are fewer than `needed`.
fn common(a: &[u64], b: &[u64], needed: usize) -> Option<usize> {
    // Every member of one set only makes two fewer that can be shared in pairs.
    let alone = (a.len() + b.len()).checked_sub(2 * needed)?;
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() && i + j - 2 * common <= alone {
        let (x, y) = (a[i], b[j]);
        common += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    (common >= needed).then_some(common)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::corpus::affine::tests::{Signature, golden};

    fn stage(settings: MinHash) -> MinHashStage {
        settings.build().expect("sound")
    }

    fn similarity(stage: &MinHashStage, a: &str, b: &str) -> Option<f64> {
        let set = |text| {
            let mut set = Vec::new();
            stage.set(text, &mut set);
            assert!(set.is_sorted_by(|a, b| a < b), "sorted, each once");
            set
        };
        let (a, b) = (set(a), set(b));
        let similarity = stage.similarity(&a, &b);
        assert!(similarity.is_none_or(|similarity| similarity <= stage.bound(a.len(), b.len())));
        similarity
    }

    #[test]
    fn similarity_is_jaccard_from_the_floor_up() {
        let at = |floor| stage(MinHash { threshold: 0.9, floor: Some(floor), n: 1, ..MinHash::default() });
        assert_eq!(similarity(&at(0.6), "a b c d", "b c d e"), Some(0.6));
        assert_eq!(similarity(&at(0.61), "a b c d", "b c d e"), None);
        assert_eq!(similarity(&at(0.6), "a", "b c d e"), None);
        assert_eq!(similarity(&at(0.9), "A b", "b, a"), Some(1.0));
        assert_eq!(similarity(&at(0.1), "", "a"), None);
        assert_eq!(similarity(&at(0.1), "", ""), None);
    }

    #[test]
    fn signatures_estimate() {
        let stage = stage(MinHash { threshold: 0.3, n: 1, verify: Verify::Signature, ..MinHash::default() });
        let words = |from: u32| (from..from + 100).map(|i| format!("w{i} ")).collect::<String>();
        let estimate = similarity(&stage, &words(0), &words(25)).expect("above the floor");
        assert!((estimate - 0.6).abs() < 0.12, "{estimate}");
        assert_eq!(similarity(&stage, &words(0), &words(0)), Some(1.0));
        assert_eq!(similarity(&stage, &words(0), &words(90)), None);
    }

    #[test]
    fn a_document_of_no_words_sends_its_content_key_only() {
        let sections = |text| {
            let mut sections = Vec::new();
            stage(MinHash::default()).keys(&Doc::bare(text), &mut |section, _| sections.push(section));
            sections
        };
        assert_eq!(sections(" — !"), [0]);
        assert_eq!(sections("one"), (0..21).collect::<Vec<_>>());
    }

    #[track_caller]
    fn check_bands(settings: MinHash, bands: usize, rows: usize) {
        assert_eq!(stage(settings).bands, Bands { bands, rows });
    }

    #[test]
    fn bands_are_those_of_the_profile_unless_asked_for() {
        let default = MinHash::default;
        let published = || MinHash { profile: Profile::Datatrove, ..default() };
        check_bands(default(), 20, 7);
        check_bands(published(), 14, 8);
        check_bands(MinHash { threshold: 0.7, ..published() }, 14, 8);
        check_bands(MinHash { recall: Some(0.99), ..published() }, 20, 7);
        check_bands(MinHash { floor: Some(0.7), ..published() }, 26, 5);
        check_bands(MinHash { bands: Some(9), rows: Some(13), ..published() }, 9, 13);
        check_bands(MinHash { bands: Some(9), rows: Some(13), ..default() }, 9, 13);
    }

    #[test]
    fn keys_of_the_profile_are_the_signatures_of_datatrove() {
        let mut sent = 0;
        for document in golden().documents {
            for Signature { bands, rows, n, shingles, signature } in document.signatures {
                let settings = MinHash { bands: Some(bands), rows: Some(rows), n, ..MinHash::default() };
                let stage = stage(MinHash { profile: Profile::Datatrove, ..settings });
                let mut keys = Vec::new();
                stage.keys(&Doc::bare(&document.text), &mut |section, key| keys.push((section, key)));
                let signature = signature.concat();
                let expected = band_keys(&signature, rows).zip(1..).map(|(key, section)| (section, key.into()));
                assert_eq!(keys[1..], expected.collect::<Vec<_>>(), "{}", document.name);
                sent += keys.len() - 1;
                let mut set = Vec::new();
                stage.set(&document.text, &mut set);
                assert!(set.iter().eq(&BTreeSet::from_iter(shingles)), "{}", document.name);
                assert_eq!(stage.n_shingles(&Doc::bare(&document.text)), Some(set.len()));
            }
        }
        assert!(sent > 400, "{sent}");
    }

    #[test]
    fn profiles_differ_in_what_is_alike() {
        let similarity = |profile| {
            let stage = stage(MinHash { profile, threshold: 0.3, n: 1, ..MinHash::default() });
            similarity(&stage, "Café no. 12 — 3.5 km", "cafe No 7, 3 km")
        };
        assert_eq!(similarity(Profile::Datatrove), Some(1.0));
        // no, 3, km of café, no, 12, 3, 5, km, cafe and 7.
        assert_eq!(similarity(Profile::Default), Some(3.0 / 8.0));
    }

    #[test]
    fn signatures_of_the_profile_estimate() {
        let settings = MinHash { profile: Profile::Datatrove, threshold: 0.3, n: 1, ..MinHash::default() };
        let stage = stage(MinHash { verify: Verify::Signature, ..settings });
        let letters = |i: u32| [i / 26, i % 26].map(|i| char::from(b'a' + i as u8)).iter().collect::<String>();
        let words = |from: u32| (from..from + 100).map(|i| format!("{} ", letters(i))).collect::<String>();
        let estimate = similarity(&stage, &words(0), &words(25)).expect("above the floor");
        assert!((estimate - 0.6).abs() < 0.15, "{estimate}");
        assert_eq!(similarity(&stage, &words(0), &words(0)), Some(1.0));
    }

    #[track_caller]
    fn check_refused(settings: MinHash, expected: &str) {
        let error = settings.build().expect_err("nonsense");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        let default = MinHash::default;
        check_refused(MinHash { threshold: 0.0, ..default() }, "`threshold` (0)");
        check_refused(MinHash { threshold: f64::NAN, ..default() }, "`threshold`");
        check_refused(
            MinHash { floor: Some(0.9), ..default() },
            "`floor` (0.9) must be above 0 and at most the threshold",
        );
        check_refused(MinHash { recall: Some(1.0), ..default() }, "`recall` (1)");
        let chains = MinHash { floor: Some(0.5), clusters: Clustering::Components, ..default() };
        check_refused(chains, "cut anew only with");
        check_refused(MinHash { n: 0, ..default() }, "`n`");
        check_refused(
            MinHash { profile: Profile::Datatrove, unit: Unit::Chars, ..default() },
            "shingles of words: leave out `unit`",
        );
        check_refused(MinHash { leaders: 0, ..default() }, "`leaders`");
        check_refused(MinHash { bands: Some(3), ..default() }, "set together");
        check_refused(MinHash { bands: Some(0), rows: Some(3), ..default() }, "`bands` times `rows`");
        check_refused(MinHash { bands: Some(9), rows: Some(1000), ..default() }, "must be 1 to 8192");
    }
}
