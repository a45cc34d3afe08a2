//! Guard streams of agents: the append of a command depends on the agent's version, so that a concurrent change of the
//! agent is not missed.

use crate::append::Guard;
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::loader::stream_key;
use domain::agent::{Agent, AgentStatus};
use domain::{AgentId, Aggregate};
use thiserror::Error as ThisError;

/// Why a command to a task or budget of an agent is rejected because of the agent.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum AgentRejection {
    /// No agent has this id.
    #[error("the agent {0} is not registered")]
    NotRegistered(AgentId),
    /// The agent's status does not allow the command.
    #[error("the agent is {0} and takes no work")]
    NotAvailable(AgentStatus),
}

impl Commands {
    /// The guard on an agent that is registered and whose status is accepted.
    ///
    /// # Errors
    /// [`AgentRejection`] if the agent is not registered or its status is not accepted; [`Error::Load`] and
    /// [`Error::Decode`] if it cannot be read.
    pub(crate) async fn guard_agent<E: std::error::Error + From<AgentRejection> + 'static>(
        &self,
        context: &Context,
        agent_id: AgentId,
        accepts: impl Fn(AgentStatus) -> bool,
    ) -> Result<Guard, Error<E>> {
        let agent = self.loader.load::<Agent, E>(&stream_key::<Agent>(&context.tenant, agent_id.0)).await?;
        match agent.state.status {
            None => Err(Error::Rejected(AgentRejection::NotRegistered(agent_id).into())),
            Some(status) if !accepts(status) => Err(Error::Rejected(AgentRejection::NotAvailable(status).into())),
            Some(_) => Ok(Guard { category: Agent::CATEGORY.into(), id: agent_id.0, version: agent.version }),
        }
    }
}
