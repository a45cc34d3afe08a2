//! The number of SQL statements and rows of a query, counted by a proxy in front of PostgreSQL.

use crate::graphql::command;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::{Server, TIMEOUT, TestDatabase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A proxy in front of PostgreSQL that counts executed statements and returned rows.
pub(crate) struct Counter {
    pub(crate) url: String,
    statements: Arc<AtomicUsize>,
    rows: Arc<AtomicUsize>,
}

impl Counter {
    pub(crate) async fn before(database: &TestDatabase) -> Self {
        let (start, rest) = database.url.rsplit_once('@').unwrap();
        let (target, name) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{start}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
        let (statements, rows) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (target, counted) = (target.to_owned(), (statements.clone(), rows.clone()));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                tokio::spawn(forward(client, server, counted.clone()));
            }
        });
        Self { url, statements, rows }
    }

    /// The number of statements and rows so far.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.statements.load(Ordering::SeqCst), self.rows.load(Ordering::SeqCst))
    }

    /// The number of statements of a query, including those of background workers meanwhile: the lowest of several
    /// requests, since a request that takes longer on a busy machine includes more of them.
    async fn statements_of(&self, server: &Server, query: &str) -> usize {
        // The first request prepares statements and fills caches.
        server.graphql(query, json!({})).await;
        let mut lowest = usize::MAX;
        for _ in 0..5 {
            let before = self.statements.load(Ordering::SeqCst);
            server.graphql(query, json!({})).await;
            lowest = lowest.min(self.statements.load(Ordering::SeqCst) - before);
        }
        lowest
    }
}

/// Forwards a connection and counts its `Execute` and `Query` messages and its data rows.
async fn forward(client: TcpStream, server: TcpStream, (statements, rows): (Arc<AtomicUsize>, Arc<AtomicUsize>)) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = tokio::spawn(count(from_server, to_client, b"D", rows, false));
    // The first message of a client has no type byte.
    count(from_client, to_server, b"EQ", statements, true).await;
    answers.abort();
}

async fn count(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    kinds: &'static [u8],
    counted: Arc<AtomicUsize>,
    mut is_untyped: bool,
) {
    loop {
        let mut kind = [0];
        if !is_untyped && from.read_exact(&mut kind).await.is_err() {
            break;
        }
        let mut length = [0; 4];
        if from.read_exact(&mut length).await.is_err() {
            break;
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        if from.read_exact(&mut body).await.is_err() {
            break;
        }
        if kinds.contains(&kind[0]) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        let message = [if is_untyped { &[][..] } else { &kind[..] }, &length, &body].concat();
        if to.write_all(&message).await.is_err() {
            break;
        }
        is_untyped = false;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn related_rows_of_a_page_are_loaded_in_batches() {
    const ROWS: usize = 120;
    let database = TestDatabase::new().await;
    let counter = Counter::before(&database).await;
    let server = database.serve(&["--database-url", &counter.url]).await;
    let mut last = Value::Null;
    for n in 0..ROWS {
        let agent = command(&server, "registerAgent", json!({ "name": format!("a{n}") }), "agent { id }").await;
        let agent = agent["agent"]["id"].clone();
        let task = json!({ "title": format!("t{n}"), "agentId": agent });
        let task = command(&server, "submitTask", task, "task { id }").await["task"]["id"].take();
        let terms = json!({ "name": format!("b{n}"), "limit": 1, "scope": { "agentId": agent } });
        command(&server, "defineBudget", json!({ "terms": terms }), "outcome").await;
        let report = json!({ "model": "m", "agentId": agent, "taskId": task });
        last = command(&server, "reportCall", report, "position").await["position"].take();
        let memory = json!({ "agentId": agent, "content": "x" });
        command(&server, "storeMemory", memory, "position").await;
    }
    let wait = format!(
        "{{ calls(first: 1, minPosition: {last}) {{ nodes {{ agent {{ id }} task {{ id }} }} }} budgets(first: 1, minPosition: {last}) {{ nodes {{ id }} }} }}"
    );
    server.graphql(&wait, json!({})).await;
    // Wait until the projections and the policy have applied the last event, so that they execute nothing more.
    let policy = policies::policy_checkpoint(policies::BUDGET_ALERTS);
    let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).chain([&*policy]).collect();
    let head = streams::Position::from_i64(database.head().await);
    projections::wait_for(&database.pool, &names, head, TIMEOUT).await.unwrap();
    for query in [
        "{ tasks(first: COUNT) { nodes { title agent { name } } } }",
        "{ calls(first: COUNT) { nodes { agent { name } task { title agent { name } } } } }",
        "{ memories(first: COUNT) { nodes { agent { name } } } }",
        "{ budgets(first: COUNT) { nodes { months { spent } alerts { spent } } } }",
    ] {
        let one = counter.statements_of(&server, &query.replace("COUNT", "1")).await;
        let many = counter.statements_of(&server, &query.replace("COUNT", &ROWS.to_string())).await;
        // Loading each row separately would take a statement a row; background workers execute a few.
        assert!(many < one + ROWS / 4, "{query}: {one} statements for one row, {many} for {ROWS}");
    }
    // Control: a list inside a list takes a statement a row, which the counter must see.
    let inside = "{ agents(first: COUNT) { nodes { tasks(first: 1) { nodes { id } } } } }";
    let many = counter.statements_of(&server, &inside.replace("COUNT", &ROWS.to_string())).await;
    assert!(many >= ROWS, "{many}");
}
