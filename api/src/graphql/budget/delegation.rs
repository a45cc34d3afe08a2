//! What a budget delegates of the limit of its running period.

use super::control::amount;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::{Decimal, Timestamp, Uid};
use async_graphql::{ID, SimpleObject};
use domain::budget::{DelegatedTo, Delegation};
use domain::budget_balance::Sums;

/// A part of the limit of a period that is delegated, and runs. Amounts are in the unit of the budget's measure.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetDelegation {
    /// UUID of the delegation.
    uuid: Uid,
    /// Global id of the agent whose calls it is for. Null if it is for a task graph.
    agent_id: Option<ID>,
    /// Global id of the task graph whose calls it is for. Null if it is for an agent.
    dag_id: Option<ID>,
    /// What is delegated.
    amount: Decimal,
    /// What is charged and reserved within it.
    used: Decimal,
    /// What is delegated and not used. Where more than the limit is charged and reserved, less of it can be reserved.
    unused: Decimal,
    /// When it ends, if no command ends it before.
    until: Timestamp,
}

impl From<&(Delegation, Sums)> for BudgetDelegation {
    fn from((delegation, sums): &(Delegation, Sums)) -> Self {
        let (agent_id, dag_id) = match delegation.to {
            DelegatedTo::Agent { agent_id } => (Some(Kind::Agent.id(agent_id)), None),
            DelegatedTo::Dag { dag_id } => (None, Some(Kind::Dag.id(dag_id))),
        };
        Self {
            uuid: Uid(delegation.delegation_id.0),
            agent_id,
            dag_id,
            amount: amount(delegation.amount),
            used: amount(sums.used()),
            unused: amount(sums.room()),
            until: delegation.until.into(),
        }
    }
}
