//! Topics and messages: what does not fit is named, and all that is accepted fits.

use crate::block_on;
use crate::faults::signal;
use crate::stage::{Stage, consume_topics};
use crate::worker::Job;
use projections::StateTopic;
use rand::distr::{Alphanumeric, SampleString};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use streams::relay::{StateTable, republish_from};
use streams::{AppendError, Expected, InvalidAppend, StreamAppend};
use testkit::{Server, TIMEOUT, append, event, sample, wait_until};
use testkit::{Trials, trials};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use uuid::Uuid;

pub(crate) const TRIALS: Trials = trials![
    topics_that_do_not_fit_are_named,
    the_largest_event_is_published_and_a_larger_one_refused,
    state_topics_have_the_rows_of_the_read_models,
    a_state_topic_that_is_gone_is_filled_again,
    a_row_that_changes_while_it_is_sent_is_sent_again,
    a_state_relay_that_stood_still_sends_no_older_row,
    planted_state_relays_without_a_fence_are_caught,
];

fn topics_that_do_not_fit_are_named() {
    block_on(async {
        let stage = Stage::shared().await;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &stage.brokers).create().unwrap();
        let (task, call) = (format!("{}.task", stage.prefix), format!("{}.call", stage.prefix));
        let topics = [
            NewTopic::new(&task, 2, TopicReplication::Fixed(1)).set("cleanup.policy", "compact"),
            NewTopic::new(&call, 2, TopicReplication::Fixed(1)).set("max.message.bytes", "900000"),
        ];
        for made in admin.create_topics(&topics, &AdminOptions::new()).await.unwrap() {
            made.unwrap();
        }
        let arguments = ["relay", "--kafka-brokers", &stage.brokers, "--kafka-topic-prefix", &stage.prefix];
        let mut relay = stage.database.apex(&arguments).spawn().unwrap();
        let mut said = BufReader::new(relay.stderr.take().unwrap()).lines();
        for (topic, setting, found, change) in
            [(&task, "cleanup.policy", "compact", "delete"), (&call, "max.message.bytes", "900000", "1048588")]
        {
            let told = format!("topic {topic} has {setting}={found}, but ");
            tokio::time::timeout(TIMEOUT, async {
                while !said.next_line().await.unwrap().expect("it still runs").contains(&told) {}
            })
            .await
            .unwrap_or_else(|_| panic!("it does not say: {told}"));
            let fitting = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(setting, change);
            admin.alter_configs([&fitting], &AdminOptions::new()).await.unwrap();
        }
        stage.append(1).await;
        stage.verify().await;
    });
}

fn the_largest_event_is_published_and_a_larger_one_refused() {
    block_on(async {
        let stage = Stage::shared().await;
        let of_size = |bytes: usize| {
            let mut large = append(vec![]);
            let metadata = serde_json::to_string(&large.metadata).unwrap().len();
            // Random, so that no compression makes it smaller than it is to the broker.
            let room = bytes - metadata - event("").payload.len();
            let text = Alphanumeric.sample_string(&mut rand::rng(), room);
            let events = vec![event(&text)];
            large.streams =
                vec![StreamAppend { category: "task".into(), id: Uuid::new_v4(), expected: Expected::Any, events }];
            large
        };
        let refused = stage.log.append(of_size(900_001)).await;
        assert!(
            matches!(refused, Err(AppendError::Invalid(InvalidAppend::EventTooLarge { limit_bytes: 900_000, .. }))),
            "{refused:?}"
        );
        for _ in 0..3 {
            stage.log.append(of_size(900_000)).await.unwrap();
        }
        let _relay = stage.job().start();
        wait_until("the relay begins", async || stage.relayed().await.get() > 0).await;
        assert_eq!(stage.verify().await, 3);
    });
}

fn state_topics_have_the_rows_of_the_read_models() {
    block_on(async {
        let stage = Stage::shared().await;
        let arguments = ["--kafka-brokers", &stage.brokers, "--kafka-topic-prefix", &stage.prefix];
        let _server = stage.database.serve(&[&arguments[..], &["--kafka-state-topics"]].concat()).await;
        for (format, file) in [("claude-code", "claude-code.jsonl"), ("otlp", "otlp.json")] {
            stage.database.run(&["import", format, &sample(file)]).await.assert_success();
        }
        let head = stage.log.head().await.unwrap().as_i64();
        let reached = "select count(*) = 4 from apex.checkpoints where name like 'state:%' and position >= $1";
        wait_until("all states are published", async || {
            sqlx::query_scalar(reached).bind(head).fetch_one(&stage.database.pool).await.unwrap()
        })
        .await;
        for StateTopic { table: StateTable { name, id, .. }, schema } in projections::state_topics() {
            let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            let topic = format!("{}.state.{name}", stage.prefix);
            let brokers = stage.brokers.clone();
            let messages = tokio::task::spawn_blocking(move || consume_topics(&brokers, &[topic])).await.unwrap();
            let last: BTreeMap<String, Value> = messages
                .iter()
                .map(|(_, key, payload)| (key.clone(), serde_json::from_slice(payload).unwrap()))
                .collect();
            let sql = format!("select tenant_id || '/' || {id}, to_jsonb(t) - 'words' from apex.{name} t");
            let mut rows: BTreeMap<String, Value> =
                sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&stage.database.pool).await.unwrap().into_iter().collect();
            if name == "calls" {
                let sql = "select tenant_id || '/' || call_id, cost::text, reported_cost::text from apex.calls";
                let costs: Vec<(String, Option<String>, Option<String>)> =
                    sqlx::query_as(sql).fetch_all(&stage.database.pool).await.unwrap();
                assert!(costs.iter().any(|(_, cost, _)| cost.is_some()), "no call has a cost: it proves nothing");
                for (key, cost, reported_cost) in costs {
                    let row = rows.get_mut(&key).unwrap();
                    (row["cost"], row["reported_cost"]) = (cost.into(), reported_cost.into());
                }
            }
            assert!(name == "memories" || name == "tasks" || !rows.is_empty(), "no {name}: it proves nothing");
            assert_eq!(last, rows, "{name}");
            // The schema that consumers have of it, and no wider one.
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

async fn register(server: &Server, name: &str) -> Value {
    let register = "mutation ($name: String!) { registerAgent(input: { name: $name }) { agent { id } } }";
    server.graphql(register, json!({ "name": name })).await["registerAgent"]["agent"]["id"].take()
}

/// The rows of agents in the order of the messages.
async fn agents(stage: &Stage) -> Vec<Value> {
    let (topic, brokers) = (format!("{}.state.agents", stage.prefix), stage.brokers.clone());
    let messages = tokio::task::spawn_blocking(move || consume_topics(&brokers, &[topic])).await.unwrap();
    messages.iter().map(|(_, _, row)| serde_json::from_slice(row).unwrap()).collect()
}

async fn wait_for_state(stage: &Stage) {
    let head = stage.log.head().await.unwrap().as_i64();
    let reached = "select count(*) = 1 from apex.checkpoints where name = 'state:agents' and position >= $1";
    wait_until("the rows are published", async || {
        sqlx::query_scalar(reached).bind(head).fetch_one(&stage.database.pool).await.unwrap()
    })
    .await;
}

fn a_state_topic_that_is_gone_is_filled_again() {
    block_on(async {
        let stage = Stage::shared().await;
        let server = stage.database.serve(&[]).await;
        let _relay = Job { is_of_state: true, ..stage.job() }.start();
        register(&server, "first").await;
        wait_for_state(&stage).await;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &stage.brokers).create().unwrap();
        let topic = format!("{}.state.agents", stage.prefix);
        admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        register(&server, "second").await;
        wait_for_state(&stage).await;
        let rows = agents(&stage).await;
        let names: BTreeSet<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, BTreeSet::from(["first", "second"]));
    });
}

/// It changes without an event, as by a decision about a parked one, and the order to publish it again leaves the relay
/// where it is.
fn a_row_that_changes_while_it_is_sent_is_sent_again() {
    block_on(async {
        let mut stage = Stage::shared().await;
        stage.database = stage.database.unverified();
        let server = stage.database.serve(&[]).await;
        let job = Job { is_of_state: true, halt: Some("state_read".to_owned()), ..stage.job() };
        let relay = job.start();
        register(&server, "before").await;
        stands_still(&relay).await;
        let pool = &stage.database.pool;
        sqlx::query("update apex.agents set name = 'after'").execute(pool).await.unwrap();
        assert!(republish_from(pool, 1.into()).await.unwrap());
        signal(&relay, Signal::CONT);
        wait_until("it is sent again", async || agents(&stage).await.last().is_some_and(|row| row["name"] == "after"))
            .await;
        wait_for_state(&stage).await;
    });
}

async fn stands_still(relay: &Child) {
    let stat = format!("/proc/{}/stat", relay.id().unwrap());
    wait_until("the relay stands still", async || std::fs::read_to_string(&stat).unwrap().contains(") T ")).await;
}

/// Whether the topic has an older row than the read model, after a relay was stopped between reading a row and sending
/// it, and woken when its successor had sent a newer one.
async fn sends_an_older_row(has_bug: bool) -> bool {
    let stage = Stage::shared().await;
    let server = stage.database.serve(&[]).await;
    let id = register(&server, "reader").await;
    let job = Job { is_of_state: true, has_bug, ..stage.job() };
    let first = Job { halt: Some("state_read".to_owned()), ..job.clone() }.start();
    stands_still(&first).await;

    let activate = "mutation ($id: ID!) { activateAgent(input: { id: $id }) { outcome } }";
    server.graphql(activate, json!({ "id": id })).await;
    // The first one holds the seat for as long as its session lives.
    let end = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
               and database = (select oid from pg_database where datname = current_database())";
    let mut owner = stage.database.owner().await;
    let _second = job.start();
    sqlx::query(end).execute(&mut owner).await.unwrap();
    wait_for_state(&stage).await;
    signal(&first, Signal::CONT);
    if has_bug {
        // Without a fence, the older row comes when the first one has its turn.
        wait_until("the older row is sent", async || {
            agents(&stage).await.last().is_some_and(|row| row["status"] == "registered")
        })
        .await;
    } else {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let rows = agents(&stage).await;
    assert!(rows.iter().any(|row| row["status"] == "active"), "the newer row was not sent: it proves nothing");
    rows.last().unwrap()["status"] == "registered"
}

fn a_state_relay_that_stood_still_sends_no_older_row() {
    assert!(!block_on(sends_an_older_row(false)));
}

fn planted_state_relays_without_a_fence_are_caught() {
    assert!(block_on(sends_an_older_row(true)));
}
