//! Batches as Langfuse's SDKs send them: its users change an address and a key, and nothing else.

use super::changes;
use crate::identities::Installation;
use crate::otlp::{chat, export, of_agent, report, span, total};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

async fn post_batch(server: &Server, secret: &str, events: &[Value]) -> (StatusCode, Value) {
    let request = Client::new().post(format!("{}/api/public/ingestion", server.address));
    let batch = json!({ "batch": events, "metadata": { "sdk_name": "python", "batch_size": events.len() } });
    // A server without a token takes requests without a credential, and none with a wrong one.
    let request = if secret.is_empty() { request } else { request.basic_auth("pk-lf-1", Some(secret)) };
    let response = request.json(&batch).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn event(id: &str, kind: &str, body: &Value) -> Value {
    json!({ "id": id, "type": kind, "timestamp": "2026-03-10T10:00:00.000Z", "body": body })
}

fn trace() -> Value {
    event("e1", "trace-create", &json!({ "id": "t-1", "name": "support", "sessionId": "s-1", "userId": "ada" }))
}

fn begun(id: &str) -> Value {
    event(
        &format!("begin-{id}"),
        "generation-create",
        &json!({ "id": id, "traceId": "t-1", "name": "answer", "model": "gpt-4o", "startTime": "2026-03-10T10:00:01.000Z",
                 "input": "not kept", "metadata": {} }),
    )
}

fn ended(id: &str) -> Value {
    event(
        &format!("end-{id}"),
        "generation-update",
        &json!({ "id": id, "traceId": "t-1", "endTime": "2026-03-10T10:00:03.500Z", "output": "not kept",
                 "usage": { "input": 1000, "output": 100, "total": 1100, "unit": "TOKENS" } }),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_is_a_call_in_one_batch_or_in_several() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let score = event("e9", "score-create", &json!({ "id": "x", "traceId": "t-1", "name": "good", "value": 1 }));
    let (status, answer) = post_batch(&server, "", &[trace(), begun("g-1"), ended("g-1"), score]).await;
    assert_eq!(status, StatusCode::MULTI_STATUS, "{answer}");
    assert_eq!(answer["errors"], json!([]));
    let accepted = json!([{ "id": "e1", "status": 201 }, { "id": "begin-g-1", "status": 201 },
                          { "id": "end-g-1", "status": 201 },
                          { "id": "e9", "status": 200, "message": "\"score-create\": says nothing about calls, and is not kept" }]);
    assert_eq!(answer["successes"], accepted);
    // The end arrives in another batch, and at another process, which knows the call by the log.
    let other = database.serve(&[]).await;
    assert_eq!(post_batch(&server, "", &[begun("g-2")]).await.0, StatusCode::MULTI_STATUS);
    let (_, answer) = post_batch(&other, "", &[trace(), ended("g-2")]).await;
    assert_eq!(answer["errors"], json!([]));
    let found = of_agent(&report(&database, &server, &["AGENT"]).await, "support").unwrap();
    assert_eq!((found.0, found.1, found.2, found.5.as_str()), (2, 2000, 200, "0.007"));
    // Other batches with the same generations change nothing, but are noted. A batch that is sent again is not.
    let before = changes(&database).await;
    for events in [[begun("g-1"), ended("g-1")], [begun("g-2"), ended("g-2")]] {
        assert_eq!(post_batch(&server, "", &events).await.0, StatusCode::MULTI_STATUS);
        let head = database.head().await;
        assert_eq!(post_batch(&server, "", &events).await.0, StatusCode::MULTI_STATUS);
        assert_eq!(database.head().await, head, "a repetition wrote events");
    }
    assert_eq!(changes(&database).await, before, "a repetition changed something");
    let latency = "select distinct payload #>> '{after,latency_ms}' from apex.events where type = 'call.amended'";
    let latency: Vec<Option<String>> = sqlx::query_scalar(latency).fetch_all(&database.pool).await.unwrap();
    assert!(latency.contains(&Some("2500".to_owned())), "{latency:?}");
    server.kill().await;
    other.kill().await;
}

/// An observation with usage, or without it if there is none.
fn nested(trace: &str, id: &str, parent: Option<&str>, input: Option<u64>) -> Value {
    let kind = if input.is_some() { "generation-create" } else { "span-create" };
    let mut body = json!({ "id": id, "traceId": trace, "name": id, "startTime": "2026-03-10T10:00:01.000Z",
                           "endTime": "2026-03-10T10:00:02.000Z" });
    if let Some(parent) = parent {
        body["parentObservationId"] = json!(parent);
    }
    if let Some(input) = input {
        (body["model"], body["usage"]) = (json!("gpt-4o"), json!({ "input": input, "output": 1, "unit": "TOKENS" }));
    }
    event(&format!("create-{id}"), kind, &body)
}

/// Only the innermost observation with usage is a call, in whatever batches and order they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_around_another_is_not_charged_whatever_batch_it_came_in() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut input_of_leaves = 0;
    for (number, order) in [[0, 1, 2], [2, 1, 0], [0, 2, 1], [1, 2, 0]].into_iter().enumerate() {
        // Ids of the SDK's own, and those of spans.
        for (trace, ids) in [
            (format!("t-{number}"), ["outer", "between", "inner"]),
            (
                format!("080130871f53145aecf7c29d5dfb6e4{number:x}"),
                ["1cffdfa6fe3412e6", "b38a82eaa62b551e", "fc7f61b57ecebbaf"],
            ),
        ] {
            let [outer, between, inner] = ids;
            let input = 100 + number as u64;
            let events = [
                nested(&trace, outer, None, Some(7_000)),
                nested(&trace, between, Some(outer), None),
                nested(&trace, inner, Some(between), Some(input)),
            ];
            for at in order {
                let (status, answer) = post_batch(&server, "", &events[at..=at]).await;
                assert_eq!((status, &answer["errors"]), (StatusCode::MULTI_STATUS, &json!([])));
            }
            input_of_leaves += input;
            let charged = total(&database, &server).await;
            assert_eq!(charged.1, input_of_leaves, "{trace} in the order {order:?}");
            let before = changes(&database).await;
            assert_eq!(post_batch(&server, "", &events).await.0, StatusCode::MULTI_STATUS);
            assert_eq!(changes(&database).await, before, "a repetition changed something");
        }
    }
    server.kill().await;
}

/// Each event is small; merged, they have more fields than are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_cannot_be_merged_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut parts = [begun("g-1"), ended("g-1")];
    for (at, part) in parts.iter_mut().enumerate() {
        let fields = (0..6_000).map(|n| (format!("f{}", at * 6_000 + n), json!(0)));
        part["body"].as_object_mut().unwrap().extend(fields);
    }
    let [first, last] = parts;
    let (status, answer) = post_batch(&server, "", &[first, begun("g-2"), last, ended("g-2")]).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    let refused: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| &error["id"]).collect();
    assert_eq!(refused, ["begin-g-1", "end-g-1"], "{answer}");
    assert_eq!(total(&database, &server).await.0, 1);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_recorded_is_told_alone() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let unknown = event("u", "generation-update", &json!({ "id": "g-9", "traceId": "t-9", "usage": { "input": 1 } }));
    let mut negative = ended("g-3");
    negative["body"]["usage"]["input"] = json!(-1);
    let (status, answer) =
        post_batch(&server, "", &[begun("g-3"), negative, unknown, begun("g-4"), ended("g-4"), json!(7)]).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    let refused: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| &error["id"]).collect();
    assert_eq!(refused, ["begin-g-3", "end-g-3", "u", ""], "{answer}");
    assert_eq!(answer["successes"].as_array().unwrap().len(), 2);
    assert_eq!(total(&database, &server).await.0, 1);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_key_is_an_api_key() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let (status, _) = post_batch(&server, "wrong", &[trace()]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let viewer = installation.key("acme", "viewer", &[]).await;
    assert_eq!(post_batch(&server, &viewer, &[]).await.0, StatusCode::FORBIDDEN);
    let key = installation.key("acme", "agent", &[]).await;
    let (status, answer) = post_batch(&server, &key, &[begun("g-1"), ended("g-1")]).await;
    assert_eq!((status, &answer["errors"]), (StatusCode::MULTI_STATUS, &json!([])));
    // Newer SDKs export spans.
    let spans = export("shop", &[span("00000000000000a1", "", &chat("gpt-4o", 10, 1))]);
    let request = Client::new().post(format!("{}/api/public/otel/v1/traces", server.address));
    let response = request.basic_auth("pk-lf-1", Some(&key)).json(&spans).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let calls = "select count(*) from apex.events where type = 'call.recorded' and tenant_id = 'acme'";
    let calls: i64 = sqlx::query_scalar(calls).fetch_one(&installation.database.pool).await.unwrap();
    assert_eq!(calls, 2);
    server.kill().await;
}
