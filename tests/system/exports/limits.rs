//! Limits of exports over HTTP: how many at the same time, and what ends them before their end.

use super::{get, open_exports, write_calls};
use crate::users::Installation;
use reqwest::{Response, StatusCode};
use std::time::{Duration, Instant};
use testkit::{POLL_INTERVAL, Server, TIMEOUT, TestDatabase, http_client, wait_until};

/// More than the buffers of a connection hold: about 80 MB as NDJSON.
const CALLS: i64 = 100_000;
/// An export that does not fit into the buffers of a connection.
const LARGE: &str = "/v1/exports/calls?format=ndjson";
/// An export of nothing.
const SMALL: &str = "/v1/exports/calls?from=2030-01-01";
/// A timeout that no test reaches, in milliseconds.
const LONG_SEND_TIMEOUT_MS: &str = "600000";

/// Begins a large export, and reads its first part only.
async fn begin(server: &Server, token: &str) -> Response {
    let request = http_client().get(format!("{}{LARGE}", server.address)).bearer_auth(token);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.chunk().await.unwrap().is_some());
    response
}

/// Reads the rest of an export, and asserts that it ends too early.
async fn assert_is_aborted(mut response: Response) {
    let mut lines = 0;
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => lines += chunk.iter().filter(|byte| **byte == b'\n').count(),
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "the export ended after {lines} lines as if it was complete");
    assert!(i64::try_from(lines).unwrap() < CALLS, "{lines} lines");
}

/// Whether an export of nothing is made within some seconds: a permit is free a moment after the end of its export.
async fn is_accepted(server: &Server, token: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let response = http_client().get(format!("{}{SMALL}", server.address)).bearer_auth(token).send().await;
        if response.is_ok_and(|response| response.status() == StatusCode::OK) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_export_of_a_tenant_is_refused_until_another_one_ends() {
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, CALLS).await;
    let server = database.serve(&["--token", "tea", "--send-timeout-ms", LONG_SEND_TIMEOUT_MS]).await;
    let begun = [begin(&server, "tea").await, begin(&server, "tea").await];
    let third = http_client().get(format!("{}{SMALL}", server.address)).bearer_auth("tea").send().await.unwrap();
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(third.headers()["retry-after"], "5");
    let body = third.text().await.unwrap();
    assert!(body.contains("BUSY"), "{body}");
    drop(begun);
    wait_until("an export is accepted again", async || is_accepted(&server, "tea").await).await;
    wait_until("no export is open", async || open_exports(&database).await == 0).await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_wait_for_the_read_model_keep_nobody_from_exporting() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", "tea"]).await;
    let answers = {
        let late = async || get(&server, "tea", "/v1/exports/calls?minPosition=9000000").await.0;
        let mut both = Box::pin(futures::future::join(late(), late()));
        loop {
            tokio::select! {
                biased;
                answers = &mut both => break answers,
                is_accepted = is_accepted(&server, "tea") => {
                    assert!(is_accepted, "clients that wait have all permits");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    };
    assert_eq!(answers, (StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_whose_client_stops_reading_is_aborted() {
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, CALLS).await;
    let server = database.serve(&["--token", "tea", "--send-timeout-ms", "2000"]).await;
    let response = begin(&server, "tea").await;
    wait_until("no export is open", async || open_exports(&database).await == 0).await;
    assert_is_aborted(response).await;
    let log = server.terminate().await.1;
    assert!(log.contains("the client did not read for 2 s"), "{log}");
}

/// A key that may export, and its id.
async fn key(installation: &Installation, server: &Server, account: &str) -> (String, String) {
    let created =
        installation.run(&["keys", "create", "--account", account, "--all-scopes", "--expires-in", "90d"]).await;
    let key = created.lines().next_back().unwrap().trim().to_owned();
    let id = uuid::Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().to_string();
    wait_until("the key is known", async || is_accepted(server, &key).await).await;
    (key, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_ends_with_the_key_of_its_client() {
    let mut installation = Installation::new().await;
    installation.database = installation.database.unverified();
    write_calls(&installation.database, CALLS).await;
    let server = installation.serve(&["--send-timeout-ms", LONG_SEND_TIMEOUT_MS]).await;
    let account = installation.run(&["accounts", "create", "exporter", "--role", "viewer"]).await;
    let [midway, before] = [key(&installation, &server, &account).await, key(&installation, &server, &account).await];
    let database = &installation.database;
    // Midway: the client reads nothing, so that the export does not end by itself.
    let response = begin(&server, &midway.0).await;
    installation.run(&["keys", "revoke", &midway.1]).await;
    wait_until("no export is open", async || open_exports(database).await == 0).await;
    assert_is_aborted(response).await;
    // Before the first part: no call can be read as long as their table is locked.
    let mut owner = database.owner().await;
    for statement in ["begin", "lock table apex.calls in access exclusive mode"] {
        sqlx::query(statement).execute(&mut owner).await.unwrap();
    }
    let request = http_client().get(format!("{}{LARGE}", server.address)).bearer_auth(&before.0);
    let waiting = tokio::spawn(request.send());
    wait_until("an export waits for the calls", async || open_exports(database).await == 1).await;
    let revoke = "mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { outcome } }";
    let revoke = serde_json::json!({ "query": revoke, "variables": { "id": before.1 } });
    let (_, revoked) = crate::users::post(&server, "/graphql", Some("tea"), revoke).await;
    assert_eq!(revoked["data"]["revokeApiKey"]["outcome"], "DONE", "{revoked}");
    let response = tokio::time::timeout(TIMEOUT, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    sqlx::query("rollback").execute(&mut owner).await.unwrap();
    wait_until("no export is open", async || open_exports(database).await == 0).await;
    server.kill().await;
}
