//! `apex import`

use super::output::{self, ListFormat};
use super::{SETTLE_PATIENCE, with_rooms};
use crate::config::Common;
use crate::import::{self, Format, ImportError, Input, Options, PassedOver, Place, Problem, Records};
use crate::ingest::{Fate, Ingest, IngestError, MAX_IN_FLIGHT, OnWait, Reported, Unpriced};
use crate::pricing;
use crate::rooms::Rooms;
use anyhow::Context as _;
use domain::Name;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streams::Position;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Import files of calls.
///
/// Every record goes through a command: a call that several records speak of is charged once, and importing a file
/// again changes nothing. Files may be gzipped, whatever their name; `-` reads standard input. A file that cannot be
/// read is named, and the others are imported. A busy or absent database is waited for; what was imported is kept
/// whatever happens, and importing again goes on from there.
///
/// Exits with 0 when everything was imported; 3 when some records were refused; 4 when a file held no call; 1 when a
/// file was not read to its end or is not of the format, or the import had to stop. The first of 1, 3 and 4 counts.
/// That nobody reads the output any more is no error.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// What the files hold
    #[arg(value_enum)]
    format: Format,

    /// The files, plain or gzipped, or `-`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The model, where the files do not say it; `azure-llm` needs it
    #[arg(long, value_parser = name)]
    model: Option<Name>,

    /// The provider, where the files do not say it: by default `anthropic` for `claude-code`, `openai` for `autogpt`,
    /// none for the others. A call without a provider has a price if only one provider lists its model
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

/// What became of the records of a file.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Counts {
    file: String,
    imported: u64,
    amended: u64,
    duplicate: u64,
    refused: u64,
    /// Calls of the file that no price is known for.
    unpriced: u64,
    /// Records of the format that are no calls, such as what a user wrote.
    no_calls: u64,
    /// Records that are not of the format. They were passed over.
    foreign: u64,
    /// Why the file was not read to its end, or nothing was found in it.
    error: Option<String>,
}

/// How the import of a file ended.
enum Ending {
    /// It was read to its end.
    Complete,
    /// It held no call, or nothing at all.
    NoCalls,
    /// It could not be read to its end, or is not of the format.
    Unreadable,
    /// The log failed, so that no other file can be imported either.
    Stopped(anyhow::Error),
}

/// Reasons shown of one file; the rest is only counted.
const MAX_REASONS: u64 = 20;
/// Exit code for an import with refused records.
const SOME_REFUSED: u8 = 3;
/// Exit code for an import of files of which one held no call.
const NO_CALLS: u8 = 4;
/// How often it is said that the database is waited for.
const WAITING_INTERVAL: Duration = Duration::from_secs(10);

impl Import {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_rooms(common, async |rooms| {
            if !self.no_wait {
                rooms.start_projections();
            }
            rooms.start_maintenance();
            self.import(rooms).await
        })
        .await
    }

    async fn import(&self, rooms: &Rooms) -> anyhow::Result<ExitCode> {
        let prices = pricing::ensure(&rooms.commands, &rooms.tenant).await?;
        let actor = format!("import:{}", self.format.as_str());
        let ingest = Ingest::new(rooms.commands.clone(), rooms.tenant.clone(), actor, prices);
        let mut ingest = ingest.on_wait(say_waiting());
        let (mut counts, mut endings) = (Vec::new(), Vec::new());
        let mut unpriced = UnpricedCalls::default();
        for file in &self.files {
            let options =
                Options { model: self.model.clone(), provider: self.provider.clone(), agent: self.agent.clone() };
            let (counted, ending) = import_file(&mut ingest, self.format, options, file, &mut unpriced).await;
            counts.push(counted);
            let is_stopped = matches!(ending, Ending::Stopped(_));
            endings.push(ending);
            if is_stopped {
                break;
            }
        }
        let settled = if self.no_wait { Ok(()) } else { settle(rooms).await.map(|_| ()) };
        self.print(&counts)?;
        unpriced.tell();
        let left = self.files.len() - counts.len();
        let code = exit_code(&counts, endings, left)?;
        settled?;
        Ok(code)
    }

    fn print(&self, counts: &[Counts]) -> anyhow::Result<()> {
        let rows: Vec<_> = counts.iter().map(Counts::row).collect();
        match self.output {
            ListFormat::Table => Ok(output::table(&Counts::header(), &rows, 1..6)?),
            ListFormat::Json => output::json(&counts),
        }
    }
}

/// What the import as a whole came to; `left` files were not begun.
fn exit_code(counts: &[Counts], endings: Vec<Ending>, left: usize) -> anyhow::Result<ExitCode> {
    let (mut is_unreadable, mut has_no_calls) = (false, false);
    for ending in endings {
        match ending {
            Ending::Complete => {}
            Ending::NoCalls => has_no_calls = true,
            Ending::Unreadable => is_unreadable = true,
            Ending::Stopped(error) => {
                let kept: u64 = counts.iter().map(Counts::done).sum();
                return Err(error).with_context(|| {
                    format!(
                        "the import stopped after {kept} records, which are kept, with {left} files not begun; \
                         importing the same files again goes on from there"
                    )
                });
            }
        }
    }
    let is_refused = counts.iter().any(|counts| counts.refused > 0);
    Ok(match (is_unreadable, is_refused, has_no_calls) {
        (true, _, _) => ExitCode::FAILURE,
        (_, true, _) => ExitCode::from(SOME_REFUSED),
        (_, _, true) => ExitCode::from(NO_CALLS),
        _ => ExitCode::SUCCESS,
    })
}

impl Counts {
    fn header() -> Vec<String> {
        ["file", "imported", "amended", "duplicate", "refused", "unpriced"].map(str::to_owned).to_vec()
    }

    fn row(&self) -> Vec<String> {
        let counts = [self.imported, self.amended, self.duplicate, self.refused, self.unpriced];
        std::iter::once(self.file.clone()).chain(counts.map(|count| HumanCount(count).to_string())).collect()
    }

    /// Records that are in the log.
    fn done(&self) -> u64 {
        self.imported + self.amended + self.duplicate
    }
}

/// Says now and then that the database is waited for.
fn say_waiting() -> OnWait {
    let said: Mutex<Option<Instant>> = Mutex::new(None);
    Arc::new(move |error| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() > WAITING_INTERVAL) {
            *said = Some(Instant::now());
            let mut causes = vec![error.to_string()];
            let mut cause = error.source();
            while let Some(error) = cause {
                causes.push(error.to_string());
                cause = error.source();
            }
            say!("The database is busy or away; the import waits for it ({}).", causes.join(": "));
        }
    })
}

/// Waits for the read models.
pub(super) async fn settle(rooms: &Rooms) -> anyhow::Result<Position> {
    let statuses = projections::statuses(&rooms.pool).await.context("the checkpoints cannot be read")?;
    let fed: Vec<_> =
        statuses.into_iter().filter(|status| status.source == "kafka").map(|status| status.name).collect();
    if !fed.is_empty() {
        say!("Waiting for the workers that feed {} from Kafka; --no-wait does not.", fed.join(", "));
    }
    rooms.settle(SETTLE_PATIENCE).await.context("the events are in the log, but the read models are behind")
}

async fn import_file(
    ingest: &mut Ingest,
    format: Format,
    options: Options,
    file: &Path,
    unpriced: &mut UnpricedCalls,
) -> (Counts, Ending) {
    let shown = file.display().to_string();
    match import::open_path(file.to_owned()).await.with_context(|| format!("{shown} cannot be opened")) {
        Ok(input) => import_input(ingest, format, options, shown, input, unpriced).await,
        Err(error) => {
            let error = format!("{error:#}");
            say!("error: {error}");
            (Counts { file: shown, error: Some(error), ..Counts::default() }, Ending::Unreadable)
        }
    }
}

/// Imports what an input holds; `shown` is what it is called.
async fn import_input(
    ingest: &mut Ingest,
    format: Format,
    options: Options,
    shown: String,
    input: Input,
    unpriced: &mut UnpricedCalls,
) -> (Counts, Ending) {
    let bar = progress(&shown, input.total_bytes);
    let mut running = Running {
        counts: Counts { file: shown, ..Counts::default() },
        read_bytes: input.read_bytes,
        unpriced: HashSet::new(),
        all_unpriced: unpriced,
        bar,
    };
    let (mut records, passed_over) = parse(format, options, input.reader);
    let ended = running.run(ingest, &mut records).await;
    // Otherwise the thread that reads waits for room that nobody makes.
    drop(records);
    let passed_over = match &ended {
        Ok(None) => passed_over.await.unwrap_or_default(),
        // It may wait for input that never comes.
        _ => PassedOver::default(),
    };
    running.bar.finish_and_clear();
    running.counts.unpriced = running.unpriced.len() as u64;
    (running.counts.no_calls, running.counts.foreign) = (passed_over.no_calls, passed_over.foreign);
    let mut counts = running.counts;
    if counts.done() > 0 && counts.foreign > 0 {
        let (file, foreign, format) = (&counts.file, HumanCount(counts.foreign), format.as_str());
        say!("passed over: {file}: {foreign} records that are not of {format}");
    }
    let (error, ending) = match ended {
        Ok(None) => match nothing_in(format, &counts, passed_over) {
            Some((error, ending)) => (error, ending),
            None => return (counts, Ending::Complete),
        },
        Ok(Some(error)) => {
            let done = counts.done();
            let error = anyhow::Error::from(error).context(format!("stopped after {done} records, which are kept"));
            (format!("{error:#}"), Ending::Unreadable)
        }
        Err(error) => return (counts, Ending::Stopped(error)),
    };
    say!("error: {}: {error}", counts.file);
    counts.error = Some(error);
    (counts, ending)
}

/// What to say of a file of which nothing was imported.
fn nothing_in(format: Format, counts: &Counts, passed_over: PassedOver) -> Option<(String, Ending)> {
    let (format, refused) = (format.as_str(), counts.refused);
    match passed_over {
        _ if counts.done() > 0 => None,
        PassedOver { no_calls: 1.., .. } if refused == 0 => Some((
            format!("no call: it holds {} records of {format}, none a call", passed_over.no_calls),
            Ending::NoCalls,
        )),
        PassedOver { no_calls: 1.., .. } => None,
        PassedOver { foreign: 1.., .. } => {
            let all = passed_over.foreign + refused;
            let error = format!("not understood: none of its {all} records is one of {format}; is it another format?");
            Some((error, Ending::Unreadable))
        }
        _ if refused > 0 => {
            let error =
                format!("not understood: all of its {refused} records were refused as {format}; is it another format?");
            Some((error, Ending::Complete))
        }
        _ => Some(("no call: it holds no record".to_owned(), Ending::NoCalls)),
    }
}

/// Calls without a price whose ids are kept, so that each is counted once however many records speak of it.
const MAX_UNPRICED_CALLS: usize = 1_000_000;

/// The import of one input while it goes on.
struct Running<'a> {
    counts: Counts,
    read_bytes: Arc<AtomicU64>,
    /// The calls of this input that have no price yet.
    unpriced: HashSet<Uuid>,
    /// Those of all inputs.
    all_unpriced: &'a mut UnpricedCalls,
    bar: ProgressBar,
}

impl Running<'_> {
    /// Reports all records; returns what was wrong with the input, if anything.
    async fn run(
        &mut self,
        ingest: &mut Ingest,
        records: &mut mpsc::Receiver<Result<import::Record, Problem>>,
    ) -> anyhow::Result<Option<ImportError>> {
        // Tasks of their own: a report that is not polled would keep its connection from those that wait for one.
        let mut reports = JoinSet::new();
        let mut broken = None;
        let mut failed = None;
        loop {
            let is_reading = broken.is_none() && failed.is_none() && reports.len() < MAX_IN_FLIGHT;
            let counted = tokio::select! {
                Some(given) = reports.join_next() => match given {
                    Ok((place, given)) => self.count(place, given),
                    Err(error) => Err(error.into()),
                },
                record = records.recv(), if is_reading => match record {
                    Some(Ok(record)) => {
                        let place = record.place;
                        match ingest.prepare(record).await {
                            Ok(report) => {
                                reports.spawn(async move { (place, report.give().await) });
                                Ok(())
                            }
                            Err(error) => self.count(place, Err(error)),
                        }
                    }
                    Some(Err(Problem::Refused(refusal))) => {
                        self.refuse(&refusal.to_string());
                        Ok(())
                    }
                    Some(Err(Problem::Broken(error))) => {
                        broken = Some(Some(error));
                        Ok(())
                    }
                    None => {
                        broken = Some(None);
                        Ok(())
                    }
                },
                else => break,
            };
            // Those under way are waited for and counted all the same.
            failed = failed.or(counted.err());
            self.show();
            if reports.is_empty() && (broken.is_some() || failed.is_some()) {
                break;
            }
        }
        failed.map_or(Ok(broken.flatten()), Err)
    }

    fn count(&mut self, place: Place, given: Result<Reported, IngestError>) -> anyhow::Result<()> {
        let reported = match given {
            Ok(reported) => reported,
            Err(IngestError::Refused(error)) => {
                self.refuse(&format!("{place}: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error).with_context(|| format!("{} {place}", self.counts.file)),
        };
        match reported.fate {
            Fate::Imported => self.counts.imported += 1,
            Fate::Amended => self.counts.amended += 1,
            Fate::Duplicate => self.counts.duplicate += 1,
        }
        match reported.unpriced {
            Some(unpriced) => {
                if self.all_unpriced.insert(reported.call_id, unpriced) {
                    self.unpriced.insert(reported.call_id);
                }
            }
            None => {
                self.unpriced.remove(&reported.call_id);
                self.all_unpriced.calls.remove(&reported.call_id);
            }
        }
        Ok(())
    }

    fn refuse(&mut self, reason: &str) {
        self.counts.refused += 1;
        let file = &self.counts.file;
        let line = match self.counts.refused {
            n if n <= MAX_REASONS => format!("refused: {file}: {reason}"),
            n if n == MAX_REASONS + 1 => format!("refused: {file}: further reasons are not shown"),
            _ => return,
        };
        self.bar.suspend(|| say!("{line}"));
    }

    fn show(&self) {
        let (bar, counts) = (&self.bar, &self.counts);
        bar.set_position(self.read_bytes.load(Ordering::Relaxed));
        bar.set_message(format!("{} records, {} refused", HumanCount(counts.done()), HumanCount(counts.refused)));
    }
}

/// The calls of all inputs that have no price yet. One that several inputs speak of is one call, and has a price as soon as
/// one of them gives it what it takes.
#[derive(Default)]
pub(super) struct UnpricedCalls {
    calls: HashMap<Uuid, Unpriced>,
    /// Whether there are more than are counted.
    has_more: bool,
}

/// Models named of those that have no price.
const MAX_MODELS: usize = 10;

impl UnpricedCalls {
    /// Whether the call is counted.
    fn insert(&mut self, call: Uuid, unpriced: Unpriced) -> bool {
        let is_counted = self.calls.len() < MAX_UNPRICED_CALLS || self.calls.contains_key(&call);
        if is_counted {
            self.calls.insert(call, unpriced);
        }
        self.has_more |= !is_counted;
        is_counted
    }

    /// Says which models have no price, and what to do about it.
    pub(super) fn tell(&self) {
        let mut by_model: BTreeMap<&Unpriced, u64> = BTreeMap::new();
        for unpriced in self.calls.values() {
            *by_model.entry(unpriced).or_default() += 1;
        }
        let mut models: Vec<_> = by_model.into_iter().collect();
        models.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
        let Some((first, _)) = models.first() else { return };
        let all = HumanCount(self.calls.len() as u64);
        let or_more = if self.has_more { " or more" } else { "" };
        say!("{all}{or_more} calls have no price, and are in no cost:");
        for (unpriced, calls) in models.iter().take(MAX_MODELS) {
            let model = unpriced.model.as_ref().map_or("no model", Name::as_str);
            let provider = unpriced.provider.as_ref().map_or("no provider", Name::as_str);
            say!("  {model} ({provider}): {}", HumanCount(*calls));
        }
        if models.len() > MAX_MODELS {
            say!("  and {} more models", models.len() - MAX_MODELS);
        }
        let model = first.model.as_ref().map_or("MODEL", Name::as_str);
        say!(
            "`apex prices list --model '{model}'` shows the prices that are known. Set the others with `apex prices import \
             TABLE.json --effective-from DATE`, and import the files again."
        );
        if self.calls.values().any(|unpriced| unpriced.provider.is_none()) {
            say!(
                "A call that names no provider has a price only if one provider lists its model; --provider names it."
            );
        }
    }
}

/// Reads on a thread of its own; the channel bounds how far it is ahead. What was passed over is told at the end.
fn parse(
    format: Format,
    options: Options,
    reader: Box<dyn std::io::Read + Send>,
) -> (mpsc::Receiver<Result<import::Record, Problem>>, oneshot::Receiver<PassedOver>) {
    let (sender, receiver) = mpsc::channel(2 * MAX_IN_FLIGHT);
    let (told, passed_over) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut records: Records = match import::open(format, options, reader) {
            Ok(records) => records,
            Err(error) => {
                // Whoever does not listen any more has stopped the import.
                drop(sender.blocking_send(Err(Problem::Broken(error))));
                return;
            }
        };
        for record in records.by_ref() {
            if sender.blocking_send(record).is_err() {
                return;
            }
        }
        // Nobody wants to know where the import has stopped.
        told.send(records.passed_over()).unwrap_or_default();
    });
    (receiver, passed_over)
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

/// Imports a file that comes with the program, which has to be imported whole.
pub(super) async fn import_sample(
    ingest: &mut Ingest,
    format: Format,
    options: Options,
    shown: String,
    input: Input,
) -> anyhow::Result<()> {
    let (counts, ending) = import_input(ingest, format, options, shown, input, &mut UnpricedCalls::default()).await;
    match ending {
        Ending::Complete => Ok(()),
        Ending::NoCalls | Ending::Unreadable => anyhow::bail!("{} was not imported whole", counts.file),
        Ending::Stopped(error) => Err(error),
    }
}
