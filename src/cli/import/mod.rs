//! `apex import`

mod file;
mod importers;
mod inputs;
mod server;
mod unpriced;

pub(super) use file::import_sample;
#[cfg(test)]
pub(super) use server::DOCUMENTS;

use super::backend;
use super::output::{self, ListFormat};
use super::session::{Session, interruptible, wait_for_read_models, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::Component;
use domain::Name;
use file::{Ending, FileCounts, import_file};
use importers::{Importers, Importing};
use ingest::{ColumnError, Columns, Defaults, UnpricedCalls, prices};
use inputs::Inputs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Import calls from files.
///
/// A call that is in several records is charged once, and importing a file again changes nothing. Files may be
/// gzipped, whatever their name; `-` reads standard input. A file that cannot be read is reported, and the others are
/// imported. While the database is busy or unreachable, the import retries. What was imported before an error or an
/// interruption is kept; run the same import again to continue.
///
/// Without a FORMAT, that of each file is recognised by its content. Of a folder, the files in it and below are imported;
/// those that are of no format, or contain no calls, are named and skipped.
///
/// Exits with 0 if everything was imported; 3 if some records were refused; 4 if a file contained no calls; 1 if a file
/// could not be read to its end or has another format, or the import had to stop. If several apply, the first of 1, 3
/// and 4 is used. A closed standard output or standard error is not an error.
#[derive(Debug, clap::Args)]
#[command(override_usage = "apex import [OPTIONS] [FORMAT] <FILE>...", after_long_help = inputs::help())]
pub(super) struct Import {
    /// The format of the files, if it shall not be recognised; then the files, plain or gzipped, folders of files, or `-`
    /// for standard input
    #[arg(required = true, value_name = "FILE")]
    inputs: Vec<PathBuf>,

    /// The model of calls that name none; required for `azure-llm` and `mooncake`
    #[arg(long, value_parser = name)]
    model: Option<Name>,

    /// The provider of calls that name none [default: `anthropic` for `claude-code`, `openai` for `autogpt`, none for
    /// the others]. A call without a provider is priced only if a single provider lists its model
    #[arg(long, value_parser = name)]
    provider: Option<Name>,

    /// The agent of calls that name none
    #[arg(long, value_parser = name)]
    agent: Option<Name>,

    /// When calls were made that state no time, as RFC 3339; required for `swe-agent`, and for `mooncake`, whose times count
    /// from it
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<DateTime<Utc>>,

    /// The column of a table that has a field of the calls, for `csv` and `jsonl`, such as `input=prompt_tokens` or
    /// `tag:env=stage`. Columns with the name of their field need no option
    #[arg(long = "column", value_name = "FIELD=COLUMN", value_parser = column)]
    columns: Vec<String>,

    /// Do not wait for the read models to catch up
    #[arg(long)]
    no_wait: bool,

    /// The format of the counts on standard output
    #[arg(long = "format", id = "output_format", value_name = "FORMAT", value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
}

fn time(text: &str) -> Result<DateTime<Utc>, chrono::ParseError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc())
}

fn column(text: &str) -> Result<String, ColumnError> {
    let text = text.to_owned();
    Columns::parse(std::slice::from_ref(&text)).map(|_| text)
}

fn name(text: &str) -> Result<Name, domain::TextError> {
    Name::new(text)
}

/// The exit code of an import with refused records.
const SOME_REFUSED: u8 = 3;
/// The exit code of an import with a file that contained no calls.
const NO_CALLS: u8 = 4;

impl Import {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        if let Some(client) = backend::client(session)? {
            let wait = async || if self.no_wait { Ok(()) } else { server::wait_for_read_models(&client).await };
            return interruptible(self.import(Importing::Server(&client), wait)).await;
        }
        with_rooms(session, async |rooms| {
            if !self.no_wait {
                rooms.start_projections();
            }
            rooms.start_maintenance();
            let rooms: &Rooms = rooms;
            let prices = prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
            let wait = async || if self.no_wait { Ok(()) } else { wait_for_read_models(rooms).await.map(|_| ()) };
            self.import(Importing::Database(Importers::new(rooms, prices)), wait).await
        })
        .await
    }

    async fn import(
        &self,
        mut importing: Importing<'_>,
        wait: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let Inputs { format, files } = Inputs::of(&self.inputs)?;
        let defaults = self.defaults()?;
        let (mut counts, mut endings) = (Vec::new(), Vec::new());
        let mut unpriced = UnpricedCalls::default();
        for file in &files {
            let (counted, ending) = import_file(&mut importing, format, &defaults, file, &mut unpriced).await;
            counts.push(counted);
            let is_stopped = matches!(ending, Ending::Stopped(_));
            endings.push(ending);
            if is_stopped {
                break;
            }
        }
        let caught_up = wait().await;
        self.print(&counts)?;
        unpriced::print(&unpriced);
        let not_started = files.len() - counts.len();
        let code = exit_code(&counts, endings, not_started)?;
        caught_up?;
        Ok(code)
    }

    fn defaults(&self) -> anyhow::Result<Defaults> {
        Ok(Defaults {
            model: self.model.clone(),
            provider: self.provider.clone(),
            api: None,
            agent: self.agent.clone(),
            started_at: self.at,
            columns: Columns::parse(&self.columns)?,
        })
    }

    fn print(&self, counts: &[FileCounts]) -> anyhow::Result<()> {
        let rows: Vec<_> = counts.iter().map(FileCounts::row).collect();
        match self.output {
            ListFormat::Table => Ok(output::table(&FileCounts::header(), &rows, 1..6)?),
            ListFormat::Json => output::json(&counts),
        }
    }
}

/// The exit code of the import, or the error that stopped it. `not_started` is the number of files after that error.
fn exit_code(counts: &[FileCounts], endings: Vec<Ending>, not_started: usize) -> anyhow::Result<ExitCode> {
    let is_skipped = |ending: &Ending| matches!(ending, Ending::Skipped);
    let (mut has_unreadable, mut has_no_calls) = (false, !endings.is_empty() && endings.iter().all(is_skipped));
    for ending in endings {
        match ending {
            Ending::Complete | Ending::Skipped => {}
            Ending::NoCalls => has_no_calls = true,
            Ending::Unreadable => has_unreadable = true,
            Ending::Stopped(error) => {
                let recorded: u64 = counts.iter().map(|file| file.counts.recorded()).sum();
                return Err(error).with_context(|| {
                    format!(
                        "the import stopped after {recorded} records, which are kept, and before {not_started} other \
                         files; run the same import again to continue"
                    )
                });
            }
        }
    }
    let has_refused = counts.iter().any(|file| file.counts.refused > 0);
    Ok(match (has_unreadable, has_refused, has_no_calls) {
        (true, _, _) => ExitCode::FAILURE,
        (_, true, _) => ExitCode::from(SOME_REFUSED),
        (_, _, true) => ExitCode::from(NO_CALLS),
        _ => ExitCode::SUCCESS,
    })
}
