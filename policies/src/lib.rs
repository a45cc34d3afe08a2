//! Policies and jobs.
//!
//! A policy follows the log with a checkpoint of its own. It reacts to events with commands, under command ids that are
//! derived from the policy and the event, and with jobs, which are written in the transaction that advances the
//! checkpoint: each reaction takes effect once, however often the policy runs and in however many processes. A job is
//! an effect outside the log or a timer. Its runner retries it with growing delays, and makes it a dead letter in the
//! end; one queue per destination keeps a failing destination from delaying the others.
//!
//! Deliberately absent: read models. A rebuild runs no policy.

mod agent_pause;
mod alert_catch_up;
mod alert_conditions;
mod alert_delivery;
mod alert_payload;
mod alert_queue;
mod alert_redelivery;
mod alert_silence;
mod alert_watch;
mod budget_alerts;
mod budget_count;
mod charge_events;
mod charging;
mod charging_catch_up;
mod decisions;
mod delegation_end;
mod handler;
mod job;
mod jobs;
mod observe;
mod policy;
mod reservation_expiry;
mod retention;
mod retry;
mod runner;
mod schedules;
mod span_retention;

pub use agent_pause::{AGENT_PAUSES, AgentPauses};
pub use alert_catch_up::AlertCatchUpHandler;
pub use alert_delivery::AlertDelivery;
pub use alert_payload::{Alert, AlertDeliveryJob, ApprovalAlert, BudgetAlert, ConditionAlert};
pub use alert_queue::{ALERT_CATCH_UP, ALERT_DELIVERIES, ALERT_DELIVERY, delivery_component};
pub use alert_redelivery::{ALERT_REDELIVERY, AlertRedeliveryHandler};
pub use alert_silence::{ALERT_SILENCE, AlertSilenceHandler};
pub use alert_watch::{ALERT_WATCH, AlertWatchHandler};
pub use budget_alerts::{BUDGET_ALERT, BUDGET_ALERTS, BUDGETS, BudgetAlertHandler, BudgetAlerts};
pub use budget_count::{BUDGET_COUNT, BudgetCountHandler};
pub use charge_events::BUDGET_CHARGING;
pub use charging::BudgetCharging;
pub use charging_catch_up::{CHARGING_CATCH_UP, ChargingCatchUpHandler};
pub use decisions::{DecisionError, JobDecision, JobDecisionKind, JobFilter, JobRow, decide, decisions, list};
pub use delegation_end::{DELEGATION_ENDS, DelegationEndHandler, DelegationEnds};
pub use handler::{DEFAULT_QUEUE_CONCURRENCY, JobError, JobHandler, JobOutcome};
pub use job::{Job, JobState, MAX_PAYLOAD_BYTES, NewJob};
pub use jobs::{Jobs, LeasedJob, UndecodableJob};
pub use observe::{JobGauges, gauges, register_metrics};
pub use policy::{Policy, PolicyError, PolicyWorker, Reaction, policy_checkpoint};
pub use reservation_expiry::{RESERVATION_EXPIRY, ReservationExpiry, ReservationExpiryHandler};
pub use retention::{JOB_RETENTION, JobRetention};
pub use retry::RetryConfig;
pub use runner::{JobRunner, JobRunnerConfig};
pub use schedules::{SCHEDULE_RUN, SCHEDULES, ScheduledJob, ScheduledRuns, Schedules};
pub use span_retention::{SPAN_RETENTION, SpanRetention};

/// The kind of the recurring job that deletes addresses of endpoints that no endpoint has any more.
pub const ALERT_ADDRESS_SWEEP: &str = "alert-address-sweep";

/// The kinds of all jobs that this program runs.
pub const KINDS: [&str; 14] = [
    ALERT_ADDRESS_SWEEP,
    ALERT_CATCH_UP,
    ALERT_DELIVERY,
    ALERT_REDELIVERY,
    ALERT_SILENCE,
    ALERT_WATCH,
    BUDGET_ALERT,
    BUDGET_COUNT,
    CHARGING_CATCH_UP,
    DELEGATION_ENDS,
    RESERVATION_EXPIRY,
    JOB_RETENTION,
    SCHEDULE_RUN,
    SPAN_RETENTION,
];
