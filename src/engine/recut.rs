//! A finished deduplication cut anew at another threshold: its documents are ruled on and written again, but
//! nothing is hashed and nothing compared.

use crate::error::{Error, Result};
use crate::pairs::{PASS, Pairs};
use crate::plan::Shard;
use crate::report::Report;
use crate::run_dir::{Identity, RunDir};
use crate::store::Folder;
use crate::tally::Tally;
use crate::task::TaskReport;

/// The run that is cut anew.
pub struct Recut {
    run_dir: RunDir,
    identity: Identity,
    pairs: Pairs,
}

impl Recut {
    /// The run in the folder `run`, or the one that it was itself cut from.
    pub fn open(run: &str) -> Result<Self> {
        let run_dir = RunDir::new(Folder::parse(run)?);
        let refused = |what: &str| Err(Error::refused(format!("{run}: {what}")));
        let Some(identity) = run_dir.read_json::<Identity>("_trommel/run.json")? else {
            return refused("there is no run; name the output folder of `trommel dedup --floor`");
        };
        if let Some(from) = &identity.from {
            return Self::open(from);
        }
        if identity.version != env!("CARGO_PKG_VERSION") {
            let what = format!("this run is by trommel {}, this is {}", identity.version, env!("CARGO_PKG_VERSION"));
            return refused(&format!("{what}; use that version, or run it again with this one"));
        }
        match run_dir.read_json::<Report>("report.json")? {
            None => return refused("this run is not finished; give its command again to continue it"),
            Some(report) if !report.failed.is_empty() => {
                return refused("some of its files could not be read; mend them and give its command again");
            }
            Some(_) => {}
        }
        let pairs = Pairs::find(&run_dir)?;
        Ok(Self { run_dir, identity, pairs })
    }

    /// Where it is, for other processes too.
    pub fn place(&self) -> String {
        self.run_dir.folder().real_location_of("").display().to_string()
    }

    /// The pipeline's table of settings.
    pub fn table(&self) -> Result<toml::Table> {
        let failed = |error| Error::io(self.run_dir.folder().name_of("_trommel/run.json"), error);
        serde_json::from_str(&self.identity.pipeline).map_err(failed)
    }

    /// The input files.
    pub fn inputs(&self) -> Vec<String> {
        self.identity.shards.iter().map(|shard| shard.name.clone()).collect()
    }

    /// What makes the run that run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it has recorded.
    pub fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// Refuses an input that is not the one that was compared.
    pub(super) fn check_input(&self, shards: &[Shard]) -> Result<()> {
        let refuse = |shard: &Shard, what: &str| {
            let run = self.run_dir.folder().name();
            Err(Error::refused(format!("{}: {what} since {run} was made; deduplicate it again", shard.name)))
        };
        if shards.len() < self.identity.shards.len() {
            let gone = self.identity.shards.iter().find(|known| shards.iter().all(|shard| shard.name != known.name));
            return gone.map_or(Ok(()), |gone| refuse(gone, "it has gone"));
        }
        for (known, shard) in self.identity.shards.iter().zip(shards) {
            if (&known.name, known.size, &known.etag) != (&shard.name, shard.size, &shard.etag) {
                return refuse(known, "it has changed");
            }
        }
        Ok(())
    }

    /// Makes the first pass, which only sends keys, a thing that is done: its reports tell how many rows there are.
    pub(super) fn leave_reports(&self, run_dir: &RunDir) -> Result<()> {
        for task in 0..self.identity.tasks.len() as u32 {
            let path = RunDir::report(PASS, task);
            if run_dir.folder().find(&path)?.is_some() {
                continue;
            }
            let known = self.run_dir.read_json::<TaskReport>(&path)?;
            let known = known.ok_or_else(|| Error::io(self.run_dir.folder().name_of(&path), "no such file"))?;
            // Its time was spent by that run.
            let tally = Tally { rows_in: known.tally.rows_in, bytes_in: known.tally.bytes_in, ..Tally::default() };
            run_dir.write_json(&path, &TaskReport { tally, seconds: 0.0, ..known })?;
        }
        Ok(())
    }
}
