//! `apex migrate`

use super::session::{Session, interruptible};
use crate::database;
use std::process::ExitCode;

/// Bring the schema of the database up to date.
///
/// Requires a role that may create the schema and the roles `apex_app` and `apex_reader`. All other subcommands can log in as
/// any member of `apex_app`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {}

impl Migrate {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        interruptible(database::migrate(session.common())).await?;
        say!("The schema is up to date.");
        Ok(ExitCode::SUCCESS)
    }
}
