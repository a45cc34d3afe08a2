//! Ordered group commit: appends that wait while a batch commits go together in the next one.
//!
//! There is no timer. An idle log answers an append in one flush; a busy one commits as many as
//! came in the meantime. A stream is in one batch at a time, so appends of one process to one stream are written in the
//! order in which they were handed in.

use crate::append::Chain;
use crate::batch::{Taken, take};
use crate::commit::{Settled, write};
use crate::connections::Connections;
use crate::error::AppendError;
use crate::room::Place;
use crate::{Append, Appended, DatabaseError, StreamKey, Tail};
use metrics::{counter, gauge, histogram};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::Instrument;

/// Limits of the appender of one process.
#[derive(Debug, Clone, Copy)]
pub struct AppenderLimits {
    /// Appends that may wait; one more is refused as busy.
    pub max_waiting: usize,
    /// Bytes of payload and metadata that may wait; an append that would be more is refused as busy, unless none waits.
    pub max_waiting_bytes: usize,
    /// Batches on their way at the same time, each on a connection of its own. The head lets one commit at a time; the
    /// next is encoded, sent and parsed meanwhile, once as many appends wait as are on theirs: two small batches cost
    /// more than a large one. More than two pay only where the database is far away.
    pub connections: usize,
    /// Events in one batch.
    pub max_batch_events: usize,
    /// Bytes of payload and metadata in one batch.
    pub max_batch_bytes: usize,
    /// How long a batch may take. After that its connection is given up, and what became of it is unknown: a server that
    /// vanished without a word must not hold up what comes later.
    pub batch_timeout: Duration,
}

/// Batches on their way at the same time, unless told otherwise.
pub(crate) const APPENDER_CONNECTIONS: u8 = 2;

impl Default for AppenderLimits {
    fn default() -> Self {
        Self {
            max_waiting: 4096,
            max_waiting_bytes: 64 * 1024 * 1024,
            connections: usize::from(APPENDER_CONNECTIONS),
            max_batch_events: 2000,
            max_batch_bytes: 8 * 1024 * 1024,
            batch_timeout: Duration::from_secs(30),
        }
    }
}

/// What a refused writer is told to wait: about as long as a few batches take.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(50);
/// How often a batch is tried that met another process at the same new stream or command: the next try finds what the
/// other has written.
const MAX_TRIES: u32 = 5;

pub(crate) struct Waiting {
    pub(crate) append: Append,
    /// The keys of its streams, in their order.
    pub(crate) keys: Vec<StreamKey>,
    pub(crate) metadata: String,
    /// The content hashes of its events, in their order.
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) bytes: usize,
    pub(crate) chain: Option<Chain>,
    pub(crate) answer: oneshot::Sender<Result<Appended, AppendError>>,
    pub(crate) span: tracing::Span,
    /// Its place among those that may wait, until it is in a batch.
    pub(crate) place: Option<Place>,
}

impl Waiting {
    /// What was built on it falls with it. That is known before anybody is told.
    fn settle(self, answer: Result<Appended, AppendError>) -> Settlement {
        match (&self.chain, &answer) {
            (None, _) | (Some(_), Ok(Appended::New { .. })) => {}
            (Some(chain), _) => chain.abort(),
        }
        Settlement { caller: self.answer, answer }
    }

    pub(crate) fn respond(self, answer: Result<Appended, AppendError>) {
        self.settle(answer).tell();
    }
}

/// An answer that is not told yet.
struct Settlement {
    caller: oneshot::Sender<Result<Appended, AppendError>>,
    answer: Result<Appended, AppendError>,
}

impl Settlement {
    fn tell(self) {
        // A caller that stopped waiting finds out by its command id.
        drop(self.caller.send(self.answer));
        fail::fail_point!("log_append_handed_out");
    }
}

pub(crate) struct Appender {
    pub(crate) limits: AppenderLimits,
    pub(crate) queue: mpsc::UnboundedReceiver<Waiting>,
    pub(crate) committer: Committer,
}

#[derive(Clone)]
pub(crate) struct Committer {
    pub(crate) connections: Arc<Connections>,
    pub(crate) batch_timeout: Duration,
    pub(crate) tail: Tail,
    pub(crate) failure: LastFailure,
}

/// The error of the last batch, and when it was, if that batch failed for a reason that the next one may meet, too.
#[derive(Clone, Default)]
pub(crate) struct LastFailure(Arc<Mutex<Option<(Instant, AppendError)>>>);

impl LastFailure {
    pub(crate) fn get(&self) -> Option<(Instant, AppendError)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, failure: Option<(Instant, AppendError)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// A batch that came back.
#[derive(Default)]
struct Done {
    settled: Vec<Settlement>,
    /// Those whose turn did not come.
    again: Vec<Waiting>,
}

/// A batch under way.
struct UnderWay {
    appends: usize,
    streams: Vec<StreamKey>,
    done: Done,
}

impl Appender {
    /// Commits batches until every [`crate::Log`] handle is gone and the queue is empty.
    ///
    /// # Panics
    /// When committing a batch did. Whoever waits for it learns that the outcome is not known, whoever comes later that
    /// the log is closed, and [`crate::Log::appender_stopped`] completes.
    pub(crate) async fn run(mut self) {
        let mut waiting = VecDeque::new();
        let mut busy: HashSet<StreamKey> = HashSet::new();
        let mut batches: JoinSet<UnderWay> = JoinSet::new();
        let (mut open, mut under_way) = (true, 0);
        while open || !waiting.is_empty() || !batches.is_empty() {
            tokio::select! {
                Some(back) = batches.join_next() => {
                    let back = back.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
                    under_way -= back.appends;
                    for stream in &back.streams {
                        busy.remove(stream);
                    }
                    for again in back.done.again.into_iter().rev() {
                        waiting.push_front(again);
                    }
                    // Told from here, the callers come before this task: what they say next goes into the next batch.
                    back.done.settled.into_iter().for_each(Settlement::tell);
                    tokio::task::yield_now().await;
                }
                next = self.queue.recv(), if open => match next {
                    Some(next) => waiting.push_back(next),
                    None => open = false,
                },
            }
            while let Ok(next) = self.queue.try_recv() {
                waiting.push_back(next);
            }
            while batches.len() < self.limits.connections && waiting.len() >= under_way {
                let Taken { batch, streams } = take(&mut waiting, &busy, &self.limits);
                if batch.is_empty() {
                    break;
                }
                gauge!("apex_log_append_queue").set(waiting.len() as f64);
                fail::fail_point!("log_append_batch_cut");
                busy.extend(streams.iter().cloned());
                under_way += batch.len();
                let committer = self.committer.clone();
                batches.spawn(async move {
                    UnderWay { appends: batch.len(), done: committer.commit(batch).await, streams }
                });
            }
        }
    }
}

impl Committer {
    /// Commits a batch.
    async fn commit(&self, batch: Vec<Waiting>) -> Done {
        let started = Instant::now();
        let events: usize = batch.iter().map(|waiting| waiting.append.event_count()).sum();
        // A part of the trace of the first, linked to those of the others.
        let first = batch.first().map(|waiting| waiting.span.clone()).unwrap_or_else(tracing::Span::none);
        let span = tracing::info_span!(parent: &first, "log_append", appends = batch.len(), events);
        for waiting in batch.iter().skip(1) {
            span.follows_from(&waiting.span);
        }
        let outcome = self.try_write(&batch).instrument(span).await;
        histogram!("apex_log_append_seconds").record(started.elapsed().as_secs_f64());
        match outcome {
            Ok(settled) => self.settle(batch, settled),
            // The database refused one of them; the others must not suffer for it.
            Err(AppendError::Refused(_)) if batch.len() > 1 => self.commit_each(batch).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, appends = batch.len(), "a batch failed");
                counter!("apex_log_failed_batches_total").increment(1);
                // Others that were faster are no failure of the database.
                let is_failure = match &error {
                    AppendError::Unavailable(error) => !error.is_concurrency_conflict(),
                    error => matches!(error, AppendError::Indeterminate(_)),
                };
                if is_failure {
                    self.failure.set(Some((Instant::now(), error.clone())));
                }
                let settled = batch.into_iter().map(|waiting| waiting.settle(Err(error.clone()))).collect();
                Done { settled, again: Vec::new() }
            }
        }
    }

    async fn commit_each(&self, batch: Vec<Waiting>) -> Done {
        let mut done = Done::default();
        for (index, waiting) in batch.into_iter().enumerate() {
            if waiting.chain.as_ref().is_some_and(Chain::is_aborted) {
                waiting.respond(Err(AppendError::ChainAborted));
                continue;
            }
            tracing::debug!(index, "a refused batch is tried one by one");
            let mut one = Box::pin(self.commit(vec![waiting])).await;
            // This takes long: nobody waits for the others.
            one.settled.into_iter().for_each(Settlement::tell);
            done.again.append(&mut one.again);
        }
        done
    }

    async fn try_write(&self, batch: &[Waiting]) -> Result<Vec<Settled>, AppendError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match write(&self.connections, self.batch_timeout, batch).await {
                Err(AppendError::Unavailable(error)) if tries < MAX_TRIES && error.is_concurrency_conflict() => {
                    tracing::debug!(tries, "another process was at the same stream or command");
                }
                outcome => return outcome,
            }
        }
    }

    fn settle(&self, batch: Vec<Waiting>, settled: Vec<Settled>) -> Done {
        fail::fail_point!("log_append_answered");
        counter!("apex_log_batches_total").increment(1);
        self.failure.set(None);
        if settled.iter().any(|settled| matches!(settled, Settled::Answer(Ok(Appended::New { .. })))) {
            self.tail.wake();
        }
        let mut done = Done::default();
        for (waiting, settled) in batch.into_iter().zip(settled) {
            match settled {
                Settled::Again => done.again.push(waiting),
                Settled::Answer(answer) => {
                    if let Ok(Appended::New { .. }) = answer {
                        counter!("apex_log_events_total").increment(waiting.append.event_count() as u64);
                    }
                    done.settled.push(waiting.settle(answer));
                }
            }
        }
        done
    }
}

/// Whether a failed batch was written: the database says so, or it is not known.
pub(crate) fn classify(error: sqlx::Error) -> AppendError {
    let error = DatabaseError::from(error);
    if !error.is_rolled_back() {
        AppendError::Indeterminate(error)
    } else if error.is_transient_rollback() {
        AppendError::Unavailable(error)
    } else {
        AppendError::Refused(error)
    }
}
