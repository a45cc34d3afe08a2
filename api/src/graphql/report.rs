//! The usage and cost report.

use super::ids::Kind;
use super::scalars::{BigInt, Decimal, Long, Position, Timestamp};
use super::{Services, connection, errors, ready};
use crate::caller::Caller;
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use projections as models;
use std::sync::Arc;
use uuid::Uuid;

/// What a report costs, in the currency of [`crate::Limits::max_complexity`]: it sums.
const REPORT_COST: usize = 100;
/// The rows of a page where none are asked for.
const DEFAULT_ROWS: i32 = 100;

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

/// A row of a report.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageRow {
    /// What the row is about: one value of each dimension asked for, in that order.
    keys: Vec<UsageKey>,
    /// The sums.
    totals: UsageTotals,
}

/// What a report says beside its rows.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ReportSums {
    /// All rows together, whatever the page.
    total: UsageTotals,
    /// All rows after this page together: those that are neither on it nor on the pages before.
    rest: UsageTotals,
    /// Everything up to this position is in it.
    position: Position,
}

/// A page of a report.
pub(crate) type UsageReport = Connection<String, UsageRow, ReportSums>;

/// What is asked for of a report, or of usage totals as they change.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    query: models::ReportQuery,
    page: models::ReportPage,
}

/// The arguments that a report is asked for with.
pub(crate) struct Arguments {
    pub(crate) by: Vec<Dimension>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
}

impl Arguments {
    /// Checks the arguments, and looks which sums are selected: each is another statement.
    pub(crate) fn check(self, ctx: &Context<'_>) -> Result<Asked> {
        let by: Vec<models::Dimension> = self.by.into_iter().map(Into::into).collect();
        let size = connection::size(ctx, Some(self.first.unwrap_or(DEFAULT_ROWS)))?;
        let after =
            self.after.map(|cursor| decode(&cursor).ok_or_else(|| connection::bad_cursor(&cursor))).transpose()?;
        let selected = ctx.look_ahead();
        let (wants_total, wants_rest) = (selected.field("total").exists(), selected.field("rest").exists());
        let (from, to) = (self.from.map(|from| from.0), self.to.map(|to| to.0));
        let tenant = ctx.data::<Caller>()?.tenant.clone();
        Ok(Asked {
            query: models::ReportQuery { tenant, by, from, to },
            page: models::ReportPage { after, size, wants_total, wants_rest },
        })
    }
}

impl Asked {
    /// The page that is asked for, and the position that it is of.
    pub(crate) async fn read(&self, services: &Services) -> Result<(UsageReport, streams::Position)> {
        let by = &self.query.by;
        let report = models::usage_report(&services.pool, &self.query, &self.page).await;
        let report = report.map_err(|error| errors::report(&error))?;
        let sums = ReportSums {
            total: report.total.unwrap_or_default().into(),
            rest: report.rest.unwrap_or_default().into(),
            position: report.position.into(),
        };
        let mut page = Connection::with_additional_fields(self.page.after.is_some(), report.has_next_page, sums);
        page.edges.extend(report.rows.into_iter().map(|found| Edge::new(encode(&found.cursor(by)), row(by, found))));
        Ok((page, report.position))
    }
}

fn encode(cursor: &models::ReportCursor) -> String {
    // Strings and numbers: there is nothing that cannot be written.
    connection::encode_text(&serde_json::to_string(cursor).unwrap_or_default())
}

fn decode(cursor: &str) -> Option<models::ReportCursor> {
    serde_json::from_str(&connection::decode_text(cursor)?).ok()
}

fn row(by: &[models::Dimension], row: models::ReportRow) -> UsageRow {
    let keys = by.iter().zip(row.keys).zip(row.names).map(|((&dimension, value), name)| {
        let uuid = value.as_deref().and_then(|value| Uuid::try_parse(value).ok());
        let kind = match dimension {
            models::Dimension::Agent => Some(Kind::Agent),
            models::Dimension::Task => Some(Kind::Task),
            _ => None,
        };
        let id = kind.zip(uuid).map(|(kind, uuid)| kind.id(uuid));
        UsageKey { dimension: dimension.into(), id, value, name }
    });
    UsageRow { keys: keys.collect(), totals: row.totals.into() }
}

/// What a page of a report costs: its statements, and each of its rows.
pub(crate) fn cost(dimensions: usize, first: Option<i32>, child_complexity: usize) -> usize {
    // Without a dimension there are sums alone.
    let rows = if dimensions == 0 { 1 } else { first.unwrap_or(DEFAULT_ROWS) };
    connection::cost(Some(rows), child_complexity).saturating_add(REPORT_COST)
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
#[allow(clippy::too_many_arguments, reason = "a field has a parameter for each argument")]
impl ReportQuery {
    /// Usage and cost, broken down by any dimensions: the rows with the highest cost first, page by page; by time where
    /// time is a dimension.
    #[graphql(complexity = "cost(by.as_ref().map_or(0, Vec::len), first, child_complexity)")]
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
        #[graphql(desc = "So many rows at most: 1 to 500, 100 if not given.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor, of a report that is broken down by the same.")] after: Option<String>,
    ) -> Result<UsageReport> {
        let by = by.unwrap_or_default();
        let sources = sources(&by);
        let asked = Arguments { by, from, to, first, after }.check(ctx)?;
        ready(ctx, &sources, min_position).await?;
        Ok(asked.read(ctx.data::<Arc<Services>>()?).await?.0)
    }
}
