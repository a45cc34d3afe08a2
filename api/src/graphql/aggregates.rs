//! The registry of aggregates: one line each.
//!
//! The line adds the aggregate's queries and mutations to the roots, its objects to [`Node`] and `node(id)`, its error to
//! [`UserError`], and the projections that feed its objects to [`ReadModels`].

use super::agent::{Agent, AgentCommandError, AgentMutation, AgentQuery};
use super::budget::{Budget, BudgetCommandError, BudgetMutation, BudgetQuery};
use super::call::{Call, CallCommandError, CallMutation, CallQuery};
use super::connection::STATEMENT_COST;
use super::entity::{self, Entity};
use super::events::{self, Event};
use super::freshness::ReadModels;
use super::ids::{self, Kind, not_an_id};
use super::memory::{Memory, MemoryCommandError, MemoryMutation, MemoryQuery};
use super::price::PriceCommandError;
use super::scalars::{Long, parse_position};
use super::services::authorise;
use super::task::{Task, TaskCommandError, TaskMutation, TaskQuery};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Interface, MergedObject, Object, OutputType, Result, SchemaBuilder};
use domain::permissions::ReadData;
use uuid::Uuid;

macro_rules! aggregates {
    ($($object:ident: $query:ident, $mutation:ident, $error:ident, $page:literal;)+) => {
        /// An object with a global id.
        #[derive(Interface)]
        #[graphql(field(name = "id", ty = "&ID", desc = "Global id of the object."))]
        pub(crate) enum Node {
            $($object($object),)+
            Event(Event),
        }

        /// Reason for which a command was rejected. Each aggregate has a type of its own, which adds a `code`.
        #[derive(Interface)]
        #[graphql(
            field(name = "message", ty = "&String", desc = "Human-readable explanation of the reason."),
            field(
                name = "field",
                ty = "&Option<String>",
                desc = "Name of the input field that is not valid, such as `name`. Null if no single field is the cause."
            ),
            field(
                name = "current_version",
                ty = "&Option<Long>",
                desc = "Version that the object has. Null unless `code` is `WRONG_VERSION`."
            )
        )]
        pub(crate) enum UserError {
            $($object($error),)+
            Price(PriceCommandError),
        }

        /// The queries of all aggregates.
        #[derive(MergedObject, Default)]
        pub(crate) struct AggregateQuery($($query),+);

        /// The mutations of all aggregates.
        #[derive(MergedObject, Default)]
        pub(crate) struct AggregateMutation($($mutation),+);

        /// Loads the object with a UUID.
        async fn load(ctx: &Context<'_>, kind: Kind, id: Uuid) -> Result<Option<Node>> {
            Ok(match kind {
                $(Kind::$object => entity::by_id::<$object>(ctx, id).await?.map(Node::$object),)+
                Kind::Dag | Kind::Event => None,
            })
        }

        /// The projections that feed the objects of each aggregate.
        pub(crate) fn read_models() -> ReadModels {
            ReadModels([$((<$object as OutputType>::type_name().into_owned(), $object::PROJECTIONS)),+].into())
        }

        /// Describes the pages of the lists of each aggregate.
        pub(crate) fn describe_pages<Q, M, S>(builder: SchemaBuilder<Q, M, S>) -> SchemaBuilder<Q, M, S> {
            builder$(.override_output_type_description::<Connection<String, $object>>($page))+
        }
    };
}

aggregates! {
    Agent: AgentQuery, AgentMutation, AgentCommandError, "A page of agents.";
    Task: TaskQuery, TaskMutation, TaskCommandError, "A page of tasks.";
    Call: CallQuery, CallMutation, CallCommandError, "A page of calls.";
    Memory: MemoryQuery, MemoryMutation, MemoryCommandError, "A page of memories.";
    Budget: BudgetQuery, BudgetMutation, BudgetCommandError, "A page of budgets.";
}

/// The query for any object by its id.
#[derive(Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Returns any object by its global id. Null if it does not exist.
    #[graphql(complexity = "STATEMENT_COST + child_complexity")]
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id of the object.")] id: ID,
    ) -> Result<Option<Node>> {
        authorise::<ReadData>(ctx)?;
        let Some((kind, key)) = ids::split(&id) else { return Err(not_an_id(&id)) };
        if kind == Kind::Event {
            let Some(position) = parse_position(&key) else { return Err(not_an_id(&id)) };
            return Ok(events::at(ctx, position.into()).await?.map(Node::Event));
        }
        let key = Uuid::try_parse(&key).map_err(|_| not_an_id(&id))?;
        load(ctx, kind, key).await
    }
}
