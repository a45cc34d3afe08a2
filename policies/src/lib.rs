//! Policies and jobs.
//!
//! A policy follows the log with a checkpoint of its own. It reacts to events with commands, under command ids that are
//! derived from the policy and the event, and with jobs, which are written in the transaction that advances the
//! checkpoint: each reaction takes effect once, however often the policy runs and in however many processes. A job is
//! an effect outside the log or a timer. Its runner retries it with growing delays, and makes it a dead letter in the
//! end; one queue per destination keeps a failing destination from delaying the others.
//!
//! Deliberately absent: read models. A rebuild runs no policy.

mod budget_alerts;
mod decisions;
mod handler;
mod job;
mod jobs;
mod observe;
mod policy;
mod retention;
mod retry;
mod runner;
mod span_retention;

pub use budget_alerts::{BUDGET_ALERT, BUDGET_ALERTS, BUDGETS, BudgetAlertHandler, BudgetAlerts};
pub use decisions::{DecisionError, JobDecision, JobDecisionKind, JobFilter, JobRow, decide, decisions, list};
pub use handler::{DEFAULT_QUEUE_CONCURRENCY, JobError, JobHandler, JobOutcome};
pub use job::{Job, JobState, MAX_PAYLOAD_BYTES, NewJob};
pub use jobs::{Jobs, LeasedJob, UndecodableJob};
pub use observe::{JobGauges, gauges, register_metrics};
pub use policy::{Policy, PolicyError, PolicyWorker, Reaction, policy_checkpoint};
pub use retention::{JOB_RETENTION, JobRetention};
pub use retry::RetryConfig;
pub use runner::{JobRunner, JobRunnerConfig};
pub use span_retention::{SPAN_RETENTION, SpanRetention};

/// The kinds of all jobs that this program runs.
pub const KINDS: [&str; 3] = [BUDGET_ALERT, JOB_RETENTION, SPAN_RETENTION];
