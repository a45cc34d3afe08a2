//! Pauses of agents: a policy that pauses the agent of a call that a budget refused, if that is the policy of the budget.
//!
//! Each refusal gives one command, whose id is derived from it: an agent that an operator has resumed is paused again by the next
//! refusal, and not by the same one.

use crate::policy::{Policy, PolicyError, Reaction};
use commands::{Commands, Component, Context, Error, Principal};
use domain::agent::{Agent, AgentCommand, AgentError};
use domain::reservation::{FollowUp, Refusal, Reservation, ReservationEvent};
use domain::{AgentId, Aggregate, Body, BudgetId, Event, derived_id};
use futures::future::BoxFuture;
use projections::Batch;
use streams::{AppendError, RecordedEvent};

/// The name of the [`AgentPauses`] policy, used for its actor and its checkpoint.
pub const AGENT_PAUSES: &str = "agent-pauses";

/// The type of the events that are looked at.
const REFUSED: &str = "reservation.refused";

/// Pauses the agents of refused calls.
pub struct AgentPauses {
    commands: Commands,
}

impl Policy for AgentPauses {
    fn name(&self) -> &'static str {
        AGENT_PAUSES
    }

    fn handle<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Reaction, PolicyError>> {
        Box::pin(self.react(batch))
    }
}

impl AgentPauses {
    /// Creates the policy.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    async fn react(&self, batch: &Batch) -> Result<Reaction, PolicyError> {
        let is_refused =
            |event: &RecordedEvent| *event.stream.category == *Reservation::CATEGORY && event.name == REFUSED;
        for recorded in batch.events.iter().filter(|recorded| is_refused(recorded)) {
            let refusal = match recorded.decode() {
                Ok(Event::Reservation(ReservationEvent::Refused(refused))) => refused.refusal,
                Ok(_) => continue,
                Err(error) => {
                    let position = recorded.position.get();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%position, error, "a refusal cannot be decoded; if it pauses an agent, that is not paused");
                    continue;
                }
            };
            if let Refusal { follow_up: Some(FollowUp::PauseAgent { agent_id }), budget_id, .. } = refusal {
                self.pause(recorded, agent_id, budget_id).await?;
            }
        }
        Ok(Reaction::default())
    }

    async fn pause(&self, recorded: &RecordedEvent, agent_id: AgentId, budget_id: BudgetId) -> Result<(), PolicyError> {
        let tenant = recorded.stream.tenant.clone();
        let command_id = derived_id(&[AGENT_PAUSES, &recorded.event_id.to_string()]);
        let context = Context {
            causation_id: Some(recorded.event_id),
            ..Context::new(Principal::component(tenant, Component::Policy(AGENT_PAUSES)), command_id)
        };
        let reason = Body::new(format!("the budget {budget_id} refused a call of the agent"))?;
        let pause = AgentCommand::Pause { reason: Some(reason), at: recorded.recorded_at };
        match self.commands.execute::<Agent>(&context, agent_id.0, pause).await {
            Ok(_) => Ok(()),
            Err(error) if is_final(&error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%agent_id, %budget_id, error, "the agent of a refused call cannot be paused");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether no later attempt would pause the agent, such as one that is not registered, not active, or cannot be decoded: others are
/// paused nevertheless.
fn is_final(error: &Error<AgentError>) -> bool {
    match error {
        Error::Rejected(_)
        | Error::Forbidden(_)
        | Error::WrongVersion { .. }
        | Error::CommandIdReused
        | Error::TooManyAggregates { .. }
        | Error::Decode(_)
        | Error::Encode(_) => true,
        Error::Contended | Error::Load(_) => false,
        // The log is closed while the process stops: another process, or the next, pauses the agent.
        Error::Append(error) => {
            matches!(error, AppendError::Invalid(_) | AppendError::Refused(_) | AppendError::CommandReused)
        }
    }
}
