//! The read models of calls: one row a call, and usage and cost by hour × agent × provider × model × task.

use crate::projection::{Applied, ApplyError, Projection, Sharding};
use crate::rows::{Rows, bind_columns};
use bigdecimal::BigDecimal;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::call::{CallEvent, CallKind, Charged};
use domain::{Event, Money, Sum};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

pub(crate) struct Calls;

#[derive(Serialize, JsonSchema)]
pub(crate) struct Row {
    tenant_id: String,
    call_id: Uuid,
    kind: &'static str,
    agent_id: Option<Uuid>,
    task_id: Option<Uuid>,
    provider: Option<String>,
    model: Option<String>,
    tool: Option<String>,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    started_at: DateTime<Utc>,
    latency_ms: Option<u64>,
    // Decimal strings: JSON numbers would pass through floats.
    cost: Option<Money>,
    price_effective_from: Option<DateTime<Utc>>,
    price_tier: Option<String>,
    price_book_version: Option<u64>,
    reported_cost: Option<Money>,
    error: Option<String>,
    source: String,
    version: i64,
    position: i64,
}

const UPSERT: &str = include_str!("upsert_calls.sql");

/// A cell of the usage table: tenant, hour, agent, provider, model, task.
type Cell = (String, DateTime<Utc>, Option<Uuid>, Option<String>, Option<String>, Option<Uuid>);

/// What a batch adds to a cell, in the order of [`UPSERT_USAGE`]. It is exact: events are fewer than 2^63 and a token
/// count is below 2^53, so that no sum of them reaches 2^127; and sums of amounts have no bound.
#[derive(Default)]
struct Sums {
    calls: [i64; 4],
    /// Tokens by kind, and milliseconds.
    amounts: [i128; 6],
    cost: Sum,
    reported_cost: Sum,
}

impl Projection for Calls {
    fn name(&self) -> &'static str {
        "calls"
    }

    /// Most events of most logs are calls. Two workers build this a third faster than one on two cores; more shards meet
    /// in the rows of usage by the hour.
    fn sharding(&self) -> Sharding {
        Sharding::ByStream(2)
    }

    fn needs_log_order(&self) -> bool {
        false
    }

    fn categories(&self) -> &'static [&'static str] {
        &["call"]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("calls", "tenant_id, call_id"), ("usage_hourly", "tenant_id, hour, agent_id, provider, model, task_id")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut rows: Rows<Row> = BTreeMap::new();
            let mut cells: BTreeMap<Cell, Sums> = BTreeMap::new();
            for applied in events {
                let Event::Call(event) = &*applied.event else { continue };
                let (before, after) = event.difference();
                if let Some(before) = before {
                    add(&mut cells, applied.tenant(), before, Sign::Minus)?;
                }
                add(&mut cells, applied.tenant(), after, Sign::Plus)?;
                fold(&mut rows, applied, event)?;
            }
            save_calls(connection, &rows).await?;
            save_usage(connection, &cells).await
        })
    }
}

fn row(applied: &Applied, charged: &Charged) -> Row {
    let facts = &charged.facts;
    let text = |name: &Option<domain::Name>| name.as_ref().map(ToString::to_string);
    let charge = charged.charge.as_ref();
    Row {
        tenant_id: applied.tenant().to_owned(),
        call_id: applied.recorded.stream.id,
        kind: facts.kind.as_str(),
        agent_id: facts.agent_id.map(Into::into),
        task_id: facts.task_id.map(Into::into),
        provider: text(&facts.provider),
        model: text(&facts.model),
        tool: text(&facts.tool),
        input_tokens: facts.usage.input.get(),
        output_tokens: facts.usage.output.get(),
        cache_read_tokens: facts.usage.cache_read.get(),
        cache_write_tokens: facts.usage.cache_write.get(),
        reasoning_tokens: facts.usage.reasoning.get(),
        started_at: facts.started_at,
        latency_ms: facts.latency_ms,
        cost: charged.cost(),
        price_effective_from: charge.map(|charge| charge.quote.price.effective_from),
        price_tier: charge.map(|charge| charge.tier.clone()),
        price_book_version: charge.map(|charge| charge.quote.book_version),
        reported_cost: facts.reported_cost,
        error: facts.error.as_ref().map(ToString::to_string),
        source: facts.source.to_string(),
        version: applied.version(),
        position: applied.position(),
    }
}

/// What one event makes of its call's row: all that is known stands in the event.
pub(crate) fn fold(rows: &mut Rows<Row>, applied: &Applied, event: &CallEvent) -> Result<(), ApplyError> {
    let key = (applied.tenant().to_owned(), applied.recorded.stream.id);
    rows.insert(key, row(applied, event.difference().1));
    Ok(())
}

/// Column by column: as JSON, writing the rows of a batch would take twice as long.
async fn save_calls(connection: &mut PgConnection, rows: &Rows<Row>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let amount = |money: Option<Money>| money.map(Money::as_decimal);
    let query = bind_columns!(sqlx::query(UPSERT), rows.values(), |row| {
        row.tenant_id.as_str(),
        row.call_id,
        row.kind,
        row.agent_id,
        row.task_id,
        row.provider.as_deref(),
        row.model.as_deref(),
        row.tool.as_deref(),
        count(row.input_tokens),
        count(row.output_tokens),
        count(row.cache_read_tokens),
        count(row.cache_write_tokens),
        count(row.reasoning_tokens),
        row.started_at,
        row.latency_ms.map(count),
        amount(row.cost),
        row.price_effective_from,
        row.price_tier.as_deref(),
        row.price_book_version.map(count),
        amount(row.reported_cost),
        row.error.as_deref(),
        row.source.as_str(),
        row.version,
        row.position,
    });
    query.execute(connection).await?;
    Ok(())
}

/// Whether a call is added to its cell or taken from it.
#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

fn add(cells: &mut BTreeMap<Cell, Sums>, tenant: &str, charged: &Charged, sign: Sign) -> Result<(), ApplyError> {
    let facts = &charged.facts;
    let hour = facts
        .started_at
        .duration_trunc(TimeDelta::hours(1))
        .map_err(|_| ApplyError::Row(format!("{} has no hour", facts.started_at)))?;
    let text = |name: &Option<domain::Name>| name.as_ref().map(ToString::to_string);
    let cell = (
        tenant.to_owned(),
        hour,
        facts.agent_id.map(Into::into),
        text(&facts.provider),
        text(&facts.model),
        facts.task_id.map(Into::into),
    );
    let calls = [
        i64::from(facts.kind == CallKind::Llm),
        i64::from(facts.kind == CallKind::Tool),
        i64::from(facts.error.is_some()),
        i64::from(charged.is_unpriced()),
    ];
    let usage = &facts.usage;
    let tokens = [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning].map(|t| t.get());
    let amounts = tokens.into_iter().chain([facts.latency_ms.unwrap_or(0)]).map(i128::from);
    let costs = (charged.cost().unwrap_or(Money::ZERO), facts.reported_cost.unwrap_or(Money::ZERO));
    let sums = cells.entry(cell).or_default();
    match sign {
        Sign::Plus => {
            sums.calls.iter_mut().zip(calls).for_each(|(sum, added)| *sum += added);
            sums.amounts.iter_mut().zip(amounts).for_each(|(sum, added)| *sum += added);
            sums.cost += costs.0;
            sums.reported_cost += costs.1;
        }
        Sign::Minus => {
            sums.calls.iter_mut().zip(calls).for_each(|(sum, taken)| *sum -= taken);
            sums.amounts.iter_mut().zip(amounts).for_each(|(sum, taken)| *sum -= taken);
            sums.cost -= costs.0;
            sums.reported_cost -= costs.1;
        }
    }
    Ok(())
}

const UPSERT_USAGE: &str = include_str!("upsert_usage.sql");

async fn save_usage(connection: &mut PgConnection, cells: &BTreeMap<Cell, Sums>) -> Result<(), ApplyError> {
    if cells.is_empty() {
        return Ok(());
    }
    let query = bind_columns!(sqlx::query(UPSERT_USAGE), cells.keys(), |cell| {
        cell.0.as_str(),
        cell.1,
        cell.2,
        cell.3.as_deref(),
        cell.4.as_deref(),
        cell.5,
    });
    let query = (0..4)
        .fold(query, |query, column| query.bind(cells.values().map(|sums| sums.calls[column]).collect::<Vec<_>>()));
    let query = (0..6).fold(query, |query, column| {
        query.bind(cells.values().map(|sums| BigDecimal::from(sums.amounts[column])).collect::<Vec<_>>())
    });
    let query = bind_columns!(query, cells.values(), |sums| {
        sums.cost.as_number().clone(),
        sums.reported_cost.as_number().clone(),
    });
    query.execute(connection).await?;
    Ok(())
}
