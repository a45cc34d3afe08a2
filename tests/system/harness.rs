//! What tests share: databases, rooms, and a few events.

use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use apex::rooms::Rooms;
use chrono::{DateTime, TimeZone, Utc};
use domain::{Name, TenantId};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::str::FromStr;
use std::time::Duration;
use streams::{Append, Expected, Metadata, NewEvent, StreamAppend};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A setting of the test services; without them no test may pass.
pub(crate) fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}

/// A database of one test, dropped by the cluster's end.
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

async fn owner(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url).unwrap().connect().await.unwrap()
}

fn with_database(name: &str) -> String {
    let url = service("APEX_TEST_DATABASE_URL");
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// The migrated database that the others are copied from; made once a run of the tests.
async fn template() -> &'static str {
    TEMPLATE
        .get_or_init(|| async {
            let name = format!("template_{}", std::process::id());
            let mut server = owner(&service("APEX_TEST_DATABASE_URL")).await;
            sqlx::query(AssertSqlSafe(format!("drop database if exists {name}"))).execute(&mut server).await.unwrap();
            sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
            let mut made = owner(&with_database(&name)).await;
            MIGRATIONS.run(&mut made).await.unwrap();
            made.close().await.unwrap();
            name
        })
        .await
}

impl TestDatabase {
    /// A fresh, migrated database.
    pub(crate) async fn new() -> Self {
        let template = template().await;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut server = owner(&service("APEX_TEST_DATABASE_URL")).await;
        // Only one copy of a template can be made at a time.
        sqlx::query("select pg_advisory_lock(1)").execute(&mut server).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name} template {template}")))
            .execute(&mut server)
            .await
            .unwrap();
        server.close().await.unwrap();
        let url = with_database(&name);
        let pool = connect(&Secret::from(url.clone()), 8).await.unwrap();
        Self { url, pool }
    }

    /// A connection with all rights.
    pub(crate) async fn owner(&self) -> PgConnection {
        owner(&self.url).await
    }

    /// The log and the commands, without workers.
    pub(crate) async fn rooms(&self) -> Rooms {
        Rooms::on(self.pool.clone(), tenant()).await.unwrap()
    }
}

pub(crate) fn tenant() -> TenantId {
    "default".parse().unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_700_000_000 + second, 0).unwrap()
}

pub(crate) fn metadata() -> Metadata {
    let command_id = Uuid::new_v4();
    Metadata { actor: "test".to_owned(), command_id, correlation_id: command_id, causation_id: None, traceparent: None }
}

pub(crate) fn event(text: &str) -> NewEvent {
    NewEvent {
        event_id: Uuid::new_v4(),
        name: "task.started",
        schema_version: 1,
        payload: format!("{{\"at\": \"2023-11-16T18:17:03Z\", \"note\":  \"{text}\"}}"),
    }
}

pub(crate) fn stream(id: Uuid, expected: Expected, events: usize) -> StreamAppend {
    StreamAppend { category: "task".into(), id, expected, events: (0..events).map(|n| event(&n.to_string())).collect() }
}

pub(crate) fn append(streams: Vec<StreamAppend>) -> Append {
    Append { tenant: tenant(), metadata: metadata(), streams }
}

/// A run of the program that ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl TestDatabase {
    /// The program on this database, not started yet.
    pub(crate) fn apex(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_apex"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("APEX_DATABASE_URL", &self.url)
            .env("APEX_DATABASE_CONNECTIONS", "10")
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.apex(arguments).output().await.unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The total of the cost report.
    pub(crate) async fn total(&self) -> serde_json::Value {
        self.run(&["report", "cost", "--format", "json"]).await.ok().json()["total"].clone()
    }

    /// The last position of the log.
    pub(crate) async fn head(&self) -> i64 {
        sqlx::query_scalar("select position from apex.head").fetch_one(&self.pool).await.unwrap()
    }

    /// That the log is what it promises to be.
    pub(crate) async fn verify_log(&self) {
        self.run(&["log", "verify"]).await.ok();
    }
}

/// A sample that comes with the project.
pub(crate) fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}
