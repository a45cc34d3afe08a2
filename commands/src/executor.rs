//! Load, decide, append, try again.

use crate::known::{Known, KnownAggregates, Slot};
use crate::load::{Loaded, key};
use crate::snapshots::Snapshots;
use crate::{Context, Error, observe};
use domain::{Aggregate, EventCodec, derived_id};
use rand::Rng;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use streams::{
    Append, AppendError, Appended, Expected, Log, NewEvent, PendingAppend, Position, StreamAppend, StreamKey, Version,
};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;
use uuid::Uuid;

/// Settings of the executor.
#[derive(Debug, Clone, Copy)]
pub struct CommandsConfig {
    /// Aggregates kept in memory.
    pub cached_aggregates: u64,
    /// How often a command is tried before it is given up as contended or unavailable.
    pub max_attempts: u32,
    /// A snapshot is taken of a stream each time that it has grown by so many events; 0 for none, which also ignores
    /// those that are there.
    pub snapshot_every_events: u64,
    /// Reads of the log at the same time. Whoever comes later waits for as long as it takes: the limit is to be below the
    /// number of connections of the log's pool, which gives up on who has waited for long.
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

/// As many as half of the connections that a process has by default.
const MAX_READS: usize = 8;

/// Reading and folding so many events takes milliseconds.
const SNAPSHOT_EVERY_EVENTS: u64 = 500;
/// The pause after a first failure; it doubles, with jitter, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(1000);

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Events were appended.
    Done,
    /// What was asked for held already.
    AlreadyDone,
    /// The same command was executed before.
    Duplicate,
}

/// A command that was not refused.
#[derive(Debug, Clone)]
pub struct Outcome<A> {
    /// What it came to.
    pub kind: OutcomeKind,
    /// Where its last event stands; for [`OutcomeKind::AlreadyDone`] where the aggregate's last event stands. A query
    /// that waits for this position sees the result.
    pub position: Position,
    /// The aggregate afterwards.
    pub aggregate: Arc<Loaded<A>>,
}

/// A stream that an append depends on without changing it.
pub(crate) struct Guard {
    pub(crate) category: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) version: Version,
}

/// Executes commands against the log; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    pub(crate) log: Log,
    pub(crate) known: KnownAggregates,
    pub(crate) snapshots: Snapshots,
    /// Permits to read the log.
    pub(crate) reads: Arc<Semaphore>,
    config: CommandsConfig,
}

impl Commands {
    /// An executor on a log, with a task that takes snapshots and ends with the last handle.
    #[must_use]
    pub fn new(log: Log, config: CommandsConfig) -> Self {
        let snapshots = Snapshots::start(log.clone(), config.snapshot_every_events);
        let reads = Arc::new(Semaphore::new(config.max_reads.max(1)));
        Self { log, known: KnownAggregates::new(config.cached_aggregates), snapshots, reads, config }
    }

    /// Takes the snapshots that are still to be taken, and ends the task that takes them. To be called before the log's
    /// connections are closed; later commands take no snapshots.
    pub async fn close(&self) {
        self.snapshots.close().await;
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Executes a command.
    ///
    /// # Errors
    /// [`Error`]; nothing was written unless it is [`AppendError::Indeterminate`].
    pub async fn execute<A: Aggregate>(
        &self,
        context: &Context,
        id: Uuid,
        command: A::Command,
    ) -> Result<Outcome<A>, Error<A::Error>> {
        self.run(context, id, false, |state: &A| state.decide(command.clone()), || std::future::ready(Ok(Vec::new())))
            .await
    }

    /// Executes a command on an aggregate that is most likely new, without looking first: the expected version finds
    /// out. Saves a read for each item of an import.
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

    /// The loop. `guards` names further streams that the decision rests on; it is asked before each attempt.
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
        let mut unknown = None;
        let key = key::<A>(&context.tenant, id);
        let done = self.attempts(context, key, assume_new, decide, guards, &mut unknown).instrument(span).await;
        // Once it is not known whether an attempt was written, no later failure may say that nothing was.
        done.map_err(|error| unknown.map_or(error, Error::Append))
    }

    async fn attempts<A: Aggregate, E: std::error::Error + 'static, G>(
        &self,
        context: &Context,
        key: StreamKey,
        assume_new: bool,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
        guards: impl Fn() -> G,
        unknown: &mut Option<AppendError>,
    ) -> Result<Outcome<A>, Error<E>>
    where
        G: Future<Output = Result<Vec<Guard>, Error<E>>>,
    {
        let slot = self.known.slot::<A>(&key);
        for attempt in 0.. {
            if attempt > 0 || !assume_new {
                self.make_sure::<A, E>(&key, &slot).await?;
            }
            let decided = match guards().await {
                Ok(guards) => self.decide(context, &key, &mut slot.lock(), guards, &decide),
                Err(_) => Ok(Decision::Nothing(None)),
            };
            let error = match decided {
                Ok(Decision::Events(handed_in)) => match self.conclude(&key, &slot, handed_in).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(Error::Append(error)) => error,
                    Err(error) => return Err(error),
                },
                Ok(Decision::Nothing(written)) => {
                    if let Some(outcome) = self.nothing(context, &key, &slot, &decide, &guards, written).await? {
                        return Ok(outcome);
                    }
                    // By now it is not nothing any more: others were faster.
                    AppendError::ChainAborted
                }
                Err(Error::Append(error)) => error,
                Err(error) => return Err(error),
            };
            if let AppendError::Indeterminate(_) = &error {
                *unknown = Some(error.clone());
            }
            self.pause(attempt, error).await?;
        }
        Err(Error::Contended)
    }

    /// Decides on the newest state, and hands in what comes of it before anybody else may decide.
    fn decide<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        context: &Context,
        key: &StreamKey,
        known: &mut Known<A>,
        guards: Vec<Guard>,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
    ) -> Result<Decision<A>, Error<E>> {
        let before = known.newest();
        let events = match check(context, &before, decide) {
            Ok(events) if !events.is_empty() => events,
            _ => return Ok(Decision::Nothing(known.written())),
        };
        let append = prepare(context, key, before.version, &events, guards)?;
        let chain = known.chain();
        let submitted = self.log.submit(append, Some(&chain))?;
        let state = events.iter().fold(A::clone(&before.state), |state, event| state.evolve(event));
        let version = Version::from(before.version.get() + events.len() as u64);
        let after = Arc::new(Loaded { state: Arc::new(state), version, position: before.position });
        let written = known.decided(after.clone(), chain);
        Ok(Decision::Events(HandedIn { before, events, after, submitted, written }))
    }

    /// Waits for what became of a decision.
    async fn conclude<A: Aggregate, E: std::error::Error + 'static>(
        &self,
        key: &StreamKey,
        slot: &Arc<Slot<A>>,
        handed_in: HandedIn<A>,
    ) -> Result<Outcome<A>, Error<E>> {
        let HandedIn { before, events, after, submitted, written } = handed_in;
        let known = slot.clone();
        // A task of its own: others have built on this decision, and need to know even if its caller goes away.
        let concluded = tokio::spawn(async move {
            let appended = submitted.result().await?;
            let last = appended.last();
            let aggregate = Arc::new(Loaded { position: last, ..Loaded::clone(&after) });
            if let Appended::New { .. } = appended {
                known.lock().learn(&aggregate);
                written.send_replace(Some(last));
            }
            Ok((appended, aggregate))
        });
        match concluded.await.unwrap_or_else(|_| Err(AppendError::outcome_unknown())) {
            Ok((Appended::New { last, .. }, aggregate)) => {
                self.snapshots.offer(key, before.version, &aggregate);
                observe::appended(&*before.state, &events);
                Ok(Outcome { kind: OutcomeKind::Done, position: last, aggregate })
            }
            Ok((Appended::Duplicate { last, .. }, _)) => {
                let aggregate = self.refresh(key, slot).await?;
                Ok(Outcome { kind: OutcomeKind::Duplicate, position: last, aggregate })
            }
            Err(error) => Err(Error::Append(error)),
        }
    }

    /// Nothing is to be appended. That rests on what may be old, or may not come to be: good enough to append on, as the
    /// expected version finds out, but not to refuse on. So it is decided once more on what is committed now; none when
    /// that is not nothing.
    async fn nothing<A: Aggregate, E: std::error::Error + 'static, G>(
        &self,
        context: &Context,
        key: &StreamKey,
        slot: &Slot<A>,
        decide: &impl Fn(&A) -> Result<Vec<A::Event>, E>,
        guards: &impl Fn() -> G,
        written: Option<watch::Receiver<Option<Position>>>,
    ) -> Result<Option<Outcome<A>>, Error<E>>
    where
        G: Future<Output = Result<Vec<Guard>, Error<E>>>,
    {
        if let Some(mut written) = written {
            // Closed if it was not written. The stream tells what there is instead.
            drop(written.wait_for(Option::is_some).await);
        }
        let aggregate = self.refresh(key, slot).await?;
        let decided = match guards().await {
            Ok(_) => check(context, &aggregate, decide),
            Err(error) => Err(error),
        };
        let refused = match decided {
            Ok(events) if events.is_empty() => None,
            Ok(_) => return Ok(None),
            Err(error) => Some(error),
        };
        self.settle(context, key, aggregate, refused).await.map(Some)
    }

    /// Waits before the next attempt, if there is to be one.
    async fn pause<E: std::error::Error + 'static>(&self, attempt: u32, error: AppendError) -> Result<(), Error<E>> {
        if attempt + 1 >= self.config.max_attempts {
            return Err(match error {
                AppendError::Conflict { .. } | AppendError::ChainAborted => Error::Contended,
                AppendError::CommandReused => Error::CommandIdReused,
                error => Error::Append(error),
            });
        }
        let longest = match error {
            AppendError::ChainAborted => return Ok(()),
            AppendError::Busy { retry_after } => retry_after,
            AppendError::Conflict { .. } | AppendError::Unavailable(_) | AppendError::Indeterminate(_) => {
                (FIRST_PAUSE * (1 << attempt.min(10))).min(LAST_PAUSE)
            }
            AppendError::CommandReused => return Err(Error::CommandIdReused),
            error @ (AppendError::Invalid(_) | AppendError::Refused(_) | AppendError::Closed) => {
                return Err(Error::Append(error));
            }
        };
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(longest.mul_f64(jitter)).await;
        Ok(())
    }

    /// Nothing is to be appended: it is refused, or holds already, unless this very command was executed before.
    async fn settle<A, E: std::error::Error + 'static>(
        &self,
        context: &Context,
        key: &StreamKey,
        aggregate: Arc<Loaded<A>>,
        refused: Option<Error<E>>,
    ) -> Result<Outcome<A>, Error<E>> {
        let receipt = {
            let _permit = self.reads.acquire().await;
            self.log.receipt(key, context.command_id).await?
        };
        match (receipt, refused) {
            (Some(receipt), _) if receipt.is_for_different_request(context.request.as_ref()) => {
                Err(Error::CommandIdReused)
            }
            (Some(receipt), _) => Ok(Outcome { kind: OutcomeKind::Duplicate, position: receipt.last, aggregate }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Outcome { kind: OutcomeKind::AlreadyDone, position: aggregate.position, aggregate }),
        }
    }
}

/// What was decided.
enum Decision<A: Aggregate> {
    /// Events, and they are on their way.
    Events(HandedIn<A>),
    /// Nothing is to be appended, on the strength of what is still to be committed, if anything.
    Nothing(Option<watch::Receiver<Option<Position>>>),
}

struct HandedIn<A: Aggregate> {
    before: Arc<Loaded<A>>,
    events: Vec<A::Event>,
    after: Arc<Loaded<A>>,
    submitted: PendingAppend,
    written: watch::Sender<Option<Position>>,
}

fn check<A: Aggregate, E: std::error::Error + 'static>(
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

fn prepare<E: EventCodec, R: std::error::Error + 'static>(
    context: &Context,
    key: &StreamKey,
    expected: Version,
    events: &[E],
    guards: Vec<Guard>,
) -> Result<Append, Error<R>> {
    let events = events
        .iter()
        .enumerate()
        .map(|(index, event)| NewEvent::encode(event_id(key, context.command_id, index), event))
        .collect::<Result<_, _>>()?;
    let own = StreamAppend { category: key.category.clone(), id: key.id, expected: Expected::Exact(expected), events };
    let guards = guards.into_iter().map(|guard| StreamAppend {
        category: guard.category,
        id: guard.id,
        expected: Expected::Exact(guard.version),
        events: Vec::new(),
    });
    Ok(Append {
        tenant: context.tenant.clone(),
        metadata: context.metadata(),
        request: context.request,
        streams: std::iter::once(own).chain(guards).collect(),
    })
}

/// The id of an event: derived, so that a retry of the command writes the very same events, and from all that tells one
/// event from another. Fixed for all time, as consumers tell events apart by it.
fn event_id(stream: &StreamKey, command_id: Uuid, index: usize) -> Uuid {
    let (id, command, index) = (stream.id.to_string(), command_id.to_string(), index.to_string());
    derived_id(&["event", stream.tenant.as_str(), &stream.category, &id, &command, &index])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: an id that changes makes every retry of an old command write other events.
    #[test]
    fn event_ids_tell_tenants_streams_commands_and_places_apart_and_never_change() {
        let key = |tenant: &str, category: &str, id| StreamKey {
            tenant: tenant.parse().unwrap(),
            category: category.into(),
            id: Uuid::from_u128(id),
        };
        let ids = [
            event_id(&key("default", "call", 1), Uuid::from_u128(2), 0),
            event_id(&key("default", "call", 1), Uuid::from_u128(2), 1),
            event_id(&key("default", "call", 1), Uuid::from_u128(3), 0),
            event_id(&key("default", "call", 2), Uuid::from_u128(2), 0),
            event_id(&key("default", "task", 1), Uuid::from_u128(2), 0),
            event_id(&key("other", "call", 1), Uuid::from_u128(2), 0),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(ids[0].to_string(), "b4d11f4c-c8ad-591d-86b6-21faffa687db");
    }
}
