//! Requests for approval: a budget refused a reservation, and an operator decides whether its limit is raised by what was asked for.
//!
//! A request is a stream, whose id follows from the reservation, and is opened in the append that refuses. One that is granted raises
//! the limit of the budget, to the end of the period, in the same append; nothing is reserved by it. Deliberately absent: who is told.

use crate::aggregate::Aggregate;
use crate::approval_queue::{ApprovalEntered, ApprovalLeft, ApprovalQueueEvent};
use crate::assignment::BudgetRejection;
use crate::budget::{Amount, BudgetCommand};
use crate::call::DataClass;
use crate::codec::events;
use crate::ids::{AgentId, ApprovalId, BudgetId, ReservationId};
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The payload of `approval.requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequested {
    /// The reservation that was refused.
    pub reservation_id: ReservationId,
    /// The budget that refused it.
    pub budget_id: BudgetId,
    /// What the call may use at most, in the unit of the budget: what a grant adds to the limit.
    pub amount: Amount,
    /// The end of the period, to which a grant raises the limit.
    pub period_ends_at: DateTime<Utc>,
    /// The agent of the call; absent if it was not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The model that was to be called; absent of a call to a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// When the request is denied if it was not answered.
    pub expires_at: DateTime<Utc>,
    /// When the reservation was refused.
    pub at: DateTime<Utc>,
}

impl ApprovalRequested {
    /// The event by which the request waits in the queue of its budget.
    #[must_use]
    pub fn entered(&self) -> ApprovalQueueEvent {
        let approval_id = ApprovalId::of(self.reservation_id);
        ApprovalQueueEvent::Entered(ApprovalEntered { approval_id, expires_at: self.expires_at, at: self.at })
    }

    /// The event by which it leaves the queue, once it is answered.
    #[must_use]
    pub fn left(&self) -> ApprovalQueueEvent {
        ApprovalQueueEvent::Left(ApprovalLeft { approval_id: ApprovalId::of(self.reservation_id) })
    }

    /// The command that raises the limit of the budget by what was asked for. `now` is the time of the server.
    #[must_use]
    pub fn raise(&self, reason: Body, now: DateTime<Utc>) -> BudgetCommand {
        BudgetCommand::Raise { amount: self.amount, until: self.period_ends_at, reason, at: now }
    }
}

/// The payload of `approval.granted` and `approval.denied`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalAnswered {
    /// Why.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When it was answered, by the clock of the server.
    pub at: DateTime<Utc>,
}

/// The payload of `approval.expired`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalExpired {
    /// When it expired.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a request for approval.
    pub enum ApprovalEvent {
        /// A budget refused a reservation, and asks an operator.
        "approval.requested" v 1 => Requested(ApprovalRequested),
        /// The limit is raised by what was asked for.
        "approval.granted" v 1 => Granted(ApprovalAnswered),
        /// The limit stays as it is.
        "approval.denied" v 1 => Denied(ApprovalAnswered),
        /// It was not answered in time: it counts as denied.
        "approval.expired" v 1 => Expired(ApprovalExpired),
    }
}

/// An answer of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalAnswer {
    /// Raises the limit.
    Approve,
    /// Leaves the limit as it is.
    Deny,
}

/// A command to a request for approval. Reservations open it.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalCommand {
    /// Answers it.
    Answer(ApprovalAnswer, ApprovalAnswered),
    /// Denies it if its deadline has passed.
    Expire {
        /// The time that decides.
        at: DateTime<Utc>,
    },
}

/// The status of a request for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// It waits for an answer.
    Pending,
    /// The limit was raised.
    Granted,
    /// It was denied.
    Denied,
    /// It was not answered in time.
    Expired,
}

impl fmt::Display for ApprovalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Expired => "expired",
        })
    }
}

/// Why a command to a request for approval is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApprovalError {
    /// There is no such request.
    #[error("there is no such request for approval")]
    NotFound,
    /// It was answered otherwise, or not in time.
    #[error("the request for approval is {0}: reserve again to ask anew")]
    NotPending(ApprovalStatus),
}

/// Why an answer to a request for approval is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApprovalRejection {
    /// The request does not take it.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// The limit of the budget cannot be raised.
    #[error(transparent)]
    Budget(#[from] BudgetRejection),
}

/// The state of a request for approval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// What is asked for; none before the first event.
    pub request: Option<ApprovalRequested>,
    /// Whether it was answered, by events; none before the first one.
    pub status: Option<ApprovalStatus>,
    /// What was answered.
    pub answer: Option<ApprovalAnswered>,
}

impl Approval {
    /// The status at a time: one whose deadline has passed takes no answer, also before its timer has run.
    #[must_use]
    pub fn status_at(&self, at: DateTime<Utc>) -> Option<ApprovalStatus> {
        let is_late = self.request.as_ref().is_some_and(|request| at >= request.expires_at);
        self.status.map(|status| match status {
            ApprovalStatus::Pending if is_late => ApprovalStatus::Expired,
            ApprovalStatus::Pending | ApprovalStatus::Granted | ApprovalStatus::Denied | ApprovalStatus::Expired => {
                status
            }
        })
    }

    fn answer(&self, answer: ApprovalAnswer, answered: ApprovalAnswered) -> Result<Vec<ApprovalEvent>, ApprovalError> {
        match (self.status_at(answered.at).ok_or(ApprovalError::NotFound)?, answer) {
            (ApprovalStatus::Pending, ApprovalAnswer::Approve) => Ok(vec![ApprovalEvent::Granted(answered)]),
            (ApprovalStatus::Pending, ApprovalAnswer::Deny) => Ok(vec![ApprovalEvent::Denied(answered)]),
            (ApprovalStatus::Granted, ApprovalAnswer::Approve) | (ApprovalStatus::Denied, ApprovalAnswer::Deny) => {
                Ok(Vec::new())
            }
            (status @ (ApprovalStatus::Granted | ApprovalStatus::Denied | ApprovalStatus::Expired), _) => {
                Err(ApprovalError::NotPending(status))
            }
        }
    }
}

impl Aggregate for Approval {
    const CATEGORY: &'static str = "approval";
    type Command = ApprovalCommand;
    type Event = ApprovalEvent;
    type Error = ApprovalError;

    fn decide(&self, command: ApprovalCommand) -> Result<Vec<ApprovalEvent>, ApprovalError> {
        match command {
            ApprovalCommand::Answer(answer, answered) => self.answer(answer, answered),
            ApprovalCommand::Expire { at } => {
                let is_due =
                    self.status == Some(ApprovalStatus::Pending) && self.status_at(at) == Some(ApprovalStatus::Expired);
                let expired = ApprovalEvent::Expired(ApprovalExpired { at });
                Ok(is_due.then_some(expired).into_iter().collect())
            }
        }
    }

    fn evolve(mut self, event: &ApprovalEvent) -> Self {
        self.status = Some(match event {
            ApprovalEvent::Requested(request) => {
                self.request = Some(request.clone());
                ApprovalStatus::Pending
            }
            ApprovalEvent::Granted(answered) => {
                self.answer = Some(answered.clone());
                ApprovalStatus::Granted
            }
            ApprovalEvent::Denied(answered) => {
                self.answer = Some(answered.clone());
                ApprovalStatus::Denied
            }
            ApprovalEvent::Expired(_) => ApprovalStatus::Expired,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, body, name, uuid};

    fn requested() -> Approval {
        Approval::default().evolve(&ApprovalEvent::Requested(ApprovalRequested {
            reservation_id: ReservationId(uuid(1)),
            budget_id: BudgetId(uuid(2)),
            amount: Amount::units(4),
            period_ends_at: at(3600),
            agent_id: None,
            model: Some(name("m")),
            expires_at: at(60),
            at: at(0),
        }))
    }

    fn answer(approval: &Approval, answer: ApprovalAnswer, second: i64) -> Result<Vec<ApprovalEvent>, ApprovalError> {
        approval.decide(ApprovalCommand::Answer(answer, ApprovalAnswered { reason: body("why"), at: at(second) }))
    }

    #[test]
    fn a_request_is_answered_once_and_before_its_deadline() {
        let pending = requested();
        assert_eq!(answer(&Approval::default(), ApprovalAnswer::Deny, 1), Err(ApprovalError::NotFound));
        let granted = answer(&pending, ApprovalAnswer::Approve, 59).unwrap();
        assert!(matches!(granted[..], [ApprovalEvent::Granted(_)]));
        let granted = pending.clone().evolve(&granted[0]);
        assert_eq!(answer(&granted, ApprovalAnswer::Approve, 70), Ok(vec![]));
        let denied_late = answer(&granted, ApprovalAnswer::Deny, 59);
        assert_eq!(denied_late, Err(ApprovalError::NotPending(ApprovalStatus::Granted)));
        // The deadline decides, not its timer.
        let late = answer(&pending, ApprovalAnswer::Approve, 60);
        assert_eq!(late, Err(ApprovalError::NotPending(ApprovalStatus::Expired)));
    }

    #[test]
    fn what_is_not_answered_expires_once_its_deadline_has_passed() {
        let expire = |approval: &Approval, second| approval.decide(ApprovalCommand::Expire { at: at(second) }).unwrap();
        let pending = requested();
        assert_eq!(expire(&pending, 59), []);
        let expired = expire(&pending, 60);
        assert!(matches!(expired[..], [ApprovalEvent::Expired(_)]));
        assert_eq!(expire(&pending.clone().evolve(&expired[0]), 61), []);
        let denied = pending.clone().evolve(&answer(&pending, ApprovalAnswer::Deny, 5).unwrap()[0]);
        assert_eq!((expire(&denied, 99), expire(&Approval::default(), 99)), (vec![], vec![]));
    }
}
