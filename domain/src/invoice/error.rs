//! Why commands to an invoice are rejected.

use super::figure::Figure;
use super::limits::{MAX_INVOICE_DAYS, MAX_INVOICE_LINES, MAX_LINES_PER_COMMAND};
use crate::timestamp::ACCEPTED_YEARS;
use chrono::NaiveDate;
use thiserror::Error;

const FIRST_YEAR: i32 = ACCEPTED_YEARS.start;
const LAST_YEAR: i32 = ACCEPTED_YEARS.end - 1;

/// Why a command to an invoice is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvoiceError {
    /// No invoice has this id.
    #[error("no invoice is recorded under this id")]
    NotRecorded,
    /// The header names another invoice.
    #[error(
        "the provider, the account and the number or period are those of another invoice than the one of the command"
    )]
    OtherInvoice,
    /// The invoice was withdrawn.
    #[error("the invoice was withdrawn: record it again")]
    Withdrawn,
    /// The invoice was withdrawn before, for another reason, which is kept.
    #[error("the invoice was already withdrawn, for another reason, which is kept")]
    AlreadyWithdrawn,
    /// Not all lines are recorded.
    #[error("only {recorded} of {lines} lines of the invoice are recorded: record the rest first")]
    Incomplete {
        /// The number of recorded lines.
        recorded: u32,
        /// The number of lines of the invoice.
        lines: u32,
    },
    /// Other lines are recorded than those that were compared.
    #[error("other lines are recorded than those that were compared: compare the invoice again")]
    OtherLines,
    /// A later comparison is recorded.
    #[error(
        "the invoice was compared meanwhile with the calls up to position {known}, and this comparison is of those up to {found}: \
         compare it again"
    )]
    Outdated {
        /// The position of the comparison that is recorded.
        known: u64,
        /// The position of this one.
        found: u64,
    },
    /// The period has no day, or too many, or is of years of which there are no calls.
    #[error(
        "the period from {from} to {to}, which is not in it, does not have 1 to {MAX_INVOICE_DAYS} days within the years \
         {FIRST_YEAR} to {LAST_YEAR}"
    )]
    Period {
        /// The first day.
        from: NaiveDate,
        /// The day after the last one.
        to: NaiveDate,
    },
    /// The invoice has no lines, or too many.
    #[error(
        "the invoice has {found} lines; an invoice has 1 to {MAX_INVOICE_LINES}: record it in parts with shorter periods"
    )]
    NumberOfLines {
        /// The number of lines.
        found: u32,
    },
    /// The command has no lines, or too many.
    #[error(
        "the command has {found} lines; a command has 1 to {MAX_LINES_PER_COMMAND}: send the others in further ones"
    )]
    LinesOfCommand {
        /// The number of lines.
        found: usize,
    },
    /// The lines do not follow those that are recorded.
    #[error(
        "the lines begin with number {found} of the invoice, and {recorded} are recorded: send them from the next one on"
    )]
    Gap {
        /// The number of lines that are recorded.
        recorded: u32,
        /// The number of the first line of the command.
        found: u32,
    },
    /// There are more lines than the header says.
    #[error("the header says that there are {lines} lines, and there are more")]
    TooManyLines {
        /// The number of lines that the header says.
        lines: u32,
    },
    /// A line has neither a quantity nor an amount.
    #[error("line {line} states neither a quantity nor an amount")]
    Empty {
        /// The number of the line.
        line: u32,
    },
    /// A figure of a line is out of range.
    #[error(
        "a figure of line {line} is out of range: it has at most 15 digits before the point, and no quantity is below zero"
    )]
    OutOfRange {
        /// The number of the line.
        line: u32,
    },
    /// The day of a line is not in the period.
    #[error("line {line} is of {day}, which is not in the period from {from} to {to}")]
    DayOutsidePeriod {
        /// The number of the line.
        line: u32,
        /// The day.
        day: NaiveDate,
        /// The first day of the period.
        from: NaiveDate,
        /// The day after the last one.
        to: NaiveDate,
    },
    /// The amounts are rounded to more decimal places than there can be.
    #[error("the amounts are rounded to {0} decimal places; 12 are the most")]
    AmountPlaces(u8),
    /// The amounts of the lines do not add up to what the header says.
    #[error("the lines add up to {lines}, and the header says {header}")]
    NotTheAmount {
        /// The sum of the lines.
        lines: Figure,
        /// The sum that the header says.
        header: Figure,
    },
    /// The lines do not have the hash that the header says.
    #[error("the lines are not those that the header says: their hash is another one")]
    NotTheContent,
}
