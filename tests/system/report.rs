//! The usage report: pagination, totals, and limits on the size of responses.

use crate::rollups::sum_up_calls;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use projections::{
    BasePeriod, Dimension, ReportFilter, ReportPage, ReportQuery, ReportRow, ReportTag, Totals, WholeReport,
    usage_report,
};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use testkit::{Server, TIMEOUT, TestDatabase, memory_kb};
use uuid::Uuid;

/// Calls with the same value of each dimension, with their cost in units of 10^-12 dollars.
#[derive(Clone, Copy)]
struct Cell {
    started_at: DateTime<Utc>,
    agent: Option<Uuid>,
    provider: Option<&'static str>,
    model: Option<&'static str>,
    task: Option<Uuid>,
    calls: i64,
    tokens: i128,
    cost: i128,
}

/// Cells with equal costs, equal calls, nulls, keys whose order depends on the locale, and sums beyond the largest amount.
fn cells() -> Vec<Cell> {
    let times = ["2023-12-31T22:00:00Z", "2023-12-31T22:45:00Z", "2024-01-01T00:00:00Z"];
    let times = times.map(|time| time.parse::<DateTime<Utc>>().unwrap());
    let ids = [None, Some(Uuid::from_u128(1)), Some(Uuid::from_u128(0xA << 120))];
    let mut cells = Vec::new();
    for started_at in times {
        for agent in ids {
            for provider in [None, Some("Z"), Some("a"), Some("é")] {
                for (model, task) in [(None, None), (Some("m"), ids[1]), (Some("M"), None)] {
                    let n = i128::try_from(cells.len()).unwrap();
                    let cost =
                        [0, 1, 250_000_000_000, 999_999_999_999_999_999_999_999_999][usize::try_from(n % 4).unwrap()];
                    let calls = 1 + i64::try_from(n % 3).unwrap();
                    let tokens = ((1 << 53) - 1) * (n % 2);
                    cells.push(Cell { started_at, agent, provider, model, task, calls, tokens, cost });
                }
            }
        }
    }
    cells
}

/// Writes the calls of the cells, the first of each with all of its tokens and cost, and the sums over them.
async fn fill(database: &TestDatabase, cells: &[Cell]) {
    for cell in cells {
        sqlx::query(
            "insert into apex.calls (tenant_id, call_id, kind, agent_id, provider, model, task_id, usage, usage_assumed, cost,
                 started_at, source, version, position)
             select 'default', gen_random_uuid(), 'llm', $2, $3, $4, $5,
                    case when n = 1 and $7 <> '0' then jsonb_build_object('input', $7::numeric) else '{}' end, false,
                    case when n = 1 then trim_scale($8::text::numeric * 0.000000000001) else 0 end, $1, 'test', 1, n
             from generate_series(1, $6) n",
        )
        .bind(cell.started_at)
        .bind(cell.agent)
        .bind(cell.provider)
        .bind(cell.model)
        .bind(cell.task)
        .bind(cell.calls)
        .bind(cell.tokens.to_string())
        .bind(cell.cost.to_string())
        .execute(&database.pool)
        .await
        .unwrap();
    }
    sum_up_calls(database).await;
}

fn key(cell: &Cell, dimension: Dimension) -> Option<String> {
    match dimension {
        Dimension::Agent => cell.agent.map(|id| id.to_string()),
        Dimension::Task => cell.task.map(|id| id.to_string()),
        Dimension::Provider => cell.provider.map(str::to_owned),
        Dimension::Model => cell.model.map(str::to_owned),
        Dimension::Source => Some("test".to_owned()),
        Dimension::User
        | Dimension::Team
        | Dimension::Key
        | Dimension::Tool
        | Dimension::Outcome
        | Dimension::Dag
        | Dimension::Conversation
        | Dimension::Tag => None,
        Dimension::Minute | Dimension::QuarterHour => Some(cell.started_at.format("%Y-%m-%dT%H:%MZ").to_string()),
        Dimension::Hour => Some(cell.started_at.format("%Y-%m-%dT%H:00Z").to_string()),
        Dimension::Day => Some(cell.started_at.format("%Y-%m-%d").to_string()),
        Dimension::Week => Some(cell.started_at.format("%G-W%V").to_string()),
        Dimension::Month => Some(cell.started_at.format("%Y-%m").to_string()),
        Dimension::Quarter => {
            let month: u32 = cell.started_at.format("%m").to_string().parse().unwrap();
            Some(format!("{}-Q{}", cell.started_at.format("%Y"), month.div_ceil(3)))
        }
        Dimension::Year => Some(cell.started_at.format("%Y").to_string()),
    }
}

/// A row of the report: keys, calls, tokens, cost in units of 10^-12 dollars.
type Line = (Vec<Option<String>>, i64, i128, i128);

/// The expected rows of the report, in order.
fn expected(cells: &[Cell], by: &[Dimension]) -> Vec<Line> {
    let mut sums: BTreeMap<Vec<Option<String>>, (i64, i128, i128)> = BTreeMap::new();
    for cell in cells {
        let sum = sums.entry(by.iter().map(|dimension| key(cell, *dimension)).collect()).or_default();
        *sum = (sum.0 + cell.calls, sum.1 + cell.tokens, sum.2 + cell.cost);
    }
    let mut lines: Vec<Line> =
        sums.into_iter().map(|(keys, (calls, tokens, cost))| (keys, calls, tokens, cost)).collect();
    lines.sort_by_cached_key(|(keys, calls, _, cost)| {
        let times: Vec<_> = keys.iter().zip(by).filter(|(_, by)| by.is_time()).map(|(key, _)| key.clone()).collect();
        let nulls_last: Vec<_> = keys.iter().map(|key| (key.is_none(), key.clone())).collect();
        (times, Reverse(*cost), Reverse(*calls), nulls_last)
    });
    lines
}

fn units(sum: &domain::Sum) -> i128 {
    let (text, sign) = (sum.to_string(), if sum.to_string().starts_with('-') { -1 } else { 1 });
    let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
    sign * format!("{whole}{fraction:0<12}").parse::<i128>().unwrap()
}

fn sums(totals: &Totals) -> (i64, i128, i128) {
    (totals.calls, totals.quantity(domain::Meter::Input), units(&totals.cost))
}

fn line(row: &ReportRow) -> Line {
    let (calls, tokens, cost) = sums(&row.totals);
    (row.keys.clone(), calls, tokens, cost)
}

/// Dimensions that each source answers.
const DIMENSIONS: [&[Dimension]; 10] = [
    &[Dimension::Provider],
    &[Dimension::Model, Dimension::Agent],
    &[Dimension::Month],
    &[Dimension::Agent, Dimension::Hour],
    &[Dimension::QuarterHour, Dimension::Model],
    &[Dimension::Task],
    &[Dimension::Day, Dimension::Task],
    &[Dimension::Task, Dimension::Day, Dimension::Provider],
    &[Dimension::Agent, Dimension::Provider, Dimension::Model, Dimension::Task],
    Dimension::ALL,
];

/// Reads a report in pages of several sizes and as a stream of rows, and compares it with the sums over its cells.
async fn check_report(database: &TestDatabase, query: &ReportQuery, cells: &[Cell]) {
    let by = &query.by;
    let whole = expected(cells, by);
    let total = whole.iter().fold((0, 0, 0), |sum, line| (sum.0 + line.1, sum.1 + line.2, sum.2 + line.3));
    for size in [1, 2, 7, whole.len() - 1, whole.len(), 500] {
        // Pages of one row only where the report is short.
        let size = if size <= 1 && whole.len() > 20 { 5 } else { size.max(1) };
        let (mut after, mut joined, mut seen) = (None, Vec::new(), (0, 0, 0));
        loop {
            let page = ReportPage { after, size, wants_total: true, wants_rest: true };
            let page = usage_report(&database.reads, query, &page).await.unwrap();
            assert!(page.rows.len() <= size);
            joined.extend(page.rows.iter().map(line));
            seen = page.rows.iter().map(line).fold(seen, |sum, line| (sum.0 + line.1, sum.1 + line.2, sum.2 + line.3));
            let rest = sums(&page.rest.unwrap());
            assert_eq!((seen.0 + rest.0, seen.1 + rest.1, seen.2 + rest.2), total, "{by:?} in pages of {size}");
            assert_eq!(sums(&page.total.unwrap()), total);
            assert_eq!(page.has_next_page, joined.len() < whole.len(), "{by:?} in pages of {size}");
            if !page.has_next_page {
                break;
            }
            after = page.rows.last().map(|row| row.cursor(query));
        }
        assert_eq!(joined, whole, "{by:?} in pages of {size}");
    }
    let mut report = WholeReport::open(&database.reads, query).await.unwrap();
    let rows: Vec<_> = report.rows().map_ok(|row| line(&row)).try_collect().await.unwrap();
    assert_eq!(rows, whole, "{by:?} as a stream of rows");
}

/// Filters of a report, each with the value that cells must have.
const FILTERS: [&[(Dimension, Option<&str>)]; 4] = [
    &[],
    &[(Dimension::Task, Some("00000000-0000-0000-0000-000000000001")), (Dimension::Day, Some("2024-01-01"))],
    &[(Dimension::Provider, Some("Z")), (Dimension::Provider, None), (Dimension::Model, Some("m"))],
    &[
        (Dimension::Agent, Some("0a000000-0000-0000-0000-000000000000")),
        (Dimension::Task, None),
        (Dimension::Month, Some("2023-12")),
    ],
];

#[tokio::test]
async fn report_pages_join_to_the_whole_report_and_sum_to_its_total() {
    let database = TestDatabase::new().await.unverified();
    let cells = cells();
    fill(&database, &cells).await;
    for (by, conditions) in DIMENSIONS.iter().flat_map(|by| FILTERS.map(|conditions| (by, conditions))) {
        let filters = conditions.iter().map(|(dimension, value)| ReportFilter::new(*dimension, *value).unwrap());
        let tag = || ReportTag { key: "team".to_owned().try_into().unwrap(), is_declared: false };
        let query = ReportQuery {
            by: by.to_vec(),
            filters: filters.collect(),
            tag: by.contains(&Dimension::Tag).then(tag),
            ..ReportQuery::new(testkit::access())
        };
        let is_met = |cell: &Cell| {
            let values = |of: Dimension| conditions.iter().filter(move |(dimension, _)| *dimension == of);
            conditions.iter().all(|(of, _)| values(*of).any(|(_, value)| key(cell, *of).as_deref() == *value))
        };
        let met: Vec<_> = cells.iter().filter(|cell| is_met(cell)).copied().collect();
        assert!(!met.is_empty());
        check_report(&database, &query, &met).await;
    }
}

/// The rows of highest cost, and the sums of all others under no key, if there are some.
fn with_rest(lines: &[Line], top: usize) -> Vec<Line> {
    let (shown, others) = lines.split_at(top.min(lines.len()));
    let rest = others.iter().fold((0, 0, 0), |sum, line| (sum.0 + line.1, sum.1 + line.2, sum.2 + line.3));
    let rest = (!others.is_empty()).then(|| (vec![None; others[0].0.len()], rest.0, rest.1, rest.2));
    shown.iter().cloned().chain(rest).collect()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one installation for all of it")]
async fn the_rows_of_highest_cost_and_the_rest_are_those_of_the_whole_report() {
    let database = TestDatabase::new().await.unverified();
    // Tasks with equal costs and equal calls, one with the highest cost, and calls without a task between them.
    let mut cells = cells();
    for n in 0..9 {
        let task = (n != 4).then(|| Uuid::from_u128(0x7A5C + n));
        let cost = i128::try_from(n / 2 * 1_000_000_000_000).unwrap();
        cells.push(Cell { task, cost, calls: 1 + i64::try_from(n % 2).unwrap(), tokens: 7, ..cells[0] });
    }
    fill(&database, &cells).await;
    let day = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    let [first, second, third] = ["2023-12-31T00:00:00Z", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"].map(day);
    for by in [&[Dimension::Task][..], &[Dimension::Conversation], &[Dimension::Provider, Dimension::Model]] {
        for top in 1..=12_u32 {
            let mut query = ReportQuery { by: by.to_vec(), top: Some(top), ..ReportQuery::new(testkit::access()) };
            let whole = with_rest(&expected(&cells, by), usize::try_from(top).unwrap());
            for size in [3, 500] {
                let (mut after, mut joined) = (None, Vec::new());
                loop {
                    let page = ReportPage { after, size, ..ReportPage::default() };
                    let page = usage_report(&database.reads, &query, &page).await.unwrap();
                    joined.extend(page.rows.iter().map(|row| (line(row), row.is_rest)));
                    if !page.has_next_page {
                        break;
                    }
                    after = page.rows.last().map(|row| row.cursor(&query));
                }
                let (lines, is_rest): (Vec<_>, Vec<_>) = joined.into_iter().unzip();
                assert_eq!(lines, whole, "top {top} by {by:?} in pages of {size}");
                let expected_rest = (0..whole.len()).map(|n| n == usize::try_from(top).unwrap());
                assert_eq!(is_rest, expected_rest.collect::<Vec<_>>(), "top {top} by {by:?}");
            }
            // The same of one day, compared with the day before.
            (query.from, query.to) = (second, third);
            query.compared_with = Some(BasePeriod::Previous);
            let page = ReportPage { size: 500, wants_total: true, ..ReportPage::default() };
            let page = usage_report(&database.reads, &query, &page).await.unwrap();
            let of = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| {
                let is_in = |cell: &&Cell| Some(cell.started_at) >= from && Some(cell.started_at) < to;
                let of_day: Vec<_> = cells.iter().filter(is_in).copied().collect();
                expected(&of_day, by)
            };
            let (current, base) = (of(second, third), of(first, second));
            let shown: Vec<_> = page.rows.iter().filter(|row| !row.is_rest).collect();
            for row in &shown {
                let find =
                    |lines: &[Line]| lines.iter().find(|line| line.0 == row.keys).map(|line| (line.1, line.2, line.3));
                assert_eq!(sums(&row.totals), find(&current).unwrap_or_default(), "{by:?} {:?}", row.keys);
                assert_eq!(sums(row.base.as_ref().unwrap()), find(&base).unwrap_or_default(), "{by:?} {:?}", row.keys);
            }
            let add = |of: (i64, i128, i128), totals: &Totals| {
                let more = sums(totals);
                (of.0 + more.0, of.1 + more.1, of.2 + more.2)
            };
            let all = page.rows.iter().fold((0, 0, 0), |all, row| add(all, &row.totals));
            let all_base = page.rows.iter().fold((0, 0, 0), |all, row| add(all, row.base.as_ref().unwrap()));
            assert_eq!(
                (all, all_base),
                (sums(&page.total.unwrap()), sums(&page.base_total.unwrap())),
                "{by:?} top {top}"
            );
            let keys = current.iter().chain(&base).map(|line| &line.0).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(shown.len(), keys.len().min(usize::try_from(top).unwrap()), "{by:?} top {top}");
        }
    }
}

const PAGE: &str = "query ($by: [Dimension!]!, $first: Int, $after: String) {
    usageReport(by: $by, first: $first, after: $after) {
        edges { cursor node { keys { value } } } nodes { totals { calls } } pageInfo { hasNextPage hasPreviousPage endCursor }
        total { calls } rest { calls }
    }
}";

async fn refused(server: &Server, variables: Value) -> (Value, Value) {
    let answer = server.graphql_response(PAGE, variables).await;
    let extensions = &answer["errors"][0]["extensions"];
    (extensions["code"].clone(), extensions["reason"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_a_connection_with_bounded_pages() {
    let database = TestDatabase::new().await.unverified();
    let cells = cells();
    fill(&database, &cells).await;
    let server = database.serve(&[]).await;
    let by = json!(["AGENT", "PROVIDER", "MODEL", "TASK"]);
    let whole = expected(&cells, &[Dimension::Agent, Dimension::Provider, Dimension::Model, Dimension::Task]);
    let first = server.graphql(PAGE, json!({ "by": by, "first": 30 })).await["usageReport"].take();
    let next = json!({ "by": by, "first": 30, "after": first["pageInfo"]["endCursor"] });
    let second = server.graphql(PAGE, next.clone()).await["usageReport"].take();
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    assert_eq!(second["pageInfo"]["hasNextPage"], false);
    assert_eq!(
        (&first["pageInfo"]["hasPreviousPage"], &second["pageInfo"]["hasPreviousPage"]),
        (&json!(false), &json!(true))
    );
    let keys = [&first, &second].into_iter().flat_map(|page| page["edges"].as_array().unwrap()).map(|edge| {
        let keys = edge["node"]["keys"].as_array().unwrap().iter();
        keys.map(|key| key["value"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    });
    assert_eq!(keys.collect::<Vec<_>>(), whole.iter().map(|line| line.0.clone()).collect::<Vec<_>>());
    let calls: i64 = cells.iter().map(|cell| cell.calls).sum();
    let on_second: i64 = whole[30..].iter().map(|line| line.1).sum();
    assert_eq!((&first["total"]["calls"], &second["total"]["calls"]), (&json!(calls), &json!(calls)));
    assert_eq!((&first["rest"]["calls"], &second["rest"]["calls"]), (&json!(on_second), &json!(0)));

    let bad = |reason: &str| (json!("BAD_USER_INPUT"), json!(reason));
    for first in [0, -1, 501] {
        assert_eq!(refused(&server, json!({ "by": by, "first": first })).await, bad("BAD_PAGE_SIZE"), "{first}");
    }
    let mut of_another = next.clone();
    of_another["by"] = json!(["MODEL"]);
    assert_eq!(refused(&server, of_another).await, bad("BAD_CURSOR"));
    for after in ["", "x", "e30", "bnVsbA"] {
        assert_eq!(refused(&server, json!({ "by": by, "after": after })).await, bad("BAD_CURSOR"), "{after:?}");
    }
    // A dozen aliases for 500 rows with all fields.
    let row = "nodes { keys { dimension value id name } totals { calls cost inputTokens outputTokens reportedCost } }";
    let aliases: String = (0..12).map(|n| format!("a{n}: usageReport(by: [AGENT], first: 500) {{ {row} }} ")).collect();
    let answer = server.graphql_response(&format!("{{ {aliases} }}"), json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_over_the_size_limit_is_refused_with_a_remedy() {
    let database = TestDatabase::new().await.unverified();
    sqlx::query(
        "insert into apex.memories (tenant_id, memory_id, agent_id, content, tags, realm, recalls, stored_at, version, position)
         select 'default', gen_random_uuid(), gen_random_uuid(), repeat('x', 65536), '{}', 'private', 0, now(), 1, n
         from generate_series(1, 400) n",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let server = database.serve(&[]).await;
    let query = |first: u32| format!("{{ memories(first: {first}) {{ nodes {{ content }} }} }}");
    let small = server.graphql(&query(100), json!({})).await;
    assert_eq!(small["memories"]["nodes"].as_array().unwrap().len(), 100);
    let answer = server.graphql_response(&query(400), json!({})).await;
    let error = &answer["errors"][0];
    assert_eq!(
        (&error["extensions"]["code"], &error["extensions"]["reason"]),
        (&json!("BAD_USER_INPUT"), &json!("RESPONSE_TOO_LARGE"))
    );
    assert!(error["message"].as_str().unwrap().contains("16777216 bytes"), "{error}");
    assert_eq!(answer.get("data").cloned().unwrap_or_default(), Value::Null);
}

/// `cargo test --test system server_memory -- --ignored --nocapture`; the environment variables `CELLS` and `SECONDS`
/// set the number of rows and the duration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement that takes minutes"]
async fn server_memory_is_bounded_under_the_widest_report() {
    const CLIENTS: usize = 8;
    let setting = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (cells, seconds) = (setting("CELLS", 1_000_000), setting("SECONDS", 60));
    let database = TestDatabase::new().await.unverified();
    sqlx::query(
        "insert into apex.usage_quarter_hourly (tenant_id, hour, quarter, cell, agent_id, provider, model, user_id, source,
             calls, tool_calls, failed_calls, unpriced_calls, input_tokens, output_tokens, cache_read_tokens, latency_ms,
             cost, reported_cost)
         select 'default', '2023-01-01T00:00:00Z'::timestamptz + make_interval(hours => (n / 100)::int),
                '2023-01-01T00:00:00Z'::timestamptz + make_interval(hours => (n / 100)::int), gen_random_uuid(),
                gen_random_uuid(), 'provider-' || n % 10, 'a-model-with-a-name-of-usual-length-' || n % 100,
                gen_random_uuid()::text, 'test', 1 + n % 5, 0, 0, 0, 1000 + n, 100 + n, n, 1000, (n % 1000) * 0.001234, 0
         from generate_series(1, $1::bigint) n",
    )
    .bind(i64::try_from(cells).unwrap())
    .execute(&database.pool)
    .await
    .unwrap();
    sqlx::query("analyze apex.usage_quarter_hourly").execute(&database.pool).await.unwrap();
    let server = database.serve(&[]).await;
    let memory_mb = |figure: &str| memory_kb(server.child.id().unwrap(), figure) / 1024;
    let before = memory_mb("VmRSS");
    // The most dimensions that sums by quarter of an hour answer, all sums, and as many rows as the limits allow.
    let sums = "calls toolCalls failedCalls unpricedCalls inputTokens outputTokens cacheReadTokens cacheWrite5MinTokens
        cacheWrite1HourTokens reasoningTokens latencyMs cost reportedCost currency";
    let query = format!(
        "query ($after: String) {{ usageReport(by: [AGENT, USER, PROVIDER, MODEL, HOUR, DAY, MONTH], first: 500, after: $after) {{
             nodes {{ keys {{ dimension value id name }} totals {{ {sums} }} }} pageInfo {{ endCursor }}
             total {{ {sums} }} }} }}"
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let answers: Vec<(usize, usize, usize)> = futures::future::join_all((0..CLIENTS).map(async |_| {
        let (mut after, mut answers, mut failed, mut bytes) = (Value::Null, 0, 0, 0);
        while std::time::Instant::now() < deadline {
            let answer = tokio::time::timeout(TIMEOUT, server.graphql_response(&query, json!({ "after": after })))
                .await
                .unwrap();
            bytes = answer.to_string().len();
            after = answer["data"]["usageReport"]["pageInfo"]["endCursor"].clone();
            if after.is_null() { failed += 1 } else { answers += 1 }
        }
        (answers, failed, bytes)
    }))
    .await;
    println!(
        "{cells} rows, {CLIENTS} clients, {seconds} s; responses, failures, bytes of the last response: {answers:?}"
    );
    println!("resident MB: before {before}, peak {}, after {}", memory_mb("VmHWM"), memory_mb("VmRSS"));
    assert!(memory_mb("VmHWM") < 400);
}
