//! A file that is imported over the network: what its sender is told while it is read, and when it ends.

use crate::error::InputError;
use crate::importer::Importer;
use crate::run::{ImportCounts, ImportResult, ImportStopped, Progress, Source, import};
use crate::unpriced::{UnpricedCalls, UnpricedModel};
use domain::{CallId, error_with_causes};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The most refused records that are named, and the most records of which something was not read. All are counted.
const MAX_NAMED: u64 = 100;
/// The capacity of the channel that [`receive_file`] needs: for what is named, and for counts.
pub const FILE_LINES: usize = 512;
/// How many lines the channel has to have left for a line of counts, which can be left out.
const RESERVED: usize = 256;
/// How often counts are told.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// The most calls without a price that are told. All are counted.
const MAX_UNPRICED: usize = 100_000;

/// A line of the answer to a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum FileLine {
    /// The counts so far.
    Counted {
        /// The counts.
        counts: ImportCounts,
    },
    /// A record was refused.
    Refused {
        /// The number of records refused so far.
        number: u64,
        /// The location of the record, and why it was refused.
        reason: String,
    },
    /// Something of a record was not read. The rest of it counts.
    Ignored {
        /// The number of such records so far.
        number: u64,
        /// The location of the record, and what was not read and why.
        reason: String,
    },
    /// Nothing follows.
    Ended(Box<FileEnd>),
}

/// The result of a file. What was counted is in the log, however it ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileEnd {
    /// The counts of the file.
    pub counts: ImportCounts,
    /// Why the file was not read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<FileStopped>,
    /// The calls without a price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<(CallId, UnpricedModel)>,
    /// Whether there are more of them.
    #[serde(default)]
    pub has_more_unpriced: bool,
    /// The calls that an earlier file may have left without a price, and that have one now or are a part of another call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priced: Vec<CallId>,
}

/// Why a file was not read to its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileStopped {
    /// Where, if a record could not be recorded. Otherwise the file could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Why.
    pub message: String,
}

/// Imports a file, and tells its sender by lines, of which the last one is [`FileLine::Ended`] and is returned.
pub async fn receive_file(
    mut importer: Importer,
    source: Source,
    lines: &mpsc::Sender<FileLine>,
    cancel: impl Future<Output = ()>,
) -> (FileEnd, Option<ImportStopped>) {
    let mut unpriced = UnpricedCalls::with_limit(MAX_UNPRICED);
    let mut told = Instant::now();
    // The channel has room for all that is named, and a line of counts may be left out: no line waits.
    let on_progress = |progress: Progress<'_>| match progress {
        Progress::Counted(counts) if told.elapsed() > COUNT_INTERVAL && lines.capacity() > RESERVED => {
            told = Instant::now();
            drop(lines.try_send(FileLine::Counted { counts: *counts }));
        }
        Progress::Refused { number, reason } if number <= MAX_NAMED => {
            drop(lines.try_send(FileLine::Refused { number, reason: reason.to_owned() }));
        }
        Progress::Ignored { number, reason } if number <= MAX_NAMED => {
            drop(lines.try_send(FileLine::Ignored { number, reason: reason.to_owned() }));
        }
        Progress::Counted(_) | Progress::Refused { .. } | Progress::Ignored { .. } => {}
    };
    let ImportResult { counts, stopped } = import(&mut importer, source, &mut unpriced, on_progress, cancel).await;
    let end = FileEnd {
        counts,
        stopped: stopped.as_ref().map(FileStopped::of),
        unpriced: unpriced.iter().map(|(id, model)| (id, model.clone())).collect(),
        has_more_unpriced: unpriced.has_more(),
        priced: unpriced.priced().to_vec(),
    };
    (end, stopped)
}

impl FileStopped {
    /// The file cannot be read any further.
    #[must_use]
    pub fn unreadable(error: &InputError) -> Self {
        Self { location: None, message: error_with_causes(error) }
    }

    fn of(stopped: &ImportStopped) -> Self {
        match stopped {
            ImportStopped::Record { location, error } => {
                Self { location: Some(location.to_string()), message: error_with_causes(error) }
            }
            other => Self { location: None, message: error_with_causes(other) },
        }
    }
}
