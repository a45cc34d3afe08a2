//! The object types.

use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Decimal, Timestamp, Uid};
use crate::graphql::usage::Usage;
use async_graphql::{Enum, ID, SimpleObject};
use domain::reservation as model;
use uuid::Uuid;

/// Status of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ReservationStatus")]
pub(crate) enum ReservationStatus {
    /// A budget refused it: `refusal` has the reason.
    Refused,
    /// It is set aside.
    Held,
    /// A command released it.
    Released,
    /// It expired, and its call was not sent: nothing is set aside any more.
    Lapsed,
    /// It expired, and its call was sent: it is charged in full until a call settles it.
    Assumed,
    /// A call settled it.
    Settled,
}

/// Reason for which a reservation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RefusalReason {
    /// It does not fit into what is left of a budget.
    Exceeded,
    /// What was charged before the budget was defined is not counted yet. Try again in a moment.
    Counting,
    /// The model has no price, and the budget limits money.
    Unpriced,
    /// The budget selects calls by a value that neither the credential nor the request states: `dimension` names it.
    Undeclared,
}

impl RefusalReason {
    /// All reasons.
    pub(crate) const ALL: [Self; 4] = [Self::Exceeded, Self::Counting, Self::Unpriced, Self::Undeclared];

    /// The reason as events and read models have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Counting => "counting",
            Self::Unpriced => "unpriced",
            Self::Undeclared => "undeclared",
        }
    }
}

/// Call of a cheaper model that would fit.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct DegradedCall {
    /// Model, of the same provider. Nothing is reserved for it: reserve again.
    model: String,
    /// What the call may use at most, in the unit of the budget that refuses; 0 if that does not count the model. With
    /// `minOutputTokens`, it may be less than all of the output.
    amount: Decimal,
}

/// Request for approval that a refusal opened.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RequestedApproval {
    /// UUID of the request: see `approval`.
    uuid: Uid,
    /// When it is denied if it was not answered.
    expires_at: Timestamp,
}

/// Which budget refuses a reservation, and why.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ReservationRefusal {
    /// Reason.
    reason: RefusalReason,
    /// Global id of the budget that refuses. Of several, it is the one that renews last.
    budget_id: ID,
    /// Dimension whose value has to be stated. Null unless `reason` is `UNDECLARED`.
    dimension: Option<String>,
    /// What is left of the budget, in its unit. Null unless `reason` is `EXCEEDED`.
    left: Option<Decimal>,
    /// When the next period of the budget begins.
    renews_at: Option<Timestamp>,
    /// Call of a cheaper model that would fit. Null if the budget does not name one, or none fits.
    degrade: Option<DegradedCall>,
    /// Request to raise the limit by what the call may use. Once it is granted, reserve again under another id. Null if the budget does
    /// not ask.
    approval: Option<RequestedApproval>,
    /// Global id of the agent of the call, which is paused. Null if the budget pauses none.
    paused_agent_id: Option<ID>,
}

impl From<&model::Refusal> for ReservationRefusal {
    fn from(refusal: &model::Refusal) -> Self {
        let (reason, dimension) = match &refusal.reason {
            model::RefusalReason::Exceeded => (RefusalReason::Exceeded, None),
            model::RefusalReason::Counting => (RefusalReason::Counting, None),
            model::RefusalReason::Unpriced => (RefusalReason::Unpriced, None),
            model::RefusalReason::Undeclared { dimension } => (RefusalReason::Undeclared, Some(dimension.to_string())),
        };
        let (mut degrade, mut approval, mut paused_agent_id) = (None, None, None);
        match &refusal.follow_up {
            Some(model::FollowUp::Degrade { model, amount }) => {
                degrade = Some(DegradedCall { model: model.to_string(), amount: (*amount).into() });
            }
            Some(model::FollowUp::Approval { approval_id, expires_at }) => {
                approval = Some(RequestedApproval { uuid: approval_id.0.into(), expires_at: (*expires_at).into() });
            }
            Some(model::FollowUp::PauseAgent { agent_id }) => paused_agent_id = Some(Kind::Agent.id(agent_id)),
            None => {}
        }
        Self {
            reason,
            budget_id: Kind::Budget.id(refusal.budget_id),
            dimension,
            left: refusal.left.map(Into::into),
            renews_at: refusal.renews_at.map(Into::into),
            degrade,
            approval,
            paused_agent_id,
        }
    }
}

/// What is set aside in a budget.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ReservationLine {
    /// Global id of the budget.
    budget_id: ID,
    /// How much, in the unit of the budget.
    amount: Decimal,
}

/// A reservation: what a call may cost at most is set aside in every budget that applies to it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Reservation {
    /// UUID of the reservation. Pass it to `reportCall` as `reservation`.
    uuid: Uid,
    /// Status.
    status: ReservationStatus,
    /// Whether less output was granted than asked for: limit the call to `usage.output`.
    partly: bool,
    /// What the call may use at most. Null if the reservation was refused.
    usage: Option<Usage>,
    /// What the call may cost at most, in US dollars. Null if the reservation was refused, or the model has no price.
    cost: Option<Decimal>,
    /// What is set aside, or was.
    lines: Vec<ReservationLine>,
    /// When the reservation expires. Null if it was refused.
    expires_at: Option<Timestamp>,
    /// Whether the call was sent, so that an expired reservation is charged.
    sent: bool,
    /// Why the reservation was refused. Null if it was not.
    refusal: Option<ReservationRefusal>,
    /// Global id of the call that settled the reservation.
    call_id: Option<ID>,
}

impl Reservation {
    /// A reservation; none if there is none.
    pub(super) fn of(id: Uuid, state: &model::Reservation) -> Option<Self> {
        let granted = state.granted.as_ref();
        let line = |line: &model::ReservationLine| ReservationLine {
            budget_id: Kind::Budget.id(line.budget_id),
            amount: line.amount.into(),
        };
        Some(Self {
            uuid: id.into(),
            status: state.status?.into(),
            partly: granted.is_some_and(|granted| granted.partly),
            usage: granted.map(|granted| granted.usage.into()),
            cost: granted.and_then(|granted| granted.cost).map(Into::into),
            lines: state.lines().map(line).collect(),
            expires_at: granted.map(|granted| granted.expires_at.into()),
            sent: granted.is_some_and(|granted| granted.sent),
            refusal: state.refused.as_ref().map(|refused| (&refused.refusal).into()),
            call_id: state.call_id.map(|call| Kind::Call.id(call)),
        })
    }
}
