//! `apex database`

use super::{output, stop_signal};
use crate::config::Common;
use crate::database;
use std::process::ExitCode;

/// Say where the database is.
#[derive(Debug, clap::Args)]
pub(super) struct DatabaseCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Url(Url),
}

/// Print the database's URL, with its password, for psql and other programs.
///
/// The private PostgreSQL runs only while a program of Apex uses it, and may have another port each time that it is
/// started: run `apex serve` beside, or give --keep-running.
#[derive(Debug, clap::Args)]
struct Url {
    /// Keep the private PostgreSQL running until Ctrl-C or SIGTERM
    #[arg(long)]
    keep_running: bool,
}

impl DatabaseCommand {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Command::Url(Url { keep_running }) = self.command;
        let (url, embedded) = database::locate(common).await?;
        let written = output::write(&format!("{}\n", url.reveal()));
        if let Some(embedded) = embedded {
            if keep_running && written.is_ok() {
                say!("The private PostgreSQL runs until this program is stopped with Ctrl-C.");
                stop_signal().await;
            } else {
                say!("The private PostgreSQL stops with the last program that uses it; --keep-running stays.");
            }
            embedded.stop().await?;
        }
        written?;
        Ok(ExitCode::SUCCESS)
    }
}
