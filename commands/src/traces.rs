//! Recording spans of a trace together with the calls that they are, in one append.

use crate::attempts::Execution;
use crate::context::Context;
use crate::error::Error;
use crate::executor::{Commands, erased};
use crate::kind::AggregateKey;
use crate::outcome::{Outcome, OutcomeKind};
use crate::states::{States, Undecided};
use domain::CallId;
use domain::call::{
    Call, CallCommand, CallError, CallEvent, CallFacts, CallIds, NamedCalls, Reporters, SpanId, TraceId,
};
use domain::price_book::PriceBook;
use domain::trace::{Change, Repeats, SpanReport, Trace, TraceError, TraceSpan};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use streams::Position;

/// The most spans that one append charges or reverses beside those of its batch. What is left is done by the next one.
const MAX_OTHER_CHANGES: usize = 8;

/// Spans of one trace.
#[derive(Debug, Clone)]
pub struct SpanBatch {
    /// The trace.
    pub trace_id: TraceId,
    /// The spans. Those that state usage should be few, because each is a call that the append changes: see
    /// [`SpanBatch::MAX_WITH_USAGE`].
    pub spans: Vec<SpanReport>,
    /// The price book.
    pub prices: PriceBook,
    /// Who reports the spans: the import that they belong to, if they belong to one.
    pub reported_by: Reporters,
}

impl SpanBatch {
    /// The most spans with usage of a batch for which one append is enough, unless calls have many ids.
    pub const MAX_WITH_USAGE: usize = 16;
    /// The most spans without usage of a batch whose event is small enough, whatever they name.
    pub const MAX_LINKS: usize = 256;
}

/// What a span of a batch is.
#[derive(Debug, Clone)]
pub enum SpanOutcome {
    /// It is a call, which is charged.
    Charged {
        /// The id of the call.
        call_id: CallId,
        /// The call after the command.
        call: Arc<Call>,
        /// Whether the call was recorded for the first time.
        is_new: bool,
        /// Whether the span changed the call.
        is_changed: bool,
        /// The other calls that the span showed to be this one.
        voided: Vec<CallId>,
    },
    /// It repeats the usage of calls inside of it, and is not charged.
    Repeat,
    /// It would be a call, and cannot be charged, because its facts are missing.
    Incomplete,
    /// It would be a call, which rejects its facts.
    Refused(CallError),
}

/// The result of a batch.
#[derive(Debug, Clone)]
pub struct TraceOutcome {
    /// The position of the last event, or of the aggregates if nothing was appended.
    pub position: Position,
    /// What each span with usage is, in the order of the batch.
    pub spans: Vec<(SpanId, SpanOutcome)>,
    /// Whether the charge of other spans still has to change: send an empty batch.
    pub has_more: bool,
    /// The trace after the command.
    pub trace: Arc<Trace>,
}

/// What the last call of the decision function decided.
struct Noted {
    spans: Vec<(SpanId, SpanOutcome)>,
    has_more: bool,
}

impl Commands {
    /// Records spans of a trace, charges those that are calls, and reverses the charge of spans that turn out to repeat others.
    /// The spans of a batch that were recorded before change nothing.
    ///
    /// # Errors
    /// As for [`Commands::execute`], and [`Error::TooManyAggregates`] if the batch has too many spans with usage.
    pub async fn record_spans(&self, context: &Context, batch: &SpanBatch) -> Result<TraceOutcome, Error<TraceError>> {
        let agent = context.principal.agent();
        let id = Trace::id(batch.trace_id, agent);
        // A decision has no effect but this note of its result. The last call is the one that counts.
        let noted = Mutex::new(None);
        let decide = erased(|states: &mut States| {
            let made = decide_batch(states, id, agent, batch)?;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
            Ok(())
        });
        let tenant = context.principal.tenant();
        let target = AggregateKey::of::<Trace>(tenant, id);
        let calls = ids_of(batch).map(|id| AggregateKey::of::<Call>(tenant, id.0));
        let keys: Vec<_> = calls.chain([target.clone()]).collect();
        let execution = Execution { context, target, may_change_others: true, assume_new: &keys, decide: &decide };
        let Outcome { kind, position, aggregate } = self.run::<Trace, TraceError>(execution).await?;
        let noted = noted.lock().unwrap_or_else(PoisonError::into_inner).take();
        // After a retry of a command that was executed before, the decision was made on what it left.
        let Noted { mut spans, has_more } = noted.unwrap_or(Noted { spans: Vec::new(), has_more: false });
        if kind != OutcomeKind::Done {
            for (_, span) in &mut spans {
                if let SpanOutcome::Charged { is_new, is_changed, .. } = span {
                    (*is_new, *is_changed) = (false, false);
                }
            }
        }
        Ok(TraceOutcome { position, spans, has_more, trace: aggregate.state.clone() })
    }
}

fn ids_of(batch: &SpanBatch) -> impl Iterator<Item = CallId> + '_ {
    batch.spans.iter().filter_map(|span| span.usage.as_ref()).flat_map(|usage| usage.call_ids.iter())
}

fn decide_batch(
    states: &mut States,
    id: uuid::Uuid,
    agent: Option<domain::AgentId>,
    batch: &SpanBatch,
) -> Result<Noted, Undecided<TraceError>> {
    // All that is needed in any case is asked for before the first of it is looked at.
    let trace = states.get::<Trace>(id);
    for id in ids_of(batch) {
        drop(states.get::<Call>(id.0));
    }
    let before = trace?;
    let mut after = before.merged_by(&batch.spans, &batch.reported_by).map_err(Undecided::Rejected)?;
    // The decision charges and reverses spans, which changes none of the usages that the repeats follow from.
    let repeats = after.repeats();
    let changes = changes_by_span(&after, &repeats);
    let mut decision = Decision { states, prices: &batch.prices, repeats: &repeats };
    let mut spans = Vec::new();
    for span in batch.spans.iter().filter(|span| span.usage.is_some()) {
        let outcome = decision.span_of_batch(&mut after, span, changes.get(&span.span_id).copied())?;
        spans.push((span.span_id, outcome));
    }
    let is_of_batch = |change: &Change| spans.iter().any(|(span_id, _)| *span_id == change.span_id());
    // Refused facts may leave other changes than before.
    let others: Vec<_> = after.changes(&repeats).into_iter().filter(|change| !is_of_batch(change)).collect();
    for change in others.iter().take(MAX_OTHER_CHANGES) {
        decision.other_span(&mut after, *change)?;
    }
    for change in changes_by_span(&after, &repeats).into_values().filter(is_of_batch) {
        if let Change::Reverse(_) = change {
            decision.other_span(&mut after, change)?;
        }
    }
    let event = before.event_to(&after, agent);
    states.append::<Trace, _>(id, event.into_iter().collect())?;
    Ok(Noted { spans, has_more: others.len() > MAX_OTHER_CHANGES })
}

pub(crate) fn changes_by_span(trace: &Trace, repeats: &Repeats) -> BTreeMap<SpanId, Change> {
    trace.changes(repeats).into_iter().map(|change| (change.span_id(), change)).collect()
}

/// A decision in progress.
pub(crate) struct Decision<'s, 'a, 'b> {
    pub(crate) states: &'s mut States<'a>,
    pub(crate) prices: &'b PriceBook,
    pub(crate) repeats: &'b Repeats,
}

impl Decision<'_, '_, '_> {
    /// Charges a span of the batch, or a charged call with what it says now, unless it repeats others.
    fn span_of_batch(
        &mut self,
        trace: &mut Trace,
        span: &SpanReport,
        change: Option<Change>,
    ) -> Result<SpanOutcome, Undecided<TraceError>> {
        let reported = span.usage.as_ref().and_then(|usage| usage.facts.clone());
        let known = trace.usage(span.span_id);
        let is_charged = known.is_some_and(|usage| usage.is_charged);
        match change {
            Some(Change::Reverse(_)) => Ok(SpanOutcome::Repeat),
            None if !is_charged && self.repeats.contains(span.span_id) => Ok(SpanOutcome::Repeat),
            None if !is_charged => Ok(SpanOutcome::Incomplete),
            // A snapshot that came after the end is held, and adds what only it says. A new span holds what is reported.
            Some(Change::Charge(_) | Change::Name(_)) | None => {
                let held = known.and_then(|usage| usage.facts.as_deref().cloned());
                let reported = reported.filter(|facts| held.as_ref() != Some(facts));
                let facts = held.into_iter().chain(reported).collect();
                self.charge(trace, span.span_id, facts)
            }
        }
    }

    /// Charges or reverses a span that was recorded before.
    pub(crate) fn other_span(&mut self, trace: &mut Trace, change: Change) -> Result<(), Undecided<TraceError>> {
        let span_id = change.span_id();
        let Some(usage) = trace.usage(span_id).cloned() else { return Ok(()) };
        match change {
            Change::Charge(_) => {
                let facts = usage.facts.map(|facts| *facts).into_iter().collect();
                self.charge(trace, span_id, facts)?;
            }
            Change::Name(_) => _ = self.name(trace, span_id)?,
            // The call has the records of other spans, too.
            Change::Reverse(_) if trace.shares_call(span_id) => trace.set_repeat(span_id, None),
            Change::Reverse(_) => {
                let Some(ids) = CallIds::of(usage.call_ids) else { return Ok(()) };
                let calls = self.resolve(&ids)?.map_err(|error| Undecided::Rejected(error.into()))?;
                let call = self.states.get::<Call>(calls.remaining().0)?;
                // One that settled a reservation, or that the gateway passed on, was made, whatever its spans say.
                let is_settled = call.charged.as_ref().is_some_and(|charged| charged.reservation_id.is_some());
                if is_settled || call.is_of_gateway() {
                    trace.set_repeat(span_id, None);
                    return Ok(());
                }
                self.append(&calls, CallCommand::Reverse)?.map_err(|error| Undecided::Rejected(error.into()))?;
                let known = call.charged.as_ref().map(|charged| (charged.facts.clone(), charged.reported_by.clone()));
                trace.set_repeat(span_id, known);
            }
        }
        Ok(())
    }

    /// Reports the facts of a span to its call.
    fn charge(
        &mut self,
        trace: &mut Trace,
        span_id: SpanId,
        facts: Vec<CallFacts>,
    ) -> Result<SpanOutcome, Undecided<TraceError>> {
        let ids = trace.usage(span_id).and_then(|usage| CallIds::of(usage.call_ids.iter().copied()));
        let Some(ids) = ids else { return Ok(SpanOutcome::Incomplete) };
        // Those of the span, which may be more than those of the batch, or others.
        let reported_by = trace.spans.get(&span_id).map(TraceSpan::all_reporters).unwrap_or_default();
        let (mut outcome, mut known) = (SpanOutcome::Incomplete, None);
        let (mut voided, names) = (Vec::new(), trace.names_of(span_id));
        // Before the report: of two names of one record, the lower one would count.
        let is_renamed = self.name(trace, span_id)?;
        for mut facts in facts {
            names.write(&mut facts);
            let calls = match self.resolve(&ids)? {
                Ok(calls) => calls,
                Err(error) => return Ok(refused(trace, span_id, error)),
            };
            voided.extend(calls.voided());
            let call_id = calls.remaining();
            let before = self.states.get::<Call>(call_id.0)?;
            known.get_or_insert_with(|| before.charged.is_some() || !voided.is_empty());
            let (prices, reported_by) = (self.prices.clone(), reported_by.clone());
            match self.append(&calls, CallCommand::Charge { facts, prices, reported_by })? {
                Ok(changes) => {
                    let was_changed = is_renamed || matches!(outcome, SpanOutcome::Charged { is_changed: true, .. });
                    let (is_new, is_changed) = (known == Some(false), was_changed || changes > 0);
                    let call = self.states.get::<Call>(call_id.0)?;
                    outcome = SpanOutcome::Charged { call_id, call, is_new, is_changed, voided: voided.clone() };
                }
                // The caller loads the newest prices.
                Err(error @ CallError::PriceBookOutdated { .. }) => return Err(Undecided::Rejected(error.into())),
                Err(error) => return Ok(refused(trace, span_id, error)),
            }
        }
        if matches!(outcome, SpanOutcome::Charged { .. }) {
            trace.set_charged(span_id);
        }
        Ok(outcome)
    }

    /// Names the call of a charged span by the names that the span has now, and returns whether that changed it.
    fn name(&mut self, trace: &mut Trace, span_id: SpanId) -> Result<bool, Undecided<TraceError>> {
        let usage = trace.usage(span_id).filter(|_| trace.is_renamed(span_id));
        let Some((ids, record)) =
            usage.and_then(|usage| Some((CallIds::of(usage.call_ids.iter().copied())?, usage.record.clone()?)))
        else {
            trace.set_named(span_id);
            return Ok(false);
        };
        let calls = self.resolve(&ids)?.map_err(|error| Undecided::Rejected(error.into()))?;
        let command = CallCommand::Name { record, names: trace.names_of(span_id) };
        let changes = self.append(&calls, command)?.map_err(|error| Undecided::Rejected(error.into()))?;
        trace.set_named(span_id);
        Ok(changes > 0)
    }

    pub(crate) fn resolve(&mut self, ids: &CallIds) -> Result<Result<NamedCalls, CallError>, Undecided<TraceError>> {
        Ok(NamedCalls::resolve(ids, |id| self.states.get::<Call>(id.0))?)
    }

    /// Executes a command to a call, and returns the number of its events that change more than who reported it.
    pub(crate) fn append(
        &mut self,
        calls: &NamedCalls,
        command: CallCommand,
    ) -> Result<Result<usize, CallError>, Undecided<TraceError>> {
        for id in calls.voided().chain([calls.remaining()]).collect::<Vec<_>>() {
            self.states.check_owner::<Call, _>(id.0)?;
        }
        let events = match calls.decide(command) {
            Ok(events) => events,
            Err(error) => return Ok(Err(error)),
        };
        let count = events.iter().filter(|(_, event)| !matches!(event, CallEvent::Confirmed(_))).count();
        for (id, event) in events {
            self.states.append::<Call, _>(id.0, vec![event])?;
        }
        Ok(Ok(count))
    }
}

/// A span whose facts its call rejects is not charged, and its facts are not kept.
fn refused(trace: &mut Trace, span_id: SpanId, error: CallError) -> SpanOutcome {
    trace.set_repeat(span_id, None);
    SpanOutcome::Refused(error)
}
