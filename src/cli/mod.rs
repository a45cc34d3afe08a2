//! The subcommands, one file each. Data goes to standard output, all else to standard error.

mod archive;
mod demo;
mod import;
mod log;
mod migrate;
mod output;
mod prices;
mod projections;
mod relay;
mod replay;
mod report;
mod schema;
mod serve;
mod worker;

use crate::config::Common;
use crate::database::Database;
use crate::rooms::Rooms;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a subcommand waits for the read models to catch up.
const SETTLE_PATIENCE: Duration = Duration::from_secs(600);

/// The system of record for fleets of AI agents.
///
/// Every agent, task, call, cost, budget and memory is an event in one PostgreSQL log. Apex folds it into read models
/// and answers over GraphQL. Without a database of yours it starts a private one by itself.
#[derive(Debug, Parser)]
#[command(name = "apex", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: API, projections, policies, and the relay if Kafka is configured
    Serve(serve::Serve),
    /// Start with the sample imported and a simulated fleet at work
    Demo(demo::Demo),
    /// Import files of calls
    Import(import::Import),
    /// Report usage and cost
    Report(report::ReportCommand),
    /// Print the log, or what an aggregate was like at an earlier time
    Replay(replay::Replay),
    /// See to the price book
    Prices(prices::Prices),
    /// See to the read models
    Projections(projections::Projections),
    /// Publish the log to Kafka
    Relay(relay::Relay),
    /// Feed read models, from the log or from Kafka
    Worker(worker::WorkerCommand),
    /// Check the log itself, and archive old parts of it
    Log(log::LogCommand),
    /// Bring the database's schema up to date
    Migrate(migrate::Migrate),
    /// Print the GraphQL schema, or write the JSON Schemas of all events
    Schema(schema::Schema),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// The subcommand's, for people to read.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let telemetry = crate::telemetry::start(&self.common)?;
        let signals = tokio::spawn(cancel_on_signal());
        let done = match self.command {
            Command::Serve(command) => command.run(&self.common).await,
            Command::Demo(command) => command.run(&self.common).await,
            Command::Import(command) => command.run(&self.common).await,
            Command::Report(command) => command.run(&self.common).await,
            Command::Replay(command) => command.run(&self.common).await,
            Command::Prices(command) => command.run(&self.common).await,
            Command::Projections(command) => command.run(&self.common).await,
            Command::Relay(command) => command.run(&self.common).await,
            Command::Worker(command) => command.run(&self.common).await,
            Command::Log(command) => command.run(&self.common).await,
            Command::Migrate(command) => command.run(&self.common).await,
            Command::Schema(command) => command.run(),
        };
        signals.abort();
        telemetry.stop();
        match done {
            Err(error) if error.is::<Interrupted>() => {
                eprintln!("{error}");
                Ok(ExitCode::from(INTERRUPTED))
            }
            done => done,
        }
    }
}

/// How long an interrupted start of the private cluster may take to be undone.
const UNDO_PATIENCE: Duration = Duration::from_secs(10);

/// The exit code of a program that Ctrl-C ended, by the shells' convention.
const INTERRUPTED: u8 = 130;

/// Ctrl-C or SIGTERM came before the work was done.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; what was done until then is kept")]
struct Interrupted;

/// Opens the database and the rooms, does something with them until that is done or interrupted, and closes both whatever
/// came of it: a private cluster that nobody else uses is stopped.
async fn with_rooms<T>(common: &Common, work: impl AsyncFnOnce(&mut Rooms) -> anyhow::Result<T>) -> anyhow::Result<T> {
    with_workers(common, async |rooms: &mut Rooms| interruptible(work(rooms)).await).await
}

/// Does something unless it is interrupted.
async fn interruptible<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        () = stop_signal() => Err(Interrupted.into()),
        worked = work => worked,
    }
}

/// Opens a database. A private cluster that is being started when the interruption comes is stopped again, unless it takes
/// too long, as where another process holds its lock.
async fn opened(opening: impl Future<Output = anyhow::Result<Database>>) -> anyhow::Result<Database> {
    let mut opening = std::pin::pin!(opening);
    tokio::select! {
        opened = &mut opening => return opened,
        () = stop_signal() => {}
    }
    if let Ok(Ok(database)) = tokio::time::timeout(UNDO_PATIENCE, opening).await {
        database.close().await?;
    }
    Err(Interrupted.into())
}

/// The same for work that sees to [`stop_signal`] itself.
async fn with_workers<T>(
    common: &Common,
    work: impl AsyncFnOnce(&mut Rooms) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let database = opened(Database::open(common)).await?;
    let worked = match Rooms::open(&database, common.tenant.clone()).await {
        Ok(mut rooms) => {
            let worked = work(&mut rooms).await;
            worked.and_then_close(rooms.close().await)
        }
        Err(error) => Err(error),
    };
    worked.and_then_close(database.close().await)
}

trait AndThenClose<T> {
    /// The work's error if there is one, else the closing's.
    fn and_then_close(self, closed: anyhow::Result<()>) -> anyhow::Result<T>;
}

impl<T> AndThenClose<T> for anyhow::Result<T> {
    fn and_then_close(self, closed: anyhow::Result<()>) -> anyhow::Result<T> {
        let value = self?;
        closed.map(|()| value)
    }
}

/// Cancelled on the first Ctrl-C or SIGTERM. One for all who wait: whoever asks later learns of it, too.
static STOP: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Completes on Ctrl-C or SIGTERM, also on one that came before.
async fn stop_signal() {
    STOP.cancelled().await;
}

/// Waits for Ctrl-C or SIGTERM from the start of the program: neither ends it before it has cleaned up.
async fn cancel_on_signal() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
    STOP.cancel();
}
