//! Two tenants on one server: how much longer the requests of one take while the other is at its limits.
//!
//! Tenant B sends queries and commands at a steady rate, first alone, then beside tenant A, whose limits are a hundred
//! requests a second. A's clients either wait as the refusals tell them, or ignore them and send as fast as they can; the
//! latter takes processor time from B that no limit in the same process can give back, most of it in the clients, which
//! run on the same machine. `RATE` and `CLIENTS` set the load. The figures are the 99th percentile of B's latency.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use reqwest::{Client, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::bench::{Table, median, percentile, setting};
use testkit::{Server, TestDatabase};
use tokio::task::JoinSet;

const QUERY: &str = "{ agents(first: 20) { nodes { uuid name status } } }";
const COMMAND: &str = "mutation { registerAgent(input: {name: \"ada\"}) { position } }";
/// The limit of tenant A: requests a minute.
const LIMIT: &str = "6000";

/// How the clients of tenant A take a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Waits,
    GoesOn,
}

/// A client of a tenant.
#[derive(Clone)]
struct Tenant {
    client: Client,
    url: String,
    key: String,
}

impl Tenant {
    async fn create(database: &TestDatabase, server: &Server, key_file: &str, id: &str) -> Self {
        let run = async |arguments: &[&str]| {
            let output = database.run(&[arguments, &["--key-file", key_file]].concat()).await;
            output.assert_success().stdout.trim_end().to_owned()
        };
        run(&["tenants", "create", id]).await;
        let account = run(&["accounts", "create", "bench", "--role", "operator", "--tenant", id]).await;
        let key = run(&["keys", "create", "--account", &account, "--tenant", id, "--all-scopes"]).await;
        Self { client: Client::new(), url: format!("{}/graphql", server.address), key }
    }

    /// Sends a request, and returns its status and how long to wait after it.
    async fn send(&self, query: &str) -> (StatusCode, Duration) {
        let request = self.client.post(&self.url).bearer_auth(&self.key).json(&json!({ "query": query }));
        let response = request.send().await.unwrap();
        let status = response.status();
        let body: serde_json::Value = response.json().await.unwrap();
        let wait = body["errors"][0]["extensions"]["retryAfterMs"].as_u64().unwrap_or_default();
        (status, Duration::from_millis(wait))
    }
}

/// The 99th percentile of the latency of requests that are sent at a rate, in microseconds.
async fn latency(tenant: &Tenant, query: &'static str, rate: u64, duration: Duration) -> f64 {
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for number in 0..rate * duration.as_secs() {
        tokio::time::sleep_until((started + Duration::from_secs_f64(number as f64 / rate as f64)).into()).await;
        let tenant = tenant.clone();
        requests.spawn(async move {
            let sent = Instant::now();
            let (status, _) = tenant.send(query).await;
            assert_eq!(status, StatusCode::OK, "tenant B is refused");
            sent.elapsed()
        });
    }
    let mut times = requests.join_all().await;
    percentile(&mut times, 99).as_secs_f64() * 1e6
}

/// The same while the clients of another tenant send more than its limit. Returns the requests of that tenant that were
/// answered and refused each second, too.
async fn latency_beside(noisy: &Tenant, refused: Refused, latency: impl Future<Output = f64>) -> (f64, f64, f64) {
    let stop = Arc::new(AtomicBool::new(false));
    let counts = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let mut clients = JoinSet::new();
    for number in 0..setting("CLIENTS", 16) {
        let (noisy, stop, counts) = (noisy.clone(), stop.clone(), counts.clone());
        clients.spawn(async move {
            let query = if number % 2 == 0 { QUERY } else { COMMAND };
            while !stop.load(Ordering::Relaxed) {
                let (status, wait) = noisy.send(query).await;
                counts[usize::from(status != StatusCode::OK)].fetch_add(1, Ordering::Relaxed);
                if refused == Refused::Waits {
                    tokio::time::sleep(wait).await;
                }
            }
        });
    }
    // Until the bucket, which holds a minute's requests, is empty.
    let warming = Instant::now();
    while counts[1].load(Ordering::Relaxed) == 0 {
        assert!(warming.elapsed() < Duration::from_secs(120), "tenant A does not reach its limit");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    let started = Instant::now();
    let time = latency.await;
    let rates = counts.map(|count| count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    (time, rates[0], rates[1])
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (rounds, seconds) = (setting("ROUNDS", 3), setting("SECONDS_PER_CASE", 5));
    let (rate, duration) = (setting("RATE", 50), Duration::from_secs(seconds));
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("identity.keys");
    let key_file = key_file.to_str().unwrap();
    let server = database.serve(&["--token", "bench", "--key-file", key_file]).await;
    let a = Tenant::create(&database, &server, key_file, "tenant-a").await;
    let b = Tenant::create(&database, &server, key_file, "tenant-b").await;
    database.run(&["limits", "set", "--tenant", "tenant-a", "--requests", LIMIT]).await.assert_success();
    for query in [QUERY, COMMAND] {
        latency(&b, query, rate, Duration::from_secs(2)).await;
    }
    let mut table = Table::new();
    for (refused, how) in [(Refused::Waits, "waits when refused"), (Refused::GoesOn, "ignores refusals")] {
        for (query, what) in [(QUERY, "queries"), (COMMAND, "commands")] {
            let (mut alone, mut beside) = (Vec::new(), Vec::new());
            let (mut answered, mut rejected) = (0.0, 0.0);
            for _ in 0..rounds {
                alone.push(latency(&b, query, rate, duration).await);
                let (time, done, not_done) = latency_beside(&a, refused, latency(&b, query, rate, duration)).await;
                beside.push(time);
                (answered, rejected) = (done, not_done);
            }
            let case = format!("p99 of {what} beside a tenant that {how}");
            table.figure(&case, "µs", median(&mut beside), median(&mut alone));
            println!("  of the other tenant: {answered:.0} answered and {rejected:.0} refused each second");
        }
    }
    table.write("tenants");
    assert_eq!(server.terminate().await.0, Some(0));
}
