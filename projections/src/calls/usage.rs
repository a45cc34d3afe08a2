//! Usage and cost of calls by hour × agent × provider × model × task.

use crate::projection::ApplyError;
use crate::rows::bind_columns;
use bigdecimal::BigDecimal;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::call::{CallEvent, CallKind, ChargedCall};
use domain::{Meter, Money, Name, Sum};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The usage table, with the columns of its key.
pub(super) const TABLE: (&str, &str) = ("usage_hourly", "tenant_id, hour, agent_id, provider, model, task_id");
/// The version of the read model that this table is a part of. It is increased when the same events result in other rows
/// of any of its tables.
pub(super) const VERSION: i32 = 1;

/// The key of a usage row: tenant, hour, agent, provider, model, task.
type Key = (String, DateTime<Utc>, Option<Uuid>, Option<String>, Option<String>, Option<Uuid>);

/// What a batch adds to a usage row, in the column order of `upsert_usage.sql`. The sums are exact: a log has fewer
/// than 2^63 events and a quantity is below 2^53, so that a sum stays below 2^127; sums of money have no bound.
#[derive(Default)]
struct Sums {
    /// LLM calls, tool calls, failed calls, unpriced calls.
    calls: [i64; 4],
    latency_ms: i128,
    cost: Sum,
    reported_cost: Sum,
    /// The sum of each meter.
    quantities: [i128; Meter::COUNT],
}

/// The number of the first parameter of `upsert_usage.sql` that has the sums of a meter.
const FIRST_METER: usize = 14;

/// The statement that adds sums of these meters to the usage table. Few of all meters are used in a batch, and the sets of
/// them are few, so that the prepared statements are.
fn upsert(meters: &[Meter]) -> String {
    let list = |item: &dyn Fn(usize, &str) -> String| {
        let items = meters.iter().enumerate().map(|(n, meter)| format!(", {}", item(n, meter.column())));
        items.collect::<String>()
    };
    include_str!("upsert_usage.sql")
        .replace("{columns}", &list(&|_, column| column.to_owned()))
        .replace("{values}", &list(&|_, column| format!("nullif({column}, 0)")))
        .replace("{parameters}", &list(&|n, _| format!("${}::numeric[]", FIRST_METER + n)))
        .replace(
            "{updates}",
            &list(&|_, column| {
                format!("{column} = nullif(coalesce(u.{column}, 0) + coalesce(excluded.{column}, 0), 0)")
            }),
        )
}

/// What a batch adds to the usage table.
#[derive(Default)]
pub(super) struct UsageSums {
    rows: BTreeMap<Key, Sums>,
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

impl UsageSums {
    /// Adds the usage of the call after the event, and subtracts its usage before the event.
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
        let latency_ms = i128::from(facts.latency_ms.unwrap_or(0));
        let quantities = Meter::ALL.iter().map(|meter| i128::from(facts.usage.get(*meter).get()));
        let costs =
            (charged.cost().unwrap_or(Money::ZERO), facts.reported_cost.map_or(Money::ZERO, |cost| cost.amount));
        let sums = self.rows.entry(key(tenant, charged)?).or_default();
        match sign {
            Sign::Plus => {
                sums.calls.iter_mut().zip(calls).for_each(|(sum, count)| *sum += count);
                sums.quantities.iter_mut().zip(quantities).for_each(|(sum, quantity)| *sum += quantity);
                sums.latency_ms += latency_ms;
                sums.cost += costs.0;
                sums.reported_cost += costs.1;
            }
            Sign::Minus => {
                sums.calls.iter_mut().zip(calls).for_each(|(sum, count)| *sum -= count);
                sums.quantities.iter_mut().zip(quantities).for_each(|(sum, quantity)| *sum -= quantity);
                sums.latency_ms -= latency_ms;
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
        let is_used = |meter: &Meter| rows.values().any(|sums| sums.quantities[*meter as usize] != 0);
        let meters: Vec<_> = Meter::ALL.iter().copied().filter(is_used).collect();
        let query = bind_columns!(sqlx::query(AssertSqlSafe(upsert(&meters))), rows.keys(), |key| {
            key.0.as_str(),
            key.1,
            key.2,
            key.3.as_deref(),
            key.4.as_deref(),
            key.5,
        });
        let query = (0..4)
            .fold(query, |query, column| query.bind(rows.values().map(|sums| sums.calls[column]).collect::<Vec<_>>()));
        let query = bind_columns!(query, rows.values(), |sums| {
            BigDecimal::from(sums.latency_ms),
            sums.cost.as_number().clone(),
            sums.reported_cost.as_number().clone(),
        });
        let query = meters.iter().fold(query, |query, meter| {
            let quantities = rows.values().map(|sums| BigDecimal::from(sums.quantities[*meter as usize]));
            query.bind(quantities.collect::<Vec<_>>())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::recorded;
    use domain::Event;

    /// A call of the model `prototype-7b` without a price.
    fn call(output_tokens: u64, started_at: &str, reported_cost: &str) -> String {
        format!(
            r#"{{"kind":"llm","model":"prototype-7b","usage":{{"input":7,"output":{output_tokens}}},
                "started_at":"{started_at}","reported_cost":{{"amount":"{reported_cost}"}},
                "source":"simulation"}}"#
        )
    }

    fn usage_of(events: &[(&str, String)]) -> Vec<(String, [i64; 4], [i128; 2], String)> {
        let mut usage = UsageSums::default();
        for (name, payload) in events {
            let Event::Call(event) = recorded(1, "call", 7, name, payload).decode().unwrap() else { panic!("{name}") };
            usage.add("default", &event).unwrap();
        }
        let row = |(key, sums): (&Key, &Sums)| {
            let counted = [Meter::Input, Meter::Output].map(|meter| sums.quantities[meter as usize]);
            assert_eq!(counted.iter().sum::<i128>(), sums.quantities.iter().sum::<i128>(), "nothing else is counted");
            (key.1.to_rfc3339(), sums.calls, counted, sums.reported_cost.to_string())
        };
        usage.rows.iter().map(row).collect()
    }

    fn amended(before: &str, after: &str) -> (&'static str, String) {
        ("call.amended", format!(r#"{{"before":{before},"after":{after}}}"#))
    }

    #[test]
    fn the_statement_has_the_columns_of_the_used_meters() {
        for meters in [&[] as &[Meter], &[Meter::Output], Meter::ALL] {
            let statement = upsert(meters);
            assert!(!statement.contains(['{', '}']), "{statement}");
            for meter in Meter::ALL {
                let is_updated = statement.contains(&format!("{} = nullif(", meter.column()));
                assert_eq!(is_updated, meters.contains(meter), "{statement}");
            }
            let last = FIRST_METER + meters.len() - 1;
            assert!(statement.contains(&format!("${last}::numeric[]\n)")), "{statement}");
        }
    }

    #[test]
    fn an_amendment_in_the_same_batch_replaces_what_was_recorded() {
        let (before, after) = (call(40, "2023-09-01T07:10:00Z", "0.5"), call(300, "2023-09-01T07:10:00Z", "0.75"));
        let usage = usage_of(&[("call.recorded", before.clone()), amended(&before, &after)]);
        let hour = "2023-09-01T07:00:00+00:00".to_owned();
        assert_eq!(usage, [(hour, [1, 0, 0, 1], [7, 300], "0.75".to_owned())]);
    }

    #[test]
    fn an_amendment_in_a_later_batch_adds_the_difference() {
        let (before, after) = (call(300, "2023-09-01T07:10:00Z", "0.75"), call(40, "2023-09-01T07:10:00Z", "0.5"));
        let usage = usage_of(&[amended(&before, &after)]);
        let hour = "2023-09-01T07:00:00+00:00".to_owned();
        assert_eq!(usage, [(hour, [0, 0, 0, 0], [0, -260], "-0.25".to_owned())]);
    }

    #[test]
    fn an_amendment_of_the_start_moves_the_call_to_another_hour() {
        let (before, after) = (call(40, "2023-09-01T07:59:59Z", "0.5"), call(40, "2023-09-01T08:00:00Z", "0.5"));
        let usage = usage_of(&[amended(&before, &after)]);
        assert_eq!(
            usage.iter().map(|row| (&*row.0, row.1[0], row.2[1], &*row.3)).collect::<Vec<_>>(),
            [("2023-09-01T07:00:00+00:00", -1, -40, "-0.5"), ("2023-09-01T08:00:00+00:00", 1, 40, "0.5"),]
        );
    }
}
