//! `apex serve`: kills, several servers on one database, probes, shutdown, start-up errors and publishing to Kafka.

use serde_json::json;
use std::io::Write;
use std::time::Duration;
use testkit::{TIMEOUT, TestDatabase, required_variable, sample, tenant};
use uuid::Uuid;

/// A file of many calls, whose import takes a while.
fn many_calls(name: &str, calls: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for n in 0..calls {
        writeln!(
            file,
            r#"{{"run":"{name}","challenge":"c{}","id":"{name}-{n}","created":1695554458,"model":"gpt-3.5-turbo-16k-0613","usage":{{"prompt_tokens":1000,"completion_tokens":250}},"cost":{{"total_cost":0.004}}}}"#,
            n % 7
        )
        .unwrap();
    }
    file
}

const TOTAL: &str = "query ($position: Position) {
    usageReport(by: [], minPosition: $position) { total { calls inputTokens outputTokens cost currency unpricedCalls } }
}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_during_an_import_loses_nothing() {
    const CALLS: usize = 2000;
    let database = TestDatabase::new().await;
    let file = many_calls("a", CALLS);
    let arguments = ["import", "autogpt", file.path().to_str().unwrap()];
    let mut hold = database.block_appends_at(CALLS as i64 - 500).await;
    for target in [300, 900] {
        let server = database.serve(&[]).await;
        let mut import = database.apex(&arguments).spawn().unwrap();
        while database.head().await < target {
            assert!(import.try_wait().unwrap().is_none(), "the import ended before it could be killed");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        server.kill().await;
        import.kill().await.unwrap();
        hold.terminate_other_connections().await;
    }
    assert!(database.head().await < CALLS as i64, "the kill came too late: the test proves nothing");
    hold.release().await;
    let server = database.serve(&[]).await;
    database.run(&arguments).await.assert_success();
    let head = database.head().await;
    let data = server.graphql(TOTAL, json!({ "position": head.to_string() })).await;
    // 1000 × 3 + 250 × 4 dollars a million: 0.004 a call.
    let expected = json!({"calls": CALLS, "inputTokens": (1000 * CALLS).to_string(), "outputTokens": (250 * CALLS).to_string(), "cost": "8",
                       "currency": "USD", "unpricedCalls": 0});
    assert_eq!(data["usageReport"]["total"], expected);
    database.run(&arguments).await.assert_success();
    assert_eq!(database.head().await, head);
    database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_a_database() {
    let database = TestDatabase::new().await;
    let servers = [database.serve(&[]).await, database.serve(&[]).await];
    let files = [many_calls("a", 700), many_calls("b", 700)];
    let import = async |file: &tempfile::NamedTempFile| {
        database.run(&["import", "autogpt", file.path().to_str().unwrap()]).await.assert_success();
    };
    tokio::join!(import(&files[0]), import(&files[1]));
    let head = database.head().await;
    for server in &servers {
        let data = server.graphql(TOTAL, json!({ "position": head.to_string() })).await;
        assert_eq!(data["usageReport"]["total"]["calls"], 1400);
        assert_eq!(data["usageReport"]["total"]["cost"], "5.6");
        assert_eq!(server.graphql("{ head }", json!({})).await["head"], head.to_string());
    }
    database.verify_log().await;
    for server in servers {
        let (code, stderr) = server.terminate().await;
        assert_eq!(code, Some(0), "{stderr}");
    }
}

#[tokio::test]
async fn a_server_answers_probes_and_metrics_and_stops_on_sigterm() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let get = async |path: &str| {
        let answer = testkit::http_get(format!("{}{path}", server.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await.0, 200);
    let ready = tokio::time::timeout(TIMEOUT, async {
        loop {
            let (status, body) = get("/readyz").await;
            if status == 200 {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(ready.await.unwrap().contains("projections"));
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let register = "mutation { registerAgent(input: {name: \"ada\"}) { position } }";
    server.graphql(register, json!({})).await;
    let metrics = tokio::time::timeout(TIMEOUT, async {
        loop {
            let (_, text) = get("/metrics").await;
            if text.contains("apex_active_agents 2") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let metrics = metrics.await.unwrap();
    for name in [
        "apex_queue_depth",
        "apex_worker_utilization",
        "apex_log_position",
        "apex_log_append_seconds",
        "apex_projection_lag_events",
        "apex_http_requests_total",
    ] {
        assert!(metrics.contains(name), "{name} is not in:\n{metrics}");
    }
    let (code, stderr) = server.terminate().await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test]
async fn a_server_without_a_token_listens_only_on_loopback() {
    let database = TestDatabase::new().await;
    let output = database.run(&["serve", "--listen", "0.0.0.0:0"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("APEX_TOKEN"), "{}", output.stderr);
}

/// The event of a GraphQL mutation arrives at a Kafka consumer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_kafka_publishes_its_events() {
    let database = TestDatabase::new().await;
    let brokers = required_variable("APEX_TEST_KAFKA_BROKERS");
    let prefix = format!("test-{}", Uuid::new_v4().simple());
    let server = database.serve(&["--kafka-brokers", &brokers, "--kafka-topic-prefix", &prefix]).await;
    let register = "mutation { registerAgent(input: {name: \"ada\"}) { position agent { name } } }";
    let data = server.graphql(register, json!({})).await;
    let position = data["registerAgent"]["position"].as_str().unwrap().to_owned();
    let topic = format!("{prefix}.agent");
    let consumed = tokio::time::timeout(TIMEOUT, async {
        loop {
            let output = tokio::process::Command::new("kcat")
                .args(["-b", &brokers, "-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-f", "%h %s\n"])
                .output()
                .await
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            if text.contains("ada") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let consumed = consumed.await.unwrap();
    assert!(consumed.contains(&format!("ce_position={position}")), "{consumed}");
    assert!(consumed.contains(&format!("ce_tenant={}", tenant())));
    assert_eq!(server.terminate().await.0, Some(0));
}

/// Unreachable brokers do not stop the server; the log message names a remedy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_brokers_are_logged_with_a_remedy() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let database = TestDatabase::new().await;
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--kafka-brokers", "127.0.0.1:1"];
    let mut server = database.apex(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let line = tokio::time::timeout(TIMEOUT, async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the server exited");
            if line.contains("events are not published to Kafka") {
                return line;
            }
        }
    });
    let line = line.await.unwrap();
    for needed in ["127.0.0.1:1", "none is lost", "cannot be reached: check that they run", "APEX_KAFKA_BROKERS"] {
        assert!(line.contains(needed), "{line}");
    }
    server.kill().await.unwrap();
}
