//! What the sums of periods should be, from calls and reservations.

use crate::aggregate::Aggregate as _;
use crate::budget::Amount;
use crate::budget_catalogue::{BudgetCatalogue, CatalogueEntry};
use crate::call::{CallEvent, CallRecorded, ChargedCall};
use crate::charging::{CallAmounts, Charging, ChargingEvent, Opening, charged_by_policy, differences, periods_of};
use crate::ids::{BudgetId, ReservationId};
use crate::reservation::{Reservation, ReservationEvent, ReservationStatus};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The sums of a period.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ExpectedSums {
    pub(super) charged: Amount,
    pub(super) assumed: Amount,
    pub(super) reserved: Amount,
    /// How many settled calls have no price.
    pub(super) unpriced: i64,
}

/// An event of a call that is not charged yet, or not to all periods.
#[derive(Debug)]
struct Pending {
    position: u64,
    event: CallEvent,
    done: Option<Uuid>,
}

#[derive(Debug, Default)]
pub(super) struct Expected {
    sums: BTreeMap<Uuid, ExpectedSums>,
    reservations: BTreeMap<ReservationId, Reservation>,
    calls: BTreeMap<Uuid, ChargedCall>,
    pending: Vec<Pending>,
    /// What was charged before each budget was defined.
    openings: BTreeMap<BudgetId, Opening>,
    /// The positions at which budgets were defined.
    set_at: BTreeMap<BudgetId, u64>,
    /// The event of a call in the append that is read, which settles a reservation.
    settling: Option<CallEvent>,
    advanced: Option<Charging>,
}

impl Expected {
    pub(super) fn of(&self, balance_id: Uuid) -> ExpectedSums {
        self.sums.get(&balance_id).copied().unwrap_or_default()
    }

    /// The periods that calls or reservations changed.
    pub(super) fn periods(&self) -> Vec<Uuid> {
        self.sums.keys().copied().collect()
    }

    pub(super) fn reservation_changed(&mut self, id: ReservationId, event: &ReservationEvent) {
        let before = self.reservations.remove(&id).unwrap_or_default();
        self.hold(&before, true);
        let after = before.evolve(event);
        self.hold(&after, false);
        self.reservations.insert(id, after);
    }

    /// Whether the event says that a reservation is not charged whose call was sent.
    pub(super) fn is_freed(&self, id: ReservationId, event: &ReservationEvent) -> bool {
        let granted = self.reservations.get(&id).and_then(|reservation| reservation.granted.as_ref());
        matches!(event, ReservationEvent::Expired(expired) if !expired.assumed)
            && granted.is_some_and(|granted| granted.sent)
    }

    fn hold(&mut self, reservation: &Reservation, is_subtracted: bool) {
        for line in reservation.held_lines() {
            let amount = if is_subtracted { -line.amount } else { line.amount };
            let sums = self.sums.entry(line.balance_id).or_default();
            if reservation.status == Some(ReservationStatus::Assumed) {
                sums.assumed = sums.assumed + amount;
            } else {
                sums.reserved = sums.reserved + amount;
            }
        }
    }

    pub(super) fn call_changed(&mut self, stream_id: Uuid, position: u64, event: &CallEvent) {
        match event.befores_and_after() {
            (_, Some(after)) => _ = self.calls.insert(stream_id, after.clone()),
            (befores, None) if befores.is_empty() => {
                if let CallEvent::Voided(_) = event {
                    self.calls.remove(&stream_id);
                }
            }
            (_, None) => _ = self.calls.remove(&stream_id),
        }
        if event.settles().is_some() {
            self.settling = Some(event.clone());
        }
        if event.is_charged_by_policy() {
            self.pending.push(Pending { position, event: event.clone(), done: None });
        }
    }

    /// Counts what was charged before a budget is defined.
    pub(super) fn budget_set(&mut self, budget_id: BudgetId, entry: &CatalogueEntry, position: u64) {
        if self.set_at.contains_key(&budget_id) {
            return;
        }
        self.set_at.insert(budget_id, position);
        let mut opening = Opening::default();
        for call in self.calls.values() {
            let recorded = CallEvent::Recorded(CallRecorded::from(call.clone()));
            opening.add(budget_id, entry, &recorded, |id| self.reservations.get(&id));
        }
        self.openings.insert(budget_id, opening);
    }

    /// A period got what was charged before its budget was defined.
    pub(super) fn counted(&mut self, balance_id: Uuid) {
        let amount: Amount = self.openings.values().map(|opening| opening.amount(balance_id)).sum();
        let sums = self.sums.entry(balance_id).or_default();
        sums.charged = sums.charged + amount;
    }

    pub(super) fn advance(&mut self, event: &ChargingEvent) {
        self.advanced = Some(Charging::default().evolve(event));
    }

    /// Adds what calls are charged by the append that was read.
    pub(super) fn end_append(&mut self, catalogue: &BudgetCatalogue) {
        if let Some(event) = self.settling.take() {
            let all = differences(catalogue.entries(), &event, |id| self.reservations.get(&id));
            let settled = event.settles().and_then(|id| self.reservations.get(&id)).map(periods_of).unwrap_or_default();
            let is_settled = |balance_id: &Uuid| !event.settles_in_part() || settled.contains(balance_id);
            for (balance_id, (_, amounts)) in all.into_iter().filter(|(balance_id, _)| is_settled(balance_id)) {
                self.add(balance_id, amounts);
            }
        }
        let Some(reached) = self.advanced.take() else { return };
        for pending in std::mem::take(&mut self.pending) {
            let partly = reached.partly.filter(|partly| partly.position == pending.position);
            let parked = reached.parked.iter().find(|parked| parked.position == pending.position);
            // The last period that is charged; none of an event that is charged in all of them.
            let last = parked.map(|parked| parked.balance_id).or(partly.map(|partly| Some(partly.balance_id)));
            if pending.position > reached.through && last.is_none() {
                self.pending.push(pending);
                continue;
            }
            let is_counted = |id: &BudgetId| self.set_at.get(id).is_some_and(|set_at| *set_at < pending.position);
            let entries = catalogue.entries().filter(|(id, _)| is_counted(id));
            let changed = charged_by_policy(entries, &pending.event, |id| self.reservations.get(&id));
            for (balance_id, (_, amounts)) in changed {
                let is_done = pending.done.is_some_and(|done| balance_id <= done);
                let is_reached = last.is_none_or(|last| Some(balance_id) <= last);
                if !is_done && is_reached {
                    self.add(balance_id, amounts);
                }
            }
            if let Some(done) = last {
                self.pending.push(Pending { done, ..pending });
            }
        }
    }

    fn add(&mut self, balance_id: Uuid, amounts: CallAmounts) {
        let sums = self.sums.entry(balance_id).or_default();
        sums.charged = sums.charged + amounts.charged;
        sums.assumed = sums.assumed + amounts.assumed;
        sums.unpriced += amounts.unpriced;
    }
}
