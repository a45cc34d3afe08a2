//! Who caused that a cost is not what was expected: the cost and the expected cost, by value of a dimension.
//!
//! What was expected of the whole is split in proportion to what the values cost in a reference span, by the method of the largest
//! remainder. So the expected costs of all values add up to that of the whole, and what each value has more or less than its own
//! expected cost adds up to the excess of the whole, to the last digit.

use crate::split::{MONEY_DIGITS, SplitError, split};
use crate::sum::Sum;
use std::collections::{BTreeMap, BTreeSet};

/// A cost and what was expected of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deviation {
    /// The cost.
    pub actual: Sum,
    /// The cost that was expected.
    pub expected: Sum,
}

impl Deviation {
    /// How much higher the cost is than expected; below zero if it is lower.
    #[must_use]
    pub fn excess(&self) -> Sum {
        &self.actual - &self.expected
    }

    /// Adds another cost and what was expected of it.
    pub fn add(&mut self, other: &Self) {
        self.actual += &other.actual;
        self.expected += &other.expected;
    }
}

/// The values that contribute most to an excess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causes<K> {
    /// The values with the highest excess, the highest first; if the whole cost less than expected, those with the lowest, the
    /// lowest first. Of equal ones, the lower key is first.
    pub first: Vec<(K, Deviation)>,
    /// All other values together; none if there are no others.
    pub rest: Option<Deviation>,
}

impl<K> Causes<K> {
    /// The causes; if there are none, because nothing was spent now and in the reference span, what was expected is that of the rest.
    #[must_use]
    pub fn or_rest(mut self, expected: &Sum) -> Self {
        if self.first.is_empty() && self.rest.is_none() {
            self.rest = Some(Deviation { actual: Sum::default(), expected: expected.clone() });
        }
        self
    }
}

/// Splits the expected cost of a whole by values, in proportion to their cost in a reference span.
///
/// A value that cost nothing then, or less, was expected to cost nothing. If none cost anything, the values share the expected
/// cost in equal parts. Without any value the result is empty, and the expected cost is that of the rest alone: see
/// [`Causes::or_rest`].
///
/// # Errors
/// [`SplitError::TooFine`] if the expected cost has more decimal places than charges have.
pub fn deviations<K: Ord + Clone>(
    actual: &BTreeMap<K, Sum>,
    reference: &BTreeMap<K, Sum>,
    expected: &Sum,
) -> Result<BTreeMap<K, Deviation>, SplitError> {
    let keys: BTreeSet<&K> = actual.keys().chain(reference.keys()).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let zero = Sum::default();
    let weight = |key: &K| reference.get(key).filter(|cost| **cost > zero).cloned().unwrap_or_default();
    let mut weights: BTreeMap<K, Sum> = keys.into_iter().map(|key| (key.clone(), weight(key))).collect();
    if weights.values().all(Sum::is_zero) {
        weights.values_mut().for_each(|weight| *weight = Sum::from_integer(1));
    }
    let parts = split(expected, MONEY_DIGITS, &weights)?;
    let deviation = |(key, expected): (K, Sum)| {
        let actual = actual.get(&key).cloned().unwrap_or_default();
        (key, Deviation { actual, expected })
    };
    Ok(parts.into_iter().map(deviation).collect())
}

/// The values that contribute most to the excess of a whole, at most `limit` of them, and the rest.
///
/// `is_named` says which values may be among the first; the others are part of the rest.
#[must_use]
pub fn causes<K: Ord + Clone>(
    deviations: BTreeMap<K, Deviation>,
    limit: usize,
    is_named: impl Fn(&K) -> bool,
) -> Causes<K> {
    let whole = deviations.values().fold(Sum::default(), |mut whole, deviation| {
        whole += &deviation.excess();
        whole
    });
    let is_below = whole < Sum::default();
    let (mut first, mut others): (Vec<_>, Vec<_>) = deviations.into_iter().partition(|(key, _)| is_named(key));
    // The order is stable, so that equal ones stay in the order of the keys.
    first.sort_by(|(_, a), (_, b)| {
        let (a, b) = (a.excess(), b.excess());
        if is_below { a.cmp(&b) } else { b.cmp(&a) }
    });
    others.extend(first.split_off(limit.min(first.len())));
    let rest = others.iter().fold(Deviation::default(), |mut rest, (_, deviation)| {
        rest.add(deviation);
        rest
    });
    Causes { first, rest: (!others.is_empty()).then_some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(costs: &[(&str, &str)]) -> BTreeMap<String, Sum> {
        costs.iter().map(|(key, cost)| ((*key).to_owned(), Sum::parse(cost).unwrap())).collect()
    }

    fn sum(text: &str) -> Sum {
        Sum::parse(text).unwrap()
    }

    #[test]
    fn the_value_that_grew_has_the_excess() {
        let actual = sums(&[("a", "10"), ("b", "1.5"), ("new", "0.25")]);
        let reference = sums(&[("a", "30"), ("b", "10"), ("gone", "0")]);
        let found = deviations(&actual, &reference, &sum("4")).unwrap();
        let expected = [("a", "10", "3"), ("b", "1.5", "1"), ("gone", "0", "0"), ("new", "0.25", "0")];
        let shown: Vec<_> =
            found.iter().map(|(key, of)| (key.as_str(), of.actual.to_string(), of.expected.to_string())).collect();
        let expected: Vec<_> = expected.iter().map(|(key, a, e)| (*key, (*a).to_owned(), (*e).to_owned())).collect();
        assert_eq!(shown, expected);
        let causes = causes(found, 1, |key| key != "new");
        assert_eq!(causes.first[0].0, "a");
        assert_eq!(causes.first[0].1.excess(), sum("7"));
        assert_eq!(causes.rest.unwrap().excess(), sum("0.75"));
    }

    #[test]
    fn the_value_that_is_missing_causes_a_lower_cost() {
        let actual = sums(&[("a", "1"), ("b", "2")]);
        let found = deviations(&actual, &sums(&[("a", "5"), ("b", "1")]), &sum("6")).unwrap();
        let causes = causes(found, 5, |_| true);
        assert_eq!(causes.first.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(causes.first[0].1.excess(), sum("-4"));
        assert_eq!(causes.rest, None);
    }

    #[test]
    fn without_a_reference_the_expected_cost_is_split_in_equal_parts() {
        let found = deviations(&sums(&[("a", "1"), ("b", "0")]), &sums(&[("b", "-3")]), &sum("1")).unwrap();
        assert!(found.values().all(|of| of.expected == sum("0.5")), "{found:?}");
        let nothing = deviations(&sums(&[]), &sums(&[]), &sum("1")).unwrap();
        assert!(nothing.is_empty());
        let rest = causes(nothing, 3, |_| true).or_rest(&sum("1")).rest.unwrap();
        assert_eq!((rest.actual, rest.expected), (Sum::default(), sum("1")));
    }

    fn costs() -> impl Strategy<Value = BTreeMap<u8, Sum>> {
        let cost =
            (-5_i64..1_000_000).prop_map(|units| sum(&format!("{}.{:06}", units / 1_000, (units % 1_000).abs())));
        prop::collection::btree_map(0_u8..12, cost, 0..8)
    }

    proptest! {
        #[test]
        fn the_parts_add_up(actual in costs(), reference in costs(), expected in 0_u32..1_000_000, limit in 0_usize..5) {
            let expected = sum(&format!("{}.{:09}", expected / 7, expected));
            let found = deviations(&actual, &reference, &expected).unwrap();
            let Causes { first, rest } = causes(found, limit, |key| *key != 3).or_rest(&expected);
            prop_assert!(first.len() <= limit && first.iter().all(|(key, _)| *key != 3));
            let mut whole = rest.unwrap_or_default();
            first.iter().for_each(|(_, of)| whole.add(of));
            let total = actual.values().fold(Sum::default(), |mut total, cost| { total += cost; total });
            prop_assert_eq!(&whole.actual, &total);
            prop_assert_eq!(&whole.expected, &expected);
        }
    }
}
