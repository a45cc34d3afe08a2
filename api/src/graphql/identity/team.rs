//! Teams: queries and commands.

use super::error::Executed;
use super::holder::{HolderKind, TeamMemberInput, holder_of, identify};
use super::query::{access, cursor, first_id};
use super::start::Start;
use crate::graphql::connection;
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::scalars::{Timestamp, Uid};
use crate::graphql::services::services;
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Error, ID, InputObject, Object, Result, SimpleObject};
use domain::role_assignment::Holder;
use domain::team::{Member, TeamCommand};
use domain::{AgentId, TeamId};
use identity::{MemberSummary, TeamAgentSummary, TeamSummary};
use std::ops::Bound;
use uuid::Uuid;

/// A team: users and service accounts that are granted roles together, and agents that roles are granted on together.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Team {
    /// Global id of the team.
    pub(crate) id: ID,
    /// UUID of the team, as it occurs in events and exports.
    uuid: Uid,
    /// What the team is called.
    name: String,
    /// Whether the team was closed: its members have none of its roles, and roles on it give nothing.
    closed: bool,
    /// Number of members. Of a closed team, how many it had.
    member_count: i32,
    /// Number of agents. Of a closed team, how many it had.
    agent_count: i32,
}

impl TryFrom<TeamSummary> for Team {
    type Error = Error;

    fn try_from(team: TeamSummary) -> Result<Self> {
        Ok(Self {
            id: Kind::Team.id(team.id),
            uuid: team.id.0.into(),
            name: team.name,
            closed: team.is_closed,
            // At most 500.
            member_count: i32::try_from(team.members).unwrap_or(i32::MAX),
            agent_count: i32::try_from(team.agents).unwrap_or(i32::MAX),
        })
    }
}

/// A member of a team.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TeamMember {
    /// Kind of member: a service account or a user.
    kind: HolderKind,
    /// Global id of the service account or the user.
    id: ID,
    /// UUID of the service account or the user.
    uuid: Uid,
    /// Name of the service account. Null for a user.
    name: Option<String>,
    /// Time at which the member was added. Null if the team was closed.
    added_at: Option<Timestamp>,
    /// Actor who added the member. Null if the team was closed.
    added_by: Option<String>,
}

impl TryFrom<MemberSummary> for TeamMember {
    type Error = Error;

    fn try_from(MemberSummary { member, name, added }: MemberSummary) -> Result<Self> {
        let (kind, id, uuid) = identify(member.into());
        let (added_at, added_by) = added.map(|added| (added.at.into(), added.by)).unzip();
        Ok(Self { kind, id, uuid, name, added_at, added_by })
    }
}

/// An agent of a team. Roles that are granted on the team hold for it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TeamAgent {
    /// Global id of the agent.
    id: ID,
    /// UUID of the agent.
    uuid: Uid,
    /// Time at which the agent was added. Null if the team was closed.
    added_at: Option<Timestamp>,
    /// Actor who added the agent. Null if the team was closed.
    added_by: Option<String>,
}

impl TryFrom<TeamAgentSummary> for TeamAgent {
    type Error = Error;

    fn try_from(TeamAgentSummary { agent_id, added }: TeamAgentSummary) -> Result<Self> {
        let (added_at, added_by) = added.map(|added| (added.at.into(), added.by)).unzip();
        Ok(Self { id: Kind::Agent.id(agent_id), uuid: agent_id.0.into(), added_at, added_by })
    }
}

/// Reads a team.
pub(crate) async fn team(ctx: &Context<'_>, id: Uuid) -> Result<Option<Team>> {
    let (access, id) = (access(ctx).await?, TeamId(id));
    services(ctx)?.identities.directory().teams(&access, id..=id, 1).pop().map(Team::try_from).transpose()
}

fn member_cursor(member: Member) -> String {
    let holder = Holder::from(member);
    connection::encode_text(&format!("{}:{}", holder.kind(), holder.id()))
}

fn member_in(cursor: &str) -> Option<Member> {
    let text = connection::decode_text(cursor)?;
    let (kind, id) = text.split_once(':')?;
    match holder_of(kind, id)? {
        Holder::ServiceAccount(id) => Some(Member::ServiceAccount(id)),
        Holder::User(id) => Some(Member::User(id)),
        Holder::Team(_) => None,
    }
}

#[ComplexObject]
impl Team {
    /// Members of the team: service accounts before users, each sorted by UUID. Of a closed team, those that it had.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of members to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the members after this cursor. Default: from the first member on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, TeamMember>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let after = after.as_deref().map(|cursor| member_in(cursor).ok_or_else(|| connection::bad_cursor(cursor)));
        let after = after.transpose()?;
        let found = services(ctx)?.identities.directory().members(&access, TeamId(self.uuid.0), after, size + 1);
        connection::connect_by(found, size, after.is_some(), |member| member_cursor(member.member))
    }

    /// Agents of the team, sorted by UUID: roles that are granted on the team hold for them. Of a closed team, those that it had.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn agents(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of agents to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the agents after this cursor. Default: from the first agent on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, TeamAgent>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let last = first_id(after.as_deref())?.map(AgentId);
        let directory = services(ctx)?.identities.directory();
        let found = directory.agents_of_team(&access, TeamId(self.uuid.0), last, size + 1);
        connection::connect_by(found, size, after.is_some(), |agent| cursor(agent.agent_id.0))
    }
}

/// Queries for teams.
#[derive(Default)]
pub(crate) struct TeamQuery;

#[Object]
impl TeamQuery {
    /// Lists the teams of the tenant, sorted by UUID, those that were closed too.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn teams(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of teams to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the teams after this cursor. Default: from the first team on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, Team>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let from = first_id(after.as_deref())?.map_or(Bound::Unbounded, |id| Bound::Excluded(TeamId(id)));
        let found = services(ctx)?.identities.directory().teams(&access, (from, Bound::Unbounded), size + 1);
        connection::connect_by(found, size, after.is_some(), |team| cursor(team.id.0))
    }
}

/// Input of `createTeam`.
#[derive(Debug, InputObject)]
pub(crate) struct CreateTeamInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// What the team is called: one line of at most 256 bytes. It is recorded for ever: not the name of a person.
    name: String,
}

/// Input of `renameTeam`.
#[derive(Debug, InputObject)]
pub(crate) struct RenameTeamInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the team.
    id: ID,
    /// What the team is called from now on: one line of at most 256 bytes. It is recorded for ever: not the name of a person.
    name: String,
}

/// Input of `addTeamMember`.
#[derive(Debug, InputObject)]
pub(crate) struct AddTeamMemberInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the team.
    id: ID,
    /// The new member.
    member: TeamMemberInput,
}

/// Input of `removeTeamMember`.
#[derive(Debug, InputObject)]
pub(crate) struct RemoveTeamMemberInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the team.
    id: ID,
    /// The member.
    member: TeamMemberInput,
}

/// Input of `addTeamAgent` and `removeTeamAgent`.
#[derive(Debug, InputObject)]
pub(crate) struct TeamAgentInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the team.
    id: ID,
    /// Global id or UUID of the agent.
    agent_id: ID,
}

impl TeamAgentInput {
    fn agent(&self) -> Result<AgentId> {
        Kind::Agent.parse(&self.agent_id).map(AgentId)
    }
}

/// Input of `closeTeam`.
#[derive(Debug, InputObject)]
pub(crate) struct CloseTeamInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the team.
    id: ID,
    /// Reason for closing the team: text of at most 64 KiB, which is recorded.
    reason: Option<String>,
}

/// Payload of the mutations of a team.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct TeamPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    #[graphql(skip)]
    target: Option<Uuid>,
}

#[ComplexObject]
impl TeamPayload {
    /// The team as it is now. Null if the command was rejected.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.target {
            Some(id) => team(ctx, id).await,
            None => Ok(None),
        }
    }
}

fn payload(start: &Start, executed: Executed, team: Option<Uuid>) -> TeamPayload {
    let target = team.filter(|_| executed.error.is_none());
    TeamPayload { command_id: start.command_id.into(), executed, target }
}

/// Executes a command to a team. A command whose input is not valid is rejected.
async fn execute(
    ctx: &Context<'_>,
    command_id: Option<Uid>,
    id: &ID,
    command: impl FnOnce(&Start) -> Result<Result<TeamCommand, Invalid>>,
) -> Result<TeamPayload> {
    let start = Start::new(ctx, command_id)?;
    let id = Kind::Team.parse(id)?;
    let context = start.context(ctx, Some(id))?;
    let executed = match command(&start)? {
        Ok(command) => Executed::of(services(ctx)?.identities.command_team(&context, TeamId(id), command).await)?,
        Err(invalid) => Executed::rejected(invalid),
    };
    Ok(payload(&start, executed, Some(id)))
}

/// Commands to teams.
#[derive(Default)]
pub(crate) struct TeamMutation;

#[Object]
impl TeamMutation {
    /// Creates a team without members and roles.
    async fn create_team(&self, ctx: &Context<'_>, input: CreateTeamInput) -> Result<TeamPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let context = start.context(ctx, None)?;
        let name = match input::name("name", input.name) {
            Ok(name) => name,
            Err(invalid) => return Ok(payload(&start, Executed::rejected(invalid), None)),
        };
        match services(ctx)?.identities.create_team(&context, name, start.at).await {
            Ok(team) => Ok(payload(&start, Executed::done(team.kind, team.position), Some(team.id.0))),
            Err(error) => Ok(payload(&start, Executed::failed(error)?, None)),
        }
    }

    /// Gives a team another name.
    async fn rename_team(&self, ctx: &Context<'_>, input: RenameTeamInput) -> Result<TeamPayload> {
        let name = input.name;
        let rename =
            |start: &Start| Ok(input::name("name", name).map(|name| TeamCommand::Rename { name, at: start.at }));
        execute(ctx, input.command_id, &input.id, rename).await
    }

    /// Adds a member to a team, which has the roles of the team from now on.
    async fn add_team_member(&self, ctx: &Context<'_>, input: AddTeamMemberInput) -> Result<TeamPayload> {
        let add = |start: &Start| Ok(Ok(TeamCommand::AddMember { member: input.member.parse()?, at: start.at }));
        execute(ctx, input.command_id, &input.id, add).await
    }

    /// Removes a member from a team, whose roles it no longer has. Refused as `LAST_ADMIN` if no other account or user could
    /// decide who may do what then.
    async fn remove_team_member(&self, ctx: &Context<'_>, input: RemoveTeamMemberInput) -> Result<TeamPayload> {
        let remove = |start: &Start| Ok(Ok(TeamCommand::RemoveMember { member: input.member.parse()?, at: start.at }));
        execute(ctx, input.command_id, &input.id, remove).await
    }

    /// Adds an agent to a team: roles that are granted on the team hold for the agent from now on. The agent has none of the roles
    /// of the team.
    async fn add_team_agent(&self, ctx: &Context<'_>, input: TeamAgentInput) -> Result<TeamPayload> {
        let add = |start: &Start| Ok(Ok(TeamCommand::AddAgent { agent_id: input.agent()?, at: start.at }));
        execute(ctx, input.command_id, &input.id, add).await
    }

    /// Removes an agent from a team: roles that are granted on the team no longer hold for the agent.
    async fn remove_team_agent(&self, ctx: &Context<'_>, input: TeamAgentInput) -> Result<TeamPayload> {
        let remove = |start: &Start| Ok(Ok(TeamCommand::RemoveAgent { agent_id: input.agent()?, at: start.at }));
        execute(ctx, input.command_id, &input.id, remove).await
    }

    /// Closes a team for ever: its members no longer have its roles, and roles on it give nothing. Refused as `LAST_ADMIN` if no other account or user could
    /// decide who may do what then.
    async fn close_team(&self, ctx: &Context<'_>, input: CloseTeamInput) -> Result<TeamPayload> {
        let reason = input.reason;
        let close = |start: &Start| {
            Ok(input::body_opt("reason", reason).map(|reason| TeamCommand::Close { reason, at: start.at }))
        };
        execute(ctx, input.command_id, &input.id, close).await
    }
}
