//! The telemetry of coding agents: which of their events and spans are calls, and what their attributes say.
//!
//! They name attributes without the prefixes of the conventions, such as `input_tokens`: these names are read of their own events
//! and spans only. `docs/opentelemetry.md` shows the table.
//!
//! - Claude Code writes an event and, if tracing is on, a span for each request
//!   (<https://code.claude.com/docs/en/monitoring-usage>), both with the id that Anthropic gave the request.
//! - Codex writes two events when a response is completed, one of which has the counts. `tool_token_count` is the total.
//! - Gemini CLI writes an event of its own and a GenAI event for each response, with the same time.

use super::conventions::{EXECUTE_TOOL, Slot, is_unread_usage, slot_of};
use domain::Meter;

/// How a coding agent counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counting {
    /// Whether cached tokens are beside the input, if no total says so.
    pub(crate) is_cached_beside: bool,
    /// Whether reasoning tokens are beside the output, if no total says so.
    pub(crate) is_reasoning_beside: bool,
}

/// An event of a coding agent, which is one call.
pub(crate) struct VendorEvent {
    /// The name of the event.
    pub(crate) name: &'static str,
    /// An attribute with the value that the event of a call has.
    pub(crate) only_if: Option<(&'static str, &'static str)>,
    /// The agent, and a part of the name of its service.
    pub(crate) agent: &'static str,
    /// Its attributes, with what they say.
    pub(crate) attributes: &'static [(&'static str, Slot)],
    pub(crate) counting: Counting,
    /// Whether events of the name that state no count are not those of calls.
    pub(crate) is_call_by_counts: bool,
    /// Whether the agent writes a GenAI event ([`GENAI_EVENT`]) of each call, too, with the same `event.timestamp`.
    pub(crate) repeats_as_genai_event: bool,
}

/// The GenAI event of a call.
pub(crate) const GENAI_EVENT: &str = "gen_ai.client.inference.operation.details";

/// The events of coding agents that are calls.
pub(crate) const EVENTS: [VendorEvent; 3] = [
    VendorEvent {
        name: "claude_code.api_request",
        only_if: None,
        agent: "claude-code",
        attributes: CLAUDE_CODE,
        counting: Counting { is_cached_beside: true, is_reasoning_beside: false },
        is_call_by_counts: false,
        repeats_as_genai_event: false,
    },
    VendorEvent {
        name: "codex.sse_event",
        only_if: Some(("event.kind", "response.completed")),
        agent: "codex",
        attributes: &[
            ("model", Slot::ResponseModel),
            ("input_token_count", Slot::Meter(Meter::Input)),
            ("output_token_count", Slot::Meter(Meter::Output)),
            ("cached_token_count", Slot::Meter(Meter::CacheRead)),
            ("reasoning_token_count", Slot::Meter(Meter::Reasoning)),
            ("tool_token_count", Slot::Total),
            ("duration_ms", Slot::LatencyMs),
            ("conversation.id", Slot::Conversation),
        ],
        counting: Counting { is_cached_beside: false, is_reasoning_beside: false },
        is_call_by_counts: true,
        repeats_as_genai_event: false,
    },
    VendorEvent {
        name: "gemini_cli.api_response",
        only_if: None,
        agent: "gemini-cli",
        attributes: &[
            ("model", Slot::ResponseModel),
            ("input_token_count", Slot::Meter(Meter::Input)),
            ("output_token_count", Slot::Meter(Meter::Output)),
            ("cached_content_token_count", Slot::Meter(Meter::CacheRead)),
            ("thoughts_token_count", Slot::Meter(Meter::Reasoning)),
            ("tool_token_count", Slot::ToolPrompt),
            ("total_token_count", Slot::Total),
            ("duration_ms", Slot::LatencyMs),
        ],
        counting: Counting { is_cached_beside: false, is_reasoning_beside: true },
        is_call_by_counts: false,
        repeats_as_genai_event: true,
    },
];

/// The attributes of a request of Claude Code.
const CLAUDE_CODE: &[(&str, Slot)] = &[
    ("model", Slot::ResponseModel),
    ("input_tokens", Slot::Meter(Meter::Input)),
    ("output_tokens", Slot::Meter(Meter::Output)),
    ("cache_read_tokens", Slot::Meter(Meter::CacheRead)),
    ("cache_creation_tokens", Slot::Meter(Meter::CacheWrite5Min)),
    ("cost_usd", Slot::Cost),
    ("request_id", Slot::RequestId),
    ("speed", Slot::Speed),
    ("duration_ms", Slot::LatencyMs),
    ("ttft_ms", Slot::FirstTokenMs),
];

/// A span of a coding agent.
pub(crate) struct VendorSpan {
    /// The name of the span.
    pub(crate) name: &'static str,
    /// Its attributes, with what they say.
    pub(crate) attributes: &'static [(&'static str, Slot)],
    /// The operation that the span is, if it names none.
    pub(crate) operation: &'static str,
}

/// The spans of coding agents that are calls.
pub(crate) const SPANS: [VendorSpan; 2] = [
    VendorSpan { name: "claude_code.llm_request", attributes: CLAUDE_CODE, operation: "chat" },
    VendorSpan { name: "claude_code.tool", attributes: &[("tool_name", Slot::Tool)], operation: EXECUTE_TOOL },
];

/// An attribute that only some spans have under this name, by its name.
pub(crate) fn span_attribute(key: &str) -> Option<&'static str> {
    SPANS.iter().flat_map(|span| span.attributes).find(|(name, _)| *name == key).map(|(name, _)| *name)
}

/// Attributes of events that say again what others do.
const SAID_ELSEWHERE: [&str; 1] = ["cost_usd_micros"];

/// Whether an attribute of an event, which is not in its table, says what was used.
pub(crate) fn is_unread_count(key: &str) -> bool {
    let says_usage = ["token", "cost"].iter().any(|word| key.contains(word)) && !SAID_ELSEWHERE.contains(&key);
    slot_of(key).is_none() && !key.starts_with("gen_ai.") && (says_usage || is_unread_usage(key))
}

/// The table of events and spans as Markdown, which is in `docs/opentelemetry.md`.
#[cfg(test)]
fn documented() -> String {
    let events = EVENTS.iter().map(|event| (event.name, event.attributes));
    let spans = SPANS.iter().map(|span| (span.name, span.attributes));
    let rows =
        events.map(|row| ("event", row)).chain(spans.map(|row| ("span", row))).map(|(kind, (name, attributes))| {
            let names: Vec<_> = attributes.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("| {kind} `{name}` | {} |\n", names.join(", "))
        });
    format!(
        "| telemetry of a coding agent | attributes that are read beside those above |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_table() {
        let documented = documented();
        let page = include_str!("../../../../docs/opentelemetry.md");
        assert!(page.contains(&documented), "docs/opentelemetry.md lacks:\n{documented}");
    }

    #[test]
    fn each_attribute_of_an_event_or_a_span_has_one_meaning_and_none_of_its_own_elsewhere() {
        let tables = EVENTS.iter().map(|event| event.attributes).chain(SPANS.iter().map(|span| span.attributes));
        for attributes in tables {
            for (at, (name, slot)) in attributes.iter().enumerate() {
                assert!(slot_of(name).is_none(), "{name} is in the table of conventions, too");
                let is_again = |(other, said): &&(&str, Slot)| other == name || said == slot;
                assert_eq!(attributes[at + 1..].iter().find(is_again), None, "{name}");
            }
        }
    }
}
