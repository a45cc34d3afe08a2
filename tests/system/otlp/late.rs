//! What comes in a later request than the calls: the names of outer spans, and the end of an import that is taken back.

use super::{chat, export, of_agent, report, span, total};
use reqwest::Client;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

const AGENT: &str = "00000000000000a1";
const CHAIN: &str = "00000000000000a2";

/// An agent with a chain, in which two calls were made, and a call beside it.
fn spans() -> [Value; 5] {
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
async fn post(server: &Server, body: &Value) -> String {
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

async fn take_back(server: &Server, id: &str) -> Value {
    let input = json!({ "importId": id, "reason": "a test run" });
    let select = "error { code } reversed kept agents isComplete";
    let payload = crate::graphql::command(server, "takeBackImport", input, select).await;
    assert_eq!(payload["isComplete"], true, "{payload}");
    payload
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_taken_back_leaves_what_the_others_reported() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let summary = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.response.model": "gpt-4o",
                          "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 30 });
    let outer = export("service", &[span(CHAIN, "", &summary)]);
    let outer_id = post(&server, &outer).await;
    let before = total(&database, &server).await;
    assert_eq!((before.0, before.1), (1, 300), "without a call inside, the summary is all that is known");
    let inner = export("service", &spans()[..2]);
    let inner_id = post(&server, &inner).await;
    assert_eq!(post(&server, &inner).await, inner_id, "a retry is the same import");
    assert_ne!(outer_id, inner_id);
    let both = total(&database, &server).await;
    assert_eq!((both.0, both.1), (2, 300), "the summary repeats the calls");
    let taken = take_back(&server, &inner_id).await;
    assert_eq!(
        (taken["reversed"].as_array().unwrap().len(), taken["kept"].as_array().unwrap().len()),
        (2, 0),
        "{taken}"
    );
    assert_eq!(total(&database, &server).await, before, "the summary is charged again");
    // The same content is the same import, and may be sent again.
    assert_eq!(post(&server, &inner).await, inner_id);
    assert_eq!(total(&database, &server).await, both);
    for id in [&outer_id, &inner_id] {
        take_back(&server, id).await;
    }
    assert_eq!(total(&database, &server).await.0, 0);
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_may_give_its_requests_an_id() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let id = uuid::Uuid::now_v7().to_string();
    for part in [&spans()[..1], &spans()[1..3]] {
        let request = Client::new().post(format!("{}/v1/traces", server.address));
        let request = request.header("content-type", "application/json").header("x-correlation-id", &id);
        let response = request.body(export("service", part).to_string()).send().await.unwrap();
        assert_eq!(response.headers()["x-correlation-id"], id.as_str());
    }
    assert_eq!(total(&database, &server).await.0, 3);
    let taken = take_back(&server, &id).await;
    assert_eq!(taken["reversed"].as_array().unwrap().len(), 3);
    assert_eq!(taken["agents"].as_array().unwrap().len(), 1, "the service");
    assert_eq!(total(&database, &server).await.0, 0);
}
