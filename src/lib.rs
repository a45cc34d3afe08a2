//! Apex: the system of record for fleets of AI agents.
//!
//! This package is the composition root: it reads the settings, opens the database, starts the workers, and contains
//! the subcommands. Everything else is in the other crates of the workspace.

// Standard output and standard error may be closed: `cli::output` writes to them without panicking.
#![warn(clippy::print_stderr)]

pub mod alerts;
pub mod asyncapi;
pub mod cli;
pub mod client;
pub mod config;
pub mod credentials;
pub mod database;
pub mod embedded;
pub mod mail;
pub mod pem;
pub mod readiness;
pub mod rooms;
pub mod simulation;
pub mod telemetry;
pub mod tokens;
