//! `apex receipt`

use super::backend::{self, Backend, Work};
use super::output;
use super::session::Session;
use anyhow::Context as _;
use clap::ValueEnum;
use domain::CallId;
use std::process::ExitCode;
use uuid::Uuid;

/// Print the receipt of a call: how its cost follows from its usage, step by step
///
/// It states what the call used, as which meter each quantity is billed, the rate and the conditions of each line, and their
/// sum: a line is its units x its rate / the number of units that the rate is for, rounded half to even at 12 decimal places.
/// JSON has the members of the type `Receipt` of GraphQL, of which `text` is the receipt as text.
#[derive(Debug, clap::Args)]
pub(super) struct Receipt {
    /// The UUID of the call, or one of its UUIDs
    #[arg(value_name = "ID")]
    id: Uuid,

    /// The format of the receipt
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The format of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text that adds up by hand
    Text,
    /// One JSON document
    Json,
}

impl Receipt {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self).await
    }
}

impl Work for Receipt {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let id = self.id;
        let none = || format!("there is no call {id}, or it was voided");
        match self.format {
            Format::Text => {
                let text = backend.receipt(CallId(id)).await?;
                output::write(&text.with_context(none)?)?;
                Ok(())
            }
            Format::Json => output::json(&backend.receipt_document(CallId(id)).await?.with_context(none)?),
        }
    }
}
