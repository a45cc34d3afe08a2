//! Prices as the price book holds them.

use crate::graphql::scalars::{Currency, Decimal, Long, Timestamp};
use async_graphql::{Enum, SimpleObject};
use domain::price_book::{self, Quote};

macro_rules! meters {
    ($($variant:ident, $name:ident, $column:ident, $description:tt, $definition:tt);+ $(;)?) => {
        /// What the usage of a call is measured in, and what the components of a price bill.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[graphql(remote = "domain::Meter")]
        pub(crate) enum Meter {
            $(#[doc = $description] $variant),+
        }
    };
}
domain::for_each_meter!(meters);

/// A size that must be exceeded.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub(crate) struct ContextSize {
    /// The size, which itself does not exceed it.
    above: Long,
    /// Whether the component bills only the units of its meter above the size. If not, the size is that of the prompt
    /// in tokens, cached tokens included, and the component bills the whole call.
    graduated: bool,
}

/// A part of the day, on some days of the week.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct TimeWindow {
    /// First minute, such as `16:30`.
    from: String,
    /// Minute after the last one. The window continues after midnight if it is not later than `from`.
    to: String,
    /// Offset of the time zone from UTC, in minutes.
    utc_offset_minutes: i32,
    /// Days of the week, from 1 for Monday to 7 for Sunday. Every day if empty.
    weekdays: Vec<i32>,
}

/// Conditions under which a component of a price applies: all of them must be met. Those that are null are always met.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PriceConditions {
    /// Size that must be exceeded.
    context: Option<ContextSize>,
    /// Service tier of the call, such as `batch`.
    service_tier: Option<String>,
    /// Speed of the call, such as `fast`.
    speed: Option<String>,
    /// Region that the call was processed in, such as `eu`.
    region: Option<String>,
    /// Time at which the call started.
    time: Option<TimeWindow>,
}

impl From<&price_book::Conditions> for PriceConditions {
    fn from(when: &price_book::Conditions) -> Self {
        let time = |time: &price_book::TimeWindow| TimeWindow {
            from: time.from.to_string(),
            to: time.to.to_string(),
            utc_offset_minutes: time.utc_offset_minutes.into(),
            weekdays: time.weekdays.iter().map(|day| i32::from(*day)).collect(),
        };
        Self {
            context: when
                .context
                .map(|context| ContextSize { above: Long::from_unsigned(context.above), graduated: context.graduated }),
            service_tier: when.service_tier.as_ref().map(ToString::to_string),
            speed: when.speed.as_ref().map(ToString::to_string),
            region: when.region.as_ref().map(ToString::to_string),
            time: when.time.as_ref().map(time),
        }
    }
}

/// Component of a price: the rate of one meter under some conditions.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PriceComponent {
    /// Meter whose units are billed.
    meter: Meter,
    /// Rate in US dollars for `per` units.
    rate: Decimal,
    /// Number of units that the rate is for.
    per: Long,
    /// Conditions under which the component applies. Null if it always does.
    when: Option<PriceConditions>,
}

impl From<&price_book::PriceComponent> for PriceComponent {
    fn from(component: &price_book::PriceComponent) -> Self {
        Self {
            meter: component.meter.into(),
            rate: component.rate.as_money().into(),
            per: Long::from_unsigned(component.per.get()),
            when: (!component.when.is_empty()).then(|| (&component.when).into()),
        }
    }
}

/// A price: what one model of one provider costs from a date on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Price {
    /// Provider that sells the model, such as `openai`.
    provider: String,
    /// Name that the provider gives the model.
    model: String,
    /// Whether the provider is the maker of the model. Calls that name no provider are charged at the price of the
    /// maker.
    list_price: bool,
    /// Other names under which calls name the model.
    names: Vec<String>,
    /// Patterns of further names, such as `gpt-5* !*-pro`.
    patterns: Vec<String>,
    /// Whether the price is one of the tenant's own contract, which precedes list prices.
    contract: bool,
    /// Time from which the price is effective, until `effectiveTo` or a later price for the same provider and model.
    effective_from: Timestamp,
    /// Time at which the price ends. Null if it does not.
    effective_to: Option<Timestamp>,
    /// Currency of the rates.
    currency: Currency,
    /// Components, sorted by meter. Of those of a meter whose conditions are met, the one with the most conditions
    /// applies, and among these the one with the highest size. A meter without a component is billed as another one:
    /// cache reads and writes as `INPUT`, reasoning as `OUTPUT`.
    components: Vec<PriceComponent>,
    /// Version of the price book that set the price.
    book_version: Long,
    /// Table that the price is from.
    source: PriceSource,
}

/// Table that prices are from.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PriceSource {
    /// Name of the table, with its version if it has one.
    name: String,
    /// Licence under which the table is published. Null if that is not known.
    licence: Option<String>,
    /// Day of the table, such as `2026-11-29`: that on which it was published or retrieved. Null if that is not known.
    dated: Option<String>,
}

/// Discount on list prices.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Discount {
    /// Name of the discount.
    name: String,
    /// Provider whose prices are discounted. Null for all providers.
    provider: Option<String>,
    /// Pattern of the models whose prices are discounted. Null for all models.
    models: Option<String>,
    /// Part of the list price that is not charged, in percent.
    percent: String,
    /// Time from which the discount is effective.
    effective_from: Timestamp,
    /// Time at which the discount ends. Null if it does not.
    effective_to: Option<Timestamp>,
}

impl From<&price_book::Discount> for Discount {
    fn from(discount: &price_book::Discount) -> Self {
        Self {
            name: discount.name.to_string(),
            provider: discount.provider.as_ref().map(ToString::to_string),
            models: discount.models.as_ref().map(ToString::to_string),
            percent: discount.percent.to_string(),
            effective_from: discount.effective_from.into(),
            effective_to: discount.effective_to.map(Into::into),
        }
    }
}

/// How the name of a model matched a price. The first of these ways in which a price matches decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "price_book::MatchKind")]
pub(crate) enum MatchKind {
    /// The call names the model as the price does.
    Exact,
    /// The name is one of the other names of the price.
    Alias,
    /// The names are equal once they are normalized: without paths, regions, versions and sizes, and in lower case.
    Normalized,
    /// A pattern of the price matches the name.
    Pattern,
}

/// Model whose price was applied to a call that names the model differently.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct MatchedModel {
    /// Model under the name that the price has.
    model: String,
    /// How the name in the call matched.
    by: MatchKind,
    /// Pattern that matched. Null unless `by` is `PATTERN`.
    pattern: Option<String>,
}

/// Discount that was applied to a charge.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AppliedDiscount {
    /// Name of the discount.
    name: String,
    /// Part of the list price that was not charged, in percent.
    percent: String,
}

impl From<&Quote> for Price {
    fn from(quote: &Quote) -> Self {
        let price = &quote.price;
        Self {
            provider: price.provider.to_string(),
            model: price.model.to_string(),
            list_price: price.list_price,
            names: price.names.iter().map(ToString::to_string).collect(),
            patterns: price.patterns.iter().map(ToString::to_string).collect(),
            contract: price.contract,
            effective_from: price.effective_from.into(),
            effective_to: price.effective_to.map(Into::into),
            currency: price.currency.into(),
            components: price.components.iter().map(Into::into).collect(),
            book_version: Long::from_unsigned(quote.book_version),
            source: quote.source.as_ref().into(),
        }
    }
}

impl From<&price_book::PriceSource> for PriceSource {
    fn from(source: &price_book::PriceSource) -> Self {
        Self {
            name: source.name.to_string(),
            licence: source.licence.as_ref().map(ToString::to_string),
            dated: source.dated.map(|day| day.to_string()),
        }
    }
}

/// Component of a price that was applied to a call.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ChargeLine {
    /// Meter of the component. It also bills the meters without components that are billed as it.
    meter: Meter,
    /// Number of units that were billed.
    units: Long,
    /// Rate in US dollars for `per` units.
    rate: Decimal,
    /// Number of units that the rate is for.
    per: Long,
    /// Conditions of the component, all of which were met. Null if there are none.
    when: Option<PriceConditions>,
    /// Cost of the units in US dollars, less the discount of the charge.
    cost: Decimal,
}

/// Charge for a call: the applied components of its price, which add up to its cost.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Charge {
    /// Charged amount in US dollars: the sum of the lines.
    amount: Decimal,
    /// Currency of the amounts.
    currency: Currency,
    /// Version of the price book by which the call was charged. `prices` returns what it had with `asOfVersion`.
    book_version: Long,
    /// Time from which the applied price is effective.
    effective_from: Timestamp,
    /// Provider whose price was applied, if the call names none or names it differently.
    seller: Option<String>,
    /// Model whose price was applied, and how it was found. Null if the call names the model as the price does.
    matched: Option<MatchedModel>,
    /// Whether the applied price is one of the tenant's own contract.
    contract: bool,
    /// Discount that was applied to every line. Null if there is none.
    discount: Option<AppliedDiscount>,
    /// Applied components.
    lines: Vec<ChargeLine>,
    /// Meters that the call used and that no component of the price bills.
    unbilled: Vec<Meter>,
}

impl From<&price_book::Charge> for Charge {
    fn from(charge: &price_book::Charge) -> Self {
        let line = |price_book::ChargeLine { component, units, cost, .. }: &price_book::ChargeLine| ChargeLine {
            meter: component.meter.into(),
            units: Long::from_unsigned(*units),
            rate: component.rate.as_money().into(),
            per: Long::from_unsigned(component.per.get()),
            when: (!component.when.is_empty()).then(|| (&component.when).into()),
            cost: (*cost).into(),
        };
        Self {
            amount: charge.amount.into(),
            currency: domain::Currency::Usd.into(),
            book_version: Long::from_unsigned(charge.book_version),
            effective_from: charge.effective_from.into(),
            seller: charge.seller.as_ref().map(ToString::to_string),
            matched: charge.matched.as_ref().map(|matched| MatchedModel {
                model: matched.model.to_string(),
                by: matched.by.into(),
                pattern: matched.pattern.as_ref().map(ToString::to_string),
            }),
            contract: charge.contract,
            discount: charge.discount.as_ref().map(|applied| AppliedDiscount {
                name: applied.name.to_string(),
                percent: applied.percent.to_string(),
            }),
            lines: charge.lines.iter().map(line).collect(),
            unbilled: charge.unbilled.iter().map(|meter| (*meter).into()).collect(),
        }
    }
}
