//! Reports calls: the one place where the price book and the declared tag keys meet the facts of a call and the command is
//! executed.

use crate::call_id::import_command_id;
use chrono::{DateTime, Utc};
use commands::{CallOutcome, Commands, Context, Error, Settlement};
use domain::call::{CallCommand, CallError, CallFacts, CallIds, Reporters, Tags};
use domain::price_book::{PriceBook, Unpriced};
use domain::reservation::{Holder, ReservationError};
use domain::tag_keys::TagKeys;
use domain::{CallId, ImportId, ReservationId, TagKey};
use std::sync::Arc;
use uuid::Uuid;

/// A report of a call, with the price book that it is charged by and the tag keys that it is counted under.
#[derive(Debug, Clone)]
pub struct CallReport {
    call_ids: CallIds,
    facts: CallFacts,
    prices: PriceBook,
    tag_keys: TagKeys,
    import: Option<(ImportId, Uuid)>,
}

impl CallReport {
    /// A report of the call that some ids name, which is charged at the price that its model had when it started. A call
    /// without a model, or whose model has no price, is reported without a charge.
    #[must_use]
    pub fn new(call_ids: impl Into<CallIds>, facts: CallFacts, prices: &PriceBook) -> Self {
        Self { call_ids: call_ids.into(), facts, prices: prices.clone(), tag_keys: TagKeys::default(), import: None }
    }

    /// A report that belongs to an import, by one of its runs. Without this, it belongs to none.
    #[must_use]
    pub fn of_import(self, import_id: ImportId, run_id: Uuid) -> Self {
        Self { import: Some((import_id, run_id)), ..self }
    }

    /// Counts the call by the values of those of its tags whose keys are declared. Without this, no key is.
    #[must_use]
    pub fn with_tag_keys(self, tag_keys: &TagKeys) -> Self {
        Self { tag_keys: tag_keys.clone(), ..self }
    }

    /// The command id of the report, derived from its content: the same facts of the same call at the same price, counted
    /// under the same tag keys, are the same command. A call that had no price is charged when it is imported again after its
    /// price was set, and counted under a key when it is imported again after the key was declared.
    #[must_use]
    pub fn command_id(&self) -> Uuid {
        let facts = serde_json::to_string(&self.facts).unwrap_or_default();
        let quote = self.facts.pricing().and_then(|call| {
            let quote = self.prices.quote(call.provider, call.model, call.started_at, None);
            quote.ok().map(|found| found.quote.book_version.to_string())
        });
        let ids: Vec<_> = self.call_ids.iter().map(|id| id.to_string()).collect();
        let (ids, quote) = (ids.join(" "), quote.unwrap_or_default());
        let tag_keys = self.facts.tags.iter().flat_map(Tags::iter).map(|(key, _)| key);
        let mut content = vec![ids.as_str(), &facts, &quote];
        content.extend(tag_keys.filter(|key| self.tag_keys.is_declared(key)).map(TagKey::as_str));
        let import = self.import.map(|(import_id, run_id)| format!("{import_id} {run_id}"));
        content.extend(import.as_deref());
        import_command_id("report", &content)
    }

    /// The command of the report, by a price book.
    fn command(&self, prices: &PriceBook) -> CallCommand {
        let (facts, tag_keys) = (self.facts.clone(), self.tag_keys.clone());
        let reported_by = Reporters::of(self.import.map(|(import_id, _)| import_id));
        CallCommand::Report { facts, prices: prices.clone(), tag_keys, reported_by }
    }

    /// The ids that name the call.
    pub(crate) fn call_ids(&self) -> impl Iterator<Item = CallId> {
        self.call_ids.iter()
    }

    /// Why these facts of the call have no price; none if they have one, or name no model.
    pub(crate) fn unpriced(&self, facts: &CallFacts) -> Option<Unpriced> {
        facts.unpriced(&self.prices)
    }
}

/// Reports a call. If the ids of the report name several calls, they are one call from then on.
///
/// If the call was charged by a later version of the price book than that of the report, it is reported once more with
/// the newest version.
///
/// # Errors
/// [`Error::Rejected`] if the call refuses the facts, and the other variants if the command cannot be executed.
pub async fn report_call(
    commands: &Commands,
    context: &Context,
    report: &CallReport,
) -> Result<CallOutcome, Error<CallError>> {
    match execute(commands, context, report, &report.prices).await {
        Err(Error::Rejected(outdated @ CallError::PriceBookOutdated { .. })) => {
            let newest = newest_prices(commands, context, outdated).await?;
            Box::pin(execute(commands, context, report, &newest)).await
        }
        executed => executed,
    }
}

/// The newest version of the price book, after a report was rejected because its own is outdated.
async fn newest_prices<E: std::error::Error + 'static>(
    commands: &Commands,
    context: &Context,
    outdated: E,
) -> Result<Arc<PriceBook>, Error<E>> {
    let newest = commands.load::<PriceBook>(&context.principal.charging(), PriceBook::id()).await;
    // A load is never rejected.
    newest.map(|loaded| loaded.state.clone()).map_err(|error| error.map_rejected(|_| outdated))
}

async fn execute(
    commands: &Commands,
    context: &Context,
    report: &CallReport,
    prices: &PriceBook,
) -> Result<CallOutcome, Error<CallError>> {
    commands.execute_call(context, &report.call_ids, &report.command(prices)).await
}

/// Reports a call that settles a reservation at a time of the server, and is otherwise reported as by [`report_call`].
///
/// # Errors
/// [`Error::Rejected`] if the reservation or the call refuses, and the other variants if the command cannot be executed.
pub async fn settle_call(
    commands: &Commands,
    context: &Context,
    report: &CallReport,
    (reservation_id, by): (ReservationId, Holder),
    at: DateTime<Utc>,
) -> Result<CallOutcome, Error<ReservationError>> {
    let call_ids = report.call_ids.clone();
    let settlement = Settlement { call_ids, report: report.command(&report.prices), reservation_id, by, at };
    match commands.settle_call(context, &settlement).await {
        Err(Error::Rejected(ReservationError::Call(outdated @ CallError::PriceBookOutdated { .. }))) => {
            let newest = newest_prices(commands, context, ReservationError::Call(outdated)).await?;
            let settlement = Settlement { report: report.command(&newest), ..settlement };
            Box::pin(commands.settle_call(context, &settlement)).await
        }
        settled => settled,
    }
}
