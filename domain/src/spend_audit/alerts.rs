//! Which thresholds of budgets should have been crossed, and how often.

use crate::budget::Amount;
use crate::budget_balance::{Alerted, BalanceThresholdCrossed, Sums};
use crate::budget_catalogue::CatalogueEntry;
use crate::ids::BudgetId;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A threshold of a period that was crossed: the period, the percentage, how often the budget was set before, and the limit, which
/// a raise that ends lowers without an event.
type Crossing = (Uuid, u16, u64, Amount);

/// The thresholds that were crossed.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// How often each budget was set: the version of its terms.
    versions: BTreeMap<BudgetId, u64>,
    crossed: BTreeSet<Crossing>,
}

impl Alerts {
    pub(super) fn budget_set(&mut self, budget_id: BudgetId) {
        *self.versions.entry(budget_id).or_default() += 1;
    }

    /// Whether a crossing is right: it changes no sum, its threshold is one of the budget and is reached, and it was not crossed
    /// before under the same terms.
    pub(super) fn read(
        &mut self,
        balance_id: Uuid,
        crossed: &BalanceThresholdCrossed,
        before: &Sums,
        entry: Option<&CatalogueEntry>,
    ) -> bool {
        let BalanceThresholdCrossed { budget_id, threshold_percent, limit, after } = crossed;
        let percent = threshold_percent.percent();
        let version = self.versions.get(budget_id).copied().unwrap_or_default();
        let is_first = self.crossed.insert((balance_id, percent, version, *limit));
        let is_higher = before.alerted.is_none_or(|alerted| alerted.percent() < percent);
        let is_marked = after.alerted.is_some_and(|alerted| (alerted.percent(), alerted.limit) == (percent, *limit));
        let is_of_budget = entry.is_some_and(|entry| entry.thresholds.contains(threshold_percent));
        let is_reached = before.spent_with_delegations().reaches(percent, *limit);
        // What is carried over may be fixed by the change of terms that crosses.
        let sums = |of: &Sums| Sums { alerted: None, carried: None, ..*of };
        let is_same = sums(before) == sums(after) && (before.carried.is_none() || before.carried == after.carried);
        is_first && is_higher && is_marked && is_of_budget && is_reached && is_same
    }
}

/// Whether an event arms thresholds again, and changes nothing else.
pub(super) fn is_rearmed(before: &Sums, after: &Sums) -> bool {
    let percent = |of: &Sums| of.alerted.map_or(0, Alerted::percent);
    // What is carried over may be fixed by the change of terms.
    let sums = |of: &Sums| Sums { alerted: None, carried: None, ..*of };
    percent(after) <= percent(before)
        && before.alerted != after.alerted
        && sums(before) == sums(after)
        && (before.carried.is_none() || before.carried == after.carried)
}

/// Whether a threshold is reached and not crossed, under the highest limit that may be in force: that with all raises.
pub(super) fn has_missed(entry: &CatalogueEntry, sums: &Sums) -> bool {
    let raises: Amount = entry.raises.iter().map(|(amount, _)| *amount).sum();
    let limit = entry.limit + raises + sums.carried.unwrap_or_default();
    let crossed = sums.alerted.map_or(0, |alerted| alerted.percent());
    entry.thresholds.iter().any(|threshold| {
        threshold.percent() > crossed && sums.spent_with_delegations().reaches(threshold.percent(), limit)
    })
}
