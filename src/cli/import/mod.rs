//! `apex import`

mod file;
mod unpriced;

pub(super) use file::import_sample;

use super::output::{self, ListFormat};
use super::session::{Session, wait_for_read_models, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use clap::ValueEnum;
use commands::Component;
use domain::{Name, error_with_causes};
use file::{Ending, FileCounts, import_file};
use ingest::{Defaults, Format, Importer, OnRetry, UnpricedCalls, prices};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Import calls from files.
///
/// A call that is in several records is charged once, and importing a file again changes nothing. Files may be
/// gzipped, whatever their name; `-` reads standard input. A file that cannot be read is reported, and the others are
/// imported. While the database is busy or unreachable, the import retries. What was imported before an error or an
/// interruption is kept; run the same import again to continue.
///
/// Exits with 0 if everything was imported; 3 if some records were refused; 4 if a file contained no calls; 1 if a file
/// could not be read to its end or has another format, or the import had to stop. If several apply, the first of 1, 3
/// and 4 is used. A closed standard output or standard error is not an error.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The format of the files
    #[arg(value_enum)]
    format: FormatArg,

    /// The files, plain or gzipped, or `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The model of calls that name none; required for `azure-llm`
    #[arg(long, value_parser = name)]
    model: Option<Name>,

    /// The provider of calls that name none [default: `anthropic` for `claude-code`, `openai` for `autogpt`, none for
    /// the others]. A call without a provider is priced only if a single provider lists its model
    #[arg(long, value_parser = name)]
    provider: Option<Name>,

    /// The agent of calls that name none
    #[arg(long, value_parser = name)]
    agent: Option<Name>,

    /// Do not wait for the read models to catch up
    #[arg(long)]
    no_wait: bool,

    /// The format of the counts on standard output
    #[arg(long = "format", id = "output_format", value_name = "FORMAT", value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
}

/// A [`Format`] as the value of a command-line argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    /// Azure's public traces of LLM inference: CSV with time, context tokens and generated tokens
    AzureLlm,
    /// Calls of Auto-GPT benchmark runs: JSONL, one call per line
    Autogpt,
    /// Session logs of Claude Code: JSONL, several lines per call
    ClaudeCode,
    /// OpenTelemetry traces in JSON: one object, or one per line as the Collector's file exporter writes them
    Otlp,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::AzureLlm => Self::AzureLlm,
            FormatArg::Autogpt => Self::Autogpt,
            FormatArg::ClaudeCode => Self::ClaudeCode,
            FormatArg::Otlp => Self::Otlp,
        }
    }
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
        with_rooms(session, async |rooms| {
            if !self.no_wait {
                rooms.start_projections();
            }
            rooms.start_maintenance();
            self.import(rooms).await
        })
        .await
    }

    async fn import(&self, rooms: &Rooms) -> anyhow::Result<ExitCode> {
        let format = Format::from(self.format);
        let prices = prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
        let importer = rooms.component(Component::Import(format.as_str()));
        let importer = Importer::new(rooms.commands.clone(), importer, prices);
        let mut importer = importer.on_retry(warn_of_retries());
        let (mut counts, mut endings) = (Vec::new(), Vec::new());
        let mut unpriced = UnpricedCalls::default();
        for file in &self.files {
            let defaults =
                Defaults { model: self.model.clone(), provider: self.provider.clone(), agent: self.agent.clone() };
            let (counted, ending) = import_file(&mut importer, format, defaults, file, &mut unpriced).await;
            counts.push(counted);
            let is_stopped = matches!(ending, Ending::Stopped(_));
            endings.push(ending);
            if is_stopped {
                break;
            }
        }
        let caught_up = if self.no_wait { Ok(()) } else { wait_for_read_models(rooms).await.map(|_| ()) };
        self.print(&counts)?;
        unpriced::print(&unpriced);
        let not_started = self.files.len() - counts.len();
        let code = exit_code(&counts, endings, not_started)?;
        caught_up?;
        Ok(code)
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
    let (mut has_unreadable, mut has_no_calls) = (false, false);
    for ending in endings {
        match ending {
            Ending::Complete => {}
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

/// The minimum interval between two warnings that the import is retrying.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Warns that the database is busy or unreachable, at most once per [`WARNING_INTERVAL`].
fn warn_of_retries() -> OnRetry {
    let last: Mutex<Option<Instant>> = Mutex::new(None);
    Arc::new(move |error| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() > WARNING_INTERVAL) {
            *last = Some(Instant::now());
            say!("The database is busy or unreachable; retrying ({}).", error_with_causes(error));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_the_same_names_as_arguments_and_in_ids() {
        let values = FormatArg::value_variants();
        assert_eq!(values.len(), Format::ALL.len());
        for value in values {
            let argument = value.to_possible_value().unwrap();
            assert_eq!(argument.get_name(), Format::from(*value).as_str());
        }
    }
}
