//! The totals of a report.

use super::scalars::{BigInt, Currency, Decimal, Long};
use super::usage::UsageSums;
use async_graphql::SimpleObject;
use projections as models;

/// Totals of a set of calls.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub(crate) struct UsageTotals {
    /// Number of calls of language models.
    calls: Long,
    /// Number of calls of tools.
    tool_calls: Long,
    /// Number of calls of either kind that failed: whose outcome is `error`, `timeout` or `refused`, or that have no outcome
    /// but an error. A cancelled call did not fail.
    failed_calls: Long,
    /// Number of calls of language models for which no price is known. They are not included in `cost`.
    unpriced_calls: Long,
    /// Number of calls of either kind whose usage their records do not state, so that their reader assumed it. They are included in
    /// `cost`.
    assumed_calls: Long,
    #[graphql(flatten)]
    usage: UsageSums,
    /// Sum of the durations of all calls, in milliseconds.
    latency_ms: BigInt,
    /// Cost that was charged. Null if there are calls of language models and none of them has a price, which does not mean
    /// that they were free.
    cost: Option<Decimal>,
    /// Charged cost divided by the number of calls of either kind that have a price or need none, rounded to 12 decimal places, half
    /// to even. Null if there are no such calls.
    cost_per_call: Option<Decimal>,
    /// Charged cost of a million tokens, input and output together, rounded to 12 decimal places, half to even: too low if there are
    /// calls without a price, whose tokens are included. Null if there are no tokens or no cost is known.
    cost_per_million_tokens: Option<Decimal>,
    /// Cost that the reporting sources stated, for the calls for which they did. It is informative and never charged.
    reported_cost: Decimal,
    /// How much more the sources reported than was charged, over the calls that have both costs. Negative if it is less.
    reported_difference: Decimal,
    /// Reported cost of the calls that have one, and charged cost of the others.
    cost_preferring_reported: Decimal,
    /// Charged cost of the calls that have one, and reported cost of the others.
    cost_preferring_charged: Decimal,
    /// Currency of the costs.
    currency: Currency,
}

impl From<models::Totals> for UsageTotals {
    fn from(totals: models::Totals) -> Self {
        Self {
            calls: totals.calls.into(),
            tool_calls: totals.tool_calls.into(),
            failed_calls: totals.failed_calls.into(),
            unpriced_calls: totals.unpriced_calls.into(),
            assumed_calls: totals.assumed_calls.into(),
            cost_per_call: totals.cost_per_call().map(Into::into),
            cost_per_million_tokens: totals.cost_per_million_tokens().map(Into::into),
            usage: (&totals).into(),
            latency_ms: totals.latency_ms.into(),
            reported_difference: totals.reported_difference().into(),
            cost_preferring_reported: totals.cost_by(models::CostPolicy::PreferReported).into(),
            cost_preferring_charged: totals.cost_by(models::CostPolicy::PreferCharged).into(),
            cost: totals.known_cost().cloned().map(Into::into),
            reported_cost: totals.reported_cost.into(),
            currency: Currency::Usd,
        }
    }
}
