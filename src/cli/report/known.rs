//! Costs as they were known at an earlier time, on the database.

use super::super::exports;
use super::super::point::Point;
use super::arguments::Cost;
use super::messages::describe_known;
use super::print::{Layout, print};
use super::source::{Base, Source, Summary};
use crate::rooms::Rooms;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use projections::{KnownAt, KnownLimits, KnownReport, ReportQuery, ReportRow};

/// A report whose rows are in memory.
struct InMemory {
    summary: Summary,
    rows: Vec<ReportRow>,
}

impl Source for InMemory {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn rows(&mut self) -> BoxStream<'_, anyhow::Result<ReportRow>> {
        stream::iter(self.rows.drain(..).map(Ok)).boxed()
    }
}

/// Prints the costs as they were known at a point of the log.
pub(super) async fn report(rooms: &Rooms, cost: &Cost, query: &ReportQuery, known_at: Point) -> anyhow::Result<()> {
    let known_at = match known_at {
        Point::Position(position) => KnownAt::Position(position),
        Point::Time(time) => KnownAt::Time(time),
    };
    let events = rooms.log.of_tenants(rooms.reads.clone());
    let known = KnownReport::read(&rooms.log, &events, query, known_at, KnownLimits::OF_PROGRAM).await?;
    if exports::is_export(cost.format) {
        exports::record(rooms, "usage_report").await;
    }
    let (total, position) = (known.total.clone(), known.position);
    let base = known.base_range.zip(known.base_total.clone());
    let base = base.map(|((from, to), total)| Base { from, to, total });
    let rows = known.into_rows(&rooms.reads, query).await?;
    let summed_from = KnownReport::SUMMED_FROM.to_owned();
    let mut report = InMemory { summary: Summary { total, base, position, seconds_behind: None, summed_from }, rows };
    print(&mut report, position, &Layout::of(cost, query.zone)).await?;
    describe_known(&report);
    Ok(())
}
