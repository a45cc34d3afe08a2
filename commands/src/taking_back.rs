//! Taking back an import: the calls that it alone reported are reversed, those that others reported too stay.
//!
//! What an import reported is found in the log, never in a read model. Every call and every span of a trace knows who reported
//! it, and is decided about on its own stream: taking an import back again changes nothing, and goes on where it was
//! interrupted. Spans are taken out of their trace first, because without them other spans may no longer be repeats.

use crate::calls::{CallChange, CallOutcome};
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::kind::decode;
use crate::outcome::OutcomeKind;
use crate::principal::Principal;
use crate::states::{States, Undecided};
use crate::traces::{Decision, changes_by_span};
use chrono::{DateTime, Utc};
use domain::agent::Agent;
use domain::call::{Call, CallCommand, CallError, CallEvent, CallIds};
use domain::permissions::{ReadData, SendCommand};
use domain::price_book::PriceBook;
use domain::task::Task;
use domain::trace::{SpansWithdrawn, Trace, TraceError, TraceEvent};
use domain::{AgentId, Aggregate, Body, CallId, ImportId, TaskId, TextError};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use streams::{Position, ReadFilter, RecordedEvent};
use uuid::Uuid;

/// The events that say which calls an import reported, and which agents and tasks it created.
const TYPES: [&str; 6] =
    ["call.recorded", "call.amended", "call.confirmed", "trace.spans_recorded", "agent.registered", "task.submitted"];
/// The most events of these types that a step reads. It reads one page of them.
const MAX_EVENTS: usize = 5_000;
/// The most calls and traces that a step takes back.
const MAX_FOUND: usize = 500;
/// The most appends of a step for the spans of traces, of which each takes out, charges or reverses up to [`MAX_SPANS`].
const MAX_TRACE_APPENDS: usize = 64;
/// The most calls and traces that are taken back at once.
const MAX_IN_FLIGHT: usize = 16;
/// The most spans with calls that one append takes out of a trace, and the most other spans that it charges or reverses.
const MAX_SPANS: usize = 8;

/// An import to take back.
#[derive(Debug, Clone)]
pub struct TakeBack {
    /// Who takes it back.
    pub principal: Arc<Principal>,
    /// The import.
    pub import_id: ImportId,
    /// Why it is taken back: at most [`TakeBack::MAX_REASON_BYTES`].
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
    /// What refused to be taken back. The rest was taken back all the same.
    pub failed: Vec<NotTakenBack>,
}

/// A call, or spans of a trace, that refused to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTakenBack {
    /// The call; none if it is spans of a trace.
    pub call_id: Option<CallId>,
    /// Why it refused.
    pub error: TraceError,
}

/// What a part of the log says of an import, each with the position of the first event that says it.
#[derive(Debug, Default)]
struct Found {
    traces: BTreeMap<Uuid, Position>,
    calls: BTreeMap<CallId, Position>,
    agents: BTreeMap<AgentId, Position>,
    tasks: BTreeMap<TaskId, Position>,
    /// The position up to which the log was searched.
    searched_to: Position,
    /// Whether that is its end.
    is_complete: bool,
}

/// How far an import was taken out of a trace.
enum TraceProgress {
    /// Nothing is left to do.
    Done,
    /// The step has no appends left.
    Unfinished,
    /// The trace, or a call of its spans, refuses it.
    Failed(TraceError),
}

impl Commands {
    /// Takes back what an import reported, as far as a part of the log after a position says it. What the principal may not
    /// change stays.
    ///
    /// # Errors
    /// As for [`Commands::execute`]. What was taken back before an error stays so; a repetition goes on.
    pub async fn take_back(&self, take_back: &TakeBack, after: Position) -> Result<TakenBack, Error<TraceError>> {
        take_back.principal.authorise_on::<SendCommand>(Call::CATEGORY, Uuid::nil())?;
        let mut found = self.search(take_back, after).await?;
        let mut taken = TakenBack::default();
        self.take_back_traces(take_back, &mut found, &mut taken).await?;
        self.take_back_calls(take_back, &found, &mut taken).await?;
        let Found { agents, tasks, searched_to, is_complete, .. } = found;
        let may_read = |category: &str, id: Uuid| take_back.principal.authorise_on::<ReadData>(category, id).is_ok();
        taken.agents = agents.into_keys().filter(|id| may_read(Agent::CATEGORY, id.0)).collect();
        taken.tasks = tasks.into_keys().filter(|id| may_read(Task::CATEGORY, id.0)).collect();
        Ok(TakenBack { searched_to, is_complete, ..taken })
    }

    /// Searches a page of the log for what an import reported.
    async fn search(&self, take_back: &TakeBack, after: Position) -> Result<Found, Error<TraceError>> {
        let tenant = Some(take_back.principal.tenant().clone());
        let filter = ReadFilter { tenant, types: TYPES.map(str::to_owned).to_vec(), ..ReadFilter::default() };
        let head = self.log().head().await?;
        let mut pages = self.log().pages(after, filter, MAX_EVENTS);
        let page = pages.next_page().await?.unwrap_or_default();
        let mut found = Found { searched_to: after, ..Found::default() };
        for event in &page {
            if found.calls.len() + found.traces.len() >= MAX_FOUND {
                return Ok(found);
            }
            found.add(event, take_back.import_id)?;
            found.searched_to = event.position;
        }
        // A page may end before the log does, because it is large.
        if pages.is_at_end() {
            found.is_complete = true;
            found.searched_to = found.searched_to.max(head);
        }
        Ok(found)
    }

    /// Takes the import out of the traces that were found. Those that are not done are found again by the next step, with all
    /// that comes after them in the log.
    async fn take_back_traces(
        &self,
        take_back: &TakeBack,
        found: &mut Found,
        taken: &mut TakenBack,
    ) -> Result<(), Error<TraceError>> {
        let mut traces: Vec<_> = found.traces.iter().map(|(id, position)| (*position, *id)).collect();
        traces.sort_unstable();
        let appends_left = &AtomicUsize::new(MAX_TRACE_APPENDS);
        let traces = stream::iter(traces).map(|(found_at, id)| async move {
            let (position, progress) = self.take_back_trace(take_back, id, appends_left).await?;
            Ok::<_, Error<TraceError>>((found_at, position, progress))
        });
        let traces: Vec<_> = traces.buffer_unordered(MAX_IN_FLIGHT).try_collect().await?;
        for (found_at, position, progress) in traces {
            taken.position = taken.position.max(position);
            match progress {
                TraceProgress::Done => {}
                TraceProgress::Unfinished => found.end_before(found_at),
                TraceProgress::Failed(error) => taken.failed.push(NotTakenBack { call_id: None, error }),
            }
        }
        Ok(())
    }

    async fn take_back_calls(
        &self,
        take_back: &TakeBack,
        found: &Found,
        taken: &mut TakenBack,
    ) -> Result<(), Error<TraceError>> {
        let calls: Vec<_> = found.calls.keys().copied().collect();
        let calls = stream::iter(calls).map(|id| async move { (id, self.take_back_call(take_back, id).await) });
        let outcomes: Vec<_> = calls.buffer_unordered(MAX_IN_FLIGHT).collect().await;
        for (id, outcome) in outcomes {
            match outcome {
                Ok(outcome) => {
                    // What an earlier step did is listed again.
                    let list = if outcome.call.charged.is_some() { &mut taken.kept } else { &mut taken.reversed };
                    list.push(outcome.call_id);
                    if outcome.change != CallChange::None {
                        taken.position = taken.position.max(outcome.position);
                    }
                }
                // It is another agent's.
                Err(Error::Forbidden(_)) => {}
                Err(Error::Rejected(error)) => taken.failed.push(NotTakenBack { call_id: Some(id), error }),
                Err(error) => return Err(error),
            }
        }
        for list in [&mut taken.reversed, &mut taken.kept] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(())
    }

    async fn take_back_call(&self, take_back: &TakeBack, id: CallId) -> Result<CallOutcome, Error<TraceError>> {
        let TakeBack { import_id, reason, at, .. } = take_back.clone();
        let command = CallCommand::TakeBack { import_id, reason, at };
        let outcome = self.execute_call(&take_back.context(), &CallIds::from(id), &command).await;
        outcome.map_err(|error| error.map_rejected(TraceError::Call))
    }

    /// Takes the spans of an import out of a trace, and reverses their calls; then charges and reverses the spans of which this
    /// changes whether they repeat others. Returns the position of the last event.
    async fn take_back_trace(
        &self,
        take_back: &TakeBack,
        id: Uuid,
        appends_left: &AtomicUsize,
    ) -> Result<(Position, TraceProgress), Error<TraceError>> {
        let (mut position, mut limit, mut is_reloaded) = (Position::ZERO, MAX_SPANS, false);
        loop {
            let one_less = |left: usize| left.checked_sub(1);
            if appends_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                return Ok((position, TraceProgress::Unfinished));
            }
            match self.take_back_spans(take_back, id, limit).await {
                Ok((has_more, Some(appended))) => {
                    position = position.max(appended);
                    if !has_more {
                        return Ok((position, TraceProgress::Done));
                    }
                }
                Ok((_, None)) => {
                    appends_left.fetch_add(1, Ordering::Relaxed);
                    return Ok((position, TraceProgress::Done));
                }
                // The calls have too many ids for one append.
                Err(Error::TooManyAggregates { .. }) if limit > 1 => limit /= 2,
                // Another version of the prices came in between.
                Err(Error::Rejected(TraceError::Call(CallError::PriceBookOutdated { .. }))) if !is_reloaded => {
                    is_reloaded = true;
                }
                // It is another agent's, or belongs to none, and the principal is limited to agents.
                Err(Error::Forbidden(_)) => return Ok((position, TraceProgress::Done)),
                Err(Error::Rejected(error)) => return Ok((position, TraceProgress::Failed(error))),
                Err(error) => return Err(error),
            }
        }
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
        let decided = self.decide::<Trace, TraceError>(&context, id, |states| {
            let has_more = decide_spans(states, id, take_back, &prices.state, limit)?;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = has_more;
            Ok(())
        });
        let outcome = decided.await?;
        let has_more = *noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_done = outcome.kind == OutcomeKind::Done;
        Ok((has_more, is_done.then_some(outcome.position)))
    }
}

impl TakeBack {
    /// The maximum length of a reason: each call that is taken back has it.
    pub const MAX_REASON_BYTES: usize = 1024;

    /// A reason.
    ///
    /// # Errors
    /// [`TextError`] if the text is none, or too long.
    pub fn reason(text: &str) -> Result<Body, TextError> {
        let (bytes, limit_bytes) = (text.len(), Self::MAX_REASON_BYTES);
        if bytes > limit_bytes { Err(TextError::TooLong { bytes, limit_bytes }) } else { Body::new(text) }
    }

    /// Each command has an id of its own: what was done already is found in the states.
    fn context(&self) -> Context {
        let context = Context::new(self.principal.clone(), Uuid::now_v7());
        Context { correlation_id: self.correlation_id, ..context }
    }
}

impl Found {
    fn add(&mut self, event: &RecordedEvent, import_id: ImportId) -> Result<(), domain::DecodeError> {
        let import = import_id.to_string();
        let id = event.stream.id;
        match event.name.as_str() {
            "agent.registered" | "task.submitted" => {
                let is_of_import = event.metadata().is_ok_and(|metadata| metadata.correlation_id == import_id.0);
                match (is_of_import, event.name.as_str()) {
                    (false, _) => {}
                    (true, "task.submitted") => _ = self.tasks.entry(TaskId(id)).or_insert(event.position),
                    (true, _) => _ = self.agents.entry(AgentId(id)).or_insert(event.position),
                }
            }
            // Most events are of other imports, and need not be decoded.
            _ if ![&event.payload, &event.metadata].into_iter().any(|text| text.contains(&import)) => {}
            "trace.spans_recorded" => _ = self.traces.entry(id).or_insert(event.position),
            _ if names_reporter(&decode::<Call>(event)?, import_id) => {
                self.calls.entry(CallId(id)).or_insert(event.position);
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets what was found at a position and after it: it is found again.
    fn end_before(&mut self, position: Position) {
        self.calls.retain(|_, found_at| *found_at < position);
        self.agents.retain(|_, found_at| *found_at < position);
        self.tasks.retain(|_, found_at| *found_at < position);
        self.searched_to = self.searched_to.min(Position::from(position.get().saturating_sub(1)));
        self.is_complete = false;
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
    let mut trace = states.get::<Trace>(id)?;
    let (mut span_ids, mut calls, mut has_more) = (Vec::new(), Vec::new(), false);
    for (span_id, span) in trace.spans_of(import_id) {
        // What was reversed as a repeat has reporters, too.
        let with_call = span.usage.as_ref().filter(|usage| usage.is_charged || usage.facts.is_some());
        if with_call.is_some() && calls.len() >= limit {
            has_more = true;
            break;
        }
        calls.extend(with_call.and_then(|usage| CallIds::of(usage.call_ids.iter().copied())));
        span_ids.push(span_id);
    }
    if !span_ids.is_empty() {
        let withdrawn = SpansWithdrawn { import_id, span_ids, reason: reason.clone(), at };
        states.append::<Trace, _>(id, vec![TraceEvent::SpansWithdrawn(withdrawn)])?;
        trace = states.get::<Trace>(id)?;
    }
    let repeats = trace.repeats();
    // The ids of one span, and of one that changes, may be too many together.
    let is_full = limit == 1 && !calls.is_empty();
    let mut decision = Decision { states, prices, repeats: &repeats };
    for ids in calls {
        let named = decision.resolve(&ids)?.map_err(|error| Undecided::Rejected(error.into()))?;
        let command = CallCommand::TakeBack { import_id, reason: reason.clone(), at };
        decision.append(&named, command)?.map_err(|error| Undecided::Rejected(error.into()))?;
    }
    // Only once all spans of the import are gone is it known which of the others repeat others.
    if has_more || is_full {
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
