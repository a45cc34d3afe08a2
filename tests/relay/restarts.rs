//! The database restarts under load, with a server and its workers, a relay and a subscriber connected to it.

use crate::block_on;
use crate::fixture::Fixture;
use projections::{SessionSettings, verify, wait_for};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use streams::Log;
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::{TIMEOUT, TestDatabase, Trials, append_all, call_append, required_variable, trials, wait_until};

pub(crate) const TRIALS: Trials = trials![database_restarts_under_load_keep_everything_consistent_with_the_log];

const RESTARTS: usize = 6;
/// Events between two restarts.
const EVENTS: u64 = 300;

/// Appends until it is stopped, despite errors. Returns the number of acknowledged appends.
async fn append(log: Log, stop: Arc<AtomicBool>) -> u64 {
    let mut acknowledged = 0;
    while !stop.load(Ordering::Relaxed) {
        let answers = append_all(&log, (0..10).map(|_| call_append())).await;
        acknowledged += answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    acknowledged
}

/// Subscribes until it has received a position, and reconnects after the last one received.
async fn follow(address: String, end: Arc<AtomicU64>) -> Vec<u64> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen: Vec<u64> = Vec::new();
    let is_done = |seen: &[u64]| seen.last().is_some_and(|last| *last >= end.load(Ordering::Relaxed));
    while !is_done(&seen) {
        let after = seen.last().copied().unwrap_or(0).to_string();
        let request = client.get(format!("{address}/events")).header("accept", "text/event-stream");
        let Ok(mut response) = request.header("last-event-id", after).send().await else { continue };
        let mut text = String::new();
        while let Ok(Some(bytes)) = response.chunk().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            while let Some((message, rest)) = text.split_once("\n\n") {
                if message.contains("data: {") {
                    let id = message.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
                    seen.push(id.parse().unwrap());
                }
                text = rest.to_owned();
            }
            if is_done(&seen) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

fn database_restarts_under_load_keep_everything_consistent_with_the_log() {
    block_on(async {
        let cluster = Cluster::start(ClusterConfig::default()).await;
        let fixture =
            Fixture::on(TestDatabase::at(cluster.url()).await, required_variable("APEX_TEST_KAFKA_BROKERS")).await;
        let kafka = ["--kafka-brokers", &fixture.brokers, "--kafka-topic-prefix", &fixture.prefix];
        // A worker process shares the read models with the workers of the server, which starts once this one works.
        let mut worker = fixture.start_worker();
        fixture.log.append(call_append()).await.unwrap();
        fixture.wait_for_projections().await;
        let server = fixture.database.serve(&kafka).await;
        let (stop, end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(u64::MAX)));
        let appending = tokio::spawn(append(fixture.log.clone(), stop.clone()));
        let following = tokio::spawn(follow(server.address.clone(), end.clone()));
        for _ in 0..RESTARTS {
            let before = fixture.log.head().await.unwrap().get();
            wait_until("appends succeed again", async || fixture.log.head().await.unwrap().get() > before + EVENTS)
                .await;
            cluster.stop_immediately().await;
            cluster.start_server().await;
        }
        assert!(worker.try_wait().unwrap().is_none(), "the worker exited");
        stop.store(true, Ordering::Relaxed);
        let acknowledged = appending.await.unwrap();
        let head = fixture.log.head().await.unwrap();
        end.store(head.get(), Ordering::Relaxed);
        // A subscriber that has received the last event waits for one more.
        fixture.log.append(call_append()).await.unwrap();

        let models = projections::all();
        let names: Vec<_> = models.iter().map(|model| model.name()).collect();
        wait_for(&fixture.database.pool, &names, head, TIMEOUT).await.unwrap();
        for model in models {
            let settings = SessionSettings::different_locale(1000);
            let comparison =
                verify(&testkit::access(), &fixture.database.pool, &fixture.log, model, &settings).await.unwrap();
            assert!(comparison.is_same(), "{}: {comparison:#?}", model.name());
        }
        fixture.verify().await;
        let log: Vec<_> = fixture.events().await.iter().map(|event| event.position.get()).collect();
        let seen = tokio::time::timeout(TIMEOUT, following).await.unwrap().unwrap();
        assert_eq!(seen, log[..seen.len()], "the subscriber received other events");
        assert!(seen.len() as u64 >= head.get() && head.get() >= acknowledged, "{} {head} {acknowledged}", seen.len());
    });
}
