//! The end of the log, as one process sees it.
//!
//! One tailer per process reads new events once and keeps the latest in a bounded window that all readers of the process
//! share. Local appends wake it at once, appends of other processes by one notification per batch, and a poll catches what
//! both miss. Readers pull: a reader that falls behind the window reads from the table, so no event is ever skipped.

use crate::backoff::Backoff;
use crate::database_error::DatabaseFault;
use crate::error::ReadError;
use crate::event::{Position, RecordedEvent};
use crate::filter::ReadFilter;
use crate::page::PageLimit;
use crate::reader::Reader;
use crate::table;
use crate::tail_window::{FilteredPage, TailWindow};
use metrics::{counter, gauge};
use sqlx::postgres::{PgListener, PgPool};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// The delays after failed reads.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(25), max: Duration::from_millis(1600) };
/// How many positions one search of the table covers at most: a search that finds few events must not hold a connection
/// for the length of the log, and its caller needs to see progress.
const SEARCH_POSITIONS: u64 = 50_000;

/// Limits of the tail.
#[derive(Debug, Clone, Copy)]
pub struct TailConfig {
    /// How often the tailer reads without being woken. Default: 500 ms.
    pub poll_interval: Duration,
    /// The most events read at once. Default: 1000.
    pub page_events: usize,
    /// The most events kept in memory. Default: 20 000.
    pub window_events: usize,
    /// The most bytes of payload and metadata kept in memory. Default: 32 MiB.
    pub window_bytes: usize,
}

impl Default for TailConfig {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(500),
            page_events: 1000,
            window_events: 20_000,
            window_bytes: 32 * 1024 * 1024,
        }
    }
}

/// A handle to the tail of this process; cheap to clone.
#[derive(Clone)]
pub struct Tail {
    shared: Arc<Shared>,
}

struct Shared {
    /// The tailer's own reader, and its connections.
    tailer: Reader,
    pool: PgPool,
    /// The reader for callers that are behind the window.
    fallback: Reader,
    config: TailConfig,
    window: RwLock<TailWindow>,
    head: watch::Sender<Position>,
    wake: Notify,
    /// When the tailer last read the end of the log.
    read_at: RwLock<Instant>,
    /// When the tailer began the last read that reached the end of the log.
    complete_at: RwLock<Instant>,
    failure: RwLock<Option<Arc<ReadError>>>,
}

impl Tail {
    /// Opens the tail with connections of its own, and a reader for callers that are behind the window.
    pub(crate) async fn open(pool: PgPool, fallback: Reader, config: TailConfig) -> Result<Self, ReadError> {
        let opened_at = Instant::now();
        let base = table::head(&pool).await?;
        let (head, _) = watch::channel(base);
        Ok(Self {
            shared: Arc::new(Shared {
                tailer: fallback.with_pool(pool.clone()),
                pool,
                fallback,
                config,
                window: RwLock::new(TailWindow::new(base, config.window_events, config.window_bytes)),
                head,
                wake: Notify::new(),
                read_at: RwLock::new(Instant::now()),
                complete_at: RwLock::new(opened_at),
                failure: RwLock::new(None),
            }),
        })
    }

    /// The last position that the tailer has read. Other processes may have appended more since.
    #[must_use]
    pub fn head(&self) -> Position {
        *self.shared.head.borrow()
    }

    /// Makes the tailer read now.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// How long ago the tailer last read the end of the log.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.shared.read_at.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// An upper bound of how outdated [`Tail::head`] is: everything that was committed longer ago is at or before it.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.shared.complete_at.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// The error of the last read, if the read before it failed too, or if no connection could be acquired. A single
    /// broken connection is replaced at once and is not reported.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<ReadError>> {
        self.shared.failure.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn window<T>(&self, read: impl FnOnce(&TailWindow) -> T) -> T {
        read(&self.shared.window.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_failure(&self, failure: Option<Arc<ReadError>>) {
        *self.shared.failure.write().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Up to `limit` events after a position; empty if there are none yet. A non-empty result always starts with the very
    /// next position.
    ///
    /// # Errors
    /// [`ReadError`] when the events are no longer in memory and the table or the archive cannot be read.
    pub async fn read_after(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        if let Some(events) = self.window(|window| window.after(after, limit)) {
            return Ok(events);
        }
        let limit = PageLimit::of_events(limit.min(self.shared.config.page_events)).bounded();
        let page = self.shared.fallback.after(after, &ReadFilter::default(), limit).await?;
        Ok(page.events.into_iter().map(Arc::new).collect())
    }

    /// Waits until there is an event after a position.
    ///
    /// # Errors
    /// [`ReadError::Closed`] when the process shuts down.
    pub async fn wait_beyond(&self, position: Position) -> Result<(), ReadError> {
        let mut head = self.shared.head.subscribe();
        head.wait_for(|head| *head > position).await.map(|_| ()).map_err(|_| ReadError::Closed)
    }

    /// Up to `limit` events after a position; waits until there is at least one.
    ///
    /// # Errors
    /// [`ReadError`], as for [`Tail::read_after`] and [`Tail::wait_beyond`].
    pub async fn next_after(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        loop {
            self.wait_beyond(after).await?;
            let events = self.read_after(after, limit).await?;
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The matching events after a position among those in memory; none if some after the position are not.
    pub(crate) fn find_in_window(
        &self,
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Option<FilteredPage> {
        self.window(|window| window.find_after(after, filter, limit))
    }

    /// The matching events after a position that a reader finds in one search, see [`FilteredPage`].
    pub(crate) async fn find_in_table(
        &self,
        reader: Reader,
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<FilteredPage, ReadError> {
        let head = self.head();
        let limit = PageLimit { bytes: limit.bytes, ..PageLimit::of_events(limit.events) };
        let until = head.min(Position::from(after.get() + SEARCH_POSITIONS));
        let (page, until) = match reader.after_until(after, until, filter, limit).await? {
            Some(page) => (page, until),
            None => (reader.after(after, filter, limit).await?, head),
        };
        let last = page.events.last().map_or(after, |event| event.position);
        let scanned_to = if page.has_room() { last.max(until) } else { last };
        Ok(FilteredPage { events: page.events.into_iter().map(Arc::new).collect(), scanned_to })
    }

    /// Follows the log until `shutdown` completes. Failed reads are retried with increasing delays and show in
    /// [`Tail::age`] and [`Tail::failure`].
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        // Concurrently, so that neither interrupts the other: reading must not restart a listener that is connecting.
        tokio::select! {
            () = shutdown => {}
            () = self.read_loop() => {}
            () = self.listen_loop() => {}
        }
    }

    /// Reads new events when woken, and once per poll interval.
    async fn read_loop(&self) {
        let mut failures: u32 = 0;
        loop {
            let delay = match self.catch_up().await {
                Ok(()) => {
                    if std::mem::take(&mut failures) > 0 {
                        self.set_failure(None);
                    }
                    self.shared.config.poll_interval
                }
                Err(error) => {
                    counter!("apex_log_tail_errors_total").increment(1);
                    tracing::warn!(error = &error as &dyn std::error::Error, "the tail cannot read the log");
                    failures = failures.saturating_add(1);
                    // The pool has retried for its whole timeout before it gives up.
                    let has_retried = matches!(&error, ReadError::Database(error)
                        if error.fault() == DatabaseFault::NoConnection);
                    if failures > 1 || has_retried {
                        self.set_failure(Some(Arc::new(error)));
                    }
                    // A broken connection is replaced at once; a server that is down is not flooded with attempts.
                    BACKOFF.delay(failures)
                }
            };
            tokio::select! {
                () = self.shared.wake.notified(), if failures == 0 => {}
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    async fn catch_up(&self) -> Result<(), ReadError> {
        loop {
            let limit = PageLimit::of_events(self.shared.config.page_events).bounded();
            let started_at = Instant::now();
            let page = self.shared.tailer.after(self.head(), &ReadFilter::default(), limit).await?;
            *self.shared.read_at.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            // A page with room reached the end of the log. An append since then has left a wake-up.
            let is_end = page.has_room();
            if let Some(last) = page.events.last().map(|event| event.position) {
                self.shared.window.write().unwrap_or_else(PoisonError::into_inner).push(page.events);
                gauge!("apex_log_position").set(last.get() as f64);
                self.shared.head.send_replace(last);
            }
            if is_end {
                *self.shared.complete_at.write().unwrap_or_else(PoisonError::into_inner) = started_at;
                return Ok(());
            }
        }
    }

    /// Wakes the tailer at notifications of other processes. While the connection is down, only the poll finds new events.
    async fn listen_loop(&self) {
        loop {
            if let Err(error) = self.listen().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the listener lost its connection");
            }
            tokio::time::sleep(self.shared.config.poll_interval).await;
        }
    }

    async fn listen(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.shared.pool).await?;
        listener.listen("apex_log").await?;
        loop {
            // For notifications that were missed while the listener was not connected.
            self.wake();
            // The payload is the last position of a batch. A batch of this process is usually read before its
            // notification arrives.
            while let Some(notification) = listener.try_recv().await? {
                if notification.payload().parse().map_or(true, |last: u64| Position::from(last) > self.head()) {
                    self.wake();
                }
            }
        }
    }
}
