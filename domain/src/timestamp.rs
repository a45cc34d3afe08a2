//! Timestamps: the years that are accepted, and leap seconds.

use chrono::{DateTime, Timelike, Utc};
use serde::{Deserialize, Deserializer};
use std::ops::Range;

/// The years, in UTC, of the times that Apex accepts. Another year is usually due to a wrong clock or unit.
pub const ACCEPTED_YEARS: Range<i32> = 1970..2200;

/// The last microsecond of a second, in nanoseconds.
const LAST_MICROSECOND_NS: u32 = 999_999_000;

/// Converts a timestamp within a leap second, `23:59:60`, to the last microsecond of `23:59:59`.
///
/// PostgreSQL has no leap seconds and stores one as the first second of the next month. With this rule it always belongs to
/// the month that it ends, so that budgets and reports agree.
#[must_use]
pub fn without_leap_second(timestamp: DateTime<Utc>) -> DateTime<Utc> {
    if timestamp.nanosecond() < 1_000_000_000 {
        return timestamp;
    }
    timestamp.with_nanosecond(LAST_MICROSECOND_NS).unwrap_or(timestamp)
}

/// Deserializes a timestamp of an event, which may be within a leap second.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    DateTime::<Utc>::deserialize(deserializer).map(without_leap_second)
}

/// As [`deserialize`], for a timestamp that may be absent.
pub(crate) fn deserialize_optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    Option::<DateTime<Utc>>::deserialize(deserializer).map(|timestamp| timestamp.map(without_leap_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_belongs_to_the_month_that_it_ends() {
        let timestamp = |text: &str| without_leap_second(text.parse().unwrap()).to_rfc3339();
        assert_eq!(timestamp("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.999999+00:00");
        assert_eq!(timestamp("2016-12-31T23:59:60.5Z"), "2016-12-31T23:59:59.999999+00:00");
        assert_eq!(timestamp("2016-12-31T23:59:59.5Z"), "2016-12-31T23:59:59.500+00:00");
        assert_eq!(timestamp("2017-01-01T00:00:00Z"), "2017-01-01T00:00:00+00:00");
    }
}
