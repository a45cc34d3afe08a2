//! Tasks: units of work that agents perform.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{AgentId, DagId};
use crate::text::{Body, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// The status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// The task waits to be started.
    Submitted,
    /// An agent works on the task.
    Running,
    /// The task completed successfully.
    Completed,
    /// The task failed.
    Failed,
    /// The task was cancelled.
    Cancelled,
}

impl TaskStatus {
    /// All statuses.
    pub const ALL: [Self; 5] = [Self::Submitted, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The status as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The description of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSpec {
    /// What the task is about, in one line.
    pub title: Name,
    /// The agent that the task is assigned to.
    pub agent_id: AgentId,
    /// The task graph that the task belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dag_id: Option<DagId>,
}

/// A command to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskCommand {
    /// Submits the task.
    Submit {
        /// The description of the task.
        spec: TaskSpec,
        /// When the task was submitted.
        at: DateTime<Utc>,
    },
    /// Starts the task.
    Start {
        /// When the task was started.
        at: DateTime<Utc>,
    },
    /// Reports the progress of a running task.
    Progress {
        /// How much of the task is done, 0 to 100 percent.
        percent: u8,
        /// What was done.
        note: Option<Body>,
        /// When the progress was reported.
        at: DateTime<Utc>,
    },
    /// Marks the task as completed.
    Complete {
        /// The result of the task.
        result: Option<Body>,
        /// When the task completed.
        at: DateTime<Utc>,
    },
    /// Marks the task as failed.
    Fail {
        /// Why the task failed.
        error: Body,
        /// When the task failed.
        at: DateTime<Utc>,
    },
    /// Cancels the task.
    Cancel {
        /// Why the task was cancelled.
        reason: Option<Body>,
        /// When the task was cancelled.
        at: DateTime<Utc>,
    },
}

/// The payload of `task.submitted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSubmitted {
    /// The description of the task.
    #[serde(flatten)]
    pub spec: TaskSpec,
    /// When the task was submitted.
    pub at: DateTime<Utc>,
}

/// The payload of `task.started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStarted {
    /// When the task was started.
    pub at: DateTime<Utc>,
}

/// The payload of `task.progressed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskProgressed {
    /// How much of the task is done, 0 to 100 percent.
    #[schemars(range(max = 100))]
    pub percent: u8,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Body>,
    /// When the progress was reported.
    pub at: DateTime<Utc>,
}

/// The payload of `task.completed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCompleted {
    /// The result of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Body>,
    /// When the task completed.
    pub at: DateTime<Utc>,
}

/// The payload of `task.failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskFailed {
    /// Why the task failed.
    pub error: Body,
    /// When the task failed.
    pub at: DateTime<Utc>,
}

/// The payload of `task.cancelled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCancelled {
    /// Why the task was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When the task was cancelled.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a task.
    pub enum TaskEvent {
        /// The task was submitted.
        "task.submitted" v 1 => Submitted(TaskSubmitted),
        /// The task was started.
        "task.started" v 1 => Started(TaskStarted),
        /// Progress was reported.
        "task.progressed" v 1 => Progressed(TaskProgressed),
        /// The task completed successfully.
        "task.completed" v 1 => Completed(TaskCompleted),
        /// The task failed.
        "task.failed" v 1 => Failed(TaskFailed),
        /// The task was cancelled.
        "task.cancelled" v 1 => Cancelled(TaskCancelled),
    }
}

/// Why a command to a task is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskError {
    /// No task has this id.
    #[error("the task was not submitted")]
    NotSubmitted,
    /// A task with a different description has this id.
    #[error("a different task was submitted under this id")]
    AlreadySubmitted,
    /// The task is already running: another worker started it.
    #[error("the task is already running: another worker started it")]
    AlreadyStarted,
    /// The task already has this status, with a different result, error or reason, which is kept.
    #[error("the task is already {0}, with a different result, error or reason, which is kept")]
    AlreadyEnded(TaskStatus),
    /// The task's status does not allow the command.
    #[error("a {from} task cannot {action}")]
    InvalidTransition {
        /// The task's status.
        from: TaskStatus,
        /// What the command asks for, such as `be cancelled`.
        action: &'static str,
    },
    /// The progress is above 100 percent.
    #[error("progress is 0 to 100 percent, not {0}")]
    InvalidPercent(u8),
}

/// The state of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The description of the task; none before it is submitted.
    pub spec: Option<TaskSpec>,
    /// The status of the task; none before it is submitted.
    pub status: Option<TaskStatus>,
    /// How much of the task is done, 0 to 100 percent.
    pub percent: u8,
    /// When the task was started; its duration counts from here.
    pub started_at: Option<DateTime<Utc>>,
    /// The result, the error or the reason for the cancellation, if the task has ended and one was given.
    pub outcome: Option<Body>,
}

impl Task {
    fn start(&self, at: DateTime<Utc>) -> Result<Vec<TaskEvent>, TaskError> {
        match self.status {
            None => Err(TaskError::NotSubmitted),
            Some(TaskStatus::Submitted) => Ok(vec![TaskEvent::Started(TaskStarted { at })]),
            // Not idempotent: two workers that both start the task successfully would both execute it.
            Some(TaskStatus::Running) => Err(TaskError::AlreadyStarted),
            Some(from) => Err(TaskError::InvalidTransition { from, action: "start" }),
        }
    }

    /// Ends the task. Returns no event if the task already ended with the same status, and rejects a result, error or
    /// reason that differs from the known one: it would be lost.
    fn end(
        &self,
        action: &'static str,
        from: &[TaskStatus],
        (to, outcome): (TaskStatus, Option<Body>),
        event: impl FnOnce(Option<Body>) -> TaskEvent,
    ) -> Result<Vec<TaskEvent>, TaskError> {
        match self.status {
            None => Err(TaskError::NotSubmitted),
            Some(status) if status == to => {
                let would_be_lost = outcome.is_some() && outcome != self.outcome;
                if would_be_lost { Err(TaskError::AlreadyEnded(status)) } else { Ok(Vec::new()) }
            }
            Some(status) if from.contains(&status) => Ok(vec![event(outcome)]),
            Some(status) => Err(TaskError::InvalidTransition { from: status, action }),
        }
    }

    fn progress(&self, percent: u8, note: Option<Body>, at: DateTime<Utc>) -> Result<Vec<TaskEvent>, TaskError> {
        if percent > 100 {
            return Err(TaskError::InvalidPercent(percent));
        }
        match self.status {
            None => Err(TaskError::NotSubmitted),
            Some(TaskStatus::Running) if percent == self.percent && note.is_none() => Ok(Vec::new()),
            Some(TaskStatus::Running) => Ok(vec![TaskEvent::Progressed(TaskProgressed { percent, note, at })]),
            Some(from) => Err(TaskError::InvalidTransition { from, action: "progress" }),
        }
    }
}

impl Aggregate for Task {
    const CATEGORY: &'static str = "task";
    type Command = TaskCommand;
    type Event = TaskEvent;
    type Error = TaskError;

    fn decide(&self, command: TaskCommand) -> Result<Vec<TaskEvent>, TaskError> {
        use TaskStatus::{Cancelled, Completed, Failed, Running, Submitted};
        match command {
            TaskCommand::Submit { spec, at } => match &self.spec {
                None => Ok(vec![TaskEvent::Submitted(TaskSubmitted { spec, at })]),
                Some(known) if *known == spec => Ok(Vec::new()),
                Some(_) => Err(TaskError::AlreadySubmitted),
            },
            TaskCommand::Start { at } => self.start(at),
            TaskCommand::Progress { percent, note, at } => self.progress(percent, note, at),
            TaskCommand::Complete { result, at } => {
                let completed = |result| TaskEvent::Completed(TaskCompleted { result, at });
                self.end("complete", &[Running], (Completed, result), completed)
            }
            TaskCommand::Fail { error, at } => {
                let failed = |_| TaskEvent::Failed(TaskFailed { error: error.clone(), at });
                self.end("fail", &[Submitted, Running], (Failed, Some(error.clone())), failed)
            }
            TaskCommand::Cancel { reason, at } => {
                let cancelled = |reason| TaskEvent::Cancelled(TaskCancelled { reason, at });
                self.end("be cancelled", &[Submitted, Running], (Cancelled, reason), cancelled)
            }
        }
    }

    fn owner(&self, _: Uuid) -> Option<AgentId> {
        self.spec.as_ref().map(|spec| spec.agent_id)
    }

    fn evolve(mut self, event: &TaskEvent) -> Self {
        match event {
            TaskEvent::Submitted(submitted) => {
                self.spec = Some(submitted.spec.clone());
                self.status = Some(TaskStatus::Submitted);
            }
            TaskEvent::Started(started) => {
                self.status = Some(TaskStatus::Running);
                self.started_at = Some(started.at);
            }
            TaskEvent::Progressed(progressed) => self.percent = progressed.percent,
            TaskEvent::Completed(completed) => {
                self.status = Some(TaskStatus::Completed);
                self.percent = 100;
                self.outcome.clone_from(&completed.result);
            }
            TaskEvent::Failed(failed) => {
                self.status = Some(TaskStatus::Failed);
                self.outcome = Some(failed.error.clone());
            }
            TaskEvent::Cancelled(cancelled) => {
                self.status = Some(TaskStatus::Cancelled);
                self.outcome.clone_from(&cancelled.reason);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
