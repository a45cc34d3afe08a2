//! Clients that send decisions over one to five streams. They retry under the same command id, mostly in another process,
//! and often with a decision that rests on other streams.

use crate::history::{DecisionRequest, History, Recorder};
use crate::rng::SeededRng;
use crate::run::Fixture;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use testkit::decisions::{Answer, Attempt};
use tokio::task::JoinHandle;

const CLIENTS: u32 = 8;

/// What a run has to meet, so that its checks mean something. Each depends on luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Met {
    /// After an answer was lost, a retry with another decision in another process found the first execution.
    LostAnswerFound,
    /// A retry of an acknowledged command with another decision found the first execution.
    RetryFound,
    Refused,
    AlreadyDone,
}

impl Met {
    pub(crate) const ALL: [Self; 4] = [Self::LostAnswerFound, Self::RetryFound, Self::Refused, Self::AlreadyDone];
}

pub(crate) struct Deciders {
    stop: Arc<AtomicBool>,
    met: Arc<Mutex<BTreeSet<Met>>>,
    tasks: Vec<JoinHandle<PathBuf>>,
}

impl Deciders {
    pub(crate) fn start(fixture: &Arc<Fixture>, start: Instant, seed: u64) -> Self {
        let (stop, met) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let clients = (0..CLIENTS).map(|number| {
            let file = fixture.cluster.file(&format!("client-{number}.ndjson"));
            let decider = Decider {
                fixture: fixture.clone(),
                stop: stop.clone(),
                met: Arc::clone(&met),
                rng: SeededRng::new(seed, &format!("decider {number}")),
                recorder: Recorder::create(&file, number, start),
            };
            tokio::spawn(async move {
                decider.run().await;
                file
            })
        });
        let tasks = clients.collect();
        Self { stop, met, tasks }
    }

    pub(crate) fn met(&self) -> BTreeSet<Met> {
        self.met.lock().unwrap().clone()
    }

    /// Stops the clients once each knows the outcome of its last command.
    pub(crate) async fn finish(self) -> Vec<Attempt> {
        self.stop.store(true, Ordering::SeqCst);
        let mut attempts = Vec::new();
        for task in self.tasks {
            let completed = tokio::time::timeout(TIMEOUT * 2, task).await.expect("a client does not finish");
            let history: History<DecisionRequest, Answer> = History::read(&completed.unwrap());
            attempts.extend(history.operations.into_iter().map(|operation| operation.into_attempt()));
        }
        attempts
    }
}

struct Decider {
    fixture: Arc<Fixture>,
    stop: Arc<AtomicBool>,
    met: Arc<Mutex<BTreeSet<Met>>>,
    rng: SeededRng,
    recorder: Recorder,
}

impl Decider {
    async fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let request = DecisionRequest { command: self.rng.id(), decision: self.rng.decision() };
            self.execute(request).await;
        }
    }

    /// Sends attempts of a command until it is decided, and sometimes once more.
    async fn execute(&mut self, mut request: DecisionRequest) {
        let deadline = Instant::now() + TIMEOUT;
        let mut process = self.rng.index(self.fixture.processes.len());
        let mut earlier: Vec<(usize, DecisionRequest, Answer)> = Vec::new();
        loop {
            let number = self.recorder.invoke(&request);
            let answer = self.fixture.processes[process].decide(&request).await;
            self.recorder.complete(number, &answer);
            self.note(process, &request, &answer, &earlier);
            let is_decided = !matches!(answer, Answer::Failed { .. } | Answer::Unknown { .. });
            if is_decided && !self.rng.one_in(10) {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not decided: {answer:?}", request.command);
            earlier.push((process, request.clone(), answer));
            tokio::time::sleep(Duration::from_millis(self.rng.below(60))).await;
            if !self.rng.one_in(4) {
                process = (process + 1) % self.fixture.processes.len();
            }
            if !self.rng.one_in(4) {
                request.decision = self.rng.other_decision(&request.decision);
            }
        }
    }

    fn note(
        &self,
        process: usize,
        request: &DecisionRequest,
        answer: &Answer,
        earlier: &[(usize, DecisionRequest, Answer)],
    ) {
        let are_others = earlier.iter().all(|(at, sent, _)| *at != process && sent.decision != request.decision);
        let met = match (answer, earlier.first()) {
            (Answer::Duplicate { .. }, Some((_, _, Answer::Unknown { .. }))) if are_others => Met::LostAnswerFound,
            (Answer::Duplicate { .. }, Some((_, _, Answer::Done { .. }))) if are_others => Met::RetryFound,
            (Answer::Refused { .. }, _) => Met::Refused,
            (Answer::AlreadyDone, _) => Met::AlreadyDone,
            _ => return,
        };
        self.met.lock().unwrap().insert(met);
    }
}
