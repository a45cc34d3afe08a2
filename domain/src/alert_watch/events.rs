//! The events of the watches of budgets.

use super::kind::WatchKind;
use super::terms::WatchTerms;
use crate::budget::{Amount, Measure, Span};
use crate::codec::events;
use crate::ids::BudgetId;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The payload of `alert_watch.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchSet {
    /// The budget.
    pub budget_id: BudgetId,
    /// What of it is watched from now on.
    #[serde(flatten)]
    pub terms: WatchTerms,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which alert it is: it is raised once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignalKey {
    /// The stream of the period.
    pub balance_id: Uuid,
    /// The version of the budget that set its terms, or raised its limit.
    pub terms_version: u64,
    /// The condition.
    pub kind: WatchKind,
}

/// The payload of `alert_watch.raised`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignalRaised {
    /// The budget.
    pub budget_id: BudgetId,
    /// Which alert it is.
    #[serde(flatten)]
    pub key: SignalKey,
    /// From when to when the period is.
    #[serde(flatten)]
    pub span: Span,
    /// 1, and one more for each time that it is sent again.
    pub number: u32,
    /// What the budget counts.
    pub measure: Measure,
    /// What was observed. Exhausted: what is charged and reserved. Burn rates: what was charged in the longer time. Forecast: what
    /// will be charged. Anomaly: what the hour cost. Unpriced: the number of calls. Assumed: what is assumed. No data: the minutes
    /// since the last charge.
    pub observed: Amount,
    /// What it is compared with, in the same unit: the limit; of burn rates what may be charged in that time; of an anomaly the upper
    /// limit of the band; of no data the minutes that are allowed; otherwise zero.
    pub reference: Amount,
    /// When it was observed.
    pub at: DateTime<Utc>,
}

/// The payload of `alert_watch.acknowledged` and `alert_watch.resolved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignalAnswered {
    /// The budget.
    pub budget_id: BudgetId,
    /// Which alert it is.
    #[serde(flatten)]
    pub key: SignalKey,
    /// Why, or what is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of the watches of the budgets of a tenant.
    pub enum AlertWatchesEvent {
        /// What of a budget is watched was set.
        "alert_watch.set" v 1 => Set(WatchSet),
        /// A condition of a budget holds, or still holds.
        "alert_watch.raised" v 1 => Raised(SignalRaised),
        /// The alert is known, and not sent again.
        "alert_watch.acknowledged" v 1 => Acknowledged(SignalAnswered),
        /// The condition does not hold any more.
        "alert_watch.resolved" v 1 => Resolved(SignalAnswered),
    }
}
