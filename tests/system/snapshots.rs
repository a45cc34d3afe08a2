//! Snapshots: long streams are loaded from them, and a load gives the same state without them.

use crate::statements::Counter;
use apex::config::Secret;
use apex::database::connect;
use apex::rooms::Rooms;
use commands::{AsOf, Commands, CommandsConfig, Loaded};
use domain::task::{Task, TaskCommand, TaskEvent, TaskProgressed, TaskSpec, TaskStarted, TaskSubmitted};
use domain::{AgentId, Aggregate, Body, SNAPSHOT_FORMAT};
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Append, Expected, Log, NewEvent, Position, StreamAppend, StreamKey, Version};
use testkit::{TIMEOUT, TestDatabase, at, metadata, name, tenant};
use uuid::Uuid;

/// The number of events in one append of [`grow`].
const BATCH: usize = 500;

/// An executor without a cache: each load is that of a process that has just started.
fn without_cache(log: &Log, snapshot_every_events: u64) -> Commands {
    let config = CommandsConfig { cached_aggregates: 0, snapshot_every_events, ..CommandsConfig::default() };
    Commands::new(log.clone(), config)
}

fn progressed(percent: usize) -> TaskEvent {
    let percent = u8::try_from(percent % 100).unwrap();
    let note = Some(Body::new(format!("at {percent}")).unwrap());
    TaskEvent::Progressed(TaskProgressed { percent, note, at: at(2) })
}

/// Appends `events` further events to the stream of a task, which has `from` events.
async fn grow(log: &Log, id: Uuid, from: usize, events: usize) {
    let spec = TaskSpec { title: name("long"), agent_id: AgentId(Uuid::from_u128(1)), dag_id: None };
    let numbers: Vec<_> = (from..from + events).collect();
    for numbers in numbers.chunks(BATCH) {
        let events = numbers.iter().map(|number| {
            let event = match number {
                0 => TaskEvent::Submitted(TaskSubmitted { spec: spec.clone(), at: at(0) }),
                1 => TaskEvent::Started(TaskStarted { at: at(1) }),
                number => progressed(*number),
            };
            NewEvent::encode(Uuid::new_v4(), &event).unwrap()
        });
        let stream = StreamAppend { category: "task".into(), id, expected: Expected::Any, events: events.collect() };
        log.append(Append {
            tenant: tenant(),
            metadata: metadata(),
            request: None,
            streams: vec![stream],
            may_change_others: false,
        })
        .await
        .unwrap();
    }
}

async fn load(commands: &Commands, id: Uuid) -> Arc<Loaded<Task>> {
    commands.load::<Task>(&testkit::operator(), id).await.unwrap()
}

#[track_caller]
fn assert_same(one: &Loaded<Task>, other: &Loaded<Task>) {
    assert_eq!((&one.state, one.version, one.position), (&other.state, other.version, other.position));
}

/// The version and state of a task's snapshot, or `None` if this code would not use it.
async fn snapshot(log: &Log, id: Uuid) -> Option<(u64, Task)> {
    let key = StreamKey { tenant: tenant(), category: Task::CATEGORY.into(), id };
    let snapshot = log.read_snapshot(&key, SNAPSHOT_FORMAT).await.unwrap()?;
    Some((snapshot.version.get(), serde_json::from_str(&snapshot.state).ok()?))
}

/// Waits until the snapshot of a task has this version and state.
async fn until_snapshot_is(log: &Log, id: Uuid, loaded: &Loaded<Task>) {
    let deadline = Instant::now() + TIMEOUT;
    let wanted = Some((loaded.version.get(), Task::clone(&loaded.state)));
    loop {
        let found = snapshot(log, id).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "the snapshot is {found:?}, expected {wanted:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A task of 3000 events with a snapshot, and its loaded state.
async fn long_task(rooms: &Rooms) -> (Uuid, Arc<Loaded<Task>>) {
    let id = Uuid::now_v7();
    grow(&rooms.log, id, 0, 3000).await;
    let loaded = load(&without_cache(&rooms.log, 500), id).await;
    assert_eq!(loaded.version, Version::from(3000));
    until_snapshot_is(&rooms.log, id, &loaded).await;
    (id, loaded)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_is_loaded_from_its_snapshot() {
    let database = TestDatabase::new().await;
    let counter = Counter::before(&database).await;
    let pool = connect(&Secret::from(counter.url.clone()), 8).await.unwrap();
    let rooms = Rooms::on(pool, testkit::operator()).await.unwrap();
    let id = Uuid::now_v7();
    grow(&rooms.log, id, 0, 5000).await;

    let counted = async |commands: &Commands| {
        let (statements, rows) = counter.counts();
        let loaded = load(commands, id).await;
        let (statements_after, rows_after) = counter.counts();
        (loaded, statements_after - statements, rows_after - rows)
    };
    let commands = without_cache(&rooms.log, 500);
    let (whole, statements, rows) = counted(&commands).await;
    assert_eq!(whole.version, Version::from(5000));
    assert!(rows >= 5000 && statements >= 6, "{rows} rows in {statements} statements, without a snapshot");
    until_snapshot_is(&rooms.log, id, &whole).await;

    grow(&rooms.log, id, 5000, 40).await;
    let (loaded, statements, rows) = counted(&commands).await;
    // The rows of the first page, the snapshot and the 40 new events, which the tail may read as well.
    assert!((141..200).contains(&rows) && statements <= 8, "{rows} rows in {statements} statements, with a snapshot");
    println!("{rows} rows in {statements} statements with a snapshot");
    let (folded, statements, rows) = counted(&without_cache(&rooms.log, 0)).await;
    assert!(rows >= 5040, "only {rows} rows although snapshots are disabled");
    assert_same(&loaded, &folded);
    println!("{rows} rows in {statements} statements without a snapshot");
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_written_every_configured_number_of_events() {
    const EVERY: u64 = 20;
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let config = CommandsConfig { snapshot_every_events: EVERY, ..CommandsConfig::default() };
    let commands = Commands::new(rooms.log.clone(), config);
    let (long, short) = (Uuid::now_v7(), Uuid::now_v7());
    grow(&rooms.log, long, 0, 2).await;
    grow(&rooms.log, short, 0, 19).await;
    load(&commands, short).await;
    for number in 3..=65 {
        let percent = u8::try_from(number).unwrap();
        let command = TaskCommand::Progress { percent, note: None, at: at(2) };
        let context = testkit::context(tenant(), "test", Uuid::now_v7());
        let outcome = commands.execute::<Task>(&context, long, command).await.unwrap();
        assert_eq!(outcome.aggregate.version.get(), number);
        if number.is_multiple_of(EVERY) {
            until_snapshot_is(&rooms.log, long, &outcome.aggregate).await;
        }
    }
    assert_eq!(snapshot(&rooms.log, long).await.unwrap().0, 60);
    assert_eq!(snapshot(&rooms.log, short).await, None, "a short stream has no snapshot");
    database.run(&["log", "verify", "--snapshots"]).await.assert_success();
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_snapshot_is_ignored_and_replaced() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (id, whole) = long_task(&rooms).await;
    for (what, planted) in [
        ("of another type", "state = '\"nonsense\"'"),
        ("without a field", "state = '{\"percent\": 7}'"),
        (
            "of other code",
            "format = 'other', state = '{\"percent\": 7, \"spec\": null, \"status\": null, \"started_at\": null}'",
        ),
        ("beyond the stream", "version = 9000"),
        ("beyond the log", "version = 9000, position = 9000"),
        ("of another history", "event_id = gen_random_uuid()"),
    ] {
        let plant = format!("update apex.snapshots set {planted}");
        sqlx::query(AssertSqlSafe(plant)).execute(&database.pool).await.unwrap();
        assert_same(load(&without_cache(&rooms.log, 500), id).await.as_ref(), &whole);
        println!("{what}: ignored");
        until_snapshot_is(&rooms.log, id, &whole).await;
    }
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_may_be_deleted_at_any_time() {
    const TASKS: usize = 4;
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let ids: Vec<_> = (0..TASKS).map(|_| Uuid::now_v7()).collect();
    let mut writers = tokio::task::JoinSet::new();
    for id in ids.clone() {
        grow(&rooms.log, id, 0, 150).await;
        let commands = without_cache(&rooms.log, 10);
        writers.spawn(async move {
            for number in 0..60_u8 {
                let command = TaskCommand::Progress { percent: number, note: None, at: at(2) };
                let context = testkit::context(tenant(), "test", Uuid::now_v7());
                let outcome = commands.execute::<Task>(&context, id, command).await.unwrap();
                assert_eq!(
                    (outcome.aggregate.state.percent, outcome.aggregate.version.get()),
                    (number, 151 + u64::from(number))
                );
            }
        });
    }
    let mut owner = database.owner().await;
    let mut deleted = 0;
    while !writers.is_empty() {
        deleted +=
            sqlx::query_scalar::<_, i64>("select count(*) from apex.snapshots").fetch_one(&mut owner).await.unwrap();
        sqlx::query("truncate apex.snapshots").execute(&mut owner).await.unwrap();
        if let Ok(Some(ended)) = tokio::time::timeout(Duration::from_millis(30), writers.join_next()).await {
            ended.unwrap();
        }
    }
    assert!(deleted > 0, "no snapshot was deleted: the test proves nothing");
    for id in ids {
        let folded = load(&without_cache(&rooms.log, 0), id).await;
        assert_same(load(&without_cache(&rooms.log, 10), id).await.as_ref(), &folded);
        assert_eq!(folded.version, Version::from(210));
    }
    database.run(&["log", "verify", "--snapshots"]).await.assert_success();
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_as_of_the_past_are_equal_with_and_without_snapshots() {
    let database = TestDatabase::new().await;
    let counter = Counter::before(&database).await;
    let pool = connect(&Secret::from(counter.url.clone()), 8).await.unwrap();
    let rooms = Rooms::on(pool, testkit::operator()).await.unwrap();
    let (id, _) = long_task(&rooms).await;
    grow(&rooms.log, id, 3000, 100).await;
    let (with, without) = (without_cache(&rooms.log, 500), without_cache(&rooms.log, 0));
    let as_of =
        async |commands: &Commands, as_of| commands.load_as_of::<Task>(&testkit::operator(), id, as_of).await.unwrap();
    for position in [0, 1, 99, 100, 101, 2999, 3000, 3001, 3050, 3099, 3100, 4000].map(Position::from) {
        let seen = as_of(&with, AsOf::Position(position)).await;
        assert_eq!(seen.position, position.min(Position::from(3100)));
        assert_same(&seen, &as_of(&without, AsOf::Position(position)).await);
    }
    let times: Vec<chrono::DateTime<chrono::Utc>> =
        sqlx::query_scalar("select distinct recorded_at from apex.events order by 1")
            .fetch_all(&rooms.pool)
            .await
            .unwrap();
    assert!(times.len() >= 7);
    let microsecond = chrono::TimeDelta::microseconds(1);
    for time in times.iter().flat_map(|time| [*time - microsecond, *time, *time + microsecond]) {
        assert_same(&as_of(&with, AsOf::Time(time)).await, &as_of(&without, AsOf::Time(time)).await);
    }

    let rows = async |commands: &Commands, position: u64| {
        let (_, before) = counter.counts();
        as_of(commands, AsOf::Position(Position::from(position))).await;
        counter.counts().1 - before
    };
    let (early, late) = (rows(&with, 2999).await, rows(&with, 3050).await);
    assert!(early >= 2999 && late < 300, "{early} rows before the snapshot, {late} after it");
    rooms.close().await.unwrap();
}

/// A wrong state of the right form is used as it is; only folding the stream detects it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_snapshot_is_detected_by_log_verify() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let (id, whole) = long_task(&rooms).await;
    let output = database.run(&["log", "verify", "--snapshots"]).await.assert_success();
    assert!(output.stderr.contains("1 snapshots checked, 0 not used, 0 problems found"), "{}", output.stderr);

    let plant = r#"update apex.snapshots set state = replace(state::text, '"percent":99', '"percent":98')::json"#;
    sqlx::query(plant).execute(&database.pool).await.unwrap();
    let misled = load(&without_cache(&rooms.log, 500), id).await;
    assert_eq!((misled.state.percent, whole.state.percent), (98, 99), "a load trusts the snapshot");
    database.run(&["log", "verify"]).await.assert_success();
    let output = database.run(&["log", "verify", "--snapshots"]).await;
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains(&format!("snapshot of task/{id} at version 3000: it differs from the state")),
        "{}",
        output.stderr
    );

    sqlx::query("update apex.snapshots set format = 'other'").execute(&database.pool).await.unwrap();
    let output = database.run(&["log", "verify", "--snapshots"]).await.assert_success();
    assert!(output.stderr.contains("0 snapshots checked, 1 not used, 0 problems found"), "{}", output.stderr);
    sqlx::query("delete from apex.snapshots").execute(&database.pool).await.unwrap();
    assert_same(load(&without_cache(&rooms.log, 500), id).await.as_ref(), &whole);
    rooms.close().await.unwrap();
}
