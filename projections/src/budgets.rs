//! The read models of budgets: terms, spending by month, thresholds crossed.
//!
//! Events are folded one by one, so that which thresholds are crossed, and what was spent then, does not depend on how
//! events were cut into batches. [`BudgetSpending`] decides what is crossed; this module counts and stores. A crossing
//! becomes an alert by a command, given elsewhere; the alert's own event then marks the crossing.

use crate::budget_rows::{
    count_months, delete_months, load_budgets, mark_alerted, record_crossings, save_closed, save_months, save_spend,
    save_terms,
};
use crate::projection::{Applied, ApplyError, Projection};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use chrono_tz::Tz;
use domain::budget::{BudgetEvent, BudgetPeriodEvent, BudgetScope, BudgetTerms, Month};
use domain::call::{CallEvent, Charged};
use domain::spending::{BudgetSpending, ThresholdTerms};
use domain::{Event, Sum};
use futures::future::BoxFuture;
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
            let tenants: BTreeSet<_> = events.iter().map(Applied::tenant).collect();
            let tenants: Vec<_> = tenants.into_iter().collect();
            let mut fold = Fold { budgets: load_budgets(connection, &tenants).await?, spend: BTreeMap::new() };
            for applied in events {
                match &*applied.event {
                    Event::Call(event) => fold.call(connection, applied, event).await?,
                    Event::Budget(event) => {
                        save_spend(connection, std::mem::take(&mut fold.spend)).await?;
                        fold.budget(connection, applied, event).await?;
                    }
                    Event::BudgetPeriod(BudgetPeriodEvent::ThresholdCrossed(crossed)) => {
                        mark_alerted(connection, applied, crossed).await?;
                    }
                    Event::Agent(_) | Event::Task(_) | Event::PriceBook(_) | Event::Memory(_) => {}
                }
            }
            save_spend(connection, fold.spend).await?;
            save_months(connection, &mut fold.budgets).await
        })
    }
}

/// Tenant and budget.
pub(crate) type BudgetKey = (String, Uuid);

/// Whose spending within a tenant: the kind of scope, and the key within the kind.
pub(crate) type Scope = (&'static str, String);

/// Amounts by tenant, scope and quarter of an hour.
pub(crate) type Spend = BTreeMap<(String, Scope, DateTime<Utc>), Sum>;

/// A budget that is not closed.
pub(crate) struct OpenBudget {
    pub(crate) scope: Scope,
    pub(crate) zone: Tz,
    pub(crate) spending: BudgetSpending,
    /// The position of the last event that counted in a month.
    pub(crate) positions: BTreeMap<Month, i64>,
    /// The months that are to be written.
    pub(crate) changed: BTreeSet<Month>,
}

/// A batch in memory.
struct Fold {
    budgets: BTreeMap<BudgetKey, OpenBudget>,
    spend: Spend,
}

pub(crate) fn scope_of(terms: &BudgetTerms) -> Scope {
    match &terms.scope {
        BudgetScope::Tenant => ("tenant", String::new()),
        BudgetScope::Agent { agent_id } => ("agent", agent_id.to_string()),
        BudgetScope::Model { model } => ("model", model.to_string()),
    }
}

/// The scopes that a call counts in.
fn scopes(charged: &Charged) -> Vec<Scope> {
    let facts = &charged.facts;
    let agent = facts.agent_id.map(|agent| ("agent", agent.to_string()));
    let model = facts.model.as_ref().map(|model| ("model", model.to_string()));
    [Some(("tenant", String::new())), agent, model].into_iter().flatten().collect()
}

impl Fold {
    async fn call(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &CallEvent,
    ) -> Result<(), ApplyError> {
        // Before and after are netted by budget and month first: an amendment that moves nothing crosses nothing.
        let (before, after) = event.difference();
        let mut moved: BTreeMap<BudgetKey, BTreeMap<Month, Sum>> = BTreeMap::new();
        for (charged, is_added) in before.map(|before| (before, false)).into_iter().chain([(after, true)]) {
            let Some(cost) = charged.cost() else { continue };
            let count = |sum: &mut Sum| if is_added { *sum += cost } else { *sum -= cost };
            let at = charged.facts.started_at;
            let quarter = at
                .duration_trunc(TimeDelta::minutes(15))
                .map_err(|_| ApplyError::Row(format!("{at} has no quarter of an hour")))?;
            let scopes = scopes(charged);
            for scope in &scopes {
                count(self.spend.entry((applied.tenant().to_owned(), scope.clone(), quarter)).or_default());
            }
            for (key, budget) in &self.budgets {
                if key.0 == applied.tenant() && scopes.contains(&budget.scope) {
                    let months = moved.entry(key.clone()).or_default();
                    count(months.entry(Month::containing(at, budget.zone)).or_default());
                }
            }
        }
        for (key, mut months) in moved {
            months.retain(|_, amount| !amount.is_zero());
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
        moved: &BTreeMap<Month, Sum>,
    ) -> Result<(), ApplyError> {
        let Some(budget) = self.budgets.get_mut(key) else { return Ok(()) };
        let recorded_in = Month::containing(applied.recorded.recorded_at, budget.zone);
        let crossings = budget.spending.spend(moved, recorded_in);
        for month in moved.keys() {
            budget.positions.insert(*month, applied.position());
            budget.changed.insert(*month);
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
                save_months(connection, &mut self.budgets).await?;
                self.budgets.remove(&key);
                return save_closed(connection, applied).await;
            }
        };
        save_terms(connection, applied, &defined.terms, defined.at).await?;
        let (scope, zone) = (scope_of(&defined.terms), defined.terms.time_zone);
        let counted = count_months(connection, &key.0, &scope, zone).await?;
        delete_months(connection, &key).await?;
        let terms = ThresholdTerms {
            version: applied.recorded.version.get(),
            limit: defined.terms.limit,
            thresholds: defined.terms.thresholds.clone(),
        };
        let before = self.budgets.remove(&key).map(|budget| budget.spending);
        let mut spending = before.unwrap_or_else(|| BudgetSpending::restore(terms.clone(), BTreeMap::new()));
        let recorded_in = Month::containing(applied.recorded.recorded_at, zone);
        let crossings = spending.revise(terms, counted, recorded_in);
        record_crossings(connection, applied, &key, &crossings).await?;
        let changed: BTreeSet<_> = spending.months().keys().copied().collect();
        let positions = changed.iter().map(|month| (*month, applied.position())).collect();
        self.budgets.insert(key, OpenBudget { scope, zone, spending, positions, changed });
        Ok(())
    }
}
