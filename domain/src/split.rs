//! Splitting amounts into parts that add up: the method of the largest remainder.
//!
//! Each part is rounded down to a number of decimal places, and the units of the last place that are left over go to the parts
//! with the largest remainders, one each. Of equal remainders that of the lower key is first. So the parts are a function of the
//! amount and the weights alone, whatever order they were found in, and each differs from its exact share by less than one unit.

use crate::sum::Sum;
use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, RoundingMode};
use std::collections::BTreeMap;
use thiserror::Error;

/// The decimal places of charges, which are the most that a sum of them has.
pub const MONEY_DIGITS: u32 = 12;

/// Why an amount cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SplitError {
    /// No part has a weight above zero.
    #[error("the amount {0} cannot be split: no part has a weight above zero")]
    NoWeight(Sum),
    /// A weight is below zero.
    #[error("the weight {0} is below zero")]
    NegativeWeight(Sum),
    /// The amount is no multiple of the unit of the last place, so that no parts in whole units add up to it.
    #[error(
        "the amount {amount} has more than {digits} decimal places, so that parts with {digits} cannot add up to it"
    )]
    TooFine {
        /// The amount.
        amount: Sum,
        /// The decimal places of the parts.
        digits: u32,
    },
}

/// Splits an amount in proportion to weights, into parts with a number of decimal places that add up to it.
///
/// The weights are at least zero, and need not add up to anything; a part without weight is zero. An amount below zero is
/// split as its opposite.
///
/// # Errors
/// [`SplitError`] if no weight is above zero or one is below it, or if the amount has more decimal places than its parts.
pub fn split<K: Ord + Clone>(
    amount: &Sum,
    digits: u32,
    weights: &BTreeMap<K, Sum>,
) -> Result<BTreeMap<K, Sum>, SplitError> {
    let units = units(amount, digits).ok_or_else(|| SplitError::TooFine { amount: amount.clone(), digits })?;
    if let Some(negative) = weights.values().find(|weight| weight.as_number().sign() == Sign::Minus) {
        return Err(SplitError::NegativeWeight(negative.clone()));
    }
    let weights = whole(weights);
    let total: BigInt = weights.values().sum();
    if total.sign() == Sign::NoSign {
        return Err(SplitError::NoWeight(amount.clone()));
    }
    let size = BigInt::from(units.magnitude().clone());
    let shares = weights.into_iter().map(|(key, weight)| {
        let share = &size * weight;
        (key, (&share / &total, share % &total))
    });
    let sign = if units.sign() == Sign::Minus { -1 } else { 1 };
    Ok(add_left_over(&size, shares.collect(), digits, sign))
}

/// Rounds amounts to a number of decimal places so that they add up to their rounded sum, which is rounded half to even.
///
/// Each is rounded down, towards the lower number, and what is left over goes to those with the largest remainders.
#[must_use]
pub fn round_together<K: Ord + Clone>(amounts: &BTreeMap<K, Sum>, digits: u32) -> BTreeMap<K, Sum> {
    let total = amounts.values().fold(BigDecimal::default(), |total, amount| total + amount.as_number());
    let (total, _) = total.with_scale_round(digits.into(), RoundingMode::HalfEven).into_bigint_and_exponent();
    let shares = amounts.iter().map(|(key, amount)| {
        let (floor, _) =
            amount.as_number().with_scale_round(digits.into(), RoundingMode::Floor).into_bigint_and_exponent();
        let rest = Sum::from(amount.as_number() - BigDecimal::new(floor.clone(), digits.into()));
        (key.clone(), (floor, rest))
    });
    let (floors, rests): (BTreeMap<_, _>, BTreeMap<_, _>) =
        shares.map(|(key, (floor, rest))| ((key.clone(), floor), (key, rest))).unzip();
    let rests = whole(&rests);
    let shares = floors.into_iter().zip(rests).map(|((key, floor), (_, rest))| (key, (floor, rest)));
    add_left_over(&total, shares.collect(), digits, 1)
}

/// Adds one unit each to the shares with the largest remainders, the lowest key first, until they add up to the total.
fn add_left_over<K: Ord + Clone>(
    total: &BigInt,
    mut shares: BTreeMap<K, (BigInt, BigInt)>,
    digits: u32,
    sign: i32,
) -> BTreeMap<K, Sum> {
    let mut left = total - shares.values().map(|(floor, _)| floor).sum::<BigInt>();
    // The order is stable, so that equal remainders stay in the order of the keys.
    let mut order: Vec<_> = shares.values_mut().collect();
    order.sort_by(|(_, a), (_, b)| b.cmp(a));
    for (floor, _) in order {
        if left.sign() != Sign::Plus {
            break;
        }
        *floor += 1;
        left -= 1;
    }
    let part = |units: BigInt| Sum::from(BigDecimal::new(units * sign, digits.into()));
    shares.into_iter().map(|(key, (units, _))| (key, part(units))).collect()
}

/// The amount in units of its last place of `digits`; none if it is not a multiple of one.
fn units(amount: &Sum, digits: u32) -> Option<BigInt> {
    let scaled = amount.as_number().with_scale(digits.into());
    (scaled == *amount.as_number()).then(|| scaled.into_bigint_and_exponent().0)
}

/// The numbers as integers, in units of the smallest place that any of them has.
fn whole<K: Ord + Clone>(numbers: &BTreeMap<K, Sum>) -> BTreeMap<K, BigInt> {
    let digits = numbers.values().map(|number| number.as_number().fractional_digit_count()).max().unwrap_or(0).max(0);
    let units = |number: &Sum| number.as_number().with_scale(digits).into_bigint_and_exponent().0;
    numbers.iter().map(|(key, number)| (key.clone(), units(number))).collect()
}

#[cfg(test)]
mod tests;
