//! Executing commands: load, decide, append, and try again when somebody else was faster.
//!
//! A command id makes every retry safe: the log keeps what became of it, and answers a second try with the
//! positions of the first. Deliberately absent: business rules. Those are the aggregates'; what spans two of them
//! is a check on a guard stream whose version the append depends on.

mod budgets;
mod context;
mod error;
mod executor;
mod guards;
mod known;
mod load;
mod observe;
mod snapshots;
mod tasks;

pub use budgets::BudgetRefusal;
pub use context::{Context, current_traceparent, is_reserved_actor};
pub use error::Error;
pub use executor::{Commands, CommandsConfig, Outcome, OutcomeKind};
pub use guards::AgentRefusal;
pub use load::{AsOf, Loaded};
pub use observe::{MAX_MODEL_LABELS, register_metrics};
pub use streams::Position;
pub use tasks::TaskRefusal;
