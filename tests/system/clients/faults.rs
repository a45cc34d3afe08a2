//! What goes wrong between a client, the provider and Apex.

use super::programs::{LANGUAGES, Language, Program, run};
use super::proxy::{Mode, Proxy};
use super::{assert_charged, assert_not_overspent, budget, calls, serve, tag, tag_of};
use crate::reservations::{REPORT, define, period};
use chrono::{TimeDelta, Utc};
use commands::Context;
use domain::ReservationId;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{ProviderStub, ReservedPort, Server, TestDatabase, operator, wait_until};
use uuid::Uuid;

async fn reservations(database: &TestDatabase) -> i64 {
    let count = "select count(*) from apex.streams where category = 'reservation'";
    sqlx::query_scalar(count).fetch_one(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_replies_are_lost_reserves_and_is_charged_once() {
    let (database, server) = serve().await;
    for (number, language) in (1..).zip(LANGUAGES) {
        let (id, mut arguments) = budget(&server, language, "4.5").await;
        let command_id = Uuid::now_v7().to_string();
        arguments["commandId"] = command_id.as_str().into();
        let proxy = Proxy::start(&server.address, Mode::LoseEveryOther).await;
        let seen = run(language, &proxy.address, "retries", &arguments).await;
        let expected = json!({ "reservation": command_id, "settled": "0.5", "again": "SETTLED" });
        assert_eq!(seen, expected, "{language:?}");
        assert_eq!(proxy.requests(), 6, "reserved, settled and reserved again, each twice");
        assert_eq!(reservations(&database).await, number);
        assert_charged(&period(&server, &id).await, "0.5");
    }
    assert_not_overspent(&database).await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_settles_twice_is_charged_once() {
    let (database, server) = serve().await;
    for language in LANGUAGES {
        let (id, mut arguments) = budget(&server, language, "4.5").await;
        arguments["responseId"] = format!("chatcmpl-{}", Uuid::now_v7().simple()).into();
        let seen = run(language, &server.address, "settle_twice", &arguments).await;
        assert_eq!((&seen["costs"], &seen["code"]), (&json!(["0.5", "0.5"]), &json!("COMMAND_ID_REUSED")), "{seen}");
        // A call of its own, and one that the provider answered twice.
        assert_charged(&period(&server, &id).await, "1");
    }
    assert_not_overspent(&database).await;
    server.kill().await;
}

/// Starts a client that reserves and does nothing more, and kills it.
async fn killed(server: &Server, language: Language, arguments: &Value) -> Uuid {
    let mut client = Program::start(language, &server.address, "held", arguments);
    let reservation = client.line().await["reservation"].as_str().unwrap().parse().unwrap();
    client.kill().await;
    reservation
}

/// What it shows: the reservation of a client that is killed is held, another process finds it under the id that the client chose, and
/// once it expires, which takes 15 minutes of the clock and is done here as the timer does it, it is charged in full until it is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reservation_of_a_killed_client_is_found_again_or_charged() {
    let (database, server) = serve().await;
    for language in LANGUAGES {
        let (id, mut arguments) = budget(&server, language, "4.5").await;
        arguments["commandId"] = Uuid::now_v7().to_string().into();
        let reservation = killed(&server, language, &arguments).await;
        assert_eq!(period(&server, &id).await["reserved"], "1");
        let seen = run(language, &server.address, "resumed", &arguments).await;
        assert_eq!(seen, json!({ "reservation": reservation.to_string(), "settled": "0.5" }), "{language:?}");
        assert_charged(&period(&server, &id).await, "0.5");

        arguments["commandId"] = Uuid::now_v7().to_string().into();
        let lost = killed(&server, language, &arguments).await;
        let rooms = database.rooms().await;
        let (context, later) = (Context::new(operator(), Uuid::now_v7()), Utc::now() + TimeDelta::minutes(16));
        rooms.commands.expire_reservation(&context, ReservationId(lost), later).await.unwrap();
        rooms.close().await.unwrap();
        let expired = period(&server, &id).await;
        let found = ["charged", "reserved", "assumed", "left"].map(|name| expired[name].as_str().unwrap());
        assert_eq!(found, ["0.5", "0", "1", "3"], "{expired}");
        let report = json!({ "input": { "id": lost, "reservation": lost, "provider": "p", "model": "m",
            "tags": [{ "key": "client", "value": tag(language) }], "usage": { "output": 250_000 } } });
        let settled = server.graphql(REPORT, report).await;
        assert!(settled["reportCall"]["error"].is_null(), "{settled}");
        assert_charged(&period(&server, &id).await, "0.75");
    }
    assert_not_overspent(&database).await;
    server.kill().await;
}

/// LiteLLM's published failure: a request that is cancelled while it runs leaves its reservation behind, so that a budget refuses calls
/// that it has room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_calls_of_clients_are_charged_and_leave_nothing_reserved() {
    let (database, server) = serve().await;
    for language in LANGUAGES {
        let (id, mut arguments) = budget(&server, language, "4.5").await;
        arguments["calls"] = 8.into();
        assert_eq!(run(language, &server.address, "cancelled", &arguments).await, json!({ "cancelled": 8 }));
        // What they have used is not known: they are charged what was reserved.
        assert_charged(&period(&server, &id).await, "0.008");
    }
    let found = calls(&database, &server).await;
    assert_eq!(found.len(), 16, "{found:?}");
    assert!(found.iter().all(|call| call["outcome"] == "CANCELLED" && call["usageAssumed"] == true), "{found:?}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_cancelled_while_it_reserves_leaves_nothing_reserved() {
    let (_database, server) = serve().await;
    for language in LANGUAGES {
        let (id, arguments) = budget(&server, language, "4.5").await;
        let proxy = Proxy::start(&server.address, Mode::HoldReplies).await;
        let mut client = Program::start(language, &proxy.address, "cancelled_while_reserving", &arguments);
        assert_eq!(client.line().await, json!({ "asking": true }));
        wait_until("it is reserved", async || proxy.held() == 1).await;
        assert_eq!(period(&server, &id).await["reserved"], "1");
        client.go_on().await;
        assert_eq!(client.line().await, json!({ "cancelled": true }), "{language:?}");
        proxy.set(Mode::Forward);
        client.go_on().await;
        assert_eq!(client.line().await, json!({ "closed": true }));
        client.end().await;
        assert_charged(&period(&server, &id).await, "0");
    }
    server.kill().await;
}

/// LiteLLM's published failure: a call that fails after it was reserved is refunded although it cost something, or its reservation is
/// never given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_clients_that_fail_after_the_reservation_are_charged_if_they_may_have_cost_something() {
    let (database, server) = serve().await;
    let (provider, closed) = (ProviderStub::start().await, ReservedPort::of(20_000..32_000));
    for language in LANGUAGES {
        let (id, mut arguments) = budget(&server, language, "4.5").await;
        arguments["provider"] = provider.address.as_str().into();
        arguments["closed"] = format!("http://127.0.0.1:{}", closed.number()).into();
        let seen = run(language, &server.address, "failures", &arguments).await;
        let raised = json!({ "answered": true, "broken": true, "refused": true, "unsent": true, "unsettled": false,
                             "unmarked": false, "marked": false });
        assert_eq!(seen["raised"], raised, "{language:?}");
        let found = calls(&database, &server).await;
        let of = |kind: &str| {
            let call = found.iter().find(|call| {
                tag_of(call, "kind") == Some(kind) && tag_of(call, "client") == Some(tag(language).as_str())
            })?;
            Some((call["outcome"].as_str()?, call["usageAssumed"].as_bool()?, call["cost"].as_str()?))
        };
        assert_eq!(of("answered"), Some(("ERROR", false, "0")), "{found:?}");
        assert_eq!(of("broken"), Some(("ERROR", true, "0.001")), "{found:?}");
        assert_eq!(of("unsettled"), Some(("OK", true, "0.001")), "{found:?}");
        assert_eq!(of("marked"), Some(("OK", true, "0.001")), "{found:?}");
        for unsent in ["refused", "unsent", "unmarked"] {
            assert_eq!(of(unsent), None, "{found:?}");
        }
        assert_charged(&period(&server, &id).await, "0.003");
    }
    server.kill().await;
}

/// A client that Apex becomes unavailable to: whether its next call passes, and what is charged once Apex is back.
async fn becomes_unavailable(server: &Server, language: Language, enforcement: &str, fail_open: bool, passes: bool) {
    let tag = format!("{language:?} {enforcement} {fail_open}");
    let mut terms = super::terms(&tag, "4.5");
    terms["enforcement"] = enforcement.into();
    let id = define(server, terms).await;
    let proxy = Proxy::start(&server.address, Mode::Forward).await;
    let arguments = json!({ "tags": { "client": tag }, "failOpen": fail_open });
    let mut client = Program::start(language, &proxy.address, "unavailable", &arguments);
    assert_eq!(client.line().await, json!({ "ready": true }));
    proxy.set(Mode::Down);
    client.go_on().await;
    assert_eq!(client.line().await, json!({ "passed": passes }), "{tag}");
    proxy.set(Mode::Forward);
    client.go_on().await;
    client.line().await;
    client.end().await;
    // A call that was not reserved is charged by the policy.
    let charged = if passes { "0.500001" } else { "0.000001" };
    wait_until("the call is charged", async || period(server, &id).await["charged"] == charged).await;
    assert_charged(&period(server, &id).await, charged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_fail_open_only_under_soft_budgets_and_if_they_are_told_to() {
    let (_database, server) = serve().await;
    let cases = [("SOFT", true, true), ("HARD", true, false), ("SOFT", false, false)];
    let runs = LANGUAGES.into_iter().flat_map(|language| cases.map(|case| (language, case)));
    let runs = runs.map(async |(language, (enforcement, fail_open, passes))| {
        becomes_unavailable(&server, language, enforcement, fail_open, passes).await;
    });
    join_all(runs).await;
    server.kill().await;
}
