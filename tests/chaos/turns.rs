//! Projection workers that are killed or stopped while they apply a batch. The read model must equal a rebuild, and a
//! worker that does not lock its checkpoint must be detected.

use crate::runtime;
use apex::database::connect;
use futures::future::BoxFuture;
use policies::{Jobs, NewJob, Policy, PolicyError, PolicyWorker, Reaction};
use projections::{Applied, Batch, Comparison, Projection, SessionSettings, Worker, WorkerConfig, by_name, verify};
use rustix::process::Signal;
use sqlx::postgres::PgPool;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::{Append, Expected, Log, LogConfig, Metadata, NewEvent, Position, StreamAppend};
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::{TIMEOUT, append_all, send_signal, wait_until_stopped};
use tokio::process::Child;
use uuid::Uuid;

/// Makes this binary run as a worker: the signal that it sends itself, the failpoint, the kind of worker, and the database
/// URL, separated by spaces.
pub(crate) const WORKER: &str = "APEX_TEST_CHAOS_PROJECTOR";

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    a_projection_worker_killed_around_its_commit_leaves_the_same_as_a_rebuild,
    a_projection_worker_resumed_after_its_time_limit_writes_nothing,
    planted_workers_without_a_checkpoint_lock_apply_a_batch_twice,
    a_policy_killed_after_its_reaction_reacts_once,
    planted_random_command_ids_make_a_policy_react_twice,
    a_policy_killed_between_its_jobs_and_its_checkpoint_writes_neither,
    planted_jobs_in_a_transaction_of_their_own_outrun_the_checkpoint,
];

/// The longest time for which a worker holds its checkpoint in these tests: longer than a busy machine delays one that is
/// not stopped.
const TURN: Duration = Duration::from_secs(3);
const BATCH_EVENTS: usize = 5;
/// How often the failpoint is passed before the signal.
const HITS_BEFORE: u64 = 2;

fn projection() -> &'static dyn Projection {
    by_name("calls").unwrap()
}

// --- in the worker process ---

/// Feeds the projection until the process ends.
pub(crate) async fn work(argument: String) {
    let mut words = argument.splitn(4, ' ');
    let [signal, failpoint, kind, url] = [(); 4].map(|()| words.next().unwrap().to_owned());
    let hits = AtomicU64::new(0);
    fail::cfg_callback(failpoint, move || {
        let is_due = hits.fetch_add(1, Ordering::SeqCst) == HITS_BEFORE;
        match signal.as_str() {
            "kill" if is_due => send_signal(std::process::id(), Signal::KILL),
            "stop" if is_due => send_signal(std::process::id(), Signal::STOP),
            _ => {}
        }
    })
    .unwrap();
    let pool = connect(&url.into(), 8).await.unwrap();
    let log = Log::open(pool.clone(), LogConfig::default()).await.unwrap();
    tokio::spawn(log.tail().clone().run(std::future::pending()));
    if kind == "unlocked" {
        return run_unlocked(&pool, &log).await;
    }
    let config =
        WorkerConfig { batch_events: BATCH_EVENTS, idle_in_transaction_timeout: TURN, ..WorkerConfig::default() };
    if let Some(suffix) = kind.strip_prefix("jobs") {
        let jobs = Jobs::new(pool.clone());
        let apart = (!suffix.is_empty()).then(|| (jobs.clone(), pool));
        let policy = Arc::new(Scheduler { apart });
        let worker = PolicyWorker { policy, jobs, source: Arc::new(log.tail().clone()), config };
        return worker.run(std::future::pending()).await.unwrap();
    }
    if let Some(suffix) = kind.strip_prefix("echo") {
        let policy = Arc::new(Echo { log: log.clone(), has_random_ids: !suffix.is_empty() });
        let worker = PolicyWorker { policy, jobs: Jobs::new(pool), source: Arc::new(log.tail().clone()), config };
        return worker.run(std::future::pending()).await.unwrap();
    }
    for worker in Worker::all(projection(), &pool, log.tail(), config) {
        tokio::spawn(worker.run(std::future::pending()));
    }
    std::future::pending().await
}

/// The planted bug: the checkpoint is read without a lock, and advanced without a comparison.
async fn run_unlocked(pool: &PgPool, log: &Log) {
    loop {
        let checkpoint: Option<i64> =
            sqlx::query_scalar("select position from apex.checkpoints where follower = 'calls'")
                .fetch_optional(pool)
                .await
                .unwrap();
        let after = Position::from_i64(checkpoint.unwrap_or(0));
        let events = log.tail().next_after(after, BATCH_EVENTS).await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("set local search_path = apex").execute(&mut *transaction).await.unwrap();
        let last = events.last().unwrap().position.as_i64();
        let decode = |recorded: Arc<streams::RecordedEvent>| {
            let event = Arc::new(recorded.decode().unwrap());
            Applied { recorded, event }
        };
        let events: Vec<_> = events.into_iter().map(decode).collect();
        projection().apply(&mut transaction, &events).await.unwrap();
        let advance = "insert into apex.checkpoints (name, position, version) values ('calls', $1, $2)
             on conflict (name) do update set position = $1";
        sqlx::query(advance).bind(last).bind(projection().version()).execute(&mut *transaction).await.unwrap();
        fail::fail_point!("projection_folded");
        transaction.commit().await.unwrap();
    }
}

/// A policy that stores a memory for each call.
struct Echo {
    log: Log,
    /// The planted bug: command ids are random instead of derived from the event.
    has_random_ids: bool,
}

impl Policy for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(async move {
            for call in batch.events.iter().filter(|event| &*event.stream.category == "call") {
                let derived = domain::derived_id(&["echo", &call.event_id.to_string()]);
                let command_id = if self.has_random_ids { Uuid::new_v4() } else { derived };
                let payload = include_str!("../../domain/tests/golden/memory.stored.v1.json");
                self.log.append(append("memory", derived, "memory.stored", payload, command_id)).await?;
            }
            Ok(Reaction::default())
        })
    }
}

/// A policy that writes a job for each event.
struct Scheduler {
    /// The planted bug: the jobs are inserted in a transaction of their own, instead of that of the checkpoint.
    apart: Option<(Jobs, PgPool)>,
}

impl Policy for Scheduler {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        let job = |event: &Arc<streams::RecordedEvent>| NewJob {
            id: domain::derived_id(&["scheduler", &event.event_id.to_string()]),
            kind: "test",
            destination: None,
            tenant: None,
            payload: serde_json::Value::Null,
            due_at: None,
        };
        let jobs = batch.events.iter().map(job).collect();
        Box::pin(async move {
            let mut reaction = Reaction { jobs, has_more: false };
            if let Some((jobs, pool)) = &self.apart {
                jobs.insert(&mut *pool.acquire().await?, &std::mem::take(&mut reaction.jobs)).await?;
            }
            Ok(reaction)
        })
    }
}

/// Appends an event to a stream.
fn append(category: &'static str, id: Uuid, name: &'static str, payload: &str, command_id: Uuid) -> Append {
    let metadata = Metadata {
        actor: "chaos".to_owned(),
        command_id,
        correlation_id: command_id,
        causation_id: None,
        traceparent: None,
    };
    let event = NewEvent { event_id: Uuid::now_v7(), name, schema_version: 1, payload: payload.to_owned() };
    let stream = StreamAppend { category: category.into(), id, expected: Expected::Any, events: vec![event] };
    Append {
        tenant: "default".parse().unwrap(),
        metadata,
        request: None,
        streams: vec![stream],
        may_change_others: false,
    }
}

// --- in the test process ---

struct Case {
    url: String,
    pool: PgPool,
    log: Log,
    calls: i64,
    _cluster: Cluster,
}

impl Case {
    async fn new() -> Self {
        let cluster = Cluster::start(ClusterConfig::default()).await;
        let pool = cluster.application().await;
        let log = Log::open(pool.clone(), LogConfig::default()).await.unwrap();
        let mut case = Self { url: cluster.url(), pool, log, calls: 0, _cluster: cluster };
        case.append(40).await;
        case
    }

    /// Appends calls of one agent in the same hour, each of which adds to the same rows of the usage tables.
    async fn append(&mut self, calls: u32) {
        let payload = testkit::call_payload();
        let appends = (0..calls).map(|_| {
            let id = Uuid::now_v7();
            append("call", id, "call.recorded", &payload, id)
        });
        for answer in append_all(&self.log, appends.collect::<Vec<_>>()).await {
            answer.unwrap();
        }
        self.calls += i64::from(calls);
    }

    fn start_worker(&self, signal: &str, failpoint: &str, kind: &str) -> Child {
        tokio::process::Command::new(std::env::current_exe().unwrap())
            .env(WORKER, format!("{signal} {failpoint} {kind} {}", self.url))
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn wait_until(&self, what: &str, sql: &'static str) {
        let deadline = Instant::now() + TIMEOUT;
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(&self.pool).await.unwrap() {
            assert!(Instant::now() < deadline, "timed out, waiting until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_caught_up(&self) {
        let sql =
            "select coalesce((select min(position) from apex.checkpoints where follower = 'calls'), 0) >= position
             from apex.head";
        self.wait_until("the read model catches up", sql).await;
    }

    async fn compare(&self) -> Comparison {
        verify(&testkit::access(), &self.pool, &self.log, projection(), &SessionSettings::different_locale(7))
            .await
            .unwrap()
    }

    async fn assert_equals_rebuild(&self) {
        let comparison = self.compare().await;
        assert!(comparison.is_same(), "{comparison:#?}");
        assert_eq!(comparison.position.as_i64(), self.calls);
        let counted: i64 = sqlx::query_scalar("select sum(calls)::bigint from apex.usage_quarter_hourly")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert_eq!(counted, self.calls);
    }
}

fn a_projection_worker_killed_around_its_commit_leaves_the_same_as_a_rebuild() {
    runtime().block_on(async {
        let mut case = Case::new().await;
        for step in ["projection_folded", "projection_committed"] {
            let mut killed = case.start_worker("kill", step, "correct");
            let status =
                tokio::time::timeout(TIMEOUT, killed.wait()).await.expect("the worker was not killed").unwrap();
            assert_eq!(status.signal(), Some(9), "{status}");
            let mut successor = case.start_worker("none", step, "correct");
            case.append(20).await;
            case.wait_until_caught_up().await;
            successor.kill().await.unwrap();
            case.assert_equals_rebuild().await;
            case.append(20).await;
        }
    });
}

fn a_projection_worker_resumed_after_its_time_limit_writes_nothing() {
    runtime().block_on(async {
        for step in ["projection_folded", "projection_committed"] {
            let mut case = Case::new().await;
            let zombie = case.start_worker("stop", step, "correct");
            wait_until_stopped(zombie.id().unwrap()).await;
            let _successor = case.start_worker("none", step, "correct");
            // After the time limit, the successor gets the checkpoint although its holder did not release it.
            case.wait_until_caught_up().await;
            send_signal(zombie.id().unwrap(), Signal::CONT);
            case.append(20).await;
            case.wait_until_caught_up().await;
            case.assert_equals_rebuild().await;
        }
    });
}

fn planted_workers_without_a_checkpoint_lock_apply_a_batch_twice() {
    runtime().block_on(async {
        let case = Case::new().await;
        let zombie = case.start_worker("stop", "projection_folded", "unlocked");
        wait_until_stopped(zombie.id().unwrap()).await;
        let _successor = case.start_worker("none", "projection_folded", "unlocked");
        // It has read the same checkpoint, and waits for locks on the same rows.
        let waits = "select exists (
                select from pg_locks join pg_stat_activity using (pid)
                 where not granted and locktype in ('transactionid', 'tuple') and datname = current_database())";
        case.wait_until("the successor writes the same rows", waits).await;
        send_signal(zombie.id().unwrap(), Signal::CONT);
        case.wait_until_caught_up().await;
        let comparison = case.compare().await;
        assert!(!comparison.is_same(), "a batch applied twice was not detected");
        // The other worker may have decreased the checkpoint, so that calls differ as well.
        let is_counted_twice =
            comparison.differences.iter().any(|difference| difference.table == "usage_quarter_hourly");
        assert!(is_counted_twice, "{comparison:#?}");
    });
}

/// Kills a policy after its reaction to a batch, and starts a successor. Returns how many memories they stored.
async fn count_memories(case: &Case, kind: &str) -> i64 {
    let mut killed = case.start_worker("kill", "policy_reacted", kind);
    let status = tokio::time::timeout(TIMEOUT, killed.wait()).await.expect("the worker was not killed").unwrap();
    assert_eq!(status.signal(), Some(9), "{status}");
    let _successor = case.start_worker("none", "policy_reacted", kind);
    let sql = "select coalesce((select position from apex.checkpoints where name = 'policy:echo'), 0)
                   >= (select max(position) from apex.events where category = 'call')";
    case.wait_until("the policy catches up", sql).await;
    let count = "select count(*) from apex.events where category = 'memory'";
    sqlx::query_scalar(count).fetch_one(&case.pool).await.unwrap()
}

fn a_policy_killed_after_its_reaction_reacts_once() {
    runtime().block_on(async {
        let case = Case::new().await;
        assert_eq!(count_memories(&case, "echo").await, case.calls);
    });
}

fn planted_random_command_ids_make_a_policy_react_twice() {
    runtime().block_on(async {
        let case = Case::new().await;
        assert!(count_memories(&case, "echo-random").await > case.calls, "random command ids were not detected");
    });
}

/// Kills a policy before it commits a transaction with jobs. Returns the position of its checkpoint and the number of
/// jobs then, and the number of jobs after a successor has caught up.
async fn count_jobs(case: &Case, kind: &str) -> (i64, i64, i64) {
    let mut killed = case.start_worker("kill", "policy_jobs_inserted", kind);
    let status = tokio::time::timeout(TIMEOUT, killed.wait()).await.expect("the worker was not killed").unwrap();
    assert_eq!(status.signal(), Some(9), "{status}");
    let count = async |sql| sqlx::query_scalar::<_, i64>(sql).fetch_one(&case.pool).await.unwrap();
    let (checkpoint, jobs) = (
        "select position from apex.checkpoints where name = 'policy:scheduler'",
        "select count(*) from apex.jobs where kind = 'test'",
    );
    let (at_kill, jobs_at_kill) = (count(checkpoint).await, count(jobs).await);
    let _successor = case.start_worker("none", "policy_jobs_inserted", kind);
    let sql = "select (select position from apex.checkpoints where name = 'policy:scheduler')
                   >= (select position from apex.head)";
    case.wait_until("the policy catches up", sql).await;
    (at_kill, jobs_at_kill, count(jobs).await)
}

fn a_policy_killed_between_its_jobs_and_its_checkpoint_writes_neither() {
    runtime().block_on(async {
        let case = Case::new().await;
        let (checkpoint, jobs, jobs_after) = count_jobs(&case, "jobs").await;
        assert!(checkpoint > 0 && checkpoint < case.calls, "it was killed at {checkpoint}: the test proves nothing");
        assert_eq!((jobs, jobs_after), (checkpoint, case.calls), "a job for each event up to the checkpoint");
    });
}

fn planted_jobs_in_a_transaction_of_their_own_outrun_the_checkpoint() {
    runtime().block_on(async {
        let case = Case::new().await;
        let (checkpoint, jobs, _) = count_jobs(&case, "jobs-apart").await;
        assert!(
            jobs > checkpoint,
            "{jobs} jobs at checkpoint {checkpoint}: a job without its checkpoint was not detected"
        );
    });
}
