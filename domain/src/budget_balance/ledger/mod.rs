//! The periods that one decision changes: they are read together, changed in memory, and become events.

mod parts;
mod reading;

use super::crossing;
use super::{BalanceAllotted, BalanceMoved, BalanceRearmed, BudgetBalanceEvent, Excess, ExcessCause, Sums};
use crate::budget::{Amount, Enforcement};
use crate::budget_catalogue::{BudgetCatalogue, CatalogueEntry, Period};
use crate::ids::{BudgetId, ReservationId};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Events of periods by the ids of their streams.
pub type BalanceEvents = Vec<(Uuid, Vec<BudgetBalanceEvent>)>;

/// What is added to the sums of a period.
#[derive(Debug, Clone, Copy, Default)]
pub struct Move {
    /// The reservation that it is about.
    pub reservation_id: Option<ReservationId>,
    /// The position of the event whose difference is charged last.
    pub through: Option<u64>,
    /// What is added to what is charged.
    pub charged: Amount,
    /// What is added to what is assumed.
    pub assumed: Amount,
    /// What is added to what is reserved.
    pub reserved: Amount,
    /// What is added to the number of settled calls without a price.
    pub unpriced: i64,
}

impl Move {
    /// Whether it changes no sum.
    pub(crate) fn is_zero(&self) -> bool {
        self.charged.is_zero() && self.assumed.is_zero() && self.reserved.is_zero() && self.unpriced == 0
    }
}

impl Move {
    /// Whether it sets something aside for a call, if only nothing: what changes no sum is applied for no other reason.
    fn is_grant(&self) -> bool {
        self.reserved >= Amount::ZERO && Self { reserved: Amount::ZERO, ..*self }.is_zero()
    }
}

/// A period that a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodRef {
    /// One that may have no events yet.
    At(Period),
    /// One that was opened before.
    Existing {
        /// The budget.
        budget_id: BudgetId,
        /// The id of the stream of the period.
        balance_id: Uuid,
    },
}

impl PeriodRef {
    /// The budget.
    #[must_use]
    pub const fn budget_id(&self) -> BudgetId {
        match self {
            Self::At(period) => period.budget_id,
            Self::Existing { budget_id, .. } => *budget_id,
        }
    }

    /// The id of the stream of the period.
    #[must_use]
    pub const fn balance_id(&self) -> Uuid {
        match self {
            Self::At(period) => period.balance_id,
            Self::Existing { balance_id, .. } => *balance_id,
        }
    }

    /// The most streams that are read for it: those of all of its parts and of one delegation, and, if it may be the first decision on
    /// it, of the parts of the period before, whose rest is carried over. One that was opened before may be a delegation that is over, of
    /// a budget that delegates nothing any more.
    pub(crate) fn streams(&self, catalogue: &BudgetCatalogue) -> usize {
        let Some(entry) = catalogue.entry(self.budget_id()) else { return 1 };
        let parts = usize::from(entry.parts.get());
        match self {
            Self::At(_) => 1 + entry.further_streams() + if entry.carry_over { parts } else { 0 },
            Self::Existing { .. } if parts > 1 => 1 + parts,
            Self::Existing { .. } => 1 + entry.further_streams(),
        }
    }
}

/// A period that a decision needs, and what it may add to it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The period, or the part of one.
    pub period: PeriodRef,
    /// The most that is added to what is charged and reserved in it: if the part does not hold as much, the others are read, too.
    pub more: Amount,
    /// Whether it is asked for: what delegations whose time is over do not use is taken back for it.
    pub asks: bool,
}

impl Wanted {
    /// A period of which all parts are read.
    #[must_use]
    pub const fn whole(period: PeriodRef) -> Self {
        Self { period, more: Amount::LARGEST, asks: true }
    }
}

/// A period within a decision, or a part of one.
struct Open<'c> {
    budget_id: BudgetId,
    entry: Option<&'c CatalogueEntry>,
    sums: Sums,
    events: Vec<BudgetBalanceEvent>,
    /// Whether the first event is written although nothing is added yet.
    is_opened: bool,
    /// Whether what is carried over into it was not known before.
    is_carried_new: bool,
    /// Whether the sums are not those after the last event.
    is_unwritten: bool,
}

impl Open<'_> {
    fn push(&mut self, event: BudgetBalanceEvent) {
        self.events.push(event);
        self.is_unwritten = false;
    }

    /// Adds an event if the sums are not those after the last one.
    fn write(&mut self) {
        if self.is_unwritten {
            self.push(BudgetBalanceEvent::Allotted(BalanceAllotted { budget_id: self.budget_id, after: self.sums }));
        }
    }

    /// The limit that thresholds are shares of, however the budget is enforced; none if the budget has no thresholds.
    fn alert_limit(&self, at: DateTime<Utc>) -> Option<Amount> {
        let entry = self.entry.filter(|entry| !entry.thresholds.is_empty())?;
        Some(entry.stated_limit_at(at) + self.sums.carried.unwrap_or_default())
    }

    /// Arms thresholds again that a raised limit leaves unreached, before the sums change.
    fn rearm(&mut self, at: DateTime<Utc>) {
        if let (Some(entry), Some(limit)) = (self.entry, self.alert_limit(at)) {
            self.sums.alerted = crossing::rearmed(&self.sums, &entry.thresholds, limit);
        }
    }

    /// Adds an event for each threshold that the sums have reached.
    fn cross(&mut self, at: DateTime<Utc>) {
        if let (Some(entry), Some(limit)) = (self.entry, self.alert_limit(at)) {
            for crossed in crossing::crossed(self.budget_id, &self.sums, &entry.thresholds, limit) {
                self.write();
                self.sums = crossed.after;
                self.push(BudgetBalanceEvent::ThresholdCrossed(crossed));
            }
        }
    }
}

/// The periods that one decision changes.
pub struct Ledger<'c> {
    at: DateTime<Utc>,
    streams: BTreeMap<Uuid, Open<'c>>,
}

impl<'c> Ledger<'c> {
    /// The sums of a period, or of a part of one, as they are now; none if it was not read.
    #[must_use]
    pub fn sums(&self, balance_id: Uuid) -> Option<&Sums> {
        self.streams.get(&balance_id).map(|open| &open.sums)
    }

    /// The limit of a period that is in force; none if the budget refuses nothing, or the period of a part was not read.
    #[must_use]
    pub fn limit(&self, balance_id: Uuid) -> Option<Amount> {
        let open = self.root(balance_id)?;
        limit_in_force(open.entry?, &open.sums, self.at)
    }

    /// What may still be reserved in a period; none if the budget refuses nothing. Of a part whose period was not read, it is what the
    /// part may hold without asking.
    #[must_use]
    pub fn left(&self, balance_id: Uuid) -> Option<Amount> {
        let open = self.streams.get(&balance_id)?;
        open.entry?.limit_at(self.at)?;
        Some(self.limit(balance_id).map_or(open.sums.room(), |limit| self.left_under(limit, balance_id).or_zero()))
    }

    /// Whether more than the limit is charged and reserved: nothing is granted then, not even what costs nothing. A part that grants
    /// without asking has room.
    pub(crate) fn is_exceeded(&self, balance_id: Uuid) -> bool {
        self.limit(balance_id).is_some_and(|limit| self.left_under(limit, balance_id) < Amount::ZERO)
    }

    /// Whether an amount does not fit into a period of a shadow budget.
    pub(crate) fn would_refuse(&self, balance_id: Uuid, amount: Amount) -> bool {
        let Some(root) = self.root(balance_id) else { return false };
        let Some(entry) = root.entry.filter(|entry| entry.enforcement == Enforcement::Shadow) else { return false };
        let limit = entry.stated_limit_at(self.at) + root.sums.carried.unwrap_or_default();
        !entry.suspended && amount > self.left_under(limit, balance_id)
    }

    /// Counts a reservation that a shadow budget would have refused. The next event of the period says so.
    pub(crate) fn count_refusal(&mut self, balance_id: Uuid) {
        if let Some(open) = self.streams.get_mut(&balance_id) {
            open.sums.would_refuse += 1;
        }
    }

    /// Adds amounts to the sums of a period, or of a part of one. `cause` says why, should they exceed the limit. A threshold that they
    /// reach is crossed in the same append.
    pub(crate) fn apply(
        &mut self,
        balance_id: Uuid,
        change: Move,
        cause: ExcessCause,
        event: impl FnOnce(BalanceMoved) -> BudgetBalanceEvent,
    ) {
        let (at, before, root_id) = (self.at, self.excess(balance_id), self.root_id(balance_id));
        if let Some(root) = self.streams.get_mut(&root_id) {
            root.rearm(at);
        }
        let Some(open) = self.streams.get_mut(&balance_id) else { return };
        let known = open.sums;
        let Move { reservation_id, through, charged, assumed, reserved, unpriced } = change;
        open.sums.charged = open.sums.charged + charged;
        open.sums.assumed = open.sums.assumed + assumed;
        open.sums.reserved = open.sums.reserved + reserved;
        open.sums.unpriced += unpriced;
        self.hand(balance_id, &known, change.is_grant());
        let over = self.excess(balance_id);
        let Some(open) = self.streams.get_mut(&balance_id) else { return };
        let grown = over.zip(before).map_or(Amount::ZERO, |(over, before)| over - before);
        open.sums.excess = over.unwrap_or(open.sums.excess);
        let excess = (grown > Amount::ZERO).then_some(Excess { cause, amount: grown });
        let after = open.sums;
        open.push(event(BalanceMoved { reservation_id, through, charged, assumed, reserved, excess, after }));
        if let Some(root) = self.streams.get_mut(&root_id) {
            root.cross(at);
        }
    }

    /// Changes the terms of the budget of a period that was read under the terms before, with all of its parts: what is carried over
    /// into it is fixed under those. Records which thresholds are armed again under the new limit, that more than it is charged and
    /// reserved, if it is more than was known, and which thresholds are reached under the new terms. No part may hold anything without
    /// asking from then on.
    pub(crate) fn revise(&mut self, balance_id: Uuid, entry: &'c CatalogueEntry) {
        let known = self.known_excess(balance_id);
        for (_, open) in self.streams.iter_mut().filter(|(id, open)| open.root_id(**id) == balance_id) {
            open.entry = Some(entry);
        }
        self.take_back_all(balance_id);
        let (over, at) = (self.excess(balance_id).unwrap_or_default(), self.at);
        let Some(open) = self.streams.get_mut(&balance_id) else { return };
        open.is_opened = open.sums.carried.is_some();
        open.write();
        let alerted = open.sums.alerted;
        open.rearm(at);
        // Otherwise a limit that is lowered again before something is charged would arm nothing.
        if open.sums.alerted != alerted {
            let rearmed = BalanceRearmed { budget_id: open.budget_id, after: open.sums };
            open.push(BudgetBalanceEvent::Rearmed(rearmed));
        }
        let grown = over - known;
        if grown > Amount::ZERO {
            open.sums.excess = over;
            let zero = Amount::ZERO;
            open.push(BudgetBalanceEvent::Exceeded(BalanceMoved {
                reservation_id: None,
                through: None,
                charged: zero,
                assumed: zero,
                reserved: zero,
                excess: Some(Excess { cause: ExcessCause::LimitLowered, amount: grown }),
                after: open.sums,
            }));
        }
        open.cross(at);
    }

    /// The events of the periods that were changed, in the order of their ids. One that was only read has none, also if it would
    /// have been its first; one whose terms change is opened if something is carried over into it.
    #[must_use]
    pub fn into_events(mut self) -> BalanceEvents {
        self.streams.values_mut().for_each(Open::write);
        let is_opening = |event: &BudgetBalanceEvent| matches!(event, BudgetBalanceEvent::Opened(_));
        let is_changed = |open: &Open<'_>| open.events.iter().any(|event| open.is_opened || !is_opening(event));
        self.streams.into_iter().filter(|(_, open)| is_changed(open)).map(|(id, open)| (id, open.events)).collect()
    }
}

/// The limit of a period that is in force at a time; none if the budget refuses nothing.
#[must_use]
pub(crate) fn limit_in_force(entry: &CatalogueEntry, sums: &Sums, at: DateTime<Utc>) -> Option<Amount> {
    Some(entry.limit_at(at)? + sums.carried.unwrap_or_default())
}

#[cfg(test)]
mod delegation_tests;
#[cfg(test)]
mod tests;
