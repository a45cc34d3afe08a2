//! What was charged before a budget was defined.

use super::difference::differences;
use super::plan::{MAX_BATCH_PERIODS, MAX_BATCH_STREAMS};
use crate::budget::Amount;
use crate::budget_balance::{
    BalanceEvents, BudgetBalance, BudgetBalanceEvent, ExcessCause, Ledger, Move, PeriodRef, Wanted,
};
use crate::budget_catalogue::{BudgetCatalogue, BudgetCatalogueEvent, CatalogueBudgetCounted, CatalogueEntry};
use crate::call::CallEvent;
use crate::ids::{BudgetId, ReservationId};
use crate::reservation::Reservation;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The sums of what was charged before a budget was defined, by period.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opening(BTreeMap<Uuid, (PeriodRef, Amount)>);

impl Opening {
    /// Whether an event states a call of a period that had not ended when the budget was defined: no other adds to what is counted.
    #[must_use]
    pub fn concerns(entry: &CatalogueEntry, event: &CallEvent) -> bool {
        let (befores, after) = event.befores_and_after();
        let mut calls = befores.into_iter().chain(after);
        calls.any(|call| entry.span_at(call.facts.started_at).ends_at > entry.since)
    }

    /// Adds an event of a call, in any order, which is before the one by which the budget entered the catalogue.
    pub fn add<'r>(
        &mut self,
        budget_id: BudgetId,
        entry: &CatalogueEntry,
        event: &CallEvent,
        reservation: impl Fn(ReservationId) -> Option<&'r Reservation>,
    ) {
        // Nothing was reserved in a budget before it was defined, so that nothing is assumed.
        for (balance_id, (period, amounts)) in differences([(budget_id, entry)].into_iter(), event, reservation) {
            let sum = &mut self.0.entry(balance_id).or_insert((period, Amount::ZERO)).1;
            *sum = *sum + amounts.charged;
        }
    }

    /// What was charged in a period.
    #[must_use]
    pub fn amount(&self, balance_id: Uuid) -> Amount {
        self.0.get(&balance_id).map_or(Amount::ZERO, |(_, amount)| *amount)
    }

    /// The periods that have something, of those that had not ended when the budget was defined, the next first: as many as one
    /// append may change. Those that had ended are not opened by what is older than the budget.
    fn periods(&self, since: DateTime<Utc>) -> impl Iterator<Item = (PeriodRef, Amount)> {
        let mut running: Vec<_> = self
            .0
            .values()
            .filter_map(|(period, amount)| match period {
                PeriodRef::At(at) if at.span.ends_at > since && !amount.is_zero() => {
                    Some((at.span.starts_at, *period, *amount))
                }
                PeriodRef::At(_) | PeriodRef::Existing { .. } => None,
            })
            .collect();
        running.sort_by_key(|(starts_at, _, _)| *starts_at);
        running.into_iter().take(MAX_BATCH_PERIODS).map(|(_, period, amount)| (period, amount))
    }
}

/// Decides that what was charged before a budget was defined is counted: the events of the catalogue, and of the periods. None if
/// the budget is closed, or was counted before.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id.
pub fn counted<E>(
    budget_id: BudgetId,
    catalogue: &BudgetCatalogue,
    opening: &Opening,
    at: DateTime<Utc>,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<(Vec<BudgetCatalogueEvent>, BalanceEvents), E> {
    let entry = catalogue.entry(budget_id).filter(|entry| entry.counted_through.is_none());
    let Some((entry, through)) = entry.and_then(|entry| Some((entry, entry.counting_from?))) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let mut streams = 0;
    let fits = |(period, _): &(PeriodRef, Amount)| {
        streams += period.streams(catalogue);
        streams <= MAX_BATCH_STREAMS
    };
    let periods: Vec<_> = opening.periods(entry.since).take_while(fits).collect();
    let wanted = periods.iter().map(|(period, more)| Wanted { period: *period, more: *more, asks: false });
    let mut ledger = Ledger::open(catalogue, wanted, at, get)?;
    for (period, amount) in periods {
        let change = Move { through: Some(through), charged: amount, ..Move::default() };
        ledger.apply(period.balance_id(), change, ExcessCause::Opening, BudgetBalanceEvent::Counted);
    }
    let counted = BudgetCatalogueEvent::Counted(CatalogueBudgetCounted { budget_id, through });
    Ok((vec![counted], ledger.into_events()))
}
