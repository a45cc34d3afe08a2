//! Event streams of OpenHands: a list of events in one JSON document, or one event per line.
//!
//! An action that a model asked for, and the observation that follows it, carry the response of the model with its usage
//! (`tool_call_metadata.model_response`): the same response, which identifies the call. Messages of the agent carry none, so
//! that they are no calls. OpenHands calls models by LiteLLM, which counts cached tokens inside the prompt for all providers. A
//! response names no provider, and the events name no agent.

use super::counts::{Cached, Counts};
use super::document::list_or_line_records;
use super::json::Fields;
use super::lines::{Lines, ParsedLine};
use super::recent::Occurrences;
use super::spec::{Identifiers, KeyKind, Spec};
use super::values::{agent_or_format, any_time, informative, minimal_facts, model, start};
use crate::error::RefusalReason;
use crate::format::{Defaults, Format};
use crate::record::{Location, Record};
use domain::call::{CallFacts, CallKind, Outcome};

pub(crate) const SPEC: Spec = Spec {
    format: Format::OpenHands,
    about: "Event streams of OpenHands: a JSON list of events, or one per line",
    extensions: &["json", "jsonl", "json.gz", "jsonl.gz"],
    identity: &[KeyKind::Response, KeyKind::Content],
    recognises: |sketch| {
        let is_event = |kind| sketch.has_all(&["id", "timestamp", "source", kind]);
        is_event("action") || is_event("observation")
    },
    open: |lines: Lines, defaults: Defaults| {
        list_or_line_records(lines, move |location, event| parse(location, event, &defaults))
    },
};

fn parse(location: Location, event: &str, defaults: &Defaults) -> Result<ParsedLine, RefusalReason> {
    let fields = Fields::parse(event)?;
    if fields.raw("id").is_none() || fields.raw("source").is_none() {
        return Ok(ParsedLine::OtherFormat);
    }
    let Some(response) = fields.at(&["tool_call_metadata", "model_response"]) else { return Ok(ParsedLine::NotACall) };
    let Some(usage) = response.object("usage") else { return Ok(ParsedLine::NotACall) };
    // The event has the time of a clock without a zone.
    let created = response.raw("created").map(|created| any_time("created", created.get())).transpose()?;
    let named = response.text("model");
    let id = response.text("id");
    let facts = CallFacts {
        provider: defaults.provider.clone(),
        model: Some(model("model_response.model", named.as_deref(), defaults)?),
        usage: Counts::openai(&usage)?.usage(Cached::Inside)?,
        service_tier: informative(response.text("service_tier").as_deref()),
        outcome: Some(Outcome::Ok),
        response_id: informative(id.as_deref()),
        record_id: informative(fields.raw("id").map(|id| id.get())),
        ..minimal_facts(CallKind::Llm, start("model_response.created", created, defaults)?, Format::OpenHands)?
    };
    // An action and its observation carry the same response, so that equal ones are not counted.
    let text = fields.object("tool_call_metadata").and_then(|metadata| metadata.raw("model_response"));
    let text = text.map_or("", |response| response.get());
    let identifiers = Identifiers {
        model: named.as_deref().unwrap_or_default(),
        response_id: id.as_deref(),
        content: &[text],
        ..Identifiers::default()
    };
    let call_ids = SPEC.call_ids(&identifiers, &mut Occurrences::new(1));
    let agent = agent_or_format(Format::OpenHands, defaults);
    Ok(Record::new(location, call_ids, agent, None, facts).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{calls, read, records, totals};
    use domain::Meter;

    fn event(id: u32, response_id: &str, prompt: u64) -> String {
        format!(
            r#"{{"id":{id},"timestamp":"2025-01-27T22:45:13.764487","source":"agent","action":"edit","timeout":{{"a":1}},
            "tool_call_metadata":{{"function_name":7,"model_response":{{"id":"{response_id}","created":1738046713,
            "model":"claude-3-5-sonnet-20241022","usage":{{"completion_tokens":1135,"prompt_tokens":{prompt},
            "prompt_tokens_details":{{"audio_tokens":null,"cached_tokens":100}},"cache_creation_input_tokens":3000}}}}}}}}"#
        )
        .replace('\n', "")
    }

    const ID: &str = "chatcmpl-6814daca-5c62-431d-8c88-9dafead244f1";

    #[test]
    fn an_action_and_its_observation_are_one_call() {
        let message = r#"{"id":1,"source":"user","timestamp":"x","action":"message"}"#.to_owned();
        let events = [message, event(3, ID, 3486), event(4, ID, 3486)];
        for text in [format!("[{}]", events.join(",")), events.join("\n")] {
            let found = records(Format::OpenHands, &text);
            let calls = calls(&found);
            assert_eq!((found.len(), calls.len()), (2, 1));
            let right =
                [(Meter::Input, 386), (Meter::Output, 1135), (Meter::CacheRead, 100), (Meter::CacheWrite5Min, 3000)];
            assert_eq!(totals(calls.values()), right);
            assert_eq!(found[0].facts.started_at.to_rfc3339(), "2025-01-28T06:45:13+00:00");
            assert_eq!(found[0].facts.provider, None, "the events name no provider");
        }
    }

    #[test]
    fn a_document_that_is_cut_off_is_refused_as_a_whole() {
        let cut = format!("[{},{}", event(3, ID, 3486), &event(4, ID, 1)[..40]);
        assert!(read(Format::OpenHands, cut)[0].is_err());
    }
}
