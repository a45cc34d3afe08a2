//! Commands to tasks. An agent that is paused or retired starts no task.

use crate::append::Guard;
use crate::context::Context;
use crate::error::Error;
use crate::executor::Commands;
use crate::guards::AgentRejection;
use crate::loader::stream_key;
use crate::outcome::Outcome;
use domain::agent::AgentStatus;
use domain::task::{Task, TaskCommand, TaskError};
use domain::{AgentId, Aggregate, TaskId};
use thiserror::Error as ThisError;

/// Why a command to a task is rejected.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum TaskRejection {
    /// The task rejects it.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The task's agent is not registered or not available.
    #[error(transparent)]
    Agent(#[from] AgentRejection),
}

impl Commands {
    /// Executes a command to a task. Submitting a task requires an agent that is not retired, starting it requires an
    /// active agent. The append depends on the agent's version, so that a concurrent pause is not missed.
    ///
    /// # Errors
    /// As for [`Commands::execute`].
    pub async fn execute_task(
        &self,
        context: &Context,
        id: TaskId,
        command: TaskCommand,
    ) -> Result<Outcome<Task>, Error<TaskRejection>> {
        let agent_id = match &command {
            TaskCommand::Submit { spec, .. } => Some(spec.agent_id),
            TaskCommand::Start { .. } => {
                let task = self.loader.load::<Task, TaskRejection>(&stream_key::<Task>(&context.tenant, id.0)).await?;
                task.state.spec.as_ref().map(|spec| spec.agent_id)
            }
            TaskCommand::Progress { .. }
            | TaskCommand::Complete { .. }
            | TaskCommand::Fail { .. }
            | TaskCommand::Cancel { .. } => None,
        };
        let starts = matches!(command, TaskCommand::Start { .. });
        let guards = || self.task_guards(context, agent_id, starts);
        let decide = |task: &Task| {
            // The task was submitted after its agent was looked up. Reject the start, whose agent was not checked.
            if starts && task.spec.as_ref().map(|spec| spec.agent_id) != agent_id {
                return Err(TaskRejection::Task(TaskError::NotSubmitted));
            }
            task.decide(command.clone()).map_err(TaskRejection::Task)
        };
        self.run(context, id.0, false, decide, guards).await
    }

    async fn task_guards(
        &self,
        context: &Context,
        agent_id: Option<AgentId>,
        starts: bool,
    ) -> Result<Vec<Guard>, Error<TaskRejection>> {
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
