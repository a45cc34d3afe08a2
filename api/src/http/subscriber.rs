//! What the transports of subscriptions share: heartbeats, and the error for slow clients.

use crate::request_error::request_error;
use async_graphql::ServerError;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// The delay of the first heartbeat to a new subscriber. It is short, because a client that is disconnected before it has
/// received anything needs a position to resume from.
pub(super) const FIRST_HEARTBEAT: Duration = Duration::from_millis(250);

/// The error with which a subscription ends whose client does not read fast enough.
pub(super) fn too_slow(position: Option<streams::Position>) -> ServerError {
    let message =
        "the client did not read a message in time; subscribe again after the last position that was received";
    let mut error = request_error("TOO_SLOW", message, None);
    if let Some(position) = position {
        error.extensions.get_or_insert_default().set("position", position.to_string());
    }
    error
}

/// An interval of heartbeats. The first is due after one period.
pub(super) fn heartbeats(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
