//! The access log: which credential was used from where, what was refused, and who read texts.

use crate::graphql::code;
use crate::identities::{Installation, ask};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Server, TIMEOUT, tenant};
use uuid::Uuid;

const LOG: &str = "{ events(first: 100, filter: { category: \"access_log\" }) { nodes { type payload metadata } } }";

/// The types and payloads of the access log, as an auditor reads them, once it has as many events.
async fn recorded(server: &Server, auditor: &str, expected: usize) -> Vec<(String, Value)> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let (_, answer) = ask(server, auditor, LOG).await;
        let nodes = answer["data"]["events"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
        // The auditor's own use of its key is recorded too.
        let events: Vec<_> = nodes
            .iter()
            .map(|node| (node["type"].as_str().unwrap().to_owned(), node["payload"].clone()))
            .filter(|(_, payload)| !payload["subject"].as_str().unwrap_or_default().contains(&id_of(auditor)))
            .collect();
        if events.len() >= expected || Instant::now() > deadline {
            assert_eq!(events.len(), expected, "{events:?}");
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The public id of a key.
fn id_of(key: &str) -> String {
    Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().to_string()
}

async fn post(server: &Server, credential: Option<&str>, device: &str) -> reqwest::StatusCode {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.address)).header("user-agent", device);
    let request = credential.iter().fold(request, |request, key| request.bearer_auth(key));
    request.json(&json!({ "query": "{ head }" })).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_of_a_key_are_recorded_once_for_each_origin_and_origins_are_beside_the_log() {
    let installation = Installation::new().await;
    let id = tenant().to_string();
    let (key, auditor) = (installation.key(&id, "viewer", &[]).await, installation.key(&id, "auditor", &[]).await);
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    for device in ["pump/1", "pump/1", "pump/2"] {
        for server in &servers {
            assert_eq!(post(server, Some(&key), device).await, 200);
            // The other process reads what this one wrote.
            recorded(server, &auditor, if device == "pump/1" { 1 } else { 2 }).await;
        }
    }
    let events = recorded(&servers[0], &auditor, 2).await;
    let origins: Vec<_> = events
        .iter()
        .map(|(name, payload)| {
            assert_eq!(name, "access.credential_used");
            assert_eq!(payload["credential_id"], id_of(&key));
            payload["origin_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let query = format!("{{ accessOrigins(uuids: {origins:?}) {{ uuid address device firstSeenAt }} }}");
    let (_, answer) = ask(&servers[1], &auditor, &query).await;
    let mut devices: Vec<_> = answer["data"]["accessOrigins"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|origin| (origin["device"].as_str().unwrap(), origin["address"].as_str().unwrap()))
        .collect();
    devices.sort_unstable();
    assert_eq!(devices, [("pump/1", "127.0.0.1"), ("pump/2", "127.0.0.1")]);
    // A viewer does not learn where others are, and another tenant has other origins.
    assert_eq!(code(&ask(&servers[0], &key, &query).await.1), "FORBIDDEN");
    let stranger = installation.key("acme", "auditor", &[]).await;
    assert_eq!(ask(&servers[0], &stranger, &query).await.1["data"]["accessOrigins"], json!([]));
    // What is personal is not in the log.
    let mut owner = installation.database.owner().await;
    let personal: i64 = sqlx::query_scalar(
        "select count(*) from apex.events where payload::text ~ 'pump/|127\\.0\\.0\\.1' and category = 'access_log'",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!(personal, 0);
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_recorded_once_a_minute_with_a_count_and_the_first_of_each_whole() {
    let installation = Installation::new().await;
    let id = tenant().to_string();
    let (viewer, auditor) = (installation.key(&id, "viewer", &[]).await, installation.key(&id, "auditor", &[]).await);
    let server = installation.serve(&[]).await;
    let contents = "{ events(first: 1) { nodes { payload } } }";
    for _ in 0..20 {
        assert_eq!(code(&ask(&server, &viewer, contents).await.1), "FORBIDDEN");
        assert_eq!(post(&server, None, "stranger").await, 401);
        assert_eq!(post(&server, Some("Wrong"), "guesser").await, 401);
    }
    // Stopping the server writes what is still counted.
    drop(server.terminate().await);
    let server = installation.serve(&[]).await;
    let (_, answer) = ask(&server, &auditor, LOG).await;
    let refused: Vec<_> = answer["data"]["events"]["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .filter(|node| node["type"] == "access.refused")
        .map(|node| node["payload"].clone())
        .collect();
    let of = |reason: &str| {
        let matching = refused.iter().filter(|payload| payload["reason"] == reason);
        matching.map(|payload| payload["count"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    for reason in ["forbidden", "no_credential", "invalid_credential"] {
        let counts = of(reason);
        assert_eq!(counts.iter().sum::<u64>(), 20, "{reason}: {counts:?}");
        // A first one and the rest, twice if a minute ended between.
        assert!(counts.len() <= 4 && counts[0] == 1, "{reason}: {counts:?}");
    }
    let forbidden = refused.iter().find(|payload| payload["reason"] == "forbidden").unwrap();
    assert_eq!(forbidden["permission"], "read:contents");
    assert!(forbidden["subject"].as_str().unwrap().contains(&id_of(&viewer)));
    drop(server.terminate().await);
}

/// A request with the public id of a key, such as one that was revoked, is refused in the access log of its tenant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_in_the_access_log_of_its_tenant() {
    let installation = Installation::new().await;
    let (key, auditor) =
        (installation.key("acme", "viewer", &[]).await, installation.key("acme", "auditor", &[]).await);
    installation.run(&["keys", "revoke", &id_of(&key), "--tenant", "acme"]).await;
    let server = installation.serve(&[]).await;
    assert_eq!(post(&server, Some(&key), "thief").await, 401);
    let events = recorded(&server, &auditor, 1).await;
    assert_eq!((events[0].0.as_str(), &events[0].1["reason"]), ("access.refused", &json!("invalid_credential")));
    assert_eq!(events[0].1["subject"], format!("key:{}", id_of(&key)));
    drop(server.terminate().await);
}

/// A person who signed in is recorded once an hour; a program and the holder of a shared token are not. What is recorded is
/// read by who may read the access log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_read_texts_are_recorded_and_programs_are_not() {
    let installation = crate::users::Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "auditor").await;
    let bob = installation.user(&server, "bob@example.org", "operator").await;
    let (ada, bob) = (crate::users::text(&ada, "accessToken"), crate::users::text(&bob, "accessToken"));
    let query = "query Audit { events(first: 1) { nodes { payload } } }";
    for credential in ["tea", bob, bob, bob] {
        let (_, answer) = ask(&server, credential, query).await;
        assert!(answer["errors"].is_null(), "{answer}");
    }
    // Stopping the server writes what was noted.
    drop(server.terminate().await);
    let server = installation.serve(&[]).await;
    let (_, answer) = ask(&server, ada, LOG).await;
    let read: Vec<_> = answer["data"]["events"]["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .filter(|node| node["type"] == "access.contents_read")
        .map(|node| &node["payload"])
        .collect();
    assert_eq!(read.len(), 1, "{read:?}");
    assert_eq!(read[0]["operation"], "Audit");
    assert!(read[0]["subject"].as_str().unwrap().starts_with("user:"), "{read:?}");
    // An operator reads contents, and not the access log.
    let (_, refused) = ask(&server, bob, LOG).await;
    assert_eq!(code(&refused), "FORBIDDEN");
    drop(server.terminate().await);
}
