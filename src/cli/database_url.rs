//! `apex database`

use super::output;
use super::session::{Session, stop_signal};
use crate::database;
use std::process::ExitCode;

/// Show the location of the database.
#[derive(Debug, clap::Args)]
pub(super) struct DatabaseCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Url(Url),
}

/// Print the URL of the database, with its password, for psql and other programs.
///
/// The private PostgreSQL runs only while an apex process uses it, and may have another port after each start: run
/// `apex serve` at the same time, or use --keep-running.
#[derive(Debug, clap::Args)]
struct Url {
    /// Keep the private PostgreSQL running until Ctrl-C or SIGTERM
    #[arg(long)]
    keep_running: bool,
}

impl DatabaseCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let Command::Url(Url { keep_running }) = self.command;
        let (url, embedded) = database::locate(session.common()).await?;
        let written = output::write(&format!("{}\n", url.reveal()));
        if let Some(embedded) = embedded {
            if keep_running && written.is_ok() {
                say!("The private PostgreSQL runs until this program is stopped with Ctrl-C.");
                stop_signal().await;
            } else {
                say!("The private PostgreSQL stops with the last apex process; use --keep-running to keep it running.");
            }
            embedded.stop().await?;
        }
        written?;
        Ok(ExitCode::SUCCESS)
    }
}
