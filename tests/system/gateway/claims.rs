//! What clients say of the calls of the gateway: it adds to what the gateway knows, and lowers no charge.

use super::budgets::terms;
use super::{Upstream, assert_equals_stub, chat, post, settled};
use crate::identities::{Installation, Possessions};
use crate::reservations::{REPORT, audit, audited, define, period};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase, wait_until};
use uuid::Uuid;

/// Reports the response of a call with an earlier start, a cheaper tier and next to no usage, and returns the error.
async fn claim(server: &Server, response: &Value, more: &Value) -> Value {
    let report = json!({ "provider": "openai", "model": "m", "responseId": response, "commandId": Uuid::now_v7(),
        "startedAt": "2021-01-01T00:00:00Z", "serviceTier": "flex", "team": "ads", "usage": { "output": 1 } });
    let mut reported = server.graphql(REPORT, json!({ "input": crate::otlp::with(report, more) })).await;
    reported["reportCall"]["error"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_a_client_does_not_lower_what_the_gateway_metered_or_assumed() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let id = define(&server, terms("1")).await;
    let answered = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    let response = answered.json::<Value>().await.unwrap()["id"].take();
    assert_equals_stub(&settled(&database, &server, 1).await, &upstream.stub);
    for source in ["api", "responses", "claude-code"] {
        assert_eq!(claim(&server, &response, &json!({ "source": source })).await, Value::Null);
    }
    let refused = claim(&server, &response, &json!({ "source": "gateway" })).await;
    assert!(refused["message"].as_str().unwrap().contains("source"), "{refused}");
    assert_equals_stub(&settled(&database, &server, 1).await, &upstream.stub);
    // A client that hung up does not say what its call used.
    let open = chat(&json!({ "user": "hold stream", "stream": true }));
    let mut stream = post(&server, "openai/v1/chat/completions", &open).send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let event: Value = serde_json::from_str(first.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    drop(stream);
    settled(&database, &server, 2).await;
    let charged = period(&server, &id).await["charged"].clone();
    assert_eq!(claim(&server, &event["id"], &json!({})).await, Value::Null);
    let found = settled(&database, &server, 2).await;
    let assumed = found.iter().find(|call| call["outcome"] == "CANCELLED").unwrap();
    assert_eq!((&assumed["usageAssumed"], &assumed["usage"]["output"]), (&json!(true), &json!(100)));
    // One report for both would make one call of two.
    let span = json!({ "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331" });
    assert_eq!(claim(&server, &response, &json!({ "span": span })).await, Value::Null);
    let tied = claim(&server, &event["id"], &json!({ "span": span })).await;
    assert_eq!(tied["code"], "PASSED_ON_APART");
    settled(&database, &server, 2).await;
    assert_eq!(audit(&audited(&database).await).1, []);
    let after = period(&server, &id).await;
    assert_eq!((&after["charged"], &after["reserved"]), (&charged, &json!("0")), "{after}");
    server.terminate().await;
}

/// A client knows the id of a response from its first event, and corrects what it reports of it before the call is settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_before_a_call_is_settled_lowers_no_charge() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let id = define(&server, terms("1")).await;
    let open = chat(&json!({ "user": "hold stream", "stream": true }));
    let mut stream = post(&server, "openai/v1/chat/completions", &open).send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let event: Value = serde_json::from_str(first.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(claim(&server, &event["id"], &json!({ "usage": { "output": 9 } })).await, Value::Null);
    settled(&database, &server, 1).await;
    let found = server.graphql("{ calls(first: 1) { nodes { id } } }", json!({})).await;
    let less =
        json!({ "id": found["calls"]["nodes"][0]["id"], "reason": "less", "values": { "usage": { "output": 1 } } });
    let corrected = crate::graphql::command(&server, "correctCall", less, "outcome error { message }").await;
    assert_eq!(corrected["outcome"], "DONE", "{corrected}");
    let reserved: Decimal = period(&server, &id).await["reserved"].as_str().unwrap().parse().unwrap();
    assert!(reserved > Decimal::ZERO);
    drop(stream);
    let found = settled(&database, &server, 2).await;
    let assumed = found.iter().find(|call| call["outcome"] == "CANCELLED").unwrap();
    assert_eq!((&assumed["usageAssumed"], &assumed["usage"]["output"]), (&json!(true), &json!(100)));
    let after = period(&server, &id).await;
    let charged: Decimal = after["charged"].as_str().unwrap().parse().unwrap();
    assert!(after["reserved"] == "0" && charged >= reserved, "{after}");
    assert_eq!(audit(&audited(&database).await).1, []);
    server.terminate().await;
}

/// Who may report calls may correct those that it reported, and not what the gateway charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_does_not_correct_or_void_a_call_of_the_gateway() {
    let (installation, upstream) = (Installation::new().await, Upstream::new().await);
    let config = upstream.config();
    let server = installation.serve(&["--gateway-config", config.to_str().unwrap()]).await;
    let tenant = testkit::tenant().to_string();
    let admin = installation.key(&tenant, "admin", &[]).await;
    let own = Possessions::create(&server, &admin).await.0.agent.to_string();
    let key = installation.key(&tenant, "agent", &["--agent", &own]).await;
    let send = async |key: &str, query: &str, variables: &Value| {
        let request = testkit::http_client().post(format!("{}/graphql", server.address)).bearer_auth(key);
        testkit::send_until_checked(request.json(&json!({ "query": query, "variables": variables }))).await.json()
    };
    let request = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).bearer_auth(&key);
    assert_eq!(testkit::send_until_checked(request).await.status, StatusCode::OK);
    let mut call = Value::Null;
    wait_until("the call is recorded", async || {
        let found = send(&admin, "{ calls(first: 1) { nodes { id } } }", &json!({})).await;
        call = found["data"]["calls"]["nodes"][0]["id"].clone();
        call.is_string()
    })
    .await;
    let correct =
        "mutation ($input: CorrectCallInput!) { correctCall(input: $input) { outcome error { code message } } }";
    let void = "mutation ($input: VoidCallInput!) { voidCall(input: $input) { outcome error { code message } } }";
    let input = |more: Value| {
        let input = json!({ "id": call, "reason": "cheaper", "commandId": Uuid::now_v7() });
        json!({ "input": crate::otlp::with(input, &more) })
    };
    let less = json!({ "values": { "usage": { "output": 1 } } });
    for (query, more) in [(correct, less.clone()), (void, json!({}))] {
        let refused = send(&key, query, &input(more)).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
    }
    let corrected = send(&admin, correct, &input(less)).await;
    assert_eq!(corrected["data"]["correctCall"]["outcome"], "DONE", "{corrected}");
    server.kill().await;
}
