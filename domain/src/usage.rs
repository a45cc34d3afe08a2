//! Quantities, and the usage of a call by meter.

use crate::meter::Meter;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// A quantity in the unit of a meter, such as a count of tokens. It is below 2^53, which every JSON parser reads exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u64", into = "u64")]
#[schemars(extend("maximum" = Quantity::MAX))]
pub struct Quantity(u64);

/// Why a number is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// The number is below zero.
    #[error("{0} is negative; a quantity is 0 or more")]
    Negative(i64),
    /// The number is 2^53 or above.
    #[error("{0} is too large for a quantity; the limit is {max}", max = Quantity::MAX)]
    TooLarge(u64),
}

impl Quantity {
    /// The largest quantity: 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Validates a number.
    ///
    /// # Errors
    /// [`QuantityError::TooLarge`] if the number is 2^53 or above.
    pub fn new(number: u64) -> Result<Self, QuantityError> {
        if number <= Self::MAX { Ok(Self(number)) } else { Err(QuantityError::TooLarge(number)) }
    }

    /// The number of units.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Quantity {
    type Error = QuantityError;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        Self::new(number)
    }
}

impl TryFrom<i64> for Quantity {
    type Error = QuantityError;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        u64::try_from(number).map_err(|_| QuantityError::Negative(number)).and_then(Self::new)
    }
}

impl From<Quantity> for u64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The usage of one call by meter. In JSON it is an object without the meters that are zero, such as
/// `{"input":3071,"output":59}`.
///
/// Meters are disjoint, unless one is a part of another one ([`Meter::part_of`]), which then includes it. Numbers of
/// providers that include cached tokens in the input are normalised on import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage([Quantity; Meter::COUNT]);

/// Why quantities contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// The parts of a meter are more than the meter, which includes them.
    #[error("{whole} is {quantity}, which is less than what it includes: {parts}")]
    PartsExceedWhole {
        /// The meter that includes the parts.
        whole: Meter,
        /// The quantity of the whole.
        quantity: u64,
        /// The usage of the parts.
        parts: Box<Usage>,
    },
}

impl Usage {
    /// The quantity of a meter; zero if the call did not use it.
    #[must_use]
    pub fn get(&self, meter: Meter) -> Quantity {
        self.0[meter as usize]
    }

    /// Sets the quantity of a meter.
    pub fn set(&mut self, meter: Meter, quantity: Quantity) {
        self.0[meter as usize] = quantity;
    }

    /// The usage with another quantity of a meter.
    #[must_use]
    pub fn with(mut self, meter: Meter, quantity: Quantity) -> Self {
        self.set(meter, quantity);
        self
    }

    /// The meters that are not zero, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Meter, Quantity)> {
        Meter::ALL.iter().map(|&meter| (meter, self.get(meter))).filter(|(_, quantity)| *quantity != Quantity::ZERO)
    }

    /// Whether all meters are zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The quantity of a meter without its parts, which are billed at their own rates. Zero if the parts are more.
    #[must_use]
    pub fn without_parts(&self, meter: Meter) -> u64 {
        self.get(meter).0.saturating_sub(self.sum(meter.parts()))
    }

    /// Checks that the quantities do not contradict each other.
    ///
    /// # Errors
    /// [`UsageError::PartsExceedWhole`] if the parts of a meter are more than the meter.
    pub fn check(&self) -> Result<(), UsageError> {
        for &whole in Meter::ALL {
            let quantity = self.get(whole).0;
            if self.sum(whole.parts()) > quantity {
                let parts = Box::new(whole.parts().map(|part| (part, self.get(part))).collect());
                return Err(UsageError::PartsExceedWhole { whole, quantity, parts });
            }
        }
        Ok(())
    }

    /// The number of prompt tokens, including cached ones. Price tiers depend on it.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.sum(Meter::ALL.iter().copied().filter(|meter| meter.is_in_prompt()))
    }

    /// A sum of fewer than 2^11 quantities, which does not overflow.
    fn sum(&self, meters: impl Iterator<Item = Meter>) -> u64 {
        meters.map(|meter| self.get(meter).0).sum()
    }
}

impl FromIterator<(Meter, Quantity)> for Usage {
    /// Collects quantities by meter; the last one of each meter counts.
    fn from_iter<I: IntoIterator<Item = (Meter, Quantity)>>(quantities: I) -> Self {
        quantities.into_iter().fold(Self::default(), |usage, (meter, quantity)| usage.with(meter, quantity))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (meter, quantity)) in self.iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}{meter} {quantity}")?;
        }
        Ok(())
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByMeter;

        impl<'de> Visitor<'de> for ByMeter {
            type Value = Usage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of quantities by meter")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Usage, A::Error> {
                let mut usage = Usage::default();
                while let Some((meter, quantity)) = map.next_entry::<Meter, Quantity>()? {
                    if usage.get(meter) != Quantity::ZERO {
                        return Err(A::Error::custom(format!("the meter {meter} occurs twice")));
                    }
                    usage.set(meter, quantity);
                }
                Ok(usage)
            }
        }

        deserializer.deserialize_map(ByMeter)
    }
}

impl JsonSchema for Usage {
    fn schema_name() -> Cow<'static, str> {
        "Usage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Meter::schema_of_map::<Quantity>(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::usage;
    use proptest::prelude::*;

    /// Any usage that passes [`Usage::check`].
    fn any_usage() -> impl Strategy<Value = Usage> {
        prop::array::uniform::<_, { Meter::COUNT }>(0_u64..5).prop_map(|counts| {
            let mut usage: Usage = Meter::ALL.iter().copied().zip(counts.map(Quantity)).collect();
            for &meter in Meter::ALL {
                let parts = usage.sum(meter.parts());
                usage.set(meter, Quantity(usage.get(meter).0 + parts));
            }
            usage
        })
    }

    #[test]
    fn meters_that_are_zero_are_not_written() {
        let sparse = usage([(Meter::Input, 3071), (Meter::Output, 59), (Meter::CacheRead, 0)]);
        assert_eq!(serde_json::to_string(&sparse).unwrap(), r#"{"input":3071,"output":59}"#);
        assert_eq!(serde_json::from_str::<Usage>(r#"{"input":3071,"output":59,"cache_read":0}"#).unwrap(), sparse);
        assert_eq!(serde_json::to_string(&Usage::default()).unwrap(), "{}");
    }

    #[test]
    fn what_is_no_usage_is_refused() {
        for (json, message) in [
            (r#"{"cache_write":1}"#, "\"cache_write\" is not a meter"),
            (r#"{"input":-1}"#, "expected u64"),
            (r#"{"input":0.5}"#, "expected u64"),
            (r#"{"input":9007199254740992}"#, "too large"),
            (r#"{"input":1,"input":1}"#, "the meter input occurs twice"),
            ("[]", "expected an object of quantities by meter"),
        ] {
            let error = serde_json::from_str::<Usage>(json).unwrap_err().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn the_parts_of_a_whole_do_not_exceed_it_together() {
        let parts = usage([(Meter::Reasoning, 6), (Meter::AudioOutput, 5)]);
        assert_eq!(parts.with(Meter::Output, Quantity(11)).check(), Ok(()));
        let error = parts.with(Meter::Output, Quantity(10)).check().unwrap_err();
        assert_eq!(error, UsageError::PartsExceedWhole { whole: Meter::Output, quantity: 10, parts: Box::new(parts) });
        assert_eq!(error.to_string(), "output is 10, which is less than what it includes: reasoning 6, audio_output 5");
        assert!(usage([(Meter::AudioInput, 1)]).check().is_err());
    }

    #[test]
    fn the_prompt_is_what_was_read_from_and_written_to_the_cache_and_the_rest() {
        let all: Usage = Meter::ALL.iter().map(|&meter| (meter, Quantity(1))).collect();
        assert_eq!(all.prompt(), 4);
    }

    proptest! {
        #[test]
        fn usage_is_read_as_it_was_written(usage in any_usage()) {
            prop_assert_eq!(serde_json::from_str::<Usage>(&serde_json::to_string(&usage).unwrap()).unwrap(), usage);
        }

        #[test]
        fn each_unit_is_billed_once(usage in any_usage()) {
            let billed: u64 = Meter::ALL.iter().map(|&meter| usage.without_parts(meter)).sum();
            let used = usage.sum(Meter::ALL.iter().copied().filter(|meter| meter.part_of().is_none()));
            prop_assert_eq!(billed, used);
        }
    }
}
