//! Discounts that a tenant agreed with providers.

use crate::price_book::matching::{ModelForms, ModelPattern};
use crate::text::Name;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// A percentage from 0 to 100 with at most 4 decimal places; a decimal string in JSON, such as `"12.5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$"))]
pub struct Percent(u32);

/// Text that is not a percentage.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a percentage: write 0 to 100 with at most 4 decimal places")]
pub struct PercentError(String);

impl Percent {
    /// The millionths of an amount that the percentage is.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<Decimal> for Percent {
    type Error = PercentError;

    fn try_from(percent: Decimal) -> Result<Self, PercentError> {
        let error = || PercentError(percent.to_string());
        let millionths = percent.checked_mul(10_000.into()).ok_or_else(error)?.normalize();
        let is_valid = millionths.scale() == 0 && !millionths.is_sign_negative();
        let millionths = millionths.to_u32().filter(|number| is_valid && *number <= 1_000_000);
        millionths.map(Self).ok_or_else(error)
    }
}

impl TryFrom<String> for Percent {
    type Error = PercentError;

    fn try_from(text: String) -> Result<Self, PercentError> {
        let error = || PercentError(text.chars().take(32).collect());
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent: Decimal = text.parse().ok().filter(|_| is_plain).ok_or_else(error)?;
        Self::try_from(percent).map_err(|_| error())
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        percent.to_string()
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::new(self.0.into(), 4).normalize().fmt(f)
    }
}

/// A discount on list prices, such as that of a contract with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discount {
    /// The name of the discount. Setting another one of the name replaces it for calls that are charged later.
    pub name: Name,
    /// The provider whose prices are discounted; all providers if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Name>,
    /// The models whose prices are discounted; all models if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<ModelPattern>,
    /// The part of the list price that is not charged.
    pub percent: Percent,
    /// When the discount takes effect.
    pub effective_from: DateTime<Utc>,
    /// When the discount ends; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_to: Option<DateTime<Utc>>,
}

/// A discount that was applied to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedDiscount {
    /// The name of the discount.
    pub name: Name,
    /// The part of the list price that was not charged.
    pub percent: Percent,
}

impl Discount {
    /// Whether the discount ends after it takes effect.
    pub(crate) fn is_valid(&self) -> bool {
        self.effective_to.is_none_or(|end| end > self.effective_from)
    }

    fn applies(&self, provider: &Name, model: &ModelForms<'_>, at: DateTime<Utc>) -> bool {
        let Self { provider: of_provider, models, effective_from, effective_to, .. } = self;
        of_provider.as_ref().is_none_or(|of| of == provider)
            && models.as_ref().is_none_or(|pattern| model.fit(pattern))
            && *effective_from <= at
            && effective_to.is_none_or(|end| at < end)
    }

    /// What applicable discounts are compared by: the most specific one applies, then the highest.
    fn rank(&self) -> (bool, bool, usize, Percent, &Name) {
        let literals = self.models.as_ref().map_or(0, ModelPattern::literals);
        (self.models.is_some(), self.provider.is_some(), literals, self.percent, &self.name)
    }
}

/// The discounts of a price book: by name, each with the version of the book that set it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Discounts(BTreeMap<Name, Vec<(u64, Discount)>>);

impl Discounts {
    pub(crate) fn set(&mut self, discount: &Discount, version: u64) {
        self.0.entry(discount.name.clone()).or_default().push((version, discount.clone()));
    }

    /// The discounts as a version of the book has them, ordered by name.
    pub(crate) fn as_of(&self, version: u64) -> impl Iterator<Item = &Discount> {
        let set = self.0.values().filter_map(move |set| set.iter().rev().find(|(since, _)| *since <= version));
        set.map(|(_, discount)| discount)
    }

    /// The discount that applies to a price.
    pub(crate) fn applying(
        &self,
        provider: &Name,
        model: &Name,
        at: DateTime<Utc>,
        version: u64,
    ) -> Option<AppliedDiscount> {
        let model = ModelForms::of(model);
        let applying = self.as_of(version).filter(|discount| discount.applies(provider, &model, at));
        let chosen = applying.max_by(|one, other| one.rank().cmp(&other.rank()))?;
        (chosen.percent.millionths() > 0)
            .then(|| AppliedDiscount { name: chosen.name.clone(), percent: chosen.percent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, name};

    fn percent(text: &str) -> Percent {
        Percent::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_percentage_is_exact_and_bounded() {
        for (text, millionths) in [("0", 0), ("12.5", 125_000), ("0.0001", 1), ("100", 1_000_000), ("99.9999", 999_999)]
        {
            assert_eq!((percent(text).millionths(), percent(text).to_string()), (millionths, text.to_owned()));
        }
        for text in ["", "-1", "100.0001", "0.00001", "1e1", "5%", ".", "99999999999999999999999999999999"] {
            assert!(Percent::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_most_specific_discount_of_a_version_applies() {
        let discount = |named: &str, provider: Option<&str>, models: Option<&str>, off: &str| Discount {
            name: name(named),
            provider: provider.map(name),
            models: models.map(|text| ModelPattern::new(text).unwrap()),
            percent: percent(off),
            effective_from: at(0),
            effective_to: Some(at(100)),
        };
        let mut discounts = Discounts::default();
        discounts.set(&discount("all", None, None, "50"), 1);
        discounts.set(&discount("contract", Some("openai"), None, "10"), 2);
        discounts.set(&discount("mini", Some("openai"), Some("gpt-4o-mini*"), "5"), 3);
        discounts.set(&discount("contract", Some("openai"), None, "20"), 4);
        let applied = |provider: &str, model: &str, second: i64, version: u64| {
            let applied = discounts.applying(&name(provider), &name(model), at(second), version);
            applied.map(|applied| format!("{} {}", applied.name, applied.percent))
        };
        assert_eq!(applied("openai", "gpt-4o", 1, 3).as_deref(), Some("contract 10"));
        assert_eq!(applied("openai", "gpt-4o", 1, 4).as_deref(), Some("contract 20"));
        assert_eq!(applied("openai", "openai/GPT-4o-mini", 1, 4).as_deref(), Some("mini 5"));
        assert_eq!(applied("anthropic", "claude", 1, 4).as_deref(), Some("all 50"));
        assert_eq!(applied("openai", "gpt-4o", 100, 4), None);
        assert_eq!(applied("openai", "gpt-4o", -1, 4), None);
        assert_eq!(applied("openai", "gpt-4o", 1, 0), None);
    }
}
