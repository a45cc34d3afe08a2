//! The charge for a call: which components of a price apply to its usage, and what each of them costs.

use crate::meter::Meter;
use crate::money::{Money, MoneyError};
use crate::price_book::conditions::{CallAttributes, Conditions};
use crate::price_book::discount::{AppliedDiscount, Percent};
use crate::price_book::matching::MatchedModel;
use crate::price_book::price::{Price, PriceComponent};
use crate::text::Name;
use crate::usage::Usage;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the charge for a call depends on, beside the price book.
#[derive(Debug, Clone, Copy)]
pub struct PricingContext<'a> {
    /// The provider that served the call; none if it is not known.
    pub provider: Option<&'a Name>,
    /// The model that was called.
    pub model: &'a Name,
    /// What the call used.
    pub usage: &'a Usage,
    /// When the call started.
    pub started_at: DateTime<Utc>,
    /// The service tier of the call, such as `batch`.
    pub service_tier: Option<&'a Name>,
    /// The speed of the call, such as `fast`.
    pub speed: Option<&'a Name>,
    /// The region that the call was processed in.
    pub region: Option<&'a Name>,
}

impl PricingContext<'_> {
    fn attributes(&self) -> CallAttributes<'_> {
        let Self { service_tier, speed, region, started_at, .. } = *self;
        CallAttributes { prompt_tokens: self.usage.prompt(), service_tier, speed, region, started_at }
    }
}

/// The charge for a call. With the price book it is a receipt: the price is the one that version `book_version` of the
/// book has for the provider and the model of the call and `effective_from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charge {
    /// The charged amount in US dollars: the sum of the lines.
    pub amount: Money,
    /// The version of the price book by which the call was charged.
    pub book_version: u64,
    /// When the applied price took effect.
    pub effective_from: DateTime<Utc>,
    /// The provider whose price was applied, if the call names none or names it differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<Name>,
    /// The model whose price was applied, and how its name matched, if the call names the model differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<MatchedModel>,
    /// Whether the applied price is one of the tenant's own contract.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contract: bool,
    /// The discount that was applied to every line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<AppliedDiscount>,
    /// The applied components of the price.
    pub lines: Vec<ChargeLine>,
    /// The meters that the call used and that no component bills.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unbilled: Vec<Meter>,
}

impl Charge {
    /// The provider and the model whose price was applied to a call, by those that the call names.
    #[must_use]
    pub fn priced_as<'a>(
        &'a self,
        provider: Option<&'a Name>,
        model: Option<&'a Name>,
    ) -> (Option<&'a Name>, Option<&'a Name>) {
        let matched = self.matched.as_ref().map(|matched| &matched.model);
        (self.seller.as_ref().or(provider), matched.or(model))
    }

    /// The conditions under which the price was applied, or `standard` if there are none.
    #[must_use]
    pub fn conditions(&self) -> String {
        let mut texts: Vec<String> = self
            .lines
            .iter()
            .map(|line| &line.component.when)
            .filter(|when| !when.is_empty())
            .map(ToString::to_string)
            .collect();
        texts.sort();
        texts.dedup();
        if texts.is_empty() { "standard".to_owned() } else { texts.join("; ") }
    }
}

/// A component of a price that was applied to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "AppliedComponent")]
pub struct ChargeLine {
    /// The component. It also bills the meters without components that are billed as its meter.
    #[serde(flatten)]
    pub component: PriceComponent,
    /// The number of units that the component billed.
    pub units: u64,
    /// The part of the rate that is not charged; none without a discount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<Percent>,
    /// The cost of the units in US dollars, rounded once. It is not stored, because it follows from the rest.
    #[serde(skip_serializing)]
    pub cost: Money,
}

impl ChargeLine {
    fn new(component: PriceComponent, units: u64, discount_percent: Option<Percent>) -> Result<Self, MoneyError> {
        let discount = discount_percent.map_or(0, Percent::millionths);
        let cost = Money::for_units_discounted(component.rate.as_money().as_decimal(), units, component.per, discount)?;
        Ok(Self { component, units, discount_percent, cost })
    }

    /// Whether the cost is not the exact product of units and rate.
    #[must_use]
    pub fn is_rounded(&self) -> bool {
        let discount = self.discount_percent.map_or(0, Percent::millionths);
        let rate = self.component.rate.as_money().as_decimal();
        !self.cost.is_exactly(rate, self.units, self.component.per, discount)
    }
}

/// A line as it is stored.
#[derive(Deserialize, JsonSchema)]
struct AppliedComponent {
    /// The applied component.
    #[serde(flatten)]
    component: PriceComponent,
    /// The number of units that the component billed.
    units: u64,
    /// The part of the rate that is not charged.
    #[serde(default)]
    discount_percent: Option<Percent>,
}

impl TryFrom<AppliedComponent> for ChargeLine {
    type Error = MoneyError;

    fn try_from(stored: AppliedComponent) -> Result<Self, MoneyError> {
        Self::new(stored.component, stored.units, stored.discount_percent)
    }
}

/// The applied components of a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) amount: Money,
    pub(crate) lines: Vec<ChargeLine>,
    pub(crate) unbilled: Vec<Meter>,
}

impl Price {
    /// Bills a call.
    ///
    /// Each meter is billed without its parts, which are meters of their own. Of the components of a meter whose
    /// conditions are met, one is chosen: that with the most conditions; among these, that with the highest size; among
    /// these, the last one in the order of conditions. The order of the components in the price does not matter. A
    /// meter without such a component is billed as another one ([`Meter::billed_as`]), and if that has none either, it
    /// is not billed.
    pub(crate) fn bill(&self, call: &PricingContext<'_>, discount: Option<Percent>) -> Result<Bill, MoneyError> {
        let attributes = call.attributes();
        let applicable: Vec<&PriceComponent> =
            self.components.iter().filter(|component| component.when.are_met(&attributes)).collect();
        let has_component = |meter: Meter| applicable.iter().any(|component| component.meter == meter);
        let mut units: BTreeMap<Meter, u64> = BTreeMap::new();
        let mut unbilled = Vec::new();
        for (meter, _) in call.usage.iter() {
            let used = call.usage.without_parts(meter);
            match meter.billing_chain().find(|meter| has_component(*meter)) {
                _ if used == 0 => {}
                Some(billed) => *units.entry(billed).or_default() += used,
                None => unbilled.push(meter),
            }
        }
        // A call is a request, also where its record does not count it.
        if has_component(Meter::Requests) {
            units.entry(Meter::Requests).or_insert(1);
        }
        let mut lines = Vec::new();
        for (meter, units) in units {
            lines.extend(lines_of(&applicable, meter, units, discount)?);
        }
        let amount = lines.iter().try_fold(Money::ZERO, |sum, line| sum.checked_add(line.cost))?;
        Ok(Bill { amount, lines, unbilled })
    }
}

/// The lines of one meter: one, or one for each band of graduated sizes.
fn lines_of(
    applicable: &[&PriceComponent],
    meter: Meter,
    units: u64,
    discount: Option<Percent>,
) -> Result<Vec<ChargeLine>, MoneyError> {
    let is_reached = |when: &Conditions| !when.is_graduated() || units > when.above();
    let of_meter = || applicable.iter().filter(|one| one.meter == meter && is_reached(&one.when)).copied();
    let Some(chosen) = of_meter().max_by(|one, other| rank(one).cmp(&rank(other))) else { return Ok(Vec::new()) };
    if !chosen.when.is_graduated() {
        return Ok(vec![ChargeLine::new(chosen.clone(), units, discount)?]);
    }
    let others = chosen.when.without_context();
    let mut bands: Vec<_> = of_meter().filter(|one| one.when.without_context() == others).collect();
    bands.sort_by_key(|band| band.when.above());
    let ends = bands.iter().skip(1).map(|next| next.when.above()).chain([units]);
    let band = |(band, end): (&&PriceComponent, u64)| {
        ChargeLine::new((*band).clone(), end.saturating_sub(band.when.above()), discount)
    };
    bands.iter().zip(ends).map(band).collect()
}

/// What the components of a meter whose conditions are met are compared by; the highest applies.
fn rank(component: &PriceComponent) -> (usize, u64, &Conditions) {
    (component.when.count(), component.when.above(), &component.when)
}
