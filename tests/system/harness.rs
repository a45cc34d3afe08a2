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
