//! The pages of tasks and task graphs, in a real browser.

use crate::graphql::{agent, command};
use crate::page::{drive, node};
use crate::reservations::set_price;
use crate::users::{Installation, text};
use serde_json::{Value, json};
use testkit::Server;

const DAG: &str = "018bd12c-58b0-7683-8a5b-8752d0e86651";

async fn submit(server: &Server, agent: &str, title: &str) -> Value {
    let input = json!({ "agentId": agent, "title": title, "dagId": DAG });
    command(server, "submitTask", input, "position task { id uuid }").await
}

/// A task graph of two agents with a task in each status, of which the completed one has a call. Returns what submitted the
/// completed task, and the one that waits.
async fn fill(server: &Server) -> (Value, Value) {
    set_price(server).await;
    let (writer, planner) = (agent(server, "writer").await, agent(server, "planner").await);
    let completed = submit(server, &writer, "Collect the changes").await;
    let running = submit(server, &planner, "Write the release notes").await;
    let failed = submit(server, &writer, "Check all links").await;
    let cancelled = submit(server, &planner, "Ask for a review of the text").await;
    let waiting = submit(server, &writer, "Publish").await;
    let id = |submitted: &Value| submitted["task"]["id"].clone();
    for (field, input) in [
        ("startTask", json!({ "id": id(&completed) })),
        ("completeTask", json!({ "id": id(&completed), "result": "12 changes" })),
        ("startTask", json!({ "id": id(&running) })),
        ("reportTaskProgress", json!({ "id": id(&running), "percent": 30, "note": "the first chapter" })),
        ("failTask", json!({ "id": id(&failed), "error": "three links are dead" })),
        ("cancelTask", json!({ "id": id(&cancelled), "reason": "nobody is there" })),
    ] {
        let done = command(server, field, input, "outcome error { message }").await;
        assert_eq!(done["outcome"], "DONE", "{field}: {done}");
    }
    let call = json!({ "agentId": writer, "taskId": id(&completed), "dagId": DAG, "provider": "p", "model": "m",
        "usage": { "output": 3_000_000 } });
    let called = command(server, "reportCall", call, "position").await;
    // The page would wait for it too; what is shown first is shown at once then.
    let query = "query ($position: Position, $dag: ID!) { tasks(filter: { dagId: $dag }, minPosition: $position) { nodes { id } }
        usageReport(minPosition: $position) { total { cost } } }";
    let shown = server.graphql(query, json!({ "position": called["position"], "dag": DAG })).await;
    assert_eq!(shown["usageReport"]["total"]["cost"], "3", "{shown}");
    (completed, waiting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_find_tasks_see_them_as_they_were_and_command_them_once() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    let (completed, waiting) = fill(&server).await;
    let reader = installation.user(&server, "bob@example.org", "viewer").await;
    let mut program = node("work.mjs");
    program.args([
        server.address.as_str(),
        DAG,
        text(&completed["task"], "uuid"),
        text(&waiting["task"], "uuid"),
        text(&completed, "position"),
        text(&reader, "accessToken"),
    ]);
    let seen = drive(program, async |line| assert!(line.is_empty(), "the browser's program says {line:?}")).await;
    let expected = json!({ "errors": [], "foreign": [], "violations": [], "sideways": [], "filtered": "running", "needed": true,
        "submitted": true, "reasonNeeded": true, "sentAgain": true, "offered": 0, "badPosition": true, "travelled": true,
        "zoomed": true, "nodes": 6, "walked": true, "readerIsOffered": 0 });
    assert_eq!(seen, expected);

    // The log has what the browser did, and the command that was sent twice has one event.
    let query = "query ($task: ID!, $dag: ID!) { events(filter: { streamId: $task }) { nodes { type payloadText } }
        tasks(filter: { dagId: $dag }) { nodes { title status } } }";
    let found = server.graphql(query, json!({ "task": waiting["task"]["uuid"], "dag": DAG })).await;
    let events = found["events"]["nodes"].as_array().unwrap();
    let types: Vec<_> = events.iter().map(|event| text(event, "type")).collect();
    assert_eq!(types, ["task.submitted", "task.started", "task.cancelled"]);
    assert!(text(&events[2], "payloadText").contains("checked in a browser"), "{found}");
    let last = found["tasks"]["nodes"].as_array().unwrap().last().unwrap();
    assert_eq!(last, &json!({ "title": "Thank the readers", "status": "SUBMITTED" }));
    drop(server.terminate().await);
}
