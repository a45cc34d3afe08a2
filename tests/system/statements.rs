//! The number of SQL statements and rows of a query, counted by a proxy in front of PostgreSQL.

use crate::graphql::command;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::{Server, TIMEOUT, TestDatabase, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The tables of read models whose rows the queries of these tests refer to. Workers that have nothing to apply read none of them.
const TABLES: [&str; 7] = [
    "apex.agents",
    "apex.tasks",
    "apex.calls",
    "apex.memories",
    "apex.budgets",
    "apex.budget_months",
    "apex.budget_alerts",
];

/// A proxy in front of PostgreSQL that counts executed statements and returned rows.
pub(crate) struct Counter {
    pub(crate) url: String,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    statements: AtomicUsize,
    /// Those that read [`TABLES`].
    reads: AtomicUsize,
    rows: AtomicUsize,
}

impl Counter {
    pub(crate) async fn before(database: &TestDatabase) -> Self {
        let (start, rest) = database.url.rsplit_once('@').unwrap();
        let (target, name) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{start}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
        let counted = Arc::<Counted>::default();
        let (target, counts) = (target.to_owned(), counted.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                tokio::spawn(forward(client, server, counts.clone()));
            }
        });
        Self { url, counted }
    }

    /// The number of statements and rows so far.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.counted.statements.load(Ordering::SeqCst), self.counted.rows.load(Ordering::SeqCst))
    }

    /// The number of statements of a query that read [`TABLES`]. Those of workers are not counted: how many of them run meanwhile
    /// depends on the speed of the machine.
    async fn reads_of(&self, server: &Server, query: &str) -> usize {
        // The first request fills caches.
        server.graphql(query, json!({})).await;
        let before = self.counted.reads.load(Ordering::SeqCst);
        server.graphql(query, json!({})).await;
        self.counted.reads.load(Ordering::SeqCst) - before
    }
}

/// Forwards a connection and counts its `Execute` and `Query` messages and its data rows.
async fn forward(client: TcpStream, server: TcpStream, counted: Arc<Counted>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = counted.clone();
    let answers = tokio::spawn(relay(from_server, to_client, false, move |kind, _| {
        if kind == b'D' {
            answers.rows.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let mut statements = Statements::default();
    // The first message of a client has no type byte.
    relay(from_client, to_server, true, move |kind, body| statements.count(kind, body, &counted)).await;
    answers.abort();
}

/// The prepared statements of a connection.
#[derive(Default)]
struct Statements {
    /// Whether each one reads [`TABLES`], by its name.
    reads: HashMap<Vec<u8>, bool>,
    /// Whether the one does whose parameters were sent last.
    bound: bool,
}

impl Statements {
    /// Counts a message of a client, by the frontend/backend protocol of PostgreSQL.
    fn count(&mut self, kind: u8, body: &[u8], counted: &Counted) {
        let mut texts = body.split(|byte| *byte == 0);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        match kind {
            // Parse: a name and a text.
            b'P' => {
                let text = String::from_utf8_lossy(second);
                let words: Vec<_> = text.split_whitespace().collect();
                let reads = words.windows(2).any(|pair| pair[0] == "from" && TABLES.contains(&pair[1]));
                self.reads.insert(first.to_vec(), reads);
            }
            // Bind: a portal and the name of a statement.
            b'B' => self.bound = self.reads.get(second).copied().unwrap_or(false),
            b'E' => {
                counted.statements.fetch_add(1, Ordering::SeqCst);
                counted.reads.fetch_add(self.bound.into(), Ordering::SeqCst);
            }
            b'Q' => {
                counted.statements.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}

/// Forwards messages, each of which is looked at first: its type, and its body.
async fn relay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_untyped: bool, mut look: impl FnMut(u8, &[u8])) {
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
        look(kind[0], &body);
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
        let one = counter.reads_of(&server, &query.replace("COUNT", "1")).await;
        let many = counter.reads_of(&server, &query.replace("COUNT", &ROWS.to_string())).await;
        assert!(one > 0, "{query}: no statement was seen");
        // Loading each row separately would take a statement a row.
        assert!(many < one + ROWS / 4, "{query}: {one} statements for one row, {many} for {ROWS}");
    }
    // Control: a list inside a list takes a statement a row, which the counter must see.
    let inside = "{ agents(first: COUNT) { nodes { tasks(first: 1) { nodes { id } } } } }";
    let many = counter.reads_of(&server, &inside.replace("COUNT", &ROWS.to_string())).await;
    assert!(many >= ROWS, "{many}");
}

/// How budgets are enforced is in the log: it is read for all budgets of a page together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_the_budgets_of_a_page_are_enforced_is_read_at_once() {
    const ROWS: usize = 60;
    let database = TestDatabase::new().await;
    let counter = Counter::before(&database).await;
    let server = database.serve(&["--database-url", &counter.url]).await;
    let mut last = Value::Null;
    for n in 0..ROWS {
        let scope = json!({ "conditions": [{ "dimension": "model", "value": format!("m{n}") }] });
        let terms = json!({ "name": format!("b{n}"), "limit": 1, "scope": scope, "enforcement": "SOFT" });
        last = command(&server, "defineBudget", json!({ "terms": terms }), "position").await["position"].take();
    }
    let counted = "select count(*) from apex.jobs where kind = 'budget-count' and state = 'done'";
    let counted = async || sqlx::query_scalar::<_, i64>(counted).fetch_one(&database.pool).await.unwrap();
    wait_until("the budgets are counted", async || counted().await == i64::try_from(ROWS).unwrap()).await;
    let query = "{ budgets(first: COUNT) { nodes { name control { enforcement conditions { value } } } } }";
    let wait = format!("{{ budgets(first: {ROWS}, minPosition: {last}) {{ nodes {{ name }} }} }}");
    server.graphql(&wait, json!({})).await;
    let page = server.graphql(&query.replace("COUNT", &ROWS.to_string()), json!({})).await;
    let nodes = page["budgets"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), ROWS);
    for node in nodes {
        let model = node["name"].as_str().unwrap().replace('b', "m");
        let control = json!({ "enforcement": "SOFT", "conditions": [{ "value": model }] });
        assert_eq!(node["control"], control, "each budget has its own");
    }
    let one = counter.reads_of(&server, &query.replace("COUNT", "1")).await;
    let many = counter.reads_of(&server, &query.replace("COUNT", &ROWS.to_string())).await;
    assert!(many < one + ROWS / 4, "{one} statements for one budget, {many} for {ROWS}");
}
