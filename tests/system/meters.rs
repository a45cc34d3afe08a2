//! Every meter of the table is reported, stored, summed up and shown, without a line of its own here.

use domain::{Meter, Unit};
use serde_json::{Map, Value, json};
use testkit::{Server, TestDatabase};

/// The name of a field in GraphQL: a new word begins after an underscore and after a digit.
fn field(name: &str) -> String {
    let mut starts_word = false;
    let mut field = String::new();
    for character in name.chars() {
        match character {
            '_' => starts_word = true,
            _ if starts_word => field.push(character.to_ascii_uppercase()),
            _ => field.push(character),
        }
        if character != '_' {
            starts_word = character.is_ascii_digit();
        }
    }
    field
}

/// A quantity of each meter that no other one has; a whole has room for its parts.
fn quantity(meter: Meter) -> u64 {
    let own = 1_000 + meter as u64;
    meter.parts().map(quantity).sum::<u64>() + own
}

/// Reports a call of the model `m` under a key, and returns its position.
async fn report(server: &Server, key: &str, usage: Value) -> Value {
    let mutation =
        "mutation ($input: ReportCallInput!) { reportCall(input: $input) { outcome position error { message } } }";
    let input = json!({ "callKey": key, "model": "m", "startedAt": "2023-11-14T22:13:20Z", "usage": usage });
    let payload = server.graphql(mutation, json!({ "input": input })).await["reportCall"].take();
    assert_eq!(payload["outcome"], "DONE", "{payload}");
    payload["position"].clone()
}

async fn total(server: &Server, position: &Value) -> Value {
    let columns: Vec<_> = Meter::ALL.iter().map(|meter| field(meter.column())).collect();
    let query = format!(
        "query ($position: Position) {{ usageReport(by: [MODEL], minPosition: $position) {{ total {{ {} }} }} }}",
        columns.join(" ")
    );
    server.graphql(&query, json!({ "position": position })).await["usageReport"]["total"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_meter_is_stored_summed_up_and_reported() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let usage: Map<_, _> = Meter::ALL.iter().map(|meter| (field(meter.name()), json!(quantity(*meter)))).collect();
    report(&server, "a", json!(usage)).await;
    let position = report(&server, "b", json!(usage)).await;

    let fields = usage.keys().cloned().collect::<Vec<_>>().join(" ");
    let query = format!(
        "query ($position: Position) {{ calls(minPosition: $position) {{ nodes {{ usage {{ {fields} }} }} }} }}"
    );
    let calls = server.graphql(&query, json!({ "position": position })).await["calls"]["nodes"].take();
    assert_eq!(calls, json!([{ "usage": usage }, { "usage": usage }]));
    let twice = |meter: &Meter| 2 * quantity(*meter);
    let graphql: Map<_, _> =
        Meter::ALL.iter().map(|meter| (field(meter.column()), json!(twice(meter).to_string()))).collect();
    assert_eq!(total(&server, &position).await, json!(graphql));

    let cli = database.total().await;
    let csv = database.run(&["report", "cost", "--format", "csv"]).await.assert_success().stdout;
    let (header, line) = csv.split_once('\n').unwrap();
    let cells: Vec<_> = header.split(',').zip(line.trim().split(',')).collect();
    for meter in Meter::ALL {
        assert_eq!(cli[meter.column()], twice(meter), "{meter} in JSON");
        assert!(cells.contains(&(meter.column(), twice(meter).to_string().as_str())), "{meter} in CSV: {csv}");
    }
    let metrics = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
    for meter in Meter::ALL {
        let is_counted = metrics.contains(&format!("kind=\"{meter}\"}} {}", twice(meter)));
        assert_eq!(is_counted, meter.unit() == Unit::Token, "{meter} in metrics: {metrics}");
    }
    database.assert_equals_rebuild(&["calls"], &[1, 2, 1000]).await;
}

/// A record with the larger total takes the place of another one. What the other one had divided is not counted any more, and its
/// column is as if it had never been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_that_an_amendment_takes_back_leaves_no_trace() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report(&server, "a", json!({ "input": 100, "audioInput": 50, "output": 7 })).await;
    report(&server, "b", json!({ "input": 1_000, "output": 5 })).await;
    report(&server, "a", json!({ "input": 500 })).await;
    let position = report(&server, "b", json!({ "input": 200, "cacheRead": 800, "output": 5 })).await;
    let total = total(&server, &position).await;
    let counted: Map<_, _> =
        total.as_object().unwrap().iter().filter(|(_, sum)| *sum != "0").map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(json!(counted), json!({ "inputTokens": "700", "outputTokens": "5", "cacheReadTokens": "800" }));
    let stored: (Option<String>, Value) = sqlx::query_as(
        "select (select string_agg(audio_input_tokens::text, ',') from (
                    select audio_input_tokens from apex.usage_quarter_hourly
                    union all select audio_input_tokens from apex.usage_daily
                    union all select audio_input_tokens from apex.usage_hourly_by_tag) sums),
                (select jsonb_agg(usage order by position) from apex.calls)",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    let usages = json!([{ "input": 500 }, { "input": 200, "output": 5, "cache_read": 800 }]);
    assert_eq!(stored, (None, usages));
    database.assert_equals_rebuild(&["calls"], &[1, 2, 1000]).await;
}
