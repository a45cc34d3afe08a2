//! The value of an attribute, in whatever encoding it was written.

use crate::text::{clip, json_decimal, quoted};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The maximum length of an attribute's text, in bytes; longer text is clipped. Names have a lower limit, and are
/// refused beyond it rather than clipped.
pub(super) const MAX_TEXT_BYTES: usize = 1024;

/// The number from which on a float is shown with an exponent, rather than with up to 309 digits.
const LONGEST_FLOAT: f64 = 1e15;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    Text(String),
    Whole(i64),
    Float(f64),
    Flag(bool),
    /// No value: it is as if the attribute were not there.
    Null,
    /// A list, an object, bytes, or a value of a type that is not known.
    Other,
}

impl AttributeValue {
    pub(crate) fn clipped(text: &str) -> Self {
        Self::Text(clip(text, MAX_TEXT_BYTES).to_owned())
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a whole number: OTLP's JSON has 64-bit integers as strings, and some exporters write counts as
    /// doubles.
    pub(crate) fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Float(number) => Decimal::try_from(*number).ok().filter(Decimal::is_integer)?.to_i64(),
            Self::Flag(_) | Self::Null | Self::Other => None,
        }
    }

    /// The value as a decimal, from its digits.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Text(text) => json_decimal(text),
            Self::Whole(number) => Some(Decimal::from(*number)),
            Self::Float(number) => Decimal::try_from(*number).ok(),
            Self::Flag(_) | Self::Null | Self::Other => None,
        }
    }

    /// The value as milliseconds, of a number of seconds.
    pub(super) fn seconds_as_ms(&self) -> Option<u64> {
        self.decimal()?.checked_mul(Decimal::ONE_THOUSAND)?.to_u64()
    }

    /// The value as whole milliseconds.
    pub(super) fn milliseconds(&self) -> Option<u64> {
        self.decimal()?.to_u64()
    }

    pub(crate) fn display(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Whole(number) => number.to_string(),
            Self::Float(number) if number.abs() >= LONGEST_FLOAT => format!("{number:e}"),
            Self::Float(number) => number.to_string(),
            Self::Flag(_) | Self::Null | Self::Other => "neither text nor number".to_owned(),
        }
    }
}
