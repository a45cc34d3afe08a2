//! A process with a relay, which can stop or kill itself at a failpoint, or have a planted bug.

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

/// Makes this binary run as such a process, with a [`Job`] as JSON.
pub(crate) const WORKER: &str = "APEX_TEST_RELAY_WORKER";
/// Short, so that deliveries fail quickly.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a relay process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    /// The failpoint at which it kills itself, and how often it passes that before.
    pub(crate) kill_at: Option<(String, u64)>,
    /// Whether it has the planted bugs: it treats sent messages as acknowledged, and does not fence its state topic.
    pub(crate) has_bug: bool,
    /// Whether it publishes the rows of agents instead of the events of the log.
    pub(crate) relays_state: bool,
    /// The failpoint at which it stops itself by SIGSTOP.
    pub(crate) stop_at: Option<String>,
}

/// Runs a relay until it is killed.
pub(crate) async fn serve(job: &str) {
    let job: Job = serde_json::from_str(job).unwrap();
    if job.has_bug {
        fail::cfg("relay_trusts_what_was_sent", "return").unwrap();
        fail::cfg("state_relay_is_not_fenced", "return").unwrap();
    }
    if let Some((failpoint, hits_before)) = job.kill_at {
        signal_self_at(failpoint, hits_before, Signal::KILL);
    }
    if let Some(failpoint) = job.stop_at {
        signal_self_at(failpoint, 0, Signal::STOP);
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
    if job.relays_state {
        let table = projections::state_topics()[0].table;
        return StateRelay { pool, tail, config, table }.run(std::future::pending()).await.unwrap();
    }
    Relay { pool, tail, config }.run(std::future::pending()).await.unwrap();
}

/// Makes this process send a signal to itself at a failpoint, once it was passed a number of times.
fn signal_self_at(failpoint: String, hits_before: u64, signal: Signal) {
    let hits = AtomicU64::new(0);
    let on_hit = move || {
        if hits.fetch_add(1, Ordering::SeqCst) == hits_before {
            rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        }
    };
    fail::cfg_callback(failpoint, on_hit).unwrap();
}

impl Job {
    /// Starts a process with this job. It is killed when dropped.
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
