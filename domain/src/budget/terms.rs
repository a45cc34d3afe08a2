//! The terms of a budget: whose spending it counts, the limit, and when to raise alerts.

use super::control::{BudgetControl, Measure};
use super::dimension::{Attributes, BudgetDimension};
use super::error::{BudgetError, MAX_CONDITIONS, MAX_THRESHOLDS};
use super::parts::Parts;
use super::recurrence::{LAST_ANCHOR_DAY, PeriodUnit, Recurrence};
use super::threshold::Threshold;
use crate::ids::AgentId;
use crate::money::{Currency, Money};
use crate::text::Name;
use chrono::Datelike;
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
    /// The spending on calls that have all of some values, each of another dimension.
    Conditions {
        /// The values by dimension, 1 to 8 of them.
        conditions: Attributes,
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
    /// The shares of the limit, in percent, at which alerts are raised; at most 16. Those of a budget that the read model does not
    /// count by calendar month are decided with what is charged to its periods.
    pub thresholds: BTreeSet<Threshold>,
    /// What of the budget is decided before calls are made; absent if it only counts money by calendar month, and raises alerts.
    /// With it, the limit is for each of its periods, in the unit of what it measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<BudgetControl>,
}

impl BudgetTerms {
    pub(super) fn check(&self) -> Result<(), BudgetError> {
        if self.limit <= Money::ZERO {
            return Err(BudgetError::LimitNotPositive(self.limit));
        }
        if self.thresholds.len() > MAX_THRESHOLDS {
            return Err(BudgetError::TooManyThresholds(self.thresholds.len()));
        }
        self.check_control()
    }
}

impl BudgetScope {
    /// The values that a call must have, each of another dimension.
    #[must_use]
    pub fn conditions(&self) -> Attributes {
        match self {
            Self::Tenant => Attributes::new(),
            Self::Agent { agent_id } => {
                let name = crate::Name::new(agent_id.to_string());
                name.into_iter().map(|name| (BudgetDimension::Agent, name)).collect()
            }
            Self::Model { model } => Attributes::from([(BudgetDimension::Model, model.clone())]),
            Self::Conditions { conditions } => conditions.clone(),
        }
    }
}

impl BudgetTerms {
    /// How the periods of the budget follow each other, if it is decided on before calls are made.
    #[must_use]
    pub fn recurrence(&self) -> Option<Recurrence> {
        let BudgetControl { period, anchor, .. } = *self.control.as_ref()?;
        Some(Recurrence { unit: period, time_zone: self.time_zone, anchor })
    }

    /// Whether the read model counts the budget by calendar month, and raises alerts for its thresholds: it counts money, of all
    /// calls, of an agent or of a model, and its periods are calendar months.
    #[must_use]
    pub fn is_counted_by_month(&self) -> bool {
        let is_simple = !matches!(self.scope, BudgetScope::Conditions { .. });
        let is_monthly = |control: &BudgetControl| {
            control.measure == Measure::Money && control.period == PeriodUnit::Month && control.anchor.day() == 1
        };
        is_simple && self.control.as_ref().is_none_or(is_monthly)
    }

    /// The number of parts of the periods.
    pub(super) fn parts(&self) -> Parts {
        self.control.as_ref().map_or_else(Parts::default, |control| control.parts)
    }

    fn check_control(&self) -> Result<(), BudgetError> {
        if let BudgetScope::Conditions { conditions } = &self.scope {
            if !(1..=MAX_CONDITIONS).contains(&conditions.len()) {
                return Err(BudgetError::NumberOfConditions { found: conditions.len() });
            }
            let is_id = |text: &str| uuid::Uuid::try_parse(text).is_ok_and(|id| id.as_hyphenated().to_string() == text);
            let mut others = conditions.iter().filter(|(dimension, value)| match dimension {
                BudgetDimension::Agent
                | BudgetDimension::Task
                | BudgetDimension::Dag
                | BudgetDimension::User
                | BudgetDimension::Team
                | BudgetDimension::Key => !is_id(value.as_str()),
                BudgetDimension::Conversation
                | BudgetDimension::Provider
                | BudgetDimension::Model
                | BudgetDimension::Tool
                | BudgetDimension::Tag(_) => false,
            });
            if let Some((dimension, value)) = others.next() {
                return Err(BudgetError::NotAnId { dimension: dimension.clone(), value: value.clone() });
            }
            if self.control.is_none() {
                return Err(BudgetError::ConditionsWithoutControl);
            }
        }
        if let Some(control) = self.control.as_ref().filter(|control| control.anchor.day() > LAST_ANCHOR_DAY) {
            return Err(BudgetError::AnchorDay(control.anchor));
        }
        if !self.parts().is_one() && !self.thresholds.is_empty() && !self.is_counted_by_month() {
            return Err(BudgetError::PartsWithThresholds);
        }
        self.control.as_ref().map_or(Ok(()), BudgetControl::check_policies)
    }
}
