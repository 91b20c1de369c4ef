//! `trommel scheduler`: the scheduler of a cluster.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::run::parse_whole;
use crate::cluster::scheduler::{self, Settings};

/// Runs the scheduler of a cluster.
///
/// Executors come to it for tasks, clients with work. It keeps nothing on disk. When an executor is lost it cancels
/// the jobs that run; the clients submit again what is not done. There is no login: let nobody reach the port who
/// may not run tasks.
///
/// `http://HOST:PORT/healthz` answers while it runs, `/readyz` while it has an executor.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel scheduler
  trommel scheduler --bind-host 10.0.0.1 --executor-timeout-seconds 30

Exit codes: 0 ended by SIGTERM or SIGINT; 1 it could not begin.")]
pub struct Scheduler {
    /// The local address to listen at.
    #[arg(long, value_name = "HOST", default_value = "0.0.0.0", value_parser = NonEmptyStringValueParser::new())]
    bind_host: String,
    /// The port to listen at.
    #[arg(long, value_name = "PORT", default_value_t = 50050)]
    bind_port: u16,
    /// The name that others know this machine by.
    #[arg(long, value_name = "HOST", default_value = "localhost", value_parser = NonEmptyStringValueParser::new())]
    external_host: String,
    /// How long an executor may be silent before it counts as lost. Busy ones come by every 5 seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_whole::<u32>)]
    executor_timeout_seconds: u32,
}

impl Scheduler {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        scheduler::serve(&Settings {
            bind_host: self.bind_host.clone(),
            bind_port: self.bind_port,
            external_host: self.external_host.clone(),
            executor_timeout: Duration::from_secs(self.executor_timeout_seconds.into()),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
