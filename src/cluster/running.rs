//! The tasks that are under way on an executor, and ending those that nobody waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ballista_core::JobId;
use ballista_core::serde::protobuf::ShuffleWritePartition;
use ballista_core::serde::scheduler::TaskKey;
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use ballista_executor::executor::Executor;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;

use super::node::with_worker;
use super::worker::Slots;

/// The tasks that are under way. Ballista has such a list and does not show it.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<Vec<TaskKey>>>);

impl Running {
    /// The jobs that have tasks here, each once.
    pub(super) fn jobs(&self) -> Vec<JobId> {
        let mut jobs: Vec<_> = self.keys().into_iter().map(|key| key.job_id).collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }

    /// Ends the tasks of a job, or all tasks.
    pub(super) async fn cancel(&self, executor: &Executor, job: Option<&JobId>) {
        for TaskKey { job_id, stage_id, task_id } in self.keys() {
            if job.is_none_or(|job| *job == job_id)
                && let Err(error) = executor.cancel_task(job_id, stage_id, task_id).await
            {
                tracing::warn!("a task cannot be cancelled: {error}");
            }
        }
    }

    fn keys(&self) -> Vec<TaskKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn list<'s>(&self, key: &'s TaskKey, stop: &'s AtomicBool) -> Listed<'s> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        Listed { running: self.clone(), key, stop }
    }
}

/// A task that is under way, until it is dropped, because it has ended or was cancelled. What Ballista drops when it
/// cancels a task does not hold the task: the writer of its results goes on in the background. So the task is told
/// here to stop.
struct Listed<'s> {
    running: Running,
    key: &'s TaskKey,
    stop: &'s AtomicBool,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key| key != self.key);
    }
}

/// Ballista's way of running tasks, with our worker in them, and listed while they run.
pub(super) struct Listing {
    engine: DefaultExecutionEngine,
    running: Running,
    worker: Arc<Slots>,
}

impl Listing {
    pub(super) fn new(running: Running, worker: Arc<Slots>) -> Self {
        Self { engine: DefaultExecutionEngine::new(), running, worker }
    }
}

impl ExecutionEngine for Listing {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let key = TaskKey { job_id: job_id.clone(), stage_id, task_id };
        let stop = Arc::new(AtomicBool::new(false));
        let plan = with_worker(plan, &self.worker, &stop)?;
        let stage =
            self.engine.create_query_stage_exec(job_id, stage_id, task_id, partitions, plan, work_dir, config)?;
        Ok(Arc::new(Stage { stage, key, stop, running: self.running.clone() }))
    }
}

#[derive(Debug)]
struct Stage {
    stage: Arc<dyn QueryStageExecutor>,
    key: TaskKey,
    stop: Arc<AtomicBool>,
    running: Running,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stage.fmt(f)
    }
}

#[tonic::async_trait]
impl QueryStageExecutor for Stage {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let _listed = self.running.list(&self.key, &self.stop);
        self.stage.execute_query_stage(task_id, context).await
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.stage.collect_plan_metrics()
    }
}
