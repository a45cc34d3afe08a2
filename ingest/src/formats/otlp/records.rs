//! Turns a span of the forest into records.

use super::attributes::{EXECUTE_TOOL, Slot};
use super::forest::{Details, Forest, Node};
use super::span::{Span, SpanTime};
use crate::error::{Refusal, RefusalReason};
use crate::format::{Defaults, Format};
use crate::formats::values::{default_agent, informative, minimal_facts, name};
use crate::record::{AgentRef, Record, TaskRef};
use crate::text::clipped_error;
use chrono::{DateTime, Utc};
use domain::call::{CallFacts, CallIds, CallKey, CallKind, CallSpan};
use domain::{Name, Usage};

/// The records of a span: one for the model that it called and one for the tool that it ran.
pub(crate) fn records_of<'a>(
    forest: &'a Forest,
    at: usize,
    node: &'a Node,
    defaults: &'a Defaults,
) -> impl Iterator<Item = Result<Record, Refusal>> + 'a {
    let call = node.details.as_deref().map(|details| Call { forest, at, node, span: &details.span, defaults });
    let is_tool = |details: &Details| details.span.attributes.text(Slot::Operation) == Some(EXECUTE_TOOL);
    let runs_tool = node.details.as_deref().is_some_and(is_tool);
    let llm = call.as_ref().and_then(|call| forest.usage(at).map(|usage| call.llm(usage)));
    let tool = call.as_ref().filter(|_| runs_tool).map(Call::tool);
    let location = node.location;
    llm.into_iter().chain(tool).map(move |record| record.map_err(|reason| Refusal { location, reason }))
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
    fn llm(&self, usage: Usage) -> Result<Record, RefusalReason> {
        let attributes = &self.span.attributes;
        let model = match (attributes.model(), &self.defaults.model) {
            (Some(model), _) => name("gen_ai.response.model", model)?,
            (None, Some(model)) => model.clone(),
            (None, None) => return Err(RefusalReason::Missing("gen_ai.response.model")),
        };
        let named = attributes.provider();
        let provider = match &named {
            Some(provider) => Some(name("gen_ai.provider.name", provider)?),
            None => self.defaults.provider.clone(),
        };
        let response_id = attributes.text(Slot::ResponseId);
        // The provider and the model as the span names them: the defaults may be others at the next import.
        let (seller, called) = (named.as_deref().unwrap_or_default(), attributes.model().unwrap_or_default());
        let of_span = CallKey::of_span(CallKind::Llm, &self.span()?).call_id();
        let of_response = response_id.and_then(|id| CallKey::of_response(seller, called, id));
        let call_ids = of_response.iter().map(CallKey::call_id).fold(of_span.into(), CallIds::with);
        let facts = CallFacts {
            provider,
            model: Some(model),
            usage,
            service_tier: informative(attributes.text(Slot::ServiceTier)),
            first_token_ms: attributes.first_token_ms(),
            response_id: informative(response_id),
            ..self.facts(CallKind::Llm)?
        };
        Ok(self.record(call_ids, facts))
    }

    fn tool(&self) -> Result<Record, RefusalReason> {
        let named = self.span.attributes.text(Slot::Tool);
        let tool = named.or_else(|| self.span.name.as_deref()?.strip_prefix(EXECUTE_TOOL).map(str::trim));
        let tool = tool.ok_or(RefusalReason::Missing("gen_ai.tool.name"))?;
        let key = CallKey::of_span(CallKind::Tool, &self.span()?);
        let facts = CallFacts { tool: Some(name("gen_ai.tool.name", tool)?), ..self.facts(CallKind::Tool)? };
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
        let named = self.forest.nearest(self.at, |attributes| {
            let (id, name) = (attributes.text(Slot::AgentId), attributes.text(Slot::AgentName));
            AgentRef::new(Format::Otlp, id.or(name)?, name.or(id)?)
        });
        named
            .or_else(|| default_agent(Format::Otlp, self.defaults))
            .or_else(|| self.forest.service(self.node).and_then(|name| AgentRef::new(Format::Otlp, name, name)))
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
