//! What a scheduler asks of an executor, beside giving it tasks when it comes for them.

use std::sync::Arc;

use ballista_core::serde::protobuf::executor_grpc_server::ExecutorGrpc;
use ballista_core::serde::protobuf::{
    CancelTasksParams, CancelTasksResult, LaunchMultiTaskParams, LaunchMultiTaskResult, LaunchTaskParams,
    LaunchTaskResult, RemoveJobDataParams, RemoveJobDataResult, StopExecutorParams, StopExecutorResult,
};
use ballista_executor::executor::Executor;
use tonic::{Request, Response, Status};

use super::running::Running;

/// Ends tasks. Ballista's own service for this comes only with executors that are sent their tasks; without it,
/// tasks of cancelled jobs would run to their end.
pub(super) struct Control {
    pub(super) executor: Arc<Executor>,
    pub(super) running: Running,
}

const COMES_FOR_TASKS: &str = "this executor comes for its tasks; the scheduler must be one with pull scheduling";

#[tonic::async_trait]
impl ExecutorGrpc for Control {
    async fn launch_task(&self, _: Request<LaunchTaskParams>) -> Result<Response<LaunchTaskResult>, Status> {
        Err(Status::unimplemented(COMES_FOR_TASKS))
    }

    async fn launch_multi_task(
        &self,
        _: Request<LaunchMultiTaskParams>,
    ) -> Result<Response<LaunchMultiTaskResult>, Status> {
        Err(Status::unimplemented(COMES_FOR_TASKS))
    }

    /// A scheduler says so to an executor that it has given up. Its tasks are nobody's any more, but it can have
    /// others: it goes on asking for them.
    async fn stop_executor(
        &self,
        request: Request<StopExecutorParams>,
    ) -> Result<Response<StopExecutorResult>, Status> {
        tracing::warn!("the scheduler has given this executor up: {}", request.into_inner().reason);
        self.running.cancel(&self.executor, None).await;
        Ok(Response::new(StopExecutorResult {}))
    }

    async fn cancel_tasks(&self, request: Request<CancelTasksParams>) -> Result<Response<CancelTasksResult>, Status> {
        for task in request.into_inner().task_infos {
            let cancelled =
                self.executor.cancel_task(task.job_id.into(), task.stage_id as usize, task.task_id as usize).await;
            cancelled.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(Response::new(CancelTasksResult { cancelled: true }))
    }

    async fn remove_job_data(&self, _: Request<RemoveJobDataParams>) -> Result<Response<RemoveJobDataResult>, Status> {
        Err(Status::unimplemented(COMES_FOR_TASKS))
    }
}
