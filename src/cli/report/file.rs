//! Reports and statements that are written into files, by the schedules of a server.

use super::chargeback;
use super::print::{Layout, write_to};
use super::source::OnDatabase;
use crate::cli::output::{Format, Sink};
use projections::{CostStatements, NamedDimension, ReportQuery, WholeReport};
use streams::Position;

/// How a report is written into a file.
pub(in crate::cli) struct FileLayout<'q> {
    /// The query of the report.
    pub(in crate::cli) query: &'q ReportQuery,
    /// The format, which is no table.
    pub(in crate::cli) format: Format,
    /// The position that the file names.
    pub(in crate::cli) position: Position,
}

/// Writes a report, as `apex report cost` prints it. Returns the number of rows.
pub(in crate::cli) async fn write_report(
    sink: Sink<'_>,
    report: WholeReport,
    of: &FileLayout<'_>,
) -> anyhow::Result<u64> {
    let tag_key = of.query.tag.as_ref().map(|tag| &tag.key);
    let by = of.query.by.iter().map(|dimension| NamedDimension::with_key(*dimension, tag_key)).collect();
    let layout = Layout::of_file(by, of.format, of.query.zone, of.query.top.is_some());
    let mut report = OnDatabase::from(report).at(of.position);
    write_to(sink, &mut report, of.position, &layout).await
}

/// Writes the statements of all cost centres, as `apex report chargeback` prints them. Returns their number.
pub(in crate::cli) fn statement_file(
    sink: Sink<'_>,
    (made, rules_version): (&CostStatements, u64),
    digits: u32,
    format: Format,
) -> anyhow::Result<u64> {
    chargeback::write(sink, (made, rules_version), digits, format)
}
