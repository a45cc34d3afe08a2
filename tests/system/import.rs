//! Imports, through the program: what is known of the samples comes out, whatever happens on the way.

use crate::harness::{PATIENCE, TestDatabase, sample};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// What the samples come to, counted apart from Apex; see samples/README.md.
fn known(file: &str) -> (&'static [&'static str], Value) {
    match file {
        "azure-llm.csv" => (
            &["azure-llm", "--model", "gpt-4o"],
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
                   "cache_write_tokens": 32_417, "cost": "0.23213535"}),
        ),
        "otlp.json" => (
            &["otlp"],
            json!({"calls": 22, "tool_calls": 16, "input_tokens": 46_515, "output_tokens": 4951,
                   "cache_read_tokens": 7424, "cache_write_tokens": 1280, "reasoning_tokens": 418,
                   "cost": "0.04300275"}),
        ),
        other => panic!("nothing is known of {other}"),
    }
}

#[track_caller]
fn assert_total(total: &Value, known: &Value) {
    for (field, value) in known.as_object().unwrap() {
        assert_eq!(&total[field], value, "{field} of {total}");
    }
}

async fn import(database: &TestDatabase, file: &str) -> crate::harness::Ran {
    let path = sample(file);
    let (arguments, _) = known(file);
    let arguments: Vec<_> = ["import"].iter().chain(arguments).chain(&[path.as_str()]).copied().collect();
    database.run(&arguments).await
}

#[tokio::test]
async fn each_sample_comes_to_what_is_known_of_it_and_twice_is_as_once() {
    for file in ["azure-llm.csv", "autogpt.jsonl", "claude-code.jsonl", "otlp.json"] {
        let database = TestDatabase::new().await;
        import(&database, file).await.ok();
        let (total, head) = (database.total().await, database.head().await);
        assert_total(&total, &known(file).1);
        assert_eq!(total["unpriced_calls"], 0);
        import(&database, file).await.ok();
        assert_eq!((database.total().await, database.head().await), (total, head), "{file} twice");
        database.verify_log().await;
    }
}

#[tokio::test]
async fn gzip_and_standard_input_are_the_same_calls() {
    let database = TestDatabase::new().await;
    import(&database, "autogpt.jsonl").await.ok();
    let head = database.head().await;
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("calls");
    let mut encoder =
        flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    encoder.write_all(&std::fs::read(sample("autogpt.jsonl")).unwrap()).unwrap();
    encoder.finish().unwrap();
    let ran = database.run(&["import", "autogpt", packed.to_str().unwrap(), "--format", "json"]).await.ok();
    assert_eq!(ran.json()[0]["duplicate"], 37);
    let ran = piped(&database, &["import", "autogpt", "-"], std::fs::read(sample("autogpt.jsonl")).unwrap()).await;
    assert_eq!(ran, Some(0));
    assert_eq!(database.head().await, head);
}

async fn piped(database: &TestDatabase, arguments: &[&str], input: Vec<u8>) -> Option<i32> {
    let mut child = database.apex(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = tokio::spawn(async move {
        // A program that refuses the input does not read it to its end.
        drop(stdin.write_all(&input).await);
    });
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    writer.await.unwrap();
    status.code()
}

/// A line of the autogpt format.
fn line(id: &str, prompt_tokens: &str, cost: &str) -> String {
    format!(
        r#"{{"run":"r","challenge":"c","id":"{id}","created":1695554458,"model":"gpt-3.5-turbo-16k-0613","usage":{{"prompt_tokens":{prompt_tokens},"completion_tokens":1}},"cost":{{"total_cost":{cost}}}}}"#
    )
}

#[tokio::test]
async fn bad_records_are_refused_with_a_reason_and_the_rest_goes_on() {
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
    let ran = database.run(&["import", "autogpt", path.to_str().unwrap(), "--format", "json"]).await;
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(ran.json()[0]["imported"], 1);
    assert_eq!(ran.json()[0]["refused"], 4);
    for reason in [
        "line 1: usage.prompt_tokens: -5 is negative",
        "line 2: cost.total_cost: \"3e-5\" is not an amount",
        "line 4:",
        "line 5: not the JSON of this format: EOF",
    ] {
        assert!(ran.stderr.contains(reason), "{reason:?} is not in:\n{}", ran.stderr);
    }
    assert_eq!(database.total().await["calls"], 1);
}

#[tokio::test]
async fn bad_files_change_nothing() {
    let database = TestDatabase::new().await;
    import(&database, "autogpt.jsonl").await.ok();
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
        let ran = database.run(&arguments).await;
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{arguments:?}: {reason:?} is not in:\n{}", ran.stderr);
    }
    assert_eq!((database.head().await, database.total().await), (head, total));
}

#[tokio::test]
async fn a_line_of_100_mb_is_refused_without_being_held() {
    let database = TestDatabase::new().await;
    let mut child =
        database.apex(&["import", "autogpt", "-", "--format", "json"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pid = child.id().unwrap();
    let feeding = tokio::spawn(async move {
        let megabyte = vec![b'x'; 1_000_000];
        for _ in 0..100 {
            stdin.write_all(&megabyte).await.unwrap();
        }
        let peak = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let last = line("good", "10", "0.1");
        stdin.write_all(format!("\n{last}\n").as_bytes()).await.unwrap();
        peak
    });
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let peak = feeding.await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts[0]["imported"], &counts[0]["refused"]), (&json!(1), &json!(1)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 1: the line is longer than 16777216 bytes"));
    let peak_kb: u64 = peak
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap();
    assert!(peak_kb < 100_000, "{peak_kb} kB were held at the peak");
}

/// A file that takes a while: the sample's calls, many times over under other ids.
fn many_calls(calls: usize) -> tempfile::NamedTempFile {
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
    let mut hold = database.hold_before(CALLS as i64 - 500).await;
    for target in [100, 700, 1500] {
        let mut child = database.apex(&["import", "autogpt", path]).spawn().unwrap();
        // SIGKILL, at a moment when some calls are in the log and others are not.
        while database.head().await < target {
            assert!(child.try_wait().unwrap().is_none(), "the import ended before it could be killed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.unwrap();
        hold.end_others().await;
        kills += 1;
    }
    assert_eq!(kills, 3);
    assert!(database.head().await < CALLS as i64, "the import was killed too late to prove anything");
    hold.release().await;
    database.run(&["import", "autogpt", path]).await.ok();
    let total = database.total().await;
    assert_total(
        &total,
        &json!({"calls": CALLS, "input_tokens": 1000 * CALLS, "output_tokens": CALLS, "cost": "9.012"}),
    );
    database.verify_log().await;
    let head = database.head().await;
    database.run(&["import", "autogpt", path]).await.ok();
    assert_eq!(database.head().await, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_at_the_same_time_do_not_disturb_each_other() {
    let database = TestDatabase::new().await;
    let many = many_calls(800);
    let path = many.path().to_str().unwrap();
    let more = ["import", "autogpt", path];
    // The same file twice at once, too.
    let (a, b, c, d) = tokio::join!(
        import(&database, "azure-llm.csv"),
        import(&database, "claude-code.jsonl"),
        database.run(&more),
        database.run(&more)
    );
    for ran in [a, b, c, d] {
        ran.ok();
    }
    let total = database.total().await;
    assert_total(&total, &json!({"calls": 60 + 13 + 800, "output_tokens": 10_824 + 3701 + 800}));
    database.verify_log().await;
}
