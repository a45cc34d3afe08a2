//! Extending, releasing and expiring a reservation.

use super::error::ReservationError;
use super::estimate::{Alternatives, Bound, Estimate};
use super::event::{
    Holder, Refusal, RefusalReason, ReservationEvent, ReservationExpired, ReservationExtended, ReservationGranted,
    ReservationLine, ReservationReleased,
};
use super::limits::{MAX_HOLD, MIN_HOLD};
use super::{Reservation, ReservationStatus, SpendEvents};
use crate::budget::{Amount, BudgetDimension};
use crate::budget_balance::{BudgetBalance, BudgetBalanceEvent, ExcessCause, Ledger, Move, Wanted};
use crate::budget_catalogue::{BudgetCatalogue, CatalogueEntry};
use crate::call::CallKind;
use crate::ids::ReservationId;
use crate::price_book::PriceBook;
use crate::usage::Usage;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use uuid::Uuid;

/// A request to set aside more, for longer, or to say that the call was sent.
#[derive(Debug, Clone)]
pub struct Extend {
    /// The reservation.
    pub reservation_id: ReservationId,
    /// What the call may use at most, all of it; none if that stays. Less than before sets nothing free.
    pub usage: Option<Usage>,
    /// When the reservation expires; none if that stays.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the call was sent. Once it was, it stays so.
    pub sent: bool,
    /// Who extends it.
    pub by: Holder,
    /// The price book.
    pub prices: PriceBook,
    /// When it is asked for, by the clock of the server.
    pub at: DateTime<Utc>,
}

/// Decides an extension: all budgets of the reservation grant it, or none.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id; within the result, [`ReservationError`].
pub fn extend<E>(
    state: &Reservation,
    catalogue: &BudgetCatalogue,
    command: &Extend,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<Result<SpendEvents, ReservationError>, E> {
    if let Err(error) = state.check_holder(command.by).and_then(|()| check_held(state)) {
        return Ok(Err(error));
    }
    let granted = match command.granted(state) {
        Ok(granted) => granted,
        Err(error) => return Ok(Err(error)),
    };
    let bound = match command.bound(state, granted) {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error)),
    };
    let wanted = granted.lines.iter().map(|line| {
        let more = command.more(line, &bound, catalogue);
        Wanted { period: line.period(), more: more.map_or(Amount::ZERO, |(_, _, more)| more), asks: true }
    });
    let ledger = Ledger::open(catalogue, wanted, command.at, get)?;
    Ok(command.decide(granted, bound, catalogue, ledger))
}

fn check_held(state: &Reservation) -> Result<(), ReservationError> {
    match state.status {
        None => Err(ReservationError::NotFound),
        Some(ReservationStatus::Held) => Ok(()),
        Some(ReservationStatus::Refused) => Err(ReservationError::NotGranted),
        Some(
            ReservationStatus::Released
            | ReservationStatus::Lapsed
            | ReservationStatus::Assumed
            | ReservationStatus::Settled,
        ) => Err(ReservationError::NotHeld),
    }
}

impl Extend {
    /// What was granted, if it can be extended as is asked for.
    fn granted<'a>(&self, state: &'a Reservation) -> Result<&'a ReservationGranted, ReservationError> {
        let granted = state.granted.as_ref().ok_or(ReservationError::NotGranted)?;
        let held = self.expires_at.unwrap_or(granted.expires_at) - self.at;
        if self.expires_at.is_some() && !(MIN_HOLD..=MAX_HOLD).contains(&held) {
            return Err(ReservationError::HoldTime { found: held.num_seconds() });
        }
        Ok(granted)
    }

    /// What a line is against, all that the call may use of it then, and how much more that is; none if the line stays as it is.
    fn more<'c>(
        &self,
        line: &ReservationLine,
        bound: &Bound,
        catalogue: &'c BudgetCatalogue,
    ) -> Option<(&'c CatalogueEntry, Option<Amount>, Amount)> {
        self.usage?;
        let entry = catalogue.entry(line.budget_id)?;
        let amount = bound.amount(entry.measure);
        Some((entry, amount, (amount.unwrap_or_default() - line.amount).or_zero()))
    }

    fn decide(
        &self,
        granted: &ReservationGranted,
        bound: Bound,
        catalogue: &BudgetCatalogue,
        mut ledger: Ledger<'_>,
    ) -> Result<SpendEvents, ReservationError> {
        let expires_at = self.expires_at.unwrap_or(granted.expires_at);
        let mut lines = granted.lines.clone();
        for line in &mut lines {
            let Some((entry, amount, more)) = self.more(line, &bound, catalogue) else { continue };
            let left = ledger.left(line.balance_id);
            if let Some(reason) = refusal_of(entry, amount, more, left) {
                let renews_at = ledger.sums(line.balance_id).map(|sums| sums.span.ends_at);
                let left = left.filter(|_| reason == RefusalReason::Exceeded);
                // A call that runs is neither degraded nor paused, and cannot wait for an answer.
                let refusal = Refusal { reason, budget_id: line.budget_id, left, renews_at, follow_up: None };
                return Err(ReservationError::Refused(refusal.into()));
            }
            if more > Amount::ZERO {
                line.amount = line.amount + more;
                let reserved = Move { reservation_id: Some(self.reservation_id), reserved: more, ..Move::default() };
                ledger.apply(line.balance_id, reserved, ExcessCause::Unreserved, BudgetBalanceEvent::Reserved);
            }
        }
        let sent = granted.sent || self.sent;
        let Bound { usage, cost, book_version, .. } = bound;
        let is_same = (usage, cost, expires_at, sent)
            == (granted.usage, granted.cost, granted.expires_at, granted.sent)
            && lines == granted.lines;
        if is_same {
            return Ok(SpendEvents::default());
        }
        let extended = ReservationExtended { usage, cost, book_version, lines, expires_at, sent, at: self.at };
        Ok(SpendEvents {
            reservation: vec![ReservationEvent::Extended(extended)],
            balances: ledger.into_events(),
            approval: None,
        })
    }

    /// The upper bound of what the call may use from now on.
    fn bound(&self, state: &Reservation, granted: &ReservationGranted) -> Result<Bound, ReservationError> {
        let Some(usage) = self.usage else {
            let (usage, most) = (granted.usage, granted.usage);
            return Ok(Bound { usage, most, cost: granted.cost, book_version: granted.book_version });
        };
        let attributes = state.attributes_with(crate::budget::Attributes::new());
        let kind = if attributes.contains_key(&BudgetDimension::Model) { CallKind::Llm } else { CallKind::Tool };
        let ReservationGranted { service_tier, speed, region, .. } = granted.clone();
        let alternatives = Alternatives::default();
        let estimate = Estimate { kind, usage, min_output: None, service_tier, speed, region, alternatives };
        estimate.check(&attributes)?;
        estimate.bound(usage, &attributes, &self.prices, self.at)
    }
}

/// Why a budget does not grant more, of which `amount` is all that the call may use then; none if it grants it.
fn refusal_of(
    entry: &CatalogueEntry,
    amount: Option<Amount>,
    more: Amount,
    left: Option<Amount>,
) -> Option<RefusalReason> {
    let left = left?;
    match amount {
        // It granted the reservation before it was hard.
        _ if entry.counted_through.is_none() && !more.is_zero() => Some(RefusalReason::Counting),
        None => Some(RefusalReason::Unpriced),
        Some(_) if more > left => Some(RefusalReason::Exceeded),
        Some(_) => None,
    }
}

/// Takes what is set aside of every line, and adds it to what `to` says.
fn move_lines(
    state: &Reservation,
    id: ReservationId,
    ledger: &mut Ledger<'_>,
    move_of: impl Fn(Amount) -> Move,
    event: fn(crate::budget_balance::BalanceMoved) -> BudgetBalanceEvent,
) {
    let held: Vec<ReservationLine> = state.held_lines().copied().collect();
    for line in held.iter().filter(|line| !line.amount.is_zero()) {
        let change = Move { reservation_id: Some(id), ..move_of(line.amount) };
        ledger.apply(line.balance_id, change, ExcessCause::Overshoot, event);
    }
}

/// Decides that a reservation is not needed: what is set aside is free again. One that expired and is charged in full may be
/// released too, once it is known that its call cost nothing.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id; within the result, [`ReservationError`].
pub fn release<E>(
    state: &Reservation,
    id: ReservationId,
    by: Holder,
    catalogue: &BudgetCatalogue,
    at: DateTime<Utc>,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<Result<SpendEvents, ReservationError>, E> {
    if let Err(error) = state.check_holder(by) {
        return Ok(Err(error));
    }
    let is_assumed = match state.status {
        None => return Ok(Err(ReservationError::NotFound)),
        Some(ReservationStatus::Refused) => return Ok(Err(ReservationError::NotGranted)),
        Some(ReservationStatus::Settled) => return Ok(Err(ReservationError::NotHeld)),
        Some(ReservationStatus::Released | ReservationStatus::Lapsed) => return Ok(Ok(SpendEvents::default())),
        Some(ReservationStatus::Held) => false,
        Some(ReservationStatus::Assumed) => true,
    };
    let mut ledger = Ledger::open(catalogue, state.wanted(), at, get)?;
    let freed = |amount: Amount| match is_assumed {
        true => Move { assumed: -amount, ..Move::default() },
        false => Move { reserved: -amount, ..Move::default() },
    };
    move_lines(state, id, &mut ledger, freed, BudgetBalanceEvent::Released);
    let reservation = vec![ReservationEvent::Released(ReservationReleased { at })];
    Ok(Ok(SpendEvents { reservation, balances: ledger.into_events(), approval: None }))
}

/// Decides the expiry of a reservation that is still held: it is charged in full if its call was sent, and released if not. One
/// that was settled, released or extended meanwhile stays as it is.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id.
pub fn expire<E>(
    state: &Reservation,
    id: ReservationId,
    catalogue: &BudgetCatalogue,
    at: DateTime<Utc>,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
) -> Result<SpendEvents, E> {
    let (Some(ReservationStatus::Held), Some(granted)) = (state.status, &state.granted) else {
        return Ok(SpendEvents::default());
    };
    if granted.expires_at > at {
        return Ok(SpendEvents::default());
    }
    let mut ledger = Ledger::open(catalogue, state.wanted(), at, get)?;
    if granted.sent {
        let assumed = |amount: Amount| Move { reserved: -amount, assumed: amount, ..Move::default() };
        move_lines(state, id, &mut ledger, assumed, BudgetBalanceEvent::Assumed);
    } else {
        let freed = |amount: Amount| Move { reserved: -amount, ..Move::default() };
        move_lines(state, id, &mut ledger, freed, BudgetBalanceEvent::Released);
    }
    let reservation = vec![ReservationEvent::Expired(ReservationExpired { assumed: granted.sent, at })];
    Ok(SpendEvents { reservation, balances: ledger.into_events(), approval: None })
}
