//! `apex import`

use super::output::{self, ListFormat};
use super::{SETTLE_PATIENCE, with_rooms};
use crate::config::Common;
use crate::import::{self, Format, Input, Options, Problem, Records};
use crate::ingest::{Fate, Ingest, IngestError, MAX_IN_FLIGHT};
use crate::pricing;
use crate::rooms::Rooms;
use anyhow::Context as _;
use domain::Name;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use streams::Position;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Every record goes through a command: a call that several records speak of is charged once, and importing a file
/// again changes nothing. Files may be gzipped; `-` reads standard input.
///
/// Exits with 0 when everything was imported, 3 when some records were refused, 1 when the import had to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// What the files hold
    #[arg(value_enum)]
    format: Format,

    /// The files, or `-`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The model, where the files do not say it
    #[arg(long, value_parser = name)]
    model: Option<Name>,

    /// The provider, where the files do not say it
    #[arg(long, value_parser = name)]
    provider: Option<Name>,

    /// The agent, where the files do not say it
    #[arg(long, value_parser = name)]
    agent: Option<Name>,

    /// Do not wait until the read models are up to date
    #[arg(long)]
    no_wait: bool,

    /// The form of the counts on standard output
    #[arg(long = "format", id = "output_format", value_name = "FORMAT", value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
}

fn name(text: &str) -> Result<Name, domain::TextError> {
    Name::new(text)
}

/// How many records had which fate.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Counts {
    file: String,
    imported: u64,
    amended: u64,
    duplicate: u64,
    refused: u64,
}

/// Reasons shown of one file; the rest is only counted.
const MAX_REASONS: u64 = 20;
/// Exit code for an import with refused records.
const SOME_REFUSED: u8 = 3;

impl Import {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_rooms(common, async |rooms| {
            if !self.no_wait {
                rooms.start_projections();
            }
            rooms.start_maintenance();
            let counts = self.import(rooms).await?;
            let rows: Vec<_> = counts.iter().map(Counts::row).collect();
            match self.output {
                ListFormat::Table => output::table(&Counts::header(), &rows, 1..5)?,
                ListFormat::Json => output::json(&counts)?,
            }
            let refused = counts.iter().any(|counts| counts.refused > 0);
            Ok(if refused { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS })
        })
        .await
    }

    async fn import(&self, rooms: &Rooms) -> anyhow::Result<Vec<Counts>> {
        let prices = pricing::ensure(&rooms.commands, &rooms.tenant).await?;
        let actor = format!("import:{}", self.format.as_str());
        let mut ingest = Ingest::new(rooms.commands.clone(), rooms.tenant.clone(), actor, prices);
        let mut counts = Vec::new();
        for file in &self.files {
            let options =
                Options { model: self.model.clone(), provider: self.provider.clone(), agent: self.agent.clone() };
            counts.push(import_file(&mut ingest, self.format, options, file).await?);
        }
        if !self.no_wait {
            settle(rooms).await?;
        }
        Ok(counts)
    }
}

impl Counts {
    fn header() -> Vec<String> {
        ["file", "imported", "amended", "duplicate", "refused"].map(str::to_owned).to_vec()
    }

    fn row(&self) -> Vec<String> {
        let counts = [self.imported, self.amended, self.duplicate, self.refused];
        std::iter::once(self.file.clone()).chain(counts.map(|count| HumanCount(count).to_string())).collect()
    }
}

/// Waits for the read models.
pub(super) async fn settle(rooms: &Rooms) -> anyhow::Result<Position> {
    let statuses = projections::statuses(&rooms.pool).await.context("the checkpoints cannot be read")?;
    let fed: Vec<_> =
        statuses.into_iter().filter(|status| status.source == "kafka").map(|status| status.name).collect();
    if !fed.is_empty() {
        eprintln!("Waiting for the workers that feed {} from Kafka; --no-wait does not.", fed.join(", "));
    }
    rooms.settle(SETTLE_PATIENCE).await.context("the events are in the log, but the read models are behind")
}

async fn import_file(ingest: &mut Ingest, format: Format, options: Options, file: &Path) -> anyhow::Result<Counts> {
    let shown = file.display().to_string();
    let input = import::open_path(file).with_context(|| format!("{shown} cannot be opened"))?;
    import_input(ingest, format, options, shown, input).await
}

/// Imports what an input holds; `shown` is what it is called.
pub(super) async fn import_input(
    ingest: &mut Ingest,
    format: Format,
    options: Options,
    shown: String,
    input: Input,
) -> anyhow::Result<Counts> {
    let bar = progress(&shown, input.total_bytes);
    let read_bytes = input.read_bytes;
    let mut counts = Counts { file: shown.clone(), ..Counts::default() };
    let mut records = parse(format, options, input.reader);
    // Tasks of their own: a report that is not polled would keep its connection from those that wait for one.
    let mut reports = JoinSet::new();
    let mut broken = None;
    loop {
        let room = reports.len() < MAX_IN_FLIGHT;
        tokio::select! {
            Some(given) = reports.join_next() => count(&mut counts, &bar, given?)?,
            record = records.recv(), if room && broken.is_none() => match record {
                Some(Ok(record)) => {
                    let place = record.place;
                    match ingest.prepare(record).await {
                        Ok(report) => {
                            reports.spawn(async move { (place, report.give().await) });
                        }
                        Err(error) => count(&mut counts, &bar, (place, Err(error)))?,
                    }
                }
                Some(Err(Problem::Refused(refusal))) => refuse(&mut counts, &bar, &refusal.to_string()),
                Some(Err(Problem::Broken(error))) => broken = Some(Some(error)),
                None => broken = Some(None),
            },
            else => break,
        }
        show(&bar, &read_bytes, &counts);
        if reports.is_empty() && broken.is_some() {
            break;
        }
    }
    bar.finish_and_clear();
    match broken.flatten() {
        Some(error) => {
            let done = counts.imported + counts.amended + counts.duplicate;
            Err(error).with_context(|| format!("{shown}: stopped after {done} records, which are kept"))
        }
        None => Ok(counts),
    }
}

/// Reads on a thread of its own; the channel bounds how far it is ahead.
fn parse(
    format: Format,
    options: Options,
    reader: Box<dyn std::io::Read + Send>,
) -> mpsc::Receiver<<Records as Iterator>::Item> {
    let (sender, receiver) = mpsc::channel(2 * MAX_IN_FLIGHT);
    tokio::task::spawn_blocking(move || {
        let records: Records = match import::open(format, options, reader) {
            Ok(records) => records,
            Err(error) => Box::new(std::iter::once(Err(Problem::Broken(error)))),
        };
        for record in records {
            if sender.blocking_send(record).is_err() {
                return;
            }
        }
    });
    receiver
}

fn count(
    counts: &mut Counts,
    bar: &ProgressBar,
    (place, given): (import::Place, Result<(Fate, Position), IngestError>),
) -> anyhow::Result<()> {
    match given {
        Ok((Fate::Imported, _)) => counts.imported += 1,
        Ok((Fate::Amended, _)) => counts.amended += 1,
        Ok((Fate::Duplicate, _)) => counts.duplicate += 1,
        Err(IngestError::Refused(error)) => refuse(counts, bar, &format!("{place}: {error}")),
        Err(error) => return Err(error).with_context(|| format!("{} {place}", counts.file)),
    }
    Ok(())
}

fn refuse(counts: &mut Counts, bar: &ProgressBar, reason: &str) {
    counts.refused += 1;
    let line = match counts.refused {
        n if n <= MAX_REASONS => format!("refused: {}: {reason}", counts.file),
        n if n == MAX_REASONS + 1 => format!("refused: {}: further reasons are not shown", counts.file),
        _ => return,
    };
    bar.suspend(|| eprintln!("{line}"));
}

/// A bar on standard error; invisible where that is no terminal.
fn progress(file: &str, total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(total) => {
            (ProgressBar::new(total), "{prefix} {wide_bar} {percent:>3} % {msg} {elapsed_precise} (ready in {eta})")
        }
        None => (ProgressBar::new_spinner(), "{prefix} {spinner} {bytes} {msg} {elapsed_precise}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_prefix(file.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, read_bytes: &Arc<AtomicU64>, counts: &Counts) {
    bar.set_position(read_bytes.load(Ordering::Relaxed));
    let done = counts.imported + counts.amended + counts.duplicate;
    bar.set_message(format!("{} records, {} refused", HumanCount(done), HumanCount(counts.refused)));
}
