//! Times and positions of the log as the command line has them.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use std::str::FromStr;
use streams::Position;

/// A position of the log, or a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Point {
    Position(Position),
    Time(DateTime<Utc>),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(position) = text.parse::<u64>() {
            return Ok(Self::Position(Position::from(position)));
        }
        parse_time(text).map(Self::Time).map_err(|_| {
            "expected a position such as 42, a day such as 2023-09-24 or a time such as 2023-09-24T13:00:00Z".to_owned()
        })
    }
}

/// The position before another one.
pub(super) fn before(position: Position) -> Position {
    Position::from(position.get().saturating_sub(1))
}

/// Parses a day, or a time in RFC 3339.
pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    text.parse().map_err(|_| "expected a day such as 2023-09-24 or a time such as 2023-09-24T13:00:00Z".to_owned())
}
