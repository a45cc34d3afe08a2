//! The page of the log in a real browser: events, one event, what an object was at any position, and what a reader may not see.

use crate::graphql::command;
use crate::identities::Installation;
use crate::page::{drive, node};
use serde_json::{Value, json};
use testkit::{Server, tenant};

/// An agent that was registered, activated, paused and resumed.
async fn agent_with_a_history(server: &Server) -> Value {
    let registered = command(server, "registerAgent", json!({ "name": "writer" }), "agent { id uuid }").await;
    let agent = registered["agent"].clone();
    command(server, "activateAgent", json!({ "id": agent["id"] }), "position").await;
    change(server, &agent, "pause").await;
    change(server, &agent, "resume").await;
    agent
}

/// Pauses the agent, or resumes it.
async fn change(server: &Server, agent: &Value, word: &str) {
    let (field, input) = match word {
        "pause" => ("pauseAgent", json!({ "id": agent["id"], "reason": "a reason to read" })),
        "resume" => ("resumeAgent", json!({ "id": agent["id"] })),
        other => panic!("the browser's program says {other:?}"),
    };
    command(server, field, input, "position").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_read_the_log_and_see_what_an_object_was_at_any_position() {
    let installation = Installation::new().await;
    let server = installation.serve_open(&[]).await;
    let viewer = installation.key(tenant().as_str(), "viewer", &[]).await;
    let agent = agent_with_a_history(&server).await;
    let mut program = node("audit.mjs");
    program.args([server.address.as_str(), agent["uuid"].as_str().unwrap(), &viewer]);
    let seen = drive(program, async |word| change(&server, &agent, word).await).await;

    for none in ["errors", "foreign", "violations", "sideways"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    for holds in ["unknown", "noActor", "eventHasFocus", "focusIsKept", "related", "badPosition"] {
        assert_eq!(seen[holds], true, "{holds}: {seen}");
    }
    assert_eq!((&seen["saysWhatIsHidden"], &seen["hidesReason"]), (&json!(true), &json!(true)), "{seen}");
    // The newest first; the counts are those of the whole table, with its head.
    assert_eq!(seen["types"], json!(["agent.resumed", "agent.paused", "agent.activated", "agent.registered"]));
    assert_eq!(seen["counts"], json!(["5", "5"]));
    // The states that the slider went through, and what changed between two of them.
    assert_eq!(seen["statuses"], json!(["paused", "active"]));
    assert!(seen["spoken"].as_str().unwrap().starts_with("Version 1 of 4, agent.registered"), "{seen}");
    assert_eq!((&seen["between"], &seen["changed"]), (&json!(2), &json!(["paused", "active"])), "{seen}");
    // Nothing comes while the list is paused, and nothing is missing afterwards.
    assert_eq!((&seen["whilePaused"], &seen["afterPause"]), (&json!(5), &json!(7)), "{seen}");
    // Of a long table, few rows are drawn, and the keys reach the last one. How fast it scrolls is printed, and asserted nowhere.
    let long = &seen["long"];
    println!("a table of 100,000 rows scrolls: {long}");
    assert!(long["mostRows"].as_u64().unwrap() < 100, "{long}");
    assert_eq!((&long["lastRow"], &long["focusStays"]), (&json!("100001"), &json!(true)), "{long}");
    drop(server.terminate().await);
}
