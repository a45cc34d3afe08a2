//! Projection workers: batches of any size, shards at different positions, worker processes that are killed, interrupted
//! builds, and stalled read models.

use crate::projections::append_examples;
use apex::readiness::Readiness;
use api::ReadyChecks;
use futures::future::BoxFuture;
use projections::{
    Batch, Projection, SessionSettings, Source, Worker, WorkerConfig, build, by_name, compare, statuses, switch,
    verify, wait_for,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::Connection;
use sqlx::postgres::PgPool;
use std::cell::Cell;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use streams::{Log, Position, ReadError, Tail};
use testkit::{TIMEOUT, TestDatabase, append_all, call_append, sample, wait_until};
use tokio::process::Child;
use tokio::task::JoinSet;

async fn append(log: &Log, calls: usize) {
    for answer in append_all(log, (0..calls).map(|_| call_append())).await {
        answer.unwrap();
    }
}

/// Whether the live tables of a read model have the rows that the log gives.
async fn matches_log(pool: &PgPool, log: &Log, projection: &'static dyn Projection) -> bool {
    verify(&testkit::access(), pool, log, projection, &SessionSettings::different_locale(7)).await.unwrap().is_same()
}

/// The position of each shard, in order of their numbers.
async fn shard_positions(pool: &PgPool, name: &str) -> Vec<i64> {
    let query = "select position from apex.checkpoints where follower = $1 order by name";
    sqlx::query_scalar(query).bind(name).fetch_all(pool).await.unwrap()
}

/// A bug to plant in a source of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Some batches lack their first event.
    SkipsEvents,
    /// Some batches begin with events that were read before.
    RepeatsEvents,
}

/// Reads the log in batches of random size.
struct RandomBatches {
    tail: Tail,
    random: Mutex<StdRng>,
    bug: Option<Bug>,
}

impl RandomBatches {
    async fn read(&self, position: Position, limit: usize) -> Result<Option<Batch>, ReadError> {
        let (limit, is_wrong) = {
            let mut random = self.random.lock().unwrap();
            (random.random_range(1..=limit), random.random_bool(0.3))
        };
        let bug = self.bug.filter(|_| is_wrong);
        let repeated = if bug == Some(Bug::RepeatsEvents) { position.get().min(2) } else { 0 };
        let from = Position::from(position.get() - repeated);
        let mut events = self.tail.read_after(from, limit + usize::try_from(repeated).unwrap()).await?;
        let Some(last) = events.last().map(|last| last.position).filter(|last| *last > position) else {
            return Ok(None);
        };
        if bug == Some(Bug::SkipsEvents) {
            events.remove(0);
        }
        Ok(Some(Batch { events, through: last }))
    }
}

impl Source for RandomBatches {
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(self.tail.wait_beyond(position))
    }

    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>> {
        Box::pin(self.read(position, limit))
    }
}

/// Three workers for each shard of a read model, until it has the whole log. All of them read the same events, and
/// several try to apply them.
async fn feed_with_competing_workers(pool: &PgPool, log: &Log, name: &str, seed: u64, bug: Option<Bug>) {
    let projection = by_name(name).unwrap();
    let mut workers = JoinSet::new();
    for number in 0..3 {
        let config = WorkerConfig { batch_events: 6, retry_pause: Duration::from_millis(1), ..WorkerConfig::default() };
        for worker in Worker::all(projection, pool, log.tail(), config) {
            let random = Mutex::new(StdRng::seed_from_u64(seed + 100 * number));
            let source = Arc::new(RandomBatches { tail: log.tail().clone(), random, bug });
            workers.spawn(Worker { source, ..worker }.run(std::future::pending()));
        }
    }
    wait_for(pool, &[name], log.head().await.unwrap(), TIMEOUT).await.unwrap();
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn competing_workers_with_batches_of_any_size_give_the_rows_of_the_log() {
    let (skips, repeats) = (Some(Bug::SkipsEvents), Some(Bug::RepeatsEvents));
    let mut detected = Vec::new();
    for (seed, bug) in [(1, None), (2, None), (3, skips), (4, repeats)] {
        let mut database = TestDatabase::new().await;
        if bug.is_some() {
            database = database.unverified();
        }
        let rooms = database.rooms().await;
        append_examples(&rooms).await;
        // Enough batches that some of them are wrong.
        append(&rooms.log, if bug.is_some() { 100 } else { 40 }).await;
        for projection in projections::all() {
            let name = projection.name();
            feed_with_competing_workers(&rooms.pool, &rooms.log, name, seed, bug).await;
            let compared =
                verify(&testkit::access(), &rooms.pool, &rooms.log, projection, &SessionSettings::different_locale(7))
                    .await;
            let compared = compared.unwrap();
            assert!(bug.is_some() || compared.is_same(), "{name}, seed {seed}: {compared:#?}");
            if !compared.is_same() {
                detected.extend(bug);
            }
        }
    }
    for bug in [Bug::SkipsEvents, Bug::RepeatsEvents] {
        assert!(detected.contains(&bug), "{bug:?} is not detected: the test proves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_build_resumes_at_its_checkpoint() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    append_examples(&rooms).await;
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    let projections_to_build = [by_name("tasks").unwrap()];
    let head = rooms.log.head().await.unwrap();
    let stopped = Cell::new(false);
    {
        let progress = |at: projections::RebuildProgress| stopped.set(at.position.get() > head.get() / 2);
        let access = testkit::access();
        let mut building = std::pin::pin!(build(&access, &rooms.pool, &rooms.log, &projections_to_build, 3, progress));
        // The build is dropped the first time that it waits for the database past the middle of the log.
        let is_interrupted = std::future::poll_fn(|context| match building.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if stopped.get() => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        });
        assert!(is_interrupted.await, "the build finished before it was interrupted: the test proves nothing");
    }
    let next = async || {
        let statuses = statuses(&testkit::access(), &rooms.pool).await.unwrap();
        statuses.into_iter().find(|status| status.name == "tasks").unwrap().next_position
    };
    let left_at = next().await.unwrap();
    assert!(left_at > 0 && left_at < head.as_i64(), "{left_at} of {head}");
    let first = Cell::new(None);
    let progress = |at: projections::RebuildProgress| first.set(first.get().or(Some(at.position)));
    let reached = build(&testkit::access(), &rooms.pool, &rooms.log, &projections_to_build, 3, progress).await.unwrap();
    assert!(
        reached >= head && first.get().unwrap().as_i64() > left_at,
        "the build restarted from the beginning: {:?}",
        first.get()
    );
    // No event was applied twice or skipped.
    let compared = compare(&testkit::access(), &rooms.pool, &rooms.log, projections_to_build[0]).await.unwrap();
    assert!(compared.is_same(), "{compared:#?}");
    rooms.close().await.unwrap();
}

/// The check of the read models in `/readyz`.
async fn readiness(readiness: &Readiness) -> api::ReadyCheck {
    readiness.check().await.into_iter().find(|check| check.name == "projections").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_read_model_shows_in_readiness_and_metrics() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let rooms = database.rooms().await;
    append_examples(&rooms).await;
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    let ready = Readiness {
        max_standstill: Duration::from_secs(2),
        ..Readiness::new(database.pool.clone(), rooms.log.clone(), &testkit::operator()).unwrap()
    };
    assert!(readiness(&ready).await.ok);

    let mut owner = database.owner().await;
    let mut held = owner.begin().await.unwrap();
    sqlx::query("select from apex.checkpoints where name = 'tasks' for update").execute(&mut *held).await.unwrap();
    append_examples(&rooms).await;
    // The others advance meanwhile, however long that takes.
    wait_until("readiness fails for the read model of tasks only", async || {
        let check = readiness(&ready).await;
        !check.ok && check.detail.contains("tasks does not advance, ") && !check.detail.contains("agents")
    })
    .await;
    wait_until("the metrics show the stall", async || {
        let metrics = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
        let gauge = |name: &str| {
            let line = format!("apex_projection_standstill_seconds{{projection=\"{name}\"}} ");
            metrics.lines().find_map(|text| text.strip_prefix(&line)?.parse::<f64>().ok())
        };
        gauge("tasks").is_some_and(|seconds| seconds > 0.0) && gauge("agents") == Some(0.0)
    })
    .await;
    held.rollback().await.unwrap();
    wait_until("readiness recovers", async || readiness(&ready).await.ok).await;
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();

    // Tables of another version are still queried; readiness warns about them.
    sqlx::query("update apex.checkpoints set version = 99 where name = 'agents'").execute(&mut owner).await.unwrap();
    let check = readiness(&ready).await;
    assert!(check.ok && check.detail.contains("WARNING: version 99 of agents is live"), "{check:?}");
    append_examples(&rooms).await;
    wait_until("readiness fails without a worker of that version", async || !readiness(&ready).await.ok).await;
    sqlx::query("update apex.checkpoints set version = 1 where name = 'agents'").execute(&mut owner).await.unwrap();
    wait_until("a worker of that version catches up", async || readiness(&ready).await.ok).await;
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
}

/// The log up to a position that can be raised; counts how often a worker has asked for events.
struct LimitedLog {
    tail: Tail,
    end: AtomicU64,
    steps: AtomicU64,
}

impl LimitedLog {
    fn new(log: &Log, end: u64) -> Arc<Self> {
        Arc::new(Self { tail: log.tail().clone(), end: AtomicU64::new(end), steps: AtomicU64::new(0) })
    }
}

impl Source for LimitedLog {
    fn wait_beyond(&self, position: Position) -> BoxFuture<'_, Result<(), ReadError>> {
        self.steps.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.tail.wait_beyond(position))
    }

    fn read_after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Option<Batch>, ReadError>> {
        Box::pin(async move {
            let mut events = self.tail.read_after(position, limit).await?;
            let end = Position::from(self.end.load(Ordering::SeqCst));
            events.retain(|event| event.position <= end);
            let through = events.last().map(|last| last.position);
            if through.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(through.map(|through| Batch { events, through }))
        })
    }
}

/// The worker of one shard of the calls.
fn worker_of_shard(pool: &PgPool, shard: u16, source: Arc<dyn Source>) -> Worker {
    let config = WorkerConfig { retry_pause: Duration::from_millis(1), ..WorkerConfig::default() };
    Worker { projection: by_name("calls").unwrap(), shard, pool: pool.clone(), source, config }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_writes_no_tables_of_another_version() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let projection = by_name("calls").unwrap();
    let shards = projection.sharding().shard_count();
    let count =
        async || -> i64 { sqlx::query_scalar("select count(*) from apex.calls").fetch_one(&rooms.pool).await.unwrap() };
    let set_version = async |version: i32| {
        let set = "update apex.checkpoints set version = $1 where follower = 'calls'";
        sqlx::query(set).bind(version).execute(&rooms.pool).await.unwrap();
    };
    let source = LimitedLog::new(&rooms.log, u64::MAX);
    let start = || {
        let mut workers = JoinSet::new();
        for shard in 0..shards {
            workers.spawn(worker_of_shard(&rooms.pool, shard, source.clone()).run(std::future::pending()));
        }
        workers
    };
    append(&rooms.log, 10).await;
    let mut workers = start();
    wait_for(&rooms.pool, &["calls"], 10.into(), TIMEOUT).await.unwrap();
    workers.shutdown().await;

    set_version(projection.version() + 1).await;
    append(&rooms.log, 10).await;
    let (_workers, before) = (start(), source.steps.load(Ordering::SeqCst));
    // The first steps of each worker have ended when it begins further ones.
    let steps = before + 10 * u64::from(shards);
    wait_until("the workers have tried", async || source.steps.load(Ordering::SeqCst) > steps).await;
    assert_eq!((count().await, shard_positions(&rooms.pool, "calls").await), (10, vec![10; usize::from(shards)]));
    set_version(projection.version()).await;
    wait_for(&rooms.pool, &["calls"], 20.into(), TIMEOUT).await.unwrap();
    assert_eq!(count().await, 20);
}

/// One shard is behind while a version is built and switched to, and the worker of the other one goes on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_at_different_positions_apply_each_event_once() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (pool, log, projection) = (rooms.pool.clone(), rooms.log.clone(), by_name("calls").unwrap());
    let positions_are = async |expected: [i64; 2]| {
        wait_until("the shards are there", async || shard_positions(&pool, "calls").await == expected).await;
    };
    append(&log, 60).await;
    let mut workers = JoinSet::new();
    workers.spawn(worker_of_shard(&pool, 0, Arc::new(log.tail().clone())).run(std::future::pending()));
    positions_are([60, 0]).await;
    assert!(matches_log(&pool, &log, projection).await);
    build(&testkit::access(), &pool, &log, &[projection], 1000, |_| {}).await.unwrap();
    // The build is ahead of the live shard that is behind, so that comparing waits for it.
    let waited =
        tokio::time::timeout(Duration::from_secs(1), compare(&testkit::access(), &pool, &log, projection)).await;
    assert!(waited.is_err(), "{waited:?}");

    append(&log, 30).await;
    positions_are([90, 0]).await;
    assert!(matches_log(&pool, &log, projection).await);
    // The worker is not notified, and does not apply again what the new tables have already.
    assert_eq!(switch(&testkit::access(), &pool, &log, projection).await.unwrap().get(), 90);
    append(&log, 30).await;
    positions_are([120, 90]).await;
    assert!(matches_log(&pool, &log, projection).await);
    workers.spawn(worker_of_shard(&pool, 1, Arc::new(log.tail().clone())).run(std::future::pending()));
    positions_are([120, 120]).await;
    assert!(matches_log(&pool, &log, projection).await);
    let rows: i64 = sqlx::query_scalar("select count(*) from apex.calls").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_is_compared_while_one_shard_is_ahead() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (pool, log, projection) = (rooms.pool.clone(), rooms.log.clone(), by_name("calls").unwrap());
    append(&log, 60).await;
    build(&testkit::access(), &pool, &log, &[projection], 7, |_| {}).await.unwrap();
    // The comparison builds the next version up to here and waits for the live one.
    append(&log, 30).await;
    let comparing = tokio::spawn({
        let (pool, log) = (pool.clone(), log.clone());
        async move { compare(&testkit::access(), &pool, &log, projection).await }
    });
    wait_until("the next version is built", async || shard_positions(&pool, "calls@next").await == [90, 90]).await;
    append(&log, 30).await;
    let mut workers = JoinSet::new();
    workers.spawn(worker_of_shard(&pool, 1, Arc::new(log.tail().clone())).run(std::future::pending()));
    wait_until("one shard is ahead", async || shard_positions(&pool, "calls").await == [0, 120]).await;
    assert!(!comparing.is_finished(), "what is compared are different positions");
    // The comparison happens once the other shard is at 90 or further.
    let limited = LimitedLog::new(&log, 105);
    workers.spawn(worker_of_shard(&pool, 0, limited.clone()).run(std::future::pending()));
    let compared = comparing.await.unwrap().unwrap();
    assert!(compared.is_same() && compared.position.get() == 120, "{compared:#?}");
    assert_eq!(shard_positions(&pool, "calls").await, [105, 120]);
    switch(&testkit::access(), &pool, &log, projection).await.unwrap();
    limited.end.store(u64::MAX, Ordering::SeqCst);
    append(&log, 30).await;
    wait_for(&pool, &["calls"], 150.into(), TIMEOUT).await.unwrap();
    assert!(matches_log(&pool, &log, projection).await);
}

fn worker_process(database: &TestDatabase) -> Child {
    database.apex(&["worker"]).stderr(Stdio::inherit()).spawn().unwrap()
}

async fn names_and_head(log: &Log) -> (Vec<&'static str>, Position) {
    let names = projections::all().iter().map(|projection| projection.name()).collect();
    (names, log.head().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_processes_killed_under_load_leave_what_a_rebuild_gives() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (pool, log) = (rooms.pool.clone(), rooms.log.clone());
    let mut workers: Vec<_> = (0..3).map(|_| worker_process(&database)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let appending = tokio::spawn({
        let (log, stop) = (log.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                append(&log, 20).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    append_examples(&rooms).await;
    for round in 0..6 {
        // All read models have moved on since the last kill.
        let (names, head) = names_and_head(&log).await;
        wait_for(&pool, &names, head, TIMEOUT).await.unwrap();
        let killed = &mut workers[round % 3];
        assert!(killed.try_wait().unwrap().is_none(), "a worker ended by itself");
        killed.kill().await.unwrap();
        workers[round % 3] = worker_process(&database);
    }
    // Files, too: agents, tasks and calls at once.
    for (format, file) in [("autogpt", "autogpt.jsonl"), ("otlp", "otlp.json")] {
        database.run(&["import", "--no-wait", format, &sample(file)]).await.assert_success();
    }
    stop.store(true, Ordering::Relaxed);
    appending.await.unwrap();
    let (names, head) = names_and_head(&log).await;
    wait_for(&pool, &names, head, TIMEOUT).await.unwrap();
    for worker in &mut workers {
        assert!(worker.try_wait().unwrap().is_none(), "a worker ended by itself");
    }
    for projection in projections::all() {
        assert!(matches_log(&pool, &log, projection).await, "{}", projection.name());
    }

    // The control: processes that apply events again after a checkpoint was set back are detected.
    for mut worker in workers {
        worker.kill().await.unwrap();
    }
    sqlx::query("update apex.checkpoints set position = 0 where follower = 'calls'").execute(&pool).await.unwrap();
    let _worker = worker_process(&database);
    wait_for(&pool, &["calls"], head, TIMEOUT).await.unwrap();
    assert!(!matches_log(&pool, &log, by_name("calls").unwrap()).await, "it proves nothing");
    drop(database.unverified());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_are_switched_while_a_server_and_a_worker_process_feed_them() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (pool, log) = (rooms.pool.clone(), rooms.log.clone());
    let _server = database.serve(&[]).await;
    let mut worker = worker_process(&database);
    let import = async |format: &str, file: &str| {
        database.run(&["import", "--no-wait", format, &sample(file)]).await.assert_success();
    };
    import("claude-code", "claude-code.jsonl").await;
    for projection in projections::all() {
        let name = projection.name();
        database.run(&["projections", "rebuild", name]).await.assert_success();
        database.run(&["projections", "compare", name]).await.assert_success();
        append_examples(&rooms).await;
        append(&log, 20).await;
        database.run(&["projections", "switch", name]).await.assert_success();
    }
    import("autogpt", "autogpt.jsonl").await;
    let (names, head) = names_and_head(&log).await;
    wait_for(&pool, &names, head, TIMEOUT).await.unwrap();
    assert!(worker.try_wait().unwrap().is_none(), "the worker ended by itself");
    for projection in projections::all() {
        assert!(matches_log(&pool, &log, projection).await, "{}", projection.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_an_unknown_read_model_is_refused() {
    let database = TestDatabase::new().await;
    let ran = database.run(&["worker", "--projection", "nothing"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("there is no read model \"nothing\"; the read models are agents, tasks,"),
        "{}",
        ran.stderr
    );
}
