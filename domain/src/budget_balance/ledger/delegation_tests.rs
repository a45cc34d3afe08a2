use crate::Event;
use crate::budget::{
    Amount, BudgetCommand, BudgetDimension, BudgetError, DelegatedTo, Enforcement, OnRefusal, Threshold,
};
use crate::budget_balance::{BudgetBalanceEvent, Sums};
use crate::ids::DagId;
use crate::reservation::{RefusalReason, ReservationStatus};
use crate::spend_audit::tests::world::{HARD, World, agent, dollars, facts, hard, is_sound, terms};
use crate::testing::{body, name, uuid};
use chrono::TimeDelta;

fn to(number: u128) -> DelegatedTo {
    DelegatedTo::Agent { agent_id: agent(number) }
}

/// Reserves some dollars for an agent. Returns whether they are granted.
fn reserve(world: &mut World, id: u128, of: u128, dollars: u64) -> bool {
    let state = world.reserve(&world.request(id, agent(of), dollars)).unwrap();
    state.status == Some(ReservationStatus::Held)
}

fn left(world: &mut World, id: u128, of: u128) -> Option<String> {
    let (reason, left) = world.refused(&world.request(id, agent(of), 1000));
    assert_eq!(reason, RefusalReason::Exceeded);
    left
}

/// The sums of the stream of the period.
fn period(world: &World) -> Sums {
    world.streams(1)[0]
}

#[test]
fn others_do_not_take_what_is_delegated_and_the_child_has_no_more() {
    let mut world = hard(10);
    world.delegate(1, 301, to(1), 6, None).unwrap();
    assert!(!reserve(&mut world, 11, 2, 5) && reserve(&mut world, 12, 2, 4));
    assert_eq!(left(&mut world, 13, 2).as_deref(), Some("0"));
    assert!(!reserve(&mut world, 14, 1, 7) && reserve(&mut world, 15, 1, 4));
    assert_eq!(left(&mut world, 16, 1).as_deref(), Some("2"));
    world.settle(15, 101, facts(agent(1), 3, world.now)).unwrap();
    assert_eq!(world.sums(1), ["3", "0", "4", "0"], "all of the period together");
    assert!(reserve(&mut world, 17, 1, 3) && !reserve(&mut world, 18, 1, 1));
    is_sound(&world);
}

#[test]
fn what_is_left_comes_back_when_a_delegation_ends_by_a_command_or_its_time() {
    let mut world = hard(10);
    world.delegate(1, 301, to(1), 6, None).unwrap();
    assert!(reserve(&mut world, 11, 1, 2));
    world.end_delegation(1, 301).unwrap();
    assert_eq!(world.end_delegation(1, 301), Err(BudgetError::UnknownDelegation));
    // Its calls are those of the budget again.
    assert!(reserve(&mut world, 12, 1, 3));
    assert_eq!(left(&mut world, 13, 2).as_deref(), Some("5"));
    world.delegate(1, 302, to(3), 5, Some(30)).unwrap();
    assert_eq!(left(&mut world, 14, 2).as_deref(), Some("0"));
    world.now += TimeDelta::minutes(30);
    // Also before the end is recorded.
    assert_eq!(left(&mut world, 15, 2).as_deref(), Some("5"));
    assert!(reserve(&mut world, 16, 2, 5));
    assert_eq!(world.end_delegation(1, 302), Err(BudgetError::UnknownDelegation));
    let events = world.log.len();
    world.expire_delegation(1, 302).unwrap();
    assert!(world.log.len() > events, "who and why");
    world.settle(11, 101, facts(agent(1), 2, world.now)).unwrap();
    assert_eq!(world.sums(1), ["2", "0", "8", "0"]);
    is_sound(&world);
}

#[test]
fn a_delegation_of_a_period_is_over_with_it_and_what_it_did_not_use_is_carried_over() {
    let mut world = World::new(None);
    let mut carrying = terms(HARD, 10, None);
    carrying.control.as_mut().unwrap().carry_over = true;
    world.open(1, carrying);
    world.delegate(1, 301, to(1), 6, None).unwrap();
    assert!(reserve(&mut world, 11, 1, 2));
    world.settle(11, 101, facts(agent(1), 2, world.now)).unwrap();
    world.now += TimeDelta::days(1);
    assert_eq!(world.end_delegation(1, 301), Err(BudgetError::UnknownDelegation));
    assert_eq!(world.delegate(1, 301, to(1), 6, None), Err(BudgetError::DelegationExists));
    // The first decision of the period is a delegation: what is carried over is known from then on.
    world.delegate(1, 302, to(2), 9, None).unwrap();
    assert_eq!(period(&world).carried, Some(dollars(8)));
    assert_eq!(left(&mut world, 12, 1).as_deref(), Some("9"));
    assert_eq!(left(&mut world, 13, 2).as_deref(), Some("9"));
    is_sound(&world);
}

#[test]
fn what_is_charged_without_a_reservation_lessens_what_a_delegation_may_use() {
    let mut world = hard(10);
    world.delegate(1, 301, to(1), 6, None).unwrap();
    world.report(101, facts(agent(2), 7, world.now));
    world.charge(usize::MAX);
    assert_eq!(left(&mut world, 11, 1).as_deref(), Some("3"));
    assert_eq!(left(&mut world, 12, 2).as_deref(), Some("0"));
    assert!(reserve(&mut world, 13, 1, 3) && !reserve(&mut world, 14, 1, 1));
    is_sound(&world);
}

#[test]
fn a_delegation_to_a_task_graph_holds_the_calls_that_state_it() {
    let mut world = hard(10);
    let dag_id = DagId(uuid(900));
    world.delegate(1, 301, DelegatedTo::Dag { dag_id }, 4, None).unwrap();
    let mut request = world.request(11, agent(1), 5);
    request.declared.insert(BudgetDimension::Dag, name(&dag_id.to_string()));
    assert_eq!(world.refused(&request), (RefusalReason::Exceeded, Some("4".to_owned())));
    assert!(reserve(&mut world, 12, 1, 6), "it states none");
    is_sound(&world);
}

#[test]
fn a_budget_of_several_parts_takes_from_all_of_them_what_it_delegates() {
    let mut world = World::new(None);
    let mut shared = terms(HARD, 20, None);
    shared.control.as_mut().unwrap().parts = 3.try_into().unwrap();
    world.open(1, shared);
    for (id, part) in [(11, 1), (12, 2)] {
        world.part = part;
        assert!(reserve(&mut world, id, 2, 1));
    }
    world.delegate(1, 301, to(1), 18, None).unwrap();
    assert!(world.streams(1).iter().all(|sums| sums.room().is_zero()));
    assert!(!reserve(&mut world, 13, 2, 1) && reserve(&mut world, 14, 1, 18));
    is_sound(&world);
}

#[test]
fn what_cannot_be_delegated_is_rejected() {
    let mut world = hard(10);
    world.open(2, terms(Enforcement::Soft, 10, None));
    let exceeds = |left: u64| BudgetError::DelegationExceeds { amount: dollars(11), left: dollars(left) };
    assert_eq!(world.delegate(1, 301, to(1), 11, None), Err(exceeds(10)));
    assert_eq!(world.delegate(2, 301, to(1), 1, None), Err(BudgetError::DelegatesNothing));
    assert_eq!(world.delegate(3, 301, to(1), 1, None), Err(BudgetError::NotDefined));
    assert_eq!(world.delegate(1, 301, to(1), 0, None), Err(BudgetError::InvalidDelegation));
    assert_eq!(world.delegate(1, 301, to(1), 1, Some(0)), Err(BudgetError::InvalidDelegation));
    world.delegate(1, 301, to(1), 1, None).unwrap();
    let events = world.log.len();
    world.delegate(1, 301, to(1), 1, None).unwrap();
    assert_eq!(world.log.len(), events, "it is delegated");
    for (amount, of) in [(2, 1), (1, 2)] {
        assert_eq!(world.delegate(1, 301, to(of), amount, None), Err(BudgetError::DelegationExists));
    }
    // The id is that of another budget.
    world.open(4, terms(HARD, 10, None));
    assert_eq!(world.delegate(4, 301, to(1), 1, None), Err(BudgetError::DelegationExists));
    assert_eq!(world.end_delegation(4, 301), Err(BudgetError::UnknownDelegation));
    for id in 302..309 {
        world.delegate(1, id, to(1), 1, None).unwrap();
    }
    assert_eq!(world.delegate(1, 309, to(1), 1, None), Err(BudgetError::TooManyDelegations));
    is_sound(&world);
}

/// The limit is lowered below what is delegated: the child has what is left, and it stays so when it is raised again.
#[test]
fn a_lower_limit_lessens_what_a_delegation_may_use() {
    let mut world = hard(10);
    world.delegate(1, 301, to(1), 8, None).unwrap();
    let revise = |world: &mut World, limit| {
        let (terms, at) = (terms(HARD, limit, None), world.now);
        world.budget(1, BudgetCommand::Revise { terms, reason: Some(body("x")), at }).unwrap();
    };
    revise(&mut world, 5);
    assert_eq!(left(&mut world, 11, 1).as_deref(), Some("5"));
    assert_eq!(left(&mut world, 12, 2).as_deref(), Some("0"));
    revise(&mut world, 10);
    assert_eq!(left(&mut world, 13, 1).as_deref(), Some("8"));
    assert_eq!(period(&world).delegated.claimed, dollars(8));
    assert_eq!(period(&world).used(), Amount::ZERO);
    is_sound(&world);
}

/// A server whose clock is ahead took the delegation for over, and took back what it did not use.
#[test]
fn a_clock_that_is_behind_changes_a_budget_whose_delegation_was_taken_for_over() {
    let mut world = hard(10);
    let revise = |world: &mut World, limit| {
        let (terms, at) = (terms(HARD, limit, None), world.now);
        world.budget(1, BudgetCommand::Revise { terms, reason: Some(body("x")), at }).unwrap();
    };
    world.delegate(1, 301, to(1), 4, Some(30)).unwrap();
    world.now += TimeDelta::minutes(31);
    revise(&mut world, 12);
    assert_eq!(period(&world).delegated.claimed, Amount::ZERO);
    world.now += TimeDelta::minutes(-5);
    revise(&mut world, 11);
    assert_eq!(left(&mut world, 11, 1).as_deref(), Some("0"), "nothing is kept for it any more");
    world.delegate(1, 302, to(3), 5, None).unwrap();
    assert_eq!(left(&mut world, 12, 3).as_deref(), Some("5"));
    assert!(reserve(&mut world, 13, 2, 6));
    is_sound(&world);
}

/// The event of the period that says so has it beside its own sums.
#[test]
fn what_a_delegation_is_charged_crosses_thresholds_of_the_budget() {
    let mut world = World::new(None);
    let mut alerting = terms(HARD, 10, None);
    alerting.thresholds.insert(Threshold::try_from(50).unwrap());
    world.open(1, alerting);
    world.delegate(1, 301, to(1), 6, None).unwrap();
    assert!(reserve(&mut world, 11, 1, 6));
    world.settle(11, 101, facts(agent(1), 5, world.now)).unwrap();
    let crossed = world.log.iter().find_map(|audited| {
        let Event::BudgetBalance(BudgetBalanceEvent::ThresholdCrossed(crossed)) = &audited.event else { return None };
        Some(crossed.after)
    });
    let spent = crossed.map(|sums| (sums.spent(), sums.spent_with_delegations()));
    assert_eq!(spent, Some((Amount::ZERO, dollars(5))));
    is_sound(&world);
}

/// A raised limit is none of a delegation.
#[test]
fn a_child_that_needs_more_asks_for_no_approval() {
    let mut world = World::new(None);
    let mut asking = terms(HARD, 10, None);
    asking.control.as_mut().unwrap().on_refusal = OnRefusal::AskForApproval { minutes: 30 };
    world.open(1, asking);
    world.delegate(1, 301, to(1), 4, None).unwrap();
    assert_eq!(world.follow_up(&world.request(11, agent(1), 5)), None);
    assert!(world.follow_up(&world.request(12, agent(2), 7)).is_some());
    is_sound(&world);
}
