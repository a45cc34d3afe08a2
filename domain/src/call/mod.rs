//! Calls: one LLM or tool call, charged once, regardless of how many sources report it and how often.
//!
//! Agents report one call in several records: one log line per content block, one span per layer, retries of an
//! exporter. The facts are the [join](join) of all records, which does not depend on their order or repetition. The charge
//! is a function of the facts and of the version of the price book that first had a price for the call. An amendment
//! carries the facts before and after it, so that a reader of the log can subtract the one and add the other without
//! keeping state per call.
//!
//! [`CallKey`] says which records are of one call. A record with several keys ties the calls together that the keys name:
//! [`NamedCalls`] decides over all of them, and voids all but the one with the lowest id.

mod counted;
mod error;
mod event;
mod fields;
mod identity;
mod join;
mod named;
mod names;
mod naming;
mod read;
mod repeat;
mod reporters;
mod repricing;
mod settling;
mod taking_back;
mod values;

pub use crate::provider::provider_name;
pub use error::CallError;
pub use event::{
    AbsorbedCall, CallAmended, CallConfirmed, CallCorrected, CallEvent, CallRecorded, CallReportWithdrawn,
    CallRepriced, CallReversed, CallVoided, ChargedCall,
};
pub use fields::{CallFacts, DataClass, Field, MAX_LATENCY_MS};
pub use identity::{CallIds, CallKey};
pub use join::{GATEWAY_SOURCE, Origin, Provenance, RecordKey};
pub use named::{MAX_FOLLOWED_IDS, NamedCalls};
pub use names::CallNames;
pub use reporters::Reporters;
pub use repricing::Repricing;
pub use values::{
    CallKind, CallSpan, CostSource, Outcome, ReportedCost, SpanId, Tags, TagsError, TraceId, TraceIdError,
};

use crate::aggregate::{Abridged, Aggregate};
use crate::call::counted::counted_tags;
use crate::call::join::Joined;
use crate::ids::{AgentId, CallId, ImportId};
use crate::price_book::{ChargeError, PriceBook};
use crate::tag_keys::TagKeys;
use crate::text::Body;
use crate::timestamp::without_leap_second;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A command to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallCommand {
    /// Reports the facts of one record.
    Report {
        /// The facts of the record.
        facts: CallFacts,
        /// The price book.
        prices: PriceBook,
        /// The declared tag keys. They may be left out if the command states no tags.
        tag_keys: TagKeys,
        /// Who reports it: the import that the record belongs to, if it belongs to one.
        reported_by: Reporters,
    },
    /// Reports the facts of a span, of which its trace decided that it is a call and repeats no others.
    Charge {
        /// The facts of the span.
        facts: CallFacts,
        /// The price book.
        prices: PriceBook,
        /// Who reports the span.
        reported_by: Reporters,
    },
    /// Corrects fields. No later record changes them; a later correction may. If calls that are tied together were corrected
    /// in the same field, the latest correction counts; one to the same values again is later.
    Correct {
        /// The corrected fields.
        fields: BTreeSet<Field>,
        /// The values of the corrected fields. Other fields are ignored.
        values: CallFacts,
        /// Why the call is corrected.
        reason: Body,
        /// When the call was corrected.
        at: DateTime<Utc>,
        /// The price book.
        prices: PriceBook,
        /// The declared tag keys. They may be left out if the command states no tags.
        tag_keys: TagKeys,
    },
    /// Charges the call by the newest version of the price book instead of the one that it was charged by.
    Reprice {
        /// Why the call is charged again.
        reason: Option<Body>,
        /// When the call was charged again.
        at: DateTime<Utc>,
        /// The price book.
        prices: PriceBook,
    },
    /// Reverses the charge of a call whose only record turned out to repeat other calls.
    Reverse,
    /// Sets what one of the records of the call says of whose the call is, whatever it said before: an outer span that names
    /// the agent may come after the call.
    Name {
        /// The record.
        record: RecordKey,
        /// What it says. It says nothing new about what is not named.
        names: CallNames,
    },
    /// Voids a call that was reported wrongly, for good: later reports of it are rejected.
    Void {
        /// Why the call is voided.
        reason: Body,
        /// When the call was voided.
        at: DateTime<Utc>,
    },
    /// Takes back an import. If it alone reported the call, the call is reversed; otherwise the call stays as it is.
    TakeBack {
        /// The import.
        import_id: ImportId,
        /// Why the import is taken back.
        reason: Body,
        /// When the import was taken back.
        at: DateTime<Utc>,
    },
}

/// The state of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The facts and the charge; none before the first report, and after the call was voided or reversed.
    pub charged: Option<ChargedCall>,
    /// The call that this one was voided into.
    pub voided_into: Option<CallId>,
    /// Whether a command voided the call, for good.
    #[serde(default)]
    pub is_void: bool,
    /// The call as it was before it was reversed because it repeats others; none if it was not, and once it is recorded anew.
    #[serde(default)]
    pub repeat: Option<Box<ChargedCall>>,
}

impl Call {
    /// Whether the gateway passed the call on, and metered it.
    #[must_use]
    pub fn is_of_gateway(&self) -> bool {
        self.charged.as_ref().is_some_and(|charged| charged.facts.source.as_str() == GATEWAY_SOURCE)
    }

    fn report(&self, record: Record, prices: &PriceBook, tag_keys: &TagKeys) -> Result<Vec<CallEvent>, CallError> {
        self.check_not_voided()?;
        match self.report_of_repeat(&record)? {
            Some(events) => Ok(events),
            None => self.record(record, prices, tag_keys),
        }
    }

    fn charge(
        &self,
        facts: CallFacts,
        reported_by: Reporters,
        prices: &PriceBook,
    ) -> Result<Vec<CallEvent>, CallError> {
        self.check_not_voided()?;
        let record = Record { facts, reported_by: self.with_reporters_of_repeat(reported_by) };
        // Spans have no tags.
        self.record(record, prices, &TagKeys::default())
    }

    fn record(&self, record: Record, prices: &PriceBook, tag_keys: &TagKeys) -> Result<Vec<CallEvent>, CallError> {
        let after = report(self.charged.as_ref(), record, prices, tag_keys)?;
        Ok(self.replace(after, Vec::new()).into_iter().collect())
    }

    /// The event that replaces the facts and the charge, and those of absorbed calls; none if there is nothing to replace.
    fn replace(&self, after: ChargedCall, absorbed: Vec<AbsorbedCall>) -> Option<CallEvent> {
        match &self.charged {
            None => Some(CallEvent::Recorded(CallRecorded { after, absorbed, settles: None, in_part: false })),
            Some(before) if *before == after && absorbed.is_empty() => None,
            Some(before) if before.is_same_but_for_reporters(&after) && absorbed.is_empty() => {
                let reported_by = after.reported_by.beyond(&before.reported_by);
                Some(CallEvent::Confirmed(CallConfirmed { reported_by }))
            }
            Some(before) => {
                let before = before.clone();
                Some(CallEvent::Amended(CallAmended { before, after, absorbed, settles: None, in_part: false }))
            }
        }
    }

    fn check_not_voided(&self) -> Result<(), CallError> {
        self.check_not_voided_into()?;
        self.check_not_void()
    }

    fn check_not_voided_into(&self) -> Result<(), CallError> {
        self.voided_into.map_or(Ok(()), |into| Err(CallError::Voided(into)))
    }

    fn check_not_void(&self) -> Result<(), CallError> {
        if self.is_void { Err(CallError::Void) } else { Ok(()) }
    }

    fn correct(
        &self,
        fields: &BTreeSet<Field>,
        values: CallFacts,
        at: DateTime<Utc>,
        prices: &PriceBook,
        tag_keys: &TagKeys,
    ) -> Result<Option<(ChargedCall, ChargedCall)>, CallError> {
        self.check_not_voided()?;
        let before = self.charged.as_ref().ok_or(CallError::NotReported)?;
        if fields.is_empty() {
            return Err(CallError::NothingToCorrect);
        }
        let corrected = joined(before).correct(fields, &normalized(values), at);
        let counted_tags = counted_tags(&corrected.facts, &before.counted_tags.iter().collect(), tag_keys);
        corrected.facts.check()?;
        let charged = charge(corrected, before.book_version(), prices)?;
        let (reported_by, reservation_id) = (before.reported_by.clone(), before.reservation_id);
        let after = ChargedCall { counted_tags, reported_by, reservation_id, ..charged };
        Ok((after != *before).then(|| (before.clone(), after)))
    }
}

/// A record of a call, with who reports it.
struct Record {
    facts: CallFacts,
    reported_by: Reporters,
}

/// Joins a record to all that is known of its call, perhaps under several ids.
///
/// The call is charged by the lowest version of the price book that it was charged by before, or else by the newest one; one of the
/// gateway by that of its own record.
fn report<'a>(
    known: impl IntoIterator<Item = &'a ChargedCall>,
    record: Record,
    prices: &PriceBook,
    tag_keys: &TagKeys,
) -> Result<ChargedCall, CallError> {
    let Record { facts, mut reported_by } = record;
    let facts = normalized(facts);
    facts.check()?;
    let (mut call, mut book_version, mut counted) = (Joined::of_record(facts), None, BTreeSet::new());
    let mut reservation_id = None;
    for known in known {
        if known.facts.kind != call.facts.kind {
            return Err(CallError::KindMismatch);
        }
        let known_call = joined(known);
        known_call.check_may_join(&call)?;
        let [of_known, of_call] = [&known_call, &call].map(|call| call.first_record().is_of_gateway());
        call = known_call.join(&call);
        // What the gateway recorded precedes: other records may be of before a price was raised, or have a reservation of their own.
        book_version = match (of_known, of_call) {
            (true, false) => known.book_version(),
            (false, true) => book_version,
            (true, true) | (false, false) => book_version.into_iter().chain(known.book_version()).min(),
        };
        let [first, second] = [known.reservation_id, reservation_id];
        reservation_id = if of_known { first.or(second) } else { second.or(first) };
        counted.extend(&known.counted_tags);
        reported_by = reported_by.union(&known.reported_by);
    }
    let counted_tags = counted_tags(&call.facts, &counted, tag_keys);
    Ok(ChargedCall { counted_tags, reported_by, reservation_id, ..charge(call, book_version, prices)? })
}

/// Removes leap seconds, and what is said about a usage that is absent.
fn normalized(facts: CallFacts) -> CallFacts {
    CallFacts {
        started_at: without_leap_second(facts.started_at),
        usage_assumed: facts.usage_assumed && !facts.usage.is_empty(),
        ..facts
    }
}

fn joined(call: &ChargedCall) -> Joined {
    Joined { facts: call.facts.clone(), provenance: call.provenance.clone() }
}

/// Charges a call by a version of the price book, or else by the newest one.
fn charge(call: Joined, book_version: Option<u64>, prices: &PriceBook) -> Result<ChargedCall, CallError> {
    let given = prices.version();
    let version = book_version.unwrap_or(given);
    if version > given {
        return Err(CallError::PriceBookOutdated { charged_by: version, given });
    }
    let Joined { facts, provenance } = call;
    let charge = match facts.pricing().map(|pricing| prices.charge(&pricing, Some(version))).transpose() {
        Ok(charge) => charge,
        Err(ChargeError::Unpriced(_)) => None,
        Err(ChargeError::Money(error)) => return Err(error.into()),
    };
    let (counted_tags, reported_by) = (BTreeSet::new(), Reporters::default());
    Ok(ChargedCall { facts, provenance, charge, counted_tags, reservation_id: None, reported_by })
}

impl Aggregate for Call {
    const CATEGORY: &'static str = "call";
    const ABRIDGED: Option<Abridged<CallEvent>> = Some(Abridged {
        abridge: |event, correlation_id| event.with_reporters(|reporters| reporters.abridge(correlation_id)),
        complete: |event, correlation_id| event.with_reporters(|reporters| reporters.complete(correlation_id)),
    });
    type Command = CallCommand;
    type Event = CallEvent;
    type Error = CallError;

    fn decide(&self, command: CallCommand) -> Result<Vec<CallEvent>, CallError> {
        match command {
            CallCommand::Report { facts, prices, tag_keys, reported_by } => {
                self.report(Record { facts, reported_by }, &prices, &tag_keys)
            }
            CallCommand::Charge { facts, prices, reported_by } => self.charge(facts, reported_by, &prices),
            CallCommand::Correct { fields, values, reason, at, prices, tag_keys } => {
                let corrected = self.correct(&fields, values, at, &prices, &tag_keys)?;
                let event =
                    |(before, after)| CallEvent::Corrected(CallCorrected { before, after, reason: Some(reason), at });
                Ok(corrected.map(event).into_iter().collect())
            }
            CallCommand::Reprice { reason, at, prices } => {
                let event =
                    |Repricing { before, after }| CallEvent::Repriced(CallRepriced { before, after, reason, at });
                Ok(self.reprice(&prices)?.map(event).into_iter().collect())
            }
            CallCommand::Reverse => {
                self.check_not_voided_into()?;
                let reversed = |before| CallEvent::Reversed(CallReversed::repeat(before));
                Ok(self.charged.clone().map(reversed).into_iter().collect())
            }
            CallCommand::Name { record, names } => Ok(self.name(&record, &names)?.into_iter().collect()),
            CallCommand::Void { reason, at } => Ok(self.void(reason, at)?.into_iter().collect()),
            CallCommand::TakeBack { import_id, reason, at } => {
                Ok(self.take_back(import_id, reason, at)?.into_iter().collect())
            }
        }
    }

    fn owner(&self, _: Uuid) -> Option<AgentId> {
        self.charged.as_ref().and_then(|charged| charged.facts.agent_id)
    }

    fn agent(&self, id: Uuid, event: &CallEvent) -> Option<AgentId> {
        match event {
            // A report says whose the call is. A correction would take a call for an agent that is nobody's.
            CallEvent::Corrected(corrected) if corrected.before.facts.agent_id.is_none() => None,
            // Also of a call that was reversed.
            CallEvent::Confirmed(_) | CallEvent::ReportWithdrawn(_) => {
                self.charged.as_ref().or(self.repeat.as_deref()).and_then(|call| call.facts.agent_id)
            }
            CallEvent::Recorded(_)
            | CallEvent::Amended(_)
            | CallEvent::Corrected(_)
            | CallEvent::Repriced(_)
            | CallEvent::Voided(_)
            | CallEvent::Reversed(_) => self.owner(id),
        }
    }

    fn evolve(self, event: &CallEvent) -> Self {
        match event {
            CallEvent::Voided(CallVoided { into }) => Self { voided_into: Some(*into), ..Self::default() },
            CallEvent::Reversed(reversed) => {
                let repeat = reversed.is_repeat().then(|| Box::new(reversed.before.clone()));
                Self { is_void: reversed.is_final(), repeat, ..Self::default() }
            }
            CallEvent::Confirmed(CallConfirmed { reported_by }) => {
                let union =
                    |call: ChargedCall| ChargedCall { reported_by: call.reported_by.union(reported_by), ..call };
                let repeat = self.repeat.map(|repeat| Box::new(union(*repeat)));
                Self { charged: self.charged.map(union), repeat, ..self }
            }
            CallEvent::ReportWithdrawn(CallReportWithdrawn { import_id, reported_by, .. }) => {
                let left = |call| ChargedCall { reported_by: reported_by.clone(), ..call };
                let call = self.without_reporter_of_repeat(*import_id);
                Self { charged: call.charged.map(left), ..call }
            }
            CallEvent::Recorded(CallRecorded { after, .. })
            | CallEvent::Amended(CallAmended { after, .. })
            | CallEvent::Corrected(CallCorrected { after, .. })
            | CallEvent::Repriced(CallRepriced { after, .. }) => {
                Self { charged: Some(after.clone()), ..Self::default() }
            }
        }
    }
}

#[cfg(test)]
mod tests;
