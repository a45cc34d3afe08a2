//! Spans as a trace knows them.

use crate::call::{CallFacts, CallIds, CallNames, RecordKey, Reporters, SpanId};
use crate::ids::{CallId, ImportId};
use crate::meter::Meter;
use crate::text::Name;
use crate::usage::{Quantity, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the usage of a span is, by the kind of its operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// The usage of a call to a model.
    #[default]
    Call,
    /// The sum of the calls that an agent or a workflow made.
    Summary,
}

/// A span that a trace knows: it states usage, or leads from a span that does to another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceSpan {
    /// The span that it is a part of; absent for a root, and while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// Whose the calls at and inside of the span are, as the span itself says; absent if it names nothing.
    #[serde(default, skip_serializing_if = "CallNames::is_empty")]
    pub names: CallNames,
    /// The usage that it states; absent if it states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<SpanUsage>,
    /// Who reported the span; absent if the import that the correlation id of the event names did, and no one else.
    #[serde(default = "Reporters::of_event", skip_serializing_if = "Reporters::is_of_event")]
    pub reported_by: Reporters,
}

/// The usage that a span states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanUsage {
    /// What the usage is.
    pub kind: SpanKind,
    /// What the span says was used, by meter.
    pub usage: Usage,
    /// The names of the model that the span has, of the request and of the response.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub models: BTreeSet<Name>,
    /// The id that the provider gave the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<Name>,
    /// The ids of the call that the span is, if it is one.
    pub call_ids: BTreeSet<CallId>,
    /// Whether the span is charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_charged: bool,
    /// What the span is charged by if it turns out to be a call; absent if it is charged, and if the facts are not those of a
    /// call because it names no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<CallFacts>>,
    /// Whose the call is if no span names it, such as the service; absent if nothing is known.
    #[serde(default, skip_serializing_if = "CallNames::is_empty")]
    pub fallback: CallNames,
    /// The record of the call that the span is; absent if the facts were never those of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordKey>,
    /// The names under which the span is charged; absent if it is not charged, and if nothing was named.
    #[serde(default, skip_serializing_if = "CallNames::is_empty")]
    pub charged_names: CallNames,
    /// Who reported the call that the span was, before it was reversed because it repeats others; absent if it was not, and if
    /// nobody did but those that reported the span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_reported_by: Option<Reporters>,
}

/// What an export says of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanReport {
    /// The id of the span.
    pub span_id: SpanId,
    /// The span that it is a part of.
    pub parent_span_id: Option<SpanId>,
    /// Whose the calls at and inside of the span are, as the span itself says.
    pub names: CallNames,
    /// The usage that it states.
    pub usage: Option<UsageReport>,
}

/// What an export says of the usage of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageReport {
    /// What the usage is.
    pub kind: SpanKind,
    /// What was used, by meter.
    pub usage: Usage,
    /// The names of the model.
    pub models: BTreeSet<Name>,
    /// The id that the provider gave the response.
    pub response_id: Option<Name>,
    /// The ids of the call.
    pub call_ids: CallIds,
    /// The facts of the call; none if something is missing without which nothing can be charged.
    pub facts: Option<CallFacts>,
    /// Whose the call is if no span names it.
    pub fallback: CallNames,
}

impl UsageReport {
    fn record(&self) -> Option<RecordKey> {
        let facts = self.facts.as_ref()?;
        Some(RecordKey { at: facts.started_at, source: facts.source.clone(), id: facts.record_id.clone() })
    }
}

/// What two exports of one span are compared by: counts grow while a response is streamed.
fn rank(usage: &Usage) -> (u64, u64, usize, [Quantity; Meter::COUNT]) {
    let content = std::array::from_fn(|at| usage.get(Meter::ALL[at]));
    (usage.prompt(), usage.get(Meter::Output).get(), usage.iter().count(), content)
}

impl TraceSpan {
    /// A span of which nothing is known but who reports it.
    pub(super) fn reported_by(reporters: &Reporters) -> Self {
        Self { reported_by: reporters.clone(), ..Self::default() }
    }

    /// Who reported the span, and the call that it was before it was reversed.
    #[must_use]
    pub fn all_reporters(&self) -> Reporters {
        match self.usage.as_ref().and_then(|usage| usage.call_reported_by.as_ref()) {
            Some(of_call) => self.reported_by.union(of_call),
            None => self.reported_by.clone(),
        }
    }

    /// The span without an import among its reporters; none if there are no others, neither of the span nor of the call that it
    /// was: the call is known by its span alone.
    pub(super) fn without(mut self, import_id: ImportId) -> Option<Self> {
        let of_call = self.usage.as_mut().and_then(|usage| usage.call_reported_by.take());
        let of_call = of_call.and_then(|reporters| reporters.without(import_id));
        match self.reported_by.without(import_id) {
            Some(left) => {
                self.reported_by = left;
                self.keep_reporters(of_call);
            }
            None => self.reported_by = of_call?,
        }
        Some(self)
    }

    /// Keeps who reported the call that the span was.
    pub(super) fn keep_reporters(&mut self, of_call: Option<Reporters>) {
        let Some(usage) = &mut self.usage else { return };
        match of_call {
            // One form for what belongs to no import.
            Some(of_call) if of_call.is_without_import() => {
                self.reported_by = self.reported_by.union(&of_call);
                usage.call_reported_by = None;
            }
            of_call => usage.call_reported_by = of_call.filter(|of_call| *of_call != self.reported_by),
        }
    }

    /// Joins an export of the span, which may come before others and more than once.
    pub(super) fn join(&mut self, report: &SpanReport, reporters: &Reporters) {
        self.reported_by = self.reported_by.union(reporters);
        // A span has one parent. Were there two, the lower one would be it in any order.
        self.parent_span_id = match (self.parent_span_id, report.parent_span_id) {
            (Some(known), Some(reported)) => Some(known.min(reported)),
            (known, reported) => known.or(reported),
        };
        self.names = self.names.joined(&report.names);
        let Some(reported) = &report.usage else { return };
        match &mut self.usage {
            Some(known) => known.join(reported),
            None => self.usage = Some(SpanUsage::of(reported)),
        }
    }
}

impl SpanUsage {
    fn of(reported: &UsageReport) -> Self {
        Self {
            kind: reported.kind,
            usage: reported.usage,
            models: reported.models.clone(),
            response_id: reported.response_id.clone(),
            call_ids: reported.call_ids.iter().collect(),
            is_charged: false,
            facts: reported.facts.clone().map(Box::new),
            fallback: reported.fallback.clone(),
            record: reported.record(),
            charged_names: CallNames::default(),
            call_reported_by: None,
        }
    }

    fn join(&mut self, reported: &UsageReport) {
        let is_greater = rank(&reported.usage) > rank(&self.usage);
        if is_greater {
            self.usage = reported.usage;
        }
        // A snapshot may not name the operation yet.
        self.kind = self.kind.max(reported.kind);
        self.models.extend(reported.models.iter().cloned());
        self.response_id = self.response_id.clone().max(reported.response_id.clone());
        self.call_ids.extend(reported.call_ids.iter());
        self.fallback = self.fallback.joined(&reported.fallback);
        self.record = self.record.take().into_iter().chain(reported.record()).min();
        // A span that is charged has its facts in its call.
        if !self.is_charged && (is_greater || self.facts.is_none()) {
            self.facts = reported.facts.clone().map(Box::new).or(self.facts.take());
        }
    }

    /// The ids of the call, of which there is at least one.
    pub(super) fn ids(&self) -> impl Iterator<Item = CallId> + '_ {
        self.call_ids.iter().copied()
    }
}
