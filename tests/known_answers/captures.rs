//! The bodies that real exporters sent, with the totals that are right.

use crate::data;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

/// The bodies of real exporters: calls, tokens of prompts and of outputs, and the number of spans or records that are rejected.
const CAPTURES: [(&str, (i64, u64, u64), u64); 28] = [
    ("000-py-sdk-plain-http-traces.pb", (0, 0, 0), 1),
    ("001-py-sdk-plain-http-metrics.pb", (0, 0, 0), 0),
    ("002-py-sdk-plain-http-logs.pb", (0, 0, 0), 1),
    ("003-py-traceloop-openai-http-traces.pb", (5, 4809, 1360), 0),
    ("004-py-traceloop-openai-http-metrics.pb", (0, 0, 0), 0),
    ("005-py-openinference-openai-http-traces.pb", (1, 1200, 340), 0),
    ("007-py-traceloop-anthropic-http-traces.pb", (2, 3424, 680), 0),
    ("008-py-traceloop-anthropic-http-metrics.pb", (0, 0, 0), 0),
    ("009-py-pydantic-ai-http-traces.pb", (2, 2400, 680), 0),
    ("010-py-pydantic-ai-http-metrics.pb", (0, 0, 0), 0),
    ("011-py-sdk-plain-grpc-traces.pb", (0, 0, 0), 1),
    ("012-py-sdk-plain-grpc-metrics.pb", (0, 0, 0), 0),
    ("013-py-sdk-plain-grpc-logs.pb", (0, 0, 0), 1),
    ("017-js-vercel-ai-http-json-traces.json", (4, 5312, 1360), 0),
    ("018-js-vercel-ai-http-proto-traces.pb", (4, 5312, 1360), 0),
    ("019-js-vercel-ai-grpc-traces.pb", (4, 5312, 1360), 0),
    ("030-py-sdk-plain-http-json-traces.json", (0, 0, 0), 1),
    ("031-py-sdk-plain-http-json-metrics.json", (0, 0, 0), 0),
    ("032-py-sdk-plain-http-json-logs.json", (0, 0, 0), 1),
    ("033-py-traceloop-openai-http-json-traces.json", (5, 4809, 1360), 0),
    ("034-py-traceloop-openai-http-json-metrics.json", (0, 0, 0), 0),
    ("090-py-genai-openai-content-http-traces.pb", (5, 4809, 1360), 0),
    ("091-py-genai-openai-content-http-metrics.pb", (0, 0, 0), 0),
    ("094-py-genai-grpc-traces.pb", (4, 3609, 1020), 0),
    ("095-py-genai-grpc-traces.pb", (1, 1200, 340), 0),
    ("096-py-genai-grpc-metrics.pb", (0, 0, 0), 0),
    ("097-py-genai-grpc-traces.pb", (2, 3424, 680), 0),
    ("098-py-genai-grpc-metrics.pb", (0, 0, 0), 0),
];

const TOKENS: &str = "query ($position: Position) {
    usageReport(by: [], minPosition: $position) {
        total { calls inputTokens cacheReadTokens cacheWrite5MinTokens cacheWrite1HourTokens outputTokens }
    }
}";

/// The path that a body of an exporter was sent to.
fn path_of(body: &str) -> &'static str {
    match body {
        _ if body.contains("-traces.") => "/v1/traces",
        _ if body.contains("-logs.") => "/v1/logs",
        _ => "/v1/metrics",
    }
}

/// Posts a body as it is, as an exporter sent it.
async fn post(server: &Server, body: &str) -> (StatusCode, Vec<u8>) {
    let media_type = if body.ends_with(".json") { "application/json" } else { "application/x-protobuf" };
    let content = std::fs::read(data(&format!("otlp-captures/{body}"))).unwrap();
    let request = Client::new().post(format!("{}{}", server.address, path_of(body)));
    let response = request.header("content-type", media_type).body(content).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

/// The number of rejected items in a response.
fn rejected(body: &str, response: &[u8]) -> u64 {
    if body.ends_with(".json") {
        let response: Value = serde_json::from_slice(response).unwrap();
        let partial = response["partialSuccess"].as_object().cloned().unwrap_or_default();
        let rejected = partial.iter().find(|(name, _)| name.starts_with("rejected"));
        return rejected.map_or(0, |(_, number)| number.as_str().unwrap().parse().unwrap());
    }
    // Field 1 is the partial success, and its field 1 the number, which is left out if it is 0.
    let after_length = response.iter().skip(1).position(|byte| byte & 0x80 == 0).map_or(0, |at| at + 2);
    match response.get(after_length..) {
        Some([0x08, number, ..]) => u64::from(*number),
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn bodies_of_real_exporters_have_their_known_totals_once() {
    for (body, (calls, input, output), refused) in CAPTURES {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        let body = format!("clients/{body}");
        let mut head = None;
        for _ in 0..2 {
            let (status, response) = post(&server, &body).await;
            assert_eq!(status, StatusCode::OK, "{body}: {}", String::from_utf8_lossy(&response));
            assert_eq!(rejected(&body, &response), refused, "{body}: {}", String::from_utf8_lossy(&response));
            let before = head.replace(database.head().await);
            assert!(before.is_none_or(|before| Some(before) == head), "{body}: a repetition wrote events");
        }
        let position = database.head().await.to_string();
        let data = server.graphql(TOKENS, json!({ "position": position })).await["usageReport"]["total"].take();
        let sum = |names: &[&str]| names.iter().map(|name| data[name].as_str().unwrap().parse::<u64>().unwrap()).sum();
        let prompt: u64 = sum(&["inputTokens", "cacheReadTokens", "cacheWrite5MinTokens", "cacheWrite1HourTokens"]);
        let generated: u64 = sum(&["outputTokens"]);
        assert_eq!((data["calls"].as_i64().unwrap(), prompt, generated), (calls, input, output), "{body}: {data}");
        server.kill().await;
    }
}

/// The texts of bodies of real exporters, as another reader of the files counts them: spans that have some, texts, and bytes of those
/// that are text and no lists.
const TEXTS: [(&str, usize, usize, u64); 12] = [
    ("003-py-traceloop-openai-http-traces.pb", 5, 11, 1287),
    ("005-py-openinference-openai-http-traces.pb", 1, 9, 1106),
    ("007-py-traceloop-anthropic-http-traces.pb", 2, 4, 329),
    ("009-py-pydantic-ai-http-traces.pb", 4, 12, 3178),
    ("017-js-vercel-ai-http-json-traces.json", 8, 20, 774),
    ("018-js-vercel-ai-http-proto-traces.pb", 8, 20, 774),
    ("019-js-vercel-ai-grpc-traces.pb", 8, 20, 774),
    ("033-py-traceloop-openai-http-json-traces.json", 5, 11, 1287),
    ("090-py-genai-openai-content-http-traces.pb", 4, 10, 1276),
    ("094-py-genai-grpc-traces.pb", 3, 8, 1098),
    ("095-py-genai-grpc-traces.pb", 1, 2, 178),
    ("097-py-genai-grpc-traces.pb", 2, 4, 349),
];

/// The texts of each span of all traces.
async fn texts(database: &TestDatabase, server: &Server) -> Vec<Vec<Value>> {
    let query = "query ($id: String!) { trace(id: $id) { spans(first: 100) { nodes { contents {
        leftOutCount texts { name text totalBytes isCut } } } } } }";
    let traces: Vec<String> = sqlx::query_scalar("select replace(trace_id::text, '-', '') from apex.traces")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    let mut found = Vec::new();
    for trace in traces {
        let answer = server.graphql(query, json!({ "id": trace })).await;
        let spans = answer["trace"]["spans"]["nodes"].as_array().unwrap();
        found.extend(spans.iter().filter_map(|span| span["contents"]["texts"].as_array().cloned()));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn texts_of_real_exporters_are_kept_where_they_are_and_change_no_total() {
    for (body, spans, count, bytes) in TEXTS {
        let database = TestDatabase::new().await;
        let server = database.serve(&["--span-contents", "true"]).await;
        let (status, response) = post(&server, &format!("clients/{body}")).await;
        assert_eq!(status, StatusCode::OK, "{body}: {}", String::from_utf8_lossy(&response));
        let found = texts(&database, &server).await;
        let all: Vec<_> = found.iter().flatten().collect();
        assert_eq!((found.len(), all.len()), (spans, count), "{body}: {all:?}");
        let is_text = |text: &&&Value| text["name"] != "ai.prompt.tools";
        let of_text: u64 = all.iter().filter(is_text).map(|text| text["totalBytes"].as_u64().unwrap()).sum();
        assert_eq!(of_text, bytes, "{body}: {all:?}");
        assert!(all.iter().all(|text| text["isCut"] == false), "{body}");
        let position = database.head().await.to_string();
        let total = server.graphql(TOKENS, json!({ "position": position })).await["usageReport"]["total"].take();
        let (_, (calls, _, output), _) = CAPTURES.into_iter().find(|(name, ..)| *name == body).unwrap();
        let right = (json!(calls), json!(output.to_string()));
        assert_eq!((&total["calls"], &total["outputTokens"]), (&right.0, &right.1), "{body}: {total}");
        server.kill().await;
    }
}

/// Bodies as SDKs sent them, still compressed: the file, its path, its media type and its encoding, and the number of spans or
/// records that are rejected, because they state a count and no model.
const WIRE: [(&str, &str, &str, &str, u64); 4] = [
    ("00-v1-traces.pb.gzip", "/v1/traces", "application/x-protobuf", "gzip", 1),
    ("01-v1-metrics.pb.gzip", "/v1/metrics", "application/x-protobuf", "gzip", 0),
    ("02-v1-logs.pb.gzip", "/v1/logs", "application/x-protobuf", "gzip", 1),
    ("04-v1-metrics.json.identity", "/v1/metrics", "application/json", "identity", 0),
];

/// The examples of the protocol. They state no usage.
const EXAMPLES: [(&str, &str); 4] = [
    ("trace.json", "/v1/traces"),
    ("metrics.json", "/v1/metrics"),
    ("logs.json", "/v1/logs"),
    ("events.json", "/v1/logs"),
];

async fn post_wire(server: &Server, path: &str, headers: [(&str, &str); 2], content: Vec<u8>) -> Vec<u8> {
    let request =
        headers.iter().fold(Client::new().post(format!("{}{path}", server.address)), |request, (name, value)| {
            if *value == "identity" { request } else { request.header(*name, *value) }
        });
    let response = request.body(content).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn bodies_as_they_were_on_the_wire_and_the_examples_of_the_protocol_are_accepted() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for (file, path, media_type, encoding, right) in WIRE {
        let content = std::fs::read(data(&format!("otlp-captures/wire-gzip/{file}"))).unwrap();
        assert_eq!(content.starts_with(&[0x1f, 0x8b]), encoding == "gzip", "{file}");
        let headers = [("content-type", media_type), ("content-encoding", encoding)];
        let response = post_wire(&server, path, headers, content).await;
        let kind = if media_type == "application/json" { "answer.json" } else { "answer.pb" };
        assert_eq!(rejected(kind, &response), right, "{file}: {}", String::from_utf8_lossy(&response));
    }
    for (file, path) in EXAMPLES {
        let content = std::fs::read(data(&format!("otlp-proto-examples/{file}"))).unwrap();
        let headers = [("content-type", "application/json"), ("content-encoding", "identity")];
        let response = post_wire(&server, path, headers, content).await;
        assert_eq!(response, b"{}", "{file}: {}", String::from_utf8_lossy(&response));
    }
    let position = database.head().await.to_string();
    let data = server.graphql(TOKENS, json!({ "position": position })).await["usageReport"]["total"].take();
    assert_eq!(data["calls"], 0, "{data}");
    // The spans are kept, so that a trace can be drawn.
    let spans: i64 = sqlx::query_scalar("select count(*) from apex.spans").fetch_one(&database.pool).await.unwrap();
    assert!(spans >= 2, "{spans}");
    server.kill().await;
}
