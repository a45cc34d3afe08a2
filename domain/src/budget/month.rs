//! Calendar months, the periods of budgets.

use super::error::BudgetError;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A calendar month, such as `2023-09`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[+-]?[0-9]{4,6}-(0[1-9]|1[0-2])$"))]
pub struct Month {
    first_day: NaiveDate,
}

impl Month {
    /// The month that a time belongs to in a time zone.
    #[must_use]
    pub fn containing(at: DateTime<Utc>, zone: Tz) -> Self {
        let local = at.with_timezone(&zone).date_naive();
        Self { first_day: local.with_day(1).unwrap_or(local) }
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.first_day.year()
    }

    /// The start of the month and the start of the next one in a time zone. If midnight does not exist, because clocks are
    /// put forward, the month starts at the first local time that exists.
    #[must_use]
    pub fn bounds(self, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        (start_of_day(self.first_day, zone), start_of_day(self.next().first_day, zone))
    }

    fn next(self) -> Self {
        let next = self.first_day.checked_add_days(Days::new(31)).and_then(|day| day.with_day(1));
        Self { first_day: next.unwrap_or(self.first_day) }
    }
}

pub(super) fn start_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // Clocks are put forward by at most a day (Samoa, 2011), and offsets are multiples of 15 minutes.
    (0..=96)
        .filter_map(|quarter| midnight.checked_add_signed(chrono::TimeDelta::minutes(15 * quarter)))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map_or_else(|| midnight.and_utc(), |start| start.with_timezone(&Utc))
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first_day.format("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d")
            .map(|first_day| Self { first_day })
            .map_err(|_| BudgetError::InvalidMonth(text.chars().take(32).collect()))
    }
}

impl TryFrom<String> for Month {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}
