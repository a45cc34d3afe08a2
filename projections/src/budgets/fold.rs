//! How events change the spending of budgets and which thresholds they cross.
//!
//! Events are folded one by one, so that the crossed thresholds, and the spending at each crossing, do not depend on
//! how events are divided into batches.

use super::crossings;
use super::state::{BudgetKey, OpenBudget, Scope, Spend, scope_of};
use super::tables::{
    count_months, delete_months, load_budgets, save_closed, save_months, save_spend, save_terms, save_version,
};
use crate::projection::{Applied, ApplyError};
use chrono::{DurationRound, TimeDelta};
use domain::Sum;
use domain::budget::{BudgetEvent, Month};
use domain::call::{CallEvent, ChargedCall};
use domain::spending::{BudgetSpending, ThresholdTerms};
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// The open budgets of the tenants of a batch, and the spending that is not saved yet.
pub(super) struct Fold {
    budgets: BTreeMap<BudgetKey, OpenBudget>,
    spend: Spend,
}

impl Fold {
    pub(super) async fn load(connection: &mut PgConnection, events: &[Applied]) -> Result<Self, ApplyError> {
        let tenants: BTreeSet<_> = events.iter().map(Applied::tenant).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        Ok(Self { budgets: load_budgets(connection, &tenants).await?, spend: Spend::new() })
    }

    pub(super) async fn save(mut self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        save_spend(connection, self.spend).await?;
        save_months(connection, &mut self.budgets).await
    }

    /// Counts a call, or the change of one.
    pub(super) async fn call(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &CallEvent,
    ) -> Result<(), ApplyError> {
        // The cost before and after is netted by budget and month first, so that an amendment that changes no cost
        // crosses no threshold.
        let (befores, after) = event.befores_and_after();
        let mut changes: BTreeMap<BudgetKey, BTreeMap<Month, Sum>> = BTreeMap::new();
        let subtracted = befores.into_iter().map(|before| (before, false));
        for (charged, is_added) in subtracted.chain(after.map(|after| (after, true))) {
            let Some(cost) = charged.cost() else { continue };
            let count = |sum: &mut Sum| if is_added { *sum += cost } else { *sum -= cost };
            let at = charged.facts.started_at;
            let quarter = at
                .duration_trunc(TimeDelta::minutes(15))
                .map_err(|_| ApplyError::Row(format!("time {at} is out of range")))?;
            let scopes = scopes(charged);
            for scope in &scopes {
                count(self.spend.entry((applied.tenant().to_owned(), scope.clone(), quarter)).or_default());
            }
            for (key, budget) in &self.budgets {
                if key.0 == applied.tenant() && scopes.contains(&budget.scope) {
                    let months = changes.entry(key.clone()).or_default();
                    count(months.entry(Month::containing(at, budget.zone)).or_default());
                }
            }
        }
        for (key, mut months) in changes {
            months.retain(|_, amount| !amount.is_zero());
            self.spend(connection, applied, &key, &months).await?;
        }
        Ok(())
    }

    /// Adds amounts to the spending of a budget, by month, and records the thresholds that are crossed.
    async fn spend(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        key: &BudgetKey,
        amounts: &BTreeMap<Month, Sum>,
    ) -> Result<(), ApplyError> {
        let Some(budget) = self.budgets.get_mut(key) else { return Ok(()) };
        let recorded_in = Month::containing(applied.recorded.recorded_at, budget.zone);
        let crossed = budget.spending.spend(amounts, recorded_in);
        for month in amounts.keys() {
            budget.positions.insert(*month, applied.position());
            budget.changed.insert(*month);
        }
        crossings::record(connection, applied, key, &crossed).await
    }

    /// Defines, revises or closes a budget.
    pub(super) async fn budget(
        &mut self,
        connection: &mut PgConnection,
        applied: &Applied,
        event: &BudgetEvent,
    ) -> Result<(), ApplyError> {
        save_spend(connection, std::mem::take(&mut self.spend)).await?;
        let key = (applied.tenant().to_owned(), applied.stream_id());
        let defined = match event {
            BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined) => defined,
            BudgetEvent::Closed(_) => {
                // A closed budget counts no further spending; what it has counted is kept.
                save_months(connection, &mut self.budgets).await?;
                self.budgets.remove(&key);
                return save_closed(connection, applied).await;
            }
            BudgetEvent::Suspended(_)
            | BudgetEvent::Resumed(_)
            | BudgetEvent::Raised(_)
            | BudgetEvent::Delegated(_)
            | BudgetEvent::DelegationEnded(_) => {
                if let Some(budget) = self.budgets.get_mut(&key) {
                    budget.spending.set_version(applied.recorded.version.get());
                }
                return save_version(connection, applied).await;
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
        let crossed = spending.revise(terms, counted, recorded_in);
        crossings::record(connection, applied, &key, &crossed).await?;
        let changed: BTreeSet<_> = spending.months().keys().copied().collect();
        let positions = changed.iter().map(|month| (*month, applied.position())).collect();
        self.budgets.insert(key, OpenBudget { scope, zone, spending, positions, changed });
        Ok(())
    }
}

/// The scopes that the cost of a call counts in.
fn scopes(charged: &ChargedCall) -> Vec<Scope> {
    let facts = &charged.facts;
    let agent = facts.agent_id.map(|agent| ("agent", agent.to_string()));
    let model = facts.model.as_ref().map(|model| ("model", model.to_string()));
    [Some(("tenant", String::new())), agent, model].into_iter().flatten().collect()
}
