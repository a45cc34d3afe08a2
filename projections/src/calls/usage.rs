//! Usage and cost of calls by hour × agent × provider × model × task.

use crate::projection::ApplyError;
use crate::rows::bind_columns;
use bigdecimal::BigDecimal;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::call::{CallEvent, CallKind, ChargedCall};
use domain::{Money, Name, Sum};
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The key of a usage row: tenant, hour, agent, provider, model, task.
type Key = (String, DateTime<Utc>, Option<Uuid>, Option<String>, Option<String>, Option<Uuid>);

/// What a batch adds to a usage row, in the column order of `upsert_usage.sql`. The sums are exact: a log has fewer
/// than 2^63 events and a token count is below 2^53, so that a sum stays below 2^127; sums of money have no bound.
#[derive(Default)]
struct Sums {
    /// LLM calls, tool calls, failed calls, unpriced calls.
    calls: [i64; 4],
    /// Tokens by kind, and milliseconds.
    amounts: [i128; 6],
    cost: Sum,
    reported_cost: Sum,
}

/// What a batch adds to the usage table.
#[derive(Default)]
pub(super) struct Usage {
    rows: BTreeMap<Key, Sums>,
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

impl Usage {
    /// Adds what an event says of its call, and subtracts what was known before.
    pub(super) fn add(&mut self, tenant: &str, event: &CallEvent) -> Result<(), ApplyError> {
        let (before, after) = event.before_and_after();
        if let Some(before) = before {
            self.count(tenant, before, Sign::Minus)?;
        }
        self.count(tenant, after, Sign::Plus)
    }

    fn count(&mut self, tenant: &str, charged: &ChargedCall, sign: Sign) -> Result<(), ApplyError> {
        let facts = &charged.facts;
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
        let sums = self.rows.entry(key(tenant, charged)?).or_default();
        match sign {
            Sign::Plus => {
                sums.calls.iter_mut().zip(calls).for_each(|(sum, count)| *sum += count);
                sums.amounts.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
                sums.cost += costs.0;
                sums.reported_cost += costs.1;
            }
            Sign::Minus => {
                sums.calls.iter_mut().zip(calls).for_each(|(sum, count)| *sum -= count);
                sums.amounts.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum -= amount);
                sums.cost -= costs.0;
                sums.reported_cost -= costs.1;
            }
        }
        Ok(())
    }

    /// Adds the sums to the table.
    pub(super) async fn save(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        let rows = &self.rows;
        if rows.is_empty() {
            return Ok(());
        }
        let query = bind_columns!(sqlx::query(include_str!("upsert_usage.sql")), rows.keys(), |key| {
            key.0.as_str(),
            key.1,
            key.2,
            key.3.as_deref(),
            key.4.as_deref(),
            key.5,
        });
        let query = (0..4)
            .fold(query, |query, column| query.bind(rows.values().map(|sums| sums.calls[column]).collect::<Vec<_>>()));
        let query = (0..6).fold(query, |query, column| {
            query.bind(rows.values().map(|sums| BigDecimal::from(sums.amounts[column])).collect::<Vec<_>>())
        });
        let query = bind_columns!(query, rows.values(), |sums| {
            sums.cost.as_number().clone(),
            sums.reported_cost.as_number().clone(),
        });
        query.execute(connection).await?;
        Ok(())
    }
}

fn key(tenant: &str, charged: &ChargedCall) -> Result<Key, ApplyError> {
    let facts = &charged.facts;
    let hour = facts
        .started_at
        .duration_trunc(TimeDelta::hours(1))
        .map_err(|_| ApplyError::Row(format!("time {} is out of range", facts.started_at)))?;
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string);
    let (agent, task) = (facts.agent_id.map(Into::into), facts.task_id.map(Into::into));
    Ok((tenant.to_owned(), hour, agent, text(&facts.provider), text(&facts.model), task))
}
