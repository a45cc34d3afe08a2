//! Calls with several ids over the public API: records that tie calls together, in any order and from several processes.

use crate::graphql::command;
use domain::call::{CallFacts, CallIds, CallKey, CallKind, CallSpan};
use domain::price_book::PriceBook;
use domain::{CallId, Meter, Quantity};
use ingest::{CallReport, report_call};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use testkit::{Server, TestDatabase};
use uuid::Uuid;

const CALL: &str = "id uuid user team conversation usage { input output } startedAt cost source recordId version
    span { spanId } responseId origins { recordId fields }";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A record of a call, with what ties it to others.
fn record(second: u32, id: &str, more: &Value) -> Value {
    let mut record = json!({
        "provider": "acme", "model": "m", "source": "log", "recordId": id,
        "startedAt": format!("2023-11-14T22:13:0{second}Z"),
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

/// Records of one call: three that name it in one way each, and two that tie these together.
fn records() -> [Value; 5] {
    let (span, response) = (json!({ "traceId": TRACE, "spanId": "b7ad6b7169203331" }), "msg_9");
    [
        record(4, "a", &json!({ "span": span, "user": "ada", "usage": { "input": 10, "output": 1 } })),
        record(3, "b", &json!({ "responseId": response, "team": "t", "usage": { "input": 10, "output": 20 } })),
        record(2, "c", &json!({ "callKey": "client-1", "conversation": "c1", "usage": { "input": 10, "output": 5 } })),
        record(1, "d", &json!({ "span": span, "responseId": response, "usage": { "input": 3 } })),
        record(5, "e", &json!({ "callKey": "client-1", "responseId": response })),
    ]
}

async fn report(server: &Server, record: &Value) -> Value {
    let select = format!("outcome position error {{ code message }} call {{ {CALL} }}");
    let payload = command(server, "reportCall", record.clone(), &select).await;
    assert_eq!(payload["error"], Value::Null, "{payload}");
    payload
}

async fn set_price(server: &Server) {
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "1000000" }, { "meter": "OUTPUT", "rate": "1000000" }] });
    command(server, "setPrices", json!({ "prices": [price] }), "outcome").await;
}

/// The sum of a meter over all calls, and what the differences of all events add up to.
async fn sums(database: &TestDatabase, meter: &str) -> (i64, i64) {
    let of = |json: &str| format!("coalesce(({json} -> 'usage' ->> '{meter}')::bigint, 0)");
    let sql = format!(
        "select (select coalesce(sum({}), 0)::bigint from apex.calls c),
                (select sum(case type when 'call.recorded' then {} else {} - {} end - absorbed.total)::bigint
                 from apex.events, lateral (
                     select coalesce(sum({}), 0) total
                     from json_array_elements(coalesce(payload -> 'absorbed', '[]')) absorbed) absorbed
                 where category = 'call')",
        of("to_jsonb(c)"),
        of("payload"),
        of("payload -> 'after'"),
        of("payload -> 'before'"),
        of("absorbed -> 'before'"),
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_tie_calls_together_give_one_call_in_any_order() {
    let mut found = Vec::new();
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [3, 0, 4, 1, 2], [2, 0, 4, 3, 1]] {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        set_price(&server).await;
        let records = records();
        let (mut reported, mut position) = (Vec::new(), Value::Null);
        for at in order {
            let payload = report(&server, &records[at]).await;
            position = payload["position"].clone();
            reported.push((position.clone(), payload["call"].clone()));
        }
        // Each of them once more, and all of them in the other order, change nothing.
        for at in order.iter().rev() {
            assert_eq!(report(&server, &records[*at]).await["outcome"], "ALREADY_DONE");
        }
        let query = format!("query ($at: Position!) {{ calls(minPosition: $at) {{ nodes {{ {CALL} }} }} }}");
        let calls = server.graphql(&query, json!({ "at": position })).await["calls"]["nodes"].take();
        assert_eq!(calls.as_array().unwrap().len(), 1, "{order:?}: {calls}");
        let call = &calls[0];

        // Every id that the call ever had names it, and named at its time what it named then.
        let query = format!(
            "query ($id: ID!, $at: AsOf!) {{ call(id: $id) {{ {CALL} }} then: call(id: $id, asOf: $at) {{ {CALL} }}
                node(id: $id) {{ id }} }}"
        );
        for (then, was) in &reported {
            let named = server.graphql(&query, json!({ "id": was["id"], "at": { "position": then } })).await;
            assert_eq!((&named["call"], &named["then"]), (call, was), "{order:?}");
            assert_eq!(named["node"]["id"], call["id"]);
        }
        let total = database.total().await;
        assert_eq!([&total["calls"], &total["input_tokens"], &total["output_tokens"]], [1, 10, 20], "{total}");
        assert_eq!((&total["cost"], &call["cost"]), (&json!("30"), &json!("30")));
        for (meter, sum) in [("input", 10), ("output", 20)] {
            assert_eq!(sums(&database, meter).await, (sum, sum), "{order:?}: {meter}");
        }
        database.assert_equals_rebuild(&["calls", "budgets"], &[1, 1000]).await;
        let mut call = call.clone();
        call.as_object_mut().unwrap().remove("version");
        found.push(call);
    }
    assert_eq!([&found[1], &found[2], &found[3]], [&found[0]; 3]);
    let call = &found[0];
    assert_eq!([&call["user"], &call["team"], &call["conversation"], &call["recordId"]], ["ada", "t", "c1", "d"]);
    assert_eq!(call["usage"], json!({ "input": 10, "output": 20 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_by_any_id_corrects_the_call_and_a_tie_exceeds_no_budget() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let terms = json!({ "name": "monthly", "scope": { "tenant": true }, "limit": "40", "thresholds": [100] });
    let budget = command(&server, "defineBudget", json!({ "terms": terms }), "budget { id }").await["budget"].take();
    let [span, response, _, mut tie, _] = records();
    let span_id = CallSpan {
        trace_id: TRACE.parse().unwrap(),
        span_id: "b7ad6b7169203331".parse().unwrap(),
        parent_span_id: None,
    };
    let span_id = CallKey::of_span(CallKind::Llm, &span_id).call_id();
    let response_id = CallKey::of_response("acme", "m", "msg_9").unwrap().call_id();
    // The call is known under the id that is voided. It costs 30, and would exceed the limit if it counted under both ids.
    let mut known = if span_id > response_id { span } else { response };
    (known["usage"], tie["usage"]) = (json!({ "input": 10, "output": 20 }), json!({ "input": 10 }));
    let voided = report(&server, &known).await["call"]["id"].take();
    let tied = report(&server, &tie).await;
    let (call, mut at) = (&tied["call"]["id"], tied["position"].clone());
    assert_ne!(call, &voided);

    let version = "query ($id: ID!, $at: Position!) { call(id: $id, minPosition: $at) { version } }";
    let select = format!("outcome position error {{ code currentVersion }} call {{ {CALL} }}");
    for (id, user) in [(&voided, "grace"), (call, "alan")] {
        let known = server.graphql(version, json!({ "id": id, "at": at })).await["call"]["version"].take();
        let correct = |version: &Value| json!({ "id": id, "reason": "test", "values": { "user": user }, "expectedVersion": version });
        let wrong = command(&server, "correctCall", correct(&json!(99)), &select).await;
        assert_eq!((&wrong["error"]["code"], &wrong["error"]["currentVersion"]), (&json!("WRONG_VERSION"), &known));
        let corrected = command(&server, "correctCall", correct(&known), &select).await;
        assert_eq!((&corrected["outcome"], &corrected["call"]["id"]), (&json!("DONE"), call), "{corrected}");
        assert_eq!(corrected["call"]["user"], user);
        at = corrected["position"].clone();
    }
    let query = "query ($id: ID!, $at: Position!) { budget(id: $id, minPosition: $at) { months { spent } } }";
    let found = server.graphql(query, json!({ "id": budget["id"], "at": at })).await;
    assert_eq!(found["budget"]["months"], json!([{ "spent": "30" }]));
    let crossings: i64 =
        sqlx::query_scalar("select count(*) from apex.budget_crossings").fetch_one(&database.pool).await.unwrap();
    assert_eq!(crossings, 0);
    database.assert_equals_rebuild(&["calls", "budgets"], &[1, 1000]).await;
}

/// A span as its tool exports it when it starts, and as it is when it has its response.
fn spans(with_response: bool) -> String {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let count = |key: &str, value: u64| json!({ "key": key, "value": { "intValue": value.to_string() } });
    let mut attributes = vec![
        text("gen_ai.provider.name", "anthropic"),
        text("gen_ai.response.model", "claude-sonnet-4-5-20250929"),
        count("gen_ai.usage.input_tokens", 1000),
        count("gen_ai.usage.output_tokens", if with_response { 100 } else { 1 }),
    ];
    attributes.extend(with_response.then(|| text("gen_ai.response.id", "msg_9")));
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": TRACE, "spanId": "b7ad6b7169203331", "name": "chat", "startTimeUnixNano": "1760954400000000000",
        "endTimeUnixNano": "1760954401000000000", "attributes": attributes,
    }] }] }] })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imported_spans_and_lines_that_are_tied_are_one_call_in_any_order() {
    let line = r#"{"type":"assistant","sessionId":"s9","requestId":"req_9","uuid":"u9","timestamp":"2025-10-20T10:00:00Z","message":{"id":"msg_9","model":"claude-sonnet-4-5-20250929","usage":{"input_tokens":1000,"output_tokens":100}}}"#;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let files = [
        ("otlp", write("started.json", &spans(false))),
        ("claude-code", write("session.jsonl", line)),
        ("otlp", write("ended.json", &spans(true))),
    ];
    let mut found = Vec::new();
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let database = TestDatabase::new().await;
        let mut imported = 0;
        let import = async |at: usize| {
            let (format, path) = &files[at];
            database.run(&["import", format, path, "--format", "json"]).await.assert_success().json()[0].clone()
        };
        for at in order {
            imported += import(at).await["imported"].as_u64().unwrap();
        }
        // Two calls at first are two that were imported, and the record that ties them adds none.
        assert_eq!(imported, if order[2] == 2 { 2 } else { 1 }, "{order:?}");
        let (total, head) = (database.total().await, database.head().await);
        assert_eq!([&total["calls"], &total["input_tokens"], &total["output_tokens"]], [1, 1000, 100], "{order:?}");
        for at in order {
            assert_eq!(import(at).await["duplicate"], 1);
        }
        assert_eq!((database.total().await, database.head().await), (total.clone(), head));
        assert_eq!(sums(&database, "output").await, (100, 100), "{order:?}");
        let sql = "select to_jsonb(c) - '{agent_id, task_id, version, position, cost}'::text[] from apex.calls c";
        let rows: Vec<Value> = sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap();
        found.push((rows, total));
        database.assert_equals_rebuild(&["calls", "budgets"], &[1, 1000]).await;
    }
    assert!(found.iter().all(|other| *other == found[0]), "{found:#?}");
}

/// The ids of a call: by its span, by its response and by the client.
fn keys(number: u64) -> [CallId; 3] {
    let span = CallSpan {
        trace_id: TRACE.parse().unwrap(),
        span_id: format!("{:016x}", number + 1).parse().unwrap(),
        parent_span_id: None,
    };
    let keys = [
        CallKey::of_span(CallKind::Llm, &span),
        CallKey::of_response("acme", "m", &format!("msg_{number}")).unwrap(),
        CallKey::of_client("acme", &number.to_string()),
    ];
    keys.map(|key| key.call_id())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_tie_the_same_calls_at_the_same_time_leave_one_call_each() {
    const CALLS: u64 = 12;
    let database = TestDatabase::new().await;
    // Two executors with caches of their own, as two processes have.
    let processes = [database.rooms().await, database.rooms().await];
    let mut reports = Vec::new();
    for number in 0..CALLS {
        for (at, named) in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[2, 0]].into_iter().enumerate() {
            let ids = CallIds::of(named.iter().map(|key| keys(number)[*key])).unwrap();
            let output = Quantity::new(10 + at as u64).unwrap();
            let facts = CallFacts {
                model: Some(testkit::name("m")),
                usage: [(Meter::Output, output)].into_iter().collect(),
                record_id: Some(testkit::name(&format!("{at}"))),
                ..CallFacts::new(CallKind::Llm, testkit::at(at as i64), testkit::name("test"))
            };
            reports.push((ids, facts));
        }
    }
    let sends = reports.iter().flat_map(|report| processes.iter().map(move |process| (process, report)));
    let sends = sends.map(|(process, (ids, facts))| {
        let report = CallReport::new(ids.clone(), facts.clone(), &PriceBook::default());
        // Not the same command: both processes decide.
        let context = testkit::context(testkit::tenant(), "test", Uuid::now_v7());
        async move { report_call(&process.commands, &context, &report).await }
    });
    for outcome in futures::future::join_all(sends).await {
        outcome.unwrap();
    }
    let expected: BTreeSet<_> = (0..CALLS).map(|number| *keys(number).iter().min().unwrap()).collect();
    for number in 0..CALLS {
        for id in keys(number) {
            let principal = testkit::operator();
            let (named, call) = processes[0].commands.load_call(&principal, id, None).await.unwrap();
            assert!(expected.contains(&named) && keys(number).contains(&named));
            let facts = &call.state.charged.as_ref().unwrap().facts;
            assert_eq!((facts.usage.get(Meter::Output).get(), facts.started_at), (15, testkit::at(0)));
        }
    }
    for process in processes {
        process.close().await.unwrap();
    }
    let server = database.serve(&[]).await;
    let query = "query ($at: Position!) { calls(first: 100, minPosition: $at) { nodes { uuid } } }";
    let at = database.head().await.to_string();
    let calls = server.graphql(query, json!({ "at": at })).await["calls"]["nodes"].take();
    let found = calls.as_array().unwrap().iter().map(|call| CallId(call["uuid"].as_str().unwrap().parse().unwrap()));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    assert_eq!(database.total().await["output_tokens"], 15 * CALLS);
    assert_eq!(sums(&database, "output").await.1, 15 * CALLS as i64);
    database.assert_equals_rebuild(&["calls", "budgets"], &[1, 1000]).await;
}
