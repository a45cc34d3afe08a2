//! `apex report`

use super::output::{self, Format};
use super::with_rooms;
use crate::config::Common;
use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use projections::{Dimension, Report, ReportQuery, ReportRow, Totals, usage_report};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Reads the read models as they are, and says at which position of the log they stand.
#[derive(Debug, clap::Args)]
pub(super) struct ReportCommand {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    /// What calls used and cost
    Cost(Cost),
}

/// Costs are exact, in US dollars. Calls without a known price are in no cost; they are counted apart.
#[derive(Debug, clap::Args)]
struct Cost {
    /// Break down by these, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = dimension, value_name = "DIMENSION")]
    by: Vec<Dimension>,

    /// Only calls that began at or after this day or full hour (UTC), such as 2023-09-24 or 2023-09-24T13:00:00Z
    #[arg(long, value_parser = moment)]
    from: Option<DateTime<Utc>>,

    /// Only calls that began before this day or full hour (UTC)
    #[arg(long, value_parser = moment)]
    to: Option<DateTime<Utc>>,

    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

fn dimension(text: &str) -> Result<Dimension, String> {
    Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == text).ok_or_else(|| {
        let names: Vec<_> = Dimension::ALL.iter().map(|dimension| dimension.as_str()).collect();
        format!("it is one of {}", names.join(", "))
    })
}

/// A day, or a moment in RFC 3339.
pub(super) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    text.parse().map_err(|_| "write a day like 2023-09-24 or a moment like 2023-09-24T13:00:00Z".to_owned())
}

impl ReportCommand {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Kind::Cost(cost) = self.kind;
        with_rooms(common, async |rooms| {
            let query = ReportQuery { tenant: rooms.tenant.clone(), by: cost.by.clone(), from: cost.from, to: cost.to };
            let report = usage_report(&rooms.pool, &query).await?;
            let head = rooms.log.head().await?;
            print(&report, &cost.by, cost.format)?;
            eprintln!("Stands at position {} of {head}.", report.position);
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// Prints a report in a form.
pub(super) fn print(report: &Report, by: &[Dimension], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::json(&document(report, by)),
        Format::Table => {
            let mut rows: Vec<_> = report.rows.iter().map(line).collect();
            if rows.is_empty() || !by.is_empty() {
                let keys = (0..by.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() });
                rows.push(keys.chain(columns(&report.total)).collect());
            }
            let (header, rows) = without_empty_columns(header(by), rows, by.len());
            let numbers = by.len()..header.len();
            output::table(&header, &rows, numbers).context("the report cannot be written")
        }
        Format::Csv => {
            let mut rows: Vec<_> = report.rows.iter().map(|row| csv_line(row, by)).collect();
            if by.is_empty() {
                rows.push(columns(&report.total).to_vec());
            }
            output::csv(&csv_header(by), &rows)
        }
    }
}

const COLUMNS: [&str; 11] = [
    "calls",
    "tool_calls",
    "failed_calls",
    "unpriced_calls",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost",
    "reported_cost",
];

fn header(by: &[Dimension]) -> Vec<String> {
    by.iter().map(|dimension| dimension.as_str()).chain(COLUMNS).map(str::to_owned).collect()
}

/// Columns that are shown even if they hold nothing but zeros.
const ALWAYS: [&str; 4] = ["calls", "input_tokens", "output_tokens", "cost"];

/// What no call has is left out of a table for people; CSV and JSON always have every column.
fn without_empty_columns(header: Vec<String>, rows: Vec<Vec<String>>, keys: usize) -> (Vec<String>, Vec<Vec<String>>) {
    let shown: Vec<bool> = header
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let used = || rows.iter().any(|row| row.get(n).is_some_and(|value| value != "0"));
            n < keys || ALWAYS.contains(&name.as_str()) || used()
        })
        .collect();
    let keep =
        |line: Vec<String>| line.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(value, _)| value).collect();
    (keep(header), rows.into_iter().map(keep).collect())
}

fn columns(totals: &Totals) -> [String; 11] {
    let cost = totals.known_cost().map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
    [
        totals.calls.to_string(),
        totals.tool_calls.to_string(),
        totals.failed_calls.to_string(),
        totals.unpriced_calls.to_string(),
        totals.input_tokens.to_string(),
        totals.output_tokens.to_string(),
        totals.cache_read_tokens.to_string(),
        totals.cache_write_tokens.to_string(),
        totals.reasoning_tokens.to_string(),
        cost,
        totals.reported_cost.to_string(),
    ]
}

fn has_names(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::Agent | Dimension::Task)
}

/// As the header, with a column for the names of agents and tasks beside that of their ids.
fn csv_header(by: &[Dimension]) -> Vec<String> {
    let keys = by.iter().flat_map(|&dimension| {
        let name = has_names(dimension).then(|| format!("{}_name", dimension.as_str()));
        std::iter::once(dimension.as_str().to_owned()).chain(name)
    });
    keys.chain(COLUMNS.map(str::to_owned)).collect()
}

fn csv_line(row: &ReportRow, by: &[Dimension]) -> Vec<String> {
    let keys = by.iter().zip(row.keys.iter().zip(&row.names)).flat_map(|(&dimension, (key, name))| {
        let name = has_names(dimension).then(|| name.clone().unwrap_or_default());
        std::iter::once(key.clone().unwrap_or_default()).chain(name)
    });
    keys.chain(columns(&row.totals)).collect()
}

fn line(row: &ReportRow) -> Vec<String> {
    let keys = row.keys.iter().zip(&row.names);
    let keys = keys.map(|(key, name)| name.as_ref().or(key.as_ref()).cloned().unwrap_or_else(|| "–".to_owned()));
    keys.chain(columns(&row.totals)).collect()
}

fn document(report: &Report, by: &[Dimension]) -> Value {
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            let mut object = Map::new();
            for ((dimension, key), name) in by.iter().zip(&row.keys).zip(&row.names) {
                object.insert(dimension.as_str().to_owned(), json!(key));
                if has_names(*dimension) {
                    object.insert(format!("{}_name", dimension.as_str()), json!(name));
                }
            }
            object.extend(totals(&row.totals));
            Value::Object(object)
        })
        .collect();
    json!({ "rows": rows, "total": totals(&report.total), "position": report.position })
}

fn totals(totals: &Totals) -> Map<String, Value> {
    // Readers of JSON may keep numbers as floats: those that would not be exact then are strings.
    let number = |sum: i128| match u64::try_from(sum) {
        Ok(exact) if exact <= domain::Tokens::MAX => json!(exact),
        _ => json!(sum.to_string()),
    };
    let entries = [
        ("calls", json!(totals.calls)),
        ("tool_calls", json!(totals.tool_calls)),
        ("failed_calls", json!(totals.failed_calls)),
        ("unpriced_calls", json!(totals.unpriced_calls)),
        ("input_tokens", number(totals.input_tokens)),
        ("output_tokens", number(totals.output_tokens)),
        ("cache_read_tokens", number(totals.cache_read_tokens)),
        ("cache_write_tokens", number(totals.cache_write_tokens)),
        ("reasoning_tokens", number(totals.reasoning_tokens)),
        ("cost", json!(totals.known_cost())),
        ("reported_cost", json!(totals.reported_cost)),
        ("currency", json!("USD")),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
