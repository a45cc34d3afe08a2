//! How far a report is behind the log, in events and in seconds, over GraphQL and on the command line.

use crate::graphql::command;
use crate::remote::at;
use crate::repricing::{price, report, set};
use crate::users::Installation;
use serde_json::{Value, json};
use testkit::{Server, wait_until};

/// The freshness of the report and of the costs of completed tasks.
async fn freshness(server: &Server) -> [Value; 2] {
    let fields = "position head eventsBehind secondsBehind";
    let query = format!(
        "{{ usageReport {{ {fields} }}
            completedTaskCosts(from: \"2026-01-01T00:00:00Z\", to: \"2027-01-01T00:00:00Z\") {{ {fields} }} }}"
    );
    let mut data = server.graphql(&query, json!({})).await;
    [data["usageReport"].take(), data["completedTaskCosts"].take()]
}

fn seconds(of: &Value) -> u64 {
    of.as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_how_old_the_oldest_event_is_that_it_lacks() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    set(&server, price("m", "3", json!({}))).await;
    let first = report(&server, "m", "a", 1, json!({})).await;
    let wait = "query ($p: Position) { usageReport(minPosition: $p) { eventsBehind secondsBehind } }";
    let fresh = server.graphql(wait, json!({ "p": first["position"] })).await["usageReport"].take();
    assert_eq!(fresh, json!({ "eventsBehind": 0, "secondsBehind": null }));
    // No worker of calls advances as long as their checkpoints are locked.
    let mut holder = installation.database.owner().await;
    for statement in ["begin", "select from apex.checkpoints where follower = 'calls' for update"] {
        sqlx::query(statement).execute(&mut holder).await.unwrap();
    }
    let late = report(&server, "m", "b", 1, json!({})).await;
    wait_until("the report is a second behind", async || seconds(&freshness(&server).await[0]["secondsBehind"]) > 0)
        .await;
    for found in freshness(&server).await {
        let number = |name: &str| found[name].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(found["eventsBehind"].as_u64().unwrap(), number("head") - number("position"), "{found}");
        assert_eq!(found["head"], late["position"], "{found}");
        assert!(seconds(&found["secondsBehind"]) > 0, "{found}");
    }
    // As known at a position, nothing is behind.
    let query =
        format!("{{ usageReport(knownAt: {{ position: {} }}) {{ eventsBehind secondsBehind }} }}", first["position"]);
    let known = server.graphql(&query, json!({})).await["usageReport"].take();
    assert_eq!(known, json!({ "eventsBehind": null, "secondsBehind": null }));
    server.kill().await;
    let server = installation.serve(&[]).await;
    for report in ["cost", "tasks"] {
        let range: &[&str] = if report == "tasks" { &["--from", "2026-01", "--to", "2027-01"] } else { &[] };
        let arguments = |format| [&["report", report, "--no-wait", "--format", format], range].concat();
        for run in [
            installation.database.run(&arguments("json")).await.assert_success(),
            at(&server, "tea", &arguments("json")).await.assert_success(),
        ] {
            let printed = run.json();
            assert!(seconds(&printed["events_behind"]) > 0 && seconds(&printed["seconds_behind"]) > 0, "{printed}");
        }
        let said = installation.database.run(&arguments("table")).await.assert_success().stderr;
        assert!(said.contains(" events behind the log, the oldest of which is "), "{said}");
    }
    let csv =
        installation.database.run(&["report", "cost", "--no-wait", "--format", "csv"]).await.assert_success().stdout;
    let mut lines = csv.lines().map(|line| line.rsplit(',').next().unwrap());
    assert_eq!(lines.next(), Some("seconds_behind"));
    assert!(lines.next().unwrap().parse::<u64>().unwrap() > 0, "{csv}");
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    let fresh = installation.database.run(&["report", "cost", "--format", "json"]).await.assert_success();
    assert_eq!((&fresh.json()["events_behind"], &fresh.json()["seconds_behind"]), (&json!(0), &Value::Null));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_change_no_report_leave_none_behind() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    let agent = command(&server, "registerAgent", json!({ "name": "ada" }), "position").await;
    let wait = "query ($p: Position) { usageReport(minPosition: $p) { eventsBehind secondsBehind } }";
    let found = server.graphql(wait, json!({ "p": agent["position"] })).await["usageReport"].take();
    assert_eq!(
        found,
        json!({ "eventsBehind": 0, "secondsBehind": null }),
        "events that are not of calls are applied, too"
    );
    server.kill().await;
}
