//! The result of comparing an invoice with the calls that Apex charged.

use super::figure::Figure;
use crate::ids::derived_id;
use crate::meter::Meter;
use crate::text::Name;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// Why an invoice and the charged calls differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Only one side has it: it was billed and no call was recorded, or calls were recorded and not billed.
    Missing,
    /// One side has it more than once.
    Duplicate,
    /// Cached tokens were billed as uncached ones, or the other way round.
    Cache,
    /// It was billed at the rate of another tier.
    Tier,
    /// It was billed at a rate that the price book does not have.
    Price,
    /// Both sides have it, in different quantities; or amounts differ, and the invoice states no quantity.
    Quantity,
    /// The difference is not larger than what rounding of the billed amounts explains.
    Rounding,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 7] =
        [Self::Missing, Self::Duplicate, Self::Cache, Self::Tier, Self::Price, Self::Quantity, Self::Rounding];

    /// The cause as it is written in JSON, SQL and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Cache => "cache",
            Self::Tier => "tier",
            Self::Price => "price",
            Self::Quantity => "quantity",
            Self::Rounding => "rounding",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Text that is not a cause.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the causes of variances are missing, duplicate, cache, tier, price, quantity and rounding")]
pub struct UnknownCause;

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(text: &str) -> Result<Self, UnknownCause> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or(UnknownCause)
    }
}

/// A difference between an invoice and the charged calls, by one cause.
///
/// The billed amount less the expected amount is the difference. Where a meter of a day has several causes, each is compared
/// with what the previous one leaves: a difference in quantity is valued at the expected rate, and that in price is of the billed
/// quantity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Variance {
    /// The cause.
    pub cause: Cause,
    /// The cause in words, such as `billed, and no calls were recorded`.
    pub detail: String,
    /// The day (UTC).
    pub day: NaiveDate,
    /// The model by its name in the price book; none if the invoice states no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// The meter; none if the invoice states no meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<Meter>,
    /// The first line of the invoice that it is about; none if the invoice has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The number of lines of the invoice that it is about.
    #[serde(default)]
    pub lines: u32,
    /// The quantity that was billed; none if the invoice states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed_quantity: Option<Figure>,
    /// The quantity of the charged calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_quantity: Option<Figure>,
    /// The amount that was billed, in US dollars.
    pub billed: Figure,
    /// The amount that Apex expects, in US dollars.
    pub expected: Figure,
    /// The billed amount less the expected one, in US dollars.
    pub difference: Figure,
}

/// The variances of one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseTotal {
    /// The cause.
    pub cause: Cause,
    /// The number of variances.
    pub variances: u32,
    /// The sum of their differences, in US dollars.
    pub difference: Figure,
}

/// The totals of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReconciliationSummary {
    /// The position of the log up to which calls are compared.
    pub position: u64,
    /// The hash of the lines that were compared.
    pub content: Uuid,
    /// The sum of the billed amounts, in US dollars. Lines without an amount count at the rates that Apex charges.
    pub billed: Figure,
    /// The sum of the expected amounts, in US dollars.
    pub expected: Figure,
    /// The billed less the expected amount, in US dollars: the sum of the differences of all causes.
    pub difference: Figure,
    /// The variances of each cause that there are.
    pub causes: Vec<CauseTotal>,
    /// The number of variances.
    pub variances: u32,
    /// The hash of the variances, in their order.
    pub variances_hash: Uuid,
    /// The amount in US dollars by which rounding may change each line.
    pub tolerance: Figure,
    /// The charged calls that the invoice was compared with.
    pub calls: u64,
    /// The calls of the provider in the period that have no price, so that nothing is expected for them.
    pub unpriced_calls: u64,
    /// The lines without an amount for whose meter Apex knows no rate: they count as 0.
    pub unvalued_lines: u32,
}

/// The result of comparing an invoice with the charged calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// The totals.
    pub summary: ReconciliationSummary,
    /// The variances, that with the largest difference first.
    pub variances: Vec<Variance>,
}

/// The hash of variances.
pub(crate) fn hash(variances: &[Variance]) -> Uuid {
    variances.iter().fold(derived_id(&["variances"]), |hash, variance| {
        let Variance { cause, detail, day, model, meter, line, lines, billed, expected, difference, .. } = variance;
        let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
        let quantity = |figure: Option<Figure>| figure.map_or_else(String::new, |figure| figure.to_string());
        derived_id(&[
            &hash.to_string(),
            cause.as_str(),
            detail,
            &day.to_string(),
            model.as_ref().map_or("", Name::as_str),
            meter.map_or("", Meter::name),
            &number(*line),
            &lines.to_string(),
            &quantity(variance.billed_quantity),
            &quantity(variance.expected_quantity),
            &billed.to_string(),
            &expected.to_string(),
            &difference.to_string(),
        ])
    })
}

/// The totals of the causes of variances.
pub(crate) fn totals(variances: &[Variance]) -> Vec<CauseTotal> {
    let of = |cause: Cause| {
        let found: Vec<_> = variances.iter().filter(|variance| variance.cause == cause).collect();
        let variances = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let difference = found.iter().map(|variance| variance.difference).sum();
        (variances > 0).then_some(CauseTotal { cause, variances, difference })
    };
    Cause::ALL.into_iter().filter_map(of).collect()
}
