//! Fuzzing of a running server: known attacks, documents generated from a grammar, and mutations of both, over every
//! transport. Each request must be answered before the deadline, without an internal error, and the server must survive.
//!
//! As a test it takes a few seconds. `make fuzz` runs for `APEX_TEST_FUZZ_S` seconds against the release binary
//! (`APEX_TEST_FUZZ_BINARY`) and prints the highest latency of `/healthz` meanwhile. `APEX_TEST_FUZZ_SEED` repeats the
//! random choices of a run.
#![allow(clippy::print_stdout, reason = "a long run reports its seed and its latencies")]

mod bodies;
mod transports;

use bodies::{Bodies, Hostile};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::TestDatabase;
use transports::Transport;

/// The server's default request timeout, plus what a loaded machine may add.
const DEADLINE: Duration = Duration::from_secs(30 + 15);
/// The interval between two requests to `/healthz`.
const PROBE_INTERVAL: Duration = Duration::from_millis(5);

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, but is {text:?}")))
}

/// The results of a run.
#[derive(Default)]
struct Results {
    requests: u64,
    /// The slowest responses, each with a description of its request.
    slowest: Vec<(Duration, String)>,
    faults: Vec<String>,
}

impl Results {
    fn record(&mut self, transport: Transport, hostile: &Hostile, latency: Duration, answer: Result<String, String>) {
        self.requests += 1;
        self.slowest.push((latency, format!("{transport:?} {} ({} bytes)", hostile.name, hostile.query.len())));
        self.slowest.sort_by_key(|(latency, _)| std::cmp::Reverse(*latency));
        self.slowest.dedup_by(|one, other| one.1 == other.1);
        self.slowest.truncate(8);
        let shown: String = format!("{:?}", hostile.query).chars().take(500).collect();
        match answer {
            Ok(answer) if answer.contains("\"code\":\"INTERNAL\"") => {
                self.faults.push(format!("INTERNAL over {transport:?} for {}: {shown}\n{answer}", hostile.name));
            }
            Ok(_) if latency <= DEADLINE => {}
            Ok(_) => self.faults.push(format!("{latency:?} over {transport:?} for {}: {shown}", hostile.name)),
            Err(error) => self.faults.push(format!("{error} over {transport:?} for {}: {shown}", hostile.name)),
        }
    }
}

/// Sends one request after another over one transport until `until`.
async fn attack(address: String, transport: Transport, seed: u64, until: Instant, results: Arc<Mutex<Results>>) {
    let mut bodies = Bodies::new(StdRng::seed_from_u64(seed ^ transport as u64));
    let mut client = transports::Client::new(&address, transport);
    // Each transport sends all known attacks first, even if that takes longer than the time limit.
    let mut known = bodies::KNOWN.iter().cloned().peekable();
    while known.peek().is_some() || Instant::now() < until {
        let hostile = known.next().unwrap_or_else(|| bodies.next());
        let began = Instant::now();
        let answer = client.send(&hostile, DEADLINE).await;
        let mut results = results.lock().unwrap();
        results.record(transport, &hostile, began.elapsed(), answer);
        if results.faults.len() > 20 {
            return;
        }
    }
}

/// Requests `/healthz` repeatedly and returns the highest latency and the number of requests. It runs on a thread of
/// its own, so that the load of the attacking tasks does not count as latency of the server.
async fn probe(address: String, until: Instant) -> Result<(Duration, u64), String> {
    let probing = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(probe_loop(&address, until))
    };
    tokio::task::spawn_blocking(probing).await.map_err(|error| error.to_string())?
}

async fn probe_loop(address: &str, until: Instant) -> Result<(Duration, u64), String> {
    let (client, url) = (reqwest::Client::new(), format!("{address}/healthz"));
    let (mut worst, mut count) = (Duration::ZERO, 0);
    while Instant::now() < until {
        let began = Instant::now();
        let answer = client.get(&url).timeout(DEADLINE).send().await.map_err(|error| format!("/healthz: {error}"))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("/healthz: {}", answer.status()));
        }
        worst = worst.max(began.elapsed());
        count += 1;
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    Ok((worst, count))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_answered_in_time_and_the_server_survives() {
    let duration = Duration::from_secs(setting("APEX_TEST_FUZZ_S").unwrap_or(5));
    let seed = setting("APEX_TEST_FUZZ_SEED").unwrap_or_else(rand::random);
    println!("seed {seed}, {} s (APEX_TEST_FUZZ_SEED, APEX_TEST_FUZZ_S)", duration.as_secs());
    // This test does not check the read models.
    let database = TestDatabase::new().await.unverified();
    let mut server = match std::env::var_os("APEX_TEST_FUZZ_BINARY").filter(|path| !path.is_empty()) {
        Some(binary) => database.serve_with(&binary, &[]).await,
        None => database.serve(&[]).await,
    };
    std::sync::LazyLock::force(&bodies::KNOWN);
    let (results, until) = (Arc::new(Mutex::new(Results::default())), Instant::now() + duration);
    let start = |transport| tokio::spawn(attack(server.address.clone(), transport, seed, until, results.clone()));
    let attacks = futures::future::join_all(Transport::ALL.map(start));
    let (alive, attacks) = futures::future::join(probe(server.address.clone(), until), attacks).await;
    assert!(attacks.iter().all(Result::is_ok), "{attacks:?}, with seed {seed}");
    let results = std::mem::take(&mut *results.lock().unwrap());
    println!("{} requests; the slowest responses:", results.requests);
    for (latency, what) in &results.slowest {
        println!("{:>8} ms  {what}", latency.as_millis());
    }
    if let Ok((worst, count)) = &alive {
        println!("/healthz: {count} responses, the slowest took {:.1} ms", worst.as_secs_f64() * 1000.0);
    }
    let exit_status = server.child.try_wait().unwrap();
    assert!(results.faults.is_empty(), "with seed {seed}:\n{}", results.faults.join("\n\n"));
    assert_eq!(exit_status, None, "the server exited, with seed {seed}");
    assert!(alive.is_ok(), "{alive:?}, with seed {seed}");
    assert!(results.requests >= Transport::ALL.len() as u64, "too few requests were sent: the test proves nothing");
    server.graphql("{ head }", serde_json::json!({})).await;
    drop(server.terminate().await);
}
