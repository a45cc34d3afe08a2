//! The matrix of tenants: every operation of the API × every role × objects of the own tenant and of another one, by id,
//! filter, `node`, cursor, connection, subscription, `asOf`, command, route, export and ingest.
//!
//! Operations and their arguments come from the schema, routes from the table of the router, and roles from the permission
//! table. Each answer is allowed or refused as the table says, and has no value of the other tenant: everything that was
//! written there is searched for in body, headers and messages. What the matrix does not know how to ask fails it, so that
//! an addition cannot be forgotten.
//!
//! | what is new | where its line goes |
//! |---|---|
//! | a query, mutation or subscription, or a kind of object with a global id | operations.rs |
//! | an argument whose value names something | schema.rs, world.rs |
//! | a category of events | seeding.rs |
//! | a route | routes.rs, and ingest.rs if data comes in by it |
//! | a subcommand that prints data of a tenant | exports.rs |

mod actors;
mod canaries;
mod client;
mod existence;
mod exports;
mod forgetful;
mod ingest;
mod operations;
mod routes;
mod rows;
mod schema;
mod seeding;
mod sockets;
mod streams;
mod verdict;
mod world;

use crate::identities::Installation;
use actors::Actor;
use canaries::Canaries;
use client::Client;
use futures::StreamExt as _;
use rows::{rows_of, wait_for_read_models};
use schema::{Request, Schema};
use seeding::Seeding;
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use std::time::Instant;
use testkit::{Server, TestDatabase};
use uuid::Uuid;
use verdict::Verdict;
use world::{SMALL, STRIKING, Size, World};

/// The tokens of the settings.
const OPERATOR_TOKEN: &str = "operator-token-of-a-test";
/// The interval of heartbeats, which report positions. A client that is delayed for twice as long loses its WebSocket.
const KEEPALIVE_MS: &str = "2000";
/// The requests that are sent at the same time.
const AT_ONCE: usize = 8;

/// Two tenants on one server.
struct Matrix {
    installation: Installation,
    server: Server,
    client: Client,
    schema: Schema,
    own: World,
    foreign: World,
    /// The credential of an admin of the foreign tenant.
    foreign_admin: String,
}

async fn serve(installation: &Installation, more: &[&str]) -> Server {
    let arguments = ["--operator-token", OPERATOR_TOKEN, "--keepalive-ms", KEEPALIVE_MS, "--sign-in-attempts", "1000"];
    installation.serve(&[&arguments, more].concat()).await
}

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(1000).collect()
}

impl Matrix {
    async fn new() -> Self {
        routes::check_table(api::ROUTES.iter().map(|(route, _)| *route));
        // The parked events are invented.
        let installation = Installation::of(TestDatabase::new().await.unverified());
        let server = serve(&installation, &[]).await;
        let client = Client::new(&server.address);
        let marks = [(); 2].map(|()| format!("zq{}", &Uuid::new_v4().simple().to_string()[..14]));
        installation.run(&["tenants", "create", testkit::tenant().as_str()]).await;
        let foreign_admin = installation.key(&marks[1], "admin", &[]).await;
        let schema = Schema::new(&client.ask(OPERATOR_TOKEN, &json!({ "query": Schema::query() })).await.json);
        operations::check_table(&schema.operations());
        operations::check_nodes(&schema.nodes());
        let [own_mark, foreign_mark] = marks;
        let own = World::new(testkit::tenant().as_str(), own_mark);
        let foreign = World::new(&foreign_mark, foreign_mark.clone());
        let own = fill(&installation, &client, &schema, (OPERATOR_TOKEN, own, SMALL)).await;
        let mut foreign = fill(&installation, &client, &schema, (&foreign_admin, foreign, STRIKING)).await;
        foreign.canaries.add("tenant", &[&foreign_mark]);
        foreign.canaries.add_secret(&foreign_admin);
        Self { installation, server, client, schema, own, foreign, foreign_admin }
    }

    /// The requests of some roots about the objects of a tenant.
    fn requests(&self, roots: &[&str], about: &World) -> Vec<Request> {
        let requests = self.schema.requests(about).into_iter();
        requests.filter(|request| roots.contains(&request.root())).collect()
    }

    /// The requests of a root about the objects of the own tenant, and those about the other one that differ from them.
    fn both(&self, root: &str) -> [Vec<Request>; 2] {
        let [own, mut foreign] = [&self.own, &self.foreign].map(|about| self.requests(&[root], about));
        let known: BTreeSet<_> = own.iter().map(|request| request.body.to_string()).collect();
        foreign.retain(|request| !known.contains(&request.body.to_string()));
        [own, foreign]
    }

    /// Sends requests, several at the same time.
    async fn answers<'a>(&self, actor: &Actor, requests: &'a [Request], canaries: &Canaries) -> Vec<Verdict<'a>> {
        let answers = requests.iter().map(async |request| {
            Verdict::of(request, &self.client.ask(&actor.credential, &request.body).await, canaries)
        });
        futures::stream::iter(answers).buffer_unordered(AT_ONCE).collect().await
    }

    async fn end(self) {
        assert_eq!(self.server.terminate().await.0, Some(0));
    }
}

/// Fills a tenant with everything that there is.
async fn fill(
    installation: &Installation,
    client: &Client,
    schema: &Schema,
    (admin, world, size): (&str, World, Size),
) -> World {
    let mut seeding = Seeding { client, admin, world };
    seeding.objects(size).await;
    seeding.identities().await;
    seeding.session().await;
    seeding.export().await;
    let mut world = seeding.finish(&schema.lists()).await;
    let (tenant, mark) = (&world.tenant, &world.mark);
    let park = format!(
        "insert into apex.parked_events (projection, position, tenant_id, category, stream_id, cause)
         select 'tasks', position, tenant_id, category, stream_id, '{mark}-cause' from apex.events
         where tenant_id = '{tenant}' and category = 'task' order by position desc limit 1;
         select apex.record_parking_decision('tasks', position, 'retry', '{mark}-decider', '{mark}-why')
         from apex.parked_events where tenant_id = '{tenant}'"
    );
    let mut owner = installation.database.owner().await;
    sqlx::raw_sql(AssertSqlSafe(park)).execute(&mut owner).await.unwrap();
    let parked = "select position::text from apex.parked_events where tenant_id = $1";
    world.parked = sqlx::query_scalar(parked).bind(&world.tenant).fetch_one(&mut owner).await.unwrap();
    for what in ["cause", "decider", "why"] {
        let text = format!("{}-{what}", world.mark);
        world.canaries.add(what, &[&text]);
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_is_answered_by_the_table_and_never_with_values_of_another_tenant() {
    let (mut found, mut since) = (Vec::new(), Instant::now());
    let mut add = |what: &str, problems: Vec<String>| {
        println!("{:5.1} s: {what}: {} problems", since.elapsed().as_secs_f32(), problems.len());
        problems.iter().for_each(|problem| println!("    {problem}"));
        since = Instant::now();
        found.extend(problems);
    };
    let matrix = Matrix::new().await;
    let mut actors = actors::all(&matrix).await;
    let ([own, foreign], [own_commands, commands]) = (matrix.both("Query"), matrix.both("Mutation"));
    add("two tenants", Vec::new());
    let (mut problems, mut of_operator) = (Vec::new(), Vec::new());
    for actor in &actors {
        for (requests, is_own) in [(&own, true), (&foreign, false)] {
            let verdicts = matrix.answers(actor, requests, &matrix.foreign.canaries).await;
            problems.extend(verdict::problems(actor, &verdicts, is_own));
            of_operator.extend(verdicts.into_iter().filter(|_| actor.credential == OPERATOR_TOKEN));
        }
    }
    add(&format!("{} actors × {} queries", actors.len(), own.len() + foreign.len()), problems);
    add("existence", existence::check(&matrix, &actors).await);
    add("streams", streams::check(&matrix, &actors).await);
    add("sockets", sockets::check(&matrix, &actors).await);
    add("routes", routes::check(&matrix, &actors).await);
    add("exports", exports::check(&matrix).await);
    add("ingest", ingest::check(&matrix, &actors).await);
    // Last, because commands end what they are given to, and those with few permissions first. What clients have said then,
    // they may be told later.
    actors.sort_by_key(|actor| actor.permissions.iter().count());
    let told = commands.iter().map(|request| request.body.to_string());
    let told: String = told.chain([ingest::told(&matrix.foreign)]).collect();
    let canaries = matrix.foreign.canaries.without(&told);
    wait_for_read_models(&matrix.installation.database).await;
    let before = rows_of(&matrix.installation.database, &matrix.foreign.tenant).await;
    let mut problems = Vec::new();
    for actor in &actors {
        for (requests, is_own) in [(&own_commands, true), (&commands, false)] {
            let verdicts = matrix.answers(actor, requests, &canaries).await;
            problems.extend(verdict::problems(actor, &verdicts, is_own));
            of_operator.extend(verdicts.into_iter().filter(|_| actor.credential == OPERATOR_TOKEN));
        }
        let changed = rows_of(&matrix.installation.database, &matrix.foreign.tenant).await.differences(&before);
        let changed =
            changed.into_iter().map(|table| format!("{}: a command changed another tenant: {table}", actor.name));
        problems.extend(changed);
    }
    add(&format!("{} actors × {} commands", actors.len(), own_commands.len() + commands.len()), problems);
    let operator = actors.iter().find(|actor| actor.credential == OPERATOR_TOKEN).unwrap();
    add("control", verdict::check_that_a_missing_check_is_found(operator, &of_operator));
    assert!(found.is_empty(), "{} problems:\n{}", found.len(), found.join("\n"));
    matrix.end().await;
}

/// Control of the search: the other tenant itself is shown each of its values by the same requests, so that none of them is
/// one that the matrix could not find. And the net below the code: a server whose statements forget the tenant shows one
/// tenant the values of another, unless row-level security stops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_matrix_finds_every_value_and_row_level_security_stops_statements_that_forget_the_tenant() {
    let matrix = Matrix::new().await;
    let requests = matrix.requests(&["Query"], &matrix.foreign);
    let canaries = &matrix.foreign.canaries;
    // What a client says is a finding here: it is its own.
    let mut shown = BTreeSet::new();
    let of_foreign = serve(&matrix.installation, &["--tenant", &matrix.foreign.tenant]).await;
    for (address, credential) in
        [(&matrix.server.address, matrix.foreign_admin.as_str()), (&of_foreign.address, OPERATOR_TOKEN)]
    {
        let client = Client::new(address);
        let answers = requests.iter().map(|request| client.ask(credential, &request.body));
        let answers: Vec<_> = futures::stream::iter(answers).buffer_unordered(AT_ONCE).collect().await;
        shown.extend(answers.iter().flat_map(|answer| canaries.found_in(&answer.text, "")).map(str::to_owned));
    }
    drop(of_foreign.terminate().await);
    let hidden: Vec<_> = canaries.shown().into_iter().filter(|what| !shown.contains(*what)).collect();
    assert_eq!(hidden, Vec::<&str>::new(), "the matrix could not find these values");

    let url = forgetful::forgetful(&matrix.installation.database).await;
    let mut owner = matrix.installation.database.owner().await;
    let leaking = async |matrix: &Matrix| {
        let planted = serve(&matrix.installation, &["--database-url", &url]).await;
        let client = Client::new(&planted.address);
        let requests = matrix.requests(&["Query"], &matrix.own);
        let asked = requests.iter().map(async |request| {
            let answer = client.ask(OPERATOR_TOKEN, &request.body).await;
            (&request.operation, !canaries.found_in(&answer.text, "").is_empty())
        });
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        drop(planted.terminate().await);
        let leaking = answers.into_iter().filter(|(_, leaks)| *leaks).map(|(operation, _)| operation.clone());
        leaking.collect::<BTreeSet<_>>()
    };
    assert_eq!(leaking(&matrix).await, BTreeSet::new(), "row-level security does not stop it");
    let tables: Vec<String> = sqlx::query_scalar("select oid::regclass::text from pg_class where relrowsecurity")
        .fetch_all(&mut owner)
        .await
        .unwrap();
    for table in tables {
        let disable = format!("alter table {table} disable row level security");
        sqlx::query(AssertSqlSafe(disable)).execute(&mut owner).await.unwrap();
    }
    let leaking = leaking(&matrix).await;
    for operation in ["agents", "tasks", "calls", "memories", "budgets", "usageReport", "events"] {
        assert!(leaking.contains(&format!("Query.{operation}")), "{operation} is not planted: {leaking:?}");
    }
    matrix.end().await;
}
