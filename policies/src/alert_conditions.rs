//! The conditions of budgets that are watched beside their thresholds: what is observed of each.
//!
//! What is charged is read from the streams of periods, whose events carry the sums after them, and never from a read model. What is
//! expected is an estimate from the sums of reports, which may lag.

use crate::policy::PolicyError;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Commands, Principal};
use domain::alert_watch::{BurnWindow, Finding, WatchKind, burn_windows, even_pace};
use domain::budget::{Amount, AmountError, Measure};
use domain::budget_balance::{BudgetBalance, Sums};
use domain::budget_catalogue::{CatalogueEntry, Period};
use domain::permissions::ReadReports;
use domain::{Aggregate as _, Sum};
use projections::outlook::{
    AnomalyPage, AnomalyQuery, AnomalyStep, ForecastQuery, OutlookError, SeriesQuery, cost_anomalies, cost_forecast,
};
use projections::{Dimension, ReportError, ReportFilter, start_of_hour};
use std::error::Error as StdError;
use std::num::NonZeroU64;
use std::sync::Arc;
use streams::{RecordedEvent, StreamKey, TenantReads, Version};
use uuid::Uuid;

/// The probability of the interval of a forecast, in per cent, of which only the middle is used.
const FORECAST_PERCENT: u32 = 80;

/// A budget of which conditions are observed, with what they are compared with.
pub(crate) struct Watched<'a> {
    pub(crate) commands: &'a Commands,
    pub(crate) reads: &'a TenantReads,
    pub(crate) principal: Arc<Principal>,
    pub(crate) entry: &'a CatalogueEntry,
    pub(crate) period: Period,
    pub(crate) sums: Sums,
    /// What is delegated and not used.
    pub(crate) kept: Amount,
    /// The streams of the period, each with the number of its events.
    pub(crate) versions: Vec<(Uuid, Version)>,
    /// The minutes without a charge that are allowed.
    pub(crate) no_data_minutes: Option<u32>,
    pub(crate) now: DateTime<Utc>,
}

impl Watched<'_> {
    /// Looks at a condition. None if it cannot be told whether it holds.
    pub(crate) async fn find(&self, kind: WatchKind) -> Result<Option<Finding>, PolicyError> {
        let (sums, limit) = (&self.sums, self.limit());
        let found = |holds, observed, reference| Some(Finding { kind, holds, observed, reference });
        Ok(match kind {
            WatchKind::Exhausted => {
                let held = sums.used() + self.kept;
                found(held >= limit, held, limit)
            }
            WatchKind::Unpriced => {
                let number = Amount::units(sums.unpriced.try_into().unwrap_or(0));
                found(number > Amount::ZERO, number, Amount::ZERO)
            }
            WatchKind::Assumed => found(sums.assumed > Amount::ZERO, sums.assumed, Amount::ZERO),
            WatchKind::BurnRateFast | WatchKind::BurnRateSlow => self.burn_rate(kind).await?,
            WatchKind::NoData => self.no_data().await?,
            WatchKind::Forecast => {
                let expected = self.expected().await?;
                expected.and_then(|expected| found(expected > limit, expected, limit))
            }
            WatchKind::Anomaly => {
                let highest = self.anomaly().await?;
                highest.and_then(|(actual, upper)| found(actual > upper, actual, upper))
            }
        })
    }

    /// The limit with raises and what is carried over, however the budget is enforced.
    fn limit(&self) -> Amount {
        self.entry.stated_limit_at(self.now) + self.sums.carried.unwrap_or_default()
    }

    async fn burn_rate(&self, kind: WatchKind) -> Result<Option<Finding>, PolicyError> {
        let Some(window) = burn_windows(self.period.span).into_iter().find(|window| window.kind == kind) else {
            return Ok(None);
        };
        let (is_long, observed, reference) = self.burns(&window, window.long).await?;
        let (is_short, ..) = self.burns(&window, window.short).await?;
        Ok(Some(Finding { kind, holds: is_long && is_short, observed, reference }))
    }

    /// Whether more was charged in a window than may be, with both amounts. What was charged before the budget was defined, and is
    /// counted in the window, is none of it.
    async fn burns(&self, of: &BurnWindow, window: TimeDelta) -> Result<(bool, Amount, Amount), PolicyError> {
        let (streams, since, from) = (self.period.streams(self.entry.parts), self.entry.since, self.now - window);
        let charged = self.sums.spent() - self.commands.spent_before(&self.principal, streams, since, from).await?;
        let allowed = of.allowed(self.limit(), self.period.span, window);
        Ok((charged > allowed, charged, allowed))
    }

    fn stream(&self, id: Uuid) -> StreamKey {
        StreamKey { tenant: self.principal.tenant().clone(), category: BudgetBalance::CATEGORY.into(), id }
    }

    /// The event of a stream of the period with a version.
    async fn event(&self, id: Uuid, version: u64) -> Result<Option<RecordedEvent>, PolicyError> {
        let before = Version::from(version.saturating_sub(1));
        Ok(self.commands.log().read_stream(&self.stream(id), before, 1).await?.pop())
    }

    /// For how long nothing was charged or reserved in the period.
    async fn no_data(&self) -> Result<Option<Finding>, PolicyError> {
        let Some(allowed) = self.no_data_minutes else { return Ok(None) };
        let mut last = None;
        for (id, version) in self.versions.iter().filter(|(_, version)| version.get() > 0) {
            last = last.max(self.event(*id, version.get()).await?.map(|event| event.recorded_at));
        }
        let since = last.unwrap_or_else(|| self.period.span.starts_at.max(self.entry.since));
        let minutes = u64::try_from((self.now - since).num_minutes()).unwrap_or(0);
        let (observed, reference) = (Amount::units(minutes), Amount::units(allowed.into()));
        Ok(Some(Finding { kind: WatchKind::NoData, holds: observed >= reference, observed, reference }))
    }

    /// What will be charged at the end of the period: by the forecast of the tenant's costs, or, where there is none, by an even pace.
    async fn expected(&self) -> Result<Option<Amount>, PolicyError> {
        if self.entry.measure == Measure::Money
            && let Some(rest) = self.forecast().await?
        {
            return Ok(Some(self.sums.spent() + rest));
        }
        Ok(even_pace(self.sums.spent(), self.period.span, self.now))
    }

    /// What calls will cost from now to the end of the period; none if it is not forecast.
    async fn forecast(&self) -> Result<Option<Amount>, PolicyError> {
        let Some(series) = self.series()? else { return Ok(None) };
        let until = Some(self.period.span.ends_at);
        let query = ForecastQuery { series, at: None, until, percent: FORECAST_PERCENT, now: self.now };
        let Some(forecast) = made(cost_forecast(self.reads, &query).await)? else { return Ok(None) };
        // It is made from the start of the hour on: of that hour, what is over is charged already.
        let rest = amount(&(&forecast.expected - &forecast.spent))?;
        let seconds = |from: DateTime<Utc>| u64::try_from((self.period.span.ends_at - from).num_seconds()).unwrap_or(0);
        // Once the period is over, nothing is left of it.
        let all = NonZeroU64::new(seconds(forecast.at));
        Ok(Some(all.map_or(Amount::ZERO, |all| rest.or_zero().times(seconds(self.now), all))))
    }

    /// What the last whole hour cost, and the most that was expected; none if that is not known.
    async fn anomaly(&self) -> Result<Option<(Amount, Amount)>, PolicyError> {
        let Some(series) = self.series()? else { return Ok(None) };
        let to = start_of_hour(series.zone, self.now);
        let query = AnomalyQuery {
            series,
            from: to - TimeDelta::hours(1),
            to,
            step: AnomalyStep::Hour,
            by: Dimension::Agent,
            causes: 1,
            now: self.now,
        };
        let page = AnomalyPage { after: None, size: 1 };
        let Some(found) = made(cost_anomalies(self.reads, &query, page).await)? else { return Ok(None) };
        Ok(Some(match found.anomalies.first() {
            Some(anomaly) => (amount(&anomaly.actual)?, amount(&anomaly.upper)?),
            // The hour is within the band.
            None => (Amount::ZERO, Amount::ZERO),
        }))
    }

    /// The calls that the budget counts, in hours of its time zone; none if reports do not select them.
    fn series(&self) -> Result<Option<SeriesQuery>, PolicyError> {
        let access = self.principal.authorise::<ReadReports>()?;
        let filter = |(dimension, value): (&domain::budget::BudgetDimension, &domain::Name)| {
            // No tag has a dimension of its own.
            let dimension = dimension.to_string().parse::<Dimension>().ok()?;
            ReportFilter::new(dimension, Some(value.as_str())).ok()
        };
        let filters = self.entry.conditions.iter().map(filter).collect::<Option<Vec<_>>>();
        let zone = self.entry.recurrence_at(self.now).map(|recurrence| recurrence.time_zone);
        Ok(filters.zip(zone).map(|(filters, zone)| SeriesQuery { access, filters, zone, tag: None }))
    }
}

/// An estimate; none if it cannot be made, usually because the history is too short or no sums answer it. That is no failure of what
/// watches.
///
/// # Errors
/// If what it is made of cannot be read: whether the condition holds is not known then, and nothing is raised or resolved.
fn made<T>(estimate: Result<T, OutlookError>) -> Result<Option<T>, PolicyError> {
    match estimate {
        Ok(estimate) => Ok(Some(estimate)),
        Err(
            error @ (OutlookError::Report(ReportError::Database(_) | ReportError::History(_))
            | OutlookError::Computation(_)),
        ) => Err(error.into()),
        Err(error) => {
            let error = &error as &dyn StdError;
            tracing::debug!(error, "the cost of a budget is not forecast, or not compared with what was expected");
            Ok(None)
        }
    }
}

/// # Errors
/// If the sum has more digits than an amount.
fn amount(sum: &Sum) -> Result<Amount, AmountError> {
    sum.to_string().parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_to_read_is_not_taken_for_a_history_that_is_too_short() {
        assert_eq!(made(Ok(7)).unwrap(), Some(7));
        assert_eq!(made::<u8>(Err(OutlookError::NotSummed("task".to_owned()))).unwrap(), None);
        // It says nothing of the condition: an even pace would raise an alert, or resolve one.
        let unreadable = ReportError::from(sqlx::Error::PoolClosed);
        let failed = made::<u8>(Err(unreadable.into())).unwrap_err();
        assert_eq!(failed.to_string(), "the usage cannot be read");
    }
}
