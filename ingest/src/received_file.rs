//! A file that is imported over the network: what its sender is told while it is read, and when it ends.

use crate::importer::Importer;
use crate::run::{ImportCounts, ImportResult, ImportStopped, Progress, Source, import};
use crate::unpriced::{UnpricedCalls, UnpricedModel};
use domain::CallId;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// The most refused records that are named, and the most records of which something was not read. All are counted.
const MAX_NAMED: u64 = 100;
/// The capacity of the channel that [`receive_file`] needs: for what is named, and for counts.
pub const FILE_LINES: usize = 512;
/// How many lines the channel has to have left for a line of counts, which can be left out.
const RESERVED: usize = 256;
/// How often counts are told while they change.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// How often counts are told also if they do not change, as while a document is read. Clients give up on a connection that
/// takes nothing for half a minute.
const SIGN_INTERVAL: Duration = Duration::from_secs(10);
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
    /// Where, if a record could not be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The code of the reason: [`FileStopped::UNREADABLE`], or why no more can be recorded.
    pub code: String,
    /// Why.
    pub message: String,
    /// After how many seconds a retry of all of it may succeed; none if it does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// What a sender is told while its file is read.
struct Told<'a> {
    lines: &'a mpsc::Sender<FileLine>,
    state: Mutex<(ImportCounts, Instant)>,
}

impl Told<'_> {
    /// Tells what happened. The channel has room for all that is named, and a line of counts may be left out: no line waits.
    fn tell(&self, progress: &Progress<'_>) {
        match *progress {
            Progress::Counted(counts) => self.tell_counts(Some(counts), COUNT_INTERVAL),
            Progress::Refused { number, reason } if number <= MAX_NAMED => {
                drop(self.lines.try_send(FileLine::Refused { number, reason: reason.to_owned() }));
            }
            Progress::Ignored { number, reason } if number <= MAX_NAMED => {
                drop(self.lines.try_send(FileLine::Ignored { number, reason: reason.to_owned() }));
            }
            Progress::Refused { .. } | Progress::Ignored { .. } => {}
        }
    }

    /// Tells the counts, if that is longer ago than the interval.
    fn tell_counts(&self, changed: Option<&ImportCounts>, interval: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, told) = &mut *state;
        *counts = changed.copied().unwrap_or(*counts);
        if told.elapsed() >= interval && self.lines.capacity() > RESERVED {
            *told = Instant::now();
            drop(self.lines.try_send(FileLine::Counted { counts: *counts }));
        }
    }

    /// Gives signs of life.
    async fn give_signs(&self) -> Infallible {
        loop {
            sleep(SIGN_INTERVAL / 2).await;
            self.tell_counts(None, SIGN_INTERVAL);
        }
    }
}

/// Imports a file, and tells its sender by lines. The last one, [`FileLine::Ended`], is left to the caller, who knows what an
/// error means for the sender.
pub async fn receive_file(
    mut importer: Importer,
    source: Source,
    lines: &mpsc::Sender<FileLine>,
    cancel: impl Future<Output = ()>,
) -> (FileEnd, Option<ImportStopped>) {
    let mut unpriced = UnpricedCalls::with_limit(MAX_UNPRICED);
    let told = Told { lines, state: Mutex::new((ImportCounts::default(), Instant::now())) };
    let importing = import(&mut importer, source, &mut unpriced, |progress| told.tell(&progress), cancel);
    let ImportResult { counts, stopped } = tokio::select! {
        result = importing => result,
        never = told.give_signs() => match never {},
    };
    let end = FileEnd {
        counts,
        stopped: None,
        unpriced: unpriced.iter().map(|(id, model)| (id, model.clone())).collect(),
        has_more_unpriced: unpriced.has_more(),
        priced: unpriced.priced().to_vec(),
    };
    (end, stopped)
}

impl FileStopped {
    /// The code of a file that cannot be read any further.
    pub const UNREADABLE: &str = "UNREADABLE";

    /// The file cannot be read any further.
    #[must_use]
    pub fn unreadable(message: String) -> Self {
        Self { location: None, code: Self::UNREADABLE.to_owned(), message, retry_after_s: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients give up on a connection that takes nothing for half a minute, and a document is read as a whole.
    #[test]
    fn counts_are_told_also_while_nothing_changes() {
        let (lines, mut received) = mpsc::channel(FILE_LINES);
        let earlier = Instant::now().checked_sub(SIGN_INTERVAL).unwrap();
        let told = Told { lines: &lines, state: Mutex::new((ImportCounts::default(), earlier)) };
        let changed = ImportCounts { imported: 7, ..ImportCounts::default() };
        told.tell_counts(Some(&changed), SIGN_INTERVAL * 2);
        assert!(received.try_recv().is_err(), "it is too early");
        told.tell_counts(None, SIGN_INTERVAL);
        let Ok(FileLine::Counted { counts }) = received.try_recv() else { panic!("there is no sign of life") };
        assert_eq!(counts, changed);
        told.tell_counts(None, SIGN_INTERVAL);
        assert!(received.try_recv().is_err(), "it was told just before");
    }

    /// Nothing waits for a client that does not read, and the end has room.
    #[test]
    fn what_is_told_has_room() {
        let (lines, received) = mpsc::channel(FILE_LINES);
        let earlier = Instant::now().checked_sub(COUNT_INTERVAL).unwrap();
        let told = Told { lines: &lines, state: Mutex::new((ImportCounts::default(), earlier)) };
        for number in 1..=1_000 {
            told.state.lock().unwrap().1 = earlier;
            told.tell(&Progress::Counted(&ImportCounts::default()));
            told.tell(&Progress::Refused { number, reason: "refused" });
            told.tell(&Progress::Ignored { number, reason: "ignored" });
        }
        assert!(lines.capacity() > 0, "there is no room for the end");
        drop(received);
    }
}
