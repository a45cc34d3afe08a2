//! Clients of the log. They run in the test process, so no fault ends them. They retry where an outcome is unknown.

use crate::history::{Command, History, Outcome, Recorder, StreamChange};
use crate::rng::SeededRng;
use crate::run::{Fixture, histories};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The number of clients of a run.
const CLIENTS: u32 = 8;
/// The number of streams that they share.
const STREAMS: usize = 8;

/// The kind of commands that clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// One or several shared streams, with and without an expected version, guards, and new streams.
    Mixed,
    /// Many shared streams in one command, in any order.
    Batches,
    /// All clients expect the same version of the same stream at the same time.
    Races,
    /// A new stream each round: half of the clients create it, the others require that it does not exist.
    Guards,
    /// Each client has its own streams.
    Disjoint,
    /// Decisions over one to five streams, which other clients send: see `deciders.rs`.
    Decisions,
}

/// State that the clients of a run share: streams, and the last known version of each.
struct Shared {
    streams: Vec<Uuid>,
    versions: Mutex<HashMap<Uuid, u64>>,
    stop: AtomicBool,
    is_last_round: AtomicBool,
    barrier: Barrier,
}

pub(crate) struct Clients {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<PathBuf>>,
}

impl Clients {
    pub(crate) fn start(fixture: &Arc<Fixture>, load: Load, start: Instant, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed, "streams");
        let shared = Arc::new(Shared {
            streams: (0..STREAMS).map(|_| rng.id()).collect(),
            versions: Mutex::default(),
            stop: AtomicBool::new(false),
            is_last_round: AtomicBool::new(false),
            barrier: Barrier::new(CLIENTS as usize),
        });
        let clients = (0..CLIENTS).map(|number| {
            let file = fixture.cluster.file(&format!("client-{number}.ndjson"));
            let client = Client {
                number,
                fixture: fixture.clone(),
                shared: shared.clone(),
                rng: SeededRng::new(seed, &format!("client {number}")),
                recorder: Recorder::create(&file, number, start),
                own: (0..2).map(|_| rng.id()).collect(),
            };
            tokio::spawn(async move {
                client.run(load).await;
                file
            })
        });
        let tasks = clients.collect();
        Self { shared, tasks }
    }

    /// Stops the clients once each knows the outcome of its last command.
    pub(crate) async fn finish(self) -> Vec<History> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut files = Vec::new();
        for task in self.tasks {
            let completed = tokio::time::timeout(TIMEOUT * 2, task).await.expect("a client does not finish");
            files.push(completed.unwrap());
        }
        histories(&files)
    }
}

struct Client {
    number: u32,
    fixture: Arc<Fixture>,
    shared: Arc<Shared>,
    rng: SeededRng,
    recorder: Recorder,
    own: Vec<Uuid>,
}

impl Client {
    async fn run(mut self, load: Load) {
        if load == Load::Races || load == Load::Guards {
            return self.race(load).await;
        }
        while !self.shared.stop.load(Ordering::SeqCst) {
            let command = self.next_command(load);
            self.execute(&command, true).await;
        }
    }

    /// Runs rounds in which all clients expect one version of one stream. Exactly one may win each.
    async fn race(&mut self, load: Load) {
        for round in 0_usize.. {
            let leads = self.shared.barrier.wait().await.is_leader();
            if leads {
                let stop = self.shared.stop.load(Ordering::SeqCst);
                self.shared.is_last_round.store(stop, Ordering::SeqCst);
            }
            self.shared.barrier.wait().await;
            if self.shared.is_last_round.load(Ordering::SeqCst) {
                return;
            }
            if leads {
                self.fixture.observations.fetch_add(1, Ordering::SeqCst);
            }
            if load == Load::Guards {
                let stream = Uuid::new_v5(&self.shared.streams[0], &round.to_be_bytes());
                let (event, own) = (self.rng.id(), self.rng.pick(&self.own));
                let creates = vec![StreamChange { stream, expected: Some(0), events: vec![event] }];
                let depends = vec![
                    StreamChange { stream: own, expected: None, events: vec![event] },
                    StreamChange { stream, expected: Some(0), events: Vec::new() },
                ];
                let changes = if self.number.is_multiple_of(2) { creates } else { depends };
                let command = self.rng.command(changes);
                self.execute(&command, false).await;
                continue;
            }
            // Each round appends one event, so the version is the number of earlier rounds on this stream.
            let streams = &self.shared.streams;
            let (stream, version) = (streams[round % streams.len()], round / streams.len());
            let events = vec![self.rng.id()];
            let command = self.rng.command(vec![StreamChange { stream, expected: Some(version as u64), events }]);
            self.execute(&command, false).await;
        }
    }

    fn next_command(&mut self, load: Load) -> Command {
        let shared = self.shared.clone();
        if load == Load::Disjoint {
            let stream = self.rng.pick(&self.own);
            let change = self.rng.change(stream, None);
            return self.rng.command(vec![change]);
        }
        if load == Load::Mixed && self.rng.one_in(4) {
            return self.rng.command_on_new_stream();
        }
        let most = if load == Load::Batches { 5 } else { 3 };
        let count = if load == Load::Batches { 2 } else { 1 } + self.rng.index(most - 1);
        let mut streams = shared.streams.clone();
        let changes = (0..count).map(|place| {
            let stream = streams.swap_remove(self.rng.index(streams.len()));
            let known = shared.versions.lock().unwrap().get(&stream).copied();
            let expected = known.filter(|_| self.rng.one_in(3));
            let mut change = self.rng.change(stream, expected);
            // A guard; the first stream is always written to.
            if place > 0 && expected.is_some() && self.rng.one_in(3) {
                change.events.clear();
            }
            change
        });
        let changes = changes.collect();
        self.rng.command(changes)
    }

    /// Sends a command to any process until its outcome is known. With `gives_up`, a failure before any unknown outcome
    /// also ends it.
    async fn execute(&mut self, command: &Command, gives_up: bool) {
        let deadline = Instant::now() + TIMEOUT;
        let mut is_unknown = false;
        loop {
            let process = self.rng.index(self.fixture.processes.len());
            let number = self.recorder.invoke(command);
            let outcome = self.fixture.processes[process].append(command).await;
            self.recorder.complete(number, &outcome);
            self.update_versions(command, &outcome);
            match outcome {
                Outcome::Ok { .. } => {
                    // A retry of an acknowledged command must change nothing.
                    if !self.rng.one_in(20) {
                        return;
                    }
                }
                Outcome::Conflict { .. } => return,
                Outcome::Fail { .. } if gives_up && !is_unknown => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return;
                }
                Outcome::Fail { .. } => {}
                Outcome::Unknown { .. } => is_unknown = true,
            }
            assert!(Instant::now() < deadline, "the outcome of {} does not become known", command.id);
            tokio::time::sleep(Duration::from_millis(self.rng.below(60))).await;
        }
    }

    /// Updates the last known versions: correct most of the time, and sometimes not.
    fn update_versions(&self, command: &Command, outcome: &Outcome) {
        let mut versions = self.shared.versions.lock().unwrap();
        match outcome {
            Outcome::Ok { duplicate: false, .. } => {
                for change in &command.changes {
                    let version = versions.entry(change.stream).or_default();
                    *version = change.expected.unwrap_or(*version) + change.events.len() as u64;
                }
            }
            Outcome::Conflict { stream, current } => drop(versions.insert(*stream, *current)),
            Outcome::Ok { duplicate: true, .. } | Outcome::Fail { .. } | Outcome::Unknown { .. } => {}
        }
    }
}
