//! Agents: who does the work.

use crate::codec::events;
use crate::{Aggregate, Body, Labels, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Where an agent is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Known, not yet working.
    Registered,
    /// May take work.
    Active,
    /// Stopped by somebody; takes no work until resumed.
    Paused,
    /// Gone for good.
    Retired,
}

impl AgentStatus {
    /// The name used on every wire.
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

/// What an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Its name, as people call it.
    pub name: Name,
    /// What kind of agent it is, such as `coder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Name>,
    /// The model it runs on by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// What may be asked of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentCommand {
    /// Make it known.
    Register {
        /// What it is.
        profile: Profile,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let it work.
    Activate {
        /// When.
        at: DateTime<Utc>,
    },
    /// Stop it for a while.
    Pause {
        /// Why.
        reason: Option<Body>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Let it go on.
    Resume {
        /// When.
        at: DateTime<Utc>,
    },
    /// Take it out of service for good.
    Retire {
        /// Why.
        reason: Option<Body>,
        /// When.
        at: DateTime<Utc>,
    },
}

/// `agent.registered`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRegistered {
    /// What it is.
    #[serde(flatten)]
    pub profile: Profile,
    /// When.
    pub at: DateTime<Utc>,
}

/// `agent.activated`, `agent.resumed`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentMoved {
    /// When.
    pub at: DateTime<Utc>,
}

/// `agent.paused`, `agent.retired`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStopped {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

events! {
    /// What may have happened to an agent.
    pub enum AgentEvent {
        /// It became known.
        "agent.registered" v 1 => Registered(AgentRegistered),
        /// It may work.
        "agent.activated" v 1 => Activated(AgentMoved),
        /// It was stopped for a while.
        "agent.paused" v 1 => Paused(AgentStopped),
        /// It goes on.
        "agent.resumed" v 1 => Resumed(AgentMoved),
        /// It is gone for good.
        "agent.retired" v 1 => Retired(AgentStopped),
    }
}

/// Why a command to an agent is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgentError {
    /// No agent has this id.
    #[error("the agent is not registered")]
    NotRegistered,
    /// The id belongs to an agent with another profile.
    #[error("an agent with another profile is registered under this id")]
    AlreadyRegistered,
    /// It is stopped in the same way, but somebody gave another reason.
    #[error("the agent is {0} already, for another reason, which stays")]
    AlreadyStopped(AgentStatus),
    /// The step is not possible from here.
    #[error("a {from} agent cannot {step}")]
    NotPossible {
        /// Where it is.
        from: AgentStatus,
        /// What was asked.
        step: &'static str,
    },
}

/// An agent's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// What it is, once registered.
    pub profile: Option<Profile>,
    /// Where it is, once registered.
    pub status: Option<AgentStatus>,
    /// Why it is paused or retired, if it is and a reason was given.
    pub reason: Option<Body>,
}

impl Agent {
    fn step(
        &self,
        step: &'static str,
        from: &[AgentStatus],
        to: AgentStatus,
        event: AgentEvent,
    ) -> Result<Vec<AgentEvent>, AgentError> {
        match self.status {
            None => Err(AgentError::NotRegistered),
            Some(status) if status == to => Ok(Vec::new()),
            Some(status) if from.contains(&status) => Ok(vec![event]),
            Some(status) => Err(AgentError::NotPossible { from: status, step }),
        }
    }

    /// As [`Agent::step`], unless a reason would be lost: one that is not the one that is known.
    fn stop(
        &self,
        step: &'static str,
        from: &[AgentStatus],
        (to, stopped): (AgentStatus, AgentStopped),
        event: impl FnOnce(AgentStopped) -> AgentEvent,
    ) -> Result<Vec<AgentEvent>, AgentError> {
        if self.status == Some(to) && stopped.reason.is_some() && stopped.reason != self.reason {
            return Err(AgentError::AlreadyStopped(to));
        }
        self.step(step, from, to, event(stopped))
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
                self.step("be activated", &[Registered], Active, AgentEvent::Activated(AgentMoved { at }))
            }
            AgentCommand::Pause { reason, at } => {
                self.stop("be paused", &[Active], (Paused, AgentStopped { reason, at }), AgentEvent::Paused)
            }
            AgentCommand::Resume { at } => {
                self.step("be resumed", &[Paused], Active, AgentEvent::Resumed(AgentMoved { at }))
            }
            AgentCommand::Retire { reason, at } => self.stop(
                "be retired",
                &[Registered, Active, Paused],
                (Retired, AgentStopped { reason, at }),
                AgentEvent::Retired,
            ),
        }
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
mod tests {
    use super::*;
    use crate::testing::{at, body, given, name};
    use proptest::prelude::*;

    fn profile() -> Profile {
        Profile { name: name("ada"), kind: None, model: None, labels: Labels::default() }
    }
    fn registered() -> AgentEvent {
        AgentEvent::Registered(AgentRegistered { profile: profile(), at: at(0) })
    }
    fn activated() -> AgentEvent {
        AgentEvent::Activated(AgentMoved { at: at(1) })
    }
    fn paused() -> AgentEvent {
        AgentEvent::Paused(AgentStopped { reason: None, at: at(2) })
    }
    fn retired() -> AgentEvent {
        AgentEvent::Retired(AgentStopped { reason: None, at: at(3) })
    }

    #[test]
    fn an_unknown_agent_can_be_registered() {
        given::<Agent>([]).when(AgentCommand::Register { profile: profile(), at: at(0) }).then([registered()]);
    }

    #[test]
    fn an_agent_that_is_stopped_again_for_another_reason_is_refused() {
        let because = |reason: &str| AgentStopped { reason: Some(body(reason)), at: at(2) };
        let paused = AgentEvent::Paused(because("lunch"));
        let retired = AgentEvent::Retired(because("age"));
        let pause = |reason: Option<&str>| AgentCommand::Pause { reason: reason.map(body), at: at(3) };
        let retire = |reason: Option<&str>| AgentCommand::Retire { reason: reason.map(body), at: at(3) };
        for (stop, same, silent, other, status) in [
            (paused, pause(Some("lunch")), pause(None), pause(Some("fire")), AgentStatus::Paused),
            (retired, retire(Some("age")), retire(None), retire(Some("fire")), AgentStatus::Retired),
        ] {
            given::<Agent>([registered(), activated(), stop.clone()]).when(same).then([]);
            given::<Agent>([registered(), activated(), stop.clone()]).when(silent).then([]);
            given::<Agent>([registered(), activated(), stop])
                .when(other)
                .then_refused(AgentError::AlreadyStopped(status));
        }
    }

    #[test]
    fn registering_the_same_again_changes_nothing() {
        given::<Agent>([registered()]).when(AgentCommand::Register { profile: profile(), at: at(9) }).then([]);
    }

    #[test]
    fn an_id_cannot_be_taken_over() {
        let other = Profile { name: name("bob"), ..profile() };
        given::<Agent>([registered()])
            .when(AgentCommand::Register { profile: other, at: at(9) })
            .then_refused(AgentError::AlreadyRegistered);
    }

    #[test]
    fn nothing_else_is_possible_before_registration() {
        given::<Agent>([])
            .when(AgentCommand::Pause { reason: None, at: at(2) })
            .then_refused(AgentError::NotRegistered);
    }

    #[test]
    fn the_life_of_an_agent() {
        given::<Agent>([registered()]).when(AgentCommand::Activate { at: at(1) }).then([activated()]);
        given::<Agent>([registered(), activated()])
            .when(AgentCommand::Pause { reason: None, at: at(2) })
            .then([paused()]);
        given::<Agent>([registered(), activated(), paused()])
            .when(AgentCommand::Resume { at: at(3) })
            .then([AgentEvent::Resumed(AgentMoved { at: at(3) })]);
        given::<Agent>([registered()]).when(AgentCommand::Retire { reason: None, at: at(3) }).then([retired()]);
    }

    #[test]
    fn a_retired_agent_stays_retired() {
        given::<Agent>([registered(), retired()])
            .when(AgentCommand::Activate { at: at(4) })
            .then_refused(AgentError::NotPossible { from: AgentStatus::Retired, step: "be activated" });
        given::<Agent>([registered(), retired()]).when(AgentCommand::Retire { reason: None, at: at(4) }).then([]);
    }

    #[test]
    fn a_registered_agent_cannot_be_paused() {
        given::<Agent>([registered()])
            .when(AgentCommand::Pause { reason: None, at: at(4) })
            .then_refused(AgentError::NotPossible { from: AgentStatus::Registered, step: "be paused" });
    }

    fn any_command() -> impl Strategy<Value = AgentCommand> {
        prop_oneof![
            Just(AgentCommand::Register { profile: profile(), at: at(0) }),
            Just(AgentCommand::Activate { at: at(1) }),
            Just(AgentCommand::Pause { reason: None, at: at(2) }),
            Just(AgentCommand::Resume { at: at(3) }),
            Just(AgentCommand::Retire { reason: None, at: at(4) }),
        ]
    }

    proptest! {
        /// What was accepted holds: asking for it again right away is either done already or no longer possible,
        /// and a retired agent never leaves that state.
        #[test]
        fn accepted_commands_hold(commands in proptest::collection::vec(any_command(), 0..30)) {
            let mut agent = Agent::default();
            for command in commands {
                let was_retired = agent.status == Some(AgentStatus::Retired);
                if let Ok(events) = agent.decide(command.clone()) {
                    agent = events.iter().fold(agent, |agent, event| agent.evolve(event));
                    prop_assert_eq!(agent.decide(command), Ok(vec![]));
                }
                prop_assert!(!was_retired || agent.status == Some(AgentStatus::Retired));
            }
        }
    }
}
