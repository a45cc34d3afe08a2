//! Which spans and records are one call.

use super::{export, span, usage, with};
use crate::format::Format::{self, Otlp};
use crate::formats::testing::{calls, joined, records};
use domain::Name;
use serde_json::{Value, json};

/// The number of calls that spans with these attributes are. Each span has an id of its own.
fn calls_of(attributes: &[Value]) -> usize {
    let spans: Vec<_> = ('a'..).zip(attributes).map(|(id, attributes)| span(id, "", attributes.clone())).collect();
    calls(&records(Otlp, export(&spans))).len()
}

#[test]
fn a_response_id_that_is_unique_identifies_the_call_in_every_span_and_file() {
    let answered = |id: &str| with(usage(10, 2), json!({"gen_ai.response.id": id}));
    let id = "chatcmpl-Abc123uniq";
    assert_eq!(calls_of(&[answered(id), answered(id), usage(1, 1)]), 2);
    let resold = with(answered(id), json!({"gen_ai.provider.name": "azure.ai.openai"}));
    assert_eq!(calls_of(&[answered(id), resold]), 1, "one response under the names of two providers");
    let line = format!(r#"{{"id":"{id}","created":1700000000,"model":"m","usage":{{}}}}"#);
    let found = records(Otlp, export(&[span('a', "", answered(id))]));
    assert_eq!(calls(&[found, records(Format::Autogpt, line)].concat()).len(), 1);
}

#[test]
fn ids_that_servers_count_and_those_of_another_model_identify_nothing() {
    let answered = |id: &str, more: Value| with(with(usage(10, 2), json!({"gen_ai.response.id": id})), more);
    for id in ["chatcmpl-373", "0"] {
        let ollama = answered(id, json!({"gen_ai.provider.name": "ollama"}));
        assert_eq!(calls_of(&[ollama.clone(), ollama]), 2, "{id}");
    }
    let model = |name: &str| answered("chatcmpl-Abc123uniq", json!({"gen_ai.response.model": name}));
    assert_eq!(calls_of(&[model("gpt-4o"), model("gpt-4o-mini")]), 2);
}

/// A coding agent writes a log and exports spans.
#[test]
fn one_message_of_anthropic_in_two_formats_is_one_call() {
    let log = r#"{"type":"assistant","sessionId":"s","requestId":"r","uuid":"u","timestamp":"2023-11-14T22:13:20Z",
        "message":{"id":"msg_9","model":"m","usage":{"input_tokens":1000,"output_tokens":100}}}"#;
    let attributes = json!({"gen_ai.provider.name": "anthropic", "gen_ai.response.id": "msg_9"});
    let spans = records(Otlp, export(&[span('a', "", with(usage(1000, 100), attributes))]));
    let lines = records(Format::ClaudeCode, log.replace('\n', ""));
    for found in [[lines[0].clone(), spans[0].clone()], [spans[0].clone(), lines[0].clone()]] {
        let calls: Vec<_> = joined(&found).into_values().collect();
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].usage, calls[0].latency_ms), (spans[0].facts.usage, Some(2500)));
        assert_eq!(calls[0].conversation.as_ref().map(Name::as_str), Some("s"));
    }
}

/// A span is exported when it starts, without its response, and again when it ends. A log has the response, and no span.
#[test]
fn a_span_with_its_response_ties_records_that_name_either_in_any_order() {
    let log = r#"{"type":"assistant","uuid":"u","timestamp":"2023-11-14T22:13:20Z",
        "message":{"id":"msg_9","model":"m","usage":{"input_tokens":10,"output_tokens":2}}}"#;
    let answered = with(usage(10, 2), json!({"gen_ai.response.id": "msg_9"}));
    let span = |attributes| records(Otlp, export(&[span('a', "", attributes)])).remove(0);
    let line = records(Format::ClaudeCode, log.replace('\n', "")).remove(0);
    let all = [span(usage(10, 1)), line, span(answered)];
    assert_eq!(calls(&all[..2]).len(), 2);
    let tied = calls(&all);
    assert_eq!(tied.len(), 1);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(calls(&order.map(|at| all[at].clone())), tied, "{order:?}");
    }
}
