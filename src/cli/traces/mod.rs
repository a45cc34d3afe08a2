//! `apex traces`

mod database;
mod drawn;
mod print;
mod server;

#[cfg(test)]
pub(super) use server::DOCUMENTS;

use self::drawn::Drawn;
use super::backend;
use super::output::Format;
use super::session::{Session, interruptible, with_rooms};
use anyhow::Context as _;
use domain::call::TraceId;
use std::process::ExitCode;

/// Draw traces that exporters of OpenTelemetry sent.
#[derive(Debug, clap::Args)]
pub(super) struct Traces {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(Show),
}

/// Show a trace as a tree of its spans, with the tokens and the cost of those that were calls
///
/// A trace is kept for some days after its last span has come, with at most 10,000 spans. Its totals are of all of its calls,
/// also of those whose spans are no longer kept.
#[derive(Debug, clap::Args)]
struct Show {
    /// The id of the trace: 32 lower-case hexadecimal digits
    #[arg(value_name = "TRACE_ID")]
    id: TraceId,
    /// The format of the trace
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Traces {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let Command::Show(Show { id, format }) = self.command;
        let found = match backend::client(session)? {
            Some(client) => interruptible(server::read(&client, id)).await?,
            None => with_rooms(session, async |rooms| database::read(rooms, id).await).await?,
        };
        let trace: Drawn = found.with_context(|| format!("there is no trace {id}, or its spans are no longer kept"))?;
        trace.print(format)?;
        Ok(ExitCode::SUCCESS)
    }
}
