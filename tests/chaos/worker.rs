//! A process with a log and an executor of commands, and the handle by which the test starts, kills and restarts it.
//!
//! The test communicates with it over its standard input and output. Clients, histories and the checker stay in the test
//! process, where no fault affects them.

use crate::history::{Command, DecisionRequest, Outcome};
use commands::{Commands, CommandsConfig};
use rustix::process::Signal;
use serde::de::DeserializeOwned;
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
use testkit::decisions::{self, Answer};
use testkit::{TIMEOUT, send_signal, tenant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Makes this binary run as such a process: the number of the appender's connections, the kind of executor, and the
/// database URL, separated by spaces.
pub(crate) const WORKER: &str = "APEX_TEST_CHAOS_WORKER";

/// How long a client waits for a response before the outcome counts as unknown.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The connections of a process for reading.
const CONNECTIONS: u32 = 4;
/// Fewer than those, as the executor requires.
const MAX_READS: usize = 3;

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

/// How a process executes decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Executor {
    #[default]
    Correct,
    /// The planted bug: it acknowledges decisions that were undone because another command was faster.
    AcknowledgesUndone,
}

impl Executor {
    const ACKNOWLEDGES_UNDONE: &str = "acknowledges-undone";

    fn name(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::AcknowledgesUndone => Self::ACKNOWLEDGES_UNDONE,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Request {
    Append { id: u64, command: Command },
    Decide { id: u64, request: DecisionRequest },
    KillAt(KillPoint),
}

#[derive(Serialize, Deserialize)]
struct Response<O> {
    id: u64,
    outcome: O,
}

// --- inside the process ---

/// How long an executor with the planted bug tries before it acknowledges: about one attempt.
const ONE_ATTEMPT: Duration = Duration::from_millis(10);

/// Serves requests until standard input ends.
pub(crate) async fn serve(argument: String) {
    let mut words = argument.splitn(3, ' ');
    let [connections, executor, url] = [(); 3].map(|()| words.next().unwrap().to_owned());
    let mut config = LogConfig::default();
    config.appender.connections = connections.parse().unwrap();
    let log = open(url, config).await;
    let acknowledges_undone = executor == Executor::ACKNOWLEDGES_UNDONE;
    let mut config = CommandsConfig { max_reads: MAX_READS, ..CommandsConfig::default() };
    if acknowledges_undone {
        config.deadline = ONE_ATTEMPT;
    }
    let commands = Commands::new(log.clone(), config);
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
                tokio::spawn(async move { respond(id, outcome(log.append(append(&command)).await)) });
            }
            Request::Decide { id, request } => {
                let commands = commands.clone();
                tokio::spawn(async move {
                    let answer = decide(&commands, &request).await;
                    respond(id, if acknowledges_undone { acknowledged(&commands, answer).await } else { answer });
                });
            }
            Request::KillAt(point) => kill_self_at(point),
        }
    }
}

fn respond(id: u64, outcome: impl Serialize) {
    let mut line = serde_json::to_string(&Response { id, outcome }).unwrap();
    line.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).unwrap();
}

async fn decide(commands: &Commands, request: &DecisionRequest) -> Answer {
    let context = testkit::context(tenant(), "chaos", request.command);
    Answer::of(decisions::execute(commands, &context, &request.decision).await)
}

/// The planted bug: a decision that was not written is acknowledged at the last position of the log.
async fn acknowledged(commands: &Commands, answer: Answer) -> Answer {
    match (answer, commands.log().head().await) {
        (Answer::Failed { .. }, Ok(head)) => Answer::Done { position: head.get() },
        (answer, _) => answer,
    }
}

/// Opens the log. Waits if the database is down.
async fn open(url: String, config: LogConfig) -> Log {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let pool = apex::database::connect(&url.clone().into(), CONNECTIONS).await;
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

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<serde_json::Value>>>>;

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
    pub(crate) fn start(connections: usize, executor: Executor, url: String) -> Self {
        let argument = format!("{connections} {} {url}", executor.name());
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
        let request = |id| Request::Append { id, command: command.clone() };
        self.request(request).await.unwrap_or_else(|cause| Outcome::Unknown { cause })
    }

    /// Sends one attempt of a decision and waits for its answer.
    pub(crate) async fn decide(&self, request: &DecisionRequest) -> Answer {
        let request = |id| Request::Decide { id, request: request.clone() };
        self.request(request).await.unwrap_or_else(|cause| Answer::Unknown { cause })
    }

    /// Sends a request and waits for its outcome, or says why there is none.
    async fn request<O: DeserializeOwned>(&self, request: impl FnOnce(u64) -> Request) -> Result<O, String> {
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let (sender, response) = oneshot::channel();
        let pending = {
            let running = self.running.lock().unwrap();
            running.pending.lock().unwrap().insert(id, sender);
            running.send(&request(id));
            running.pending.clone()
        };
        let outcome = tokio::time::timeout(RESPONSE_TIMEOUT, response).await;
        pending.lock().unwrap().remove(&id);
        let outcome = outcome.map_err(|_| "no response in time")?.map_err(|_| "the process exited")?;
        Ok(serde_json::from_value(outcome).unwrap())
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
        let Ok(response) = serde_json::from_str::<Response<serde_json::Value>>(&line) else { break };
        if let Some(waiting) = pending.lock().unwrap().remove(&response.id) {
            drop(waiting.send(response.outcome));
        }
    }
    pending.lock().unwrap().clear();
}
