//! What budgets count: exact amounts of money, of a meter, or of calls.

use crate::money::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum as IterSum;
use std::num::NonZeroU64;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;
use thiserror::Error;

/// The number of parts of a unit: an amount is a multiple of 10^-12.
const PARTS: i128 = 1_000_000_000_000;
/// The decimal places of an amount.
const PLACES: usize = 12;
/// The maximum number of digits before the decimal point of an amount.
const MAX_INTEGER_DIGITS: usize = 25;

/// An exact amount in the unit of a budget: US dollars, the unit of a meter, or calls. A decimal string in JSON.
///
/// Sums of amounts are integers, so that a decision costs nanoseconds. They saturate at 10^26, which no sum reaches: that is
/// more than ten billion of the largest amounts that a call can cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^-?[0-9]{1,25}(\.[0-9]{1,12})?$"))]
pub struct Amount(i128);

/// Text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an amount: write digits with at most 25 before and 12 after the point, without an exponent")]
pub struct AmountError(String);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// More than any sum.
    pub(crate) const LARGEST: Self = Self(Self::MAX);
    /// The largest amount.
    const MAX: i128 = 10_i128.pow(25 + 12) - 1;

    /// A number of whole units.
    #[must_use]
    pub fn units(number: u64) -> Self {
        Self::clamped(i128::from(number).saturating_mul(PARTS))
    }

    /// Whether the amount is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// The amount, or zero if it is below zero.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// Whether the amount is at least a share of a limit, in percent of it.
    #[must_use]
    pub fn reaches(self, percent: u16, limit: Self) -> bool {
        match (self.0.checked_mul(100), limit.0.checked_mul(percent.into())) {
            (Some(amount), Some(share)) => amount >= share,
            // Beyond what any sum reaches.
            (None, _) | (_, None) => self.0 / i128::from(percent.max(1)) >= limit.0 / 100,
        }
    }

    /// The amount times a fraction, rounded towards zero to 12 decimal places.
    #[must_use]
    pub fn times(self, numerator: u64, denominator: NonZeroU64) -> Self {
        let (numerator, denominator) = (i128::from(numerator), i128::from(denominator.get()));
        let (whole, rest) = (self.0 / denominator, self.0 % denominator);
        Self::clamped(whole.saturating_mul(numerator).saturating_add(rest.saturating_mul(numerator) / denominator))
    }

    /// How many whole times a unit fits into a multiple of the amount; none if the unit is zero.
    #[must_use]
    pub(crate) fn units_in(self, factor: u32, unit: Self) -> Option<i64> {
        let factor = i128::from(factor);
        let number = match self.0.checked_mul(factor) {
            Some(multiple) => multiple.checked_div(unit.0)?,
            // Beyond what any sum reaches.
            None => self.0.checked_div(unit.0)?.saturating_mul(factor),
        };
        Some(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn clamped(parts: i128) -> Self {
        Self(parts.clamp(-Self::MAX, Self::MAX))
    }
}

impl From<Money> for Amount {
    /// An amount of money. One with more than 12 decimal places, which none that was parsed has, is the largest amount.
    fn from(money: Money) -> Self {
        Self::clamped(money.picodollars().unwrap_or(Self::MAX))
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::clamped(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::clamped(self.0.saturating_sub(other.0))
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl IterSum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, parts) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, fraction) = (parts / PARTS.unsigned_abs(), parts % PARTS.unsigned_abs());
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:0PLACES$}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let error = || AmountError(text.chars().take(64).collect());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let is_number =
            |part: &str, digits| (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole, MAX_INTEGER_DIGITS) || !is_number(fraction, PLACES) {
            return Err(error());
        }
        let parts: i128 = format!("{whole}{fraction:0<PLACES$}").parse().map_err(|_| error())?;
        Ok(Self(if unsigned.len() < text.len() { -parts } else { parts }))
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_decimal_strings() {
        for text in ["0", "12", "-0.5", "0.000000000001", "9999999999999999999999999.999999999999"] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        assert_eq!("1.50".parse::<Amount>().unwrap().to_string(), "1.5");
        for bad in ["", "-", "1.", ".5", "1e3", "+1", "1.0000000000001", "12345678901234567890123456"] {
            assert_eq!(bad.parse::<Amount>(), Err(AmountError(bad.to_owned())));
        }
        assert_eq!(Amount::from(Money::parse("0.009213").unwrap()).to_string(), "0.009213");
        assert_eq!(Amount::units(7).to_string(), "7");
    }

    #[test]
    fn sums_saturate() {
        let largest = Amount(Amount::MAX);
        assert_eq!(largest + Amount::units(1), largest);
        assert_eq!(-largest - Amount::units(1), -largest);
    }

    #[test]
    fn fractions_are_rounded_towards_zero_and_never_overflow() {
        let (third, largest) = (NonZeroU64::new(3).unwrap(), Amount(Amount::MAX));
        assert_eq!(Amount::units(1).times(2, third).to_string(), "0.666666666666");
        assert_eq!((-Amount::units(1)).times(2, third).to_string(), "-0.666666666666");
        assert_eq!(largest.times(u64::MAX, third), largest);
        assert_eq!(largest.times(100, NonZeroU64::new(200).unwrap()) + Amount(1), Amount(5 * 10_i128.pow(36)));
        assert_eq!(Amount::units(7).units_in(2, Amount::units(3)), Some(4));
        assert_eq!(Amount::units(7).units_in(2, Amount::ZERO), None);
        assert_eq!(largest.units_in(u32::MAX, Amount(1)), Some(i64::MAX));
    }

    proptest! {
        #[test]
        fn an_amount_is_read_as_it_was_written(parts in -Amount::MAX..=Amount::MAX) {
            prop_assert_eq!(Amount(parts).to_string().parse(), Ok(Amount(parts)));
        }
    }
}
