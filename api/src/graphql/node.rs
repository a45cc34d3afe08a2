//! What types have in common: Relay's nodes, and refusals.

use super::agent::{self, Agent, AgentCommandError};
use super::budget::{self, Budget, BudgetCommandError};
use super::call::{self, Call, CallCommandError};
use super::connection::STATEMENT_COST;
use super::events::{self, Event};
use super::ids::{self, Kind, not_an_id};
use super::memory::{self, Memory, MemoryCommandError};
use super::price::PriceCommandError;
use super::scalars::{Long, parse_position};
use super::task::{self, Task, TaskCommandError};
use async_graphql::{Context, ID, Interface, Object, Result};
use uuid::Uuid;

/// Anything that has a global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "Its global id."))]
pub(crate) enum Node {
    /// An agent.
    Agent(Agent),
    /// A task.
    Task(Task),
    /// A call.
    Call(Call),
    /// A memory.
    Memory(Memory),
    /// A budget.
    Budget(Budget),
    /// An event.
    Event(Event),
}

/// Why a command was refused; each aggregate has a type of its own, with a `code`.
#[derive(Interface)]
#[graphql(
    field(name = "message", ty = "&String", desc = "The reason, for people."),
    field(name = "field", ty = "&Option<String>", desc = "The field of the input that does not fit, such as `name`."),
    field(name = "current_version", ty = "&Option<Long>", desc = "The version that it is at, for `WRONG_VERSION`.")
)]
pub(crate) enum UserError {
    /// By an agent.
    Agent(AgentCommandError),
    /// By a task.
    Task(TaskCommandError),
    /// By a call.
    Call(CallCommandError),
    /// By a memory.
    Memory(MemoryCommandError),
    /// By a budget.
    Budget(BudgetCommandError),
    /// By the price book.
    Price(PriceCommandError),
}

/// Looking up anything by its id.
#[derive(Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object with a global id; null if there is none.
    #[graphql(complexity = "STATEMENT_COST + child_complexity")]
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Its global id.")] id: ID) -> Result<Option<Node>> {
        let Some((kind, key)) = ids::split(&id) else { return Err(not_an_id(&id)) };
        if kind == Kind::Event {
            let Some(position) = parse_position(&key) else { return Err(not_an_id(&id)) };
            return Ok(events::at(ctx, position.into()).await?.map(Node::Event));
        }
        let key = Uuid::try_parse(&key).map_err(|_| not_an_id(&id))?;
        Ok(match kind {
            Kind::Agent => agent::by_id(ctx, key).await?.map(Node::Agent),
            Kind::Task => task::by_id(ctx, key).await?.map(Node::Task),
            Kind::Call => call::by_id(ctx, key).await?.map(Node::Call),
            Kind::Memory => memory::by_id(ctx, key).await?.map(Node::Memory),
            Kind::Budget => budget::by_id(ctx, key).await?.map(Node::Budget),
            Kind::Dag | Kind::Event => None,
        })
    }
}
