//! What the machine that a draw is made on gives to it, and what it does of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::ThreadPool;

use super::read::TaskRead;
use super::spread::Spread;
use super::{Draw, read, spread};
use crate::budget::{Budget, Progress};
use crate::error::Result;
use crate::exchange::sort::SpillDir;
use crate::fleet::Fleet;
use crate::format::write::Written;
use crate::task::{Resources, Source};

/// What a machine gives to a draw.
pub struct Machine<'m> {
    /// Its threads.
    pub pool: &'m ThreadPool,
    /// The bytes to hold, about.
    pub memory: u64,
    /// Where it spills: a folder of its own, which is emptied.
    pub spill: &'m SpillDir,
    /// Who reads and writes the tasks instead, if anybody does. Those and this machine share the input and the output
    /// folder.
    pub fleet: Option<&'m dyn Fleet>,
}

/// The bytes below which a task in flight cannot work well.
const TASK_MEMORY: u64 = 96 << 20;

impl Machine<'_> {
    /// Reads the tasks that were not read before.
    pub(super) fn read(&self, draw: &Draw<'_>, sources: &[Source], progress: &Progress) -> Result<Vec<TaskRead>> {
        let at_once = self.at_once(TASK_MEMORY, sources.len());
        let budget = Budget::new(self.memory / 2);
        let resources = self.resources(&budget, progress, at_once);
        each(sources.len(), at_once, |task| read::read(draw, task as u32, &sources[task], &resources))
    }

    /// Spreads the documents of the tasks that were not spread before.
    pub(super) fn spread(&self, draw: &Draw<'_>, sources: &[Source], progress: &Progress) -> Result<Vec<Spread>> {
        let at_once = self.at_once(TASK_MEMORY, sources.len());
        let budget = Budget::new(self.memory / 4);
        let resources = self.resources(&budget, progress, at_once);
        let held = spread::held(self.memory / at_once as u64);
        each(sources.len(), at_once, |task| spread::spread(draw, task as u32, &sources[task], held, &resources))
    }

    /// Gathers the output files that were not gathered before.
    pub(super) fn gather(
        &self,
        draw: &Draw<'_>,
        spreads: &[Spread],
        n_shards: u32,
        progress: &Progress,
    ) -> Result<Vec<Written>> {
        // The documents as they were read, as they are sorted, and as they are written.
        let at_once = self.at_once(3 * draw.shard_size, n_shards as usize);
        each(n_shards as usize, at_once, |shard| {
            progress.check()?;
            let written = self.pool.install(|| spread::gather(draw, shard as u32, spreads))?;
            progress.rows.fetch_add(written.rows, Ordering::Relaxed);
            Ok(written)
        })
    }

    fn at_once(&self, memory: u64, n: usize) -> usize {
        ((self.memory / memory.max(1)) as usize).clamp(1, self.pool.current_num_threads()).min(n.max(1))
    }

    fn resources<'r>(&'r self, budget: &'r Budget, progress: &'r Progress, at_once: usize) -> Resources<'r> {
        Resources {
            pool: self.pool,
            budget,
            progress,
            in_flight: (2 * self.pool.current_num_threads()).div_ceil(at_once) + 1,
            window: self.memory / 16 / at_once as u64,
            key_memory: (self.memory / 4) as usize / at_once,
            spill: self.spill,
        }
    }
}

/// Does something for each number below `n`, `at_once` of them at a time, until one fails.
fn each<T: Send>(n: usize, at_once: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Vec<Mutex<Option<Result<T>>>> = (0..n).map(|_| Mutex::default()).collect();
    std::thread::scope(|threads| {
        for _ in 0..at_once {
            threads.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = results.get(index) else { return };
                    let result = work(index);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    results.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
