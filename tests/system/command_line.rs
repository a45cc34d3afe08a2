//! The command line: complete reports, orderly shutdown, completions, man pages, and the README's example output.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};
use std::path::Path;
use std::time::Instant;
use testkit::{POLL_INTERVAL, TIMEOUT, TestDatabase, sample};

#[tokio::test]
async fn a_report_catches_up_with_the_log_when_no_server_runs() {
    let database = TestDatabase::new().await;
    database.run(&["import", "--no-wait", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let head = database.head().await;
    let partial = database.run(&["report", "cost", "--format", "json", "--no-wait"]).await.assert_success().json();
    assert_eq!(
        (&partial["position"], &partial["head"]),
        (&json!(0), &json!(head)),
        "a partial report shows its position and the head"
    );

    let output = database.run(&["report", "cost", "--by", "agent,task", "--format", "json"]).await.assert_success();
    let report = output.json();
    assert_eq!((&report["position"], &report["head"]), (&json!(head), &json!(head)));
    assert_eq!(report["total"]["calls"], 37);
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["agent_name"].is_string() && row["task_name"].is_string()), "{report}");

    let output = database.run(&["report", "cost", "--by", "model", "--format", "csv"]).await.assert_success();
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split(',').collect()).collect();
    for line in &lines {
        let expected = if line[0] == "model" {
            ["position".to_owned(), "head".to_owned(), "seconds_behind".to_owned()]
        } else {
            [head.to_string(), head.to_string(), String::new()]
        };
        assert_eq!(line[line.len() - 3..], expected, "{}", output.stdout);
    }
    assert!(lines.len() > 1);
    assert!(output.stderr.contains(&format!("Report as of position {head} of {head}.")), "{}", output.stderr);
}

#[tokio::test]
async fn a_report_that_cannot_catch_up_fails() {
    let database = TestDatabase::new().await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    // No worker gets the checkpoints of the read model.
    let mut owner = database.owner().await;
    let mut held = owner.begin().await.unwrap();
    let lock = "select from apex.checkpoints where follower = 'calls' for update";
    sqlx::query(lock).execute(&mut *held).await.unwrap();
    database.run(&["import", "--no-wait", "claude-code", &sample("claude-code.jsonl")]).await.assert_success();
    for format in ["table", "csv", "json"] {
        let output = database.run(&["report", "cost", "--format", format, "--wait", "1s"]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
        assert!(output.stderr.contains("the report would be incomplete"), "{}", output.stderr);
    }
    let output = database.run(&["report", "cost", "--format", "json", "--no-wait"]).await.assert_success();
    assert_eq!(output.json()["total"]["calls"], 37);
}

#[tokio::test]
async fn csv_cells_are_never_spreadsheet_formulas() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let mut call = json!({"run": "r", "challenge": "=HYPERLINK(\"http://203.0.113.9/\")", "id": "1", "created": 1_695_554_458,
        "model": "@SUM(1+1)*cmd", "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    // A run is an agent, and a line without one is of the agent that the option names.
    for agent in [&[][..], &["--agent==cmd|' /C calc'!A0"]] {
        std::fs::write(&path, call.to_string()).unwrap();
        let import = ["import", "autogpt", "--provider=-2+3", path.to_str().unwrap()];
        database.run(&[&import, agent].concat()).await.assert_success();
        call["run"] = Value::Null;
    }
    let by = ["report", "cost", "--by", "agent,provider,model,task", "--format", "csv"];
    let output = database.run(&by).await.assert_success();
    let mut reader = csv::Reader::from_reader(output.stdout.as_bytes());
    let mut cells = 0;
    for row in reader.records() {
        for cell in row.unwrap().iter() {
            cells += 1;
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell:?} in:\n{}", output.stdout);
        }
    }
    assert!(cells > 10, "{}", output.stdout);
    // Of the agent, the provider, the model and the task.
    for cell in ["'=cmd|", "'-2+3", "'@SUM", "'=HYPERLINK"] {
        assert!(output.stdout.contains(cell), "{cell}: {}", output.stdout);
    }
}

#[tokio::test]
async fn verifying_a_missing_archive_folder_fails() {
    let database = TestDatabase::new().await;
    let output = database.run(&["log", "verify", "--archive", "/no/such/folder"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("/no/such/folder cannot be read"), "{}", output.stderr);
}

/// The import makes the price book long enough for a snapshot and exits at once.
#[tokio::test]
async fn a_snapshot_that_is_due_at_exit_is_written() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    let price = json!({"litellm_provider": "p", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6});
    // An event of the price book has at most 64 prices.
    let table: serde_json::Map<_, _> = (0..500 * 64).map(|n| (format!("model-{n}"), price.clone())).collect();
    std::fs::write(&path, serde_json::Value::from(table).to_string()).unwrap();
    let output = database.run(&["prices", "import", path.to_str().unwrap()]).await.assert_success();
    assert!(!output.stderr.contains("WARN"), "{}", output.stderr);
    let snapshots: i64 = sqlx::query_scalar("select count(*) from apex.snapshots where category = 'price_book'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(snapshots, 1);
}

/// A server is stopped while a read model commits; the test controls how long the commit takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_during_a_commit_sends_no_rollback() {
    const LOCK: i64 = 4711;
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    for statement in [
        format!(
            "create function public.hold() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock_shared({LOCK}); return null; end $$"
        ),
        "create constraint trigger hold after insert on apex.agents deferrable initially deferred
         for each row execute function public.hold()"
            .to_owned(),
        format!("select pg_advisory_lock({LOCK})"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut owner).await.unwrap();
    }
    let server = database.serve(&[]).await;
    database.run(&["import", "--no-wait", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let blocked = "select count(*) from pg_stat_activity where datname = current_database()
        and wait_event = 'advisory' and query ilike 'commit%'";
    let deadline = Instant::now() + TIMEOUT;
    while sqlx::query_scalar::<_, i64>(blocked).fetch_one(&mut owner).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "no commit is waiting");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let address = server.address.trim_start_matches("http://").to_owned();
    let terminated = tokio::spawn(server.terminate());
    // The workers are told to stop together with the API.
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        assert!(Instant::now() < deadline, "the server keeps listening");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    sqlx::query(AssertSqlSafe(format!("select pg_advisory_unlock({LOCK})"))).execute(&mut owner).await.unwrap();
    let (code, stderr) = terminated.await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("transaction in progress"), "{stderr}");
    sqlx::query("drop function public.hold cascade").execute(&mut owner).await.unwrap();
}

#[tokio::test]
async fn completions_and_man_pages_cover_the_command_line() {
    let database = TestDatabase::new().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = database.run(&["completions", shell]).await.assert_success();
        assert!(output.stdout.contains("apex") && output.stdout.contains("database-url"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    database.run(&["man", "--out", out.to_str().unwrap()]).await.assert_success();
    for page in ["apex.1", "apex-import.1", "apex-report-cost.1", "apex-log-verify.1"] {
        assert!(out.join(page).exists(), "{page} is missing");
    }
    let output = database.run(&["database", "url"]).await.assert_success();
    assert_eq!(output.stdout.trim(), database.url);
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The README shows the output of the demo in a terminal of 100 columns.
#[tokio::test]
async fn the_demo_prints_the_output_in_the_readme() {
    let database = TestDatabase::new().await;
    let mut demo = database.apex(&["demo", "--once", "--listen", "127.0.0.1:0"]);
    let output = demo.env("COLUMNS", "100").env("APEX_LOG", "error").output().await.unwrap();
    let (table, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stderr}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let readme = readme();
    assert!(readme.contains(&table), "README.md does not have this table:\n{table}");
    // The last position varies: lines of one call that are imported concurrently may become one event or two.
    let stderr: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in stderr.iter().map(|line| line.split_once("position ").map_or(*line, |(start, _)| start)) {
        assert!(readme.contains(line), "README.md does not have this line: {line}");
    }
}

#[tokio::test]
async fn a_table_fits_the_terminal_and_csv_has_every_column() {
    let database = TestDatabase::new().await;
    database.run(&["import", "claude-code", &sample("claude-code.jsonl")]).await.assert_success();
    let report = ["report", "cost", "--by", "provider,model"];
    let output = database.apex(&report).env("COLUMNS", "60").output().await.unwrap();
    let (table, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
    assert!(table.contains("0.23213535") && stderr.contains("Omitted to fit 60 columns:"), "{table}{stderr}");
    let piped = database.run(&report).await.assert_success();
    assert!(piped.stdout.contains("cache_read_tokens") && !piped.stderr.contains("Omitted"), "{}", piped.stdout);
}

/// The main thread has the stack that the system gives it, which is not what subcommands run on.
#[tokio::test]
async fn subcommands_fit_a_small_stack() {
    let installation = crate::users::Installation::new().await;
    let (database, key_file) = (&installation.database, installation.key_file());
    for subcommand in [
        &["users", "create", "ada@example.org"][..],
        &["import", "autogpt", &sample("autogpt.jsonl")],
        &["report", "cost", "--by", "agent"],
        &["prices", "list"],
    ] {
        let apex = database.apex(&[subcommand, &["--key-file", &key_file]].concat());
        let mut limited = tokio::process::Command::new("sh");
        limited.args(["-c", r#"ulimit -s 2048 && exec "$0" "$@""#]).arg(apex.as_std().get_program());
        limited.args(apex.as_std().get_args()).env_clear();
        limited.envs(apex.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().await.unwrap();
        assert!(output.status.success(), "{subcommand:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
