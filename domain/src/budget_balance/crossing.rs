//! Which thresholds what is charged to a period crosses.
//!
//! The state is the highest threshold that was crossed: it and all below it were. A raised limit arms those again that it leaves
//! unreached, whatever raised it. A lowered limit and amendments arm nothing.

use super::{Alerted, BalanceThresholdCrossed, Sums};
use crate::budget::{Amount, Threshold};
use crate::ids::BudgetId;
use std::collections::BTreeSet;

/// The highest threshold that counts as crossed under a limit, before what is charged changes.
pub(super) fn rearmed(sums: &Sums, thresholds: &BTreeSet<Threshold>, limit: Amount) -> Option<Alerted> {
    let known = sums.alerted?;
    if known.limit >= limit {
        return Some(Alerted { limit, ..known });
    }
    let is_reached = |threshold: &Threshold| sums.spent_with_delegations().reaches(threshold.percent(), limit);
    let still = thresholds.iter().rfind(|threshold| **threshold <= known.percent && is_reached(threshold));
    still.map(|percent| Alerted { percent: *percent, limit })
}

/// The crossings of the thresholds that are reached and armed, the lowest first.
pub(super) fn crossed(
    budget_id: BudgetId,
    sums: &Sums,
    thresholds: &BTreeSet<Threshold>,
    limit: Amount,
) -> Vec<BalanceThresholdCrossed> {
    let known = sums.alerted.map(|alerted| alerted.percent);
    let is_crossed = |threshold: &Threshold| {
        Some(*threshold) > known && sums.spent_with_delegations().reaches(threshold.percent(), limit)
    };
    let crossings = thresholds.iter().copied().filter(is_crossed).map(|percent| {
        let after = Sums { alerted: Some(Alerted { percent, limit }), ..*sums };
        BalanceThresholdCrossed { budget_id, threshold_percent: percent, limit, after }
    });
    crossings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Span;
    use crate::testing::{at, uuid};

    const BUDGET: BudgetId = BudgetId(uuid(1));

    fn thresholds(percents: &[u16]) -> BTreeSet<Threshold> {
        percents.iter().map(|percent| Threshold::try_from(*percent).unwrap()).collect()
    }

    /// The percentages that are crossed when what is charged has these values one after the other, each under a limit.
    fn run(steps: &[(u64, u64)], percents: &[u16]) -> Vec<Vec<u16>> {
        let (mut sums, of) = (Sums::new(Span { starts_at: at(0), ends_at: at(3600) }), thresholds(percents));
        let mut step = |(charged, limit): &(u64, u64)| {
            let limit = Amount::units(*limit);
            sums.alerted = rearmed(&sums, &of, limit);
            sums.charged = Amount::units(*charged);
            let found = crossed(BUDGET, &sums, &of, limit);
            sums = found.last().map_or(sums, |last| last.after);
            found.iter().map(|crossed| crossed.threshold_percent.percent()).collect()
        };
        steps.iter().map(&mut step).collect()
    }

    #[test]
    fn each_threshold_is_crossed_once_also_if_what_is_charged_falls_and_rises() {
        let all = [50, 80, 100];
        assert_eq!(
            run(&[(4, 10), (5, 10), (9, 10), (3, 10), (9, 10), (30, 10)], &all),
            [vec![], vec![50], vec![80], vec![], vec![], vec![100]]
        );
        // Several at once, in order.
        assert_eq!(run(&[(12, 10)], &all), [all.to_vec()]);
        assert_eq!(run(&[(0, 10), (9, 10)], &[]), [Vec::<u16>::new(), Vec::new()]);
    }

    #[test]
    fn a_raised_limit_arms_what_it_leaves_unreached() {
        // 9 of 16 is at least half: only 80 % is armed again.
        assert_eq!(
            run(&[(9, 10), (9, 16), (7, 16), (9, 16), (13, 16)], &[50, 80]),
            [vec![50, 80], vec![], vec![], vec![], vec![80]]
        );
        // All of them.
        assert_eq!(run(&[(9, 10), (9, 100), (50, 100)], &[50, 80]), [vec![50, 80], vec![], vec![50]]);
    }

    #[test]
    fn a_lowered_limit_crosses_and_arms_nothing() {
        assert_eq!(run(&[(5, 10), (5, 5), (1, 5), (5, 5)], &[50, 100]), [vec![50], vec![100], vec![], vec![]]);
    }
}
