//! How a file is read.

use super::columns::InvoiceColumns;
use super::meters::MeterNames;
use super::number::DecimalMark;
use chrono::NaiveDate;
use domain::Name;

/// How a file is read, and what it does not say.
#[derive(Debug, Clone, Default)]
pub struct InvoiceOptions {
    /// The provider that issued the invoice; that of the format if none.
    pub provider: Option<Name>,
    /// The account that is billed.
    pub account: Option<Name>,
    /// The id that the provider gave the invoice.
    pub number: Option<Name>,
    /// The first day (UTC) of the period; the first day of the file if none.
    pub from: Option<NaiveDate>,
    /// The day (UTC) after the last one of the period; that after the last day of the file if none.
    pub to: Option<NaiveDate>,
    /// The name of the file.
    pub file: Option<Name>,
    /// The columns of CSV.
    pub columns: InvoiceColumns,
    /// What the texts of the column of meters mean.
    pub meters: MeterNames,
    /// The form of the days of CSV, such as `%d/%m/%Y`; RFC 3339 or a number of seconds if none.
    pub day_format: Option<String>,
    /// The decimal mark of the numbers of CSV.
    pub decimal_mark: DecimalMark,
}
