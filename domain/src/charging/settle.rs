//! Settling a reservation: its call is charged instead of it, in the append that records the call.

use super::difference::{differences, periods_of};
use crate::budget::{MAX_APPLYING_BUDGETS, MAX_FURTHER_PARTS};
use crate::budget_balance::{BudgetBalance, BudgetBalanceEvent, ExcessCause, Ledger, Move, PeriodRef, Wanted};
use crate::budget_catalogue::BudgetCatalogue;
use crate::call::CallEvent;
use crate::ids::{CallId, ReservationId};
use crate::reservation::{Reservation, ReservationEvent, ReservationSettled, ReservationStatus, SpendEvents};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The most periods that a settlement reads, each part counted as one.
pub const MAX_SETTLEMENT_PERIODS: usize = 32;
const _: () =
    assert!(MAX_APPLYING_BUDGETS + MAX_FURTHER_PARTS <= MAX_SETTLEMENT_PERIODS, "the periods of a reservation fit");

/// The events of a settlement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settlement {
    /// Those of the reservation and of periods.
    pub spend: SpendEvents,
    /// Whether the event of the call changes more periods than one append may, and only those are charged that were reserved in. The
    /// event has to say so ([`CallEvent::in_part`]): the charging policy charges the others.
    pub in_part: bool,
}

/// Decides what budgets are charged when a call settles a reservation. `event` is that of the call, if it is counted; `others` are
/// the other reservations whose calls the event states. At most [`MAX_SETTLEMENT_PERIODS`] periods are read.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id.
pub fn settle<E>(
    (id, state): (ReservationId, &Reservation),
    (call_id, event): (CallId, Option<&CallEvent>),
    others: &BTreeMap<ReservationId, Arc<Reservation>>,
    catalogue: &BudgetCatalogue,
    at: DateTime<Utc>,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<Settlement, E> {
    let reservation = |wanted: ReservationId| {
        if wanted == id { Some(state) } else { others.get(&wanted).map(|other| &**other) }
    };
    // Every budget counts it: those that were defined before it were so by an earlier event.
    let mut charged = event.map(|event| differences(catalogue.entries(), event, reservation)).unwrap_or_default();
    let mut periods = periods_with(state, charged.values().map(|(period, _)| *period));
    let in_part = periods.values().map(|period| period.streams(catalogue)).sum::<usize>() > MAX_SETTLEMENT_PERIODS;
    if in_part {
        let reserved = periods_of(state);
        charged.retain(|balance_id, _| reserved.contains(balance_id));
        periods = periods_with(state, std::iter::empty());
    }
    let mut moves: BTreeMap<Uuid, Move> = BTreeMap::new();
    for line in state.held_lines() {
        let change = moves.entry(line.balance_id).or_default();
        if state.status == Some(ReservationStatus::Assumed) {
            change.assumed = change.assumed - line.amount;
        } else {
            change.reserved = change.reserved - line.amount;
        }
    }
    for (balance_id, (_, amounts)) in &charged {
        let change = moves.entry(*balance_id).or_default();
        change.charged = amounts.charged;
        // A call without a price leaves what was reserved for it, as assumed.
        change.assumed = change.assumed + amounts.assumed;
        change.unpriced = amounts.unpriced;
    }
    let wanted = periods.into_values().map(|period| {
        let change = moves.get(&period.balance_id()).copied().unwrap_or_default();
        Wanted { period, more: change.charged + change.assumed + change.reserved, asks: false }
    });
    let mut ledger = Ledger::open(catalogue, wanted, at, get)?;
    for (balance_id, change) in moves {
        if change.is_zero() {
            continue;
        }
        let is_of_line = state.lines().any(|line| line.balance_id == balance_id);
        let cause = if is_of_line { ExcessCause::Overshoot } else { ExcessCause::Unreserved };
        let change = Move { reservation_id: Some(id), ..change };
        ledger.apply(balance_id, change, cause, BudgetBalanceEvent::Settled);
    }
    let settled = ReservationEvent::Settled(ReservationSettled { call_id, at });
    Ok(Settlement {
        spend: SpendEvents { reservation: vec![settled], balances: ledger.into_events(), approval: None },
        in_part,
    })
}

/// The periods of a reservation with others, by id. One that may have to be opened takes precedence.
fn periods_with(state: &Reservation, others: impl Iterator<Item = PeriodRef>) -> BTreeMap<Uuid, PeriodRef> {
    let mut by_id: BTreeMap<Uuid, PeriodRef> = BTreeMap::new();
    for period in state.period_refs().into_iter().chain(others) {
        let is_known = matches!(period, PeriodRef::Existing { .. });
        let entry = by_id.entry(period.balance_id()).or_insert(period);
        if !is_known {
            *entry = period;
        }
    }
    by_id
}
