//! Why a file is not read as an invoice, and why rows of one are refused.

use super::columns::InvoiceColumn;
use super::limits::{MAX_INVOICE_BYTES, MAX_REFUSED_LINES};
use super::number::NumberError;
use crate::error::{InputError, RefusalReason};
use chrono::NaiveDate;
use domain::TextError;
use domain::invoice::MAX_INVOICE_LINES;
use thiserror::Error;

/// Why a file is not read as an invoice.
#[derive(Debug, Error)]
pub enum InvoiceReadError {
    /// The file cannot be read, or is not of the format.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The file is too long.
    #[error("the file has more than {MAX_INVOICE_BYTES} bytes: record the invoice in parts with shorter periods")]
    TooLong,
    /// The file has too many lines.
    #[error("the file has more than {MAX_INVOICE_LINES} lines: record the invoice in parts with shorter periods")]
    TooManyLines,
    /// The format names no provider.
    #[error("the file names no provider: name it with --provider")]
    ProviderNeeded,
    /// The file lacks a column.
    #[error(
        "the file has no column {column:?} for {field}; its columns are {found}. Name the column with --columns {field}=COLUMN"
    )]
    ColumnMissing {
        /// The field that the column is for.
        field: InvoiceColumn,
        /// The column.
        column: String,
        /// The columns of the file, clipped.
        found: String,
    },
    /// The file has several columns of one name.
    #[error("the file has more than one column {column:?}, of which one is for {field}: rename the others")]
    ColumnTwice {
        /// The field that the column is for.
        field: InvoiceColumn,
        /// The column.
        column: String,
    },
    /// The file has no lines.
    #[error("the file has no line with a quantity or an amount{}", refused.as_ref().map_or_else(String::new, |first| format!(": {first}")))]
    NoLines {
        /// The first row that was refused.
        refused: Option<String>,
    },
    /// The file has pages of an answer, and not the last one.
    #[error(
        "the answer has more pages than the file: ask for those after the page {next:?} too, and put them into one file"
    )]
    MorePages {
        /// The token of the next page.
        next: String,
    },
    /// Too many rows are refused.
    #[error("more than {MAX_REFUSED_LINES} rows are refused, the first because of this: {first}")]
    TooManyRefused {
        /// The first one.
        first: String,
    },
    /// A form of days is not valid.
    #[error("{0:?} is not the form of a day: write it as %d/%m/%Y")]
    DayFormat(String),
}

/// A row that was refused, or an item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct LineRefusal {
    /// The number of the line, or of the item, from 1.
    pub line: u32,
    /// Why.
    pub reason: LineRefusalReason,
}

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineRefusalReason {
    /// A field is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A field is not a number.
    #[error("{field}: {cause}")]
    Number {
        /// The field.
        field: &'static str,
        /// Why not.
        cause: NumberError,
    },
    /// A text is not a name.
    #[error("{field}: {cause}")]
    Text {
        /// The field.
        field: &'static str,
        /// Why not.
        cause: TextError,
    },
    /// The day cannot be read.
    #[error("{0:?} is not a day: write 2026-03-01, or name the form with --day-format")]
    Day(String),
    /// The day is not in the period.
    #[error("{day} is not in the period from {from} to {to}")]
    OutsidePeriod {
        /// The day.
        day: NaiveDate,
        /// The first day of the period.
        from: NaiveDate,
        /// The day after the last one.
        to: NaiveDate,
    },
    /// The meter is not known.
    #[error(
        "{0:?} is no meter: say what it means with --meter '{0}=input', or leave lines like it out with --meter '{0}=-'"
    )]
    UnknownMeter(String),
    /// The currency is not US dollars.
    #[error("the currency is {0:?}: only USD is compared")]
    Currency(String),
    /// The row has another number of columns than the header.
    #[error("it has {found} columns instead of {expected}")]
    Columns {
        /// The number of columns.
        found: usize,
        /// The number of columns of the header.
        expected: usize,
    },
    /// The parts of the input are more than all of it.
    #[error("the tokens that {whole} includes are more than its {found}")]
    Parts {
        /// The field that includes them.
        whole: &'static str,
        /// What it has.
        found: String,
    },
    /// The kind of usage is not known.
    #[error("{0:?} is no kind of usage that is read")]
    UnknownKind(String),
    /// It is not JSON of the format, or not text.
    #[error("{0}")]
    Malformed(String),
}

impl LineRefusalReason {
    pub(super) fn malformed(reason: &RefusalReason) -> Self {
        Self::Malformed(reason.to_string())
    }
}
