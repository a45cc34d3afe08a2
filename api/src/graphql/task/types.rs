//! The object type, and how its rows are loaded.

use crate::graphql::agent::Agent;
use crate::graphql::call::{self, Call};
use crate::graphql::connection::{self, ListOrder};
use crate::graphql::entity::{self, Entity};
use crate::graphql::ids::Kind;
use crate::graphql::loaders::Rows;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid};
use crate::graphql::services::authorise_content;
use crate::graphql::stored::from_stored_name;
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Result, SimpleObject};
use domain::task::TaskStatus as Status;
use domain::{AgentId, TaskId};
use projections::calls::CallFilter;
use projections::tasks::{self, TaskFilter, TaskRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;

/// Lifecycle status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::task::TaskStatus")]
pub(crate) enum TaskStatus {
    /// The task waits to be started.
    Submitted,
    /// The task was started and has not ended.
    Running,
    /// The task was completed.
    Completed,
    /// The task failed.
    Failed,
    /// The task was cancelled.
    Cancelled,
}

pub(super) const STATUSES: [Status; 5] =
    [Status::Submitted, Status::Running, Status::Completed, Status::Failed, Status::Cancelled];

/// A task: a piece of work that is assigned to an agent.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Task {
    /// Global id of the task.
    pub(crate) id: ID,
    /// UUID of the task, as it occurs in events and exports.
    uuid: Uid,
    /// Global id of the agent that the task is assigned to.
    agent_id: ID,
    /// Global id of the DAG that the task is part of.
    dag_id: Option<ID>,
    /// Short description of the work, on one line.
    title: String,
    /// Lifecycle status.
    status: TaskStatus,
    /// Progress in percent, from 0 to 100, as last reported.
    progress_percent: i32,
    #[graphql(skip)]
    progress_note: Option<String>,
    #[graphql(skip)]
    outcome: Option<String>,
    /// Time at which the task was submitted.
    submitted_at: Timestamp,
    /// Time at which the task was started.
    started_at: Option<Timestamp>,
    /// Time at which the task ended.
    ended_at: Option<Timestamp>,
    /// Version of the task: the number of its events.
    version: Long,
    /// Position of the task's last event.
    position: Position,
    #[graphql(skip)]
    agent: AgentId,
}

impl Entity for Task {
    type Row = TaskRow;
    type Key = TaskId;
    const KIND: Kind = Kind::Task;
    const PROJECTIONS: &'static [&'static str] = &["tasks"];
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
            status: from_stored_name(&STATUSES, Status::as_str, &row.status)?.into(),
            progress_percent: row.percent.into(),
            progress_note: row.note,
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
    /// Note that was last reported with the progress. Takes the permission `read:contents`.
    async fn progress_note(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        authorise_content(ctx, |agent| agent == self.agent)?;
        Ok(self.progress_note.as_deref())
    }

    /// How the task ended: its result if it was completed, its error if it failed, the reason if it was cancelled. Null
    /// while it has not ended, or if none was given. Takes the permission `read:contents`.
    #[graphql(complexity = "connection::LARGE_TEXT_COST")]
    async fn outcome(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        authorise_content(ctx, |agent| agent == self.agent)?;
        Ok(self.outcome.as_deref())
    }

    /// The agent that the task is assigned to, as it is now.
    async fn agent(&self, ctx: &Context<'_>) -> Result<Option<Agent>> {
        entity::by_id(ctx, self.agent.0).await
    }

    /// Calls that were made for the task, by the time at which they started.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn calls(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of calls to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the calls after this cursor. Default: from the first call on.")] after: Option<
            String,
        >,
        #[graphql(
            default_with = "Some(ListOrder::OldestFirst)",
            desc = "Order of the calls. A cursor leads on in the order in which it is sent."
        )]
        order: Option<ListOrder>,
    ) -> Result<Connection<String, Call>> {
        let filter = CallFilter { task_id: Some(self.uuid.0), ..Default::default() };
        call::list(ctx, &filter, connection::page_in_order(ctx, first, after.as_deref(), order)?).await
    }
}

impl Loader<TaskId> for Rows {
    type Value = TaskRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[TaskId]) -> Result<HashMap<TaskId, TaskRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let filter = TaskFilter { ids: keys.iter().map(|id| id.0).collect(), ..Default::default() };
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = tasks::list(&self.reads, &access, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (TaskId(row.task_id), row)).collect())
    }
}
