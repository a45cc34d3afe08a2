//! What of a tenant a role is granted on.

use crate::ids::{AgentId, TeamId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// What of a tenant a role is granted on. It is always stated: a narrower one is then never read as the whole tenant by a program
/// that does not know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleExtent {
    /// The whole tenant.
    #[default]
    Tenant,
    /// One agent, with its tasks, calls and memories.
    Agent(AgentId),
    /// The agents of a team, each as if the role were granted on it while it is in the team.
    Team(TeamId),
}

impl RoleExtent {
    /// The first of all extents in their order.
    pub const FIRST: Self = Self::Tenant;
    /// The last of all extents in their order.
    pub const LAST: Self = Self::Team(TeamId(Uuid::max()));

    /// The agent, if it is one.
    #[must_use]
    pub const fn agent(self) -> Option<AgentId> {
        match self {
            Self::Agent(agent) => Some(agent),
            Self::Tenant | Self::Team(_) => None,
        }
    }

    /// The team, if it is the agents of one.
    #[must_use]
    pub const fn team(self) -> Option<TeamId> {
        match self {
            Self::Team(team) => Some(team),
            Self::Tenant | Self::Agent(_) => None,
        }
    }

    /// The extent that an agent, a team or neither names; none if both are named.
    #[must_use]
    pub const fn of(agent: Option<AgentId>, team: Option<TeamId>) -> Option<Self> {
        match (agent, team) {
            (None, None) => Some(Self::Tenant),
            (Some(agent), None) => Some(Self::Agent(agent)),
            (None, Some(team)) => Some(Self::Team(team)),
            (Some(_), Some(_)) => None,
        }
    }
}

/// As in `tenant`, `agent UUID` and `team UUID`.
impl fmt::Display for RoleExtent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::Team(team) => write!(f, "team {team}"),
        }
    }
}

/// The text is not an extent of a role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not what a role is granted on: use tenant, or agent or team and its UUID")]
pub struct UnknownExtent(String);

impl FromStr for RoleExtent {
    type Err = UnknownExtent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = |kind: &str| Uuid::try_parse(text.strip_prefix(kind)?).ok();
        let of_agent = || id("agent ").map(AgentId).map(Self::Agent);
        let of_team = || id("team ").map(TeamId).map(Self::Team);
        let found = if text == "tenant" { Some(Self::Tenant) } else { of_agent().or_else(of_team) };
        found.ok_or_else(|| UnknownExtent(text.to_owned()))
    }
}

/// What a role was granted on in version 1 of the events, which did not have teams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleExtentV1 {
    /// The whole tenant.
    Tenant,
    /// One agent, with its tasks, calls and memories.
    Agent(AgentId),
}

impl From<RoleExtentV1> for RoleExtent {
    fn from(extent: RoleExtentV1) -> Self {
        match extent {
            RoleExtentV1::Tenant => Self::Tenant,
            RoleExtentV1::Agent(agent) => Self::Agent(agent),
        }
    }
}
