//! Periods of local time: those that reports are grouped by.

use super::zone::{Zone, accepted_times};
use chrono::{
    DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc,
};

/// A period of the time of a zone, the shortest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Minute,
    QuarterHour,
    Hour,
    Day,
    /// A week of ISO 8601, which begins on Monday.
    Week,
    Month,
    /// A quarter of a year.
    Quarter,
    Year,
}

/// Where a period begins. Those shorter than a day begin at a time, so that the two hours called 02:00 at the end of
/// daylight-saving time are two; a change of the offset begins a new one. Longer ones begin at a midnight of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Start {
    At(DateTime<Utc>),
    Midnight(NaiveDateTime),
}

impl Unit {
    /// How many minutes apart such periods start, of those shorter than a day.
    pub(super) fn minutes(self) -> Option<u32> {
        match self {
            Self::Minute => Some(1),
            Self::QuarterHour => Some(15),
            Self::Hour => Some(60),
            Self::Day | Self::Week | Self::Month | Self::Quarter | Self::Year => None,
        }
    }

    /// The name of the period for PostgreSQL's `date_trunc`.
    pub(super) fn sql_name(self) -> &'static str {
        match self {
            Self::Minute | Self::QuarterHour => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// A description, with an example.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Minute => "a minute, such as 2023-11-14T22:13Z or 2023-11-14T23:13+01:00",
            Self::QuarterHour => "a quarter of an hour, such as 2023-11-14T22:15Z or 2023-11-14T23:15+01:00",
            Self::Hour => "an hour, such as 2023-11-14T22:00Z or 2023-11-14T23:00+01:00",
            Self::Day => "a day, such as 2023-11-14",
            Self::Week => "a week, such as 2023-W46",
            Self::Month => "a month, such as 2023-11",
            Self::Quarter => "a quarter of a year, such as 2023-Q4",
            Self::Year => "a year, such as 2023",
        }
    }

    /// The period that a time is in.
    pub(super) fn at(self, zone: &Zone, at: DateTime<Utc>) -> Start {
        let local = zone.local(at);
        match self.minutes() {
            Some(minutes) => {
                let into = TimeDelta::minutes((local.minute() % minutes).into())
                    + TimeDelta::seconds(local.second().into())
                    + TimeDelta::nanoseconds(local.nanosecond().into());
                let began = zone.span(at).0;
                Start::At(began.map_or(at - into, |began| began.max(at - into)))
            }
            None => Start::Midnight(self.first_day(local.date()).and_time(NaiveTime::MIN)),
        }
    }

    /// The period that a shorter one, which it contains, is in.
    pub(super) fn of(self, zone: &Zone, shorter: Start) -> Start {
        match shorter {
            Start::At(at) => self.at(zone, at),
            Start::Midnight(midnight) => Start::Midnight(self.first_day(midnight.date()).and_time(NaiveTime::MIN)),
        }
    }

    /// The first day of the period of the calendar that a day is in.
    fn first_day(self, day: NaiveDate) -> NaiveDate {
        let first = match self {
            Self::Minute | Self::QuarterHour | Self::Hour | Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
            Self::Quarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1),
        };
        first.unwrap_or(day)
    }

    /// The first day after the period of the calendar with a first day.
    fn next(self, first: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Minute | Self::QuarterHour | Self::Hour | Self::Day => first.checked_add_days(Days::new(1)),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Quarter => first.checked_add_months(Months::new(3)),
            Self::Year => first.checked_add_months(Months::new(12)),
        }
    }

    /// The text of a period, from which it can be parsed: the local time with its offset, or the date.
    pub(super) fn text(self, zone: &Zone, start: Start) -> String {
        match start {
            Start::At(at) => {
                let (local, offset) = (zone.local(at), offset_text(zone.offset(at)));
                // Where a change of the offset divides a minute.
                let format = if local.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
                format!("{}{offset}", local.format(format))
            }
            Start::Midnight(midnight) => {
                let day = midnight.date();
                match self {
                    Self::Minute | Self::QuarterHour | Self::Hour | Self::Day => day.format("%Y-%m-%d").to_string(),
                    Self::Week => day.format("%G-W%V").to_string(),
                    Self::Month => day.format("%Y-%m").to_string(),
                    Self::Quarter => format!("{}-Q{}", day.format("%Y"), day.month0() / 3 + 1),
                    Self::Year => day.format("%Y").to_string(),
                }
            }
        }
    }

    /// The period with a text; none if it is no such period of the zone, or one in which no call can start.
    pub(super) fn parse(self, zone: &Zone, text: &str) -> Option<Start> {
        let start = self.read(text)?;
        let is_of_zone = match start {
            Start::At(at) => self.at(zone, at) == start,
            Start::Midnight(_) => true,
        };
        let (from, to) = self.range(zone, start);
        let accepted = accepted_times();
        (is_of_zone && from? < accepted.end && to? > accepted.start).then_some(start)
    }

    /// Reads a text as such a period of any zone; none if it cannot be one.
    pub(super) fn read(self, text: &str) -> Option<Start> {
        if self.minutes().is_some() {
            let at = read_time(text)?;
            return is_near_accepted(at.naive_utc(), at.naive_utc()).then_some(Start::At(at));
        }
        let day = match self {
            Self::Week => {
                let (year, week) = text.split_once("-W")?;
                NaiveDate::from_isoywd_opt(digits(year, 4)?, digits(week, 2)?.try_into().ok()?, chrono::Weekday::Mon)
            }
            Self::Quarter => {
                let (year, quarter) = text.split_once("-Q")?;
                let quarter: u32 = digits(quarter, 1)?.try_into().ok()?;
                NaiveDate::from_ymd_opt(digits(year, 4)?, quarter.checked_sub(1)?.checked_mul(3)? + 1, 1)
            }
            Self::Year => NaiveDate::from_ymd_opt(digits(text, 4)?, 1, 1),
            Self::Month => NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok(),
            Self::Minute | Self::QuarterHour | Self::Hour | Self::Day => {
                NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
            }
        };
        let day = day?;
        let (midnight, next) = (day.and_time(NaiveTime::MIN), self.next(day)?.and_time(NaiveTime::MIN));
        is_near_accepted(midnight, next).then_some(Start::Midnight(midnight))
    }

    /// From when to when times can be in a period. Where clocks are put back over midnight, times of other periods are between
    /// those.
    pub(super) fn range(self, zone: &Zone, start: Start) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        match start {
            Start::At(at) => {
                let local = zone.local(at);
                let step = self.minutes().unwrap_or(1);
                let end = at + TimeDelta::minutes((step - local.minute() % step).into())
                    - TimeDelta::seconds(local.second().into());
                let ends = zone.span(at).1;
                (Some(at), Some(ends.map_or(end, |ends| ends.min(end))))
            }
            Start::Midnight(midnight) => {
                let next = self.next(midnight.date()).and_then(|next| zone.passed_at(next.and_time(NaiveTime::MIN)));
                (zone.first_at(midnight), next)
            }
        }
    }
}

/// Whether calls can start between two times of a zone, or a day around them: a time is called by the day before or after by the
/// clocks of some zones.
fn is_near_accepted(from: NaiveDateTime, to: NaiveDateTime) -> bool {
    let (accepted, day) = (accepted_times(), TimeDelta::days(1));
    from < accepted.end.naive_utc() + day && to >= accepted.start.naive_utc() - day
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i32> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// An offset as ISO 8601 writes it, with seconds if it has some.
fn offset_text(seconds: i32) -> String {
    if seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let rest = if rest == 0 { String::new() } else { format!(":{rest:02}") };
    format!("{sign}{hours:02}:{minutes:02}{rest}")
}

/// Reads a time with its offset, such as `2026-10-25T02:00+01:00`.
fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let date = "2026-10-25T".len();
    let (local, offset) = text.split_at_checked(date + text.get(date..)?.find(['Z', '+', '-'])?)?;
    let parsed = NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M");
    let local = parsed.or_else(|_| NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M:%S")).ok()?;
    if offset == "Z" {
        return Some(local.and_utc());
    }
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut parts = offset[1..].split(':').map(|part| digits(part, 2));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    let offset = FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60 + seconds))?;
    local.checked_sub_offset(offset).map(|utc| utc.and_utc())
}

#[cfg(test)]
mod tests {
    use super::super::zone::time_zone;
    use super::*;

    fn zone(name: &str) -> Zone {
        time_zone(name).unwrap().into()
    }

    const UNITS: [Unit; 8] =
        [Unit::Minute, Unit::QuarterHour, Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year];

    #[test]
    fn times_have_a_key_in_each_unit() {
        let keys = |name: &str, at: &str| {
            let (zone, at) = (zone(name), at.parse().unwrap());
            UNITS.map(|unit| unit.text(&zone, unit.at(&zone, at))).join(" ")
        };
        for (name, at, right) in [
            (
                "UTC",
                "2026-01-01T07:59:59.999Z",
                "2026-01-01T07:59Z 2026-01-01T07:45Z 2026-01-01T07:00Z 2026-01-01 2026-W01 2026-01 2026-Q1 2026",
            ),
            (
                "Asia/Kathmandu",
                "2025-12-31T18:20:30Z",
                "2026-01-01T00:05+05:45 2026-01-01T00:00+05:45 2026-01-01T00:00+05:45 2026-01-01 2026-W01 2026-01 2026-Q1 2026",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-25T02:30+02:00 2026-10-25T02:30+02:00 2026-10-25T02:00+02:00 2026-10-25 2026-W43 2026-10 2026-Q4 2026",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:30+01:00 2026-10-25T02:30+01:00 2026-10-25T02:00+01:00 2026-10-25 2026-W43 2026-10 2026-Q4 2026",
            ),
            // Clocks go from 02:00 back to 01:30.
            (
                "Australia/Lord_Howe",
                "2026-04-04T15:10:00Z",
                "2026-04-05T01:40+10:30 2026-04-05T01:30+10:30 2026-04-05T01:30+10:30 2026-04-05 2026-W14 2026-04 2026-Q2 2026",
            ),
            // A Friday that belongs to the last week of the year before.
            (
                "UTC",
                "2027-01-01T00:00:00Z",
                "2027-01-01T00:00Z 2027-01-01T00:00Z 2027-01-01T00:00Z 2027-01-01 2026-W53 2027-01 2027-Q1 2027",
            ),
        ] {
            assert_eq!(keys(name, at), right, "{name} {at}");
        }
    }

    #[test]
    fn the_keys_of_times_are_parsed_back_and_contain_them() {
        let days = ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2010-11-07"];
        for name in [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "America/St_Johns",
            "Africa/Cairo",
            "America/Havana",
            "Pacific/Apia",
            "Africa/Monrovia",
            "Pacific/Kiritimati",
        ] {
            let zone = zone(name);
            let edges = ["1970-01-01", "1972-01-07", "2011-12-30", "2026-12-31", "2199-12-31"];
            for day in days.into_iter().chain(edges) {
                let start: DateTime<Utc> = format!("{day}T00:00:00Z").parse().unwrap();
                for minute in (-1_440..2_880).step_by(7) {
                    let at = start + TimeDelta::minutes(minute) + TimeDelta::seconds(minute % 60);
                    if !accepted_times().contains(&at) {
                        continue;
                    }
                    for unit in UNITS {
                        let period = unit.at(&zone, at);
                        let text = unit.text(&zone, period);
                        assert_eq!(unit.parse(&zone, &text), Some(period), "{name} {unit:?} {text} {at}");
                        let (from, to) = unit.range(&zone, period);
                        assert!(
                            from.unwrap() <= at && at < to.unwrap(),
                            "{name} {unit:?} {text} {at}: {from:?} {to:?}"
                        );
                        for longer in UNITS.into_iter().filter(|longer| *longer > unit && unit != Unit::Week) {
                            assert_eq!(
                                longer.of(&zone, period),
                                longer.at(&zone, at),
                                "{name} {unit:?} {longer:?} {at}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_text_that_is_no_period_of_the_zone_is_none() {
        for (name, unit, text) in [
            ("UTC", Unit::Hour, "2026-10-25T02:30Z"),
            ("UTC", Unit::Hour, "2026-10-25T02:00"),
            ("UTC", Unit::Hour, "2026-10-25T02:00+24:00"),
            ("UTC", Unit::Hour, "2026-10-25T02:00+1:00"),
            ("Asia/Kathmandu", Unit::Hour, "2026-10-25T02:00Z"),
            ("Europe/Berlin", Unit::QuarterHour, "2026-10-25T02:05+02:00"),
            ("UTC", Unit::Day, "2023-02-29"),
            ("UTC", Unit::Day, "-5000-01-01"),
            ("UTC", Unit::Day, "2200-01-01"),
            ("UTC", Unit::Day, "1969-12-31"),
            ("UTC", Unit::Hour, "2200-01-01T00:00Z"),
            ("America/New_York", Unit::Day, "2200-01-01"),
            ("America/New_York", Unit::Day, "1969-12-30"),
            ("America/New_York", Unit::Year, "1968"),
            ("Asia/Tokyo", Unit::Day, "1969-12-31"),
            ("Pacific/Kiritimati", Unit::Month, "2200-02"),
            ("UTC", Unit::Week, "2026-W54"),
            ("UTC", Unit::Week, "2026-W00"),
            ("UTC", Unit::Week, "2026-43"),
            ("UTC", Unit::Month, "2023"),
            ("UTC", Unit::Quarter, "2023-Q5"),
            ("UTC", Unit::Quarter, "2023-Q0"),
            ("UTC", Unit::Year, "23"),
            ("UTC", Unit::Minute, "2026-10-25T02:00\u{e9}"),
            ("UTC", Unit::Minute, "2026-10-25T02:0\u{e9}Z"),
        ] {
            assert_eq!(unit.parse(&zone(name), text), None, "{name} {unit:?} {text}");
        }
        // The first and the last day on which calls start are others in other zones.
        for (name, unit, text) in [
            ("America/New_York", Unit::Day, "1969-12-31"),
            ("America/New_York", Unit::Year, "1969"),
            ("Pacific/Kiritimati", Unit::Day, "2200-01-01"),
            ("Pacific/Kiritimati", Unit::Quarter, "2200-Q1"),
            ("UTC", Unit::Week, "1970-W01"),
            ("UTC", Unit::Week, "2200-W01"),
        ] {
            assert!(unit.parse(&zone(name), text).is_some(), "{name} {unit:?} {text}");
        }
        // Another offset is read as the same time.
        let berlin = zone("Europe/Berlin");
        let hour = Unit::Hour.parse(&berlin, "2026-10-25T01:00Z").unwrap();
        assert_eq!(Unit::Hour.text(&berlin, hour), "2026-10-25T02:00+01:00");
    }
}
