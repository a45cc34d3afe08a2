//! Command ids: when a command is a retry, when it is another command, and which event ids follow.

use crate::graphql::command;
use commands::{Context, Error, OutcomeKind};
use domain::agent::{Agent, AgentCommand, Profile};
use domain::{Labels, TenantId};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use streams::{Position, ReadFilter, RequestHash};
use testkit::{Server, TestDatabase, at, name, tenant};
use uuid::Uuid;

const RESULT_FIELDS: &str = "outcome position error { code message }";

async fn head(server: &Server) -> Value {
    server.graphql("{ head }", json!({})).await["head"].take()
}

/// Asserts that a command is refused because its id was used for another one, and that nothing is written.
async fn assert_reused_id_refused(server: &Server, field: &str, input: Value) {
    let before = head(server).await;
    let payload = command(server, field, input.clone(), RESULT_FIELDS).await;
    assert_eq!(payload["outcome"], "REJECTED", "{field}({input}): {payload}");
    assert_eq!(payload["error"]["code"], "COMMAND_ID_REUSED", "{field}({input}): {payload}");
    assert_eq!(head(server).await, before, "{field}({input})");
}

/// Asserts that a command is a duplicate with the position of the first execution.
async fn assert_duplicate(server: &Server, field: &str, input: Value, first: &Value) {
    let payload = command(server, field, input.clone(), RESULT_FIELDS).await;
    assert_eq!(payload["outcome"], "DUPLICATE", "{field}({input}): {payload}");
    assert_eq!(payload["position"], first["position"], "{field}({input})");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_id_reused_for_a_different_command_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let with = |mut input: Value, field: &str, value: Value| {
        input[field] = value;
        input
    };
    // A command that creates an aggregate.
    let register = json!({ "commandId": Uuid::new_v4(), "name": "ada", "at": "2026-01-01T00:00:00Z" });
    let ada = command(&server, "registerAgent", register.clone(), "outcome position agent { id }").await;
    let id = ada["agent"]["id"].clone();
    assert_duplicate(&server, "registerAgent", register.clone(), &ada).await;
    assert_duplicate(&server, "registerAgent", with(register.clone(), "kind", Value::Null), &ada).await;
    assert_reused_id_refused(&server, "registerAgent", with(register.clone(), "name", json!("bob"))).await;
    assert_reused_id_refused(&server, "registerAgent", with(register.clone(), "at", json!("2026-01-02T00:00:00Z")))
        .await;
    assert_reused_id_refused(&server, "activateAgent", json!({ "commandId": register["commandId"], "id": id })).await;

    // A command that changes an aggregate.
    let activate = json!({ "commandId": Uuid::new_v4(), "id": id });
    let activated = command(&server, "activateAgent", activate.clone(), RESULT_FIELDS).await;
    assert_duplicate(&server, "activateAgent", activate.clone(), &activated).await;
    assert_reused_id_refused(&server, "activateAgent", with(activate.clone(), "expectedVersion", json!(1))).await;
    assert_reused_id_refused(&server, "retireAgent", activate.clone()).await;
    let bob = command(&server, "registerAgent", json!({ "name": "bob" }), "agent { id }").await;
    assert_reused_id_refused(&server, "activateAgent", with(activate, "id", bob["agent"]["id"].clone())).await;

    // The id decides before the state does: the agent is paused already.
    let pause = json!({ "commandId": Uuid::new_v4(), "id": id, "reason": "lunch" });
    let paused = command(&server, "pauseAgent", pause.clone(), RESULT_FIELDS).await;
    assert_duplicate(&server, "pauseAgent", pause.clone(), &paused).await;
    assert_reused_id_refused(&server, "pauseAgent", with(pause, "reason", json!("tea"))).await;

    // Another report of a call needs its own command id.
    let usage = |input: u64| json!({ "input": input });
    let report = json!({ "commandId": Uuid::new_v4(), "callKey": "a", "model": "m", "usage": usage(1) });
    let reported = command(&server, "reportCall", report.clone(), RESULT_FIELDS).await;
    assert_duplicate(&server, "reportCall", report.clone(), &reported).await;
    assert_reused_id_refused(&server, "reportCall", with(report, "usage", usage(2))).await;
}

/// One command id for two new aggregates is two commands, and consumers that deduplicate by event id keep both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_id_for_two_new_calls_is_two_commands_with_distinct_event_ids() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let id = Uuid::new_v4();
    let report = |key: &str| json!({ "commandId": id, "callKey": key, "model": "m" });
    for key in ["a", "b"] {
        let reported = command(&server, "reportCall", report(key), RESULT_FIELDS).await;
        assert_eq!(reported["outcome"], "DONE", "{reported}");
        assert_duplicate(&server, "reportCall", report(key), &reported).await;
    }
    let ids: Vec<Uuid> = sqlx::query_scalar("select event_id from apex.events where category = 'call'")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "a consumer that deduplicates by event id would lose one");
}

/// The id was used for another aggregate, even one that the command depends on: it is a new command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_id_for_an_agent_and_its_task_is_two_commands() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let (created, changed) = (Uuid::new_v4(), Uuid::new_v4());
    let register = json!({ "commandId": created, "name": "ada" });
    let ada = command(&server, "registerAgent", register, "outcome agent { id }").await["agent"]["id"].clone();
    command(&server, "activateAgent", json!({ "commandId": changed, "id": ada }), RESULT_FIELDS).await;
    for id in [created, changed] {
        let submit = json!({ "commandId": id, "title": "t", "agentId": ada });
        let submitted = command(&server, "submitTask", submit.clone(), RESULT_FIELDS).await;
        assert_eq!(submitted["outcome"], "DONE", "{submitted}");
        assert_duplicate(&server, "submitTask", submit, &submitted).await;
    }
}

fn register(text: &str) -> AgentCommand {
    AgentCommand::Register {
        profile: Profile { name: name(text), kind: None, model: None, labels: Labels::default() },
        at: at(0),
    }
}

#[tokio::test]
async fn equal_commands_of_two_tenants_have_distinct_event_ids() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (id, command_id) = (Uuid::now_v7(), Uuid::new_v4());
    let tenants: [TenantId; 2] = [tenant(), "other".parse().unwrap()];
    for tenant in tenants {
        let context = testkit::context(tenant, "test", command_id);
        let outcome = rooms.commands.execute::<Agent>(&context, id, register("ada")).await.unwrap();
        assert_eq!(outcome.kind, OutcomeKind::Done);
    }
    let events = rooms.log.read_after(Position::ZERO, &ReadFilter::default(), 10).await.unwrap();
    let ids: BTreeSet<_> = events.iter().map(|event| event.event_id).collect();
    assert_eq!((events.len(), ids.len()), (2, 2));
}

/// Two different requests with one command id at the same time, in one process and in two: one is executed, and the
/// others are duplicates of it or refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_requests_with_one_command_id_only_one_is_executed() {
    let database = TestDatabase::new().await;
    let rooms = [database.rooms().await, database.rooms().await];
    for round in 0..20 {
        let (id, command_id) = (Uuid::now_v7(), Uuid::new_v4());
        let sent = (0..8).map(|n| {
            let request = Some(RequestHash::of(&[u8::try_from(n % 2).unwrap()]));
            let context = Context { request, ..testkit::context(tenant(), "test", command_id) };
            let commands = rooms[n / 2 % 2].commands.clone();
            async move { commands.execute::<Agent>(&context, id, register(&format!("agent {}", n % 2))).await }
        });
        let answers = join_all(sent).await;
        let is_done = |answer: &&Result<commands::Outcome<Agent>, _>| {
            answer.as_ref().is_ok_and(|outcome| outcome.kind == OutcomeKind::Done)
        };
        assert_eq!(answers.iter().filter(is_done).count(), 1, "round {round}: {answers:?}");
        let won = answers.iter().position(|answer| is_done(&answer)).unwrap() % 2;
        for (n, answer) in answers.iter().enumerate() {
            match answer {
                Ok(_) => assert_eq!(n % 2, won, "round {round}: {answers:?}"),
                Err(Error::CommandIdReused) => assert_ne!(n % 2, won, "round {round}: {answers:?}"),
                Err(error) => panic!("round {round}: {error:?}"),
            }
        }
    }
    assert_eq!(rooms[0].log.head().await.unwrap().get(), 20);
}

/// A request without a hash, as from an importer, or with a hash of an unknown version, counts as a retry.
#[tokio::test]
async fn a_retry_with_an_unknown_request_hash_is_a_duplicate() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    for (first, second) in [(None, Some(b"x")), (Some(b"x"), None)] {
        let (id, command_id) = (Uuid::now_v7(), Uuid::new_v4());
        for (request, kind) in [(first, OutcomeKind::Done), (second, OutcomeKind::Duplicate)] {
            let request = request.map(|request| RequestHash::of(request));
            let context = Context { request, ..testkit::context(tenant(), "test", command_id) };
            let outcome = rooms.commands.execute::<Agent>(&context, id, register("ada")).await.unwrap();
            assert_eq!(outcome.kind, kind);
        }
    }
    let kept = "update apex.streams set first_request = set_byte(first_request, 0, 9) where first_request is not null";
    sqlx::query(kept).execute(&mut database.owner().await).await.unwrap();
    let (command_id, id): (Uuid, Uuid) =
        sqlx::query_as("select first_command, stream_id from apex.streams where first_request is not null")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    let request = Some(RequestHash::of(b"another"));
    let context = Context { request, ..testkit::context(tenant(), "test", command_id) };
    let outcome = rooms.commands.execute::<Agent>(&context, id, register("ada")).await.unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Duplicate, "a hash of an unknown version is not compared");
}
