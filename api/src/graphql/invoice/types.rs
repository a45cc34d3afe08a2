//! The object types, and how their rows are loaded.

use crate::graphql::entity::Entity;
use crate::graphql::ids::Kind;
use crate::graphql::loaders::Rows;
use crate::graphql::scalars::{Currency, Decimal, Long, Position, Timestamp, Uid};
use crate::graphql::stored::from_stored_name;
use async_graphql::dataloader::Loader;
use async_graphql::{Enum, Error, ID, Result, SimpleObject};
use domain::invoice::{Cause, CauseTotal, Figure, InvoiceFormat as DomainFormat};
use domain::{InvoiceId, Sum};
use projections::invoices::{self, InvoiceFilter, InvoiceRow, Numeric, VarianceRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;

/// Form in which an invoice was stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::invoice::InvoiceFormat")]
pub(crate) enum InvoiceFormat {
    /// CSV, whose columns the user named.
    Csv,
    /// Usage or costs of OpenAI's organization API.
    Openai,
    /// Usage report or cost report of Anthropic's admin API.
    Anthropic,
}

/// Cause of a difference between an invoice and the charged calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::invoice::Cause")]
pub(crate) enum VarianceCause {
    /// It was billed and no call was recorded, or calls were recorded and not billed.
    Missing,
    /// One side has it more than once.
    Duplicate,
    /// Cached tokens were billed as uncached ones, or the other way round.
    Cache,
    /// It was billed at the rate of another tier.
    Tier,
    /// It was billed at a rate that the price book does not have.
    Price,
    /// Both sides have it, in different quantities; or amounts differ, and the invoice states no quantity.
    Quantity,
    /// The difference is not larger than what rounding of the billed amounts explains.
    Rounding,
}

/// How far an invoice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::invoices::InvoiceStatus")]
pub(crate) enum InvoiceStatus {
    /// Not all of its lines are recorded.
    Incomplete,
    /// It is recorded, and was not compared with calls.
    Recorded,
    /// It was compared with calls.
    Reconciled,
    /// It was withdrawn.
    Withdrawn,
}

/// A figure as an exact decimal.
pub(super) fn decimal(figure: Figure) -> Decimal {
    Sum::from(figure).into()
}

fn decimal_opt(stored: Option<Numeric>) -> Option<Decimal> {
    stored.map(|Numeric(figure)| decimal(figure))
}

/// Variances of one cause.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct VarianceTotal {
    /// The cause.
    cause: VarianceCause,
    /// Number of variances.
    variances: Long,
    /// Sum of their differences, in US dollars.
    difference: Decimal,
}

impl From<&CauseTotal> for VarianceTotal {
    fn from(total: &CauseTotal) -> Self {
        Self {
            cause: total.cause.into(),
            variances: i64::from(total.variances).into(),
            difference: decimal(total.difference),
        }
    }
}

/// Result of comparing an invoice with the calls that were charged.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct InvoiceReconciliation {
    /// Position of the log up to which calls were compared.
    compared_position: Position,
    /// Billed amount in US dollars. Lines without an amount count at the rates that Apex charges.
    billed: Decimal,
    /// Amount in US dollars that Apex expects.
    expected: Decimal,
    /// Billed less expected amount: the sum of the differences of all causes.
    difference: Decimal,
    /// Variances of each cause that there are.
    causes: Vec<VarianceTotal>,
    /// Number of variances.
    variances: Long,
    /// Amount in US dollars by which rounding may change each line.
    tolerance: Decimal,
    /// Number of charged calls that the invoice was compared with.
    calls: Long,
    /// Number of calls of the provider in the period that have no price, so that nothing is expected for them.
    unpriced_calls: Long,
    /// Number of lines without an amount for whose meter Apex knows no rate: they count as 0.
    unvalued_lines: Long,
    /// Time at which the invoice was compared.
    reconciled_at: Timestamp,
}

impl InvoiceReconciliation {
    fn of(row: &InvoiceRow) -> Option<Self> {
        Some(Self {
            compared_position: Position::from_row(row.compared_position?),
            billed: decimal_opt(row.billed)?,
            expected: decimal_opt(row.expected)?,
            difference: decimal_opt(row.difference)?,
            causes: row.causes.as_ref()?.0.iter().map(Into::into).collect(),
            variances: row.variances?.into(),
            tolerance: decimal_opt(row.tolerance)?,
            calls: row.calls?.into(),
            unpriced_calls: row.unpriced_calls?.into(),
            unvalued_lines: row.unvalued_lines?.into(),
            reconciled_at: row.reconciled_at?.into(),
        })
    }
}

/// An invoice of a provider, or an export of what it counted.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Invoice {
    /// Global id of the invoice.
    pub(crate) id: ID,
    /// UUID of the invoice, as it occurs in events and exports.
    uuid: Uid,
    /// Provider that issued it.
    provider: String,
    /// Account that is billed, where there are several.
    account: Option<String>,
    /// Id that the provider gave it.
    number: Option<String>,
    /// First day (UTC) of its period, such as `2026-03-01`.
    from: String,
    /// Day (UTC) after the last one of its period.
    to: String,
    /// Currency of its amounts.
    currency: Currency,
    /// Form in which it was stated.
    format: InvoiceFormat,
    /// Name of the file that it was read from.
    file: Option<String>,
    /// Hash of its lines.
    content: Uid,
    /// How far it is.
    status: InvoiceStatus,
    /// Its version, from 1: each one replaces the lines of the one before.
    revision: Long,
    /// Number of its lines.
    lines: Long,
    /// Number of lines that are recorded.
    recorded_lines: Long,
    /// Sum of the amounts of its lines, in US dollars.
    amount: Decimal,
    /// Result of the last comparison of this version. Null if it was not compared.
    reconciliation: Option<InvoiceReconciliation>,
    /// Time at which its first version was recorded.
    recorded_at: Timestamp,
    /// Time at which its last version was recorded.
    revised_at: Timestamp,
    /// Time at which it was withdrawn.
    withdrawn_at: Option<Timestamp>,
    /// Why it was withdrawn.
    withdrawn_reason: Option<String>,
    /// Version of the object: the number of its events.
    version: Long,
    /// Position of its last event.
    position: Position,
}

impl Entity for Invoice {
    type Row = InvoiceRow;
    type Key = InvoiceId;
    const KIND: Kind = Kind::Invoice;
    const PROJECTIONS: &'static [&'static str] = &["invoices"];
}

impl TryFrom<InvoiceRow> for Invoice {
    type Error = Error;

    fn try_from(row: InvoiceRow) -> Result<Self> {
        Ok(Self {
            id: Kind::Invoice.id(row.invoice_id),
            uuid: row.invoice_id.into(),
            from: row.period_from.to_string(),
            to: row.period_to.to_string(),
            currency: Currency::Usd,
            format: from_stored_name(&DomainFormat::ALL, DomainFormat::as_str, &row.format)?.into(),
            content: row.content.into(),
            status: row.status().into(),
            revision: row.revision.into(),
            lines: row.lines.into(),
            recorded_lines: row.recorded_lines.into(),
            amount: decimal(row.amount.0),
            reconciliation: InvoiceReconciliation::of(&row),
            recorded_at: row.recorded_at.into(),
            revised_at: row.revised_at.into(),
            withdrawn_at: row.withdrawn_at.map(Into::into),
            version: row.version.into(),
            position: Position::from_row(row.position),
            provider: row.provider,
            account: row.account,
            number: row.number,
            file: row.file,
            withdrawn_reason: row.withdrawn_reason,
        })
    }
}

impl Loader<InvoiceId> for Rows {
    type Value = InvoiceRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[InvoiceId]) -> Result<HashMap<InvoiceId, InvoiceRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let filter = InvoiceFilter { ids: keys.iter().map(|id| id.0).collect(), provider: None };
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = invoices::list(&self.reads, &access, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (InvoiceId(row.invoice_id), row)).collect())
    }
}

/// Difference between an invoice and the charged calls, by one cause. Where a meter of a day has several causes, each is compared
/// with what the previous one leaves: a difference in quantity is valued at the expected rate, and that in price is of the billed
/// quantity.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct InvoiceVariance {
    /// Number among the variances of the invoice, from 1: that with the largest difference first.
    number: Long,
    /// The cause.
    cause: VarianceCause,
    /// The cause in words.
    detail: String,
    /// Day (UTC), such as `2026-03-01`.
    day: String,
    /// Model by its name in the price book. Null if the invoice states no model.
    model: Option<String>,
    /// Meter by its name in events, such as `cache_read`. Null if the invoice states no meter.
    meter: Option<String>,
    /// First line of the invoice that it is about. Null if the invoice has none.
    line: Option<Long>,
    /// Number of lines of the invoice that it is about.
    lines: Long,
    /// Quantity that was billed. Null if the invoice states none.
    billed_quantity: Option<Decimal>,
    /// Quantity of the charged calls. Null if there are none.
    expected_quantity: Option<Decimal>,
    /// Amount that was billed, in US dollars.
    billed: Decimal,
    /// Amount that Apex expects, in US dollars.
    expected: Decimal,
    /// Billed less expected amount, in US dollars.
    difference: Decimal,
}

impl TryFrom<VarianceRow> for InvoiceVariance {
    type Error = Error;

    fn try_from(row: VarianceRow) -> Result<Self> {
        Ok(Self {
            number: row.number.into(),
            cause: from_stored_name(&Cause::ALL, Cause::as_str, &row.cause)?.into(),
            detail: row.detail,
            day: row.day.to_string(),
            model: row.model,
            meter: row.meter,
            line: row.line.map(Into::into),
            lines: row.lines.into(),
            billed_quantity: decimal_opt(row.billed_quantity),
            expected_quantity: decimal_opt(row.expected_quantity),
            billed: decimal(row.billed.0),
            expected: decimal(row.expected.0),
            difference: decimal(row.difference.0),
        })
    }
}
