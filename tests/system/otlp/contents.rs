//! The prompts, responses and other texts that spans carry: kept only where that is switched on, with the export that is kept,
//! for who may read them.

use super::kept::{age, run_retention_at};
use super::{TRACE, chat, export, post, post_as, span, with};
use crate::agent_roles::scoped_account;
use crate::identities::{Installation, Possessions, ask};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use testkit::{Server, TestDatabase, tenant, wait_until};

const ON: [&str; 2] = ["--span-contents", "true"];
const JSON: (&str, &str) = ("content-type", "application/json");
const QUERY: &str = "query ($id: String!) { trace(id: $id) { spans(first: 50) { nodes { spanId contents {
    leftOutCount texts { source event occurredAt name text totalBytes isCut }
} } } } }";

fn id(number: u64) -> String {
    format!("{number:016x}")
}

/// The texts of each span of a trace: its id, then the name and the text of each.
async fn texts(server: &Server, trace_id: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut answer = server.graphql(QUERY, json!({ "id": trace_id })).await;
    let nodes = answer["trace"]["spans"]["nodes"].take();
    let text = |text: &Value| {
        let of = |name: &str| text[name].as_str().unwrap_or_default().to_owned();
        let event = text["event"].as_str().map(|event| format!("{event}/")).unwrap_or_default();
        (event + &of("name"), of("text"))
    };
    let span = |node: &Value| {
        let texts = node["contents"]["texts"].as_array().map(|texts| texts.iter().map(text).collect());
        (node["spanId"].as_str().unwrap().to_owned(), texts.unwrap_or_default())
    };
    nodes.as_array().unwrap_or(&Vec::new()).iter().map(span).collect()
}

/// A span that carries a prompt in an attribute and a response in an event.
fn spoken(number: u64, prompt: &str, response: &str) -> Value {
    let mut span = span(&id(number), "", &with(chat("gpt-4o", 10, 1), &json!({ "gen_ai.prompt.0.content": prompt })));
    let said = json!([{ "key": "message", "value": { "stringValue": response } }]);
    span["events"] = json!([{ "name": "gen_ai.choice", "timeUnixNano": "1773136800500000000", "attributes": said }]);
    span
}

/// A record of a log that says something in a span.
fn record(number: u64, event: &str, body: &str) -> Value {
    json!({
        "traceId": TRACE, "spanId": id(number), "eventName": event, "timeUnixNano": "1773136800000000000",
        "body": { "kvlistValue": { "values": [{ "key": "content", "value": { "stringValue": body } }] } },
        "attributes": [{ "key": "gen_ai.system", "value": { "stringValue": "openai" } }],
    })
}

fn export_of_records(records: &[Value]) -> Value {
    json!({ "resourceLogs": [{ "scopeLogs": [{ "scope": { "name": "test" }, "logRecords": records }] }] })
}

async fn post_records(server: &Server, records: &[Value]) -> Value {
    let body = export_of_records(records).to_string().into_bytes();
    let (status, answer) = post_as(server, "/v1/logs", &[JSON], body).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// The tables of the database in which a text stands, of whatever type the column is.
async fn tables_with(database: &TestDatabase, text: &str) -> Vec<String> {
    let mut owner = database.owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.len() > 30 && tables.contains(&"apex.spans".to_owned()), "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        // Bytes are shown in hex.
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let select =
            format!("select exists (select from {table} t where t::text like '%{text}%' or t::text like '%{hex}%')");
        if sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut owner).await.unwrap() {
            found.push(table);
        }
    }
    found
}

const SECRET: &str = "the-launch-code-is-7741";

/// Sends a text in all places where instrumentations put prompts and responses.
async fn send_everywhere(server: &Server) {
    let mut said = spoken(1, SECRET, SECRET);
    let names = [
        "gen_ai.input.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.result",
        "input.value",
        "llm.input_messages.0.message.content",
        "ai.prompt",
        "ai.response.text",
        "traceloop.entity.input",
        "db.query.text",
    ];
    let more = names.map(|name| json!({ "key": name, "value": { "stringValue": SECRET } }));
    said["attributes"].as_array_mut().unwrap().extend(more);
    said["links"] = json!([{ "traceId": "5".repeat(32), "spanId": id(9), "attributes": more_of(&said) }]);
    post(server, &export("shop", &[said.clone()])).await;
    // What is refused shows none, either.
    said["traceId"] = json!("x");
    let refused = post(server, &export("shop", &[said])).await;
    assert!(!refused.to_string().contains(SECRET), "{refused}");
    let mut details = record(1, "gen_ai.client.inference.operation.details", SECRET);
    details["attributes"] = json!([{ "key": "gen_ai.output.messages", "value": { "stringValue": SECRET } }]);
    post_records(server, &[record(1, "gen_ai.user.message", SECRET), details, record(1, "other", SECRET)]).await;
    let plain = json!({ "name": SECRET, "gauge": { "dataPoints": [] } });
    let metrics = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [plain] }] }] });
    post_as(server, "/v1/metrics", &[JSON], metrics.to_string().into_bytes()).await;
}

fn more_of(span: &Value) -> Value {
    span["attributes"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_of_a_span_is_in_the_database_unless_that_is_switched_on() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--log", "trace"]).await;
    send_everywhere(&server).await;
    assert_eq!(tables_with(&database, SECRET).await, [] as [&str; 0]);
    assert_eq!(texts(&server, TRACE).await, [(id(1), Vec::new())]);
    let (_, written) = server.terminate().await;
    assert!(written.contains("an export was accepted in part") && !written.contains(SECRET), "{} bytes", written.len());
    // Control: where it is switched on, the same search finds the texts, in the tables that are meant to have them alone.
    let server = database.serve(&[&["--log", "trace"], &ON[..]].concat()).await;
    send_everywhere(&server).await;
    assert_eq!(tables_with(&database, SECRET).await, ["apex.span_log_contents", "apex.spans"]);
    let [(_, texts)] = &texts(&server, TRACE).await[..] else { panic!("there is one span") };
    assert_eq!(texts.len(), 13, "9 attributes but the query, an event, and 3 of records: {texts:?}");
    let (_, written) = server.terminate().await;
    assert!(!written.contains(SECRET), "{} bytes", written.len());
}

/// Exports of a span of which the last but one of this list is kept: it ended last, and says more than the last one.
fn exports(trace_id: &str) -> [Value; 4] {
    let of = |prompt: &str, end: &str| {
        let mut span = spoken(1, prompt, prompt);
        (span["traceId"], span["endTimeUnixNano"]) = (json!(trace_id), json!(end));
        span
    };
    let mut silent = of("none", "1773136809000000000");
    (silent["attributes"], silent["events"]) = (json!([]), json!([]));
    [of("running", "0"), of("early", "1773136808000000000"), of("kept", "1773136809000000000"), silent]
}

/// Every order of four exports, each in a request of its own.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|n: usize| [n % 4, n / 4 % 4, n / 16 % 4, n / 64]);
    all.filter(|order| (0..4).all(|each| order.contains(&each))).collect()
}

/// The orders after which the texts are not those of the export that is kept, with what they are.
async fn wrong_orders(server: &Server) -> Vec<String> {
    let kept = |text: &str| text.to_owned();
    let expected = [("gen_ai.prompt.0.content", "kept"), ("gen_ai.choice/message", "kept")];
    let expected = [(id(1), expected.map(|(name, text)| (kept(name), kept(text))).to_vec())];
    let mut wrong = Vec::new();
    for (number, order) in orders().into_iter().enumerate() {
        let trace_id = format!("{:032x}", 1 + number);
        let exports = exports(&trace_id);
        for each in order {
            post(server, &export("shop", &[exports[each].clone()])).await;
        }
        let found = texts(server, &trace_id).await;
        if found != expected {
            wrong.push(format!("{order:?}: {found:?}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_texts_of_a_span_are_those_of_the_export_that_is_kept() {
    let database = TestDatabase::new().await;
    let server = database.serve(&ON).await;
    assert_eq!(orders().len(), 24);
    assert_eq!(wrong_orders(&server).await, [] as [&str; 0]);
    server.kill().await;
}

/// Control for the test above: it finds texts that stay when another export is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_texts_of_another_export_are_found() {
    let database = TestDatabase::new().await;
    let server = database.serve(&ON).await;
    let mut owner = database.owner().await;
    let select = "select pg_get_functiondef(oid) from pg_proc where proname = 'keep_spans'";
    let function: String = sqlx::query_scalar(select).fetch_one(&mut owner).await.unwrap();
    let replaced = "contents = excluded.contents";
    assert!(function.contains(replaced), "{function}");
    let planted = function.replace(replaced, "contents = coalesce(s.contents, excluded.contents)");
    sqlx::raw_sql(AssertSqlSafe(planted)).execute(&mut owner).await.unwrap();
    let wrong = wrong_orders(&server).await;
    assert!(wrong.iter().any(|wrong| wrong.contains("early")), "{wrong:?}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_logs_are_joined_to_their_spans_once_and_deleted_with_the_trace() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[&ON[..], &["--span-retention-days", "3"]].concat()).await;
    run_retention_at(&database, "infinity").await;
    let records = [record(1, "gen_ai.user.message", "hi"), record(2, "gen_ai.user.message", "bye")];
    // Before the span, and again.
    for _ in 0..2 {
        assert_eq!(post_records(&server, &records).await, json!({}));
    }
    assert_eq!(texts(&server, TRACE).await, []);
    post(&server, &export("shop", &[spoken(1, "a", "b")])).await;
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let of_record = text("gen_ai.user.message/body", "{\"content\":\"hi\"}");
    let expected = vec![text("gen_ai.prompt.0.content", "a"), text("gen_ai.choice/message", "b"), of_record];
    assert_eq!(texts(&server, TRACE).await, [(id(1), expected)]);
    let answer = server.graphql(QUERY, json!({ "id": TRACE })).await;
    let found = &answer["trace"]["spans"]["nodes"][0]["contents"]["texts"];
    assert_eq!((&found[0]["source"], &found[2]["source"]), (&json!("ATTRIBUTE"), &json!("LOG_RECORD")));
    assert_eq!(found[1]["occurredAt"], "2026-03-10T10:00:00.500Z");
    age(&mut database.owner().await, TRACE, 4).await;
    run_retention_at(&database, "now").await;
    wait_until("the texts are deleted", async || tables_with(&database, "gen_ai.user.message").await.is_empty()).await;
    assert_eq!(texts(&server, TRACE).await, []);
    server.kill().await;
}

/// How many days ago the trace was received.
async fn days_since_seen(owner: &mut PgConnection) -> i32 {
    let select =
        "select (clock_timestamp() at time zone 'UTC')::date - seen_on from apex.traces where trace_id = $1::uuid";
    sqlx::query_scalar(select).bind(TRACE).fetch_one(owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_record_that_is_kept_prolongs_its_trace() {
    let database = TestDatabase::new().await;
    let server = database.serve(&ON).await;
    let mut owner = database.owner().await;
    let long = |letter: &str| record(1, "gen_ai.user.message", &letter.repeat(60_000));
    assert_eq!(post_records(&server, &[long("a"), long("b")]).await, json!({}));
    age(&mut owner, TRACE, 4).await;
    assert_eq!(post_records(&server, &[long("a")]).await, json!({}));
    assert!(days_since_seen(&mut owner).await >= 4, "a record that is known");
    let response = post_records(&server, &[long("b"), long("c")]).await;
    assert!(response["partialSuccess"]["errorMessage"].as_str().is_some(), "{response}");
    assert!(days_since_seen(&mut owner).await >= 4, "a record that is left out");
    assert_eq!(post_records(&server, &[record(2, "gen_ai.user.message", "new")]).await, json!({}));
    assert!(days_since_seen(&mut owner).await < 4, "a record that is kept");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_beyond_a_limit_are_cut_or_counted() {
    let database = TestDatabase::new().await;
    let server = database.serve(&ON).await;
    let long = "é".repeat(100_000);
    assert_eq!(post(&server, &export("shop", &[spoken(1, &long, "short")])).await, json!({}));
    let answer = server.graphql(QUERY, json!({ "id": TRACE })).await;
    let texts = &answer["trace"]["spans"]["nodes"][0]["contents"]["texts"];
    let cut = texts[0]["text"].as_str().unwrap();
    assert!(cut.len() > 65_000 && cut.len() + "short".len() <= 65_536 && long.starts_with(cut), "{} bytes", cut.len());
    assert_eq!((&texts[0]["isCut"], &texts[0]["totalBytes"]), (&json!(true), &json!(200_000)));
    assert_eq!((&texts[1]["isCut"], &texts[1]["text"]), (&json!(false), &json!("short")));
    // 140 spans with 64 KiB each are more than 8 MiB.
    let text = "x".repeat(65_536);
    let many: Vec<_> = (0..140).map(|n| span(&id(100 + n), "", &json!({ "input.value": text }))).collect();
    let response = post(&server, &export("shop", &many)).await;
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap_or_else(|| panic!("{response}"));
    assert!(message.starts_with("the texts of 13 spans are not kept"), "{message}");
    let records: Vec<_> =
        (0..5).map(|n| record(1, "gen_ai.user.message", &format!("{n}{}", "y".repeat(50_000)))).collect();
    let response = post_records(&server, &records).await;
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap_or_else(|| panic!("{response}"));
    assert!(message.starts_with("the texts of 3 records are not kept"), "{message}");
    server.kill().await;
    let refused = database
        .run(&["serve", "--listen", "127.0.0.1:0", "--span-contents", "true", "--span-retention-days", "0"])
        .await;
    assert!(refused.stderr.contains("APEX_SPAN_RETENTION_DAYS=0 keeps no spans"), "{}", refused.stderr);
}

async fn send(server: &Server, key: &str, body: &Value, path: &str) {
    let headers = [JSON, ("authorization", &*format!("Bearer {key}"))];
    let (status, answer) = post_as(server, path, &headers, body.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_read_in_their_tenant_by_who_may_read_texts_of_the_agent() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let stranger = installation.key("umbrella", "admin", &[]).await;
    let viewer = installation.key(tenant().as_str(), "viewer", &[]).await;
    let server = installation.serve(&ON).await;
    let (own, _) = Possessions::create(&server, &admin).await;
    let bound = installation.key(tenant().as_str(), "agent", &["--agent", &own.agent.to_string()]).await;
    // Both tenants have the same trace and span.
    for (key, prompt) in [(&admin, "of-the-tenant"), (&stranger, "of-the-other")] {
        send(&server, key, &export("shop", &[spoken(1, prompt, prompt)]), "/v1/traces").await;
        send(&server, key, &export_of_records(&[record(1, "gen_ai.user.message", prompt)]), "/v1/logs").await;
    }
    send(&server, &bound, &export("shop", &[spoken(2, "of-the-agent", "b")]), "/v1/traces").await;
    let query =
        format!("{{ trace(id: \"{TRACE}\") {{ spans {{ nodes {{ spanId contents {{ texts {{ text }} }} }} }} }} }}");
    for (key, own, other) in [(&admin, "of-the-tenant", "of-the-other"), (&stranger, "of-the-other", "of-the-tenant")] {
        let (_, answer) = ask(&server, key, &query).await;
        assert!(answer["errors"].is_null() && answer.to_string().matches(own).count() == 3, "{answer}");
        assert!(!answer.to_string().contains(other), "{answer}");
    }
    // Who may read calls only gets the spans, and an error for each text.
    let (_, answer) = ask(&server, &viewer, &query).await;
    let spans = answer["data"]["trace"]["spans"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert!(spans.len() == 2 && spans.iter().all(|span| span["contents"].is_null()), "{answer}");
    let error = &answer["errors"][0]["extensions"];
    assert_eq!((&error["code"], &error["permission"]), (&json!("FORBIDDEN"), &json!("read:contents")), "{answer}");
    assert!(!answer.to_string().contains("of-the-"), "{answer}");
    // A role on an agent shows the texts of its spans alone.
    let (account, key) = scoped_account(&installation).await;
    installation.run(&["roles", "grant", "operator", "--account", &account, "--agent", &own.agent.to_string()]).await;
    wait_until("the role counts", async || {
        let (_, answer) = ask(&server, &key, &query).await;
        answer.to_string().contains("of-the-agent")
    })
    .await;
    let (_, answer) = ask(&server, &key, &query).await;
    assert!(answer["errors"].is_null() && !answer.to_string().contains("of-the-tenant"), "{answer}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_read_texts_of_spans_are_recorded() {
    let installation = crate::users::Installation::new().await;
    let server = installation.serve(&ON).await;
    let bob = installation.user(&server, "bob@example.org", "operator").await;
    let bob = crate::users::text(&bob, "accessToken");
    send(&server, "tea", &export("shop", &[spoken(1, "a", "b")]), "/v1/traces").await;
    let named = |name: &str, inside: &str| {
        format!("query {name} {{ trace(id: \"{TRACE}\") {{ spans {{ nodes {{ spanId {inside} }} }} }} }}")
    };
    for query in [named("Drawn", "name"), named("Read", "contents { texts { text } }")] {
        let (_, answer) = ask(&server, bob, &query).await;
        assert!(answer["errors"].is_null(), "{answer}");
    }
    // Stopping the server writes what was noted.
    drop(server.terminate().await);
    let select = "select payload->>'operation' from apex.events where type = 'access.contents_read'";
    assert_eq!(installation.texts(select).await, ["Read"]);
}
