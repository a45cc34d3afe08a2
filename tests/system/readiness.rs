//! What `/readyz` says when the database fails, and when something waits that nobody may have noticed.

use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use apex::embedded::Embedded;
use apex::readiness::Readiness;
use apex::rooms::Rooms;
use api::{ReadyCheck, ReadyChecks as _};
use sqlx::{Connection as _, PgConnection};
use std::os::unix::fs::PermissionsExt as _;
use streams::{AppendError, Expected};
use testkit::{TIMEOUT, TestDatabase, append, call_append, sample, stream, tenant, wait_until};
use uuid::Uuid;

async fn check(readiness: &Readiness, name: &str) -> ReadyCheck {
    readiness.check().await.into_iter().find(|check| check.name == name).unwrap()
}

/// PostgreSQL reports a full disk by this code wherever it meets one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_shows_in_readiness_with_the_first_append_that_meets_it() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let readiness = Readiness::new(database.pool.clone(), rooms.log.clone());
    assert!(check(&readiness, "appends").await.ok);
    let mut owner = database.owner().await;
    let full = "create function public.no_space() returns trigger language plpgsql as $$
                begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$";
    sqlx::query(full).execute(&mut owner).await.unwrap();
    let trigger = "create trigger no_space before update on apex.head for each row execute function public.no_space()";
    sqlx::query(trigger).execute(&mut owner).await.unwrap();
    let refused = rooms.log.append(call_append()).await.unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable(_)), "{refused:?}");
    let said = check(&readiness, "appends").await;
    assert!(!said.ok && said.detail.contains("the disk of the database is full: free space"), "{said:?}");
    sqlx::query("drop trigger no_space on apex.head").execute(&mut owner).await.unwrap();
    rooms.log.append(call_append()).await.unwrap();
    assert!(check(&readiness, "appends").await.ok);
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postmaster_shows_in_readiness_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let cluster = Embedded::start(&folder.path().join("home")).await.unwrap();
    MIGRATIONS.run(&mut PgConnection::connect(cluster.url()).await.unwrap()).await.unwrap();
    let pool = connect(&Secret::from(cluster.url().to_owned()), 8).await.unwrap();
    let rooms = Rooms::on(pool.clone(), tenant()).await.unwrap();
    let readiness = Readiness::new(pool, rooms.log.clone());
    assert!(check(&readiness, "tail").await.ok);
    let file = std::fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
    let postmaster = file.lines().next().unwrap();
    assert!(std::process::Command::new("kill").args(["-KILL", postmaster]).status().unwrap().success());
    wait_until("readiness says so", async || {
        let said = check(&readiness, "partitions").await;
        let cause = "the database cannot be reached (connection refused): check that PostgreSQL runs";
        !said.ok && said.detail.contains(cause)
    })
    .await;
    drop(rooms);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_events_are_a_warning_in_readiness() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    // Started twice without ever being submitted.
    rooms.log.append(append(vec![stream(Uuid::now_v7(), Expected::Any, 2)])).await.unwrap();
    rooms.start_projections();
    rooms.settle(TIMEOUT).await.unwrap();
    let said = check(&Readiness::new(database.pool.clone(), rooms.log.clone()), "projections").await;
    assert!(said.ok, "{said:?}");
    assert!(said.detail.contains("WARNING: tasks has 2 parked events"), "{said:?}");
    rooms.close().await.unwrap();
}

/// The text of statements is for whoever asks for it, and lines of JSON are nothing but JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_is_dumped_only_where_that_is_asked_for() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    let slow = "create function public.slow() returns trigger language plpgsql as $$
                begin perform pg_sleep(1.2); return new; end $$";
    sqlx::query(slow).execute(&mut owner).await.unwrap();
    let trigger = "create trigger slow before update on apex.head for each row execute function public.slow()";
    sqlx::query(trigger).execute(&mut owner).await.unwrap();
    let import = sample("autogpt.jsonl");
    let said = database.run(&["import", "autogpt", &import]).await.assert_success().stderr;
    assert!(!said.contains("slow statement") && !said.contains("db.statement"), "{said}");
    let logged = ["--log", "warn,sqlx=debug", "--log-format", "json", "import", "autogpt", &import];
    let said = database.run(&logged).await.assert_success().stderr;
    let lines: Vec<serde_json::Value> =
        said.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["target"] == "sqlx::query"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}
