//! `apex report`

mod dimension;
mod known;
mod policy;

pub(super) use dimension::Named;

use self::dimension::{DimensionParser, NamedFilter, tag_key};
use self::policy::{Policy, cost};
use super::output::{self, Format, Table};
use super::point::{Point, parse_time};
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::tag_keys::TagKeys;
use domain::{Meter, Quantity, TagKey};
use futures::TryStreamExt;
use projections::{CostPolicy, ReportQuery, ReportRow, ReportTag, Totals, UsageSource, WaitError, WholeReport};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;
use streams::Position;

/// Report usage and cost.
///
/// Reads the read models, after they have caught up with the log.
#[derive(Debug, clap::Args)]
pub(super) struct ReportCommand {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    Cost(Cost),
}

/// Report the usage and cost of calls.
///
/// Costs are exact, in US dollars. Calls without a known price are not included in any cost; they are counted
/// separately. The report includes all events that were in the log at the start: read models that are behind are
/// updated first, by this process if no other does it. The position of the report and the last position of the log are
/// written to standard error, in JSON as `position` and `head`, and in CSV as the last two columns. In CSV, text that a
/// spreadsheet would run as a formula is preceded by an apostrophe.
///
/// Sums are kept by quarter of an hour and agent, user, team, key, provider, model, tool, outcome and source, by day (UTC)
/// and each of task, dag and conversation alone, and by hour and one tag alone whose key is declared (see `apex tags`). A
/// report by another combination, of dimensions to group by and to filter on, reads the calls, at most 100,000; with more, it
/// is refused, and the message names the nearest combination. What the report was summed from is written to standard error,
/// and in JSON as `summed_from`.
///
/// Sums by a tag have the calls that were reported with it, or whose tags were corrected, while its key was declared. All
/// others are in the row without a value, so that the rows always add up to the total. A report that reads the calls has each
/// call under the value of its tag, whenever the key was declared: one by the tag and a dimension that is not a time does.
///
/// Exits with 0, or with 1 if the read models do not catch up in time.
#[derive(Debug, clap::Args)]
struct Cost {
    /// The dimensions to group by, separated by commas; a tag with its key, such as tag:team
    ///
    /// A report is about one tag key, which contains no comma.
    #[arg(long, value_delimiter = ',', value_parser = DimensionParser, value_name = "DIMENSION")]
    by: Vec<Named>,

    /// Only calls with this value of a dimension, such as model=gpt-4o; nothing after the = selects calls without a value
    ///
    /// May be given up to 50 times. Filters on the same dimension are alternatives; those on different dimensions must all
    /// be met. Agents, tasks and dags are given by UUID, times as in the report: quarter_hour=2023-09-24T13:15Z,
    /// hour=2023-09-24T13:00Z, day=2023-09-24, month=2023-09. The key of a tag ends before the first =, as in tag:team=search.
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    filters: Vec<NamedFilter>,

    /// Only calls that started at or after this day or quarter of an hour, such as 2023-09-24 (UTC) or 2023-09-24T13:15:00Z
    #[arg(long, value_parser = parse_time)]
    from: Option<DateTime<Utc>>,

    /// Only calls that started before this day or quarter of an hour
    #[arg(long, value_parser = parse_time)]
    to: Option<DateTime<Utc>>,

    /// Which cost of a call counts as its cost
    ///
    /// Rows are in the order of the charged cost in any case. `reported_difference` is how much more the sources reported than
    /// was charged, over the calls that have both costs.
    #[arg(long, value_enum, default_value_t = Policy::Charged, value_name = "POLICY")]
    cost: Policy,

    /// The costs as they were known at this position of the log, or before this time, from the events of the log up to it
    ///
    /// Amendments, corrections and repricings that were recorded later are not included. Can be combined with --by, --from, --to
    /// and --format.
    #[arg(long, value_name = "POSITION|TIME")]
    known_at: Option<Point>,

    /// The format of the report
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,

    /// Report the present state of the read models, which may be behind the log
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

impl ReportCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let Kind::Cost(cost) = self.kind;
        let key = tag_key(&cost.by, &cost.filters)?;
        with_rooms(session, async |rooms| {
            if let Some(known_at) = cost.known_at {
                known::report(rooms, &cost, known_at).await?;
                return Ok(ExitCode::SUCCESS);
            }
            let head = rooms.log.head().await?;
            let declared_at = match key {
                Some(key) => declared_at(rooms, key).await?,
                None => None,
            };
            let query = ReportQuery {
                access: rooms.principal.authorise()?,
                by: cost.by.iter().map(|by| by.dimension).collect(),
                filters: cost.filters.iter().map(|filter| filter.filter.clone()).collect(),
                from: cost.from,
                to: cost.to,
                tag: key.map(|key| ReportTag { key: key.clone(), is_declared: declared_at.is_some() }),
            };
            if !cost.no_wait {
                catch_up(rooms, &query.projections(), head, cost.wait).await?;
            }
            let mut report = WholeReport::open(&rooms.reads, &query).await?;
            print(&mut report, head, &cost.by, cost.format, cost.cost.into()).await?;
            say!("Report as of position {} of {}.", report.position, head.max(report.position));
            say!("Summed from: {}.", report.source());
            if let (UsageSource::TagHours, Some(at)) = (report.source(), declared_at) {
                say!(
                    "The tag key was last declared at {at}: calls that were reported only while it was not declared have no value in this report."
                );
            }
            warn_of_parked(rooms).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// When a tag key was declared; none if it is not declared now.
async fn declared_at(rooms: &Rooms, key: &TagKey) -> anyhow::Result<Option<DateTime<Utc>>> {
    let keys = rooms.commands.load::<TagKeys>(&rooms.principal, TagKeys::id()).await?;
    Ok(keys.state.declared_at(key))
}

/// The read model with the usage of calls.
const CALLS: &str = "calls";

/// The maximum of `--wait`.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Updates read models up to a position of the log. Other processes may be doing the same.
pub(super) async fn catch_up(
    rooms: &mut Rooms,
    names: &[&'static str],
    head: Position,
    timeout: Duration,
) -> anyhow::Result<()> {
    let pool = rooms.pool.clone();
    let reached = match projections::wait_for(&pool, names, head, Duration::ZERO).await {
        Ok(_) => return Ok(()),
        Err(WaitError::TimedOut { position, .. }) => position,
        Err(error) => return Err(error.into()),
    };
    say!("The read models are at position {reached} of {head}; waiting for them (use --no-wait to skip this).");
    for projection in projections::all().into_iter().filter(|projection| names.contains(&projection.name())) {
        rooms.start_projection(projection);
    }
    let waited = tokio::select! {
        waited = projections::wait_for(&pool, names, head, timeout.min(MAX_WAIT)) => waited,
        died = rooms.worker_died() => return died,
    };
    waited.map(|_| ()).with_context(|| {
        format!(
            "the report would be incomplete: after {} the read models ({}) are still behind the log. See \
             `apex projections list`; use --wait to wait longer, or --no-wait to report their present state",
            humantime::format_duration(timeout),
            names.join(", ")
        )
    })
}

/// Warns of parked events, which are not included in the report.
async fn warn_of_parked(rooms: &Rooms) -> anyhow::Result<()> {
    let statuses = projections::statuses(&rooms.principal.authorise()?, &rooms.pool)
        .await
        .context("the checkpoints cannot be read")?;
    let parked = statuses.iter().find(|status| status.name == CALLS).map_or(0, |status| status.parked_events);
    if parked > 0 {
        say!("{parked} events could not be applied and are not in the report: see `apex projections parked {CALLS}`.");
    }
    Ok(())
}

/// The maximum number of rows of a table; a longer report is printed as several tables, each with its header.
const TABLE_ROWS: usize = 1_000;

/// Prints a report and the last position of the log. Rows are streamed, because a report may not fit into memory.
pub(super) async fn print(
    report: &mut WholeReport,
    head: Position,
    by: &[Named],
    format: Format,
    policy: CostPolicy,
) -> anyhow::Result<()> {
    let head = head.max(report.position);
    match format {
        Format::Json => print_json(report, head, by, policy).await,
        Format::Table => print_tables(report, by, policy).await,
        Format::Csv => print_csv(report, head, by, policy).await,
    }
}

async fn print_json(report: &mut WholeReport, head: Position, by: &[Named], policy: CostPolicy) -> anyhow::Result<()> {
    let (total, position) = (serde_json::to_string(&totals(&report.total, policy))?, report.position);
    let source = serde_json::to_string(&report.source().to_string())?;
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

async fn print_tables(report: &mut WholeReport, by: &[Named], policy: CostPolicy) -> anyhow::Result<()> {
    let total: Vec<_> = columns(&report.total, policy).collect();
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

async fn print_csv(report: &mut WholeReport, head: Position, by: &[Named], policy: CostPolicy) -> anyhow::Result<()> {
    output::csv(&csv_header(by), &[])?;
    let positions = [report.position.to_string(), head.to_string()];
    if by.is_empty() {
        return output::csv_rows(&[columns(&report.total, policy).chain(positions).collect()]);
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
