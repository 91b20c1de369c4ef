//! Other hands than those of this process: whoever takes the tasks of a wave, each on some machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Tasks that need nothing of each other. Each leaves files in storage that all machines share, and says in the last
/// of them that it is done.
#[derive(Debug, Clone, Copy)]
pub struct Wave<'w> {
    /// What it is called in logs.
    pub name: &'w str,
    /// What is to be done: the same for all tasks, in words that [`Worker::run`] understands. It travels with each of
    /// them: it names a file in shared storage if there is more to say.
    pub order: &'w str,
    /// The numbers of the tasks, none twice.
    pub tasks: &'w [u32],
}

/// A task that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The task.
    pub task: u32,
    /// What it says, or why it failed.
    pub outcome: Result<String, String>,
}

/// Why a wave did not come to its end. Some of its tasks may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// It was asked to stop.
    Stopped,
    /// Machines, or the way to them, were lost; and what is known of it.
    Broken(String),
    /// The fleet does not understand what it is asked for, and why. It will not the next time either.
    Refused(String),
}

/// Gets tasks done on some machines.
pub trait Fleet: Send + Sync {
    /// Gets each task of a wave done, once if all goes well; a task that is begun twice does no harm. Comes back when
    /// all tasks have ended, or when it is known that they will not, or soon after `stop` says so.
    fn run(&self, wave: &Wave<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Ended>, Lost>;
}

impl<F: Fleet + ?Sized> Fleet for Box<F> {
    fn run(&self, wave: &Wave<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Ended>, Lost> {
        (**self).run(wave, stop)
    }
}

impl<F: Fleet + ?Sized> Fleet for Arc<F> {
    fn run(&self, wave: &Wave<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Ended>, Lost> {
        (**self).run(wave, stop)
    }
}

/// Does tasks, on one machine, several at once.
///
/// A task may run again after it has run, and on two machines at once: one that was given up is not always dead.
/// Whatever a task leaves must be the same each time, and appear whole or not at all.
pub trait Worker: Send + Sync {
    /// Does a task of a wave, on a thread that may block. A failure is an answer like any other and does not stop the
    /// other tasks of the wave; nor does a panic. Once `stop` is true nobody waits for the answer any more, and the
    /// machine is free for other tasks only when this returns: return soon.
    fn run(&self, wave: &str, order: &str, task: u32, stop: &Arc<AtomicBool>) -> Result<String, String>;
}

/// Workers that are threads of this process, with nothing in common but the storage: a fleet to try things on.
pub struct Threads {
    workers: Vec<Arc<dyn Worker>>,
}

impl Threads {
    /// A fleet of workers, each of which does a task at a time.
    pub fn new(workers: Vec<Arc<dyn Worker>>) -> Self {
        Self { workers }
    }
}

impl Fleet for Threads {
    fn run(&self, wave: &Wave<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Ended>, Lost> {
        let (next, stopped) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
        let ended = Mutex::new(Vec::new());
        std::thread::scope(|threads| {
            let working: Vec<_> = self
                .workers
                .iter()
                .map(|worker| {
                    let (next, stopped, ended) = (&next, &stopped, &ended);
                    threads.spawn(move || {
                        while !stopped.load(Ordering::Relaxed)
                            && let Some(&task) = wave.tasks.get(next.fetch_add(1, Ordering::Relaxed))
                        {
                            let outcome = worker.run(wave.name, wave.order, task, stopped);
                            ended.lock().unwrap_or_else(PoisonError::into_inner).push(Ended { task, outcome });
                        }
                    })
                })
                .collect();
            while !working.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                stopped.fetch_or(stop(), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        if stopped.load(Ordering::Relaxed) {
            return Err(Lost::Stopped);
        }
        Ok(ended.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
