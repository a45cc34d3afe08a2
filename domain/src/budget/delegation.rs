//! Delegations: a part of the limit of a running period that a budget hands to an agent or a task graph.

use super::amount::Amount;
use super::dimension::{Attributes, BudgetDimension};
use crate::call::DataClass;
use crate::ids::{AgentId, DagId, DelegationId, derived_id};
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whose calls a delegation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DelegatedTo {
    /// An agent.
    Agent {
        /// The agent.
        agent_id: AgentId,
    },
    /// A task graph.
    Dag {
        /// The task graph.
        dag_id: DagId,
    },
}

impl DelegatedTo {
    fn selects(self, attributes: &Attributes) -> bool {
        let (dimension, id) = match self {
            Self::Agent { agent_id } => (BudgetDimension::Agent, agent_id.0),
            Self::Dag { dag_id } => (BudgetDimension::Dag, dag_id.0),
        };
        attributes.get(&dimension).is_some_and(|value| Uuid::try_parse(value.as_str()) == Ok(id))
    }
}

/// A part of the limit of a period that is delegated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delegation {
    /// The delegation.
    pub delegation_id: DelegationId,
    /// Whose calls it is for.
    pub to: DelegatedTo,
    /// How much, in the unit of the budget.
    pub amount: Amount,
    /// The id of the stream of the period.
    pub balance_id: Uuid,
    /// When it ends, if no command ends it before: at the end of the period at the latest.
    pub until: DateTime<Utc>,
}

impl Delegation {
    /// The id of the stream of what is charged and reserved within a delegation.
    #[must_use]
    pub fn stream(delegation_id: DelegationId) -> Uuid {
        derived_id(&["budget_delegation", &delegation_id.to_string()])
    }

    /// Whether it runs at a time, if it was not ended: those that were ended are not in the list of their budget.
    #[must_use]
    pub fn is_running(&self, at: DateTime<Utc>) -> bool {
        at < self.until
    }

    /// Whether it runs at a time, and a call with some values is one that it is for.
    #[must_use]
    pub fn holds(&self, attributes: &Attributes, at: DateTime<Utc>) -> bool {
        self.is_running(at) && self.to.selects(attributes)
    }
}

/// The payload of `budget.delegated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetDelegated {
    /// What is delegated.
    #[serde(flatten)]
    pub delegation: Delegation,
    /// From when on, by the clock of the server.
    pub from: DateTime<Utc>,
    /// Why.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When it was delegated.
    pub at: DateTime<Utc>,
}

/// The payload of `budget.delegation_ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetDelegationEnded {
    /// The delegation.
    pub delegation_id: DelegationId,
    /// Why.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When it was ended.
    pub at: DateTime<Utc>,
}

/// A command to a budget about what it delegates.
#[derive(Debug, Clone, PartialEq)]
pub enum DelegationCommand {
    /// Delegates a part of the limit of the running period.
    Delegate {
        /// The delegation.
        delegation_id: DelegationId,
        /// Whose calls it is for.
        to: DelegatedTo,
        /// How much, in the unit of the budget.
        amount: Amount,
        /// When it ends: at the end of the period if none, or later.
        until: Option<DateTime<Utc>>,
        /// Why.
        reason: Body,
        /// When it was delegated.
        at: DateTime<Utc>,
    },
    /// Ends a delegation that runs: what it does not use is the budget's again.
    End {
        /// The delegation.
        delegation_id: DelegationId,
        /// Why.
        reason: Body,
        /// When it was ended.
        at: DateTime<Utc>,
    },
    /// Records the end of a delegation whose time is over. Nothing, if it was ended before.
    Expire {
        /// The delegation.
        delegation_id: DelegationId,
        /// Why.
        reason: Body,
        /// When it was recorded.
        at: DateTime<Utc>,
    },
}
