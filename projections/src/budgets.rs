//! The read models of budgets: terms, spending by month, thresholds crossed.
//!
//! Events are folded one by one, so that what was spent when a threshold was crossed does not depend on how events
//! were cut into batches. A crossing becomes an alert by a command, given elsewhere; the alert's own event then marks
//! the crossing as told.

use crate::projection::{Applied, ApplyError, Projection};
use bigdecimal::BigDecimal;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Tz;
use domain::budget::{BudgetEvent, BudgetPeriodEvent, BudgetScope, BudgetTerms, Month, Threshold};
use domain::call::{CallEvent, Charged};
use domain::{Event, Money, Sum};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet};
use streams::Position;
use uuid::Uuid;

pub(crate) struct Budgets;

impl Projection for Budgets {
    fn name(&self) -> &'static str {
        "budgets"
    }

    fn categories(&self) -> &'static [&'static str] {
        &["budget", "budget_period", "call"]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("budgets", "tenant_id, budget_id"),
            ("budget_spend", "tenant_id, scope_kind, scope_key, quarter"),
            ("budget_months", "tenant_id, budget_id, month"),
            ("budget_crossings", "tenant_id, budget_id, month, threshold_percent"),
        ]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut fold = Fold::load(connection, events).await?;
            for applied in events {
                match &*applied.event {
                    Event::Call(event) => fold.call(connection, applied, event).await?,
                    Event::Budget(event) => {
                        fold.flush_spend(connection).await?;
                        fold.budget(connection, applied, event).await?;
                    }
                    Event::BudgetPeriod(event) => fold.alert(connection, applied, event).await?,
                    Event::Agent(_) | Event::Task(_) | Event::PriceBook(_) | Event::Memory(_) => {}
                }
            }
            fold.flush_spend(connection).await?;
            fold.flush_months(connection).await
        })
    }
}

/// Tenant, budget, kind and key of its scope, limit, time zone, thresholds.
type TermsRow = (String, Uuid, String, String, Decimal, String, Vec<i32>);
type BudgetKey = (String, Uuid);
type MonthKey = (String, Uuid, Month);

/// Whose spending: tenant, kind of scope, key within the kind.
type ScopeKey = (String, &'static str, String);

struct Known {
    scope: (&'static str, String),
    limit: Money,
    zone: Tz,
    thresholds: BTreeSet<Threshold>,
}

struct MonthRow {
    spent: Sum,
    position: i64,
    changed: bool,
}

/// A batch in memory.
struct Fold {
    budgets: BTreeMap<BudgetKey, Known>,
    months: BTreeMap<MonthKey, MonthRow>,
    spend: BTreeMap<(ScopeKey, DateTime<Utc>), Sum>,
}

pub(crate) fn scope_of(terms: &BudgetTerms) -> (&'static str, String) {
    match &terms.scope {
        BudgetScope::Tenant => ("tenant", String::new()),
        BudgetScope::Agent { agent_id } => ("agent", agent_id.to_string()),
        BudgetScope::Model { model } => ("model", model.to_string()),
    }
}

/// The scopes that a call counts in.
fn scopes(charged: &Charged) -> Vec<(&'static str, String)> {
    let facts = &charged.facts;
    let agent = facts.agent_id.map(|agent| ("agent", agent.to_string()));
    let model = facts.model.as_ref().map(|model| ("model", model.to_string()));
    [Some(("tenant", String::new())), agent, model].into_iter().flatten().collect()
}

fn known_scope(kind: &str) -> Result<&'static str, ApplyError> {
    ["tenant", "agent", "model"]
        .into_iter()
        .find(|known| *known == kind)
        .ok_or_else(|| ApplyError::Row(format!("unknown scope {kind:?}")))
}

impl Fold {
    /// The open budgets of the tenants in the batch, with their months.
    async fn load(connection: &mut PgConnection, events: &[Applied]) -> Result<Self, ApplyError> {
        let tenants: BTreeSet<_> = events.iter().map(Applied::tenant).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        let rows: Vec<TermsRow> = sqlx::query_as(
            "select tenant_id, budget_id, scope_kind, scope_key, limit_amount, time_zone, thresholds
             from budgets where tenant_id = any ($1) and not closed",
        )
        .bind(&tenants)
        .fetch_all(&mut *connection)
        .await?;
        let bad = |what: &dyn std::fmt::Display| ApplyError::Row(what.to_string());
        let mut budgets = BTreeMap::new();
        for (tenant, id, kind, key, limit, zone, thresholds) in rows {
            let known = Known {
                scope: (known_scope(&kind)?, key),
                limit: Money::from_decimal(limit),
                zone: zone.parse().map_err(|error| bad(&error))?,
                thresholds: thresholds
                    .into_iter()
                    .map(|percent| {
                        let percent = u16::try_from(percent).map_err(|error| bad(&error))?;
                        Threshold::try_from(percent).map_err(|error| bad(&error))
                    })
                    .collect::<Result<_, _>>()?,
            };
            budgets.insert((tenant, id), known);
        }
        let ids: Vec<_> = budgets.keys().map(|(_, id)| *id).collect();
        let rows: Vec<(String, Uuid, String, BigDecimal, i64)> = sqlx::query_as(
            "select tenant_id, budget_id, month, spent, position from budget_months
             where tenant_id = any ($1) and budget_id = any ($2)",
        )
        .bind(&tenants)
        .bind(ids)
        .fetch_all(connection)
        .await?;
        let mut months = BTreeMap::new();
        for (tenant, id, month, spent, position) in rows {
            let month = month.parse().map_err(|error| bad(&error))?;
            months.insert((tenant, id, month), MonthRow { spent: spent.into(), position, changed: false });
        }
        Ok(Self { budgets, months, spend: BTreeMap::new() })
    }

    async fn call(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &CallEvent,
    ) -> Result<(), ApplyError> {
        // Before and after are netted by budget and month first: an amendment that moves nothing crosses nothing.
        let (before, after) = event.difference();
        let mut moved: BTreeMap<MonthKey, Sum> = BTreeMap::new();
        for (charged, is_added) in before.map(|before| (before, false)).into_iter().chain([(after, true)]) {
            let Some(cost) = charged.cost() else { continue };
            let count = |sum: &mut Sum| if is_added { *sum += cost } else { *sum -= cost };
            let at = charged.facts.started_at;
            let quarter = at
                .duration_trunc(TimeDelta::minutes(15))
                .map_err(|_| ApplyError::Row(format!("{at} has no quarter of an hour")))?;
            let scopes = scopes(charged);
            for (kind, key) in &scopes {
                let scope = (applied.tenant().to_owned(), *kind, key.clone());
                count(self.spend.entry((scope, quarter)).or_default());
            }
            for ((tenant, id), known) in &self.budgets {
                if tenant == applied.tenant() && scopes.contains(&known.scope) {
                    count(moved.entry((tenant.clone(), *id, Month::containing(at, known.zone))).or_default());
                }
            }
        }
        for (key, amount) in moved.into_iter().filter(|(_, amount)| !amount.is_zero()) {
            self.spend_in(key, &amount, connection, applied).await?;
        }
        Ok(())
    }

    async fn spend_in(
        &mut self,
        key: MonthKey,
        amount: &Sum,
        connection: &mut PgConnection,
        applied: &Applied,
    ) -> Result<(), ApplyError> {
        let Some(known) = self.budgets.get(&(key.0.clone(), key.1)) else { return Ok(()) };
        let row =
            self.months.entry(key.clone()).or_insert(MonthRow { spent: Sum::default(), position: 0, changed: true });
        let before = row.spent.clone();
        row.spent += amount;
        row.position = applied.position();
        row.changed = true;
        for threshold in &known.thresholds {
            if !threshold.is_reached(&before, known.limit) && threshold.is_reached(&row.spent, known.limit) {
                cross(connection, &key, *threshold, &row.spent, known.limit, applied).await?;
            }
        }
        Ok(())
    }

    async fn budget(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &BudgetEvent,
    ) -> Result<(), ApplyError> {
        let key = (applied.tenant().to_owned(), applied.recorded.stream.id);
        let defined = match event {
            BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined) => defined,
            BudgetEvent::Closed(_) => {
                // A budget that is closed counts no more, but what it had counted stays.
                self.flush_months(connection).await?;
                self.budgets.remove(&key);
                let close = "update budgets set closed = true, version = $3, position = $4
                     where tenant_id = $1 and budget_id = $2";
                let close = sqlx::query(close).bind(&key.0).bind(key.1);
                close.bind(applied.version()).bind(applied.position()).execute(connection).await?;
                return Ok(());
            }
        };
        save_terms(connection, applied, &defined.terms, defined.at).await?;
        let known = Known {
            scope: scope_of(&defined.terms),
            limit: defined.terms.limit,
            zone: defined.terms.time_zone,
            thresholds: defined.terms.thresholds.clone(),
        };
        self.recount(connection, applied, &key, &known).await?;
        // Only the month in which the terms were set may be over already; older ones are history.
        let month = Month::containing(defined.at, known.zone);
        if let Some(row) = self.months.get(&(key.0.clone(), key.1, month)) {
            for threshold in known.thresholds.iter().filter(|threshold| threshold.is_reached(&row.spent, known.limit)) {
                cross(connection, &(key.0.clone(), key.1, month), *threshold, &row.spent, known.limit, applied).await?;
            }
        }
        self.budgets.insert(key, known);
        Ok(())
    }

    /// Counts the months of a budget from what was spent before it was defined or moved to another time zone.
    async fn recount(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        key: &BudgetKey,
        known: &Known,
    ) -> Result<(), ApplyError> {
        let quarters: Vec<(DateTime<Utc>, BigDecimal)> = sqlx::query_as(
            "select quarter, amount from budget_spend
             where tenant_id = $1 and scope_kind = $2 and scope_key = $3 order by quarter",
        )
        .bind(&key.0)
        .bind(known.scope.0)
        .bind(&known.scope.1)
        .fetch_all(&mut *connection)
        .await?;
        sqlx::query("delete from budget_months where tenant_id = $1 and budget_id = $2")
            .bind(&key.0)
            .bind(key.1)
            .execute(connection)
            .await?;
        self.months.retain(|(tenant, id, _), _| (tenant, *id) != (&key.0, key.1));
        for (quarter, amount) in quarters {
            let month = Month::containing(quarter, known.zone);
            let row = self.months.entry((key.0.clone(), key.1, month)).or_insert(MonthRow {
                spent: Sum::default(),
                position: applied.position(),
                changed: true,
            });
            row.spent += &Sum::from(amount);
        }
        Ok(())
    }

    async fn alert(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &BudgetPeriodEvent,
    ) -> Result<(), ApplyError> {
        let BudgetPeriodEvent::ThresholdCrossed(crossed) = event;
        sqlx::query(
            "update budget_crossings set alert_position = $5, alerted_at = $6
             where tenant_id = $1 and budget_id = $2 and month = $3 and threshold_percent = $4",
        )
        .bind(applied.tenant())
        .bind(crossed.budget_id.0)
        .bind(crossed.month.to_string())
        .bind(i32::from(crossed.threshold_percent.percent()))
        .bind(applied.position())
        .bind(applied.recorded.recorded_at)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn flush_spend(&mut self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        let spend = std::mem::take(&mut self.spend);
        if spend.is_empty() {
            return Ok(());
        }
        let (mut tenants, mut kinds, mut keys, mut quarters, mut amounts) = (vec![], vec![], vec![], vec![], vec![]);
        for (((tenant, kind, key), quarter), amount) in spend {
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

    async fn flush_months(&mut self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        let (mut tenants, mut ids, mut months, mut starts, mut ends, mut spent, mut positions) =
            (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
        for ((tenant, id, month), row) in self.months.iter_mut().filter(|(_, row)| row.changed) {
            row.changed = false;
            let Some(known) = self.budgets.get(&(tenant.clone(), *id)) else { continue };
            let (start, end) = month.bounds(known.zone);
            tenants.push(tenant.clone());
            ids.push(*id);
            months.push(month.to_string());
            starts.push(start);
            ends.push(end);
            spent.push(row.spent.as_number().clone());
            positions.push(row.position);
        }
        if tenants.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into budget_months (tenant_id, budget_id, month, starts_at, ends_at, spent, position)
             select tenant_id, budget_id, month, starts_at, ends_at, trim_scale(spent), position
             from unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                         $6::numeric[], $7::bigint[])
                  as n (tenant_id, budget_id, month, starts_at, ends_at, spent, position)
             on conflict (tenant_id, budget_id, month) do update set
                 starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                 spent = excluded.spent, position = excluded.position",
        )
        .bind(tenants)
        .bind(ids)
        .bind(months)
        .bind(starts)
        .bind(ends)
        .bind(spent)
        .bind(positions)
        .execute(connection)
        .await?;
        Ok(())
    }
}

async fn save_terms(
    connection: &mut PgConnection,
    applied: &Applied,
    terms: &BudgetTerms,
    at: DateTime<Utc>,
) -> Result<(), ApplyError> {
    let (kind, key) = scope_of(terms);
    let thresholds: Vec<_> = terms.thresholds.iter().map(|threshold| i32::from(threshold.percent())).collect();
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
    .bind(thresholds)
    .bind(at)
    .bind(applied.version())
    .bind(applied.position())
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a threshold was crossed; only the first time counts.
async fn cross(
    connection: &mut PgConnection,
    (tenant, budget_id, month): &MonthKey,
    threshold: Threshold,
    spent: &Sum,
    limit: Money,
    applied: &Applied,
) -> Result<(), ApplyError> {
    let correlation_id = applied.recorded.metadata().map_or(applied.recorded.event_id, |m| m.correlation_id);
    sqlx::query(
        "insert into budget_crossings (tenant_id, budget_id, month, threshold_percent, spent, limit_amount,
                                            crossed_at_position, crossed_by_event, correlation_id)
         values ($1, $2, $3, $4, trim_scale($5), trim_scale($6), $7, $8, $9) on conflict do nothing",
    )
    .bind(tenant)
    .bind(budget_id)
    .bind(month.to_string())
    .bind(i32::from(threshold.percent()))
    .bind(spent.as_number())
    .bind(limit.as_decimal())
    .bind(applied.position())
    .bind(applied.recorded.event_id)
    .bind(correlation_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// A crossing that no alert is in the log for yet.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct PendingAlert {
    /// Whose budget.
    pub tenant_id: String,
    /// Which budget.
    pub budget_id: Uuid,
    /// In which month.
    pub month: String,
    /// Which threshold.
    pub threshold_percent: i32,
    /// What was spent when it was crossed.
    #[sqlx(try_from = "BigDecimal")]
    pub spent: Sum,
    /// The limit at that time.
    pub limit_amount: Decimal,
    /// The event that crossed it.
    pub crossed_at_position: i64,
    /// The id of that event.
    pub crossed_by_event: Uuid,
    /// What that event belongs to.
    pub correlation_id: Uuid,
}

/// The crossings up to a position that are to be told, in the order in which they happened.
///
/// # Errors
/// The database's.
pub async fn pending_alerts(pool: &PgPool, until: Position, limit: i64) -> Result<Vec<PendingAlert>, sqlx::Error> {
    sqlx::query_as(
        "select tenant_id, budget_id, month, threshold_percent, spent, limit_amount, crossed_at_position,
                crossed_by_event, correlation_id
         from apex.budget_crossings where alert_position is null and crossed_at_position <= $1
         order by crossed_at_position, budget_id, threshold_percent limit $2",
    )
    .bind(until.as_i64())
    .bind(limit)
    .fetch_all(pool)
    .await
}
