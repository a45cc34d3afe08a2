//! Agents.

use super::as_of::{self, AsOf};
use super::errors::{self, command_error};
use super::ids::Kind;
use super::input::{self, Invalid, Label, LabelInput};
use super::payload::{self, Order, payload};
use super::scalars::{Long, Position, Timestamp, Uid, or_now};
use super::{Services, connection, from_wire, loaders, ready};
use crate::caller::Caller;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, InputObject, Object, Result, SimpleObject};
use domain::AgentId;
use domain::agent::{Agent as Aggregate, AgentCommand, AgentError, AgentStatus as Status, Profile};
use projections::agents::{self, AgentFilter, AgentRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The projections that feed the lists.
const PROJECTIONS: &[&str] = &["agents"];

/// Where an agent is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::agent::AgentStatus")]
pub(crate) enum AgentStatus {
    /// Known, not yet working.
    Registered,
    /// May take work.
    Active,
    /// Stopped by somebody; takes no work until resumed.
    Paused,
    /// Gone for good.
    Retired,
}

const STATUSES: [Status; 4] = [Status::Registered, Status::Active, Status::Paused, Status::Retired];

/// An agent: who does the work.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Agent {
    /// Its global id.
    pub(crate) id: ID,
    /// Its id as events and exports carry it.
    uuid: Uid,
    /// Its name, as people call it.
    name: String,
    /// What kind of agent it is, such as `coder`.
    kind: Option<String>,
    /// The model that it runs on by default.
    model: Option<String>,
    /// Free labels, by key.
    labels: Vec<Label>,
    /// Where it is in its life.
    status: AgentStatus,
    /// Why it was paused or retired.
    reason: Option<String>,
    /// Since when it is known.
    registered_at: Timestamp,
    /// When its status last changed.
    changed_at: Timestamp,
    /// How many events it has.
    version: Long,
    /// The position of its last event.
    position: Position,
}

impl TryFrom<AgentRow> for Agent {
    type Error = Error;

    fn try_from(row: AgentRow) -> Result<Self> {
        let labels = row.labels.as_object().into_iter().flatten();
        let label = |(key, value): (&String, &serde_json::Value)| Label {
            key: key.clone(),
            value: value.as_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            id: Kind::Agent.id(row.agent_id),
            uuid: row.agent_id.into(),
            name: row.name,
            kind: row.kind,
            model: row.model,
            labels: labels.map(label).collect(),
            status: from_wire(&STATUSES, Status::as_str, &row.status)?.into(),
            reason: row.reason,
            registered_at: row.registered_at.into(),
            changed_at: row.changed_at.into(),
            version: row.version.into(),
            position: Position::from_row(row.position),
        })
    }
}

#[ComplexObject]
impl Agent {
    /// Its tasks, in the order in which they were submitted.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "With this status.")] status: Option<super::task::TaskStatus>,
    ) -> Result<Connection<String, super::task::Task>> {
        let filter = projections::tasks::TaskFilter {
            agent_id: Some(self.uuid.0),
            status: status.map(|status| domain::task::TaskStatus::from(status).as_str().to_owned()),
            ..Default::default()
        };
        super::task::list(ctx, &filter, first, after.as_deref()).await
    }
}

impl Loader<AgentId> for loaders::Rows {
    type Value = AgentRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[AgentId]) -> Result<HashMap<AgentId, AgentRow>, Self::Error> {
        let filter = AgentFilter { ids: keys.iter().map(|id| id.0).collect(), status: None };
        let page = Page { after: None, limit: MAX_PAGE_ROWS };
        let rows = agents::list(&self.pool, &self.tenant, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (AgentId(row.agent_id), row)).collect())
    }
}

/// One agent, together with others that are asked for at this moment.
pub(crate) async fn by_id(ctx: &Context<'_>, id: Uuid) -> Result<Option<Agent>> {
    let row = loaders::of(ctx)?.load_one(AgentId(id)).await.map_err(errors::loader)?;
    row.map(Agent::try_from).transpose()
}

/// Which agents.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "AgentFilter")]
pub(crate) struct Filter {
    /// With this status.
    status: Option<AgentStatus>,
}

/// Queries about agents.
#[derive(Default)]
pub(crate) struct AgentQuery;

#[Object]
impl AgentQuery {
    /// An agent; null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn agent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id or UUID.")] id: ID,
        #[graphql(desc = "As it was then, rather than as it is now.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Option<Agent>> {
        let id = Kind::Agent.parse(&id)?;
        if let Some(as_of) = as_of {
            return as_of::row::<AgentRow>(ctx, id, as_of).await?.map(Agent::try_from).transpose();
        }
        ready(ctx, PROJECTIONS, min_position).await?;
        by_id(ctx, id).await
    }

    /// Agents, in the order in which they were registered.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn agents(
        &self,
        ctx: &Context<'_>,
        filter: Option<Filter>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, Agent>> {
        let page = connection::page(ctx, first, after.as_deref())?;
        ready(ctx, PROJECTIONS, min_position).await?;
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let status = filter.and_then(|filter| filter.status).map(|status| Status::from(status).as_str().to_owned());
        let filter = AgentFilter { ids: Vec::new(), status };
        let rows = agents::list(&services.pool, &caller.tenant, &filter, page).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect(rows, page, |row| (row.registered_at, row.agent_id))
    }
}

command_error! {
    /// Why a command to an agent was refused.
    AgentCommandError, AgentErrorCode {
        /// No agent has this id.
        NotRegistered,
        /// An agent with another profile is registered under this id.
        AlreadyRegistered,
        /// It was stopped in the same way before, for another reason.
        AlreadyStopped,
        /// The step is not possible from its status.
        NotPossible,
    }
}

impl From<AgentError> for AgentCommandError {
    fn from(error: AgentError) -> Self {
        let code = match error {
            AgentError::NotRegistered => AgentErrorCode::NotRegistered,
            AgentError::AlreadyRegistered => AgentErrorCode::AlreadyRegistered,
            AgentError::AlreadyStopped(_) => AgentErrorCode::AlreadyStopped,
            AgentError::InvalidTransition { .. } => AgentErrorCode::NotPossible,
        };
        Self::new(code, error)
    }
}

payload! {
    /// What became of a command to an agent.
    AgentPayload {
        /// The agent as of `position`; as it is now if the command was refused.
        agent: Agent(AgentRow), error: AgentCommandError
    }
}

/// A new agent.
#[derive(Debug, InputObject)]
pub(crate) struct RegisterAgentInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// The agent's id, where the client knows it; otherwise one is made from `commandId`, or made up.
    id: Option<ID>,
    /// Its name, as people call it: one line of at most 256 bytes.
    name: String,
    /// What kind of agent it is, such as `coder`.
    kind: Option<String>,
    /// The model that it runs on by default.
    model: Option<String>,
    /// Free labels; at most 32.
    labels: Option<Vec<LabelInput>>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// An agent to be activated or resumed.
#[derive(Debug, InputObject)]
pub(crate) struct MoveAgentInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which agent.
    id: ID,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// An agent to be paused or retired.
#[derive(Debug, InputObject)]
pub(crate) struct StopAgentInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which agent.
    id: ID,
    /// Why.
    reason: Option<String>,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// Commands to agents.
#[derive(Default)]
pub(crate) struct AgentMutation;

#[Object]
impl AgentMutation {
    /// Makes an agent known. Registering the same again changes nothing.
    async fn register_agent(&self, ctx: &Context<'_>, input: RegisterAgentInput) -> Result<AgentPayload> {
        let id = Kind::Agent.new_id(input.id.as_ref(), input.command_id)?;
        let order = Order::new(input.command_id);
        let at = or_now(input.at);
        execute(ctx, id, order, profile(input).map(|profile| AgentCommand::Register { profile, at })).await
    }

    /// Lets a registered agent work.
    async fn activate_agent(&self, ctx: &Context<'_>, input: MoveAgentInput) -> Result<AgentPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        execute(ctx, Kind::Agent.parse(&input.id)?, order, Ok(AgentCommand::Activate { at })).await
    }

    /// Stops an active agent for a while: its tasks cannot be started until it is resumed.
    async fn pause_agent(&self, ctx: &Context<'_>, input: StopAgentInput) -> Result<AgentPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let reason = input::body_opt("reason", input.reason);
        let command = reason.map(|reason| AgentCommand::Pause { reason, at });
        execute(ctx, Kind::Agent.parse(&input.id)?, order, command).await
    }

    /// Lets a paused agent go on.
    async fn resume_agent(&self, ctx: &Context<'_>, input: MoveAgentInput) -> Result<AgentPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        execute(ctx, Kind::Agent.parse(&input.id)?, order, Ok(AgentCommand::Resume { at })).await
    }

    /// Takes an agent out of service for good: it gets no more tasks.
    async fn retire_agent(&self, ctx: &Context<'_>, input: StopAgentInput) -> Result<AgentPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let reason = input::body_opt("reason", input.reason);
        let command = reason.map(|reason| AgentCommand::Retire { reason, at });
        execute(ctx, Kind::Agent.parse(&input.id)?, order, command).await
    }
}

fn profile(input: RegisterAgentInput) -> Result<Profile, Invalid> {
    Ok(Profile {
        name: input::name("name", input.name)?,
        kind: input::name_opt("kind", input.kind)?,
        model: input::name_opt("model", input.model)?,
        labels: input::labels("labels", input.labels)?,
    })
}

async fn execute(
    ctx: &Context<'_>,
    id: Uuid,
    order: Order,
    command: Result<AgentCommand, Invalid>,
) -> Result<AgentPayload> {
    payload::run::<Aggregate, AgentCommandError>(ctx, id, order, command).await.map(Into::into)
}
