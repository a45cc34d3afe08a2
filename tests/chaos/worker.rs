//! A process with a log, and the slot of the test that such a process runs in.
//!
//! The test talks to it over its standard input and output, so that the clients, their histories and the checker stay
//! outside of whatever happens to the process.

use crate::history::{Command, Outcome};
use domain::TenantId;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use streams::{
    Append, AppendError, Appended, DatabaseError, Expected, Log, LogConfig, Metadata, NewEvent, StreamAppend, Version,
};
use testkit::TIMEOUT;
use testkit::cluster::send_signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Says to this binary that it is such a process, with how many connections and to which database.
pub(crate) const WORKER: &str = "APEX_TEST_CHAOS_WORKER";

/// How long a client waits for an answer before it counts the outcome as unknown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A place of the appender at which a process can be made to die.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Death {
    /// The name of the failpoint.
    pub(crate) step: String,
    /// How often it is passed before.
    pub(crate) spared: u64,
    /// How long it still lives.
    pub(crate) delay_us: u64,
    /// Whether the appender waits at the step meanwhile; the rest of the process goes on in any case.
    pub(crate) waits: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
enum Request {
    Append { id: u64, command: Command },
    Die(Death),
}

#[derive(Serialize, Deserialize)]
struct Answer {
    id: u64,
    end: Outcome,
}

// --- inside the process ---

/// Answers requests until there are no more.
pub(crate) async fn serve(connections: usize, url: String) {
    let mut config = LogConfig::default();
    config.appender.connections = connections;
    let log = open(url, config).await;
    let (sender, mut requests) = mpsc::channel(1024);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let request = serde_json::from_str::<Request>(&line.unwrap()).unwrap();
            sender.blocking_send(request).unwrap();
        }
    });
    while let Some(request) = requests.recv().await {
        match request {
            Request::Append { id, command } => {
                let log = log.clone();
                tokio::spawn(async move {
                    let end = outcome(log.append(append(&command)).await);
                    let mut line = serde_json::to_string(&Answer { id, end }).unwrap();
                    line.push('\n');
                    let mut stdout = std::io::stdout().lock();
                    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).unwrap();
                });
            }
            Request::Die(death) => die_at(death),
        }
    }
}

/// Waits for the database, which may be down at this moment.
async fn open(url: String, config: LogConfig) -> Log {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let pool = apex::database::connect(&url.clone().into(), 4).await;
        let error = match pool {
            Ok(pool) => match Log::open(pool, config.clone()).await {
                Ok(log) => return log,
                Err(error) => anyhow::Error::from(error),
            },
            Err(error) => error,
        };
        assert!(Instant::now() < deadline, "the log cannot be opened: {error:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same append for every attempt of a command.
pub(crate) fn append(command: &Command) -> Append {
    let metadata = Metadata {
        actor: "chaos".to_owned(),
        command_id: command.id,
        correlation_id: command.id,
        causation_id: None,
        traceparent: None,
    };
    let streams = command.parts.iter().map(|part| StreamAppend {
        category: "task".into(),
        id: part.stream,
        expected: part.expected.map_or(Expected::Any, |version| Expected::Exact(Version::from(version))),
        events: part.events.iter().map(new_event).collect(),
    });
    Append { tenant: tenant(), metadata, request: None, streams: streams.collect() }
}

fn tenant() -> TenantId {
    "default".parse().unwrap()
}

/// Payloads of very different sizes, each told by the id.
fn new_event(id: &Uuid) -> NewEvent {
    let size = usize::from(id.as_bytes()[0]).pow(2) / 16;
    let payload =
        format!("{{\"id\":  \"{id}\", \"at\": \"2023-11-16T18:17:03Z\", \"text\": \"{}\"}}", "x".repeat(size));
    NewEvent { event_id: *id, name: "task.started", schema_version: 1, payload }
}

pub(crate) fn outcome(result: Result<Appended, AppendError>) -> Outcome {
    let error = match result {
        Ok(Appended::New { first, last }) => {
            return Outcome::Ok { first: first.get(), last: last.get(), duplicate: false };
        }
        Ok(Appended::Duplicate { first, last }) => {
            return Outcome::Ok { first: first.get(), last: last.get(), duplicate: true };
        }
        Err(error) => error,
    };
    match &error {
        AppendError::Conflict { stream, current } => Outcome::Conflict { stream: stream.id, current: current.get() },
        AppendError::Indeterminate(cause) => Outcome::Unknown { cause: with_code(cause) },
        AppendError::Unavailable(cause) | AppendError::Refused(cause) => {
            Outcome::Fail { cause: format!("{error}: {}", with_code(cause)) }
        }
        AppendError::Busy { .. }
        | AppendError::Invalid(_)
        | AppendError::CommandReused
        | AppendError::ChainAborted
        | AppendError::Closed => Outcome::Fail { cause: error.to_string() },
    }
}

fn with_code(error: &DatabaseError) -> String {
    format!("{} {error}", error.sqlstate().unwrap_or_default())
}

fn die_at(death: Death) {
    let passed = AtomicU64::new(0);
    let Death { step, spared, delay_us, waits } = death;
    let linger = move || {
        std::thread::sleep(Duration::from_micros(delay_us));
        send_signal(std::process::id(), Signal::KILL);
    };
    let die = move || {
        if passed.fetch_add(1, Ordering::SeqCst) == spared {
            if waits { tokio::task::block_in_place(linger) } else { drop(std::thread::spawn(linger)) }
        }
    };
    fail::cfg_callback(step, die).unwrap();
}

// --- in the test ---

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

/// Where such a process runs; another one comes after it has died.
pub(crate) struct Slot {
    /// Of the process: how many connections it appends with, and to which database.
    argument: String,
    running: Mutex<Running>,
    next_id: AtomicU64,
}

struct Running {
    child: Child,
    /// Lines for its standard input; written by a task of their own, since a stopped process does not read.
    requests: mpsc::UnboundedSender<String>,
    pending: Pending,
}

impl Slot {
    /// Must be called on a runtime.
    pub(crate) fn start(connections: usize, url: String) -> Self {
        let argument = format!("{connections} {url}");
        let running = Mutex::new(Running::spawn(&argument));
        Self { argument, running, next_id: AtomicU64::new(1) }
    }

    /// Starts a process if none runs.
    ///
    /// # Panics
    /// If the last one ended by itself: only SIGKILL may end it.
    pub(crate) fn restart(&self) {
        let mut running = self.running.lock().unwrap();
        if let Some(status) = running.child.try_wait().unwrap() {
            assert_eq!(status.signal(), Some(9), "a process of the log ended by itself: {status}");
            *running = Running::spawn(&self.argument);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.running.lock().unwrap().child.id() {
            send_signal(pid, signal);
        }
    }

    /// Waits until the process has died; whether it did in time.
    pub(crate) async fn died(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.running.lock().unwrap().child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Makes the process die at a step of the appender.
    pub(crate) fn die(&self, death: Death) {
        self.running.lock().unwrap().send(&Request::Die(death));
    }

    /// One attempt of a command.
    pub(crate) async fn append(&self, command: &Command) -> Outcome {
        let unknown = |cause: &str| Outcome::Unknown { cause: cause.to_owned() };
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let (sender, answered) = oneshot::channel();
        let pending = {
            let running = self.running.lock().unwrap();
            running.pending.lock().unwrap().insert(id, sender);
            running.send(&Request::Append { id, command: command.clone() });
            running.pending.clone()
        };
        let end = tokio::time::timeout(ANSWER_TIMEOUT, answered).await;
        pending.lock().unwrap().remove(&id);
        end.map_or_else(|_| unknown("no answer in time"), |end| end.unwrap_or_else(|_| unknown("the process died")))
    }
}

impl Running {
    fn spawn(argument: &str) -> Self {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .env(WORKER, argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let pending = Pending::default();
        let (requests, lines) = mpsc::unbounded_channel();
        tokio::spawn(hand_in(stdin, lines));
        tokio::spawn(hand_out(stdout, pending.clone()));
        Self { child, requests, pending }
    }

    /// To a process that has died nothing is sent; whoever waits for the answer finds out.
    fn send(&self, request: &Request) {
        let line = serde_json::to_string(request).unwrap() + "\n";
        drop(self.requests.send(line));
    }
}

async fn hand_in(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Hands answers to those that wait for them; at the process's end the others learn that there will be none.
async fn hand_out(stdout: ChildStdout, pending: Pending) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A process that is killed may leave half a line.
        let Ok(answer) = serde_json::from_str::<Answer>(&line) else { break };
        if let Some(waiting) = pending.lock().unwrap().remove(&answer.id) {
            drop(waiting.send(answer.end));
        }
    }
    pending.lock().unwrap().clear();
}
