//! The price book: the prices of models by effective date.
//!
//! There is one price book per tenant. A price is in force from its effective date until the next one of the same
//! provider and model. Setting a price never changes an existing charge. The version of the book is the version of its
//! stream.

mod price;

pub use price::{Charge, Price, Quote, Rate, RateError, Rates, RatesError, Tier, rate};

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::derived_id;
use crate::text::Name;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;
use uuid::Uuid;

/// A command to a price book.
#[derive(Debug, Clone, PartialEq)]
pub enum PriceBookCommand {
    /// Sets prices. Those that are already set change nothing.
    Set {
        /// The prices to set.
        prices: Vec<Price>,
        /// The source of the prices.
        source: Name,
        /// When the prices were set, which is not when they take effect.
        at: DateTime<Utc>,
    },
}

/// The payload of `price.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceSet {
    /// The price that was set.
    #[serde(flatten)]
    pub price: Price,
    /// The source of the price.
    pub source: Name,
    /// When the price was set, which is not when it takes effect.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a price book.
    pub enum PriceBookEvent {
        /// A price was set.
        "price.set" v 1 => Set(PriceSet),
    }
}

/// Why a command to a price book is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceBookError {
    /// The command has no prices.
    #[error("no prices were given")]
    Empty,
    /// The command has two different prices for one provider, model and date.
    #[error("two prices for {provider}/{model} take effect on {effective_from}")]
    ConflictingPrices {
        /// The provider of the model.
        provider: Name,
        /// The model that has two prices.
        model: Name,
        /// The date on which both take effect.
        effective_from: DateTime<Utc>,
    },
}

/// The prices of one provider and model by effective date.
type QuotesByDate = BTreeMap<DateTime<Utc>, Quote>;

/// The state of a price book.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceBook {
    version: u64,
    // By model first, as a call may not name its provider.
    by_model: BTreeMap<String, BTreeMap<String, QuotesByDate>>,
}

impl PriceBook {
    /// The stream id of the price book. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["price_book"])
    }

    /// The price of a model at a time; none if no price is known.
    ///
    /// Without a provider, the model has a price only if exactly one provider lists it. With a provider that does not list
    /// the model, there is no price: that of another provider would be a guess.
    #[must_use]
    pub fn quote(&self, provider: Option<&str>, model: &str, at: DateTime<Utc>) -> Option<&Quote> {
        let providers = self.by_model.get(model)?;
        let by_date = match provider {
            Some(provider) => providers.get(provider)?,
            None if providers.len() == 1 => providers.values().next()?,
            None => return None,
        };
        by_date.range(..=at).next_back().map(|(_, quote)| quote)
    }

    /// Every price, ordered by model, provider and effective date.
    pub fn quotes(&self) -> impl Iterator<Item = &Quote> {
        self.by_model.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }

    /// The price that is set for the same provider, model and effective date.
    fn existing_price(&self, price: &Price) -> Option<&Price> {
        let by_date = self.by_model.get(price.model.as_str())?.get(price.provider.as_str())?;
        by_date.get(&price.effective_from).map(|quote| &quote.price)
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
        let mut given: BTreeMap<(Name, Name, DateTime<Utc>), Price> = BTreeMap::new();
        for price in prices {
            let key = (price.model.clone(), price.provider.clone(), price.effective_from);
            if given.get(&key).is_some_and(|other| *other != price) {
                return Err(PriceBookError::ConflictingPrices {
                    provider: price.provider,
                    model: price.model,
                    effective_from: price.effective_from,
                });
            }
            given.insert(key, price);
        }
        Ok(given
            .into_values()
            .filter(|price| self.existing_price(price) != Some(price))
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

#[cfg(test)]
mod tests;
