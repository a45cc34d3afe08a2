//! The costs of a tenant by the hour, which forecasts and anomalies are computed from.

use super::error::{MAX_OUTLOOK_FILTERS, OutlookError};
use super::estimate::cost;
use crate::report::{
    Dimension, LocalHour, ReportError, ReportFilter, ReportQuery, ReportSnapshot, ReportTag, UsageSource, hours,
    start_of_day,
};
use chrono::{DateTime, Days, Utc};
use chrono_tz::Tz;
use domain::permissions::{Access, ReadReports};
use domain::{Sum, TenantId};
use std::collections::HashMap;
use std::sync::LazyLock;
use streams::{Turn, Turns};
use tokio::task::JoinError;
use tracing::subscriber::NoSubscriber;

/// The most forecasts and searches for anomalies at the same time in a process; others wait for their turn, each as long as its
/// request may take. Tenants take turns.
pub const MAX_OUTLOOKS: usize = 2;
static TURNS: LazyLock<Turns<TenantId>> = LazyLock::new(|| Turns::new(MAX_OUTLOOKS));

/// Waits for a turn. It is taken before a connection is, so that those that wait hold none.
pub(super) async fn turn(access: &Access<ReadReports>) -> Turn<TenantId> {
    TURNS.take(|| access.tenant().clone()).await
}

/// Computes statistics outside of the threads that serve requests. The turn is returned with the result: it is kept until the
/// work ends, even if the request has ended before.
pub(super) async fn compute<T: Send + 'static>(
    turn: Turn<TenantId>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<(T, Turn<TenantId>), JoinError> {
    // Without the spans that a library makes for each of many models.
    let unobserved = move || (tracing::subscriber::with_default(NoSubscriber::default(), work), turn);
    tokio::task::spawn_blocking(unobserved).await
}

/// Which calls a series consists of.
#[derive(Debug, Clone)]
pub struct SeriesQuery {
    /// The access to the reports of the tenant.
    pub access: Access<ReadReports>,
    /// Only calls that meet these filters, as of a report, at most [`MAX_OUTLOOK_FILTERS`] and none on a period of time.
    pub filters: Vec<ReportFilter>,
    /// The time zone of hours, days and months.
    pub zone: Tz,
    /// The tag of filters and causes; none if neither is about a tag.
    pub tag: Option<ReportTag>,
}

impl SeriesQuery {
    /// The report by dimensions over a time range.
    pub(super) fn report(&self, by: Vec<Dimension>, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> ReportQuery {
        let mut query = ReportQuery::new(self.access.clone());
        query.filters.clone_from(&self.filters);
        query.zone = self.zone;
        (query.from, query.to) = (Some(from), Some(to));
        query.tag = self.tag.clone().filter(|_| {
            let filtered = self.filters.iter().map(ReportFilter::dimension);
            by.iter().copied().chain(filtered).any(|dimension| dimension == Dimension::Tag)
        });
        query.by = by;
        query
    }

    /// Checks the filters, and that the tag is one of them or of the dimension of the causes.
    pub(super) fn check(&self, by: Option<Dimension>) -> Result<(), OutlookError> {
        let mut dimensions = self.filters.iter().map(ReportFilter::dimension).chain(by);
        if let Some(tag) = self.tag.as_ref().filter(|_| !dimensions.any(|of| of == Dimension::Tag)) {
            return Err(ReportError::UnusedTagKey(tag.key.clone()).into());
        }
        if self.filters.len() > MAX_OUTLOOK_FILTERS {
            return Err(OutlookError::TooManyFilters(self.filters.len()));
        }
        match self.filters.iter().map(ReportFilter::dimension).find(|dimension| dimension.is_time()) {
            Some(time) => Err(OutlookError::OfTime(time)),
            None => Ok(()),
        }
    }

    /// The first time of the day so many days before the day of a time, in the zone; the time itself if the calendar begins later.
    pub(super) fn days_before(&self, at: DateTime<Utc>, days: u64) -> DateTime<Utc> {
        let day = at.with_timezone(&self.zone).date_naive().checked_sub_days(Days::new(days));
        day.and_then(|day| start_of_day(self.zone, day)).unwrap_or(at)
    }
}

/// Refuses a report that no sums answer.
pub(super) fn check_summed(query: &ReportQuery) -> Result<String, OutlookError> {
    let source = query.source()?;
    if source != UsageSource::Calls {
        return Ok(source.to_string());
    }
    let filtered = query.filters.iter().map(ReportFilter::dimension);
    let mut dimensions: Vec<_> = query.by.iter().copied().chain(filtered).collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    let names: Vec<_> = dimensions.into_iter().filter(|of| *of != Dimension::Hour).map(Dimension::as_str).collect();
    let names = if names.is_empty() { format!("the hours of {}", query.zone.name()) } else { names.join(", ") };
    Err(OutlookError::NotSummed(names))
}

/// The costs of consecutive hours, from the first hour with a call on.
#[derive(Debug)]
pub(super) struct CostSeries {
    pub(super) hours: Vec<LocalHour>,
    pub(super) costs: Vec<Sum>,
    /// Calls without a known price, which are in no cost.
    pub(super) unpriced_calls: i64,
    pub(super) summed_from: String,
}

impl CostSeries {
    /// Reads the costs of a time range.
    pub(super) async fn read(
        snapshot: &mut ReportSnapshot,
        query: &SeriesQuery,
        range: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Self, OutlookError> {
        let report = query.report(vec![Dimension::Hour], range);
        let summed_from = check_summed(&report)?;
        let mut rows = HashMap::new();
        let mut unpriced_calls = 0;
        for row in snapshot.rows(&report).await? {
            unpriced_calls += row.totals.unpriced_calls;
            let has_calls = row.totals.calls > 0 || row.totals.tool_calls > 0;
            if let (true, Some(Some(key))) = (has_calls, row.keys.into_iter().next()) {
                rows.insert(key, row.totals.cost);
            }
        }
        let mut hours = hours(query.zone, range.0, range.1);
        let first = hours.iter().position(|hour| rows.contains_key(&hour.key)).unwrap_or(hours.len());
        hours.drain(..first);
        let costs = hours.iter().map(|hour| rows.remove(&hour.key).unwrap_or_default()).collect();
        Ok(Self { hours, costs, unpriced_calls, summed_from })
    }

    /// The costs for statistics.
    pub(super) fn floats(&self) -> Vec<f64> {
        self.costs.iter().map(cost).collect()
    }

    /// The exact cost of the hours from a time on.
    pub(super) fn since(&self, from: DateTime<Utc>) -> Sum {
        let costs = self.hours.iter().zip(&self.costs).filter(|(hour, _)| hour.start >= from).map(|(_, cost)| cost);
        total(costs)
    }
}

/// The exact sum of costs.
pub(super) fn total<'c>(costs: impl IntoIterator<Item = &'c Sum>) -> Sum {
    costs.into_iter().fold(Sum::default(), |mut total, cost| {
        total += cost;
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::time::Duration;

    #[tokio::test]
    async fn a_computation_that_nothing_waits_for_keeps_its_turn_until_it_ends() {
        let turns = Turns::new(1);
        let tenant: TenantId = "acme".parse().unwrap();
        let turn = turns.take(|| tenant.clone()).await;
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let computing = compute(turn, move || ended.recv().is_ok());
        assert!(tokio::time::timeout(Duration::ZERO, computing).await.is_err());
        assert!(turns.take(|| tenant.clone()).now_or_never().is_none(), "the work goes on");
        end.send(()).unwrap();
        drop(turns.take(|| tenant.clone()).await);
    }
}
