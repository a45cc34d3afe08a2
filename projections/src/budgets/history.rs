//! The history of a budget: its terms, and what was decided by them, from the log itself.
//!
//! Terms are on the stream of the budget, decisions on those of reservations, which may be about other budgets: a page reads a limited
//! number of events, and says where the next one goes on.

use crate::history::HistoryError;
use chrono::{DateTime, Utc};
use domain::budget::{Amount, Budget, BudgetDimension, BudgetEvent, BudgetTerms, Delegation};
use domain::permissions::{Access, ReadSpending};
use domain::reservation::{Refusal, ReservationEvent, ReservationLine};
use domain::{Aggregate, BudgetId, DelegationId, Event, EventCodec};
use streams::{Position, RecordedEvent, TenantFilter, TenantLog};
use uuid::Uuid;

/// The most events that are read for a page of the history of a budget.
pub const MAX_HISTORY_EVENTS: usize = 20_000;
/// Events read from the log at once.
const READ_EVENTS: usize = 1000;

/// What a page of the history has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySelection {
    /// That the budget was defined, revised, suspended, resumed, raised or closed.
    pub terms: bool,
    /// Reservations that were granted or extended.
    pub grants: bool,
    /// Reservations that the budget refused.
    pub refusals: bool,
}

/// What happened to a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum HistoryChange {
    /// It was defined.
    Defined(BudgetTerms),
    /// Its terms were changed.
    Revised(BudgetTerms),
    /// Its enforcement was suspended.
    Suspended,
    /// It is enforced again.
    Resumed,
    /// Its limit was raised for a time.
    Raised {
        /// What is added to the limit.
        amount: Amount,
        /// When the raise ends.
        until: DateTime<Utc>,
    },
    /// A part of the limit was delegated.
    Delegated(Delegation),
    /// A delegation ended.
    DelegationEnded(DelegationId),
    /// It was closed.
    Closed,
    /// A reservation was granted.
    Granted {
        /// The reservation.
        reservation_id: Uuid,
        /// What is reserved in the budget.
        amount: Amount,
        /// The agent of the call; none if it was not stated.
        agent: Option<String>,
    },
    /// A reservation was extended, or its call was sent.
    Extended {
        /// The reservation.
        reservation_id: Uuid,
        /// What is reserved in the budget from now on.
        amount: Amount,
    },
    /// A reservation was refused.
    Refused {
        /// The reservation.
        reservation_id: Uuid,
        /// Why.
        refusal: Refusal,
        /// The agent of the call; none if it was not stated.
        agent: Option<String>,
    },
}

/// An entry of the history of a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The position of the event.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// Who gave the command; none if the metadata of the event does not say.
    pub actor: Option<String>,
    /// The reason that was given; none if none was.
    pub reason: Option<String>,
    /// What happened.
    pub change: HistoryChange,
}

/// A page of the history of a budget, the last entry first.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// The entries: fewer than asked for if as many events were read as may be.
    pub entries: Vec<HistoryEntry>,
    /// The position before which the next page begins; none if there is nothing before.
    pub before: Option<Position>,
}

/// A page of the history of a budget: up to `limit` entries before a position, or the last ones.
///
/// # Errors
/// [`HistoryError`] if the log cannot be read, or an event of it cannot be decoded.
pub async fn history(
    log: &TenantLog,
    access: &Access<ReadSpending>,
    budget_id: BudgetId,
    selection: HistorySelection,
    before: Option<Position>,
    limit: usize,
) -> Result<HistoryPage, HistoryError> {
    let types = types(selection);
    let (mut entries, mut read) = (Vec::new(), 0);
    // Without a type the filter would select all events.
    if types.is_empty() || limit == 0 {
        return Ok(HistoryPage { entries, before: None });
    }
    let stream = (!selection.grants && !selection.refusals).then_some(budget_id.0);
    let filter = TenantFilter::new(access, None, types, stream);
    let mut before = before.unwrap_or(Position::from(i64::MAX.unsigned_abs()));
    while read < MAX_HISTORY_EVENTS {
        let events = log.find_before(before, &filter, READ_EVENTS).await?;
        if events.is_empty() {
            return Ok(HistoryPage { entries, before: None });
        }
        read += events.len();
        for recorded in events {
            if entries.len() == limit {
                return Ok(HistoryPage { entries, before: Some(before) });
            }
            before = recorded.position;
            entries.extend(entry(budget_id, &recorded)?);
        }
    }
    Ok(HistoryPage { entries, before: Some(before) })
}

/// The types of the events that a history is made of.
fn types(selection: HistorySelection) -> Vec<String> {
    let of_budget = BudgetEvent::TYPES.iter().filter(|_| selection.terms);
    let of_reservation = ReservationEvent::TYPES.iter().filter(|of| match of.name {
        "reservation.granted" | "reservation.extended" => selection.grants,
        "reservation.refused" => selection.refusals,
        _ => false,
    });
    of_budget.chain(of_reservation).map(|of| of.name.to_owned()).collect()
}

/// The entry of an event; none if it is not about the budget.
fn entry(budget_id: BudgetId, recorded: &RecordedEvent) -> Result<Option<HistoryEntry>, HistoryError> {
    let found = match recorded.decode()? {
        Event::Budget(event) if *recorded.stream.category == *Budget::CATEGORY && recorded.stream.id == budget_id.0 => {
            Some(of_budget(event))
        }
        Event::Reservation(event) => of_reservation(budget_id, recorded.stream.id, event).map(|change| (change, None)),
        _ => None,
    };
    let actor = recorded.metadata().ok().map(|metadata| metadata.actor);
    Ok(found.map(|(change, reason)| HistoryEntry {
        position: recorded.position,
        recorded_at: recorded.recorded_at,
        actor,
        reason,
        change,
    }))
}

fn of_budget(event: BudgetEvent) -> (HistoryChange, Option<String>) {
    let text = |reason: Option<domain::Body>| reason.map(|reason| reason.to_string());
    match event {
        BudgetEvent::Defined(defined) => (HistoryChange::Defined(defined.terms), text(defined.reason)),
        BudgetEvent::Revised(revised) => (HistoryChange::Revised(revised.terms), text(revised.reason)),
        BudgetEvent::Closed(_) => (HistoryChange::Closed, None),
        BudgetEvent::Suspended(suspended) => (HistoryChange::Suspended, text(Some(suspended.reason))),
        BudgetEvent::Resumed(resumed) => (HistoryChange::Resumed, text(resumed.reason)),
        BudgetEvent::Delegated(delegated) => {
            (HistoryChange::Delegated(delegated.delegation), text(Some(delegated.reason)))
        }
        BudgetEvent::DelegationEnded(ended) => {
            (HistoryChange::DelegationEnded(ended.delegation_id), text(Some(ended.reason)))
        }
        BudgetEvent::Raised(raised) => {
            (HistoryChange::Raised { amount: raised.amount, until: raised.until }, text(Some(raised.reason)))
        }
    }
}

fn of_reservation(budget_id: BudgetId, reservation_id: Uuid, event: ReservationEvent) -> Option<HistoryChange> {
    let amount =
        |lines: &[ReservationLine]| lines.iter().find(|line| line.budget_id == budget_id).map(|line| line.amount);
    let agent = |fixed: &domain::budget::Attributes, declared: &domain::budget::Attributes| {
        let agent = fixed.get(&BudgetDimension::Agent).or_else(|| declared.get(&BudgetDimension::Agent));
        agent.map(ToString::to_string)
    };
    match event {
        ReservationEvent::Granted(granted) => {
            let (amount, agent) = (amount(&granted.lines)?, agent(&granted.fixed, &granted.declared));
            Some(HistoryChange::Granted { reservation_id, amount, agent })
        }
        ReservationEvent::Extended(extended) => {
            Some(HistoryChange::Extended { reservation_id, amount: amount(&extended.lines)? })
        }
        ReservationEvent::Refused(refused) => {
            let agent = agent(&refused.fixed, &refused.declared);
            let is_own = refused.refusal.budget_id == budget_id;
            is_own.then_some(HistoryChange::Refused { reservation_id, refusal: refused.refusal, agent })
        }
        ReservationEvent::Released(_) | ReservationEvent::Expired(_) | ReservationEvent::Settled(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = include_str!("../../../domain/tests/golden/reservation.refused.v1.json");
    const GRANTED: &str = include_str!("../../../domain/tests/golden/reservation.granted.v1.json");

    fn change(name: &str, payload: &str, budget_id: BudgetId) -> Option<HistoryChange> {
        let event = ReservationEvent::decode(name, 1, payload).unwrap();
        of_reservation(budget_id, Uuid::nil(), event)
    }

    #[test]
    fn only_the_types_that_are_selected_are_read() {
        let none = HistorySelection { terms: false, grants: false, refusals: false };
        assert!(types(none).is_empty());
        assert_eq!(types(HistorySelection { refusals: true, ..none }), ["reservation.refused"]);
        assert_eq!(types(HistorySelection { grants: true, ..none }), ["reservation.granted", "reservation.extended"]);
        assert_eq!(types(HistorySelection { terms: true, ..none }).len(), BudgetEvent::TYPES.len());
    }

    #[test]
    fn decisions_about_other_budgets_are_left_out() {
        let ReservationEvent::Refused(refused) = ReservationEvent::decode("reservation.refused", 1, REFUSED).unwrap()
        else {
            panic!("{REFUSED}")
        };
        let own = change("reservation.refused", REFUSED, refused.refusal.budget_id).unwrap();
        let HistoryChange::Refused { agent, .. } = own else { panic!("{own:?}") };
        assert_eq!(agent.as_deref(), Some("0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01"));
        assert_eq!(change("reservation.refused", REFUSED, BudgetId(Uuid::nil())), None);
        let ReservationEvent::Granted(granted) = ReservationEvent::decode("reservation.granted", 1, GRANTED).unwrap()
        else {
            panic!("{GRANTED}")
        };
        let line = granted.lines.first().unwrap();
        let own = change("reservation.granted", GRANTED, line.budget_id);
        assert!(matches!(own, Some(HistoryChange::Granted { amount, .. }) if amount == line.amount), "{own:?}");
        assert_eq!(change("reservation.granted", GRANTED, BudgetId(Uuid::nil())), None);
    }
}
