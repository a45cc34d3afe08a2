//! Where the rows of a report come from.

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use projections::{ReportQuery, ReportRow, Totals, WholeReport};
use streams::{Log, Position, TenantReads};

/// What is known of a report before its rows.
#[derive(Debug)]
pub(in crate::cli) struct Summary {
    /// The sums over all rows.
    pub(super) total: Totals,
    /// The period that the report is compared with.
    pub(super) base: Option<Base>,
    /// The report contains every call up to this position.
    pub(super) position: Position,
    /// How long ago the oldest event was recorded that the report does not include; none if there is none.
    pub(super) seconds_behind: Option<u64>,
    /// What the report is summed from, in words.
    pub(super) summed_from: String,
}

impl Summary {
    /// How far the report is behind a position of the log: the number of events, and how long ago the oldest of them was recorded.
    pub(super) fn behind(&self, head: Position) -> (u64, Option<u64>) {
        let events = head.get().saturating_sub(self.position.get());
        (events, self.seconds_behind.filter(|_| events > 0))
    }
}

/// The period that a report is compared with.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Base {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    /// The sums over all rows.
    pub(super) total: Totals,
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
        let base = report.base_range().zip(report.base_total.clone());
        let base = base.map(|((from, to), total)| Base { from, to, total });
        Self { summary: Summary { total, base, position, seconds_behind: None, summed_from }, report }
    }
}

impl OnDatabase {
    /// Opens a report, and reads how far it is behind the log.
    pub(super) async fn open(log: &Log, reads: &TenantReads, query: &ReportQuery) -> anyhow::Result<Self> {
        let mut report = Self::from(WholeReport::open(reads, query).await?);
        report.summary.seconds_behind = log.seconds_behind(report.summary.position).await?;
        Ok(report)
    }
}

impl OnDatabase {
    /// The same report, which names another position.
    pub(super) fn at(mut self, position: Position) -> Self {
        self.summary.position = position;
        self
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
