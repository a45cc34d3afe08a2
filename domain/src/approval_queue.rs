//! The requests for approval of a budget that wait for an answer: so many at most, however often the budget refuses.
//!
//! There is one stream per budget. A request whose deadline has passed waits no longer, without an event.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{ApprovalId, BudgetId, derived_id};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use thiserror::Error;
use uuid::Uuid;

/// The most requests of a budget that wait for an answer. Refusals beyond them ask nothing.
pub const MAX_PENDING_APPROVALS: usize = 20;

/// The payload of `approval_queue.entered`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalEntered {
    /// The request.
    pub approval_id: ApprovalId,
    /// When it waits no longer.
    pub expires_at: DateTime<Utc>,
    /// When it was opened.
    pub at: DateTime<Utc>,
}

/// The payload of `approval_queue.left`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalLeft {
    /// The request, which was answered.
    pub approval_id: ApprovalId,
}

events! {
    /// An event of the requests for approval of a budget.
    pub enum ApprovalQueueEvent {
        /// A request waits for an answer.
        "approval_queue.entered" v 1 => Entered(ApprovalEntered),
        /// A request was answered.
        "approval_queue.left" v 1 => Left(ApprovalLeft),
    }
}

/// The queue has no commands of its own: it changes with requests.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the requests for approval of a budget take no commands together")]
pub struct ApprovalQueueError;

/// The requests for approval of a budget that wait for an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApprovalQueue {
    /// When each waits no longer. Those that did not when the last one entered are left out.
    waiting: BTreeMap<ApprovalId, DateTime<Utc>>,
}

impl ApprovalQueue {
    /// The id of the stream of a budget.
    #[must_use]
    pub fn id(budget_id: BudgetId) -> Uuid {
        derived_id(&["approval_queue", &budget_id.to_string()])
    }

    /// Whether as many requests wait at a time as may.
    #[must_use]
    pub fn is_full(&self, at: DateTime<Utc>) -> bool {
        self.waiting.values().filter(|expires_at| **expires_at > at).count() >= MAX_PENDING_APPROVALS
    }
}

impl Aggregate for ApprovalQueue {
    const CATEGORY: &'static str = "approval_queue";
    type Command = Infallible;
    type Event = ApprovalQueueEvent;
    type Error = ApprovalQueueError;

    fn decide(&self, command: Infallible) -> Result<Vec<ApprovalQueueEvent>, ApprovalQueueError> {
        match command {}
    }

    fn evolve(mut self, event: &ApprovalQueueEvent) -> Self {
        match event {
            ApprovalQueueEvent::Entered(entered) => {
                self.waiting.retain(|_, expires_at| *expires_at > entered.at);
                self.waiting.insert(entered.approval_id, entered.expires_at);
            }
            ApprovalQueueEvent::Left(left) => _ = self.waiting.remove(&left.approval_id),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, uuid};

    fn entered(number: u128, expires_at: i64) -> ApprovalQueueEvent {
        let approval_id = ApprovalId(uuid(number));
        ApprovalQueueEvent::Entered(ApprovalEntered { approval_id, expires_at: at(expires_at), at: at(0) })
    }

    #[test]
    fn a_queue_is_full_until_a_request_is_answered_or_its_deadline_passes() {
        let most = u128::try_from(MAX_PENDING_APPROVALS).unwrap();
        let queue = (1..most).fold(ApprovalQueue::default(), |queue, number| queue.evolve(&entered(number, 100)));
        assert!(!queue.is_full(at(1)));
        let full = queue.evolve(&entered(most, 50));
        assert!(full.is_full(at(49)) && !full.is_full(at(50)));
        let left = ApprovalQueueEvent::Left(ApprovalLeft { approval_id: ApprovalId(uuid(1)) });
        assert!(!full.clone().evolve(&left).is_full(at(1)));
        // What waits no longer is forgotten.
        let late = ApprovalEntered { approval_id: ApprovalId(uuid(99)), expires_at: at(300), at: at(200) };
        assert_eq!(full.evolve(&ApprovalQueueEvent::Entered(late)).waiting.len(), 1);
    }
}
