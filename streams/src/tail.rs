//! The end of the log, as one process sees it.
//!
//! One tailer a process reads new events once and keeps the latest in a bounded window for everybody in the process.
//! It is woken by local appends at once, by a notification a batch from other processes, and by a poll that catches
//! what both miss. Readers pull: whoever falls behind the window reads from the table again, so nobody is skipped.

use crate::read::{Limit, Reader};
use crate::{Position, ReadError, ReadFilter, RecordedEvent, read};
use metrics::{counter, gauge};
use sqlx::postgres::{PgListener, PgPool};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

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
}

/// The latest events: all those after `base`, in order.
struct Window {
    base: Position,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
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

    /// Up to `limit` events after a position; none if there are none yet. Every event is in some answer: an answer
    /// always begins with the very next position.
    ///
    /// # Errors
    /// [`ReadError`] when the events are no longer in memory and the table cannot be read.
    pub async fn read_after(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        if let Some(events) = self.in_window(after, limit) {
            return Ok(events);
        }
        let limit = Limit::events(limit.min(self.shared.config.page_events));
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

    fn in_window(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let window = self.shared.window.read().unwrap_or_else(PoisonError::into_inner);
        let skip = after.get().checked_sub(window.base.get())?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Some(window.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Follows the log until told to stop. Failures are retried with growing pauses and show in [`Tail::age`].
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut listener = None;
        let mut failures: u32 = 0;
        loop {
            let looked = tokio::select! {
                () = &mut shutdown => return,
                looked = self.catch_up() => looked,
            };
            failures = match looked {
                Ok(()) => 0,
                Err(error) => {
                    counter!("apex_log_tail_errors_total").increment(1);
                    tracing::warn!(error = &error as &dyn std::error::Error, "the tail cannot read the log");
                    failures.saturating_add(1)
                }
            };
            let pause = self.shared.config.poll_interval * (1 << failures.min(3));
            tokio::select! {
                () = &mut shutdown => return,
                () = self.shared.wake.notified(), if failures == 0 => {}
                () = notified(self.shared.own.pool(), &mut listener), if failures == 0 => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn catch_up(&self) -> Result<(), ReadError> {
        loop {
            let after = self.head();
            let limit = Limit::events(self.shared.config.page_events);
            let events = self.shared.own.after(after, &ReadFilter::default(), limit).await?.events;
            *self.shared.healthy_at.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            let Some(last) = events.last().map(|event| event.position) else { return Ok(()) };
            self.push(events);
            gauge!("apex_log_position").set(last.get() as f64);
            self.shared.head.send_replace(last);
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

/// Waits for a notification. Without a listening connection it never returns: the poll goes on, and the next call
/// tries to connect again.
async fn notified(pool: &PgPool, listener: &mut Option<PgListener>) {
    if listener.is_none() {
        *listener = connect(pool).await;
    }
    let heard = match listener {
        Some(listener) => listener.recv().await.is_ok(),
        None => std::future::pending().await,
    };
    if !heard {
        *listener = None;
    }
}

async fn connect(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen("apex_log").await.ok()?;
    Some(listener)
}
