//! Command ids: what is a retry, what is another command, and which events come of it.

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

const SETTLED: &str = "outcome position error { code message }";

async fn head(server: &Server) -> Value {
    server.graphql("{ head }", json!({})).await["head"].take()
}

/// That a command is refused because its id is that of another one, and nothing is written.
async fn is_refused(server: &Server, field: &str, input: Value) {
    let before = head(server).await;
    let payload = command(server, field, input.clone(), SETTLED).await;
    assert_eq!(payload["outcome"], "REFUSED", "{field}({input}): {payload}");
    assert_eq!(payload["error"]["code"], "COMMAND_ID_REUSED", "{field}({input}): {payload}");
    assert_eq!(head(server).await, before, "{field}({input})");
}

async fn is_duplicate(server: &Server, field: &str, input: Value, first: &Value) {
    let payload = command(server, field, input.clone(), SETTLED).await;
    assert_eq!(payload["outcome"], "DUPLICATE", "{field}({input}): {payload}");
    assert_eq!(payload["position"], first["position"], "{field}({input})");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_id_that_comes_again_with_another_command_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let with = |mut input: Value, field: &str, value: Value| {
        input[field] = value;
        input
    };
    // A command that creates something.
    let register = json!({ "commandId": Uuid::new_v4(), "name": "ada", "at": "2026-01-01T00:00:00Z" });
    let ada = command(&server, "registerAgent", register.clone(), "outcome position agent { id }").await;
    let id = ada["agent"]["id"].clone();
    is_duplicate(&server, "registerAgent", register.clone(), &ada).await;
    is_duplicate(&server, "registerAgent", with(register.clone(), "kind", Value::Null), &ada).await;
    is_refused(&server, "registerAgent", with(register.clone(), "name", json!("bob"))).await;
    is_refused(&server, "registerAgent", with(register.clone(), "at", json!("2026-01-02T00:00:00Z"))).await;
    is_refused(&server, "activateAgent", json!({ "commandId": register["commandId"], "id": id })).await;

    // One that changes something.
    let activate = json!({ "commandId": Uuid::new_v4(), "id": id });
    let activated = command(&server, "activateAgent", activate.clone(), SETTLED).await;
    is_duplicate(&server, "activateAgent", activate.clone(), &activated).await;
    is_refused(&server, "activateAgent", with(activate.clone(), "expectedVersion", json!(1))).await;
    is_refused(&server, "retireAgent", activate.clone()).await;
    let bob = command(&server, "registerAgent", json!({ "name": "bob" }), "agent { id }").await;
    is_refused(&server, "activateAgent", with(activate, "id", bob["agent"]["id"].clone())).await;

    // What would be refused, or holds already, is still told apart by what was done under the id.
    let pause = json!({ "commandId": Uuid::new_v4(), "id": id, "reason": "lunch" });
    let paused = command(&server, "pauseAgent", pause.clone(), SETTLED).await;
    is_duplicate(&server, "pauseAgent", pause.clone(), &paused).await;
    is_refused(&server, "pauseAgent", with(pause, "reason", json!("tea"))).await;

    // A report of a call adds to what is known; another one needs an id of its own.
    let usage = |input: u64| json!({ "input": input });
    let report = json!({ "commandId": Uuid::new_v4(), "callKey": "a", "model": "m", "usage": usage(1) });
    let reported = command(&server, "reportCall", report.clone(), SETTLED).await;
    is_duplicate(&server, "reportCall", report.clone(), &reported).await;
    is_refused(&server, "reportCall", with(report, "usage", usage(2))).await;
}

/// One command id for two new objects is two commands: neither is lost, nor are its events taken for the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_id_for_two_new_calls_is_two_commands_with_events_of_their_own() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let id = Uuid::new_v4();
    let report = |key: &str| json!({ "commandId": id, "callKey": key, "model": "m" });
    for key in ["a", "b"] {
        let reported = command(&server, "reportCall", report(key), SETTLED).await;
        assert_eq!(reported["outcome"], "DONE", "{reported}");
        is_duplicate(&server, "reportCall", report(key), &reported).await;
    }
    let ids: Vec<Uuid> = sqlx::query_scalar("select event_id from apex.events where category = 'call'")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "whoever deduplicates by event id would lose one");
}

/// Whatever else was done under an id: what a command rests on, or another object, is not what it creates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_id_for_an_agent_and_for_what_is_created_for_it_is_two_commands() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let (created, changed) = (Uuid::new_v4(), Uuid::new_v4());
    let register = json!({ "commandId": created, "name": "ada" });
    let ada = command(&server, "registerAgent", register, "outcome agent { id }").await["agent"]["id"].clone();
    command(&server, "activateAgent", json!({ "commandId": changed, "id": ada }), SETTLED).await;
    for id in [created, changed] {
        let submit = json!({ "commandId": id, "title": "t", "agentId": ada });
        let submitted = command(&server, "submitTask", submit.clone(), SETTLED).await;
        assert_eq!(submitted["outcome"], "DONE", "{submitted}");
        is_duplicate(&server, "submitTask", submit, &submitted).await;
    }
}

fn register(text: &str) -> AgentCommand {
    AgentCommand::Register {
        profile: Profile { name: name(text), kind: None, model: None, labels: Labels::default() },
        at: at(0),
    }
}

#[tokio::test]
async fn two_tenants_have_events_of_their_own_for_equal_commands() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (id, command_id) = (Uuid::now_v7(), Uuid::new_v4());
    let tenants: [TenantId; 2] = [tenant(), "other".parse().unwrap()];
    for tenant in tenants {
        let context = Context::new(tenant, "test", command_id);
        let outcome = rooms.commands.execute::<Agent>(&context, id, register("ada")).await.unwrap();
        assert_eq!(outcome.kind, OutcomeKind::Done);
    }
    let events = rooms.log.read_after(Position::ZERO, &ReadFilter::default(), 10).await.unwrap();
    let ids: BTreeSet<_> = events.iter().map(|event| event.event_id).collect();
    assert_eq!((events.len(), ids.len()), (2, 2));
}

/// Two requests under one command id that are on their way at once, in one process and in two: one is executed, and the
/// other is told that it is another one, or held back until that is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_requests_at_once_under_one_command_id_one_is_executed() {
    let database = TestDatabase::new().await;
    let rooms = [database.rooms().await, database.rooms().await];
    for round in 0..20 {
        let (id, command_id) = (Uuid::now_v7(), Uuid::new_v4());
        let sent = (0..8).map(|n| {
            let request = Some(RequestHash::of(&[u8::try_from(n % 2).unwrap()]));
            let context = Context { request, ..Context::new(tenant(), "test", command_id) };
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

/// A request whose hash is not known, such as one of an importer, or of a program that hashed otherwise, is a retry.
#[tokio::test]
async fn what_is_not_known_of_a_request_counts_as_the_same() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    for (first, second) in [(None, Some(b"x")), (Some(b"x"), None)] {
        let (id, command_id) = (Uuid::now_v7(), Uuid::new_v4());
        for (request, kind) in [(first, OutcomeKind::Done), (second, OutcomeKind::Duplicate)] {
            let request = request.map(|request| RequestHash::of(request));
            let context = Context { request, ..Context::new(tenant(), "test", command_id) };
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
    let context = Context { request, ..Context::new(tenant(), "test", command_id) };
    let outcome = rooms.commands.execute::<Agent>(&context, id, register("ada")).await.unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Duplicate, "a hash of another version is not compared");
}
