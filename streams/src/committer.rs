//! Committing one batch: attempts, and what a failure means for each of its appends.

use crate::append::Appended;
use crate::commit::{AppendOutcome, write_batch};
use crate::connections::AppenderConnections;
use crate::error::AppendError;
use crate::limits::MAX_BATCH_ATTEMPTS;
use crate::queued_append::{QueuedAppend, Reply};
use crate::tail::Tail;
use metrics::{counter, histogram};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Instrument;

#[derive(Clone)]
pub(crate) struct Committer {
    pub(crate) connections: Arc<AppenderConnections>,
    pub(crate) batch_timeout: Duration,
    pub(crate) tail: Tail,
    pub(crate) last_failure: LastFailure,
}

/// The time and the error of the last batch, if it failed for a reason that the next batch may fail for too.
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

/// A batch that was committed or has failed.
#[derive(Default)]
pub(crate) struct FinishedBatch {
    pub(crate) replies: Vec<Reply>,
    /// Appends that were not decided and go into another batch.
    pub(crate) requeued: Vec<QueuedAppend>,
}

impl Committer {
    pub(crate) async fn commit(&self, batch: Vec<QueuedAppend>) -> FinishedBatch {
        let started = Instant::now();
        let events: usize = batch.iter().map(|queued| queued.append.event_count()).sum();
        // A child of the first append's span, linked to the spans of the others.
        let first = batch.first().map(|queued| queued.span.clone()).unwrap_or_else(tracing::Span::none);
        let span = tracing::info_span!(parent: &first, "log_append", appends = batch.len(), events);
        for queued in batch.iter().skip(1) {
            span.follows_from(&queued.span);
        }
        let written = self.write_with_retries(&batch).instrument(span).await;
        histogram!("apex_log_append_seconds").record(started.elapsed().as_secs_f64());
        match written {
            Ok(outcomes) => self.finish(batch, outcomes),
            // The database refused one of the appends, which must not fail the others.
            Err(AppendError::Refused(_)) if batch.len() > 1 => self.commit_one_by_one(batch).await,
            Err(error) => self.fail(batch, &error),
        }
    }

    async fn write_with_retries(&self, batch: &[QueuedAppend]) -> Result<Vec<AppendOutcome>, AppendError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match write_batch(&self.connections, self.batch_timeout, batch).await {
                Err(AppendError::Unavailable(error))
                    if attempts < MAX_BATCH_ATTEMPTS && error.is_concurrency_conflict() =>
                {
                    tracing::debug!(attempts, "another process wrote to the same stream or command; trying again");
                }
                written => return written,
            }
        }
    }

    async fn commit_one_by_one(&self, batch: Vec<QueuedAppend>) -> FinishedBatch {
        let mut finished = FinishedBatch::default();
        for (index, queued) in batch.into_iter().enumerate() {
            if queued.chains.is_aborted() {
                queued.finish(Err(AppendError::ChainAborted)).send();
                continue;
            }
            tracing::debug!(index, "committing an append of a refused batch on its own");
            let mut one = Box::pin(self.commit(vec![queued])).await;
            // Replies are sent at once: one by one takes long, and no caller should wait for the others.
            one.replies.into_iter().for_each(Reply::send);
            finished.requeued.append(&mut one.requeued);
        }
        finished
    }

    fn finish(&self, batch: Vec<QueuedAppend>, outcomes: Vec<AppendOutcome>) -> FinishedBatch {
        fail::fail_point!("log_append_answered");
        counter!("apex_log_batches_total").increment(1);
        self.last_failure.set(None);
        if outcomes.iter().any(|outcome| matches!(outcome, AppendOutcome::Decided(Ok(Appended::New { .. })))) {
            self.tail.wake();
        }
        let mut finished = FinishedBatch::default();
        for (queued, outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                AppendOutcome::Undecided => finished.requeued.push(queued),
                AppendOutcome::Decided(result) => {
                    if let Ok(Appended::New { .. }) = result {
                        counter!("apex_log_events_total").increment(queued.append.event_count() as u64);
                    }
                    finished.replies.push(queued.finish(result));
                }
            }
        }
        finished
    }

    fn fail(&self, batch: Vec<QueuedAppend>, error: &AppendError) -> FinishedBatch {
        tracing::warn!(error = error as &dyn std::error::Error, appends = batch.len(), "a batch failed to commit");
        counter!("apex_log_failed_batches_total").increment(1);
        // A conflict with another process is no fault of the database.
        let is_database_failure = match error {
            AppendError::Unavailable(error) => !error.is_concurrency_conflict(),
            error => matches!(error, AppendError::Indeterminate(_)),
        };
        if is_database_failure {
            self.last_failure.set(Some((Instant::now(), error.clone())));
        }
        let replies = batch.into_iter().map(|queued| queued.finish(Err(error.clone()))).collect();
        FinishedBatch { replies, requeued: Vec::new() }
    }
}
