//! What a budget decides about its delegations by itself: whether they may begin, run, or are over.

use crate::budget::{
    Amount, Budget, BudgetDelegated, BudgetDelegationEnded, BudgetError, BudgetEvent, Delegation, DelegationCommand,
    MAX_DELEGATIONS,
};
use crate::budget_catalogue::{CatalogueEntry, Period};
use crate::ids::DelegationId;
use chrono::{DateTime, Utc};

fn known(budget: &Budget, delegation_id: DelegationId) -> Option<&Delegation> {
    budget.delegations.iter().find(|delegation| delegation.delegation_id == delegation_id)
}

/// Decides a command about delegations, apart from whether the limit has room. `now` is the time of the server, which decides
/// what runs; `period` the running one.
pub(crate) fn decide(
    budget: &Budget,
    command: DelegationCommand,
    running: Option<(&CatalogueEntry, Period)>,
    now: DateTime<Utc>,
) -> Result<Vec<BudgetEvent>, BudgetError> {
    budget.controlled()?;
    match command {
        DelegationCommand::Delegate { delegation_id, to, amount, until, reason, at } => {
            let (entry, period) = running.ok_or(BudgetError::NotControlled)?;
            if entry.limit_at(now).is_none() {
                return Err(BudgetError::DelegatesNothing);
            }
            let ends_at = period.span.ends_at;
            let until = until.map_or(ends_at, |until| until.min(ends_at));
            let delegation = Delegation { delegation_id, to, amount, balance_id: period.balance_id, until };
            if let Some(known) = known(budget, delegation_id) {
                let is_same = *known == delegation && known.is_running(now);
                return if is_same { Ok(Vec::new()) } else { Err(BudgetError::DelegationExists) };
            }
            if amount <= Amount::ZERO || until <= now {
                return Err(BudgetError::InvalidDelegation);
            }
            if budget.delegations.iter().filter(|known| known.is_running(now)).count() >= MAX_DELEGATIONS {
                return Err(BudgetError::TooManyDelegations);
            }
            Ok(vec![BudgetEvent::Delegated(BudgetDelegated { delegation, from: now, reason, at })])
        }
        DelegationCommand::End { delegation_id, reason, at } => {
            let known = known(budget, delegation_id).filter(|known| known.is_running(now));
            known.ok_or(BudgetError::UnknownDelegation)?;
            Ok(vec![BudgetEvent::DelegationEnded(BudgetDelegationEnded { delegation_id, reason, at })])
        }
        DelegationCommand::Expire { delegation_id, reason, at } => {
            let known = known(budget, delegation_id).filter(|known| !known.is_running(now));
            let ended = BudgetEvent::DelegationEnded(BudgetDelegationEnded { delegation_id, reason, at });
            Ok(known.map(|_| ended).into_iter().collect())
        }
    }
}
