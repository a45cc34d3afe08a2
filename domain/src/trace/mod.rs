//! Traces: which of the spans that state usage are calls, and which repeat the usage of other spans.
//!
//! Frameworks nest spans, and outer spans often repeat the usage of the calls inside of them. A trace knows all spans that
//! state usage, and the spans that lead from one of them up to the next, so that the decision does not depend on the request,
//! file or process that a span came with, nor on the order. [`repeats`] has the rule. A span that was charged and turns out
//! to repeat others is reversed; one that grows and repeats them no longer is charged.
//!
//! A credential that is bound to an agent has a part of the trace to itself, so that it changes no call of another agent.

mod naming;
mod repeats;
mod span;

pub use repeats::{Mismatch, Repeats};
pub use span::{SpanKind, SpanReport, SpanUsage, TraceSpan, UsageReport};

use crate::aggregate::{Abridged, Aggregate};
use crate::call::{CallFacts, CallNames, DataClass, Reporters, SpanId, TraceId};
use crate::codec::events;
use crate::ids::{AgentId, ImportId, derived_id};
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use uuid::Uuid;

/// A span in the event of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedSpan {
    /// The id of the span.
    pub span_id: SpanId,
    /// All that the trace knows of the span from now on.
    #[serde(flatten)]
    pub span: TraceSpan,
}

/// The payload of `trace.spans_recorded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpansRecorded {
    /// The agent that the part of the trace belongs to: the one that the credential is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The spans that are new or changed, ordered by id.
    pub spans: Vec<RecordedSpan>,
}

/// The payload of `trace.spans_withdrawn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpansWithdrawn {
    /// The import that was taken back.
    pub import_id: ImportId,
    /// Spans that the import reported, or of which it reported the call, ordered by id. Those that it alone reported are no
    /// longer part of the trace.
    pub span_ids: Vec<SpanId>,
    /// Why the import was taken back.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When the import was taken back.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a trace.
    pub enum TraceEvent {
        /// Spans of a batch were recorded, or other spans are charged than before.
        "trace.spans_recorded" v 1 => SpansRecorded(SpansRecorded),
        /// An import that reported spans was taken back.
        "trace.spans_withdrawn" v 1 => SpansWithdrawn(SpansWithdrawn),
    }
}

impl TraceEvent {
    /// The event with all reporters of spans that it states changed.
    fn with_reporters(mut self, change: impl Fn(&mut Reporters)) -> Self {
        match &mut self {
            Self::SpansRecorded(recorded) => {
                recorded.spans.iter_mut().for_each(|recorded| change(&mut recorded.span.reported_by));
            }
            Self::SpansWithdrawn(_) => {}
        }
        self
    }
}

/// A command to a trace. Spans are recorded together with the calls that they are, by a decision over both: see
/// [`Trace::merged`].
#[derive(Debug, Clone, PartialEq)]
pub enum TraceCommand {
    /// Records spans, without their calls.
    Record {
        /// The agent that the credential is bound to.
        agent_id: Option<AgentId>,
        /// The spans.
        spans: Vec<SpanReport>,
        /// Who reports them: the import that they belong to, if they belong to one.
        reported_by: Reporters,
    },
}

/// Why spans of a trace are rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TraceError {
    /// The trace has too many spans that state usage or lead to one.
    #[error(
        "the trace has more than {limit} spans that state usage or lead to one, which is the limit: end a trace with each task",
        limit = Trace::MAX_SPANS
    )]
    TooManySpans,
    /// The trace has too many spans that state no usage.
    #[error(
        "the trace has more than {limit} spans that state no usage, which is the limit: end a trace with each task",
        limit = Trace::MAX_LINKS
    )]
    TooManyLinks,
    /// A call rejects what the spans say about it.
    #[error(transparent)]
    Call(#[from] crate::call::CallError),
}

/// The state of a trace, or of the part of it that belongs to an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The agent that the part of the trace belongs to, if it does.
    pub agent_id: Option<AgentId>,
    /// The spans that state usage, and those that lead from them to others.
    pub spans: BTreeMap<SpanId, TraceSpan>,
}

/// A span whose charge has to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The span is a call that is not charged yet.
    Charge(SpanId),
    /// The span is charged, and repeats others.
    Reverse(SpanId),
    /// The span is charged, and it is known only now whose the call is.
    Name(SpanId),
}

impl Change {
    /// The span.
    #[must_use]
    pub fn span_id(self) -> SpanId {
        match self {
            Self::Charge(id) | Self::Reverse(id) | Self::Name(id) => id,
        }
    }
}

impl Trace {
    /// The maximum number of spans that a trace knows.
    pub const MAX_SPANS: usize = 4_096;
    /// The maximum number of spans without usage that a trace knows. The rest is left to calls, which are money.
    pub const MAX_LINKS: usize = Self::MAX_SPANS / 2;

    /// The stream id of a trace, or of the part of it that belongs to an agent.
    #[must_use]
    pub fn id(trace_id: TraceId, agent: Option<AgentId>) -> Uuid {
        let agent = agent.map(|agent| agent.to_string()).unwrap_or_default();
        derived_id(&["trace", &trace_id.to_string(), &agent])
    }

    /// The trace with more spans. A span that is known is joined with the report, whatever their order.
    ///
    /// # Errors
    /// As for [`Trace::merged_by`].
    pub fn merged(&self, reports: &[SpanReport]) -> Result<Self, TraceError> {
        self.merged_by(reports, &Reporters::default())
    }

    /// As [`Trace::merged`], with who reports the spans.
    ///
    /// # Errors
    /// [`TraceError::TooManyLinks`] beyond [`Trace::MAX_LINKS`], and [`TraceError::TooManySpans`] beyond [`Trace::MAX_SPANS`].
    pub fn merged_by(&self, reports: &[SpanReport], reported_by: &Reporters) -> Result<Self, TraceError> {
        let mut merged = self.clone();
        for report in reports {
            let span = merged.spans.entry(report.span_id).or_insert_with(|| TraceSpan::reported_by(reported_by));
            span.join(report, reported_by);
        }
        let links = merged.spans.values().filter(|span| span.usage.is_none()).count();
        if links > Self::MAX_LINKS {
            return Err(TraceError::TooManyLinks);
        }
        if merged.spans.len() > Self::MAX_SPANS { Err(TraceError::TooManySpans) } else { Ok(merged) }
    }

    /// The spans that an import reported, or of which it reported the call, ordered by id.
    pub fn spans_of(&self, import_id: ImportId) -> impl Iterator<Item = (SpanId, &TraceSpan)> {
        let spans = self.spans.iter().map(|(id, span)| (*id, span));
        spans.filter(move |(_, span)| {
            let of_call = span.usage.as_ref().and_then(|usage| usage.call_reported_by.as_ref());
            [Some(&span.reported_by), of_call].into_iter().flatten().any(|reporters| reporters.contains(import_id))
        })
    }

    /// Which spans repeat the usage of others. They stay the same while spans are charged or reversed.
    #[must_use]
    pub fn repeats(&self) -> Repeats {
        Repeats::of(self)
    }

    /// The spans whose charge has to change by the repeats of the trace, ordered by id: charges first, then reversals, and names
    /// last, because no money depends on them. Spans that cannot be charged because a fact is missing are not among them.
    #[must_use]
    pub fn changes(&self, repeats: &Repeats) -> Vec<Change> {
        let with_usage = self.spans.iter().filter_map(|(id, span)| Some((*id, span.usage.as_ref()?)));
        let names = self.all_names();
        let change = |(id, usage): (SpanId, &SpanUsage)| match (repeats.contains(id), usage.is_charged) {
            (false, false) if usage.facts.is_some() => Some(Change::Charge(id)),
            (true, true) => Some(Change::Reverse(id)),
            (false, true) if !names.get(&id).copied().unwrap_or_default().are(&usage.charged_names) => {
                Some(Change::Name(id))
            }
            _ => None,
        };
        let mut changes: Vec<_> = with_usage.filter_map(change).collect();
        changes.sort_by_key(|change| match change {
            Change::Charge(_) => 0,
            Change::Reverse(_) => 1,
            Change::Name(_) => 2,
        });
        changes
    }

    /// What a span states of its usage; none if the trace does not know the span, or it states none.
    #[must_use]
    pub fn usage(&self, span_id: SpanId) -> Option<&SpanUsage> {
        self.spans.get(&span_id)?.usage.as_ref()
    }

    /// Marks a span as charged, under the names that it has now. What it says is known to its call from now on.
    pub fn set_charged(&mut self, span_id: SpanId) {
        let names = self.names_of(span_id);
        if let Some(usage) = self.usage_mut(span_id) {
            usage.is_charged = true;
            usage.charged_names = names;
            usage.call_reported_by = None;
            usage.facts = None;
        }
    }

    /// Marks a charged span as one whose call is under the names that the span has now.
    pub fn set_named(&mut self, span_id: SpanId) {
        let names = self.names_of(span_id);
        if let Some(usage) = self.usage_mut(span_id).filter(|usage| usage.is_charged) {
            usage.charged_names = names;
        }
    }

    /// Marks a span as not charged, with the facts that it is charged by if it turns out to be a call after all, and who reported
    /// these.
    pub fn set_repeat(&mut self, span_id: SpanId, call: Option<(CallFacts, Reporters)>) {
        let Some(span) = self.spans.get_mut(&span_id) else { return };
        let Some(usage) = &mut span.usage else { return };
        usage.is_charged = false;
        usage.charged_names = CallNames::default();
        let (facts, reported_by) = call.unzip();
        usage.facts = facts.map(Box::new);
        span.keep_reporters(reported_by);
    }

    /// Removes a span, unless others than an import reported it, or its call, too.
    fn withdraw(&mut self, span_id: SpanId, import_id: ImportId) {
        let left = self.spans.remove(&span_id).and_then(|span| span.without(import_id));
        self.spans.extend(left.map(|span| (span_id, span)));
    }

    fn usage_mut(&mut self, span_id: SpanId) -> Option<&mut SpanUsage> {
        self.spans.get_mut(&span_id)?.usage.as_mut()
    }

    /// Whether another span that is charged is the same call as a span, by the id of the response.
    #[must_use]
    pub fn shares_call(&self, span_id: SpanId) -> bool {
        let Some(usage) = self.usage(span_id) else { return false };
        let ids: BTreeSet<_> = usage.call_ids.iter().collect();
        let others = self.spans.iter().filter(|(id, _)| **id != span_id);
        others
            .filter_map(|(_, span)| span.usage.as_ref())
            .any(|other| other.is_charged && other.call_ids.iter().any(|id| ids.contains(id)))
    }

    /// The event that turns this state into another one; none if there is no difference.
    #[must_use]
    pub fn event_to(&self, after: &Self, agent_id: Option<AgentId>) -> Option<TraceEvent> {
        let is_changed = |(id, span): &(&SpanId, &TraceSpan)| self.spans.get(id) != Some(span);
        let changed = after.spans.iter().filter(is_changed);
        let spans: Vec<_> = changed.map(|(id, span)| RecordedSpan { span_id: *id, span: span.clone() }).collect();
        (!spans.is_empty()).then_some(TraceEvent::SpansRecorded(SpansRecorded { agent_id, spans }))
    }
}

impl Aggregate for Trace {
    const CATEGORY: &'static str = "trace";
    const ABRIDGED: Option<Abridged<TraceEvent>> = Some(Abridged {
        abridge: |event, correlation_id| event.with_reporters(|reporters| reporters.abridge(correlation_id)),
        complete: |event, correlation_id| event.with_reporters(|reporters| reporters.complete(correlation_id)),
    });
    type Command = TraceCommand;
    type Event = TraceEvent;
    type Error = TraceError;

    fn decide(&self, command: TraceCommand) -> Result<Vec<TraceEvent>, TraceError> {
        let TraceCommand::Record { agent_id, spans, reported_by } = command;
        Ok(self.event_to(&self.merged_by(&spans, &reported_by)?, agent_id).into_iter().collect())
    }

    fn owner(&self, _: Uuid) -> Option<AgentId> {
        self.agent_id
    }

    fn evolve(mut self, event: &TraceEvent) -> Self {
        match event {
            TraceEvent::SpansRecorded(SpansRecorded { agent_id, spans }) => {
                self.agent_id = self.agent_id.or(*agent_id);
                self.spans.extend(spans.iter().map(|recorded| (recorded.span_id, recorded.span.clone())));
            }
            TraceEvent::SpansWithdrawn(SpansWithdrawn { import_id, span_ids, .. }) => {
                for span_id in span_ids {
                    self.withdraw(*span_id, *import_id);
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
