//! Audit: `apex replay`, and states as of every earlier position.

use apex::rooms::Rooms;
use commands::Context;
use domain::agent::{Agent, AgentCommand, Profile};
use domain::memory::{Memory, MemoryCommand, Realm};
use domain::task::{TaskCommand, TaskSpec};
use domain::{AgentId, Body, Labels, TaskId};
use serde_json::{Value, json};
use testkit::{TestDatabase, at, name, tenant};
use uuid::Uuid;

fn context() -> Context {
    testkit::context(tenant(), "test", Uuid::now_v7())
}

/// An agent, a task and a memory that are changed in turn, with the state of each after each of its events.
struct History {
    agent: Vec<(u64, &'static str)>,
    task: Vec<(u64, Value)>,
    memory: Vec<(u64, Value)>,
    ids: [Uuid; 3],
}

async fn history(rooms: &Rooms) -> History {
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let agent_id = AgentId(ids[0]);
    let mut history = History { agent: vec![], task: vec![], memory: vec![], ids };
    let profile = Profile { name: name("ada"), kind: None, model: None, labels: Labels::default() };
    let spec = TaskSpec { title: name("work"), agent_id, dag_id: None };
    let agents = [
        (AgentCommand::Register { profile, at: at(0) }, "registered"),
        (AgentCommand::Activate { at: at(1) }, "active"),
        (AgentCommand::Pause { reason: None, at: at(5) }, "paused"),
        (AgentCommand::Retire { reason: None, at: at(6) }, "retired"),
    ];
    let tasks = [
        (TaskCommand::Submit { spec, at: at(2) }, json!(["submitted", 0])),
        (TaskCommand::Start { at: at(3) }, json!(["running", 0])),
        (TaskCommand::Progress { percent: 40, note: None, at: at(4) }, json!(["running", 40])),
        (TaskCommand::Complete { result: None, at: at(5) }, json!(["completed", 100])),
    ];
    let content = Body::new("tea at four").unwrap();
    let memories = [
        (MemoryCommand::Store { agent_id, content, tags: vec![], at: at(1) }, json!(["private", 0, false])),
        (MemoryCommand::Share { realm: Realm::Village, at: at(2) }, json!(["village", 0, false])),
        (MemoryCommand::Recall { agent_id, at: at(3) }, json!(["village", 1, false])),
        (MemoryCommand::Forget { reason: None, at: at(4) }, json!(["village", 1, true])),
    ];
    // The agent must be active while the task runs: its first two commands come first, the others last.
    let mut agents = agents.into_iter();
    let mut step = async |(command, status)| {
        let outcome = rooms.commands.execute::<Agent>(&context(), ids[0], command).await.unwrap();
        history.agent.push((outcome.position.get(), status));
    };
    for _ in 0..2 {
        step(agents.next().unwrap()).await;
    }
    for ((task, task_state), (memory, memory_state)) in tasks.into_iter().zip(memories) {
        let outcome = rooms.commands.execute_task(&context(), TaskId(ids[1]), task).await.unwrap();
        history.task.push((outcome.position.get(), task_state));
        let outcome = rooms.commands.execute::<Memory>(&context(), ids[2], memory).await.unwrap();
        history.memory.push((outcome.position.get(), memory_state));
    }
    for rest in agents {
        let outcome = rooms.commands.execute::<Agent>(&context(), ids[0], rest.0).await.unwrap();
        history.agent.push((outcome.position.get(), rest.1));
    }
    history
}

/// The expected state at a position: the state after the last event up to that position.
fn state_at<T: Clone>(states: &[(u64, T)], position: u64) -> Option<T> {
    states.iter().rev().find(|(at, _)| *at <= position).map(|(_, state)| state.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_a_task_and_a_memory_are_read_as_of_every_position() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let history = history(&rooms).await;
    rooms.close().await.unwrap();
    assert_eq!(database.head().await, 12);
    let server = database.serve(&[]).await;
    let [agent, task, memory] = history.ids;
    let query = "query ($agent: ID!, $task: ID!, $memory: ID!, $asOf: AsOf!) {
        agent(id: $agent, asOf: $asOf) { status }
        task(id: $task, asOf: $asOf) { status progressPercent }
        memory(id: $memory, asOf: $asOf) { realm recalls forgottenAt }
    }";
    for position in 0..=12 {
        let as_of = json!({ "position": position.to_string() });
        let seen = server.graphql(query, json!({"agent": agent, "task": task, "memory": memory, "asOf": as_of})).await;
        let status = seen["agent"]["status"].as_str().map(str::to_lowercase);
        assert_eq!(status.as_deref(), state_at(&history.agent, position), "agent at {position}");
        let found = seen["task"]
            .as_object()
            .map(|task| json!([task["status"].as_str().unwrap().to_lowercase(), task["progressPercent"]]));
        assert_eq!(found, state_at(&history.task, position), "task at {position}");
        let found = seen["memory"].as_object().map(|memory| {
            let recalls: u64 = memory["recalls"].to_string().trim_matches('"').parse().unwrap();
            json!([memory["realm"].as_str().unwrap().to_lowercase(), recalls, !memory["forgottenAt"].is_null()])
        });
        assert_eq!(found, state_at(&history.memory, position), "memory at {position}");
    }
    server.kill().await;

    for (position, state) in &history.task {
        let stream = format!("task/{task}");
        let output =
            database.run(&["replay", "--stream", &stream, "--as-of", &position.to_string()]).await.assert_success();
        assert_eq!(json!([output.json()["state"]["status"], output.json()["state"]["percent"]]), *state);
    }
    let before = database.run(&["replay", "--stream", &format!("task/{task}"), "--as-of", "1"]).await;
    assert_eq!(before.code, Some(1));
    assert!(before.stderr.contains("had no events at that time"), "{}", before.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_prints_the_selected_events() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let history = history(&rooms).await;
    rooms.close().await.unwrap();
    let lines = async |arguments: &[&str]| {
        let output = database.run(&[&["replay"], arguments].concat()).await.assert_success();
        output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = lines(&[]).await;
    assert_eq!(
        all.iter().map(|event| event["position"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=12).collect::<Vec<_>>()
    );
    assert_eq!(lines(&["--from", "3", "--to", "5"]).await, all[2..5]);
    let stream = format!("memory/{}", history.ids[2]);
    let own = lines(&["--stream", &stream]).await;
    let types: Vec<_> = own.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["memory.stored", "memory.shared", "memory.recalled", "memory.forgotten"]);
    assert_eq!(lines(&["--from", all[4]["recorded_at"].as_str().unwrap()]).await, all[4..]);
    for (bad, reason) in [("nobody/1", "no category"), ("agent/x", "not a UUID"), ("agent", "CATEGORY/ID")] {
        let output = database.run(&["replay", "--stream", bad]).await;
        assert_eq!(output.code, Some(2));
        assert!(output.stderr.contains(reason), "{}", output.stderr);
    }
    let unknown = format!("agent/{}", Uuid::nil());
    let output = database.run(&["replay", "--stream", &unknown]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("has no events"), "{}", output.stderr);
}
