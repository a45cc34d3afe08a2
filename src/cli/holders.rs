//! What the subcommands about teams and roles have in common: who is meant.

use domain::role_assignment::{Holder, RoleExtent};
use domain::team::Member;
use domain::{AgentId, ServiceAccountId, TeamId, UserId};
use std::fmt;
use uuid::Uuid;

/// What is in a team: a member, which has its roles, or an agent, on which roles are granted.
pub(super) enum InTeam {
    Member(Member),
    Agent(AgentId),
}

impl fmt::Display for InTeam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => member.fmt(f),
            Self::Agent(agent) => write!(f, "agent {agent}"),
        }
    }
}

/// A service account, a user or an agent.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct InTeamArgument {
    /// The id of a service account
    #[arg(long, value_name = "ID")]
    account: Option<Uuid>,
    /// The id of a user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// The id of an agent: roles that are granted on the team hold for it
    #[arg(long, value_name = "ID")]
    agent: Option<Uuid>,
}

impl InTeamArgument {
    /// The member or the agent. The parser has checked that there is exactly one.
    pub(super) fn value(&self) -> anyhow::Result<InTeam> {
        let account = self.account.map(|id| InTeam::Member(Member::ServiceAccount(ServiceAccountId(id))));
        let user = self.user.map(|id| InTeam::Member(Member::User(UserId(id))));
        let agent = self.agent.map(|id| InTeam::Agent(AgentId(id)));
        account.or(user).or(agent).ok_or_else(|| anyhow::anyhow!("name a service account, a user or an agent"))
    }
}

/// What a role is granted on.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub(super) struct ExtentArgument {
    /// The id of an agent that the role is granted on: it holds for the agent, its tasks, calls and memories, and nothing else
    /// [default: the whole tenant]
    #[arg(long, value_name = "ID")]
    agent: Option<Uuid>,
    /// The id of a team on whose agents the role is granted: it holds for each agent that is in the team, its tasks, calls and
    /// memories, and nothing else [default: the whole tenant]
    #[arg(long, value_name = "ID")]
    on_team: Option<Uuid>,
}

impl ExtentArgument {
    /// The extent. The parser has checked that there is at most one.
    pub(super) fn extent(&self) -> anyhow::Result<RoleExtent> {
        let extent = RoleExtent::of(self.agent.map(AgentId), self.on_team.map(TeamId));
        extent.ok_or_else(|| anyhow::anyhow!("name an agent or a team, not both"))
    }
}

/// A service account, a user or a team.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct HolderArgument {
    /// The id of a service account
    #[arg(long, value_name = "ID")]
    account: Option<Uuid>,
    /// The id of a user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// The id of a team, whose members have the role
    #[arg(long, value_name = "ID")]
    team: Option<Uuid>,
}

impl HolderArgument {
    /// The holder. The parser has checked that there is exactly one.
    pub(super) fn holder(&self) -> anyhow::Result<Holder> {
        let account = self.account.map(|id| Holder::ServiceAccount(ServiceAccountId(id)));
        let user = self.user.map(|id| Holder::User(UserId(id)));
        let team = self.team.map(|id| Holder::Team(TeamId(id)));
        account.or(user).or(team).ok_or_else(|| anyhow::anyhow!("name a service account, a user or a team"))
    }
}
