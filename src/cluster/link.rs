//! The line from an executor to its scheduler, which says when it breaks and when it is back.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::{Channel, Error};

/// A channel for Ballista's loop that asks for tasks. That loop takes no breath when the scheduler is gone and warns
/// twenty times a second; here it is slowed down, and each thing is said once.
#[derive(Clone)]
pub(super) struct Link {
    channel: Channel,
    state: Arc<Mutex<State>>,
    place: Arc<str>,
}

/// How long to wait after a failure.
const BREATH: Duration = Duration::from_secs(1);

/// What was last said about the line.
#[derive(PartialEq)]
enum State {
    New,
    Up,
    Down(String),
}

impl Link {
    pub(super) fn new(channel: Channel, place: &str) -> Self {
        Self { channel, state: Arc::new(Mutex::new(State::New)), place: place.into() }
    }

    /// Notes how a call went, and says so if it went otherwise than the one before.
    fn note(&self, now: State) {
        let mut before = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *before == now {
            return;
        }
        match &now {
            State::Up => tracing::info!("{}: connected", self.place),
            State::Down(why) => tracing::warn!("{}: {why}; trying again every second", self.place),
            State::New => {}
        }
        *before = now;
    }
}

impl Service<http::Request<Body>> for Link {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::poll_ready(&mut self.channel, context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let call = Service::call(&mut self.channel, request);
        let link = self.clone();
        Box::pin(async move {
            let answer = call.await;
            let failure = match &answer {
                Ok(response) => refusal(response),
                Err(error) => Some(format!("the scheduler does not answer: {}", deepest(error))),
            };
            match failure {
                None => link.note(State::Up),
                Some(why) => {
                    link.note(State::Down(why));
                    tokio::time::sleep(BREATH).await;
                }
            }
            answer
        })
    }
}

/// Why a scheduler does not want this executor, if it does not.
fn refusal(response: &http::Response<Body>) -> Option<String> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let code = header("grpc-status").filter(|code| *code != "0")?;
    // Written with %20 for spaces.
    let message = header("grpc-message").unwrap_or("no reason given").replace("%20", " ");
    Some(format!("the scheduler does not take this executor (status {code}): {message}"))
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
