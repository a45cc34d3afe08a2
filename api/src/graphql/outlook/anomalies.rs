//! Anomalies of costs, with who caused them.

use super::series::{OUTLOOK_COST, series};
use crate::graphql::freshness::await_projections;
use crate::graphql::report_dimension::{Dimension, UsageFilter};
use crate::graphql::report_page::UsageKey;
use crate::graphql::scalars::{Currency, Decimal, Long, Position, Timestamp, or_now};
use crate::graphql::services::services;
use crate::graphql::{connection, errors};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::excess::Deviation;
use projections::outlook as models;

/// The page size without `first`.
const DEFAULT_ANOMALIES: i32 = 20;
/// The number of causes without `causes`.
const DEFAULT_CAUSES: i32 = 3;
/// The complexity of the causes of an anomaly: a statement over its step, and one over the days before.
const CAUSES_COST: usize = 3 * connection::STATEMENT_COST;

/// Step of a series in which anomalies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::outlook::AnomalyStep")]
pub(crate) enum AnomalyStep {
    /// Hours of the time zone.
    Hour,
    /// Days of the time zone.
    Day,
}

/// Band in which costs are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::outlook::statistics::Band")]
pub(crate) enum CostBand {
    /// Around the median of the two weeks before (four, if steps are days), as wide as their median absolute deviation says. Naive.
    MovingMedian,
    /// Around the same hour, or day, of the week before, as wide as the differences of one week say. Naive.
    LastPeriod,
    /// Around a profile by weekday and hour at the level of the last week, of one width.
    Seasonal,
    /// As `SEASONAL`, of a width for each hour of the day; for each weekday, if steps are days.
    SeasonalByHour,
}

/// How well a band fits the history.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostBandScore {
    /// The band.
    band: CostBand,
    /// Whether the band is naive: it is used unless another one is better by more than chance.
    is_naive: bool,
    /// Mean interval score of the band, divided by the mean cost of a step. Lower is better. Null if the history cost nothing.
    score: Option<Decimal>,
}

/// Part of an anomaly: a cost, and what was expected of it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostDeviation {
    /// Charged cost, exactly.
    actual: Decimal,
    /// Expected cost.
    expected: Decimal,
    /// `actual` less `expected`. Negative if it cost less than expected.
    excess: Decimal,
}

impl From<&Deviation> for CostDeviation {
    fn from(deviation: &Deviation) -> Self {
        Self {
            actual: deviation.actual.clone().into(),
            expected: deviation.expected.clone().into(),
            excess: deviation.excess().into(),
        }
    }
}

/// Value of a dimension that contributes to an anomaly.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AnomalyCause {
    /// The value.
    key: UsageKey,
    /// Its cost, and what was expected of it: its part of the expected cost, in proportion to what it cost in the same hour of the 28
    /// days before, or on these days.
    deviation: CostDeviation,
}

/// Hour or day whose cost is not in the band in which it was expected.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostAnomaly {
    /// The hour or day, in the form of the keys of reports.
    key: String,
    /// Start of the hour or day.
    from: Timestamp,
    /// End of the hour or day.
    to: Timestamp,
    /// Its cost, and what was expected of it.
    deviation: CostDeviation,
    /// Lower limit of the band, not below zero.
    lower: Decimal,
    /// Upper limit of the band.
    upper: Decimal,
    /// Values that contribute most to the excess, the highest contribution first.
    causes: Vec<AnomalyCause>,
    /// All other values together, so that causes and rest add up to the anomaly, to the last digit. Null if there are no others.
    rest: Option<CostDeviation>,
}

impl CostAnomaly {
    fn new(found: models::CostAnomaly, by: projections::Dimension) -> Self {
        let cause = |cause: models::Cause| AnomalyCause {
            deviation: (&cause.deviation).into(),
            key: UsageKey::new(by, cause.value, cause.name),
        };
        let excess = found.excess();
        Self {
            key: found.key,
            from: found.from.into(),
            to: found.to.into(),
            deviation: CostDeviation {
                actual: found.actual.into(),
                expected: found.expected.into(),
                excess: excess.into(),
            },
            lower: found.lower.into(),
            upper: found.upper.into(),
            rest: found.causes.rest.as_ref().map(Into::into),
            causes: found.causes.first.into_iter().map(cause).collect(),
        }
    }
}

/// How anomalies were found.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostAnomalySums {
    /// Number of anomalies in the time range, on any page.
    count: Long,
    /// End of the time range, without the hours or days that have not ended.
    ended_at: Timestamp,
    /// Band that was used: the naive one of the lowest score, unless another one is better by more than chance.
    band: CostBand,
    /// How well each band fits the history, the naive ones first.
    bands: Vec<CostBandScore>,
    /// First hour of the history: of at most 84 days before `from`, or 182 if steps are days, and from the first call on.
    history_from: Timestamp,
    /// Number of hours or days of the history on which the bands were tested.
    tested_steps: Long,
    /// Number of calls of language models in the history and the time range for which no price is known. They are in no cost.
    unpriced_calls: Long,
    /// Currency of the costs.
    currency: Currency,
    /// IANA name of the time zone of hours and days.
    time_zone: String,
    /// Position of the anomalies: their costs include every event up to this position.
    position: Position,
    /// Position of the last event of the log when they were looked for.
    head: Position,
    /// Number of events of the log that the costs do not include yet, `head` less `position`.
    events_behind: Long,
    /// What the costs were summed from, in words, as of `usageReport`.
    summed_from: String,
}

/// A page of anomalies.
pub(crate) type CostAnomalyPage = Connection<String, CostAnomaly, CostAnomalySums>;

fn page(
    (found, query): (models::CostAnomalies, &models::AnomalyQuery),
    is_first: bool,
    head: streams::Position,
) -> CostAnomalyPage {
    let head = head.max(found.position);
    let long = |number: usize| Long::from_unsigned(u64::try_from(number).unwrap_or(u64::MAX));
    let score = |of: models::BandError| CostBandScore {
        band: of.band.into(),
        is_naive: of.band.is_naive(),
        score: of.score.map(Into::into),
    };
    let sums = CostAnomalySums {
        count: long(found.count),
        ended_at: found.to.into(),
        band: found.band.into(),
        bands: found.bands.into_iter().map(score).collect(),
        history_from: found.history_from.into(),
        tested_steps: long(found.tested_steps),
        unpriced_calls: found.unpriced_calls.into(),
        currency: Currency::Usd,
        time_zone: query.series.zone.name().to_owned(),
        position: found.position.into(),
        head: head.into(),
        events_behind: Long::from_unsigned(head.get().saturating_sub(found.position.get())),
        summed_from: found.summed_from,
    };
    let mut page = Connection::with_additional_fields(!is_first, found.has_next_page, sums);
    let edge = |anomaly: models::CostAnomaly| {
        let cursor = connection::encode_text(&anomaly.from.timestamp().to_string());
        Edge::new(cursor, CostAnomaly::new(anomaly, query.by))
    };
    page.edges.extend(found.anomalies.into_iter().map(edge));
    page
}

/// The start of the anomaly that a cursor is of.
fn decode(cursor: &str) -> Result<DateTime<Utc>> {
    let seconds = connection::decode_text(cursor).and_then(|text| text.parse::<i64>().ok());
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or_else(|| connection::bad_cursor(cursor))
}

/// The query for anomalies.
#[derive(Default)]
pub(crate) struct AnomalyQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl AnomalyQuery {
    /// Finds the hours or days of a time range whose charged cost is not in the band in which it was expected, the earliest first, and the
    /// values of a dimension that contribute most to the difference. Two naive bands and two seasonal ones are tested on the history
    /// before the time range; the naive one of the lowest score is used, unless another one is better by more than chance. Hours and
    /// days that have not ended are left out. Calls without a price are in no cost.
    ///
    /// It fails with the reason `HISTORY_TOO_SHORT` if there are less than four weeks between the first call and `from`, and with
    /// `NOT_SUMMED` if no sums by the hour are kept by the filters or by `by`. It has a complexity of 500 more, and of 30 more for each
    /// anomaly of a page.
    #[graphql(complexity = "connection::cost(
            Some(first.unwrap_or(DEFAULT_ANOMALIES)),
            child_complexity.saturating_add(CAUSES_COST),
        ).saturating_add(OUTLOOK_COST)")]
    async fn cost_anomalies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Start of the time range, the start of an hour or day of the time zone.")] from: Timestamp,
        #[graphql(
            desc = "End of the time range, the start of an hour or day of the time zone: at most 31 days after `from`, or 92 if steps \
                    are days."
        )]
        to: Timestamp,
        #[graphql(desc = "Whether anomalous hours are looked for, or anomalous days. Default: `HOUR`.")] step: Option<
            AnomalyStep,
        >,
        #[graphql(desc = "Dimension, other than time, whose values are the causes. Default: `AGENT`.")] by: Option<
            Dimension,
        >,
        #[graphql(desc = "Number of causes of each anomaly before the rest, from 1 to 20. Default: 3.")] causes: Option<
            i32,
        >,
        #[graphql(
            desc = "Includes calls that meet these conditions, at most 20, none of them on a dimension of time. Conditions on the same \
                    dimension are alternatives; those on different dimensions must all be met. Default: all calls."
        )]
        filter: Option<Vec<UsageFilter>>,
        #[graphql(desc = "Key of the tag whose values the dimension `TAG` has, in `by` and `filter`.")] tag_key: Option<
            String,
        >,
        #[graphql(desc = "IANA name of the time zone of hours and days, such as `Europe/Berlin`. Default: `UTC`.")]
        time_zone: Option<String>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
        #[graphql(desc = "Number of anomalies to return, from 1 to 500. Default: 20.")] first: Option<i32>,
        #[graphql(desc = "Returns the anomalies after this cursor. Default: from the first one on.")] after: Option<
            String,
        >,
    ) -> Result<CostAnomalyPage> {
        let query = models::AnomalyQuery {
            series: series(ctx, (filter, tag_key, time_zone)).await?,
            from: from.0,
            to: to.0,
            step: step.unwrap_or(AnomalyStep::Hour).into(),
            by: by.unwrap_or(Dimension::Agent).into(),
            causes: usize::try_from(causes.unwrap_or(DEFAULT_CAUSES)).unwrap_or_default(),
            now: or_now(None),
        };
        let size = connection::size(ctx, Some(first.unwrap_or(DEFAULT_ANOMALIES)))?;
        let after = after.as_deref().map(decode).transpose()?;
        await_projections(ctx, &query.projections(), min_position).await?;
        let services = services(ctx)?;
        let found = models::cost_anomalies(&services.reads, &query, models::AnomalyPage { after, size }).await;
        let found = found.map_err(|error| errors::outlook(&error))?;
        let head = services.commands.log().head().await.map_err(|error| errors::read(&error))?;
        Ok(page((found, &query), after.is_none(), head))
    }
}
