//! GraphQL reads: pagination, reads as of an earlier position or time, and `minPosition`.

use crate::graphql::{agent, code, command, reason};

use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{Server, TestDatabase};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_paginated_to_the_end() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut last = Value::Null;
    for n in 0..7 {
        // Groups of three have the same time: the id is the tie-breaker.
        let input = json!({ "name": format!("agent {n}"), "at": format!("2023-11-14T22:13:2{}Z", n / 3) });
        last = command(&server, "registerAgent", input, "position").await["position"].clone();
    }
    let query =
        "query ($after: String, $position: Position) { agents(first: 3, after: $after, minPosition: $position) {
        edges { cursor node { id } } nodes { name } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    } }";
    let (mut after, mut seen, mut sizes) = (Value::Null, BTreeSet::new(), Vec::new());
    loop {
        let page = server.graphql(query, json!({ "after": after, "position": last })).await["agents"].take();
        let names = page["nodes"].as_array().unwrap();
        sizes.push(names.len());
        seen.extend(names.iter().map(|node| node["name"].as_str().unwrap().to_owned()));
        assert_eq!(page["pageInfo"]["endCursor"], page["edges"][names.len() - 1]["cursor"]);
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(seen.len(), 7);
    for (query, why) in [
        ("{ agents(after: \"x\") { nodes { id } } }", "BAD_CURSOR"),
        ("{ agents(first: 0) { nodes { id } } }", "BAD_PAGE_SIZE"),
        ("{ agents(first: 501) { nodes { id } } }", "BAD_PAGE_SIZE"),
        ("{ events(after: \"-1\") { nodes { id } } }", "BAD_CURSOR"),
        ("{ events(first: 1, last: 1) { nodes { id } } }", "BOTH_DIRECTIONS"),
        ("{ streamEvents(category: \"x\", id: \"x\") { nodes { id } } }", "UNKNOWN_CATEGORY"),
        ("{ agent(id: \"x\") { id } }", "NOT_AN_ID"),
        ("{ node(id: \"QWdlbnQ6eA\") { id } }", "NOT_AN_ID"),
    ] {
        let answer = server.graphql_response(query, json!({})).await;
        assert_eq!((code(&answer), reason(&answer)), ("BAD_USER_INPUT", why), "{query}");
    }
    let id =
        server.graphql("{ agents(first: 1) { nodes { id } } }", json!({})).await["agents"]["nodes"][0]["id"].take();
    let answer = server.graphql_response("query ($id: ID!) { task(id: $id) { id } }", json!({ "id": id })).await;
    assert_eq!(reason(&answer), "WRONG_ID_TYPE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_paginated_in_both_directions() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let head: u64 = server.graphql("{ head }", json!({})).await["head"].as_str().unwrap().parse().unwrap();
    let ada = agent(&server, "ada").await;
    command(&server, "pauseAgent", json!({ "id": ada, "reason": "so" }), "position").await;
    let positions = |page: &Value| -> Vec<u64> {
        let nodes = page["events"]["nodes"].as_array().unwrap().iter();
        nodes.map(|node| node["position"].as_str().unwrap().parse::<u64>().unwrap() - head).collect()
    };
    let ask = async |arguments: &str| {
        server
            .graphql(
                &format!(
                    "{{ events({arguments}) {{ nodes {{ position }} pageInfo {{ hasNextPage hasPreviousPage }} }} }}"
                ),
                json!({}),
            )
            .await
    };
    assert_eq!(positions(&ask(&format!("first: 2, after: \"{head}\"")).await), [1, 2]);
    assert_eq!(positions(&ask(&format!("first: 2, after: \"{}\"", head + 2)).await), [3]);
    let last = ask("last: 2").await;
    assert_eq!(positions(&last), [2, 3]);
    assert_eq!(last["events"]["pageInfo"], json!({ "hasNextPage": false, "hasPreviousPage": true }));
    assert_eq!(positions(&ask(&format!("last: 1, before: \"{}\"", head + 2)).await), [1]);
    let between = ask(&format!("last: 9, before: \"{}\", after: \"{head}\"", head + 3)).await;
    assert_eq!(positions(&between), [1, 2]);
    assert_eq!(positions(&ask("filter: { types: [\"agent.paused\"] }").await), [3]);
    let stream = "query ($id: ID!) { streamEvents(category: \"agent\", id: $id, first: 2, after: \"1\") {
        edges { cursor node { id type version payload metadata contentHash recordedAt schemaVersion } } } }";
    let edges = server.graphql(stream, json!({ "id": ada })).await["streamEvents"]["edges"].take();
    assert_eq!((&edges[0]["cursor"], &edges[0]["node"]["type"]), (&json!("2"), &json!("agent.activated")));
    assert_eq!(edges[1]["node"]["payload"]["reason"], "so");
    assert_eq!(edges[1]["node"]["metadata"]["actor"], "api");
    assert_eq!(edges[1]["node"]["contentHash"].as_str().unwrap().len(), 64);
    let node = "query ($id: ID!) { node(id: $id) { ... on Event { type } } }";
    let seen = server.graphql(node, json!({ "id": edges[1]["node"]["id"] })).await;
    assert_eq!(seen["node"]["type"], "agent.paused");
    // "Event:4000000000", an event that does not exist yet.
    let seen = server.graphql(node, json!({ "id": "RXZlbnQ6NDAwMDAwMDAwMA" })).await;
    assert_eq!(seen["node"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_read_as_of_a_position_or_time() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let registered = command(&server, "registerAgent", json!({ "name": "ada" }), "position agent { id }").await;
    let id = registered["agent"]["id"].clone();
    let first: u64 = registered["position"].as_str().unwrap().parse().unwrap();
    command(&server, "activateAgent", json!({ "id": id }), "outcome").await;
    let between = recorded_at(&server, first + 1).await;
    command(&server, "pauseAgent", json!({ "id": id, "reason": "so" }), "outcome").await;
    let query =
        "query ($id: ID!, $asOf: AsOf!) { agent(id: $id, asOf: $asOf) { status reason version statusChangedAt } }";
    for (as_of, status) in [
        (json!({ "position": (first - 1).to_string() }), Value::Null),
        (json!({ "position": first }), json!("REGISTERED")),
        (json!({ "position": (first + 1).to_string() }), json!("ACTIVE")),
        (json!({ "time": between }), json!("ACTIVE")),
        (json!({ "position": "9999" }), json!("PAUSED")),
        (json!({ "time": "2001-01-01T00:00:00Z" }), Value::Null),
    ] {
        let seen = server.graphql(query, json!({ "id": id, "asOf": as_of })).await;
        assert_eq!(seen["agent"]["status"], status, "{as_of}");
    }
    // Reading as of the head equals reading the present.
    let same = "query ($id: ID!) {
        now: agent(id: $id, minPosition: POSITION) { ...All } then: agent(id: $id, asOf: { position: POSITION }) { ...All }
    } fragment All on Agent { id uuid name kind model labels { key value } status reason registeredAt statusChangedAt version position }";
    let seen = server.graphql(&same.replace("POSITION", &(first + 2).to_string()), json!({ "id": id })).await;
    assert_eq!(seen["now"], seen["then"]);
    let both = json!({ "id": id, "asOf": { "position": 1, "time": "2001-01-01T00:00:00Z" } });
    assert!(server.graphql_response(query, both).await["errors"].is_array());
}

async fn recorded_at(server: &Server, position: u64) -> Value {
    let query = format!("{{ events(first: 1, after: \"{}\") {{ nodes {{ recordedAt }} }} }}", position - 1);
    server.graphql(&query, json!({})).await["events"]["nodes"][0]["recordedAt"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_min_position_is_reported_as_late() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let answer = server.graphql_response("{ agents(minPosition: \"4000000000\") { nodes { id } } }", json!({})).await;
    assert_eq!(code(&answer), "LATE");
    assert_eq!(answer["errors"][0]["extensions"]["wanted"], "4000000000");
    let statuses = server
        .graphql("{ projections { name position lagEvents parkedEvents } parkedEvents { cause } }", json!({}))
        .await;
    let names: Vec<_> = statuses["projections"].as_array().unwrap().iter().map(|status| &status["name"]).collect();
    assert_eq!(names, ["agents", "tasks", "calls", "memories", "budgets", "invoices", "schedules", "budget_refusals"]);
    assert_eq!(statuses["parkedEvents"], json!([]));
}
