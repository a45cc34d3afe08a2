//! Measuring of benchmarks: a database of one run, appends, the baseline, and the table of results.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures are what a benchmark prints")]

use crate::{append_all, repository, tenant};
use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::{
    Append, AppendError, Expected, Log, LogConfig, Metadata, NewEvent, StreamAppend, StreamKey, Version, content_hash,
};
use uuid::Uuid;

/// A numeric environment variable; the default if it is not set or not a number.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A payload of about 400 bytes, the size of a recorded call.
pub fn payload(n: u64) -> String {
    format!(
        "{{\"kind\":\"llm\",\"agent_id\":\"{}\",\"model\":\"gpt-4o\",\"usage\":{{\"input\":{},\"output\":59,\"cache_read\":0}},\"note\":\"{}\"}}",
        Uuid::from_u128(u128::from(n)),
        n % 10_000,
        "x".repeat(250)
    )
}

/// The metadata of a command.
pub fn metadata(command_id: Uuid) -> Metadata {
    Metadata {
        actor: "bench".to_owned(),
        command_id,
        correlation_id: command_id,
        causation_id: None,
        traceparent: None,
    }
}

/// An append of events to a new stream.
pub fn new_stream(events: usize, n: u64) -> Append {
    let events = (0..events)
        .map(|_| NewEvent { event_id: Uuid::now_v7(), name: "call.recorded", schema_version: 1, payload: payload(n) })
        .collect();
    let expected = Expected::Exact(Version::ZERO);
    Append {
        tenant: tenant(),
        metadata: metadata(Uuid::now_v7()),
        request: None,
        streams: vec![StreamAppend { category: "call".into(), id: Uuid::now_v7(), expected, events }],
        may_change_others: false,
    }
}

/// The database of one run, with a log, and tables without one for the baseline.
pub struct Bench {
    /// The log under measurement.
    pub log: Log,
    /// Connections with the rights of the application.
    pub pool: PgPool,
    /// Connections of the baseline, with all rights.
    pub raw: PgPool,
    /// Options of a connection with all rights.
    pub owner: PgConnectOptions,
    position: Arc<AtomicI64>,
    counter: Arc<AtomicU64>,
    /// How long each round of a case lasts.
    pub seconds: Duration,
    /// How many rounds each case has; its figure is the median.
    pub rounds: u64,
}

/// The baseline: a table with the rows of the log, and none of its guarantees.
const RAW_TABLE: &str = "create table raw_events (
    position bigint not null primary key, tenant_id text not null, category text not null, stream_id uuid not null,
    version bigint not null, event_id uuid not null, type text not null, schema_version smallint not null,
    payload json not null, metadata json not null, recorded_at timestamptz not null, content_hash bytea not null)";
/// The same for the rows of streams.
const RAW_STREAMS: &str = "create table raw_streams (
    tenant_id text not null, category text not null, stream_id uuid not null, version bigint not null,
    first_command uuid, first_count integer, first_position bigint, primary key (stream_id, category, tenant_id)
) with (fillfactor = 80)";
const RAW_INDEX: &str = "create index on raw_events (stream_id, version)";

impl Bench {
    /// Creates and migrates the database.
    pub async fn new() -> Self {
        let url = std::env::var("APEX_TEST_DATABASE_URL").expect("APEX_TEST_DATABASE_URL is set: run `make bench`");
        let name = format!("bench_{}", Uuid::new_v4().simple());
        let mut server: PgConnection = PgConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
        let url = format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        let options = PgConnectOptions::from_str(&url).unwrap();
        let mut owner = options.connect().await.unwrap();
        MIGRATIONS.run(&mut owner).await.unwrap();
        for statement in [RAW_TABLE, RAW_STREAMS, RAW_INDEX] {
            sqlx::query(statement).execute(&mut owner).await.unwrap();
        }
        owner.close().await.unwrap();
        let pool = connect(&Secret::from(url), 16).await.unwrap();
        let raw = PgPoolOptions::new()
            .max_connections(64)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await
            .unwrap();
        let mut config = LogConfig::default();
        let connections = setting("APPENDER_CONNECTIONS", config.appender.connections as u64);
        config.appender.connections = usize::try_from(connections).unwrap();
        let log = Log::open(pool.clone(), config).await.unwrap();
        Self {
            log,
            pool,
            raw,
            owner: options,
            position: Arc::default(),
            counter: Arc::default(),
            seconds: Duration::from_millis(setting("SECONDS_PER_CASE", 2) * 1000),
            rounds: setting("ROUNDS", 3),
        }
    }

    /// The URL of the database, for another process.
    pub fn url(&self) -> String {
        let url = std::env::var("APEX_TEST_DATABASE_URL").unwrap();
        format!("{}/{}", url.rsplit_once('/').unwrap().0, self.owner.get_database().unwrap())
    }

    /// Drops the database, which frees its space on disk.
    pub async fn drop_database(self) {
        let name = self.owner.get_database().unwrap().to_owned();
        let mut server = self.owner.clone().database("postgres").connect().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut server).await.unwrap();
    }

    /// Runs a step repeatedly in `in_flight` tasks. A step returns a count; the result is their sum a second.
    pub async fn rate<F>(&self, in_flight: usize, step: impl Fn(usize) -> F + Clone + Send + 'static) -> f64
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let started = Instant::now();
        let deadline = started + self.seconds;
        let tasks: Vec<_> = (0..in_flight)
            .map(|task| {
                let step = step.clone();
                tokio::spawn(async move {
                    let mut done = 0;
                    while Instant::now() < deadline {
                        done += step(task).await;
                    }
                    done
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += task.await.unwrap();
        }
        done as f64 / started.elapsed().as_secs_f64()
    }

    /// Appends a second, of so many events to a new stream each, with `in_flight` at a time; counts events.
    pub async fn ours(&self, in_flight: usize, events: usize) -> f64 {
        let (log, counter) = (self.log.clone(), self.counter.clone());
        self.rate(in_flight, move |_| {
            let (log, n) = (log.clone(), counter.fetch_add(1, Ordering::Relaxed));
            async move {
                match log.append(new_stream(events, n)).await {
                    Ok(_) => events as u64,
                    Err(AppendError::Busy { retry_after }) => {
                        tokio::time::sleep(retry_after).await;
                        0
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
        .await
    }

    /// Events a second, with two tasks that each submit `appends` appends of one event at a time.
    pub async fn bulk(&self, appends: usize) -> f64 {
        let (log, counter) = (self.log.clone(), self.counter.clone());
        self.rate(2, move |_| {
            let (log, n) = (log.clone(), counter.fetch_add(1, Ordering::Relaxed));
            async move {
                let answers = append_all(&log, (0..appends).map(|_| new_stream(1, n))).await;
                answers.into_iter().map(|answer| u64::from(answer.is_ok())).sum()
            }
        })
        .await
    }

    /// The baseline: rows a second, with `rows` a transaction by UNNEST on each of several connections. With one row it
    /// is in effect a plain INSERT. `of_a_stream` consecutive rows belong to one stream, as in the append it is compared
    /// with.
    pub async fn raw(&self, connections: usize, rows: usize, of_a_stream: usize) -> f64 {
        self.write(INSERT_EVENTS, connections, rows, of_a_stream).await
    }

    /// The same with a stream for each row, and a row for each stream: all the rows that the log writes.
    pub async fn raw_with_streams(&self, connections: usize, rows: usize) -> f64 {
        self.write(INSERT_BOTH, connections, rows, 1).await
    }

    async fn write(&self, statement: &'static str, connections: usize, rows: usize, of_a_stream: usize) -> f64 {
        let started = Instant::now();
        let deadline = started + self.seconds;
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (raw, position, counter) = (self.raw.clone(), self.position.clone(), self.counter.clone());
                tokio::spawn(async move {
                    // Held all the time: a pool tests a connection whenever it is returned.
                    let mut connection = raw.acquire().await.unwrap();
                    let mut done = 0;
                    while Instant::now() < deadline {
                        let n = counter.fetch_add(1, Ordering::Relaxed);
                        let first = position.fetch_add(i64::try_from(rows).unwrap(), Ordering::Relaxed);
                        insert_raw(&mut connection, statement, rows, of_a_stream, first, n).await;
                        done += rows as u64;
                    }
                    done
                })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done += task.await.unwrap();
        }
        done as f64 / started.elapsed().as_secs_f64()
    }

    /// The best rate of the baseline over several numbers of connections.
    pub async fn best_raw(&self, connections: &[usize], rows: usize, of_a_stream: usize) -> f64 {
        best(connections, async |connections| self.raw(connections, rows, of_a_stream).await).await
    }
}

/// The best rate over several numbers of connections.
pub async fn best(connections: &[usize], rate: impl AsyncFn(usize) -> f64) -> f64 {
    let mut best: f64 = 0.0;
    for &connections in connections {
        best = best.max(rate(connections).await);
    }
    best
}

macro_rules! insert_events {
    () => {
        "insert into raw_events (position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                                 payload, metadata, recorded_at, content_hash)
         select p, t, c, s, v, e, y, m, l::json, d::json, now(), h
         from unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[],
                     $8::smallint[], $9::text[], $10::text[], $11::bytea[]) as u (p, t, c, s, v, e, y, m, l, d, h)"
    };
}
/// Inserts the rows of events.
const INSERT_EVENTS: &str = insert_events!();
/// Inserts the rows of events, and for each a row of its stream.
const INSERT_BOTH: &str = concat!(
    "with made as (
         insert into raw_streams select t, c, s, v, e, 1, p
         from unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::uuid[]) as u (p, t, c, s, v, e))
     ",
    insert_events!()
);

async fn insert_raw(
    raw: &mut PgConnection,
    statement: &'static str,
    rows: usize,
    of_a_stream: usize,
    first: i64,
    n: u64,
) {
    let (mut positions, mut tenants, mut categories, mut streams) = (vec![], vec![], vec![], vec![]);
    let (mut versions, mut ids, mut types, mut schemas) = (vec![], vec![], vec![], vec![]);
    let (mut payloads, mut metadatas, mut hashes) = (vec![], vec![], vec![]);
    let mut stream = StreamKey { tenant: tenant(), category: "call".into(), id: Uuid::now_v7() };
    let mut written = serde_json::to_string(&metadata(Uuid::now_v7())).unwrap();
    for row in 0..rows {
        if row > 0 && row % of_a_stream == 0 {
            stream.id = Uuid::now_v7();
            written = serde_json::to_string(&metadata(Uuid::now_v7())).unwrap();
        }
        let (id, payload) = (Uuid::now_v7(), payload(n));
        hashes.push(content_hash(&stream, id, "call.recorded", 1, &payload, &written).to_vec());
        positions.push(first + i64::try_from(row).unwrap());
        tenants.push("default");
        categories.push("call");
        streams.push(stream.id);
        versions.push(i64::try_from(row % of_a_stream).unwrap() + 1);
        ids.push(id);
        types.push("call.recorded");
        schemas.push(1_i16);
        payloads.push(payload);
        metadatas.push(written.clone());
    }
    sqlx::query(statement)
        .bind(positions)
        .bind(tenants)
        .bind(categories)
        .bind(streams)
        .bind(versions)
        .bind(ids)
        .bind(types)
        .bind(schemas)
        .bind(payloads)
        .bind(metadatas)
        .bind(hashes)
        .execute(raw)
        .await
        .unwrap();
}

/// The time below which this percentage of the times is; the longest for 100.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// The median; of an even number, the upper of the two in the middle.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The table of results, printed row by row.
pub struct Table {
    rows: Vec<serde_json::Value>,
}

impl Table {
    /// Prints the heading.
    #[allow(clippy::new_without_default, reason = "it prints")]
    pub fn new() -> Self {
        println!("{:<66} {:>10} {:>10} {:>7}", "case", "ours", "baseline", "ratio");
        Self { rows: Vec::new() }
    }

    /// Whether the environment variable `CASE` selects a case: the name of the case must contain its value. Without the
    /// variable, all cases are selected.
    pub fn wants(case: &str) -> bool {
        case.contains(&std::env::var("CASE").unwrap_or_default())
    }

    /// Writes `target/bench/NAME.json`, unless only some of the cases were run.
    pub fn write(self, name: &str) {
        if std::env::var_os("CASE").is_some() {
            return;
        }
        let folder = repository().join("target/bench");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, serde_json::to_string_pretty(&self.rows).unwrap()).unwrap();
        println!("written to {}", path.display());
    }

    /// Adds a figure that was measured once, beside that of the baseline.
    pub fn figure(&mut self, case: &str, unit: &str, mine: f64, other: f64) {
        println!("{case:<66} {mine:>10.1} {other:>10.1} {:>7.2}  {unit}", mine / other);
        self.rows.push(json!({
            "case": case, "unit": unit, "rounds": 1, "ours": mine.round(), "baseline": other.round(),
            "ratio": (mine / other * 1000.0).round() / 1000.0,
        }));
    }

    /// Runs a case if it is selected: baseline and ours alternate for several rounds, and their medians are added.
    pub async fn case<O, B>(&mut self, bench: &Bench, case: &str, unit: &str, ours: O, baseline: B)
    where
        O: AsyncFn() -> f64,
        B: AsyncFn() -> f64,
    {
        if !Self::wants(case) {
            return;
        }
        let (mut mine, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            raw.push(baseline().await);
            mine.push(ours().await);
        }
        let (mine, raw) = (median(&mut mine), median(&mut raw));
        println!("{case:<66} {mine:>10.0} {raw:>10.0} {:>7.2}  {unit}", mine / raw);
        self.rows.push(json!({
            "case": case, "unit": unit, "rounds": bench.rounds,
            "ours": mine.round(), "baseline": raw.round(), "ratio": (mine / raw * 1000.0).round() / 1000.0,
        }));
    }
}
