//! The read models of budgets: terms, spending by month, thresholds crossed.
//!
//! Events are folded one by one, so that which thresholds are crossed, and what was spent then, does not depend on how
//! events were cut into batches. [`BudgetSpending`] decides what is crossed; this module counts and stores. A crossing
//! becomes an alert by a command, given elsewhere; the alert's own event then marks the crossing.

use crate::projection::{Applied, ApplyError, Projection};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Tz;
use domain::budget::{BudgetEvent, BudgetPeriodEvent, BudgetScope, BudgetTerms, Month, Threshold};
use domain::call::{CallEvent, Charged};
use domain::spending::{BudgetSpending, Crossing, MonthState, ThresholdTerms};
use domain::{Event, Money};
use futures::future::BoxFuture;
use rust_decimal::Decimal;
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub(crate) struct Budgets;

impl Projection for Budgets {
    fn name(&self) -> &'static str {
        "budgets"
    }

    /// 2: thresholds are crossed in every month and by every version of the terms.
    fn version(&self) -> i32 {
        2
    }

    fn categories(&self) -> &'static [&'static str] {
        &["budget", "budget_period", "call"]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("budgets", "tenant_id, budget_id"),
            ("budget_spend", "tenant_id, scope_kind, scope_key, quarter"),
            ("budget_months", "tenant_id, budget_id, month"),
            ("budget_crossings", "tenant_id, budget_id, month, threshold_percent, terms_version"),
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

/// Tenant, budget, kind and key of its scope, limit, time zone, thresholds, version.
type TermsRow = (String, Uuid, String, String, Decimal, String, Vec<i32>, i64);
/// Tenant, budget, month, amount spent, thresholds crossed, position.
type MonthRow = (String, Uuid, String, Decimal, Vec<i32>, i64);
type BudgetKey = (String, Uuid);

/// Whose spending: tenant, kind of scope, key within the kind.
type ScopeKey = (String, &'static str, String);

/// An open budget.
struct Known {
    scope: (&'static str, String),
    zone: Tz,
    spending: BudgetSpending,
    /// The position of the last event that counted in a month.
    positions: BTreeMap<Month, i64>,
    /// The months that are to be written.
    changed: BTreeSet<Month>,
}

/// A batch in memory.
struct Fold {
    budgets: BTreeMap<BudgetKey, Known>,
    spend: BTreeMap<(ScopeKey, DateTime<Utc>), Decimal>,
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

fn add<K: Ord>(sums: &mut BTreeMap<K, Decimal>, key: K, amount: Decimal) -> Result<(), ApplyError> {
    let sum = sums.entry(key).or_default();
    *sum = sum.checked_add(amount).ok_or(domain::MoneyError::OutOfRange)?;
    Ok(())
}

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

fn threshold_terms(version: u64, terms: &BudgetTerms) -> ThresholdTerms {
    ThresholdTerms { version, limit: terms.limit, thresholds: terms.thresholds.clone() }
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
        let state = MonthState { spent: Money::from_decimal(spent), crossed: thresholds_of(crossed)? };
        months.entry((tenant, id)).or_default().insert(month, (state, position));
    }
    Ok(months)
}

impl Fold {
    /// The open budgets of the tenants in the batch, with their months.
    async fn load(connection: &mut PgConnection, events: &[Applied]) -> Result<Self, ApplyError> {
        let tenants: BTreeSet<_> = events.iter().map(Applied::tenant).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        let rows: Vec<TermsRow> = sqlx::query_as(
            "select tenant_id, budget_id, scope_kind, scope_key, limit_amount, time_zone, thresholds, version
             from budgets where tenant_id = any ($1) and not closed",
        )
        .bind(&tenants)
        .fetch_all(&mut *connection)
        .await?;
        let ids: Vec<_> = rows.iter().map(|row| row.1).collect();
        let mut months = load_months(connection, &tenants, &ids).await?;
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
            let known = Known {
                scope: (known_scope(&kind)?, key),
                zone: zone.parse().map_err(|error| bad_row(&error))?,
                spending: BudgetSpending::restore(terms, states),
                positions,
                changed: BTreeSet::new(),
            };
            budgets.insert((tenant, id), known);
        }
        Ok(Self { budgets, spend: BTreeMap::new() })
    }

    async fn call(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &CallEvent,
    ) -> Result<(), ApplyError> {
        // Before and after are netted by budget and month first: an amendment that moves nothing crosses nothing.
        let (before, after) = event.difference();
        let mut moved: BTreeMap<BudgetKey, BTreeMap<Month, Decimal>> = BTreeMap::new();
        for (charged, sign) in before.map(|before| (before, -1)).into_iter().chain([(after, 1)]) {
            let Some(cost) = charged.cost() else { continue };
            let amount = cost.as_decimal() * Decimal::from(sign);
            let at = charged.facts.started_at;
            let quarter = at
                .duration_trunc(TimeDelta::minutes(15))
                .map_err(|_| ApplyError::Row(format!("{at} has no quarter of an hour")))?;
            let scopes = scopes(charged);
            for (kind, key) in &scopes {
                add(&mut self.spend, ((applied.tenant().to_owned(), *kind, key.clone()), quarter), amount)?;
            }
            for (key, known) in &self.budgets {
                if key.0 == applied.tenant() && scopes.contains(&known.scope) {
                    add(moved.entry(key.clone()).or_default(), Month::containing(at, known.zone), amount)?;
                }
            }
        }
        for (key, months) in moved {
            let months = months.into_iter().filter(|(_, amount)| !amount.is_zero());
            let months = months.map(|(month, amount)| (month, Money::from_decimal(amount))).collect();
            self.spend(connection, applied, &key, &months).await?;
        }
        Ok(())
    }

    /// Counts what an event moves in the months of a budget.
    async fn spend(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        key: &BudgetKey,
        moved: &BTreeMap<Month, Money>,
    ) -> Result<(), ApplyError> {
        let Some(known) = self.budgets.get_mut(key) else { return Ok(()) };
        let recorded_in = Month::containing(applied.recorded.recorded_at, known.zone);
        let crossings = known.spending.spend(moved, recorded_in)?;
        for month in moved.keys() {
            known.positions.insert(*month, applied.position());
            known.changed.insert(*month);
        }
        record_crossings(connection, applied, key, &crossings).await
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
        let (scope, zone) = (scope_of(&defined.terms), defined.terms.time_zone);
        let counted = count_months(connection, &key.0, &scope, zone).await?;
        delete_months(connection, &key).await?;
        let terms = threshold_terms(applied.recorded.version.get(), &defined.terms);
        let before = self.budgets.remove(&key).map(|known| known.spending);
        let mut spending = before.unwrap_or_else(|| BudgetSpending::restore(terms.clone(), BTreeMap::new()));
        let recorded_in = Month::containing(applied.recorded.recorded_at, zone);
        let crossings = spending.revise(terms, counted, recorded_in);
        record_crossings(connection, applied, &key, &crossings).await?;
        let changed: BTreeSet<_> = spending.months().keys().copied().collect();
        let positions = changed.iter().map(|month| (*month, applied.position())).collect();
        self.budgets.insert(key, Known { scope, zone, spending, positions, changed });
        Ok(())
    }

    /// Marks the crossing that an alert was raised for. Where the tables are built by other code than the alert was raised
    /// by, the crossing may be another, come later or not at all: what the alert says takes its place.
    async fn alert(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &BudgetPeriodEvent,
    ) -> Result<(), ApplyError> {
        let BudgetPeriodEvent::ThresholdCrossed(crossed) = event;
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
        .bind(crossed.spent.as_decimal())
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
            amounts.push(amount);
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
        // Arrays of arrays have to be of one length in PostgreSQL: the thresholds of each month go as text.
        let mut crossed = vec![];
        for ((tenant, id), known) in &mut self.budgets {
            for month in std::mem::take(&mut known.changed) {
                let Some(state) = known.spending.months().get(&month) else { continue };
                let (start, end) = month.bounds(known.zone);
                tenants.push(tenant.clone());
                ids.push(*id);
                months.push(month.to_string());
                starts.push(start);
                ends.push(end);
                spent.push(state.spent.as_decimal());
                crossed.push(array_text(&percents_of(&state.crossed)));
                positions.push(known.positions.get(&month).copied().unwrap_or_default());
            }
        }
        if tenants.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into budget_months (tenant_id, budget_id, month, starts_at, ends_at, spent, crossed, position)
             select tenant, id, month, starts, ends, spent, crossed::integer[], position
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
}

/// An array of integers as PostgreSQL writes it.
fn array_text(values: &[i32]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    format!("{{{}}}", values.join(","))
}

/// The spending within a scope by month, also from before a budget was defined or moved to another time zone.
async fn count_months(
    connection: &mut PgConnection,
    tenant: &str,
    scope: &(&'static str, String),
    zone: Tz,
) -> Result<BTreeMap<Month, Money>, ApplyError> {
    let quarters: Vec<(DateTime<Utc>, Decimal)> = sqlx::query_as(
        "select quarter, amount from budget_spend
         where tenant_id = $1 and scope_kind = $2 and scope_key = $3 order by quarter",
    )
    .bind(tenant)
    .bind(scope.0)
    .bind(&scope.1)
    .fetch_all(connection)
    .await?;
    let mut months = BTreeMap::new();
    for (quarter, amount) in quarters {
        let spent: &mut Money = months.entry(Month::containing(quarter, zone)).or_default();
        *spent = spent.checked_add(Money::from_decimal(amount))?;
    }
    Ok(months)
}

async fn delete_months(connection: &mut PgConnection, (tenant, budget_id): &BudgetKey) -> Result<(), ApplyError> {
    let delete = "delete from budget_months where tenant_id = $1 and budget_id = $2";
    sqlx::query(delete).bind(tenant).bind(budget_id).execute(connection).await?;
    Ok(())
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

/// Records thresholds that an event crossed. One that an alert was raised for already is there.
async fn record_crossings(
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
        .bind(crossing.spent.as_decimal())
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
