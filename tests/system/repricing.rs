//! Charges by contracts, discounts and later prices; costs that sources report; and what a charge says of its price.

use crate::graphql::command;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

pub(crate) fn price(model: &str, input: &str, extra: Value) -> Value {
    let mut price = json!({ "provider": "acme", "model": model, "effectiveFrom": "2025-01-01T00:00:00Z",
                            "components": [{ "meter": "INPUT", "rate": input }, { "meter": "OUTPUT", "rate": "0" }] });
    let (fields, extra) = (price.as_object_mut().unwrap(), extra.as_object().unwrap().clone());
    fields.extend(extra);
    price
}

pub(crate) async fn set(server: &Server, price: Value) {
    let payload = command(server, "setPrices", json!({ "prices": [price] }), "outcome error { message }").await;
    assert_eq!(payload["outcome"], "DONE", "{payload}");
}

/// Reports a call of a million tokens, and returns its charge.
pub(crate) async fn report(server: &Server, model: &str, key: &str, day: u32, extra: Value) -> Value {
    let mut call = json!({ "provider": "acme", "model": model, "callKey": key, "usage": { "input": 1_000_000 },
                           "startedAt": format!("2026-03-{day:02}T12:00:00Z") });
    call.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let selection = "position call { id cost charge { contract matched { model by pattern } discount { name percent }
        lines { rate cost } } }";
    command(server, "reportCall", call, selection).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_says_how_its_price_was_found_and_which_discount_it_has() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set(&server, price("big-model", "8", json!({ "names": ["big"], "patterns": ["big-model-* !*-mini"] }))).await;
    let matched = async |model: &str| {
        let charge = report(&server, model, model, 1, json!({})).await["call"]["charge"].take();
        charge["matched"].clone()
    };
    assert_eq!(matched("big-model").await, Value::Null);
    assert_eq!(matched("big").await, json!({ "model": "big-model", "by": "ALIAS", "pattern": null }));
    assert_eq!(
        matched("acme/Big-Model[1m]").await,
        json!({ "model": "big-model", "by": "NORMALIZED", "pattern": null })
    );
    let pattern = json!({ "model": "big-model", "by": "PATTERN", "pattern": "big-model-* !*-mini" });
    assert_eq!(matched("big-model-7").await, pattern);
    assert_eq!(report(&server, "big-model-7-mini", "m", 1, json!({})).await["call"]["cost"], Value::Null);

    let discount = json!({ "name": "volume", "provider": "acme", "models": "big*", "percent": "12.5",
                           "effectiveFrom": "2026-03-10T00:00:00Z" });
    let payload = command(&server, "setDiscounts", json!({ "discounts": [discount] }), "outcome bookVersion").await;
    assert_eq!(payload["outcome"], "DONE");
    let again = command(&server, "setDiscounts", json!({ "discounts": [discount] }), "outcome").await;
    assert_eq!(again["outcome"], "ALREADY_DONE");
    let before = report(&server, "big", "before", 9, json!({})).await["call"].take();
    assert_eq!((&before["cost"], &before["charge"]["discount"]), (&json!("8"), &Value::Null));
    let after = report(&server, "big", "after", 10, json!({})).await["call"].take();
    assert_eq!(after["cost"], "7");
    assert_eq!(after["charge"]["discount"], json!({ "name": "volume", "percent": "12.5" }));
    assert_eq!(after["charge"]["lines"][0], json!({ "rate": "8", "cost": "7" }));
    // A contract stands although the list price is of the same date, and has no discount.
    set(&server, price("big-model", "5", json!({ "contract": true, "names": ["big"] }))).await;
    let contract = report(&server, "big", "contract", 11, json!({})).await["call"].take();
    assert_eq!((&contract["cost"], &contract["charge"]["contract"]), (&json!("5"), &json!(true)));
    let bad = json!({ "name": "x", "percent": "100.1", "effectiveFrom": "2026-03-10T00:00:00Z" });
    let payload =
        command(&server, "setDiscounts", json!({ "discounts": [bad] }), "outcome error { code message }").await;
    assert_eq!(payload["error"]["code"], "INVALID_INPUT", "{payload}");
    let bad = price("m", "1", json!({ "patterns": ["a b"] }));
    let payload = command(&server, "setPrices", json!({ "prices": [bad] }), "outcome error { code message }").await;
    assert!(payload["error"]["message"].as_str().unwrap().contains("exclusions that start with '!'"), "{payload}");
    let listed = server.graphql("{ discounts { name percent models } }", json!({})).await;
    assert_eq!(listed["discounts"], json!([{ "name": "volume", "percent": "12.5", "models": "big*" }]));
    server.kill().await;
    database.verify_log().await;
}

/// The costs of the calls by day, in the order of the days.
async fn costs(database: &TestDatabase) -> Vec<(String, String)> {
    let output = database.run(&["report", "cost", "--by", "day", "--format", "json"]).await.assert_success();
    let report = output.json();
    let rows = report["rows"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut rows: Vec<_> = rows.map(|row| (text(&row["day"]), text(&row["cost"]))).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repricing_shows_its_differences_before_it_makes_them() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set(&server, price("m", "3", json!({}))).await;
    for (key, day) in [("a", 1), ("b", 1), ("c", 2)] {
        assert_eq!(report(&server, "m", key, day, json!({})).await["call"]["cost"], "3");
    }
    assert_eq!(report(&server, "unknown", "u", 2, json!({})).await["call"]["cost"], Value::Null);
    let charged = report(&server, "m", "d", 3, json!({})).await;
    let known_then = charged["position"].as_str().unwrap().to_owned();
    // A wrong rate is put right, and a price that was missing is set.
    set(&server, price("m", "2.5", json!({}))).await;
    set(&server, price("unknown", "1", json!({}))).await;
    server.kill().await;
    let reprice = async |extra: &[&str]| {
        let arguments =
            [&["prices", "reprice", "--from", "2026-03-01", "--to", "2026-03-03", "--format", "json"], extra].concat();
        database.run(&arguments).await.assert_success()
    };
    let row = |model: &str, day: &str, calls: &str, unpriced: &str, [before, after, difference]: [&str; 3]| {
        json!({ "model": model, "day": day, "calls": calls, "unpriced_before": unpriced, "before": before, "after": after,
                "difference": difference })
    };
    let differences = json!([
        row("m", "2026-03-01", "2", "0", ["6", "5", "-1"]),
        row("m", "2026-03-02", "1", "0", ["3", "2.5", "-0.5"]),
        row("unknown", "2026-03-02", "1", "1", ["0", "1", "1"]),
    ]);
    let head = database.head().await;
    let shown = reprice(&[]).await;
    assert_eq!((&shown.json()["differences"], &shown.json()["applied"]), (&differences, &json!(false)));
    assert!(shown.stderr.contains("4 of 4 calls would be charged again"), "{}", shown.stderr);
    assert_eq!(database.head().await, head, "a dry run changes nothing");
    let before = [("2026-03-01", "6"), ("2026-03-02", "3"), ("2026-03-03", "3")];
    let owned = |rows: &[(&str, &str)]| {
        rows.iter().map(|(day, cost)| ((*day).to_owned(), (*cost).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(costs(&database).await, owned(&before));
    let applied = reprice(&["--apply", "--reason", "the rate was wrong"]).await;
    assert_eq!(applied.json()["differences"], differences);
    let after = [("2026-03-01", "5"), ("2026-03-02", "3.5"), ("2026-03-03", "3")];
    assert_eq!(costs(&database).await, owned(&after));
    let events: i64 = sqlx::query_scalar("select count(*) from apex.events where type = 'call.repriced'")
        .fetch_one(&mut database.owner().await)
        .await
        .unwrap();
    assert_eq!(events, 4);
    // Again there is nothing to do.
    assert_eq!(reprice(&["--apply", "--reason", "again"]).await.json()["differences"], json!([]));
    // The cost as it was known then, and as it is known now.
    let known = async |extra: &[&str]| {
        let arguments = [&["report", "cost", "--by", "day", "--to", "2026-03-03", "--format", "json"], extra].concat();
        database.run(&arguments).await.assert_success().json()["total"]["cost"].clone()
    };
    assert_eq!(known(&[]).await, "8.5");
    assert_eq!(known(&["--known-at", &known_then]).await, "9");
    database.run(&["projections", "rebuild", "calls", "--switch"]).await.assert_success();
    assert_eq!(costs(&database).await, owned(&after));
    database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_choose_between_charged_and_reported_costs_and_show_the_difference() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set(&server, price("m", "3", json!({}))).await;
    let reported = |cost: &str| json!({ "reportedCost": cost, "reportedCostSource": "GATEWAY" });
    // Charged 3 and reported 3.5; charged 3 only; reported 0.25 only.
    report(&server, "m", "both", 1, reported("3.5")).await;
    report(&server, "m", "charged", 1, json!({})).await;
    let last = report(&server, "unknown", "reported", 1, reported("0.25")).await;
    let query = "query ($position: Position) { usageReport(by: [], minPosition: $position) { total {
        cost reportedCost reportedDifference costPreferringReported costPreferringCharged } } }";
    let total = server.graphql(query, json!({ "position": last["position"] })).await["usageReport"]["total"].take();
    let expected = json!({ "cost": "6", "reportedCost": "3.75", "reportedDifference": "0.5",
                           "costPreferringReported": "6.75", "costPreferringCharged": "6.25" });
    assert_eq!(total, expected);
    server.kill().await;
    for (policy, cost) in
        [("charged", "6"), ("reported", "3.75"), ("prefer-reported", "6.75"), ("prefer-charged", "6.25")]
    {
        // Of sums by quarter hour, of sums by day, and of the calls themselves.
        for by in ["model", "task", "task,model"] {
            let arguments = ["report", "cost", "--by", by, "--cost", policy, "--format", "json"];
            let total = database.run(&arguments).await.assert_success().json()["total"].take();
            assert_eq!(
                (&total["cost"], &total["reported_difference"]),
                (&json!(cost), &json!("0.5")),
                "{policy} by {by}"
            );
        }
    }
}
