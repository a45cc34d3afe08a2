use super::collector::SpanCollector;
use super::json::{Level, document_error};
use super::request::{Encoding, decode_traces};
use crate::error::{InputError, RecordError};
use crate::format::Defaults;
use crate::format::Format::{self, Otlp};
use crate::formats::testing::{calls, input_error, into_records, joined, read, records, refusals, totals};
use crate::formats::{MAX_LINE_BYTES, read_records};
use crate::record::{Location, Record};
use domain::call::{CallKind, Outcome};
use domain::{Meter, Name, Usage};
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use std::io::{self, Cursor, Read};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// A span whose id is one digit repeated; attributes are integers or text.
fn span(id: char, parent: &str, attributes: Value) -> Value {
    let attribute = |(key, value): (&String, &Value)| {
        let value = if value.is_i64() { json!({"intValue": value.to_string()}) } else { json!({"stringValue": value}) };
        json!({"key": key, "value": value})
    };
    let attributes: Vec<Value> = attributes.as_object().unwrap().iter().map(attribute).collect();
    json!({
        "traceId": TRACE, "spanId": id.to_string().repeat(16), "parentSpanId": parent.repeat(16), "name": "chat m",
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000002500999999",
        "attributes": attributes,
    })
}

fn usage(input: i64, output: i64) -> Value {
    json!({
        "gen_ai.provider.name": "openai", "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
    })
}

fn with(mut attributes: Value, more: Value) -> Value {
    attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    attributes
}

fn export(spans: &[Value]) -> String {
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string()
}

/// Input, output, cache read, cache write (5 minutes) and reasoning of one span with these attributes.
#[track_caller]
fn counted(attributes: Value) -> [u64; 5] {
    let usage = records(Otlp, export(&[span('a', "", attributes)]))[0].facts.usage;
    let meters = [Meter::Input, Meter::Output, Meter::CacheRead, Meter::CacheWrite5Min, Meter::Reasoning];
    assert!(usage.iter().all(|(meter, _)| meters.contains(&meter)), "{usage}");
    meters.map(|meter| usage.get(meter).get())
}

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
fn times_in_another_unit_are_refused_rather_than_read_as_1970() {
    for (unit, time) in
        [("milliseconds", "1700000000000"), ("microseconds", "1700000000000000"), ("seconds", "1700000000")]
    {
        let mut late = span('a', "", usage(1, 1));
        late["startTimeUnixNano"] = json!(time);
        let refused = refusals(Otlp, export(&[late]));
        assert_eq!(refused.len(), 1, "{unit}");
        assert!(refused[0].contains("1970") && refused[0].contains("another unit"), "{unit}: {refused:?}");
    }
}

#[test]
fn invisible_names_are_refused_and_equivalent_ones_are_equal() {
    let model = |text: &str| export(&[span('a', "", with(usage(1, 1), json!({"gen_ai.response.model": text})))]);
    for bad in ["\u{200b}", "\u{feff}m", "m\u{202e}4"] {
        let refused = refusals(Otlp, model(bad));
        assert!(refused.len() == 1 && refused[0].contains("gen_ai.response.model"), "{bad:?}: {refused:?}");
    }
    assert_eq!(
        records(Otlp, model("mode\u{301}le"))[0].facts.model,
        records(Otlp, model("mod\u{e9}le"))[0].facts.model
    );
}

#[test]
fn a_trace_may_be_spread_over_lines_and_repeated() {
    let lines = [
        export(&[span('a', "", usage(10, 2))]),
        String::new(),
        export(&[span('b', "a", usage(10, 2))]),
        export(&[span('a', "", usage(10, 2))]),
    ];
    assert_eq!(records(Otlp, lines.join("\n")).len(), 1);
}

#[test]
fn all_layouts_of_a_file_give_the_same_calls() {
    let spans = [span('a', "", usage(10, 2)), span('b', "a", usage(10, 2))];
    let lists = |outer: &str, inner: &str| json!({outer: [{inner: [{"scope": {"name": "s"}, "spans": spans}], "resource": null}]});
    let plain = lists("resourceSpans", "scopeSpans");
    let forms = [
        plain.to_string(),
        serde_json::to_string_pretty(&plain).unwrap(),
        format!("\n\n{}\n{}\n", plain, lists("batches", "scopeSpans")),
        serde_json::to_string_pretty(&lists("batches", "instrumentationLibrarySpans")).unwrap(),
        json!({"trace": plain}).to_string(),
        json!([plain, {}]).to_string(),
        format!("{:#}\n{:#}", plain, json!({})),
        format!("\u{feff}{plain}\r\n"),
    ];
    let ids = |form: &String| records(Otlp, form).into_iter().map(|record| record.call_ids).collect::<Vec<_>>();
    assert_eq!(ids(&forms[0]).len(), 1);
    for form in &forms {
        assert_eq!(ids(form), ids(&forms[0]), "{form}");
    }
}

#[test]
fn ids_are_hex_or_base64_and_numbers_may_be_numbers() {
    let hex = span('a', "", usage(10, 2));
    let mut base64 = hex.clone();
    base64["traceId"] = json!("W47/95gDgQPSabYzgT/GDA==");
    base64["spanId"] = json!("qqqqqqqqqqo=");
    base64["startTimeUnixNano"] = json!(1_700_000_000_000_000_000_i64);
    base64["attributes"][0] = json!({"key": "gen_ai.usage.input_tokens", "value": {"doubleValue": 10.0}});
    let mut upper = hex.clone();
    upper["traceId"] = json!(TRACE.to_uppercase());
    let [first, second, third] = [hex, base64, upper].map(|span| records(Otlp, export(&[span])).remove(0).call_ids);
    assert_eq!((&first, &first), (&second, &third));
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
fn former_names_are_read_and_current_ones_preferred() {
    for (input, output) in [
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
    ] {
        assert_eq!(counted(json!({"gen_ai.request.model": "m", input: 10, output: 2})), [10, 2, 0, 0, 0]);
        assert_eq!(counted(with(usage(5, 1), json!({input: 10, output: 2}))), [5, 1, 0, 0, 0]);
    }
}

#[test]
fn cached_tokens_are_subtracted_from_an_input_that_includes_them() {
    let cached = |provider: &str, input: i64| {
        let more = json!({
            "gen_ai.provider.name": provider,
            "gen_ai.usage.cache_read_input_tokens": 60, "gen_ai.usage.cache_creation.input_tokens": 30,
        });
        counted(with(usage(input, 2), more))
    };
    assert_eq!(cached("openai", 100), [10, 2, 60, 30, 0]);
    // What does not fit inside was beside.
    assert_eq!(cached("openai", 50), [50, 2, 60, 30, 0]);
    assert_eq!(cached("anthropic", 100), [10, 2, 60, 30, 0]);
    assert_eq!(cached("anthropic", 50), [50, 2, 60, 30, 0]);
    assert_eq!(cached("aws.bedrock", 50), [50, 2, 60, 30, 0]);
}

/// The names that SDKs give the same counts, which are 40 tokens read and 25 written of 300.
#[test]
fn the_cache_is_counted_under_every_name() {
    let anthropic =
        |more: Value| counted(with(usage(300, 10), with(json!({"gen_ai.provider.name": "anthropic"}), more)));
    for (read, written) in [
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_write_input_tokens"),
        ("gen_ai.usage.cache_read_tokens", "gen_ai.usage.cache_write_tokens"),
        ("gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_write_tokens"),
        ("llm.usage.cache_read_input_tokens", "llm.usage.cache_creation_input_tokens"),
    ] {
        assert_eq!(anthropic(json!({(read): 40, (written): 25})), [235, 10, 40, 25, 0], "{read}, {written}");
    }
    assert_eq!(counted(with(usage(300, 10), json!({"gen_ai.usage.details.cached_tokens": 40}))), [260, 10, 40, 0, 0]);
    let bedrock = json!({
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.usage.cache_read_input_tokens": 4000, "gen_ai.usage.cache_write_input_tokens": 2500,
    });
    assert_eq!(counted(with(usage(300, 10), bedrock)), [300, 10, 4000, 2500, 0]);
}

/// Every name in the table of meters is read, so that a new meter needs no line here.
#[test]
fn every_name_of_a_meter_is_read() {
    for &meter in Meter::ALL {
        for name in meter.attributes() {
            let whole = meter.part_of().map_or(json!({}), |whole| json!({(whole.attributes()[0]): 9}));
            let attributes = with(json!({"gen_ai.request.model": "m", (*name): 7}), whole);
            let found = records(Otlp, export(&[span('a', "", attributes)]))[0].facts.usage;
            assert_eq!(found.get(meter).get(), 7, "{name}");
        }
    }
}

#[test]
fn audio_that_was_cached_is_counted_as_cached() {
    let audio = |cached: i64| {
        let more =
            json!({"gen_ai.usage.details.input_audio_tokens": 80, "gen_ai.usage.cache_read.input_tokens": cached});
        let usage = records(Otlp, export(&[span('a', "", with(usage(100, 10), more))]))[0].facts.usage;
        [Meter::Input, Meter::CacheRead, Meter::AudioInput].map(|meter| usage.get(meter).get())
    };
    assert_eq!(audio(0), [100, 0, 80]);
    assert_eq!(audio(20), [80, 20, 80]);
    assert_eq!(audio(60), [40, 60, 40]);
}

#[test]
fn reasoning_is_part_of_the_output() {
    let reasoning = |count| counted(with(usage(5, 20), json!({"gen_ai.usage.reasoning_tokens": count})));
    assert_eq!(reasoning(15), [5, 20, 0, 0, 15]);
    assert_eq!(reasoning(50), [5, 70, 0, 0, 50]);
}

#[test]
fn providers_have_the_names_of_price_tables() {
    for (named, provider) in [("OpenAI", "openai"), ("aws.bedrock", "bedrock"), ("gcp.gemini", "gemini")] {
        let attributes = with(usage(1, 1), json!({"gen_ai.provider.name": named}));
        let found = records(Otlp, export(&[span('a', "", attributes)])).remove(0).facts.provider;
        assert_eq!(found.as_ref().map(Name::as_str), Some(provider));
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

#[test]
fn each_bad_span_is_refused_with_its_reason() {
    let change = |field: &str, value: Value| {
        let mut span = span('a', "", usage(1, 1));
        span[field] = value;
        span
    };
    for (span, message) in [
        (change("traceId", json!("xyz")), "traceId is \"xyz\", which is not an id"),
        (change("traceId", Value::Null), "traceId is missing"),
        (change("spanId", json!("0000000000000000")), "spanId is missing"),
        (change("spanId", json!(17)), "spanId is \"17\", which is not an id"),
        (change("parentSpanId", json!("+aaaaaaaaaaaaaaa")), "parentSpanId is \"+aaaaaaaaaaaaaaa\", which is not"),
        (change("startTimeUnixNano", json!("soon")), "startTimeUnixNano is \"soon\", which is not a time"),
        (change("startTimeUnixNano", json!("0")), "startTimeUnixNano is \"0\", which is not a time"),
        (span('a', "", usage(-1, 1)), "gen_ai.usage.input_tokens: -1 is negative"),
        (
            span('a', "", with(usage(1, 1), json!({"gen_ai.usage.output_tokens": "many"}))),
            "gen_ai.usage.output_tokens is \"many\", which is not a whole number",
        ),
        (
            span('a', "", with(usage(1, 1), json!({"gen_ai.response.model": "x".repeat(300)}))),
            "gen_ai.response.model: the text has 300 bytes",
        ),
        (span('a', "", json!({"gen_ai.operation.name": "execute_tool"})), "gen_ai.tool.name is missing"),
    ] {
        let found = refusals(Otlp, export(&[span]));
        let expected = format!("span 1: {message}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?} instead of {expected}");
    }
}

#[test]
fn a_span_without_model_needs_a_default_model() {
    let spans = export(&[span('a', "", json!({"gen_ai.usage.input_tokens": 1}))]);
    assert_eq!(records(Otlp, &spans)[0].facts.model.as_ref().map(Name::as_str), Some("gpt-4o"));
    let input = Box::new(Cursor::new(spans));
    let mut found = read_records(Otlp, Defaults::default(), input).unwrap();
    let refused = into_records(found.next().unwrap()).remove(0).unwrap_err();
    assert_eq!(refused.to_string(), "span 1: gen_ai.response.model is missing");
}

/// What the inner span cannot say, the outer one does.
#[test]
fn a_refused_span_leaves_its_tokens_to_the_span_around_it() {
    let items = read(Otlp, export(&[span('a', "", usage(10, 2)), span('b', "a", usage(10, -2))]));
    assert_eq!(items.len(), 2);
    assert!(matches!(&items[1], Ok(record) if record.location == Location::Span(1)));
    assert!(matches!(&items[0], Err(RecordError::Refused(refusal)) if refusal.location == Location::Span(2)));
}

#[test]
fn a_malformed_line_is_refused_whole_and_the_next_is_read() {
    let good = |id| export(&[span(id, "", usage(10, 2))]);
    let cut = &good('b')[..good('b').len() - 4];
    let items = read(Otlp, [&good('a'), cut, "nonsense", r#"{"resourceLogs":[]}"#, &good('c')].join("\n"));
    let shown: Vec<String> =
        items.iter().map(|item| item.as_ref().map_or_else(ToString::to_string, |r| r.location.to_string())).collect();
    assert_eq!(shown.len(), 5);
    assert!(shown[0].starts_with("line 2: not the JSON of this format: EOF"), "{shown:?}");
    assert!(shown[1].starts_with("line 3: not the JSON of this format: expected"), "{shown:?}");
    assert_eq!(shown[2], "line 4: the object holds \"resourceLogs\" instead of resourceSpans or batches");
    assert_eq!(shown[3..], ["span 1", "span 3"]);
    let first = format!("{}\n{}", &good('a')[..50], good('c'));
    assert_eq!(read(Otlp, first).len(), 2, "the first line is truncated inside a string");
}

#[test]
fn what_is_no_export_of_traces() {
    for (file, key) in [(r#"{"data":[{"spans":[]}]}"#, "data"), ("{\n\"resourceLogs\": []}", "resourceLogs")] {
        let InputError::NotTraces { found } = input_error(Otlp, file) else { panic!("{file}") };
        assert_eq!(found, key);
    }
    for file in ["TIMESTAMP,a\n", "{\n", "{\"resourceSpans\": [\n", "{\n}\n}", "[[\n[", "<html>"] {
        assert!(matches!(input_error(Otlp, file), InputError::Json(_)), "{file}");
    }
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

#[test]
fn strings_and_nesting_of_a_document_are_bounded() {
    let long = || io::repeat(b'x').take(MAX_LINE_BYTES as u64 + 1);
    let read = |input: Box<dyn Read + Send>| read_records(Otlp, Defaults::default(), input).unwrap().next();
    let found = read(Box::new(Cursor::new("{\n\"x\": \"").chain(long())));
    assert!(matches!(found, Some(Err(RecordError::Input(InputError::StringTooLong { .. })))), "{found:?}");
    let found = read(Box::new(Cursor::new("{\n\"x\": ").chain(io::repeat(b'[').take(10_000_000))));
    assert!(matches!(found, Some(Err(RecordError::Input(InputError::TooDeep { .. })))), "{found:?}");
}

#[test]
fn a_first_line_beyond_the_limit_is_read_as_a_document() {
    let spans = export(&[span('a', "", usage(10, 2))]);
    let blanks = io::repeat(b' ').take(MAX_LINE_BYTES as u64);
    let input = blanks.chain(Cursor::new(format!("{spans}\n{spans}")));
    let found: Vec<_> = read_records(Otlp, Defaults::default(), Box::new(input)).unwrap().collect();
    assert!(matches!(&found[..], [Ok(_)]), "{found:?}");
}

/// The name and the status of a span may be as long as an attribute. An invalid time is held clipped.
#[test]
fn the_memory_of_names_and_errors_counts_against_the_limit() {
    let long = "x".repeat(1024);
    let mut named = span('a', "", usage(1, 1));
    named["name"] = json!(long);
    named["endTimeUnixNano"] = json!("never");
    named["status"] = json!({"code": 2, "message": long});
    let held = |span: &Value| {
        let mut collector = SpanCollector::new(1_000_000);
        let json = export(std::slice::from_ref(span));
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap();
        collector.held_bytes()
    };
    assert!(held(&named) > held(&span('a', "", usage(1, 1))) + 2 * 1000 + 4);
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
        |spans: &[Value]| decode_traces(export(spans).as_bytes(), Encoding::Json, false).unwrap().unmeasured;
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

/// An empty object is three bytes of text, and a megabyte of them compresses to a kilobyte.
#[test]
fn empty_objects_take_no_memory() {
    for (start, end) in [
        (r#"{"resourceSpans":["#, "{}]}"),
        (r#"{"resourceSpans":[{"scopeSpans":["#, "{}]}]}"),
        (r#"{"resourceSpans":[{"resource":{"attributes":["#, "{}]}}]}"),
        ("[", "{}]"),
    ] {
        let json = format!("{start}{}{end}", "{},".repeat(10_000));
        let mut collector = SpanCollector::new(1_000);
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap();
        assert_eq!(collector.held_bytes(), 0, "{start}");
    }
    let resources = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]}},"#;
    let json = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, resources.repeat(1_000));
    let mut collector = SpanCollector::new(1_000);
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let error = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap_err();
    assert!(matches!(document_error(error, &mut collector), InputError::TooManySpans { .. }));
}

#[test]
fn spans_beyond_the_memory_limit_end_the_input() {
    let mut collector = SpanCollector::new(3_000);
    let spans: Vec<Value> = ('a'..='f').map(|id| span(id, "", json!({}))).collect();
    let json = export(&[&spans[..], &spans[..], &[span('1', "", usage(1, 1)), span('2', "", usage(1, 1))]].concat());
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let error = Level { depth: 0, collector: &mut collector }.deserialize(&mut deserializer).unwrap_err();
    let error = document_error(error, &mut collector);
    assert!(matches!(error, InputError::TooManySpans { span: 13.., limit_bytes: 3_000 }), "{error:?}");
}
