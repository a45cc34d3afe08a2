//! The price book: the prices of models by effective date.
//!
//! There is one price book per tenant. A price is in effect from its effective date until it ends or the next one of
//! the same provider and model takes effect. The book keeps every price that was ever set, so that it answers as of any
//! of its versions: a price that is set later, even for the same date, never changes what an earlier version answers,
//! and no existing charge. The version of the book is the version of its stream.

mod charge;
mod conditions;
mod price;
mod shared;
mod unpriced;

pub use charge::{Charge, ChargeLine, PricingContext};
pub use conditions::{
    ConditionError, Conditions, ContextSize, MAX_UTC_OFFSET_MINUTES, Minute, MinuteError, TimeWindow,
};
pub use price::{MAX_COMPONENTS, MILLION, Price, PriceComponent, PriceError, Rate, RateError, rate};
pub use unpriced::{ChargeError, Providers, Unpriced};

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::derived_id;
use crate::text::Name;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
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
    /// A price is not valid.
    #[error("the price of {provider}/{model} is not valid")]
    InvalidPrice {
        /// The provider of the model.
        provider: Name,
        /// The model.
        model: Name,
        /// Why the price is not valid.
        #[source]
        source: PriceError,
    },
}

/// A price, with the version of the price book that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The price of the model.
    pub price: Price,
    /// The version of the price book that set the price.
    pub book_version: u64,
}

/// The prices of one model of one provider: by effective date, and for each date in the order in which they were set.
type Offers = BTreeMap<DateTime<Utc>, Vec<Quote>>;

/// The state of a price book; cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceBook {
    version: u64,
    // By model first, as a call may not name its provider.
    #[serde(with = "shared")]
    by_model: Arc<BTreeMap<Name, BTreeMap<Name, Offers>>>,
}

impl PriceBook {
    /// The stream id of the price book. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["price_book"])
    }

    /// The version of the book: the number of prices that were set.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The price that was in effect for a model at a time, as version `as_of` of the book answers; none is the newest
    /// version.
    ///
    /// With a provider, it is the price of this provider: that of another one would be a guess. Without a provider, it
    /// is that of the only provider whose price was in effect then; if there are several, it is that of the maker of
    /// the model. So a provider that begins to sell a model changes nothing for the time before.
    ///
    /// # Errors
    /// [`Unpriced`] if there is no such price.
    pub fn quote(
        &self,
        provider: Option<&Name>,
        model: &Name,
        at: DateTime<Utc>,
        as_of: Option<u64>,
    ) -> Result<&Quote, Unpriced> {
        let as_of = as_of.unwrap_or(self.version);
        let is_known = |(_, offers): &(&Name, &Offers)| set_until(offers, as_of).next().is_some();
        let sellers: Vec<(&Name, &Offers)> = self.by_model.get(model).into_iter().flatten().filter(is_known).collect();
        if sellers.is_empty() {
            return Err(Unpriced::UnknownModel);
        }
        let asked: Vec<&Offers> = sellers
            .iter()
            .filter(|(name, _)| provider.is_none_or(|asked| asked == *name))
            .map(|(_, offers)| *offers)
            .collect();
        let Some(first_from) =
            asked.iter().flat_map(|offers| set_until(offers, as_of)).map(|quote| quote.price.effective_from).min()
        else {
            return Err(Unpriced::OtherProviders(Providers(sellers.iter().map(|(name, _)| (*name).clone()).collect())));
        };
        let current: Vec<(&Offers, &Quote)> =
            asked.iter().filter_map(|offers| Some((*offers, in_effect(offers, at, as_of)?))).collect();
        let of_makers =
            current.iter().filter(|(offers, _)| set_until(offers, as_of).any(|quote| quote.price.list_price));
        match (current.as_slice(), of_makers.collect::<Vec<_>>().as_slice()) {
            ([], _) => Err(Unpriced::NotInEffect { first_from }),
            ([(_, quote)], _) | (_, [(_, quote)]) => Ok(quote),
            _ => {
                let names = current.iter().map(|(_, quote)| quote.price.provider.clone()).collect();
                Err(Unpriced::Ambiguous(Providers(names)))
            }
        }
    }

    /// The charge for a call, as version `as_of` of the book answers; none is the newest version.
    ///
    /// # Errors
    /// [`ChargeError::Unpriced`] if the call has no price; [`ChargeError::Money`] if the charge has too many digits.
    pub fn charge(&self, call: &PricingContext<'_>, as_of: Option<u64>) -> Result<Charge, ChargeError> {
        let price = &self.quote(call.provider, call.model, call.started_at, as_of)?.price;
        let bill = price.bill(call)?;
        if bill.lines.is_empty() && !bill.unbilled.is_empty() {
            return Err(Unpriced::NothingBilled(bill.unbilled).into());
        }
        Ok(Charge {
            amount: bill.amount,
            book_version: as_of.unwrap_or(self.version),
            effective_from: price.effective_from,
            seller: call.provider.is_none().then(|| price.provider.clone()),
            lines: bill.lines,
            unbilled: bill.unbilled,
        })
    }

    /// Every price that version `as_of` of the book answers with, ordered by model, provider and effective date; none
    /// is the newest version.
    pub fn quotes(&self, as_of: Option<u64>) -> impl Iterator<Item = &Quote> {
        let as_of = as_of.unwrap_or(self.version);
        let by_date = self.by_model.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values);
        by_date.filter_map(move |quotes| last_until(quotes, as_of))
    }

    /// The price that is set for the same provider, model and effective date.
    fn existing_price(&self, price: &Price) -> Option<&Price> {
        let offers = self.by_model.get(&price.model)?.get(&price.provider)?;
        offers.get(&price.effective_from)?.last().map(|quote| &quote.price)
    }
}

/// All prices that were set up to a version.
fn set_until(offers: &Offers, version: u64) -> impl Iterator<Item = &Quote> {
    offers.values().flatten().filter(move |quote| quote.book_version <= version)
}

/// The last of the prices of one date that was set up to a version.
fn last_until(quotes: &[Quote], version: u64) -> Option<&Quote> {
    quotes.iter().rev().find(|quote| quote.book_version <= version)
}

/// The price that was in effect at a time.
fn in_effect(offers: &Offers, at: DateTime<Utc>, version: u64) -> Option<&Quote> {
    let latest = offers.range(..=at).rev().find_map(|(_, quotes)| last_until(quotes, version))?;
    latest.price.effective_to.is_none_or(|end| at < end).then_some(latest)
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
            let (provider, model, effective_from) = (price.provider.clone(), price.model.clone(), price.effective_from);
            if let Err(source) = price.check() {
                return Err(PriceBookError::InvalidPrice { provider, model, source });
            }
            let price = price.sorted();
            let key = (model.clone(), provider.clone(), effective_from);
            if given.get(&key).is_some_and(|other| *other != price) {
                return Err(PriceBookError::ConflictingPrices { provider, model, effective_from });
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
        Arc::make_mut(&mut self.by_model)
            .entry(price.model.clone())
            .or_default()
            .entry(price.provider.clone())
            .or_default()
            .entry(price.effective_from)
            .or_default()
            .push(Quote { price: price.clone(), book_version: self.version });
        self
    }
}

#[cfg(test)]
mod tests;
