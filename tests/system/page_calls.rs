//! The pages of calls and traces in a real browser: a trace with its spans, the receipt of a call, and its correction.

use crate::otlp::{TRACE, chat, export, post, span, with};
use crate::page::{drive, node};
use crate::reservations::set_price;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::{Server, TestDatabase, wait_until};

const ROOT: &str = "00000000000000a1";
const TOOL: &str = "00000000000000a3";

/// A span that begins some milliseconds after a time and takes as long as is given.
fn timed(mut span: Value, name: &str, start_ms: u128, duration_ms: u128) -> Value {
    span["name"] = json!(name);
    span["startTimeUnixNano"] = json!((start_ms * 1_000_000).to_string());
    span["endTimeUnixNano"] = json!(((start_ms + duration_ms) * 1_000_000).to_string());
    span
}

/// Sends a trace of now: a span without usage, and inside of it a call with a text, and a failed tool that calls a model without
/// a price.
async fn send_trace(server: &Server) {
    let start_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() - 60_000;
    let messages = json!([{ "role": "user", "parts": [{ "type": "text", "content": "What is up?" }] }]).to_string();
    let of_provider =
        |model: &str, input, output| with(chat(model, input, output), &json!({ "gen_ai.provider.name": "p" }));
    let asked = with(of_provider("m", 1_000_000, 500_000), &json!({ "gen_ai.input.messages": messages }));
    let tool = json!({ "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search" });
    let mut failed = timed(span(TOOL, ROOT, &tool), "search", start_ms + 4_000, 2_000);
    failed["status"] = json!({ "code": 2, "message": "no index" });
    let spans = [
        timed(span(ROOT, "", &json!({})), "answer the question", start_ms, 10_000),
        timed(span("00000000000000a2", ROOT, &asked), "chat m", start_ms + 500, 3_500),
        failed,
        timed(span("00000000000000a4", TOOL, &of_provider("new", 50, 5)), "chat new", start_ms + 4_500, 1_000),
    ];
    assert_eq!(post(server, &export("assistant", &spans)).await, json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_go_from_the_overview_to_a_receipt_and_a_trace_by_keyboard_and_correct_and_void_a_call() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--span-contents", "true"]).await;
    set_price(&server).await;
    send_trace(&server).await;
    let calls = async || {
        let listed = "{ calls { nodes { uuid model } } usageReport { total { calls } } }";
        server.graphql(listed, json!({})).await
    };
    wait_until("the calls are in the report", async || calls().await["usageReport"]["total"]["calls"] == 2).await;
    let listed = calls().await["calls"]["nodes"].take();
    let call = listed.as_array().unwrap().iter().find(|call| call["model"] == "m").unwrap()["uuid"].clone();
    let call = call.as_str().unwrap();

    let mut program = node("calls.mjs");
    program.args([server.address.as_str(), TRACE, "m", call]);
    let seen = drive(program, async |line| assert!(line.is_empty(), "the browser's program says {line:?}")).await;
    for none in ["errors", "foreign", "violations", "sideways"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    assert_eq!(seen["narrowed"], json!([3, 1, call[..call.len() - 1]]), "{seen}");
    assert_eq!(seen["receipt"], "Total\t1.5 USD", "{seen}");
    assert!(seen["receiptText"].as_str().unwrap().contains("= 1.5"), "{seen}");
    assert_eq!(seen["spans"], json!(["answer the question", "chat m", "search", "chat new"]), "{seen}");
    assert_eq!((&seen["bars"], &seen["collapsed"]), (&json!(4), &json!(1)), "{seen}");
    assert_eq!((&seen["voided"], &seen["drilled"]), (&json!(true), &json!(["30d", true])), "{seen}");

    // The log has what the browser did.
    let events = "query ($id: ID!) { events(filter: { streamId: $id }) { nodes { type payloadText } } }";
    let events = server.graphql(events, json!({ "id": call })).await["events"]["nodes"].take();
    let types: Vec<_> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["call.recorded", "call.corrected", "call.reversed"], "{events}");
    let correction = events[1]["payloadText"].as_str().unwrap();
    assert!(correction.contains("platform") && correction.contains("checked by keyboard"), "{correction}");
    assert!(events[2]["payloadText"].as_str().unwrap().contains("reported twice"), "{events}");
    drop(server.terminate().await);
}
