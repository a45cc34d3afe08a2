//! `apex import`

mod file;
mod importers;
mod inputs;
mod server;
mod step;
mod undo;
mod unpriced;

pub(super) use file::import_sample;
#[cfg(test)]
pub(super) use server::DOCUMENTS;

use super::backend;
use super::output::{self, ListFormat};
use super::session::{Session, interruptible, wait_for_read_models, with_rooms};
use crate::client::Client;
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::Component;
use domain::{ImportId, Name, derived_id};
use file::{Ending, FileCounts, import_file};
use importers::{Importers, Importing};
use ingest::{ColumnError, Columns, Defaults, Format, UnpricedCalls, prices};
use inputs::{InputFile, Inputs};
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// Import calls from files.
///
/// A call that is in several records is charged once, and importing a file again changes nothing. Files may be
/// gzipped, whatever their name; `-` reads standard input. A file that cannot be read is reported, and the others are
/// imported. While the database is busy or unreachable, the import retries. What was imported before an error or an
/// interruption is kept; run the same import again to continue.
///
/// Each import has an id, which is printed. `apex import undo ID --reason REASON` takes it back: the calls that no one else
/// reported are not counted any more. The same import of unchanged files has the same id; --import-id gives another one.
///
/// Without a FORMAT, that of each file is recognised by its content. Of a folder, the files in it and below are imported;
/// those that are of no format, or contain no calls, are named and skipped.
///
/// Exits with 0 if everything was imported; 3 if some records were refused; 4 if a file contained no calls; 1 if a file
/// could not be read to its end or has another format, or the import had to stop. If several apply, the first of 1, 3
/// and 4 is used. A closed standard output or standard error is not an error.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "apex import [OPTIONS] [FORMAT] <FILE>...\n       apex import undo [OPTIONS] --reason <REASON> <ID>",
    after_long_help = inputs::help(),
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(super) struct Import {
    #[command(subcommand)]
    command: Option<Command>,

    /// The format of the files, if it shall not be recognised; then the files, plain or gzipped, folders of files, or `-`
    /// for standard input
    #[arg(required = true, value_name = "FILE")]
    inputs: Vec<PathBuf>,

    /// The model of calls that name none; required for `azure-llm` and `mooncake`
    #[arg(long, value_parser = name)]
    model: Option<Name>,

    /// The provider of calls that name none. A call without a provider is priced at the list price of the model's maker, or if
    /// a single provider sells the model
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

    /// The id of the import, a UUID [default: one that is derived from the format if it is named, the options, and the paths, sizes and times of the
    /// files, so that the same import of unchanged files has the same id; a new one for standard input]
    #[arg(long, value_name = "ID")]
    import_id: Option<Uuid>,

    /// Do not wait for the read models to catch up
    #[arg(long)]
    no_wait: bool,

    /// The format of the counts on standard output
    #[arg(long = "format", id = "output_format", value_name = "FORMAT", value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Undo(undo::Undo),
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
    pub(super) async fn run(mut self, session: &Session) -> anyhow::Result<ExitCode> {
        let command = self.command.take();
        if let Some(client) = backend::client(session)? {
            return interruptible(self.run_at(&client, command)).await;
        }
        with_rooms(session, async |rooms| {
            if let Some(Command::Undo(undo)) = command {
                return undo.run_here(rooms).await;
            }
            if !self.no_wait {
                rooms.start_projections();
            }
            rooms.start_maintenance();
            let rooms: &Rooms = rooms;
            let prices = prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
            let wait = async || if self.no_wait { Ok(()) } else { wait_for_read_models(rooms).await.map(|_| ()) };
            self.import(|import_id| Importing::Database(Importers::new(rooms, prices, import_id)), wait).await
        })
        .await
    }

    async fn run_at(&self, client: &Client, command: Option<Command>) -> anyhow::Result<ExitCode> {
        if let Some(Command::Undo(undo)) = command {
            return undo.run_at(client).await;
        }
        let wait = async || if self.no_wait { Ok(()) } else { server::wait_for_read_models(client).await };
        self.import(|import_id| Importing::Server(client, import_id), wait).await
    }

    async fn import<'a>(
        &self,
        importing: impl FnOnce(ImportId) -> Importing<'a>,
        wait: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let Inputs { format, files } = Inputs::of(&self.inputs)?;
        let defaults = self.defaults()?;
        let import_id = self.import_id.unwrap_or_else(|| self.derived_id(format, &files));
        say!("import {import_id}; to take it back: apex import undo {import_id} --reason REASON");
        let mut importing = importing(import_id.into());
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
        self.print(import_id, &counts)?;
        unpriced::print(&unpriced);
        let not_started = files.len() - counts.len();
        let code = exit_code(&counts, endings, not_started)?;
        caught_up?;
        Ok(code)
    }

    /// The id of an import that is given none. A file that is read as another format is another import.
    fn derived_id(&self, format: Option<Format>, files: &[InputFile]) -> Uuid {
        let Self { inputs: _, model, provider, agent, at, columns, .. } = self;
        let format = format.map(Format::as_str);
        let options = format!("{format:?} {model:?} {provider:?} {agent:?} {at:?} {columns:?}");
        let files: Vec<_> = files.iter().map(InputFile::identity).collect();
        let parts = ["import", &options].into_iter().chain(files.iter().map(String::as_str));
        derived_id(&parts.collect::<Vec<_>>())
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

    fn print(&self, import_id: Uuid, counts: &[FileCounts]) -> anyhow::Result<()> {
        let rows: Vec<_> = counts.iter().map(FileCounts::row).collect();
        match self.output {
            ListFormat::Table => Ok(output::table(&FileCounts::header(), &rows, 1..6)?),
            ListFormat::Json => {
                let rows: Vec<_> = counts.iter().map(|counts| OfImport { import_id, counts }).collect();
                output::json(&rows)
            }
        }
    }
}

/// The counts of a file, with the import that they are of.
#[derive(serde::Serialize)]
struct OfImport<'a> {
    import_id: Uuid,
    #[serde(flatten)]
    counts: &'a FileCounts,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        import: Import,
    }

    #[test]
    fn the_id_of_an_import_follows_from_what_is_read_and_how() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["calls.txt", "other.txt"].map(|name| {
            let path = folder.path().join(name).to_str().unwrap().to_owned();
            std::fs::write(&path, "x").unwrap();
            path
        });
        let id = |words: &[&str]| {
            let line = Line::try_parse_from(["import"].iter().chain(words)).unwrap();
            let Inputs { format, files } = Inputs::of(&line.import.inputs).unwrap();
            line.import.derived_id(format, &files)
        };
        assert_eq!(id(&["jsonl", &path]), id(&["jsonl", &path]));
        // A file that was read as another format by mistake is taken back alone.
        let others: [&[&str]; 4] = [&["csv", &path], &[&path], &["jsonl", &other], &["jsonl", &path, "--model", "m"]];
        for words in others {
            assert_ne!(id(words), id(&["jsonl", &path]), "{words:?}");
        }
    }
}
