//! A process with a relay, which can be made to die at a step or to have a bug.

use apex::config::Secret;
use apex::database::connect;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use streams::relay::{Relay, RelayConfig, StateRelay};
use streams::{Log, LogConfig};
use tokio::process::Child;

/// Says to this binary that it is such a process, and what for.
pub(crate) const WORKER: &str = "APEX_TEST_RELAY_WORKER";
/// So short that a test need not wait long for a failure.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    /// The failpoint at which it dies, and how often that is passed before.
    pub(crate) death: Option<(String, u64)>,
    /// Whether it takes for published what it has only sent, or is not fenced where it should be.
    pub(crate) has_bug: bool,
    /// Whether it publishes the rows of agents instead of the log.
    pub(crate) is_of_state: bool,
    /// The failpoint at which it stops, for somebody to wake it.
    pub(crate) halt: Option<String>,
}

/// Runs a relay until it is killed.
pub(crate) async fn serve(job: &str) {
    let job: Job = serde_json::from_str(job).unwrap();
    if job.has_bug {
        fail::cfg("relay_trusts_what_was_sent", "return").unwrap();
        fail::cfg("state_relay_is_not_fenced", "return").unwrap();
    }
    if let Some((step, spared)) = job.death {
        signal_at(step, spared, Signal::KILL);
    }
    if let Some(step) = job.halt {
        signal_at(step, 0, Signal::STOP);
    }
    let pool = connect(&Secret::from(job.url), 8).await.unwrap();
    let log = Log::open(pool.clone(), LogConfig::default()).await.unwrap();
    let tail = log.tail().clone();
    tokio::spawn(tail.clone().run(std::future::pending()));
    let config = RelayConfig {
        topic_prefix: job.prefix,
        partitions: 3,
        delivery_timeout: DELIVERY_TIMEOUT,
        ..RelayConfig::new(job.brokers)
    };
    if job.is_of_state {
        let table = projections::state_topics()[0].table;
        return StateRelay { pool, tail, config, table }.run(std::future::pending()).await.unwrap();
    }
    Relay { pool, tail, config }.run(std::future::pending()).await.unwrap();
}

/// Has this process struck by a signal at a failpoint, once that was passed so often.
fn signal_at(step: String, spared: u64, signal: Signal) {
    let passed = AtomicU64::new(0);
    let strike = move || {
        if passed.fetch_add(1, Ordering::SeqCst) == spared {
            rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        }
    };
    fail::cfg_callback(step, strike).unwrap();
}

impl Job {
    pub(crate) fn start(&self) -> Child {
        tokio::process::Command::new(std::env::current_exe().unwrap())
            .env(WORKER, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}
