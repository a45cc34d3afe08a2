//! Input is normalised once, where it enters, so that all later stages agree: times, names and labels.

use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

async fn report(server: &Server, model: &str, started_at: &str) -> Value {
    let mutation =
        "mutation ($input: ReportCallInput!) { reportCall(input: $input) { outcome position error { message } } }";
    let input = json!({ "provider": "acme", "model": model, "startedAt": started_at, "usage": { "input": 1000000 } });
    server.graphql(mutation, json!({ "input": input })).await["reportCall"].take()
}

async fn setup(server: &Server) {
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2010-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "3" }, { "meter": "OUTPUT", "rate": "4" }] });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(set, json!({ "input": { "prices": [price] } })).await;
    let terms = json!({ "name": "all", "scope": { "tenant": true }, "limit": "100" });
    let define = "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { outcome } }";
    server.graphql(define, json!({ "input": { "terms": terms } })).await;
}

const MONTHS: &str = "query ($position: Position) {
    usageReport(by: [MONTH], minPosition: $position) { nodes { keys { value } totals { cost } } }
    budgets(minPosition: $position) { nodes { months { month spent } } }
}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leap_second_falls_in_the_same_month_for_budgets_and_reports() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    setup(&server).await;
    let reported = report(&server, "m", "2016-12-31T23:59:60Z").await;
    let seen = server.graphql(MONTHS, json!({ "position": reported["position"] })).await;
    assert_eq!(seen["usageReport"]["nodes"], json!([{ "keys": [{ "value": "2016-12" }], "totals": { "cost": "3" } }]));
    assert_eq!(seen["budgets"]["nodes"], json!([{ "months": [{ "month": "2016-12", "spent": "3" }] }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equivalent_names_are_one_and_invisible_characters_are_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report(&server, "mode\u{301}le", "2024-01-01T00:00:00Z").await;
    let last = report(&server, "mod\u{e9}le", "2024-01-01T00:00:00Z").await;
    let query = "query ($position: Position) { usageReport(by: [MODEL], minPosition: $position) { nodes { keys { value } totals { calls } } } }";
    let seen = server.graphql(query, json!({ "position": last["position"] })).await;
    assert_eq!(
        seen["usageReport"]["nodes"],
        json!([{ "keys": [{ "value": "mod\u{e9}le" }], "totals": { "calls": 2 } }])
    );
    let head = database.head().await;
    for bad in ["\u{200b}", "\u{feff}m", "m\u{202e}4", "m\u{200d}"] {
        let refused = report(&server, bad, "2024-01-01T00:00:00Z").await;
        assert_eq!(refused["outcome"], "REJECTED", "{bad:?}: {refused}");
        assert!(refused["error"]["message"].as_str().unwrap().starts_with("model: "), "{bad:?}: {refused}");
        for (field, input) in [
            ("registerAgent", json!({ "name": bad })),
            ("registerAgent", json!({ "name": "a", "labels": [{ "key": bad, "value": "v" }] })),
            ("registerAgent", json!({ "name": "a", "labels": [{ "key": "k", "value": bad }] })),
            ("registerAgent", json!({ "name": "a", "kind": bad })),
            ("reportCall", json!({ "tool": bad })),
            ("reportCall", json!({ "model": "m", "provider": bad })),
            ("reportCall", json!({ "model": "m", "source": bad })),
        ] {
            let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
            let mutation = format!("mutation ($input: {kind}!) {{ {field}(input: $input) {{ outcome }} }}");
            let payload = server.graphql(&mutation, json!({ "input": input })).await;
            assert_eq!(payload[field]["outcome"], "REJECTED", "{field} {input}: {payload}");
        }
    }
    assert_eq!(database.head().await, head);
}
