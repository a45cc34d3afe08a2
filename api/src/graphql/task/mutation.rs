//! Commands to tasks.

use super::types::Task;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::ids::Kind;
use crate::graphql::input;
use crate::graphql::payload::{self, CommandResult, payload};
use async_graphql::{Context, ID, Object, Result};
use commands::Commands;
use domain::assignment::{AgentRejection, TaskRejection};
use domain::task::{TaskCommand, TaskError, TaskSpec};
use domain::{AgentId, DagId, TaskId};

command_error! {
    /// Reason for which a command to a task was rejected.
    TaskCommandError,
    /// Reasons for which a command to a task is rejected.
    TaskErrorCode {
        /// No task with this id was submitted.
        NotSubmitted,
        /// A different task was submitted under this id.
        AlreadySubmitted,
        /// The task was started before, under another `commandId`.
        AlreadyStarted,
        /// The task ended in the same way before, with a different result, error or reason.
        AlreadyEnded,
        /// The status of the task does not allow the command.
        NotPossible,
        /// The progress is not between 0 and 100 percent.
        BadPercent,
        /// The agent of the task is not registered.
        UnknownAgent,
        /// The status of the agent does not allow the command.
        AgentStopped,
    }
}

impl From<TaskRejection> for TaskCommandError {
    fn from(rejection: TaskRejection) -> Self {
        let code = match rejection {
            TaskRejection::Task(TaskError::NotSubmitted) => TaskErrorCode::NotSubmitted,
            TaskRejection::Task(TaskError::AlreadySubmitted) => TaskErrorCode::AlreadySubmitted,
            TaskRejection::Task(TaskError::InvalidTransition { .. }) => TaskErrorCode::NotPossible,
            TaskRejection::Task(TaskError::InvalidPercent(_)) => TaskErrorCode::BadPercent,
            TaskRejection::Task(TaskError::AlreadyStarted) => TaskErrorCode::AlreadyStarted,
            TaskRejection::Task(TaskError::AlreadyEnded(_)) => TaskErrorCode::AlreadyEnded,
            TaskRejection::Agent(AgentRejection::NotRegistered(_)) => TaskErrorCode::UnknownAgent,
            TaskRejection::Agent(AgentRejection::NotAvailable(_)) => TaskErrorCode::AgentStopped,
        };
        Self::new(code, rejection)
    }
}

payload! {
    /// Payload of the mutations of a task.
    TaskPayload {
        /// The task as of `position`. If the command was rejected, the task as it is now.
        task: Task, error: TaskCommandError
    }
}

command_input! {
    /// Input of `submitTask`.
    SubmitTaskInput {
        /// Id of the new task: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise a
        /// new UUID.
        id: new Task,
        /// Short description of the work: one line of at most 256 bytes.
        title: String,
        /// Global id or UUID of the agent that the task is assigned to.
        agent_id: ID,
        /// Global id or UUID of the DAG that the task is part of. Default: none.
        dag_id: Option<ID>,
    }
}

command_input! {
    /// Input of `startTask`.
    StartTaskInput {
        /// Global id or UUID of the task.
        id: Task,
    }
}

command_input! {
    /// Input of `reportTaskProgress`.
    ReportTaskProgressInput {
        /// Global id or UUID of the task.
        id: Task,
        /// Progress in percent, from 0 to 100.
        percent: i32,
        /// What was done since the last report: text of at most 64 KiB.
        note: Option<String>,
    }
}

command_input! {
    /// Input of `completeTask`.
    CompleteTaskInput {
        /// Global id or UUID of the task.
        id: Task,
        /// Result of the task: text of at most 64 KiB.
        result: Option<String>,
    }
}

command_input! {
    /// Input of `failTask`.
    FailTaskInput {
        /// Global id or UUID of the task.
        id: Task,
        /// Error with which the task failed: text of at most 64 KiB.
        error: String,
    }
}

command_input! {
    /// Input of `cancelTask`.
    CancelTaskInput {
        /// Global id or UUID of the task.
        id: Task,
        /// Reason for the cancellation: text of at most 64 KiB.
        reason: Option<String>,
    }
}

/// Commands to tasks.
#[derive(Default)]
pub(crate) struct TaskMutation;

#[Object]
impl TaskMutation {
    /// Submits a task to an agent. Submitting the same task again has no effect.
    async fn submit_task(&self, ctx: &Context<'_>, input: SubmitTaskInput) -> Result<TaskPayload> {
        let options = input.options(ctx)?;
        let agent_id = AgentId(Kind::Agent.parse(&input.agent_id)?);
        let dag_id = Kind::Dag.parse_opt(input.dag_id.as_ref())?.map(DagId);
        let spec = input::name("title", input.title).map(|title| TaskSpec { title, agent_id, dag_id });
        execute(ctx, options, spec.map(|spec| TaskCommand::Submit { spec, at: options.at })).await
    }

    /// Starts a task. Its agent must be active. A task that was started under another `commandId` is rejected with
    /// `ALREADY_STARTED`, so that two workers cannot both start it.
    async fn start_task(&self, ctx: &Context<'_>, input: StartTaskInput) -> Result<TaskPayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, Ok::<_, TaskCommandError>(TaskCommand::Start { at: options.at })).await
    }

    /// Reports the progress of a running task.
    async fn report_task_progress(&self, ctx: &Context<'_>, input: ReportTaskProgressInput) -> Result<TaskPayload> {
        let options = input.options(ctx)?;
        let command = || {
            let percent = u8::try_from(input.percent).map_err(|_| {
                let message = format!("progress is 0 to 100 percent, not {}", input.percent);
                TaskCommandError::new(TaskErrorCode::BadPercent, message)
            })?;
            let note = input::body_opt("note", input.note)?;
            Ok::<_, TaskCommandError>(TaskCommand::Progress { percent, note, at: options.at })
        };
        execute(ctx, options, command()).await
    }

    /// Marks a task as completed. Repeating it has no effect; repeating it with another result is rejected.
    async fn complete_task(&self, ctx: &Context<'_>, input: CompleteTaskInput) -> Result<TaskPayload> {
        let options = input.options(ctx)?;
        let result = input::body_opt("result", input.result);
        execute(ctx, options, result.map(|result| TaskCommand::Complete { result, at: options.at })).await
    }

    /// Marks a task as failed. Repeating it has no effect; repeating it with another error is rejected.
    async fn fail_task(&self, ctx: &Context<'_>, input: FailTaskInput) -> Result<TaskPayload> {
        let options = input.options(ctx)?;
        let error = input::body("error", input.error);
        execute(ctx, options, error.map(|error| TaskCommand::Fail { error, at: options.at })).await
    }

    /// Cancels a task. Repeating it has no effect; repeating it with another reason is rejected.
    async fn cancel_task(&self, ctx: &Context<'_>, input: CancelTaskInput) -> Result<TaskPayload> {
        let options = input.options(ctx)?;
        let reason = input::body_opt("reason", input.reason);
        execute(ctx, options, reason.map(|reason| TaskCommand::Cancel { reason, at: options.at })).await
    }
}

/// Executes a command whose decision depends on the task's agent too.
async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<TaskCommand, impl Into<TaskCommandError>>,
) -> Result<TaskPayload> {
    let execute = |commands: Commands, context: commands::Context, command| async move {
        commands.execute_task(&context, TaskId(options.target), command).await
    };
    let result: CommandResult<TaskCommandError> = payload::execute_by(ctx, options, command, execute).await?;
    Ok(result.into())
}
