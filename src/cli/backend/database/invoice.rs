//! Invoices on the database.

use super::super::invoice::{ShownInvoice, ShownVariance};
use super::super::operations::{InvoiceOperations, Listed};
use super::{OnDatabase, listed, now};
use commands::OutcomeKind;
use domain::invoice::{Cause, Figure, Invoice, InvoiceCommand, InvoiceHeader, InvoiceLine, MAX_LINES_PER_COMMAND};
use domain::price_book::PriceBook;
use domain::{Body, InvoiceId};
use identity::MAX_LISTED;
use projections::invoices::{InvoiceFilter, InvoiceRow, OpenReconciliation, list, recorded_variances};
use projections::{MAX_PAGE_ROWS, Page, as_of};

impl OnDatabase<'_> {
    async fn command_invoice(&self, id: InvoiceId, command: InvoiceCommand) -> anyhow::Result<OutcomeKind> {
        Ok(self.rooms.commands.execute::<Invoice>(&self.context(), id.0, command).await?.kind)
    }
}

impl InvoiceOperations for OnDatabase<'_> {
    async fn record_invoice(&self, header: &InvoiceHeader, lines: &[InvoiceLine]) -> anyhow::Result<OutcomeKind> {
        let (id, mut outcome) = (header.id(), OutcomeKind::AlreadyDone);
        for (lines, first) in lines.chunks(MAX_LINES_PER_COMMAND).zip((1..).step_by(MAX_LINES_PER_COMMAND)) {
            let (header, lines) = (header.clone(), lines.to_vec());
            let kind = self.command_invoice(id, InvoiceCommand::Record { header, first, lines, at: now() }).await?;
            if kind != OutcomeKind::AlreadyDone {
                outcome = kind;
            }
        }
        Ok(outcome)
    }

    async fn invoices(&self, provider: Option<&str>) -> anyhow::Result<Listed<ShownInvoice>> {
        let (reads, access) = (&self.rooms.reads, self.rooms.principal.authorise()?);
        let filter = InvoiceFilter { ids: Vec::new(), provider: provider.map(str::to_owned) };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let rows = list(reads, &access, &filter, Page { after, limit: MAX_PAGE_ROWS, ..Page::default() }).await?;
            let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < MAX_PAGE_ROWS;
            after = rows.last().map(|row| (row.recorded_at, row.invoice_id));
            found.extend(rows.into_iter().map(ShownInvoice::from));
            if is_last || found.len() >= MAX_LISTED {
                found.truncate(MAX_LISTED);
                return Ok(listed(found));
            }
        }
    }

    async fn invoice(
        &self,
        id: InvoiceId,
        cause: Option<Cause>,
    ) -> anyhow::Result<Option<(ShownInvoice, Vec<ShownVariance>)>> {
        // Of the log, which is never behind.
        let (events, access) = (self.rooms.log.of_tenants(self.rooms.reads.clone()), self.rooms.principal.authorise()?);
        let Some(row) = as_of::<InvoiceRow>(&events, &access, id.0, |_| true).await? else { return Ok(None) };
        let variances = recorded_variances(&events, &access, id.0).await?.into_iter();
        let wanted = variances.filter(|(_, variance)| cause.is_none_or(|cause| variance.cause == cause));
        Ok(Some((row.into(), wanted.map(ShownVariance::from).collect())))
    }

    async fn reconcile_invoice(&self, id: InvoiceId, tolerance: Option<Figure>) -> anyhow::Result<OutcomeKind> {
        let (rooms, principal) = (self.rooms, &self.rooms.principal);
        let events = rooms.log.of_tenants(rooms.reads.clone());
        let (invoices, reports) = (principal.authorise()?, principal.authorise()?);
        let open = OpenReconciliation::open((&events, &rooms.reads), &invoices, &reports, id.0).await?;
        // After the snapshot, so that it has every version by which a call of the snapshot was charged.
        let book = rooms.commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await?;
        let reconciliation = open.reconcile(PriceBook::clone(&book.state), tolerance, u64::MAX, ()).await?;
        self.command_invoice(id, InvoiceCommand::Reconcile { reconciliation, at: now() }).await
    }

    async fn withdraw_invoice(&self, id: InvoiceId, reason: Body) -> anyhow::Result<OutcomeKind> {
        self.command_invoice(id, InvoiceCommand::Withdraw { reason, at: now() }).await
    }
}
