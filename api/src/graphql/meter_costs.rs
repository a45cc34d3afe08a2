//! Costs by meter.

use super::errors;
use super::freshness::await_projections;
use super::price::Meter;
use super::report::{CALLS_COST, REPORT_COST, tag_key, zone};
use super::report_dimension::{Dimension, UsageFilter};
use super::report_freshness::Freshness;
use super::report_page::{UsageKey, keys};
use super::scalars::{BigInt, Currency, Decimal, Long, Position, Timestamp};
use super::services::{Services, authorise, requester, services};
use async_graphql::{Context, Object, Result, SimpleObject};
use domain::TagKey;
use domain::permissions::ReadReports;
use domain::price_book::PriceBook;
use projections as models;

/// The rows of a group or of all calls that complexity counts, however many there are: a call has some three components.
const ROWS_COUNTED: usize = 10;

/// What a meter was used, and what was billed for it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MeterCost {
    /// The meter. Null for charges that the price book does not give again, whose components are not known.
    meter: Option<Meter>,
    /// Quantity that the calls used of the meter, in its unit, with the meters that are its parts, as in `usageReport`. That of calls
    /// without a price is included.
    quantity: BigInt,
    /// Quantity that was billed by components of the meter: with that of the meters that have no rate of their own and are billed as
    /// it, and without its parts.
    billed_quantity: BigInt,
    /// Number of calls that were charged for the meter.
    calls: Long,
    /// Charged cost of what was billed. Null if no call was charged for the meter, which does not mean that it was free: it may be
    /// billed as another one.
    cost: Option<Decimal>,
}

impl From<models::MeterCost> for MeterCost {
    fn from(of: models::MeterCost) -> Self {
        Self {
            meter: of.meter.map(Into::into),
            quantity: of.quantity.into(),
            billed_quantity: of.billed_quantity.into(),
            calls: of.calls.into(),
            cost: of.cost.map(Into::into),
        }
    }
}

/// Costs by meter of calls with the same values of the dimensions.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MeterCostGroup {
    /// One value for each requested dimension, in the requested order.
    keys: Vec<UsageKey>,
    /// Number of calls of language models.
    calls: Long,
    /// Number of calls of language models for which no price is known. They are in no cost.
    unpriced_calls: Long,
    /// Charged cost: the sum over the meters. Null if there are calls of language models and none of them has a price.
    cost: Option<Decimal>,
    /// The meters that were used or billed.
    meters: Vec<MeterCost>,
}

/// Costs by meter of all selected calls.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MeterCosts {
    /// One for each combination of values of the dimensions, sorted by time if `by` contains a dimension of time, otherwise by cost in
    /// descending order. Empty without dimensions.
    groups: Vec<MeterCostGroup>,
    /// The meters that were used or billed by all calls.
    meters: Vec<MeterCost>,
    /// Number of calls of language models.
    calls: Long,
    /// Number of calls of language models for which no price is known. They are in no cost.
    unpriced_calls: Long,
    /// Charged cost: the sum over the meters, which is that of `usageReport`. Null if there are calls of language models and none of
    /// them has a price.
    cost: Option<Decimal>,
    /// Currency of the costs.
    currency: Currency,
    /// IANA name of the time zone of the periods of time.
    time_zone: String,
    #[graphql(flatten)]
    freshness: Freshness,
}

/// The query for costs by meter.
#[derive(Default)]
pub(crate) struct MeterCostQuery;

/// The arguments of costs by meter.
struct Arguments {
    by: Option<Vec<Dimension>>,
    filter: Option<Vec<UsageFilter>>,
    tag_key: Option<String>,
    time_zone: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Arguments {
    fn check(self, ctx: &Context<'_>) -> Result<models::MeterCostQuery> {
        let access = authorise::<ReadReports>(ctx)?;
        let by: Vec<models::Dimension> = self.by.unwrap_or_default().into_iter().map(Into::into).collect();
        let filters = self.filter.unwrap_or_default().into_iter();
        let is_on_tag = |filter: &UsageFilter| models::Dimension::from(filter.dimension) == models::Dimension::Tag;
        let filters: Vec<_> = filters.collect();
        let (of_filters, of_groups) = (filters.iter().any(is_on_tag), by.contains(&models::Dimension::Tag));
        let key: Option<TagKey> = tag_key(self.tag_key)?;
        if let Some(unused) = key.clone().filter(|_| !of_filters && !of_groups) {
            return Err(errors::report(&models::ReportError::UnusedTagKey(unused)));
        }
        let filters = filters.into_iter().map(UsageFilter::check).collect::<Result<_>>()?;
        let filters = models::CallFilters::of(filters, key.clone()).map_err(|error| errors::call_filter(&error))?;
        let query = models::MeterCostQuery::new(access, filters);
        let mut query = query.between(self.from.map(|from| from.0), self.to.map(|to| to.0));
        query.zone = zone(self.time_zone.as_deref()).map_err(|error| errors::report(&error.into()))?;
        query.tag_key = key.filter(|_| of_groups);
        query.by = by;
        Ok(query)
    }
}

async fn read(ctx: &Context<'_>, services: &Services, query: models::MeterCostQuery) -> Result<MeterCosts> {
    let (by, zone) = (query.by.clone(), query.zone);
    let failed = |error: models::MeterCostError| errors::meter_costs(&error);
    let limits = models::MeterCostLimits::OF_REQUEST;
    let open = models::OpenMeterCosts::open(&services.reads, query, limits).await.map_err(failed)?;
    // After the snapshot, so that it has every version by which a call of the snapshot was charged.
    let charging = requester(ctx)?.principal.charging();
    let book = services.commands.load::<PriceBook>(&charging, PriceBook::id()).await;
    let book = PriceBook::clone(&book.map_err(|error| errors::failed(&error))?.state);
    let costs = open.sum_up(&services.reads, book).await.map_err(failed)?;
    let group = |group: models::MeterCostGroup| {
        let models::MeterCostGroup { row, meters } = group;
        MeterCostGroup {
            calls: row.totals.calls.into(),
            unpriced_calls: row.totals.unpriced_calls.into(),
            cost: row.totals.known_cost().cloned().map(Into::into),
            keys: keys(&by, row.keys, row.names),
            meters: meters.into_iter().map(Into::into).collect(),
        }
    };
    Ok(MeterCosts {
        groups: costs.groups.into_iter().map(group).collect(),
        meters: costs.meters.into_iter().map(Into::into).collect(),
        calls: costs.total.calls.into(),
        unpriced_calls: costs.total.unpriced_calls.into(),
        cost: costs.total.known_cost().cloned().map(Into::into),
        currency: Currency::Usd,
        time_zone: zone.name().to_owned(),
        freshness: Freshness::of(services, costs.position).await?,
    })
}

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl MeterCostQuery {
    /// Reports what was used and billed of each meter, and its cost, by the components of the charges for the calls, as their receipts
    /// have them. The costs of the meters add up to the cost of `usageReport` with the same arguments.
    ///
    /// No sums are kept of it: the calls are read, at most 100000. With more, it fails with the reason `TOO_MANY_CALLS`; with more than
    /// 10000 meters of groups, with `TOO_MANY_ROWS`. It has a complexity of 1100 beside that of the selected fields.
    #[graphql(complexity = "REPORT_COST + CALLS_COST + ROWS_COUNTED * child_complexity")]
    async fn meter_costs(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(Vec::new())",
            desc = "Dimensions by which calls are grouped, each at most once. Without any, there are no groups."
        )]
        by: Option<Vec<Dimension>>,
        #[graphql(
            desc = "Includes calls that meet these conditions, at most 50, on other dimensions than time. Conditions on the same \
                    dimension are alternatives; those on different dimensions must all be met. Default: all calls."
        )]
        filter: Option<Vec<UsageFilter>>,
        #[graphql(
            desc = "Key of the tag whose values the dimension `TAG` has: one line of at most 64 bytes. It must be given if `by` or \
                    `filter` has that dimension, and only then. Each call is under the value of its tag, whenever the key was \
                    declared."
        )]
        tag_key: Option<String>,
        #[graphql(
            desc = "IANA name of the time zone of the periods of time in `by`, such as `Europe/Berlin`. Default: `UTC`."
        )]
        time_zone: Option<String>,
        #[graphql(desc = "Includes calls that started at or after this time. Default: all calls.")] from: Option<
            Timestamp,
        >,
        #[graphql(desc = "Includes calls that started before this time. Default: all calls.")] to: Option<Timestamp>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<MeterCosts> {
        let query = Arguments { by, filter, tag_key, time_zone, from, to }.check(ctx)?;
        await_projections(ctx, &models::OpenMeterCosts::PROJECTIONS, min_position).await?;
        read(ctx, services(ctx)?, query).await
    }
}
