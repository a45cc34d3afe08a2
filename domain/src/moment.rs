//! Moments as Apex counts them.

use chrono::{DateTime, Timelike, Utc};
use serde::{Deserialize, Deserializer};

/// The last microsecond of a second, in nanoseconds.
const LAST_MICROSECOND_NS: u32 = 999_999_000;

/// A moment without leap seconds: one within `23:59:60` is the last microsecond of `23:59:59`.
///
/// A leap second belongs to the month that it ends. Others that count time, such as PostgreSQL, have none and would take
/// it for the first second of the next month: with one rule, budgets and reports agree.
#[must_use]
pub fn without_leap_second(moment: DateTime<Utc>) -> DateTime<Utc> {
    if moment.nanosecond() < 1_000_000_000 {
        return moment;
    }
    moment.with_nanosecond(LAST_MICROSECOND_NS).unwrap_or(moment)
}

/// Reads a moment of an event, in which leap seconds may have been written.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    DateTime::<Utc>::deserialize(deserializer).map(without_leap_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_is_the_end_of_its_month() {
        let moment = |text: &str| without_leap_second(text.parse().unwrap()).to_rfc3339();
        assert_eq!(moment("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.999999+00:00");
        assert_eq!(moment("2016-12-31T23:59:60.5Z"), "2016-12-31T23:59:59.999999+00:00");
        assert_eq!(moment("2016-12-31T23:59:59.5Z"), "2016-12-31T23:59:59.500+00:00");
        assert_eq!(moment("2017-01-01T00:00:00Z"), "2017-01-01T00:00:00+00:00");
    }
}
