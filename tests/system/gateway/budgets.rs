//! Budgets at the gateway: what it refuses, grants in part, and never overspends.

use super::{Upstream, assert_equals_stub, chat, message, post, settled};
use crate::reservations::{audit, audited, define, period};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::{TestDatabase, wait_until};

const CLIENTS: usize = 64;

pub(super) fn terms(limit: &str) -> Value {
    json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "TOTAL" })
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// The most that a chat may cost, which a budget of all time says by what is reserved while the chat is held.
async fn bound(database: &TestDatabase, upstream: &Upstream, body: &Value) -> Decimal {
    let server = upstream.serve(database).await;
    let mut soft = terms("1");
    soft["enforcement"] = "SOFT".into();
    let id = define(&server, soft).await;
    let open = tokio::spawn(post(&server, "openai/v1/chat/completions", body).send());
    wait_until("the call is held", async || upstream.stub.requests().len() == 1).await;
    let reserved = decimal(&period(&server, &id).await["reserved"]);
    upstream.stub.release();
    open.await.unwrap().unwrap();
    server.kill().await;
    reserved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_race_for_the_rest_of_a_hard_budget_overspend_nothing() {
    let held = chat(&json!({ "user": "hold", "max_tokens": 50 }));
    let bound = bound(&TestDatabase::new().await, &Upstream::new().await, &held).await;
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    // Enough for five, and not for six.
    let limit = bound * Decimal::from(5) + bound / Decimal::from(2);
    let id = define(&server, terms(&limit.normalize().to_string())).await;
    let clients = (0..CLIENTS).map(|_| tokio::spawn(post(&server, "openai/v1/chat/completions", &held).send()));
    let clients: Vec<_> = clients.collect();
    wait_until("all others are refused", async || {
        clients.iter().filter(|client| client.is_finished()).count() == CLIENTS - 5
    })
    .await;
    let open = period(&server, &id).await;
    assert_eq!(decimal(&open["reserved"]), bound * Decimal::from(5), "{open}");
    upstream.stub.release();
    let mut granted = 0;
    for client in clients {
        let answered = client.await.unwrap().unwrap();
        if answered.status() == StatusCode::OK {
            granted += 1;
            continue;
        }
        assert_eq!(answered.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(answered.headers()["x-should-retry"], "false");
        let error = answered.json::<Value>().await.unwrap()["error"].take();
        assert_eq!((&error["type"], &error["code"]), (&json!("insufficient_quota"), &json!("budget_exceeded")));
        assert_eq!(decimal(&error["budget"]["left"]), bound / Decimal::from(2), "{error}");
    }
    assert_eq!((granted, upstream.stub.requests().len()), (5, 5), "what is refused is not passed on");
    let found = settled(&database, &server, 5).await;
    assert_equals_stub(&found, &upstream.stub);
    let after = period(&server, &id).await;
    assert_eq!((decimal(&after["charged"]), decimal(&after["reserved"])), (Decimal::new(350, 6), Decimal::ZERO));
    assert_eq!(audit(&audited(&database).await).1, []);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_has_the_form_of_the_provider_and_says_when_the_budget_renews() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let mut yearly = terms("0.0001");
    yearly["period"] = "YEAR".into();
    define(&server, yearly).await;
    let refused = post(&server, "anthropic/v1/messages", &message(&json!({}))).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds > 0 && seconds <= 366 * 86_400, "{seconds}");
    assert_eq!(refused.headers()["x-apex-budget-left"], "0.0001");
    let body: Value = refused.json().await.unwrap();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("rate_limit_error")), "{body}");
    // A model without a price, and a tag that is not declared.
    let unpriced = json!({ "model": "unknown", "messages": [] });
    let refused = post(&server, "openai/v1/chat/completions", &unpriced).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "budget_unpriced");
    let mut tagged = terms("1");
    tagged["scope"] = json!({ "conditions": [{ "dimension": "tag:project", "value": "x" }] });
    define(&server, tagged).await;
    let undeclared = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    let status = undeclared.status();
    let code = undeclared.json::<Value>().await.unwrap()["error"]["code"].take();
    // Of several budgets that refuse, either may be named.
    assert!((status, code.as_str()) == (StatusCode::BAD_REQUEST, Some("budget_undeclared")), "{status} {code}");
    assert!(upstream.stub.requests().is_empty());
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_granted_where_the_request_allows_it_and_limits_the_output() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", "[limits]\nmin_output_tokens = 5").await);
    let server = upstream.serve(&database).await;
    // As much as a chat has at least, and 20 tokens: its body has less than 100 bytes.
    let body = chat(&json!({}));
    let input = u64::try_from(body.to_string().len()).unwrap() + 1024;
    let limit = Decimal::new(i64::try_from(input + 20).unwrap(), 6);
    define(&server, terms(&limit.to_string())).await;
    let own = chat(&json!({ "max_tokens": 90 }));
    let refused = post(&server, "openai/v1/chat/completions", &own).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "it has a limit of its own");
    let granted = post(&server, "openai/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(granted.status(), StatusCode::OK);
    let granted: Value = granted.json().await.unwrap();
    assert_eq!(granted["usage"]["completion_tokens"], 20);
    let passed = upstream.stub.requests().pop().unwrap();
    assert_eq!(passed.body["max_completion_tokens"], 20, "{passed:?}");
    assert_equals_stub(&settled(&database, &server, 1).await, &upstream.stub);
    server.kill().await;
}

/// Tokens that are read from the cache are counted as input before it is known which are: a budget of them reserves all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_budget_of_cached_tokens_is_not_overspent() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let mut cached = terms("5");
    cached["measure"] = json!({ "meter": "CACHE_READ" });
    let id = define(&server, cached).await;
    let refused = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(refused.headers()["x-apex-budget-left"], "5");
    assert!(upstream.stub.requests().is_empty(), "ten would have been read");
    let after = period(&server, &id).await;
    assert_eq!((&after["charged"], &after["reserved"]), (&json!("0"), &json!("0")), "{after}");
    server.kill().await;
}

/// Without a hard budget the output has no limit: a stream that goes beyond what was reserved for it reserves more while it runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_beyond_its_reservation_extends_it_unless_its_output_has_a_limit() {
    for (enforcement, own_limit, output) in [("SOFT", None, 234), ("SOFT", Some(50), 50), ("HARD", None, 100)] {
        let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
        let server = upstream.serve(&database).await;
        let mut budget = terms("1000");
        budget["enforcement"] = enforcement.into();
        let id = define(&server, budget).await;
        let mut body = chat(&json!({ "user": "hold many", "stream": true }));
        if let Some(limit) = own_limit {
            body["max_tokens"] = limit.into();
        }
        let mut stream = post(&server, "openai/v1/chat/completions", &body).send().await.unwrap();
        let mut text = String::new();
        while text.matches("content").count() < 200 {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
        }
        // 117 events are more than the 100 tokens that were reserved, and those that may be empty.
        let units = i64::try_from(body.to_string().len()).unwrap() + 1024 + output;
        let reserved = async || decimal(&period(&server, &id).await["reserved"]);
        wait_until("the reservation is extended", async || reserved().await == Decimal::new(units, 6)).await;
        upstream.stub.release();
        while stream.chunk().await.unwrap().is_some() {}
        assert_equals_stub(&settled(&database, &server, 1).await, &upstream.stub);
        assert_eq!(reserved().await, Decimal::ZERO);
        assert_eq!(audit(&audited(&database).await).1, []);
        server.kill().await;
    }
}

/// A refusal names the cheaper model of the settings only if a call of it would fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_a_cheaper_model_that_would_fit() {
    let settings = "cheaper = 'small'";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", settings).await);
    let server = upstream.serve(&database).await;
    let price = json!({ "provider": "openai", "model": "small", "effectiveFrom": "2020-01-01T00:00:00Z",
                        "components": [{ "meter": "OUTPUT", "rate": "0.1" }, { "meter": "INPUT", "rate": "0.1" }] });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(set, json!({ "input": { "source": "test", "prices": [price] } })).await;
    let body = chat(&json!({ "max_tokens": 90 }));
    // Neither fits; the cheaper one does; and a budget of the model does not count it.
    let mut of_model = terms("0.00000001");
    of_model["scope"] = json!({ "conditions": [{ "dimension": "model", "value": "m" }] });
    for (terms, named) in [(terms("0.0001"), None), (terms("0.0005"), Some("small")), (of_model, Some("small"))] {
        let id = define(&server, terms).await;
        let refused = post(&server, "openai/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
        let header = refused.headers().get("x-apex-cheaper-model").map(|name| name.to_str().unwrap().to_owned());
        let error = refused.json::<Value>().await.unwrap()["error"].take();
        assert_eq!((header.as_deref(), error["cheaper_model"].as_str()), (named, named), "{error}");
        if named.is_some() && error["budget"]["left"] == "0.0005" {
            let small = crate::otlp::with(body.clone(), &json!({ "model": "small" }));
            let granted = post(&server, "openai/v1/chat/completions", &small).send().await.unwrap();
            assert_eq!(granted.status(), StatusCode::OK);
        }
        let suspended = json!({ "id": id, "reason": "done" });
        let answer = crate::graphql::command(&server, "suspendBudget", suspended, "outcome error { message }").await;
        assert_eq!(answer["outcome"], "DONE", "{answer}");
    }
    server.kill().await;
}

/// What follows a refusal is a policy of the budget at the gateway, too: a cheaper model, and an approval by which the call passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_says_what_follows_its_refusal_at_the_gateway() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let price = json!({ "provider": "openai", "model": "small", "effectiveFrom": "2020-01-01T00:00:00Z",
                        "components": [{ "meter": "OUTPUT", "rate": "0.1" }, { "meter": "INPUT", "rate": "0.1" }] });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(set, json!({ "input": { "source": "test", "prices": [price] } })).await;
    let body = chat(&json!({ "max_tokens": 90 }));
    let refused = async |follows: &str| {
        let refused = post(&server, "openai/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
        let header = refused.headers().get(follows).map(|value| value.to_str().unwrap().to_owned());
        (header, refused.json::<Value>().await.unwrap()["error"].take())
    };
    let mut degrading = terms("0.0005");
    degrading["onRefusal"] = json!({ "degrade": ["unknown", "small"] });
    let id = define(&server, degrading).await;
    let (header, error) = refused("x-apex-cheaper-model").await;
    assert_eq!((header.as_deref(), &error["cheaper_model"]), (Some("small"), &json!("small")), "{error}");
    let named = &error["budget"]["follow_up"]["degrade"];
    assert_eq!(named["model"], "small", "{error}");
    assert!(decimal(&named["amount"]) > Decimal::ZERO && decimal(&named["amount"]) <= Decimal::new(5, 4), "{error}");
    let suspend = json!({ "id": id, "reason": "done" });
    let answer = crate::graphql::command(&server, "suspendBudget", suspend, "outcome error { message }").await;
    assert_eq!(answer["outcome"], "DONE", "{answer}");

    let mut asking = terms("0.0001");
    asking["onRefusal"] = json!({ "askForApproval": 30 });
    let id = define(&server, asking).await;
    let (header, error) = refused("x-apex-approval").await;
    let approval = header.unwrap_or_else(|| panic!("{error}"));
    assert_eq!(error["budget"]["follow_up"]["approval"]["approval_id"], *approval, "{error}");
    assert!(error["message"].as_str().unwrap().contains(&approval), "{error}");
    let answer = json!({ "approvalId": approval, "answer": "APPROVE", "reason": "once" });
    let answer = crate::graphql::command(&server, "answerApproval", answer, "outcome error { message }").await;
    assert_eq!(answer["outcome"], "DONE", "{answer}");
    let granted = post(&server, "openai/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(granted.status(), StatusCode::OK);
    let limit = decimal(&period(&server, &id).await["limit"]);
    assert!(limit > Decimal::new(1, 4), "{limit}");
    assert_eq!(audit(&audited(&database).await).1, []);
    server.kill().await;
}
