//! `trommel stages`.

use std::process::ExitCode;

use clap::Args;

/// To be written.
#[derive(Args)]
pub struct Stages {}

impl Stages {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
}
