//! `POST /v1/ingest/{format}`: files as `apex import` reads them, responses as providers send them, and LiteLLM's callbacks.

use super::{answers, body, changes, post_lines, statuses};
use crate::import::{assert_total, sample_totals};
use crate::otlp::{post_as, total};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase, sample};

/// Posts a file, and returns the last line of the answer.
async fn post_file(server: &Server, path: &str, content: Vec<u8>) -> Value {
    let (status, response) = post_as(server, path, &[], content).await;
    assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&response));
    let last = answers(&response).pop().unwrap();
    assert_eq!(last["event"], "ended", "{last}");
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sample_has_the_totals_of_its_import_and_a_repetition_changes_nothing() {
    for (file, path) in [
        ("azure-llm.csv", "/v1/ingest/azure-llm?provider=openai&model=gpt-4o"),
        ("autogpt.jsonl", "/v1/ingest/autogpt"),
        ("claude-code.jsonl", "/v1/ingest/file"),
        ("otlp.json", "/v1/ingest/otlp"),
    ] {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        let content = std::fs::read(sample(file)).unwrap();
        let first = post_file(&server, path, content.clone()).await;
        let expected = sample_totals(file).1;
        assert_eq!(first["counts"]["refused"], 0, "{first}");
        assert_total(&database.total().await, &expected);
        let head = database.head().await;
        let again = post_file(&server, path, content).await;
        assert_eq!(again["counts"]["imported"], 0, "{again}");
        assert_eq!(database.head().await, head, "{file} twice");
        // A file and a request go the same way. Only that it is an import is new.
        let before = changes(&database).await;
        crate::import::import(&database, file).await.assert_success();
        assert_eq!(changes(&database).await, before, "{file} by the command line");
        server.kill().await;
    }
}

/// A sample as lines of Apex's own form has its totals, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_as_lines_has_its_totals() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let text = std::fs::read_to_string(sample("autogpt.jsonl")).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let at = chrono::DateTime::from_timestamp(record["created"].as_i64().unwrap(), 0).unwrap();
            json!({
                "type": "call", "response_id": record["id"], "provider": "openai", "model": record["model"],
                "agent": record["run"], "task": record["challenge"], "started_at": at.to_rfc3339(),
                "usage": { "input": record["usage"]["prompt_tokens"], "output": record["usage"]["completion_tokens"] },
                "reported_cost": record["cost"]["total_cost"],
            })
        })
        .collect();
    let found = post_lines(&server, body(&lines)).await;
    assert_eq!(statuses(&found), ["created"; 37]);
    assert_total(&database.total().await, &sample_totals("autogpt.jsonl").1);
    // The calls of the file are those of the lines: nothing is charged twice.
    let ended = post_file(&server, "/v1/ingest/autogpt", text.into_bytes()).await;
    assert_eq!(ended["counts"]["imported"], 0, "{ended}");
    assert_total(&database.total().await, &sample_totals("autogpt.jsonl").1);
    server.kill().await;
}

/// One response, as the provider sent it, as LiteLLM reports it, and as a line: one call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_one_call_in_whatever_form_it_is_sent() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let openai = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                        "prompt_tokens_details": { "cached_tokens": 400 } });
    let response = json!({ "id": openai, "object": "chat.completion", "created": 1_773_136_800, "model": "gpt-4o",
                           "usage": usage, "choices": [] });
    let ended = post_file(&server, "/v1/ingest/openai?agent=shop", response.to_string().into_bytes()).await;
    assert_eq!(ended["counts"]["imported"], 1, "{ended}");
    let payload = json!({
        "id": openai, "trace_id": "s1", "call_type": "acompletion", "response_cost": 0.003, "status": "success",
        "custom_llm_provider": "openai", "model": "gpt-4o", "startTime": 1_773_136_800.0, "endTime": 1_773_136_801.0,
        "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "metadata": { "user_api_key_alias": "ci", "usage_object": usage },
    });
    let other = json!({ "id": "chatcmpl-8f14e45f-ceea-467f-a8b9-0b2a3c4d5e6f", "call_type": "acompletion",
                        "response_cost": 0.1, "custom_llm_provider": "openai", "model": "gpt-4o", "startTime": 1_773_136_800.0,
                        "prompt_tokens": 10, "completion_tokens": 1 });
    let batch = json!([payload, other]).to_string().into_bytes();
    let ended = post_file(&server, "/v1/ingest/litellm", batch).await;
    assert_eq!((&ended["counts"]["imported"], &ended["counts"]["amended"]), (&json!(1), &json!(1)), "{ended}");
    let line = json!({ "type": "call", "response_id": openai, "provider": "openai", "model": "gpt-4o",
                       "usage": { "input": 600, "output": 100, "cache_read": 400 } });
    assert_eq!(statuses(&post_lines(&server, body(&[line])).await).len(), 1);
    let anthropic = json!({ "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant",
                            "model": "claude-sonnet-4-5-20250929", "content": [],
                            "usage": { "input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 400 } });
    for imported in [1, 0] {
        let ended = post_file(&server, "/v1/ingest/anthropic", anthropic.to_string().into_bytes()).await;
        assert_eq!(ended["counts"]["imported"], imported, "{ended}");
    }
    let (calls, input, output, cached, ..) = total(&database, &server).await;
    assert_eq!((calls, input, output, cached), (3, 1610, 201, 800));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_of_the_routes_is_served_and_can_be_read() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let document: Value =
        testkit::http_get(format!("{}/v1/openapi.json", server.address)).await.unwrap().json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/ingest"]["post"]["responses"]["429"].is_object());
    let page = testkit::http_get(format!("{}/docs/api", server.address)).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("POST /v1/ingest") && html.contains("cache_read"), "{html}");
    server.kill().await;
}
