//! The SQL function `apex.append`, called with malicious arguments by the application's role, and how readers handle
//! events that they cannot decode.

use serde_json::json;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor, Postgres};
use std::collections::BTreeSet;
use streams::{Log, LogConfig, Position, ReadFilter, RecordedEvent};
use testkit::{TIMEOUT, TestDatabase, call_append, wait_until};
use uuid::Uuid;

/// A well-formed payload of a known type.
const PAYLOAD: &str = r#"{"at":"2023-11-16T18:17:03Z"}"#;

/// The arguments of a call of `apex.append`.
#[derive(Clone)]
struct Batch {
    tenant: String,
    command: Uuid,
    metadata: String,
    stream_tenant: String,
    category: String,
    streams: Vec<Uuid>,
    expected: i64,
    before: i64,
    entries: Vec<i32>,
    event_type: String,
    schema_version: i16,
    payload: String,
    hash: Vec<u8>,
}

impl Batch {
    fn new() -> Self {
        let command = Uuid::new_v4();
        Self {
            tenant: "default".to_owned(),
            command,
            metadata: metadata("mallory", command),
            stream_tenant: "default".to_owned(),
            category: "task".to_owned(),
            streams: vec![Uuid::now_v7()],
            expected: 0,
            before: 0,
            entries: vec![1],
            event_type: "task.started".to_owned(),
            schema_version: 1,
            payload: PAYLOAD.to_owned(),
            hash: vec![0; 32],
        }
    }

    async fn send<'e>(&self, executor: impl Executor<'e, Database = Postgres>) -> Result<String, sqlx::Error> {
        let (streams, events) = (self.streams.len(), self.entries.len());
        let numbers: Vec<i32> = (1..).take(streams).collect();
        let append = "select status from apex.append(
            $1, $2, array[false], array[$3], array[null::bytea], $4, $5, $6, $7, array_fill(null::integer, array[$8]),
            array_fill(1, array[$8]), $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        sqlx::query_scalar(AssertSqlSafe(append))
            .bind(vec![&self.tenant])
            .bind(vec![self.command])
            .bind(i32::try_from(events).unwrap())
            .bind(vec![&self.metadata])
            .bind(vec![&self.stream_tenant; streams])
            .bind(vec![&self.category; streams])
            .bind(&self.streams)
            .bind(i32::try_from(streams).unwrap())
            .bind(numbers)
            .bind(vec![self.expected; streams])
            .bind(vec![self.before; streams])
            .bind(&self.entries)
            .bind((0..events).map(|_| Uuid::now_v7()).collect::<Vec<_>>())
            .bind(vec![&self.event_type; events])
            .bind(vec![self.schema_version; events])
            .bind(vec![&self.payload; events])
            .bind(vec![&self.hash; events])
            .fetch_one(executor)
            .await
    }
}

fn metadata(actor: &str, command: Uuid) -> String {
    json!({ "actor": actor, "command_id": command, "correlation_id": command }).to_string()
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

async fn log(database: &TestDatabase) -> Log {
    Log::open(database.pool.clone(), LogConfig::default()).await.unwrap()
}

async fn all(log: &Log) -> Vec<RecordedEvent> {
    log.read_after(Position::ZERO, &ReadFilter::default(), 10_000).await.unwrap()
}

/// The arguments of a valid call that appends two events to a new stream, each with its type.
fn valid_arguments() -> [(String, &'static str); 20] {
    let (command, stream) = (Uuid::new_v4(), Uuid::now_v7());
    let text = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let twice = |value: &str| format!("array[{value}, {value}]");
    let once = |value: &str| format!("array[{value}]");
    [
        (once("'default'"), "text[]"),
        (once(&text(&command.to_string())), "uuid[]"),
        (once("false"), "boolean[]"),
        (once("2"), "integer[]"),
        (once("null"), "bytea[]"),
        (once(&text(&metadata("mallory", command))), "text[]"),
        (once("'default'"), "text[]"),
        (once("'task'"), "text[]"),
        (once(&text(&stream.to_string())), "uuid[]"),
        (once("null"), "integer[]"),
        (once("1"), "integer[]"),
        (once("1"), "integer[]"),
        (once("0"), "bigint[]"),
        (once("0"), "bigint[]"),
        (twice("1"), "integer[]"),
        (format!("array['{}', '{}']", Uuid::now_v7(), Uuid::now_v7()), "uuid[]"),
        (twice("'task.started'"), "text[]"),
        (twice("1"), "smallint[]"),
        (twice(&text(PAYLOAD)), "text[]"),
        (twice("sha256('x')"), "bytea[]"),
    ]
}

async fn call(database: &TestDatabase, arguments: &[(String, &str)]) -> Result<String, sqlx::Error> {
    let arguments: Vec<_> = arguments.iter().map(|(value, of_type)| format!("({value})::{of_type}")).collect();
    let statement = format!("select status from apex.append({})", arguments.join(", "));
    sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&database.pool).await
}

/// An array that begins at another index could leave a gap in the positions, and make checks look at nothing.
#[tokio::test]
async fn the_append_function_refuses_arrays_of_another_shape() {
    let database = TestDatabase::new().await;
    for index in 0..valid_arguments().len() {
        let (value, of_type) = valid_arguments()[index].clone();
        let shapes = [
            format!("'[0:' || cardinality(({value})::{of_type}) - 1 || ']=' || (({value})::{of_type})::text"),
            format!("'[2:' || cardinality(({value})::{of_type}) + 1 || ']=' || (({value})::{of_type})::text"),
            format!("({value})::{of_type} || ({value})::{of_type}"),
            "'{}'".to_owned(),
            "null".to_owned(),
        ];
        for shape in shapes {
            let mut arguments = valid_arguments();
            arguments[index].0 = shape.clone();
            let error = call(&database, &arguments).await.expect_err(&shape);
            let (code, argument) = (code(&error), index + 1);
            assert!(["22023", "22004"].contains(&&*code), "argument {argument}, {shape}: {error}");
        }
    }
    assert_eq!(log(&database).await.head().await.unwrap(), Position::ZERO);
    assert_eq!(call(&database, &valid_arguments()).await.unwrap(), "appended");
    assert_eq!(log(&database).await.head().await.unwrap().get(), 2);
}

/// The constraints hold in every partition, including new ones.
#[tokio::test]
async fn the_append_function_refuses_malformed_events() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    sqlx::query("select apex.set_partition_size(1)").execute(&mut owner).await.unwrap();
    sqlx::query("select apex.make_partitions(9)").execute(&mut owner).await.unwrap();
    let command = Uuid::new_v4();
    type Corrupt = fn(&mut Batch);
    let faults: &[(&str, Corrupt, &str)] = &[
        (
            "a tenant of another form",
            |b| (b.tenant, b.stream_tenant) = ("No Tenant".into(), "No Tenant".into()),
            "23514",
        ),
        ("a tenant with a line break", |b| (b.tenant, b.stream_tenant) = ("a\nb".into(), "a\nb".into()), "23514"),
        ("a long tenant", |b| (b.tenant, b.stream_tenant) = ("a".repeat(64), "a".repeat(64)), "23514"),
        ("a stream of another tenant", |b| b.stream_tenant = "other".into(), "22023"),
        ("a category of another form", |b| b.category = "Task".into(), "23514"),
        ("a type without a dot", |b| b.event_type = "started".into(), "23514"),
        ("a type with white space", |b| b.event_type = "task.started\n".into(), "23514"),
        ("a long type", |b| b.event_type = format!("task.{}", "x".repeat(200)), "23514"),
        ("version 0 of a type", |b| b.schema_version = 0, "23514"),
        ("a negative version of a type", |b| b.schema_version = -1, "23514"),
        ("a short hash", |b| b.hash = vec![0], "23514"),
        ("an empty payload", |b| b.payload = "{}".into(), "23514"),
        ("a payload that is no object", |b| b.payload = "[1, 2]".into(), "23514"),
        ("a payload with a space before it", |b| b.payload = r#" {"x":1}"#.into(), "23514"),
        ("a payload that is no JSON", |b| b.payload = "{".into(), "22P02"),
        ("a payload that no broker takes", |b| b.payload = format!(r#"{{"x":"{}"}}"#, "x".repeat(900_000)), "23514"),
        ("no actor", |b| b.metadata = b.metadata.replace("mallory", ""), "22023"),
        ("an actor that is no text", |b| b.metadata = b.metadata.replace("\"mallory\"", "7"), "22023"),
        ("another command id", |b| b.command = Uuid::new_v4(), "22023"),
        ("no metadata", |b| b.metadata = "{}".into(), "22023"),
        ("an endless actor", |b| b.metadata = metadata(&"x".repeat(5000), b.command), "22023"),
        ("a stream twice", |b| b.streams = vec![b.streams[0]; 2], "22023"),
        ("streams in another order", |b| b.streams = vec![Uuid::max(), Uuid::nil()], "22023"),
        ("an event of no stream", |b| b.entries = vec![7], "22004"),
    ];
    for round in 0..3_u64 {
        for (what, corrupt, expected) in faults {
            let mut batch = Batch { command, metadata: metadata("mallory", command), ..Batch::new() };
            corrupt(&mut batch);
            match batch.send(&database.pool).await {
                Err(error) => assert_eq!(code(&error), *expected, "{what}: {error}"),
                Ok(status) => panic!("{what}: {status}"),
            }
        }
        // A valid event moves the head into the next partition.
        Batch::new().send(&database.pool).await.unwrap();
        assert_eq!(log(&database).await.head().await.unwrap().get(), round + 1);
    }
}

/// The function computes versions and positions itself, whatever the caller passes, also twice in one transaction.
#[tokio::test]
async fn the_append_function_assigns_versions_itself() {
    let database = TestDatabase::new().await;
    let fresh = Batch::new();
    let wrong_version = Batch { expected: -1, before: 98, entries: vec![1, 1], ..fresh.clone() };
    assert_eq!(wrong_version.send(&database.pool).await.unwrap(), "appended");
    let mut transaction = database.pool.begin().await.unwrap();
    for (savepoint, expected, status) in [(false, 2, "appended"), (true, 3, "appended"), (true, 3, "conflict")] {
        if savepoint {
            sqlx::query("savepoint s").execute(&mut *transaction).await.unwrap();
        }
        let command = Uuid::new_v4();
        let metadata = metadata("ada", command);
        let next = Batch { command, metadata, expected, streams: fresh.streams.clone(), ..Batch::new() };
        assert_eq!(next.send(&mut *transaction).await.unwrap(), status);
    }
    transaction.commit().await.unwrap();
    let versions: Vec<i64> = sqlx::query_scalar("select version from apex.events order by position")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    let version: i64 = sqlx::query_scalar("select version from apex.streams").fetch_one(&database.pool).await.unwrap();
    assert_eq!((versions, version), (vec![1, 2, 3, 4], 4));
}

/// No session of the application role can keep others from creating partitions, nor create too many.
#[tokio::test]
async fn the_application_role_cannot_block_partition_creation_or_exceed_its_limit() {
    let database = TestDatabase::new().await;
    let mut idle = database.pool.acquire().await.unwrap();
    for lock in ["apex.ensure_partitions", "apex.index_sealed_partition"] {
        sqlx::query("select pg_advisory_lock(hashtext($1))").bind(lock).execute(&mut *idle).await.unwrap();
    }
    sqlx::query("begin").execute(&mut *idle).await.unwrap();
    // A call that creates nothing takes no lock.
    let ensure = async |connection: &mut PgConnection, ahead: i32| {
        let made = sqlx::query_scalar::<_, i32>("select apex.ensure_partitions($1)").bind(ahead);
        tokio::time::timeout(TIMEOUT, made.fetch_one(connection)).await.expect("the call is not blocked")
    };
    assert_eq!(ensure(&mut idle, 1).await.unwrap(), 0);
    let mut other = database.pool.acquire().await.unwrap();
    assert_eq!(ensure(&mut other, 16).await.unwrap(), 14, "two existed already");
    assert_eq!(ensure(&mut other, 16).await.unwrap(), 0, "they are counted from the head");
    assert_eq!(code(&ensure(&mut other, 17).await.unwrap_err()), "22023");
    for attempt in [
        "select from apex.locks for update",
        "select from apex.settings for update",
        "select apex.make_partitions(1)",
        "select apex.set_partition_size(5)",
    ] {
        let refused = sqlx::query(attempt).execute(&mut *other).await.unwrap_err();
        assert_eq!(code(&refused), "42501", "{attempt}");
    }
    sqlx::query("rollback").execute(&mut *idle).await.unwrap();
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut *idle).await.unwrap();
}

/// A decision about a parked event records the role that made it and cannot be changed.
#[tokio::test]
async fn parking_decisions_record_the_role_and_are_immutable() {
    let database = TestDatabase::new().await.unverified();
    let insert = "insert into apex.parking_decisions (projection, position, decision, actor, reason)
                  values ('tasks', 1, 'skip', 'another actor', 'none')";
    assert_eq!(code(&sqlx::query(insert).execute(&database.pool).await.unwrap_err()), "42501");
    let decide = |actor: &str| {
        AssertSqlSafe(format!("select apex.record_parking_decision('tasks', 1, 'skip', '{actor}', 'why')"))
    };
    let refused = sqlx::query(decide("ada")).execute(&database.pool).await.unwrap_err();
    assert_eq!(code(&refused), "55000", "nothing is parked: {refused}");
    sqlx::query(
        "insert into apex.parked_events (projection, position, tenant_id, category, stream_id, cause)
         values ('tasks', 1, 'default', 'task', gen_random_uuid(), 'x')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    assert_eq!(code(&sqlx::query(decide(" ")).execute(&database.pool).await.unwrap_err()), "22023");
    sqlx::query(decide("ada")).execute(&database.pool).await.unwrap();
    let mut owner = database.owner().await;
    let (actor, role, session, name): (String, String, String, String) =
        sqlx::query_as("select actor, application_role, session_role, session_user::text from apex.parking_decisions")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!((actor.as_str(), role.as_str(), session), ("ada", "apex_app", name));
    for attempt in [
        "update apex.parking_decisions set actor = 'bob'",
        "delete from apex.parking_decisions",
        "truncate apex.parking_decisions",
    ] {
        assert_eq!(code(&sqlx::query(attempt).execute(&mut owner).await.unwrap_err()), "42501", "{attempt}");
    }
}

/// Appends events that the constraints accept, but that no consumer can decode.
async fn append_undecodable_events(pool: &PgPool) {
    let odd = [
        ("task", "task.started", 77, PAYLOAD),
        ("task", "task.exploded", 1, PAYLOAD),
        // Valid JSON for PostgreSQL, but not for most parsers.
        ("task", "task.started", 1, r#"{"at":1e999,"half":"\ud800"}"#),
        ("budget_period", "budget.threshold_crossed", 1, PAYLOAD),
        ("nonsense", "nonsense.done", 1, PAYLOAD),
    ];
    for (category, event_type, schema_version, payload) in odd {
        let (category, event_type, payload) = (category.into(), event_type.into(), payload.into());
        let batch = Batch { category, event_type, schema_version, payload, ..Batch::new() };
        batch.send(pool).await.unwrap();
    }
}

/// Inserts a row that violates every constraint, as if it were older than them.
async fn insert_malformed_row(owner: &mut PgConnection) {
    for constraint in ["events_stream_has_the_form", "events_type_has_the_form", "events_content_is_bounded"] {
        let drop = format!("alter table apex.events drop constraint {constraint}");
        sqlx::query(AssertSqlSafe(drop)).execute(&mut *owner).await.unwrap();
    }
    sqlx::query(
        "with next as (update apex.head set position = position + 1 returning position)
         insert into apex.events
         select position, 'NO TENANT', 'task', gen_random_uuid(), 99, gen_random_uuid(), 'started', -1, '7', '[]', now(),
                '\\x00'
         from next",
    )
    .execute(owner)
    .await
    .unwrap();
}

/// A log of six events that cannot be decoded and one valid event after them, which every consumer must receive.
pub(crate) async fn log_with_undecodable_events() -> (TestDatabase, Log) {
    let database = TestDatabase::new().await.unverified();
    let log = log(&database).await;
    append_undecodable_events(&database.pool).await;
    insert_malformed_row(&mut database.owner().await).await;
    log.append(call_append()).await.unwrap();
    (database, log)
}

/// The positions of the default tenant's events.
const DEFAULT_TENANT_POSITIONS: [u64; 6] = [1, 2, 3, 4, 5, 7];

#[tokio::test]
async fn the_tail_delivers_undecodable_events_and_continues() {
    let (_database, log) = log_with_undecodable_events().await;
    let running = tokio::spawn(log.tail().clone().run(std::future::pending()));
    let mut seen = Vec::new();
    while seen.len() < 7 {
        let after = Position::from(seen.len() as u64);
        let page = tokio::time::timeout(TIMEOUT, log.tail().next_after(after, 100)).await.expect("the tail continues");
        seen.extend(page.unwrap());
    }
    running.abort();
    let decoded: Vec<bool> = seen.iter().map(|event| event.decode().is_ok()).collect();
    assert_eq!(decoded, [false, false, false, false, false, false, true]);
    assert_eq!(seen[5].stream.tenant.as_str(), "NO TENANT");
    assert_eq!(all(&log).await.len(), 7, "readers of the table get all events too");
    assert_eq!(log.read_before(Position::from(8), &ReadFilter::default(), 10).await.unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_park_undecodable_events_and_continue() {
    let (database, _log) = log_with_undecodable_events().await;
    let server = database.serve(&[]).await;
    let query = "query { calls(minPosition: \"7\") { edges { node { position } } } tasks(minPosition: \"7\") { edges {
                 node { id } } } projections { name position } }";
    let seen = server.graphql(query, json!({})).await;
    assert_eq!(seen["calls"]["edges"][0]["node"]["position"], "7");
    let are_caught_up = async || {
        let statuses = projections::statuses(&testkit::access(), &database.pool).await.unwrap();
        statuses.iter().all(|status| status.position >= 7)
    };
    wait_until("all read models are past them", are_caught_up).await;
    let parked =
        projections::parked_events(projections::TenantSelection::All(&database.pool, &testkit::access()), None, 100)
            .await
            .unwrap();
    let parked: BTreeSet<_> = parked.iter().map(|event| (event.projection.as_str(), event.position)).collect();
    let expected = [("budgets", 4), ("tasks", 1), ("tasks", 2), ("tasks", 3), ("tasks", 6)];
    assert_eq!(parked, expected.into());
    // The alert policy is past them too.
    let is_past = async || {
        let position = "select position from apex.checkpoints where name = 'policy:budget-alerts'";
        sqlx::query_scalar::<_, i64>(position).fetch_one(&database.pool).await.is_ok_and(|position| position >= 7)
    };
    wait_until("the policy is past them", is_past).await;
    server.kill().await;
}

/// The positions that `/events` returns, up to 7.
async fn feed_positions(address: &str) -> Vec<u64> {
    let mut response = testkit::http_get(format!("{address}/events?after=0")).await.unwrap();
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.last() < Some(&7) {
        let chunk = tokio::time::timeout(TIMEOUT, response.chunk()).await.expect("the stream continues").unwrap();
        text.push_str(std::str::from_utf8(&chunk.expect("the stream does not end")).unwrap());
        // The positions are cut out of the text, since one event is not JSON for most parsers.
        let positions = text.lines().filter_map(|line| line.strip_prefix(r#"data: {"position":""#)?.split('"').next());
        seen = positions.map(|position| position.parse::<u64>().unwrap()).collect();
    }
    seen.retain(|position| *position <= 7);
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_receive_undecodable_events_and_continue() {
    let (database, _log) = log_with_undecodable_events().await;
    let server = database.serve(&[]).await;
    let query = "query { events(first: 50) { edges { node { position type payload metadata schemaVersion } } } }";
    let seen = server.graphql(query, json!({})).await;
    let edges = seen["events"]["edges"].as_array().unwrap();
    let positions: Vec<u64> =
        edges.iter().map(|edge| edge["node"]["position"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(positions[..6], DEFAULT_TENANT_POSITIONS);
    assert_eq!(
        edges[2]["node"]["payload"],
        json!(r#"{"at":1e999,"half":"\ud800"}"#),
        "a payload that does not parse as JSON is returned as text"
    );
    assert_eq!(feed_positions(&server.address).await, DEFAULT_TENANT_POSITIONS);

    // A stream with such an event cannot be loaded: commands to it fail with UNREADABLE, not as a user error.
    let id: Uuid = sqlx::query_scalar("select stream_id from apex.events where position = 1")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let start = "mutation ($id: ID!) { startTask(input: { id: $id }) { outcome } }";
    let answer = server.graphql_response(start, json!({ "id": id })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNREADABLE", "{answer}");
    let as_of = "query ($id: ID!) { task(id: $id, asOf: { position: \"7\" }) { status } }";
    let answer = server.graphql_response(as_of, json!({ "id": id })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNREADABLE", "{answer}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alert_subscriptions_skip_undecodable_events() {
    let (database, _log) = log_with_undecodable_events().await;
    let server = database.serve(&["--keepalive-ms", "2000"]).await;
    let request = testkit::http_client()
        .post(format!("{}/graphql", server.address))
        .header("accept", "text/event-stream")
        .json(&json!({ "query": "subscription { budgetAlerts(after: \"0\") { month } }" }));
    let mut response = request.send().await.unwrap();
    let mut text = String::new();
    // Heartbeats show that the subscription reaches the end of the log; no error is sent.
    let has_passed = |text: &str| {
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok());
        ids.max() >= Some(7)
    };
    while !has_passed(&text) {
        let chunk = tokio::time::timeout(TIMEOUT, response.chunk()).await.expect("heartbeats come").unwrap();
        text.push_str(std::str::from_utf8(&chunk.expect("the stream does not end")).unwrap());
        assert!(!text.contains("errors"), "{text}");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_prints_undecodable_events_and_verify_reports_them() {
    let (database, _log) = log_with_undecodable_events().await;
    let printed = database.run(&["replay"]).await.assert_success();
    let lines = printed.stdout.lines().map(|line| line.contains("\"position\":"));
    assert_eq!(lines.filter(|is_event| *is_event).count(), DEFAULT_TENANT_POSITIONS.len());
    let verified = database.run(&["log", "verify"]).await;
    assert_eq!(verified.code, Some(1));
    for position in 1..=6 {
        assert!(verified.stderr.contains(&format!("position {position}: ")), "{}", verified.stderr);
    }
    assert!(verified.stderr.contains("7 events checked"), "{}", verified.stderr);
}
