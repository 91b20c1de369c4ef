//! Deduplication against the documents of earlier corpora, which an index knows, and what this one adds to it.
//!
//! In one run of both corpora a document meets the first with its text, even if that was dropped, and in each
//! bucket the first few, dropped ones included, which stand for nobody but take up places. So that is what an
//! index has, and the two runs keep what the one would keep.

use serde::Serialize;
use serde_json::Value;

use crate::corpus::anchors::NEAR_DUPLICATE;
use crate::corpus::bands::Bands;
use crate::corpus::components::Clustering;
use crate::corpus::exact::EXACT_DUPLICATE;
use crate::corpus::keep::Keep;
use crate::corpus::minhash::MinHash;
use crate::error::Result;
use crate::stage::{Duplicate, Exchange, IndexUse, Known};

/// What the settings want of an index, if that makes sense.
pub(super) fn index_use(settings: &MinHash, bands: Bands) -> Result<Option<IndexUse>, String> {
    let MinHash { index, against, .. } = settings;
    let Some(folder) = against.as_ref().or(index.as_ref()) else {
        return match (&settings.run_name, settings.earlier_wins) {
            (Some(_), _) => Err("`run_name` is what this run is called in an `index`, which is not set".to_owned()),
            (None, true) => Err("`earlier_wins` is for `against`, which is not set".to_owned()),
            (None, false) => Ok(None),
        };
    };
    let in_folder = |path: &str| path.trim_end_matches('/') == folder.trim_end_matches('/');
    if folder.is_empty() || index.as_ref().is_some_and(String::is_empty) {
        return Err("the folder of an index has no name; leave out `index` and `against`, or name one".to_owned());
    }
    if index.as_ref().is_some_and(|index| !in_folder(index)) {
        return Err("`index` and `against` name two folders, and what is new to the one would make no index in the \
                    other; name the same to add this run to it, or leave out `index`"
            .to_owned());
    }
    if settings.run_name.is_some() && index.is_none() {
        return Err("`run_name` is what this run is called in an `index`, which is not set".to_owned());
    }
    if settings.floor.is_some() {
        return Err(
            "`floor` keeps pairs for other thresholds, but an index is of one threshold; leave one of them out"
                .to_owned(),
        );
    }
    if settings.clusters == Clustering::Components {
        return Err("an index has no chains to close; leave out `clusters = \"components\"`, or `index` and `against`"
            .to_owned());
    }
    if against.is_none() && settings.earlier_wins {
        return Err("`earlier_wins` is for `against`, which is not set".to_owned());
    }
    if against.is_some() && settings.audit > 0 {
        return Err(
            "`audit` compares texts, and an index has none; leave out `against` to audit this corpus alone".to_owned()
        );
    }
    if against.is_some() && settings.keep != Keep::First && !settings.earlier_wins {
        return Err("`against` and a `keep` other than \"first\" need `earlier_wins = true` (--earlier-wins): then \
                    documents of the index always stay, and `keep` decides among new ones"
            .to_owned());
    }
    let Bands { bands, rows } = bands;
    Ok(Some(IndexUse {
        folder: folder.clone(),
        reads: against.is_some(),
        writes: index.is_some(),
        run: settings.run_name.clone(),
        settings: vec![
            ("threshold", plain(settings.threshold)),
            ("profile", plain(settings.profile)),
            ("n", plain(settings.n)),
            ("unit", plain(settings.unit)),
            ("bands", plain(bands)),
            ("rows", plain(rows)),
            ("leaders", plain(settings.leaders)),
            ("verify", plain(settings.verify)),
        ],
    }))
}

fn plain(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("settings are plain data")
}

/// Drops documents, and counts those that go for earlier ones.
#[derive(Debug, Default)]
pub(super) struct Drops {
    exact: u64,
    near: u64,
}

impl Drops {
    /// Drops a document.
    pub(super) fn drop(&mut self, duplicate: Duplicate, exchange: &mut dyn Exchange) -> Result<()> {
        if duplicate.kept.is_earlier() {
            let copy = duplicate.reason == EXACT_DUPLICATE;
            self.exact += u64::from(copy);
            self.near += u64::from(!copy);
        }
        exchange.drop(duplicate)
    }

    /// Drops the documents whose texts the index has seen: each goes for the one that was kept then.
    pub(super) fn drop_known(&mut self, threshold: f64, exchange: &mut dyn Exchange) -> Result<()> {
        for known in exchange.known()? {
            let Known { doc, kept, similarity, copy } = known?;
            let reason = if copy { EXACT_DUPLICATE } else { NEAR_DUPLICATE };
            self.drop(Duplicate { doc, kept, similarity, threshold, reason }, exchange)?;
        }
        Ok(())
    }

    /// Leaves the counts for the report.
    pub(super) fn leave(&self, exchange: &mut dyn Exchange) {
        exchange.note("known_exact", self.exact);
        exchange.note("known_near", self.near);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{CorpusStage, Settings};

    fn against() -> MinHash {
        MinHash { against: Some("index".into()), ..MinHash::default() }
    }

    #[track_caller]
    fn check_refused(settings: MinHash, expected: &str) {
        let error = settings.build().expect_err("nonsense");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn an_index_is_read_or_written_or_both() {
        let check = |against: Option<&str>, index: Option<&str>, expected| {
            let [against, index] = [against, index].map(|path| path.map(str::to_owned));
            let stage = MinHash { against, index, ..MinHash::default() }.build().expect("sound");
            assert_eq!(stage.index().map(|index| (index.folder.as_str(), index.reads, index.writes)), expected);
        };
        check(None, None, None);
        check(Some("a"), None, Some(("a", true, false)));
        check(None, Some("a/"), Some(("a/", false, true)));
        check(Some("a"), Some("a/"), Some(("a", true, true)));
    }

    #[test]
    fn what_makes_no_sense_with_an_index_is_refused() {
        let index = || MinHash { index: Some("index".into()), ..MinHash::default() };
        check_refused(MinHash { index: Some("other".into()), ..against() }, "name two folders");
        check_refused(MinHash { against: Some(String::new()), ..MinHash::default() }, "has no name");
        check_refused(MinHash { floor: Some(0.5), ..index() }, "an index is of one threshold");
        check_refused(MinHash { clusters: Clustering::Components, ..against() }, "no chains to close");
        check_refused(MinHash { audit: 9, ..against() }, "leave out `against` to audit");
        check_refused(MinHash { keep: Keep::Longest, ..against() }, "need `earlier_wins = true`");
        check_refused(MinHash { earlier_wins: true, ..index() }, "`earlier_wins` is for `against`");
        check_refused(MinHash { earlier_wins: true, ..MinHash::default() }, "`earlier_wins` is for `against`");
        check_refused(MinHash { run_name: Some("a".into()), ..against() }, "called in an `index`");
        check_refused(MinHash { run_name: Some("a".into()), ..MinHash::default() }, "called in an `index`");
        assert!(MinHash { audit: 9, ..index() }.build().is_ok());
        assert!(MinHash { keep: Keep::Longest, earlier_wins: true, ..against() }.build().is_ok());
    }
}
