//! Alert thresholds.

use super::error::BudgetError;
use crate::money::Money;
use crate::sum::Sum;
use bigdecimal::BigDecimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A share of the limit at which an alert is raised: 1 to 1000 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schemars(extend("minimum" = 1, "maximum" = 1000))]
pub struct Threshold(u16);

impl Threshold {
    /// The share in percent of the limit.
    #[must_use]
    pub fn percent(self) -> u16 {
        self.0
    }

    /// Whether `spent` is at least this share of `limit`.
    #[must_use]
    pub fn is_reached(self, spent: &Sum, limit: Money) -> bool {
        spent.as_number() * BigDecimal::from(100) >= limit.as_number() * BigDecimal::from(self.0)
    }
}

impl TryFrom<u16> for Threshold {
    type Error = BudgetError;

    fn try_from(percent: u16) -> Result<Self, Self::Error> {
        if (1..=1000).contains(&percent) { Ok(Self(percent)) } else { Err(BudgetError::InvalidThreshold(percent)) }
    }
}

impl From<Threshold> for u16 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}
