//! The report of usage and cost.

use super::as_of::AsOf;
use super::freshness::await_projections;
use super::report_dimension::{ComparedPeriod, Dimension, UsageFilter};
use super::report_freshness::Freshness;
use super::report_page::{UsageReport, decode, page};
use super::scalars::{Position, Timestamp};
use super::services::{Services, authorise, requester, services};
use super::{connection, errors, tag_key as tag_keys};
use async_graphql::{Context, Object, Result};
use chrono_tz::Tz;
use commands::Principal;
use domain::TagKey;
use domain::permissions::ReadReports;
use projections as models;
use std::sync::Arc;

/// The complexity of the aggregation behind a report, in the unit of [`crate::config::Limits::max_complexity`].
pub(crate) const REPORT_COST: usize = 100;
/// The complexity beyond it of a report that no sums answer: it reads the calls, at most [`models::MAX_REPORT_CALLS`].
pub(super) const CALLS_COST: usize = 1_000;
/// The complexity beyond it of a report as known at an earlier time, which reads the events of calls in the log, at most
/// [`models::KnownLimits::OF_REQUEST`].
pub(crate) const KNOWN_COST: usize = 2_000;
/// The complexity of statements of cost centres, which are made of a report that may read the calls.
pub(crate) fn statements_cost(known_at: Option<AsOf>) -> usize {
    REPORT_COST + CALLS_COST + if known_at.is_some() { KNOWN_COST } else { 0 }
}
/// The page size without `first`.
const DEFAULT_ROWS: i32 = 100;

/// The arguments of a report.
pub(crate) struct ReportArguments {
    pub(crate) by: Option<Vec<Dimension>>,
    pub(crate) filter: Option<Vec<UsageFilter>>,
    pub(crate) tag_key: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) top: Option<i32>,
    pub(crate) compare: Option<ComparedPeriod>,
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
        let wants_total = ["total", "base", "change"].iter().any(|field| selected.field(field).exists());
        let wants_rest = selected.field("rest").exists();
        let zone = zone(self.time_zone.as_deref()).map_err(|error| errors::report(&error.into()))?;
        let top = self.top.map(|top| u32::try_from(top).unwrap_or_default());
        let compared_with = self.compare.map(ComparedPeriod::check).transpose()?;
        let (from, to) = (self.from.map(|from| from.0), self.to.map(|to| to.0));
        let tag = tag_key(self.tag_key)?.map(|key| models::ReportTag { key, is_declared: false });
        Ok(ReportRequest {
            principal: requester(ctx)?.principal.clone(),
            query: models::ReportQuery { access, by, filters, zone, from, to, top, compared_with, tag },
            page: models::ReportPage { after, size, wants_total, wants_rest },
        })
    }
}

impl ReportRequest {
    /// What is asked for, without a page.
    pub(crate) fn into_query(self) -> models::ReportQuery {
        self.query
    }

    /// Looks up whether the key of the tag is declared now.
    async fn look_up_tag_key(&mut self, services: &Services) -> Result<()> {
        if let Some(tag) = &mut self.query.tag {
            let keys = tag_keys::declared_in(services, &self.principal).await?;
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
        Ok(self.connection(services, report, true).await?.0)
    }

    async fn read_page(&self, services: &Services) -> Result<(UsageReport, streams::Position)> {
        let report = models::usage_report(&services.reads, &self.query, &self.page).await;
        self.connection(services, report, false).await
    }

    async fn connection(
        &self,
        services: &Services,
        report: std::result::Result<models::Report, models::ReportError>,
        is_known: bool,
    ) -> Result<(UsageReport, streams::Position)> {
        let report = report.map_err(|error| errors::report(&error))?;
        let position = report.position;
        let freshness = match is_known {
            true => Freshness::known(services, position).await?,
            false => Freshness::of(services, position).await?,
        };
        Ok((page(&self.query, (report, self.page.after.is_none()), freshness), position))
    }
}

/// The key of a tag, if one is given.
pub(super) fn tag_key(given: Option<String>) -> Result<Option<TagKey>> {
    let key = given.map(TagKey::new).transpose();
    key.map_err(|error| errors::bad_input("BAD_TAG_KEY", format!("tagKey: {error}")))
}

/// The time zone with a name; UTC without one.
pub(crate) fn zone(name: Option<&str>) -> std::result::Result<Tz, models::UnknownTimeZone> {
    name.map_or(Ok(Tz::UTC), models::time_zone)
}

/// What the complexity of a report depends on, beside its page.
#[derive(Default)]
pub(crate) struct CostArguments<'a> {
    pub(crate) known_at: Option<AsOf>,
    pub(crate) by: Option<&'a [Dimension]>,
    pub(crate) filter: Option<&'a [UsageFilter]>,
    pub(crate) time_zone: Option<&'a str>,
    pub(crate) range: [Option<&'a Timestamp>; 2],
    pub(crate) compare: Option<&'a ComparedPeriod>,
}

impl CostArguments<'_> {
    /// The complexity of what a report is summed from: that of reading the calls, for a report that no sums answer, or one by a
    /// tag, whose key may not be declared. A report that is compared with another period is two.
    pub(crate) fn cost(&self) -> usize {
        let filtered = self.filter.unwrap_or_default().iter().map(|filter| filter.dimension);
        let dimensions = self.by.unwrap_or_default().iter().copied().chain(filtered).map(Into::into);
        let [from, to] = self.range.map(|limit| limit.map(|limit| limit.0));
        // One in no known zone, or compared with no valid period, is refused before it is read.
        let zone = zone(self.time_zone).unwrap_or(Tz::UTC);
        let compared_with = self.compare.and_then(|compare| compare.check().ok());
        let reads_calls = models::UsageSource::may_be_calls(dimensions, (from, to), compared_with, zone);
        let of_source = match self.known_at {
            Some(_) => KNOWN_COST,
            None if reads_calls => CALLS_COST,
            None => 0,
        };
        // The events of the log are read once.
        let of_base = if self.known_at.is_some() { 0 } else { of_source };
        of_source + self.compare.map_or(0, |_| REPORT_COST + of_base)
    }
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
    /// The periods of time are those of `timeZone`. For all of them but minutes, sums by quarter of an hour answer in zones whose
    /// clocks differ from UTC by whole quarters of an hour in the time range, and change at the start of one: all have since October
    /// 2022. Sums by hour and tag answer in zones with whole hours, sums by day in those that show UTC, or for a report
    /// that is not by time. Else the calls are read. Without `from`, the time range begins in 1970.
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
        + CostArguments {
            known_at,
            by: by.as_deref(),
            filter: filter.as_deref(),
            time_zone: time_zone.as_deref(),
            range: [from.as_ref(), to.as_ref()],
            compare: compare.as_ref(),
        }.cost()")]
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
            desc = "IANA name of the time zone of the periods of time in `by` and `filter`, such as `Europe/Berlin`. Default: `UTC`."
        )]
        time_zone: Option<String>,
        #[graphql(
            desc = "Includes calls that started at or after this time, which must be the start of a quarter of an hour, or of a minute \
                    in a report by minutes. Default: all calls."
        )]
        from: Option<Timestamp>,
        #[graphql(
            desc = "Includes calls that started before this time, which must be the start of a quarter of an hour, or of a minute in a \
                    report by minutes. Default: all calls."
        )]
        to: Option<Timestamp>,
        #[graphql(
            desc = "Shows only this number of rows of highest charged cost, from 1 to 1000, of each period if the report is grouped \
                    by time, and sums up all others in a row for which `isRest` is true. Default: all rows."
        )]
        top: Option<i32>,
        #[graphql(
            desc = "Compares each row with the same row in another period. `from` and `to` must be given then, and `by` and `filter` \
                    have no dimension of time. Rows are sorted by their cost in the period of the report. Default: no comparison."
        )]
        compare: Option<ComparedPeriod>,
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
        let mut request =
            ReportArguments { by, filter, tag_key, time_zone, from, to, top, compare, first, after }.check(ctx)?;
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
    use async_graphql::MaybeUndefined;

    #[test]
    fn a_report_that_no_sums_answer_costs_more() {
        let filter = |dimension| UsageFilter { dimension, value: MaybeUndefined::Null };
        let by = |by: &'static [Dimension]| CostArguments { by: Some(by), ..CostArguments::default() };
        assert_eq!(by(&[Dimension::Model]).cost(), 0);
        let filters = [filter(Dimension::Task)];
        assert_eq!(CostArguments { filter: Some(&filters), ..by(&[Dimension::Model]) }.cost(), CALLS_COST);
        let quarter = Timestamp("2023-09-01T13:15:00Z".parse().unwrap());
        assert_eq!(by(&[Dimension::Task]).cost(), 0);
        for range in [[Some(&quarter), None], [None, Some(&quarter)]] {
            assert_eq!(CostArguments { range, ..by(&[Dimension::Task]) }.cost(), CALLS_COST);
        }
        assert_eq!(by(&[Dimension::Tag]).cost(), CALLS_COST, "its key may not be declared");
        assert_eq!(by(&[Dimension::Minute]).cost(), CALLS_COST);
        let berlin = |by| CostArguments { time_zone: Some("Europe/Berlin"), ..by };
        assert_eq!(berlin(by(&[Dimension::Task, Dimension::Day])).cost(), CALLS_COST);
        assert_eq!(berlin(by(&[Dimension::Model, Dimension::Day])).cost(), 0);
        assert_eq!(CostArguments { time_zone: Some("x"), ..by(&[Dimension::Day]) }.cost(), 0);
    }

    #[test]
    fn a_report_that_is_compared_costs_twice() {
        let compare = ComparedPeriod::previous();
        let compared = |by| CostArguments { by: Some(by), compare: Some(&compare), ..CostArguments::default() }.cost();
        assert_eq!(compared(&[Dimension::Model]), REPORT_COST);
        assert_eq!(compared(&[Dimension::Model, Dimension::Task]), REPORT_COST + 2 * CALLS_COST);
        let known_at = Some(AsOf::Position(Position(streams::Position::from(1))));
        let known = CostArguments { known_at, compare: Some(&compare), ..CostArguments::default() };
        assert_eq!(known.cost(), KNOWN_COST + REPORT_COST);
        // October began at 23:00 UTC in London, which sums by day do not answer.
        let [from, to] = ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"].map(|time| Timestamp(time.parse().unwrap()));
        let november = |time_zone| CostArguments {
            by: Some(&[Dimension::Task]),
            time_zone: Some(time_zone),
            range: [Some(&from), Some(&to)],
            compare: Some(&compare),
            ..CostArguments::default()
        };
        assert_eq!(november("Europe/London").cost(), REPORT_COST + 2 * CALLS_COST);
        assert_eq!(november("UTC").cost(), REPORT_COST);
    }
}
