//! Prices: rates by meter, with the conditions under which they apply.

use crate::meter::Meter;
use crate::money::{Currency, Money};
use crate::price_book::conditions::{ConditionError, Conditions};
use crate::price_book::matching::ModelPattern;
use crate::text::Name;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;
use thiserror::Error;

/// The maximum number of components of a price.
pub const MAX_COMPONENTS: usize = 64;

/// The maximum number of other names of a price, and of patterns.
pub const MAX_NAMES: usize = 64;

/// The number of units that most rates are for: a million.
pub const MILLION: NonZeroU64 = NonZeroU64::MIN.saturating_add(999_999);

/// US dollars for a number of units; never negative, and a decimal string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Money", into = "Money")]
#[schemars(extend("pattern" = r"^[0-9]{1,15}(\.[0-9]{1,12})?$"))]
pub struct Rate(Money);

/// Why an amount is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateError {
    /// The amount is below zero.
    #[error("{0} is negative; a rate is 0 or more")]
    Negative(Money),
    /// The amount has more digits than events can hold.
    #[error("{0} has more digits than a rate can have: 15 before and 12 after the point")]
    TooManyDigits(Money),
}

impl Rate {
    /// The rate in US dollars.
    #[must_use]
    pub fn as_money(self) -> Money {
        self.0
    }

    /// Whether it is zero: what it bills is free.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.as_decimal().is_zero()
    }
}

impl TryFrom<Money> for Rate {
    type Error = RateError;

    fn try_from(money: Money) -> Result<Self, Self::Error> {
        if money.is_negative() {
            return Err(RateError::Negative(money));
        }
        // What cannot be read back must not be written.
        if Money::parse(&money.to_string()) != Ok(money) {
            return Err(RateError::TooManyDigits(money));
        }
        Ok(Self(money))
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

/// A rate from a decimal number of US dollars, for readers of price tables.
///
/// # Errors
/// [`RateError`] if the number is below zero, or has too many digits.
pub fn rate(dollars: Decimal) -> Result<Rate, RateError> {
    Rate::try_from(Money::from_decimal(dollars))
}

/// A component of a price: the rate of one meter under some conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceComponent {
    /// The meter whose units are billed.
    pub meter: Meter,
    /// US dollars for `per` units.
    pub rate: Rate,
    /// The number of units that the rate is for; a million if absent.
    #[serde(default = "million", skip_serializing_if = "is_million")]
    pub per: NonZeroU64,
    /// The conditions under which it applies; always if absent.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub when: Conditions,
}

fn million() -> NonZeroU64 {
    MILLION
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_million(per: &NonZeroU64) -> bool {
    *per == MILLION
}

impl PriceComponent {
    /// A component without conditions, for a million units.
    #[must_use]
    pub fn per_million(meter: Meter, rate: Rate) -> Self {
        Self { meter, rate, per: MILLION, when: Conditions::default() }
    }
}

/// The price of one model of one provider from a date on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// The provider that sells the model, such as `openai`.
    pub provider: Name,
    /// The model, under the name that the provider uses.
    pub model: Name,
    /// Whether the provider is the maker of the model, so that this is its list price. A call that names no provider is
    /// priced at the list price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub list_price: bool,
    /// Other names under which calls name the model.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 64))]
    pub names: BTreeSet<Name>,
    /// Patterns of further names. A price that has the name itself, or that of another model, precedes them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 64))]
    pub patterns: BTreeSet<ModelPattern>,
    /// Whether the price is one of the tenant's own contract: it precedes list prices, whatever their dates, and no
    /// discount applies to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contract: bool,
    /// When the price takes effect.
    pub effective_from: DateTime<Utc>,
    /// When the price ends, unless a later one takes effect before; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_to: Option<DateTime<Utc>>,
    /// The currency of the rates.
    #[serde(default)]
    pub currency: Currency,
    /// The components, in any order.
    #[schemars(length(min = 1, max = 64))]
    pub components: Vec<PriceComponent>,
}

/// Why a price is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceError {
    /// The price has no components.
    #[error("it has no components")]
    NoComponents,
    /// The price has more than [`MAX_COMPONENTS`].
    #[error("it has {found} components; the limit is {MAX_COMPONENTS}")]
    TooManyComponents {
        /// The number of components.
        found: usize,
    },
    /// The price has more than [`MAX_NAMES`] other names or patterns.
    #[error("it has {found} {of}; the limit is {MAX_NAMES}")]
    TooManyNames {
        /// What there are too many of.
        of: &'static str,
        /// The number of them.
        found: usize,
    },
    /// The price ends before it takes effect.
    #[error("it ends at {to}, which is not after it takes effect at {from}")]
    EndsBeforeItBegins {
        /// When it takes effect.
        from: DateTime<Utc>,
        /// When it ends.
        to: DateTime<Utc>,
    },
    /// Two components of a meter have the same conditions.
    #[error("two components of {meter} have the same conditions ({})", named(.when))]
    Duplicate {
        /// The meter of both.
        meter: Meter,
        /// The conditions of both.
        when: Box<Conditions>,
    },
    /// A meter has graduated and other sizes, so that a unit would be in both.
    #[error("{meter} has graduated sizes and others under the same conditions ({}): they overlap", named(.when))]
    OverlappingSizes {
        /// The meter of the components.
        meter: Meter,
        /// The conditions other than the size.
        when: Box<Conditions>,
    },
    /// The units below the lowest graduated size have no rate.
    #[error("{meter} has graduated sizes but no component from 0 on under the same conditions ({})", named(.when))]
    NoFirstBand {
        /// The meter of the components.
        meter: Meter,
        /// The conditions other than the size.
        when: Box<Conditions>,
    },
    /// The number of units of a rate is 2^53 or above.
    #[error("a rate of {meter} is for {per} units; the limit is 2^53 - 1")]
    PerTooLarge {
        /// The meter of the component.
        meter: Meter,
        /// The number of units.
        per: NonZeroU64,
    },
    /// A condition of a component is not valid.
    #[error("the conditions of {meter} are not valid")]
    Condition {
        /// The meter of the component.
        meter: Meter,
        /// Why it is not valid.
        #[source]
        source: ConditionError,
    },
}

fn named(when: &Conditions) -> String {
    if when.is_empty() { "none".to_owned() } else { when.to_string() }
}

impl Price {
    /// A list price under the name of the model alone, for all time.
    #[must_use]
    pub fn new(provider: Name, model: Name, components: Vec<PriceComponent>) -> Self {
        Self {
            provider,
            model,
            list_price: false,
            names: BTreeSet::new(),
            patterns: BTreeSet::new(),
            contract: false,
            effective_from: DateTime::UNIX_EPOCH,
            effective_to: None,
            currency: Currency::Usd,
            components,
        }
    }

    /// Checks the price on its own, independent of the price book.
    ///
    /// # Errors
    /// The [`PriceError`] that every price book would reject the price with.
    pub fn check(&self) -> Result<(), PriceError> {
        if self.components.is_empty() {
            return Err(PriceError::NoComponents);
        }
        if self.components.len() > MAX_COMPONENTS {
            return Err(PriceError::TooManyComponents { found: self.components.len() });
        }
        for (of, found) in [("other names", self.names.len()), ("patterns", self.patterns.len())] {
            if found > MAX_NAMES {
                return Err(PriceError::TooManyNames { of, found });
            }
        }
        match self.effective_to {
            Some(to) if to <= self.effective_from => {
                return Err(PriceError::EndsBeforeItBegins { from: self.effective_from, to });
            }
            _ => {}
        }
        for (index, component) in self.components.iter().enumerate() {
            self.check_component(component, &self.components[..index])?;
        }
        Ok(())
    }

    fn check_component(&self, component: &PriceComponent, earlier: &[PriceComponent]) -> Result<(), PriceError> {
        let PriceComponent { meter, per, when, .. } = component;
        let meter = *meter;
        when.check().map_err(|source| PriceError::Condition { meter, source })?;
        if per.get() >= 1 << 53 {
            return Err(PriceError::PerTooLarge { meter, per: *per });
        }
        if earlier.iter().any(|other| other.meter == meter && other.when == *when) {
            return Err(PriceError::Duplicate { meter, when: Box::new(when.clone()) });
        }
        if when.is_graduated() {
            let when = when.without_context();
            let mut others = self.components.iter().filter(|other| other.meter == meter);
            let sizes = others.clone().filter(|other| other.when.context.is_some() && !other.when.is_graduated());
            if sizes.into_iter().any(|other| other.when.without_context() == when) {
                return Err(PriceError::OverlappingSizes { meter, when: Box::new(when) });
            }
            if !others.any(|other| other.when == when) {
                return Err(PriceError::NoFirstBand { meter, when: Box::new(when) });
            }
        }
        Ok(())
    }

    /// The same price with its components in the one order in which prices are compared and stored.
    #[must_use]
    pub(crate) fn sorted(mut self) -> Self {
        self.components.sort_by(|one, other| (one.meter, &one.when).cmp(&(other.meter, &other.when)));
        self
    }
}
