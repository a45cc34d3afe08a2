//! Exact amounts of money. There are no floats, and one function rounds, [`half_even`]: charges by [`Money::for_units`], and
//! what reports divide.

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, ToPrimitive};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use thiserror::Error;

/// The decimal places of a charge: a charge is a multiple of 10^-12 US dollars.
const CHARGE_SCALE: u32 = 12;
/// The maximum number of digits before the decimal point of an amount.
const MAX_INTEGER_DIGITS: usize = 15;

/// The currency of an amount (ISO 4217). Model prices are quoted in US dollars everywhere, so that is the only one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Currency {
    /// United States dollar.
    #[default]
    #[serde(rename = "USD")]
    Usd,
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usd => f.write_str("USD"),
        }
    }
}

/// An exact amount of US dollars; a decimal string in JSON, such as `"0.009213"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^-?[0-9]{1,15}(\.[0-9]{1,12})?$"))]
pub struct Money(Decimal);

/// Why text is not an amount, or an amount cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The text is not digits with an optional sign and fraction. Exponents, separators and symbols are rejected.
    #[error("{0:?} is not an amount: write digits with at most 15 before and 12 after the point, without an exponent")]
    NotAnAmount(String),
    /// As `NotAnAmount`, for a sum of amounts, which may have more digits.
    #[error("{0:?} is not a sum: write digits with at most 35 before and 12 after the point, without an exponent")]
    NotASum(String),
    /// The result has more digits than an amount can have.
    #[error("the amount is out of range: it has more than 15 digits before or 12 after the point")]
    OutOfRange,
}

impl Money {
    /// Zero. It is never the cost of a call without a known price: such a call has no cost.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Parses a plain decimal with at most 15 digits before and 12 after the point.
    ///
    /// # Errors
    /// [`MoneyError::NotAnAmount`] for exponents, blanks, symbols or too many digits.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let error = || MoneyError::NotAnAmount(text.chars().take(64).collect());
        if !is_plain_decimal(text, MAX_INTEGER_DIGITS) {
            return Err(error());
        }
        text.parse::<Decimal>().map(|amount| Self(amount.normalize())).map_err(|_| error())
    }

    /// The amount of a decimal number. Its range is not checked.
    #[must_use]
    pub fn from_decimal(amount: Decimal) -> Self {
        Self(amount.normalize())
    }

    /// The amount as a decimal number.
    #[must_use]
    pub fn as_decimal(self) -> Decimal {
        self.0
    }

    /// The cost of `units` at `rate` US dollars for `per` units. This is the only place where Apex rounds what it charges:
    /// half to even, at the twelfth decimal place. Rates for a million tokens are quoted with at most six decimal places, so
    /// that charges for tokens are exact.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if the cost has too many digits.
    pub fn for_units(rate: Decimal, units: u64, per: NonZeroU64) -> Result<Self, MoneyError> {
        Self::for_units_discounted(rate, units, per, 0)
    }

    /// As [`Money::for_units`], less a number of millionths of the cost. It is rounded once, after the discount.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if the cost has too many digits.
    pub fn for_units_discounted(
        rate: Decimal,
        units: u64,
        per: NonZeroU64,
        discount_millionths: u32,
    ) -> Result<Self, MoneyError> {
        let (numerator, denominator) = fraction(rate, units, per, discount_millionths);
        let quotient = half_even(&numerator, &denominator);
        let amount = quotient.to_i128().and_then(|amount| Decimal::try_from_i128_with_scale(amount, CHARGE_SCALE).ok());
        amount.ok_or(MoneyError::OutOfRange).and_then(Self::in_range)
    }

    /// Whether the amount is the cost of `units` at `rate` US dollars for `per` units, less a number of millionths of it,
    /// before it is rounded.
    pub(crate) fn is_exactly(self, rate: Decimal, units: u64, per: NonZeroU64, discount_millionths: u32) -> bool {
        let (numerator, denominator) = fraction(rate, units, per, discount_millionths);
        self.picodollars().is_some_and(|amount| BigInt::from(amount) * denominator == numerator)
    }

    /// The amount as an arbitrary-precision number, for sums.
    #[must_use]
    pub(crate) fn as_number(self) -> BigDecimal {
        BigDecimal::new(self.0.mantissa().into(), self.0.scale().into())
    }

    /// The amount in units of 10^-12 US dollars, for sums of few amounts: those that were parsed are below 10^27. None if it has
    /// more than 12 decimal places, which no parsed amount has.
    #[must_use]
    pub fn picodollars(self) -> Option<i128> {
        let missing_places = CHARGE_SCALE.checked_sub(self.0.scale())?;
        self.0.mantissa().checked_mul(10_i128.checked_pow(missing_places)?)
    }

    /// The sum of two amounts.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if it has too many digits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).ok_or(MoneyError::OutOfRange).and_then(Self::in_range)
    }

    /// The difference of two amounts.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if it has too many digits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).ok_or(MoneyError::OutOfRange).and_then(Self::in_range)
    }

    /// Checks that a computed amount can be parsed again when it is read from the log.
    fn in_range(amount: Decimal) -> Result<Self, MoneyError> {
        let amount = amount.normalize();
        let limit = Decimal::from(10_u64.pow(15));
        if amount.abs() < limit && amount.scale() <= CHARGE_SCALE {
            Ok(Self(amount))
        } else {
            Err(MoneyError::OutOfRange)
        }
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }
}

/// The cost of `units` at `rate` US dollars for `per` units, less a number of millionths of it, in units of 10^-12 US
/// dollars. It is a fraction of integers: as a decimal number it may not end, or have more digits than `Decimal` can hold, and
/// the result would be rounded twice.
fn fraction(rate: Decimal, units: u64, per: NonZeroU64, discount_millionths: u32) -> (BigInt, BigInt) {
    const WHOLE: u32 = 1_000_000;
    let charged = WHOLE.saturating_sub(discount_millionths);
    let numerator = BigInt::from(rate.mantissa()) * units * BigInt::from(10).pow(CHARGE_SCALE) * charged;
    (numerator, BigInt::from(10).pow(rate.scale()) * per.get() * WHOLE)
}

/// A fraction of integers, rounded half to even. The denominator is not zero.
pub(crate) fn half_even(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let quotient: BigInt = numerator / denominator;
    let twice_the_rest: BigInt = (numerator % denominator) * 2;
    let rounds_away = match twice_the_rest.magnitude().cmp(denominator.magnitude()) {
        Ordering::Less => false,
        Ordering::Equal => quotient.bit(0),
        Ordering::Greater => true,
    };
    let is_negative = (numerator.sign() == Sign::Minus) != (denominator.sign() == Sign::Minus);
    match (rounds_away, is_negative) {
        (false, _) => quotient,
        (true, true) => quotient - 1,
        (true, false) => quotient + 1,
    }
}

/// Whether the text is digits with an optional sign and fraction, within the limits of digits.
pub(crate) fn is_plain_decimal(text: &str, max_integer_digits: usize) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return false,
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fits = (1..=max_integer_digits).contains(&whole.len()) && fraction.len() <= CHARGE_SCALE as usize;
    fits && digits(whole) && digits(fraction)
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Money {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_decimals_are_parsed_exactly() {
        for (text, written) in
            [("0", "0"), ("29.136964", "29.136964"), ("-1.50", "-1.5"), ("0.000000000001", "0.000000000001")]
        {
            assert_eq!(Money::parse(text).map(|m| m.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn the_largest_amounts_are_counted_in_picodollars() {
        let largest = Money::parse("-999999999999999.999999999999").unwrap();
        assert_eq!(largest.picodollars(), Some(-999_999_999_999_999_999_999_999_999));
        assert_eq!(Money::from_decimal(Decimal::MAX).picodollars(), None);
    }

    #[test]
    fn other_notations_are_rejected() {
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "1e3",
            "1E-6",
            "+1",
            " 1",
            "1_000",
            "$1",
            "NaN",
            "1,5",
            "0x1",
            "--1",
            "1234567890123456",
            "0.0000000000001",
        ] {
            assert_eq!(Money::parse(bad), Err(MoneyError::NotAnAmount(bad.to_owned())));
        }
    }

    #[test]
    fn a_cost_is_exact_to_the_twelfth_decimal_place() {
        let per = |number| NonZeroU64::new(number).unwrap();
        let million = per(1_000_000);
        let cost = |rate: &str, units, per| Money::for_units(rate.parse().unwrap(), units, per).unwrap().to_string();
        assert_eq!(cost("3", 3071, million), "0.009213");
        assert_eq!(cost("0.075", 1, million), "0.000000075");
        assert_eq!(cost("0.01", 3, per(1)), "0.03");
        assert_eq!(cost("0.006", 61_500, per(60_000)), "0.00615");
        // This product has more than 28 digits: rounded twice, it would end in 6.
        assert_eq!(cost("24275.350163107661", 8_143_745_752_315_142, million), "197692279776770.703788508147");
        // Two thirds, and a half between two even and two odd neighbours.
        assert_eq!(cost("2", 1, per(3)), "0.666666666667");
        assert_eq!(cost("0.000000000001", 1, per(2)), "0");
        assert_eq!(cost("0.000000000003", 1, per(2)), "0.000000000002");
        assert_eq!(Money::for_units(Decimal::MAX, 2, million), Err(MoneyError::OutOfRange));
        let largest = Decimal::from(999_999_999_999_999_u64);
        assert_eq!(Money::for_units(largest, 2_000_000, million), Err(MoneyError::OutOfRange));
    }

    proptest! {
        #[test]
        fn amounts_survive_formatting_and_parsing(units in -1_000_000_000_000_i64..1_000_000_000_000, scale in 0_u32..12) {
            let money = Money::from_decimal(Decimal::new(units, scale));
            prop_assert_eq!(Money::parse(&money.to_string()), Ok(money));
        }

        #[test]
        fn picodollars_are_the_exact_amount(units in -1_000_000_000_000_i64..1_000_000_000_000, scale in 0_u32..=28) {
            let money = Money::from_decimal(Decimal::new(units, scale));
            let expected = (money.as_decimal().scale() <= 12)
                .then(|| money.as_number() * BigDecimal::from(1_000_000_000_000_i64));
            prop_assert_eq!(money.picodollars().map(BigDecimal::from), expected);
        }

        #[test]
        fn computed_amounts_can_be_parsed_again(
            rate in 0_u64..2_000_000_000_000_000, scale in 0_u32..13, units in 0_u64..1 << 53, per in 1_u64..10_000_000,
        ) {
            let rate = Decimal::from(rate) / Decimal::from(10_u64.pow(scale));
            if let Ok(money) = Money::for_units(rate, units, NonZeroU64::new(per).unwrap()) {
                prop_assert_eq!(Money::parse(&money.to_string()), Ok(money));
            }
        }

        #[test]
        fn a_cost_differs_from_the_exact_one_by_at_most_half_of_the_last_place(
            rate in 0_i64..1_000_000_000, units in 0_u32..1_000_000, per in 1_u32..10_000_000,
        ) {
            let cost = Money::for_units(Decimal::new(rate, 6), units.into(), NonZeroU64::new(per.into()).unwrap()).unwrap();
            // In units of 10^-12: |cost × per − rate × units × 10^6| × 2 ≤ per.
            let in_last_place = (cost.as_decimal() * Decimal::from(10_u64.pow(12))).to_i128().unwrap();
            let exact = i128::from(rate) * i128::from(units) * 1_000_000;
            prop_assert!((in_last_place * i128::from(per) - exact).abs() * 2 <= i128::from(per));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            prop_assert!(Money::parse(&text).map_or(true, |money| Money::parse(&money.to_string()) == Ok(money)));
        }
    }
}
