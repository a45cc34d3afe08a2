//! The names of the attributes that are read, in every convention that exporters write.
//!
//! The names of meters are in the table of meters ([`domain::for_each_meter`]); this file has all others.
//! `docs/opentelemetry.md` shows both. The current names are those of
//! <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/>. Older names were
//! `gen_ai.usage.prompt_tokens` and `completion_tokens` (until 1.27), `gen_ai.system` (until 1.37) and OpenLLMetry's
//! `llm.usage.*`; OpenInference writes `llm.token_count.*`, and Vercel's AI SDK `ai.*`.

use domain::Meter;
use domain::trace::SpanKind;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The meaning of an attribute, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Slot {
    Meter(Meter),
    Total,
    Cost,
    Provider,
    ResponseModel,
    RequestModel,
    ResponseId,
    Operation,
    Tool,
    AgentId,
    AgentName,
    Task,
    Conversation,
    User,
    ServiceTier,
    /// Of coding agents only.
    Speed,
    Region,
    RequestId,
    /// Tokens that tools gave, which are beside the prompt. Of coding agents only.
    ToolPrompt,
    FirstToken,
    FirstTokenMs,
    /// Of events of coding agents only: spans have two times.
    LatencyMs,
    Error,
    Streaming,
    Service,
}

impl Slot {
    /// Whether the attribute is a number. Of one with another value it is said that it is not read.
    pub(crate) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Meter(_)
                | Self::Total
                | Self::Cost
                | Self::ToolPrompt
                | Self::FirstToken
                | Self::FirstTokenMs
                | Self::LatencyMs
        )
    }
}

/// The names of each slot other than a meter, the preferred name first.
const NAMES: [(&str, Slot); 55] = [
    ("gen_ai.usage.total_tokens", Slot::Total),
    ("llm.usage.total_tokens", Slot::Total),
    ("llm.token_count.total", Slot::Total),
    ("ai.usage.totalTokens", Slot::Total),
    ("gen_ai.usage.cost", Slot::Cost),
    ("gen_ai.usage.total_cost", Slot::Cost),
    ("llm.cost.total", Slot::Cost),
    ("operation.cost", Slot::Cost),
    ("gen_ai.provider.name", Slot::Provider),
    ("gen_ai.system", Slot::Provider),
    ("llm.provider", Slot::Provider),
    ("llm.system", Slot::Provider),
    ("ai.model.provider", Slot::Provider),
    ("gen_ai.response.model", Slot::ResponseModel),
    ("ai.response.model", Slot::ResponseModel),
    ("llm.response.model", Slot::ResponseModel),
    ("llm.model_name", Slot::ResponseModel),
    ("embedding.model_name", Slot::ResponseModel),
    ("gen_ai.request.model", Slot::RequestModel),
    ("llm.request.model", Slot::RequestModel),
    ("ai.model.id", Slot::RequestModel),
    ("gen_ai.response.id", Slot::ResponseId),
    ("ai.response.id", Slot::ResponseId),
    ("gen_ai.operation.name", Slot::Operation),
    ("openinference.span.kind", Slot::Operation),
    ("traceloop.span.kind", Slot::Operation),
    ("ai.operationId", Slot::Operation),
    ("gen_ai.tool.name", Slot::Tool),
    ("tool.name", Slot::Tool),
    ("ai.toolCall.name", Slot::Tool),
    ("gen_ai.agent.id", Slot::AgentId),
    ("gen_ai.agent.name", Slot::AgentName),
    ("agent.name", Slot::AgentName),
    ("ai.telemetry.functionId", Slot::AgentName),
    ("gen_ai.task.id", Slot::Task),
    ("gen_ai.conversation.id", Slot::Conversation),
    ("session.id", Slot::Conversation),
    ("ai.telemetry.metadata.sessionId", Slot::Conversation),
    ("traceloop.association.properties.session_id", Slot::Conversation),
    ("user.id", Slot::User),
    ("enduser.id", Slot::User),
    ("ai.telemetry.metadata.userId", Slot::User),
    ("traceloop.association.properties.user_id", Slot::User),
    ("openai.response.service_tier", Slot::ServiceTier),
    ("gen_ai.openai.response.service_tier", Slot::ServiceTier),
    ("cloud.region", Slot::Region),
    ("aws.region", Slot::Region),
    ("aws.request_id", Slot::RequestId),
    ("gen_ai.response.time_to_first_chunk", Slot::FirstToken),
    ("gen_ai.client.operation.time_to_first_chunk", Slot::FirstToken),
    ("gen_ai.server.time_to_first_token", Slot::FirstToken),
    ("ai.response.msToFirstChunk", Slot::FirstTokenMs),
    ("error.type", Slot::Error),
    ("gen_ai.is_streaming", Slot::Streaming),
    ("service.name", Slot::Service),
];

#[cfg(test)]
impl Slot {
    /// What the attribute says, for the documentation.
    fn meaning(self) -> &'static str {
        match self {
            Self::Meter(meter) => meter.description(),
            Self::Total => {
                "The total, which decides whether cached and reasoning tokens are inside of the other counts."
            }
            Self::Cost => "The cost that the client computed, in US dollars. It is shown beside the charge.",
            Self::Provider => "The provider.",
            Self::ResponseModel => "The model that answered.",
            Self::RequestModel => "The model that was asked, if no other is named.",
            Self::ResponseId => "The id of the response. Spans of one response are one call.",
            Self::Operation => "The operation, which tells calls from agents, workflows and tools.",
            Self::Tool => "The tool.",
            Self::AgentId => "The id of the agent, of the span or the nearest one around it.",
            Self::AgentName => "The name of the agent, likewise.",
            Self::Task => "The task, likewise.",
            Self::Conversation => "The conversation, likewise; the task, if none is named.",
            Self::User => "The user, likewise.",
            Self::ServiceTier => "The service tier.",
            Self::Speed => "The speed, such as `fast`.",
            Self::Region => {
                "The region that served the call. Of the span alone: that of the resource is where the agent runs."
            }
            Self::RequestId => "The id that the provider gave the request.",
            Self::ToolPrompt => "Tokens that tools gave, which are beside the prompt.",
            Self::LatencyMs => "The duration, in milliseconds.",
            Self::FirstToken => "The time to the first token, in seconds.",
            Self::FirstTokenMs => "The time to the first token, in milliseconds.",
            Self::Error => "The error.",
            Self::Streaming => "Whether the response was streamed.",
            Self::Service => "The agent, if neither a span nor a setting names one. An attribute of the resource.",
        }
    }
}

/// The names of every slot, those of each slot from the preferred one on.
static ALL_NAMES: LazyLock<Vec<(&'static str, Slot)>> = LazyLock::new(|| {
    let meters = Meter::ALL.iter().flat_map(|meter| meter.attributes().iter().map(|name| (*name, Slot::Meter(*meter))));
    meters.chain(NAMES).collect()
});

static RANKS: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| ALL_NAMES.iter().enumerate().map(|(rank, (name, _))| (*name, rank)).collect());

/// The slot of an attribute, with its name and the rank of it, the preferred one lowest; none if the attribute is not read.
pub(crate) fn slot_of(attribute: &str) -> Option<(Slot, &'static str, usize)> {
    let rank = *RANKS.get(attribute)?;
    let (name, slot) = *ALL_NAMES.get(rank)?;
    Some((slot, name, rank))
}

/// Prefixes of attributes that say what was used.
const USAGE: [&str; 7] = [
    "gen_ai.usage.",
    "gen_ai.aggregated_usage.",
    "llm.usage.",
    "llm.token_count.",
    "llm.cost.",
    "ai.usage.",
    "anthropic.usage.",
];

/// Attributes that say again what others do, or divide a count further than calls are charged by.
const SAID_ELSEWHERE: [&str; 9] = [
    "gen_ai.usage.details.accepted_prediction_tokens",
    "gen_ai.usage.details.audio_tokens",
    "gen_ai.usage.details.rejected_prediction_tokens",
    "gen_ai.aggregated_usage.details.accepted_prediction_tokens",
    "gen_ai.aggregated_usage.details.audio_tokens",
    "gen_ai.aggregated_usage.details.rejected_prediction_tokens",
    "ai.usage.inputTokenDetails.noCacheTokens",
    "ai.usage.outputTokenDetails.textTokens",
    "llm.cost.prompt",
];

/// Whether an attribute that is not read says something about usage, so that its user should know.
pub(crate) fn is_unread_usage(attribute: &str) -> bool {
    USAGE.iter().any(|prefix| attribute.starts_with(prefix))
        && !SAID_ELSEWHERE.contains(&attribute)
        && slot_of(attribute).is_none()
}

/// The operation of a span that runs a tool, and the prefix of its name.
pub(crate) const EXECUTE_TOOL: &str = "execute_tool";

/// What a span is, by its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It states the usage of a call, or the sum of several.
    Usage(SpanKind),
    /// It runs a tool. Usage that it states is a sum.
    Tool,
}

/// The values of [`Slot::Operation`] that are not calls to a model, in lower case.
const OPERATIONS: [(&str, Operation); 23] = [
    ("invoke_agent", Operation::Usage(SpanKind::Summary)),
    ("create_agent", Operation::Usage(SpanKind::Summary)),
    ("invoke_workflow", Operation::Usage(SpanKind::Summary)),
    ("plan", Operation::Usage(SpanKind::Summary)),
    ("agent", Operation::Usage(SpanKind::Summary)),
    ("chain", Operation::Usage(SpanKind::Summary)),
    ("workflow", Operation::Usage(SpanKind::Summary)),
    ("task", Operation::Usage(SpanKind::Summary)),
    ("retriever", Operation::Usage(SpanKind::Summary)),
    ("guardrail", Operation::Usage(SpanKind::Summary)),
    ("evaluator", Operation::Usage(SpanKind::Summary)),
    ("prompt", Operation::Usage(SpanKind::Summary)),
    ("ai.generatetext", Operation::Usage(SpanKind::Summary)),
    ("ai.streamtext", Operation::Usage(SpanKind::Summary)),
    ("ai.generateobject", Operation::Usage(SpanKind::Summary)),
    ("ai.streamobject", Operation::Usage(SpanKind::Summary)),
    ("ai.embed", Operation::Usage(SpanKind::Summary)),
    ("ai.embedmany", Operation::Usage(SpanKind::Summary)),
    (EXECUTE_TOOL, Operation::Tool),
    ("tool", Operation::Tool),
    ("ai.toolcall", Operation::Tool),
    ("run_tool", Operation::Tool),
    ("tool_call", Operation::Tool),
];

/// What a span is, by the value of [`Slot::Operation`].
pub(crate) fn operation(value: Option<&str>) -> Operation {
    let named = value.map(str::to_ascii_lowercase);
    let known = OPERATIONS.iter().find(|(name, _)| Some(*name) == named.as_deref());
    known.map_or(Operation::Usage(SpanKind::Call), |(_, operation)| *operation)
}

/// The values of [`Slot::Operation`] that are calls to a model, and nothing else, in lower case.
const MODEL_CALLS: [&str; 13] = [
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "llm",
    "embedding",
    "completion",
    "ai.generatetext.dogenerate",
    "ai.streamtext.dostream",
    "ai.generateobject.dogenerate",
    "ai.streamobject.dostream",
    "ai.embed.doembed",
    "ai.embedmany.doembed",
];

/// Whether the value of [`Slot::Operation`] says that the span is a call to a model.
pub(crate) fn is_model_call(value: Option<&str>) -> bool {
    value.is_some_and(|named| MODEL_CALLS.iter().any(|known| known.eq_ignore_ascii_case(named)))
}

/// How far the usage that an instrumentation writes can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ScopeBasis {
    /// As any other.
    #[default]
    Usual,
    /// The provider's own SDK follows the conventions: no total is needed to read its counts.
    Provider,
    /// It adds up the counts of a streamed response, and is sometimes off by one.
    AddsUpStreams,
    /// It counts cached tokens beside the input.
    CachedBeside,
}

/// Instrumentations whose usage is known to be better or worse than that of others, by the beginning of their names.
const SCOPES: [(&str, ScopeBasis); 2] = [
    ("com.anthropic.sdk", ScopeBasis::Provider),
    ("opentelemetry.instrumentation.anthropic", ScopeBasis::AddsUpStreams),
];

/// How far the usage of an instrumentation scope can be relied on.
pub(crate) fn scope_basis(scope: &str) -> ScopeBasis {
    SCOPES.iter().find(|(prefix, _)| scope.starts_with(prefix)).map_or(ScopeBasis::Usual, |(_, basis)| *basis)
}

/// The table of attributes as Markdown, which is in `docs/opentelemetry.md`.
#[cfg(test)]
pub(crate) fn documented() -> String {
    let mut slots: Vec<(Slot, Vec<&str>)> = Vec::new();
    for (name, slot) in ALL_NAMES.iter() {
        match slots.iter_mut().find(|(known, _)| known == slot) {
            Some((_, names)) => names.push(name),
            None => slots.push((*slot, vec![name])),
        }
    }
    let rows = slots.iter().map(|(slot, names)| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("| {} | {} |\n", slot.meaning(), names.join(", "))
    });
    format!("| what is read | attributes, the preferred one first |\n|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_has_one_meaning() {
        let names: BTreeSet<_> = ALL_NAMES.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), ALL_NAMES.len());
        for name in SAID_ELSEWHERE {
            assert!(slot_of(name).is_none() && !is_unread_usage(name), "{name}");
        }
        assert!(is_unread_usage("gen_ai.usage.new_tokens") && !is_unread_usage("gen_ai.usage.input_tokens"));
    }

    #[test]
    fn calls_to_models_are_no_sums_and_no_tools() {
        for named in MODEL_CALLS {
            assert!(operation(Some(named)) == Operation::Usage(SpanKind::Call), "{named}");
        }
        assert!(is_model_call(Some("LLM")) && is_model_call(Some("ai.streamText.doStream")));
        assert!(!is_model_call(Some("ai.streamText")) && !is_model_call(None));
    }

    #[test]
    fn the_documentation_has_the_table() {
        let documented = documented();
        let page = include_str!("../../../../docs/opentelemetry.md");
        assert!(page.contains(&documented), "docs/opentelemetry.md lacks:\n{documented}");
    }
}
