//! Usage and cost as a stream: a report that is sent again when it changes.

use super::errors::{self, bad_input};
use super::report::{self, ReportArguments, ReportRequest};
use super::report_dimension::{ComparedPeriod, Dimension, UsageFilter};
use super::report_page::UsageReport;
use super::scalars::Timestamp;
use super::services::{Services, authorise, services};
use async_graphql::{Context, Result, Subscription};
use domain::permissions::ReadReports;
use futures::Stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest interval between two reports, in milliseconds.
const MIN_INTERVAL_MS: i32 = 100;
/// The interval without `intervalMs`, in milliseconds.
const DEFAULT_INTERVAL_MS: i32 = 1000;
/// The longest interval, in milliseconds: one hour.
const MAX_INTERVAL_MS: i32 = 3_600_000;

/// The stream of usage totals.
#[derive(Default)]
pub(crate) struct UsageSubscription;

#[Subscription]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl UsageSubscription {
    /// Streams a report of usage and cost: first as it is now, then again whenever the log has grown, at most once per
    /// interval. A report that reads the calls, because no sums are kept by its dimensions and time range, is refused with the
    /// reason `NOT_SUMMED`; one by a tag ends with it once the key is withdrawn.
    #[graphql(complexity = "report::cost(by.as_ref().map_or(0, Vec::len), first, child_complexity)
        .saturating_mul(if compare.is_some() { 2 } else { 1 })")]
    async fn usage_totals(
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
            default_with = "Some(DEFAULT_INTERVAL_MS)",
            desc = "Shortest time between two reports, in milliseconds, from 100 to 3600000 (one hour)."
        )]
        interval_ms: Option<i32>,
        #[graphql(desc = "Number of rows to return, from 1 to 500. Default: 100.")] first: Option<i32>,
    ) -> Result<impl Stream<Item = Result<UsageReport>> + use<>> {
        authorise::<ReadReports>(ctx)?;
        let interval_ms = interval_ms.unwrap_or(DEFAULT_INTERVAL_MS);
        let interval = match u64::try_from(interval_ms) {
            Ok(ms) if (MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&interval_ms) => Duration::from_millis(ms),
            _ => {
                let message =
                    format!("the interval is {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS} ms, requested {interval_ms} ms");
                return Err(bad_input("BAD_INTERVAL", message));
            }
        };
        let mut request =
            ReportArguments { by, filter, tag_key, time_zone, from, to, top, compare, first, after: None }
                .check(ctx)?;
        request.check_summed(services(ctx)?).await?;
        let totals = UsageTotals { services: services(ctx)?.clone(), request, interval, last: None };
        Ok(futures::stream::unfold(Some(totals), |totals| async move {
            let mut totals = totals?;
            match totals.next().await {
                Ok(Some(report)) => Some((Ok(report), Some(totals))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

struct UsageTotals {
    services: Arc<Services>,
    request: ReportRequest,
    interval: Duration,
    /// The position of the last report, and the earliest time of the next one.
    last: Option<(streams::Position, Instant)>,
}

impl UsageTotals {
    /// The next report; none when the server shuts down.
    async fn next(&mut self) -> Result<Option<UsageReport>> {
        let shutdown = self.services.shutdown.clone();
        loop {
            if let Some((seen, due)) = self.last {
                let tail = self.services.commands.log().tail();
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(None),
                    grown = tail.wait_beyond(seen) => grown.map_err(|error| errors::read(&error))?,
                }
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(None),
                    () = tokio::time::sleep_until(due) => {}
                }
            }
            let due = Instant::now() + self.interval;
            let (report, position) = match self.request.read_summed(&self.services).await {
                // After the first report, an unreachable database delays the next one and does not end the stream.
                Err(error) if self.last.is_some() && errors::code(&error) == Some("UNAVAILABLE") => {
                    self.last = self.last.map(|(seen, _)| (seen, due));
                    continue;
                }
                report => report?,
            };
            // The read model may lag behind the log: then it is read again after the interval.
            let is_new = self.last.is_none_or(|(seen, _)| position > seen);
            self.last = Some((position, due));
            if is_new {
                return Ok(Some(report));
            }
        }
    }
}
