//! Ways of writing rows to PostgreSQL: statements, types of the payload, and the cost of each index.
//!
//! The baseline is what the log does: UNNEST, the payload as json, the primary key and an index by stream. Transactions of
//! 64 or 1000 rows are written one after the other on one connection, with every event in its own stream. The conclusions
//! are in docs/adr/0007-how-events-are-written.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use sqlx::postgres::{PgConnection, PgPoolCopyExt};
use sqlx::{AssertSqlSafe, ConnectOptions, QueryBuilder};
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use streams::{StreamKey, content_hash};
use testkit::bench::{Bench, Table, metadata, payload};
use testkit::tenant;
use uuid::Uuid;

const COLUMNS: &str = "(position, tenant_id, category, stream_id, version, event_id, type, schema_version, payload, \
                       metadata, recorded_at, content_hash)";
const BY_STREAM: &str = "(stream_id, version)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Unnest,
    Values,
    Copy,
}

struct Shape {
    name: &'static str,
    method: Method,
    /// The type of the columns payload and metadata.
    content: &'static str,
    indexes: &'static [&'static str],
}

const OURS: Shape = Shape { name: "UNNEST", method: Method::Unnest, content: "json", indexes: &[BY_STREAM] };

const SHAPES: [Shape; 10] = [
    Shape { name: "one INSERT of many VALUES", method: Method::Values, ..OURS },
    Shape { name: "COPY", method: Method::Copy, ..OURS },
    Shape { name: "payload as text", content: "text", ..OURS },
    Shape { name: "payload as jsonb", content: "jsonb", ..OURS },
    Shape { name: "payload as bytea", content: "bytea", ..OURS },
    Shape { name: "without the index by stream", indexes: &[], ..OURS },
    Shape { name: "with an index by event id", indexes: &[BY_STREAM, "(event_id)"], ..OURS },
    Shape { name: "with an index by category", indexes: &[BY_STREAM, "(category, position)"], ..OURS },
    Shape {
        name: "with indexes by category and by tenant",
        indexes: &[BY_STREAM, "(category, position)", "(tenant_id, category, position)"],
        ..OURS
    },
    Shape { name: "with a BRIN index by time", indexes: &[BY_STREAM, "using brin (recorded_at)"], ..OURS },
];

/// A table of one shape.
struct Target {
    shape: Shape,
    table: String,
    insert: String,
    position: AtomicI64,
}

struct Row {
    position: i64,
    stream: Uuid,
    event: Uuid,
    payload: String,
    metadata: String,
    hash: [u8; 32],
}

impl Target {
    async fn create(shape: Shape, number: usize, owner: &mut PgConnection) -> Self {
        let (table, content) = (format!("shape_{number}"), shape.content);
        let ddl = format!(
            "create table {table} (position bigint not null primary key, tenant_id text not null,
                 category text not null, stream_id uuid not null, version bigint not null, event_id uuid not null,
                 type text not null, schema_version smallint not null, payload {content} not null,
                 metadata {content} not null, recorded_at timestamptz not null, content_hash bytea not null)"
        );
        sqlx::raw_sql(AssertSqlSafe(ddl)).execute(&mut *owner).await.unwrap();
        for index in shape.indexes {
            let ddl = format!("create index on {table} {index}");
            sqlx::raw_sql(AssertSqlSafe(ddl)).execute(&mut *owner).await.unwrap();
        }
        let sent = if content == "bytea" { "bytea" } else { "text" };
        let insert = format!(
            "insert into {table} {COLUMNS}
             select p, 'default', 'call', s, 1, e, 'call.recorded', 1, l::{content}, d::{content}, now(), h
             from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::{sent}[], $5::{sent}[], $6::bytea[])
                  as u (p, s, e, l, d, h)"
        );
        Self { shape, table, insert, position: AtomicI64::new(1) }
    }

    fn rows(&self, count: usize) -> Vec<Row> {
        let first = self.position.fetch_add(i64::try_from(count).unwrap(), Ordering::Relaxed);
        let row = |place: usize| {
            let (stream, event) = (Uuid::now_v7(), Uuid::now_v7());
            let key = StreamKey { tenant: tenant(), category: "call".into(), id: stream };
            let (payload, metadata) = (payload(place as u64), serde_json::to_string(&metadata(event)).unwrap());
            let hash = content_hash(&key, event, "call.recorded", 1, &payload, &metadata);
            Row { position: first + i64::try_from(place).unwrap(), stream, event, payload, metadata, hash }
        };
        (0..count).map(row).collect()
    }

    async fn write(&self, bench: &Bench, rows: Vec<Row>) {
        match self.shape.method {
            Method::Unnest => self.unnest(bench, &rows).await,
            Method::Values => self.values(bench, rows).await,
            Method::Copy => self.copy(bench, &rows).await,
        }
    }

    async fn unnest(&self, bench: &Bench, rows: &[Row]) {
        let query = sqlx::query(AssertSqlSafe(self.insert.clone()))
            .bind(rows.iter().map(|row| row.position).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.stream).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.event).collect::<Vec<_>>());
        let query = if self.shape.content == "bytea" {
            query
                .bind(rows.iter().map(|row| row.payload.as_bytes()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.metadata.as_bytes()).collect::<Vec<_>>())
        } else {
            query
                .bind(rows.iter().map(|row| &*row.payload).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| &*row.metadata).collect::<Vec<_>>())
        };
        query.bind(rows.iter().map(|row| &row.hash[..]).collect::<Vec<_>>()).execute(&bench.raw).await.unwrap();
    }

    async fn values(&self, bench: &Bench, rows: Vec<Row>) {
        let mut query = QueryBuilder::new(format!("insert into {} {COLUMNS} ", self.table));
        query.push_values(rows, |mut values, row| {
            values.push_bind(row.position).push("'default', 'call'").push_bind(row.stream).push("1");
            values.push_bind(row.event).push("'call.recorded', 1");
            values.push_bind(row.payload).push_unseparated("::json");
            values.push_bind(row.metadata).push_unseparated("::json");
            values.push("now()").push_bind(row.hash.to_vec());
        });
        query.build().execute(&bench.raw).await.unwrap();
    }

    async fn copy(&self, bench: &Bench, rows: &[Row]) {
        let now = chrono::Utc::now().to_rfc3339();
        let mut text = String::new();
        for row in rows {
            let (payload, metadata) = (row.payload.replace('\\', "\\\\"), row.metadata.replace('\\', "\\\\"));
            write!(text, "{}\tdefault\tcall\t{}\t1\t{}\tcall.recorded\t1\t", row.position, row.stream, row.event)
                .unwrap();
            write!(text, "{payload}\t{metadata}\t{now}\t\\\\x").unwrap();
            row.hash.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
        }
        let mut copy = bench.raw.copy_in_raw(&format!("copy {} {COLUMNS} from stdin", self.table)).await.unwrap();
        copy.send(text.into_bytes()).await.unwrap();
        copy.finish().await.unwrap();
    }

    async fn rate(&self, bench: &Bench, rows: usize) -> f64 {
        let started = std::time::Instant::now();
        let mut done = 0;
        while started.elapsed() < bench.seconds {
            self.write(bench, self.rows(rows)).await;
            done += rows;
        }
        done as f64 / started.elapsed().as_secs_f64()
    }
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    let mut owner = bench.owner.connect().await.unwrap();
    let ours = Target::create(OURS, 0, &mut owner).await;
    let mut table = Table::new();
    for (number, shape) in (1..).zip(SHAPES) {
        let other = Target::create(shape, number, &mut owner).await;
        for rows in [64, 1000] {
            let case = format!("{}, {rows} rows; UNNEST as the log does", other.shape.name);
            table.case(&bench, &case, "events/s", || other.rate(&bench, rows), || ours.rate(&bench, rows)).await;
        }
    }
    table.write("writes");
    bench.drop_database().await;
}
