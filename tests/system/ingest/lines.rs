//! `POST /v1/ingest`: what lines state, that a repetition changes nothing, and who may send which.

use super::{NDJSON, answers, body, call, code, gzip, post_lines, statuses};
use crate::identities::Installation;
use crate::otlp::{post_as, total};
use rand::seq::SliceRandom as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

fn task(id: &str, more: &Value) -> Value {
    let mut line = json!({ "type": "task", "id": id, "title": "Fix the build", "agent": "shop" });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn memory(id: &str, content: &str) -> Value {
    json!({ "type": "memory", "id": id, "agent": "shop", "content": content, "tags": ["tea"] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_answered_in_order_and_a_repetition_changes_nothing() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut more = call("a", 1000, 100);
    more["task"] = json!("build-17");
    more["tags"] = json!({ "env": "prod" });
    let lines = [
        task("build-17", &json!({ "status": "running", "started_at": "2026-03-10T09:59:00Z" })),
        more,
        json!({ "type": "call", "modle": "x" }),
        call("b", 500, 50),
        memory("m1", "green tea"),
        json!({ "type": "call", "id": "c", "tool": "search", "latency_ms": 20 }),
        call("a", 1000, 100),
        task("build-17", &json!({ "status": "completed", "result": "done" })),
    ];
    let mut text = body(&lines);
    text.splice(0..0, *b"\n");
    text.extend(b"not json");
    let found = post_lines(&server, text.clone()).await;
    let expected =
        ["created", "created", "refused", "created", "created", "created", "unchanged", "updated", "refused"];
    let numbers: Vec<_> = found.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (2..=10).collect::<Vec<_>>(), "the first line is blank");
    assert_eq!(statuses(&found), expected, "{found:?}");
    assert_eq!(found[2]["error"]["code"], "UNKNOWN_FIELD");
    assert_eq!(found[8]["error"]["code"], "NOT_JSON");
    assert_eq!(found[1]["id"], found[6]["id"]);
    let head = database.head().await;
    assert!(found.iter().filter_map(|answer| answer["position"].as_str()).all(|at| at.parse::<i64>().unwrap() <= head));
    let (calls, input, output, .., cost) = total(&database, &server).await;
    // The call of a tool is counted apart.
    assert_eq!((calls, input, output, cost.as_str()), (2, 1500, 150, "0.00525"));
    let query = "query ($t: ID!, $m: ID!, $c: ID!, $p: Position) {
        task(id: $t, minPosition: $p) { title status agent { name } calls(first: 5) { nodes { uuid } } }
        memory(id: $m) { content tags realm } call(id: $c) { tags { key value } } }";
    let variables = json!({ "t": found[0]["id"], "m": found[4]["id"], "c": found[1]["id"], "p": head.to_string() });
    let shown = server.graphql(query, variables).await;
    assert_eq!(shown["task"]["title"], "Fix the build");
    assert_eq!((&shown["task"]["status"], &shown["task"]["agent"]["name"]), (&json!("COMPLETED"), &json!("shop")));
    assert_eq!(shown["task"]["calls"]["nodes"], json!([{ "uuid": found[1]["id"] }]));
    assert_eq!(shown["memory"], json!({ "content": "green tea", "tags": ["tea"], "realm": "PRIVATE" }));
    assert_eq!(shown["call"]["tags"], json!([{ "key": "env", "value": "prod" }]));

    // All of it again, compressed.
    let (status, response) = post_as(&server, "/v1/ingest", &[NDJSON, ("content-encoding", "gzip")], gzip(&text)).await;
    assert_eq!(status, StatusCode::OK);
    let again = answers(&response);
    let known: Vec<_> = statuses(&again).into_iter().filter(|status| *status != "refused").collect();
    assert_eq!(known, ["unchanged"; 7], "{again:?}");
    assert_eq!(
        again.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(),
        found.iter().map(|answer| &answer["id"]).collect::<Vec<_>>()
    );
    assert_eq!(database.head().await, head, "a repetition wrote events");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_contradicts_what_is_known_is_refused_and_what_is_behind_it_is_not() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut shared = memory("m", "green tea");
    shared["realm"] = json!("village");
    let mut narrower = memory("m", "green tea");
    narrower["realm"] = json!("village");
    let mut wider = narrower.clone();
    wider["realm"] = json!("bridge");
    let mut other_title = task("t", &json!({}));
    other_title["title"] = json!("Another");
    let lines = [
        task("t", &json!({ "status": "failed", "error": "no tests" })),
        task("t", &json!({ "status": "running" })),
        task("t", &json!({ "status": "failed", "error": "other" })),
        task("t", &json!({ "status": "completed" })),
        other_title,
        shared,
        memory("m", "green tea"),
        wider,
        // It was shared with the village before it was shared more widely.
        narrower,
        memory("m", "black tea"),
        json!({ "type": "call", "id": "c", "model": "gpt-4o", "usage": { "output": 1, "reasoning": 2 } }),
    ];
    let found = post_lines(&server, body(&lines)).await;
    let expected = [
        "created",
        "unchanged",
        "refused",
        "refused",
        "refused",
        "created",
        "unchanged",
        "updated",
        "unchanged",
        "refused",
        "refused",
    ];
    assert_eq!(statuses(&found), expected, "{found:?}");
    let codes: Vec<_> = found.iter().filter_map(|answer| answer["error"]["code"].as_str()).collect();
    assert_eq!(codes, ["REJECTED", "REJECTED", "CONFLICT", "CONFLICT", "REJECTED"]);
    server.kill().await;
}

/// Two processes get halves of the same lines in another order each, and some lines twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_record_halves_in_any_order_once() {
    const CALLS: u64 = 600;
    let database = TestDatabase::new().await;
    let (one, other) = (database.serve(&[]).await, database.serve(&[]).await);
    let mut lines: Vec<_> = (1..=CALLS).map(|n| call(&format!("call-{n}"), n, 1)).collect();
    for n in 0..30 {
        lines.push(task(&format!("task-{n}"), &json!({ "status": "running" })));
        lines.push(task(&format!("task-{n}"), &json!({ "status": "completed" })));
    }
    lines.shuffle(&mut rand::rng());
    let half = lines.len() / 2;
    let (mut first, mut second) = (lines[..half + 60].to_vec(), lines[half - 60..].to_vec());
    first.shuffle(&mut rand::rng());
    second.shuffle(&mut rand::rng());
    let (a, b) = tokio::join!(post_lines(&one, body(&first)), post_lines(&other, body(&second)));
    assert_eq!((a.len(), b.len()), (first.len(), second.len()));
    assert!(a.iter().chain(&b).all(|answer| answer["error"].is_null()), "{a:?} {b:?}");
    let (calls, input, output, ..) = total(&database, &one).await;
    assert_eq!((calls, input, output), (600, CALLS * (CALLS + 1) / 2, CALLS));
    let completed = "select count(*) from apex.events where type = 'task.completed'";
    let completed: i64 = sqlx::query_scalar(completed).fetch_one(&database.pool).await.unwrap();
    assert_eq!(completed, 30);
    one.kill().await;
    other.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_required_and_a_bound_key_records_as_its_agent() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let lines = body(&[call("a", 10, 1), task("t", &json!({})), memory("m", "tea")]);
    for headers in [vec![NDJSON], vec![NDJSON, ("authorization", "Bearer wrong")]] {
        let (status, response) = post_as(&server, "/v1/ingest", &headers, lines.clone()).await;
        assert_eq!((status, code(&response).as_str()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
    }
    let viewer = format!("Bearer {}", installation.key("acme", "viewer", &[]).await);
    for path in ["/v1/ingest", "/v1/ingest/autogpt", "/api/public/ingestion"] {
        for sent in [lines.clone(), Vec::new()] {
            let (status, response) = post_as(&server, path, &[NDJSON, ("authorization", &viewer)], sent).await;
            assert_eq!((status, code(&response).as_str()), (StatusCode::FORBIDDEN, "FORBIDDEN"), "{path}");
        }
    }
    let agent = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
    let bound = format!("Bearer {}", installation.key("acme", "agent", &["--agent", agent]).await);
    let (status, response) = post_as(&server, "/v1/ingest", &[NDJSON, ("authorization", &bound)], lines).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(statuses(&answers(&response)), ["created"; 3], "{}", String::from_utf8_lossy(&response));
    let sql = "select distinct tenant_id, payload ->> 'agent_id' from apex.events
               where type in ('call.recorded', 'task.submitted', 'memory.stored')";
    let found: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&installation.database.pool).await.unwrap();
    assert_eq!(found, [("acme".to_owned(), agent.to_owned())]);

    // A key that may report calls only is told so line by line, and the calls are recorded.
    let scoped = ["--scope", "command:calls"];
    let calls = format!("Bearer {}", installation.key("other", "agent", &scoped).await);
    let sent = body(&[call("x", 10, 1), task("t", &json!({})), memory("m", "tea")]);
    let (_, response) = post_as(&server, "/v1/ingest", &[NDJSON, ("authorization", &calls)], sent).await;
    let found = answers(&response);
    assert_eq!(statuses(&found), ["created", "refused", "refused"], "{found:?}");
    assert_eq!((&found[1]["error"]["code"], &found[2]["error"]["code"]), (&json!("FORBIDDEN"), &json!("FORBIDDEN")));
    server.kill().await;
}

/// The ids of one tenant mean nothing in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_ids_of_two_tenants_are_two_calls() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let mut keys = Vec::new();
    for tenant in ["acme", "calm"] {
        keys.push(format!("Bearer {}", installation.key(tenant, "agent", &[]).await));
    }
    for key in &keys {
        let sent = body(&[call("a", 10, 1), memory("m", "tea")]);
        let (_, response) = post_as(&server, "/v1/ingest", &[NDJSON, ("authorization", key)], sent).await;
        assert_eq!(statuses(&answers(&response)), ["created"; 2]);
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_refuses_before_the_body_is_read_and_ends_one_of_unknown_length() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let key = format!("Bearer {}", installation.key("acme", "agent", &[]).await);
    installation.run(&["limits", "set", "--tenant", "acme", "--ingest-bytes", "20000"]).await;
    let lines = body(&(0..200).map(|n| call(&format!("{n}"), 10, 1)).collect::<Vec<_>>());
    assert!(lines.len() > 20_000);
    let client = reqwest::Client::new();
    let url = format!("{}/v1/ingest", server.address);
    let post = |body: reqwest::Body| {
        client.post(&url).header("content-type", NDJSON.1).header("authorization", &key).body(body)
    };
    let blank = "\n".repeat(lines.len());
    testkit::wait_until("the limit is in force", async || {
        post(blank.clone().into()).send().await.unwrap().status() == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    assert_eq!(post(lines.clone().into()).send().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(total_calls(&installation).await, 0, "the body was read");
    let few = body(&[call("few", 10, 1)]);
    assert_eq!(post(few.into()).send().await.unwrap().status(), StatusCode::OK);
    // A body whose length is not known is read up to the limit. What is answered is recorded, and the rest is told apart.
    let response = post(chunked(lines)).send().await.unwrap();
    let (status, text) = (response.status(), response.bytes().await.unwrap());
    let (recorded, failure) = match status {
        StatusCode::OK => {
            let mut found = answers(&text);
            let last = found.pop().unwrap();
            (found.len(), last["error"]["code"].as_str().unwrap().to_owned())
        }
        _ => (0, code(&text)),
    };
    assert_eq!(failure, "RATE_LIMITED", "{}", String::from_utf8_lossy(&text));
    assert!(total_calls(&installation).await > recorded as i64, "what was answered is recorded");
    server.kill().await;
}

/// A body whose length is not told.
fn chunked(content: Vec<u8>) -> reqwest::Body {
    let (mut sender, body) = http_body_util::channel::Channel::<bytes::Bytes>::new(4);
    tokio::spawn(async move {
        for part in content.chunks(1000) {
            if sender.send_data(part.to_vec().into()).await.is_err() {
                return;
            }
        }
    });
    reqwest::Body::wrap(body)
}

async fn total_calls(installation: &Installation) -> i64 {
    let sql = "select count(*) from apex.events where type = 'call.recorded'";
    sqlx::query_scalar(sql).fetch_one(&installation.database.pool).await.unwrap()
}

/// Posts lines without an id. Returns the status and the id in the answer.
async fn send_for_id(server: &Server, lines: &[Value], is_compressed: bool) -> (StatusCode, String) {
    let lines = body(lines);
    let request = testkit::http_client().post(format!("{}/v1/ingest", server.address)).header(NDJSON.0, NDJSON.1);
    let request = match is_compressed {
        true => request.header("content-encoding", "gzip").body(gzip(&lines)),
        false => request.body(lines),
    };
    let response = request.send().await.unwrap();
    let (status, id) = (response.status(), response.headers()["x-correlation-id"].to_str().unwrap().to_owned());
    // What was sent is recorded once it is answered.
    response.bytes().await.unwrap();
    (status, id)
}

/// A body whose length is not told gets a new id each time, which is told before the first answer. So does a file, whose calls
/// are taken back by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_any_form_is_an_import_that_is_taken_back() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let post = async |path: &str, content: reqwest::Body| {
        let request = testkit::http_client().post(format!("{}{path}", server.address)).header(NDJSON.0, NDJSON.1);
        let response = request.body(content).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let id = response.headers()["x-correlation-id"].to_str().unwrap().to_owned();
        response.bytes().await.unwrap();
        id
    };
    let lines = body(&[call("a", 10, 1)]);
    let (one, two) = (post("/v1/ingest", chunked(lines.clone())).await, post("/v1/ingest", chunked(lines)).await);
    assert_ne!(one, two);
    let file = std::fs::read(testkit::sample("claude-code.jsonl")).unwrap();
    let of_file = post("/v1/ingest/claude-code", file.clone().into()).await;
    let counted = total(&database, &server).await.0;
    assert_eq!(counted, 14);
    assert_eq!(post("/v1/ingest/claude-code", file.into()).await, of_file);
    assert_eq!(total(&database, &server).await.0, counted);
    let undo = async |id: &str| {
        let words = ["import", "undo", id, "--reason", "a test", "--format", "json"];
        database.run(&words).await.assert_success().json()["reversed"].as_u64().unwrap()
    };
    assert_eq!((undo(&of_file).await, undo(&one).await, undo(&two).await), (13, 0, 1));
    assert_eq!(total(&database, &server).await.0, 0);
    server.kill().await;
}

/// Requests with an id are imports: what two of them reported stays until both are taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_an_id_are_taken_back_by_it() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let (one, two) = (uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().to_string());
    let send = async |id: Option<&str>, lines: &[Value]| {
        let headers: Vec<_> = [NDJSON].into_iter().chain(id.map(|id| ("x-correlation-id", id))).collect();
        let (status, response) = post_as(&server, "/v1/ingest", &headers, body(lines)).await;
        assert_eq!(status, StatusCode::OK);
        statuses(&answers(&response)).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(send(Some(&one), &[call("a", 10, 1), call("b", 20, 2)]).await, ["created", "created"]);
    assert_eq!(send(Some(&two), &[call("b", 20, 2), call("c", 30, 3)]).await, ["unchanged", "created"]);
    assert_eq!(send(None, &[call("d", 40, 4), call("c", 30, 3)]).await, ["created", "unchanged"]);
    let take_back = async |id: &str| {
        let words = ["import", "undo", id, "--reason", "a test", "--format", "json"];
        let undone = database.run(&words).await.assert_success().json();
        (undone["reversed"].as_u64().unwrap(), undone["kept"].as_array().unwrap().len())
    };
    assert_eq!(take_back(&one).await, (1, 1), "a is gone, and b was reported by the other one, too");
    assert_eq!(total(&database, &server).await.1, 90);
    assert_eq!(take_back(&two).await, (1, 1), "b is gone, and c was reported without an id, too");
    assert_eq!(total(&database, &server).await.1, 70);
    // A request without an id has one in the answer, which follows from what is sent: the same again is the same import.
    let (status, one) = send_for_id(&server, &[call("x", 100, 1), call("y", 200, 2)], false).await;
    let again = send_for_id(&server, &[call("x", 100, 1), call("y", 200, 2)], true).await;
    let (_, other) = send_for_id(&server, &[call("y", 200, 2), call("z", 400, 4)], false).await;
    assert_eq!((status, &again.1), (StatusCode::OK, &one), "also compressed");
    assert_ne!(one, other);
    assert_eq!(total(&database, &server).await.1, 770);
    assert_eq!(take_back(&one).await, (1, 1), "x is gone, and y was reported by the other one, too");
    assert_eq!(take_back(&other).await, (2, 0), "y and z are gone");
    assert_eq!(total(&database, &server).await.1, 70);
    // An id that is none is refused before anything is read.
    let headers = [NDJSON, ("x-correlation-id", "7")];
    let (status, response) = post_as(&server, "/v1/ingest", &headers, body(&[call("e", 1, 1)])).await;
    assert_eq!((status, code(&response).as_str()), (StatusCode::BAD_REQUEST, "BAD_HEADER"));
}
