//! Invoices as subcommands show them, wherever they are read.

use chrono::{DateTime, Utc};
use domain::invoice::{Figure, Variance};
use projections::invoices::{InvoiceRow, Numeric};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// A value of an enum of GraphQL, as events and the database have it.
fn lower<'d, D: Deserializer<'d>>(deserializer: D) -> Result<String, D::Error> {
    Ok(String::deserialize(deserializer)?.to_lowercase())
}

/// A position, which GraphQL has as text.
fn position<'d, D: Deserializer<'d>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// The variances of one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct ShownCause {
    #[serde(deserialize_with = "lower")]
    pub(in crate::cli) cause: String,
    pub(in crate::cli) variances: i64,
    pub(in crate::cli) difference: Figure,
}

/// The totals of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub(in crate::cli) struct ShownReconciliation {
    #[serde(deserialize_with = "position")]
    pub(in crate::cli) compared_position: i64,
    pub(in crate::cli) billed: Figure,
    pub(in crate::cli) expected: Figure,
    pub(in crate::cli) difference: Figure,
    pub(in crate::cli) causes: Vec<ShownCause>,
    pub(in crate::cli) variances: i64,
    pub(in crate::cli) tolerance: Figure,
    pub(in crate::cli) calls: i64,
    pub(in crate::cli) unpriced_calls: i64,
    pub(in crate::cli) unvalued_lines: i64,
    pub(in crate::cli) reconciled_at: DateTime<Utc>,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub(in crate::cli) struct ShownInvoice {
    #[serde(rename(serialize = "id"))]
    pub(in crate::cli) uuid: Uuid,
    pub(in crate::cli) provider: String,
    pub(in crate::cli) account: Option<String>,
    pub(in crate::cli) number: Option<String>,
    pub(in crate::cli) from: String,
    pub(in crate::cli) to: String,
    #[serde(deserialize_with = "lower")]
    pub(in crate::cli) format: String,
    pub(in crate::cli) file: Option<String>,
    #[serde(deserialize_with = "lower")]
    pub(in crate::cli) status: String,
    pub(in crate::cli) revision: i64,
    pub(in crate::cli) lines: i64,
    pub(in crate::cli) recorded_lines: i64,
    pub(in crate::cli) amount: Figure,
    pub(in crate::cli) recorded_at: DateTime<Utc>,
    pub(in crate::cli) revised_at: DateTime<Utc>,
    pub(in crate::cli) withdrawn_at: Option<DateTime<Utc>>,
    pub(in crate::cli) withdrawn_reason: Option<String>,
    pub(in crate::cli) reconciliation: Option<ShownReconciliation>,
}

/// A variance of an invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub(in crate::cli) struct ShownVariance {
    pub(in crate::cli) number: i64,
    #[serde(deserialize_with = "lower")]
    pub(in crate::cli) cause: String,
    pub(in crate::cli) day: String,
    pub(in crate::cli) model: Option<String>,
    pub(in crate::cli) meter: Option<String>,
    pub(in crate::cli) line: Option<i64>,
    pub(in crate::cli) lines: i64,
    pub(in crate::cli) billed_quantity: Option<Figure>,
    pub(in crate::cli) expected_quantity: Option<Figure>,
    pub(in crate::cli) billed: Figure,
    pub(in crate::cli) expected: Figure,
    pub(in crate::cli) difference: Figure,
    pub(in crate::cli) detail: String,
}

fn reconciliation(row: &InvoiceRow) -> Option<ShownReconciliation> {
    let figure = |stored: Option<Numeric>| stored.map(|Numeric(figure)| figure);
    let causes = row.causes.as_ref()?.0.iter();
    Some(ShownReconciliation {
        compared_position: row.compared_position?,
        billed: figure(row.billed)?,
        expected: figure(row.expected)?,
        difference: figure(row.difference)?,
        causes: causes
            .map(|total| ShownCause {
                cause: total.cause.to_string(),
                variances: total.variances.into(),
                difference: total.difference,
            })
            .collect(),
        variances: row.variances?,
        tolerance: figure(row.tolerance)?,
        calls: row.calls?,
        unpriced_calls: row.unpriced_calls?,
        unvalued_lines: row.unvalued_lines?,
        reconciled_at: row.reconciled_at?,
    })
}

impl From<InvoiceRow> for ShownInvoice {
    fn from(row: InvoiceRow) -> Self {
        Self {
            uuid: row.invoice_id,
            from: row.period_from.to_string(),
            to: row.period_to.to_string(),
            status: row.status().as_str().to_owned(),
            revision: row.revision,
            lines: row.lines,
            recorded_lines: row.recorded_lines,
            amount: row.amount.0,
            recorded_at: row.recorded_at,
            revised_at: row.revised_at,
            withdrawn_at: row.withdrawn_at,
            reconciliation: reconciliation(&row),
            provider: row.provider,
            account: row.account,
            number: row.number,
            format: row.format,
            file: row.file,
            withdrawn_reason: row.withdrawn_reason,
        }
    }
}

impl From<(u32, Variance)> for ShownVariance {
    fn from((number, variance): (u32, Variance)) -> Self {
        Self {
            number: number.into(),
            cause: variance.cause.to_string(),
            day: variance.day.to_string(),
            model: variance.model.map(String::from),
            meter: variance.meter.map(|meter| meter.to_string()),
            line: variance.line.map(Into::into),
            lines: variance.lines.into(),
            billed_quantity: variance.billed_quantity,
            expected_quantity: variance.expected_quantity,
            billed: variance.billed,
            expected: variance.expected,
            difference: variance.difference,
            detail: variance.detail,
        }
    }
}
