//! Budgets, their months, and the alerts for their thresholds.

mod alerts;
mod answers;
mod control;
mod delegating;
mod delegation;
mod history;
mod mutation;
mod policies;
mod preview;
mod query;
mod refusals;
mod status;
mod thresholds;
mod types;
mod watch;

pub(crate) use alerts::{AlertQuery, AlertSubscription, BudgetCrossing};
pub(crate) use answers::AlertAnswerMutation;
pub(crate) use delegating::DelegationMutation;
pub(crate) use history::HistoryQuery;
pub(crate) use mutation::{BudgetCommandError, BudgetMutation};
pub(crate) use preview::PreviewQuery;
pub(crate) use query::BudgetQuery;
pub(crate) use refusals::{BudgetRefusalCount, RefusalQuery};
pub(crate) use status::PeriodSubscription;
pub(crate) use thresholds::{BudgetThreshold, ThresholdQuery, ThresholdSubscription};
pub(crate) use types::{Budget, BudgetAlert};
pub(crate) use watch::{WatchMutation, WatchQuery};
