//! Limits of the gateway, and keys that change while it runs.

use super::budgets::terms;
use super::{Upstream, assert_equals_stub, chat, post, settled};
use crate::reservations::{define, period};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{TestDatabase, wait_until};

/// A client that takes the last event for the end, and calls again, finds what its call had reserved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_settled_before_the_last_event_of_its_stream_is_passed_on() {
    let limits = "[limits]\nsettle_wait_ms = 60000";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", limits).await);
    let server = upstream.serve(&database).await;
    let id = define(&server, terms("1")).await;
    let body = chat(&json!({ "stream": true }));
    for (path, last) in [("openai/v1/chat/completions", "[DONE]"), ("anthropic/v1/messages", "message_stop")] {
        let body =
            if path.starts_with("anthropic") { super::message(&json!({ "stream": true })) } else { body.clone() };
        let mut stream = post(&server, path, &body).send().await.unwrap();
        let mut text = String::new();
        while !text.contains(last) {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
        }
        let after = period(&server, &id).await;
        assert_eq!(after["reserved"], "0", "{after}");
        assert!(stream.chunk().await.unwrap().is_none(), "nothing is lost of the stream or added to it");
    }
    assert_equals_stub(&settled(&database, &server, 2).await, &upstream.stub);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_beyond_what_may_be_held_is_refused_and_charged() {
    let limits = "[limits]\nmax_open_bytes = 200000\nmax_request_bytes = 50000";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", limits).await);
    let server = upstream.serve(&database).await;
    let long = chat(&json!({ "user": "long" }));
    let answered = post(&server, "openai/v1/chat/completions", &long).send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answered.json::<Value>().await.unwrap()["error"]["code"], "overloaded");
    let found = settled(&database, &server, 1).await;
    assert_eq!((&found[0]["outcome"], &found[0]["usageAssumed"]), (&json!("ERROR"), &json!(true)), "{found:?}");
    let answered = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::OK, "its room is free again");
    server.kill().await;
}

/// While the database is away, calls that are refused do not pile up in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reservations_without_an_answer_are_looked_for_up_to_a_limit() {
    let limits = "[limits]\nreserve_timeout_ms = 300\nmax_unanswered = 1";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", limits).await);
    let server = upstream.serve(&database).await;
    define(&server, terms("1")).await;
    let block = database.block_appends_at(database.head().await + 1).await;
    for _ in 0..3 {
        let answered = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let text = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
    assert!(text.lines().any(|line| line == "apex_gateway_unsettled_total 2"), "{text}");
    block.release().await;
    wait_until("calls pass again", async || {
        post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_a_file_is_read_again_when_it_changes() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let key_of_call = async || {
        let answered = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::OK);
        upstream.stub.requests().pop().unwrap().headers["authorization"].clone()
    };
    assert_eq!(key_of_call().await, "Bearer provider-key");
    // A key that is being written is not used.
    std::fs::write(upstream.folder.path().join("key"), "").unwrap();
    let failing = async || {
        let text = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
        text.lines().any(|line| line == "apex_gateway_keys_failing 2")
    };
    wait_until("the keys cannot be read", failing).await;
    assert_eq!(key_of_call().await, "Bearer provider-key");
    std::fs::write(upstream.folder.path().join("key"), "second-key\n").unwrap();
    wait_until("the new key is used", async || key_of_call().await == "Bearer second-key").await;
    server.kill().await;
}
