//! Events and states that a server reads.

use super::changes::{self, StateAt};
use super::lines::{EventLine, write_line, write_state};
use super::selection::{Selection, StreamName};
use crate::cli::output;
use crate::cli::point::{Between, Point, before};
use crate::client::{Client, ClientError, Page};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use streams::{Position, Version};
use uuid::Uuid;

/// The documents that a replay takes.
const START: &str = "query { head viewer { tenant } }";
const POSITION_AT: &str = "query($time: DateTime!) { positionAt(time: $time) }";
const EVENTS: &str = "query($first: Int!, $after: String) { events(first: $first, after: $after) {
    nodes { position category streamId version eventId type schemaVersion recordedAt contentHash metadataText payloadText }
    pageInfo { hasNextPage endCursor } } }";
const STREAM_EVENTS: &str = "query($category: String!, $id: ID!, $first: Int!, $after: String) {
    streamEvents(category: $category, id: $id, first: $first, after: $after) {
    nodes { position category streamId version eventId type schemaVersion recordedAt contentHash metadataText payloadText }
    pageInfo { hasNextPage endCursor } } }";
const STATE: &str = "query($category: String!, $id: ID!, $asOf: AsOf!) {
    aggregateState(category: $category, id: $id, asOf: $asOf) { version position state } }";

const CHANGES: &str = "query($category: String!, $id: ID!, $from: AsOf!, $to: AsOf!, $first: Int!, $after: String) {
    aggregateChanges(category: $category, id: $id, from: $from, to: $to) {
        before { version position state } after { version position state }
        events(first: $first, after: $after) {
            nodes { position version type recordedAt metadataText } pageInfo { hasNextPage endCursor } } } }";

/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[
    ("START", START),
    ("POSITION_AT", POSITION_AT),
    ("EVENTS", EVENTS),
    ("STREAM_EVENTS", STREAM_EVENTS),
    ("STATE", STATE),
    ("CHANGES", CHANGES),
];

/// The number of events of a page. Where the answer would be too large, there are fewer.
const PAGE: usize = 200;
/// The reason of the server if an answer is too large.
const TOO_LARGE: &str = "RESPONSE_TOO_LARGE";

#[derive(Deserialize)]
struct Start {
    head: String,
    viewer: Viewer,
}

#[derive(Deserialize)]
struct Viewer {
    tenant: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    position: String,
    category: String,
    stream_id: Uuid,
    version: u64,
    event_id: Uuid,
    r#type: String,
    schema_version: u16,
    recorded_at: DateTime<Utc>,
    content_hash: String,
    metadata_text: String,
    payload_text: String,
}

impl Event {
    fn write(&self, output: &mut impl Write, tenant: &str, position: Position) -> io::Result<()> {
        let (metadata, payload): (&RawValue, &RawValue) =
            (serde_json::from_str(&self.metadata_text)?, serde_json::from_str(&self.payload_text)?);
        let line = EventLine {
            position,
            tenant,
            category: &self.category,
            stream_id: self.stream_id,
            version: Version::from(self.version),
            event_id: self.event_id,
            name: &self.r#type,
            schema_version: self.schema_version,
            recorded_at: self.recorded_at,
            content_hash: self.content_hash.clone(),
            metadata,
            payload,
        };
        write_line(output, &line)
    }
}

/// Prints what the arguments say.
pub(super) async fn replay(client: &Client, selection: &Selection) -> anyhow::Result<()> {
    if let (Some(stream), Some(between)) = (&selection.stream, selection.between) {
        return state_changes(client, stream, between).await;
    }
    match (&selection.stream, selection.as_of) {
        (Some(stream), Some(point)) => state(client, stream, point).await,
        _ => events(client, selection).await,
    }
}

async fn position_at(client: &Client, time: DateTime<Utc>) -> Result<Position, ClientError> {
    let found: String = client.get(POSITION_AT, json!({ "time": time }), "/positionAt").await?;
    client.position(&found, "position")
}

async fn events(client: &Client, selection: &Selection) -> anyhow::Result<()> {
    let start: Start = client.get(START, json!({}), "").await?;
    let first = match selection.from {
        Some(Point::Position(position)) => position,
        Some(Point::Time(time)) => position_at(client, time).await?,
        None => Position::from(1),
    };
    let end = match selection.to {
        Some(Point::Position(position)) => position,
        Some(Point::Time(time)) => before(position_at(client, time).await?),
        None => client.position(&start.head, "position")?,
    };
    let (document, path, mut variables) = match &selection.stream {
        Some(stream) => (STREAM_EVENTS, "/streamEvents", json!({ "category": stream.category, "id": stream.id })),
        None => (EVENTS, "/events", json!({ "after": before(first).to_string() })),
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let (mut size, mut is_empty) = (PAGE, true);
    loop {
        variables["first"] = size.into();
        let page: Page<Event> = match client.get(document, variables.clone(), path).await {
            Err(ClientError::Refused { reason, .. }) if reason.as_deref() == Some(TOO_LARGE) && size > 1 => {
                size /= 2;
                continue;
            }
            page => page?,
        };
        let mut is_over = false;
        for event in &page.nodes {
            is_empty = false;
            let at = client.position(&event.position, "position")?;
            is_over = at >= end;
            if at < first || at > end {
                continue;
            }
            match event.write(&mut output, &start.viewer.tenant, at) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
        match page.page_info.next().filter(|_| !is_over) {
            Some(next) => variables["after"] = next.into(),
            None => break,
        }
    }
    if let (Some(stream), true) = (&selection.stream, is_empty) {
        return Err(stream.has_no_events());
    }
    Ok(output::ignore_closed(output.flush())?)
}

#[derive(Deserialize)]
struct State {
    version: u64,
    position: String,
    state: Value,
}

#[derive(Deserialize)]
struct Changes {
    before: Option<State>,
    after: State,
    events: Page<ChangingEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangingEvent {
    position: String,
    version: u64,
    r#type: String,
    recorded_at: DateTime<Utc>,
    metadata_text: String,
}

impl State {
    fn at(self, client: &Client) -> Result<StateAt, ClientError> {
        let position = client.position(&self.position, "position")?;
        Ok(StateAt { version: Version::from(self.version), position, state: self.state })
    }
}

async fn state_changes(client: &Client, stream: &StreamName, between: Between) -> anyhow::Result<()> {
    let mut variables = json!({
        "category": stream.category,
        "id": stream.id,
        "from": moment(between.from),
        "to": moment(between.to),
        "first": PAGE,
    });
    let mut events = Vec::new();
    loop {
        let found: Option<Changes> = client.get(CHANGES, variables.clone(), "/aggregateChanges").await?;
        let Changes { before, after, events: page } = found.ok_or_else(|| stream.had_no_events())?;
        for event in page.nodes {
            let (position, at) = (client.position(&event.position, "position")?, output::time(event.recorded_at));
            let version = Version::from(event.version);
            events.push(changes::event(position, version, &event.r#type, &at, &event.metadata_text));
        }
        let next = page.page_info.next();
        let before = before.map(|state| state.at(client)).transpose()?;
        let after = after.at(client)?;
        if next.is_none() {
            return changes::print(stream, (before, after), &events);
        }
        // What a time means is decided once.
        variables["to"] = json!({ "position": after.position.to_string() });
        variables["after"] = next.into();
    }
}

fn moment(point: Point) -> Value {
    match point {
        Point::Position(position) => json!({ "position": position.to_string() }),
        Point::Time(time) => json!({ "time": time }),
    }
}

async fn state(client: &Client, stream: &StreamName, point: Point) -> anyhow::Result<()> {
    let variables = json!({ "category": stream.category, "id": stream.id, "asOf": moment(point) });
    let found: Option<State> = client.get(STATE, variables, "/aggregateState").await?;
    let found = found.ok_or_else(|| stream.had_no_events())?;
    write_state(stream, Version::from(found.version), client.position(&found.position, "position")?, &found.state)
}
