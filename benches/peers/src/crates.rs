//! Peers on crates.io that store their events in PostgreSQL.

use crate::ours::count_rows;
use crate::store::{Call, Load, Outcome, Setting, Storage, Store, drive, follow_pages};
use anyhow::Result;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use disintegrate::{Event, EventStore, StreamItem, query};
use disintegrate_postgres::{Error, PgEventStore};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx08::postgres::{PgPool, PgPoolOptions};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use uuid::Uuid;

async fn pool(storage: &Storage, connections: usize) -> Result<PgPool> {
    let connections = u32::try_from(connections)?;
    let options = PgPoolOptions::new().min_connections(connections).max_connections(connections);
    Ok(options.connect(&storage.url).await?)
}

/// postgres-es: persisting the events of a command, without loading the aggregate first.
pub(crate) struct PostgresEs;

/// From db/init.sql of the crate.
const EVENTS: &str = "create table events (
    aggregate_type text not null, aggregate_id text not null, sequence bigint check (sequence >= 0) not null,
    event_type text not null, event_version text not null, payload json not null, metadata json not null,
    primary key (aggregate_type, aggregate_id, sequence))";

/// The repository only needs the aggregate's type.
#[derive(Default, Serialize, Deserialize)]
struct Calls;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recorded(Call);

impl DomainEvent for Recorded {
    fn event_type(&self) -> String {
        "call.recorded".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Calls {
    const TYPE: &'static str = "call";
    type Command = Call;
    type Event = Recorded;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, call: Call, (): &(), sink: &EventSink<Self>) -> Result<(), Infallible> {
        sink.write(Recorded(call), self).await;
        Ok(())
    }

    fn apply(&mut self, _: Recorded) {}
}

async fn persist(repository: &PostgresEventRepository, n: u64) -> Result<u64> {
    let event = Recorded(Call::new(n));
    let metadata = serde_json::json!({ "actor": "bench", "command_id": Uuid::now_v7() });
    let serialized = SerializedEvent::new(
        Uuid::now_v7().to_string(),
        1,
        Calls::TYPE.to_owned(),
        event.event_type(),
        event.event_version(),
        serde_json::to_value(&event)?,
        metadata,
    );
    repository.persist::<Calls>(&[serialized], None).await?;
    Ok(0)
}

impl Store for PostgresEs {
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let pool = pool(storage, 1).await?;
            sqlx08::query(EVENTS).execute(&pool).await?;
            pool.close().await;
            Ok(())
        })
    }

    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let pool = pool(storage, setting.connections).await?;
            let repository = Arc::new(PostgresEventRepository::new(pool.clone()));
            let outcome = drive(load, move |n| {
                let repository = repository.clone();
                async move { persist(&repository, n).await }
            })
            .await?;
            pool.close().await;
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>> {
        Box::pin(count_rows(storage, "select count(*) from events"))
    }

    fn follow<'a>(&'a self, _: &'a Storage, _: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        async { Ok(None) }.boxed()
    }
}

/// disintegrate-postgres. `validated` is its regular append, with the condition that the stream is empty.
pub(crate) struct Disintegrate {
    pub(crate) validated: bool,
}

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
enum CallEvent {
    Recorded {
        #[id]
        call_id: Uuid,
        call: Call,
    },
}

type Calling = PgEventStore<CallEvent, disintegrate::serde::json::Json<CallEvent>>;

/// A serialization failure may occur at any statement; the library recognizes only those at the commit.
fn is_conflict(error: &Error) -> bool {
    match error {
        Error::Concurrency => true,
        Error::Database(sqlx08::Error::Database(error)) => error.code().as_deref() == Some("40001"),
        _ => false,
    }
}

impl Disintegrate {
    /// Two appends never have the same stream, so every conflict is a false positive and is retried.
    async fn append(store: &Calling, n: u64, validated: bool) -> Result<u64> {
        // Serializable transactions conflict when they touch the same page of an index: random ids spread best.
        let call_id = Uuid::new_v4();
        let event = CallEvent::Recorded { call_id, call: Call::new(n) };
        if !validated {
            store.append_without_validation(vec![event]).await?;
            return Ok(0);
        }
        let mut retries = 0;
        loop {
            match store.append(vec![event.clone()], query!(CallEvent; call_id == call_id), 0).await {
                Ok(_) => return Ok(retries),
                Err(error) if is_conflict(&error) => retries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn read(store: &Calling, after: i64) -> Result<(Vec<i64>, i64)> {
        let (mut ids, mut next) = (Vec::new(), after);
        let query = query!(CallEvent).change_origin(after);
        let mut items = store.stream::<CallEvent>(&query);
        while let Some(item) = items.next().await {
            match item? {
                StreamItem::Event(event) => ids.push(event.id()),
                StreamItem::End(epoch) => next = epoch.max(after),
            }
        }
        Ok((ids, next))
    }
}

impl Store for Disintegrate {
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let pool = pool(storage, 1).await?;
            sqlx08::raw_sql(include_str!("disintegrate.sql")).execute(&pool).await?;
            pool.close().await;
            Ok(())
        })
    }

    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let pool = pool(storage, setting.connections).await?;
            let store = Calling::new_uninitialized(pool.clone(), disintegrate::serde::json::Json::default());
            let validated = self.validated;
            let outcome = drive(load, move |n| {
                let store = store.clone();
                async move { Self::append(&store, n, validated).await }
            })
            .await?;
            pool.close().await;
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>> {
        Box::pin(count_rows(storage, "select count(*) from event"))
    }

    fn follow<'a>(&'a self, storage: &'a Storage, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            let pool = pool(storage, 1).await?;
            let store = Calling::new_uninitialized(pool.clone(), disintegrate::serde::json::Json::default());
            let seen = follow_pages(stop, |after| Self::read(&store, after)).await?;
            pool.close().await;
            Ok(seen)
        })
    }
}
