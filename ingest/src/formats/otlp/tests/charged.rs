//! What spans are reported as, and what the spans around them say.

use super::super::request::{Encoding, Kept, decode_traces};
use super::{TRACE, export, span, usage, with};
use crate::error::RecordError;
use crate::format::Format::Otlp;
use crate::formats::testing::{read, records, totals};
use crate::record::{Location, Record};
use domain::call::{CallKind, Outcome};
use domain::{Meter, Name, Usage};
use serde_json::{Value, json};

#[test]
fn a_span_that_repeats_calls_inside_of_it_is_not_charged() {
    let spans = [
        span('d', "c", usage(7, 1)),
        span('a', "", usage(10, 2)),
        span('b', "a", usage(7, 1)),
        span('c', "b", json!({})),
        span('e', "a", usage(3, 1)),
        span('f', "e", usage(0, 0)),
    ];
    let found = records(Otlp, export(&spans));
    assert_eq!(found.iter().map(|record| record.location).collect::<Vec<_>>(), [Location::Span(1), Location::Span(5)]);
    assert_eq!(totals(found.iter().map(|record| &record.facts.usage)), [(Meter::Input, 10), (Meter::Output, 2)]);
}

#[test]
fn facts_come_from_the_span() {
    let attributes = with(usage(10, 2), json!({"gen_ai.request.model": "alias", "error.type": "timeout"}));
    let facts = records(Otlp, export(&[span('a', "", attributes)])).remove(0).facts;
    assert_eq!(facts.started_at.to_rfc3339(), "2023-11-14T22:13:20+00:00");
    assert_eq!(facts.latency_ms, Some(2500));
    assert_eq!(facts.model.as_ref().map(Name::as_str), Some("m"));
    assert_eq!(facts.error.map(String::from), Some("timeout".to_owned()));
    for (status, error) in [
        (json!({"code": 2, "message": "no"}), Some("no")),
        (json!({"code": "STATUS_CODE_ERROR"}), Some("error")),
        (json!({"code": 1}), None),
        (json!({}), None),
    ] {
        let mut span = span('a', "", usage(10, 2));
        span["status"] = status;
        let facts = records(Otlp, export(&[span])).remove(0).facts;
        assert_eq!(facts.error.map(String::from).as_deref(), error);
    }
}

#[test]
fn a_span_says_where_the_call_belongs() {
    let outer = json!({"gen_ai.conversation.id": "c1", "enduser.id": "ada", "gen_ai.agent.name": "planner"});
    let tier = with(usage(1, 1), json!({"openai.response.service_tier": "flex", "gen_ai.response.id": "chatcmpl-0"}));
    let mut inner = span('b', "a", tier);
    let first_chunk = json!({"key": "gen_ai.response.time_to_first_chunk", "value": {"doubleValue": 0.6404}});
    inner["attributes"].as_array_mut().unwrap().push(first_chunk);
    let facts = records(Otlp, export(&[span('a', "", outer), inner])).remove(0).facts;
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!([&facts.conversation, &facts.user, &facts.service_tier].map(text), ["c1", "ada", "flex"]);
    assert_eq!([&facts.response_id, &facts.record_id].map(text), ["chatcmpl-0", "bbbbbbbbbbbbbbbb"]);
    assert_eq!((facts.first_token_ms, facts.outcome), (Some(640), Some(Outcome::Ok)));
    let ids = facts.span.unwrap();
    assert_eq!((ids.trace_id.to_string(), ids.span_id.to_string()), (TRACE.to_owned(), "b".repeat(16)));
    assert_eq!(ids.parent_span_id.map(|id| id.to_string()), Some("a".repeat(16)));
    for (error, outcome) in [("timeout", Outcome::Timeout), ("cancelled", Outcome::Cancelled), ("500", Outcome::Error)]
    {
        let failed = with(usage(1, 1), json!({"error.type": error}));
        assert_eq!(records(Otlp, export(&[span('a', "", failed)]))[0].facts.outcome, Some(outcome));
    }
}

#[test]
fn agent_and_task_are_looked_up_in_ancestors() {
    let agent = json!({"gen_ai.agent.name": "planner", "gen_ai.agent.id": "agent-7", "gen_ai.task.id": "t1"});
    let spans = [
        span('a', "", json!({"gen_ai.agent.name": "outer", "gen_ai.conversation.id": "c1"})),
        span('b', "a", agent),
        span('c', "b", usage(1, 1)),
        span('d', "a", usage(2, 1)),
    ];
    let found = records(Otlp, export(&spans));
    let names = |record: &Record| {
        let (agent, task) = (record.agent.as_ref().unwrap(), record.task.as_ref().unwrap());
        (agent.name.to_string(), task.title.to_string())
    };
    assert_eq!(names(&found[0]), ("planner".to_owned(), "task t1".to_owned()));
    assert_eq!(names(&found[1]), ("outer".to_owned(), "conversation c1".to_owned()));
    let alone = records(Otlp, export(&[span('a', "", usage(1, 1))])).remove(0);
    assert_eq!(alone.agent.map(|agent| agent.name.to_string()), Some("shop".to_owned()));
}

#[test]
fn spans_that_run_tools_are_tool_calls() {
    let named = json!({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"});
    let mut by_span = span('b', "a", json!({"gen_ai.operation.name": "execute_tool"}));
    by_span["name"] = json!("execute_tool fetch");
    let found = records(Otlp, export(&[span('a', "", usage(1, 1)), span('c', "a", named), by_span]));
    let tools: Vec<_> = found.iter().filter_map(|record| record.facts.tool.as_ref()).map(Name::as_str).collect();
    assert_eq!((found.len(), tools), (3, vec!["search", "fetch"]));
    assert!(found[1].facts.kind == CallKind::Tool && found[1].facts.usage == Usage::default());
}

#[test]
fn spans_without_genai_attributes_are_not_records() {
    assert_eq!(records(Otlp, export(&[span('a', "", json!({"http.method": "GET"}))])), []);
    for nothing in ["", "\n", "{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
        assert_eq!(records(Otlp, nothing), [], "{nothing}");
    }
}

/// What the inner span cannot say, the outer one does.
#[test]
fn a_refused_span_leaves_its_tokens_to_the_span_around_it() {
    let items = read(Otlp, export(&[span('a', "", usage(10, 2)), span('b', "a", usage(10, -2))]));
    assert_eq!(items.len(), 2);
    assert!(matches!(&items[1], Ok(record) if record.location == Location::Span(1)));
    assert!(matches!(&items[0], Err(RecordError::Refused(refusal)) if refusal.location == Location::Span(2)));
}

/// A cycle of parents is invalid, but the tokens were used.
#[test]
fn a_cycle_of_parents_is_cut_and_its_tokens_are_charged() {
    let spans = [span('a', "b", usage(10, 2)), span('b', "a", usage(10, 2)), span('c', "c", usage(1, 1))];
    assert_eq!(
        totals(records(Otlp, export(&spans)).iter().map(|r| &r.facts.usage)),
        [(Meter::Input, 11), (Meter::Output, 3)]
    );
}

/// Of each form of a call without usage one, and spans that are none: with a count, with usage inside, a sum, a failed one,
/// one that runs.
#[test]
fn calls_without_usage_are_counted() {
    let chat = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"});
    let mut failed = span('7', "", chat.clone());
    failed["status"] = json!({"code": 2, "message": "overloaded"});
    let mut running = span('8', "", chat.clone());
    running["endTimeUnixNano"] = json!("0");
    let unmeasured =
        |spans: &[Value]| decode_traces(export(spans).as_bytes(), Encoding::Json, Kept::Nothing).unwrap().unmeasured;
    let others = [
        span('1', "", with(chat.clone(), json!({"gen_ai.usage.input_tokens": 0}))),
        span('2', "", with(chat.clone(), json!({"gen_ai.usage.input_tokens": "many"}))),
        span('3', "", chat.clone()),
        span('4', "3", json!({})),
        span('5', "4", usage(10, 2)),
        span('6', "", json!({"gen_ai.operation.name": "invoke_agent"})),
        failed,
        running,
    ];
    assert_eq!(unmeasured(&others), 0);
    let calls = [
        span('a', "", chat.clone()),
        span('a', "", with(chat, json!({"gen_ai.response.id": "r"}))),
        span('b', "a", json!({"openinference.span.kind": "LLM"})),
        span('c', "a", json!({"ai.operationId": "ai.streamText.doStream"})),
    ];
    assert_eq!(unmeasured(&calls), 3);
}
