//! Data on standard output, as tables, CSV or JSON.

use clap::ValueEnum;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use std::io::{self, Write};

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

/// Writes a table; the columns named in `numbers` are aligned to the right.
pub(super) fn table(header: &[String], rows: &[Vec<String>], numbers: std::ops::Range<usize>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for number in numbers {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    write(&format!("{table}\n"))
}

/// Writes CSV.
pub(super) fn csv(header: &[String], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(write(&String::from_utf8(bytes)?)?)
}

/// Writes more CSV, below what [`csv`] wrote.
pub(super) fn csv_rows(rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(write(&String::from_utf8(bytes)?)?)
}

/// Lets the pipe's other end close early.
pub(super) fn ignore_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
