use crate::call::tests::{charged, facts, fold, line, prices, record, recorded, report};
use crate::call::{
    Call, CallCommand, CallConfirmed, CallError, CallEvent, CallFacts, CallIds, CallReportWithdrawn, CallReversed,
    ChargedCall, NamedCalls, Reporters,
};
use crate::ids::{CallId, ImportId};
use crate::meter::Meter;
use crate::money::Money;
use crate::tag_keys::TagKeys;
use crate::testing::{at, body, given, uuid};
use crate::{Abridged, Aggregate, EventCodec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use uuid::Uuid;

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
        let (mut call, mut left) = (Call::default(), BTreeSet::new());
        for (is_report, number, facts) in steps {
            let command = if is_report { imported(facts, Some(number)) } else { take_back(number) };
            // A record may be one that no call accepts.
            let Ok(events) = call.decide(command) else { continue };
            call = events.iter().fold(call, |call, event| call.evolve(event));
            if is_report { left.insert(import(number)) } else { left.remove(&import(number)) };
            let known: BTreeSet<_> =
                call.charged.iter().flat_map(|charged| charged.reported_by.imports()).collect();
            prop_assert_eq!(&known, &left);
            prop_assert_eq!(call.charged.is_some(), !left.is_empty());
        }
    }
}

/// What happens to a few calls, of which some have two ids.
#[derive(Debug, Clone)]
enum Step {
    /// A record with some of the ids is reported, by an import or directly.
    Report { ids: BTreeSet<u128>, by: Option<u128>, facts: CallFacts },
    /// An import is taken back from all calls.
    Undo(u128),
    /// A trace finds that the call repeats others.
    Reverse(u128),
    /// A trace finds that a call repeats no others.
    Charge { ids: BTreeSet<u128>, by: Option<u128>, facts: CallFacts },
}

/// The streams of some calls, with the sums that a reader of the log keeps, and who reported each call according to the steps.
#[derive(Debug, Default)]
struct Model {
    calls: BTreeMap<CallId, Call>,
    cost: Money,
    input: i128,
    reporters: BTreeMap<CallId, BTreeSet<Option<u128>>>,
    /// The calls of which reporters may have been forgotten, because a trace says what of them is counted.
    traced: BTreeSet<CallId>,
}

fn id_of(number: u128) -> CallId {
    CallId(uuid(number))
}

impl Model {
    const IDS: [u128; 4] = [1, 2, 3, 4];

    /// Executes a command, and folds its events as they are read from the log. Returns the calls that it was about, the
    /// remaining one first; none if it is rejected.
    fn execute(&mut self, ids: &BTreeSet<u128>, command: CallCommand, correlation_id: u128) -> Vec<CallId> {
        let ids = CallIds::of(ids.iter().map(|number| id_of(*number))).unwrap();
        let state = |id| Ok::<_, Infallible>(Arc::new(self.calls.get(&id).cloned().unwrap_or_default()));
        let Ok(named) = NamedCalls::resolve(&ids, state);
        let named = named.unwrap();
        let Ok(events) = named.decide(command) else { return Vec::new() };
        let calls = [named.remaining()].into_iter().chain(ids.iter().map(|id| self.followed(id))).collect();
        for (id, event) in events {
            self.fold(id, &event, uuid(correlation_id));
        }
        calls
    }

    /// The call that an id names.
    fn followed(&self, mut id: CallId) -> CallId {
        while let Some(into) = self.calls.get(&id).and_then(|call| call.voided_into) {
            id = into;
        }
        id
    }

    fn fold(&mut self, id: CallId, event: &CallEvent, correlation_id: Uuid) {
        let Abridged { abridge, complete } = Call::ABRIDGED.unwrap();
        let written = abridge(event.clone(), correlation_id).encode().unwrap();
        let read = complete(CallEvent::decode(event.event_type().name, 1, &written).unwrap(), correlation_id);
        assert_eq!(&read, event);
        let (befores, after) = read.befores_and_after();
        for (call, is_added) in befores.into_iter().map(|call| (call, false)).chain(after.map(|call| (call, true))) {
            let (cost, input) = (call.cost().unwrap_or_default(), i128::from(call.facts.usage.get(Meter::Input).get()));
            let cost = if is_added { self.cost.checked_add(cost) } else { self.cost.checked_sub(cost) };
            self.cost = cost.unwrap();
            self.input += if is_added { input } else { -input };
        }
        let call = self.calls.remove(&id).unwrap_or_default();
        self.calls.insert(id, call.evolve(&read));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Report { ids, by, facts } => {
                let calls = self.execute(&ids, imported(facts, by), by.unwrap_or(99));
                self.note(&calls, by, false);
            }
            Step::Charge { ids, by, facts } => {
                let command =
                    CallCommand::Charge { facts, prices: prices(3), reported_by: Reporters::of(by.map(import)) };
                let calls = self.execute(&ids, command, 98);
                self.note(&calls, by, true);
            }
            Step::Undo(number) => {
                for id in Self::IDS {
                    self.execute(&[id].into(), take_back(number), 97);
                }
                self.reporters.values_mut().for_each(|reporters| _ = reporters.remove(&Some(number)));
            }
            Step::Reverse(number) => {
                let calls = self.execute(&[number].into(), CallCommand::Reverse, 96);
                self.traced.extend(calls);
            }
        }
        self.check();
    }

    /// Notes who reported the calls that are one from now on.
    fn note(&mut self, calls: &[CallId], by: Option<u128>, is_traced: bool) {
        let Some(remaining) = calls.first() else { return };
        let reporters: BTreeSet<_> =
            calls.iter().flat_map(|id| self.reporters.remove(id)).flatten().chain([by]).collect();
        self.reporters.insert(*remaining, reporters);
        if is_traced || calls.iter().any(|id| self.traced.contains(id)) {
            self.traced.insert(*remaining);
        }
    }

    fn check(&self) {
        let charged = || self.calls.iter().filter_map(|(id, call)| Some((id, call.charged.as_ref()?)));
        let cost =
            charged().fold(Money::ZERO, |sum, (_, call)| sum.checked_add(call.cost().unwrap_or_default()).unwrap());
        let input: i128 = charged().map(|(_, call)| i128::from(call.facts.usage.get(Meter::Input).get())).sum();
        assert_eq!((self.cost, self.input), (cost, input), "the events add up to the calls");
        let known: BTreeMap<_, _> =
            charged().filter(|(id, _)| !self.traced.contains(id)).map(|(id, call)| (*id, &call.reported_by)).collect();
        let expected: BTreeMap<_, _> = self
            .reporters
            .iter()
            .filter(|(id, all)| !self.traced.contains(id) && !all.is_empty())
            .map(|(id, all)| (*id, reporters(&all.iter().copied().collect::<Vec<_>>())))
            .collect();
        assert_eq!(known, expected.iter().map(|(id, reporters)| (*id, reporters)).collect());
    }
}

/// Two imports of the same calls, and their taking back, in every order.
#[test]
fn what_two_imports_reported_stays_until_both_are_taken_back_in_every_order() {
    let records = || {
        let record = |ids: &[u128], output| (ids.iter().copied().collect::<BTreeSet<_>>(), facts(10, output));
        [record(&[1, 2], 3), record(&[2, 3], 4), record(&[4], 5)]
    };
    let steps = |kind: usize| -> Vec<Step> {
        match kind {
            0 | 1 => {
                let by = Some(kind as u128 + 1);
                records().into_iter().map(|(ids, facts)| Step::Report { ids, by, facts }).collect()
            }
            _ => vec![Step::Undo(kind as u128 - 1)],
        }
    };
    let mut orders = 0;
    for order in (0..256).map(|number| [number & 3, number >> 2 & 3, number >> 4 & 3, number >> 6]) {
        if order.iter().collect::<BTreeSet<_>>().len() < 4 {
            continue;
        }
        orders += 1;
        let (mut model, mut reported) = (Model::default(), BTreeSet::new());
        for kind in order {
            steps(kind).into_iter().for_each(|step| model.step(step));
            if kind < 2 {
                reported.insert(kind)
            } else {
                reported.remove(&(kind - 2))
            };
            let count = model.calls.values().filter(|call| call.charged.is_some()).count();
            assert_eq!(count, if reported.is_empty() { 0 } else { 2 }, "{order:?} after {kind}");
            assert_eq!(model.input, if reported.is_empty() { 0 } else { 20 }, "{order:?} after {kind}");
        }
    }
    assert_eq!(orders, 24);
}

fn step() -> impl Strategy<Value = Step> {
    let ids = || prop::collection::btree_set(1_u128..5, 1..3);
    let by = || prop::option::weighted(0.9, 1_u128..4);
    prop_oneof![
        6 => (ids(), by(), record()).prop_map(|(ids, by, facts)| Step::Report { ids, by, facts }),
        4 => (1_u128..4).prop_map(Step::Undo),
        1 => (1_u128..5).prop_map(Step::Reverse),
        1 => (ids(), by(), record()).prop_map(|(ids, by, facts)| Step::Charge { ids, by, facts }),
    ]
}

proptest! {
    /// Whatever is reported, tied together, reversed and taken back: what the events say adds up to the calls that are left, as
    /// they are read from the log, and a call is left as long as anyone reported it.
    #[test]
    fn the_events_of_imports_that_are_taken_back_add_up_to_the_calls_that_are_left(
        steps in prop::collection::vec(step(), 1..32),
    ) {
        let mut model = Model::default();
        steps.into_iter().for_each(|step| model.step(step));
    }
}
