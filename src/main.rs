//! Apex: the system of record for fleets of AI agents.

use apex::cli::Cli;
use clap::Parser as _;
use std::process::ExitCode;
use std::time::Duration;

/// The timeout at exit for threads that cannot be stopped, such as one that reads from a terminal.
const THREADS_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            apex::cli::print_message(&format!("error: the async runtime cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run_to_exit());
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    code
}
