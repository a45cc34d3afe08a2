//! Role assignments: which holder has which role.

use super::error::Executed;
use super::holder::{AssignedRole, Holder, HolderInput, RoleExtent, RoleInput, extent_of, holder_of};
use super::query::access;
use super::start::Start;
use crate::graphql::connection;
use crate::graphql::errors::bad_input;
use crate::graphql::ids::Kind;
use crate::graphql::input;
use crate::graphql::scalars::{Timestamp, Uid};
use crate::graphql::services::services;
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Error, ID, InputObject, Object, Result, SimpleObject};
use domain::role_assignment::{
    AssignedRole as DomainRole, Assignment, Holder as DomainHolder, RoleExtent as DomainExtent,
};
use domain::{AgentId, TeamId};
use identity::AssignmentSummary;

/// A role that a holder has.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RoleAssignment {
    /// Who has the role.
    holder: Holder,
    /// The role.
    role: AssignedRole,
    /// What of the tenant the role is granted on.
    extent: RoleExtent,
    /// Global id of the agent that the role is granted on. Null if `extent` is not `AGENT`.
    agent_id: Option<ID>,
    /// Global id of the team on whose agents the role is granted. Null if `extent` is not `TEAM`.
    team_id: Option<ID>,
    /// Time at which the role was granted.
    granted_at: Timestamp,
    /// Actor who granted the role.
    granted_by: String,
}

impl TryFrom<AssignmentSummary> for RoleAssignment {
    type Error = Error;

    fn try_from(assignment: AssignmentSummary) -> Result<Self> {
        let (extent, agent_id, team_id) = extent_of(assignment.extent);
        Ok(Self {
            holder: Holder::new(assignment.holder, assignment.holder_name),
            role: AssignedRole::new(assignment.role, assignment.role_name),
            extent,
            agent_id,
            team_id,
            granted_at: assignment.granted.at.into(),
            granted_by: assignment.granted.by,
        })
    }
}

/// Restricts a list of role assignments.
#[derive(Debug, InputObject)]
pub(crate) struct RoleAssignmentFilter {
    /// Only roles that were granted to this holder itself, not those of its teams. Default: of all holders.
    holder: Option<HolderInput>,
    /// Only assignments of this role. Default: of all roles.
    role: Option<RoleInput>,
}

/// The assignment in a cursor.
fn decode(cursor: &str) -> Option<(DomainHolder, DomainRole, DomainExtent)> {
    let text = connection::decode_text(cursor)?;
    let mut parts = text.splitn(4, ':');
    let holder = holder_of(parts.next()?, parts.next()?)?;
    Some((holder, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn encode(assignment: &AssignmentSummary) -> String {
    let AssignmentSummary { holder, role, extent, .. } = assignment;
    connection::encode_text(&format!("{}:{}:{role}:{extent}", holder.kind(), holder.id()))
}

/// Queries for role assignments.
#[derive(Default)]
pub(crate) struct AssignmentQuery;

#[Object]
impl AssignmentQuery {
    /// Lists the roles that holders have in the tenant, sorted by kind and UUID of the holder, then by role, then by
    /// extent. Roles that were revoked are not listed.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn role_assignments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Restricts the list. Default: all assignments.")] filter: Option<RoleAssignmentFilter>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of assignments to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the assignments after this cursor. Default: from the first assignment on.")]
        after: Option<String>,
    ) -> Result<Connection<String, RoleAssignment>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let after = after.as_deref().map(|cursor| decode(cursor).ok_or_else(|| connection::bad_cursor(cursor)));
        let after = after.transpose()?;
        let holder = filter.as_ref().and_then(|filter| filter.holder.as_ref()).map(HolderInput::parse).transpose()?;
        let role = filter.as_ref().and_then(|filter| filter.role.as_ref()).map(RoleInput::parse).transpose()?;
        let found = services(ctx)?.identities.directory().assignments(&access, (holder, role), after, size + 1);
        connection::connect_by(found, size, after.is_some(), encode)
    }
}

/// Input of `grantRole`.
#[derive(Debug, InputObject)]
pub(crate) struct GrantRoleInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Who is granted the role.
    holder: HolderInput,
    /// The role.
    role: RoleInput,
    /// Agent that the role is granted on: it holds for the agent, its tasks, calls and memories, and nothing else. Global id or
    /// UUID. Default: the role is granted on the whole tenant.
    agent_id: Option<ID>,
    /// Team on whose agents the role is granted: it holds for each agent that is in the team, its tasks, calls and memories, and
    /// nothing else. Global id or UUID. It cannot be given with `agentId`. Default: the role is granted on the whole tenant.
    team_id: Option<ID>,
}

/// Input of `revokeRole`.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeRoleInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Who has the role.
    holder: HolderInput,
    /// The role.
    role: RoleInput,
    /// Agent that the role was granted on. Global id or UUID. Default: the role that was granted on the whole tenant.
    agent_id: Option<ID>,
    /// Team on whose agents the role was granted. Global id or UUID. It cannot be given with `agentId`. Default: the role that was
    /// granted on the whole tenant.
    team_id: Option<ID>,
    /// Reason for revoking the role: text of at most 64 KiB, which is recorded.
    reason: Option<String>,
}

/// Payload of `grantRole` and `revokeRole`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct RoleAssignmentPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    #[graphql(skip)]
    assignment: Option<Assignment>,
}

#[ComplexObject]
impl RoleAssignmentPayload {
    /// The assignment as it is now. Null if the command was rejected, or the holder does not have the role.
    async fn role_assignment(&self, ctx: &Context<'_>) -> Result<Option<RoleAssignment>> {
        let Some(assignment) = self.assignment else { return Ok(None) };
        let access = access(ctx).await?;
        let found = services(ctx)?.identities.directory().assignment(&access, assignment);
        found.map(RoleAssignment::try_from).transpose()
    }
}

fn assignment(holder: &HolderInput, role: &RoleInput, agent: Option<&ID>, team: Option<&ID>) -> Result<Assignment> {
    let (agent, team) = (Kind::Agent.parse_opt(agent)?.map(AgentId), Kind::Team.parse_opt(team)?.map(TeamId));
    let both = || bad_input("AGENT_AND_TEAM", "a role is granted on an agent or on a team: give `agentId` or `teamId`");
    let extent = DomainExtent::of(agent, team).ok_or_else(both)?;
    Ok(Assignment { holder: holder.parse()?, role: role.parse()?, extent })
}

fn payload(start: &Start, executed: Executed, assignment: Assignment) -> RoleAssignmentPayload {
    let assignment = Some(assignment).filter(|_| executed.error.is_none());
    RoleAssignmentPayload { command_id: start.command_id.into(), executed, assignment }
}

/// Commands to role assignments.
#[derive(Default)]
pub(crate) struct AssignmentMutation;

#[Object]
impl AssignmentMutation {
    /// Grants a role to a service account, a user or a team, on the whole tenant, on one agent, or on the agents of a team.
    async fn grant_role(&self, ctx: &Context<'_>, input: GrantRoleInput) -> Result<RoleAssignmentPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let (agent, team) = (input.agent_id.as_ref(), input.team_id.as_ref());
        let assignment = assignment(&input.holder, &input.role, agent, team)?;
        let context = start.context(ctx, Some(assignment.stream_id()))?;
        let granted = services(ctx)?.identities.grant_role(&context, assignment, start.at).await;
        Ok(payload(&start, Executed::of(granted)?, assignment))
    }

    /// Revokes a role of a service account, a user or a team. Refused as `LAST_ADMIN` if no account or user could decide who may
    /// do what then.
    async fn revoke_role(&self, ctx: &Context<'_>, input: RevokeRoleInput) -> Result<RoleAssignmentPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let (agent, team) = (input.agent_id.as_ref(), input.team_id.as_ref());
        let assignment = assignment(&input.holder, &input.role, agent, team)?;
        let context = start.context(ctx, Some(assignment.stream_id()))?;
        let reason = match input::body_opt("reason", input.reason) {
            Ok(reason) => reason,
            Err(invalid) => return Ok(payload(&start, Executed::rejected(invalid), assignment)),
        };
        let revoked = services(ctx)?.identities.revoke_role(&context, assignment, reason, start.at).await;
        Ok(payload(&start, Executed::of(revoked)?, assignment))
    }
}
