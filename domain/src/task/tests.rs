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
    given::<Task>([submitted(), started()]).when(TaskCommand::Complete { result: None, at: at(2) }).then([completed()]);
}

#[test]
fn progress_requires_a_running_task_and_at_most_100_percent() {
    let progress = |percent| TaskCommand::Progress { percent, note: None, at: at(2) };
    given::<Task>([submitted(), started()]).when(progress(40)).then([TaskEvent::Progressed(TaskProgressed {
        percent: 40,
        note: None,
        at: at(2),
    })]);
    given::<Task>([submitted(), started()]).when(progress(101)).then_rejected(TaskError::InvalidPercent(101));
    given::<Task>([submitted()])
        .when(progress(1))
        .then_rejected(TaskError::InvalidTransition { from: TaskStatus::Submitted, action: "progress" });
}

#[test]
fn a_task_that_was_not_started_can_fail_but_not_complete() {
    given::<Task>([submitted()])
        .when(TaskCommand::Complete { result: None, at: at(2) })
        .then_rejected(TaskError::InvalidTransition { from: TaskStatus::Submitted, action: "complete" });
    given::<Task>([submitted()])
        .when(TaskCommand::Fail { error: body("lost"), at: at(2) })
        .then([TaskEvent::Failed(TaskFailed { error: body("lost"), at: at(2) })]);
}

#[test]
fn an_ended_task_stays_ended() {
    given::<Task>([submitted(), started(), completed()])
        .when(TaskCommand::Cancel { reason: None, at: at(3) })
        .then_rejected(TaskError::InvalidTransition { from: TaskStatus::Completed, action: "be cancelled" });
    given::<Task>([submitted(), started(), completed()])
        .when(TaskCommand::Complete { result: None, at: at(3) })
        .then([]);
}

#[test]
fn a_task_is_started_once() {
    given::<Task>([submitted(), started()])
        .when(TaskCommand::Start { at: at(2) })
        .then_rejected(TaskError::AlreadyStarted);
}

/// A command with a different result, error or reason is rejected: if it succeeded without an event, the text would be
/// lost.
#[test]
fn ending_again_with_a_different_result_error_or_reason_is_rejected() {
    let other = || Some(body("other"));
    let completed = TaskEvent::Completed(TaskCompleted { result: Some(body("this")), at: at(2) });
    let failed = TaskEvent::Failed(TaskFailed { error: body("this"), at: at(2) });
    let cancelled = TaskEvent::Cancelled(TaskCancelled { reason: Some(body("this")), at: at(2) });
    let complete = |result| TaskCommand::Complete { result, at: at(3) };
    let fail = |error| TaskCommand::Fail { error, at: at(3) };
    let cancel = |reason| TaskCommand::Cancel { reason, at: at(3) };
    for (end, same, silent, different) in [
        (completed, complete(Some(body("this"))), complete(None), complete(other())),
        (failed, fail(body("this")), fail(body("this")), fail(body("other"))),
        (cancelled, cancel(Some(body("this"))), cancel(None), cancel(other())),
    ] {
        let task = given::<Task>([submitted(), started(), end.clone()]).when(same).then([]);
        given::<Task>([submitted(), started(), end.clone()]).when(silent).then([]);
        given::<Task>([submitted(), started(), end])
            .when(different)
            .then_rejected(TaskError::AlreadyEnded(task.status.unwrap()));
    }
    given::<Task>([submitted(), started(), self::completed()])
        .when(complete(other()))
        .then_rejected(TaskError::AlreadyEnded(TaskStatus::Completed));
}

#[test]
fn an_unknown_task_cannot_be_started() {
    given::<Task>([]).when(TaskCommand::Start { at: at(1) }).then_rejected(TaskError::NotSubmitted);
}

#[test]
fn an_id_cannot_be_submitted_with_another_spec() {
    let other = TaskSpec { title: name("other"), ..spec() };
    given::<Task>([submitted()])
        .when(TaskCommand::Submit { spec: other, at: at(0) })
        .then_rejected(TaskError::AlreadySubmitted);
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
