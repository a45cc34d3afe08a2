//! The forms in which exporters write the same call, with their right values.

use super::{TRACE, chat, export, of_agent, post, post_as, report, span, with};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

const SONNET: &str = "claude-sonnet-4-5-20250929";

fn id(n: u64) -> String {
    format!("{n:016x}")
}

fn of_provider(provider: &str, model: &str, input: i64, output: i64, more: &Value) -> Value {
    with(with(chat(model, input, output), &json!({ "gen_ai.provider.name": provider })), more)
}

/// A case: its name, its spans, and the calls, input, output, cache read, cache write and cost that are right.
type Case = (&'static str, Vec<Value>, (i64, u64, u64, u64, u64, &'static str));

fn cached(name: &'static str, read: &str, written: &str, n: u64) -> Case {
    let attributes = of_provider("anthropic", SONNET, 300, 10, &json!({ (read): 40, (written): 25 }));
    (name, vec![span(&id(n), "", &attributes)], (1, 235, 10, 40, 25, "0.00096075"))
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
fn cases() -> Vec<Case> {
    let one = |n: u64, attributes: Value| vec![span(&id(n), "", &attributes)];
    let read = "gen_ai.usage.cache_read.input_tokens";
    let beside = |n, provider: &str, model: &str| {
        span(&id(n), "", &of_provider(provider, model, 5800, 435, &json!({ (read): 12_252 })))
    };
    let answered = |n: u64, provider: &str, model: &str, response: &str, input: i64, output: i64| {
        span(&id(n), "", &of_provider(provider, model, input, output, &json!({ "gen_ai.response.id": response })))
    };
    let openinference = json!({
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-2024-08-06", "llm.provider": "openai",
        "llm.token_count.prompt": 1000, "llm.token_count.completion": 100, "llm.token_count.total": 1100,
        "llm.token_count.prompt_details.cache_read": 400,
    });
    let plain_openinference = json!({
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-2024-08-06", "llm.provider": "openai",
        "llm.token_count.prompt": 1000, "llm.token_count.completion": 100,
    });
    let vercel = json!({
        "operation.name": "ai.generateText", "ai.model.id": "gpt-4o", "ai.model.provider": "openai.chat",
        "ai.usage.promptTokens": 1000, "ai.usage.completionTokens": 100,
    });
    let inside = with(
        with(vercel.clone(), &chat("gpt-4o-2024-08-06", 1000, 100)),
        &json!({
            "operation.name": "ai.generateText.doGenerate", "gen_ai.system": "openai.chat", "gen_ai.request.model": "gpt-4o",
        }),
    );
    let sonnet_beside = (1, 5800, 435, 12_252, 0, "0.0276006");
    let reasoning = |output, thoughts, total| {
        of_provider(
            "gcp.gemini",
            "gemini-2.5-pro",
            100,
            output,
            &json!({
                "gen_ai.usage.reasoning.output_tokens": thoughts, "gen_ai.usage.total_tokens": total,
            }),
        )
    };
    vec![
        cached("official", read, "gen_ai.usage.cache_write.input_tokens", 1),
        cached("older", read, "gen_ai.usage.cache_creation.input_tokens", 2),
        cached("short", "gen_ai.usage.cache_read_tokens", "gen_ai.usage.cache_write_tokens", 3),
        cached("details", "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_write_tokens", 4),
        (
            "cached-tokens",
            one(5, with(chat("gpt-4o", 300, 10), &json!({ "gen_ai.usage.details.cached_tokens": 40 }))),
            (1, 260, 10, 40, 0, "0.0008"),
        ),
        (
            "strands",
            one(
                6,
                of_provider(
                    "aws.bedrock",
                    "anthropic.claude-sonnet-4-20250514-v1:0",
                    300,
                    10,
                    &json!({
                        "gen_ai.usage.cache_read_input_tokens": 4000, "gen_ai.usage.cache_write_input_tokens": 2500,
                    }),
                ),
            ),
            (1, 300, 10, 4000, 2500, "0.011625"),
        ),
        ("openinference", one(7, openinference), (1, 600, 100, 400, 0, "0.003")),
        (
            "ollama",
            vec![
                answered(8, "ollama", "llama3.2", "chatcmpl-373", 900, 90),
                answered(9, "ollama", "llama3.2", "chatcmpl-373", 700, 50),
            ],
            (2, 1600, 140, 0, 0, "0"),
        ),
        (
            "two-models",
            vec![
                answered(10, "openai", "gpt-4o", "0", 900, 90),
                answered(11, "openai", "gpt-4o-mini", "0", 700_000, 50),
            ],
            (2, 700_900, 140, 0, 0, "0.10818"),
        ),
        (
            "siblings-same-call",
            vec![
                answered(12, "openai", "gpt-4o", "chatcmpl-Abc123uniq", 900, 90),
                answered(13, "openai", "gpt-4o", "chatcmpl-Abc123uniq", 900, 90),
                answered(14, "azure.ai.openai", "gpt-4o", "chatcmpl-Abc123uniq", 900, 90),
            ],
            (1, 900, 90, 0, 0, "0.00315"),
        ),
        ("cached-beside", vec![beside(15, "x_ai", "grok-4")], (1, 5800, 435, 12_252, 0, "0.033114")),
        ("cached-beside-openai", vec![beside(16, "openai", "gpt-4o")], (1, 5800, 435, 12_252, 0, "0.034165")),
        // What does not fit inside was beside, of every seller. The book has no price of OpenRouter for it, and none of LiteLLM.
        ("cached-beside-openrouter", vec![beside(20, "openrouter", "x-ai/grok-4")], (1, 5800, 435, 12_252, 0, "0")),
        ("cached-beside-vertex", vec![beside(21, "gcp.vertex_ai", "claude-sonnet-4-5@20250929")], sonnet_beside),
        ("cached-beside-litellm", vec![beside(22, "litellm", SONNET)], (1, 5800, 435, 12_252, 0, "0")),
        (
            "cached-beside-bedrock",
            vec![beside(23, "amazon_bedrock", "anthropic.claude-sonnet-4-20250514-v1:0")],
            sonnet_beside,
        ),
        ("cached-beside-anthropic", vec![beside(24, "anthropic", SONNET)], sonnet_beside),
        (
            "openinference-mixed",
            vec![span(&id(25), "", &plain_openinference), span(&id(26), "", &chat("gpt-4o", 1000, 100))],
            (2, 2000, 200, 0, 0, "0.007"),
        ),
        ("vercel", vec![span(&id(27), "", &vercel), span(&id(28), &id(27), &inside)], (1, 1000, 100, 0, 0, "0.0035")),
        ("thoughts-beside", one(17, reasoning(150, 120, 370)), (1, 100, 270, 0, 0, "0.002825")),
        ("thoughts-more", one(18, reasoning(150, 8000, 8250)), (1, 100, 8150, 0, 0, "0.081625")),
        ("thoughts-inside", one(19, reasoning(270, 120, 370)), (1, 100, 270, 0, 0, "0.002825")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_form_of_a_call_has_its_right_value() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let cases = cases();
    for (name, spans, _) in &cases {
        let response = post(&server, &export(name, spans)).await;
        assert_eq!(response, json!({}), "{name}");
    }
    let report = report(&database, &server, &["AGENT"]).await;
    let wrong = cases.into_iter().filter_map(|(name, _, (calls, input, output, read, written, cost))| {
        let right = Some((calls, input, output, read, written, cost.to_owned()));
        let found = of_agent(&report, name);
        (found != right).then_some((name, found, right))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), []);
    server.kill().await;
}

/// Forms of JSON that lose no span in silence: each gives the call, or a refusal by name.
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_of_json_loses_a_span_in_silence() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let valid = |n: u64| span(&id(n), "", &chat("gpt-4o", 1000, 100));
    let changed = |n: u64, change: &dyn Fn(&mut Value)| {
        let mut span = valid(n);
        change(&mut span);
        span
    };
    let accepted: Vec<(&str, Value)> = vec![
        ("null attribute", changed(1, &|span| span["attributes"].as_array_mut().unwrap().push(Value::Null))),
        (
            "null members",
            changed(2, &|span| {
                for field in ["parentSpanId", "endTimeUnixNano", "status", "name"] {
                    span[field] = Value::Null;
                }
            }),
        ),
        (
            "attributes as an object",
            changed(3, &|span| {
                span["attributes"] = json!({
                    "gen_ai.response.model": "gpt-4o", "gen_ai.provider.name": "openai",
                    "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
                });
            }),
        ),
        (
            "base64 ids",
            changed(4, &|span| {
                span["traceId"] = json!("W47/95gDgQPSabYzgT/GDA==");
                span["spanId"] = json!("AAAAAAAAAAQ=");
            }),
        ),
        (
            "numbers and names of enums",
            changed(5, &|span| {
                span["startTimeUnixNano"] = json!(1_773_136_800_000_000_000_i64);
                span["kind"] = json!("SPAN_KIND_CLIENT");
                span["flags"] = json!("257");
                span["zzz"] = json!({ "a": [1, null] });
            }),
        ),
        (
            "values of other types",
            changed(6, &|span| {
                let more = [
                    json!({ "key": "a", "value": { "doubleValue": "NaN" } }),
                    json!({ "key": "b", "value": { "arrayValue": {} } }),
                    json!({ "key": "c", "value": { "kvlistValue": { "values": [] } } }),
                    json!({ "key": "d", "value": null }),
                    json!({ "key": "e" }),
                    json!({ "key": "f", "value": { "fooValue": 1 } }),
                    json!({ "key": "g", "value": { "bytesValue": "AAEC" } }),
                ];
                span["attributes"].as_array_mut().unwrap().extend(more);
            }),
        ),
    ];
    for (name, span) in &accepted {
        let response = post(&server, &export(name, &[Value::Null, span.clone()])).await;
        assert_eq!(response, json!({}), "{name}");
    }
    let report = report(&database, &server, &["AGENT"]).await;
    for (name, _) in &accepted {
        assert_eq!(of_agent(&report, name).map(|(calls, input, ..)| (calls, input)), Some((1, 1000)), "{name}");
    }
    let refused: Vec<(Value, &str)> = vec![
        (
            changed(7, &|span| span["attributes"][3]["value"] = json!({ "int_value": "1000" })),
            "\"int_value\" is written intValue",
        ),
        (changed(8, &|span| span["trace_id"] = json!(TRACE)), "\"trace_id\" is written traceId"),
        (changed(9, &|span| span["traceId"] = json!("0x0af7651916cd43dd8448eb211c80319c")), "which is not an id"),
        (changed(10, &|span| span["traceId"] = json!("0af7651916cd43dd")), "which is not an id"),
        (changed(11, &|span| span["traceId"] = json!("0af76519-16cd-43dd-8448-eb211c80319c")), "which is not an id"),
        // The digits of an id, as if they were its bytes.
        (
            changed(14, &|span| span["traceId"] = json!("MGFmNzY1MTkxNmNkNDNkZDg0NDhlYjIxMWM4MDMxOWM=")),
            "which is not an id",
        ),
        (changed(15, &|span| span["spanId"] = json!("MDAwMDAwMDAwMDAwZTAwMg==")), "which is not an id"),
        (changed(12, &|span| span["attributes"] = json!("none")), "attributes is not a list"),
        (changed(13, &|span| span["startTimeUnixNano"] = Value::Null), "startTimeUnixNano is missing"),
    ];
    for (span, reason) in refused {
        let response = post(&server, &export("refused", &[span])).await;
        assert_eq!(response["partialSuccess"]["rejectedSpans"], "1", "{response}");
        let message = response["partialSuccess"]["errorMessage"].as_str().unwrap();
        assert!(message.starts_with("span 1: ") && message.contains(reason), "{message} instead of {reason}");
    }
    assert_whole_bodies_are_refused(&server).await;
    server.kill().await;
}

async fn assert_whole_bodies_are_refused(server: &Server) {
    let snake = json!({ "resource_spans": [{ "scope_spans": [] }] });
    let scope = json!({ "resourceSpans": [{ "scope_spans": [{ "spans": [span("01", "", &json!({}))] }] }] });
    let logs = json!({ "resourceLogs": [] });
    for (body, reason) in [
        (snake.to_string(), "\"resource_spans\" is written resourceSpans"),
        (scope.to_string(), "\"scope_spans\" is written scopeSpans"),
        (logs.to_string(), "\"resourceLogs\" instead of resourceSpans"),
        ("{".to_owned(), "not the JSON of OTLP"),
        ("{} {}".to_owned(), "not the JSON of OTLP"),
    ] {
        let headers = [("content-type", "application/json")];
        let (status, response) = post_as(server, "/v1/traces", &headers, body.into_bytes()).await;
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!((status, &response["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{response}");
        assert!(response["message"].as_str().unwrap().contains(reason), "{response} instead of {reason}");
    }
    let (status, response) =
        post_as(server, "/v1/traces", &[("content-type", "application/json")], b"{}".to_vec()).await;
    assert_eq!((status, response.as_slice()), (StatusCode::OK, &b"{}"[..]));
}

/// A coding agent writes a log, and exports spans: one message of Anthropic is one call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_in_two_formats_is_one_call() {
    let database = TestDatabase::new().await;
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    let line = json!({
        "type": "assistant", "sessionId": "s9", "requestId": "req_9", "uuid": "u9", "timestamp": "2026-03-10T10:00:00Z",
        "message": { "id": "msg_9", "model": SONNET, "usage": { "input_tokens": 1000, "output_tokens": 100 } },
    });
    std::fs::write(file.path(), line.to_string()).unwrap();
    let server = database.serve(&[]).await;
    let attributes = of_provider("anthropic", SONNET, 1000, 100, &json!({ "gen_ai.response.id": "msg_9" }));
    post(&server, &export("shop", &[span(&id(1), "", &attributes)])).await;
    database.run(&["import", "claude-code", file.path().to_str().unwrap()]).await.assert_success();
    let total = super::total(&database, &server).await;
    assert_eq!((total.0, total.1, total.5.as_str()), (1, 1000, "0.0045"));
    server.kill().await;
}

/// A file and a request go the same way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_imported_is_known_when_it_is_exported_and_the_other_way_round() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let parent = export("shop", &[span(&id(1), "", &chat("gpt-4o", 10, 2))]);
    let child = export("shop", &[span(&id(2), &id(1), &chat("gpt-4o", 10, 2))]);
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(file.path(), parent.to_string()).unwrap();
    database.run(&["import", "otlp", file.path().to_str().unwrap()]).await.assert_success();
    post(&server, &child).await;
    let head = database.head().await;
    for _ in 0..2 {
        post(&server, &parent).await;
        // The trace notes once that another import than that of the file reported the span.
        assert_eq!(database.head().await, head + 1);
    }
    let (calls, input, ..) = super::total(&database, &server).await;
    assert_eq!((calls, input), (1, 10));
    server.kill().await;
}

/// The events of coding agents, as they document them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_telemetry_of_coding_agents_is_read() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let record = |attributes: &Value, body: &str| {
        let span = span(&id(1), "", attributes);
        json!({ "timeUnixNano": "1773136800000000000", "body": { "stringValue": body }, "attributes": span["attributes"] })
    };
    let claude = json!({
        "event.name": "api_request", "session.id": "s1", "user.id": "ada", "model": SONNET, "cost_usd": 0.0012,
        "duration_ms": 1500, "input_tokens": 4, "output_tokens": 10, "cache_read_tokens": 40, "cache_creation_tokens": 25,
    });
    let codex = json!({
        "event.name": "codex.sse_event", "event.kind": "response.completed", "conversation.id": "c1", "model": "gpt-4o",
        "input_token_count": 100, "output_token_count": 20, "cached_token_count": 60, "reasoning_token_count": 5,
    });
    let created = with(codex.clone(), &json!({ "event.kind": "response.created" }));
    let gemini = json!({
        "event.name": "gemini_cli.api_response", "session.id": "g1", "model": "gemini-2.5-pro", "duration_ms": 900,
        "input_token_count": 100, "output_token_count": 50, "cached_content_token_count": 0, "thoughts_token_count": 30,
        "total_token_count": 180,
    });
    let records = [
        record(&claude, "claude_code.api_request"),
        record(&codex, ""),
        record(&created, ""),
        record(&gemini, ""),
        record(&json!({ "event.name": "claude_code.user_prompt" }), "claude_code.user_prompt"),
    ];
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] }).to_string().into_bytes();
    for _ in 0..2 {
        let (status, response) =
            post_as(&server, "/v1/logs", &[("content-type", "application/json")], body.clone()).await;
        assert_eq!((status, response.as_slice()), (StatusCode::OK, &b"{}"[..]));
    }
    let report = report(&database, &server, &["AGENT"]).await;
    let tokens = |agent: &str| {
        of_agent(&report, agent).map(|(calls, input, output, read, written, _)| (calls, input, output, read, written))
    };
    assert_eq!(tokens("claude-code"), Some((1, 4, 10, 40, 25)));
    assert_eq!(tokens("codex"), Some((1, 40, 20, 60, 0)));
    assert_eq!(tokens("gemini-cli"), Some((1, 100, 80, 0, 0)));
    let metrics = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [
        { "name": "gen_ai.client.token.usage", "histogram": { "dataPoints": [{ "count": "2", "sum": 3 }] } },
        { "name": "http.client.duration", "histogram": { "dataPoints": [{ "count": "2", "sum": 3 }] } },
    ] }] }] });
    let (status, response) =
        post_as(&server, "/v1/metrics", &[("content-type", "application/json")], metrics.to_string().into_bytes())
            .await;
    let response: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!(status, StatusCode::OK);
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("gen_ai.client.token.usage") && !message.contains("http.client"), "{message}");
    server.kill().await;
}
