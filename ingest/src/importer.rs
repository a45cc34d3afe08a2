//! Turns records into commands.
//!
//! Many reports are in flight at once: reports of one call join to the same state in whatever order they arrive, and
//! conflicts are retried. Every command id is derived from the import, the run and the content of its command, so that
//! the same record read twice is the same command, and so that a command can be retried while the database is busy or
//! unreachable. That another run reports a record again is found in the state of the call.

use crate::connection::Connection;
use crate::item::{TraceSpans, TracedSpan};
use crate::outcome::{ImportError, ImportOutcome, Imported};
use crate::owners::Owners;
use crate::record::{AgentRef, Record, TaskRef};
use crate::report::{CallReport, report_call};
use crate::retry::{OnRetry, RetryPolicy};
use crate::traces::PreparedTrace;
use crate::unpriced::UnpricedModel;
use chrono::{DateTime, Utc};
use commands::{CallChange, CallOutcome, Commands, Context, Error, Loaded, OutcomeKind, Principal};
use domain::price_book::PriceBook;
use domain::tag_keys::{TagKeys, TagKeysError};
use domain::{CallId, ImportId};
use std::sync::Arc;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The maximum number of reports of one input in flight; a line that holds more in memory counts as several. The log commits what
/// waits for it in one transaction: with few in flight, its commits are small, and the processor is idle while they are written.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;

/// Imports records into the log of a tenant.
pub struct Importer {
    connection: Connection,
    prices: Arc<Loaded<PriceBook>>,
    /// The declared tag keys; none before the first record with tags.
    tag_keys: OnceCell<Arc<Loaded<TagKeys>>>,
    owners: Arc<Owners>,
}

/// A report that is ready to be sent.
pub struct PreparedReport {
    commands: Commands,
    context: Context,
    report: CallReport,
    retry: RetryPolicy,
}

impl Importer {
    /// Imports as `principal`, at the prices of the given version of the price book. Calls are counted under the tag keys that
    /// are declared when the first record with tags is prepared. All events have the id of the import as correlation id; what
    /// is imported under an id can be taken back by it.
    #[must_use]
    pub fn new(commands: Commands, principal: Principal, prices: Arc<Loaded<PriceBook>>, import_id: ImportId) -> Self {
        let (principal, retry, run_id) = (Arc::new(principal), RetryPolicy::default(), Uuid::now_v7());
        Self::of(Connection { commands, principal, retry, import_id: Some(import_id), run_id }, prices, Arc::default())
    }

    /// As [`Importer::new`], with agents and tasks that are known to exist.
    pub(crate) fn of(connection: Connection, prices: Arc<Loaded<PriceBook>>, owners: Arc<Owners>) -> Self {
        Self { connection, prices, tag_keys: OnceCell::new(), owners }
    }

    /// Sets a callback for retries: it gets the error before each one.
    #[must_use]
    pub fn on_retry(mut self, on_retry: OnRetry) -> Self {
        self.connection.retry.on_retry(on_retry);
        self
    }

    /// Creates the agent and the task of a record if necessary, and prepares its report. If the credential is bound to an
    /// agent, the call is of that agent, whatever agent the record names.
    ///
    /// # Errors
    /// [`ImportError::Refused`] if the facts are not those of a call; [`ImportError::Agent`] and [`ImportError::Task`]
    /// if a command cannot be executed; [`ImportError::TagKeys`] if the declared tag keys cannot be read.
    pub async fn prepare(&self, mut record: Record) -> Result<PreparedReport, ImportError> {
        if let Some(agent) = self.connection.principal.agent() {
            record.bind(agent);
        }
        record.facts.check().map_err(ImportError::Refused)?;
        let at = record.facts.started_at;
        self.owners.create(&self.connection, record.agent.as_ref(), record.task.as_ref(), at).await?;
        let has_tags = record.facts.tags.is_some();
        let Connection { import_id, run_id, .. } = self.connection;
        let report = CallReport::new(record.call_ids, record.facts, &self.prices.state);
        let mut report = match import_id {
            Some(import_id) => report.of_import(import_id, run_id),
            None => report,
        };
        if has_tags {
            let tag_keys = Box::pin(self.tag_keys()).await.map_err(ImportError::TagKeys)?;
            report = report.with_tag_keys(&tag_keys.state);
        }
        let context = self.connection.context(report.command_id());
        let Connection { commands, retry, .. } = self.connection.clone();
        Ok(PreparedReport { commands, context, report, retry })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Creates an agent and a task, unless they are known to exist.
    ///
    /// # Errors
    /// [`ImportError::Agent`] and [`ImportError::Task`] if a command cannot be executed.
    pub(crate) async fn create_owners(
        &self,
        agent: Option<&AgentRef>,
        task: Option<&TaskRef>,
        at: DateTime<Utc>,
    ) -> Result<(), ImportError> {
        self.owners.create(&self.connection, agent, task, at).await
    }

    async fn tag_keys(&self) -> Result<Arc<Loaded<TagKeys>>, Error<TagKeysError>> {
        let Connection { commands, principal, retry, .. } = &self.connection;
        let charging = principal.charging();
        let load = || commands.load::<TagKeys>(&charging, TagKeys::id());
        self.tag_keys.get_or_try_init(|| retry.run(load)).await.cloned()
    }

    /// Creates the agents and tasks of the spans if necessary, and prepares their report.
    ///
    /// # Errors
    /// As for [`Importer::prepare`].
    pub async fn prepare_trace(&self, mut trace: TraceSpans) -> Result<PreparedTrace, ImportError> {
        if let Some(agent) = self.connection.principal.agent() {
            trace.bind(agent);
        }
        // A span that does not say when it started may name the agent of the others.
        let oldest = trace.spans.iter().filter_map(TracedSpan::started_at).min();
        for span in &mut trace.spans {
            match span.started_at().or(oldest) {
                Some(at) => self.owners.create(&self.connection, span.agent.as_ref(), span.task.as_ref(), at).await?,
                // Nothing says when the agent existed: no call is named after it.
                None => span.clear_agent(),
            }
        }
        let prices = PriceBook::clone(&self.prices.state);
        Ok(PreparedTrace { connection: self.connection.clone(), prices, trace })
    }
}

impl PreparedReport {
    /// The ids that the report names its call by.
    pub(crate) fn call_ids(&self) -> impl Iterator<Item = CallId> {
        self.report.call_ids()
    }

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
            .map(|charged| UnpricedModel::of(&charged.facts, self.report.unpriced(&charged.facts).as_ref()));
        let CallOutcome { kind, position, call_id, is_new, change, voided, .. } = outcome;
        let outcome = match kind {
            OutcomeKind::Done if is_new => ImportOutcome::Imported,
            OutcomeKind::Done if change == CallChange::Reporters => ImportOutcome::Duplicate,
            OutcomeKind::Done => ImportOutcome::Amended,
            OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => ImportOutcome::Duplicate,
        };
        Ok(Imported { outcome, position, call_id, voided, unpriced })
    }
}
