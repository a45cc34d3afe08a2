//! LiteLLM with the callback of the package for Python, against a stub of a provider.

use super::programs::Program;
use super::{assert_charged, assert_not_overspent, calls, tag_of, terms};
use crate::reservations::{define, period};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::{ProviderStub, ReservedPort, Server, TestDatabase, wait_until};

const CALLS: usize = 32;

/// A server with a price of the provider that LiteLLM names, and a stub of it.
async fn serve() -> (TestDatabase, Server, ProviderStub) {
    let (database, provider) = (TestDatabase::new().await, ProviderStub::start().await);
    let server = database.serve(&[]).await;
    let price = json!({ "provider": "openai", "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z",
                        "components": [{ "meter": "OUTPUT", "rate": "1" }, { "meter": "INPUT", "rate": "1" }] });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome error { message } } }";
    let set = server.graphql(set, json!({ "input": { "source": "test", "prices": [price] } })).await;
    assert_eq!(set["setPrices"]["outcome"], "DONE", "{set}");
    (database, server, provider)
}

fn arguments(provider: &ProviderStub, tag: &str, calls: usize) -> Value {
    json!({ "tags": { "client": tag }, "provider": provider.address, "calls": calls })
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// The most that a call may cost, which a budget says by what is reserved while the call is held.
async fn bound(server: &Server, provider: &ProviderStub) -> Decimal {
    let id = define(server, terms("bound", "100")).await;
    let mut given = arguments(provider, "bound", 1);
    given["fit"] = 1.into();
    let mut calls = Program::start_litellm(&server.address, "race", &given);
    assert_eq!(calls.line().await, json!({ "held": 1 }));
    wait_until("the call is held", async || provider.requests().len() == 1).await;
    let reserved = decimal(&period(server, &id).await["reserved"]);
    calls.go_on().await;
    provider.release();
    assert_eq!(calls.line().await, json!({ "granted": 1, "refused": 0 }));
    calls.end().await;
    assert_charged(&period(server, &id).await, "0.00007");
    reserved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_litellm_that_race_for_a_hard_budget_overspend_nothing() {
    let (database, server, provider) = serve().await;
    let bound = bound(&server, &provider).await;
    // Enough for five, and not for six.
    let limit = bound * Decimal::from(5) + bound / Decimal::from(2);
    let id = define(&server, terms("race", &limit.normalize().to_string())).await;
    let mut given = arguments(&provider, "race", CALLS);
    given["fit"] = 5.into();
    let mut racing = Program::start_litellm(&server.address, "race", &given);
    assert_eq!(racing.line().await, json!({ "held": 5 }));
    wait_until("the others are held", async || provider.requests().len() == 6).await;
    assert_eq!(decimal(&period(&server, &id).await["reserved"]), bound * Decimal::from(5));
    racing.go_on().await;
    provider.release();
    assert_eq!(racing.line().await, json!({ "granted": 5, "refused": CALLS - 5 }));
    racing.end().await;
    assert_eq!(provider.requests().len(), 6, "what is refused is not sent");
    assert_charged(&period(&server, &id).await, "0.00035");
    assert_not_overspent(&database).await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_litellm_that_are_cancelled_are_charged_and_leave_nothing_reserved() {
    let (database, server, provider) = serve().await;
    let id = define(&server, terms("cancelled", "1")).await;
    let given = arguments(&provider, "cancelled", 8);
    let mut cancelled = Program::start_litellm(&server.address, "cancelled", &given);
    assert_eq!(cancelled.line().await, json!({ "held": true }));
    wait_until("the calls are held", async || provider.requests().len() == 8).await;
    let reserved = period(&server, &id).await["reserved"].as_str().unwrap().to_owned();
    cancelled.go_on().await;
    assert_eq!(cancelled.line().await, json!({ "cancelled": 8 }));
    cancelled.end().await;
    assert_charged(&period(&server, &id).await, &reserved);
    let found = calls(&database, &server).await;
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|call| call["outcome"] == "CANCELLED" && call["usageAssumed"] == true), "{found:?}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_litellm_that_fail_are_charged_if_they_may_have_cost_something() {
    let (database, server, provider) = serve().await;
    let closed = ReservedPort::of(20_000..32_000);
    let id = define(&server, terms("failures", "1")).await;
    let mut given = arguments(&provider, "failures", 1);
    given["closed"] = format!("http://127.0.0.1:{}/v1", closed.number()).into();
    let mut failing = Program::start_litellm(&server.address, "failures", &given);
    let seen = failing.line().await;
    failing.end().await;
    let names = [("ok", "Sunny."), ("streamed", "Sunny."), ("stream", "MidStreamFallbackError"), ("slow", "Timeout")];
    for (kind, name) in names {
        assert_eq!(seen[kind], name, "{seen}");
    }
    let expected = [
        ("ok", "OK", false),
        ("streamed", "OK", false),
        ("status", "ERROR", false),
        ("broken", "ERROR", true),
        ("stream", "ERROR", true),
        ("slow", "TIMEOUT", true),
        ("abandoned", "CANCELLED", true),
    ];
    let found = calls(&database, &server).await;
    assert_eq!(found.len(), expected.len(), "a call that no provider received is none: {found:?}");
    let mut sum = Decimal::ZERO;
    for (kind, outcome, is_assumed) in expected {
        let call = found.iter().find(|call| tag_of(call, "kind") == Some(kind)).unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!((&call["outcome"], &call["usageAssumed"]), (&json!(outcome), &json!(is_assumed)), "{call}");
        let cost = decimal(&call["cost"]);
        match kind {
            "ok" | "streamed" => assert_eq!(call["cost"], "0.00007", "what the provider stated"),
            "status" => assert_eq!(call["cost"], "0"),
            _ => assert!(cost > Decimal::new(1, 3), "at least the output limit: {call}"),
        }
        sum += cost;
    }
    assert_charged(&period(&server, &id).await, &sum.normalize().to_string());
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_takes_no_deployment_of_litellm_out_of_service_and_each_attempt_is_a_call() {
    let (database, server, provider) = serve().await;
    let id = define(&server, terms("router", "1")).await;
    let closed = ReservedPort::of(20_000..32_000);
    let mut given = arguments(&provider, "router", 1);
    given["closed"] = format!("http://127.0.0.1:{}/v1", closed.number()).into();
    let mut routed = Program::start_litellm(&server.address, "router", &given);
    let seen = routed.line().await;
    routed.end().await;
    let refused = json!(["BudgetExceeded", "BudgetExceeded", "BudgetExceeded", "BudgetExceeded"]);
    assert_eq!((&seen["refused"], &seen["served"]), (&refused, &json!("Sunny.")), "{seen}");
    let failed = json!("InternalServerError");
    assert_eq!((&seen["retried"], &seen["fallen"]), (&failed, &failed), "{seen}");
    // One that was served, an attempt that was repeated twice, and one after an attempt that did not reach its provider.
    assert_eq!(provider.requests().len(), 5);
    let found = calls(&database, &server).await;
    let of = |kind: &str| found.iter().filter(|call| tag_of(call, "kind") == Some(kind)).collect::<Vec<_>>();
    let counts = ["served", "retried", "fallen"].map(|kind| of(kind).len());
    assert_eq!((found.len(), counts), (5, [1, 3, 1]), "{found:?}");
    // What it has used is not known, whatever became known of the attempt before.
    let fallen = of("fallen")[0];
    assert_eq!((&fallen["outcome"], &fallen["usageAssumed"]), (&json!("ERROR"), &json!(true)), "{fallen}");
    let charged = (decimal(&fallen["cost"]) + Decimal::new(7, 5)).normalize().to_string();
    assert_charged(&period(&server, &id).await, &charged);
    server.kill().await;
}
