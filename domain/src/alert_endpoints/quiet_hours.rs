//! Hours of the week in which alerts to an endpoint wait.

use super::error::AlertEndpointsError;
use super::limits::MAX_QUIET_MINUTES;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The minutes of a day, and of a week.
const DAY_MINUTES: u16 = 1440;
const WEEK_MINUTES: usize = 7 * 1440;
/// The days before a time on which hours may have begun that have not ended.
const DAYS_BACK: u64 = MAX_QUIET_MINUTES as u64 / DAY_MINUTES as u64 + 1;

/// Hours of the week in which alerts to an endpoint wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuietHours {
    /// The IANA name of the time zone of the days, such as `Europe/Berlin`.
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// The days of the week on which they begin: 1 is Monday, 7 is Sunday.
    pub days: BTreeSet<u8>,
    /// The minute of the day at which they begin, from 0 to 1,439. One that clocks skip is an hour later.
    pub from_minute: u16,
    /// How long they last: 1 to 4,320 minutes.
    pub minutes: u16,
}

impl QuietHours {
    /// Whether alerts are delivered at all: there is a day, and a part of the week is not quiet.
    pub(super) fn check(&self) -> Result<(), AlertEndpointsError> {
        let are_days = !self.days.is_empty() && self.days.iter().all(|day| (1..=7).contains(day));
        let are_minutes = self.from_minute < DAY_MINUTES && (1..=MAX_QUIET_MINUTES).contains(&self.minutes);
        let is_part = self.days.len() * usize::from(self.minutes) < WEEK_MINUTES;
        if are_days && are_minutes && is_part { Ok(()) } else { Err(AlertEndpointsError::QuietHours) }
    }

    /// When the hours end that a time is in; none if it is in none.
    #[must_use]
    pub fn end(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut end = None;
        // Those of a day may begin when those of the day before end. They do not last a week.
        for _ in 0..=7 {
            match self.end_of_one(end.unwrap_or(at)) {
                Some(next) => end = Some(next),
                None => break,
            }
        }
        end
    }

    fn end_of_one(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = at.with_timezone(&self.time_zone).date_naive();
        let end = |back: u64| {
            let day = today.checked_sub_days(Days::new(back))?;
            let number = u8::try_from(day.weekday().number_from_monday()).ok()?;
            let starts_at = self.start(day).filter(|_| self.days.contains(&number))?;
            let ends_at = starts_at + TimeDelta::minutes(self.minutes.into());
            (starts_at <= at && at < ends_at).then_some(ends_at)
        };
        (0..=DAYS_BACK).filter_map(end).max()
    }

    fn start(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let local = day.and_hms_opt(0, 0, 0)? + TimeDelta::minutes(self.from_minute.into());
        let times = [local, local + TimeDelta::hours(1)];
        let start = times.iter().find_map(|time| self.time_zone.from_local_datetime(time).earliest())?;
        Some(start.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(days: &[u8], from_minute: u16, minutes: u16) -> QuietHours {
        let days = days.iter().copied().collect();
        QuietHours { time_zone: chrono_tz::Europe::Berlin, days, from_minute, minutes }
    }

    fn end(of: &QuietHours, at: &str) -> Option<String> {
        of.end(at.parse().unwrap()).map(|end| end.format("%Y-%m-%dT%H:%MZ").to_string())
    }

    #[test]
    fn hours_end_on_the_next_day_of_their_time_zone() {
        // 22:00 to 08:00 from Monday to Friday, an hour ahead of UTC; 2026-11-06 is a Friday.
        let nights = quiet(&[1, 2, 3, 4, 5], 22 * 60, 600);
        assert_eq!(end(&nights, "2026-11-06T20:59:59Z"), None);
        assert_eq!(end(&nights, "2026-11-06T21:00:00Z").as_deref(), Some("2026-11-07T07:00Z"));
        assert_eq!(end(&nights, "2026-11-07T06:59:59Z").as_deref(), Some("2026-11-07T07:00Z"));
        assert_eq!(end(&nights, "2026-11-07T07:00:00Z"), None);
        assert_eq!(end(&nights, "2026-11-07T22:00:00Z"), None, "a Saturday");
    }

    #[test]
    fn hours_that_follow_each_other_end_together() {
        // A weekend of three days, and one of two windows.
        let weekend = quiet(&[6], 0, 4320);
        assert_eq!(end(&weekend, "2026-11-09T10:00:00Z").as_deref(), Some("2026-11-09T23:00Z"));
        let days = quiet(&[6, 7], 0, 1440);
        assert_eq!(end(&days, "2026-11-07T10:00:00Z").as_deref(), Some("2026-11-08T23:00Z"));
    }

    #[test]
    fn hours_begin_once_where_clocks_change() {
        // 02:30 is skipped on 2026-03-29, and there twice on 2026-10-25; both are Sundays.
        let early = quiet(&[7], 150, 30);
        assert_eq!(end(&early, "2026-03-29T01:30:00Z").as_deref(), Some("2026-03-29T02:00Z"));
        assert_eq!(end(&early, "2026-10-25T00:45:00Z").as_deref(), Some("2026-10-25T01:00Z"));
        assert_eq!(end(&early, "2026-10-25T01:45:00Z"), None);
    }

    #[test]
    fn a_part_of_the_week_is_not_quiet() {
        let all = [1, 2, 3, 4, 5, 6, 7];
        let wrong: [(&[u8], u16, u16); 7] = [
            (&all, 0, 1440),
            (&[], 0, 60),
            (&[0], 0, 60),
            (&[8], 0, 60),
            (&[1], 1440, 60),
            (&[1], 0, 0),
            (&[1], 0, 4321),
        ];
        for (days, from, minutes) in wrong {
            assert_eq!(quiet(days, from, minutes).check(), Err(AlertEndpointsError::QuietHours), "{days:?}");
        }
        assert_eq!(quiet(&all, 0, 1439).check(), Ok(()));
    }
}
