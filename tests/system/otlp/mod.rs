//! OpenTelemetry over the network: what exporters send is charged once, whatever its form, its order and its requests.

mod agents;
mod compressed;
mod contents;
mod drawn;
mod forms;
mod hostile;
mod kept;
mod late;
mod limits;
mod node;
mod repeats;
mod sdk;
mod taken_back;

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

pub(super) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A span with attributes, which are integers, floats or text. The parent is empty for a root.
pub(super) fn span(id: &str, parent: &str, attributes: &Value) -> Value {
    let attribute = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Number(number) if number.is_i64() => json!({ "intValue": value.to_string() }),
            Value::Number(_) => json!({ "doubleValue": value }),
            _ => json!({ "stringValue": value }),
        };
        json!({ "key": key, "value": value })
    };
    json!({
        "traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": "chat", "kind": 3,
        "startTimeUnixNano": "1773136800000000000", "endTimeUnixNano": "1773136801000000000",
        "attributes": attributes.as_object().unwrap().iter().map(attribute).collect::<Vec<_>>(),
    })
}

/// The attributes of a call to a model.
pub(super) fn chat(model: &str, input: i64, output: i64) -> Value {
    json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
    })
}

pub(super) fn with(mut attributes: Value, more: &Value) -> Value {
    attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    attributes
}

pub(super) fn export(service: &str, spans: &[Value]) -> Value {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": { "name": "test" }, "spans": spans }] }] })
}

/// Posts a body, and returns the status and the body of the response.
pub(super) async fn post_as(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (StatusCode, Vec<u8>) {
    let mut request = testkit::http_client().post(format!("{}{path}", server.address)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

/// Posts spans as JSON, and returns the response.
pub(super) async fn post(server: &Server, body: &Value) -> Value {
    let body = body.to_string().into_bytes();
    let (status, response) = post_as(server, "/v1/traces", &[("content-type", "application/json")], body).await;
    let response: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!(status, StatusCode::OK, "{response}");
    response
}

const REPORT: &str = "query ($by: [Dimension!], $position: Position) {
    usageReport(by: $by, first: 500, minPosition: $position) {
        total { ...T } nodes { keys { name value } totals { ...T } }
    }
}
fragment T on UsageTotals {
    calls unpricedCalls inputTokens outputTokens cacheReadTokens cacheWrite5MinTokens reasoningTokens cost
}";

/// The totals of all calls, or by the name of their agent: calls, input, output, cache read, cache write, cost.
pub(super) type Totals = (i64, u64, u64, u64, u64, String);

fn totals_of(row: &Value) -> Totals {
    let tokens = |name: &str| row[name].as_str().unwrap().parse().unwrap();
    (
        row["calls"].as_i64().or_else(|| row["calls"].as_str()?.parse().ok()).unwrap(),
        tokens("inputTokens"),
        tokens("outputTokens"),
        tokens("cacheReadTokens"),
        tokens("cacheWrite5MinTokens"),
        // Null if no call has a price.
        row["cost"].as_str().unwrap_or("0").to_owned(),
    )
}

pub(super) async fn report(database: &TestDatabase, server: &Server, by: &[&str]) -> Value {
    let position = database.head().await.to_string();
    server.graphql(REPORT, json!({ "by": by, "position": position })).await["usageReport"].take()
}

pub(super) async fn total(database: &TestDatabase, server: &Server) -> Totals {
    totals_of(&report(database, server, &[]).await["total"])
}

/// The totals of an agent.
pub(super) fn of_agent(report: &Value, agent: &str) -> Option<Totals> {
    let rows = report["nodes"].as_array().unwrap();
    rows.iter().find(|row| row["keys"][0]["name"] == agent).map(|row| totals_of(&row["totals"]))
}
