//! The calls whose costs a forecast, or anomalies, are computed from.

use crate::graphql::report::{REPORT_COST, zone};
use crate::graphql::report_dimension::UsageFilter;
use crate::graphql::services::authorise;
use crate::graphql::{errors, tag_key};
use async_graphql::{Context, Result};
use domain::TagKey;
use domain::permissions::ReadReports;
use projections::ReportTag;
use projections::outlook::SeriesQuery;

/// The complexity of reading a series and of the statistics, in the unit of [`crate::config::Limits::max_complexity`].
pub(super) const OUTLOOK_COST: usize = 5 * REPORT_COST;

/// Checks the arguments of a series.
pub(super) async fn series(
    ctx: &Context<'_>,
    (filter, key, time_zone): (Option<Vec<UsageFilter>>, Option<String>, Option<String>),
) -> Result<SeriesQuery> {
    let access = authorise::<ReadReports>(ctx)?;
    let filters = filter.unwrap_or_default().into_iter().map(UsageFilter::check).collect::<Result<_>>()?;
    let zone = zone(time_zone.as_deref()).map_err(|error| errors::report(&error.into()))?;
    let key = key.map(TagKey::new).transpose();
    let key = key.map_err(|error| errors::bad_input("BAD_TAG_KEY", format!("tagKey: {error}")))?;
    let tag = match key {
        Some(key) => Some(ReportTag { is_declared: tag_key::declared(ctx).await?.state.is_declared(&key), key }),
        None => None,
    };
    Ok(SeriesQuery { access, filters, zone, tag })
}
