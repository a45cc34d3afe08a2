//! The tables of budgets, as the projection reads and writes them.

use crate::budgets::{BudgetKey, OpenBudget, Scope, Spend, scope_of};
use crate::projection::{Applied, ApplyError};
use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::budget::{BudgetTerms, Month, Threshold, ThresholdCrossed};
use domain::spending::{BudgetSpending, Crossing, MonthState, ThresholdTerms};
use domain::{Money, Sum};
use rust_decimal::Decimal;
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Tenant, budget, kind and key of its scope, limit, time zone, thresholds, version.
type TermsRow = (String, Uuid, String, String, Decimal, String, Vec<i32>, i64);
/// Tenant, budget, month, amount spent, thresholds crossed, position.
type MonthRow = (String, Uuid, String, BigDecimal, Vec<i32>, i64);

fn known_scope(kind: &str) -> Result<&'static str, ApplyError> {
    ["tenant", "agent", "model"]
        .into_iter()
        .find(|known| *known == kind)
        .ok_or_else(|| ApplyError::Row(format!("unknown scope {kind:?}")))
}

fn bad_row(what: &dyn std::fmt::Display) -> ApplyError {
    ApplyError::Row(what.to_string())
}

/// Thresholds as the tables have them.
fn thresholds_of(percents: Vec<i32>) -> Result<BTreeSet<Threshold>, ApplyError> {
    let threshold = |percent: i32| {
        let percent = u16::try_from(percent).map_err(|error| bad_row(&error))?;
        Threshold::try_from(percent).map_err(|error| bad_row(&error))
    };
    percents.into_iter().map(threshold).collect()
}

fn percents_of(thresholds: &BTreeSet<Threshold>) -> Vec<i32> {
    thresholds.iter().map(|threshold| threshold.percent().into()).collect()
}

/// The months of some budgets, each with the position of its last event.
type StoredMonths = BTreeMap<BudgetKey, BTreeMap<Month, (MonthState, i64)>>;

async fn load_months(
    connection: &mut PgConnection,
    tenants: &[&str],
    budgets: &[Uuid],
) -> Result<StoredMonths, ApplyError> {
    let rows: Vec<MonthRow> = sqlx::query_as(
        "select tenant_id, budget_id, month, spent, crossed, position from budget_months
         where tenant_id = any ($1) and budget_id = any ($2)",
    )
    .bind(tenants)
    .bind(budgets)
    .fetch_all(connection)
    .await?;
    let mut months = StoredMonths::new();
    for (tenant, id, month, spent, crossed, position) in rows {
        let month = month.parse().map_err(|error| bad_row(&error))?;
        let state = MonthState { spent: spent.into(), crossed: thresholds_of(crossed)? };
        months.entry((tenant, id)).or_default().insert(month, (state, position));
    }
    Ok(months)
}

/// The open budgets of some tenants, with their months.
pub(crate) async fn load_budgets(
    connection: &mut PgConnection,
    tenants: &[&str],
) -> Result<BTreeMap<BudgetKey, OpenBudget>, ApplyError> {
    let rows: Vec<TermsRow> = sqlx::query_as(
        "select tenant_id, budget_id, scope_kind, scope_key, limit_amount, time_zone, thresholds, version
         from budgets where tenant_id = any ($1) and not closed",
    )
    .bind(tenants)
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.1).collect();
    let mut months = load_months(connection, tenants, &ids).await?;
    let mut budgets = BTreeMap::new();
    for (tenant, id, kind, key, limit, zone, thresholds, version) in rows {
        let terms = ThresholdTerms {
            // Every event of an open budget sets its terms.
            version: u64::try_from(version).map_err(|error| bad_row(&error))?,
            limit: Money::from_decimal(limit),
            thresholds: thresholds_of(thresholds)?,
        };
        let stored = months.remove(&(tenant.clone(), id)).unwrap_or_default();
        let positions = stored.iter().map(|(month, (_, position))| (*month, *position)).collect();
        let states = stored.into_iter().map(|(month, (state, _))| (month, state)).collect();
        let budget = OpenBudget {
            scope: (known_scope(&kind)?, key),
            zone: zone.parse().map_err(|error| bad_row(&error))?,
            spending: BudgetSpending::restore(terms, states),
            positions,
            changed: BTreeSet::new(),
        };
        budgets.insert((tenant, id), budget);
    }
    Ok(budgets)
}

/// Adds amounts to what is spent.
pub(crate) async fn save_spend(connection: &mut PgConnection, spend: Spend) -> Result<(), ApplyError> {
    if spend.is_empty() {
        return Ok(());
    }
    let (mut tenants, mut kinds, mut keys, mut quarters, mut amounts) = (vec![], vec![], vec![], vec![], vec![]);
    for ((tenant, (kind, key), quarter), amount) in spend {
        tenants.push(tenant);
        kinds.push(kind);
        keys.push(key);
        quarters.push(quarter);
        amounts.push(amount.into_number());
    }
    sqlx::query(
        "insert into budget_spend as s (tenant_id, scope_kind, scope_key, quarter, amount)
             select tenant, kind, key, quarter, trim_scale(amount)
             from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::numeric[])
                  as n (tenant, kind, key, quarter, amount)
             on conflict (tenant_id, scope_kind, scope_key, quarter) do update set
                 amount = trim_scale(s.amount + excluded.amount)",
    )
    .bind(tenants)
    .bind(kinds)
    .bind(keys)
    .bind(quarters)
    .bind(amounts)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the months that have changed.
pub(crate) async fn save_months(
    connection: &mut PgConnection,
    budgets: &mut BTreeMap<BudgetKey, OpenBudget>,
) -> Result<(), ApplyError> {
    let (mut tenants, mut ids, mut months, mut starts, mut ends, mut spent, mut positions) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    // Arrays of arrays have to be of one length in PostgreSQL: the thresholds of each month go as text.
    let mut crossed = vec![];
    for ((tenant, id), budget) in budgets {
        for month in std::mem::take(&mut budget.changed) {
            let Some(state) = budget.spending.months().get(&month) else { continue };
            let (start, end) = month.bounds(budget.zone);
            tenants.push(tenant.clone());
            ids.push(*id);
            months.push(month.to_string());
            starts.push(start);
            ends.push(end);
            spent.push(state.spent.as_number().clone());
            crossed.push(array_text(&percents_of(&state.crossed)));
            positions.push(budget.positions.get(&month).copied().unwrap_or_default());
        }
    }
    if tenants.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into budget_months (tenant_id, budget_id, month, starts_at, ends_at, spent, crossed, position)
             select tenant, id, month, starts, ends, trim_scale(spent), crossed::integer[], position
             from unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                         $6::numeric[], $7::text[], $8::bigint[])
                  as n (tenant, id, month, starts, ends, spent, crossed, position)
             on conflict (tenant_id, budget_id, month) do update set
                 starts_at = excluded.starts_at, ends_at = excluded.ends_at, spent = excluded.spent,
                 crossed = excluded.crossed, position = excluded.position",
    )
    .bind(tenants)
    .bind(ids)
    .bind(months)
    .bind(starts)
    .bind(ends)
    .bind(spent)
    .bind(crossed)
    .bind(positions)
    .execute(connection)
    .await?;
    Ok(())
}

/// An array of integers as PostgreSQL writes it.
fn array_text(values: &[i32]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    format!("{{{}}}", values.join(","))
}

/// The spending within a scope by month, also from before a budget was defined or moved to another time zone.
pub(crate) async fn count_months(
    connection: &mut PgConnection,
    tenant: &str,
    scope: &Scope,
    zone: Tz,
) -> Result<BTreeMap<Month, Sum>, ApplyError> {
    let quarters: Vec<(DateTime<Utc>, BigDecimal)> = sqlx::query_as(
        "select quarter, amount from budget_spend
         where tenant_id = $1 and scope_kind = $2 and scope_key = $3 order by quarter",
    )
    .bind(tenant)
    .bind(scope.0)
    .bind(&scope.1)
    .fetch_all(connection)
    .await?;
    let mut months: BTreeMap<_, Sum> = BTreeMap::new();
    for (quarter, amount) in quarters {
        *months.entry(Month::containing(quarter, zone)).or_default() += &Sum::from(amount);
    }
    Ok(months)
}

pub(crate) async fn delete_months(
    connection: &mut PgConnection,
    (tenant, budget_id): &BudgetKey,
) -> Result<(), ApplyError> {
    let delete = "delete from budget_months where tenant_id = $1 and budget_id = $2";
    sqlx::query(delete).bind(tenant).bind(budget_id).execute(connection).await?;
    Ok(())
}

/// Marks a budget as closed.
pub(crate) async fn save_closed(connection: &mut PgConnection, applied: &Applied) -> Result<(), ApplyError> {
    let close = "update budgets set closed = true, version = $3, position = $4
         where tenant_id = $1 and budget_id = $2";
    let close = sqlx::query(close).bind(applied.tenant()).bind(applied.recorded.stream.id);
    close.bind(applied.version()).bind(applied.position()).execute(connection).await?;
    Ok(())
}

pub(crate) async fn save_terms(
    connection: &mut PgConnection,
    applied: &Applied,
    terms: &BudgetTerms,
    at: DateTime<Utc>,
) -> Result<(), ApplyError> {
    let (kind, key) = scope_of(terms);
    sqlx::query(
        "insert into budgets (tenant_id, budget_id, name, scope_kind, scope_key, limit_amount, currency,
                                   time_zone, thresholds, closed, defined_at, version, position)
         values ($1, $2, $3, $4, $5, trim_scale($6), $7, $8, $9, false, $10, $11, $12)
         on conflict (tenant_id, budget_id) do update set
             name = excluded.name, limit_amount = excluded.limit_amount, currency = excluded.currency,
             time_zone = excluded.time_zone, thresholds = excluded.thresholds, version = excluded.version,
             position = excluded.position",
    )
    .bind(applied.tenant())
    .bind(applied.recorded.stream.id)
    .bind(terms.name.as_str())
    .bind(kind)
    .bind(key)
    .bind(terms.limit.as_decimal())
    .bind(terms.currency.to_string())
    .bind(terms.time_zone.name())
    .bind(percents_of(&terms.thresholds))
    .bind(at)
    .bind(applied.version())
    .bind(applied.position())
    .execute(connection)
    .await?;
    Ok(())
}

/// Records thresholds that an event crossed. One that an alert was raised for already is there.
pub(crate) async fn record_crossings(
    connection: &mut PgConnection,
    applied: &Applied,
    (tenant, budget_id): &BudgetKey,
    crossings: &[Crossing],
) -> Result<(), ApplyError> {
    let correlation_id = applied.recorded.metadata().map_or(applied.recorded.event_id, |m| m.correlation_id);
    for crossing in crossings {
        sqlx::query(
            "insert into budget_crossings (tenant_id, budget_id, month, threshold_percent, terms_version, spent,
                                           limit_amount, crossed_at_position, crossed_by_event, correlation_id,
                                           is_delivered)
             values ($1, $2, $3, $4, $5, trim_scale($6), trim_scale($7), $8, $9, $10, $11) on conflict do nothing",
        )
        .bind(tenant)
        .bind(budget_id)
        .bind(crossing.month.to_string())
        .bind(i32::from(crossing.threshold.percent()))
        .bind(i64::try_from(crossing.terms_version).map_err(|error| bad_row(&error))?)
        .bind(crossing.spent.as_number())
        .bind(crossing.limit.as_decimal())
        .bind(applied.position())
        .bind(applied.recorded.event_id)
        .bind(correlation_id)
        .bind(crossing.is_delivered)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Marks the crossing that an alert was raised for. Where the tables are built by other code than the alert was raised
/// by, the crossing may be another, come later or not at all: what the alert says takes its place.
pub(crate) async fn mark_alerted(
    connection: &mut PgConnection,
    applied: &Applied,
    crossed: &ThresholdCrossed,
) -> Result<(), ApplyError> {
    let metadata = applied.recorded.metadata();
    let event_id = applied.recorded.event_id;
    sqlx::query(
        "insert into budget_crossings (tenant_id, budget_id, month, threshold_percent, terms_version, spent,
                                       limit_amount, crossed_at_position, crossed_by_event, correlation_id,
                                       is_delivered, alert_position, alerted_at)
         values ($1, $2, $3, $4, $5, trim_scale($6), trim_scale($7), $8, $9, $10, true, $11, $12)
         on conflict (tenant_id, budget_id, month, threshold_percent, terms_version) do update set
             spent = excluded.spent, limit_amount = excluded.limit_amount,
             crossed_at_position = excluded.crossed_at_position, crossed_by_event = excluded.crossed_by_event,
             correlation_id = excluded.correlation_id, is_delivered = true,
             alert_position = excluded.alert_position, alerted_at = excluded.alerted_at",
    )
    .bind(applied.tenant())
    .bind(crossed.budget_id.0)
    .bind(crossed.month.to_string())
    .bind(i32::from(crossed.threshold_percent.percent()))
    .bind(i64::try_from(crossed.terms_version).map_err(|error| bad_row(&error))?)
    .bind(crossed.spent.as_number())
    .bind(crossed.limit.as_decimal())
    .bind(i64::try_from(crossed.crossed_at_position).map_err(|error| bad_row(&error))?)
    .bind(metadata.as_ref().ok().and_then(|metadata| metadata.causation_id).unwrap_or(event_id))
    .bind(metadata.as_ref().map_or(event_id, |metadata| metadata.correlation_id))
    .bind(applied.position())
    .bind(applied.recorded.recorded_at)
    .execute(connection)
    .await?;
    Ok(())
}
