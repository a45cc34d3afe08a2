//! One run: a cluster, processes with a log, clients and readers in the test process, and a fault that is injected.

use crate::checker::{Report, check};
use crate::clients::Clients;
use crate::faults::Fault;
use crate::history::{Command, History, LogEvent, Outcome, ReaderHistory, Recorder, write_log};
use crate::proxy::{Mode, Proxy};
use crate::readers::Readers;
use crate::rng::SeededRng;
use crate::storage;
use crate::worker::LogProcess;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::{Log, LogConfig, Position, ReadFilter};
use testkit::TIMEOUT;
use testkit::cluster::{Cluster, ClusterConfig};
use tokio::sync::Mutex;

/// Within this time, appends and readers must progress despite an idle transaction or a stopped appender. It is no
/// measure of speed: one that waited for the idle or stopped one would exceed it.
pub(crate) const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The appender's connections of each of the two processes: one sends large batches, the other several at a time, whose
/// commits may be out of order. Each process connects through a proxy.
const CONNECTIONS: [usize; 2] = [1, 2];
/// The client number of [`Fixture::probe`].
const PROBE: u32 = 99;

/// All parts of a run except its clients.
pub(crate) struct Fixture {
    pub(crate) cluster: Cluster,
    pub(crate) processes: Vec<LogProcess>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) readers: Readers,
    probe: Mutex<Recorder>,
    /// How often a fault had the effect that its test requires.
    pub(crate) observations: AtomicU64,
}

/// The condition under which a run may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The fault was injected.
    Injected,
    /// The fault had its effect at least once.
    Observed,
    /// An event has an earlier time than the one before it, as a planted bug causes.
    TimeReversed,
}

/// The longest time that faults are injected until the goal is reached. The summary shows whether it was.
const GOAL_TIMEOUT: Duration = Duration::from_secs(90);

impl Goal {
    async fn is_reached(self, fixture: &Fixture) -> bool {
        match self {
            Self::Injected => true,
            Self::Observed => fixture.observations.load(Ordering::SeqCst) > 0,
            Self::TimeReversed => {
                let mut owner = fixture.cluster.owner().await;
                storage::count_time_reversals(&mut owner).await > 0
            }
        }
    }
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct RunSummary {
    /// How often the fault was injected.
    pub(crate) injected: u64,
    /// How often it had the effect that its test requires.
    pub(crate) observations: u64,
    /// The number of events with an earlier time than the event before.
    pub(crate) time_reversals: u64,
    pub(crate) report: Report,
}

/// Injects a fault for some time, restores everything, and compares all histories with the log.
///
/// # Panics
/// If an outcome stays unknown, a reader stops, or a process exits by itself. Violated guarantees are in the report.
pub(crate) async fn run(fault: Fault, duration: Duration, seed: u64) -> RunSummary {
    let goal = if fault.needs_observation() { Goal::Observed } else { Goal::Injected };
    run_on(fault.config(), fault, goal, duration, seed).await
}

/// Like [`run`], with another configuration of the cluster, and until a goal is reached, which may take several
/// injections.
pub(crate) async fn run_on(
    config: ClusterConfig,
    fault: Fault,
    goal: Goal,
    duration: Duration,
    seed: u64,
) -> RunSummary {
    let start = Instant::now();
    let fixture = Arc::new(Fixture::open(start, config).await);
    fixture.readers.start(&fixture.cluster, start, seed).await;
    let clients = Clients::start(&fixture, fault.load(), start, seed);
    let mut rng = SeededRng::new(seed, "faults");
    let mut injected = 0;
    let started = Instant::now();
    while injected < fault.min_injections()
        || started.elapsed() < duration
        || (started.elapsed() < GOAL_TIMEOUT && !goal.is_reached(&fixture).await)
    {
        let position = fixture.readers.max_position() + rng.below(fault.max_growth());
        assert!(fixture.readers.any_reaches(position, TIMEOUT).await, "the log does not grow");
        fault.inject(&fixture, injected, &mut rng).await;
        injected += 1;
    }
    fixture.restore();
    let mut histories = clients.finish().await;
    histories.push(History::read(&fixture.cluster.file("probe.ndjson")));
    let log = fixture.whole_log().await;
    let head = log.last().map_or(0, |event| event.position);
    let readers = fixture.readers.finish(head).await;
    let report = check(&histories, &log, &readers);
    // A planted bug violates guarantees on purpose, so outcomes may stay unknown.
    if config == fault.config() {
        if !report.violations.is_empty() {
            fixture.save_histories(&log, seed);
        }
        assert_eq!(report.unresolved, 0, "an outcome stayed unknown");
    }
    let time_reversals = storage::count_time_reversals(&mut fixture.cluster.owner().await).await;
    RunSummary { injected, observations: fixture.observations.load(Ordering::SeqCst), time_reversals, report }
}

impl Fixture {
    async fn open(start: Instant, config: ClusterConfig) -> Self {
        let cluster = Cluster::start(config).await;
        let (mut processes, mut proxies) = (Vec::new(), Vec::new());
        for connections in CONNECTIONS {
            let proxy = Proxy::start(cluster.port()).await;
            processes.push(LogProcess::start(connections, cluster.url_through(proxy.port())));
            proxies.push(proxy);
        }
        let probe = Mutex::new(Recorder::create(&cluster.file("probe.ndjson"), PROBE, start));
        Self { cluster, processes, proxies, readers: Readers::default(), probe, observations: AtomicU64::new(0) }
    }

    /// Saves the histories of a run that violated a guarantee, for debugging.
    fn save_histories(&self, log: &[LogEvent], seed: u64) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
        std::fs::create_dir_all(&folder).unwrap();
        write_log(&folder.join("log.ndjson"), log);
        for entry in std::fs::read_dir(self.cluster.file(".")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "ndjson") {
                std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
        }
        eprintln!("the histories are in {}", folder.display());
    }

    /// Removes what a fault may have left: stopped or ended processes, and delays of proxies.
    fn restore(&self) {
        for (process, proxy) in self.processes.iter().zip(&self.proxies) {
            proxy.set(Mode::Forward);
            process.signal(Signal::CONT);
            process.restart();
        }
    }

    /// Sends a command that no client sends to one process, until its outcome is known. It is recorded in the histories.
    pub(crate) async fn probe(&self, process: usize, command: &Command) -> Outcome {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let number = self.probe.lock().await.invoke(command);
            let outcome = self.processes[process].append(command).await;
            self.probe.lock().await.complete(number, &outcome);
            if let Outcome::Ok { .. } | Outcome::Conflict { .. } = outcome {
                return outcome;
            }
            assert!(Instant::now() < deadline, "the outcome of the probe stays unknown: {outcome:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that an append through this process is acknowledged in time, and that every reader then reads its event.
    pub(crate) async fn assert_others_progress(&self, process: usize, rng: &mut SeededRng) {
        let command = rng.command_on_new_stream();
        let started = Instant::now();
        let outcome = tokio::time::timeout(PROGRESS_TIMEOUT, self.probe(process, &command)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("no response within {PROGRESS_TIMEOUT:?}"));
        let Outcome::Ok { last, .. } = outcome else { panic!("an append to a new stream failed: {outcome:?}") };
        let passed = self.readers.all_reach(last, PROGRESS_TIMEOUT.saturating_sub(started.elapsed())).await;
        assert!(passed, "readers made no progress within {PROGRESS_TIMEOUT:?}");
    }

    /// Reads all events of the log, and asserts that their content is intact.
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
                assert!(
                    event.content_is_intact(),
                    "the content at position {} does not match its hash",
                    event.position
                );
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
        assert_eq!(
            head.get(),
            events.last().map_or(0, |event| event.position),
            "the head is not the position of the last event"
        );
        events
    }
}

/// Reads the histories of clients.
pub(crate) fn histories(files: &[PathBuf]) -> Vec<History> {
    files.iter().map(|file| History::read(file)).collect()
}

/// Reads the histories of readers.
pub(crate) fn reader_histories(files: &[PathBuf]) -> Vec<ReaderHistory> {
    files.iter().map(|file| ReaderHistory::read(file)).collect()
}
