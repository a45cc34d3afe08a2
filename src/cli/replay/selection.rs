//! Which events are replayed.

use crate::cli::point::{Between, Point};
use std::str::FromStr;
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

    /// Print which fields of the state of the aggregate differ between two moments, inclusive, and the events between them
    #[arg(long, value_name = "MOMENT..MOMENT", requires = "stream", conflicts_with_all = ["from", "to", "as_of"])]
    pub(super) between: Option<Between>,
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
