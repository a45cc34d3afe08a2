//! Imports with `apex import`: known totals of the samples, invalid input, kills, concurrency and limits.

use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use testkit::{TIMEOUT, TestDatabase, sample};
use tokio::io::AsyncWriteExt;

/// The import arguments of a sample and its totals, computed independently of Apex; see samples/README.md.
pub(crate) fn sample_totals(file: &str) -> (&'static [&'static str], Value) {
    match file {
        "azure-llm.csv" => (
            &["azure-llm", "--provider", "openai", "--model", "gpt-4o"],
            json!({"calls": 60, "input_tokens": 179_439, "output_tokens": 10_824, "cost": "0.5568375"}),
        ),
        "autogpt.jsonl" => (
            &["autogpt"],
            json!({"calls": 37, "input_tokens": 127_736, "output_tokens": 4906, "cost": "0.402832",
                   "reported_cost": "0.402832"}),
        ),
        "claude-code.jsonl" => (
            &["claude-code"],
            json!({"calls": 13, "input_tokens": 91, "output_tokens": 3701, "cache_read_tokens": 182_612,
                   "cache_write_5min_tokens": 32_417, "cost": "0.23213535"}),
        ),
        "otlp.json" => (
            &["otlp"],
            json!({"calls": 22, "tool_calls": 16, "input_tokens": 46_515, "output_tokens": 4951,
                   "cache_read_tokens": 7424, "cache_write_5min_tokens": 1280, "reasoning_tokens": 418,
                   "cost": "0.04300275"}),
        ),
        other => panic!("{other} is not a sample"),
    }
}

#[track_caller]
pub(crate) fn assert_total(total: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&total[field], value, "{field} of {total}");
    }
}

pub(crate) async fn import(database: &TestDatabase, file: &str) -> testkit::ProgramOutput {
    let path = sample(file);
    let (arguments, _) = sample_totals(file);
    let arguments: Vec<_> = ["import"].iter().chain(arguments).chain(&[path.as_str()]).copied().collect();
    database.run(&arguments).await
}

#[tokio::test]
async fn each_sample_imports_its_known_totals_and_a_reimport_changes_nothing() {
    for file in ["azure-llm.csv", "autogpt.jsonl", "claude-code.jsonl", "otlp.json"] {
        let database = TestDatabase::new().await;
        import(&database, file).await.assert_success();
        let (total, head) = (database.total().await, database.head().await);
        assert_total(&total, &sample_totals(file).1);
        assert_eq!(total["unpriced_calls"], 0);
        import(&database, file).await.assert_success();
        assert_eq!((database.total().await, database.head().await), (total, head), "{file} twice");
        database.verify_log().await;
    }
}

/// An import raises the alerts that it causes. Other jobs are left to servers, whatever is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_runs_no_jobs_but_the_alerts() {
    let database = TestDatabase::new().await;
    import(&database, "claude-code.jsonl").await.assert_success();
    let others: i64 = sqlx::query_scalar("select count(*) from apex.jobs where kind <> $1")
        .bind(policies::BUDGET_ALERT)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(others, 0, "the import started a recurring job");
}

#[tokio::test]
async fn gzip_and_stdin_import_the_same_calls() {
    let database = TestDatabase::new().await;
    import(&database, "autogpt.jsonl").await.assert_success();
    let total = database.total().await;
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("calls");
    let mut encoder =
        flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    encoder.write_all(&std::fs::read(sample("autogpt.jsonl")).unwrap()).unwrap();
    encoder.finish().unwrap();
    let output =
        database.run(&["import", "autogpt", packed.to_str().unwrap(), "--format", "json"]).await.assert_success();
    assert_eq!(output.json()[0]["duplicate"], 37);
    let output = piped(&database, &["import", "autogpt", "-"], std::fs::read(sample("autogpt.jsonl")).unwrap()).await;
    assert_eq!(output, Some(0));
    assert_eq!(database.total().await, total);
    // Each of the other two imports is noted once for each call.
    let sql = "select count(*) from apex.events where type = 'call.confirmed'";
    let confirmed: i64 = sqlx::query_scalar(sql).fetch_one(&database.pool).await.unwrap();
    assert_eq!(confirmed, 2 * 37);
}

async fn piped(database: &TestDatabase, arguments: &[&str], input: Vec<u8>) -> Option<i32> {
    let mut child = database.apex(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = tokio::spawn(async move {
        // A process that refuses the input does not read all of it.
        drop(stdin.write_all(&input).await);
    });
    let status = tokio::time::timeout(TIMEOUT, child.wait()).await.unwrap().unwrap();
    writer.await.unwrap();
    status.code()
}

/// A line in the autogpt format.
pub(crate) fn line(id: &str, prompt_tokens: &str, cost: &str) -> String {
    format!(
        r#"{{"run":"r","challenge":"c","id":"{id}","created":1695554458,"model":"gpt-3.5-turbo-16k-0613","usage":{{"prompt_tokens":{prompt_tokens},"completion_tokens":1}},"cost":{{"total_cost":{cost}}}}}"#
    )
}

#[tokio::test]
async fn invalid_records_are_refused_with_a_reason_and_the_others_are_imported() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let good = line("good", "10", "0.00003");
    let whole = line("cut", "10", "0.1");
    let lines = [
        line("negative", "-5", "0.1"),
        line("exponent", "10", r#""3e-5""#),
        good,
        line("fraction", "1.5", "0.1"),
        whole[..whole.len() / 2].to_owned(),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let output = database.run(&["import", "autogpt", path.to_str().unwrap(), "--format", "json"]).await;
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert_eq!(output.json()[0]["imported"], 2);
    assert_eq!(output.json()[0]["refused"], 3);
    // A cost that cannot be read does not cost its record the tokens.
    assert_eq!(output.json()[0]["ignored"], 1);
    for reason in [
        "line 1: usage.prompt_tokens: -5 is negative",
        "line 2: cost.total_cost: \"3e-5\" is not an amount: write digits with at most 15 before and 12 after the point, without an exponent; the rest of the record is imported",
        "line 4:",
        "line 5: not the JSON of this format: EOF",
    ] {
        assert!(output.stderr.contains(reason), "{reason:?} is not in:\n{}", output.stderr);
    }
    assert_eq!(database.total().await["calls"], 2);
}

#[tokio::test]
async fn unreadable_files_change_nothing() {
    let database = TestDatabase::new().await;
    import(&database, "autogpt.jsonl").await.assert_success();
    let (head, total) = (database.head().await, database.total().await);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut broken_gzip = vec![0x1f, 0x8b, 8, 0];
    broken_gzip.extend([7; 100]);
    let cases = [
        (vec!["azure-llm", "--model", "m"], write("header.csv", b"TIME,In,Out\n1,2,3\n"), 1, "the header is"),
        (vec!["azure-llm"], sample("azure-llm.csv"), 1, "--model"),
        (vec!["autogpt"], write("broken.gz", &broken_gzip), 1, "gzip"),
        (vec!["autogpt"], folder.path().join("missing").to_str().unwrap().to_owned(), 1, "cannot be opened"),
        (vec!["otlp"], write("cut.json", br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"#), 1, "JSON"),
    ];
    for (arguments, path, code, reason) in cases {
        let arguments: Vec<_> = ["import"].into_iter().chain(arguments).chain([path.as_str()]).collect();
        let output = database.run(&arguments).await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(reason), "{arguments:?}: {reason:?} is not in:\n{}", output.stderr);
    }
    assert_eq!((database.head().await, database.total().await), (head, total));
}

/// A file of many calls with different ids, whose import takes a while.
pub(crate) fn many_calls(calls: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for n in 0..calls {
        writeln!(file, "{}", line(&format!("call-{n}"), "1000", "0.003")).unwrap();
    }
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_killed_midway_is_completed_by_the_next() {
    const CALLS: usize = 3000;
    let database = TestDatabase::new().await;
    let file = many_calls(CALLS);
    let path = file.path().to_str().unwrap();
    let mut kills = 0;
    let mut hold = database.block_appends_at(CALLS as i64 - 500).await;
    for target in [100, 700, 1500] {
        let mut child = database.apex(&["import", "autogpt", path]).spawn().unwrap();
        // SIGKILL while some calls are in the log and others are not.
        while database.head().await < target {
            assert!(child.try_wait().unwrap().is_none(), "the import ended before it could be killed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.unwrap();
        hold.terminate_other_connections().await;
        kills += 1;
    }
    assert_eq!(kills, 3);
    assert!(database.head().await < CALLS as i64, "the import was killed too late: the test proves nothing");
    hold.release().await;
    database.run(&["import", "autogpt", path]).await.assert_success();
    let total = database.total().await;
    assert_total(
        &total,
        &json!({"calls": CALLS, "input_tokens": 1000 * CALLS, "output_tokens": CALLS, "cost": "9.012"}),
    );
    database.verify_log().await;
    let head = database.head().await;
    database.run(&["import", "autogpt", path]).await.assert_success();
    assert_eq!(database.head().await, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_imports_do_not_interfere() {
    let database = TestDatabase::new().await;
    let many = many_calls(800);
    let path = many.path().to_str().unwrap();
    let more = ["import", "autogpt", path];
    // The same file is also imported twice concurrently.
    let (a, b, c, d) = tokio::join!(
        import(&database, "azure-llm.csv"),
        import(&database, "claude-code.jsonl"),
        database.run(&more),
        database.run(&more)
    );
    for output in [a, b, c, d] {
        output.assert_success();
    }
    let total = database.total().await;
    assert_total(&total, &json!({"calls": 60 + 13 + 800, "output_tokens": 10_824 + 3701 + 800}));
    database.verify_log().await;
}

#[tokio::test]
async fn an_unreadable_file_among_several_is_named_and_the_others_are_imported() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut broken_gzip = vec![0x1f, 0x8b, 8, 0];
    broken_gzip.extend([7; 100]);
    let missing = folder.path().join("missing.jsonl").to_str().unwrap().to_owned();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let files = [
        missing.clone(),
        write("one.jsonl", line("one", "10", "0.1").as_bytes()),
        write("broken.gz", &broken_gzip),
        empty.to_str().unwrap().to_owned(),
        write("two.jsonl", line("two", "10", "0.1").as_bytes()),
    ];
    let arguments: Vec<_> =
        ["import", "autogpt", "--format", "json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = database.run(&arguments).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let counts = output.json();
    for (at, (file, imported, bad)) in files
        .iter()
        .zip([(0, true), (1, false), (0, true), (0, true), (1, false)])
        .map(|(f, (i, b))| (f, i, b))
        .enumerate()
    {
        assert_eq!((&counts[at]["file"], &counts[at]["imported"]), (&json!(file), &json!(imported)));
        assert_eq!(counts[at]["error"].is_string(), bad, "{counts}");
        assert_eq!(output.stderr.contains(&file.to_string()) && bad, bad, "{file} is not named in:\n{}", output.stderr);
    }
    assert_eq!(database.total().await["calls"], 2);
}

#[tokio::test]
async fn a_file_without_any_call_is_not_a_success() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |content: &str| {
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let user = r#"{"type":"user","message":{"role":"user","content":"hi"}}"#;
    let span = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c",
        "spanId":"a2ab1959c1c3bfa2","name":"GET /","startTimeUnixNano":"1773136800000000000"}]}]}]}"#;
    let other_format = std::fs::read_to_string(sample("autogpt.jsonl")).unwrap();
    for (format, content, code, reason) in [
        ("claude-code", other_format.as_str(), 1, "wrong format: none of its 37 records is of the format claude-code"),
        ("claude-code", user, 4, "no calls: none of its 1 records of claude-code is a call"),
        ("claude-code", "\n", 4, "no calls: the file has no records"),
        ("otlp", span, 4, "no calls: none of its 1 records of otlp is a call"),
        ("otlp", r#"{"resourceSpans":[]}"#, 4, "no calls: the file has no records"),
        ("autogpt", user, 3, "wrong format? All of its 1 records were refused as autogpt"),
        ("azure-llm", "TIMESTAMP,ContextTokens,GeneratedTokens\n", 4, "no calls: the file has no records"),
    ] {
        let path = write(content);
        let output = database.run(&["import", format, "--model", "m", &path]).await;
        assert_eq!(output.code, Some(code), "{format}: {}", output.stderr);
        assert!(output.stderr.contains(reason), "{format}: {reason:?} is not in:\n{}", output.stderr);
    }
}

/// Skipped records are counted and reported even when the file also has calls.
#[tokio::test]
async fn records_of_another_format_are_counted_beside_calls() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.jsonl");
    let answer = r#"{"type":"assistant","sessionId":"11111111-aaaa-4bbb-8ccc-000000000009","timestamp":"2026-01-01T00:00:00Z",
        "uuid":"11111111-aaaa-4bbb-8ccc-00000000000a","requestId":"req_1","message":{"id":"msg_1","model":"claude-sonnet-4-5",
        "role":"assistant","usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let other_format = r#"{"id":1,"created":2}"#;
    std::fs::write(&path, [answer.replace('\n', " ").as_str(), other_format, other_format].join("\n")).unwrap();
    let output =
        database.run(&["import", "claude-code", path.to_str().unwrap(), "--format", "json"]).await.assert_success();
    assert_eq!((&output.json()[0]["imported"], &output.json()[0]["foreign"]), (&json!(1), &json!(2)));
    assert!(output.stderr.contains("2 records that are not of the format claude-code"), "{}", output.stderr);
}

#[tokio::test]
async fn calls_without_a_price_are_counted_once_and_priced_by_a_reimport() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let lines: Vec<_> = ["a1", "b2", "a1"]
        .map(|id| line(&format!("chatcmpl-7Qyqpwd{id}"), "10", "0.1").replace("gpt-3.5-turbo-16k-0613", "my-model"))
        .into();
    std::fs::write(&path, lines.join("\n")).unwrap();
    // The second file repeats the calls of the first, which must be counted once.
    let again = folder.path().join("again.jsonl");
    std::fs::copy(&path, &again).unwrap();
    let import = ["import", "autogpt", path.to_str().unwrap(), again.to_str().unwrap(), "--format", "json"];
    let output = database.run(&import).await.assert_success();
    assert_eq!((&output.json()[0]["unpriced"], &output.json()[1]["unpriced"]), (&json!(2), &json!(2)));
    for text in ["2 calls have no price", "my-model (no provider): 2", "apex prices list --model", "apex prices import"]
    {
        assert!(output.stderr.contains(text), "{text:?} is not in:\n{}", output.stderr);
    }
    let prices = folder.path().join("prices.json");
    let table = json!({"my-model": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}});
    std::fs::write(&prices, table.to_string()).unwrap();
    database
        .run(&["prices", "import", prices.to_str().unwrap(), "--effective-from", "2020-01-01"])
        .await
        .assert_success();
    let output = database.run(&import).await.assert_success();
    assert_eq!((&output.json()[0]["unpriced"], &output.json()[0]["amended"]), (&json!(0), &json!(2)));
    assert!(!output.stderr.contains("no price"), "{}", output.stderr);
}

/// The identity of a call does not depend on row order, file, model or provider.
#[tokio::test]
async fn azure_rows_are_the_same_calls_in_any_order_and_file() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: &[&str]| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{}\n", rows.join("\n"))).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = ("2023-11-16 18:15:46.6805900,374,44", "2023-11-16 18:15:50.9951690,396,109");
    let (a, b) = (write("a.csv", &[one, other]), write("b.csv", &[other, one]));
    database.run(&["import", "azure-llm", "--model", "gpt-4-0613", &a, &b]).await.assert_success();
    assert_eq!(database.total().await["calls"], 2);
    database
        .run(&["import", "azure-llm", "--model", "gpt-4o", "--provider", "azure", &write("c.csv", &[other])])
        .await
        .assert_success();
    assert_eq!(database.total().await["calls"], 2, "another model and provider do not make another call");
    database
        .run(&["import", "azure-llm", "--model", "gpt-4-0613", &write("d.csv", &[one, one, one])])
        .await
        .assert_success();
    assert_eq!(database.total().await["calls"], 4, "equal rows of one file are separate calls");
}
