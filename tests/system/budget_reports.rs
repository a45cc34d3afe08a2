//! Reports of budgets that refuse: what is left and how fast it is spent, who was refused, what happened, and what other terms would
//! have refused.

use crate::login::{program, run};
use crate::reservations::{REPORT, RESERVE, audited, define, period, request, set_price};
use chrono::{TimeDelta, Utc};
use commands::Context;
use domain::budget::{
    BudgetCommand, BudgetControl, BudgetScope, BudgetTerms, Enforcement, Measure, OnRefusal, PeriodUnit,
};
use domain::reservation::ReservationEvent;
use domain::{BudgetId, Currency, Event, Money};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{ProgramOutput, Server, TIMEOUT, TestDatabase, name, wait_until};
use uuid::Uuid;

const STATUS: &str = "query ($id: ID!) {
    budgetPeriod(id: $id) { limit charged reserved left excess endsAt pace { since perHour exhaustsAt secondsLeft } }
    budgets { nodes { id period { left reserved } } } }";
const HISTORY: &str = "query ($id: ID!, $parts: [BudgetHistoryPart!], $first: Int!, $before: Position) {
    budgetHistory(id: $id, parts: $parts, first: $first, before: $before) {
        entries { position kind actor reason limit amount reservation refusal { reason left } } next } }";
const PREVIEW: &str = "query ($terms: BudgetTermsInput!, $month: String!, $position: Position) {
    budgetPreview(terms: $terms, month: $month, minPosition: $position) {
        calls refusedCalls refused unpricedCalls cutAfter
        periods { startsAt limit grantedCalls charged refusedCalls firstRefusedAt } } }";
const REFUSALS: &str = "query ($first: Int!, $after: String, $position: Position) {
    budgetRefusals(first: $first, after: $after, minPosition: $position) {
        nodes { minute budgetId reason dimension agentId apiKeyId refusals } pageInfo { hasNextPage endCursor } } }";

fn terms(limit: &str) -> Value {
    json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "TOTAL" })
}

/// Reports a call that cost some dollars, which may settle a reservation.
async fn call(server: &Server, dollars: u64, more: Value) -> Value {
    let mut input = json!({ "provider": "p", "model": "m", "usage": { "output": dollars * 1_000_000 } });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reported = server.graphql(REPORT, json!({ "input": input })).await;
    assert!(reported["reportCall"]["error"].is_null(), "{reported}");
    reported
}

async fn reserve(server: &Server, dollars: u64) -> Value {
    let reserved = server.graphql(RESERVE, request(Uuid::now_v7(), dollars)).await;
    assert!(reserved["reserveSpend"]["error"].is_null(), "{reserved}");
    reserved["reserveSpend"]["reservation"].clone()
}

async fn head(server: &Server) -> Value {
    server.graphql("{ head }", json!({})).await["head"].take()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// Runs a subcommand at the server.
pub(crate) async fn at(server: &Server, arguments: &[&str]) -> ProgramOutput {
    let home = tempfile::tempdir().unwrap();
    run(program(home.path(), &server.address, arguments)).await
}

/// What the command line prints on the database, which is what it prints at the server.
pub(crate) async fn printed(database: &TestDatabase, server: &Server, arguments: &[&str]) -> Value {
    let local = database.run(arguments).await.assert_success();
    let remote = at(server, arguments).await.assert_success();
    assert_eq!(local.stdout, remote.stdout, "{arguments:?}");
    serde_json::from_str(&local.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_budget_says_what_is_left_and_when_nothing_will_be() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    // It is charged to the budget, and was not spent since the budget was defined.
    call(&server, 3, json!({ "startedAt": "2023-09-01T08:00:00Z" })).await;
    let id = define(&server, terms("13")).await;
    let status = async || server.graphql(STATUS, json!({ "id": id })).await;
    let unspent = status().await["budgetPeriod"].take();
    assert_eq!((&unspent["charged"], &unspent["left"]), (&json!("3"), &json!("10")), "{unspent}");
    let pace = &unspent["pace"];
    assert_eq!(
        (&pace["perHour"], &pace["exhaustsAt"], &pace["secondsLeft"]),
        (&json!("0"), &Value::Null, &Value::Null)
    );

    let held = reserve(&server, 4).await;
    call(&server, 4, json!({ "reservation": held["uuid"] })).await;
    reserve(&server, 2).await;
    let found = status().await;
    let period = &found["budgetPeriod"];
    assert_eq!(
        [&period["limit"], &period["charged"], &period["reserved"], &period["left"], &period["excess"]],
        ["13", "7", "2", "4", "0"],
        "{found}"
    );
    // At most 4 in a minute: what was charged before the budget was defined is no part of it.
    let per_hour = number(&period["pace"]["perHour"]);
    assert!(per_hour > 0.0 && per_hour <= 240.0, "{found}");
    assert!(period["pace"]["exhaustsAt"].is_string() && period["pace"]["secondsLeft"].as_i64() > Some(0), "{found}");
    let listed = found["budgets"]["nodes"].as_array().unwrap().iter().find(|budget| budget["id"] == id.as_str());
    assert_eq!(listed.unwrap()["period"], json!({ "left": "4", "reserved": "2" }));

    let arguments = ["budgets", "status", "--format", "json"];
    let of_program = database.run(&arguments).await.assert_success().json();
    let shown = &of_program["budgets"][0];
    assert_eq!(
        (&shown["left"], &shown["enforcement"], &shown["measure"]),
        (&json!("4"), &json!("hard"), &json!("money"))
    );
    assert!(number(&shown["per_hour"]) > 0.0 && shown["exhausts_at"].is_string(), "{shown}");
    let at_server = at(&server, &arguments).await.assert_success().json();
    for field in ["id", "name", "enforcement", "measure", "limit", "charged", "reserved", "left", "excess", "ends_at"] {
        assert_eq!(at_server["budgets"][0][field], shown[field], "{field}");
    }
    let csv = database.run(&["budgets", "status", "--format", "csv"]).await.assert_success().stdout;
    assert!(csv.starts_with("id,name,enforcement,") && csv.contains(",13,7,0,2,4,0,"), "{csv}");

    // Nothing is left.
    reserve(&server, 4).await;
    let period = status().await["budgetPeriod"].take();
    assert_eq!((&period["left"], &period["pace"]["secondsLeft"]), (&json!("0"), &json!(0)), "{period}");
    server.terminate().await;
}

/// A long log is counted late: what was charged before a budget was defined is not spent when it is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_hours_after_a_budget_was_defined_is_no_part_of_its_pace() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    call(&server, 3, json!({ "startedAt": "2023-09-01T08:00:00Z" })).await;
    let control = BudgetControl {
        enforcement: Enforcement::Hard,
        measure: Measure::Money,
        period: PeriodUnit::Total,
        anchor: "2024-01-01".parse().unwrap(),
        carry_over: false,
        on_refusal: OnRefusal::default(),
        on_unreachable: None,
        parts: domain::budget::Parts::default(),
    };
    let terms = BudgetTerms {
        name: name("late"),
        scope: BudgetScope::Tenant,
        limit: Money::from_decimal(13.into()),
        currency: Currency::Usd,
        time_zone: chrono_tz::UTC,
        thresholds: Default::default(),
        control: Some(control),
    };
    let (rooms, id, at) = (database.rooms().await, BudgetId(Uuid::now_v7()), Utc::now() - TimeDelta::hours(5));
    let context = Context::new(testkit::operator(), Uuid::now_v7());
    let define = BudgetCommand::Define { terms, at };
    rooms.commands.execute_budget(&context, id, define, at).await.unwrap();
    rooms.close().await.unwrap();
    let id = id.to_string();
    wait_until("the budget is counted", async || period(&server, &id).await["counted"] == true).await;
    let found = server.graphql(STATUS, json!({ "id": id })).await["budgetPeriod"].take();
    assert_eq!((&found["charged"], &found["pace"]["perHour"]), (&json!("3"), &json!("0")), "{found}");
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_to_a_budget_sees_its_status_and_each_change() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let id = define(&server, terms("10")).await;
    let query = format!("subscription {{ budgetPeriod(id: \"{id}\") {{ reserved limit }} }}");
    let subscribe = testkit::http_client().post(format!("{}/graphql", server.address));
    let subscribe = subscribe.header("accept", "text/event-stream").json(&json!({ "query": query }));
    let mut response = subscribe.send().await.unwrap();
    let mut text = String::new();
    let mut until = async |wanted: &str| {
        while !text.contains(wanted) {
            let chunk = tokio::time::timeout(TIMEOUT, response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("{wanted} does not come: {text}")).unwrap();
            text.push_str(std::str::from_utf8(&chunk.expect("the stream does not end")).unwrap());
            assert!(!text.contains("errors"), "{text}");
        }
    };
    until("\"reserved\":\"0\"").await;
    reserve(&server, 2).await;
    until("\"reserved\":\"2\"").await;
    let raise = "mutation ($id: ID!) { raiseBudget(input: {id: $id, amount: \"5\", until: \"2199-01-01T00:00:00Z\",
        reason: \"a launch\"}) { outcome error { message } } }";
    let raised = server.graphql(raise, json!({ "id": id })).await;
    assert_eq!(raised["raiseBudget"]["outcome"], "DONE", "{raised}");
    until("\"limit\":\"15\"").await;
    let close = "mutation ($id: ID!) { closeBudget(input: {id: $id}) { outcome } }";
    server.graphql(close, json!({ "id": id })).await;
    until("\"budgetPeriod\":null").await;
    server.kill().await;
}

/// The refusals in the log by reason.
async fn recorded(database: &TestDatabase) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for audited in audited(database).await {
        if let Event::Reservation(ReservationEvent::Refused(refused)) = audited.event {
            *counts.entry(refused.refusal.reason.as_str().to_uppercase()).or_default() += 1;
        }
    }
    counts
}

/// The refusals that the server counts by reason, read in pages of one.
async fn counted(server: &Server) -> BTreeMap<String, i64> {
    let (mut counts, mut after) = (BTreeMap::new(), Value::Null);
    let position = head(server).await;
    loop {
        let variables = json!({ "first": 1, "after": after, "position": position });
        let page = server.graphql(REFUSALS, variables).await["budgetRefusals"].take();
        for node in page["nodes"].as_array().unwrap() {
            *counts.entry(node["reason"].as_str().unwrap().to_owned()).or_default() +=
                node["refusals"].as_i64().unwrap();
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return counts;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// A budget that refused twice because it was exceeded, and once because a model has no price.
async fn refuse(server: &Server) -> String {
    set_price(server).await;
    let id = define(server, terms("5")).await;
    for (dollars, status) in [(4, "HELD"), (4, "REFUSED"), (3, "REFUSED")] {
        assert_eq!(reserve(server, dollars).await["status"], status, "{dollars}");
    }
    let mut unpriced = request(Uuid::now_v7(), 1);
    unpriced["input"]["model"] = json!("none");
    server.graphql(RESERVE, unpriced).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_counted_as_often_as_they_are_recorded() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    // A count of a time that is not kept any more.
    sqlx::query(
        "insert into apex.budget_refusals
         (tenant_id, budget_id, minute, reason, dimension, agent, credential, refusals, position)
         values ('default', gen_random_uuid(), now() - interval '91 days', 'exceeded', '', '', '', 7, 1)",
    )
    .execute(&mut database.owner().await)
    .await
    .unwrap();
    refuse(&server).await;
    let expected = BTreeMap::from([("EXCEEDED".to_owned(), 2), ("UNPRICED".to_owned(), 1)]);
    assert_eq!(recorded(&database).await, expected);
    assert_eq!(counted(&server).await, expected);
    let shown = printed(&database, &server, &["budgets", "refusals", "--format", "json"]).await;
    let shown = shown["refusals"].as_array().unwrap();
    assert_eq!(shown.iter().map(|count| count["refusals"].as_i64().unwrap()).sum::<i64>(), 3, "{shown:?}");
    let none = ["budgets", "refusals", "--to", "2020-01-01", "--format", "json"];
    assert_eq!(printed(&database, &server, &none).await, json!({ "refusals": [] }));
    database.assert_equals_rebuild(&["budget_refusals"], &[1, 3, 1000]).await;
    let bad = json!({ "first": 1, "after": "x", "position": null });
    let refused = server.graphql_response(REFUSALS, bad).await;
    assert_eq!(refused["errors"][0]["extensions"]["reason"], "BAD_CURSOR", "{refused}");
    server.terminate().await;
}

/// The control: a count that is not that of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_is_counted_twice_is_found() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    refuse(&server).await;
    assert_eq!(counted(&server).await, recorded(&database).await);
    let planted = "update apex.budget_refusals set refusals = refusals + 1 where reason = 'unpriced'";
    sqlx::query(planted).execute(&mut database.owner().await).await.unwrap();
    assert_ne!(counted(&server).await, recorded(&database).await);
    server.terminate().await;
}

/// What happens to a budget that refused, the last entry of its history first.
const KINDS: [&str; 9] =
    ["RAISED", "RESUMED", "SUSPENDED", "REVISED", "REFUSED", "REFUSED", "REFUSED", "GRANTED", "DEFINED"];

/// Changes the terms of a budget, and how it is enforced, each with a reason.
async fn change(server: &Server, id: &str) {
    for (field, input) in [
        ("reviseBudget", json!({ "id": id, "terms": terms("6"), "reason": "a month of tests" })),
        ("suspendBudget", json!({ "id": id, "reason": "an incident" })),
        ("resumeBudget", json!({ "id": id, "reason": "it is over" })),
        ("raiseBudget", json!({ "id": id, "amount": "5", "until": "2199-01-01T00:00:00Z", "reason": "a launch" })),
    ] {
        let named = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query =
            format!("mutation ($input: {named}!) {{ {field}(input: $input) {{ outcome error {{ message }} }} }}");
        let done = server.graphql(&query, json!({ "input": input })).await;
        assert_eq!(done[field]["outcome"], "DONE", "{done}");
    }
}

async fn history(server: &Server, id: &str, parts: Value, first: usize, before: Value) -> Value {
    let variables = json!({ "id": id, "parts": parts, "first": first, "before": before });
    server.graphql(HISTORY, variables).await["budgetHistory"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_budget_has_who_did_what_and_why() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let id = refuse(&server).await;
    change(&server, &id).await;
    let all = history(&server, &id, Value::Null, 500, Value::Null).await;
    let entries = all["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, KINDS, "{all}");
    let reasons: Vec<_> = entries.iter().filter_map(|entry| entry["reason"].as_str()).collect();
    assert_eq!(reasons, ["a launch", "it is over", "an incident", "a month of tests"]);
    assert!(entries.iter().all(|entry| entry["actor"].is_string()), "{all}");
    assert_eq!((&entries[0]["amount"], &entries[3]["limit"]), (&json!("5"), &json!("6")));
    assert_eq!(entries[4]["refusal"], json!({ "reason": "UNPRICED", "left": null }));
    assert_eq!(entries[5]["refusal"], json!({ "reason": "EXCEEDED", "left": "1" }));
    assert_eq!((&entries[7]["amount"], entries[7]["reservation"].is_string()), (&json!("4"), true));
    // Pages have the same entries.
    let (mut paged, mut before) = (Vec::new(), Value::Null);
    loop {
        let page = history(&server, &id, Value::Null, 2, before).await;
        paged.extend(page["entries"].as_array().unwrap().clone());
        before = page["next"].clone();
        if before.is_null() {
            break;
        }
    }
    assert_eq!(&paged, entries);
    let refusals = history(&server, &id, json!(["REFUSALS"]), 500, Value::Null).await;
    assert_eq!(refusals["entries"].as_array().unwrap()[..], entries[4..7]);
    let nothing = history(&server, &id, json!([]), 500, Value::Null).await;
    assert_eq!(nothing, json!({ "entries": [], "next": null }));
    // Another budget has none of it.
    let other = history(&server, &Uuid::now_v7().to_string(), Value::Null, 500, Value::Null).await;
    assert_eq!(other, json!({ "entries": [], "next": null }));
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_lists_the_history_of_a_budget_as_a_server_does() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let id = refuse(&server).await;
    change(&server, &id).await;
    let budget = server.graphql("query ($id: ID!) { budget(id: $id) { uuid } }", json!({ "id": id })).await;
    let uuid = budget["budget"]["uuid"].as_str().unwrap();
    let shown = printed(&database, &server, &["budgets", "history", uuid, "--format", "json"]).await;
    let shown: Vec<_> = shown["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(shown, KINDS.map(str::to_lowercase));
    let terms_only = ["budgets", "history", uuid, "--part", "terms", "--limit", "2", "--format", "json"];
    assert_eq!(printed(&database, &server, &terms_only).await["entries"].as_array().unwrap().len(), 2);
    let refused = database.run(&["budgets", "history", uuid, "--limit", "0"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("--limit is 1 to 10000"), "{}", refused.stderr);
    server.terminate().await;
}

/// Calls of a month and of those around it, some with a tag, and one without a price.
async fn calls_of_a_month(server: &Server) {
    set_price(server).await;
    let tagged = json!([{ "key": "project", "value": "apollo" }]);
    for (started_at, dollars, tags) in [
        ("2023-08-31T23:59:59Z", 50, &tagged),
        ("2023-09-01T08:00:00Z", 4, &tagged),
        ("2023-09-01T09:00:00Z", 4, &Value::Null),
        ("2023-09-01T10:00:00Z", 4, &tagged),
        ("2023-09-02T00:00:00Z", 4, &tagged),
        ("2023-10-01T00:00:00Z", 50, &tagged),
    ] {
        call(server, dollars, json!({ "startedAt": started_at, "tags": tags })).await;
    }
    call(server, 1, json!({ "startedAt": "2023-09-02T01:00:00Z", "model": "none" })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_says_what_a_budget_would_have_refused_in_a_month() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    calls_of_a_month(&server).await;
    let position = head(&server).await;
    let preview = async |more: Value| {
        let mut terms = json!({ "name": "daily", "scope": { "tenant": true }, "limit": "10", "enforcement": "HARD",
                                "period": "DAY" });
        terms.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.graphql_response(PREVIEW, json!({ "terms": terms, "month": "2023-09", "position": position })).await
    };
    let all = preview(json!({})).await["data"]["budgetPreview"].take();
    assert_eq!(
        all,
        json!({ "calls": 5, "refusedCalls": 1, "refused": "4", "unpricedCalls": 1, "cutAfter": null, "periods": [
            { "startsAt": "2023-09-01T00:00:00Z", "limit": "10", "grantedCalls": 2, "charged": "8", "refusedCalls": 1,
              "firstRefusedAt": "2023-09-01T10:00:00Z" },
            { "startsAt": "2023-09-02T00:00:00Z", "limit": "10", "grantedCalls": 1, "charged": "4", "refusedCalls": 0,
              "firstRefusedAt": "2023-09-02T01:00:00Z" }] })
    );
    let conditions = json!({ "conditions": [{ "dimension": "tag:project", "value": "apollo" }] });
    let tagged = preview(json!({ "scope": conditions })).await["data"]["budgetPreview"].take();
    assert_eq!((&tagged["calls"], &tagged["refusedCalls"]), (&json!(3), &json!(0)), "{tagged}");
    let carried = preview(json!({ "carryOver": true })).await["data"]["budgetPreview"]["periods"][1]["limit"].take();
    assert_eq!(carried, "12");
    let calls = preview(json!({ "measure": { "calls": true }, "limit": "2" })).await["data"]["budgetPreview"].take();
    assert_eq!(
        (&calls["refusedCalls"], &calls["refused"], &calls["unpricedCalls"]),
        (&json!(1), &json!("1"), &json!(0))
    );
    for bad in [json!({ "limit": "0" }), json!({ "enforcement": null, "period": null }), json!({ "timeZone": "Mars" })]
    {
        let refused = preview(bad.clone()).await;
        assert_eq!(refused["errors"][0]["extensions"]["reason"], "BAD_TERMS", "{bad}: {refused}");
    }
    // Nothing was changed by it.
    assert_eq!(server.graphql("{ budgets { nodes { id } } }", json!({})).await["budgets"]["nodes"], json!([]));
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_previews_terms_as_a_server_does() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    calls_of_a_month(&server).await;
    let arguments =
        ["budgets", "preview", "--month", "2023-09", "--limit", "10", "--period", "day", "--format", "json"];
    let shown = printed(&database, &server, &arguments).await;
    assert_eq!((&shown["calls"], &shown["refused_calls"], &shown["refused"]), (&json!(5), &json!(1), &json!("4")));
    let tagged = [&arguments[..], &["--where", "tag:project=apollo"]].concat();
    assert_eq!(printed(&database, &server, &tagged).await["calls"], 3);
    let refused = database.run(&["budgets", "preview", "--month", "2023-09", "--limit", "0"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("a limit is above 0"), "{}", refused.stderr);
    server.terminate().await;
}
