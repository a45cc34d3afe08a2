//! Taking back an import: the calls that it alone reported are reversed, those that others reported too stay.
//!
//! What an import reported is found in the log, never in a read model. Every call and every span of a trace knows who reported
//! it, and is decided about on its own stream: taking an import back again changes nothing, and goes on where it was
//! interrupted. Spans are taken out of their trace first, because without them other spans may no longer be repeats.

use crate::attempts::Execution;
use crate::calls::{CallChange, CallOutcome};
use crate::context::Context;
use crate::error::Error;
use crate::executor::{Commands, erased};
use crate::kind::AggregateKey;
use crate::outcome::OutcomeKind;
use crate::principal::Principal;
use crate::states::{States, Undecided};
use crate::traces::{Decision, changes_by_span};
use chrono::{DateTime, Utc};
use domain::call::{Call, CallCommand, CallError, CallEvent, CallIds};
use domain::permissions::SendCommand;
use domain::price_book::PriceBook;
use domain::trace::{SpansWithdrawn, Trace, TraceError, TraceEvent};
use domain::{AgentId, Aggregate, Body, CallId, Event, ImportId, TaskId};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use streams::{Position, ReadFilter, RecordedEvent};
use uuid::Uuid;

/// The events that say which calls an import reported, and which agents and tasks it created.
const TYPES: [&str; 6] =
    ["call.recorded", "call.amended", "call.confirmed", "trace.spans_recorded", "agent.registered", "task.submitted"];
/// The most events of these types that a step reads.
const MAX_EVENTS: usize = 5_000;
/// The most calls that a step takes back.
const MAX_CALLS: usize = 500;
/// The most calls and traces that are taken back at once.
const MAX_IN_FLIGHT: usize = 16;
/// The most charged spans that one append takes out of a trace, and the most other spans that it charges or reverses.
const MAX_SPANS: usize = 8;
/// The most appends for one trace: each takes out a span, or charges or reverses one.
const MAX_APPENDS: usize = 2 * Trace::MAX_SPANS;

/// An import to take back.
#[derive(Debug, Clone)]
pub struct TakeBack {
    /// Who takes it back.
    pub principal: Arc<Principal>,
    /// The import.
    pub import_id: ImportId,
    /// Why it is taken back.
    pub reason: Body,
    /// When it is taken back.
    pub at: DateTime<Utc>,
    /// The id that the events have in common.
    pub correlation_id: Uuid,
}

/// What a step of taking back an import did. A call is in the step in which the log says that the import reported it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// The calls that are not counted any more: the import alone reported them.
    pub reversed: Vec<CallId>,
    /// The calls that stay, because others reported them too.
    pub kept: Vec<CallId>,
    /// The agents that the import registered. They stay.
    pub agents: Vec<AgentId>,
    /// The tasks that the import submitted. They stay.
    pub tasks: Vec<TaskId>,
    /// The position up to which the log was searched: the next step goes on after it.
    pub searched_to: Position,
    /// The position of the last event that was appended, if any was.
    pub position: Position,
    /// Whether the log was searched to its end.
    pub is_complete: bool,
}

/// What an event says of an import.
#[derive(Debug, Default)]
struct Found {
    traces: BTreeSet<Uuid>,
    calls: BTreeSet<CallId>,
    agents: Vec<AgentId>,
    tasks: Vec<TaskId>,
}

impl Commands {
    /// Takes back what an import reported, as far as a part of the log after a position says it.
    ///
    /// # Errors
    /// As for [`Commands::execute`]. What was taken back before an error stays so; a repetition goes on.
    pub async fn take_back(&self, take_back: &TakeBack, after: Position) -> Result<TakenBack, Error<TraceError>> {
        let TakeBack { principal, import_id, .. } = take_back;
        principal.authorise_on::<SendCommand>(Call::CATEGORY, Uuid::nil())?;
        let types = TYPES.map(str::to_owned).to_vec();
        let filter = ReadFilter { tenant: Some(principal.tenant().clone()), types, ..ReadFilter::default() };
        let head = self.log().head().await?;
        let events = self.log().read_after(after, &filter, MAX_EVENTS).await?;
        let (mut found, mut searched_to, mut is_complete) = (Found::default(), after, events.len() < MAX_EVENTS);
        for event in &events {
            if found.calls.len() >= MAX_CALLS {
                is_complete = false;
                break;
            }
            found.add(event, *import_id)?;
            searched_to = event.position;
        }
        if is_complete {
            searched_to = searched_to.max(head);
        }
        let Found { traces, calls, agents, tasks } = found;
        let mut taken = TakenBack { agents, tasks, searched_to, is_complete, ..TakenBack::default() };
        let traces = stream::iter(traces).map(|id| self.take_back_trace(take_back, id));
        let positions: Vec<_> = traces.buffer_unordered(MAX_IN_FLIGHT).try_collect().await?;
        let calls = stream::iter(calls).map(|id| self.take_back_call(take_back, id));
        let outcomes: Vec<_> = calls.buffer_unordered(MAX_IN_FLIGHT).try_collect().await?;
        taken.position = positions.into_iter().max().unwrap_or_default();
        for outcome in outcomes {
            // What an earlier step did is listed again.
            let list = if outcome.call.charged.is_some() { &mut taken.kept } else { &mut taken.reversed };
            list.push(outcome.call_id);
            if outcome.change != CallChange::None {
                taken.position = taken.position.max(outcome.position);
            }
        }
        for list in [&mut taken.reversed, &mut taken.kept] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(taken)
    }

    async fn take_back_call(&self, take_back: &TakeBack, id: CallId) -> Result<CallOutcome, Error<TraceError>> {
        let TakeBack { import_id, reason, at, .. } = take_back.clone();
        let command = CallCommand::TakeBack { import_id, reason, at };
        let outcome = self.execute_call(&take_back.context(), &CallIds::from(id), command).await;
        outcome.map_err(|error| error.map_rejected(TraceError::Call))
    }

    /// Takes the spans of an import out of a trace, and reverses their calls; then charges and reverses the spans of which this
    /// changes whether they repeat others. Returns the position of the last event.
    async fn take_back_trace(&self, take_back: &TakeBack, id: Uuid) -> Result<Position, Error<TraceError>> {
        let (mut position, mut limit) = (Position::ZERO, MAX_SPANS);
        for _ in 0..MAX_APPENDS {
            match self.take_back_spans(take_back, id, limit).await {
                Ok((_, None)) => return Ok(position),
                Ok((has_more, Some(appended))) => {
                    position = position.max(appended);
                    if !has_more {
                        return Ok(position);
                    }
                }
                // The calls have too many ids for one append.
                Err(Error::TooManyAggregates { .. }) if limit > 1 => limit /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(position)
    }

    /// Whether something is left to do, and the position of the last event if there was one.
    async fn take_back_spans(
        &self,
        take_back: &TakeBack,
        id: Uuid,
        limit: usize,
    ) -> Result<(bool, Option<Position>), Error<TraceError>> {
        let (context, charging) = (take_back.context(), take_back.principal.charging());
        let prices = self.load::<PriceBook>(&charging, PriceBook::id()).await;
        // A load is never rejected.
        let prices = prices.map_err(|error| error.map_rejected(|_| TraceError::Call(CallError::NotReported)))?;
        let noted = Mutex::new(false);
        let decide = erased(|states: &mut States| {
            let has_more = decide_spans(states, id, take_back, &prices.state, limit)?;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = has_more;
            Ok(())
        });
        let target = AggregateKey::of::<Trace>(context.principal.tenant(), id);
        let execution =
            Execution { context: &context, target, may_change_others: true, assume_new: &[], decide: &decide };
        let outcome = self.run::<Trace, TraceError>(execution).await?;
        let has_more = *noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_done = outcome.kind == OutcomeKind::Done;
        Ok((has_more, is_done.then_some(outcome.position)))
    }
}

impl TakeBack {
    /// Each command has an id of its own: what was done already is found in the states.
    fn context(&self) -> Context {
        let context = Context::new(self.principal.clone(), Uuid::now_v7());
        Context { correlation_id: self.correlation_id, ..context }
    }
}

impl Found {
    fn add(&mut self, event: &RecordedEvent, import_id: ImportId) -> Result<(), domain::DecodeError> {
        let text = import_id.to_string();
        let id = event.stream.id;
        match event.name.as_str() {
            "agent.registered" | "task.submitted" => {
                let is_of_import = event.metadata().is_ok_and(|metadata| metadata.correlation_id == import_id.0);
                match (is_of_import, event.name.as_str()) {
                    (false, _) => {}
                    (true, "task.submitted") => self.tasks.push(TaskId(id)),
                    (true, _) => self.agents.push(AgentId(id)),
                }
            }
            // Most events are of other imports, and need not be decoded.
            _ if !event.payload.contains(&text) => {}
            _ => match event.decode()? {
                Event::Call(call) if names_reporter(&call, import_id) => _ = self.calls.insert(CallId(id)),
                Event::Trace(_) => _ = self.traces.insert(id),
                _ => {}
            },
        }
        Ok(())
    }
}

/// Whether an event says that an import reported the call.
fn names_reporter(event: &CallEvent, import_id: ImportId) -> bool {
    match event {
        CallEvent::Confirmed(confirmed) => confirmed.reported_by.contains(import_id),
        event => {
            let (befores, after) = event.befores_and_after();
            let is_known = befores.iter().any(|before| before.reported_by.contains(import_id));
            !is_known && after.is_some_and(|after| after.reported_by.contains(import_id))
        }
    }
}

fn decide_spans(
    states: &mut States,
    id: Uuid,
    take_back: &TakeBack,
    prices: &PriceBook,
    limit: usize,
) -> Result<bool, Undecided<TraceError>> {
    let TakeBack { import_id, reason, at, .. } = take_back.clone();
    let before = states.get::<Trace>(id)?;
    let mut trace = before.clone();
    let (mut span_ids, mut calls, mut has_more) = (Vec::new(), Vec::new(), false);
    for (span_id, span) in trace.spans_of(import_id) {
        let charged = span.usage.as_ref().filter(|usage| usage.is_charged);
        if charged.is_some() && calls.len() >= limit {
            has_more = true;
            break;
        }
        calls.extend(charged.and_then(|usage| CallIds::of(usage.call_ids.iter().copied())));
        span_ids.push(span_id);
    }
    if !span_ids.is_empty() {
        let withdrawn = SpansWithdrawn { import_id, span_ids, reason: reason.clone(), at };
        states.append::<Trace, _>(id, vec![TraceEvent::SpansWithdrawn(withdrawn)])?;
        trace = states.get::<Trace>(id)?;
    }
    let repeats = trace.repeats();
    let mut decision = Decision { states, prices, repeats: &repeats };
    for ids in calls {
        let named = decision.resolve(&ids)?.map_err(|error| Undecided::Rejected(error.into()))?;
        let command = CallCommand::TakeBack { import_id, reason: reason.clone(), at };
        decision.append(&named, command)?.map_err(|error| Undecided::Rejected(error.into()))?;
    }
    // Only once all spans of the import are gone is it known which of the others repeat others.
    if has_more {
        return Ok(true);
    }
    let mut after = Trace::clone(&trace);
    let changes = changes_by_span(&after, &repeats);
    for change in changes.values().take(limit) {
        decision.other_span(&mut after, *change)?;
    }
    let event = trace.event_to(&after, trace.agent_id);
    states.append::<Trace, _>(id, event.into_iter().collect())?;
    Ok(changes.len() > limit)
}
