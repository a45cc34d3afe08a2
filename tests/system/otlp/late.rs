//! What comes in a later request than the calls: the names of outer spans.

use super::{chat, export, of_agent, report, span};
use reqwest::Client;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

pub(super) const AGENT: &str = "00000000000000a1";
pub(super) const CHAIN: &str = "00000000000000a2";

/// An agent with a chain, in which two calls were made, and a call beside it.
pub(super) fn spans() -> [Value; 5] {
    let agent = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "user.id": "ada",
                        "gen_ai.conversation.id": "c-1" });
    let chain = json!({ "openinference.span.kind": "CHAIN" });
    [
        span("00000000000000b1", CHAIN, &chat("gpt-4o", 100, 10)),
        span("00000000000000b2", CHAIN, &chat("gpt-4o", 200, 20)),
        span("00000000000000b3", "", &chat("gpt-4o", 400, 40)),
        span(CHAIN, AGENT, &chain),
        span(AGENT, "", &agent),
    ]
}

/// Posts spans as JSON, and returns the id of the import.
pub(super) async fn post(server: &Server, body: &Value) -> String {
    let request =
        Client::new().post(format!("{}/v1/traces", server.address)).header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.headers()["x-correlation-id"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_of_a_call_is_the_same_in_whatever_requests_its_spans_come() {
    let mut found = Vec::new();
    let orders: [&[&[usize]]; 5] = [
        &[&[0, 1, 2, 3, 4]],
        &[&[0, 1, 2], &[3], &[4]],
        &[&[0], &[1, 3], &[4, 2]],
        &[&[4], &[3], &[2, 1, 0]],
        &[&[4, 0], &[3, 1, 2]],
    ];
    for service in ["service", "unknown_service"] {
        for order in orders {
            let database = TestDatabase::new().await;
            let server = database.serve(&[]).await;
            let spans = spans();
            for request in order {
                let spans: Vec<_> = request.iter().map(|at| spans[*at].clone()).collect();
                post(&server, &export(service, &spans)).await;
            }
            let report = report(&database, &server, &["AGENT"]).await;
            let planner = of_agent(&report, "planner").unwrap_or_else(|| panic!("{order:?}: {report}"));
            assert_eq!((planner.0, planner.1, planner.2), (2, 300, 30), "{order:?}");
            assert_eq!(of_agent(&report, "service").map(|totals| totals.0), (service == "service").then_some(1));
            let calls: Vec<(String, Option<String>, Option<String>)> =
                sqlx::query_as("select span_id, user_id, conversation from apex.calls order by span_id")
                    .fetch_all(&database.pool)
                    .await
                    .unwrap();
            assert_eq!(calls[0].1.as_deref(), Some("ada"), "{order:?}");
            // Sent again, nothing is new.
            let head = database.head().await;
            for request in order {
                let spans: Vec<_> = request.iter().map(|at| spans[*at].clone()).collect();
                post(&server, &export(service, &spans)).await;
            }
            assert_eq!(database.head().await, head, "{order:?}");
            database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
            found.push((service, calls, report));
        }
    }
    for (service, calls, report) in &found {
        let (_, first_calls, first) = found.iter().find(|(other, ..)| other == service).unwrap();
        assert_eq!(calls, first_calls);
        assert_eq!(report["nodes"].as_array().unwrap().len(), first["nodes"].as_array().unwrap().len());
    }
}

/// A span that names an agent, without a start.
fn without_start(mut span: Value) -> Value {
    span.as_object_mut().unwrap().remove("startTimeUnixNano");
    span
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_a_span_names_is_registered_or_not_named() {
    let planner = json!({ "gen_ai.agent.name": "planner" });
    let call = || span("00000000000000b1", AGENT, &chat("gpt-4o", 100, 10));
    // It states usage, but no model.
    let usage =
        json!({ "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5, "gen_ai.agent.name": "planner" });
    let link = || span(AGENT, "", &planner);
    let cases = [
        (vec![span(AGENT, "", &usage)], "planner"),
        (vec![link()], "planner"),
        // Nothing says since when the agent exists, unless another span of the request does.
        (vec![without_start(link())], "service"),
        (vec![without_start(link()), call()], "planner"),
    ];
    for (spans, expected) in cases {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        post(&server, &export("service", &spans)).await;
        post(&server, &export("service", &[call()])).await;
        let report = report(&database, &server, &["AGENT"]).await;
        assert_eq!(of_agent(&report, expected).map(|totals| totals.0), Some(1), "{spans:?}: {report}");
    }
}
