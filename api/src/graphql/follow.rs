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
use streams::{Position, ReadError, ReadFilter, RecordedEvent};

/// One follower's place in the log.
struct Follower {
    services: Arc<Services>,
    filter: ReadFilter,
    /// Everything wanted up to here is sent or in `pending`.
    cursor: Position,
    pending: VecDeque<Arc<RecordedEvent>>,
    /// Whether the tail is followed; before that, the table is searched for what is wanted.
    live: bool,
}

/// Events after a position, or from now on.
pub(crate) async fn events(
    ctx: &Context<'_>,
    filter: ReadFilter,
    after: Option<Position>,
) -> Result<impl Stream<Item = Result<Arc<RecordedEvent>>> + use<>> {
    let services = ctx.data::<Arc<Services>>()?.clone();
    let head = services.commands.log().head().await.map_err(|error| errors::read(&error))?;
    let cursor = after.unwrap_or(head);
    if cursor > head {
        let message = format!("position {cursor} is not in the log yet, which ends at {head}");
        return Err(bad_input("POSITION_AHEAD", message));
    }
    let follower = Follower { services, filter, cursor, pending: VecDeque::new(), live: false };
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
        let shutdown = self.services.shutdown.clone();
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                filled = self.fill() => filled?,
            }
        }
    }

    async fn fill(&mut self) -> Result<(), ReadError> {
        if self.live { self.fill_live().await } else { self.fill_replay().await }
    }

    /// Searches the table. What the head was before the search is all seen when a page is not full.
    async fn fill_replay(&mut self) -> Result<(), ReadError> {
        let log = self.services.commands.log();
        let page = self.services.limits.subscription_page;
        let head = log.tail().head();
        let events = log.read_after(self.cursor, &self.filter, page).await?;
        self.live = events.len() < page;
        if let Some(last) = events.last() {
            self.cursor = last.position;
        }
        if self.live {
            self.cursor = self.cursor.max(head);
        }
        self.pending.extend(events.into_iter().map(Arc::new));
        Ok(())
    }

    async fn fill_live(&mut self) -> Result<(), ReadError> {
        let events =
            self.services.commands.log().tail().next_after(self.cursor, self.services.limits.subscription_page);
        let events = events.await?;
        if let Some(last) = events.last() {
            self.cursor = last.position;
        }
        self.pending.extend(events.into_iter().filter(|event| self.filter.wants(event)));
        Ok(())
    }
}
