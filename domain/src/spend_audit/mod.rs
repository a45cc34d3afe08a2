//! Checks the events of a log against the invariants of budgets, one append after the other.
//!
//! At every position where a hard budget grants a reservation, what is charged and reserved after it is at most the limit that is in
//! force then, in all parts of the period together. What is reserved is the sum over the reservations that are held; what is charged is the sum over the events of calls
//! that settled a reservation or that the charging has reached, each once. The sums are computed here anew, from reservations and
//! calls, and not from those that the events of periods carry. An approval raises the limit by what was asked for, once.

mod alerts;
mod approvals;
mod delegations;
mod expected;
mod recorded;

use self::alerts::Alerts;
use self::approvals::Approvals;
use self::delegations::Delegations;
use self::expected::Expected;
use self::recorded::Recorded;
use crate::Event;
use crate::aggregate::Aggregate as _;
use crate::budget::Amount;
use crate::budget_balance::{Alerted, BudgetBalanceEvent, Sums, limit_in_force};
use crate::budget_catalogue::{BudgetCatalogue, BudgetCatalogueEvent};
use crate::ids::BudgetId;
use crate::reservation::ReservationEvent;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// An event as the audit reads it.
#[derive(Debug, Clone)]
pub struct AuditedEvent {
    /// Its position.
    pub position: u64,
    /// The id of its stream.
    pub stream_id: Uuid,
    /// The command whose append it is a part of.
    pub command_id: Uuid,
    /// The event.
    pub event: Event,
}

/// One of the sums of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditedSum {
    /// What calls are charged.
    Charged,
    /// What expired reservations are charged.
    Assumed,
    /// What is reserved.
    Reserved,
    /// The number of settled calls without a price.
    Unpriced,
}

/// A violation of an invariant.
#[derive(Debug, Clone, PartialEq)]
pub enum Violation {
    /// A hard budget granted a reservation that exceeds its limit.
    Overspent {
        /// The position of the event of the period.
        position: u64,
        /// The budget.
        budget_id: BudgetId,
        /// What is charged and reserved after it, as computed here.
        used: Amount,
        /// The limit in force.
        limit: Amount,
    },
    /// A reservation whose call was sent expired, and is not charged.
    Freed {
        /// The position of the event of the reservation.
        position: u64,
    },
    /// The sums after an event are not those before it with what it adds.
    WrongStep {
        /// The position of the event.
        position: u64,
    },
    /// An approval was granted that did not wait for an answer, or its append does not raise the limit by what was asked for, once.
    WrongApproval {
        /// The position of the last event of the append.
        position: u64,
    },
    /// A threshold is reached and was not crossed.
    MissedAlert {
        /// The position of the last event of the append.
        position: u64,
        /// The period.
        balance_id: Uuid,
    },
    /// What the stream of a period says that its other parts and its delegations hold of the limit is not what they do.
    WrongParts {
        /// The position of the last event of the append.
        position: u64,
        /// The period.
        balance_id: Uuid,
    },
    /// A delegation was granted more than is delegated.
    BeyondDelegation {
        /// The position of the event of the delegation.
        position: u64,
    },
    /// What is delegated and not used was granted to others, or taken back before the delegation was over.
    TookDelegated {
        /// The position of the event of the period, or the last one of the append.
        position: u64,
    },
    /// A sum is not what calls and reservations add up to.
    WrongSum {
        /// The position of the last event of the append.
        position: u64,
        /// The period.
        balance_id: Uuid,
        /// Which sum.
        sum: AuditedSum,
        /// What it should be.
        expected: Amount,
        /// What it is.
        found: Amount,
    },
}

/// Checks the events of one tenant.
#[derive(Debug, Default)]
pub struct SpendAudit {
    catalogue: BudgetCatalogue,
    budgets: BTreeMap<Uuid, BudgetId>,
    recorded: Recorded,
    expected: Expected,
    alerts: Alerts,
    approvals: Approvals,
    delegations: Delegations,
    /// The append that is read.
    append: Option<Append>,
    /// The position of the last event of the appends before it.
    last: u64,
    grants: u64,
    violations: Vec<Violation>,
}

#[derive(Debug)]
struct Append {
    command_id: Uuid,
    last: u64,
    /// When its reservation was granted or extended.
    granted_at: Option<DateTime<Utc>>,
    touched: BTreeSet<Uuid>,
    /// The periods in which a reservation was granted, with the positions of their events.
    grants: BTreeMap<Uuid, u64>,
}

impl SpendAudit {
    /// Reads the next event, in order of position.
    pub fn read(&mut self, audited: &AuditedEvent) {
        if self.append.as_ref().is_some_and(|append| append.command_id != audited.command_id) {
            self.end_append();
        }
        let append = self.append.get_or_insert_with(|| Append {
            command_id: audited.command_id,
            last: audited.position,
            granted_at: None,
            touched: BTreeSet::new(),
            grants: BTreeMap::new(),
        });
        append.last = audited.position;
        match &audited.event {
            Event::BudgetCatalogue(event) => self.catalogue_changed(event, audited.position),
            Event::Reservation(event) => {
                append.granted_at = granted_at(event).or(append.granted_at);
                if self.expected.is_freed(audited.stream_id.into(), event) {
                    self.violations.push(Violation::Freed { position: audited.position });
                }
                self.expected.reservation_changed(audited.stream_id.into(), event);
            }
            Event::Approval(event) => self.approvals.read(audited.stream_id, event),
            Event::Budget(event) => {
                self.approvals.budget_changed(audited.stream_id.into(), event);
                self.delegations.budget_changed(event);
            }
            Event::Call(event) => self.expected.call_changed(audited.stream_id, audited.position, event),
            Event::Charging(event) => self.expected.advance(event),
            Event::BudgetBalance(event) => {
                append.touched.insert(audited.stream_id);
                if let BudgetBalanceEvent::Reserved(_) = event {
                    append.grants.insert(audited.stream_id, audited.position);
                }
                self.balance_changed(audited, event);
            }
            // They change no budget by themselves.
            Event::Agent(_)
            | Event::Task(_)
            | Event::Trace(_)
            | Event::PriceBook(_)
            | Event::Memory(_)
            | Event::BudgetPeriod(_)
            | Event::ApprovalQueue(_)
            | Event::TagKeys(_)
            | Event::AllocationRules(_)
            | Event::Invoice(_)
            | Event::Schedule(_)
            | Event::AlertEndpoints(_)
            | Event::Alert(_)
            | Event::AlertWatches(_)
            | Event::Tenant(_)
            | Event::ServiceAccount(_)
            | Event::RoleAssignment(_)
            | Event::ApiKey(_)
            | Event::AccessLog(_)
            | Event::RateLimits(_)
            | Event::Team(_)
            | Event::CustomRole(_)
            | Event::User(_)
            | Event::Invitation(_) => {}
        }
    }

    /// The number of reservations that were granted by hard budgets, each counted for each of its budgets.
    #[must_use]
    pub fn grants(&self) -> u64 {
        self.grants
    }

    /// What was found, after the last event.
    #[must_use]
    pub fn finish(mut self) -> (u64, Vec<Violation>) {
        self.end_append();
        // Also the periods that the last appends did not change: a charge that is lost changes none.
        for balance_id in self.expected.periods() {
            let mut known = self.violations.iter();
            if !known.any(|known| matches!(known, Violation::WrongSum { balance_id: id, .. } if *id == balance_id)) {
                self.compare(balance_id, self.last);
            }
        }
        (self.grants, self.violations)
    }

    /// Compares the sums of a period with what they should be.
    fn compare(&mut self, balance_id: Uuid, position: u64) {
        let sums = self.recorded.get(balance_id);
        let amount = |of: fn(&Sums) -> Amount| sums.map_or(Amount::ZERO, of);
        let found_unpriced = number(sums.map_or(0, |sums| sums.unpriced));
        let expected = self.expected.of(balance_id);
        let compared = [
            (AuditedSum::Charged, expected.charged, amount(|sums| sums.charged)),
            (AuditedSum::Assumed, expected.assumed, amount(|sums| sums.assumed)),
            (AuditedSum::Reserved, expected.reserved, amount(|sums| sums.reserved)),
            (AuditedSum::Unpriced, number(expected.unpriced), found_unpriced),
        ];
        for (sum, expected, found) in compared {
            if expected != found {
                self.violations.push(Violation::WrongSum { position, balance_id, sum, expected, found });
            }
        }
    }

    fn catalogue_changed(&mut self, event: &BudgetCatalogueEvent, position: u64) {
        self.catalogue = std::mem::take(&mut self.catalogue).evolve(event);
        if let BudgetCatalogueEvent::Set(set) = event
            && let Some(entry) = self.catalogue.entry(set.budget_id)
        {
            self.expected.budget_set(set.budget_id, entry, position);
            self.alerts.budget_set(set.budget_id);
        }
    }

    fn balance_changed(&mut self, audited: &AuditedEvent, event: &BudgetBalanceEvent) {
        let (id, after) = (audited.stream_id, *event.after());
        let before = self.recorded.insert(id, after);
        self.delegations.changed(id, before.as_ref(), &after);
        let is_right = match (event, event.moved(), before) {
            (BudgetBalanceEvent::Opened(opened), _, None) => {
                self.budgets.insert(id, opened.budget_id);
                after.used().is_zero()
            }
            (_, Some(moved), Some(before)) => {
                if let BudgetBalanceEvent::Counted(_) = event {
                    self.expected.counted(id);
                }
                let step = |before: Amount, added: Amount, after: Amount| before + added == after;
                step(before.charged, moved.charged, after.charged)
                    && step(before.assumed, moved.assumed, after.assumed)
                    && step(before.reserved, moved.reserved, after.reserved)
                    && before.span == after.span
                    && before.alerted.map_or(0, Alerted::percent) >= after.alerted.map_or(0, Alerted::percent)
            }
            (BudgetBalanceEvent::ThresholdCrossed(crossed), _, Some(before)) => {
                self.alerts.read(id, crossed, &before, self.catalogue.entry(crossed.budget_id))
            }
            (BudgetBalanceEvent::Allotted(_), _, Some(before)) => recorded::is_allotted(&before, &after),
            (BudgetBalanceEvent::Rearmed(_), _, Some(before)) => alerts::is_rearmed(&before, &after),
            (_, Some(_) | None, Some(_) | None) => false,
        };
        if !is_right {
            self.violations.push(Violation::WrongStep { position: audited.position });
        }
    }

    /// Compares the periods that an append changed with what they should be.
    fn end_append(&mut self) {
        let Some(append) = self.append.take() else { return };
        self.expected.end_append(&self.catalogue);
        self.last = append.last;
        if !self.approvals.end_append() {
            self.violations.push(Violation::WrongApproval { position: append.last });
        }
        let mut roots = BTreeSet::new();
        for balance_id in append.touched {
            let Some(sums) = self.recorded.get(balance_id) else { continue };
            let entry = self.budgets.get(&balance_id).and_then(|budget_id| self.catalogue.entry(*budget_id));
            if sums.part.is_none() && entry.is_some_and(|entry| alerts::has_missed(entry, sums)) {
                self.violations.push(Violation::MissedAlert { position: append.last, balance_id });
            }
            // Nothing rests on what the parts of a closed budget hold.
            roots.extend(entry.map(|_| self.recorded.root(balance_id)));
            self.compare(balance_id, append.last);
        }
        for balance_id in roots {
            let [stated, claimed] = self.recorded.handed(balance_id);
            if stated != claimed {
                self.violations.push(Violation::WrongParts { position: append.last, balance_id });
            }
        }
        if !self.delegations.end_append(&self.catalogue, append.granted_at) {
            self.violations.push(Violation::TookDelegated { position: append.last });
        }
        for (balance_id, position) in append.grants {
            self.granted(balance_id, position, append.granted_at);
        }
    }

    /// Checks that the limit of a period holds what is charged and reserved in all of its parts, after a grant by one of them.
    fn granted(&mut self, balance_id: Uuid, position: u64, at: Option<DateTime<Utc>>) {
        let root = self.recorded.root(balance_id);
        let sums = self.recorded.get(root).or_else(|| self.recorded.get(balance_id));
        let (Some(sums), Some(at)) = (sums, at) else { return };
        let Some(budget_id) = self.budgets.get(&balance_id).copied() else { return };
        let limit = self.catalogue.entry(budget_id).and_then(|entry| limit_in_force(entry, sums, at));
        let Some(limit) = limit else { return };
        self.grants += 1;
        // Both what is written and what it should be.
        let used = self.recorded.streams(root).map(|(id, sums)| {
            let expected = self.expected.of(id);
            sums.used().max(expected.charged + expected.assumed + expected.reserved)
        });
        let used = used.sum();
        if used > limit {
            self.violations.push(Violation::Overspent { position, budget_id, used, limit });
        } else if self.delegations.held(balance_id, &self.recorded, root) > limit {
            self.violations.push(Violation::TookDelegated { position });
        }
        if self.recorded.get(balance_id).is_some_and(|sums| self.delegations.is_exceeded(balance_id, sums)) {
            self.violations.push(Violation::BeyondDelegation { position });
        }
    }
}

fn number(of: i64) -> Amount {
    let number = Amount::units(of.unsigned_abs());
    if of < 0 { -number } else { number }
}

/// When a reservation was granted, or extended, by an event.
fn granted_at(event: &ReservationEvent) -> Option<DateTime<Utc>> {
    match event {
        ReservationEvent::Granted(granted) => Some(granted.at),
        ReservationEvent::Extended(extended) => Some(extended.at),
        ReservationEvent::Refused(_)
        | ReservationEvent::Released(_)
        | ReservationEvent::Expired(_)
        | ReservationEvent::Settled(_) => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
