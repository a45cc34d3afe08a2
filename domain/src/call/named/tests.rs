use super::*;
use crate::call::tests::{
    changing_prices, charged, correct, correct_at, facts, fold, line, prices, record, recorded, reordered, report,
};
use crate::call::{CallAmended, CallFacts, CallKind, CallRecorded, ChargedCall, Field, GATEWAY_SOURCE};
use crate::testing::{name, uuid};
use crate::{EventCodec, Meter, Money};
use proptest::prelude::*;
use std::convert::Infallible;

fn id(number: u128) -> CallId {
    CallId(uuid(number))
}

fn ids(numbers: &[u128]) -> CallIds {
    CallIds::of(numbers.iter().copied().map(id)).unwrap()
}

/// The streams of calls, as a log has them.
#[derive(Debug, Clone, Default, PartialEq)]
struct Streams(BTreeMap<CallId, Arc<Call>>);

impl Streams {
    fn resolve(&self, named: &CallIds) -> NamedCalls {
        let get = |id| Ok::<_, Infallible>(self.0.get(&id).cloned().unwrap_or_default());
        let Ok(calls) = NamedCalls::resolve(named, get);
        calls.unwrap()
    }

    fn append(&mut self, events: &[(CallId, CallEvent)]) {
        for (id, event) in events {
            let call = self.0.entry(*id).or_default();
            *call = Arc::new(Call::clone(call).evolve(event));
        }
    }

    /// Executes a command, and returns its events as they are read from the log.
    fn execute(&mut self, named: &CallIds, command: CallCommand) -> Result<Vec<(CallId, CallEvent)>, CallError> {
        let read = |event: CallEvent| CallEvent::decode(event.event_type().name, 1, &event.encode().unwrap()).unwrap();
        let events = self.resolve(named).decide(command)?;
        let events: Vec<_> = events.into_iter().map(|(id, event)| (id, read(event))).collect();
        self.append(&events);
        Ok(events)
    }

    /// The calls that are left, by id.
    fn calls(&self) -> BTreeMap<CallId, ChargedCall> {
        self.0.iter().filter_map(|(id, call)| Some((*id, call.charged.clone()?))).collect()
    }
}

/// The streams after reports, each with the ids that it names.
fn reported(reports: &[(&[u128], CallFacts)]) -> Streams {
    let mut streams = Streams::default();
    for (named, facts) in reports {
        streams.execute(&ids(named), report(facts.clone(), prices(3))).unwrap();
    }
    streams
}

fn voided(into: u128) -> CallEvent {
    CallEvent::Voided(CallVoided { into: id(into) })
}

fn absorbed(number: u128, before: ChargedCall) -> Vec<AbsorbedCall> {
    vec![AbsorbedCall { id: id(number), before }]
}

#[test]
fn a_new_call_is_recorded_under_its_lowest_id_and_the_others_are_voided() {
    let events = Streams::default().execute(&ids(&[7, 5, 9]), report(facts(10, 3), prices(3))).unwrap();
    let recorded = recorded(charged(facts(10, 3), prices(3)));
    assert_eq!(events, [(id(7), voided(5)), (id(9), voided(5)), (id(5), recorded)]);
}

#[test]
fn a_record_with_the_keys_of_two_calls_voids_one_into_the_other() {
    let [first, last] = [line(0, "a", 3), line(2, "b", 263)];
    let mut streams = reported(&[(&[5], last.clone()), (&[7], first.clone())]);
    let (of_5, of_7) = (charged(last.clone(), prices(3)), charged(first.clone(), prices(3)));
    let after = fold([first.clone(), last], &prices(3));
    let tie = report(first.clone(), prices(3));
    let absorbed = absorbed(7, of_7);
    let amended =
        CallEvent::Amended(CallAmended { before: of_5, after: after.clone(), absorbed, settles: None, in_part: false });
    let events = streams.execute(&ids(&[5, 7]), tie.clone()).unwrap();
    assert_eq!(events, [(id(7), voided(5)), (id(5), amended)]);
    assert_eq!(streams.calls(), BTreeMap::from([(id(5), after)]));
    assert_eq!(streams.execute(&ids(&[5, 7]), tie.clone()), Ok(vec![]), "the same record again");
    // Whichever of its ids a record names, it is a record of the one call.
    assert_eq!(streams.execute(&ids(&[7]), tie), Ok(vec![]));
    let events = streams.execute(&ids(&[7]), report(line(9, "c", 999), prices(3))).unwrap();
    assert_eq!(events.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(5)]);
}

/// Also by a report that ties the call to another one, under whose id it goes on.
#[test]
fn a_call_keeps_the_reservation_that_it_settled_under_another_id() {
    let (reservation, mut streams) = (ReservationId(uuid(20)), reported(&[(&[5], facts(10, 3))]));
    let events = streams.resolve(&ids(&[7])).decide_settlement(report(facts(10, 3), prices(3)), reservation).unwrap();
    streams.append(&events);
    let found = |streams: &Streams, named: &[u128]| streams.resolve(&ids(named)).reservations().collect::<Vec<_>>();
    assert!(found(&streams, &[5]).is_empty());
    assert_eq!(found(&streams, &[5, 7]), [reservation]);
    streams.execute(&ids(&[5, 7]), report(facts(10, 3), prices(3))).unwrap();
    assert_eq!(streams.resolve(&ids(&[7])).remaining(), id(5));
    assert_eq!(found(&streams, &[7]), [reservation]);
}

#[test]
fn a_call_that_is_known_under_a_higher_id_moves_to_the_lower_one() {
    let call = charged(facts(10, 3), prices(3));
    let mut streams = reported(&[(&[7], facts(10, 3))]);
    let events = streams.execute(&ids(&[5, 7]), report(facts(10, 3), prices(3))).unwrap();
    let recorded = CallRecorded { after: call.clone(), absorbed: absorbed(7, call), settles: None, in_part: false };
    assert_eq!(events, [(id(7), voided(5)), (id(5), CallEvent::Recorded(recorded))]);
}

/// The event that subtracts a call is that of the call which has it from then on, also if this one stays as it was.
#[test]
fn a_call_that_learns_nothing_from_another_one_absorbs_it_in_an_event() {
    let call = charged(facts(10, 3), prices(3));
    let mut streams = reported(&[(&[5], facts(10, 3)), (&[7], facts(10, 3))]);
    let events = streams.execute(&ids(&[5, 7]), report(facts(10, 3), prices(3))).unwrap();
    let amended = CallAmended {
        before: call.clone(),
        after: call.clone(),
        absorbed: absorbed(7, call),
        settles: None,
        in_part: false,
    };
    assert_eq!(events, [(id(7), voided(5)), (id(5), CallEvent::Amended(amended))]);
}

#[test]
fn an_id_is_voided_once_and_followed_from_then_on() {
    // 9 names 8, which names 3: the pointers are not written again.
    let mut streams = reported(&[(&[8, 9], line(0, "a", 1)), (&[3, 8], line(0, "a", 1)), (&[4, 6], line(1, "b", 2))]);
    assert_eq!(streams.resolve(&ids(&[9])).remaining(), id(3));
    let before = streams.calls()[&id(4)].clone();
    let events = streams.execute(&ids(&[6, 9]), report(line(0, "a", 1), prices(3))).unwrap();
    let appended: Vec<_> = events.iter().map(|(id, event)| (*id, event.event_type().name)).collect();
    assert_eq!(appended, [(id(4), "call.voided"), (id(3), "call.amended")]);
    let CallEvent::Amended(amended) = &events[1].1 else { panic!("the remaining call is amended") };
    assert_eq!(events[0].1, voided(3));
    assert_eq!(amended.absorbed, absorbed(4, before));
    for number in [6, 9] {
        assert_eq!(streams.execute(&ids(&[number]), report(line(0, "a", 1), prices(3))), Ok(vec![]));
    }
    for named in [3, 4, 6, 8, 9] {
        assert_eq!(streams.resolve(&ids(&[named])).remaining(), id(3));
    }
}

#[test]
fn a_call_that_never_was_reported_has_no_ids_but_its_own() {
    let calls = Streams::default().resolve(&ids(&[4]));
    assert_eq!((calls.remaining(), calls.voided().count()), (id(4), 0));
    let correction = correct(&[Field::User], facts(1, 1), prices(3));
    assert_eq!(calls.decide(correction), Err(CallError::NotReported));
}

#[test]
fn calls_of_different_kinds_are_not_one() {
    let tool =
        CallFacts { tool: Some(name("grep")), ..CallFacts::new(CallKind::Tool, facts(1, 1).started_at, name("t")) };
    let mut streams = reported(&[(&[5], facts(1, 1)), (&[7], tool)]);
    let before = streams.clone();
    assert_eq!(streams.execute(&ids(&[5, 7]), report(facts(1, 1), prices(3))), Err(CallError::KindMismatch));
    assert_eq!(streams, before);
}

#[test]
fn a_correction_by_any_id_corrects_the_call_and_survives_a_tie() {
    let mut streams = reported(&[(&[6, 7], facts(10, 3)), (&[5], facts(10, 3))]);
    let values = CallFacts { user: Some(name("ada")), ..facts(1, 1) };
    let events = streams.execute(&ids(&[7]), correct(&[Field::User], values, prices(3))).unwrap();
    assert!(matches!(&*events, [(corrected, CallEvent::Corrected(_))] if *corrected == id(6)));
    let record = CallFacts { user: Some(name("eve")), ..line(-5, "z", 1) };
    streams.execute(&ids(&[5, 7]), report(record, prices(3))).unwrap();
    let calls = streams.calls();
    assert_eq!(calls.keys().collect::<Vec<_>>(), [&id(5)]);
    assert_eq!(calls[&id(5)].facts.user, Some(name("ada")));
    assert!(calls[&id(5)].provenance.corrected.contains_key(&Field::User));
}

/// The clock of the process that made the first correction was ahead.
#[test]
fn a_correction_is_later_than_the_one_that_it_replaces() {
    let mut streams = reported(&[(&[5], facts(10, 3)), (&[7], facts(10, 3))]);
    let mut correct = |number, second, user| {
        let values = CallFacts { user: Some(name(user)), ..facts(1, 1) };
        streams.execute(&ids(&[number]), correct_at(second, &[Field::User], values, prices(3))).unwrap().len()
    };
    assert_eq!(
        [correct(5, 50, "ada"), correct(5, 40, "eve"), correct(5, 40, "eve"), correct(7, 45, "bob")],
        [1, 1, 0, 1]
    );
    streams.execute(&ids(&[5, 7]), report(facts(10, 3), prices(3))).unwrap();
    assert_eq!(streams.calls()[&id(5)].facts.user, Some(name("eve")));
}

#[test]
fn a_voided_call_takes_no_command_itself() {
    let streams = reported(&[(&[5, 7], facts(10, 3))]);
    let call = &streams.0[&id(7)];
    assert_eq!(call.decide(report(facts(10, 3), prices(3))), Err(CallError::Voided(id(5))));
    let correction = correct(&[Field::User], facts(1, 1), prices(3));
    assert_eq!(call.decide(correction), Err(CallError::Voided(id(5))));
}

#[test]
fn a_tied_call_is_charged_by_the_lowest_version_that_any_of_them_was_charged_by() {
    let later = changing_prices();
    let mut streams = Streams::default();
    streams.execute(&ids(&[5]), report(facts(1_000_000, 0), later.clone())).unwrap();
    streams.execute(&ids(&[7]), report(facts(1_000_000, 0), prices(3))).unwrap();
    streams.execute(&ids(&[5, 7]), report(facts(1_000_000, 0), later)).unwrap();
    assert_eq!(streams.calls()[&id(5)].charge.as_ref().map(|charge| charge.book_version), Some(1));
}

#[test]
fn all_ids_are_asked_for_before_one_of_them_is_followed() {
    let streams = reported(&[(&[2, 9], facts(1, 1)), (&[3, 8], facts(1, 1))]);
    let mut asked = Vec::new();
    let unknown = NamedCalls::resolve(&ids(&[7, 8, 9]), |id| {
        asked.push(id);
        Err::<Arc<Call>, _>(id)
    });
    assert_eq!((unknown.unwrap_err(), &*asked), (id(7), &[id(7), id(8), id(9)][..]));
    let mut asked = Vec::new();
    let Ok(Ok(calls)) = NamedCalls::resolve(&ids(&[7, 8, 9]), |id| {
        asked.push(id);
        Ok::<_, Infallible>(streams.0.get(&id).cloned().unwrap_or_default())
    }) else {
        panic!("few ids are followed")
    };
    assert_eq!(asked, [7, 8, 9, 3, 2].map(id));
    assert_eq!((calls.remaining(), calls.voided().collect::<Vec<_>>()), (id(2), vec![id(3)]));
}

/// A client may choose ids so that each record voids the call of the one before.
#[test]
fn ids_are_followed_up_to_a_limit() {
    let mut streams = Streams::default();
    for lowest in (1..=MAX_FOLLOWED_IDS as u128).rev() {
        streams.execute(&ids(&[lowest, lowest + 1]), report(facts(1, 1), prices(3))).unwrap();
    }
    assert_eq!(streams.calls().keys().collect::<Vec<_>>(), [&id(1)]);
    let get = |id| Ok::<_, Infallible>(streams.0.get(&id).cloned().unwrap_or_default());
    let resolve =
        |highest| NamedCalls::resolve(&ids(&[highest as u128]), get).map(|calls| calls.map(|calls| calls.remaining()));
    assert_eq!(resolve(MAX_FOLLOWED_IDS), Ok(Ok(id(1))));
    assert_eq!(resolve(MAX_FOLLOWED_IDS + 1), Ok(Err(CallError::TooManyIds { limit: MAX_FOLLOWED_IDS })));
}

/// An importer that reports the same key again and again is never refused, however often other keys become the lowest one.
#[test]
fn an_id_that_is_in_use_stays_near_to_its_call() {
    let mut streams = Streams::default();
    let (highest, mut shortened) = (10 * MAX_FOLLOWED_IDS as u128, 0);
    for lowest in (1..highest).rev() {
        streams.execute(&ids(&[lowest, lowest + 1]), report(facts(1, 1), prices(3))).unwrap();
        let events = streams.execute(&ids(&[highest]), report(facts(1, 1), prices(3))).unwrap();
        assert!(events.is_empty() || events == [(id(highest), voided(lowest))], "{lowest}: {events:?}");
        shortened += events.len();
    }
    assert!((1..=highest as usize / 15).contains(&shortened), "{shortened}");
    assert_eq!(streams.resolve(&ids(&[highest])).remaining(), id(1));
    assert_eq!(streams.calls().len(), 1);
}

/// No log that this code writes has one, but a state is what was read.
#[test]
fn a_circle_of_voided_ids_ends() {
    let voided = |into| Arc::new(Call { voided_into: Some(id(into)), ..Call::default() });
    let streams = Streams([(id(4), voided(5)), (id(5), voided(4))].into());
    assert_eq!(streams.resolve(&ids(&[5])).remaining(), id(4));
}

/// The ids are in the logs of users: how they are ordered decides which one remains.
#[test]
fn ids_are_a_set_in_order() {
    let found = |numbers: &[u128]| ids(numbers).iter().collect::<Vec<_>>();
    for numbers in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [1, 3, 2]] {
        assert_eq!(found(&numbers), [1, 2, 3].map(id));
        assert_eq!((ids(&numbers).highest(), ids(&numbers).single()), (id(3), None));
    }
    assert_eq!((found(&[4, 4]), ids(&[4, 4]).single()), (vec![id(4)], Some(id(4))));
    assert_eq!(CallIds::of([]), None);
}

/// A report of a record with keys of a small pool, so that records have keys in common.
fn keyed_record() -> impl Strategy<Value = (CallIds, CallFacts)> {
    let named = prop::collection::vec(1_u128..8, 1..=3).prop_map(|numbers| ids(&numbers));
    (named, record())
}

/// The calls by another rule: records with a key in common are of one call, under the lowest of its keys.
fn expected(reports: &[(CallIds, CallFacts)]) -> BTreeMap<CallId, ChargedCall> {
    let mut calls: Vec<(BTreeSet<CallId>, Vec<CallFacts>)> = Vec::new();
    for (named, facts) in reports {
        let (mut keys, mut records): (BTreeSet<_>, _) = (named.iter().collect(), vec![facts.clone()]);
        for (other_keys, other_records) in calls.extract_if(.., |(other, _)| named.iter().any(|id| other.contains(&id)))
        {
            keys.extend(other_keys);
            records.extend(other_records);
        }
        calls.push((keys, records));
    }
    calls.into_iter().map(|(keys, records)| (*keys.first().unwrap(), fold(records, &changing_prices()))).collect()
}

fn after(reports: &[(CallIds, CallFacts)]) -> Streams {
    let mut streams = Streams::default();
    for (named, facts) in reports {
        streams.execute(named, report(facts.clone(), changing_prices())).unwrap();
    }
    streams
}

/// What is summed over calls: their number, cost and usage.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    calls: i64,
    cost: Money,
    usage: [i64; Meter::COUNT],
}

impl Sums {
    fn of<'a>(calls: impl IntoIterator<Item = &'a ChargedCall>) -> Self {
        calls.into_iter().fold(Self::default(), |sums, call| sums.add(call, 1))
    }

    fn add(mut self, call: &ChargedCall, sign: i64) -> Self {
        self.calls += sign;
        let cost = call.cost().unwrap_or_default();
        let sum = if sign > 0 { self.cost.checked_add(cost) } else { self.cost.checked_sub(cost) };
        self.cost = sum.unwrap();
        for (meter, sum) in Meter::ALL.iter().zip(&mut self.usage) {
            *sum += sign * i64::try_from(call.facts.usage.get(*meter).get()).unwrap();
        }
        self
    }
}

proptest! {
    /// A chain of records that ties calls together gives the same calls in every order, with any repetition.
    #[test]
    fn the_order_of_records_that_tie_calls_together_does_not_matter(
        reports in prop::collection::vec(keyed_record(), 1..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        let calls = expected(&reports);
        let reversed: Vec<_> = reports.iter().rev().cloned().collect();
        for reports in [&reports, &reversed, &reordered(&reports, &order)] {
            let streams = after(reports);
            prop_assert_eq!(&streams.calls(), &calls);
            // Every key names its call, and a stream is a call or voided.
            for (named, _) in reports {
                let remaining = named.iter().map(|id| streams.resolve(&id.into()).remaining());
                let remaining: BTreeSet<_> = remaining.collect();
                prop_assert!(remaining.len() == 1 && remaining.iter().all(|id| calls.contains_key(id)));
            }
            prop_assert!(streams.0.values().all(|call| call.charged.is_some() != call.voided_into.is_some()));
        }
    }

    /// Calls that were joined apart are tied by one record to what they are together.
    #[test]
    fn the_grouping_of_records_before_they_are_tied_does_not_matter(
        records in prop::collection::vec(record(), 1..7),
        groups in prop::collection::vec(1_u128..4, 7),
    ) {
        let apart: Vec<_> = records.iter().zip(groups).map(|(record, group)| (ids(&[group]), record.clone())).collect();
        let tie = (ids(&[1, 2, 3]), records[0].clone());
        let calls = after(&[&apart[..], &[tie]].concat()).calls();
        prop_assert_eq!(calls, BTreeMap::from([(id(1), fold(records, &changing_prices()))]));
    }

    /// Of the corrections of a field, the latest one counts, to whichever of the calls that are tied, before or after it.
    #[test]
    fn the_latest_correction_counts_in_any_order_of_ties(
        records in prop::collection::vec(record(), 3..6),
        corrections in prop::collection::vec(
            (1_u128..4, prop::sample::subsequence(Field::ALL, 1..4), record()), 1..6),
        ties in prop::collection::vec(([1_u128..4, 1_u128..4], any::<prop::sample::Index>()), 0..4),
    ) {
        let tie = |numbers: &[u128]| (ids(numbers), report(records[0].clone(), changing_prices()));
        let reports = records.iter().enumerate();
        let reports = reports.map(|(n, facts)| (ids(&[n as u128 % 3 + 1]), report(facts.clone(), changing_prices())));
        let reports: Vec<_> = reports.collect();
        let corrections: Vec<_> = corrections.iter().enumerate().collect();
        let command = |(n, (number, fields, values)): &(usize, &(u128, Vec<Field>, CallFacts))| {
            (ids(&[*number]), correct_at(*n as i64, fields, values.clone(), changing_prices()))
        };
        // As the corrections were made, with ties in between; and those of each call apart, whenever they were made.
        let mut mixed: Vec<_> = corrections.iter().map(command).collect();
        for (numbers, at) in &ties {
            mixed.insert(at.index(mixed.len() + 1), tie(numbers));
        }
        let mut apart = corrections.clone();
        apart.sort_by_key(|(_, (number, _, _))| *number);
        let apart: Vec<_> = apart.iter().map(command).collect();

        let mut expected = fold(records.clone(), &changing_prices()).facts;
        for (_, (_, fields, values)) in &corrections {
            for field in fields {
                expected.copy_field(*field, &crate::call::normalized(values.clone()));
            }
        }
        for commands in [mixed, apart] {
            let mut streams = Streams::default();
            for (named, command) in reports.iter().cloned().chain(commands).chain([tie(&[3, 2, 1])]) {
                streams.execute(&named, command).unwrap();
            }
            prop_assert_eq!(&streams.calls()[&id(1)].facts, &expected);
        }
    }

    /// The differences that the events state add up to the calls that are left, also with corrections. After each event, the
    /// sum is that before its command or that after it, and each stream has been added as often as it was subtracted, but for
    /// the call that it has: readers of any of the streams agree with those of all.
    #[test]
    fn the_differences_of_the_events_of_all_streams_add_up_to_the_calls(
        reports in prop::collection::vec(keyed_record(), 1..8),
        corrections in prop::collection::vec(
            (1_u128..8, prop::sample::subsequence(Field::ALL, 1..4), record(), any::<prop::sample::Index>()), 0..4),
    ) {
        let mut commands: Vec<_> =
            reports.into_iter().map(|(named, facts)| (named, report(facts, changing_prices()))).collect();
        for (corrected, fields, values, at) in corrections {
            commands.insert(at.index(commands.len()), (ids(&[corrected]), correct(&fields, values, changing_prices())));
        }
        let (mut streams, mut sums) = (Streams::default(), Sums::default());
        for (named, command) in commands {
            let (known, before) = (streams.clone(), sums.clone());
            // A correction may be rejected, as it may remove the model or correct what was never reported.
            let events = streams.execute(&named, command).unwrap_or_default();
            let now = Sums::of(streams.calls().values());
            let mut replaced = BTreeSet::new();
            for (id, event) in &events {
                let (befores, after) = event.befores_and_after();
                prop_assert!(!matches!(event, CallEvent::Voided(_)) || (befores.is_empty() && after.is_none()));
                let absorbed: &[AbsorbedCall] = match event {
                    CallEvent::Recorded(CallRecorded { absorbed, .. })
                    | CallEvent::Amended(CallAmended { absorbed, .. }) => absorbed,
                    CallEvent::Corrected(_)
                    | CallEvent::Repriced(_)
                    | CallEvent::Voided(_)
                    | CallEvent::Reversed(_)
                    | CallEvent::Confirmed(_)
                    | CallEvent::ReportWithdrawn(_) => &[],
                };
                let streams = after.map(|_| *id).into_iter().chain(absorbed.iter().map(|absorbed| absorbed.id));
                let had = streams.clone().filter_map(|id| known.0.get(&id)?.charged.as_ref());
                prop_assert_eq!(&befores, &had.collect::<Vec<_>>(), "an event states what the streams had");
                replaced.extend(streams);
                sums = befores.into_iter().fold(sums, |sums, call| sums.add(call, -1));
                sums = after.into_iter().fold(sums, |sums, call| sums.add(call, 1));
                prop_assert!(sums == before || sums == now, "at every prefix of the log, the sum is one of calls");
            }
            prop_assert_eq!(&sums, &now);
            // What a stream no longer has was absorbed by the call that remains.
            for (id, call) in &known.0 {
                prop_assert!(streams.0[id] == *call || call.charged.is_none() || replaced.contains(id));
            }
        }
    }
}

/// A client that names two calls of the gateway in one report would make the charge of one of them vanish.
#[test]
fn calls_that_the_gateway_passed_on_are_not_tied_together() {
    let of_gateway = |second| CallFacts { source: name(GATEWAY_SOURCE), ..line(second, "a", 1) };
    let mut streams = reported(&[(&[1], of_gateway(0)), (&[2], of_gateway(1)), (&[3], line(0, "b", 1))]);
    let before = streams.clone();
    let tie = |streams: &mut Streams, named: &[u128]| streams.execute(&ids(named), report(line(2, "c", 1), prices(3)));
    assert_eq!(tie(&mut streams, &[1, 2]), Err(CallError::PassedOnApart));
    assert_eq!(streams, before);
    assert!(tie(&mut streams, &[2, 3]).is_ok(), "a record of a client is of one of them");
    assert_eq!(streams.calls().len(), 2);
}

/// A client that corrects a call of its own, and names it together with one of the gateway, would correct that one.
#[test]
fn a_call_of_the_gateway_is_not_tied_to_one_that_was_corrected() {
    let of_gateway = CallFacts { source: name(GATEWAY_SOURCE), ..line(0, "g", 263) };
    for named in [[1, 2], [2, 1]] {
        let mut streams = reported(&[(&named[..1], of_gateway.clone()), (&named[1..], line(0, "a", 3))]);
        streams.execute(&ids(&named[1..]), correct(&[Field::Usage], line(0, "a", 1), prices(3))).unwrap();
        let before = streams.clone();
        let tie = report(line(1, "b", 1), prices(3));
        assert_eq!(streams.execute(&ids(&named), tie), Err(CallError::CorrectedApart));
        assert_eq!(streams, before);
    }
}

/// What was granted for the call counts, and not what a client reserved for a record that it ties to the call.
#[test]
fn a_call_of_the_gateway_keeps_its_reservation_when_it_is_tied_to_another_one() {
    let of_gateway = CallFacts { source: name(GATEWAY_SOURCE), ..line(0, "g", 263) };
    for [client, gateway] in [[1, 2], [2, 1]] {
        let mut streams = Streams::default();
        for (number, facts) in [(client, line(0, "a", 3)), (gateway, of_gateway.clone())] {
            let reservation_id = ReservationId(uuid(number + 10));
            let settled = streams.resolve(&ids(&[number])).decide_settlement(report(facts, prices(3)), reservation_id);
            streams.append(&settled.unwrap());
        }
        streams.execute(&ids(&[1, 2]), report(line(1, "b", 1), prices(3))).unwrap();
        assert_eq!(streams.calls()[&id(1)].reservation_id, Some(ReservationId(uuid(gateway + 10))));
    }
}
