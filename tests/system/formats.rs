//! Formats of other tools, imported by the program: recognised, from folders, twice and in other orders, with the owners of
//! calls that several sessions have. The totals were worked out by hand.

use crate::otlp::{chat, export, span, with};
use ingest::Format;
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

/// A file of each format with one call, with the options that name what it does not state. `None` is a format whose files cannot
/// be told from others, and has to be named.
#[allow(clippy::too_many_lines, reason = "a table")]
fn files_of_formats() -> Vec<(Format, &'static [&'static str], Option<String>)> {
    let at: &[&str] = &["--at", "2025-01-01T00:00:00Z", "--model", "gpt-4o"];
    let usage = json!({ "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 });
    let counted = json!({ "input_tokens": 100, "cached_input_tokens": 0, "output_tokens": 10, "total_tokens": 110 });
    let codex = [
        json!({ "timestamp": "2025-10-01T12:00:00.000Z", "type": "session_meta", "payload": { "id": "s1" } }),
        json!({ "timestamp": "2025-10-01T12:00:01.000Z", "type": "turn_context", "payload": { "turn_id": "t1", "model": "gpt-4o" } }),
        json!({ "timestamp": "2025-10-01T12:00:02.000Z", "type": "event_msg", "payload": { "type": "token_count",
                "info": { "total_token_usage": counted, "last_token_usage": counted } } }),
    ];
    let model = json!({ "event": "model", "timestamp": "2025-05-12T20:27:44Z", "model": "openai/gpt-4o",
                        "output": { "model": "gpt-4o", "usage": { "input_tokens": 100, "output_tokens": 10, "total_tokens": 110 } } });
    let trace = "3a8f16d9764f0ca8fbb82b5ae4d117d9";
    let tag = |key: &str, value: Value| json!({ "key": key, "value": value });
    let observation = json!({ "id": "b38a82eaa62b551e", "traceId": trace, "type": "GENERATION", "model": "gpt-4o",
                              "startTime": "2025-06-11T14:01:32Z", "usageDetails": { "input": 100, "output": 10, "total": 110 } });
    let response = json!({ "id": "chatcmpl-908MD9ivBBLb6EaIjlqwFokntayQK", "object": "chat.completion", "created": 1_709_819_153,
                           "model": "gpt-4o", "usage": usage });
    let file = |text: Value| Some(text.to_string());
    vec![
        (
            Format::Autogpt,
            &[],
            file(
                json!({ "run": "r", "challenge": "c", "id": "1", "created": 1_695_554_458, "model": "gpt-4o", "usage": usage }),
            ),
        ),
        (
            Format::AzureLlm,
            &["--model", "gpt-4o"],
            Some("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,100,10\n".to_owned()),
        ),
        (Format::ClaudeCode, &[], Some(response_line([100, 10]))),
        (Format::Codex, &[], Some(codex.map(|line| line.to_string()).join("\n"))),
        (Format::Csv, &[], None),
        (
            Format::Inspect,
            &[],
            file(
                json!({ "version": 2, "eval": { "eval_id": "V", "task": "t" }, "samples": [{ "id": 1, "epoch": 1, "events": [model] }] }),
            ),
        ),
        (
            Format::Jaeger,
            &[],
            file(json!({ "data": [{ "traceID": trace, "spans": [{ "traceID": trace, "spanID": "0c728e555894414d",
            "operationName": "chat", "startTime": 1_771_237_534_579_946_u64, "duration": 1, "processID": "p1", "tags": [
                tag("gen_ai.usage.input_tokens", json!(100)), tag("gen_ai.usage.output_tokens", json!(10)),
                tag("gen_ai.response.model", json!("gpt-4o")) ] }], "processes": { "p1": { "serviceName": "shop" } } }] })),
        ),
        (Format::Jsonl, &[], None),
        (
            Format::Langfuse,
            &[],
            file(json!({ "trace": { "id": trace, "name": "run" }, "observations": [observation] })),
        ),
        (
            Format::LiteLlm,
            &[],
            file(
                json!([{ "request_id": "chatcmpl-908MD9ivBBLb6EaIjlqwFokntayQK", "call_type": "acompletion", "spend": 0.1,
            "model": "gpt-4o", "custom_llm_provider": "openai", "startTime": "2025-05-01T10:00:00Z", "prompt_tokens": 100,
            "completion_tokens": 10, "total_tokens": 110 }]),
            ),
        ),
        (
            Format::Mooncake,
            at,
            Some("{\"timestamp\":0,\"input_length\":100,\"output_length\":10,\"hash_ids\":[0]}\n".to_owned()),
        ),
        (
            Format::OpenHands,
            &[],
            file(json!([{ "id": 3, "timestamp": "2025-01-20T20:29:13.519638", "source": "agent", "action": "run",
            "tool_call_metadata": { "model_response": response } }])),
        ),
        (Format::Otlp, &[], file(export("shop", &[span("00000000000000a1", "", &chat("gpt-4o", 100, 10))]))),
        (Format::Responses, &["--provider", "openai"], file(response.clone())),
        (
            Format::SweAgent,
            at,
            file(json!({ "environment": "main", "trajectory": [{ "action": "ls" }], "history": [],
            "info": { "exit_status": "submitted", "model_stats": { "instance_cost": 0.1, "tokens_sent": 100, "tokens_received": 10, "api_calls": 1 } } })),
        ),
        (Format::TauBench, &[], file(json!({ "messages_display": "user: hi" }))),
    ]
}

fn response_line(usage: [u64; 2]) -> String {
    response(SESSIONS[0], "a", usage)
}

/// No format has to be named that can be told by its content, wherever the file comes from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_recognised_without_its_name() {
    let files = files_of_formats();
    let formats: Vec<_> = files.iter().map(|(format, ..)| *format).collect();
    assert_eq!(formats, Format::ALL, "each format has a file");
    for (format, options, content) in files {
        let folder = tempfile::tempdir().unwrap();
        // Neither its name nor its ending says what it is.
        let path = folder.path().join("file");
        let named = content.is_some();
        std::fs::write(&path, content.unwrap_or_else(|| "time,input\n2025-05-01 10:00:00,1\n".to_owned())).unwrap();
        let database = TestDatabase::new().await;
        let arguments = [&[path.to_str().unwrap()], options].concat();
        let output = import(&database, &[&arguments[..], &["--format", "json"]].concat()).await;
        let format = format.as_str();
        match (format, named) {
            ("tau-bench", _) => {
                assert_eq!(output.code, Some(1), "{}", output.stderr);
                assert!(output.stderr.contains("tau-bench files cannot be imported"), "{}", output.stderr);
            }
            (_, false) => {
                assert_eq!(output.code, Some(1), "{}", output.stderr);
                assert!(output.stderr.contains("name it: apex import FORMAT FILE"), "{}", output.stderr);
                assert!(output.stderr.contains(format), "{format}: {}", output.stderr);
            }
            (_, true) => {
                assert_eq!(output.code, Some(0), "{format}: {}", output.stderr);
                let report = &output.json()[0];
                assert_eq!(report["imported"], 1, "{format}: {report}");
                let query = "select payload->>'source' from apex.events where type = 'call.recorded'";
                let source: String = sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap();
                // Jaeger's traces are those of OpenTelemetry.
                assert_eq!(source, if format == "jaeger" { "otlp" } else { format });
                let right = json!({"calls": 1, "input_tokens": 100, "output_tokens": 10});
                assert_total(&database.total().await, &right);
            }
        }
    }
}

/// The progress of a sub-agent repeats its message, which is in a file of its own; other lines are no responses.
#[tokio::test]
async fn a_response_inside_of_a_line_of_progress_is_no_call_and_no_refusal() {
    let message: Value = serde_json::from_str(&response(SESSIONS[0], "nested", [100, 50])).unwrap();
    let progress = json!({ "type": "progress", "data": { "type": "agent_progress", "message": message }, "sessionId": SESSIONS[0],
                           "uuid": "u-p", "timestamp": "2026-03-10T10:00:00Z", "toolUseID": "toolu_1" });
    let lines = [progress.to_string(), response(SESSIONS[0], "a", [10, 5]), progress.to_string()];
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log.jsonl", &lines.join("\n"));
    let path = folder.path().join("log.jsonl");
    let database = TestDatabase::new().await;
    let output = import(&database, &[path.to_str().unwrap(), "--format", "json"]).await.assert_success();
    let counts = &output.json()[0];
    assert_eq!(
        ["imported", "refused", "no_calls"].map(|count| &counts[count]),
        [&json!(1), &json!(0), &json!(2)],
        "{counts}"
    );
    assert_total(&database.total().await, &json!({"calls": 1, "input_tokens": 10, "output_tokens": 5}));
    // The file of the sub-agent has the call.
    write(folder.path(), "agent.jsonl", &message.to_string());
    import(&database, &[folder.path().to_str().unwrap()]).await.assert_success();
    assert_total(&database.total().await, &json!({"calls": 2, "input_tokens": 110, "output_tokens": 55}));
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
