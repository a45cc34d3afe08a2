//! Formats of other tools, imported by the program: recognised, from folders, twice and in other orders, with the owners of
//! calls that several sessions have. The totals were worked out by hand.

use crate::otlp::{chat, export, span, with};
use serde_json::{Value, json};
use std::path::Path;
use testkit::{ProgramOutput, TestDatabase};

const SESSIONS: [&str; 2] = ["11111111-aaaa-4bbb-8ccc-000000000001", "22222222-aaaa-4bbb-8ccc-000000000002"];

/// A response in the log of a session of Claude Code.
fn response(session: &str, id: &str, [input, output]: [u64; 2]) -> String {
    json!({ "type": "assistant", "sessionId": session, "requestId": format!("req_{id}"), "uuid": format!("u-{id}"),
            "timestamp": "2026-03-10T10:00:00Z", "message": { "id": format!("msg_{id}"),
            "model": "claude-sonnet-4-5-20250929", "usage": { "input_tokens": input, "output_tokens": output } } })
    .to_string()
}

fn write(folder: &Path, path: &str, content: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

async fn import(database: &TestDatabase, arguments: &[&str]) -> ProgramOutput {
    database.run(&[&["import"], arguments].concat()).await
}

#[track_caller]
fn assert_total(total: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&total[field], value, "{field} of {total}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_imported_with_the_sessions_of_sub_agents_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let session = format!("-home-dev-shop/{}", SESSIONS[0]);
    write(folder.path(), &format!("{session}.jsonl"), &response(SESSIONS[0], "a", [100, 50]));
    write(folder.path(), &format!("{session}/subagents/agent-a1.jsonl"), &response(SESSIONS[0], "s1", [1000, 500]));
    let workflow = format!("{session}/subagents/workflows/wf_1");
    write(folder.path(), &format!("{workflow}/agent-a2.jsonl"), &response(SESSIONS[0], "s2", [2000, 700]));
    let journal = "{\"type\":\"started\",\"key\":\"k1\",\"agentId\":\"a2\"}\n{\"type\":\"result\",\"key\":\"k1\"}\n";
    write(folder.path(), &format!("{workflow}/journal.jsonl"), journal);
    let folder = folder.path().to_str().unwrap();
    for arguments in [&["claude-code", folder][..], &[folder]] {
        let database = TestDatabase::new().await;
        for _ in 0..2 {
            let output = import(&database, arguments).await.assert_success();
            assert!(
                output.stderr.contains("skipped: ") && output.stderr.contains("journal.jsonl"),
                "{}",
                output.stderr
            );
        }
        let right = json!({"calls": 3, "input_tokens": 3100, "output_tokens": 1250, "cost": "0.02805"});
        assert_total(&database.total().await, &right);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_format_is_recognised_or_the_candidates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log", &response(SESSIONS[0], "a", [100, 50]));
    write(folder.path(), "notes.txt", "hello");
    let conversation = "{\"messages_display\":\"user: hi\"}";
    write(folder.path(), "conversation.jsonl", conversation);
    let both = "{\"resourceSpans\":[],\"timestamp\":0,\"input_length\":1,\"output_length\":1}";
    write(folder.path(), "both.json", both);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let database = TestDatabase::new().await;
    import(&database, &[&path("log")]).await.assert_success();
    for (name, code, message) in [
        ("notes.txt", 1, "the format is not recognised; name it: apex import FORMAT FILE, one of autogpt, azure-llm"),
        ("both.json", 1, "the format may be mooncake, otlp; name it"),
        ("conversation.jsonl", 1, "tau-bench files cannot be imported"),
    ] {
        let output = import(&database, &[&path(name)]).await;
        assert_eq!(output.code, Some(code), "{name}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{name}: {}", output.stderr);
    }
    let output = import(&database, &["otpl", &path("log")]).await;
    assert!(output.stderr.contains("otpl is neither a format nor a file"), "{}", output.stderr);
    // A folder without calls has none.
    let empty = tempfile::tempdir().unwrap();
    write(empty.path(), "notes.txt", "hello");
    assert_eq!(import(&database, &[empty.path().to_str().unwrap()]).await.code, Some(4));
    assert_total(&database.total().await, &json!({"calls": 1}));
}

/// Each session has a copy of the same calls, with the same times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_copies_of_calls_belong_to_one_session_in_every_order() {
    let mut lines: Vec<String> =
        (0..60).flat_map(|call| SESSIONS.map(|session| response(session, &format!("o{call}"), [10, 1]))).collect();
    let owners = "select distinct conversation, agent_id::text, task_id::text from apex.calls";
    let mut found = Vec::new();
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "both.jsonl", &lines.join("\n"));
        let database = TestDatabase::new().await;
        let path = folder.path().join("both.jsonl");
        for _ in 0..2 {
            import(&database, &["claude-code", path.to_str().unwrap()]).await.assert_success();
        }
        assert_total(&database.total().await, &json!({"calls": 60, "input_tokens": 600, "cost": "0.0027"}));
        let rows: Vec<(String, String, String)> = sqlx::query_as(owners).fetch_all(&database.pool).await.unwrap();
        found.push(rows);
        lines.reverse();
        lines.rotate_left(7);
    }
    assert_eq!(found[0].len(), 1, "agent, task and conversation are those of one session: {found:?}");
    assert_eq!(found[0][0].0, SESSIONS[0], "the lowest id, of sessions with the same time");
    assert!(found.iter().all(|rows| *rows == found[0]), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complete_records_on_a_damaged_line_are_read_and_the_rest_is_refused() {
    let (a, b) = (response(SESSIONS[0], "a", [100, 50]), response(SESSIONS[0], "b", [200, 60]));
    let lines = [format!("\0\0\0{a}"), format!("{}{b}", &a[..90]), format!("{a}{b}")];
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log.jsonl", &lines.join("\n"));
    let path = folder.path().join("log.jsonl");
    let database = TestDatabase::new().await;
    let output = import(&database, &["claude-code", path.to_str().unwrap(), "--format", "json"]).await;
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    let counts = &output.json()[0];
    assert_eq!((&counts["refused"], &counts["imported"]), (&json!(2), &json!(2)), "{counts}");
    assert!(output.stderr.contains("line 1: beside 1 complete records, the line is damaged"), "{}", output.stderr);
    assert_total(&database.total().await, &json!({"calls": 2, "input_tokens": 300, "output_tokens": 110}));
}

/// At 2.5, 10 and 1.25 dollars per million tokens of input, output and cache reads: (200 × 2.5 + 1000 × 1.25 + 80 × 10) ÷ 10⁶.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_in_three_formats_is_charged_once() {
    let id = "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW";
    let usage = json!({ "prompt_tokens": 1200, "completion_tokens": 80, "total_tokens": 1280,
                        "prompt_tokens_details": { "cached_tokens": 1000 } });
    let spend = json!({ "request_id": id, "call_type": "acompletion", "spend": 0.01, "model": "gpt-4o-2024-08-06",
                        "custom_llm_provider": "openai", "startTime": "2025-05-01T10:00:00Z", "prompt_tokens": 1200,
                        "completion_tokens": 80, "metadata": { "usage_object": usage } });
    let body = json!({ "id": id, "object": "chat.completion", "created": 1_746_093_600, "model": "gpt-4o-2024-08-06", "usage": usage });
    let cassette = format!(
        "interactions:\n- request:\n    method: POST\n    uri: https://api.openai.com/v1/chat/completions\n  response:\n    body:\n      \
         string: '{body}'\n    status:\n      code: 200\nversion: 1\n"
    );
    let table = format!(
        "when,model,provider,prompt,cached,output,id\n2025-05-01 10:00:00,gpt-4o-2024-08-06,openai,1200,1000,80,{id}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "spend.json", &json!([spend]).to_string());
    write(folder.path(), "cassette.yaml", &cassette);
    write(folder.path(), "table.csv", &table);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (spend, cassette, table) = (path("spend.json"), path("cassette.yaml"), path("table.csv"));
    let columns = ["--column", "time=when", "--column", "cache_read=cached", "--column", "response_id=id"];
    let imports = [vec![spend.as_str()], vec![cassette.as_str()], [&["csv", table.as_str()], &columns[..]].concat()];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let database = TestDatabase::new().await;
        for at in order.iter().chain(&order) {
            import(&database, &imports[*at]).await.assert_success();
        }
        let right = json!({"calls": 1, "input_tokens": 200, "cache_read_tokens": 1000, "output_tokens": 80, "cost": "0.00255",
                           "reported_cost": "0.01"});
        assert_total(&database.total().await, &right);
        database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
    }
}

/// Nothing that a file of spans states about usage is dropped in silence.
#[tokio::test]
async fn what_spans_of_a_file_state_about_usage_and_is_not_counted_is_named() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let agent = with(chat("gpt-4o", 100, 50), &json!({ "gen_ai.operation.name": "invoke_agent" }));
    let counted = with(chat("gpt-4o", 10, 2), &json!({ "gen_ai.usage.new_tokens": 5 }));
    let unmeasured =
        json!({ "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o" });
    let [outer, inner, other] = ["00000000000000a1", "00000000000000c1", "00000000000000c2"];
    let spans = [span(outer, "", &agent), span(inner, outer, &counted), span(other, outer, &unmeasured)];
    let path = folder.path().join("spans.json");
    std::fs::write(&path, export("shop", &spans).to_string()).unwrap();
    let output = database.run(&["import", "otlp", path.to_str().unwrap(), "--format", "json"]).await.assert_success();
    assert_eq!(
        (&output.json()[0]["imported"], &output.json()[0]["ignored"]),
        (&json!(1), &json!(3)),
        "{}",
        output.stderr
    );
    for named in [
        "the attribute \"gen_ai.usage.new_tokens\" of 1 spans is not understood",
        "1 spans are calls to models, but state no usage",
        "the span 00000000000000a1 sums up to",
    ] {
        assert!(output.stderr.contains(named), "{named}: {}", output.stderr);
    }
}
