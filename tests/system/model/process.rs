//! A process that uses the log: a handle on a runtime of its own, so that it can be killed as a process is, with all
//! that it was at. For controls it can have a bug.

use super::plan::PROCESSES;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use streams::{
    Append, AppendError, Appended, AppenderLimits, Expected, Log, LogConfig, Position, ReadError, ReadFilter,
    RecordedEvent, Version,
};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// What is wrong with a process. The machine must find each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// Of some appends it forgets which versions they expect.
    ForgetsVersions,
    /// It leaves out the streams that an append only depends on.
    ForgetsGuards,
    /// It takes some retries for new commands.
    ForgetsCommands,
    /// It takes another request under a known command id for a retry.
    ForgetsRequests,
    /// It answers a retry with the last positions of the log.
    AnswersRetriesWithTheHead,
    /// It says of what was written before that it was written now.
    AnswersRetriesAsNew,
    /// It writes an append to several streams to the first of them.
    TearsAppends,
    /// It answers some appends without writing them.
    AnswersWithoutWriting,
    /// It tells the version of a moment ago.
    TellsOldVersions,
    /// It leaves events out when it reads.
    SkipsEvents,
}

/// What the follower of the tail has seen, over all processes in the same place.
pub(super) type Seen = Arc<Mutex<Vec<(u64, Uuid)>>>;

pub(super) struct Process {
    /// By this name the database knows its connections.
    pub(super) name: String,
    /// Whether it refuses appends when a few wait.
    pub(super) is_small: bool,
    runtime: Runtime,
    log: Faulty,
    followers: Vec<JoinHandle<()>>,
}

/// The log, seen through a bug.
#[derive(Clone)]
pub(super) struct Faulty {
    log: Log,
    bug: Bug,
    appends: Arc<AtomicUsize>,
}

impl Process {
    /// Starts the process at a place. A follower goes on after what was seen in this place.
    pub(super) fn start(place: usize, options: PgConnectOptions, bug: Bug, seen: &Seen) -> Self {
        assert!(place < PROCESSES);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let name = format!("model-{place}-{}", Uuid::new_v4().simple());
        let context = runtime.enter();
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options.application_name(&name));
        let is_small = place == 1;
        let log = runtime.block_on(Log::open(pool, config(is_small))).unwrap();
        let followers = vec![
            runtime.spawn(log.tail().clone().run(std::future::pending())),
            runtime.spawn(follow(log.clone(), seen.clone())),
        ];
        drop(context);
        let log = Faulty { log, bug, appends: Arc::default() };
        Self { name, is_small, runtime, log, followers }
    }

    pub(super) fn log(&self) -> &Faulty {
        &self.log
    }

    /// Sends an append from within the process.
    pub(super) fn send(&self, append: Append) -> JoinHandle<Result<Appended, AppendError>> {
        let log = self.log.clone();
        self.runtime.spawn(async move { log.append(append).await })
    }

    /// Ends it at once; the database finds out when it next talks to it.
    pub(super) fn kill(self) {
        let Self { runtime, log, .. } = self;
        runtime.shutdown_background();
        drop(log);
    }

    /// Drops the handle; what remains of the process ends when its appender does.
    pub(super) fn abandon(self) -> Runtime {
        for follower in self.followers {
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

/// Notes what comes after what was seen before. For a moment two processes are in one place, the one that crashes and
/// the one that comes after it: what the other has noted meanwhile is not noted again.
async fn follow(log: Log, seen: Seen) {
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
            // Its connection was ended; the next one will do.
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
            (Bug::TellsOldVersions, Err(AppendError::Conflict { stream, current })) => {
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

    /// The log itself, for what no bug touches.
    pub(super) fn inner(&self) -> &Log {
        &self.log
    }
}
