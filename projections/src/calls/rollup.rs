//! Sums over calls by the columns of a key: what a batch adds to one table of them.

use crate::projection::ApplyError;
use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use domain::call::{CallKind, ChargedCall};
use domain::{Meter, Money};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A table of sums: its name, its key columns by type, beside the tenant, and those of its unique index.
pub(super) struct Table<const TIMES: usize, const IDS: usize, const TEXTS: usize> {
    pub(super) name: &'static str,
    pub(super) times: [&'static str; TIMES],
    pub(super) ids: [&'static str; IDS],
    pub(super) texts: [&'static str; TEXTS],
    /// The column whose value follows from the key, if there is one, and how. It is computed once a row, not once a call.
    pub(super) derived_id: Option<(&'static str, DeriveId<TIMES, IDS, TEXTS>)>,
    /// The columns of the unique index.
    pub(super) cell: &'static str,
}

/// Computes an id from a key.
type DeriveId<const TIMES: usize, const IDS: usize, const TEXTS: usize> = fn(&Key<'_, TIMES, IDS, TEXTS>) -> Uuid;

/// The values of the key columns of a row. Batches lock rows in its order, so that two of them cannot deadlock.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'e, const TIMES: usize, const IDS: usize, const TEXTS: usize> {
    pub(super) tenant: &'e str,
    pub(super) times: [DateTime<Utc>; TIMES],
    pub(super) ids: [Option<Uuid>; IDS],
    pub(super) texts: [Option<&'e str>; TEXTS],
}

/// The number of columns that count calls.
const COUNTS: usize = 5;

/// What one call adds to the sums of a row.
pub(crate) struct Counted {
    /// LLM calls, tool calls, failed calls, unpriced calls, calls with assumed usage.
    calls: [i64; COUNTS],
    latency_ms: i128,
    cost_picodollars: i128,
    reported_cost_picodollars: i128,
    /// The charged and the reported cost, if there are both.
    compared_picodollars: [i128; 2],
    quantities: [i128; Meter::COUNT],
}

impl Counted {
    pub(crate) fn of(charged: &ChargedCall) -> Result<Self, ApplyError> {
        let facts = &charged.facts;
        let picodollars = |amount: Option<Money>| {
            let amount = amount.unwrap_or(Money::ZERO);
            amount.picodollars().ok_or_else(|| ApplyError::Row(format!("amount {amount} is out of range")))
        };
        let reported = facts.reported_cost.map(|cost| cost.amount);
        let (compared, compared_reported) = charged.cost().zip(reported).unzip();
        Ok(Self {
            calls: [
                i64::from(facts.kind == CallKind::Llm),
                i64::from(facts.kind == CallKind::Tool),
                i64::from(facts.failed()),
                i64::from(charged.is_unpriced()),
                i64::from(facts.usage_assumed),
            ],
            latency_ms: i128::from(facts.latency_ms.unwrap_or(0)),
            cost_picodollars: picodollars(charged.cost())?,
            reported_cost_picodollars: picodollars(reported)?,
            compared_picodollars: [picodollars(compared)?, picodollars(compared_reported)?],
            quantities: std::array::from_fn(|n| i128::from(facts.usage.get(Meter::ALL[n]).get())),
        })
    }
}

/// Whether a call is added to the sums or subtracted from them.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    Plus = 1,
    Minus = -1,
}

/// What a batch adds to a row. The sums are exact: a batch has fewer than 2^32 calls, a quantity is below 2^53 and an amount
/// below 10^27 picodollars, so that a sum stays below 2^127.
#[derive(Default)]
pub(crate) struct Sums {
    /// LLM calls, tool calls, failed calls, unpriced calls, calls with assumed usage.
    pub(crate) calls: [i64; COUNTS],
    pub(crate) latency_ms: i128,
    pub(crate) cost_picodollars: i128,
    pub(crate) reported_cost_picodollars: i128,
    /// The charged and the reported cost of the calls that have both.
    pub(crate) compared_picodollars: [i128; 2],
    /// The sum of each meter.
    pub(crate) quantities: [i128; Meter::COUNT],
}

impl Sums {
    pub(crate) fn add(&mut self, counted: &Counted, sign: Sign) {
        let sign = sign as i64;
        let times_sign = |count: i128| i128::from(sign) * count;
        self.calls.iter_mut().zip(counted.calls).for_each(|(sum, count)| *sum += sign * count);
        self.latency_ms += times_sign(counted.latency_ms);
        self.cost_picodollars += times_sign(counted.cost_picodollars);
        self.reported_cost_picodollars += times_sign(counted.reported_cost_picodollars);
        let compared = self.compared_picodollars.iter_mut().zip(counted.compared_picodollars);
        compared.for_each(|(sum, amount)| *sum += times_sign(amount));
        let quantities = self.quantities.iter_mut().zip(counted.quantities);
        quantities.for_each(|(sum, quantity)| *sum += times_sign(quantity));
    }
}

/// An amount as a number of US dollars.
pub(crate) fn dollars(picodollars: i128) -> BigDecimal {
    BigDecimal::new(picodollars.into(), 12)
}

/// What a batch adds to a table of sums.
pub(super) struct Rollup<'e, const TIMES: usize, const IDS: usize, const TEXTS: usize> {
    table: &'static Table<TIMES, IDS, TEXTS>,
    pub(super) rows: BTreeMap<Key<'e, TIMES, IDS, TEXTS>, Sums>,
}

impl<'e, const TIMES: usize, const IDS: usize, const TEXTS: usize> Rollup<'e, TIMES, IDS, TEXTS> {
    pub(super) fn new(table: &'static Table<TIMES, IDS, TEXTS>) -> Self {
        Self { table, rows: BTreeMap::new() }
    }

    pub(super) fn count(&mut self, key: Key<'e, TIMES, IDS, TEXTS>, counted: &Counted, sign: Sign) {
        self.rows.entry(key).or_default().add(counted, sign);
    }

    /// Adds the sums to the table, in one statement.
    pub(super) async fn save(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        let rows = &self.rows;
        if rows.is_empty() {
            return Ok(());
        }
        let is_used = |meter: &Meter| rows.values().any(|sums| sums.quantities[*meter as usize] != 0);
        let meters: Vec<_> = Meter::ALL.iter().copied().filter(is_used).collect();
        let query = sqlx::query(AssertSqlSafe(self.table.upsert(&meters)));
        let query = query.bind(rows.keys().map(|key| key.tenant).collect::<Vec<_>>());
        let query =
            (0..TIMES).fold(query, |query, n| query.bind(rows.keys().map(|key| key.times[n]).collect::<Vec<_>>()));
        let query = (0..IDS).fold(query, |query, n| query.bind(rows.keys().map(|key| key.ids[n]).collect::<Vec<_>>()));
        let query =
            (0..TEXTS).fold(query, |query, n| query.bind(rows.keys().map(|key| key.texts[n]).collect::<Vec<_>>()));
        let query = self
            .table
            .derived_id
            .iter()
            .fold(query, |query, (_, derive)| query.bind(rows.keys().map(derive).collect::<Vec<_>>()));
        let query =
            (0..COUNTS).fold(query, |query, n| query.bind(rows.values().map(|sums| sums.calls[n]).collect::<Vec<_>>()));
        let query = query
            .bind(rows.values().map(|sums| BigDecimal::from(sums.latency_ms)).collect::<Vec<_>>())
            .bind(rows.values().map(|sums| dollars(sums.cost_picodollars)).collect::<Vec<_>>())
            .bind(rows.values().map(|sums| dollars(sums.reported_cost_picodollars)).collect::<Vec<_>>());
        let query = (0..2).fold(query, |query, n| {
            query.bind(rows.values().map(|sums| dollars(sums.compared_picodollars[n])).collect::<Vec<_>>())
        });
        let query = meters.iter().fold(query, |query, meter| {
            let quantities = rows.values().map(|sums| BigDecimal::from(sums.quantities[*meter as usize]));
            query.bind(quantities.collect::<Vec<_>>())
        });
        query.execute(connection).await?;
        Ok(())
    }
}

impl<const TIMES: usize, const IDS: usize, const TEXTS: usize> Table<TIMES, IDS, TEXTS> {
    /// The statement that adds sums of these meters to the table. Few of all meters are used in a batch, and the sets of
    /// them are few, so that the prepared statements are.
    fn upsert(&self, meters: &[Meter]) -> String {
        let derived = self.derived_id.map(|(column, _)| column);
        let keys = ["tenant_id"].into_iter().chain(self.times).chain(self.ids).chain(self.texts).chain(derived);
        let types = ["text"].into_iter().chain(
            [("timestamptz", TIMES), ("uuid", IDS), ("text", TEXTS), ("uuid", usize::from(derived.is_some()))]
                .into_iter()
                .flat_map(|(name, count)| std::iter::repeat_n(name, count)),
        );
        let counts = std::iter::repeat_n("bigint", COUNTS).chain(std::iter::repeat_n("numeric", 5 + meters.len()));
        let parameters = types.chain(counts).enumerate().map(|(n, name)| format!("${}::{name}[]", n + 1));
        let list = |item: &dyn Fn(&str) -> String| {
            meters.iter().map(|meter| format!(", {}", item(meter.column()))).collect::<String>()
        };
        include_str!("upsert_usage.sql")
            .replace("{table}", self.name)
            .replace("{keys}", &keys.collect::<Vec<_>>().join(", "))
            .replace("{parameters}", &parameters.collect::<Vec<_>>().join(", "))
            .replace("{cell}", self.cell)
            .replace("{columns}", &list(&str::to_owned))
            .replace("{values}", &list(&|column| format!("nullif({column}, 0)")))
            .replace(
                "{updates}",
                &list(&|column| {
                    format!("{column} = nullif(coalesce(u.{column}, 0) + coalesce(excluded.{column}, 0), 0)")
                }),
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_has_the_key_of_the_table_and_the_columns_of_the_used_meters() {
        let derived_id: Option<(&str, DeriveId<1, 1, 2>)> = Some(("cell", |_| Uuid::nil()));
        let (times, ids, texts) = (["day"], ["task_id"], ["a", "b"]);
        let table = Table { name: "sums", times, ids, texts, derived_id, cell: "tenant_id, day" };
        for meters in [&[] as &[Meter], &[Meter::Output], Meter::ALL] {
            let statement = table.upsert(meters);
            let code: String = statement.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(!code.contains(['{', '}']), "{code}");
            assert!(code.contains(
                "$1::text[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::bigint[]"
            ));
            assert!(
                code.contains("tenant_id, day, task_id, a, b, cell, calls,")
                    && code.contains("(tenant_id, day) do update")
            );
            for meter in Meter::ALL {
                let is_updated = code.contains(&format!("{} = nullif(", meter.column()));
                assert_eq!(is_updated, meters.contains(meter), "{code}");
            }
            assert!(code.contains(&format!("${}::numeric[])", 16 + meters.len())), "{code}");
        }
    }
}
