//! The index of earlier corpora in a run: it is looked at before anything is written, kept from others while the
//! run adds to it, and gets the run's part when all else is done.

use crate::error::{Error, Result};
use crate::exchange::index::{INDEX, Index, IndexPart};
use crate::report::{ExchangeReport, Report};
use crate::run_dir::{EarlierPart, RunDir};
use crate::stage::IndexUse;
use crate::store::{Folder, Lock};

/// The index that a stage of a run reads or writes.
pub struct Indexing {
    /// The stage's place in the pipeline.
    pub stage: usize,
    /// The parts that were there before this run.
    pub index: Index,
    /// What the stage wants of it.
    pub how: IndexUse,
    /// What this run is called in it.
    pub run: String,
    lock: Option<Lock>,
}

impl Indexing {
    /// Looks at the index that a stage names, and refuses what does not fit it. Writes nothing. `own` is the part
    /// that this run has left already, if it is continued.
    pub(super) fn look(stage: usize, how: &IndexUse, run_dir: &RunDir, own: Option<&IndexPart>) -> Result<Self> {
        let folder = Folder::parse(&how.folder)?;
        let name = folder.name().to_owned();
        let refused = |what: String| Err(Error::refused(format!("{name}: {what}")));
        let run = match (&how.run, how.writes) {
            (Some(run), _) => run.clone(),
            (None, true) => last_of(run_dir.folder().name()),
            (None, false) => String::new(),
        };
        if how.writes && !is_name(&run) {
            return refused(format!(
                "a run called `{run}` cannot be in an index; --run-name (`run_name`) gives it a name of letters, digits, `-`, `_` and `.`"
            ));
        }
        if how.writes && folder.real_location_of("").starts_with(run_dir.folder().real_location_of("")) {
            return refused("the index outlives this run, whose output folder it is in; name another place".into());
        }
        let (Some(index), _) = Index::open(&folder)? else {
            if how.reads {
                return refused(format!(
                    "there is no index here ({INDEX} is missing); `trommel index build` makes one, and so does --index without --against"
                ));
            }
            let settings = how.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            return Ok(Self { stage, index: Index::empty(&folder, settings), how: how.clone(), run, lock: None });
        };
        for (setting, here) in &how.settings {
            let there = index.manifest().settings.get(*setting);
            if there != Some(here) {
                let there = there.map_or_else(|| "not known".to_owned(), ToString::to_string);
                return refused(format!(
                    "its `{setting}` is {there}, here it is {here}; with {setting} = {there} this corpus can be compared with it"
                ));
            }
        }
        // What came after this run's own part is no concern of it.
        let before = match own.and_then(|own| index.parts().iter().position(|part| part == own)) {
            Some(at) => index.before(at),
            None => index,
        };
        let runs: Vec<&str> = before.parts().iter().map(|part| part.run.as_str()).collect();
        if how.writes && runs.contains(&run.as_str()) {
            return refused(format!("it has a run called `{run}` already; --run-name gives this one another name"));
        }
        if how.writes && !how.reads && !runs.is_empty() {
            return refused(format!(
                "there is an index already, of {}; `against` the same (--against) compares this corpus with it and adds to it",
                runs.join(", ")
            ));
        }
        Ok(Self { stage, index: before, how: how.clone(), run, lock: None })
    }

    /// Keeps others from adding to the index until this run has.
    pub(super) fn take(&mut self, own: Option<&IndexPart>) -> Result<()> {
        if !self.how.writes {
            return Ok(());
        }
        let folder = self.index.folder();
        let name = folder.name();
        let lock = folder.lock("lock")?.ok_or_else(|| {
            Error::refused(format!("{name}: another process is adding to this index; wait until it ends"))
        })?;
        folder.sweep("")?;
        let now = Index::open(folder)?.0;
        let parts = now.as_ref().map_or(&[][..], Index::parts);
        let parts = parts.split(|part| Some(part) == own).next().unwrap_or_default();
        if parts != self.index.parts() {
            return Err(Error::refused(format!("{name}: another process has just added to this index; try again")));
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// The parts that are read, as far as they make a run that run.
    pub(super) fn parts(&self) -> Vec<EarlierPart> {
        let part = |part: &IndexPart| EarlierPart {
            run: part.run.clone(),
            checksums: part.files.values().map(|file| file.checksum.clone()).collect(),
        };
        self.index.parts().iter().map(part).collect()
    }

    /// Adds to the index what an exchange of this run has left for it, unless files could not be read: what is in an
    /// index does not change any more.
    pub(super) fn commit(&self, exchanges: &[ExchangeReport], complete: bool) -> Result<()> {
        if !complete && self.how.writes {
            let name = self.index.folder().name();
            tracing::warn!("{name}: this run is not added to the index before all of its files can be read");
            return Ok(());
        }
        exchanges.iter().filter_map(|exchange| exchange.part.as_ref()).try_for_each(|part| self.index.add(part))
    }
}

/// The part that a run has left, as far as it has come.
pub(super) fn own_part(run_dir: &RunDir, n_passes: usize) -> Result<Option<IndexPart>> {
    if let Some(report) = run_dir.read_json::<Report>("report.json")? {
        return Ok(report.exchanges.into_iter().find_map(|exchange| exchange.part));
    }
    for pass in 0..n_passes {
        let report = run_dir.read_json::<ExchangeReport>(&RunDir::exchange_done(pass))?;
        if let Some(part) = report.and_then(|report| report.part) {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// The last part of a path or URL.
pub fn last_of(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}

/// Whether a run can be called so: it is a folder's name as well.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_called_as_its_folder() {
        for (path, name) in [("out", "out"), ("a/2024-10/", "2024-10"), ("s3://bucket/b", "b"), ("/", "")] {
            assert_eq!(last_of(path), name);
        }
        assert!(["2024-10", "été_1.2", "文"].into_iter().all(is_name));
        assert!(["", "..", ".x", "a/b", "a b", "a\n"].into_iter().all(|name| !is_name(name)));
    }
}
