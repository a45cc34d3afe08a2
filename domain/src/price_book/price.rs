//! Prices: rates by meter, tiers by prompt size, and the charge for a usage.

use crate::meter::Meter;
use crate::money::{Currency, Money, MoneyError};
use crate::text::Name;
use crate::usage::Usage;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// US dollars per million units of a meter, such as tokens; never negative, and a decimal string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Money", into = "Money")]
#[schemars(extend("pattern" = r"^[0-9]{1,15}(\.[0-9]{1,12})?$"))]
pub struct Rate(Money);

/// Why an amount is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateError {
    /// The amount is below zero.
    #[error("{0} is negative; a rate is 0 or more")]
    Negative(Money),
}

impl Rate {
    /// The rate in US dollars per million units.
    #[must_use]
    pub fn as_money(self) -> Money {
        self.0
    }

    fn charge(self, units: u64) -> Result<Money, MoneyError> {
        Money::per_million(self.0.as_decimal(), units)
    }
}

impl TryFrom<Money> for Rate {
    type Error = RateError;

    fn try_from(money: Money) -> Result<Self, Self::Error> {
        if money.is_negative() { Err(RateError::Negative(money)) } else { Ok(Self(money)) }
    }
}

impl From<Rate> for Money {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Rates by meter, in US dollars per million units. In JSON it is an object such as `{"input":"3","output":"15"}`.
///
/// A meter without a rate of its own is billed at the rate of another one ([`Meter::billed_as`]): cached tokens as input,
/// reasoning tokens as output. Input and output always have a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Meter, Rate>", into = "BTreeMap<Meter, Rate>")]
pub struct Rates(BTreeMap<Meter, Rate>);

/// Why rates are not complete.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RatesError {
    /// A meter that needs a rate has none.
    #[error("there is no rate for {0}")]
    Missing(Meter),
}

/// The meters that need a rate.
const PRICED: [Meter; 2] = [Meter::Input, Meter::Output];

impl Rates {
    /// Rates of input and output, which apply to all meters that are billed as these.
    #[must_use]
    pub fn new(input: Rate, output: Rate) -> Self {
        Self(BTreeMap::from([(Meter::Input, input), (Meter::Output, output)]))
    }

    /// The rates with another rate of a meter.
    #[must_use]
    pub fn with(mut self, meter: Meter, rate: Rate) -> Self {
        self.0.insert(meter, rate);
        self
    }

    /// The rates without the own rate of a meter; those of input and output stay.
    #[must_use]
    pub fn without(mut self, meter: Meter) -> Self {
        if !PRICED.contains(&meter) {
            self.0.remove(&meter);
        }
        self
    }

    /// The rate of its own that a meter has.
    #[must_use]
    pub fn own(&self, meter: Meter) -> Option<Rate> {
        self.0.get(&meter).copied()
    }

    /// The rate at which a meter is billed; none if it is not charged.
    #[must_use]
    pub fn rate(&self, meter: Meter) -> Option<Rate> {
        std::iter::successors(Some(meter), |meter| meter.billed_as()).find_map(|meter| self.own(meter))
    }

    /// The cost of a usage at these rates. Each unit is billed once: a part at its rate, and the rest of the whole at the
    /// rate of the whole.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if the cost has too many digits.
    pub fn cost(&self, usage: &Usage) -> Result<Money, MoneyError> {
        usage.iter().try_fold(Money::ZERO, |sum, (meter, _)| match self.rate(meter) {
            Some(rate) => sum.checked_add(rate.charge(usage.without_parts(meter))?),
            None => Ok(sum),
        })
    }
}

impl TryFrom<BTreeMap<Meter, Rate>> for Rates {
    type Error = RatesError;

    fn try_from(rates: BTreeMap<Meter, Rate>) -> Result<Self, RatesError> {
        match PRICED.into_iter().find(|meter| !rates.contains_key(meter)) {
            Some(missing) => Err(RatesError::Missing(missing)),
            None => Ok(Self(rates)),
        }
    }
}

impl From<Rates> for BTreeMap<Meter, Rate> {
    fn from(rates: Rates) -> Self {
        rates.0
    }
}

impl JsonSchema for Rates {
    fn schema_name() -> Cow<'static, str> {
        "Rates".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Meter::schema_of_map::<Rate>(generator, &PRICED)
    }
}

/// Rates that replace the standard rates for the whole call if its prompt is larger than a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// The tier applies if the prompt has more tokens than this, cached tokens included.
    pub above_prompt_tokens: u64,
    /// The rates of the tier.
    pub rates: Rates,
}

/// The price of one model of one provider from a date on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// The provider of the model, such as `openai`.
    pub provider: Name,
    /// The model, under the name that the provider uses.
    pub model: Name,
    /// When the price takes effect.
    pub effective_from: DateTime<Utc>,
    /// The currency of the rates.
    #[serde(default)]
    pub currency: Currency,
    /// The standard rates, which apply if no tier does.
    pub rates: Rates,
    /// Tiers for large prompts, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

impl Price {
    /// The name and rates of the tier that applies to a usage.
    fn rates_for(&self, usage: &Usage) -> (String, &Rates) {
        let prompt = usage.prompt();
        self.tiers
            .iter()
            .filter(|tier| prompt > tier.above_prompt_tokens)
            .max_by_key(|tier| tier.above_prompt_tokens)
            .map_or_else(
                || ("standard".to_owned(), &self.rates),
                |tier| (format!("above_{}", tier.above_prompt_tokens), &tier.rates),
            )
    }
}

/// A price, with the version of the price book that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// The price of the model.
    pub price: Price,
    /// The version of the price book that set the price.
    pub book_version: u64,
}

/// The charge for a call, with everything that a receipt needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charge {
    /// The charged amount in US dollars.
    pub amount: Money,
    /// The tier of the price that applied: `standard`, or `above_N` for prompts of more than N tokens.
    pub tier: String,
    /// The price that was applied, with the version of the price book that set it.
    #[serde(flatten)]
    pub quote: Quote,
}

impl Quote {
    /// The charge for a usage at this price.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if the charge has too many digits.
    pub fn charge(&self, usage: &Usage) -> Result<Charge, MoneyError> {
        let (tier, rates) = self.price.rates_for(usage);
        Ok(Charge { amount: rates.cost(usage)?, tier, quote: self.clone() })
    }
}

/// A rate from a decimal number of US dollars per million units, for readers of price tables.
///
/// # Errors
/// [`RateError::Negative`] if the number is below zero.
pub fn rate(dollars_per_million: Decimal) -> Result<Rate, RateError> {
    Rate::try_from(Money::from_decimal(dollars_per_million))
}
