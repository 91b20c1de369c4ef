//! What the guards of stages call out.

use serde::{Deserialize, Serialize};

use super::table::{count, percent};
use super::{ExchangeReport, StageReport};
use crate::pipeline::{Pipeline, StageSpec};
use crate::stage::{Guards, Stage};
use crate::tally::{MAX_SOURCES, SourceTally};

/// Something that a guard calls out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The stage whose guard it is.
    pub stage: String,
    /// What it has seen.
    pub message: String,
    /// Whether the run ends as one that failed.
    pub fails: bool,
}

/// How many sources a stage calls out by name.
const N_NAMED: usize = 10;

/// What is called out, by stages in order: large clusters, then sources, in each the worst first.
pub(super) fn raised(pipeline: &Pipeline, stages: &[StageReport], exchanges: &[ExchangeReport]) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for (spec, stage) in pipeline.stages.iter().zip(stages) {
        let Some(guards) = guards(spec) else { continue };
        let mut messages = Vec::new();
        large_clusters(guards, &spec.name, exchanges, &mut messages);
        lossy_sources(guards, stage, &mut messages);
        let alarm = |message| Alarm { stage: spec.name.clone(), message, fails: guards.fail };
        alarms.extend(messages.into_iter().map(alarm));
    }
    alarms
}

fn guards(spec: &StageSpec) -> Option<&Guards> {
    match &spec.stage {
        Stage::Corpus(stage) => stage.duplicates().map(|how| &how.guards),
        _ => None,
    }
}

fn large_clusters(guards: &Guards, stage: &str, exchanges: &[ExchangeReport], messages: &mut Vec<String>) {
    let Some(limit) = guards.max_cluster else { return };
    for clusters in exchanges.iter().filter_map(|exchange| exchange.clusters.get(stage)) {
        for cluster in &clusters.largest {
            let name =
                cluster.id.as_ref().map_or_else(|| format!("content key {}", cluster.key), |id| format!("`{id}`"));
            messages.push(format!("{name} stands for {} documents, over {}", count(cluster.documents), count(limit)));
        }
        let more = clusters.above - clusters.largest.len() as u64;
        if more > 0 {
            messages.push(format!("{} more clusters of over {} documents", count(more), count(limit)));
        }
    }
}

fn lossy_sources(guards: &Guards, stage: &StageReport, messages: &mut Vec<String>) {
    let Some(limit) = guards.max_source_loss else { return };
    let share = |tally: &SourceTally| tally.duplicates as f64 / tally.seen as f64;
    let sources = &stage.tally.sources;
    let mut lossy: Vec<_> = sources.named.iter().filter(|(_, tally)| share(tally) > limit).collect();
    lossy.sort_by(|(a_name, a), (b_name, b)| share(b).total_cmp(&share(a)).then(a_name.cmp(b_name)));
    let lost = |tally: &SourceTally| {
        format!(
            "{} of {} documents are duplicates, {}, over {} %",
            count(tally.duplicates),
            count(tally.seen),
            percent(tally.duplicates, tally.seen),
            (limit * 1e4).round() / 100.0
        )
    };
    messages.extend(lossy.iter().take(N_NAMED).map(|(name, tally)| format!("source `{name}`: {}", lost(tally))));
    if lossy.len() > N_NAMED {
        messages.push(format!("{} more sources, which report.json lists", lossy.len() - N_NAMED));
    }
    if share(&sources.others) > limit {
        messages.push(format!("all sources after the first {MAX_SOURCES} by name: {}", lost(&sources.others)));
    }
}
