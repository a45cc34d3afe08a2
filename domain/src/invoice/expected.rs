//! What Apex expects to be billed: the components of the prices of calls, by day, model and meter.

use super::figure::Figure;
use super::limits::MAX_EXPECTED_COMPONENTS;
use crate::meter::Meter;
use crate::price_book::{Charge, Percent, PriceBook, PriceComponent, Quote, normalized_model};
use crate::provider::provider_name;
use crate::text::Name;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A hundred percent, in millionths.
const WHOLE: i128 = 1_000_000;
/// The largest quantity of a component, which keeps the sums of all of them in range.
const MAX_COMPONENT_UNITS: u128 = 1_000_000_000_000_000_000;

/// What lines and components are compared by: a day (UTC), a model, and a meter. None stands for all.
pub(super) type Key = (NaiveDate, Option<Name>, Option<Meter>);

/// The rate of a component of a price after its discount, as a fraction: US dollars for a number of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnitPrice {
    rate: Figure,
    per: u64,
    discount_millionths: u32,
}

impl UnitPrice {
    fn of(component: &PriceComponent, discount: Option<Percent>) -> Option<Self> {
        Some(Self {
            rate: Figure::from_pico(component.rate.as_money().picodollars()?),
            per: component.per.get(),
            discount_millionths: discount.map_or(0, Percent::millionths),
        })
    }

    /// The cost of a quantity; none if it is out of range.
    pub(super) fn cost(self, quantity: Figure) -> Option<Figure> {
        let charged = WHOLE - i128::from(self.discount_millionths);
        let units = Figure::from_units(self.per).pico().checked_mul(WHOLE)?;
        quantity.times(self.rate.pico().checked_mul(charged)?, units)
    }
}

/// A component of a price with the tier that it is for, such as `service_tier batch`; empty for none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rate {
    pub(super) tier: String,
    pub(super) price: UnitPrice,
}

/// What calls were charged for one component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Charged {
    pub(super) quantity: Figure,
    pub(super) amount: Figure,
    pub(super) calls: u64,
}

impl Charged {
    pub(super) fn add(&mut self, other: Self) {
        self.quantity += other.quantity;
        self.amount += other.amount;
        self.calls = self.calls.saturating_add(other.calls);
    }
}

/// What is expected under one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) total: Charged,
    /// What was charged by each component; a component that is not known has no rate, and is only in the total.
    pub(super) components: BTreeMap<Rate, Charged>,
    /// The rates that the prices have for the meter.
    pub(super) rates: BTreeSet<Rate>,
}

impl Entry {
    pub(super) fn merge(&mut self, other: Self) {
        self.total.add(other.total);
        for (rate, charged) in other.components {
            self.components.entry(rate).or_default().add(charged);
        }
        self.rates.extend(other.rates);
    }
}

/// Why calls cannot be compared with an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpectedError {
    /// There are too many components.
    #[error(
        "the calls of the period have more than {MAX_EXPECTED_COMPONENTS} combinations of day, model, meter and rate: record \
         the invoice in parts with shorter periods"
    )]
    TooManyComponents,
    /// A quantity or an amount is out of range.
    #[error("the calls of a day have a quantity or a cost that is out of range")]
    OutOfRange,
}

/// What Apex expects an invoice of one provider to bill.
#[derive(Debug, Clone)]
pub struct Expected {
    provider: Name,
    book: PriceBook,
    pub(super) entries: BTreeMap<Key, Entry>,
    /// The number of components in the entries.
    components: usize,
    pub(super) calls: u64,
    pub(super) unpriced_calls: u64,
}

impl Expected {
    /// Expects nothing of a provider. The price book names its models.
    #[must_use]
    pub fn new(provider: Name, book: PriceBook) -> Self {
        Self { provider, book, entries: BTreeMap::new(), components: 0, calls: 0, unpriced_calls: 0 }
    }

    /// The price book.
    #[must_use]
    pub const fn book(&self) -> &PriceBook {
        &self.book
    }

    /// Whether a provider that a call names, or whose price was applied to it, is the one that issues the invoice.
    fn is_of_provider(&self, provider: Option<&Name>) -> bool {
        provider.is_some_and(|name| provider_name(name.as_str()) == provider_name(self.provider.as_str()))
    }

    /// Counts a call without a price, by the provider that it names.
    pub fn add_unpriced(&mut self, provider: Option<&Name>) {
        if self.is_of_provider(provider) {
            self.unpriced_calls = self.unpriced_calls.saturating_add(1);
        }
    }

    /// Adds the charge of a call, if it is one of the provider.
    ///
    /// # Errors
    /// [`ExpectedError`] if there are too many components, or a sum is out of range.
    pub fn add_charge(
        &mut self,
        started_at: DateTime<Utc>,
        (provider, model): (Option<&Name>, Option<&Name>),
        charge: &Charge,
    ) -> Result<(), ExpectedError> {
        let (seller, model) = charge.priced_as(provider, model);
        if !self.is_of_provider(seller) {
            return Ok(());
        }
        self.calls = self.calls.saturating_add(1);
        // A handle: the prices are shared.
        let book = self.book.clone();
        let applied = seller.zip(model).and_then(|(seller, model)| book.applied(seller, model, charge));
        for line in &charge.lines {
            let (component, discount) = (&line.component, line.discount_percent);
            let amount = line.cost.picodollars().map(Figure::from_pico).ok_or(ExpectedError::OutOfRange)?;
            let charged = Charged { quantity: Figure::from_units(line.units), amount, calls: 1 };
            let price = UnitPrice::of(component, discount).ok_or(ExpectedError::OutOfRange)?;
            let rate = Rate { tier: component.when.to_string(), price };
            let key = (started_at.date_naive(), model.cloned(), Some(component.meter));
            let rates = || applied.into_iter().flat_map(|quote| rates_of(quote, component.meter, discount));
            self.add(key, Some(rate), charged, rates)?;
        }
        Ok(())
    }

    /// Adds a cost whose components are not known, of a call that names a provider and a model.
    ///
    /// # Errors
    /// [`ExpectedError`] if there are too many components, or a sum is out of range.
    pub fn add_cost(
        &mut self,
        started_at: DateTime<Utc>,
        (provider, model): (Option<&Name>, Option<&Name>),
        picodollars: i128,
    ) -> Result<(), ExpectedError> {
        if !self.is_of_provider(provider) {
            return Ok(());
        }
        self.calls = self.calls.saturating_add(1);
        let charged = Charged { amount: Figure::from_pico(picodollars), calls: 1, ..Charged::default() };
        let day = started_at.date_naive();
        let model = model.map(|named| self.model(named, day));
        self.add((day, model, None), None, charged, std::iter::empty)
    }

    fn add<R: Iterator<Item = Rate>>(
        &mut self,
        key: Key,
        rate: Option<Rate>,
        charged: Charged,
        rates: impl FnOnce() -> R,
    ) -> Result<(), ExpectedError> {
        let entry = self.entries.entry(key).or_default();
        entry.total.add(charged);
        if let Some(rate) = rate {
            let known = entry.components.len();
            entry.components.entry(rate).or_default().add(charged);
            // A price that was not applied before may have rates that no other one has.
            if entry.components.len() > known {
                self.components += 1;
                entry.rates.extend(rates());
            }
        }
        let units = entry.total.quantity.pico().unsigned_abs() / Figure::from_units(1).pico().unsigned_abs();
        if units > MAX_COMPONENT_UNITS || !entry.total.amount.is_of_a_line() {
            return Err(ExpectedError::OutOfRange);
        }
        if self.components.max(self.entries.len()) > MAX_EXPECTED_COMPONENTS {
            return Err(ExpectedError::TooManyComponents);
        }
        Ok(())
    }

    /// The model that the price book has for a name of an invoice on a day; the normalized name if it has none.
    pub(super) fn model(&self, named: &Name, day: NaiveDate) -> Name {
        let last_moment = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap_or_default();
        let at = day.and_time(last_moment).and_utc();
        match self.book.quote(Some(&self.provider), named, at, None) {
            Ok(found) => found.quote.price.model.clone(),
            Err(_) => Name::new(normalized_model(named.as_str())).unwrap_or_else(|_| named.clone()),
        }
    }
}

/// The rates that a price has for a meter.
fn rates_of(quote: &Quote, meter: Meter, discount: Option<Percent>) -> impl Iterator<Item = Rate> {
    let of_meter = quote.price.components.iter().filter(move |component| component.meter == meter);
    of_meter.filter_map(move |component| {
        Some(Rate { tier: component.when.to_string(), price: UnitPrice::of(component, discount)? })
    })
}
