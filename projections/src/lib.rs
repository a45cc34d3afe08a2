//! Read models, reports, and the workers that feed them.
//!
//! A projection applies events in batches: it folds them in memory, then writes the rows in few statements, in one
//! transaction with its checkpoint. Events are delivered at least once; their effect on the tables is exactly once.
//! Deliberately absent: commands. Policies, which are elsewhere, react to what a read model finds, so that a rebuild
//! has no effect outside the tables.

mod batch;
mod checkpoint;
mod compare;
mod decode;
mod export;
mod follower;
mod history;
mod meter_costs;
mod observe;
mod page;
mod parked;
mod parking;
mod progress;
mod projection;
mod registry;
mod report;
mod rows;
mod sharding;
mod source;
mod state;
mod statements;
mod status;
mod target;
#[cfg(test)]
mod testing;
mod transaction;
mod verify;
mod versions;
mod wait;
mod worker;

pub mod agents;
pub mod alert_deliveries;
pub mod budget_refusals;
pub mod budgets;
pub mod calls;
pub mod invoices;
pub mod memories;
pub mod outlook;
pub mod schedules;
pub mod spans;
pub mod tasks;

pub use compare::{Comparison, Difference, Fingerprint, MAX_DIFFERENCES, fingerprint};
pub use export::{
    ChargesError, Expected, ExportChunk, ExportError, ExportFormat, ExportQuery, ExportRange, ExportStream,
    FocusVersion, OpenExport, without_formula,
};
pub use follower::{Follower, Step, StepError, WorkerConfig, WorkerError, follow};
pub use history::{HistoryError, as_of};
pub use meter_costs::{
    MeterCost, MeterCostError, MeterCostGroup, MeterCostLimits, MeterCostQuery, MeterCosts, OpenMeterCosts,
};
pub use observe::register_metrics;
pub use page::{Cursor, MAX_PAGE_ROWS, Order, Page};
pub use parking::{
    Decision, ParkedEvent, ParkingDecision, ParkingError, ResumeOutcome, ResumeRequest, TenantSelection, parked_events,
    parking_decisions, resume,
};
pub use projection::{Applied, ApplyError, Projection, Sharding};
pub use registry::{by_name, state_topics};
pub use report::{
    BasePeriod, CallFilterError, CallFilters, CausingEvent, Change, ChangedRow, CostChanges, CostPolicy, Dimension,
    InvalidFilter, InvalidName, KnownAt, KnownLimits, KnownReport, KnownReports, MAX_COMPLETED_TASKS, MAX_FILTERS,
    MAX_KNOWN_REPORTS, MAX_REPORT_CALLS, MAX_TOP, NamedDimension, NamedFilter, PERCENT_PLACES, Report, ReportCursor,
    ReportError, ReportFilter, ReportPage, ReportQuery, ReportRow, ReportTag, ScheduledReportError, SeveralTagKeys,
    TaskCosts, TimeRange, Totals, UNIT_COST_PLACES, UnknownDimension, UnknownTimeZone, UsageSource, WholeReport,
    causing_events, completed_task_costs, cost_difference, scheduled_report, start_of_day, start_of_hour, tag_key,
    time_zone, usage_report,
};
pub use rows::StreamRow;
pub use source::{AppliedEvents, Batch, Source};
pub use state::StateTopic;
pub use statements::{
    CostStatements, MAX_STATEMENT_ROWS, RulesVersion, StatementError, StatementQuery, allocation_rules,
    cost_statements, known_cost_statements,
};
pub use status::{GaugeValues, ProjectionStatus, gauges, statuses};
pub use streams::DatabaseError;
pub use transaction::{begin as begin_transaction, commit as commit_transaction};
pub use verify::{SessionSettings, verify, verify_with_progress};
pub use versions::{
    InactiveVersion, REBUILD_BATCH_EVENTS, RebuildError, RebuildProgress, build, compare, drop_version, resume_build,
    switch,
};
pub use wait::{WaitError, wait_for};
pub use worker::Worker;

/// A connection pool of the read models' database, for crates that do not depend on the database driver.
pub type Pool = sqlx::PgPool;

/// Returns every projection of this program.
#[must_use]
pub fn all() -> Vec<&'static dyn Projection> {
    vec![
        &agents::Agents,
        &tasks::Tasks,
        &calls::Calls,
        &memories::Memories,
        &budgets::Budgets,
        &invoices::Invoices,
        &schedules::Schedules,
        &budget_refusals::BudgetRefusals,
    ]
}
