//! The limits of invoices and of their reconciliations.

/// The most lines of an invoice.
pub const MAX_INVOICE_LINES: u32 = 100_000;
/// The most lines of one command. A client sends the lines of a longer invoice in several commands.
pub const MAX_LINES_PER_COMMAND: usize = 2_000;
/// The most lines of one event: with names of the longest length it stays below the limit of the log.
pub(crate) const LINES_PER_EVENT: usize = 500;
/// The most variances of a reconciliation: its events, with names of common length, are one append.
pub const MAX_VARIANCES: usize = 10_000;
/// The most variances of one event.
pub(crate) const VARIANCES_PER_EVENT: usize = 250;
/// The longest period of an invoice, in days.
pub const MAX_INVOICE_DAYS: i64 = 366;
/// The most components of prices, by day and model, that an invoice is compared with.
pub const MAX_EXPECTED_COMPONENTS: usize = 200_000;
