//! Reservations: what a call may cost at most is set aside, before it is made, in every budget that applies to it.
//!
//! A reservation is a stream of its own, which has its state: a retry finds it there, also if other budgets apply by then. It is
//! granted in one append with all of its budgets, or refused and recorded on its own stream alone. A call settles it in the append
//! that records the call.

mod error;
mod estimate;
mod event;
mod fitting;
mod follow_up;
mod lifecycle;
mod limits;
mod reserve;

pub use error::ReservationError;
pub use estimate::{Alternatives, Estimate};
pub use event::{
    FollowUp, Holder, Refusal, RefusalReason, ReservationEvent, ReservationExpired, ReservationExtended,
    ReservationGranted, ReservationLine, ReservationRefused, ReservationReleased, ReservationSettled,
};
pub use lifecycle::{Extend, expire, extend, release};
pub use limits::{MAX_HOLD, MAX_SETTLEMENT_CALLS, MIN_HOLD};
pub use reserve::{Reserve, reserve};

use crate::aggregate::Aggregate;
use crate::approval::ApprovalRequested;
use crate::budget::Amount;
use crate::budget::{Attributes, BudgetDimension};
use crate::budget_balance::{BalanceEvents, PeriodRef, Wanted};
use crate::call::CallFacts;
use crate::ids::{AgentId, CallId};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use uuid::Uuid;

/// The events of a decision about a reservation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpendEvents {
    /// Those of the reservation.
    pub reservation: Vec<ReservationEvent>,
    /// Those of the periods of budgets.
    pub balances: BalanceEvents,
    /// The request for approval that a refusal opens.
    pub approval: Option<ApprovalRequested>,
}

impl SpendEvents {
    /// The events without the request for approval: what is refused stays so, and nothing follows.
    fn without_request(mut self) -> Self {
        self.approval = None;
        for event in &mut self.reservation {
            if let ReservationEvent::Refused(refused) = event {
                refused.refusal.follow_up = None;
            }
        }
        self
    }
}

/// The status of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    /// It was refused.
    Refused,
    /// It is set aside.
    Held,
    /// A command released it.
    Released,
    /// It expired, and its call was not sent.
    Lapsed,
    /// It expired, and its call was sent: it is charged in full until it is settled.
    Assumed,
    /// A call settled it.
    Settled,
}

/// The state of a reservation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// Whether it is held; none before it was asked for.
    pub status: Option<ReservationStatus>,
    /// What was granted, with the last extension; none if it was refused.
    pub granted: Option<ReservationGranted>,
    /// Why it was refused.
    pub refused: Option<ReservationRefused>,
    /// The call that settled it.
    pub call_id: Option<CallId>,
}

impl Reservation {
    /// The lines against budgets; none of a refused one.
    pub fn lines(&self) -> impl Iterator<Item = &ReservationLine> {
        self.granted.iter().flat_map(|granted| &granted.lines)
    }

    /// The lines that are held, reserved or assumed.
    pub(crate) fn held_lines(&self) -> impl Iterator<Item = &ReservationLine> {
        let is_held = matches!(self.status, Some(ReservationStatus::Held | ReservationStatus::Assumed));
        self.lines().filter(move |_| is_held)
    }

    /// What the credential and the client said of the call; none before the reservation was asked for.
    pub(crate) fn stated(&self) -> Option<(&Attributes, &Attributes)> {
        let granted = self.granted.as_ref().map(|granted| (&granted.fixed, &granted.declared));
        granted.or_else(|| self.refused.as_ref().map(|refused| (&refused.fixed, &refused.declared)))
    }

    pub(crate) fn period_refs(&self) -> Vec<PeriodRef> {
        self.lines().map(ReservationLine::period).collect()
    }

    /// The periods of the lines, to which nothing is added.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.lines().map(|line| Wanted { period: line.period(), more: Amount::ZERO, asks: false })
    }

    /// What is known of a call that settles the reservation: what the credential said, else what the facts say, else what the
    /// client declared when it reserved.
    #[must_use]
    pub fn attributes_with(&self, facts: Attributes) -> Attributes {
        let Some(granted) = &self.granted else { return facts };
        let mut attributes = granted.declared.clone();
        attributes.extend(facts);
        attributes.extend(granted.fixed.clone());
        attributes
    }
}

impl Reservation {
    /// Checks who settles, extends or releases the reservation. What the gateway sets aside for a call that it passes on is not
    /// free before the call has ended, whatever its client says.
    fn check_holder(&self, by: Holder) -> Result<(), ReservationError> {
        let holder = self.granted.as_ref().map_or(by, |granted| granted.holder);
        if holder == Holder::Gateway && by == Holder::Client { Err(ReservationError::HeldByGateway) } else { Ok(()) }
    }

    /// Whether a call may settle the reservation. False if this call did so before: its report is as any other then.
    ///
    /// # Errors
    /// [`ReservationError`] if there is no reservation that the call may settle, or its holder is another.
    pub fn accepts(&self, call_id: CallId, by: Holder) -> Result<bool, ReservationError> {
        self.check_holder(by)?;
        match (self.status, self.call_id) {
            (None, _) => Err(ReservationError::NotFound),
            (Some(ReservationStatus::Refused), _) => Err(ReservationError::NotGranted),
            (Some(ReservationStatus::Settled), Some(settled_by)) if settled_by != call_id => {
                Err(ReservationError::SettledByOther(settled_by))
            }
            (Some(ReservationStatus::Settled), _) => Ok(false),
            // Also one that expired or was released: the call was made.
            (
                Some(
                    ReservationStatus::Held
                    | ReservationStatus::Released
                    | ReservationStatus::Lapsed
                    | ReservationStatus::Assumed,
                ),
                _,
            ) => Ok(true),
        }
    }
}

/// What is known of a call, with the reservation that it settled, if it settled one.
#[must_use]
pub fn attributes_of_call(facts: &CallFacts, reservation: Option<&Reservation>) -> Attributes {
    let known = crate::budget::attributes_of(facts);
    match reservation {
        Some(reservation) => reservation.attributes_with(known),
        None => known,
    }
}

fn agent_of(fixed: &Attributes, declared: &Attributes) -> Option<AgentId> {
    let agent = fixed.get(&BudgetDimension::Agent).or_else(|| declared.get(&BudgetDimension::Agent))?;
    Uuid::try_parse(agent.as_str()).ok().map(AgentId)
}

impl Aggregate for Reservation {
    const CATEGORY: &'static str = "reservation";
    type Command = Infallible;
    type Event = ReservationEvent;
    type Error = ReservationError;

    fn decide(&self, command: Infallible) -> Result<Vec<ReservationEvent>, ReservationError> {
        match command {}
    }

    fn evolve(mut self, event: &ReservationEvent) -> Self {
        let status = match event {
            ReservationEvent::Granted(granted) => {
                self.granted = Some(granted.clone());
                ReservationStatus::Held
            }
            ReservationEvent::Refused(refused) => {
                self.refused = Some(refused.clone());
                ReservationStatus::Refused
            }
            ReservationEvent::Extended(extended) => {
                if let Some(granted) = &mut self.granted {
                    granted.usage = extended.usage;
                    granted.cost = extended.cost;
                    granted.book_version = extended.book_version;
                    granted.lines.clone_from(&extended.lines);
                    granted.expires_at = extended.expires_at;
                    granted.sent = extended.sent;
                }
                ReservationStatus::Held
            }
            ReservationEvent::Released(_) => ReservationStatus::Released,
            ReservationEvent::Expired(expired) if expired.assumed => ReservationStatus::Assumed,
            ReservationEvent::Expired(_) => ReservationStatus::Lapsed,
            ReservationEvent::Settled(settled) => {
                self.call_id = Some(settled.call_id);
                ReservationStatus::Settled
            }
        };
        self.status = Some(status);
        self
    }

    fn owner(&self, _: Uuid) -> Option<AgentId> {
        self.stated().and_then(|(fixed, declared)| agent_of(fixed, declared))
    }
}

#[cfg(test)]
mod tests;
