//! The price book: what models cost, since when.
//!
//! One stream a tenant. A price holds from its effective date until a later one for the same provider and model;
//! setting a price never touches what was charged before. The version of the book is the version of its stream.

use crate::codec::events;
use crate::{Aggregate, Currency, Money, MoneyError, Name, Usage, derived_id};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;
use uuid::Uuid;

/// Dollars a million tokens, as providers quote them; a decimal string on every wire, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Money", into = "Money")]
#[schemars(extend("pattern" = r"^[0-9]{1,15}(\.[0-9]{1,12})?$"))]
pub struct Rate(Money);

/// A rate that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateError {
    /// Below zero.
    #[error("{0} is negative; a rate is 0 or more")]
    Negative(Money),
}

impl Rate {
    /// The rate in dollars a million tokens.
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

/// Rates by kind of token. A kind without a rate of its own is billed as what it is a part of: cached tokens as
/// input, reasoning as output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Prompt tokens that came from no cache.
    pub input: Rate,
    /// Generated tokens.
    pub output: Rate,
    /// Prompt tokens read from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Prompt tokens written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    /// Reasoning tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
}

impl Rates {
    /// What a usage costs at these rates.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
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

/// Other rates for the whole call, from a size of prompt on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// Holds when the prompt, cached or not, has more tokens than this.
    pub above_prompt_tokens: u64,
    /// The rates that hold then.
    pub rates: Rates,
}

/// A price: what one model of one provider costs from a date on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Who sells it, such as `openai`.
    pub provider: Name,
    /// The model, as its provider names it.
    pub model: Name,
    /// Since when.
    pub effective_from: DateTime<Utc>,
    /// The currency of the rates.
    #[serde(default)]
    pub currency: Currency,
    /// The rates that hold unless a tier does.
    pub rates: Rates,
    /// Rates for large prompts, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

impl Price {
    /// The rates for a usage, and the name of the tier they belong to.
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

/// A price as it stood in the book when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// The price.
    pub price: Price,
    /// The version of the book that set it.
    pub book_version: u64,
}

/// What a call was charged, with all that a receipt needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charge {
    /// The cost.
    pub amount: Money,
    /// Which of the price's tiers held.
    pub tier: String,
    /// The price that was applied.
    #[serde(flatten)]
    pub quote: Quote,
}

impl Quote {
    /// Charges a usage.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn charge(&self, usage: &Usage) -> Result<Charge, MoneyError> {
        let (tier, rates) = self.price.rates_for(usage);
        Ok(Charge { amount: rates.cost(usage)?, tier, quote: self.clone() })
    }
}

/// What may be asked of a price book.
#[derive(Debug, Clone, PartialEq)]
pub enum PriceBookCommand {
    /// Set prices; those that stand as they are already change nothing.
    Set {
        /// The prices.
        prices: Vec<Price>,
        /// Where they come from.
        source: Name,
        /// When they were set; not when they take effect.
        at: DateTime<Utc>,
    },
}

/// `price.set`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceSet {
    /// The price.
    #[serde(flatten)]
    pub price: Price,
    /// Where it comes from.
    pub source: Name,
    /// When it was set.
    pub at: DateTime<Utc>,
}

events! {
    /// What may have happened to a price book.
    pub enum PriceBookEvent {
        /// A price was set.
        "price.set" v 1 => Set(PriceSet),
    }
}

/// Why a command to a price book is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceBookError {
    /// Nothing to set.
    #[error("no prices were given")]
    Empty,
    /// Two different prices for one model and date in one command.
    #[error("two prices for {provider}/{model} take effect on {effective_from}")]
    Contradiction {
        /// The provider.
        provider: Name,
        /// The model.
        model: Name,
        /// The date.
        effective_from: DateTime<Utc>,
    },
}

/// The prices of one provider and model, by effective date, with the version of the book that set each.
type Dated = BTreeMap<DateTime<Utc>, Quote>;

/// A price book's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceBook {
    version: u64,
    // Model first: a call may not say who sold it.
    by_model: BTreeMap<String, BTreeMap<String, Dated>>,
}

impl PriceBook {
    /// The stream of the price book, the same for every tenant (streams are apart by tenant).
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["price_book"])
    }

    /// The price of a model at a time.
    ///
    /// Without a provider the model is priced if exactly one provider lists it. With a provider that does not sell it
    /// there is no price: what somebody else charges is a guess.
    #[must_use]
    pub fn quote(&self, provider: Option<&str>, model: &str, at: DateTime<Utc>) -> Option<&Quote> {
        let sellers = self.by_model.get(model)?;
        let dated = match provider {
            Some(provider) => sellers.get(provider)?,
            None if sellers.len() == 1 => sellers.values().next()?,
            None => return None,
        };
        dated.range(..=at).next_back().map(|(_, quote)| quote)
    }

    /// Every price, by model, provider and date.
    pub fn quotes(&self) -> impl Iterator<Item = &Quote> {
        self.by_model.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }

    fn standing(&self, price: &Price) -> Option<&Price> {
        let dated = self.by_model.get(price.model.as_str())?.get(price.provider.as_str())?;
        dated.get(&price.effective_from).map(|quote| &quote.price)
    }
}

impl Aggregate for PriceBook {
    const CATEGORY: &'static str = "price_book";
    type Command = PriceBookCommand;
    type Event = PriceBookEvent;
    type Error = PriceBookError;

    fn decide(&self, command: PriceBookCommand) -> Result<Vec<PriceBookEvent>, PriceBookError> {
        let PriceBookCommand::Set { prices, source, at } = command;
        if prices.is_empty() {
            return Err(PriceBookError::Empty);
        }
        let mut fresh: BTreeMap<(Name, Name, DateTime<Utc>), Price> = BTreeMap::new();
        for price in prices {
            let key = (price.model.clone(), price.provider.clone(), price.effective_from);
            if fresh.get(&key).is_some_and(|other| *other != price) {
                return Err(PriceBookError::Contradiction {
                    provider: price.provider,
                    model: price.model,
                    effective_from: price.effective_from,
                });
            }
            if self.standing(&price) != Some(&price) {
                fresh.insert(key, price);
            }
        }
        Ok(fresh
            .into_values()
            .map(|price| PriceBookEvent::Set(PriceSet { price, source: source.clone(), at }))
            .collect())
    }

    fn evolve(mut self, event: &PriceBookEvent) -> Self {
        let PriceBookEvent::Set(PriceSet { price, .. }) = event;
        self.version += 1;
        self.by_model
            .entry(price.model.as_str().to_owned())
            .or_default()
            .entry(price.provider.as_str().to_owned())
            .or_default()
            .insert(price.effective_from, Quote { price: price.clone(), book_version: self.version });
        self
    }
}

/// A rate from a decimal, for readers of price tables.
///
/// # Errors
/// [`RateError::Negative`].
pub fn rate(dollars_per_million: Decimal) -> Result<Rate, RateError> {
    Rate::try_from(Money::from_decimal(dollars_per_million))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokens;
    use crate::testing::{at, given, name};
    use proptest::prelude::*;

    fn dollars(text: &str) -> Rate {
        Rate::try_from(Money::parse(text).unwrap()).unwrap()
    }
    fn rates(input: &str, output: &str) -> Rates {
        Rates { input: dollars(input), output: dollars(output), cache_read: None, cache_write: None, reasoning: None }
    }
    fn price(provider: &str, from: i64, input: &str) -> Price {
        Price {
            provider: name(provider),
            model: name("m"),
            effective_from: at(from),
            currency: Currency::Usd,
            rates: rates(input, "4"),
            tiers: vec![],
        }
    }
    fn set(price: Price) -> PriceBookEvent {
        PriceBookEvent::Set(PriceSet { price, source: name("test"), at: at(0) })
    }
    fn command(prices: Vec<Price>) -> PriceBookCommand {
        PriceBookCommand::Set { prices, source: name("test"), at: at(0) }
    }
    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Tokens::new(input).unwrap(), output: Tokens::new(output).unwrap(), ..Usage::default() }
    }
    fn book(prices: &[Price]) -> PriceBook {
        prices.iter().fold(PriceBook::default(), |book, price| book.evolve(&set(price.clone())))
    }

    #[test]
    fn only_what_differs_is_set() {
        given::<PriceBook>([set(price("openai", 0, "3"))])
            .when(command(vec![price("openai", 0, "3"), price("openai", 9, "2")]))
            .then([set(price("openai", 9, "2"))]);
    }

    #[test]
    fn one_command_cannot_contradict_itself() {
        given::<PriceBook>([]).when(command(vec![price("o", 0, "3"), price("o", 0, "2")])).then_refused(
            PriceBookError::Contradiction { provider: name("o"), model: name("m"), effective_from: at(0) },
        );
        given::<PriceBook>([]).when(command(vec![])).then_refused(PriceBookError::Empty);
    }

    #[test]
    fn a_price_holds_from_its_date_until_the_next() {
        let book = book(&[price("openai", 0, "3"), price("openai", 10, "2")]);
        let input_at = |second| book.quote(Some("openai"), "m", at(second)).map(|q| q.price.rates.input);
        assert_eq!(input_at(-1), None);
        assert_eq!(input_at(0), Some(dollars("3")));
        assert_eq!(input_at(9), Some(dollars("3")));
        assert_eq!(input_at(10), Some(dollars("2")));
    }

    #[test]
    fn no_price_is_guessed_between_sellers() {
        assert!(book(&[price("openai", 0, "3")]).quote(Some("gemini"), "m", at(1)).is_none());
        assert!(book(&[price("openai", 0, "3")]).quote(None, "m", at(1)).is_some());
        let two = book(&[price("openai", 0, "3"), price("azure", 0, "5")]);
        assert!(two.quote(None, "m", at(1)).is_none());
        assert_eq!(two.quote(Some("azure"), "m", at(1)).map(|q| q.book_version), Some(2));
        assert!(two.quote(Some("azure"), "unknown", at(1)).is_none());
    }

    #[test]
    fn a_tier_holds_for_the_whole_call_above_its_size() {
        let tier = |above_prompt_tokens, input| Tier { above_prompt_tokens, rates: rates(input, "4") };
        let price = Price { tiers: vec![tier(200, "6"), tier(100, "5")], ..price("google", 0, "3") };
        let quote = Quote { price, book_version: 1 };
        let charged = |tokens| quote.charge(&usage(tokens, 0)).map(|c| (c.tier, c.amount.to_string())).unwrap();
        assert_eq!(charged(100), ("standard".to_owned(), "0.0003".to_owned()));
        assert_eq!(charged(101), ("above_100".to_owned(), "0.000505".to_owned()));
        assert_eq!(charged(201), ("above_200".to_owned(), "0.001206".to_owned()));
    }

    #[test]
    fn each_kind_of_token_has_its_rate_or_that_of_what_it_is_a_part_of() {
        let tokens = |count| Tokens::new(count).unwrap();
        let usage = Usage {
            input: tokens(1_000_000),
            output: tokens(3_000_000),
            cache_read: tokens(1_000_000),
            cache_write: tokens(1_000_000),
            reasoning: tokens(1_000_000),
        };
        assert_eq!(rates("3", "15").cost(&usage).unwrap().to_string(), "54");
        let all = Rates {
            cache_read: Some(dollars("0.3")),
            cache_write: Some(dollars("3.75")),
            reasoning: Some(dollars("20")),
            ..rates("3", "15")
        };
        assert_eq!(all.cost(&usage).unwrap().to_string(), "57.05");
    }

    #[test]
    fn rates_are_not_negative() {
        let minus = Money::parse("-1").unwrap();
        assert_eq!(Rate::try_from(minus), Err(RateError::Negative(minus)));
    }

    proptest! {
        /// The same list set twice changes nothing the second time.
        #[test]
        fn setting_is_idempotent(froms in proptest::collection::btree_set(0_i64..50, 1..20)) {
            let prices: Vec<_> = froms.into_iter().map(|from| price("openai", from, "3")).collect();
            let events = PriceBook::default().decide(command(prices.clone())).unwrap();
            let book = events.iter().fold(PriceBook::default(), |book, event| book.evolve(event));
            prop_assert_eq!(book.decide(command(prices)), Ok(vec![]));
        }
    }
}
