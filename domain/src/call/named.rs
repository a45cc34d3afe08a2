//! Decisions over all calls that the ids of one record name.
//!
//! A record may have several keys, and each gives an id. All calls that these ids name are one: the one with the lowest id
//! remains, with the join of all records, and every other id is voided into it. So the calls that remain after any number of
//! records are those of the connected keys, each under its lowest id, whatever the order of the records.
//!
//! A voided id names the call that it was voided into, which may be voided later. Ids that are followed get lower with each
//! step. They are derived by hashing, so that of n keys of one call, about ln n become its lowest one after another, and no
//! more steps than that are to be expected. If a command had to follow many ids, the indirect ones of its own are voided
//! again, into the call that remains, so that an id that is in use stays near to its call whatever the ids are.

use super::{AbsorbedCall, Call, CallCommand, CallError, CallEvent, CallVoided, Record, report};
use crate::aggregate::Aggregate;
use crate::call::identity::CallIds;
use crate::ids::{CallId, ReservationId};
use crate::tag_keys::TagKeys;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most ids that a command may follow to find its call. More are not to be expected, but clients may choose ids so.
pub const MAX_FOLLOWED_IDS: usize = 32;

/// The most ids that a command follows without shortening the way, so that a record that says nothing new changes nothing.
const MANY_FOLLOWED_IDS: usize = MAX_FOLLOWED_IDS / 2;

/// The calls that some ids name: at least one, none of them voided. A call that was never reported has the default state.
#[derive(Debug, Clone)]
pub struct NamedCalls {
    lowest: (CallId, Arc<Call>),
    others: BTreeMap<CallId, Arc<Call>>,
    /// The ids of the command that name their call by way of other voided ids, if many ids were followed.
    indirect: Vec<CallId>,
}

impl NamedCalls {
    /// Follows voided ids to the calls that they were voided into. All states that are needed are asked for before the first
    /// of them is looked at.
    ///
    /// # Errors
    /// The first error of `get`, which returns the state of the stream with an id; within the result,
    /// [`CallError::TooManyIds`] if there are more than [`MAX_FOLLOWED_IDS`].
    pub fn resolve<E>(
        ids: &CallIds,
        mut get: impl FnMut(CallId) -> Result<Arc<Call>, E>,
    ) -> Result<Result<Self, CallError>, E> {
        let (mut calls, mut pointers) = (BTreeMap::new(), BTreeMap::new());
        let mut seen: BTreeSet<_> = ids.iter().collect();
        let mut next: Vec<_> = ids.iter().collect();
        while !next.is_empty() {
            if seen.len() > MAX_FOLLOWED_IDS {
                return Ok(Err(CallError::TooManyIds { limit: MAX_FOLLOWED_IDS }));
            }
            let states: Vec<_> = std::mem::take(&mut next).into_iter().map(|id| (id, get(id))).collect();
            for (id, state) in states {
                let state = state?;
                match state.voided_into {
                    Some(into) if into < id => {
                        pointers.insert(id, into);
                        next.extend(seen.insert(into).then_some(into));
                    }
                    Some(_) | None => _ = calls.insert(id, state),
                }
            }
        }
        // There is a call: the lowest id that was seen names no lower one.
        let lowest = calls.pop_first().unwrap_or_else(|| (ids.highest(), Arc::default()));
        let is_long = seen.len() > MANY_FOLLOWED_IDS;
        let is_indirect = |id: &CallId| is_long && pointers.get(id).is_some_and(|into| pointers.contains_key(into));
        let indirect = ids.iter().filter(is_indirect).collect();
        Ok(Ok(Self { lowest, others: calls, indirect }))
    }

    /// The call that all of the ids name after the command.
    #[must_use]
    pub fn remaining(&self) -> CallId {
        self.lowest.0
    }

    /// The state of the remaining call before the command.
    #[must_use]
    pub fn remaining_call(&self) -> &Call {
        &self.lowest.1
    }

    /// The reservations that the calls settled.
    pub fn reservations(&self) -> impl Iterator<Item = ReservationId> {
        let calls = std::iter::once(&self.lowest.1).chain(self.others.values());
        calls.filter_map(|call| call.charged.as_ref()?.reservation_id)
    }

    /// The calls that are voided by a report: those that were recorded under another id than the lowest one.
    pub fn voided(&self) -> impl Iterator<Item = CallId> {
        self.others.iter().filter(|(_, call)| call.charged.is_some()).map(|(id, _)| *id)
    }

    /// Decides a command to the call that all of the ids name, and returns the events with the ids of their streams. A
    /// report ties the calls together. A correction names one id.
    ///
    /// The event of the remaining call states what it absorbed, and is the only one that changes a sum over the calls: no
    /// reader that keeps sums finds a call missing or counted twice in between, whichever of the streams it has read.
    ///
    /// # Errors
    /// [`CallError`] if the remaining call rejects the command, or if the calls are of different kinds.
    pub fn decide(&self, command: CallCommand) -> Result<Vec<(CallId, CallEvent)>, CallError> {
        let (into, call) = (self.lowest.0, &self.lowest.1);
        let voided = |id: &CallId| (*id, CallEvent::Voided(CallVoided { into }));
        let shortened = self.indirect.iter().map(voided);
        let (record, prices, tag_keys, is_charge) = match command {
            CallCommand::Report { facts, prices, tag_keys, reported_by } if !self.others.is_empty() => {
                (Record { facts, reported_by }, prices, tag_keys, false)
            }
            CallCommand::Charge { facts, prices, reported_by } if !self.others.is_empty() => {
                let calls = [call].into_iter().chain(self.others.values());
                let reported_by = calls.fold(reported_by, |reporters, call| call.with_reporters_of_repeat(reporters));
                // Spans have no tags.
                (Record { facts, reported_by }, prices, TagKeys::default(), true)
            }
            command @ (CallCommand::Report { .. }
            | CallCommand::Charge { .. }
            | CallCommand::Correct { .. }
            | CallCommand::Reprice { .. }
            | CallCommand::Reverse
            | CallCommand::Name { .. }
            | CallCommand::Void { .. }
            | CallCommand::TakeBack { .. }) => {
                let events = call.decide(command)?.into_iter().map(|event| (into, event));
                return Ok(shortened.chain(events).collect());
            }
        };
        let known = [call].into_iter().chain(self.others.values());
        known.clone().try_for_each(|call| call.check_not_void())?;
        if !is_charge && known.clone().all(|call| call.charged.is_none()) {
            for (&id, call) in [(&into, call)].into_iter().chain(&self.others) {
                if let Some(events) = call.report_of_repeat(&record)? {
                    return Ok(shortened.chain(events.into_iter().map(|event| (id, event))).collect());
                }
            }
        }
        let after = report(known.filter_map(|call| call.charged.as_ref()), record, &prices, &tag_keys)?;
        let absorbed = self.others.iter();
        let absorbed = absorbed.filter_map(|(&id, call)| Some(AbsorbedCall { id, before: call.charged.clone()? }));
        let remaining = call.replace(after, absorbed.collect()).map(|event| (into, event));
        Ok(shortened.chain(self.others.keys().map(voided)).chain(remaining).collect())
    }
}

#[cfg(test)]
mod tests;
