//! Workers of a projection that are killed or stopped within a turn. Whatever becomes of them, the read model is what a
//! clean rebuild gives; a worker that trusts the checkpoint which it read is caught.

use crate::runtime;
use apex::database::connect;
use futures::future::BoxFuture;
use projections::{
    Applied, Batch, Comparison, PartitionedFeed, Policy, PolicyError, PolicyWorker, Projection, SessionSettings,
    Worker, WorkerConfig, by_name, verify,
};
use rustix::process::Signal;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::relay::partition_of;
use streams::{Append, Expected, Log, LogConfig, Metadata, NewEvent, Position, StreamAppend, TopicPartition};
use testkit::cluster::{Cluster, ClusterConfig, send_signal};
use testkit::{TIMEOUT, append_all};
use tokio::process::Child;
use uuid::Uuid;

/// Says to this binary that it is a worker: what it does in its third turn, where, how it works, and on which database.
pub(crate) const WORKER: &str = "APEX_TEST_CHAOS_PROJECTOR";

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    a_worker_killed_before_or_after_its_commit_leaves_what_a_rebuild_gives,
    a_worker_stopped_past_its_turn_writes_nothing_when_it_goes_on,
    planted_trust_in_the_checkpoint_applies_a_batch_twice,
    a_policy_killed_after_it_acted_acts_once,
    planted_command_ids_by_chance_let_a_policy_act_twice,
];

/// How long a worker may stand still in these tests.
const TURN: Duration = Duration::from_millis(700);
const BATCH_EVENTS: usize = 5;
const PARTITIONS: i32 = 3;
/// Turns that are spared.
const SPARED: u64 = 2;

fn projection() -> &'static dyn Projection {
    by_name("calls").unwrap()
}

// --- inside the process ---

/// Feeds the projection until the process ends.
pub(crate) async fn work(argument: String) {
    let mut words = argument.splitn(4, ' ');
    let [act, step, manner, url] = [(); 4].map(|()| words.next().unwrap().to_owned());
    let passed = AtomicU64::new(0);
    fail::cfg_callback(step, move || {
        let is_due = passed.fetch_add(1, Ordering::SeqCst) == SPARED;
        match act.as_str() {
            "kill" if is_due => send_signal(std::process::id(), Signal::KILL),
            "stop" if is_due => send_signal(std::process::id(), Signal::STOP),
            _ => {}
        }
    })
    .unwrap();
    let pool = connect(&url.into(), 8).await.unwrap();
    let log = Log::open(pool.clone(), LogConfig::default()).await.unwrap();
    tokio::spawn(log.tail().clone().run(std::future::pending()));
    if manner == "trusting" {
        return trust(&pool, &log).await;
    }
    let config =
        WorkerConfig { batch_events: BATCH_EVENTS, idle_in_transaction_timeout: TURN, ..WorkerConfig::default() };
    if let Some(by_chance) = manner.strip_prefix("echo") {
        let policy = Arc::new(Echo { log: log.clone(), is_by_chance: !by_chance.is_empty() });
        let worker = PolicyWorker { policy, pool, source: Arc::new(log.tail().clone()), config };
        return worker.run(std::future::pending()).await.unwrap();
    }
    if manner == "fed" {
        return feed(pool, log).await;
    }
    for worker in Worker::all(projection(), &pool, log.tail(), config) {
        tokio::spawn(worker.run(std::future::pending()));
    }
    std::future::pending().await
}

/// The planted bug: the checkpoint is read without being taken, and moved without being compared.
async fn trust(pool: &PgPool, log: &Log) {
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
        let moved = "insert into apex.checkpoints (name, position, version) values ('calls', $1, 1)
             on conflict (name) do update set position = $1";
        sqlx::query(moved).bind(last).execute(&mut *transaction).await.unwrap();
        fail::fail_point!("projection_folded");
        transaction.commit().await.unwrap();
    }
}

/// Applies what comes as if Kafka had brought it, partition by partition.
async fn feed(pool: PgPool, log: Log) {
    let topic: Arc<str> = "apex.call".into();
    let partitions = HashMap::from([(topic.clone(), PARTITIONS)]);
    let feed = PartitionedFeed { projection: projection(), pool, log: log.clone(), partitions };
    feed.take_over().await.unwrap();
    let mut after = Position::ZERO;
    loop {
        let events = log.tail().next_after(after, BATCH_EVENTS).await.unwrap();
        after = events.last().unwrap().position;
        for number in 0..PARTITIONS {
            let own = events.iter().filter(|event| partition_of(event.stream.id, PARTITIONS) == number);
            let own: Vec<_> = own.cloned().collect();
            let partition = TopicPartition { topic: topic.clone(), number };
            // A turn that was lost is taken again.
            while let Err(error) = feed.apply(&partition, &own).await {
                eprintln!("a batch failed: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        feed.advance_low_watermark().await.unwrap();
    }
}

/// A policy that remembers each call.
struct Echo {
    log: Log,
    /// The planted bug: the command's id has nothing to do with the event.
    is_by_chance: bool,
}

impl Policy for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<(), PolicyError>> {
        Box::pin(async move {
            for call in batch.events.iter().filter(|event| &*event.stream.category == "call") {
                let derived = domain::derived_id(&["echo", &call.event_id.to_string()]);
                let command_id = if self.is_by_chance { Uuid::new_v4() } else { derived };
                let payload = include_str!("../../domain/tests/golden/memory.stored.v1.json");
                self.log.append(append("memory", derived, "memory.stored", payload, command_id)).await?;
            }
            Ok(())
        })
    }
}

/// One more event of a stream.
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
    Append { tenant: "default".parse().unwrap(), metadata, request: None, streams: vec![stream] }
}

// --- in the test ---

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

    /// So many calls, all in one hour of one agent: each is an addition to the same row.
    async fn append(&mut self, calls: u32) {
        let payload = include_str!("../../domain/tests/golden/call.recorded.v1.json");
        let appends = (0..calls).map(|_| {
            let id = Uuid::now_v7();
            append("call", id, "call.recorded", payload, id)
        });
        for answer in append_all(&self.log, appends.collect::<Vec<_>>()).await {
            answer.unwrap();
        }
        self.calls += i64::from(calls);
    }

    fn worker(&self, act: &str, step: &str, manner: &str) -> Child {
        tokio::process::Command::new(std::env::current_exe().unwrap())
            .env(WORKER, format!("{act} {step} {manner} {}", self.url))
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn until(&self, what: &str, sql: &'static str) {
        let deadline = Instant::now() + TIMEOUT;
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(&self.pool).await.unwrap() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn caught_up(&self) {
        let sql =
            "select coalesce((select min(position) from apex.checkpoints where follower = 'calls'), 0) >= position
             from apex.head";
        self.until("the read model catches up", sql).await;
    }

    async fn compared(&self) -> Comparison {
        verify(&self.pool, &self.log, projection(), &SessionSettings::different_locale(7)).await.unwrap()
    }

    async fn assert_right(&self) {
        let comparison = self.compared().await;
        assert!(comparison.is_same(), "{comparison:#?}");
        assert_eq!(comparison.position.as_i64(), self.calls);
        let counted: i64 =
            sqlx::query_scalar("select sum(calls)::bigint from apex.usage_hourly").fetch_one(&self.pool).await.unwrap();
        assert_eq!(counted, self.calls);
    }
}

async fn stopped(child: &Child) {
    let file = format!("/proc/{}/stat", child.id().unwrap());
    let deadline = Instant::now() + TIMEOUT;
    while !std::fs::read_to_string(&file).unwrap().rsplit(')').next().unwrap().starts_with(" T") {
        assert!(Instant::now() < deadline, "the worker does not stop");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn a_worker_killed_before_or_after_its_commit_leaves_what_a_rebuild_gives() {
    runtime().block_on(async {
        let mut case = Case::new().await;
        let steps = ["projection_folded", "projection_committed"];
        // From the log first: what is fed from Kafka is taken over.
        for (manner, step) in ["honest", "fed"].into_iter().flat_map(|manner| steps.map(|step| (manner, step))) {
            let mut killed = case.worker("kill", step, manner);
            let status = tokio::time::timeout(TIMEOUT, killed.wait()).await.expect("it dies").unwrap();
            assert_eq!(status.signal(), Some(9), "{status}");
            let mut successor = case.worker("none", step, manner);
            case.append(20).await;
            case.caught_up().await;
            successor.kill().await.unwrap();
            case.assert_right().await;
            case.append(20).await;
        }
    });
}

fn a_worker_stopped_past_its_turn_writes_nothing_when_it_goes_on() {
    runtime().block_on(async {
        let folded = "projection_folded";
        for (manner, step) in [("honest", folded), ("honest", "projection_committed"), ("fed", folded)] {
            let mut case = Case::new().await;
            let zombie = case.worker("stop", step, manner);
            stopped(&zombie).await;
            let _successor = case.worker("none", step, manner);
            // Past the turn: the successor gets the checkpoint although its holder never let go of it.
            case.caught_up().await;
            send_signal(zombie.id().unwrap(), Signal::CONT);
            case.append(20).await;
            case.caught_up().await;
            case.assert_right().await;
        }
    });
}

fn planted_trust_in_the_checkpoint_applies_a_batch_twice() {
    runtime().block_on(async {
        let case = Case::new().await;
        let zombie = case.worker("stop", "projection_folded", "trusting");
        stopped(&zombie).await;
        let _successor = case.worker("none", "projection_folded", "trusting");
        // It has read the same checkpoint, and wants to write the same rows.
        let waits = "select exists (
                select from pg_locks where not granted and locktype in ('transactionid', 'tuple'))";
        case.until("the successor writes the same rows", waits).await;
        send_signal(zombie.id().unwrap(), Signal::CONT);
        case.caught_up().await;
        let comparison = case.compared().await;
        assert!(!comparison.is_same(), "a batch was applied twice and nobody noticed");
        // The other worker may have set the checkpoint back, so that calls differ as well.
        let is_counted_twice = comparison.differences.iter().any(|difference| difference.table == "usage_hourly");
        assert!(is_counted_twice, "{comparison:#?}");
    });
}

/// How often a policy remembered a call that was killed after it had done so for a batch, and then had a successor.
async fn remembered(case: &Case, manner: &str) -> i64 {
    let mut killed = case.worker("kill", "policy_reacted", manner);
    let status = tokio::time::timeout(TIMEOUT, killed.wait()).await.expect("it dies").unwrap();
    assert_eq!(status.signal(), Some(9), "{status}");
    let _successor = case.worker("none", "policy_reacted", manner);
    let sql = "select coalesce((select position from apex.checkpoints where name = 'policy:echo'), 0)
                   >= (select max(position) from apex.events where category = 'call')";
    case.until("the policy catches up", sql).await;
    let count = "select count(*) from apex.events where category = 'memory'";
    sqlx::query_scalar(count).fetch_one(&case.pool).await.unwrap()
}

fn a_policy_killed_after_it_acted_acts_once() {
    runtime().block_on(async {
        let case = Case::new().await;
        assert_eq!(remembered(&case, "echo").await, case.calls);
    });
}

fn planted_command_ids_by_chance_let_a_policy_act_twice() {
    runtime().block_on(async {
        let case = Case::new().await;
        assert!(remembered(&case, "echo-by-chance").await > case.calls, "nobody noticed");
    });
}
