//! Reports of calls that settle a reservation: the call, the reservation and the budgets change in one append.

use crate::attempts::Execution;
use crate::calls::{CallChange, CallOutcome};
use crate::context::Context;
use crate::error::Error;
use crate::executor::{Commands, erased};
use crate::kind::AggregateKey;
use crate::outcome::{Outcome, OutcomeKind};
use crate::reservations::append_spend;
use crate::states::{MAX_DECISION_AGGREGATES, States, Undecided};
use chrono::{DateTime, Utc};
use domain::budget_catalogue::BudgetCatalogue;
use domain::call::{Call, CallCommand, CallEvent, CallIds, NamedCalls};
use domain::charging::{MAX_SETTLEMENT_PERIODS, settle};
use domain::reservation::{Holder, MAX_SETTLEMENT_CALLS, Reservation, ReservationError};
use domain::{CallId, ReservationId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The reservation and the catalogue, beside calls and periods.
const OTHERS: usize = 2;
const _: () = assert!(
    OTHERS + MAX_SETTLEMENT_CALLS + MAX_SETTLEMENT_PERIODS <= MAX_DECISION_AGGREGATES,
    "every settlement fits into one decision"
);

/// A report of a call that a reservation was made for.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The ids that name the call.
    pub call_ids: CallIds,
    /// The report.
    pub report: CallCommand,
    /// The reservation.
    pub reservation_id: ReservationId,
    /// Who settles it.
    pub by: Holder,
    /// When it is settled, by the clock of the server.
    pub at: DateTime<Utc>,
}

/// What the last call of the decision function decided.
struct Settled {
    call_id: CallId,
    call: Arc<Call>,
    change: CallChange,
    voided: Vec<CallId>,
}

impl Commands {
    /// Reports a call that settles a reservation: what it costs is charged instead of what was reserved. If the call settled it
    /// before, this is a report as any other.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn settle_call(
        &self,
        context: &Context,
        settlement: &Settlement,
    ) -> Result<CallOutcome, Error<ReservationError>> {
        // A decision has no effect but this note of its result. The last call is the one that counts.
        let noted = Mutex::new(None);
        let decide = erased(|states: &mut States| {
            let settled = decide_settlement(states, settlement)?;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(settled);
            Ok(())
        });
        let key = |id: CallId| AggregateKey::of::<Call>(context.principal.tenant(), id.0);
        let target = key(settlement.call_ids.highest());
        let keys: Vec<_> = settlement.call_ids.iter().map(key).collect();
        let execution = Execution { context, target, may_change_others: true, assume_new: &keys, decide: &decide };
        let Outcome { kind, position, aggregate } = self.run::<Call, _>(execution).await?;
        let noted = noted.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = match noted {
            Some(Settled { call_id, call, change, voided }) if kind == OutcomeKind::Done => {
                let is_new = change == CallChange::Recorded && voided.is_empty();
                CallOutcome { kind, position, call_id, call, is_new, change, voided }
            }
            Some(_) | None => {
                let (call_id, call) = (settlement.call_ids.highest(), aggregate.state.clone());
                let (change, voided) = (CallChange::None, Vec::new());
                CallOutcome { kind, position, call_id, call, is_new: false, change, voided }
            }
        };
        Ok(outcome)
    }
}

fn decide_settlement(states: &mut States, settlement: &Settlement) -> Result<Settled, Undecided<ReservationError>> {
    let Settlement { call_ids, report, reservation_id, by, at } = settlement;
    let state = states.get::<Reservation>(reservation_id.0);
    let catalogue = states.get::<BudgetCatalogue>(BudgetCatalogue::id());
    let mut asked_for = 0;
    let calls = NamedCalls::resolve(call_ids, |id| {
        asked_for += 1;
        states.get::<Call>(id.0)
    })?;
    let calls = calls.map_err(|error| Undecided::Rejected(error.into()))?;
    let (state, catalogue) = (state?, catalogue?);
    let (call_id, voided) = (calls.remaining(), calls.voided().collect::<Vec<_>>());
    for id in voided.iter().chain([&call_id]) {
        states.check_owner::<Call, _>(id.0)?;
    }
    states.check_owner::<Reservation, _>(reservation_id.0)?;
    states.check_expected_version::<Call, _>(call_id.0)?;
    // It may have been settled under another id of the call, which is voided since, or by this report.
    let was_settled = calls.reservations().any(|settled| settled == *reservation_id);
    let is_settled_now = !was_settled && state.accepts(call_id, *by).map_err(Undecided::Rejected)?;
    let before = calls.remaining_call().charged.as_ref().and_then(|charged| charged.reservation_id);
    if let (true, Some(other)) = (is_settled_now, before) {
        return Err(Undecided::Rejected(ReservationError::CallHasOther(other)));
    }
    let events = if is_settled_now {
        calls.decide_settlement(report.clone(), *reservation_id)
    } else {
        calls.decide(report.clone())
    };
    let events = events.map_err(|error| Undecided::Rejected(error.into()))?;
    let change = CallChange::of(events.iter().map(|(_, event)| event));
    let (mut spend, mut in_part) = (None, false);
    if is_settled_now {
        let event = events.iter().map(|(_, event)| event).find(|event| event.settles().is_some());
        let others = other_reservations(states, event, *reservation_id, asked_for)?;
        let reservation = (*reservation_id, &*state);
        let settled = settle(reservation, (call_id, event), &others, &catalogue, *at, |id| states.get(id))?;
        (spend, in_part) = (Some(settled.spend), settled.in_part);
    }
    for (id, event) in events {
        let event = if in_part && event.settles().is_some() { event.in_part() } else { event };
        states.append::<Call, _>(id.0, vec![event])?;
    }
    if let Some(spend) = spend {
        append_spend(states, *reservation_id, spend)?;
    }
    Ok(Settled { call_id, call: states.get::<Call>(call_id.0)?, change, voided })
}

/// The other reservations whose calls an event states, which are not more than a decision takes beside the calls that it asked for.
fn other_reservations(
    states: &mut States,
    event: Option<&CallEvent>,
    reservation_id: ReservationId,
    asked_for: usize,
) -> Result<BTreeMap<ReservationId, Arc<Reservation>>, Undecided<ReservationError>> {
    let stated = event.into_iter().flat_map(CallEvent::reservations);
    let ids: BTreeSet<_> = stated.filter(|id| *id != reservation_id).collect();
    let found = asked_for + ids.len();
    if found > MAX_SETTLEMENT_CALLS {
        return Err(Undecided::Rejected(ReservationError::TooManyCalls { found }));
    }
    let loaded: Vec<_> = ids.into_iter().map(|id| (id, states.get::<Reservation>(id.0))).collect();
    loaded.into_iter().map(|(id, state)| Ok((id, state?))).collect()
}
