//! What no exporter should send: specific errors, bounded memory, and never an error of the server.

use super::{TRACE, chat, export, post, post_as, span, total, with};
use crate::identities::Installation;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use testkit::TestDatabase;

const JSON: (&str, &str) = ("content-type", "application/json");

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn code(response: &[u8]) -> i64 {
    serde_json::from_slice::<Value>(response).unwrap()["code"].as_i64().unwrap()
}

/// The headers and the body of a request, and the status and the code of the answer.
type Refused<'a> = (&'a [(&'a str, &'a str)], Vec<u8>, StatusCode, i64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_too_large_or_no_exports_get_their_own_errors() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let bomb = gzip(&vec![b' '; 256 * 1024 * 1024]);
    let body = export("shop", &[span("00000000000000a1", "", &chat("gpt-4o", 1, 1))]).to_string().into_bytes();
    let deep = format!("{{\"resourceSpans\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes();
    let cases: [Refused; 9] = [
        (&[JSON, ("content-encoding", "gzip")], bomb, StatusCode::PAYLOAD_TOO_LARGE, 11),
        (&[JSON], vec![b' '; 17 * 1024 * 1024], StatusCode::PAYLOAD_TOO_LARGE, 11),
        (&[JSON, ("content-encoding", "gzip")], b"no gzip".to_vec(), StatusCode::BAD_REQUEST, 3),
        (&[JSON, ("content-encoding", "zstd")], b"no zstd".to_vec(), StatusCode::BAD_REQUEST, 3),
        (&[JSON, ("content-encoding", "br")], body.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
        (&[("content-type", "text/plain")], body.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
        (&[], body.clone(), StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
        (&[JSON], deep, StatusCode::BAD_REQUEST, 3),
        (&[JSON], b"[".repeat(1_000_000), StatusCode::BAD_REQUEST, 3),
    ];
    for (headers, body, status, expected) in cases {
        let (found, response) = post_as(&server, "/v1/traces", headers, body).await;
        assert_eq!((found, code(&response)), (status, expected), "{headers:?}: {}", String::from_utf8_lossy(&response));
    }
    let (status, _) = post_as(&server, "/v1/traces", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let response = testkit::http_get(format!("{}/v1/traces", server.address)).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(total(&database, &server).await.0, 0);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_beyond_a_limit_is_rejected_alone() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let valid = span("00000000000000a1", "", &chat("gpt-4o", 10, 1));
    let mut many = span("00000000000000a2", "", &chat("gpt-4o", 10, 1));
    let attributes = many["attributes"].as_array_mut().unwrap();
    attributes.extend((0..300_000).map(|n| json!({ "key": format!("k{n}"), "value": { "intValue": "1" } })));
    let absurd = |id: &str, input: i64| span(id, "", &chat("gpt-4o", input, 1));
    let at = |id: &str, start: &str| {
        let mut span = span(id, "", &chat("gpt-4o", 10, 1));
        span["startTimeUnixNano"] = json!(start);
        span
    };
    let spans = [
        valid,
        many,
        absurd("00000000000000a3", i64::MAX),
        absurd("00000000000000a4", -1),
        at("00000000000000a5", "18446744073709551615"),
        at("00000000000000a6", "1773136800"),
        span("00000000000000a7", "", &with(chat("gpt-4o", 10, 1), &json!({ "gen_ai.usage.output_tokens": "many" }))),
        span("00000000000000a8", "", &with(chat("gpt-4o", 10, 1), &json!({ "gen_ai.usage.some_new_tokens": 5 }))),
    ];
    let response = post(&server, &export("shop", &spans)).await;
    let partial = &response["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "6", "{response}");
    let message = partial["errorMessage"].as_str().unwrap();
    for reason in [
        "span 2: 300005 attributes, which is more than the limit of 4096",
        "span 3: gen_ai.usage.input_tokens: 9223372036854775807 is too large",
        "span 4: gen_ai.usage.input_tokens: -1 is negative",
        "span 5: startTimeUnixNano is",
        "span 6: the call would have started at 1970",
        "span 7: gen_ai.usage.output_tokens is \"many\"",
        "\"gen_ai.usage.some_new_tokens\" of 1 spans is not understood",
    ] {
        assert!(message.contains(reason), "{message} lacks {reason}");
    }
    assert_eq!(total(&database, &server).await.0, 2);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_has_a_limit() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let spans: Vec<_> = (1..=4_200_u64)
        .map(|n| {
            let mut span = span(&format!("{n:016x}"), &format!("{:016x}", n + 1), &json!({}));
            if n == 1 {
                span = super::span(&format!("{n:016x}"), &format!("{:016x}", n + 1), &chat("gpt-4o", 10, 1));
            }
            span
        })
        .collect();
    let response = post(&server, &export("shop", &spans)).await;
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("2151 spans that state no usage were not recorded"), "{message}");
    assert!(!message.contains(TRACE));
    assert_eq!(total(&database, &server).await.0, 1, "calls are recorded all the same");
    server.kill().await;
}

/// Each names as much as it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_without_usage_are_recorded_in_parts_and_leave_room_for_calls() {
    const FIRST: u64 = 1_600;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let link = |number: u64| {
        let names = json!({ "gen_ai.operation.name": "invoke_agent", "user.id": "u".repeat(256),
                            "gen_ai.conversation.id": format!("{number:0>256}") });
        span(&format!("{number:016x}"), "", &names)
    };
    let call = |number: u64, around: u64| {
        span(&format!("{:016x}", 0xf000_0000 + number), &format!("{around:016x}"), &chat("gpt-4o", 10, 1))
    };
    let mut spans: Vec<_> = (1..=FIRST).map(link).collect();
    spans.push(call(1, FIRST));
    // More than one event may have.
    assert!(export("shop", &spans).to_string().len() > 900_000);
    assert_eq!(post(&server, &export("shop", &spans)).await, json!({}));
    assert_eq!(total(&database, &server).await.0, 1);
    let conversation: String =
        sqlx::query_scalar("select conversation from apex.calls").fetch_one(&database.pool).await.unwrap();
    assert_eq!(conversation, format!("{FIRST:0>256}"));
    // Links alone that do not fit are named in the response.
    let more: Vec<_> = (FIRST + 1..=FIRST + 1_000).map(link).collect();
    let response = post(&server, &export("shop", &more)).await;
    let partial = &response["partialSuccess"];
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.contains("744 spans that state no usage were not recorded"), "{message}");
    assert!(partial["rejectedSpans"].is_null() || partial["rejectedSpans"] == "0", "{partial}");
    let rest: Vec<_> = (5_001..=5_192).map(link).collect();
    assert_eq!(post(&server, &export("shop", &rest)).await, json!({}), "2,048 in all");
    // Calls are recorded all the same, also with links that do not fit.
    let calls = [call(2, FIRST), call(3, 9_999), link(9_999)];
    let response = post(&server, &export("shop", &calls)).await;
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("1 spans that state no usage were not recorded"), "{message}");
    assert_eq!(total(&database, &server).await.0, 3);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_required_and_a_bound_key_reports_as_its_agent() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let body = export("shop", &[span("00000000000000a1", "", &chat("gpt-4o", 10, 1))]).to_string().into_bytes();
    for headers in [vec![JSON], vec![JSON, ("authorization", "Bearer wrong")]] {
        let (status, response) = post_as(&server, "/v1/traces", &headers, body.clone()).await;
        assert_eq!((status, code(&response)), (StatusCode::UNAUTHORIZED, 16));
    }
    let viewer = format!("Bearer {}", installation.key("acme", "viewer", &[]).await);
    for body in [body.clone(), b"{}".to_vec()] {
        let (status, response) = post_as(&server, "/v1/traces", &[JSON, ("authorization", &viewer)], body).await;
        assert_eq!((status, code(&response)), (StatusCode::FORBIDDEN, 7));
    }
    let agent = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
    let bound = format!("Bearer {}", installation.key("acme", "agent", &["--agent", agent]).await);
    let (status, response) = post_as(&server, "/v1/traces", &[JSON, ("authorization", &bound)], body).await;
    assert_eq!((status, response.as_slice()), (StatusCode::OK, &b"{}"[..]));
    let sql = "select tenant_id, payload ->> 'agent_id' from apex.events where type = 'call.recorded'";
    let found: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&installation.database.pool).await.unwrap();
    assert_eq!(found, [("acme".to_owned(), agent.to_owned())]);
    server.kill().await;
}
