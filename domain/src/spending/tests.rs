use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn month(number: u32) -> Month {
    format!("2023-{number:02}").parse().unwrap()
}
fn money(amount: i64) -> Money {
    Money::from_decimal(amount.into())
}
fn percents(percents: &[u16]) -> BTreeSet<Threshold> {
    percents.iter().map(|percent| Threshold::try_from(*percent).unwrap()).collect()
}
fn terms(version: u64, limit: i64, thresholds: &[u16]) -> ThresholdTerms {
    ThresholdTerms { version, limit: money(limit), thresholds: percents(thresholds) }
}
fn amounts(months: &[(u32, i64)]) -> BTreeMap<Month, Sum> {
    months.iter().map(|(number, amount)| (month(*number), money(*amount).into())).collect()
}
/// Crossings as month, percent, version of the terms, and whether an alert is raised.
fn summarize(crossings: &[Crossing]) -> Vec<(String, u16, u64, bool)> {
    let summary = |c: &Crossing| (c.month.to_string(), c.threshold.percent(), c.terms_version, c.is_delivered);
    crossings.iter().map(summary).collect()
}

/// A budget whose spending is recounted when its terms change, as in the read model.
struct Budget {
    spending: BudgetSpending,
    counted: BTreeMap<Month, Sum>,
}

impl Budget {
    fn defined(terms: ThresholdTerms, counted: &[(u32, i64)]) -> (Self, Vec<Crossing>) {
        let counted = amounts(counted);
        let mut spending = BudgetSpending::restore(terms.clone(), BTreeMap::new());
        let crossings = spending.revise(terms, counted.clone(), month(12));
        (Self { spending, counted }, crossings)
    }
    fn spend(&mut self, moved: &[(u32, i64)]) -> Vec<(String, u16, u64, bool)> {
        for (month, amount) in amounts(moved) {
            *self.counted.entry(month).or_default() += &amount;
        }
        summarize(&self.spending.spend(&amounts(moved), month(12)))
    }
    fn revise(&mut self, terms: ThresholdTerms) -> Vec<(String, u16, u64, bool)> {
        summarize(&self.spending.revise(terms, self.counted.clone(), month(12)))
    }
}

fn crossing(month: &str, percent: u16, version: u64) -> (String, u16, u64, bool) {
    (month.to_owned(), percent, version, true)
}

#[test]
fn a_threshold_is_crossed_once_and_one_event_can_cross_several() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50, 80, 100]), &[]);
    assert_eq!(budget.spend(&[(9, 4)]), []);
    assert_eq!(budget.spend(&[(9, 5)]), [crossing("2023-09", 50, 1), crossing("2023-09", 80, 1)]);
    assert_eq!(budget.spend(&[(9, 1)]), [crossing("2023-09", 100, 1)]);
    assert_eq!(budget.spend(&[(9, 90)]), []);
}

#[test]
fn defining_a_budget_crosses_thresholds_of_earlier_spending() {
    let (_, crossings) = Budget::defined(terms(1, 10, &[50, 100]), &[(8, 10), (9, 5)]);
    let all = [("2023-08", 50), ("2023-08", 100), ("2023-09", 50)];
    assert_eq!(summarize(&crossings), all.map(|(month, percent)| crossing(month, percent, 1)));
}

#[test]
fn lowering_the_limit_crosses_thresholds_of_every_month_immediately() {
    let (mut budget, _) = Budget::defined(terms(1, 100, &[50]), &[]);
    budget.spend(&[(7, 9)]);
    budget.spend(&[(8, 9)]);
    budget.spend(&[(9, 3)]);
    let crossed = budget.revise(terms(2, 10, &[50]));
    assert_eq!(crossed, [("2023-07".to_owned(), 50, 2, false), crossing("2023-08", 50, 2)]);
    assert_eq!(budget.spend(&[(7, 1)]), [], "a late call does not cross it again");
    assert_eq!(budget.spend(&[(9, 2)]), [crossing("2023-09", 50, 2)]);
}

#[test]
fn raising_the_limit_re_arms_only_thresholds_that_are_no_longer_reached() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50, 100]), &[(9, 10)]);
    assert_eq!(budget.revise(terms(2, 20, &[50, 100])), [], "50 % is still reached");
    assert_eq!(budget.spend(&[(9, 10)]), [crossing("2023-09", 100, 2)]);
}

#[test]
fn a_threshold_that_is_removed_and_added_again_stays_crossed() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[(9, 10)]);
    assert_eq!(budget.revise(terms(2, 10, &[])), []);
    assert_eq!(budget.revise(terms(3, 10, &[50])), []);
    budget.revise(terms(4, 100, &[]));
    assert_eq!(budget.revise(terms(5, 10, &[50])), [crossing("2023-09", 50, 5)]);
}

#[test]
fn amendments_that_lower_spending_re_arm_nothing_until_the_terms_change() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[]);
    assert_eq!(budget.spend(&[(9, 5)]), [crossing("2023-09", 50, 1)]);
    assert_eq!(budget.spend(&[(9, -4)]), []);
    assert_eq!(budget.spend(&[(9, 4)]), []);
    assert_eq!(budget.spend(&[(9, -4)]), []);
    assert_eq!(budget.revise(terms(2, 9, &[50])), []);
    assert_eq!(budget.spend(&[(9, 4)]), [crossing("2023-09", 50, 2)]);
}

#[test]
fn a_recount_that_raises_a_month_over_a_threshold_crosses_it() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50, 100]), &[(9, 6), (10, 4)]);
    budget.counted = amounts(&[(9, 10)]);
    assert_eq!(budget.revise(terms(2, 10, &[50, 100])), [crossing("2023-09", 100, 2)]);
}

#[test]
fn an_event_that_moves_spending_between_months_is_applied_at_once() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[(7, 1), (8, 4), (9, 9)]);
    // August has no spending left, so July is the second latest month with spending.
    assert_eq!(budget.spend(&[(7, 4), (8, -4)]), [crossing("2023-07", 50, 1)]);
}

#[test]
fn a_call_dated_in_the_future_does_not_suppress_current_alerts() {
    let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[(8, 1), (9, 1)]);
    let mut at = |months: &[(u32, i64)]| summarize(&budget.spending.spend(&amounts(months), month(9)));
    assert_eq!(at(&[(11, 5), (12, 5)]), [crossing("2023-11", 50, 1), crossing("2023-12", 50, 1)]);
    assert_eq!(at(&[(8, 4)]), [crossing("2023-08", 50, 1)]);
}

/// One event of a history. A month's spending never goes below zero.
#[derive(Debug, Clone)]
enum Step {
    Spend(Vec<(u32, i64)>),
    /// The limit, the thresholds, and by how many months a change of the time zone moves the spending.
    Revise(i64, Vec<u16>, u32),
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let amounts = prop::collection::vec((1_u32..=4, -6_i64..=8), 1..=2);
    let thresholds = prop::sample::subsequence(vec![30_u16, 50, 100, 150], 0..=4);
    let step = prop_oneof![
        3 => amounts.prop_map(Step::Spend),
        1 => (1_i64..=20, thresholds, 0_u32..=1).prop_map(|(limit, thresholds, zone)| {
            Step::Revise(limit, thresholds, zone)
        }),
    ];
    prop::collection::vec(step, 1..30)
}

/// The state after each event, in integers: spending by month, the terms, and whether the event changed the terms.
struct StateAfter {
    spent: [i64; 6],
    limit: i64,
    thresholds: Vec<u16>,
    version: u64,
    is_revised: bool,
}

fn states(history: &[Step]) -> Vec<StateAfter> {
    let (mut base, mut zone) = ([0_i64; 6], 0_usize);
    let (mut limit, mut thresholds, mut version) = (10, vec![50, 100], 1);
    let mut states = Vec::new();
    for step in history {
        let is_revised = match step {
            Step::Spend(amounts) => {
                for (month, amount) in amounts {
                    let spent = &mut base[*month as usize];
                    *spent = (*spent + amount).max(0);
                }
                false
            }
            Step::Revise(to, at, moved) => {
                (limit, thresholds, version, zone) = (*to, at.clone(), version + 1, *moved as usize);
                true
            }
        };
        // In the other time zone the spending of month 4 counts in month 3.
        let mut spent = base;
        if zone == 1 {
            spent[3] += std::mem::take(&mut spent[4]);
        }
        states.push(StateAfter { spent, limit, thresholds: thresholds.clone(), version, is_revised });
    }
    states
}

/// A crossing with the index of its event.
type IndexedCrossing = (usize, String, u16, u64, bool);

/// The rule of `docs/adr/0004-budgets-alert-by-policy.md`, evaluated on the whole history after each event.
fn reference(history: &[Step]) -> Vec<IndexedCrossing> {
    let states = states(history);
    let reaches = |state: &StateAfter, month: usize, percent: u16| {
        state.spent[month] > 0 && state.spent[month] * 100 >= state.limit * i64::from(percent)
    };
    let mut crossed: Vec<IndexedCrossing> = Vec::new();
    for (now, state) in states.iter().enumerate() {
        let spending: Vec<_> = (0..6).rev().filter(|month| state.spent[*month] > 0).take(2).collect();
        for month in 1..6 {
            for percent in &state.thresholds {
                let name = format!("2023-{month:02}");
                let last = crossed
                    .iter()
                    .rev()
                    .find(|crossing| (&crossing.1, crossing.2) == (&name, *percent))
                    .map(|crossing| crossing.0);
                let is_armed = last.is_none_or(|last| {
                    let since = &states[last + 1..=now];
                    since.iter().any(|later| later.is_revised && !reaches(later, month, *percent))
                });
                if is_armed && reaches(state, month, *percent) {
                    crossed.push((now, name, *percent, state.version, spending.contains(&month)));
                }
            }
        }
    }
    crossed
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    IgnoresNewTerms,
    ReArmsOnAmendments,
    NeverReArms,
    ChecksOneMonthOnNewTerms,
    AlertsForAllMonths,
}

/// The crossings that the implementation returns for a history, optionally with a planted fault.
fn simulate(history: &[Step], fault: Option<Fault>) -> Vec<IndexedCrossing> {
    let start = terms(1, 10, &[50, 100]);
    let mut spending = BudgetSpending::restore(start, BTreeMap::new());
    let mut before = [0_i64; 6];
    let mut crossed = Vec::new();
    for (now, state) in states(history).iter().enumerate() {
        let months = || (1..6).map(|number| (number, state.spent[number]));
        let number = |number: usize| u32::try_from(number).unwrap();
        let mut crossings = if state.is_revised {
            let counted = months().filter(|(_, spent)| *spent > 0);
            let counted = counted.map(|(month, spent)| (number(month), spent)).collect::<Vec<_>>();
            let kept = spending.clone();
            let terms = terms(state.version, state.limit, &state.thresholds);
            let mut crossings = spending.revise(terms.clone(), amounts(&counted), month(12));
            match fault {
                Some(Fault::IgnoresNewTerms) => crossings.clear(),
                Some(Fault::ChecksOneMonthOnNewTerms) => crossings.retain(|crossing| crossing.month == month(3)),
                Some(Fault::NeverReArms) => {
                    let states = spending.months.iter().map(|(month, state)| {
                        let mut state = state.clone();
                        state.crossed.extend(kept.months.get(month).into_iter().flat_map(|kept| &kept.crossed));
                        (*month, state)
                    });
                    spending = BudgetSpending::restore(terms, states.collect());
                }
                Some(Fault::ReArmsOnAmendments | Fault::AlertsForAllMonths) | None => {}
            }
            crossings
        } else {
            let moved = months().map(|(month, spent)| (number(month), spent - before[month]));
            let moved: Vec<_> = moved.filter(|(_, amount)| *amount != 0).collect();
            if matches!(fault, Some(Fault::ReArmsOnAmendments)) {
                for (number, _) in moved.iter().filter(|(_, amount)| *amount < 0) {
                    spending.months.entry(month(*number)).or_default().crossed.clear();
                }
            }
            spending.spend(&amounts(&moved), month(12))
        };
        if matches!(fault, Some(Fault::AlertsForAllMonths)) {
            crossings.iter_mut().for_each(|crossing| crossing.is_delivered = true);
        }
        before = state.spent;
        crossed.extend(
            summarize(&crossings)
                .into_iter()
                .map(|(month, percent, version, is_delivered)| (now, month, percent, version, is_delivered)),
        );
    }
    crossed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_rule_matches_the_reference_model_on_random_histories(history in history()) {
        prop_assert_eq!(simulate(&history, None), reference(&history));
    }
}

/// The control: the comparison above detects each of these faults.
#[test]
fn the_reference_model_detects_every_planted_fault() {
    let mut runner = TestRunner::deterministic();
    let mut histories = || history().new_tree(&mut runner).unwrap().current();
    let histories: Vec<_> = (0..300).map(|_| histories()).collect();
    for fault in [
        Fault::IgnoresNewTerms,
        Fault::ReArmsOnAmendments,
        Fault::NeverReArms,
        Fault::ChecksOneMonthOnNewTerms,
        Fault::AlertsForAllMonths,
    ] {
        let found = histories.iter().filter(|history| simulate(history, Some(fault)) != reference(history)).count();
        assert!(found > 0, "{fault:?} is not detected");
    }
}
