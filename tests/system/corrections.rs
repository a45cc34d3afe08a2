//! Calls that are corrected and voided, and traces that are drawn, by the command line: on the database and at a server.

use crate::otlp::{TRACE, chat, export, post, span};
use crate::remote::{assert_same, at};
use crate::repricing::{price, report, set};
use crate::users::Installation;
use serde_json::{Value, json};
use testkit::{ProgramOutput, Server};

/// Runs a subcommand on the database, or at the server if one is given.
async fn run(installation: &Installation, server: Option<&Server>, arguments: &[&str]) -> ProgramOutput {
    match server {
        Some(server) => at(server, "tea", arguments).await,
        None => installation.database.run(arguments).await,
    }
}

async fn total(installation: &Installation) -> Value {
    let report = ["report", "cost", "--by", "model", "--format", "json"];
    installation.database.run(&report).await.assert_success().json()["total"].take()
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_corrected_and_voided_alike_on_the_database_and_at_a_server() {
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    set(&open, price("m", "3", json!({}))).await;
    set(&open, price("other", "1", json!({}))).await;
    let mut ids = Vec::new();
    for key in ["a", "b"] {
        let id = report(&open, "m", key, 1, json!({ "user": "ada" })).await["call"]["id"].take();
        let query = "query ($id: ID!, $p: Position) { call(id: $id, minPosition: $p) { uuid } }";
        let uuid = open.graphql(query, json!({ "id": id, "p": installation.database.head().await.to_string() })).await;
        ids.push(uuid["call"]["uuid"].as_str().unwrap().to_owned());
    }
    open.kill().await;
    let server = installation.serve(&[]).await;
    let mut said = Vec::new();
    for (id, server) in [(&ids[0], None), (&ids[1], Some(&server))] {
        let run = async |arguments: &[&str]| run(&installation, server, arguments).await;
        let correct = [
            "calls",
            "correct",
            id,
            "--set",
            "model=other",
            "--set",
            "usage.input=2000000",
            "--set",
            "tags.team=search",
            "--remove",
            "user",
            "--reason",
            "the gateway named another model",
        ];
        let corrected = run(&correct).await.assert_success();
        assert_eq!(corrected.stdout, "");
        // A later correction may change the field again.
        assert_eq!(run(&correct).await.assert_success().stderr, corrected.stderr);
        // What is not valid changes nothing, and says why.
        for (wrong, message) in [
            (&["calls", "correct", id, "--set", "model=x"][..], "--reason"),
            (&["calls", "correct", id, "--reason", "x"], "--set"),
            (&["calls", "correct", id, "--set", "colour=red", "--reason", "x"], "there is no field \"colour\""),
            (&["calls", "correct", id, "--remove", "model", "--reason", "x"], "an LLM call needs a model"),
            (&["calls", "correct", "x", "--set", "model=x", "--reason", "x"], "invalid value 'x'"),
            (&["calls", "void", id], "--reason"),
            (&["calls", "void", id, "--reason", ""], "--reason"),
            (&["calls", "void", "018bd12c-58b0-7683-8a5b-8752d0e86651", "--reason", "x"], "there is no such call"),
        ] {
            let refused = run(wrong).await;
            assert!(refused.code != Some(0) && refused.stderr.contains(message), "{wrong:?}: {}", refused.stderr);
        }
        said.push(corrected.stderr.replace(id.as_str(), "ID"));
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains("The call ID is corrected: user, model, tags, usage."), "{}", said[0]);
    let sum = total(&installation).await;
    assert_eq!(
        (&sum["calls"], &sum["cost"], &sum["input_tokens"]),
        (&json!(2), &json!("4"), &json!(4_000_000)),
        "{sum}"
    );
    let query = "select distinct payload ->> 'reason' from apex.events where type = 'call.corrected'";
    assert_eq!(installation.texts(query).await, ["the gateway named another model"]);
    let query = "select distinct coalesce(user_id, 'none') || ' ' || tags::text from apex.calls";
    assert_eq!(installation.texts(query).await, ["none {\"team\": \"search\"}"]);
    for (id, server) in [(&ids[0], Some(&server)), (&ids[1], None)] {
        let void = ["calls", "void", id, "--reason", "a test"];
        let voided = run(&installation, server, &void).await.assert_success();
        assert!(voided.stderr.contains("is not counted any more"), "{}", voided.stderr);
        let again = run(&installation, server, &void).await;
        assert!(again.code == Some(0) && again.stderr.contains("voided already"), "{}", again.stderr);
    }
    assert_eq!(total(&installation).await["calls"], 0);
    server.kill().await;
    installation.database.verify_log().await;
}

fn id(number: u64) -> String {
    format!("{number:016x}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_shown_as_a_tree_alike_on_the_database_and_at_a_server() {
    // More than a page.
    const STEPS: u64 = 520;
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    let mut root = span(&id(1), "", &json!({}));
    root["name"] = json!("plan\u{1b}[2J");
    root["status"] = json!({ "code": 2, "message": "gave\nup" });
    let mut spans = vec![root, span(&id(2), &id(1), &chat("gpt-4o", 1000, 100))];
    spans.extend((0..STEPS).map(|n| span(&id(100 + n), &id(2), &json!({}))));
    assert_eq!(post(&open, &export("shop", &spans)).await, json!({}));
    open.kill().await;
    let server = installation.serve(&[]).await;
    for format in ["table", "csv", "json"] {
        assert_same(&installation, &server, &["traces", "show", TRACE, "--format", format]).await;
    }
    for shown in [
        at(&server, "tea", &["traces", "show", TRACE]).await.assert_success(),
        installation.database.run(&["traces", "show", TRACE]).await.assert_success(),
    ] {
        assert!(shown.stderr.contains(&format!("Trace {TRACE}: 522 spans")), "{}", shown.stderr);
        assert!(
            shown.stderr.contains("1 calls and 0 tool calls: 1000 input and 100 output tokens, $0.0035."),
            "{}",
            shown.stderr
        );
        let lines: Vec<_> = shown.stdout.lines().collect();
        assert!(lines.iter().any(|line| line.contains("plan [2J") && line.contains("error: gave up")), "{}", lines[3]);
        let call = lines.iter().find(|line| line.contains("gpt-4o")).unwrap();
        let is_indented_once = call.starts_with("│   ") && !call.starts_with("│    ");
        assert!(is_indented_once && call.contains("0.0035") && call.contains("1000"), "{call}");
    }
    let json = installation.database.run(&["traces", "show", TRACE, "--format", "json"]).await.assert_success().json();
    let spans = json["spans"].as_array().unwrap();
    assert_eq!((spans.len(), &spans[1]["depth"], &spans[521]["depth"]), (522, &json!(1), &json!(2)));
    assert_eq!((&spans[1]["call"]["model"], &spans[1]["call"]["cost"]), (&json!("gpt-4o"), &json!("0.0035")));
    assert_eq!((&json["totals"]["input_tokens"], &json["is_truncated"]), (&json!("1000"), &json!(false)));
    for (wrong, code, message) in
        [("6".repeat(32), 1, "there is no trace"), ("x".to_owned(), 2, "is not the id of a trace")]
    {
        for refused in [
            at(&server, "tea", &["traces", "show", &wrong]).await,
            installation.database.run(&["traces", "show", &wrong]).await,
        ] {
            assert!(refused.code == Some(code) && refused.stderr.contains(message), "{}", refused.stderr);
        }
    }
    server.kill().await;
}
