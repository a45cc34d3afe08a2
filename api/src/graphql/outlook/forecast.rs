//! The forecast of the cost of a month.

use super::series::{OUTLOOK_COST, series};
use crate::graphql::errors;
use crate::graphql::freshness::await_projections;
use crate::graphql::report_dimension::UsageFilter;
use crate::graphql::scalars::{Currency, Decimal, Long, Position, Timestamp, or_now};
use crate::graphql::services::services;
use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use projections::outlook as models;

/// The probability of the interval without `percent`.
const DEFAULT_PERCENT: i32 = 80;

/// Method of forecasting costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::outlook::statistics::Method")]
pub(crate) enum ForecastMethod {
    /// The cost of the four weeks before, repeated; of fewer whole weeks if the history has no more. Naive.
    LastMonth,
    /// The mean hour of the four weeks before, or of a shorter history. Naive.
    MovingAverage,
    /// Level by robust exponential smoothing of days, times a profile by weekday and hour.
    Seasonal,
    /// Level along the median slope between days (Theil and Sen), times a profile by weekday and hour.
    Drift,
    /// Level by exponential smoothing in state space, with no, an additive or a damped trend, times a profile by weekday and hour.
    Ets,
}

/// How wrong a method was on spans of the history.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ForecastMethodError {
    /// The method.
    method: ForecastMethod,
    /// Whether the method is naive: it is used unless another one is better by more than chance.
    is_naive: bool,
    /// Sum of the absolute errors divided by the sum of what the spans cost (WAPE), such as `0.0815`. Null if they cost nothing, or the
    /// history is too short for the method.
    error: Option<Decimal>,
}

/// Forecast of what a month, or a longer or shorter span, will have cost at its end.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostForecast {
    /// Start of the month in which the forecast begins.
    from: Timestamp,
    /// Time from which on the cost is forecast.
    at: Timestamp,
    /// End of the span.
    until: Timestamp,
    /// Charged cost from `from` to `at`, exactly.
    spent: Decimal,
    /// Expected cost from `from` to `until`: `spent`, and an estimate of the rest with nine decimal places.
    expected: Decimal,
    /// Lower limit of the interval that holds the cost from `from` to `until` with a probability of `percent`. Null if the history has
    /// too few spans for such an interval.
    lower: Option<Decimal>,
    /// Upper limit of the interval. Null if `lower` is.
    upper: Option<Decimal>,
    /// Probability of the interval, in per cent.
    percent: i32,
    /// Method that was used: the naive one of the lowest error, unless another one is better by more than chance.
    method: ForecastMethod,
    /// How wrong each method was, the naive ones first.
    methods: Vec<ForecastMethodError>,
    /// First hour of the history: of at most 182 days, and from the first call on.
    history_from: Timestamp,
    /// Number of hours of the history.
    history_hours: Long,
    /// Number of hours that are forecast.
    forecast_hours: Long,
    /// Length of the spans of the history on which the methods were tested, in hours. It is `forecastHours`, or less if the history is
    /// short: then the interval is wider by the root of the ratio.
    tested_hours: Long,
    /// Number of these spans, which overlap.
    spans: Long,
    /// Number of such spans that lie beside each other in the history.
    independent_spans: Long,
    /// Number of calls of language models in the history for which no price is known. They are in no cost.
    unpriced_calls: Long,
    /// Currency of the costs.
    currency: Currency,
    /// IANA name of the time zone of hours, weekdays and months.
    time_zone: String,
    /// Position of the forecast: its history includes every event up to this position.
    position: Position,
    /// Position of the last event of the log when the forecast was made.
    head: Position,
    /// Number of events of the log that the history does not include yet, `head` less `position`.
    events_behind: Long,
    /// What the history was summed from, in words, as of `usageReport`.
    summed_from: String,
}

fn count(number: usize) -> Long {
    Long::from_unsigned(u64::try_from(number).unwrap_or(u64::MAX))
}

impl CostForecast {
    fn new(made: models::CostForecast, time_zone: &str, head: streams::Position) -> Self {
        let head = head.max(made.position);
        let of_method = |of: models::MethodError| ForecastMethodError {
            method: of.method.into(),
            is_naive: of.method.is_naive(),
            error: of.error.map(Into::into),
        };
        let (lower, upper) = made.interval.unzip();
        Self {
            from: made.from.into(),
            at: made.at.into(),
            until: made.until.into(),
            spent: made.spent.into(),
            expected: made.expected.into(),
            lower: lower.map(Into::into),
            upper: upper.map(Into::into),
            // One of `PERCENTS`.
            percent: i32::try_from(made.percent).unwrap_or_default(),
            method: made.method.into(),
            methods: made.methods.into_iter().map(of_method).collect(),
            history_from: made.history_from.into(),
            history_hours: count(made.history_hours),
            forecast_hours: count(made.forecast_hours),
            tested_hours: count(made.tested_hours),
            spans: count(made.spans),
            independent_spans: count(made.independent_spans),
            unpriced_calls: made.unpriced_calls.into(),
            currency: Currency::Usd,
            time_zone: time_zone.to_owned(),
            position: made.position.into(),
            head: head.into(),
            events_behind: Long::from_unsigned(head.get().saturating_sub(made.position.get())),
            summed_from: made.summed_from,
        }
    }
}

/// The query for a forecast.
#[derive(Default)]
pub(crate) struct ForecastQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl ForecastQuery {
    /// Forecasts what the month will have cost at its end, from the costs by the hour of at most 182 days before. Two naive methods and
    /// three others forecast spans of the history that are over. The naive one of the lowest error is used, unless another one is
    /// better by more than chance; the interval is that of the errors of the method. Calls without a price are in no cost.
    ///
    /// It fails with the reason `HISTORY_TOO_SHORT` if the history has less than two weeks and four days, and with
    /// `NOT_SUMMED` if no sums by the hour are kept by the filters. It has a complexity of 500 more.
    #[graphql(complexity = "OUTLOOK_COST + child_complexity")]
    async fn cost_forecast(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Time from which on the cost is forecast, the start of an hour of the time zone and not in the future. The history ends \
                    there. Default: the start of the present hour."
        )]
        at: Option<Timestamp>,
        #[graphql(
            desc = "End of the span that is forecast, the start of an hour of the time zone, at most 92 days after `at`. Default: the end \
                    of the month of `at`."
        )]
        until: Option<Timestamp>,
        #[graphql(
            desc = "Includes calls that meet these conditions, at most 20, none of them on a dimension of time. Conditions on the same \
                    dimension are alternatives; those on different dimensions must all be met. Default: all calls."
        )]
        filter: Option<Vec<UsageFilter>>,
        #[graphql(desc = "Key of the tag whose values a filter on the dimension `TAG` has.")] tag_key: Option<String>,
        #[graphql(
            desc = "IANA name of the time zone of hours, weekdays and months, such as `Europe/Berlin`. Default: `UTC`."
        )]
        time_zone: Option<String>,
        #[graphql(desc = "Probability of the interval in per cent, from 50 to 95. Default: 80.")] percent: Option<i32>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<CostForecast> {
        let query = models::ForecastQuery {
            series: series(ctx, (filter, tag_key, time_zone)).await?,
            at: at.map(|at| at.0),
            until: until.map(|until| until.0),
            percent: u32::try_from(percent.unwrap_or(DEFAULT_PERCENT)).unwrap_or_default(),
            now: or_now(None),
        };
        let services = services(ctx)?;
        await_projections(ctx, &models::ForecastQuery::PROJECTIONS, min_position).await?;
        let made = models::cost_forecast(&services.reads, &query).await;
        let made = made.map_err(|error| errors::outlook(&error))?;
        let head = services.commands.log().head().await.map_err(|error| errors::read(&error))?;
        Ok(CostForecast::new(made, query.series.zone.name(), head))
    }
}
