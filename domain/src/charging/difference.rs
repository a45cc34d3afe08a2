//! What an event of a call changes in the periods of budgets.

use crate::budget::{Amount, Measure};
use crate::budget_balance::PeriodRef;
use crate::budget_catalogue::CatalogueEntry;
use crate::call::{CallEvent, ChargedCall};
use crate::ids::{BudgetId, ReservationId};
use crate::reservation::{Reservation, ReservationLine, attributes_of_call};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Add, Neg};
use uuid::Uuid;

/// What a call counts in a period of a budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallAmounts {
    /// What the call is charged.
    pub charged: Amount,
    /// What it is assumed to cost, because it has no price: all that was reserved for it.
    pub assumed: Amount,
    /// 1 if it is charged what is assumed; in a difference, how many more calls are.
    pub unpriced: i64,
}

impl CallAmounts {
    /// What a call counts. One that has no price counts in money what was reserved for it, so that a budget is not spent unseen: as
    /// what it costs cannot be known, the bound that was granted is charged. Once a price is known, the event that prices the call
    /// takes this back, and adds what it costs. Whether a budget is hard does not matter, since that may change in between. It is
    /// counted as unpriced also if nothing was reserved, such as for a model that is free.
    ///
    /// A call of the gateway whose usage is not known counts at least what was reserved, in each measure: which of its tokens were
    /// reasoning, or were read from the cache, is not known either.
    fn of(call: &ChargedCall, measure: Measure, line: Option<&ReservationLine>) -> Self {
        let least = line.filter(|_| call.is_assumed_by_gateway()).map_or(Amount::ZERO, |line| line.amount);
        let is_unpriced = measure == Measure::Money && call.is_unpriced() && !call.facts.usage.is_empty();
        match line.filter(|_| is_unpriced) {
            Some(line) => Self { assumed: line.amount, unpriced: 1, ..Self::default() },
            None => Self { charged: measure.of(call).max(least), ..Self::default() },
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Add for CallAmounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            charged: self.charged + other.charged,
            assumed: self.assumed + other.assumed,
            unpriced: self.unpriced + other.unpriced,
        }
    }
}

impl Neg for CallAmounts {
    type Output = Self;

    fn neg(self) -> Self {
        Self { charged: -self.charged, assumed: -self.assumed, unpriced: -self.unpriced }
    }
}

/// Amounts by period. None is zero.
pub type Differences = BTreeMap<Uuid, (PeriodRef, CallAmounts)>;

/// What an event of a call adds to the periods of some budgets: the call after it less the calls that it replaces. A call counts in
/// the period that was reserved against for it, else in that of its start.
pub fn differences<'c, 'r>(
    entries: impl Iterator<Item = (BudgetId, &'c CatalogueEntry)> + Clone,
    event: &CallEvent,
    reservation: impl Fn(ReservationId) -> Option<&'r Reservation>,
) -> Differences {
    let mut sums = Differences::new();
    let (befores, after) = event.befores_and_after();
    let subtracted = befores.into_iter().map(|call| (call, true));
    for (call, is_subtracted) in subtracted.chain(after.map(|call| (call, false))) {
        let reservation = call.reservation_id.and_then(&reservation);
        for (period, amounts) in counted_in(entries.clone(), call, reservation) {
            let sum = &mut sums.entry(period.balance_id()).or_insert((period, CallAmounts::default())).1;
            *sum = *sum + if is_subtracted { -amounts } else { amounts };
        }
    }
    sums.retain(|_, (_, amounts)| !amounts.is_zero());
    sums
}

/// As [`differences`], without what the append of the event charges: all, if the event settles a reservation; only the periods of
/// its lines, if it does so in part.
pub(crate) fn charged_by_policy<'c, 'r>(
    entries: impl Iterator<Item = (BudgetId, &'c CatalogueEntry)> + Clone,
    event: &CallEvent,
    reservation: impl Fn(ReservationId) -> Option<&'r Reservation>,
) -> Differences {
    if !event.is_charged_by_policy() {
        return Differences::new();
    }
    let mut sums = differences(entries, event, &reservation);
    let reserved = event.settles().and_then(&reservation).map(periods_of).unwrap_or_default();
    sums.retain(|balance_id, _| !reserved.contains(balance_id));
    sums
}

/// The periods of the lines of a reservation.
pub(crate) fn periods_of(reservation: &Reservation) -> BTreeSet<Uuid> {
    reservation.lines().map(|line| line.balance_id).collect()
}

/// The periods of some budgets in which a call is counted, with what it counts.
fn counted_in<'c>(
    entries: impl Iterator<Item = (BudgetId, &'c CatalogueEntry)>,
    call: &ChargedCall,
    reservation: Option<&Reservation>,
) -> Vec<(PeriodRef, CallAmounts)> {
    let attributes = attributes_of_call(&call.facts, reservation);
    let selecting = entries.filter(|(_, entry)| entry.selects(&attributes));
    let counted = selecting.filter_map(|(budget_id, entry)| {
        let line = reservation.and_then(|reservation| reservation.lines().find(|line| line.budget_id == budget_id));
        let period = match line {
            Some(line) => PeriodRef::Existing { budget_id, balance_id: line.balance_id },
            None => PeriodRef::At(entry.period_at(budget_id, call.facts.started_at)?),
        };
        Some((period, CallAmounts::of(call, entry.measure, line)))
    });
    counted.collect()
}
