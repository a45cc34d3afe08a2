use crate::budget::{BudgetDimension, Enforcement};
use crate::call::{CallFacts, GATEWAY_SOURCE};
use crate::reservation::RefusalReason;
use crate::spend_audit::tests::world::{HARD, UNPRICED, World, agent, facts, facts_of, hard, is_sound, terms};
use crate::testing::{name, uuid};
use crate::{BudgetId, ReservationId};
use chrono::TimeDelta;

/// A call that was charged to another agent before it settles changes the periods of two sets of budgets, each with what is carried
/// over: more than a decision takes. What was reserved is charged at once, and the rest by the policy.
#[test]
fn a_settlement_of_the_most_budgets_charges_what_was_reserved_and_leaves_the_rest_to_the_policy() {
    let mut world = World::new(None);
    let carrying = |of| {
        let mut terms = terms(HARD, 10, Some(of));
        terms.control.as_mut().unwrap().carry_over = true;
        terms
    };
    for (of, first) in [(1, 1), (2, 31)] {
        for id in first..first + 24 {
            world.open(id, carrying(agent(of)));
        }
    }
    world.report(101, facts(agent(1), 3, world.now));
    world.charge(usize::MAX);
    assert_eq!(world.sums(24)[0], "3");
    world.reserve(&world.request(500, agent(2), 4)).unwrap();
    // The earlier record says whose the call is.
    world.settle(500, 101, facts(agent(2), 3, world.now - TimeDelta::seconds(1))).unwrap();
    assert!(world.settled_in_part);
    for id in 31..55 {
        assert_eq!(world.sums(id), ["3", "0", "0", "0"]);
    }
    assert_eq!(world.sums(1)[0], "3", "the policy is not there");
    is_sound(&world);
    world.charge(1);
    world.charge(usize::MAX);
    for (id, charged) in (1..25).map(|id| (id, "0")).chain((31..55).map(|id| (id, "3"))) {
        assert_eq!(world.sums(id)[0], charged, "{id}");
    }
    is_sound(&world);
}

/// A call whose reservation cannot be decoded is charged later, once, and others are charged meanwhile.
#[test]
fn a_call_whose_reservation_cannot_be_decoded_is_parked_and_charged_later() {
    let mut world = hard(100);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.settle(11, 101, facts(agent(1), 2, world.now)).unwrap();
    world.undecodable.insert(ReservationId(uuid(11)));
    world.report(101, facts(agent(1), 5, world.now));
    world.report(102, facts(agent(2), 1, world.now));
    world.charge(usize::MAX);
    assert_eq!(world.sums(1)[0], "3", "the other call is charged");
    assert_eq!(world.charging.parked.len(), 1);
    is_sound(&world);
    // It cannot be decoded yet, and nothing is charged again.
    world.catch_up(usize::MAX);
    world.charge(usize::MAX);
    assert_eq!((world.sums(1)[0].as_str(), world.charging.parked.len()), ("3", 1));
    world.undecodable.clear();
    world.catch_up(usize::MAX);
    world.catch_up(usize::MAX);
    assert_eq!((world.sums(1)[0].as_str(), world.charging.is_behind()), ("6", false));
    is_sound(&world);
}

/// While the charging is held, nothing is charged, and afterwards everything is, in order: also to a budget that was defined
/// meanwhile.
#[test]
fn what_is_put_off_is_charged_once_when_the_charging_is_not_held_any_more() {
    let mut world = hard(100);
    world.report(101, facts(agent(1), 1, world.now));
    world.charge(usize::MAX);
    world.report(102, facts(agent(1), 2, world.now));
    world.hold();
    world.report(103, facts(agent(1), 4, world.now));
    world.define(2, terms(HARD, 100, None));
    world.report(104, facts(agent(1), 8, world.now));
    world.charge(1);
    world.charge(usize::MAX);
    assert_eq!((world.sums(1)[0].as_str(), world.charging.is_behind()), ("1", true));
    is_sound(&world);
    world.catch_up(1);
    assert_eq!((world.sums(1)[0].as_str(), world.charging.is_behind()), ("15", false));
    world.count(2);
    assert_eq!(world.sums(2)[0], "15");
    world.charge(usize::MAX);
    assert_eq!(world.sums(1)[0], "15");
    is_sound(&world);
}

/// More events than may be parked hold the charging, so that none is lost.
#[test]
fn more_events_than_may_be_parked_hold_the_charging() {
    let mut world = hard(100_000);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.settle(11, 101, facts(agent(1), 1, world.now)).unwrap();
    world.undecodable.insert(ReservationId(uuid(11)));
    for output in 2..=110 {
        world.report(101, facts(agent(1), output, world.now));
    }
    world.charge(usize::MAX);
    world.charge(usize::MAX);
    assert_eq!((world.charging.parked.len(), world.charging.held_through.is_some()), (100, true));
    assert_eq!(world.sums(1)[0], "1");
    world.undecodable.clear();
    world.catch_up(usize::MAX);
    assert_eq!((world.sums(1)[0].as_str(), world.charging.is_behind()), ("110", false));
    is_sound(&world);
}

/// Of two processes that run the policy, one may have read a batch long before it charges it.
#[test]
fn a_batch_that_was_read_before_its_events_were_charged_charges_nothing() {
    let mut world = hard(10);
    world.report(101, facts(agent(1), 5, world.now));
    let late = world.next_batch(1);
    world.correct(101, facts(agent(1), 0, world.now));
    // Together, both events change nothing.
    world.charge(usize::MAX);
    assert_eq!(world.sums(1)[0], "0");
    assert!(!world.charge_batch(&late));
    assert_eq!(world.sums(1)[0], "0", "what takes it back is not charged again");
    is_sound(&world);
}

/// What names a reservation may be charged out of order: it adds up all the same.
#[test]
fn a_price_that_is_known_before_what_is_parked_is_charged_leaves_no_call_unpriced() {
    let mut world = hard(10);
    let unpriced = |world: &World| world.balances.values().map(|balance| balance.sums.unwrap().unpriced).sum::<i64>();
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.settle(11, 101, facts_of(UNPRICED, agent(1), 0, world.now)).unwrap();
    world.undecodable.insert(ReservationId(uuid(11)));
    world.report(101, facts_of(UNPRICED, agent(1), 2, world.now));
    world.charge(usize::MAX);
    assert_eq!((world.charging.parked.len(), unpriced(&world)), (1, 0));
    world.undecodable.clear();
    world.reprice(101);
    world.charge(usize::MAX);
    assert_eq!(unpriced(&world), -1, "what is parked is still to be charged");
    is_sound(&world);
    world.catch_up(usize::MAX);
    assert_eq!((world.sums(1), unpriced(&world)), (["2", "0", "0", "0"].map(Into::into), 0));
    is_sound(&world);
}

/// What a call without a price costs cannot be known: it is charged what was reserved, until it has a price.
#[test]
fn a_call_that_settles_without_a_price_is_charged_what_was_reserved_until_it_has_one() {
    let mut world = hard(10);
    let unpriced = |world: &World| {
        let budget_id = BudgetId(uuid(1));
        let period = world.catalogue.entry(budget_id).unwrap().period_at(budget_id, world.now).unwrap();
        world.balances[&period.balance_id].sums.unwrap().unpriced
    };
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.settle(11, 101, facts_of(UNPRICED, agent(1), 2, world.now)).unwrap();
    assert_eq!(world.sums(1), ["0", "7", "0", "0"]);
    assert_eq!(unpriced(&world), 1);
    world.charge(usize::MAX);
    assert_eq!(world.refused(&world.request(12, agent(1), 4)), (RefusalReason::Exceeded, Some("3".to_owned())));
    is_sound(&world);
    world.reprice(101);
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["2", "0", "0", "0"]);
    assert_eq!(unpriced(&world), 0);
    is_sound(&world);
}

/// Of a call of the gateway whose usage is not known, a budget of any meter is charged what was reserved, and a report of the client
/// does not lower it.
#[test]
fn a_call_of_the_gateway_whose_usage_is_not_known_is_charged_what_was_reserved() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    let claimed = CallFacts { started_at: world.now - TimeDelta::seconds(9), ..facts(agent(1), 1, world.now) };
    let assumed =
        CallFacts { source: name(GATEWAY_SOURCE), usage_assumed: true, ..facts_of("m", agent(1), 2, world.now) };
    world.settle(11, 101, assumed).unwrap();
    assert_eq!(world.sums(1), ["7", "0", "0", "0"]);
    world.report(101, claimed);
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["7", "0", "0", "0"]);
    is_sound(&world);
    // What is known counts, also if it is less.
    world.reserve(&world.request(12, agent(1), 3)).unwrap();
    let stated = CallFacts { source: name(GATEWAY_SOURCE), ..facts_of("m", agent(1), 1, world.now) };
    world.settle(12, 102, stated).unwrap();
    assert_eq!(world.sums(1), ["8", "0", "0", "0"]);
    is_sound(&world);
}

#[test]
fn a_call_without_a_price_is_seen_also_if_nothing_was_reserved_for_it() {
    let mut world = World::new(None);
    world.open(1, terms(Enforcement::Soft, 10, None));
    let unpriced = |world: &World| world.balances.values().map(|balance| balance.sums.unwrap().unpriced).sum::<i64>();
    let mut request = world.request(11, agent(1), 7);
    request.declared.insert(BudgetDimension::Model, name(UNPRICED));
    world.reserve(&request).unwrap();
    world.settle(11, 101, facts_of(UNPRICED, agent(1), 2, world.now)).unwrap();
    assert_eq!((world.sums(1), unpriced(&world)), (["0", "0", "0", "0"].map(Into::into), 1));
    world.reprice(101);
    world.charge(usize::MAX);
    assert_eq!((world.sums(1), unpriced(&world)), (["2", "0", "0", "0"].map(Into::into), 0));
    is_sound(&world);
}

#[test]
fn an_expired_reservation_stays_assumed_if_its_call_has_no_price_and_is_released_if_it_used_nothing() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 4)).unwrap();
    world.reserve(&world.request(12, agent(1), 5)).unwrap();
    world.now += TimeDelta::minutes(15);
    world.expire();
    assert_eq!(world.sums(1), ["0", "9", "0", "0"]);
    world.settle(11, 101, facts_of(UNPRICED, agent(1), 2, world.now)).unwrap();
    assert_eq!(world.sums(1), ["0", "9", "0", "0"]);
    // A call that used nothing costs nothing, whatever the price.
    world.settle(12, 102, facts_of(UNPRICED, agent(1), 0, world.now)).unwrap();
    assert_eq!(world.sums(1), ["0", "4", "0", "0"]);
    is_sound(&world);
}
