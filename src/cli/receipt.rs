//! `apex receipt`

use super::backend::{self, Backend, Work};
use super::output;
use super::session::Session;
use anyhow::Context as _;
use domain::CallId;
use std::process::ExitCode;
use uuid::Uuid;

/// Print the receipt of a call: how its cost follows from its usage, step by step
///
/// It states what the call used, as which meter each quantity is billed, the rate and the conditions of each line, and their
/// sum: a line is its units x its rate / the number of units that the rate is for, rounded half to even at 12 decimal places.
#[derive(Debug, clap::Args)]
pub(super) struct Receipt {
    /// The UUID of the call, or one of its UUIDs
    #[arg(value_name = "ID")]
    id: Uuid,
}

impl Receipt {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self).await
    }
}

impl Work for Receipt {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let id = self.id;
        let text = backend.receipt(CallId(id)).await?;
        output::write(&text.with_context(|| format!("there is no call {id}, or it was voided"))?)?;
        Ok(())
    }
}
