//! Sums of tokens and costs are exact, whatever their size and number.

use domain::Meter;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase, wait_until};

/// The largest token count that a call may report: 2^53 - 1.
const MAX_TOKENS: u128 = (1 << 53) - 1;
/// The largest amount in dollars, and in units of 10^-12 dollars.
const LARGEST_AMOUNT: &str = "999999999999999.999999999999";
const LARGEST_AMOUNT_UNITS: u128 = 999_999_999_999_999_999_999_999_999;
/// The rate in dollars per million tokens, and in millionths of that.
const RATE: &str = "100000.000001";
const RATE_MILLIONTHS: u128 = 100_000_000_001;

/// Formats an amount in units of 10^-12 dollars. This test calculates in integers only.
fn dollars(units: u128) -> String {
    let digits = format!("{units:013}");
    let (whole, fraction) = digits.split_at(digits.len() - 12);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

async fn set_price(server: &Server) {
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z",
                       "components": [{ "meter": "INPUT", "rate": RATE }, { "meter": "OUTPUT", "rate": "0" },
                                      { "meter": "CACHE_READ", "rate": "0" }, { "meter": "CACHE_WRITE_5_MIN", "rate": "0" }] });
    let mutation = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(mutation, json!({ "input": { "prices": [price] } })).await;
}

/// Reports calls within one hour with the largest accepted values, and returns the position of the last.
async fn report(server: &Server, calls: usize) -> Value {
    let tokens = MAX_TOKENS;
    let call = format!(
        r#"reportCall(input: {{ provider: "acme", model: "m", startedAt: "2023-11-14T22:13:20Z", latencyMs: 2592000000,
            usage: {{ input: {tokens}, output: {tokens}, cacheRead: {tokens}, cacheWrite5Min: {tokens}, reasoning: {tokens} }},
            reportedCost: "{LARGEST_AMOUNT}" }}) {{ outcome position }}"#
    );
    let mut last = Value::Null;
    let mut left = calls;
    while left > 0 {
        let now = left.min(50);
        let aliases: String = (0..now).map(|n| format!("c{n}: {call} ")).collect();
        let data = server.graphql(&format!("mutation {{ {aliases} }}"), json!({})).await;
        assert!((0..now).all(|n| data[format!("c{n}")]["outcome"] == "DONE"), "{data}");
        last = data[format!("c{}", now - 1)]["position"].clone();
        left -= now;
    }
    last
}

/// The expected GraphQL totals of `calls` such calls.
fn expected(calls: u128) -> Value {
    let tokens = (calls * MAX_TOKENS).to_string();
    json!({
        "calls": calls, "inputTokens": tokens, "outputTokens": tokens, "cacheReadTokens": tokens,
        "cacheWrite5MinTokens": tokens, "reasoningTokens": tokens, "latencyMs": (calls * 2_592_000_000).to_string(),
        "cost": dollars(calls * MAX_TOKENS * RATE_MILLIONTHS), "reportedCost": dollars(calls * LARGEST_AMOUNT_UNITS),
    })
}

const REPORT: &str = "query ($position: Position) { usageReport(by: [MODEL], minPosition: $position) { total {
    calls inputTokens outputTokens cacheReadTokens cacheWrite5MinTokens reasoningTokens latencyMs cost reportedCost
} } }";

/// What one call costs, and a million of its 2 × (2^53 − 1) input and output tokens, however many calls there are.
const UNIT_COSTS: &str = "900719925483106.299254740991,50000.0000005";

/// Asserts equal totals over every interface, and equal rows after a rebuild at any batch size.
async fn assert_exact(database: &TestDatabase, server: &Server, calls: u128, position: &Value) {
    let expected = expected(calls);
    let answer = server.graphql(REPORT, json!({ "position": position })).await;
    assert_eq!(answer["usageReport"]["total"], expected);
    let cli_total = database.total().await;
    for (column, field) in [("input_tokens", "inputTokens"), ("cost", "cost"), ("reported_cost", "reportedCost")] {
        assert_eq!(cli_total[column], expected[field], "{column} on the command line");
    }
    let csv = database.run(&["report", "cost", "--by", "model", "--format", "csv"]).await.assert_success().stdout;
    let tokens = expected["inputTokens"].as_str().unwrap();
    let used = [Meter::Input, Meter::Output, Meter::CacheRead, Meter::CacheWrite5Min, Meter::Reasoning];
    let meters = Meter::ALL.iter().map(|meter| if used.contains(meter) { tokens } else { "0" });
    let meters = meters.collect::<Vec<_>>().join(",");
    let sum = |field: &str| domain::Sum::parse(expected[field].as_str().unwrap()).unwrap();
    let difference = &sum("reportedCost") - &sum("cost");
    // The last three columns say how far the report is behind.
    assert_eq!(
        csv.lines().nth(1).unwrap().rsplitn(4, ',').last().unwrap(),
        format!(
            "m,{calls},0,0,0,0,{meters},{},{},{difference},{UNIT_COSTS}",
            expected["cost"].as_str().unwrap(),
            expected["reportedCost"].as_str().unwrap(),
        )
    );
    let table: (String, String) =
        sqlx::query_as("select trim_scale(sum(cost))::text, trim_scale(sum(reported_cost))::text from apex.calls")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!((json!(table.0), json!(table.1)), (expected["cost"].clone(), expected["reportedCost"].clone()));
    database.assert_equals_rebuild(&["calls", "budgets"], &[1, 7, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_of_the_maximum_size_in_one_hour_are_summed_exactly() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let position = report(&server, 2).await;
    assert_exact(&database, &server, 2, &position).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_of_the_maximum_size_are_exact_live_rebuilt_and_in_alerts() {
    const CALLS: u128 = 1_100;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let terms = json!({ "name": "all", "scope": { "tenant": true }, "limit": LARGEST_AMOUNT, "thresholds": [1000] });
    let define = "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { outcome } }";
    server.graphql(define, json!({ "input": { "terms": terms } })).await;
    let position = report(&server, usize::try_from(CALLS).unwrap()).await;
    assert_exact(&database, &server, CALLS, &position).await;

    // The twelfth call is the first to reach ten times the limit.
    let cost = MAX_TOKENS * RATE_MILLIONTHS;
    assert!(11 * cost < 10 * LARGEST_AMOUNT_UNITS && 12 * cost >= 10 * LARGEST_AMOUNT_UNITS);
    let query = "{ budgets { nodes { months { spent remaining } alerts { thresholdPercent spent } } } }";
    wait_until("the alert is raised", async || {
        let budget = server.graphql(query, json!({})).await["budgets"]["nodes"][0].take();
        assert_eq!(
            budget["months"],
            json!([{ "spent": dollars(CALLS * cost),
            "remaining": format!("-{}", dollars(CALLS * cost - LARGEST_AMOUNT_UNITS)) }])
        );
        budget["alerts"] == json!([{ "thresholdPercent": 1000, "spent": dollars(12 * cost) }])
    })
    .await;
}
