//! The log against PostgreSQL itself: the same rows, the same bytes, the same durability, with nothing on top.
//!
//! `make bench` starts a PostgreSQL of its own and runs this. Each case alternates between Apex and the baseline, for
//! several rounds in one run; the medians and their ratio are printed as a table and written to
//! `target/bench/log.json`. `ROUNDS` and `SECONDS_PER_CASE` change how long it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on has failed"
)]

use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use commands::{Commands, CommandsConfig, Context, OutcomeKind};
use domain::agent::{Agent, AgentCommand, Profile};
use domain::{Labels, Name, TenantId};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::{
    Append, AppendError, Expected, Log, LogConfig, Metadata, NewEvent, Position, ReadFilter, StreamAppend, StreamKey,
    Version, content_hash,
};
use uuid::Uuid;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn tenant() -> TenantId {
    "default".parse().unwrap()
}

/// About 400 bytes, as a recorded call has.
fn payload(n: u64) -> String {
    format!(
        "{{\"kind\":\"llm\",\"agent_id\":\"{}\",\"model\":\"gpt-4o\",\"usage\":{{\"input\":{},\"output\":59,\"cache_read\":0}},\"note\":\"{}\"}}",
        Uuid::from_u128(u128::from(n)),
        n % 10_000,
        "x".repeat(250)
    )
}

fn metadata(command_id: Uuid) -> Metadata {
    Metadata {
        actor: "bench".to_owned(),
        command_id,
        correlation_id: command_id,
        causation_id: None,
        traceparent: None,
    }
}

fn new_stream(events: usize, n: u64) -> Append {
    let events = (0..events)
        .map(|_| NewEvent { event_id: Uuid::now_v7(), name: "call.recorded", schema_version: 1, payload: payload(n) })
        .collect();
    let expected = Expected::Exact(Version::ZERO);
    Append {
        tenant: tenant(),
        metadata: metadata(Uuid::now_v7()),
        streams: vec![StreamAppend { category: "call".into(), id: Uuid::now_v7(), expected, events }],
    }
}

/// A database of this run.
struct Bench {
    log: Log,
    pool: PgPool,
    raw: PgPool,
    position: Arc<AtomicI64>,
    counter: Arc<AtomicU64>,
    seconds: Duration,
    rounds: u64,
}

/// The rows of the log without the log: what PostgreSQL can do at all.
const RAW_TABLE: &str = "create table raw_events (
    position bigint not null primary key, tenant_id text not null, category text not null, stream_id uuid not null,
    version bigint not null, event_id uuid not null, type text not null, schema_version smallint not null,
    payload json not null, metadata json not null, recorded_at timestamptz not null, content_hash bytea not null)";
const RAW_INDEX: &str = "create index on raw_events (stream_id, version)";

impl Bench {
    async fn new() -> Self {
        let url = std::env::var("APEX_TEST_DATABASE_URL").expect("APEX_TEST_DATABASE_URL is set: run `make bench`");
        let name = format!("bench_{}", Uuid::new_v4().simple());
        let mut server: PgConnection = PgConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
        let url = format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        let options = PgConnectOptions::from_str(&url).unwrap();
        let mut owner = options.connect().await.unwrap();
        MIGRATIONS.run(&mut owner).await.unwrap();
        for statement in [RAW_TABLE, RAW_INDEX] {
            sqlx::query(statement).execute(&mut owner).await.unwrap();
        }
        owner.close().await.unwrap();
        let pool = connect(&Secret::from(url), 16).await.unwrap();
        let raw = PgPoolOptions::new().max_connections(64).connect_with(options).await.unwrap();
        let log = Log::open(pool.clone(), LogConfig::default()).await.unwrap();
        tokio::spawn(log.tail().clone().run(std::future::pending()));
        Self {
            log,
            pool,
            raw,
            position: Arc::default(),
            counter: Arc::default(),
            seconds: Duration::from_millis(setting("SECONDS_PER_CASE", 2) * 1000),
            rounds: setting("ROUNDS", 3),
        }
    }

    /// Runs a step over and over in `in_flight` tasks; returns what it counted, a second.
    async fn rate<F>(&self, in_flight: usize, step: impl Fn(usize) -> F + Clone + Send + 'static) -> f64
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

    async fn ours(&self, in_flight: usize, events: usize) -> f64 {
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

    /// `rows` a transaction by UNNEST, over as many connections; with one row it is a plain INSERT in effect.
    async fn raw(&self, connections: usize, rows: usize) -> f64 {
        let (raw, position, counter) = (self.raw.clone(), self.position.clone(), self.counter.clone());
        self.rate(connections, move |_| {
            let n = counter.fetch_add(1, Ordering::Relaxed);
            let first = position.fetch_add(i64::try_from(rows).unwrap(), Ordering::Relaxed);
            insert_raw(raw.clone(), rows, first, n)
        })
        .await
    }

    /// The best of several concurrencies.
    async fn best_raw(&self, connections: &[usize], rows: usize) -> f64 {
        let mut best: f64 = 0.0;
        for &connections in connections {
            best = best.max(self.raw(connections, rows).await);
        }
        best
    }

    async fn read_log(&self) -> f64 {
        let started = Instant::now();
        let (mut after, mut count) = (Position::ZERO, 0_u64);
        while started.elapsed() < self.seconds {
            let page = self.log.read_after(after, &ReadFilter::default(), 1000).await.unwrap();
            count += page.len() as u64;
            after = page.last().map_or(Position::ZERO, |event| event.position);
        }
        count as f64 / started.elapsed().as_secs_f64()
    }

    async fn read_raw(&self) -> f64 {
        type Row =
            (i64, String, String, Uuid, i64, Uuid, String, i16, String, String, chrono::DateTime<chrono::Utc>, Vec<u8>);
        let started = Instant::now();
        let (mut after, mut count) = (0_i64, 0_u64);
        while started.elapsed() < self.seconds {
            let page: Vec<Row> = sqlx::query_as(
                "select position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                        payload::text, metadata::text, recorded_at, content_hash
                 from raw_events where position > $1 order by position limit 1000",
            )
            .bind(after)
            .fetch_all(&self.raw)
            .await
            .unwrap();
            count += page.len() as u64;
            after = page.last().map_or(0, |row| row.0);
        }
        count as f64 / started.elapsed().as_secs_f64()
    }

    /// Commands to one agent, many at once: pausing and resuming in turn.
    async fn hot_stream(&self, in_flight: usize) -> f64 {
        let commands =
            Commands::new(self.log.clone(), CommandsConfig { max_attempts: 1000, ..CommandsConfig::default() });
        let id = Uuid::now_v7();
        let context = || Context::new(tenant(), "bench", Uuid::now_v7());
        let at = chrono::Utc::now();
        let profile = Profile { name: Name::new("hot").unwrap(), kind: None, model: None, labels: Labels::default() };
        for command in [AgentCommand::Register { profile, at }, AgentCommand::Activate { at }] {
            commands.execute::<Agent>(&context(), id, command).await.unwrap();
        }
        self.rate(in_flight, move |task| {
            let commands = commands.clone();
            async move {
                let context = Context::new(tenant(), "bench", Uuid::now_v7());
                let command =
                    if task % 2 == 0 { AgentCommand::Pause { reason: None, at } } else { AgentCommand::Resume { at } };
                let outcome = commands.execute::<Agent>(&context, id, command).await;
                // What held already was not written and does not count.
                u64::from(outcome.is_ok_and(|outcome| outcome.kind == OutcomeKind::Done))
            }
        })
        .await
    }
}

async fn insert_raw(raw: PgPool, rows: usize, first: i64, n: u64) -> u64 {
    let (mut positions, mut tenants, mut categories, mut streams) = (vec![], vec![], vec![], vec![]);
    let (mut versions, mut ids, mut types, mut schemas) = (vec![], vec![], vec![], vec![]);
    let (mut payloads, mut metadatas, mut hashes) = (vec![], vec![], vec![]);
    let stream = StreamKey { tenant: tenant(), category: "call".into(), id: Uuid::now_v7() };
    let written = serde_json::to_string(&metadata(Uuid::now_v7())).unwrap();
    for row in 0..rows {
        let (id, payload) = (Uuid::now_v7(), payload(n));
        hashes.push(content_hash(&stream, id, "call.recorded", 1, &payload, &written).to_vec());
        positions.push(first + i64::try_from(row).unwrap());
        tenants.push("default");
        categories.push("call");
        streams.push(stream.id);
        versions.push(i64::try_from(row).unwrap() + 1);
        ids.push(id);
        types.push("call.recorded");
        schemas.push(1_i16);
        payloads.push(payload);
        metadatas.push(written.clone());
    }
    sqlx::query(
        "insert into raw_events (position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                                 payload, metadata, recorded_at, content_hash)
         select p, t, c, s, v, e, y, m, l::json, d::json, now(), h
         from unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[],
                     $8::smallint[], $9::text[], $10::text[], $11::bytea[]) as u (p, t, c, s, v, e, y, m, l, d, h)",
    )
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
    .execute(&raw)
    .await
    .unwrap();
    rows as u64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Collects the rows of the report.
struct Table {
    rows: Vec<serde_json::Value>,
}

impl Table {
    async fn case<O, B>(&mut self, bench: &Bench, case: &str, unit: &str, ours: O, baseline: B)
    where
        O: AsyncFn() -> f64,
        B: AsyncFn() -> f64,
    {
        let (mut mine, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            raw.push(baseline().await);
            mine.push(ours().await);
        }
        let (mine, raw) = (median(&mut mine), median(&mut raw));
        println!("{case:<62} {mine:>12.0} {raw:>12.0} {:>7.2}  {unit}", mine / raw);
        self.rows.push(json!({
            "case": case, "unit": unit, "rounds": bench.rounds,
            "ours": mine.round(), "baseline": raw.round(), "ratio": (mine / raw * 1000.0).round() / 1000.0,
        }));
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` passes --test; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    let mut table = Table { rows: Vec::new() };
    let many = [8, 32, 64];
    let few = [1, 4, 8];
    println!("{:<62} {:>12} {:>12} {:>7}", "case", "ours", "baseline", "ratio");
    for in_flight in [1, 8, 64, 256] {
        let case = format!("{in_flight} in flight, 1 event each; single INSERTs at the same");
        table.case(&bench, &case, "events/s", || bench.ours(in_flight, 1), || bench.raw(in_flight.min(64), 1)).await;
    }
    let case = "64 in flight, 1 event each; single INSERTs at their best";
    table.case(&bench, case, "events/s", || bench.ours(64, 1), || bench.best_raw(&many, 1)).await;
    let case = "64 in flight, 1 event each; UNNEST of 64 at its best";
    table.case(&bench, case, "events/s", || bench.ours(64, 1), || bench.best_raw(&few, 64)).await;
    for (in_flight, events) in [(64, 10), (64, 100), (8, 1000)] {
        let case = format!("{in_flight} in flight, {events} events each; UNNEST of {events} at its best");
        table.case(&bench, &case, "events/s", || bench.ours(in_flight, events), || bench.best_raw(&few, events)).await;
    }
    let case = "reading all in pages of 1000; the same scan of the raw table";
    table.case(&bench, case, "events/s", || bench.read_log(), || bench.read_raw()).await;
    let case = "one hot stream, 64 commands in flight; single INSERTs at 1";
    table.case(&bench, case, "commands/s", || bench.hot_stream(64), || bench.raw(1, 1)).await;

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("log.json");
    std::fs::write(&path, serde_json::to_string_pretty(&table.rows).unwrap()).unwrap();
    println!("written to {}", path.display());
    drop(bench.pool);
}
