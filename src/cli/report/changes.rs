//! `apex report changes`

mod print;
mod server;

#[cfg(test)]
pub(in crate::cli) use server::DOCUMENTS;

use super::dimension::DimensionParser;
use super::period::{Limit, ZoneName};
use crate::cli::output::Format;
use crate::cli::point::Between;
use crate::cli::session::{Session, interruptible, with_rooms};
use crate::cli::{backend, exports};
use crate::rooms::Rooms;
use projections::{
    CausingEvent, ChangedRow, CostChanges, KnownLimits, NamedDimension, NamedFilter, ReportQuery, ReportTag, Totals,
    causing_events, tag_key,
};
use std::process::ExitCode;
use streams::Position;

/// The maximum number of events that are listed.
const MAX_LISTED_EVENTS: usize = 100_000;
/// The number of events that are read at a time.
const PAGE_EVENTS: usize = 1_000;

/// Compare the charged cost as it was known at two moments: which rows changed, by how much, and by which events.
///
/// Rows whose cost changed most are first. With --events, the events between the moments that changed the report are listed
/// instead, each with the amount by which it did: new calls, amendments, corrections, repricings, and calls that were taken back.
/// Their amounts add up to the difference of the totals, to the last digit. The read models are not waited for: both moments are
/// summed up from the events in the log. A server reads at most 100,000 of them; run it on the database for more.
#[derive(Debug, clap::Args)]
pub(super) struct Changes {
    /// The two moments: positions of the log, days (UTC) or times, such as 1200..1500 or 2026-10-01..2026-11-03T06:00:00Z
    #[arg(long, value_name = "MOMENT..MOMENT")]
    between: Between,
    /// The dimensions to group by, separated by commas; a tag with its key, such as tag:team
    #[arg(long, value_delimiter = ',', value_parser = DimensionParser, value_name = "DIMENSION")]
    by: Vec<NamedDimension>,
    /// Only calls with this value of a dimension, as of `apex report cost`
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    filters: Vec<NamedFilter>,
    /// The time zone of days and other times: an IANA name such as Europe/Berlin, or local for that of this machine
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    time_zone: ZoneName,
    /// Only calls that started at or after this day, month or quarter of an hour
    #[arg(long, value_name = "TIME")]
    from: Option<Limit>,
    /// Only calls that started before this day, month or quarter of an hour
    #[arg(long, value_name = "TIME")]
    to: Option<Limit>,
    /// List the events that changed the report, in the order of the log, instead of the rows
    #[arg(long)]
    events: bool,
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Sums at a moment.
#[derive(Debug, Clone, PartialEq)]
struct Side {
    /// The calls of models and of tools.
    calls: i128,
    /// The charged cost; none if it is not known.
    cost: Option<String>,
}

impl From<&Totals> for Side {
    fn from(totals: &Totals) -> Self {
        let calls = i128::from(totals.calls) + i128::from(totals.tool_calls);
        Self { calls, cost: totals.known_cost().map(ToString::to_string) }
    }
}

/// A row that changed.
struct RowView {
    keys: Vec<Option<String>>,
    names: Vec<Option<String>>,
    before: Side,
    after: Side,
    cost_difference: String,
}

impl From<ChangedRow> for RowView {
    fn from(changed: ChangedRow) -> Self {
        let (before, after) = (Side::from(&changed.before()), Side::from(changed.after()));
        let cost_difference = changed.cost_difference().to_string();
        Self { keys: changed.row.keys, names: changed.row.names, before, after, cost_difference }
    }
}

/// An event that changed the report.
struct EventView {
    position: Position,
    name: String,
    recorded_at: chrono::DateTime<chrono::Utc>,
    call_id: uuid::Uuid,
    actor: Option<String>,
    calls_difference: i128,
    cost_difference: String,
}

impl From<CausingEvent> for EventView {
    fn from(event: CausingEvent) -> Self {
        let calls = i128::from(event.difference.calls) + i128::from(event.difference.tool_calls);
        Self {
            position: event.position,
            name: event.name,
            recorded_at: event.recorded_at,
            call_id: event.call_id,
            actor: event.actor,
            calls_difference: calls,
            cost_difference: event.difference.cost.to_string(),
        }
    }
}

/// What is printed.
struct View {
    from: Position,
    to: Position,
    before: Side,
    after: Side,
    cost_difference: String,
    /// The rows; none if events are listed.
    rows: Vec<RowView>,
    /// The events, if they are listed, and whether there are more of them.
    events: Option<(Vec<EventView>, bool)>,
}

impl Changes {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let view = if let Some(client) = backend::client(session)? {
            interruptible(server::view(&client, &self)).await?
        } else {
            with_rooms(session, async |rooms| self.on_database(rooms).await).await?
        };
        print::print(&self, &view)?;
        Ok(ExitCode::SUCCESS)
    }

    fn query(&self, rooms: &Rooms) -> anyhow::Result<ReportQuery> {
        let zone = self.time_zone.zone()?;
        let time = |limit: Option<Limit>| limit.map(|limit| limit.time(zone)).transpose();
        let tag = tag_key(&self.by, &self.filters)?;
        Ok(ReportQuery {
            by: self.by.iter().map(NamedDimension::dimension).collect(),
            filters: self.filters.iter().map(|filter| filter.filter().clone()).collect(),
            zone,
            from: time(self.from)?,
            to: time(self.to)?,
            tag: tag.map(|key| ReportTag { key: key.clone(), is_declared: false }),
            ..ReportQuery::new(rooms.principal.authorise()?)
        })
    }

    async fn on_database(&self, rooms: &Rooms) -> anyhow::Result<View> {
        let query = self.query(rooms)?;
        if exports::is_export(self.format) {
            exports::record(rooms, "usage_report").await;
        }
        let (log, limits) = (rooms.log.of_tenants(rooms.reads.clone()), KnownLimits::OF_PROGRAM);
        let moments = (self.between.from.into(), self.between.to.into());
        let changes = CostChanges::read((&rooms.log, &log), &rooms.reads, &query, moments, limits).await?;
        let mut events = self.events.then(|| (Vec::new(), false));
        if let Some((events, is_cut)) = &mut events {
            let mut after = changes.from;
            loop {
                let page = causing_events(&log, &query, (after, changes.to), PAGE_EVENTS, limits).await?;
                let is_last = page.len() < PAGE_EVENTS;
                after = page.last().map_or(after, |last| last.position);
                events.extend(page.into_iter().map(EventView::from));
                *is_cut = !is_last && events.len() >= MAX_LISTED_EVENTS;
                if is_last || *is_cut {
                    break;
                }
            }
        }
        Ok(View {
            from: changes.from,
            to: changes.to,
            before: (&changes.before).into(),
            after: (&changes.after).into(),
            cost_difference: changes.cost_difference().to_string(),
            rows: changes.rows.into_iter().map(RowView::from).collect(),
            events,
        })
    }
}
