//! `/metrics`: authentication, bounded labels, and validity for Prometheus and its alert rules.

use reqwest::StatusCode;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::{Server, TestDatabase, wait_until};

async fn metrics(server: &Server) -> String {
    testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap()
}

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus").join(file)
}

/// Runs promtool, which scripts/fetch-promtool.sh installs, with `input` on its standard input.
///
/// # Errors
///
/// The output of promtool, if it fails.
fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/promtool");
    let program = if fetched.exists() { fetched } else { PathBuf::from("promtool") };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is missing: run scripts/fetch-promtool.sh");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|output| String::from_utf8_lossy(&output).into_owned()).concat();
    if output.status.success() { Ok(()) } else { Err(text) }
}

/// Reports one call for each model.
async fn report_calls(server: &Server, models: impl Iterator<Item = String>) {
    let call = |(n, model): (usize, String)| {
        format!(
            "c{n}: reportCall(input: {{kind: LLM, model: \"{model}\", provider: \"openai\", startedAt: \
             \"2025-05-01T00:00:00Z\", latencyMs: 20, usage: {{input: 10, output: 5}}}}) {{ position }}"
        )
    };
    let calls: Vec<_> = models.enumerate().map(call).collect();
    server.graphql(&format!("mutation {{ {} }}", calls.join(" ")), json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_require_a_token() {
    let database = TestDatabase::new().await;
    let tokens = ["--token", "of-a-user", "--operator-token", "of-an-operator", "--metrics-token", "of-prometheus"];
    let server = database.serve(&tokens).await;
    let client = reqwest::Client::new();
    let get = async |path: &str, token: Option<&str>| {
        let mut request = client.get(format!("{}{path}", server.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    for token in [None, Some("of-nobody")] {
        let (status, body) = get("/metrics", token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(!body.contains("apex_log_events_total") && body.contains("APEX_METRICS_TOKEN"), "{body}");
    }
    // They are about all tenants, and the token of clients is of one.
    let (status, body) = get("/metrics", Some("of-a-user")).await;
    assert!(status == StatusCode::FORBIDDEN && !body.contains("apex_log_events_total"), "{body}");
    for token in ["of-prometheus", "of-an-operator"] {
        let (status, body) = get("/metrics", Some(token)).await;
        assert!(status == StatusCode::OK && body.contains("apex_log_events_total"), "{token}: {body}");
    }
    // The metrics token gives access to nothing else.
    for path in ["/graphql?query={head}", "/events"] {
        assert_eq!(get(path, Some("of-prometheus")).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn tokens_with_different_rights_must_differ() {
    let database = TestDatabase::new().await;
    for pair in
        [["--token", "--metrics-token"], ["--operator-token", "--metrics-token"], ["--token", "--operator-token"]]
    {
        let output = database.run(&["serve", "--listen", "127.0.0.1:0", pair[0], "same", pair[1], "same"]).await;
        assert_eq!(output.code, Some(1));
        assert!(output.stderr.contains("are the same"), "{}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_beyond_the_label_limit_share_one_label() {
    let limit = commands::MAX_MODEL_LABELS;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for first in (0..3 * limit / 2).step_by(50) {
        report_calls(&server, (first..first + 50).map(|n| format!("model-{n}"))).await;
    }
    let text = metrics(&server).await;
    for name in ["apex_tokens_total{", "apex_cost_total{", "apex_llm_latency_seconds_count{"] {
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(name)).collect();
        let models: BTreeSet<_> =
            lines.iter().map(|line| line.split("model=\"").nth(1).unwrap().split('"').next().unwrap()).collect();
        assert_eq!(models.len(), limit + 1, "{name} {models:?}");
        assert!(models.contains("other") && models.contains("model-0"), "{models:?}");
    }
    // Usage of the other models is counted under the shared label.
    let input = format!("apex_tokens_total{{model=\"other\",kind=\"input\"}} {}", 10 * limit / 2);
    assert!(text.contains(&input), "{input} is not in:\n{text}");
}

/// The counters in rules such as `increase(apex_log_busy_total[5m]) > 0`, which need a sample before the first increase.
fn watched_counters(rules: &str) -> BTreeSet<&str> {
    let ranges = rules.split(['(', ' ']).filter_map(|word| word.split_once('[').map(|(name, _)| name));
    ranges
        .map(|name| name.split('{').next().unwrap_or(name))
        .filter(|name| name.starts_with("apex_") && name.ends_with("_total"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_used_by_alerts_exist_before_the_first_error() {
    let rules = std::fs::read_to_string(deployed("alerts.yml")).unwrap();
    let watched = watched_counters(&rules);
    assert!(watched.len() >= 7, "only {watched:?} were found: the test proves nothing");
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let text = metrics(&server).await;
    for counter in watched {
        let samples =
            text.lines().filter(|line| line.strip_prefix(counter).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let samples: Vec<_> = samples.collect();
        assert!(!samples.is_empty(), "{counter} has no sample before its first increase");
        if counter == "apex_http_requests_total" {
            assert!(samples.iter().any(|sample| sample.contains("status=\"500\"") && sample.ends_with(" 0")));
        }
        if counter.starts_with("apex_projection_") {
            assert_eq!(samples.len(), projections::all().len(), "{samples:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_accepts_the_metrics() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server, ["gpt-4".to_owned()].into_iter()).await;
    let register =
        server.graphql("mutation { registerAgent(input: {name: \"ada\"}) { agent { id } } }", json!({})).await;
    let id = register["registerAgent"]["agent"]["id"].clone();
    let submit = "mutation ($id: ID!) { submitTask(input: {agentId: $id, title: \"x\"}) { task { id } } }";
    server.graphql(submit, json!({ "id": id })).await;
    for gauge in ["apex_active_agents ", "apex_log_partition_size ", "apex_projection_lag_events{"] {
        wait_until("the gauges are exported", async || metrics(&server).await.contains(gauge)).await;
    }
    let text = metrics(&server).await;
    assert!(text.contains("# TYPE apex_cost_total counter\n"));
    let cost = text.lines().find_map(|line| line.strip_prefix("apex_cost_total{model=\"gpt-4\"} ")).unwrap();
    assert!(cost.parse::<f64>().unwrap() > 0.0, "{cost}");
    promtool(&["check", "metrics"], &text).unwrap_or_else(|output| panic!("{output}"));
    // Control: promtool reads the input, and an error in it is detected.
    let error = promtool(&["check", "metrics"], &text.replace("# HELP apex_log_busy_total", "# no")).unwrap_err();
    assert!(error.contains("apex_log_busy_total"), "{error}");
}

#[test]
fn promtool_accepts_the_rules() {
    let path = |file: &str| deployed(file).to_string_lossy().into_owned();
    promtool(&["check", "rules", &path("alerts.yml")], "").unwrap_or_else(|output| panic!("{output}"));
    promtool(&["test", "rules", &path("alerts.test.yml")], "").unwrap_or_else(|output| panic!("{output}"));
    promtool(&["check", "config", "--syntax-only", &path("prometheus.yml")], "")
        .unwrap_or_else(|output| panic!("{output}"));
}

/// The rule tests must contain a case in which each alert fires.
#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let rules = std::fs::read_to_string(deployed("alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(deployed("alerts.test.yml")).unwrap();
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let fires = tests.split(&format!("alertname: {alert}\n")).skip(1).any(|rest| {
            let expected = rest.trim_start().strip_prefix("exp_alerts:").unwrap_or_default();
            expected.trim_start().starts_with("- exp_labels")
        });
        assert!(fires, "{alert} fires in no test");
    }
}
