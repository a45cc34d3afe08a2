//! Apex: the system of record for fleets of AI agents.
//!
//! This package is the composition root. It reads the configuration, opens the database, starts the rooms, and holds
//! the subcommands; what Apex does is in the rooms.

// Standard output and standard error may be closed: `cli::output` writes to them without a panic.
#![warn(clippy::print_stderr)]

pub mod asyncapi;
pub mod cli;
pub mod config;
pub mod database;
pub mod embedded;
pub mod policies;
pub mod readiness;
pub mod rooms;
pub mod simulation;
pub mod telemetry;
