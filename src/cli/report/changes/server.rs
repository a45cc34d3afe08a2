//! What changed between two moments, as a server knows it.

use super::{Changes, EventView, MAX_LISTED_EVENTS, RowView, Side, View, tag_key};
use crate::cli::point::Point;
use crate::cli::report::period::Limit;
use crate::cli::report::server::filter;
use crate::client::{Client, Page};
use chrono::{DateTime, Utc};
use domain::TagKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

const ROWS: &str = "query($from: AsOf!, $to: AsOf!, $by: [Dimension!], $filter: [UsageFilter!], $tagKey: String,
        $timeZone: String, $startedFrom: DateTime, $startedTo: DateTime, $first: Int!, $after: String) {
    costChanges(from: $from, to: $to, by: $by, filter: $filter, tagKey: $tagKey, timeZone: $timeZone,
            startedFrom: $startedFrom, startedTo: $startedTo) {
        from to costDifference before { calls toolCalls cost } after { calls toolCalls cost }
        rows(first: $first, after: $after) {
            nodes { keys { value name } before { calls toolCalls cost } after { calls toolCalls cost } costDifference }
            pageInfo { hasNextPage endCursor } } } }";
const EVENTS: &str = "query($from: AsOf!, $to: AsOf!, $by: [Dimension!], $filter: [UsageFilter!], $tagKey: String,
        $timeZone: String, $startedFrom: DateTime, $startedTo: DateTime, $first: Int!, $after: String) {
    costChanges(from: $from, to: $to, by: $by, filter: $filter, tagKey: $tagKey, timeZone: $timeZone,
            startedFrom: $startedFrom, startedTo: $startedTo) {
        from to costDifference before { calls toolCalls cost } after { calls toolCalls cost }
        events(first: $first, after: $after) {
            nodes { position type recordedAt callId actor callsDifference costDifference }
            pageInfo { hasNextPage endCursor } } } }";

/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[("CHANGED_ROWS", ROWS), ("CAUSING_EVENTS", EVENTS)];

/// The number of rows or events of a page.
const PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    calls: i64,
    tool_calls: i64,
    cost: Option<String>,
}

impl From<Totals> for Side {
    fn from(totals: Totals) -> Self {
        Self { calls: i128::from(totals.calls) + i128::from(totals.tool_calls), cost: totals.cost }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    from: String,
    to: String,
    cost_difference: String,
    before: Totals,
    after: Totals,
}

#[derive(Deserialize)]
struct Key {
    value: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    keys: Vec<Key>,
    before: Totals,
    after: Totals,
    cost_difference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    position: String,
    r#type: String,
    recorded_at: DateTime<Utc>,
    call_id: Uuid,
    actor: Option<String>,
    calls_difference: String,
    cost_difference: String,
}

impl From<Row> for RowView {
    fn from(row: Row) -> Self {
        let (keys, names) = row.keys.into_iter().map(|key| (key.value, key.name)).unzip();
        Self { keys, names, before: row.before.into(), after: row.after.into(), cost_difference: row.cost_difference }
    }
}

fn moment(point: Point) -> Value {
    match point {
        Point::Position(position) => json!({ "position": position.to_string() }),
        Point::Time(time) => json!({ "time": time }),
    }
}

/// Reads what changed, page by page.
pub(super) async fn view(client: &Client, changes: &Changes) -> anyhow::Result<View> {
    let zone = changes.time_zone.zone()?;
    let time = |limit: Option<Limit>| limit.map(|limit| limit.time(zone)).transpose();
    let filters: Vec<_> = changes.filters.iter().map(filter).collect();
    let mut variables = json!({
        "from": moment(changes.between.from),
        "to": moment(changes.between.to),
        "by": changes.by.iter().map(|by| by.dimension().as_str().to_uppercase()).collect::<Vec<_>>(),
        "filter": (!filters.is_empty()).then_some(filters),
        "tagKey": tag_key(&changes.by, &changes.filters)?.map(TagKey::as_str),
        "timeZone": zone.name(),
        "startedFrom": time(changes.from)?,
        "startedTo": time(changes.to)?,
        "first": PAGE,
    });
    let (found, rows, events) = if changes.events {
        let (found, events, is_cut) = pages::<Event>(client, EVENTS, &mut variables, "events").await?;
        let events: anyhow::Result<Vec<_>> = events.into_iter().map(|event| event.view(client)).collect();
        (found, Vec::new(), Some((events?, is_cut)))
    } else {
        let (found, rows, _) = pages::<Row>(client, ROWS, &mut variables, "rows").await?;
        (found, rows.into_iter().map(RowView::from).collect(), None)
    };
    Ok(View {
        from: client.position(&found.from, "position")?,
        to: client.position(&found.to, "position")?,
        before: found.before.into(),
        after: found.after.into(),
        cost_difference: found.cost_difference,
        rows,
        events,
    })
}

impl Event {
    fn view(self, client: &Client) -> anyhow::Result<EventView> {
        Ok(EventView {
            position: client.position(&self.position, "position")?,
            name: self.r#type,
            recorded_at: self.recorded_at,
            call_id: self.call_id,
            actor: self.actor,
            calls_difference: self.calls_difference.parse()?,
            cost_difference: self.cost_difference,
        })
    }
}

/// The totals, and the objects of all pages of a list; of events no more than are listed, and whether there are more.
async fn pages<T: DeserializeOwned>(
    client: &Client,
    document: &str,
    variables: &mut Value,
    list: &str,
) -> anyhow::Result<(Found, Vec<T>, bool)> {
    let mut all = Vec::new();
    loop {
        let mut answer: Value = client.get(document, variables.clone(), "/costChanges").await?;
        let page: Page<T> = client.take(&mut answer, &format!("/{list}"))?;
        let found: Found = client.take(&mut answer, "")?;
        all.extend(page.nodes);
        let next = page.page_info.next();
        if next.is_none() || (list == "events" && all.len() >= MAX_LISTED_EVENTS) {
            return Ok((found, all, next.is_some()));
        }
        // What a time means is decided once.
        variables["from"] = json!({ "position": found.from });
        variables["to"] = json!({ "position": found.to });
        variables["after"] = next.into();
    }
}
