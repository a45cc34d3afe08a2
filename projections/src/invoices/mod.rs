//! The read model of invoices and of the variances of their last comparison, and the comparison itself.

mod limits;
mod numeric;
mod reconciliation;
mod row;
mod variances;

pub use numeric::Numeric;
pub use reconciliation::{
    MAX_RECONCILIATIONS, MAX_REQUEST_CALLS, OpenReconciliation, ReconciliationError, Reconciliations,
};
pub use row::{InvoiceFilter, InvoiceRow, InvoiceStatus, list};
pub use variances::{VarianceFilter, VarianceRow, recorded_variances, variances};

use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::apply_rows;
use domain::invoice::{Invoice, InvoiceEvent};
use domain::{Aggregate as _, Event};
use futures::future::BoxFuture;
use sqlx::postgres::PgConnection;

pub(crate) struct Invoices;

impl Projection for Invoices {
    fn name(&self) -> &'static str {
        "invoices"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Invoice::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("invoices", "tenant_id, invoice_id"), ("invoice_variances", "tenant_id, invoice_id, number")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            apply_rows::<InvoiceRow>(connection, events).await?;
            for applied in events {
                let Event::Invoice(event) = &*applied.event else { continue };
                match event {
                    // Those of the comparison before are not those of this one.
                    InvoiceEvent::Recorded(_) | InvoiceEvent::Reconciled(_) => {
                        variances::delete(connection, applied).await?;
                    }
                    InvoiceEvent::VariancesRecorded(recorded) => {
                        variances::insert(connection, applied, recorded).await?;
                    }
                    InvoiceEvent::LinesRecorded(_) | InvoiceEvent::Withdrawn(_) => {}
                }
            }
            Ok(())
        })
    }
}
