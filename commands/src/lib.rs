//! Executing commands: load the aggregate, decide, append the events, and retry when another writer was faster.
//!
//! A command id makes every retry safe: the log keeps a receipt of what the command appended, and answers a retry with
//! the positions of the first execution. Deliberately absent: business rules. They belong to the aggregates. A rule that
//! spans two aggregates is a check on a guard stream, whose version the append depends on.

mod append;
mod budgets;
mod cache;
mod context;
mod error;
mod executor;
mod guards;
mod loaded;
mod loader;
mod observe;
mod outcome;
mod retry;
mod snapshots;
mod tasks;

pub use budgets::BudgetRejection;
pub use context::{Context, is_reserved_actor};
pub use error::Error;
pub use executor::{Commands, CommandsConfig};
pub use guards::AgentRejection;
pub use loaded::{AsOf, Loaded};
pub use observe::{MAX_MODEL_LABELS, register_metrics};
pub use outcome::{Outcome, OutcomeKind};
pub use streams::Position;
pub use tasks::TaskRejection;
