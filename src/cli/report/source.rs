//! Where the rows of a report come from.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use projections::{ReportRow, Totals, WholeReport};
use streams::Position;

/// A report that is read row by row.
pub(in crate::cli) trait Source {
    /// The sums over all rows.
    fn total(&self) -> &Totals;
    /// The report contains every call up to this position.
    fn position(&self) -> Position;
    /// What the report is summed from, in words.
    fn summed_from(&self) -> String;
    /// The rows.
    fn rows(&mut self) -> BoxStream<'_, anyhow::Result<ReportRow>>;
}

impl Source for WholeReport {
    fn total(&self) -> &Totals {
        &self.total
    }

    fn position(&self) -> Position {
        self.position
    }

    fn summed_from(&self) -> String {
        self.source().to_string()
    }

    fn rows(&mut self) -> BoxStream<'_, anyhow::Result<ReportRow>> {
        Self::rows(self).map_err(anyhow::Error::from).boxed()
    }
}
