//! Commands to the tasks of an agent, which depend on the agent.

use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::outcome::Outcome;
use crate::states::Undecided;
use domain::agent::Agent;
use domain::assignment::{TaskRejection, agent_of_task, decide_task};
use domain::task::{Task, TaskCommand};
use domain::{AgentId, Aggregate, TaskId};
use uuid::Uuid;

/// The agent that a decision depends on, if any.
type AgentOf<'a> = Option<(AgentId, &'a Agent)>;

impl Commands {
    /// Executes a command to a task, by the rules of [`decide_task`]. The append depends on the agent's version, so that a
    /// concurrent pause is not missed.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_task(
        &self,
        context: &Context,
        id: TaskId,
        command: TaskCommand,
    ) -> Result<Outcome<Task>, Error<TaskRejection>> {
        self.execute_with_agent(context, id.0, command, agent_of_task, decide_task).await
    }

    /// Executes a command whose decision depends on the state of an agent too, if it depends on any.
    async fn execute_with_agent<A: Aggregate, E: std::error::Error + Send + Sync + 'static>(
        &self,
        context: &Context,
        id: Uuid,
        command: A::Command,
        agent_of: fn(&A, &A::Command) -> Option<AgentId>,
        decide: impl Fn(&A, AgentOf<'_>, A::Command) -> Result<Vec<A::Event>, E> + Send + Sync,
    ) -> Result<Outcome<A>, Error<E>> {
        self.decide_on(context, id, |target: &A, mut others| {
            let agent = match agent_of(target, &command) {
                Some(id) => Some((id, others.get::<Agent>(id.0)?)),
                None => None,
            };
            let agent = agent.as_ref().map(|(id, agent)| (*id, &**agent));
            decide(target, agent, command.clone()).map_err(Undecided::Rejected)
        })
        .await
    }
}
