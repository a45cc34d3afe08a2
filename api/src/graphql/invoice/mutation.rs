//! Commands to invoices.

use super::types::{Invoice, InvoiceFormat};
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, MaySend, command_input};
use crate::graphql::errors;
use crate::graphql::freshness::await_projections;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, payload};
use crate::graphql::price::Meter;
use crate::graphql::scalars::{Decimal, Position, Timestamp, Uid, or_now};
use crate::graphql::services::{authorise, requester, services};
use async_graphql::{Context, InputObject, Object, Result};
use chrono::NaiveDate;
use domain::invoice::{
    Figure, Invoice as Aggregate, InvoiceCommand, InvoiceError, InvoiceHeader, InvoiceLine, ReconcileError,
};
use domain::permissions::{ReadInvoices, ReadReports};
use domain::price_book::PriceBook;
use domain::{Currency, Money, parse_day};
use projections::ChargesError;
use projections::invoices::{MAX_REQUEST_CALLS, OpenReconciliation, ReconciliationError};

command_error! {
    /// Reason for which a command to an invoice was rejected.
    InvoiceCommandError,
    /// Reasons for which a command to an invoice is rejected.
    InvoiceErrorCode {
        /// No invoice is recorded under this id.
        NotRecorded,
        /// The invoice was withdrawn.
        Withdrawn,
        /// The invoice was withdrawn before, for another reason.
        WithdrawnOtherwise,
        /// Not all lines of the invoice are recorded.
        Incomplete,
        /// Other lines were recorded meanwhile: compare the invoice again.
        OtherLines,
        /// A comparison with later calls was recorded meanwhile: compare the invoice again.
        Outdated,
        /// The period has no day, or more than 366, or is not within the years 1970 to 2199.
        Period,
        /// There are no lines, or more than 2,000 in the command or 100,000 in the invoice.
        NumberOfLines,
        /// The lines do not follow those that are recorded.
        Gap,
        /// A line states nothing, is out of range, or is of a day outside the period.
        Line,
        /// The lines are not as many, do not add up to the amount, or do not have the hash that the input says.
        NotAsStated,
        /// There are more calls, or more combinations of day, model, meter and rate, than are compared.
        TooManyCalls,
        /// There are more than 10,000 variances.
        TooManyVariances,
    }
}

impl From<InvoiceError> for InvoiceCommandError {
    fn from(error: InvoiceError) -> Self {
        let code = match error {
            InvoiceError::NotRecorded => InvoiceErrorCode::NotRecorded,
            InvoiceError::Withdrawn => InvoiceErrorCode::Withdrawn,
            InvoiceError::AlreadyWithdrawn => InvoiceErrorCode::WithdrawnOtherwise,
            InvoiceError::Incomplete { .. } => InvoiceErrorCode::Incomplete,
            InvoiceError::OtherLines | InvoiceError::OtherInvoice => InvoiceErrorCode::OtherLines,
            InvoiceError::Outdated { .. } => InvoiceErrorCode::Outdated,
            InvoiceError::Period { .. } => InvoiceErrorCode::Period,
            InvoiceError::NumberOfLines { .. } | InvoiceError::LinesOfCommand { .. } => InvoiceErrorCode::NumberOfLines,
            InvoiceError::Gap { .. } => InvoiceErrorCode::Gap,
            InvoiceError::Empty { .. }
            | InvoiceError::OutOfRange { .. }
            | InvoiceError::DayOutsidePeriod { .. }
            | InvoiceError::AmountPlaces(_) => InvoiceErrorCode::Line,
            InvoiceError::TooManyLines { .. } | InvoiceError::NotTheAmount { .. } | InvoiceError::NotTheContent => {
                InvoiceErrorCode::NotAsStated
            }
        };
        Self::new(code, error)
    }
}

payload! {
    /// Payload of the mutations of an invoice.
    InvoicePayload {
        /// The invoice as of `position`. If the command was rejected, the invoice as it is now.
        invoice: Invoice, error: InvoiceCommandError
    }
}

/// A line of an invoice. It states a quantity, an amount, or both.
#[derive(Debug, InputObject)]
pub(crate) struct InvoiceLineInput {
    /// Where it is in the file: the number of the line, or of the item of a list, from 1.
    line: i32,
    /// Day (UTC), such as `2026-03-01`.
    day: String,
    /// Model as the invoice names it. Default: the line is of all models.
    model: Option<String>,
    /// What was billed. Default: the line is of all meters.
    meter: Option<Meter>,
    /// Quantity in the unit of the meter. Default: the invoice states none.
    quantity: Option<Decimal>,
    /// Amount in US dollars. Default: the invoice states none.
    amount: Option<Decimal>,
    /// Tier that the invoice states, such as `batch`. Default: none.
    tier: Option<String>,
    /// What else tells equal lines apart, such as a project, a workspace or a key. Default: nothing.
    reference: Option<String>,
}

fn count(field: &'static str, number: i32) -> Result<u32, Invalid> {
    u32::try_from(number).map_err(|_| Invalid::new(field, format!("{number} is below zero")))
}

fn day(field: &'static str, text: &str) -> Result<NaiveDate, Invalid> {
    parse_day(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Invalid::new(field, format!("{shown:?} is not a day such as 2026-03-01"))
    })
}

fn figure(field: &'static str, number: &Decimal) -> Result<Figure, Invalid> {
    let money = Money::try_from(number).map_err(|error| Invalid::new(field, error))?;
    Figure::parse(&money.to_string()).map_err(|error| Invalid::new(field, error))
}

impl InvoiceLineInput {
    fn parse(self) -> Result<InvoiceLine, Invalid> {
        const FIELD: &str = "lines";
        let figure = |number: Option<Decimal>| number.map(|number| figure(FIELD, &number)).transpose();
        Ok(InvoiceLine {
            line: count(FIELD, self.line)?,
            day: day(FIELD, &self.day)?,
            model: input::name_opt(FIELD, self.model)?,
            meter: self.meter.map(Into::into),
            quantity: figure(self.quantity)?,
            amount: figure(self.amount)?,
            tier: input::name_opt(FIELD, self.tier)?,
            reference: input::name_opt(FIELD, self.reference)?,
        })
    }
}

/// Input of `recordInvoice`.
#[derive(Debug, InputObject)]
pub(crate) struct RecordInvoiceInput {
    /// Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
    /// position of the first execution. A key that was used for another mutation, object or input is rejected with
    /// `COMMAND_ID_REUSED`. Default: a new UUID.
    command_id: Option<Uid>,
    /// Provider that issued the invoice, by its name in price tables, such as `openai`.
    provider: String,
    /// Account that is billed, where there are several. Default: none.
    account: Option<String>,
    /// Id that the provider gave the invoice. Default: none; the invoice is that of its account and period.
    number: Option<String>,
    /// First day (UTC) of the period, such as `2026-03-01`.
    from: String,
    /// Day (UTC) after the last one of the period: it has at most 366 days.
    to: String,
    /// Form in which the invoice was stated.
    format: InvoiceFormat,
    /// Name of the file that it was read from. Default: none.
    file: Option<String>,
    /// Number of all lines of the invoice, at most 100,000.
    line_count: i32,
    /// Sum of the amounts of all lines, in US dollars.
    amount: Decimal,
    /// Number of decimal places that amounts are rounded to, from 0 to 12.
    amount_places: i32,
    /// Hash of all lines, as docs/invoices.md says.
    content: Uid,
    /// Number of the first of these lines among all lines of the invoice, from 1. Default: 1.
    first_line: Option<i32>,
    /// Consecutive lines, at most 2,000. Those of a longer invoice are sent by several mutations, with the same header.
    lines: Vec<InvoiceLineInput>,
    /// Time at which the invoice was recorded. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// The header, the number of the first line, and the lines.
type Recorded = (InvoiceHeader, u32, Vec<InvoiceLine>);

impl RecordInvoiceInput {
    fn parse(self) -> Result<Recorded, Invalid> {
        let places = u8::try_from(self.amount_places);
        let places = places.map_err(|_| Invalid::new("amountPlaces", "it is a number from 0 to 12"))?;
        let header = InvoiceHeader {
            provider: input::name("provider", self.provider)?,
            account: input::name_opt("account", self.account)?,
            number: input::name_opt("number", self.number)?,
            from: day("from", &self.from)?,
            to: day("to", &self.to)?,
            currency: Currency::Usd,
            format: self.format.into(),
            file: input::name_opt("file", self.file)?,
            lines: count("lineCount", self.line_count)?,
            amount: figure("amount", &self.amount)?,
            amount_places: places,
            content: self.content.0,
        };
        let first = count("firstLine", self.first_line.unwrap_or(1))?;
        let lines = self.lines.into_iter().map(InvoiceLineInput::parse).collect::<Result<_, _>>()?;
        Ok((header, first, lines))
    }
}

command_input! {
    /// Input of `reconcileInvoice`.
    ReconcileInvoiceInput {
        /// Global id or UUID of the invoice.
        id: Invoice,
        /// Amount in US dollars by which rounding may change each line. Default: half a unit of the last decimal place that the
        /// amounts of the invoice have.
        tolerance: Option<Decimal>,
        /// Waits up to 10 seconds until the read model of calls has applied every event up to this position, and fails with
        /// `LATE` if it has not. Default: does not wait.
        min_position: Option<Position>,
    }
}

command_input! {
    /// Input of `withdrawInvoice`.
    WithdrawInvoiceInput {
        /// Global id or UUID of the invoice.
        id: Invoice,
        /// Why it is withdrawn: text of at most 64 KiB.
        reason: String,
    }
}

/// Commands to invoices.
#[derive(Default)]
pub(crate) struct InvoiceMutation;

#[Object]
impl InvoiceMutation {
    /// Records an invoice of a provider, or the next lines of one. The same invoice again has no effect; another one under the same
    /// number, or of the same account and period, replaces the one that was recorded before.
    async fn record_invoice(&self, ctx: &Context<'_>, input: RecordInvoiceInput) -> Result<InvoicePayload> {
        let (may_send, command_id, at) = (MaySend::check(ctx)?, input.command_id, or_now(input.at));
        let parsed = input.parse();
        // Of input that is not valid, there is no invoice: the command is rejected before it has a target.
        let target = parsed.as_ref().map_or_else(|_| uuid::Uuid::nil(), |(header, ..)| header.id().0);
        let options = CommandOptions { may_send, target, command_id, expected_version: None, at };
        let command = parsed.map(|(header, first, lines)| InvoiceCommand::Record { header, first, lines, at });
        execute(ctx, options, command.map_err(Into::into)).await
    }

    /// Compares an invoice with the calls that were charged in its period, and records how they differ, by cause. At most 500,000
    /// calls are compared; the command line on the database compares any number. It takes `read:invoices` and `read:reports`
    /// too.
    async fn reconcile_invoice(&self, ctx: &Context<'_>, input: ReconcileInvoiceInput) -> Result<InvoicePayload> {
        let options = input.options(ctx)?;
        let tolerance = input.tolerance.as_ref().map(tolerance).transpose();
        let command = match tolerance {
            Ok(tolerance) => reconcile(ctx, options, tolerance, input.min_position).await?,
            Err(invalid) => Err(invalid.into()),
        };
        execute(ctx, options, command).await
    }

    /// Withdraws an invoice, such as one that was recorded under a wrong account. It stays in the log, and can be recorded again.
    async fn withdraw_invoice(&self, ctx: &Context<'_>, input: WithdrawInvoiceInput) -> Result<InvoicePayload> {
        let options = input.options(ctx)?;
        let command = input::body("reason", input.reason);
        let command = command.map(|reason| InvoiceCommand::Withdraw { reason, at: options.at });
        execute(ctx, options, command.map_err(Into::into)).await
    }
}

fn tolerance(number: &Decimal) -> Result<Figure, Invalid> {
    let tolerance = figure("tolerance", number)?;
    if tolerance < Figure::ZERO { Err(Invalid::new("tolerance", "it is below zero")) } else { Ok(tolerance) }
}

/// Compares an invoice. That it cannot be compared is a rejection; that the calls cannot be read is an error.
async fn reconcile(
    ctx: &Context<'_>,
    options: CommandOptions,
    tolerance: Option<Figure>,
    min_position: Option<Position>,
) -> Result<Result<InvoiceCommand, InvoiceCommandError>> {
    let (invoices, reports) = (authorise::<ReadInvoices>(ctx)?, authorise::<ReadReports>(ctx)?);
    let (services, principal) = (services(ctx)?, &requester(ctx)?.principal);
    await_projections(ctx, &["calls"], min_position).await?;
    let compared = async {
        let permit = services.reconciliations.permit(principal.tenant()).await?;
        let from = (&services.events, &services.reads);
        let open = OpenReconciliation::open(from, &invoices, &reports, options.target).await?;
        // After the snapshot, so that it has every version by which a call of the snapshot was charged.
        let book = services.commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await;
        let book = match book {
            Ok(book) => PriceBook::clone(&book.state),
            Err(error) => return Ok(Err(errors::failed(&error))),
        };
        open.reconcile(book, tolerance, MAX_REQUEST_CALLS, permit).await.map(Ok)
    };
    match compared.await {
        Ok(compared) => Ok(Ok(InvoiceCommand::Reconcile { reconciliation: compared?, at: options.at })),
        Err(ReconciliationError::Invoice(error)) => Ok(Err(error.into())),
        Err(ReconciliationError::Charges(error @ (ChargesError::TooManyCalls { .. } | ChargesError::Expected(_)))) => {
            Ok(Err(InvoiceCommandError::new(InvoiceErrorCode::TooManyCalls, error)))
        }
        Err(ReconciliationError::Reconcile(error @ ReconcileError::TooManyVariances { .. })) => {
            Ok(Err(InvoiceCommandError::new(InvoiceErrorCode::TooManyVariances, error)))
        }
        Err(error) => Err(errors::reconciliation(&error)),
    }
}

async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<InvoiceCommand, InvoiceCommandError>,
) -> Result<InvoicePayload> {
    payload::execute::<Aggregate, InvoiceCommandError>(ctx, options, command).await.map(Into::into)
}
