//! Agents: the programs that work on tasks and make calls.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::AgentId;
use crate::text::{Body, Labels, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// The lifecycle status of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// The agent is registered and not yet active.
    Registered,
    /// The agent may start tasks.
    Active,
    /// The agent is paused and starts no task until it is resumed.
    Paused,
    /// The agent is permanently out of service.
    Retired,
}

impl AgentStatus {
    /// The status as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for AgentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The description of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// The agent's display name.
    pub name: Name,
    /// The kind of agent, such as `coder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Name>,
    /// The model that the agent uses by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// Labels of the agent, by key.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// A command to an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentCommand {
    /// Registers the agent.
    Register {
        /// The description of the agent.
        profile: Profile,
        /// When the agent was registered.
        at: DateTime<Utc>,
    },
    /// Activates a registered agent.
    Activate {
        /// When the agent was activated.
        at: DateTime<Utc>,
    },
    /// Pauses an active agent.
    Pause {
        /// Why the agent is paused.
        reason: Option<Body>,
        /// When the agent was paused.
        at: DateTime<Utc>,
    },
    /// Resumes a paused agent.
    Resume {
        /// When the agent was resumed.
        at: DateTime<Utc>,
    },
    /// Retires the agent permanently.
    Retire {
        /// Why the agent is retired.
        reason: Option<Body>,
        /// When the agent was retired.
        at: DateTime<Utc>,
    },
}

/// The payload of `agent.registered`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRegistered {
    /// The description of the agent.
    #[serde(flatten)]
    pub profile: Profile,
    /// When the agent was registered.
    pub at: DateTime<Utc>,
}

/// The payload of `agent.activated` and `agent.resumed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStarted {
    /// When the agent was activated or resumed.
    pub at: DateTime<Utc>,
}

/// The payload of `agent.paused` and `agent.retired`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStopped {
    /// Why the agent was paused or retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the agent was paused or retired.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of an agent.
    pub enum AgentEvent {
        /// The agent was registered.
        "agent.registered" v 1 => Registered(AgentRegistered),
        /// The agent was activated.
        "agent.activated" v 1 => Activated(AgentStarted),
        /// The agent was paused.
        "agent.paused" v 1 => Paused(AgentStopped),
        /// The agent was resumed.
        "agent.resumed" v 1 => Resumed(AgentStarted),
        /// The agent was retired.
        "agent.retired" v 1 => Retired(AgentStopped),
    }
}

/// Why a command to an agent is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgentError {
    /// No agent has this id.
    #[error("the agent is not registered")]
    NotRegistered,
    /// An agent with a different profile has this id.
    #[error("an agent with a different profile is registered under this id")]
    AlreadyRegistered,
    /// The agent is already paused or retired, for a different reason, which is kept.
    #[error("the agent is already {0}, for a different reason, which is kept")]
    AlreadyStopped(AgentStatus),
    /// The agent's status does not allow the command.
    #[error("a {from} agent cannot {action}")]
    InvalidTransition {
        /// The agent's status.
        from: AgentStatus,
        /// What the command asks for, such as `be paused`.
        action: &'static str,
    },
}

/// The state of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The description of the agent; none before it is registered.
    pub profile: Option<Profile>,
    /// The status of the agent; none before it is registered.
    pub status: Option<AgentStatus>,
    /// Why the agent is paused or retired, if it is and a reason was given.
    pub reason: Option<Body>,
}

impl Agent {
    /// Changes the status from one of `from` to `to`. Returns no event if the agent already has the status `to`.
    fn transition(
        &self,
        action: &'static str,
        from: &[AgentStatus],
        to: AgentStatus,
        event: AgentEvent,
    ) -> Result<Vec<AgentEvent>, AgentError> {
        match self.status {
            None => Err(AgentError::NotRegistered),
            Some(status) if status == to => Ok(Vec::new()),
            Some(status) if from.contains(&status) => Ok(vec![event]),
            Some(status) => Err(AgentError::InvalidTransition { from: status, action }),
        }
    }

    /// As [`Agent::transition`], but rejects a repeated stop whose reason differs from the known one: it would be lost.
    fn stop(
        &self,
        action: &'static str,
        from: &[AgentStatus],
        (to, stopped): (AgentStatus, AgentStopped),
        event: impl FnOnce(AgentStopped) -> AgentEvent,
    ) -> Result<Vec<AgentEvent>, AgentError> {
        if self.status == Some(to) && stopped.reason.is_some() && stopped.reason != self.reason {
            return Err(AgentError::AlreadyStopped(to));
        }
        self.transition(action, from, to, event(stopped))
    }
}

impl Aggregate for Agent {
    const CATEGORY: &'static str = "agent";
    type Command = AgentCommand;
    type Event = AgentEvent;
    type Error = AgentError;

    fn decide(&self, command: AgentCommand) -> Result<Vec<AgentEvent>, AgentError> {
        use AgentStatus::{Active, Paused, Registered, Retired};
        match command {
            AgentCommand::Register { profile, at } => match &self.profile {
                None => Ok(vec![AgentEvent::Registered(AgentRegistered { profile, at })]),
                Some(known) if *known == profile => Ok(Vec::new()),
                Some(_) => Err(AgentError::AlreadyRegistered),
            },
            AgentCommand::Activate { at } => {
                self.transition("be activated", &[Registered], Active, AgentEvent::Activated(AgentStarted { at }))
            }
            AgentCommand::Pause { reason, at } => {
                self.stop("be paused", &[Active], (Paused, AgentStopped { reason, at }), AgentEvent::Paused)
            }
            AgentCommand::Resume { at } => {
                self.transition("be resumed", &[Paused], Active, AgentEvent::Resumed(AgentStarted { at }))
            }
            AgentCommand::Retire { reason, at } => self.stop(
                "be retired",
                &[Registered, Active, Paused],
                (Retired, AgentStopped { reason, at }),
                AgentEvent::Retired,
            ),
        }
    }

    fn owner(&self, id: Uuid) -> Option<AgentId> {
        Some(AgentId(id))
    }

    fn evolve(mut self, event: &AgentEvent) -> Self {
        self.reason = match event {
            AgentEvent::Paused(stopped) | AgentEvent::Retired(stopped) => stopped.reason.clone(),
            AgentEvent::Registered(_) | AgentEvent::Activated(_) | AgentEvent::Resumed(_) => None,
        };
        self.status = Some(match event {
            AgentEvent::Registered(registered) => {
                self.profile = Some(registered.profile.clone());
                AgentStatus::Registered
            }
            AgentEvent::Activated(_) | AgentEvent::Resumed(_) => AgentStatus::Active,
            AgentEvent::Paused(_) => AgentStatus::Paused,
            AgentEvent::Retired(_) => AgentStatus::Retired,
        });
        self
    }
}

#[cfg(test)]
mod tests;
