//! What tests share: databases, rooms, and a few events.

use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use apex::rooms::Rooms;
use chrono::{DateTime, TimeZone, Utc};
use domain::{Name, TenantId};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::ffi::OsStr;
use std::str::FromStr;
use std::time::{Duration, Instant};
use streams::{Append, Expected, Metadata, NewEvent, StreamAppend};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks whether it has.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A setting of the test services; without them no test may pass.
pub(crate) fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}

/// A database of one test, dropped by the cluster's end.
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    /// Whether the read models are to be those of the log when the test ends.
    is_verified: bool,
}

/// Rebuilt is live after every test, whatever it did.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        if !self.is_verified || std::thread::panicking() {
            return;
        }
        let url = self.url.clone();
        // A thread of its own: the test's runtime may be at its end.
        let verified = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(verify(url));
        });
        if let Err(panic) = verified.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn verify(url: String) {
    let pool = connect(&Secret::from(url), 4).await.unwrap();
    let archived: i64 = sqlx::query_scalar("select count(*) from apex.archives").fetch_one(&pool).await.unwrap();
    if archived > 0 {
        // Where the files are only the test knows.
        return;
    }
    let log = streams::Log::open(pool.clone(), streams::LogConfig::default()).await.unwrap();
    for status in projections::statuses(&pool).await.unwrap() {
        let projection = projections::by_name(&status.name).unwrap();
        // One event at a time takes its time.
        let sizes: &[usize] = match status.position {
            0 => &[],
            1..=300 => &[1, 7, 1000],
            _ => &[1000],
        };
        for &batch_events in sizes.iter().filter(|_| status.is_current()) {
            let circumstances = projections::Circumstances::foreign(batch_events);
            let comparison = projections::verify(&pool, &log, projection, &circumstances).await.unwrap();
            assert!(comparison.is_same(), "{} in batches of {batch_events}: {comparison:#?}", status.name);
        }
    }
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
        let mut database = Self::at(with_database(&name)).await;
        database.is_verified = true;
        database
    }

    /// A database on another server.
    pub(crate) async fn at(url: String) -> Self {
        let pool = connect(&Secret::from(url.clone()), 8).await.unwrap();
        Self { url, pool, is_verified: false }
    }

    /// For tests that damage the read models or make up checkpoints.
    pub(crate) fn unverified(mut self) -> Self {
        self.is_verified = false;
        self
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
    Append { tenant: tenant(), metadata: metadata(), request: None, streams }
}

/// A call that nobody has recorded yet, with a cost.
pub(crate) fn call() -> Append {
    let payload = include_str!("../../domain/tests/golden/call.recorded.v1.json").to_owned();
    let event = NewEvent { event_id: Uuid::now_v7(), name: "call.recorded", schema_version: 1, payload };
    let stream =
        StreamAppend { category: "call".into(), id: Uuid::now_v7(), expected: Expected::Any, events: vec![event] };
    append(vec![stream])
}

/// Waits for something that must happen.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
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
        self.program(OsStr::new(env!("CARGO_BIN_EXE_apex")), arguments)
    }

    fn program(&self, binary: &OsStr, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(binary);
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

/// Keeps a log from reaching a position, so that whoever appends is still at it when it is killed, however fast it is.
pub(crate) struct Hold {
    holder: PgConnection,
}

impl TestDatabase {
    /// Appends that would reach the position wait from now on.
    pub(crate) async fn hold_before(&self, position: i64) -> Hold {
        let mut holder = self.owner().await;
        let plant = format!(
            "select pg_advisory_lock(11);
             create function apex.hold() returns trigger language plpgsql as $plant$
             begin
                 if new.position >= {position} then perform pg_advisory_xact_lock(11); end if;
                 return new;
             end
             $plant$;
             create trigger hold before update on apex.head for each row execute function apex.hold()"
        );
        sqlx::raw_sql(AssertSqlSafe(plant)).execute(&mut holder).await.unwrap();
        Hold { holder }
    }
}

impl Hold {
    /// Ends what killed processes have left waiting.
    pub(crate) async fn end_others(&mut self) {
        let end = "select count(*) filter (where pg_terminate_backend(pid, 10000)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
        sqlx::query_scalar::<_, i64>(end).fetch_one(&mut self.holder).await.unwrap();
    }

    pub(crate) async fn release(mut self) {
        self.end_others().await;
        let release = "drop trigger hold on apex.head; drop function apex.hold()";
        sqlx::raw_sql(release).execute(&mut self.holder).await.unwrap();
        self.holder.close().await.unwrap();
    }
}

/// A sample that comes with the project.
pub(crate) fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A running server, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) child: tokio::process::Child,
    /// What it says on standard error after its address, for when it fails.
    said: tokio::task::JoinHandle<String>,
}

impl TestDatabase {
    /// Starts `apex serve` on a free port.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(OsStr::new(env!("CARGO_BIN_EXE_apex")), arguments).await
    }

    /// The same, with another binary.
    pub(crate) async fn serve_with(&self, binary: &OsStr, arguments: &[&str]) -> Server {
        use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
        let mut command = self.program(binary, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).await.unwrap() > 0, "the server ended: {said}");
            if let Some(address) = line.trim().strip_prefix("Apex listens on ") {
                break address.to_owned();
            }
            said.push_str(&line);
        };
        let said = tokio::spawn(async move {
            let mut rest = String::new();
            drop(stderr.read_to_string(&mut rest).await);
            rest
        });
        Server { address, child, said }
    }
}

impl Server {
    /// Asks GraphQL; errors at the top level fail the test.
    pub(crate) async fn ask(&self, query: &str, variables: serde_json::Value) -> serde_json::Value {
        let mut answer = self.answer(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// Asks GraphQL; the whole answer.
    pub(crate) async fn answer(&self, query: &str, variables: serde_json::Value) -> serde_json::Value {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let request = reqwest::Client::new().post(format!("{}/graphql", self.address)).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Asks it to stop, as an operator would; its exit code and what it said.
    pub(crate) async fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (status.code(), self.said.await.unwrap())
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
