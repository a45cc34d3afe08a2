//! What is said about a report beside its rows.

use super::source::{Source, Summary};
use chrono::{DateTime, Utc};
use projections::UsageSource;
use std::time::Duration;
use streams::Position;

/// The read model with the usage of calls.
pub(super) const CALLS: &str = "calls";

/// The maximum of `--wait`.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Says of which position a report is, and what it was summed from.
pub(super) fn describe(report: &impl Source, head: Position, declared_at: Option<DateTime<Utc>>) {
    let Summary { total, position, summed_from, base, .. } = report.summary();
    say!("Report as of position {position} of {}.", head.max(*position));
    say_behind(report.summary().behind(head));
    say!("Summed from: {summed_from}.");
    if total.unpriced_calls > 0 {
        say!("{} calls have no known price, and are in no cost: see unpriced_calls.", total.unpriced_calls);
    }
    if total.assumed_calls > 0 {
        say!(
            "{} calls have usage that was assumed, which their records do not state: see assumed_calls.",
            total.assumed_calls
        );
    }
    if let Some(base) = base {
        say!("Compared with {} to {}.", base.from, base.to);
    }
    if let (true, Some(at)) = (*summed_from == UsageSource::TagHours.to_string(), declared_at) {
        say!(
            "The tag key was last declared at {at}: calls that were reported only while it was not declared have no value in this report."
        );
    }
}

/// Says how many events a report is behind the log, and how long ago the oldest of them was recorded.
pub(super) fn say_behind((events, seconds): (u64, Option<u64>)) {
    if events > 0 {
        let age = seconds.map_or_else(String::new, |seconds| format!(", the oldest of which is {seconds} s old"));
        say!("It is {events} events behind the log{age}.");
    }
}

/// Says of which point of the log a report as known at an earlier time is.
pub(super) fn describe_known(report: &impl Source) {
    say!("Costs as they were known at position {} of the log.", report.summary().position);
    if let Some(base) = &report.summary().base {
        say!("Compared with {} to {}.", base.from, base.to);
    }
}

/// Says that a report lacks events that could not be applied to a read model.
pub(super) fn warn(projection: &str, parked: i64) {
    if parked > 0 {
        say!(
            "{parked} events could not be applied and are not in the report: see `apex projections parked {projection}`."
        );
    }
}

/// The error of a report whose read models are behind.
pub(super) fn incomplete(timeout: Duration, names: &str) -> String {
    format!(
        "the report would be incomplete: after {} the read models{names} are still behind the log. See `apex projections \
         list`; use --wait to wait longer, or --no-wait to report their present state",
        humantime::format_duration(timeout)
    )
}
