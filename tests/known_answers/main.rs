//! Public traces with independently known totals, imported and reported.
//!
//! The traces are not part of this project: `make known-answers APEX_DATA=FOLDER` runs these tests on a folder that has
//! them. Other test runs report them as ignored.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

mod captures;
mod edge_cases;
mod independent;
mod orders;

use domain::budget::{Budget, BudgetCommand, BudgetScope, BudgetTerms};
use domain::{Currency, Money};
use projections::budgets;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase, at, name, tenant};
use uuid::Uuid;

pub(crate) fn data(path: &str) -> String {
    let folder = std::env::var("APEX_DATA").expect("APEX_DATA is not set to the folder of the traces");
    let path = format!("{folder}/{path}");
    assert!(std::path::Path::new(&path).exists(), "{path} does not exist");
    path
}

pub(crate) struct Trace {
    /// The format, if it is not to be recognised, and options.
    arguments: &'static [&'static str],
    /// A file, or a folder of files.
    pub(crate) path: &'static str,
    pub(crate) known: Value,
    /// The number of records that are refused.
    refused: u64,
}

fn traces() -> Vec<Trace> {
    let mut traces = formats_with_options();
    traces.extend(recognised_formats());
    traces
}

/// The totals that `totals.py` works out: it reads the same files, and shares nothing with Apex.
pub(crate) fn recognised_formats() -> Vec<Trace> {
    let trace = |path, known| Trace { arguments: &[], path, known, refused: 0 };
    let at = &["--at", "2025-01-01T00:00:00Z", "--model", "gpt-4o"];
    vec![
        // Two sessions, and the files of two sub-agents of one of them.
        trace(
            "claude-code-sessions",
            json!({"calls": 29, "input_tokens": 422, "output_tokens": 4602, "cache_read_tokens": 427_478,
                   "cache_write_5min_tokens": 60_445}),
        ),
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
        control: None,
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
