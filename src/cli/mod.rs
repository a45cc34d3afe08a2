//! The subcommands, one file each. Data goes to standard output, all else to standard error.

#[macro_use]
mod output;

mod archive;
mod database_url;
mod demo;
mod documents;
mod import;
mod log;
mod migrate;
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
const READ_MODELS_TIMEOUT: Duration = Duration::from_secs(600);

/// What the exit codes of all subcommands mean.
const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed, or what was checked is not right; 2 the command line is not understood; 3 some records \
of an import were refused; 4 a file of an import held no call; \
130 interrupted. That nobody reads the output any more, as with `| head`, \
is no error.";

/// The system of record for fleets of AI agents.
///
/// Every agent, task, call, cost, budget and memory is an event in one PostgreSQL log. Apex folds it into read models
/// and answers over GraphQL. Without a database of yours it starts a private one by itself.
#[derive(Debug, Parser)]
#[command(name = "apex", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Import(import::Import),
    Report(report::ReportCommand),
    Replay(replay::Replay),
    Prices(prices::Prices),
    Projections(projections::Projections),
    Relay(relay::Relay),
    Worker(worker::WorkerCommand),
    Log(log::LogCommand),
    Database(database_url::DatabaseCommand),
    Migrate(migrate::Migrate),
    Schema(schema::Schema),
    Completions(documents::Completions),
    Man(documents::Man),
}

impl Cli {
    /// Runs the subcommand, and says on standard error why it failed if it did.
    pub async fn run_to_exit(self) -> ExitCode {
        self.run().await.unwrap_or_else(|error| {
            say!("error: {error:#}");
            ExitCode::FAILURE
        })
    }

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
            Command::Database(command) => command.run(&self.common).await,
            Command::Migrate(command) => command.run(&self.common).await,
            Command::Schema(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        };
        signals.abort();
        telemetry.stop();
        match done {
            Err(error) if error.is::<Interrupted>() => {
                say!("{error}");
                Ok(ExitCode::from(INTERRUPTED))
            }
            done => done,
        }
    }
}

/// Writes a line to standard error if it can; it may be closed.
pub fn tell(line: &str) {
    say!("{line}");
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// All subcommands, with their names from the first one on.
    fn all(command: &clap::Command, name: String, found: &mut Vec<(String, clap::Command)>) {
        found.push((name.clone(), command.clone()));
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            all(subcommand, format!("{name} {}", subcommand.get_name()), found);
        }
    }

    #[test]
    fn options_are_under_the_right_heading() {
        let mut commands = Vec::new();
        let mut root = Cli::command();
        root.build();
        all(&root, "apex".to_owned(), &mut commands);
        let of = |command: clap::Command| {
            let names: Vec<_> = command.get_arguments().map(|argument| argument.get_id().to_string()).collect();
            names
        };
        let bare = || clap::Command::new("bare");
        let common = of(<Common as clap::Args>::augment_args(bare()));
        let kafka = of(<crate::config::Kafka as clap::Args>::augment_args(bare()));
        let server = of(<crate::config::Server as clap::Args>::augment_args(bare()));
        for (name, command) in commands {
            for argument in command.get_arguments() {
                let id = argument.get_id().to_string();
                let right = [(&common, "Common options"), (&kafka, "Kafka options"), (&server, "Server options")]
                    .into_iter()
                    .find_map(|(ids, heading)| ids.contains(&id).then_some(heading));
                assert_eq!(argument.get_help_heading(), right, "{id} of `{name}`");
            }
        }
    }

    /// What is written at the struct of a subcommand is what `--help` says.
    #[test]
    fn help_tells_dimensions_exit_codes_and_gzip() {
        let mut root = Cli::command();
        root.build();
        let help = |path: &[&str]| {
            let mut command = root.clone();
            for name in path {
                command = command.find_subcommand(name).unwrap().clone();
            }
            let text = command.render_long_help().to_string();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        for (path, said) in [
            (&[][..], "Exit codes: 0 done; 1 failed"),
            (&["import"], "4 when a file held no call"),
            (&["import"], "Files may be gzipped"),
            (&["report", "cost"], "[possible values: agent, provider, model, task, hour, day, month]"),
            (&["report", "cost"], "Exits with 0, or with 1"),
            (&["log", "verify"], "Exits with 1 if anything is wrong"),
            (&["prices", "import"], "gzipped"),
        ] {
            assert!(help(path).contains(said), "`apex {}` does not say {said:?}: {}", path.join(" "), help(path));
        }
    }
}
