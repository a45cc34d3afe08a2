//! The read models of calls: one row a call, and usage and cost by hour × agent × provider × model × task.

use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Rows, save};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::call::{CallEvent, CallKind, Charged};
use domain::{Event, Money};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

pub(crate) struct Calls;

#[derive(Serialize)]
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

const UPSERT: &str = "insert into calls
    select * from jsonb_populate_recordset(null::calls, $1)
    on conflict (tenant_id, call_id) do update set
        agent_id = excluded.agent_id, task_id = excluded.task_id, provider = excluded.provider,
        model = excluded.model, tool = excluded.tool, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, cache_read_tokens = excluded.cache_read_tokens,
        cache_write_tokens = excluded.cache_write_tokens, reasoning_tokens = excluded.reasoning_tokens,
        started_at = excluded.started_at, latency_ms = excluded.latency_ms, cost = excluded.cost,
        price_effective_from = excluded.price_effective_from, price_tier = excluded.price_tier,
        price_book_version = excluded.price_book_version, reported_cost = excluded.reported_cost,
        error = excluded.error, version = excluded.version, position = excluded.position";

/// A cell of the usage table: tenant, hour, agent, provider, model, task.
type Cell = (String, DateTime<Utc>, Option<Uuid>, Option<String>, Option<String>, Option<Uuid>);

/// What a batch adds to a cell: the counters in the order of [`UPSERT_USAGE`], then the two amounts.
#[derive(Default)]
struct Sums {
    counters: [i64; 10],
    cost: Decimal,
    reported_cost: Decimal,
}

impl Projection for Calls {
    fn name(&self) -> &'static str {
        "calls"
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
                    add(&mut cells, applied.tenant(), before, -1)?;
                }
                add(&mut cells, applied.tenant(), after, 1)?;
                fold(&mut rows, applied, event)?;
            }
            save(connection, UPSERT, &rows).await?;
            save_usage(connection, cells).await
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

fn add(cells: &mut BTreeMap<Cell, Sums>, tenant: &str, charged: &Charged, sign: i64) -> Result<(), ApplyError> {
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
    let tokens = |tokens: domain::Tokens| i64::try_from(tokens.get()).unwrap_or(i64::MAX);
    let added = [
        i64::from(facts.kind == CallKind::Llm),
        i64::from(facts.kind == CallKind::Tool),
        i64::from(facts.error.is_some()),
        i64::from(charged.is_unpriced()),
        tokens(facts.usage.input),
        tokens(facts.usage.output),
        tokens(facts.usage.cache_read),
        tokens(facts.usage.cache_write),
        tokens(facts.usage.reasoning),
        facts.latency_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0),
    ];
    let sums = cells.entry(cell).or_default();
    for (counter, added) in sums.counters.iter_mut().zip(added) {
        *counter = counter.saturating_add(sign * added);
    }
    let amount = |money: Option<Money>| money.unwrap_or(Money::ZERO).as_decimal() * Decimal::from(sign);
    sums.cost = sums.cost.checked_add(amount(charged.cost())).ok_or(domain::MoneyError::OutOfRange)?;
    sums.reported_cost =
        sums.reported_cost.checked_add(amount(facts.reported_cost)).ok_or(domain::MoneyError::OutOfRange)?;
    Ok(())
}

const UPSERT_USAGE: &str = include_str!("upsert_usage.sql");

async fn save_usage(connection: &mut PgConnection, cells: BTreeMap<Cell, Sums>) -> Result<(), ApplyError> {
    if cells.is_empty() {
        return Ok(());
    }
    let (mut tenants, mut hours, mut agents, mut providers, mut models, mut tasks) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    let mut counters: [Vec<i64>; 10] = Default::default();
    let (mut costs, mut reported) = (vec![], vec![]);
    for ((tenant, hour, agent, provider, model, task), sums) in cells {
        tenants.push(tenant);
        hours.push(hour);
        agents.push(agent);
        providers.push(provider);
        models.push(model);
        tasks.push(task);
        for (column, counter) in counters.iter_mut().zip(sums.counters) {
            column.push(counter);
        }
        costs.push(sums.cost);
        reported.push(sums.reported_cost);
    }
    let mut query =
        sqlx::query(UPSERT_USAGE).bind(tenants).bind(hours).bind(agents).bind(providers).bind(models).bind(tasks);
    for column in counters {
        query = query.bind(column);
    }
    query.bind(costs).bind(reported).execute(connection).await?;
    Ok(())
}
