//! Two periods compared: the one of a report, and a base.

use super::zone::Zone;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use domain::Sum;

/// The decimal places of a change in per cent.
pub const PERCENT_PLACES: u32 = 2;

/// The start and the end of a time range.
pub type TimeRange = (DateTime<Utc>, DateTime<Utc>);

/// The period that a report is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BasePeriod {
    /// The period of the same length before that of the report, see [`previous`].
    Previous,
    /// From a time to another one.
    With {
        /// Only calls that started at or after this time.
        from: DateTime<Utc>,
        /// Only calls that started before this time.
        to: DateTime<Utc>,
    },
}

impl BasePeriod {
    /// The limits of the period that a report over a time range is compared with; none if that has no start or no end.
    pub(super) fn range(self, zone: Tz, range: (Option<DateTime<Utc>>, Option<DateTime<Utc>>)) -> Option<TimeRange> {
        let (from, to) = range.0.zip(range.1)?;
        match self {
            Self::With { from, to } => Some((from, to)),
            Self::Previous => previous(zone, from, to),
        }
    }
}

/// The period before one, in the calendar of a zone: as many months before, if both of its limits are the first midnight of a
/// month, as many days, if both are midnights, and else as much time. None if the calendar does not have it.
fn previous(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<TimeRange> {
    let zone = Zone::from(zone);
    let day = |at: DateTime<Utc>| {
        let day = zone.local(at).date();
        (zone.first_at(day.and_time(NaiveTime::MIN)) == Some(at)).then_some(day)
    };
    let start = match (day(from), day(to)) {
        (Some(first), Some(last)) if first.day() == 1 && last.day() == 1 => {
            first.checked_sub_months(months(first, last)?)
        }
        (Some(first), Some(last)) => first.checked_sub_signed(last - first),
        _ => return Some((from.checked_sub_signed(to - from)?, from)),
    };
    Some((zone.first_at(start?.and_time(NaiveTime::MIN))?, from))
}

fn months(first: NaiveDate, last: NaiveDate) -> Option<Months> {
    let number = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
    u32::try_from(number(last) - number(first)).ok().map(Months::new)
}

/// How a number changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The number of the report less that of the base.
    pub difference: Sum,
    /// The difference in per cent of the number of the base, rounded half to even to [`PERCENT_PLACES`]; none if that is zero.
    pub percent: Option<Sum>,
}

impl Change {
    /// The change from a base.
    #[must_use]
    pub fn new(base: &Sum, current: &Sum) -> Self {
        let difference = current - base;
        let percent = difference.quotient(100, base, PERCENT_PLACES);
        Self { difference, percent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_period_is_one_of_the_calendar_of_the_zone() {
        for (zone, from, to, start) in [
            // March, and the 28 days of February.
            (Tz::UTC, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            (Tz::Europe__Berlin, "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", "2026-01-31T23:00:00Z"),
            // A quarter and a year.
            (Tz::UTC, "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", "2025-10-01T00:00:00Z"),
            (Tz::UTC, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            // The day before a day of 23 hours, and the one before a day after that.
            (Tz::Europe__Berlin, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-27T23:00:00Z"),
            (Tz::Europe__Berlin, "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z", "2026-03-28T23:00:00Z"),
            // A week.
            (Tz::UTC, "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z", "2026-02-23T00:00:00Z"),
            // Not the months of UTC, and not days.
            (Tz::Europe__Berlin, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-01-29T00:00:00Z"),
            (Tz::UTC, "2026-03-01T13:15:00Z", "2026-03-01T14:00:00Z", "2026-03-01T12:30:00Z"),
        ] {
            let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
            assert_eq!(previous(zone, at(from), at(to)), Some((at(start), at(from))), "{zone} {from} {to}");
        }
    }

    #[test]
    fn a_change_is_a_difference_and_per_cent_of_the_base() {
        let change = |base: &str, current: &str| {
            let change = Change::new(&Sum::parse(base).unwrap(), &Sum::parse(current).unwrap());
            (change.difference.to_string(), change.percent.map(|percent| percent.to_string()))
        };
        let right = |difference: &str, percent: &str| (difference.to_owned(), Some(percent.to_owned()));
        assert_eq!(change("2", "3"), right("1", "50"));
        assert_eq!(change("3", "2"), right("-1", "-33.33"));
        assert_eq!(change("3", "5"), right("2", "66.67"));
        assert_eq!(change("-2", "1"), right("3", "-150"));
        assert_eq!(change("1000000", "1000000.000000000001"), right("0.000000000001", "0"));
        assert_eq!(change("0", "5"), ("5".to_owned(), None));
        assert_eq!(change("800", "801"), right("1", "0.12"), "a half is rounded to the even neighbour");
    }
}
