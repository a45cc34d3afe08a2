//! A page of a report: its rows, totals and cursors.

use super::connection;
use super::report_dimension::Dimension;
use super::report_freshness::Freshness;
use super::report_totals::UsageTotals;
use super::scalars::{BigInt, Decimal, Timestamp};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{ID, SimpleObject};
use domain::Sum;
use projections as models;
use uuid::Uuid;

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

impl UsageKey {
    pub(super) fn new(dimension: models::Dimension, value: Option<String>, name: Option<String>) -> Self {
        let uuid = value.as_deref().and_then(|value| Uuid::try_parse(value).ok());
        let dimension = Dimension::from(dimension);
        let id = dimension.kind().zip(uuid).map(|(kind, uuid)| kind.id(uuid));
        Self { dimension, id, value, name }
    }
}

/// Row of a report.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageRow {
    /// One value for each requested dimension, in the requested order.
    keys: Vec<UsageKey>,
    /// Whether the row has the totals of all calls that are in no other row, of its period if the report is grouped by time: with
    /// `top`, the rows of highest cost are followed by this one. Its only values are those of time.
    is_rest: bool,
    /// Totals of the calls with these values.
    totals: UsageTotals,
    /// Totals of the calls with these values in the period that the report is compared with. Null without `compare`.
    base: Option<UsageTotals>,
    /// How the totals differ from those of `base`. Null without `compare`.
    change: Option<UsageChange>,
}

/// Difference between two totals: that of a report, and that of the period that it is compared with.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct UsageChange {
    /// How many more calls there were, of models and of tools. Negative if there were fewer.
    calls: BigInt,
    /// The same in per cent, rounded to two decimal places, half to even. Null if there were no calls in the other period.
    calls_percent: Option<Decimal>,
    /// How many more tokens there were, input and output together. Negative if there were fewer.
    tokens: BigInt,
    /// The same in per cent, rounded to two decimal places, half to even. Null if there were none in the other period.
    tokens_percent: Option<Decimal>,
    /// How much higher the charged cost was. Negative if it was lower; null if one of the costs is not known.
    cost: Option<Decimal>,
    /// The same in per cent, rounded to two decimal places, half to even. Null if the cost of the other period is 0, or one of the
    /// costs is not known.
    cost_percent: Option<Decimal>,
}

impl UsageChange {
    fn new(base: &models::Totals, totals: &models::Totals) -> Self {
        let change = |count: &dyn Fn(&models::Totals) -> i128| {
            let (before, after) = (count(base), count(totals));
            (
                after - before,
                models::Change::new(&Sum::from_integer(before), &Sum::from_integer(after)).percent.map(Decimal::from),
            )
        };
        let (calls, calls_percent) = change(&|totals| i128::from(totals.calls) + i128::from(totals.tool_calls));
        let (tokens, tokens_percent) = change(&models::Totals::tokens);
        let cost = base.known_cost().zip(totals.known_cost());
        let cost = cost.map(|(before, after)| models::Change::new(before, after));
        let cost_percent = cost.as_ref().and_then(|cost| cost.percent.clone()).map(Decimal::from);
        Self {
            calls: calls.into(),
            calls_percent,
            tokens: tokens.into(),
            tokens_percent,
            cost: cost.map(|cost| cost.difference.into()),
            cost_percent,
        }
    }
}

/// Totals of a report beyond its page.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ReportSums {
    /// Totals of all rows of the report, on any page.
    total: UsageTotals,
    /// Totals of all rows in the period that the report is compared with. Null without `compare`.
    base: Option<UsageTotals>,
    /// How the totals differ from those of `base`. Null without `compare`.
    change: Option<UsageChange>,
    /// Start of the period that the report is compared with. Null without `compare`.
    base_from: Option<Timestamp>,
    /// End of the period that the report is compared with. Null without `compare`.
    base_to: Option<Timestamp>,
    /// Totals of the rows that follow the page.
    rest: UsageTotals,
    #[graphql(flatten)]
    freshness: Freshness,
    /// IANA name of the time zone of the periods of time.
    time_zone: String,
    /// What the report was summed from, in words: `events of calls` with `knownAt`, else `sums by quarter hour`, `sums by day and task` (or another dimension),
    /// `sums by hour and tag`, or `calls`, if no sums are kept by its combination of dimensions and time range.
    summed_from: String,
}

/// A page of a report.
pub(crate) type UsageReport = Connection<String, UsageRow, ReportSums>;

/// A page of a report on a query.
pub(super) fn page(
    query: &models::ReportQuery,
    (report, is_first): (models::Report, bool),
    freshness: Freshness,
) -> UsageReport {
    let total = report.total.unwrap_or_default();
    let sums = ReportSums {
        change: report.base_total.as_ref().map(|base| UsageChange::new(base, &total)),
        total: total.into(),
        base: report.base_total.map(Into::into),
        base_from: report.base_range.map(|(from, _)| Timestamp(from)),
        base_to: report.base_range.map(|(_, to)| Timestamp(to)),
        rest: report.rest.unwrap_or_default().into(),
        freshness,
        time_zone: query.zone.name().to_owned(),
        summed_from: report.summed_from,
    };
    let mut page = Connection::with_additional_fields(!is_first, report.has_next_page, sums);
    let edge = |found: models::ReportRow| Edge::new(encode(&found.cursor(query)), row(&query.by, found));
    page.edges.extend(report.rows.into_iter().map(edge));
    page
}

fn encode(cursor: &models::ReportCursor) -> String {
    // A cursor consists of strings and numbers, which can always be serialized.
    connection::encode_text(&serde_json::to_string(cursor).unwrap_or_default())
}

pub(super) fn decode(cursor: &str) -> Option<models::ReportCursor> {
    serde_json::from_str(&connection::decode_text(cursor)?).ok()
}

/// The values and names of a row.
pub(super) fn keys(by: &[models::Dimension], keys: Vec<Option<String>>, names: Vec<Option<String>>) -> Vec<UsageKey> {
    let key = |((dimension, value), name): ((&models::Dimension, _), _)| UsageKey::new(*dimension, value, name);
    by.iter().zip(keys).zip(names).map(key).collect()
}

fn row(by: &[models::Dimension], row: models::ReportRow) -> UsageRow {
    let change = row.base.as_ref().map(|base| UsageChange::new(base, &row.totals));
    UsageRow {
        keys: keys(by, row.keys, row.names),
        is_rest: row.is_rest,
        totals: row.totals.into(),
        base: row.base.map(Into::into),
        change,
    }
}
