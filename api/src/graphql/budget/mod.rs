//! Budgets, their months, and the alerts for their thresholds.

mod alerts;
mod mutation;
mod query;
mod types;

pub(crate) use alerts::{AlertQuery, AlertSubscription, BudgetCrossing};
pub(crate) use mutation::{BudgetCommandError, BudgetMutation};
pub(crate) use query::BudgetQuery;
pub(crate) use types::{Budget, BudgetAlert};
