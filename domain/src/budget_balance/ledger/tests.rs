use crate::Event;
use crate::assignment::BudgetRejection;
use crate::budget::{Amount, BudgetCommand, BudgetError, BudgetTerms, Threshold};
use crate::budget_balance::{BudgetBalanceEvent, PeriodRef, Sums};
use crate::ids::BudgetId;
use crate::reservation::{RefusalReason, ReservationStatus};
use crate::spend_audit::tests::world::{HARD, World, agent, dollars, facts, is_sound, terms};
use crate::testing::{body, uuid};
use chrono::TimeDelta;
use std::collections::BTreeSet;
use uuid::Uuid;

fn terms_of(parts: u8, limit: i64) -> BudgetTerms {
    let mut terms = terms(HARD, limit, None);
    terms.control.as_mut().unwrap().parts = parts.try_into().unwrap();
    terms
}

/// A hard budget of all calls, of some parts: this many dollars a day.
fn shared(parts: u8, limit: i64) -> World {
    let mut world = World::new(None);
    world.open(1, terms_of(parts, limit));
    world
}

/// Reserves some dollars in a part. Returns whether they are granted.
fn reserve(world: &mut World, id: u128, part: u8, dollars: u64) -> bool {
    world.part = part;
    let state = world.reserve(&world.request(id, agent(1), dollars)).unwrap();
    state.status == Some(ReservationStatus::Held)
}

/// The streams of periods that the last append changed.
fn changed(world: &World) -> BTreeSet<Uuid> {
    let command = world.log.last().unwrap().command_id;
    let of_append = world.log.iter().rev().take_while(|audited| audited.command_id == command);
    let of_periods = of_append.filter(|audited| matches!(audited.event, Event::BudgetBalance(_)));
    of_periods.map(|audited| audited.stream_id).collect()
}

/// The part with a number, if it has events.
fn part(world: &World, number: u8) -> Option<Sums> {
    world.streams(1).into_iter().find(|sums| sums.part.map_or(0, |part| part.number) == number)
}

fn held(world: &World) -> Amount {
    world.streams(1).iter().map(Sums::used).sum()
}

#[test]
fn a_part_grants_what_it_holds_in_its_own_stream_alone() {
    let mut world = shared(4, 100);
    assert!(reserve(&mut world, 11, 1, 4));
    // A quarter of the 96 that no part held.
    assert_eq!(part(&world, 1).unwrap().allotted.unwrap().amount, dollars(28));
    assert_eq!((part(&world, 0).unwrap().handed, changed(&world).len()), (dollars(28), 2));
    assert!(reserve(&mut world, 12, 1, 20));
    assert_eq!(changed(&world).len(), 1);
    world.settle(12, 101, facts(agent(1), 3, world.now)).unwrap();
    assert_eq!(changed(&world).len(), 1, "it costs less");
    world.release(11).unwrap();
    assert_eq!(changed(&world).len(), 1);
    // More than is left of 28 with the 3 that are charged.
    assert!(reserve(&mut world, 13, 1, 26));
    assert_eq!(changed(&world).len(), 2);
    is_sound(&world);
}

#[test]
fn a_part_takes_from_others_and_is_refused_only_what_all_of_them_do_not_hold() {
    let mut world = shared(3, 30);
    for (id, part) in [(11, 0), (12, 1), (13, 2)] {
        assert!(reserve(&mut world, id, part, 1));
    }
    assert!(part(&world, 1).unwrap().room() > Amount::ZERO && part(&world, 2).unwrap().room() > Amount::ZERO);
    assert!(reserve(&mut world, 14, 1, 27), "all that is left, wherever it is allotted");
    assert_eq!(changed(&world).len(), 3);
    world.part = 2;
    assert_eq!(world.refused(&world.request(15, agent(1), 1)), (RefusalReason::Exceeded, Some("0".to_owned())));
    assert_eq!(held(&world), dollars(30));
    // What one part frees, any other may take.
    world.release(14).unwrap();
    assert!(reserve(&mut world, 16, 0, 27));
    assert_eq!(world.refused(&world.request(17, agent(1), 1)), (RefusalReason::Exceeded, Some("0".to_owned())));
    is_sound(&world);
}

#[test]
fn what_is_charged_without_a_reservation_takes_what_parts_do_not_use() {
    let mut world = shared(2, 30);
    assert!(reserve(&mut world, 11, 1, 2));
    assert!(part(&world, 1).unwrap().room() > Amount::ZERO);
    world.report(101, facts(agent(2), 29, world.now));
    world.charge(usize::MAX);
    assert_eq!(part(&world, 1).unwrap().allotted, None);
    assert_eq!(world.sums(1), ["29", "0", "2", "1"]);
    assert_eq!(world.refused(&world.request(12, agent(1), 0)), (RefusalReason::Exceeded, Some("0".to_owned())));
    // What the part frees is not granted by it again, as long as there is an excess.
    world.release(11).unwrap();
    assert!(!reserve(&mut world, 13, 1, 2));
    assert!(reserve(&mut world, 14, 1, 1));
    is_sound(&world);
}

#[test]
fn a_change_of_the_terms_takes_back_what_is_allotted_to_all_parts() {
    let mut world = shared(3, 90);
    for (id, part) in [(11, 1), (12, 2)] {
        assert!(reserve(&mut world, id, part, 1));
    }
    let at = world.now;
    world.budget(1, BudgetCommand::Revise { terms: terms_of(3, 5), reason: None, at }).unwrap();
    assert_eq!(changed(&world).len(), 3);
    assert!(world.streams(1).iter().all(|sums| sums.room().is_zero()));
    assert!(reserve(&mut world, 13, 1, 3));
    assert!(!reserve(&mut world, 14, 2, 1));
    is_sound(&world);
}

/// A raise ends without an event: nothing is allotted of it.
#[test]
fn what_a_raise_adds_is_allotted_to_no_part() {
    let mut world = shared(2, 10);
    let (amount, until, at) = (dollars(90), world.now + TimeDelta::hours(1), world.now);
    world.budget(1, BudgetCommand::Raise { amount, until, reason: body("x"), at }).unwrap();
    assert!(reserve(&mut world, 11, 1, 20));
    assert_eq!(part(&world, 1).unwrap().allotted, None);
    world.now = until;
    assert!(!reserve(&mut world, 12, 1, 0) && !reserve(&mut world, 13, 0, 0));
    is_sound(&world);
}

#[test]
fn what_is_left_of_all_parts_is_carried_over() {
    let mut world = World::new(None);
    let mut carrying = terms_of(3, 10);
    carrying.control.as_mut().unwrap().carry_over = true;
    world.open(1, carrying);
    for (id, part, dollars) in [(11, 0, 1), (12, 1, 2), (13, 2, 3)] {
        assert!(reserve(&mut world, id, part, dollars));
        world.settle(id, id + 100, facts(agent(1), dollars, world.now)).unwrap();
    }
    world.now += TimeDelta::days(1);
    // The first decision is about a part: the stream of the period has what is carried over.
    assert!(reserve(&mut world, 14, 1, 13));
    assert_eq!(part(&world, 0).unwrap().carried, Some(dollars(4)));
    assert!(!reserve(&mut world, 15, 0, 2) && reserve(&mut world, 16, 2, 1));
    is_sound(&world);
}

#[test]
fn the_number_of_parts_is_bounded_and_never_changes() {
    let rejected = |world: &mut World, id, command| match world.budget(id, command) {
        Err(BudgetRejection::Budget(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut world = shared(2, 10);
    let at = world.now;
    let revise = BudgetCommand::Revise { terms: terms_of(3, 10), reason: None, at };
    assert_eq!(rejected(&mut world, 1, revise), BudgetError::PartsImmutable);
    let mut with_thresholds = terms_of(2, 10);
    with_thresholds.thresholds.insert(Threshold::try_from(50).unwrap());
    let define = BudgetCommand::Define { terms: with_thresholds, at };
    assert_eq!(rejected(&mut world, 2, define), BudgetError::PartsWithThresholds);
    // With the one further part that there is, 8 would be 9.
    let define = |parts| BudgetCommand::Define { terms: terms_of(parts, 10), at };
    world.budget(3, define(8)).unwrap();
    assert_eq!(rejected(&mut world, 4, define(2)), BudgetError::TooManyApplying);
    world.budget(5, define(1)).unwrap();
}

/// Of a stream that was opened before, it is not known whether it is a part, or a delegation that is over beside all parts.
#[test]
fn a_delegation_that_is_over_is_counted_beside_all_parts_of_its_budget() {
    let streams = |world: &World| {
        let (budget_id, balance_id) = (BudgetId(uuid(1)), uuid(301));
        PeriodRef::Existing { budget_id, balance_id }.streams(&world.catalogue)
    };
    assert_eq!([1, 2, 8].map(|parts| streams(&shared(parts, 10))), [1, 3, 9]);
}

/// The events of a part that is only asked for room say so, and change no sum.
#[test]
fn what_is_allotted_is_an_event_of_the_period() {
    let mut world = shared(2, 10);
    assert!(reserve(&mut world, 11, 1, 1));
    let is_allotted = |event: &Event| matches!(event, Event::BudgetBalance(BudgetBalanceEvent::Allotted(_)));
    assert_eq!(world.log.iter().filter(|audited| is_allotted(&audited.event)).count(), 1);
}
