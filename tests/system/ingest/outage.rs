//! What was acknowledged is in the log, also if the database stops while lines are sent.

use super::{NDJSON, answers, body, call, code, statuses};
use crate::otlp::post_as;
use reqwest::StatusCode;
use std::collections::BTreeSet;
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::{TestDatabase, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_lines_are_there_after_the_database_stopped() {
    const CALLS: usize = 20_000;
    let cluster = Cluster::start(ClusterConfig::default()).await;
    let database = TestDatabase::at(cluster.url()).await;
    let server = database.serve(&[]).await;
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
    assert_eq!(calls, 20_000);
    server.kill().await;
}
