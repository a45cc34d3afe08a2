//! Imports that are taken back, and calls that are voided.

use crate::graphql::command;
use crate::import::many_calls;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{ProgramOutput, TestDatabase, sample};
use uuid::Uuid;

const PAYLOAD: &str = "outcome position error { code field } reversed kept agents tasks searchedTo isComplete";

async fn import_as(database: &TestDatabase, id: Uuid, format: &str, file: &str) -> Value {
    let (id, path) = (id.to_string(), if file.contains('/') { file.to_owned() } else { sample(file) });
    let output = database.run(&["import", format, &path, "--import-id", &id, "--format", "json"]).await;
    let output = output.assert_success();
    assert!(output.stderr.contains(&format!("apex import undo {id}")), "{}", output.stderr);
    let counts = output.json();
    assert_eq!(counts[0]["import_id"], json!(id));
    counts[0].clone()
}

async fn undo(database: &TestDatabase, id: Uuid) -> ProgramOutput {
    let id = id.to_string();
    database.run(&["import", "undo", &id, "--reason", "the file of another month", "--format", "json"]).await
}

async fn undone(database: &TestDatabase, id: Uuid) -> Value {
    let output = undo(database, id).await.assert_success().json();
    assert_eq!(output["import_id"], json!(id));
    output
}

fn length(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

/// Reversed calls, kept ones, agents and tasks.
fn counts(undone: &Value) -> (u64, usize, usize, usize) {
    let of = |name: &str| length(&undone[name]);
    (undone["reversed"].as_u64().unwrap(), of("kept"), of("agents"), of("tasks"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_taken_back_leaves_the_totals_as_they_were() {
    for (format, file, expected) in
        [("claude-code", "claude-code.jsonl", (13, 0, 1, 1)), ("otlp", "otlp.json", (38, 0, 0, 0))]
    {
        let database = TestDatabase::new().await;
        import_as(&database, Uuid::now_v7(), "autogpt", "autogpt.jsonl").await;
        let (before, calls) = (database.total().await, calls(&database).await);
        let id = Uuid::now_v7();
        import_as(&database, id, format, file).await;
        assert_ne!(database.total().await, before);
        let first = undone(&database, id).await;
        assert_eq!(counts(&first).0, expected.0, "{file}: {first}");
        assert_eq!(length(&first["kept"]), expected.1);
        assert!(counts(&first).2 >= expected.2 && counts(&first).3 >= expected.3, "{file}: {first}");
        assert_eq!((database.total().await, self::calls(&database).await), (before.clone(), calls), "{file}");
        database.assert_equals_rebuild(&["calls", "budgets", "agents", "tasks"], &[1, 1000]).await;
        let kept: i64 = sqlx::query_scalar("select count(*) from apex.agents").fetch_one(&database.pool).await.unwrap();
        assert!(kept > 2, "what the import created of agents stays");
        // Once more, nothing is written, and the same is said.
        let head = database.head().await;
        assert_eq!(undone(&database, id).await, first);
        assert_eq!(database.head().await, head);
        let (actor, reason): (String, String) = sqlx::query_as(
            "select metadata ->> 'actor', payload ->> 'reason' from apex.events where type = 'call.reversed' limit 1",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap();
        assert_eq!([actor.as_str(), reason.as_str()], ["command line", "the file of another month"]);
        // Imported again, it is all there again.
        let again = import_as(&database, id, format, file).await;
        assert_eq!(again["imported"], json!(expected.0), "{again}");
        database.verify_log().await;
    }
}

/// Each call with its version, so that a call that stays is seen to be untouched.
async fn calls(database: &TestDatabase) -> Vec<(Uuid, i64)> {
    sqlx::query_as("select call_id, version from apex.calls order by call_id").fetch_all(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_two_imports_reported_stay_until_both_are_taken_back() {
    let database = TestDatabase::new().await;
    let [one, two] = [Uuid::now_v7(), Uuid::now_v7()];
    import_as(&database, one, "autogpt", "autogpt.jsonl").await;
    let before = database.total().await;
    let second = import_as(&database, two, "autogpt", "autogpt.jsonl").await;
    assert_eq!((&second["imported"], &second["duplicate"]), (&json!(0), &json!(37)));
    assert_eq!(database.total().await, before);
    let first = undone(&database, one).await;
    assert_eq!((counts(&first).0, counts(&first).1), (0, 37), "{first}");
    assert_eq!(database.total().await, before);
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
    let last = undone(&database, two).await;
    assert_eq!((counts(&last).0, counts(&last).1), (37, 0), "{last}");
    assert_eq!(database.total().await["calls"], 0);
    database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_which_the_import_added_facts_stays() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let report = json!({ "provider": "openai", "model": "gpt-4o", "responseId": "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW",
                         "usage": { "input": 10 }, "startedAt": "2024-09-24T11:20:58Z" });
    let reported = command(&server, "reportCall", report, "call { id }").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.csv");
    let header = "time,provider,model,response_id,input,output,user\n";
    let row = "2024-09-24T11:20:59Z,openai,gpt-4o,chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW,10,5,ada\n";
    std::fs::write(&path, format!("{header}{row}")).unwrap();
    let id = Uuid::now_v7();
    let imported = import_as(&database, id, "csv", path.to_str().unwrap()).await;
    assert_eq!(imported["amended"], 1, "{imported}");
    let before = database.total().await;
    let undone = undone(&database, id).await;
    assert_eq!((counts(&undone).0, counts(&undone).1), (0, 1), "{undone}");
    assert_eq!(database.total().await, before);
    let head = database.head().await.to_string();
    let call = server
        .graphql(
            "query ($id: ID!, $at: Position!) { call(id: $id, minPosition: $at) { user usage { output } version } }",
            json!({ "id": reported["call"]["id"], "at": head }),
        )
        .await["call"]
        .take();
    assert_eq!((&call["user"], &call["usage"]["output"], &call["version"]), (&json!("ada"), &json!(5), &json!(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_reported_directly_after_an_import_stays() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let response = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.csv");
    let header = "time,provider,model,response_id,input,output\n";
    std::fs::write(&path, format!("{header}2024-09-24T11:20:58Z,openai,gpt-4o,{response},10,5\n")).unwrap();
    let id = Uuid::now_v7();
    import_as(&database, id, "csv", path.to_str().unwrap()).await;
    let before = database.total().await;
    // It says nothing new, twice.
    for outcome in ["DONE", "ALREADY_DONE"] {
        let report = json!({ "provider": "openai", "model": "gpt-4o", "responseId": response, "source": "csv",
                             "usage": { "input": 10 }, "startedAt": "2024-09-24T11:20:58Z" });
        let reported = command(&server, "reportCall", report, "outcome error { code }").await;
        assert_eq!(reported["outcome"], outcome, "{reported}");
    }
    let sql = "select payload::text from apex.events where type = 'call.confirmed'";
    let confirmed: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap();
    assert_eq!(confirmed, [r#"{"reported_by":{}}"#]);
    let taken = undone(&database, id).await;
    assert_eq!((counts(&taken).0, counts(&taken).1), (0, 1), "{taken}");
    assert_eq!(database.total().await, before);
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_back_goes_on_after_a_kill() {
    const CALLS: usize = 2500;
    let database = TestDatabase::new().await;
    let file = many_calls(CALLS);
    import_as(&database, Uuid::now_v7(), "claude-code", "claude-code.jsonl").await;
    let before = database.total().await;
    let id = Uuid::now_v7();
    import_as(&database, id, "autogpt", file.path().to_str().unwrap()).await;
    let head = database.head().await;
    let mut hold = database.block_appends_at(head + CALLS as i64 - 400).await;
    for target in [200, 1100] {
        let mut child =
            database.apex(&["import", "undo", &id.to_string(), "--reason", "wrong", "--no-wait"]).spawn().unwrap();
        while database.head().await < head + target {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.unwrap();
        hold.terminate_other_connections().await;
    }
    assert!(database.head().await < head + CALLS as i64, "it was killed too late: the test proves nothing");
    hold.release().await;
    let undone = undone(&database, id).await;
    assert_eq!((counts(&undone).0, counts(&undone).1), (CALLS as u64, 0));
    assert_eq!(database.head().await, head + CALLS as i64, "each call is reversed once");
    assert_eq!(database.total().await, before);
    database.assert_equals_rebuild(&["calls", "budgets"], &[1000]).await;
    database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_not_in_the_log_is_refused() {
    let database = TestDatabase::new().await;
    let id = Uuid::now_v7();
    let refused = undo(&database, id).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(&format!("the log has no import {id}")), "{}", refused.stderr);
    for bad in [&["import", "undo", "7", "--reason", "x"][..], &["import", "undo", &id.to_string()]] {
        assert_eq!(database.run(bad).await.code, Some(2), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_are_taken_back_step_by_step_over_the_api() {
    const CALLS: usize = 1200;
    let database = TestDatabase::new().await;
    let file = many_calls(CALLS);
    let [id, other] = [Uuid::now_v7(), Uuid::now_v7()];
    import_as(&database, other, "claude-code", "claude-code.jsonl").await;
    let before = database.total().await;
    import_as(&database, id, "autogpt", file.path().to_str().unwrap()).await;
    let server = database.serve(&[]).await;
    let (mut after, mut steps, mut reversed) = (json!("0"), 0, std::collections::BTreeSet::new());
    loop {
        let input = json!({ "importId": id, "reason": "wrong file", "after": after });
        let step = command(&server, "takeBackImport", input, PAYLOAD).await;
        assert_eq!(step["error"], Value::Null, "{step}");
        assert!(length(&step["reversed"]) <= 500 && length(&step["kept"]) == 0);
        for id in step["reversed"].as_array().unwrap() {
            assert!(reversed.insert(id.as_str().unwrap().to_owned()), "listed once");
        }
        (after, steps) = (step["searchedTo"].clone(), steps + 1);
        if step["isComplete"] == true {
            break;
        }
    }
    assert_eq!((steps, reversed.len()), (3, CALLS));
    let position = database.head().await.to_string();
    server
        .graphql(
            "query ($at: Position!) { calls(first: 1, minPosition: $at) { nodes { id } } }",
            json!({ "at": position }),
        )
        .await;
    assert_eq!(database.total().await, before);
    let input = json!({ "importId": id, "reason": "wrong file" });
    let again = command(&server, "takeBackImport", input, PAYLOAD).await;
    assert_eq!((&again["outcome"], &again["position"]), (&json!("ALREADY_DONE"), &Value::Null));
    assert_eq!(length(&again["reversed"]), 500, "what was done is listed again");
    let head = database.head().await;
    for reason in [String::new(), "x".repeat(1025)] {
        let input = json!({ "importId": other, "reason": reason });
        let bad = command(&server, "takeBackImport", input, PAYLOAD).await;
        assert_eq!((&bad["outcome"], &bad["error"]["field"]), (&json!("REJECTED"), &json!("reason")));
    }
    assert_eq!(database.head().await, head);
    let input = json!({ "importId": other, "reason": "x".repeat(1024) });
    assert_eq!(command(&server, "takeBackImport", input, PAYLOAD).await["outcome"], "DONE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_call_is_not_counted_and_stays_so() {
    let database = TestDatabase::new().await;
    let id = Uuid::now_v7();
    import_as(&database, id, "autogpt", "autogpt.jsonl").await;
    let server = database.serve(&[]).await;
    let nodes = server.graphql("{ calls(first: 1) { nodes { id cost } } }", json!({})).await["calls"]["nodes"].take();
    let call = nodes[0]["id"].clone();
    let select = "outcome error { code } call { id }";
    let void = |reason: &str| json!({ "id": call, "reason": reason });
    let voided = command(&server, "voidCall", void("a test"), select).await;
    assert_eq!((&voided["outcome"], &voided["call"]), (&json!("DONE"), &Value::Null), "{voided}");
    assert_eq!(command(&server, "voidCall", void("once more"), select).await["outcome"], "ALREADY_DONE");
    let corrected = json!({ "id": call, "reason": "test", "values": { "user": "ada" } });
    assert_eq!(command(&server, "correctCall", corrected, select).await["error"]["code"], "VOID");
    let again = database.run(&["import", "autogpt", &sample("autogpt.jsonl"), "--format", "json"]).await;
    assert_eq!((again.code, &again.json()[0]["refused"]), (Some(3), &json!(1)), "{}", again.stderr);
    assert!(again.stderr.contains("voided by a command"), "{}", again.stderr);
    assert_eq!(database.total().await["calls"], 36);
    let unknown = json!({ "id": Uuid::now_v7(), "reason": "a test" });
    assert_eq!(command(&server, "voidCall", unknown, select).await["error"]["code"], "NOT_REPORTED");
    database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
}
