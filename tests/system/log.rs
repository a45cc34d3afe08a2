//! The log: its guarantees to writers and readers.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use streams::{
    AppendError, Appended, AppenderLimits, Expected, InvalidAppend, Log, LogConfig, Position, ReadFilter,
    RecordedEvent, StreamKey, Version,
};
use testkit::{TIMEOUT, TestDatabase, append, event, stream, tenant, wait_until};
use tokio::task::JoinHandle;
use uuid::Uuid;

const NEW: Expected = Expected::Exact(Version::ZERO);

fn at_version(version: u64) -> Expected {
    Expected::Exact(Version::from(version))
}

fn key(id: Uuid) -> StreamKey {
    StreamKey { tenant: tenant(), category: "task".into(), id }
}

fn positions(appended: &Appended) -> (u64, u64) {
    match appended {
        Appended::New { first, last } | Appended::Duplicate { first, last } => (first.get(), last.get()),
    }
}

async fn all(log: &Log) -> Vec<RecordedEvent> {
    log.read_after(Position::ZERO, &ReadFilter::default(), 10_000).await.unwrap()
}

async fn open(database: &TestDatabase) -> Log {
    Log::open(database.pool.clone(), LogConfig::default()).await.unwrap()
}

/// Asserts what holds in every log at any time: positions and versions without gaps, and times that never decrease.
fn assert_dense(events: &[RecordedEvent]) {
    let mut versions: BTreeMap<Uuid, u64> = BTreeMap::new();
    let mut last_time = None;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.position.get(), index as u64 + 1, "positions have no gaps");
        let version = versions.entry(event.stream.id).or_default();
        *version += 1;
        assert_eq!(event.version.get(), *version, "versions have no gaps");
        assert!(last_time <= Some(event.recorded_at), "time does not decrease");
        last_time = Some(event.recorded_at);
        assert!(event.content_is_intact());
    }
}

#[tokio::test]
async fn appended_events_are_read_back_byte_for_byte() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let id = Uuid::new_v4();
    let sent = append(vec![stream(id, NEW, 3)]);
    let appended = log.append(sent.clone()).await.unwrap();
    assert_eq!(positions(&appended), (1, 3));
    let events = all(&log).await;
    assert_dense(&events);
    for (event, sent_event) in events.iter().zip(&sent.streams[0].events) {
        assert_eq!(event.payload, sent_event.payload);
        assert_eq!(event.event_id, sent_event.event_id);
        assert_eq!(event.metadata().unwrap(), sent.metadata);
    }
    assert_eq!(log.read_stream(&key(id), Version::from(1), 10).await.unwrap(), events[1..]);
    assert_eq!(log.head().await.unwrap().get(), 3);
}

#[tokio::test]
async fn a_wrong_expected_version_is_a_conflict_and_writes_nothing() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let id = Uuid::new_v4();
    log.append(append(vec![stream(id, NEW, 2)])).await.unwrap();
    for expected in [0, 1, 3, 99] {
        let refused = log.append(append(vec![stream(id, at_version(expected), 1)])).await;
        assert!(
            matches!(&refused, Err(AppendError::Conflict { stream, current }) if stream.id == id && current.get() == 2),
            "{refused:?}"
        );
    }
    log.append(append(vec![stream(id, at_version(2), 1)])).await.unwrap();
    log.append(append(vec![stream(id, Expected::Any, 1)])).await.unwrap();
    assert_dense(&all(&log).await);
    assert_eq!(log.head().await.unwrap().get(), 4);
}

#[tokio::test]
async fn a_retry_gets_the_original_positions() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let sent = append(vec![stream(Uuid::new_v4(), NEW, 2), stream(Uuid::new_v4(), NEW, 1)]);
    let first = log.append(sent.clone()).await.unwrap();
    log.append(append(vec![stream(Uuid::new_v4(), NEW, 5)])).await.unwrap();
    let again = log.append(sent.clone()).await.unwrap();
    assert!(matches!(again, Appended::Duplicate { .. }));
    assert_eq!(positions(&again), positions(&first));
    let receipt = log.receipt(&key(sent.streams[0].id), sent.metadata.command_id).await.unwrap();
    assert_eq!(receipt.map(|receipt| (receipt.first.get(), receipt.last.get())), Some(positions(&first)));
    assert_eq!(log.head().await.unwrap().get(), 8);
}

/// The row of the stream serves as the receipt of its creation, also after further appends.
#[tokio::test]
async fn a_retried_creation_gets_the_original_positions() {
    let database = TestDatabase::new().await;
    let logs = [open(&database).await, open(&database).await];
    logs[0].append(append(vec![stream(Uuid::new_v4(), NEW, 3)])).await.unwrap();
    let id = Uuid::new_v4();
    let sent = append(vec![stream(id, NEW, 2)]);
    let retries: FuturesUnordered<_> = (0..8).map(|n| logs[n % 2].append(sent.clone())).collect();
    let outcomes: Vec<_> = retries.map(Result::unwrap).collect().await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Appended::New { .. })).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| positions(outcome) == (4, 5)), "{outcomes:?}");
    logs[0].append(append(vec![stream(id, at_version(2), 4)])).await.unwrap();
    let again = logs[1].append(sent.clone()).await.unwrap();
    assert!(matches!(again, Appended::Duplicate { .. }) && positions(&again) == (4, 5), "{again:?}");
    let receipt = logs[0].receipt(&key(id), sent.metadata.command_id).await.unwrap();
    assert_eq!(receipt.map(|receipt| (receipt.first.get(), receipt.last.get())), Some((4, 5)));
    assert_eq!(logs[0].receipt(&key(id), Uuid::new_v4()).await.unwrap(), None);
    let rows: i64 = sqlx::query_scalar("select count(*) from apex.receipts").fetch_one(&database.pool).await.unwrap();
    assert_eq!(rows, 1, "only an append to an existing stream writes a receipt");
    assert_dense(&all(&logs[0]).await);
}

#[tokio::test]
async fn an_append_to_several_streams_is_atomic() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let (a, b, c) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    log.append(append(vec![stream(a, NEW, 1)])).await.unwrap();
    let refused = log.append(append(vec![stream(b, NEW, 1), stream(a, NEW, 1), stream(c, NEW, 2)])).await;
    assert!(matches!(&refused, Err(AppendError::Conflict { stream, .. }) if stream.id == a), "{refused:?}");
    assert_eq!(log.head().await.unwrap().get(), 1);
    let rows: i64 = sqlx::query_scalar("select count(*) from apex.streams").fetch_one(&database.pool).await.unwrap();
    assert_eq!(rows, 1, "a refused append leaves no stream row behind");
    log.append(append(vec![stream(b, NEW, 1), stream(a, at_version(1), 1), stream(c, NEW, 2)])).await.unwrap();
    assert_dense(&all(&log).await);
}

#[tokio::test]
async fn an_append_can_depend_on_a_stream_that_it_does_not_change() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let (guard, id) = (Uuid::new_v4(), Uuid::new_v4());
    log.append(append(vec![stream(guard, NEW, 1)])).await.unwrap();
    let guarded = |version, expected| append(vec![stream(id, expected, 1), stream(guard, at_version(version), 0)]);
    log.append(guarded(1, NEW)).await.unwrap();
    let refused = log.append(guarded(2, at_version(1))).await;
    assert!(matches!(&refused, Err(AppendError::Conflict { stream, .. }) if stream.id == guard), "{refused:?}");
    let never = Uuid::new_v4();
    log.append(append(vec![stream(id, at_version(1), 1), stream(never, NEW, 0)])).await.unwrap();
    assert_eq!(log.read_stream(&key(guard), Version::ZERO, 10).await.unwrap().len(), 1);
    assert_dense(&all(&log).await);
}

#[tokio::test]
async fn an_invalid_append_is_refused_before_it_reaches_the_database() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let id = Uuid::new_v4();
    let invalid = async |sent| match log.append(sent).await {
        Err(AppendError::Invalid(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    assert_eq!(invalid(append(vec![])).await, InvalidAppend::Empty);
    assert_eq!(invalid(append(vec![stream(id, NEW, 0)])).await, InvalidAppend::Empty);
    assert!(matches!(
        invalid(append(vec![stream(id, NEW, 1), stream(id, NEW, 1)])).await,
        InvalidAppend::DuplicateStream(_)
    ));
    assert!(matches!(
        invalid(append(vec![stream(id, NEW, 10_001)])).await,
        InvalidAppend::TooManyEvents { found: 10_001, .. }
    ));
    let mut large = stream(id, NEW, 1);
    large.events = vec![event(&"x".repeat(1_000_000))];
    assert!(matches!(invalid(append(vec![large])).await, InvalidAppend::EventTooLarge { .. }));
    assert_eq!(log.head().await.unwrap().get(), 0);
}

#[tokio::test]
async fn one_of_many_concurrent_appends_at_one_version_wins() {
    let database = TestDatabase::new().await;
    let logs = [open(&database).await, open(&database).await, open(&database).await];
    for round in 0..20 {
        let id = Uuid::new_v4();
        let appends: FuturesUnordered<_> =
            (0..30).map(|n| logs[n % 3].append(append(vec![stream(id, NEW, 1 + n % 2)]))).collect();
        let outcomes: Vec<_> = appends.collect().await;
        let won = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Appended::New { .. }))).count();
        let lost = outcomes.iter().filter(|o| matches!(o, Err(AppendError::Conflict { .. }))).count();
        assert_eq!((won, lost), (1, 29), "round {round}: {outcomes:?}");
    }
    assert_dense(&all(&logs[0]).await);
}

#[tokio::test]
async fn concurrent_retries_of_a_command_are_written_once() {
    let database = TestDatabase::new().await;
    let logs = [open(&database).await, open(&database).await];
    for _ in 0..30 {
        let sent = append(vec![stream(Uuid::new_v4(), Expected::Any, 2)]);
        let retries: FuturesUnordered<_> = (0..8).map(|n| logs[n % 2].append(sent.clone())).collect();
        let outcomes: Vec<_> = retries.map(Result::unwrap).collect().await;
        let fresh = outcomes.iter().filter(|outcome| matches!(outcome, Appended::New { .. })).count();
        assert_eq!(fresh, 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().map(positions).collect::<HashSet<_>>().len(), 1);
    }
    assert_dense(&all(&logs[0]).await);
}

/// Readers page through the log while several logs, as in several processes, append and some appends conflict. The pages
/// of every reader together are the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_skip_no_event_while_writers_race() {
    let database = TestDatabase::new().await;
    let logs = [open(&database).await, open(&database).await, open(&database).await];
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|n| {
            let (log, done) = (logs[n].clone(), done.clone());
            tokio::spawn(async move {
                let mut seen: Vec<RecordedEvent> = Vec::new();
                loop {
                    let finished = done.load(Ordering::SeqCst);
                    let after = seen.last().map_or(Position::ZERO, |event| event.position);
                    let page = log.read_after(after, &ReadFilter::default(), 7 + 50 * n).await.unwrap();
                    if page.is_empty() {
                        if finished {
                            return seen;
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    seen.extend(page);
                }
            })
        })
        .collect();
    let shared: Vec<_> = (0..5).map(|_| Uuid::new_v4()).collect();
    let writers: Vec<_> = (0..12)
        .map(|n| {
            let (log, shared) = (logs[n % 3].clone(), shared.clone());
            tokio::spawn(async move {
                for round in 0..40 {
                    // Streams in varying order, some of them shared, so that batches of different logs overlap.
                    let one = stream(shared[(n + round) % 5], Expected::Any, 1 + round % 3);
                    let other = stream(shared[(n + 3 * round + 1) % 5], at_version(round as u64), 1);
                    let streams = if one.id == other.id { vec![one] } else { vec![one, other] };
                    match log.append(append(streams)).await {
                        Ok(_) | Err(AppendError::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    log.append(append(vec![stream(Uuid::new_v4(), NEW, 2)])).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let log = all(&logs[0]).await;
    assert_dense(&log);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), log);
    }
}

/// Control of the test above: with positions from a plain sequence, a reader that pages by position skips an event.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plain_sequence_skips_events() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    sqlx::query("create table naive (position bigserial primary key, writer int)").execute(&mut owner).await.unwrap();
    let mut slow = database.owner().await;
    let mut fast = database.owner().await;
    sqlx::query("begin").execute(&mut slow).await.unwrap();
    sqlx::query("insert into naive (writer) values (1)").execute(&mut slow).await.unwrap();
    sqlx::query("insert into naive (writer) values (2)").execute(&mut fast).await.unwrap();
    let page = "select position from naive where position > $1 order by position";
    let seen: Vec<i64> = sqlx::query_scalar(page).bind(0_i64).fetch_all(&mut owner).await.unwrap();
    sqlx::query("commit").execute(&mut slow).await.unwrap();
    let more: Vec<i64> = sqlx::query_scalar(page).bind(seen[0]).fetch_all(&mut owner).await.unwrap();
    assert_eq!((seen, more), (vec![2], vec![]), "position 1 must be skipped");
}

#[tokio::test]
async fn events_are_immutable_for_the_application_and_the_owner() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)])).await.unwrap();
    let attempts = [
        "update apex.events set type = 'x'",
        "delete from apex.events",
        "truncate apex.events",
        "update apex.events_000000 set type = 'x'",
        "delete from apex.events_000000",
        "truncate apex.events_000000",
    ];
    let mut owner = database.owner().await;
    for attempt in attempts {
        for (who, refused) in [
            ("application", sqlx::query(attempt).execute(&database.pool).await),
            ("owner", sqlx::query(attempt).execute(&mut owner).await),
        ] {
            let code = refused.as_ref().err().and_then(|e| e.as_database_error()?.code().map(|c| c.to_string()));
            assert_eq!(code.as_deref(), Some("42501"), "{who}: {attempt}: {refused:?}");
        }
    }
    for attempt in ["insert into apex.head values (true, 9, now())", "update apex.head set position = 0"] {
        let refused = sqlx::query(attempt).execute(&database.pool).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{attempt}");
    }
    assert_dense(&all(&log).await);
}

#[tokio::test]
async fn the_tail_wakes_readers_in_this_and_other_processes() {
    let database = TestDatabase::new().await;
    let (here, there) = (open(&database).await, open(&database).await);
    for log in [&here, &there] {
        tokio::spawn(log.tail().clone().run(std::future::pending()));
    }
    let mut seen = [Position::ZERO, Position::ZERO];
    for round in 1..=50 {
        here.append(append(vec![stream(Uuid::new_v4(), NEW, 1)])).await.unwrap();
        for (log, seen) in [&here, &there].into_iter().zip(&mut seen) {
            let next = log.tail().next_after(*seen, 100);
            let events = tokio::time::timeout(TIMEOUT, next).await.expect("the tail wakes its readers").unwrap();
            assert_eq!(events[0].position.get(), round);
            *seen = events.last().unwrap().position;
        }
    }
}

#[tokio::test]
async fn a_reader_behind_the_tail_window_reads_the_table() {
    let database = TestDatabase::new().await;
    let mut config = LogConfig::default();
    config.tail.window_events = 10;
    let log = Log::open(database.pool.clone(), config).await.unwrap();
    tokio::spawn(log.tail().clone().run(std::future::pending()));
    for _ in 0..10 {
        log.append(append(vec![stream(Uuid::new_v4(), NEW, 9)])).await.unwrap();
    }
    log.tail().wait_beyond(Position::from(89)).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 90 {
        let after = seen.last().map_or(Position::ZERO, |event: &Arc<RecordedEvent>| event.position);
        seen.extend(log.tail().next_after(after, 7).await.unwrap());
    }
    assert_eq!(seen.iter().map(|e| e.position.get()).collect::<Vec<_>>(), (1..=90).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_queue_returns_a_retryable_error() {
    let by_count = AppenderLimits { max_waiting: 4, ..AppenderLimits::default() };
    let by_bytes = AppenderLimits { max_waiting_bytes: 4096, ..AppenderLimits::default() };
    for limits in [by_count, by_bytes] {
        let database = TestDatabase::new().await;
        let config = LogConfig { appender: limits, ..LogConfig::default() };
        let log = Log::open(database.pool.clone(), config).await.unwrap();
        let mut blocker = database.owner().await;
        sqlx::query("begin").execute(&mut blocker).await.unwrap();
        sqlx::query("select position from apex.head for update").execute(&mut blocker).await.unwrap();
        let waiting: Vec<_> = (0..40)
            .map(|_| {
                let log = log.clone();
                tokio::spawn(async move { log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)])).await })
            })
            .collect();
        wait_until("an append is refused", async || waiting.iter().any(JoinHandle::is_finished)).await;
        sqlx::query("rollback").execute(&mut blocker).await.unwrap();
        let mut outcomes = Vec::new();
        for append in waiting {
            outcomes.push(append.await.unwrap());
        }
        let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let busy = outcomes.iter().filter(|outcome| matches!(outcome, Err(AppendError::Busy { .. }))).count();
        assert!(busy > 0 && written > 0 && busy + written == 40, "{written} written, {busy} busy: {outcomes:?}");
        assert_eq!(log.head().await.unwrap().get(), written as u64);
    }
}

#[tokio::test]
async fn position_at_returns_the_first_position_at_a_time() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    for _ in 0..20 {
        log.append(append(vec![stream(Uuid::new_v4(), NEW, 3)])).await.unwrap();
    }
    let events = all(&log).await;
    for event in &events {
        let first = events.iter().find(|other| other.recorded_at >= event.recorded_at).unwrap();
        assert_eq!(log.position_at(event.recorded_at).await.unwrap(), first.position);
    }
    let later = events[59].recorded_at + chrono::TimeDelta::seconds(1);
    assert_eq!(log.position_at(later).await.unwrap().get(), 61);
    assert_eq!(log.position_at(testkit::at(0)).await.unwrap().get(), 1);
}

#[tokio::test]
async fn an_idle_transaction_blocks_neither_writers_nor_readers() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let mut idle = database.owner().await;
    sqlx::query("begin isolation level repeatable read").execute(&mut idle).await.unwrap();
    sqlx::query("select count(*) from apex.events").execute(&mut idle).await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut idle).await.unwrap();
    let appending = log.append(append(vec![stream(Uuid::new_v4(), NEW, 5)]));
    tokio::time::timeout(TIMEOUT, appending).await.expect("the append is not blocked").unwrap();
    assert_eq!(all(&log).await.len(), 5);
}

/// Creating a partition takes no lock that conflicts with readers or appends.
#[tokio::test]
async fn partitions_are_created_while_a_reader_holds_a_transaction() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)])).await.unwrap();
    let mut reader = database.owner().await;
    sqlx::query("begin").execute(&mut reader).await.unwrap();
    sqlx::query("select count(*) from apex.events").execute(&mut reader).await.unwrap();
    let made = sqlx::query_scalar::<_, i32>("select apex.ensure_partitions(5)").fetch_one(&database.pool);
    let made = tokio::time::timeout(TIMEOUT, made).await.expect("the reader does not block").unwrap();
    assert!(made > 0);
    log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)])).await.unwrap();
    // Events in a new partition are immutable too, and are found by their stream.
    let mut owner = database.owner().await;
    sqlx::query("update apex.head set position = 9999999").execute(&mut owner).await.unwrap();
    let id = Uuid::new_v4();
    log.append(append(vec![stream(id, NEW, 2)])).await.unwrap();
    assert_eq!(log.read_stream(&key(id), Version::ZERO, 10).await.unwrap().len(), 2);
    let refused = sqlx::query("delete from apex.events_000002").execute(&mut owner).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501");
}
