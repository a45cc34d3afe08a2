use super::*;
use crate::assignment::BudgetRejection;
use crate::budget::{BudgetCommand, BudgetControl, BudgetError, BudgetScope, Enforcement, Measure, PeriodUnit};
use crate::spend_audit::tests::world::{HARD, World, agent, dollars, facts, hard, is_sound, terms};
use crate::testing::{body, name, uuid};
use crate::text::TagKey;
use crate::{BudgetId, Meter};
use chrono::TimeDelta;

#[test]
fn a_reservation_is_granted_up_to_the_limit_and_refused_beyond() {
    let mut world = hard(10);
    let held = world.reserve(&world.request(11, agent(1), 7)).unwrap();
    assert_eq!(held.status, Some(ReservationStatus::Held));
    assert_eq!(world.sums(1), ["0", "0", "7", "0"]);
    let refused = world.refused(&world.request(12, agent(1), 4));
    assert_eq!(refused, (RefusalReason::Exceeded, Some("3".to_owned())));
    assert!(world.ends_with_refusal(), "a refusal changes no budget");
    world.reserve(&world.request(13, agent(1), 3)).unwrap();
    assert_eq!(world.sums(1), ["0", "0", "10", "0"]);
    is_sound(&world);
}

#[test]
fn a_retry_finds_the_answer_also_after_the_budgets_changed() {
    let mut world = hard(10);
    let request = world.request(11, agent(1), 7);
    let first = world.reserve(&request).unwrap();
    world.define(2, terms(HARD, 1, None));
    let length = world.log.len();
    assert_eq!(world.reserve(&request).unwrap(), first);
    assert_eq!(world.log.len(), length);
}

#[test]
fn an_id_holds_one_reservation() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.reserve(&world.request(11, agent(1), 5)).unwrap();
    assert_eq!(world.reserve(&world.request(11, agent(2), 7)), Err(ReservationError::AlreadyReserved));
    world.refused(&world.request(12, agent(1), 4));
    assert_eq!(world.reserve(&world.request(12, agent(2), 1)), Err(ReservationError::AlreadyReserved));
    assert_eq!(world.sums(1), ["0", "0", "7", "0"]);
}

#[test]
fn all_budgets_grant_or_none_and_the_one_that_renews_last_is_named() {
    let mut world = hard(10);
    world.open(2, terms(HARD, 5, Some(agent(1))));
    let mut monthly = terms(HARD, 5, None);
    monthly.control.as_mut().unwrap().period = PeriodUnit::Month;
    world.open(3, monthly);
    let refusal = world.reserve(&world.request(11, agent(1), 6)).unwrap().refused.clone().unwrap().refusal;
    assert_eq!((refusal.budget_id, refusal.left), (BudgetId(uuid(3)), Some(dollars(5))));
    assert_eq!(refusal.renews_at.unwrap().to_rfc3339(), "2024-06-01T00:00:00+00:00");
    assert_eq!([1, 2, 3].map(|id| world.sums(id)[2].clone()), ["0", "0", "0"]);
    world.reserve(&world.request(12, agent(1), 5)).unwrap();
    assert_eq!([1, 2, 3].map(|id| world.sums(id)[2].clone()), ["5", "5", "5"]);
    is_sound(&world);
}

#[test]
fn a_part_is_granted_only_where_the_request_allows_it() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    let mut request = world.request(12, agent(1), 5);
    request.estimate.min_output = Some(1_000_000);
    let granted = world.reserve(&request).unwrap().granted.clone().unwrap();
    assert!(granted.partly);
    assert_eq!(granted.usage.get(Meter::Output).get(), 3_000_000, "the largest output that fits");
    let mut request = world.request(13, agent(1), 5);
    request.estimate.min_output = Some(1_000_000);
    assert_eq!(world.refused(&request).0, RefusalReason::Exceeded);
    is_sound(&world);
}

#[test]
fn a_call_settles_its_reservation_once() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.settle(11, 101, facts(agent(1), 2, world.now)).unwrap();
    assert_eq!(world.sums(1), ["2", "0", "0", "0"]);
    // The policy skips what its own append has charged.
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["2", "0", "0", "0"]);
    // More of the same call is charged by the policy, in the period of the reservation.
    world.now += TimeDelta::hours(20);
    world.report(101, facts(agent(1), 4, world.now));
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["0", "0", "0", "0"], "the next day");
    world.now -= TimeDelta::hours(20);
    assert_eq!(world.sums(1), ["4", "0", "0", "0"]);
    let other = world.settle(11, 102, facts(agent(1), 2, world.now));
    assert_eq!(other, Err(ReservationError::SettledByOther(CallId(uuid(101)))));
    is_sound(&world);
}

#[test]
fn what_the_gateway_holds_is_not_ended_by_a_client() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 5)).unwrap();
    let request = Reserve { holder: Holder::Gateway, ..world.request(12, agent(1), 5) };
    let state = world.reserve(&request).unwrap();
    let call_id = CallId(uuid(101));
    assert_eq!(state.check_holder(Holder::Client), Err(ReservationError::HeldByGateway));
    assert_eq!(state.accepts(call_id, Holder::Client), Err(ReservationError::HeldByGateway));
    assert_eq!(state.accepts(call_id, Holder::Gateway), Ok(true));
    assert_eq!(world.settle(12, 101, facts(agent(1), 0, world.now)), Err(ReservationError::HeldByGateway));
    assert_eq!(world.extend(12, 5), Err(ReservationError::HeldByGateway));
    assert_eq!(world.release(12), Err(ReservationError::HeldByGateway));
    assert_eq!(world.refused(&world.request(13, agent(1), 1)).0, RefusalReason::Exceeded, "nothing is free");
    assert_eq!(world.sums(1), ["0", "0", "10", "0"]);
    is_sound(&world);
}

#[test]
fn what_costs_more_than_reserved_is_excess_and_nothing_is_granted_until_there_is_room() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    world.settle(11, 101, facts(agent(1), 12, world.now)).unwrap();
    assert_eq!(world.sums(1), ["12", "0", "0", "2"]);
    assert_eq!(world.refused(&world.request(12, agent(1), 0)).0, RefusalReason::Exceeded);
    let (until, at) = (world.now + TimeDelta::hours(1), world.now);
    let raise = BudgetCommand::Raise { amount: dollars(5), until, reason: body("release day"), at };
    world.budget(1, raise).unwrap();
    world.reserve(&world.request(13, agent(1), 3)).unwrap();
    world.now += TimeDelta::hours(2);
    assert_eq!(world.refused(&world.request(14, agent(1), 0)).0, RefusalReason::Exceeded, "the raise has ended");
    is_sound(&world);
}

#[test]
fn a_lowered_limit_is_excess() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 7)).unwrap();
    let at = world.now;
    world.budget(1, BudgetCommand::Revise { terms: terms(HARD, 4, None), reason: None, at }).unwrap();
    assert_eq!(world.sums(1), ["0", "0", "7", "3"]);
    is_sound(&world);
}

#[test]
fn calls_without_a_reservation_are_charged_by_the_policy_as_excess() {
    let mut world = hard(10);
    world.report(101, facts(agent(1), 11, world.now));
    assert_eq!(world.sums(1), ["0", "0", "0", "0"]);
    world.charge(1);
    assert_eq!(world.sums(1), ["11", "0", "0", "1"]);
    world.charge(usize::MAX);
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["11", "0", "0", "1"]);
    is_sound(&world);
}

#[test]
fn attribution_moves_money_into_a_full_budget() {
    let mut world = hard(100);
    world.open(2, terms(HARD, 5, Some(agent(2))));
    world.reserve(&world.request(11, agent(2), 5)).unwrap();
    world.report(101, facts(agent(1), 3, world.now));
    world.charge(usize::MAX);
    assert_eq!(world.sums(2), ["0", "0", "5", "0"]);
    world.correct(101, facts(agent(2), 3, world.now));
    world.charge(usize::MAX);
    assert_eq!(
        (world.sums(1), world.sums(2)),
        (["3", "0", "5", "0"].map(Into::into), ["3", "0", "5", "3"].map(Into::into))
    );
    is_sound(&world);
}

#[test]
fn an_expired_reservation_is_charged_if_it_was_sent_and_released_if_not() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 4)).unwrap();
    let unsent = Reserve { sent: false, ..world.request(12, agent(1), 5) };
    world.reserve(&unsent).unwrap();
    world.expire();
    assert_eq!(world.sums(1), ["0", "0", "9", "0"], "not yet");
    world.now += TimeDelta::minutes(15);
    world.expire();
    assert_eq!(world.sums(1), ["0", "4", "0", "0"]);
    // A settlement after expiry is accepted.
    world.settle(11, 101, facts(agent(1), 1, world.now)).unwrap();
    world.settle(12, 102, facts(agent(1), 2, world.now)).unwrap();
    assert_eq!(world.sums(1), ["3", "0", "0", "0"]);
    is_sound(&world);
}

#[test]
fn a_reservation_is_extended_in_all_its_budgets_or_none() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 4)).unwrap();
    world.extend(11, 9).unwrap();
    assert_eq!(world.sums(1), ["0", "0", "9", "0"]);
    assert!(matches!(world.extend(11, 12), Err(ReservationError::Refused(_))));
    world.release(11).unwrap();
    world.release(11).unwrap();
    assert_eq!(world.sums(1), ["0", "0", "0", "0"]);
    assert_eq!(world.extend(11, 5), Err(ReservationError::NotHeld));
    is_sound(&world);
}

#[test]
fn a_budget_opens_with_what_was_charged_before_and_refuses_until_then() {
    let mut world = World::new(None);
    world.report(101, facts(agent(1), 3, world.now));
    world.report(102, facts(agent(1), 4, world.now - TimeDelta::days(1)));
    world.define(1, terms(HARD, 10, None));
    world.report(103, facts(agent(1), 2, world.now));
    assert_eq!(world.refused(&world.request(11, agent(1), 1)).0, RefusalReason::Counting);
    world.count(1);
    assert_eq!(world.refused(&world.request(12, agent(1), 1)).0, RefusalReason::Counting, "the policy is not there");
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["2", "0", "0", "0"]);
    world.count(1);
    assert_eq!(world.sums(1), ["5", "0", "0", "0"]);
    world.reserve(&world.request(13, agent(1), 5)).unwrap();
    is_sound(&world);
}

/// The time that a client states of a definition or a revision is recorded, and decides nothing.
#[test]
fn the_running_period_is_that_of_the_server() {
    let mut world = World::new(None);
    for days in 0..40_u32 {
        let at = world.now - TimeDelta::days(days.into());
        world.report(101 + u128::from(days), facts(agent(1), 1, at));
    }
    let (now, long_ago) = (world.now, world.now - TimeDelta::days(400));
    world.budget(1, BudgetCommand::Define { terms: terms(HARD, 10, None), at: long_ago }).unwrap();
    world.budget(2, BudgetCommand::Define { terms: terms(HARD, 10, None), at: now + TimeDelta::days(400) }).unwrap();
    world.charge(usize::MAX);
    world.count(1);
    world.count(2);
    assert_eq!(world.sums(1), ["1", "0", "0", "0"]);
    assert_eq!(world.sums(2), ["1", "0", "0", "0"]);
    let mut weekly = terms(HARD, 10, None);
    weekly.control.as_mut().unwrap().period = PeriodUnit::Week;
    world.budget(1, BudgetCommand::Revise { terms: weekly, reason: None, at: long_ago }).unwrap();
    assert_eq!(world.sums(1)[0], "1", "the day goes on to its end");
    is_sound(&world);
}

/// A call of the time before the definition that is amended later leaves nothing that could be carried over.
#[test]
fn nothing_is_carried_over_of_periods_that_ended_before_the_definition() {
    let mut world = World::new(None);
    let yesterday = world.now - TimeDelta::days(1);
    world.report(101, facts(agent(1), 3, yesterday));
    let mut carrying = terms(HARD, 10, None);
    carrying.control.as_mut().unwrap().carry_over = true;
    world.open(1, carrying);
    world.correct(101, facts(agent(1), 2, yesterday));
    world.charge(usize::MAX);
    assert_eq!(world.refused(&world.request(11, agent(1), 11)), (RefusalReason::Exceeded, Some("10".to_owned())));
    is_sound(&world);
}

#[test]
fn what_is_carried_over_is_what_was_left_under_the_terms_before() {
    let mut world = World::new(None);
    let carrying = |limit| {
        let mut terms = terms(HARD, limit, None);
        terms.control.as_mut().unwrap().carry_over = true;
        terms
    };
    world.open(1, carrying(10));
    world.reserve(&world.request(11, agent(1), 9)).unwrap();
    world.settle(11, 101, facts(agent(1), 9, world.now)).unwrap();
    world.now += TimeDelta::days(1);
    let at = world.now;
    world.budget(1, BudgetCommand::Revise { terms: carrying(100), reason: None, at }).unwrap();
    assert_eq!(world.refused(&world.request(12, agent(1), 102)), (RefusalReason::Exceeded, Some("101".to_owned())));
    is_sound(&world);
}

#[test]
fn a_budget_that_is_not_counted_refuses_extensions() {
    let mut world = World::new(None);
    world.define(1, terms(Enforcement::Soft, 10, None));
    world.reserve(&world.request(11, agent(1), 1)).unwrap();
    let at = world.now;
    world.budget(1, BudgetCommand::Revise { terms: terms(HARD, 10, None), reason: None, at }).unwrap();
    let extended = world.extend(11, 2);
    assert!(matches!(&extended, Err(ReservationError::Refused(refusal)) if refusal.reason == RefusalReason::Counting));
    world.charge(usize::MAX);
    world.count(1);
    world.extend(11, 2).unwrap();
    assert_eq!(world.sums(1), ["0", "0", "2", "0"]);
    is_sound(&world);
}

#[test]
fn what_is_left_is_carried_over_once() {
    let mut world = World::new(None);
    let mut carrying = terms(HARD, 10, None);
    carrying.control.as_mut().unwrap().carry_over = true;
    world.open(1, carrying);
    world.reserve(&world.request(11, agent(1), 4)).unwrap();
    world.settle(11, 101, facts(agent(1), 4, world.now)).unwrap();
    world.now += TimeDelta::days(1);
    assert_eq!(world.refused(&world.request(12, agent(1), 17)), (RefusalReason::Exceeded, Some("16".to_owned())));
    world.reserve(&world.request(13, agent(1), 16)).unwrap();
    // A late call of the day before does not change what was carried over.
    world.report(102, facts(agent(1), 6, world.now - TimeDelta::days(1)));
    world.charge(usize::MAX);
    assert_eq!(world.sums(1), ["0", "0", "16", "0"]);
    is_sound(&world);
}

#[test]
fn a_changed_period_is_in_force_after_the_running_one() {
    let mut world = hard(10);
    world.reserve(&world.request(11, agent(1), 4)).unwrap();
    let (mut weekly, at) = (terms(HARD, 10, None), world.now);
    weekly.control.as_mut().unwrap().period = PeriodUnit::Week;
    world.budget(1, BudgetCommand::Revise { terms: weekly, reason: None, at }).unwrap();
    assert_eq!(world.sums(1)[2], "4");
    world.now += TimeDelta::days(1);
    // 2024-05-06 is a Monday.
    world.reserve(&world.request(12, agent(1), 6)).unwrap();
    world.now += TimeDelta::days(6);
    assert_eq!(world.sums(1)[2], "6", "the same week");
    is_sound(&world);
}

#[test]
fn a_hard_budget_on_a_tag_demands_that_it_is_declared() {
    let mut world = World::new(None);
    let tag = BudgetDimension::Tag(TagKey::new("project").unwrap());
    let mut tagged = terms(HARD, 10, None);
    tagged.scope = BudgetScope::Conditions { conditions: [(tag.clone(), name("x"))].into() };
    world.open(1, tagged);
    let request = world.request(11, agent(1), 1);
    assert_eq!(world.refused(&request).0, RefusalReason::Undeclared { dimension: tag.clone() });
    for (id, value, lines) in [(12, "x", 1), (13, "y", 0)] {
        let mut request = world.request(id, agent(1), 1);
        request.declared.insert(tag.clone(), name(value));
        assert_eq!(world.reserve(&request).unwrap().lines().count(), lines);
    }
    is_sound(&world);
}

#[test]
fn what_the_credential_says_cannot_be_overridden() {
    let mut world = hard(10);
    let (dimension, fixed, declared) = (BudgetDimension::Agent, agent(2).to_string(), agent(1).to_string());
    let mut request = world.request(11, agent(1), 1);
    request.fixed.insert(dimension.clone(), name(&fixed));
    let error = ReservationError::Fixed { dimension, fixed: name(&fixed), declared: name(&declared) };
    assert_eq!(world.reserve(&request), Err(error));
}

#[test]
fn a_model_without_a_price_is_refused_under_a_budget_of_money() {
    let mut world = hard(10);
    let mut request = world.request(11, agent(1), 1);
    request.declared.insert(BudgetDimension::Model, name("unknown"));
    assert_eq!(world.refused(&request).0, RefusalReason::Unpriced);
}

#[test]
fn budgets_count_calls_and_meters_too() {
    let mut world = World::new(None);
    let of = |measure| {
        let terms = terms(HARD, 2, None);
        let control = BudgetControl { measure, ..terms.control.clone().unwrap() };
        crate::budget::BudgetTerms { control: Some(control), ..terms }
    };
    world.open(1, of(Measure::Calls));
    let mut tokens = of(Measure::Meter(Meter::Output));
    tokens.limit = crate::Money::from_decimal(5_000_000.into());
    world.open(2, tokens);
    world.reserve(&world.request(11, agent(1), 3)).unwrap();
    world.settle(11, 101, facts(agent(1), 2, world.now)).unwrap();
    assert_eq!((world.sums(1)[0].as_str(), world.sums(2)[0].as_str()), ("1", "2000000"));
    assert_eq!(world.refused(&world.request(12, agent(1), 4)), (RefusalReason::Exceeded, Some("3000000".to_owned())));
    world.reserve(&world.request(13, agent(1), 1)).unwrap();
    assert_eq!(world.refused(&world.request(14, agent(1), 0)), (RefusalReason::Exceeded, Some("0".to_owned())));
    is_sound(&world);
}

#[test]
fn soft_and_shadow_budgets_refuse_nothing_and_a_shadow_budget_counts_what_it_would_refuse() {
    let mut world = World::new(None);
    world.open(1, terms(Enforcement::Soft, 1, None));
    world.open(2, terms(Enforcement::Shadow, 1, None));
    world.reserve(&world.request(11, agent(1), 1)).unwrap();
    world.reserve(&world.request(12, agent(1), 1)).unwrap();
    let would_refuse: Vec<_> = world.balances.values().map(|balance| balance.sums.unwrap().would_refuse).collect();
    assert_eq!(would_refuse.iter().sum::<u64>(), 1);
    assert_eq!(world.sums(2), ["0", "0", "2", "0"]);
    is_sound(&world);
}

#[test]
fn a_suspended_budget_refuses_nothing_and_counts() {
    let mut world = hard(1);
    let at = world.now;
    world.budget(1, BudgetCommand::Suspend { reason: body("incident"), at }).unwrap();
    world.reserve(&world.request(11, agent(1), 5)).unwrap();
    world.budget(1, BudgetCommand::Resume { reason: None, at }).unwrap();
    assert_eq!(world.sums(1), ["0", "0", "5", "4"]);
    is_sound(&world);
}

#[test]
fn the_time_that_a_reservation_is_held_is_bounded() {
    let mut world = hard(1);
    for seconds in [59, 86_401] {
        let request = world.request(11, agent(1), 1);
        let request = Reserve { expires_at: request.at + TimeDelta::seconds(seconds), ..request };
        assert_eq!(world.reserve(&request), Err(ReservationError::HoldTime { found: seconds }));
    }
}

/// As many budgets as a decision takes are defined, and no more: reservations are decided, whatever the budgets.
#[test]
fn no_budget_is_defined_with_which_too_many_could_apply_to_a_call() {
    let mut world = World::new(None);
    for id in 1..=24 {
        world.open(id, terms(HARD, 10, None));
    }
    let at = world.now;
    let mut define = |id, of| world.budget(id, BudgetCommand::Define { terms: terms(HARD, 10, of), at });
    let refused = Err(BudgetRejection::Budget(BudgetError::TooManyApplying));
    assert_eq!(define(25, None), refused);
    assert_eq!(define(25, Some(agent(1))), refused, "of all calls, those of an agent are a part");
    world.reserve(&world.request(26, agent(1), 10)).unwrap();
    assert_eq!(world.sums(24)[2], "10");
    // Suspended, it counts calls all the same; closed, it does not.
    world.budget(24, BudgetCommand::Suspend { reason: body("incident"), at }).unwrap();
    let mut define = |id, of| world.budget(id, BudgetCommand::Define { terms: terms(HARD, 10, of), at });
    assert_eq!(define(25, Some(agent(1))), refused);
    world.budget(24, BudgetCommand::Close { at }).unwrap();
    // Budgets of different agents exclude each other.
    for id in 100..200 {
        world.define(id, terms(HARD, 10, Some(agent(id))));
    }
    let at = world.now;
    let again = world.budget(200, BudgetCommand::Define { terms: terms(HARD, 10, Some(agent(199))), at });
    assert_eq!(again, refused);
    is_sound(&world);
}

/// A budget of some calls cannot be avoided by not stating whose the call is.
#[test]
fn a_hard_budget_demands_every_value_that_the_call_may_have() {
    let id = |number| name(&uuid(number).to_string());
    let (agent_of, key, user) = (BudgetDimension::Agent, BudgetDimension::Key, BudgetDimension::User);
    let (team, provider) = (BudgetDimension::Team, BudgetDimension::Provider);
    for dimension in [&agent_of, &key, &user, &team, &provider] {
        let mut world = World::new(None);
        let mut of_one = terms(HARD, 10, None);
        of_one.scope = BudgetScope::Conditions { conditions: [(dimension.clone(), id(7))].into() };
        // No provider of these names has prices.
        of_one.control.as_mut().unwrap().measure = Measure::Calls;
        world.open(1, of_one);
        let without = |world: &World, number| {
            let mut request = world.request(number, agent(1), 1);
            request.declared.remove(dimension);
            request
        };
        let refused = RefusalReason::Undeclared { dimension: dimension.clone() };
        assert_eq!(world.refused(&without(&world, 11)).0, refused);
        // Another value, one that says that there is none, and what the credential says.
        for (number, value, lines) in [(12, id(8), 0), (13, name("none"), 0), (14, id(7), 1)] {
            let mut request = without(&world, number);
            request.declared.insert(dimension.clone(), value.clone());
            assert_eq!(world.reserve(&request).unwrap().lines().count(), lines, "{dimension}");
            let mut request = without(&world, number + 10);
            request.fixed.insert(dimension.clone(), value);
            assert_eq!(world.reserve(&request).unwrap().lines().count(), lines, "{dimension}");
        }
        // A budget that refuses nothing demands nothing.
        let at = world.now;
        world.budget(1, BudgetCommand::Suspend { reason: body("incident"), at }).unwrap();
        assert_eq!(world.reserve(&without(&world, 31)).unwrap().lines().count(), 0, "{dimension}");
        is_sound(&world);
    }
}

/// What a call cannot have is not demanded.
#[test]
fn a_hard_budget_demands_no_value_that_the_call_cannot_have() {
    let id = name(&uuid(7).to_string());
    let of = |conditions: &[(BudgetDimension, crate::text::Name)]| {
        let mut terms = terms(HARD, 10, None);
        terms.scope = BudgetScope::Conditions { conditions: conditions.iter().cloned().collect() };
        let mut world = World::new(None);
        world.open(1, terms);
        world
    };
    let mut world = of(&[(BudgetDimension::Tool, name("search"))]);
    assert_eq!(world.reserve(&world.request(11, agent(1), 1)).unwrap().lines().count(), 0, "no tool is called");
    // Nor is the team, which does not matter without the tool.
    let mut world = of(&[(BudgetDimension::Tool, name("search")), (BudgetDimension::Team, id.clone())]);
    assert_eq!(world.reserve(&world.request(11, agent(1), 1)).unwrap().lines().count(), 0);
    let mut world = of(&[(BudgetDimension::Model, name("m"))]);
    let mut request = world.request(11, agent(1), 0);
    request.declared = [(BudgetDimension::Tool, name("search"))].into();
    request.estimate.kind = crate::call::CallKind::Tool;
    assert_eq!(world.reserve(&request).unwrap().lines().count(), 0, "no model is called");
    let mut world = of(&[(BudgetDimension::Key, id.clone())]);
    let mut request = world.request(11, agent(1), 1);
    request.fixed.insert(BudgetDimension::User, id);
    assert_eq!(world.reserve(&request).unwrap().lines().count(), 0, "a user who signed in uses no key");
}
