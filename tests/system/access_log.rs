//! The access log: which credential was used from where, what was refused, and who read texts.

use crate::graphql::code;
use crate::identities::{Installation, ask};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use std::time::{Duration, Instant};
use testkit::{Server, TIMEOUT, avoid_the_end_of_an_hour, http_client, tenant};
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

/// Waits until a statement waits for a table. The tables of all databases of the tests have the same oids.
pub(crate) async fn wait_for_blocked(owner: &mut PgConnection, table: &'static str) {
    let deadline = Instant::now() + TIMEOUT;
    let blocked = "select exists (select from pg_locks where not granted and relation = $1::regclass
                   and database = (select oid from pg_database where datname = current_database()))";
    while !sqlx::query_scalar::<_, bool>(blocked).bind(table).fetch_one(&mut *owner).await.unwrap() {
        assert!(Instant::now() < deadline, "nothing waits for {table}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server is told to stop while it writes a record, which the database answers afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_being_written_when_the_server_stops_is_not_lost() {
    let installation = Installation::new().await;
    let id = tenant().to_string();
    let (key, auditor) = (installation.key(&id, "viewer", &[]).await, installation.key(&id, "auditor", &[]).await);
    let server = installation.serve(&[]).await;
    let mut owner = installation.database.owner().await;
    sqlx::raw_sql("begin; lock table apex.access_origins in exclusive mode").execute(&mut owner).await.unwrap();
    assert_eq!(post(&server, Some(&key), "pump/1").await, 200);
    wait_for_blocked(&mut owner, "apex.access_origins").await;
    let release = async {
        // Time for the server to act on the signal.
        tokio::time::sleep(Duration::from_millis(500)).await;
        sqlx::raw_sql("commit").execute(&mut owner).await.unwrap();
    };
    let ((status, _), ()) = tokio::join!(server.terminate(), release);
    assert_eq!(status, Some(0));
    let server = installation.serve(&[]).await;
    let events = recorded(&server, &auditor, 1).await;
    assert_eq!(events[0].0, "access.credential_used");
    assert_eq!(server.terminate().await.0, Some(0));
}

/// The public id of a key.
fn id_of(key: &str) -> String {
    Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().to_string()
}

async fn post(server: &Server, credential: Option<&str>, device: &str) -> reqwest::StatusCode {
    let request = http_client().post(format!("{}/graphql", server.address)).header("user-agent", device);
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

/// What is refused before a request has a principal, and what limits refuse: by subject where it is known, else by address.
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_sign_ins_foreign_pages_and_limited_requests_are_recorded() {
    use crate::users::{PASSWORD, enable_codes, login, post as send, text, totp};
    let installation = crate::users::Installation::new().await;
    let server = installation.serve(&["--rate-limits", "key.requests=40", "--sign-in-attempts", "12"]).await;
    let ada = installation.user(&server, "ada@example.org", "auditor").await;
    let (access, user) = (text(&ada, "accessToken"), text(&ada, "userId").to_owned());
    // Counted: unknown people by their address, and known ones by their id.
    for _ in 0..3 {
        assert_eq!(login(&server, "nobody@example.org", PASSWORD).await.0, 401);
        assert_eq!(login(&server, "ada@example.org", "wrong").await.0, 401);
    }
    let (secret, _) = enable_codes(&server, access, PASSWORD).await;
    let coded = |code: &str| json!({ "email": "ada@example.org", "password": PASSWORD, "code": code });
    assert_eq!(send(&server, "/auth/login", None, coded("000000")).await.0, 401);
    // That a code is asked for is no refusal.
    assert_eq!(code(&login(&server, "ada@example.org", PASSWORD).await.1), "CODE_REQUIRED");
    let (status, signed_in) = send(&server, "/auth/login", None, coded(&totp(&secret, 1))).await;
    assert_eq!(status, 200, "{signed_in}");
    let other_tenant = json!({ "tenant": "nowhere", "email": "ada@example.org", "password": "wrong" });
    assert_eq!(send(&server, "/auth/login", None, other_tenant).await.0, 401);
    // Twelve, and further ones if they take long, since one is allowed every 20 s.
    let mut limited_sign_ins = 0;
    for _ in 0..20 {
        limited_sign_ins += u64::from(login(&server, "unknown@example.org", "wrong").await.0 == 429);
    }
    assert!(limited_sign_ins > 0);
    let client = reqwest::Client::new();
    let foreign = client.post(format!("{}/graphql", server.address)).header("cookie", "apex_access=x");
    assert_eq!(foreign.header("origin", "https://evil.example").json(&json!({})).send().await.unwrap().status(), 403);
    let (mut limited, mut requests) = (0, 0);
    while limited < 5 {
        limited += usize::from(ask(&server, access, "{ head }").await.0 == 429);
        requests += 1;
        assert!(requests < 1000, "requests are not limited");
    }
    drop(server.terminate().await);
    // Without a token, a server refuses pages of other origins.
    let key_file = installation.key_file();
    let open = installation.database.serve(&["--key-file", &key_file, "--rate-limits", "address.requests=3"]).await;
    let page =
        || client.get(format!("{}/graphql?query={{head}}", open.address)).header("origin", "https://evil.example");
    assert_eq!(page().send().await.unwrap().status(), 403);
    let mut limited_pages = 0;
    for _ in 0..10 {
        limited_pages += u64::from(page().send().await.unwrap().status() == 429);
    }
    assert!(limited_pages > 0);
    drop(open.terminate().await);
    let server = installation.serve(&[]).await;
    let (_, answer) = ask(&server, "tea", LOG).await;
    let nodes = answer["data"]["events"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let refused: Vec<_> =
        nodes.iter().filter(|node| node["type"] == "access.refused").map(|node| &node["payload"]).collect();
    let count = |reason: &str, subject: &str| {
        let is_of = |payload: &&&Value| {
            payload["reason"] == reason
                && payload["subject"].as_str().unwrap_or_default().starts_with(subject)
                && payload["subject"].is_string() != subject.is_empty()
        };
        refused.iter().filter(is_of).map(|payload| payload["count"].as_u64().unwrap()).sum::<u64>()
    };
    let of_user = format!("user:{user}");
    // Three at the sign-in, and one at the start of the codes.
    assert_eq!(count("sign_in", &of_user), 4, "{refused:#?}");
    // Those of nobody, of a tenant that does not exist, and of the last one until the attempts of the account were used up.
    assert_eq!(count("sign_in", ""), 3 + 1 + 20 - limited_sign_ins);
    assert_eq!(count("too_many_attempts", ""), limited_sign_ins);
    // One at the confirmation of the codes, and one at the sign-in.
    assert_eq!(count("second_factor", &of_user), 2);
    assert_eq!(count("csrf", ""), 1);
    assert_eq!(count("rate_limited", &of_user), u64::try_from(limited).unwrap());
    assert!(count("rate_limited", "") >= limited_pages && count("foreign_origin", "") >= 1);
    // Who signed in is recorded with the session.
    let signed_in: Vec<_> = nodes.iter().filter(|node| node["type"] == "access.signed_in").collect();
    assert_eq!(signed_in.len(), 2, "{signed_in:?}");
    assert!(
        signed_in
            .iter()
            .all(|node| node["payload"]["user_id"] == user.as_str() && node["payload"]["origin_id"].is_string())
    );
    // Neither an address nor what was typed is in the log.
    let personal: Vec<String> = installation
        .texts("select type from apex.events where payload::text ~ 'example.org|127\\.0\\.0\\.1|nowhere'")
        .await;
    assert_eq!(personal, Vec::<String>::new());
    drop(server.terminate().await);
}

/// Exports are recorded once an hour and kind of data, of programs too; those of the command line each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_are_recorded() {
    let installation = Installation::new().await;
    avoid_the_end_of_an_hour().await;
    let id = tenant().to_string();
    let (operator, auditor) =
        (installation.key(&id, "operator", &[]).await, installation.key(&id, "auditor", &[]).await);
    let server = installation.serve(&[]).await;
    for _ in 0..3 {
        let request = http_client().get(format!("{}/events", server.address)).bearer_auth(&operator);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let register =
        format!("mutation {{ registerAgent(input: {{ id: \"{}\", name: \"ada\" }}) {{ position }} }}", Uuid::nil());
    let (_, registered) = ask(&server, &operator, &register).await;
    let position = registered["data"]["registerAgent"]["position"].as_str().unwrap_or_else(|| panic!("{registered}"));
    installation.run(&["access", "review"]).await;
    // Over GraphQL, whatever page of it; nobody knows whose the shared token is.
    for credential in [&operator, &operator, "tea"] {
        let (_, answer) = ask(&server, credential, "{ accessReview(first: 1) { nodes { permissions } } }").await;
        assert!(answer["errors"].is_null(), "{answer}");
    }
    installation.run(&["report", "cost", "--no-wait", "--format", "csv"]).await;
    // A table goes into a file or to another program here, too.
    installation.run(&["report", "cost", "--no-wait"]).await;
    let stream = format!("agent/{}", Uuid::nil());
    installation.run(&["replay", "--stream", &stream, "--as-of", position]).await;
    // It says what was there before, and not that it was asked. Other exports are recorded in the background.
    let replayed = installation.run(&["replay"]).await;
    let replayed: Vec<Value> = replayed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_command_line = |data: &str| {
        let by = |event: &&Value| event["payload"]["subject"] == "command line" && event["payload"]["data"] == data;
        replayed.iter().filter(by).count()
    };
    assert_eq!([of_command_line("usage_report"), of_command_line("events")], [2, 0]);
    let calls = http_client().get(format!("{}/v1/exports/calls", server.address)).bearer_auth(&operator);
    assert_eq!(calls.send().await.unwrap().status(), 200);
    installation.run(&["export", "focus", "--no-wait"]).await;
    // What is looked at is no export.
    installation.run(&["roles", "list"]).await;
    let events = recorded(&server, &auditor, 10).await;
    let exported: Vec<_> = events.iter().filter(|(name, _)| name == "access.data_exported").collect();
    let by = |payload: &Value| match payload["subject"].as_str().unwrap() {
        subject if subject.contains(&id_of(&operator)) => "key",
        "command line" => "command line",
        other => panic!("{other}"),
    };
    let mut of: Vec<_> = exported.iter().map(|(_, payload)| (payload["data"].as_str().unwrap(), by(payload))).collect();
    of.sort_unstable();
    let expected = [
        ("access_review", "command line"),
        ("access_review", "key"),
        ("aggregate_state", "command line"),
        ("calls", "key"),
        ("events", "command line"),
        ("events", "key"),
        ("focus", "command line"),
        ("usage_report", "command line"),
        ("usage_report", "command line"),
    ];
    assert_eq!(of, expected);
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
    avoid_the_end_of_an_hour().await;
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
