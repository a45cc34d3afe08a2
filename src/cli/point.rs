//! Times and positions of the log as the command line has them.

use chrono::{DateTime, Utc};
use projections::KnownAt;
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

impl From<Point> for KnownAt {
    fn from(point: Point) -> Self {
        match point {
            Point::Position(position) => Self::Position(position),
            Point::Time(time) => Self::Time(time),
        }
    }
}

/// Two moments, of which the first one is not the later one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Between {
    pub(super) from: Point,
    pub(super) to: Point,
}

impl FromStr for Between {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").ok_or("expected two moments, such as 1200..1500")?;
        let between = Self { from: from.parse()?, to: to.parse()? };
        let is_reversed = match (between.from, between.to) {
            (Point::Position(from), Point::Position(to)) => from > to,
            (Point::Time(from), Point::Time(to)) => from > to,
            // Which is the later one is known by the log.
            (Point::Position(_), Point::Time(_)) | (Point::Time(_), Point::Position(_)) => false,
        };
        if is_reversed { Err(format!("{to} is before {from}: give the earlier moment first")) } else { Ok(between) }
    }
}

/// The position before another one.
pub(super) fn before(position: Position) -> Position {
    Position::from(position.get().saturating_sub(1))
}

/// Parses a day, or a time in RFC 3339.
pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let expected = "expected a day such as 2023-09-24 or a time such as 2023-09-24T13:00:00Z";
    domain::parse_time(text).ok_or_else(|| expected.to_owned())
}
