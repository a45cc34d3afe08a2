//! Readers of invoices and usage exports of providers.
//!
//! A reader turns a file into the header and the lines of an invoice. Each row or item becomes lines, or is refused with a reason
//! and its place, or is counted as one without usage: nothing is dropped in silence. docs/invoices.md says what is read of which
//! format, and of which version of it.

mod anthropic;
mod columns;
mod csv;
mod error;
mod item;
mod limits;
mod meters;
mod number;
mod openai;
mod options;
mod pages;

pub use columns::{InvoiceColumn, InvoiceColumnError, InvoiceColumns};
pub use error::{InvoiceReadError, LineRefusal, LineRefusalReason};
pub use limits::{MAX_INVOICE_BYTES, MAX_REFUSED_LINES};
pub use meters::{MeterNameError, MeterNames};
pub use number::{DecimalMark, NumberError};
pub use options::InvoiceOptions;

use self::item::Found;
use self::limits::{MAX_AMOUNT_PLACES, MIN_AMOUNT_PLACES};
use crate::formats::{Lines, as_text, read_bytes};
use chrono::Days;
use domain::invoice::{Figure, InvoiceFormat, InvoiceHeader, InvoiceLine, LinesHash, MAX_INVOICE_LINES};
use domain::{Currency, Name};
use std::collections::BTreeMap;
use std::io::Read;

/// An invoice as it was read.
#[derive(Debug, Clone)]
pub struct ReadInvoice {
    /// The header: its amount is the sum of the lines that were read.
    pub header: InvoiceHeader,
    /// The lines, in their order in the file.
    pub lines: Vec<InvoiceLine>,
    /// The rows that were refused, with why.
    pub refused: Vec<LineRefusal>,
    /// The rows, or items of lists, without usage and amount, such as days without calls.
    pub empty_rows: u64,
    /// The amounts that had more than 12 decimal places, and were rounded half to even.
    pub rounded_amounts: u64,
    /// The sums of the quantities by meter, to be compared with those of the document.
    pub quantities: BTreeMap<domain::Meter, Figure>,
}

/// Reads the invoice of a file.
///
/// # Errors
/// [`InvoiceReadError`] if the file is not of the format, is too large, or has no lines.
pub fn read_invoice(
    format: InvoiceFormat,
    options: &InvoiceOptions,
    input: Box<dyn Read + Send>,
) -> Result<ReadInvoice, InvoiceReadError> {
    // One byte more, so that a longer file is told from one of the greatest length.
    let bytes = read_bytes(&mut input.take(MAX_INVOICE_BYTES + 1))?;
    if bytes.len() as u64 > MAX_INVOICE_BYTES {
        return Err(InvoiceReadError::TooLong);
    }
    let text = as_text(bytes)?;
    let is_json = text.trim_start().starts_with(['{', '[']);
    let mut found = Found::new(options);
    let provider = match format {
        InvoiceFormat::Csv => {
            csv::read(lines_of(text), options, &mut found)?;
            None
        }
        InvoiceFormat::Openai => {
            if is_json {
                pages::read(&text, &mut found, openai::bucket)?;
            } else {
                csv::read_named(lines_of(text), &mut found, openai::check_header, openai::row)?;
            }
            Some("openai")
        }
        InvoiceFormat::Anthropic => {
            pages::read(&text, &mut found, anthropic::bucket)?;
            Some("anthropic")
        }
    };
    let provider = options.provider.clone().or_else(|| Name::new(provider?).ok());
    finish(format, options, provider.ok_or(InvoiceReadError::ProviderNeeded)?, found)
}

fn lines_of(text: String) -> Lines {
    Lines::new(Box::new(std::io::Cursor::new(text.into_bytes())))
}

fn finish(
    format: InvoiceFormat,
    options: &InvoiceOptions,
    provider: Name,
    found: Found,
) -> Result<ReadInvoice, InvoiceReadError> {
    let Found { lines, refused, empty_rows, rounded_amounts, days, .. } = found;
    if lines.is_empty() {
        return Err(InvoiceReadError::NoLines { refused: refused.first().map(ToString::to_string) });
    }
    let (first, last) = days.unwrap_or_default();
    let after = last.checked_add_days(Days::new(1)).unwrap_or(last);
    let (mut amount, mut places, mut quantities) = (Figure::ZERO, None::<u8>, BTreeMap::<_, Figure>::new());
    for line in &lines {
        amount += line.amount.unwrap_or_default();
        places = places.max(line.amount.map(Figure::places));
        if let Some((meter, quantity)) = line.meter.zip(line.quantity) {
            *quantities.entry(meter).or_default() += quantity;
        }
    }
    let header = InvoiceHeader {
        provider,
        account: options.account.clone(),
        number: options.number.clone(),
        from: options.from.unwrap_or(first),
        to: options.to.unwrap_or(after),
        currency: Currency::Usd,
        format,
        file: options.file.clone(),
        lines: u32::try_from(lines.len()).unwrap_or(MAX_INVOICE_LINES),
        amount,
        // Without amounts, nothing is rounded.
        amount_places: places.map_or(MAX_AMOUNT_PLACES, |places| places.max(MIN_AMOUNT_PLACES)),
        content: LinesHash::of(&lines).id(),
    };
    Ok(ReadInvoice { header, lines, refused, empty_rows, rounded_amounts, quantities })
}

#[cfg(test)]
mod tests;
