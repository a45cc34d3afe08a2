//! Apex: the system of record for fleets of AI agents.

fn main() -> std::process::ExitCode {
    apex::cli::main()
}
