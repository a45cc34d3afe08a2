//! Projection workers: repeated and reordered deliveries from Kafka, interrupted builds, and stalled read models.

use crate::projections::append_examples;
use apex::readiness::Readiness;
use api::ReadyChecks;
use projections::{
    PartitionedError, PartitionedFeed, SessionSettings, Worker, WorkerConfig, build, by_name, compare, statuses,
    switch, verify, wait_for,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::Connection;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use streams::relay::partition_of;
use streams::{Log, Position, ReadFilter, RecordedEvent, TopicPartition};
use testkit::{TIMEOUT, TestDatabase, append_all, call_append, wait_until};

/// The read models that can be fed from Kafka.
const FED: [&str; 4] = ["agents", "tasks", "calls", "memories"];
const PARTITIONS: i32 = 3;

async fn append(log: &Log, calls: usize) {
    for answer in append_all(log, (0..calls).map(|_| call_append())).await {
        answer.unwrap();
    }
}

/// The events of a partition, and the index of the next one to deliver.
#[derive(Default)]
struct Queue {
    events: Vec<Arc<RecordedEvent>>,
    next: usize,
}

/// Delivers all events: in order within each partition, with repetitions and gaps, and in random order across partitions.
/// With `skips`, a planted bug, the worker advances the checkpoint past some events without applying them.
async fn deliver(database: &TestDatabase, projection: &str, seed: u64, skips: bool) {
    let random = &mut StdRng::seed_from_u64(seed);
    let log = database.rooms().await.log;
    let projection = by_name(projection).unwrap();
    let topic = |category: &str| -> Arc<str> { format!("apex.{category}").into() };
    let partitions: HashMap<_, _> =
        projection.categories().iter().map(|category| (topic(category), PARTITIONS)).collect();
    let feed = PartitionedFeed { projection, pool: database.pool.clone(), log: log.clone(), partitions };
    feed.take_over().await.unwrap();
    let mut queues: BTreeMap<(Arc<str>, i32), Queue> = BTreeMap::new();
    for event in log.read_after(Position::ZERO, &ReadFilter::default(), 10_000).await.unwrap() {
        if projection.categories().contains(&&*event.stream.category) {
            let key = (topic(&event.stream.category), partition_of(event.stream.id, PARTITIONS));
            queues.entry(key).or_default().events.push(Arc::new(event));
        }
    }
    let mut queues: Vec<_> = queues.into_iter().collect();
    while queues.iter().any(|(_, queue)| queue.next < queue.events.len()) {
        let chosen = random.random_range(0..queues.len());
        let ((topic, number), queue) = &mut queues[chosen];
        let begin = match random.random_range(0..10) {
            // Events are redelivered from an earlier index on.
            0..3 => random.random_range(0..=queue.next),
            // Some events are never delivered.
            3..5 => (queue.next + random.random_range(0..3)).min(queue.events.len()),
            _ => queue.next,
        };
        let end = (begin + random.random_range(1..6)).min(queue.events.len());
        let partition = TopicPartition { topic: topic.clone(), number: *number };
        if skips && begin < end && random.random_bool(0.3) {
            let skip = "update apex.partition_checkpoints set position = greatest(position, $3)
                       where projection = $1 and partition = $2";
            let reached = queue.events[end - 1].position.as_i64();
            let skip = sqlx::query(skip).bind(projection.name()).bind(*number).bind(reached);
            skip.execute(&database.pool).await.unwrap();
        } else {
            feed.apply(&partition, &queue.events[begin..end]).await.unwrap();
        }
        queue.next = queue.next.max(end);
        if random.random_bool(0.3) {
            feed.advance_low_watermark().await.unwrap();
        }
    }
    while let Some(awaited) = feed.advance_low_watermark().await.unwrap() {
        feed.fill(&awaited.partition, awaited.position).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_and_reordered_deliveries_give_the_rows_of_the_log() {
    let mut detected = 0;
    for (seed, skips) in [(1, false), (2, false), (3, false), (4, false), (5, true), (6, true)] {
        let mut database = TestDatabase::new().await;
        if skips {
            database = database.unverified();
        }
        let rooms = database.rooms().await;
        append_examples(&rooms).await;
        // Enough deliveries that some of them skip events.
        append(&rooms.log, if skips { 200 } else { 30 }).await;
        for name in FED {
            deliver(&database, name, seed, skips).await;
            let head = rooms.log.head().await.unwrap();
            wait_for(&rooms.pool, &[name], head, TIMEOUT).await.unwrap();
            let compared =
                verify(&rooms.pool, &rooms.log, by_name(name).unwrap(), &SessionSettings::different_locale(7)).await;
            let compared = compared.unwrap();
            assert!(skips || compared.is_same(), "{name}, seed {seed}: {compared:#?}");
            detected += usize::from(!compared.is_same());
        }
    }
    assert!(detected > 0, "a worker that skips events is not detected: the test proves nothing");
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
        let mut building = std::pin::pin!(build(&rooms.pool, &rooms.log, &projections_to_build, 3, progress));
        // The build is dropped the first time that it waits for the database past the middle of the log.
        let is_interrupted = std::future::poll_fn(|context| match building.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if stopped.get() => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        });
        assert!(is_interrupted.await, "the build finished before it was interrupted: the test proves nothing");
    }
    let next = async || {
        let statuses = statuses(&rooms.pool).await.unwrap();
        statuses.into_iter().find(|status| status.name == "tasks").unwrap().next_position
    };
    let left_at = next().await.unwrap();
    assert!(left_at > 0 && left_at < head.as_i64(), "{left_at} of {head}");
    let first = Cell::new(None);
    let progress = |at: projections::RebuildProgress| first.set(first.get().or(Some(at.position)));
    let reached = build(&rooms.pool, &rooms.log, &projections_to_build, 3, progress).await.unwrap();
    assert!(
        reached >= head && first.get().unwrap().as_i64() > left_at,
        "the build restarted from the beginning: {:?}",
        first.get()
    );
    // No event was applied twice or skipped.
    let compared = compare(&rooms.pool, &rooms.log, projections_to_build[0]).await.unwrap();
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
        ..Readiness::new(database.pool.clone(), rooms.log.clone())
    };
    assert!(readiness(&ready).await.ok);

    let mut owner = database.owner().await;
    let mut held = owner.begin().await.unwrap();
    sqlx::query("select from apex.checkpoints where name = 'tasks' for update").execute(&mut *held).await.unwrap();
    append_examples(&rooms).await;
    wait_until("readiness fails", async || !readiness(&ready).await.ok).await;
    let detail = readiness(&ready).await.detail;
    assert!(detail.contains("tasks stands still, ") && !detail.contains("agents"), "{detail}");
    wait_until("the metrics show the stall", async || {
        let metrics = reqwest::get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
        let gauge = |name: &str| {
            let line = format!("apex_projection_standstill_seconds{{projection=\"{name}\"}} ");
            metrics.lines().find_map(|text| text.strip_prefix(&line)?.parse::<f64>().ok())
        };
        gauge("tasks").is_some_and(|seconds| seconds > 0.0) && gauge("agents") == Some(0.0)
    })
    .await;
    held.rollback().await.unwrap();
    wait_until("readiness recovers", async || readiness(&ready).await.ok).await;

    // Tables of another version are still queried; readiness warns about them.
    sqlx::query("update apex.checkpoints set version = 99 where name = 'agents'").execute(&mut owner).await.unwrap();
    let check = readiness(&ready).await;
    assert!(check.ok && check.detail.contains("WARNING: agents is live in version 99"), "{check:?}");
    append_examples(&rooms).await;
    wait_until("readiness fails without a worker of that version", async || !readiness(&ready).await.ok).await;
    sqlx::query("update apex.checkpoints set version = 1 where name = 'agents'").execute(&mut owner).await.unwrap();
    wait_until("a worker of that version catches up", async || readiness(&ready).await.ok).await;
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_fed_from_kafka_writes_no_tables_of_another_version() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let answer = rooms.log.append(call_append()).await.unwrap();
    let event = rooms.log.read_after(Position::ZERO, &ReadFilter::default(), 1).await.unwrap().remove(0);
    assert_eq!(answer.last(), event.position);
    let topic: Arc<str> = "apex.call".into();
    let partition = TopicPartition { topic: topic.clone(), number: partition_of(event.stream.id, PARTITIONS) };
    let partitions = HashMap::from([(topic, PARTITIONS)]);
    let projection = by_name("calls").unwrap();
    let feed = PartitionedFeed { projection, pool: rooms.pool.clone(), log: rooms.log.clone(), partitions };
    feed.take_over().await.unwrap();
    let set = async |version: i32| {
        let set = "update apex.checkpoints set version = $1 where follower = 'calls'";
        sqlx::query(set).bind(version).execute(&rooms.pool).await.unwrap();
    };
    set(2).await;
    let events = [Arc::new(event)];
    let refused = feed.apply(&partition, &events).await.unwrap_err();
    assert!(matches!(refused, PartitionedError::VersionMismatch { live: 2, code: 1, .. }), "{refused}");
    set(1).await;
    feed.apply(&partition, &events).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from apex.calls").fetch_one(&rooms.pool).await.unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_from_kafka_are_checked_against_the_log() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    append(&rooms.log, 40).await;
    let events = rooms.log.read_after(Position::ZERO, &ReadFilter::default(), 40).await.unwrap();
    let topic: Arc<str> = "apex.call".into();
    let (pool, log, projection) = (rooms.pool.clone(), rooms.log.clone(), by_name("calls").unwrap());
    let feed = |topic: &Arc<str>, count| {
        let partitions = HashMap::from([(topic.clone(), count)]);
        PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions }
    };
    let (before, after) = (feed(&topic, PARTITIONS), feed(&topic, 2 * PARTITIONS));
    before.take_over().await.unwrap();
    let partition_with = |event: &RecordedEvent, count| TopicPartition {
        topic: topic.clone(),
        number: partition_of(event.stream.id, count),
    };
    let settings = SessionSettings::different_locale(7);
    let matches_log = async || verify(&pool, &log, projection, &settings).await.unwrap().is_same();

    // Partitions were added: streams move to other partitions, and a partition has later events of other streams.
    let of_first = |event: &&RecordedEvent| partition_with(event, PARTITIONS).number == 0;
    let last = events.iter().rfind(of_first).unwrap();
    before.apply(&partition_with(last, PARTITIONS), &[Arc::new(last.clone())]).await.unwrap();
    assert!(matches_log().await);
    let added = events.iter().find(|event| partition_with(event, 2 * PARTITIONS).number >= PARTITIONS).unwrap();
    let refused = before.apply(&partition_with(added, 2 * PARTITIONS), &[Arc::new(added.clone())]).await.unwrap_err();
    assert!(matches!(refused, PartitionedError::PartitionAdded { partitions: PARTITIONS, .. }), "{refused}");
    // A worker that starts with the new partition count is refused too, and so is a second topic of the category.
    let refused = after.apply(&partition_with(added, 2 * PARTITIONS), &[Arc::new(added.clone())]).await.unwrap_err();
    assert!(matches!(refused, PartitionedError::PartitionsChanged { known: PARTITIONS, .. }), "{refused}");
    let topic: Arc<str> = "elsewhere.call".into();
    let partition = TopicPartition { topic: topic.clone(), number: partition_with(last, PARTITIONS).number };
    let refused = feed(&topic, PARTITIONS).apply(&partition, &[Arc::new(last.clone())]).await.unwrap_err();
    assert!(refused.to_string().contains("fed from topic apex.call with 3 partitions"), "{refused}");

    // Events of another log: at a position beyond the head, or at the position of another event.
    let ghost = |position: u64| {
        let event = RecordedEvent { position: position.into(), event_id: uuid::Uuid::new_v4(), ..last.clone() };
        Arc::new(event)
    };
    before.apply(&partition_with(last, PARTITIONS), &[ghost(1000)]).await.unwrap();
    append(&log, 40).await;
    let more = log.read_after(Position::from(40), &ReadFilter::default(), 40).await.unwrap();
    let last = more.iter().rfind(of_first).unwrap();
    before.apply(&partition_with(last, PARTITIONS), &[ghost(last.position.get())]).await.unwrap();
    assert!(matches_log().await);
    // The feed is given back to the log and taken over again with the new partition count.
    projections::give_back(projection, &pool, &log).await.unwrap();
    after.take_over().await.unwrap();
    for event in events.into_iter().chain(more) {
        // Each event from its old and its new partition.
        for count in [PARTITIONS, 2 * PARTITIONS] {
            after.apply(&partition_with(&event, count), &[Arc::new(event.clone())]).await.unwrap();
        }
    }
    after.fill_all().await.unwrap();
    assert_eq!(after.advance_low_watermark().await.unwrap(), None);
    let rows: i64 = sqlx::query_scalar("select count(*) from apex.calls").fetch_one(&pool).await.unwrap();
    assert!(matches_log().await && rows == 80, "{rows}");
}

/// One shard is behind when Kafka takes over, single partitions are ahead of others, and the tables are switched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_and_partitions_at_different_positions_apply_each_event_once() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (pool, log, projection) = (rooms.pool.clone(), rooms.log.clone(), by_name("calls").unwrap());
    append(&log, 60).await;
    let mut workers = Worker::all(projection, &pool, log.tail(), WorkerConfig::default());
    assert_eq!(workers.len(), 2);
    let worker = tokio::spawn(workers.remove(0).run(std::future::pending()));
    let shard_positions = async || -> Vec<i64> {
        let query = "select position from apex.checkpoints where follower = 'calls' order by name";
        sqlx::query_scalar(query).fetch_all(&pool).await.unwrap()
    };
    wait_until("one shard is caught up", async || shard_positions().await == [60, 0]).await;
    worker.abort();
    let settings = SessionSettings::different_locale(7);
    let matches_log = async || verify(&pool, &log, projection, &settings).await.unwrap().is_same();
    assert!(matches_log().await);

    let topic: Arc<str> = "apex.call".into();
    let partitions = HashMap::from([(topic.clone(), PARTITIONS)]);
    let feed = PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions };
    feed.take_over().await.unwrap();
    let partition = |number| TopicPartition { topic: topic.clone(), number };
    let of = async |number: i32, after: u64, to: u64| -> Vec<_> {
        let events = log.read_after(after.into(), &ReadFilter::default(), 1000).await.unwrap();
        let own = events.into_iter().filter(|event| partition_of(event.stream.id, PARTITIONS) == number);
        own.filter(|event| event.position.get() <= to).map(Arc::new).collect()
    };
    feed.apply(&partition(0), &of(0, 0, 60).await).await.unwrap();
    assert!(matches_log().await);
    build(&pool, &log, &[projection], 1000, |_| {}).await.unwrap();
    // The build is ahead of the live version, so that comparing waits for the live one.
    let waited = tokio::time::timeout(Duration::from_secs(1), compare(&pool, &log, projection)).await;
    assert!(waited.is_err(), "{waited:?}");
    let awaited = feed.advance_low_watermark().await.unwrap().unwrap();
    assert!(awaited.partition.number != 0);

    append(&log, 30).await;
    feed.apply(&partition(1), &of(1, 0, 90).await).await.unwrap();
    assert!(matches_log().await);
    // The new tables have fewer events than this worker has applied, and it is not notified.
    sqlx::query("select apex.switch_projection('calls')").execute(&pool).await.unwrap();
    assert_eq!(shard_positions().await, [60, 60]);
    append(&log, 30).await;
    feed.apply(&partition(1), &of(1, 90, 120).await).await.unwrap();
    // A partial fill, as after a crash.
    feed.fill(&partition(2), Position::from(70)).await.unwrap();
    feed.apply(&partition(2), &of(2, 90, 120).await).await.unwrap();
    assert!(matches_log().await);
    assert_eq!(feed.advance_low_watermark().await.unwrap().map(|awaited| awaited.partition.number), Some(0));
    feed.apply(&partition(0), &of(0, 0, 120).await).await.unwrap();
    assert_eq!(feed.advance_low_watermark().await.unwrap(), None);
    assert_eq!(shard_positions().await, [120, 120]);
    projections::give_back(projection, &pool, &log).await.unwrap();
    assert!(matches_log().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_is_compared_while_some_of_its_partitions_are_ahead() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (pool, log, projection) = (rooms.pool.clone(), rooms.log.clone(), by_name("calls").unwrap());
    let topic: Arc<str> = "apex.call".into();
    let partitions = HashMap::from([(topic.clone(), PARTITIONS)]);
    let feed = PartitionedFeed { projection, pool: pool.clone(), log: log.clone(), partitions };
    feed.take_over().await.unwrap();
    append(&log, 60).await;
    build(&pool, &log, &[projection], 7, |_| {}).await.unwrap();
    // The comparison builds the next version up to here and waits for the live one.
    append(&log, 30).await;
    let comparing = tokio::spawn({
        let (pool, log) = (pool.clone(), log.clone());
        async move { compare(&pool, &log, projection).await }
    });
    let next = "select min(position) = 90 from apex.checkpoints where follower = 'calls@next'";
    wait_until("the next version is built", async || sqlx::query_scalar(next).fetch_one(&pool).await.unwrap()).await;
    append(&log, 30).await;
    // The comparison happens once all partitions are at 90; the last one arrives first.
    for (number, to) in [(2, 120), (1, 105), (0, 90)] {
        feed.fill(&TopicPartition { topic: topic.clone(), number }, Position::from(to)).await.unwrap();
    }
    feed.advance_low_watermark().await.unwrap();
    let compared = comparing.await.unwrap().unwrap();
    assert!(compared.is_same() && compared.position.get() == 120, "{compared:#?}");
    switch(&pool, &log, projection).await.unwrap();
    feed.fill_all().await.unwrap();
    feed.advance_low_watermark().await.unwrap();
}
