//! The terms of a budget: whose spending it counts, the limit, and when to raise alerts.

use super::error::{BudgetError, MAX_THRESHOLDS};
use super::threshold::Threshold;
use crate::ids::AgentId;
use crate::money::{Currency, Money};
use crate::text::Name;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whose spending a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BudgetScope {
    /// All spending of the tenant.
    Tenant,
    /// The spending of one agent.
    Agent {
        /// The agent whose spending is counted.
        agent_id: AgentId,
    },
    /// The spending on one model, across all providers.
    Model {
        /// The model whose spending is counted.
        model: Name,
    },
}

/// The terms of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetTerms {
    /// The display name of the budget.
    pub name: Name,
    /// Whose spending the budget counts.
    pub scope: BudgetScope,
    /// The limit per month; above zero.
    pub limit: Money,
    /// The currency of the limit.
    #[serde(default)]
    pub currency: Currency,
    /// The IANA name of the time zone in which months start, such as `Europe/Berlin`.
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// The shares of the limit, in percent, at which alerts are raised; at most 16.
    pub thresholds: BTreeSet<Threshold>,
}

impl BudgetTerms {
    pub(super) fn check(&self) -> Result<(), BudgetError> {
        if self.limit <= Money::ZERO {
            return Err(BudgetError::LimitNotPositive(self.limit));
        }
        if self.thresholds.len() > MAX_THRESHOLDS {
            return Err(BudgetError::TooManyThresholds(self.thresholds.len()));
        }
        Ok(())
    }
}
