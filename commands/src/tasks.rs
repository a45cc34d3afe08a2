//! Commands to tasks: an agent that is stopped gets no work.

use crate::executor::Guard;
use crate::{AgentRefusal, Commands, Context, Error, Outcome};
use domain::agent::AgentStatus;
use domain::task::{Task, TaskCommand, TaskError};
use domain::{AgentId, Aggregate, TaskId};
use thiserror::Error as ThisError;

/// Why a command to a task is refused.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum TaskRefusal {
    /// By the task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// By its agent.
    #[error(transparent)]
    Agent(#[from] AgentRefusal),
}

impl Commands {
    /// Executes a command to a task. Submitting needs an agent that is not retired, starting one that is active; the
    /// append depends on the agent's version, so that an agent paused at the same moment is not overlooked.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_task(
        &self,
        context: &Context,
        id: TaskId,
        command: TaskCommand,
    ) -> Result<Outcome<Task>, Error<TaskRefusal>> {
        let agent_id = match &command {
            TaskCommand::Submit { spec, .. } => Some(spec.agent_id),
            TaskCommand::Start { .. } => {
                let task = self.load::<Task>(&context.tenant, id.0).await;
                let task = task.map_err(|error| error.map_rejected(TaskRefusal::Task))?;
                task.state.spec.as_ref().map(|spec| spec.agent_id)
            }
            TaskCommand::Progress { .. }
            | TaskCommand::Complete { .. }
            | TaskCommand::Fail { .. }
            | TaskCommand::Cancel { .. } => None,
        };
        let starts = matches!(command, TaskCommand::Start { .. });
        let guards = || self.guards(context, agent_id, starts);
        let decide = |task: &Task| {
            // Submitted only after its agent was looked up: begin again rather than start it unasked.
            if starts && task.spec.as_ref().map(|spec| spec.agent_id) != agent_id {
                return Err(TaskRefusal::Task(TaskError::NotSubmitted));
            }
            task.decide(command.clone()).map_err(TaskRefusal::Task)
        };
        self.run(context, id.0, false, decide, guards).await
    }

    async fn guards(
        &self,
        context: &Context,
        agent_id: Option<AgentId>,
        starts: bool,
    ) -> Result<Vec<Guard>, Error<TaskRefusal>> {
        let accepts = |status| match status {
            AgentStatus::Active => true,
            AgentStatus::Registered | AgentStatus::Paused => !starts,
            AgentStatus::Retired => false,
        };
        match agent_id {
            Some(agent_id) => Ok(vec![self.guard_agent(context, agent_id, accepts).await?]),
            None => Ok(Vec::new()),
        }
    }
}
