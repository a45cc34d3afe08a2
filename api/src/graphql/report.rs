//! The usage and cost report.

use super::ids::Kind;
use super::scalars::{BigInt, Decimal, Long, Position, Timestamp};
use super::{Services, connection, errors, ready};
use crate::caller::Caller;
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use domain::TenantId;
use projections as models;
use std::sync::Arc;
use uuid::Uuid;

/// What a report costs, in the currency of [`crate::Limits::max_complexity`]: it sums.
const REPORT_COST: usize = 100;

/// What a report can be broken down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::Dimension")]
pub(crate) enum Dimension {
    /// The agent.
    Agent,
    /// Who answered.
    Provider,
    /// The model that answered.
    Model,
    /// The task.
    Task,
    /// The hour (UTC) in which calls began, such as `2023-11-14T22:00Z`.
    Hour,
    /// The day (UTC) in which calls began, such as `2023-11-14`.
    Day,
    /// The month (UTC) in which calls began, such as `2023-11`.
    Month,
}

/// The currency of amounts (ISO 4217).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Currency")]
pub(crate) enum Currency {
    /// United States dollar.
    Usd,
}

/// One value of one dimension.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageKey {
    /// Which dimension.
    dimension: Dimension,
    /// Its value; for agents and tasks their UUID. Null for calls without one.
    value: Option<String>,
    /// The global id of the agent or task.
    id: Option<ID>,
    /// The name of the agent or the title of the task.
    name: Option<String>,
}

/// Sums over calls.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub(crate) struct UsageTotals {
    /// Calls of models.
    calls: Long,
    /// Calls of tools.
    tool_calls: Long,
    /// Calls of either kind that failed.
    failed_calls: Long,
    /// Calls of models that no price was known for. They are in no cost.
    unpriced_calls: Long,
    /// Prompt tokens that came from no cache.
    input_tokens: BigInt,
    /// Generated tokens, reasoning included.
    output_tokens: BigInt,
    /// Prompt tokens read from a cache.
    cache_read_tokens: BigInt,
    /// Prompt tokens written to a cache.
    cache_write_tokens: BigInt,
    /// The part of the output spent on reasoning.
    reasoning_tokens: BigInt,
    /// All latencies together, in milliseconds.
    latency_ms: BigInt,
    /// What they were charged; null where no LLM call among them had a price, which is not the same as free.
    cost: Option<Decimal>,
    /// What the records themselves said they cost, where they did.
    reported_cost: Decimal,
    /// The currency of both.
    currency: Currency,
}

impl From<models::Totals> for UsageTotals {
    fn from(totals: models::Totals) -> Self {
        Self {
            calls: totals.calls.into(),
            tool_calls: totals.tool_calls.into(),
            failed_calls: totals.failed_calls.into(),
            unpriced_calls: totals.unpriced_calls.into(),
            input_tokens: totals.input_tokens.into(),
            output_tokens: totals.output_tokens.into(),
            cache_read_tokens: totals.cache_read_tokens.into(),
            cache_write_tokens: totals.cache_write_tokens.into(),
            reasoning_tokens: totals.reasoning_tokens.into(),
            latency_ms: totals.latency_ms.into(),
            cost: totals.known_cost().cloned().map(Into::into),
            reported_cost: totals.reported_cost.into(),
            currency: Currency::Usd,
        }
    }
}

/// A line of a report.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageRow {
    /// What the line is about: one value of each dimension asked for, in that order.
    keys: Vec<UsageKey>,
    /// The sums.
    totals: UsageTotals,
}

/// Usage and cost.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageReport {
    /// Its lines, the dearest first; by time where time is a dimension.
    rows: Vec<UsageRow>,
    /// All of it together.
    total: UsageTotals,
    /// Everything up to this position is in it.
    position: Position,
}

/// The lines of a report, or of usage totals, as they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) by: Vec<Dimension>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl UsageReport {
    pub(crate) async fn of(services: &Services, tenant: &TenantId, asked: &Asked) -> Result<Self> {
        let by: Vec<models::Dimension> = asked.by.iter().copied().map(Into::into).collect();
        let query = models::ReportQuery {
            tenant: tenant.clone(),
            by,
            from: asked.from.map(|from| from.0),
            to: asked.to.map(|to| to.0),
        };
        let report = models::usage_report(&services.pool, &query).await;
        let report = report.map_err(|error| errors::report(&error))?;
        let rows = report.rows.into_iter().map(|row| line(&asked.by, row)).collect();
        Ok(Self { rows, total: report.total.into(), position: report.position.into() })
    }

    pub(crate) fn stands_at(&self) -> streams::Position {
        self.position.0
    }
}

fn line(by: &[Dimension], row: models::ReportRow) -> UsageRow {
    let keys = by.iter().zip(row.keys).zip(row.names).map(|((&dimension, value), name)| {
        let uuid = value.as_deref().and_then(|value| Uuid::try_parse(value).ok());
        let kind = match dimension {
            Dimension::Agent => Some(Kind::Agent),
            Dimension::Task => Some(Kind::Task),
            _ => None,
        };
        UsageKey { dimension, id: kind.zip(uuid).map(|(kind, uuid)| kind.id(uuid)), value, name }
    });
    UsageRow { keys: keys.collect(), totals: row.totals.into() }
}

/// The projections behind a report: names of agents and tasks come from their own.
fn sources(by: &[Dimension]) -> Vec<&'static str> {
    let named = |dimension, projection| by.contains(&dimension).then_some(projection);
    [Some("calls"), named(Dimension::Agent, "agents"), named(Dimension::Task, "tasks")].into_iter().flatten().collect()
}

/// Reports.
#[derive(Default)]
pub(crate) struct ReportQuery;

#[Object]
impl ReportQuery {
    /// Usage and cost, broken down by any dimensions.
    #[graphql(complexity = "REPORT_COST + connection::STATEMENT_COST + child_complexity")]
    async fn usage_report(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(Vec::new())",
            desc = "Broken down by these, in this order; the total alone if none."
        )]
        by: Option<Vec<Dimension>>,
        #[graphql(desc = "Calls that began at or after this full hour.")] from: Option<Timestamp>,
        #[graphql(desc = "Calls that began before this full hour.")] to: Option<Timestamp>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<UsageReport> {
        let by = by.unwrap_or_default();
        ready(ctx, &sources(&by), min_position).await?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        UsageReport::of(services, &caller.tenant, &Asked { by, from, to }).await
    }
}
