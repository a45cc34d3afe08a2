//! Read models with Kafka as their source, compared with read models that are rebuilt from the log.

use crate::block_on;
use crate::fixture::Fixture;
use projections::{PartitionedFeed, give_back};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashMap};
use streams::relay::republish_from;
use testkit::{TIMEOUT, TestDatabase, sample, wait_until};
use testkit::{Trials, trials};
use tokio::process::Child;

pub(crate) const TRIALS: Trials = trials![
    workers_share_partitions_and_redelivered_events_change_nothing,
    events_missing_in_kafka_are_read_from_the_log,
    switching_the_source_to_kafka_and_back_misses_no_event,
    switching_the_version_keeps_the_source_of_a_read_model,
    kafka_is_refused_as_source_of_a_projection_that_needs_log_order,
];

/// The projections that may have Kafka as their source, and their tables.
const PROJECTIONS: [&str; 4] = ["agents", "tasks", "calls", "memories"];
const TABLES: [&str; 5] = ["agents", "tasks", "calls", "usage_hourly", "memories"];

impl Fixture {
    /// Imports a file in `samples/`.
    pub(crate) async fn import(&self, format: &str, file: &str) {
        let sample = sample(file);
        let model: &[&str] = if format == "azure-llm" { &["--model", "gpt-4o"] } else { &[] };
        self.database.run(&[&["import", format, &sample], model].concat()).await.assert_success();
    }

    /// Starts `apex worker` for these projections.
    pub(crate) fn start_worker(&self, source: &str, group: &str) -> Child {
        let arguments = ["worker", "--source", source, "--kafka-brokers", &self.brokers, "--kafka-group", group];
        let arguments = arguments.into_iter().chain(["--kafka-topic-prefix", &self.prefix]);
        let named = PROJECTIONS.iter().flat_map(|name| ["--projection", name]);
        let arguments: Vec<_> = arguments.chain(named).collect();
        self.database.apex(&arguments).stderr(std::process::Stdio::inherit()).spawn().unwrap()
    }

    /// Waits until every projection has applied all events that are in the log now.
    pub(crate) async fn wait_for_projections(&self) {
        let head = self.log.head().await.unwrap();
        let names: Vec<_> = PROJECTIONS.to_vec();
        projections::wait_for(&self.database.pool, &names, head, TIMEOUT).await.unwrap();
    }
}

/// The number of rows of each table, and a hash of them.
async fn fingerprints(database: &TestDatabase) -> BTreeMap<&'static str, (i64, Option<String>)> {
    let mut found: BTreeMap<_, (i64, Option<String>)> = BTreeMap::new();
    for table in TABLES {
        let hash = format!("select count(*), md5(string_agg(t::text, '|' order by t::text)) from apex.{table} t");
        found.insert(table, sqlx::query_as(AssertSqlSafe(hash)).fetch_one(&database.pool).await.unwrap());
    }
    assert!(found["calls"].0 > 0 && found["agents"].0 > 0, "no events were applied, so nothing was tested");
    found
}

/// Asserts that rebuilding the read models does not change them.
pub(crate) async fn assert_equals_rebuild(database: &TestDatabase) {
    let before = fingerprints(database).await;
    for name in PROJECTIONS {
        database.run(&["projections", "rebuild", name]).await.assert_success();
    }
    assert_eq!(before, fingerprints(database).await);
}

fn workers_share_partitions_and_redelivered_events_change_nothing() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let relay = fixture.job().start();
        let group = fixture.prefix.clone();
        fixture.import("claude-code", "claude-code.jsonl").await;
        let mut first = fixture.start_worker("kafka", &group);
        fixture.wait_for_projections().await;
        let second = fixture.start_worker("kafka", &group);
        fixture.import("otlp", "otlp.json").await;
        fixture.wait_for_projections().await;
        first.kill().await.unwrap();
        fixture.import("autogpt", "autogpt.jsonl").await;
        // All partitions have new events, so the second worker must have taken over those of the first.
        fixture.wait_for_projections().await;

        // Everything is published again, for the worker that runs and for one in a new consumer group.
        let before = fingerprints(&fixture.database).await;
        assert!(republish_from(&fixture.database.pool, 1.into()).await.unwrap());
        fixture.wait_for_relay().await;
        drop(second);
        let _third = fixture.start_worker("kafka", &format!("{group}-new"));
        drop(relay);
        let _relay = fixture.job().start();
        fixture.import("azure-llm", "azure-llm.csv").await;
        fixture.wait_for_projections().await;
        assert_ne!(before, fingerprints(&fixture.database).await);
        assert_equals_rebuild(&fixture.database).await;
        fixture.verify().await;
    });
}

fn events_missing_in_kafka_are_read_from_the_log() {
    block_on(async {
        let mut fixture = Fixture::shared().await;
        fixture.import("claude-code", "claude-code.jsonl").await;
        // Kafka will never have the events up to here.
        sqlx::query("insert into apex.checkpoints (name, position) select 'relay:kafka', position from apex.head")
            .execute(&fixture.database.pool)
            .await
            .unwrap();
        let _relay = fixture.job().start();
        fixture.import("otlp", "otlp.json").await;
        fixture.import("autogpt", "autogpt.jsonl").await;
        fixture.wait_for_relay().await;
        assert!(!fixture.check().await.0.is_empty(), "Kafka has all events, so nothing was tested");
        let worker = fixture.start_worker("kafka", &fixture.prefix);
        fixture.wait_for_projections().await;
        drop(worker);
        // Read models continue from the log where Kafka has left them.
        let worker = fixture.start_worker("log", &fixture.prefix);
        fixture.import("azure-llm", "azure-llm.csv").await;
        fixture.wait_for_projections().await;
        let left: i64 = sqlx::query_scalar("select count(*) from apex.partition_checkpoints")
            .fetch_one(&fixture.database.pool)
            .await
            .unwrap();
        assert_eq!(left, 0);
        assert_equals_rebuild(&fixture.database).await;

        // The control: a worker without its checkpoint applies events twice, which changes the tables.
        fixture.database = fixture.database.unverified();
        let before = fingerprints(&fixture.database).await;
        drop(worker);
        sqlx::query("update apex.checkpoints set position = 0 where follower = 'calls'")
            .execute(&fixture.database.pool)
            .await
            .unwrap();
        let _worker = fixture.start_worker("log", &fixture.prefix);
        fixture.wait_for_projections().await;
        assert_ne!(before, fingerprints(&fixture.database).await);
    });
}

fn switching_the_source_to_kafka_and_back_misses_no_event() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let worker = fixture.start_worker("log", &fixture.prefix);
        fixture.import("claude-code", "claude-code.jsonl").await;
        fixture.wait_for_projections().await;
        // Kafka becomes the source, and delivers nothing.
        for name in PROJECTIONS {
            let projection = projections::by_name(name).unwrap();
            let (pool, log) = (fixture.database.pool.clone(), fixture.log.clone());
            let feed = PartitionedFeed { projection, pool, log, partitions: HashMap::new() };
            feed.take_over().await.unwrap();
            feed.advance_low_watermark().await.unwrap();
        }
        let (before, head) = (fingerprints(&fixture.database).await, fixture.log.head().await.unwrap());
        // The import ends once the read models have applied its events.
        let mut import = fixture.database.apex(&["import", "otlp", &sample("otlp.json")]).spawn().unwrap();
        wait_until("events are imported", async || fixture.log.head().await.unwrap() > head).await;
        assert_eq!(before, fingerprints(&fixture.database).await, "the worker still applies events of the log");
        for name in PROJECTIONS {
            let projection = projections::by_name(name).unwrap();
            give_back(projection, &fixture.database.pool, &fixture.log).await.unwrap();
        }
        assert!(tokio::time::timeout(TIMEOUT, import.wait()).await.unwrap().unwrap().success());
        drop(worker);
        assert_ne!(before, fingerprints(&fixture.database).await);
        assert_equals_rebuild(&fixture.database).await;
    });
}

fn switching_the_version_keeps_the_source_of_a_read_model() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let _relay = fixture.job().start();
        let mut worker = fixture.start_worker("kafka", &fixture.prefix);
        // Its workers would apply events if the source became the log.
        let _server = fixture.database.serve(&[]).await;
        fixture.import("claude-code", "claude-code.jsonl").await;
        fixture.wait_for_projections().await;
        for name in PROJECTIONS {
            fixture.database.run(&["projections", "rebuild", name]).await.assert_success();
            fixture.database.run(&["projections", "compare", name]).await.assert_success();
            fixture.import("otlp", "otlp.json").await;
            fixture.database.run(&["projections", "switch", name]).await.assert_success();
        }
        fixture.import("autogpt", "autogpt.jsonl").await;
        fixture.wait_for_projections().await;
        assert!(worker.try_wait().unwrap().is_none(), "the worker exited");
        let from_kafka = "select count(distinct follower) from apex.checkpoints where source = 'kafka'";
        let from_kafka: i64 = sqlx::query_scalar(from_kafka).fetch_one(&fixture.database.pool).await.unwrap();
        assert_eq!(from_kafka, 4);
        // There were no new events of memories.
        let partitions = "select distinct projection from apex.partition_checkpoints order by 1";
        let partitions: Vec<String> = sqlx::query_scalar(partitions).fetch_all(&fixture.database.pool).await.unwrap();
        assert_eq!(partitions, ["agents", "calls", "tasks"], "not all have Kafka as their source after the switch");
        assert_equals_rebuild(&fixture.database).await;
    });
}

fn kafka_is_refused_as_source_of_a_projection_that_needs_log_order() {
    block_on(async {
        let database = TestDatabase::new().await;
        let arguments = ["worker", "--source", "kafka", "--kafka-brokers", "127.0.0.1:1", "--projection", "budgets"];
        let output = database.run(&arguments).await;
        assert_eq!(output.code, Some(1));
        assert!(
            output.stderr.contains("budgets needs the events of all streams in the order of the log"),
            "{}",
            output.stderr
        );
    });
}
