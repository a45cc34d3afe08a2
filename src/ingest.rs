//! From records of an import to commands.
//!
//! Records are reported with many in flight, in any order: reports of one call join to the same state however they
//! arrive, and conflicts are tried again. Every command id is derived from what it says, so the same record imported
//! twice is the same command, and a command that the database did not take in time is given again: a busy machine makes
//! an import slow, and does not end it.

use crate::import::{AgentRef, Record, TaskRef};
use commands::{Commands, Context, Error, Outcome, OutcomeKind};
use domain::agent::{Agent, AgentCommand, AgentError, Profile};
use domain::call::{Call, CallCommand, CallError, CallKind};
use domain::price_book::{PriceBook, Quote};
use domain::task::{Task, TaskCommand, TaskError, TaskSpec};
use domain::{Labels, Name, TenantId, derived_id};
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use streams::Position;
use thiserror::Error as ThisError;
use uuid::Uuid;

/// Reports in flight at once.
pub const MAX_IN_FLIGHT: usize = 256;
/// Agents and tasks remembered as known; beyond, they are asked for again, which changes nothing.
const MAX_KNOWN: usize = 100_000;

/// How long a command is given again that the database does not take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The pause before it is given again; it doubles, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its call was new.
    Imported,
    /// Its call was known, and it said more.
    Amended,
    /// It said nothing new.
    Duplicate,
}

/// Why a record was not imported.
#[derive(Debug, ThisError)]
pub enum IngestError {
    /// The call refuses it; the next record may be fine.
    #[error("the call is refused: {0}")]
    Refused(CallError),
    /// The log failed; nothing more can be imported.
    #[error("the call cannot be recorded")]
    Call(#[source] Error<CallError>),
    /// The agent could not be registered.
    #[error("the agent cannot be registered")]
    Agent(#[source] Error<AgentError>),
    /// The task could not be submitted.
    #[error("the task cannot be submitted")]
    Task(#[source] Error<TaskError>),
}

/// Hears of each time that the database is waited for, and why.
pub type OnWait = Arc<dyn Fn(&dyn std::error::Error) + Send + Sync>;

/// Turns records into commands.
pub struct Ingest {
    commands: Commands,
    tenant: TenantId,
    actor: String,
    prices: Arc<commands::Loaded<PriceBook>>,
    known: HashSet<Uuid>,
    retry: Retry,
}

/// A report that is ready to be given.
pub struct Report {
    commands: Commands,
    context: Context,
    id: Uuid,
    command: CallCommand,
    retry: Retry,
}

/// What a report came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// What became of the record.
    pub fate: Fate,
    /// Where the last event of its call stands.
    pub position: Position,
    /// Its call.
    pub call_id: Uuid,
    /// What the call would be priced by, where it has no price.
    pub unpriced: Option<Unpriced>,
}

/// A model that has no price, as a call names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unpriced {
    /// The model.
    pub model: Option<Name>,
    /// The provider.
    pub provider: Option<Name>,
}

/// Gives commands again for as long as the database is busy or away.
#[derive(Clone)]
struct Retry {
    on_wait: OnWait,
    patience: Duration,
}

impl Retry {
    async fn until_taken<T, E: std::error::Error + 'static, F>(&self, give: impl Fn() -> F) -> Result<T, Error<E>>
    where
        F: Future<Output = Result<T, Error<E>>>,
    {
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            match give().await {
                Err(error) if error.is_retryable() && tokio::time::Instant::now() < deadline => {
                    (self.on_wait)(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                given => return given,
            }
        }
    }
}

impl Ingest {
    /// Imports with the price book as it is now.
    #[must_use]
    pub fn new(
        commands: Commands,
        tenant: TenantId,
        actor: impl Into<String>,
        prices: Arc<commands::Loaded<PriceBook>>,
    ) -> Self {
        let retry = Retry { on_wait: Arc::new(|_| {}), patience: PATIENCE };
        Self { commands, tenant, actor: actor.into(), prices, known: HashSet::new(), retry }
    }

    /// Tells each time that the database is waited for.
    #[must_use]
    pub fn on_wait(mut self, on_wait: OnWait) -> Self {
        self.retry.on_wait = on_wait;
        self
    }

    /// Makes the record's agent and task known, and prepares its report.
    ///
    /// # Errors
    /// [`IngestError::Refused`] for a record that makes no call, [`IngestError::Agent`] and [`IngestError::Task`] when the
    /// log fails.
    pub async fn prepare(&mut self, record: Record) -> Result<Report, IngestError> {
        record.facts.check().map_err(IngestError::Refused)?;
        if self.known.len() > MAX_KNOWN {
            self.known.clear();
        }
        if let Some(agent) = &record.agent
            && self.known.insert(agent.id.0)
        {
            self.register(agent, &record).await.map_err(IngestError::Agent)?;
        }
        if let Some(task) = &record.task
            && self.known.insert(task.id.0)
        {
            self.submit(task, &record).await.map_err(IngestError::Task)?;
        }
        let facts = record.facts;
        let quote = match (&facts.model, facts.kind) {
            (Some(model), CallKind::Llm) => {
                let provider = facts.provider.as_ref().map(domain::Name::as_str);
                self.prices.state.quote(provider, model.as_str(), facts.started_at).cloned()
            }
            _ => None,
        };
        let context = self.context(command_id(record.call_id.0, &facts, quote.as_ref()));
        Ok(Report {
            commands: self.commands.clone(),
            context,
            id: record.call_id.0,
            command: CallCommand::Report { facts, quote },
            retry: self.retry.clone(),
        })
    }

    fn context(&self, command_id: Uuid) -> Context {
        Context::new(self.tenant.clone(), self.actor.clone(), command_id)
    }

    async fn register(&self, agent: &AgentRef, record: &Record) -> Result<(), Error<AgentError>> {
        let id = agent.id.0;
        let at = record.facts.started_at;
        let profile = Profile { name: agent.name.clone(), kind: None, model: None, labels: Labels::default() };
        let steps = [("register", AgentCommand::Register { profile, at }), ("activate", AgentCommand::Activate { at })];
        for (step, command) in steps {
            let context = self.context(derived_id(&["import", step, &id.to_string()]));
            let give = || self.commands.execute_on_new::<Agent>(&context, id, command.clone());
            match self.retry.until_taken(give).await {
                // It is known under another name, or was stopped since: what it did is recorded all the same.
                Ok(_) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Directly, without asking whether the agent takes work: this task was begun long ago.
    async fn submit(&self, task: &TaskRef, record: &Record) -> Result<(), Error<TaskError>> {
        let id = task.id.0;
        let at = record.facts.started_at;
        let spec = TaskSpec { title: task.title.clone(), agent_id: task.agent_id, dag_id: None };
        for (step, command) in [("submit", TaskCommand::Submit { spec, at }), ("start", TaskCommand::Start { at })] {
            let context = self.context(derived_id(&["import", step, &id.to_string()]));
            let give = || self.commands.execute_on_new::<Task>(&context, id, command.clone());
            match self.retry.until_taken(give).await {
                Ok(_) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Report {
    /// Gives the report, as often as it takes.
    ///
    /// # Errors
    /// [`IngestError::Refused`] when the call refuses it, [`IngestError::Call`] when the log fails.
    pub async fn give(self) -> Result<Reported, IngestError> {
        let give = || self.commands.execute_on_new(&self.context, self.id, self.command.clone());
        let outcome: Outcome<Call> = self.retry.until_taken(give).await.map_err(|error| match error {
            Error::Rejected(refused) => IngestError::Refused(refused),
            error => IngestError::Call(error),
        })?;
        let fate = match outcome.kind {
            OutcomeKind::Done if outcome.aggregate.version.get() == 1 => Fate::Imported,
            OutcomeKind::Done => Fate::Amended,
            OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => Fate::Duplicate,
        };
        let charged = outcome.aggregate.state.charged.as_ref();
        let unpriced = charged
            .filter(|charged| charged.is_unpriced())
            .map(|charged| Unpriced { model: charged.facts.model.clone(), provider: charged.facts.provider.clone() });
        Ok(Reported { fate, position: outcome.position, call_id: self.id, unpriced })
    }
}

/// The same for the same statement about the same call at the same price. With another price it is another command:
/// a call that had no price is charged when it is imported again after a price became known.
fn command_id(call_id: Uuid, facts: &domain::call::CallFacts, quote: Option<&Quote>) -> Uuid {
    let facts = serde_json::to_string(facts).unwrap_or_default();
    let quote = serde_json::to_string(&quote).unwrap_or_default();
    derived_id(&["import", "report", &call_id.to_string(), &facts, &quote])
}
