//! Where the rows of a report come from.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use projections::{ReportRow, Totals, WholeReport};
use streams::Position;

/// What is known of a report before its rows.
#[derive(Debug)]
pub(in crate::cli) struct Summary {
    /// The sums over all rows.
    pub(super) total: Totals,
    /// The report contains every call up to this position.
    pub(super) position: Position,
    /// What the report is summed from, in words.
    pub(super) summed_from: String,
}

/// A report that is read row by row.
pub(in crate::cli) trait Source {
    /// What is known of it before its rows.
    fn summary(&self) -> &Summary;
    /// The rows.
    fn rows(&mut self) -> BoxStream<'_, anyhow::Result<ReportRow>>;
}

/// A report on the database.
pub(in crate::cli) struct OnDatabase {
    summary: Summary,
    report: WholeReport,
}

impl From<WholeReport> for OnDatabase {
    fn from(report: WholeReport) -> Self {
        let (total, position, summed_from) = (report.total.clone(), report.position, report.source().to_string());
        Self { summary: Summary { total, position, summed_from }, report }
    }
}

impl Source for OnDatabase {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn rows(&mut self) -> BoxStream<'_, anyhow::Result<ReportRow>> {
        self.report.rows().map_err(anyhow::Error::from).boxed()
    }
}
