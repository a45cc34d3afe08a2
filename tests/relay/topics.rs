//! Topics and messages: misconfigured topics are reported, and every event that the log accepts fits into a message.

use crate::block_on;
use crate::fixture::{Fixture, consume_topics, consumer};
use crate::worker::Job;
use projections::StateTopic;
use rand::distr::{Alphanumeric, SampleString};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use streams::relay::{StateTable, republish_from};
use streams::{AppendError, Expected, InvalidAppend, StreamAppend};
use testkit::{Server, TIMEOUT, Trials, append, event, sample, send_signal, trials, wait_until, wait_until_stopped};
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

pub(crate) const TRIALS: Trials = trials![
    misconfigured_topics_are_reported,
    the_largest_event_is_published_and_a_larger_one_is_refused,
    state_topics_have_the_rows_of_the_read_models,
    a_deleted_state_topic_is_refilled,
    a_row_that_changes_while_it_is_sent_is_sent_again,
    a_resumed_state_relay_sends_no_older_row,
    planted_state_relays_without_a_fence_are_detected,
];

fn misconfigured_topics_are_reported() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &fixture.brokers).create().unwrap();
        let (task, call) = (format!("{}.task", fixture.prefix), format!("{}.call", fixture.prefix));
        let topics = [
            NewTopic::new(&task, 2, TopicReplication::Fixed(1)).set("cleanup.policy", "compact"),
            NewTopic::new(&call, 2, TopicReplication::Fixed(1)).set("max.message.bytes", "900000"),
        ];
        for made in admin.create_topics(&topics, &AdminOptions::new()).await.unwrap() {
            made.unwrap();
        }
        let arguments = ["relay", "--kafka-brokers", &fixture.brokers, "--kafka-topic-prefix", &fixture.prefix];
        let mut relay = fixture.database.apex(&arguments).spawn().unwrap();
        let mut said = BufReader::new(relay.stderr.take().unwrap()).lines();
        for (topic, setting, found, change) in
            [(&task, "cleanup.policy", "compact", "delete"), (&call, "max.message.bytes", "900000", "1048588")]
        {
            let message = format!("topic {topic} has {setting}={found}, but ");
            tokio::time::timeout(TIMEOUT, async {
                while !said.next_line().await.unwrap().expect("the relay exited").contains(&message) {}
            })
            .await
            .unwrap_or_else(|_| panic!("the relay does not report: {message}"));
            let fitting = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(setting, change);
            admin.alter_configs([&fitting], &AdminOptions::new()).await.unwrap();
        }
        fixture.append(1).await;
        fixture.verify().await;
    });
}

fn the_largest_event_is_published_and_a_larger_one_is_refused() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let of_size = |bytes: usize| {
            let mut large = append(vec![]);
            let metadata = serde_json::to_string(&large.metadata).unwrap().len();
            // Random, so that it cannot be compressed.
            let note_bytes = bytes - metadata - event("").payload.len();
            let text = Alphanumeric.sample_string(&mut rand::rng(), note_bytes);
            let events = vec![event(&text)];
            large.streams =
                vec![StreamAppend { category: "task".into(), id: Uuid::new_v4(), expected: Expected::Any, events }];
            large
        };
        let refused = fixture.log.append(of_size(900_001)).await;
        assert!(
            matches!(refused, Err(AppendError::Invalid(InvalidAppend::EventTooLarge { limit_bytes: 900_000, .. }))),
            "{refused:?}"
        );
        for _ in 0..3 {
            fixture.log.append(of_size(900_000)).await.unwrap();
        }
        let _relay = fixture.job().start();
        wait_until("the relay publishes", async || fixture.checkpoint().await.get() > 0).await;
        assert_eq!(fixture.verify().await, 3);
    });
}

/// The last row of each key, and the keys with a tombstone.
fn rows_and_tombstones(messages: &[(i32, String, Vec<u8>)]) -> (BTreeMap<String, Value>, BTreeSet<&String>) {
    let (mut rows, mut deleted) = (BTreeMap::new(), BTreeSet::new());
    for (_, key, payload) in messages {
        if payload.is_empty() {
            rows.remove(key);
            deleted.insert(key);
        } else {
            rows.insert(key.clone(), serde_json::from_slice(payload).unwrap());
        }
    }
    (rows, deleted)
}

fn state_topics_have_the_rows_of_the_read_models() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let arguments = ["--kafka-brokers", &fixture.brokers, "--kafka-topic-prefix", &fixture.prefix];
        let server = fixture.database.serve(&[&arguments[..], &["--kafka-state-topics"]].concat()).await;
        // Two calls, and a record that voids one of them into the other.
        let report = "mutation ($key: String, $id: String) {
            reportCall(input: { callKey: $key, responseId: $id, model: \"m\" }) { outcome } }";
        for keys in [json!({ "key": "k" }), json!({ "id": "msg_k" }), json!({ "key": "k", "id": "msg_k" })] {
            assert_eq!(server.graphql(report, keys).await["reportCall"]["outcome"], "DONE");
        }
        for (format, file) in [("claude-code", "claude-code.jsonl"), ("otlp", "otlp.json")] {
            fixture.database.run(&["import", format, &sample(file)]).await.assert_success();
        }
        let head = fixture.log.head().await.unwrap().as_i64();
        let reached = "select count(*) = 4 from apex.checkpoints where name like 'state:%' and position >= $1";
        wait_until("all states are published", async || {
            sqlx::query_scalar(reached).bind(head).fetch_one(&fixture.database.pool).await.unwrap()
        })
        .await;
        for StateTopic { table: StateTable { name, id, .. }, schema } in projections::state_topics() {
            let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            let topic = format!("{}.state.{name}", fixture.prefix);
            let brokers = fixture.brokers.clone();
            let messages = tokio::task::spawn_blocking(move || consume_topics(&brokers, &[topic])).await.unwrap();
            let (last, deleted) = rows_and_tombstones(&messages);
            assert_eq!(deleted.len(), usize::from(name == "calls"), "{name}: {deleted:?}");
            let sql = format!("select tenant_id || '/' || {id}, to_jsonb(t) - 'words' from apex.{name} t");
            let mut rows: BTreeMap<String, Value> = sqlx::query_as(AssertSqlSafe(sql))
                .fetch_all(&fixture.database.pool)
                .await
                .unwrap()
                .into_iter()
                .collect();
            if name == "calls" {
                let sql = "select tenant_id || '/' || call_id, cost::text, reported_cost::text from apex.calls";
                let costs: Vec<(String, Option<String>, Option<String>)> =
                    sqlx::query_as(sql).fetch_all(&fixture.database.pool).await.unwrap();
                assert!(costs.iter().any(|(_, cost, _)| cost.is_some()), "no call has a cost, so nothing was tested");
                for (key, cost, reported_cost) in costs {
                    let row = rows.get_mut(&key).unwrap();
                    (row["cost"], row["reported_cost"]) = (cost.into(), reported_cost.into());
                }
            }
            assert!(name == "memories" || name == "tasks" || !rows.is_empty(), "no {name}, so nothing was tested");
            assert_eq!(last, rows, "{name}");
            // The published schema accepts the row, and no further field.
            for row in last.values() {
                let errors: Vec<_> = schema.iter_errors(row).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{name}: {errors:#?}");
                let mut other = row.clone();
                other["more"] = 1.into();
                assert!(!schema.is_valid(&other), "{name}");
            }
        }
    });
}

/// Registers an agent. Returns its id.
async fn register(server: &Server, name: &str) -> Value {
    let register = "mutation ($name: String!) { registerAgent(input: { name: $name }) { agent { id } } }";
    server.graphql(register, json!({ "name": name })).await["registerAgent"]["agent"]["id"].take()
}

/// The rows in the state topic of agents, in the order of its messages.
async fn agents(fixture: &Fixture) -> Vec<Value> {
    let (topic, brokers) = (format!("{}.state.agents", fixture.prefix), fixture.brokers.clone());
    let messages = tokio::task::spawn_blocking(move || consume_topics(&brokers, &[topic])).await.unwrap();
    messages.iter().map(|(_, _, row)| serde_json::from_slice(row).unwrap()).collect()
}

async fn wait_for_state(fixture: &Fixture) {
    let head = fixture.log.head().await.unwrap().as_i64();
    let reached = "select count(*) = 1 from apex.checkpoints where name = 'state:agents' and position >= $1";
    wait_until("the rows are published", async || {
        sqlx::query_scalar(reached).bind(head).fetch_one(&fixture.database.pool).await.unwrap()
    })
    .await;
}

fn a_deleted_state_topic_is_refilled() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let server = fixture.database.serve(&[]).await;
        let _relay = Job { relays_state: true, ..fixture.job() }.start();
        register(&server, "first").await;
        wait_for_state(&fixture).await;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &fixture.brokers).create().unwrap();
        let topic = format!("{}.state.agents", fixture.prefix);
        admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        // The broker deletes it in the background: until then, it may still accept a row.
        wait_until("the topic is deleted", async || {
            let (topic, brokers) = (topic.clone(), fixture.brokers.clone());
            let is_deleted = move || {
                let found = consumer(&brokers).fetch_metadata(Some(&topic), TIMEOUT);
                found.is_ok_and(|found| found.topics()[0].partitions().is_empty())
            };
            tokio::task::spawn_blocking(is_deleted).await.unwrap()
        })
        .await;
        register(&server, "second").await;
        wait_for_state(&fixture).await;
        let rows = agents(&fixture).await;
        let names: BTreeSet<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, BTreeSet::from(["first", "second"]));
    });
}

/// The row changes without an event, as by a decision about a parked one; republishing leaves the relay's position where
/// it is.
fn a_row_that_changes_while_it_is_sent_is_sent_again() {
    block_on(async {
        let mut fixture = Fixture::shared().await;
        fixture.database = fixture.database.unverified();
        let server = fixture.database.serve(&[]).await;
        let job = Job { relays_state: true, stop_at: Some("state_read".to_owned()), ..fixture.job() };
        let relay = job.start();
        register(&server, "before").await;
        wait_until_stopped(relay.id().unwrap()).await;
        let pool = &fixture.database.pool;
        sqlx::query("update apex.agents set name = 'after'").execute(pool).await.unwrap();
        assert!(republish_from(pool, 1.into()).await.unwrap());
        send_signal(relay.id().unwrap(), Signal::CONT);
        wait_until("the row is sent again", async || {
            agents(&fixture).await.last().is_some_and(|row| row["name"] == "after")
        })
        .await;
        wait_for_state(&fixture).await;
    });
}

/// Stops a relay between reading and sending a row, and resumes it after its successor has sent a newer row. Returns
/// whether it sent the older row.
async fn sends_older_row(has_bug: bool) -> bool {
    let fixture = Fixture::shared().await;
    let server = fixture.database.serve(&[]).await;
    let id = register(&server, "reader").await;
    let job = Job { relays_state: true, has_bug, ..fixture.job() };
    let first = Job { stop_at: Some("state_read".to_owned()), ..job.clone() }.start();
    wait_until_stopped(first.id().unwrap()).await;

    let activate = "mutation ($id: ID!) { activateAgent(input: { id: $id }) { outcome } }";
    server.graphql(activate, json!({ "id": id })).await;
    // The first relay holds the leader lock until its session ends.
    let end = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
               and database = (select oid from pg_database where datname = current_database())";
    let mut owner = fixture.database.owner().await;
    let _second = job.start();
    sqlx::query(end).execute(&mut owner).await.unwrap();
    wait_for_state(&fixture).await;
    send_signal(first.id().unwrap(), Signal::CONT);
    if has_bug {
        // Without a fence, the first relay sends the older row.
        wait_until("the older row is sent", async || {
            agents(&fixture).await.last().is_some_and(|row| row["status"] == "registered")
        })
        .await;
    } else {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let rows = agents(&fixture).await;
    assert!(rows.iter().any(|row| row["status"] == "active"), "the newer row was not sent, so nothing was tested");
    rows.last().unwrap()["status"] == "registered"
}

fn a_resumed_state_relay_sends_no_older_row() {
    assert!(!block_on(sends_older_row(false)));
}

fn planted_state_relays_without_a_fence_are_detected() {
    assert!(block_on(sends_older_row(true)));
}
