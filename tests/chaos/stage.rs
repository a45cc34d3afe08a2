//! One run: a cluster, processes with a log, clients and readers outside of them, and what strikes in between.

use crate::checker::{Report, check};
use crate::clients::Clients;
use crate::dice::Dice;
use crate::faults::Fault;
use crate::history::{Command, History, LogEvent, Outcome, ReaderHistory, Recorder, write_log};
use crate::proxy::{Mode, Proxy};
use crate::readers::Readers;
use crate::storage;
use crate::worker::Slot;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::{Log, LogConfig, Position, ReadFilter};
use testkit::TIMEOUT;
use testkit::cluster::{Cluster, ClusterConfig};
use tokio::sync::Mutex;

/// The bound on what others may be held up by a transaction that idles, or by an appender that stands still. It is not
/// about speed: whoever waits for the other's end would wait for longer.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// Two processes with a log, each with a proxy before its database: one with larger batches, one whose batches overtake
/// each other.
const CONNECTIONS: [usize; 2] = [1, 2];
/// The client number of [`Stage::probe`].
const PROBE: u32 = 99;

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) slots: Vec<Slot>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) readers: Readers,
    probe: Mutex<Recorder>,
    /// Counts what a fault wants to be sure of beside that it was injected.
    pub(crate) sightings: AtomicU64,
}

/// What a run has to have met before it may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The fault was injected.
    Injected,
    /// The server met what was injected.
    Seen,
    /// The log has an event with an earlier time than the one before: for a planted bug.
    TimeFell,
}

/// How long a run goes on striking at most for its goal to be reached. Where it is not reached by then, the tally says so.
const GOAL_TIMEOUT: Duration = Duration::from_secs(90);

impl Goal {
    async fn is_reached(self, stage: &Stage) -> bool {
        match self {
            Self::Injected => true,
            Self::Seen => stage.sightings.load(Ordering::SeqCst) > 0,
            Self::TimeFell => {
                let mut owner = stage.cluster.owner().await;
                storage::falls(&mut owner).await > 0
            }
        }
    }
}

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) injected: u64,
    pub(crate) sightings: u64,
    /// Events with an earlier time than the one before.
    pub(crate) falls: u64,
    pub(crate) report: Report,
}

/// Strikes for so long, then lets everything come to rest, and holds what was told and seen against the log.
///
/// # Panics
/// When something that must happen did not: an outcome that stays unknown, a reader that stops, a process that ends by
/// itself. Broken promises are in the report.
pub(crate) async fn run(fault: Fault, duration: Duration, seed: u64) -> Tally {
    let goal = if fault.counts_sightings() { Goal::Seen } else { Goal::Injected };
    run_on(fault.setup(), fault, goal, duration, seed).await
}

/// The same, on a cluster of another setup, and until a goal is reached: what takes luck is tried again.
pub(crate) async fn run_on(setup: ClusterConfig, fault: Fault, goal: Goal, duration: Duration, seed: u64) -> Tally {
    let start = Instant::now();
    let stage = Arc::new(Stage::open(start, setup).await);
    stage.readers.start(&stage.cluster, start, seed).await;
    let clients = Clients::start(&stage, fault.load(), start, seed);
    let mut dice = Dice::new(seed, "faults");
    let mut injected = 0;
    let begun = Instant::now();
    while injected < fault.least()
        || begun.elapsed() < duration
        || (begun.elapsed() < GOAL_TIMEOUT && !goal.is_reached(&stage).await)
    {
        let position = stage.readers.furthest() + dice.below(fault.growth());
        assert!(stage.readers.one_reaches(position, TIMEOUT).await, "the log does not grow");
        fault.inject(&stage, injected, &mut dice).await;
        injected += 1;
    }
    stage.mend();
    let mut histories = clients.finish().await;
    histories.push(History::read(&stage.cluster.file("probe.ndjson")));
    let log = stage.whole_log().await;
    let head = log.last().map_or(0, |event| event.position);
    let readers = stage.readers.finish(head).await;
    let report = check(&histories, &log, &readers);
    // What is planted breaks promises on purpose: a stream may even fall behind the version that a client was told.
    if setup == fault.setup() {
        if !report.violations.is_empty() {
            stage.keep(&log, seed);
        }
        assert_eq!(report.unresolved, 0, "every outcome becomes known");
    }
    let falls = storage::falls(&mut stage.cluster.owner().await).await;
    Tally { injected, sightings: stage.sightings.load(Ordering::SeqCst), falls, report }
}

impl Stage {
    async fn open(start: Instant, setup: ClusterConfig) -> Self {
        let cluster = Cluster::start(setup).await;
        let (mut slots, mut proxies) = (Vec::new(), Vec::new());
        for connections in CONNECTIONS {
            let proxy = Proxy::start(cluster.port()).await;
            slots.push(Slot::start(connections, cluster.url_through(proxy.port())));
            proxies.push(proxy);
        }
        let probe = Mutex::new(Recorder::create(&cluster.file("probe.ndjson"), PROBE, start));
        Self { cluster, slots, proxies, readers: Readers::default(), probe, sightings: AtomicU64::new(0) }
    }

    /// Keeps what a run that broke a promise has written, for whoever looks into it.
    fn keep(&self, log: &[LogEvent], seed: u64) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
        std::fs::create_dir_all(&kept).unwrap();
        write_log(&kept.join("log.ndjson"), log);
        for entry in std::fs::read_dir(self.cluster.file(".")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "ndjson") {
                std::fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
            }
        }
        eprintln!("the histories are in {}", kept.display());
    }

    /// Takes back what a fault may have left.
    fn mend(&self) {
        for (slot, proxy) in self.slots.iter().zip(&self.proxies) {
            proxy.set(Mode::Pass);
            slot.signal(Signal::CONT);
            slot.restart();
        }
    }

    /// A command of nobody else's, on one process, until its outcome is known. It is part of the histories.
    pub(crate) async fn probe(&self, slot: usize, command: &Command) -> Outcome {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let number = self.probe.lock().await.invoke(command);
            let end = self.slots[slot].append(command).await;
            self.probe.lock().await.end(number, &end);
            if let Outcome::Ok { .. } | Outcome::Conflict { .. } = end {
                return end;
            }
            assert!(Instant::now() < deadline, "the probe was not answered: {end:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// That an append through this process is answered within the bound, and that every reader then gets past it.
    pub(crate) async fn others_go_on(&self, slot: usize, dice: &mut Dice) {
        let command = dice.command_on_new_stream();
        let begun = Instant::now();
        let end = tokio::time::timeout(BOUND, self.probe(slot, &command)).await;
        let end = end.unwrap_or_else(|_| panic!("no answer within the bound of {BOUND:?}"));
        let Outcome::Ok { last, .. } = end else { panic!("a new stream has no conflicts: {end:?}") };
        let passed = self.readers.all_reach(last, BOUND.saturating_sub(begun.elapsed())).await;
        assert!(passed, "readers stand still for longer than the bound of {BOUND:?}");
    }

    /// Every event there is, each with the content that was written.
    async fn whole_log(&self) -> Vec<LogEvent> {
        let pool = self.cluster.application().await;
        let log = Log::open(pool, LogConfig::default()).await.unwrap();
        let mut events: Vec<LogEvent> = Vec::new();
        loop {
            let after = Position::from(events.last().map_or(0, |event| event.position));
            let page = log.read_after(after, &ReadFilter::default(), 10_000).await.unwrap();
            if page.is_empty() {
                break;
            }
            for event in page {
                assert!(event.content_is_intact(), "the content at position {} is not what was hashed", event.position);
                events.push(LogEvent {
                    position: event.position.get(),
                    stream: event.stream.id,
                    version: event.version.get(),
                    event_id: event.event_id,
                    command_id: event.metadata().unwrap().command_id,
                });
            }
        }
        let head = log.head().await.unwrap();
        assert_eq!(head.get(), events.last().map_or(0, |event| event.position), "the head is the last event");
        events
    }
}

/// Reads the files of clients or readers.
pub(crate) fn histories(files: &[PathBuf]) -> Vec<History> {
    files.iter().map(|file| History::read(file)).collect()
}

pub(crate) fn reader_histories(files: &[PathBuf]) -> Vec<ReaderHistory> {
    files.iter().map(|file| ReaderHistory::read(file)).collect()
}
