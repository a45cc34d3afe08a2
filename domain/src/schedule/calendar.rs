//! When a schedule runs, and which period of the calendar a run covers.
//!
//! Local times are those of a time zone. One that does not exist, because clocks are put forward, is replaced by the next one
//! that does; one that exists twice, because clocks are put back, is the first of the two. So each day, week or month has one run.

use super::error::ScheduleError;
use super::limits::{MAX_DAY_OF_MONTH, MAX_DELAY_MINUTES};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How many days are looked at for the next run: a month, and the days that clocks may leave out.
const SEARCHED_DAYS: u64 = 64;
/// Clocks are put forward by at most a day (Samoa, 2011), at the start of a minute.
const LONGEST_GAP_MINUTES: i64 = 25 * 60;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DayOfWeek {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl DayOfWeek {
    /// All days, from Monday on.
    pub const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// The name in events and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }

    fn is_of(self, date: NaiveDate) -> bool {
        let number = usize::try_from(date.weekday().num_days_from_monday()).unwrap_or_default();
        Self::ALL.get(number) == Some(&self)
    }
}

/// On which days a schedule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "every", rename_all = "snake_case")]
pub enum Cadence {
    /// Every day.
    Day,
    /// Every week.
    Week {
        /// The day of the week.
        weekday: DayOfWeek,
    },
    /// Every month.
    Month {
        /// The day of the month, from 1 to [`MAX_DAY_OF_MONTH`].
        day: u8,
    },
}

impl Cadence {
    fn is_on(self, date: NaiveDate) -> bool {
        match self {
            Self::Day => true,
            Self::Week { weekday } => weekday.is_of(date),
            Self::Month { day } => date.day() == u32::from(day),
        }
    }
}

/// A time of the day in hours and minutes, such as `06:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
pub struct TimeOfDay {
    time: NaiveTime,
}

impl FromStr for TimeOfDay {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ScheduleError::InvalidTime(text.chars().take(32).collect());
        let has_form = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
        let time = NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| invalid())?;
        if has_form { Ok(Self { time }) } else { Err(invalid()) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.time.hour(), self.time.minute())
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

/// The period of the calendar that a run covers: the last one that was over when the day of the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodUnit {
    /// The day before.
    Day,
    /// The week before, from Monday on.
    Week,
    /// The month before.
    Month,
}

impl PeriodUnit {
    /// All units.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The name in events and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the period that a day belongs to.
    fn first_day(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(date),
            Self::Week => date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into())),
            Self::Month => date.with_day(1),
        }
    }

    /// The first day of the period after one that begins on a day.
    fn next(self, first: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => first.succ_opt(),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_days(Days::new(31)).and_then(|day| day.with_day(1)),
        }
    }

    fn name(self, first: NaiveDate) -> String {
        match self {
            Self::Day => first.format("%Y-%m-%d").to_string(),
            Self::Week => first.format("%G-W%V").to_string(),
            Self::Month => first.format("%Y-%m").to_string(),
        }
    }
}

/// A period of the calendar of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoveredPeriod {
    /// The name: `2026-10-25` for a day, `2026-W43` for a week (ISO 8601), `2026-10` for a month.
    pub name: String,
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When it is over.
    pub to: DateTime<Utc>,
}

/// When a schedule runs, and which period a run covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// On which days.
    pub cadence: Cadence,
    /// The local time of the day.
    pub time: TimeOfDay,
    /// The IANA name of the time zone of days and times, such as `Europe/Berlin`.
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// The period that a run covers.
    pub period: PeriodUnit,
    /// How long after its time a run is made, in minutes, so that calls that are reported late are in it; at most
    /// [`MAX_DELAY_MINUTES`].
    #[serde(default)]
    pub delay_minutes: u32,
}

impl Timing {
    pub(super) fn check(&self) -> Result<(), ScheduleError> {
        if let Cadence::Month { day } = self.cadence
            && !(1..=MAX_DAY_OF_MONTH).contains(&day)
        {
            return Err(ScheduleError::InvalidDay(day));
        }
        if self.delay_minutes > MAX_DELAY_MINUTES {
            return Err(ScheduleError::DelayTooLong(self.delay_minutes));
        }
        Ok(())
    }

    /// How long after its time a run is made.
    #[must_use]
    pub fn delay(&self) -> TimeDelta {
        TimeDelta::minutes(self.delay_minutes.into())
    }

    /// The first time of a run after a time; none beyond the years of the calendar.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = self.local_date(after).checked_sub_days(Days::new(2))?;
        first
            .iter_days()
            .take(SEARCHED_DAYS.try_into().ok()?)
            .filter_map(|date| self.run_on(date))
            .find(|at| *at > after)
    }

    /// The first time of a run that is made after a time, when its delay is over.
    #[must_use]
    pub fn next_made_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_after(after.checked_sub_signed(self.delay())?)
    }

    /// The period that the run at a time covers; none if the time is not that of a run.
    #[must_use]
    pub fn period_of_run(&self, at: DateTime<Utc>) -> Option<CoveredPeriod> {
        let first = self.local_date(at).checked_sub_days(Days::new(2))?;
        let date = first.iter_days().take(4).find(|date| self.run_on(*date) == Some(at))?;
        self.period_before(date)
    }

    /// The last period that is over at a time.
    #[must_use]
    pub fn period_over_at(&self, at: DateTime<Utc>) -> Option<CoveredPeriod> {
        self.period_before(self.local_date(at))
    }

    /// The period that a day belongs to; none if the time zone does not have the day.
    #[must_use]
    pub fn period_with(&self, date: NaiveDate) -> Option<CoveredPeriod> {
        let first = self.period.first_day(date)?;
        let (from, to) = (self.start_of(first)?, self.start_of(self.period.next(first)?)?);
        (from < to).then(|| CoveredPeriod { name: self.period.name(first), from, to })
    }

    fn period_before(&self, date: NaiveDate) -> Option<CoveredPeriod> {
        self.period_with(self.period.first_day(date)?.pred_opt()?)
    }

    fn local_date(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.time_zone).date_naive()
    }

    /// When the schedule runs on a day; none if it does not, or if the time zone did not have the period that it would cover.
    fn run_on(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        (self.cadence.is_on(date) && self.period_before(date).is_some()).then(|| self.instant(date, self.time.time))?
    }

    fn start_of(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        self.instant(date, NaiveTime::MIN)
    }

    /// A local time, or the next one that exists; the first one of two.
    fn instant(&self, date: NaiveDate, time: NaiveTime) -> Option<DateTime<Utc>> {
        let local = date.and_time(time);
        (0..=LONGEST_GAP_MINUTES)
            .filter_map(|minutes| local.checked_add_signed(TimeDelta::minutes(minutes)))
            .find_map(|local| self.time_zone.from_local_datetime(&local).earliest())
            .map(|at| at.with_timezone(&Utc))
    }
}
