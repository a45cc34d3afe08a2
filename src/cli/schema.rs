//! `apex schema`

use super::output;
use std::process::ExitCode;

/// In the GraphQL schema definition language.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        output::write(&api::schema_sdl())?;
        Ok(ExitCode::SUCCESS)
    }
}
