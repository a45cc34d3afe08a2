//! Ordered group commit: appends that are queued while a batch commits go together into the next batch.
//!
//! There is no timer. An idle log commits an append at once; a busy log commits as many as were queued in the meantime.
//! A stream is in one batch at a time, so appends of one process to one stream are written in the order of submission.

use crate::batch::{Batch, next_batch};
use crate::committer::{Committer, FinishedBatch};
use crate::event::StreamKey;
use crate::limits::AppenderLimits;
use crate::queued_append::{QueuedAppend, Reply};
use metrics::gauge;
use std::collections::{HashSet, VecDeque};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The task that commits the appends of this process.
pub(crate) struct Appender {
    limits: AppenderLimits,
    submissions: mpsc::UnboundedReceiver<QueuedAppend>,
    committer: Committer,
    queue: VecDeque<QueuedAppend>,
    batches: JoinSet<BatchInFlight>,
    appends_in_flight: usize,
    /// The streams that the batches in flight change.
    busy: HashSet<StreamKey>,
}

struct BatchInFlight {
    appends: usize,
    changed: HashSet<StreamKey>,
    finished: FinishedBatch,
}

impl Appender {
    pub(crate) fn new(
        limits: AppenderLimits,
        submissions: mpsc::UnboundedReceiver<QueuedAppend>,
        committer: Committer,
    ) -> Self {
        Self {
            limits,
            submissions,
            committer,
            queue: VecDeque::new(),
            batches: JoinSet::new(),
            appends_in_flight: 0,
            busy: HashSet::new(),
        }
    }

    /// Commits batches until every [`crate::Log`] handle is dropped and the queue is empty.
    ///
    /// # Panics
    /// When committing a batch panicked. Its callers then get [`crate::AppendError::Indeterminate`], later callers
    /// [`crate::AppendError::Closed`], and [`crate::Log::appender_stopped`] completes.
    pub(crate) async fn run(mut self) {
        let mut is_open = true;
        while is_open || !self.queue.is_empty() || !self.batches.is_empty() {
            tokio::select! {
                Some(batch) = self.batches.join_next() => {
                    let batch = batch.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
                    self.complete(batch).await;
                }
                submitted = self.submissions.recv(), if is_open => match submitted {
                    Some(submitted) => self.queue.push_back(submitted),
                    None => is_open = false,
                },
            }
            while let Ok(submitted) = self.submissions.try_recv() {
                self.queue.push_back(submitted);
            }
            self.start_batches();
        }
    }

    async fn complete(&mut self, batch: BatchInFlight) {
        self.appends_in_flight -= batch.appends;
        for stream in &batch.changed {
            self.busy.remove(stream);
        }
        for queued in batch.finished.requeued.into_iter().rev() {
            self.queue.push_front(queued);
        }
        // Replies are sent from this task, which then yields: callers run first, and their next appends are in the queue
        // before the next batch is cut.
        batch.finished.replies.into_iter().for_each(Reply::send);
        tokio::task::yield_now().await;
    }

    fn start_batches(&mut self) {
        while self.batches.len() < self.limits.connections && self.queue.len() >= self.appends_in_flight {
            let Batch { appends, changed, aborted } = next_batch(&mut self.queue, &self.busy, &self.limits);
            aborted.into_iter().for_each(Reply::send);
            if appends.is_empty() {
                break;
            }
            gauge!("apex_log_append_queue").set(self.queue.len() as f64);
            fail::fail_point!("log_append_batch_cut");
            self.busy.extend(changed.iter().cloned());
            self.appends_in_flight += appends.len();
            let committer = self.committer.clone();
            self.batches.spawn(async move {
                let count = appends.len();
                BatchInFlight { appends: count, changed, finished: committer.commit(appends).await }
            });
        }
    }
}
