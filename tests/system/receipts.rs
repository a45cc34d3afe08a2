//! Receipts of calls of every kind of price, which a script adds up that reads their texts alone.

use crate::graphql::command;
use crate::remote::at;
use crate::repricing::{price, set};
use crate::users::Installation;
use serde_json::{Value, json};
use std::process::Stdio;
use testkit::{Server, repository};
use tokio::io::AsyncWriteExt;

/// How many calls have a receipt.
const CALLS: u64 = 200;

fn component(meter: &str, rate: &str, per: Option<u64>, when: Value) -> Value {
    json!({ "meter": meter, "rate": rate, "per": per, "when": when })
}

/// Prices of every kind: other meters, sizes of the prompt, graduated sizes, tiers, times of the day, small units, and rates
/// that do not end as decimal numbers.
pub(crate) fn prices() -> Vec<Value> {
    let of = |model: &str, components: Vec<Value>, extra: Value| {
        let mut price = price(model, "0", extra);
        price["components"] = json!(components);
        price
    };
    let context = |above: u64, graduated: bool| json!({ "context": { "above": above, "graduated": graduated } });
    let graduated = vec![
        component("INPUT", "3", None, Value::Null),
        component("INPUT", "2", None, context(1000, true)),
        component("INPUT", "1", None, context(5000, true)),
        component("OUTPUT", "0.000001", Some(7), Value::Null),
    ];
    let large = vec![
        component("INPUT", "1.25", None, Value::Null),
        component("INPUT", "2.5", None, context(4000, false)),
        component("OUTPUT", "10", None, Value::Null),
        component("CACHE_READ", "0.13", None, Value::Null),
        component("CACHE_WRITE_5_MIN", "1.5625", None, Value::Null),
        component("AUDIO_OUTPUT", "64", None, Value::Null),
    ];
    let tiers = vec![
        component("INPUT", "4", None, Value::Null),
        component("INPUT", "2", None, json!({ "serviceTier": "batch" })),
        component("INPUT", "1", None, json!({ "time": { "from": "16:30", "to": "00:30" } })),
        component("OUTPUT", "8", None, Value::Null),
    ];
    let small = vec![
        component("REQUESTS", "0.01", Some(1), Value::Null),
        component("SEARCHES", "10", Some(1000), Value::Null),
        component("IMAGES", "1", Some(3), Value::Null),
    ];
    vec![
        of("graduated", graduated, json!({ "names": ["other-name"] })),
        of("large", large, json!({})),
        of("tiers", tiers, json!({ "patterns": ["tiers-*"] })),
        of("small", small, json!({})),
        of("agreed", vec![component("INPUT", "0.7", None, Value::Null)], json!({ "contract": true })),
    ]
}

/// A call of a number: each kind of price and of usage occurs.
pub(crate) fn call(number: u64) -> Value {
    const MODELS: [&str; 8] = ["graduated", "other-name", "large", "ACME/Large", "tiers", "tiers-2", "small", "agreed"];
    let model = if number % 40 == 39 { "unknown" } else { MODELS[(number % 8) as usize] };
    let usage = json!({ "input": number * 97 % 9000, "output": number * 31 % 800 + 20,
        "cacheRead": number % 3 * 250, "cacheWrite1Hour": number % 5 * 10,
        "reasoning": number % 7, "audioOutput": number % 4,
        "searches": number % 6, "images": number % 5 });
    let tier = number.is_multiple_of(3).then_some("batch");
    json!({ "provider": "acme", "model": model, "callKey": format!("call-{number}"), "usage": usage, "serviceTier": tier,
            "startedAt": format!("2026-03-{:02}T{:02}:00:00Z", number % 28 + 1, number % 24),
            "reportedCost": number.is_multiple_of(9).then_some("0.5") })
}

/// What the script prints, or its error.
async fn add_up(texts: &str) -> Result<String, String> {
    let mut script = tokio::process::Command::new("python3")
        .arg(repository().join("tests/receipts/add_up.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(texts.as_bytes()).await.unwrap();
    let output = script.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The id, the receipt and the cost of each call.
async fn receipts(server: &Server, position: &str) -> Vec<(String, String, Option<String>)> {
    let query = "query ($p: Position, $after: String) { calls(first: 20, after: $after, minPosition: $p) {
        nodes { uuid cost receipt { text charge { amount } unpriced usage { meter units billedAs } } }
        pageInfo { hasNextPage endCursor } } }";
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.graphql(query, json!({ "p": position, "after": after })).await["calls"].take();
        for node in page["nodes"].as_array().unwrap() {
            let receipt = &node["receipt"];
            assert_eq!(node["cost"], receipt["charge"]["amount"], "{receipt}");
            assert_eq!(node["cost"].is_null(), !receipt["unpriced"].is_null(), "{receipt}");
            let text = |value: &Value| value.as_str().map(str::to_owned);
            found.push((text(&node["uuid"]).unwrap(), text(&receipt["text"]).unwrap(), text(&node["cost"])));
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_of_every_kind_of_price_add_up() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    for price in prices() {
        set(&server, price).await;
    }
    let discount = json!({ "name": "volume", "provider": "acme", "models": "large", "percent": "12.345",
                           "effectiveFrom": "2026-03-10T00:00:00Z" });
    command(&server, "setDiscounts", json!({ "discounts": [discount] }), "outcome").await;
    for number in 0..CALLS {
        let payload = command(&server, "reportCall", call(number), "outcome error { message }").await;
        assert_eq!(payload["outcome"], "DONE", "{payload}");
    }
    let receipts = receipts(&server, &installation.database.head().await.to_string()).await;
    let texts: String = receipts.iter().map(|(_, text, _)| text.as_str()).collect();
    let expected: String =
        receipts.iter().map(|(id, _, cost)| format!("{id} {}\n", cost.as_deref().unwrap_or("none"))).collect();
    assert_eq!(add_up(&texts).await.unwrap(), expected);
    assert_eq!(receipts.len() as u64, CALLS);
    for kind in [
        "units above 5000",
        "context > 4000",
        "batch",
        "16:30-00:30 UTC",
        "volume: 12.345 %",
        "contract price",
        "(rounded half to even)",
        "not billed",
        "billed as",
        "- reasoning",
        "found by its name (pattern)",
        "Charge    none",
        "Reported  0.5 USD",
    ] {
        assert!(texts.contains(kind), "no receipt has {kind:?}");
    }
    // What does not add up is found.
    for (right, wrong) in [
        ("\n  total                 = 0.0", "\n  total                 = 0.1"),
        (" x 1.25 / ", " x 1.26 / "),
        ("  output                2", "  output                3"),
        (" (rounded half to even)", ""),
    ] {
        assert!(texts.contains(right), "{right}");
        assert!(add_up(&texts.replacen(right, wrong, 1)).await.unwrap_err().contains("AssertionError"), "{wrong}");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_the_same_on_the_database_and_at_a_server() {
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    set(&open, price("m", "3", json!({}))).await;
    let reported = command(&open, "reportCall", call_of("m"), "call { uuid receipt { text } }").await["call"].take();
    let (id, text) = (reported["uuid"].as_str().unwrap(), reported["receipt"]["text"].as_str().unwrap());
    open.kill().await;
    let server = installation.serve(&[]).await;
    let on_database = installation.database.run(&["receipt", id]).await.assert_success();
    let at_server = at(&server, "tea", &["receipt", id]).await.assert_success();
    assert_eq!((on_database.stdout.as_str(), at_server.stdout.as_str()), (text, text));
    assert!(text.contains("input                 1000000 x 3 / 1000000 = 3\n"), "{text}");
    let void = ["calls", "void", id, "--reason", "a test"];
    installation.database.run(&void).await.assert_success();
    for run in [installation.database.run(&["receipt", id]).await, at(&server, "tea", &["receipt", id]).await] {
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("or it was voided"), "{}", run.stderr);
    }
    server.kill().await;
}

/// The fields of a receipt that GraphQL has, as the schema has them: what is added to it is added to the command line too.
fn fields_of(schema: &Value, name: &str, depth: usize) -> String {
    assert!(depth < 9, "{name} contains itself");
    let types = schema["types"].as_array().unwrap();
    let of_type = types.iter().find(|one| one["name"] == name).unwrap();
    let field = |field: &Value| {
        let mut of = &field["type"];
        while !of["ofType"].is_null() {
            of = &of["ofType"];
        }
        let inside = if of["kind"] == "OBJECT" {
            fields_of(schema, of["name"].as_str().unwrap(), depth + 1)
        } else {
            String::new()
        };
        format!("{} {inside}", field["name"].as_str().unwrap())
    };
    let fields: Vec<_> = of_type["fields"].as_array().unwrap().iter().map(field).collect();
    format!("{{ {} }}", fields.join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_in_json_is_that_of_graphql_on_the_database_and_at_a_server() {
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    for price in prices() {
        set(&open, price).await;
    }
    let discount = json!({ "name": "volume", "provider": "acme", "models": "large", "percent": "12.345",
                           "effectiveFrom": "2026-03-01T00:00:00Z" });
    command(&open, "setDiscounts", json!({ "discounts": [discount] }), "outcome").await;
    let of_type = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let introspection = format!("{{ __schema {{ types {{ name fields {{ name type {{ {of_type} }} }} }} }} }}");
    let schema = open.graphql(&introspection, json!({})).await["__schema"].take();
    let query = format!("query ($id: ID!) {{ call(id: $id) {{ receipt {} }} }}", fields_of(&schema, "Receipt", 0));
    let mut expected = Vec::new();
    // Each kind of price, and one call that has none.
    for number in (0..8).chain([12, 16, 39]) {
        let reported = command(&open, "reportCall", call(number), "position call { uuid }").await;
        open.graphql(
            "query ($p: Position) { calls(first: 1, minPosition: $p) { nodes { uuid } } }",
            json!({ "p": reported["position"] }),
        )
        .await;
        let id = reported["call"]["uuid"].as_str().unwrap().to_owned();
        let receipt = open.graphql(&query, json!({ "id": id })).await["call"]["receipt"].take();
        expected.push((id, receipt));
    }
    open.kill().await;
    let server = installation.serve(&[]).await;
    for (id, receipt) in &expected {
        let arguments = ["receipt", id, "--format", "json"];
        let on_database = installation.database.run(&arguments).await.assert_success();
        assert_eq!(on_database.json(), *receipt, "{id}");
        let at_server = at(&server, "tea", &arguments).await.assert_success();
        assert_eq!(on_database.stdout, at_server.stdout, "{id}");
    }
    let all = json!(expected.iter().map(|(_, receipt)| receipt).collect::<Vec<_>>()).to_string();
    for kind in [
        "\"graduated\":true",
        "\"serviceTier\":\"batch\"",
        "12.345",
        "\"contract\":true",
        "\"by\":\"PATTERN\"",
        "no provider has a price",
    ] {
        assert!(all.contains(kind), "no receipt has {kind}");
    }
    let unknown = "018bd12c-58b0-7683-8a5b-8752d0e86651";
    for run in [
        installation.database.run(&["receipt", unknown, "--format", "json"]).await,
        at(&server, "tea", &["receipt", unknown, "--format", "json"]).await,
    ] {
        assert!(
            run.code == Some(1) && run.stdout.is_empty() && run.stderr.contains("there is no call"),
            "{}",
            run.stderr
        );
    }
    server.kill().await;
}

fn call_of(model: &str) -> Value {
    json!({ "provider": "acme", "model": model, "callKey": "a", "usage": { "input": 1_000_000 },
            "startedAt": "2026-03-01T12:00:00Z" })
}
