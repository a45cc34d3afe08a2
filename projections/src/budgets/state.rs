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

/// What a budget limits: the kind of scope (`tenant`, `agent`, `model` or `conditions`) and the key of that kind.
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

/// The kind of scope of a budget that is not counted here: no call is in it. What is charged to it is in its periods' streams.
pub(super) const NOT_COUNTED: &str = "conditions";

/// The scope of a budget, as the tables store it.
pub(super) fn scope_of(terms: &BudgetTerms) -> Scope {
    match &terms.scope {
        _ if !terms.is_counted_by_month() => (NOT_COUNTED, String::new()),
        // Such a budget is not counted by month.
        BudgetScope::Conditions { .. } => (NOT_COUNTED, String::new()),
        BudgetScope::Tenant => ("tenant", String::new()),
        BudgetScope::Agent { agent_id } => ("agent", agent_id.to_string()),
        BudgetScope::Model { model } => ("model", model.to_string()),
    }
}
