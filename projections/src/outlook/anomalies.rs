//! Hours and days whose cost is not in the band in which it was expected, with who caused it.

use super::anomaly_query::{AnomalyQuery, AnomalyStep};
use super::causes::{self, CauseList};
use super::error::OutlookError;
use super::estimate::{cost, error, estimate};
use super::series::{CostSeries, compute, total, turn};
use super::statistics::{Band, BandScore, Detection, Outlier, Steps, WEEK_HOURS, detect};
use crate::report::{LocalHour, ReportSnapshot};
use chrono::{DateTime, Datelike as _, Utc};
use domain::{Sum, TenantId};
use streams::{Position, TenantReads, Turn};

/// The days of history before the time range, for anomalies by hours and by days.
const HOURLY_HISTORY_DAYS: u64 = 84;
const DAILY_HISTORY_DAYS: u64 = 182;

/// Which anomalies of those that were found are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnomalyPage {
    /// Only those that begin after this time.
    pub after: Option<DateTime<Utc>>,
    /// The maximum number of them.
    pub size: usize,
}

/// A step whose cost is not in the band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostAnomaly {
    /// The hour or day, in the form of the keys of reports.
    pub key: String,
    /// The start of the step.
    pub from: DateTime<Utc>,
    /// The end of the step.
    pub to: DateTime<Utc>,
    /// The exact charged cost.
    pub actual: Sum,
    /// The expected cost.
    pub expected: Sum,
    /// The lower limit of the band.
    pub lower: Sum,
    /// The upper limit of the band.
    pub upper: Sum,
    /// The values that contribute most to the difference of actual and expected cost.
    pub causes: CauseList,
}

impl CostAnomaly {
    /// How much higher the cost is than expected; below zero if it is lower.
    #[must_use]
    pub fn excess(&self) -> Sum {
        &self.actual - &self.expected
    }
}

/// How well a band fits the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BandError {
    /// The band.
    pub band: Band,
    /// Its mean interval score, divided by the mean cost of a step. None if the history cost nothing.
    pub score: Option<Sum>,
}

/// The anomalies of a time range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostAnomalies {
    /// Those of the page, the earliest first.
    pub anomalies: Vec<CostAnomaly>,
    /// Whether there are more after them.
    pub has_next_page: bool,
    /// The number of anomalies in the time range.
    pub count: usize,
    /// The end of the time range, without the steps that have not ended.
    pub to: DateTime<Utc>,
    /// The band that was used.
    pub band: Band,
    /// How well each band fits the history.
    pub bands: Vec<BandError>,
    /// The first hour of the history.
    pub history_from: DateTime<Utc>,
    /// The number of steps on which the bands were tested.
    pub tested_steps: usize,
    /// Calls of the history and the time range without a known price, which are in no cost.
    pub unpriced_calls: i64,
    /// The costs contain every call up to this position.
    pub position: Position,
    /// What the costs were summed from, in words.
    pub summed_from: String,
}

/// A step of the series.
struct Step {
    key: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    cost: Sum,
    slot: u16,
}

/// The steps of a series; days from the first whole one on.
fn steps(series: &CostSeries, step: AnomalyStep) -> Vec<Step> {
    let hours = series.hours.iter().zip(&series.costs);
    match step {
        AnomalyStep::Hour => hours
            .map(|(hour, cost)| Step {
                key: hour.key.clone(),
                from: hour.start,
                to: hour.end,
                cost: cost.clone(),
                slot: hour.slot(),
            })
            .collect(),
        AnomalyStep::Day => {
            let of_days: Vec<(&LocalHour, &Sum)> = hours.collect();
            let days = of_days.chunk_by(|(a, _), (b, _)| a.day == b.day);
            let day = |hours: &[(&LocalHour, &Sum)]| {
                let ((first, _), (last, _)) = (hours.first()?, hours.last()?);
                Some(Step {
                    key: first.day.format("%Y-%m-%d").to_string(),
                    from: first.start,
                    to: last.end,
                    cost: total(hours.iter().map(|(_, cost)| *cost)),
                    slot: u16::try_from(first.day.weekday().num_days_from_monday()).unwrap_or_default(),
                })
            };
            // The first call may be of the middle of a day.
            let is_cut = of_days.first().is_some_and(|(first, _)| first.hour != 0);
            days.skip(usize::from(is_cut)).filter_map(day).collect()
        }
    }
}

/// Finds the hours or days of a time range whose cost is not in the band, and who caused it.
///
/// # Errors
/// [`OutlookError`] if the query is not valid, no sums answer it, the history is too short, or the database fails.
pub async fn cost_anomalies(
    reads: &TenantReads,
    query: &AnomalyQuery,
    page: AnomalyPage,
) -> Result<CostAnomalies, OutlookError> {
    let to = query.check()?;
    let history_days = match query.step {
        AnomalyStep::Hour => HOURLY_HISTORY_DAYS,
        AnomalyStep::Day => DAILY_HISTORY_DAYS,
    };
    let history_from = query.series.days_before(query.from, history_days);
    let turn = turn(&query.series.access).await;
    let mut snapshot = ReportSnapshot::begin(reads, &query.series.report(Vec::new(), (history_from, to))).await?;
    let series = CostSeries::read(&mut snapshot, &query.series, (history_from, to)).await?;
    causes::check(query, &series.hours)?;
    let steps = steps(&series, query.step);
    let (found, turn) = found(query, &steps, turn).await?;
    let is_after = |outlier: &&Outlier| page.after.is_none_or(|after| steps[outlier.at].from > after);
    let mut left = found.outliers.iter().filter(is_after).peekable();
    let mut anomalies = Vec::new();
    while let Some(outlier) = left.next_if(|_| anomalies.len() < page.size) {
        let (step, expected) = (&steps[outlier.at], estimate(outlier.expected));
        let of_step = ((step.from, step.to), &expected);
        let causes = causes::find(&mut snapshot, query, &series.hours, of_step).await?;
        anomalies.push(CostAnomaly {
            key: step.key.clone(),
            from: step.from,
            to: step.to,
            actual: step.cost.clone(),
            lower: estimate(outlier.lower),
            upper: estimate(outlier.upper),
            expected,
            causes,
        });
    }
    let has_next_page = left.peek().is_some();
    let position = snapshot.position;
    snapshot.end().await?;
    drop(turn);
    let of_band = |of: &BandScore| BandError { band: of.band, score: of.score.map(error) };
    Ok(CostAnomalies {
        anomalies,
        has_next_page,
        count: found.outliers.len(),
        to,
        band: found.band,
        bands: found.scores.iter().map(of_band).collect(),
        history_from: series.hours.first().map_or(history_from, |first| first.start),
        tested_steps: found.tested_steps,
        unpriced_calls: series.unpriced_calls,
        position,
        summed_from: series.summed_from,
    })
}

/// The steps of the time range that are not in the band.
async fn found(
    query: &AnomalyQuery,
    steps: &[Step],
    turn: Turn<TenantId>,
) -> Result<(Detection, Turn<TenantId>), OutlookError> {
    let costs: Vec<f64> = steps.iter().map(|step| cost(&step.cost)).collect();
    let slots: Vec<u16> = steps.iter().map(|step| step.slot).collect();
    let first = steps.iter().position(|step| step.from >= query.from).unwrap_or(steps.len());
    let per_week = match query.step {
        AnomalyStep::Hour => WEEK_HOURS,
        AnomalyStep::Day => 7,
    };
    let compute = compute(turn, move || detect(&Steps { costs: &costs, slots: &slots, per_week }, first));
    let (detected, turn) = compute.await?;
    let detected = detected.map_err(|short| OutlookError::HistoryTooShort { before: query.from, short })?;
    Ok((detected, turn))
}
