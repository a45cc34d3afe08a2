//! One aggregate at two moments: which fields of its state differ, and the events between.

use super::as_of::AsOf;
use super::events::{Event, check_category, stream};
use super::replay::{AggregateState, FOLD_COST, state_as_of};
use super::services::{authorise, authorise_content, services};
use super::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, ID, Json, Object, Result, SimpleObject};
use domain::Difference;
use domain::permissions::ReadEvents;
use serde_json::Value;
use streams::Version;
use uuid::Uuid;

/// Field of a state that differs between two moments.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ChangedField {
    /// Path of the field: a JSON Pointer (RFC 6901), such as `/profile/name`. Empty for the state as a whole.
    path: String,
    /// Value at the first moment. Null if it was null or there was no such field.
    before: Option<Json<Value>>,
    /// Value at the second moment. Null if it is null or there is no such field any more.
    after: Option<Json<Value>>,
}

/// How an aggregate changed between two moments.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct AggregateChanges {
    /// State at the first moment. Null if it had no events then.
    before: Option<AggregateState>,
    /// State at the second moment.
    after: AggregateState,
    /// Fields that differ, the innermost ones, by their paths; at most 1000.
    fields: Vec<ChangedField>,
    /// Whether more fields differ than are listed.
    is_cut: bool,
    #[graphql(skip)]
    category: String,
    #[graphql(skip)]
    stream: Uuid,
}

#[ComplexObject]
impl AggregateChanges {
    /// Events between the moments, in their order. The cursor of an event is its version.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of events to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns only events after this version of the stream.")] after: Option<String>,
    ) -> Result<Connection<String, Event>> {
        let access = authorise::<ReadEvents>(ctx)?;
        let size = connection::size(ctx, first)?;
        let cursor = after.as_deref().map(connection::position_cursor).transpose()?.map(|after| after.get());
        let start = self.before.as_ref().map_or(0, |state| state.version.unsigned());
        let start = Version::from(start.max(cursor.unwrap_or(0)));
        let log = &services(ctx)?.events;
        let events = log.read_own_stream(&access, &self.category, self.stream, start, size + 1).await;
        let mut events = events.map_err(|error| errors::read(&error))?;
        let last = Version::from(self.after.version.unsigned());
        events.retain(|event| event.version <= last);
        connection::connect_by(events, size, cursor.is_some(), |event| event.version.to_string())
    }
}

/// The query for the changes of an aggregate.
#[derive(Default)]
pub(crate) struct AggregateChangeQuery;

#[Object]
impl AggregateChangeQuery {
    /// Compares the states that one aggregate had at two moments. Null if it had no events at the second one. Takes the permissions
    /// that `aggregateState` takes.
    #[graphql(complexity = "2 * FOLD_COST + child_complexity")]
    async fn aggregate_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Category of the stream: the kind of aggregate, such as `task`.")] category: String,
        #[graphql(desc = "Global id or UUID of the aggregate.")] id: ID,
        #[graphql(desc = "First moment, inclusive.")] from: AsOf,
        #[graphql(desc = "Second moment, inclusive, which is not before the first one.")] to: AsOf,
    ) -> Result<Option<AggregateChanges>> {
        authorise::<ReadEvents>(ctx)?;
        // The states have the texts of all agents that the events name.
        authorise_content(ctx, |_| false)?;
        check_category(&category)?;
        let stream = stream(&id)?;
        let before = state_as_of(ctx, &category, stream, from).await?;
        let after = state_as_of(ctx, &category, stream, to).await?;
        let version = |state: &Option<AggregateState>| state.as_ref().map_or(0, |state| state.version.unsigned());
        if version(&before) > version(&after) {
            let message = "the second moment is before the first one: give the earlier one first";
            return Err(errors::bad_input("NOT_IN_ORDER", message));
        }
        let Some(after) = after else { return Ok(None) };
        let none = Value::Null;
        let Difference { fields, is_cut } =
            Difference::between(before.as_ref().map_or(&none, |state| &state.state.0), &after.state.0);
        let field = |field: domain::ChangedField| ChangedField {
            path: field.path,
            before: field.before.filter(|value| !value.is_null()).map(Json),
            after: field.after.filter(|value| !value.is_null()).map(Json),
        };
        let fields = fields.into_iter().map(field).collect();
        Ok(Some(AggregateChanges { before, after, fields, is_cut, category, stream }))
    }
}
