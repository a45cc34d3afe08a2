//! Prices: rates by kind of token, tiers by prompt size, and the charge for a usage.

use crate::money::{Currency, Money, MoneyError};
use crate::text::Name;
use crate::usage::Usage;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// US dollars per million tokens; never negative, and a decimal string in JSON.
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
    /// The rate in US dollars per million tokens.
    #[must_use]
    pub fn as_money(self) -> Money {
        self.0
    }

    fn charge(self, tokens: u64) -> Result<Money, MoneyError> {
        Money::per_million(self.0.as_decimal(), tokens)
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

/// Rates by kind of token. A kind without a rate of its own is billed at the rate of the kind that includes it: cached
/// tokens as input, reasoning tokens as output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// The rate of prompt tokens that are neither read from nor written to the cache.
    pub input: Rate,
    /// The rate of generated tokens.
    pub output: Rate,
    /// The rate of prompt tokens read from the cache; the input rate if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// The rate of prompt tokens written to the cache; the input rate if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    /// The rate of reasoning tokens; the output rate if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
}

impl Rates {
    /// The cost of a usage at these rates.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] if the cost has too many digits.
    pub fn cost(&self, usage: &Usage) -> Result<Money, MoneyError> {
        let reasoning = usage.reasoning.get();
        let parts = [
            (self.input, usage.input.get()),
            (self.output, usage.output.get().saturating_sub(reasoning)),
            (self.reasoning.unwrap_or(self.output), reasoning),
            (self.cache_read.unwrap_or(self.input), usage.cache_read.get()),
            (self.cache_write.unwrap_or(self.input), usage.cache_write.get()),
        ];
        parts.iter().try_fold(Money::ZERO, |sum, (rate, tokens)| sum.checked_add(rate.charge(*tokens)?))
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

/// A rate from a decimal number of US dollars per million tokens, for readers of price tables.
///
/// # Errors
/// [`RateError::Negative`] if the number is below zero.
pub fn rate(dollars_per_million: Decimal) -> Result<Rate, RateError> {
    Rate::try_from(Money::from_decimal(dollars_per_million))
}
