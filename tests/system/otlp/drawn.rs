//! Traces that are drawn: the same tree from the same spans, however they come in.

use super::{chat, export, post, report, span, with};
use crate::statements::Counter;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use testkit::{Server, TestDatabase};

const QUERY: &str = "query ($id: String!, $first: Int, $after: String, $position: Position) {
    trace(id: $id, minPosition: $position) {
        traceId startedAt endedAt durationUs spanCount isTruncated
        totals { calls toolCalls inputTokens outputTokens cost }
        spans(first: $first, after: $after) {
            pageInfo { hasNextPage endCursor }
            nodes {
                spanId parentSpanId depth name kind startedAt endedAt durationUs status statusMessage service scope
                agentId agent { name } call { kind model tool cost usage { input output } }
            }
        }
    }
}";

/// A trace, with the spans of all pages.
pub(super) async fn trace(database: &TestDatabase, server: &Server, id: &str, first: usize) -> Value {
    let (mut spans, mut after) = (Vec::new(), Value::Null);
    let position = database.head().await.to_string();
    loop {
        let variables = json!({ "id": id, "first": first, "after": after, "position": position });
        let mut trace = server.graphql(QUERY, variables).await["trace"].take();
        if trace.is_null() {
            return trace;
        }
        let page = trace["spans"].take();
        spans.extend(page["nodes"].as_array().unwrap().clone());
        if page["pageInfo"]["hasNextPage"] == false {
            trace["spans"] = json!(spans);
            return trace;
        }
        assert_eq!(page["nodes"].as_array().unwrap().len(), first);
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// The same span with other members; null removes one.
fn but(mut span: Value, changes: &Value) -> Value {
    let members = span.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    span
}

fn at(mut span: Value, start_ms: u64, end_ms: u64) -> Value {
    let ns = |ms: u64| json!((1_773_136_800_000_000_000 + ms * 1_000_000).to_string());
    (span["startTimeUnixNano"], span["endTimeUnixNano"]) = (ns(start_ms), ns(end_ms));
    span
}

fn id(number: u64) -> String {
    format!("{number:016x}")
}

/// All exports of a run: an agent with ten steps, each of which makes a call in a span of a library and runs a tool, and a
/// span whose parent is never sent. Many spans are exported while they run, too.
fn exports() -> Vec<Value> {
    let agent = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner" });
    let mut exports = vec![
        at(but(span(&id(1), "", &agent), &json!({ "name": "plan", "kind": 1 })), 0, 5_000),
        at(but(span(&id(0xff), &id(0xfe), &json!({})), &json!({ "name": "orphan", "kind": null })), 1, 2),
    ];
    for n in 0..10_u64 {
        let (step, call, tool) = (0x100 + n, 0x200 + n, 0x300 + n);
        let from = 100 * (n % 7) + n;
        let failed = json!({ "name": "step", "kind": 1, "status": { "code": 2, "message": "gave up" } });
        exports.push(at(but(span(&id(step), &id(1), &json!({})), &failed), from, from + 90));
        // A library's span without any attribute that is read is between the step and the call.
        let http = but(span(&id(call + 0x1000), &id(step), &json!({})), &json!({ "name": "POST" }));
        exports.push(at(http, from + 1, from + 60));
        let usage = i64::try_from(n).unwrap();
        exports.push(at(span(&id(call), &id(call + 0x1000), &chat("gpt-4o", 100 + usage, 10)), from + 2, from + 50));
        let run = json!({ "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search" });
        exports.push(at(span(&id(tool), &id(step), &run), from + 61, from + 80));
    }
    // Snapshots: without an end, or with an earlier one, or with less.
    let snapshots: Vec<_> = exports
        .iter()
        .enumerate()
        .filter(|(_, span)| !span.to_string().contains("gen_ai.usage"))
        .map(|(n, span)| match n % 3 {
            0 => but(span.clone(), &json!({ "endTimeUnixNano": "0", "status": null, "name": "running" })),
            1 => but(span.clone(), &json!({ "endTimeUnixNano": "1773136800000500000", "kind": 5 })),
            _ => but(span.clone(), &json!({ "name": null, "status": null, "kind": null })),
        })
        .collect();
    exports.extend(snapshots);
    exports
}

fn of_trace(spans: &[Value], trace_id: &str) -> Vec<Value> {
    spans.iter().map(|span| but(span.clone(), &json!({ "traceId": trace_id }))).collect()
}

/// A sequence of numbers that look random.
fn numbers(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    }
}

fn shuffled(mut spans: Vec<Value>, next: &mut impl FnMut() -> usize) -> Vec<Value> {
    for at in (1..spans.len()).rev() {
        spans.swap(at, next() % (at + 1));
    }
    spans
}

/// Sends all spans twice, in requests of a few, to two servers at the same time.
async fn send_in_parts(servers: [&Server; 2], spans: Vec<Value>, seed: u64) {
    let mut next = numbers(seed);
    let mut rest = shuffled([spans.clone(), spans].concat(), &mut next);
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let part = rest.split_off(rest.len() - rest.len().min(1 + next() % 9));
        requests.push(export("shop", &part));
    }
    for pair in requests.chunks(2) {
        let other = async {
            if let Some(body) = pair.get(1) {
                post(servers[1], body).await;
            }
        };
        tokio::join!(post(servers[0], &pair[0]), other);
    }
}

/// Whether the service is registered as an agent depends on the requests: a call that comes before the span of its agent is made
/// by the service, for a while.
fn forget_service(trace: &mut Value) {
    trace["spans"].as_array_mut().unwrap().last_mut().unwrap()["agent"].take();
}

/// Sends the spans in five other ways, each as a trace of its own, and says how the traces differ from the expected one.
async fn differences(database: &TestDatabase, servers: [&Server; 2], expected: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for seed in 2..=6_u64 {
        let trace_id = format!("1{seed:031x}");
        send_in_parts(servers, of_trace(&exports(), &trace_id), seed).await;
        // In pages of several sizes, from either server.
        let server = servers[usize::try_from(seed % 2).unwrap()];
        let mut found = trace(database, server, &trace_id, usize::try_from(seed).unwrap() * 5).await;
        assert_eq!(found["traceId"], *trace_id);
        found["traceId"] = expected["traceId"].clone();
        forget_service(&mut found);
        let spans = |trace: &Value| trace["spans"].as_array().unwrap().clone();
        let pairs = spans(&found).into_iter().zip(spans(expected)).filter(|(found, expected)| found != expected);
        let mut of_seed: Vec<_> =
            pairs.map(|(found, expected)| format!("seed {seed}: {found} is not {expected}")).collect();
        if of_seed.is_empty() && found != *expected {
            of_seed.push(format!("seed {seed}: {found} is not {expected}"));
        }
        differences.extend(of_seed);
    }
    differences
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_the_same_tree_in_whatever_order_requests_and_processes_its_spans_come() {
    let database = TestDatabase::new().await;
    let (one, other) = (database.serve(&[]).await, database.serve(&[]).await);
    let exports = exports();
    let first = "10000000000000000000000000000001";
    assert_eq!(post(&one, &export("shop", &of_trace(&exports, first))).await, json!({}));
    let mut expected = trace(&database, &one, first, 500).await;
    let spans = expected["spans"].as_array().unwrap();
    assert_eq!((spans.len(), &expected["spanCount"], &expected["isTruncated"]), (42, &json!(42), &json!(false)));
    assert_eq!(expected["durationUs"], 5_000_000);
    // Each before those inside of it, and siblings by their start.
    let drawn: Vec<_> = spans.iter().take(10).map(|span| (span["depth"].as_u64().unwrap(), &span["spanId"])).collect();
    let wanted = [(0, 1), (1, 0x100), (2, 0x1200), (3, 0x200), (2, 0x300), (1, 0x107), (2, 0x1207), (3, 0x207)];
    let wanted: Vec<_> = wanted.iter().map(|(depth, number)| (*depth, json!(id(*number)))).collect();
    assert!(drawn.iter().zip(&wanted).all(|(found, (depth, id))| found.0 == *depth && *found.1 == *id), "{drawn:?}");
    let step = &spans[1];
    assert_eq!(
        (&step["status"], &step["statusMessage"], &step["kind"]),
        (&json!("ERROR"), &json!("gave up"), &json!("INTERNAL"))
    );
    assert_eq!(
        (&step["durationUs"], &step["parentSpanId"], &step["call"]),
        (&json!(90_000), &json!(id(1)), &Value::Null)
    );
    assert_eq!(
        (&step["agent"]["name"], &step["service"], &step["scope"]),
        (&json!("planner"), &json!("shop"), &json!("test"))
    );
    assert_eq!((&spans[3]["call"]["model"], &spans[3]["call"]["usage"]["input"]), (&json!("gpt-4o"), &json!(100)));
    assert_eq!(spans[4]["call"]["tool"], "search");
    let orphan = spans.last().unwrap();
    assert_eq!((&orphan["name"], &orphan["depth"], &orphan["kind"]), (&json!("orphan"), &json!(0), &Value::Null));
    // The totals are those of the report, which knows no other calls yet.
    let of_report = report(&database, &one, &[]).await["total"].take();
    let totals = &expected["totals"];
    assert_eq!((&totals["calls"], &totals["toolCalls"]), (&json!(10), &json!(10)));
    for name in ["calls", "inputTokens", "outputTokens", "cost"] {
        assert_eq!(totals[name], of_report[name], "{name}");
    }
    assert_eq!((&totals["inputTokens"], &totals["cost"]), (&json!("1045"), &json!("0.0036125")));
    forget_service(&mut expected);
    let differences = differences(&database, [&one, &other], &expected).await;
    assert_eq!(differences, [] as [String; 0]);
    one.kill().await;
    other.kill().await;
}

/// Control for the test above: it finds that a span is what the last export says, whatever its rank is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_spans_without_a_rank_are_found_to_depend_on_their_order() {
    let database = TestDatabase::new().await;
    let (one, other) = (database.serve(&[]).await, database.serve(&[]).await);
    let first = "10000000000000000000000000000001";
    assert_eq!(post(&one, &export("shop", &of_trace(&exports(), first))).await, json!({}));
    let mut expected = trace(&database, &one, first, 500).await;
    forget_service(&mut expected);
    let mut owner = database.owner().await;
    let function: String =
        sqlx::query_scalar("select pg_get_functiondef(oid) from pg_proc where proname = 'keep_spans'")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    let ranked = "where (coalesce(excluded.end_ns, 0), excluded.completeness, excluded.content_id)
                > (coalesce(s.end_ns, 0), s.completeness, s.content_id)";
    assert!(function.contains(ranked), "{function}");
    let planted = function.replace(ranked, "where true");
    sqlx::raw_sql(AssertSqlSafe(planted)).execute(&mut owner).await.unwrap();
    let differences = differences(&database, [&one, &other], &expected).await;
    assert!(differences.iter().any(|difference| difference.contains("running")), "{differences:#?}");
    one.kill().await;
    other.kill().await;
}

/// The number of statements of a query does not grow with the page, nor that of an export with its spans.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_written_and_their_calls_loaded_in_few_statements() {
    const CALLS: u64 = 120;
    let database = TestDatabase::new().await;
    let counter = Counter::before(&database).await;
    let server = database.serve(&["--database-url", &counter.url]).await;
    let plain: Vec<_> = (1..=2_000).map(|n| span(&id(0x1_0000 + n), &id(1), &json!({}))).collect();
    // A request without calls costs no more statements than one span: it appends nothing.
    let mut lowest = usize::MAX;
    for _ in 0..5 {
        let before = counter.counts().0;
        assert_eq!(post(&server, &export("shop", &plain)).await, json!({}));
        lowest = lowest.min(counter.counts().0 - before);
    }
    assert!(lowest < 10, "{lowest} statements");
    let calls: Vec<_> = (1..=CALLS).map(|n| span(&id(n), "", &with(chat("gpt-4o", 10, 1), &json!({})))).collect();
    post(&server, &export("shop", &calls)).await;
    trace(&database, &server, super::TRACE, 500).await;
    let page = async |first: u64| {
        let query = "query ($id: String!, $first: Int) { trace(id: $id) { spans(first: $first) {
            nodes { spanId call { id agent { name } } agent { name } } } } }";
        let mut lowest = usize::MAX;
        for _ in 0..5 {
            let before = counter.counts().0;
            let answer = server.graphql(query, json!({ "id": super::TRACE, "first": first })).await;
            assert_eq!(answer["trace"]["spans"]["nodes"].as_array().unwrap().len() as u64, first);
            lowest = lowest.min(counter.counts().0 - before);
        }
        lowest
    };
    let (one, many) = (page(1).await, page(500).await);
    // Statements of background workers count, too: a request that takes longer meets more of them. One for each span would be 500.
    assert!(many < one + 100, "{one} statements for one span, {many} for 500");
    server.kill().await;
}
