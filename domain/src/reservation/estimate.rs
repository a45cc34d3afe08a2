//! What a call may use and cost at most.

use super::error::ReservationError;
use crate::budget::{Amount, Attributes, BudgetDimension, Measure};
use crate::call::CallKind;
use crate::meter::Meter;
use crate::money::Money;
use crate::price_book::{ChargeError, PriceBook, PricingContext};
use crate::text::Name;
use crate::usage::{Quantity, Usage};
use chrono::{DateTime, Utc};

/// What a call may use at most, and what its price depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Whether a model or a tool is called.
    pub kind: CallKind,
    /// The most that the call may use: the input counted, or bounded by its bytes; the output by the limit of the request, or the
    /// most that the model generates.
    pub usage: Usage,
    /// The fewest output tokens that would do; none if only all of them would.
    pub min_output: Option<u64>,
    /// The service tier, such as `batch`.
    pub service_tier: Option<Name>,
    /// The speed, such as `fast`.
    pub speed: Option<Name>,
    /// The region.
    pub region: Option<Name>,
    /// What the provider decides, if that may be something else.
    pub alternatives: Alternatives,
}

/// What a call may turn out to be instead of what its estimate says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Alternatives {
    /// The most that the call may use of meters that count again what others of the estimate count, such as tokens that are read from
    /// the cache, or are spent on reasoning. Budgets of these meters set it aside; those of money only what it costs more.
    pub usage: Usage,
    /// Whether the call may be served without the service tier, the speed or the region of the estimate.
    pub unnamed: bool,
}

/// An upper bound of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    pub(super) usage: Usage,
    /// The most of each meter, some of which count the same.
    pub(super) most: Usage,
    /// None if the model has no price.
    pub(super) cost: Option<Money>,
    pub(super) book_version: Option<u64>,
}

impl Bound {
    /// What the bound is in a measure; none if that is money, and the model has no price.
    pub(super) fn amount(&self, measure: Measure) -> Option<Amount> {
        match measure {
            Measure::Money => self.cost.map(Amount::from),
            Measure::Calls => Some(Amount::units(1)),
            Measure::Meter(meter) => Some(Amount::units(self.most.get(meter).get())),
        }
    }
}

impl Estimate {
    pub(super) fn check(&self, attributes: &Attributes) -> Result<(), ReservationError> {
        self.usage.check()?;
        let subject = match self.kind {
            CallKind::Llm => BudgetDimension::Model,
            CallKind::Tool => BudgetDimension::Tool,
        };
        if !attributes.contains_key(&subject) {
            return Err(ReservationError::NoSubject);
        }
        let output = self.usage.get(Meter::Output).get();
        match self.min_output {
            Some(min) if min > output => Err(ReservationError::MinimumOutput { min, output }),
            Some(_) | None => Ok(()),
        }
    }

    /// The upper bound with some usage, by the same function that charges calls. What a call costs grows with each meter, and is most
    /// where all of a meter is one of its parts, or none of it is.
    pub(super) fn bound(
        &self,
        usage: Usage,
        attributes: &Attributes,
        prices: &PriceBook,
        at: DateTime<Utc>,
    ) -> Result<Bound, ReservationError> {
        let most = self.most(&usage);
        let unpriced = Bound { usage, most, cost: None, book_version: None };
        let Some(model) = attributes.get(&BudgetDimension::Model) else {
            return Ok(Bound { cost: Some(Money::ZERO), ..unpriced });
        };
        let mut bound = unpriced;
        for split in self.splits(usage, &most) {
            for [service_tier, speed, region] in self.conditions() {
                let provider = attributes.get(&BudgetDimension::Provider);
                let context =
                    PricingContext { provider, model, usage: &split, started_at: at, service_tier, speed, region };
                let charge = match prices.charge(&context, None) {
                    Ok(charge) => charge,
                    Err(ChargeError::Unpriced(_)) => return Ok(unpriced),
                    Err(ChargeError::Money(error)) => return Err(error.into()),
                };
                if bound.cost.is_none_or(|cost| charge.amount > cost) {
                    bound.cost = Some(charge.amount);
                    bound.book_version = Some(charge.book_version);
                }
            }
        }
        Ok(bound)
    }

    /// The most of each meter.
    fn most(&self, usage: &Usage) -> Usage {
        let mut most = *usage;
        for (meter, stated) in self.alternatives.usage.iter() {
            let limit = meter.part_of().map_or(stated, |whole| stated.min(usage.get(whole)));
            most.set(meter, limit.max(usage.get(meter)));
        }
        most
    }

    /// The usage, and what it may be instead: with all of a meter in one of its parts.
    fn splits(&self, usage: Usage, most: &Usage) -> Vec<Usage> {
        let mut splits = vec![usage];
        for (part, _) in self.alternatives.usage.iter() {
            let Some(whole) = part.part_of() else { continue };
            let with_part = |split: &Usage| {
                let mut split = *split;
                whole.parts().for_each(|other| split.set(other, Quantity::ZERO));
                split.with(part, most.get(part))
            };
            let further: Vec<_> = splits.iter().map(with_part).collect();
            splits.extend(further);
        }
        splits
    }

    /// The service tier, the speed and the region, and what they may be instead: each of them none.
    fn conditions(&self) -> impl Iterator<Item = [Option<&Name>; 3]> {
        let stated = [&self.service_tier, &self.speed, &self.region].map(Option::as_ref);
        let may_omit = self.alternatives.unnamed;
        let omitted = |set: u8, at: usize| set & (1_u8 << at) != 0;
        let is_other = move |set: &u8| {
            *set == 0 || may_omit && stated.iter().enumerate().all(|(at, name)| !omitted(*set, at) || name.is_some())
        };
        (0..8_u8).filter(is_other).map(move |set| {
            let mut named = stated;
            named.iter_mut().enumerate().filter(|(at, _)| omitted(set, *at)).for_each(|(_, name)| *name = None);
            named
        })
    }

    /// The usage with less output.
    pub(super) fn with_output(&self, output: u64) -> Usage {
        let mut left = output;
        let mut usage = self.usage;
        usage.set(Meter::Output, quantity(output));
        for part in Meter::Output.parts() {
            let of_part = usage.get(part).get().min(left);
            left -= of_part;
            usage.set(part, quantity(of_part));
        }
        usage
    }
}

/// A quantity that is not larger than one that was checked.
fn quantity(number: u64) -> Quantity {
    Quantity::new(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Aggregate as _;
    use crate::price_book::{Price, PriceBookEvent, PriceComponent, PriceSource, PricesSet, rate};
    use crate::testing::{name, usage};

    /// A dollar for a million tokens; four of reasoning, and half of one at the tier `flex`, two in the region `us`.
    fn prices() -> PriceBook {
        let component =
            |meter, cents: i64| PriceComponent::per_million(meter, rate(rust_decimal::Decimal::new(cents, 2)).unwrap());
        let mut flex = component(Meter::Output, 50);
        flex.when.service_tier = Some(name("flex"));
        let mut us = component(Meter::Output, 200);
        us.when.region = Some(name("us"));
        let components = vec![
            component(Meter::Input, 100),
            component(Meter::Output, 100),
            component(Meter::Reasoning, 400),
            flex,
            us,
        ];
        let price = Price::new(name("p"), name("m"), components);
        let source = PriceSource::named(name("test"));
        let set = PriceBookEvent::Set(PricesSet { prices: vec![price], source, at: DateTime::UNIX_EPOCH });
        PriceBook::default().evolve(&set)
    }

    fn bound(alternatives: Alternatives, service_tier: Option<&str>, region: Option<&str>) -> Bound {
        let estimate = Estimate {
            kind: CallKind::Llm,
            usage: usage([(Meter::Input, 3_000_000), (Meter::Output, 2_000_000)]),
            min_output: None,
            service_tier: service_tier.map(name),
            speed: None,
            region: region.map(name),
            alternatives,
        };
        let attributes =
            Attributes::from([(BudgetDimension::Provider, name("p")), (BudgetDimension::Model, name("m"))]);
        estimate.bound(estimate.usage, &attributes, &prices(), DateTime::UNIX_EPOCH).unwrap()
    }

    fn dollars(bound: &Bound) -> Option<Amount> {
        bound.amount(Measure::Money)
    }

    #[test]
    fn what_counts_the_same_is_set_aside_by_budgets_of_its_meter_and_costs_what_it_costs_more() {
        let tokens = |bound: &Bound, meter| bound.amount(Measure::Meter(meter)).unwrap();
        let plain = bound(Alternatives::default(), None, None);
        assert_eq!(dollars(&plain), Some(Amount::units(5)));
        assert_eq!(tokens(&plain, Meter::CacheRead), Amount::ZERO);
        let cached = Alternatives { usage: usage([(Meter::CacheRead, 3_000_000)]), unnamed: false };
        let cached = bound(cached, None, None);
        assert_eq!(dollars(&cached), Some(Amount::units(5)), "it is input");
        assert_eq!(tokens(&cached, Meter::CacheRead), Amount::units(3_000_000));
        // More than the output is not reasoning.
        let reasoning = Alternatives { usage: usage([(Meter::Reasoning, 9_000_000)]), unnamed: false };
        let reasoning = bound(reasoning, None, None);
        assert_eq!(dollars(&reasoning), Some(Amount::units(3 + 8)));
        assert_eq!(tokens(&reasoning, Meter::Reasoning), Amount::units(2_000_000));
        assert_eq!(reasoning.usage, plain.usage);
    }

    #[test]
    fn a_condition_that_the_provider_may_not_heed_lowers_no_bound() {
        let unnamed = Alternatives { unnamed: true, ..Alternatives::default() };
        let cost = |alternatives, tier, region| dollars(&bound(alternatives, tier, region)).unwrap();
        assert_eq!(cost(Alternatives::default(), Some("flex"), None), Amount::units(4));
        assert_eq!(cost(unnamed, Some("flex"), None), Amount::units(5));
        assert_eq!(cost(unnamed, None, Some("us")), Amount::units(7), "one that raises it does");
        assert_eq!(cost(unnamed, Some("flex"), Some("us")), Amount::units(7));
    }
}
