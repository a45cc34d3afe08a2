use super::*;
use crate::testing::{at, body, given, name};
use proptest::prelude::*;

fn profile() -> Profile {
    Profile { name: name("ada"), kind: None, model: None, labels: Labels::default() }
}
fn registered() -> AgentEvent {
    AgentEvent::Registered(AgentRegistered { profile: profile(), at: at(0) })
}
fn activated() -> AgentEvent {
    AgentEvent::Activated(AgentStarted { at: at(1) })
}
fn paused() -> AgentEvent {
    AgentEvent::Paused(AgentStopped { reason: None, at: at(2) })
}
fn retired() -> AgentEvent {
    AgentEvent::Retired(AgentStopped { reason: None, at: at(3) })
}

#[test]
fn an_unknown_agent_can_be_registered() {
    given::<Agent>([]).when(AgentCommand::Register { profile: profile(), at: at(0) }).then([registered()]);
}

#[test]
fn stopping_again_for_a_different_reason_is_rejected() {
    let because = |reason: &str| AgentStopped { reason: Some(body(reason)), at: at(2) };
    let paused = AgentEvent::Paused(because("lunch"));
    let retired = AgentEvent::Retired(because("age"));
    let pause = |reason: Option<&str>| AgentCommand::Pause { reason: reason.map(body), at: at(3) };
    let retire = |reason: Option<&str>| AgentCommand::Retire { reason: reason.map(body), at: at(3) };
    for (stop, same, silent, other, status) in [
        (paused, pause(Some("lunch")), pause(None), pause(Some("fire")), AgentStatus::Paused),
        (retired, retire(Some("age")), retire(None), retire(Some("fire")), AgentStatus::Retired),
    ] {
        given::<Agent>([registered(), activated(), stop.clone()]).when(same).then([]);
        given::<Agent>([registered(), activated(), stop.clone()]).when(silent).then([]);
        given::<Agent>([registered(), activated(), stop]).when(other).then_rejected(AgentError::AlreadyStopped(status));
    }
}

#[test]
fn registering_the_same_again_changes_nothing() {
    given::<Agent>([registered()]).when(AgentCommand::Register { profile: profile(), at: at(9) }).then([]);
}

#[test]
fn an_id_cannot_be_registered_with_another_profile() {
    let other = Profile { name: name("bob"), ..profile() };
    given::<Agent>([registered()])
        .when(AgentCommand::Register { profile: other, at: at(9) })
        .then_rejected(AgentError::AlreadyRegistered);
}

#[test]
fn an_unregistered_agent_accepts_no_other_command() {
    given::<Agent>([]).when(AgentCommand::Pause { reason: None, at: at(2) }).then_rejected(AgentError::NotRegistered);
}

#[test]
fn an_agent_is_activated_paused_resumed_and_retired() {
    given::<Agent>([registered()]).when(AgentCommand::Activate { at: at(1) }).then([activated()]);
    given::<Agent>([registered(), activated()]).when(AgentCommand::Pause { reason: None, at: at(2) }).then([paused()]);
    given::<Agent>([registered(), activated(), paused()])
        .when(AgentCommand::Resume { at: at(3) })
        .then([AgentEvent::Resumed(AgentStarted { at: at(3) })]);
    given::<Agent>([registered()]).when(AgentCommand::Retire { reason: None, at: at(3) }).then([retired()]);
}

#[test]
fn a_retired_agent_stays_retired() {
    given::<Agent>([registered(), retired()])
        .when(AgentCommand::Activate { at: at(4) })
        .then_rejected(AgentError::InvalidTransition { from: AgentStatus::Retired, action: "be activated" });
    given::<Agent>([registered(), retired()]).when(AgentCommand::Retire { reason: None, at: at(4) }).then([]);
}

#[test]
fn a_registered_agent_cannot_be_paused() {
    given::<Agent>([registered()])
        .when(AgentCommand::Pause { reason: None, at: at(4) })
        .then_rejected(AgentError::InvalidTransition { from: AgentStatus::Registered, action: "be paused" });
}

fn any_command() -> impl Strategy<Value = AgentCommand> {
    prop_oneof![
        Just(AgentCommand::Register { profile: profile(), at: at(0) }),
        Just(AgentCommand::Activate { at: at(1) }),
        Just(AgentCommand::Pause { reason: None, at: at(2) }),
        Just(AgentCommand::Resume { at: at(3) }),
        Just(AgentCommand::Retire { reason: None, at: at(4) }),
    ]
}

proptest! {
    /// A command that was accepted appends nothing when it is given again, and a retired agent stays retired.
    #[test]
    fn accepted_commands_hold(commands in proptest::collection::vec(any_command(), 0..30)) {
        let mut agent = Agent::default();
        for command in commands {
            let was_retired = agent.status == Some(AgentStatus::Retired);
            if let Ok(events) = agent.decide(command.clone()) {
                agent = events.iter().fold(agent, |agent, event| agent.evolve(event));
                prop_assert_eq!(agent.decide(command), Ok(vec![]));
            }
            prop_assert!(!was_retired || agent.status == Some(AgentStatus::Retired));
        }
    }
}
