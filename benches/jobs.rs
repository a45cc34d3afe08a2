//! How late timers fire: jobs that are due at known times, while the runner is restarted or killed once a second, compared
//! with the same timers and a runner that keeps running.
//!
//! The figure is the lateness of the latest of all timers, in milliseconds. A runner that is stopped gives its jobs back.
//! A timer that was taken by a runner that was killed before it fired waits until its lease expires, which is printed
//! beside the table: with the default lease that takes 15 seconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot continue has failed"
)]

use chrono::{TimeDelta, Utc};
use futures::future::BoxFuture;
use policies::{Job, JobHandler, JobOutcome, JobRunner, JobRunnerConfig, Jobs, NewJob};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::bench::{Bench, Table, percentile, setting};
use testkit::tenant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const KIND: &str = "timer";

/// Notes how late each job was when it ran first.
#[derive(Default)]
struct Stopwatch {
    lateness: Mutex<BTreeMap<Uuid, TimeDelta>>,
}

impl JobHandler for Stopwatch {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        self.lateness.lock().unwrap().entry(job.id).or_insert_with(|| Utc::now() - job.scheduled_at);
        Box::pin(std::future::ready(JobOutcome::Done))
    }
}

/// What happens to the runner once a second.
#[derive(Clone, Copy)]
enum Disturbance {
    None,
    Restart,
    Kill,
}

/// Timers that are due 100 times a second, for the seconds of a round, in ten queues. Returns how late each was.
async fn lateness(bench: &Bench, disturbance: Disturbance) -> Vec<Duration> {
    let jobs = Jobs::new(bench.pool.clone());
    let timers = i32::try_from(bench.seconds.as_secs()).unwrap() * 100;
    let start = Utc::now() + TimeDelta::milliseconds(500);
    let round = Uuid::now_v7();
    let new: Vec<_> = (0..timers)
        .map(|n| NewJob {
            id: Uuid::now_v7(),
            kind: KIND,
            destination: Some(format!("{round}:{}", n % 10)),
            tenant: Some(tenant()),
            payload: Value::Null,
            due_at: Some(start + TimeDelta::milliseconds(10) * n),
        })
        .collect();
    for part in new.chunks(500) {
        jobs.insert(&mut bench.pool.acquire().await.unwrap(), part).await.unwrap();
    }
    let stopwatch = Arc::new(Stopwatch::default());
    while stopwatch.lateness.lock().unwrap().len() < new.len() {
        let stop = CancellationToken::new();
        let runner = JobRunner::new(jobs.clone(), vec![stopwatch.clone()], JobRunnerConfig::default());
        let task = tokio::spawn(runner.run(stop.clone().cancelled_owned()));
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let is_over = stopwatch.lateness.lock().unwrap().len() == new.len();
            if is_over || !matches!(disturbance, Disturbance::None) {
                break;
            }
        }
        match disturbance {
            Disturbance::Kill => task.abort(),
            Disturbance::None | Disturbance::Restart => stop.cancel(),
        }
        drop(task.await);
    }
    stopwatch.lateness.lock().unwrap().values().map(|late| late.to_std().unwrap()).collect()
}

/// The lateness of the latest timer, in milliseconds. Prints the median, too.
async fn latest(bench: &Bench, name: &str, disturbance: Disturbance) -> f64 {
    let mut lateness = lateness(bench, disturbance).await;
    let over = lateness.iter().filter(|late| **late > Duration::from_secs(1)).count();
    let [median, most, latest] = [50, 99, 100].map(|percent| percentile(&mut lateness, percent).as_secs_f64() * 1e3);
    let timers = lateness.len();
    println!(
        "{name}: {timers} timers, median {median:.0} ms, 99 % {most:.0} ms, latest {latest:.0} ms, {over} over a second"
    );
    latest
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut bench = Bench::new().await;
    bench.seconds = Duration::from_secs(setting("SECONDS_PER_CASE", 10));
    let mut table = Table::new();
    let undisturbed = || latest(&bench, "undisturbed", Disturbance::None);
    let case = "latest timer, the runner restarted once a second; undisturbed";
    table.case(&bench, case, "ms", || latest(&bench, "restarted", Disturbance::Restart), undisturbed).await;
    let case = "latest timer, the runner killed once a second; undisturbed";
    table.case(&bench, case, "ms", || latest(&bench, "killed", Disturbance::Kill), undisturbed).await;
    table.write("jobs");
}
