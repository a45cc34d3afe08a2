//! The pages by which an installation is managed, in a real browser: memory, prices and settings.

use crate::graphql::command;
use crate::page::{drive, node};
use crate::users::Installation;
use serde_json::json;
use streams::Expected;
use testkit::{Server, append, stream, wait_until};
use uuid::Uuid;

/// A model that no table of prices has.
const MODEL: &str = "model-of-no-table";
const AGENT: &str = "writer";

/// Well-formed events that cannot be applied: a task is started twice without having been submitted. Returns their positions.
async fn poison(installation: &Installation) -> Vec<String> {
    let rooms = installation.database.rooms().await;
    rooms.log.append(append(vec![stream(Uuid::now_v7(), Expected::Any, 2)])).await.unwrap();
    rooms.close().await.unwrap();
    installation.texts("select e.position::text from apex.events e where e.category = 'task' order by e.position").await
}

/// An agent with a memory, and a call of it that has no price.
async fn fill(server: &Server) {
    let registered = command(server, "registerAgent", json!({ "name": AGENT }), "agent { id }").await;
    let agent = &registered["agent"]["id"];
    let memory = json!({ "agentId": agent, "content": "Notes are in CHANGELOG.md.", "tags": ["docs"] });
    command(server, "storeMemory", memory, "position").await;
    let usage = json!({ "input": 1_000_000, "output": 500_000 });
    let call = json!({ "agentId": agent, "provider": "acme", "model": MODEL, "usage": usage });
    let called = command(server, "reportCall", call, "position").await;
    let query = "query ($position: Position) { usageReport(minPosition: $position) { total { unpricedCalls } }
        agents(minPosition: $position) { nodes { id } } memories(minPosition: $position) { nodes { id } } }";
    let shown = server.graphql(query, json!({ "position": called["position"] })).await;
    assert_eq!(shown["usageReport"]["total"]["unpricedCalls"], 1, "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_is_managed_on_the_page() {
    let installation = Installation::new().await;
    let parked = poison(&installation).await;
    let server = installation.serve_open().await;
    fill(&server).await;
    wait_until("the events are parked", async || {
        installation.texts("select position::text from apex.parked_events").await.len() == parked.len()
    })
    .await;
    let mut program = node("manage.mjs");
    program.args([server.address.as_str(), AGENT, MODEL, &parked[0], &parked[1]]);
    // Its lines say how far it is.
    let seen = drive(program, async |_line| ()).await;

    for none in ["errors", "foreign", "violations", "sideways"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    let expected = json!({ "sameCommand": true, "accounts": 1, "secret": true, "secretGone": true, "invitation": true,
        "noRedelivery": true, "waits": true, "retried": true, "skipped": true, "command": true, "difference": "$2.25",
        "forgotten": true, "limited": true });
    assert_eq!(seen["done"], expected, "{seen}");

    // The log has what the browser did, once, with the reasons that were given.
    let query = "query ($types: [String!]) { events(filter: { types: $types }) { nodes { type payloadText } } }";
    let types = ["service_account.created", "api_key.revoked", "memory.forgotten"];
    let events = server.graphql(query, json!({ "types": types })).await["events"]["nodes"].take();
    let found: Vec<_> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(found, types, "{events}");
    for (event, reason) in [(1_usize, "only for the test"), (2, "it is out of date")] {
        assert!(events[event]["payloadText"].as_str().unwrap().contains(reason), "{events}");
    }
    drop(server.terminate().await);
}
