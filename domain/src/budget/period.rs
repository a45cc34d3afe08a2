//! The periods of a budget: one stream per calendar month, which records the alerts that were raised.

use super::month::Month;
use super::threshold::Threshold;
use crate::aggregate::Aggregate;
use crate::codec::{UpcastError, events};
use crate::ids::{BudgetId, derived_id};
use crate::money::{Currency, Money};
use crate::sum::Sum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;
use uuid::Uuid;

/// The payload of `budget.threshold_crossed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdCrossed {
    /// The budget whose threshold was crossed.
    pub budget_id: BudgetId,
    /// The month in whose spending the threshold was crossed.
    pub month: Month,
    /// The threshold, in percent of the limit.
    pub threshold_percent: Threshold,
    /// The version of the budget that set the terms in force when the threshold was crossed; 1 if absent.
    #[serde(default = "first_terms_version", skip_serializing_if = "is_first_terms_version")]
    pub terms_version: u64,
    /// The amount spent when the threshold was crossed.
    pub spent: Sum,
    /// The limit when the threshold was crossed.
    pub limit: Money,
    /// The currency of both amounts.
    #[serde(default)]
    pub currency: Currency,
    /// The log position of the event that crossed the threshold.
    pub crossed_at_position: u64,
}

/// The version of the terms of a budget that was never revised.
const FIRST_TERMS_VERSION: u64 = 1;

fn first_terms_version() -> u64 {
    FIRST_TERMS_VERSION
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first_terms_version(version: &u64) -> bool {
    *version == FIRST_TERMS_VERSION
}

/// The payload of `budget.threshold_crossed` version 1, in which the amount spent had the bounds of a single amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdCrossedV1 {
    /// The budget whose threshold was crossed.
    pub budget_id: BudgetId,
    /// The month in whose spending the threshold was crossed.
    pub month: Month,
    /// The threshold, in percent of the limit.
    pub threshold_percent: Threshold,
    /// The amount spent when the threshold was crossed.
    // Larger sums were also written, and can be read.
    #[schemars(with = "Money")]
    pub spent: Sum,
    /// The limit when the threshold was crossed.
    pub limit: Money,
    /// The currency of both amounts.
    #[serde(default)]
    pub currency: Currency,
    /// The log position of the event that crossed the threshold.
    pub crossed_at_position: u64,
}

/// Upcasts version 1, which had no terms version. Each of its alerts counts for version 1 of the terms.
fn crossed_upcast_v1(old: ThresholdCrossedV1) -> Result<ThresholdCrossed, UpcastError> {
    Ok(ThresholdCrossed {
        budget_id: old.budget_id,
        month: old.month,
        threshold_percent: old.threshold_percent,
        terms_version: FIRST_TERMS_VERSION,
        spent: old.spent,
        limit: old.limit,
        currency: old.currency,
        crossed_at_position: old.crossed_at_position,
    })
}

/// A command to a month of a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetPeriodCommand {
    /// Raises an alert for a crossed threshold, once per version of the terms.
    RaiseAlert {
        /// The crossed threshold.
        crossed: ThresholdCrossed,
    },
}

events! {
    /// An event of a month of a budget.
    pub enum BudgetPeriodEvent {
        /// A threshold was crossed.
        "budget.threshold_crossed" v 2 => ThresholdCrossed(ThresholdCrossed),
            from v 1 (ThresholdCrossedV1) by crossed_upcast_v1,
    }
}

/// Why a command to a month of a budget is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetPeriodError {
    /// The amount spent does not reach the threshold.
    #[error("{spent} of {limit} does not reach the threshold")]
    NotCrossed {
        /// The amount spent.
        spent: Sum,
        /// The limit of the budget.
        limit: Money,
    },
}

/// The state of a month of a budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetPeriod {
    /// The thresholds for which alerts were raised, each with the version of the terms under which it was crossed.
    pub raised: BTreeSet<(Threshold, u64)>,
}

impl BudgetPeriod {
    /// The stream id of a month of a budget.
    #[must_use]
    pub fn id(budget_id: BudgetId, month: Month) -> Uuid {
        derived_id(&["budget_period", &budget_id.to_string(), &month.to_string()])
    }
}

impl Aggregate for BudgetPeriod {
    const CATEGORY: &'static str = "budget_period";
    type Command = BudgetPeriodCommand;
    type Event = BudgetPeriodEvent;
    type Error = BudgetPeriodError;

    fn decide(&self, command: BudgetPeriodCommand) -> Result<Vec<BudgetPeriodEvent>, BudgetPeriodError> {
        let BudgetPeriodCommand::RaiseAlert { crossed } = command;
        if !crossed.threshold_percent.is_reached(&crossed.spent, crossed.limit) {
            return Err(BudgetPeriodError::NotCrossed { spent: crossed.spent, limit: crossed.limit });
        }
        if self.raised.contains(&(crossed.threshold_percent, crossed.terms_version)) {
            return Ok(Vec::new());
        }
        Ok(vec![BudgetPeriodEvent::ThresholdCrossed(crossed)])
    }

    fn evolve(mut self, event: &BudgetPeriodEvent) -> Self {
        let BudgetPeriodEvent::ThresholdCrossed(crossed) = event;
        self.raised.insert((crossed.threshold_percent, crossed.terms_version));
        self
    }
}
