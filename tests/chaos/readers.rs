//! Readers of the log: two that page through the table, now and then from an earlier place, and one that follows the
//! tail. What they cannot read they ask for again, after the last position that they have.

use crate::dice::Dice;
use crate::history::{Page, PageRecorder, ReaderHistory};
use crate::stage::reader_histories;
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
        for (name, follows) in [("pager", false), ("looker", false), ("follower", true)] {
            let pool = cluster.application().await;
            let log = Log::open(pool, LogConfig::default()).await.unwrap();
            let file = cluster.file(&format!("{name}.ndjson"));
            let reached = Arc::new(AtomicU64::new(0));
            let recorder = PageRecorder::create(&file, start);
            let reader = Reader { log, recorder, dice: Dice::new(seed, name), reached: reached.clone() };
            let task = if follows { tokio::spawn(reader.follow()) } else { tokio::spawn(reader.page()) };
            self.running.lock().unwrap().push(Reading { file, reached, task });
        }
    }

    fn reached(&self) -> Vec<u64> {
        self.running.lock().unwrap().iter().map(|reader| reader.reached.load(Ordering::SeqCst)).collect()
    }

    /// The last position that any reader has been given.
    pub(crate) fn furthest(&self) -> u64 {
        self.reached().into_iter().max().unwrap_or(0)
    }

    /// Waits until some reader has been given this position; whether it was in time.
    pub(crate) async fn one_reaches(&self, position: u64, patience: Duration) -> bool {
        happens(|| self.furthest() >= position, patience).await
    }

    /// Waits until every reader has been given this position; whether it was in time.
    pub(crate) async fn all_reach(&self, position: u64, patience: Duration) -> bool {
        happens(|| self.reached().into_iter().all(|reached| reached >= position), patience).await
    }

    /// Lets every reader come to the end of the log.
    pub(crate) async fn finish(&self, head: u64) -> Vec<ReaderHistory> {
        assert!(self.all_reach(head, TIMEOUT).await, "a reader does not come to the end of the log");
        let running = std::mem::take(&mut *self.running.lock().unwrap());
        for reader in &running {
            assert!(!reader.task.is_finished(), "readers do not end by themselves");
            reader.task.abort();
        }
        let files: Vec<_> = running.into_iter().map(|reader| reader.file).collect();
        reader_histories(&files)
    }
}

async fn happens(it: impl Fn() -> bool, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while !it() {
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
    dice: Dice,
    reached: Arc<AtomicU64>,
}

impl Reader {
    /// Pages of changing sizes; one in ten is of what was read before, where nothing may have appeared.
    async fn page(mut self) {
        loop {
            let limit = 1 + self.dice.index(60);
            let mut after = self.reached.load(Ordering::SeqCst);
            if self.dice.one_in(10) {
                after -= self.dice.below(after.min(100) + 1);
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
                tokio::time::sleep(Duration::from_millis(self.dice.below(20))).await;
            }
        }
    }

    /// Whatever the tail of this process gives, which may be later than the database.
    async fn follow(mut self) {
        let tail = self.log.tail().clone();
        tokio::spawn(tail.clone().run(std::future::pending()));
        loop {
            let after = self.reached.load(Ordering::SeqCst);
            let asked_us = self.recorder.now_us();
            let limit = 1 + self.dice.index(60);
            let Ok(events) = tail.next_after(Position::from(after), limit).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let events = events.iter().map(|event| (event.position.get(), event.event_id)).collect();
            self.record(Page { asked_us, after, limit, fresh: false, events });
        }
    }

    /// Empty pages are evidence too.
    fn record(&mut self, page: Page) {
        let last = page.events.last().map(|(position, _): &(u64, Uuid)| *position);
        self.recorder.page(&page);
        self.reached.fetch_max(last.unwrap_or(0), Ordering::SeqCst);
    }
}
