//! What goes wrong: providers, clients, the database, and the gateway itself.

use super::budgets::terms;
use super::{Upstream, assert_equals_stub, calls, chat, message, post, set_prices, settled};
use crate::reservations::{REPORT, audit, audited, define, period};
use chrono::{TimeDelta, Utc};
use commands::Context;
use domain::ReservationId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{TestDatabase, operator, wait_until};
use uuid::Uuid;

/// A budget that counts and refuses nothing in these tests.
fn large() -> Value {
    terms("1000")
}

fn of_user(user: &str) -> Value {
    chat(&json!({ "user": user }))
}

fn streamed(user: &str) -> Value {
    chat(&json!({ "user": user, "stream": true }))
}

/// Each fault, with the status that the client gets, how the call ends, and whether it is charged what was reserved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upstream_does_wrong_is_passed_on_and_charged_only_if_it_may_have_cost_something() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let id = define(&server, large()).await;
    let faults = [
        (of_user("status 429"), StatusCode::TOO_MANY_REQUESTS, "ERROR", false),
        // A client that followed it would present its credential there.
        (of_user("status 307"), StatusCode::BAD_GATEWAY, "ERROR", false),
        (of_user("status 500"), StatusCode::INTERNAL_SERVER_ERROR, "ERROR", false),
        (streamed("status 529"), StatusCode::from_u16(529).unwrap(), "ERROR", false),
        (of_user("break"), StatusCode::BAD_GATEWAY, "ERROR", true),
        (of_user("no usage"), StatusCode::OK, "OK", true),
        (streamed("break stream"), StatusCode::OK, "ERROR", true),
    ];
    for (index, (body, status, outcome, is_assumed)) in faults.iter().enumerate() {
        let answered = post(&server, "openai/v1/chat/completions", body).send().await.unwrap();
        assert_eq!(answered.status(), *status, "{body}");
        let read = answered.text().await;
        // A stream that is broken off does not look like a whole one.
        assert_eq!(read.is_err(), body["user"] == "break stream", "{read:?}");
        if let Ok(text) = read
            && body["user"].as_str().unwrap().starts_with("status")
            && *status != StatusCode::BAD_GATEWAY
        {
            assert!(text.contains("secret prompt"), "the client gets the error as it is: {text}");
        }
        let found = settled(&database, &server, index + 1).await;
        let with = |outcome: &str, is_assumed: bool| {
            let is_so = |call: &&Value| call["outcome"] == outcome && call["usageAssumed"] == is_assumed;
            found.iter().filter(is_so).count()
        };
        let so_far = faults[..=index].iter().filter(|fault| fault.2 == *outcome && fault.3 == *is_assumed).count();
        assert_eq!(with(outcome, *is_assumed), so_far, "{body}: {found:?}");
    }
    let found = calls(&database, &server).await;
    assert!(!format!("{found:?}").contains("secret"), "messages of errors are not kept");
    let free = found.iter().filter(|call| call["usageAssumed"] == false);
    assert!(free.clone().count() == 4 && free.clone().all(|call| call["cost"] == "0"), "{found:?}");
    let after = period(&server, &id).await;
    assert_eq!((&after["reserved"], &after["excess"]), (&json!("0"), &json!("0")), "{after}");
    // An upstream that is not there costs nothing, and is no call.
    let closed = post(&server, "closed/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::BAD_GATEWAY);
    wait_until("it is released", async || period(&server, &id).await["reserved"] == "0").await;
    assert_eq!(calls(&database, &server).await.len(), faults.len());
    assert_eq!(audit(&audited(&database).await).1, []);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_ends_the_request_and_is_charged_what_was_reserved() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let held = tokio::spawn(post(&server, "openai/v1/chat/completions", &of_user("hold")).send());
    wait_until("the call is held", async || upstream.stub.requests().len() == 1).await;
    held.abort();
    wait_until("the request ends", async || upstream.stub.abandoned() == 1).await;
    let open = message(&json!({ "stream": true, "metadata": { "user_id": "hold stream" } }));
    let mut stream = post(&server, "anthropic/v1/messages", &open).send().await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("message_start"), "events arrive as they come");
    drop(stream);
    wait_until("the stream ends", async || upstream.stub.abandoned() == 2).await;
    let found = settled(&database, &server, 2).await;
    for call in found {
        assert_eq!((&call["outcome"], &call["usageAssumed"]), (&json!("CANCELLED"), &json!(true)), "{call}");
        // The bound: the limit of the output, or what is assumed without one.
        assert_eq!(call["usage"]["output"], 100);
    }
    server.kill().await;
}

/// A client that hangs up while its call is being reserved: nothing is sent, and nothing is charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_before_its_call_is_sent_is_charged_nothing() {
    let limits = "[limits]\nreserve_timeout_ms = 60000";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", limits).await);
    let server = upstream.serve(&database).await;
    let id = define(&server, large()).await;
    let block = database.block_appends_at(database.head().await + 1).await;
    let open = tokio::spawn(post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send());
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                   and database = (select oid from pg_database where datname = current_database())";
    let waiting = async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(&database.pool).await.unwrap() > 0;
    wait_until("the call is being reserved", waiting).await;
    open.abort();
    // That of this request is left.
    let connections = async || {
        let text = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
        text.lines().any(|line| line == "apex_http_connections 1")
    };
    wait_until("the server sees that the client hung up", connections).await;
    block.release().await;
    let of_reservations = "select version from apex.streams where category = 'reservation'";
    let versions = async || sqlx::query_scalar::<_, i64>(of_reservations).fetch_all(&database.pool).await;
    // It was granted, and released. Connections of the pool were terminated, too.
    wait_until("it is released", async || versions().await.is_ok_and(|versions| versions == [2])).await;
    assert_eq!(period(&server, &id).await["reserved"], "0");
    assert!(upstream.stub.requests().is_empty() && calls(&database, &server).await.is_empty());
    server.kill().await;
}

/// Some servers take the id of a response from the request, and clients know the ids of the reservations of their calls: neither makes
/// a call free of charge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_id_or_reservation_was_used_before_are_charged() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let id = define(&server, large()).await;
    let same = chat(&json!({ "request_id": "8f14e45fceea467fa8b90b2a3c4d5e6f" }));
    for _ in 0..3 {
        let answered = post(&server, "openai/v1/chat/completions", &same).send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::OK);
    }
    assert_equals_stub(&settled(&database, &server, 3).await, &upstream.stub);
    // A client may not free what is set aside for a call that is not at its end.
    let mut open = post(&server, "openai/v1/chat/completions", &streamed("hold stream")).send().await.unwrap();
    let reservation = open.headers()["x-apex-reservation"].to_str().unwrap().to_owned();
    assert!(open.chunk().await.unwrap().is_some());
    let report = json!({ "input": { "callKey": "other", "provider": "openai", "model": "m", "reservation": reservation,
        "commandId": Uuid::now_v7(), "usage": { "output": 0 } } });
    let reported = server.graphql(REPORT, report).await;
    let refused = &reported["reportCall"]["error"];
    assert_eq!(refused["code"], "BAD_RESERVATION", "{reported}");
    assert!(refused["message"].as_str().unwrap().contains("the gateway holds the reservation"), "{reported}");
    for (command, input) in [
        ("releaseReservation", json!({ "uuid": reservation })),
        ("extendReservation", json!({ "uuid": reservation, "usage": { "output": 0 } })),
    ] {
        let answer = crate::graphql::command(&server, command, input, "error { code }").await;
        assert_eq!(answer["error"]["code"], "HELD_BY_GATEWAY", "{answer}");
    }
    upstream.stub.release();
    while open.chunk().await.unwrap().is_some() {}
    assert_equals_stub(&settled(&database, &server, 4).await, &upstream.stub);
    wait_until("all are charged", async || {
        let after = period(&server, &id).await;
        let charged: rust_decimal::Decimal = after["charged"].as_str().unwrap().parse().unwrap();
        after["reserved"] == "0" && charged == rust_decimal::Decimal::new(28, 5)
    })
    .await;
    assert_eq!(audit(&audited(&database).await).1, []);
    server.terminate().await;
}

/// A span that sums up what is inside of it is no call of its own, but the call that it names was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_do_not_reverse_a_call_of_the_gateway() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let named = chat(&json!({ "request_id": "8f14e45fceea467fa8b90b2a3c4d5e6f" }));
    let answered = post(&server, "openai/v1/chat/completions", &named).send().await.unwrap();
    let id = answered.json::<Value>().await.unwrap()["id"].take();
    settled(&database, &server, 1).await;
    let summary = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.response.id": id });
    let summary = crate::otlp::with(crate::otlp::chat("m", 30, 40), &summary);
    let inside = crate::otlp::chat("free", 1, 1);
    // The summary is all that is known at first, and is the call that it names.
    for (span, parent, attributes, count) in
        [("00f067aa0ba902b1", "", summary, 1), ("00f067aa0ba902b2", "00f067aa0ba902b1", inside, 2)]
    {
        let spans = [crate::otlp::span(span, parent, &attributes)];
        crate::otlp::post(&server, &crate::otlp::export("agent", &spans)).await;
        let found = settled(&database, &server, count).await;
        assert!(found.iter().any(|call| call["usage"]["output"] == 40 && call["model"] == "m"), "{found:?}");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_too_slow_is_given_up() {
    let limits = "[limits]\ncall_timeout_ms = 400";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", limits).await);
    let server = upstream.serve(&database).await;
    let answered = post(&server, "openai/v1/chat/completions", &of_user("hold")).send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::GATEWAY_TIMEOUT);
    let open = post(&server, "openai/v1/chat/completions", &streamed("hold stream")).send().await.unwrap();
    assert_eq!(open.status(), StatusCode::OK);
    assert!(open.text().await.is_err(), "the stream is broken off");
    let found = settled(&database, &server, 2).await;
    assert!(found.iter().all(|call| call["outcome"] == "TIMEOUT" && call["usageAssumed"] == true), "{found:?}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_leaves_a_reservation_that_is_charged() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = database.serve(&[]).await;
    set_prices(&server).await;
    let id = define(&server, large()).await;
    let gateway = database.gateway(&["--gateway-config", upstream.config().to_str().unwrap()]).await;
    let open = tokio::spawn(post(&gateway, "openai/v1/chat/completions", &of_user("hold")).send());
    wait_until("the call is held", async || upstream.stub.requests().len() == 1).await;
    gateway.kill().await;
    assert!(open.await.unwrap().is_err());
    let held = period(&server, &id).await;
    assert_ne!(held["reserved"], "0", "{held}");
    // As the timer does, at the time at which it is due.
    let of_reservations = "select stream_id from apex.streams where category = 'reservation'";
    let reservation: Uuid = sqlx::query_scalar(of_reservations).fetch_one(&database.pool).await.unwrap();
    let rooms = database.rooms().await;
    let (context, later) = (Context::new(operator(), Uuid::now_v7()), Utc::now() + TimeDelta::minutes(12));
    rooms.commands.expire_reservation(&context, ReservationId(reservation), later).await.unwrap();
    rooms.close().await.unwrap();
    let after = period(&server, &id).await;
    assert_eq!((&after["reserved"], &after["assumed"]), (&json!("0"), &held["reserved"]), "{after}");
    assert!(calls(&database, &server).await.is_empty());
    server.kill().await;
}

/// While nothing can be appended, a call under a hard budget is refused, and another one passes only if the settings say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_budgets_fail_closed_and_others_as_the_settings_say() {
    let limits = "[limits]\nreserve_timeout_ms = 300";
    for (setting, is_hard, passes) in [("open", true, false), ("open", false, true), ("closed", false, false)] {
        let database = TestDatabase::new().await;
        let upstream = Upstream::with(&format!("on_unavailable = '{setting}'"), limits).await;
        let server = upstream.serve(&database).await;
        let mut budget = large();
        budget["enforcement"] = if is_hard { "HARD" } else { "SOFT" }.into();
        let id = define(&server, budget).await;
        let send = async || post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
        assert_eq!(send().await.status(), StatusCode::OK);
        settled(&database, &server, 1).await;
        let block = database.block_appends_at(database.head().await + 1).await;
        let answered = send().await;
        let status = if passes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(answered.status(), status, "{setting} {is_hard}");
        let passed = 1 + usize::from(passes);
        assert_eq!(upstream.stub.requests().len(), passed);
        block.release().await;
        // It is recorded later, and what was reserved without an answer is released.
        let found = settled(&database, &server, passed).await;
        assert_equals_stub(&found, &upstream.stub);
        wait_until("nothing is reserved", async || period(&server, &id).await["reserved"] == "0").await;
        server.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_a_limit_or_of_another_form_are_refused_in_the_form_of_the_provider() {
    let limits = "[limits]\nmax_calls = 2\nmax_request_bytes = 2000";
    let (database, upstream) = (TestDatabase::new().await, Upstream::with("", limits).await);
    let server = upstream.serve(&database).await;
    let answer = async |path: &str, body: &Value| {
        let answered = post(&server, path, body).send().await.unwrap();
        let status = answered.status().as_u16();
        (status, answered.json::<Value>().await.unwrap()["error"]["code"].as_str().unwrap().to_owned())
    };
    let path = "openai/v1/chat/completions";
    let refused = |status, code: &str| (status, code.to_owned());
    let long = chat(&json!({ "user": "x".repeat(2000) }));
    assert_eq!(answer(path, &long).await, refused(413, "request_too_large"));
    assert_eq!(answer("other/v1/chat/completions", &chat(&json!({}))).await, refused(404, "unknown_upstream"));
    assert_eq!(answer("openai/v1/messages", &message(&json!({}))).await, refused(404, "unknown_upstream"));
    assert_eq!(answer(path, &json!([])).await, refused(400, "invalid_request"));
    assert_eq!(answer(path, &json!({ "messages": [] })).await, refused(400, "invalid_request"));
    assert_eq!(answer("openai/v1/images/generations", &json!({})).await, refused(404, "unknown_path"));
    let read = testkit::http_get(format!("{}/gateway/anthropic/v1/messages", server.address)).await.unwrap();
    assert_eq!(read.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(read.json::<Value>().await.unwrap()["type"], "error", "in the form of Anthropic");
    let background = json!({ "model": "m", "input": "a", "background": true });
    assert_eq!(answer("openai/v1/responses", &background).await, refused(400, "invalid_request"));
    // A tenant may have half of the calls: one.
    let open = tokio::spawn(post(&server, path, &of_user("hold")).send());
    wait_until("the call is held", async || upstream.stub.requests().len() == 1).await;
    assert_eq!(answer(path, &chat(&json!({}))).await, refused(503, "overloaded"));
    upstream.stub.release();
    assert_eq!(open.await.unwrap().unwrap().status(), StatusCode::OK);
    wait_until("there is room again", async || {
        post(&server, path, &chat(&json!({}))).send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    assert_equals_stub(&settled(&database, &server, 2).await, &upstream.stub);
    server.kill().await;
}
