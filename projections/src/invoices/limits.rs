//! Limits of reading invoices.

/// Events of an invoice that are read from the log at once: each has up to 500 lines.
pub(super) const PAGE_EVENTS: usize = 20;
