//! `apex import` through a server: the same output as on the database, and the same calls.

use super::{code, gzip};
use crate::import::{line, many_calls, sample_totals};
use crate::login::{program, run, sign_in};
use crate::otlp::post_as;
use crate::users::Installation;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{ProgramOutput, Server, TestDatabase, sample, wait_until};
use tokio::task::JoinHandle;

/// Imports at a server, with a token.
async fn at(server: &Server, arguments: &[&str]) -> ProgramOutput {
    let home = tempfile::tempdir().unwrap();
    let mut command = program(home.path(), &server.address, &[&["import"], arguments].concat());
    command.env("APEX_TOKEN", "tea");
    run(command).await
}

/// Files of several formats, some of them damaged, with the arguments of their import.
fn imports(folder: &std::path::Path) -> Vec<Vec<String>> {
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut imports = Vec::new();
    for file in ["azure-llm.csv", "autogpt.jsonl", "claude-code.jsonl", "otlp.json"] {
        let arguments = sample_totals(file).0.iter().map(|argument| (*argument).to_owned());
        imports.push(arguments.chain([sample(file)]).collect());
    }
    let negative = line("negative", "-5", "0.1");
    let whole = line("cut", "10", "0.1");
    let damaged = [
        line("exponent", "10", r#""3e-5""#),
        negative,
        line("good", "10", "0.00003"),
        whole[..whole.len() / 2].to_owned(),
    ];
    let damaged = write("damaged.jsonl", damaged.join("\n").as_bytes());
    let unpriced =
        write("unpriced.jsonl", line("u", "1", "0.1").replace("gpt-3.5-turbo-16k-0613", "no-such-model").as_bytes());
    let csv = write("calls.csv", b"ts,prompt,completion\n2025-05-01T10:00:00Z,10,2\n2025-05-01T10:00:01Z,11,2\n");
    let packed = write("packed.jsonl.gz", &gzip(&std::fs::read(sample("autogpt.jsonl")).unwrap()));
    let cut = write("cut.json", br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"#);
    let mut broken = gzip(&std::fs::read(sample("claude-code.jsonl")).unwrap());
    broken.truncate(broken.len() / 2);
    let broken = write("broken.jsonl.gz", &broken);
    let empty = write("empty.jsonl", b"");
    let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    imports.extend([
        texts(&["autogpt", &damaged]),
        texts(&["autogpt", &unpriced]),
        texts(&["csv", &csv, "--column", "time=ts", "--column", "output=completion", "--model", "gpt-4o"]),
        texts(&["csv", &csv, "--column", "time=nowhere", "--model", "gpt-4o"]),
        texts(&["autogpt", &packed]),
        texts(&["otlp", &cut]),
        texts(&["claude-code", &broken]),
        texts(&["autogpt", &empty]),
        texts(&["azure-llm", &sample("azure-llm.csv")]),
        // The id of an import of what is no file is a new one each time.
        texts(&[&damaged, &empty, "/no/such/file", "--import-id", "018bd12c-58b0-7683-8a5b-8752d0e86651"]),
        texts(&[folder.to_str().unwrap(), "--model", "gpt-4o"]),
    ]);
    imports
}

/// What is said, without warnings of a process that waits for its database.
fn said(output: &ProgramOutput) -> Vec<String> {
    output.stderr.lines().filter(|line| !line.contains(" WARN ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_at_a_server_prints_the_same_and_records_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let local = TestDatabase::new().await;
    let remote = Installation::new().await;
    let server = remote.serve(&[]).await;
    let mut recorded = 0;
    for _ in 0..2 {
        for arguments in imports(folder.path()) {
            for format in ["table", "json"] {
                let words: Vec<_> = arguments.iter().map(String::as_str).chain(["--format", format]).collect();
                let there = at(&server, &words).await;
                let here = local.run(&[&["import"], &words[..]].concat()).await;
                assert_eq!(
                    (&there.stdout, there.code),
                    (&here.stdout, here.code),
                    "{words:?}: {} {}",
                    there.stderr,
                    here.stderr
                );
                assert_eq!(said(&there), said(&here), "{words:?}");
            }
        }
        let (totals, expected) = (remote.database.total().await, local.total().await);
        assert_eq!(totals, expected);
        // The second time, nothing is new.
        let calls = remote.database.total().await["calls"].as_i64().unwrap();
        assert!(recorded == 0 || recorded == calls, "{recorded} calls became {calls}");
        recorded = calls;
    }
    assert!(recorded > 130, "{recorded}");
    server.kill().await;
}

/// The ids of an import are those of its files and options, wherever it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_taken_back_at_a_server_as_on_the_database() {
    let local = TestDatabase::new().await;
    let remote = Installation::new().await;
    let server = remote.serve(&[]).await;
    let mut ids = Vec::new();
    for file in ["autogpt.jsonl", "otlp.json"] {
        let (path, arguments) = (sample(file), sample_totals(file).0);
        let words = [arguments, &[path.as_str(), "--format", "json"]].concat();
        let there = at(&server, &words).await.assert_success().json();
        assert_eq!(there, local.run(&[&["import"], &words[..]].concat()).await.assert_success().json());
        ids.push(there[0]["import_id"].as_str().unwrap().to_owned());
    }
    let unknown = "018bd12c-58b0-7683-8a5b-8752d0e86651";
    for id in [&ids[0], &ids[0], &ids[1], unknown] {
        let words = ["undo", id, "--reason", "the file of another month", "--format", "json"];
        let there = at(&server, &words).await;
        let here = local.run(&[&["import"], &words[..]].concat()).await;
        assert_eq!((&there.stdout, there.code), (&here.stdout, here.code), "{id}: {} {}", there.stderr, here.stderr);
        assert_eq!(there.code == Some(0), id != unknown);
        assert_eq!(remote.database.total().await, local.total().await, "{id}");
    }
    assert_eq!(remote.database.total().await["calls"], 0);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_or_whose_server_is_is_completed_by_the_next() {
    const CALLS: i64 = 3000;
    let database = TestDatabase::new().await;
    let file = many_calls(usize::try_from(CALLS).unwrap());
    let path = file.path().to_str().unwrap();
    let mut hold = database.block_appends_at(CALLS - 500).await;
    for (kills_server, target) in [(false, 200), (true, 1500)] {
        let server = database.serve(&[]).await;
        let home = tempfile::tempdir().unwrap();
        let mut child = program(home.path(), &server.address, &["import", "autogpt", path]).spawn().unwrap();
        while database.head().await < target {
            assert!(child.try_wait().unwrap().is_none(), "the import ended before it could be killed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if kills_server {
            server.kill().await;
            let output = child.wait_with_output().await.unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("run the same import again to continue"), "{said}");
        } else {
            child.kill().await.unwrap();
            server.kill().await;
        }
        hold.terminate_other_connections().await;
    }
    assert!(database.head().await < CALLS, "the import was killed too late: the test proves nothing");
    hold.release().await;
    let server = database.serve(&[]).await;
    let home = tempfile::tempdir().unwrap();
    run(program(home.path(), &server.address, &["import", "autogpt", path])).await.assert_success();
    assert_eq!(database.total().await["calls"], CALLS);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_says_why() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let file = sample("autogpt.jsonl");
    let home = tempfile::tempdir().unwrap();
    let anonymous = run(program(home.path(), &server.address, &["import", "autogpt", &file])).await;
    assert_eq!(anonymous.code, Some(1));
    assert!(anonymous.stderr.contains("apex login"), "{}", anonymous.stderr);
    let mut wrong = program(home.path(), &server.address, &["import", "autogpt", &file]);
    wrong.env("APEX_TOKEN", "coffee");
    let wrong = run(wrong).await;
    assert!(wrong.code == Some(1) && wrong.stderr.contains("refuses the token"), "{}", wrong.stderr);
    server.kill().await;
}

/// A token that the server refuses before its time is renewed, and the file is sent again with the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_is_renewed() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "admin").await;
    let home = tempfile::tempdir().unwrap();
    sign_in(&server, home.path(), "ada@example.org").await;
    let credentials = home.path().join(".config/apex/credentials.json");
    let mut stored: Value = serde_json::from_str(&std::fs::read_to_string(&credentials).unwrap()).unwrap();
    let session = &mut stored["servers"][&server.address];
    assert!(session["access_token"].is_string(), "{stored}");
    session["access_token"] = json!("wrong");
    std::fs::write(&credentials, stored.to_string()).unwrap();
    let file = sample("autogpt.jsonl");
    let imported = run(program(home.path(), &server.address, &["import", "autogpt", &file])).await;
    imported.assert_success();
    assert_eq!(installation.database.total().await["calls"], 37);
    server.kill().await;
}

/// A file of a format that is not named, whose end does not come, and the request, which ends if it is refused.
async fn hold(server: &Server) -> (Sender<Bytes>, JoinHandle<reqwest::Result<reqwest::Response>>) {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let request = testkit::http_client().post(format!("{}/v1/ingest/file", server.address));
    let response = tokio::spawn(request.body(reqwest::Body::wrap(body)).send());
    sender.send_data(Bytes::from_static(b"{")).await.unwrap();
    (sender, response)
}

/// The memory of files is limited, of one tenant to a half. A file that there is no room for is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_waits_while_the_server_is_busy() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut held = Vec::new();
    wait_until("no file is accepted", async || {
        // One is refused if it comes while the request below has its place.
        held.retain(|(_, response): &(_, JoinHandle<_>)| !response.is_finished());
        while held.len() < 2 {
            held.push(hold(&server).await);
        }
        let (status, response) = post_as(&server, "/v1/ingest/litellm", &[], Vec::new()).await;
        status == StatusCode::TOO_MANY_REQUESTS && code(&response) == "BUSY"
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let file = many_calls(40_000);
    for path in [sample("autogpt.jsonl"), file.path().to_str().unwrap().to_owned()] {
        let mut child = program(home.path(), &server.address, &["import", "autogpt", &path]).spawn().unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(3), child.wait()).await;
        assert!(ended.is_err(), "the import did not wait: {ended:?}");
        child.kill().await.unwrap();
    }
    assert_eq!(database.total().await["calls"], 0);
    let waiting =
        tokio::spawn(run(program(home.path(), &server.address, &["import", "autogpt", &sample("autogpt.jsonl")])));
    drop(held);
    let waited = waiting.await.unwrap();
    waited.assert_success();
    assert_eq!(database.total().await["calls"], 37);
    server.kill().await;
}
