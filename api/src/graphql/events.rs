//! The event log: events by position, the events of one stream, and events as they are appended.

use super::connection::{self, STATEMENT_COST};
use super::errors::{self, bad_input};
use super::follow;
use super::ids::{self, Kind};
use super::scalars::{Long, Position, Timestamp, Uid};
use super::services::{authorise, authorise_content, services};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{
    ComplexObject, Context, Error, ID, InputObject, Json, Object, Result, SimpleObject, Subscription, Value,
};
use domain::Aggregate as _;
use domain::access_log::AccessLog;
use domain::permissions::{Access, ReadAccessLog, ReadAny, ReadEvents};
use futures::{Stream, StreamExt};
use std::fmt::Write;
use streams::{RecordedEvent, TenantFilter, Version};
use uuid::Uuid;

/// The most types that a filter may name.
const MAX_FILTER_TYPES: usize = 100;

/// An event: an immutable record of something that happened.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Event {
    /// Global id of the event.
    pub(crate) id: ID,
    /// Position in the log.
    position: Position,
    /// Category of the event's stream: the kind of aggregate, such as `task`.
    category: String,
    /// UUID of the event's stream: the aggregate that the event belongs to.
    stream_id: Uid,
    /// Version of the stream with this event: 1 for the first event of the stream.
    version: Long,
    /// UUID of the event, the same in every copy of it, such as in Kafka topics.
    event_id: Uid,
    /// Type of the event, such as `task.completed`.
    #[graphql(name = "type")]
    name: String,
    /// Version of the payload's schema.
    schema_version: i32,
    /// Time at which the event was appended, by the clock of the database.
    recorded_at: Timestamp,
    /// SHA-256 hash of the event's content, in hexadecimal.
    content_hash: String,
    #[graphql(skip)]
    payload_text: String,
    /// Metadata, byte for byte as it was appended.
    metadata_text: String,
}

#[ComplexObject]
impl Event {
    /// Payload, byte for byte as it was appended. Takes the permission `read:contents`: null without it, with an error.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    async fn payload_text(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        self.authorise_payload(ctx)?;
        Ok(Some(&self.payload_text))
    }

    /// Payload as JSON. It is a string that contains the JSON if a GraphQL server cannot represent it, for example because
    /// of a number that is too large. Takes the permission `read:contents`: null without it, with an error.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    async fn payload(&self, ctx: &Context<'_>) -> Result<Option<Json<Value>>> {
        self.authorise_payload(ctx)?;
        Ok(Some(json(&self.payload_text)))
    }

    /// Metadata as JSON: `actor`, `command_id`, `correlation_id`, and where known `causation_id` and `traceparent`. It is a
    /// string that contains the JSON if a GraphQL server cannot represent it.
    async fn metadata(&self) -> Json<Value> {
        json(&self.metadata_text)
    }
}

/// Parsed to the type that keeps the members of an object in the order in which they were written.
fn json(text: &str) -> Json<Value> {
    Json(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}

impl Event {
    fn authorise_payload(&self, ctx: &Context<'_>) -> Result<()> {
        if self.category == AccessLog::CATEGORY {
            authorise::<ReadAccessLog>(ctx)?;
        } else {
            // Whose the texts in it are is not known.
            authorise_content(ctx, |_| false)?;
        }
        Ok(())
    }
}

impl TryFrom<&RecordedEvent> for Event {
    type Error = Error;

    fn try_from(event: &RecordedEvent) -> Result<Self> {
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
            recorded_at: event.recorded_at.into(),
            content_hash,
            payload_text: event.payload.clone(),
            metadata_text: event.metadata.to_string(),
        })
    }
}

impl TryFrom<RecordedEvent> for Event {
    type Error = Error;

    fn try_from(event: RecordedEvent) -> Result<Self> {
        Self::try_from(&event)
    }
}

/// Conditions on events. An event must meet all conditions that are given.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct EventFilter {
    /// Selects events of this category, such as `task`. Default: any category.
    pub(crate) category: Option<String>,
    /// Selects events of any of these types, such as `task.completed`, at most 100. Default: any type.
    pub(crate) types: Option<Vec<String>>,
    /// Selects events of this stream: the global id or UUID of an agent, task, call, memory or budget.
    pub(crate) stream_id: Option<ID>,
}

impl EventFilter {
    /// Checks the filter, and limits it to the events of a tenant.
    ///
    /// # Errors
    /// `TOO_MANY_TYPES`, `UNKNOWN_CATEGORY`, `UNKNOWN_EVENT_TYPE`, `WRONG_ID_TYPE` and `NOT_AN_ID`, as reasons of
    /// `BAD_USER_INPUT`.
    pub(crate) fn check(self, access: &Access<ReadEvents>) -> Result<TenantFilter> {
        let types = self.types.unwrap_or_default();
        if types.len() > MAX_FILTER_TYPES {
            let found = types.len();
            return Err(bad_input("TOO_MANY_TYPES", format!("{found} types, at most {MAX_FILTER_TYPES} are allowed")));
        }
        if let Some(category) = &self.category {
            check_category(category)?;
        }
        for name in &types {
            check_type(name, self.category.as_deref())?;
        }
        let stream_id = self.stream_id.map(|id| stream(&id)).transpose()?;
        Ok(TenantFilter::new(access, self.category, types, stream_id))
    }
}

/// Rejects a category that no event has, because a subscription to it would never get an event.
pub(super) fn check_category(category: &str) -> Result<()> {
    if domain::Event::CATEGORIES.contains(&category) {
        return Ok(());
    }
    let known = domain::Event::CATEGORIES.join(", ");
    Err(bad_input("UNKNOWN_CATEGORY", format!("unknown category {:?}; the categories are {known}", shown(category))))
}

/// Rejects a type that no event has, or none of the category.
fn check_type(name: &str, category: Option<&str>) -> Result<()> {
    let all = domain::Event::types();
    let known = all.iter().filter(|known| category.is_none_or(|category| category == known.category));
    let mut names: Vec<_> = known.map(|known| known.event_type.name).collect();
    if names.contains(&name) {
        return Ok(());
    }
    names.dedup();
    let (of, names) = (category.map(|category| format!(" of {category}")).unwrap_or_default(), names.join(", "));
    Err(bad_input("UNKNOWN_EVENT_TYPE", format!("unknown event type {:?}{of}; the types are {names}", shown(name))))
}

/// Truncates a client's text for an error message.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The UUID in an id of an object that has a stream, or a bare UUID.
pub(super) fn stream(id: &ID) -> Result<Uuid> {
    match ids::split(id) {
        Some((Kind::Event, _)) => {
            Err(bad_input("WRONG_ID_TYPE", "this is the id of an event, which has no stream of its own"))
        }
        Some((kind, _)) => kind.parse(id),
        None => Kind::Agent.parse(id),
    }
}

/// Reads the event at a position, if it belongs to the caller's tenant.
pub(crate) async fn at(ctx: &Context<'_>, position: streams::Position) -> Result<Option<Event>> {
    let access = authorise::<ReadEvents>(ctx)?;
    let event = services(ctx)?.events.read_event(&access, position).await;
    event.map_err(|error| errors::read(&error))?.map(Event::try_from).transpose()
}

/// Queries for events.
#[derive(Default)]
pub(crate) struct EventQuery;

#[Object]
impl EventQuery {
    /// Lists events in the order of the log: forwards with `first` and `after`, or backwards from the end with `last` and
    /// `before`. The cursor of an event is its position, so any position can be used as a cursor.
    #[graphql(complexity = "connection::cost(first.or(last), child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only events that meet these conditions. Default: all events.")] filter: Option<
            EventFilter,
        >,
        #[graphql(desc = "Number of events to return, from 1 to 500. Default: 50, unless `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Returns only events after this position.")] after: Option<String>,
        #[graphql(desc = "Number of events to return from the end, in the order of the log, from 1 to 500.")]
        last: Option<i32>,
        #[graphql(desc = "Returns only events before this position.")] before: Option<String>,
    ) -> Result<Connection<String, Event>> {
        let filter = filter.unwrap_or_default().check(&authorise(ctx)?)?;
        let after = after.as_deref().map(connection::position_cursor).transpose()?;
        let before = before.as_deref().map(connection::position_cursor).transpose()?;
        match (first, last) {
            (Some(_), Some(_)) => Err(bad_input("BOTH_DIRECTIONS", "give either `first` or `last`, not both")),
            (None, Some(last)) => backwards(ctx, &filter, last, after, before).await,
            (first, None) => forwards(ctx, &filter, first, after, before).await,
        }
    }

    /// Lists the events of one stream, from the first on. The cursor of an event is its version.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn stream_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Category of the stream: the kind of aggregate, such as `task`.")] category: String,
        #[graphql(desc = "Global id or UUID of the aggregate.")] id: ID,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of events to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns only events after this version of the stream.")] after: Option<String>,
    ) -> Result<Connection<String, Event>> {
        let access = authorise::<ReadEvents>(ctx)?;
        check_category(&category)?;
        let size = connection::size(ctx, first)?;
        let version = after
            .as_deref()
            .map(connection::position_cursor)
            .transpose()?
            .map_or(Version::ZERO, |after| after.get().into());
        let (log, id) = (&services(ctx)?.events, stream(&id)?);
        let events = log.read_own_stream(&access, &category, id, version, size + 1).await;
        let events = events.map_err(|error| errors::read(&error))?;
        connection::connect_by(events, size, after.is_some(), |event| event.version.to_string())
    }

    /// Position of the last event in the log. 0 if the log is empty.
    #[graphql(complexity = "STATEMENT_COST")]
    async fn head(&self, ctx: &Context<'_>) -> Result<Position> {
        authorise::<ReadAny>(ctx)?;
        let head = services(ctx)?.commands.log().head().await;
        head.map(Position).map_err(|error| errors::read(&error))
    }
}

/// The stream of events.
#[derive(Default)]
pub(crate) struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// Streams events in the order of the log: first the stored ones after a position, then each new one as it is appended,
    /// without gaps or duplicates. To resume after a disconnect, subscribe with the position of the last event that was
    /// received.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Position after which to start; 0 for all events. Default: the end of the log, for new events only."
        )]
        after: Option<Position>,
        #[graphql(desc = "Streams only events that meet these conditions. Default: all events.")] filter: Option<
            EventFilter,
        >,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        let filter = filter.unwrap_or_default().check(&authorise(ctx)?)?;
        let events = follow::events(ctx, filter, after.map(|after| after.0)).await?;
        Ok(events.map(|event| event.and_then(|event| Event::try_from(&*event))))
    }
}

async fn forwards(
    ctx: &Context<'_>,
    filter: &TenantFilter,
    first: Option<i32>,
    after: Option<streams::Position>,
    before: Option<streams::Position>,
) -> Result<Connection<String, Event>> {
    let size = connection::size(ctx, first)?;
    let log = &services(ctx)?.events;
    let events = log.find_after(after.unwrap_or_default(), filter, size + 1).await;
    let mut events = events.map_err(|error| errors::read(&error))?;
    if let Some(before) = before {
        events.retain(|event| event.position < before);
    }
    connection::connect_by(events, size, after.is_some(), |event| event.position.to_string())
}

async fn backwards(
    ctx: &Context<'_>,
    filter: &TenantFilter,
    last: i32,
    after: Option<streams::Position>,
    before: Option<streams::Position>,
) -> Result<Connection<String, Event>> {
    let size = connection::size(ctx, Some(last))?;
    let log = &services(ctx)?.events;
    let end = before.unwrap_or(streams::Position::from_i64(i64::MAX));
    let events = log.find_before(end, filter, size + 1).await;
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
