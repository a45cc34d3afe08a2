//! Hostile requests against a running server: known attacks, documents of a grammar, and both with bytes changed, over
//! every way in. Each is answered before the deadline of requests, none is a fault of the server, and none ends it.
//!
//! As a test it takes a few seconds. `make fuzz` goes on for `APEX_TEST_FUZZ_S` seconds against the release binary
//! (`APEX_TEST_FUZZ_BINARY`) and prints how long `/healthz` took at most meanwhile. `APEX_TEST_FUZZ_SEED` repeats the
//! choices of a run.
#![allow(clippy::print_stdout, reason = "the seed and the figures are what a long run is for")]

mod bodies;
mod ways;

use bodies::{Bodies, Hostile};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::TestDatabase;
use ways::Way;

/// How long a server may take for a request by default, and what the machine may add.
const DEADLINE: Duration = Duration::from_secs(30 + 15);
/// How often the server is asked whether it is alive.
const PROBE_INTERVAL: Duration = Duration::from_millis(5);

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

/// What a run has seen.
#[derive(Default)]
struct Seen {
    requests: u64,
    /// The slowest answers, each with what was sent.
    slowest: Vec<(Duration, String)>,
    faults: Vec<String>,
}

impl Seen {
    fn note(&mut self, way: Way, hostile: &Hostile, took: Duration, answer: Result<String, String>) {
        self.requests += 1;
        self.slowest.push((took, format!("{way:?} {} ({} bytes)", hostile.name, hostile.query.len())));
        self.slowest.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
        self.slowest.dedup_by(|one, other| one.1 == other.1);
        self.slowest.truncate(8);
        let shown: String = format!("{:?}", hostile.query).chars().take(500).collect();
        match answer {
            Ok(answer) if answer.contains("\"INTERNAL\"") => {
                self.faults.push(format!("INTERNAL over {way:?} for {}: {shown}\n{answer}", hostile.name));
            }
            Ok(_) if took <= DEADLINE => {}
            Ok(_) => self.faults.push(format!("{took:?} over {way:?} for {}: {shown}", hostile.name)),
            Err(error) => self.faults.push(format!("{error} over {way:?} for {}: {shown}", hostile.name)),
        }
    }
}

/// Sends one thing after the other over one way, until the time is over.
async fn attack(address: String, way: Way, seed: u64, until: Instant, seen: Arc<Mutex<Seen>>) {
    let mut bodies = Bodies::new(StdRng::seed_from_u64(seed ^ way as u64));
    let mut client = ways::Client::new(&address, way);
    // Everybody begins with the known attacks, and goes through them however long that takes.
    let mut known = bodies::KNOWN.iter().cloned().peekable();
    while known.peek().is_some() || Instant::now() < until {
        let hostile = known.next().unwrap_or_else(|| bodies.next());
        let began = Instant::now();
        let answer = client.send(&hostile, DEADLINE).await;
        let mut seen = seen.lock().unwrap();
        seen.note(way, &hostile, began.elapsed(), answer);
        if seen.faults.len() > 20 {
            return;
        }
    }
}

/// Asks whether the server is alive again and again; how long that took at most. On a thread of its own: what is
/// measured is how long the server takes, and not how long those do who attack it.
async fn probe(address: String, until: Instant) -> Result<(Duration, u64), String> {
    let probing = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(probe_here(&address, until))
    };
    tokio::task::spawn_blocking(probing).await.map_err(|error| error.to_string())?
}

async fn probe_here(address: &str, until: Instant) -> Result<(Duration, u64), String> {
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
async fn hostile_requests_are_answered_in_time_and_end_nothing() {
    let duration = Duration::from_secs(setting("APEX_TEST_FUZZ_S").unwrap_or(5));
    let seed = setting("APEX_TEST_FUZZ_SEED").unwrap_or_else(rand::random);
    println!("seed {seed}, for {} s (APEX_TEST_FUZZ_SEED, APEX_TEST_FUZZ_S)", duration.as_secs());
    // What becomes of the read models is not what is looked at here.
    let database = TestDatabase::new().await.unverified();
    let mut server = match std::env::var_os("APEX_TEST_FUZZ_BINARY").filter(|path| !path.is_empty()) {
        Some(binary) => database.serve_with(&binary, &[]).await,
        None => database.serve(&[]).await,
    };
    std::sync::LazyLock::force(&bodies::KNOWN);
    let (seen, until) = (Arc::new(Mutex::new(Seen::default())), Instant::now() + duration);
    let start = |way| tokio::spawn(attack(server.address.clone(), way, seed, until, seen.clone()));
    let attacks = futures::future::join_all(Way::ALL.map(start));
    let (alive, attacks) = futures::future::join(probe(server.address.clone(), until), attacks).await;
    assert!(attacks.iter().all(Result::is_ok), "{attacks:?}, with seed {seed}");
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    println!("{} requests; the slowest answers:", seen.requests);
    for (took, what) in &seen.slowest {
        println!("{:>8} ms  {what}", took.as_millis());
    }
    if let Ok((worst, count)) = &alive {
        println!("/healthz: {count} answers, the slowest after {:.1} ms", worst.as_secs_f64() * 1000.0);
    }
    let ended = server.child.try_wait().unwrap();
    assert!(seen.faults.is_empty(), "with seed {seed}:\n{}", seen.faults.join("\n\n"));
    assert_eq!(ended, None, "the server ended, with seed {seed}");
    assert!(alive.is_ok(), "{alive:?}, with seed {seed}");
    assert!(seen.requests >= Way::ALL.len() as u64, "too few requests to prove anything");
    server.graphql("{ head }", serde_json::json!({})).await;
    drop(server.terminate().await);
}
