//! The log's handle.

use crate::append::{Append, Appended, Chains};
use crate::appender::Appender;
use crate::committer::{Committer, LastFailure};
use crate::connections::AppenderConnections;
use crate::error::{AppendError, ReadError};
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use crate::limits::{APPENDER_CONNECTIONS, AppenderLimits, BUSY_RETRY_AFTER};
use crate::page::PageLimit;
use crate::pages::Pages;
use crate::partitions::{self, Headroom};
use crate::queue_capacity::QueueCapacity;
use crate::queued_append::{PendingAppend, QueuedAppend};
use crate::reader::Reader;
use crate::receipt::{Receipt, read_receipt};
use crate::snapshots::{self, NewSnapshot, Snapshot};
use crate::table::{self, StreamTail};
use crate::tail::{Tail, TailConfig};
use crate::tenant_log::TenantLog;
use crate::tenant_reads::TenantReads;
use chrono::{DateTime, Utc};
use domain::TenantId;
use metrics::counter;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Settings of the log.
#[derive(Debug, Clone, Default)]
pub struct LogConfig {
    /// Limits of the appender.
    pub appender: AppenderLimits,
    /// Limits of the tail.
    pub tail: TailConfig,
    /// The folder that holds the archive files. Without it, reading archived events fails with
    /// [`ReadError::Archived`].
    pub archive: Option<PathBuf>,
}

/// Connections of the tail: one for reading and one for notifications.
const TAIL_CONNECTIONS: u32 = 2;
/// The number of connections that an open log holds in addition to those of the pool that it was given: those of the tail,
/// and one for each batch in flight.
pub const LOG_CONNECTIONS: u32 = TAIL_CONNECTIONS + APPENDER_CONNECTIONS as u32;
/// How long the tail waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to the log; cheap to clone. The appender of this process ends when the last handle is dropped.
#[derive(Clone)]
pub struct Log {
    pool: PgPool,
    reader: Reader,
    /// Bounded by `capacity`.
    queue: mpsc::UnboundedSender<QueuedAppend>,
    capacity: QueueCapacity,
    tail: Tail,
    last_failure: LastFailure,
}

impl Log {
    /// Opens the log on a migrated database and starts the appender of this process.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the head cannot be read.
    pub async fn open(pool: PgPool, config: LogConfig) -> Result<Self, ReadError> {
        // The appender, the tail and other readers must not wait for each other's connections.
        let options = (*pool.connect_options()).clone();
        let tail_pool = PgPoolOptions::new()
            .max_connections(TAIL_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.clone());
        let reader = Reader::new(pool.clone(), config.archive);
        let tail = Tail::open(tail_pool, reader.clone(), config.tail).await?;
        let (queue, submissions) = mpsc::unbounded_channel();
        let capacity = QueueCapacity::new(config.appender.max_waiting, config.appender.max_waiting_bytes);
        let last_failure = LastFailure::default();
        let committer = Committer {
            connections: Arc::new(AppenderConnections::new(options)),
            batch_timeout: config.appender.batch_timeout,
            tail: tail.clone(),
            last_failure: last_failure.clone(),
        };
        tokio::spawn(Appender::new(config.appender, submissions, committer).run());
        Ok(Self { pool, reader, queue, capacity, tail, last_failure })
    }

    /// Appends events, and returns once they are durable.
    ///
    /// # Errors
    /// [`AppendError`]; all variants but [`AppendError::Indeterminate`] mean that nothing was written.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.submit(append, Chains::default())?.result().await
    }

    /// Queues an append without waiting for its result. Appends of this process to one stream are written in the order of
    /// submission. When an append of a chain fails, the later ones of the chain fail too.
    ///
    /// # Errors
    /// The append was not queued, and appends that were queued earlier are not affected: [`AppendError::Invalid`] when it
    /// exceeds a limit, [`AppendError::Busy`] when the queue is full, [`AppendError::Closed`] when the appender has ended.
    pub fn submit(&self, append: Append, chains: Chains) -> Result<PendingAppend, AppendError> {
        let (mut queued, pending) = QueuedAppend::prepare(append, chains)?;
        queued.permit = self.capacity.try_acquire(queued.bytes);
        if queued.permit.is_none() {
            counter!("apex_log_busy_total").increment(1);
            return Err(AppendError::Busy { retry_after: BUSY_RETRY_AFTER });
        }
        self.queue.send(queued).map_err(|_| AppendError::Closed)?;
        fail::fail_point!("log_append_queued");
        Ok(pending)
    }

    /// The time and the error of this process's last batch, if it failed because of the database. None once a later batch
    /// was committed.
    #[must_use]
    pub fn last_append_failure(&self) -> Option<(Instant, AppendError)> {
        self.last_failure.get()
    }

    /// The current version of a stream; zero if it does not exist.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn stream_version(&self, key: &StreamKey) -> Result<Version, ReadError> {
        table::version(&self.pool, key).await
    }

    /// The tails of some streams after a version, in the order of the streams, each with up to `limit` events. All are
    /// read as of one moment: together with what was known up to those versions they are states that existed at the
    /// same time.
    ///
    /// Events that were archived are left out; a tail lacks some if its events do not follow the version asked for.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn read_tails(
        &self,
        streams: &[(&StreamKey, Version)],
        limit: usize,
    ) -> Result<Vec<StreamTail>, ReadError> {
        table::tails(&self.pool, streams, limit).await
    }

    /// Completes when the appender of this process has ended although this handle exists: it panicked. Every later append
    /// fails with [`AppendError::Closed`].
    pub async fn appender_stopped(&self) {
        self.queue.closed().await;
    }

    /// The tail of this process. It only advances while [`Tail::run`] runs.
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// The last position of the log, read from the database.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn head(&self) -> Result<Position, ReadError> {
        table::head(&self.pool).await
    }

    /// Up to `limit` matching events after a position; at most 10 000.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn read_after(
        &self,
        after: Position,
        filter: &ReadFilter,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        Ok(self.reader.after(after, filter, PageLimit::of_events(limit)).await?.events)
    }

    /// The event of a tenant at a position; none if the tenant has none there.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn event_at(&self, tenant: &TenantId, position: Position) -> Result<Option<RecordedEvent>, ReadError> {
        let filter = ReadFilter { tenant: Some(tenant.clone()), ..ReadFilter::default() };
        let before = Position::from(position.get().saturating_sub(1));
        let found = self.read_after(before, &filter, 1).await?.pop();
        Ok(found.filter(|recorded| recorded.position == position))
    }

    /// All matching events after a position, in pages of up to `page_events` events.
    #[must_use]
    pub fn pages(&self, after: Position, filter: ReadFilter, page_events: usize) -> Pages {
        Pages::of_log(self.reader.clone(), after, filter, page_events)
    }

    /// All events of a stream after a version, in pages of up to `page_events` events.
    #[must_use]
    pub fn stream_pages(&self, key: StreamKey, after: Version, page_events: usize) -> Pages {
        Pages::of_stream(self.reader.clone(), key, after, page_events)
    }

    /// Up to `limit` matching events before a position, latest first; at most 10 000.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn read_before(
        &self,
        before: Position,
        filter: &ReadFilter,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        Ok(self.reader.before(before, filter, PageLimit::of_events(limit)).await?.events)
    }

    /// Up to `limit` events of a stream after a version; at most 10 000.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read, and [`ReadError::Gap`] when versions are in neither.
    pub async fn read_stream(
        &self,
        key: &StreamKey,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        Ok(self.reader.stream(key, after, PageLimit::of_events(limit)).await?.events)
    }

    /// The log for reads on behalf of tenants, by these connections.
    #[must_use]
    pub fn of_tenants(&self, reads: TenantReads) -> TenantLog {
        TenantLog::new(self.reader.clone(), self.tail.clone(), reads)
    }

    /// The first position recorded at or after a time; one past the head if there is none.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn position_at(&self, time: DateTime<Utc>) -> Result<Position, ReadError> {
        self.reader.position_at(time).await
    }

    /// How long ago the first event after a position was recorded, in whole seconds, by the clock of the database; none if there is
    /// no event after it. A read model that has applied every event up to the position is so far behind.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn seconds_behind(&self, position: Position) -> Result<Option<u64>, ReadError> {
        let found = self.read_after(position, &ReadFilter::default(), 1).await?;
        let Some(first) = found.first() else { return Ok(None) };
        let now = table::now(&self.pool).await?;
        // A time is that of the start of a transaction, so that an event may be a moment older than its commit, never younger.
        Ok(Some(u64::try_from((now - first.recorded_at).num_seconds()).unwrap_or(0)))
    }

    /// The receipt of a command that wrote to a stream, or none if the command was not executed. A command that only
    /// created a stream is found by that stream alone.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn receipt(&self, stream: &StreamKey, command_id: Uuid) -> Result<Option<Receipt>, ReadError> {
        read_receipt(&self.pool, stream, command_id).await
    }

    /// The snapshot of a stream, if there is one in this format that matches the stream's history.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn read_snapshot(&self, key: &StreamKey, format: &str) -> Result<Option<Snapshot>, ReadError> {
        snapshots::read(&self.pool, key, format).await
    }

    /// Up to `limit` snapshots after that of a stream, in the order of their keys, of any format and history.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn read_snapshots(&self, after: Option<&StreamKey>, limit: usize) -> Result<Vec<Snapshot>, ReadError> {
        snapshots::page(&self.pool, after, i64::try_from(limit).unwrap_or(i64::MAX)).await
    }

    /// Stores a snapshot in place of an earlier one. Returns false when it was not stored, because its last event is not
    /// in the log or a later snapshot exists.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database fails.
    pub async fn write_snapshot(&self, snapshot: &NewSnapshot) -> Result<bool, ReadError> {
        snapshots::write(&self.pool, snapshot).await
    }

    /// How many positions can be appended before more partitions must be created.
    ///
    /// # Errors
    /// [`ReadError::Database`] when the database cannot be read.
    pub async fn headroom(&self) -> Result<Headroom, ReadError> {
        partitions::headroom(&self.pool).await
    }

    /// Creates partitions ahead of the head and indexes complete ones, every minute until `shutdown` completes.
    pub async fn maintain_partitions(self, shutdown: impl Future<Output = ()> + Send) {
        partitions::maintain(&self.pool, shutdown).await;
    }
}
