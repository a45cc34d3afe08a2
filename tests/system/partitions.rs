//! Partitions of the log: their size, creation ahead of need, indexes, and which of them a read touches.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Row};
use std::time::Duration;
use streams::{
    Append, Expected, Log, LogConfig, NewEvent, Position, ReadFilter, RecordedEvent, StreamAppend, StreamKey, Version,
};
use testkit::{TestDatabase, append, event, metadata, stream, tenant};
use uuid::Uuid;

const NEW: Expected = Expected::Exact(Version::ZERO);

/// A database with small partitions, and 100 of them.
pub(crate) async fn database_with_partitions_of(events: i64) -> TestDatabase {
    database_with_partitions(events, 100).await
}

async fn database_with_partitions(events: i64, ahead: i32) -> TestDatabase {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    sqlx::query("select apex.set_partition_size($1)").bind(events).execute(&mut owner).await.unwrap();
    sqlx::query("select apex.make_partitions($1)").bind(ahead).execute(&mut owner).await.unwrap();
    database
}

/// An append of events to a new stream of a category.
pub(crate) fn of_category(category: &str, events: usize) -> Append {
    let name = match category {
        "memory" => "memory.forgotten",
        "agent" => "agent.activated",
        _ => "task.started",
    };
    let events = (0..events).map(|n| NewEvent { name, ..event(&n.to_string()) }).collect();
    append(vec![StreamAppend { category: category.into(), id: Uuid::new_v4(), expected: NEW, events }])
}

async fn partitions(connection: &mut PgConnection) -> Vec<(String, i64, i64)> {
    let all = "select name, from_position, to_position from apex.partitions order by from_position";
    sqlx::query_as(all).fetch_all(connection).await.unwrap()
}

/// Indexes every complete partition and returns their names.
async fn index_all(pool: &PgPool) -> Vec<String> {
    let mut indexed = Vec::new();
    let index = "select apex.index_sealed_partition()";
    while let Some(name) = sqlx::query_scalar::<_, Option<String>>(index).fetch_one(pool).await.unwrap() {
        indexed.push(name);
    }
    indexed
}

#[tokio::test]
async fn new_partitions_have_the_configured_size() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    let partition = |n: usize, from, to| (format!("events_{n:06}"), from, to);
    let default = 5_000_000;
    assert_eq!(
        partitions(&mut owner).await,
        [partition(0, 1, default + 1), partition(1, default + 1, 2 * default + 1)]
    );
    sqlx::query("select apex.set_partition_size(10)").execute(&mut owner).await.unwrap();
    assert_eq!(partitions(&mut owner).await, [partition(0, 1, 11), partition(1, 11, 21)]);
    log.append(of_category("task", 13)).await.unwrap();
    // Partitions in use keep their size; empty ones are recreated with the new size.
    sqlx::query("select apex.set_partition_size(7)").execute(&mut owner).await.unwrap();
    let expected = [partition(0, 1, 11), partition(1, 11, 21), partition(2, 21, 28)];
    assert_eq!(partitions(&mut owner).await, expected, "the next partition has the new size");
    log.append(of_category("task", 14)).await.unwrap();
    let made_again: i32 =
        sqlx::query_scalar("select apex.ensure_partitions(2)").fetch_one(&database.pool).await.unwrap();
    assert_eq!(made_again, 2);
    assert_eq!(partitions(&mut owner).await[3..], [partition(3, 28, 35), partition(4, 35, 42)]);
    assert_eq!(log.read_after(Position::ZERO, &ReadFilter::default(), 100).await.unwrap().len(), 27);
    for size in ["0", "-5", "1000000001"] {
        let sql = AssertSqlSafe(format!("select apex.set_partition_size({size})"));
        assert!(sqlx::query(sql).execute(&mut owner).await.is_err(), "{size}");
    }
    let refused = sqlx::query("select apex.set_partition_size(99)").execute(&database.pool).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501");
}

/// Building an index takes no lock that conflicts with readers or appends.
#[tokio::test]
async fn a_complete_partition_is_indexed_while_others_read_and_append() {
    let database = database_with_partitions_of(10).await;
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    log.append(of_category("task", 10)).await.unwrap();
    assert_eq!(index_all(&database.pool).await, [""; 0], "the partition is full, but the head is not beyond it");
    log.append(of_category("task", 15)).await.unwrap();
    let mut reader = database.owner().await;
    sqlx::query("begin isolation level repeatable read").execute(&mut reader).await.unwrap();
    sqlx::query("select count(*) from apex.events").execute(&mut reader).await.unwrap();
    let mut indexing = database.owner().await;
    sqlx::query("begin").execute(&mut indexing).await.unwrap();
    let index = sqlx::query_scalar::<_, String>("select apex.index_sealed_partition()").fetch_one(&mut indexing);
    let name = tokio::time::timeout(testkit::TIMEOUT, index).await.expect("the reader does not block").unwrap();
    assert_eq!(name, "events_000000");
    // While all its locks are held, others continue, and another process finds no partition to index.
    let appending = log.append(of_category("task", 3));
    tokio::time::timeout(testkit::TIMEOUT, appending).await.expect("the append is not blocked").unwrap();
    let everything = ReadFilter::default();
    let reading = log.read_after(Position::ZERO, &everything, 100);
    let read = tokio::time::timeout(testkit::TIMEOUT, reading).await.expect("the read is not blocked").unwrap();
    assert_eq!(read.len(), 28);
    assert_eq!(index_all(&database.pool).await, [""; 0]);
    sqlx::query("commit").execute(&mut indexing).await.unwrap();
    assert_eq!(index_all(&database.pool).await, ["events_000001"]);
    let columns: Vec<String> = sqlx::query_scalar(
        "select pg_get_indexdef(indexrelid) from pg_index where indrelid = 'apex.events_000001'::regclass",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    for wanted in ["(category, \"position\")", "(tenant_id, category, \"position\")"] {
        assert!(columns.iter().any(|definition| definition.ends_with(wanted)), "{columns:#?}");
    }
}

/// A log on a single connection, whose last statement can be explained.
struct ExplainedLog {
    log: Log,
    pid: i32,
    owner: PgConnection,
}

impl ExplainedLog {
    async fn new(database: &TestDatabase) -> Self {
        let pool = apex::database::connect(&apex::config::Secret::from(database.url.clone()), 1).await.unwrap();
        let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&pool).await.unwrap();
        let log = Log::open(pool, LogConfig::default()).await.unwrap();
        Self { log, pid, owner: database.owner().await }
    }

    /// The plan of the last statement for these values, under a setting of `plan_cache_mode`.
    async fn plan(&mut self, values: &str, mode: &str) -> String {
        let sent: String = sqlx::query_scalar("select query from pg_stat_activity where pid = $1")
            .bind(self.pid)
            .fetch_one(&mut self.owner)
            .await
            .unwrap();
        assert!(sent.contains("apex.events"), "{sent}");
        for sql in [format!("set plan_cache_mode = {mode}"), format!("prepare watched as {sent}")] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.owner).await.unwrap();
        }
        let explain = format!("explain (analyze, costs off, timing off, summary off) execute watched({values})");
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut self.owner).await.unwrap();
        sqlx::raw_sql("deallocate watched").execute(&mut self.owner).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
    }
}

/// The number of rows that were read and then discarded by a filter.
fn discarded_rows(plan: &str) -> u64 {
    let lines = plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: "));
    lines.map(|rows| rows.parse::<u64>().unwrap()).sum()
}

/// Five complete partitions of 1000 events, nearly all of category task, and an open partition.
async fn long_log(database: &TestDatabase, log: &Log) -> Vec<RecordedEvent> {
    for round in 0..27 {
        for _ in 0..4 {
            log.append(of_category("task", 49)).await.unwrap();
        }
        let rare = if round % 5 == 0 { "memory" } else { "task" };
        log.append(of_category(rare, 3)).await.unwrap();
    }
    sqlx::query("analyze apex.events").execute(&mut database.owner().await).await.unwrap();
    let mut events = Vec::new();
    let mut pages = log.pages(Position::ZERO, ReadFilter::default(), 10_000);
    while let Some(page) = pages.next_page().await.unwrap() {
        events.extend(page);
    }
    assert_eq!(events.len(), 27 * 199);
    events
}

#[tokio::test]
async fn reads_touch_only_the_partitions_and_rows_that_they_need() {
    let database = database_with_partitions(1000, 6).await;
    let mut explained = ExplainedLog::new(&database).await;
    let events = long_log(&database, &explained.log.clone()).await;
    let after = Position::from(3500);

    // All events: only the partitions from that position on, also in a generic plan.
    let page = explained.log.read_after(after, &ReadFilter::default(), 100).await.unwrap();
    assert_eq!(page, events[3500..3600]);
    let plan = explained.plan("3500, 100", "force_generic_plan").await;
    assert!(plan.contains("Subplans Removed: 3") && plan.contains("events_000003"), "{plan}");
    assert!(!plan.contains("events_000002") && !plan.contains("Seq Scan on events_00000"), "{plan}");

    // By category. Control first: without the index, all rows in between are read and discarded.
    let category = ReadFilter { category: Some("memory".to_owned()), ..ReadFilter::default() };
    let tenants = ReadFilter { tenant: Some(tenant()), ..category.clone() };
    let wanted: Vec<_> = events.iter().filter(|event| category.matches(event) && event.position > after).collect();
    assert!(wanted.len() > 3);
    explained.log.read_after(after, &category, 100).await.unwrap();
    let plan = explained.plan("3500, 'memory', 100", "auto").await;
    assert!(discarded_rows(&plan) > 1500 && !plan.contains("by_category"), "{plan}");
    assert_eq!(index_all(&database.pool).await.len(), 5);
    for (filter, values, index) in
        [(&category, "3500, 'memory', 100", "by_category"), (&tenants, "3500, 'default', 'memory', 100", "by_")]
    {
        let page = explained.log.read_after(after, filter, 100).await.unwrap();
        assert_eq!(page.iter().collect::<Vec<_>>(), wanted);
        let plan = explained.plan(values, "auto").await;
        for partition in ["events_000003", "events_000004"] {
            assert!(plan.contains(&format!("using {partition}_{index}")), "{plan}");
        }
        assert!(!plan.contains("events_000002"), "{plan}");
        // Only the open partition has no index; it has less than 400 events.
        assert!(discarded_rows(&plan) < 400, "{plan}");
    }
    let before = explained.log.read_before(Position::from(3000), &category, 2).await.unwrap();
    let expected: Vec<_> = events[..2999].iter().rev().filter(|event| category.matches(event)).take(2).collect();
    assert_eq!(before.iter().collect::<Vec<_>>(), expected);

    // By stream: the index of each partition is used, and no row of another stream is read.
    let key = events[2100].stream.clone();
    let page = explained.log.read_stream(&key, Version::ZERO, 100).await.unwrap();
    assert!(!page.is_empty() && page.iter().all(|event| event.stream == key));
    let values = format!("'{}', 0, 'default', 'task', 100", key.id);
    for mode in ["force_generic_plan", "force_custom_plan"] {
        let plan = explained.plan(&values, mode).await;
        assert!(plan.contains("stream_id_version_idx") && !plan.contains("Seq Scan on events_0"), "{plan}");
        assert!(!plan.contains("Rows Removed by Filter"), "{plan}");
    }
}

#[tokio::test]
async fn pages_are_bounded_in_bytes_and_miss_no_event() {
    let database = database_with_partitions_of(10).await;
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    let id = Uuid::new_v4();
    let large = || NewEvent { payload: format!("{{\"x\":\"{}\"}}", "x".repeat(800_000)), ..event("large") };
    for version in 0..25 {
        let expected = Expected::Exact(Version::from(version));
        let streams = vec![StreamAppend { category: "task".into(), id, expected, events: vec![large()] }];
        log.append(Append { tenant: tenant(), metadata: metadata(), request: None, streams, may_change_others: false })
            .await
            .unwrap();
        log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)])).await.unwrap();
    }
    let key = StreamKey { tenant: tenant(), category: "task".into(), id };
    let tasks = ReadFilter { category: Some("task".to_owned()), ..ReadFilter::default() };
    for (mut pages, expected) in [
        (log.pages(Position::ZERO, ReadFilter::default(), 1000), 50),
        (log.pages(Position::ZERO, tasks, 1000), 50),
        (log.stream_pages(key, Version::ZERO, 1000), 25),
    ] {
        let (mut seen, mut count) = (Vec::new(), 0);
        while let Some(page) = pages.next_page().await.unwrap() {
            let bytes: usize = page.iter().map(|event| event.payload.len() + event.metadata.len()).sum();
            assert!(bytes < 9_500_000, "{bytes}");
            seen.extend(page.iter().map(|event| event.position));
            count += 1;
        }
        assert_eq!((seen.len(), count), (expected, 3));
        assert!(seen.is_sorted());
    }
}

#[tokio::test]
async fn readiness_warns_when_partitions_run_low_and_fails_before_appends_do() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    // No further partitions can be created.
    sqlx::query("revoke execute on function apex.ensure_partitions from apex_app").execute(&mut owner).await.unwrap();
    let server = database.serve(&[]).await;
    sqlx::query("select apex.set_partition_size(100)").execute(&mut owner).await.unwrap();
    let room: i64 =
        sqlx::query_scalar("select max(to_position) - 1 - (select position from apex.head) from apex.partitions")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    let get = async |path: &str| {
        let answer = testkit::http_get(format!("{}{path}", server.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (left, status, warns) in
        [(room, 200, false), (100, 200, false), (99, 200, true), (25, 200, true), (24, 503, true)]
    {
        sqlx::query("update apex.head set position = (select max(to_position) - 1 - $1 from apex.partitions)")
            .bind(left)
            .execute(&mut owner)
            .await
            .unwrap();
        let (found, body) = get("/readyz").await;
        assert_eq!(found, status, "{body}");
        assert_eq!(body.contains("WARNING: partitions are not created ahead"), warns, "{body}");
        assert!(body.contains(&format!("space for {left} more events")), "{body}");
    }
    let gauges = tokio::time::timeout(testkit::TIMEOUT, async {
        loop {
            let (_, text) = get("/metrics").await;
            if text.contains("apex_log_partition_headroom 24\n") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(gauges.await.unwrap().contains("apex_log_partition_size 100\n"));
}
