//! Turns the spans of a forest into what is reported: the spans of each trace that state usage, with the facts of the calls
//! that they may be, and the calls of tools.

use super::attributes::{Attributes, Operation, StatedUsage};
use super::conventions::{EXECUTE_TOOL, Slot};
use super::forest::{Forest, Node};
use super::span::{Span, SpanTime};
use crate::error::{Refusal, RefusalReason};
use crate::format::{Defaults, Format};
use crate::formats::values::{default_agent, informative, minimal_facts, name};
use crate::item::{Item, TraceSpans, TracedSpan};
use crate::record::{AgentRef, Record, TaskRef};
use crate::text::clipped_error;
use chrono::{DateTime, Utc};
use domain::call::{CallFacts, CallIds, CallKey, CallKind, CallNames, CallSpan, TraceId};
use domain::trace::{SpanKind, SpanReport, UsageReport};
use domain::{Name, normalized};
use std::collections::{BTreeMap, BTreeSet};

/// What is reported of a forest: its traces, and then its tool calls.
pub(crate) fn items_of(forest: &Forest, defaults: &Defaults) -> Vec<Result<Item, Refusal>> {
    let (mut traces, mut others): (BTreeMap<TraceId, Vec<TracedSpan>>, Vec<_>) = (BTreeMap::new(), Vec::new());
    for (at, node) in forest.nodes().iter().enumerate() {
        let Some(details) = node.details.as_deref() else { continue };
        let location = node.location;
        let call = Call { forest, at, node, span: &details.span, defaults };
        if let Some(stated) = details.usage {
            match call.traced(stated) {
                Ok((trace_id, span)) => traces.entry(trace_id).or_default().push(span),
                Err(reason) => others.push(Err(Refusal { location, reason })),
            }
        }
        if details.span.attributes.operation() == Operation::Tool {
            let tool = call.tool().map(|record| Item::Call(Box::new(record)));
            others.push(tool.map_err(|reason| Refusal { location, reason }));
        }
    }
    add_named(forest, &mut traces);
    add_links(forest, &mut traces);
    let traces = traces.into_iter().map(|(trace_id, spans)| Ok(Item::Trace(TraceSpans { trace_id, spans })));
    traces.chain(others).collect()
}

/// Adds the spans of agents, chains and the like that state no usage: calls inside of them may come in other requests, and
/// are made by the agent that they name. The spans of tools are reported as calls.
fn add_named(forest: &Forest, traces: &mut BTreeMap<TraceId, Vec<TracedSpan>>) {
    for node in forest.nodes() {
        if let (true, Some(ids)) = (is_named(node), CallSpan::of(node.id.trace, node.id.span, node.parent)) {
            traces.entry(ids.trace_id).or_default().push(link(node, &ids));
        }
    }
}

/// Whether a span states no usage, and is one of an agent, a chain or the like, or names an agent.
fn is_named(node: &Node) -> bool {
    node.details.as_ref().is_some_and(|details| {
        let attributes = &details.span.attributes;
        let is_relevant =
            [Slot::Operation, Slot::AgentId, Slot::AgentName].iter().any(|slot| attributes.text(*slot).is_some());
        details.usage.is_none() && is_relevant && attributes.operation() != Operation::Tool
    })
}

/// A span that states no usage, with what it names.
fn link(node: &Node, ids: &CallSpan) -> TracedSpan {
    let Some(details) = &node.details else {
        return TracedSpan::link(node.location, ids, CallNames::default(), None);
    };
    let attributes = &details.span.attributes;
    TracedSpan {
        started_at: started_at(&details.span),
        ..TracedSpan::link(node.location, ids, names_in(attributes), agent_in(attributes))
    }
}

/// When a span started, as far as it says so.
fn started_at(span: &Span) -> Option<DateTime<Utc>> {
    match &span.start {
        Some(SpanTime::UnixNanos(start_ns)) => Some(DateTime::from_timestamp_nanos(*start_ns)),
        Some(SpanTime::Invalid(_)) | None => None,
    }
}

/// The agent that attributes name.
pub(super) fn agent_in(attributes: &Attributes) -> Option<AgentRef> {
    let (id, name) = (attributes.text(Slot::AgentId), attributes.text(Slot::AgentName));
    AgentRef::new(Format::Otlp, id.or(name)?, name.or(id)?)
}

/// The id of the response. Claude Code gives that of the request under both names.
fn response_id(attributes: &Attributes) -> Option<&str> {
    attributes.text(Slot::ResponseId).filter(|id| Some(*id) != attributes.text(Slot::RequestId))
}

/// What attributes name of whose a call is.
fn names_in(attributes: &Attributes) -> CallNames {
    CallNames {
        agent_id: agent_in(attributes).map(|agent| agent.id),
        conversation: informative(attributes.text(Slot::Conversation)),
        user: informative(attributes.text(Slot::User)),
    }
}

/// Adds the spans that lead from those with usage, and from those of agents, up to the roots, without which it is not known
/// what is inside of what.
fn add_links(forest: &Forest, traces: &mut BTreeMap<TraceId, Vec<TracedSpan>>) {
    let mut is_added: Vec<_> = forest.nodes().iter().map(is_named).collect();
    for (at, node) in forest.nodes().iter().enumerate() {
        if !is_named(node) && node.details.as_ref().is_none_or(|details| details.usage.is_none()) {
            continue;
        }
        let mut above = forest.parent(at);
        while let Some(outer) = above.filter(|outer| !is_added[*outer]) {
            is_added[outer] = true;
            above = forest.parent(outer);
            let Some(node) = forest.nodes().get(outer) else { break };
            // Those with usage are there.
            let has_usage = node.details.as_ref().is_some_and(|details| details.usage.is_some());
            let ids = CallSpan::of(node.id.trace, node.id.span, node.parent);
            if let (false, Some(ids)) = (has_usage, ids)
                && let Some(spans) = traces.get_mut(&ids.trace_id)
            {
                spans.push(link(node, &ids));
            }
        }
    }
}

/// A span that becomes a record.
struct Call<'a> {
    forest: &'a Forest,
    at: usize,
    node: &'a Node,
    span: &'a Span,
    defaults: &'a Defaults,
}

impl Call<'_> {
    /// The span in its trace.
    fn traced(&self, stated: StatedUsage) -> Result<(TraceId, TracedSpan), RefusalReason> {
        let attributes = &self.span.attributes;
        let ids = self.span()?;
        let kind = match attributes.operation() {
            Operation::Usage(kind) => kind,
            // The calls that were made while it ran.
            Operation::Tool => SpanKind::Summary,
        };
        let response_id = response_id(attributes);
        // The provider and the model as the span names them: the defaults may be others at the next import.
        let (seller, called) = (attributes.provider().unwrap_or_default(), attributes.model().unwrap_or_default());
        let of_response = response_id.and_then(|id| CallKey::of_response(&seller, called, id));
        let of_span = CallKey::of_span(CallKind::Llm, &ids).call_id();
        let of_request = attributes.text(Slot::RequestId).and_then(CallKey::of_provider_request);
        let others = of_response.iter().chain(&of_request).map(CallKey::call_id);
        let call_ids = others.fold(CallIds::from(of_span), CallIds::with);
        let (facts, missing) = match self.llm(stated) {
            Ok(facts) => (Some(facts), None),
            Err(reason) => (None, Some(reason)),
        };
        let models = [Slot::ResponseModel, Slot::RequestModel].into_iter().filter_map(|slot| attributes.text(slot));
        let models: BTreeSet<_> = models.filter_map(|model| Name::new(model).ok()).collect();
        let usage = UsageReport {
            kind,
            usage: stated.usage,
            models,
            response_id: response_id.and_then(|id| normalized(id).ok()).and_then(|id| informative(Some(&id))),
            call_ids,
            facts,
            fallback: self.fallback(),
        };
        let agent = self.agent();
        let task = self.task(agent.as_ref());
        let (span_id, parent_span_id, names) = (ids.span_id, ids.parent_span_id, names_in(attributes));
        let report = SpanReport { span_id, parent_span_id, names, usage: Some(usage) };
        let (location, started_at) = (self.node.location, started_at(self.span));
        let span = TracedSpan { location, report, agent, task, missing, started_at };
        Ok((ids.trace_id, span.with_owners()))
    }

    /// The facts of the call that the span may be.
    fn llm(&self, stated: StatedUsage) -> Result<CallFacts, RefusalReason> {
        let attributes = &self.span.attributes;
        let model = match (attributes.model(), &self.defaults.model) {
            (Some(model), _) => name("gen_ai.response.model", model)?,
            (None, Some(model)) => model.clone(),
            (None, None) => return Err(RefusalReason::Missing("gen_ai.response.model")),
        };
        let provider = match attributes.provider() {
            Some(provider) => Some(name("gen_ai.provider.name", &provider)?),
            None => self.defaults.provider.clone(),
        };
        let facts = CallFacts {
            provider,
            model: Some(model),
            usage: stated.usage,
            usage_assumed: stated.is_assumed,
            service_tier: informative(attributes.text(Slot::ServiceTier)),
            speed: informative(attributes.text(Slot::Speed)),
            region: informative(attributes.text(Slot::Region)),
            first_token_ms: attributes.first_token_ms(),
            reported_cost: attributes.cost(),
            response_id: informative(response_id(attributes)),
            request_id: informative(attributes.text(Slot::RequestId)),
            ..self.facts(CallKind::Llm)?
        };
        facts.check().map_err(RefusalReason::Call)?;
        Ok(facts)
    }

    fn tool(&self) -> Result<Record, RefusalReason> {
        let named = self.span.attributes.text(Slot::Tool);
        let of_name = |name: &str| match self.span.attributes.text(Slot::Operation) {
            Some(EXECUTE_TOOL) => name.strip_prefix(EXECUTE_TOOL).map(|tool| tool.trim().to_owned()),
            _ => Some(name.to_owned()),
        };
        let tool = named.map(str::to_owned).or_else(|| of_name(self.span.name.as_deref()?));
        let tool = tool.ok_or(RefusalReason::Missing("gen_ai.tool.name"))?;
        let key = CallKey::of_span(CallKind::Tool, &self.span()?);
        let facts = CallFacts { tool: Some(name("gen_ai.tool.name", &tool)?), ..self.facts(CallKind::Tool)? };
        Ok(self.record(key.call_id().into(), facts))
    }

    fn facts(&self, kind: CallKind) -> Result<CallFacts, RefusalReason> {
        let field = "startTimeUnixNano";
        let start_ns = match &self.span.start {
            Some(SpanTime::UnixNanos(start_ns)) => *start_ns,
            Some(SpanTime::Invalid(found)) => return Err(RefusalReason::Time { field, found: found.clone() }),
            None => return Err(RefusalReason::Missing(field)),
        };
        Ok(CallFacts {
            latency_ms: self.span.latency_ms(),
            error: self.span.error().and_then(clipped_error),
            outcome: Some(self.span.outcome()),
            conversation: self.nearest_name(Slot::Conversation),
            user: self.nearest_name(Slot::User),
            span: self.span.call_span(),
            record_id: self.span.call_span().and_then(|span| informative(Some(&span.span_id.to_string()))),
            ..minimal_facts(kind, DateTime::<Utc>::from_timestamp_nanos(start_ns), Format::Otlp)?
        })
    }

    fn record(&self, call_ids: CallIds, facts: CallFacts) -> Record {
        let agent = self.agent();
        let task = self.task(agent.as_ref());
        Record::new(self.node.location, call_ids, agent, task, facts)
    }

    /// The agent named by the span or its nearest ancestor, else the default agent, else the service.
    fn agent(&self) -> Option<AgentRef> {
        self.forest.nearest(self.at, agent_in).or_else(|| self.default_agent())
    }

    /// The default agent, else the service.
    fn default_agent(&self) -> Option<AgentRef> {
        default_agent(Format::Otlp, self.defaults)
            .or_else(|| self.forest.service(self.node).and_then(|name| AgentRef::new(Format::Otlp, name, name)))
    }

    /// Whose the call is if no span names it: what the resource says, else the default agent, else the service.
    fn fallback(&self) -> CallNames {
        let names = self.forest.resource(self.node).map(names_in).unwrap_or_default();
        names.or(&CallNames { agent_id: self.default_agent().map(|agent| agent.id), ..CallNames::default() })
    }

    /// The task named by the span or its nearest ancestor, else the conversation.
    fn task(&self, agent: Option<&AgentRef>) -> Option<TaskRef> {
        [(Slot::Task, "task"), (Slot::Conversation, "conversation")].into_iter().find_map(|(slot, kind)| {
            self.forest.nearest(self.at, |attributes| {
                let id = attributes.text(slot)?;
                TaskRef::new(Format::Otlp, &[kind, id], &format!("{kind} {id}"), agent)
            })
        })
    }

    fn span(&self) -> Result<CallSpan, RefusalReason> {
        self.span.call_span().ok_or(RefusalReason::Missing("traceId"))
    }

    /// A name that the span or its nearest ancestor has.
    fn nearest_name(&self, slot: Slot) -> Option<Name> {
        self.forest.nearest(self.at, |attributes| informative(attributes.text(slot)))
    }
}
