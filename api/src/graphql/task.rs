//! Tasks.

use super::as_of::{self, AsOf};
use super::errors::{self, command_error};
use super::ids::Kind;
use super::input::{self, Invalid};
use super::payload::{self, Order, payload};
use super::scalars::{Long, Position, Timestamp, Uid, or_now};
use super::{Services, agent, connection, from_wire, loaders, ready};
use crate::caller::Caller;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, InputObject, Object, Result, SimpleObject};
use commands::{AgentRejection, TaskRejection};
use domain::task::{TaskCommand, TaskError, TaskSpec, TaskStatus as Status};
use domain::{AgentId, DagId, TaskId};
use projections::calls::CallFilter;
use projections::tasks::{self, TaskFilter, TaskRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The projections that feed the lists.
const PROJECTIONS: &[&str] = &["tasks"];

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::task::TaskStatus")]
pub(crate) enum TaskStatus {
    /// Waiting to be started.
    Submitted,
    /// Being worked on.
    Running,
    /// Done.
    Completed,
    /// Ended with an error.
    Failed,
    /// Called off.
    Cancelled,
}

const STATUSES: [Status; 5] =
    [Status::Submitted, Status::Running, Status::Completed, Status::Failed, Status::Cancelled];

/// A task: what is to be done.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Task {
    /// Its global id.
    pub(crate) id: ID,
    /// Its id as events and exports carry it.
    uuid: Uid,
    /// Whose task it is.
    agent_id: ID,
    /// The graph that it is a part of.
    dag_id: Option<ID>,
    /// What is to be done, in a line.
    title: String,
    /// Where it is.
    status: TaskStatus,
    /// How far it is, 0 to 100.
    percent: i32,
    /// What was said of its progress last.
    note: Option<String>,
    /// Its result, its error or the reason why it was called off, by status.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    outcome: Option<String>,
    /// When it was put up.
    submitted_at: Timestamp,
    /// When work began.
    started_at: Option<Timestamp>,
    /// When it ended.
    ended_at: Option<Timestamp>,
    /// How many events it has.
    version: Long,
    /// The position of its last event.
    position: Position,
    #[graphql(skip)]
    agent: AgentId,
}

impl TryFrom<TaskRow> for Task {
    type Error = Error;

    fn try_from(row: TaskRow) -> Result<Self> {
        Ok(Self {
            id: Kind::Task.id(row.task_id),
            uuid: row.task_id.into(),
            agent_id: Kind::Agent.id(row.agent_id),
            dag_id: row.dag_id.map(|dag| Kind::Dag.id(dag)),
            title: row.title,
            status: from_wire(&STATUSES, Status::as_str, &row.status)?.into(),
            percent: row.percent.into(),
            note: row.note,
            outcome: row.outcome,
            submitted_at: row.submitted_at.into(),
            started_at: row.started_at.map(Into::into),
            ended_at: row.ended_at.map(Into::into),
            version: row.version.into(),
            position: Position::from_row(row.position),
            agent: AgentId(row.agent_id),
        })
    }
}

#[ComplexObject]
impl Task {
    /// Whose task it is, as the agent is now.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<agent::Agent>> {
        agent::by_id(ctx, self.agent.0).await
    }

    /// The calls that were made for it, in the order in which they began.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn calls(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
    ) -> Result<Connection<String, super::call::Call>> {
        let filter = CallFilter { task_id: Some(self.uuid.0), ..Default::default() };
        super::call::list(ctx, &filter, first, after.as_deref()).await
    }
}

impl Loader<TaskId> for loaders::Rows {
    type Value = TaskRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[TaskId]) -> Result<HashMap<TaskId, TaskRow>, Self::Error> {
        let filter = TaskFilter { ids: keys.iter().map(|id| id.0).collect(), ..Default::default() };
        let page = Page { after: None, limit: MAX_PAGE_ROWS };
        let rows = tasks::list(&self.pool, &self.tenant, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (TaskId(row.task_id), row)).collect())
    }
}

/// One task, together with others that are asked for at this moment.
pub(crate) async fn by_id(ctx: &Context<'_>, id: Uuid) -> Result<Option<Task>> {
    let row = loaders::of(ctx)?.load_one(TaskId(id)).await.map_err(errors::loader)?;
    row.map(Task::try_from).transpose()
}

/// A page of tasks.
pub(crate) async fn list(
    ctx: &Context<'_>,
    filter: &TaskFilter,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<Connection<String, Task>> {
    let page = connection::page(ctx, first, after)?;
    let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
    let rows = tasks::list(&services.pool, &caller.tenant, filter, page).await;
    let rows = rows.map_err(|error| errors::database(&error))?;
    connection::connect(rows, page, |row| (row.submitted_at, row.task_id))
}

/// Which tasks.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "TaskFilter")]
pub(crate) struct Filter {
    /// With this status.
    status: Option<TaskStatus>,
    /// Of this agent.
    agent_id: Option<ID>,
    /// Of this graph.
    dag_id: Option<ID>,
}

impl Filter {
    fn check(self) -> Result<TaskFilter> {
        Ok(TaskFilter {
            ids: Vec::new(),
            status: self.status.map(|status| Status::from(status).as_str().to_owned()),
            agent_id: Kind::Agent.parse_opt(self.agent_id.as_ref())?,
            dag_id: Kind::Dag.parse_opt(self.dag_id.as_ref())?,
        })
    }
}

/// Queries about tasks.
#[derive(Default)]
pub(crate) struct TaskQuery;

#[Object]
impl TaskQuery {
    /// A task; null if there is none.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id or UUID.")] id: ID,
        #[graphql(desc = "As it was then, rather than as it is now.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Option<Task>> {
        let id = Kind::Task.parse(&id)?;
        if let Some(as_of) = as_of {
            return as_of::row::<TaskRow>(ctx, id, as_of).await?.map(Task::try_from).transpose();
        }
        ready(ctx, PROJECTIONS, min_position).await?;
        by_id(ctx, id).await
    }

    /// Tasks, in the order in which they were submitted.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        filter: Option<Filter>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "How many; at most 500.")] first: Option<i32>,
        #[graphql(desc = "Those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until everything up to this position is seen.")] min_position: Option<Position>,
    ) -> Result<Connection<String, Task>> {
        let filter = filter.unwrap_or_default().check()?;
        ready(ctx, PROJECTIONS, min_position).await?;
        list(ctx, &filter, first, after.as_deref()).await
    }
}

command_error! {
    /// Why a command to a task was refused.
    TaskCommandError, TaskErrorCode {
        /// No task has this id.
        NotSubmitted,
        /// Another task was submitted under this id.
        AlreadySubmitted,
        /// It was started before, under another `commandId`.
        AlreadyStarted,
        /// It ended in the same way before, with another result, error or reason.
        AlreadyEnded,
        /// The step is not possible from its status.
        NotPossible,
        /// Progress is 0 to 100 percent.
        BadPercent,
        /// The task's agent is not registered.
        UnknownAgent,
        /// The task's agent takes no work.
        AgentStopped,
    }
}

impl From<TaskRejection> for TaskCommandError {
    fn from(refusal: TaskRejection) -> Self {
        let code = match refusal {
            TaskRejection::Task(TaskError::NotSubmitted) => TaskErrorCode::NotSubmitted,
            TaskRejection::Task(TaskError::AlreadySubmitted) => TaskErrorCode::AlreadySubmitted,
            TaskRejection::Task(TaskError::InvalidTransition { .. }) => TaskErrorCode::NotPossible,
            TaskRejection::Task(TaskError::InvalidPercent(_)) => TaskErrorCode::BadPercent,
            TaskRejection::Task(TaskError::AlreadyStarted) => TaskErrorCode::AlreadyStarted,
            TaskRejection::Task(TaskError::AlreadyEnded(_)) => TaskErrorCode::AlreadyEnded,
            TaskRejection::Agent(AgentRejection::NotRegistered(_)) => TaskErrorCode::UnknownAgent,
            TaskRejection::Agent(AgentRejection::NotAvailable(_)) => TaskErrorCode::AgentStopped,
        };
        Self::new(code, refusal)
    }
}

payload! {
    /// What became of a command to a task.
    TaskPayload {
        /// The task as of `position`; as it is now if the command was refused.
        task: Task(TaskRow), error: TaskCommandError
    }
}

/// A new task.
#[derive(Debug, InputObject)]
pub(crate) struct SubmitTaskInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// The task's id, where the client knows it; otherwise one is made from `commandId`, or made up.
    id: Option<ID>,
    /// What is to be done: one line of at most 256 bytes.
    title: String,
    /// Whose task it is.
    agent_id: ID,
    /// The graph that it is a part of.
    dag_id: Option<ID>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A task to be started.
#[derive(Debug, InputObject)]
pub(crate) struct StartTaskInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which task.
    id: ID,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A task that got further.
#[derive(Debug, InputObject)]
pub(crate) struct ProgressTaskInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which task.
    id: ID,
    /// How far it is, 0 to 100.
    percent: i32,
    /// What was done.
    note: Option<String>,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A task that ended well.
#[derive(Debug, InputObject)]
pub(crate) struct CompleteTaskInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which task.
    id: ID,
    /// What came of it.
    result: Option<String>,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A task that ended badly.
#[derive(Debug, InputObject)]
pub(crate) struct FailTaskInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which task.
    id: ID,
    /// What went wrong.
    error: String,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// A task to be called off.
#[derive(Debug, InputObject)]
pub(crate) struct CancelTaskInput {
    /// The command's id: a retry with the same id and input changes nothing, and gives the first answer's position. With
    /// another mutation, object or input it is refused as `COMMAND_ID_REUSED`; only where each of two commands creates
    /// its own object, they are two commands. Made up if none is given.
    command_id: Option<Uid>,
    /// Which task.
    id: ID,
    /// Why.
    reason: Option<String>,
    /// The version that it must be at; any if not given.
    expected_version: Option<Long>,
    /// When; now if not given.
    at: Option<Timestamp>,
}

/// Commands to tasks.
#[derive(Default)]
pub(crate) struct TaskMutation;

#[Object]
impl TaskMutation {
    /// Puts up a task of an agent. Submitting the same again changes nothing.
    async fn submit_task(&self, ctx: &Context<'_>, input: SubmitTaskInput) -> Result<TaskPayload> {
        let id = Kind::Task.new_id(input.id.as_ref(), input.command_id)?;
        let agent_id = AgentId(Kind::Agent.parse(&input.agent_id)?);
        let dag_id = Kind::Dag.parse_opt(input.dag_id.as_ref())?.map(DagId);
        let at = or_now(input.at);
        let title = input::name("title", input.title);
        let command = title.map(|title| TaskCommand::Submit { spec: TaskSpec { title, agent_id, dag_id }, at });
        execute(ctx, id, Order::new(input.command_id), command).await
    }

    /// Begins work on a task. Its agent must be active. One that was started under another `commandId` is refused: whoever
    /// did works on it.
    async fn start_task(&self, ctx: &Context<'_>, input: StartTaskInput) -> Result<TaskPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        execute(ctx, Kind::Task.parse(&input.id)?, order, Ok(TaskCommand::Start { at })).await
    }

    /// Says how far a task is.
    async fn progress_task(&self, ctx: &Context<'_>, input: ProgressTaskInput) -> Result<TaskPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let id = Kind::Task.parse(&input.id)?;
        let Ok(percent) = u8::try_from(input.percent) else {
            let error = format!("progress is 0 to 100 percent, not {}", input.percent);
            let error = TaskCommandError::new(TaskErrorCode::BadPercent, error);
            return Ok(payload::refused(&order.context(ctx, id)?, id, error).into());
        };
        let note = input::body_opt("note", input.note);
        execute(ctx, id, order, note.map(|note| TaskCommand::Progress { percent, note, at })).await
    }

    /// Marks a task as completed. To complete it again changes nothing, unless with another result, which is refused.
    async fn complete_task(&self, ctx: &Context<'_>, input: CompleteTaskInput) -> Result<TaskPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let result = input::body_opt("result", input.result);
        let command = result.map(|result| TaskCommand::Complete { result, at });
        execute(ctx, Kind::Task.parse(&input.id)?, order, command).await
    }

    /// Marks a task as failed. To do so again changes nothing, unless with another error, which is refused.
    async fn fail_task(&self, ctx: &Context<'_>, input: FailTaskInput) -> Result<TaskPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let command = input::body("error", input.error).map(|error| TaskCommand::Fail { error, at });
        execute(ctx, Kind::Task.parse(&input.id)?, order, command).await
    }

    /// Cancels a task. To do so again changes nothing, unless for another reason, which is refused.
    async fn cancel_task(&self, ctx: &Context<'_>, input: CancelTaskInput) -> Result<TaskPayload> {
        let order = Order::new(input.command_id).expecting(input.expected_version);
        let at = or_now(input.at);
        let reason = input::body_opt("reason", input.reason);
        let command = reason.map(|reason| TaskCommand::Cancel { reason, at });
        execute(ctx, Kind::Task.parse(&input.id)?, order, command).await
    }
}

async fn execute(
    ctx: &Context<'_>,
    id: Uuid,
    order: Order,
    command: Result<TaskCommand, Invalid>,
) -> Result<TaskPayload> {
    let context = order.context(ctx, id)?;
    let command = match command {
        Ok(command) => command,
        Err(invalid) => return Ok(payload::refused::<TaskCommandError>(&context, id, invalid).into()),
    };
    let result = ctx.data::<Arc<Services>>()?.commands.execute_task(&context, TaskId(id), command).await;
    payload::settle::<_, _, TaskCommandError>(&context, id, result).map(Into::into)
}
