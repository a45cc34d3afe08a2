//! A database in which two tenants have rows in every table with rows of tenants.

use apex::rooms::Rooms;
use domain::TenantId;
use domain::permissions::{Access, ActionType};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use streams::{Append, Expected, NewEvent, NewSnapshot, StreamAppend, StreamKey};
use testkit::{TIMEOUT, TestDatabase};
use uuid::Uuid;

pub(super) const TENANTS: [&str; 2] = ["acme", "umbrella"];

/// The tables of which requests may read the rows of their tenant: the read models, and these.
pub(super) const READ_BY_REQUESTS: [&str; 23] = [
    "agents",
    "budget_crossings",
    "budget_months",
    "budget_refusals",
    "budget_spend",
    "budgets",
    "calls",
    "events",
    "invoice_variances",
    "invoices",
    "memories",
    "parked_events",
    "parking_decisions",
    "schedule_runs",
    "schedules",
    "span_log_contents",
    "spans",
    "streams",
    "tasks",
    "traces",
    "usage_daily",
    "usage_hourly_by_tag",
    "usage_quarter_hourly",
];
/// Tables with rows of tenants that no request reads.
pub(super) const NOT_READ_BY_REQUESTS: [&str; 5] =
    ["alert_destinations", "api_key_secrets", "jobs", "receipts", "snapshots"];

pub(super) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// Access of an operator in a tenant.
pub(super) fn access<A: ActionType>(of: &str) -> Access<A> {
    testkit::principal(tenant(of), "test").authorise().unwrap()
}

fn event(name: &'static str, payload: &str) -> NewEvent {
    NewEvent { event_id: Uuid::now_v7(), name, schema_version: 1, payload: payload.to_owned() }
}

/// The payload in a golden file, with other values of some members; null removes a member.
fn golden(text: &str, changes: Value) -> String {
    let mut payload: Value = serde_json::from_str(text).unwrap();
    let members = payload.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    payload.to_string()
}

macro_rules! golden {
    ($file:literal, $changes:tt) => {
        golden(include_str!(concat!("../../../domain/tests/golden/", $file, ".json")), serde_json::json!($changes))
    };
}

async fn append(rooms: &Rooms, of: &str, category: &'static str, id: Uuid, events: Vec<NewEvent>) {
    let stream = StreamAppend { category: category.into(), id, expected: Expected::Any, events };
    let append = Append { tenant: tenant(of), ..testkit::append(vec![stream]) };
    rooms.log.append(append).await.unwrap();
}

/// Appends events of every category that a read model has rows of. The budget's spending crosses its thresholds.
pub(crate) async fn fill_log(rooms: &Rooms, of: &str) -> Uuid {
    let (task, budget) = (Uuid::now_v7(), golden!("budget.defined.v1", { "limit": "1" }));
    let call = golden!("call.recorded.v1", { "absorbed": null });
    let memory = golden!("memory.stored.v1", { "content": (format!("the nightly build of {of}")) });
    append(rooms, of, "budget", Uuid::now_v7(), vec![event("budget.defined", &budget)]).await;
    append(rooms, of, "agent", Uuid::now_v7(), vec![event("agent.registered", &golden!("agent.registered.v1", {}))])
        .await;
    append(rooms, of, "task", task, vec![event("task.submitted", &golden!("task.submitted.v1", {}))]).await;
    // A command that does not create a stream has a receipt of its own.
    append(rooms, of, "task", task, vec![event("task.started", &golden!("task.started.v1", {}))]).await;
    append(rooms, of, "call", Uuid::now_v7(), vec![event("call.recorded", &call)]).await;
    append(rooms, of, "memory", Uuid::now_v7(), vec![event("memory.stored", &memory)]).await;
    let invoice = [
        event("invoice.recorded", &golden!("invoice.recorded.v1", {})),
        event("invoice.lines_recorded", &golden!("invoice.lines_recorded.v1", {})),
        event("invoice.reconciled", &golden!("invoice.reconciled.v1", {})),
        event("invoice.variances_recorded", &golden!("invoice.variances_recorded.v1", {})),
    ];
    append(rooms, of, "invoice", Uuid::now_v7(), invoice.into()).await;
    let schedule = [
        event("schedule.defined", &golden!("schedule.defined.v1", {})),
        event("schedule.ran", &golden!("schedule.ran.v1", {})),
    ];
    append(rooms, of, "schedule", Uuid::now_v7(), schedule.into()).await;
    let refused = event("reservation.refused", &golden!("reservation.refused.v1", {}));
    append(rooms, of, "reservation", Uuid::now_v7(), vec![refused]).await;
    task
}

/// Rows that no event of the fixture causes.
async fn insert_others(owner: &mut PgConnection, of: &str) {
    let insert = format!(
        "insert into apex.parked_events (projection, position, tenant_id, category, stream_id, cause)
         select 'tasks', max(position), '{of}', 'task', gen_random_uuid(), 'x' from apex.events where tenant_id = '{of}';
         select apex.record_parking_decision('tasks', position, 'retry', 'test', 'why')
         from apex.parked_events where tenant_id = '{of}';
         insert into apex.key_encryption_keys (version, fingerprint) values (1, decode(repeat('00', 32), 'hex'))
         on conflict do nothing;
         insert into apex.api_key_secrets (key_id, tenant_id, key_encryption_key, hash)
         values (gen_random_uuid(), '{of}', 1, decode(repeat('00', 32), 'hex'));
         insert into apex.jobs (job_id, kind, queue, tenant_id, payload, scheduled_at, available_at, state, finished_at)
         values (gen_random_uuid(), 'test', 'test', '{of}', 'null', now(), now(), 'done', now())"
    );
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(owner).await.unwrap();
}

/// Gives both tenants a trace, which no event causes either, an address of an endpoint and a delivery of an alert. Databases from
/// before row-level security have no tables for them.
pub(super) async fn fill_spans(database: &TestDatabase) {
    for of in TENANTS {
        let insert = format!(
            "insert into apex.traces (tenant_id, trace_id, span_count, seen_on)
             values ('{of}', 'a0000000-0000-0000-0000-000000000001', 1, current_date);
             insert into apex.spans (tenant_id, trace_id, sent_by, span_id, status, completeness, content_id)
             values ('{of}', 'a0000000-0000-0000-0000-000000000001', gen_random_uuid(), 7, 0, 0, gen_random_uuid());
             insert into apex.span_log_contents (tenant_id, trace_id, sent_by, span_id, record_id, contents)
             values ('{of}', 'a0000000-0000-0000-0000-000000000001', gen_random_uuid(), 7, gen_random_uuid(), '{{}}');
             insert into apex.alert_destinations (destination_id, tenant_id, key_encryption_key, sealed)
             values (gen_random_uuid(), '{of}', 1, 'x');
             insert into apex.jobs (job_id, kind, queue, tenant_id, payload, scheduled_at, available_at, state, finished_at)
             values (gen_random_uuid(), 'alert-delivery', 'alert-delivery', '{of}',
                     json_build_object('endpoint_id', gen_random_uuid(), 'alert', json_build_object('type', '{of}')),
                     now(), now(), 'done', now())"
        );
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut database.owner().await).await.unwrap();
    }
}

/// Gives both tenants rows in every table of a database but for those of [`fill_spans`].
pub(super) async fn fill(database: &TestDatabase) {
    let mut rooms = database.rooms().await;
    let mut owner = database.owner().await;
    rooms.start_projections();
    for of in TENANTS {
        let task = fill_log(&rooms, of).await;
        rooms.wait_for_read_models(TIMEOUT).await.unwrap();
        let stream = StreamKey { tenant: tenant(of), category: "task".into(), id: task };
        let event = rooms.log.read_stream(&stream, 0.into(), 1).await.unwrap().remove(0);
        let (version, position, format) = (event.version, event.position, "test".to_owned());
        let snapshot = NewSnapshot { stream, version, position, format, state: "{}".to_owned() };
        assert!(rooms.log.write_snapshot(&snapshot).await.unwrap());
        insert_others(&mut owner, of).await;
    }
    rooms.close().await.unwrap();
    let tables = READ_BY_REQUESTS.iter().chain(&NOT_READ_BY_REQUESTS);
    for table in tables.filter(|table| !["alert_destinations", "span_log_contents", "spans", "traces"].contains(table))
    {
        assert_eq!(tenants_in(&mut owner, table).await.unwrap(), TENANTS, "{table} has no rows of both tenants");
    }
}

pub(super) async fn filled_database() -> TestDatabase {
    // The parked events are invented.
    let database = TestDatabase::new().await.unverified();
    fill(&database).await;
    fill_spans(&database).await;
    database
}

/// The tenants whose rows a connection sees in a table, or in what a statement in parentheses selects.
pub(super) async fn tenants_in(connection: &mut PgConnection, table: &str) -> Result<Vec<String>, sqlx::Error> {
    let source = if table.starts_with('(') { format!("{table} t") } else { format!("apex.{table}") };
    let select = format!("select distinct tenant_id from {source} where tenant_id is not null order by tenant_id");
    sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(connection).await
}

/// A connection as the role of requests, with a tenant or without any.
pub(super) async fn request_connection(database: &TestDatabase, of: Option<&str>) -> PgConnection {
    let options = (*database.pool.connect_options()).clone().options([("role", "apex_reader")]);
    let options = match of {
        Some(of) => options.options([("apex.tenant", of)]),
        None => options,
    };
    options.connect().await.unwrap()
}
