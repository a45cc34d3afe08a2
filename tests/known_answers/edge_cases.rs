//! Edge cases of OTLP's JSON: what each of them is, alone, with usage, and with its value as a count.

use crate::data;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{Server, TestDatabase};

/// What becomes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is accepted, and is no call.
    NoCall,
    /// It is accepted, and is a call with these tokens of input and output.
    Call(u64, u64),
    /// It is accepted, and the answer says this.
    Warned(&'static str),
    /// A span or a record of it is rejected for this reason.
    Rejected(&'static str),
    /// All of it is refused for this reason.
    Refused(&'static str),
    /// The case is not changed in this way.
    Unchanged,
}

use Outcome::{Call, NoCall, Refused, Rejected, Unchanged, Warned};

/// A case: its number, its name, what it is as it is, with the usage of a call beside, and with its attribute as the count of the
/// input of a call.
type Case = (u32, &'static str, Outcome, Outcome, Outcome);

const USED: Outcome = Call(10, 2);
const NOT_A_NUMBER: Outcome = Rejected("gen_ai.usage.input_tokens is \"neither text nor number\"");
/// A value that is not there is no count: the call states its output alone.
const NOT_STATED: Outcome = Call(0, 2);

const CASES: [Case; 55] = [
    (35, "empty object", NoCall, NoCall, Unchanged),
    (36, "baseline", NoCall, USED, Unchanged),
    (37, "unknown field", NoCall, USED, Unchanged),
    (38, "64-bit integer as a number", NoCall, USED, Unchanged),
    (39, "largest intValue", NoCall, USED, Rejected("gen_ai.usage.input_tokens: ")),
    (40, "intValue as a number", NoCall, USED, Call(5, 2)),
    (41, "negative intValue", NoCall, USED, Rejected("gen_ai.usage.input_tokens: -5 is negative")),
    (42, "enum by its name", NoCall, USED, Unchanged),
    (43, "unknown enum", NoCall, USED, Unchanged),
    (44, "id in capital digits", NoCall, USED, Unchanged),
    (45, "id in base64", NoCall, USED, Unchanged),
    (46, "id of 31 digits", Rejected("which is not an id"), Rejected("which is not an id"), Unchanged),
    (47, "empty parentSpanId", NoCall, USED, Unchanged),
    (48, "no traceId", Rejected("traceId is missing"), Rejected("traceId is missing"), Unchanged),
    (49, "null name", NoCall, USED, Unchanged),
    (50, "null attributes", NoCall, USED, Unchanged),
    (51, "bytesValue", NoCall, USED, NOT_A_NUMBER),
    (52, "doubleValue NaN", NoCall, USED, Rejected("\"NaN\", which is not a whole number")),
    (53, "doubleValue -Infinity", NoCall, USED, Rejected("\"-Infinity\", which is not a whole number")),
    (54, "doubleValue as an integer", NoCall, USED, Call(1, 2)),
    (55, "doubleValue as text", NoCall, USED, Rejected("\"1.5\", which is not a whole number")),
    (56, "empty value", NoCall, USED, NOT_STATED),
    (57, "null value", NoCall, USED, NOT_STATED),
    (58, "no value", NoCall, USED, NOT_STATED),
    (59, "nested kvlistValue", NoCall, USED, NOT_A_NUMBER),
    (60, "empty arrayValue", NoCall, USED, NOT_A_NUMBER),
    (61, "empty kvlistValue", NoCall, USED, NOT_A_NUMBER),
    (62, "value of an unknown type", NoCall, USED, NOT_A_NUMBER),
    (63, "value of a known and an unknown type", NoCall, USED, Rejected("\"a\", which is not a whole number")),
    (64, "names in snake case", Refused("\"resource_spans\" is written resourceSpans"), Unchanged, Unchanged),
    (65, "flags as text", NoCall, USED, Unchanged),
    (66, "flags as a number", NoCall, USED, Unchanged),
    (67, "droppedAttributesCount as text", NoCall, USED, Unchanged),
    (68, "status", NoCall, USED, Unchanged),
    (69, "empty status", NoCall, USED, Unchanged),
    (70, "null status", NoCall, USED, Unchanged),
    (71, "event", NoCall, USED, Unchanged),
    (72, "event without a time", NoCall, USED, Unchanged),
    (73, "link", NoCall, USED, Unchanged),
    (74, "no scope", NoCall, NoCall, Unchanged),
    (75, "null resource", NoCall, NoCall, Unchanged),
    (76, "entityRefs of a resource", NoCall, NoCall, Unchanged),
    (77, "sum, asInt as text", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (78, "sum, asInt as a number", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (79, "sum, asDouble", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (80, "gauge without temporality", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (81, "histogram, counts as text", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (82, "histogram, counts as numbers", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (83, "exponential histogram", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (84, "summary", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (85, "exemplar", NoCall, Warned("\"gen_ai.client.token.usage\" is a sum"), Unchanged),
    (86, "record of a log", NoCall, Rejected("1970"), Unchanged),
    (87, "record of a log with all fields", NoCall, Rejected("1970"), Unchanged),
    (88, "record of a log without a body", NoCall, Rejected("1970"), Unchanged),
    (89, "a key twice", NoCall, NoCall, Unchanged),
];

const AGENTS: &str = "query ($position: Position) {
    usageReport(by: [AGENT], first: 500, minPosition: $position) {
        nodes { keys { name } totals { calls inputTokens outputTokens } }
    }
}";

/// The attributes of a call, without its input.
fn call(agent: &str) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!([
        text("gen_ai.response.model", "gpt-4o"), text("gen_ai.provider.name", "openai"), text("gen_ai.agent.name", agent),
        { "key": "gen_ai.usage.output_tokens", "value": { "intValue": "2" } },
    ])
}

fn extend(item: &mut Value, attributes: &Value) {
    let known = item["attributes"].as_array().cloned().unwrap_or_default();
    item["attributes"] = known.into_iter().chain(attributes.as_array().unwrap().iter().cloned()).collect();
}

/// The items of a body.
fn items<'b>(body: &'b mut Value, path: [&str; 3]) -> Vec<&'b mut Value> {
    path.iter().fold(vec![body], |found, name| {
        found.into_iter().filter_map(|outer| outer.get_mut(*name)?.as_array_mut()).flatten().collect()
    })
}

const INPUT: &str = "gen_ai.usage.input_tokens";

/// A body with the usage of a call in its spans and records, and metrics with the name of one of usage.
fn with_usage(mut body: Value, agent: &str) -> Value {
    for span in items(&mut body, ["resourceSpans", "scopeSpans", "spans"]) {
        extend(span, &call(agent));
        extend(span, &json!([{ "key": INPUT, "value": { "intValue": "10" } }]));
    }
    for record in items(&mut body, ["resourceLogs", "scopeLogs", "logRecords"]) {
        record["eventName"] = json!("claude_code.api_request");
        extend(
            record,
            &json!([
                { "key": "model", "value": { "stringValue": "claude-sonnet-4-5" } },
                { "key": "input_tokens", "value": { "intValue": "10" } },
            ]),
        );
    }
    for metric in items(&mut body, ["resourceMetrics", "scopeMetrics", "metrics"]) {
        metric["name"] = json!("gen_ai.client.token.usage");
    }
    body
}

/// A body whose attribute is the input of a call.
fn as_count(mut body: Value, agent: &str) -> Value {
    for span in items(&mut body, ["resourceSpans", "scopeSpans", "spans"]) {
        span["attributes"][0]["key"] = json!(INPUT);
        extend(span, &call(agent));
    }
    body
}

/// Gives the spans of a body ids of their own: otherwise all cases are exports of one span.
fn with_span_id(mut body: Value, id: u32) -> Value {
    for span in items(&mut body, ["resourceSpans", "scopeSpans", "spans"]) {
        span["spanId"] = json!(format!("{id:016x}"));
    }
    body
}

/// What the answer to a body says: nothing, or a warning, or why it was rejected or refused.
async fn answer(server: &Server, signal: &str, body: Vec<u8>) -> Outcome {
    let request =
        Client::new().post(format!("{}/v1/{signal}", server.address)).header("content-type", "application/json");
    let response = request.body(body).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    let leaked = |text: &Value| &*text.as_str().unwrap_or_default().to_owned().leak();
    let answer: Value = serde_json::from_str(&text).unwrap();
    if status == StatusCode::BAD_REQUEST {
        return Refused(leaked(&answer["message"]));
    }
    assert_eq!(status, StatusCode::OK, "{text}");
    let Some(partial) = answer["partialSuccess"].as_object() else {
        assert_eq!(text, "{}");
        return NoCall;
    };
    let is_rejected = partial.iter().any(|(name, number)| name.starts_with("rejected") && number != "0");
    let message = leaked(&partial["errorMessage"]);
    if is_rejected { Rejected(message) } else { Warned(message) }
}

/// Whether what was found is what is right: of texts, a part is.
fn is_right(found: Outcome, right: Outcome) -> bool {
    match (found, right) {
        (Warned(found), Warned(right)) | (Rejected(found), Rejected(right)) | (Refused(found), Refused(right)) => {
            found.contains(right)
        }
        (found, right) => found == right,
    }
}

async fn calls_by_agent(database: &TestDatabase, server: &Server) -> BTreeMap<String, Outcome> {
    let position = database.head().await.to_string();
    let report = server.graphql(AGENTS, json!({ "position": position })).await["usageReport"]["nodes"].take();
    let number = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let of_row = |row: &Value| {
        let totals = &row["totals"];
        assert_eq!(totals["calls"], 1, "{row}");
        let tokens = Call(number(&totals["inputTokens"]), number(&totals["outputTokens"]));
        (row["keys"][0]["name"].as_str().unwrap().to_owned(), tokens)
    };
    report.as_array().unwrap().iter().map(of_row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn each_edge_case_is_a_call_or_none_or_is_refused_with_its_reason() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut files: Vec<_> =
        std::fs::read_dir(data("otlp-captures/edge")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    assert_eq!(files.len(), CASES.len(), "a case has no row");
    let mut found = Vec::new();
    for (number, name, _, _, of_count) in CASES {
        let is_its = |path: &&std::path::PathBuf| {
            path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{number:03}-"))
        };
        let path = files.iter().find(is_its).unwrap_or_else(|| panic!("there is no case {number}"));
        let signal = path.file_stem().unwrap().to_str().unwrap()[4..].to_owned();
        let content = std::fs::read(path).unwrap();
        let body: Value = serde_json::from_slice(&content).unwrap();
        let agents = ["usage", "count"].map(|kind| format!("{kind} of case {number}"));
        let alone = answer(&server, &signal, content).await;
        let used = with_span_id(with_usage(body.clone(), &agents[0]), number * 10 + 1);
        let used = answer(&server, &signal, used.to_string().into_bytes()).await;
        let counted = match of_count {
            Unchanged => Unchanged,
            _ => {
                let body = with_span_id(as_count(body, &agents[1]), number * 10 + 2);
                answer(&server, &signal, body.to_string().into_bytes()).await
            }
        };
        found.push((number, name, alone, (used, counted), agents));
    }
    let calls = calls_by_agent(&database, &server).await;
    let mut right_calls = 0;
    let wrong = found.into_iter().zip(CASES).filter_map(|((number, name, alone, (used, counted), agents), right)| {
        let call = |agent: &str, answered: Outcome| match (answered, calls.get(agent)) {
            (NoCall, Some(call)) => *call,
            (answered, None) => answered,
            (answered, Some(call)) => panic!("{agent} is {call:?} and {answered:?}"),
        };
        let found = [alone, call(&agents[0], used), call(&agents[1], counted)];
        let right = [right.2, right.3, right.4];
        right_calls += right.iter().filter(|right| matches!(right, Call(..))).count();
        let all_right = found.iter().zip(right).all(|(found, right)| right == Unchanged || is_right(*found, right));
        (!all_right).then(|| format!("{number}, {name}: {found:?} instead of {right:?}"))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} cases, {right_calls} calls", CASES.len());
    server.kill().await;
}
