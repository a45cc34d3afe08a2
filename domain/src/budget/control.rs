//! What of a budget is decided before calls are made: how strictly it is enforced, what it counts, and its periods.

use super::amount::Amount;
use super::error::BudgetError;
use super::parts::Parts;
use super::recurrence::{DEFAULT_ANCHOR, PeriodUnit};
use super::refusal::{OnRefusal, OnUnreachable};
use crate::call::ChargedCall;
use crate::meter::Meter;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How strictly a budget is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// What does not fit is refused.
    Hard,
    /// Nothing is refused; the budget counts.
    Soft,
    /// Nothing is refused; the budget counts, and how often it would have refused.
    Shadow,
}

impl Enforcement {
    /// What clients do while Apex cannot be reached, of a budget that states something or nothing: hard ones are closed, others open
    /// unless they say otherwise.
    #[must_use]
    pub fn on_unreachable(self, stated: Option<OnUnreachable>) -> OnUnreachable {
        match self {
            Self::Hard => OnUnreachable::Closed,
            Self::Soft | Self::Shadow => stated.unwrap_or(OnUnreachable::Open),
        }
    }
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// What calls cost, in US dollars. A call without a price counts nothing.
    Money,
    /// The number of calls.
    Calls,
    /// What calls use of a meter, in its unit.
    Meter(Meter),
}

impl Measure {
    /// What a call counts.
    #[must_use]
    pub fn of(self, call: &ChargedCall) -> Amount {
        match self {
            Self::Money => call.cost().map_or(Amount::ZERO, Amount::from),
            Self::Calls => Amount::units(1),
            Self::Meter(meter) => Amount::units(call.facts.usage.get(meter).get()),
        }
    }
}

/// What of a budget is decided before calls are made. A budget without it is soft, counts money by calendar month, and raises
/// alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetControl {
    /// How strictly the budget is enforced.
    pub enforcement: Enforcement,
    /// What the budget counts; the limit is in its unit.
    pub measure: Measure,
    /// How often a period begins.
    pub period: PeriodUnit,
    /// A day on which a period begins, in the time zone of the budget; 2024-01-01, a Monday, if absent.
    #[serde(default = "default_anchor", skip_serializing_if = "is_default_anchor")]
    pub anchor: NaiveDate,
    /// Whether what is left of a period, up to the limit, is added to the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carry_over: bool,
    /// What follows when a call does not fit; only of a hard budget.
    #[serde(default, skip_serializing_if = "OnRefusal::is_default")]
    pub on_refusal: OnRefusal,
    /// What clients do with calls that the budget counts while Apex cannot be reached: closed if it is hard, else open if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unreachable: Option<OnUnreachable>,
    /// The number of parts of its periods; 1 if absent.
    #[serde(default, skip_serializing_if = "Parts::is_one")]
    pub parts: Parts,
}

impl BudgetControl {
    /// Checks what follows a refusal, and what clients do while Apex cannot be reached.
    pub(super) fn check_policies(&self) -> Result<(), BudgetError> {
        let is_hard = self.enforcement == Enforcement::Hard;
        if !is_hard && !self.on_refusal.is_default() {
            return Err(BudgetError::RefusesNothing);
        }
        if is_hard && self.on_unreachable == Some(OnUnreachable::Open) {
            return Err(BudgetError::HardAndOpen);
        }
        self.on_refusal.check()
    }
}

fn default_anchor() -> NaiveDate {
    DEFAULT_ANCHOR
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_anchor(anchor: &NaiveDate) -> bool {
    *anchor == DEFAULT_ANCHOR
}
