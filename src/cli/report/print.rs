//! Printing a report. Rows are streamed, because a report may not fit into memory.

use super::arguments::Cost;
use super::columns::{IS_REST, change, droppable, has_names, is_shown, names, object, values};
use super::source::Source;
use crate::cli::output::{self, Format, Sink, Table};
use anyhow::Context as _;
use chrono_tz::Tz;
use futures::TryStreamExt;
use projections::{CostPolicy, NamedDimension, ReportRow};
use serde_json::{Map, Value, json};
use streams::Position;

/// The maximum number of rows of a table; a longer report is printed as several tables, each with its header.
const TABLE_ROWS: usize = 1_000;

/// The last columns of CSV.
const FRESHNESS: [&str; 3] = ["position", "head", "seconds_behind"];

/// What the output of a report looks like.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Layout {
    by: Vec<NamedDimension>,
    format: Format,
    policy: CostPolicy,
    zone: Tz,
    has_rest: bool,
    /// Whether the report is as known at an earlier time, and thus behind nothing.
    is_known: bool,
}

impl Layout {
    /// A table of the charged costs.
    pub(in crate::cli) fn table(by: Vec<NamedDimension>) -> Self {
        let (format, policy) = (Format::Table, CostPolicy::Charged);
        Self { by, format, policy, zone: Tz::UTC, has_rest: false, is_known: false }
    }

    /// The charged costs for programs, as known at one position.
    pub(super) fn of_file(by: Vec<NamedDimension>, format: Format, zone: Tz, has_rest: bool) -> Self {
        Self { by, format, policy: CostPolicy::Charged, zone, has_rest, is_known: false }
    }

    pub(super) fn of(cost: &Cost, zone: Tz) -> Self {
        let Cost { by, format, cost: policy, top, known_at, .. } = cost;
        let (has_rest, is_known) = (top.is_some(), known_at.is_some());
        Self { by: by.clone(), format: *format, policy: (*policy).into(), zone, has_rest, is_known }
    }
}

/// Prints a report and the last position of the log. Rows are streamed, because a report may not fit into memory.
pub(in crate::cli) async fn print(report: &mut impl Source, head: Position, layout: &Layout) -> anyhow::Result<()> {
    write_to(&mut output::Standard, report, head, layout).await.map(|_| ())
}

/// As [`print`], to a sink; tables are printed in any case. Returns the number of rows.
pub(in crate::cli) async fn write_to(
    sink: Sink<'_>,
    report: &mut impl Source,
    head: Position,
    layout: &Layout,
) -> anyhow::Result<u64> {
    let head = head.max(report.summary().position);
    match layout.format {
        Format::Json => print_json(sink, report, head, layout).await,
        Format::Table => print_tables(report, layout).await.map(|()| 0),
        Format::Csv => print_csv(sink, report, head, layout).await,
    }
}

async fn print_json(sink: Sink<'_>, report: &mut impl Source, head: Position, layout: &Layout) -> anyhow::Result<u64> {
    let (end, mut count) = (end_of_json(report, head, layout), 0);
    sink.write_all(b"{\"rows\":[")?;
    let mut rows = report.rows().try_chunks(TABLE_ROWS);
    let mut separator = "\n";
    while let Some(chunk) = rows.try_next().await? {
        for row in chunk {
            let row = serde_json::to_string(&row_object(&row, layout))?;
            sink.write_all(format!("{separator}{row}").as_bytes())?;
            separator = ",\n";
            count += 1;
        }
    }
    sink.write_all(b"]")?;
    for (name, value) in end {
        sink.write_all(format!(",\n\"{name}\":{}", serde_json::to_string(&value)?).as_bytes())?;
    }
    sink.write_all(b"}\n")?;
    Ok(count)
}

/// What follows the rows.
fn end_of_json(report: &impl Source, head: Position, layout: &Layout) -> Vec<(&'static str, Value)> {
    let summary = report.summary();
    let mut members = vec![("total", Value::Object(object(&summary.total, layout.policy)))];
    if let Some(base) = &summary.base {
        members.extend([
            ("base", Value::Object(object(&base.total, layout.policy))),
            ("change", change(&summary.total, &base.total, layout.policy)),
            ("base_from", json!(base.from)),
            ("base_to", json!(base.to)),
        ]);
    }
    let (events, seconds) = summary.behind(head);
    members.extend([
        ("summed_from", json!(summary.summed_from)),
        ("time_zone", json!(layout.zone.name())),
        ("position", json!(summary.position)),
        ("head", json!(head)),
        ("events_behind", json!((!layout.is_known).then_some(events))),
        ("seconds_behind", json!(seconds)),
    ]);
    members
}

async fn print_tables(report: &mut impl Source, layout: &Layout) -> anyhow::Result<()> {
    let (by, summary) = (&layout.by, report.summary());
    let base = summary.base.as_ref().map(|base| &base.total);
    let is_compared = base.is_some();
    let total = values(&summary.total, base, layout.policy);
    let shown: Vec<_> = std::iter::repeat_n(true, by.len())
        .chain(names(is_compared).zip(&total).map(|(name, total)| is_shown(name, total)))
        .collect();
    let print = |rows: Vec<Vec<String>>| {
        let rows: Vec<_> = rows.into_iter().map(|row| keep(row, &shown)).collect();
        let header = by.iter().map(ToString::to_string).chain(names(is_compared).map(str::to_owned));
        let header = keep(header.collect(), &shown);
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
        lines.push(line(&row, layout));
    }
    let keys = (0..by.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() });
    lines.push(keys.chain(total).collect());
    print(lines)
}

async fn print_csv(sink: Sink<'_>, report: &mut impl Source, head: Position, layout: &Layout) -> anyhow::Result<u64> {
    let summary = report.summary();
    let base = summary.base.as_ref().map(|base| &base.total);
    output::csv_to(sink, &csv_header(layout, base.is_some()), &[])?;
    let seconds = summary.behind(head).1.map_or_else(String::new, |seconds| seconds.to_string());
    let positions = [summary.position.to_string(), head.to_string(), seconds];
    if layout.by.is_empty() {
        let keys = layout.has_rest.then(|| false.to_string());
        let values = values(&summary.total, base, layout.policy);
        output::csv_rows_to(sink, &[keys.into_iter().chain(values).chain(positions).collect()])?;
        return Ok(1);
    }
    let mut count = 0;
    let line = |row: ReportRow| csv_line(&row, layout).into_iter().chain(positions.iter().cloned()).collect::<Vec<_>>();
    let mut rows = report.rows().map_ok(line).try_chunks(TABLE_ROWS);
    while let Some(lines) = rows.try_next().await? {
        count += u64::try_from(lines.len()).unwrap_or(0);
        output::csv_rows_to(sink, &lines)?;
    }
    Ok(count)
}

fn keep(line: Vec<String>, shown: &[bool]) -> Vec<String> {
    line.into_iter().zip(shown).filter(|(_, shown)| **shown).map(|(value, _)| value).collect()
}

/// The columns of CSV: those of the table, with a column for the names of agents and tasks beside that of their ids,
/// the position of the report and of the end of the log, and how many seconds the report is behind it.
fn csv_header(layout: &Layout, is_compared: bool) -> Vec<String> {
    let keys = layout.by.iter().flat_map(|named| {
        let name = has_names(named).then(|| format!("{named}_name"));
        std::iter::once(named.to_string()).chain(name)
    });
    let keys = keys.chain(layout.has_rest.then(|| IS_REST.to_owned()));
    keys.chain(names(is_compared).map(str::to_owned)).chain(FRESHNESS.map(str::to_owned)).collect()
}

fn csv_line(row: &ReportRow, layout: &Layout) -> Vec<String> {
    let keys = layout.by.iter().zip(row.keys.iter().zip(&row.names)).flat_map(|(named, (key, name))| {
        let name = has_names(named).then(|| name.clone().unwrap_or_default());
        std::iter::once(key.clone().unwrap_or_default()).chain(name)
    });
    let keys = keys.chain(layout.has_rest.then(|| row.is_rest.to_string()));
    keys.chain(values(&row.totals, row.base.as_ref(), layout.policy)).collect()
}

fn line(row: &ReportRow, layout: &Layout) -> Vec<String> {
    let none = if row.is_rest { "(rest)" } else { "–" };
    let keys = row.keys.iter().zip(&row.names);
    let keys = keys.map(|(key, name)| name.as_ref().or(key.as_ref()).cloned().unwrap_or_else(|| none.to_owned()));
    keys.chain(values(&row.totals, row.base.as_ref(), layout.policy)).collect()
}

fn row_object(row: &ReportRow, layout: &Layout) -> Map<String, Value> {
    let mut members = Map::new();
    for ((named, key), name) in layout.by.iter().zip(&row.keys).zip(&row.names) {
        members.insert(named.to_string(), json!(key));
        if has_names(named) {
            members.insert(format!("{named}_name"), json!(name));
        }
    }
    if layout.has_rest {
        members.insert(IS_REST.to_owned(), json!(row.is_rest));
    }
    members.extend(object(&row.totals, layout.policy));
    if let Some(base) = &row.base {
        members.insert("base".to_owned(), Value::Object(object(base, layout.policy)));
        members.insert("change".to_owned(), change(&row.totals, base, layout.policy));
    }
    members
}
