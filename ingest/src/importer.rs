//! Turns records into commands.
//!
//! Many reports are in flight at once, in any order: reports of one call join to the same state however they arrive,
//! and conflicts are retried. Every command id is derived from the content of its command, so that the same record
//! imported twice is the same command, and so that a command can be retried while the database is busy or unreachable.

use crate::owners::Owners;
use crate::record::{Record, TraceSpans};
use crate::report::{CallReport, report_call};
use crate::retry::{OnRetry, RetryPolicy};
use crate::traces::PreparedTrace;
use crate::unpriced::UnpricedModel;
use commands::{CallOutcome, Commands, Context, Error, Loaded, OutcomeKind, Position, Principal};
use domain::CallId;
use domain::agent::AgentError;
use domain::call::CallError;
use domain::price_book::PriceBook;
use domain::tag_keys::{TagKeys, TagKeysError};
use domain::task::TaskError;
use domain::trace::TraceError;
use std::sync::Arc;
use thiserror::Error as ThisError;
use tokio::sync::OnceCell;
use uuid::Uuid;

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
    /// The spans of a trace could not be recorded.
    #[error("the spans cannot be recorded")]
    Trace(#[source] Error<TraceError>),
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
    tag_keys: OnceCell<Arc<Loaded<TagKeys>>>,
    owners: Arc<Owners>,
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
        Self::of(commands, Arc::new(principal), prices, Arc::default(), RetryPolicy::default())
    }

    /// As [`Importer::new`], with agents and tasks that are known to exist.
    pub(crate) fn of(
        commands: Commands,
        principal: Arc<Principal>,
        prices: Arc<Loaded<PriceBook>>,
        owners: Arc<Owners>,
        retry: RetryPolicy,
    ) -> Self {
        Self { commands, principal, prices, tag_keys: OnceCell::new(), owners, retry }
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
    pub async fn prepare(&self, record: Record) -> Result<PreparedReport, ImportError> {
        record.facts.check().map_err(ImportError::Refused)?;
        let at = record.facts.started_at;
        self.owners.create(self, record.agent.as_ref(), record.task.as_ref(), at).await?;
        let has_tags = record.facts.tags.is_some();
        let mut report = CallReport::new(record.call_ids, record.facts, &self.prices.state);
        if has_tags {
            report = report.with_tag_keys(&self.tag_keys().await.map_err(ImportError::TagKeys)?.state);
        }
        let context = self.context(report.command_id());
        Ok(PreparedReport { commands: self.commands.clone(), context, report, retry: self.retry.clone() })
    }

    async fn tag_keys(&self) -> Result<Arc<Loaded<TagKeys>>, Error<TagKeysError>> {
        let load = || self.commands.load::<TagKeys>(&self.principal, TagKeys::id());
        self.tag_keys.get_or_try_init(|| self.retry.run(load)).await.cloned()
    }

    /// Creates the agents and tasks of the spans if necessary, and prepares their report.
    ///
    /// # Errors
    /// As for [`Importer::prepare`].
    pub async fn prepare_trace(&self, trace: TraceSpans) -> Result<PreparedTrace, ImportError> {
        for span in &trace.spans {
            if let Some(facts) = span.facts() {
                self.owners.create(self, span.agent.as_ref(), span.task.as_ref(), facts.started_at).await?;
            }
        }
        let (commands, principal) = (self.commands.clone(), self.principal.clone());
        let prices = PriceBook::clone(&self.prices.state);
        Ok(PreparedTrace { commands, principal, prices, trace, retry: self.retry.clone() })
    }

    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    pub(crate) fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    pub(crate) fn context(&self, command_id: Uuid) -> Context {
        Context::new(self.principal.clone(), command_id)
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
