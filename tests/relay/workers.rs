//! Read models that are fed from Kafka, held against the same read models folded from the log.

use crate::block_on;
use crate::stage::Stage;
use projections::{PartitionedFeed, give_back};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashMap};
use streams::relay::republish_from;
use testkit::{TIMEOUT, TestDatabase, sample, wait_until};
use testkit::{Trials, trials};
use tokio::process::Child;

pub(crate) const TRIALS: Trials = trials![
    workers_share_partitions_and_what_comes_again_changes_nothing,
    what_kafka_does_not_have_is_read_from_the_log,
    what_is_taken_over_and_given_back_misses_nothing,
    a_switch_leaves_a_read_model_to_the_workers_that_feed_it,
    a_projection_that_needs_the_order_of_the_log_is_refused,
];

/// What Kafka may feed, and its tables.
const PROJECTIONS: [&str; 4] = ["agents", "tasks", "calls", "memories"];
const TABLES: [&str; 5] = ["agents", "tasks", "calls", "usage_hourly", "memories"];

impl Stage {
    pub(crate) async fn import(&self, format: &str, file: &str) {
        let sample = sample(file);
        let model: &[&str] = if format == "azure-llm" { &["--model", "gpt-4o"] } else { &[] };
        self.database.run(&[&["import", format, &sample], model].concat()).await.assert_success();
    }

    pub(crate) fn start_worker(&self, source: &str, group: &str) -> Child {
        let arguments = ["worker", "--source", source, "--kafka-brokers", &self.brokers, "--kafka-group", group];
        let arguments = arguments.into_iter().chain(["--kafka-topic-prefix", &self.prefix]);
        let named = PROJECTIONS.iter().flat_map(|name| ["--projection", name]);
        let arguments: Vec<_> = arguments.chain(named).collect();
        self.database.apex(&arguments).stderr(std::process::Stdio::inherit()).spawn().unwrap()
    }

    /// Waits until every projection has everything that is in the log now.
    pub(crate) async fn wait_for_projections(&self) {
        let head = self.log.head().await.unwrap();
        let names: Vec<_> = PROJECTIONS.to_vec();
        projections::wait_for(&self.database.pool, &names, head, TIMEOUT).await.unwrap();
    }
}

/// A hash of each table's rows.
async fn fingerprints(database: &TestDatabase) -> BTreeMap<&'static str, (i64, Option<String>)> {
    let mut found: BTreeMap<_, (i64, Option<String>)> = BTreeMap::new();
    for table in TABLES {
        let hash = format!("select count(*), md5(string_agg(t::text, '|' order by t::text)) from apex.{table} t");
        found.insert(table, sqlx::query_as(AssertSqlSafe(hash)).fetch_one(&database.pool).await.unwrap());
    }
    assert!(found["calls"].0 > 0 && found["agents"].0 > 0, "nothing was fed: it proves nothing");
    found
}

pub(crate) async fn assert_is_rebuilt(database: &TestDatabase) {
    let fed = fingerprints(database).await;
    for name in PROJECTIONS {
        database.run(&["projections", "rebuild", name]).await.assert_success();
    }
    assert_eq!(fed, fingerprints(database).await);
}

fn workers_share_partitions_and_what_comes_again_changes_nothing() {
    block_on(async {
        let stage = Stage::shared().await;
        let relay = stage.job().start();
        let group = stage.prefix.clone();
        stage.import("claude-code", "claude-code.jsonl").await;
        let mut first = stage.start_worker("kafka", &group);
        stage.wait_for_projections().await;
        let second = stage.start_worker("kafka", &group);
        stage.import("otlp", "otlp.json").await;
        stage.wait_for_projections().await;
        first.kill().await.unwrap();
        stage.import("autogpt", "autogpt.jsonl").await;
        // One partition after the other has events, so the other worker must have got them all.
        stage.wait_for_projections().await;

        // Everything once more, for those that are there and for one that has seen nothing.
        let before = fingerprints(&stage.database).await;
        assert!(republish_from(&stage.database.pool, 1.into()).await.unwrap());
        stage.wait_for_relay().await;
        drop(second);
        let _third = stage.start_worker("kafka", &format!("{group}-anew"));
        drop(relay);
        let _relay = stage.job().start();
        stage.import("azure-llm", "azure-llm.csv").await;
        stage.wait_for_projections().await;
        assert_ne!(before, fingerprints(&stage.database).await);
        assert_is_rebuilt(&stage.database).await;
        stage.verify().await;
    });
}

fn what_kafka_does_not_have_is_read_from_the_log() {
    block_on(async {
        let mut stage = Stage::shared().await;
        stage.import("claude-code", "claude-code.jsonl").await;
        // Kafka will never have what is up to here.
        sqlx::query("insert into apex.checkpoints (name, position) select 'relay:kafka', position from apex.head")
            .execute(&stage.database.pool)
            .await
            .unwrap();
        let _relay = stage.job().start();
        stage.import("otlp", "otlp.json").await;
        stage.import("autogpt", "autogpt.jsonl").await;
        stage.wait_for_relay().await;
        assert!(!stage.check().await.0.is_empty(), "Kafka has everything: it proves nothing");
        let worker = stage.start_worker("kafka", &stage.prefix);
        stage.wait_for_projections().await;
        drop(worker);
        // What was begun from Kafka is gone on with from the log.
        let worker = stage.start_worker("log", &stage.prefix);
        stage.import("azure-llm", "azure-llm.csv").await;
        stage.wait_for_projections().await;
        let left: i64 = sqlx::query_scalar("select count(*) from apex.partition_checkpoints")
            .fetch_one(&stage.database.pool)
            .await
            .unwrap();
        assert_eq!(left, 0);
        assert_is_rebuilt(&stage.database).await;

        // The control: a worker that forgets what it applied applies it again, and that is seen.
        stage.database = stage.database.unverified();
        let before = fingerprints(&stage.database).await;
        drop(worker);
        sqlx::query("update apex.checkpoints set position = 0 where follower = 'calls'")
            .execute(&stage.database.pool)
            .await
            .unwrap();
        let _worker = stage.start_worker("log", &stage.prefix);
        stage.wait_for_projections().await;
        assert_ne!(before, fingerprints(&stage.database).await);
    });
}

fn what_is_taken_over_and_given_back_misses_nothing() {
    block_on(async {
        let stage = Stage::shared().await;
        let worker = stage.start_worker("log", &stage.prefix);
        stage.import("claude-code", "claude-code.jsonl").await;
        stage.wait_for_projections().await;
        // Kafka gives nothing of what comes meanwhile.
        for name in PROJECTIONS {
            let projection = projections::by_name(name).unwrap();
            let (pool, log) = (stage.database.pool.clone(), stage.log.clone());
            let feed = PartitionedFeed { projection, pool, log, partitions: HashMap::new() };
            feed.take_over().await.unwrap();
            feed.advance_low_watermark().await.unwrap();
        }
        let (before, head) = (fingerprints(&stage.database).await, stage.log.head().await.unwrap());
        // It ends once the read models have what it imported.
        let mut import = stage.database.apex(&["import", "otlp", &sample("otlp.json")]).spawn().unwrap();
        wait_until("something is imported", async || stage.log.head().await.unwrap() > head).await;
        assert_eq!(before, fingerprints(&stage.database).await, "the worker of the log does not stand by");
        for name in PROJECTIONS {
            let projection = projections::by_name(name).unwrap();
            give_back(projection, &stage.database.pool, &stage.log).await.unwrap();
        }
        assert!(tokio::time::timeout(TIMEOUT, import.wait()).await.unwrap().unwrap().success());
        drop(worker);
        assert_ne!(before, fingerprints(&stage.database).await);
        assert_is_rebuilt(&stage.database).await;
    });
}

fn a_switch_leaves_a_read_model_to_the_workers_that_feed_it() {
    block_on(async {
        let stage = Stage::shared().await;
        let _relay = stage.job().start();
        let mut worker = stage.start_worker("kafka", &stage.prefix);
        // Stands by, and would take whatever is given to the log.
        let _server = stage.database.serve(&[]).await;
        stage.import("claude-code", "claude-code.jsonl").await;
        stage.wait_for_projections().await;
        for name in PROJECTIONS {
            stage.database.run(&["projections", "rebuild", name]).await.assert_success();
            stage.database.run(&["projections", "compare", name]).await.assert_success();
            stage.import("otlp", "otlp.json").await;
            stage.database.run(&["projections", "switch", name]).await.assert_success();
        }
        stage.import("autogpt", "autogpt.jsonl").await;
        stage.wait_for_projections().await;
        assert!(worker.try_wait().unwrap().is_none(), "the worker has ended");
        let fed = "select count(distinct follower) from apex.checkpoints where source = 'kafka'";
        let fed: i64 = sqlx::query_scalar(fed).fetch_one(&stage.database.pool).await.unwrap();
        assert_eq!(fed, 4);
        // Of memories there was nothing new.
        let partitions = "select distinct projection from apex.partition_checkpoints order by 1";
        let partitions: Vec<String> = sqlx::query_scalar(partitions).fetch_all(&stage.database.pool).await.unwrap();
        assert_eq!(partitions, ["agents", "calls", "tasks"], "not all were fed from Kafka after the switch");
        assert_is_rebuilt(&stage.database).await;
    });
}

fn a_projection_that_needs_the_order_of_the_log_is_refused() {
    block_on(async {
        let database = TestDatabase::new().await;
        let arguments = ["worker", "--source", "kafka", "--kafka-brokers", "127.0.0.1:1", "--projection", "budgets"];
        let ran = database.run(&arguments).await;
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr.contains("budgets needs the events of all streams in the order of the log"),
            "{}",
            ran.stderr
        );
    });
}
