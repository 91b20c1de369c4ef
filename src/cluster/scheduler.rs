//! A scheduler: Ballista's, in this process, with its recovery switched off and a guard in its place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::config::TaskSchedulingPolicy;
use ballista_scheduler::cluster::{BallistaCluster, ClusterStateEvent};
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::StreamExt;
use tokio::net::{TcpListener, TcpSocket};

use super::executor::address;
use super::node::Codec;
use super::{MESSAGE_SIZE, stop};
use crate::error::{Error, Result};

/// Where a scheduler is, and how patient. The names are Ballista's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The local address that clients and executors come to.
    pub bind_host: String,
    /// The port for all of them, and for `/healthz` and `/readyz`.
    pub bind_port: u16,
    /// The name that others know this machine by.
    pub external_host: String,
    /// How long an executor may be silent before it counts as lost, and jobs may wait when there is none. Executors
    /// come by every five seconds when they are busy.
    pub executor_timeout: Duration,
}

type Scheduler = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// How long running jobs may take to end when the scheduler does.
const GRACE: Duration = Duration::from_secs(3);

/// Runs a scheduler until the process is asked to end; running jobs are cancelled then. It keeps nothing on disk: one
/// that begins anew knows its executors again within a second, and no jobs.
pub fn serve(settings: &Settings) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("trommel-cluster")
        .enable_all()
        .build()
        .map_err(|error| Error::io("threads", error))?;
    let outcome = runtime.block_on(serve_in(settings));
    runtime.shutdown_background();
    outcome
}

async fn serve_in(settings: &Settings) -> Result<()> {
    let address = address(&settings.bind_host, settings.bind_port)?;
    let listener = listen(address)
        .map_err(|error| Error::refused(format!("{address}: {error}; --bind-port names another port")))?;
    let failed = |error: ballista_core::error::BallistaError| Error::io("the scheduler", error);
    let config = Arc::new(config(settings));
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
    let scheduler: Scheduler = create_scheduler(cluster, config).await.map_err(failed)?;
    tracing::info!("a scheduler at {address}");
    let outcome = tokio::select! {
        signal = stop::asked() => signal,
        ended = start_grpc_service_with_listener(listener, scheduler.clone()) => {
            Err(Error::io(address, format!("{ended:?}")))
        }
        guarded = guard(&scheduler, settings.executor_timeout) => guarded.map(|()| "no more events").map_err(failed),
    };
    if let Ok(signal) = &outcome {
        tracing::info!("stopping: {signal}");
        let end = Instant::now() + GRACE;
        cancel_all(&scheduler).await;
        while scheduler.running_job_number() > 0 && Instant::now() < end {
            tokio::time::sleep(GRACE / 100).await;
        }
        // The executors are told in the background.
        tokio::time::sleep(GRACE / 10).await;
    }
    outcome.map(drop)
}

/// Connections take over what is set for the listener. Without this, answers wait for the network: 1,000 empty tasks
/// on two executors took 30 s, and with it 3 s.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

fn config(settings: &Settings) -> SchedulerConfig {
    let timeout = settings.executor_timeout.as_secs().max(1);
    SchedulerConfig {
        bind_host: settings.bind_host.clone(),
        bind_port: settings.bind_port,
        external_host: settings.external_host.clone(),
        // Executors come for tasks. Sending them had trouble with slots of cancelled jobs (datafusion-ballista#2418).
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        // Nothing is tried twice: whoever submitted a job knows better what is left to do.
        task_max_failures: 1,
        stage_max_failures: 1,
        executor_timeout_seconds: timeout,
        expire_dead_executor_interval_seconds: (timeout / 4).clamp(1, 5),
        no_executors_grace_period_seconds: 0,
        // Clients fetch results from here and need not reach the executors.
        enable_embedded_flight_proxy: true,
        // Clients fetch results at once; plans of jobs that are over would fill the memory.
        finished_job_state_clean_up_interval_seconds: 300,
        grpc_server_max_decoding_message_size: MESSAGE_SIZE as u32,
        grpc_server_max_encoding_message_size: MESSAGE_SIZE as u32,
        grpc_client_max_message_size: MESSAGE_SIZE as u32,
        override_physical_codec: Some(Arc::new(Codec::default())),
        ..SchedulerConfig::default()
    }
}

/// Cancels all running jobs when an executor is lost, so that whoever waits for them hears of it, and when there is
/// no executor for too long.
///
/// Ballista would give the tasks to another executor, and wait for ever for one. Which jobs had tasks or results on
/// the lost one it does not tell; what is done of the others is found in shared storage as well.
async fn guard(scheduler: &Scheduler, patience: Duration) -> ballista_core::error::Result<()> {
    let mut events = scheduler.cluster_state_events().await?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut waiting: Option<Instant> = None;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(ClusterStateEvent::RegisteredExecutor { executor_id }) => {
                    let known = scheduler.state.executor_manager.get_executor_metadata(&executor_id).await;
                    let place = known.map_or(String::new(), |executor| format!(" at {}:{}", executor.host, executor.port));
                    tracing::info!("the executor {executor_id}{place} has come");
                }
                Some(ClusterStateEvent::RemovedExecutor { executor_id }) => {
                    let n_jobs = cancel_all(scheduler).await;
                    tracing::warn!("the executor {executor_id} has gone; jobs cancelled: {n_jobs}");
                }
                None => return Ok(()),
            },
            _ = second.tick() => {
                if scheduler.is_ready() || scheduler.running_job_number() == 0 {
                    waiting = None;
                } else if waiting.get_or_insert_with(Instant::now).elapsed() > patience {
                    let n_jobs = cancel_all(scheduler).await;
                    tracing::warn!("there is no executor; jobs cancelled: {n_jobs}");
                    waiting = None;
                }
            }
        }
    }
}

/// Cancels all jobs that run, and returns how many those are.
async fn cancel_all(scheduler: &Scheduler) -> usize {
    let mut jobs: Vec<_> = scheduler.state.task_manager.get_running_job_cache().keys().cloned().collect();
    jobs.sort();
    for job in &jobs {
        if let Err(error) = scheduler.cancel_job(job.clone()).await {
            tracing::warn!("the job {job} cannot be cancelled: {error}");
        }
    }
    jobs.len()
}
