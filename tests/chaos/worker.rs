//! A process with a log, and the handle by which the test starts, kills and restarts it.
//!
//! The test communicates with it over its standard input and output. Clients, histories and the checker stay in the test
//! process, where no fault affects them.

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
use testkit::send_signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Makes this binary run as such a process: the number of the appender's connections, a space, and the database URL.
pub(crate) const WORKER: &str = "APEX_TEST_CHAOS_WORKER";

/// How long a client waits for a response before the outcome counts as unknown.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A step of the appender at which a process kills itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KillPoint {
    /// The name of the failpoint.
    pub(crate) failpoint: String,
    /// How often the failpoint is passed without effect before.
    pub(crate) hits_before: u64,
    /// How long the process continues to run after that.
    pub(crate) delay_us: u64,
    /// Whether the appender waits at the failpoint meanwhile. The rest of the process continues in any case.
    pub(crate) waits: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
enum Request {
    Append { id: u64, command: Command },
    KillAt(KillPoint),
}

#[derive(Serialize, Deserialize)]
struct Response {
    id: u64,
    outcome: Outcome,
}

// --- inside the process ---

/// Serves requests until standard input ends.
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
                    let outcome = outcome(log.append(append(&command)).await);
                    let mut line = serde_json::to_string(&Response { id, outcome }).unwrap();
                    line.push('\n');
                    let mut stdout = std::io::stdout().lock();
                    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).unwrap();
                });
            }
            Request::KillAt(point) => kill_self_at(point),
        }
    }
}

/// Opens the log. Waits if the database is down.
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

/// The append of a command, the same for every attempt.
pub(crate) fn append(command: &Command) -> Append {
    let metadata = Metadata {
        actor: "chaos".to_owned(),
        command_id: command.id,
        correlation_id: command.id,
        causation_id: None,
        traceparent: None,
    };
    let streams = command.changes.iter().map(|change| StreamAppend {
        category: "task".into(),
        id: change.stream,
        expected: change.expected.map_or(Expected::Any, |version| Expected::Exact(Version::from(version))),
        events: change.events.iter().map(new_event).collect(),
    });
    Append { tenant: tenant(), metadata, request: None, streams: streams.collect(), may_change_others: false }
}

fn tenant() -> TenantId {
    "default".parse().unwrap()
}

/// A new event. The size of its payload, up to 4 KiB, is derived from the id.
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

fn kill_self_at(point: KillPoint) {
    let hits = AtomicU64::new(0);
    let KillPoint { failpoint, hits_before, delay_us, waits } = point;
    let kill = move || {
        std::thread::sleep(Duration::from_micros(delay_us));
        send_signal(std::process::id(), Signal::KILL);
    };
    let on_hit = move || {
        if hits.fetch_add(1, Ordering::SeqCst) == hits_before {
            if waits { tokio::task::block_in_place(kill) } else { drop(std::thread::spawn(kill)) }
        }
    };
    fail::cfg_callback(failpoint, on_hit).unwrap();
}

// --- in the test ---

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

/// A process with a log, which can be started again after it was killed.
pub(crate) struct LogProcess {
    /// The value of [`WORKER`] for the process.
    argument: String,
    running: Mutex<Running>,
    next_id: AtomicU64,
}

struct Running {
    child: Child,
    /// Lines for its standard input. A task writes them, since a stopped process does not read.
    requests: mpsc::UnboundedSender<String>,
    pending: Pending,
}

impl LogProcess {
    /// Starts the process. Must be called on a Tokio runtime.
    pub(crate) fn start(connections: usize, url: String) -> Self {
        let argument = format!("{connections} {url}");
        let running = Mutex::new(Running::spawn(&argument));
        Self { argument, running, next_id: AtomicU64::new(1) }
    }

    /// Starts the process again if it was killed.
    ///
    /// # Panics
    /// If it exited by itself: only SIGKILL may end it.
    pub(crate) fn restart(&self) {
        let mut running = self.running.lock().unwrap();
        if let Some(status) = running.child.try_wait().unwrap() {
            assert_eq!(status.signal(), Some(9), "a process with a log exited by itself: {status}");
            *running = Running::spawn(&self.argument);
        }
    }

    /// Sends a signal to the process, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.running.lock().unwrap().child.id() {
            send_signal(pid, signal);
        }
    }

    /// Waits until the process has exited. Returns false on timeout.
    pub(crate) async fn wait_for_exit(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.running.lock().unwrap().child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Makes the process kill itself at a step of the appender.
    pub(crate) fn kill_at(&self, point: KillPoint) {
        self.running.lock().unwrap().send(&Request::KillAt(point));
    }

    /// Sends one attempt of a command and waits for its outcome.
    pub(crate) async fn append(&self, command: &Command) -> Outcome {
        let unknown = |cause: &str| Outcome::Unknown { cause: cause.to_owned() };
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let (sender, response) = oneshot::channel();
        let pending = {
            let running = self.running.lock().unwrap();
            running.pending.lock().unwrap().insert(id, sender);
            running.send(&Request::Append { id, command: command.clone() });
            running.pending.clone()
        };
        let outcome = tokio::time::timeout(RESPONSE_TIMEOUT, response).await;
        pending.lock().unwrap().remove(&id);
        outcome.map_or_else(
            |_| unknown("no response in time"),
            |outcome| outcome.unwrap_or_else(|_| unknown("the process exited")),
        )
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
        tokio::spawn(write_requests(stdin, lines));
        tokio::spawn(read_responses(stdout, pending.clone()));
        Self { child, requests, pending }
    }

    /// Sends a request. If the process has exited, the outcome becomes unknown.
    fn send(&self, request: &Request) {
        let line = serde_json::to_string(request).unwrap() + "\n";
        drop(self.requests.send(line));
    }
}

async fn write_requests(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Passes each response to its waiting request. When the process exits, the outcome of the remaining ones is unknown.
async fn read_responses(stdout: ChildStdout, pending: Pending) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A killed process may leave an incomplete line.
        let Ok(response) = serde_json::from_str::<Response>(&line) else { break };
        if let Some(waiting) = pending.lock().unwrap().remove(&response.id) {
            drop(waiting.send(response.outcome));
        }
    }
    pending.lock().unwrap().clear();
}
