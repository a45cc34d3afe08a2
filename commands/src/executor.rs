//! Load, decide, append, try again.

use crate::snapshots::Snapshots;
use crate::{AsOf, Context, Error, Loaded, load, observe};
use domain::{Aggregate, EventCodec, TenantId};
use moka::sync::Cache;
use rand::Rng;
use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use streams::{Append, AppendError, Appended, Expected, Log, NewEvent, Position, StreamAppend, StreamKey, Version};
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
}

impl Default for CommandsConfig {
    fn default() -> Self {
        Self { cached_aggregates: 20_000, max_attempts: 12, snapshot_every_events: SNAPSHOT_EVERY_EVENTS }
    }
}

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
    log: Log,
    cache: Cache<StreamKey, Arc<dyn Any + Send + Sync>>,
    snapshots: Snapshots,
    config: CommandsConfig,
}

impl Commands {
    /// An executor on a log, with a task that takes snapshots and ends with the last handle.
    #[must_use]
    pub fn new(log: Log, config: CommandsConfig) -> Self {
        let snapshots = Snapshots::start(log.clone(), config.snapshot_every_events);
        Self { log, cache: Cache::new(config.cached_aggregates), snapshots, config }
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

    /// The aggregate as it is now.
    ///
    /// # Errors
    /// [`Error::Load`] and [`Error::Decode`].
    pub async fn load<A: Aggregate>(&self, tenant: &TenantId, id: Uuid) -> Result<Arc<Loaded<A>>, Error<A::Error>> {
        let key = key::<A>(tenant, id);
        let known = self.cached::<A>(&key).unwrap_or_default();
        self.refresh(&key, known).await
    }

    /// The aggregate as it was.
    ///
    /// # Errors
    /// [`Error::Load`] and [`Error::Decode`].
    pub async fn load_as_of<A: Aggregate>(
        &self,
        tenant: &TenantId,
        id: Uuid,
        as_of: AsOf,
    ) -> Result<Loaded<A>, Error<A::Error>> {
        let key = key::<A>(tenant, id);
        let folded = load::fold(&self.log, &self.snapshots, &key, Arc::default(), Some(as_of)).await?;
        Ok(Arc::unwrap_or_clone(folded.loaded))
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
        let cached = self.cached::<A>(&key);
        // A state from memory may be old. It is good enough to append on, as the expected version finds out, but
        // not to refuse on.
        let mut fresh = cached.is_none() && !assume_new;
        let mut aggregate = cached.unwrap_or_default();
        if fresh {
            aggregate = self.refresh(&key, aggregate).await.map_err(retype)?;
        }
        let mut attempt = 0;
        loop {
            let decided = match context.expected_version {
                Some(expected) if expected != aggregate.version => {
                    Err(Error::WrongVersion { expected, current: aggregate.version })
                }
                _ => match guards().await {
                    Ok(guards) => decide(&aggregate.state).map(|events| (guards, events)).map_err(Error::Rejected),
                    Err(error) => Err(error),
                },
            };
            let (guards, events) = match decided {
                Ok((guards, events)) if !events.is_empty() => (guards, events),
                settled if fresh => return self.settle(context, &key, &aggregate, settled.err()).await,
                _ => {
                    aggregate = self.refresh(&key, aggregate).await.map_err(retype)?;
                    fresh = true;
                    continue;
                }
            };
            let append = prepare(context, &key, aggregate.version, &events, guards)?;
            match self.log.append(append).await {
                Ok(Appended::New { last, .. }) => {
                    observe::appended(&aggregate.state, &events);
                    return Ok(self.advance(key, &aggregate, &events, last));
                }
                Ok(Appended::Duplicate { last, .. }) => {
                    let aggregate = self.refresh(&key, aggregate).await.map_err(retype)?;
                    return Ok(Outcome { kind: OutcomeKind::Duplicate, position: last, aggregate });
                }
                Err(error) => {
                    if let AppendError::Indeterminate(_) = &error {
                        *unknown = Some(error.clone());
                    }
                    self.pause(attempt, error).await?;
                }
            }
            attempt += 1;
            aggregate = self.refresh(&key, aggregate).await.map_err(retype)?;
            fresh = true;
        }
    }

    /// Waits before the next attempt, if there is to be one.
    async fn pause<E: std::error::Error + 'static>(&self, attempt: u32, error: AppendError) -> Result<(), Error<E>> {
        if attempt + 1 >= self.config.max_attempts {
            return Err(match error {
                AppendError::Conflict { .. } | AppendError::Undone => Error::Contended,
                error => Error::Append(error),
            });
        }
        let longest = match error {
            AppendError::Busy { retry_after } => retry_after,
            AppendError::Conflict { .. }
            | AppendError::Undone
            | AppendError::Unavailable(_)
            | AppendError::Indeterminate(_) => (FIRST_PAUSE * (1 << attempt.min(10))).min(LAST_PAUSE),
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
        aggregate: &Arc<Loaded<A>>,
        refused: Option<Error<E>>,
    ) -> Result<Outcome<A>, Error<E>> {
        let aggregate = aggregate.clone();
        match (self.log.receipt(key, context.command_id).await?, refused) {
            (Some((_, position)), _) => Ok(Outcome { kind: OutcomeKind::Duplicate, position, aggregate }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Outcome { kind: OutcomeKind::AlreadyDone, position: aggregate.position, aggregate }),
        }
    }

    fn advance<A: Aggregate>(
        &self,
        key: StreamKey,
        before: &Loaded<A>,
        events: &[A::Event],
        position: Position,
    ) -> Outcome<A> {
        let state = events.iter().fold(before.state.clone(), |state, event| state.evolve(event));
        let version = Version::from(before.version.get() + events.len() as u64);
        let aggregate = Arc::new(Loaded { state, version, position });
        self.snapshots.offer(&key, before.version, &aggregate);
        self.cache.insert(key, aggregate.clone());
        Outcome { kind: OutcomeKind::Done, position, aggregate }
    }

    fn cached<A: Aggregate>(&self, key: &StreamKey) -> Option<Arc<Loaded<A>>> {
        self.cache.get(key)?.downcast::<Loaded<A>>().ok()
    }

    /// Reads what was appended since.
    async fn refresh<A: Aggregate>(
        &self,
        key: &StreamKey,
        known: Arc<Loaded<A>>,
    ) -> Result<Arc<Loaded<A>>, Error<A::Error>> {
        let before = known.version;
        let load::Folded { loaded, from } = load::fold(&self.log, &self.snapshots, key, known, None).await?;
        if loaded.version > before {
            self.cache.insert(key.clone(), loaded.clone());
            self.snapshots.offer(key, from, &loaded);
        }
        Ok(loaded)
    }
}

fn key<A: Aggregate>(tenant: &TenantId, id: Uuid) -> StreamKey {
    StreamKey { tenant: tenant.clone(), category: A::CATEGORY.into(), id }
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
        .map(|(index, event)| {
            // Derived, so that a retry of the command writes the very same events.
            let event_id = Uuid::new_v5(&context.command_id, &(index as u64).to_be_bytes());
            NewEvent::encode(event_id, event)
        })
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
        streams: std::iter::once(own).chain(guards).collect(),
    })
}

/// A load never refuses, so its error fits any refusal.
fn retype<E: std::error::Error + 'static, F: std::error::Error + 'static>(error: Error<E>) -> Error<F> {
    match error {
        Error::Rejected(_) | Error::Contended => Error::Contended,
        Error::WrongVersion { expected, current } => Error::WrongVersion { expected, current },
        Error::Append(error) => Error::Append(error),
        Error::Load(error) => Error::Load(error),
        Error::Decode(error) => Error::Decode(error),
        Error::Encode(error) => Error::Encode(error),
    }
}
