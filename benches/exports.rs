//! Exports of calls in every format, compared with `COPY … TO STDOUT` of the same columns, in the same order, whose bytes are
//! discarded.
//!
//! `CALLS` sets the number of calls (default: 1 000 000). The files are written to the folder of temporary files, so that the rate
//! to Parquet has the disk in it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use domain::price_book::PriceBook;
use futures::TryStreamExt;
use projections::{ExportFormat, ExportQuery, OpenExport};
use sqlx::AssertSqlSafe;
use std::io::Write as _;
use std::time::Instant;
use streams::TenantReads;
use testkit::bench::{Bench, Table, setting};

/// The statement of an export, which reads a page; here it reads all calls at once.
const STATEMENT: &str = include_str!("../projections/src/export/export.sql");

const FILL: &str = "
    insert into apex.agents (tenant_id, agent_id, name, labels, status, registered_at, changed_at, version, position)
    select 'default', lpad(n::text, 32, '0')::uuid, 'agent-' || n, '{}', 'active', timestamptz '2026-01-01Z', timestamptz '2026-01-01Z', 1, n
    from generate_series(0, 99) n;

    insert into apex.calls (tenant_id, call_id, kind, agent_id, task_id, conversation, user_id, team, key, provider, model, outcome,
        tags, usage, usage_assumed, started_at, latency_ms, cost, price_tier, price_effective_from, price_book_version, source,
        trace_id, span_id, response_id, version, position)
    select 'default', gen_random_uuid(), 'llm', lpad((n % 100)::text, 32, '0')::uuid, lpad((n / 10)::text, 32, '0')::uuid,
        'conversation-' || n / 20, 'user-' || n % 500, 'team-' || n % 7, 'key-' || n % 11, 'openai', 'model-' || n % 5,
        'ok', jsonb_build_object('team', n % 7, 'run', n % 100000),
        jsonb_build_object('input', 1000 + n % 5000, 'output', n % 900, 'cache_read', n % 3 * 1000), false,
        timestamptz '2026-01-01Z' + n * interval '1 second', 400 + n % 4000, (n % 100000) * 0.000001, 'standard',
        timestamptz '2025-05-22Z', 3, 'otlp', md5(n::text), left(md5((n * 3)::text), 16), 'msg_' || md5((n * 7)::text), 1, n
    from generate_series(1, CALLS) n;

    vacuum analyze apex.calls;
    analyze apex.agents";

async fn fill(bench: &Bench, calls: u64) {
    println!("writing {calls} calls");
    for statement in FILL.replace("CALLS", &calls.to_string()).split(';') {
        let mut owner = sqlx::ConnectOptions::connect(&bench.owner).await.unwrap();
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut owner).await.unwrap();
    }
}

/// Calls per second of the raw copy.
async fn copy(bench: &Bench, calls: u64) -> f64 {
    let mut connection = bench.pool.acquire().await.unwrap();
    sqlx::query("select set_config('apex.tenant', 'default', false)").execute(&mut *connection).await.unwrap();
    let statement = STATEMENT
        .replace("{agent_name}", "null::text")
        .replace("{join}", "")
        .replace("{conditions}", "")
        .replace("{limit}", &calls.to_string());
    let started = Instant::now();
    let mut messages = connection.copy_out_raw(&statement).await.unwrap();
    let mut bytes = 0;
    while let Some(message) = messages.try_next().await.unwrap() {
        bytes += message.len();
    }
    assert!(bytes > 0);
    calls as f64 / started.elapsed().as_secs_f64()
}

/// Calls per second of an export into a file, until it is on the disk.
async fn export(reads: &TenantReads, format: ExportFormat, calls: u64) -> f64 {
    let started = Instant::now();
    let mut file = tempfile::tempfile().unwrap();
    let open = OpenExport::calls(reads, &testkit::access(), &ExportQuery::default()).await.unwrap();
    let mut stream = open.start(PriceBook::default(), format).unwrap();
    let mut rows = 0;
    while let Some(chunk) = stream.next().await.unwrap() {
        file.write_all(&chunk.bytes).unwrap();
        rows = chunk.rows;
    }
    file.sync_all().unwrap();
    assert_eq!(rows, calls);
    let rate = calls as f64 / started.elapsed().as_secs_f64();
    println!("{format}: {} MB", file.metadata().unwrap().len() / 1_000_000);
    rate
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let calls = setting("CALLS", 1_000_000);
    let bench = Bench::new().await;
    fill(&bench, calls).await;
    let reads = TenantReads::beside(&bench.pool, 2);
    let mut table = Table::new();
    for format in ExportFormat::ALL {
        let case = format!("export of {calls} calls to {format}; COPY");
        table.case(&bench, &case, "calls/s", || export(&reads, format, calls), || copy(&bench, calls)).await;
    }
    table.write("exports");
    bench.drop_database().await;
}
