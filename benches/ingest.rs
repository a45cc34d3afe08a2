//! Priced calls that a server records durably over HTTP, as lines of JSON and as spans of OpenTelemetry in protobuf, compared
//! with plain INSERTs of the same payloads into a table with the columns and indexes of the log, and a row for each stream.
//!
//! The server, its PostgreSQL and the client share the machine. `LINES` is the number of calls of a request (default: 2000),
//! and `REQUESTS` that of requests at the same time (default: 4). A call of a span takes two events: one of the trace, too.
//! The third case ends once the read models have the calls: they catch up within the duration of a run if its rate is more
//! than half of the first one's. The last case is `apex import` of a file with `IMPORTED` calls (default: 60,000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::ServerProcess;
use testkit::bench::{Bench, Table, best, setting};
use testkit::protobuf::{attribute, field, fixed64, integer};
use tokio::process::Command;
use uuid::Uuid;

/// Rows of a transaction of the baseline.
const ROWS: usize = 1000;

/// What sends requests.
#[derive(Clone)]
struct Sender {
    client: reqwest::Client,
    address: String,
    calls: u64,
    /// The number of the next call.
    next: Arc<AtomicU64>,
}

impl Sender {
    /// Sends calls as lines, and returns how many were recorded.
    async fn lines(self) -> u64 {
        let first = self.next.fetch_add(self.calls, Ordering::Relaxed);
        let line = |n: u64| {
            format!(
                "{{\"type\":\"call\",\"id\":\"bench-{n}\",\"provider\":\"openai\",\"model\":\"gpt-4o\",\"agent\":\"bench\",\
                 \"usage\":{{\"input\":{},\"output\":59,\"cache_read\":512}},\"latency_ms\":1800,\
                 \"started_at\":\"2026-03-10T10:00:00Z\"}}\n",
                1000 + n % 1000
            )
        };
        let body: String = (first..first + self.calls).map(line).collect();
        let request = self.client.post(format!("{}/v1/ingest", self.address));
        let request = request.header("content-type", "application/x-ndjson").body(body);
        let answer = request.send().await.unwrap().text().await.unwrap();
        let created = answer.lines().filter(|line| line.contains("\"status\":\"created\"")).count() as u64;
        assert_eq!(created, self.calls, "{}", answer.lines().last().unwrap_or_default());
        created
    }

    /// Sends calls as spans in protobuf, each of a trace of its own, as exporters do by default.
    async fn spans(self) -> u64 {
        let first = self.next.fetch_add(self.calls, Ordering::Relaxed);
        let (text, number) = (|text: &str| field(1, text.as_bytes()), |number| integer(3, number));
        let shared = [
            attribute(9, "gen_ai.operation.name", &text("chat")),
            attribute(9, "gen_ai.provider.name", &text("openai")),
            attribute(9, "gen_ai.response.model", &text("gpt-4o")),
            attribute(9, "gen_ai.usage.output_tokens", &number(59)),
            attribute(9, "gen_ai.usage.cache_read.input_tokens", &number(512)),
        ]
        .concat();
        let span = |n: u64| {
            let content = [
                field(1, &(u128::from(n) + 1).to_be_bytes()),
                field(2, &(n + 1).to_be_bytes()),
                field(5, b"chat"),
                integer(6, 3),
                fixed64(7, 1_773_136_800_000_000_000),
                fixed64(8, 1_773_136_801_800_000_000),
                attribute(9, "gen_ai.usage.input_tokens", &number(1512 + n % 1000)),
                shared.clone(),
            ];
            field(2, &content.concat())
        };
        let spans: Vec<u8> = (first..first + self.calls).flat_map(span).collect();
        let resource = field(1, &attribute(1, "service.name", &text("bench")));
        let body = field(1, &[resource, field(2, &spans)].concat());
        let request = self.client.post(format!("{}/v1/traces", self.address));
        let response = request.header("content-type", "application/x-protobuf").body(body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        assert!(response.bytes().await.unwrap().is_empty(), "some spans were refused");
        self.calls
    }
}

/// Payloads and metadata of calls that the server recorded, all of them charged.
async fn recorded(bench: &Bench) -> Vec<(String, String)> {
    let sql = "select payload::text, metadata::text from apex.events where type = 'call.recorded'
               and payload -> 'charge' is not null order by position desc limit 1000";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&bench.raw).await.unwrap();
    assert_eq!(rows.len(), ROWS, "the calls are not charged");
    rows
}

/// Waits until the read models have all events.
async fn caught_up(bench: &Bench) {
    let behind = "select exists (select from apex.checkpoints, apex.head h
                  where partitioned_by is not null and checkpoints.position < h.position)";
    while sqlx::query_scalar::<_, bool>(behind).fetch_one(&bench.raw).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Imports a file of new calls, and returns how many it imported a second.
async fn import(bench: &Bench, calls: u64, file: &AtomicU64) -> f64 {
    let mut path = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let first = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::weeks(2900);
    let number = i64::try_from(file.fetch_add(1, Ordering::Relaxed)).unwrap();
    let rows: String = (0..i64::try_from(calls).unwrap())
        .map(|n| {
            let at = first + TimeDelta::days(number) + TimeDelta::milliseconds(n);
            format!("{}0,{},59\n", at.format("%Y-%m-%d %H:%M:%S%.6f"), 1000 + n % 1000)
        })
        .collect();
    write!(path, "TIMESTAMP,ContextTokens,GeneratedTokens\n{rows}").unwrap();
    let started = Instant::now();
    let imported = Command::new(env!("CARGO_BIN_EXE_apex"))
        .args(["import", "azure-llm", "--provider", "openai", "--model", "gpt-4o", "--no-wait", "--format", "json"])
        .arg(path.path())
        .env("APEX_DATABASE_URL", bench.url())
        .output()
        .await
        .unwrap();
    let elapsed = started.elapsed();
    let counts: Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(counts[0]["imported"], calls, "{}", String::from_utf8_lossy(&imported.stderr));
    calls as f64 / elapsed.as_secs_f64()
}

const INSERT: &str = "with made as (
    insert into raw_streams select 'default', 'call', s, 1, s, 1, p from unnest($1::bigint[], $2::uuid[]) as u (p, s))
    insert into raw_events (position, tenant_id, category, stream_id, version, event_id, type, schema_version, payload,
                            metadata, recorded_at, content_hash)
    select p, 'default', 'call', s, 1, e, 'call.recorded', 1, l::json, d::json, now(), h
    from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bytea[]) as u (p, s, e, l, d, h)";

/// Calls a second by plain INSERTs into empty tables, a transaction of many rows at a time on each connection.
async fn baseline(
    bench: &Bench,
    connections: usize,
    rows: &Arc<Vec<(String, String)>>,
    position: &Arc<AtomicI64>,
) -> f64 {
    // The tables of all rounds together would fill a disk.
    sqlx::query("truncate raw_events, raw_streams").execute(&bench.raw).await.unwrap();
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (raw, seconds, rows, position) = (bench.raw.clone(), bench.seconds, rows.clone(), position.clone());
            tokio::spawn(async move {
                let mut connection = raw.acquire().await.unwrap();
                let mut done = 0;
                while started.elapsed() < seconds {
                    let count = i64::try_from(ROWS).unwrap();
                    let first = position.fetch_add(count, Ordering::Relaxed);
                    let ids = || (0..ROWS).map(|_| Uuid::now_v7()).collect::<Vec<_>>();
                    sqlx::query(AssertSqlSafe(INSERT))
                        .bind((first..first + count).collect::<Vec<_>>())
                        .bind(ids())
                        .bind(ids())
                        .bind(rows.iter().map(|(payload, _)| payload.as_str()).collect::<Vec<_>>())
                        .bind(rows.iter().map(|(_, metadata)| metadata.as_str()).collect::<Vec<_>>())
                        .bind(vec![vec![0_u8; 32]; ROWS])
                        .execute(&mut *connection)
                        .await
                        .unwrap();
                    done += ROWS;
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

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    apex::cli::install_crypto_provider();
    let bench = Bench::new().await;
    let server = ServerProcess::start(env!("CARGO_BIN_EXE_apex"), &bench.url(), &[]).await;
    let (calls, requests) = (setting("LINES", 2000), usize::try_from(setting("REQUESTS", 4)).unwrap());
    let address = format!("http://{}", server.address);
    let sender = Sender { client: reqwest::Client::new(), address, calls, next: Arc::default() };
    // The agent is registered, and the caches are filled.
    sender.clone().lines().await;
    let rows = Arc::new(recorded(&bench).await);
    let position = Arc::new(AtomicI64::new(1));
    let raw =
        async || best(&[2, 4, 8], async |connections| baseline(&bench, connections, &rows, &position).await).await;
    let mut table = Table::new();
    let lines = async || {
        let sender = sender.clone();
        bench.rate(requests, move |_| sender.clone().lines()).await
    };
    let case = format!("priced calls as lines, {requests} requests of {calls}; INSERTs of the same payloads");
    table.case(&bench, &case, "calls/s", lines, &raw).await;
    let spans = async || {
        let sender = sender.clone();
        bench.rate(requests, move |_| sender.clone().spans()).await
    };
    let case =
        format!("priced calls as spans in protobuf, {requests} requests of {calls}; INSERTs of the same payloads");
    table.case(&bench, &case, "calls/s", spans, &raw).await;
    let until_read = async || {
        caught_up(&bench).await;
        let started = Instant::now();
        let rate = lines().await;
        let sent = rate * started.elapsed().as_secs_f64();
        caught_up(&bench).await;
        sent / started.elapsed().as_secs_f64()
    };
    table.case(&bench, "priced calls as lines, until the read models have them", "calls/s", until_read, &raw).await;
    drop(server);
    let (calls, file) = (setting("IMPORTED", 60_000), AtomicU64::new(0));
    let imported = async || import(&bench, calls, &file).await;
    let case = format!("apex import of {calls} calls");
    table.case(&bench, &case, "calls/s", imported, &raw).await;
    table.write("ingest");
    bench.drop_database().await;
}
