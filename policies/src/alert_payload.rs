//! What jobs of deliveries say: which endpoint is told what.

use chrono::{DateTime, Utc};
use domain::alert_watch::WatchKind;
use domain::budget::Measure;
use domain::{AgentId, AlertEndpointId, ApprovalId, BudgetId, Name};
use serde::{Deserialize, Serialize};

/// What the job of a delivery says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertDeliveryJob {
    /// The endpoint.
    pub endpoint_id: AlertEndpointId,
    /// What it is told.
    pub alert: Alert,
}

/// What an endpoint is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Alert {
    /// A threshold of a budget was crossed.
    #[serde(rename = "budget.threshold_crossed")]
    ThresholdCrossed(BudgetAlert),
    /// A condition of a budget holds that is watched beside its thresholds.
    #[serde(rename = "budget.condition_raised")]
    ConditionRaised(ConditionAlert),
    /// A budget refused a call, and an operator is asked to raise its limit.
    #[serde(rename = "budget.approval_requested")]
    ApprovalRequested(ApprovalAlert),
    /// A test that was requested.
    #[serde(rename = "alert_endpoint.test")]
    Test {
        /// When it was requested.
        at: DateTime<Utc>,
    },
}

/// A threshold of a budget that was crossed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetAlert {
    /// When the alert was recorded.
    pub at: DateTime<Utc>,
    /// The budget.
    pub budget_id: BudgetId,
    /// The name of the budget at that time.
    pub budget: String,
    /// The period: a calendar month such as `2026-11`, or its start and end with a slash between.
    pub period: String,
    /// The threshold, in percent of the limit.
    pub threshold_percent: u16,
    /// What was charged, in decimal notation.
    pub used: String,
    /// The limit, in decimal notation.
    pub limit: String,
    /// The unit of both: `USD`, `calls` or the name of a meter.
    pub unit: String,
    /// The version of the budget that set the terms, of a budget that counts by calendar month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_version: Option<u64>,
    /// The position of the alert in the log.
    pub position: u64,
}

/// A request for approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalAlert {
    /// When the request was recorded.
    pub at: DateTime<Utc>,
    /// The request.
    pub approval_id: ApprovalId,
    /// The budget.
    pub budget_id: BudgetId,
    /// The name of the budget at that time.
    pub budget: String,
    /// The agent of the call, if it was stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The model that was to be called, if it was a call to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// What a grant adds to the limit, in decimal notation.
    pub amount: String,
    /// Its unit: `USD`, `calls` or the name of a meter.
    pub unit: String,
    /// When the request is denied if it was not answered.
    pub expires_at: DateTime<Utc>,
    /// The position of the alert in the log.
    pub position: u64,
}

/// A condition of a budget that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionAlert {
    /// When the alert was recorded.
    pub at: DateTime<Utc>,
    /// The budget.
    pub budget_id: BudgetId,
    /// The name of the budget at that time.
    pub budget: String,
    /// The period: its start and end with a slash between.
    pub period: String,
    /// The condition.
    pub condition: WatchKind,
    /// 1, and one more for each time that it was sent again.
    pub number: u32,
    /// What was observed, in decimal notation.
    pub observed: String,
    /// What it is compared with, in decimal notation.
    pub reference: String,
    /// The unit of both: `USD`, `calls`, `minutes` or the name of a meter.
    pub unit: String,
    /// The version of the budget that set its terms, or raised its limit.
    pub terms_version: u64,
    /// The position of the alert in the log.
    pub position: u64,
}

/// The name of the unit in which a budget counts.
pub(crate) fn unit_of(measure: Measure) -> &'static str {
    match measure {
        Measure::Money => "USD",
        Measure::Calls => "calls",
        Measure::Meter(meter) => meter.name(),
    }
}

/// The name of the unit in which a condition of a budget is observed.
pub(crate) fn unit_of_condition(condition: WatchKind, measure: Measure) -> &'static str {
    match condition {
        WatchKind::NoData => "minutes",
        WatchKind::Unpriced => "calls",
        WatchKind::Anomaly => "USD",
        WatchKind::Exhausted
        | WatchKind::BurnRateFast
        | WatchKind::BurnRateSlow
        | WatchKind::Forecast
        | WatchKind::Assumed => unit_of(measure),
    }
}
