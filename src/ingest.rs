//! From records of an import to commands.
//!
//! Records are reported with many in flight, in any order: reports of one call join to the same state however they
//! arrive, and conflicts are tried again. Every command id is derived from what it says, so the same record imported
//! twice is the same command.

use crate::import::{AgentRef, Record, TaskRef};
use commands::{Commands, Context, Error, Outcome, OutcomeKind};
use domain::agent::{Agent, AgentCommand, AgentError, Profile};
use domain::call::{Call, CallCommand, CallError, CallKind};
use domain::price_book::{PriceBook, Quote};
use domain::task::{Task, TaskCommand, TaskError, TaskSpec};
use domain::{Labels, TenantId, derived_id};
use std::collections::HashSet;
use std::sync::Arc;
use streams::Position;
use thiserror::Error as ThisError;
use uuid::Uuid;

/// Reports in flight at once.
pub const MAX_IN_FLIGHT: usize = 256;
/// Agents and tasks remembered as known; beyond, they are asked for again, which changes nothing.
const MAX_KNOWN: usize = 100_000;

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

/// Turns records into commands.
pub struct Ingest {
    commands: Commands,
    tenant: TenantId,
    actor: String,
    prices: Arc<commands::Loaded<PriceBook>>,
    known: HashSet<Uuid>,
}

/// A report that is ready to be given.
pub struct Report {
    commands: Commands,
    context: Context,
    id: Uuid,
    command: CallCommand,
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
        Self { commands, tenant, actor: actor.into(), prices, known: HashSet::new() }
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
            match self.commands.execute_on_new::<Agent>(&context, id, command).await {
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
            match self.commands.execute_on_new::<Task>(&context, id, command).await {
                Ok(_) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Report {
    /// Gives the report.
    ///
    /// # Errors
    /// [`IngestError::Refused`] when the call refuses it, [`IngestError::Call`] when the log fails.
    pub async fn give(self) -> Result<(Fate, Position), IngestError> {
        let outcome: Outcome<Call> =
            self.commands.execute_on_new(&self.context, self.id, self.command).await.map_err(|error| match error {
                Error::Rejected(refused) => IngestError::Refused(refused),
                error => IngestError::Call(error),
            })?;
        let fate = match outcome.kind {
            OutcomeKind::Done if outcome.aggregate.version.get() == 1 => Fate::Imported,
            OutcomeKind::Done => Fate::Amended,
            OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => Fate::Duplicate,
        };
        Ok((fate, outcome.position))
    }
}

/// The same for the same statement about the same call at the same price. With another price it is another command:
/// a call that had no price is charged when it is imported again after a price became known.
fn command_id(call_id: Uuid, facts: &domain::call::CallFacts, quote: Option<&Quote>) -> Uuid {
    let facts = serde_json::to_string(facts).unwrap_or_default();
    let quote = serde_json::to_string(&quote).unwrap_or_default();
    derived_id(&["import", "report", &call_id.to_string(), &facts, &quote])
}
