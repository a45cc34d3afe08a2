//! Readers of the log: two that page through the table, sometimes from an earlier position, and one that follows the
//! tail. After an error they retry from the last position that they have read.

use crate::history::{Page, PageRecorder, ReaderHistory};
use crate::rng::SeededRng;
use crate::run::reader_histories;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use streams::{Log, LogConfig, Position, ReadFilter};
use testkit::TIMEOUT;
use testkit::cluster::Cluster;
use tokio::task::JoinHandle;
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Readers {
    running: Mutex<Vec<Reading>>,
}

struct Reading {
    file: PathBuf,
    reached: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Readers {
    pub(crate) async fn start(&self, cluster: &Cluster, start: Instant, seed: u64) {
        for (name, follows) in [("pager", false), ("second-pager", false), ("follower", true)] {
            let pool = cluster.application().await;
            let log = Log::open(pool, LogConfig::default()).await.unwrap();
            let file = cluster.file(&format!("{name}.ndjson"));
            let reached = Arc::new(AtomicU64::new(0));
            let recorder = PageRecorder::create(&file, start);
            let reader = Reader { log, recorder, rng: SeededRng::new(seed, name), reached: reached.clone() };
            let task = if follows { tokio::spawn(reader.follow()) } else { tokio::spawn(reader.page()) };
            self.running.lock().unwrap().push(Reading { file, reached, task });
        }
    }

    fn reached(&self) -> Vec<u64> {
        self.running.lock().unwrap().iter().map(|reader| reader.reached.load(Ordering::SeqCst)).collect()
    }

    /// The highest position that any reader has read.
    pub(crate) fn max_position(&self) -> u64 {
        self.reached().into_iter().max().unwrap_or(0)
    }

    /// Waits until any reader has read this position. Returns false on timeout.
    pub(crate) async fn any_reaches(&self, position: u64, timeout: Duration) -> bool {
        becomes_true(|| self.max_position() >= position, timeout).await
    }

    /// Waits until every reader has read this position. Returns false on timeout.
    pub(crate) async fn all_reach(&self, position: u64, timeout: Duration) -> bool {
        becomes_true(|| self.reached().into_iter().all(|reached| reached >= position), timeout).await
    }

    /// Waits until every reader has read the whole log, and stops them.
    pub(crate) async fn finish(&self, head: u64) -> Vec<ReaderHistory> {
        assert!(self.all_reach(head, TIMEOUT).await, "a reader does not reach the end of the log");
        let running = std::mem::take(&mut *self.running.lock().unwrap());
        for reader in &running {
            assert!(!reader.task.is_finished(), "readers do not end by themselves");
            reader.task.abort();
        }
        let files: Vec<_> = running.into_iter().map(|reader| reader.file).collect();
        reader_histories(&files)
    }
}

async fn becomes_true(condition: impl Fn() -> bool, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

struct Reader {
    log: Log,
    recorder: PageRecorder,
    rng: SeededRng,
    reached: Arc<AtomicU64>,
}

impl Reader {
    /// Reads pages of different sizes. One in ten repeats positions that were read before, where nothing may have
    /// appeared since.
    async fn page(mut self) {
        loop {
            let limit = 1 + self.rng.index(60);
            let mut after = self.reached.load(Ordering::SeqCst);
            if self.rng.one_in(10) {
                after -= self.rng.below(after.min(100) + 1);
            }
            let asked_us = self.recorder.now_us();
            let read = self.log.read_after(Position::from(after), &ReadFilter::default(), limit).await;
            let Ok(events) = read else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let is_short = events.len() < limit;
            let events = events.iter().map(|event| (event.position.get(), event.event_id)).collect();
            self.record(Page { asked_us, after, limit, fresh: true, events });
            if is_short {
                tokio::time::sleep(Duration::from_millis(self.rng.below(20))).await;
            }
        }
    }

    /// Reads from the tail of this process, which may be behind the database.
    async fn follow(mut self) {
        let tail = self.log.tail().clone();
        tokio::spawn(tail.clone().run(std::future::pending()));
        loop {
            let after = self.reached.load(Ordering::SeqCst);
            let asked_us = self.recorder.now_us();
            let limit = 1 + self.rng.index(60);
            let Ok(events) = tail.next_after(Position::from(after), limit).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let events = events.iter().map(|event| (event.position.get(), event.event_id)).collect();
            self.record(Page { asked_us, after, limit, fresh: false, events });
        }
    }

    /// Records a page; empty ones too, since they show what was not visible yet.
    fn record(&mut self, page: Page) {
        let last = page.events.last().map(|(position, _): &(u64, Uuid)| *position);
        self.recorder.page(&page);
        self.reached.fetch_max(last.unwrap_or(0), Ordering::SeqCst);
    }
}
