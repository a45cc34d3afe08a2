//! Where prices are from.

use crate::text::Name;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The table that prices are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceSource {
    /// The name of the table, with its version if it has one.
    #[serde(rename = "source")]
    pub name: Name,
    /// The licence under which the table is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<Name>,
    /// The day of the table: that on which it was published or retrieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dated: Option<NaiveDate>,
}

impl PriceSource {
    /// A source of which only the name is known.
    #[must_use]
    pub fn named(name: Name) -> Self {
        Self { name, licence: None, dated: None }
    }
}

/// The source in one line, such as `genai-prices 0.2.3 of 2026-11-12 (MIT)`.
impl fmt::Display for PriceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.dated.iter().try_for_each(|day| write!(f, " of {day}"))?;
        self.licence.iter().try_for_each(|licence| write!(f, " ({licence})"))
    }
}
