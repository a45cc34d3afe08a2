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

/// The nodes of a list, read page by page to its end.
async fn all_pages(server: &Server, query: &str, variables: &Value, list: &str) -> Vec<Value> {
    let (mut variables, mut nodes) = (variables.clone(), Vec::new());
    loop {
        let mut page = server.graphql(query, variables.clone()).await[list].take();
        nodes.append(page["nodes"].as_array_mut().unwrap());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        variables["after"] = page["pageInfo"]["endCursor"].take();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_calls_are_listed_from_both_ends() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let agent = command(&server, "registerAgent", json!({ "name": "a" }), "agent { id }").await["agent"].take();
    let mut last = Value::Null;
    for n in 0..5 {
        // Groups of two have the same time: the id is the tie-breaker.
        let at = format!("2023-11-14T22:13:2{}Z", n / 2);
        let task = json!({ "agentId": agent["id"], "title": format!("task {n}"), "at": at });
        command(&server, "submitTask", task, "position").await;
        let call = json!({ "agentId": agent["id"], "model": "m", "startedAt": at, "usage": { "input": 1 } });
        last = command(&server, "reportCall", call, "position").await["position"].take();
    }
    for list in ["tasks", "calls"] {
        let query = format!(
            "query ($after: String, $order: ListOrder, $position: Position) {{
                {list}(first: 2, after: $after, order: $order, minPosition: $position) {{
                    nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let in_order = async |order: Value| {
            let nodes = all_pages(&server, &query, &json!({ "order": order, "position": last }), list).await;
            assert_eq!(nodes.len(), 5, "{list} {order}");
            nodes
        };
        let oldest_first = in_order(json!("OLDEST_FIRST")).await;
        assert_eq!(in_order(Value::Null).await, oldest_first, "{list}");
        let mut newest_first = in_order(json!("NEWEST_FIRST")).await;
        newest_first.reverse();
        assert_eq!(newest_first, oldest_first, "{list}");
    }
    let nested = "query ($id: ID!) { agent(id: $id) { tasks(first: 1, order: NEWEST_FIRST) { nodes { title calls { nodes { id } } } } } }";
    let nested = server.graphql(nested, json!({ "id": agent["id"] })).await["agent"]["tasks"]["nodes"][0].take();
    assert_eq!(nested, json!({ "title": "task 4", "calls": { "nodes": [] } }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_found_by_what_is_known_of_them() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let span = json!({ "traceId": TRACE, "spanId": "b7ad6b7169203331" });
    let found = json!({ "provider": "p", "model": "m", "outcome": "TIMEOUT", "conversation": "c", "span": span,
        "usage": { "input": 1 } });
    command(&server, "reportCall", found, "position").await;
    command(&server, "reportCall", json!({ "kind": "TOOL", "tool": "search", "outcome": "OK" }), "position").await;
    let other = json!({ "provider": "q", "model": "n", "outcome": "OK", "conversation": "d", "usage": { "input": 1 } });
    let last = command(&server, "reportCall", other, "position").await["position"].take();
    let query = "query ($filter: CallFilter, $position: Position) { calls(filter: $filter, minPosition: $position) {
        nodes { provider tool } } }";
    let find = async |filter: Value| {
        server.graphql(query, json!({ "filter": filter, "position": last })).await["calls"]["nodes"].take()
    };
    for filter in [
        json!({ "provider": "p" }),
        json!({ "outcome": "TIMEOUT" }),
        json!({ "conversation": "c" }),
        json!({ "traceId": TRACE }),
    ] {
        assert_eq!(find(filter.clone()).await, json!([{ "provider": "p", "tool": null }]), "{filter}");
    }
    assert_eq!(find(json!({ "tool": "search" })).await, json!([{ "provider": null, "tool": "search" }]));
    assert_eq!(find(json!({ "provider": "p", "outcome": "OK" })).await, json!([]));
    let refused = server.graphql_response(query, json!({ "filter": { "traceId": "x" } })).await;
    assert_eq!((code(&refused), reason(&refused)), ("BAD_USER_INPUT", "NOT_A_TRACE_ID"));
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
