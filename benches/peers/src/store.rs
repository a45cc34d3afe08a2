//! The interface of a contender, and the load generator for those that run in this process.

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

/// Where a contender stores its events: its own database, or its own folder.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

/// The configuration of a contender. The best one for each is determined at the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Database connections of all processes together.
    pub(crate) connections: usize,
    /// The number of processes that append.
    pub(crate) processes: usize,
    /// UmaDB only: whether to use its pipelined writer.
    pub(crate) pipelined: bool,
}

impl Setting {
    pub(crate) const fn pool(connections: usize) -> Self {
        Self { connections, processes: 1, pipelined: false }
    }
}

/// The pool sizes that are tried.
pub(crate) const POOLS: [usize; 6] = [1, 4, 8, 16, 32, 64];

/// A load of appends, each of one event to a new stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) in_flight: usize,
    /// The time before the measurement, in which connections are opened and statements prepared.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Acknowledged appends, including the warm-up: the number of events that must be stored.
    pub(crate) acknowledged: u64,
    /// Acknowledged appends per second, without the warm-up.
    pub(crate) rate: f64,
    /// Appends that were refused without a conflict between streams, and retried.
    pub(crate) retries: u64,
}

/// A contender. Nothing of it may keep running between two loads.
pub(crate) trait Store: Send + Sync {
    /// Creates the schema.
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>>;

    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>>;

    /// The number of stored events, counted independently of the way they were written.
    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>>;

    /// Reads all events with the library's own API until `stop` is set and nothing new arrives. Returns the number of distinct
    /// events, or `None` if the library cannot read all events in one order.
    fn follow<'a>(&'a self, storage: &'a Storage, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>>;

    /// The settings to try with many appends in flight. Few connections are best where writers wait for each other.
    fn settings(&self) -> Vec<Setting> {
        POOLS.into_iter().map(Setting::pool).collect()
    }
}

/// The same payload as in `benches/log.rs`: about 400 bytes, the size of a recorded call.
pub(crate) fn payload(n: u64) -> String {
    format!(
        "{{\"kind\":\"llm\",\"agent_id\":\"{}\",\"model\":\"gpt-4o\",\"usage\":{{\"input\":{},\"output\":59,\"cache_read\":0}},\"note\":\"{}\"}}",
        Uuid::from_u128(u128::from(n)),
        n % 10_000,
        "x".repeat(250)
    )
}

/// The same payload, for libraries that serialize events themselves.
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

/// Runs a step repeatedly in one task per append in flight. The step appends once and returns its number of retries.
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

/// The number of consecutive empty reads after which a reader that was stopped ends.
const FINAL_READS: u32 = 40;

/// Reads pages after a checkpoint until `stop` is set and nothing new arrives. `read` takes the last checkpoint, and returns
/// the positions of the page and the next checkpoint.
pub(crate) async fn follow_pages<F>(stop: Arc<AtomicBool>, read: impl Fn(i64) -> F) -> Result<Option<u64>>
where
    F: Future<Output = Result<(Vec<i64>, i64)>>,
{
    let mut seen = HashSet::new();
    let (mut checkpoint, mut empty_reads) = (0, 0);
    while empty_reads < FINAL_READS {
        let stopped = stop.load(Ordering::Relaxed);
        let (positions, next) = read(checkpoint).await?;
        checkpoint = next;
        empty_reads = if positions.is_empty() && stopped { empty_reads + 1 } else { 0 };
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
