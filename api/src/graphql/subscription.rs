//! Subscriptions: the log as it grows, and usage as it adds up.

use super::errors::bad_input;
use super::events::{Event, EventFilter};
use super::report::{self, Arguments, Asked, Dimension, UsageReport};
use super::scalars::{Position, Timestamp};
use super::{Services, errors, follow};
use crate::caller::Caller;
use async_graphql::{Context, Result, Subscription};
use futures::{Stream, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often usage totals may be sent at most, in milliseconds.
const MIN_INTERVAL_MS: i32 = 100;
/// How often they are sent where nothing is asked for.
const DEFAULT_INTERVAL_MS: i32 = 1000;
/// The longest interval that may be asked for: an hour.
const MAX_INTERVAL_MS: i32 = 3_600_000;

/// Following the log.
#[derive(Default)]
pub(crate) struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// Events, each with its position: those after a position first, then those that come, without a gap and without a
    /// repetition. To go on after a broken connection, subscribe after the last position seen.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The last position already seen; 0 for everything, from now on if not given.")] after: Option<
            Position,
        >,
        #[graphql(desc = "Only these; all if not given.")] filter: Option<EventFilter>,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        let filter = filter.unwrap_or_default().check(&ctx.data::<Caller>()?.tenant)?;
        let events = follow::events(ctx, filter, after.map(|after| after.0)).await?;
        Ok(events.map(|event| event.and_then(|event| Event::try_from(&*event))))
    }
}

/// Following usage.
#[derive(Default)]
pub(crate) struct UsageSubscription;

#[Subscription]
impl UsageSubscription {
    /// Usage and cost: what they are now, then what they are whenever they may have changed.
    #[graphql(complexity = "report::cost(by.as_ref().map_or(0, Vec::len), first, child_complexity)")]
    async fn usage_totals(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(Vec::new())",
            desc = "Broken down by these, in this order; the total alone if none."
        )]
        by: Option<Vec<Dimension>>,
        #[graphql(desc = "Calls that began at or after this full hour.")] from: Option<Timestamp>,
        #[graphql(desc = "Calls that began before this full hour.")] to: Option<Timestamp>,
        #[graphql(
            default_with = "Some(DEFAULT_INTERVAL_MS)",
            desc = "The least time between two answers, in milliseconds: 100 to 3600000."
        )]
        interval_ms: Option<i32>,
        #[graphql(desc = "The first rows alone, so many at most: 1 to 500, 100 if not given.")] first: Option<i32>,
    ) -> Result<impl Stream<Item = Result<UsageReport>> + use<>> {
        let interval_ms = interval_ms.unwrap_or(DEFAULT_INTERVAL_MS);
        let interval = match u64::try_from(interval_ms) {
            Ok(ms) if (MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&interval_ms) => Duration::from_millis(ms),
            _ => {
                let message = format!("an interval is {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS} ms, not {interval_ms}");
                return Err(bad_input("BAD_INTERVAL", message));
            }
        };
        let totals = UsageTotals {
            services: ctx.data::<Arc<Services>>()?.clone(),
            asked: Arguments { by: by.unwrap_or_default(), from, to, first, after: None }.check(ctx)?,
            interval,
            last: None,
        };
        Ok(futures::stream::unfold(Some(totals), |totals| async move {
            let mut totals = totals?;
            match totals.next().await {
                Ok(Some(report)) => Some((Ok(report), Some(totals))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

struct UsageTotals {
    services: Arc<Services>,
    asked: Asked,
    interval: Duration,
    /// Where the last answer stood, and from when on the next may be given.
    last: Option<(streams::Position, Instant)>,
}

impl UsageTotals {
    /// The next report; none when the server shuts down.
    async fn next(&mut self) -> Result<Option<UsageReport>> {
        let shutdown = self.services.shutdown.clone();
        loop {
            if let Some((seen, due)) = self.last {
                let tail = self.services.commands.log().tail();
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(None),
                    grown = tail.wait_beyond(seen) => grown.map_err(|error| errors::read(&error))?,
                }
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(None),
                    () = tokio::time::sleep_until(due) => {}
                }
            }
            let due = Instant::now() + self.interval;
            let (report, position) = match self.asked.read(&self.services).await {
                // Whoever has been answered once waits for a database that is away.
                Err(error) if self.last.is_some() && errors::code(&error) == Some("UNAVAILABLE") => {
                    self.last = self.last.map(|(seen, _)| (seen, due));
                    continue;
                }
                report => report?,
            };
            // The log may be ahead of the read model: then it is looked at again after the interval.
            let is_news = self.last.is_none_or(|(seen, _)| position > seen);
            self.last = Some((position, due));
            if is_news {
                return Ok(Some(report));
            }
        }
    }
}
