//! A report that settles a reservation: budgets are charged in the append that records the call.

use super::{Call, CallAmended, CallCommand, CallError, CallEvent, CallRecorded, ChargedCall, NamedCalls};
use crate::aggregate::Aggregate as _;
use crate::ids::{CallId, ReservationId};

impl NamedCalls {
    /// As [`NamedCalls::decide`], for a report of a call that a reservation was made for. The event of the remaining call names the
    /// reservation, also if the report says nothing new. A call that is not counted, because it repeats others, names none.
    ///
    /// # Errors
    /// As [`NamedCalls::decide`].
    pub fn decide_settlement(
        &self,
        command: CallCommand,
        reservation_id: ReservationId,
    ) -> Result<Vec<(CallId, CallEvent)>, CallError> {
        let (remaining, call) = (self.remaining(), self.remaining_call());
        let mut events = self.decide(command)?;
        let named = |call: ChargedCall| ChargedCall { reservation_id: Some(reservation_id), ..call };
        let settles = Some(reservation_id);
        let position = events.iter().rposition(|(id, _)| *id == remaining);
        let stated = position.map(|position| events.remove(position).1);
        let event = match stated {
            Some(CallEvent::Recorded(recorded)) => {
                Some(CallEvent::Recorded(CallRecorded { after: named(recorded.after), settles, ..recorded }))
            }
            Some(CallEvent::Amended(amended)) => {
                Some(CallEvent::Amended(CallAmended { after: named(amended.after), settles, ..amended }))
            }
            other => match &call.charged {
                Some(before) => {
                    let after = named(after(call, before, other.as_ref()));
                    let before = before.clone();
                    Some(CallEvent::Amended(CallAmended {
                        before,
                        after,
                        absorbed: Vec::new(),
                        settles,
                        in_part: false,
                    }))
                }
                None => other,
            },
        };
        events.extend(event.map(|event| (remaining, event)));
        Ok(events)
    }
}

/// A counted call after an event that changes nothing but who reported it.
fn after(call: &Call, before: &ChargedCall, event: Option<&CallEvent>) -> ChargedCall {
    let folded = event.and_then(|event| call.clone().evolve(event).charged);
    folded.unwrap_or_else(|| before.clone())
}
