//! The prices of a book, and how a name finds them.

use crate::price_book::matching::{MatchKind, ModelForms, ModelPattern, normalized_model};
use crate::price_book::price::Price;
use crate::price_book::source::PriceSource;
use crate::text::Name;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A price, with the version of the price book that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The price of the model.
    pub price: Price,
    /// The version of the price book that set the price.
    pub book_version: u64,
    /// The table that the price is from.
    #[serde(with = "super::shared")]
    pub source: Arc<PriceSource>,
}

/// Prices by effective date, and for each date in the order in which they were set.
type ByDate = BTreeMap<DateTime<Utc>, Vec<Quote>>;

/// The prices of one model of one provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Offers {
    /// List prices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    list: ByDate,
    /// Prices of the tenant's contracts, which precede list prices.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    contract: ByDate,
}

impl Offers {
    fn kind(&self, contract: bool) -> &ByDate {
        if contract { &self.contract } else { &self.list }
    }

    fn push(&mut self, quote: Quote) {
        let by_date = if quote.price.contract { &mut self.contract } else { &mut self.list };
        by_date.entry(quote.price.effective_from).or_default().push(quote);
    }

    /// The price that is set for the kind and date of another one.
    pub(crate) fn existing(&self, price: &Price) -> Option<&Quote> {
        self.kind(price.contract).get(&price.effective_from)?.last()
    }

    /// The price of a kind and date that a version of the book has.
    pub(crate) fn effective_from(&self, contract: bool, from: DateTime<Utc>, version: u64) -> Option<&Quote> {
        last_until(self.kind(contract).get(&from)?, version)
    }

    /// All prices that were set up to a version.
    pub(crate) fn set_until(&self, version: u64) -> impl Iterator<Item = &Quote> {
        let all = self.list.values().chain(self.contract.values()).flatten();
        all.filter(move |quote| quote.book_version <= version)
    }

    /// For each date, the price that a version of the book has.
    pub(crate) fn as_of(&self, version: u64) -> impl Iterator<Item = &Quote> {
        let all = self.list.values().chain(self.contract.values());
        all.filter_map(move |quotes| last_until(quotes, version))
    }

    /// The price that was in effect at a time: that of a contract, else the list price.
    pub(crate) fn in_effect(&self, at: DateTime<Utc>, version: u64) -> Option<&Quote> {
        let current = |by_date| latest(by_date, at, version).filter(|quote| !has_ended(quote, at));
        current(&self.contract).or_else(|| current(&self.list))
    }

    /// Whether the last price before a time had ended then, so that the model had no price any more.
    pub(crate) fn has_ended(&self, at: DateTime<Utc>, version: u64) -> bool {
        [&self.contract, &self.list].iter().any(|by_date| latest(by_date, at, version).is_some())
            && self.in_effect(at, version).is_none()
    }

    /// The next list price of another date, after that of a price: until then the price is in effect.
    pub(crate) fn next_after(&self, price: &Price, version: u64) -> Option<&Quote> {
        let after = (std::ops::Bound::Excluded(price.effective_from), std::ops::Bound::Unbounded);
        self.kind(price.contract).range(after).find_map(|(_, quotes)| last_until(quotes, version))
    }
}

fn latest(by_date: &ByDate, at: DateTime<Utc>, version: u64) -> Option<&Quote> {
    by_date.range(..=at).rev().find_map(|(_, quotes)| last_until(quotes, version))
}

fn has_ended(quote: &Quote, at: DateTime<Utc>) -> bool {
    quote.price.effective_to.is_some_and(|end| at >= end)
}

/// The last of the prices of one date that was set up to a version.
fn last_until(quotes: &[Quote], version: u64) -> Option<&Quote> {
    quotes.iter().rev().find(|quote| quote.book_version <= version)
}

/// Offers by model, then by provider, as a call may not name its provider.
type ByModel = BTreeMap<Name, BTreeMap<Name, Offers>>;

/// The prices of a book. The indexes follow from the prices.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "ByModel")]
pub(crate) struct Catalogue {
    by_model: ByModel,
    /// Models by the other names of their prices.
    aliases: BTreeMap<Name, BTreeSet<Name>>,
    /// Models by their names and other names, normalized.
    normalized: BTreeMap<String, BTreeSet<Name>>,
    /// Patterns of prices, with their models.
    patterns: BTreeSet<(ModelPattern, Name)>,
}

impl Serialize for Catalogue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_model.serialize(serializer)
    }
}

impl From<ByModel> for Catalogue {
    fn from(by_model: ByModel) -> Self {
        let mut catalogue = Self::default();
        for quote in by_model.values().flat_map(BTreeMap::values).flat_map(|offers| offers.set_until(u64::MAX)) {
            catalogue.index(&quote.price);
        }
        Self { by_model, ..catalogue }
    }
}

/// A price that matches the name in a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) quote: &'a Quote,
    /// Whether the provider makes the model, by any of its prices for it.
    pub(crate) is_maker: bool,
    pub(crate) by: MatchKind,
    pub(crate) pattern: Option<&'a ModelPattern>,
}

impl Candidate<'_> {
    /// What the candidates of one provider and kind of match are compared by: patterns by what they prescribe.
    pub(crate) fn rank(&self) -> (usize, Option<&ModelPattern>) {
        (self.pattern.map_or(0, ModelPattern::literals), self.pattern)
    }
}

/// What a price is looked up by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup<'a> {
    /// The provider of the call; all providers if absent.
    pub(crate) provider: Option<&'a str>,
    pub(crate) model: &'a ModelForms<'a>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) version: u64,
}

impl Catalogue {
    pub(crate) fn push(&mut self, quote: Quote) {
        self.index(&quote.price);
        let by_provider = self.by_model.entry(quote.price.model.clone()).or_default();
        by_provider.entry(quote.price.provider.clone()).or_default().push(quote);
    }

    fn index(&mut self, price: &Price) {
        let model = &price.model;
        for name in price.names.iter().chain([model]) {
            self.normalized.entry(normalized_model(name.as_str())).or_default().insert(model.clone());
        }
        for name in &price.names {
            self.aliases.entry(name.clone()).or_default().insert(model.clone());
        }
        self.patterns.extend(price.patterns.iter().map(|pattern| (pattern.clone(), model.clone())));
    }

    /// The prices of a provider for a model, under the name of the price.
    pub(crate) fn offers(&self, provider: &Name, model: &Name) -> Option<&Offers> {
        self.by_model.get(model)?.get(provider)
    }

    /// All offers, ordered by model and provider.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Offers> {
        self.by_model.values().flat_map(BTreeMap::values)
    }

    /// The models whose prices may match a name in one way.
    fn models(&self, by: MatchKind, wanted: &ModelForms<'_>) -> BTreeSet<&Name> {
        match by {
            MatchKind::Exact => {
                self.by_model.get_key_value(wanted.name()).map(|(model, _)| model).into_iter().collect()
            }
            MatchKind::Alias => self.aliases.get(wanted.name()).into_iter().flatten().collect(),
            MatchKind::Normalized => self.normalized.get(wanted.normalized()).into_iter().flatten().collect(),
            MatchKind::Pattern => {
                let matching = self.patterns.iter().filter(|(pattern, _)| wanted.fit(pattern));
                matching.map(|(_, model)| model).collect()
            }
        }
    }

    /// The offers of the providers of a lookup that may match its model in one way.
    fn offers_by<'a, 'l>(
        &'a self,
        by: MatchKind,
        lookup: Lookup<'l>,
    ) -> impl Iterator<Item = &'a Offers> + use<'a, 'l> {
        let is_asked = move |name: &Name| lookup.provider.is_none_or(|asked| asked == name.as_str());
        let models = self.models(by, lookup.model).into_iter().filter_map(|model| self.by_model.get(model));
        models.flatten().filter(move |(name, _)| is_asked(name)).map(|(_, offers)| offers)
    }

    /// The prices that were in effect and match a name in one way.
    pub(crate) fn candidates<'a>(&'a self, by: MatchKind, lookup: Lookup<'_>) -> Vec<Candidate<'a>> {
        let candidate = |offers: &'a Offers| {
            let quote = offers.in_effect(lookup.at, lookup.version)?;
            let pattern = matching(&quote.price, by, lookup.model)?;
            let is_maker = offers.set_until(lookup.version).any(|quote| quote.price.list_price);
            Some(Candidate { quote, is_maker, by, pattern })
        };
        self.offers_by(by, lookup).filter_map(candidate).collect()
    }

    /// Whether prices that match a name in one way have all ended, so that no other name may be tried.
    pub(crate) fn has_ended(&self, by: MatchKind, lookup: Lookup<'_>) -> bool {
        by <= MatchKind::Alias && self.offers_by(by, lookup).any(|offers| offers.has_ended(lookup.at, lookup.version))
    }

    /// All prices of any time under a name, by any match but a pattern.
    pub(crate) fn known<'a, 'l>(&'a self, lookup: Lookup<'l>) -> impl Iterator<Item = &'a Quote> + use<'a, 'l> {
        let by_name = [MatchKind::Exact, MatchKind::Alias, MatchKind::Normalized].into_iter();
        by_name.flat_map(move |by| {
            let quotes = self.offers_by(by, lookup).flat_map(move |offers| offers.set_until(lookup.version));
            quotes.filter(move |quote| matching(&quote.price, by, lookup.model).is_some())
        })
    }
}

/// Whether a price matches a name in one way; with the pattern that does, if it is by one.
fn matching<'a>(price: &'a Price, by: MatchKind, wanted: &ModelForms<'_>) -> Option<Option<&'a ModelPattern>> {
    let is_match = match by {
        MatchKind::Exact => price.model == *wanted.name(),
        MatchKind::Alias => price.names.contains(wanted.name()),
        MatchKind::Normalized => {
            let mut names = price.names.iter().chain([&price.model]);
            names.any(|name| normalized_model(name.as_str()) == wanted.normalized())
        }
        MatchKind::Pattern => {
            let matching = price.patterns.iter().filter(|pattern| wanted.fit(pattern));
            return matching.max_by_key(|pattern| (pattern.literals(), *pattern)).map(Some);
        }
    };
    is_match.then_some(None)
}
