//! How many statements a query takes, and how many rows it gets: counted on the wire, before PostgreSQL.

use crate::graphql::command;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::{Server, TIMEOUT, TestDatabase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A proxy in front of PostgreSQL that counts what is executed, and the rows that come back.
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
                tokio::spawn(pass_on(client, server, counted.clone()));
            }
        });
        Self { url, statements, rows }
    }

    /// Statements and rows so far.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.statements.load(Ordering::SeqCst), self.rows.load(Ordering::SeqCst))
    }

    /// How many statements a query takes, with what workers do in the meantime.
    async fn of(&self, server: &Server, query: &str) -> usize {
        // Prepared, pooled, cached: the second time is like every other time.
        server.graphql(query, json!({})).await;
        let before = self.statements.load(Ordering::SeqCst);
        server.graphql(query, json!({})).await;
        self.statements.load(Ordering::SeqCst) - before
    }
}

/// Counts the messages that execute something, `Execute`, and `Query` for what is not prepared, and those that are rows.
async fn pass_on(client: TcpStream, server: TcpStream, (statements, rows): (Arc<AtomicUsize>, Arc<AtomicUsize>)) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = tokio::spawn(count(from_server, to_client, b"D", rows, false));
    // The first message of a client has no type.
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
async fn what_belongs_to_rows_is_loaded_together() {
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
    // The projections are still at the last memory for a moment, and so is the policy.
    let policy = projections::policy_checkpoint(apex::policies::BUDGET_ALERTS);
    let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).chain([&*policy]).collect();
    let head = streams::Position::from_i64(database.head().await);
    projections::wait_for(&database.pool, &names, head, TIMEOUT).await.unwrap();
    for query in [
        "{ tasks(first: COUNT) { nodes { title agent { name } } } }",
        "{ calls(first: COUNT) { nodes { agent { name } task { title agent { name } } } } }",
        "{ memories(first: COUNT) { nodes { agent { name } } } }",
        "{ budgets(first: COUNT) { nodes { months { spent } alerts { spent } } } }",
    ] {
        let one = counter.of(&server, &query.replace("COUNT", "1")).await;
        let many = counter.of(&server, &query.replace("COUNT", &ROWS.to_string())).await;
        // Each row on its own would be a statement or more; the tail and the probes of others are a few.
        assert!(many < one + ROWS / 4, "{query}: {one} statements for one row, {many} for {ROWS}");
    }
    // That the counter sees statements at all: a list inside a list has one for each row.
    let inside = "{ agents(first: COUNT) { nodes { tasks(first: 1) { nodes { id } } } } }";
    let many = counter.of(&server, &inside.replace("COUNT", &ROWS.to_string())).await;
    assert!(many >= ROWS, "{many}");
}
