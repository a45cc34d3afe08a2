//! Following the log from a position: first the stored events, then each new one, without gaps or duplicates.
//!
//! The transport pulls: an event is read when the previous one was sent. A slow subscriber falls back to reading from the
//! table. None ever misses an event or makes the process buffer more than a page.

use super::errors::{self, bad_input};
use super::services::{Services, services};
use async_graphql::{Context, Result};
use futures::Stream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use streams::{Backoff, PageLimit, Position, ReadError, RecordedEvent, TenantFilter};

/// The delays of retries after the database failed.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(25), max: Duration::from_millis(1600) };

/// The progress of a subscription through the log: the position from which its client resumes after a disconnect. The
/// transport adds one to the request, and reports it in heartbeats and errors. Clones share their state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Positions>);

#[derive(Debug, Default)]
struct Positions {
    is_following: AtomicBool,
    last_yielded: AtomicU64,
    sent_up_to: AtomicU64,
}

impl Progress {
    /// The position up to which every selected event was sent. None if the operation does not follow the log.
    pub(crate) fn position(&self) -> Option<Position> {
        let is_following = self.0.is_following.load(Ordering::Relaxed);
        is_following.then(|| self.0.sent_up_to.load(Ordering::Relaxed).into())
    }

    /// Records that the transport has sent the last event that was yielded to it.
    pub(crate) fn mark_sent(&self) {
        self.advance(self.0.last_yielded.load(Ordering::Relaxed).into());
    }

    fn start(&self, after: Position) {
        self.advance(after);
        self.0.is_following.store(true, Ordering::Relaxed);
    }

    fn mark_yielded(&self, position: Position) {
        self.0.last_yielded.store(position.get(), Ordering::Relaxed);
    }

    fn advance(&self, position: Position) {
        self.0.sent_up_to.fetch_max(position.get(), Ordering::Relaxed);
    }
}

/// The position after which a reconnected client resumes, from `Last-Event-ID`. It takes precedence over the argument
/// `after` of the operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResumeAfter(pub(crate) Position);

/// One subscriber's cursor through the log.
struct Follower {
    services: Arc<Services>,
    filter: TenantFilter,
    /// Every selected event up to this position was yielded or is in `pending`.
    cursor: Position,
    pending: VecDeque<Arc<RecordedEvent>>,
    progress: Progress,
}

/// Follows the log for a GraphQL subscription: events after a position, otherwise those appended from now on.
pub(crate) async fn events(
    ctx: &Context<'_>,
    filter: TenantFilter,
    after: Option<Position>,
) -> Result<impl Stream<Item = Result<Arc<RecordedEvent>>> + use<>> {
    let after = ctx.data_opt::<ResumeAfter>().map(|resume| resume.0).or(after);
    let progress = ctx.data_opt::<Progress>().cloned().unwrap_or_default();
    open(services(ctx)?.clone(), filter, after, progress).await
}

/// Follows the log outside GraphQL.
///
/// # Errors
/// `POSITION_AHEAD` for a position beyond the end of the log.
pub(crate) async fn open(
    services: Arc<Services>,
    filter: TenantFilter,
    after: Option<Position>,
    progress: Progress,
) -> Result<impl Stream<Item = Result<Arc<RecordedEvent>>> + use<>> {
    // Boxed, because a subscriber keeps the memory of this future as long as it follows the log.
    let head = Box::pin(services.commands.log().head()).await.map_err(|error| errors::read(&error))?;
    let cursor = after.unwrap_or(head);
    if cursor > head {
        let message = format!("position {cursor} is beyond the end of the log, which is at position {head}");
        return Err(bad_input("POSITION_AHEAD", message));
    }
    progress.start(cursor);
    let follower = Follower { services, filter, cursor, pending: VecDeque::new(), progress };
    Ok(futures::stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(Some(event)) => Some((Ok(event), Some(follower))),
            Ok(None) => None,
            Err(error) => Some((Err(errors::read(&error)), None)),
        }
    }))
}

impl Follower {
    /// The next event; none when the server shuts down.
    async fn next(&mut self) -> Result<Option<Arc<RecordedEvent>>, ReadError> {
        let (log, limits) = (&self.services.events, &self.services.limits);
        let limit = PageLimit { events: limits.subscription_page, bytes: limits.subscription_page_bytes };
        // The transport requests an event once it has sent the previous one.
        self.progress.mark_sent();
        let mut failures: u32 = 0;
        while self.pending.is_empty() {
            self.progress.advance(self.cursor);
            tokio::select! {
                () = self.services.shutdown.cancelled() => return Ok(None),
                found = log.next_page(self.cursor, &self.filter, limit) => match found {
                    Ok(found) => {
                        self.cursor = found.scanned_to;
                        self.pending = found.events;
                        failures = 0;
                    }
                    // Nothing is lost by waiting until the database is back. A filter that it rejects is rejected again
                    // by every retry.
                    Err(ReadError::Database(error)) if !error.is_invalid_input() => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a subscription cannot read the log; retrying");
                        failures = failures.saturating_add(1);
                        tokio::time::sleep(BACKOFF.delay(failures)).await;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        let event = self.pending.pop_front();
        if self.pending.is_empty() {
            // Frees the page while the subscriber waits for new events.
            self.pending = VecDeque::new();
        }
        if let Some(event) = &event {
            self.progress.mark_yielded(event.position);
        }
        Ok(event)
    }
}
