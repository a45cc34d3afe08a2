//! Apex: the system of record for fleets of AI agents.

use apex::cli::Cli;
use clap::Parser as _;
use std::process::ExitCode;
use std::time::Duration;

/// How long to wait at the end for threads that cannot be told to stop, such as one that reads from a terminal.
const LAST_THREADS: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            apex::cli::tell(&format!("error: the system has no threads for this program: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run_to_exit());
    runtime.shutdown_timeout(LAST_THREADS);
    code
}
