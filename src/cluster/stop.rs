//! Waiting until somebody ends the process.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};

/// Waits for the signals that people and machines end a process with, and returns which it was.
pub(super) async fn asked() -> Result<&'static str> {
    let listen = |kind| signal(kind).map_err(|error| Error::io("signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
