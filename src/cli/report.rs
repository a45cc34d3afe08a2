//! `apex report`

mod dimension;
mod print;
mod server;
mod source;

pub(super) use dimension::Named;
pub(super) use print::print;
#[cfg(test)]
pub(super) use server::{DOCUMENTS, document};

use self::dimension::{DimensionParser, NamedFilter, tag_key};
use self::source::Source;
use super::backend;
use super::output::Format;
use super::session::{Session, interruptible, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::tag_keys::TagKeys;
use domain::TagKey;
use projections::{ReportQuery, ReportTag, UsageSource, WaitError, WholeReport};
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

/// Parses a day, or a time in RFC 3339.
pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    text.parse().map_err(|_| "expected a day such as 2023-09-24 or a time such as 2023-09-24T13:00:00Z".to_owned())
}

impl ReportCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let Kind::Cost(cost) = self.kind;
        let key = tag_key(&cost.by, &cost.filters)?;
        if let Some(client) = backend::client(session)? {
            interruptible(server::report(&client, &cost, key)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        with_rooms(session, async |rooms| {
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
            print(&mut report, head, &cost.by, cost.format).await?;
            describe(&report, head, declared_at);
            warn_of_parked(rooms).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

/// Says of which position a report is, and what it was summed from.
fn describe(report: &impl Source, head: Position, declared_at: Option<DateTime<Utc>>) {
    say!("Report as of position {} of {}.", report.position(), head.max(report.position()));
    say!("Summed from: {}.", report.summed_from());
    if let (true, Some(at)) = (report.summed_from() == UsageSource::TagHours.to_string(), declared_at) {
        say!(
            "The tag key was last declared at {at}: calls that were reported only while it was not declared have no value in this report."
        );
    }
}

/// Says that a report lacks events that could not be applied.
fn warn(parked: i64) {
    if parked > 0 {
        say!("{parked} events could not be applied and are not in the report: see `apex projections parked {CALLS}`.");
    }
}

/// The error of a report whose read models are behind.
fn incomplete(timeout: Duration, names: &str) -> String {
    format!(
        "the report would be incomplete: after {} the read models{names} are still behind the log. See `apex projections \
         list`; use --wait to wait longer, or --no-wait to report their present state",
        humantime::format_duration(timeout)
    )
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
async fn catch_up(rooms: &mut Rooms, names: &[&'static str], head: Position, timeout: Duration) -> anyhow::Result<()> {
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
    waited.map(|_| ()).with_context(|| incomplete(timeout, &format!(" ({})", names.join(", "))))
}

/// Warns of parked events, which are not included in the report.
async fn warn_of_parked(rooms: &Rooms) -> anyhow::Result<()> {
    let statuses = projections::statuses(&rooms.principal.authorise()?, &rooms.pool)
        .await
        .context("the checkpoints cannot be read")?;
    warn(statuses.iter().find(|status| status.name == CALLS).map_or(0, |status| status.parked_events));
    Ok(())
}
