//! Budgets whose periods have parts, and budgets that delegate: at two servers, by clients that race, with an audit of the whole log.

use crate::graphql::{agent, command};
use crate::reservations::{REPORT, RESERVE, audit, audited, define, request, set_price};
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};
use uuid::Uuid;

const STATUS: &str = "query ($id: ID!) { budgetPeriod(id: $id) { limit charged reserved delegated left excess parts
    delegations { uuid amount used unused } } }";
const DELEGATED: &str = "outcome error { code message } position";

fn terms(limit: &str, more: &Value) -> Value {
    let common =
        json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "TOTAL" });
    crate::otlp::with(common, more)
}

async fn status(server: &Server, id: &str) -> Value {
    server.graphql(STATUS, json!({ "id": id })).await["budgetPeriod"].take()
}

/// Reserves some dollars. Returns the reservation.
async fn reserve(server: &Server, dollars: u64, more: &Value) -> Value {
    let mut variables = request(Uuid::now_v7(), dollars);
    variables["input"] = crate::otlp::with(variables["input"].clone(), more);
    let answer = server.graphql(RESERVE, variables).await["reserveSpend"].take();
    assert!(answer["error"].is_null(), "{answer}");
    answer["reservation"].clone()
}

async fn assert_no_violation(database: &TestDatabase) {
    let (grants, violations) = audit(&audited(database).await);
    assert_eq!(violations, []);
    assert!(grants > 0, "nothing was granted: the audit proves nothing");
}

/// The limit is divided by the parts, which take from each other, so that all of it is granted, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_servers_grant_the_limit_of_a_period_with_parts_and_no_more() {
    const LIMIT: usize = 12;
    let database = TestDatabase::new().await;
    let servers = [database.serve(&[]).await, database.serve(&[]).await, database.serve(&[]).await];
    set_price(&servers[0]).await;
    let id = define(&servers[0], terms(&LIMIT.to_string(), &json!({ "parts": 4 }))).await;
    let racing = (0..36).map(async |number| reserve(&servers[number % servers.len()], 1, &json!({})).await);
    let reserved = join_all(racing).await;
    let held: Vec<_> = reserved.iter().filter(|reservation| reservation["status"] == "HELD").collect();
    assert_eq!(held.len(), LIMIT, "{reserved:?}");
    let now = status(&servers[1], &id).await;
    assert_eq!((&now["reserved"], &now["left"], &now["parts"]), (&json!("12"), &json!("0"), &json!(4)), "{now}");

    // One is settled for less: what it leaves is granted again, wherever it was.
    let call = json!({ "provider": "p", "model": "m", "usage": { "output": 500_000 }, "reservation": held[0]["uuid"] });
    let settled = servers[2].graphql(REPORT, json!({ "input": call })).await;
    assert!(settled["reportCall"]["error"].is_null(), "{settled}");
    assert_eq!(status(&servers[0], &id).await["left"], "0.5");
    assert_eq!(reserve(&servers[0], 1, &json!({})).await["status"], "REFUSED");

    // A change of the limit is of all parts.
    let terms = terms("14", &json!({ "parts": 4 }));
    let revised = command(&servers[1], "reviseBudget", json!({ "id": id, "terms": terms }), DELEGATED).await;
    assert_eq!(revised["outcome"], "DONE", "{revised}");
    let racing = (0..9).map(async |number| reserve(&servers[number % servers.len()], 1, &json!({})).await);
    let more = join_all(racing).await.iter().filter(|reservation| reservation["status"] == "HELD").count();
    assert_eq!(more, 2);
    // The number of parts stays.
    let other = json!({ "id": id, "terms": crate::otlp::with(terms, &json!({ "parts": 2 })) });
    let fixed = command(&servers[1], "reviseBudget", other, DELEGATED).await;
    assert_eq!(fixed["error"]["code"], "CONTROL_FIXED", "{fixed}");
    assert_no_violation(&database).await;
}

/// A child has what is delegated to it, and no more; others have the rest; what it leaves comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delegated_is_for_the_child_alone_until_the_delegation_ends() {
    let database = TestDatabase::new().await;
    let servers = [database.serve(&[]).await, database.serve(&[]).await];
    let server = &servers[0];
    set_price(server).await;
    let (child, other) = (agent(server, "child").await, agent(server, "other").await);
    let id = define(server, terms("10", &json!({}))).await;
    let delegation = Uuid::now_v7();
    let delegate = |amount: &str, delegation: Uuid| json!({ "id": id, "delegation": delegation, "to": { "agentId": child }, "amount": amount, "reason": "its share" });
    let too_much = command(server, "delegateBudget", delegate("11", delegation), DELEGATED).await;
    assert_eq!(too_much["error"]["code"], "DELEGATION_EXCEEDS", "{too_much}");
    let delegated = command(server, "delegateBudget", delegate("4", delegation), DELEGATED).await;
    assert_eq!(delegated["outcome"], "DONE", "{delegated}");
    let again = command(server, "delegateBudget", delegate("3", delegation), DELEGATED).await;
    assert_eq!(again["error"]["code"], "DELEGATION_EXISTS", "{again}");

    // Both race at both servers.
    let racing = (0..24).map(async |number: usize| {
        let agent = if number.is_multiple_of(2) { &child } else { &other };
        let reserved = reserve(&servers[(number / 2) % 2], 1, &json!({ "agentId": agent })).await;
        (number.is_multiple_of(2), reserved["status"] == "HELD")
    });
    let raced = join_all(racing).await;
    let held = |of_child: bool| raced.iter().filter(|(is_child, is_held)| *is_child == of_child && *is_held).count();
    assert_eq!((held(true), held(false)), (4, 6), "{raced:?}");
    let now = status(server, &id).await;
    assert_eq!((&now["reserved"], &now["delegated"], &now["left"]), (&json!("10"), &json!("0"), &json!("0")), "{now}");
    assert_eq!(now["delegations"], json!([{ "uuid": delegation, "amount": "4", "used": "4", "unused": "0" }]));

    // What the child leaves is its own while the delegation runs, and the budget's afterwards.
    let more = json!({ "id": id, "terms": terms("13", &json!({})) });
    assert_eq!(command(server, "reviseBudget", more, DELEGATED).await["outcome"], "DONE");
    let second = Uuid::now_v7();
    let delegated = command(server, "delegateBudget", delegate("2", second), DELEGATED).await;
    assert_eq!(delegated["outcome"], "DONE", "{delegated}");
    assert_eq!(reserve(server, 2, &json!({ "agentId": other })).await["status"], "REFUSED");
    let end = json!({ "id": id, "delegation": second, "reason": "done" });
    assert_eq!(command(server, "endDelegation", end.clone(), DELEGATED).await["outcome"], "DONE");
    let ended = command(server, "endDelegation", end, DELEGATED).await;
    assert_eq!(ended["error"]["code"], "UNKNOWN_DELEGATION", "{ended}");
    assert_eq!(reserve(server, 2, &json!({ "agentId": other })).await["status"], "HELD");
    let unknown = json!({ "id": id, "delegation": Uuid::now_v7(), "reason": "none" });
    let unknown = command(server, "endDelegation", unknown, DELEGATED).await;
    assert_eq!(unknown["error"]["code"], "UNKNOWN_DELEGATION", "{unknown}");
    assert_no_violation(&database).await;
}

/// An agent that is retired has no share any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegation_ends_when_its_agent_is_retired() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let (child, other) = (agent(&server, "child").await, agent(&server, "other").await);
    let id = define(&server, terms("10", &json!({}))).await;
    let delegate = json!({ "id": id, "to": { "agentId": child }, "amount": "8", "reason": "its share" });
    assert_eq!(command(&server, "delegateBudget", delegate, DELEGATED).await["outcome"], "DONE");
    assert_eq!(reserve(&server, 9, &json!({ "agentId": other })).await["status"], "REFUSED");
    let retire = json!({ "id": child, "reason": "replaced" });
    assert_eq!(command(&server, "retireAgent", retire, "outcome").await["outcome"], "DONE");
    let is_back = async || status(&server, &id).await["delegations"] == json!([]);
    testkit::wait_until("the delegation ends", is_back).await;
    assert_eq!(reserve(&server, 9, &json!({ "agentId": other })).await["status"], "HELD");
    assert_no_violation(&database).await;
}
