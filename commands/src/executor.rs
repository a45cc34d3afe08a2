//! Executing commands: what can be executed, and how it is typed. The attempts are in [`crate::attempts`].

use crate::attempts::{Attempts, DecideFn, Execution};
use crate::cache::AggregateCache;
use crate::context::Context;
use crate::error::{Error, Rejection};
use crate::kind::AggregateKey;
use crate::loaded::{AsOf, Loaded};
use crate::loader::Loader;
use crate::outcome::Outcome;
use crate::principal::Principal;
use crate::snapshots::Snapshots;
use crate::states::{OtherStates, States, Undecided};
use domain::Aggregate;
use domain::permissions::{ReadData, SendCommand};
use std::sync::Arc;
use std::time::Duration;
use streams::Log;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Settings of the executor.
#[derive(Debug, Clone, Copy)]
pub struct CommandsConfig {
    /// The number of aggregates that are cached in memory.
    pub cached_aggregates: u64,
    /// The time after which no further attempt of a command is started, and it fails as contended or unavailable. An
    /// attempt that has been started is waited for.
    pub deadline: Duration,
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
            deadline: DEADLINE,
            snapshot_every_events: SNAPSHOT_EVERY_EVENTS,
            max_reads: MAX_READS,
        }
    }
}

/// Shorter than the timeout of an HTTP request.
const DEADLINE: Duration = Duration::from_secs(10);
/// Half of the connections that a process has by default.
const MAX_READS: usize = 8;
/// Reading and folding this many events takes milliseconds.
const SNAPSHOT_EVERY_EVENTS: u64 = 500;

/// Executes commands against the log; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    pub(crate) attempts: Attempts,
    /// The part of budgets that this process prefers, if they have several: others most likely prefer others.
    pub(crate) part: u8,
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
        Self { attempts: Attempts { loader, deadline: config.deadline }, part: rand::random() }
    }

    /// Writes the pending snapshots and ends the task that writes them. Call it before the log's connections are closed;
    /// later commands take no snapshots.
    pub async fn close(&self) {
        self.attempts.loader.snapshots.close().await;
    }

    /// The log that commands append to.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.attempts.loader.log
    }

    /// The aggregate as it is now.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the principal may not read, [`Error::Load`] if the log cannot be read, and
    /// [`Error::Decode`] if an event of the stream cannot be decoded.
    pub async fn load<A: Aggregate>(&self, principal: &Principal, id: Uuid) -> Result<Arc<Loaded<A>>, Error<A::Error>> {
        let access = principal.authorise_on::<ReadData>(A::CATEGORY, id)?;
        Ok(Arc::new(self.attempts.loader.load(&AggregateKey::of::<A>(access.tenant(), id)).await?.typed()))
    }

    /// Aggregates as they are now, by few statements however many they are. The caller bounds their number.
    ///
    /// # Errors
    /// As for [`Commands::load`].
    pub async fn load_all<A: Aggregate>(
        &self,
        principal: &Principal,
        ids: &[Uuid],
    ) -> Result<Vec<(Uuid, Arc<Loaded<A>>)>, Error<A::Error>> {
        let key = |id: &Uuid| -> Result<AggregateKey, Error<A::Error>> {
            let access = principal.authorise_on::<ReadData>(A::CATEGORY, *id)?;
            Ok(AggregateKey::of::<A>(access.tenant(), *id))
        };
        let keys = ids.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        let loaded = self.attempts.loader.load_all(&keys).await?;
        Ok(ids.iter().copied().zip(loaded.into_iter().map(|loaded| Arc::new(loaded.typed()))).collect())
    }

    /// The aggregate as it was at a point in the log or in time.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the principal may not read, [`Error::Load`] if the log cannot be read, and
    /// [`Error::Decode`] if an event of the stream cannot be decoded.
    pub async fn load_as_of<A: Aggregate>(
        &self,
        principal: &Principal,
        id: Uuid,
        as_of: AsOf,
    ) -> Result<Loaded<A>, Error<A::Error>> {
        let access = principal.authorise_on::<ReadData>(A::CATEGORY, id)?;
        Ok(self.attempts.loader.load_as_of(&AggregateKey::of::<A>(access.tenant(), id), as_of).await?.typed())
    }

    /// Executes a command.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the principal may not give the command, [`Error::Rejected`] if the aggregate rejects it;
    /// else the [`Error`] that says why it was not executed. Nothing was written, unless it is [`streams::AppendError::Indeterminate`].
    pub async fn execute<A: Aggregate>(
        &self,
        context: &Context,
        id: Uuid,
        command: A::Command,
    ) -> Result<Outcome<A>, Error<A::Error>> {
        self.decide_on(context, id, |state: &A, _| state.decide(command.clone()).map_err(Undecided::Rejected)).await
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
        let decide = |state: &A, _: OtherStates| state.decide(command.clone()).map_err(Undecided::Rejected);
        self.run_on_target(context, id, true, decide).await
    }

    /// Executes a decision that changes one aggregate and may rest on others. If one of them changes before the events are
    /// committed, the function is called again.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn decide_on<A: Aggregate, E: std::error::Error + Send + Sync + 'static>(
        &self,
        context: &Context,
        id: Uuid,
        decide: impl Fn(&A, OtherStates) -> Result<Vec<A::Event>, Undecided<E>> + Send + Sync,
    ) -> Result<Outcome<A>, Error<E>> {
        self.run_on_target(context, id, false, decide).await
    }

    /// Executes a decision that may change several aggregates: all of its events are written in one append, or none.
    ///
    /// The target is the aggregate that the command names. Every execution of the command has the same target, whatever
    /// other aggregates it rests on or changes.
    ///
    /// # Errors
    /// As for [`Commands::execute`], and [`Error::TooManyAggregates`].
    pub async fn decide<A: Aggregate, E: std::error::Error + Send + Sync + 'static>(
        &self,
        context: &Context,
        target: Uuid,
        decide: impl Fn(&mut States) -> Result<(), Undecided<E>> + Send + Sync,
    ) -> Result<Outcome<A>, Error<E>> {
        let key = AggregateKey::of::<A>(context.principal.tenant(), target);
        let decide = &erased(move |states: &mut States| {
            states.check_expected_version::<A, E>(target)?;
            decide(states)
        });
        self.run(Execution { context, target: key, may_change_others: true, assume_new: &[], decide }).await
    }

    pub(crate) async fn run_on_target<A: Aggregate, E: std::error::Error + Send + Sync + 'static>(
        &self,
        context: &Context,
        id: Uuid,
        assume_new: bool,
        decide: impl Fn(&A, OtherStates) -> Result<Vec<A::Event>, Undecided<E>> + Send + Sync,
    ) -> Result<Outcome<A>, Error<E>> {
        let decide = erased(move |states: &mut States| {
            states.check_expected_version::<A, E>(id)?;
            let target = states.get::<A>(id)?;
            let events = decide(&target, OtherStates(states))?;
            states.append::<A, E>(id, events)
        });
        let target = AggregateKey::of::<A>(context.principal.tenant(), id);
        let assumed = [target.clone()];
        let assume_new = if assume_new { assumed.as_slice() } else { &[] };
        self.run(Execution { context, target, may_change_others: false, assume_new, decide: &decide }).await
    }

    pub(crate) async fn run<A: Aggregate, E: std::error::Error + Send + Sync + 'static>(
        &self,
        execution: Execution<'_>,
    ) -> Result<Outcome<A>, Error<E>> {
        // Every command comes through here. What it reads beside its target is of the same tenant, and each aggregate that
        // it changes is authorised where its events are added (`States::append`).
        let (principal, target) = (&execution.context.principal, &execution.target);
        principal.authorise_on::<SendCommand>(A::CATEGORY, target.stream.id)?;
        let (id, decide) = (target.stream.id, execution.decide);
        let decide = &move |states: &mut States<'_>| {
            // Before a rejection tells something of an aggregate that belongs to another agent.
            states.check_owner::<A, Rejection>(id)?;
            decide(states)
        };
        let executed = self.attempts.execute(Execution { decide, ..execution }).await.map_err(Error::typed)?;
        let aggregate = Arc::new(executed.target.typed());
        Ok(Outcome { kind: executed.kind, position: executed.position, aggregate })
    }
}

/// A decision function without the type of its rejection, so that the attempts are compiled once for all commands.
pub(crate) fn erased<E: std::error::Error + Send + Sync + 'static>(
    decide: impl Fn(&mut States) -> Result<(), Undecided<E>> + Send + Sync,
) -> impl DecideFn {
    move |states: &mut States| {
        decide(states).map_err(|undecided| match undecided {
            Undecided::NotLoaded(not_loaded) => Undecided::NotLoaded(not_loaded),
            Undecided::Rejected(error) => Undecided::Rejected(Rejection::new(error)),
            Undecided::WrongVersion(wrong) => Undecided::WrongVersion(wrong),
            Undecided::Forbidden(error) => Undecided::Forbidden(error),
            Undecided::Encode(error) => Undecided::Encode(error),
        })
    }
}
