//! Requests that are taken back.

use super::late::{AGENT, CHAIN, post, spans};
use super::{chat, export, of_agent, report, span, total, with};
use crate::identities::Installation;
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{Server, TestDatabase};
use uuid::Uuid;

const PAYLOAD: &str = "error { code } reversed kept agents searchedTo isComplete failed { call message }";

/// A step of taking back an import.
async fn step(server: &Server, id: &str, after: &Value) -> Value {
    let input = json!({ "importId": id, "reason": "a test run", "after": after });
    let payload = crate::graphql::command(server, "takeBackImport", input, PAYLOAD).await;
    assert_eq!(payload["failed"], json!([]), "{payload}");
    payload
}

/// Takes back an import in one step.
async fn take_back(server: &Server, id: &str) -> Value {
    let payload = step(server, id, &Value::Null).await;
    assert_eq!(payload["isComplete"], true, "{payload}");
    payload
}

fn ids(payload: &Value, list: &str) -> Vec<String> {
    payload[list].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Takes back an import in as many steps as it takes, and returns their number and the calls that were reversed.
async fn take_back_in_steps(server: &Server, id: &str) -> (usize, Vec<String>) {
    let (mut after, mut reversed, mut steps) = (Value::Null, Vec::new(), 0);
    loop {
        let payload = step(server, id, &after).await;
        reversed.extend(ids(&payload, "reversed"));
        (after, steps) = (payload["searchedTo"].clone(), steps + 1);
        if payload["isComplete"] == true {
            return (steps, reversed);
        }
        assert!(steps < 100, "it does not end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_taken_back_leaves_what_the_others_reported() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let summary = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.response.model": "gpt-4o",
                          "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 30 });
    let outer = export("service", &[span(CHAIN, "", &summary)]);
    let outer_id = post(&server, &outer).await;
    let before = total(&database, &server).await;
    assert_eq!((before.0, before.1), (1, 300), "without a call inside, the summary is all that is known");
    let inner = export("service", &spans()[..2]);
    let inner_id = post(&server, &inner).await;
    assert_eq!(post(&server, &inner).await, inner_id, "a retry is the same import");
    assert_ne!(outer_id, inner_id);
    let both = total(&database, &server).await;
    assert_eq!((both.0, both.1), (2, 300), "the summary repeats the calls");
    let taken = take_back(&server, &inner_id).await;
    assert_eq!(
        (taken["reversed"].as_array().unwrap().len(), taken["kept"].as_array().unwrap().len()),
        (2, 0),
        "{taken}"
    );
    assert_eq!(total(&database, &server).await, before, "the summary is charged again");
    // The same content is the same import, and may be sent again.
    assert_eq!(post(&server, &inner).await, inner_id);
    assert_eq!(total(&database, &server).await, both);
    for id in [&outer_id, &inner_id] {
        take_back(&server, id).await;
    }
    assert_eq!(total(&database, &server).await.0, 0);
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}

/// A request with a summary and a call, and one with the calls inside of the summary and the same call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requests_may_be_sent_and_taken_back_in_any_order() {
    let summary = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.response.model": "gpt-4o",
                          "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 30 });
    let shared = spans()[2].clone();
    let requests = [export("service", &[span(CHAIN, "", &summary), shared]), export("service", &spans()[..3])];
    let orders = [[0, 1, 2, 3], [0, 1, 3, 2], [1, 0, 2, 3], [1, 0, 3, 2], [0, 2, 1, 3], [1, 3, 0, 2]];
    let mut found = BTreeMap::new();
    for order in orders {
        let database = TestDatabase::new().await;
        let server = database.serve(&[]).await;
        let (mut ids, mut sent) = ([String::new(), String::new()], BTreeSet::new());
        for step in order {
            if let Some(request) = requests.get(step) {
                ids[step] = post(&server, request).await;
                sent.insert(step);
            } else {
                take_back(&server, &ids[step - 2]).await;
                sent.remove(&(step - 2));
            }
            let totals = total(&database, &server).await;
            let expected = match (sent.contains(&0), sent.contains(&1)) {
                (false, false) => (0, 0),
                (true, false) => (2, 700),
                (_, true) => (3, 700),
            };
            assert_eq!((totals.0, totals.1), expected, "{order:?} after {step}");
            let first = found.entry(sent.clone()).or_insert_with(|| totals.clone());
            assert_eq!(*first, totals, "{order:?} after {step}: the cost is that of what is left");
        }
        database.assert_equals_rebuild(&["calls", "budgets"], &[1, 1000]).await;
    }
    assert_eq!(found.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_may_give_its_requests_an_id() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let id = uuid::Uuid::now_v7().to_string();
    for part in [&spans()[..1], &spans()[1..3]] {
        let request = Client::new().post(format!("{}/v1/traces", server.address));
        let request = request.header("content-type", "application/json").header("x-correlation-id", &id);
        let response = request.body(export("service", part).to_string()).send().await.unwrap();
        assert_eq!(response.headers()["x-correlation-id"], id.as_str());
    }
    assert_eq!(total(&database, &server).await.0, 3);
    let taken = take_back(&server, &id).await;
    assert_eq!(taken["reversed"].as_array().unwrap().len(), 3);
    assert_eq!(taken["agents"].as_array().unwrap().len(), 1, "the service");
    assert_eq!(total(&database, &server).await.0, 0);
}

/// The root ends last, and names 1,000 calls that are charged already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_root_of_many_calls_names_them_and_is_taken_back() {
    const CALLS: i64 = 1_000;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let calls: Vec<_> = (1..=CALLS)
        .map(|number| span(&format!("{:016x}", 0xc000 + number), AGENT, &chat("gpt-4o", 1_000 + number, 1)))
        .collect();
    let calls_id = post(&server, &export("service", &calls)).await;
    let root = export("service", &[spans()[4].clone()]);
    let root_id = post(&server, &root).await;
    let of = async |agent: &str| {
        let report = report(&database, &server, &["AGENT"]).await;
        of_agent(&report, agent).map_or(0, |totals| totals.0)
    };
    assert_eq!((of("planner").await, of("service").await), (CALLS, 0));
    let totals = total(&database, &server).await;
    let largest: i32 = sqlx::query_scalar("select max(octet_length(payload::text)) from apex.events")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(largest < 100_000, "an event of {largest} bytes");
    // The root names nothing any more, in steps of a bounded number of appends.
    let (steps, reversed) = take_back_in_steps(&server, &root_id).await;
    assert!(steps > 1 && reversed.is_empty(), "{steps} steps");
    assert_eq!((of("planner").await, of("service").await), (0, CALLS));
    assert_eq!(total(&database, &server).await, totals);
    let (steps, mut reversed) = take_back_in_steps(&server, &calls_id).await;
    assert!(steps > 3, "{steps} steps, of which each lists up to 500 calls once the spans are gone");
    assert_eq!(reversed.len(), usize::try_from(CALLS).unwrap());
    reversed.sort();
    reversed.dedup();
    assert_eq!(reversed.len(), usize::try_from(CALLS).unwrap(), "a call is listed once");
    assert_eq!(total(&database, &server).await.0, 0);
    let head = database.head().await;
    take_back_in_steps(&server, &calls_id).await;
    assert_eq!(database.head().await, head, "nothing is left of it");
    database.assert_equals_rebuild(&["calls"], &[1000]).await;
}

/// Imports a file with one call, by the id of its response.
async fn import_response(database: &TestDatabase, file: &std::path::Path, id: Uuid, response: &str) -> Value {
    let header = "time,provider,model,response_id,input,output\n";
    std::fs::write(file, format!("{header}2026-03-10T10:00:00Z,openai,gpt-4o,{response},10,2\n")).unwrap();
    let id = id.to_string();
    let arguments = ["import", "csv", file.to_str().unwrap(), "--import-id", &id, "--format", "json"];
    database.run(&arguments).await.assert_success().json()[0].take()
}

/// An outer span, of which a file reported the call too, turns out to repeat a call inside of it, and then not to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_not_counted_again_and_keeps_who_reported_it() {
    const RESPONSE: &str = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let outer = with(chat("gpt-4o", 10, 2), &json!({ "gen_ai.response.id": RESPONSE }));
    let outer_id = post(&server, &export("service", &[span(CHAIN, "", &outer)])).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.csv");
    let [file_id, other_id] = [Uuid::now_v7(), Uuid::now_v7()];
    import_response(&database, &file, file_id, RESPONSE).await;
    let once = total(&database, &server).await;
    assert_eq!((once.0, once.1, once.2), (1, 10, 2));
    let inner = export("service", &[span("00000000000000b1", CHAIN, &chat("gpt-4o", 10, 2))]);
    let inner_id = post(&server, &inner).await;
    assert_eq!(total(&database, &server).await, once, "the outer span repeats the inner one");
    // By the same import, and by another one of the same file.
    for id in [file_id, other_id, other_id] {
        let imported = import_response(&database, &file, id, RESPONSE).await;
        assert_eq!((&imported["imported"], &imported["duplicate"]), (&json!(0), &json!(1)), "{imported}");
        assert_eq!(total(&database, &server).await, once, "importing a file again changes nothing");
    }
    // The control: another call is counted.
    let control_id = Uuid::now_v7();
    let imported = import_response(&database, &file, control_id, "chatcmpl-8QyqpwdfhqwajicIEznoc6Q47XAyX").await;
    assert_eq!(imported["imported"], 1, "{imported}");
    assert_eq!(total(&database, &server).await.0, 2);
    take_back(&server, &control_id.to_string()).await;
    take_back(&server, &inner_id).await;
    assert_eq!(total(&database, &server).await, once, "the outer span is a call again");
    take_back(&server, &outer_id).await;
    assert_eq!(total(&database, &server).await, once, "files reported its call");
    take_back(&server, &file_id.to_string()).await;
    assert_eq!(total(&database, &server).await, once);
    take_back(&server, &other_id.to_string()).await;
    assert_eq!(total(&database, &server).await.0, 0);
    let imported = import_response(&database, &file, file_id, RESPONSE).await;
    assert_eq!(imported["imported"], 1, "{imported}");
    assert_eq!(total(&database, &server).await, once);
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}

/// Sends `takeBackImport` with a key.
async fn take_back_as(server: &Server, key: &str, id: &str) -> Value {
    let query = format!("mutation ($input: TakeBackImportInput!) {{ takeBackImport(input: $input) {{ {PAYLOAD} }} }}");
    let body = json!({ "query": query, "variables": { "input": { "importId": id, "reason": "a test run" } } });
    let request = Client::new().post(format!("{}/graphql", server.address)).bearer_auth(key).json(&body);
    let mut response: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(response.get("errors").is_none(), "{response}");
    response["data"]["takeBackImport"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_key_takes_back_what_is_its_agents_and_withdraws_no_spans_of_others() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let operator = installation.key("acme", "operator", &[]).await;
    let tool = |id, agent: &str, tool: &str| {
        let attributes = json!({ "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool,
                                 "gen_ai.agent.name": agent });
        span(id, AGENT, &attributes)
    };
    let agent = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner" });
    let body = export(
        "service",
        &[
            span(AGENT, "", &agent),
            tool("00000000000000b1", "planner", "search"),
            tool("00000000000000b2", "writer", "write"),
        ],
    );
    let send = async |key: &str| {
        let request = Client::new().post(format!("{}/v1/traces", server.address)).bearer_auth(key).json(&body);
        let response = request.send().await.unwrap();
        let id = response.headers().get("x-correlation-id").map(|id| id.to_str().unwrap().to_owned());
        (response.status().as_u16(), id)
    };
    let (status, import_id) = send(&operator).await;
    let import_id = import_id.unwrap();
    assert_eq!(status, 200);
    let count = async |kind: &str| -> i64 {
        let sql = "select count(*) from apex.events where type = $1";
        sqlx::query_scalar(sql).bind(kind).fetch_one(&installation.database.pool).await.unwrap()
    };
    assert_eq!((count("call.recorded").await, count("trace.spans_recorded").await), (2, 1));
    let sql =
        "select payload ->> 'agent_id' from apex.events where type = 'call.recorded' and payload ->> 'tool' = 'search'";
    let planner: String = sqlx::query_scalar(sql).fetch_one(&installation.database.pool).await.unwrap();
    let bound = installation.key("acme", "agent", &["--agent", &planner]).await;
    let taken = take_back_as(&server, &bound, &import_id).await;
    assert_eq!((ids(&taken, "reversed").len(), &taken["failed"]), (1, &json!([])), "{taken}");
    assert_eq!((count("call.reversed").await, count("trace.spans_withdrawn").await), (1, 0));
    // So does a key of a team. The spans of a trace belong to none of its agents.
    let tenant = ["--tenant", "acme"];
    let team = installation.run(&[&["teams", "create", "research"], &tenant[..]].concat()).await;
    installation.run(&[&["teams", "add", &team, "--agent", &planner], &tenant[..]].concat()).await;
    let of_team = installation.key("acme", "operator", &["--team", &team]).await;
    assert_eq!(send(&of_team).await.0, 403);
    assert_eq!(send(&operator).await, (200, Some(import_id.clone())), "the same content is the same import");
    assert_eq!((count("call.recorded").await, count("trace.spans_recorded").await), (3, 1));
    let taken = take_back_as(&server, &of_team, &import_id).await;
    assert_eq!((ids(&taken, "reversed").len(), &taken["failed"]), (1, &json!([])), "{taken}");
    assert_eq!((ids(&taken, "agents").len(), ids(&taken, "kept").len()), (0, 0), "{taken}");
    assert_eq!((count("call.reversed").await, count("trace.spans_withdrawn").await), (2, 0));
    // The control: without a limit to an agent, all of it is taken back.
    let taken = take_back_as(&server, &operator, &import_id).await;
    assert_eq!(ids(&taken, "reversed").len(), 2, "{taken}");
    assert_eq!((count("call.reversed").await, count("trace.spans_withdrawn").await), (3, 1));
    server.kill().await;
}
