//! The end of the log, as one process sees it.
//!
//! One tailer a process reads new events once and keeps the latest in a bounded window for everybody in the process.
//! It is woken by local appends at once, by a notification a batch from other processes, and by a poll that catches
//! what both miss. Readers pull: whoever falls behind the window reads from the table again, so nobody is skipped.

use crate::pages::PAGE_BYTES;
use crate::read::{Limit, Reader};
use crate::{DatabaseFault, Position, ReadError, ReadFilter, RecordedEvent, read};
use metrics::{counter, gauge};
use sqlx::postgres::PgListener;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long the tailer waits after a failure at first; the pause doubles up to 64 times as long.
const FIRST_RETRY: Duration = Duration::from_millis(25);
/// Positions that one search of the table goes through at most: one that finds little must not hold a connection for as
/// long as the log is, and whoever waits for it hears how far it is.
const SEARCH_POSITIONS: u64 = 50_000;

/// Limits of the tail.
#[derive(Debug, Clone, Copy)]
pub struct TailConfig {
    /// How often to look without being woken.
    pub poll_interval: Duration,
    /// Events read at once.
    pub page_events: usize,
    /// Events kept in memory.
    pub window_events: usize,
    /// Bytes of payload and metadata kept in memory.
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

/// A handle to the process's tail; cheap to clone.
#[derive(Clone)]
pub struct Tail {
    shared: Arc<Shared>,
}

struct Shared {
    /// For the tailer itself.
    own: Reader,
    /// For readers who are behind the window.
    readers: Reader,
    config: TailConfig,
    window: RwLock<Window>,
    head: watch::Sender<Position>,
    wake: Notify,
    healthy_at: RwLock<Instant>,
    /// Why the last looks at the log failed, if they did.
    failure: RwLock<Option<Arc<ReadError>>>,
}

/// The latest events: all those after `base`, in order.
struct Window {
    base: Position,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
}

impl Window {
    /// Where the events after a position begin; none if some of them are no longer here.
    fn place_after(&self, after: Position) -> Option<usize> {
        let skip = after.get().checked_sub(self.base.get())?;
        Some(usize::try_from(skip).unwrap_or(usize::MAX))
    }
}

/// How much a reader takes at once.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit {
    /// This many events.
    pub events: usize,
    /// And no event more once their payloads and metadata have this many bytes.
    pub bytes: usize,
}

/// What a filter left of some events.
#[derive(Debug)]
pub struct FilteredPage {
    /// Those that are wanted, in order.
    pub events: VecDeque<Arc<RecordedEvent>>,
    /// How far was looked.
    pub scanned_to: Position,
}

impl Tail {
    pub(crate) async fn open(own: Reader, readers: Reader, config: TailConfig) -> Result<Self, ReadError> {
        let base = read::head(own.pool()).await?;
        let (head, _) = watch::channel(base);
        Ok(Self {
            shared: Arc::new(Shared {
                own,
                readers,
                config,
                window: RwLock::new(Window { base, events: VecDeque::new(), bytes: 0 }),
                head,
                wake: Notify::new(),
                healthy_at: RwLock::new(Instant::now()),
                failure: RwLock::new(None),
            }),
        })
    }

    /// The last position that the tailer has seen. Other processes may have appended more in this instant.
    #[must_use]
    pub fn head(&self) -> Position {
        *self.shared.head.borrow()
    }

    /// Tells the tailer to look now.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// How long ago the tailer last saw the log's end.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.shared.healthy_at.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Why the log cannot be read: the error of the last attempt, where the one before it failed, too. A connection that
    /// was ended is replaced at once, and is no failure of the database.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<ReadError>> {
        self.shared.failure.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failure(&self, failure: Option<Arc<ReadError>>) {
        *self.shared.failure.write().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Up to `limit` events after a position; none if there are none yet. Every event is in some answer: an answer
    /// always begins with the very next position.
    ///
    /// # Errors
    /// [`ReadError`] when the events are no longer in memory and the table cannot be read.
    pub async fn read_after(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        if let Some(events) = self.in_window(after, limit) {
            return Ok(events);
        }
        let limit = Limit { bytes: PAGE_BYTES, ..Limit::events(limit.min(self.shared.config.page_events)) };
        let page = self.shared.readers.after(after, &ReadFilter::default(), limit).await?;
        Ok(page.events.into_iter().map(Arc::new).collect())
    }

    /// Waits until there is something after a position.
    ///
    /// # Errors
    /// [`ReadError::Closed`] when the process shuts down.
    pub async fn wait_beyond(&self, position: Position) -> Result<(), ReadError> {
        let mut head = self.shared.head.subscribe();
        head.wait_for(|head| *head > position).await.map(|_| ()).map_err(|_| ReadError::Closed)
    }

    /// The next events after a position, waiting for them if need be.
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

    /// What a filter leaves of the next events after a position: waits for events, and looks through as many as are in
    /// memory, or searches the table for whoever is behind those. Nothing after `after` is left out up to
    /// [`FilteredPage::scanned_to`], which is always beyond it; there may be nothing that is wanted.
    ///
    /// # Errors
    /// [`ReadError`], as for [`Tail::read_after`] and [`Tail::wait_beyond`].
    pub async fn find_after(
        &self,
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<FilteredPage, ReadError> {
        self.wait_beyond(after).await?;
        if let Some(found) = self.find_in_window(after, filter, limit) {
            return Ok(found);
        }
        // In a box: whoever waits, as most do most of the time, has no room for it.
        Box::pin(self.find_in_table(after, filter, limit)).await
    }

    async fn find_in_table(
        &self,
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<FilteredPage, ReadError> {
        let head = self.head();
        let limit = Limit { bytes: limit.bytes, ..Limit::events(limit.events) };
        let (readers, until) = (&self.shared.readers, head.min(Position::from(after.get() + SEARCH_POSITIONS)));
        let (page, until) = match readers.after_until(after, until, filter, limit).await? {
            Some(page) => (page, until),
            None => (readers.after(after, filter, limit).await?, head),
        };
        let last = page.events.last().map_or(after, |event| event.position);
        let scanned_to = if page.has_room() { last.max(until) } else { last };
        Ok(FilteredPage { events: page.events.into_iter().map(Arc::new).collect(), scanned_to })
    }

    fn find_in_window(&self, after: Position, filter: &ReadFilter, limit: PageLimit) -> Option<FilteredPage> {
        let window = self.shared.window.read().unwrap_or_else(PoisonError::into_inner);
        let skip = window.place_after(after)?;
        let mut found = FilteredPage { events: VecDeque::new(), scanned_to: after };
        let mut bytes = 0;
        for event in window.events.iter().skip(skip) {
            found.scanned_to = event.position;
            if filter.matches(event) {
                found.events.push_back(event.clone());
                bytes += size(event);
                if found.events.len() >= limit.events || bytes >= limit.bytes {
                    break;
                }
            }
        }
        Some(found)
    }

    fn in_window(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let window = self.shared.window.read().unwrap_or_else(PoisonError::into_inner);
        let skip = window.place_after(after)?;
        Some(window.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Follows the log until told to stop. Failures are retried with growing pauses and show in [`Tail::age`].
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        // Side by side, so that neither interrupts the other: a listener that is still connecting goes on connecting
        // however often there is something to read.
        tokio::select! {
            () = shutdown => {}
            () = self.look() => {}
            () = self.listen() => {}
        }
    }

    /// Reads what is new whenever it is woken, and now and then without.
    async fn look(&self) {
        let mut failures: u32 = 0;
        loop {
            let pause = match self.catch_up().await {
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
                    // A pool has tried for a while before it gives up.
                    let has_waited =
                        matches!(&error, ReadError::Database(error) if error.fault() == DatabaseFault::NoConnection);
                    if failures > 1 || has_waited {
                        self.set_failure(Some(Arc::new(error)));
                    }
                    // A connection that was ended is replaced at once; a server that is away is not pressed.
                    FIRST_RETRY * (1 << (failures - 1).min(6))
                }
            };
            tokio::select! {
                () = self.shared.wake.notified(), if failures == 0 => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn catch_up(&self) -> Result<(), ReadError> {
        loop {
            let limit = Limit { bytes: PAGE_BYTES, ..Limit::events(self.shared.config.page_events) };
            let page = self.shared.own.after(self.head(), &ReadFilter::default(), limit).await?;
            *self.shared.healthy_at.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            // With room for more it was the end of the log. Whatever was appended since then has left a wake-up.
            let is_end = page.has_room();
            if let Some(last) = page.events.last().map(|event| event.position) {
                self.push(page.events);
                gauge!("apex_log_position").set(last.get() as f64);
                self.shared.head.send_replace(last);
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// Passes notifications on to the tailer. While the connection is away the poll goes on.
    async fn listen(&self) {
        loop {
            if let Err(error) = self.hear().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "notifications are not heard");
            }
            tokio::time::sleep(self.shared.config.poll_interval).await;
        }
    }

    async fn hear(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(self.shared.own.pool()).await?;
        listener.listen("apex_log").await?;
        loop {
            // What came while nobody listened.
            self.wake();
            // It says how far the log goes. What this process appended itself it has mostly seen before it hears of it.
            while let Some(heard) = listener.try_recv().await? {
                if heard.payload().parse().map_or(true, |last: u64| Position::from(last) > self.head()) {
                    self.wake();
                }
            }
        }
    }

    fn push(&self, events: Vec<RecordedEvent>) {
        let config = &self.shared.config;
        let mut window = self.shared.window.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            window.bytes += size(&event);
            window.events.push_back(Arc::new(event));
        }
        while window.events.len() > config.window_events || window.bytes > config.window_bytes {
            let Some(oldest) = window.events.pop_front() else { break };
            window.bytes -= size(&oldest);
            window.base = oldest.position;
        }
    }
}

fn size(event: &RecordedEvent) -> usize {
    event.payload.len() + event.metadata.len()
}
