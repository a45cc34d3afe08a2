//! Turns records into commands.
//!
//! Many reports are in flight at once, in any order: reports of one call join to the same state however they arrive,
//! and conflicts are retried. Every command id is derived from the content of its command, so that the same record
//! imported twice is the same command, and so that a command can be retried while the database is busy or unreachable.

use crate::call_id::import_command_id;
use crate::record::{AgentRef, Record, TaskRef};
use crate::report::{CallReport, report_call};
use crate::retry::{OnRetry, RetryPolicy};
use crate::unpriced::UnpricedModel;
use commands::{CallOutcome, Commands, Context, Error, Loaded, OutcomeKind, Position, Principal};
use domain::agent::{Agent, AgentCommand, AgentError, Profile};
use domain::call::CallError;
use domain::price_book::PriceBook;
use domain::tag_keys::{TagKeys, TagKeysError};
use domain::task::{Task, TaskCommand, TaskError, TaskSpec};
use domain::{CallId, Labels};
use std::collections::HashSet;
use std::sync::Arc;
use thiserror::Error as ThisError;
use uuid::Uuid;

/// The maximum number of agents and tasks remembered as created. Beyond it they are created again, which changes
/// nothing.
const MAX_CREATED: usize = 100_000;

/// The effect of an imported record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The call was new.
    Imported,
    /// The call was known, and the record added to it, or showed that two calls are one.
    Amended,
    /// The record added nothing.
    Duplicate,
}

/// Why a record was not imported.
#[derive(Debug, ThisError)]
pub enum ImportError {
    /// The call refuses the record. Other records may be imported.
    #[error("the call is refused: {0}")]
    Refused(CallError),
    /// The call could not be recorded, so that no other record can be either.
    #[error("the call cannot be recorded")]
    Call(#[source] Error<CallError>),
    /// The agent of the record could not be registered.
    #[error("the agent cannot be registered")]
    Agent(#[source] Error<AgentError>),
    /// The task of the record could not be submitted.
    #[error("the task cannot be submitted")]
    Task(#[source] Error<TaskError>),
    /// The declared tag keys could not be read.
    #[error("the declared tag keys cannot be read")]
    TagKeys(#[source] Error<TagKeysError>),
}

/// Imports records into the log of a tenant.
pub struct Importer {
    commands: Commands,
    principal: Arc<Principal>,
    prices: Arc<Loaded<PriceBook>>,
    /// The declared tag keys; none before the first record with tags.
    tag_keys: Option<Arc<Loaded<TagKeys>>>,
    /// The ids of agents and tasks that this importer has created.
    created: HashSet<Uuid>,
    retry: RetryPolicy,
}

/// A report that is ready to be sent.
pub struct PreparedReport {
    commands: Commands,
    context: Context,
    report: CallReport,
    retry: RetryPolicy,
}

/// The result of an imported record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The effect of the record.
    pub outcome: ImportOutcome,
    /// The position of the call's last event.
    pub position: Position,
    /// The id of the call.
    pub call_id: CallId,
    /// The ids of other calls that the record showed to be this one.
    pub voided: Vec<CallId>,
    /// The model of the call, if no price is known for it.
    pub unpriced: Option<UnpricedModel>,
}

impl Importer {
    /// Imports as `principal`, at the prices of the given version of the price book. Calls are counted under the tag keys that
    /// are declared when the first record with tags is prepared.
    #[must_use]
    pub fn new(commands: Commands, principal: Principal, prices: Arc<Loaded<PriceBook>>) -> Self {
        let (created, retry) = (HashSet::new(), RetryPolicy::default());
        Self { commands, principal: Arc::new(principal), prices, tag_keys: None, created, retry }
    }

    /// Sets a callback for retries: it gets the error before each one.
    #[must_use]
    pub fn on_retry(mut self, on_retry: OnRetry) -> Self {
        self.retry.on_retry(on_retry);
        self
    }

    /// Creates the agent and the task of a record if necessary, and prepares its report.
    ///
    /// # Errors
    /// [`ImportError::Refused`] if the facts are not those of a call; [`ImportError::Agent`] and [`ImportError::Task`]
    /// if a command cannot be executed; [`ImportError::TagKeys`] if the declared tag keys cannot be read.
    pub async fn prepare(&mut self, record: Record) -> Result<PreparedReport, ImportError> {
        record.facts.check().map_err(ImportError::Refused)?;
        if self.created.len() > MAX_CREATED {
            self.created.clear();
        }
        if let Some(agent) = &record.agent
            && !self.created.contains(&agent.id.0)
        {
            self.register(agent, &record).await.map_err(ImportError::Agent)?;
            self.created.insert(agent.id.0);
        }
        if let Some(task) = &record.task
            && !self.created.contains(&task.id.0)
        {
            self.submit(task, &record).await.map_err(ImportError::Task)?;
            self.created.insert(task.id.0);
        }
        let has_tags = record.facts.tags.is_some();
        let mut report = CallReport::new(record.call_ids, record.facts, &self.prices.state);
        if has_tags {
            report = report.with_tag_keys(&self.tag_keys().await.map_err(ImportError::TagKeys)?.state);
        }
        let context = self.context(report.command_id());
        Ok(PreparedReport { commands: self.commands.clone(), context, report, retry: self.retry.clone() })
    }

    async fn tag_keys(&mut self) -> Result<Arc<Loaded<TagKeys>>, Error<TagKeysError>> {
        if let Some(known) = &self.tag_keys {
            return Ok(known.clone());
        }
        let load = || self.commands.load::<TagKeys>(&self.principal, TagKeys::id());
        let loaded = self.retry.run(load).await?;
        Ok(self.tag_keys.insert(loaded).clone())
    }

    fn context(&self, command_id: Uuid) -> Context {
        Context::new(self.principal.clone(), command_id)
    }

    async fn register(&self, agent: &AgentRef, record: &Record) -> Result<(), Error<AgentError>> {
        let id = agent.id.0;
        let at = record.facts.started_at;
        let profile = Profile { name: agent.name.clone(), kind: None, model: None, labels: Labels::default() };
        let steps = [("register", AgentCommand::Register { profile, at }), ("activate", AgentCommand::Activate { at })];
        for (step, command) in steps {
            let context = self.context(import_command_id(step, &[&id.to_string()]));
            let attempt = || self.commands.execute_on_new::<Agent>(&context, id, command.clone());
            match self.retry.run(attempt).await {
                // The agent has another name, or was stopped since: its calls are recorded all the same.
                Ok(_) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Submits and starts the task without checking whether its agent accepts work: the task started in the past.
    async fn submit(&self, task: &TaskRef, record: &Record) -> Result<(), Error<TaskError>> {
        let id = task.id.0;
        let at = record.facts.started_at;
        let spec = TaskSpec { title: task.title.clone(), agent_id: task.agent_id, dag_id: None };
        for (step, command) in [("submit", TaskCommand::Submit { spec, at }), ("start", TaskCommand::Start { at })] {
            let context = self.context(import_command_id(step, &[&id.to_string()]));
            let attempt = || self.commands.execute_on_new::<Task>(&context, id, command.clone());
            match self.retry.run(attempt).await {
                Ok(_) | Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl PreparedReport {
    /// Sends the report, and retries it while the database is busy or unreachable.
    ///
    /// # Errors
    /// [`ImportError::Refused`] if the call refuses the report; [`ImportError::Call`] if the command cannot be
    /// executed.
    pub async fn send(self) -> Result<Imported, ImportError> {
        let attempt = || report_call(&self.commands, &self.context, &self.report);
        let outcome = self.retry.run(attempt).await.map_err(|error| match error {
            Error::Rejected(refused) => ImportError::Refused(refused),
            error => ImportError::Call(error),
        })?;
        let unpriced = outcome
            .call
            .charged
            .as_ref()
            .filter(|charged| charged.is_unpriced())
            .map(|charged| UnpricedModel::of(&charged.facts, self.report.unpriced(&charged.facts)));
        let CallOutcome { kind, position, call_id, is_new, voided, .. } = outcome;
        let outcome = match kind {
            OutcomeKind::Done if is_new => ImportOutcome::Imported,
            OutcomeKind::Done => ImportOutcome::Amended,
            OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => ImportOutcome::Duplicate,
        };
        Ok(Imported { outcome, position, call_id, voided, unpriced })
    }
}
