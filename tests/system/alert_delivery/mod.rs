//! Deliveries of alerts: at least once, always under the same id, to receivers that fail, hang, redirect or are gone.

mod receiver;
mod watch;

use self::receiver::{Answer, Received, Receiver};
use crate::graphql::command;
use crate::mail::MailServer;
use crate::remote::{assert_same, at};
use crate::reservations::{self, REPORT, RESERVE, request, set_price};
use crate::users::Installation;
use chrono::{DateTime, Datelike as _, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use testkit::{Server, repository, sample, wait_until};
use uuid::Uuid;

/// The settings with which receivers on this machine are reached, and are waited for as long as may be: on a machine with much else
/// to do, a message would be sent again that was received.
const LOCAL: [&str; 4] = ["--alert-networks", "127.0.0.0/8", "--alert-timeout-ms", "60000"];
/// As [`LOCAL`], for receivers that hang.
const SHORT: [&str; 4] = ["--alert-networks", "127.0.0.0/8", "--alert-timeout-ms", "1000"];

/// A webhook that was defined.
struct Webhook {
    id: String,
    secret: String,
}

async fn define(installation: &Installation, kind: &str, address: &[&str]) -> Vec<String> {
    let fixed = ["alerts", "define", "--name", kind, "--kind", kind];
    let output = installation.run(&[&fixed, address].concat()).await;
    output.lines().map(str::to_owned).collect()
}

async fn webhook(installation: &Installation, url: &str) -> Webhook {
    let mut lines = define(installation, "webhook", &["--endpoint-url", url]).await;
    let (secret, id) = (lines.pop().unwrap(), lines.pop().unwrap());
    assert!(secret.starts_with("whsec_"), "{secret}");
    Webhook { id, secret }
}

async fn deliveries(installation: &Installation) -> Vec<Value> {
    let listed = installation.run(&["alerts", "deliveries", "--format", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    listed["deliveries"].as_array().unwrap().clone()
}

/// Waits until the only delivery is in a state, and returns it.
async fn delivery(installation: &Installation, state: &str) -> Value {
    let found = async || deliveries(installation).await.into_iter().find(|delivery| delivery["state"] == state);
    wait_until(&format!("a delivery is {state}"), async || found().await.is_some()).await;
    found().await.unwrap()
}

/// Waits until a delivery failed, and returns its error.
async fn error(installation: &Installation) -> String {
    let found =
        async || deliveries(installation).await.iter().find_map(|found| found["error"].as_str().map(str::to_owned));
    wait_until("a delivery failed", async || found().await.is_some()).await;
    found().await.unwrap()
}

/// Lets deliveries that wait for their next attempt be due.
async fn hurry(installation: &Installation) {
    let due =
        "update apex.jobs set available_at = now(), is_due = true where kind = 'alert-delivery' and state = 'waiting'";
    sqlx::query(due).execute(&mut installation.database.owner().await).await.unwrap();
}

async fn test(installation: &Installation, id: &str) {
    installation.run(&["alerts", "test", id]).await;
}

/// What the official library of the specification for Python says of requests with a secret.
fn verified(secret: &str, requests: &[Received]) -> Vec<String> {
    let python = repository().join("target/tools/webhooks-python/bin/python");
    assert!(python.exists(), "{} does not exist: run scripts/python-environment.sh", python.display());
    let script = repository().join("tests/webhooks/verify.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for Received { headers, body, .. } in requests {
        writeln!(input, "{}", json!({ "secret": secret, "headers": headers, "body": body })).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Defines a budget of which the calls of October 2023 cross three thresholds, and imports them.
async fn cross(installation: &Installation, server: &Server) {
    let terms = json!({ "name": "R&D", "scope": { "tenant": true }, "limit": "0.2", "thresholds": [50, 80, 100] });
    command(server, "defineBudget", json!({ "terms": terms }), "budget { id }").await;
    installation.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_reaches_every_endpoint_once_in_its_form() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/webhook")).await;
    define(&installation, "slack", &["--endpoint-url", &receiver.url("/slack")]).await;
    define(&installation, "teams", &["--endpoint-url", &receiver.url("/teams")]).await;
    let pager = receiver.url("/pager");
    define(&installation, "pager-duty", &["--endpoint-url", &pager, "--routing-key", "tea-key"]).await;
    let other = Uuid::now_v7().to_string();
    define(&installation, "webhook", &["--endpoint-url", &receiver.url("/other"), "--budget", &other]).await;
    let server = installation.database.serve(&[&["--key-file", &installation.key_file()][..], &LOCAL].concat()).await;
    cross(&installation, &server).await;
    let received = receiver.wait("/webhook", 3).await;
    assert_eq!(verified(&hook.secret, &received), ["verified"; 3]);
    let mut percents: Vec<_> = received.iter().map(|one| one.json()["data"]["threshold_percent"].clone()).collect();
    percents.sort_by_key(|percent| percent.as_u64());
    assert_eq!(percents, [50, 80, 100]);
    for one in &received {
        assert_eq!(
            (&one.json()["type"], &one.json()["data"]["budget"]),
            (&json!("budget.threshold_crossed"), &json!("R&D"))
        );
    }
    assert_eq!(received.iter().map(Received::id).collect::<BTreeSet<_>>().len(), 3, "each alert has an id of its own");
    // Controls: another secret and another body are found.
    assert!(verified(&format!("whsec_{}", "A".repeat(44)), &received)[0].starts_with("refused"));
    let forged = Received { body: received[0].body.replace("R&D", "RnD"), ..received[0].clone() };
    assert!(verified(&hook.secret, &[forged])[0].starts_with("refused"));

    for one in receiver.wait("/slack", 3).await {
        assert!(one.json()["text"].as_str().unwrap().starts_with("Budget R&amp;D: "), "{one:?}");
    }
    for one in receiver.wait("/teams", 3).await {
        assert_eq!(one.json()["attachments"][0]["content"]["type"], "AdaptiveCard", "{one:?}");
    }
    let keys: BTreeSet<_> =
        receiver.wait("/pager", 3).await.iter().map(|one| one.json()["dedup_key"].to_string()).collect();
    assert_eq!(keys.len(), 3);
    // What is imported and applied again raises nothing more, and nothing is sent to the endpoint of another budget.
    installation.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await;
    let all_done = async || {
        let found = deliveries(&installation).await;
        found.len() == 12 && found.iter().all(|delivery| delivery["state"] == "delivered")
    };
    wait_until("all deliveries are done", all_done).await;
    let counts = ["/webhook", "/slack", "/teams", "/pager", "/other"].map(|path| receiver.of(path).len());
    assert_eq!(counts, [3, 3, 3, 3, 0]);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_delivery_is_tried_again_under_the_same_id() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&SHORT).await;
    test(&installation, &hook.id).await;
    receiver.wait("/hook", 1).await;
    delivery(&installation, "delivered").await;
    for (answer, expected) in [
        (Answer::Status(500), "the endpoint answers with 500"),
        (Answer::Busy, "the endpoint answers with 429"),
        (Answer::Redirect, "the endpoint answers with 302, and redirects are not followed"),
        (Answer::Hang, "the endpoint did not answer"),
    ] {
        let before = receiver.of("/hook").len();
        receiver.answer("/hook", answer);
        test(&installation, &hook.id).await;
        let failed = async || {
            let found = deliveries(&installation).await.remove(0);
            (found["error"].is_string() && found["state"] == "waiting").then_some(found)
        };
        wait_until(expected, async || failed().await.is_some()).await;
        let failed = failed().await.unwrap();
        assert!(failed["error"].as_str().unwrap().starts_with(expected), "{failed}");
        let next: DateTime<Utc> = failed["next_attempt_at"].as_str().unwrap().parse().unwrap();
        // The endpoint asks for an hour; otherwise it would be seconds.
        assert_eq!(next > Utc::now() + TimeDelta::minutes(30), answer == Answer::Busy, "{failed}");
        receiver.answer("/hook", Answer::Status(204));
        hurry(&installation).await;
        let received = receiver.wait("/hook", before + 2).await;
        let (first, second) = (&received[before], received.last().unwrap());
        assert_eq!((first.id(), &first.body), (second.id(), &second.body));
        assert_eq!(first.id(), failed["id"].as_str().unwrap());
        assert_eq!(verified(&hook.secret, &[first.clone(), second.clone()]), ["verified"; 2]);
        wait_until("it is delivered", async || deliveries(&installation).await[0]["state"] == "delivered").await;
    }
    assert!(receiver.of("/elsewhere").is_empty());
    drop(server.terminate().await);
}

/// What the endpoint will refuse again is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_refused_for_good_is_a_dead_letter_at_once() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    receiver.answer("/hook", Answer::Status(404));
    test(&installation, &hook.id).await;
    let dead = delivery(&installation, "dead-letter").await;
    assert_eq!((&dead["error"], &dead["attempts"]), (&json!("the endpoint answers with 404"), &json!(1)));
    assert_eq!(receiver.of("/hook").len(), 1);
    receiver.answer("/hook", Answer::Status(204));
    installation.run(&["alerts", "redeliver", &hook.id, "--reason", "the path is back"]).await;
    delivery(&installation, "delivered").await;
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_gone_is_disabled_and_its_dead_letters_are_redelivered() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    receiver.answer("/hook", Answer::Status(410));
    test(&installation, &hook.id).await;
    let dead = delivery(&installation, "dead-letter").await;
    assert_eq!(dead["error"], "the endpoint answers with 410 (Gone), and was disabled");
    let listed = async || -> Value {
        let listed: Value =
            serde_json::from_str(&installation.run(&["alerts", "list", "--format", "json"]).await).unwrap();
        listed["endpoints"][0].clone()
    };
    assert_eq!(listed().await["disabled_by"], "gone");
    let events = "select metadata->>'actor' from apex.events where type = 'alert_endpoint.disabled'";
    assert_eq!(installation.texts(events).await, ["policy:alert-deliveries"]);
    let key_file = installation.key_file();
    for refused in [&["alerts", "test", &hook.id][..], &["alerts", "redeliver", &hook.id]] {
        let output = installation.database.run(&[refused, &["--key-file", &key_file]].concat()).await;
        assert!(output.code == Some(1) && output.stderr.contains("enable it first"), "{}", output.stderr);
    }
    receiver.answer("/hook", Answer::Status(204));
    installation.run(&["alerts", "enable", &hook.id, "--reason", "it is back"]).await;
    assert!(listed().await["disabled_by"].is_null());
    assert_eq!(deliveries(&installation).await[0]["state"], "dead-letter", "enabling sends nothing");
    let id = dead["id"].as_str().unwrap();
    installation.run(&["alerts", "redeliver", &hook.id, "--delivery", id, "--reason", "it is back"]).await;
    delivery(&installation, "delivered").await;
    let received = receiver.of("/hook");
    assert_eq!(received.iter().map(Received::id).collect::<Vec<_>>(), [id, id]);
    let decided = installation.texts("select actor || ': ' || reason from apex.job_decisions").await;
    assert!(decided.len() == 1 && decided[0].ends_with(": it is back"), "{decided:?}");
    drop(server.terminate().await);
}

/// Tenants read why a delivery failed. What names files of the operator is in the log of the server alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_the_server_itself_is_not_described_to_tenants() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    // The address is sealed by a key that the file does not have.
    let unknown = "insert into apex.key_encryption_keys (version, fingerprint)
                       select 9, fingerprint from apex.key_encryption_keys where version = 1;
                   update apex.alert_destinations set key_encryption_key = 9";
    sqlx::raw_sql(unknown).execute(&mut installation.database.owner().await).await.unwrap();
    test(&installation, &hook.id).await;
    assert_eq!(error(&installation).await, "the server cannot deliver it at the moment; its log has the reason");
    assert!(receiver.of("/hook").is_empty());
    let (_, log) = server.terminate().await;
    assert!(log.contains("an alert cannot be delivered at the moment") && log.contains("identity.keys"), "{log}");
}

/// The address is replaced while the one before answers that it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_was_revised_meanwhile_is_not_disabled() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    receiver.answer("/hook", Answer::Hold);
    test(&installation, &hook.id).await;
    receiver.wait("/hook", 1).await;
    installation
        .run(&["alerts", "revise", &hook.id, "--name", "moved", "--endpoint-url", &receiver.url("/moved")])
        .await;
    receiver.answer("/hook", Answer::Status(410));
    let error = error(&installation).await;
    assert_eq!(error, "the endpoint answers with 410 (Gone), and was perhaps changed meanwhile");
    hurry(&installation).await;
    receiver.wait("/moved", 1).await;
    delivery(&installation, "delivered").await;
    let disabled = "select count(*)::text from apex.events where type = 'alert_endpoint.disabled'";
    assert_eq!(installation.texts(disabled).await, ["0"]);
    drop(server.terminate().await);
}

/// The receiver has the message, and the server dies before it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_after_a_delivery_delivers_again_under_the_same_id() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let patient = ["--alert-networks", "127.0.0.0/8"];
    let server = installation.serve(&patient).await;
    receiver.answer("/hook", Answer::Hang);
    test(&installation, &hook.id).await;
    receiver.wait("/hook", 1).await;
    server.kill().await;
    receiver.answer("/hook", Answer::Status(204));
    let server = installation.serve(&patient).await;
    let received = receiver.wait("/hook", 2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    delivery(&installation, "delivered").await;
    assert_eq!(receiver.of("/hook").len(), 2);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_deliver_each_message_once() {
    const TESTS: usize = 20;
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let servers = [installation.serve(&LOCAL).await, installation.serve(&LOCAL).await];
    for number in 0..TESTS {
        let ask = json!({ "query": "mutation($input: TestAlertEndpointInput!) { testAlertEndpoint(input: $input) { outcome } }",
                          "variables": { "input": { "endpointId": hook.id } } });
        let (_, answer) = crate::users::post(&servers[number % 2], "/graphql", Some("tea"), ask).await;
        assert_eq!(answer["data"]["testAlertEndpoint"]["outcome"], "DONE", "{answer}");
    }
    let done = "select count(*)::text from apex.jobs where kind = 'alert-delivery' and state = 'done'";
    wait_until("all are delivered", async || installation.texts(done).await == [TESTS.to_string()]).await;
    let mut counts = BTreeMap::<String, usize>::new();
    for received in receiver.of("/hook") {
        *counts.entry(received.id().to_owned()).or_default() += 1;
    }
    assert_eq!((counts.len(), counts.values().max()), (TESTS, Some(&1)));
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_this_machine_are_refused_unless_the_operator_allows_them() {
    const HOSTS: [&str; 5] = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254"];
    const SCHEMES: [&str; 2] = ["http", "https"];
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let port = receiver.address.rsplit_once(':').unwrap().1.to_owned();
    let server = installation.serve(&[]).await;
    for host in HOSTS {
        for scheme in SCHEMES {
            let hook = webhook(&installation, &format!("{scheme}://{host}:{port}/hook")).await;
            test(&installation, &hook.id).await;
        }
    }
    let all_failed = async || {
        let found = deliveries(&installation).await;
        found.len() == HOSTS.len() * SCHEMES.len() && found.iter().all(|delivery| delivery["error"].is_string())
    };
    wait_until("every delivery failed", all_failed).await;
    for refused in deliveries(&installation).await {
        let error = refused["error"].as_str().unwrap();
        assert!(error.contains("is not an address that alerts may be sent to"), "{refused}");
    }
    assert!(receiver.of("/hook").is_empty());
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_secret_is_used_beside_the_one_before_until_the_overlap_ends() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    let second = installation.run(&["alerts", "rotate", &hook.id, "--overlap", "1h"]).await;
    assert_ne!(second, hook.secret);
    test(&installation, &hook.id).await;
    let received = receiver.wait("/hook", 1).await;
    assert_eq!(verified(&hook.secret, &received), ["verified"]);
    assert_eq!(verified(&second, &received), ["verified"]);
    let third = installation.run(&["alerts", "rotate", &hook.id, "--overlap", "0s"]).await;
    test(&installation, &hook.id).await;
    let last = vec![receiver.wait("/hook", 2).await.pop().unwrap()];
    assert_eq!(verified(&third, &last), ["verified"]);
    for old in [&hook.secret, &second] {
        assert!(verified(old, &last)[0].starts_with("refused"));
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_definition_returns_the_same_secret_and_nothing_secret_is_in_the_database() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let server = installation.serve(&LOCAL).await;
    let (command_id, url) = (Uuid::now_v7(), receiver.url("/tea-path"));
    let define = async |url: &str| {
        let input = json!({ "commandId": command_id, "name": "on call", "kind": "WEBHOOK", "address": { "url": url } });
        let query = "mutation($input: DefineAlertEndpointInput!) { defineAlertEndpoint(input: $input) {
                         outcome secret error { code } alertEndpoint { uuid host signed } } }";
        let ask = json!({ "query": query, "variables": { "input": input } });
        crate::users::post(&server, "/graphql", Some("tea"), ask).await.1["data"]["defineAlertEndpoint"].clone()
    };
    let first = define(&url).await;
    let secret = first["secret"].as_str().unwrap().to_owned();
    assert_eq!((&first["outcome"], &first["alertEndpoint"]["host"]), (&json!("DONE"), &json!(receiver.address)));
    let again = define(&url).await;
    assert_eq!((&again["outcome"], &again["secret"]), (&json!("DUPLICATE"), &first["secret"]), "{again}");
    let other = define(&receiver.url("/other")).await;
    assert_eq!((&other["error"]["code"], &other["secret"]), (&json!("COMMAND_ID_REUSED"), &Value::Null), "{other}");
    test(&installation, first["alertEndpoint"]["uuid"].as_str().unwrap()).await;
    let received = receiver.wait("/tea-path", 1).await;
    assert_eq!(verified(&secret, &received), ["verified"]);
    let rows = "select to_jsonb(e)::text from apex.events e union all select to_jsonb(j)::text from apex.jobs j
                union all select to_jsonb(d)::text from apex.alert_destinations d";
    let (bare, rows) = (secret.trim_start_matches("whsec_"), installation.texts(rows).await.join("\n"));
    let (_, log) = server.terminate().await;
    for text in [&rows, &log] {
        assert!(!text.contains(bare) && !text.contains("tea-path"), "{text}");
    }
    assert!(rows.contains("sealed"), "there is a row of an address");
}

/// What is raised within a silence waits for its end, wherever that is moved, and none of it is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_wait_for_the_end_of_a_silence() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.database.serve(&[&["--key-file", &installation.key_file()][..], &LOCAL].concat()).await;
    let silence = async |hours: i64| {
        let until = (Utc::now() + TimeDelta::hours(hours)).trunc_subsecs(0);
        let text = until.to_rfc3339_opts(SecondsFormat::Secs, true);
        installation.run(&["alerts", "silence", &hook.id, "--until", &text]).await;
        until
    };
    let wait_for = async |until: DateTime<Utc>| {
        let waits = |found: &Value| {
            let next = found["next_attempt_at"].as_str().and_then(|next| next.parse::<DateTime<Utc>>().ok());
            found["state"] == "waiting" && next == Some(until)
        };
        let all = async || {
            let found = deliveries(&installation).await;
            found.len() == 3 && found.iter().all(waits)
        };
        wait_until(&format!("three alerts wait until {until}"), all).await;
    };
    let first = silence(2).await;
    cross(&installation, &server).await;
    wait_for(first).await;
    wait_for(silence(5).await).await;
    wait_for(silence(1).await).await;
    // A test does not wait, and shows that nothing else was sent.
    test(&installation, &hook.id).await;
    assert_eq!(receiver.wait("/hook", 1).await[0].json()["type"], "alert_endpoint.test");
    installation.run(&["alerts", "silence", &hook.id]).await;
    let received = receiver.wait("/hook", 4).await;
    assert_eq!(verified(&hook.secret, &received), ["verified"; 4]);
    let all_done = async || deliveries(&installation).await.iter().all(|delivery| delivery["state"] == "delivered");
    wait_until("all are delivered", all_done).await;
    assert_eq!(receiver.of("/hook").len(), 4);
    drop(server.terminate().await);
}

/// The hours are the day and the next one, so that they end at the same time also if the day ends within the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_wait_for_the_end_of_quiet_hours() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.database.serve(&[&["--key-file", &installation.key_file()][..], &LOCAL].concat()).await;
    let today = Utc::now().date_naive();
    let end = (today + TimeDelta::days(2)).and_hms_opt(0, 0, 0).unwrap().and_utc();
    let days = [today, today + TimeDelta::days(1)].map(|day| day.weekday().number_from_monday());
    let quiet = json!({ "timeZone": "UTC", "days": days, "fromMinute": 0, "minutes": 1440 });
    let set = async |quiet: Value, select: &str| {
        let input = json!({ "endpointId": hook.id, "quietHours": quiet });
        command(&server, "setAlertEndpointQuietHours", input, select).await
    };
    let endless = json!({ "timeZone": "UTC", "days": [1, 2, 3, 4, 5, 6, 7], "fromMinute": 0, "minutes": 1440 });
    assert_eq!(set(endless, "error { code }").await["error"]["code"], "QUIET_HOURS");
    let listed = set(quiet.clone(), "alertEndpoint { quietHours { timeZone fromMinute minutes } }").await;
    assert_eq!(listed["alertEndpoint"]["quietHours"]["minutes"], 1440, "{listed}");
    cross(&installation, &server).await;
    let waits = |found: &Value| {
        let next = found["next_attempt_at"].as_str().and_then(|next| next.parse::<DateTime<Utc>>().ok());
        found["state"] == "waiting" && next == Some(end)
    };
    let all = async || {
        let found = deliveries(&installation).await;
        found.len() == 3 && found.iter().all(waits)
    };
    wait_until("three alerts wait", all).await;
    assert!(receiver.of("/hook").is_empty());
    set(Value::Null, "outcome").await;
    receiver.wait("/hook", 3).await;
    drop(server.terminate().await);
}

/// Addresses of commands that were rejected, and of endpoints that were removed, go. That of an endpoint stays, however old, and so
/// does one whose command may still be executed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_no_endpoint_has_are_deleted() {
    let installation = Installation::new().await;
    webhook(&installation, "https://kept.example.com").await;
    let removed = webhook(&installation, "https://removed.example.com").await;
    installation.run(&["alerts", "remove", &removed.id]).await;
    let age = "update apex.alert_destinations set created_at = now() - interval '2 hours';
               insert into apex.alert_destinations (destination_id, tenant_id, key_encryption_key, sealed, created_at)
               values ('00000000-0000-0000-0000-000000000001', 'default', 1, 'x', now() - interval '2 hours'),
                      ('00000000-0000-0000-0000-000000000002', 'default', 1, 'x', now())";
    sqlx::raw_sql(age).execute(&mut installation.database.owner().await).await.unwrap();
    let rows = "select destination_id::text from apex.alert_destinations order by 1";
    assert_eq!(installation.texts(rows).await.len(), 4);
    let server = installation.serve(&LOCAL).await;
    wait_until("two rows are deleted", async || installation.texts(rows).await.len() == 2).await;
    let left = installation.texts(rows).await;
    assert_eq!(left[0], "00000000-0000-0000-0000-000000000002");
    let named = "select payload->'destination'->>'destination_id' from apex.events
                 where type = 'alert_endpoint.defined' order by position limit 1";
    assert_eq!(left[1..], installation.texts(named).await);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_mailed() {
    let installation = Installation::new().await;
    let (mails, smtp) = MailServer::start().await;
    let id = define(&installation, "email", &["--email", "ada@example.org"]).await.remove(0);
    let mail = ["--smtp-url", &smtp, "--mail-from", "Apex <apex@example.com>", "--public-url", "https://apex.example"];
    let server = installation.serve(&mail).await;
    test(&installation, &id).await;
    let mail = mails.mail().await;
    let message = deliveries(&installation).await[0]["id"].as_str().unwrap().to_owned();
    let id_header = format!("Message-ID: <{message}@apex>");
    for expected in ["To: ada@example.org", "Subject: This is a test", &id_header] {
        assert!(mail.contains(expected), "no {expected} in {mail}");
    }
    delivery(&installation, "delivered").await;
    let events = installation.texts("select to_jsonb(e)::text from apex.events e").await.join("\n");
    let (_, log) = server.terminate().await;
    assert!(!events.contains("ada@") && !log.contains("ada@"));
}

/// A report of a call to the model with the price.
fn report(reservation: Value, key: &str, output: u64) -> Value {
    json!({ "input": { "callKey": key, "provider": "p", "model": "m", "reservation": reservation,
                       "usage": { "output": output * 1_000_000 } } })
}

/// Of a budget that refuses: the alert is in the append of the call that crosses the threshold, and a raised limit arms it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_of_a_hard_budget_is_crossed_in_the_append_of_the_call_and_delivered_once() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.database.serve(&[&["--key-file", &installation.key_file()][..], &LOCAL].concat()).await;
    set_price(&server).await;
    let terms = |limit: &str| {
        json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "YEAR",
                "thresholds": [50, 100] })
    };
    let budget = reservations::define(&server, terms("10")).await;
    let reserved = server.graphql(RESERVE, request(Uuid::now_v7(), 6)).await["reserveSpend"]["reservation"].take();
    assert_eq!(reserved["status"], "HELD", "{reserved}");
    let crossed =
        "select e.payload->>'threshold_percent' from apex.events e where e.type = 'budget_balance.threshold_crossed'
                   order by position";
    assert!(installation.texts(crossed).await.is_empty(), "what is reserved may never be spent");
    let settled = server.graphql(REPORT, report(reserved["uuid"].clone(), "a", 6)).await;
    assert!(settled["reportCall"]["error"].is_null(), "{settled}");
    assert_eq!(installation.texts(crossed).await, ["50"]);
    let commands = "select count(distinct metadata->>'command_id')::text from apex.events
                    where type in ('call.recorded', 'budget_balance.settled', 'budget_balance.threshold_crossed')";
    assert_eq!(installation.texts(commands).await, ["1"]);
    let received = receiver.wait("/hook", 1).await;
    assert_eq!(verified(&hook.secret, &received), ["verified"]);
    let data = received[0].json()["data"].clone();
    let fields = ["threshold_percent", "used", "limit", "unit"].map(|field| data[field].clone());
    assert_eq!(fields, [json!(50), json!("6"), json!("10"), json!("USD")], "{data}");

    // The alert is acknowledged, and fires again when it is crossed again.
    let statuses = async || {
        let query = "{ budgetThresholds { nodes { position thresholdPercent status } } }";
        server.graphql(query, json!({})).await["budgetThresholds"]["nodes"].take()
    };
    let alert = statuses().await[0].clone();
    assert_eq!((&alert["thresholdPercent"], &alert["status"]), (&json!(50), &json!("FIRING")), "{alert}");
    let answer = "mutation($position: Position!) { acknowledgeAlert(input: { position: $position, reason: \"seen\" }) {
                      outcome error { code message } budgetThreshold { status } } }";
    let answered = server.graphql(answer, json!({ "position": alert["position"] })).await["acknowledgeAlert"].take();
    assert_eq!(answered["outcome"], "DONE", "{answered}");
    assert_eq!(answered["budgetThreshold"]["status"], "ACKNOWLEDGED");
    let again = server.graphql(answer, json!({ "position": alert["position"] })).await["acknowledgeAlert"].take();
    assert_eq!(again["outcome"], "ALREADY_DONE", "{again}");
    let none = server.graphql(answer, json!({ "position": "1" })).await["acknowledgeAlert"].take();
    assert_eq!(none["error"]["code"], "INVALID_INPUT", "{none}");

    // A call without a reservation is charged by the policy.
    command(&server, "reviseBudget", json!({ "id": budget, "terms": terms("20") }), "outcome").await;
    let reported = server.graphql(REPORT, report(Value::Null, "b", 10)).await;
    assert!(reported["reportCall"]["error"].is_null(), "{reported}");
    let received = receiver.wait("/hook", 2).await;
    assert_eq!(received[1].json()["data"]["used"], "16");
    assert_eq!(installation.texts(crossed).await, ["50", "50"]);
    let both = statuses().await;
    assert_eq!((&both[0]["status"], &both[1]["status"]), (&json!("ACKNOWLEDGED"), &json!("FIRING")), "{both}");
    let second = server.graphql(answer, json!({ "position": both[1]["position"] })).await["acknowledgeAlert"].take();
    assert_eq!(second["budgetThreshold"]["status"], "ACKNOWLEDGED", "{second}");
    assert_eq!(statuses().await[0]["status"], "ACKNOWLEDGED", "what was said of the one before stays");
    wait_until("both are delivered", async || {
        deliveries(&installation).await.iter().all(|delivery| delivery["state"] == "delivered")
    })
    .await;
    assert_eq!(receiver.of("/hook").len(), 2);
    drop(server.terminate().await);
}

/// A budget that asks for approval tells its endpoints what it asks for, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_approval_is_delivered_once() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.database.serve(&[&["--key-file", &installation.key_file()][..], &LOCAL].concat()).await;
    set_price(&server).await;
    let terms = json!({ "name": "all", "scope": { "tenant": true }, "limit": "1", "enforcement": "HARD", "period": "YEAR",
                        "onRefusal": { "askForApproval": 30 } });
    reservations::define(&server, terms).await;
    let refused = server.graphql(RESERVE, request(Uuid::now_v7(), 6)).await["reserveSpend"]["reservation"].take();
    assert_eq!(refused["status"], "REFUSED", "{refused}");
    let listed = server.graphql("{ approvals { nodes { uuid } } }", json!({})).await["approvals"]["nodes"].take();
    let received = receiver.wait("/hook", 1).await;
    assert_eq!(verified(&hook.secret, &received), ["verified"]);
    let message = received[0].json();
    assert_eq!(message["type"], "budget.approval_requested", "{message}");
    let fields = ["approval_id", "budget", "amount", "unit", "model"].map(|field| message["data"][field].clone());
    assert_eq!(fields, [listed[0]["uuid"].clone(), json!("all"), json!("6"), json!("USD"), json!("m")], "{message}");
    delivery(&installation, "delivered").await;
    assert_eq!(receiver.of("/hook").len(), 1);
    drop(server.terminate().await);
}

/// A time in the future at which a silence or an overlap begins would let it be longer than it may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_silence_nor_an_overlap_begins_in_the_future() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    let give = async |kind: &str, field: &str, input: Value| {
        let query = format!(
            "mutation($input: {kind}Input!) {{ {field}(input: $input) {{ outcome error {{ code message }} }} }}"
        );
        let ask = json!({ "query": query, "variables": { "input": input } });
        crate::users::post(&server, "/graphql", Some("tea"), ask).await.1["data"][field].clone()
    };
    let (late, day_after) = ("2100-01-01T00:00:00Z", "2100-01-02T00:00:00Z");
    let silence = json!({ "endpointId": hook.id, "at": late, "until": day_after });
    let rotate = json!({ "endpointId": hook.id, "at": late });
    for (kind, field, input) in [
        ("SilenceAlertEndpoint", "silenceAlertEndpoint", silence),
        ("RotateAlertEndpointSecret", "rotateAlertEndpointSecret", rotate),
    ] {
        let refused = give(kind, field, input).await;
        assert_eq!((&refused["outcome"], &refused["error"]["code"]), (&json!("REJECTED"), &json!("INVALID_INPUT")));
        assert_eq!(refused["error"]["message"], "at: is in the future: leave it out");
    }
    let changes = "select count(*)::text from apex.events where type in ('alert_endpoint.silenced', 'alert_endpoint.secret_rotated')";
    assert_eq!(installation.texts(changes).await, ["0"]);
    // Control: both are accepted without the time.
    let rotated =
        give("RotateAlertEndpointSecret", "rotateAlertEndpointSecret", json!({ "endpointId": hook.id })).await;
    assert_eq!(rotated["outcome"], "DONE", "{rotated}");
    drop(server.terminate().await);
}

/// What the command line does at a server is what it does on the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_are_managed_at_a_server_as_on_the_database() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let server = installation.serve(&LOCAL).await;
    let run = async |arguments: &[&str]| at(&server, "tea", arguments).await.assert_success().stdout;
    let url = receiver.url("/hook");
    let budget = Uuid::now_v7().to_string();
    let defined =
        run(&["alerts", "define", "--name", "a", "--kind", "webhook", "--endpoint-url", &url, "--budget", &budget])
            .await;
    let (id, secret) = defined.trim_end().split_once('\n').unwrap();
    run(&["alerts", "test", id]).await;
    let received = receiver.wait("/hook", 1).await;
    assert_eq!(verified(secret, &received), ["verified"]);
    let second = run(&["alerts", "rotate", id, "--overlap", "1h", "--reason", "the old one leaked"]).await;
    let moved = receiver.url("/moved");
    run(&["alerts", "revise", id, "--name", "b", "--endpoint-url", &moved]).await;
    let too_long = at(&server, "tea", &["alerts", "silence", id, "--until", "2100-01-01T00:00:00Z"]).await;
    assert!(too_long.code == Some(1) && too_long.stderr.contains("30 days"), "{}", too_long.stderr);
    run(&["alerts", "test", id]).await;
    assert_eq!(verified(second.trim_end(), &receiver.wait("/moved", 1).await), ["verified"]);
    run(&["alerts", "disable", id, "--reason", "for a while"]).await;
    delivery(&installation, "delivered").await;
    wait_until("nothing is sent any more", async || {
        deliveries(&installation).await.iter().all(|delivery| delivery["state"] == "delivered")
    })
    .await;
    for list in [
        &["alerts", "list", "--format", "json"][..],
        &["alerts", "list"],
        &["alerts", "deliveries", "--format", "json"],
    ] {
        assert_same(&installation, &server, list).await;
    }
    run(&["alerts", "remove", id]).await;
    let listed: Value = serde_json::from_str(&run(&["alerts", "list", "--format", "json"]).await).unwrap();
    assert_eq!(listed, json!({ "endpoints": [] }));
    drop(server.terminate().await);
}

/// Neither the alert nor who is told of it may be lost: a job waits for a version that can decode it, and an operator sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_cannot_be_decoded_waits_for_a_version_that_can() {
    let (database, _log) = crate::append_function::log_with_undecodable_events().await;
    let server = database.serve(&[]).await;
    let failed = async || {
        let errors = sqlx::query_scalar("select last_error from apex.jobs where kind = 'alert-catch-up'");
        let errors: Vec<Option<String>> = errors.fetch_all(&mut database.owner().await).await.unwrap();
        errors
    };
    wait_until("the job has failed", async || failed().await.iter().any(Option::is_some)).await;
    let error = "the alert budget.threshold_crossed at position 4, or who is told of it, cannot be decoded";
    assert_eq!(failed().await, [Some(error.to_owned())]);
    drop(server.terminate().await);
}

/// As if the policy had not been able to decode the alerts.
async fn forget_deliveries(installation: &Installation) {
    let delete = sqlx::query("delete from apex.jobs where kind = 'alert-delivery'");
    delete.execute(&mut installation.database.owner().await).await.unwrap();
}

/// Writes the jobs that deliver events of a type later.
async fn catch_up(installation: &Installation, event_type: &str) {
    let insert = sqlx::query(
        "insert into apex.jobs (job_id, kind, queue, tenant_id, payload, scheduled_at, available_at, is_due)
         select gen_random_uuid(), 'alert-catch-up', 'alert-catch-up:default', tenant_id,
                json_build_object('position', position), now(), now(), true
         from apex.events where type = $1",
    );
    insert.bind(event_type).execute(&mut installation.database.owner().await).await.unwrap();
}

/// It waits for the end of the silence as it is now, and not as it was when the alert was raised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_of_a_silence_that_was_ended_is_delivered_once_it_can_be_decoded() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.database.serve(&[&["--key-file", &installation.key_file()][..], &LOCAL].concat()).await;
    let until = (Utc::now() + TimeDelta::days(2)).to_rfc3339_opts(SecondsFormat::Secs, true);
    installation.run(&["alerts", "silence", &hook.id, "--until", &until]).await;
    cross(&installation, &server).await;
    wait_until("three alerts wait", async || deliveries(&installation).await.len() == 3).await;
    forget_deliveries(&installation).await;
    installation.run(&["alerts", "silence", &hook.id]).await;
    let moved = "select job_id::text from apex.jobs where kind = 'alert-silence' and state = 'done'";
    wait_until("both silences were applied", async || installation.texts(moved).await.len() == 2).await;
    catch_up(&installation, "budget.threshold_crossed").await;
    receiver.wait("/hook", 3).await;
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_can_be_decoded_later_is_delivered_under_its_id() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let server = installation.serve(&LOCAL).await;
    test(&installation, &hook.id).await;
    delivery(&installation, "delivered").await;
    forget_deliveries(&installation).await;
    catch_up(&installation, "alert_endpoint.test_requested").await;
    let received = receiver.wait("/hook", 2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    delivery(&installation, "delivered").await;
    drop(server.terminate().await);
}
