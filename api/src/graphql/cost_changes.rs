//! Two moments compared: how costs changed between them, and which events changed them.

use super::as_of::AsOf;
use super::report::{KNOWN_COST, REPORT_COST, ReportArguments};
use super::report_dimension::{Dimension, UsageFilter};
use super::report_page::{UsageKey, keys};
use super::report_totals::UsageTotals;
use super::scalars::{BigInt, Decimal, Position, Timestamp, Uid};
use super::services::services;
use super::{connection, errors};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use projections as models;

/// Row of a report that changed between two moments.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ChangedUsageRow {
    /// One value for each requested dimension, in the requested order.
    keys: Vec<UsageKey>,
    /// Totals of the calls with these values as they were known at the first moment.
    before: UsageTotals,
    /// Totals of the calls with these values as they were known at the second moment.
    after: UsageTotals,
    /// How much higher the charged cost is at the second moment. Negative if it is lower.
    cost_difference: Decimal,
}

/// Event that changed a report between two moments.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CausingEvent {
    /// Position in the log.
    position: Position,
    /// Type of the event, such as `call.corrected`.
    #[graphql(name = "type")]
    name: String,
    /// Time at which the event was appended.
    recorded_at: Timestamp,
    /// UUID of the call.
    call_id: Uid,
    /// Who gave the command. Null if the metadata of the event do not say.
    actor: Option<String>,
    /// By how much it changed the charged cost of the calls that the report is about. The differences of all events add up to that of
    /// the totals.
    cost_difference: Decimal,
    /// By how much it changed the number of calls, of models and of tools.
    calls_difference: BigInt,
}

impl From<models::CausingEvent> for CausingEvent {
    fn from(event: models::CausingEvent) -> Self {
        let calls = i128::from(event.difference.calls) + i128::from(event.difference.tool_calls);
        Self {
            position: event.position.into(),
            name: event.name,
            recorded_at: event.recorded_at.into(),
            call_id: event.call_id.into(),
            actor: event.actor,
            cost_difference: event.difference.cost.into(),
            calls_difference: calls.into(),
        }
    }
}

/// How a report changed between two moments.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct CostChanges {
    /// Position of the first moment: what was known then includes every event up to it.
    from: Position,
    /// Position of the second moment.
    to: Position,
    /// Totals of all calls that the report is about as they were known at the first moment.
    before: UsageTotals,
    /// Totals as they were known at the second moment.
    after: UsageTotals,
    /// How much higher the charged cost is at the second moment. Negative if it is lower.
    cost_difference: Decimal,
    #[graphql(skip)]
    query: models::ReportQuery,
    #[graphql(skip)]
    changed: Vec<models::ChangedRow>,
}

impl CostChanges {
    /// The cursor of a row: it belongs to two positions.
    fn cursor(&self, index: usize) -> String {
        connection::encode_text(&format!("{}:{}:{index}", self.from.0, self.to.0))
    }

    fn after_cursor(&self, cursor: &str) -> Result<usize> {
        let text = connection::decode_text(cursor).ok_or_else(|| connection::bad_cursor(cursor))?;
        let index = text.rsplit(':').next().and_then(|index| index.parse::<usize>().ok());
        let index = index.filter(|index| self.cursor(*index) == cursor);
        Ok(index.ok_or_else(|| connection::bad_cursor(cursor))?.saturating_add(1))
    }
}

#[ComplexObject]
impl CostChanges {
    /// Rows that changed: those whose cost changed most first. Cursors are those of the two positions: send `from` and `to` as
    /// positions for further pages. Empty without dimensions.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn rows(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of rows to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the rows after this cursor. Default: from the first row on.")] after: Option<String>,
    ) -> Result<Connection<String, ChangedUsageRow>> {
        let size = connection::size(ctx, first)?;
        let start = after.as_deref().map_or(Ok(0), |after| self.after_cursor(after))?;
        let page = self.changed.iter().enumerate().skip(start);
        let mut rows = Connection::new(start > 0, self.changed.len() > start.saturating_add(size));
        for (index, changed) in page.take(size) {
            let row = ChangedUsageRow {
                keys: keys(&self.query.by, changed.row.keys.clone(), changed.row.names.clone()),
                before: changed.before().into(),
                after: changed.after().clone().into(),
                cost_difference: changed.cost_difference().into(),
            };
            rows.edges.push(Edge::new(self.cursor(index), row));
        }
        Ok(rows)
    }

    /// Events that changed the totals or a row, in the order of the log. The cursor of an event is its position.
    #[graphql(complexity = "connection::cost(first, child_complexity) + KNOWN_COST")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of events to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the events after this cursor. Default: from the first event on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, CausingEvent>> {
        let size = connection::size(ctx, first)?;
        let cursor = after.as_deref().map(connection::position_cursor).transpose()?;
        let start = cursor.map_or(self.from.0, |cursor| cursor.max(self.from.0));
        let limits = models::KnownLimits::OF_REQUEST;
        let log = &services(ctx)?.events;
        let events = models::causing_events(log, &self.query, (start, self.to.0), size + 1, limits).await;
        let events = events.map_err(|error| errors::report(&error))?;
        let mut page = Connection::new(cursor.is_some(), events.len() > size);
        let edge = |event: models::CausingEvent| Edge::new(event.position.to_string(), event.into());
        page.edges.extend(events.into_iter().take(size).map(edge));
        Ok(page)
    }
}

/// The query for the changes of costs.
#[derive(Default)]
pub(crate) struct CostChangeQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl CostChangeQuery {
    /// Compares usage and cost as they were known at two moments: which totals and rows changed, by how much, and by which events.
    /// Both are summed up from the events of calls in the log, at most 100000, as `usageReport` with `knownAt` does.
    #[graphql(complexity = "REPORT_COST + 2 * KNOWN_COST + child_complexity")]
    async fn cost_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "First moment, inclusive.")] from: AsOf,
        #[graphql(desc = "Second moment, inclusive, which is not before the first one.")] to: AsOf,
        #[graphql(
            default_with = "Some(Vec::new())",
            desc = "Dimensions by which calls are grouped, each at most once. Default: none."
        )]
        by: Option<Vec<Dimension>>,
        #[graphql(
            desc = "Includes calls that meet these conditions, at most 50, as of `usageReport`. Default: all calls."
        )]
        filter: Option<Vec<UsageFilter>>,
        #[graphql(desc = "Key of the tag whose values the dimension `TAG` has, as of `usageReport`.")] tag_key: Option<
            String,
        >,
        #[graphql(desc = "IANA name of the time zone of the periods of time in `by` and `filter`. Default: `UTC`.")]
        time_zone: Option<String>,
        #[graphql(
            desc = "Includes calls that started at or after this time, as of `usageReport`. Default: all calls."
        )]
        started_from: Option<Timestamp>,
        #[graphql(desc = "Includes calls that started before this time, as of `usageReport`. Default: all calls.")]
        started_to: Option<Timestamp>,
    ) -> Result<CostChanges> {
        let arguments = ReportArguments {
            by,
            filter,
            tag_key,
            time_zone,
            from: started_from,
            to: started_to,
            top: None,
            compare: None,
            first: None,
            after: None,
        };
        let query = arguments.check(ctx)?.into_query();
        let services = services(ctx)?;
        let log = (services.commands.log(), &services.events);
        let changes = services.known_reports.changes(log, &services.reads, &query, (from.into(), to.into())).await;
        let changes = changes.map_err(|error| errors::report(&error))?;
        Ok(CostChanges {
            from: changes.from.into(),
            to: changes.to.into(),
            cost_difference: changes.cost_difference().into(),
            before: changes.before.into(),
            after: changes.after.into(),
            query,
            changed: changes.rows,
        })
    }
}
