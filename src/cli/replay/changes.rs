//! The state of an aggregate at two moments.

use super::selection::StreamName;
use crate::cli::output;
use crate::cli::point::{Between, Point};
use crate::rooms::Rooms;
use anyhow::Context as _;
use commands::AsOf;
use domain::{Aggregate, AggregateVisitor, Difference};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use streams::{Position, Version};

/// The state of an aggregate at a moment.
pub(super) struct StateAt {
    pub(super) version: Version,
    pub(super) position: Position,
    pub(super) state: Value,
}

/// Prints which fields of the state differ between two moments, and the events between them. `before` is none if the aggregate had
/// no events at the first one.
pub(super) fn print(
    stream: &StreamName,
    (before, after): (Option<StateAt>, StateAt),
    events: &[Value],
) -> anyhow::Result<()> {
    let none = Value::Null;
    let found = Difference::between(before.as_ref().map_or(&none, |state| &state.state), &after.state);
    let field =
        |field: domain::ChangedField| json!({ "path": field.path, "before": field.before, "after": field.after });
    let moment = |state: &StateAt| json!({ "version": state.version, "position": state.position });
    output::json(&json!({
        "category": stream.category,
        "stream_id": stream.id,
        "before": before.as_ref().map(moment),
        "after": moment(&after),
        "fields": found.fields.into_iter().map(field).collect::<Vec<_>>(),
        "has_more_fields": found.is_cut,
        "events": events,
    }))
}

/// An event as it is listed.
pub(super) fn event(position: Position, version: Version, name: &str, recorded_at: &str, metadata: &str) -> Value {
    let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
    json!({
        "position": position,
        "version": version,
        "type": name,
        "recorded_at": recorded_at,
        "actor": metadata.get("actor"),
        "command_id": metadata.get("command_id"),
    })
}

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1_000;

/// Prints the changes of a stream in the database.
pub(super) async fn on_database(rooms: &Rooms, stream: &StreamName, between: Between) -> anyhow::Result<()> {
    let before = state(rooms, stream, between.from).await?;
    let after = state(rooms, stream, between.to).await?.ok_or_else(|| stream.had_no_events())?;
    let first = before.as_ref().map_or(Version::ZERO, |state| state.version);
    anyhow::ensure!(first <= after.version, "the second moment is before the first one: give the earlier one first");
    let log = rooms.log.of_tenants(rooms.reads.clone());
    let access = rooms.principal.authorise::<domain::permissions::ReadData>()?;
    let mut pages = log.own_stream_pages(&access, stream.category, stream.id, PAGE_EVENTS);
    let mut events = Vec::new();
    while let Some(page) = pages.next_page().await? {
        let between = page.iter().filter(|event| event.version > first && event.version <= after.version);
        events.extend(between.map(|found| {
            let at = output::time(found.recorded_at);
            event(found.position, found.version, &found.name, &at, &found.metadata)
        }));
        if page.last().is_some_and(|last| last.version >= after.version) {
            break;
        }
    }
    print(stream, (before, after), &events)
}

async fn state(rooms: &Rooms, stream: &StreamName, point: Point) -> anyhow::Result<Option<StateAt>> {
    let as_of = match point {
        Point::Position(position) => AsOf::Position(position),
        Point::Time(time) => AsOf::Time(time),
    };
    let folding = domain::visit_aggregate(stream.category, Fold { rooms, stream, as_of });
    folding.with_context(|| format!("there is no category {:?}", stream.category))?.await
}

/// Folds a stream, whatever its type of aggregate.
struct Fold<'a> {
    rooms: &'a Rooms,
    stream: &'a StreamName,
    as_of: AsOf,
}

impl<'a> AggregateVisitor for Fold<'a> {
    type Output = BoxFuture<'a, anyhow::Result<Option<StateAt>>>;

    fn visit<A: Aggregate>(self) -> Self::Output {
        Box::pin(async move {
            let Self { rooms, stream, as_of } = self;
            let loaded = rooms.commands.load_as_of::<A>(&rooms.principal, stream.id, as_of).await?;
            if loaded.version == Version::ZERO {
                return Ok(None);
            }
            let state = serde_json::to_value(&loaded.state).context("the state cannot be serialized")?;
            Ok(Some(StateAt { version: loaded.version, position: loaded.position, state }))
        })
    }
}
