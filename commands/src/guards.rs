//! Agents that a command to something else rests on: the append depends on the agent's version, so that what happens to
//! the agent at the same moment is not overlooked.

use crate::executor::Guard;
use crate::{Commands, Context, Error};
use domain::agent::{Agent, AgentStatus};
use domain::{AgentId, Aggregate};
use thiserror::Error as ThisError;

/// Why a command to something of an agent is refused.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum AgentRefusal {
    /// It is not known.
    #[error("the agent {0} is not registered")]
    Unknown(AgentId),
    /// It takes no work.
    #[error("the agent is {0} and takes no work")]
    Stopped(AgentStatus),
}

impl Commands {
    /// The guard of an agent that is registered and has a status that will do.
    pub(crate) async fn guard_agent<E: std::error::Error + From<AgentRefusal> + 'static>(
        &self,
        context: &Context,
        agent_id: AgentId,
        accepts: impl Fn(AgentStatus) -> bool,
    ) -> Result<Guard, Error<E>> {
        let refused = |refusal: AgentRefusal| Error::Rejected(refusal.into());
        let agent = self.load::<Agent>(&context.tenant, agent_id.0).await;
        // Loading decides nothing, and so refuses nothing of its own.
        let agent = agent.map_err(|error| error.map_rejected(|_| AgentRefusal::Unknown(agent_id).into()))?;
        match agent.state.status {
            None => Err(refused(AgentRefusal::Unknown(agent_id))),
            Some(status) if !accepts(status) => Err(refused(AgentRefusal::Stopped(status))),
            Some(_) => Ok(Guard { category: Agent::CATEGORY.into(), id: agent_id.0, version: agent.version }),
        }
    }
}
