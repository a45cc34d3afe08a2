//! What subcommands have in common: an open database, interruption, and the wait for read models.

use crate::config::Common;
use crate::database::Database;
use crate::rooms::Rooms;
use anyhow::Context as _;
use commands::Principal;
use domain::permissions::{Action, Forbidden};
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use streams::Position;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a subcommand waits for the read models to catch up.
pub(super) const READ_MODELS_TIMEOUT: Duration = Duration::from_secs(600);

/// The timeout for undoing an interrupted start of the private cluster.
const UNDO_TIMEOUT: Duration = Duration::from_secs(10);

/// The exit code of an interrupted program, by the convention of shells.
pub(super) const INTERRUPTED: u8 = 130;

/// Ctrl-C or SIGTERM was received before the subcommand completed.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; what was done before is kept")]
pub(super) struct Interrupted;

/// A run of a subcommand: its settings, and the principal that it runs as. A subcommand that opens a database needs one,
/// and only [`Session::authorise`] makes it.
pub(super) struct Session {
    common: Common,
    principal: Arc<Principal>,
}

impl Session {
    /// Checks that the principal may do what the subcommand does.
    ///
    /// # Errors
    /// [`Forbidden`] if it may not.
    pub(super) fn authorise(common: Common, principal: Arc<Principal>, action: Action) -> Result<Self, Forbidden> {
        principal.check(action)?;
        Ok(Self { common, principal })
    }

    /// The settings of every subcommand.
    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    /// The principal that the subcommand runs as.
    pub(super) fn principal(&self) -> Arc<Principal> {
        self.principal.clone()
    }
}

/// Opens the database and the rooms, runs `work` until it completes or is interrupted, and closes both in any case: a private
/// cluster that no other process uses is stopped.
pub(super) async fn with_rooms<T>(
    session: &Session,
    work: impl AsyncFnOnce(&mut Rooms) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    with_workers(session, async |rooms: &mut Rooms| interruptible(work(rooms)).await).await
}

/// Runs `work` until it completes or is interrupted.
pub(super) async fn interruptible<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        () = stop_signal() => Err(Interrupted.into()),
        worked = work => worked,
    }
}

/// Opens a database. If that is interrupted while a private cluster is started, the cluster is stopped again, unless that
/// takes too long, as when another process holds its lock.
pub(super) async fn opened(opening: impl Future<Output = anyhow::Result<Database>>) -> anyhow::Result<Database> {
    let mut opening = std::pin::pin!(opening);
    tokio::select! {
        opened = &mut opening => return opened,
        () = stop_signal() => {}
    }
    if let Ok(Ok(database)) = tokio::time::timeout(UNDO_TIMEOUT, opening).await {
        database.close().await?;
    }
    Err(Interrupted.into())
}

/// As [`with_rooms`], for work that handles [`stop_signal`] itself.
pub(super) async fn with_workers<T>(
    session: &Session,
    work: impl AsyncFnOnce(&mut Rooms) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let database = opened(Database::open(&session.common)).await?;
    let worked = match Rooms::open(&database, session.principal()).await {
        Ok(mut rooms) => {
            let worked = work(&mut rooms).await;
            worked.and_then_close(rooms.close().await)
        }
        Err(error) => Err(error),
    };
    worked.and_then_close(database.close().await)
}

pub(super) trait AndThenClose<T> {
    /// The error of the work if there is one, else the error of closing.
    fn and_then_close(self, closed: anyhow::Result<()>) -> anyhow::Result<T>;
}

impl<T> AndThenClose<T> for anyhow::Result<T> {
    fn and_then_close(self, closed: anyhow::Result<()>) -> anyhow::Result<T> {
        let value = self?;
        closed.map(|()| value)
    }
}

/// Cancelled on the first Ctrl-C or SIGTERM.
static STOP: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Completes on Ctrl-C or SIGTERM, including one received before the call.
pub(super) async fn stop_signal() {
    STOP.cancelled().await;
}

/// The signals that ask the program to stop.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Receives Ctrl-C and SIGTERM from now on, so that neither ends the program without a clean-up: it is called before the
    /// program makes anything that has to be cleaned up.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the first of them, and completes [`stop_signal`].
    pub(super) async fn cancel(mut self) {
        self.received().await;
        STOP.cancel();
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits until the read models have everything that is in the log.
pub(super) async fn wait_for_read_models(rooms: &Rooms) -> anyhow::Result<Position> {
    rooms
        .wait_for_read_models(READ_MODELS_TIMEOUT)
        .await
        .context("the events are in the log, but the read models are behind")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that started to listen only in a task would be ended by the signal here.
    #[tokio::test]
    async fn a_signal_is_received_from_the_moment_of_listening() {
        let mut signals = StopSignals::listen().unwrap();
        testkit::send_signal(std::process::id(), rustix::process::Signal::TERM);
        signals.received().await;
    }
}
