//! The events of a reservation.

use crate::budget::{Amount, Attributes, BudgetDimension};
use crate::budget_balance::PeriodRef;
use crate::call::DataClass;
use crate::codec::events;
use crate::ids::{AgentId, ApprovalId, BudgetId, CallId};
use crate::money::Money;
use crate::text::Name;
use crate::usage::Usage;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is reserved in a period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationLine {
    /// The budget.
    pub budget_id: BudgetId,
    /// The id of the stream of the period.
    pub balance_id: Uuid,
    /// How much, in the unit of the budget.
    pub amount: Amount,
}

impl ReservationLine {
    pub(crate) const fn period(&self) -> PeriodRef {
        PeriodRef::Existing { budget_id: self.budget_id, balance_id: self.balance_id }
    }
}

/// Who ends a reservation: what it sets aside is not free before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// Who may send commands for the agent of the call.
    #[default]
    Client,
    /// The gateway that passes the call on.
    Gateway,
}

impl Holder {
    fn is_client(&self) -> bool {
        *self == Self::Client
    }
}

/// The payload of `reservation.granted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationGranted {
    /// What the credential says of the call, by dimension.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub fixed: Attributes,
    /// What the client says of the call, by dimension.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub declared: Attributes,
    /// The service tier, such as `batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Name>,
    /// The speed, such as `fast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Name>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// What the call may use at most.
    pub usage: Usage,
    /// What the call may cost at most, in US dollars; absent if its model has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The version of the price book by which the cost was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book_version: Option<u64>,
    /// Whether less output was granted than asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partly: bool,
    /// What is reserved, in every budget that applies.
    pub lines: Vec<ReservationLine>,
    /// When the reservation expires.
    pub expires_at: DateTime<Utc>,
    /// Whether the call was sent, or is about to be: an expired reservation is charged then.
    pub sent: bool,
    /// Who settles or releases it; a client if absent.
    #[serde(default, skip_serializing_if = "Holder::is_client")]
    pub holder: Holder,
    /// When it was granted.
    pub at: DateTime<Utc>,
}

/// Why a reservation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It does not fit into what is left of a budget.
    Exceeded,
    /// What was charged before a budget was defined is not counted yet.
    Counting,
    /// The model has no price, and a budget limits money.
    Unpriced,
    /// A budget selects calls by a value that neither the credential nor the client states, and that the call may have.
    Undeclared {
        /// The dimension that has no value.
        dimension: BudgetDimension,
    },
}

impl RefusalReason {
    /// The reason as it is written in JSON, without the dimension.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Counting => "counting",
            Self::Unpriced => "unpriced",
            Self::Undeclared { .. } => "undeclared",
        }
    }
}

/// What follows a refusal, by the policy of the budget that refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// A call of a cheaper model would fit. Nothing is reserved for it.
    Degrade {
        /// The model, of the same provider.
        model: Name,
        /// What it may use at most, in the unit of the budget; 0 if the budget does not count it.
        amount: Amount,
    },
    /// An operator is asked to raise the limit.
    Approval {
        /// The request.
        approval_id: ApprovalId,
        /// When it is denied if it was not answered.
        expires_at: DateTime<Utc>,
    },
    /// The agent of the call is paused.
    PauseAgent {
        /// The agent.
        agent_id: AgentId,
    },
}

/// Which budget refuses a reservation, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The budget that refuses. Of several, it is the one that renews last.
    pub budget_id: BudgetId,
    /// What is left of the budget in its period, in its unit; absent unless the reason is that it is exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Amount>,
    /// When the next period of the budget begins; absent if no period matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews_at: Option<DateTime<Utc>>,
    /// What follows; absent if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<FollowUp>,
}

/// The payload of `reservation.refused`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationRefused {
    /// What the credential says of the call, by dimension.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub fixed: Attributes,
    /// What the client says of the call, by dimension.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub declared: Attributes,
    /// Which budget refuses it, and why.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// When it was refused.
    pub at: DateTime<Utc>,
}

/// The payload of `reservation.extended`: the reservation as it is from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationExtended {
    /// What the call may use at most.
    pub usage: Usage,
    /// What the call may cost at most, in US dollars; absent if its model has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The version of the price book by which the cost was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book_version: Option<u64>,
    /// What is reserved. The periods are those of the grant.
    pub lines: Vec<ReservationLine>,
    /// When the reservation expires.
    pub expires_at: DateTime<Utc>,
    /// Whether the call was sent.
    pub sent: bool,
    /// When it was extended.
    pub at: DateTime<Utc>,
}

/// The payload of `reservation.released`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationReleased {
    /// When it was released.
    pub at: DateTime<Utc>,
}

/// The payload of `reservation.expired`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationExpired {
    /// Whether it is charged in full until a call settles it, because its call was sent. Otherwise it is released.
    pub assumed: bool,
    /// When it expired.
    pub at: DateTime<Utc>,
}

/// The payload of `reservation.settled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationSettled {
    /// The call.
    pub call_id: CallId,
    /// When it was settled.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a reservation.
    pub enum ReservationEvent {
        /// What a call may cost is set aside in all budgets that apply.
        "reservation.granted" v 1 => Granted(ReservationGranted),
        /// A budget refused.
        "reservation.refused" v 1 => Refused(ReservationRefused),
        /// More is set aside, for longer, or the call was sent.
        "reservation.extended" v 1 => Extended(ReservationExtended),
        /// It is not set aside any more, because the client does not need it.
        "reservation.released" v 1 => Released(ReservationReleased),
        /// It was neither settled nor released in time.
        "reservation.expired" v 1 => Expired(ReservationExpired),
        /// A call was charged instead of it.
        "reservation.settled" v 1 => Settled(ReservationSettled),
    }
}
