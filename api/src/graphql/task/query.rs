//! Queries for tasks.

use super::types::{STATUSES, Task, TaskStatus};
use crate::graphql::as_of::AsOf;
use crate::graphql::connection::{COUNT_COST, ListOrder};
use crate::graphql::entity::{self, Entity};
use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Long, Position};
use crate::graphql::services::{authorise, services};
use crate::graphql::stored::counts;
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use domain::permissions::ReadTasks;
use domain::task::TaskStatus as Status;
use projections::Page;
use projections::tasks::{self, TaskFilter};

/// Lists tasks by the time at which they were submitted.
pub(crate) async fn list(ctx: &Context<'_>, filter: &TaskFilter, page: Page) -> Result<Connection<String, Task>> {
    let rows = tasks::list(&services(ctx)?.reads, &authorise::<ReadTasks>(ctx)?, filter, page).await;
    let rows = rows.map_err(|error| errors::database(&error))?;
    connection::connect(rows, page, |row| (row.submitted_at, row.task_id))
}

/// Conditions on tasks. A task must meet all conditions that are given.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "TaskFilter")]
pub(crate) struct Filter {
    /// Selects tasks with this status. Default: any status.
    status: Option<TaskStatus>,
    /// Selects tasks that are assigned to this agent. Global id or UUID.
    agent_id: Option<ID>,
    /// Selects tasks that are part of this DAG. Global id or UUID.
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

/// How many tasks have a status.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TaskStatusCount {
    /// Status.
    status: TaskStatus,
    /// Number of tasks.
    count: Long,
}

/// Queries for tasks.
#[derive(Default)]
pub(crate) struct TaskQuery;

#[Object]
impl TaskQuery {
    /// Returns a task by its id. Null if it does not exist.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the task.")] id: ID,
        #[graphql(
            desc = "Returns the task as it was at this position or time. `minPosition` has no effect then. Default: as it is \
                    now."
        )]
        as_of: Option<AsOf>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Option<Task>> {
        entity::find(ctx, &id, as_of, min_position).await
    }

    /// Lists tasks by the time at which they were submitted.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns only tasks that meet these conditions. Default: all tasks.")] filter: Option<Filter>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of tasks to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the tasks after this cursor. Default: from the first task on.")] after: Option<
            String,
        >,
        #[graphql(
            default_with = "Some(ListOrder::OldestFirst)",
            desc = "Order of the tasks. A cursor leads on in the order in which it is sent."
        )]
        order: Option<ListOrder>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, Task>> {
        authorise::<ReadTasks>(ctx)?;
        let filter = filter.unwrap_or_default().check()?;
        await_projections(ctx, Task::PROJECTIONS, min_position).await?;
        list(ctx, &filter, connection::page_in_order(ctx, first, after.as_deref(), order)?).await
    }

    /// Counts tasks by status, in the order of a task's life. A status that no task has is counted as 0.
    #[graphql(complexity = "COUNT_COST + child_complexity")]
    async fn task_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Counts only tasks that are assigned to this agent. Global id or UUID. Default: all tasks.")]
        agent_id: Option<ID>,
        #[graphql(desc = "Counts only tasks that are part of this DAG. Global id or UUID. Default: all tasks.")]
        dag_id: Option<ID>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Vec<TaskStatusCount>> {
        let access = authorise::<ReadTasks>(ctx)?;
        let (agent, dag) = (Kind::Agent.parse_opt(agent_id.as_ref())?, Kind::Dag.parse_opt(dag_id.as_ref())?);
        await_projections(ctx, Task::PROJECTIONS, min_position).await?;
        let rows = tasks::count_by_status(&services(ctx)?.reads, &access, agent, dag).await;
        let counts = counts(STATUSES, Status::as_str, rows.map_err(|error| errors::database(&error))?)?;
        Ok(counts.map(|(status, count)| TaskStatusCount { status: status.into(), count: count.into() }).into())
    }
}
