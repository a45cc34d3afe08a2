//! Invoices of providers, and how they differ from what was charged.

mod mutation;
mod query;
mod types;

pub(crate) use mutation::{InvoiceCommandError, InvoiceMutation};
pub(crate) use query::InvoiceQuery;
pub(crate) use types::{Invoice, InvoiceVariance};
