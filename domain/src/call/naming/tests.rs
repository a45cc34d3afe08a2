use crate::Aggregate;
use crate::call::tests::{correct, facts, prices, report};
use crate::call::{Call, CallCommand, CallFacts, CallNames, Field, RecordKey};
use crate::ids::AgentId;
use crate::testing::{at, name, uuid};

fn agent(number: u128) -> AgentId {
    AgentId(uuid(number))
}

/// A record of a span that started at a second, with the agent that is known for it.
fn span(second: i64, agent_id: Option<AgentId>) -> CallFacts {
    CallFacts { agent_id, started_at: at(second), record_id: Some(name("span")), ..facts(10, 3) }
}

fn naming(second: i64, number: u128) -> CallCommand {
    let record = RecordKey { at: at(second), source: name("test"), id: Some(name("span")) };
    CallCommand::Name { record, names: CallNames { agent_id: Some(agent(number)), ..CallNames::default() } }
}

fn after(commands: impl IntoIterator<Item = CallCommand>) -> Call {
    commands.into_iter().fold(Call::default(), |call, command| {
        let events = call.decide(command).unwrap();
        events.iter().fold(call, |call, event| call.evolve(event))
    })
}

fn agent_of(call: &Call) -> Option<AgentId> {
    call.charged.as_ref().unwrap().facts.agent_id
}

#[test]
fn a_name_that_comes_later_replaces_what_its_record_said() {
    for (before, now) in [(None, 7), (Some(agent(1)), 7), (Some(agent(9)), 7)] {
        let late = after([report(span(0, before), prices(3)), naming(0, now)]);
        let early = after([report(span(0, Some(agent(now))), prices(3))]);
        assert_eq!(late, early, "as if it had been known at once");
        assert!(late.decide(naming(0, now)).unwrap().is_empty());
    }
}

#[test]
fn a_record_with_a_lower_key_still_counts_instead() {
    let other = |second, number| CallFacts { record_id: Some(name("other")), ..span(second, Some(agent(number))) };
    let earlier = after([report(span(5, None), prices(3)), report(other(1, 2), prices(3)), naming(5, 7)]);
    assert_eq!(agent_of(&earlier), Some(agent(2)));
    let later = after([report(span(5, None), prices(3)), report(other(8, 2), prices(3)), naming(5, 7)]);
    assert_eq!(agent_of(&later), Some(agent(7)));
    let known_at_once = after([report(other(8, 2), prices(3)), report(span(5, Some(agent(7))), prices(3))]);
    assert_eq!(later, known_at_once);
}

#[test]
fn a_correction_counts_instead() {
    let fields = [Field::AgentId];
    let corrected = after([
        report(span(0, None), prices(3)),
        correct(&fields, CallFacts { agent_id: Some(agent(4)), ..facts(0, 0) }, prices(3)),
        naming(0, 7),
    ]);
    assert_eq!(agent_of(&corrected), Some(agent(4)));
}

#[test]
fn a_call_that_is_not_counted_is_not_named() {
    assert!(Call::default().decide(naming(0, 7)).unwrap().is_empty());
}
