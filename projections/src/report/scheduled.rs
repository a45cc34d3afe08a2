//! The report that a schedule makes.

use super::error::{InvalidFilter, ReportError};
use super::query::{ReportFilter, ReportQuery, ReportTag};
use super::{Dimension, UnknownDimension};
use chrono_tz::Tz;
use domain::permissions::{Access, ReadReports};
use domain::schedule::{CoveredPeriod, ScheduledContent};
use domain::tag_keys::TagKeys;
use thiserror::Error;

/// Why the content of a schedule is no report.
#[derive(Debug, Error)]
pub enum ScheduledReportError {
    /// There is no such dimension.
    #[error(transparent)]
    Dimension(#[from] UnknownDimension),
    /// No call can have a value.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// The report is not valid.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// The report of a period: what a schedule exports as a report, and by whose filters it makes statements.
///
/// # Errors
/// [`ScheduledReportError`] if a dimension or a filter is not valid, or the report is not.
pub fn scheduled_report(
    access: Access<ReadReports>,
    content: &ScheduledContent,
    (zone, period): (Tz, &CoveredPeriod),
    declared: &TagKeys,
) -> Result<ReportQuery, ScheduledReportError> {
    let mut query = ReportQuery::new(access);
    for name in &content.by {
        query.by.push(name.as_str().parse::<Dimension>()?);
    }
    for filter in &content.filters {
        let dimension = filter.dimension.as_str().parse::<Dimension>()?;
        query.filters.push(ReportFilter::new(dimension, filter.value.as_ref().map(|value| value.as_str()))?);
    }
    let tag = |key: &domain::TagKey| ReportTag { key: key.clone(), is_declared: declared.is_declared(key) };
    query.tag = content.tag_key.as_ref().map(tag);
    (query.zone, query.top) = (zone, content.top);
    (query.from, query.to) = (Some(period.from), Some(period.to));
    query.source()?;
    Ok(query)
}
