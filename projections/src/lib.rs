//! Read models, reports and the workers that feed them.
//!
//! A projection applies events in batches: folded in memory first, then written in few statements, in one
//! transaction with its checkpoint. Events are delivered at least once; their effect on the tables is exactly once.
//! Deliberately absent: commands. What a read model gives rise to is decided elsewhere, so that a rebuild never acts.

mod agents;
mod alerts;
mod applying;
mod batch;
mod budget_rows;
mod budgets;
mod calls;
mod compare;
mod history;
mod memories;
mod observe;
mod parking;
mod partitioned;
mod progress;
mod projection;
mod report;
mod rows;
mod runtime;
mod state;
mod status;
mod tasks;
mod transaction;
mod verify;
mod versions;
mod wait;

pub mod query;

pub use alerts::{CrossingCursor, CrossingRow, crossings, pending_alerts};
pub use applying::AppliedEvents;
pub use compare::{Comparison, Difference, Fingerprint, MAX_DIFFERENCES, fingerprint};
pub use history::{Fold, History, HistoryError, as_of};
pub use observe::register_metrics;
pub use parking::{
    Decision, ParkedEvent, ParkingDecision, ParkingError, ResumeOutcome, ResumeRequest, parked_events,
    parking_decisions, resume,
};
pub use partitioned::{MissingEvent, PartitionedError, PartitionedFeed, give_back};
pub use projection::{Applied, ApplyError, Projection, Sharding};
pub use report::{
    Dimension, Report, ReportCursor, ReportError, ReportPage, ReportQuery, ReportRow, Totals, WholeReport, usage_report,
};
pub use runtime::{
    Batch, Policy, PolicyError, PolicyWorker, Source, Worker, WorkerConfig, WorkerError, policy_checkpoint,
};
pub use state::{StateTopic, state_topics};
pub use status::{GaugeValues, ProjectionStatus, gauges, statuses};
pub use verify::{SessionSettings, verify, verify_with_progress};
pub use versions::{
    InactiveVersion, REBUILD_BATCH_EVENTS, RebuildError, RebuildProgress, build, compare, drop_version, resume_build,
    switch,
};
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
