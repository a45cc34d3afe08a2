//! CSV: with columns that options name, and with those of an export.

use super::columns::{InvoiceColumn, InvoiceColumns};
use super::error::{InvoiceReadError, LineRefusalReason};
use super::item::{Found, Stated, name, quantity};
use super::meters::Meaning;
use super::number::DecimalMark;
use super::options::InvoiceOptions;
use crate::error::InputError;
use crate::formats::{LimitedReader, Lines, any_time, separator};
use crate::text::{clip, quoted};
use chrono::NaiveDate;

/// A row of CSV with its header.
pub(super) struct Row<'r> {
    header: &'r csv::StringRecord,
    row: &'r csv::StringRecord,
}

impl Row<'_> {
    /// The text of a column; none if it is absent or blank.
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        let at = self.header.iter().position(|name| name.trim() == column)?;
        self.row.get(at).map(str::trim).filter(|text| !text.is_empty())
    }
}

/// A row as a reader of a format reads it.
type Read = Result<(NaiveDate, Vec<Stated>), LineRefusalReason>;

/// Reads an invoice whose columns the options name.
pub(super) fn read(lines: Lines, options: &InvoiceOptions, found: &mut Found) -> Result<(), InvoiceReadError> {
    if let Some(form) = &options.day_format {
        let is_valid = chrono::format::StrftimeItems::new(form).all(|item| item != chrono::format::Item::Error);
        if !is_valid {
            return Err(InvoiceReadError::DayFormat(clip(form, 64).to_owned()));
        }
    }
    let check = |header: &csv::StringRecord| check_columns(header, &options.columns);
    read_rows(lines, found, check, |row, found| stated(row, options, found))
}

/// Reads an export whose columns have the names of its fields.
pub(super) fn read_named(
    lines: Lines,
    found: &mut Found,
    check: impl Fn(&csv::StringRecord) -> Result<(), InputError>,
    of_row: impl Fn(&Row<'_>, &mut Found) -> Read,
) -> Result<(), InvoiceReadError> {
    let check = |header: &csv::StringRecord| check(header).map_err(InvoiceReadError::from);
    read_rows(lines, found, check, of_row)
}

fn check_columns(header: &csv::StringRecord, columns: &InvoiceColumns) -> Result<(), InvoiceReadError> {
    let count = |column: InvoiceColumn| header.iter().filter(|name| name.trim() == columns.name(column)).count();
    let has = |column: InvoiceColumn| count(column) > 0;
    let missing = |field: InvoiceColumn| InvoiceReadError::ColumnMissing {
        field,
        column: columns.name(field).into_owned(),
        found: quoted(&header.iter().collect::<Vec<_>>().join(", ")),
    };
    let mut named = columns.named().chain([InvoiceColumn::Day]);
    if let Some(column) = named.find(|column| !has(*column)) {
        return Err(missing(column));
    }
    if let Some(field) = InvoiceColumn::all().find(|column| count(*column) > 1) {
        return Err(InvoiceReadError::ColumnTwice { field, column: columns.name(field).into_owned() });
    }
    if has(InvoiceColumn::Amount) || has(InvoiceColumn::Quantity) {
        Ok(())
    } else {
        Err(missing(InvoiceColumn::Amount))
    }
}

fn read_rows(
    mut lines: Lines,
    found: &mut Found,
    check: impl Fn(&csv::StringRecord) -> Result<(), InvoiceReadError>,
    of_row: impl Fn(&Row<'_>, &mut Found) -> Read,
) -> Result<(), InvoiceReadError> {
    let [first] = lines.peek_lines().map_err(InputError::from)?.lines;
    let separator = separator(first);
    let input = LimitedReader::new(lines.into_reader(), separator);
    let mut rows = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(input);
    let header = rows.headers().map_err(malformed)?.clone();
    check(&header)?;
    let mut row = csv::StringRecord::new();
    loop {
        let more = rows.read_record(&mut row).map_err(malformed)?;
        if !more {
            return Ok(());
        }
        let number = row.position().map_or(0, csv::Position::line);
        let number = u32::try_from(number).map_err(|_| InvoiceReadError::TooManyLines)?;
        let read = if row.len() == header.len() {
            of_row(&Row { header: &header, row: &row }, found)
        } else {
            Err(LineRefusalReason::Columns { found: row.len(), expected: header.len() })
        };
        found.add(number, read)?;
    }
}

fn malformed(error: csv::Error) -> InputError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        csv::ErrorKind::Utf8 { err, .. } => InputError::NotUtf8 { valid_bytes: err.valid_up_to() },
        _ => InputError::Header { expected: "a header", found: String::new() },
    }
}

/// A day in the form of the options, as RFC 3339, or as a number of seconds since 1970.
fn day(text: &str, form: Option<&str>) -> Result<NaiveDate, LineRefusalReason> {
    let refused = || LineRefusalReason::Day(clip(text, 64).to_owned());
    match form {
        Some(form) => NaiveDate::parse_from_str(text, form).map_err(|_| refused()),
        None => self::day_of(text).ok_or_else(refused),
    }
}

/// A day as RFC 3339 has it, or that of a time.
pub(super) fn day_of(text: &str) -> Option<NaiveDate> {
    let time = || any_time("day", text).ok().map(|time| time.date_naive());
    text.parse().ok().or_else(time)
}

fn stated(row: &Row<'_>, options: &InvoiceOptions, found: &mut Found) -> Read {
    let get = |column| row.get(&options.columns.name(column));
    let mark = options.decimal_mark;
    let day_text = get(InvoiceColumn::Day).ok_or(LineRefusalReason::Missing("day"))?;
    let day = day(day_text, options.day_format.as_deref())?;
    if let Some(other) = get(InvoiceColumn::Currency).filter(|currency| !currency.eq_ignore_ascii_case("usd")) {
        return Err(LineRefusalReason::Currency(clip(other, 64).to_owned()));
    }
    let meaning = get(InvoiceColumn::Meter).map(|text| {
        let meaning = options.meters.meaning(text);
        meaning.ok_or_else(|| LineRefusalReason::UnknownMeter(clip(text, 64).to_owned()))
    });
    let (meter, units) = match meaning.transpose()? {
        Some(Meaning::Meter(meter, units)) => (Some(meter), units),
        Some(Meaning::AllMeters) | None => (None, 1),
        Some(Meaning::LeftOut) => return Ok((day, Vec::new())),
    };
    let quantity = get(InvoiceColumn::Quantity).map(|text| quantity("quantity", text, mark, units)).transpose()?;
    let amount = get(InvoiceColumn::Amount).map(|text| found.amount("amount", text, mark)).transpose()?;
    if quantity.is_none() && amount.is_none() {
        return Err(LineRefusalReason::Missing("quantity and no amount"));
    }
    let stated = Stated {
        model: name("model", get(InvoiceColumn::Model))?,
        meter,
        quantity,
        amount,
        tier: name("tier", get(InvoiceColumn::Tier))?,
        reference: name("reference", get(InvoiceColumn::Reference))?,
    };
    Ok((day, vec![stated]))
}

/// The mark of numbers of exports.
pub(super) const POINT: DecimalMark = DecimalMark::Point;
