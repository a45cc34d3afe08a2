//! The log itself: events by position, and the events of one stream.

use super::Services;
use super::connection::{self, STATEMENT_COST};
use super::errors::{self, bad_input};
use super::ids::Kind;
use super::scalars::{Long, Position, Timestamp, Uid, parse_position};
use crate::caller::Caller;
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Error, ID, InputObject, Json, Object, Result, SimpleObject, Value};
use domain::TenantId;
use std::fmt::Write;
use std::sync::Arc;
use streams::{ReadFilter, RecordedEvent, StreamKey, Version};
use uuid::Uuid;

/// The most types that a filter may name.
const MAX_FILTER_TYPES: usize = 100;

/// An event: something that happened, as it stands in the log for good.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Event {
    /// Its global id.
    pub(crate) id: ID,
    /// Its place in the log.
    position: Position,
    /// What it happened to: the kind of aggregate, such as `task`.
    category: String,
    /// Which one it happened to.
    stream_id: Uid,
    /// Its place in its stream, from 1.
    version: Long,
    /// Its own id, the same wherever the event is copied to.
    event_id: Uid,
    /// Its type, such as `task.completed`.
    #[graphql(name = "type")]
    name: String,
    /// The version of the payload's schema.
    schema_version: i32,
    /// What happened. As text where it is JSON that has no form here, such as a number beyond any that is known.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    payload: Json<Value>,
    /// Who caused it, and by what: `actor`, `command_id`, `correlation_id`, and where known `causation_id` and
    /// `traceparent`. As text where it is JSON that has no form here.
    metadata: Json<Value>,
    /// When it was appended, by the database's clock.
    recorded_at: Timestamp,
    /// SHA-256 of its content, in hexadecimal.
    content_hash: String,
}

impl TryFrom<&RecordedEvent> for Event {
    type Error = Error;

    fn try_from(event: &RecordedEvent) -> Result<Self> {
        // Not through a map of another kind: members keep the order in which they were written.
        let json = |text: &str| Json(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())));
        let mut content_hash = String::with_capacity(64);
        for byte in &event.content_hash {
            write!(content_hash, "{byte:02x}").map_err(|error| errors::internal(&error))?;
        }
        Ok(Self {
            id: Kind::Event.id(event.position),
            position: event.position.into(),
            category: event.stream.category.to_string(),
            stream_id: event.stream.id.into(),
            version: event.version.as_i64().into(),
            event_id: event.event_id.into(),
            name: event.name.clone(),
            schema_version: event.schema_version.into(),
            payload: json(&event.payload),
            metadata: json(&event.metadata),
            recorded_at: event.recorded_at.into(),
            content_hash,
        })
    }
}

impl TryFrom<RecordedEvent> for Event {
    type Error = Error;

    fn try_from(event: RecordedEvent) -> Result<Self> {
        Self::try_from(&event)
    }
}

/// Which events.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct EventFilter {
    /// That happened to this kind of aggregate, such as `task`.
    pub(crate) category: Option<String>,
    /// Of these types, such as `task.completed`; at most 100.
    pub(crate) types: Option<Vec<String>>,
    /// Of this stream: the id or UUID of an agent, a task, a call, a memory or a budget.
    pub(crate) stream_id: Option<ID>,
}

impl EventFilter {
    /// The filter, for what a tenant may see.
    pub(crate) fn check(self, tenant: &TenantId) -> Result<ReadFilter> {
        let types = self.types.unwrap_or_default();
        if types.len() > MAX_FILTER_TYPES {
            let found = types.len();
            return Err(bad_input("TOO_MANY_TYPES", format!("{found} types, {MAX_FILTER_TYPES} are allowed")));
        }
        if let Some(category) = &self.category {
            check_category(category)?;
        }
        for name in &types {
            check_type(name, self.category.as_deref())?;
        }
        let stream_id = self.stream_id.map(|id| stream(&id)).transpose()?;
        Ok(ReadFilter { tenant: Some(tenant.clone()), category: self.category, types, stream_id })
    }
}

/// Refuses a category that no event has: whoever follows it would wait for ever.
fn check_category(category: &str) -> Result<()> {
    if domain::Event::CATEGORIES.contains(&category) {
        return Ok(());
    }
    let known = domain::Event::CATEGORIES.join(", ");
    Err(bad_input("UNKNOWN_CATEGORY", format!("{:?} is no category; there are {known}", shown(category))))
}

/// Refuses a type that no event has, or none of its category.
fn check_type(name: &str, category: Option<&str>) -> Result<()> {
    let all = domain::Event::types();
    let known = all.iter().filter(|known| category.is_none_or(|category| category == known.category));
    let mut names: Vec<_> = known.map(|known| known.event_type.name).collect();
    if names.contains(&name) {
        return Ok(());
    }
    names.dedup();
    let (of, names) = (category.map(|category| format!(" of {category}")).unwrap_or_default(), names.join(", "));
    Err(bad_input("UNKNOWN_EVENT_TYPE", format!("{:?} is no type of event{of}; there are {names}", shown(name))))
}

/// As much of a client's text as is repeated to it.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The UUID in an id of whatever has a stream, or a bare UUID.
fn stream(id: &ID) -> Result<Uuid> {
    match super::ids::split(id) {
        Some((Kind::Event, _)) => Err(bad_input("WRONG_ID_TYPE", "an event is not a stream")),
        Some((kind, _)) => kind.parse(id),
        None => Kind::Agent.parse(id),
    }
}

/// The event at a position, if the tenant may see it.
pub(crate) async fn at(ctx: &Context<'_>, position: streams::Position) -> Result<Option<Event>> {
    let Some(before) = position.get().checked_sub(1) else { return Ok(None) };
    let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
    let events = services.commands.log().read_after(before.into(), &ReadFilter::default(), 1).await;
    let event = events.map_err(|error| errors::read(&error))?.pop();
    event
        .filter(|event| event.position == position && event.stream.tenant == caller.tenant)
        .map(Event::try_from)
        .transpose()
}

/// Queries about the log.
#[derive(Default)]
pub(crate) struct EventQuery;

#[Object]
impl EventQuery {
    /// Events in the order of the log. Forwards with `first` and `after`, or backwards from the end with `last` and
    /// `before`. A cursor is a position, so that any position can be given as one.
    #[graphql(complexity = "connection::cost(first.or(last), child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only these; all if not given.")] filter: Option<EventFilter>,
        #[graphql(desc = "How many; at most 500. 50 if neither `first` nor `last` is given.")] first: Option<i32>,
        #[graphql(desc = "Those after this position.")] after: Option<String>,
        #[graphql(desc = "How many of the last; at most 500.")] last: Option<i32>,
        #[graphql(desc = "Those before this position.")] before: Option<String>,
    ) -> Result<Connection<String, Event>> {
        let filter = filter.unwrap_or_default().check(&ctx.data::<Caller>()?.tenant)?;
        let after = after.as_deref().map(cursor).transpose()?;
        let before = before.as_deref().map(cursor).transpose()?;
        match (first, last) {
            (Some(_), Some(_)) => Err(bad_input("BOTH_DIRECTIONS", "give `first` or `last`, not both")),
            (None, Some(last)) => backwards(ctx, &filter, last, after, before).await,
            (first, None) => forwards(ctx, &filter, first, after, before).await,
        }
    }

    /// The events of one aggregate, from its first.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn stream_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The kind of aggregate, such as `task`.")] category: String,
        #[graphql(desc = "Its global id or UUID.")] id: ID,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this version of the stream.")] after: Option<String>,
    ) -> Result<Connection<String, Event>> {
        check_category(&category)?;
        let size = connection::size(ctx, first)?;
        let version = after.as_deref().map(cursor).transpose()?.map_or(Version::ZERO, |after| after.get().into());
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let key = StreamKey { tenant: caller.tenant.clone(), category: category.as_str().into(), id: stream(&id)? };
        let events = services.commands.log().read_stream(&key, version, size + 1).await;
        let events = events.map_err(|error| errors::read(&error))?;
        connection::connect_by(events, size, after.is_some(), |event| event.version.to_string())
    }

    /// The last position of the log; 0 while it is empty.
    #[graphql(complexity = "STATEMENT_COST")]
    async fn head(&self, ctx: &Context<'_>) -> Result<Position> {
        let head = ctx.data::<Arc<Services>>()?.commands.log().head().await;
        head.map(Position).map_err(|error| errors::read(&error))
    }
}

/// The position that a cursor is.
pub(crate) fn cursor(text: &str) -> Result<streams::Position> {
    parse_position(text).map(Into::into).ok_or_else(|| connection::bad_cursor(text))
}

async fn forwards(
    ctx: &Context<'_>,
    filter: &ReadFilter,
    first: Option<i32>,
    after: Option<streams::Position>,
    before: Option<streams::Position>,
) -> Result<Connection<String, Event>> {
    let size = connection::size(ctx, first)?;
    let log = ctx.data::<Arc<Services>>()?.commands.log();
    let events = log.read_after(after.unwrap_or_default(), filter, size + 1).await;
    let mut events = events.map_err(|error| errors::read(&error))?;
    if let Some(before) = before {
        events.retain(|event| event.position < before);
    }
    connection::connect_by(events, size, after.is_some(), |event| event.position.to_string())
}

async fn backwards(
    ctx: &Context<'_>,
    filter: &ReadFilter,
    last: i32,
    after: Option<streams::Position>,
    before: Option<streams::Position>,
) -> Result<Connection<String, Event>> {
    let size = connection::size(ctx, Some(last))?;
    let log = ctx.data::<Arc<Services>>()?.commands.log();
    let end = before.unwrap_or(streams::Position::from_i64(i64::MAX));
    let events = log.read_before(end, filter, size + 1).await;
    let mut events = events.map_err(|error| errors::read(&error))?;
    if let Some(after) = after {
        events.retain(|event| event.position > after);
    }
    let mut connection = Connection::new(events.len() > size, before.is_some());
    events.truncate(size);
    for event in events.into_iter().rev() {
        connection.edges.push(Edge::new(event.position.to_string(), Event::try_from(event)?));
    }
    Ok(connection)
}
