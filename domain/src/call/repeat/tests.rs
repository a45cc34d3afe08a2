use crate::Aggregate;
use crate::call::taking_back::tests::{
    import, imported, known, reporters, reversed as reversed_by, take_back, withdrawn,
};
use crate::call::tests::{facts, prices, recorded, report};
use crate::call::{
    Call, CallCommand, CallConfirmed, CallEvent, CallFacts, CallIds, CallReversed, NamedCalls, Reporters,
};
use crate::ids::CallId;
use crate::testing::{given, uuid};
use std::convert::Infallible;
use std::sync::Arc;

/// A call that imports reported, and that turned out to repeat others.
fn reversed(imports: &[Option<u128>]) -> [CallEvent; 2] {
    let before = known(imports);
    [recorded(before.clone()), CallEvent::Reversed(CallReversed::repeat(before))]
}

fn charge(facts: CallFacts, by: Option<u128>) -> CallCommand {
    CallCommand::Charge { facts, prices: prices(3), reported_by: Reporters::of(by.map(import)) }
}

#[test]
fn a_repeat_that_is_imported_again_is_not_counted() {
    given::<Call>(reversed(&[Some(1)])).when(imported(facts(10, 3), Some(1))).then([]);
    // Another import of the same record is noted, so that the call stays with it if it is charged after all.
    let confirmed = CallEvent::Confirmed(CallConfirmed { reported_by: reporters(&[Some(2)]) });
    let call = given::<Call>(reversed(&[Some(1)])).when(imported(facts(10, 3), Some(2))).then([confirmed]);
    assert!(call.charged.is_none());
    assert_eq!(call.decide(imported(facts(10, 3), Some(2))), Ok(Vec::new()));
    assert_eq!(call.decide(charge(facts(10, 3), Some(1))), Ok(vec![recorded(known(&[Some(1), Some(2)]))]));
    // More imports reported it than are listed.
    let many: Vec<_> = (1..=17).map(Some).collect();
    given::<Call>(reversed(&many)).when(imported(facts(10, 3), Some(17))).then([]);
}

/// The control: without the reversal as a repeat, each of these is counted.
#[test]
fn what_was_not_known_of_a_repeat_is_counted() {
    let grown = crate::call::ChargedCall {
        reported_by: reporters(&[Some(2)]),
        ..crate::call::tests::charged(facts(10, 4), prices(3))
    };
    let many: Vec<_> = [1].into_iter().chain(3..=20).map(Some).collect();
    for imports in [&[Some(1)][..], &many[..]] {
        given::<Call>(reversed(imports)).when(imported(facts(10, 4), Some(2))).then([recorded(grown.clone())]);
    }
    // An import that reported it says nothing new by another of its records.
    given::<Call>(reversed(&[Some(1)])).when(imported(facts(10, 4), Some(1))).then([]);
    given::<Call>(reversed(&[Some(1)])).when(report(facts(10, 3), prices(3))).then([recorded(known(&[None]))]);
    let before = known(&[Some(1)]);
    let taken_back = reversed_by(before.clone(), Some(1));
    let call = given::<Call>([recorded(before)]).when(take_back(1)).then([taken_back]);
    assert_eq!(call.decide(imported(facts(10, 3), Some(1))), Ok(vec![recorded(known(&[Some(1)]))]));
}

#[test]
fn a_repeat_that_is_charged_again_has_all_of_its_reporters() {
    let call = given::<Call>(reversed(&[Some(1), None]))
        .when(charge(facts(10, 3), Some(1)))
        .then([recorded(known(&[Some(1), None]))]);
    assert_eq!(call.decide(take_back(1)), Ok(vec![withdrawn(1, &[None])]), "it stays");
}

#[test]
fn an_import_of_a_repeat_that_is_taken_back_is_not_its_reporter_any_more() {
    let call = given::<Call>(reversed(&[Some(1), Some(2)])).when(take_back(1)).then([withdrawn(1, &[Some(2)])]);
    assert_eq!(call.decide(take_back(1)), Ok(Vec::new()));
    assert_eq!(call.decide(charge(facts(10, 3), Some(2))), Ok(vec![recorded(known(&[Some(2)]))]));
    // With its last reporter, it is forgotten that it repeated others: nothing but a new report can tell.
    let CallEvent::ReportWithdrawn(mut last) = withdrawn(2, &[Some(2)]) else { unreachable!() };
    last.reported_by = Reporters::default();
    let events = call.decide(take_back(2)).unwrap();
    assert_eq!(events, [CallEvent::ReportWithdrawn(last)]);
    let call = events.iter().fold(call, |call, event| call.evolve(event));
    assert_eq!(call, Call::default());
    assert_eq!(call.decide(imported(facts(10, 3), Some(2))), Ok(vec![recorded(known(&[Some(2)]))]));
}

#[test]
fn a_repeat_is_found_by_any_id_of_its_record() {
    let [low, high] = [1, 2].map(|number| CallId(uuid(number)));
    let repeat = Arc::new(reversed(&[Some(1)]).iter().fold(Call::default(), Call::evolve));
    let decide = |command| {
        let state = |id| Ok::<_, Infallible>(if id == high { repeat.clone() } else { Arc::default() });
        let Ok(calls) = NamedCalls::resolve(&CallIds::of([low, high]).unwrap(), state);
        calls.unwrap().decide(command).unwrap()
    };
    assert_eq!(decide(imported(facts(10, 3), Some(1))), []);
    let confirmed = CallEvent::Confirmed(CallConfirmed { reported_by: reporters(&[Some(2)]) });
    assert_eq!(decide(imported(facts(10, 3), Some(2))), [(high, confirmed)]);
    // The controls: a record that says more, and the trace.
    for command in [imported(facts(10, 4), Some(2)), charge(facts(10, 3), Some(1))] {
        let streams: Vec<_> = decide(command).into_iter().map(|(id, _)| id).collect();
        assert_eq!(streams, [high, low], "one is voided, and the other one recorded");
    }
}
