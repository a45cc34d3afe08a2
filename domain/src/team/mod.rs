//! Teams: users and service accounts that are granted roles together, and agents that roles are granted on together.
//!
//! Roles are granted to a team as to an account; each member has them while it is a member and the team is not closed. A role
//! that is granted *on* a team, to whatever holder, holds for the agents of the team. The agents of a team are no members: they
//! have none of its roles.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{AgentId, ServiceAccountId, UserId};
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;

/// A member of a team. A team is no member of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Member {
    /// A service account.
    ServiceAccount(ServiceAccountId),
    /// A user.
    User(UserId),
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount(id) => write!(f, "service account {id}"),
            Self::User(id) => write!(f, "user {id}"),
        }
    }
}

/// A command to a team.
#[derive(Debug, Clone, PartialEq)]
pub enum TeamCommand {
    /// Creates the team, without members.
    Create {
        /// What the team is called. It must not be the name of a person.
        name: Name,
        /// When the team was created.
        at: DateTime<Utc>,
    },
    /// Gives the team another name.
    Rename {
        /// What the team is called from now on.
        name: Name,
        /// When the team was renamed.
        at: DateTime<Utc>,
    },
    /// Adds a member, which has the roles of the team from now on.
    AddMember {
        /// The new member.
        member: Member,
        /// When the member was added.
        at: DateTime<Utc>,
    },
    /// Removes a member, which no longer has the roles of the team.
    RemoveMember {
        /// The member.
        member: Member,
        /// When the member was removed.
        at: DateTime<Utc>,
    },
    /// Adds an agent, for which the roles on the team hold from now on.
    AddAgent {
        /// The agent.
        agent_id: AgentId,
        /// When the agent was added.
        at: DateTime<Utc>,
    },
    /// Removes an agent, for which the roles on the team no longer hold.
    RemoveAgent {
        /// The agent.
        agent_id: AgentId,
        /// When the agent was removed.
        at: DateTime<Utc>,
    },
    /// Closes the team for ever: its members no longer have its roles, and roles on it give nothing.
    Close {
        /// Why the team is closed.
        reason: Option<Body>,
        /// When the team was closed.
        at: DateTime<Utc>,
    },
}

/// The payload of `team.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamCreated {
    /// What the team is called.
    pub name: Name,
    /// When the team was created.
    pub at: DateTime<Utc>,
}

/// The payload of `team.renamed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamRenamed {
    /// What the team is called from then on.
    pub name: Name,
    /// When the team was renamed.
    pub at: DateTime<Utc>,
}

/// The payload of `team.member_added`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamMemberAdded {
    /// The new member.
    pub member: Member,
    /// When the member was added.
    pub at: DateTime<Utc>,
}

/// The payload of `team.member_removed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamMemberRemoved {
    /// The former member.
    pub member: Member,
    /// When the member was removed.
    pub at: DateTime<Utc>,
}

/// The payload of `team.agent_added`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamAgentAdded {
    /// The agent.
    pub agent_id: AgentId,
    /// When the agent was added.
    pub at: DateTime<Utc>,
}

/// The payload of `team.agent_removed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamAgentRemoved {
    /// The agent.
    pub agent_id: AgentId,
    /// When the agent was removed.
    pub at: DateTime<Utc>,
}

/// The payload of `team.closed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamClosed {
    /// Why the team was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the team was closed.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a team.
    pub enum TeamEvent {
        /// The team was created.
        "team.created" v 1 => Created(TeamCreated),
        /// The team got another name.
        "team.renamed" v 1 => Renamed(TeamRenamed),
        /// A member was added.
        "team.member_added" v 1 => MemberAdded(TeamMemberAdded),
        /// A member was removed.
        "team.member_removed" v 1 => MemberRemoved(TeamMemberRemoved),
        /// An agent was added.
        "team.agent_added" v 1 => AgentAdded(TeamAgentAdded),
        /// An agent was removed.
        "team.agent_removed" v 1 => AgentRemoved(TeamAgentRemoved),
        /// The team was closed.
        "team.closed" v 1 => Closed(TeamClosed),
    }
}

/// Why a command to a team is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TeamError {
    /// No team has this id.
    #[error("the team does not exist")]
    NotCreated,
    /// A team with a different name has this id.
    #[error("a team with a different name has this id")]
    AlreadyCreated,
    /// The team was closed, which is final.
    #[error("the team was closed, which is final: create another team")]
    Closed,
    /// The team was closed before, for a different reason, which is kept.
    #[error("the team was closed before, for a different reason, which is kept")]
    ClosedOtherwise,
    /// The team has as many members as it may have.
    #[error("the team has {limit} members, and no more may be added: remove one first, or create another team",
        limit = Team::MAX_MEMBERS)]
    TooManyMembers,
    /// The team has as many agents as it may have.
    #[error("the team has {limit} agents, and no more may be added: remove one first, or create another team",
        limit = Team::MAX_AGENTS)]
    TooManyAgents,
    /// The team was changed as often as it may be.
    #[error("the team was changed {limit} times: members and agents can be removed, and nothing else; create another team",
        limit = Team::MAX_CHANGES)]
    TooManyChanges,
}

/// The state of a team.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// What the team is called; none before it is created.
    pub name: Option<Name>,
    /// The members; of a closed team, those that it had.
    pub members: BTreeSet<Member>,
    /// The agents for which the roles on the team hold; of a closed team, those that it had.
    pub agents: BTreeSet<AgentId>,
    /// Whether the team was closed.
    pub is_closed: bool,
    /// Why the team was closed, if it was and a reason was given.
    pub reason: Option<Body>,
    /// How often a member or an agent was added or the name was changed.
    changes: u32,
}

impl Team {
    /// The maximum number of members at the same time.
    pub const MAX_MEMBERS: usize = 500;
    /// The maximum number of agents at the same time.
    pub const MAX_AGENTS: usize = 500;
    /// The maximum number of times that a member or an agent is added or the name is changed. Together with the number of both,
    /// which can always be removed, it bounds the number of events of a team, all of which every process folds.
    pub const MAX_CHANGES: u32 = 10_000;

    /// Whether the team exists and was not closed.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.name.is_some() && !self.is_closed
    }

    /// Checks that the team may be changed by something else than the removal of a member or an agent.
    fn check_changes(&self) -> Result<(), TeamError> {
        if self.changes < Self::MAX_CHANGES { Ok(()) } else { Err(TeamError::TooManyChanges) }
    }
}

impl Aggregate for Team {
    const CATEGORY: &'static str = "team";
    type Command = TeamCommand;
    type Event = TeamEvent;
    type Error = TeamError;

    fn decide(&self, command: TeamCommand) -> Result<Vec<TeamEvent>, TeamError> {
        use TeamCommand::{AddAgent, AddMember, Close, Create, RemoveAgent, RemoveMember, Rename};
        match (command, &self.name) {
            (Create { name, at }, None) => Ok(vec![TeamEvent::Created(TeamCreated { name, at })]),
            (Create { name, .. }, Some(known)) if *known == name => Ok(Vec::new()),
            (Create { .. }, Some(_)) => Err(TeamError::AlreadyCreated),
            (_, None) => Err(TeamError::NotCreated),
            (Close { reason, .. }, _) if self.is_closed => {
                let is_same = reason.is_none() || reason == self.reason;
                if is_same { Ok(Vec::new()) } else { Err(TeamError::ClosedOtherwise) }
            }
            (_, _) if self.is_closed => Err(TeamError::Closed),
            (Close { reason, at }, _) => Ok(vec![TeamEvent::Closed(TeamClosed { reason, at })]),
            (Rename { name, .. }, Some(known)) if *known == name => Ok(Vec::new()),
            (Rename { name, at }, _) => {
                self.check_changes()?;
                Ok(vec![TeamEvent::Renamed(TeamRenamed { name, at })])
            }
            (AddMember { member, .. }, _) if self.members.contains(&member) => Ok(Vec::new()),
            (AddMember { .. }, _) if self.members.len() >= Self::MAX_MEMBERS => Err(TeamError::TooManyMembers),
            (AddMember { member, at }, _) => {
                self.check_changes()?;
                Ok(vec![TeamEvent::MemberAdded(TeamMemberAdded { member, at })])
            }
            (RemoveMember { member, at }, _) if self.members.contains(&member) => {
                Ok(vec![TeamEvent::MemberRemoved(TeamMemberRemoved { member, at })])
            }
            (RemoveMember { .. }, _) => Ok(Vec::new()),
            (AddAgent { agent_id, .. }, _) if self.agents.contains(&agent_id) => Ok(Vec::new()),
            (AddAgent { .. }, _) if self.agents.len() >= Self::MAX_AGENTS => Err(TeamError::TooManyAgents),
            (AddAgent { agent_id, at }, _) => {
                self.check_changes()?;
                Ok(vec![TeamEvent::AgentAdded(TeamAgentAdded { agent_id, at })])
            }
            (RemoveAgent { agent_id, at }, _) if self.agents.contains(&agent_id) => {
                Ok(vec![TeamEvent::AgentRemoved(TeamAgentRemoved { agent_id, at })])
            }
            (RemoveAgent { .. }, _) => Ok(Vec::new()),
        }
    }

    fn evolve(mut self, event: &TeamEvent) -> Self {
        match event {
            TeamEvent::Created(created) => self.name = Some(created.name.clone()),
            TeamEvent::Renamed(renamed) => {
                self.name = Some(renamed.name.clone());
                self.changes = self.changes.saturating_add(1);
            }
            TeamEvent::MemberAdded(added) => {
                self.members.insert(added.member);
                self.changes = self.changes.saturating_add(1);
            }
            TeamEvent::MemberRemoved(removed) => _ = self.members.remove(&removed.member),
            TeamEvent::AgentAdded(added) => {
                self.agents.insert(added.agent_id);
                self.changes = self.changes.saturating_add(1);
            }
            TeamEvent::AgentRemoved(removed) => _ = self.agents.remove(&removed.agent_id),
            TeamEvent::Closed(closed) => {
                self.is_closed = true;
                self.reason.clone_from(&closed.reason);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
