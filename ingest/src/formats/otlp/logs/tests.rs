use crate::format::Format::ClaudeCode;
use crate::formats::otlp::request::{Decoded, Encoding, Kept, decode_logs, decode_traces};
use crate::formats::testing::{calls, into_records, joined, records, totals};
use crate::record::Record;
use domain::call::CallFacts;
use domain::{Meter, Name};
use serde_json::{Value, json};

const REQUEST: &str = "req_011CStqPRADRX9fx9ReRNWHf";
const AT: &str = "1757238727000000000";

fn attributes(values: &Value) -> Vec<Value> {
    let value = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Number(number) if number.is_i64() => json!({ "intValue": number.to_string() }),
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::Null | Value::Array(_) | Value::Object(_) => json!({ "arrayValue": {} }),
    };
    values.as_object().unwrap().iter().map(|(key, found)| json!({ "key": key, "value": value(found) })).collect()
}

fn record(values: &Value) -> Value {
    json!({ "timeUnixNano": AT, "attributes": attributes(values) })
}

/// An export of records of a service.
fn export(service: &str, records: &[Value]) -> Decoded {
    let resource = json!({ "attributes": attributes(&json!({ "service.name": service })) });
    let body = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
    decode_logs(body.to_string().as_bytes(), Encoding::Json, Kept::Nothing).unwrap()
}

fn with(mut values: Value, more: Value) -> Value {
    values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    values
}

/// The records of calls of an export; panics if one is refused, or something is not read.
#[track_caller]
fn accepted(decoded: Decoded) -> Vec<Record> {
    assert!(decoded.refusals.is_empty(), "{:?}", decoded.refusals);
    assert_eq!(decoded.not_read, Vec::<String>::new());
    decoded.items.into_iter().flat_map(|item| into_records(Ok(item))).map(Result::unwrap).collect()
}

fn claude(more: Value) -> Value {
    let event = json!({
        "event.name": "api_request", "session.id": "s1", "user.id": "ada", "model": "claude-sonnet-4-5-20250929[1m]",
        "cost_usd": 0.0012, "duration_ms": "1500", "input_tokens": "4", "output_tokens": 10, "cache_read_tokens": 40,
        "cache_creation_tokens": 25, "request_id": REQUEST, "speed": "fast", "event.sequence": 3,
    });
    with(event, more)
}

fn codex(more: Value) -> Value {
    let event = json!({
        "event.name": "codex.sse_event", "event.kind": "response.completed", "conversation.id": "c1", "model": "gpt-5-codex",
        "input_token_count": "100", "output_token_count": "20", "cached_token_count": 60, "reasoning_token_count": 5,
        "tool_token_count": "120",
    });
    with(event, more)
}

fn gemini(more: Value) -> Value {
    let event = json!({
        "event.name": "gemini_cli.api_response", "event.timestamp": "2025-09-07T09:52:07.012Z", "session.id": "g1",
        "model": "gemini-2.5-pro", "duration_ms": 900, "input_token_count": 100, "output_token_count": 50,
        "cached_content_token_count": 40, "thoughts_token_count": 30, "tool_token_count": 7, "total_token_count": 187,
    });
    with(event, more)
}

/// The GenAI event that Gemini CLI writes after [`gemini`].
fn gemini_again() -> Value {
    json!({
        "event.name": "gen_ai.client.inference.operation.details", "event.timestamp": "2025-09-07T09:52:07.012Z",
        "session.id": "g1", "gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gen_ai",
        "gen_ai.request.model": "gemini-2.5-pro", "gen_ai.response.model": "gemini-2.5-pro",
        "gen_ai.response.id": "Dq5vaO6uHM2zqtsPk6CyqQE", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 50,
    })
}

/// A line of a session of Claude Code, which is of the request of [`claude`].
fn line(message: &str, request: &str) -> Vec<Record> {
    let usage = json!({ "input_tokens": 4, "output_tokens": 10, "cache_read_input_tokens": 40,
        "cache_creation": { "ephemeral_1h_input_tokens": 25 }, "cache_creation_input_tokens": 25, "speed": "fast" });
    let line = json!({
        "type": "assistant", "sessionId": "s1", "requestId": request, "uuid": "u1", "timestamp": "2025-09-07T09:52:07.012Z",
        "message": { "id": message, "model": "claude-sonnet-4-5-20250929", "usage": usage },
    });
    records(ClaudeCode, line.to_string())
}

fn only(records: &[Record]) -> CallFacts {
    let mut facts: Vec<_> = joined(records).into_values().collect();
    assert_eq!(facts.len(), 1, "{facts:?}");
    facts.remove(0)
}

fn text(name: &Option<Name>) -> &str {
    name.as_ref().map(Name::as_str).unwrap_or_default()
}

#[test]
fn the_events_of_coding_agents_are_calls() {
    let one = |service: &str, values: Value| only(&accepted(export(service, &[record(&values)])));
    let used = |facts: &CallFacts| totals([&facts.usage]);
    let facts = one("claude-code", claude(json!({})));
    let right = [(Meter::Input, 4), (Meter::Output, 10), (Meter::CacheRead, 40), (Meter::CacheWrite5Min, 25)];
    assert_eq!(used(&facts), right);
    assert_eq!(
        [&facts.model, &facts.speed, &facts.request_id].map(text),
        ["claude-sonnet-4-5-20250929", "fast", REQUEST]
    );
    assert_eq!([&facts.conversation, &facts.user].map(text), ["s1", "ada"]);
    assert_eq!(facts.reported_cost.map(|cost| cost.amount.to_string()), Some("0.0012".to_owned()));
    assert_eq!(
        (facts.latency_ms, facts.started_at.to_rfc3339()),
        (Some(1500), "2025-09-07T09:52:05.500+00:00".to_owned())
    );
    let right = [(Meter::Input, 40), (Meter::Output, 20), (Meter::CacheRead, 60), (Meter::Reasoning, 5)];
    assert_eq!(used(&one("codex_cli_rs", codex(json!({})))), right);
    // What tools gave is beside the prompt, and thoughts are beside the output.
    let right = [(Meter::Input, 67), (Meter::Output, 80), (Meter::CacheRead, 40), (Meter::Reasoning, 30)];
    assert_eq!(used(&one("gemini-cli", gemini(json!({})))), right);
    let named_in_body = json!({ "timeUnixNano": AT, "body": { "stringValue": "claude_code.api_request" },
        "attributes": attributes(&claude(json!({ "event.name": "other" }))) });
    assert_eq!(accepted(export("any", &[named_in_body])).len(), 1);
}

#[test]
fn the_short_name_of_an_event_is_read_of_its_own_service_alone() {
    let short = record(&claude(json!({})));
    assert_eq!(accepted(export("claude-code", std::slice::from_ref(&short))).len(), 1);
    assert_eq!(accepted(export("shop", &[short])).len(), 0);
}

/// The event and the lines of the session are of one request.
#[test]
fn an_event_and_a_line_of_one_request_are_one_call_in_either_order() {
    let event = accepted(export("claude-code", &[record(&claude(json!({})))]));
    for (message, request, right) in [
        ("msg_01XFDUDYJgAACzvnptvVoYEL", REQUEST, 1),
        // A relay gave the message an id of its own.
        ("ocrelay", REQUEST, 1),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "req_011CStqNyDzx4398RCLb6XyN", 2),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "", 2),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "req_1", 2),
    ] {
        let line = line(message, request);
        for order in [[event.as_slice(), &line], [line.as_slice(), &event]] {
            let found = calls(&order.concat());
            assert_eq!(found.len(), right, "{message}, {request}");
            if right == 1 {
                // The line says for how long the cache was written.
                assert_eq!(totals(found.values())[3], (Meter::CacheWrite1Hour, 25));
            }
        }
    }
    let counted = accepted(export("claude-code", &[record(&claude(json!({ "request_id": "req_1" })))]));
    assert_eq!(
        calls(&[counted, line("ocrelay", "req_1")].concat()).len(),
        2,
        "an id that anyone counts identifies nothing"
    );
}

#[test]
fn a_span_of_claude_code_is_the_call_of_its_event_and_its_line() {
    let values = json!({
        "session.id": "s1", "span.type": "llm_request", "model": "claude-sonnet-4-5-20250929[1m]", "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5-20250929[1m]", "input_tokens": 4, "output_tokens": 10,
        "cache_read_tokens": 40, "cache_creation_tokens": 25, "request_id": REQUEST, "gen_ai.response.id": REQUEST,
        "ttft_ms": 640, "speed": "fast",
    });
    let span = |id: &str, parent: &str, name: &str, values: &Value| {
        json!({ "traceId": "5b8efff798038103d269b633813fc60c", "spanId": id.repeat(16), "parentSpanId": parent.repeat(16),
            "name": name, "startTimeUnixNano": AT, "endTimeUnixNano": AT, "attributes": attributes(values) })
    };
    let spans = [
        span("a", "", "claude_code.interaction", &json!({ "span.type": "interaction", "input_tokens": 9 })),
        span("b", "a", "claude_code.llm_request", &values),
        span("c", "a", "claude_code.tool", &json!({ "tool_name": "Bash", "duration_ms": 1831 })),
    ];
    let resource = json!({ "attributes": attributes(&json!({ "service.name": "claude-code" })) });
    let body = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] });
    let found = accepted(decode_traces(body.to_string().as_bytes(), Encoding::Json, Kept::Nothing).unwrap());
    let (tools, spans): (Vec<_>, Vec<_>) = found.into_iter().partition(|record| record.facts.tool.is_some());
    assert_eq!(tools.iter().map(|record| text(&record.facts.tool)).collect::<Vec<_>>(), ["Bash"]);
    let facts = only(&spans);
    let right = [(Meter::Input, 4), (Meter::Output, 10), (Meter::CacheRead, 40), (Meter::CacheWrite5Min, 25)];
    assert_eq!((totals([&facts.usage]), facts.usage_assumed), (right.to_vec(), false));
    assert_eq!([&facts.model, &facts.speed, &facts.response_id].map(text), ["claude-sonnet-4-5-20250929", "fast", ""]);
    assert_eq!((facts.first_token_ms, text(&facts.request_id)), (Some(640), REQUEST));
    let event = accepted(export("claude-code", &[record(&claude(json!({})))]));
    let line = line("msg_01XFDUDYJgAACzvnptvVoYEL", REQUEST);
    for order in [[&spans, &event, &line], [&line, &spans, &event], [&event, &line, &spans], [&line, &event, &spans]] {
        assert_eq!(text(&only(&order.map(Vec::as_slice).concat()).response_id), "msg_01XFDUDYJgAACzvnptvVoYEL");
    }
}

#[test]
fn the_two_events_of_one_response_of_gemini_cli_are_one_call() {
    let (own, again) = (record(&gemini(json!({}))), record(&gemini_again()));
    let apart = with(gemini_again(), json!({ "event.timestamp": "2025-09-07T09:52:07.013Z" }));
    for order in [[own.clone(), again.clone()], [again.clone(), own.clone()]] {
        let facts = only(&accepted(export("gemini-cli", &order)));
        let right = [(Meter::Input, 67), (Meter::Output, 80), (Meter::CacheRead, 40), (Meter::Reasoning, 30)];
        assert_eq!((totals([&facts.usage]), text(&facts.response_id)), (right.to_vec(), "Dq5vaO6uHM2zqtsPk6CyqQE"));
    }
    assert_eq!(calls(&accepted(export("gemini-cli", &[own.clone(), record(&apart)]))).len(), 2);
    // A repetition that states no count is of the same call, and nothing is refused.
    let mut bare = gemini_again();
    bare.as_object_mut().unwrap().retain(|name, _| !name.starts_with("gen_ai.usage."));
    assert_eq!(only(&accepted(export("gemini-cli", &[own.clone(), record(&bare)]))).usage.get(Meter::Output).get(), 80);
    // Of any other service it is the event of a span, which it has to name.
    let other = export("shop", &[again]);
    assert_eq!(
        other.refusals.iter().map(|refusal| refusal.to_string()).collect::<Vec<_>>(),
        ["log record 1: traceId is missing"]
    );
}

#[test]
fn of_the_events_of_a_completed_response_of_codex_the_one_with_counts_is_the_call() {
    let timed = json!({ "event.name": "codex.sse_event", "event.kind": "response.completed", "duration_ms": "1200",
        "conversation.id": "c1", "model": "gpt-5-codex" });
    let created = codex(json!({ "event.kind": "response.created" }));
    let found = accepted(export("codex_cli_rs", &[record(&timed), record(&codex(json!({}))), record(&created)]));
    assert_eq!(found.len(), 1);
}

#[test]
fn a_genai_event_is_the_span_that_it_belongs_to() {
    let ids = json!({ "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "aaaaaaaaaaaaaaaa" });
    let values = json!({ "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o", "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2 });
    let mut event = with(record(&values), ids.clone());
    event["eventName"] = json!("gen_ai.client.inference.operation.details");
    let span = with(ids, json!({ "name": "chat gpt-4o", "startTimeUnixNano": AT, "attributes": attributes(&values) }));
    let spans = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    let spans = accepted(decode_traces(spans.to_string().as_bytes(), Encoding::Json, Kept::Nothing).unwrap());
    let events = accepted(export("shop", std::slice::from_ref(&event)));
    for order in [[spans.as_slice(), &events], [events.as_slice(), &spans]] {
        assert_eq!(totals([&only(&order.concat()).usage]), [(Meter::Input, 10), (Meter::Output, 2)]);
    }
    event["attributes"] = json!(attributes(&json!({ "gen_ai.request.model": "gpt-4o", "http.status": 200 })));
    assert_eq!(accepted(export("shop", &[event])), []);
}

#[test]
fn what_is_not_understood_of_a_record_is_named_and_the_rest_of_it_counts() {
    let details = |values: Value| {
        with(record(&values), json!({ "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "aaaaaaaaaaaaaaaa" }))
    };
    let genai = json!({ "gen_ai.response.model": "gpt-4o", "gen_ai.usage.input_tokens": 4 });
    let bad = |name: &str, expected: &str, found: &str| {
        vec![format!("the attribute {name:?} of 1 records is not {expected}, such as {found:?}, and was not read")]
    };
    let unread =
        |name: &str| vec![format!("the attribute {name:?} of 1 records is not understood, and was not counted")];
    let (money, span, count) = ("an amount of money", "a duration", "a count");
    for (service, record, right) in [
        ("claude-code", record(&claude(json!({ "image_tokens": 9 }))), unread("image_tokens")),
        ("claude-code", record(&claude(json!({ "search_cost": "0.1" }))), unread("search_cost")),
        (
            "claude-code",
            record(&claude(json!({ "image_tokens": 0, "cost_usd_micros": 1200, "prompt_length": 7 }))),
            vec![],
        ),
        ("claude-code", record(&claude(json!({ "gen_ai.usage.new_tokens": 9 }))), unread("gen_ai.usage.new_tokens")),
        ("claude-code", record(&claude(json!({ "cost_usd": -1 }))), bad("cost_usd", money, "-1")),
        ("claude-code", record(&claude(json!({ "cost_usd": "NaN" }))), bad("cost_usd", money, "NaN")),
        ("claude-code", record(&claude(json!({ "cost_usd": "free" }))), bad("cost_usd", money, "free")),
        ("claude-code", record(&claude(json!({ "cost_usd": 1e300 }))), bad("cost_usd", money, "1e300")),
        ("claude-code", record(&claude(json!({ "cost_usd": "", "duration_ms": "" }))), vec![]),
        ("claude-code", record(&claude(json!({ "duration_ms": -5 }))), bad("duration_ms", span, "-5")),
        // More than 30 days: a time, or in another unit.
        ("claude-code", record(&claude(json!({ "duration_ms": 9e15 }))), bad("duration_ms", span, "9e15")),
        ("claude-code", record(&claude(json!({ "ttft_ms": 3_000_000_000_u64 }))), bad("ttft_ms", span, "3000000000")),
        ("codex_cli_rs", record(&codex(json!({ "audio_token_count": "3" }))), unread("audio_token_count")),
        ("codex_cli_rs", record(&codex(json!({ "tool_token_count": "many" }))), bad("tool_token_count", count, "many")),
        ("gemini-cli", record(&gemini(json!({ "image_token_count": 3 }))), unread("image_token_count")),
        (
            "shop",
            details(with(genai.clone(), json!({ "gen_ai.usage.cost": -0.5 }))),
            bad("gen_ai.usage.cost", money, "-0.5"),
        ),
        ("shop", details(with(genai, json!({ "gen_ai.usage.new_tokens": 9 }))), unread("gen_ai.usage.new_tokens")),
    ] {
        let decoded = export(service, std::slice::from_ref(&record));
        assert_eq!((&decoded.not_read, decoded.items.len()), (&right, 1), "{record}");
        assert!(decoded.refusals.is_empty(), "{:?}", decoded.refusals);
        let usage = accepted(Decoded { not_read: Vec::new(), ..decoded })[0].facts.usage;
        assert!(!usage.is_empty(), "{record}");
    }
    // An event that states nothing else, and no span.
    let alone = export("shop", &[record(&json!({ "gen_ai.usage.new_tokens": 9 }))]);
    assert_eq!((alone.not_read, alone.items.len()), (unread("gen_ai.usage.new_tokens"), 0));
}

#[test]
fn names_beyond_those_that_are_told_are_counted() {
    let unread: serde_json::Map<_, _> =
        (10..25).map(|number| (format!("gen_ai.usage.new_{number}"), json!(1))).collect();
    let decoded = export("claude-code", &[record(&claude(Value::Object(unread)))]);
    assert_eq!(decoded.not_read.len(), 11);
    assert_eq!(decoded.not_read[10], "5 more attributes of records are not understood, and were not counted");
}

#[test]
fn each_bad_record_is_refused_with_its_reason() {
    let at = |field: &str, value: Value| {
        let mut record = record(&claude(json!({})));
        record[field] = value;
        record
    };
    for (record, message) in [
        (record(&claude(json!({ "model": "" }))), "model is missing"),
        (record(&claude(json!({ "model": "\u{200b}" }))), "model: the text"),
        (record(&claude(json!({ "input_tokens": "many" }))), "input_tokens is \"many\", which is not a whole number"),
        (record(&claude(json!({ "output_tokens": -1 }))), "output_tokens: -1 is negative"),
        (record(&gemini(json!({ "tool_token_count": 9_007_199_254_740_992_i64 }))), "tool_token_count: "),
        (record(&json!({ "event.name": "claude_code.api_request", "model": "m" })), "input_tokens is missing"),
        (at("timeUnixNano", json!("soon")), "timeUnixNano is \"soon\", which is not a time"),
        (at("timeUnixNano", json!("0")), "timeUnixNano is missing"),
        (at("timeUnixNano", json!("1757238727000")), "1970"),
        (at("attributes", json!("none")), "attributes is not a list"),
        (at("traceId", json!("xyz")), "traceId is \"xyz\", which is not an id"),
    ] {
        let decoded = export("claude-code", std::slice::from_ref(&record));
        let found: Vec<_> = decoded.refusals.iter().map(ToString::to_string).collect();
        assert!(
            found.len() == 1 && found[0].starts_with("log record 1: ") && found[0].contains(message),
            "{found:?} instead of {message}"
        );
        assert!(decoded.items.is_empty(), "{record}");
    }
}

/// An attribute is read wherever it stands in its record.
#[test]
fn a_record_has_as_many_attributes_as_a_span() {
    let mut values: serde_json::Map<_, _> = (0..1_000).map(|number| (format!("a{number}"), json!("x"))).collect();
    values.extend(claude(json!({})).as_object().unwrap().clone());
    assert_eq!(accepted(export("claude-code", &[record(&Value::Object(values))])).len(), 1);
    let many: serde_json::Map<_, _> = (0..5_000).map(|number| (format!("a{number}"), json!("x"))).collect();
    let refused = export("claude-code", &[record(&Value::Object(many))]).refusals;
    assert!(refused.len() == 1 && refused[0].to_string().contains("5000 attributes"), "{refused:?}");
}
