//! Schedules: each run gives one complete file, with what Apex itself writes of the same period, whatever happens meanwhile.

use crate::graphql::command;
use crate::repricing::{price, report, set};
use crate::users::Installation;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::{Server, tenant, wait_until};
use uuid::Uuid;

/// An installation whose servers may write files.
struct Schedules {
    installation: Installation,
    folder: tempfile::TempDir,
}

impl Schedules {
    async fn new() -> Self {
        Self { installation: Installation::new().await, folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// The directory of the tenant.
    fn directory(&self) -> PathBuf {
        self.root().join(tenant().as_str())
    }

    /// A server with an empty directory.
    async fn serve(&self) -> Server {
        fs::create_dir_all(self.root()).unwrap();
        self.serve_at(&self.root()).await
    }

    async fn serve_at(&self, directory: &Path) -> Server {
        let (key_file, directory) = (self.installation.key_file(), directory.to_str().unwrap());
        self.installation.database.serve(&["--key-file", &key_file, "--schedule-directory", directory]).await
    }

    /// A server with calls of March 2026.
    async fn serve_with_calls(&self) -> Server {
        let server = self.serve().await;
        set(&server, price("m", "3", json!({}))).await;
        set(&server, price("n", "0.123456789012", json!({}))).await;
        for (day, model, team) in [(1, "m", "search"), (2, "n", "ads"), (2, "m", "ads"), (30, "unpriced", "search")] {
            report(&server, model, &format!("{day}-{model}"), day, json!({ "team": team })).await;
        }
        server
    }

    async fn run(&self, arguments: &[&str]) -> String {
        self.installation.run(arguments).await
    }

    /// Defines a schedule on the database. Returns its id.
    async fn define(&self, file: &str, more: &[&str]) -> String {
        let fixed = ["schedule", "define", "--name", "x", "--at", "06:30", "--file", file];
        let month = ["--every", "month:1", "--period", "month"];
        let default: &[&str] = if more.contains(&"--every") { &[] } else { &month };
        self.run(&[&fixed, default, more].concat()).await
    }

    /// Requests the run of March 2026.
    async fn request(&self, id: &str) {
        self.run(&["schedule", "run", id, "--day", "2026-03-15"]).await;
    }

    async fn show(&self, id: &str) -> Value {
        serde_json::from_str(&self.run(&["schedule", "show", id, "--format", "json"]).await).unwrap()
    }

    /// Waits until the last `count` runs of a schedule have an outcome each, and returns them, the last one first.
    async fn runs(&self, id: &str, count: usize) -> Vec<Value> {
        let runs = async || self.show(id).await["runs"].as_array().unwrap().clone();
        wait_until(&format!("{count} runs are recorded"), async || runs().await.len() >= count).await;
        let runs = runs().await;
        assert_eq!(runs.len(), count, "{runs:?}");
        runs
    }

    /// The content of a file, once it has its name.
    async fn file(&self, name: &str) -> Vec<u8> {
        let path = self.directory().join(name);
        wait_until(&format!("there is a file {name}"), async || path.exists()).await;
        fs::read(path).unwrap()
    }

    /// The names of all files, also of those with temporary names.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.directory()) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Waits until only these files are there.
    async fn only(&self, names: &[&str]) {
        wait_until(&format!("only {names:?} are there"), async || self.names() == names).await;
    }

    async fn job(&self, id: &str) -> (String, String) {
        let query =
            "select job_id::text, state from apex.jobs where kind = 'schedule-run' and payload->>'schedule_id' = $1
                     order by sequence desc limit 1";
        sqlx::query_as(query).bind(id).fetch_one(&mut self.installation.database.owner().await).await.unwrap()
    }

    /// Waits until the job of a schedule waits for its next run.
    async fn is_planned(&self, id: &str) {
        let has_time = "select count(*) from apex.jobs where kind = 'schedule-run' and payload->>'schedule_id' = $1
                        and state = 'waiting' and scheduled_at > now()";
        wait_until("the job waits for the time of its schedule", async || {
            let mut owner = self.installation.database.owner().await;
            sqlx::query_scalar::<_, i64>(has_time).bind(id).fetch_one(&mut owner).await.unwrap() == 1
        })
        .await;
    }

    /// Lets the job of a schedule be due as if its servers had been down for some days.
    async fn go_back(&self, id: &str, days: i32) {
        self.is_planned(id).await;
        let back = "update apex.jobs set scheduled_at = scheduled_at - make_interval(days => $2), available_at = now()
                    where kind = 'schedule-run' and payload->>'schedule_id' = $1 and state = 'waiting'";
        let mut owner = self.installation.database.owner().await;
        assert_eq!(sqlx::query(back).bind(id).bind(days).execute(&mut owner).await.unwrap().rows_affected(), 1);
    }
}

/// A text without the last columns of each line.
fn without_columns(csv: &[u8], columns: usize) -> Vec<String> {
    let text = std::str::from_utf8(csv).unwrap();
    text.lines().map(|line| line.rsplitn(columns + 1, ',').last().unwrap().to_owned()).collect()
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_what_apex_writes_of_the_same_period() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    let range = ["--from", "2026-03-01", "--to", "2026-04-01"];
    let apex = async |arguments: &[&str]| {
        let done = schedules.installation.database.run(&[arguments, &range].concat()).await.assert_success();
        done.stdout.into_bytes()
    };
    for (format, extension) in [("csv", "csv"), ("ndjson", "ndjson")] {
        for content in ["calls", "focus"] {
            let name = format!("{content}-{{period}}.{extension}");
            let id = schedules.define(&name, &["--content", content, "--file-format", format]).await;
            schedules.request(&id).await;
            let file = schedules.file(&name.replace("{period}", "2026-03")).await;
            assert_eq!(file, apex(&["export", content, "--format", format]).await, "{content} {format}");
            let run = schedules.runs(&id, 1).await.remove(0);
            assert_eq!(
                (run["outcome"].as_str(), run["sha256"].as_str()),
                (Some("ran"), Some(&*sha256(&file))),
                "{run}"
            );
            assert_eq!((run["bytes"].as_u64(), run["period"].as_str()), (Some(file.len() as u64), Some("2026-03")));
        }
    }
    let by = ["--content", "cost", "--by", "team,model"];
    let id = schedules.define("cost-{period}.csv", &by).await;
    schedules.request(&id).await;
    let file = schedules.file("cost-2026-03.csv").await;
    let expected = apex(&["report", "cost", "--by", "team,model", "--format", "csv"]).await;
    // The position of a file is that of its last call.
    assert_eq!(without_columns(&file, 3), without_columns(&expected, 3));
    assert_eq!(schedules.runs(&id, 1).await[0]["rows"], 4);

    let centres = json!([{ "code": "A", "name": "A" }, { "code": "B", "name": "B" }]);
    let rules = json!({ "costCentres": centres, "rules": [{ "values": { "dimension": "team", "costCentres": [
        { "value": "search", "costCentre": "A" }, { "value": "ads", "costCentre": "B" }] } }],
        "sharedCost": { "inEqualParts": true } });
    command(&server, "setAllocationRules", rules, "outcome error { message }").await;
    let id = schedules.define("statements-{period}.csv", &["--content", "chargeback"]).await;
    schedules.request(&id).await;
    let file = schedules.file("statements-2026-03.csv").await;
    let expected = apex(&["report", "chargeback", "--format", "csv"]).await;
    assert_eq!(without_columns(&file, 1), without_columns(&expected, 1));
    let id = schedules.define("{period}-{schedule}.parquet", &["--content", "calls", "--file-format", "parquet"]).await;
    schedules.request(&id).await;
    assert!(schedules.file(&format!("2026-03-{id}.parquet")).await.starts_with(b"PAR1"));
    drop(server.terminate().await);
    schedules.installation.database.assert_equals_rebuild(&["schedules"], &[1, 3, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_made_again_changes_no_file_and_replaces_none() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    let id =
        schedules.define("cost-{period}.json", &["--content", "cost", "--by", "team", "--file-format", "json"]).await;
    schedules.request(&id).await;
    let first = schedules.file("cost-2026-03.json").await;
    schedules.request(&id).await;
    let runs = schedules.runs(&id, 2).await;
    assert_eq!((&runs[0]["outcome"], &runs[0]["sha256"]), (&json!("ran"), &runs[1]["sha256"]), "{runs:?}");
    schedules.only(&["cost-2026-03.json"]).await;
    // A call that is reported late gives other contents.
    report(&server, "m", "late", 3, json!({ "team": "search" })).await;
    schedules.request(&id).await;
    let failed = schedules.runs(&id, 3).await.remove(0);
    let why = failed["reason"].as_str().unwrap_or_default();
    assert!(failed["outcome"] == "failed" && why.contains("no file is replaced"), "{failed}");
    assert_eq!(fs::read(schedules.directory().join("cost-2026-03.json")).unwrap(), first);
    schedules.only(&["cost-2026-03.json"]).await;
    assert_eq!(schedules.job(&id).await.1, "dead");
    // With the position in its name, it has a file of its own.
    let definition = ["--name", "x", "--at", "06:30", "--every", "month:1", "--period", "month"];
    let change =
        ["schedule", "change", &id, "--content", "cost", "--by", "team", "--file", "c-{period}-{position}.csv"];
    schedules.run(&[&change[..], &definition].concat()).await;
    schedules.request(&id).await;
    let ran = schedules.runs(&id, 4).await.remove(0);
    assert_eq!(ran["file"], format!("c-2026-03-{}.csv", ran["known_at"]), "{ran}");
    assert!(schedules.directory().join(ran["file"].as_str().unwrap()).exists());
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_runs_are_made_up_for_one_by_one_and_earlier_ones_are_named() {
    let schedules = Schedules::new().await;
    let server = schedules.serve().await;
    let daily = ["--content", "calls", "--every", "day", "--period", "day"];
    let few = schedules.define("few-{period}.csv", &daily).await;
    schedules.go_back(&few, 4).await;
    // The run that is due next is not made yet: its time is still to come.
    let runs = schedules.runs(&few, 4).await;
    let periods: Vec<_> = runs.iter().rev().map(|run| run["period"].as_str().unwrap().to_owned()).collect();
    assert!(periods.is_sorted() && runs.iter().all(|run| run["outcome"] == "ran"), "{runs:?}");
    let many = schedules.define("many-{period}.csv", &daily).await;
    schedules.go_back(&many, 100).await;
    let runs = schedules.runs(&many, 32).await;
    let (skipped, ran): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run["outcome"] == "skipped");
    assert_eq!((skipped.len(), skipped[0]["skipped"].as_i64(), ran.len()), (1, Some(69), 31), "{skipped:?}");
    assert_eq!(schedules.names().iter().filter(|name| name.starts_with("many-")).count(), 31);
    assert_eq!(schedules.names().iter().filter(|name| name.starts_with("few-")).count(), 4);
    drop(server.terminate().await);
    schedules.installation.database.assert_equals_rebuild(&["schedules"], &[1, 7, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_a_run_leaves_one_complete_file_after_its_restart() {
    let schedules = Schedules::new().await;
    let mut server = schedules.serve_with_calls().await;
    for trial in 0..4 {
        let name = format!("calls-{trial}-2026-03.csv");
        let id = schedules.define(&format!("calls-{trial}-{{period}}.csv"), &["--content", "calls"]).await;
        schedules.request(&id).await;
        // Wherever it is between the lease and the end.
        wait_until("the run has begun", async || {
            let begun = "select count(*) from apex.jobs where kind = 'schedule-run' and payload->>'schedule_id' = $1
                         and payload->'runs'->>'kind' = 'requested' and state <> 'waiting'";
            let mut owner = schedules.installation.database.owner().await;
            sqlx::query_scalar::<_, i64>(begun).bind(&id).fetch_one(&mut owner).await.unwrap() == 1
        })
        .await;
        server.kill().await;
        server = schedules.serve().await;
        let file = schedules.file(&name).await;
        let runs = schedules.runs(&id, 1).await;
        assert_eq!(
            (&runs[0]["outcome"], runs[0]["sha256"].as_str()),
            (&json!("ran"), Some(&*sha256(&file))),
            "{runs:?}"
        );
        wait_until("the job is done", async || schedules.job(&id).await.1 != "leased").await;
        let of_trial: Vec<_> =
            schedules.names().into_iter().filter(|found| found.contains(&name) || found.contains(&id)).collect();
        assert_eq!(of_trial, [name]);
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_a_recorded_run_gets_its_name_although_the_schedule_was_changed_and_the_period_is_run_again() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    let id = schedules.define("a-{period}.csv", &["--content", "calls"]).await;
    schedules.request(&id).await;
    let file = schedules.file("a-2026-03.csv").await;
    wait_until("the job is done", async || schedules.job(&id).await.1 == "done").await;
    // As if the server had died between the record of the run and the name of its file.
    let left = format!(".{id}-2026-03-r1.{}.part", sha256(&file));
    fs::rename(schedules.directory().join("a-2026-03.csv"), schedules.directory().join(left)).unwrap();
    // What the next run writes differs.
    report(&server, "m", "late", 3, json!({ "team": "search" })).await;
    let definition = ["--name", "x", "--at", "06:30", "--every", "month:1", "--period", "month"];
    let change = ["schedule", "change", &id, "--content", "calls", "--file", "b-{period}.csv"];
    schedules.run(&[&change[..], &definition].concat()).await;
    schedules.request(&id).await;
    assert_ne!(schedules.file("b-2026-03.csv").await, file);
    assert_eq!(schedules.file("a-2026-03.csv").await, file);
    schedules.only(&["a-2026-03.csv", "b-2026-03.csv"]).await;
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_not_made_before_its_time_by_the_clock_of_the_server() {
    let schedules = Schedules::new().await;
    let server = schedules.serve().await;
    let id = schedules.define("{period}.csv", &["--content", "calls"]).await;
    schedules.is_planned(&id).await;
    // As if the clock of the database was ahead of that of the server.
    let early = "update apex.jobs set available_at = now() where kind = 'schedule-run' and state = 'waiting'
                 and payload->>'schedule_id' = $1";
    let waits = "select count(*) from apex.jobs where kind = 'schedule-run' and payload->>'schedule_id' = $1
                 and state = 'waiting' and available_at = scheduled_at and fencing_token > 1";
    let mut owner = schedules.installation.database.owner().await;
    assert_eq!(sqlx::query(early).bind(&id).execute(&mut owner).await.unwrap().rows_affected(), 1);
    wait_until("the job waits for its time again", async || {
        let mut owner = schedules.installation.database.owner().await;
        sqlx::query_scalar::<_, i64>(waits).bind(&id).fetch_one(&mut owner).await.unwrap() == 1
    })
    .await;
    assert!(schedules.names().is_empty() && schedules.show(&id).await["runs"] == json!([]));
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_suspended_tenant_fails_and_later_ones_are_made_when_it_is_resumed() {
    let schedules = Schedules::new().await;
    let server = schedules.serve().await;
    let daily = ["--content", "calls", "--every", "day", "--period", "day"];
    let id = schedules.define("{period}.csv", &daily).await;
    schedules.is_planned(&id).await;
    schedules.run(&["tenants", "suspend", tenant().as_str()]).await;
    schedules.go_back(&id, 1).await;
    let failed = schedules.runs(&id, 1).await.remove(0);
    assert!(failed["outcome"] == "failed" && failed["reason"].as_str().unwrap().contains("suspended"), "{failed}");
    schedules.is_planned(&id).await;
    assert!(schedules.names().is_empty());
    schedules.run(&["tenants", "resume", tenant().as_str()]).await;
    schedules.go_back(&id, 2).await;
    // The run that failed is made, too, as it is due again here.
    let runs = schedules.runs(&id, 3).await;
    assert!(runs[..2].iter().all(|run| run["outcome"] == "ran"), "{runs:?}");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_make_one_file() {
    let schedules = Schedules::new().await;
    let servers = [schedules.serve_with_calls().await, schedules.serve().await];
    for n in 0..5 {
        let id = schedules.define(&format!("{n}-{{period}}.csv"), &["--content", "calls"]).await;
        schedules.request(&id).await;
        let file = schedules.file(&format!("{n}-2026-03.csv")).await;
        let runs = schedules.runs(&id, 1).await;
        assert_eq!(runs[0]["sha256"].as_str(), Some(&*sha256(&file)));
    }
    wait_until("nothing else is left", async || schedules.names().len() == 5).await;
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_its_directory_fails_with_the_reason_and_succeeds_when_it_is_there() {
    let schedules = Schedules::new().await;
    fs::create_dir_all(schedules.root()).unwrap();
    let missing = schedules.root().join("missing");
    let server = schedules.serve_at(&missing).await;
    set(&server, price("m", "3", json!({}))).await;
    report(&server, "m", "a", 1, json!({})).await;
    let id = schedules.define("{period}.csv", &["--content", "calls"]).await;
    schedules.request(&id).await;
    let failed = schedules.runs(&id, 1).await.remove(0);
    let why = failed["reason"].as_str().unwrap();
    assert!(failed["outcome"] == "failed" && why.contains("missing") && why.contains("No such file"), "{failed}");
    assert_eq!(schedules.show(&id).await["status"], "active");
    // The job is retried with growing delays; the same reason is recorded once.
    let attempts =
        "select attempts from apex.jobs where kind = 'schedule-run' and payload->'runs'->>'kind' = 'requested'";
    wait_until("it was tried twice", async || {
        let mut owner = schedules.installation.database.owner().await;
        sqlx::query_scalar::<_, i32>(attempts).fetch_one(&mut owner).await.unwrap() >= 2
    })
    .await;
    assert_eq!(schedules.runs(&id, 1).await.len(), 1);
    fs::create_dir(&missing).unwrap();
    assert_eq!(schedules.runs(&id, 2).await[0]["outcome"], "ran");
    let path = missing.join(tenant().as_str()).join("2026-03.csv");
    wait_until("there is a file", async || path.exists()).await;
    assert_eq!(schedules.show(&id).await["failure"], Value::Null);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_directory_says_so_and_a_dead_letter_is_retried() {
    let schedules = Schedules::new().await;
    let server = schedules.installation.serve_open().await;
    let id = schedules.define("{period}.csv", &["--content", "calls"]).await;
    schedules.request(&id).await;
    let failed = schedules.runs(&id, 1).await.remove(0);
    assert!(failed["reason"].as_str().unwrap().contains("APEX_SCHEDULE_DIRECTORY"), "{failed}");
    // As after the last attempt, about an hour later.
    let last = "update apex.jobs set attempts = 19, available_at = now() where state = 'waiting'
                and payload->'runs'->>'kind' = 'requested' and attempts > 0";
    wait_until("the job is a dead letter", async || {
        let mut owner = schedules.installation.database.owner().await;
        sqlx::query(last).execute(&mut owner).await.unwrap();
        schedules.job(&id).await.1 == "dead"
    })
    .await;
    drop(server.terminate().await);
    let server = schedules.serve().await;
    let (job, _) = schedules.job(&id).await;
    schedules.run(&["jobs", "retry", &job, "--reason", "the directory is set"]).await;
    schedules.file("2026-03.csv").await;
    drop(server.terminate().await);
}

/// The definition of a schedule over GraphQL.
fn definition(file: &str) -> Value {
    json!({ "name": "calls", "content": "CALLS", "format": "CSV", "every": "DAY", "time": "06:00", "period": "DAY",
            "file": file })
}

const DEFINE: &str = "mutation($input: DefineScheduleInput!) { defineSchedule(input: $input) {
    outcome position error { code message field } schedule { uuid status owner } } }";

async fn ask(server: &Server, key: &str, query: &str, variables: Value) -> Value {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.address)).bearer_auth(key);
    request.json(&json!({ "query": query, "variables": variables })).send().await.unwrap().json().await.unwrap()
}

/// An account with a role, and a key of it, which a server knows.
async fn account(schedules: &Schedules, server: &Server, role: &str) -> (String, String) {
    let account = schedules.run(&["accounts", "create", "exporter", "--role", role]).await;
    let key = schedules.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    wait_until("the key is known", async || {
        ask(server, &key, "{ __typename }", json!({})).await["data"]["__typename"] == "Query"
    })
    .await;
    (account, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_leads_out_of_the_directory_is_refused() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    let (_, key) = account(&schedules, &server, "operator").await;
    for file in
        ["../{period}.csv", "/tmp/{period}.csv", "a/{period}.csv", ".{period}", "{period}\u{0}", "{tenant}/{period}"]
    {
        let answer = ask(&server, &key, DEFINE, json!({ "input": { "definition": definition(file) } })).await;
        let payload = &answer["data"]["defineSchedule"];
        assert_eq!((&payload["outcome"], &payload["error"]["field"]), (&json!("REJECTED"), &json!("file")), "{answer}");
    }
    let local = [
        "schedule",
        "define",
        "--name",
        "x",
        "--at",
        "06:30",
        "--every",
        "day",
        "--period",
        "day",
        "--content",
        "calls",
    ];
    let refused = schedules.installation.database.run(&[&local[..], &["--file", "../{period}"]].concat()).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("must not begin with"), "{}", refused.stderr);
    // Nor does a link in the directory lead out of it.
    let (outside, id) = (tempfile::tempdir().unwrap(), schedules.define("{period}.csv", &["--content", "calls"]).await);
    fs::create_dir_all(schedules.directory()).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x"), schedules.directory().join("2026-03.csv")).unwrap();
    schedules.request(&id).await;
    assert_eq!(schedules.runs(&id, 1).await[0]["outcome"], "failed");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_runs_with_the_permissions_that_its_owner_has_then() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    // Without permissions that could be checked later, there is no schedule.
    let open = server.graphql(DEFINE, json!({ "input": { "definition": definition("{period}.csv") } })).await;
    assert_eq!(open["defineSchedule"]["error"]["code"], "NO_OWNER", "{open}");
    let (account, key) = account(&schedules, &server, "operator").await;
    let defined = ask(&server, &key, DEFINE, json!({ "input": { "definition": definition("{period}.csv") } })).await;
    let schedule = &defined["data"]["defineSchedule"]["schedule"];
    assert!(schedule["owner"].as_str().unwrap().starts_with("service_account:"), "{defined}");
    let id = schedule["uuid"].as_str().unwrap().to_owned();
    schedules.run(&["schedule", "run", &id, "--day", "2026-03-02"]).await;
    schedules.file("2026-03-02.csv").await;
    schedules.run(&["accounts", "revoke", &account, "operator"]).await;
    schedules.run(&["schedule", "run", &id, "--day", "2026-03-01"]).await;
    let failed = schedules.runs(&id, 2).await.remove(0);
    let why = failed["reason"].as_str().unwrap();
    assert!(failed["outcome"] == "failed" && why.contains("not allowed to read data of the kind calls"), "{failed}");
    assert_eq!(schedules.show(&id).await["status"], "ended");
    schedules.only(&["2026-03-02.csv"]).await;
    let refused = schedules.installation.database.run(&["schedule", "run", &id, "--day", "2026-03-01"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("has ended"), "{}", refused.stderr);
    // With the role again, it is resumed.
    schedules.run(&["accounts", "grant", &account, "viewer"]).await;
    schedules.run(&["schedule", "resume", &id, "--reason", "the role is back"]).await;
    schedules.run(&["schedule", "run", &id, "--day", "2026-03-01"]).await;
    schedules.file("2026-03-01.csv").await;
    // A revoked key ends it too.
    let keys: Value = serde_json::from_str(&schedules.run(&["keys", "list", "--format", "json"]).await).unwrap();
    let of_key = schedule["owner"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    assert!(keys.to_string().contains(&of_key), "{keys}");
    schedules.run(&["keys", "revoke", &of_key]).await;
    schedules.run(&["schedule", "run", &id, "--day", "2026-03-03"]).await;
    wait_until("it has ended", async || schedules.show(&id).await["status"] == "ended").await;
    assert!(!schedules.names().contains(&"2026-03-03.csv".to_owned()));
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_schedule_makes_no_due_run_until_it_is_resumed() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    let daily = ["--content", "calls", "--every", "day", "--period", "day"];
    let id = schedules.define("{period}.csv", &daily).await;
    schedules.is_planned(&id).await;
    schedules.run(&["schedule", "pause", &id, "--reason", "closing"]).await;
    schedules.go_back(&id, 2).await;
    wait_until("the job of the paused schedule ends", async || schedules.job(&id).await.1 == "done").await;
    assert!(schedules.names().is_empty() && schedules.show(&id).await["runs"] == json!([]));
    // A run that is requested is made nevertheless.
    schedules.request(&id).await;
    schedules.file("2026-03-15.csv").await;
    schedules.run(&["schedule", "resume", &id]).await;
    schedules.go_back(&id, 1).await;
    let runs = schedules.runs(&id, 2).await;
    assert!(runs[0]["due_at"].is_string() && runs[0]["outcome"] == "ran", "{runs:?}");
    schedules.run(&["schedule", "delete", &id, "--reason", "done"]).await;
    schedules.go_back(&id, 3).await;
    wait_until("the job of the deleted schedule ends", async || schedules.job(&id).await.1 == "done").await;
    schedules.runs(&id, 2).await;
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_are_managed_at_a_server_as_on_the_database() {
    let schedules = Schedules::new().await;
    let server = schedules.serve_with_calls().await;
    let (_, key) = account(&schedules, &server, "operator").await;
    let define = [
        "schedule",
        "define",
        "--name",
        "costs by team",
        "--content",
        "cost",
        "--file-format",
        "csv",
        "--every",
        "week:monday",
        "--at",
        "07:15",
        "--time-zone",
        "Europe/Berlin",
        "--period",
        "week",
        "--delay",
        "2h",
        "--file",
        "c-{period}.csv",
        "--by",
        "tag:squad,model",
        "--filter",
        "team=search",
        "--filter",
        "tag:squad=",
        "--top",
        "5",
    ];
    let id = crate::remote::at(&server, &key, &define).await.assert_success().stdout.trim().to_owned();
    Uuid::try_parse(&id).unwrap();
    let show = ["schedule", "show", &id, "--format", "json"];
    let remote = crate::remote::at(&server, &key, &show).await.assert_success();
    let local = schedules.installation.database.run(&show).await.assert_success();
    assert_eq!(remote.json(), local.json());
    let shown = local.json();
    assert_eq!(
        (&shown["definition"]["tag_key"], &shown["definition"]["by"]),
        (&json!("squad"), &json!(["tag", "model"]))
    );
    for (subcommand, status) in [("pause", "paused"), ("resume", "active"), ("delete", "deleted")] {
        crate::remote::at(&server, &key, &["schedule", subcommand, &id, "--reason", "x"]).await.assert_success();
        let list = ["schedule", "list", "--format", "json"];
        let local = schedules.installation.database.run(&list).await;
        wait_until("both lists are the same", async || {
            crate::remote::at(&server, &key, &list).await.assert_success().json() == local.json()
        })
        .await;
        assert_eq!(schedules.show(&id).await["status"], status);
    }
    let wrong = [&define[..], &["--digits", "3"]].concat();
    let refused = crate::remote::at(&server, &key, &wrong).await;
    assert!(refused.stderr.contains("digits is not an option of cost_report"), "{}", refused.stderr);
    drop(server.terminate().await);
}
