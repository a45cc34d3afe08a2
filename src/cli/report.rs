//! `apex report`

use super::output::{self, Format, Table};
use super::with_rooms;
use crate::config::Common;
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures::TryStreamExt;
use projections::{Dimension, ReportQuery, ReportRow, Totals, WaitError, WholeReport};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;
use streams::Position;

/// Report usage and cost.
///
/// Reports from the read models, once they have everything that is in the log now.
#[derive(Debug, clap::Args)]
pub(super) struct ReportCommand {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    Cost(Cost),
}

/// What calls used and cost.
///
/// Costs are exact, in US dollars. Calls without a known price are in no cost; they are counted apart. The report has
/// everything that was in the log when it was asked for: read models that are behind are brought up to there first, by
/// this program if nobody else does it. The position that it stands at and the last position of the log are on standard
/// error, in JSON as `position` and `head`, and in CSV as the last two columns. In CSV an apostrophe precedes text that
/// a spreadsheet would run as a formula.
///
/// Exits with 0, or with 1 where the read models do not get there in time.
#[derive(Debug, clap::Args)]
struct Cost {
    /// Break down by these, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = dimensions(), value_name = "DIMENSION")]
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

    /// How long to wait for the read models, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,

    /// Report what the read models have now, though the log may have more
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

fn dimensions() -> impl TypedValueParser<Value = Dimension> {
    PossibleValuesParser::new(Dimension::ALL.map(Dimension::as_str)).try_map(|text| {
        let named = Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == text);
        named.ok_or_else(|| format!("{text:?} is no dimension"))
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
            let head = rooms.log.head().await?;
            if !cost.no_wait {
                catch_up(rooms, &sources(&cost.by), head, cost.wait).await?;
            }
            let query = ReportQuery { tenant: rooms.tenant.clone(), by: cost.by.clone(), from: cost.from, to: cost.to };
            let mut report = WholeReport::open(&rooms.pool, query).await?;
            print(&mut report, head, &cost.by, cost.format).await?;
            say!("Stands at position {} of {}.", report.position, head.max(report.position));
            tell_parked(rooms).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// The read models that a report is made of.
fn sources(by: &[Dimension]) -> Vec<&'static str> {
    let names = by.iter().filter_map(|dimension| match dimension {
        Dimension::Agent => Some("agents"),
        Dimension::Task => Some("tasks"),
        _ => None,
    });
    [CALLS].into_iter().chain(names).collect()
}

/// The read model that has the usage of calls.
const CALLS: &str = "calls";

/// Who wants to wait for longer asks again.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Brings read models up to a position of the log, which others may be doing too.
async fn catch_up(rooms: &mut Rooms, names: &[&'static str], head: Position, patience: Duration) -> anyhow::Result<()> {
    let pool = rooms.pool.clone();
    let reached = match projections::wait_for(&pool, names, head, Duration::ZERO).await {
        Ok(_) => return Ok(()),
        Err(WaitError::TimedOut { position, .. }) => position,
        Err(error) => return Err(error.into()),
    };
    say!("The read models stand at position {reached} of {head}; waiting for them. --no-wait does not.");
    for projection in projections::all().into_iter().filter(|projection| names.contains(&projection.name())) {
        rooms.start_projection(projection);
    }
    let waited = tokio::select! {
        waited = projections::wait_for(&pool, names, head, patience.min(MAX_WAIT)) => waited,
        died = rooms.worker_died() => return died,
    };
    waited.map(|_| ()).with_context(|| {
        format!(
            "the report would be a part of the total: after {} the read models ({}) are still behind the log. See \
             `apex projections list`; --wait waits longer, --no-wait reports what is there",
            humantime::format_duration(patience),
            names.join(", ")
        )
    })
}

/// Events that could not be applied are in no sum, though the read model has passed them.
async fn tell_parked(rooms: &Rooms) -> anyhow::Result<()> {
    let statuses = projections::statuses(&rooms.pool).await.context("the checkpoints cannot be read")?;
    let parked = statuses.iter().find(|status| status.name == CALLS).map_or(0, |status| status.parked_events);
    if parked > 0 {
        say!("{parked} events could not be applied and are not in the report: see `apex projections parked {CALLS}`.");
    }
    Ok(())
}

/// Rows that are printed as one table; a longer report is several tables, each with its header.
const TABLE_ROWS: usize = 1_000;

/// Prints a report in a form, with the last position of the log, row by row: there may be more rows than memory.
pub(super) async fn print(
    report: &mut WholeReport,
    head: Position,
    by: &[Dimension],
    format: Format,
) -> anyhow::Result<()> {
    let head = head.max(report.position);
    match format {
        Format::Json => print_json(report, head, by).await,
        Format::Table => print_tables(report, by).await,
        Format::Csv => print_csv(report, head, by).await,
    }
}

async fn print_json(report: &mut WholeReport, head: Position, by: &[Dimension]) -> anyhow::Result<()> {
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
    let (position, head) = (serde_json::to_string(&position)?, serde_json::to_string(&head)?);
    Ok(output::write(&format!("],\n\"total\":{total},\n\"position\":{position},\n\"head\":{head}}}\n"))?)
}

async fn print_tables(report: &mut WholeReport, by: &[Dimension]) -> anyhow::Result<()> {
    let total: Vec<_> = columns(&report.total).to_vec();
    let shown = shown_columns(&total, by.len());
    let print = |rows: Vec<Vec<String>>| {
        let rows: Vec<_> = rows.into_iter().map(|row| keep(row, &shown)).collect();
        let header = keep(header(by), &shown);
        let numbers = by.len()..header.len();
        let table = Table { header, rows, numbers, droppable: &DROPPABLE };
        table.write().context("the report cannot be written")
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

async fn print_csv(report: &mut WholeReport, head: Position, by: &[Dimension]) -> anyhow::Result<()> {
    output::csv(&csv_header(by), &[])?;
    let stands = [report.position.to_string(), head.to_string()];
    if by.is_empty() {
        return output::csv_rows(&[columns(&report.total).into_iter().chain(stands).collect()]);
    }
    let line = |row: ReportRow| csv_line(&row, by).into_iter().chain(stands.iter().cloned()).collect::<Vec<_>>();
    let mut rows = report.rows().map_ok(line).try_chunks(TABLE_ROWS);
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

/// Columns that are left out of a table where the terminal is too narrow, the first one first.
const DROPPABLE: [&str; 9] = [
    "tool_calls",
    "failed_calls",
    "reasoning_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "reported_cost",
    "output_tokens",
    "input_tokens",
    "unpriced_calls",
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

/// As the header, with a column for the names of agents and tasks beside that of their ids, and where the report
/// stands: a file of its own says how much of the log it has.
fn csv_header(by: &[Dimension]) -> Vec<String> {
    let keys = by.iter().flat_map(|&dimension| {
        let name = has_names(dimension).then(|| format!("{}_name", dimension.as_str()));
        std::iter::once(dimension.as_str().to_owned()).chain(name)
    });
    keys.chain(COLUMNS.map(str::to_owned)).chain(["position", "head"].map(str::to_owned)).collect()
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
