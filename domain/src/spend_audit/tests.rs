pub(crate) mod world;

use self::world::{Fault, UNPRICED, World, agent, facts, facts_of};
use super::*;
use crate::approval::ApprovalAnswer;
use crate::budget::{
    BudgetCommand, BudgetDimension, BudgetTerms, DelegatedTo, Enforcement, OnRefusal, Parts, PeriodUnit, Threshold,
};
use crate::ids::{AgentId, DagId, ReservationId};
use crate::testing::{body, uuid};
use chrono::TimeDelta;
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// One command of a history. Numbers name budgets, reservations and calls.
#[derive(Debug, Clone)]
enum Step {
    /// The budget, how it is enforced, the limit, whether it is of an agent, whether it carries over, and its parts.
    Define(u128, Enforcement, i64, bool, bool, u8),
    Limit(u128, i64),
    Suspend(u128, bool),
    Raise(u128, u64),
    Close(u128),
    Reserve {
        id: u128,
        agent: u128,
        output: u64,
        min: Option<u64>,
        sent: bool,
    },
    Extend(u128, u64),
    Release(u128),
    Settle {
        id: u128,
        call: u128,
        agent: u128,
        output: u64,
        is_priced: bool,
    },
    Report {
        call: u128,
        agent: u128,
        output: u64,
        hours_ago: i64,
    },
    Correct {
        call: u128,
        agent: u128,
        output: u64,
    },
    /// The model without a price gets one, and a call is charged again.
    Reprice(u128),
    /// What is delegated of a budget to an agent or the only task graph, under an id, and for how many minutes.
    Delegate(u128, u128, Option<u128>, u64, Option<i64>),
    EndDelegation(u128, u128, bool),
    /// The request for approval of a reservation is answered.
    Answer(u128, ApprovalAnswer),
    Pass(i64),
    Expire,
    Charge(usize),
    Count(u128),
    /// The charging policy cannot decode a reservation any more.
    Garble(u128),
    /// It cannot decode the catalogue.
    Hold,
    /// It can decode everything again.
    CatchUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (budget, agent, call, id) = (|| 1_u128..4, || 1_u128..4, || 101_u128..111, || 201_u128..221);
    let enforcement = prop_oneof![
        3 => Just(Enforcement::Hard), 1 => Just(Enforcement::Soft), 1 => Just(Enforcement::Shadow)
    ];
    prop_oneof![
        2 => (budget(), enforcement, 1_i64..20, any::<bool>(), any::<bool>(), parts())
            .prop_map(|(id, how, limit, of_agent, carry, parts)| Step::Define(id, how, limit, of_agent, carry, parts)),
        1 => (budget(), 1_i64..20).prop_map(|(id, limit)| Step::Limit(id, limit)),
        1 => (budget(), any::<bool>()).prop_map(|(id, is_suspended)| Step::Suspend(id, is_suspended)),
        1 => (budget(), 1_u64..5).prop_map(|(id, amount)| Step::Raise(id, amount)),
        1 => (budget(), prop::bool::weighted(0.3)).prop_map(|(id, closes)| if closes { Step::Close(id) } else { Step::Expire }),
        8 => (id(), agent(), 0_u64..6, prop::option::of(1_u64..3), any::<bool>())
            .prop_map(|(id, agent, output, min, sent)| Step::Reserve { id, agent, output, min, sent }),
        2 => (id(), 1_u64..8).prop_map(|(id, output)| Step::Extend(id, output)),
        2 => id().prop_map(Step::Release),
        6 => (id(), call(), agent(), 0_u64..8, prop::bool::weighted(0.8))
            .prop_map(|(id, call, agent, output, is_priced)| Step::Settle { id, call, agent, output, is_priced }),
        2 => (call(), agent(), 0_u64..4, -30_i64..30)
            .prop_map(|(call, agent, output, hours_ago)| Step::Report { call, agent, output, hours_ago }),
        1 => (call(), agent(), 0_u64..4).prop_map(|(call, agent, output)| Step::Correct { call, agent, output }),
        1 => prop_oneof![3 => Just(Step::Expire), 1 => call().prop_map(Step::Reprice)],
        1 => (id(), prop::bool::weighted(0.8)).prop_map(|(id, approves)| {
            Step::Answer(id, if approves { ApprovalAnswer::Approve } else { ApprovalAnswer::Deny })
        }),
        // The clock of another server may be behind.
        2 => prop_oneof![3 => Just(10_i64), 3 => Just(600), 1 => Just(-7)].prop_map(Step::Pass),
        2 => Just(Step::Expire),
        4 => (1_usize..6).prop_map(Step::Charge),
        3 => budget().prop_map(Step::Count),
        3 => (budget(), 301_u128..307, prop::option::weighted(0.7, agent()), 1_u64..8, prop::option::of(1_i64..700))
            .prop_map(|(id, delegation, to, amount, minutes)| Step::Delegate(id, delegation, to, amount, minutes)),
        1 => (budget(), 301_u128..307, any::<bool>())
            .prop_map(|(id, delegation, expires)| Step::EndDelegation(id, delegation, expires)),
        1 => prop_oneof![id().prop_map(Step::Garble), Just(Step::Hold), (1_usize..4).prop_map(Step::CatchUp)],
    ]
}

fn dag() -> DagId {
    DagId(uuid(900))
}

fn parts() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(1_u8), 3 => 2_u8..5]
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    (parts(), any::<bool>(), prop::collection::vec(step(), 1..60)).prop_map(|(parts, carries, steps)| {
        let open = Step::Define(1, Enforcement::Hard, 10, false, carries, parts);
        [open, Step::Charge(usize::MAX), Step::Count(1)].into_iter().chain(steps).collect()
    })
}

/// The terms of a budget of several parts, or of one and with thresholds, which asks for approval if it is hard.
fn terms_of_parts(enforcement: Enforcement, limit: i64, of: Option<AgentId>, parts: Parts) -> BudgetTerms {
    let mut terms = terms(enforcement, limit, of);
    if parts != Parts::default() {
        terms.thresholds.clear();
    }
    terms.control.as_mut().unwrap().parts = parts;
    terms
}

/// The terms of a budget with thresholds, which asks for approval if it is hard.
fn terms(enforcement: Enforcement, limit: i64, of: Option<AgentId>) -> BudgetTerms {
    let thresholds = [50, 80, 100].map(|percent| Threshold::try_from(percent).unwrap()).into();
    let mut terms = BudgetTerms { thresholds, ..self::world::terms(enforcement, limit, of) };
    if let Some(control) = terms.control.as_mut().filter(|_| enforcement == Enforcement::Hard) {
        control.on_refusal = OnRefusal::AskForApproval { minutes: 60 };
    }
    terms
}

fn run(history: &[Step], fault: Option<Fault>) -> World {
    run_in(World::new(fault), history, None)
}

/// Runs a step that changes what a budget is, or what it delegates.
fn change_budget(world: &mut World, step: &Step, recurrence: Option<(PeriodUnit, Tz)>) {
    let at = world.now;
    match step.clone() {
        Step::Define(id, how, limit, of_agent, carry_over, parts) => {
            let parts = parts.try_into().unwrap();
            let mut terms = terms_of_parts(how, limit, of_agent.then(|| agent(id)), parts);
            let control = terms.control.as_mut().unwrap();
            control.carry_over = carry_over;
            if let Some((unit, time_zone)) = recurrence {
                control.period = unit;
                terms.time_zone = time_zone;
            }
            drop(world.budget(id, BudgetCommand::Define { terms, at }));
        }
        Step::Limit(id, limit) => {
            let terms = terms_of_parts(Enforcement::Hard, limit, None, world.parts(id));
            drop(world.budget(id, BudgetCommand::Revise { terms, reason: None, at }));
        }
        Step::Suspend(id, true) => drop(world.budget(id, BudgetCommand::Suspend { reason: body("x"), at })),
        Step::Suspend(id, false) => drop(world.budget(id, BudgetCommand::Resume { reason: None, at })),
        Step::Raise(id, amount) => {
            let (amount, until) = (self::world::dollars(amount), at + TimeDelta::hours(3));
            drop(world.budget(id, BudgetCommand::Raise { amount, until, reason: body("x"), at }));
        }
        Step::Delegate(id, delegation, to, amount, minutes) => {
            let to = to.map_or(DelegatedTo::Dag { dag_id: dag() }, |to| DelegatedTo::Agent { agent_id: agent(to) });
            drop(world.delegate(id, delegation, to, amount, minutes));
        }
        Step::EndDelegation(id, delegation, false) => drop(world.end_delegation(id, delegation)),
        Step::EndDelegation(id, delegation, true) => drop(world.expire_delegation(id, delegation)),
        Step::Close(id) => drop(world.budget(id, BudgetCommand::Close { at })),
        other => panic!("{other:?}"),
    }
}

/// Runs a history in which budgets are defined with a recurrence, if one is given. A change of the limit makes it daily in UTC. No
/// call starts in the future then: a change of the recurrence does not move those that were charged before.
fn run_in(mut world: World, history: &[Step], recurrence: Option<(PeriodUnit, Tz)>) -> World {
    for step in history {
        let at = world.now;
        match step.clone() {
            Step::Define(..)
            | Step::Limit(..)
            | Step::Suspend(..)
            | Step::Raise(..)
            | Step::Delegate(..)
            | Step::EndDelegation(..)
            | Step::Close(_) => change_budget(&mut world, step, recurrence),
            Step::Reserve { id, agent: of, output, min, sent } => {
                let mut request = world.request(id, agent(of), output);
                request.estimate.min_output = min.map(|min| min.min(output) * 1_000_000);
                request.sent = sent;
                world.part = u8::try_from(id % 5).unwrap();
                if id % 3 == 0 {
                    request.declared.insert(BudgetDimension::Dag, dag().to_string().try_into().unwrap());
                }
                drop(world.reserve(&request));
            }
            Step::Extend(id, output) => drop(world.extend(id, output)),
            Step::Release(id) => drop(world.release(id)),
            Step::Settle { id, call, agent: of, output, is_priced } => {
                let model = if is_priced { "m" } else { UNPRICED };
                drop(world.settle(id, call, facts_of(model, agent(of), output, at)));
            }
            Step::Reprice(call) => world.reprice(call),
            Step::Answer(id, answer) => drop(world.answer(id, answer)),
            Step::Report { call, agent: of, output, hours_ago } => {
                let hours_ago = if recurrence.is_some() { hours_ago.abs() } else { hours_ago };
                world.report(call, facts(agent(of), output, at - TimeDelta::hours(hours_ago)));
            }
            Step::Correct { call, agent: of, output } => world.correct(call, facts(agent(of), output, at)),
            Step::Pass(minutes) => world.now += TimeDelta::minutes(minutes),
            Step::Expire => world.expire(),
            Step::Charge(number) => world.charge(number),
            Step::Count(id) => world.count(id),
            Step::Garble(id) => _ = world.undecodable.insert(ReservationId(uuid(id))),
            Step::Hold => world.hold(),
            Step::CatchUp(number) => {
                world.undecodable.clear();
                world.catch_up(number);
            }
        }
    }
    world.undecodable.clear();
    world.catch_up(usize::MAX);
    world.charge(usize::MAX);
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_history_overspends_a_hard_budget_or_charges_twice(history in history()) {
        let (_, violations) = run(&history, None).audit();
        prop_assert_eq!(violations, []);
    }

    /// Clocks are put forward, or back, within hours of the first step, and terms change from any recurrence to another.
    #[test]
    fn no_recurrence_is_overspent_when_clocks_or_terms_change(
        history in history(),
        unit in prop::sample::select(&PeriodUnit::ALL[..]),
        time_zone in prop::sample::select(&[Tz::UTC, Tz::Europe__Berlin, Tz::Australia__Lord_Howe][..]),
        starts_at in prop::sample::select(&["2024-03-30T20:00:00Z", "2024-10-26T20:00:00Z", "2024-10-05T12:00:00Z"][..]),
    ) {
        let mut world = World::new(None);
        world.now = starts_at.parse().unwrap();
        let (_, violations) = run_in(world, &history, Some((unit, time_zone))).audit();
        prop_assert_eq!(violations, []);
    }

    /// Every prefix of a log satisfies the invariants, as the audit compares after each append; so does a log read in two parts.
    #[test]
    fn the_audit_of_a_prefix_finds_nothing(history in history(), share in 0_usize..100) {
        let world = run(&history, None);
        let mut audit = SpendAudit::default();
        world.log[..world.log.len() * share / 100].iter().for_each(|audited| audit.read(audited));
        // An append that is read in part is not compared.
        prop_assert_eq!(audit.violations, []);
    }
}

/// The control: the audit finds each planted bug.
#[test]
fn the_audit_finds_every_planted_bug() {
    let mut runner = TestRunner::deterministic();
    let histories: Vec<_> = (0..1000).map(|_| history().new_tree(&mut runner).unwrap().current()).collect();
    let grants: u64 = histories.iter().map(|history| run(history, None).audit().0).sum();
    assert!(grants > 1000, "{grants} grants");
    let is_of = |fault: Fault, violation: &Violation| match violation {
        Violation::Overspent { .. } => matches!(fault, Fault::CheckThenIncrement | Fault::IgnoresPeriod),
        Violation::TookDelegated { .. } => fault == Fault::TakesDelegated,
        Violation::BeyondDelegation { .. } => fault == Fault::ExceedsDelegation,
        Violation::Freed { .. } => fault == Fault::FreesSent,
        Violation::WrongSum { sum: AuditedSum::Charged, .. } => {
            matches!(fault, Fault::ForgetsPosition | Fault::ChargesSettled | Fault::LosesCharges)
        }
        Violation::WrongSum { sum: AuditedSum::Reserved, .. } => fault == Fault::KeepsReserved,
        Violation::WrongSum { sum: AuditedSum::Assumed, .. } => fault == Fault::ForgetsUnpriced,
        Violation::WrongApproval { .. } => fault == Fault::RaisesTwice,
        Violation::WrongSum { sum: AuditedSum::Unpriced, .. }
        | Violation::WrongStep { .. }
        | Violation::WrongParts { .. }
        | Violation::MissedAlert { .. } => false,
    };
    for fault in [
        Fault::CheckThenIncrement,
        Fault::IgnoresPeriod,
        Fault::TakesDelegated,
        Fault::ExceedsDelegation,
        Fault::ForgetsPosition,
        Fault::FreesSent,
        Fault::ChargesSettled,
        Fault::KeepsReserved,
        Fault::ForgetsUnpriced,
        Fault::LosesCharges,
        Fault::RaisesTwice,
    ] {
        let is_found =
            |history: &&Vec<Step>| run(history, Some(fault)).audit().1.iter().any(|found| is_of(fault, found));
        assert!(histories.iter().any(|history| is_found(&history)), "{fault:?} is not found");
    }
}

#[test]
fn a_lost_charge_is_found_in_a_period_that_nothing_else_changes() {
    let mut world = World::new(Some(Fault::LosesCharges));
    world.open(1, self::world::terms(Enforcement::Hard, 10, None));
    world.report(101, facts(self::world::agent(1), 5, world.now));
    world.charge(usize::MAX);
    let found = world.audit().1;
    assert!(matches!(found[..], [Violation::WrongSum { sum: AuditedSum::Charged, .. }]), "{found:?}");
}

/// Thresholds are crossed in random histories, and the audit finds a crossing that is missing and one that is repeated.
#[test]
fn the_audit_finds_missing_and_repeated_alerts() {
    let mut runner = TestRunner::deterministic();
    let (mut crossings, mut missed, mut histories) = (0, 0, 0);
    for _ in 0..800 {
        let mut world = run(&history().new_tree(&mut runner).unwrap().current(), None);
        let is_crossing = |audited: &AuditedEvent| {
            matches!(&audited.event, Event::BudgetBalance(BudgetBalanceEvent::ThresholdCrossed(_)))
        };
        let Some(index) = world.log.iter().position(is_crossing) else { continue };
        crossings += world.log.iter().filter(|audited| is_crossing(audited)).count();
        histories += 1;
        let audit = |log: &[AuditedEvent]| {
            let mut audit = SpendAudit::default();
            log.iter().for_each(|audited| audit.read(audited));
            audit.finish().1
        };
        assert_eq!(audit(&world.log), []);
        let crossing = world.log.remove(index);
        missed += usize::from(!audit(&world.log).is_empty());
        world.log.insert(index, crossing.clone());
        world.log.insert(index, crossing);
        assert_ne!(audit(&world.log), [], "an alert is repeated");
    }
    // A crossing is demanded where the threshold is reached under the limit with all raises, also those that have ended.
    assert!(crossings > 150 && missed * 4 >= histories * 3, "{crossings} crossings, {missed} of {histories} missed");
}

/// A limit that is raised and lowered again crosses what it left unreached once more, although nothing is charged in between.
#[test]
fn a_limit_that_is_raised_and_lowered_again_crosses_again() {
    let mut world = World::new(None);
    world.open(1, terms(Enforcement::Hard, 10, None));
    world.report(101, facts(agent(1), 9, world.now));
    world.charge(usize::MAX);
    let crossed = |world: &World| -> Vec<u16> {
        let events = world.log.iter().filter_map(|audited| match &audited.event {
            Event::BudgetBalance(BudgetBalanceEvent::ThresholdCrossed(crossed)) => {
                Some(crossed.threshold_percent.percent())
            }
            _ => None,
        });
        events.collect()
    };
    assert_eq!(crossed(&world), [50, 80]);
    let revise = |world: &mut World, limit| {
        let (terms, at) = (terms(Enforcement::Hard, limit, None), world.now);
        world.budget(1, BudgetCommand::Revise { terms, reason: None, at }).unwrap();
    };
    // Half of it is still reached, so that only 80 % is armed again.
    revise(&mut world, 16);
    let last = &world.log.last().unwrap().event;
    assert!(
        matches!(last, Event::BudgetBalance(BudgetBalanceEvent::Rearmed(rearmed)) if rearmed.after.alerted.map(Alerted::percent) == Some(50)),
        "{last:?}"
    );
    revise(&mut world, 10);
    assert_eq!(crossed(&world), [50, 80, 80]);
    // One that leaves all of them unreached arms all.
    revise(&mut world, 100);
    revise(&mut world, 10);
    assert_eq!(crossed(&world), [50, 80, 80, 50, 80]);
    assert_eq!(world.audit().1, []);
}
