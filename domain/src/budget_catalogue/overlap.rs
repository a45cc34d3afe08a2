//! Whether more budgets than a decision takes could apply to one call.
//!
//! Budgets select calls by values of dimensions, and a call has at most one value of each. So two budgets exclude each other if they
//! have a dimension in common with different values, and some budgets can apply to one call together if no two of them exclude each
//! other.

use crate::budget::{Attributes, BudgetDimension};
use crate::text::Name;
use std::collections::BTreeMap;

/// The most groups of budgets that are looked at one by one. Beyond it, the answer is that there may be too many.
const MAX_GROUPS: u32 = 256;

/// The conditions of a budget that are still open.
type Conditions<'a> = Vec<(&'a BudgetDimension, &'a Name)>;

/// Whether a call could exist to which a budget with some conditions applies, and `limit` or more of the others. The answer may be
/// that there could be one where there is none, if the conditions are too entangled to find out, and never the reverse.
pub(super) fn is_exceeded(added: &Attributes, others: &[&Attributes], limit: usize) -> bool {
    let excludes = |other: &Attributes| {
        other.iter().any(|(dimension, value)| added.get(dimension).is_some_and(|known| known != value))
    };
    let beside: Vec<Conditions<'_>> = others
        .iter()
        .filter(|other| !excludes(other))
        .map(|other| other.iter().filter(|(dimension, _)| !added.contains_key(*dimension)).collect())
        .collect();
    let mut groups = MAX_GROUPS;
    more_than(limit.saturating_sub(1), beside, &mut groups)
}

/// Whether more than a number of some budgets could apply to one call.
fn more_than(room: usize, budgets: Vec<Conditions<'_>>, groups: &mut u32) -> bool {
    if budgets.len() <= room || at_most(&budgets) <= room {
        return false;
    }
    let Some(left) = groups.checked_sub(1) else { return true };
    *groups = left;
    // Without a condition that is open, all of them apply.
    let Some(dimension) = most_frequent(&budgets) else { return true };
    // A call has one of the values of the dimension.
    let mut by_value: BTreeMap<&Name, Vec<Conditions<'_>>> = BTreeMap::new();
    let mut without = Vec::new();
    for mut conditions in budgets {
        match conditions.iter().position(|(found, _)| *found == dimension) {
            Some(index) => {
                let (_, value) = conditions.swap_remove(index);
                by_value.entry(value).or_default().push(conditions);
            }
            None => without.push(conditions),
        }
    }
    by_value.into_values().any(|of_value| {
        let together = without.iter().cloned().chain(of_value).collect();
        more_than(room, together, groups)
    })
}

/// A number that at most so many of the budgets can apply to one call. Each is counted by one of its conditions, the rarest one; of
/// those that are counted by the same dimension, only those with the same value can apply together.
fn at_most(budgets: &[Conditions<'_>]) -> usize {
    let mut frequency: BTreeMap<(&BudgetDimension, &Name), usize> = BTreeMap::new();
    for condition in budgets.iter().flatten() {
        *frequency.entry(*condition).or_default() += 1;
    }
    let mut unconditional = 0;
    let mut counted: BTreeMap<&BudgetDimension, BTreeMap<&Name, usize>> = BTreeMap::new();
    for conditions in budgets {
        match conditions.iter().min_by_key(|condition| frequency.get(*condition)) {
            Some((dimension, value)) => *counted.entry(*dimension).or_default().entry(*value).or_default() += 1,
            None => unconditional += 1,
        }
    }
    unconditional + counted.values().filter_map(|by_value| by_value.values().max()).sum::<usize>()
}

/// The dimension that most of the budgets have; none if they have no conditions.
fn most_frequent<'a>(budgets: &[Conditions<'a>]) -> Option<&'a BudgetDimension> {
    let mut frequency: BTreeMap<&BudgetDimension, usize> = BTreeMap::new();
    for (dimension, _) in budgets.iter().flatten() {
        *frequency.entry(*dimension).or_default() += 1;
    }
    frequency.into_iter().max_by_key(|(_, number)| *number).map(|(dimension, _)| dimension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;
    use proptest::prelude::*;

    const DIMENSIONS: [BudgetDimension; 3] = [BudgetDimension::Agent, BudgetDimension::Model, BudgetDimension::Team];

    fn conditions(of: &[(BudgetDimension, usize)]) -> Attributes {
        of.iter().map(|(dimension, value)| (dimension.clone(), name(&value.to_string()))).collect()
    }

    fn is_exceeded_by(added: &Attributes, others: &[Attributes], limit: usize) -> bool {
        is_exceeded(added, &others.iter().collect::<Vec<_>>(), limit)
    }

    #[test]
    fn budgets_of_different_values_exclude_each_other() {
        let of_agents: Vec<_> = (0..500).map(|agent| conditions(&[(BudgetDimension::Agent, agent)])).collect();
        assert!(!is_exceeded_by(&Attributes::new(), &of_agents, 2), "one of an agent, and one of all");
        assert!(!is_exceeded_by(&conditions(&[(BudgetDimension::Agent, 7)]), &of_agents, 2));
        assert!(is_exceeded_by(&conditions(&[(BudgetDimension::Agent, 7)]), &of_agents, 1));
        let of_models = (0..500).map(|model| conditions(&[(BudgetDimension::Model, model)]));
        let both: Vec<_> = of_agents.iter().cloned().chain(of_models).collect();
        assert!(!is_exceeded_by(&Attributes::new(), &both, 3));
        assert!(is_exceeded_by(&Attributes::new(), &both, 2));
    }

    #[test]
    fn a_budget_of_each_pair_of_values_applies_alone() {
        let pair =
            |pair: usize| conditions(&[(BudgetDimension::Agent, pair / 30), (BudgetDimension::Model, pair % 30)]);
        let pairs: Vec<_> = (0..900).map(pair).collect();
        assert!(!is_exceeded_by(&Attributes::new(), &pairs, 24));
        assert!(!is_exceeded_by(&conditions(&[(BudgetDimension::Team, 1)]), &pairs, 2));
        let tenant = vec![Attributes::new(); 23];
        assert!(!is_exceeded_by(&Attributes::new(), &tenant, 24));
        assert!(is_exceeded_by(&Attributes::new(), &[tenant, vec![Attributes::new()]].concat(), 24));
    }

    proptest! {
        /// As by looking at every call.
        #[test]
        fn no_call_is_missed_and_none_invented(
            budgets in prop::collection::vec(prop::collection::vec(prop::option::of(0_usize..3), 3), 1..12),
            limit in 1_usize..6,
        ) {
            let of = |values: &Vec<Option<usize>>| {
                let all = DIMENSIONS.into_iter().zip(values);
                let stated: Vec<_> = all.filter_map(|(dimension, value)| Some((dimension, (*value)?))).collect();
                conditions(&stated)
            };
            let budgets: Vec<Attributes> = budgets.iter().map(of).collect();
            let (added, others) = budgets.split_first().unwrap();
            let calls = (0..27).map(|number| {
                let values = [number / 9, number / 3 % 3, number % 3];
                conditions(&DIMENSIONS.into_iter().zip(values).collect::<Vec<_>>())
            });
            let applies = |budget: &Attributes, call: &Attributes| {
                budget.iter().all(|(dimension, value)| call.get(dimension) == Some(value))
            };
            let most = calls.filter(|call| applies(added, call)).map(|call| {
                others.iter().filter(|budget| applies(budget, &call)).count() + 1
            });
            prop_assert_eq!(is_exceeded_by(added, others, limit), most.max().unwrap() > limit);
        }
    }
}
