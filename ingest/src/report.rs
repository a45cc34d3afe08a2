//! Reports calls: the one place where the price of a call is looked up and the command is executed.

use crate::call_id::import_command_id;
use commands::{Commands, Context, Error, Outcome};
use domain::call::{Call, CallCommand, CallError, CallFacts};
use domain::price_book::{PriceBook, Quote};
use domain::{CallId, Name};
use uuid::Uuid;

/// A report of a call, with the price of its model.
#[derive(Debug, Clone)]
pub struct CallReport {
    call_id: CallId,
    facts: CallFacts,
    quote: Option<Quote>,
}

impl CallReport {
    /// Looks up the price that the call's model had when the call started. A call without a model, or whose model has
    /// no price, is reported without one.
    #[must_use]
    pub fn new(call_id: CallId, facts: CallFacts, prices: &PriceBook) -> Self {
        let provider = facts.provider.as_ref().map(Name::as_str);
        let model = facts.model.as_ref().map(Name::as_str);
        let quote = model.and_then(|model| prices.quote(provider, model, facts.started_at)).cloned();
        Self { call_id, facts, quote }
    }

    /// The command id of the report, derived from its content: the same facts of the same call at the same price are
    /// the same command. A call that had no price is charged when it is imported again after its price was set.
    #[must_use]
    pub fn command_id(&self) -> Uuid {
        let facts = serde_json::to_string(&self.facts).unwrap_or_default();
        let quote = serde_json::to_string(&self.quote).unwrap_or_default();
        import_command_id("report", &[&self.call_id.to_string(), &facts, &quote])
    }
}

/// Reports a call.
///
/// # Errors
/// [`Error::Rejected`] if the call refuses the facts, and the other variants if the command cannot be executed.
pub async fn report_call(
    commands: &Commands,
    context: &Context,
    report: &CallReport,
) -> Result<Outcome<Call>, Error<CallError>> {
    let command = CallCommand::Report { facts: report.facts.clone(), quote: report.quote.clone() };
    commands.execute_on_new(context, report.call_id.0, command).await
}
