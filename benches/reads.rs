//! Reads with row-level security, compared with the same reads without it.
//!
//! The first cases switch the policies of the tables off and on again: the statements, the connections and the setting of the
//! tenant are the same. Those of text search compare with the statement that searches directly, by the role that sees all
//! rows, because under a policy it uses no index; the last one shows what it would cost.
//!
//! `ROWS` sets the number of calls and of memories of each of two tenants (default: 50 000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot continue has failed"
)]

use domain::permissions::{Access, ActionType, ReadMemories};
use projections::calls::{self, CallFilter};
use projections::memories::{self, MemoryFilter};
use projections::{Dimension, Order, Page, ReportPage, ReportQuery, usage_report};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use std::time::Instant;
use streams::TenantReads;
use testkit::bench::{Bench, Table, setting};
use uuid::Uuid;

/// Tables whose policies are switched.
const TABLES: [&str; 3] = ["calls", "memories", "usage_quarter_hourly"];
/// Requests at the same time.
const IN_FLIGHT: usize = 4;

const FILL: &str = "
    insert into apex.calls (tenant_id, call_id, kind, agent_id, model, usage, usage_assumed, started_at, source, version,
                            position)
    select t, gen_random_uuid(), 'llm', lpad((n % 100)::text, 32, '0')::uuid, 'model-' || n % 5, '{\"input\": 1}', false,
        timestamptz '2025-01-01Z' + n * interval '1 minute', 'test', 1, n
    from unnest(array['default', 'other']) t, generate_series(1, ROWS) n;

    insert into apex.memories (tenant_id, memory_id, agent_id, content, tags, realm, recalls, stored_at, version, position)
    select t, gen_random_uuid(), lpad((n % 100)::text, 32, '0')::uuid,
        concat_ws(' ', 'the build', 'ten' || n % 10, 'thousand' || n % 1000, repeat('some more words ', 10)), '{}', 'bridge', 0,
        timestamptz '2025-01-01Z' + n * interval '1 minute', 1, n
    from unnest(array['default', 'other']) t, generate_series(1, ROWS) n;

    insert into apex.usage_quarter_hourly (tenant_id, hour, quarter, cell, agent_id, provider, model, source, calls, tool_calls,
        failed_calls, unpriced_calls, latency_ms, cost, reported_cost, input_tokens, output_tokens)
    select t, date_trunc('hour', at), at, gen_random_uuid(), lpad((n % 100)::text, 32, '0')::uuid, 'openai', 'model-' || n % 5,
        'test', 3, 0, 0, 0, 1000, 0.5, 0, 1000, 50
    from unnest(array['default', 'other']) t, generate_series(1, ROWS) n,
        date_bin('15 minutes', timestamptz '2025-01-01Z' + n / 100 * interval '15 minutes', timestamptz '2025-01-01Z') at;

    analyze apex.calls, apex.memories, apex.usage_quarter_hourly";

/// The statement of a text search, as it is without row-level security.
const DIRECT_SEARCH: &str = "
    select tenant_id, memory_id, agent_id, content, tags, realm, recalls, stored_at, recalled_at, forgotten_at, version,
           position
    from apex.memories
    where tenant_id = $1 and (cardinality($2::uuid[]) = 0 and forgotten_at is null or memory_id = any ($2))
      and ($3::uuid is null or agent_id = $3 or realm <> 'private') and ($4::text is null or realm = $4)
      and ($5::text is null or $5 = any (tags))
      and ($6::text is null or words @@ websearch_to_tsquery('simple', $6))
      and ($7::timestamptz is null or (stored_at, memory_id) > ($7, $8))
      and ($10::uuid is null or agent_id = $10 or realm <> 'private')
    order by stored_at, memory_id limit $9";

const PAGE: Page = Page { order: Order::OldestFirst, after: None, limit: 51 };

fn access<A: ActionType>() -> Access<A> {
    testkit::access()
}

/// Switches the policies of the tables on or off, and uses every connection once, so that its plans are made again.
async fn switch(bench: &Bench, reads: &TenantReads, is_on: bool) {
    let mut owner: PgConnection = bench.owner.clone().connect().await.unwrap();
    let switch = if is_on { "enable" } else { "disable" };
    for table in TABLES {
        let statement = format!("alter table apex.{table} {switch} row level security");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut owner).await.unwrap();
    }
    for _ in 0..4 * IN_FLIGHT {
        list_calls(reads).await;
    }
}

async fn list_calls(reads: &TenantReads) {
    let from = Some("2025-01-10T00:00:00Z".parse().unwrap());
    let filter = CallFilter { from, ..CallFilter::default() };
    assert_eq!(calls::list(reads, &access(), &filter, PAGE).await.unwrap().len(), 51);
}

async fn list_calls_by_id(reads: &TenantReads, ids: &[Uuid]) {
    let filter = CallFilter { ids: ids.to_vec(), ..CallFilter::default() };
    assert_eq!(calls::list(reads, &access(), &filter, PAGE).await.unwrap().len(), ids.len());
}

async fn report(reads: &TenantReads) {
    let query = ReportQuery { by: vec![Dimension::Model], ..ReportQuery::new(access()) };
    let page = ReportPage { size: 100, wants_total: true, ..ReportPage::default() };
    assert_eq!(usage_report(reads, &query, &page).await.unwrap().rows.len(), 5);
}

async fn search(reads: &TenantReads, words: &str) {
    let filter = MemoryFilter { search: Some(words.to_owned()), ..MemoryFilter::default() };
    assert!(!memories::list(reads, &access(), &filter, PAGE).await.unwrap().is_empty());
}

async fn direct_search(connection: &mut PgConnection, words: &str) {
    let query = sqlx::query_as::<_, memories::MemoryRow>(DIRECT_SEARCH).bind("default").bind(Vec::<Uuid>::new());
    let query = query.bind(None::<Uuid>).bind(None::<String>).bind(None::<String>).bind(words);
    let query =
        query.bind(None::<chrono::DateTime<chrono::Utc>>).bind(None::<Uuid>).bind(PAGE.limit).bind(None::<Uuid>);
    assert!(!query.fetch_all(connection).await.unwrap().is_empty());
}

/// Reads a second.
async fn rate<F>(bench: &Bench, read: impl Fn() -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    bench
        .rate(IN_FLIGHT, move |_| {
            let read = read.clone();
            async move {
                read().await;
                1
            }
        })
        .await
}

/// Adds a case: the same read with the policies, and without them as the baseline.
async fn compare<F>(
    table: &mut Table,
    bench: &Bench,
    reads: &TenantReads,
    case: &str,
    read: impl Fn() -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let measure = async |is_on| {
        switch(bench, reads, is_on).await;
        for _ in 0..4 * IN_FLIGHT {
            read().await;
        }
        rate(bench, read.clone()).await
    };
    let unit = "reads/s";
    table.case(bench, case, unit, async || measure(true).await, async || measure(false).await).await;
    switch(bench, reads, true).await;
}

/// Adds the cases of a search for some words.
async fn compare_search(table: &mut Table, bench: &Bench, reads: &TenantReads, what: &str, words: &'static str) {
    let ours = async || {
        let reads = reads.clone();
        rate(bench, move || {
            let reads = reads.clone();
            async move { search(&reads, words).await }
        })
        .await
    };
    let direct = async || {
        let pool = bench.pool.clone();
        rate(bench, move || {
            let pool = pool.clone();
            async move { direct_search(&mut pool.acquire().await.unwrap(), words).await }
        })
        .await
    };
    let under_policies = async || {
        let reads = reads.clone();
        rate(bench, move || {
            let reads = reads.clone();
            async move {
                let mut connection = reads.acquire(&access::<ReadMemories>()).await.unwrap();
                direct_search(&mut connection, words).await;
            }
        })
        .await
    };
    let unit = "reads/s";
    table.case(bench, &format!("text search, {what}"), unit, ours, direct).await;
    let case = format!("text search, {what}, without the function");
    table.case(bench, &case, unit, under_policies, direct).await;
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    let reads = TenantReads::beside(&bench.pool, u32::try_from(IN_FLIGHT).unwrap());
    let started = Instant::now();
    let rows = setting("ROWS", 50_000).to_string();
    let mut owner: PgConnection = bench.owner.clone().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(FILL.replace("ROWS", &rows))).execute(&mut owner).await.unwrap();
    println!("two tenants with {rows} calls and memories each, written in {:.1} s", started.elapsed().as_secs_f64());
    let ids = "select call_id from apex.calls where tenant_id = 'default' limit 50";
    let ids: Vec<Uuid> = sqlx::query_scalar(ids).fetch_all(&mut owner).await.unwrap();

    let mut table = Table::new();
    let with = |read: fn(TenantReads) -> futures::future::BoxFuture<'static, ()>| {
        let reads = reads.clone();
        move || read(reads.clone())
    };
    let list = with(|reads| Box::pin(async move { list_calls(&reads).await }));
    compare(&mut table, &bench, &reads, "list of 50 calls from a time on", list).await;
    let by_id = {
        let reads = reads.clone();
        move || {
            let (reads, ids) = (reads.clone(), ids.clone());
            async move { list_calls_by_id(&reads, &ids).await }
        }
    };
    compare(&mut table, &bench, &reads, "50 calls by their ids", by_id).await;
    let usage = with(|reads| Box::pin(async move { report(&reads).await }));
    compare(&mut table, &bench, &reads, "usage report by model", usage).await;
    compare_search(&mut table, &bench, &reads, "1 memory in 1000", "thousand7").await;
    compare_search(&mut table, &bench, &reads, "1 memory in 10", "ten7").await;
    table.write("reads");
    drop(owner);
    bench.drop_database().await;
}
