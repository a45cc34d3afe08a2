//! Limits of an append and of the appender.

use std::time::Duration;

/// The most events in one append.
pub(crate) const MAX_APPEND_EVENTS: usize = 10_000;
/// The largest event, payload and metadata together. With headers it stays below Kafka's default limit of 1 MiB.
pub(crate) const MAX_EVENT_BYTES: usize = 900_000;
/// The largest metadata; the same limit as in migrations/0002_append.sql.
pub(crate) const MAX_METADATA_BYTES: usize = 4096;
/// The most bytes of payload and metadata in one append.
pub(crate) const MAX_APPEND_BYTES: usize = 16 * 1024 * 1024;

/// The default of [`AppenderLimits::connections`].
pub(crate) const APPENDER_CONNECTIONS: u8 = 2;
/// The delay suggested to a writer that was refused as busy: about as long as a few batches take.
pub(crate) const BUSY_RETRY_AFTER: Duration = Duration::from_millis(50);
/// How many times a batch is attempted that conflicts with another process on a new stream or command. The next attempt
/// sees what the other process wrote.
pub(crate) const MAX_BATCH_ATTEMPTS: u32 = 5;

/// Limits of a process's appender.
#[derive(Debug, Clone, Copy)]
pub struct AppenderLimits {
    /// The most appends in the queue; further appends are refused as busy. Default: 16,384, as many as 16 inputs of calls
    /// have in flight.
    pub max_waiting: usize,
    /// The most bytes of payload and metadata in the queue. Default: 64 MiB. An append that exceeds it is refused as
    /// busy, unless the queue is empty.
    pub max_waiting_bytes: usize,
    /// The most batches in flight, each on its own connection. Default: 2.
    ///
    /// Only one batch commits at a time, because each holds the head row's lock; the next is encoded, sent and parsed
    /// meanwhile, once as many appends wait as are in flight: two small batches cost more than one large batch. More than
    /// two help only where the database is far away.
    pub connections: usize,
    /// The most events in one batch. Default: 2000.
    pub max_batch_events: usize,
    /// The most bytes of payload and metadata in one batch. Default: 8 MiB.
    pub max_batch_bytes: usize,
    /// How long a batch may take. Default: 30 s. After that its connection is dropped and its outcome is unknown, so that
    /// a server that vanished without closing the connection does not block later appends.
    pub batch_timeout: Duration,
}

impl Default for AppenderLimits {
    fn default() -> Self {
        Self {
            max_waiting: 16_384,
            max_waiting_bytes: 64 * 1024 * 1024,
            connections: usize::from(APPENDER_CONNECTIONS),
            max_batch_events: 2000,
            max_batch_bytes: 8 * 1024 * 1024,
            batch_timeout: Duration::from_secs(30),
        }
    }
}
