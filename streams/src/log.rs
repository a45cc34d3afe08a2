//! The log's handle.

use crate::appender::{APPENDER_CONNECTIONS, Appender, Committer, LastFailure, RETRY_AFTER, Waiting};
use crate::connections::Connections;
use crate::read::{Limit, Reader};
use crate::room::Room;
use crate::{
    Append, AppendError, Appended, AppenderLimits, Chain, Headroom, NewSnapshot, Pages, Position, ReadError,
    ReadFilter, Receipt, RecordedEvent, Snapshot, StreamKey, Tail, TailConfig, Version, content_hash, partitions, read,
    snapshots,
};
use chrono::{DateTime, Utc};
use metrics::counter;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Settings of the log.
#[derive(Debug, Clone, Default)]
pub struct LogConfig {
    /// Of the appender.
    pub appender: AppenderLimits,
    /// Of the tail.
    pub tail: TailConfig,
    /// The folder to read from what is archived; without it, reading that is an error.
    pub archive: Option<PathBuf>,
}

/// Connections of the tail: for reading and for notifications.
const TAIL_CONNECTIONS: u32 = 2;
/// Connections that an open log holds beside those of the pool that it is given: those of the tail, and one for each
/// batch of the appender that is on its way.
pub const LOG_CONNECTIONS: u32 = TAIL_CONNECTIONS + APPENDER_CONNECTIONS as u32;
/// How long the tail waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to the log; cheap to clone. Its appender ends when the last handle is dropped.
#[derive(Clone)]
pub struct Log {
    reader: Reader,
    /// Bounded by `room`.
    queue: mpsc::UnboundedSender<Waiting>,
    room: Room,
    tail: Tail,
    failure: LastFailure,
}

impl Log {
    /// Opens the log on a migrated database and starts the appender of this process.
    ///
    /// # Errors
    /// [`ReadError`] when the head cannot be read.
    pub async fn open(pool: PgPool, config: LogConfig) -> Result<Self, ReadError> {
        // Appends, the tail and whoever else reads must not wait for each other's connections.
        let options = (*pool.connect_options()).clone();
        let own = PgPoolOptions::new()
            .max_connections(TAIL_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.clone());
        let reader = Reader::new(pool, config.archive);
        let tail = Tail::open(reader.on(own), reader.clone(), config.tail).await?;
        let (queue, receiver) = mpsc::unbounded_channel();
        let room = Room::new(config.appender.max_waiting, config.appender.max_waiting_bytes);
        let connections = Arc::new(Connections::new(options));
        let failure = LastFailure::default();
        let batch_timeout = config.appender.batch_timeout;
        let committer = Committer { connections, batch_timeout, tail: tail.clone(), failure: failure.clone() };
        let appender = Appender { limits: config.appender, queue: receiver, committer };
        tokio::spawn(appender.run());
        Ok(Self { reader, queue, room, tail, failure })
    }

    /// Appends; answered once the events are durable.
    ///
    /// # Errors
    /// [`AppendError`]; all but [`AppendError::Indeterminate`] mean that nothing was written.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.submit(append, None)?.result().await
    }

    /// Hands an append in without waiting for its answer. Appends to one stream are written in the order in which this
    /// process has handed them in; those of one chain fall together.
    ///
    /// # Errors
    /// [`AppendError::Invalid`], [`AppendError::Busy`] and [`AppendError::Closed`]: it was not even taken. Nothing was
    /// written, and what was handed in before goes on.
    pub fn submit(&self, append: Append, chain: Option<&Chain>) -> Result<PendingAppend, AppendError> {
        let (mut waiting, submitted) = prepare(append, chain)?;
        waiting.place = self.room.try_take(waiting.bytes);
        if waiting.place.is_none() {
            counter!("apex_log_busy_total").increment(1);
            return Err(AppendError::Busy { retry_after: RETRY_AFTER });
        }
        self.queue.send(waiting).map_err(|_| AppendError::Closed)?;
        fail::fail_point!("log_append_queued");
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
                Ok((mut waiting, answer)) => {
                    waiting.place = self.room.take(waiting.bytes).await;
                    self.queue.send(waiting).map(|()| answer).map_err(|_| AppendError::Closed)
                }
                Err(error) => Err(error),
            });
        }
        let mut answers = Vec::with_capacity(submitted.len());
        for answer in submitted {
            answers.push(match answer {
                Ok(answer) => answer.result().await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    /// When the last batch of this process failed, and why, if the database was the reason; nothing once another batch
    /// was committed.
    #[must_use]
    pub fn last_append_failure(&self) -> Option<(Instant, AppendError)> {
        self.failure.get()
    }

    /// Completes when the appender of this process has ended while there are still handles like this: it panicked.
    /// Nothing can be appended any more.
    pub async fn appender_stopped(&self) {
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
        read::head(self.reader.pool()).await
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
        Ok(self.reader.after(after, filter, Limit::events(limit)).await?.events)
    }

    /// All events after a position that a filter leaves, in pages of up to so many events.
    #[must_use]
    pub fn pages(&self, after: Position, filter: ReadFilter, page_events: usize) -> Pages {
        Pages::of_log(self.reader.clone(), after, filter, page_events)
    }

    /// All events of a stream after a version, in pages of up to so many events.
    #[must_use]
    pub fn stream_pages(&self, key: StreamKey, after: Version, page_events: usize) -> Pages {
        Pages::of_stream(self.reader.clone(), key, after, page_events)
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
        Ok(self.reader.before(before, filter, Limit::events(limit)).await?.events)
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
        Ok(self.reader.stream(key, after, Limit::events(limit)).await?.events)
    }

    /// The first position at or after a time; one past the head if nothing was appended since.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn position_at(&self, moment: DateTime<Utc>) -> Result<Position, ReadError> {
        self.reader.position_at(moment).await
    }

    /// What a command appended, if it did. A command that created a stream and did nothing else is
    /// found by that stream alone.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn receipt(&self, stream: &StreamKey, command_id: Uuid) -> Result<Option<Receipt>, ReadError> {
        read::receipt(self.reader.pool(), stream, command_id).await
    }

    /// The snapshot of a stream, if there is one that this code can read and that is of the stream's history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_snapshot(&self, key: &StreamKey, format: &str) -> Result<Option<Snapshot>, ReadError> {
        snapshots::read(self.reader.pool(), key, format).await
    }

    /// Up to `limit` snapshots after that of a stream, in the order of their keys, of any format and history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_snapshots(&self, after: Option<&StreamKey>, limit: usize) -> Result<Vec<Snapshot>, ReadError> {
        snapshots::page(self.reader.pool(), after, i64::try_from(limit).unwrap_or(i64::MAX)).await
    }

    /// Keeps a snapshot in place of an earlier one, and says whether it was kept: one that the log does not bear out
    /// is not.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn write_snapshot(&self, snapshot: &NewSnapshot) -> Result<bool, ReadError> {
        snapshots::write(self.reader.pool(), snapshot).await
    }

    /// How much room there is before the head.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn headroom(&self) -> Result<Headroom, ReadError> {
        partitions::headroom(self.reader.pool()).await
    }

    /// Keeps empty partitions before the head, and indexes complete ones, until told to stop.
    pub async fn maintain_partitions(self, shutdown: impl Future<Output = ()> + Send) {
        partitions::keep(self.reader.pool(), shutdown).await;
    }
}

/// An append that was handed in; dropping it does not take it back.
#[derive(Debug)]
pub struct PendingAppend(oneshot::Receiver<Result<Appended, AppendError>>);

impl PendingAppend {
    /// What became of it, once that is durable.
    ///
    /// # Errors
    /// As for [`Log::append`].
    pub async fn result(self) -> Result<Appended, AppendError> {
        // Without an answer the appender died at it, before or after the commit.
        self.0.await.unwrap_or_else(|_| Err(AppendError::outcome_unknown()))
    }
}

/// All that can be done before an append waits is done here, by its caller: the appender is one for all.
fn prepare(append: Append, chain: Option<&Chain>) -> Result<(Waiting, PendingAppend), AppendError> {
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
    Ok((Waiting { append, keys, metadata, hashes, bytes, chain, answer, span, place: None }, PendingAppend(answered)))
}
