//! Which events are replayed.

use crate::cli::report::parse_time;
use chrono::{DateTime, Utc};
use std::str::FromStr;
use streams::Position;
use uuid::Uuid;

/// Which events are replayed, or of which stream the state is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Only this stream, as CATEGORY/ID
    #[arg(long, value_name = "CATEGORY/ID")]
    pub(super) stream: Option<StreamName>,

    /// Start at this position, or at the first event recorded at or after this time
    #[arg(long, value_name = "POSITION|TIME")]
    pub(super) from: Option<Point>,

    /// End at this position, or at the last event recorded before this time
    #[arg(long, value_name = "POSITION|TIME")]
    pub(super) to: Option<Point>,

    /// Print the state of the aggregate as of this position or time, inclusive
    #[arg(long, value_name = "POSITION|TIME", requires = "stream", conflicts_with_all = ["from", "to"])]
    pub(super) as_of: Option<Point>,
}

/// A stream by name.
#[derive(Debug, Clone)]
pub(super) struct StreamName {
    pub(super) category: &'static str,
    pub(super) id: Uuid,
}

impl StreamName {
    /// The error of a stream without events.
    pub(super) fn has_no_events(&self) -> anyhow::Error {
        anyhow::anyhow!("the stream {}/{} has no events", self.category, self.id)
    }

    /// The error of a stream that had no events yet.
    pub(super) fn had_no_events(&self) -> anyhow::Error {
        anyhow::anyhow!("the stream {}/{} had no events at that time", self.category, self.id)
    }
}

impl FromStr for StreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (category, id) = text.split_once('/').ok_or("expected CATEGORY/ID, such as agent/0190…")?;
        let known = domain::Event::CATEGORIES;
        let category = known
            .iter()
            .find(|known| **known == category)
            .ok_or_else(|| format!("there is no category {category:?}; the categories are {}", known.join(", ")))?;
        Ok(Self { category, id: id.parse().map_err(|_| format!("{id:?} is not a UUID"))? })
    }
}

/// A place in the log, or a time.
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
