//! Comma-separated values (RFC 4180).

use super::decimal::plain;
use super::error::ExportError;
use super::table::{Column, Kind, Value, time_text};
use std::borrow::Cow;

/// Characters that start a formula in spreadsheets, including their full-width forms.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A cell that spreadsheets do not run as a formula: names may come from imported records.
#[must_use]
pub fn without_formula(cell: &str) -> Cow<'_, str> {
    let is_formula = cell.trim_start().starts_with(FORMULA_STARTS) || cell.starts_with(['\t', '\r', '\n']);
    // A negative number remains a number.
    if is_formula && !is_number(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Writes lines. A value that is missing is an empty field.
pub(super) struct CsvWriter {
    /// The kinds of the columns, and whether their numbers have a point.
    kinds: Vec<(Kind, bool)>,
    lines: ::csv::Writer<Vec<u8>>,
}

fn writer() -> ::csv::Writer<Vec<u8>> {
    ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new())
}

impl CsvWriter {
    pub(super) fn new(columns: &[Column]) -> Result<Self, ExportError> {
        let mut lines = writer();
        lines.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { kinds: columns.iter().map(|column| (column.kind, column.has_point)).collect(), lines })
    }

    pub(super) fn write(&mut self, row: &[Value]) -> Result<(), ExportError> {
        for ((kind, has_point), value) in self.kinds.iter().zip(row) {
            match (value, kind) {
                (Value::Null, _) => self.lines.write_field(""),
                (Value::Text(text), Kind::Json) => self.lines.write_field(text),
                (Value::Text(text), _) => self.lines.write_field(&*without_formula(&String::from_utf8_lossy(text))),
                (Value::Uuid(id), _) => self.lines.write_field(id.hyphenated().encode_lower(&mut [0; 36])),
                (Value::Time(micros), _) => self.lines.write_field(time_text(*micros)),
                (Value::Integer(number), _) => self.lines.write_field(number.to_string()),
                (Value::Boolean(is), _) => self.lines.write_field(if *is { "true" } else { "false" }),
                (Value::Decimal(number), Kind::Decimal(scale)) => {
                    let text = plain(*number, *scale);
                    let is_pointed = !has_point || text.contains('.');
                    self.lines.write_field(if is_pointed { text } else { format!("{text}.0") })
                }
                (Value::Decimal(number), _) => self.lines.write_field(number.to_string()),
            }?;
        }
        Ok(self.lines.write_record(None::<&[u8]>)?)
    }

    pub(super) fn take(&mut self) -> Result<Vec<u8>, ExportError> {
        let lines = std::mem::replace(&mut self.lines, writer());
        Ok(lines.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?)
    }
}
