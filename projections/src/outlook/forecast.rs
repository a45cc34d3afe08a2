//! What a month will have cost at its end.

use super::error::{MAX_FORECAST_DAYS, OutlookError, PERCENTS};
use super::estimate::{error, estimate};
use super::series::{CostSeries, SeriesQuery, compute, turn};
use super::statistics::{Hours, Method, forecast};
use crate::report::{LocalHour, ReportError, ReportSnapshot, hours, is_start_of_hour, month, start_of_hour};
use chrono::{DateTime, TimeDelta, Utc};
use domain::Sum;
use streams::{Position, TenantReads};

/// The days of history that a forecast is made from, before the day on which it begins.
pub const HISTORY_DAYS: u64 = 182;

/// Which cost is forecast.
#[derive(Debug, Clone)]
pub struct ForecastQuery {
    /// The calls.
    pub series: SeriesQuery,
    /// The time from which on the cost is forecast, the start of an hour; the start of the present hour if none.
    pub at: Option<DateTime<Utc>>,
    /// The time up to which it is forecast, the start of an hour; the end of the month of `at` if none.
    pub until: Option<DateTime<Utc>>,
    /// The probability of the interval in per cent, one of [`PERCENTS`].
    pub percent: u32,
    /// The present.
    pub now: DateTime<Utc>,
}

/// How wrong a method was on spans of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodError {
    /// The method.
    pub method: Method,
    /// The sum of its absolute errors, divided by what the spans cost. None if they cost nothing, or the history is too short for
    /// the method.
    pub error: Option<Sum>,
}

/// What a span will have cost at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostForecast {
    /// The start of the month in which the forecast begins.
    pub from: DateTime<Utc>,
    /// The time from which on the cost is forecast.
    pub at: DateTime<Utc>,
    /// The end of the span.
    pub until: DateTime<Utc>,
    /// The exact charged cost from `from` to `at`.
    pub spent: Sum,
    /// The expected cost from `from` to `until`.
    pub expected: Sum,
    /// The limits within which the cost from `from` to `until` is expected to be with the requested probability. None if the history
    /// has too few spans to say so.
    pub interval: Option<(Sum, Sum)>,
    /// The probability of the interval, in per cent.
    pub percent: u32,
    /// The method that was used.
    pub method: Method,
    /// How wrong each method was.
    pub methods: Vec<MethodError>,
    /// The first hour of the history.
    pub history_from: DateTime<Utc>,
    /// The number of hours of the history.
    pub history_hours: usize,
    /// The number of hours that are forecast.
    pub forecast_hours: usize,
    /// The length of the spans on which the methods were tested, in hours.
    pub tested_hours: usize,
    /// The number of these spans, which overlap.
    pub spans: usize,
    /// The number of them that lie beside each other.
    pub independent_spans: usize,
    /// Calls of the history without a known price, which are in no cost.
    pub unpriced_calls: i64,
    /// The history contains every call up to this position.
    pub position: Position,
    /// What the history was summed from, in words.
    pub summed_from: String,
}

/// The times of a forecast.
struct Times {
    from: DateTime<Utc>,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
    history_from: DateTime<Utc>,
}

impl ForecastQuery {
    /// The projection that feeds the series.
    pub const PROJECTIONS: [&'static str; 1] = ["calls"];

    fn times(&self) -> Result<Times, OutlookError> {
        let zone = self.series.zone;
        let at = self.at.unwrap_or_else(|| start_of_hour(zone, self.now));
        if at > self.now {
            return Err(OutlookError::InFuture { at, now: self.now });
        }
        let (from, end) = month(zone, at).ok_or(OutlookError::OutOfCalendar(at))?;
        let until = self.until.unwrap_or(end);
        if let Some(time) = [at, until].into_iter().find(|time| !is_start_of_hour(zone, *time)) {
            return Err(OutlookError::NotAnHour(time, zone));
        }
        if until <= at {
            return Err(ReportError::EmptyRange { from: at, to: until }.into());
        }
        // An hour more, where clocks change.
        if until - at > TimeDelta::days(MAX_FORECAST_DAYS) + TimeDelta::hours(1) {
            return Err(OutlookError::TooLong { from: at, to: until, limit_days: MAX_FORECAST_DAYS });
        }
        Ok(Times { from, at, until, history_from: self.series.days_before(at, HISTORY_DAYS) })
    }
}

/// Forecasts what a month, or a span from its start on, will have cost at its end, from the costs by the hour before.
///
/// # Errors
/// [`OutlookError`] if the query is not valid, no sums answer it, the history is too short, or the database fails.
pub async fn cost_forecast(reads: &TenantReads, query: &ForecastQuery) -> Result<CostForecast, OutlookError> {
    query.series.check(None)?;
    if !PERCENTS.contains(&query.percent) {
        return Err(OutlookError::InvalidPercent(query.percent));
    }
    let Times { from, at, until, history_from } = query.times()?;
    let turn = turn(&query.series.access).await;
    let series_of = query.series.report(Vec::new(), (history_from, at));
    let mut snapshot = ReportSnapshot::begin(reads, &series_of).await?;
    let series = CostSeries::read(&mut snapshot, &query.series, (history_from, at)).await?;
    let position = snapshot.position;
    snapshot.end().await?;
    let next = hours(query.series.zone, at, until);
    let slots: Vec<u16> = series.hours.iter().chain(&next).map(LocalHour::slot).collect();
    let (costs, horizon) = (series.floats(), next.len());
    let percent = usize::try_from(query.percent).unwrap_or_default();
    let compute = compute(turn, move || forecast(Hours { costs: &costs, slots: &slots }, horizon, percent));
    let (made, turn) = compute.await?;
    drop(turn);
    let made = made.map_err(|short| OutlookError::HistoryTooShort { before: at, short })?;
    let spent = series.since(from);
    let with_spent = |cost: f64| {
        let mut sum = estimate(cost);
        sum += &spent;
        sum
    };
    let of_method = |of: &super::statistics::Candidate| MethodError { method: of.method, error: of.error.map(error) };
    Ok(CostForecast {
        from,
        at,
        until,
        expected: with_spent(made.sum),
        interval: made.interval.map(|(lower, upper)| (with_spent(lower), with_spent(upper))),
        spent,
        percent: query.percent,
        method: made.method,
        methods: made.candidates.iter().map(of_method).collect(),
        history_from: series.hours.first().map_or(history_from, |first| first.start),
        history_hours: series.hours.len(),
        forecast_hours: horizon,
        tested_hours: made.tested_hours,
        spans: made.spans,
        independent_spans: made.independent_spans,
        unpriced_calls: series.unpriced_calls,
        position,
        summed_from: series.summed_from,
    })
}
