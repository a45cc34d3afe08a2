//! One run: a cluster, processes with a log, clients and readers in the test process, and a fault that is injected.

use crate::checker::{Report, check, check_decisions};
use crate::clients::{Clients, Load};
use crate::deciders::{Deciders, Met};
use crate::faults::Fault;
use crate::history::{Command, History, LogEvent, Outcome, ReaderHistory, Recorder, write_log};
use crate::proxy::{Mode, Proxy};
use crate::readers::Readers;
use crate::rng::SeededRng;
use crate::storage;
use crate::worker::{Executor, LogProcess};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streams::{Log, LogConfig, Position, ReadFilter, RecordedEvent};
use testkit::TIMEOUT;
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::decisions::{Attempt, Entry, streams_of};
use tokio::sync::Mutex;

/// Within this time, appends and readers must progress despite an idle transaction or a stopped appender. It is no
/// measure of speed: one that waited for the idle or stopped one would exceed it. Shorter than the timeout of a batch,
/// after which a process without a connection gives up.
pub(crate) const PROGRESS_TIMEOUT: Duration = Duration::from_secs(25);

/// The appender's connections of each of the two processes: one sends large batches, the other several at a time, whose
/// commits may be out of order. Each process connects through a proxy.
const CONNECTIONS: [usize; 2] = [1, 2];
/// The numbers of streams on which a decision may rest.
pub(crate) const ALL_STREAMS: [usize; 5] = [1, 2, 3, 4, 5];
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

/// What a run does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunConfig {
    pub(crate) cluster: ClusterConfig,
    pub(crate) executor: Executor,
    pub(crate) fault: Fault,
    pub(crate) load: Load,
    pub(crate) goal: Goal,
    /// How long the fault is injected at least.
    pub(crate) duration: Duration,
}

impl RunConfig {
    /// A run without a planted bug.
    pub(crate) fn of(fault: Fault, duration: Duration) -> Self {
        let (cluster, load, goal) = (fault.config(), fault.load(), fault.goal());
        Self { cluster, executor: Executor::Correct, fault, load, goal, duration }
    }

    fn has_planted_bug(&self) -> bool {
        self.cluster != self.fault.config() || self.executor != Executor::Correct
    }
}

/// The condition under which a run may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The fault was injected.
    Injected,
    /// The fault had its effect at least once.
    Observed,
    /// The clients have met everything that depends on luck, and decisions rested on every number of streams.
    Met,
    /// An event has an earlier time than the one before it, as a planted bug causes.
    TimeReversed,
}

/// The longest time that faults are injected until the goal is reached. The summary shows whether it was.
const GOAL_TIMEOUT: Duration = Duration::from_mins(5);

impl Goal {
    async fn is_reached(self, fixture: &Fixture, clients: &LoadClients) -> bool {
        match self {
            Self::Injected => true,
            Self::Observed => fixture.observations.load(Ordering::SeqCst) > 0,
            Self::Met => {
                let has_all = |streams: BTreeSet<usize>| streams == ALL_STREAMS.into();
                clients.met().len() == Met::ALL.len() && fixture.decided_streams().await.is_some_and(has_all)
            }
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
    /// What clients of decisions have met.
    pub(crate) met: BTreeSet<Met>,
    pub(crate) report: Report,
}

/// The clients of a run.
enum LoadClients {
    Commands(Clients),
    Decisions(Deciders),
}

/// What the clients of a run recorded.
enum Recorded {
    Commands(Vec<History>),
    Decisions(Vec<Attempt>),
}

impl LoadClients {
    fn start(fixture: &Arc<Fixture>, load: Load, start: Instant, seed: u64) -> Self {
        match load {
            Load::Decisions => Self::Decisions(Deciders::start(fixture, start, seed)),
            _ => Self::Commands(Clients::start(fixture, load, start, seed)),
        }
    }

    fn met(&self) -> BTreeSet<Met> {
        match self {
            Self::Commands(_) => BTreeSet::new(),
            Self::Decisions(deciders) => deciders.met(),
        }
    }

    async fn finish(self, fixture: &Fixture) -> Recorded {
        match self {
            Self::Commands(clients) => {
                let mut histories = clients.finish().await;
                histories.push(History::read(&fixture.cluster.file("probe.ndjson")));
                Recorded::Commands(histories)
            }
            Self::Decisions(deciders) => Recorded::Decisions(deciders.finish().await),
        }
    }
}

/// Injects a fault for some time and until the goal is reached, which may take several injections, restores everything, and
/// compares all histories with the log.
///
/// # Panics
/// If an outcome stays unknown, a reader stops, or a process exits by itself. Violated guarantees are in the report.
pub(crate) async fn run(config: &RunConfig, seed: u64) -> RunSummary {
    let RunConfig { fault, load, goal, duration, .. } = *config;
    let start = Instant::now();
    let fixture = Arc::new(Fixture::open(start, config).await);
    fixture.readers.start(&fixture.cluster, start, seed).await;
    let clients = LoadClients::start(&fixture, load, start, seed);
    let mut rng = SeededRng::new(seed, "faults");
    let mut injected = 0;
    let started = Instant::now();
    while injected < fault.min_injections()
        || started.elapsed() < duration
        || (started.elapsed() < GOAL_TIMEOUT && !goal.is_reached(&fixture, &clients).await)
    {
        let position = fixture.readers.max_position() + rng.below(fault.max_growth());
        assert!(fixture.readers.any_reaches(position, TIMEOUT).await, "the log does not grow");
        fault.inject(&fixture, injected, &mut rng).await;
        injected += 1;
    }
    fixture.restore();
    let met = clients.met();
    let recorded = clients.finish(&fixture).await;
    let events = fixture.whole_log().await;
    let log: Vec<_> = events.iter().map(LogEvent::from).collect();
    let entries: Vec<_> = events.iter().filter_map(Entry::of).collect();
    let readers = fixture.readers.finish(log.last().map_or(0, |event| event.position)).await;
    let report = match &recorded {
        Recorded::Commands(histories) => check(histories, &log, &readers),
        Recorded::Decisions(attempts) => check_decisions(attempts, &entries, &log, &readers),
    };
    // A planted bug violates guarantees on purpose, so outcomes may stay unknown.
    if !config.has_planted_bug() {
        if !report.violations.is_empty() {
            fixture.save_histories(&log, &entries, seed);
        }
        assert_eq!(report.unresolved, 0, "an outcome stayed unknown");
    }
    let time_reversals = storage::count_time_reversals(&mut fixture.cluster.owner().await).await;
    let observations = fixture.observations.load(Ordering::SeqCst);
    RunSummary { injected, observations, time_reversals, met, report }
}

impl Fixture {
    async fn open(start: Instant, config: &RunConfig) -> Self {
        let cluster = Cluster::start(config.cluster).await;
        let (mut processes, mut proxies) = (Vec::new(), Vec::new());
        for connections in CONNECTIONS {
            let proxy = Proxy::start(cluster.port()).await;
            processes.push(LogProcess::start(connections, config.executor, cluster.url_through(proxy.port())));
            proxies.push(proxy);
        }
        let probe = Mutex::new(Recorder::create(&cluster.file("probe.ndjson"), PROBE, start));
        Self { cluster, processes, proxies, readers: Readers::default(), probe, observations: AtomicU64::new(0) }
    }

    /// On how many streams the decisions in the log rest. None if the server does not answer: it may be restarting.
    async fn decided_streams(&self) -> Option<BTreeSet<usize>> {
        let pool = apex::database::connect(&self.cluster.url().into(), 2).await.ok()?;
        let log = Log::open(pool, LogConfig::default()).await.ok()?;
        let mut pages = log.pages(Position::ZERO, ReadFilter::default(), 10_000);
        let mut entries = Vec::new();
        while let Some(page) = pages.next_page().await.ok()?.filter(|page| !page.is_empty()) {
            entries.extend(page.iter().filter_map(Entry::of));
        }
        Some(streams_of(&entries))
    }

    /// Saves the histories of a run that violated a guarantee, for debugging.
    fn save_histories(&self, log: &[LogEvent], decisions: &[Entry], seed: u64) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
        std::fs::create_dir_all(&folder).unwrap();
        write_log(&folder.join("log.ndjson"), log);
        write_log(&folder.join("decisions.ndjson"), decisions);
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
    async fn whole_log(&self) -> Vec<RecordedEvent> {
        let pool = self.cluster.application().await;
        let log = Log::open(pool, LogConfig::default()).await.unwrap();
        let (mut events, mut after) = (Vec::new(), Position::ZERO);
        loop {
            let page = log.read_after(after, &ReadFilter::default(), 10_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in &page {
                let position = event.position;
                assert!(event.content_is_intact(), "the content at position {position} does not match its hash");
            }
            events.extend(page);
        }
        let head = log.head().await.unwrap();
        assert_eq!(head, after, "the head is not the position of the last event");
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
