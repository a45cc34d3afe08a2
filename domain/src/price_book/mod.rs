//! The price book: the prices of models by effective date.
//!
//! There is one price book per tenant. A price is in effect from its effective date until it ends or the next one of
//! the same provider and model takes effect. The book keeps every price that was ever set, so that it answers as of any
//! of its versions: a price that is set later, even for the same date, never changes what an earlier version answers,
//! and no existing charge. The version of the book is the version of its stream.

mod catalogue;
mod charge;
mod conditions;
mod discount;
mod events;
mod matching;
mod price;
mod shared;
mod source;
mod unpriced;

pub use catalogue::Quote;
pub use charge::{Charge, ChargeLine, PricingContext};
pub use conditions::{
    ConditionError, Conditions, ContextSize, MAX_UTC_OFFSET_MINUTES, Minute, MinuteError, TimeWindow,
};
pub use discount::{AppliedDiscount, Discount, Percent, PercentError};
pub use events::{DiscountSet, MAX_DISCOUNTS, PriceBookCommand, PriceBookError, PriceBookEvent, PricesSet};
pub use matching::{MatchKind, MatchedModel, ModelPattern, ModelPatternError, normalized_model};
pub use price::{MAX_COMPONENTS, MAX_NAMES, MILLION, Price, PriceComponent, PriceError, Rate, RateError, rate};
pub use source::PriceSource;
pub use unpriced::{ChargeError, Providers, Unpriced};

use crate::aggregate::Aggregate;
use crate::ids::derived_id;
use crate::price_book::catalogue::{Candidate, Catalogue, Lookup};
use crate::price_book::discount::Discounts;
use crate::price_book::matching::ModelForms;
use crate::provider::provider_name;
use crate::text::Name;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The most prices in one event.
const MAX_EVENT_PRICES: usize = 64;
/// The size of the prices of one event, in bytes of JSON, beyond which the next price is in another event. A price has less
/// than 200,000, so that an event stays below the limit of the log.
const MAX_EVENT_BYTES: usize = 500_000;
/// The state of a price book; cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceBook {
    version: u64,
    #[serde(with = "shared")]
    by_model: Arc<Catalogue>,
    #[serde(with = "shared", default)]
    discounts: Arc<Discounts>,
}

/// A price that applies to a call, and how it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchedQuote<'a> {
    /// The price, with the version of the book that set it.
    pub quote: &'a Quote,
    /// How the name in the call matched.
    pub by: MatchKind,
    /// The pattern that matched, if one did.
    pub pattern: Option<&'a ModelPattern>,
}

impl PriceBook {
    /// The stream id of the price book. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["price_book"])
    }

    /// The version of the book: the number of its events.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The price that was in effect for a model at a time, as version `as_of` of the book answers; none is the newest
    /// version.
    ///
    /// The name of the model matches exactly, else by another name of a price, else normalized, else by a pattern: the first
    /// of these in which a price that was in effect matches decides. Of several patterns it is the one that prescribes the
    /// most characters. A price that ended is not replaced by that of another name.
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
    ) -> Result<MatchedQuote<'_>, Unpriced> {
        let version = as_of.unwrap_or(self.version);
        let common = provider.map(|provider| provider_name(provider.as_str()));
        // A price under the name in the call precedes one under the common name of the provider.
        let names = [provider.map(Name::as_str), common.as_deref()];
        let names = if names[0] == names[1] { &names[..1] } else { &names[..] };
        let model = &ModelForms::of(model);
        for provider in names.iter().copied() {
            let lookup = Lookup { provider, model, at, version };
            for by in MatchKind::ALL {
                let candidates = self.by_model.candidates(by, lookup);
                if !candidates.is_empty() {
                    let Candidate { quote, by, pattern, .. } = choose(&candidates)?;
                    // The lifetime of the book, not that of the lookup.
                    return Ok(MatchedQuote { quote, by, pattern });
                }
                if self.by_model.has_ended(by, lookup) {
                    return Err(self.unpriced(lookup));
                }
            }
        }
        let provider = names.last().copied().flatten();
        Err(self.unpriced(Lookup { provider, model, at, version }))
    }

    /// Why no price was found.
    fn unpriced(&self, lookup: Lookup<'_>) -> Unpriced {
        let first_from = self.by_model.known(lookup).map(|quote| quote.price.effective_from).min();
        if let Some(first_from) = first_from {
            return Unpriced::NotInEffect { first_from };
        }
        let known = self.by_model.known(Lookup { provider: None, ..lookup });
        let sellers: BTreeSet<&Name> = known.map(|quote| &quote.price.provider).collect();
        if sellers.is_empty() {
            Unpriced::UnknownModel
        } else {
            Unpriced::OtherProviders(Providers(sellers.into_iter().cloned().collect()))
        }
    }

    /// The charge for a call, as version `as_of` of the book answers; none is the newest version.
    ///
    /// # Errors
    /// [`ChargeError::Unpriced`] if the call has no price; [`ChargeError::Money`] if the charge has too many digits.
    pub fn charge(&self, call: &PricingContext<'_>, as_of: Option<u64>) -> Result<Charge, ChargeError> {
        let MatchedQuote { quote, by, pattern } = self.quote(call.provider, call.model, call.started_at, as_of)?;
        let (price, version) = (&quote.price, as_of.unwrap_or(self.version));
        let discount = (!price.contract)
            .then(|| self.discounts.applying(&price.provider, &price.model, call.started_at, version))
            .flatten();
        let bill = price.bill(call, discount.as_ref().map(|discount| discount.percent))?;
        if bill.lines.is_empty() && !bill.unbilled.is_empty() {
            return Err(Unpriced::NothingBilled(bill.unbilled).into());
        }
        let matched = || MatchedModel { model: price.model.clone(), by, pattern: pattern.cloned() };
        Ok(Charge {
            amount: bill.amount,
            book_version: version,
            effective_from: price.effective_from,
            seller: (call.provider != Some(&price.provider)).then(|| price.provider.clone()),
            matched: (by != MatchKind::Exact).then(matched),
            contract: price.contract,
            discount,
            lines: bill.lines,
            unbilled: bill.unbilled,
        })
    }

    /// Every price that version `as_of` of the book answers with, ordered by model, provider and effective date, list
    /// prices before those of contracts; none is the newest version.
    pub fn quotes(&self, as_of: Option<u64>) -> impl Iterator<Item = &Quote> {
        let version = as_of.unwrap_or(self.version);
        self.by_model.all().flat_map(move |offers| offers.as_of(version))
    }

    /// Every discount that version `as_of` of the book answers with, ordered by name; none is the newest version.
    pub fn discounts(&self, as_of: Option<u64>) -> impl Iterator<Item = &Discount> {
        self.discounts.as_of(as_of.unwrap_or(self.version))
    }

    /// The price that a charge applied, which was that of a provider and a model; none if this book never had it.
    pub(crate) fn applied(&self, provider: &Name, model: &Name, charge: &Charge) -> Option<&Quote> {
        self.by_model.offers(provider, model)?.effective_from(
            charge.contract,
            charge.effective_from,
            charge.book_version,
        )
    }

    /// The price that replaces another one later: the next one of the same provider, model and kind.
    #[must_use]
    pub fn replaced_by(&self, price: &Price) -> Option<&Quote> {
        self.by_model.offers(&price.provider, &price.model)?.next_after(price, self.version)
    }

    /// The price that is set for the same provider, model, kind and effective date.
    fn existing_price(&self, price: &Price) -> Option<&Price> {
        let offers = self.by_model.offers(&price.provider, &price.model)?;
        offers.existing(price).map(|quote| &quote.price)
    }

    fn set(
        &self,
        prices: Vec<Price>,
        source: &PriceSource,
        at: DateTime<Utc>,
    ) -> Result<Vec<PriceBookEvent>, PriceBookError> {
        if prices.is_empty() {
            return Err(PriceBookError::Empty);
        }
        let mut given: BTreeMap<(Name, Name, bool, DateTime<Utc>), Price> = BTreeMap::new();
        for price in prices {
            let (provider, model, effective_from) = (price.provider.clone(), price.model.clone(), price.effective_from);
            if let Err(source) = price.check() {
                return Err(PriceBookError::InvalidPrice { provider, model, source });
            }
            let price = price.sorted();
            let key = (model.clone(), provider.clone(), price.contract, effective_from);
            if given.get(&key).is_some_and(|other| *other != price) {
                return Err(PriceBookError::ConflictingPrices { provider, model, effective_from });
            }
            given.insert(key, price);
        }
        let changed = given.into_values().filter(|price| self.existing_price(price) != Some(price));
        let event = |prices| PriceBookEvent::Set(PricesSet { prices, source: source.clone(), at });
        Ok(in_parts(changed).into_iter().map(event).collect())
    }

    fn set_discounts(
        &self,
        discounts: Vec<Discount>,
        at: DateTime<Utc>,
    ) -> Result<Vec<PriceBookEvent>, PriceBookError> {
        let found = discounts.len();
        if !(1..=MAX_DISCOUNTS).contains(&found) {
            return Err(PriceBookError::NumberOfDiscounts { found });
        }
        let mut names = BTreeSet::new();
        if let Some(invalid) = discounts.iter().find(|discount| !discount.is_valid() || !names.insert(&discount.name)) {
            return Err(PriceBookError::InvalidDiscount { name: invalid.name.clone() });
        }
        let existing: BTreeMap<&Name, &Discount> =
            self.discounts(None).map(|discount| (&discount.name, discount)).collect();
        let changed: Vec<_> = discounts
            .into_iter()
            .filter(|discount| existing.get(&discount.name).is_none_or(|other| *other != discount))
            .collect();
        Ok(changed.into_iter().map(|discount| PriceBookEvent::DiscountSet(DiscountSet { discount, at })).collect())
    }
}

/// Divides prices into the parts that are one event each.
fn in_parts(prices: impl Iterator<Item = Price>) -> Vec<Vec<Price>> {
    let (mut parts, mut part, mut part_bytes) = (Vec::new(), Vec::new(), 0_usize);
    for price in prices {
        let bytes = serde_json::to_string(&price).map_or(MAX_EVENT_BYTES, |text| text.len());
        if part.len() >= MAX_EVENT_PRICES || part_bytes + bytes > MAX_EVENT_BYTES && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            part_bytes = 0;
        }
        part_bytes += bytes;
        part.push(price);
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

/// The candidate that applies, of those that match in the same way.
fn choose<'a>(candidates: &[Candidate<'a>]) -> Result<Candidate<'a>, Unpriced> {
    let mut by_provider: BTreeMap<&Name, Vec<Candidate<'a>>> = BTreeMap::new();
    for candidate in candidates {
        let best = by_provider.entry(&candidate.quote.price.provider).or_default();
        match best.first().map(|first| candidate.rank().cmp(&first.rank())) {
            Some(Ordering::Less) => {}
            Some(Ordering::Greater) => *best = vec![*candidate],
            Some(Ordering::Equal) | None => best.push(*candidate),
        }
    }
    let names = || Providers(by_provider.keys().map(|name| (*name).clone()).collect());
    let makers: Vec<_> = by_provider.values().filter(|best| best.iter().any(|candidate| candidate.is_maker)).collect();
    let chosen = match (by_provider.len(), makers.as_slice()) {
        (1, _) => by_provider.values().next(),
        (_, [only]) => Some(*only),
        _ => None,
    };
    match chosen.map(Vec::as_slice) {
        Some([candidate]) => Ok(*candidate),
        Some(several) => {
            let models = several.iter().map(|candidate| candidate.quote.price.model.clone()).collect();
            Err(Unpriced::AmbiguousModel(Providers(models)))
        }
        None => Err(Unpriced::Ambiguous(names())),
    }
}

impl Aggregate for PriceBook {
    const CATEGORY: &'static str = "price_book";
    type Command = PriceBookCommand;
    type Event = PriceBookEvent;
    type Error = PriceBookError;

    fn decide(&self, command: PriceBookCommand) -> Result<Vec<PriceBookEvent>, PriceBookError> {
        match command {
            PriceBookCommand::Set { prices, source, at } => self.set(prices, &source, at),
            PriceBookCommand::SetDiscounts { discounts, at } => self.set_discounts(discounts, at),
        }
    }

    fn evolve(mut self, event: &PriceBookEvent) -> Self {
        self.version += 1;
        match event {
            PriceBookEvent::Set(PricesSet { prices, source, .. }) => {
                let (catalogue, source) = (Arc::make_mut(&mut self.by_model), Arc::new(source.clone()));
                for price in prices {
                    let (price, source) = (price.clone(), source.clone());
                    catalogue.push(Quote { price, book_version: self.version, source });
                }
            }
            PriceBookEvent::DiscountSet(DiscountSet { discount, .. }) => {
                Arc::make_mut(&mut self.discounts).set(discount, self.version);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
