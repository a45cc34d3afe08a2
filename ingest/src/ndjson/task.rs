//! Lines that state a task: what it is, and how far it is. What a line does not say stays as it is.

use super::error::LineError;
use super::fields::LineFields;
use super::recorder::{Applied, NotRecorded, Recorder, execute};
use crate::connection::Connection;
use crate::record::AgentRef;
use chrono::{DateTime, Utc};
use commands::Error;
use domain::task::{Task, TaskCommand, TaskError, TaskSpec, TaskStatus};
use domain::{Body, DagId, TaskId};
use uuid::Uuid;

/// The fields of a task.
pub(super) const FIELDS: [&str; 12] = [
    "type",
    "id",
    "title",
    "agent",
    "dag",
    "status",
    "submitted_at",
    "started_at",
    "ended_at",
    "result",
    "error",
    "reason",
];

/// A task as a line states it.
#[derive(Debug)]
pub struct TaskLine {
    pub(super) id: TaskId,
    spec: TaskSpec,
    agent: Option<AgentRef>,
    submitted_at: DateTime<Utc>,
    /// When it started; none if it has not, or did not before it failed or was cancelled.
    started_at: Option<DateTime<Utc>>,
    end: Option<TaskCommand>,
}

pub(super) fn parse(fields: &LineFields<'_>) -> Result<TaskLine, LineError> {
    fields.allow("task", &FIELDS)?;
    let id = fields.task("id")?.ok_or(LineError::Missing("id"))?;
    let title = fields.name("title")?.ok_or(LineError::Missing("title"))?;
    let (agent_id, agent) = fields.agent()?;
    let agent_id = agent_id.ok_or(LineError::Missing("agent"))?;
    let dag_id = fields.text("dag")?.map(|text| text.parse::<Uuid>().map(DagId)).transpose();
    let dag_id = dag_id.map_err(|_| LineError::invalid("dag", "the text is not a UUID"))?;
    let status = fields.word("status", &TaskStatus::ALL, TaskStatus::as_str)?.unwrap_or(TaskStatus::Submitted);
    let [submitted, started, ended] =
        [fields.time("submitted_at")?, fields.time("started_at")?, fields.time("ended_at")?];
    let submitted_at = submitted.or(started).or(ended).unwrap_or(fields.now);
    let end = end(fields, status, ended.unwrap_or(fields.now))?;
    // A task completes after it started, also if its line does not say when.
    let must_start = matches!(status, TaskStatus::Running | TaskStatus::Completed);
    let started_at = if must_start { Some(started.unwrap_or(submitted_at)) } else { started };
    if status == TaskStatus::Submitted && (started.is_some() || ended.is_some()) {
        return Err(LineError::invalid("status", "a submitted task has neither started nor ended"));
    }
    Ok(TaskLine { id, spec: TaskSpec { title, agent_id, dag_id }, agent, submitted_at, started_at, end })
}

/// The command that gives a task its final status; none if the status is not final.
fn end(fields: &LineFields<'_>, status: TaskStatus, at: DateTime<Utc>) -> Result<Option<TaskCommand>, LineError> {
    let of = |field: &'static str, allowed: TaskStatus| -> Result<Option<Body>, LineError> {
        let text = fields.body(field)?;
        match text {
            Some(_) if status != allowed => {
                Err(LineError::invalid(field, format_args!("a {status} task has none, a {allowed} one may")))
            }
            text => Ok(text),
        }
    };
    let result = of("result", TaskStatus::Completed)?;
    let error = of("error", TaskStatus::Failed)?;
    let reason = of("reason", TaskStatus::Cancelled)?;
    Ok(match status {
        TaskStatus::Submitted | TaskStatus::Running => None,
        TaskStatus::Completed => Some(TaskCommand::Complete { result, at }),
        TaskStatus::Failed => Some(TaskCommand::Fail { error: error.ok_or(LineError::Missing("error"))?, at }),
        TaskStatus::Cancelled => Some(TaskCommand::Cancel { reason, at }),
    })
}

impl TaskLine {
    pub(super) async fn record(self, recorder: &Recorder) -> Result<Applied, NotRecorded> {
        let Self { id, mut spec, mut agent, submitted_at, started_at, end } = self;
        if let Some(bound) = recorder.bound_agent() {
            (spec.agent_id, agent) = (bound, None);
        }
        recorder.create_agent(agent.as_ref(), submitted_at).await?;
        let (connection, mut applied) = (recorder.connection(), Applied::of(id.0));
        let submit = TaskCommand::Submit { spec, at: submitted_at };
        applied.create(execute::<Task>(connection, id.0, true, submit).await.map_err(not_recorded)?);
        if let Some(at) = started_at {
            applied.change(start(connection, id, at).await?);
        }
        if let Some(end) = end {
            applied.change(execute::<Task>(connection, id.0, false, end).await.map_err(not_recorded)?);
        }
        Ok(applied)
    }
}

/// Starts the task, unless it has started or ended before: then the line is behind it.
async fn start(
    connection: &Connection,
    id: TaskId,
    at: DateTime<Utc>,
) -> Result<Option<commands::Outcome<Task>>, NotRecorded> {
    match execute::<Task>(connection, id.0, false, TaskCommand::Start { at }).await {
        Ok(outcome) => Ok(outcome),
        Err(Error::Rejected(TaskError::AlreadyStarted | TaskError::InvalidTransition { .. })) => Ok(None),
        Err(error) => Err(not_recorded(error)),
    }
}

fn not_recorded(error: Error<TaskError>) -> NotRecorded {
    NotRecorded::of(error, |rejected| match rejected {
        TaskError::AlreadySubmitted => LineError::Conflict(rejected.to_string()),
        rejected => LineError::Rejected(rejected.to_string()),
    })
}
