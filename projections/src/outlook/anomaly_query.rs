//! Which anomalies are looked for.

use super::error::{MAX_CAUSES, MAX_DAILY_DAYS, MAX_HOURLY_DAYS, OutlookError};
use super::series::SeriesQuery;
use crate::report::{Dimension, ReportError, is_start_of_day, is_start_of_hour, start_of_hour};
use chrono::{DateTime, TimeDelta, Utc};

/// The step of a series in which anomalies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnomalyStep {
    /// Hours of the time zone.
    Hour,
    /// Days of the time zone.
    Day,
}

/// Which anomalies are looked for.
#[derive(Debug, Clone)]
pub struct AnomalyQuery {
    /// The calls.
    pub series: SeriesQuery,
    /// The start of the time range, the start of a step.
    pub from: DateTime<Utc>,
    /// The end of the time range, the start of a step. Steps that have not ended are left out.
    pub to: DateTime<Utc>,
    /// The step.
    pub step: AnomalyStep,
    /// The dimension whose values are the causes.
    pub by: Dimension,
    /// The number of causes of each anomaly before the rest, at most [`MAX_CAUSES`].
    pub causes: usize,
    /// The present.
    pub now: DateTime<Utc>,
}

impl AnomalyQuery {
    /// The projections that feed the series, and the names of agents and tasks.
    #[must_use]
    pub fn projections(&self) -> Vec<&'static str> {
        self.series.report(vec![self.by], (self.from, self.to)).projections()
    }

    /// Checks the query, and returns the end of the last step that has ended.
    pub(super) fn check(&self) -> Result<DateTime<Utc>, OutlookError> {
        self.series.check(Some(self.by))?;
        if self.by.is_time() {
            return Err(OutlookError::OfTime(self.by));
        }
        if !(1..=MAX_CAUSES).contains(&self.causes) {
            return Err(OutlookError::InvalidCauses(self.causes));
        }
        let zone = self.series.zone;
        for time in [self.from, self.to] {
            match self.step {
                AnomalyStep::Hour if !is_start_of_hour(zone, time) => return Err(OutlookError::NotAnHour(time, zone)),
                AnomalyStep::Day if !is_start_of_day(zone, time) => return Err(OutlookError::NotADay(time, zone)),
                AnomalyStep::Hour | AnomalyStep::Day => {}
            }
        }
        if self.to <= self.from {
            return Err(ReportError::EmptyRange { from: self.from, to: self.to }.into());
        }
        let limit_days = match self.step {
            AnomalyStep::Hour => MAX_HOURLY_DAYS,
            AnomalyStep::Day => MAX_DAILY_DAYS,
        };
        if self.to - self.from > TimeDelta::days(limit_days) + TimeDelta::hours(1) {
            return Err(OutlookError::TooLong { from: self.from, to: self.to, limit_days });
        }
        let ended = match self.step {
            AnomalyStep::Hour => start_of_hour(zone, self.now),
            AnomalyStep::Day => self.series.days_before(self.now, 0),
        };
        if self.from >= ended {
            return Err(OutlookError::InFuture { at: self.from, now: self.now });
        }
        Ok(self.to.min(ended))
    }
}
