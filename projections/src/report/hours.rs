//! The hours of a zone one after the other, and the months that they are in.

use super::period::{Start, Unit};
use super::zone::Zone;
use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc};
use chrono_tz::Tz;

/// An hour of a zone, as a row of a report by hours has it: a shorter one where clocks change within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalHour {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
    /// The key of its row.
    pub(crate) key: String,
    /// The day of the calendar.
    pub(crate) day: NaiveDate,
    /// The hour that clocks show.
    pub(crate) hour: u32,
}

impl LocalHour {
    /// The slot in the week: 24 × the day of the week from Monday + the hour.
    pub(crate) fn slot(&self) -> u16 {
        // Both are small.
        u16::try_from(self.day.weekday().num_days_from_monday() * 24 + self.hour).unwrap_or_default()
    }
}

/// Whether a time is the start of an hour of a zone.
pub(crate) fn is_start_of_hour(zone: Tz, at: DateTime<Utc>) -> bool {
    start_of_hour(zone, at) == at
}

/// The start of the hour of a zone that a time is in.
pub fn start_of_hour(zone: Tz, at: DateTime<Utc>) -> DateTime<Utc> {
    match Unit::Hour.at(&Zone::from(zone), at) {
        Start::At(start) => start,
        // No period shorter than a day is a date.
        Start::Midnight(_) => at,
    }
}

/// Whether a time is the start of a day of a zone.
pub(crate) fn is_start_of_day(zone: Tz, at: DateTime<Utc>) -> bool {
    let zone = Zone::from(zone);
    Unit::Day.range(&zone, Unit::Day.at(&zone, at)).0 == Some(at)
}

/// The limits of the month of a zone that a time is in; none if the calendar ends before.
pub(crate) fn month(zone: Tz, at: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let zone = Zone::from(zone);
    let (from, to) = Unit::Month.range(&zone, Unit::Month.at(&zone, at));
    from.zip(to)
}

/// The hours of a zone from the start of one to before a time.
pub(crate) fn hours(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<LocalHour> {
    let zone = Zone::from(zone);
    let (mut hours, mut at) = (Vec::new(), from);
    while at < to {
        let start = Unit::Hour.at(&zone, at);
        let Some(end) = Unit::Hour.range(&zone, start).1.filter(|end| *end > at) else { break };
        let local = zone.local(at);
        let key = Unit::Hour.text(&zone, start);
        hours.push(LocalHour { start: at, end, key, day: local.date(), hour: local.hour() });
        at = end;
    }
    hours
}

#[cfg(test)]
mod tests {
    use super::super::zone::time_zone;
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn of_day(zone: &str, from: &str, to: &str) -> Vec<(String, u16)> {
        let hours = hours(time_zone(zone).unwrap(), utc(from), utc(to));
        for pair in hours.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        hours.iter().map(|hour| (hour.key.clone(), hour.slot())).collect()
    }

    #[test]
    fn days_have_23_to_25_hours_each_with_its_key_and_slot() {
        // Sundays.
        let long = of_day("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        assert_eq!(long.len(), 25);
        assert_eq!(long[2], ("2026-10-25T02:00+02:00".to_owned(), 146));
        assert_eq!(long[3], ("2026-10-25T02:00+01:00".to_owned(), 146));
        let short = of_day("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        assert_eq!(short.len(), 23);
        assert_eq!((short[1].1, short[2].1), (145, 147));
        // The change divides an hour.
        let divided = of_day("Australia/Lord_Howe", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z");
        assert_eq!(divided.iter().filter(|(key, _)| key.starts_with("2026-04-05T01")).count(), 2, "{divided:?}");
        assert!(of_day("UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z").is_empty());
    }

    #[test]
    fn months_and_starts_are_those_of_the_zone() {
        let berlin = time_zone("Europe/Berlin").unwrap();
        let october = (utc("2026-09-30T22:00:00Z"), utc("2026-10-31T23:00:00Z"));
        for at in ["2026-09-30T22:00:00Z", "2026-10-31T22:59:59Z"] {
            assert_eq!(month(berlin, utc(at)), Some(october));
        }
        assert!(is_start_of_day(berlin, october.0) && !is_start_of_day(berlin, utc("2026-10-01T00:00:00Z")));
        let kathmandu = time_zone("Asia/Kathmandu").unwrap();
        assert!(is_start_of_hour(kathmandu, utc("2026-10-01T00:15:00Z")));
        assert!(!is_start_of_hour(kathmandu, utc("2026-10-01T00:00:00Z")));
        assert_eq!(start_of_hour(kathmandu, utc("2026-10-01T00:20:00Z")), utc("2026-10-01T00:15:00Z"));
    }
}
