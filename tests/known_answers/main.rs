//! Public traces with independently known totals, imported and reported.
//!
//! The traces are not part of this project: `make known-answers APEX_DATA=FOLDER` runs these tests on a folder that has
//! them. Other test runs report them as ignored.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

mod orders;

use domain::budget::{Budget, BudgetCommand, BudgetScope, BudgetTerms};
use domain::{Currency, Money};
use projections::budgets;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase, at, name, tenant};
use uuid::Uuid;

fn data(path: &str) -> String {
    let folder = std::env::var("APEX_DATA").expect("APEX_DATA is not set to the folder of the traces");
    let path = format!("{folder}/{path}");
    assert!(std::path::Path::new(&path).exists(), "{path} does not exist");
    path
}

struct Trace {
    /// The format, if it is not to be recognised, and options.
    arguments: &'static [&'static str],
    /// A file, or a folder of files.
    path: &'static str,
    known: Value,
    /// The number of records that are refused.
    refused: u64,
}

fn traces() -> Vec<Trace> {
    let mut traces = formats_with_options();
    traces.extend(recognised_formats());
    traces
}

/// The totals that `totals.py` works out: it reads the same files, and shares nothing with Apex.
fn recognised_formats() -> Vec<Trace> {
    let trace = |path, known| Trace { arguments: &[], path, known, refused: 0 };
    let at = &["--at", "2025-01-01T00:00:00Z", "--model", "gpt-4o"];
    vec![
        // An action and its observation carry one response.
        trace(
            "openhands-events",
            json!({"calls": 11, "input_tokens": 223, "output_tokens": 3704, "cache_read_tokens": 28_458,
                   "cache_write_5min_tokens": 14_049}),
        ),
        // Five runs that called a model; two of them, of SE-Agent, name it.
        Trace {
            arguments: at,
            ..trace(
                "swe-agent-traj",
                json!({"calls": 3, "input_tokens": 182_614, "output_tokens": 1938, "reported_cost": "1.8251"}),
            )
        },
        Trace {
            arguments: at,
            ..trace(
                "se-agent-traj",
                json!({"calls": 2, "input_tokens": 150_729, "output_tokens": 983, "reported_cost": "0.4463181"}),
            )
        },
        // All observations with usage give 16 calls.
        trace(
            "langfuse-framework-traces",
            json!({"calls": 14, "input_tokens": 2570, "output_tokens": 657, "reported_cost": "0.002337349997"}),
        ),
        // The logs state 15,427 and 287 tokens, of which 9,088 were read from the cache.
        trace(
            "inspect-logs",
            json!({"calls": 8, "input_tokens": 6339, "output_tokens": 287, "cache_read_tokens": 9088}),
        ),
        // Four spans describe two calls.
        trace(
            "otlp-agentevals/helm.json",
            json!({"calls": 2, "tool_calls": 1, "input_tokens": 1984, "output_tokens": 130, "cache_read_tokens": 1792}),
        ),
        Trace {
            arguments: at,
            ..trace(
                "mooncake-conversation/conversation_trace.jsonl.gz",
                json!({"calls": 12_031, "input_tokens": 144_793_823, "output_tokens": 4_122_048}),
            )
        },
        // 554 answers of calls, 77 of which state no usage; some responses are recorded several times.
        Trace {
            refused: 77,
            ..trace(
                "cassettes-openllmetry",
                json!({"calls": 339, "input_tokens": 22_385, "output_tokens": 24_661, "cache_read_tokens": 22_801,
                       "cache_write_5min_tokens": 22_791, "reasoning_tokens": 5674}),
            )
        },
    ]
}

fn formats_with_options() -> Vec<Trace> {
    vec![
        Trace {
            arguments: &["autogpt"],
            path: "autogpt-llm-calls/calls.jsonl.gz",
            // At 3 and 4 dollars per million tokens. Floating-point sums give 29.136964000000035.
            known: json!({"calls": 3535, "input_tokens": 9_398_400, "output_tokens": 235_441, "cost": "29.136964",
                          "reported_cost": "29.136964", "unpriced_calls": 0}),
            refused: 0,
        },
        Trace {
            arguments: &["azure-llm", "--model", "gpt-4-0613"],
            path: "azure-llm-code-2023/AzureLLMInferenceTrace_code.csv",
            // awk -F, 'NR>1 {n++; a+=$2; b+=$3} END {print n, a, b}'
            known: json!({"calls": 8819, "input_tokens": 18_059_974, "output_tokens": 245_896}),
            refused: 0,
        },
        Trace {
            arguments: &["claude-code"],
            path: "claude-code-sessions/5c0375b4-57a5-4f26-b12d-d022ee4e51b7.jsonl",
            // All lines add up to 4,031, the first line of each call to 2,498; the last line of each call is correct.
            known: json!({"calls": 20, "output_tokens": 3629}),
            refused: 0,
        },
        Trace {
            arguments: &["otlp"],
            path: "otlp-agentevals/tempo_export_with_batches.json",
            // Six spans describe two calls.
            known: json!({"calls": 2, "input_tokens": 4648, "output_tokens": 129}),
            refused: 0,
        },
    ]
}

const TOTAL: &str = "query ($position: Position) {
    usageReport(by: [], minPosition: $position) { total { calls inputTokens outputTokens cost reportedCost unpricedCalls } }
}";

/// The fields of the report on the command line, and in GraphQL.
const GRAPHQL_NAMES: [(&str, &str); 6] = [
    ("calls", "calls"),
    ("input_tokens", "inputTokens"),
    ("output_tokens", "outputTokens"),
    ("cost", "cost"),
    ("reported_cost", "reportedCost"),
    ("unpriced_calls", "unpricedCalls"),
];

/// Imports a trace, on the database or at a server.
async fn import_at(database: &TestDatabase, server: Option<&Server>, trace: &Trace) {
    let path = data(trace.path);
    let arguments: Vec<_> =
        ["import"].into_iter().chain(trace.arguments.iter().copied()).chain([path.as_str()]).collect();
    let arguments: Vec<_> = arguments.into_iter().chain(["--format", "json"]).collect();
    let (mut command, home) = (database.apex(&arguments), tempfile::tempdir().unwrap());
    if let Some(server) = server {
        command.env_remove("APEX_DATABASE_URL").env("APEX_URL", &server.address).env("HOME", home.path());
    }
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(if trace.refused > 0 { 3 } else { 0 }), "{path}: {said}");
    let files: Value = serde_json::from_slice(&output.stdout).unwrap();
    let refused: u64 = files.as_array().unwrap().iter().map(|file| file["refused"].as_u64().unwrap()).sum();
    assert_eq!(refused, trace.refused, "{path}: {said}");
}

async fn import(database: &TestDatabase, trace: &Trace) {
    import_at(database, None, trace).await;
}

/// Posts a file of a trace to a server, and returns the last line of the answer.
async fn post_file(server: &Server, trace: &Trace) -> Value {
    let (format, options) = match trace.arguments {
        [format, options @ ..] if !format.starts_with("--") => (*format, options),
        options => ("file", options),
    };
    let parameters = options.chunks(2).map(|option| (option[0].trim_start_matches("--"), option[1]));
    let url = reqwest::Url::parse_with_params(&format!("{}/v1/ingest/{format}", server.address), parameters).unwrap();
    let content = std::fs::read(data(trace.path)).unwrap();
    let response = Client::new().post(url).header("accept", "application/x-ndjson").body(content).send().await.unwrap();
    let (status, answer) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{}: {answer}", trace.path);
    let ended: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert_eq!((&ended["event"], &ended["stopped"]), (&json!("ended"), &Value::Null), "{}: {ended}", trace.path);
    ended
}

/// On the database and at a server, each first for half of the traces, and then by posting the file itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn public_traces_have_their_known_totals_however_often_and_wherever_they_are_imported() {
    let mut posted = 0;
    for (number, trace) in traces().into_iter().enumerate() {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        let places = if number % 2 == 0 { [Some(&server), None] } else { [None, Some(&server)] };
        import_at(&database, places[0], &trace).await;
        let (total, head) = (database.total().await, database.head().await);
        println!("{}: {total}", trace.path);
        for (field, value) in trace.known.as_object().unwrap() {
            assert_eq!(&total[field], value, "{field} of {}", trace.path);
        }
        import_at(&database, places[1], &trace).await;
        assert_eq!((database.total().await, database.head().await), (total.clone(), head), "{} again", trace.path);
        if trace.path.contains('.') && !trace.path.ends_with(".gz") {
            let ended = post_file(&server, &trace).await;
            let counts = ["imported", "amended"].map(|count| ended["counts"][count].as_u64());
            assert_eq!(counts, [Some(0); 2], "{}: {ended}", trace.path);
            posted += 1;
        }
        // That another import reports the calls, too, is noted.
        assert_eq!(database.total().await, total, "{} posted", trace.path);
        database.verify_log().await;
        let data = server.graphql(TOTAL, json!({ "position": head.to_string() })).await["usageReport"]["total"].take();
        for (field, name) in GRAPHQL_NAMES {
            if let Some(value) = trace.known.get(field) {
                // GraphQL returns sums of tokens as strings.
                let value = if field.ends_with("_tokens") { &json!(value.to_string()) } else { value };
                assert_eq!(&data[name], value, "{name} of {} over GraphQL", trace.path);
            }
        }
        server.kill().await;
    }
    assert!(posted > 3, "{posted} files were posted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn a_budget_of_ten_dollars_raises_three_alerts() {
    let database = TestDatabase::new().await;
    let id = Uuid::now_v7();
    let terms = BudgetTerms {
        name: name("september"),
        scope: BudgetScope::Tenant,
        limit: Money::parse("10").unwrap(),
        currency: Currency::Usd,
        time_zone: chrono_tz::UTC,
        thresholds: [50, 80, 100].into_iter().map(|percent| percent.try_into().unwrap()).collect(),
    };
    let rooms = database.rooms().await;
    let context = testkit::context(tenant(), "test", Uuid::now_v7());
    let define = BudgetCommand::Define { terms, at: at(0) };
    rooms.commands.execute::<Budget>(&context, id, define).await.unwrap();
    rooms.close().await.unwrap();
    let alerts = async || budgets::alerts(&database.reads, &testkit::access(), Some(id), 0, 10).await.unwrap();

    import(&database, &traces()[0]).await;
    let first = alerts().await;
    assert_eq!(first.iter().map(|alert| alert.threshold_percent).collect::<Vec<_>>(), [50, 80, 100]);
    assert!(first.iter().all(|alert| alert.month == "2023-09"));
    database.run(&["projections", "rebuild", "all", "--switch"]).await.assert_success();
    import(&database, &traces()[0]).await;
    assert_eq!(alerts().await, first, "a second import or a rebuild changed the alerts");
    let server = database.serve(&[]).await;
    let query = "{ budgetAlerts { nodes { month thresholdPercent } } }";
    let data = server.graphql(query, json!({})).await;
    let alert = |percent| json!({ "month": "2023-09", "thresholdPercent": percent });
    assert_eq!(data["budgetAlerts"]["nodes"], json!([alert(50), alert(80), alert(100)]));
    server.kill().await;
    let months = budgets::months(&database.reads, &testkit::access(), &[id]).await.unwrap();
    assert_eq!(months[0].spent.to_string(), "29.136964");
}

/// The bodies of real exporters: calls, tokens of prompts and of outputs, and the number of spans or records that are rejected.
const CAPTURES: [(&str, (i64, u64, u64), u64); 28] = [
    ("000-py-sdk-plain-http-traces.pb", (0, 0, 0), 1),
    ("001-py-sdk-plain-http-metrics.pb", (0, 0, 0), 0),
    ("002-py-sdk-plain-http-logs.pb", (0, 0, 0), 1),
    ("003-py-traceloop-openai-http-traces.pb", (5, 4809, 1360), 0),
    ("004-py-traceloop-openai-http-metrics.pb", (0, 0, 0), 0),
    ("005-py-openinference-openai-http-traces.pb", (1, 1200, 340), 0),
    ("007-py-traceloop-anthropic-http-traces.pb", (2, 3424, 680), 0),
    ("008-py-traceloop-anthropic-http-metrics.pb", (0, 0, 0), 0),
    ("009-py-pydantic-ai-http-traces.pb", (2, 2400, 680), 0),
    ("010-py-pydantic-ai-http-metrics.pb", (0, 0, 0), 0),
    ("011-py-sdk-plain-grpc-traces.pb", (0, 0, 0), 1),
    ("012-py-sdk-plain-grpc-metrics.pb", (0, 0, 0), 0),
    ("013-py-sdk-plain-grpc-logs.pb", (0, 0, 0), 1),
    ("017-js-vercel-ai-http-json-traces.json", (4, 5312, 1360), 0),
    ("018-js-vercel-ai-http-proto-traces.pb", (4, 5312, 1360), 0),
    ("019-js-vercel-ai-grpc-traces.pb", (4, 5312, 1360), 0),
    ("030-py-sdk-plain-http-json-traces.json", (0, 0, 0), 1),
    ("031-py-sdk-plain-http-json-metrics.json", (0, 0, 0), 0),
    ("032-py-sdk-plain-http-json-logs.json", (0, 0, 0), 1),
    ("033-py-traceloop-openai-http-json-traces.json", (5, 4809, 1360), 0),
    ("034-py-traceloop-openai-http-json-metrics.json", (0, 0, 0), 0),
    ("090-py-genai-openai-content-http-traces.pb", (5, 4809, 1360), 0),
    ("091-py-genai-openai-content-http-metrics.pb", (0, 0, 0), 0),
    ("094-py-genai-grpc-traces.pb", (4, 3609, 1020), 0),
    ("095-py-genai-grpc-traces.pb", (1, 1200, 340), 0),
    ("096-py-genai-grpc-metrics.pb", (0, 0, 0), 0),
    ("097-py-genai-grpc-traces.pb", (2, 3424, 680), 0),
    ("098-py-genai-grpc-metrics.pb", (0, 0, 0), 0),
];

const TOKENS: &str = "query ($position: Position) {
    usageReport(by: [], minPosition: $position) {
        total { calls inputTokens cacheReadTokens cacheWrite5MinTokens cacheWrite1HourTokens outputTokens }
    }
}";

/// The path that a body of an exporter was sent to.
fn path_of(body: &str) -> &'static str {
    match body {
        _ if body.contains("-traces.") => "/v1/traces",
        _ if body.contains("-logs.") => "/v1/logs",
        _ => "/v1/metrics",
    }
}

/// Posts a body as it is, as an exporter sent it.
async fn post(server: &Server, body: &str) -> (StatusCode, Vec<u8>) {
    let media_type = if body.ends_with(".json") { "application/json" } else { "application/x-protobuf" };
    let content = std::fs::read(data(&format!("otlp-captures/{body}"))).unwrap();
    let request = Client::new().post(format!("{}{}", server.address, path_of(body)));
    let response = request.header("content-type", media_type).body(content).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

/// The number of rejected items in a response.
fn rejected(body: &str, response: &[u8]) -> u64 {
    if body.ends_with(".json") {
        let response: Value = serde_json::from_slice(response).unwrap();
        let partial = response["partialSuccess"].as_object().cloned().unwrap_or_default();
        let rejected = partial.iter().find(|(name, _)| name.starts_with("rejected"));
        return rejected.map_or(0, |(_, number)| number.as_str().unwrap().parse().unwrap());
    }
    // Field 1 is the partial success, and its field 1 the number, which is left out if it is 0.
    let after_length = response.iter().skip(1).position(|byte| byte & 0x80 == 0).map_or(0, |at| at + 2);
    match response.get(after_length..) {
        Some([0x08, number, ..]) => u64::from(*number),
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn bodies_of_real_exporters_have_their_known_totals_once() {
    for (body, (calls, input, output), refused) in CAPTURES {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        let body = format!("clients/{body}");
        let mut head = None;
        for _ in 0..2 {
            let (status, response) = post(&server, &body).await;
            assert_eq!(status, StatusCode::OK, "{body}: {}", String::from_utf8_lossy(&response));
            assert_eq!(rejected(&body, &response), refused, "{body}: {}", String::from_utf8_lossy(&response));
            let before = head.replace(database.head().await);
            assert!(before.is_none_or(|before| Some(before) == head), "{body}: a repetition wrote events");
        }
        let position = database.head().await.to_string();
        let data = server.graphql(TOKENS, json!({ "position": position })).await["usageReport"]["total"].take();
        let sum = |names: &[&str]| names.iter().map(|name| data[name].as_str().unwrap().parse::<u64>().unwrap()).sum();
        let prompt: u64 = sum(&["inputTokens", "cacheReadTokens", "cacheWrite5MinTokens", "cacheWrite1HourTokens"]);
        let generated: u64 = sum(&["outputTokens"]);
        assert_eq!((data["calls"].as_i64().unwrap(), prompt, generated), (calls, input, output), "{body}: {data}");
        server.kill().await;
    }
}

/// Each edge case is accepted, or refused with a reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn edge_cases_of_json_are_accepted_or_refused_with_a_reason() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut files: Vec<_> = std::fs::read_dir(data("otlp-captures/edge")).unwrap().map(|file| file.unwrap()).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let (mut accepted, mut refusals) = (0, Vec::new());
    for file in files {
        let name = file.file_name().into_string().unwrap();
        if !name.ends_with(".json") {
            continue;
        }
        let body = format!("edge/{name}");
        let (status, response) = post(&server, &body).await;
        let response = String::from_utf8(response).unwrap();
        match status {
            StatusCode::OK if response == "{}" => accepted += 1,
            StatusCode::OK | StatusCode::BAD_REQUEST => refusals.push(format!("{name}: {response}")),
            status => panic!("{name}: {status} {response}"),
        }
    }
    println!("accepted {accepted}, refused:\n{}", refusals.join("\n"));
    let refused: Vec<_> = refusals.iter().map(|refusal| &refusal[..3]).collect();
    // A trace id of 31 digits, none at all, and another spelling of `resourceSpans`.
    assert_eq!(refused, ["046", "048", "064"], "{refusals:?}");
    server.kill().await;
}
