//! Reports over the sums of 10^7 calls: the rows of highest cost and the rest, for each grouping that one table of sums answers, asked
//! of a running server. Each is compared with the plainest statement on the same table: the sum of the cost by the column, highest
//! first. Beside the groupings, the time of `select count(*)` is that of reading a table at all.
//!
//! `CALLS` sets the number of calls (default: 10 000 000). The tables of sums get the rows that the read model would have, of calls in
//! 90 days: a row of `usage_quarter_hourly` for about twelve calls, a task for ten, a conversation for twenty, a task graph and
//! a value of the tag `run` for a hundred each. A case takes `SECONDS_PER_CASE` for each figure, and five reports at least. The second
//! half of the cases is measured while 1,000 calls a second come in (`LOAD` sets another number).
//!
//! The figures are the times of the 50th and 99th percentile in milliseconds, and the peak memory of the server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use std::time::{Duration, Instant};
use testkit::bench::{Bench, Table, percentile, setting};
use testkit::{ServerProcess, memory_kb};
use tokio::task::JoinHandle;

/// The fewest reports of a case.
const MIN_REPORTS: usize = 5;
/// The goal of every report, in milliseconds.
const GOAL_MS: f64 = 50.0;
/// How many calls are sent in a request of the load.
const LOAD_CALLS: u64 = 100;

/// The rows of sums. A row's calls, tokens and cost are those of so many calls as it stands for.
const FILL: &str = "
    insert into apex.usage_quarter_hourly (tenant_id, hour, quarter, cell, agent_id, user_id, team, key, provider, model, tool,
        outcome, source, calls, tool_calls, failed_calls, unpriced_calls, assumed_calls, latency_ms, cost, reported_cost,
        input_tokens, output_tokens, cache_read_tokens)
    select 'default', date_trunc('hour', at, 'UTC'), at, gen_random_uuid(), lpad((n % 101)::text, 32, '0')::uuid, 'user-' || n % 503,
        'team-' || n % 7, 'key-' || n % 11, 'provider-' || n % 3, 'model-' || n % 8, case when n % 10 = 0 then 'tool-' || n % 13 end,
        (array['ok', 'error', 'timeout'])[1 + n % 3], 'otlp', 12, 0, n % 2, 0, 0, 24000, (n % 1000) * 0.000123, 0, 12000 + n % 5000,
        900 + n % 700, n % 4000
    from generate_series(1, CALLS / 12) n,
        lateral (select timestamptz '2026-01-01Z' + n::bigint * 8640 / (CALLS / 12 + 1) * interval '15 minutes') of_quarter (at);

    insert into apex.usage_daily (tenant_id, dimension, day, task_id, calls, tool_calls, failed_calls, unpriced_calls, assumed_calls,
        latency_ms, cost, reported_cost, input_tokens, output_tokens, cache_read_tokens)
    select 'default', 'task', timestamptz '2026-01-01Z' + n::bigint * 90 / (CALLS / 10 + 1) * interval '1 day', lpad(n::text, 32, '0')::uuid, 10, 0, n % 2, 0, 0,
        20000, (n::bigint * 7919 % 100000) * 0.000123, 0, 10000 + n % 5000, 700 + n % 700, n % 4000
    from generate_series(1, CALLS / 10) n;

    insert into apex.usage_daily (tenant_id, dimension, day, dag_id, calls, tool_calls, failed_calls, unpriced_calls, assumed_calls,
        latency_ms, cost, reported_cost, input_tokens, output_tokens, cache_read_tokens)
    select 'default', 'dag', timestamptz '2026-01-01Z' + n::bigint * 90 / (CALLS / 100 + 1) * interval '1 day', lpad(n::text, 32, '0')::uuid, 100, 0, n % 2, 0, 0,
        200000, (n::bigint * 7919 % 100000) * 0.00123, 0, 100000 + n % 5000, 7000 + n % 700, n % 4000
    from generate_series(1, CALLS / 100) n;

    insert into apex.usage_daily (tenant_id, dimension, day, conversation, calls, tool_calls, failed_calls, unpriced_calls,
        assumed_calls, latency_ms, cost, reported_cost, input_tokens, output_tokens, cache_read_tokens)
    select 'default', 'conversation', timestamptz '2026-01-01Z' + n::bigint * 90 / (CALLS / 20 + 1) * interval '1 day', 'conversation-' || n, 20, 0, n % 2, 0, 0,
        40000, (n::bigint * 7919 % 100000) * 0.000246, 0, 20000 + n % 5000, 1400 + n % 700, n % 4000
    from generate_series(1, CALLS / 20) n;

    insert into apex.usage_hourly_by_tag (tenant_id, hour, tag_key, tag_value, calls, tool_calls, failed_calls, unpriced_calls,
        assumed_calls, latency_ms, cost, reported_cost, input_tokens, output_tokens, cache_read_tokens)
    select 'default', timestamptz '2026-01-01Z' + n::bigint * 2160 / (CALLS / 100 + 1) * interval '1 hour', 'run', 'run-' || n, 100, 0, n % 2, 0, 0, 200000,
        (n::bigint * 7919 % 100000) * 0.00123, 0, 100000 + n % 5000, 7000 + n % 700, n % 4000
    from generate_series(1, CALLS / 100) n;

    insert into apex.agents (tenant_id, agent_id, name, labels, status, registered_at, changed_at, version, position)
    select 'default', lpad(n::text, 32, '0')::uuid, 'agent-' || n, '{}', 'active', timestamptz '2026-01-01Z',
        timestamptz '2026-01-01Z', 1, n
    from generate_series(0, 100) n;

    vacuum analyze apex.usage_quarter_hourly;
    vacuum analyze apex.usage_daily;
    vacuum analyze apex.usage_hourly_by_tag;
    analyze apex.agents";

/// A grouping, the table that answers it, the column, and the condition on it.
struct Grouping {
    by: &'static str,
    table: &'static str,
    column: &'static str,
    condition: &'static str,
}

const fn of_quarters(by: &'static str, column: &'static str) -> Grouping {
    Grouping { by, table: "usage_quarter_hourly", column, condition: "true" }
}

const fn of_days(by: &'static str, column: &'static str, condition: &'static str) -> Grouping {
    Grouping { by, table: "usage_daily", column, condition }
}

const GROUPINGS: [Grouping; 15] = [
    of_quarters("AGENT", "agent_id"),
    of_quarters("MODEL", "model"),
    of_quarters("PROVIDER", "provider"),
    of_quarters("USER", "user_id"),
    of_quarters("TEAM", "team"),
    of_quarters("KEY", "key"),
    of_quarters("TOOL", "tool"),
    of_quarters("OUTCOME", "outcome"),
    of_quarters("SOURCE", "source"),
    of_quarters("MONTH", "date_trunc('month', quarter, 'UTC')"),
    of_quarters("DAY", "date_trunc('day', quarter, 'UTC')"),
    of_days("TASK", "task_id", "dimension = 'task'"),
    of_days("DAG", "dag_id", "dimension = 'dag'"),
    of_days("CONVERSATION", "conversation", "dimension = 'conversation'"),
    Grouping { by: "TAG", table: "usage_hourly_by_tag", column: "tag_value", condition: "tag_key = 'run'" },
];

const REPORT: &str = "query ($by: [Dimension!], $tagKey: String) {
    usageReport(by: $by, tagKey: $tagKey, top: 100, first: 500) {
        nodes { keys { value name } isRest totals { calls failedCalls inputTokens outputTokens cost } }
        total { calls cost } summedFrom } }";

/// A server, and who asks it.
struct Asked {
    server: ServerProcess,
    client: reqwest::Client,
}

impl Asked {
    async fn graphql(&self, query: &str, variables: Value) -> Value {
        let request = self.client.post(format!("http://{}/graphql", self.server.address));
        let answer: Value = request
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert!(answer["errors"].is_null(), "{answer}");
        answer["data"].clone()
    }

    /// Asks for a report, and checks that it has the rows of highest cost of a table of sums.
    async fn report(&self, of: &Grouping) {
        let variables = json!({ "by": [of.by], "tagKey": (of.by == "TAG").then_some("run") });
        let report = self.graphql(REPORT, variables).await["usageReport"].take();
        assert_ne!(report["summedFrom"], "calls", "{}", of.by);
        let rows = report["nodes"].as_array().unwrap();
        assert!((1..=101).contains(&rows.len()), "{} rows by {}", rows.len(), of.by);
    }
}

/// The times of a step that is repeated, for some seconds and some times at least: the 50th and the 99th percentile in
/// milliseconds.
async fn times(bench: &Bench, mut step: impl AsyncFnMut()) -> [f64; 2] {
    // The caches are filled.
    step().await;
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < bench.seconds || times.len() < MIN_REPORTS {
        let begun = Instant::now();
        step().await;
        times.push(begun.elapsed());
    }
    [50, 99].map(|percent| percentile(&mut times, percent).as_secs_f64() * 1000.0)
}

async fn raw(connection: &mut PgConnection, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).fetch_all(connection).await.unwrap();
}

/// Measures every grouping, and returns how many of them miss the goal.
async fn measure(bench: &Bench, asked: &Asked, table: &mut Table, load: &str) -> usize {
    let mut connection = bench.owner.connect().await.unwrap();
    let mut missed = 0;
    for of in GROUPINGS.iter().filter(|of| Table::wants(of.by)) {
        let Grouping { by, table: name, column, condition } = of;
        let from = format!("from apex.{name} where tenant_id = 'default' and {condition}");
        let top = format!("select {column}, sum(cost), sum(calls) {from} group by 1 order by 2 desc limit 100");
        let [plain_50, plain_99] = times(bench, async || raw(&mut connection, &top).await).await;
        let [ours_50, ours_99] = times(bench, async || asked.report(of).await).await;
        table.figure(&format!("by {by}, top 100 and the rest{load}, p50; plain SQL"), "ms", ours_50, plain_50);
        table.figure(&format!("by {by}, top 100 and the rest{load}, p99; plain SQL"), "ms", ours_99, plain_99);
        missed += usize::from(ours_99 > GOAL_MS);
    }
    for name in ["usage_quarter_hourly", "usage_daily", "usage_hourly_by_tag"] {
        let count = format!("select count(*) from apex.{name}");
        let [scan_50, scan_99] = times(bench, async || raw(&mut connection, &count).await).await;
        table.figure(&format!("select count(*) from {name}{load}, p50; p99"), "ms", scan_50, scan_99);
    }
    missed
}

/// Sends calls at a rate, until it is aborted.
fn load(address: &str, calls_per_s: u64) -> JoinHandle<()> {
    let (url, client) = (format!("http://{address}/v1/ingest"), reqwest::Client::new());
    tokio::spawn(async move {
        let requests_per_s = (calls_per_s / LOAD_CALLS).max(1);
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(requests_per_s).unwrap());
        for request in 0_u64.. {
            ticks.tick().await;
            let line = |n: u64| {
                let number = request * LOAD_CALLS + n;
                format!(
                    "{{\"type\":\"call\",\"id\":\"load-{number}\",\"provider\":\"openai\",\"model\":\"gpt-4o\",\"agent\":\"load\",\
                     \"conversation\":\"conversation-{}\",\"usage\":{{\"input\":1200,\"output\":59}},\
                     \"started_at\":\"2026-03-10T10:00:00Z\"}}\n",
                    number % 100_000
                )
            };
            let body: String = (0..LOAD_CALLS).map(line).collect();
            let sent =
                client.post(&url).header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
            assert!(sent.status().is_success(), "{}", sent.status());
        }
    })
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    apex::cli::install_crypto_provider();
    let bench = Bench::new().await;
    let calls = setting("CALLS", 10_000_000);
    let server = ServerProcess::start(env!("CARGO_BIN_EXE_apex"), &bench.url(), &[]).await;
    let asked = Asked { server, client: reqwest::Client::new() };
    let declare = "mutation { declareTagKey(input: { key: \"run\" }) { outcome } }";
    assert_eq!(asked.graphql(declare, json!({})).await["declareTagKey"]["outcome"], "DONE");
    let started = Instant::now();
    for statement in FILL.replace("CALLS", &calls.to_string()).split(';') {
        let mut owner = bench.owner.connect().await.unwrap();
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut owner).await.unwrap();
    }
    println!("sums of {calls} calls, written in {:.0} s", started.elapsed().as_secs_f64());
    let mut table = Table::new();
    let missed = measure(&bench, &asked, &mut table, "").await;
    let rate = setting("LOAD", 1_000);
    let sending = load(&asked.server.address, rate);
    let missed_under_load = measure(&bench, &asked, &mut table, &format!(", {rate} calls/s")).await;
    assert!(!sending.is_finished(), "the load ended: {:?}", sending.await);
    sending.abort();
    let peak_kb = memory_kb(asked.server.child.id().unwrap(), "VmHWM");
    println!(
        "{missed} of {} groupings take more than {GOAL_MS} ms (p99), {missed_under_load} under load; peak memory of the server: {} MB",
        GROUPINGS.len(),
        peak_kb / 1024
    );
    table.write("reports");
    drop(asked);
    bench.drop_database().await;
}
