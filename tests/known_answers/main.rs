//! Public traces with independently known totals, imported and reported.
//!
//! The traces are not part of this project: `make known-answers APEX_DATA=FOLDER` runs these tests on a folder that has
//! them. Other test runs report them as ignored.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue has failed")]

use domain::budget::{Budget, BudgetCommand, BudgetScope, BudgetTerms};
use domain::{Currency, Money};
use projections::budgets;
use serde_json::{Value, json};
use testkit::{TestDatabase, at, name, tenant};
use uuid::Uuid;

fn data(path: &str) -> String {
    let folder = std::env::var("APEX_DATA").expect("APEX_DATA is not set to the folder of the traces");
    let path = format!("{folder}/{path}");
    assert!(std::path::Path::new(&path).exists(), "{path} does not exist");
    path
}

struct Trace {
    arguments: &'static [&'static str],
    path: &'static str,
    known: Value,
}

fn traces() -> Vec<Trace> {
    vec![
        Trace {
            arguments: &["autogpt"],
            path: "autogpt-llm-calls/calls.jsonl.gz",
            // At 3 and 4 dollars per million tokens. Floating-point sums give 29.136964000000035.
            known: json!({"calls": 3535, "input_tokens": 9_398_400, "output_tokens": 235_441, "cost": "29.136964",
                          "reported_cost": "29.136964", "unpriced_calls": 0}),
        },
        Trace {
            arguments: &["azure-llm", "--model", "gpt-4-0613"],
            path: "azure-llm-code-2023/AzureLLMInferenceTrace_code.csv",
            // awk -F, 'NR>1 {n++; a+=$2; b+=$3} END {print n, a, b}'
            known: json!({"calls": 8819, "input_tokens": 18_059_974, "output_tokens": 245_896}),
        },
        Trace {
            arguments: &["claude-code"],
            path: "claude-code-sessions/5c0375b4-57a5-4f26-b12d-d022ee4e51b7.jsonl",
            // All lines add up to 4,031, the first line of each call to 2,498; the last line of each call is correct.
            known: json!({"calls": 20, "output_tokens": 3629}),
        },
        Trace {
            arguments: &["otlp"],
            path: "otlp-agentevals/tempo_export_with_batches.json",
            // Six spans describe two calls.
            known: json!({"calls": 2, "input_tokens": 4648, "output_tokens": 129}),
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

async fn import(database: &TestDatabase, trace: &Trace) {
    let path = data(trace.path);
    let arguments: Vec<_> =
        ["import"].into_iter().chain(trace.arguments.iter().copied()).chain([path.as_str()]).collect();
    database.run(&arguments).await.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the public traces: make known-answers"]
async fn public_traces_have_their_known_totals_however_often_they_are_imported() {
    for trace in traces() {
        let database = TestDatabase::new().await;
        import(&database, &trace).await;
        let (total, head) = (database.total().await, database.head().await);
        println!("{}: {total}", trace.path);
        for (field, value) in trace.known.as_object().unwrap() {
            assert_eq!(&total[field], value, "{field} of {}", trace.path);
        }
        import(&database, &trace).await;
        assert_eq!((database.total().await, database.head().await), (total, head), "{} imported twice", trace.path);
        database.verify_log().await;
        let server = database.serve(&[]).await;
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
