//! Submitting a wave of tasks to a cluster, and waiting for it.
//!
//! This speaks to the scheduler itself and not through Ballista's client, which has no time limits, cannot be told
//! to stop, and opens a connection for each row of a result.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use ballista_core::client::BallistaClient;
use ballista_core::config::BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK;
use ballista_core::error::BallistaError;
use ballista_core::ids::new_instance_id;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::job_status::Status as State;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, CreateUpdateSessionParams, ExecuteQueryParams, GetJobStatusParams,
    KeyValuePair, PartitionLocation, RemoveSessionParams, execute_query_result,
};
use ballista_core::version;
use datafusion::common::{DataFusionError, internal_datafusion_err};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::MESSAGE_SIZE;
use super::node::{self, Codec};
use crate::error::{Error, Result, Trouble};
use crate::fleet::{Ended, Fleet, Lost, Wave};
use crate::store::runtime;

/// A connection to a scheduler.
pub struct Cluster {
    place: String,
    host: String,
    port: u16,
    scheduler: SchedulerGrpcClient<Channel>,
    session: String,
    patience: Duration,
}

/// The port of a scheduler, unless one is named.
const PORT: u16 = 50050;

/// How long a scheduler may take to be there at first.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a scheduler may not answer, unless [`Cluster::with_patience`] says otherwise. A network that stumbles is
/// back by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer may take. Longer waits are several attempts.
const ANSWER: Duration = Duration::from_secs(5);

/// How often somebody is asked whether to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// How often the scheduler is asked for the state of a job, at most and at least: a short wave is not to wait long
/// for its end, and a long one not to be a burden.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// The rows of a result that are fetched at once.
const FETCHES: usize = 16;

impl Cluster {
    /// Connects to the scheduler at `ballista://host:50050` or `host:50050`. Waits some ten seconds for one that is
    /// about to begin.
    pub fn connect(address: &str) -> Result<Self> {
        let (host, port) = parse(address)?;
        let place = format!("ballista://{host}:{port}");
        let unreachable = |message: String| Error::Cluster {
            place: place.clone(),
            trouble: Trouble::Unreachable,
            message: format!(
                "no scheduler answers ({message}); start one with `trommel scheduler`, or name the host and port of \
                 one, like ballista://host:{PORT}"
            ),
        };
        let endpoint = Endpoint::from_shared(format!("http://{host}:{port}")).map_err(|error| {
            Error::refused(format!("{address}: {error}; the address of a scheduler is like ballista://host:{PORT}"))
        })?;
        let endpoint = endpoint.connect_timeout(ANSWER).tcp_nodelay(true);
        // A runtime must be at hand for a channel to be made.
        let channel = runtime().block_on(async { endpoint.connect_lazy() });
        let scheduler = SchedulerGrpcClient::new(channel)
            .max_encoding_message_size(MESSAGE_SIZE)
            .max_decoding_message_size(MESSAGE_SIZE);
        let session = new_instance_id();
        let cluster = Self { place: place.clone(), host, port, scheduler, session, patience: PATIENCE };
        let hello = || async {
            let params = CreateUpdateSessionParams { session_id: cluster.session.clone(), settings: settings() };
            within(ANSWER, cluster.scheduler.clone().create_update_session(params)).await
        };
        runtime().block_on(async {
            let begin = Instant::now();
            loop {
                match hello().await {
                    Ok(_) => return Ok(()),
                    Err(status) if !is_passing(&status) => {
                        return Err(cluster.trouble(
                            Trouble::Refused,
                            format!("this is no scheduler of a kind that is known here: {}", said(&status)),
                        ));
                    }
                    Err(status) if begin.elapsed() + ANSWER / 10 > CONNECT => return Err(unreachable(said(&status))),
                    Err(_) => tokio::time::sleep(ANSWER / 10).await,
                }
            }
        })?;
        Ok(cluster)
    }

    /// Sets how long the scheduler may not answer before a wave counts as lost.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs a wave and returns what each of its tasks came to, in the order of `wave.tasks`. If nothing fails, each
    /// task is run once.
    ///
    /// `stop` is asked some twenty times a second; once it is true, the job is cancelled and the error is
    /// [`Error::Interrupted`]. When an executor is lost the job is cancelled by the scheduler, and the error is
    /// [`Error::Cluster`]; so it is when the scheduler does not answer for as long as there is patience. Which tasks
    /// were done by then is not known here.
    pub fn run(&self, wave: &Wave<'_>, stop: &dyn Fn() -> bool) -> Result<Vec<Ended>> {
        if wave.tasks.is_empty() {
            return Ok(Vec::new());
        }
        let plan = node::plan(wave)
            .and_then(|plan| PhysicalPlanNode::try_from_physical_plan(plan, &Codec::default()))
            .and_then(|plan| {
                let mut bytes = Vec::new();
                plan.try_encode(&mut bytes).map(|()| bytes)
            })
            .map_err(|error| self.trouble(Trouble::Refused, format!("the wave {}: {error}", wave.name)))?;
        runtime().block_on(self.run_plan(wave, plan, stop))
    }

    async fn run_plan(&self, wave: &Wave<'_>, plan: Vec<u8>, stop: &dyn Fn() -> bool) -> Result<Vec<Ended>> {
        // Not given up half-way: a job that nobody knows the name of would run to its end.
        let job = self.submit(wave, plan).await?;
        let outcome = match until(stop, self.wait(&job)).await {
            Ok(locations) => until(stop, self.fetch(locations)).await,
            Err(error) => Err(error),
        };
        // Whatever happened, nobody waits for the job any more.
        let mut scheduler = self.scheduler.clone();
        let closed = match &outcome {
            Ok(_) => {
                let params = CleanJobDataParams { job_id: job, ..Default::default() };
                within(ANSWER, scheduler.clean_job_data(params)).await.map(drop)
            }
            Err(_) => within(ANSWER, scheduler.cancel_job(CancelJobParams { job_id: job })).await.map(drop),
        };
        if let Err(status) = closed {
            tracing::debug!("{}: {}", self.place, said(&status));
        }
        self.in_order(wave, outcome?)
    }

    /// Submits a job and returns its name.
    async fn submit(&self, wave: &Wave<'_>, plan: Vec<u8>) -> Result<String> {
        let mut settings = settings();
        settings.push(setting("ballista.job.name", wave.name));
        let mut request = Request::new(ExecuteQueryParams {
            session_id: self.session.clone(),
            settings,
            operation_id: new_instance_id(),
            query: Some(Query::PhysicalPlan(plan)),
        });
        version::insert_version_header(request.metadata_mut());
        // Not repeated when there is no answer, since it may have been heard.
        let answer = within(self.patience, self.scheduler.clone().execute_query(request)).await.map_err(|status| {
            let trouble = if is_passing(&status) { Trouble::Unreachable } else { Trouble::Refused };
            self.trouble(trouble, format!("the scheduler did not take the wave {}: {}", wave.name, said(&status)))
        })?;
        match answer.into_inner().result {
            Some(execute_query_result::Result::Success(job)) => Ok(job.job_id),
            Some(execute_query_result::Result::Failure(failure)) => Err(self.trouble(
                Trouble::Refused,
                format!("the scheduler does not understand the wave {}: {failure:?}", wave.name),
            )),
            None => Err(self.trouble(Trouble::Refused, "the scheduler took a wave without a word".to_owned())),
        }
    }

    /// Waits for the end of a job and returns where its rows are.
    async fn wait(&self, job: &str) -> Result<Vec<PartitionLocation>> {
        let mut heard = Instant::now();
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_LOOK);
            let params = GetJobStatusParams { job_id: job.to_owned() };
            let state = match within(ANSWER, self.scheduler.clone().get_job_status(params)).await {
                Ok(answer) => answer.into_inner().status.and_then(|status| status.status),
                Err(status) if heard.elapsed() < self.patience => {
                    tracing::debug!("{}: {}", self.place, said(&status));
                    continue;
                }
                Err(status) => {
                    let message = format!("the scheduler is gone or stuck: {}", said(&status));
                    return Err(self.trouble(Trouble::Unreachable, message));
                }
            };
            match state {
                Some(State::Queued(_) | State::Running(_)) => heard = Instant::now(),
                Some(State::Successful(job)) => return Ok(job.partition_location),
                Some(State::Failed(job)) if job.error == "Cancelled" => {
                    let message = "the job was cancelled: an executor was lost, or there was none for too long";
                    return Err(self.trouble(Trouble::Lost, message.to_owned()));
                }
                Some(State::Failed(job)) => return Err(self.trouble(Trouble::Lost, job.error)),
                // At first a job may not be known yet; later, it is not known any more.
                None if heard.elapsed() < ANSWER => {}
                None => {
                    let message = "the scheduler does not know the job; it has begun anew";
                    return Err(self.trouble(Trouble::Lost, message.to_owned()));
                }
            }
        }
    }

    /// Fetches the rows of a result, through the scheduler: that is the one address a client must be able to reach.
    async fn fetch(&self, locations: Vec<PartitionLocation>) -> Result<Vec<Ended>> {
        let lost = |error: &dyn std::fmt::Display| {
            self.trouble(Trouble::Lost, format!("the tasks ended, but what they came to cannot be fetched: {error}"))
        };
        // One attempt; none at all would be a panic.
        let client = BallistaClient::try_new(&self.host, self.port, MESSAGE_SIZE, false, None, 1, 0, 0, 0);
        let client = tokio::time::timeout(self.patience, client).await.map_err(|late| lost(&late))?;
        let client = client.map_err(|error| lost(&error))?;
        let fetch = |location| tokio::time::timeout(self.patience, fetch_one(client.clone(), location));
        let fetches = locations.into_iter().map(fetch);
        let batches: Vec<Vec<RecordBatch>> = stream::iter(fetches)
            .buffer_unordered(FETCHES)
            .map(|fetched| fetched.map_err(|late| lost(&late))?.map_err(|error| lost(&error)))
            .try_collect()
            .await?;
        let done = batches.iter().flatten().map(node::done).collect::<Result<Vec<_>, _>>();
        Ok(done.map_err(|error| self.trouble(Trouble::Refused, error.to_string()))?.concat())
    }

    /// What was done in the order in which it was asked for; each task must be there, and once.
    fn in_order(&self, wave: &Wave<'_>, mut done: Vec<Ended>) -> Result<Vec<Ended>> {
        done.sort_by_key(|done| done.task);
        let found: Vec<u32> = done.iter().map(|done| done.task).collect();
        let asked: Vec<u32> = wave.tasks.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if found != asked {
            let message =
                format!("{} tasks were asked for and {} came back, or not the same", asked.len(), found.len());
            return Err(self.trouble(Trouble::Lost, message));
        }
        Ok(wave.tasks.iter().filter_map(|task| Some(done[found.binary_search(task).ok()?].clone())).collect())
    }

    fn trouble(&self, trouble: Trouble, message: String) -> Error {
        Error::Cluster { place: self.place.clone(), trouble, message }
    }
}

impl Fleet for Cluster {
    fn run(&self, wave: &Wave<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Ended>, Lost> {
        Self::run(self, wave, &stop).map_err(|error| match error {
            Error::Interrupted => Lost::Stopped,
            Error::Cluster { trouble: Trouble::Refused, .. } => Lost::Refused(error.to_string()),
            error => Lost::Broken(error.to_string()),
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let (mut scheduler, session_id) = (self.scheduler.clone(), self.session.clone());
        // The scheduler forgets a session only when told. If it is not there, there is nothing to forget.
        runtime().spawn(async move { scheduler.remove_session(RemoveSessionParams { session_id }).await });
    }
}

/// Waits for something, unless somebody wants to stop.
async fn until<T>(stop: &dyn Fn() -> bool, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => return outcome,
            () = tokio::time::sleep(GLANCE) => if stop() {
                return Err(Error::Interrupted);
            },
        }
    }
}

/// The answer to a call, if it comes in time.
async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<Response<T>, Status> {
    let late = |_| Status::deadline_exceeded(format!("no answer for {} s", time.as_secs_f32()));
    tokio::time::timeout(time, call).await.map_err(late)?
}

async fn fetch_one(
    mut client: BallistaClient,
    location: PartitionLocation,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let layout = location.layout();
    let executor = location.executor_meta.ok_or_else(|| internal_datafusion_err!("nobody knows where a row is"))?;
    let partition =
        location.partition_id.ok_or_else(|| internal_datafusion_err!("nobody knows which row is meant"))?.into();
    let rows = client
        .fetch_partition_proxied(
            &executor.id,
            &partition,
            location.file_id,
            layout,
            &executor.host,
            executor.port as u16,
            true,
        )
        .await
        .map_err(BallistaError::into_datafusion)?;
    rows.try_collect().await
}

/// The settings of our jobs.
fn settings() -> Vec<KeyValuePair> {
    // By default as many partitions as an executor has slots make one task of Ballista's.
    vec![setting(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1")]
}

fn setting(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair { key: key.to_owned(), value: Some(value.to_owned()) }
}

/// Whether a failure of a call may be gone at the next attempt.
fn is_passing(status: &Status) -> bool {
    // A connection that cannot be made, or breaks, comes as an unknown error with a source.
    let no_line = status.code() == Code::Unknown && std::error::Error::source(status).is_some();
    no_line || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

/// What a call failed with, down to what the system said.
fn said(status: &Status) -> String {
    let mut said = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let deeper = error.to_string();
        if !said.contains(&deeper) {
            said = if said.is_empty() { deeper } else { format!("{said}: {deeper}") };
        }
        source = error.source();
    }
    said
}

/// The host and port of an address.
fn parse(address: &str) -> Result<(String, u16)> {
    let wrong = || Error::refused(format!("{address}: the address of a scheduler is like ballista://host:{PORT}"));
    let rest = address.strip_prefix("ballista://").unwrap_or(address).trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        // An IPv6 address stands in brackets and is full of colons.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (rest, PORT),
    };
    if host.is_empty() || host.contains(['/', '@', '?', ' ']) || (host.contains(':') && !host.starts_with('[')) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let check = |address, host: &str, port| assert_eq!(parse(address).expect(address), (host.to_owned(), port));
        check("ballista://host:1234", "host", 1234);
        check("host:1234", "host", 1234);
        check("ballista://host", "host", 50050);
        check("ballista://10.0.0.1/", "10.0.0.1", 50050);
        check("[::1]:7", "[::1]", 7);
        check("[::1]", "[::1]", 50050);
    }

    #[test]
    fn addresses_of_something_else_are_refused() {
        for address in ["", "ballista://", "http://host:50050", "host:port", "host:70000", "::1"] {
            let error = parse(address).expect_err(address).to_string();
            assert_eq!(error, format!("{address}: the address of a scheduler is like ballista://host:50050"));
        }
    }
}
