//! What identities and row-level security cost: the same requests with an API key and as the owner on a loopback address, the
//! same reads as the role of requests and as the one that sees all rows, and the same appends with and without policies.
//!
//! Over HTTP both are sent to one process. `ROWS` sets the number of agents and calls of each of two tenants (default: 5000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot continue has failed"
)]

use projections::calls::{self, CallFilter, CallRow};
use projections::{Order, Page};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use streams::{Position, ReadFilter, TenantReads};
use testkit::TestDatabase;
use testkit::bench::{Bench, Table, setting};
use uuid::Uuid;

/// Requests at the same time.
const IN_FLIGHT: usize = 8;
const PAGE: Page = Page { order: Order::OldestFirst, after: None, limit: 51 };
/// Tables of the log with policies.
const TABLES: [&str; 3] = ["events", "streams", "receipts"];

const LIST: &str = "{ agents(first: 20) { nodes { uuid name status } } }";
const CALLS: &str = "{ calls(first: 50) { nodes { uuid model cost startedAt } } }";
const EVENTS: &str = "{ events(last: 20) { nodes { type position recordedAt } } }";
const COMMAND: &str = "mutation { registerAgent(input: {name: \"ada\"}) { position } }";

const FILL: &str = "
    insert into apex.calls (tenant_id, call_id, kind, agent_id, model, usage, usage_assumed, started_at, source, version,
                            position)
    select t, gen_random_uuid(), 'llm', lpad((n % 100)::text, 32, '0')::uuid, 'model-' || n % 5, '{\"input\": 1}', false,
        timestamptz '2025-01-01Z' + n * interval '1 minute', 'test', 1, n
    from unnest(array['default', 'other']) t, generate_series(1, ROWS) n;
    analyze apex.calls";

/// Who sends requests over HTTP.
#[derive(Clone)]
struct Sender {
    client: Client,
    url: String,
    key: Option<String>,
}

impl Sender {
    async fn send(&self, query: &str) {
        let request = self.client.post(&self.url).json(&json!({ "query": query }));
        let request = self.key.iter().fold(request, |request, key| request.bearer_auth(key));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
    }
}

/// Requests a second.
async fn requests(bench: &Bench, sender: &Sender, query: &'static str) -> f64 {
    let sender = sender.clone();
    bench
        .rate(IN_FLIGHT, move |_| {
            let sender = sender.clone();
            async move {
                sender.send(query).await;
                1
            }
        })
        .await
}

/// The cases over HTTP: with a key, and without one.
async fn over_http(bench: &Bench, table: &mut Table) {
    let database = TestDatabase::at(bench.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("identity.keys");
    let key_file = key_file.to_str().unwrap();
    let run = async |arguments: &[&str]| {
        let output = database.run(&[arguments, &["--key-file", key_file]].concat()).await;
        output.assert_success().stdout.trim_end().to_owned()
    };
    run(&["tenants", "create", "default"]).await;
    let account = run(&["accounts", "create", "bench", "--role", "operator"]).await;
    let key = run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    let server = database.serve(&["--key-file", key_file]).await;
    let sender = |key| Sender { client: Client::new(), url: format!("{}/graphql", server.address), key };
    let (with_key, without) = (sender(Some(key)), sender(None));
    for sender in [&with_key, &without] {
        for _ in 0..50 {
            sender.send(COMMAND).await;
        }
    }
    for (query, what, unit) in [
        (LIST, "20 agents", "requests/s"),
        (CALLS, "50 calls", "requests/s"),
        (EVENTS, "20 events", "requests/s"),
        (COMMAND, "a command", "commands/s"),
    ] {
        let case = format!("{what} over HTTP with an API key; as the owner on loopback");
        let (ours, baseline) =
            (async || requests(bench, &with_key, query).await, async || requests(bench, &without, query).await);
        table.case(bench, &case, unit, ours, baseline).await;
    }
    assert_eq!(server.terminate().await.0, Some(0));
}

async fn as_reader(reads: &TenantReads) {
    let filter = CallFilter::default();
    assert_eq!(calls::list(reads, &testkit::access(), &filter, PAGE).await.unwrap().len(), 51);
}

/// The statement of the list, by the role that sees all rows.
async fn as_owner(pool: &PgPool) {
    let list = include_str!("../projections/src/calls/list.sql").replace("{columns}", "*");
    let query = sqlx::query_as::<_, CallRow>(AssertSqlSafe(list));
    let query = query.bind("default").bind(Vec::<Uuid>::new()).bind(None::<String>).bind(None::<Uuid>);
    let none = None::<chrono::DateTime<chrono::Utc>>;
    let query = query.bind(None::<Uuid>).bind(None::<String>).bind(none).bind(none).bind(false).bind(none);
    let query = query.bind(None::<Uuid>).bind(PAGE.limit).bind(None::<Vec<Uuid>>);
    assert_eq!(query.fetch_all(pool).await.unwrap().len(), 51);
}

/// The case of the roles of connections.
async fn by_role(bench: &Bench, table: &mut Table) {
    let reads = TenantReads::beside(&bench.pool, u32::try_from(IN_FLIGHT).unwrap());
    let reader = async || {
        let reads = reads.clone();
        let read = move |_| {
            let reads = reads.clone();
            async move {
                as_reader(&reads).await;
                1
            }
        };
        bench.rate(IN_FLIGHT, read).await
    };
    let owner = async || {
        let pool = bench.pool.clone();
        let read = move |_| {
            let pool = pool.clone();
            async move {
                as_owner(&pool).await;
                1
            }
        };
        bench.rate(IN_FLIGHT, read).await
    };
    reader().await;
    owner().await;
    table
        .case(bench, "50 calls as the role of requests; as the role that sees all rows", "reads/s", reader, owner)
        .await;
}

async fn switch(bench: &Bench, is_on: bool) {
    let mut owner: PgConnection = bench.owner.clone().connect().await.unwrap();
    let switch = if is_on { "enable" } else { "disable" };
    for table in TABLES {
        let statement = format!("alter table apex.{table} {switch} row level security");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut owner).await.unwrap();
    }
}

/// The cases of the log: with the policies of its tables, and without them.
async fn log(bench: &Bench, table: &mut Table) {
    let append = async |is_on| {
        switch(bench, is_on).await;
        bench.ours(64, 1).await
    };
    let case = "appends of 1 event, 64 in flight, with policies; without";
    table.case(bench, case, "events/s", async || append(true).await, async || append(false).await).await;
    let read = async |is_on| {
        switch(bench, is_on).await;
        let log = bench.log.clone();
        let read = move |_| {
            let log = log.clone();
            async move {
                let events = log.read_after(Position::ZERO, &ReadFilter::default(), 1000).await.unwrap();
                u64::try_from(events.len()).unwrap()
            }
        };
        bench.rate(2, read).await
    };
    let case = "reading pages of 1000 events with policies; without";
    table.case(bench, case, "events/s", async || read(true).await, async || read(false).await).await;
    switch(bench, true).await;
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    let mut owner: PgConnection = bench.owner.clone().connect().await.unwrap();
    let fill = FILL.replace("ROWS", &setting("ROWS", 5000).to_string());
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut owner).await.unwrap();
    drop(owner);
    let mut table = Table::new();
    over_http(&bench, &mut table).await;
    by_role(&bench, &mut table).await;
    log(&bench, &mut table).await;
    table.write("identities");
    bench.drop_database().await;
}
