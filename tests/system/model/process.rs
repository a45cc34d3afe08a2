//! A simulated process: a handle of the log and an executor on a runtime of their own, so that it can be killed with all
//! its tasks. It may have a planted bug, for controls.

use super::plan::PROCESSES;
use crate::decisions::{Fault, execute_wrongly};
use commands::{Commands, CommandsConfig, Context};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use streams::{
    Append, AppendError, Appended, AppenderLimits, Expected, Log, LogConfig, Position, ReadError, ReadFilter,
    RecordedEvent, StreamKey, Version,
};
use testkit::TIMEOUT;
use testkit::decisions::{Answer, Decision, Refused, execute};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A planted bug. The test must detect each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// It ignores the expected versions of some appends.
    ForgetsVersions,
    /// It omits the streams whose version an append only checks.
    ForgetsGuards,
    /// It treats some retries as new commands.
    ForgetsCommands,
    /// It treats another request with a known command id as a retry.
    ForgetsRequests,
    /// It answers a retry with the last positions of the log.
    AnswersRetriesWithTheHead,
    /// It answers retries as if they had written the events.
    AnswersRetriesAsNew,
    /// It writes only the events of the first stream of some appends.
    TearsAppends,
    /// It acknowledges some appends without writing them.
    AnswersWithoutWriting,
    /// It reports the previous version in conflicts.
    ReportsOldVersions,
    /// It omits events when it reads.
    SkipsEvents,
    /// It executes decisions with a fault.
    DecidesWrongly(Fault),
    /// It treats a retry of a decision as a new command.
    DecidesRetriesAgain,
    /// It refuses some decisions whatever the states are.
    RefusesWithoutReason,
}

/// Position and id of the events that a subscriber of the tail has seen, over all processes with the same index.
pub(super) type Seen = Arc<Mutex<Vec<(u64, Uuid)>>>;

/// A simulated process.
pub(super) struct Process {
    /// The application name of its connections.
    pub(super) name: String,
    /// Whether its queue is small, so that it refuses appends with `Busy`.
    pub(super) is_small: bool,
    runtime: Runtime,
    log: Faulty,
    commands: Commands,
    tasks: Vec<JoinHandle<()>>,
}

/// A log with a planted bug.
#[derive(Clone)]
pub(super) struct Faulty {
    log: Log,
    bug: Bug,
    appends: Arc<AtomicUsize>,
}

impl Process {
    /// Starts the process with an index. Its subscriber continues after the events in `seen`.
    pub(super) fn start(index: usize, options: PgConnectOptions, bug: Bug, seen: &Seen) -> Self {
        assert!(index < PROCESSES);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let name = format!("model-{index}-{}", Uuid::new_v4().simple());
        let context = runtime.enter();
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options.application_name(&name));
        let is_small = index == 1;
        let log = runtime.block_on(Log::open(pool, config(is_small))).unwrap();
        let tasks = vec![
            runtime.spawn(log.tail().clone().run(std::future::pending())),
            runtime.spawn(subscribe(log.clone(), seen.clone())),
        ];
        let commands =
            Commands::new(log.clone(), CommandsConfig { max_reads: 3, deadline: TIMEOUT, ..CommandsConfig::default() });
        drop(context);
        let log = Faulty { log, bug, appends: Arc::default() };
        Self { name, is_small, runtime, log, commands, tasks }
    }

    pub(super) fn log(&self) -> &Faulty {
        &self.log
    }

    /// Sends an append, in a task of the process.
    pub(super) fn send(&self, append: Append) -> JoinHandle<Result<Appended, AppendError>> {
        let log = self.log.clone();
        self.runtime.spawn(async move { log.append(append).await })
    }

    /// Sends a decision, in a task of the process.
    pub(super) fn decide(&self, mut context: Context, decision: Decision) -> JoinHandle<Answer> {
        let (commands, log) = (self.commands.clone(), self.log.clone());
        self.runtime.spawn(async move {
            let turn = log.appends.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
            match log.bug {
                Bug::DecidesWrongly(fault) => return execute_wrongly(&commands, fault, &context, &decision).await,
                Bug::RefusesWithoutReason if turn => return Answer::Refused { reason: Refused::Off },
                Bug::DecidesRetriesAgain => {
                    let tenant = context.principal.tenant().clone();
                    let target = StreamKey { tenant, category: decision.category().into(), id: decision.target() };
                    let receipt = log.log.receipt(&target, context.command_id).await;
                    if receipt.is_ok_and(|receipt| receipt.is_some()) {
                        context.command_id = Uuid::new_v4();
                    }
                }
                _ => {}
            }
            Answer::of(execute(&commands, &context, &decision).await)
        })
    }

    /// Ends it at once; the database finds out when it next talks to it.
    pub(super) fn kill(self) {
        let Self { runtime, log, commands, .. } = self;
        runtime.shutdown_background();
        drop((log, commands));
    }

    /// Drops the handle; what remains of the process ends when its appender does.
    pub(super) fn abandon(self) -> Runtime {
        for follower in self.tasks {
            follower.abort();
        }
        self.runtime
    }
}

/// One with room for everything, and one with little room that commits several batches at once.
fn config(is_small: bool) -> LogConfig {
    let mut config = LogConfig::default();
    config.tail.poll_interval = Duration::from_millis(20);
    if is_small {
        config.appender =
            AppenderLimits { max_waiting: 4, connections: 3, max_batch_events: 3, ..AppenderLimits::default() };
        config.tail.window_events = 5;
    }
    config
}

/// Records events after those seen before. For a short time two processes with the same index run, the one that crashes and
/// its successor: events that the other has recorded meanwhile are not recorded again.
async fn subscribe(log: Log, seen: Seen) {
    loop {
        let after = seen.lock().unwrap().last().map_or(0, |(position, _)| *position);
        match log.tail().next_after(Position::from(after), 7).await {
            Ok(events) => {
                let mut seen = seen.lock().unwrap();
                if seen.last().map_or(0, |(position, _)| *position) == after {
                    seen.extend(events.iter().map(|event| (event.position.get(), event.event_id)));
                }
            }
            Err(ReadError::Closed) => return,
            // Its connection was terminated; the next attempt opens another.
            Err(ReadError::Database(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Faulty {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        let turn = self.appends.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        match self.bug {
            Bug::ForgetsVersions if turn => {
                append.streams.iter_mut().for_each(|stream| stream.expected = Expected::Any);
            }
            Bug::ForgetsGuards => {
                append.streams.retain(|stream| !stream.events.is_empty());
            }
            Bug::ForgetsCommands if turn && self.is_known(&append).await => append.metadata.command_id = Uuid::new_v4(),
            Bug::ForgetsRequests => append.request = None,
            Bug::TearsAppends if append.streams[0].events.len() == 1 => append.streams.truncate(1),
            Bug::AnswersWithoutWriting if turn && append.streams.iter().all(|s| s.expected == Expected::Any) => {
                let head = self.head().await;
                let events: usize = append.streams.iter().map(|stream| stream.events.len()).sum();
                return Ok(Appended::New { first: (head + 1).into(), last: (head + events as u64).into() });
            }
            _ => {}
        }
        let answer = self.log.append(append).await;
        match (self.bug, answer) {
            (Bug::AnswersRetriesWithTheHead, Ok(Appended::Duplicate { first, last })) => {
                let head = self.head().await;
                let first = head.saturating_sub(last.get() - first.get());
                Ok(Appended::Duplicate { first: first.into(), last: head.into() })
            }
            (Bug::AnswersRetriesAsNew, Ok(Appended::Duplicate { first, last })) => Ok(Appended::New { first, last }),
            (Bug::ReportsOldVersions, Err(AppendError::Conflict { stream, current })) => {
                let current = Version::from(current.get().saturating_sub(1));
                Err(AppendError::Conflict { stream, current })
            }
            (_, answer) => answer,
        }
    }

    async fn is_known(&self, append: &Append) -> bool {
        let key = super::reference::key(append, &append.streams[0]);
        self.log.receipt(&key, append.metadata.command_id).await.is_ok_and(|receipt| receipt.is_some())
    }

    async fn head(&self) -> u64 {
        self.log.head().await.unwrap_or_default().get()
    }

    pub(super) async fn read_after(&self, after: Position, filter: &ReadFilter, limit: usize) -> Vec<RecordedEvent> {
        let mut page = self.log.read_after(after, filter, limit).await.unwrap();
        if self.bug == Bug::SkipsEvents && page.len() > 3 {
            page.remove(2);
        }
        page
    }

    /// The log without the bug.
    pub(super) fn inner(&self) -> &Log {
        &self.log
    }
}
