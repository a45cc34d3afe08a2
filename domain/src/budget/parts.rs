//! The number of parts of the periods of a budget.

use super::error::BudgetError;
use super::limits::MAX_PARTS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of parts of the periods of a budget. Each is a stream of its own, so that several processes decide about calls without
/// waiting for each other; what they grant together is what one would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8", extend("minimum" = 1, "maximum" = 8))]
pub struct Parts(u8);

impl Parts {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(crate) const fn is_one(&self) -> bool {
        self.0 == 1
    }

    /// The numbers of the parts beside the first one, which is the stream of the period itself.
    pub fn further(self) -> impl Iterator<Item = u8> + Clone {
        1..self.0
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u8> for Parts {
    type Error = BudgetError;

    fn try_from(number: u8) -> Result<Self, BudgetError> {
        if (1..=MAX_PARTS).contains(&number) {
            Ok(Self(number))
        } else {
            Err(BudgetError::NumberOfParts(number.into()))
        }
    }
}

impl From<Parts> for u8 {
    fn from(parts: Parts) -> Self {
        parts.0
    }
}
