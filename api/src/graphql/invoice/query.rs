//! Queries for invoices.

use super::types::{Invoice, InvoiceVariance, VarianceCause};
use crate::graphql::as_of::AsOf;
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::Position;
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object, Result};
use domain::invoice::Cause;
use domain::permissions::ReadInvoices;
use projections::invoices::{self, InvoiceFilter, VarianceFilter};

/// Queries for invoices.
#[derive(Default)]
pub(crate) struct InvoiceQuery;

#[Object]
impl InvoiceQuery {
    /// Returns an invoice by its id. Null if it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn invoice(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the invoice.")] id: ID,
        #[graphql(
            desc = "Returns the invoice as it was at this position or time. `minPosition` has no effect then. Default: as it \
                    is now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Invoice>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Lists invoices in the order in which they were first recorded.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn invoices(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Returns only invoices of this provider, by its name in price tables. Default: of all providers."
        )]
        provider: Option<String>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of invoices to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the invoices after this cursor. Default: from the first invoice on.")] after: Option<
            String,
        >,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Invoice>> {
        let access = authorise::<ReadInvoices>(ctx)?;
        let page = connection::page(ctx, first, after.as_deref())?;
        await_projections(ctx, Invoice::PROJECTIONS, min_position).await?;
        let filter = InvoiceFilter { ids: Vec::new(), provider };
        let rows = invoices::list(&services(ctx)?.reads, &access, &filter, page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.recorded_at, row.invoice_id))
    }

    /// Lists the variances of the last comparison of an invoice, that with the largest difference first. There are none of an
    /// invoice that was not compared.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn invoice_variances(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the invoice.")] invoice_id: ID,
        #[graphql(desc = "Returns only variances of this cause. Default: of all causes.")] cause: Option<VarianceCause>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of variances to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the variances after this cursor. Default: from the first variance on.")]
        after: Option<String>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, InvoiceVariance>> {
        let access = authorise::<ReadInvoices>(ctx)?;
        let id = Kind::Invoice.parse(&invoice_id)?;
        let size = connection::size(ctx, first)?;
        let position = after.as_deref().map(connection::position_cursor).transpose()?.unwrap_or_default();
        await_projections(ctx, Invoice::PROJECTIONS, min_position).await?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let cause = cause.map(|cause| Cause::from(cause).as_str());
        let filter = VarianceFilter { cause, after: position.as_i64() };
        let rows = invoices::variances(&services(ctx)?.reads, &access, id, filter, limit).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect_by(rows, size, after.is_some(), |row| row.number.to_string())
    }
}
