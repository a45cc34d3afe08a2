//! What the fold of budgets keeps in memory while it applies a batch.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::Sum;
use domain::budget::{BudgetScope, BudgetTerms, Month};
use domain::spending::BudgetSpending;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The tenant and the id of a budget.
pub(super) type BudgetKey = (String, Uuid);

/// What a budget limits: the kind of scope (`tenant`, `agent` or `model`) and the key of that kind.
pub(super) type Scope = (&'static str, String);

/// Amounts by tenant, scope and quarter of an hour.
pub(super) type Spend = BTreeMap<(String, Scope, DateTime<Utc>), Sum>;

/// A budget that is not closed.
pub(super) struct OpenBudget {
    pub(super) scope: Scope,
    pub(super) zone: Tz,
    pub(super) spending: BudgetSpending,
    /// The position of the last event that changed the spending of a month.
    pub(super) positions: BTreeMap<Month, i64>,
    /// The months that have changed since they were saved.
    pub(super) changed: BTreeSet<Month>,
}

/// The scope of a budget, as the tables store it.
pub(super) fn scope_of(terms: &BudgetTerms) -> Scope {
    match &terms.scope {
        BudgetScope::Tenant => ("tenant", String::new()),
        BudgetScope::Agent { agent_id } => ("agent", agent_id.to_string()),
        BudgetScope::Model { model } => ("model", model.to_string()),
    }
}
