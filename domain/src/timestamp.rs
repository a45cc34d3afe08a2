//! Timestamps: the years that are accepted, and leap seconds.

use chrono::{DateTime, NaiveDate, NaiveTime, Timelike, Utc};
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

/// Reads a point in time: a day such as `2026-03-01`, which means its start in UTC, or a time in RFC 3339 with its offset from UTC,
/// such as `2026-03-01T13:00:00Z`. None for everything else, also for what differs from these forms by a digit or a blank.
#[must_use]
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if let Some(day) = parse_day(text) {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    // The library accepts a blank in the place of the T, and a lower-case one.
    let (day, rest) = text.split_once('T')?;
    parse_day(day)?;
    let is_upper = !rest.contains(|letter: char| letter.is_ascii_lowercase() || letter.is_whitespace());
    let time = is_upper.then(|| DateTime::parse_from_rfc3339(text).ok()).flatten()?;
    Some(without_leap_second(time.to_utc()))
}

/// Reads a day of the calendar: four digits of the year, two of the month and two of the day, such as `2026-03-01`. None for
/// everything else.
#[must_use]
pub fn parse_day(text: &str) -> Option<NaiveDate> {
    // The library accepts signs, blanks, and fewer digits.
    let is_shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(n, byte)| if n == 4 || n == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    is_shaped.then(|| text.parse().ok()).flatten()
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
    use proptest::prelude::*;

    #[test]
    fn a_day_is_its_start_in_utc_and_a_time_has_an_offset() {
        let time = |text: &str| parse_time(text).map(|time| time.to_rfc3339());
        for (text, expected) in [
            ("2026-03-01", "2026-03-01T00:00:00+00:00"),
            ("2024-02-29", "2024-02-29T00:00:00+00:00"),
            ("2026-03-01T13:00:00Z", "2026-03-01T13:00:00+00:00"),
            ("2026-03-01T13:00:00.25+05:45", "2026-03-01T07:15:00.250+00:00"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999+00:00"),
        ] {
            assert_eq!(time(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_day_or_a_time_is_none() {
        for text in [
            "",
            "2026",
            "2026-03",
            "2026-3-1",
            "2026-02-29",
            "2026-13-01",
            " 2026-03-01",
            "2026-03-01 ",
            "+2026-03-01",
            "+12026-03-1",
            "2026-03-01T13:00:00",
            "2026-03-01T13:00Z",
            "2026-03-01 13:00:00Z",
            "2026-03-01t13:00:00z",
            "2026-03-01T13:00:00z",
            "2026-03-01T13:00:00 +01:00",
            "2026-03-01T25:00:00Z",
            "20260301",
            "２026-03-01",
            "yesterday",
        ] {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
        assert_eq!(parse_day("2026-03-01T00:00:00Z"), None);
    }

    proptest! {
        #[test]
        fn reading_a_time_never_panics_and_what_is_written_is_read(text in ".{0,30}", micros in 0_i64..7_000_000_000_000_000) {
            let _none_or_a_time = parse_time(&text);
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(parse_time(&time.to_rfc3339()), Some(time));
            prop_assert_eq!(parse_time(&time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)), Some(time));
        }
    }

    #[test]
    fn a_leap_second_belongs_to_the_month_that_it_ends() {
        let timestamp = |text: &str| without_leap_second(text.parse().unwrap()).to_rfc3339();
        assert_eq!(timestamp("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.999999+00:00");
        assert_eq!(timestamp("2016-12-31T23:59:60.5Z"), "2016-12-31T23:59:59.999999+00:00");
        assert_eq!(timestamp("2016-12-31T23:59:59.5Z"), "2016-12-31T23:59:59.500+00:00");
        assert_eq!(timestamp("2017-01-01T00:00:00Z"), "2017-01-01T00:00:00+00:00");
    }
}
