//! `/readyz` when the database fails and when events are parked, and logging of slow statements.

use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use apex::embedded::Embedded;
use apex::readiness::Readiness;
use apex::rooms::Rooms;
use api::{ReadyCheck, ReadyChecks as _};
use sqlx::{Connection as _, PgConnection};
use std::os::unix::fs::PermissionsExt as _;
use streams::{AppendError, Expected};
use testkit::{TIMEOUT, TestDatabase, append, call_append, sample, stream, wait_until};
use uuid::Uuid;

async fn check(readiness: &Readiness, name: &str) -> ReadyCheck {
    readiness.check().await.into_iter().find(|check| check.name == name).unwrap()
}

/// PostgreSQL reports a full disk with the SQLSTATE `disk_full`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_readiness_after_the_first_failed_append() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let readiness = Readiness::new(database.pool.clone(), rooms.log.clone(), &testkit::operator()).unwrap();
    assert!(check(&readiness, "appends").await.ok);
    let mut owner = database.owner().await;
    let full = "create function public.no_space() returns trigger language plpgsql as $$
                begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$";
    sqlx::query(full).execute(&mut owner).await.unwrap();
    let trigger = "create trigger no_space before update on apex.head for each row execute function public.no_space()";
    sqlx::query(trigger).execute(&mut owner).await.unwrap();
    let refused = rooms.log.append(call_append()).await.unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused:?}");
    let result = check(&readiness, "appends").await;
    assert!(!result.ok && result.detail.contains("the disk of the database is full: free space"), "{result:?}");
    sqlx::query("drop trigger no_space on apex.head").execute(&mut owner).await.unwrap();
    rooms.log.append(call_append()).await.unwrap();
    assert!(check(&readiness, "appends").await.ok);
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postmaster_fails_readiness_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let cluster = Embedded::start(&folder.path().join("home")).await.unwrap();
    MIGRATIONS.run(&mut PgConnection::connect(cluster.url()).await.unwrap()).await.unwrap();
    let pool = connect(&Secret::from(cluster.url().to_owned()), 8).await.unwrap();
    let rooms = Rooms::on(pool.clone(), testkit::operator()).await.unwrap();
    let readiness = Readiness::new(pool, rooms.log.clone(), &testkit::operator()).unwrap();
    assert!(check(&readiness, "tail").await.ok);
    let file = std::fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
    let postmaster = file.lines().next().unwrap();
    assert!(std::process::Command::new("kill").args(["-KILL", postmaster]).status().unwrap().success());
    wait_until("readiness reports the cause", async || {
        let result = check(&readiness, "partitions").await;
        let cause = "the database cannot be reached (connection refused): check that PostgreSQL runs";
        !result.ok && result.detail.contains(cause)
    })
    .await;
    drop(rooms);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_events_are_a_warning_in_readiness() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    // A task is started twice without having been submitted, which cannot be applied.
    rooms.log.append(append(vec![stream(Uuid::now_v7(), Expected::Any, 2)])).await.unwrap();
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    let result =
        check(&Readiness::new(database.pool.clone(), rooms.log.clone(), &testkit::operator()).unwrap(), "projections")
            .await;
    assert!(result.ok, "{result:?}");
    assert!(result.detail.contains("WARNING: tasks has 2 parked events"), "{result:?}");
    rooms.close().await.unwrap();
}

/// The text of slow statements is logged at debug level only, and JSON log lines are valid JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_statements_are_logged_only_on_request() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    let slow = "create function public.slow() returns trigger language plpgsql as $$
                begin perform pg_sleep(1.2); return new; end $$";
    sqlx::query(slow).execute(&mut owner).await.unwrap();
    let trigger = "create trigger slow before update on apex.head for each row execute function public.slow()";
    sqlx::query(trigger).execute(&mut owner).await.unwrap();
    let import = sample("autogpt.jsonl");
    let output = database.run(&["import", "autogpt", &import]).await.assert_success().stderr;
    assert!(!output.contains("slow statement") && !output.contains("db.statement"), "{output}");
    let logged = ["--log", "warn,sqlx=debug", "--log-format", "json", "import", "autogpt", &import];
    let output = database.run(&logged).await.assert_success().stderr;
    let lines: Vec<serde_json::Value> =
        output.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["target"] == "sqlx::query"), "{output}");
    assert!(!output.contains('\u{1b}'), "{output}");
}
