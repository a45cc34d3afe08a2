//! Comparing a recorded invoice with the charged calls of its period.

use super::limits::PAGE_EVENTS;
use crate::export::{ChargesError, ExportRange, OpenCharges};
use crate::history::HistoryError;
use chrono::{NaiveDate, NaiveTime};
use domain::invoice::{
    Compared, Expected, Figure, Invoice, InvoiceError, InvoiceEvent, InvoiceHeader, InvoiceLine, ReconcileError,
    Reconciliation, reconcile, rounding_of,
};
use domain::permissions::{Access, ReadInvoices, ReadReports};
use domain::price_book::PriceBook;
use domain::{Aggregate as _, Event, TenantId};
use std::time::Duration;
use streams::{TenantLog, TenantReads, Turn, Turns};
use thiserror::Error;
use uuid::Uuid;

/// The most calls that a request compares an invoice with. The command line on the database has no such limit.
pub const MAX_REQUEST_CALLS: u64 = 500_000;
/// The most invoices that a server compares at the same time.
pub const MAX_RECONCILIATIONS: usize = 2;

/// Why an invoice cannot be compared with calls.
#[derive(Debug, Error)]
pub enum ReconciliationError {
    /// The invoice is not recorded, withdrawn, or incomplete.
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    /// The lines cannot be read.
    #[error(transparent)]
    Lines(#[from] HistoryError),
    /// The calls cannot be read, or there are too many.
    #[error(transparent)]
    Charges(#[from] ChargesError),
    /// The invoice cannot be compared.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// As many invoices as may be are being compared.
    #[error("{MAX_RECONCILIATIONS} invoices are being compared, which is the limit: retry")]
    Busy,
}

/// A comparison whose snapshot of the calls is taken.
pub struct OpenReconciliation {
    header: InvoiceHeader,
    lines: Vec<InvoiceLine>,
    charges: OpenCharges,
}

/// The last version of an invoice: its header and all of its lines.
async fn read_lines(
    log: &TenantLog,
    access: &Access<ReadInvoices>,
    id: Uuid,
) -> Result<(InvoiceHeader, Vec<InvoiceLine>), ReconciliationError> {
    let (mut state, mut lines) = (Invoice::default(), Vec::new());
    let mut pages = log.own_stream_pages(access, Invoice::CATEGORY, id, PAGE_EVENTS);
    while let Some(page) = pages.next_page().await.map_err(HistoryError::from)? {
        for recorded in page {
            let Event::Invoice(event) = recorded.decode().map_err(HistoryError::from)? else { continue };
            state = state.evolve(&event);
            match event {
                InvoiceEvent::Recorded(_) => lines.clear(),
                InvoiceEvent::LinesRecorded(recorded) => lines.extend(recorded.lines),
                InvoiceEvent::Reconciled(_) | InvoiceEvent::VariancesRecorded(_) | InvoiceEvent::Withdrawn(_) => {}
            }
        }
    }
    Ok((state.comparable()?.header.clone(), lines))
}

impl OpenReconciliation {
    /// Reads the lines of an invoice, and takes the snapshot of the calls of its period.
    ///
    /// # Errors
    /// [`ReconciliationError`] if the invoice cannot be compared, or the log or the database cannot be read.
    pub async fn open(
        (log, reads): (&TenantLog, &TenantReads),
        invoices: &Access<ReadInvoices>,
        reports: &Access<ReadReports>,
        id: Uuid,
    ) -> Result<Self, ReconciliationError> {
        let (header, lines) = read_lines(log, invoices, id).await?;
        let start = |day: NaiveDate| Some(day.and_time(NaiveTime::MIN).and_utc());
        let range = ExportRange { from: start(header.from), to: start(header.to) };
        let charges = OpenCharges::open(reads, reports, &range).await.map_err(ChargesError::from)?;
        Ok(Self { header, lines, charges })
    }

    /// Compares the invoice with the calls. The price book has to be at least as new as the snapshot. Without a tolerance, it is
    /// half a unit of the last decimal place of the amounts of the invoice, for each line. The permit is held until the work ends, even
    /// if the caller does not wait for it any more.
    ///
    /// # Errors
    /// [`ReconciliationError`] if there are too many calls or variances, or the database cannot be read.
    pub async fn reconcile<P: Send + 'static>(
        self,
        book: PriceBook,
        tolerance: Option<Figure>,
        max_calls: u64,
        permit: P,
    ) -> Result<Reconciliation, ReconciliationError> {
        let Self { header, lines, charges } = self;
        let position = charges.position.get();
        let expected = Expected::new(header.provider.clone(), book);
        let tolerance = tolerance.unwrap_or_else(|| rounding_of(header.amount_places));
        let compare = move |expected: Expected| {
            let compared = Compared { lines: &lines, content: header.content, tolerance, position };
            let found = reconcile(&compared, expected);
            drop(permit);
            found
        };
        Ok(charges.add_to(expected, max_calls, compare).await??)
    }
}

/// The comparisons of a server, of which few are made at the same time. Tenants take turns.
#[derive(Debug)]
pub struct Reconciliations {
    turns: Turns<TenantId>,
    timeout: Duration,
}

impl Reconciliations {
    /// Waits for at most `timeout` until an invoice may be compared.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { turns: Turns::new(MAX_RECONCILIATIONS), timeout }
    }

    /// A permit to compare an invoice, for as long as it is held.
    ///
    /// # Errors
    /// [`ReconciliationError::Busy`] if there is none in time.
    pub async fn permit(&self, tenant: &TenantId) -> Result<Turn<TenantId>, ReconciliationError> {
        let turn = tokio::time::timeout(self.timeout, self.turns.take(|| tenant.clone())).await;
        turn.map_err(|_| ReconciliationError::Busy)
    }
}
