//! The spending of a budget by month, and the rule that decides when a threshold is crossed.
//!
//! The read model applies every event to this state and stores the result; nothing else decides whether a threshold is
//! crossed. `docs/adr/0004-budgets-alert-by-policy.md` describes the rule.

use crate::budget::{Month, Threshold};
use crate::money::Money;
use crate::sum::Sum;
use std::collections::{BTreeMap, BTreeSet};

/// The number of latest months with spending for which alerts are raised: the current month and the one before.
const DELIVERED_MONTHS: usize = 2;

/// The part of a budget's terms that thresholds depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdTerms {
    /// The version of the budget's stream that set the terms.
    pub version: u64,
    /// The limit per month.
    pub limit: Money,
    /// The thresholds, as shares of the limit.
    pub thresholds: BTreeSet<Threshold>,
}

/// The spending of a budget in one month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthState {
    /// The amount spent in the month.
    pub spent: Sum,
    /// The thresholds that were crossed and have not been re-armed since.
    pub crossed: BTreeSet<Threshold>,
}

/// A threshold that is newly crossed by the spending of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The month whose spending crossed the threshold.
    pub month: Month,
    /// The threshold, as a share of the limit.
    pub threshold: Threshold,
    /// The version of the terms under which the threshold was crossed.
    pub terms_version: u64,
    /// The amount spent when the threshold was crossed.
    pub spent: Sum,
    /// The limit when the threshold was crossed.
    pub limit: Money,
    /// Whether an alert is raised: false for months before the two latest ones with spending.
    pub is_delivered: bool,
}

/// The spending of one budget under the terms in force.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetSpending {
    terms: ThresholdTerms,
    months: BTreeMap<Month, MonthState>,
}

impl BudgetSpending {
    /// Restores the state that was stored after an earlier event.
    #[must_use]
    pub fn restore(terms: ThresholdTerms, months: BTreeMap<Month, MonthState>) -> Self {
        Self { terms, months }
    }

    /// The spending by month.
    #[must_use]
    pub fn months(&self) -> &BTreeMap<Month, MonthState> {
        &self.months
    }

    /// Sets the version of the budget, after an event that leaves limit and thresholds as they are.
    pub fn set_version(&mut self, version: u64) {
        self.terms.version = version;
    }

    /// Adds the amounts of one event to the spending by month, and returns the thresholds that it crosses. `recorded_in`
    /// is the month in which the event was recorded.
    ///
    /// Negative amounts re-arm no threshold: under one version of the terms, a threshold is crossed once per month.
    #[must_use]
    pub fn spend(&mut self, amounts: &BTreeMap<Month, Sum>, recorded_in: Month) -> Vec<Crossing> {
        for (month, amount) in amounts {
            self.months.entry(*month).or_default().spent += amount;
        }
        // The thresholds that other months have reached are already crossed.
        self.detect_crossings(|month| amounts.contains_key(&month), recorded_in)
    }

    /// Applies new terms and the spending by month recounted in their time zone, and returns the thresholds that are
    /// crossed under them. Thresholds that are not reached under the new terms are re-armed.
    #[must_use]
    pub fn revise(
        &mut self,
        terms: ThresholdTerms,
        recounted: BTreeMap<Month, Sum>,
        recorded_in: Month,
    ) -> Vec<Crossing> {
        let mut before = std::mem::take(&mut self.months);
        for (month, spent) in recounted {
            let mut crossed = before.remove(&month).unwrap_or_default().crossed;
            crossed.retain(|threshold| threshold.is_reached(&spent, terms.limit));
            self.months.insert(month, MonthState { spent, crossed });
        }
        // The months left in `before` have no spending any more, so they reach no threshold.
        self.terms = terms;
        self.detect_crossings(|_| true, recorded_in)
    }

    /// Marks thresholds that are reached and not yet crossed as crossed, and returns them.
    fn detect_crossings(&mut self, is_considered: impl Fn(Month) -> bool, recorded_in: Month) -> Vec<Crossing> {
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

    /// The earliest month for which alerts are raised; none if they are raised for all months. Months after the one in
    /// which the event was recorded do not count, so that calls dated in the future do not suppress current alerts.
    fn oldest_delivered(&self, recorded_in: Month) -> Option<Month> {
        let spending = self.months.range(..=recorded_in).rev().filter(|(_, state)| state.spent > Sum::default());
        spending.map(|(month, _)| *month).nth(DELIVERED_MONTHS - 1)
    }
}

#[cfg(test)]
mod tests;
