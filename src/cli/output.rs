//! Data on standard output, as tables, CSV or JSON, and messages on standard error.
//!
//! Whoever reads either of them may close it at any moment. That is no reason to stop, and never one to panic, as
//! `println!` and `eprintln!` do: data that nobody reads any more is left out, and so are messages.

use clap::ValueEnum;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

/// Writes a line to standard error, as `eprintln!` does, but does not panic where that is closed or full.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::cli::output::message(format_args!($($argument)*))
    };
}

/// Writes a line to standard error if it can.
pub(crate) fn message(text: fmt::Arguments<'_>) {
    // In one piece, so that lines of several threads do not mix. Nobody is left to be told of a failure.
    drop(io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON document
    Json,
}

/// The form of output that is a list of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// Writes to standard output. A reader that has seen enough, as `head` does, is no error.
pub(super) fn write(text: &str) -> io::Result<()> {
    ignore_closed(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes a JSON document.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(write(&format!("{}\n", serde_json::to_string_pretty(value)?))?)
}

/// A table for people.
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// Columns that are aligned to the right.
    pub(super) numbers: Range<usize>,
    /// Columns that are left out where the terminal is too narrow for all, the first one first.
    pub(super) droppable: &'static [&'static str],
}

/// Writes a table; the columns named in `numbers` are aligned to the right.
pub(super) fn table(header: &[String], rows: &[Vec<String>], numbers: Range<usize>) -> io::Result<()> {
    Table { header: header.to_vec(), rows: rows.to_vec(), numbers, droppable: &[] }.write()
}

impl Table {
    /// Writes the table, within the width of the terminal. In pipes and files it is as wide as it is, unless the
    /// variable `COLUMNS` says otherwise.
    pub(super) fn write(self) -> io::Result<()> {
        let width = width();
        let (text, left_out) = self.fitted(width);
        write(&format!("{text}\n"))?;
        if let (Some(width), false) = (width, left_out.is_empty()) {
            say!(
                "Left out to fit {width} columns: {}. A wider terminal, COLUMNS=…, --format csv or json show all.",
                left_out.join(", ")
            );
        }
        Ok(())
    }

    /// The table within a width, and the columns that were left out for it. First names of columns are broken into
    /// lines, then columns are left out, then text is.
    fn fitted(mut self, width: Option<usize>) -> (String, Vec<String>) {
        let mut left_out = Vec::new();
        let Some(width) = width else { return (self.drawn(None), left_out) };
        if self.natural_width() > width {
            for name in &mut self.header {
                *name = name.replace('_', "\n");
            }
        }
        for name in self.droppable {
            if self.natural_width() <= width {
                break;
            }
            let Some(at) = self.header.iter().position(|other| other.replace('\n', "_") == *name) else { continue };
            self.remove(at);
            left_out.push((*name).to_owned());
        }
        let is_too_wide = self.natural_width() > width;
        (self.drawn(is_too_wide.then_some(width)), left_out)
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

    /// With a blank on both sides of each column, a line between them, and one at each end.
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
                // A number that is broken in two is another number to who reads it.
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.to_string()
    }
}

/// How many characters a line of standard output may have; none where it is no terminal.
fn width() -> Option<usize> {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    named.or_else(terminal).filter(|width| *width > 0)
}

/// Writes CSV.
pub(super) fn csv(header: &[String], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| without_formula(cell).into_owned()))?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(write(&String::from_utf8(bytes)?)?)
}

/// Writes more CSV, below what [`csv`] wrote.
pub(super) fn csv_rows(rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.iter().map(|cell| without_formula(cell).into_owned()))?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(write(&String::from_utf8(bytes)?)?)
}

/// What a spreadsheet takes for the beginning of a formula, also in the width of East Asian type.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A cell as spreadsheets show it and never run it: names come from whoever wrote the imported records.
fn without_formula(cell: &str) -> Cow<'_, str> {
    let is_formula = cell.trim_start().starts_with(FORMULA_STARTS) || cell.starts_with(['\t', '\r', '\n']);
    // A number below zero stays a number.
    if is_formula && !is_number(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Lets the pipe's other end close early.
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
            droppable: &["cache_read_tokens"],
        }
    }

    #[test]
    fn tables_fit_the_terminal_and_say_what_is_left_out() {
        for width in [200, 80, 70, 60, 50, 45] {
            let (text, left_out) = wide().fitted(Some(width));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} columns instead of {width}:\n{text}");
            assert_eq!(left_out.is_empty(), width >= 70, "{width}: {left_out:?}");
            assert!(text.contains("0.23213535"), "numbers stay whole:\n{text}");
        }
        let (text, left_out) = wide().fitted(None);
        assert!(text.contains("cache_read_tokens") && left_out.is_empty());
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
