//! Read models, reports and the workers that feed them.
//!
//! A projection applies events in batches: folded in memory first, then written in few statements, in one
//! transaction with its checkpoint. Events are delivered at least once; their effect on the tables is exactly once.
//! Deliberately absent: commands. What a read model gives rise to is decided elsewhere, so that a rebuild never acts.

mod agents;
mod budgets;
mod calls;
mod history;
mod memories;
mod partitioned;
mod rebuild;

mod report;
mod rows;
mod runtime;
mod status;
mod tasks;
mod wait;

pub mod query;

pub use budgets::{PendingAlert, pending_alerts};
pub use history::{Fold, History, HistoryError, as_of};
pub use partitioned::{Awaited, PartitionedError, PartitionedFeed, give_back};
pub use rebuild::{Fingerprint, REBUILD_BATCH_EVENTS, RebuildError, RebuildProgress, fingerprint, rebuild};
pub use report::{Dimension, Report, ReportError, ReportQuery, ReportRow, Totals, usage_report};
pub use runtime::{Applied, ApplyError, Projection, Worker, WorkerConfig, WorkerError};
pub use status::{GaugeValues, ParkedEvent, ProjectionStatus, gauges, parked_events, statuses};
pub use wait::{WaitError, wait_for};

/// The database of the read models, for rooms that ask them questions and name no database library.
pub type Pool = sqlx::PgPool;
/// What goes wrong with it.
pub type DatabaseError = sqlx::Error;

/// Every projection, one line each.
#[must_use]
pub fn all() -> Vec<&'static dyn Projection> {
    vec![&agents::Agents, &tasks::Tasks, &calls::Calls, &memories::Memories, &budgets::Budgets]
}

/// The projection of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Projection> {
    all().into_iter().find(|projection| projection.name() == name)
}
