//! The subcommands, one file each. Data is written to standard output, and messages to standard error.

#[macro_use]
mod output;

mod access;
mod accounts;
mod alerts;
mod allocation;
mod archive;
mod arguments;
mod backend;
mod budgets;
mod calls;
mod database_url;
mod demo;
mod documents;
mod export;
mod exports;
mod gateway;
mod holders;
mod import;
mod invoice;
mod jobs;
mod keys;
mod limits;
mod log;
mod login;
mod migrate;
mod point;
mod prices;
mod projections;
mod receipt;
mod relay;
mod replay;
mod report;
mod roles;
mod schedule;
mod scheduled;
mod schema;
mod serve;
mod session;
mod tags;
mod teams;
mod tenants;
mod traces;
mod users;
mod whoami;
mod worker;

use crate::config::Common;
use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use commands::Principal;
use domain::permissions::Action;
use futures::future::LocalBoxFuture;
use session::{INTERRUPTED, Interrupted, Session, StopSignals};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The help text on the exit codes of all subcommands.
const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 failure, or a check that found problems; 2 invalid command line; 3 some records of an import \
were refused, or calls could not be charged again; 4 a file of an import contained no calls; 5 a repricing ended before all \
calls were looked at; 130 interrupted. A closed standard output, as with `| head`, \
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
    #[command(flatten)]
    Authorised(Box<Authorised>),
    #[command(flatten)]
    AtServer(AtServer),
    #[command(flatten)]
    Public(Public),
}

/// Subcommands that open a database. Each declares the action that the principal must be allowed.
#[derive(Debug, Subcommand)]
enum Authorised {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Import(import::Import),
    Report(report::ReportCommand),
    Replay(replay::Replay),
    Export(export::Export),
    Prices(prices::Prices),
    Calls(calls::Calls),
    Receipt(receipt::Receipt),
    Traces(traces::Traces),
    Tags(tags::Tags),
    Allocation(allocation::Allocation),
    Invoice(invoice::Invoice),
    Schedule(schedule::Schedule),
    Alerts(alerts::Alerts),
    Budgets(budgets::Budgets),
    Projections(projections::Projections),
    Jobs(jobs::JobsCommand),
    Tenants(tenants::Tenants),
    Accounts(accounts::Accounts),
    Keys(keys::Keys),
    Limits(limits::Limits),
    Teams(teams::Teams),
    Roles(roles::Roles),
    Access(access::AccessCommand),
    Users(users::Users),
    Whoami(whoami::Whoami),
    Gateway(gateway::GatewayCommand),
    Relay(relay::Relay),
    Worker(worker::WorkerCommand),
    Log(log::LogCommand),
    Database(database_url::DatabaseCommand),
    Migrate(migrate::Migrate),
}

/// Subcommands about the session at a server. They open no database.
#[derive(Debug, Subcommand)]
enum AtServer {
    Login(login::Login),
    Logout(login::Logout),
}

/// Subcommands that print documents of the program, and open nothing.
#[derive(Debug, Subcommand)]
enum Public {
    Schema(schema::Schema),
    Completions(documents::Completions),
    Man(documents::Man),
}

impl Authorised {
    /// The action of the subcommand.
    fn action(&self) -> Action {
        match self {
            Self::Serve(_)
            | Self::Demo(_)
            | Self::Gateway(_)
            | Self::Relay(_)
            | Self::Worker(_)
            | Self::Database(_)
            | Self::Migrate(_) => Action::RunInstallation,
            Self::Import(_) => Action::SendCommand,
            Self::Report(_)
            | Self::Replay(_)
            | Self::Export(_)
            | Self::Receipt(_)
            | Self::Traces(_)
            | Self::Whoami(_) => Action::ReadData,
            Self::Prices(command) => command.action(),
            Self::Calls(command) => command.action(),
            Self::Tags(command) => command.action(),
            Self::Allocation(command) => command.action(),
            Self::Invoice(command) => command.action(),
            Self::Schedule(command) => command.action(),
            Self::Alerts(command) => command.action(),
            Self::Budgets(command) => command.action(),
            Self::Projections(command) => command.action(),
            Self::Jobs(_) => Action::OperateJobs,
            Self::Tenants(command) => command.action(),
            Self::Accounts(command) => command.action(),
            Self::Keys(command) => command.action(),
            Self::Limits(command) => command.action(),
            Self::Teams(command) => command.action(),
            Self::Roles(command) => command.action(),
            Self::Access(command) => command.action(),
            Self::Users(command) => command.action(),
            Self::Log(_) => Action::MaintainLog,
        }
    }

    /// Whether a server does the subcommand where the settings name one. Others work on the database alone.
    fn may_be_at_server(&self) -> bool {
        match self {
            Self::Import(_)
            | Self::Report(_)
            | Self::Replay(_)
            | Self::Export(_)
            | Self::Calls(_)
            | Self::Receipt(_)
            | Self::Traces(_)
            | Self::Tags(_)
            | Self::Allocation(_)
            | Self::Invoice(_)
            | Self::Schedule(_)
            | Self::Alerts(_)
            | Self::Budgets(_)
            | Self::Accounts(_)
            | Self::Keys(_)
            | Self::Teams(_)
            | Self::Roles(_)
            | Self::Access(_)
            | Self::Users(_)
            | Self::Whoami(_) => true,
            Self::Serve(_)
            | Self::Demo(_)
            | Self::Projections(_)
            | Self::Jobs(_)
            | Self::Tenants(_)
            | Self::Limits(_)
            | Self::Gateway(_)
            | Self::Relay(_)
            | Self::Worker(_)
            | Self::Log(_)
            | Self::Database(_)
            | Self::Migrate(_) => false,
            Self::Prices(command) => command.may_be_at_server(),
        }
    }

    async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(
            session.common().remote.url.is_none() || self.may_be_at_server(),
            "this subcommand works on the database, and --url or APEX_URL names a server: run it where the database can be \
             reached, without them"
        );
        self.start(session).await
    }

    fn start(self, session: &Session) -> LocalBoxFuture<'_, anyhow::Result<ExitCode>> {
        match self {
            Self::Serve(command) => on_heap(|| command.run(session)),
            Self::Demo(command) => on_heap(|| command.run(session)),
            Self::Import(command) => on_heap(|| command.run(session)),
            Self::Report(command) => on_heap(|| command.run(session)),
            Self::Replay(command) => on_heap(|| command.run(session)),
            Self::Export(command) => on_heap(|| command.run(session)),
            Self::Prices(command) => on_heap(|| command.run(session)),
            Self::Calls(command) => on_heap(|| command.run(session)),
            Self::Receipt(command) => on_heap(|| command.run(session)),
            Self::Traces(command) => on_heap(|| command.run(session)),
            Self::Tags(command) => on_heap(|| command.run(session)),
            Self::Allocation(command) => on_heap(|| command.run(session)),
            Self::Invoice(command) => on_heap(|| command.run(session)),
            Self::Schedule(command) => on_heap(|| command.run(session)),
            Self::Alerts(command) => on_heap(|| command.run(session)),
            Self::Budgets(command) => on_heap(|| command.run(session)),
            Self::Projections(command) => on_heap(|| command.run(session)),
            Self::Jobs(command) => on_heap(|| command.run(session)),
            Self::Tenants(command) => on_heap(|| command.run(session)),
            Self::Accounts(command) => on_heap(|| command.run(session)),
            Self::Keys(command) => on_heap(|| command.run(session)),
            Self::Limits(command) => on_heap(|| command.run(session)),
            Self::Teams(command) => on_heap(|| command.run(session)),
            Self::Roles(command) => on_heap(|| command.run(session)),
            Self::Access(command) => on_heap(|| command.run(session)),
            Self::Users(command) => on_heap(|| command.run(session)),
            Self::Whoami(command) => on_heap(|| command.run(session)),
            Self::Gateway(command) => on_heap(|| command.run(session)),
            Self::Relay(command) => on_heap(|| command.run(session)),
            Self::Worker(command) => on_heap(|| command.run(session)),
            Self::Log(command) => on_heap(|| command.run(session)),
            Self::Database(command) => on_heap(|| command.run(session)),
            Self::Migrate(command) => on_heap(|| command.run(session)),
        }
    }
}

/// Makes a future on the heap, in a function of its own: in a build without optimization, the futures of all subcommands together
/// take several megabytes of the stack.
fn on_heap<'a, F: Future + 'a>(make: impl FnOnce() -> F) -> LocalBoxFuture<'a, F::Output> {
    Box::pin(make())
}

impl AtServer {
    async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        match self {
            Self::Login(command) => command.run(common).await,
            Self::Logout(command) => command.run(common).await,
        }
    }
}

impl Public {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Schema(command) => command.run(),
            Self::Completions(command) => command.run(Cli::command()),
            Self::Man(command) => command.run(Cli::command()),
        }
    }
}

/// The timeout at exit for threads that cannot be stopped, such as one that reads from a terminal.
const THREADS_TIMEOUT: Duration = Duration::from_millis(500);

/// The size of the stack of each thread, of which only what is used is in memory. A query of 15 levels, each of which is a call
/// inside of another, needs more than the 2 MiB of the default in a build without optimization.
const THREAD_STACK_BYTES: usize = 8 * 1024 * 1024;

/// The size of the stack of the thread that runs the subcommand, which polls the futures of whole subcommands.
const MAIN_STACK_BYTES: usize = 4 * THREAD_STACK_BYTES;

/// Selects ring for the TLS of clients that do not say which library does their cryptography, such as that of the export of
/// traces: there is no default one.
pub fn install_crypto_provider() {
    // Fails if it was selected before.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Parses the command line and runs the subcommand.
///
/// In the library rather than in `main.rs`: the code of an `async fn` is generated where it is polled, and that of a
/// binary is generated when everything else is done.
#[must_use]
pub fn main() -> ExitCode {
    install_crypto_provider();
    let cli = Cli::parse();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.enable_all().thread_stack_size(THREAD_STACK_BYTES).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say!("error: the async runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    // The stack of the main thread is what the system gives it.
    let code = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("apex".to_owned()).stack_size(MAIN_STACK_BYTES);
        match thread.spawn_scoped(scope, || runtime.block_on(cli.run_to_exit())) {
            Ok(main) => main.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                say!("error: the main thread cannot be started: {error}");
                ExitCode::FAILURE
            }
        }
    });
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

    /// Runs the subcommand as the operator of the installation, in the tenant of the settings.
    ///
    /// # Errors
    /// The error of the subcommand, with a message for users.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let principal = Principal::command_line(self.common.tenant.clone());
        self.run_as(principal).await
    }

    /// Runs the subcommand as a principal.
    ///
    /// # Errors
    /// [`Forbidden`](domain::permissions::Forbidden) if the principal may not do it; otherwise the error of the
    /// subcommand, with a message for users.
    async fn run_as(self, principal: Principal) -> anyhow::Result<ExitCode> {
        let Self { common, command } = self;
        // Authorised before anything is started.
        let work: LocalBoxFuture<'static, anyhow::Result<ExitCode>> = match command {
            Command::Public(command) => Box::pin(async move { command.run() }),
            Command::AtServer(command) => {
                let common = common.clone();
                Box::pin(async move { command.run(&common).await })
            }
            Command::Authorised(command) => {
                let session = Session::authorise(common.clone(), Arc::new(principal), command.action())?;
                Box::pin(async move { command.run(&session).await })
            }
        };
        let telemetry = crate::telemetry::start(&common)?;
        let signals = tokio::spawn(StopSignals::listen().context("signals cannot be received")?.cancel());
        let done = work.await;
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

    /// Whether a subcommand starts a server.
    fn starts_server(command: &clap::Command) -> bool {
        command.get_arguments().any(|argument| argument.get_id() == "operator_token")
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
        let remote = of(<crate::config::Remote as clap::Args>::augment_args(bare()));
        let mut common = of(<Common as clap::Args>::augment_args(bare()));
        common.retain(|id| !remote.contains(id));
        let kafka = of(<crate::config::Kafka as clap::Args>::augment_args(bare()));
        let server = of(<crate::config::Server as clap::Args>::augment_args(bare()));
        for (name, command) in commands {
            for argument in command.get_arguments() {
                let id = argument.get_id().to_string();
                // The token of a server that is started is not that of a server that is asked.
                let none = Vec::new();
                let headings = [
                    (&common, "Common options"),
                    (&kafka, "Kafka options"),
                    (if starts_server(&command) { &server } else { &none }, "Server options"),
                    (&remote, "Options for a server"),
                ];
                let right = headings.into_iter().find_map(|(ids, heading)| ids.contains(&id).then_some(heading));
                assert_eq!(argument.get_help_heading(), right, "{id} of `{name}`");
            }
        }
    }

    /// An example of every subcommand that ends a path, and its action. None is for those that open nothing.
    const EXAMPLES: [(&str, Option<Action>); 129] = [
        ("serve", Some(Action::RunInstallation)),
        ("demo", Some(Action::RunInstallation)),
        ("import otlp -", Some(Action::SendCommand)),
        ("import undo 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason x", Some(Action::SendCommand)),
        ("report cost", Some(Action::ReadData)),
        ("report changes --between 1..2", Some(Action::ReadData)),
        ("report chargeback --from 2026-01-01 --to 2026-02-01", Some(Action::ReadData)),
        ("report meters --by model", Some(Action::ReadData)),
        ("report tasks --from 2026-10 --to 2026-11", Some(Action::ReadData)),
        ("report forecast", Some(Action::ReadData)),
        ("report anomalies --from 2026-10 --to 2026-11", Some(Action::ReadData)),
        ("replay", Some(Action::ReadData)),
        ("export calls", Some(Action::ReadData)),
        ("export focus", Some(Action::ReadData)),
        ("prices import -", Some(Action::SendCommand)),
        ("prices update --from -", Some(Action::SendCommand)),
        ("prices discount committed --percent 10 --effective-from 2026-01-01", Some(Action::SendCommand)),
        ("prices reprice", Some(Action::ReadData)),
        ("prices reprice --apply --reason x", Some(Action::SendCommand)),
        ("prices list", Some(Action::ReadData)),
        ("calls correct 018bd12c-58b0-7683-8a5b-8752d0e86651 --set model=m --reason x", Some(Action::SendCommand)),
        ("calls void 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason x", Some(Action::SendCommand)),
        ("receipt 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::ReadData)),
        ("traces show 0af7651916cd43dd8448eb211c80319c", Some(Action::ReadData)),
        ("tags list", Some(Action::ReadData)),
        ("tags declare team", Some(Action::SendCommand)),
        ("tags withdraw team", Some(Action::SendCommand)),
        ("allocation show", Some(Action::ReadData)),
        ("allocation set -", Some(Action::SendCommand)),
        ("invoice record - --format csv", Some(Action::SendCommand)),
        ("invoice list", Some(Action::ReadData)),
        ("invoice show 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::ReadData)),
        ("invoice reconcile 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("invoice withdraw 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason x", Some(Action::SendCommand)),
        (
            "schedule define --name x --content calls --every day --at 06:30 --period day --file {period}.csv",
            Some(Action::SendCommand),
        ),
        (
            "schedule change 018bd12c-58b0-7683-8a5b-8752d0e86651 --name x --content calls --every day --at 06:30 --period day --file {period}.csv",
            Some(Action::SendCommand),
        ),
        ("schedule list", Some(Action::ReadData)),
        ("schedule show 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::ReadData)),
        ("schedule pause 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("schedule resume 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("schedule delete 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("schedule run 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts define --name x --kind webhook --endpoint-url https://hooks.example.com", Some(Action::SendCommand)),
        ("alerts revise 018bd12c-58b0-7683-8a5b-8752d0e86651 --name x", Some(Action::SendCommand)),
        ("alerts list", Some(Action::ReadData)),
        ("alerts rotate 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts disable 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts enable 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts remove 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts silence 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts test 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("alerts deliveries", Some(Action::ReadData)),
        ("alerts redeliver 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("budgets status", Some(Action::ReadData)),
        ("budgets history 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::ReadData)),
        ("budgets refusals", Some(Action::ReadData)),
        ("budgets preview --month 2026-10 --limit 25", Some(Action::ReadData)),
        ("budgets approvals --pending", Some(Action::ReadData)),
        ("budgets approve 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason agreed", Some(Action::SendCommand)),
        ("budgets deny 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason later", Some(Action::SendCommand)),
        ("projections list", Some(Action::ReadProjections)),
        ("projections parked", Some(Action::OperateProjections)),
        ("projections decisions", Some(Action::OperateProjections)),
        ("projections retry calls 1 --reason x", Some(Action::OperateProjections)),
        ("projections skip calls 1 --reason x", Some(Action::OperateProjections)),
        ("projections rebuild all", Some(Action::OperateProjections)),
        ("projections compare all", Some(Action::OperateProjections)),
        ("projections switch all", Some(Action::OperateProjections)),
        ("projections drop all", Some(Action::OperateProjections)),
        ("projections verify all", Some(Action::OperateProjections)),
        ("jobs list", Some(Action::OperateJobs)),
        ("jobs retry 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason x", Some(Action::OperateJobs)),
        ("jobs drop 018bd12c-58b0-7683-8a5b-8752d0e86651 --reason x", Some(Action::OperateJobs)),
        ("jobs decisions", Some(Action::OperateJobs)),
        ("tenants create acme", Some(Action::SendCommand)),
        ("tenants list", Some(Action::ReadData)),
        ("tenants suspend acme", Some(Action::SendCommand)),
        ("tenants resume acme", Some(Action::SendCommand)),
        ("accounts create importer --role operator", Some(Action::SendCommand)),
        ("accounts list", Some(Action::ReadData)),
        ("accounts grant 018bd12c-58b0-7683-8a5b-8752d0e86651 viewer", Some(Action::SendCommand)),
        ("accounts revoke 018bd12c-58b0-7683-8a5b-8752d0e86651 viewer", Some(Action::SendCommand)),
        ("accounts disable 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("accounts enable 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("keys create --account 018bd12c-58b0-7683-8a5b-8752d0e86651 --all-scopes", Some(Action::SendCommand)),
        ("keys list", Some(Action::ReadData)),
        ("keys rotate 018bd12c-58b0-7683-8a5b-8752d0e86651 --never-expires", Some(Action::SendCommand)),
        ("keys revoke 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("limits show", Some(Action::ReadData)),
        ("limits set --requests 60", Some(Action::SendCommand)),
        ("teams create research", Some(Action::SendCommand)),
        ("teams list", Some(Action::ReadData)),
        ("teams members 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::ReadData)),
        ("teams agents 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::ReadData)),
        ("teams rename 018bd12c-58b0-7683-8a5b-8752d0e86651 science", Some(Action::SendCommand)),
        (
            "teams add 018bd12c-58b0-7683-8a5b-8752d0e86651 --account 018bd12c-58b0-7683-8a5b-8752d0e86651",
            Some(Action::SendCommand),
        ),
        (
            "teams remove 018bd12c-58b0-7683-8a5b-8752d0e86651 --user 018bd12c-58b0-7683-8a5b-8752d0e86651",
            Some(Action::SendCommand),
        ),
        ("teams close 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("roles list", Some(Action::ReadData)),
        ("roles assignments", Some(Action::ReadData)),
        ("roles define reader --permission read:agents", Some(Action::SendCommand)),
        ("roles change 018bd12c-58b0-7683-8a5b-8752d0e86651 --permission read:agents", Some(Action::SendCommand)),
        ("roles withdraw 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("roles grant viewer --team 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("roles revoke viewer --user 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("access review", Some(Action::ReadData)),
        ("users create ada@example.org --role viewer", Some(Action::SendCommand)),
        ("users invite ada@example.org --role viewer", Some(Action::SendCommand)),
        ("users invitations", Some(Action::ReadData)),
        ("users revoke-invitation 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("users list", Some(Action::ReadData)),
        ("users reset-link 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("users disable-codes 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("users disable 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("users enable 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("users erase 018bd12c-58b0-7683-8a5b-8752d0e86651", Some(Action::SendCommand)),
        ("whoami", Some(Action::ReadData)),
        ("gateway", Some(Action::RunInstallation)),
        ("relay", Some(Action::RunInstallation)),
        ("worker", Some(Action::RunInstallation)),
        ("log verify", Some(Action::MaintainLog)),
        ("log archive --before 1", Some(Action::MaintainLog)),
        ("log archives", Some(Action::MaintainLog)),
        ("database url", Some(Action::RunInstallation)),
        ("migrate", Some(Action::RunInstallation)),
        ("login", None),
        ("logout", None),
        ("schema", None),
        ("completions bash", None),
    ];
    /// Subcommands without an example, because they open nothing and write files.
    const PUBLIC: [&str; 4] = ["schema events", "schema asyncapi", "schema openapi", "man"];

    /// The subcommands without an example, and the examples without a subcommand.
    fn without_example(root: &clap::Command) -> Vec<String> {
        let mut commands = Vec::new();
        all(root, String::new(), &mut commands);
        let is_leaf = |command: &clap::Command| {
            command.get_subcommands().all(|subcommand| subcommand.get_name() == "help")
                || !command.is_subcommand_required_set()
        };
        let leaves = commands.iter().filter(|(name, command)| !name.is_empty() && is_leaf(command));
        let leaves: Vec<_> = leaves.map(|(name, _)| name.trim().to_owned()).collect();
        let is_example = |leaf: &str| {
            EXAMPLES.iter().any(|(example, _)| *example == leaf || example.starts_with(&format!("{leaf} ")))
                || PUBLIC.contains(&leaf)
        };
        leaves.into_iter().filter(|leaf| !is_example(leaf)).collect()
    }

    #[test]
    fn every_subcommand_has_an_example_of_its_authorisation() {
        let mut root = Cli::command();
        root.build();
        assert_eq!(without_example(&root), Vec::<String>::new());
        // Control: a new subcommand is found.
        let mut planted = Cli::command().subcommand(clap::Command::new("planted"));
        planted.build();
        assert_eq!(without_example(&planted), ["planted"]);
    }

    /// Nothing is opened: the database of the settings does not exist.
    #[tokio::test]
    async fn every_subcommand_is_refused_to_a_principal_that_may_do_nothing() {
        let nobody = || {
            let (tenant, name) = ("default".parse().unwrap(), domain::Name::new("nobody").unwrap());
            Principal::shared_token(tenant, name, Vec::new(), domain::permissions::Scopes::All).unwrap()
        };
        for (example, expected) in EXAMPLES {
            let words = ["apex", "--database-url", "postgres://localhost:1/none"].into_iter().chain(example.split(' '));
            let cli = Cli::try_parse_from(words).unwrap();
            let action = match &cli.command {
                Command::Authorised(command) => Some(command.action()),
                Command::AtServer(_) | Command::Public(_) => None,
            };
            assert_eq!(action, expected, "{example}");
            if let Command::Authorised(_) = &cli.command {
                let refused = cli.run_as(nobody()).await.unwrap_err();
                let forbidden = refused.downcast_ref::<domain::permissions::Forbidden>();
                assert_eq!(forbidden.map(|forbidden| forbidden.action), expected, "{example}: {refused:#}");
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
            (
                &["report", "cost"],
                "conversation, tag:KEY, minute, quarter_hour, hour, day, week, month, quarter, year]",
            ),
            (&["report", "cost"], "Exits with 0, or with 1"),
            (&["log", "verify"], "Exits with 1 if any problem is found"),
            (&["prices", "import"], "gzipped"),
            (&["keys", "rotate"], "has to be said"),
            (&["roles"], "command:identities is as much as admin"),
            (&["access", "review"], "have no rows"),
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
