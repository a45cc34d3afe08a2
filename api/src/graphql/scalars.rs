//! Custom scalars: exact decimals, integers beyond 32 bits, positions, times, UUIDs.
//!
//! Each checks its values during validation, so that a request with an invalid value executes nothing.

use async_graphql::{Enum, InputValueError, InputValueResult, Scalar, ScalarType, Value};
use bigdecimal::BigDecimal;
use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};
use domain::budget::Amount;
use domain::{Money, MoneyError, Sum, without_leap_second};
use uuid::Uuid;

/// The largest integer that every JSON reader represents exactly: 2^53 - 1.
pub(crate) const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// The currency of an amount, by its ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Currency")]
pub(crate) enum Currency {
    /// United States dollar.
    Usd,
}

/// An exact decimal number: an amount of money, or a sum of such amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal(Sum);

/// An exact decimal number, serialized as a string such as `"0.009213"`, without an exponent. An input has at most 15
/// digits before the decimal point and 12 after it; an output may have more digits before it and is never rounded. JSON
/// integers are accepted as input; JSON floats are rejected, because they are not exact.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            Value::Number(number) => {
                return Err(InputValueError::custom(format!("{number} is a float and not exact; send it as a string")));
            }
            _ => return Err(InputValueError::expected_type(value)),
        };
        Money::parse(&text).map(Self::from).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<Money> for Decimal {
    fn from(money: Money) -> Self {
        Self(money.into())
    }
}

impl From<Sum> for Decimal {
    fn from(sum: Sum) -> Self {
        Self(sum)
    }
}

impl From<BigDecimal> for Decimal {
    fn from(number: BigDecimal) -> Self {
        Self(number.into())
    }
}

impl From<rust_decimal::Decimal> for Decimal {
    fn from(number: rust_decimal::Decimal) -> Self {
        Money::from_decimal(number).into()
    }
}

impl From<Amount> for Decimal {
    /// Amounts have at most 25 digits before the point, and sums may have more.
    fn from(amount: Amount) -> Self {
        Self(Sum::parse(&amount.to_string()).unwrap_or_default())
    }
}

impl TryFrom<&Decimal> for Money {
    type Error = MoneyError;

    fn try_from(number: &Decimal) -> Result<Self, Self::Error> {
        Self::try_from(&number.0)
    }
}

/// An integer of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BigInt(pub(crate) i128);

/// An integer of any size, serialized as a string such as `"18014398509481982"`, because sums may exceed the integers that
/// every JSON reader represents exactly.
#[Scalar(name = "BigInt")]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_plain.then(|| text.parse().ok()).flatten();
        number
            .map(Self)
            .ok_or_else(|| InputValueError::custom(format!("{value} is not an integer; send digits such as \"42\"")))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<i128> for BigInt {
    fn from(number: i128) -> Self {
        Self(number)
    }
}

/// An integer from 0 to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Long(pub(crate) i64);

/// An integer from 0 to 9007199254740991 (2^53 - 1), serialized as a number. `Int` is limited to 32 bits.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            _ => return Err(InputValueError::expected_type(value)),
        };
        match number {
            Some(number) if (0..=MAX_SAFE_INTEGER).contains(&number) => Ok(Self(number)),
            _ => Err(InputValueError::custom(format!("{value} is not an integer from 0 to {MAX_SAFE_INTEGER}"))),
        }
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

impl Long {
    /// Converts a count. Counts beyond the limit are never stored.
    pub(crate) fn from_unsigned(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(MAX_SAFE_INTEGER).min(MAX_SAFE_INTEGER))
    }

    /// Returns the number as a count.
    pub(crate) fn unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

impl From<i64> for Long {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

/// A position in the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) streams::Position);

/// A position in the event log. The first event has position 1, and there are no gaps; 0 is the position before the first
/// event. Serialized as a string of digits, because positions exceed `Int`. JSON integers are accepted as input.
#[Scalar(name = "Position")]
impl ScalarType for Position {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::String(text) => parse_position(text),
            Value::Number(number) => number.as_u64().filter(|&number| i64::try_from(number).is_ok()),
            _ => return Err(InputValueError::expected_type(value)),
        };
        number
            .map(|number| Self(number.into()))
            .ok_or_else(|| InputValueError::custom(format!("{value} is not a position; send digits such as \"42\"")))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<streams::Position> for Position {
    fn from(position: streams::Position) -> Self {
        Self(position)
    }
}

impl Position {
    /// Converts a column of a read model.
    pub(crate) fn from_row(position: i64) -> Self {
        Self(streams::Position::from_i64(position))
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) DateTime<Utc>);

/// A point in time in the format of RFC 3339, such as `"2023-11-14T22:13:20.5Z"`, between the years 1970 and 2199. Inputs may
/// have any offset; outputs are in UTC. The precision is one microsecond: further digits are truncated, and a leap second
/// is read as the last microsecond before it.
#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for Timestamp {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let moment = DateTime::parse_from_rfc3339(text).map_err(InputValueError::custom)?.to_utc();
        if !domain::ACCEPTED_YEARS.contains(&moment.year()) {
            return Err(InputValueError::custom("the year of a time is 1970 to 2199"));
        }
        Ok(Self(without_leap_second(moment).trunc_subsecs(6)))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.round_subsecs(6).to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment)
    }
}

/// The given time, otherwise the current one, in microseconds, which is the precision of the read models.
pub(crate) fn or_now(given: Option<Timestamp>) -> DateTime<Utc> {
    given.map_or_else(|| Utc::now().trunc_subsecs(6), |given| given.0)
}

/// A UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uid(pub(crate) Uuid);

/// A UUID as defined by RFC 9562, such as `"018bd12c-58b0-7683-8a5b-8752d0e86651"`.
#[Scalar(name = "UUID", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc9562")]
impl ScalarType for Uid {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        Uuid::try_parse(text).map(Self).map_err(InputValueError::custom)
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<Uuid> for Uid {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

/// Parses a position: digits only, without sign or spaces.
pub(crate) fn parse_position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse::<i64>().ok()).flatten().and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Number;

    fn number(number: f64) -> Value {
        Value::Number(Number::from_f64(number).unwrap())
    }

    #[test]
    fn decimals_are_exact_strings() {
        let decimal = Decimal::parse(Value::String("0.0092130".into())).unwrap();
        assert_eq!(decimal.to_value(), Value::String("0.009213".into()));
        assert_eq!(Decimal::parse(Value::Number(3.into())).unwrap().to_value(), Value::String("3".into()));
        for bad in [number(0.1), Value::String("1e3".into()), Value::String(String::new()), Value::Boolean(true)] {
            assert!(Decimal::parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn sums_are_serialized_with_all_their_digits() {
        let (cost, tokens) = ("9007199254740993000000000000.000000000001", 18_014_398_509_481_982_i128);
        assert_eq!(Decimal::from(Sum::parse(cost).unwrap()).to_value(), Value::from(cost));
        assert_eq!(BigInt(tokens).to_value(), Value::from("18014398509481982"));
        assert_eq!(BigInt::parse(Value::from("18014398509481982")).unwrap(), BigInt(tokens));
        for bad in ["", "-", "1.5", "+1", " 1", "1e3"] {
            assert!(BigInt::parse(Value::from(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_serialized_in_utc() {
        let read = |text: &str| Timestamp::parse(Value::String(text.into()));
        assert_eq!(read("2023-11-15T00:13:20.5+02:00").unwrap().to_value(), Value::from("2023-11-14T22:13:20.500Z"));
        assert_eq!(read("2016-12-31T23:59:60Z").unwrap().to_value(), Value::from("2016-12-31T23:59:59.999999Z"));
        for bad in ["2023-11-14", "2023-11-14T22:13:20", "yesterday", ""] {
            assert!(read(bad).is_err(), "{bad:?}");
            assert!(!Timestamp::is_valid(&Value::String(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn longs_are_integers_from_0_to_2_to_the_53_minus_1() {
        assert_eq!(Long::parse(Value::Number(MAX_SAFE_INTEGER.into())).unwrap(), Long(MAX_SAFE_INTEGER));
        for bad in [Value::Number((-1).into()), Value::Number((1_i64 << 53).into()), number(1.5)] {
            assert!(Long::parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn positions_are_serialized_as_strings_and_accepted_as_strings_or_integers() {
        for good in [Value::String("42".into()), Value::Number(42.into())] {
            assert_eq!(Position::parse(good).unwrap().to_value(), Value::String("42".into()));
        }
        for bad in ["-1", "+1", " 1", "", "x", "99999999999999999999"] {
            assert!(Position::parse(Value::String(bad.into())).is_err(), "{bad:?}");
        }
        assert!(Position::parse(Value::Number((-1).into())).is_err());
    }
}
