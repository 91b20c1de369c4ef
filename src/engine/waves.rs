//! Gets waves of tasks done by a fleet, whatever is lost on the way.
//!
//! A task is done when its last file is there, and what is not done is ordered again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::orders::Told;
use crate::budget::Progress;
use crate::error::{Error, Result};
use crate::fleet::{Ended, Fleet, Lost, Wave};
use crate::run_dir::RunDir;
use crate::store::Folder;

/// How often tasks are ordered again while none of them gets done.
const ATTEMPTS: usize = 3;
/// How often it is looked what has been done.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take until a file that was written on one machine is seen on another.
const LATE: Duration = Duration::from_secs(60);
/// The tasks that a wave has at most: as many as Ballista was seen to place.
const WAVE: usize = 5_000;

/// Gets tasks done: those of the wave for which `done` says no file yet. `look` is shown those that are done now and then.
pub fn get_done(
    fleet: &dyn Fleet,
    whole: &Wave<'_>,
    done: &DoneFiles<'_>,
    progress: &Progress,
    look: &(dyn Fn(u32) -> Result<()> + Sync),
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let Wave { name, tasks, .. } = *whole;
    let mut pending = done.missing(tasks)?;
    let (mut fruitless, mut why) = (0, String::new());
    let mut wait = Duration::from_secs(1);
    while !pending.is_empty() {
        progress.check()?;
        let wave = Wave { tasks: &pending[..pending.len().min(WAVE)], ..*whole };
        let outcome = watched(fleet, &wave, done, progress, &mut seen, look);
        let mut missing = done.missing(&pending)?;
        let is_left = |missing: &[u32]| missing.len() + wave.tasks.len() > pending.len();
        if outcome.as_ref().is_ok_and(|ended| ended.iter().all(|ended| ended.outcome.is_ok())) {
            // A folder that is shared over a network may show late what is in it.
            let begin = Instant::now();
            while is_left(&missing) && begin.elapsed() < LATE {
                pause(LOOK, progress)?;
                missing = done.missing(&pending)?;
            }
        }
        match outcome {
            Err(Lost::Stopped) => return Err(Error::Interrupted),
            Err(Lost::Refused(why)) => return Err(Error::io(name, why)),
            Err(Lost::Broken(what)) => {
                tracing::warn!(wave = name, "{name}: {what}; {} of {} tasks are left", missing.len(), tasks.len());
                why = what;
            }
            Ok(ended) => {
                let failed = ended.into_iter().find(|ended| ended.outcome.is_err() && missing.contains(&ended.task));
                if let Some(Ended { task, outcome: Err(why) }) = failed {
                    let told = Told::parse(&why);
                    match told {
                        // It is as broken the next time.
                        Told::Shard { file, message } => return Err(Error::Shard { file, message }),
                        Told::Other(why) if fruitless + 1 >= ATTEMPTS => {
                            return Err(Error::io(format!("{name}, task {task}"), why));
                        }
                        Told::Other(why) => tracing::warn!(wave = name, task, "{name}, task {task}: {why}"),
                    }
                } else if is_left(&missing) {
                    return Err(Error::io(
                        name,
                        "tasks say that they are done but have left nothing; is the output folder shared by all machines?",
                    ));
                }
            }
        }
        if missing.len() < pending.len() {
            (fruitless, wait) = (0, Duration::from_secs(1));
        } else {
            fruitless += 1;
            if fruitless >= ATTEMPTS {
                return Err(Error::io(
                    name,
                    format!(
                        "given up after {ATTEMPTS} attempts in which no task got done ({why}); run the same command again to continue"
                    ),
                ));
            }
            pause(wait, progress)?;
            wait *= 4;
        }
        pending = missing;
    }
    Ok(())
}

/// Runs a wave, and looks meanwhile which of its tasks are done.
fn watched(
    fleet: &dyn Fleet,
    wave: &Wave<'_>,
    done: &DoneFiles<'_>,
    progress: &Progress,
    seen: &mut BTreeSet<u32>,
    look: &(dyn Fn(u32) -> Result<()> + Sync),
) -> std::result::Result<Vec<Ended>, Lost> {
    let over = AtomicBool::new(false);
    let seen = Mutex::new(seen);
    let show = || {
        // What cannot be looked at now is looked at later, and read again when the wave is over.
        let Ok(there) = done.there() else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for &task in wave.tasks.iter().filter(|task| there.contains(task)) {
            if !seen.contains(&task) && look(task).is_ok() {
                seen.insert(task);
            }
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut last = Instant::now();
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                if last.elapsed() >= LOOK {
                    show();
                    last = Instant::now();
                }
            }
        });
        // However the fleet ends.
        let _over = SetAtEnd(&over);
        fleet.run(wave, &|| progress.check().is_err())
    })
}

/// Sets a flag when it goes.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The files that say which tasks are done.
pub struct DoneFiles<'r> {
    /// The folder of the run.
    pub folder: &'r Folder,
    /// Where they are below it; each has the number of its task for a name, and ends with `.json`.
    pub path: String,
}

impl DoneFiles<'_> {
    /// The tasks that are done.
    fn there(&self) -> Result<BTreeSet<u32>> {
        let files = self.folder.child(&self.path).list()?;
        Ok(files.iter().filter_map(|file| file.path.strip_suffix(".json")?.parse().ok()).collect())
    }

    /// Those of the tasks that are not.
    fn missing(&self, tasks: &[u32]) -> Result<Vec<u32>> {
        let there = self.there()?;
        Ok(tasks.iter().copied().filter(|task| !there.contains(task)).collect())
    }
}

/// Reads a file of each of many tasks.
pub fn read_all<T: DeserializeOwned + Send + 'static>(run_dir: &RunDir, paths: &[String]) -> Result<Vec<T>> {
    let found = run_dir.read_all_json(paths.iter().cloned())?;
    let there = found.into_iter().zip(paths);
    there
        .map(|(found, path)| found.ok_or_else(|| Error::io(run_dir.folder().name_of(path), "the file is gone")))
        .collect()
}

/// Waits, unless the user says stop.
fn pause(time: Duration, progress: &Progress) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time {
        progress.check()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
