//! The periods of budgets that are enforced: how often one begins, on which day, in which time zone.

use super::month::start_of_day;
use crate::ids::{BudgetId, derived_id};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Offset, TimeDelta, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// How often a period of a budget begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodUnit {
    /// Every hour of the local time.
    Hour,
    /// Every day.
    Day,
    /// Every seven days.
    Week,
    /// Every month.
    Month,
    /// Every three months.
    Quarter,
    /// Every year.
    Year,
    /// Once: there is one period, from 1970 to 2200.
    Total,
}

impl PeriodUnit {
    /// Every unit.
    pub const ALL: [Self; 7] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year, Self::Total];

    /// The unit as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Total => "total",
        }
    }
}

/// How the periods of a budget follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recurrence {
    /// How often a period begins.
    pub unit: PeriodUnit,
    /// The IANA name of the time zone in which days begin, such as `Europe/Berlin`.
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// A day on which a period begins. Weeks begin on its weekday, months on its day, quarters and years on its day and month.
    pub anchor: NaiveDate,
}

/// A period: from a time on, up to another one, which belongs to the next period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// When the period begins.
    pub starts_at: DateTime<Utc>,
    /// When the next period begins.
    pub ends_at: DateTime<Utc>,
}

/// A Monday that begins a month, a quarter and a year.
pub(super) const DEFAULT_ANCHOR: NaiveDate = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
/// The last day that every month has.
pub(super) const LAST_ANCHOR_DAY: u32 = 28;
const HOUR_SECONDS: i64 = 3600;
/// The years that calls may start in: see [`crate::ACCEPTED_YEARS`].
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
const LAST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2200, 1, 1).unwrap();

impl Recurrence {
    /// The period that a time belongs to.
    #[must_use]
    pub fn containing(&self, at: DateTime<Utc>) -> Span {
        let local = at.with_timezone(&self.time_zone);
        let day = local.date_naive();
        let (first, next) = match self.unit {
            PeriodUnit::Hour => {
                let into = local.naive_local().and_utc().timestamp().rem_euclid(HOUR_SECONDS);
                let whole = DateTime::from_timestamp(at.timestamp() - into, 0).unwrap_or(at);
                let ends_at = whole + TimeDelta::seconds(HOUR_SECONDS);
                return Span { starts_at: self.clock_change(whole, at).unwrap_or(whole), ends_at };
            }
            PeriodUnit::Total => (FIRST_DAY, LAST_DAY),
            PeriodUnit::Day => (day, after_days(day, 1)),
            PeriodUnit::Week => {
                let into = (day - self.anchor).num_days().rem_euclid(7);
                let first = after_days(day, -into);
                (first, after_days(first, 7))
            }
            PeriodUnit::Month => self.months(day, 1),
            PeriodUnit::Quarter => self.months(day, 3),
            PeriodUnit::Year => self.months(day, 12),
        };
        Span { starts_at: start_of_day(first, self.time_zone), ends_at: start_of_day(next, self.time_zone) }
    }

    /// When clocks were changed between two times. An hour in which they are changed by half an hour has two periods.
    fn clock_change(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let time = |second| DateTime::from_timestamp(second, 0);
        let offset = |second| Some(time(second)?.with_timezone(&self.time_zone).offset().fix());
        let (mut before, mut after) = (from.timestamp(), to.timestamp());
        let changed = offset(after);
        if offset(before) == changed {
            return None;
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if offset(middle) == changed {
                after = middle;
            } else {
                before = middle;
            }
        }
        time(after)
    }

    /// The first day of the period of a number of months that a day belongs to, and that of the next one.
    fn months(&self, day: NaiveDate, number: i32) -> (NaiveDate, NaiveDate) {
        let month = |day: NaiveDate| day.year() * 12 + day.month0().cast_signed();
        let whole = month(day) - month(self.anchor) - i32::from(day.day() < self.anchor.day());
        let first = whole.div_euclid(number) * number;
        (after_months(self.anchor, first), after_months(self.anchor, first + number))
    }
}

fn after_days(day: NaiveDate, number: i64) -> NaiveDate {
    let days = Days::new(number.unsigned_abs());
    let moved = if number < 0 { day.checked_sub_days(days) } else { day.checked_add_days(days) };
    moved.unwrap_or(day)
}

fn after_months(day: NaiveDate, number: i32) -> NaiveDate {
    let months = Months::new(number.unsigned_abs());
    let moved = if number < 0 { day.checked_sub_months(months) } else { day.checked_add_months(months) };
    moved.unwrap_or(day)
}

/// As in the identity of a period: `month 2024-01-01 Europe/Berlin`.
impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.unit.as_str(), self.anchor, self.time_zone.name())
    }
}

/// The id of the stream of a period of a budget.
#[must_use]
pub(crate) fn balance_id(budget_id: BudgetId, recurrence: &Recurrence, span: Span) -> Uuid {
    let start = span.starts_at.timestamp().to_string();
    derived_id(&["budget_balance", &budget_id.to_string(), &recurrence.to_string(), &start])
}

/// The id of the stream of a part of a period beside the first one.
#[must_use]
pub(crate) fn part_id(balance_id: Uuid, number: u8) -> Uuid {
    derived_id(&["budget_balance_part", &balance_id.to_string(), &number.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recurrence(unit: PeriodUnit, zone: &str, anchor: &str) -> Recurrence {
        Recurrence { unit, time_zone: zone.parse().unwrap(), anchor: anchor.parse().unwrap() }
    }

    fn span(recurrence: Recurrence, at: &str) -> (String, String) {
        let Span { starts_at, ends_at } = recurrence.containing(at.parse().unwrap());
        (starts_at.format("%FT%RZ").to_string(), ends_at.format("%FT%RZ").to_string())
    }

    #[test]
    fn periods_begin_on_the_anchor_in_the_time_zone() {
        for (unit, zone, anchor, at, starts_at, ends_at) in [
            (PeriodUnit::Hour, "UTC", "2024-01-01", "2024-05-05T10:59:59Z", "2024-05-05T10:00Z", "2024-05-05T11:00Z"),
            (
                PeriodUnit::Hour,
                "Asia/Kolkata",
                "2024-01-01",
                "2024-05-05T10:29:59Z",
                "2024-05-05T09:30Z",
                "2024-05-05T10:30Z",
            ),
            // Clocks are put forward by half an hour, from 02:00 to 02:30, and back.
            (
                PeriodUnit::Hour,
                "Australia/Lord_Howe",
                "2024-01-01",
                "2024-10-05T15:40:00Z",
                "2024-10-05T15:30Z",
                "2024-10-05T16:00Z",
            ),
            (
                PeriodUnit::Hour,
                "Australia/Lord_Howe",
                "2024-01-01",
                "2024-04-06T15:10:00Z",
                "2024-04-06T15:00Z",
                "2024-04-06T15:30Z",
            ),
            // Clocks are put forward: the day has 23 hours.
            (
                PeriodUnit::Day,
                "Europe/Berlin",
                "2024-01-01",
                "2024-03-31T12:00:00Z",
                "2024-03-30T23:00Z",
                "2024-03-31T22:00Z",
            ),
            (PeriodUnit::Week, "UTC", "2024-01-03", "2024-01-02T00:00:00Z", "2023-12-27T00:00Z", "2024-01-03T00:00Z"),
            (PeriodUnit::Month, "UTC", "2024-01-15", "2024-03-14T23:59:59Z", "2024-02-15T00:00Z", "2024-03-15T00:00Z"),
            (
                PeriodUnit::Quarter,
                "UTC",
                "2024-02-01",
                "2024-01-31T00:00:00Z",
                "2023-11-01T00:00Z",
                "2024-02-01T00:00Z",
            ),
            (
                PeriodUnit::Year,
                "America/New_York",
                "2024-04-01",
                "2024-04-01T03:59:59Z",
                "2023-04-01T04:00Z",
                "2024-04-01T04:00Z",
            ),
            (PeriodUnit::Total, "UTC", "2024-01-01", "2024-04-01T03:59:59Z", "1970-01-01T00:00Z", "2200-01-01T00:00Z"),
        ] {
            let found = span(recurrence(unit, zone, anchor), at);
            assert_eq!(found, (starts_at.to_owned(), ends_at.to_owned()), "{unit:?} {zone} {at}");
        }
    }

    #[test]
    fn the_period_is_part_of_the_identity_of_its_stream() {
        let (budget, at) = (BudgetId(Uuid::from_u128(7)), DateTime::UNIX_EPOCH);
        let id = |recurrence: Recurrence| balance_id(budget, &recurrence, recurrence.containing(at));
        let month = recurrence(PeriodUnit::Month, "UTC", "2024-01-01");
        assert_eq!(id(month), id(month));
        assert_ne!(id(month), id(Recurrence { unit: PeriodUnit::Quarter, ..month }));
        assert_ne!(id(month), id(recurrence(PeriodUnit::Month, "UTC", "2024-02-01")));
    }

    proptest! {
        /// Periods follow each other without gaps: the end of each is in the next one, and every time is in one.
        #[test]
        fn a_time_is_within_its_period(
            unit in prop::sample::select(&PeriodUnit::ALL[..]),
            zone in prop::sample::select(
                &[Tz::UTC, Tz::Europe__Berlin, Tz::Asia__Kathmandu, Tz::Pacific__Apia, Tz::Australia__Lord_Howe][..],
            ),
            day in 0_u64..9000, into in 1_u32..=28, seconds in 0_i64..4_000_000_000,
        ) {
            let anchor = (FIRST_DAY + Days::new(day)).with_day(into).unwrap();
            let (recurrence, at) = (Recurrence { unit, time_zone: zone, anchor }, DateTime::from_timestamp(seconds, 0).unwrap());
            let Span { starts_at, ends_at } = recurrence.containing(at);
            prop_assert!(starts_at <= at && at < ends_at, "{starts_at} {at} {ends_at}");
            prop_assert_eq!(recurrence.containing(starts_at).starts_at, starts_at);
            if unit != PeriodUnit::Total {
                prop_assert_eq!(recurrence.containing(ends_at).starts_at, ends_at);
            }
        }
    }
}
