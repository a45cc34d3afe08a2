//! Clients of the log. They live in the test, so they survive what they ask for; what they cannot know they ask again.

use crate::dice::Dice;
use crate::history::{Command, History, Outcome, Part, Recorder};
use crate::stage::{Stage, histories};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Clients of one run.
const CLIENTS: u32 = 8;
/// Streams that they share.
const STREAMS: usize = 8;

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// One or several shared streams, with and without an expected version, guards, and new streams.
    Mixed,
    /// Many shared streams at once, in any order.
    Batches,
    /// Everybody expects the same version of the same stream at the same moment.
    Races,
    /// A new stream a round, which one half creates, while the other half depends on it not being there.
    Guards,
    /// Everybody has streams of his own.
    Apart,
}

/// What the clients of a run know together: streams, and the version that each was last known to have.
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
    pub(crate) fn start(stage: &Arc<Stage>, load: Load, start: Instant, seed: u64) -> Self {
        let mut dice = Dice::new(seed, "streams");
        let shared = Arc::new(Shared {
            streams: (0..STREAMS).map(|_| dice.id()).collect(),
            versions: Mutex::default(),
            stop: AtomicBool::new(false),
            is_last_round: AtomicBool::new(false),
            barrier: Barrier::new(CLIENTS as usize),
        });
        let clients = (0..CLIENTS).map(|number| {
            let file = stage.cluster.file(&format!("client-{number}.ndjson"));
            let client = Client {
                number,
                stage: stage.clone(),
                shared: shared.clone(),
                dice: Dice::new(seed, &format!("client {number}")),
                recorder: Recorder::create(&file, number, start),
                own: (0..2).map(|_| dice.id()).collect(),
            };
            tokio::spawn(async move {
                client.run(load).await;
                file
            })
        });
        let tasks = clients.collect();
        Self { shared, tasks }
    }

    /// Lets every client find out what became of its last command.
    pub(crate) async fn finish(self) -> Vec<History> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut files = Vec::new();
        for task in self.tasks {
            let ended = tokio::time::timeout(TIMEOUT * 2, task).await.expect("a client came to no end");
            files.push(ended.unwrap());
        }
        histories(&files)
    }
}

struct Client {
    number: u32,
    stage: Arc<Stage>,
    shared: Arc<Shared>,
    dice: Dice,
    recorder: Recorder,
    own: Vec<Uuid>,
}

impl Client {
    async fn run(mut self, load: Load) {
        if load == Load::Races || load == Load::Guards {
            return self.race(load).await;
        }
        while !self.shared.stop.load(Ordering::SeqCst) {
            let command = self.invent(load);
            self.carry_out(&command, true).await;
        }
    }

    /// Rounds in which all clients expect one version of one stream. Exactly one may win.
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
                self.stage.sightings.fetch_add(1, Ordering::SeqCst);
            }
            if load == Load::Guards {
                let stream = Uuid::new_v5(&self.shared.streams[0], &round.to_be_bytes());
                let (event, own) = (self.dice.id(), self.dice.pick(&self.own));
                let creates = vec![Part { stream, expected: Some(0), events: vec![event] }];
                let depends = vec![
                    Part { stream: own, expected: None, events: vec![event] },
                    Part { stream, expected: Some(0), events: Vec::new() },
                ];
                let parts = if self.number.is_multiple_of(2) { creates } else { depends };
                let command = self.dice.command(parts);
                self.carry_out(&command, false).await;
                continue;
            }
            // One event a round, so the version is the number of rounds that were won on this stream.
            let streams = &self.shared.streams;
            let (stream, version) = (streams[round % streams.len()], round / streams.len());
            let events = vec![self.dice.id()];
            let command = self.dice.command(vec![Part { stream, expected: Some(version as u64), events }]);
            self.carry_out(&command, false).await;
        }
    }

    fn invent(&mut self, load: Load) -> Command {
        let shared = self.shared.clone();
        if load == Load::Apart {
            let stream = self.dice.pick(&self.own);
            let part = self.dice.part(stream, None);
            return self.dice.command(vec![part]);
        }
        if load == Load::Mixed && self.dice.one_in(4) {
            return self.dice.command_on_new_stream();
        }
        let most = if load == Load::Batches { 5 } else { 3 };
        let count = if load == Load::Batches { 2 } else { 1 } + self.dice.index(most - 1);
        let mut streams = shared.streams.clone();
        let parts = (0..count).map(|place| {
            let stream = streams.swap_remove(self.dice.index(streams.len()));
            let known = shared.versions.lock().unwrap().get(&stream).copied();
            let expected = known.filter(|_| self.dice.one_in(3));
            let mut part = self.dice.part(stream, expected);
            // A guard; the first stream is always written to.
            if place > 0 && expected.is_some() && self.dice.one_in(3) {
                part.events.clear();
            }
            part
        });
        let parts = parts.collect();
        self.dice.command(parts)
    }

    /// Asks until the outcome is known, by whichever process. What failed and was not written may be given up.
    async fn carry_out(&mut self, command: &Command, gives_up: bool) {
        let deadline = Instant::now() + TIMEOUT;
        let mut is_open = false;
        loop {
            let slot = self.dice.index(self.stage.slots.len());
            let number = self.recorder.invoke(command);
            let end = self.stage.slots[slot].append(command).await;
            self.recorder.end(number, &end);
            self.learn(command, &end);
            match end {
                Outcome::Ok { .. } => {
                    // Asking again for what is known must not change anything.
                    if !self.dice.one_in(20) {
                        return;
                    }
                }
                Outcome::Conflict { .. } => return,
                Outcome::Fail { .. } if gives_up && !is_open => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return;
                }
                Outcome::Fail { .. } => {}
                Outcome::Unknown { .. } => is_open = true,
            }
            assert!(Instant::now() < deadline, "it does not become known what became of {}", command.id);
            tokio::time::sleep(Duration::from_millis(self.dice.below(60))).await;
        }
    }

    /// Versions are learnt well enough to be right most of the time and wrong sometimes.
    fn learn(&self, command: &Command, end: &Outcome) {
        let mut versions = self.shared.versions.lock().unwrap();
        match end {
            Outcome::Ok { duplicate: false, .. } => {
                for part in &command.parts {
                    let version = versions.entry(part.stream).or_default();
                    *version = part.expected.unwrap_or(*version) + part.events.len() as u64;
                }
            }
            Outcome::Conflict { stream, current } => drop(versions.insert(*stream, *current)),
            Outcome::Ok { duplicate: true, .. } | Outcome::Fail { .. } | Outcome::Unknown { .. } => {}
        }
    }
}
