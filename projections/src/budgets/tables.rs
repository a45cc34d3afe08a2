//! How the tables of budgets are read and written while events are applied.

use super::state::{BudgetKey, NOT_COUNTED, OpenBudget, Scope, Spend, scope_of};
use crate::projection::{Applied, ApplyError};
use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::budget::{BudgetTerms, Month, Threshold};
use domain::spending::{BudgetSpending, MonthState, ThresholdTerms};
use domain::{Money, Sum};
use rust_decimal::Decimal;
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Tenant, budget, scope kind, scope key, limit, time zone, thresholds, version.
type TermsRow = (String, Uuid, String, String, Decimal, String, Vec<i32>, i64);
/// Tenant, budget, month, amount spent, crossed thresholds, position.
type MonthRow = (String, Uuid, String, BigDecimal, Vec<i32>, i64);

fn known_scope(kind: &str) -> Result<&'static str, ApplyError> {
    ["tenant", "agent", "model", NOT_COUNTED]
        .into_iter()
        .find(|known| *known == kind)
        .ok_or_else(|| ApplyError::Row(format!("unknown scope {kind:?}")))
}

/// Thresholds from the percentages in the tables.
fn thresholds_of(percents: Vec<i32>) -> Result<BTreeSet<Threshold>, ApplyError> {
    let threshold = |percent: i32| {
        let percent = u16::try_from(percent).map_err(ApplyError::row)?;
        Threshold::try_from(percent).map_err(ApplyError::row)
    };
    percents.into_iter().map(threshold).collect()
}

fn percents_of(thresholds: &BTreeSet<Threshold>) -> Vec<i32> {
    thresholds.iter().map(|threshold| threshold.percent().into()).collect()
}

/// The months of budgets, each with the position of the last event that changed it.
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
        let month = month.parse().map_err(ApplyError::row)?;
        let state = MonthState { spent: spent.into(), crossed: thresholds_of(crossed)? };
        months.entry((tenant, id)).or_default().insert(month, (state, position));
    }
    Ok(months)
}

/// Loads the open budgets of some tenants, with their months.
pub(super) async fn load_budgets(
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
            // The version of an open budget is that of its terms: an event that changes how they are enforced counts as one
            // that sets them.
            version: u64::try_from(version).map_err(ApplyError::row)?,
            limit: Money::from_decimal(limit),
            thresholds: thresholds_of(thresholds)?,
        };
        let stored = months.remove(&(tenant.clone(), id)).unwrap_or_default();
        let positions = stored.iter().map(|(month, (_, position))| (*month, *position)).collect();
        let states = stored.into_iter().map(|(month, (state, _))| (month, state)).collect();
        let budget = OpenBudget {
            scope: (known_scope(&kind)?, key),
            zone: zone.parse().map_err(ApplyError::row)?,
            spending: BudgetSpending::restore(terms, states),
            positions,
            changed: BTreeSet::new(),
        };
        budgets.insert((tenant, id), budget);
    }
    Ok(budgets)
}

/// Adds amounts to the spending of scopes.
pub(super) async fn save_spend(connection: &mut PgConnection, spend: Spend) -> Result<(), ApplyError> {
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
    sqlx::query(include_str!("add_spend.sql"))
        .bind(tenants)
        .bind(kinds)
        .bind(keys)
        .bind(quarters)
        .bind(amounts)
        .execute(connection)
        .await?;
    Ok(())
}

/// Saves the months that have changed.
pub(super) async fn save_months(
    connection: &mut PgConnection,
    budgets: &mut BTreeMap<BudgetKey, OpenBudget>,
) -> Result<(), ApplyError> {
    let (mut tenants, mut ids, mut months, mut starts, mut ends, mut spent, mut positions) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
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
    sqlx::query(include_str!("upsert_months.sql"))
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

/// An array of integers in the text format of PostgreSQL.
fn array_text(values: &[i32]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    format!("{{{}}}", values.join(","))
}

/// Sums the spending of a scope by month, including spending before the budget was defined or its time zone changed.
pub(super) async fn count_months(
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

/// Deletes the months of a budget.
pub(super) async fn delete_months(
    connection: &mut PgConnection,
    (tenant, budget_id): &BudgetKey,
) -> Result<(), ApplyError> {
    let delete = "delete from budget_months where tenant_id = $1 and budget_id = $2";
    sqlx::query(delete).bind(tenant).bind(budget_id).execute(connection).await?;
    Ok(())
}

/// Marks a budget as closed.
pub(super) async fn save_closed(connection: &mut PgConnection, applied: &Applied) -> Result<(), ApplyError> {
    let close = "update budgets set closed = true, version = $3, position = $4
         where tenant_id = $1 and budget_id = $2";
    let close = sqlx::query(close).bind(applied.tenant()).bind(applied.recorded.stream.id);
    close.bind(applied.version()).bind(applied.position()).execute(connection).await?;
    Ok(())
}

/// Saves the version of a budget whose terms stay as they are.
pub(super) async fn save_version(connection: &mut PgConnection, applied: &Applied) -> Result<(), ApplyError> {
    let save = "update budgets set version = $3, position = $4 where tenant_id = $1 and budget_id = $2";
    let save = sqlx::query(save).bind(applied.tenant()).bind(applied.recorded.stream.id);
    save.bind(applied.version()).bind(applied.position()).execute(connection).await?;
    Ok(())
}

/// Saves the terms of a budget.
pub(super) async fn save_terms(
    connection: &mut PgConnection,
    applied: &Applied,
    terms: &BudgetTerms,
    at: DateTime<Utc>,
) -> Result<(), ApplyError> {
    let (kind, key) = scope_of(terms);
    sqlx::query(include_str!("upsert_terms.sql"))
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
