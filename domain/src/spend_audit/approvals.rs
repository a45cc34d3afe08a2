//! What approvals should have raised.

use crate::approval::{ApprovalEvent, ApprovalRequested};
use crate::budget::{Amount, BudgetEvent};
use crate::ids::BudgetId;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What is added to the limit of a budget, and until when.
type Raise = (BudgetId, Amount, DateTime<Utc>);

/// The requests for approval, and what the append that is read does about them.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// Those that wait for an answer.
    pending: BTreeMap<Uuid, ApprovalRequested>,
    /// What the append should raise; none if it grants no approval.
    granted: Option<Vec<Raise>>,
    raised: Vec<Raise>,
    is_wrong: bool,
}

impl Approvals {
    pub(super) fn read(&mut self, approval_id: Uuid, event: &ApprovalEvent) {
        match event {
            ApprovalEvent::Requested(request) => {
                self.is_wrong |= self.pending.insert(approval_id, request.clone()).is_some();
            }
            ApprovalEvent::Granted(answered) => {
                let request = self.pending.remove(&approval_id).filter(|request| answered.at < request.expires_at);
                self.is_wrong |= request.is_none();
                let raise = request.map(|request| (request.budget_id, request.amount, request.period_ends_at));
                self.granted.get_or_insert_default().extend(raise);
            }
            ApprovalEvent::Denied(_) | ApprovalEvent::Expired(_) => {
                self.is_wrong |= self.pending.remove(&approval_id).is_none();
            }
        }
    }

    pub(super) fn budget_changed(&mut self, budget_id: BudgetId, event: &BudgetEvent) {
        match event {
            BudgetEvent::Raised(raised) => self.raised.push((budget_id, raised.amount, raised.until)),
            BudgetEvent::Defined(_)
            | BudgetEvent::Revised(_)
            | BudgetEvent::Closed(_)
            | BudgetEvent::Suspended(_)
            | BudgetEvent::Resumed(_)
            | BudgetEvent::Delegated(_)
            | BudgetEvent::DelegationEnded(_) => {}
        }
    }

    /// Whether the append raised what its approvals say. One without an approval may raise what it likes: an operator does.
    pub(super) fn end_append(&mut self) -> bool {
        let (granted, raised) = (self.granted.take(), std::mem::take(&mut self.raised));
        let is_raised = granted.is_none_or(|granted| granted == raised);
        is_raised && !std::mem::take(&mut self.is_wrong)
    }
}
