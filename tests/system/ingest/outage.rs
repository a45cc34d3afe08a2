//! What was acknowledged is in the log, also if the database stops while lines are sent.

use super::{NDJSON, answers, body, call, code, statuses};
use crate::otlp::post_as;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::{TestDatabase, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_lines_are_there_after_the_database_stopped() {
    const CALLS: usize = 4_000;
    let cluster = Cluster::start(ClusterConfig::default()).await;
    let database = TestDatabase::at(cluster.url()).await;
    let server = database.serve(&[]).await;
    // Not all of them are recorded before the database stops, however late that is. Its lock ends with the server.
    let _hold = database.block_appends_at(CALLS as i64 - 2000).await;
    let lines = body(&(0..CALLS).map(|n| call(&format!("call-{n}"), 1, 1)).collect::<Vec<_>>());
    let sent = post_as(&server, "/v1/ingest", &[NDJSON], lines.clone());
    let stopped = async {
        wait_until("some lines are recorded", async || database.head().await > 1000).await;
        cluster.stop_immediately().await;
    };
    let ((status, response), ()) = tokio::join!(sent, stopped);
    let (acknowledged, failure) = match status {
        StatusCode::OK => {
            let mut found = answers(&response);
            let last = found.pop().unwrap();
            assert!(statuses(&found).iter().all(|status| *status == "created"));
            let ids: BTreeSet<_> = found.iter().map(|answer| answer["id"].as_str().unwrap().to_owned()).collect();
            (ids, last["error"]["code"].as_str().unwrap_or_else(|| panic!("{last}")).to_owned())
        }
        _ => (BTreeSet::new(), code(&response)),
    };
    assert_eq!(failure, "UNAVAILABLE");
    assert!(acknowledged.len() > 100 && acknowledged.len() < CALLS, "{} lines were acknowledged", acknowledged.len());
    cluster.start_server().await;
    let sql = "select stream_id::text from apex.events where type = 'call.recorded'";
    wait_until("the database answers", async || {
        sqlx::query_scalar::<_, String>(sql).fetch_optional(&database.pool).await.is_ok()
    })
    .await;
    let recorded: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap();
    let recorded = recorded.into_iter().collect();
    assert!(acknowledged.is_subset(&recorded), "an acknowledged line is not in the log");
    // The rest is sent again with all of it, and every call is there once.
    wait_until("all lines are recorded", async || {
        let (status, response) = post_as(&server, "/v1/ingest", &[NDJSON], lines.clone()).await;
        status == StatusCode::OK && answers(&response).len() == CALLS
    })
    .await;
    let calls: i64 = sqlx::query_scalar("select count(*) from apex.events where type = 'call.recorded'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(calls, CALLS as i64);
    server.kill().await;
}

/// A payload of LiteLLM's callbacks.
fn payload(id: &str) -> Value {
    json!({
        "id": id, "call_type": "acompletion", "response_cost": 0.001, "status": "success", "custom_llm_provider": "openai",
        "model": "gpt-4o", "startTime": 1_773_136_800.0, "endTime": 1_773_136_801.0, "prompt_tokens": 10,
        "completion_tokens": 1, "total_tokens": 11,
    })
}

/// A gateway reads the status: 200 would mean that it need not send its payloads again. A client that reads lines is told at
/// their end. Neither is told what the database said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_which_a_part_was_recorded_is_not_accepted() {
    const CALLS: usize = 3_000;
    const MESSAGE: &str = "the log is busy or unreachable; retry";
    let cluster = Cluster::start(ClusterConfig::default()).await;
    let database = TestDatabase::at(cluster.url()).await;
    let server = database.serve(&[]).await;
    let sql = "select count(*) from apex.events where type = 'call.recorded'";
    let mut contents = Vec::new();
    for accept in ["*/*", NDJSON.1] {
        let content = body(&(0..CALLS).map(|n| payload(&format!("{accept} {n}"))).collect::<Vec<_>>());
        contents.push(content.clone());
        let before = database.head().await;
        // Not all of them are recorded before the database stops, however late that is.
        let _hold = database.block_appends_at(before + CALLS as i64 - 1500).await;
        let headers = [("accept", accept)];
        let sent = post_as(&server, "/v1/ingest/litellm", &headers, content);
        let stopped = async {
            wait_until("some payloads are recorded", async || database.head().await > before + 500).await;
            cluster.stop_immediately().await;
        };
        let ((status, response), ()) = tokio::join!(sent, stopped);
        let text = String::from_utf8(response.clone()).unwrap();
        if accept == NDJSON.1 {
            assert_eq!(status, StatusCode::OK, "{text}");
            let last = answers(&response).pop().unwrap();
            assert_eq!((&last["event"], &last["stopped"]["code"]), (&json!("ended"), &json!("UNAVAILABLE")), "{last}");
            assert_eq!((&last["stopped"]["message"], &last["stopped"]["retry_after_s"]), (&json!(MESSAGE), &json!(1)));
            let imported = last["counts"]["imported"].as_u64().unwrap();
            assert!(imported > 100 && imported < CALLS as u64, "{imported} payloads were recorded");
        } else {
            assert_eq!((status, code(&response).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"), "{text}");
            assert!(text.contains(MESSAGE), "{text}");
        }
        assert!(!text.contains("os error") && !text.contains("database"), "{text}");
        cluster.start_server().await;
        wait_until("the database answers", async || {
            sqlx::query_scalar::<_, i64>(sql).fetch_one(&database.pool).await.is_ok()
        })
        .await;
        // Its lock has ended with the server.
        let unblock = "drop trigger block on apex.head; drop function apex.block()";
        sqlx::raw_sql(unblock).execute(&mut database.owner().await).await.unwrap();
    }
    for content in contents {
        wait_until("all payloads are recorded", async || {
            let (status, response) = post_as(&server, "/v1/ingest/litellm", &[], content.clone()).await;
            status == StatusCode::OK && answers(&response).pop().unwrap()["stopped"].is_null()
        })
        .await;
    }
    let calls: i64 = sqlx::query_scalar(sql).fetch_one(&database.pool).await.unwrap();
    assert_eq!(calls, 2 * CALLS as i64);
    server.kill().await;
}
