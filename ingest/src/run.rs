//! The import of one input: reads on a thread of its own, and keeps many reports in flight.

use crate::call_order::{CallOrder, PlaceInOrder};
use crate::error::{InputError, RecordError};
use crate::format::{Defaults, Format};
use crate::formats::{Records, read_records};
use crate::importer::{Importer, MAX_IN_FLIGHT, PreparedReport};
use crate::item::Item;
use crate::outcome::{ImportError, ImportOutcome, Imported};
use crate::record::{Location, SkippedCounts};
use crate::traces::{PreparedTrace, SpanResult};
use crate::unpriced::UnpricedCalls;
use domain::CallId;
use domain::trace::TraceError;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::future::Future;
use std::io::Read;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

/// The numbers of records of an input, by what happened to them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Records whose call was new.
    pub imported: u64,
    /// Records that added to a known call.
    pub amended: u64,
    /// Records that added nothing.
    pub duplicate: u64,
    /// Records that were refused.
    pub refused: u64,
    /// Records of which something was not read, such as a reported cost that is no amount, and kinds of things that were not
    /// read of any record, such as an attribute that is not understood. The rest of them counts.
    pub ignored: u64,
    /// Calls without a price. Set when the import ends.
    pub unpriced: u64,
    /// Items of the format that are not calls. Set when the input was read to its end.
    #[serde(rename = "no_calls")]
    pub not_calls: u64,
    /// Items that are not of the format, and were skipped. Set when the input was read to its end.
    #[serde(rename = "foreign")]
    pub other_format: u64,
}

impl ImportCounts {
    /// The number of records whose calls are in the log.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.imported + self.amended + self.duplicate
    }
}

/// The progress of an import, as its callback gets it.
pub enum Progress<'a> {
    /// The counts so far, which have changed.
    Counted(&'a ImportCounts),
    /// A record was refused; the number is its place among the refused records of the input, from 1.
    Refused {
        /// The number of records refused so far.
        number: u64,
        /// The location of the record, and why it was refused.
        reason: &'a str,
    },
    /// Something of a record was not read; the number is its place among such records of the input, from 1.
    Ignored {
        /// The number of such records so far.
        number: u64,
        /// The location of the record, and what was not read and why.
        reason: &'a str,
    },
}

/// Why an import stopped before its input was read to its end.
#[derive(Debug, Error)]
pub enum ImportStopped {
    /// The input cannot be read any further. Other inputs may be imported.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A record could not be recorded, so that no other input can be imported either.
    #[error("{location}")]
    Record {
        /// The location of the record in its input.
        location: Location,
        /// Why it could not be recorded.
        #[source]
        error: ImportError,
    },
    /// A report panicked.
    #[error("a report did not complete")]
    Report(#[from] JoinError),
    /// The import was cancelled.
    #[error("the import was cancelled")]
    Cancelled,
}

/// The result of the import of one input. What was counted is in the log, however the import ended.
#[derive(Debug)]
pub struct ImportResult {
    /// The counts of the input.
    pub counts: ImportCounts,
    /// Why the input was not read to its end; `None` if it was.
    pub stopped: Option<ImportStopped>,
}

/// What an import reads.
pub struct Source {
    /// The format of the content.
    pub format: Format,
    /// Values for records that do not name them.
    pub defaults: Defaults,
    /// The content.
    pub reader: Box<dyn Read + Send>,
}

/// Imports an input. Each refusal and each change of the counts is passed to `on_progress`.
///
/// When `cancel` completes, no more records are read; those in flight are completed and counted. Calls without a price
/// are added to `unpriced`, which counts a call once over several inputs.
pub async fn import(
    importer: &mut Importer,
    source: Source,
    unpriced: &mut UnpricedCalls,
    on_progress: impl FnMut(Progress<'_>),
    cancel: impl Future<Output = ()>,
) -> ImportResult {
    let (mut records, end) = spawn_reader(source);
    let mut run = Run {
        counts: ImportCounts::default(),
        unpriced: HashSet::new(),
        unpriced_of_all_inputs: unpriced,
        on_progress,
        stopped: None,
        is_read: false,
        repeats: 0,
    };
    run.import(importer, &mut records, cancel).await;
    // The reader's thread blocks while the channel is full; this ends it.
    drop(records);
    if run.stopped.is_none() {
        let End { skipped, not_read } = end.await.unwrap_or_default();
        (run.counts.not_calls, run.counts.other_format) = (skipped.not_calls + run.repeats, skipped.other_format);
        not_read.iter().for_each(|reason| run.ignore(reason));
    }
    run.counts.unpriced = run.unpriced.len() as u64;
    ImportResult { counts: run.counts, stopped: run.stopped }
}

/// What is known at the end of an input.
#[derive(Default)]
struct End {
    skipped: SkippedCounts,
    /// What of the input as a whole was not read.
    not_read: Vec<String>,
}

type ItemReceiver = mpsc::Receiver<Result<Item, RecordError>>;

/// Reads on a thread of its own. The capacity of the channel limits how far it reads ahead. What is known at
/// the end of the input is sent then.
fn spawn_reader(source: Source) -> (ItemReceiver, oneshot::Receiver<End>) {
    let (sender, receiver) = mpsc::channel(MAX_IN_FLIGHT);
    let (end_sender, end) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut records: Records = match read_records(source.format, source.defaults, source.reader) {
            Ok(records) => records,
            Err(error) => {
                // An error here means that the import has stopped.
                drop(sender.blocking_send(Err(RecordError::Input(error))));
                return;
            }
        };
        for record in records.by_ref() {
            if sender.blocking_send(record).is_err() {
                return;
            }
        }
        // An error here means that the import has stopped.
        drop(end_sender.send(End { skipped: records.skipped(), not_read: records.take_not_read() }));
    });
    (receiver, end)
}

/// The state of a running import.
struct Run<'a, P> {
    counts: ImportCounts,
    /// The calls of this input without a price.
    unpriced: HashSet<CallId>,
    unpriced_of_all_inputs: &'a mut UnpricedCalls,
    on_progress: P,
    stopped: Option<ImportStopped>,
    /// Whether the input is read to its end.
    is_read: bool,
    /// The number of spans that repeat calls.
    repeats: u64,
}

/// Something that is ready to be sent.
enum Prepared {
    Call(Location, Box<PreparedReport>),
    Trace(Box<PreparedTrace>),
}

/// The results of what was sent.
struct Sent {
    /// The result of each record or span with usage, with its location.
    results: Vec<(Location, Result<SpanResult, ImportError>)>,
    /// What was not read of a trace, with the location of one of its spans.
    not_read: Vec<(Location, String)>,
}

impl Prepared {
    async fn of(importer: &mut Importer, item: Item) -> Result<Self, (Location, ImportError)> {
        match item {
            Item::Call(record) => {
                let location = record.location;
                let report = importer.prepare(*record).await.map_err(|error| (location, error))?;
                Ok(Self::Call(location, Box::new(report)))
            }
            Item::Trace(trace) => {
                let location = trace.spans.first().map_or(Location::Span(1), |span| span.location);
                let trace = importer.prepare_trace(trace).await.map_err(|error| (location, error))?;
                Ok(Self::Trace(Box::new(trace)))
            }
        }
    }

    /// The place of the report of a call among those in flight. Those of one trace wait for each other by themselves.
    fn place(&self, order: &mut CallOrder) -> PlaceInOrder {
        match self {
            Self::Call(_, report) => order.place(report.call_ids()),
            Self::Trace(_) => order.place([]),
        }
    }

    async fn send(self) -> Sent {
        match self {
            Self::Call(location, report) => {
                let results = vec![(location, report.send().await.map(SpanResult::Imported))];
                Sent { results, not_read: Vec::new() }
            }
            Self::Trace(trace) => {
                let result = trace.send().await;
                let last = result.spans.last().map_or(Location::Span(1), |(location, _)| *location);
                let sent = result.spans.into_iter().map(|(location, span)| (location, Ok(span)));
                let results = sent.chain(result.error.map(|error| (last, Err(error)))).collect();
                let dropped_links = (result.dropped_links > 0).then(|| {
                    format!(
                        "{} spans of the trace that state no usage: {}",
                        result.dropped_links,
                        TraceError::TooManyLinks
                    )
                });
                let sums = result.mismatches.iter().map(ToString::to_string);
                let not_read = sums.chain(dropped_links).map(|reason| (last, reason)).collect();
                Sent { results, not_read }
            }
        }
    }
}

impl<P: FnMut(Progress<'_>)> Run<'_, P> {
    /// Imports all records. Reports in flight are completed and counted, however the import ends.
    async fn import(&mut self, importer: &mut Importer, records: &mut ItemReceiver, cancel: impl Future<Output = ()>) {
        let mut cancel = std::pin::pin!(cancel);
        // Each report is a task: a future that is not polled would hold a connection that others wait for.
        let (mut reports, mut order): (JoinSet<Sent>, _) = (JoinSet::new(), CallOrder::default());
        loop {
            let is_reading = self.stopped.is_none() && !self.is_read;
            tokio::select! {
                Some(sent) = reports.join_next() => match sent {
                    Ok(sent) => self.count_all(sent),
                    Err(error) => self.stop(error.into()),
                },
                () = &mut cancel, if is_reading => self.stop(ImportStopped::Cancelled),
                record = records.recv(), if is_reading && reports.len() < MAX_IN_FLIGHT => match record {
                    Some(Ok(item)) => {
                        if let Item::Call(record) = &item
                            && let Some(ignored) = &record.ignored
                        {
                            self.ignore(&format!("{}: {ignored}", record.location));
                        }
                        let prepared = tokio::select! {
                            prepared = Prepared::of(importer, item) => Some(prepared),
                            () = &mut cancel => None,
                        };
                        match prepared {
                            Some(Ok(prepared)) => _ = reports.spawn(prepared.place(&mut order).run(prepared.send())),
                            Some(Err((location, error))) => self.count(location, Err(error)),
                            None => self.stop(ImportStopped::Cancelled),
                        }
                    }
                    Some(Err(RecordError::Refused(refusal))) => self.refuse(&refusal.to_string()),
                    Some(Err(RecordError::Input(error))) => self.stop(error.into()),
                    None => self.is_read = true,
                },
                else => return,
            }
            (self.on_progress)(Progress::Counted(&self.counts));
        }
    }

    /// Stops reading. An error of the log takes precedence over one of the input, and the first error over later ones.
    fn stop(&mut self, error: ImportStopped) {
        if matches!(self.stopped, None | Some(ImportStopped::Input(_) | ImportStopped::Cancelled)) {
            self.stopped = Some(error);
        }
    }

    fn count_all(&mut self, sent: Sent) {
        sent.results.into_iter().for_each(|(location, result)| self.count(location, result));
        for (location, reason) in sent.not_read {
            self.ignore(&format!("{location}: {reason}"));
        }
    }

    fn count(&mut self, location: Location, result: Result<SpanResult, ImportError>) {
        let imported: Imported = match result {
            Ok(SpanResult::Imported(imported)) => imported,
            Ok(SpanResult::Repeat) => {
                self.repeats += 1;
                return;
            }
            Ok(SpanResult::Refused(reason)) => return self.refuse(&format!("{location}: {reason}")),
            Err(ImportError::Refused(error)) => return self.refuse(&format!("{location}: {error}")),
            Err(error) => return self.stop(ImportStopped::Record { location, error }),
        };
        match imported.outcome {
            ImportOutcome::Imported => self.counts.imported += 1,
            ImportOutcome::Amended => self.counts.amended += 1,
            ImportOutcome::Duplicate => self.counts.duplicate += 1,
        }
        for voided in imported.voided {
            self.unpriced.remove(&voided);
            self.unpriced_of_all_inputs.remove_known(voided);
        }
        match imported.unpriced {
            Some(model) => {
                if self.unpriced_of_all_inputs.insert(imported.call_id, model) {
                    self.unpriced.insert(imported.call_id);
                }
            }
            None => {
                self.unpriced.remove(&imported.call_id);
                match imported.outcome {
                    ImportOutcome::Amended => self.unpriced_of_all_inputs.remove_known(imported.call_id),
                    ImportOutcome::Imported | ImportOutcome::Duplicate => {
                        self.unpriced_of_all_inputs.remove(imported.call_id);
                    }
                }
            }
        }
    }

    fn ignore(&mut self, reason: &str) {
        self.counts.ignored += 1;
        (self.on_progress)(Progress::Ignored { number: self.counts.ignored, reason });
    }

    fn refuse(&mut self, reason: &str) {
        self.counts.refused += 1;
        (self.on_progress)(Progress::Refused { number: self.counts.refused, reason });
    }
}
