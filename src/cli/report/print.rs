//! Printing a report. Rows are streamed, because a report may not fit into memory.

use super::dimension::Named;
use super::policy::cost;
use super::source::Source;
use crate::cli::output::{self, Format, Table};
use anyhow::Context as _;
use domain::{Meter, Quantity};
use futures::TryStreamExt;
use projections::{CostPolicy, ReportRow, Totals};
use serde_json::{Map, Value, json};
use streams::Position;

/// The maximum number of rows of a table; a longer report is printed as several tables, each with its header.
const TABLE_ROWS: usize = 1_000;

/// Prints a report and the last position of the log. Rows are streamed, because a report may not fit into memory.
pub(in crate::cli) async fn print(
    report: &mut impl Source,
    head: Position,
    by: &[Named],
    (format, policy): (Format, CostPolicy),
) -> anyhow::Result<()> {
    let head = head.max(report.summary().position);
    match format {
        Format::Json => print_json(report, head, by, policy).await,
        Format::Table => print_tables(report, by, policy).await,
        Format::Csv => print_csv(report, head, by, policy).await,
    }
}

async fn print_json(report: &mut impl Source, head: Position, by: &[Named], policy: CostPolicy) -> anyhow::Result<()> {
    let (total, position) =
        (serde_json::to_string(&totals(&report.summary().total, policy))?, report.summary().position);
    let source = serde_json::to_string(&report.summary().summed_from)?;
    output::write("{\"rows\":[")?;
    let mut rows = report.rows().try_chunks(TABLE_ROWS);
    let mut separator = "\n";
    while let Some(chunk) = rows.try_next().await? {
        for row in chunk {
            let row = serde_json::to_string(&object(&row, by, policy))?;
            output::write(&format!("{separator}{row}"))?;
            separator = ",\n";
        }
    }
    let (position, head) = (serde_json::to_string(&position)?, serde_json::to_string(&head)?);
    let sums = format!("],\n\"total\":{total},\n\"summed_from\":{source},\n");
    Ok(output::write(&format!("{sums}\"position\":{position},\n\"head\":{head}}}\n"))?)
}

async fn print_tables(report: &mut impl Source, by: &[Named], policy: CostPolicy) -> anyhow::Result<()> {
    let total: Vec<_> = columns(&report.summary().total, policy).collect();
    let shown = shown_columns(&total, by.len());
    let print = |rows: Vec<Vec<String>>| {
        let rows: Vec<_> = rows.into_iter().map(|row| keep(row, &shown)).collect();
        let header = keep(header(by), &shown);
        let numbers = by.len()..header.len();
        let table = Table { header, rows, numbers, droppable: droppable() };
        table.write().context("the report cannot be written")
    };
    let mut rows = report.rows();
    let mut lines = Vec::new();
    while let Some(row) = rows.try_next().await? {
        if lines.len() == TABLE_ROWS {
            print(std::mem::take(&mut lines))?;
        }
        lines.push(line(&row, policy));
    }
    let keys = (0..by.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() });
    lines.push(keys.chain(total).collect());
    print(lines)
}

async fn print_csv(report: &mut impl Source, head: Position, by: &[Named], policy: CostPolicy) -> anyhow::Result<()> {
    output::csv(&csv_header(by), &[])?;
    let positions = [report.summary().position.to_string(), head.to_string()];
    if by.is_empty() {
        return output::csv_rows(&[columns(&report.summary().total, policy).chain(positions).collect()]);
    }
    let line =
        |row: ReportRow| csv_line(&row, by, policy).into_iter().chain(positions.iter().cloned()).collect::<Vec<_>>();
    let mut rows = report.rows().map_ok(line).try_chunks(TABLE_ROWS);
    while let Some(lines) = rows.try_next().await? {
        output::csv_rows(&lines)?;
    }
    Ok(())
}

/// The columns of sums before those of the meters.
const COUNTS: [&str; 4] = ["calls", "tool_calls", "failed_calls", "unpriced_calls"];
/// The columns of sums after those of the meters.
const COSTS: [&str; 3] = ["cost", "reported_cost", "reported_difference"];

/// The names of all columns of sums.
fn column_names() -> impl Iterator<Item = &'static str> {
    COUNTS.into_iter().chain(Meter::ALL.iter().map(|meter| meter.column())).chain(COSTS)
}

/// Columns that are omitted from a table if the terminal is too narrow, in this order.
fn droppable() -> Vec<&'static str> {
    let meters = Meter::ALL.iter().rev().map(|meter| meter.column()).filter(|column| !ALWAYS_SHOWN.contains(column));
    let last =
        ["reported_difference", "reported_cost", Meter::Output.column(), Meter::Input.column(), "unpriced_calls"];
    ["tool_calls", "failed_calls"].into_iter().chain(meters).chain(last).collect()
}

fn header(by: &[Named]) -> Vec<String> {
    by.iter().map(ToString::to_string).chain(column_names().map(str::to_owned)).collect()
}

/// Columns that are shown even if they contain only zeros.
const ALWAYS_SHOWN: [&str; 4] = ["calls", Meter::Input.column(), Meter::Output.column(), "cost"];

/// Which columns of a table are shown: those with a total other than 0, and [`ALWAYS_SHOWN`]. CSV and JSON have all
/// columns.
fn shown_columns(total: &[String], keys: usize) -> Vec<bool> {
    let is_shown = |(name, total): (&'static str, &String)| ALWAYS_SHOWN.contains(&name) || total != "0";
    std::iter::repeat_n(true, keys).chain(column_names().zip(total).map(is_shown)).collect()
}

fn keep(line: Vec<String>, shown: &[bool]) -> Vec<String> {
    line.into_iter().zip(shown).filter(|(_, shown)| **shown).map(|(value, _)| value).collect()
}

/// The values of the columns of sums.
fn columns(totals: &Totals, policy: CostPolicy) -> impl Iterator<Item = String> {
    let cost = cost(totals, policy).map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
    let counts = counts(totals).map(|count| count.to_string());
    let quantities = Meter::ALL.iter().map(|meter| totals.quantity(*meter).to_string());
    counts.into_iter().chain(quantities).chain([
        cost,
        totals.reported_cost.to_string(),
        totals.reported_difference().to_string(),
    ])
}

/// The values of [`COUNTS`].
fn counts(totals: &Totals) -> [i64; COUNTS.len()] {
    [totals.calls, totals.tool_calls, totals.failed_calls, totals.unpriced_calls]
}

fn has_names(named: &Named) -> bool {
    named.dimension.names_projection().is_some()
}

/// The columns of CSV: those of the table, with a column for the names of agents and tasks beside that of their ids,
/// and the position of the report and of the end of the log.
fn csv_header(by: &[Named]) -> Vec<String> {
    let keys = by.iter().flat_map(|named| {
        let name = has_names(named).then(|| format!("{named}_name"));
        std::iter::once(named.to_string()).chain(name)
    });
    keys.chain(column_names().map(str::to_owned)).chain(["position", "head"].map(str::to_owned)).collect()
}

fn csv_line(row: &ReportRow, by: &[Named], policy: CostPolicy) -> Vec<String> {
    let keys = by.iter().zip(row.keys.iter().zip(&row.names)).flat_map(|(named, (key, name))| {
        let name = has_names(named).then(|| name.clone().unwrap_or_default());
        std::iter::once(key.clone().unwrap_or_default()).chain(name)
    });
    keys.chain(columns(&row.totals, policy)).collect()
}

fn line(row: &ReportRow, policy: CostPolicy) -> Vec<String> {
    let keys = row.keys.iter().zip(&row.names);
    let keys = keys.map(|(key, name)| name.as_ref().or(key.as_ref()).cloned().unwrap_or_else(|| "–".to_owned()));
    keys.chain(columns(&row.totals, policy)).collect()
}

fn object(row: &ReportRow, by: &[Named], policy: CostPolicy) -> Map<String, Value> {
    let mut object = Map::new();
    for ((named, key), name) in by.iter().zip(&row.keys).zip(&row.names) {
        object.insert(named.to_string(), json!(key));
        if has_names(named) {
            object.insert(format!("{named}_name"), json!(name));
        }
    }
    object.extend(totals(&row.totals, policy));
    object
}

fn totals(totals: &Totals, policy: CostPolicy) -> Map<String, Value> {
    // Readers of JSON may keep numbers as floats: those that would not be exact then are strings.
    let number = |sum: i128| match u64::try_from(sum) {
        Ok(exact) if exact <= Quantity::MAX => json!(exact),
        _ => json!(sum.to_string()),
    };
    let counts = COUNTS.into_iter().zip(counts(totals).map(|count| json!(count)));
    let quantities = Meter::ALL.iter().map(|meter| (meter.column(), number(totals.quantity(*meter))));
    let [reported, difference] = [json!(totals.reported_cost), json!(totals.reported_difference())];
    let costs = COSTS.into_iter().zip([json!(cost(totals, policy)), reported, difference]);
    let entries = counts.chain(quantities).chain(costs).chain([("currency", json!("USD"))]);
    entries.map(|(name, value)| (name.to_owned(), value)).collect()
}
