//! The attempt loop: load, decide, append, retry.

use crate::append::{Guard, build_append};
use crate::cache::{AggregateCache, CacheEntry, CachedAggregate};
use crate::context::Context;
use crate::error::Error;
use crate::loaded::{AsOf, Loaded};
use crate::loader::{Loader, stream_key};
use crate::observe;
use crate::outcome::{Outcome, OutcomeKind};
use crate::retry::backoff;
use crate::snapshots::Snapshots;
use domain::{Aggregate, TenantId};
use rand::Rng;
use std::future::Future;
use std::sync::Arc;
use streams::{AppendError, Appended, Log, PendingAppend, Position, StreamKey, Version};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;
use uuid::Uuid;

/// Settings of the executor.
#[derive(Debug, Clone, Copy)]
pub struct CommandsConfig {
    /// The number of aggregates that are cached in memory.
    pub cached_aggregates: u64,
    /// The number of attempts after which a command fails as contended or unavailable.
    pub max_attempts: u32,
    /// The number of events by which a stream grows between two snapshots; 0 neither takes nor reads snapshots.
    pub snapshot_every_events: u64,
    /// The number of concurrent reads of the log. Further reads wait without a timeout, so the limit should be below the
    /// number of connections of the log's pool, which has one.
    pub max_reads: usize,
}

impl Default for CommandsConfig {
    fn default() -> Self {
        Self {
            cached_aggregates: 20_000,
            max_attempts: 12,
            snapshot_every_events: SNAPSHOT_EVERY_EVENTS,
            max_reads: MAX_READS,
        }
    }
}

/// Half of the connections that a process has by default.
const MAX_READS: usize = 8;
/// Reading and folding this many events takes milliseconds.
const SNAPSHOT_EVERY_EVENTS: u64 = 500;

/// Executes commands against the log; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    pub(crate) loader: Loader,
    config: CommandsConfig,
}

impl Commands {
    /// An executor on a log. It spawns a task that writes snapshots and ends with the last handle.
    #[must_use]
    pub fn new(log: Log, config: CommandsConfig) -> Self {
        let loader = Loader {
            snapshots: Snapshots::start(log.clone(), config.snapshot_every_events),
            log,
            cache: AggregateCache::new(config.cached_aggregates),
            read_permits: Arc::new(Semaphore::new(config.max_reads.max(1))),
        };
        Self { loader, config }
    }

    /// Writes the pending snapshots and ends the task that writes them. Call it before the log's connections are closed;
    /// later commands take no snapshots.
    pub async fn close(&self) {
        self.loader.snapshots.close().await;
    }

    /// The log that commands append to.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.loader.log
    }

    /// The aggregate as it is now.
    ///
    /// # Errors
    /// [`Error::Load`] if the log cannot be read, [`Error::Decode`] if an event of the stream cannot be decoded.
    pub async fn load<A: Aggregate>(&self, tenant: &TenantId, id: Uuid) -> Result<Arc<Loaded<A>>, Error<A::Error>> {
        self.loader.load(&stream_key::<A>(tenant, id)).await
    }

    /// The aggregate as it was at a point in the log or in time.
    ///
    /// # Errors
    /// [`Error::Load`] if the log cannot be read, [`Error::Decode`] if an event of the stream cannot be decoded.
    pub async fn load_as_of<A: Aggregate>(
        &self,
        tenant: &TenantId,
        id: Uuid,
        as_of: AsOf,
    ) -> Result<Loaded<A>, Error<A::Error>> {
        self.loader.load_as_of(&stream_key::<A>(tenant, id), as_of).await
    }

    /// Executes a command.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the aggregate rejects the command; else the [`Error`] that says why it was not executed.
    /// Nothing was written, unless it is [`AppendError::Indeterminate`].
    pub async fn execute<A: Aggregate>(
        &self,
        context: &Context,
        id: Uuid,
        command: A::Command,
    ) -> Result<Outcome<A>, Error<A::Error>> {
        self.run(context, id, false, |state: &A| state.decide(command.clone()), || std::future::ready(Ok(Vec::new())))
            .await
    }

    /// Executes a command on an aggregate that is most likely new, without reading its stream first: if the stream
    /// exists, the expected version fails and the command is retried. Saves a read per item of an import.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_on_new<A: Aggregate>(
        &self,
        context: &Context,
        id: Uuid,
        command: A::Command,
    ) -> Result<Outcome<A>, Error<A::Error>> {
        self.run(context, id, true, |state: &A| state.decide(command.clone()), || std::future::ready(Ok(Vec::new())))
            .await
    }

    /// Executes a decision on an aggregate. `guards` loads further streams that the decision depends on; it is called
    /// before each attempt.
    pub(crate) async fn run<A: Aggregate, E: std::error::Error + 'static, G>(
        &self,
        context: &Context,
        id: Uuid,
        assume_new: bool,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
        guards: impl Fn() -> G,
    ) -> Result<Outcome<A>, Error<E>>
    where
        G: Future<Output = Result<Vec<Guard>, Error<E>>>,
    {
        let span = tracing::info_span!("command", category = A::CATEGORY, %id, command_id = %context.command_id);
        let mut indeterminate = None;
        let key = stream_key::<A>(&context.tenant, id);
        let result = self.attempts(context, key, assume_new, decide, guards, &mut indeterminate).instrument(span).await;
        // Once an attempt may have been written, no later failure may say that nothing was.
        result.map_err(|error| indeterminate.map_or(error, Error::Append))
    }

    async fn attempts<A: Aggregate, E: std::error::Error + 'static, G>(
        &self,
        context: &Context,
        key: StreamKey,
        assume_new: bool,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
        guards: impl Fn() -> G,
        indeterminate: &mut Option<AppendError>,
    ) -> Result<Outcome<A>, Error<E>>
    where
        G: Future<Output = Result<Vec<Guard>, Error<E>>>,
    {
        let entry = self.loader.cache.entry::<A>(&key);
        for attempt in 0.. {
            if attempt > 0 || !assume_new {
                self.loader.refresh_if_stale::<A, E>(&key, &entry).await?;
            }
            let decision = match guards().await {
                Ok(guards) => self.decide(context, &key, &mut entry.lock(), guards, &decide),
                Err(_) => Ok(Decision::NoEvents(None)),
            };
            let error = match decision {
                Ok(Decision::Submitted(decided)) => match self.await_commit(&key, &entry, decided).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(Error::Append(error)) => error,
                    Err(error) => return Err(error),
                },
                Ok(Decision::NoEvents(commit_watch)) => {
                    let rechecked =
                        self.recheck_on_committed(context, &key, &entry, &decide, &guards, commit_watch).await?;
                    if let Some(outcome) = rechecked {
                        return Ok(outcome);
                    }
                    // On the committed state there are events to append: decide again.
                    AppendError::ChainAborted
                }
                Err(Error::Append(error)) => error,
                Err(error) => return Err(error),
            };
            if let AppendError::Indeterminate(_) = &error {
                *indeterminate = Some(error.clone());
            }
            let longest = backoff(attempt, self.config.max_attempts, error)?;
            if !longest.is_zero() {
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(longest.mul_f64(jitter)).await;
            }
        }
        Err(Error::Contended)
    }

    /// Decides on the newest state, and submits the append before any other command may decide.
    fn decide<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        context: &Context,
        key: &StreamKey,
        cached: &mut CachedAggregate<A>,
        guards: Vec<Guard>,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
    ) -> Result<Decision<A>, Error<E>> {
        let before = cached.newest();
        let events = match check_and_decide(context, &before, decide) {
            Ok(events) if !events.is_empty() => events,
            _ => return Ok(Decision::NoEvents(cached.commit_watch())),
        };
        let append = build_append(context, key, before.version, &events, guards)?;
        let chain = cached.chain();
        let append = self.loader.log.submit(append, Some(&chain))?;
        let state = events.iter().fold(A::clone(&before.state), |state, event| state.evolve(event));
        let version = Version::from(before.version.get() + events.len() as u64);
        let after = Arc::new(Loaded { state: Arc::new(state), version, position: before.position });
        let committed = cached.push_pending(after.clone(), chain);
        Ok(Decision::Submitted(SubmittedDecision { before, events, after, append, committed }))
    }

    /// Waits until the append of a decision is committed, or fails.
    async fn await_commit<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        entry: &Arc<CacheEntry<A>>,
        decision: SubmittedDecision<A>,
    ) -> Result<Outcome<A>, Error<E>> {
        let SubmittedDecision { before, events, after, append, committed } = decision;
        let shared = entry.clone();
        // In a task of its own: later decisions build on this one, and need its result even if the caller is cancelled.
        let result = tokio::spawn(async move {
            let appended = append.result().await?;
            let last = appended.last();
            let aggregate = Arc::new(Loaded { position: last, ..Loaded::clone(&after) });
            if let Appended::New { .. } = appended {
                shared.lock().update(&aggregate);
                committed.send_replace(Some(last));
            }
            Ok((appended, aggregate))
        });
        match result.await.unwrap_or_else(|_| Err(AppendError::outcome_unknown())) {
            Ok((Appended::New { last, .. }, aggregate)) => {
                self.loader.snapshots.offer(key, before.version, &aggregate);
                observe::record_appended(&*before.state, &events);
                Ok(Outcome { kind: OutcomeKind::Done, position: last, aggregate })
            }
            Ok((Appended::Duplicate { last, .. }, _)) => {
                let aggregate = self.loader.refresh(key, entry).await?;
                Ok(Outcome { kind: OutcomeKind::Duplicate, position: last, aggregate })
            }
            Err(error) => Err(Error::Append(error)),
        }
    }

    /// Decides once more, on the committed state, after a decision without events.
    ///
    /// The first decision was made on a cached state, which may be stale or never be committed. That is good enough to
    /// append on, as the expected version is checked, but not to reject a command. Returns none if there are events to
    /// append on the committed state.
    async fn recheck_on_committed<A: Aggregate, E: std::error::Error + 'static, G>(
        &self,
        context: &Context,
        key: &StreamKey,
        entry: &CacheEntry<A>,
        decide: &impl Fn(&A) -> Result<Vec<A::Event>, E>,
        guards: &impl Fn() -> G,
        commit_watch: Option<watch::Receiver<Option<Position>>>,
    ) -> Result<Option<Outcome<A>>, Error<E>>
    where
        G: Future<Output = Result<Vec<Guard>, Error<E>>>,
    {
        if let Some(mut committed_at) = commit_watch {
            // Closed without a position if the append was not written; the stream is read in either case.
            drop(committed_at.wait_for(Option::is_some).await);
        }
        let aggregate = self.loader.refresh(key, entry).await?;
        let decided = match guards().await {
            Ok(_) => check_and_decide(context, &aggregate, decide),
            Err(error) => Err(error),
        };
        let rejection = match decided {
            Ok(events) if events.is_empty() => None,
            Ok(_) => return Ok(None),
            Err(error) => Some(error),
        };
        let receipt = self.loader.receipt(key, context.command_id).await?;
        Outcome::without_append(context, aggregate, receipt.as_ref(), rejection).map(Some)
    }
}

/// The result of a decision on the newest state.
enum Decision<A: Aggregate> {
    /// There are events, and their append was submitted.
    Submitted(SubmittedDecision<A>),
    /// There is nothing to append. Reports when the state that was decided on is committed, if it is not yet.
    NoEvents(Option<watch::Receiver<Option<Position>>>),
}

/// A decision whose append was submitted.
struct SubmittedDecision<A: Aggregate> {
    before: Arc<Loaded<A>>,
    events: Vec<A::Event>,
    after: Arc<Loaded<A>>,
    append: PendingAppend,
    /// Sends the position to those who wait for the commit.
    committed: watch::Sender<Option<Position>>,
}

/// Decides, if the aggregate has the version that the command expects.
fn check_and_decide<A: Aggregate, E: std::error::Error + 'static>(
    context: &Context,
    aggregate: &Loaded<A>,
    decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
) -> Result<Vec<A::Event>, Error<E>> {
    match context.expected_version {
        Some(expected) if expected != aggregate.version => {
            Err(Error::WrongVersion { expected, current: aggregate.version })
        }
        _ => decide(&aggregate.state).map_err(Error::Rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::agent::{Agent, AgentError};

    #[test]
    fn an_unexpected_version_is_reported_before_the_aggregate_decides() {
        let reject = |_: &Agent| Err(AgentError::NotRegistered);
        let loaded = Loaded::<Agent> { version: Version::from(3), ..Loaded::default() };
        let mut context = Context::new("default".parse().unwrap(), "ada", Uuid::nil());
        let decided = check_and_decide(&context, &loaded, reject);
        assert!(matches!(decided, Err(Error::Rejected(AgentError::NotRegistered))));
        context.expected_version = Some(Version::from(3));
        let decided = check_and_decide(&context, &loaded, reject);
        assert!(matches!(decided, Err(Error::Rejected(AgentError::NotRegistered))));
        context.expected_version = Some(Version::from(2));
        let decided = check_and_decide(&context, &loaded, reject);
        let (expected, current) = (Version::from(2), Version::from(3));
        assert!(
            matches!(decided, Err(Error::WrongVersion { expected: e, current: c }) if (e, c) == (expected, current))
        );
    }
}
