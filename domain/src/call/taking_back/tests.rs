use crate::Aggregate;
use crate::call::tests::{charged, facts, fold, line, prices, record, recorded, report};
use crate::call::{
    Call, CallCommand, CallConfirmed, CallError, CallEvent, CallFacts, CallReportWithdrawn, CallReversed, ChargedCall,
    Reporters,
};
use crate::ids::ImportId;
use crate::tag_keys::TagKeys;
use crate::testing::{at, body, given, uuid};
use proptest::prelude::*;

pub(in crate::call) fn import(number: u128) -> ImportId {
    ImportId(uuid(number))
}

pub(in crate::call) fn reporters(imports: &[Option<u128>]) -> Reporters {
    let each = imports.iter().map(|id| Reporters::of(id.map(import)));
    each.reduce(|one, other| one.union(&other)).unwrap()
}

pub(in crate::call) fn imported(facts: CallFacts, by: Option<u128>) -> CallCommand {
    let (prices, tag_keys, reported_by) = (prices(3), TagKeys::default(), Reporters::of(by.map(import)));
    CallCommand::Report { facts, prices, tag_keys, reported_by }
}

pub(in crate::call) fn known(imports: &[Option<u128>]) -> ChargedCall {
    ChargedCall { reported_by: reporters(imports), ..charged(facts(10, 3), prices(3)) }
}

pub(in crate::call) fn take_back(number: u128) -> CallCommand {
    CallCommand::TakeBack { import_id: import(number), reason: body("wrong file"), at: at(9) }
}

pub(in crate::call) fn withdrawn(number: u128, left: &[Option<u128>]) -> CallEvent {
    let (import_id, reported_by) = (import(number), reporters(left));
    CallEvent::ReportWithdrawn(CallReportWithdrawn { import_id, reported_by, reason: body("wrong file"), at: at(9) })
}

pub(in crate::call) fn reversed(before: ChargedCall, by: Option<u128>) -> CallEvent {
    let (reason, at) = (Some(body("wrong file")), Some(at(9)));
    CallEvent::Reversed(CallReversed { before, import_id: by.map(import), reason, at })
}

#[test]
fn a_call_that_only_the_import_reported_is_reversed_and_may_be_reported_anew() {
    let call =
        given::<Call>([recorded(known(&[Some(1)]))]).when(take_back(1)).then([reversed(known(&[Some(1)]), Some(1))]);
    assert_eq!(call, Call::default());
    assert!(call.decide(take_back(1)).unwrap().is_empty(), "nothing is left of it");
    let again = call.decide(imported(facts(10, 3), Some(1))).unwrap();
    assert_eq!(again, [recorded(known(&[Some(1)]))]);
}

#[test]
fn a_call_that_others_reported_too_stays_with_what_the_import_added() {
    let [first, last] = [line(0, "a", 3), line(2, "b", 263)];
    let mut call = Call::default();
    for (facts, by) in [(first.clone(), Some(1)), (last.clone(), Some(2))] {
        let events = call.decide(imported(facts, by)).unwrap();
        call = events.iter().fold(call, |call, event| call.evolve(event));
    }
    let expected = fold([first, last], &prices(3));
    for (taken, left) in [(2, vec![Some(1)]), (1, vec![])] {
        let before = call.charged.clone().unwrap();
        assert_eq!((&before.facts, before.cost()), (&expected.facts, expected.cost()));
        let events = call.decide(take_back(taken)).unwrap();
        let event = if left.is_empty() { reversed(before, Some(taken)) } else { withdrawn(taken, &left) };
        assert_eq!(events, [event]);
        call = events.iter().fold(call, |call, event| call.evolve(event));
    }
    assert_eq!(call.charged, None);
}

#[test]
fn a_call_that_was_also_reported_directly_stays() {
    for order in [[Some(1), None], [None, Some(1)]] {
        let call = Call::default();
        let call = order.into_iter().fold(call, |call, by| {
            let events = call.decide(imported(facts(10, 3), by)).unwrap();
            events.iter().fold(call, |call, event| call.evolve(event))
        });
        assert_eq!(call.decide(take_back(1)).unwrap(), [withdrawn(1, &[None])]);
    }
}

#[test]
fn another_import_that_says_nothing_new_confirms_the_call_once() {
    let confirmed = |by: Option<u128>| {
        let reported_by = Reporters::of(by.map(import));
        CallEvent::Confirmed(CallConfirmed { reported_by })
    };
    given::<Call>([recorded(known(&[Some(1)]))]).when(imported(facts(10, 3), Some(2))).then([confirmed(Some(2))]);
    given::<Call>([recorded(known(&[Some(1)])), confirmed(Some(2))]).when(imported(facts(10, 3), Some(2))).then([]);
    given::<Call>([recorded(known(&[Some(1)]))]).when(imported(facts(10, 3), None)).then([confirmed(None)]);
    given::<Call>([recorded(known(&[None]))]).when(imported(facts(10, 3), None)).then([]);
}

#[test]
fn an_import_that_reported_nothing_of_the_call_changes_nothing() {
    given::<Call>([recorded(known(&[Some(1)]))]).when(take_back(2)).then([]);
    given::<Call>([recorded(known(&[None]))]).when(take_back(2)).then([]);
    given::<Call>([]).when(take_back(2)).then([]);
}

#[test]
fn a_void_call_is_not_counted_and_stays_so() {
    let void = || CallCommand::Void { reason: body("wrong file"), at: at(9) };
    let call = given::<Call>([recorded(known(&[Some(1)]))]).when(void()).then([reversed(known(&[Some(1)]), None)]);
    assert!(call.is_void && call.charged.is_none());
    assert_eq!(call.decide(void()), Ok(Vec::new()));
    assert_eq!(call.decide(take_back(1)), Ok(Vec::new()));
    assert_eq!(call.decide(report(facts(10, 3), prices(3))), Err(CallError::Void));
    assert_eq!(call.decide(imported(facts(10, 3), Some(2))), Err(CallError::Void));
    given::<Call>([]).when(void()).then_rejected(CallError::NotReported);
}

proptest! {
    /// Which imports are taken back, and when, leaves the calls that the others reported: the rest of the reports alone.
    #[test]
    fn a_call_stays_as_long_as_an_import_that_is_not_taken_back_reported_it(
        steps in prop::collection::vec((any::<bool>(), 1_u128..5, record()), 1..24),
    ) {
        let (mut call, mut left) = (Call::default(), std::collections::BTreeSet::new());
        for (is_report, number, facts) in steps {
            let command = if is_report { imported(facts, Some(number)) } else { take_back(number) };
            // A record may be one that no call accepts.
            let Ok(events) = call.decide(command) else { continue };
            call = events.iter().fold(call, |call, event| call.evolve(event));
            if is_report { left.insert(import(number)) } else { left.remove(&import(number)) };
            let known: std::collections::BTreeSet<_> =
                call.charged.iter().flat_map(|charged| charged.reported_by.imports()).collect();
            prop_assert_eq!(&known, &left);
            prop_assert_eq!(call.charged.is_some(), !left.is_empty());
        }
    }
}
