//! The facts of calls over the public API: reported, joined in any order, corrected, and stored the same by a rebuild.

use crate::graphql::command;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

const CALL: &str = "conversation user team key provider model serviceTier speed region outcome latencyMs firstTokenMs
    reportedCost reportedCostSource error tags { key value } span { traceId spanId parentSpanId } responseId requestId
    usage { input output } usageAssumed startedAt source recordId correctedFields cost
    origins { at source recordId fields }";

fn facts() -> Value {
    json!({
        "conversation": "c1", "user": "ada", "team": "search", "key": "ci", "provider": "acme", "model": "m",
        "serviceTier": "batch", "speed": "fast", "region": "eu", "outcome": "TIMEOUT", "latencyMs": 1200,
        "firstTokenMs": 300, "reportedCost": "0.5", "reportedCostSource": "GATEWAY", "error": "no answer",
        "tags": [{ "key": "branch", "value": "main" }, { "key": "pull_request", "value": "17" }],
        "span": { "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
                  "parentSpanId": "00f067aa0ba902b7" },
        "responseId": "msg_9", "requestId": "req_9", "usage": { "input": 10, "output": 3 }, "usageAssumed": true,
        "startedAt": "2023-11-14T22:13:20Z", "source": "proxy", "recordId": "r1",
    })
}

/// Reports a record of the call that has a key, and returns the call.
async fn report(server: &Server, key: &str, mut record: Value) -> Value {
    record["callKey"] = json!(key);
    let select = format!("outcome error {{ code field message }} call {{ id {CALL} }}");
    command(server, "reportCall", record, &select).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fact_of_a_call_is_reported_stored_and_shown() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut call = report(&server, "a", facts()).await["call"].take();
    let fields = call.as_object_mut().unwrap();
    for (field, expected) in [("correctedFields", json!([])), ("origins", json!([])), ("cost", Value::Null)] {
        assert_eq!(fields.remove(field), Some(expected), "{field}");
    }
    fields.remove("id");
    assert_eq!(call, facts());
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_call_are_joined_in_any_order() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let record = |second: u32, more: Value| {
        let mut record = json!({ "model": "m", "source": "log", "startedAt": format!("2023-11-14T22:13:0{second}Z") });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let records = [
        record(1, json!({ "recordId": "a", "conversation": "c1", "usage": { "input": 10, "output": 3 } })),
        record(
            2,
            json!({ "recordId": "b", "conversation": "c2", "team": "t", "usage": { "input": 10, "output": 263 } }),
        ),
        record(
            3,
            json!({ "recordId": "c", "user": "ada", "usage": { "input": 900, "output": 900 }, "usageAssumed": true }),
        ),
    ];
    let mut calls = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let key = format!("{order:?}");
        for at in order {
            report(&server, &key, records[at].clone()).await;
        }
        let mut call = report(&server, &key, records[1].clone()).await;
        assert_eq!(call["outcome"], "ALREADY_DONE", "{call}");
        call["call"].as_object_mut().unwrap().remove("id");
        calls.push(call["call"].take());
    }
    assert_eq!([&calls[1], &calls[2]], [&calls[0], &calls[0]]);
    let call = &calls[0];
    assert_eq!([&call["conversation"], &call["team"], &call["user"]], ["c1", "t", "ada"]);
    assert_eq!((&call["usage"], &call["usageAssumed"]), (&json!({ "input": 10, "output": 263 }), &json!(false)));
    assert_eq!([&call["startedAt"], &call["recordId"]], ["2023-11-14T22:13:01Z", "a"]);
    let origin = |second: u32, id: &str, fields: Value| {
        let at = format!("2023-11-14T22:13:0{second}Z");
        json!({ "at": at, "source": "log", "recordId": id, "fields": fields })
    };
    assert_eq!(call["origins"], json!([origin(2, "b", json!(["team", "usage"])), origin(3, "c", json!(["user"]))]));
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_is_final_and_charged_by_the_same_book() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "1000000" }] });
    command(&server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    let call = report(&server, "a", facts()).await["call"].take();
    let select = format!("outcome error {{ code field message }} call {{ {CALL} }}");
    let correct = |values: Value| json!({ "id": call["id"], "values": values, "reason": "the key was shared", "at": "2025-01-02T00:00:00Z" });
    let values = json!({ "user": "grace", "tags": null, "usage": { "input": 4 } });
    let corrected = command(&server, "correctCall", correct(values.clone()), &select).await;
    assert_eq!((&call["cost"], &corrected["call"]["cost"]), (&json!("10"), &json!("4")), "{corrected}");
    assert_eq!(corrected["call"]["correctedFields"], json!(["user", "tags", "usage"]));
    assert_eq!(command(&server, "correctCall", correct(values), "outcome").await["outcome"], "ALREADY_DONE");

    let mut earlier = facts();
    (earlier["startedAt"], earlier["usage"]) = (json!("2023-11-14T22:13:00Z"), json!({ "input": 99 }));
    (earlier["usageAssumed"], earlier["conversation"]) = (json!(false), json!("c0"));
    let joined = report(&server, "a", earlier).await["call"].take();
    assert_eq!([&joined["user"], &joined["conversation"], &joined["cost"]], ["grace", "c0", "4"]);
    assert_eq!(joined["tags"], json!([]));
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;

    for (values, code) in [(json!({}), "NOTHING_TO_CORRECT"), (json!({ "model": null }), "NO_MODEL")] {
        let rejected = command(&server, "correctCall", correct(values), &select).await;
        assert_eq!(rejected["error"]["code"], code, "{rejected}");
    }
    let invalid = command(&server, "correctCall", correct(json!({ "team": " " })), &select).await;
    assert_eq!([&invalid["error"]["code"], &invalid["error"]["field"]], ["INVALID_INPUT", "values.team"]);
    let unknown = json!({ "id": "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01", "reason": "test", "values": { "team": "t" } });
    assert_eq!(command(&server, "correctCall", unknown, &select).await["error"]["code"], "NOT_REPORTED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_beyond_their_bounds_are_rejected_by_name() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let tags =
        |count: usize| json!((0..count).map(|n| json!({ "key": format!("k{n}"), "value": "v" })).collect::<Vec<_>>());
    let span = |trace: &str| json!({ "traceId": trace, "spanId": "b7ad6b7169203331" });
    for (field, value, at) in [
        ("tags", tags(17), "tags"),
        ("tags", json!([{ "key": "k".repeat(65), "value": "v" }]), "tags"),
        ("tags", json!([{ "key": "k", "value": "v".repeat(257) }]), "tags"),
        ("span", span("0"), "span.traceId"),
        ("span", span(&"0".repeat(32)), "span.traceId"),
        ("conversation", json!("c".repeat(257)), "conversation"),
        ("user", json!("a\u{200b}b"), "user"),
    ] {
        let mut record = facts();
        record[field] = value;
        let rejected = report(&server, "a", record).await;
        assert_eq!([&rejected["error"]["code"], &rejected["error"]["field"]], ["INVALID_INPUT", at], "{rejected}");
    }
    let mut late = facts();
    late["firstTokenMs"] = json!(30_u64 * 86_400_000 + 1);
    assert_eq!(report(&server, "a", late).await["error"]["code"], "LATENCY_TOO_LONG");
    let mut most = facts();
    most["tags"] = tags(16);
    assert_eq!(report(&server, "a", most).await["outcome"], "DONE");
}
