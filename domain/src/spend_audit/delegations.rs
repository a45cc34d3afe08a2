//! What is delegated: who holds it, and whether others take it.

use super::recorded::Recorded;
use crate::budget::{Amount, BudgetEvent, Delegation};
use crate::budget_balance::Sums;
use crate::budget_catalogue::BudgetCatalogue;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The delegations by the ids of their streams.
#[derive(Debug, Default)]
pub(super) struct Delegations {
    all: BTreeMap<Uuid, Delegation>,
    /// Those that an event ended.
    ended: BTreeSet<Uuid>,
    /// Those from which the append that is read takes what they do not use.
    closed: Vec<Uuid>,
}

impl Delegations {
    pub(super) fn budget_changed(&mut self, event: &BudgetEvent) {
        match event {
            BudgetEvent::Delegated(delegated) => {
                self.all.insert(Delegation::stream(delegated.delegation.delegation_id), delegated.delegation);
            }
            BudgetEvent::DelegationEnded(ended) => _ = self.ended.insert(Delegation::stream(ended.delegation_id)),
            BudgetEvent::Defined(_)
            | BudgetEvent::Revised(_)
            | BudgetEvent::Closed(_)
            | BudgetEvent::Suspended(_)
            | BudgetEvent::Resumed(_)
            | BudgetEvent::Raised(_) => {}
        }
    }

    /// The sums of a stream changed.
    pub(super) fn changed(&mut self, id: Uuid, before: Option<&Sums>, after: &Sums) {
        let was_kept = before.is_some_and(|before| before.allotted.is_some());
        if self.all.contains_key(&id) && was_kept && after.allotted.is_none() {
            self.closed.push(id);
        }
    }

    /// What is kept for a delegation, with what it holds; none of a stream that is none, or of one whose rest was taken back.
    fn kept(&self, id: Uuid, sums: &Sums) -> Option<Amount> {
        self.all.get(&id).filter(|_| sums.allotted.is_some()).map(|delegation| delegation.amount)
    }

    /// Whether a delegation holds more than is delegated.
    pub(super) fn is_exceeded(&self, id: Uuid, sums: &Sums) -> bool {
        self.kept(id, sums).is_some_and(|amount| sums.used() > amount)
    }

    /// What is held of a limit after a grant in a stream, with what is kept for the delegations beside it.
    pub(super) fn held(&self, granted: Uuid, recorded: &Recorded, root: Uuid) -> Amount {
        let held = recorded.streams(root).map(|(id, sums)| {
            let kept = self.kept(id, sums).filter(|_| id != granted);
            kept.map_or(sums.used(), |amount| amount.max(sums.used()))
        });
        held.sum()
    }

    /// Whether the append took what delegations do not use only from those that are over: ended by an event, or by their time, or
    /// forgotten by the catalogue, which lists all that run. `at` is when the append granted something.
    pub(super) fn end_append(&mut self, catalogue: &BudgetCatalogue, at: Option<DateTime<Utc>>) -> bool {
        let is_listed = |delegation: &Delegation| {
            catalogue.entries().any(|(_, entry)| entry.delegations.iter().any(|known| known == delegation))
        };
        let is_over = |id: &Uuid| {
            self.ended.contains(id)
                || self.all.get(id).is_none_or(|of| at.is_some_and(|at| !of.is_running(at)) || !is_listed(of))
        };
        let is_right = self.closed.iter().all(is_over);
        self.closed.clear();
        is_right
    }
}
