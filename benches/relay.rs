//! The throughput of the relay, compared with Kafka's producer performance tool with the same payloads, acknowledgements and
//! idempotence.
//!
//! The relay reads the events from PostgreSQL and sends up to 16 headers with each; the tool reads payloads from memory and
//! sends no headers. `EVENTS` sets the number of events (default: 200 000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use streams::Position;
use streams::relay::{Relay, RelayConfig, relay_checkpoint, republish_from};
use testkit::append_all;
use testkit::bench::{Bench, Table, new_stream, payload, setting};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const BATCH: usize = 500;
const PARTITIONS: i32 = 6;

fn brokers() -> String {
    std::env::var("APEX_TEST_KAFKA_BROKERS").expect("APEX_TEST_KAFKA_BROKERS is set: run `make bench`")
}

fn config(prefix: &str) -> RelayConfig {
    RelayConfig { topic_prefix: prefix.to_owned(), partitions: PARTITIONS, ..RelayConfig::new(brokers()) }
}

async fn fill(bench: &Bench, events: u64) {
    let mut made = 0;
    while made < events {
        let appends = (0..BATCH).map(|n| new_stream(1, made + n as u64));
        for answer in append_all(&bench.log, appends).await {
            answer.unwrap();
        }
        made += BATCH as u64;
    }
}

/// Events per second, from empty topics to the last acknowledgement and checkpoint.
async fn ours(bench: &Bench, head: Position) -> f64 {
    let prefix = format!("bench-{}", Uuid::new_v4().simple());
    republish_from(&bench.pool, Position::from(1)).await.unwrap();
    let stop = CancellationToken::new();
    let relay = Relay { pool: bench.pool.clone(), tail: bench.log.tail().clone(), config: config(&prefix) };
    let running = tokio::spawn(relay.run(stop.clone().cancelled_owned()));
    // Creating topics is not measured.
    while relay_checkpoint(&bench.pool).await.unwrap() == Position::ZERO {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (from, started) = (relay_checkpoint(&bench.pool).await.unwrap(), Instant::now());
    while relay_checkpoint(&bench.pool).await.unwrap() < head {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = started.elapsed().as_secs_f64();
    stop.cancel();
    running.await.unwrap().unwrap();
    (head.get() - from.get()) as f64 / took
}

/// Events per second, as the tool reports them on its last line: `200000 records sent, 91234.5 records/sec (…), …`.
fn producer_performance(payloads: &Path, topic: &str, events: u64) -> f64 {
    let jars = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka-jars/*");
    let output = std::process::Command::new("java")
        .arg("-cp")
        .arg(jars)
        .args(["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--throughput", "-1"])
        .args(["--num-records", &events.to_string(), "--payload-file"])
        .arg(payloads)
        .arg("--producer-props")
        .arg(format!("bootstrap.servers={}", brokers()))
        .args(["acks=all", "enable.idempotence=true", "compression.type=lz4", "linger.ms=5"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = output
        .lines()
        .rfind(|line| line.contains("records sent"))
        .unwrap_or_else(|| panic!("unexpected output: {output}"));
    total.split(", ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn payload_file(folder: &Path, events: u64) -> PathBuf {
    let path = folder.join("payloads");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for n in 0..events.min(10_000) {
        writeln!(file, "{}", payload(n)).unwrap();
    }
    path
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let events = setting("EVENTS", 200_000);
    let bench = Bench::new().await;
    tokio::spawn(bench.log.tail().clone().run(std::future::pending()));
    fill(&bench, events).await;
    let head = bench.log.head().await.unwrap();
    bench.log.tail().wait_beyond(Position::from(head.get() - 1)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let payloads = payload_file(folder.path(), events);

    let mut table = Table::new();
    let case = format!("{events} events; Kafka's producer performance tool");
    let baseline = async || {
        let (payloads, topic) = (payloads.clone(), make_topic().await);
        tokio::task::spawn_blocking(move || producer_performance(&payloads, &topic, events)).await.unwrap()
    };
    table.case(&bench, &case, "events/s", async || ours(&bench, head).await, baseline).await;
    table.write("relay");
    bench.drop_database().await;
}

async fn make_topic() -> String {
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    let name = format!("bench-{}", Uuid::new_v4().simple());
    let admin: AdminClient<rdkafka::client::DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap();
    let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
    for made in admin.create_topics([&topic], &AdminOptions::new()).await.unwrap() {
        made.unwrap();
    }
    name
}
