//! The spans that are kept: for how long, how many of a trace, for whom, and without contents.

use super::drawn::trace;
use super::{TRACE, chat, export, post, post_as, span, total, with};
use crate::agent_roles::scoped_account;
use crate::identities::{Installation, Possessions, ask};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use testkit::{Server, TestDatabase, avoid_the_end_of_an_hour, tenant, wait_until};

const JSON: (&str, &str) = ("content-type", "application/json");

fn of(trace_id: &str, mut span: Value) -> Value {
    span["traceId"] = json!(trace_id);
    span
}

fn id(number: u64) -> String {
    format!("{number:016x}")
}

async fn count(owner: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from apex.{table}"))).fetch_one(owner).await.unwrap()
}

/// Lets the job run at a time, once it does not run.
pub(super) async fn run_retention_at(database: &TestDatabase, time: &'static str) {
    wait_until("the job waits", async || {
        let run =
            "update apex.jobs set available_at = $1::timestamptz where kind = 'span-retention' and state = 'waiting'";
        let run = sqlx::query(run).bind(time).execute(&mut database.owner().await).await.unwrap();
        run.rows_affected() == 1
    })
    .await;
}

/// Makes a trace that was received a number of days ago.
pub(super) async fn age(owner: &mut PgConnection, trace_id: &str, days: i32) {
    let age =
        "update apex.traces set seen_on = (clock_timestamp() at time zone 'UTC')::date - $2 where trace_id = $1::uuid";
    let aged = sqlx::query(age).bind(trace_id).bind(days).execute(owner).await.unwrap();
    assert_eq!(aged.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_deleted_after_their_retention_and_none_are_kept_with_0_days() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    // Ages are counted in days of the calendar.
    avoid_the_end_of_an_hour().await;
    let server = database.serve(&["--span-retention-days", "3"]).await;
    // It runs at times of its own, too.
    run_retention_at(&database, "infinity").await;
    let [old, recent, grown] = ["1", "2", "3"].map(|digit| digit.repeat(32));
    for trace_id in [&old, &recent, &grown] {
        let spans =
            [of(trace_id, span(&id(1), "", &chat("gpt-4o", 10, 1))), of(trace_id, span(&id(2), &id(1), &json!({})))];
        assert_eq!(post(&server, &export("shop", &spans)).await, json!({}));
    }
    age(&mut owner, &old, 4).await;
    age(&mut owner, &recent, 3).await;
    age(&mut owner, &grown, 4).await;
    // A span that comes late keeps its trace.
    post(&server, &export("shop", &[of(&grown, span(&id(3), &id(1), &json!({})))])).await;
    // More than one statement deletes.
    let many = "insert into apex.traces (tenant_id, trace_id, span_count, seen_on)
                select 'default', gen_random_uuid(), 100, current_date - 100 + n % 50 from generate_series(1, 300) n;
                insert into apex.spans (tenant_id, trace_id, sent_by, span_id, status, completeness, content_id)
                select t.tenant_id, t.trace_id, '00000000-0000-0000-0000-000000000000', n, 0, 0, gen_random_uuid()
                from apex.traces t, generate_series(1, 100) n where t.span_count = 100";
    sqlx::raw_sql(many).execute(&mut owner).await.unwrap();
    assert_eq!(count(&mut owner, "spans").await, 30_007);
    run_retention_at(&database, "now").await;
    let mut other = database.owner().await;
    wait_until("expired traces are deleted", async || count(&mut database.owner().await, "traces").await == 2).await;
    assert_eq!(count(&mut other, "spans").await, 5, "2 of the recent one, and 3 of the one that grew");
    assert!(trace(&database, &server, &old, 5).await.is_null());
    assert_eq!(trace(&database, &server, &recent, 5).await["spanCount"], 2);
    assert_eq!(trace(&database, &server, &grown, 5).await["spanCount"], 3);
    assert_eq!(total(&database, &server).await.0, 3, "what was charged stays");
    server.kill().await;
    let server = database.serve(&["--span-retention-days", "0"]).await;
    run_retention_at(&database, "now").await;
    wait_until("all are deleted", async || count(&mut database.owner().await, "spans").await == 0).await;
    post(&server, &export("shop", &[span(&id(1), "", &chat("gpt-4o", 10, 1))])).await;
    assert_eq!((count(&mut owner, "spans").await, total(&database, &server).await.0), (0, 4));
    // What is not kept is not missing: nothing is said of it.
    assert_eq!(post(&server, &beyond_a_request()).await, json!({}));
    assert_eq!((count(&mut owner, "traces").await, count(&mut owner, "spans").await), (0, 0));
    server.kill().await;
}

fn trace_id(number: u64) -> String {
    format!("{number:032x}")
}

/// A request with 110 spans more than are kept of one: 8,350 of each of six traces, and 10 of a seventh one.
fn beyond_a_request() -> Value {
    let span = |n: u64| {
        let (trace_id, span_id) = (trace_id(1 + n / 8_350), id(1 + n));
        json!({ "traceId": trace_id, "spanId": span_id, "startTimeUnixNano": "1773136800000000000" })
    };
    export("shop", &(0..50_110).map(span).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_says_that_spans_beyond_the_limit_of_a_request_are_missing() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let response = post(&server, &beyond_a_request()).await;
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap_or_else(|| panic!("{response}"));
    assert!(message.starts_with("110 spans are not kept") && message.contains("more than 50000 of them"), "{message}");
    // Of the last trace no span was kept. One that comes later is a part of a trace that lacks some.
    assert!(trace(&database, &server, &trace_id(7), 5).await.is_null());
    assert_eq!(post(&server, &export("shop", &[of(&trace_id(7), span(&id(1), "", &json!({})))])).await, json!({}));
    let query = "query ($id: String!) { trace(id: $id) { spanCount isTruncated } }";
    for (number, count, is_truncated) in [(1, 8_350, false), (5, 8_350, false), (6, 8_250, true), (7, 1, true)] {
        let found = server.graphql(query, json!({ "id": trace_id(number) })).await["trace"].take();
        assert_eq!(found, json!({ "spanCount": count, "isTruncated": is_truncated }), "trace {number}");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_totals_of_a_trace_read_a_limited_number_of_calls() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    assert_eq!(post(&server, &export("shop", &[span(&id(1), "", &chat("gpt-4o", 10, 1))])).await, json!({}));
    let drawn = trace(&database, &server, TRACE, 5).await;
    assert_eq!(drawn["totals"]["calls"], 1);
    let query = "query ($id: String!) { trace(id: $id) { spanCount totals { calls inputTokens cost } } }";
    // Each of the others is the same call with another id.
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(column_name), ', ') from information_schema.columns
         where table_schema = 'apex' and table_name = 'calls' and column_name <> 'call_id'",
    )
    .fetch_one(&mut database.owner().await)
    .await
    .unwrap();
    let more = |count: u32| {
        format!(
            "insert into apex.calls (call_id, {columns}) select gen_random_uuid(), {columns}
                 from (select * from apex.calls limit 1) c, generate_series(1, {count})"
        )
    };
    sqlx::raw_sql(AssertSqlSafe(more(99_999))).execute(&mut database.owner().await).await.unwrap();
    let all = server.graphql(query, json!({ "id": TRACE })).await["trace"]["totals"].take();
    assert_eq!((&all["calls"], &all["inputTokens"]), (&json!(100_000), &json!("1000000")), "{all}");
    sqlx::raw_sql(AssertSqlSafe(more(1))).execute(&mut database.owner().await).await.unwrap();
    let answer = server.graphql_response(query, json!({ "id": TRACE })).await;
    let rest = &answer["data"]["trace"];
    assert!(rest["spanCount"] == 1 && rest["totals"].is_null(), "the rest of the trace is answered: {answer}");
    assert_eq!(answer["errors"][0]["extensions"]["reason"], "TOO_MANY_CALLS", "{answer}");
    // No event is about them.
    let others =
        "delete from apex.calls where call_id not in (select stream_id from apex.streams where category = 'call')";
    sqlx::raw_sql(others).execute(&mut database.owner().await).await.unwrap();
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_beyond_the_limit_of_a_trace_are_counted_and_their_calls_recorded() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let plain = |numbers: std::ops::Range<u64>| numbers.map(|n| span(&id(n), "", &json!({}))).collect::<Vec<_>>();
    assert_eq!(post(&server, &export("shop", &plain(1..9_991))).await, json!({}));
    let mut more = plain(9_991..10_051);
    more.push(span(&id(20_000), "", &chat("gpt-4o", 10, 1)));
    let other = of(&"7".repeat(32), span(&id(1), "", &json!({})));
    more.push(other);
    let response = post(&server, &export("shop", &more)).await;
    let partial = &response["partialSuccess"];
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("51 spans are not kept") && message.contains("more than 10000 of them"), "{message}");
    assert!(partial["rejectedSpans"].is_null() || partial["rejectedSpans"] == "0", "{partial}");
    let drawn = trace(&database, &server, TRACE, 500).await;
    assert_eq!((&drawn["spanCount"], &drawn["isTruncated"]), (&json!(10_000), &json!(true)));
    assert_eq!(drawn["spans"].as_array().unwrap().len(), 10_000);
    assert_eq!(drawn["totals"]["calls"], 1, "the call of a span that is not kept");
    assert_eq!(trace(&database, &server, &"7".repeat(32), 5).await["isTruncated"], false);
    // Spans that are kept may still grow.
    let grown = super::with(span(&id(5), "", &json!({})), &json!({ "endTimeUnixNano": "1773136809000000000" }));
    assert_eq!(post(&server, &export("shop", &[grown])).await, json!({}));
    let query = "query ($id: String!) { trace(id: $id) { durationUs } }";
    assert_eq!(server.graphql(query, json!({ "id": TRACE })).await["trace"]["durationUs"], 9_000_000);
    let metrics = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("apex_otlp_spans_total{outcome=\"left_out\"} 51"), "{metrics}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_whose_spans_cannot_be_kept_now_is_to_be_retried() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let body = export("shop", &[span(&id(1), "", &json!({}))]);
    let mut owner = database.owner().await;
    // As an administrator does who shuts the server down: SQLSTATE 57P01.
    let fail = "create function apex.fail() returns trigger language plpgsql as $$
                begin raise exception 'down' using errcode = '57P01'; end $$;
                create trigger fail before insert on apex.traces execute function apex.fail()";
    sqlx::raw_sql(fail).execute(&mut owner).await.unwrap();
    let request = testkit::http_client().post(format!("{}/v1/traces", server.address)).header(JSON.0, JSON.1);
    let response = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    sqlx::raw_sql("drop trigger fail on apex.traces").execute(&mut owner).await.unwrap();
    assert_eq!(post(&server, &body).await, json!({}));
    assert_eq!(trace(&database, &server, TRACE, 5).await["spanCount"], 1);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_are_not_kept_and_texts_are_clipped() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let secret = "the-launch-code";
    let contents = json!({
        "gen_ai.input.messages": secret, "gen_ai.prompt.0.content": secret, "input.value": secret,
        "ai.response.text": secret, "db.query.text": secret,
    });
    let mut span = span(&id(1), "", &with(chat("gpt-4o", 10, 1), &contents));
    span["name"] = json!(format!("a\u{0}b{}", "é".repeat(1_000)));
    span["status"] = json!({ "code": 2, "message": "\u{0}no".repeat(10_000) });
    span["events"] =
        json!([{ "name": "gen_ai.choice", "attributes": [{ "key": "message", "value": { "stringValue": secret } }] }]);
    span["links"] = json!([{ "traceId": "5".repeat(32), "spanId": id(9), "attributes": [] }]);
    post(&server, &export("shop", &[span])).await;
    let row: String =
        sqlx::query_scalar("select to_jsonb(s)::text from apex.spans s").fetch_one(&database.pool).await.unwrap();
    assert!(!row.contains(secret), "{row}");
    let drawn = trace(&database, &server, TRACE, 5).await;
    let (name, message) = (&drawn["spans"][0]["name"], &drawn["spans"][0]["statusMessage"]);
    let (name, message) = (name.as_str().unwrap(), message.as_str().unwrap());
    assert!(name.starts_with("a bé") && name.len() <= 256, "{name}");
    assert!(message.starts_with("nono") && message.len() <= 1_024, "{message}");
    server.kill().await;
}

/// The ids of the spans that a key sees in the trace of this module; none if it sees no trace.
async fn seen(server: &Server, key: &str) -> Option<Vec<(String, u64)>> {
    let query = format!("{{ trace(id: \"{TRACE}\") {{ totals {{ calls }} spans {{ nodes {{ spanId depth }} }} }} }}");
    let (_, answer) = ask(server, key, &query).await;
    let trace = answer["data"]["trace"].as_object()?;
    let node = |node: &Value| (node["spanId"].as_str().unwrap().to_owned(), node["depth"].as_u64().unwrap());
    Some(trace["spans"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(node).collect())
}

async fn send(server: &Server, key: &str, spans: &[Value]) {
    let headers = [JSON, ("authorization", &*format!("Bearer {key}"))];
    let (status, response) =
        post_as(server, "/v1/traces", &headers, export("shop", spans).to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&response));
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_seen_in_its_tenant_and_by_who_may_read_the_calls_of_its_agents() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let stranger = installation.key("umbrella", "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let (own, other) = (Possessions::create(&server, &admin).await.0, Possessions::create(&server, &admin).await.0);
    let (own, other) = (&*own.agent.to_string(), &*other.agent.to_string());
    let bound = installation.key(tenant().as_str(), "agent", &["--agent", own]).await;
    let rival = installation.key(tenant().as_str(), "agent", &["--agent", other]).await;
    send(&server, &admin, &[span(&id(1), "", &json!({}))]).await;
    send(&server, &bound, &[span(&id(2), &id(1), &chat("gpt-4o", 10, 1)), span(&id(3), &id(2), &json!({}))]).await;
    // Another agent says that it sent the same span, and it ended later: it changes nothing of the first one's.
    let mut claimed = span(&id(2), "", &json!({}));
    claimed["endTimeUnixNano"] = json!("1773136899000000000");
    send(&server, &rival, &[claimed.clone()]).await;
    // Neither does a credential that reports the calls of some agents only, whichever agent it says the span is of.
    claimed["endTimeUnixNano"] = json!("9000000000000000000");
    let claims = [1, 2].map(|number| {
        let mut claimed = claimed.clone();
        claimed["spanId"] = json!(id(number));
        claimed
    });
    let team = installation.run(&["teams", "create", "research"]).await;
    for agent in [own, other] {
        installation.run(&["teams", "add", &team, "--agent", agent]).await;
    }
    let of_team = installation.key(tenant().as_str(), "operator", &["--team", &team]).await;
    let headers = [JSON, ("authorization", &*format!("Bearer {of_team}"))];
    let sent = export("shop", &claims).to_string().into_bytes();
    let (status, answer) = post_as(&server, "/v1/traces", &headers, sent).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(status == StatusCode::OK && answer.contains("2 spans are not kept"), "{status} {answer}");
    let (account, of_other) = scoped_account(&installation).await;
    installation.run(&["roles", "grant", "agent", "--account", &account, "--agent", other]).await;
    wait_until("the role counts", async || {
        let headers = [JSON, ("authorization", &*format!("Bearer {of_other}"))];
        let sent = export("shop", &claims[1..]).to_string().into_bytes();
        post_as(&server, "/v1/traces", &headers, sent).await.0 == StatusCode::OK
    })
    .await;
    // Another tenant has a trace with the same id.
    send(&server, &stranger, &[span(&id(0xa), "", &json!({}))]).await;
    assert_eq!(seen(&server, &stranger).await, Some(vec![(id(0xa), 0)]));
    let whole = [(id(1), 0), (id(2), 1), (id(3), 2), (id(2), 0)];
    assert_eq!(seen(&server, &admin).await.as_deref(), Some(&whole[..]));
    // The span that the other agent claims was not its call.
    let query = format!("{{ trace(id: \"{TRACE}\") {{ spans {{ nodes {{ spanId call {{ model }} }} }} }} }}");
    let (_, answer) = ask(&server, &admin, &query).await;
    let nodes = answer["data"]["trace"]["spans"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let of_call: Vec<_> = nodes.iter().filter(|node| node["spanId"] == id(2)).map(|node| &node["call"]).collect();
    assert_eq!(of_call, [&json!({ "model": "gpt-4o" }), &Value::Null]);
    // A role on one agent shows what belongs to that agent.
    let (account, key) = scoped_account(&installation).await;
    assert_eq!(seen(&server, &key).await, None);
    installation.run(&["roles", "grant", "viewer", "--account", &account, "--agent", own]).await;
    wait_until("the role counts", async || seen(&server, &key).await.is_some()).await;
    assert_eq!(seen(&server, &key).await, Some(vec![(id(2), 0), (id(3), 1)]));
    let (account, key) = scoped_account(&installation).await;
    installation.run(&["roles", "grant", "viewer", "--account", &account, "--agent", other]).await;
    wait_until("the role counts", async || seen(&server, &key).await.is_some()).await;
    assert_eq!(seen(&server, &key).await, Some(vec![(id(2), 0)]));
    for (id, expected) in
        [("x", "NOT_A_TRACE_ID"), (&*"0".repeat(32), "NOT_A_TRACE_ID"), (&*"6".repeat(32), "{\"trace\":null}")]
    {
        let (_, answer) = ask(&server, &admin, &format!("{{ trace(id: \"{id}\") {{ traceId }} }}")).await;
        assert!(answer.to_string().contains(expected), "{answer}");
    }
    server.kill().await;
}
