//! The pages of calls and traces in a real browser: a call is found by the keyboard, its receipt adds up, a trace is a tree.

use crate::graphql::command;
use crate::identities::Installation;
use crate::page::{drive, node};
use crate::reservations::set_price;
use serde_json::{Value, json};
use testkit::{Server, http_client, tenant};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A step of an agent that lasts 4 s, and a chat within it that begins after 1 s and lasts 2 s.
fn spans() -> Value {
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    let at = |seconds: u64| (1_773_136_800_000_000_000 + seconds * 1_000_000_000).to_string();
    let chat = [
        attribute("gen_ai.operation.name", json!({ "stringValue": "chat" })),
        attribute("gen_ai.provider.name", json!({ "stringValue": "p" })),
        attribute("gen_ai.request.model", json!({ "stringValue": "m" })),
        attribute("gen_ai.usage.input_tokens", json!({ "intValue": "5" })),
        attribute("gen_ai.usage.output_tokens", json!({ "intValue": "2000000" })),
    ];
    let spans = [
        json!({ "traceId": TRACE, "spanId": "b7ad6b7169203331", "name": "step", "kind": 1,
            "startTimeUnixNano": at(0), "endTimeUnixNano": at(4) }),
        json!({ "traceId": TRACE, "spanId": "b7ad6b7169203332", "parentSpanId": "b7ad6b7169203331", "name": "chat",
            "kind": 3, "startTimeUnixNano": at(1), "endTimeUnixNano": at(3), "attributes": chat }),
    ];
    let service = [attribute("service.name", json!({ "stringValue": "planner" }))];
    json!({ "resourceSpans": [{ "resource": { "attributes": service }, "scopeSpans": [{ "spans": spans }] }] })
}

/// A call that cost two dollars, one that timed out, and the trace. Returns the UUID of the second call.
async fn fill(server: &Server) -> String {
    set_price(server).await;
    let agent = command(server, "registerAgent", json!({ "name": "writer" }), "agent { id }").await["agent"].take();
    let call = json!({ "agentId": agent["id"], "provider": "p", "model": "m", "usage": { "output": 2_000_000 } });
    command(server, "reportCall", call, "position").await;
    let late = json!({ "kind": "TOOL", "tool": "search", "outcome": "TIMEOUT", "startedAt": "2026-01-01T00:00:00Z" });
    let late = command(server, "reportCall", late, "call { uuid }").await;
    let sent = http_client().post(format!("{}/v1/traces", server.address)).json(&spans()).send().await.unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
    // What is shown first is shown at once then.
    let head = server.graphql("{ head }", json!({})).await["head"].take();
    let query = "query ($position: Position) { calls(minPosition: $position) { nodes { id } } }";
    let shown = server.graphql(query, json!({ "position": head })).await;
    assert_eq!(shown["calls"]["nodes"].as_array().map(Vec::len), Some(3), "{shown}");
    late["call"]["uuid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_find_a_call_its_receipt_and_its_trace() {
    let installation = Installation::new().await;
    let server = installation.serve_open(&[]).await;
    let viewer = installation.key(tenant().as_str(), "viewer", &[]).await;
    let voided = fill(&server).await;
    let mut program = node("calls.mjs");
    program.args([server.address.as_str(), TRACE, &voided, &viewer]);
    let seen = drive(program, async |line| panic!("the browser's program says {line:?}")).await;

    for none in ["errors", "foreign", "violations", "sideways"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    for holds in ["receiptText", "reasonNeeded", "voided"] {
        assert_eq!(seen[holds], true, "{holds}: {seen}");
    }
    // The last one first.
    assert_eq!((&seen["rows"], &seen["timeouts"]), (&json!(["m", "m", "search"]), &json!(["search"])), "{seen}");
    // The lines, and the total.
    assert_eq!(seen["receipt"], json!(["2 USD", "2 USD"]), "{seen}");
    assert_eq!(seen["bars"], json!(["begins after 0 µs, takes 4.00 s", "begins after 1.00 s, takes 2.00 s"]), "{seen}");
    let spans: Vec<_> = seen["spans"].as_array().unwrap().iter().map(|span| span.as_str().unwrap().trim()).collect();
    assert!(spans[0].contains("step") && spans[1].contains("chat"), "{spans:?}");
    assert_eq!(seen["readerVoids"], 0);
    drop(server.terminate().await);
}
