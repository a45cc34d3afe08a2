//! Apex, and plain PostgreSQL.

use crate::store::{Load, Outcome, Setting, Storage, Store, drive, follow_pages, payload};
use anyhow::{Context, Result, bail};
use domain::TenantId;
use futures::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use streams::{
    Append, AppendError, Expected, Log, LogConfig, Metadata, NewEvent, Position, ReadFilter, StreamAppend, StreamKey,
    Version, content_hash,
};
use tokio::sync::oneshot;
use uuid::Uuid;

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
/// The same as in `benches/log.rs`.
const APEX_CONNECTIONS: usize = 16;

fn tenant() -> Result<TenantId> {
    "default".parse().ok().context("a tenant")
}

fn metadata(command_id: Uuid) -> Metadata {
    Metadata {
        actor: "bench".to_owned(),
        command_id,
        correlation_id: command_id,
        causation_id: None,
        traceparent: None,
    }
}

pub(crate) struct Apex;

struct OpenLog {
    log: Log,
    pool: PgPool,
    stop_tail: oneshot::Sender<()>,
    tail: tokio::task::JoinHandle<()>,
}

impl OpenLog {
    /// Opens the log as the application does, with the privileges of its role.
    async fn open(storage: &Storage, connections: usize) -> Result<Self> {
        let options =
            PgConnectOptions::from_str(&storage.url)?.options([("role", "apex_app"), ("search_path", "public")]);
        let pool = PgPoolOptions::new().max_connections(u32::try_from(connections)?).connect_with(options).await?;
        let log = Log::open(pool.clone(), LogConfig::default()).await?;
        let (stop_tail, stopped) = oneshot::channel();
        let tail = log.tail().clone();
        let tail = tokio::spawn(async move {
            tail.run(async {
                stopped.await.ok();
            })
            .await;
        });
        Ok(Self { log, pool, stop_tail, tail })
    }

    async fn close(self) -> Result<()> {
        self.stop_tail.send(()).ok();
        self.tail.await?;
        drop(self.log);
        self.pool.close().await;
        Ok(())
    }
}

async fn append_call(log: &Log, n: u64) -> Result<u64> {
    let event = NewEvent { event_id: Uuid::now_v7(), name: "call.recorded", schema_version: 1, payload: payload(n) };
    let append = Append {
        tenant: tenant()?,
        metadata: metadata(Uuid::now_v7()),
        request: None,
        streams: vec![StreamAppend {
            category: "call".into(),
            id: Uuid::now_v7(),
            expected: Expected::Exact(Version::ZERO),
            events: vec![event],
        }],
        may_change_others: false,
    };
    let mut retries = 0;
    loop {
        match log.append(append.clone()).await {
            Ok(_) => return Ok(retries),
            Err(AppendError::Busy { retry_after }) => tokio::time::sleep(retry_after).await,
            Err(error) => bail!("{error:?}"),
        }
        retries += 1;
    }
}

impl Store for Apex {
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let owner = PgPool::connect(&storage.url).await?;
            Migrator::new(Path::new(MIGRATIONS)).await?.run(&owner).await?;
            owner.close().await;
            Ok(())
        })
    }

    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let open = OpenLog::open(storage, setting.connections).await?;
            let log = open.log.clone();
            let outcome = drive(load, move |n| {
                let log = log.clone();
                async move { append_call(&log, n).await }
            })
            .await?;
            open.close().await?;
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>> {
        Box::pin(count_rows(storage, "select count(*) from apex.events"))
    }

    fn follow<'a>(&'a self, storage: &'a Storage, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let open = OpenLog::open(storage, 2).await?;
            let seen = follow_pages(stop, |after| {
                let log = &open.log;
                async move {
                    let page = log.read_after(Position::from_i64(after), &ReadFilter::default(), 1000).await?;
                    let positions: Vec<_> = page.iter().map(|event| event.position.as_i64()).collect();
                    let next = positions.last().copied().unwrap_or(after);
                    Ok((positions, next))
                }
            })
            .await?;
            open.close().await?;
            Ok(seen)
        })
    }

    fn settings(&self) -> Vec<Setting> {
        vec![Setting::pool(APEX_CONNECTIONS)]
    }
}

/// Runs a counting statement on a new connection.
pub(crate) async fn count_rows(storage: &Storage, statement: &'static str) -> Result<u64> {
    let mut connection = PgConnectOptions::from_str(&storage.url)?.connect().await?;
    let count: i64 = sqlx::query_scalar(statement).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(u64::try_from(count)?)
}

/// The rows of Apex, one INSERT each: no safe order, versions checked by the index only, no idempotent retries.
pub(crate) struct Raw;

const RAW_TABLE: &str = "create table raw_events (
    position bigserial primary key, tenant_id text not null, category text not null, stream_id uuid not null,
    version bigint not null, event_id uuid not null, type text not null, schema_version smallint not null,
    payload json not null, metadata json not null, recorded_at timestamptz not null, content_hash bytea not null)";
const RAW_INDEX: &str = "create unique index on raw_events (stream_id, version)";

async fn raw_pool(storage: &Storage, connections: usize) -> Result<PgPool> {
    let connections = u32::try_from(connections)?;
    let options = PgConnectOptions::from_str(&storage.url)?;
    Ok(PgPoolOptions::new().min_connections(connections).max_connections(connections).connect_with(options).await?)
}

async fn insert_row(pool: &PgPool, n: u64) -> Result<u64> {
    let stream = StreamKey { tenant: tenant()?, category: "call".into(), id: Uuid::now_v7() };
    let (id, payload) = (Uuid::now_v7(), payload(n));
    let metadata = serde_json::to_string(&metadata(Uuid::now_v7()))?;
    let hash = content_hash(&stream, id, "call.recorded", 1, &payload, &metadata);
    sqlx::query(
        "insert into raw_events (tenant_id, category, stream_id, version, event_id, type, schema_version, payload,
                                 metadata, recorded_at, content_hash)
         values ('default', 'call', $1, 1, $2, 'call.recorded', 1, $3::text::json, $4::text::json, now(), $5)",
    )
    .bind(stream.id)
    .bind(id)
    .bind(payload)
    .bind(metadata)
    .bind(hash.to_vec())
    .execute(pool)
    .await?;
    Ok(0)
}

impl Store for Raw {
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut owner = PgConnectOptions::from_str(&storage.url)?.connect().await?;
            for statement in [RAW_TABLE, RAW_INDEX] {
                sqlx::query(statement).execute(&mut owner).await?;
            }
            Ok(owner.close().await?)
        })
    }

    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let pool = raw_pool(storage, setting.connections).await?;
            let used = pool.clone();
            let outcome = drive(load, move |n| {
                let pool = used.clone();
                async move { insert_row(&pool, n).await }
            })
            .await?;
            pool.close().await;
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>> {
        Box::pin(count_rows(storage, "select count(*) from raw_events"))
    }

    /// The negative control: reads by sequence as if it were the commit order.
    fn follow<'a>(&'a self, storage: &'a Storage, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let pool = raw_pool(storage, 1).await?;
            let seen = follow_pages(stop, |after| {
                let pool = pool.clone();
                async move {
                    let positions: Vec<i64> = sqlx::query_scalar(
                        "select position from raw_events where position > $1 order by position limit 1000",
                    )
                    .bind(after)
                    .fetch_all(&pool)
                    .await?;
                    let next = positions.last().copied().unwrap_or(after);
                    Ok((positions, next))
                }
            })
            .await?;
            pool.close().await;
            Ok(seen)
        })
    }
}
