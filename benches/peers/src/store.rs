//! What every contender can do, and how load is put on those that run in this process.

use anyhow::Result;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Where a contender keeps its events: a database of its own, or a folder of its own.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

/// How a contender is set up for a load. What is best for each is tried out at the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Connections to the database, of all processes together.
    pub(crate) connections: usize,
    /// Processes that append.
    pub(crate) processes: usize,
    /// UmaDB only: its pipelined writer.
    pub(crate) pipelined: bool,
}

impl Setting {
    pub(crate) const fn pool(connections: usize) -> Self {
        Self { connections, processes: 1, pipelined: false }
    }
}

/// Connections that are tried.
pub(crate) const POOLS: [usize; 6] = [1, 4, 8, 16, 32, 64];

/// Appends of one event each, a new stream each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) in_flight: usize,
    /// Before anything counts for the rate: connections are opened and statements prepared.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Appends that were acknowledged, warming up included: so many rows there must be.
    pub(crate) acknowledged: u64,
    /// Acknowledged appends a second, without warming up.
    pub(crate) rate: f64,
    /// Appends that were refused for no conflict of ours, and made again.
    pub(crate) retries: u64,
}

/// A contender. Nothing of it may be left running between two loads.
pub(crate) trait Store: Send + Sync {
    /// Makes its schema.
    fn create<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<()>>;

    fn load<'a>(&'a self, place: &'a Place, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>>;

    /// How many events are there, by a way that is not the one they came by.
    fn count<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<u64>>;

    /// Follows all events by its own way of reading until told to stop and nothing new comes; how many different ones
    /// it saw. `None` if it has no way to read all events in one order.
    fn follow<'a>(&'a self, place: &'a Place, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>>;

    /// The settings that are worth trying at many appends in flight. Few connections are best where writers would
    /// only wait for each other.
    fn settings(&self) -> Vec<Setting> {
        POOLS.into_iter().map(Setting::pool).collect()
    }
}

/// The same as in `benches/log.rs`: about 400 bytes, as a recorded call has.
pub(crate) fn payload(n: u64) -> String {
    format!(
        "{{\"kind\":\"llm\",\"agent_id\":\"{}\",\"model\":\"gpt-4o\",\"usage\":{{\"input\":{},\"output\":59,\"cache_read\":0}},\"note\":\"{}\"}}",
        Uuid::from_u128(u128::from(n)),
        n % 10_000,
        "x".repeat(250)
    )
}

/// The same, for the libraries that write their events themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    kind: String,
    agent_id: Uuid,
    model: String,
    usage: Usage,
    note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Usage {
    input: u64,
    output: u64,
    cache_read: u64,
}

impl Call {
    pub(crate) fn new(n: u64) -> Self {
        Self {
            kind: "llm".to_owned(),
            agent_id: Uuid::from_u128(u128::from(n)),
            model: "gpt-4o".to_owned(),
            usage: Usage { input: n % 10_000, output: 59, cache_read: 0 },
            note: "x".repeat(250),
        }
    }
}

/// Appends over and over in as many tasks as may be in flight. The step appends once and says how often it had to.
pub(crate) async fn drive<F>(load: Load, step: impl Fn(u64) -> F + Clone + Send + 'static) -> Result<Outcome>
where
    F: Future<Output = Result<u64>> + Send + 'static,
{
    let warm = Instant::now() + load.warm_up;
    let deadline = warm + load.measured;
    let counter = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..load.in_flight)
        .map(|_| {
            let (step, counter) = (step.clone(), counter.clone());
            tokio::spawn(async move {
                let (mut all, mut measured, mut retries) = (0_u64, 0_u64, 0_u64);
                while Instant::now() < deadline {
                    retries += step(counter.fetch_add(1, Ordering::Relaxed)).await?;
                    all += 1;
                    measured += u64::from(Instant::now() >= warm);
                }
                anyhow::Ok((all, measured, retries))
            })
        })
        .collect();
    let mut outcome = Outcome::default();
    let mut measured = 0;
    for task in tasks {
        let (all, counted, retries) = task.await??;
        outcome.acknowledged += all;
        outcome.retries += retries;
        measured += counted;
    }
    outcome.rate = measured as f64 / warm.elapsed().as_secs_f64();
    Ok(outcome)
}

/// How often a reader that has been told to stop looks again before it believes that nothing more comes.
const LAST_LOOKS: u32 = 40;

/// Reads pages after a checkpoint until told to stop and nothing new comes. `read` takes the last checkpoint and
/// returns the positions that it saw, and the next checkpoint.
pub(crate) async fn follow_pages<F>(stop: Arc<AtomicBool>, read: impl Fn(i64) -> F) -> Result<Option<u64>>
where
    F: Future<Output = Result<(Vec<i64>, i64)>>,
{
    let mut seen = HashSet::new();
    let (mut checkpoint, mut looks) = (0, 0);
    while looks < LAST_LOOKS {
        let stopped = stop.load(Ordering::Relaxed);
        let (positions, next) = read(checkpoint).await?;
        checkpoint = next;
        looks = if positions.is_empty() && stopped { looks + 1 } else { 0 };
        seen.extend(positions);
        tokio::time::sleep(Duration::from_millis(if stopped { 50 } else { 1 })).await;
    }
    Ok(Some(seen.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::{Call, payload};

    #[test]
    fn every_contender_writes_the_same_payload() {
        assert_eq!(serde_json::to_string(&Call::new(12_345)).unwrap(), payload(12_345));
    }
}
