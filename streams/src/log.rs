//! The log's handle.

use crate::appender::{Appender, Committer, RETRY_AFTER, Waiting};
use crate::{
    Append, AppendError, Appended, AppenderLimits, Chain, NewSnapshot, Position, ReadError, ReadFilter, RecordedEvent,
    SharedError, Snapshot, StreamKey, Tail, TailConfig, Version, content_hash, read, snapshots,
};
use chrono::{DateTime, Utc};
use metrics::{counter, gauge};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Settings of the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogConfig {
    /// Of the appender.
    pub appender: AppenderLimits,
    /// Of the tail.
    pub tail: TailConfig,
}

/// The most events a page may have.
const MAX_PAGE_EVENTS: usize = 10_000;
/// Connections of the tail: for reading and for notifications.
const TAIL_CONNECTIONS: u32 = 2;
/// How long the log waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Empty partitions kept before the head.
const PARTITIONS_AHEAD: i32 = 2;

/// A handle to the log; cheap to clone. Its appender ends when the last handle is dropped.
#[derive(Clone)]
pub struct Log {
    pool: PgPool,
    queue: mpsc::Sender<Waiting>,
    tail: Tail,
}

impl Log {
    /// Opens the log on a migrated database and starts the appender of this process.
    ///
    /// # Errors
    /// [`ReadError`] when the head cannot be read.
    pub async fn open(pool: PgPool, config: LogConfig) -> Result<Self, ReadError> {
        // Writers and readers that wait for each other must not wait for the same connections.
        let own = PgPoolOptions::new()
            .max_connections(u32::try_from(config.appender.connections).unwrap_or(1) + TAIL_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with((*pool.connect_options()).clone());
        let tail = Tail::open(own.clone(), pool.clone(), config.tail).await?;
        let (queue, receiver) = mpsc::channel(config.appender.max_waiting);
        let committer = Committer { pool: own, tail: tail.clone() };
        let appender = Appender { limits: config.appender, queue: receiver, committer };
        tokio::spawn(appender.run());
        Ok(Self { pool, queue, tail })
    }

    /// Appends; answered once the events are durable.
    ///
    /// # Errors
    /// [`AppendError`]; all but [`AppendError::Indeterminate`] mean that nothing was written.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.submit(append, None)?.answer().await
    }

    /// Hands an append in without waiting for its answer. Appends to one stream are written in the order in which this
    /// process has handed them in; those of one chain fall together.
    ///
    /// # Errors
    /// [`AppendError::Invalid`], [`AppendError::Busy`] and [`AppendError::Closed`]: it was not even taken. Nothing was
    /// written, and what was handed in before goes on.
    pub fn submit(&self, append: Append, chain: Option<&Chain>) -> Result<Submitted, AppendError> {
        let (waiting, submitted) = prepare(append, chain)?;
        self.queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => {
                counter!("apex_log_busy_total").increment(1);
                AppendError::Busy { retry_after: RETRY_AFTER }
            }
            TrySendError::Closed(_) => AppendError::Closed,
        })?;
        fail::fail_point!("log_append_queued");
        gauge!("apex_log_append_queue").set((self.queue.max_capacity() - self.queue.capacity()) as f64);
        Ok(submitted)
    }

    /// Appends many at once, each for itself, with as many in a transaction as the limits of a batch allow: for imports.
    /// Waits where the queue is full. One answer for each, in their order; the last one comes when all are settled.
    pub async fn append_many(
        &self,
        appends: impl IntoIterator<Item = Append, IntoIter: Send> + Send,
    ) -> Vec<Result<Appended, AppendError>> {
        let mut submitted = Vec::new();
        for append in appends {
            submitted.push(match prepare(append, None) {
                Ok((waiting, answer)) => {
                    self.queue.send(waiting).await.map(|()| answer).map_err(|_| AppendError::Closed)
                }
                Err(error) => Err(error),
            });
        }
        let mut answers = Vec::with_capacity(submitted.len());
        for answer in submitted {
            answers.push(match answer {
                Ok(answer) => answer.answer().await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    /// Completes when the appender of this process has ended while there are still handles like this: it panicked.
    /// Nothing can be appended any more.
    pub async fn stopped(&self) {
        self.queue.closed().await;
    }

    /// The tail of this process; somebody must [`Tail::run`] it.
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// The last position of the log, read from the database.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn head(&self) -> Result<Position, ReadError> {
        read::head(&self.pool).await
    }

    /// Up to `limit` events after a position.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_after(
        &self,
        after: Position,
        filter: &ReadFilter,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        if *filter == ReadFilter::default() {
            read::all(&self.pool, after, page(limit)).await
        } else {
            read::filtered(&self.pool, after, filter, page(limit)).await
        }
    }

    /// Up to `limit` events before a position, the latest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_before(
        &self,
        before: Position,
        filter: &ReadFilter,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        read::before(&self.pool, before, filter, page(limit)).await
    }

    /// Up to `limit` events of a stream after a version.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_stream(
        &self,
        key: &StreamKey,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        read::stream(&self.pool, key, after, page(limit)).await
    }

    /// The first position at or after a time; one past the head if nothing was appended since.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn position_at(&self, moment: DateTime<Utc>) -> Result<Position, ReadError> {
        read::position_at(&self.pool, moment).await
    }

    /// The positions of what a command appended, if it did. A command that created a stream and did nothing else is
    /// found by that stream alone.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn receipt(
        &self,
        stream: &StreamKey,
        command_id: Uuid,
    ) -> Result<Option<(Position, Position)>, ReadError> {
        read::receipt(&self.pool, stream, command_id).await
    }

    /// The snapshot of a stream, if there is one that this code can read and that is of the stream's history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_snapshot(&self, key: &StreamKey, format: &str) -> Result<Option<Snapshot>, ReadError> {
        snapshots::read(&self.pool, key, format).await
    }

    /// Up to `limit` snapshots after that of a stream, in the order of their keys, of any format and history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_snapshots(&self, after: Option<&StreamKey>, limit: usize) -> Result<Vec<Snapshot>, ReadError> {
        snapshots::page(&self.pool, after, page(limit)).await
    }

    /// Keeps a snapshot in place of an earlier one, and says whether it was kept: one that the log does not bear out
    /// is not.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn write_snapshot(&self, snapshot: &NewSnapshot) -> Result<bool, ReadError> {
        snapshots::write(&self.pool, snapshot).await
    }

    /// Keeps empty partitions before the head until told to stop.
    pub async fn keep_partitions(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            match read::ensure_partitions(&self.pool, PARTITIONS_AHEAD).await {
                Ok(0) => {}
                Ok(made) => tracing::info!(made, "partitions made ahead of need"),
                Err(error) => {
                    counter!("apex_log_partition_errors_total").increment(1);
                    tracing::error!(error = &error as &dyn std::error::Error, "partitions cannot be made");
                }
            }
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(Duration::from_secs(60)) => {}
            }
        }
    }
}

/// An append that was handed in; dropping it does not take it back.
#[derive(Debug)]
pub struct Submitted(oneshot::Receiver<Result<Appended, AppendError>>);

impl Submitted {
    /// What became of it, once that is durable.
    ///
    /// # Errors
    /// As for [`Log::append`].
    pub async fn answer(self) -> Result<Appended, AppendError> {
        // Without an answer the appender died at it, before or after the commit.
        self.0.await.unwrap_or_else(|_| Err(AppendError::Indeterminate(SharedError::new(sqlx::Error::WorkerCrashed))))
    }
}

/// All that can be done before an append waits is done here, by its caller: the appender is one for all.
fn prepare(append: Append, chain: Option<&Chain>) -> Result<(Waiting, Submitted), AppendError> {
    // Strings and ids only: this cannot fail, and if it did the append would be refused as no JSON, not lost.
    let metadata = serde_json::to_string(&append.metadata).unwrap_or_default();
    let bytes = append.check(metadata.len())?;
    let keys: Vec<_> = append.streams.iter().map(|stream| append.key(stream)).collect();
    let streams = keys.iter().zip(&append.streams);
    let hashes = streams.flat_map(|(key, stream)| stream.events.iter().map(move |event| (key, event)));
    let hashes = hashes
        .map(|(key, event)| {
            content_hash(key, event.event_id, event.name, event.schema_version, &event.payload, &metadata)
        })
        .collect();
    let (answer, answered) = oneshot::channel();
    let (span, chain) = (tracing::Span::current(), chain.cloned());
    Ok((Waiting { append, keys, metadata, hashes, bytes, chain, answer, span }, Submitted(answered)))
}

fn page(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, MAX_PAGE_EVENTS)).unwrap_or(i64::MAX)
}
