//! The numbers of invoices: amounts and quantities, exact.

use crate::money::half_even;
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use thiserror::Error;

/// The decimal places of a figure.
const PLACES: u32 = 12;
/// The most digits before the decimal point.
const MAX_INTEGER_DIGITS: usize = 24;
/// The most digits before the decimal point of a computed figure: sums over the most lines and components stay in range.
const MAX_COMPUTED_DIGITS: u32 = 18;

/// An amount in US dollars or a quantity in the unit of a meter, exact: at most 24 digits before the decimal point and 12 after
/// it; a decimal string in JSON, such as `"0.009213"`.
///
/// A line of an invoice has at most 15 digits before the point ([`Figure::is_of_a_line`]), so that the sums over the most lines
/// and calls that are compared stay in range: they cannot overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^-?[0-9]{1,24}(\.[0-9]{1,12})?$"))]
pub struct Figure(i128);

/// Text that is not a figure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a number: write digits with at most 24 before and 12 after the point, without an exponent")]
pub struct FigureError(String);

impl Figure {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Parses a plain decimal with at most 24 digits before and 12 after the point.
    ///
    /// # Errors
    /// [`FigureError`] for exponents, blanks, symbols or too many digits.
    pub fn parse(text: &str) -> Result<Self, FigureError> {
        Self::read(text).ok_or_else(|| FigureError(text.chars().take(64).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_plain(whole) || !is_plain(fraction) || whole.len() > MAX_INTEGER_DIGITS {
            return None;
        }
        let missing = PLACES.checked_sub(u32::try_from(fraction.len()).ok()?)?;
        let fraction = fraction.parse::<i128>().ok()?.checked_mul(10_i128.pow(missing))?;
        let number = whole.parse::<i128>().ok()?.checked_mul(10_i128.pow(PLACES))?.checked_add(fraction)?;
        Some(Self(if text.starts_with('-') { -number } else { number }))
    }

    /// A figure in units of 10^-12.
    #[must_use]
    pub const fn from_pico(number: i128) -> Self {
        Self(number)
    }

    /// The figure in units of 10^-12.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// A whole number of units.
    #[must_use]
    pub fn from_units(units: u64) -> Self {
        Self(i128::from(units) * 10_i128.pow(PLACES))
    }

    /// Whether the figure is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The figure without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether it has at most 15 digits before the point, as the figures of a line have.
    #[must_use]
    pub const fn is_of_a_line(self) -> bool {
        self.0.abs() < 10_i128.pow(15 + PLACES)
    }

    /// The number of its decimal places, without zeros at the end.
    #[must_use]
    pub fn places(self) -> u8 {
        let (mut rest, mut places) = (self.0, 12);
        while places > 0 && rest % 10 == 0 {
            rest /= 10;
            places -= 1;
        }
        places
    }

    /// The figure times a fraction, rounded half to even at the twelfth decimal place; none if the denominator is zero or the
    /// result has more than 18 digits before the point.
    #[must_use]
    pub fn times(self, numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let product = BigInt::from(self.0) * BigInt::from(numerator);
        let computed = half_even(&product, &BigInt::from(denominator)).to_i128()?;
        (computed.unsigned_abs() < 10_u128.pow(MAX_COMPUTED_DIGITS + PLACES)).then_some(Self(computed))
    }
}

impl Add for Figure {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Figure {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Figure {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Figure {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Figure {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Figure {
    fn sum<I: Iterator<Item = Self>>(figures: I) -> Self {
        figures.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, unsigned) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, fraction) = (unsigned / 10_u128.pow(PLACES), unsigned % 10_u128.pow(PLACES));
        let fraction = format!("{fraction:012}");
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        f.pad(&format!("{sign}{whole}{point}{fraction}"))
    }
}

impl std::str::FromStr for Figure {
    type Err = FigureError;

    fn from_str(text: &str) -> Result<Self, FigureError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Figure {
    type Error = FigureError;

    fn try_from(text: String) -> Result<Self, FigureError> {
        Self::parse(&text)
    }
}

impl From<Figure> for String {
    fn from(figure: Figure) -> Self {
        figure.to_string()
    }
}

impl TryFrom<BigDecimal> for Figure {
    type Error = FigureError;

    fn try_from(number: BigDecimal) -> Result<Self, FigureError> {
        Self::parse(&number.normalized().to_plain_string())
    }
}

impl From<Figure> for crate::Sum {
    fn from(figure: Figure) -> Self {
        BigDecimal::new(figure.0.into(), PLACES.into()).into()
    }
}
