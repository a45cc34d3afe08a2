//! Decimal numbers as integers of a fixed scale, which Parquet stores, and their text.

use bigdecimal::ToPrimitive as _;
use domain::Sum;
use rust_decimal::Decimal;

/// The scale of amounts of money.
pub(super) const MONEY_SCALE: u32 = 12;
/// The scale of unit prices and of quantities in pricing units, which may be discounted rates, or millionths.
pub(super) const FINE_SCALE: u32 = 18;

/// A decimal number in units of 10^-scale; none if it has more decimal places, or is too large.
pub(super) fn scaled(number: Decimal, scale: u32) -> Option<i128> {
    let number = number.normalize();
    let factor = 10_i128.checked_pow(scale.checked_sub(number.scale())?)?;
    number.mantissa().checked_mul(factor)
}

/// A quotient in units of 10^-scale, rounded half to even. None if it is too large.
pub(super) fn quotient(number: u128, divisor: u64, scale: u32) -> Option<i128> {
    let (number, divisor) = (Sum::from_integer(i128::try_from(number).ok()?), Sum::from_integer(divisor.into()));
    let quotient = number.quotient(1, &divisor, scale)?.into_number().with_scale(scale.into());
    quotient.into_bigint_and_exponent().0.to_i128()
}

/// The text of a number in units of 10^-scale: plain digits, without trailing zeros.
pub(super) fn plain(number: i128, scale: u32) -> String {
    let digits = number.unsigned_abs().to_string();
    let places = usize::try_from(scale).unwrap_or(usize::MAX);
    let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let (sign, fraction) = (if number < 0 { "-" } else { "" }, fraction.trim_end_matches('0'));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The text of an amount in units of 10^-12 US dollars.
pub(crate) fn plain_money(amount: i128) -> String {
    plain(amount, MONEY_SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are() {
        for (number, scale, text) in [
            (0, 12, "0"),
            (1, 12, "0.000000000001"),
            (-1_500_000_000_000, 12, "-1.5"),
            (120, 0, "120"),
            (i128::MAX, 18, "170141183460469231731.687303715884105727"),
        ] {
            assert_eq!(plain(number, scale), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_no_number() {
        assert_eq!(scaled("0.000000000001".parse().unwrap(), 12), Some(1));
        assert_eq!(scaled("-2.50".parse().unwrap(), 12), Some(-2_500_000_000_000));
        assert_eq!(scaled("0.0000000000001".parse().unwrap(), 12), None);
        assert_eq!(scaled(Decimal::MAX, 18), None);
    }

    #[test]
    fn quotients_are_rounded_half_to_even() {
        assert_eq!(quotient(1_234_567, 1_000_000, FINE_SCALE), Some(1_234_567_000_000_000_000));
        assert_eq!([quotient(1, 2, 0), quotient(3, 2, 0), quotient(2, 3, 0)], [Some(0), Some(2), Some(1)]);
        assert_eq!(quotient(40_000_000, 1_000_000, FINE_SCALE), Some(40_000_000_000_000_000_000));
        assert_eq!(quotient(u128::MAX, 1, 1), None);
        assert_eq!(quotient(1, 0, 1), None);
    }
}
