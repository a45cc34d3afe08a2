//! Databases whose migrations are not those of the program: older, newer, and from before they were squashed.

use crate::identities::{Installation, ask};
use crate::row_level_security::fill_log;
use apex::database::MIGRATIONS;
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::migrate::Migrator;
use testkit::{Server, TIMEOUT, TestDatabase, tenant};

/// The migrations from before they were squashed, which no build migrates any more.
const SQUASHED: [(i64, &str); 16] = [
    (1, "log"),
    (2, "read models"),
    (3, "log append"),
    (4, "partitions"),
    (5, "archives"),
    (6, "snapshots"),
    (7, "projection versions"),
    (8, "relay"),
    (9, "parts"),
    (10, "log checks"),
    (11, "budget crossings"),
    (12, "workers follow the log"),
    (13, "decisions"),
    (14, "jobs"),
    (15, "due jobs"),
    (17, "checks per command"),
];

/// The subcommands that open a database. `apex database url` does not: it prints the URL for other programs.
const SUBCOMMANDS: [&[&str]; 19] = [
    &["migrate"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["demo", "--once"],
    &["import", "autogpt", "/dev/null"],
    &["report", "cost"],
    &["replay"],
    &["prices", "list"],
    &["tags", "list"],
    &["projections", "list"],
    &["jobs", "list"],
    &["tenants", "list"],
    &["accounts", "list"],
    &["keys", "list"],
    &["users", "list"],
    &["relay", "--kafka-brokers", "127.0.0.1:1"],
    &["worker"],
    &["log", "verify"],
    &["log", "archives"],
    &["log", "archive", "--older-than", "90d", "--to", "/nonexistent", "--yes"],
];

/// Makes the table of applied migrations that of a database from before the migrations were squashed.
pub(crate) async fn plant_squashed_migrations(owner: &mut PgConnection) {
    sqlx::query("delete from _sqlx_migrations").execute(&mut *owner).await.unwrap();
    for (version, description) in SQUASHED {
        // The checksum is only compared, and differs from that of every migration.
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values ($1, $2, true, sha384(convert_to($2, 'UTF8')), 0)",
        )
        .bind(version)
        .bind(description)
        .execute(&mut *owner)
        .await
        .unwrap();
    }
}

/// A fingerprint of the applied migrations and of all tables, indexes, functions and constraints, by the transactions
/// that wrote them.
pub(crate) async fn schema_fingerprint(owner: &mut PgConnection) -> String {
    sqlx::query_scalar(
        "select md5(concat(
             (select string_agg(concat(m.xmin, m.*), ' ' order by version) from _sqlx_migrations m),
             (select string_agg(concat(oid, ' ', relname), ' ' order by oid) from pg_class),
             (select string_agg(concat(oid, ' ', xmin), ' ' order by oid) from pg_proc),
             (select string_agg(concat(oid, ' ', xmin), ' ' order by oid) from pg_constraint)))",
    )
    .fetch_one(owner)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_subcommand_refuses_a_database_from_before_the_migrations_were_squashed() {
    let database = TestDatabase::new().await.unverified();
    let mut owner = database.owner().await;
    plant_squashed_migrations(&mut owner).await;
    let before = schema_fingerprint(&mut owner).await;
    for subcommand in SUBCOMMANDS {
        let output = database.run(subcommand).await;
        assert_eq!(output.code, Some(1), "{subcommand:?}: {}", output.stderr);
        for needed in [
            "from before its migrations were squashed: migration 1 has other contents",
            "set APEX_DATABASE_URL to an empty database, run `apex migrate`",
            "keep the old build to read them with `apex report` and `apex replay`",
        ] {
            assert!(output.stderr.contains(needed), "{subcommand:?} does not say {needed:?}: {}", output.stderr);
        }
        assert_eq!(schema_fingerprint(&mut owner).await, before, "{subcommand:?} changed the schema");
    }
}

/// The control of the fingerprint.
#[tokio::test]
async fn the_schema_fingerprint_detects_a_replaced_function_and_a_migration_that_was_applied_again() {
    let database = TestDatabase::new().await.unverified();
    let mut owner = database.owner().await;
    let mut seen = vec![schema_fingerprint(&mut owner).await];
    assert_eq!(schema_fingerprint(&mut owner).await, seen[0]);
    for change in [
        "alter function apex.refuse_change() stable",
        "update _sqlx_migrations set execution_time = 1 where version = 1",
        "create index on apex.archives (folder)",
    ] {
        sqlx::query(change).execute(&mut owner).await.unwrap();
        let fingerprint = schema_fingerprint(&mut owner).await;
        assert!(!seen.contains(&fingerprint), "{change} was not detected");
        seen.push(fingerprint);
    }
}

#[tokio::test]
async fn an_error_about_an_unmigrated_database_names_apex_migrate() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    sqlx::query("delete from _sqlx_migrations where version = 2").execute(&mut owner).await.unwrap();
    let output = database.run(&["report", "cost"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("migration 2 is not applied"), "{}", output.stderr);
    assert!(output.stderr.contains("run `apex migrate`"), "{}", output.stderr);
}

#[tokio::test]
async fn an_error_about_a_newer_database_asks_for_a_newer_version() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9000, 'of a later version', true, '', 0)",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    let output = database.run(&["report", "cost"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("the database has migration 9000"), "{}", output.stderr);
    assert!(output.stderr.contains("use a newer version"), "{}", output.stderr);
    let output = database.run(&["migrate"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("migration 9000 was previously applied but is missing"), "{}", output.stderr);
}

/// What a tenant has.
const EVERYTHING: &str = "{
    agents { nodes { uuid name status version } }
    tasks { nodes { uuid title status agentId version } }
    calls { nodes { uuid model cost usage { input output } version } }
    memories { nodes { uuid content tags version } }
    budgets { nodes { uuid name limit months { month spent } } }
    budgetCrossings { nodes { budgetId thresholdPercent spent } }
    usageReport(by: [MODEL]) { nodes { keys { value } totals { calls cost inputTokens } } total { calls cost } }
    events(last: 100, filter: { types: [\"agent.registered\", \"task.submitted\", \"task.started\", \"call.recorded\",
                                      \"memory.stored\", \"budget.defined\"] }) { nodes { position type payload recordedAt } } }";

async fn everything(server: &Server, key: Option<&str>) -> Value {
    let mut answer = match key {
        Some(key) => ask(server, key, EVERYTHING).await.1,
        None => server.graphql_response(EVERYTHING, json!({})).await,
    };
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].take()
}

/// One tenant, no identities, and no row-level security: the owner on loopback has the data as before, a key of the tenant
/// has the same, and a key of another tenant has nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_from_before_identities_goes_on_with_its_data_under_its_tenant() {
    const LAST: i64 = 6;
    let before: Vec<_> = MIGRATIONS.iter().filter(|migration| migration.version <= LAST).cloned().collect();
    let before = Migrator { migrations: before.into(), ..Migrator::DEFAULT };
    let installation = Installation::of(TestDatabase::migrated_by(&before).await);
    let database = &installation.database;
    let rooms = database.rooms().await;
    let task = fill_log(&rooms, tenant().as_str()).await;
    let head = rooms.log.head().await.unwrap();
    rooms.close().await.unwrap();
    let of_log = "select md5(string_agg(concat(position, tenant_id, stream_id, version, type, payload, metadata), ',' order by position))
                  from apex.events where position <= $1";
    let mut owner = database.owner().await;
    let log: String =
        sqlx::query_scalar(of_log).bind(i64::try_from(head.get()).unwrap()).fetch_one(&mut owner).await.unwrap();

    database.run(&["migrate"]).await.assert_success();
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    rooms.close().await.unwrap();
    let key_file = installation.key_file();
    let server = database.serve(&["--key-file", key_file.to_str().unwrap()]).await;
    let as_owner = everything(&server, None).await;
    for list in ["agents", "tasks", "calls", "memories", "budgets", "usageReport"] {
        assert_eq!(as_owner[list]["nodes"].as_array().map(Vec::len), Some(1), "{list}: {as_owner}");
    }
    assert_eq!(as_owner["events"]["nodes"].as_array().map(Vec::len), Some(6));
    assert_eq!(as_owner["tasks"]["nodes"][0]["uuid"], task.to_string().as_str());
    let (own, foreign) =
        (installation.key(tenant().as_str(), "operator", &[]).await, installation.key("acme", "admin", &[]).await);
    assert_eq!(everything(&server, Some(&own)).await, as_owner);
    let of_foreign = everything(&server, Some(&foreign)).await;
    for (list, found) in of_foreign.as_object().unwrap() {
        assert_eq!(found["nodes"], json!([]), "{list}");
    }
    // The streams go on where they were, and the stored events stay as they are.
    let complete = format!(
        "mutation {{ completeTask(input: {{ id: \"{task}\" }}) {{ error {{ code }} task {{ version status }} }} }}"
    );
    assert_eq!(ask(&server, &foreign, &complete).await.1["data"]["completeTask"]["error"]["code"], "NOT_SUBMITTED");
    let completed = ask(&server, &own, &complete).await.1;
    assert_eq!(
        completed["data"]["completeTask"]["task"],
        json!({ "version": 3, "status": "COMPLETED" }),
        "{completed}"
    );
    drop(server.terminate().await);
    let after: String =
        sqlx::query_scalar(of_log).bind(i64::try_from(head.get()).unwrap()).fetch_one(&mut owner).await.unwrap();
    assert_eq!(after, log);
    database.verify_log().await;
    database.run(&["projections", "verify", "all"]).await.assert_success();
}
