//! Exact sums of any number of amounts.

use crate::money::{Money, MoneyError, half_even, is_plain_decimal};
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{AddAssign, Sub, SubAssign};

/// The maximum number of digits before the decimal point of a sum. An amount has at most 15, a log has fewer than 2^63
/// events (19 digits), and an event subtracts one amount and adds another: no sum over a log reaches 10^35.
const MAX_INTEGER_DIGITS: usize = 35;

/// An exact sum of amounts of US dollars; a decimal string in JSON, such as `"0.009213"`.
///
/// A sum of many amounts may not fit into [`Money`], which is bounded. A sum is unbounded in memory and never rounds, so
/// adding to it cannot fail.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^-?[0-9]{1,35}(\.[0-9]{1,12})?$"))]
pub struct Sum(BigDecimal);

impl Sum {
    /// Parses a plain decimal with at most 35 digits before and 12 after the point.
    ///
    /// # Errors
    /// [`MoneyError::NotASum`] for exponents, blanks, symbols or too many digits.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let error = || MoneyError::NotASum(text.chars().take(64).collect());
        if !is_plain_decimal(text, MAX_INTEGER_DIGITS) {
            return Err(error());
        }
        text.parse::<BigDecimal>().map(Self::from).map_err(|_| error())
    }

    /// An integer as a sum, to be compared with others.
    #[must_use]
    pub fn from_integer(number: i128) -> Self {
        BigDecimal::from(number).into()
    }

    /// Whether the sum is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// The sum as an arbitrary-precision number.
    #[must_use]
    pub fn as_number(&self) -> &BigDecimal {
        &self.0
    }

    /// The sum times a factor, divided by another sum, and rounded half to even to a number of decimal places. None if the other
    /// sum is zero.
    #[must_use]
    pub fn quotient(&self, factor: u32, by: &Self, places: u32) -> Option<Self> {
        let (mut numerator, scale) = self.0.as_bigint_and_exponent();
        let (mut denominator, scale_of_denominator) = by.0.as_bigint_and_exponent();
        if by.is_zero() {
            return None;
        }
        numerator *= factor;
        let missing = scale_of_denominator.checked_sub(scale)?.checked_add(places.into())?;
        let power = BigInt::from(10).pow(u32::try_from(missing.unsigned_abs()).ok()?);
        if missing < 0 {
            denominator *= power
        } else {
            numerator *= power
        }
        Some(BigDecimal::new(half_even(&numerator, &denominator), places.into()).into())
    }

    /// Converts the sum into an arbitrary-precision number.
    #[must_use]
    pub fn into_number(self) -> BigDecimal {
        self.0
    }
}

impl From<BigDecimal> for Sum {
    fn from(number: BigDecimal) -> Self {
        Self(number.normalized())
    }
}

impl From<Money> for Sum {
    fn from(amount: Money) -> Self {
        Self(amount.as_number())
    }
}

impl TryFrom<&Sum> for Money {
    type Error = MoneyError;

    /// Converts the sum into an amount, if it is in the range of one.
    fn try_from(sum: &Sum) -> Result<Self, Self::Error> {
        Self::parse(&sum.to_string()).map_err(|_| MoneyError::OutOfRange)
    }
}

impl AddAssign<&Sum> for Sum {
    fn add_assign(&mut self, other: &Sum) {
        self.0 += &other.0;
    }
}

impl AddAssign<Money> for Sum {
    fn add_assign(&mut self, amount: Money) {
        self.0 += amount.as_number();
    }
}

impl SubAssign<Money> for Sum {
    fn sub_assign(&mut self, amount: Money) {
        self.0 -= amount.as_number();
    }
}

impl Sub for &Sum {
    type Output = Sum;

    fn sub(self, other: Self) -> Sum {
        Sum(&self.0 - &other.0)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padded as text, and never written with an exponent.
        f.pad(&self.0.normalized().to_plain_string())
    }
}

impl TryFrom<String> for Sum {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Sum> for String {
    fn from(sum: Sum) -> Self {
        sum.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_of_the_largest_amounts_are_exact() {
        let largest = Money::parse("999999999999999.999999999999").unwrap();
        let mut sum = Sum::default();
        for _ in 0..1_000 {
            sum += largest;
        }
        assert_eq!(sum.to_string(), "999999999999999999.999999999");
        sum += Money::parse("0.000000000001").unwrap();
        assert_eq!(sum.to_string(), "999999999999999999.999999999001");
        assert_eq!(serde_json::from_str::<Sum>(&serde_json::to_string(&sum).unwrap()).unwrap(), sum);
        for _ in 0..1_000 {
            sum -= largest;
        }
        assert_eq!(sum.to_string(), "0.000000000001");
    }

    #[test]
    fn a_quotient_is_rounded_half_to_even_at_its_last_place() {
        let quotient = |sum: &str, factor, by: &str, places| {
            let quotient = Sum::parse(sum).unwrap().quotient(factor, &Sum::parse(by).unwrap(), places);
            quotient.map(|quotient| quotient.to_string())
        };
        for (sum, factor, by, places, right) in [
            ("2", 1, "3", 12, "0.666666666667"),
            ("-2", 1, "3", 2, "-0.67"),
            ("-2", 1, "-3", 2, "0.67"),
            ("1", 1, "8", 2, "0.12"),
            ("3", 1, "8", 2, "0.38"),
            ("-3", 1, "8", 2, "-0.38"),
            ("0.000000000001", 1_000_000, "3", 12, "0.000000333333"),
            ("1000000", 100, "2000000", 2, "50"),
            (
                "12345678901234567890123456789012345.000000000001",
                1,
                "1",
                12,
                "12345678901234567890123456789012345.000000000001",
            ),
        ] {
            assert_eq!(quotient(sum, factor, by, places).as_deref(), Some(right), "{sum} x {factor} / {by}");
        }
        assert_eq!(quotient("1", 1, "0", 2), None);
    }

    #[test]
    fn sums_are_written_without_an_exponent() {
        for text in ["0", "1000000", "0.000000000001", "-0.5", "12345678901234567890123456789012345.000000000001"] {
            assert_eq!(Sum::parse(text).unwrap().to_string(), text);
        }
        for bad in
            ["", "1e3", "+1", ".5", "1.", "1_0", "NaN", "123456789012345678901234567890123456", "0.0000000000001"]
        {
            assert_eq!(Sum::parse(bad), Err(MoneyError::NotASum(bad.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn a_sum_equals_the_sum_of_integers_in_the_smallest_unit(
            units in prop::collection::vec(-999_999_999_999_999_999_999_999_999_i128..=999_999_999_999_999_999_999_999_999, 0..50)
        ) {
            let mut sum = Sum::default();
            for units in &units {
                let sign = if *units < 0 { "-" } else { "" };
                let digits = format!("{:013}", units.unsigned_abs());
                let (whole, fraction) = digits.split_at(digits.len() - 12);
                sum += Money::parse(&format!("{sign}{whole}.{fraction}")).unwrap();
            }
            let expected: i128 = units.iter().sum();
            prop_assert_eq!(sum.into_number() * BigDecimal::from(1_000_000_000_000_i64), BigDecimal::from(expected));
        }
    }
}
