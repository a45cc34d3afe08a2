//! The limits of files of invoices.

/// The most bytes of the file of an invoice, decompressed: 64 MiB.
pub const MAX_INVOICE_BYTES: u64 = 64 * 1024 * 1024;
/// The fewest decimal places that amounts of an invoice are taken to be rounded to: programs that write tables leave out the zeros of
/// `10.00`.
pub(super) const MIN_AMOUNT_PLACES: u8 = 2;
/// The decimal places of a figure.
pub(super) const MAX_AMOUNT_PLACES: u8 = 12;
/// The most rows that are refused before the reading of a file ends.
pub const MAX_REFUSED_LINES: usize = 1_000;
