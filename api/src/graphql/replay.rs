//! What `apex replay` asks for beside events: positions by time, and states of aggregates.

use super::as_of::AsOf;
use super::connection::STATEMENT_COST;
use super::errors::{self, internal};
use super::events::{check_category, stream};
use super::scalars::{Long, Position, Timestamp};
use super::services::{authorise, authorise_content, requester, services};
use async_graphql::{Context, ID, Json, Object, Result, SimpleObject};
use commands::{Commands, Principal};
use domain::permissions::ReadEvents;
use domain::{Aggregate, AggregateVisitor};
use futures::future::BoxFuture;
use serde_json::Value;
use streams::Version;
use uuid::Uuid;

/// The complexity of folding a stream, in the unit of [`crate::config::Limits::max_complexity`].
pub(super) const FOLD_COST: usize = 1_000;

/// State of an aggregate, as the program folds it from the events of its stream.
#[derive(Debug, SimpleObject)]
pub(crate) struct AggregateState {
    /// Number of events that the state is folded from.
    pub(super) version: Long,
    /// Position of the last of them.
    position: Position,
    /// State as JSON. Its form is that of the program's version, and may change with it.
    pub(super) state: Json<Value>,
}

/// The state of an aggregate at a point in its history; none if it had no events then. The caller has authorised it.
pub(super) async fn state_as_of(
    ctx: &Context<'_>,
    category: &str,
    id: Uuid,
    as_of: AsOf,
) -> Result<Option<AggregateState>> {
    let (commands, principal) = (&services(ctx)?.commands, &*requester(ctx)?.principal);
    let fold = Fold { commands, principal, id, as_of: as_of.into() };
    match domain::visit_aggregate(category, fold) {
        Some(folding) => folding.await,
        None => Ok(None),
    }
}

/// Folds a stream, whatever its type of aggregate.
struct Fold<'a> {
    commands: &'a Commands,
    principal: &'a Principal,
    id: Uuid,
    as_of: commands::AsOf,
}

impl<'a> AggregateVisitor for Fold<'a> {
    type Output = BoxFuture<'a, Result<Option<AggregateState>>>;

    fn visit<A: Aggregate>(self) -> Self::Output {
        Box::pin(async move {
            let loaded = self.commands.load_as_of::<A>(self.principal, self.id, self.as_of).await;
            let loaded = loaded.map_err(|error| errors::failed(&error))?;
            if loaded.version == Version::ZERO {
                return Ok(None);
            }
            let state = serde_json::to_value(&loaded.state).map_err(|error| internal(&error))?;
            let (version, position) = (loaded.version.as_i64().into(), loaded.position.into());
            Ok(Some(AggregateState { version, position, state: Json(state) }))
        })
    }
}

/// Queries of the history of the log.
#[derive(Default)]
pub(crate) struct ReplayQuery;

#[Object]
impl ReplayQuery {
    /// Position of the first event that was recorded at or after a time; one past the last event if there is none.
    #[graphql(complexity = "STATEMENT_COST")]
    async fn position_at(&self, ctx: &Context<'_>, #[graphql(desc = "The time.")] time: Timestamp) -> Result<Position> {
        authorise::<ReadEvents>(ctx)?;
        let position = services(ctx)?.commands.log().position_at(time.0).await;
        position.map(Position).map_err(|error| errors::read(&error))
    }

    /// Folds the events of one stream to the state that its aggregate had at a point in its history. Null if it had no events
    /// then. Takes the permissions to read events, their contents, and the kind of the aggregate.
    #[graphql(complexity = "FOLD_COST + child_complexity")]
    async fn aggregate_state(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Category of the stream: the kind of aggregate, such as `task`.")] category: String,
        #[graphql(desc = "Global id or UUID of the aggregate.")] id: ID,
        #[graphql(desc = "The point in its history, inclusive.")] as_of: AsOf,
    ) -> Result<Option<AggregateState>> {
        authorise::<ReadEvents>(ctx)?;
        // The state has the texts of all agents that the events name.
        authorise_content(ctx, |_| false)?;
        check_category(&category)?;
        state_as_of(ctx, &category, stream(&id)?, as_of).await
    }
}
