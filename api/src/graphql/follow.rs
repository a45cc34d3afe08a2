//! Following the log from a position: first what it holds, then what comes, without a gap and without a repetition.
//!
//! The client pulls: an event is read when the one before it was sent. Whoever is slow falls back to reading from the
//! table, and nobody is ever skipped or makes the process keep more than a page.

use super::Services;
use super::errors::{self, bad_input};
use async_graphql::{Context, Result};
use futures::Stream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use streams::{PageLimit, Position, ReadError, ReadFilter, RecordedEvent};

/// How long a follower waits after a failure at first; the pause doubles up to 64 times as long.
const FIRST_RETRY: Duration = Duration::from_millis(25);

/// How far a subscription has come: what a client that was cut off asks again after. Its transport puts one into the
/// request, to tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    is_followed: AtomicBool,
    handed: AtomicU64,
    passed: AtomicU64,
}

impl Place {
    /// Everything that was wanted up to here was sent. None where nobody follows the log.
    pub(crate) fn position(&self) -> Option<Position> {
        let is_followed = self.0.is_followed.load(Ordering::Relaxed);
        is_followed.then(|| self.0.passed.load(Ordering::Relaxed).into())
    }

    /// The transport has sent what it was handed last.
    pub(crate) fn sent(&self) {
        self.pass(self.0.handed.load(Ordering::Relaxed).into());
    }

    fn enter(&self, after: Position) {
        self.pass(after);
        self.0.is_followed.store(true, Ordering::Relaxed);
    }

    fn hand(&self, position: Position) {
        self.0.handed.store(position.get(), Ordering::Relaxed);
    }

    fn pass(&self, position: Position) {
        self.0.passed.fetch_max(position.get(), Ordering::Relaxed);
    }
}

/// Where a client that was cut off goes on, whatever its operation says: `Last-Event-ID`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResumeAfter(pub(crate) Position);

/// One follower's way through the log.
struct Follower {
    services: Arc<Services>,
    filter: ReadFilter,
    /// Everything wanted up to here is sent or in `pending`.
    cursor: Position,
    pending: VecDeque<Arc<RecordedEvent>>,
    place: Place,
}

/// Events after a position, or from now on.
pub(crate) async fn events(
    ctx: &Context<'_>,
    filter: ReadFilter,
    after: Option<Position>,
) -> Result<impl Stream<Item = Result<Arc<RecordedEvent>>> + use<>> {
    let after = ctx.data_opt::<ResumeAfter>().map(|resume| resume.0).or(after);
    let place = ctx.data_opt::<Place>().cloned().unwrap_or_default();
    open(ctx.data::<Arc<Services>>()?.clone(), filter, after, place).await
}

/// The same, for whoever does not ask in GraphQL.
pub(crate) async fn open(
    services: Arc<Services>,
    filter: ReadFilter,
    after: Option<Position>,
    place: Place,
) -> Result<impl Stream<Item = Result<Arc<RecordedEvent>>> + use<>> {
    // In a box, since what this function needs at most is kept for each subscriber as long as it follows.
    let head = Box::pin(services.commands.log().head()).await.map_err(|error| errors::read(&error))?;
    let cursor = after.unwrap_or(head);
    if cursor > head {
        let message = format!("position {cursor} is not in the log yet, which ends at {head}");
        return Err(bad_input("POSITION_AHEAD", message));
    }
    place.enter(cursor);
    let follower = Follower { services, filter, cursor, pending: VecDeque::new(), place };
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
        let (tail, limits) = (self.services.commands.log().tail(), &self.services.limits);
        let limit = PageLimit { events: limits.subscription_page, bytes: limits.subscription_page_bytes };
        // Whoever asks for the next has done with the one before.
        self.place.sent();
        let mut failures: u32 = 0;
        while self.pending.is_empty() {
            self.place.pass(self.cursor);
            tokio::select! {
                () = self.services.shutdown.cancelled() => return Ok(None),
                found = tail.find_after(self.cursor, &self.filter, limit) => match found {
                    Ok(found) => {
                        self.cursor = found.scanned_to;
                        self.pending = found.events;
                        failures = 0;
                    }
                    // Nothing is lost by waiting for a database that is away. One that is there and refuses what it is
                    // asked would refuse it for ever.
                    Err(ReadError::Database(error)) if !error.is_invalid_input() => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a subscription cannot read the log");
                        tokio::time::sleep(FIRST_RETRY * (1 << failures.min(6))).await;
                        failures += 1;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        let event = self.pending.pop_front();
        if self.pending.is_empty() {
            // Whoever waits for long keeps no page for it.
            self.pending = VecDeque::new();
        }
        if let Some(event) = &event {
            self.place.hand(event.position);
        }
        Ok(event)
    }
}
