//! Running a task on an executor: what it does is the worker's, when and where is decided here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::node::Orders;
use crate::fleet::Worker;

/// A worker with a number of slots to run in.
pub(super) struct Slots {
    worker: Arc<dyn Worker>,
    /// Ballista counts a cancelled task as gone when it has been told to stop. Here its slot stays taken until it
    /// has stopped, so that there are never more tasks at work than there is memory for.
    slots: Arc<Semaphore>,
    n_slots: usize,
    /// Ballista's own threads for tasks run at a low priority, which what they begin would inherit.
    runtime: Handle,
}

impl Slots {
    /// To be called on the runtime whose threads run the tasks.
    pub(super) fn new(worker: Arc<dyn Worker>, n_slots: usize) -> Self {
        Self { worker, slots: Arc::new(Semaphore::new(n_slots)), n_slots, runtime: Handle::current() }
    }

    /// Runs a task, unless `stop` is true before it begins.
    pub(super) async fn run(
        self: Arc<Self>,
        orders: Arc<Orders>,
        task: u32,
        stop: Arc<AtomicBool>,
    ) -> Result<String, String> {
        let slot = self.slots.clone().acquire_owned().await.expect("the slots are never closed");
        if stop.load(Ordering::Relaxed) {
            return Err("stopped before it began".to_owned());
        }
        let runtime = self.runtime.clone();
        let running = runtime.spawn_blocking(move || {
            let _slot = slot;
            let Orders { wave, order } = &*orders;
            catch_unwind(AssertUnwindSafe(|| self.worker.run(wave, order, task, &stop)))
                .unwrap_or_else(|panic| Err(format!("a panic in task {task} of {wave}: {}", message(&*panic))))
        });
        running.await.unwrap_or_else(|error| Err(format!("task {task} was not begun: {error}")))
    }

    /// Waits until no task is at work.
    pub(super) async fn idle(&self) {
        let all = u32::try_from(self.n_slots).expect("slots are few");
        let _all = self.slots.acquire_many(all).await.expect("the slots are never closed");
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
