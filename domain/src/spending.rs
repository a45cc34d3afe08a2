//! What a budget has spent by month, and the rule by which a threshold is crossed.
//!
//! The read model applies every event to this state and stores what comes out; nothing else decides whether a threshold
//! is crossed. Decision record 4 has the rule in words.

use crate::budget::{Month, Threshold};
use crate::{Money, Sum};
use std::collections::{BTreeMap, BTreeSet};

/// How many of the latest months with spending raise alerts: the current one and the one before.
const DELIVERED_MONTHS: usize = 2;

/// The part of a budget's terms that thresholds depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdTerms {
    /// The version of the budget's stream that set the terms.
    pub version: u64,
    /// How much may be spent in a month.
    pub limit: Money,
    /// The shares of the limit that are watched.
    pub thresholds: BTreeSet<Threshold>,
}

/// One month of a budget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthState {
    /// The amount spent in the month.
    pub spent: Sum,
    /// The thresholds that were crossed and not re-armed since.
    pub crossed: BTreeSet<Threshold>,
}

/// A threshold that a month's spending has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The month.
    pub month: Month,
    /// The share of the limit.
    pub threshold: Threshold,
    /// The version of the terms under which it was crossed.
    pub terms_version: u64,
    /// The amount spent when it was crossed.
    pub spent: Sum,
    /// The limit when it was crossed.
    pub limit: Money,
    /// Whether an alert is raised for it: not for a month that is history.
    pub is_delivered: bool,
}

/// The spending of one budget under the terms in force.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetSpending {
    terms: ThresholdTerms,
    months: BTreeMap<Month, MonthState>,
}

impl BudgetSpending {
    /// The state that was stored after an earlier event.
    #[must_use]
    pub fn restore(terms: ThresholdTerms, months: BTreeMap<Month, MonthState>) -> Self {
        Self { terms, months }
    }

    /// The months, each with its state.
    #[must_use]
    pub fn months(&self) -> &BTreeMap<Month, MonthState> {
        &self.months
    }

    /// Adds amounts, which one event moves, to the spending of months, and returns the thresholds that are crossed by
    /// it. `recorded_in` is the month in which the event was recorded.
    ///
    /// Amounts below zero re-arm nothing: under one version of the terms, a threshold of a month is crossed once.
    #[must_use]
    pub fn spend(&mut self, moved: &BTreeMap<Month, Sum>, recorded_in: Month) -> Vec<Crossing> {
        for (month, amount) in moved {
            self.months.entry(*month).or_default().spent += amount;
        }
        // The thresholds that other months have reached are crossed already.
        self.cross(|month| moved.contains_key(&month), recorded_in)
    }

    /// Puts terms in force, with the spending of all months counted anew by their time zone, and returns the thresholds
    /// that are crossed under them. A threshold that is not reached under the new terms is armed again.
    #[must_use]
    pub fn revise(
        &mut self,
        terms: ThresholdTerms,
        counted: BTreeMap<Month, Sum>,
        recorded_in: Month,
    ) -> Vec<Crossing> {
        let mut before = std::mem::take(&mut self.months);
        for (month, spent) in counted {
            let mut crossed = before.remove(&month).unwrap_or_default().crossed;
            crossed.retain(|threshold| threshold.is_reached(&spent, terms.limit));
            self.months.insert(month, MonthState { spent, crossed });
        }
        // Nothing is spent in the months that are left in `before`, so that no threshold of theirs is reached.
        self.terms = terms;
        self.cross(|_| true, recorded_in)
    }

    /// The rule: what is reached and not crossed yet is crossed now.
    fn cross(&mut self, is_considered: impl Fn(Month) -> bool, recorded_in: Month) -> Vec<Crossing> {
        let oldest_delivered = self.oldest_delivered(recorded_in);
        let Self { terms, months } = self;
        let mut crossings = Vec::new();
        for (month, state) in months.iter_mut().filter(|(month, _)| is_considered(**month)) {
            for threshold in &terms.thresholds {
                if threshold.is_reached(&state.spent, terms.limit) && state.crossed.insert(*threshold) {
                    crossings.push(Crossing {
                        month: *month,
                        threshold: *threshold,
                        terms_version: terms.version,
                        spent: state.spent.clone(),
                        limit: terms.limit,
                        is_delivered: oldest_delivered.is_none_or(|oldest| *month >= oldest),
                    });
                }
            }
        }
        crossings
    }

    /// The earliest month whose crossings raise alerts; none where all do. Months after the one in which the event was
    /// recorded are left aside: a call that is dated in the future does not make the present a thing of the past.
    fn oldest_delivered(&self, recorded_in: Month) -> Option<Month> {
        let spending = self.months.range(..=recorded_in).rev().filter(|(_, state)| state.spent > Sum::default());
        spending.map(|(month, _)| *month).nth(DELIVERED_MONTHS - 1)
    }
}

#[cfg(test)]
mod tests {
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
    /// Month, percent, version of the terms, whether it is delivered.
    fn shown(crossings: &[Crossing]) -> Vec<(String, u16, u64, bool)> {
        let show = |c: &Crossing| (c.month.to_string(), c.threshold.percent(), c.terms_version, c.is_delivered);
        crossings.iter().map(show).collect()
    }

    /// A budget whose spending is counted anew under each of its terms, as the read model does it.
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
            shown(&self.spending.spend(&amounts(moved), month(12)))
        }
        fn revise(&mut self, terms: ThresholdTerms) -> Vec<(String, u16, u64, bool)> {
            shown(&self.spending.revise(terms, self.counted.clone(), month(12)))
        }
    }

    fn crossing(month: &str, percent: u16, version: u64) -> (String, u16, u64, bool) {
        (month.to_owned(), percent, version, true)
    }

    #[test]
    fn a_threshold_is_crossed_once_and_by_one_event_with_others() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50, 80, 100]), &[]);
        assert_eq!(budget.spend(&[(9, 4)]), []);
        assert_eq!(budget.spend(&[(9, 5)]), [crossing("2023-09", 50, 1), crossing("2023-09", 80, 1)]);
        assert_eq!(budget.spend(&[(9, 1)]), [crossing("2023-09", 100, 1)]);
        assert_eq!(budget.spend(&[(9, 90)]), []);
    }

    #[test]
    fn spending_from_before_the_definition_crosses_by_the_definition() {
        let (_, crossings) = Budget::defined(terms(1, 10, &[50, 100]), &[(8, 10), (9, 5)]);
        let all = [("2023-08", 50), ("2023-08", 100), ("2023-09", 50)];
        assert_eq!(shown(&crossings), all.map(|(month, percent)| crossing(month, percent, 1)));
    }

    #[test]
    fn a_lowered_limit_crosses_in_every_month_and_before_the_next_call() {
        let (mut budget, _) = Budget::defined(terms(1, 100, &[50]), &[]);
        budget.spend(&[(7, 9)]);
        budget.spend(&[(8, 9)]);
        budget.spend(&[(9, 3)]);
        let crossed = budget.revise(terms(2, 10, &[50]));
        assert_eq!(crossed, [("2023-07".to_owned(), 50, 2, false), crossing("2023-08", 50, 2)]);
        assert_eq!(budget.spend(&[(7, 1)]), [], "what is crossed is not crossed again by a late call");
        assert_eq!(budget.spend(&[(9, 2)]), [crossing("2023-09", 50, 2)]);
    }

    #[test]
    fn a_raised_limit_arms_again_what_it_leaves_unreached_and_nothing_else() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50, 100]), &[(9, 10)]);
        assert_eq!(budget.revise(terms(2, 20, &[50, 100])), [], "50 % stay reached");
        assert_eq!(budget.spend(&[(9, 10)]), [crossing("2023-09", 100, 2)]);
    }

    #[test]
    fn a_dropped_threshold_is_known_to_be_crossed_when_it_comes_back() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[(9, 10)]);
        assert_eq!(budget.revise(terms(2, 10, &[])), []);
        assert_eq!(budget.revise(terms(3, 10, &[50])), []);
        budget.revise(terms(4, 100, &[]));
        assert_eq!(budget.revise(terms(5, 10, &[50])), [crossing("2023-09", 50, 5)]);
    }

    #[test]
    fn amendments_that_lower_spending_arm_nothing_until_the_terms_change() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[]);
        assert_eq!(budget.spend(&[(9, 5)]), [crossing("2023-09", 50, 1)]);
        assert_eq!(budget.spend(&[(9, -4)]), []);
        assert_eq!(budget.spend(&[(9, 4)]), []);
        assert_eq!(budget.spend(&[(9, -4)]), []);
        assert_eq!(budget.revise(terms(2, 9, &[50])), []);
        assert_eq!(budget.spend(&[(9, 4)]), [crossing("2023-09", 50, 2)]);
    }

    #[test]
    fn a_recount_that_moves_a_month_over_a_threshold_crosses_it() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50, 100]), &[(9, 6), (10, 4)]);
        budget.counted = amounts(&[(9, 10)]);
        assert_eq!(budget.revise(terms(2, 10, &[50, 100])), [crossing("2023-09", 100, 2)]);
    }

    #[test]
    fn an_event_that_moves_money_to_another_month_is_one_event() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[(7, 1), (8, 4), (9, 9)]);
        // August has nothing left, so that July is the second month from the end.
        assert_eq!(budget.spend(&[(7, 4), (8, -4)]), [crossing("2023-07", 50, 1)]);
    }

    #[test]
    fn a_call_dated_in_the_future_takes_no_months_place() {
        let (mut budget, _) = Budget::defined(terms(1, 10, &[50]), &[(8, 1), (9, 1)]);
        let mut at = |months: &[(u32, i64)]| shown(&budget.spending.spend(&amounts(months), month(9)));
        assert_eq!(at(&[(11, 5), (12, 5)]), [crossing("2023-11", 50, 1), crossing("2023-12", 50, 1)]);
        assert_eq!(at(&[(8, 4)]), [crossing("2023-08", 50, 1)]);
    }

    /// One event of a history. Amounts that are to be taken away are clipped to what there is.
    #[derive(Debug, Clone)]
    enum Step {
        Spend(Vec<(u32, i64)>),
        /// The terms, and how many months the calendar moves by another time zone.
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

    /// The state after each event, in whole numbers: spent by month, limit, thresholds, whether the event set the terms.
    struct Moment {
        spent: [i64; 6],
        limit: i64,
        thresholds: Vec<u16>,
        version: u64,
        is_revised: bool,
    }

    fn moments(history: &[Step]) -> Vec<Moment> {
        let (mut base, mut zone) = ([0_i64; 6], 0_usize);
        let (mut limit, mut thresholds, mut version) = (10, vec![50, 100], 1);
        let mut moments = Vec::new();
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
            // The other time zone begins a month earlier: the last two of them are one.
            let mut spent = base;
            if zone == 1 {
                spent[3] += std::mem::take(&mut spent[4]);
            }
            moments.push(Moment { spent, limit, thresholds: thresholds.clone(), version, is_revised });
        }
        moments
    }

    type Told = (usize, String, u16, u64, bool);

    /// The rule as decision record 4 has it, said of the whole history at each of its moments.
    fn reference(history: &[Step]) -> Vec<Told> {
        let moments = moments(history);
        let reaches = |moment: &Moment, month: usize, percent: u16| {
            moment.spent[month] > 0 && moment.spent[month] * 100 >= moment.limit * i64::from(percent)
        };
        let mut told: Vec<Told> = Vec::new();
        for (now, moment) in moments.iter().enumerate() {
            let spending: Vec<_> = (0..6).rev().filter(|month| moment.spent[*month] > 0).take(2).collect();
            for month in 1..6 {
                for percent in &moment.thresholds {
                    let name = format!("2023-{month:02}");
                    let last = told.iter().rev().find(|told| (&told.1, told.2) == (&name, *percent)).map(|told| told.0);
                    let is_armed = last.is_none_or(|last| {
                        let since = &moments[last + 1..=now];
                        since.iter().any(|later| later.is_revised && !reaches(later, month, *percent))
                    });
                    if is_armed && reaches(moment, month, *percent) {
                        told.push((now, name, *percent, moment.version, spending.contains(&month)));
                    }
                }
            }
        }
        told
    }

    #[derive(Debug, Clone, Copy)]
    enum Fault {
        OnlyByCalls,
        ArmsByAmendments,
        NeverArms,
        OneMonthOfTheTerms,
        DeliversAll,
    }

    /// What the rule makes of a history, or the rule with a fault.
    fn played(history: &[Step], fault: Option<Fault>) -> Vec<Told> {
        let start = terms(1, 10, &[50, 100]);
        let mut spending = BudgetSpending::restore(start, BTreeMap::new());
        let mut before = [0_i64; 6];
        let mut told = Vec::new();
        for (now, moment) in moments(history).iter().enumerate() {
            let months = || (1..6).map(|number| (number, moment.spent[number]));
            let number = |number: usize| u32::try_from(number).unwrap();
            let mut crossings = if moment.is_revised {
                let counted = months().filter(|(_, spent)| *spent > 0);
                let counted = counted.map(|(month, spent)| (number(month), spent)).collect::<Vec<_>>();
                let kept = spending.clone();
                let terms = terms(moment.version, moment.limit, &moment.thresholds);
                let mut crossings = spending.revise(terms.clone(), amounts(&counted), month(12));
                match fault {
                    Some(Fault::OnlyByCalls) => crossings.clear(),
                    Some(Fault::OneMonthOfTheTerms) => crossings.retain(|crossing| crossing.month == month(3)),
                    Some(Fault::NeverArms) => {
                        let states = spending.months.iter().map(|(month, state)| {
                            let mut state = state.clone();
                            state.crossed.extend(kept.months.get(month).into_iter().flat_map(|kept| &kept.crossed));
                            (*month, state)
                        });
                        spending = BudgetSpending::restore(terms, states.collect());
                    }
                    Some(Fault::ArmsByAmendments | Fault::DeliversAll) | None => {}
                }
                crossings
            } else {
                let moved = months().map(|(month, spent)| (number(month), spent - before[month]));
                let moved: Vec<_> = moved.filter(|(_, amount)| *amount != 0).collect();
                if matches!(fault, Some(Fault::ArmsByAmendments)) {
                    for (number, _) in moved.iter().filter(|(_, amount)| *amount < 0) {
                        spending.months.entry(month(*number)).or_default().crossed.clear();
                    }
                }
                spending.spend(&amounts(&moved), month(12))
            };
            if matches!(fault, Some(Fault::DeliversAll)) {
                crossings.iter_mut().for_each(|crossing| crossing.is_delivered = true);
            }
            before = moment.spent;
            told.extend(
                shown(&crossings)
                    .into_iter()
                    .map(|(month, percent, version, is_delivered)| (now, month, percent, version, is_delivered)),
            );
        }
        told
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_rule_is_what_the_model_says_of_random_histories(history in history()) {
            prop_assert_eq!(played(&history, None), reference(&history));
        }
    }

    /// The control: each of these faults is found by the comparison above.
    #[test]
    fn the_model_finds_every_planted_fault() {
        let mut runner = TestRunner::deterministic();
        let mut histories = || history().new_tree(&mut runner).unwrap().current();
        let histories: Vec<_> = (0..300).map(|_| histories()).collect();
        for fault in [
            Fault::OnlyByCalls,
            Fault::ArmsByAmendments,
            Fault::NeverArms,
            Fault::OneMonthOfTheTerms,
            Fault::DeliversAll,
        ] {
            let found = histories.iter().filter(|history| played(history, Some(fault)) != reference(history)).count();
            assert!(found > 0, "{fault:?} is not found");
        }
    }
}
