//! Granting a reservation: all budgets that apply, or none.

use super::error::ReservationError;
use super::estimate::{Bound, Estimate};
use super::event::{
    Holder, Refusal, RefusalReason, ReservationEvent, ReservationGranted, ReservationLine, ReservationRefused,
};
use super::fitting::{Applying, AskedCall, Fit};
use super::follow_up::RefusedCall;
use super::limits::{MAX_HOLD, MIN_HOLD};
use super::{Reservation, SpendEvents};
use crate::approval_queue::ApprovalQueue;
use crate::budget::{Attributes, MAX_APPLYING_BUDGETS};
use crate::budget_balance::{BudgetBalance, BudgetBalanceEvent, ExcessCause, Ledger, Move, PeriodRef, Wanted};
use crate::budget_catalogue::BudgetCatalogue;
use crate::ids::{BudgetId, ReservationId};
use crate::price_book::PriceBook;
use crate::text::Name;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use uuid::Uuid;

/// A request to set aside what a call may cost.
#[derive(Debug, Clone)]
pub struct Reserve {
    /// The id of the reservation.
    pub reservation_id: ReservationId,
    /// What the credential says of the call. The client cannot say otherwise.
    pub fixed: Attributes,
    /// What the client says of the call.
    pub declared: Attributes,
    /// What the call may use at most.
    pub estimate: Estimate,
    /// The price book.
    pub prices: PriceBook,
    /// When the reservation expires.
    pub expires_at: DateTime<Utc>,
    /// Whether the call is about to be sent, without a further command that says so.
    pub sent: bool,
    /// Who settles or releases it.
    pub holder: Holder,
    /// A cheaper model that a refusal names if a call of it would fit, and the budget that refuses has no policy of its own.
    pub cheaper: Option<Name>,
    /// When it is asked for, by the clock of the server.
    pub at: DateTime<Utc>,
}

/// Decides a reservation. One that was decided before stays as it is, and is the answer if what is called is the same. Of budgets with
/// several parts, the one with the number `part` is used, or its remainder: who decides at the same time should use others.
///
/// # Errors
/// The first error of `get`, which returns the state of a period by its id, or of `requests`, which returns the requests for approval
/// of a budget that wait; within the result, [`ReservationError`] if the request is not valid. A budget that refuses is no error: it is
/// the answer.
pub fn reserve<E>(
    state: &Reservation,
    catalogue: &BudgetCatalogue,
    command: &Reserve,
    part: u8,
    get: impl FnMut(Uuid) -> Result<Arc<BudgetBalance>, E>,
    requests: impl FnOnce(BudgetId) -> Result<Arc<ApprovalQueue>, E>,
) -> Result<Result<SpendEvents, ReservationError>, E> {
    if let Some(stated) = state.stated() {
        let is_same = stated == (&command.fixed, &command.declared);
        return Ok(if is_same { Ok(SpendEvents::default()) } else { Err(ReservationError::AlreadyReserved) });
    }
    let attributes = match command.checked() {
        Ok(attributes) => attributes,
        Err(error) => return Ok(Err(error)),
    };
    let mut applying = Vec::new();
    for (budget_id, entry) in catalogue.entries() {
        if entry.limit_at(command.at).is_some()
            && let Some(dimension) = entry.undeclared(&attributes, command.estimate.kind, &command.fixed)
        {
            let reason = RefusalReason::Undeclared { dimension: dimension.clone() };
            let refusal = Refusal { reason, budget_id, left: None, renews_at: None, follow_up: None };
            return Ok(Ok(command.refused(refusal)));
        }
        if entry.selects(&attributes)
            && let Some(period) = entry.period_at(budget_id, command.at)
        {
            applying.push(Applying { period: entry.part_for(period, &attributes, part, command.at), entry });
        }
    }
    if applying.len() > MAX_APPLYING_BUDGETS {
        return Ok(Err(ReservationError::TooManyBudgets { found: applying.len() }));
    }
    let asked = command.asked(&attributes);
    let full = match asked.bound() {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error)),
    };
    let wanted = applying.iter().map(|Applying { period, entry }| Wanted {
        period: PeriodRef::At(*period),
        more: full.amount(entry.measure).unwrap_or_default(),
        asks: true,
    });
    let ledger = Ledger::open(catalogue, wanted, command.at, get)?;
    let decided = command.decide(asked, full, &applying, ledger);
    let asking = decided.as_ref().ok().and_then(|events| events.approval.as_ref());
    let is_full = match asking.map(|request| request.budget_id) {
        Some(budget_id) => requests(budget_id)?.is_full(command.at),
        None => false,
    };
    Ok(if is_full { decided.map(SpendEvents::without_request) } else { decided })
}

impl Reserve {
    /// What is known of the call, if the request is valid.
    fn checked(&self) -> Result<Attributes, ReservationError> {
        let held = self.expires_at - self.at;
        if !(MIN_HOLD..=MAX_HOLD).contains(&held) {
            return Err(ReservationError::HoldTime { found: held.num_seconds() });
        }
        for (dimension, fixed) in &self.fixed {
            if let Some(declared) = self.declared.get(dimension).filter(|declared| *declared != fixed) {
                let (fixed, declared) = (fixed.clone(), declared.clone());
                return Err(ReservationError::Fixed { dimension: dimension.clone(), fixed, declared });
            }
        }
        let mut attributes = self.declared.clone();
        attributes.extend(self.fixed.clone());
        self.estimate.check(&attributes)?;
        Ok(attributes)
    }

    fn asked<'a>(&'a self, attributes: &'a Attributes) -> AskedCall<'a> {
        AskedCall { estimate: &self.estimate, attributes, prices: &self.prices, at: self.at }
    }

    fn decide(
        &self,
        asked: AskedCall<'_>,
        full: Bound,
        applying: &[Applying<'_>],
        ledger: Ledger<'_>,
    ) -> Result<SpendEvents, ReservationError> {
        let (bound, refusal) = match asked.fit(full, applying, &ledger)? {
            Fit::All(bound) => return Ok(self.granted(bound, false, applying, ledger)),
            Fit::Part(bound) => return Ok(self.granted(bound, true, applying, ledger)),
            Fit::Nothing(bound, refusal) => (bound, refusal),
        };
        let agent = super::agent_of(&self.fixed, &self.declared);
        let refused =
            RefusedCall { reservation_id: self.reservation_id, asked, bound, agent, cheaper: self.cheaper.as_ref() };
        let (refusal, approval) = refused.followed_up(refusal, applying, &ledger)?;
        Ok(SpendEvents { approval, ..self.refused(refusal) })
    }

    fn granted(&self, bound: Bound, partly: bool, applying: &[Applying<'_>], mut ledger: Ledger<'_>) -> SpendEvents {
        let mut lines = Vec::with_capacity(applying.len());
        for Applying { period, entry } in applying {
            // Without a price, a soft budget of money has nothing to set aside.
            let amount = bound.amount(entry.measure).unwrap_or_default();
            if ledger.would_refuse(period.balance_id, amount) {
                ledger.count_refusal(period.balance_id);
            }
            let reserved = Move { reservation_id: Some(self.reservation_id), reserved: amount, ..Move::default() };
            ledger.apply(period.balance_id, reserved, ExcessCause::Unreserved, BudgetBalanceEvent::Reserved);
            lines.push(ReservationLine { budget_id: period.budget_id, balance_id: period.balance_id, amount });
        }
        let granted = ReservationGranted {
            fixed: self.fixed.clone(),
            declared: self.declared.clone(),
            service_tier: self.estimate.service_tier.clone(),
            speed: self.estimate.speed.clone(),
            region: self.estimate.region.clone(),
            usage: bound.usage,
            cost: bound.cost,
            book_version: bound.book_version,
            partly,
            lines,
            expires_at: self.expires_at,
            sent: self.sent,
            holder: self.holder,
            at: self.at,
        };
        SpendEvents {
            reservation: vec![ReservationEvent::Granted(granted)],
            balances: ledger.into_events(),
            approval: None,
        }
    }

    fn refused(&self, refusal: Refusal) -> SpendEvents {
        let (fixed, declared) = (self.fixed.clone(), self.declared.clone());
        let refused = ReservationRefused { fixed, declared, refusal, at: self.at };
        SpendEvents { reservation: vec![ReservationEvent::Refused(refused)], ..SpendEvents::default() }
    }
}
