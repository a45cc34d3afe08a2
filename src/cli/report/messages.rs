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
    let Summary { position, summed_from, .. } = report.summary();
    say!("Report as of position {position} of {}.", head.max(*position));
    say!("Summed from: {summed_from}.");
    if let (true, Some(at)) = (*summed_from == UsageSource::TagHours.to_string(), declared_at) {
        say!(
            "The tag key was last declared at {at}: calls that were reported only while it was not declared have no value in this report."
        );
    }
}

/// Says of which point of the log a report as known at an earlier time is.
pub(super) fn describe_known(position: Position) {
    say!("Costs as they were known at position {position} of the log.");
}

/// Says that a report lacks events that could not be applied.
pub(super) fn warn(parked: i64) {
    if parked > 0 {
        say!("{parked} events could not be applied and are not in the report: see `apex projections parked {CALLS}`.");
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
