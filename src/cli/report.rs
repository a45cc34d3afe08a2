//! `apex report`

use super::output::{self, Format};
use super::with_rooms;
use crate::config::Common;
use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures::TryStreamExt;
use projections::{Dimension, ReportQuery, ReportRow, Totals, WholeReport};
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
            let mut report = WholeReport::open(&rooms.pool, query).await?;
            let head = rooms.log.head().await?;
            print(&mut report, &cost.by, cost.format).await?;
            eprintln!("Stands at position {} of {head}.", report.position);
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// Rows that are printed as one table; a longer report is several tables, each with its header.
const TABLE_ROWS: usize = 1_000;

/// Prints a report in a form, row by row: there may be more rows than memory.
pub(super) async fn print(report: &mut WholeReport, by: &[Dimension], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => print_json(report, by).await,
        Format::Table => print_tables(report, by).await,
        Format::Csv => print_csv(report, by).await,
    }
}

async fn print_json(report: &mut WholeReport, by: &[Dimension]) -> anyhow::Result<()> {
    let (total, position) = (serde_json::to_string(&totals(&report.total))?, report.position);
    output::write("{\"rows\":[")?;
    let mut rows = report.rows().try_chunks(TABLE_ROWS);
    let mut separator = "\n";
    while let Some(chunk) = rows.try_next().await? {
        for row in chunk {
            let row = serde_json::to_string(&object(&row, by))?;
            output::write(&format!("{separator}{row}"))?;
            separator = ",\n";
        }
    }
    Ok(output::write(&format!("],\n\"total\":{total},\n\"position\":{}}}\n", serde_json::to_string(&position)?))?)
}

async fn print_tables(report: &mut WholeReport, by: &[Dimension]) -> anyhow::Result<()> {
    let total: Vec<_> = columns(&report.total).to_vec();
    let shown = shown_columns(&total, by.len());
    let print = |rows: Vec<Vec<String>>| {
        let rows: Vec<_> = rows.into_iter().map(|row| keep(row, &shown)).collect();
        let header = keep(header(by), &shown);
        let numbers = by.len()..header.len();
        output::table(&header, &rows, numbers).context("the report cannot be written")
    };
    let mut rows = report.rows();
    let mut lines = Vec::new();
    while let Some(row) = rows.try_next().await? {
        if lines.len() == TABLE_ROWS {
            print(std::mem::take(&mut lines))?;
        }
        lines.push(line(&row));
    }
    let keys = (0..by.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() });
    lines.push(keys.chain(total).collect());
    print(lines)
}

async fn print_csv(report: &mut WholeReport, by: &[Dimension]) -> anyhow::Result<()> {
    output::csv(&csv_header(by), &[])?;
    if by.is_empty() {
        return output::csv_rows(&[columns(&report.total).to_vec()]);
    }
    let mut rows = report.rows().map_ok(|row| csv_line(&row, by)).try_chunks(TABLE_ROWS);
    while let Some(lines) = rows.try_next().await? {
        output::csv_rows(&lines)?;
    }
    Ok(())
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

/// Which columns of a table for people are shown: not those that no call has anything in. CSV and JSON always have
/// every column.
fn shown_columns(total: &[String], keys: usize) -> Vec<bool> {
    let is_shown = |(name, total): (&&str, &String)| ALWAYS.contains(name) || total != "0";
    std::iter::repeat_n(true, keys).chain(COLUMNS.iter().zip(total).map(is_shown)).collect()
}

fn keep(line: Vec<String>, shown: &[bool]) -> Vec<String> {
    line.into_iter().zip(shown).filter(|(_, shown)| **shown).map(|(value, _)| value).collect()
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

fn object(row: &ReportRow, by: &[Dimension]) -> Map<String, Value> {
    let mut object = Map::new();
    for ((dimension, key), name) in by.iter().zip(&row.keys).zip(&row.names) {
        object.insert(dimension.as_str().to_owned(), json!(key));
        if has_names(*dimension) {
            object.insert(format!("{}_name", dimension.as_str()), json!(name));
        }
    }
    object.extend(totals(&row.totals));
    object
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
