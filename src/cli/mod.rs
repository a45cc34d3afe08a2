//! The subcommands, one file each. Data is written to standard output, and messages to standard error.

#[macro_use]
mod output;

mod archive;
mod database_url;
mod demo;
mod documents;
mod import;
mod jobs;
mod log;
mod migrate;
mod prices;
mod projections;
mod relay;
mod replay;
mod report;
mod schema;
mod serve;
mod session;
mod worker;

use crate::config::Common;
use clap::{CommandFactory as _, Parser, Subcommand};
use session::{INTERRUPTED, Interrupted, cancel_on_signal};
use std::process::ExitCode;
use std::time::Duration;

/// The help text on the exit codes of all subcommands.
const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 failure, or a check that found problems; 2 invalid command line; 3 some records of an import \
were refused; 4 a file of an import contained no calls; 130 interrupted. A closed standard output, as with `| head`, \
is not an error.";

/// The system of record for fleets of AI agents.
///
/// Everything that agents do, spend and remember is recorded as events in one PostgreSQL log. Apex folds the events
/// into read models and serves them over GraphQL. Without a database URL, it starts a private PostgreSQL by itself.
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
    Jobs(jobs::JobsCommand),
    Relay(relay::Relay),
    Worker(worker::WorkerCommand),
    Log(log::LogCommand),
    Database(database_url::DatabaseCommand),
    Migrate(migrate::Migrate),
    Schema(schema::Schema),
    Completions(documents::Completions),
    Man(documents::Man),
}

/// The timeout at exit for threads that cannot be stopped, such as one that reads from a terminal.
const THREADS_TIMEOUT: Duration = Duration::from_millis(500);

/// Parses the command line and runs the subcommand.
///
/// In the library rather than in `main.rs`: the code of an `async fn` is generated where it is polled, and that of a
/// binary is generated when everything else is done.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            say!("error: the async runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run_to_exit());
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    code
}

impl Cli {
    /// Runs the subcommand. If it fails, its error is written to standard error.
    async fn run_to_exit(self) -> ExitCode {
        self.run().await.unwrap_or_else(|error| {
            say!("error: {error:#}");
            ExitCode::FAILURE
        })
    }

    /// Runs the subcommand.
    ///
    /// # Errors
    /// The error of the subcommand, with a message for users.
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
            Command::Jobs(command) => command.run(&self.common).await,
            Command::Relay(command) => command.run(&self.common).await,
            Command::Worker(command) => command.run(&self.common).await,
            Command::Log(command) => command.run(&self.common).await,
            Command::Database(command) => command.run(&self.common).await,
            Command::Migrate(command) => command.run(&self.common).await,
            Command::Schema(command) => command.run(),
            Command::Completions(command) => command.run(Self::command()),
            Command::Man(command) => command.run(Self::command()),
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// The doc comment of a subcommand's struct is its help.
    #[test]
    fn help_has_dimensions_exit_codes_and_gzip() {
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
        for (path, expected) in [
            (&[][..], "Exit codes: 0 success; 1 failure"),
            (&["import"], "4 if a file contained no calls"),
            (&["import"], "Files may be gzipped"),
            (&["report", "cost"], "[possible values: agent, provider, model, task, hour, day, month]"),
            (&["report", "cost"], "Exits with 0, or with 1"),
            (&["log", "verify"], "Exits with 1 if any problem is found"),
            (&["prices", "import"], "gzipped"),
        ] {
            assert!(
                help(path).contains(expected),
                "the help of `apex {}` lacks {expected:?}: {}",
                path.join(" "),
                help(path)
            );
        }
    }
}
