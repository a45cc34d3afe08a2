//! The variances of the last comparison of an invoice: row, insert, and the list.

use super::limits::PAGE_EVENTS;
use super::numeric::Numeric;
use crate::history::HistoryError;
use crate::page::clamp_limit;
use crate::projection::{Applied, ApplyError};
use chrono::NaiveDate;
use domain::invoice::{Invoice, InvoiceEvent, InvoiceVariancesRecorded, Variance};
use domain::permissions::{Access, ReadInvoices};
use domain::{Aggregate as _, Event};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use streams::{DatabaseError, TenantLog, TenantReads};
use uuid::Uuid;

/// A difference between an invoice and the charged calls, by one cause.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize)]
pub struct VarianceRow {
    /// The tenant that the invoice belongs to.
    pub tenant_id: String,
    /// The id of the invoice.
    pub invoice_id: Uuid,
    /// The number among the variances of the comparison, from 1: that with the largest difference first.
    pub number: i64,
    /// The cause.
    pub cause: String,
    /// The cause in words.
    pub detail: String,
    /// The day (UTC).
    pub day: NaiveDate,
    /// The model by its name in the price book; none if the invoice states no model.
    pub model: Option<String>,
    /// The meter; none if the invoice states no meter.
    pub meter: Option<String>,
    /// The first line of the invoice that it is about.
    pub line: Option<i64>,
    /// The number of lines that it is about.
    pub lines: i64,
    /// The quantity that was billed.
    pub billed_quantity: Option<Numeric>,
    /// The quantity of the charged calls.
    pub expected_quantity: Option<Numeric>,
    /// The amount that was billed.
    pub billed: Numeric,
    /// The amount that Apex expects.
    pub expected: Numeric,
    /// The billed less the expected amount.
    pub difference: Numeric,
}

macro_rules! columns {
    () => {
        "tenant_id, invoice_id, number, cause, detail, day, model, meter, line, lines, billed_quantity, expected_quantity,
         billed, expected, difference"
    };
}

impl VarianceRow {
    fn of(applied: &Applied, number: u32, variance: &Variance) -> Self {
        Self {
            tenant_id: applied.tenant().to_owned(),
            invoice_id: applied.stream_id(),
            number: number.into(),
            cause: variance.cause.to_string(),
            detail: variance.detail.clone(),
            day: variance.day,
            model: variance.model.as_ref().map(ToString::to_string),
            meter: variance.meter.map(|meter| meter.to_string()),
            line: variance.line.map(Into::into),
            lines: variance.lines.into(),
            billed_quantity: variance.billed_quantity.map(Numeric),
            expected_quantity: variance.expected_quantity.map(Numeric),
            billed: Numeric(variance.billed),
            expected: Numeric(variance.expected),
            difference: Numeric(variance.difference),
        }
    }
}

pub(super) async fn delete(connection: &mut PgConnection, applied: &Applied) -> Result<(), ApplyError> {
    let query = sqlx::query("delete from invoice_variances where tenant_id = $1 and invoice_id = $2");
    query.bind(applied.tenant()).bind(applied.stream_id()).execute(connection).await?;
    Ok(())
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    applied: &Applied,
    recorded: &InvoiceVariancesRecorded,
) -> Result<(), ApplyError> {
    const INSERT: &str = concat!(
        "insert into invoice_variances (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::invoice_variances, $1)"
    );
    let numbered = recorded.variances.iter().zip(recorded.first..);
    let rows: Vec<_> = numbered.map(|(variance, number)| VarianceRow::of(applied, number, variance)).collect();
    let rows = serde_json::to_value(rows).map_err(ApplyError::row)?;
    sqlx::query(INSERT).bind(rows).execute(connection).await?;
    Ok(())
}

/// Which variances to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VarianceFilter<'a> {
    /// Only variances of this cause.
    pub cause: Option<&'a str>,
    /// Only variances after this number.
    pub after: i64,
}

/// Lists the variances of the last comparison of an invoice, that with the largest difference first. The limit is clamped as
/// [`crate::Page::limit`] is.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn variances(
    reads: &TenantReads,
    access: &Access<ReadInvoices>,
    invoice_id: Uuid,
    filter: VarianceFilter<'_>,
    limit: i64,
) -> Result<Vec<VarianceRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.invoice_variances
         where tenant_id = $1 and invoice_id = $2 and ($3::text is null or cause = $3) and number > $4
         order by number limit $5"
    );
    let query = sqlx::query_as(LIST).bind(access.tenant().as_str()).bind(invoice_id);
    let query = query.bind(filter.cause).bind(filter.after).bind(clamp_limit(limit));
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

/// The variances of the last comparison of an invoice as the log has them, so that they do not depend on any worker's progress.
///
/// # Errors
/// [`HistoryError`] if the log cannot be read, or an event cannot be decoded.
pub async fn recorded_variances(
    log: &TenantLog,
    access: &Access<ReadInvoices>,
    id: Uuid,
) -> Result<Vec<(u32, Variance)>, HistoryError> {
    let mut variances = Vec::new();
    let mut pages = log.own_stream_pages(access, Invoice::CATEGORY, id, PAGE_EVENTS);
    while let Some(page) = pages.next_page().await? {
        for recorded in page {
            let Event::Invoice(event) = recorded.decode()? else { continue };
            match event {
                InvoiceEvent::Recorded(_) | InvoiceEvent::Reconciled(_) => variances.clear(),
                InvoiceEvent::VariancesRecorded(more) => variances.extend((more.first..).zip(more.variances)),
                InvoiceEvent::LinesRecorded(_) | InvoiceEvent::Withdrawn(_) => {}
            }
        }
    }
    Ok(variances)
}
