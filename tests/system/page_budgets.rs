//! The pages of budgets and of the first run, in a real browser at a server that has no data, and is given some while it runs.

use crate::graphql::command;
use crate::identities::Installation;
use crate::page::{drive, node};
use crate::reservations::{define, period, set_price};
use serde_json::json;
use testkit::{Server, tenant, wait_until};

/// A budget of which more than half is spent, with an alert, and a request for approval of more than is left.
async fn fill(server: &Server) {
    set_price(server).await;
    let writer = command(server, "registerAgent", json!({ "name": "writer" }), "agent { id }").await;
    let agent = &writer["agent"]["id"];
    let terms = json!({ "name": "guard", "scope": { "model": "m" }, "limit": "4", "thresholds": [50],
        "enforcement": "HARD", "period": "QUARTER", "onRefusal": { "askForApproval": 60 } });
    let id = define(server, terms).await;
    let call = |output: u64| json!({ "agentId": agent, "provider": "p", "model": "m", "usage": { "output": output } });
    command(server, "reportCall", call(3_000_000), "outcome").await;
    // Nobody reserved for the call: it is charged after it is reported.
    wait_until("the call is charged", async || period(server, &id).await["charged"] == "3").await;
    let select = "reservation { refusal { approval { uuid } } }";
    let refused = command(server, "reserveSpend", call(2_000_000), select).await;
    assert!(refused["reservation"]["refusal"]["approval"]["uuid"].is_string(), "{refused}");
}

/// The types of the events of a category.
async fn types(server: &Server, category: &str) -> Vec<String> {
    let events =
        "query ($category: String!) { events(filter: { category: $category }, first: 100) { nodes { type } } }";
    let events = server.graphql(events, json!({ "category": category })).await["events"]["nodes"].take();
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_begin_with_a_file_and_define_and_operate_budgets_on_the_page() {
    let installation = Installation::new().await;
    let server = installation.serve_open(&[]).await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let viewer = installation.key(tenant().as_str(), "viewer", &[]).await;
    let mut program = node("budgets.mjs");
    program.args([server.address.as_str(), &admin, &viewer]);
    let seen = drive(program, async |line| match line {
        "fill" => fill(&server).await,
        other => panic!("the browser's program says {other:?}"),
    })
    .await;

    for none in ["errors", "foreign", "violations", "sideways", "refusable"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    let dropped = &seen["dropped"];
    for holds in ["recorded", "refused", "reason"] {
        assert_eq!(dropped[holds], true, "{holds}: {seen}");
    }
    assert_eq!(dropped["cost"], "$2.50", "{seen}");
    // A key that is made for the snippet is in it, and never that of the reader.
    assert_eq!(seen["key"], json!({ "isShown": true, "isOwn": true }), "{seen}");
    for holds in ["sample", "nameNeeded", "operated"] {
        assert_eq!(seen[holds], true, "{holds}: {seen}");
    }
    assert_eq!(seen["showsToken"], false, "{seen}");
    assert!(seen["serverError"].as_str().unwrap().contains("2000"), "{seen}");
    assert_eq!(seen["preview"], "2 of 3 calls would have been refused, which used $5.50.", "{seen}");
    assert_eq!(seen["filtered"], 1, "{seen}");

    // The log has what the browser did.
    assert_eq!(types(&server, "alert").await, ["alert.acknowledged"]);
    assert_eq!(types(&server, "approval").await, ["approval.requested", "approval.granted"]);
    let query = "{ approvals { nodes { reason } } budgets { nodes { name limit thresholds control { suspended } } } }";
    let found = server.graphql(query, json!({})).await;
    assert_eq!(found["approvals"]["nodes"], json!([{ "reason": "release day" }]));
    let expected = json!([
        { "name": "guard", "limit": "9", "thresholds": [50], "control": { "suspended": true } },
        { "name": "typed", "limit": "3", "thresholds": [50, 80], "control": { "suspended": false } },
    ]);
    assert_eq!(found["budgets"]["nodes"], expected);
    drop(server.terminate().await);
}
