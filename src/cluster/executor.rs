//! An executor: Ballista's, in this process, with our tasks.
//!
//! It is put together from Ballista's parts, since its ready-made one cannot be told to end a task when it comes for
//! tasks itself.

use std::fs;
use std::future::pending;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::ids::new_instance_id;
use ballista_core::serde::protobuf::executor_grpc_server::ExecutorGrpcServer;
use ballista_core::serde::protobuf::job_status::Status as State;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorStoppedParams, GetJobStatusParams,
};
use ballista_core::serde::scheduler::ExecutorSpecification;
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_core::utils::{
    GrpcClientConfig, GrpcServerConfig, create_grpc_client_endpoint, create_grpc_server, create_grpc_server_incoming,
    default_config_producer,
};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::sync::Notify;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};

use super::control::Control;
use super::link::Link;
use super::node::Codec;
use super::running::{Listing, Running};
use super::worker::Slots;
use super::{MESSAGE_SIZE, stop};
use crate::error::{Error, Result};
use crate::fleet::Worker;

/// Where an executor is and what it may use. The names are Ballista's where it has one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The local address that others come to.
    pub bind_host: String,
    /// The port that what tasks came to is fetched from.
    pub bind_port: u16,
    /// The port that the scheduler ends tasks at.
    pub bind_grpc_port: u16,
    /// The name that the scheduler knows this machine by, if not by the address that the executor calls from.
    pub external_host: Option<String>,
    /// The machine of the scheduler.
    pub scheduler_host: String,
    /// Its port.
    pub scheduler_port: u16,
    /// The tasks that may be at work at once.
    pub vcores: usize,
    /// The folder for what tasks came to, until it is fetched. It is this executor's own, and goes with it.
    pub work_dir: PathBuf,
    /// How often an idle executor asks for tasks, at least once a second.
    pub poll_interval: Duration,
    /// How long tasks may take to stop when the executor is ended.
    pub grace: Duration,
}

/// How often an executor asks whether somebody still waits for its tasks. An executor that was taken for dead and a
/// scheduler that began anew find each other's tasks in this way.
const REVIEW: Duration = Duration::from_secs(2);

/// How long the scheduler may take to hear that an executor ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// Runs an executor until the process is asked to end. It waits for a scheduler that is not there, and comes back to
/// one that was away. Tasks that are at work at the end are told to stop, and the scheduler is told, which cancels
/// their jobs.
pub fn serve(settings: &Settings, worker: Arc<dyn Worker>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("trommel-cluster")
        .enable_all()
        .build()
        .map_err(|error| Error::io("threads", error))?;
    let _goes_at_the_end = WorkDir::new(&settings.work_dir)?;
    let outcome = runtime.block_on(serve_in(settings, worker));
    // A task that does not stop does not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn serve_in(settings: &Settings, worker: Arc<dyn Worker>) -> Result<()> {
    let worker = Arc::new(Slots::new(worker, settings.vcores));
    let running = Running::default();
    let executor = Arc::new(executor(settings, running.clone(), worker.clone())?);
    let id = executor.metadata.id.clone();

    let results = listen(settings, settings.bind_port, "--bind-port")?;
    let results = create_grpc_server(&GrpcServerConfig::default())
        .add_service(FlightServiceServer::new(BallistaFlightService::new(executor.work_dir.clone())))
        .serve_with_incoming(results);
    let control = listen(settings, settings.bind_grpc_port, "--bind-grpc-port")?;
    let control = create_grpc_server(&GrpcServerConfig::default())
        .add_service(ExecutorGrpcServer::new(Control { executor: executor.clone(), running: running.clone() }))
        .serve_with_incoming(control);

    let place = format!("ballista://{}:{}", settings.scheduler_host, settings.scheduler_port);
    let endpoint = endpoint(settings)?;
    // Asking for tasks has a line of its own, since it is slowed down when it breaks.
    let scheduler = SchedulerGrpcClient::new(Link::new(endpoint.connect_lazy(), &place))
        .max_encoding_message_size(MESSAGE_SIZE)
        .max_decoding_message_size(MESSAGE_SIZE);
    let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> =
        BallistaCodec::new(Arc::new(BallistaLogicalExtensionCodec::default()), Arc::new(Codec::default()));
    let wake = Arc::new(Notify::new());
    let asking = poll_loop(scheduler, executor.clone(), codec, Some(wake.clone()), None, ExecutorHealth::new());
    let mut asking = tokio::spawn(asking);
    let mut line = SchedulerGrpcClient::new(endpoint.connect_lazy());
    tracing::info!("an executor with {} slots, for the scheduler at {place}", settings.vcores);

    let outcome = tokio::select! {
        signal = stop::asked() => signal,
        ended = results => Err(Error::io("the port of results", format!("{ended:?}"))),
        ended = control => Err(Error::io("the port of control", format!("{ended:?}"))),
        ended = &mut asking => Err(Error::io("asking for tasks", format!("{ended:?}"))),
        () = tick(settings.poll_interval, &wake) => pending().await,
        () = review(line.clone(), &running, &executor) => pending().await,
    };
    // First, so that it does not register again.
    asking.abort();
    let reason = match &outcome {
        Ok(signal) => (*signal).to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::info!("stopping: {reason}");
    let farewell = line.executor_stopped(ExecutorStoppedParams { executor_id: id, reason });
    if !matches!(tokio::time::timeout(FAREWELL, farewell).await, Ok(Ok(_))) {
        tracing::warn!("{place}: the scheduler could not be told, and will miss this executor");
    }
    running.cancel(&executor, None).await;
    if tokio::time::timeout(settings.grace, worker.idle()).await.is_err() {
        tracing::warn!("tasks are still at work after {} s, and are abandoned", settings.grace.as_secs());
    }
    outcome.map(drop)
}

fn executor(settings: &Settings, running: Running, worker: Arc<Slots>) -> Result<Executor> {
    let vcores = u32::try_from(settings.vcores).map_err(|_| Error::refused("--vcores: too many"))?;
    let metadata = ExecutorRegistration {
        id: new_instance_id(),
        host: settings.external_host.clone(),
        port: settings.bind_port.into(),
        grpc_port: settings.bind_grpc_port.into(),
        specification: Some(ExecutorSpecification::default().with_vcores(vcores).into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    let work_dir = settings.work_dir.to_str().ok_or_else(|| Error::refused("--work-dir: it must be named in UTF-8"))?;
    // Nothing of ours goes through DataFusion's memory or its temporary files.
    let runtime = Arc::new(RuntimeEnvBuilder::new().build().map_err(|error| Error::io("the executor", error))?);
    Ok(Executor::new(
        metadata,
        work_dir,
        Arc::new(move |_: &SessionConfig| Ok(runtime.clone())),
        Arc::new(default_config_producer),
        Arc::default(),
        Arc::new(LoggingMetricsCollector::default()),
        settings.vcores,
        Arc::new(Listing::new(running, worker)),
    ))
}

fn endpoint(settings: &Settings) -> Result<Endpoint> {
    let url = format!("http://{}:{}", settings.scheduler_host, settings.scheduler_port);
    create_grpc_client_endpoint(url.clone(), Some(&GrpcClientConfig::default()))
        .map_err(|error| Error::refused(format!("{url}: {error}; --scheduler-host is the name of a machine")))
}

fn listen(settings: &Settings, port: u16, flag: &str) -> Result<TcpIncoming> {
    let address = address(&settings.bind_host, port)?;
    let incoming = create_grpc_server_incoming(address, &GrpcServerConfig::default());
    incoming.map_err(|error| Error::refused(format!("{address}: {error}; {flag} names another port")))
}

/// The address that a server is to listen at.
pub(super) fn address(host: &str, port: u16) -> Result<SocketAddr> {
    let found = (host, port).to_socket_addrs().map(|mut addresses| addresses.next());
    let wrong = |why: String| Error::refused(format!("{host}: {why}; --bind-host is an address of this machine"));
    found.map_err(|error| wrong(error.to_string()))?.ok_or_else(|| wrong("it has no address".to_owned()))
}

/// Wakes the loop that asks for tasks.
async fn tick(interval: Duration, wake: &Notify) {
    loop {
        tokio::time::sleep(interval).await;
        wake.notify_one();
    }
}

/// Ends the tasks of jobs that are over, in case nobody could say so.
async fn review(mut line: SchedulerGrpcClient<Channel>, running: &Running, executor: &Executor) {
    loop {
        tokio::time::sleep(REVIEW).await;
        for job in running.jobs() {
            let Ok(answer) = line.get_job_status(GetJobStatusParams { job_id: job.to_string() }).await else {
                continue;
            };
            let state = answer.into_inner().status.and_then(|status| status.status);
            if !matches!(state, Some(State::Queued(_) | State::Running(_))) {
                tracing::info!("nobody waits for the job {job} any more; its tasks stop");
                running.cancel(executor, Some(&job)).await;
            }
        }
    }
}

/// The executor's folder, which goes with it.
struct WorkDir<'s>(&'s Path);

impl<'s> WorkDir<'s> {
    fn new(path: &'s Path) -> Result<Self> {
        let failed = |error| Error::io(path.display(), format!("{error}; --work-dir names another folder"));
        fs::create_dir_all(path).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for WorkDir<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.0) {
            tracing::warn!("{}: {error}", self.0.display());
        }
    }
}
