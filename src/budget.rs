//! What a run may use: bytes of memory for documents on their way, and time until the user says stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{Error, Result};

/// Bytes that may be held at once by batches on their way through the stages.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    total: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Self {
        Self(Arc::new(Shared { total, free: Mutex::new(total), freed: Condvar::new() }))
    }

    /// Waits until `bytes` are free and takes them. More than there is in all counts as all there is, so a
    /// giant batch goes through alone instead of never.
    pub fn take(&self, bytes: u64) -> Lease {
        let bytes = bytes.min(self.0.total);
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self.0.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Lease { budget: self.clone(), bytes }
    }
}

/// Bytes taken from a budget; given back when dropped.
pub struct Lease {
    budget: Budget,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut free = self.budget.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free += self.bytes;
        self.budget.0.freed.notify_all();
    }
}

/// How far a run has come, for whoever shows it, and whether it should stop.
#[derive(Debug, Default)]
pub struct Progress {
    /// What is being done, and how much of it there is.
    phase: Mutex<(String, Total)>,
    /// Bytes of input that are done.
    pub done: AtomicU64,
    /// Rows read in this phase.
    pub rows: AtomicU64,
    /// Rows kept in this phase.
    pub kept: AtomicU64,
    /// Bytes of text read in this phase.
    pub bytes: AtomicU64,
    stop: Arc<AtomicBool>,
}

/// How much there is to do in a phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Total {
    /// Nobody knows.
    #[default]
    Unknown,
    /// So many rows.
    Rows(u64),
    /// So many bytes of input.
    Bytes(u64),
}

impl Progress {
    /// No progress yet, of something that is to stop once `stop` is set.
    pub fn stopped_by(stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..Self::default() }
    }

    /// Begins another phase.
    pub fn begin(&self, phase: impl Into<String>, total: Total) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (phase.into(), total);
        for counter in [&self.done, &self.rows, &self.kept, &self.bytes] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// What is being done.
    pub fn phase(&self) -> String {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The share of the phase that is done, where it is known.
    pub fn share(&self) -> Option<f64> {
        let (done, total) = match self.phase.lock().unwrap_or_else(PoisonError::into_inner).1 {
            Total::Unknown => return None,
            Total::Rows(total) => (&self.rows, total),
            Total::Bytes(total) => (&self.done, total),
        };
        Some((done.load(Ordering::Relaxed) as f64 / total.max(1) as f64).min(1.0))
    }

    /// Asks the run to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// An error once the run has been asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_known_where_the_total_is() {
        let progress = Progress::default();
        assert_eq!(progress.share(), None);
        progress.begin("a", Total::Rows(4));
        progress.rows.store(1, Ordering::Relaxed);
        progress.done.store(4, Ordering::Relaxed);
        assert_eq!(progress.share(), Some(0.25));
        progress.begin("b", Total::Bytes(8));
        assert_eq!(progress.share(), Some(0.0), "every phase begins anew");
    }

    #[test]
    fn bytes_are_given_back() {
        let budget = Budget::new(10);
        let lease = budget.take(8);
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = budget.clone();
        let waiting = std::thread::spawn(move || {
            let _lease = other.take(5);
            sender.send(()).expect("the test waits");
        });
        assert!(receiver.try_recv().is_err(), "there is no room yet");
        drop(lease);
        receiver.recv().expect("room was made");
        waiting.join().expect("no panic");
    }

    #[test]
    fn a_giant_goes_through_alone() {
        let budget = Budget::new(10);
        drop(budget.take(1000));
        drop(budget.take(10));
    }
}
