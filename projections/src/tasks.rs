//! The read model of tasks.

use crate::page::Page;
use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Key, StoredRow, StreamRow, agent_ids, apply_rows};
use crate::state::{StateTable, StateTopic};
use chrono::{DateTime, Utc};
use domain::permissions::{Access, ReadTasks};
use domain::task::{Task, TaskEvent, TaskSubmitted};
use domain::{AgentId, Aggregate, Body, Event};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, FromRow};
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// A task.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize, JsonSchema)]
pub struct TaskRow {
    /// The tenant that the task belongs to.
    pub tenant_id: String,
    /// The id of the task.
    pub task_id: Uuid,
    /// The agent that the task is assigned to.
    pub agent_id: Uuid,
    /// The task graph (DAG) that the task is part of.
    pub dag_id: Option<Uuid>,
    /// The title: what the agent is to do.
    pub title: String,
    /// The status: `submitted`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// The progress in percent, 0 to 100.
    pub percent: i16,
    /// The note of the last progress report.
    pub note: Option<String>,
    /// The result of a completed task, the error of a failed one, or the reason why it was cancelled.
    pub outcome: Option<String>,
    /// When the task was submitted.
    pub submitted_at: DateTime<Utc>,
    /// When the task was started.
    pub started_at: Option<DateTime<Utc>>,
    /// When the task was completed, failed or cancelled.
    pub ended_at: Option<DateTime<Utc>>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

macro_rules! columns {
    () => {
        "tenant_id, task_id, agent_id, dag_id, title, status, percent, note, outcome, submitted_at, started_at,
         ended_at, version, position"
    };
}

impl StoredRow for TaskRow {
    const LOAD: &'static str = concat!(
        "select ",
        columns!(),
        " from tasks where (tenant_id, task_id) in (select * from unnest($1::text[], $2::uuid[]))"
    );
    const UPSERT: &'static str = concat!(
        "insert into tasks (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::tasks, $1)
         on conflict (tenant_id, task_id) do update set
             status = excluded.status, percent = excluded.percent, note = excluded.note, outcome = excluded.outcome,
             started_at = excluded.started_at, ended_at = excluded.ended_at,
             version = excluded.version, position = excluded.position"
    );

    fn key(&self) -> Key {
        (self.tenant_id.clone(), self.task_id)
    }
}

impl StreamRow for TaskRow {
    type Read = ReadTasks;
    const CATEGORY: &'static str = Task::CATEGORY;

    fn is_read_by(&self, agent: AgentId) -> bool {
        self.agent_id == agent.0
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Task(event) = &*applied.event else { return Ok(row) };
        if let TaskEvent::Submitted(submitted) = event {
            return Ok(Some(Self::submitted(applied, submitted)));
        }
        let mut row = row.ok_or_else(|| applied.missing_row())?;
        let text = |body: &Option<Body>| body.as_ref().map(ToString::to_string);
        match event {
            TaskEvent::Submitted(_) => {}
            TaskEvent::Started(started) => {
                "running".clone_into(&mut row.status);
                row.started_at = Some(started.at);
            }
            TaskEvent::Progressed(progressed) => {
                row.percent = i16::from(progressed.percent);
                row.note = text(&progressed.note);
            }
            TaskEvent::Completed(completed) => {
                row.end("completed", text(&completed.result), completed.at);
                row.percent = 100;
            }
            TaskEvent::Failed(failed) => row.end("failed", Some(failed.error.to_string()), failed.at),
            TaskEvent::Cancelled(cancelled) => row.end("cancelled", text(&cancelled.reason), cancelled.at),
        }
        row.version = applied.version();
        row.position = applied.position();
        Ok(Some(row))
    }
}

impl TaskRow {
    fn submitted(applied: &Applied, submitted: &TaskSubmitted) -> Self {
        Self {
            tenant_id: applied.tenant().to_owned(),
            task_id: applied.stream_id(),
            agent_id: submitted.spec.agent_id.0,
            dag_id: submitted.spec.dag_id.map(|dag| dag.0),
            title: submitted.spec.title.to_string(),
            status: "submitted".to_owned(),
            percent: 0,
            note: None,
            outcome: None,
            submitted_at: submitted.at,
            started_at: None,
            ended_at: None,
            version: applied.version(),
            position: applied.position(),
        }
    }

    fn end(&mut self, status: &str, outcome: Option<String>, at: DateTime<Utc>) {
        status.clone_into(&mut self.status);
        self.outcome = outcome;
        self.ended_at = Some(at);
    }
}

pub(crate) struct Tasks;

impl Projection for Tasks {
    fn name(&self) -> &'static str {
        "tasks"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Task::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("tasks", "tenant_id, task_id")]
    }

    fn state_topic(&self) -> Option<StateTopic> {
        let table = StateTable {
            name: "tasks",
            checkpoint: "state:tasks",
            category: Task::CATEGORY,
            table: "apex.tasks",
            id: "task_id",
            hidden: &[],
            decimals: &[],
        };
        Some(StateTopic::new::<TaskRow>("a task", table))
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(apply_rows::<TaskRow>(connection, events))
    }
}

/// Which tasks to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only tasks with one of these ids; all tasks if empty.
    pub ids: Vec<Uuid>,
    /// Only tasks with this status.
    pub status: Option<String>,
    /// Only tasks that are assigned to this agent.
    pub agent_id: Option<Uuid>,
    /// Only tasks of this task graph.
    pub dag_id: Option<Uuid>,
}

/// Counts the tasks of a tenant by status: those of an agent and of a task graph, if they are given. A status that no task has is
/// not counted.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn count_by_status(
    reads: &TenantReads,
    access: &Access<ReadTasks>,
    agent_id: Option<Uuid>,
    dag_id: Option<Uuid>,
) -> Result<Vec<(String, i64)>, DatabaseError> {
    let count = "select status, count(*) from apex.tasks
         where tenant_id = $1 and ($2::uuid is null or agent_id = $2) and ($3::uuid is null or dag_id = $3)
           and ($4::uuid[] is null or agent_id = any ($4)) group by status";
    let query = sqlx::query_as(count).bind(access.tenant().as_str()).bind(agent_id).bind(dag_id);
    let query = query.bind(agent_ids(access.agents()));
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

/// Lists the tasks of a tenant by their submission, in the order of the page; the cursor is (`submitted_at`, `task_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadTasks>,
    filter: &TaskFilter,
    page: Page,
) -> Result<Vec<TaskRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.tasks
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or task_id = any ($2))
           and ($3::text is null or status = $3) and ($4::uuid is null or agent_id = $4)
           and ($5::uuid is null or dag_id = $5)
           and ($6::timestamptz is null or (submitted_at, task_id) {after} ($6, $7))
           and ($9::uuid[] is null or agent_id = any ($9))
         order by submitted_at {direction}, task_id {direction} limit $8"
    );
    let (after_time, after_id) = page.after();
    let query = sqlx::query_as(AssertSqlSafe(page.in_order(LIST)))
        .bind(access.tenant().as_str())
        .bind(&filter.ids)
        .bind(filter.status.as_deref());
    let query = query.bind(filter.agent_id).bind(filter.dag_id);
    let query = query.bind(after_time).bind(after_id).bind(page.limit()).bind(agent_ids(access.agents()));
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fold;

    const SUBMITTED: (&str, &str) = (
        "task.submitted",
        r#"{"title":"fix the build","agent_id":"0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01","at":"2023-09-01T07:00:00Z"}"#,
    );
    const STARTED: (&str, &str) = ("task.started", r#"{"at":"2023-09-01T08:00:00Z"}"#);

    #[test]
    fn a_completed_task_has_its_result_and_is_at_100_percent() {
        let progressed = ("task.progressed", r#"{"percent":40,"note":"compiling","at":"2023-09-01T08:30:00Z"}"#);
        let completed = ("task.completed", r#"{"result":"merged","at":"2023-09-01T09:00:00Z"}"#);
        let row: TaskRow = fold(&[SUBMITTED, STARTED, progressed, completed]).unwrap().unwrap();
        assert_eq!((&*row.status, row.percent, row.outcome.as_deref()), ("completed", 100, Some("merged")));
        assert_eq!((row.note.as_deref(), row.version, row.position), (Some("compiling"), 4, 4));
        let at = |hour| Some(format!("2023-09-01T{hour:02}:00:00Z").parse().unwrap());
        assert_eq!((Some(row.submitted_at), row.started_at, row.ended_at), (at(7), at(8), at(9)));
    }

    #[test]
    fn an_event_of_a_task_that_was_never_submitted_is_refused() {
        let error = fold::<TaskRow>(&[STARTED]).unwrap_err();
        assert!(error.is_permanent() && error.to_string().contains("has no row"), "{error}");
    }
}
