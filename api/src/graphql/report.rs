//! The report of usage and cost.

use super::as_of::AsOf;
use super::freshness::await_projections;
use super::ids::Kind;
use super::report_totals::UsageTotals;
use super::scalars::{Position, Timestamp};
use super::services::{Services, authorise, requester, services};
use super::{connection, errors, tag_key};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use commands::Principal;
use domain::TagKey;
use domain::permissions::ReadReports;
use projections as models;
use std::sync::Arc;
use uuid::Uuid;

/// The complexity of the aggregation behind a report, in the unit of [`crate::config::Limits::max_complexity`].
const REPORT_COST: usize = 100;
/// The complexity beyond it of a report that no sums answer: it reads the calls, at most [`models::MAX_REPORT_CALLS`].
const CALLS_COST: usize = 1_000;
/// The complexity beyond it of a report as known at an earlier time, which reads the events of calls in the log, at most
/// [`models::KnownLimits::OF_REQUEST`].
const KNOWN_COST: usize = 2_000;
/// The page size without `first`.
const DEFAULT_ROWS: i32 = 100;

/// Dimension by which a report groups or filters calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::Dimension")]
pub(crate) enum Dimension {
    /// Agent that made the call.
    Agent,
    /// User that the call was made for, by an id that the source gives.
    User,
    /// Team that the call was made for.
    Team,
    /// Name or id of the API key that the call was made with.
    Key,
    /// Provider that served the call.
    Provider,
    /// Model that served the call.
    Model,
    /// Tool that was called.
    Tool,
    /// How the call ended: `ok`, `error`, `timeout`, `cancelled` or `refused`.
    Outcome,
    /// Source of the first record of the call, such as `claude-code`.
    Source,
    /// Task that the call was made for.
    Task,
    /// Task graph that the call was made for.
    Dag,
    /// Conversation that the call is a part of, by its id in the source.
    Conversation,
    /// Value of the tag with the key `tagKey` of the report. If the report is summed up from sums by the tag, null stands for
    /// the calls that are not counted under the key: those without the tag, and those that were reported while the key was not
    /// declared, and not since.
    Tag,
    /// Quarter of an hour (UTC) in which the call started, such as `2023-11-14T22:15Z`: the days of every time zone consist
    /// of them.
    QuarterHour,
    /// Hour (UTC) in which the call started, such as `2023-11-14T22:00Z`.
    Hour,
    /// Day (UTC) on which the call started, such as `2023-11-14`.
    Day,
    /// Month (UTC) in which the call started, such as `2023-11`.
    Month,
}

impl Dimension {
    /// The kind of the objects whose ids are the values of the dimension; none for other values.
    fn kind(self) -> Option<Kind> {
        match self {
            Self::Agent => Some(Kind::Agent),
            Self::Task => Some(Kind::Task),
            Self::Dag => Some(Kind::Dag),
            Self::User
            | Self::Team
            | Self::Key
            | Self::Provider
            | Self::Model
            | Self::Tool
            | Self::Outcome
            | Self::Source
            | Self::Conversation
            | Self::Tag
            | Self::QuarterHour
            | Self::Hour
            | Self::Day
            | Self::Month => None,
        }
    }
}

/// Condition on one dimension of calls.
#[derive(Debug, Clone, InputObject)]
pub(crate) struct UsageFilter {
    /// The dimension.
    dimension: Dimension,
    /// Value that calls must have, as in the keys of a report; for agents, tasks and task graphs, their global id or UUID.
    /// Null selects calls that have no value. It must be given, so that a variable without a value does not select them.
    value: MaybeUndefined<String>,
}

impl UsageFilter {
    fn check(self) -> Result<models::ReportFilter> {
        let value = match (self.dimension.kind(), self.value) {
            (_, MaybeUndefined::Undefined) => {
                let text = "a filter needs a value; null selects the calls that have none";
                return Err(errors::bad_input("BAD_FILTER", text));
            }
            (_, MaybeUndefined::Null) => None,
            (Some(kind), MaybeUndefined::Value(id)) => Some(kind.parse(&ID(id))?.to_string()),
            (None, MaybeUndefined::Value(value)) => Some(value),
        };
        models::ReportFilter::new(self.dimension.into(), value.as_deref())
            .map_err(|error| errors::bad_input("BAD_FILTER", error.to_string()))
    }
}

/// Value of one dimension.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageKey {
    /// The dimension.
    dimension: Dimension,
    /// Value of the dimension; for agents, tasks and task graphs, their UUID. Null for calls that have no value.
    value: Option<String>,
    /// Global id of the agent, task or task graph. Null for other dimensions.
    id: Option<ID>,
    /// Name of the agent, or title of the task. Null for other dimensions.
    name: Option<String>,
}

/// Row of a report.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageRow {
    /// One value for each requested dimension, in the requested order.
    keys: Vec<UsageKey>,
    /// Totals of the calls with these values.
    totals: UsageTotals,
}

/// Totals of a report beyond its page.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ReportSums {
    /// Totals of all rows of the report, on any page.
    total: UsageTotals,
    /// Totals of the rows that follow the page.
    rest: UsageTotals,
    /// Position of the report: it includes every event up to this position.
    position: Position,
    /// What the report was summed from, in words: `events of calls` with `knownAt`, else `sums by quarter hour`, `sums by day and task` (or another dimension),
    /// `sums by hour and tag`, or `calls`, if no sums are kept by its combination of dimensions and time range.
    summed_from: String,
}

/// A page of a report.
pub(crate) type UsageReport = Connection<String, UsageRow, ReportSums>;

/// The arguments of a report.
pub(crate) struct ReportArguments {
    pub(crate) by: Option<Vec<Dimension>>,
    pub(crate) filter: Option<Vec<UsageFilter>>,
    pub(crate) tag_key: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
}

/// A report whose arguments were checked.
#[derive(Debug, Clone)]
pub(crate) struct ReportRequest {
    principal: Arc<Principal>,
    query: models::ReportQuery,
    page: models::ReportPage,
}

impl ReportArguments {
    /// Checks the arguments, and finds out whether `total` and `rest` are selected, which cost a statement each.
    pub(crate) fn check(self, ctx: &Context<'_>) -> Result<ReportRequest> {
        let access = authorise::<ReadReports>(ctx)?;
        let by = self.by.unwrap_or_default().into_iter().map(Into::into).collect();
        let filters = self.filter.unwrap_or_default().into_iter().map(UsageFilter::check).collect::<Result<_>>()?;
        let size = connection::size(ctx, Some(self.first.unwrap_or(DEFAULT_ROWS)))?;
        let after =
            self.after.map(|cursor| decode(&cursor).ok_or_else(|| connection::bad_cursor(&cursor))).transpose()?;
        let selected = ctx.look_ahead();
        let (wants_total, wants_rest) = (selected.field("total").exists(), selected.field("rest").exists());
        let (from, to) = (self.from.map(|from| from.0), self.to.map(|to| to.0));
        let key = self.tag_key.map(TagKey::new).transpose();
        let key = key.map_err(|error| errors::bad_input("BAD_TAG_KEY", format!("tagKey: {error}")))?;
        let tag = key.map(|key| models::ReportTag { key, is_declared: false });
        Ok(ReportRequest {
            principal: requester(ctx)?.principal.clone(),
            query: models::ReportQuery { access, by, filters, from, to, tag },
            page: models::ReportPage { after, size, wants_total, wants_rest },
        })
    }
}

impl ReportRequest {
    /// Looks up whether the key of the tag is declared now.
    async fn look_up_tag_key(&mut self, services: &Services) -> Result<()> {
        if let Some(tag) = &mut self.query.tag {
            let keys = tag_key::declared_in(services, &self.principal).await?;
            tag.is_declared = keys.state.is_declared(&tag.key);
        }
        Ok(())
    }

    /// Refuses a report that no sums answer, and that would read the calls again and again.
    pub(crate) async fn check_summed(&mut self, services: &Services) -> Result<()> {
        self.look_up_tag_key(services).await?;
        let source = self.query.source().map_err(|error| errors::report(&error))?;
        if source != models::UsageSource::Calls {
            return Ok(());
        }
        let message = "no sums are kept by these dimensions and this time range: choose those of one of the sums, declare the \
                       tag key if there is one, or query `usageReport`, which reads the calls once";
        Err(errors::bad_input("NOT_SUMMED", message))
    }

    /// Reads the requested page, and the position that it reflects.
    pub(crate) async fn read(&mut self, services: &Services) -> Result<(UsageReport, streams::Position)> {
        self.look_up_tag_key(services).await?;
        self.read_page(services).await
    }

    /// As [`ReportRequest::read`], but refuses a report that no sums answer, as [`ReportRequest::check_summed`] does: a key may
    /// be withdrawn at any time.
    pub(crate) async fn read_summed(&mut self, services: &Services) -> Result<(UsageReport, streams::Position)> {
        self.check_summed(services).await?;
        self.read_page(services).await
    }

    /// Reads the requested page of the report as it was known at a point of the log.
    async fn read_known(&self, services: &Services, known_at: AsOf) -> Result<UsageReport> {
        let Services { known_reports, events, reads, commands, .. } = services;
        let query = (&self.query, known_at.into());
        let report = known_reports.page((commands.log(), events), reads, query, &self.page).await;
        Ok(self.connection(report.map_err(|error| errors::report(&error))?))
    }

    async fn read_page(&self, services: &Services) -> Result<(UsageReport, streams::Position)> {
        let report = models::usage_report(&services.reads, &self.query, &self.page).await;
        let report = report.map_err(|error| errors::report(&error))?;
        let position = report.position;
        Ok((self.connection(report), position))
    }

    fn connection(&self, report: models::Report) -> UsageReport {
        let by = &self.query.by;
        let sums = ReportSums {
            total: report.total.unwrap_or_default().into(),
            rest: report.rest.unwrap_or_default().into(),
            position: report.position.into(),
            summed_from: report.summed_from,
        };
        let mut page = Connection::with_additional_fields(self.page.after.is_some(), report.has_next_page, sums);
        page.edges.extend(report.rows.into_iter().map(|found| Edge::new(encode(&found.cursor(by)), row(by, found))));
        page
    }
}

fn encode(cursor: &models::ReportCursor) -> String {
    // A cursor consists of strings and numbers, which can always be serialized.
    connection::encode_text(&serde_json::to_string(cursor).unwrap_or_default())
}

fn decode(cursor: &str) -> Option<models::ReportCursor> {
    serde_json::from_str(&connection::decode_text(cursor)?).ok()
}

fn row(by: &[models::Dimension], row: models::ReportRow) -> UsageRow {
    let keys = by.iter().zip(row.keys).zip(row.names).map(|((&dimension, value), name)| {
        let uuid = value.as_deref().and_then(|value| Uuid::try_parse(value).ok());
        let dimension = Dimension::from(dimension);
        let id = dimension.kind().zip(uuid).map(|(kind, uuid)| kind.id(uuid));
        UsageKey { dimension, id, value, name }
    });
    UsageRow { keys: keys.collect(), totals: row.totals.into() }
}

/// The complexity of reading the calls, for a report that no sums answer, or one by a tag, whose key may not be declared.
fn calls_cost(
    by: Option<&[Dimension]>,
    filter: Option<&[UsageFilter]>,
    from: Option<&Timestamp>,
    to: Option<&Timestamp>,
) -> usize {
    let filtered = filter.unwrap_or_default().iter().map(|filter| filter.dimension);
    let dimensions = by.unwrap_or_default().iter().copied().chain(filtered).map(Into::into);
    let reads_calls = models::UsageSource::may_be_calls(dimensions, from.map(|from| from.0), to.map(|to| to.0));
    if reads_calls { CALLS_COST } else { 0 }
}

/// The complexity of what a report is summed from.
fn source_cost(
    known_at: Option<AsOf>,
    by: Option<&[Dimension]>,
    filter: Option<&[UsageFilter]>,
    from: Option<&Timestamp>,
    to: Option<&Timestamp>,
) -> usize {
    if known_at.is_some() { KNOWN_COST } else { calls_cost(by, filter, from, to) }
}

/// The complexity of a page of a report: its aggregation, and the selected fields of each row.
pub(crate) fn cost(dimensions: usize, first: Option<i32>, child_complexity: usize) -> usize {
    // A report without dimensions has one row.
    let rows = if dimensions == 0 { 1 } else { first.unwrap_or(DEFAULT_ROWS) };
    connection::cost(Some(rows), child_complexity).saturating_add(REPORT_COST)
}

/// The query for a report.
#[derive(Default)]
pub(crate) struct ReportQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl ReportQuery {
    /// Reports usage and cost, grouped by dimensions. Rows are sorted by time if `by` contains a dimension of time,
    /// otherwise by cost in descending order.
    ///
    /// Sums are kept by quarter of an hour and all dimensions with few values, by day (UTC) and each of task, task graph and
    /// conversation alone, and by hour and one tag alone whose key is declared. A report by another combination of dimensions,
    /// in `by` and `filter`, reads the calls, at most 100000; with more, it fails with the reason `TOO_MANY_CALLS`, and names
    /// the nearest combination. Such a report has a complexity of 1000 more, and so has each report by a tag.
    ///
    /// Sums by a tag have the calls that were reported with it, or whose tags were corrected, while its key was declared. All
    /// others are in the row without a value, so that the rows always add up to the total. A report that reads the calls has
    /// each call under the value of its tag, whenever the key was declared: one by the tag and a dimension that is not a time
    /// does.
    ///
    /// No sums are kept of what was known earlier: a report with `knownAt` sums up the events of calls in the log up to that
    /// point, at most 100000. With more, it fails with the reason `TOO_MANY_EVENTS`; with more than 50000 rows, with
    /// `TOO_MANY_ROWS`. It has a complexity of 2000 more. A server sums up two of them at the same time, and keeps them for a while
    /// for further pages; others wait, and fail with `BUSY` if none ends in time. Its names of agents and tasks are the present ones, and each call is
    /// under the value of its tag.
    #[graphql(complexity = "cost(by.as_ref().map_or(0, Vec::len), first, child_complexity)
        + source_cost(known_at, by.as_deref(), filter.as_deref(), from.as_ref(), to.as_ref())")]
    async fn usage_report(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(Vec::new())",
            desc = "Dimensions by which calls are grouped, each at most once. Without any, the report has one row."
        )]
        by: Option<Vec<Dimension>>,
        #[graphql(
            desc = "Includes calls that meet these conditions, at most 50. Conditions on the same dimension are \
                    alternatives; those on different dimensions must all be met. Default: all calls."
        )]
        filter: Option<Vec<UsageFilter>>,
        #[graphql(
            desc = "Key of the tag whose values the dimension `TAG` has: one line of at most 64 bytes. It must be given if `by` or \
                    `filter` has that dimension, and only then."
        )]
        tag_key: Option<String>,
        #[graphql(
            desc = "Includes calls that started at or after this time, which must be the start of a quarter of an hour. Default: all calls."
        )]
        from: Option<Timestamp>,
        #[graphql(
            desc = "Includes calls that started before this time, which must be the start of a quarter of an hour. Default: all calls."
        )]
        to: Option<Timestamp>,
        #[graphql(
            desc = "Reports usage and cost as they were known at this position or time, without what was recorded later, such as \
                    corrections and new charges. `minPosition` has no effect then. Default: as they are known now."
        )]
        known_at: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
        #[graphql(desc = "Number of rows to return, from 1 to 500. Default: 100.")] first: Option<i32>,
        #[graphql(
            desc = "Returns the rows after this cursor, which must be one of a report with the same dimensions. Default: from \
                    the first row on."
        )]
        after: Option<String>,
    ) -> Result<UsageReport> {
        let mut request = ReportArguments { by, filter, tag_key, from, to, first, after }.check(ctx)?;
        if let Some(known_at) = known_at {
            return request.read_known(services(ctx)?, known_at).await;
        }
        await_projections(ctx, &request.query.projections(), min_position).await?;
        Ok(request.read(services(ctx)?).await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_no_sums_answer_costs_more() {
        let filter = |dimension| UsageFilter { dimension, value: MaybeUndefined::Null };
        let by_model = Some(&[Dimension::Model][..]);
        assert_eq!(calls_cost(by_model, None, None, None), 0);
        assert_eq!(calls_cost(by_model, Some(&[filter(Dimension::Task)]), None, None), CALLS_COST);
        let quarter = Timestamp("2023-09-01T13:15:00Z".parse().unwrap());
        assert_eq!(calls_cost(Some(&[Dimension::Task]), None, None, None), 0);
        assert_eq!(calls_cost(Some(&[Dimension::Task]), None, Some(&quarter), None), CALLS_COST);
        assert_eq!(calls_cost(Some(&[Dimension::Task]), None, None, Some(&quarter)), CALLS_COST);
        assert_eq!(calls_cost(Some(&[Dimension::Tag]), None, None, None), CALLS_COST, "its key may not be declared");
    }
}
