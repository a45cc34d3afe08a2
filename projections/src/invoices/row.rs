//! Invoices: row, fold, upsert, and the list.

use super::numeric::Numeric;
use crate::page::Page;
use crate::projection::{Applied, ApplyError};
use crate::rows::{Key, StoredRow, StreamRow};
use chrono::{DateTime, NaiveDate, Utc};
use domain::invoice::{CauseTotal, Invoice, InvoiceEvent, InvoiceReconciled, InvoiceRecorded, ReconciliationSummary};
use domain::permissions::{Access, ReadInvoices};
use domain::{AgentId, Aggregate as _, Event, provider_name};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::types::Json;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// How far an invoice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceStatus {
    /// Not all of its lines are recorded.
    Incomplete,
    /// It is recorded, and was not compared with calls.
    Recorded,
    /// It was compared with calls.
    Reconciled,
    /// It was withdrawn.
    Withdrawn,
}

impl InvoiceStatus {
    /// The status as it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Recorded => "recorded",
            Self::Reconciled => "reconciled",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// An invoice of a provider, with the totals of its last comparison.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize)]
pub struct InvoiceRow {
    /// The tenant that the invoice belongs to.
    pub tenant_id: String,
    /// The id of the invoice.
    pub invoice_id: Uuid,
    /// The provider that issued it.
    pub provider: String,
    /// The account that is billed.
    pub account: Option<String>,
    /// The id that the provider gave it.
    pub number: Option<String>,
    /// The first day (UTC) of its period.
    pub period_from: NaiveDate,
    /// The day (UTC) after the last one of its period.
    pub period_to: NaiveDate,
    /// The currency of its amounts.
    pub currency: String,
    /// The form in which it was stated: `csv`, `openai` or `anthropic`.
    pub format: String,
    /// The name of the file that it was read from.
    pub file: Option<String>,
    /// The hash of its lines.
    pub content: Uuid,
    /// Its version, from 1.
    pub revision: i64,
    /// The number of its lines.
    pub lines: i64,
    /// The number of lines that are recorded.
    pub recorded_lines: i64,
    /// The sum of the amounts of its lines.
    pub amount: Numeric,
    /// The position of the log up to which calls were compared; none if it was not compared.
    pub compared_position: Option<i64>,
    /// The billed amount that was compared.
    pub billed: Option<Numeric>,
    /// The amount that Apex expects.
    pub expected: Option<Numeric>,
    /// The billed less the expected amount.
    pub difference: Option<Numeric>,
    /// The totals of the causes.
    pub causes: Option<Json<Vec<CauseTotal>>>,
    /// The number of variances.
    pub variances: Option<i64>,
    /// The amount by which rounding may change each line.
    pub tolerance: Option<Numeric>,
    /// The charged calls that it was compared with.
    pub calls: Option<i64>,
    /// The calls without a price.
    pub unpriced_calls: Option<i64>,
    /// The lines that count as 0, because they have no amount and Apex knows no rate.
    pub unvalued_lines: Option<i64>,
    /// When it was compared.
    pub reconciled_at: Option<DateTime<Utc>>,
    /// When its first version was recorded.
    pub recorded_at: DateTime<Utc>,
    /// When its last version was recorded.
    pub revised_at: DateTime<Utc>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// Why it was withdrawn.
    pub withdrawn_reason: Option<String>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

macro_rules! columns {
    () => {
        "tenant_id, invoice_id, provider, account, number, period_from, period_to, currency, format, file, content, revision,
         lines, recorded_lines, amount, compared_position, billed, expected, difference, causes, variances, tolerance, calls,
         unpriced_calls, unvalued_lines, reconciled_at, recorded_at, revised_at, withdrawn_at, withdrawn_reason, version,
         position"
    };
}

impl StoredRow for InvoiceRow {
    const LOAD: &'static str = concat!(
        "select ",
        columns!(),
        " from invoices where (tenant_id, invoice_id) in (select * from unnest($1::text[], $2::uuid[]))"
    );
    const UPSERT: &'static str = concat!(
        "insert into invoices (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::invoices, $1)
         on conflict (tenant_id, invoice_id) do update set
             provider = excluded.provider, account = excluded.account, number = excluded.number,
             period_from = excluded.period_from, period_to = excluded.period_to, currency = excluded.currency,
             format = excluded.format, file = excluded.file, content = excluded.content, revision = excluded.revision,
             lines = excluded.lines, recorded_lines = excluded.recorded_lines, amount = excluded.amount,
             compared_position = excluded.compared_position, billed = excluded.billed, expected = excluded.expected,
             difference = excluded.difference, causes = excluded.causes, variances = excluded.variances,
             tolerance = excluded.tolerance, calls = excluded.calls, unpriced_calls = excluded.unpriced_calls,
             unvalued_lines = excluded.unvalued_lines, reconciled_at = excluded.reconciled_at,
             revised_at = excluded.revised_at, withdrawn_at = excluded.withdrawn_at,
             withdrawn_reason = excluded.withdrawn_reason, version = excluded.version, position = excluded.position"
    );

    fn key(&self) -> Key {
        (self.tenant_id.clone(), self.invoice_id)
    }
}

impl StreamRow for InvoiceRow {
    type Read = ReadInvoices;
    const CATEGORY: &'static str = Invoice::CATEGORY;

    fn is_read_by(&self, _: AgentId) -> bool {
        // An invoice is of no agent.
        false
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Invoice(event) = &*applied.event else { return Ok(row) };
        if let InvoiceEvent::Recorded(recorded) = event {
            return Ok(Some(Self::recorded(applied, recorded, row.map(|row| row.recorded_at))));
        }
        let mut row = row.ok_or_else(|| applied.missing_row())?;
        match event {
            InvoiceEvent::Recorded(_) | InvoiceEvent::VariancesRecorded(_) => {}
            InvoiceEvent::LinesRecorded(recorded) => {
                row.recorded_lines += i64::try_from(recorded.lines.len()).map_err(ApplyError::row)?;
            }
            InvoiceEvent::Reconciled(reconciled) => row.reconcile(reconciled)?,
            InvoiceEvent::Withdrawn(withdrawn) => {
                row.withdrawn_at = Some(withdrawn.at);
                row.withdrawn_reason = Some(withdrawn.reason.to_string());
            }
        }
        (row.version, row.position) = (applied.version(), applied.position());
        Ok(Some(row))
    }
}

impl InvoiceRow {
    fn recorded(applied: &Applied, recorded: &InvoiceRecorded, first_at: Option<DateTime<Utc>>) -> Self {
        let InvoiceRecorded { header, revision, at } = recorded;
        Self {
            tenant_id: applied.tenant().to_owned(),
            invoice_id: applied.stream_id(),
            provider: header.provider.to_string(),
            account: header.account.as_ref().map(ToString::to_string),
            number: header.number.as_ref().map(ToString::to_string),
            period_from: header.from,
            period_to: header.to,
            currency: header.currency.to_string(),
            format: header.format.to_string(),
            file: header.file.as_ref().map(ToString::to_string),
            content: header.content,
            revision: (*revision).into(),
            lines: header.lines.into(),
            recorded_lines: 0,
            amount: Numeric(header.amount),
            compared_position: None,
            billed: None,
            expected: None,
            difference: None,
            causes: None,
            variances: None,
            tolerance: None,
            calls: None,
            unpriced_calls: None,
            unvalued_lines: None,
            reconciled_at: None,
            recorded_at: first_at.unwrap_or(*at),
            revised_at: *at,
            withdrawn_at: None,
            withdrawn_reason: None,
            version: applied.version(),
            position: applied.position(),
        }
    }

    fn reconcile(&mut self, reconciled: &InvoiceReconciled) -> Result<(), ApplyError> {
        let ReconciliationSummary { position, billed, expected, difference, causes, tolerance, .. } =
            &reconciled.summary;
        let ReconciliationSummary { variances, calls, unpriced_calls, unvalued_lines, .. } = &reconciled.summary;
        let count = |count: u64| i64::try_from(count).map_err(ApplyError::row);
        self.compared_position = Some(count(*position)?);
        self.billed = Some(Numeric(*billed));
        self.expected = Some(Numeric(*expected));
        self.difference = Some(Numeric(*difference));
        self.causes = Some(Json(causes.clone()));
        self.variances = Some((*variances).into());
        self.tolerance = Some(Numeric(*tolerance));
        self.calls = Some(count(*calls)?);
        self.unpriced_calls = Some(count(*unpriced_calls)?);
        self.unvalued_lines = Some((*unvalued_lines).into());
        self.reconciled_at = Some(reconciled.at);
        Ok(())
    }

    /// How far the invoice is.
    #[must_use]
    pub const fn status(&self) -> InvoiceStatus {
        if self.withdrawn_at.is_some() {
            InvoiceStatus::Withdrawn
        } else if self.recorded_lines < self.lines {
            InvoiceStatus::Incomplete
        } else if self.reconciled_at.is_some() {
            InvoiceStatus::Reconciled
        } else {
            InvoiceStatus::Recorded
        }
    }
}

/// Which invoices to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceFilter {
    /// Only invoices with one of these ids; all if empty.
    pub ids: Vec<Uuid>,
    /// Only invoices of this provider, by any of its names.
    pub provider: Option<String>,
}

/// Lists the invoices of a tenant in the order in which they were first recorded; the cursor is (`recorded_at`, `invoice_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadInvoices>,
    filter: &InvoiceFilter,
    page: Page,
) -> Result<Vec<InvoiceRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.invoices
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or invoice_id = any ($2))
           and ($3::text is null or provider = $3)
           and ($4::timestamptz is null or (recorded_at, invoice_id) > ($4, $5))
         order by recorded_at, invoice_id limit $6"
    );
    let (after_time, after_id) = page.after();
    let provider = filter.provider.as_deref().map(provider_name);
    let query = sqlx::query_as(LIST).bind(access.tenant().as_str()).bind(&filter.ids).bind(provider);
    let query = query.bind(after_time).bind(after_id).bind(page.limit());
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fold;

    const RECORDED: (&str, &str) =
        ("invoice.recorded", include_str!("../../../domain/tests/golden/invoice.recorded.v1.json"));
    const LINES: (&str, &str) =
        ("invoice.lines_recorded", include_str!("../../../domain/tests/golden/invoice.lines_recorded.v1.json"));
    const RECONCILED: (&str, &str) =
        ("invoice.reconciled", include_str!("../../../domain/tests/golden/invoice.reconciled.v1.json"));
    const WITHDRAWN: (&str, &str) =
        ("invoice.withdrawn", include_str!("../../../domain/tests/golden/invoice.withdrawn.v1.json"));

    #[test]
    fn an_invoice_has_the_status_that_its_events_say() {
        let status = |events: &[(&str, &str)]| fold::<InvoiceRow>(events).unwrap().unwrap().status();
        assert_eq!(status(&[RECORDED]), InvoiceStatus::Incomplete);
        assert_eq!(status(&[RECORDED, LINES]), InvoiceStatus::Recorded);
        assert_eq!(status(&[RECORDED, LINES, RECONCILED]), InvoiceStatus::Reconciled);
        assert_eq!(status(&[RECORDED, LINES, RECONCILED, WITHDRAWN]), InvoiceStatus::Withdrawn);
        assert_eq!(status(&[RECORDED, LINES, RECONCILED, RECORDED, LINES]), InvoiceStatus::Recorded, "it is replaced");
        assert!(fold::<InvoiceRow>(&[LINES]).is_err());
    }

    #[test]
    fn the_totals_are_those_of_the_last_comparison() {
        let row: InvoiceRow = fold(&[RECORDED, LINES, RECONCILED]).unwrap().unwrap();
        let difference = row.difference.map(|figure| figure.0.to_string());
        assert_eq!((difference.as_deref(), row.compared_position, row.calls), (Some("1.5"), Some(42), Some(12)));
        assert_eq!(row.causes.map(|causes| causes.0.len()), Some(1));
        let row: InvoiceRow = fold(&[RECORDED, LINES, RECONCILED, RECORDED]).unwrap().unwrap();
        assert_eq!((row.difference, row.causes, row.recorded_lines), (None, None, 0));
    }
}
