//! The roles of the application: existing logins, missing grants, and databases from before row-level security.

use super::fixture::{READ_BY_REQUESTS, TENANTS, access, fill, fill_spans, tenants_in};
use super::unprotected_tables;
use apex::database::MIGRATIONS;
use apex::embedded::Embedded;
use domain::permissions::ReadAny;
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use tempfile::TempDir;
use testkit::TestDatabase;
use uuid::Uuid;

async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// The URL with another login.
fn url_of(url: &str, login: &str) -> String {
    let (_, place) = url.rsplit_once('@').unwrap();
    format!("postgres://{login}:secret@{place}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_a_member_of_apex_app_needs_no_further_grant() {
    let database = TestDatabase::new().await;
    let login = format!("member_{}", Uuid::new_v4().simple());
    execute(&mut database.owner().await, format!("create role {login} login password 'secret' in role apex_app")).await;
    let url = url_of(&database.url, &login);
    let server = database.serve(&["--database-url", &url]).await;
    let stored = "mutation { storeMemory(input: {agentId: \"0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01\", content: \"tea\"}) { position } }";
    let position = server.graphql(stored, json!({})).await["storeMemory"]["position"].take();
    let read = "query ($position: Position) { memories(filter: {search: \"tea\"}, minPosition: $position) { nodes { content } }
                events(filter: {category: \"memory\"}) { nodes { type } } usageReport { total { calls } } }";
    let read = server.graphql(read, json!({ "position": position })).await;
    assert_eq!(read["memories"]["nodes"], json!([{ "content": "tea" }]));
    assert_eq!(read["events"]["nodes"], json!([{ "type": "memory.stored" }]));
    assert_eq!(server.terminate().await.0, Some(0));
    database.run(&["replay", "--database-url", &url]).await.assert_success();
}

/// A cluster of the test's own, because roles belong to a cluster.
struct PrivateCluster {
    embedded: Embedded,
    superuser: PgConnection,
    _folder: TempDir,
}

impl PrivateCluster {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The user that runs the server must be able to enter it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let embedded = Embedded::start(&folder.path().join("home")).await.unwrap();
        let superuser = PgConnection::connect(embedded.url()).await.unwrap();
        Self { embedded, superuser, _folder: folder }
    }

    async fn execute(&mut self, sql: &str) {
        execute(&mut self.superuser, sql.to_owned()).await;
    }

    async fn stop(self) {
        self.superuser.close().await.unwrap();
        self.embedded.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_without_the_roles_is_told_what_to_run() {
    let mut cluster = PrivateCluster::start().await;
    assert_success(&apex(cluster.embedded.url(), &["migrate"]).await);
    let stranger = "create role stranger login password 'secret'";
    let member = "create role member login password 'secret' in role apex_app";
    cluster.execute(&format!("{stranger}; {member}; revoke apex_reader from apex_app")).await;
    let url = |login| url_of(cluster.embedded.url(), login);
    let (stranger, member) = (url("stranger"), url("member"));
    let refused = apex(&stranger, &["report", "cost"]).await;
    assert_says(&refused, "is not a member of the role apex_app");
    assert_says(&refused, "`grant apex_app to LOGIN`");
    assert_says(&apex(&member, &["report", "cost"]).await, "run `grant apex_reader to apex_app`");
    cluster.execute("grant apex_reader to apex_app").await;
    assert_success(&apex(&member, &["report", "cost"]).await);
    cluster.stop().await;
}

/// An owner that may not create roles migrates once they are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_by_an_owner_that_may_not_create_roles_says_what_to_run() {
    let mut cluster = PrivateCluster::start().await;
    cluster.execute("create role apex_app nologin; create role owner login password 'secret' in role apex_app").await;
    cluster.execute("create database own owner owner").await;
    let url = url_of(cluster.embedded.url(), "owner");
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server}/own");
    let refused = apex(&url, &["migrate"]).await;
    assert_says(&refused, "owner may not create the role apex_reader");
    assert_says(
        &refused,
        "run \"create role apex_reader nologin; grant apex_reader to apex_app\", then `apex migrate` again",
    );
    cluster.execute("create role apex_reader nologin").await;
    assert_says(&apex(&url, &["migrate"]).await, "owner may not grant the role apex_reader");
    cluster.execute("grant apex_reader to apex_app").await;
    assert_success(&apex(&url, &["migrate"]).await);
    let mut owner = PgConnection::connect(&url).await.unwrap();
    assert_eq!(unprotected_tables(&mut owner).await, [""; 0]);
    owner.close().await.unwrap();
    assert_success(&apex(&url, &["report", "cost"]).await);
    cluster.stop().await;
}

/// With data, and with a version of the read models that was being built.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_from_before_row_level_security_goes_on() {
    const MIGRATION: i64 = 10;
    // With the columns and tables of read models that the code writes, which fills them.
    const COLUMNS: [i64; 5] = [19, 29, 31, 35, 45];
    let is_before = |version| version < MIGRATION || COLUMNS.contains(&version);
    let before: Vec<_> = MIGRATIONS.iter().filter(|migration| is_before(migration.version)).cloned().collect();
    let before = Migrator { migrations: before.into(), ..Migrator::DEFAULT };
    let database = TestDatabase::migrated_by(&before).await.unverified();
    let mut owner = database.owner().await;
    fill(&database).await;
    for model in projections::all() {
        execute(&mut owner, format!("select apex.make_projection('{}', 'apex_next')", model.name())).await;
    }
    let unprotected = unprotected_tables(&mut owner).await;
    assert!(unprotected.len() > 30, "{unprotected:?}");

    database.run(&["migrate"]).await.assert_success();
    fill_spans(&database).await;
    assert_eq!(unprotected_tables(&mut owner).await, [""; 0]);
    for table in READ_BY_REQUESTS {
        let mut connection = database.reads.acquire(&access::<ReadAny>(TENANTS[1])).await.unwrap();
        assert_eq!(tenants_in(&mut connection, table).await.unwrap(), [TENANTS[1]], "{table}");
    }
    database.verify_log().await;
    // The fixture invented the parked events.
    execute(&mut owner, "delete from apex.parked_events".to_owned()).await;
    // Read models of an older version are built again before they can be compared.
    database.run(&["projections", "rebuild", "all", "--switch"]).await.assert_success();
    database.run(&["projections", "verify", "all"]).await.assert_success();
    assert_eq!(unprotected_tables(&mut owner).await, [""; 0]);
    database.run(&["report", "cost", "--tenant", TENANTS[0]]).await.assert_success();
}

async fn apex(url: &str, arguments: &[&str]) -> Output {
    let mut apex = tokio::process::Command::new(testkit::apex_binary());
    apex.env_clear().env("APEX_DATABASE_URL", url).args(arguments).output().await.unwrap()
}

#[track_caller]
fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn assert_says(output: &Output, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains(text), "{stderr}");
}
