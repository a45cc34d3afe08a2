//! A report that a server makes, read page by page.

use super::arguments::{Cost, Times};
use super::messages::{CALLS, MAX_WAIT, describe, describe_known, incomplete, warn};
use super::print::{Layout, print};
use super::source::{Base, Source, Summary};
use crate::cli::backend::{self, while_late};
use crate::cli::point::Point;
use crate::client::{Client, ClientError, PageInfo};
use chrono::{DateTime, Utc};
use domain::{Meter, Sum, TagKey};
use futures::StreamExt;
use futures::stream::BoxStream;
use projections::{BasePeriod, NamedDimension, NamedFilter, ReportRow, Totals};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use streams::Position;

/// The number of rows of a page, and of one of a report that is compared with another period.
const PAGE: usize = 200;
const COMPARED_PAGE: usize = 100;

/// Asks how many events are parked.
const PARKED: &str = "query($projection: String!) { parkedEvents(projection: $projection) { position } }";

/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[("PARKED", PARKED)];

/// The name of a column as a field of GraphQL: words and what follows a number begin with a capital letter.
pub(super) fn field(column: &str) -> String {
    let (mut name, mut is_start) = (String::with_capacity(column.len()), false);
    for letter in column.chars() {
        if letter == '_' {
            is_start = true;
            continue;
        }
        name.push(if is_start { letter.to_ascii_uppercase() } else { letter });
        is_start = letter.is_ascii_digit();
    }
    name
}

/// The document of a page, with a field for each meter.
pub(in crate::cli) fn document(is_compared: bool) -> String {
    let base = if is_compared { "base { ...sums }" } else { "" };
    let base_of_report = if is_compared { "base @include(if: $isFirst) { ...sums } baseFrom baseTo" } else { "" };
    format!(
        "query($by: [Dimension!], $filter: [UsageFilter!], $tagKey: String, $timeZone: String, $from: DateTime,
            $to: DateTime, $top: Int, $compare: ComparedPeriod,
            $knownAt: AsOf, $minPosition: Position, $first: Int!, $after: String, $isFirst: Boolean!) {{
            usageReport(by: $by, filter: $filter, tagKey: $tagKey, timeZone: $timeZone, from: $from, to: $to,
                top: $top, compare: $compare, knownAt: $knownAt, minPosition: $minPosition, first: $first, after: $after) {{
                nodes {{ keys {{ value name }} isRest totals {{ ...sums }} {base} }}
                total @include(if: $isFirst) {{ ...sums }} {base_of_report}
                position secondsBehind summedFrom pageInfo {{ hasNextPage endCursor }}
            }}
        }}
        {}",
        sums_fragment()
    )
}

/// The fragment with the sums, with a field for each meter.
pub(super) fn sums_fragment() -> String {
    let meters: Vec<_> = Meter::ALL.iter().map(|meter| field(meter.column())).collect();
    format!(
        "fragment sums on UsageTotals {{
            calls toolCalls failedCalls unpricedCalls assumedCalls {} latencyMs cost reportedCost
            costPreferringReported costPreferringCharged
        }}",
        meters.join(" ")
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Row>,
    total: Option<Sums>,
    base: Option<Sums>,
    base_from: Option<DateTime<Utc>>,
    base_to: Option<DateTime<Utc>>,
    position: String,
    seconds_behind: Option<u64>,
    summed_from: String,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Row {
    keys: Vec<Key>,
    #[serde(rename = "isRest")]
    is_rest: bool,
    totals: Sums,
    base: Option<Sums>,
}

#[derive(Deserialize)]
struct Key {
    value: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sums {
    calls: i64,
    tool_calls: i64,
    failed_calls: i64,
    unpriced_calls: i64,
    assumed_calls: i64,
    latency_ms: String,
    /// None if there are calls and none of them has a price.
    cost: Option<String>,
    reported_cost: String,
    cost_preferring_reported: String,
    cost_preferring_charged: String,
    /// The meters.
    #[serde(flatten)]
    quantities: Map<String, Value>,
}

impl Sums {
    /// The sums; none if a number is not one.
    pub(super) fn totals(&self) -> Option<Totals> {
        let sum = |text: &str| Sum::parse(text).ok();
        let mut totals = Meter::ALL.iter().try_fold(Totals::default(), |totals, meter| {
            let quantity = self.quantities.get(&field(meter.column()))?.as_str()?.parse().ok()?;
            Some(totals.with_quantity(*meter, quantity))
        })?;
        totals.calls = self.calls;
        totals.tool_calls = self.tool_calls;
        totals.failed_calls = self.failed_calls;
        totals.unpriced_calls = self.unpriced_calls;
        totals.assumed_calls = self.assumed_calls;
        totals.latency_ms = self.latency_ms.parse().ok()?;
        totals.cost = self.cost.as_deref().map_or_else(|| Some(Sum::default()), sum)?;
        totals.reported_cost = sum(&self.reported_cost)?;
        // What the costs of the calls with both come to is the rest of all costs.
        let mut all = totals.cost.clone();
        all += &totals.reported_cost;
        totals.compared_cost = &all - &sum(&self.cost_preferring_reported)?;
        totals.compared_reported_cost = &all - &sum(&self.cost_preferring_charged)?;
        Some(totals)
    }
}

impl Row {
    fn row(self) -> Option<ReportRow> {
        let totals = self.totals.totals()?;
        let base = match self.base {
            Some(base) => Some(base.totals()?),
            None => None,
        };
        let (keys, names) = self.keys.into_iter().map(|key| (key.value, key.name)).unzip();
        Some(ReportRow { keys, names, is_rest: self.is_rest, totals, base })
    }
}

/// A report of a server.
struct ServerReport<'c> {
    client: &'c Client,
    document: String,
    variables: Value,
    summary: Summary,
    rows: VecDeque<ReportRow>,
    next: Option<String>,
    /// The position of the last page, if it is another one than that of the first page.
    moved_to: Option<Position>,
}

impl<'c> ServerReport<'c> {
    async fn open(client: &'c Client, document: String, variables: Value) -> anyhow::Result<Self> {
        let mut report = Self {
            client,
            document,
            variables,
            summary: Summary {
                total: Totals::default(),
                base: None,
                position: Position::default(),
                seconds_behind: None,
                summed_from: String::new(),
            },
            rows: VecDeque::new(),
            next: None,
            moved_to: None,
        };
        let page = report.page(true).await?;
        let total = page.total.as_ref().and_then(Sums::totals);
        let base = page.base.as_ref().zip(page.base_from.zip(page.base_to));
        let base = base.and_then(|(base, (from, to))| Some(Base { from, to, total: base.totals()? }));
        report.summary = Summary {
            position: report.position_of(&page)?,
            total: total.ok_or_else(|| client.incomplete("total of the report"))?,
            base,
            seconds_behind: page.seconds_behind,
            summed_from: page.summed_from.clone(),
        };
        report.accept(page)?;
        Ok(report)
    }

    async fn page(&self, is_first: bool) -> Result<Page, ClientError> {
        let mut variables = self.variables.clone();
        variables["after"] = self.next.clone().into();
        variables["isFirst"] = is_first.into();
        self.client.get(&self.document, variables, "/usageReport").await
    }

    fn position_of(&self, page: &Page) -> anyhow::Result<Position> {
        Ok(self.client.position(&page.position, "position")?)
    }

    fn accept(&mut self, page: Page) -> anyhow::Result<()> {
        let position = self.position_of(&page)?;
        if position != self.summary.position {
            self.moved_to = Some(position);
        }
        self.next = page.page_info.next();
        let rows: Option<Vec<_>> = page.nodes.into_iter().map(Row::row).collect();
        self.rows.extend(rows.ok_or_else(|| self.client.incomplete("row of the report"))?);
        Ok(())
    }

    async fn next_row(&mut self) -> anyhow::Result<Option<ReportRow>> {
        if self.rows.is_empty() && self.next.is_some() {
            let page = self.page(false).await?;
            self.accept(page)?;
        }
        Ok(self.rows.pop_front())
    }
}

impl Source for ServerReport<'_> {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn rows(&mut self) -> BoxStream<'_, anyhow::Result<ReportRow>> {
        futures::stream::try_unfold(self, |report| async move {
            let row = report.next_row().await?;
            Ok(row.map(|row| (row, report)))
        })
        .boxed()
    }
}

/// Prints a report that a server makes. The server waits for its read models, and is asked again until the time is over.
pub(super) async fn report(client: &Client, cost: &Cost, times: Times, key: Option<&TagKey>) -> anyhow::Result<()> {
    if let Some(known_at) = cost.known_at {
        return known_report(client, (cost, times), key, known_at).await;
    }
    let head = client.head().await?;
    let declared_at = match key {
        Some(key) => declared_at(client, key).await?,
        None => None,
    };
    let mut variables = variables(cost, times, key);
    if !cost.no_wait {
        variables["minPosition"] = head.to_string().into();
    }
    let open = async || ServerReport::open(client, document(cost.compare.is_some()), variables.clone()).await;
    let mut report = while_late(cost.wait.min(MAX_WAIT), &incomplete(cost.wait, ""), open).await?;
    print(&mut report, head, &Layout::of(cost, times.zone)).await?;
    describe(&report, head, declared_at);
    if let Some(position) = report.moved_to {
        say!(
            "The log grew while the report was read: its total is as of position {}, and its last rows are as of {position}, so \
             that they may not add up to it. Run it again, or end it with --to.",
            report.summary.position
        );
    }
    warn_of_parked(client).await
}

/// Prints the costs as they were known at a point of the log.
async fn known_report(
    client: &Client,
    (cost, times): (&Cost, Times),
    key: Option<&TagKey>,
    known_at: Point,
) -> anyhow::Result<()> {
    let known_at = match known_at {
        Point::Position(position) => json!({ "position": position.to_string() }),
        Point::Time(time) => json!({ "time": time }),
    };
    let mut variables = variables(cost, times, key);
    variables["knownAt"] = known_at;
    let mut report = ServerReport::open(client, document(cost.compare.is_some()), variables).await?;
    // What a time means is decided once.
    let position = report.summary.position;
    report.variables["knownAt"] = json!({ "position": position.to_string() });
    print(&mut report, position, &Layout::of(cost, times.zone)).await?;
    describe_known(&report);
    Ok(())
}

/// A filter as GraphQL has it.
pub(super) fn filter(filter: &NamedFilter) -> Value {
    let dimension = filter.dimension().as_str().to_uppercase();
    json!({ "dimension": dimension, "value": filter.value() })
}

fn variables(cost: &Cost, times: Times, key: Option<&TagKey>) -> Value {
    let name = |named: &NamedDimension| named.dimension().as_str().to_uppercase();
    let filters: Vec<_> = cost.filters.iter().map(filter).collect();
    json!({
        "by": cost.by.iter().map(name).collect::<Vec<_>>(),
        "filter": (!filters.is_empty()).then_some(filters),
        "tagKey": key.map(TagKey::as_str),
        "timeZone": times.zone.name(),
        "from": times.from,
        "to": times.to,
        "top": cost.top,
        "compare": times.compared_with.map(|period| match period {
            BasePeriod::Previous => json!({ "previous": true }),
            BasePeriod::With { from, to } => json!({ "from": from, "to": to }),
        }),
        "first": if cost.compare.is_some() { COMPARED_PAGE } else { PAGE },
    })
}

async fn declared_at(client: &Client, key: &TagKey) -> anyhow::Result<Option<DateTime<Utc>>> {
    let keys = backend::tag_keys(client).await?;
    Ok(keys.into_iter().find(|(found, _)| found == key).map(|(_, declared_at)| declared_at))
}

/// Says that the read model of calls of a server lacks events that could not be applied.
pub(in crate::cli) async fn warn_of_parked(client: &Client) -> anyhow::Result<()> {
    warn_of_parked_in(client, &[CALLS]).await
}

/// Says that these read models of a server lack events that could not be applied.
pub(super) async fn warn_of_parked_in(client: &Client, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        match client.get::<Vec<Value>>(PARKED, json!({ "projection": name }), "/parkedEvents").await {
            Ok(parked) => warn(name, i64::try_from(parked.len()).unwrap_or(i64::MAX)),
            Err(ClientError::Forbidden { .. }) => {
                say!("Whether the report lacks events that could not be applied is shown to operators only.");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_fields() {
        assert_eq!(field("input_tokens"), "inputTokens");
        assert_eq!(field("cache_write_5min_tokens"), "cacheWrite5MinTokens");
        assert_eq!(field("images"), "images");
    }
}
