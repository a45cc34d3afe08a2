//! Tasks: what is to be done.

use crate::codec::events;
use crate::{AgentId, Aggregate, Body, DagId, Name};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
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

impl TaskStatus {
    /// The name used on every wire.
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

/// What a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSpec {
    /// What is to be done, in a line.
    pub title: Name,
    /// Whose task it is.
    pub agent_id: AgentId,
    /// The graph that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dag_id: Option<DagId>,
}

/// What may be asked of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskCommand {
    /// Put it up.
    Submit {
        /// What it is.
        spec: TaskSpec,
        /// When.
        at: DateTime<Utc>,
    },
    /// Begin work.
    Start {
        /// When.
        at: DateTime<Utc>,
    },
    /// Say how far it is.
    Progress {
        /// 0 to 100.
        percent: u8,
        /// What was done.
        note: Option<Body>,
        /// When.
        at: DateTime<Utc>,
    },
    /// End it well.
    Complete {
        /// What came of it.
        result: Option<Body>,
        /// When.
        at: DateTime<Utc>,
    },
    /// End it badly.
    Fail {
        /// What went wrong.
        error: Body,
        /// When.
        at: DateTime<Utc>,
    },
    /// Call it off.
    Cancel {
        /// Why.
        reason: Option<Body>,
        /// When.
        at: DateTime<Utc>,
    },
}

/// `task.submitted`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSubmitted {
    /// What it is.
    #[serde(flatten)]
    pub spec: TaskSpec,
    /// When.
    pub at: DateTime<Utc>,
}

/// `task.started`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStarted {
    /// When.
    pub at: DateTime<Utc>,
}

/// `task.progressed`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskProgressed {
    /// 0 to 100.
    #[schemars(range(max = 100))]
    pub percent: u8,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// `task.completed`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCompleted {
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// `task.failed`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskFailed {
    /// What went wrong.
    pub error: Body,
    /// When.
    pub at: DateTime<Utc>,
}

/// `task.cancelled`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCancelled {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

events! {
    /// What may have happened to a task.
    pub enum TaskEvent {
        /// It was put up.
        "task.submitted" v 1 => Submitted(TaskSubmitted),
        /// Work began.
        "task.started" v 1 => Started(TaskStarted),
        /// It got further.
        "task.progressed" v 1 => Progressed(TaskProgressed),
        /// It ended well.
        "task.completed" v 1 => Completed(TaskCompleted),
        /// It ended badly.
        "task.failed" v 1 => Failed(TaskFailed),
        /// It was called off.
        "task.cancelled" v 1 => Cancelled(TaskCancelled),
    }
}

/// Why a command to a task is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskError {
    /// No task has this id.
    #[error("the task was not submitted")]
    NotSubmitted,
    /// The id belongs to another task.
    #[error("another task was submitted under this id")]
    AlreadySubmitted,
    /// Somebody has begun work on it already.
    #[error("the task was started before: whoever did works on it")]
    AlreadyStarted,
    /// It ended in the same way, but somebody said something else of it.
    #[error("the task is {0} already, with another result, error or reason, which stays")]
    AlreadyEnded(TaskStatus),
    /// The step is not possible from here.
    #[error("a {from} task cannot {step}")]
    NotPossible {
        /// Where it is.
        from: TaskStatus,
        /// What was asked.
        step: &'static str,
    },
    /// More than all of it.
    #[error("progress is 0 to 100 percent, not {0}")]
    BadPercent(u8),
}

/// A task's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What it is, once submitted.
    pub spec: Option<TaskSpec>,
    /// Where it is, once submitted.
    pub status: Option<TaskStatus>,
    /// How far it is, 0 to 100.
    pub percent: u8,
    /// When work began: the start of its duration.
    pub started_at: Option<DateTime<Utc>>,
    /// Its result, its error or the reason why it was cancelled, once it has ended and if one was given.
    pub outcome: Option<Body>,
}

impl Task {
    fn start(&self, at: DateTime<Utc>) -> Result<Vec<TaskEvent>, TaskError> {
        match self.status {
            None => Err(TaskError::NotSubmitted),
            Some(TaskStatus::Submitted) => Ok(vec![TaskEvent::Started(TaskStarted { at })]),
            // Two workers that each believe the task to be theirs would both do it.
            Some(TaskStatus::Running) => Err(TaskError::AlreadyStarted),
            Some(from) => Err(TaskError::NotPossible { from, step: "start" }),
        }
    }

    /// Ends the task. To end it again as it ended changes nothing, unless something would be lost: a result, an error or
    /// a reason that is not the one that is known.
    fn end(
        &self,
        step: &'static str,
        from: &[TaskStatus],
        (to, outcome): (TaskStatus, Option<Body>),
        event: impl FnOnce(Option<Body>) -> TaskEvent,
    ) -> Result<Vec<TaskEvent>, TaskError> {
        match self.status {
            None => Err(TaskError::NotSubmitted),
            Some(status) if status == to => {
                let is_lost = outcome.is_some() && outcome != self.outcome;
                if is_lost { Err(TaskError::AlreadyEnded(status)) } else { Ok(Vec::new()) }
            }
            Some(status) if from.contains(&status) => Ok(vec![event(outcome)]),
            Some(status) => Err(TaskError::NotPossible { from: status, step }),
        }
    }

    fn progress(&self, percent: u8, note: Option<Body>, at: DateTime<Utc>) -> Result<Vec<TaskEvent>, TaskError> {
        if percent > 100 {
            return Err(TaskError::BadPercent(percent));
        }
        match self.status {
            None => Err(TaskError::NotSubmitted),
            Some(TaskStatus::Running) if percent == self.percent && note.is_none() => Ok(Vec::new()),
            Some(TaskStatus::Running) => Ok(vec![TaskEvent::Progressed(TaskProgressed { percent, note, at })]),
            Some(from) => Err(TaskError::NotPossible { from, step: "progress" }),
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
mod tests {
    use super::*;
    use crate::testing::{at, body, given, name, uuid};
    use proptest::prelude::*;

    fn spec() -> TaskSpec {
        TaskSpec { title: name("fix the build"), agent_id: AgentId(uuid(1)), dag_id: None }
    }
    fn submitted() -> TaskEvent {
        TaskEvent::Submitted(TaskSubmitted { spec: spec(), at: at(0) })
    }
    fn started() -> TaskEvent {
        TaskEvent::Started(TaskStarted { at: at(1) })
    }
    fn completed() -> TaskEvent {
        TaskEvent::Completed(TaskCompleted { result: None, at: at(2) })
    }

    #[test]
    fn a_task_is_submitted_started_and_completed() {
        given::<Task>([]).when(TaskCommand::Submit { spec: spec(), at: at(0) }).then([submitted()]);
        given::<Task>([submitted()]).when(TaskCommand::Start { at: at(1) }).then([started()]);
        given::<Task>([submitted(), started()])
            .when(TaskCommand::Complete { result: None, at: at(2) })
            .then([completed()]);
    }

    #[test]
    fn progress_needs_work_in_progress_and_a_real_percentage() {
        let progress = |percent| TaskCommand::Progress { percent, note: None, at: at(2) };
        given::<Task>([submitted(), started()]).when(progress(40)).then([TaskEvent::Progressed(TaskProgressed {
            percent: 40,
            note: None,
            at: at(2),
        })]);
        given::<Task>([submitted(), started()]).when(progress(101)).then_refused(TaskError::BadPercent(101));
        given::<Task>([submitted()])
            .when(progress(1))
            .then_refused(TaskError::NotPossible { from: TaskStatus::Submitted, step: "progress" });
    }

    #[test]
    fn what_was_not_started_cannot_be_completed_but_can_fail() {
        given::<Task>([submitted()])
            .when(TaskCommand::Complete { result: None, at: at(2) })
            .then_refused(TaskError::NotPossible { from: TaskStatus::Submitted, step: "complete" });
        given::<Task>([submitted()])
            .when(TaskCommand::Fail { error: body("lost"), at: at(2) })
            .then([TaskEvent::Failed(TaskFailed { error: body("lost"), at: at(2) })]);
    }

    #[test]
    fn an_ended_task_stays_ended() {
        given::<Task>([submitted(), started(), completed()])
            .when(TaskCommand::Cancel { reason: None, at: at(3) })
            .then_refused(TaskError::NotPossible { from: TaskStatus::Completed, step: "be cancelled" });
        given::<Task>([submitted(), started(), completed()])
            .when(TaskCommand::Complete { result: None, at: at(3) })
            .then([]);
    }

    #[test]
    fn a_task_is_started_once() {
        given::<Task>([submitted(), started()])
            .when(TaskCommand::Start { at: at(2) })
            .then_refused(TaskError::AlreadyStarted);
    }

    /// What somebody says of an end is never dropped as already done.
    #[test]
    fn a_task_that_ends_again_with_something_else_is_refused() {
        let other = || Some(body("other"));
        let completed = TaskEvent::Completed(TaskCompleted { result: Some(body("this")), at: at(2) });
        let failed = TaskEvent::Failed(TaskFailed { error: body("this"), at: at(2) });
        let cancelled = TaskEvent::Cancelled(TaskCancelled { reason: Some(body("this")), at: at(2) });
        let complete = |result| TaskCommand::Complete { result, at: at(3) };
        let fail = |error| TaskCommand::Fail { error, at: at(3) };
        let cancel = |reason| TaskCommand::Cancel { reason, at: at(3) };
        for (end, same, silent, else_) in [
            (completed, complete(Some(body("this"))), complete(None), complete(other())),
            (failed, fail(body("this")), fail(body("this")), fail(body("other"))),
            (cancelled, cancel(Some(body("this"))), cancel(None), cancel(other())),
        ] {
            let task = given::<Task>([submitted(), started(), end.clone()]).when(same).then([]);
            given::<Task>([submitted(), started(), end.clone()]).when(silent).then([]);
            given::<Task>([submitted(), started(), end])
                .when(else_)
                .then_refused(TaskError::AlreadyEnded(task.status.unwrap()));
        }
        given::<Task>([submitted(), started(), self::completed()])
            .when(complete(other()))
            .then_refused(TaskError::AlreadyEnded(TaskStatus::Completed));
    }

    #[test]
    fn an_unknown_task_cannot_be_started() {
        given::<Task>([]).when(TaskCommand::Start { at: at(1) }).then_refused(TaskError::NotSubmitted);
    }

    #[test]
    fn an_id_cannot_be_taken_over() {
        let other = TaskSpec { title: name("other"), ..spec() };
        given::<Task>([submitted()])
            .when(TaskCommand::Submit { spec: other, at: at(0) })
            .then_refused(TaskError::AlreadySubmitted);
    }

    fn any_command() -> impl Strategy<Value = TaskCommand> {
        prop_oneof![
            Just(TaskCommand::Submit { spec: spec(), at: at(0) }),
            Just(TaskCommand::Start { at: at(1) }),
            (0_u8..=110).prop_map(|percent| TaskCommand::Progress { percent, note: None, at: at(2) }),
            Just(TaskCommand::Complete { result: None, at: at(3) }),
            Just(TaskCommand::Fail { error: body("x"), at: at(3) }),
            Just(TaskCommand::Cancel { reason: None, at: at(3) }),
        ]
    }

    proptest! {
        #[test]
        fn a_task_ends_once(commands in proptest::collection::vec(any_command(), 0..40)) {
            let mut task = Task::default();
            let mut ends = 0;
            for command in commands {
                if let Ok(events) = task.decide(command.clone()) {
                    ends += events.iter().filter(|event| matches!(event,
                        TaskEvent::Completed(_) | TaskEvent::Failed(_) | TaskEvent::Cancelled(_))).count();
                    task = events.iter().fold(task, |task, event| task.evolve(event));
                    let again = match command {
                        TaskCommand::Start { .. } => Err(TaskError::AlreadyStarted),
                        _ => Ok(vec![]),
                    };
                    prop_assert_eq!(task.decide(command), again);
                }
                prop_assert!(ends <= 1);
                prop_assert!(task.percent <= 100);
            }
        }
    }
}
