//! Data on standard output, as tables, CSV or JSON, and messages on standard error.
//!
//! The reader of either may close it at any time. `println!` and `eprintln!` would panic then; the functions here
//! discard the output.

use chrono::{DateTime, SubsecRound as _, Utc};
use clap::ValueEnum;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement};
use projections::without_formula;
use serde_json::Value;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

/// Writes a line to standard error, as `eprintln!` does, but does not panic if that fails.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::cli::output::message(format_args!($($argument)*))
    };
}

/// Writes a line to standard error, and ignores errors.
pub(crate) fn message(text: fmt::Arguments<'_>) {
    // In one write, so that lines of several threads do not mix. An error cannot be reported anywhere.
    drop(io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
}

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for terminals
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON document
    Json,
}

/// The format of output that is a list of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// A table for terminals
    Table,
    /// One JSON document
    Json,
}

/// A time, in the precision of the read models and of GraphQL.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.round_subsecs(6).to_rfc3339()
}

/// Writes to standard output. It is not an error if the reader has closed it, as `head` does.
pub(super) fn write(text: &str) -> io::Result<()> {
    ignore_closed(io::stdout().lock().write_all(text.as_bytes()))
}

/// Where data goes that may be written into a file instead of standard output.
pub(super) type Sink<'s> = &'s mut (dyn Write + Send);

/// Standard output as a [`Sink`].
pub(super) struct Standard;

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ignore_closed(io::stdout().lock().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        ignore_closed(io::stdout().lock().flush())
    }
}

/// Writes a JSON document.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    json_to(&mut Standard, value)
}

/// Writes a JSON document to a sink.
pub(super) fn json_to(sink: Sink<'_>, value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(sink.write_all(format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes())?)
}

/// Writes a list; the columns in the range `numbers` are aligned to the right in a table.
pub(super) fn list(
    header: &[&str],
    rows: Vec<Vec<String>>,
    numbers: Range<usize>,
    format: Format,
) -> anyhow::Result<()> {
    let names: Vec<_> = header.iter().map(|column| (*column).to_owned()).collect();
    match format {
        Format::Table => Ok(table(&names, &rows, numbers)?),
        Format::Csv => csv(&names, &rows),
        Format::Json => {
            let objects: Vec<_> = rows
                .into_iter()
                .map(|row| names.iter().cloned().zip(row.into_iter().map(Value::from)).collect())
                .collect::<Vec<serde_json::Map<_, _>>>();
            json(&objects)
        }
    }
}

/// A table for terminals.
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// The range of columns that are aligned to the right.
    pub(super) numbers: Range<usize>,
    /// Columns that are omitted if the terminal is too narrow, in this order.
    pub(super) droppable: Vec<&'static str>,
}

/// Writes a table; the columns in the range `numbers` are aligned to the right.
pub(super) fn table(header: &[String], rows: &[Vec<String>], numbers: Range<usize>) -> io::Result<()> {
    Table { header: header.to_vec(), rows: rows.to_vec(), numbers, droppable: Vec::new() }.write()
}

impl Table {
    /// Writes the table, within the width of the terminal or of the variable `COLUMNS`. The width is not limited in
    /// pipes and files.
    pub(super) fn write(self) -> io::Result<()> {
        let width = width();
        let (text, omitted) = self.fitted(width);
        write(&format!("{text}\n"))?;
        if let (Some(width), false) = (width, omitted.is_empty()) {
            say!(
                "Omitted to fit {width} columns: {}. A wider terminal, COLUMNS=…, or --format csv or json show all.",
                omitted.join(", ")
            );
        }
        Ok(())
    }

    /// The table within a width, and the omitted columns. To fit, names of columns are broken into lines first, then
    /// columns are omitted, then text is clipped.
    fn fitted(mut self, width: Option<usize>) -> (String, Vec<String>) {
        let mut omitted = Vec::new();
        let Some(width) = width else { return (self.drawn(None), omitted) };
        if self.natural_width() > width {
            for name in &mut self.header {
                *name = name.replace('_', "\n");
            }
        }
        for name in std::mem::take(&mut self.droppable) {
            if self.natural_width() <= width {
                break;
            }
            let Some(at) = self.header.iter().position(|other| other.replace('\n', "_") == name) else { continue };
            self.remove(at);
            omitted.push(name.to_owned());
        }
        let is_too_wide = self.natural_width() > width;
        (self.drawn(is_too_wide.then_some(width)), omitted)
    }

    fn remove(&mut self, at: usize) {
        self.header.remove(at);
        for row in self.rows.iter_mut().filter(|row| at < row.len()) {
            row.remove(at);
        }
        if at < self.numbers.start {
            self.numbers.start -= 1;
        }
        if at < self.numbers.end {
            self.numbers.end -= 1;
        }
    }

    fn column_width(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at)).chain(self.header.get(at));
        cells.flat_map(|cell| cell.split('\n')).map(|line| line.chars().count()).max().unwrap_or(0)
    }

    /// The width without breaks: each column has a blank on both sides, and there are lines between columns and at both
    /// ends.
    fn natural_width(&self) -> usize {
        (0..self.header.len()).map(|at| self.column_width(at) + 3).sum::<usize>() + 1
    }

    fn drawn(&self, width: Option<usize>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header(&self.header);
        for row in &self.rows {
            table.add_row(row);
        }
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        for number in self.numbers.clone() {
            if let Some(column) = table.column_mut(number) {
                column.set_cell_alignment(CellAlignment::Right);
                // A number that is broken into two lines would be read as another number.
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.to_string()
    }
}

/// The width of standard output in characters; `None` if it is not a terminal and `COLUMNS` is not set.
fn width() -> Option<usize> {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    named.or_else(terminal).filter(|width| *width > 0)
}

/// Writes CSV.
pub(super) fn csv(header: &[String], rows: &[Vec<String>]) -> anyhow::Result<()> {
    csv_to(&mut Standard, header, rows)
}

/// Writes CSV to a sink.
pub(super) fn csv_to(sink: Sink<'_>, header: &[String], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    finish_csv(writer, sink, rows)
}

/// Writes rows of CSV without a header to a sink.
pub(super) fn csv_rows_to(sink: Sink<'_>, rows: &[Vec<String>]) -> anyhow::Result<()> {
    finish_csv(csv::Writer::from_writer(Vec::new()), sink, rows)
}

fn finish_csv(mut writer: csv::Writer<Vec<u8>>, sink: Sink<'_>, rows: &[Vec<String>]) -> anyhow::Result<()> {
    for row in rows {
        writer.write_record(row.iter().map(|cell| without_formula(cell).into_owned()))?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(sink.write_all(&bytes)?)
}

/// Ignores that the reader of a pipe has closed it.
pub(super) fn ignore_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide() -> Table {
        let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        Table {
            header: text(&["model", "calls", "input_tokens", "cache_read_tokens", "cost"]),
            rows: vec![text(&["claude-sonnet-4-5-20250929", "13", "91", "182612", "0.23213535"])],
            numbers: 1..5,
            droppable: vec!["cache_read_tokens"],
        }
    }

    #[test]
    fn tables_fit_the_terminal_and_return_the_omitted_columns() {
        for width in [200, 80, 70, 60, 50, 45] {
            let (text, omitted) = wide().fitted(Some(width));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} columns instead of {width}:\n{text}");
            assert_eq!(omitted.is_empty(), width >= 70, "{width}: {omitted:?}");
            assert!(text.contains("0.23213535"), "numbers are not broken:\n{text}");
        }
        let (text, omitted) = wide().fitted(None);
        assert!(text.contains("cache_read_tokens") && omitted.is_empty());
    }

    #[test]
    fn cells_that_spreadsheets_execute_become_text() {
        for cell in ["=1+1", "+1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "-"] {
            assert_eq!(without_formula(cell), format!("'{cell}"));
        }
        for cell in ["", "gpt-4o", "-1.5", "+3", "0.5", "a=b", "–", "2025-10-01"] {
            assert_eq!(without_formula(cell), cell);
        }
    }
}
