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
use std::time::Duration;

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
        telemetry.stop();
        done
    }
}

/// Opens the database and the rooms, does something with them, and closes both whatever came of it.
async fn with_rooms<T>(common: &Common, work: impl AsyncFnOnce(&mut Rooms) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let database = Database::open(common).await?;
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

/// Completes on Ctrl-C or SIGTERM.
async fn stop_signal() {
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
}
