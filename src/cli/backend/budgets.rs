//! Reports of budgets as the command line shows them, wherever they are read.

use chrono::{DateTime, Utc};
use domain::BudgetId;
use domain::budget::{Enforcement, Measure};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The running period of a budget. Amounts are in the unit of its measure.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ShownStatus {
    pub(in crate::cli) id: Uuid,
    pub(in crate::cli) name: String,
    pub(in crate::cli) enforcement: String,
    pub(in crate::cli) measure: String,
    pub(in crate::cli) suspended: bool,
    pub(in crate::cli) starts_at: DateTime<Utc>,
    pub(in crate::cli) ends_at: DateTime<Utc>,
    pub(in crate::cli) limit: String,
    pub(in crate::cli) charged: String,
    pub(in crate::cli) assumed: String,
    pub(in crate::cli) reserved: String,
    pub(in crate::cli) left: String,
    pub(in crate::cli) excess: String,
    pub(in crate::cli) would_refuse: i64,
    pub(in crate::cli) counted: bool,
    /// What is charged in an hour; none if it is not known.
    pub(in crate::cli) per_hour: Option<String>,
    /// When nothing will be left.
    pub(in crate::cli) exhausts_at: Option<DateTime<Utc>>,
}

/// Which refusals are counted.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct RefusalSelection {
    pub(in crate::cli) budget_id: Option<BudgetId>,
    pub(in crate::cli) from: Option<DateTime<Utc>>,
    pub(in crate::cli) to: Option<DateTime<Utc>>,
}

/// How many reservations of an agent and a credential were refused in a minute, for one reason.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ShownRefusal {
    pub(in crate::cli) minute: DateTime<Utc>,
    pub(in crate::cli) budget_id: Uuid,
    pub(in crate::cli) reason: String,
    pub(in crate::cli) dimension: Option<String>,
    pub(in crate::cli) agent_id: Option<Uuid>,
    pub(in crate::cli) api_key_id: Option<Uuid>,
    pub(in crate::cli) user_id: Option<Uuid>,
    pub(in crate::cli) refusals: i64,
}

/// An entry of the history of a budget.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ShownEntry {
    pub(in crate::cli) position: String,
    pub(in crate::cli) recorded_at: DateTime<Utc>,
    pub(in crate::cli) kind: String,
    pub(in crate::cli) actor: Option<String>,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) limit: Option<String>,
    pub(in crate::cli) enforcement: Option<String>,
    pub(in crate::cli) amount: Option<String>,
    pub(in crate::cli) until: Option<DateTime<Utc>>,
    pub(in crate::cli) reservation: Option<Uuid>,
    pub(in crate::cli) agent_id: Option<Uuid>,
    pub(in crate::cli) refusal: Option<String>,
    pub(in crate::cli) dimension: Option<String>,
    pub(in crate::cli) left: Option<String>,
    pub(in crate::cli) renews_at: Option<DateTime<Utc>>,
}

/// A request for approval. Its amount is in the unit of the budget's measure.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ShownApproval {
    pub(in crate::cli) id: Uuid,
    pub(in crate::cli) status: String,
    pub(in crate::cli) budget_id: Uuid,
    pub(in crate::cli) reservation: Uuid,
    pub(in crate::cli) agent_id: Option<Uuid>,
    pub(in crate::cli) model: Option<String>,
    pub(in crate::cli) amount: String,
    pub(in crate::cli) requested_at: DateTime<Utc>,
    pub(in crate::cli) expires_at: DateTime<Utc>,
    pub(in crate::cli) period_ends_at: DateTime<Utc>,
    pub(in crate::cli) answered_at: Option<DateTime<Utc>>,
    pub(in crate::cli) reason: Option<String>,
}

/// What a budget would have refused in a month.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub(in crate::cli) struct ShownPreview {
    pub(in crate::cli) from: DateTime<Utc>,
    pub(in crate::cli) to: DateTime<Utc>,
    pub(in crate::cli) calls: i64,
    pub(in crate::cli) refused_calls: i64,
    pub(in crate::cli) refused: String,
    pub(in crate::cli) unpriced_calls: i64,
    pub(in crate::cli) cut_after: Option<DateTime<Utc>>,
    pub(in crate::cli) periods: Vec<ShownPreviewPeriod>,
}

/// What a budget would have refused in a period.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub(in crate::cli) struct ShownPreviewPeriod {
    pub(in crate::cli) starts_at: DateTime<Utc>,
    pub(in crate::cli) ends_at: DateTime<Utc>,
    pub(in crate::cli) limit: String,
    pub(in crate::cli) granted_calls: i64,
    pub(in crate::cli) charged: String,
    pub(in crate::cli) refused_calls: i64,
    pub(in crate::cli) refused: String,
    pub(in crate::cli) unpriced_calls: i64,
    pub(in crate::cli) first_refused_at: Option<DateTime<Utc>>,
}

/// How strictly a budget is enforced, in words.
pub(super) fn enforcement_name(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Hard => "hard",
        Enforcement::Soft => "soft",
        Enforcement::Shadow => "shadow",
    }
}

/// What a budget counts, in words.
pub(super) fn measure_name(measure: Measure) -> String {
    match measure {
        Measure::Money => "money".to_owned(),
        Measure::Calls => "calls".to_owned(),
        Measure::Meter(meter) => meter.name().to_owned(),
    }
}
